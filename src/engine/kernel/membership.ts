/**
 * Who belongs together: the threads of a process, the processes of a group and of a session, who shares a table of descriptors,
 * who is in which namespaces. Kept as tasks come, move and go, so that no call has to ask every task of the machine.
 * Zombies stay members of their group and session until they are reaped; namespaces and descriptors they have given back.
 */
import type { Kernel, Namespaces, Task } from './records.ts';
import { enterNamespace, leaveNamespace } from './vacancy.ts';

export interface Members {
  /** Of processes that have more than one: the leader and the others, oldest first. */
  threads: Map<Task, Set<Task>>;
  /** Leaders by process group and by session. */
  groups: Map<number, Set<Task>>;
  sessions: Map<number, Set<Task>>;
  /** Tasks by the set of namespaces that they share. */
  views: Map<Namespaces, Set<Task>>;
}

export function createMembers(): Members {
  return { threads: new Map(), groups: new Map(), sessions: new Map(), views: new Map() };
}

const NOBODY: ReadonlySet<Task> = new Set();

function add<K>(sets: Map<K, Set<Task>>, key: K, task: Task): void {
  const set = sets.get(key);
  if (set) set.add(task);
  else sets.set(key, new Set([task]));
}

function remove<K>(sets: Map<K, Set<Task>>, key: K, task: Task): void {
  const set = sets.get(key);
  if (set?.delete(task) && set.size === 0) sets.delete(key);
}

/** A task gets its place: among the machine's tasks, the threads of its leader, its group, session and namespaces. */
export function enlist(kernel: Kernel, task: Task): void {
  const { threads, groups, sessions } = kernel.members;
  kernel.tasks.set(task.pid, task);
  task.files.users++;
  enter(kernel, task);
  if (task.leader !== task) {
    if (!threads.has(task.leader)) threads.set(task.leader, new Set([task.leader]));
    threads.get(task.leader)!.add(task);
    return;
  }
  add(groups, task.pgid, task);
  add(sessions, task.sid, task);
}

/** It is gone for good. */
export function strike(kernel: Kernel, task: Task): void {
  const { threads, groups, sessions } = kernel.members;
  kernel.tasks.delete(task.pid);
  const others = threads.get(task.leader);
  if (others?.delete(task) && others.size < 2) threads.delete(task.leader);
  if (task.leader !== task) return;
  remove(groups, task.pgid, task);
  remove(sessions, task.sid, task);
}

/** The threads of a task's process that are not gone, the leader among them, oldest first. */
export function threadsOf(kernel: Kernel, task: Task): Task[] {
  const all = kernel.members.threads.get(task.leader);
  return all ? [...all] : task.leader.state === 'dead' ? [] : [task.leader];
}

/** The leaders of a process group's processes. */
export function groupOf(kernel: Kernel, pgid: number): ReadonlySet<Task> {
  return kernel.members.groups.get(pgid) ?? NOBODY;
}

/** All tasks of a session. */
export function sessionOf(kernel: Kernel, sid: number): Task[] {
  return [...(kernel.members.sessions.get(sid) ?? NOBODY)].flatMap((leader) => threadsOf(kernel, leader));
}

/** A process goes into another group, perhaps of another session. */
export function regroup(kernel: Kernel, leader: Task, pgid: number, sid: number): void {
  const { groups, sessions } = kernel.members;
  remove(groups, leader.pgid, leader);
  remove(sessions, leader.sid, leader);
  for (const one of threadsOf(kernel, leader)) {
    one.pgid = pgid;
    one.sid = sid;
  }
  add(groups, pgid, leader);
  add(sessions, sid, leader);
}

// ---- namespaces

function enter(kernel: Kernel, task: Task): void {
  const { views } = kernel.members;
  const here = views.get(task.ns);
  if (here) {
    here.add(task);
    return;
  }
  views.set(task.ns, new Set([task]));
  for (const type of Object.keys(task.ns) as (keyof Namespaces)[]) enterNamespace(kernel, type, task.ns[type]);
}

function leave(kernel: Kernel, task: Task, ns: Namespaces): void {
  const { views } = kernel.members;
  const here = views.get(ns);
  if (!here?.delete(task) || here.size > 0) return;
  views.delete(ns);
  for (const type of Object.keys(ns) as (keyof Namespaces)[]) leaveNamespace(kernel, ns[type]);
}

/** From now on the task is in these. */
export function moveNamespaces(kernel: Kernel, task: Task, to: Namespaces): void {
  const from = task.ns;
  task.ns = to;
  enter(kernel, task);
  leave(kernel, task, from);
}

/** It has ended: it holds none of its namespaces any more, though its record still names them. */
export function leaveNamespaces(kernel: Kernel, task: Task): void {
  leave(kernel, task, task.ns);
}

/** Those who are in a mount namespace. */
export function* tasksIn(kernel: Kernel, mnt: Namespaces['mnt']): Generator<Task> {
  for (const [ns, tasks] of kernel.members.views) if (ns.mnt === mnt) yield* tasks;
}
