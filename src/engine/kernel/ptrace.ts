/**
 * ptrace(2) as strace uses it: a tracer seizes tasks; a seized task stops before and after each system call, when a signal is
 * about to reach it, and at its birth when its maker is traced; wait4 tells of each stop, and the tracer lets it go on. The
 * call that it stops before may be replaced by a result. Who may trace whom is the access check of the manual page, then
 * Yama's kernel.yama.ptrace_scope. Source: ptrace(2), kernel/ptrace.c, security/yama.
 * Left out: memory and registers (the structures of a call come with PTRACE_GET_SYSCALL_INFO), single steps, TRACEME.
 */
import { ERRNO, type Errno, SIG, SysError, type WaitResult } from './abi.ts';
import { nsCapable, shownUid } from './credentials.ts';
import { pidFor } from './pids.ts';
import type { Kernel, Task } from './records.ts';
import { dequeue, endStretch, enqueue, settleAll } from './sched.ts';
import { mayLook } from './vfs/proc/access.ts';
import { makeRunnable, stopWaiting, wake } from './wait.ts';

/** PTRACE_EVENT_STOP in the third byte of a wait status; bit 7 of the signal marks a stop at a system call. */
const EVENT_STOP = 128;

export interface SigInfo {
  signo: number;
  /** SI_USER, SI_KERNEL, CLD_EXITED … */
  code: string;
  pid: number;
  uid: number;
  status: number;
}

export interface SyscallInfo {
  op: 'entry' | 'exit' | 'none';
  name: string;
  args: readonly unknown[];
  /** At exit: the value, or the errno's name with `failed`; ERESTART* when a signal interrupts it and it begins again. */
  result: unknown;
  failed: boolean;
}

type Stop = { kind: 'entry' | 'exit'; info: SyscallInfo } | { kind: 'signal'; info: SigInfo } | { kind: 'group'; signal: number } | { kind: 'stop' };

/** What is traced about a task. */
export interface Tracee {
  tracer: Task;
  /** New children and threads are traced too (PTRACE_O_TRACEFORK and its like). */
  follow: boolean;
  /** Killed when the tracer ends. */
  exitKill: boolean;
  /** Stops at system calls, until told otherwise. */
  calls: boolean;
  stop: Stop | null;
  reported: boolean;
  /** To be stopped as soon as it runs: just attached, or PTRACE_INTERRUPT. */
  wanted: boolean;
  /** Between its stop before a call and the one after it. */
  inCall: boolean;
  /** A signal is there, but the call may first look whether it is done. */
  looked: boolean;
  /** The call that is pending was interrupted before and is not seen to begin. */
  resumed: boolean;
  /** Instead of running the call. */
  injected: { value: unknown } | { error: Errno } | null;
  /** A signal that the tracer has let through. */
  passed: number;
  infos: Map<number, SigInfo>;
}

/** Stops that wait4 has to tell of, oldest first, and ends of tracees that are no children. */
export type TraceNews = Task | { pid: number; result: WaitResult };

const scopeOf = (kernel: Kernel): number => (kernel.drivers.get('yama') as number | undefined) ?? 0;

function descends(task: Task, from: Task): boolean {
  for (let at: Task | null = task.leader; at; at = at.parent) if (at.leader === from.leader) return true;
  return false;
}

/** Throws EPERM. Zombies too are refused. */
function requireTrace(kernel: Kernel, task: Task, target: Task): void {
  const scope = scopeOf(kernel);
  const capable = nsCapable(task, target.ns.user, 'sys_ptrace');
  const allowed = target.leader !== task.leader && target.state !== 'zombie' && !target.ptrace && mayLook(task, target);
  if (!allowed || scope === 3 || (scope === 2 && !capable) || (scope === 1 && !capable && !descends(target, task))) throw new SysError('EPERM');
}

function beginTrace(task: Task, target: Task, options: { follow: boolean; exitKill: boolean }): Tracee {
  const tracee: Tracee = {
    tracer: task.leader, ...options, calls: false, stop: null, reported: false, wanted: false, inCall: false, looked: false, resumed: false, injected: null, passed: 0, infos: new Map(),
  };
  target.ptrace = tracee;
  task.leader.tracees.push(target);
  return tracee;
}

/** A child or thread of a traced task, when its tracer follows: it stops before it does anything. */
export function inheritTrace(kernel: Kernel, task: Task, child: Task): void {
  const above = task.ptrace;
  if (above?.follow) stopFor(kernel, child, beginTrace(above.tracer, child, above), { kind: 'stop' });
}

