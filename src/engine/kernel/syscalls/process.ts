/** Processes: who they are, how they begin, end and are waited for. Source: the calls' manual pages, section 2. */
import { record } from '../../sim/trace.ts';
import { CAPABILITIES, CLONE_VFORK, type Rusage, SIG, SysError, WCONTINUED, type WaitResult, WNOHANG, WUNTRACED } from '../abi.ts';
import { cgroupPath } from '../cgroup/charge.ts';
import { requireCanHost } from '../cgroup/core.ts';
import type { Cgroup } from '../cgroup/types.ts';
import { nsCapable, requireCapable } from '../credentials.ts';
import { execve } from '../exec.ts';
import { exitTask, reap } from '../exit.ts';
import { losePower } from '../power.ts';
import { logLine } from '../log.ts';
import { groupOf, regroup, threadsOf } from '../membership.ts';
import { residentPages } from '../oom.ts';
import { ptrace, waitTracees } from '../ptrace.ts';
import type { Kernel, Task } from '../records.ts';
import { allowedCpus, setAffinity, setPolicy } from '../policy.ts';
import { settleAll } from '../sched.ts';
import { alive } from '../signals.ts';
import { clone, pidFor, taskByPid } from '../task.ts';
import { fileOf } from '../vfs/descriptors.ts';
import { BLOCK, GONE, waitOn } from '../wait.ts';
import { resourceLimits, setLimit } from './limits.ts';
import type { Handlers } from './handlers.ts';

function taskNamed(task: Task, pid: number): Task {
  const found = pid === 0 ? task : taskByPid(task, pid);
  if (!found || found.state === 'dead') throw new SysError('ESRCH');
  return found;
}

/** A process group or session as the caller's namespace numbers it; 0 when its first process is not seen there. */
function shownGroup(kernel: Kernel, task: Task, id: number): number {
  if (task.ns.pid.level === 0) return id;
  const leader = kernel.tasks.get(id);
  return leader ? pidFor(task, leader) : 0;
}

/** The group that the caller calls by this number, as the first namespace numbers it. */
function namedGroup(task: Task, id: number): number {
  if (task.ns.pid.level === 0) return id;
  return taskByPid(task, id)?.pid ?? -1;
}

function setpgid(kernel: Kernel, task: Task, pid: number, pgid: number): 0 {
  if (pgid < 0) throw new SysError('EINVAL');
  const target = taskNamed(task, pid).leader;
  if (target !== task.leader) {
    if (target.parent?.leader !== task.leader) throw new SysError('ESRCH');
    if (target.sid !== task.sid) throw new SysError('EPERM');
    if (target.execed) throw new SysError('EACCES');
  }
  if (target.sid === target.pid) throw new SysError('EPERM');
  const group = pgid === 0 ? target.pid : namedGroup(task, pgid);
  if (group !== target.pid) {
    const member = [...groupOf(kernel, group)].some((one) => one.sid === target.sid);
    if (!member) throw new SysError('EPERM');
  }
  regroup(kernel, target, group, target.sid);
  return 0;
}

function setsid(kernel: Kernel, task: Task): number {
  const { leader } = task;
  if (groupOf(kernel, leader.pid).size > 0) throw new SysError('EPERM');
  regroup(kernel, leader, leader.pid, leader.pid);
  for (const one of threadsOf(kernel, leader)) one.tty = null;
  return pidFor(task, leader);
}

/** The group that CLONE_INTO_CGROUP names by a descriptor of its directory. */
function cgroupOf(task: Task, fd: number | undefined): Cgroup {
  if (fd === undefined) return task.cgroup;
  const { inode } = fileOf(task, fd);
  const node = (inode.data as { node?: { id?: unknown } } | null)?.node;
  if (inode.sb.type !== 'cgroup2' || inode.kind !== 'dir' || !node?.id) throw new SysError('EBADF');
  const cgroup = node.id as Cgroup;
  requireCanHost(cgroup);
  return cgroup;
}

export function rusageOf(task: Task, times: { user: number; system: number }): Rusage {
  return { utime: times.user, stime: times.system, maxrss: Math.max(task.mm.peak, residentPages(task)) * 4 };
}

/** Does wait4's first argument mean this child? */
function meant(task: Task, child: Task, pid: number): boolean {
  if (pid > 0) return pidFor(task, child) === pid;
  if (pid === -1) return true;
  return child.pgid === (pid === 0 ? task.pgid : namedGroup(task, -pid));
}

