/**
 * What `perf kvm stat` makes of KVM's trace: pairs of a beginning and an end of each vCPU (exit to entry, so an HLT is as long as
 * the sleep), by key, with count, share, least, most and mean time and how sure the mean is. Source: Linux
 * tools/perf/builtin-kvm.c and arch/x86/util/kvm-stat.c as of 6.1. Left out: SVM, s390, guests' symbols.
 */
import { fieldValue, type ReadEvent, type Sample } from './datafile.ts';

export interface Key {
  key: bigint;
  info: bigint;
}

export interface Kind {
  /** Head of the first column. */
  title: string;
  begins(event: ReadEvent, sample: Sample): Key | 'started' | null;
  ends(event: ReadEvent, sample: Sample): Key | 'over' | null;
  decode(key: Key, names: ReadonlyMap<number, string>): string;
}

export interface Tally {
  key: Key;
  count: number;
  /** ns: sum, and Welford's mean and sum of squares. */
  time: number;
  mean: number;
  m2: number;
  min: number;
  max: number;
}

interface VcpuRecord {
  id: number;
  start: number;
  last: Tally | null;
}

export interface Analysis {
  kind: Kind;
  /** -1: all. */
  vcpu: number;
  /** ns; exits that take longer are told of; 0: none. */
  duration: number;
  threads: Map<number, VcpuRecord>;
  tallies: Map<string, Tally>;
  lost: number;
  /** Of exit reasons, as the kernel's format names them. */
  names: ReadonlyMap<number, string>;
}

const field = fieldValue;
const WRITE = 2n;
const READ = 1n;
const hex = (value: bigint): string => (value === 0n ? '0' : `0x${value.toString(16)}`);
const entry = (event: ReadEvent): 'over' | null => (event.name === 'kvm:kvm_entry' ? 'over' : null);

export const KINDS: Readonly<Record<string, Kind>> = {
  vmexit: {
    title: 'VM-EXIT',
    begins: (event, { raw }) => (event.name === 'kvm:kvm_exit' ? { key: field(event, raw, 'exit_reason'), info: 0n } : null),
    ends: entry,
    decode: ({ key }, names) => names.get(Number(key)) ?? 'UNKNOWN',
  },
  mmio: {
    title: 'MMIO Access',
    begins: (event, { raw }) =>
      event.name === 'kvm:kvm_exit' ? 'started' : event.name === 'kvm:kvm_mmio' && field(event, raw, 'type') === WRITE ? { key: field(event, raw, 'gpa'), info: WRITE } : null,
    ends: (event, { raw }) =>
      event.name === 'kvm:kvm_mmio' && field(event, raw, 'type') === READ ? { key: field(event, raw, 'gpa'), info: READ } : entry(event),
    decode: ({ key, info }) => `${hex(key)}:${info === WRITE ? 'W' : 'R'}`,
  },
  ioport: {
    title: 'IO Port Access',
    begins: (event, { raw }) => (event.name === 'kvm:kvm_pio' ? { key: field(event, raw, 'port'), info: field(event, raw, 'rw') } : null),
    ends: entry,
    decode: ({ key, info }) => `${hex(key)}:${info ? 'POUT' : 'PIN'}`,
  },
  msr: {
    title: 'MSR Access',
    begins: (event, { raw }) => (event.name === 'kvm:kvm_msr' ? { key: field(event, raw, 'ecx'), info: field(event, raw, 'write') } : null),
    ends: entry,
    decode: ({ key, info }) => `${hex(key)}:${info ? 'W' : 'R'}`,
  },
};

export function createAnalysis(kind: Kind, vcpu: number, duration = 0): Analysis {
  return { kind, vcpu, duration, threads: new Map(), tallies: new Map(), lost: 0, names: new Map() };
}

