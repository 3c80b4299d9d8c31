/**
 * Whether a namespace lives, and its number. One lives while a task is in it, a descriptor or a bind mount of its file holds it, or
 * (pid, user) one below it lives; when the last of them goes somebody calls `vacate`, and only then is it looked at. Numbers are
 * the lowest that nobody has, as proc_alloc_inum gives them. Source: namespaces(7).
 */
import type { Kernel, Namespaces, PidNamespace, UserNamespace } from './records.ts';
import { takeDown } from './vfs/hanging.ts';
import { forget, settle } from './vfs/latecopy.ts';
import type { NsFile } from './vfs/nsfs.ts';
import { disband } from './vfs/peers.ts';
import type { Mount, MountNamespace } from './vfs/types.ts';

interface Space {
  type: keyof Namespaces;
  ns: { ino: number };
  /** Different sets of namespaces that it is in. */
  users: number;
}

export interface Spaces {
  known: Map<object, Space>;
  byNumber: Map<number, Space>;
  /** Numbers below `top` that may be free, ascending. */
  freed: number[];
  top: number;
  /** Network namespaces that may have lost their last holder: net/links.ts ends them. */
  vacantNets: Set<Namespaces['net']>;
  /** What keeps namespaces alive beside tasks: a token for each open description of their files, and the mounts of them. */
  opened: Set<NsFile>;
  mounted: Set<Mount>;
}

export function createSpaces(top: number): Spaces {
  return { known: new Map(), byNumber: new Map(), freed: [], top, vacantNets: new Set(), opened: new Set(), mounted: new Set() };
}

export function enterNamespace(kernel: Kernel, type: keyof Namespaces, ns: { ino: number }): void {
  const { known, byNumber } = kernel.spaces;
  const space = known.get(ns);
  if (space) {
    space.users++;
    return;
  }
  const made: Space = { type, ns, users: 1 };
  known.set(ns, made);
  byNumber.set(ns.ino, made);
}

export function leaveNamespace(kernel: Kernel, ns: { ino: number }): void {
  const space = kernel.spaces.known.get(ns);
  if (space && --space.users === 0) vacate(kernel, ns);
}

/** How many namespaces of a type that somebody uses belong to a user namespace, the machine's first not counted. */
export function madeFor(kernel: Kernel, owner: UserNamespace, type: string): number {
  let count = 0;
  for (const space of kernel.spaces.known.values()) {
    const ns = space.ns as { ino: number; owner?: UserNamespace; parent?: UserNamespace | null };
    if ((space.type === 'pidForChildren' ? 'pid' : space.type === 'timeForChildren' ? 'time' : space.type) !== type || space.users === 0) continue;
    if (Object.values(kernel.init).includes(ns as never)) continue;
    if ((type === 'user' ? ns.parent : ns.owner) === owner) count++;
  }
  return count;
}

/** Is anybody in it? */
export function inhabited(kernel: Kernel, ns: object): boolean {
  return (kernel.spaces.known.get(ns)?.users ?? 0) > 0;
}

/** Something that may have held a namespace has gone: a task, a descriptor, a mount, a socket, one below it. */
export function vacate(kernel: Kernel, ns: { ino: number }): void {
  const space = kernel.spaces.known.get(ns);
  if (!space || space.users > 0) return;
  if (space.type === 'net') kernel.spaces.vacantNets.add(ns as Namespaces['net']);
  else free(kernel, ns.ino);
  if (space.type === 'mnt' && !lives(kernel, space)) endView(kernel, ns as MountNamespace);
  if (space.type === 'user' || space.type === 'pid' || space.type === 'pidForChildren') {
    const { parent } = ns as PidNamespace | UserNamespace;
    if (parent) vacate(kernel, parent);
  }
}

/** Nobody sees its mounts any more. */
function endView(kernel: Kernel, mnt: MountNamespace): void {
  forget(mnt);
  settle(kernel, mnt);
  const all = mnt.mounts;
  takeDown(all);
  endMounts(kernel, all);
}

/** Mounts that hang no more: they are nobody's peers, and those of namespaces' files hold those no longer. */
export function endMounts(kernel: Kernel, mounts: readonly Mount[]): void {
  disband(kernel, mounts);
  for (const mount of mounts) if (kernel.spaces.mounted.delete(mount)) vacate(kernel, (mount.root.inode.data as NsFile).ns);
}

/** Does an open descriptor, or a bind mount in a namespace that somebody can see, hold it? */
export function heldByFile(kernel: Kernel, ns: object): boolean {
  const { opened, mounted } = kernel.spaces;
  for (const file of opened) if (file.ns === ns) return true;
  for (const mount of mounted) {
    if ((mount.root.inode.data as NsFile).ns !== ns) continue;
    if (inhabited(kernel, mount.ns)) return true;
    for (const file of opened) if (file.ns === mount.ns) return true;
  }
  return false;
}

function lives(kernel: Kernel, { type, ns, users }: Space): boolean {
  if (users > 0 || heldByFile(kernel, ns)) return true;
  if (type !== 'user' && type !== 'pid' && type !== 'pidForChildren') return false;
  if ((ns as PidNamespace).tasks?.size > 0) return true;
  for (const other of kernel.spaces.known.values()) if (other.users > 0 && (other.ns as PidNamespace).parent === ns) return true;
  return false;
}

/** A number is to be given again, if nobody turns out to hold it. */
export function free(kernel: Kernel, ino: number): void {
  const { freed } = kernel.spaces;
  let low = 0;
  for (let high = freed.length; low < high; ) {
    const middle = (low + high) >> 1;
    if (freed[middle]! < ino) low = middle + 1;
    else high = middle;
  }
  if (freed[low] !== ino) freed.splice(low, 0, ino);
}

/** The lowest number that no namespace has. */
export function freshNumber(kernel: Kernel): number {
  const { spaces } = kernel;
  for (;;) {
    const ino = spaces.freed.shift();
    if (ino === undefined) return spaces.top++;
    const space = spaces.byNumber.get(ino);
    if (!space) return ino;
    if (lives(kernel, space)) continue;
    spaces.byNumber.delete(ino);
    spaces.known.delete(space.ns);
    return ino;
  }
}
