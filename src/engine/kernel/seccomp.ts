/** seccomp filters by the names of system calls, as container profiles write them. All filters of a task must allow a call. Source: seccomp(2). */
import type { Task } from './records.ts';

/** Does some filter refuse this call? `names` of a filter are the exceptions from its default action. */
export function refuses(task: Task, name: string): boolean {
  for (const filter of task.seccomp) if (filter.names.has(name) === (filter.defaultAction === 'allow')) return true;
  return false;
}
