/**
 * The modelled disk, 254:0, as what its users wait for: a request takes a fixed time and a time for its bytes, one at a
 * time; io.max of a group and those above puts requests further apart, and so does io.weight while io.cost.qos is enabled.
 * A request held back leaves the disk to others: what is promised is a list of intervals, and a request takes the first
 * gap after its leave. Reads of what is not in the page cache and direct I/O wait at once, buffered writes when they are
 * synced; what nobody synced the flusher writes after half a minute, or sooner when a tenth of memory is dirty. The picture:
 * every reader and writer is told until when to sleep.
 * Source: kernel doc cgroup-v2 (io), block/blk-throttle.c; costs are ours, of a fast virtio disk.
 * Left out: holding writers back by the share of dirty memory, merging and reordering, priorities.
 */
import { PAGE, SECOND } from '../sim/units.ts';
import { chargeFile } from './cgroup/cache.ts';
import { cachedPages, holesOf } from './cgroup/charge.ts';
import { countIo, DISK } from './cgroup/io.ts';
import { allowance } from './cgroup/iocost.ts';
import { stall } from './cgroup/psi.ts';
import type { Cgroup } from './cgroup/types.ts';
import type { Kernel, Task } from './records.ts';
import type { Inode } from './vfs/types.ts';
import { FLUSHER, kthreadNamed, wakeKthread } from './kworkers.ts';
import { sleepUntil, timeOf } from './wait.ts';

/** ns a request, and a byte. */
export const REQUEST = 60_000;
export const BYTE = 1;
/** Largest request of buffered writing, and of reading ahead, in bytes. */
const WRITE_REQUEST = 512 * 1024;
const READ_AHEAD = 128 * 1024;
/** dirty_writeback_centisecs, dirty_expire_centisecs, dirty_background_ratio; ns of processor time to write a page out. */
const LOOK = 5 * SECOND;
const EXPIRE = 30 * SECOND;
const BACKGROUND = 0.1;
const FLUSH_PAGE = 300;

interface Disk {
  /** When it will be at work: [begin, end) in ns, in order, never touching. */
  busy: [number, number][];
  /** Since boot, for /proc/diskstats: requests, bytes, and ns from request to answer, by kind; ns at work. */
  read: Served;
  write: Served;
  worked: number;
  /** Bytes written and not synced, by file, and since when, ns: oldest first. Their sum. */
  dirty: Map<Inode, { bytes: number; since: number }>;
  unwritten: number;
}

interface Served { requests: number; bytes: number; waited: number }
const nothing = (): Served => ({ requests: 0, bytes: 0, waited: 0 });

