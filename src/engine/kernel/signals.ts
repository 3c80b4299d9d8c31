/**
 * Signals: sending, what a task does about them, stopping and continuing. Source: signal(7), pid_namespaces(7).
 *
 * A signal is pending until its receiver is about to go on with its program; SIGKILL acts at once. The first process of a
 * pid namespace gets only those it has a handler for, except SIGKILL and SIGSTOP from outside. Real-time signals are queued, up to
 * RLIMIT_SIGPENDING; of the others one of a kind is kept. Lower numbers go first. Left out: alternate stacks, siginfo.
 */
import { record } from '../sim/trace.ts';
import { SIG } from './abi.ts';
import { groupOf } from './membership.ts';
import { groupStopped, isTraceStop, noteChild, noteSignal, stopsForSignal } from './ptrace.ts';
import type { Kernel, Task } from './records.ts';
import { dequeue, endStretch, enqueue } from './sched.ts';
import { type SigAction } from './sys.ts';
import { resourceLimits } from './syscalls/limits.ts';
import { abandonOpen } from './vfs/descriptors.ts';
import { makeRunnable, stopWaiting, wake } from './wait.ts';

/** The first of the signals that are queued. */
const REAL_TIME = 32;
const DEFAULT: SigAction = { handler: 'default' };
const IGNORED_BY_DEFAULT: ReadonlySet<number> = new Set([SIG.CHLD, SIG.URG, SIG.WINCH, SIG.CONT]);
const STOPS: ReadonlySet<number> = new Set([SIG.STOP, SIG.TSTP, SIG.TTIN, SIG.TTOU]);
const DUMPS: ReadonlySet<number> = new Set([
  SIG.QUIT, SIG.ILL, SIG.TRAP, SIG.ABRT, SIG.BUS, SIG.FPE, SIG.SEGV, SIG.XCPU, SIG.XFSZ, SIG.SYS,
]);
/** Calls that fail with EINTR whatever SA_RESTART says. */
const NEVER_RESTARTED: ReadonlySet<string> = new Set(['poll', 'nanosleep', 'pause']);

const NAMES = new Map<number, string>(Object.entries(SIG).map(([name, number]) => [number, `SIG${name}`]));

export function signalName(signal: number): string {
  return NAMES.get(signal) ?? `SIG${signal}`;
}

export function alive(task: Task): boolean {
  return task.state !== 'zombie' && task.state !== 'dead';
}

/** First process of its pid namespace (or of the machine). */
export function isNamespaceInit(task: Task): boolean {
  return task.leader.nspids[task.leader.nspids.length - 1] === 1;
}

function action(task: Task, signal: number): SigAction {
  return task.signals.actions.get(signal) ?? DEFAULT;
}

function isIgnored(task: Task, signal: number): boolean {
  const { handler } = action(task, signal);
  return handler === 'ignore' || (handler === 'default' && IGNORED_BY_DEFAULT.has(signal));
}

/** Does the receiver's being an init shield it? `sender` null is the kernel. */
function shielded(task: Task, signal: number, sender: Task | null): boolean {
  if (!isNamespaceInit(task) || action(task, signal).handler !== 'default') return false;
  const outside = sender === null || !sender.ns.pid.tasks.has(1) || sender.nspids.length < task.nspids.length;
  return !(outside && (signal === SIG.KILL || signal === SIG.STOP));
}

/** Sends a signal to a process. `why` names its origin in records ("pipe", "tty", "oom"); `sender` when a task did it. */
export function sendSignal(kernel: Kernel, to: Task, signal: number, why: string, sender: Task | null = null, because?: number): void {
  const task = to.leader;
  if (!alive(task) || signal === 0 || task.kthread) return;
  if (signal === SIG.CONT) continueTask(kernel, task);
  if (shielded(task, signal, sender)) return;
  if (signal === SIG.KILL) {
    killProcess(kernel, task, SIG.KILL, sender ? String(sender.pid) : why, because);
    return;
  }
  const { signals } = task;
  const blocked = signals.blocked.includes(signal);
  if (signal === SIG.CONT) signals.pending = signals.pending.filter((one) => !STOPS.has(one));
  if (STOPS.has(signal)) signals.pending = signals.pending.filter((one) => one !== SIG.CONT);
  if (task.ptrace) noteSignal(task, signal, sender);
  else if (!blocked && isIgnored(task, signal) && signal !== SIG.STOP) return;
  const fatal = action(task, signal).handler === 'default' && !STOPS.has(signal) && !DUMPS.has(signal) && !IGNORED_BY_DEFAULT.has(signal);
  if (task.cgroup.frozen && !blocked && fatal && !task.ptrace) {
    // Death reaches into the freezer.
    killProcess(kernel, task, signal, sender ? String(sender.pid) : why, because);
    return;
  }
  if (!signals.pending.includes(signal) || (signal >= REAL_TIME && signals.pending.length < queueLimit(kernel, task))) signals.pending.push(signal);
  task.because = because ?? task.because;
  if (sender || why) task.killedBy = sender ? String(sender.pid) : why;
  if (!blocked || signal === SIG.STOP) interrupt(kernel, task);
}

/** Lets a sleeping task look at its signals. */
function interrupt(kernel: Kernel, task: Task): void {
  task.interrupted = true;
  if (task.state === 'sleeping') makeRunnable(kernel, task);
}

