/**
 * What happened: an append-only list of records and a running hash over all of them.
 *
 * A record is plain data. The hash covers every record ever added, in order, in a canonical text (keys sorted), so two
 * runs of the same recording have the same hash or the engine is not deterministic. The list keeps the newest
 * `capacity` records; the hash never forgets. Two 32-bit FNV-1a lanes with different bases.
 */
import type { Ns } from './timeline.ts';

/** Where on the house a record was made; one lane a floor in the time bar. */
export type Floor = 'guest' | 'hypervisor' | 'kernel' | 'container' | 'cluster' | 'input';

export interface TraceRecord {
  /** Ordinal over the whole run, from 0. */
  readonly n: number;
  readonly t: Ns;
  readonly floor: Floor;
  /** The kernel, VM or cluster it belongs to. */
  readonly who: string;
  /** Dotted name, e.g. `oom.kill`, `vm.exit`, `task.exec`, `sched.bind`. */
  readonly kind: string;
  /** Ordinal of the record that caused this one, when one did: the chain behind "why?". */
  readonly because?: number;
  /** Flat plain data. */
  readonly data: Readonly<Record<string, string | number | boolean | null>>;
}

export interface Trace {
  clock: { readonly now: Ns };
  records: TraceRecord[];
  count: number;
  capacity: number;
  h1: number;
  h2: number;
}

export function createTrace(clock: { readonly now: Ns }, capacity = 200_000): Trace {
  return { clock, records: [], count: 0, capacity, h1: 0x811c9dc5, h2: 0x01000193 };
}

/** Adds a record and returns its ordinal, to be given as `because` of what follows from it. */
export function record(
  trace: Trace,
  floor: Floor,
  who: string,
  kind: string,
  data: TraceRecord['data'] = {},
  because?: number,
): number {
  const n = trace.count++;
  const entry: TraceRecord =
    because === undefined
      ? { n, t: trace.clock.now, floor, who, kind, data }
      : { n, t: trace.clock.now, floor, who, kind, because, data };
  trace.records.push(entry);
  if (trace.records.length > trace.capacity * 1.25) trace.records.splice(0, trace.records.length - trace.capacity);
  mix(trace, canonical(entry));
  return n;
}

/** The record with this ordinal, unless it is too old to be kept. */
export function recordAt(trace: Trace, n: number): TraceRecord | undefined {
  const first = trace.records[0]?.n ?? 0;
  return trace.records[n - first];
}

/** 16 hexadecimal digits over everything recorded so far. */
export function traceHash(trace: Trace): string {
  return (trace.h1 >>> 0).toString(16).padStart(8, '0') + (trace.h2 >>> 0).toString(16).padStart(8, '0');
}

/** Folds any text into the hash (terminal output is hashed this way, without being kept twice). */
export function mix(trace: Trace, text: string): void {
  let a = trace.h1;
  let b = trace.h2;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    a = Math.imul(a ^ c, 0x01000193);
    b = Math.imul(b ^ c, 0x5bd1e995) ^ (b >>> 15);
  }
  trace.h1 = a;
  trace.h2 = b;
}

function canonical(entry: TraceRecord): string {
  let text = `${entry.t}|${entry.floor}|${entry.who}|${entry.kind}|${entry.because ?? ''}`;
  for (const key of sortedKeys(entry.kind, entry.data)) text += `|${key}=${entry.data[key]}`;
  return text;
}

/** Of each kind of record, the fields of the last one as they came and sorted: the next one has most likely the same. */
const fields = new Map<string, { came: readonly string[]; sorted: readonly string[] }>();

function sortedKeys(kind: string, data: TraceRecord['data']): readonly string[] {
  const known = fields.get(kind);
  let i = 0;
  let same = known !== undefined;
  for (const key in data) if (key !== known?.came[i++]) same = false;
  if (known && same && i === known.came.length) return known.sorted;
  const came = Object.keys(data);
  const sorted = [...came].sort();
  fields.set(kind, { came, sorted });
  return sorted;
}
