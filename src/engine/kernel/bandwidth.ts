/**
 * cpu.max: the time that a group and all below it may use in a period. Whoever is about to run takes its time here first, from
 * every group above that has a quota; an empty one throttles its group until the period's end refills it. What is left over
 * stays up to the burst. The quota is asked for 5 ms at a time, and only asking keeps the timer going.
 * Source: kernel doc sched-bwc, kernel/sched/fair.c. Left out: a pool for each processor.
 */
import { cancel, schedule } from '../sim/timeline.ts';
import { record } from '../sim/trace.ts';
import { MS, US } from '../sim/units.ts';
import { cgroupPath } from './cgroup/charge.ts';
import { sampleCpu } from './cgroup/samples.ts';
import type { Bandwidth, Cgroup, Kernel } from './records.ts';

/** A quota is handed out in parts. */
const QUOTA_SLICE = 5 * MS;
/** The processor's timer looks at who runs this often. */
const TICK = 4 * MS;
/** An empty quota is noticed at a tick: what sleeps before goes into debt instead. */
const OVERSHOOT = 2 * MS;

function bandwidthOf(kernel: Kernel, cgroup: Cgroup): Bandwidth {
  let bandwidth = kernel.sched.bandwidth.get(cgroup.id);
  if (!bandwidth) {
    bandwidth = { cgroup, ticket: null, idle: false, throttledAt: 0, grid: null, snap: 0, local: 0 };
    kernel.sched.bandwidth.set(cgroup.id, bandwidth);
  }
  return bandwidth;
}

/** How much of `wanted` ns the quotas above allow; taken from them. 0 throttles the groups whose quota is empty. */
export function takeQuota(kernel: Kernel, cgroup: Cgroup, wanted: number): number {
  let allowed = wanted;
  let limiting: Cgroup | null = null;
  for (let group: Cgroup | null = cgroup; group; group = group.parent) {
    if (group.cpu.quota === null) continue;
    ask(kernel, group);
    allowed = Math.min(allowed, TICK);
    const { left } = group.cpu;
    if (wanted <= left + OVERSHOOT) continue;
    // Less than 1 ns is nothing: nobody could run for it, and time would stand still.
    allowed = Math.min(allowed, left < 1 ? 0 : left);
    if (left >= 1) continue;
    startPeriod(kernel, group);
    limiting = group;
  }
  // Only the level that limits is throttled: what is below cannot run any more.
  if (limiting) throttle(kernel, limiting);
  use(kernel, cgroup, allowed);
  return allowed;
}

function use(kernel: Kernel, cgroup: Cgroup, ns: number): void {
  for (let group: Cgroup | null = cgroup; group; group = group.parent) {
    if (group.cpu.quota === null) continue;
    group.cpu.left -= ns;
    bandwidthOf(kernel, group).local -= ns;
  }
}

/** What has been handed out of the quota is used up, as a tick finds: more is asked for, and the timer runs. */
function ask(kernel: Kernel, group: Cgroup): void {
  const bandwidth = bandwidthOf(kernel, group);
  if (bandwidth.local > 0 && bandwidth.grid !== null) return;
  startPeriod(kernel, group);
  bandwidth.local = QUOTA_SLICE;
}

export function returnQuota(kernel: Kernel, cgroup: Cgroup, ns: number): void {
  use(kernel, cgroup, -ns);
}

/** Time spent that was not taken beforehand (calls that ended in sleep): the quota goes into debt. */
export function overrun(kernel: Kernel, cgroup: Cgroup, ns: number): void {
  for (let group: Cgroup | null = cgroup; group; group = group.parent) {
    if (group.cpu.quota === null) continue;
    ask(kernel, group);
    group.cpu.left -= ns;
    bandwidthOf(kernel, group).local -= ns;
  }
}

function startPeriod(kernel: Kernel, group: Cgroup): void {
  const bandwidth = bandwidthOf(kernel, group);
  bandwidth.idle = false;
  if (bandwidth.ticket) return;
  if (bandwidth.grid === null) {
    bandwidth.grid = kernel.timeline.now - Math.floor(scattered(group) * group.cpu.period * US);
    group.cpu.left = group.cpu.quota! * US;
    bandwidth.snap = group.cpu.left;
  }
  armPeriod(kernel, bandwidth);
}