/** Ends a process of however many threads by a signal, at once. */
export function killProcess(kernel: Kernel, task: Task, signal: number, by: string, because?: number): void {
  const cause = record(
    kernel.trace, 'kernel', kernel.name, 'signal', { pid: task.pid, comm: task.comm, signal: signalName(signal), by }, because ?? task.because,
  );
  task.because = cause;
  kernel.exit(kernel, task, signal, by);
}

export function continueTask(kernel: Kernel, task: Task): void {
  if (task.state !== 'stopped' || isTraceStop(task)) return;
  if (task.ptrace) task.ptrace.stop = null;
  task.noted.stopped = false;
  task.noted.continued = true;
  if (task.waitingOn.length > 0 || task.wakeAt) task.state = 'sleeping';
  else enqueue(kernel, task);
  notifyParent(kernel, task);
}

function stopTask(kernel: Kernel, task: Task, signal: number): void {
  if (task.state === 'runnable') dequeue(kernel, task);
  stopWaiting(kernel, task);
  task.state = 'stopped';
  task.status = (signal << 8) | 0x7f;
  task.noted.stopped = true;
  task.noted.continued = false;
  endStretch(kernel, task);
  record(kernel.trace, 'kernel', kernel.name, 'task.stop', { pid: task.pid, comm: task.comm, signal: signalName(signal) }, task.because);
  if (task.ptrace) groupStopped(kernel, task, signal);
  notifyParent(kernel, task);
}

/** The parent hears of a stop, a continuation or an end. */
export function notifyParent(kernel: Kernel, task: Task): void {
  const { parent } = task;
  if (!parent) return;
  if (parent.ptrace && task.exitSignal === SIG.CHLD) noteChild(parent, task);
  if (task.exitSignal !== 0) sendSignal(kernel, parent, task.exitSignal, 'child');
  wake(kernel, `child:${parent.leader.pid}`);
}

export function signalGroup(kernel: Kernel, pgid: number, signal: number, why: string, sender: Task | null = null): number {
  let sent = 0;
  for (const task of [...groupOf(kernel, pgid)]) {
    if (task.state === 'dead') continue;
    sendSignal(kernel, task, signal, why, sender);
    sent++;
  }
  return sent;
}

/** Is a signal waiting that the task does not block? Long handlers ask before they go on. */
export function signalPending(task: Task): boolean {
  const { pending, blocked } = task.leader.signals;
  return pending.some((signal) => !blocked.includes(signal) || signal === SIG.STOP);
}

/** Signals that a user may have waiting. */
export function queueLimit(kernel: Kernel, task: Task): number {
  return resourceLimits(kernel, task, 'RLIMIT_SIGPENDING').cur;
}

/** The lowest pending signal that is not blocked; 0 when there is none. */
function firstOf({ pending, blocked }: Task['signals']): number {
  let first = 0;
  for (const signal of pending) if ((first === 0 || signal < first) && (!blocked.includes(signal) || signal === SIG.STOP)) first = signal;
  return first;
}

/** Acts on what is pending, before the task goes on. The task may end, stop, or have a handler on top of its stack. */
export function deliverSignals(kernel: Kernel, task: Task): void {
  const { signals } = task;
  for (;;) {
    const signal = firstOf(signals);
    if (signal === 0) break;
    signals.pending.splice(signals.pending.indexOf(signal), 1);
    if (task.ptrace && stopsForSignal(kernel, task, signal)) return;
    const { handler, restart } = action(task, signal);
    if (signal !== SIG.STOP && (handler === 'ignore' || (handler === 'default' && IGNORED_BY_DEFAULT.has(signal)))) continue;
    if (handler === 'default' || handler === 'ignore') {
      if (STOPS.has(signal)) {
        if (signal !== SIG.STOP && orphanedGroup(kernel, task)) continue;
        stopTask(kernel, task, signal);
      } else killProcess(kernel, task, DUMPS.has(signal) ? signal | 0x80 : signal, task.killedBy);
      return;
    }
    callHandler(kernel, task, signal, handler, restart === true);
  }
  task.interrupted = false;
}

function callHandler(kernel: Kernel, task: Task, signal: number, handler: Exclude<SigAction['handler'], string>, restart: boolean): void {
  const { pending } = task;
  let { resume } = task;
  let kept = pending;
  if (pending && task.interrupted && pending.op === 'sys' && task.scratch !== 'fresh') {
    if (!restart || NEVER_RESTARTED.has(pending.name)) {
      abandonOpen(kernel, task);
      kept = null;
      resume = { error: 'EINTR' };
    }
  }
  stopWaiting(kernel, task);
  task.saved.push({ pending: kept, resume, scratch: kept ? task.scratch : undefined, mask: task.signals.blocked });
  task.signals.blocked = [...task.signals.blocked, signal];
  task.pending = null;
  task.resume = null;
  task.scratch = undefined;
  task.stack.push(handler(signal));
}

/** A signal handler has returned: what it interrupted goes on as it was. */
export function endHandler(task: Task): void {
  task.stack.pop();
  const before = task.saved.pop()!;
  task.pending = before.pending;
  task.resume = before.resume;
  task.scratch = before.scratch;
  task.signals.blocked = before.mask;
}

/** A group none of whose members has a parent in another group of the same session: job control cannot reach it. */
export function orphanedGroup(kernel: Kernel, task: Task): boolean {
  for (const other of groupOf(kernel, task.pgid)) {
    if (!alive(other) || !other.parent) continue;
    if (other.parent.pgid !== task.pgid && other.parent.sid === task.sid) return false;
  }
  return true;
}