// ---- stopping

/** Stopped for its tracer alone: not a job that was stopped. */
export const isTraceStop = (task: Task): boolean => task.ptrace?.stop !== null && task.ptrace?.stop !== undefined && task.ptrace.stop.kind !== 'group';

function stopFor(kernel: Kernel, task: Task, tracee: Tracee, stop: Stop): void {
  if (task.state === 'runnable') dequeue(kernel, task);
  stopWaiting(kernel, task);
  task.state = 'stopped';
  tracee.stop = stop;
  tracee.reported = false;
  tracee.wanted = false;
  endStretch(kernel, task);
  tell(kernel, tracee.tracer, task);
}

function tell(kernel: Kernel, tracer: Task, news: TraceNews): void {
  tracer.traceNews.push(news);
  wake(kernel, `child:${tracer.leader.pid}`);
}

/** Before the task goes on: is it to stop? */
export function stopsAtOnce(kernel: Kernel, task: Task): boolean {
  const tracee = task.ptrace;
  if (!tracee?.wanted) return false;
  const { pending } = task;
  if (pending?.op === 'sys' && task.scratch !== undefined && (pending.name === 'nanosleep' || pending.name === 'poll')) tracee.resumed = true;
  tracee.inCall = false;
  stopFor(kernel, task, tracee, { kind: 'stop' });
  return true;
}

/** Before a call; true: it has stopped and the call is not to run yet. What the vDSO answers is no call. */
export function stopsAtEntry(kernel: Kernel, task: Task, name: string, args: readonly unknown[]): boolean {
  const tracee = task.ptrace!;
  if (!tracee.calls || tracee.inCall || (name === 'clock_gettime' && args[0] !== 'cpu')) return false;
  tracee.inCall = true;
  tracee.looked = false;
  const info: SyscallInfo = tracee.resumed ? { op: 'entry', name: 'restart_syscall', args: [name], result: 0, failed: false } : { op: 'entry', name, args, result: 0, failed: false };
  tracee.resumed = false;
  stopFor(kernel, task, tracee, { kind: 'entry', info });
  return true;
}

/** What the tracer wants instead of the call; once. */
export function takeInjected(task: Task): Tracee['injected'] {
  const { injected } = task.ptrace!;
  task.ptrace!.injected = null;
  return injected;
}

/** After a call, unless the task has ended. */
export function stopsAtExit(kernel: Kernel, task: Task, name: string, args: readonly unknown[], result: unknown, failed: boolean): void {
  const tracee = task.ptrace;
  if (!tracee?.inCall || task.state !== 'running') return;
  tracee.inCall = false;
  if (tracee.calls) stopFor(kernel, task, tracee, { kind: 'exit', info: { op: 'exit', name, args, result, failed } });
}

const RESTARTS: Readonly<Record<string, string>> = { nanosleep: 'ERESTART_RESTARTBLOCK', poll: 'ERESTART_RESTARTBLOCK', pause: 'ERESTARTNOHAND' };

/** A signal interrupts a blocked call: seen as its end, before the signal is. */
export function stopsInterrupted(kernel: Kernel, task: Task, name: string, args: readonly unknown[]): void {
  const tracee = task.ptrace!;
  tracee.resumed = name === 'nanosleep' || name === 'poll';
  stopsAtExit(kernel, task, name, args, RESTARTS[name] ?? 'ERESTARTSYS', true);
}

/** Should a pending signal wait, because the interrupted call may be done by now? Says so once a call. */
export function looksFirst(task: Task): boolean {
  const tracee = task.ptrace;
  if (!tracee?.inCall || tracee.looked || task.pending?.op !== 'sys') return false;
  tracee.looked = true;
  return true;
}

/** A signal is about to reach the task; true: it has stopped, and the tracer decides. */
export function stopsForSignal(kernel: Kernel, task: Task, signal: number): boolean {
  const tracee = task.ptrace!;
  if (tracee.passed === signal) {
    tracee.passed = 0;
    return false;
  }
  const info = tracee.infos.get(signal) ?? { signo: signal, code: 'SI_KERNEL', pid: 0, uid: 0, status: 0 };
  tracee.infos.delete(signal);
  stopFor(kernel, task, tracee, { kind: 'signal', info });
  return true;
}

/** It has stopped with its group: the tracer hears of it too. */
export function groupStopped(kernel: Kernel, task: Task, signal: number): void {
  const tracee = task.ptrace!;
  tracee.stop = { kind: 'group', signal };
  tracee.reported = false;
  tell(kernel, tracee.tracer, task);
}

