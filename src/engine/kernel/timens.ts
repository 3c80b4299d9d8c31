/**
 * Offsets of a time namespace: what its members see added to CLOCK_MONOTONIC and CLOCK_BOOTTIME. They are set through
 * /proc/PID/timens_offsets before the first process is in it. Source: time_namespaces(7), kernel/time/namespace.c.
 */
import { SECOND } from '../sim/units.ts';
import { SysError } from './abi.ts';
import { nsCapable } from './credentials.ts';
import type { Kernel, Task, TimeNamespace } from './records.ts';
import { timeOf } from './wait.ts';

type Clock = 'monotonic' | 'boottime';
const CLOCKS: Readonly<Record<string, Clock>> = { monotonic: 'monotonic', '1': 'monotonic', boottime: 'boottime', '7': 'boottime' };
/** Half of the longest time that the kernel counts, s. */
const LONGEST = 4_611_686_018;

export function newTimeNamespace(ino: number, owner: TimeNamespace['owner'], from: TimeNamespace | null): TimeNamespace {
  return { ino, owner, monotonic: from?.monotonic ?? 0, boottime: from?.boottime ?? 0, entered: false };
}

export function offsetsText(task: Task): string {
  const ns = task.ns.timeForChildren;
  return (['monotonic', 'boottime'] as const).map((clock) => {
    const seconds = Math.floor(ns[clock] / SECOND);
    return `${clock.padEnd(10)} ${String(seconds).padStart(10)} ${String(ns[clock] - seconds * SECOND).padStart(9)}\n`;
  }).join('');
}

/** Lines "clock seconds nanoseconds". Throws EINVAL, EPERM, EACCES when somebody is in it, ERANGE. */
export function writeOffsets(kernel: Kernel, writer: Task, task: Task, text: string): void {
  const lines = text.replace(/\n$/, '').split('\n');
  const wanted = lines.map((line): readonly [Clock, number] => {
    const [, name, seconds, rest] = /^\s*(\w+)\s+(-?\d{1,19})\s+(\d{1,10})\s*$/.exec(line) ?? [];
    const clock = name === undefined ? undefined : CLOCKS[name];
    if (clock === undefined || Number(rest) >= SECOND) throw new SysError('EINVAL');
    return [clock, Number(seconds) * SECOND + Number(rest)];
  });
  if (wanted.length > 2) throw new SysError('EINVAL');
  const ns = task.ns.timeForChildren;
  if (!nsCapable(writer, ns.owner, 'sys_time')) throw new SysError('EPERM');
  const up = timeOf(kernel) - kernel.bootedAt;
  for (const [, offset] of wanted) if (up + offset < 0 || Math.abs(offset) > LONGEST * SECOND) throw new SysError('ERANGE');
  if (ns.entered || ns === kernel.init.time) throw new SysError('EACCES');
  for (const [clock, offset] of wanted) ns[clock] = offset;
}
