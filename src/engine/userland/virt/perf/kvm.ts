/**
 * perf kvm stat record, report and live: KVM's tracepoints into a file, out of it again, or straight onto the screen every
 * second. Source: perf-kvm(1), tools/perf/builtin-kvm.c of 6.1. Left out: perf kvm top, record, report, diff (they sample with
 * hardware counters).
 */
import { POLLIN, SysError, TCGETS, TCSETS, type Termios } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { joinBytes } from '../../../sim/wire.ts';
import { attempt, readBytes, tryRead, writeFile } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { complain, Failed, print, strerror } from '../../lib/io.ts';
import { clockText } from './clock.ts';
import { readData, readFormat, type ReadEvent, readRecords, writeData } from './datafile.ts';
import { enable, findTracing, openPoints, type Opened, type Point, readPoint, SAMPLE_TYPE, takeAll, type Target, threadsOf } from './events.ts';
import { addSample, type Analysis, createAnalysis, KINDS, reportText, SORT_KEYS } from './kvmstat.ts';
import { type Parsed, parse, type Row, Usage, usageText } from './options.ts';
import { finish, prepare, start, type Watch } from './workload.ts';

type Env = Readonly<Record<string, string>>;

const POINTS = ['kvm_entry', 'kvm_exit', 'kvm_mmio', 'kvm_pio', 'kvm_msr'];
const PAGES = 1024;
const PAGE = 4096;

const KVM: readonly Row[] = [
  { short: 'i', long: 'input', value: '<file>', help: 'Input file name' }, { short: 'o', long: 'output', value: '<file>', help: 'Output file name' },
  { short: 'v', long: 'verbose', help: 'be more verbose (show counter open errors, etc)' }, { long: 'guest', help: 'Collect guest os data' }, { long: 'host', help: 'Collect host os data' },
];
const KVM_USAGE = 'perf kvm [<options>] {top|record|report|diff|buildid-list|stat}';

/** What stands after "perf kvm". */
export function* kvm(args: readonly string[], env: Env): Call<number> {
  const { given, words } = parse(KVM_USAGE, KVM, args, 'in-order');
  const standard = given.has('host') ? 'perf.data.kvm' : 'perf.data.guest';
  const file = given.get('input') ?? given.get('output') ?? standard;
  const [what, sub, ...rest] = words;
  if (what === undefined) throw new Usage(usageText(KVM_USAGE, KVM));
  if (what === 'stat') {
    if (sub === 'report' || sub === 'rep') return yield* report(rest, file);
    if (sub === 'live') return yield* live(rest);
    if (sub === 'record' || sub === 'rec') return yield* record(rest, file, env);
    throw new Failed(sub === undefined ? 'not modelled: perf kvm stat without record, report or live' : `not modelled: perf kvm stat ${sub}`);
  }
  if (['top', 'record', 'report', 'diff', 'buildid-list'].includes(what)) throw new Failed(`not modelled: perf kvm ${what} (no hardware counters); use perf kvm stat`);
  throw new Usage(usageText(KVM_USAGE, KVM));
}

// ---- record

const RECORD: readonly Row[] = [
  { short: 'a', long: 'all-cpus', help: 'system-wide collection from all CPUs' }, { short: 'm', long: 'mmap-pages', value: '<pages>', help: 'number of mmap data pages' },
  { short: 'o', long: 'output', value: '<file>', help: 'output file name' }, { short: 'p', long: 'pid', value: '<pid>', help: 'record events on existing process id' },
  { short: 'q', long: 'quiet', help: "don't print any warnings or messages" }, { short: 'v', long: 'verbose', help: 'be more verbose (show counter open errors, etc)' },
];

export function* kvmPoints(): Call<Point[]> {
  const out: Point[] = [];
  for (const name of POINTS) {
    const point = yield* readPoint('kvm', name);
    if (point) out.push(point);
  }
  if (out.length === 0) throw new Failed('event syntax error: \'kvm:kvm_entry\'\n                     \\___ unknown tracepoint');
  return out;
}

function* targetOf({ given }: Parsed): Call<Target> {
  const pid = given.get('pid');
  return pid === undefined ? { kind: 'system' } : yield* threadsOf(pid);
}

function ringBytes({ given }: Parsed): number {
  const pages = Number(given.get('mmap-pages') ?? PAGES);
  if (!Number.isInteger(pages) || pages <= 0 || (pages & (pages - 1)) !== 0) throw new Failed('Invalid argument for --mmap_pages/-m');
  return pages * PAGE;
}

