/**
 * Charging pages: a page belongs to the cgroup of whoever touched it first and counts there and in every ancestor.
 * `tryCharge` walks to the root and returns the group whose memory.max refuses, or null when all took it; what to do
 * about a refusal (reclaim, OOM) is memory.ts's. Source: kernel doc cgroup-v2 (memory).
 */
import { record } from '../../sim/trace.ts';
import { PAGE } from '../../sim/units.ts';
import { SysError } from '../abi.ts';
import { reclaimOrKill } from '../oom.ts';
import type { Kernel, Task } from '../records.ts';
import type { Inode } from '../vfs/types.ts';
import type { Cgroup, MemoryState } from './types.ts';

export type Kind = 'anon' | 'file' | 'shmem' | 'kernel';

export function usage(memory: MemoryState): number {
  return memory.anon + memory.file + memory.shmem + memory.kernel;
}

export function cgroupPath(cgroup: Cgroup): string {
  let path = '';
  for (let at = cgroup; at.parent; at = at.parent) path = `/${at.name}${path}`;
  return path === '' ? '/' : path;
}

/** Room in pages below the tightest memory.max on the way up; Infinity without limits. */
export function headroom(cgroup: Cgroup): number {
  let room = Number.POSITIVE_INFINITY;
  for (let at: Cgroup | null = cgroup; at; at = at.parent) {
    if (at.memory.max !== null) room = Math.min(room, Math.floor(at.memory.max / PAGE) - usage(at.memory));
  }
  return room;
}

/** Charges `pages` to a cgroup and its ancestors, or returns the lowest one whose limit refuses and charges nothing. */
export function tryCharge(kernel: Kernel, cgroup: Cgroup, kind: Kind, pages: number): Cgroup | null {
  for (let at: Cgroup | null = cgroup; at; at = at.parent) {
    const { memory } = at;
    if (memory.max !== null && (usage(memory) + pages) * PAGE > memory.max) return at;
  }
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

/** Leaves a record whenever a group's usage has moved enough to be seen in a picture. */
function sample(kernel: Kernel, cgroup: Cgroup, used: number): void {
  const { memory } = cgroup;
  const enough = Math.max(64, memory.max === null ? 256 : memory.max / PAGE / 64);
  if (Math.abs(used - memory.sampled) < enough) return;
  memory.sampled = used;
  record(kernel.trace, 'kernel', kernel.name, 'memory.sample', { cgroup: cgroupPath(cgroup), current: used * PAGE, max: memory.max });
}

/** Makes the page cache of a file as large as `size` needs, charged to the group that grew it first. */
export function chargeFile(kernel: Kernel, task: Task, inode: Inode, size: number): void {
  const pages = Math.ceil(size / PAGE);
  const held = inode.charged;
  const have = held?.pages ?? 0;
  if (pages <= have) return;
  const cgroup = (held?.cgroup as Cgroup | undefined) ?? task.cgroup;
  const kind: Kind = inode.sb.type === 'tmpfs' ? 'shmem' : 'file';
  if (!reclaimOrKill(kernel, task, cgroup, kind, pages - have)) throw new SysError('ENOMEM');
  inode.charged = { cgroup, pages };
}

/** Gives back the pages past `size` (all, at 0). */
export function unchargeFile(kernel: Kernel, inode: Inode, size = 0): void {
  const held = inode.charged;
  if (!held) return;
  const keep = Math.min(held.pages, Math.ceil(size / PAGE));
  uncharge(kernel, held.cgroup as Cgroup, inode.sb.type === 'tmpfs' ? 'shmem' : 'file', held.pages - keep);
  held.pages = keep;
  if (keep === 0) inode.charged = null;
}
