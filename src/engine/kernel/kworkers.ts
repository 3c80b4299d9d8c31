/** The threads of the kernel that have work now and then, and how they are told of it; kthread.ts makes them. */
import type { Kernel, Task } from './records.ts';
import { makeRunnable } from './wait.ts';

export const FLUSHER = 'kworker/u4:0-flush-254:0';
export const SWAPPER = 'kswapd0';

/** One that has work to do now and then; undefined before they are started. */
export function kthreadNamed(kernel: Kernel, name: string): Task | undefined {
  return kernel.drivers.get(`kthread:${name}`) as Task | undefined;
}

/** There is work for it. */
export function wakeKthread(kernel: Kernel, name: string): void {
  const task = kthreadNamed(kernel, name);
  if (task && task.state === 'sleeping') makeRunnable(kernel, task);
}