function* record(args: readonly string[], standard: string, env: Env): Call<number> {
  const parsed = parse('perf kvm stat record [<options>]', RECORD, args, 'in-order');
  const file = parsed.given.get('output') ?? standard;
  const bytes = ringBytes(parsed);
  const points = yield* kvmPoints();
  const { opened, rings } = yield* openPoints(points, yield* targetOf(parsed), bytes, bytes / 2);
  const watch = yield* prepare(parsed.words, env);
  yield* enable(opened);
  yield* start(watch);
  const { parts, woken } = yield* collect(watch, rings);
  const status = yield* finish(watch);
  const data = joinBytes(parts);
  const written = writeData({
    events: points.map(({ config }) => ({ config, ids: opened.filter((o) => o.point.config === config).map(({ id }) => id) })), sampleType: SAMPLE_TYPE, data, formats: points.map(({ system, format: text }) => ({ system, text })),
    ...(yield* headers()), features: yield* features(['perf', 'kvm', 'stat', 'record', ...args]),
  });
  try {
    yield* writeFile(file, written, 0o600);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`failed to open ${file}: ${strerror(error)}`);
  }
  const samples = readRecords(new DataView(data.buffer, data.byteOffset, data.byteLength), 0, data.length).samples.length;
  if (!parsed.given.has('quiet')) {
    yield* complain(`[ perf record: Woken up ${woken} times to write data ]\n[ perf record: Captured and wrote ${(written.length / 2 ** 20).toFixed(3)} MB ${file}${samples > 0 ? ` (${samples} samples)` : ''} ]\n`);
  }
  return watch.signal === 0 ? status : 128 + watch.signal;
}

/** Takes what the rings hold whenever one is half full, and the rest in the end. */
function* collect(watch: Watch, rings: readonly number[]): Call<{ parts: Uint8Array[]; woken: number }> {
  const parts: Uint8Array[] = [];
  let woken = 0;
  while (!watch.over) {
    try {
      yield* sys('poll', rings.map((fd) => ({ fd, events: POLLIN })), -1);
    } catch (error) {
      if (!(error instanceof SysError) || error.errno !== 'EINTR') throw error;
    }
    if (watch.over) break;
    woken++;
    parts.push(...(yield* takeAll(rings)));
  }
  parts.push(...(yield* takeAll(rings)));
  return { parts, woken: woken + 1 };
}

function* headers(): Call<{ headerPage: string; headerEvent: string }> {
  const base = `${yield* findTracing()}/events`;
  return { headerPage: (yield* tryRead(`${base}/header_page`)) ?? '', headerEvent: (yield* tryRead(`${base}/header_event`)) ?? '' };
}

/** Of perf's header: host name 3, release 4, version 5, architecture 6, processors 7, 8, 9, memory 10, command line 11. */
function* features(command: readonly string[]): Call<{ id: number; value: string | readonly string[] | { u32: readonly number[] } | { u64: number } }[]> {
  const { nodename, release, machine } = yield* sys('uname');
  const info = (yield* tryRead('/proc/cpuinfo')) ?? '';
  const of = (name: string): string => new RegExp(`^${name}\\s*: (.*)$`, 'm').exec(info)?.[1] ?? '';
  const cpus = info.match(/^processor/gm)?.length ?? 1;
  const kib = Number(/^MemTotal:\s+(\d+)/m.exec((yield* tryRead('/proc/meminfo')) ?? '')?.[1] ?? 0);
  return [
    { id: 3, value: nodename }, { id: 4, value: release }, { id: 5, value: '6.1.192' }, { id: 6, value: machine }, { id: 7, value: { u32: [cpus, cpus] } }, { id: 8, value: of('model name') },
    { id: 9, value: `${of('vendor_id')},${of('cpu family')},${of('model')},${of('stepping')}` }, { id: 10, value: { u64: kib } }, { id: 11, value: command },
  ];
}

// ---- report

const EVENT_ROWS: readonly Row[] = [
  { long: 'event', value: '<report event>', help: 'event for reporting: vmexit, mmio (x86 only), ioport (x86 only)' }, { long: 'vcpu', value: '<n>', help: 'vcpu id to report' },
  { short: 'k', long: 'key', value: '<sort-key>', help: 'key for sorting: sample(sort by samples number) time (sort by avg time)' },
];
const REPORT: readonly Row[] = [
  { short: 'f', long: 'force', help: "don't complain, do it" }, EVENT_ROWS[2]!, { short: 'p', long: 'pid', value: '<pid>', help: 'analyze events only for given process id(s)' }, EVENT_ROWS[0]!, EVENT_ROWS[1]!,
];
const EINVAL = 234;

/** The analysis that the options ask for; a number is the status to leave with. */
function* analysisOf({ given }: Parsed): Call<{ analysis: Analysis; sort: string } | number> {
  const kind = KINDS[given.get('event') ?? 'vmexit'];
  if (!kind || !Object.hasOwn(KINDS, given.get('event') ?? 'vmexit')) return EINVAL;
  const vcpu = Number(given.get('vcpu') ?? -1);
  if (!Number.isInteger(vcpu)) throw new Usage("  Error: option `vcpu' expects a numerical value\n");
  if (given.has('vcpu') && vcpu < -1) {
    yield* complain(`Invalid vcpu:${vcpu}.\n`);
    return EINVAL;
  }
  const sort = given.get('key') ?? 'sample';
  if (!Object.hasOwn(SORT_KEYS, sort)) {
    yield* complain(`Unknown compare key:${sort}\n`);
    return EINVAL;
  }
  return { analysis: createAnalysis(kind, vcpu, Number(given.get('duration') ?? 0) * 1000), sort };
}

