/**
 * Pressure stall information: how long tasks of a group (or below) waited for processor, memory or disk. Who makes a task
 * wait books the stall here; the averages move every two seconds of simulated time, as kernel doc accounting/psi tells.
 * A trigger written to a pressure file makes its poll() report once so much was lost within a window.
 * Left out: `full` of cpu is only what cpu.max took.
 */
import { SECOND } from '../../sim/units.ts';
import { POLLERR, POLLIN, POLLOUT, POLLPRI, SysError } from '../abi.ts';
import type { Kernel, Task } from '../records.ts';
import type { CgroupFile } from './files.ts';
import type { Cgroup, Psi, PsiLine, PsiTrigger } from './types.ts';

/** An open pressure file keeps its trigger here. */
export interface Opener {
  state: unknown;
}

export type Resource = 'cpu' | 'memory' | 'io';

/** Averages move so often, ns. */
const PERIOD = 2 * SECOND;
const WINDOWS = [['avg10', 10], ['avg60', 60], ['avg300', 300]] as const;

/** Books `ns` lost by tasks of a group; `all` when nobody in it could go on meanwhile. */
export function stall(kernel: Kernel, cgroup: Cgroup, resource: Resource, ns: number, all: 'some' | 'all'): void {
  for (let at: Cgroup | null = cgroup; at; at = at.parent) {
    if (!at.pressure) continue;
    const psi = at.psi[resource];
    for (const line of all === 'all' ? [psi.some, psi.full] : [psi.some]) {
      settle(line, kernel.timeline.now);
      line.total += ns / 1000;
    }
    if (psi.triggers.length > 0) watch(kernel, at, resource);
  }
}

/** So many tasks more (or fewer) wait for a processor in a group: as long as one does, some are stalled. */
export function countWaiting(kernel: Kernel, cgroup: Cgroup, by: number): void {
  const { now } = kernel.timeline;
  for (let at: Cgroup | null = cgroup; at; at = at.parent) {
    bookWaiting(at, now);
    at.waiting.tasks += by;
    if (at.psi.cpu.triggers.length > 0) watch(kernel, at, 'cpu');
  }
}

/** Somebody has waited since `waiting.since`: each period that has ended meanwhile gets its part. */
function bookWaiting({ waiting, psi, pressure }: Cgroup, now: number): void {
  if (waiting.tasks > 0 && pressure) {
    const { some } = psi.cpu;
    let from = waiting.since;
    settle(some, from);
    for (let end = some.at + PERIOD; end <= now; end += PERIOD) {
      some.total += (end - from) / 1000;
      settle(some, end);
      from = end;
    }
    some.total += (now - from) / 1000;
  }
  waiting.since = now;
}

/**
 * Moves the averages over the periods that have ended: what was booked in the first of them counts there, as much as fits into it; what
 * was booked ahead, in those that follow. So they are the same however often they are looked at.
 */
function settle(line: PsiLine, now: number): void {
  const most = PERIOD / 1000;
  for (; now - line.at >= PERIOD && line.total > line.seen; line.at += PERIOD) {
    const booked = Math.min(most, line.total - line.seen);
    line.seen += booked;
    for (const [name, seconds] of WINDOWS) {
      const keep = Math.exp(-2 / seconds);
      line[name] = line[name] * keep + (100 * booked * (1 - keep)) / most;
    }
  }
  const idle = Math.floor((now - line.at) / PERIOD);
  if (idle <= 0) return;
  for (const [name, seconds] of WINDOWS) line[name] *= Math.exp((-2 * idle) / seconds);
  line.at += idle * PERIOD;
}

export function pressureText(kernel: Kernel, cgroup: Cgroup, resource: Resource): string {
  let text = '';
  bookWaiting(cgroup, kernel.timeline.now);
  for (const kind of ['some', 'full'] as const) {
    const line = cgroup.psi[resource][kind];
    settle(line, kernel.timeline.now);
    const total = kind === 'full' && resource === 'cpu' && cgroup.parent ? cgroup.cpu.throttledTime / 1000 : line.total;
    text += `${kind} avg10=${line.avg10.toFixed(2)} avg60=${line.avg60.toFixed(2)} avg300=${line.avg300.toFixed(2)} total=${Math.floor(total)}\n`;
  }
  return text;
}

// ---- triggers

export const pressureChannel = (cgroup: Cgroup, resource: Resource): string => `psi:${cgroup.id}:${resource}`;

const US_PER_NS = 1000;
const WINDOW_MAX = 10_000_000;

/** Looks at the windows of all triggers of a file: growth in this one, and a share of the last one's, as far as the window reaches back. */
function watch(kernel: Kernel, cgroup: Cgroup, resource: Resource): void {
  const { now } = kernel.timeline;
  const psi = cgroup.psi[resource];
  for (const one of psi.triggers) {
    const size = one.window * US_PER_NS;
    const elapsed = now - one.start;
    const { total } = psi[one.kind];
    let growth = total - one.value;
    if (elapsed > size) {
      Object.assign(one, { start: now, value: total, before: growth });
    } else growth += (one.before * (size - elapsed)) / size;
    if (growth < one.threshold || now < one.last + size) continue;
    one.event = true;
    one.last = now;
    kernel.wake(kernel, pressureChannel(cgroup, resource));
  }
}

/** "some 150000 1000000": us of stall within a window of us. Throws EINVAL, EBUSY (the descriptor has one). */
function makeTrigger(kernel: Kernel, psi: Psi, text: string, task: Task, opener: Opener): void {
  const match = /^(some|full)\s+(\d+)\s+(\d+)/.exec(text);
  const [threshold, window] = [Number(match?.[2]), Number(match?.[3])];
  if (!match || window === 0 || window > WINDOW_MAX || threshold === 0 || threshold > window) throw new SysError('EINVAL');
  if (window % 2_000_000 !== 0 && !task.cred.caps.effective.includes('sys_resource')) throw new SysError('EINVAL');
  if (opener.state) throw new SysError('EBUSY');
  const kind = match[1] as 'some' | 'full';
  const trigger: PsiTrigger = { kind, threshold, window, start: kernel.timeline.now, value: psi[kind].total, before: 0, event: false, last: Number.NEGATIVE_INFINITY };
  psi.triggers.push(trigger);
  opener.state = trigger;
}

/** The three pressure files: what they print, and the triggers they take. `of` gives the group whose stalls they tell. */
export function pressureFile(of: (kernel: Kernel, cgroup: Cgroup | null) => Cgroup, resource: Resource): Required<Pick<CgroupFile, 'read' | 'write' | 'poll' | 'release'>> & { channel(cgroup: Cgroup): string } {
  return {
    read: (kernel, cgroup) => pressureText(kernel, of(kernel, cgroup), resource),
    write: (kernel, cgroup, text, task, opener) => makeTrigger(kernel, of(kernel, cgroup).psi[resource], text, task, opener),
    poll(_kernel, _cgroup, opener) {
      const trigger = opener.state as PsiTrigger | null;
      if (!trigger) return POLLIN | POLLOUT | POLLERR | POLLPRI;
      const bits = POLLIN | POLLOUT | (trigger.event ? POLLPRI : 0);
      trigger.event = false;
      return bits;
    },
    release(kernel, cgroup, opener) {
      const psi = of(kernel, cgroup).psi[resource];
      psi.triggers = psi.triggers.filter((one) => one !== opener.state);
    },
    channel: (cgroup) => pressureChannel(cgroup, resource),
  };
}
