/** Sleeping, clocks, alarm. Source: the calls' manual pages, section 2. */
import { cancel, schedule } from '../../sim/timeline.ts';
import { EPOCH_SECONDS, SECOND } from '../../sim/units.ts';
import { SIG, SysError } from '../abi.ts';
import type { Kernel, Task } from '../records.ts';
import { settleAll } from '../sched.ts';
import { sendSignal } from '../signals.ts';
import { BLOCK, sleepUntil, timeOf } from '../wait.ts';
import type { Handlers } from './handlers.ts';

/** ns: what a sleep takes beyond what was asked (timer slack). */
const SLACK = 50_000;

export const timeHandlers = {
  nanosleep(kernel, task, ns) {
    if (!(ns >= 0)) throw new SysError('EINVAL');
    if (ns === 0) return 0;
    const until = (task.scratch ??= timeOf(kernel) + ns + SLACK) as number;
    if (timeOf(kernel) >= until) return 0;
    sleepUntil(kernel, task, until);
    return BLOCK;
  },
  clock_gettime(kernel, task, clock) {
    const now = timeOf(kernel);
    if (clock === 'realtime') return EPOCH_SECONDS * SECOND + now;
    if (clock !== 'cpu') return now - kernel.bootedAt + task.ns.time[clock];
    settleAll(kernel);
    return task.times.user + task.times.system;
  },
  alarm(kernel, task, seconds) {
    const { leader } = task;
    const left = leader.alarm ? Math.max(1, Math.round((leader.alarm.at - timeOf(kernel)) / SECOND)) : 0;
    if (leader.alarm) cancel(leader.alarm.ticket);
    leader.alarm = null;
    if (seconds > 0) {
      const at = timeOf(kernel) + seconds * SECOND;
      leader.alarm = { at, ticket: schedule(kernel.timeline, at, { kind: 'kernel.alarm', who: kernel.name, arg: { pid: leader.pid } }) };
    }
    return left;
  },
} satisfies Partial<Handlers>;

/** The event of an alarm. */
export function onAlarm(kernel: Kernel, task: Task): void {
  task.alarm = null;
  sendSignal(kernel, task, SIG.ALRM, 'alarm');
}
