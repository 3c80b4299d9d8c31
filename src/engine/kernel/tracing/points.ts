/**
 * Tracepoints: places in the kernel that tell whoever listens. A point has a number, fields with offsets as C lays them out,
 * and a sentence; a hit becomes one raw record, made only while somebody listens. Listeners are perf events (perf.ts) and the
 * trace buffer (vfs/tracefs.ts). Source: kernel doc trace/tracepoints.rst, trace/events.rst.
 */
import type { Kernel, Task } from '../records.ts';
import { wake } from '../wait.ts';

export type FieldType = 'u8' | 'u32' | 'u64' | 'unsigned int' | 'unsigned long' | 'bool';

export interface Field {
  name: string;
  type: FieldType;
  offset: number;
  size: number;
}

export type Values = Readonly<Record<string, number | bigint>>;

export interface Tracepoint {
  id: number;
  system: string;
  name: string;
  fields: readonly Field[];
  /** Bytes of a raw record. */
  size: number;
  /** What "print fmt:" says in the format file. */
  format: string;
  /** The sentence that the trace shows. */
  text(values: Values): string;
}

export interface Hit {
  point: Tracepoint;
  /** ns. */
  time: number;
  task: Task;
  cpu: number;
  values: Values;
}

/** One that is told of the hits of a point. */
export interface Listener {
  point: number;
  take(kernel: Kernel, hit: Hit, raw: Uint8Array): void;
}

export interface Tracing {
  points: Tracepoint[];
  listeners: Listener[];
  nextEvent: number;
  /** The trace buffer of tracefs: points that are on, and lines that were not read from trace_pipe yet. */
  buffer: { on: boolean; points: Set<number>; hits: Hit[]; ever: number };
}

const SIZES: Readonly<Record<FieldType, number>> = { u8: 1, bool: 1, u32: 4, 'unsigned int': 4, u64: 8, 'unsigned long': 8 };
const COMMON = 8;
const FIRST_ID = 100;

export function tracingOf(kernel: Kernel): Tracing {
  let state = kernel.drivers.get('tracing') as Tracing | undefined;
  if (!state) {
    state = { points: [], listeners: [], nextEvent: 1, buffer: { on: true, points: new Set(), hits: [], ever: 0 } };
    kernel.drivers.set('tracing', state);
  }
  return state;
}

/** Adds a point; fields as [name, type] in order. */
export function definePoint(kernel: Kernel, system: string, name: string, fields: readonly (readonly [string, FieldType])[], format: string, text: (values: Values) => string): Tracepoint {
  const { points } = tracingOf(kernel);
  let at = COMMON;
  const laid = fields.map(([field, type]): Field => {
    const size = SIZES[type];
    const offset = Math.ceil(at / size) * size;
    at = offset + size;
    return { name: field, type, offset, size };
  });
  const point: Tracepoint = { id: FIRST_ID + points.length, system, name, fields: laid, size: Math.ceil(at / 8) * 8, format, text };
  points.push(point);
  return point;
}

export const isTraced = (kernel: Kernel, points: readonly Tracepoint[]): boolean => {
  const { listeners, buffer } = tracingOf(kernel);
  return listeners.some(({ point }) => points.some(({ id }) => id === point)) || (buffer.on && points.some(({ id }) => buffer.points.has(id)));
};

/** The newest lines that the trace buffer keeps. */
const BUFFER = 65536;

/** Says that a point was passed at `time` (ns) by `task`. */
export function hitPoint(kernel: Kernel, task: Task, point: Tracepoint, time: number, values: Values): void {
  const { listeners, buffer } = tracingOf(kernel);
  const hit: Hit = { point, time, task, cpu: task.sched.cpu ?? 0, values };
  let raw: Uint8Array | null = null;
  for (const listener of listeners) {
    if (listener.point !== point.id) continue;
    raw ??= rawOf(hit);
    listener.take(kernel, hit, raw);
  }
  if (!buffer.on || !buffer.points.has(point.id)) return;
  buffer.hits.push(hit);
  buffer.ever++;
  if (buffer.hits.length > BUFFER) buffer.hits.shift();
  wake(kernel, 'trace_pipe');
}

function rawOf({ point, task, values }: Hit): Uint8Array {
  const view = new DataView(new ArrayBuffer(point.size));
  view.setUint16(0, point.id, true);
  view.setInt32(4, task.pid, true);
  for (const { name, offset, size } of point.fields) {
    const value = BigInt(values[name] ?? 0);
    if (size === 8) view.setBigUint64(offset, BigInt.asUintN(64, value), true);
    else if (size === 4) view.setUint32(offset, Number(BigInt.asUintN(32, value)), true);
    else view.setUint8(offset, Number(BigInt.asUintN(8, value)));
  }
  return new Uint8Array(view.buffer);
}

/** The "format" file of a point. */
export function formatText(point: Tracepoint): string {
  const row = (type: string, name: string, offset: number, size: number, signed: number): string => `\tfield:${type} ${name};\toffset:${offset};\tsize:${size};\tsigned:${signed};\n`;
  const common = row('unsigned short', 'common_type', 0, 2, 0) + row('unsigned char', 'common_flags', 2, 1, 0) + row('unsigned char', 'common_preempt_count', 3, 1, 0) + row('int', 'common_pid', 4, 4, 1);
  const own = point.fields.map(({ type, name, offset, size }) => row(type, name, offset, size, 0)).join('');
  return `name: ${point.name}\nID: ${point.id}\nformat:\n${common}\n${own}\nprint fmt: ${point.format}\n`;
}