function* report(args: readonly string[], file: string): Call<number> {
  const parsed = parse('perf kvm stat report [<options>]', REPORT, args, 'permute');
  if (parsed.words.length > 0) throw new Usage(usageText('perf kvm stat report [<options>]', REPORT));
  const made = yield* analysisOf(parsed);
  if (typeof made === 'number') return made;
  let bytes: Uint8Array;
  try {
    bytes = yield* readBytes(file);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`failed to open ${file}: ${strerror(error)}\nInitializing perf session failed`, 255);
  }
  const read = readData(bytes);
  if (!read) throw new Failed(bytes.length === 0 ? 'zero-sized data, nothing to do!\nInitializing perf session failed' : 'incompatible file format (rerun with -v to learn more)\nInitializing perf session failed', 255);
  if (!read.cpuid.startsWith('GenuineIntel')) throw new Failed('CPU is not supported.', 255);
  const pids = parsed.given.get('pid')?.split(',').map(Number);
  made.analysis.lost = read.lost;
  for (const sample of read.samples) {
    const event = read.events.get(sample.id);
    if (event && (!pids || pids.includes(sample.tgid))) addSample(made.analysis, event, sample);
  }
  yield* complain(reportText(made.analysis, pids ? `pid(s) ${parsed.given.get('pid')}` : 'all VMs', made.sort));
  return 0;
}

// ---- live

const LIVE: readonly Row[] = [
  { short: 'a', long: 'all-cpus', help: 'system-wide collection from all CPUs' }, { short: 'd', long: 'display', value: '<n>', help: 'time in seconds between display updates' }, EVENT_ROWS[2]!,
  { short: 'm', long: 'mmap-pages', value: '<pages>', help: 'number of mmap data pages' }, { short: 'p', long: 'pid', value: '<pid>', help: 'record events on existing process id' },
  { short: 'v', long: 'verbose', help: 'be more verbose (show counter open errors, etc)' },
  { long: 'duration', value: '<n>', help: 'show events other than HLT (x86 only) or Wait state (s390 only) that take longer than duration usecs' }, EVENT_ROWS[0]!, EVENT_ROWS[1]!,
];

function* live(args: readonly string[]): Call<number> {
  const parsed = parse('perf kvm stat live [<options>]', LIVE, args, 'permute');
  const made = yield* analysisOf(parsed);
  if (typeof made === 'number') return made;
  const seconds = Number(parsed.given.get('display') ?? 1);
  if (!Number.isInteger(seconds) || seconds < 1) throw new Failed('Invalid display interval');
  const bytes = ringBytes(parsed);
  const { opened, rings } = yield* openPoints(yield* kvmPoints(), yield* targetOf(parsed), bytes, bytes / 2);
  const watch = yield* prepare([], {});
  yield* enable(opened);
  const whose = parsed.given.has('pid') ? `pid(s) ${parsed.given.get('pid')}` : 'all VMs';
  const terminal = yield* quiet();
  try {
    while (!watch.over && !(yield* pause(seconds * 1e9))) {
      yield* take(made.analysis, opened, rings);
      if (watch.over) break;
      yield* print('\x1b[H\x1b[2J\n');
      yield* complain(`${yield* clockText()}${reportText(made.analysis, whose, made.sort).replace(/^\n/, '')}`);
      made.analysis.tallies.clear();
      made.analysis.lost = 0;
    }
  } finally {
    if (terminal) yield* sys('ioctl', 0, TCSETS, terminal);
  }
  return 0;
}

function* take(analysis: Analysis, opened: readonly Opened[], rings: readonly number[]): Call<void> {
  const events = new Map<number, ReadEvent>(opened.map(({ id, point }) => [id, readFormat(point.system, point.format).event]));
  const data = joinBytes(yield* takeAll(rings));
  const { samples, lost } = readRecords(new DataView(data.buffer, data.byteOffset, data.byteLength), 0, data.length);
  analysis.lost += lost;
  for (const sample of samples) {
    const long = addSample(analysis, events.get(sample.id)!, sample);
    if (long) yield* complain(long);
  }
}

/** Keys come one by one and are not shown. */
function* quiet(): Call<Termios | null> {
  const termios = (yield* attempt(sys('ioctl', 0, TCGETS), null)) as Termios | null;
  if (termios) yield* sys('ioctl', 0, TCSETS, { ...termios, canonical: false, echo: false });
  return termios;
}

/** Waits; true when q was typed. */
function* pause(ns: number): Call<boolean> {
  const until = (yield* sys('clock_gettime', 'monotonic')) + ns;
  for (let left = ns; left > 0; left = until - (yield* sys('clock_gettime', 'monotonic'))) {
    try {
      const ready = yield* sys('poll', [{ fd: 0, events: POLLIN }], left);
      if (ready.length === 0) return false;
      const key = yield* sys('read', 0, 16);
      if (key.includes(0x71)) return true;
      if (key.length === 0) {
        yield* sys('nanosleep', left);
        return false;
      }
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      return false;
    }
  }
  return false;
}
