/**
 * Sleeping and waking. A handler that must wait names its channels with `waitOn`, perhaps a deadline with `sleepUntil`,
 * and returns BLOCK; `wake` makes every task that sleeps on a channel runnable and its call is dispatched again from the
 * beginning, in the order in which they fell asleep. What a call must remember between dispatches is in `task.scratch`.
 * A channel is a name such as "pipe:12" or "child:40". A signal ends the sleep too: the call then fails with EINTR, or is
 * dispatched again (SA_RESTART), as signals.ts decides.
 */
import { cancel, schedule } from '../sim/timeline.ts';
import type { Kernel, Task } from './records.ts';
import { enqueue } from './sched.ts';
import { BLOCK } from './vfs/types.ts';

/** The call has spent processor time (see `owe`) and is dispatched again when that is paid: it never slept. */
export const AGAIN: unique symbol = Symbol('again');
/** The caller's program is over or replaced: there is nobody to return to. */
export const GONE: unique symbol = Symbol('gone');
export { BLOCK };

/** Simulated time as the running task sees it, ns. */
export function timeOf(kernel: Kernel): number {
  return kernel.timeline.now + kernel.ahead;
}

/** The task must spend so much processor time before it goes on; `kind` says on whose account. */
export function owe(task: Task, ns: number, kind: 'user' | 'system'): void {
  task.owed[kind] += ns;
}

export function waitOn(kernel: Kernel, task: Task, channel: string): void {
  let queue = kernel.waiters.get(channel);
  if (!queue) {
    queue = [];
    kernel.waiters.set(channel, queue);
  }
  if (!task.waitingOn.includes(channel)) {
    task.waitingOn.push(channel);
    queue.push(task);
  }
}

/** Wakes the task at `at` (ns) if nothing else has before. */
export function sleepUntil(kernel: Kernel, task: Task, at: number): void {
  if (task.wakeAt) cancel(task.wakeAt);
  task.wakeAt = schedule(kernel.timeline, at, { kind: 'kernel.wake', who: kernel.name, arg: { pid: task.pid } });
}

/** Takes a task off every channel and its timer; what it slept for is over. */
export function stopWaiting(kernel: Kernel, task: Task): void {
  for (const channel of task.waitingOn) {
    const queue = kernel.waiters.get(channel);
    if (!queue) continue;
    const at = queue.indexOf(task);
    if (at >= 0) queue.splice(at, 1);
    if (queue.length === 0) kernel.waiters.delete(channel);
  }
  task.waitingOn.length = 0;
  if (task.wakeAt) cancel(task.wakeAt);
  task.wakeAt = null;
}

/** Wakes all tasks asleep on a channel. */
export function wake(kernel: Kernel, channel: string): void {
  const queue = kernel.waiters.get(channel);
  if (!queue) return;
  if (queue.length === 1) makeRunnable(kernel, queue[0]!);
  else for (const task of queue.slice()) makeRunnable(kernel, task);
}

/** Back to the run queue, if it sleeps. */
export function makeRunnable(kernel: Kernel, task: Task): void {
  stopWaiting(kernel, task);
  if (task.state !== 'sleeping') return;
  enqueue(kernel, task);
}
