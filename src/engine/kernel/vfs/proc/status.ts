/** What a process is, as text: status, stat, statm, limits, io, sched. Source: proc_pid_status(5), proc_pid_stat(5) and their like. */
import { PAGE } from '../../../sim/units.ts';
import { CAPABILITIES, MAP_SHARED, PROT_EXEC, PROT_WRITE } from '../../abi.ts';
import { allowedCpus } from '../../policy.ts';
import { listText } from '../../cgroup/numbers.ts';
import { shownGid, shownUid } from '../../credentials.ts';
import { threadsOf } from '../../membership.ts';
import { mappedBytes } from '../../memory.ts';
import { residentPages } from '../../oom.ts';
import type { Area, Kernel, PidNamespace, Task } from '../../records.ts';
import { settleAll } from '../../sched.ts';
import { resourceLimits } from '../../syscalls/limits.ts';
import { pidIn } from '../../task.ts';
import { queueLimit } from '../../signals.ts';

/** USER_HZ: a tick is 10 ms. */
const TICK = 10_000_000;
export const ticks = (ns: number): number => Math.floor(ns / TICK);

const LETTERS: Record<Task['state'], [letter: string, name: string]> = {
  running: ['R', 'running'], runnable: ['R', 'running'], sleeping: ['S', 'sleeping'], stopped: ['T', 'stopped'], zombie: ['Z', 'zombie'], dead: ['X', 'dead'],
};
const TRACED: readonly [string, string] = ['t', 'tracing stop'];

/** Idle threads of the kernel do not count as asleep; who is in the freezer does. */
function stateOf(task: Task): readonly [letter: string, name: string] {
  if (task.ptrace?.stop && task.state === 'stopped') return TRACED;
  if (task.kthread?.idle && task.state === 'sleeping') return ['I', 'idle'];
  return LETTERS[task.state === 'runnable' && task.cgroup.frozen ? 'sleeping' : task.state];
}

/** PF_KTHREAD and what goes with it, PF_NO_SETAFFINITY. */
const flagsOf = ({ kthread }: Task): number => (kthread ? 2129984 + (kthread.bound ? 0x4000000 : 0) : 4194304);

const POLICY: Record<Task['sched']['policy'], number> = { SCHED_OTHER: 0, SCHED_FIFO: 1, SCHED_RR: 2, SCHED_BATCH: 3, SCHED_IDLE: 5 };

/** The pid in `ns` of what the first namespace calls `pid`; 0 when it is not there. */
export function translate(kernel: Kernel, ns: PidNamespace, pid: number): number {
  if (ns.level === 0) return pid;
  const task = kernel.tasks.get(pid);
  return task ? pidIn(ns, task) : 0;
}

function parentIn(ns: PidNamespace, task: Task): number {
  const { parent } = task.leader;
  return parent ? pidIn(ns, parent) : 0;
}

/** 64 bits as 16 hexadecimal digits. */
function bitMask(bits: Iterable<number>): string {
  let low = 0;
  let high = 0;
  for (const bit of bits) {
    if (bit < 32) low |= 1 << bit;
    else high |= 1 << (bit - 32);
  }
  return (high >>> 0).toString(16).padStart(8, '0') + (low >>> 0).toString(16).padStart(8, '0');
}

/** Sets of capabilities do not change: a task gets another. */
const masks = new WeakMap<readonly string[], string>();

/** Names of the capability sets as one number, bit by number. */
function capMask(names: readonly string[]): string {
  const known = masks.get(names);
  if (known) return known;
  const mask = bitMask(names.map((name) => CAPABILITIES.indexOf(name)));
  masks.set(names, mask);
  return mask;
}

const NO_SIGNALS = '0'.repeat(16);

function signalMask(signals: readonly number[]): string {
  return signals.length === 0 ? NO_SIGNALS : bitMask(signals.map((signal) => signal - 1));
}

