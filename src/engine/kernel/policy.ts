/**
 * What a task asks of the scheduler: policy, real-time priority, nice, and the processors it may run on. Its own affinity
 * holds within its cgroup's cpuset. Source: sched(7), sched_setaffinity(2), sched_setscheduler(2), cpuset(7).
 * Left out: SCHED_DEADLINE, utilisation clamps.
 */
import { SysError } from './abi.ts';
import { below, effective } from './cgroup/cpuset.ts';
import { settleAffinity } from './affinity.ts';
import { nsCapable } from './credentials.ts';
import type { Cgroup, Kernel, SchedPolicy, Task } from './records.ts';
import { repolicy, rescheduleAll } from './sched.ts';

const REAL_TIME_MAX = 99;
export const isRealTime = (task: Task): boolean => task.sched.policy === 'SCHED_FIFO' || task.sched.policy === 'SCHED_RR';

/** cpuset.cpus or a partition has changed here: so has where the tasks below may run. */
export function cpusetChanged(kernel: Kernel, cgroup: Cgroup): void {
  for (const one of below(cgroup)) for (const task of one.tasks) settleAffinity(kernel, task);
  rescheduleAll(kernel);
}

function requireOver(task: Task, target: Task): void {
  if (task.cred.euid === target.cred.uid || task.cred.euid === target.cred.euid) return;
  if (!nsCapable(task, target.ns.user, 'sys_nice')) throw new SysError('EPERM');
}

/** Throws EINVAL when none of the processors is one the task may have, EPERM. */
export function setAffinity(kernel: Kernel, task: Task, target: Task, cpus: readonly number[]): void {
  requireOver(task, target);
  if (target.kthread?.bound) throw new SysError('EINVAL');
  const have = effective(kernel, target.cgroup, 'cpus');
  const wanted = cpus.filter((one) => have.includes(one));
  if (wanted.length === 0) throw new SysError('EINVAL');
  target.sched.affinity = [...cpus].sort((a, b) => a - b);
  settleAffinity(kernel, target);
  rescheduleAll(kernel);
}

export function allowedCpus(kernel: Kernel, task: Task): readonly number[] {
  return task.sched.allowed ?? Array.from({ length: kernel.cpus }, (_, i) => i);
}

/** Throws EINVAL (no such policy or priority), EPERM (a raise beyond RLIMIT_RTPRIO without CAP_SYS_NICE). */
export function setPolicy(kernel: Kernel, task: Task, target: Task, policy: SchedPolicy, priority: number, resetOnFork: boolean): void {
  const realTime = policy === 'SCHED_FIFO' || policy === 'SCHED_RR';
  if (!realTime && policy !== 'SCHED_OTHER' && policy !== 'SCHED_BATCH' && policy !== 'SCHED_IDLE') throw new SysError('EINVAL');
  if (realTime ? priority < 1 || priority > REAL_TIME_MAX : priority !== 0) throw new SysError('EINVAL');
  requireOver(task, target);
  if (realTime && priority > (target.limits.RLIMIT_RTPRIO?.cur ?? 0) && !nsCapable(task, kernel.init.user, 'sys_nice')) throw new SysError('EPERM');
  repolicy(kernel, target, () => Object.assign(target.sched, { policy, priority, resetOnFork }));
}
