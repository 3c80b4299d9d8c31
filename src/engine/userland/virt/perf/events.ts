/** Tracepoints for perf: where tracefs is (mounted when it is not), their formats, and descriptors on them for a target. */
import {
  PERF_EVENT_IOC_ENABLE, PERF_EVENT_IOC_ID, PERF_EVENT_IOC_SET_OUTPUT, PERF_EVENT_IOC_TAKE, PERF_FLAG_FD_CLOEXEC, PERF_SAMPLE, PERF_TYPE_TRACEPOINT, type PerfEventAttr, SysError,
} from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { attempt, exists, list, tryRead } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { Failed, strerror } from '../../lib/io.ts';

export const TRACING = '/sys/kernel/tracing';

export function* findTracing(): Call<string> {
  if (!(yield* exists(`${TRACING}/events`))) yield* attempt(sys('mount', 'tracefs', TRACING, 'tracefs', 0, ''), 0);
  return TRACING;
}

export interface Point {
  system: string;
  name: string;
  config: number;
  format: string;
}

export function* readPoint(system: string, name: string): Call<Point | null> {
  const base = `${yield* findTracing()}/events/${system}/${name}`;
  const id = yield* tryRead(`${base}/id`);
  return id === null ? null : { system, name, config: Number(id), format: (yield* tryRead(`${base}/format`)) ?? '' };
}

/** "kvm:kvm_exit", "kvm:*" and the like. */
export function* matchPoints(pattern: string): Call<Point[]> {
  const [system = '', name = ''] = pattern.split(':');
  const glob = (text: string): RegExp => new RegExp(`^${text.replace(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*').replaceAll('?', '.')}$`);
  const out: Point[] = [];
  const base = `${yield* findTracing()}/events`;
  for (const s of yield* list(base)) {
    if (s.type !== 'dir' || !glob(system).test(s.name)) continue;
    for (const e of yield* list(`${base}/${s.name}`)) {
      const point = e.type === 'dir' && glob(name).test(e.name) ? yield* readPoint(s.name, e.name) : null;
      if (point) out.push(point);
    }
  }
  return out;
}

/** Whom to watch: everything on every processor, or the threads of processes. */
export type Target = { kind: 'system' } | { kind: 'threads'; tids: readonly number[] };

/** Every thread of the processes "12,13"; throws Failed. */
export function* threadsOf(pids: string): Call<Target> {
  const tids: number[] = [];
  for (const pid of pids.split(',')) {
    if (!/^\d+$/.test(pid)) throw new Failed(`Problems parsing target: Invalid process ID`);
    const found = (yield* list(`/proc/${pid}/task`)).map(({ name }) => Number(name)).filter((n) => n > 0);
    if (found.length === 0) throw new Failed("Couldn't create thread/CPU maps: No such process");
    tids.push(...found);
  }
  return { kind: 'threads', tids };
}

export interface Opened {
  point: Point;
  fd: number;
  id: number;
}

export const SAMPLE_TYPE = PERF_SAMPLE.IDENTIFIER | PERF_SAMPLE.IP | PERF_SAMPLE.TID | PERF_SAMPLE.TIME | PERF_SAMPLE.CPU | PERF_SAMPLE.PERIOD | PERF_SAMPLE.RAW;

/** Disabled descriptors of each point for the target; those of one processor or thread share the first one's ring. */
export function* openPoints(points: readonly Point[], target: Target, ringBytes: number, wakeupBytes: number): Call<{ opened: Opened[]; rings: number[] }> {
  const cpus = ((yield* tryRead('/proc/cpuinfo')) ?? '').match(/^processor/gm)?.length ?? 1;
  const places = target.kind === 'system' ? Array.from({ length: cpus }, (_, cpu) => ({ pid: -1, cpu })) : target.tids.map((pid) => ({ pid, cpu: -1 }));
  const opened: Opened[] = [];
  const rings: number[] = [];
  for (const { pid, cpu } of places) {
    let leader = -1;
    for (const point of points) {
      const attr = { type: PERF_TYPE_TRACEPOINT, config: point.config, sampleType: SAMPLE_TYPE, disabled: true, inherit: target.kind === 'threads', ringBytes: leader < 0 ? ringBytes : 0, wakeupBytes };
      const fd = yield* openOne(point, attr, pid, cpu);
      if (leader < 0) {
        leader = fd;
        rings.push(fd);
      } else if (ringBytes > 0) yield* sys('ioctl', fd, PERF_EVENT_IOC_SET_OUTPUT, leader);
      opened.push({ point, fd, id: (yield* sys('ioctl', fd, PERF_EVENT_IOC_ID)) as number });
    }
  }
  return { opened, rings };
}

function* openOne(point: Point, attr: PerfEventAttr, pid: number, cpu: number): Call<number> {
  try {
    return yield* sysOpen(attr, pid, cpu);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    if (error.errno !== 'EACCES') throw new Failed(`failed to open ${point.system}:${point.name}: ${strerror(error)}`);
    throw new Failed('Access to performance monitoring and observability operations is limited.\nConsider running it with CAP_PERFMON or as root.');
  }
}

const sysOpen = (attr: PerfEventAttr, pid: number, cpu: number): Call<number> => sys('perf_event_open', attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);

export function* enable(opened: readonly Opened[]): Call<void> {
  for (const { fd } of opened) yield* sys('ioctl', fd, PERF_EVENT_IOC_ENABLE);
}

/** Everything that lies in the rings. */
export function* takeAll(rings: readonly number[]): Call<Uint8Array[]> {
  const out: Uint8Array[] = [];
  for (const fd of rings) {
    const data = (yield* sys('ioctl', fd, PERF_EVENT_IOC_TAKE)) as Uint8Array;
    if (data.length > 0) out.push(data);
  }
  return out;
}