function handled(task: Task, what: 'ignore' | 'caught'): number[] {
  const found: number[] = [];
  for (const [signal, { handler }] of task.leader.signals.actions) {
    if (handler !== 'default' && (handler === 'ignore') === (what === 'ignore')) found.push(signal);
  }
  return found;
}

const kb = (pages: number): string => `${String((pages * PAGE) / 1024).padStart(8)} kB`;

/** Of the code of a small program, its own; the rest is its libraries'. */
const EXE_PAGES = 10;

function memoryLines(task: Task): string {
  if (task.state === 'zombie' || task.kthread) return '';
  const { mm } = task;
  const size = mappedBytes(mm) / PAGE;
  const pages = (of: (area: Area) => boolean): number => mm.areas.reduce((sum, area) => sum + (of(area) ? area.length / PAGE : 0), 0);
  const top = mm.areas.at(-1);
  const stack = top && !top.file ? top.length / PAGE : 0;
  const code = pages((area) => area.file !== null && (area.prot & PROT_EXEC) !== 0);
  const writable = pages((area) => (area.prot & PROT_WRITE) !== 0 && (area.flags & MAP_SHARED) === 0) - stack;
  const resident = residentPages(task);
  return (
    `VmPeak:\t${kb(Math.max(size, mm.peak))}\nVmSize:\t${kb(size)}\nVmLck:\t${kb(mm.locked)}\nVmPin:\t${kb(0)}\nVmHWM:\t${kb(Math.max(mm.peak, resident))}\nVmRSS:\t${kb(resident)}\n` +
    `RssAnon:\t${kb(mm.rss.anon)}\nRssFile:\t${kb(mm.rss.file)}\nRssShmem:\t${kb(mm.rss.shmem)}\nVmData:\t${kb(writable)}\nVmStk:\t${kb(stack)}\nVmExe:\t${kb(Math.min(code, EXE_PAGES))}\n` +
    `VmLib:\t${kb(Math.max(0, code - EXE_PAGES))}\nVmPTE:\t${kb(mm.pageTables)}\nVmSwap:\t${kb(mm.swapped)}\nHugetlbPages:\t${kb(0)}\nCoreDumping:\t0\nTHP_enabled:\t1\nuntag_mask:\t0xffffffffffffffff\n`
  );
}

/** Room for 1,024 memory nodes, of which node 0 is there. */
const NODE_MASK = [...Array.from({ length: 31 }, () => '00000000'), '00000001'].join(',');

