/** top and vmstat of procps: what the processors did since the last look, and for whom. Keys of top: q, M, P, T, 1, k is not. */
import { sys } from '../../kernel/sys.ts';
import { BadOption, parseOptions, lastValue } from '../lib/args.ts';
import { tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, print } from '../lib/io.ts';
import { type Accounts, findUser, readAccounts, userName } from './accounts.ts';
import { type Machine, type Process, readMachine, readProcesses, TICKS } from './processes.ts';
import { commandLine } from './processes.ts';
import { closeScreen, nextKey, openScreen, sizeOf } from './screen.ts';
import { uptimeLine } from './system.ts';

interface Sample {
  /** user nice system idle iowait irq softirq steal, ticks, of all processors. */
  cpu: number[];
  each: number[][];
  at: number;
  ticks: Map<number, number>;
  processes: Process[];
}

function* sample(): Call<Sample> {
  const stat = (yield* tryRead('/proc/stat')) ?? '';
  const rows = [...stat.matchAll(/^cpu(\d*)\s+(.*)$/gm)];
  const numbers = (row: string): number[] => row.trim().split(/\s+/).map(Number);
  const processes = yield* readProcesses();
  return {
    cpu: numbers(rows.find((r) => r[1] === '')?.[2] ?? '0 0 0 1'), each: rows.filter((r) => r[1] !== '').map((r) => numbers(r[2]!)), at: yield* sys('clock_gettime', 'monotonic'),
    ticks: new Map(processes.map((p) => [p.pid, p.utime + p.stime])), processes,
  };
}

type SortKey = 'cpu' | 'memory' | 'time' | 'pid';

interface View {
  sort: SortKey;
  full: boolean;
  /** One line a processor. */
  each: boolean;
  users: Set<number> | null;
  pids: Set<number> | null;
}

export const top = command(function* (argv) {
  const args = argv.slice(1).map((a) => (/^[a-zA-Z0-9]+$/.test(a) && argv[1] === a ? `-${a}` : a));
  const o = parseOptions('b c d= e E= H h i n= o= O p= s S u= U= w? 1', args);
  const accounts = yield* readAccounts();
  const delay = Number(lastValue(o, 'd') ?? 3);
  if (Number.isNaN(delay)) throw new BadOption(`bad delay interval '${lastValue(o, 'd')}'`);
  const user = lastValue(o, 'u') ?? lastValue(o, 'U');
  const view: View = {
    sort: { '%MEM': 'memory', MEM: 'memory', PID: 'pid', 'TIME+': 'time' }[(lastValue(o, 'o') ?? '').replace(/^[-+]/, '')] as SortKey | undefined ?? 'cpu', full: o.on.has('c'), each: o.on.has('1'),
    users: user === undefined ? null : new Set([findUser(accounts, user)?.uid ?? -1]), pids: o.on.has('p') ? new Set(o.values.get('p')!.flatMap((v) => v.split(',').map(Number))) : null,
  };
  let left = Number(lastValue(o, 'n') ?? Number.POSITIVE_INFINITY);
  const screen = o.on.has('b') ? null : yield* openScreen();
  let before: Sample | null = null;
  while (left-- > 0) {
    const now: Sample = yield* sample();
    const machine = yield* readMachine();
    const text = yield* table(view, accounts, machine, before, now);
    before = now;
    if (!screen) {
      yield* print(`${text}${left > 0 ? '\n' : ''}`);
      if (left > 0) yield* sys('nanosleep', delay * 1e9);
      continue;
    }
    const { rows, cols } = yield* sizeOf();
    const lines = text.split('\n').slice(0, rows - 1).map((l, i) => (l.startsWith('    PID') || l.startsWith('  PID') ? `\x1b[7m${l.slice(0, cols).padEnd(cols)}\x1b[0m` : i < 5 ? l.slice(0, cols) : l.slice(0, cols)));
    yield* print(`\x1b[H\x1b[2J${lines.join('\r\n')}`);
    const key = yield* nextKey(screen, delay * 1e9);
    if (key === 'q') break;
    if (key === 'M') view.sort = 'memory';
    if (key === 'P') view.sort = 'cpu';
    if (key === 'T') view.sort = 'time';
    if (key === 'N') view.sort = 'pid';
    if (key === 'c') view.full = !view.full;
    if (key === '1') view.each = !view.each;
  }
  if (screen) yield* closeScreen(screen);
  return 0;
});

