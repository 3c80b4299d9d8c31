/**
 * Trees of mounts: copying one, attaching it below a place and below all that hear of the place, taking one down everywhere.
 * A copy is made whole before any of it hangs, so that what a mount is bound into does not show in it. Source: fs/namespace.c
 * (copy_tree, attach_recursive_mnt, umount_tree), fs/pnode.c (propagate_mnt, propagate_umount), kernel doc sharedsubtree.
 */
import { SysError } from '../abi.ts';
import type { Kernel, UserNamespace } from '../records.ts';
import { hang, hangingAt, makeMount, rehang, within } from './hanging.ts';
import { nsFile } from './nsfs.ts';
import { countMounts } from './latecopy.ts';
import { disband, enrol, peersOf, receiversOf, setPeers, slavesOf } from './peers.ts';
import type { Dentry, Mount, MountNamespace, Path } from './types.ts';

/** How copies stand to their originals: as peers where those are shared, as slaves, as slaves that are a group of their own. */
type Kin = 'peer' | 'slave' | 'shared slave';

/** A mount like another, hanging nowhere yet. */
export function cloneMount(kernel: Kernel, old: Mount, ns: MountNamespace, root: Dentry, kin: Kin = 'peer'): Mount {
  const copy = makeMount(kernel.mounts.nextId++, ns, old.sb, root, old.source, old.flags);
  copy.parent = old.parent;
  copy.at = old.at;
  copy.locks = old.locks;
  copy.unbindable = old.unbindable;
  copy.shared = kin === 'peer' ? old.shared : kin === 'slave' ? 0 : kernel.mounts.nextGroup++;
  copy.master = kin === 'peer' ? old.master : old.shared;
  enrol(kernel, copy);
  return copy;
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

/** Mounts that one namespace may have, unless /proc/sys/fs/mount-max says otherwise. */
export const MOUNT_MAX = 100_000;

/** How many more each namespace is about to get. */
type Coming = Map<MountNamespace, number>;

function requireRoom(kernel: Kernel, ns: MountNamespace, more: number, coming: Coming): void {
  const all = (coming.get(ns) ?? 0) + more;
  if (countMounts(ns) + all > (kernel.counters['sysctl:mount-max'] ?? MOUNT_MAX)) throw new SysError('ENOSPC');
  coming.set(ns, all);
}

/** Copies of a tree for all that hear of a place; each hangs nowhere yet but knows its place. */
function propagate(kernel: Kernel, at: Path, tree: readonly Mount[], coming: Coming, made: Mount[][]): void {
  const give = (to: Mount, from: readonly Mount[], kin: Kin): Mount[] | null => {
    if (!to.hung || !within(at.dentry, to.root)) return null;
    if (ofMounts(from[0]!)) throw new SysError('EINVAL');
    requireRoom(kernel, to.ns, from.length, coming);
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
}

/** Hangs a tree, new or moved, at a place and at all that hear of it. */
export function attachTree(kernel: Kernel, tree: readonly Mount[], at: Path, user: UserNamespace | undefined): void {
  const top = tree[0]!;
  const alone = tree.filter((one) => one.shared === 0);
  const copies: Mount[][] = [];
  const coming: Coming = new Map();
  try {
    if (!top.hung) requireRoom(kernel, at.mount.ns, tree.length, coming);
    if (at.mount.shared !== 0) {
      for (const one of alone) setPeers(kernel, one, kernel.mounts.nextGroup++, one.master);
      propagate(kernel, at, tree, coming, copies);
    }
  } catch (error) {
    for (const copy of copies) disband(kernel, copy);
    for (const one of alone) setPeers(kernel, one, 0, one.master);
    if (!top.hung) disband(kernel, tree);
    throw error;
  }
  if (top.hung) rehang(top, at.mount, at.dentry);
  else {
    top.parent = at.mount;
    top.at = at.dentry;
    for (const one of tree) hang(kernel, one);
  }
  for (const copy of copies) {
    const place = copy[0]!;
    const covered = hangingAt(place.parent, place.at);
    if (place.parent.ns.owner !== user) lockTree(copy);
    for (const one of copy) hang(kernel, one);
    if (covered) rehang(covered, place, place.root);
  }
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
  const leaves = (one: Mount): boolean => !(one.locks?.fast && !extra.has(one.parent) && !going.has(one.parent)) && one.children.every((child) => child.at === one.root || extra.has(child) || going.has(child));
  for (let settled = false; !settled; ) {
    settled = true;
    for (const one of extra) {
      if (leaves(one)) continue;
      extra.delete(one);
      settled = false;
    }
  }
  for (const one of extra) for (const topper of [...one.children]) if (!extra.has(topper) && !going.has(topper)) rehang(topper, one.parent, one.at);
  return [...extra];
}
