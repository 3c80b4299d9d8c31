/**
 * Whether a namespace lives, and its number. One lives while a task is in it, a descriptor or a bind mount of its file holds it, or
 * (pid, user) one below it lives; when the last of them goes somebody calls `vacate`, and only then is it looked at. Numbers are
 * the lowest that nobody has, as proc_alloc_inum gives them. Source: namespaces(7).
 */
import type { Kernel, Namespaces, PidNamespace, UserNamespace } from './records.ts';
import { disband } from './vfs/peers.ts';
import { heldByFile, letGoMounts } from './vfs/nsfs.ts';
import type { MountNamespace } from './vfs/types.ts';

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
}

export function createSpaces(top: number): Spaces {
  return { known: new Map(), byNumber: new Map(), freed: [], top, vacantNets: new Set() };
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
  if (space.type === 'mnt' && !lives(kernel, space)) endMounts(kernel, ns as MountNamespace);
  if (space.type === 'user' || space.type === 'pid' || space.type === 'pidForChildren') {
    const { parent } = ns as PidNamespace | UserNamespace;
    if (parent) vacate(kernel, parent);
  }
}

/** Nobody sees its mounts any more: what they held they hold no longer. */
function endMounts(kernel: Kernel, mnt: MountNamespace): void {
  disband(kernel, mnt.mounts);
  for (const ns of letGoMounts(kernel, mnt.mounts)) vacate(kernel, ns);
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
