/** systemd-cgtop: control groups by what they use of the processors, memory and disks. Source: systemd-cgtop(1), 257, src/cgtop/cgtop.c. */
import { TCGETS } from '../../kernel/abi.ts';
import { type Program, sys } from '../../kernel/sys.ts';
import { closeScreen, nextKey, openScreen, type Screen, sizeOf } from '../coreutils/screen.ts';
import { type Options, parseOptions, lastValue } from '../lib/args.ts';
import { attempt, list, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, Failed, print } from '../lib/io.ts';
import { unprefixed } from './messages.ts';

const ROOT = '/sys/fs/cgroup';
const SPEC = 'h/help version p t c m i order= r/raw cpu? P k recursive= n/iterations= 1 d/delay= b/batch depth= M/machine=';

interface Usage {
  path: string;
  tasks: number | null;
  /** ns of processor time so far, and when that was. */
  cpu: number | null;
  at: number;
  memory: number | null;
  read: number;
  written: number;
  io: boolean;
}

interface Row extends Usage {
  /** Share of one processor since the last look, percent; null the first time. */
  percent: number | null;
  input: number | null;
  output: number | null;
}

type Order = 'path' | 'tasks' | 'cpu' | 'memory' | 'io';

interface Look {
  order: Order;
  raw: boolean;
  time: boolean;
  /** Processes instead of tasks. */
  processes: boolean;
  depth: number;
  root: string;
  /** The group as it was named; null when none was. */
  asked: string | null;
  /** Names over the columns are for people. */
  terminal: boolean;
}

function* usageOf(path: string, look: Look): Call<Usage> {
  const dir = ROOT + path;
  const at = yield* sys('clock_gettime', 'monotonic');
  const stat = (yield* tryRead(`${dir}/io.stat`)) ?? '';
  const sum = (key: string): number => [...stat.matchAll(new RegExp(`${key}=(\\d+)`, 'g'))].reduce((n, m) => n + Number(m[1]), 0);
  if (path === '') {
    const info = (yield* tryRead('/proc/meminfo')) ?? '';
    const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(info)?.[1] ?? 0);
    const tasks = /(\d+)\/(\d+)/.exec((yield* tryRead('/proc/loadavg')) ?? '')?.[2];
    const cpu = /usage_usec (\d+)/.exec((yield* tryRead(`${dir}/cpu.stat`)) ?? '')?.[1];
    return { path: '/', tasks: tasks ? Number(tasks) : null, cpu: cpu ? Number(cpu) * 1000 : null, at, memory: (kib('MemTotal') - kib('MemAvailable')) * 1024, read: sum('rbytes'), written: sum('wbytes'), io: stat !== '' };
  }
  const cpu = /usage_usec (\d+)/.exec((yield* tryRead(`${dir}/cpu.stat`)) ?? '')?.[1];
  const memory = yield* tryRead(`${dir}/memory.current`);
  const pids = look.processes ? String(((yield* tryRead(`${dir}/cgroup.procs`)) ?? '').split('\n').filter(Boolean).length) : yield* tryRead(`${dir}/pids.current`);
  return { path: look.asked === null ? path.slice(1) : look.asked + path.slice(look.root.length), tasks: Number(pids) || null, cpu: cpu ? Number(cpu) * 1000 : null, at, memory: Number(memory) || null, read: sum('rbytes'), written: sum('wbytes'), io: stat !== '' };
}

function* sample(path: string, look: Look, depth: number, into: Map<string, Usage>): Call<void> {
  const one = yield* usageOf(path, look);
  if (one.tasks !== null || one.memory !== null || one.io) into.set(one.path, one);
  if (depth === 0) return;
  for (const { name, type } of yield* list(ROOT + path)) if (type === 'dir') yield* sample(`${path}/${name}`, look, depth - 1, into);
}

function compared(now: ReadonlyMap<string, Usage>, before: ReadonlyMap<string, Usage>): Row[] {
  return [...now.values()].map((one): Row => {
    const old = before.get(one.path);
    const ns = old ? one.at - old.at : 0;
    const rate = (a: number, b: number): number => ((a - b) * 1e9) / ns;
    const moved = old && ns > 0 && one.io ? [rate(one.read, old.read), rate(one.written, old.written)] as const : null;
    return { ...one, percent: old && ns > 0 && one.cpu !== null && old.cpu !== null ? ((one.cpu - old.cpu) * 100) / ns : null, input: moved?.[0] ?? null, output: moved?.[1] ?? null };
  });
}

