/** A group's processor time over time: how its counts stood about every 100 ms in which it ran or was throttled, for pictures. */
import { MS } from '../../sim/units.ts';
import type { Cgroup } from './types.ts';

const APART = 100 * MS;
const KEPT = 121;

/** Notes the counts at `now`; `ran` ns of the usage belong to the stretch that has just ended. */
export function sampleCpu({ cpu }: Cgroup, now: number, ran: number): void {
  const { samples } = cpu;
  const last = samples[samples.length - 1];
  if (last && now - last.t < APART) return;
  const used = cpu.usage.user + cpu.usage.system;
  const rest = { throttled: cpu.throttledTime, hits: cpu.nrThrottled };
  // Before this stretch it stood still: that is a point of its own.
  if (ran > 0 && (!last || now - ran - last.t >= APART)) samples.push({ t: now - ran, used: used - ran, ...rest });
  samples.push({ t: now, used, ...rest });
  if (samples.length > KEPT) samples.splice(0, samples.length - KEPT);
}