const one = (n: number): string => n.toFixed(1);

function cpuLine(label: string, now: readonly number[], before: readonly number[]): string {
  const spent = now.map((n, i) => n - (before[i] ?? 0));
  const total = spent.slice(0, 8).reduce((a, b) => a + b, 0) || 1;
  const share = (i: number): string => one(((spent[i] ?? 0) * 100) / total).padStart(5);
  return `%Cpu${label}:${share(0)} us,${share(2)} sy,${share(1)} ni,${share(3)} id,${share(4)} wa,${share(5)} hi,${share(6)} si,${share(7)} st `;
}

function* table(view: View, accounts: Accounts, machine: Machine, before: Sample | null, now: Sample): Call<string> {
  const { processes } = now;
  const state = (letters: string): string => String(processes.filter((p) => letters.includes(p.state)).length).padStart(3);
  const m = (name: string): number => machine.memory[name] ?? 0;
  const mib = (kib: number): string => one(kib / 1024).padStart(8);
  const cache = m('Buffers') + m('Cached') + m('SReclaimable');
  const none: number[] = [];
  const cpus = view.each ? now.each.map((c, i) => cpuLine(String(i).padEnd(2), c, before?.each[i] ?? none)) : [cpuLine('(s)', now.cpu, before?.cpu ?? none)];
  const rows = chosen(view, machine, before, now);
  const width = machine.pidWidth;
  const heading = `${'PID'.padStart(width)} USER      PR  NI    VIRT    RES    SHR S  %CPU  %MEM     TIME+ COMMAND`;
  return [
    `top -${yield* uptimeLine()}`, `Tasks:${String(processes.length).padStart(4)} total,${state('R').padStart(4)} running,${state('SDI').padStart(4)} sleeping,${state('Tt').padStart(4)} stopped,${state('Z').padStart(4)} zombie`, ...cpus,
    `MiB Mem :${mib(m('MemTotal'))} total,${mib(m('MemFree'))} free,${mib(m('MemTotal') - m('MemAvailable'))} used,${mib(cache)} buff/cache     `,
    `MiB Swap:${mib(m('SwapTotal'))} total,${mib(m('SwapFree'))} free,${mib(m('SwapTotal') - m('SwapFree'))} used.${mib(m('MemAvailable'))} avail Mem `, '', heading,
    ...rows.map((r) => rowText(r.p, r.cpu, view, accounts, machine, width)), '',
  ].join('\n');
}

function chosen(view: View, machine: Machine, before: Sample | null, now: Sample): { p: Process; cpu: number }[] {
  const span = before ? (now.at - before.at) / 1e9 : machine.uptime;
  const rows = now.processes
    .filter((p) => (!view.users || view.users.has(p.euid)) && (!view.pids || view.pids.has(p.pid)))
    .map((p) => ({ p, cpu: (((p.utime + p.stime - (before?.ticks.get(p.pid) ?? 0)) / TICKS) * 100) / Math.max(span, 0.01) }));
  const key = { cpu: (r: { cpu: number }): number => r.cpu, memory: (r: { p: Process }): number => r.p.rss, time: (r: { p: Process }): number => r.p.utime + r.p.stime, pid: (r: { p: Process }): number => r.p.pid }[view.sort];
  return rows.sort((a, b) => key(b) - key(a) || a.p.pid - b.p.pid);
}

