/** The numbers of tasks, as a pid namespace or a task in it sees them. Source: pid_namespaces(7). */
import type { PidNamespace, Task } from './records.ts';

/** The pid under which a namespace knows a task; 0 when it does not. */
export function pidIn(ns: PidNamespace, task: Task): number {
  return task.nspids.length > ns.level && ns.tasks.get(task.nspids[ns.level]!) === task ? task.nspids[ns.level]! : 0;
}

/** The pid of `task` as `viewer` sees it. */
export function pidFor(viewer: Task, task: Task): number {
  return pidIn(viewer.ns.pid, task);
}

/** The task that `viewer` calls by this pid. */
export function taskByPid(viewer: Task, pid: number): Task | null {
  return viewer.ns.pid.tasks.get(pid) ?? null;
}

/** For messages: what runs, its pid, and the call it is in. */
export function taskName({ comm, pid, pending }: Task): string {
  return `${comm}[${pid}]${pending?.op === 'sys' ? ` in ${pending.name}` : ''}`;
}