function diskOf(kernel: Kernel): Disk {
  let disk = kernel.drivers.get('disk') as Disk | undefined;
  if (!disk) {
    disk = { busy: [], read: nothing(), write: nothing(), worked: 0, dirty: new Map(), unwritten: 0 };
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

/** Takes the disk for `length` ns at the first gap from `start` on; returns the end. */
function reserve(disk: Disk, start: number, length: number, now: number): number {
  const { busy } = disk;
  while (busy[0] && busy[0][1] <= now) busy.shift();
  let at = 0;
  let begin = start;
  while (at < busy.length && busy[at]![0] < begin + length) {
    begin = Math.max(begin, busy[at]![1]);
    at++;
  }
  const end = begin + length;
  const before = busy[at - 1];
  const after = busy[at];
  const joins = after !== undefined && after[0] === end;
  if (before && before[1] === begin) {
    before[1] = joins ? after[1] : end;
    if (joins) busy.splice(at, 1);
  } else if (joins) after[0] = begin;
  else busy.splice(at, 0, [begin, end]);
  return end;
}

/** Moves bytes in requests of at most `size`; the task is held back until they are there. */
function transfer(kernel: Kernel, task: Task, kind: 'read' | 'write', bytes: number, size: number, cgroup = task.cgroup): void {
  const disk = diskOf(kernel);
  const now = timeOf(kernel);
  let done = now;
  for (let left = bytes; left > 0; left -= size) {
    const part = Math.min(left, size);
    const cost = REQUEST + part * BYTE;
    const start = Math.max(leave(cgroup, kind, part, now), allowance(kernel, cgroup, cost, now));
    done = Math.max(done, reserve(disk, start, cost, now));
    disk.worked += cost;
    const served = disk[kind];
    served.requests++;
    served.bytes += part;
    served.waited += done - now;
    countIo(cgroup, kind, part);
  }
  if (!task.kthread) stall(kernel, cgroup, 'io', done - now, 'some');
  task.heldBack = Math.max(task.heldBack, done - now);
}

/** A read up to `end`: what the page cache lacks comes from the disk. */
export function readThrough(kernel: Kernel, task: Task, inode: Inode, end: number): void {
  if (!onDisk(inode)) return;
  const missing = Math.ceil(Math.min(end, inode.size) / PAGE) - holesOf(inode) - cachedPages(inode);
  if (missing <= 0) return;
  chargeFile(kernel, task, inode, Math.min(end, inode.size));
  task.io.read += missing * PAGE;
  transfer(kernel, task, 'read', missing * PAGE, READ_AHEAD);
}

export function dirtied(kernel: Kernel, inode: Inode, bytes: number): void {
  if (!onDisk(inode)) return;
  const disk = diskOf(kernel);
  const had = disk.dirty.get(inode) ?? { bytes: 0, since: timeOf(kernel) };
  const now = Math.min(had.bytes + bytes, Math.ceil(inode.size / PAGE) * PAGE);
  disk.unwritten += now - had.bytes;
  disk.dirty.set(inode, { bytes: now, since: had.since });
  const flusher = kthreadNamed(kernel, FLUSHER);
  if (!flusher) return;
  if (dirtyBytes(kernel) > kernel.frames.total * PAGE * BACKGROUND) wakeKthread(kernel, FLUSHER);
  else if (!flusher.wakeAt && flusher.state === 'sleeping') sleepUntil(kernel, flusher, timeOf(kernel) + LOOK);
}

/** The file is written, or gone: nobody has to write what it held. Gives how many bytes that was. */
export function undirty(kernel: Kernel, inode: Inode): number {
  const disk = diskOf(kernel);
  const bytes = disk.dirty.get(inode)?.bytes ?? 0;
  disk.dirty.delete(inode);
  disk.unwritten -= bytes;
  return bytes;
}

/** fsync. */
export function writeBack(kernel: Kernel, task: Task, inode: Inode): void {
  const bytes = undirty(kernel, inode);
  if (bytes > 0) transfer(kernel, task, 'write', Math.ceil(bytes / PAGE) * PAGE, WRITE_REQUEST);
}

/** sync: everything. */
export function writeBackAll(kernel: Kernel, task: Task): void {
  for (const inode of [...diskOf(kernel).dirty.keys()]) writeBack(kernel, task, inode);
}

/** Bytes written and not on the disk. */
export function dirtyBytes(kernel: Kernel): number {
  return diskOf(kernel).unwritten;
}

/** Whose limits hold for writing a file out: the group that pays for most of its pages. */
function payer(kernel: Kernel, inode: Inode): Cgroup {
  let most = 0;
  let found = kernel.cgroups.root;
  for (const [cgroup, pages] of inode.charged ?? []) {
    if (pages <= most) continue;
    most = pages;
    found = cgroup;
  }
  return found;
}

/** The flusher's round: one file that has been dirty long enough, or any while too much is. Null when it may sleep on. */
export function flush(kernel: Kernel, task: Task): number | null {
  const { dirty } = diskOf(kernel);
  const much = dirtyBytes(kernel) > kernel.frames.total * PAGE * BACKGROUND;
  for (const [inode, { bytes, since }] of dirty) {
    if (!much && timeOf(kernel) - since < EXPIRE) break;
    undirty(kernel, inode);
    transfer(kernel, task, 'write', Math.ceil(bytes / PAGE) * PAGE, WRITE_REQUEST, payer(kernel, inode));
    return Math.ceil(bytes / PAGE) * FLUSH_PAGE;
  }
  if (dirty.size > 0) sleepUntil(kernel, task, timeOf(kernel) + LOOK);
  return null;
}

/** O_DIRECT: past the page cache, one request a call. */
export function direct(kernel: Kernel, task: Task, kind: 'read' | 'write', bytes: number): void {
  if (bytes > 0) transfer(kernel, task, kind, bytes, bytes);
}

/** /proc/diskstats, fields as in Documentation/admin-guide/iostats: the disk and its one partition. */
export function diskStatsText(kernel: Kernel): string {
  const { read, write, worked } = diskOf(kernel);
  const ms = (ns: number): number => Math.floor(ns / 1e6);
  const of = (one: Served): string => `${one.requests} 0 ${one.bytes / 512} ${ms(one.waited)}`;
  const both = `${of(read)} ${of(write)} 0 ${ms(worked)} ${ms(read.waited + write.waited)} 0 0 0 0 0 0`;
  return ` 254       0 vda ${both}\n 254       1 vda1 ${both}\n`;
}