function rowText(p: Process, cpu: number, view: View, accounts: Accounts, machine: Machine, width: number): string {
  const user = userName(accounts, p.euid);
  const hundredths = p.utime + p.stime;
  const time = `${Math.floor(hundredths / 6000)}:${String(Math.floor(hundredths / 100) % 60).padStart(2, '0')}.${String(hundredths % 100).padStart(2, '0')}`;
  const shared = Number(/^RssFile:\s*(\d+)/m.exec(p.status)?.[1] ?? 0) + Number(/^RssShmem:\s*(\d+)/m.exec(p.status)?.[1] ?? 0);
  const name = view.full ? commandLine(p) : p.comm;
  return `${String(p.pid).padStart(width)} ${(user.length > 8 ? `${user.slice(0, 7)}+` : user).padEnd(8)} ${String(p.priority).padStart(3)} ${String(p.nice).padStart(3)} ${scaled(p.vsize / 1024).padStart(7)} ${scaled(p.rss * 4).padStart(6)} ${scaled(shared).padStart(6)} ${p.state} ${one(Math.min(cpu, 9999)).padStart(5)} ${one((p.rss * 400) / (machine.memory.MemTotal ?? 1)).padStart(5)} ${time.padStart(9)} ${name}`;
}

/** KiB while they fit in six figures, then "1.2g". */
function scaled(kib: number): string {
  return kib < 1_000_000 ? String(Math.floor(kib)) : kib < 1_048_576 * 10 ? `${(kib / 1_048_576).toFixed(1)}g` : `${Math.round(kib / 1_048_576)}g`;
}

export const vmstat = command(function* (argv) {
  const o = parseOptions('a n S= w/wide t s', argv.slice(1));
  const delay = Number(o.words[0] ?? 0);
  let left = o.words.length > 1 ? Number(o.words[1]) : delay > 0 ? Number.POSITIVE_INFINITY : 1;
  yield* print('procs -----------memory---------- ---swap-- -----io---- -system-- -------cpu-------\n r  b   swpd   free   buff  cache   si   so    bi    bo   in   cs us sy id wa st gu\n');
  let before: { cpu: number[]; ctxt: number; intr: number } = { cpu: [], ctxt: 0, intr: 0 };
  let span = Number(((yield* tryRead('/proc/uptime')) ?? '1').split(' ')[0]);
  for (; left > 0; left--) {
    const stat = (yield* tryRead('/proc/stat')) ?? '';
    const field = (name: string): number => Number(new RegExp(`^${name}\\s+(\\d+)`, 'm').exec(stat)?.[1] ?? 0);
    const cpu = (/^cpu\s+(.*)$/m.exec(stat)?.[1] ?? '').trim().split(/\s+/).map(Number);
    const spent = cpu.map((n, i) => n - (before.cpu[i] ?? 0));
    const total = spent.slice(0, 8).reduce((a, b) => a + b, 0) || 1;
    const share = (...at: number[]): number => Math.round((at.reduce((sum, i) => sum + (spent[i] ?? 0), 0) * 100) / total);
    const { memory: m } = yield* readMachine();
    const n = (name: string): number => m[name] ?? 0;
    const [ctxt, intr] = [field('ctxt'), field('intr')];
    const rate = (now: number, old: number): number => Math.round((now - old) / Math.max(span, 0.01));
    const cells: [number, number][] = [
      [field('procs_running'), 2], [field('procs_blocked'), 2], [n('SwapTotal') - n('SwapFree'), 6], [n('MemFree'), 6], [n('Buffers'), 6], [n('Cached') + n('SReclaimable'), 6], [0, 4], [0, 4], [0, 5], [0, 5],
      [rate(intr, before.intr), 4], [rate(ctxt, before.ctxt), 4], [share(0, 1), 2], [share(2, 5, 6), 2], [share(3), 2], [share(4), 2], [share(7), 2], [0, 2],
    ];
    yield* print(`${cells.map(([value, width]) => String(value).padStart(width)).join(' ')}\n`);
    before = { cpu, ctxt, intr };
    span = delay;
    if (left > 1) yield* sys('nanosleep', delay * 1e9);
  }
});
