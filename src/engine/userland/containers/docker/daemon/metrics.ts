/** GET /containers/ID/stats: the control group's figures and the interfaces', as docker's JSON. Source: moby daemon/stats_unix.go. */
import { sys } from '../../../../kernel/sys.ts';
import { SECOND } from '../../../../sim/units.ts';
import { isoNano, nowNs } from '../../../lib/clock.ts';
import { attempt, tryRead } from '../../../lib/files.ts';
import { beginStream, type Call, endStream, type Exchange, reply, writeChunk } from '../../../lib/http.ts';
import { type Metrics, tasks } from '../../containerd/api.ts';
import { processors } from './create.ts';
import { ignoreRefusal, NS } from './containerd.ts';
import { type Any, type Container, NEVER } from './state.ts';

interface Sample {
  read: string;
  metrics: Metrics | null;
  system: number;
  nets: Record<string, Any>;
}

function* sample(c: Container): Call<Sample> {
  const metrics = c.State.Running ? ((yield* ignoreRefusal(tasks(NS, 'Metrics', { containerId: c.ID })))?.metrics ?? null) : null;
  const stat =
    /^cpu\s+(.*)$/m
      .exec((yield* tryRead('/proc/stat')) ?? '')?.[1]
      ?.trim()
      .split(/\s+/)
      .slice(0, 8)
      .map(Number) ?? [];
  const nets: Record<string, Any> = {};
  if (metrics) {
    const links = (yield* attempt(sys('netlink', { type: 'link.list', ns: { pid: c.State.Pid } }), [])) as {
      name: string;
      kind: string;
      stats: Record<string, number>;
    }[];
    for (const l of links) {
      if (l.kind === 'loopback') continue;
      nets[l.name] = {
        rx_bytes: l.stats.rxBytes,
        rx_packets: l.stats.rxPackets,
        rx_errors: 0,
        rx_dropped: 0,
        tx_bytes: l.stats.txBytes,
        tx_packets: l.stats.txPackets,
        tx_errors: 0,
        tx_dropped: 0,
      };
    }
  }
  return { read: isoNano(yield* nowNs()), metrics, system: stat.reduce((a, b) => a + b, 0) * 10_000_000, nets };
}

function json(c: Container, s: Sample, before: Sample | null, cpus: number, total: number): Any {
  const cpu = (x: Sample | null): Any =>
    x?.metrics
      ? {
          cpu_usage: { total_usage: x.metrics.cpu.usage, usage_in_kernelmode: x.metrics.cpu.system, usage_in_usermode: x.metrics.cpu.user },
          system_cpu_usage: x.system,
          online_cpus: cpus,
          throttling_data: {
            periods: x.metrics.cpu.periods,
            throttled_periods: x.metrics.cpu.throttledPeriods,
            throttled_time: x.metrics.cpu.throttled,
          },
        }
      : {
          cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
          throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
        };
  const m = s.metrics;
  const io = m
    ? [
        ['read', m.io.readBytes],
        ['write', m.io.writeBytes],
      ].map(([op, value]) => ({ major: 254, minor: 0, op, value }))
    : null;
  return {
    read: m ? s.read : NEVER,
    preread: before?.metrics ? before.read : NEVER,
    pids_stats: m ? { current: m.pids.current, limit: m.pids.limit ?? 2 ** 64 } : {},
    blkio_stats: { io_service_bytes_recursive: io },
    num_procs: 0,
    storage_stats: {},
    cpu_stats: cpu(s),
    precpu_stats: cpu(before),
    memory_stats: m
      ? { usage: m.memory.usage, stats: m.memory.stat, limit: m.memory.limit === null ? total : Math.min(total, m.memory.limit) }
      : {},
    name: c.Name,
    id: c.ID,
    ...(m && Object.keys(s.nets).length > 0 ? { networks: s.nets } : {}),
  };
}

export function* serveStats(c: Container, x: Exchange): Call<void> {
  const cpus = yield* processors();
  const total = (yield* sys('sysinfo')).totalram;
  if (x.query.stream === '0' || x.query.stream === 'false') {
    let before: Sample | null = null;
    if (c.State.Running && x.query['one-shot'] !== '1') {
      before = yield* sample(c);
      yield* sys('nanosleep', SECOND);
    }
    yield* reply(x, 200, json(c, yield* sample(c), before, cpus, total));
    return;
  }
  yield* beginStream(x, 200, { 'Content-Type': 'application/json' });
  let before: Sample | null = null;
  while (!c.live.removing) {
    const now: Sample = yield* sample(c);
    yield* writeChunk(x, `${JSON.stringify(json(c, now, before, cpus, total))}\n`);
    before = now;
    yield* sys('nanosleep', SECOND);
  }
  yield* endStream(x);
}

/** GET /containers/ID/top: ps on the host, its lines about these processes. */
export function* pidsOf(c: Container): Call<number[]> {
  return ((yield* ignoreRefusal(tasks(NS, 'ListPids', { containerId: c.ID })))?.processes ?? []).map((p) => p.pid);
}
