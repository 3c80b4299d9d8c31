/**
 * Running a program: it is resumed, asks for something (sys.ts), gets it, and goes on until it owes processor time, sleeps,
 * stops or ends. A call that blocks stays pending and is dispatched again, from its beginning, when the task has been woken;
 * signals are looked at before the program or its pending call goes on. A failed call throws SysError into the program. Any
 * other exception of a program is a fault of its model: it is noted and ends that process as abort(3) would, where the world
 * keeps such notes (Kernel.crashes); one of a call's handler is a fault of the engine and is not caught here.
 */
import { type Errno, SIG, SysError } from './abi.ts';
import { brief, noteErrand } from './errands.ts';
import { endThread, exitTask } from './exit.ts';
import { logLine } from './log.ts';
import { touchMemory } from './memory.ts';
import { record } from '../sim/trace.ts';
import { cgroupPath } from './cgroup/charge.ts';
import { taskName } from './pids.ts';
import type { CallRecord, Kernel, Task } from './records.ts';
import { looksFirst, stopsAtEntry, stopsAtExit, stopsAtOnce, stopsInterrupted, takeInjected } from './ptrace.ts';
import { filtered } from './seccomp.ts';
import { deliverSignals, endHandler, killProcess, signalPending } from './signals.ts';
import type { Request, Syscalls } from './sys.ts';
import { callCost } from './syscalls/costs.ts';
import { argumentFault } from './syscalls/signatures.ts';
import { SYSCALLS } from './syscalls/table.ts';
import { AGAIN, BLOCK, GONE, sleepUntil, timeOf } from './wait.ts';

/** ns of owed time after which a program is interrupted to pay. */
const BURST = 50_000;
/** What a program asks for in one burst is far less: everything it can ask for costs something. */
const BURST_STEPS = 1_000_000;
/** ns: what a turn of a program costs that asks for nothing: no time in user mode, no memory. */
const TURN = 10;
/** ns: the least that a call costs which is to be dispatched again. */
const LOOK = 200;
const KEPT_CALLS = 2000;

type AnyHandler = (kernel: Kernel, task: Task, ...args: readonly unknown[]) => unknown;

/** Advances a task that has a processor; comes back when it must pay, or cannot go on. */
export function burst(kernel: Kernel, task: Task): void {
  for (let steps = 0; task.state === 'running'; steps++) {
    if (steps > BURST_STEPS) throw new Error(`time stands still: ${taskName(task)} on ${kernel.name} goes on without end and without spending processor time`);
    if (task.ptrace?.wanted && stopsAtOnce(kernel, task)) return;
    if (task.interrupted || (task.leader === task && task.signals.pending.length > 0)) {
      if (!looksFirst(task)) deliverSignals(kernel, task);
      if (task.state !== 'running') return;
    }
    if (task.pending === null) {
      resume(kernel, task);
      if (task.state !== 'running') return;
    }
    if (task.pending !== null) serve(kernel, task, task.pending);
    if (task.heldBack > 0) holdBack(kernel, task);
    if (task.owed.user + task.owed.system >= BURST || task.owed.user > 0) return;
  }
}

/** Lets the code on top of the stack run to its next request, or to its end. */
function resume(kernel: Kernel, task: Task): void {
  const body = task.stack[task.stack.length - 1]!;
  const given = task.resume;
  task.resume = null;
  let step: IteratorResult<Request, number | void>;
  try {
    step = given && 'error' in given ? body.throw(errorOf(given.error)) : body.next(given?.value);
  } catch (error) {
    if (!(error instanceof SysError)) return crash(kernel, task, error);
    step = { done: true, value: 1 };
  }
  if (!step.done) {
    task.pending = step.value;
    task.scratch = undefined;
    return;
  }
  if (task.stack.length > 1) {
    if (task.ptrace) task.pending = { op: 'sys', name: 'rt_sigreturn', args: [] };
    else endHandler(task);
    return;
  }
  if (task.ptrace?.calls && task.leader === task) task.pending = { op: 'sys', name: 'exit_group', args: [Number(step.value ?? 0)] };
  else if (task.leader === task) exitTask(kernel, task, (Number(step.value ?? 0) & 255) << 8, '');
  else endThread(kernel, task);
}

/** A RangeError is not caught: how deep a stack may get differs from machine to machine. Nor is what an exception says part of the history: engines word it differently. */
function crash(kernel: Kernel, task: Task, error: unknown): void {
  if (!kernel.crashes || !(error instanceof Error || error instanceof SysError) || error instanceof RangeError) throw error;
  const { leader } = task;
  const name = error instanceof SysError ? error.errno : error.name;
  kernel.crashes.push({ t: timeOf(kernel), who: `${taskName(task)} on ${kernel.name}`, text: error instanceof Error && error.stack ? error.stack : String(error) });
  logLine(kernel, 3, `${leader.comm}[${leader.pid}]: aborted: a fault of its model (${name})`);
  const cause = record(kernel.trace, 'kernel', kernel.name, 'program.fault', { pid: leader.pid, comm: leader.comm, error: name, cgroup: cgroupPath(leader.cgroup) }, task.because);
  leader.killedBy = 'fault of its model';
  killProcess(kernel, leader, SIG.ABRT | 0x80, 'fault of its model', cause);
}

function errorOf(error: unknown): unknown {
  return typeof error === 'string' ? new SysError(error as Errno) : error;
}