function wait4(kernel: Kernel, task: Task, pid: number, options: number): WaitResult | typeof BLOCK {
  const children = task.leader.children.filter((child) => meant(task, child, pid));
  const { leader } = task;
  const traced = leader.traceNews.length > 0 ? waitTracees(kernel, task, pid) : null;
  if (traced) return traced;
  if (children.length === 0 && !leader.tracees.some((one) => pid === -1 || pidFor(task, one) === pid)) throw new SysError('ECHILD');
  for (const child of children) {
    const result = (status: number): WaitResult => ({ pid: pidFor(task, child), status, rusage: rusageOf(child, child.times) });
    if (child.state === 'zombie') {
      const said = result(child.status);
      reap(kernel, child);
      return said;
    }
    if (options & WUNTRACED && child.state === 'stopped' && child.noted.stopped) {
      child.noted.stopped = false;
      return result(child.status);
    }
    if (options & WCONTINUED && child.noted.continued) {
      child.noted.continued = false;
      return result(0xffff);
    }
  }
  if (options & WNOHANG) return { pid: 0, status: 0, rusage: { utime: 0, stime: 0, maxrss: 0 } };
  waitOn(kernel, task, `child:${task.leader.pid}`);
  return BLOCK;
}

const PRCTL: Record<string, (kernel: Kernel, task: Task, arg: string | number | undefined) => number> = {
  PR_SET_NAME(_kernel, task, arg) {
    task.comm = String(arg ?? '').slice(0, 15);
    return 0;
  },
  PR_SET_PDEATHSIG(_kernel, task, arg) {
    task.pdeathsig = Number(arg ?? 0);
    return 0;
  },
  PR_GET_PDEATHSIG: (_kernel, task) => task.pdeathsig,
  PR_SET_CHILD_SUBREAPER(_kernel, task, arg) {
    task.leader.subreaper = Number(arg ?? 1) !== 0;
    return 0;
  },
  PR_GET_CHILD_SUBREAPER: (_kernel, task) => Number(task.leader.subreaper),
  PR_SET_NO_NEW_PRIVS(_kernel, task) {
    task.cred = { ...task.cred, noNewPrivs: true };
    return 0;
  },
  PR_GET_NO_NEW_PRIVS: (_kernel, task) => Number(task.cred.noNewPrivs),
  PR_CAPBSET_READ: (_kernel, task, arg) => Number(task.cred.caps.bounding.includes(capName(arg))),
  PR_CAPBSET_DROP(_kernel, task, arg) {
    const name = capName(arg);
    requireCapable(task, task.ns.user, 'setpcap');
    const { caps } = task.cred;
    task.cred = { ...task.cred, caps: { ...caps, bounding: caps.bounding.filter((one) => one !== name) } };
    return 0;
  },
  PR_CAP_AMBIENT(_kernel, task, arg) {
    const { caps } = task.cred;
    if (arg !== undefined && arg !== 'clear') {
      const name = capName(arg);
      if (!caps.permitted.includes(name) || !caps.inheritable.includes(name)) throw new SysError('EPERM');
      task.cred = { ...task.cred, caps: { ...caps, ambient: [...new Set([...caps.ambient, name])] } };
    } else task.cred = { ...task.cred, caps: { ...caps, ambient: [] } };
    return 0;
  },
  PR_SET_DUMPABLE: () => 0,
  PR_GET_DUMPABLE: () => 1,
  PR_SET_KEEPCAPS(_kernel, task, arg) {
    task.cred = { ...task.cred, keepCaps: Number(arg ?? 0) !== 0 };
    return 0;
  },
  PR_GET_KEEPCAPS: (_kernel, task) => Number(task.cred.keepCaps === true),
};

function capName(arg: string | number | undefined): string {
  const name = typeof arg === 'number' ? CAPABILITIES[arg] : String(arg ?? '').toLowerCase().replace(/^cap_/, '');
  if (name === undefined || !CAPABILITIES.includes(name)) throw new SysError('EINVAL');
  return name;
}

/** Processes that getpriority's and setpriority's arguments mean: 0 a process, 1 a group, 2 a user. */
function prioritised(kernel: Kernel, task: Task, which: number, who: number): Task[] {
  const all = [...kernel.tasks.values()].filter((one) => one.leader === one && alive(one));
  const found =
    which === 0 ? [taskNamed(task, who)] : which === 1 ? all.filter((one) => one.pgid === (who === 0 ? task.pgid : namedGroup(task, who))) :
    which === 2 ? all.filter((one) => one.cred.uid === (who === 0 ? task.cred.uid : who)) : null;
  if (!found) throw new SysError('EINVAL');
  if (found.length === 0) throw new SysError('ESRCH');
  return found;
}

