/** A cgroup's figures as containerd reports them (cgroups v2 metrics). */
import { tryRead } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import type { Metrics } from '../containerd/api.ts';
import { flat, numberIn } from '../runc/stats.ts';

export function* metricsOf(cgroup: string): Call<Metrics> {
  const cpu = yield* flat(`${cgroup}/cpu.stat`);
  const io = { readBytes: 0, writeBytes: 0, reads: 0, writes: 0 };
  const keys = { rbytes: 'readBytes', wbytes: 'writeBytes', rios: 'reads', wios: 'writes' } as const;
  for (const m of ((yield* tryRead(`${cgroup}/io.stat`)) ?? '').matchAll(/(rbytes|wbytes|rios|wios)=(\d+)/g)) io[keys[m[1] as 'rios']] += Number(m[2]);
  return {
    memory: {
      usage: (yield* numberIn(`${cgroup}/memory.current`)) ?? 0, limit: yield* numberIn(`${cgroup}/memory.max`), peak: (yield* numberIn(`${cgroup}/memory.peak`)) ?? 0,
      stat: yield* flat(`${cgroup}/memory.stat`), events: yield* flat(`${cgroup}/memory.events`),
    },
    cpu: {
      usage: (cpu.usage_usec ?? 0) * 1000, user: (cpu.user_usec ?? 0) * 1000, system: (cpu.system_usec ?? 0) * 1000, periods: cpu.nr_periods ?? 0,
      throttledPeriods: cpu.nr_throttled ?? 0, throttled: (cpu.throttled_usec ?? 0) * 1000,
    },
    pids: { current: (yield* numberIn(`${cgroup}/pids.current`)) ?? 0, limit: yield* numberIn(`${cgroup}/pids.max`) },
    io,
  };
}