/** What a long exit is told as; null: nothing. */
export function addSample(analysis: Analysis, event: ReadEvent, sample: Sample): string | null {
  if (event.name === 'kvm:kvm_exit') analysis.names = event.symbols;
  let thread = analysis.threads.get(sample.pid);
  if (!thread) {
    if (event.name !== 'kvm:kvm_entry') return null;
    thread = { id: Number(field(event, sample.raw, 'vcpu_id')), start: 0, last: null };
    analysis.threads.set(sample.pid, thread);
  }
  if (analysis.vcpu >= 0 && analysis.vcpu !== thread.id) return null;
  const begin = analysis.kind.begins(event, sample);
  if (begin !== null) {
    thread.start = sample.time;
    thread.last = begin === 'started' ? null : tallyOf(analysis, begin);
    return null;
  }
  const end = analysis.kind.ends(event, sample);
  return end === null ? null : finish(analysis, thread, end, sample);
}

function tallyOf(analysis: Analysis, key: Key): Tally {
  const name = `${key.key}:${key.info}`;
  let tally = analysis.tallies.get(name);
  if (!tally) {
    tally = { key, count: 0, time: 0, mean: 0, m2: 0, min: Number.POSITIVE_INFINITY, max: 0 };
    analysis.tallies.set(name, tally);
  }
  return tally;
}

function finish(analysis: Analysis, thread: VcpuRecord, end: Key | 'over', sample: Sample): string | null {
  const { start } = thread;
  if (start === 0) return null;
  const tally = thread.last ?? (end === 'over' ? null : tallyOf(analysis, end));
  if (!tally) return null;
  thread.last = null;
  thread.start = 0;
  const time = sample.time - start;
  tally.count++;
  tally.time += time;
  const delta = time - tally.mean;
  tally.mean += delta / tally.count;
  tally.m2 += delta * (time - tally.mean);
  tally.min = Math.min(tally.min, time);
  tally.max = Math.max(tally.max, time);
  const name = analysis.kind.decode(tally.key, analysis.names);
  if (analysis.duration === 0 || time <= analysis.duration || name === 'HLT') return null;
  return `${sample.time} VM ${sample.pid}, vcpu ${thread.id}: ${name} event took ${Math.floor(time / 1000)}usec\n`;
}

/** Per cent by which the mean may be off: the deviation of the mean over the mean. */
function uncertainty({ count, m2, mean }: Tally): number {
  if (count < 2 || mean === 0) return 0;
  return (100 * Math.sqrt(m2 / (count - 1) / count)) / mean;
}

export const SORT_KEYS: Readonly<Record<string, (tally: Tally) => number>> = { sample: ({ count }) => count, time: ({ mean }) => mean };

const us = (ns: number, width: number): string => `${(ns / 1000).toFixed(2).padStart(width)}us`;

export function reportText(analysis: Analysis, whose: string, sort: string): string {
  const { kind, vcpu, tallies } = analysis;
  const rows = [...tallies.values()].filter(({ count }) => count > 0).sort((a, b) => SORT_KEYS[sort]!(b) - SORT_KEYS[sort]!(a));
  const count = rows.reduce((sum, row) => sum + row.count, 0);
  const time = rows.reduce((sum, row) => sum + row.time, 0);
  const share = (part: number, whole: number): string => `${(whole === 0 ? 0 : (part / whole) * 100).toFixed(2).padStart(8)}%`;
  const head = `${kind.title.padStart(20)} ${'Samples'.padStart(10)} ${'Samples%'.padStart(9)} ${'Time%'.padStart(9)} ${'Min Time'.padStart(11)} ${'Max Time'.padStart(11)} ${'Avg time'.padStart(16)} `;
  const lines = rows.map((row) =>
    `${kind.decode(row.key, analysis.names).padStart(20)} ${String(row.count).padStart(10)} ${share(row.count, count)} ${share(row.time, time)} ${us(row.min, 9)} ${us(row.max, 9)} ${us(row.time / row.count, 9)} ( +-${uncertainty(row).toFixed(2).padStart(7)}% )\n`);
  const lost = analysis.lost > 0 ? `\nLost events: ${analysis.lost}\n\n` : '';
  return `\n\nAnalyze events for ${whose}, ${vcpu < 0 ? 'all VCPUs:' : `VCPU ${vcpu}:`}\n\n${head}\n\n${lines.join('')}\nTotal Samples:${count}, Total events handled time:${(time / 1000).toFixed(2)}us.\n\n${lost}`;
}
