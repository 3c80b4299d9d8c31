/** kill, sigaction, sigprocmask, pause. Source: the calls' manual pages, section 2. */
import { SIG, SysError } from '../abi.ts';
import { maySignal } from '../credentials.ts';
import { groupOf } from '../membership.ts';
import type { Kernel, Task } from '../records.ts';
import { alive, endHandler, sendSignal } from '../signals.ts';
import { pidIn, taskByPid } from '../task.ts';
import { BLOCK, GONE, waitOn } from '../wait.ts';
import type { Handlers } from './handlers.ts';

const MAX_SIGNAL = 64;

/** Whom kill's first argument means: one, a group, the own group, or all but init and oneself. */
function receivers(kernel: Kernel, task: Task, pid: number): Task[] {
  if (pid > 0) {
    const one = taskByPid(task, pid);
    return one && one.state !== 'dead' ? [one.leader] : [];
  }
  const { pid: ns } = task.ns;
  if (pid === -1) return [...ns.tasks.values()].filter((one) => one.leader === one && one !== task.leader && pidIn(ns, one) !== 1);
  const group = pid === 0 ? task.pgid : ns.level === 0 ? -pid : (taskByPid(task, -pid)?.pid ?? -1);
  return [...groupOf(kernel, group)].filter((one) => pidIn(ns, one) > 0);
}

export const signalHandlers = {
  kill(kernel, task, pid, signal) {
    if (signal < 0 || signal > MAX_SIGNAL || !Number.isInteger(signal)) throw new SysError('EINVAL');
    const found = receivers(kernel, task, pid);
    if (found.length === 0) throw new SysError('ESRCH');
    const allowed = found.filter((one) => maySignal(task, one) || (signal === SIG.CONT && one.sid === task.sid));
    if (allowed.length === 0) throw new SysError('EPERM');
    for (const one of allowed) if (alive(one)) sendSignal(kernel, one, signal, '', task);
    return 0;
  },
  rt_sigaction(_kernel, task, signal, action) {
    if (signal < 1 || signal > MAX_SIGNAL || signal === SIG.KILL || signal === SIG.STOP) throw new SysError('EINVAL');
    const { actions, pending } = task.leader.signals;
    const old = actions.get(signal) ?? { handler: 'default' as const };
    if (action.handler === 'default') actions.delete(signal);
    else actions.set(signal, action);
    if (action.handler === 'ignore') task.leader.signals.pending = pending.filter((one) => one !== signal);
    return old;
  },
  rt_sigprocmask(_kernel, task, how, signals) {
    const old = task.signals.blocked;
    const named = signals.filter((one) => one !== SIG.KILL && one !== SIG.STOP);
    if (how === 'setmask') task.signals.blocked = [...named];
    else if (how === 'block') task.signals.blocked = [...new Set([...old, ...named])];
    else if (how === 'unblock') task.signals.blocked = old.filter((one) => !named.includes(one));
    else throw new SysError('EINVAL');
    return old;
  },
  pause(kernel, task) {
    // A thread of the kernel goes on when it is woken; a program only for a signal.
    if (task.kthread && task.scratch === 'slept') return undefined as never;
    if (task.kthread) task.scratch = 'slept';
    waitOn(kernel, task, `pause:${task.pid}`);
    return BLOCK;
  },
  rt_sigreturn(_kernel, task) {
    if (task.saved.length === 0) throw new SysError('EINVAL');
    endHandler(task);
    return GONE;
  },
} satisfies Partial<Handlers>;
