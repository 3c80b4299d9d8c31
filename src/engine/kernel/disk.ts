/**
 * The modelled disk, 254:0, as what its users wait for: a request takes a fixed time and a time for its bytes, one after
 * another; io.max of a group and those above puts requests further apart. Reads of what is not in the page cache and direct
 * I/O wait at once, buffered writes when they are synced. The picture: every reader and writer is told until when to sleep.
 * Source: kernel doc cgroup-v2 (io), block/blk-throttle.c; costs are ours, of a fast virtio disk.
 * Left out: writeback on its own after a time, merging and reordering, priorities.
 */
import { PAGE, SECOND } from '../sim/units.ts';
import { chargeFile } from './cgroup/cache.ts';
import { cachedPages, holesOf } from './cgroup/charge.ts';
import { countIo, DISK } from './cgroup/io.ts';
import { stall } from './cgroup/psi.ts';
import type { Cgroup } from './cgroup/types.ts';
import type { Kernel, Task } from './records.ts';
import type { Inode } from './vfs/types.ts';
import { timeOf } from './wait.ts';

/** ns a request, and a byte. */
const REQUEST = 60_000;
const BYTE = 1;
/** Largest request of buffered writing, and of reading ahead, in bytes. */
const WRITE_REQUEST = 512 * 1024;
const READ_AHEAD = 128 * 1024;

interface Disk {
  freeAt: number;
  /** Bytes written and not synced, by file. */
  dirty: Map<Inode, number>;
}

function diskOf(kernel: Kernel): Disk {
  let disk = kernel.drivers.get('disk') as Disk | undefined;
  if (!disk) {
    disk = { freeAt: 0, dirty: new Map() };
    kernel.drivers.set('disk', disk);
  }
  return disk;
}

const onDisk = (inode: Inode): boolean => inode.sb.type === 'ext4';

/** When io.max lets a request begin; every group above gives its leave. */
function leave(cgroup: Cgroup, kind: 'read' | 'write', bytes: number, now: number): number {
  let start = now;
  for (let at: Cgroup | null = cgroup; at; at = at.parent) {
    const limits = at.io.max.get(DISK);
    if (!limits) continue;
    for (const [key, amount] of [[kind === 'read' ? 'rbps' : 'wbps', bytes], [kind === 'read' ? 'riops' : 'wiops', 1]] as const) {
      const limit = limits[key];
      if (limit === null) continue;
      const next = Math.max(at.io.next.get(key) ?? 0, now) + (amount / limit) * SECOND;
      at.io.next.set(key, next);
      start = Math.max(start, next);
    }
  }
  return start;
}

/** Moves bytes in requests of at most `size`; the task is held back until they are there. */
function transfer(kernel: Kernel, task: Task, kind: 'read' | 'write', bytes: number, size: number): void {
  const disk = diskOf(kernel);
  const now = timeOf(kernel);
  let done = now;
  for (let left = bytes; left > 0; left -= size) {
    const part = Math.min(left, size);
    const start = Math.max(leave(task.cgroup, kind, part, now), disk.freeAt);
    disk.freeAt = start + REQUEST + part * BYTE;
    done = disk.freeAt;
    countIo(task.cgroup, kind, part);
  }
  stall(kernel, task.cgroup, 'io', done - now, 'some');
  task.heldBack = Math.max(task.heldBack, done - now);
}

/** A read up to `end`: what the page cache lacks comes from the disk. */
export function readThrough(kernel: Kernel, task: Task, inode: Inode, end: number): void {
  if (!onDisk(inode)) return;
  const missing = Math.ceil(Math.min(end, inode.size) / PAGE) - holesOf(inode) - cachedPages(inode);
  if (missing <= 0) return;
  chargeFile(kernel, task, inode, Math.min(end, inode.size));
  transfer(kernel, task, 'read', missing * PAGE, READ_AHEAD);
}

export function dirtied(kernel: Kernel, inode: Inode, bytes: number): void {
  if (!onDisk(inode)) return;
  const { dirty } = diskOf(kernel);
  dirty.set(inode, Math.min((dirty.get(inode) ?? 0) + bytes, Math.ceil(inode.size / PAGE) * PAGE));
}

/** The file is gone: nobody has to write what it held. */
export function undirty(kernel: Kernel, inode: Inode): void {
  diskOf(kernel).dirty.delete(inode);
}

/** fsync. */
export function writeBack(kernel: Kernel, task: Task, inode: Inode): void {
  const { dirty } = diskOf(kernel);
  const bytes = dirty.get(inode) ?? 0;
  dirty.delete(inode);
  if (bytes > 0) transfer(kernel, task, 'write', Math.ceil(bytes / PAGE) * PAGE, WRITE_REQUEST);
}

/** sync: everything. */
export function writeBackAll(kernel: Kernel, task: Task): void {
  for (const inode of [...diskOf(kernel).dirty.keys()]) writeBack(kernel, task, inode);
}

/** O_DIRECT: past the page cache, one request a call. */
export function direct(kernel: Kernel, task: Task, kind: 'read' | 'write', bytes: number): void {
  if (bytes > 0) transfer(kernel, task, kind, bytes, bytes);
}
