/**
 * perf_event_open for tracepoints: a descriptor that counts the hits of one point, by one thread or on one processor, and keeps
 * each as a sample in a ring. The ring is memory that kernel and program share; programs of the modelled Linux have no bytes of
 * memory, so PERF_EVENT_IOC_TAKE hands over what lies in it, as reading up to data_head and moving data_tail does, and the
 * ring's size is an attribute where a program would mmap that many bytes. What finds no room is lost and told of by a record.
 * Source: perf_event_open(2). Left out: counters of hardware and software (ENOENT, as where no PMU is), groups, overwriting.
 */
import {
  O_CLOEXEC, O_RDWR, PERF_EVENT_IOC_DISABLE, PERF_EVENT_IOC_ENABLE, PERF_EVENT_IOC_ID, PERF_EVENT_IOC_SET_OUTPUT, PERF_EVENT_IOC_TAKE, PERF_FLAG_FD_CLOEXEC, PERF_RECORD_LOST, PERF_RECORD_SAMPLE, PERF_SAMPLE, PERF_TYPE_TRACEPOINT,
  type PerfEventAttr, POLLIN, SysError,
} from '../abi.ts';
import { nsCapable } from '../credentials.ts';
import { ByteQueue } from '../queue.ts';
import type { Kernel, Task } from '../records.ts';
import { install, makeFile } from '../vfs/descriptors.ts';
import { createSuperBlock, makeInode } from '../vfs/inode.ts';
import type { File, FileOps, SuperBlock } from '../vfs/types.ts';
import { timeOf, wake } from '../wait.ts';
import { type Hit, type Listener, tracingOf } from './points.ts';

interface Ring {
  id: number;
  queue: ByteQueue;
  /** Bytes it holds at most; a poll is woken at so many. */
  size: number;
  wakeupBytes: number;
  /** Samples without room since the last that had it. */
  lost: number;
}

interface PerfEvent {
  id: number;
  attr: PerfEventAttr;
  /** Thread it watches; null: any. */
  task: Task | null;
  /** Processor; -1: any. */
  cpu: number;
  /** ns: of `inherit`, threads and children that began later count too. */
  openedAt: number;
  on: boolean;
  count: number;
  /** Its own, or that of the event whose output it shares. */
  ring: Ring;
  listener: Listener;
}

const eventIn = (file: File): PerfEvent => file.data as PerfEvent;
const channelOf = (ring: Ring): string => `perf:${ring.id}`;
const RING_MAX = 16 * 2 ** 20;

export function perfEventOpen(kernel: Kernel, task: Task, attr: PerfEventAttr, pid: number, cpu: number, groupFd: number, flags: number): number {
  if (attr.type !== PERF_TYPE_TRACEPOINT || groupFd !== -1) throw new SysError('ENOENT');
  if (!tracingOf(kernel).points.some(({ id }) => id === attr.config)) throw new SysError('ENOENT');
  if (pid === -1 && cpu === -1) throw new SysError('EINVAL');
  if (cpu < -1 || cpu >= kernel.cpus) throw new SysError('EINVAL');
  if (!nsCapable(task, kernel.init.user, 'sys_admin') && !nsCapable(task, kernel.init.user, 'perfmon')) throw new SysError('EACCES');
  const watched = pid === -1 ? null : pid === 0 ? task : (kernel.tasks.get(pid) ?? null);
  if (pid > 0 && !watched) throw new SysError('ESRCH');
  if (!(attr.ringBytes >= 0 && attr.ringBytes <= RING_MAX)) throw new SysError('ENOMEM');
  const id = tracingOf(kernel).nextEvent++;
  const event: PerfEvent = {
    id, attr, task: watched, cpu, openedAt: timeOf(kernel), on: !attr.disabled, count: 0, ring: { id, queue: new ByteQueue(), size: attr.ringBytes, wakeupBytes: attr.wakeupBytes, lost: 0 },
    listener: { point: attr.config, take: (k, hit, raw) => takeHit(k, event, hit, raw) },
  };
  tracingOf(kernel).listeners.push(event.listener);
  return install(task, makeFile(null, makeInode(kernel, anonymous(kernel), 'file', 0o600, null), perfOps, O_RDWR | O_CLOEXEC, event), (flags & PERF_FLAG_FD_CLOEXEC) !== 0);
}

function anonymous(kernel: Kernel): SuperBlock {
  let sb = kernel.drivers.get('perf_inodefs') as SuperBlock | undefined;
  if (!sb) {
    sb = createSuperBlock(kernel, 'anon_inodefs', 'anon_inodefs', { lookup: () => null, readdir: () => [], open: () => ({ ops: {}, data: null }) });
    kernel.drivers.set('perf_inodefs', sb);
  }
  return sb;
}

