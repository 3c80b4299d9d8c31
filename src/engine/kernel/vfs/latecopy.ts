/**
 * Copies of mount namespaces of which only the mounts exist that somebody came upon: who makes a container copies the machine's
 * mounts, makes all of them private, and takes them down again without looking at more than a few. Nothing shows that: the copies
 * have the numbers of a whole copy, and before anything changes among the originals, or the copy is listed, the rest is made.
 */
import type { Kernel } from '../records.ts';
import { hang, makeMount, treeOf, within } from './hanging.ts';
import { enrol, enslave } from './peers.ts';
import type { Dentry, LateCopy, Mount, MountNamespace, Path } from './types.ts';

/** A namespace about to be filled from another, whole, one that has no mounts of mount namespaces' files in it. */
export function beginLate(kernel: Kernel, ns: MountNamespace, from: MountNamespace): void {
  const late: LateCopy = { kernel, from, firstId: kernel.mounts.nextId, firstJoined: kernel.mounts.nextJoined, enslaved: null, kin: 'peer', made: new Map(), originals: new Map(), childAt: (parent, at) => childAt(ns, late, parent, at) };
  kernel.mounts.nextId += from.mounts.length;
  kernel.mounts.nextJoined += from.mounts.length;
  ns.late = late;
  kernel.mounts.late.add(ns);
  ns.root = copyOf(ns, late, from.root);
}

/** The copy of one mount; its parents come with it. */
function copyOf(ns: MountNamespace, late: LateCopy, old: Mount): Mount {
  const known = late.made.get(old);
  if (known) return known;
  const { kin, kernel } = late;
  const copy = makeMount(late.firstId + late.from.mounts.indexOf(old), ns, old.sb, old.root, old.source, old.flags);
  late.made.set(old, copy);
  late.originals.set(copy, old);
  copy.at = old.at;
  if (old.parent !== old) copy.parent = copyOf(ns, late, old.parent);
  copy.locks = old.locks;
  copy.unbindable = kin !== 'private' && old.unbindable;
  copy.shared = kin === 'peer' ? old.shared : 0;
  copy.master = kin === 'private' ? 0 : kin === 'slave' && old.shared !== 0 ? old.shared : old.master;
  enrol(kernel, copy, joinedAt(late, old));
  hang(kernel, copy);
  return copy;
}

function joinedAt(late: LateCopy, old: Mount): number {
  const { enslaved } = late;
  return enslaved && old.shared !== 0 ? enslaved.firstJoined + enslaved.tree.indexOf(old) : late.firstJoined + late.from.mounts.indexOf(old);
}

/** Copies of what hangs at a place in the original, for a walk that comes by. */
function childAt(ns: MountNamespace, late: LateCopy, parent: Mount, at: Dentry): void {
  const original = late.originals.get(parent);
  if (!original || !at.hung) return;
  for (const one of at.hung.filter((mount) => mount.parent === original && mount !== original)) copyOf(ns, late, one);
}

/** A mount's counterpart in a namespace just copied. */
export function counterpart(ns: MountNamespace, old: Mount): Mount | null {
  const { late } = ns;
  return late && old.ns === late.from && old.hung ? copyOf(ns, late, old) : null;
}

/** What hangs in a copy, as it does in the original; what was hung up since comes last. */
function order(late: LateCopy, copy: Mount): void {
  const { children } = late.originals.get(copy)!;
  const copied = new Set(children.flatMap((one) => late.made.get(one) ?? []).filter((one) => one.parent === copy));
  copy.children = [...copied, ...copy.children.filter((one) => !copied.has(one))];
}

/** Makes all that is left to be copied, each in its place in the order. */
export function complete(ns: MountNamespace): void {
  const { late } = ns;
  if (!late) return;
  const copies = late.from.mounts.map((one) => copyOf(ns, late, one));
  const own = ns.mounts.filter((one) => !late.originals.has(one));
  for (const copy of copies) order(late, copy);
  ns.mounts = [...copies, ...own];
  forget(ns);
}

/** Makes what hangs below a place. */
export function completeBelow({ mount, dentry }: Path): void {
  const { ns } = mount;
  const original = ns.late?.originals.get(mount);
  if (!original) return completeTree(mount);
  const below = dentry.inode.kind === 'dir' ? original.children.filter((one) => within(one.at, dentry)) : (dentry.hung ?? []).filter((one) => one.parent === original && one !== original);
  for (const one of below) {
    const copy = copyOf(ns, ns.late!, one);
    completeBelow({ mount: copy, dentry: copy.root });
  }
  order(ns.late!, mount);
}

/** What was not copied never will be: it is going to be taken down. */
export function forget(ns: MountNamespace): void {
  ns.late?.kernel.mounts.late.delete(ns);
  ns.late = null;
}

/** Something is about to change in one namespace: those that are not wholly copied yet shall not see it before. */
export function settle(kernel: Kernel, changing: MountNamespace): void {
  for (const ns of [...kernel.mounts.late]) if (ns !== changing || ns.late!.kin === 'peer') complete(ns);
}

/** A whole tree is about to be looked at: there may be more below a copy in it. */
export function completeTree(top: Mount): void {
  const { late } = top.ns;
  if (late && treeOf(top).some((one) => late.originals.has(one))) complete(top.ns);
}

/** All mounts become private, or slaves, at once, those still to come with them. False: that cannot be said of all. */
export function turnAll(ns: MountNamespace, kin: 'slave' | 'private'): boolean {
  const { late } = ns;
  if (!late) return false;
  if (late.kin === 'private' || late.kin === kin) return true;
  if (kin === 'slave') {
    // Who hears in which order: the tree's, and mounts made since would stand between the copies.
    if (ns.mounts.length > late.made.size) return false;
    const { mounts } = late.kernel;
    late.enslaved = { tree: treeOf(late.from.root), firstJoined: mounts.nextJoined };
    mounts.nextJoined += late.from.mounts.length;
    for (const [old, copy] of late.made) {
      if (copy.shared === 0) continue;
      enslave(late.kernel, copy);
      copy.joined = late.enslaved.firstJoined + late.enslaved.tree.indexOf(old);
    }
  }
  late.kin = kin;
  return true;
}

/** How many there are, or would be. */
export const countMounts = ({ mounts, late }: MountNamespace): number => (late ? late.from.mounts.length + mounts.length - late.made.size : mounts.length);

/** To look at only: mounts that are still to be copied stand for their copies. */
export function mountsSeen(ns: MountNamespace): readonly Mount[] {
  const { late } = ns;
  if (!late) return ns.mounts;
  return [...late.from.mounts.map((one) => late.made.get(one) ?? one), ...ns.mounts.filter((one) => !late.originals.has(one))];
}