/** Unknown last; larger first; then what lies above before what lies below. */
function compare(order: Order): (a: Row, b: Row) => number {
  const by = (pick: (r: Row) => number | null) => (a: Row, b: Row): number => (pick(b) ?? -1) - (pick(a) ?? -1);
  const keys: Record<Exclude<Order, 'path'>, (a: Row, b: Row) => number> = {
    cpu: (a, b) => (a.percent === null && b.percent === null ? by((r) => r.cpu)(a, b) : by((r) => r.percent)(a, b)), tasks: by((r) => r.tasks), memory: by((r) => r.memory),
    io: by((r) => (r.input === null ? null : r.input + (r.output ?? 0))),
  };
  return (a, b) => {
    if (order !== 'path' && (a.path === '/' || b.path === '/') && a.path !== b.path) return a.path === '/' ? -1 : 1;
    const first = order === 'path' ? 0 : keys[order](a, b);
    return first !== 0 ? first : a.path < b.path ? -1 : a.path > b.path ? 1 : 0;
  };
}

/** "1.5M": one digit after the point, as format_bytes without spaces. */
function size(n: number, raw: boolean): string {
  if (raw) return String(Math.round(n));
  const units = ['B', 'K', 'M', 'G', 'T'];
  let value = n;
  let i = 0;
  while (value >= 1024 && i < 4) {
    value /= 1024;
    i++;
  }
  return i === 0 ? `${Math.round(value)}B` : `${(Math.floor(value * 10) / 10).toFixed(1)}${units[i]}`;
}

function span(ns: number): string {
  const us = Math.floor(ns / 1000);
  return us < 1_000_000 ? `${(us / 1000).toFixed(us < 1000 ? 3 : 0)}ms` : `${(us / 1e6).toFixed(3)}s`;
}

function shorter(path: string, width: number): string {
  if (path.length <= width) return path.padEnd(width);
  const half = Math.floor((width - 1) / 2);
  return `${path.slice(0, width - 1 - half)}…${path.slice(path.length - half)}`;
}

function table(rows: readonly Row[], look: Look, width: number): string {
  const head = !look.terminal ? '' : `${'CGroup'.padEnd(width)} ${(look.processes ? 'Procs' : 'Tasks').padStart(7)} ${look.time ? 'CPU Time'.padStart(8) : '  %CPU'} ${'Memory'.padStart(8)} ${'Input/s'.padStart(8)} ${'Output/s'.padStart(8)}\n`;
  const cell = (n: number | null): string => (n === null ? '-' : size(n, look.raw)).padStart(8);
  return head + rows.map((r) => {
    const cpu = look.time ? (r.cpu === null ? '-' : span(r.cpu)).padStart(8) : (r.percent === null ? '-' : r.percent.toFixed(1)).padStart(6);
    return `${shorter(r.path, width)} ${(r.tasks === null ? '-' : String(r.tasks)).padStart(7)} ${cpu} ${cell(r.memory)} ${cell(r.input)} ${cell(r.output)}\n`;
  }).join('');
}

const KEYS: Readonly<Record<string, Order>> = { p: 'path', t: 'tasks', c: 'cpu', m: 'memory', i: 'io' };

function numberOf(o: Options, name: string, what: string, least: number): number | null {
  const given = lastValue(o, name);
  if (given === undefined) return null;
  const m = /^(\d+(?:\.\d+)?)(ms|s|min)?$/.exec(given);
  if (!m || (name !== 'delay' && m[2]) || Number(m[1]) < least) throw new Failed(`Failed to parse ${what} '${given}': Invalid argument`);
  return Number(m[1]) * ({ ms: 0.001, s: 1, min: 60 }[m[2] ?? 's'] ?? 1);
}

