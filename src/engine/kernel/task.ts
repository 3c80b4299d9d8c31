/**
 * Making tasks: clone in all its forms, and pids at every level of pid namespaces. A task copies, or shares as CLONE_*
 * flags say, what its maker has. A thread shares its leader's place among processes; only leaders are anybody's children.
 * Source: clone(2), pid_namespaces(7).
 */
import { record } from '../sim/trace.ts';
import {
  CLONE_FILES, CLONE_FS, CLONE_NEWPID, CLONE_NEWUSER, CLONE_PARENT, CLONE_THREAD, CLONE_VFORK, CLONE_VM, SIG, SysError,
} from './abi.ts';
import { cgroupPath } from './cgroup/charge.ts';
import { notifyPopulated } from './cgroup/core.ts';
import { chargePid, unchargePid } from './cgroup/pids.ts';
import type { Cgroup } from './cgroup/types.ts';
import { logLine } from './log.ts';
import { chargeTask, copyAddressSpace } from './memory.ts';
import { namespacesForChild } from './namespaces.ts';
import { enlist } from './membership.ts';
import { inheritTrace } from './ptrace.ts';
import type { Kernel, PidNamespace, Task } from './records.ts';
import { settleAffinity } from './affinity.ts';
import { enqueue } from './sched.ts';
import type { Body, CloneArgs } from './sys.ts';
import { copyFiles } from './vfs/descriptors.ts';

export { pidFor, pidIn, taskByPid } from './pids.ts';

const PID_MAX = 4194304;

/** Takes one pid a level. The last is the task's own namespace. */
export function allocatePids(ns: PidNamespace, task: Task): number[] {
  const levels: PidNamespace[] = [];
  for (let at: PidNamespace | null = ns; at; at = at.parent) levels.unshift(at);
  return levels.map((level) => {
    while (level.tasks.has(level.next)) level.next = level.next >= PID_MAX ? 300 : level.next + 1;
    const pid = level.next++;
    if (level.next > PID_MAX) level.next = 300;
    level.tasks.set(pid, task);
    return pid;
  });
}

/** Gives back a task's pids at every level. */
export function freePids(task: Task): void {
  let ns: PidNamespace | null = task.ns.pid;
  for (let level = task.nspids.length - 1; level >= 0 && ns; level--, ns = ns.parent) ns.tasks.delete(task.nspids[level]!);
}

/** A task in a group of its own making: what a fresh process has before anything is copied into it. */
export function blankTask(kernel: Kernel, from: Pick<Task, 'ns' | 'cred' | 'cgroup' | 'fs' | 'files' | 'mm'>, comm: string): Task {
  const task: Task = {
    pid: 0, tgid: 0, nspids: [], parent: null, children: [], comm, argv: [], env: {}, exe: null, state: 'sleeping', stack: [], pending: null,
    resume: { value: undefined }, waitingOn: [], wakeAt: null, pgid: 0, sid: 0, tty: null, ns: from.ns, cred: from.cred, cgroup: from.cgroup, fs: from.fs,
    files: from.files, mm: from.mm, signals: { pending: [], blocked: [], actions: new Map() }, status: 0, killedBy: '', oomScoreAdj: 0, oomScoreAdjMin: 0, nice: 0,
    times: { user: 0, system: 0, startedAt: kernel.timeline.now + kernel.ahead }, sched: { vruntime: 0, lag: 0, cpu: null, sliceUsed: 0, policy: 'SCHED_OTHER', priority: 0, resetOnFork: false, affinity: null, allowed: null, last: 0 }, kthread: null,
    noted: { stopped: false, continued: false }, because: undefined, owed: { user: 0, system: 0 }, scratch: undefined, saved: [], heldBack: 0, interrupted: false,
    leader: null as unknown as Task, exitSignal: SIG.CHLD, pdeathsig: 0, subreaper: false, execed: false, vforkParent: null, limits: {}, seccomp: [],
    alarm: null, childTimes: { user: 0, system: 0 }, faults: { minor: 0, major: 0 }, io: { rchar: 0, wchar: 0, syscr: 0, syscw: 0, read: 0, write: 0, cancelled: 0 }, switches: 0, errand: 0, ptrace: null, tracees: [], traceNews: [],
  };
  task.leader = task;
  return task;
}

function requireSensible(task: Task, flags: number): void {
  if (flags & CLONE_THREAD && !(flags & CLONE_VM)) throw new SysError('EINVAL');
  if (flags & CLONE_THREAD && flags & (CLONE_NEWPID | CLONE_NEWUSER)) throw new SysError('EINVAL');
  if (flags & CLONE_THREAD && task.ns.pidForChildren !== task.ns.pid) throw new SysError('EINVAL');
  if (flags & CLONE_PARENT && task.leader.nspids.at(-1) === 1) throw new SysError('EINVAL');
  if (task.ns.pidForChildren.dead) throw new SysError('ENOMEM');
}

