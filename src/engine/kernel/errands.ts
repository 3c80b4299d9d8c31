/**
 * Errands: on whose behalf a task works. A program that somebody at a terminal starts begins one; children inherit it, and a
 * thread that reads from a connection it has accepted goes on with the errand of whoever wrote. So what `docker run` makes
 * dockerd, containerd, the shim and runc do can be told from what they do for others. Of tasks on an errand the calls that
 * make or shape a container are kept, each with its purpose, derived from the call and its arguments (purposes.ts).
 * The errand of a container's own program ends where that program begins, unless it has a terminal and so begins its own.
 */
import type { Kernel, Task } from './records.ts';
import { type Purpose, purposeOf } from './purposes.ts';
import type { Syscalls } from './sys.ts';
import { argumentFault } from './syscalls/signatures.ts';

const KEPT_CALLS = 6000;
const KEPT_ERRANDS = 400;

export interface Errand {
  id: number;
  /** The errand of the one who began it; 0 none. */
  from: number;
  pid: number;
  sid: number;
  argv: readonly string[];
  /** Simulated ns. */
  t: number;
}

export interface ErrandCall {
  n: number;
  /** Simulated ns at its end. */
  t: number;
  errand: number;
  pid: number;
  /** In its own pid namespace. */
  nspid: number;
  sid: number;
  comm: string;
  /** Name of the file it runs. */
  exe: string;
  name: string;
  args: readonly unknown[];
  result: unknown;
  failed: boolean;
  purpose: Purpose;
  /** What a descriptor among the arguments is open on. */
  path: string;
}

export interface Errands {
  next: number;
  /** By id, the newest. */
  begun: Map<number, Errand>;
  /** Wraps at `count`. */
  calls: ErrandCall[];
  count: number;
}

export function createErrands(): Errands {
  return { next: 1, begun: new Map(), calls: [], count: 0 };
}

/** A value as it is kept: the beginning of bytes, no code. */
export function brief(value: unknown): unknown {
  if (value instanceof Uint8Array) return value.length > 48 ? value.slice(0, 48) : value;
  return typeof value === 'function' ? 'fn' : value;
}

/** After a call: kept if it has a purpose. Arguments that no call takes have none. */
export function noteErrand(kernel: Kernel, task: Task, name: string, args: readonly unknown[], result: unknown, failed: boolean): void {
  if (failed && argumentFault(name as keyof Syscalls, args)) return;
  const found = purposeOf(task, name, args);
  if (found) keep(kernel, task, name, args, result, failed, found.purpose, found.path);
}

function keep(
  kernel: Kernel, task: Task, name: string, args: readonly unknown[], result: unknown, failed: boolean, purpose: Purpose, path: string,
): void {
  const { errands } = kernel;
  errands.calls[errands.count % KEPT_CALLS] = {
    n: errands.count, t: kernel.timeline.now + kernel.ahead, errand: task.errand, pid: task.pid, nspid: task.nspids.at(-1) ?? task.pid, sid: task.sid, comm: task.comm,
    exe: task.exe?.dentry.name ?? '', name, args: args.map(brief), result: brief(result), failed, purpose, path,
  };
  errands.count++;
}

/** Before a task's program is replaced: the call is the old program's, the new one may begin an errand or end it. */
export function errandAtExec(kernel: Kernel, task: Task, path: string, argv: readonly string[]): void {
  if (task.errand !== 0) keep(kernel, task, 'execve', [path, argv], 0, false, 'exec', '');
  if (task.tty) {
    const { errands } = kernel;
    const id = errands.next++;
    errands.begun.set(id, { id, from: task.errand, pid: task.pid, sid: task.sid, argv, t: kernel.timeline.now + kernel.ahead });
    const oldest = errands.begun.keys().next().value;
    if (errands.begun.size > KEPT_ERRANDS && oldest !== undefined) errands.begun.delete(oldest);
    task.errand = id;
  } else if (task.errand !== 0 && task.ns.mnt !== kernel.init.mnt) task.errand = 0;
}

/** The kept calls, oldest first. */
export function errandCalls(kernel: Kernel): ErrandCall[] {
  const { calls, count } = kernel.errands;
  const first = count % KEPT_CALLS;
  return calls.length < KEPT_CALLS ? calls.slice() : [...calls.slice(first), ...calls.slice(0, first)];
}