/** /proc/PID/status; `viewer` is who reads. One template: `ps` reads it of every process. */
export function statusText(kernel: Kernel, ns: PidNamespace, task: Task, viewer: Task): string {
  const { cred, signals, leader } = task;
  const { caps } = cred;
  const [letter, name] = stateOf(task);
  const uid = (id: number): number => shownUid(viewer, id);
  const gid = (id: number): number => shownGid(viewer, id);
  const allowed = allowedCpus(kernel, task);
  const mask = allowed.reduce((sum, cpu) => sum + 2 ** cpu, 0).toString(16);
  return (
    `Name:\t${task.comm}\nUmask:\t${task.fs.umask.toString(8).padStart(4, '0')}\nState:\t${letter} (${name})\nTgid:\t${pidIn(ns, leader)}\nNgid:\t0\nPid:\t${pidIn(ns, task)}\nPPid:\t${parentIn(ns, task)}\n` +
    `TracerPid:\t${task.ptrace ? pidIn(ns, task.ptrace.tracer) : 0}\nUid:\t${uid(cred.uid)}\t${uid(cred.euid)}\t${uid(cred.suid)}\t${uid(cred.euid)}\nGid:\t${gid(cred.gid)}\t${gid(cred.egid)}\t${gid(cred.sgid)}\t${gid(cred.egid)}\n` +
    `FDSize:\t${Math.max(task.kthread ? 64 : 256, 2 ** Math.ceil(Math.log2(Math.max(1, task.files.slots.length))))}\nGroups:\t${cred.groups.map((id) => `${gid(id)} `).join('') || ' '}\n` +
    `NStgid:\t${leader.nspids.slice(ns.level).join('\t')}\nNSpid:\t${task.nspids.slice(ns.level).join('\t')}\nNSpgid:\t${below(kernel, ns, task, task.pgid)}\nNSsid:\t${below(kernel, ns, task, task.sid)}\nKthread:\t${task.kthread ? 1 : 0}\n` +
    memoryLines(task) +
    `Threads:\t${threadsOf(kernel, task).length}\nSigQ:\t${leader.signals.pending.length}/${queueLimit(kernel, leader)}\nSigPnd:\t${NO_SIGNALS}\nShdPnd:\t${signalMask(leader.signals.pending)}\nSigBlk:\t${signalMask(signals.blocked)}\n` +
    `SigIgn:\t${task.kthread ? 'f'.repeat(16) : signalMask(handled(task, 'ignore'))}\nSigCgt:\t${signalMask(handled(task, 'caught'))}\nCapInh:\t${capMask(caps.inheritable)}\nCapPrm:\t${capMask(caps.permitted)}\nCapEff:\t${capMask(caps.effective)}\n` +
    `CapBnd:\t${capMask(caps.bounding)}\nCapAmb:\t${capMask(caps.ambient)}\nNoNewPrivs:\t${cred.noNewPrivs ? 1 : 0}\nSeccomp:\t${task.seccomp.length > 0 ? 2 : 0}\nSeccomp_filters:\t${task.seccomp.length}\nSpeculation_Store_Bypass:\tnot vulnerable\n` +
    `SpeculationIndirectBranch:\talways enabled\nCpus_allowed:\t${mask}\nCpus_allowed_list:\t${listText(allowed)}\nMems_allowed:\t${NODE_MASK}\nMems_allowed_list:\t0\nvoluntary_ctxt_switches:\t${task.switches}\nnonvoluntary_ctxt_switches:\t0\n` +
    'x86_Thread_features:\t\nx86_Thread_features_locked:\t\n'
  );
}

/** A process group or session, one number a level from `ns` down to the task's own namespace. */
function below(kernel: Kernel, ns: PidNamespace, task: Task, id: number): string {
  const leader = kernel.tasks.get(id);
  const levels = task.nspids.length - ns.level;
  const known = leader ? leader.nspids.slice(ns.level) : ns.level === 0 ? [id] : [];
  return Array.from({ length: levels }, (_, i) => known[i] ?? 0).join('\t');
}

function ttyNumber(task: Task): number {
  const { tty } = task;
  return !tty ? 0 : tty.isPty ? (136 << 8) | tty.index : (4 << 8) | tty.index;
}

/** /proc/PID/stat: 52 fields. `whole` sums the threads, as for a process. */
export function statText(kernel: Kernel, ns: PidNamespace, task: Task, what: 'process' | 'thread'): string {
  settleAll(kernel);
  const threads = threadsOf(kernel, task);
  const counted = what === 'process' ? threads : [task];
  const sum = (of: (one: Task) => number): number => counted.reduce((total, one) => total + of(one), 0);
  const live = task.state !== 'zombie';
  const size = live ? mappedBytes(task.mm) : 0;
  const fields: (string | number)[] = [
    pidIn(ns, task), `(${task.comm})`, stateOf(task)[0], parentIn(ns, task), translate(kernel, ns, task.pgid), translate(kernel, ns, task.sid),
    ttyNumber(task), task.tty ? translate(kernel, ns, task.tty.foreground) : -1, flagsOf(task), sum((t) => t.faults.minor), 0, sum((t) => t.faults.major), 0,
    ticks(sum((t) => t.times.user)), ticks(sum((t) => t.times.system)), ticks(task.leader.childTimes.user), ticks(task.leader.childTimes.system),
    task.sched.priority > 0 ? -1 - task.sched.priority : 20 + task.nice, task.nice, threads.length, 0, ticks(task.times.startedAt - kernel.bootedAt), size, live ? residentPages(task) : 0, '18446744073709551615',
    0, 0, 0, 0, 0, 0, signalBits(task.signals.blocked), signalBits(handled(task, 'ignore')), signalBits(handled(task, 'caught')),
    task.state === 'sleeping' ? 1 : 0, 0, 0, task.exitSignal, task.sched.cpu ?? task.sched.last, task.sched.priority, POLICY[task.sched.policy], 0, 0, 0, 0, 0, task.mm.brk.start, 0, 0, 0, 0, live ? 0 : task.status,
  ];
  return `${fields.join(' ')}\n`;
}