/** Processes of a user count against RLIMIT_NPROC, unless it may do as it likes. */
function requireRoom(kernel: Kernel, task: Task): void {
  const limit = task.limits.RLIMIT_NPROC?.cur ?? Number.POSITIVE_INFINITY;
  if (limit === Number.POSITIVE_INFINITY || task.cred.uid === 0) return;
  let count = 0;
  for (const one of kernel.tasks.values()) if (one.cred.uid === task.cred.uid) count++;
  if (count >= limit) throw new SysError('EAGAIN');
}

/** clone(2) but for the waiting of CLONE_VFORK. Throws EAGAIN (pids.max, RLIMIT_NPROC), EINVAL, ENOMEM, EPERM. */
export function clone(kernel: Kernel, task: Task, args: CloneArgs, cgroup: Cgroup): Task {
  const { flags } = args;
  requireSensible(task, flags);
  requireRoom(kernel, task);
  const child = copyTask(kernel, task, flags, cgroup);
  start(kernel, child, args.run());
  inheritTrace(kernel, task, child);
  return child;
}

function copyTask(kernel: Kernel, task: Task, flags: number, cgroup: Cgroup): Task {
  const refused = chargePid(cgroup);
  if (refused) {
    if (refused.pids.eventsLocal === 1) logLine(kernel, 6, `cgroup: fork rejected by pids controller in ${cgroupPath(cgroup)}`);
    throw new SysError('EAGAIN');
  }
  const child = blankTask(kernel, task, task.comm);
  try {
    child.fs = flags & CLONE_FS ? task.fs : { ...task.fs };
    child.ns = namespacesForChild(kernel, task, child, flags);
  } catch (error) {
    unchargePid(cgroup);
    throw error;
  }
  const thread = (flags & CLONE_THREAD) !== 0;
  child.cgroup = cgroup;
  child.files = flags & CLONE_FILES ? task.files : copyFiles(task.files);
  child.mm = flags & CLONE_VM ? task.mm : copyAddressSpace(task.mm);
  if (flags & CLONE_VM) task.mm.users++;
  child.signals = {
    pending: [], blocked: [...task.signals.blocked], actions: thread ? task.signals.actions : new Map(task.signals.actions),
  };
  inherit(task, child);
  const { policy, priority, resetOnFork, affinity } = task.sched;
  child.sched.affinity = affinity;
  child.sched.last = task.sched.cpu ?? task.sched.last;
  if (!resetOnFork || (policy !== 'SCHED_FIFO' && policy !== 'SCHED_RR')) {
    child.sched.policy = policy;
    child.sched.priority = priority;
  }
  if (resetOnFork && child.nice < 0) child.nice = 0;
  if (affinity !== null || task.sched.allowed !== null || cgroup !== task.cgroup) settleAffinity(kernel, child);
  if (child.cred === task.cred) child.cred = { ...task.cred };
  join(kernel, task, child, flags, thread);
  return child;
}

/** What a child is like its maker in, whatever the flags. */
function inherit(task: Task, child: Task): void {
  child.argv = task.argv;
  child.env = task.env;
  child.exe = task.exe;
  child.pgid = task.pgid;
  child.sid = task.sid;
  child.tty = task.tty;
  child.oomScoreAdj = task.oomScoreAdj;
  child.oomScoreAdjMin = task.oomScoreAdjMin;
  child.nice = task.nice;
  child.limits = { ...task.limits };
  child.seccomp = task.seccomp;
  child.errand = task.errand;
}

/** Gives the child its pids and its place in the tree of processes and in its control group. */
function join(kernel: Kernel, task: Task, child: Task, flags: number, thread: boolean): void {
  child.nspids = allocatePids(child.ns.pid, child);
  child.pid = child.nspids[0]!;
  child.tgid = thread ? task.tgid : child.pid;
  child.leader = thread ? task.leader : child;
  child.exitSignal = thread ? 0 : SIG.CHLD;
  child.parent = thread || flags & CLONE_PARENT ? task.leader.parent : task.leader;
  if (!thread) child.parent?.children.push(child);
  enlist(kernel, child);
  if (flags & CLONE_VFORK) child.vforkParent = task;
  child.cgroup.tasks.add(child);
  child.sched.vruntime = task.sched.vruntime;
  chargeTask(kernel, child);
  notifyPopulated(kernel, child.cgroup);
  kernel.counters.forks = (kernel.counters.forks ?? 0) + 1;
  record(kernel.trace, 'kernel', kernel.name, 'task.clone', { pid: child.pid, parent: child.parent?.pid ?? 0, comm: child.comm, flags });
}

/** Its first program; it may run from now on. */
export function start(kernel: Kernel, task: Task, body: Body): void {
  task.stack = [body];
  task.resume = { value: undefined };
  enqueue(kernel, task);
}

/** Adds what another did to these numbers: an ended thread's, a child's that was waited for. */
export function addIo(to: Task['io'], from: Task['io']): void {
  to.rchar += from.rchar;
  to.wchar += from.wchar;
  to.syscr += from.syscr;
  to.syscw += from.syscw;
  to.read += from.read;
  to.write += from.write;
  to.cancelled += from.cancelled;
}
