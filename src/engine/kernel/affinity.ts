/** Where a task may run: what it asked for, within its group's cpuset. Source: cpuset(7), sched_setaffinity(2). */
import { effective } from './cgroup/cpuset.ts';
import type { Kernel, Task } from './records.ts';

/** Works out where a task may run; null in `allowed` is everywhere. */
export function settleAffinity(kernel: Kernel, task: Task): void {
  const cpus = effective(kernel, task.cgroup, 'cpus');
  const { affinity } = task.sched;
  const both = affinity === null ? cpus : cpus.filter((one) => affinity.includes(one));
  // A cpuset that leaves nothing of what was asked for wins.
  const allowed = both.length > 0 ? both : cpus;
  task.sched.allowed = allowed.length === kernel.cpus ? null : allowed;
}