export function noteSignal(task: Task, signal: number, sender: Task | null): void {
  const info: SigInfo = sender
    ? { signo: signal, code: 'SI_USER', pid: pidFor(task, sender.leader), uid: shownUid(task, sender.cred.uid), status: 0 }
    : { signo: signal, code: 'SI_KERNEL', pid: 0, uid: 0, status: 0 };
  if (!task.ptrace!.infos.has(signal)) task.ptrace!.infos.set(signal, info);
}

export function noteChild(parent: Task, child: Task): void {
  const { status } = child;
  const killed = (status & 0x7f) !== 0 && (status & 0x7f) !== 0x7f;
  const code = child.state !== 'zombie' ? 'CLD_STOPPED' : killed ? (status & 0x80 ? 'CLD_DUMPED' : 'CLD_KILLED') : 'CLD_EXITED';
  parent.ptrace!.infos.set(SIG.CHLD, {
    signo: SIG.CHLD, code, pid: pidFor(parent, child), uid: shownUid(parent, child.cred.uid), status: killed ? status & 0x7f : (status >> 8) & 0xff,
  });
}

// ---- ending

function forgetTracee(task: Task): void {
  const { tracees } = task.ptrace!.tracer;
  const at = tracees.indexOf(task);
  if (at >= 0) tracees.splice(at, 1);
  task.ptrace = null;
}

/** A traced task is over. Of one that is not the tracer's child, wait4 tells from the news. */
export function tracedEnd(kernel: Kernel, task: Task, status: number): void {
  const { tracer } = task.ptrace!;
  forgetTracee(task);
  if (task.leader === task && task.parent?.leader === tracer) return;
  settleAll(kernel);
  const pid = pidFor(tracer, task);
  tell(kernel, tracer, { pid, result: { pid, status, rusage: { utime: task.times.user, stime: task.times.system, maxrss: 0 } } });
}

function letGo(kernel: Kernel, task: Task): void {
  const { stop } = task.ptrace!;
  forgetTracee(task);
  if (stop && stop.kind !== 'group' && task.state === 'stopped') enqueue(kernel, task);
}

/** The tracer has ended: its tracees go on alone, or die with it. */
export function releaseTracees(kernel: Kernel, tracer: Task): void {
  tracer.traceNews = [];
  for (const task of [...tracer.tracees]) {
    const kill = task.ptrace!.exitKill;
    letGo(kernel, task);
    if (kill) kernel.exit(kernel, task.leader, SIG.KILL, 'ptrace');
  }
}

// ---- wait4

function statusOf(stop: Stop): number {
  if (stop.kind === 'entry' || stop.kind === 'exit') return ((SIG.TRAP | 0x80) << 8) | 0x7f;
  if (stop.kind === 'signal') return (stop.info.signo << 8) | 0x7f;
  return (EVENT_STOP << 16) | ((stop.kind === 'group' ? stop.signal : SIG.TRAP) << 8) | 0x7f;
}

/** The oldest stop or end of a tracee that wait4 has not told of. `pid` as wait4's, -1 any. */
export function waitTracees(kernel: Kernel, task: Task, pid: number): WaitResult | null {
  const { leader } = task;
  for (let i = 0; i < leader.traceNews.length; i++) {
    const news = leader.traceNews[i]!;
    const of = 'result' in news ? news.pid : pidFor(task, news);
    if (pid > 0 && of !== pid) continue;
    leader.traceNews.splice(i--, 1);
    if ('result' in news) return news.result;
    const tracee = news.ptrace;
    if (!tracee?.stop || tracee.reported || tracee.tracer !== leader) continue;
    tracee.reported = true;
    settleAll(kernel);
    return { pid: of, status: statusOf(tracee.stop), rusage: { utime: news.times.user, stime: news.times.system + news.owed.system, maxrss: 0 } };
  }
  return null;
}

// ---- the call

function resumeTracee(kernel: Kernel, task: Task, tracee: Tracee, signal: number): void {
  const { stop } = tracee;
  tracee.stop = null;
  if (signal > 0 && stop?.kind === 'signal') {
    tracee.passed = signal;
    task.leader.signals.pending.unshift(signal);
    task.interrupted = true;
  }
  if (task.state === 'stopped') enqueue(kernel, task);
}