function signalBits(signals: readonly number[]): number {
  return signals.reduce((sum, signal) => (signal <= 31 ? sum + 2 ** (signal - 1) : sum), 0);
}

export function statmText(task: Task): string {
  if (task.state === 'zombie') return '0 0 0 0 0 0 0\n';
  const { rss } = task.mm;
  const size = Math.floor(mappedBytes(task.mm) / PAGE);
  return `${size} ${residentPages(task)} ${rss.file + rss.shmem} 0 0 ${size} 0\n`;
}

const LIMITS: readonly [name: string, resource: string, unit: string][] = [
  ['Max cpu time', 'CPU', 'seconds'], ['Max file size', 'FSIZE', 'bytes'], ['Max data size', 'DATA', 'bytes'], ['Max stack size', 'STACK', 'bytes'], ['Max core file size', 'CORE', 'bytes'],
  ['Max resident set', 'RSS', 'bytes'], ['Max processes', 'NPROC', 'processes'], ['Max open files', 'NOFILE', 'files'], ['Max locked memory', 'MEMLOCK', 'bytes'], ['Max address space', 'AS', 'bytes'],
  ['Max file locks', 'LOCKS', 'locks'], ['Max pending signals', 'SIGPENDING', 'signals'], ['Max msgqueue size', 'MSGQUEUE', 'bytes'], ['Max nice priority', 'NICE', ''], ['Max realtime priority', 'RTPRIO', ''],
  ['Max realtime timeout', 'RTTIME', 'us'],
];

export function limitsText(kernel: Kernel, task: Task): string {
  const show = (value: number): string => (Number.isFinite(value) ? String(value) : 'unlimited').padEnd(20);
  const rows = LIMITS.map(([name, resource, unit]) => {
    const { cur, max } = resourceLimits(kernel, task, resource);
    return `${name.padEnd(25)} ${show(cur)} ${show(max)} ${unit === '' ? '' : unit.padEnd(10)}\n`;
  });
  return `${'Limit'.padEnd(25)} ${'Soft Limit'.padEnd(20)} ${'Hard Limit'.padEnd(20)} ${'Units'.padEnd(10)}\n${rows.join('')}`;
}

/** time on a processor, time waiting for one (not kept), time slices. */
export function schedstatText(kernel: Kernel, task: Task): string {
  settleAll(kernel);
  return `${Math.floor(task.times.user + task.times.system)} 0 ${task.switches}\n`;
}

export function schedText(kernel: Kernel, ns: PidNamespace, task: Task): string {
  settleAll(kernel);
  const row = (name: string, value: string | number): string => `${name.padEnd(45)}:${String(value).padStart(21)}\n`;
  const ms = (n: number): string => (n / 1e6).toFixed(6);
  const head = `${task.comm} (${pidIn(ns, task)}, #threads: ${threadsOf(kernel, task).length})\n${'-'.repeat(67)}\n`;
  return (
    head + row('se.exec_start', ms(kernel.timeline.now)) + row('se.vruntime', ms(task.sched.vruntime)) + row('se.sum_exec_runtime', ms(task.times.user + task.times.system)) +
    row('nr_switches', task.switches) + row('prio', 120 + task.nice) + row('policy', 0)
  );
}
