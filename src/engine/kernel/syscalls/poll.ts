/** poll over any mix of descriptors. Source: poll(2). Files that cannot wait are always ready. */
import { POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, type PollFd } from '../abi.ts';
import type { Kernel, Task } from '../records.ts';
import type { MayBlock } from '../vfs/types.ts';
import { BLOCK, sleepUntil, timeOf, waitOn } from '../wait.ts';
import type { Handlers } from './handlers.ts';

const ALWAYS = POLLERR | POLLHUP;

function readiness(kernel: Kernel, task: Task, one: PollFd): number {
  const file = task.files.slots[one.fd]?.file;
  if (!file) return POLLNVAL;
  const bits = file.ops.poll ? file.ops.poll(kernel, file) : POLLIN | POLLOUT;
  return bits & (one.events | ALWAYS);
}

function poll(kernel: Kernel, task: Task, fds: readonly PollFd[], timeout: number): MayBlock<{ fd: number; revents: number }[]> {
  const ready: { fd: number; revents: number }[] = [];
  for (const one of fds) {
    if (one.fd < 0) continue;
    const revents = readiness(kernel, task, one);
    if (revents !== 0) ready.push({ fd: one.fd, revents });
  }
  if (ready.length > 0 || timeout === 0) return ready;
  if (timeout > 0) {
    const until = (task.scratch ??= timeOf(kernel) + timeout) as number;
    if (timeOf(kernel) >= until) return [];
    sleepUntil(kernel, task, until);
  }
  for (const one of fds) {
    const file = task.files.slots[one.fd]?.file;
    for (const channel of file?.ops.channels?.(file) ?? []) waitOn(kernel, task, channel);
  }
  return BLOCK;
}

export const pollHandlers = { poll } satisfies Partial<Handlers>;