/** Calls whose result is a number at the door too, so that any number may stand for it. */
const NUMBERS = new Set(
  ('getpid getppid gettid getpgid setpgid getsid setsid unshare setns setpriority sched_yield kill getuid geteuid getgid getegid setgroups setresuid setresgid capset seccomp sethostname setdomainname nanosleep alarm munmap mlock madvise ' +
  'close write pwrite64 lseek mkdirat mknodat unlinkat renameat2 linkat symlinkat fchmodat fchownat utimensat truncate ftruncate faccessat chdir fchdir chroot umask fsync sync flock setxattr removexattr mount umount2 pivot_root ' +
  'bind listen connect sendto sendmsg shutdown setsockopt openat dup dup3 socket').split(' '),
);

type Act = (kernel: Kernel, target: Task, tracee: Tracee, arg: unknown) => unknown;

/** Requests on a tracee that is stopped. */
const ON_STOPPED: Readonly<Record<string, Act>> = {
  PTRACE_SYSCALL(kernel, target, tracee, arg) {
    tracee.calls = true;
    resumeTracee(kernel, target, tracee, Number(arg ?? 0));
    return 0;
  },
  PTRACE_CONT(kernel, target, tracee, arg) {
    tracee.calls = false;
    tracee.inCall = false;
    resumeTracee(kernel, target, tracee, Number(arg ?? 0));
    return 0;
  },
  /** Stays stopped with its group, and is heard of again when that goes on. */
  PTRACE_LISTEN: (_kernel, _target, tracee) => {
    if (tracee.stop?.kind !== 'group') throw new SysError('EIO');
    return 0;
  },
  PTRACE_DETACH(kernel, target, tracee, arg) {
    const signal = Number(arg ?? 0);
    if (signal > 0 && tracee.stop?.kind === 'signal') {
      target.leader.signals.pending.unshift(signal);
      target.interrupted = true;
    }
    letGo(kernel, target);
    return 0;
  },
  PTRACE_GET_SYSCALL_INFO: (_kernel, _target, { stop }) =>
    stop?.kind === 'entry' || stop?.kind === 'exit' ? stop.info : ({ op: 'none', name: '', args: [], result: 0, failed: false } satisfies SyscallInfo),
  PTRACE_GETSIGINFO: (_kernel, _target, { stop }) => {
    if (stop?.kind !== 'signal') throw new SysError('EINVAL');
    return stop.info;
  },
  /** Stands for changing the registers: the call that it stopped before is not made, and this is its result. */
  PTRACE_SETREGSET(_kernel, target, tracee, arg) {
    const given = (arg ?? {}) as { error?: Errno; value?: unknown };
    const call = tracee.stop?.kind === 'entry' || tracee.stop?.kind === 'exit' ? tracee.stop.info.name : '';
    const fits = given.error === undefined ? NUMBERS.has(call) && typeof given.value === 'number' : Object.hasOwn(ERRNO, given.error);
    if (!fits) throw new SysError('EINVAL');
    const result = given.error === undefined ? { value: given.value } : { error: given.error };
    if (tracee.stop?.kind === 'entry') tracee.injected = result;
    else if (tracee.stop?.kind === 'exit') target.resume = result;
    else throw new SysError('EIO');
    return 0;
  },
};

/** ptrace(2). `arg` is the signal to pass on, options, or what a request takes. Throws ESRCH, EPERM, EIO, EINVAL. */
export function ptrace(kernel: Kernel, task: Task, request: string, target: Task | null, arg: unknown): unknown {
  if (!target || target.state === 'dead') throw new SysError('ESRCH');
  if (request === 'PTRACE_SEIZE') {
    requireTrace(kernel, task, target);
    const options = (arg ?? {}) as { follow?: boolean; exitKill?: boolean };
    beginTrace(task, target, { follow: options.follow === true, exitKill: options.exitKill === true });
    return 0;
  }
  const tracee = target.ptrace;
  if (!tracee || tracee.tracer !== task.leader) throw new SysError('ESRCH');
  if (request === 'PTRACE_INTERRUPT') {
    if (tracee.stop) return 0;
    tracee.wanted = true;
    if (target.state === 'stopped') stopFor(kernel, target, tracee, { kind: 'stop' });
    else if (target.state === 'sleeping') makeRunnable(kernel, target);
    return 0;
  }
  const act = Object.hasOwn(ON_STOPPED, request) ? ON_STOPPED[request] : undefined;
  if (!act) throw new SysError('EIO');
  if (!tracee.stop) throw new SysError('ESRCH');
  return act(kernel, target, tracee, arg);
}
