/**
 * How tasks end: a process gives back what it holds and stays a zombie until its parent has waited; its children go to the
 * nearest subreaper or to the init of their pid namespace; the end of that init ends everything in the namespace.
 * Source: exit_group(2), wait(2), pid_namespaces(7), credentials(7) on sessions.
 */
import { cancel } from '../sim/timeline.ts';
import { record } from '../sim/trace.ts';
import { SIG } from './abi.ts';
import { cgroupPath } from './cgroup/charge.ts';
import { notifyPopulated } from './cgroup/core.ts';
import { unchargePid } from './cgroup/pids.ts';
import { logLine } from './log.ts';
import { dropAddressSpace } from './memory.ts';
import { groupOf, leaveNamespaces, sessionOf, strike, threadsOf } from './membership.ts';
import { reapNetNamespaces } from './net/links.ts';
import { isTraceStop, releaseTracees, tracedEnd } from './ptrace.ts';
import type { Kernel, Task } from './records.ts';
import { dequeue, endStretch, settleAll } from './sched.ts';
import { alive, notifyParent, orphanedGroup, sendSignal, signalGroup } from './signals.ts';
import { addIo, freePids } from './task.ts';
import { vacate } from './vacancy.ts';
import { abandonOpen, closeAll, newFiles } from './vfs/descriptors.ts';
import { stopWaiting, wake } from './wait.ts';

const KEPT_ENDED = 50;

/** One thread is over, the process goes on. */
export function endThread(kernel: Kernel, task: Task): void {
  if (task.ptrace) tracedEnd(kernel, task, 0);
  release(kernel, task);
  task.state = 'dead';
  endStretch(kernel, task);
  forget(kernel, task);
}

/** Gives back what a task holds; it is not on any queue afterwards. */
function release(kernel: Kernel, task: Task): void {
  stopWaiting(kernel, task);
  leaveNamespaces(kernel, task);
  if (task.state === 'runnable') dequeue(kernel, task);
  if (task.alarm) cancel(task.alarm.ticket);
  task.alarm = null;
  abandonOpen(kernel, task);
  task.pending = null;
  task.stack = [];
  task.saved = [];
  const { files } = task;
  task.files = newFiles();
  if (--files.users === 0) closeAll(kernel, files);
  dropAddressSpace(kernel, task.mm);
  if (task.vforkParent) {
    task.vforkParent = null;
    wake(kernel, `vfork:${task.pid}`);
  }
}

/** Out of the tables: pids, control group, its parent's children. */
function forget(kernel: Kernel, task: Task): void {
  strike(kernel, task);
  freePids(task);
  if (task.ns.pid.tasks.size === 0) vacate(kernel, task.ns.pid);
  task.cgroup.tasks.delete(task);
  unchargePid(task.cgroup);
  const siblings = task.parent?.children;
  const at = siblings?.indexOf(task) ?? -1;
  if (at >= 0) siblings!.splice(at, 1);
}

/** Ends a whole process with this status word; `by` names what killed it. */
export function exitTask(kernel: Kernel, task: Task, status: number, by: string): void {
  const { leader } = task;
  if (!alive(leader)) return;
  if (leader === kernel.tasks.get(1) && leader.nspids.length === 1) panic(kernel, status);
  for (const one of threadsOf(kernel, leader)) if (one !== leader) endThread(kernel, one);
  if (by !== '') leader.killedBy = by;
  const { tty } = leader;
  release(kernel, leader);
  leader.state = 'zombie';
  leader.status = status;
  leader.noted.stopped = false;
  leader.noted.continued = false;
  if (leader.ptrace) tracedEnd(kernel, leader, status);
  if (leader.tracees.length > 0) releaseTracees(kernel, leader);
  endStretch(kernel, leader);
  leader.because = record(
    kernel.trace, 'kernel', kernel.name, 'task.exit',
    { pid: leader.pid, comm: leader.comm, code: status & 0x7f ? null : status >> 8, signal: status & 0x7f, cgroup: cgroupPath(leader.cgroup) }, leader.because,
  );
  if (tty && leader.sid === leader.pid && tty.session === leader.sid) disassociate(kernel, leader);
  if (leader.ns.pid.tasks.get(1) === leader) endNamespace(kernel, leader);
  orphan(kernel, leader);
  notifyPopulated(kernel, leader.cgroup);
  if (ignoresChildren(leader.parent)) {
    reap(kernel, leader);
    wake(kernel, `child:${leader.parent!.leader.pid}`);
  } else notifyParent(kernel, leader);
}