function serve(kernel: Kernel, task: Task, request: Request): void {
  if (request.op === 'sys') {
    serveCall(kernel, task, request.name, request.args);
    return;
  }
  if (request.op === 'compute') {
    if (request.ns > 0) task.owed.user += request.ns;
    else spend(kernel, task, TURN);
    finish(task, undefined);
    return;
  }
  const before = task.owed.user + task.owed.system;
  const outcome = touchMemory(kernel, task, request.address, request.length, request.mode);
  if (outcome !== 'done') return;
  if (task.owed.user + task.owed.system === before) spend(kernel, task, TURN);
  finish(task, undefined);
}

/** Over memory.high, or waiting for the disk: asleep for a while, whatever it does next. */
function holdBack(kernel: Kernel, task: Task): void {
  const { heldBack } = task;
  task.heldBack = 0;
  if (task.state !== 'running') return;
  sleepUntil(kernel, task, timeOf(kernel) + heldBack);
  fallAsleep(task);
}

function finish(task: Task, value: unknown): void {
  task.pending = null;
  task.scratch = undefined;
  task.resume = { value };
}

function fallAsleep(task: Task): void {
  if (task.state === 'running') task.state = 'sleeping';
}

function spend(kernel: Kernel, task: Task, ns: number): void {
  task.owed.system += ns;
  kernel.ahead += ns;
}

function serveCall(kernel: Kernel, task: Task, name: keyof Syscalls, args: readonly unknown[]): void {
  let result: unknown;
  if (task.ptrace && stopsAtEntry(kernel, task, name, args)) return;
  try {
    result = perform(kernel, task, name, args);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    spend(kernel, task, callCost(name, args, null));
    note(kernel, task, name, args, error.errno, true);
    if (error.why !== '' && error.errno !== 'ENOENT') noteRefusal(kernel, task, name, error);
    if (task.pending === null) return;
    task.pending = null;
    task.scratch = undefined;
    task.resume = { error };
    if (task.ptrace) stopsAtExit(kernel, task, name, args, error.errno, true);
    return;
  }
  if (result === BLOCK) {
    if (task.ptrace?.inCall && task.state === 'running' && signalPending(task)) {
      task.interrupted = true;
      stopsInterrupted(kernel, task, name, args);
    } else if (task.state === 'running' && task.leader === task && signalPending(task)) task.interrupted = true;
    else fallAsleep(task);
    return;
  }
  if (result === AGAIN) {
    if (task.owed.user + task.owed.system === 0) task.owed.system += LOOK;
    return;
  }
  spend(kernel, task, callCost(name, args, result));
  note(kernel, task, name, args, result, false);
  if (result !== GONE) finish(task, result);
  if (!task.ptrace) return;
  const interrupted = name === 'rt_sigreturn' && task.resume && 'error' in task.resume ? task.resume.error : null;
  stopsAtExit(kernel, task, name, args, interrupted ?? (result === GONE ? 0 : result), interrupted !== null);
}

/** The call itself, past what may stand before it: a tracer's result, a filter, arguments that are none. */
function perform(kernel: Kernel, task: Task, name: keyof Syscalls, args: readonly unknown[]): unknown {
  const injected = task.ptrace ? takeInjected(task) : null;
  if (injected) {
    if ('error' in injected) throw new SysError(injected.error);
    return injected.value;
  }
  if (task.seccomp.length > 0) {
    const verdict = filtered(kernel, task, name, args);
    if (verdict) throw new SysError(verdict, `seccomp: a filter on it does not let ${name} through`);
    if (task.state !== 'running') return GONE;
  }
  const fault = argumentFault(name, args);
  if (fault) throw new SysError(fault);
  const handler = SYSCALLS[name] as AnyHandler;
  switch (args.length) {
    case 0: return handler(kernel, task);
    case 1: return handler(kernel, task, args[0]);
    case 2: return handler(kernel, task, args[0], args[1]);
    case 3: return handler(kernel, task, args[0], args[1], args[2]);
    default: return handler(kernel, task, ...args);
  }
}

// ---- the log of calls

function note(kernel: Kernel, task: Task, name: string, args: readonly unknown[], result: unknown, failed: boolean): void {
  if (task.errand !== 0) noteErrand(kernel, task, name, args, result, failed);
  const { calls } = kernel;
  if (task.ns.pid.level === 0 && !task.tty && !calls.traced.has(task.tgid)) return;
  const row: CallRecord = {
    n: calls.next, t: kernel.timeline.now + kernel.ahead, pid: task.pid, comm: task.comm, name, args: args.map(brief), result: brief(result), failed,
  };
  calls.rows[calls.next % KEPT_CALLS] = row;
  calls.next++;
}

/** A refusal whose reason is known is worth a question: of who is in a container, or at a terminal. */
function noteRefusal(kernel: Kernel, task: Task, name: string, error: SysError): void {
  if (task.ns.pid.level === 0 && task.ns.user === kernel.init.user && !task.tty) return;
  record(kernel.trace, 'kernel', kernel.name, 'call.refused', { pid: task.pid, comm: task.comm, name, errno: error.errno, why: error.why, cgroup: cgroupPath(task.cgroup) }, task.because);
}

/** The kept calls, oldest first. */
export function callsOf(kernel: Kernel): CallRecord[] {
  const { rows, next } = kernel.calls;
  const first = next % KEPT_CALLS;
  return rows.length < KEPT_CALLS ? rows.slice() : [...rows.slice(first), ...rows.slice(0, first)];
}
