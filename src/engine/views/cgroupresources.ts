/**
 * What each control group is given and takes of processor, swap, disk and pids, and what it loses by waiting (PSI). Nothing is
 * settled by looking: time of a stretch that runs now is added here, not booked. Source: kernel doc cgroup-v2, accounting/psi.
 */
import type { CgroupCpuRow, CgroupResourceRow } from '../../bridge/rows.ts';
import { cgroupPath } from '../kernel/cgroup/charge.ts';
import { hasController } from '../kernel/cgroup/core.ts';
import { ioMaxText } from '../kernel/cgroup/io.ts';
import type { Cgroup } from '../kernel/cgroup/types.ts';
import type { Kernel } from '../kernel/records.ts';
import { MS, PAGE } from '../sim/units.ts';
import { columns, kernelsOf, type View } from './view.ts';

export const cgroupResources: View = {
  doc: 'Processor, swap, disk, pids and pressure of every control group, parents before children; memory is in cgroups.',
  arg: 'host?',
  columns: columns(`
    host: machine
    path: from the root
    controllers: that it has, by blanks
    swap [bytes]: memory.swap.current
    swapMax: memory.swap.max as the file reads
    usage [ns]: processor time, user and system, of the stretch that runs now too
    user [ns]: of it in user mode
    system [ns]: of it in the kernel
    weight [count]: cpu.weight
    share: part of the machine that its weight gives it when every group is busy, 0 to 1
    recent: processors that it used in about the last half second
    quota [us]: of cpu.max, null without
    period [us]: of cpu.max
    cpus [count]: processors of the machine
    periods [count]: nr_periods
    throttled [count]: nr_throttled
    throttledTime [ns]: throttled_usec, and the stretch that goes on now
    throttledNow: whether it is kept from running at this moment
    rbytes [bytes]: read from disk
    wbytes [bytes]: written to disk
    rios [count]: reads
    wios [count]: writes
    ioMax: io.max as the file reads
    ioWeight [count]: io.weight
    pids [count]: pids.current
    pidsMax: pids.max as the file reads
    pidsEvents [count]: pids.events max: forks that were refused
    cpuSome [us]: total of cpu.pressure some
    cpuFull [us]: total of cpu.pressure full
    memorySome [us]: total of memory.pressure some
    memoryFull [us]: total of memory.pressure full
    ioSome [us]: total of io.pressure some
    ioFull [us]: total of io.pressure full
    frozen: cgroup.freeze
  `),
  rows: (world, arg) => kernelsOf(world, arg).flatMap((kernel) => tree(kernel, kernel.cgroups.root, 1, running(kernel))),
};

/** Time of stretches that run now and are not booked yet, by group. */
function running(kernel: Kernel): Map<Cgroup, number> {
  const found = new Map<Cgroup, number>();
  for (const cpu of kernel.sched.cpus) {
    const ns = Math.min(kernel.timeline.now, cpu.until) - cpu.since;
    if (!cpu.current || !cpu.ticket || ns <= 0) continue;
    for (let at: Cgroup | null = cpu.current.cgroup; at; at = at.parent) found.set(at, (found.get(at) ?? 0) + ns);
  }
  return found;
}

function tree(kernel: Kernel, cgroup: Cgroup, share: number, now: ReadonlyMap<Cgroup, number>): CgroupResourceRow[] {
  const children = [...cgroup.children.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const weights = children.reduce((sum, child) => sum + child.cpu.weight, 0);
  return [row(kernel, cgroup, share, now.get(cgroup) ?? 0), ...children.flatMap((child) => tree(kernel, child, weights > 0 ? (share * child.cpu.weight) / weights : share, now))];
}

const limit = (value: number | null): string => (value === null ? 'max' : String(value));
const CONTROLLERS = ['cpuset', 'cpu', 'io', 'memory', 'pids'] as const;

function row(kernel: Kernel, cgroup: Cgroup, share: number, unbooked: number): CgroupResourceRow {
  const { memory, cpu, pids, io, psi, waiting } = cgroup;
  const path = cgroupPath(cgroup);
  const { now } = kernel.timeline;
  const stat = { rbytes: 0, wbytes: 0, rios: 0, wios: 0 };
  for (const one of io.stat.values()) for (const name of ['rbytes', 'wbytes', 'rios', 'wios'] as const) stat[name] += one[name];
  const bandwidth = kernel.sched.bandwidth.get(cgroup.id);
  const throttledTime = cpu.throttledTime + (cpu.throttled && bandwidth ? now - bandwidth.throttledAt : 0);
  const us = (line: { total: number }): number => Math.floor(line.total);
  return {
    key: `${kernel.name}:${path}`, host: kernel.name, path, controllers: CONTROLLERS.filter((one) => hasController(cgroup, one)).join(' '), swap: memory.swap * PAGE, swapMax: limit(memory.swapMax),
    usage: cpu.usage.user + cpu.usage.system + unbooked, user: cpu.usage.user, system: cpu.usage.system, weight: cpu.weight, share, recent: lately(cgroup, cpu.usage.user + cpu.usage.system + unbooked, now), quota: cpu.quota, period: cpu.period, cpus: kernel.cpus,
    periods: cpu.nrPeriods, throttled: cpu.nrThrottled, throttledTime, throttledNow: cpu.throttled, ...stat, ioMax: ioMaxText(cgroup).trim(), ioWeight: io.weight,
    pids: pids.current, pidsMax: limit(pids.max), pidsEvents: pids.events,
    cpuSome: Math.floor(psi.cpu.some.total + (waiting.tasks > 0 && cgroup.pressure ? (now - waiting.since) / 1000 : 0)), cpuFull: cgroup.parent ? Math.floor(throttledTime / 1000) : us(psi.cpu.full),
    memorySome: us(psi.memory.some), memoryFull: us(psi.memory.full), ioSome: us(psi.io.some), ioFull: us(psi.io.full), frozen: cgroup.frozen,
  };
}

const WINDOW = 500 * MS;

/** Processors used since the newest sample that is at least 500 ms old; what has stood still longer uses none. */
function lately({ cpu: { samples } }: Cgroup, used: number, now: number): number {
  let at = samples.length - 1;
  while (at >= 0 && now - samples[at]!.t < WINDOW) at--;
  const from = samples[at];
  return from ? (used - from.used) / Math.max(WINDOW, Math.min(now - from.t, 2 * WINDOW)) : used / Math.max(WINDOW, now - (samples[0]?.t ?? now));
}

export const cgroupCpu: View = {
  doc: "One cgroup's processor time: a row a stretch of about 100 ms in which it ran or was throttled, the newest 120.",
  arg: 'host, path',
  columns: columns(`
    t [ns]: end of the stretch
    span [ns]: its length
    used [ns]: processor time in it
    throttled [ns]: time in it that the group was throttled
    hits [count]: periods in it that ended throttled
  `),
  rows: (world, arg) => {
    const kernel = kernelsOf(world, arg)[0];
    const cgroup = kernel && groupAt(kernel, String(arg.path ?? ''));
    if (!cgroup) return [];
    const { samples } = cgroup.cpu;
    return samples.slice(1).map((one, i): CgroupCpuRow => {
      const before = samples[i]!;
      return { key: String(one.t), t: one.t, span: one.t - before.t, used: one.used - before.used, throttled: one.throttled - before.throttled, hits: one.hits - before.hits };
    });
  },
};

/** The group with a path from the root. */
export function groupAt(kernel: Kernel, path: string): Cgroup | undefined {
  let at: Cgroup | undefined = kernel.cgroups.root;
  for (const part of path.split('/')) if (part !== '') at = at?.children.get(part);
  return at;
}