function panic(kernel: Kernel, status: number): void {
  logLine(kernel, 0, `Kernel panic - not syncing: Attempted to kill init! exitcode=0x${status.toString(16).padStart(8, '0')}`);
  record(kernel.trace, 'kernel', kernel.name, 'kernel.panic', { status });
}

function ignoresChildren(parent: Task | null): boolean {
  return parent !== null && parent.signals.actions.get(SIG.CHLD)?.handler === 'ignore';
}

/** A session leader is gone: its terminal hangs up on the foreground group and belongs to nobody. */
function disassociate(kernel: Kernel, leader: Task): void {
  const tty = leader.tty!;
  if (tty.foreground) {
    signalGroup(kernel, tty.foreground, SIG.HUP, 'tty');
    signalGroup(kernel, tty.foreground, SIG.CONT, 'tty');
  }
  tty.session = 0;
  tty.foreground = 0;
  for (const one of sessionOf(kernel, leader.sid)) one.tty = null;
}

/** The init of a pid namespace has ended: nobody in it goes on, and it takes no more children. */
function endNamespace(kernel: Kernel, init: Task): void {
  const { pid: ns } = init.ns;
  ns.dead = true;
  for (const one of [...ns.tasks.values()]) {
    if (one === init || one.leader !== one) continue;
    if (alive(one)) {
      one.because = init.because;
      exitTask(kernel, one, SIG.KILL, 'init');
    }
    if (one.state === 'zombie' && (!one.parent || ns.tasks.get(one.parent.nspids[ns.level] ?? 0) === one.parent)) reap(kernel, one);
  }
}

/** Who takes over the children of `task`. */
function heirOf(kernel: Kernel, task: Task): Task | null {
  const { pid: ns } = task.ns;
  for (let at = task.parent; at && at.ns.pid === ns; at = at.parent) if (at.subreaper && alive(at)) return at;
  const init = ns.tasks.get(1);
  if (init && init !== task && alive(init)) return init;
  const first = kernel.tasks.get(1);
  return first && first !== task && alive(first) ? first : null;
}

function orphan(kernel: Kernel, task: Task): void {
  const heir = heirOf(kernel, task);
  for (const child of [...task.children]) {
    const before = alive(child) && child.pgid !== task.pgid && child.sid === task.sid;
    child.parent = heir;
    heir?.children.push(child);
    if (child.pdeathsig) sendSignal(kernel, child, child.pdeathsig, 'parent');
    if (child.state === 'zombie' && heir) {
      if (ignoresChildren(heir)) reap(kernel, child);
      else notifyParent(kernel, child);
    } else if (before) orphanGroup(kernel, child);
  }
  task.children = [];
  orphanGroup(kernel, task);
}

/** A group that has just become orphaned with a stopped member gets SIGHUP and SIGCONT: nobody else could continue it. */
function orphanGroup(kernel: Kernel, of: Task): void {
  let stopped = false;
  for (const one of groupOf(kernel, of.pgid)) if (one.sid === of.sid && one.state === 'stopped' && !isTraceStop(one)) stopped = true;
  if (!stopped || !orphanedGroup(kernel, of)) return;
  signalGroup(kernel, of.pgid, SIG.HUP, 'orphan');
  signalGroup(kernel, of.pgid, SIG.CONT, 'orphan');
}

/** Waited for: the zombie goes, its times go to its parent. */
export function reap(kernel: Kernel, task: Task): void {
  settleAll(kernel);
  if (task.parent) {
    const { childTimes } = task.parent.leader;
    childTimes.user += task.times.user + task.childTimes.user;
    childTimes.system += task.times.system + task.childTimes.system;
    addIo(task.parent.leader.io, task.io);
  }
  task.state = 'dead';
  forget(kernel, task);
  kernel.ended.push({
    pid: task.pid, ppid: task.parent?.pid ?? 0, comm: task.comm, args: task.argv.join(' '), cgroup: cgroupPath(task.cgroup),
    endedAt: kernel.timeline.now, status: task.status, killedBy: task.killedBy,
  });
  if (kernel.ended.length > KEPT_ENDED) kernel.ended.shift();
  if (task.ns.net !== kernel.init.net) reapNetNamespaces(kernel);
}
