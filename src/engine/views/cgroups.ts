/** The control-group tree and what each group is charged, and one group's memory over time. */
import type { CgroupHistoryRow, CgroupRow } from '../../bridge/rows.ts';
import type { Cgroup, Kernel } from '../kernel/records.ts';
import { PAGE } from '../sim/units.ts';
import { containerOf, pathOf } from './names.ts';
import { columns, kernelsOf, type View } from './view.ts';

export const cgroups: View = {
  doc: 'The cgroup v2 tree, parents before children. The root keeps no account: its memory is null.',
  arg: 'host?',
  columns: columns(`
    host: machine
    path: from the root
    name: last part
    depth [count]: 0 for the root
    container: id of the container whose group it is, or empty
    procs [count]: tasks directly in it
    current [bytes]: memory.current
    peak [bytes]: memory.peak
    max: memory.max as the file reads
    high: memory.high as the file reads
    low: memory.low
    min: memory.min
    anon [bytes]: of current, anonymous
    file [bytes]: of current, page cache and tmpfs
    kernel [bytes]: of current, kernel
    eventsLow [count]: memory.events low
    eventsHigh [count]: memory.events high
    eventsMax [count]: memory.events max: charges that met the limit
    oom [count]: memory.events oom
    oomKills [count]: memory.events oom_kill
    oomGroupKills [count]: memory.events oom_group_kill
    cpuUsage [ns]: user and system time
    cpuWeight [count]: cpu.weight
    cpuMax: cpu.max as the file reads
    throttled [count]: periods in which it was throttled
    throttledTime [ns]: time it was throttled
    pids [count]: pids.current
    pidsMax: pids.max as the file reads
  `),
  rows: (world, arg) => kernelsOf(world, arg).flatMap((kernel) => tree(kernel, kernel.cgroups.root, 0)),
};

function tree(kernel: Kernel, cgroup: Cgroup, depth: number): CgroupRow[] {
  const children = [...cgroup.children.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return [row(kernel, cgroup, depth), ...children.flatMap((child) => tree(kernel, child, depth + 1))];
}

const limit = (value: number | null): string => (value === null ? 'max' : String(value));

function row(kernel: Kernel, cgroup: Cgroup, depth: number): CgroupRow {
  const { memory, cpu, pids } = cgroup;
  const path = pathOf(cgroup);
  const root = cgroup.parent === null;
  return {
    key: `${kernel.name}:${path}`, host: kernel.name, path, name: cgroup.name || '/', depth, container: containerOf(path), procs: cgroup.tasks.size,
    current: root ? null : (memory.anon + memory.file + memory.shmem + memory.kernel) * PAGE, peak: root ? null : memory.peak * PAGE,
    max: limit(memory.max), high: limit(memory.high), low: String(memory.low), min: String(memory.min),
    anon: memory.anon * PAGE, file: (memory.file + memory.shmem) * PAGE, kernel: memory.kernel * PAGE,
    eventsLow: memory.events.low, eventsHigh: memory.events.high, eventsMax: memory.events.max, oom: memory.events.oom,
    oomKills: memory.events.oomKill, oomGroupKills: memory.events.oomGroupKill,
    cpuUsage: cpu.usage.user + cpu.usage.system, cpuWeight: cpu.weight, cpuMax: `${limit(cpu.quota)} ${cpu.period}`,
    throttled: cpu.nrThrottled, throttledTime: cpu.throttledTime, pids: root ? null : pids.current, pidsMax: limit(pids.max),
  };
}

export const cgroupHistory: View = {
  doc: "One cgroup's memory over time, a sample whenever it moved visibly, and each refused charge.",
  arg: 'host, path',
  columns: columns(`
    t [ns]: when
    current [bytes]: memory.current then
    refused [count]: 1 when a charge was refused at the limit here
  `),
  rows: (world, arg) => {
    const rows: CgroupHistoryRow[] = [];
    for (const entry of world.trace.records) {
      if (entry.who !== arg.host || entry.data.cgroup !== arg.path) continue;
      if (entry.kind !== 'memory.sample' && entry.kind !== 'memory.refused') continue;
      rows.push({ key: String(entry.n), t: entry.t, current: Number(entry.data.current ?? 0), refused: entry.kind === 'memory.refused' ? 1 : 0 });
    }
    return rows.slice(-2000);
  },
};