export const processHandlers = {
  getpid: (_kernel, task) => pidFor(task, task.leader),
  getppid: (_kernel, task) => (task.leader.parent ? pidFor(task, task.leader.parent) : 0),
  gettid: (_kernel, task) => pidFor(task, task),
  getpgid: (kernel, task, pid) => shownGroup(kernel, task, taskNamed(task, pid).pgid),
  setpgid,
  getsid: (kernel, task, pid) => shownGroup(kernel, task, taskNamed(task, pid).sid),
  setsid,
  clone(kernel, task, args) {
    const started = task.scratch as { child: Task; pid: number } | undefined;
    if (started) {
      if (started.child.vforkParent !== task) return started.pid;
      waitOn(kernel, task, `vfork:${started.child.pid}`);
      return BLOCK;
    }
    const child = clone(kernel, task, args, cgroupOf(task, args.cgroup));
    const pid = pidFor(task, child);
    if (!(args.flags & CLONE_VFORK)) return pid;
    task.scratch = { child, pid };
    waitOn(kernel, task, `vfork:${child.pid}`);
    return BLOCK;
  },
  execve(kernel, task, path, argv, env) {
    execve(kernel, task, path, argv, env);
    return GONE;
  },
  exit_group(kernel, task, code) {
    exitTask(kernel, task, (code & 255) << 8, '');
    return GONE;
  },
  wait4,
  prctl(kernel, task, option, arg) {
    const act = PRCTL[option] ?? PRCTL[`PR_${option}`];
    if (!act) throw new SysError('EINVAL');
    return act(kernel, task, arg);
  },
  getpriority: (kernel, task, which, who) => Math.min(...prioritised(kernel, task, which, who).map((one) => one.nice)),
  setpriority(kernel, task, which, who, nice) {
    const value = Math.max(-20, Math.min(19, nice));
    for (const one of prioritised(kernel, task, which, who)) {
      if (one.cred.euid !== task.cred.euid && !nsCapable(task, one.ns.user, 'sys_nice')) throw new SysError('EPERM');
      if (value < one.nice && !nsCapable(task, kernel.init.user, 'sys_nice')) throw new SysError('EACCES');
      one.nice = value;
    }
    return 0;
  },
  sched_yield(_kernel, task) {
    task.owed.system += 500;
    task.sched.sliceUsed += 100_000_000;
    return 0;
  },
  sched_getaffinity: (kernel, task, pid) => allowedCpus(kernel, taskNamed(task, pid)),
  sched_setaffinity(kernel, task, pid, cpus) {
    setAffinity(kernel, task, taskNamed(task, pid), cpus);
    return 0;
  },
  sched_getscheduler(_kernel, task, pid) {
    const { policy, priority, resetOnFork } = taskNamed(task, pid).sched;
    return { policy, priority, resetOnFork };
  },
  sched_setscheduler(kernel, task, pid, policy, priority, resetOnFork) {
    setPolicy(kernel, task, taskNamed(task, pid), policy, priority, resetOnFork === true);
    return 0;
  },
  getrusage(kernel, task, who) {
    settleAll(kernel);
    return rusageOf(task, who === -1 ? task.leader.childTimes : task.times);
  },
  prlimit64(kernel, task, pid, resource, limit) {
    const target = taskNamed(task, pid);
    const old = resourceLimits(kernel, target, resource);
    if (limit) setLimit(kernel, task, target, resource, old, limit);
    return old;
  },
  ptrace: (kernel, task, request, pid, arg) => ptrace(kernel, task, request, taskByPid(task, pid), arg),
  reboot(kernel, task, cmd) {
    if (!nsCapable(task, task.ns.pid.owner, 'sys_boot')) throw new SysError('EPERM');
    const init = task.ns.pid.tasks.get(1);
    if (task.ns.pid.level > 0) {
      if (init) exitTask(kernel, init, /restart/i.test(cmd) ? SIG.HUP : SIG.INT, 'reboot');
      return 0;
    }
    record(kernel.trace, 'kernel', kernel.name, 'kernel.reboot', { cmd, pid: task.pid, cgroup: cgroupPath(task.cgroup) });
    logLine(kernel, 5, /restart/i.test(cmd) ? 'reboot: Restarting system' : 'reboot: Power down');
    for (const one of [...kernel.tasks.values()]) if (one.leader === one && one !== init && !one.kthread) exitTask(kernel, one, SIG.KILL, 'reboot');
    if (init) exitTask(kernel, init, 0, 'reboot');
    losePower(kernel, /restart/i.test(cmd) ? 'restart' : 'off');
    return 0;
  },
} satisfies Partial<Handlers>;