function lookOf(o: Options): Look {
  const asked = lastValue(o, 'order');
  if (asked !== undefined && !Object.values(KEYS).includes(asked as Order)) throw new Failed(`Invalid argument to --order=: ${asked}`);
  const cpu = lastValue(o, 'cpu');
  if (cpu !== undefined && cpu !== 'time' && cpu !== 'percentage') throw new Failed(`Unknown argument to --cpu=: ${cpu}`);
  const root = o.words[0];
  const path = root === undefined || root === '/' ? '' : root.startsWith(ROOT) ? root.slice(ROOT.length) : root.startsWith('/') ? root : `/${root}`;
  return {
    order: (asked as Order | undefined) ?? Object.entries(KEYS).find(([letter]) => o.on.has(letter))?.[1] ?? 'cpu', raw: o.on.has('raw'), time: o.on.has('cpu') && cpu !== 'percentage', processes: o.on.has('P') || o.on.has('k'),
    depth: numberOf(o, 'depth', 'depth parameter', 0) ?? 3, root: path, asked: root === undefined || path === '' ? null : root.replace(ROOT, ''), terminal: false,
  };
}

/** The next key within the time that is left; says whether to end. */
function* key(screen: Screen, look: Look, delay: number): Call<boolean> {
  const pressed = yield* nextKey(screen, delay * 1e9);
  if (pressed === 'q') return true;
  if (pressed !== null && KEYS[pressed]) look.order = KEYS[pressed]!;
  if (pressed === 'r') look.raw = !look.raw;
  if (pressed === '%') look.time = !look.time;
  if (pressed === '+') look.depth++;
  if (pressed === '-') look.depth = Math.max(0, look.depth - 1);
  return false;
}

const HELP = `systemd-cgtop [OPTIONS...] [CGROUP]

Show top control groups by their resource usage.

  -h --help           Show this help
     --version        Show package version
     --order=path|tasks|cpu|memory|io
                      Order by specified property
  -p                  Same as --order=path, order by path
  -t                  Same as --order=tasks, order by number of
                      tasks/processes
  -c                  Same as --order=cpu, order by CPU load
  -m                  Same as --order=memory, order by memory load
  -i                  Same as --order=io, order by IO load
  -r --raw            Provide raw (not human-readable) numbers
     --cpu[=percentage]
                      Show CPU usage as percentage (default)
     --cpu=time       Show CPU usage as time
  -P                  Count userspace processes instead of tasks (excl. kernel)
  -k                  Count all processes instead of tasks (incl. kernel)
     --recursive=BOOL Sum up process count recursively
  -d --delay=DELAY    Delay between updates
  -n --iterations=N   Run for N iterations before exiting
  -1                  Shortcut for --iterations=1
  -b --batch          Run in batch mode, accepting no input
     --depth=DEPTH    Maximum traversal depth (default: 3)
  -M --machine=       Show container

See the systemd-cgtop(1) man page for details.
`;

export const cgtop: Program = command(unprefixed(function* (argv) {
  const o = parseOptions(SPEC, argv.slice(1));
  if (o.on.has('help')) {
    yield* print(HELP);
    return 0;
  }
  if (/^(0|n|no|f|false|off)$/.test(lastValue(o, 'recursive') ?? '') && !o.on.has('P') && !o.on.has('k')) throw new Failed('Non-recursive counting is only supported when counting processes, not tasks. Use -P or -k.');
  if (o.on.has('machine')) throw new Failed('not modelled: --machine');
  const look = lookOf(o);
  look.terminal = (yield* attempt(sys('ioctl', 1, TCGETS), null)) !== null;
  if (o.words.length > 1) throw new Failed('Too many arguments.');
  const delay = numberOf(o, 'delay', 'delay parameter', 0) ?? 1;
  const asked = numberOf(o, 'iterations', 'iterations parameter', 0);
  const screen = o.on.has('batch') ? null : yield* openScreen();
  const iterations = o.on.has('1') ? 1 : (asked ?? (screen ? 0 : o.on.has('batch') ? 0 : 1));
  let before = new Map<string, Usage>();
  for (let done = 0; ; ) {
    const now = new Map<string, Usage>();
    yield* sample(look.root, look, look.depth, now);
    const rows = compared(now, before).sort(compare(look.order));
    before = now;
    const size = yield* sizeOf();
    const width = screen ? Math.max(10, size.cols - 42) : Math.max(6, ...rows.map((r) => r.path.length));
    yield* print(`${screen ? '\x1b[H\x1b[2J' : ''}${table(screen ? rows.slice(0, size.rows - 3) : rows, look, width)}`);
    if (iterations > 0 && ++done >= iterations) break;
    if (screen) {
      if (yield* key(screen, look, delay)) break;
    } else {
      yield* print('\n');
      yield* sys('nanosleep', delay * 1e9);
    }
  }
  if (screen) yield* closeScreen(screen);
  return 0;
}));
