/**
 * Sleeping and waking. A handler that must wait names its channels with `waitOn` and returns BLOCK; `wake` makes every
 * task that sleeps on a channel runnable and its call is dispatched again, in the order in which they fell asleep.
 * A channel is a name such as "pipe:12" or "child:40".
 */
import { cancel } from '../sim/timeline.ts';
import type { Kernel, Task } from './records.ts';

export function waitOn(kernel: Kernel, task: Task, channel: string): void {
  let queue = kernel.waiters.get(channel);
  if (!queue) {
    queue = [];
    kernel.waiters.set(channel, queue);
  }
  if (!queue.includes(task)) queue.push(task);
  if (!task.waitingOn.includes(channel)) task.waitingOn.push(channel);
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
  for (const task of queue.slice()) makeRunnable(kernel, task);
}

/** Back to the run queue, unless it is stopped, frozen or over. */
export function makeRunnable(kernel: Kernel, task: Task): void {
  stopWaiting(kernel, task);
  if (task.state !== 'sleeping') return;
  task.state = 'runnable';
  kernel.enqueue(task);
}