function watches(event: PerfEvent, watched: Task, task: Task): boolean {
  for (let one: Task | null = task; one; one = one.parent) {
    if (one === watched || (one.tgid === watched.tgid && one !== task)) return true;
    if (!event.attr.inherit || one.times.startedAt < event.openedAt) return false;
    if (one.tgid === watched.tgid) return true;
  }
  return false;
}

function takeHit(kernel: Kernel, event: PerfEvent, hit: Hit, raw: Uint8Array): void {
  if (!event.on || (event.task && !watches(event, event.task, hit.task)) || (event.cpu >= 0 && event.cpu !== hit.cpu)) return;
  event.count++;
  const { ring } = event;
  if (ring.size === 0) return;
  const sample = sampleOf(event, hit, raw);
  const lost = ring.lost > 0 ? lostOf(event) : null;
  if (ring.queue.length + sample.length + (lost?.length ?? 0) > ring.size) {
    ring.lost++;
    return;
  }
  if (lost) ring.queue.put(lost);
  ring.lost = 0;
  ring.queue.put(sample);
  if (ring.queue.length >= ring.wakeupBytes) wake(kernel, channelOf(ring));
}

/** The fields that `sampleType` asks for, in the order of the manual page. */
function sampleOf({ attr, id }: PerfEvent, { task, time, cpu, values }: Hit, raw: Uint8Array): Uint8Array {
  const words: bigint[] = [];
  const pair = (low: number, high: number): bigint => BigInt(low >>> 0) | (BigInt(high >>> 0) << 32n);
  if (attr.sampleType & PERF_SAMPLE.IDENTIFIER) words.push(BigInt(id));
  if (attr.sampleType & PERF_SAMPLE.IP) words.push(BigInt(values.ip ?? 0));
  if (attr.sampleType & PERF_SAMPLE.TID) words.push(pair(task.tgid, task.pid));
  if (attr.sampleType & PERF_SAMPLE.TIME) words.push(BigInt(Math.round(time)));
  if (attr.sampleType & PERF_SAMPLE.CPU) words.push(pair(cpu, 0));
  if (attr.sampleType & PERF_SAMPLE.PERIOD) words.push(1n);
  const rawSize = attr.sampleType & PERF_SAMPLE.RAW ? Math.ceil((raw.length + 4) / 8) * 8 : 0;
  const out = new DataView(new ArrayBuffer(8 + 8 * words.length + rawSize));
  header(out, PERF_RECORD_SAMPLE);
  words.forEach((word, n) => out.setBigUint64(8 + 8 * n, word, true));
  if (rawSize > 0) {
    out.setUint32(8 + 8 * words.length, rawSize - 4, true);
    new Uint8Array(out.buffer).set(raw, 12 + 8 * words.length);
  }
  return new Uint8Array(out.buffer);
}

function lostOf({ id, ring: { lost } }: PerfEvent): Uint8Array {
  const out = new DataView(new ArrayBuffer(24));
  header(out, PERF_RECORD_LOST);
  out.setBigUint64(8, BigInt(id), true);
  out.setBigUint64(16, BigInt(lost), true);
  return new Uint8Array(out.buffer);
}

const KERNEL_MODE = 1;

function header(out: DataView, type: number): void {
  out.setUint32(0, type, true);
  out.setUint16(4, type === PERF_RECORD_SAMPLE ? KERNEL_MODE : 0, true);
  out.setUint16(6, out.byteLength, true);
}

const perfOps: FileOps = {
  read(_kernel, _task, file, count) {
    if (count < 8) throw new SysError('ENOSPC');
    const out = new DataView(new ArrayBuffer(8));
    out.setBigUint64(0, BigInt(eventIn(file).count), true);
    return new Uint8Array(out.buffer);
  },
  ioctl(_kernel, task, file, request, arg) {
    const event = eventIn(file);
    switch (request) {
      case PERF_EVENT_IOC_ENABLE: event.on = true; return 0;
      case PERF_EVENT_IOC_DISABLE: event.on = false; return 0;
      case PERF_EVENT_IOC_ID: return event.id;
      case PERF_EVENT_IOC_SET_OUTPUT: {
        const other = task.files.slots[Number(arg)]?.file;
        if (other?.ops !== perfOps || eventIn(other).cpu !== event.cpu) throw new SysError(other ? 'EINVAL' : 'EBADF');
        event.ring = eventIn(other).ring;
        return 0;
      }
      case PERF_EVENT_IOC_TAKE: return event.ring.queue.take(event.ring.queue.length);
      default: throw new SysError('ENOTTY');
    }
  },
  poll: (_kernel, file) => (eventIn(file).ring.queue.length >= Math.max(1, eventIn(file).ring.wakeupBytes) ? POLLIN : 0),
  channels: (file) => [channelOf(eventIn(file).ring)],
  release(kernel, file) {
    const { listeners } = tracingOf(kernel);
    listeners.splice(listeners.indexOf(eventIn(file).listener), 1);
  },
};
