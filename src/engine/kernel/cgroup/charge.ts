/**
 * Charging pages: a page belongs to the cgroup of whoever touched it first and counts there and in every ancestor.
 * `tryCharge` walks to the root and returns the group whose memory.max refuses, or null when all took it; what to do
 * about a refusal (reclaim, OOM) is memory.ts's. Source: kernel doc cgroup-v2 (memory).
 */
import { record } from '../../sim/trace.ts';
import { PAGE } from '../../sim/units.ts';
import type { Kernel } from '../records.ts';
import type { Inode } from '../vfs/types.ts';
import type { Cgroup, MemoryEvents, MemoryState } from './types.ts';

export type Kind = 'anon' | 'file' | 'shmem' | 'kernel';

export function usage(memory: MemoryState): number {
  return memory.anon + memory.file + memory.shmem + memory.kernel;
}

export function cgroupPath(cgroup: Cgroup): string {
  let path = '';
  for (let at = cgroup; at.parent; at = at.parent) path = `/${at.name}${path}`;
  return path === '' ? '/' : path;
}

/** Path of a group as seen from another: "/../sibling" outside of it. */
export function pathFrom(root: Cgroup, cgroup: Cgroup): string {
  const base = cgroupPath(root);
  const path = cgroupPath(cgroup);
  if (base === '/') return path;
  if (path === base) return '/';
  if (path.startsWith(`${base}/`)) return path.slice(base.length);
  const a = base.split('/').slice(1);
  const b = path === '/' ? [] : path.split('/').slice(1);
  let common = 0;
  while (common < a.length && common < b.length && a[common] === b[common]) common++;
  return `/${[...Array.from({ length: a.length - common }, () => '..'), ...b.slice(common)].join('/')}`;
}

/** The group whose memory files hold for a group: its own, or the nearest above that has the controller. */
export function memoryGroup(cgroup: Cgroup): Cgroup {
  let at = cgroup;
  while (at.parent && (at.threaded || !at.parent.subtree.has('memory'))) at = at.parent;
  return at;
}

/** Room in pages below the tightest memory.max on the way up; Infinity without limits. */
export function headroom(cgroup: Cgroup): number {
  let room = Number.POSITIVE_INFINITY;
  for (let at: Cgroup | null = cgroup; at; at = at.parent) {
    if (at.memory.max !== null) room = Math.min(room, Math.floor(at.memory.max / PAGE) - usage(at.memory));
  }
  return room;
}

/**
 * Charges `pages` to a cgroup and its ancestors, or returns the lowest one whose limit refuses and charges nothing;
 * the root when the machine itself has no frame left.
 */
export function tryCharge(kernel: Kernel, cgroup: Cgroup, kind: Kind, pages: number): Cgroup | null {
  for (let at: Cgroup | null = cgroup; at; at = at.parent) {
    const { memory } = at;
    if (memory.max !== null && (usage(memory) + pages) * PAGE > memory.max) return at;
  }
  const { frames } = kernel;
  if (pages > 0 && frames.anon + frames.file + frames.kernel + pages > frames.total) return kernel.cgroups.root;
  add(kernel, cgroup, kind, pages);
  return null;
}

export function uncharge(kernel: Kernel, cgroup: Cgroup, kind: Kind, pages: number): void {
  add(kernel, cgroup, kind, -pages);
}

function add(kernel: Kernel, cgroup: Cgroup, kind: Kind, pages: number): void {
  if (pages === 0) return;
  kernel.frames[kind === 'shmem' ? 'file' : kind] += pages;
  for (let at: Cgroup | null = cgroup; at; at = at.parent) {
    const { memory } = at;
    memory[kind] += pages;
    const used = usage(memory);
    if (used > memory.peak) memory.peak = used;
    if (at.parent) sample(kernel, at, used);
  }
}

/** Counts an event where it happened and in every group above (the root keeps no such file). */
export function countEvent(cgroup: Cgroup, event: keyof MemoryEvents, times = 1): void {
  const own = memoryGroup(cgroup);
  own.memory.eventsLocal[event] += times;
  for (let at: Cgroup | null = own; at?.parent; at = at.parent) at.memory.events[event] += times;
}

/** Leaves a record whenever a group's usage has moved enough to be seen in a picture. */
function sample(kernel: Kernel, cgroup: Cgroup, used: number): void {
  const { memory } = cgroup;
  const enough = Math.max(64, memory.max === null ? 256 : memory.max / PAGE / 64);
  if (Math.abs(used - memory.sampled) < enough) return;
  memory.sampled = used;
  record(kernel.trace, 'kernel', kernel.name, 'memory.sample', { cgroup: cgroupPath(cgroup), current: used * PAGE, max: memory.max });
}

export function fileKind(inode: Inode): Kind {
  return inode.sb.type === 'tmpfs' ? 'shmem' : 'file';
}

/** Cached pages of a file, whoever pays for them. */
export function cachedPages(inode: Inode): number {
  let pages = 0;
  for (const n of inode.charged?.values() ?? []) pages += n;
  return pages;
}

/** Pages of a file that were never written: a hole is not in memory. */
export function holesOf(inode: Inode): number {
  return (inode.data as { holes?: number } | null)?.holes ?? 0;
}

/** Gives back the pages past `size` (all, at 0). */
export function unchargeFile(kernel: Kernel, inode: Inode, size = 0): void {
  let excess = cachedPages(inode) - Math.ceil(size / PAGE);
  for (const cgroup of [...(inode.charged?.keys() ?? [])].reverse()) {
    if (excess <= 0) return;
    excess -= dropPages(kernel, inode, cgroup, excess);
  }
}

/** Takes up to `pages` cached pages of a file away from the group that pays for them; says how many. */
export function dropPages(kernel: Kernel, inode: Inode, cgroup: Cgroup, pages: number): number {
  const have = inode.charged?.get(cgroup) ?? 0;
  const gone = Math.min(have, pages);
  uncharge(kernel, cgroup, fileKind(inode), gone);
  if (gone < have) inode.charged!.set(cgroup, have - gone);
  else {
    inode.charged?.delete(cgroup);
    cgroup.memory.cache.delete(inode);
    cgroup.memory.shared.delete(inode);
  }
  return gone;
}
