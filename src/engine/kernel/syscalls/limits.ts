/** Resource limits by name. Source: getrlimit(2). What the model enforces: NOFILE, NPROC, AS, FSIZE; the others are kept and printed. */
import { SysError } from '../abi.ts';
import { nsCapable } from '../credentials.ts';
import type { Kernel, Task } from '../records.ts';

const INFINITE = Number.POSITIVE_INFINITY;

/** In the order of their numbers, with what a process begins with; null: half of the threads that fit into the machine. */
const LIMITS: Readonly<Record<string, readonly [cur: number, max: number] | null>> = {
  RLIMIT_CPU: [INFINITE, INFINITE], RLIMIT_FSIZE: [INFINITE, INFINITE], RLIMIT_DATA: [INFINITE, INFINITE], RLIMIT_STACK: [8_388_608, INFINITE],
  RLIMIT_CORE: [0, INFINITE], RLIMIT_RSS: [INFINITE, INFINITE], RLIMIT_NPROC: null, RLIMIT_NOFILE: [1024, 524_288],
  RLIMIT_MEMLOCK: [8_388_608, 8_388_608], RLIMIT_AS: [INFINITE, INFINITE], RLIMIT_LOCKS: [INFINITE, INFINITE], RLIMIT_SIGPENDING: null,
  RLIMIT_MSGQUEUE: [819_200, 819_200], RLIMIT_NICE: [0, 0], RLIMIT_RTPRIO: [0, 0], RLIMIT_RTTIME: [INFINITE, INFINITE],
};

const named = (resource: string): string => (resource.startsWith('RLIMIT_') ? resource : `RLIMIT_${resource}`);

/** Pages of the initial ramdisk, which is still in memory when the limit is set: 26.5 MB. */
const INITRD = 6470;
/** fork_init: an eighth of the machine's memory in stacks of 16 KiB. */
export const threadsMax = (kernel: Kernel): number => Math.max(20, Math.floor((kernel.frames.total - INITRD) / 32));

/** What holds for a process: what it was given, or began with. Throws EINVAL. */
export function resourceLimits(kernel: Kernel, task: Task, resource: string): { cur: number; max: number } {
  const name = named(resource);
  const first = LIMITS[name];
  if (first === undefined) throw new SysError('EINVAL');
  const given = task.limits[name];
  if (given) return given;
  const half = Math.floor(threadsMax(kernel) / 2);
  const [cur, max] = first ?? [half, half];
  return { cur, max };
}

export function setLimit(
  kernel: Kernel, task: Task, target: Task, resource: string, old: { cur: number; max: number }, limit: { cur: number; max: number },
): void {
  if (limit.cur > limit.max) throw new SysError('EINVAL');
  if (limit.max > old.max && !nsCapable(task, kernel.init.user, 'sys_resource')) throw new SysError('EPERM');
  target.limits = { ...target.limits, [named(resource)]: { cur: limit.cur, max: limit.max } };
}
