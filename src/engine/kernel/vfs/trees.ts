/**
 * Trees of mounts: copying one, attaching it below a place and below all that hear of the place, taking one down everywhere.
 * A copy is made whole before any of it hangs, so that what a mount is bound into does not show in it. Source: fs/namespace.c
 * (copy_tree, attach_recursive_mnt, umount_tree), fs/pnode.c (propagate_mnt, propagate_umount), kernel doc sharedsubtree.
 */
import { SysError } from '../abi.ts';
import type { Kernel, UserNamespace } from '../records.ts';
import { noteHolder } from '../vacancy.ts';
import { hang, hangingAt, rehang } from './hanging.ts';
import { nsFile } from './nsfs.ts';
import { disband, enrol, peersOf, receiversOf, setPeers, slavesOf } from './peers.ts';
import type { Dentry, Mount, MountNamespace, Path } from './types.ts';

/** How copies stand to their originals: as peers where those are shared, as slaves, as slaves that are a group of their own. */
type Kin = 'peer' | 'slave' | 'shared slave';

/** A mount like another, hanging nowhere yet. */
export function cloneMount(kernel: Kernel, old: Mount, ns: MountNamespace, root: Dentry, kin: Kin = 'peer'): Mount {
  const { sb, flags, locks, unbindable, source } = old;
  const copy: Mount = {
    id: kernel.mounts.nextId++, parent: old.parent, at: old.at, sb, root, flags, locks, unbindable, source, ns, hung: false,
    shared: kin === 'peer' ? old.shared : kin === 'slave' ? 0 : kernel.mounts.nextGroup++,
    master: kin === 'peer' ? old.master : old.shared,
  };
  enrol(kernel, copy);
  return copy;
}

/** A mount and those below it, parents first. */
export function treeOf(top: Mount): Mount[] {
  const below = new Map<Mount, Mount[]>();
  for (const one of top.ns.mounts) {
    if (one.parent === one || one === top) continue;
    const list = below.get(one.parent);
    if (list) list.push(one);
    else below.set(one.parent, [one]);
  }
  if (below.size === 0 || !below.has(top)) return [top];
  const out: Mount[] = [];
  const walk = (at: Mount): void => {
    out.push(at);
    for (const one of below.get(at) ?? []) walk(one);
  };
  walk(top);
  return out;
}

/** Is a name a directory, or below it? */
export function within(name: Dentry, dir: Dentry): boolean {
  for (let at = name; ; at = at.parent) {
    if (at === dir) return true;
    if (at.parent === at) return false;
  }
}

/** A copy of a tree as seen from a directory in it, without what may not be bound. The list is parents first, the top's place is the caller's. */
export function copyTree(kernel: Kernel, tree: readonly Mount[], root: Dentry, ns: MountNamespace, kin: Kin = 'peer'): Mount[] {
  const copies = new Map<Mount, Mount>();
  const top = tree[0]!;
  copies.set(top, cloneMount(kernel, top, ns, root, kin));
  for (const one of tree.slice(1)) {
    const parent = copies.get(one.parent);
    if (!parent || one.unbindable || ofMounts(one) || (one.parent === top && !within(one.at, root))) continue;
    const copy = cloneMount(kernel, one, ns, one.root, kin);
    copy.parent = parent;
    copies.set(one, copy);
  }
  return [...copies.values()];
}

/** What a less privileged namespace may not change: what it got from above hangs fast, its restrictions stay. */
export function lockTree(tree: readonly Mount[]): void {
  for (const [i, mount] of tree.entries()) mount.locks = { fast: i > 0 || (mount.locks?.fast ?? false), flags: mount.flags };
}

/** Files of mount namespaces are copied only by who binds them: no namespace holds itself. */
export const ofMounts = (mount: Mount): boolean => nsFile(mount.root.inode)?.type === 'mnt';

/** Copies of a tree for all that hear of a place; each hangs nowhere yet but knows its place. */
function propagate(kernel: Kernel, at: Path, tree: readonly Mount[]): Mount[][] {
  const made: Mount[][] = [];
  const give = (to: Mount, from: readonly Mount[], kin: Kin): Mount[] | null => {
    if (!to.hung || !within(at.dentry, to.root)) return null;
    if (ofMounts(from[0]!)) throw new SysError('EINVAL');
    const copy = copyTree(kernel, from, from[0]!.root, to.ns, kin);
    copy[0]!.parent = to;
    copy[0]!.at = at.dentry;
    made.push(copy);
    return copy;
  };
  const below = (id: number, from: readonly Mount[]): void => {
    for (const list of slavesOf(kernel, id)) {
      let first: Mount[] | null = null;
      for (const to of list) {
        if (first) give(to, first, 'peer');
        else first = give(to, from, to.shared === 0 ? 'slave' : 'shared slave');
      }
      if (list[0]!.shared !== 0) below(list[0]!.shared, first ?? from);
    }
  };
  for (const peer of peersOf(kernel, at.mount)) give(peer, tree, 'peer');
  below(at.mount.shared, tree);
  return made;
}

/** Hangs a tree, new or moved, at a place and at all that hear of it. */
export function attachTree(kernel: Kernel, tree: readonly Mount[], at: Path, user: UserNamespace | undefined): void {
  const top = tree[0]!;
  const alone = tree.filter((one) => one.shared === 0);
  let copies: Mount[][] = [];
  if (at.mount.shared !== 0) {
    for (const one of alone) setPeers(kernel, one, kernel.mounts.nextGroup++, one.master);
    try {
      copies = propagate(kernel, at, tree);
    } catch (error) {
      for (const one of alone) setPeers(kernel, one, 0, one.master);
      if (!top.hung) disband(kernel, tree);
      throw error;
    }
  }
  if (top.hung) rehang(top, at.mount, at.dentry);
  else {
    top.parent = at.mount;
    top.at = at.dentry;
    for (const one of tree) hangUp(kernel, one);
  }
  for (const copy of copies) {
    const place = copy[0]!;
    const covered = hangingAt(place.parent, place.at);
    if (place.parent.ns.owner !== user) lockTree(copy);
    for (const one of copy) hangUp(kernel, one);
    if (covered) rehang(covered, place, place.root);
  }
}

function hangUp(kernel: Kernel, mount: Mount): void {
  hang(mount);
  noteHolder(kernel, mount);
}

/** What goes with mounts that are taken down: their likes below all that hear of their places, unless something else hangs there. */
export function goingWith(kernel: Kernel, list: readonly Mount[]): Mount[] {
  const going = new Set(list);
  const extra = new Set<Mount>();
  for (const one of list) {
    if (one.parent === one || one.parent.shared === 0) continue;
    for (const to of receiversOf(kernel, one.parent)) {
      const child = hangingAt(to, one.at);
      if (child && !going.has(child)) extra.add(child);
    }
  }
  const leaves = (one: Mount): boolean => !(one.locks?.fast && !extra.has(one.parent) && !going.has(one.parent)) && childrenOf(one).every((child) => child.at === one.root || extra.has(child) || going.has(child));
  for (let settled = false; !settled; ) {
    settled = true;
    for (const one of extra) {
      if (leaves(one)) continue;
      extra.delete(one);
      settled = false;
    }
  }
  for (const one of extra) for (const topper of childrenOf(one)) if (!extra.has(topper) && !going.has(topper)) rehang(topper, one.parent, one.at);
  return [...extra];
}

export const childrenOf = (mount: Mount): Mount[] => mount.ns.mounts.filter((one) => one.parent === mount && one !== mount);