/** Where in its period a group's timer begins, 0 to 1: set apart from each other, as the kernel does at random. */
const scattered = ({ id }: Cgroup): number => (Math.imul(id, 0x9e3779b1) >>> 0) / 2 ** 32;

/** Periods keep their grid over stretches in which the timer rests. */
function armPeriod(kernel: Kernel, bandwidth: Bandwidth): void {
  const period = bandwidth.cgroup.cpu.period * US;
  const { now } = kernel.timeline;
  const at = now + period - ((now - bandwidth.grid!) % period);
  bandwidth.ticket = schedule(kernel.timeline, at, { kind: 'kernel.period', who: kernel.name, arg: { cgroup: bandwidth.cgroup.id } });
}

function throttle(kernel: Kernel, group: Cgroup): void {
  if (group.cpu.throttled) return;
  group.cpu.throttled = true;
  const bandwidth = bandwidthOf(kernel, group);
  const { now } = kernel.timeline;
  // The first of a series is told; the others are counted.
  if (group.cpu.nrThrottled === 0 || now - bandwidth.throttledAt > 2 * group.cpu.period * US) record(kernel.trace, 'kernel', kernel.name, 'cpu.throttled', { cgroup: cgroupPath(group), quota: group.cpu.quota, period: group.cpu.period });
  bandwidth.throttledAt = now;
}

function unthrottle(kernel: Kernel, bandwidth: Bandwidth): void {
  const { cpu } = bandwidth.cgroup;
  if (!cpu.throttled) return;
  cpu.throttled = false;
  cpu.throttledTime += kernel.timeline.now - bandwidth.throttledAt;
  sampleCpu(bandwidth.cgroup, kernel.timeline.now, 0);
}

/** A period has ended. The timer stops after one in which nothing was taken and nothing waited. True: a throttled group goes on. */
export function endPeriod(kernel: Kernel, cgroupId: number): boolean {
  const bandwidth = kernel.sched.bandwidth.get(cgroupId);
  if (!bandwidth) return false;
  bandwidth.ticket = null;
  const { cpu } = bandwidth.cgroup;
  if (cpu.quota === null) return false;
  const wasThrottled = cpu.throttled;
  cpu.nrPeriods++;
  refill(bandwidth);
  if (bandwidth.idle && !wasThrottled) return false;
  bandwidth.idle = !wasThrottled;
  if (wasThrottled) cpu.nrThrottled++;
  armPeriod(kernel, bandwidth);
  if (!wasThrottled || cpu.left <= 0) return false;
  unthrottle(kernel, bandwidth);
  return true;
}

/** A new quota; what is left over from before stays up to the burst. */
function refill(bandwidth: Bandwidth): void {
  const { cpu } = bandwidth.cgroup;
  const quota = cpu.quota! * US;
  cpu.left += quota;
  const beyond = bandwidth.snap - cpu.left;
  if (beyond > 0) {
    cpu.burstTime += beyond;
    cpu.nrBursts++;
  }
  cpu.left = Math.min(cpu.left, quota + cpu.burst * US);
  bandwidth.snap = cpu.left;
}

/** Another quota: it holds from now. */
export function newQuota(kernel: Kernel, cgroup: Cgroup): void {
  const bandwidth = bandwidthOf(kernel, cgroup);
  if (bandwidth.ticket) cancel(bandwidth.ticket);
  bandwidth.ticket = null;
  bandwidth.grid = null;
  bandwidth.local = 0;
  unthrottle(kernel, bandwidth);
  if (cgroup.cpu.quota !== null) startPeriod(kernel, cgroup);
}

/** Forgets a group that was removed. */
export function dropBandwidth(kernel: Kernel, cgroup: Cgroup): void {
  const bandwidth = kernel.sched.bandwidth.get(cgroup.id);
  if (bandwidth?.ticket) cancel(bandwidth.ticket);
  kernel.sched.bandwidth.delete(cgroup.id);
}
