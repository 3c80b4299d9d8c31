/** Figures of containers in the interface's form. Source: containerd pkg/cri/server/container_stats_list_linux.go. */
import { nowNs } from '../../lib/clock.ts';
import type { Call } from '../../lib/http.ts';
import { Refusal } from '../containerd/api.ts';
import { taskCall } from '../containerd/tasks.ts';
import { CONTAINERD } from '../store.ts';
import { usage } from './snapshots.ts';
import { type Container, containerOf, type Cri, type Message, NAMESPACE, type Sandbox, stateOf } from './state.ts';

function* statsOf(cri: Cri, c: Container): Call<Message | null> {
  try {
    const { metrics } = yield* taskCall(cri.d, NAMESPACE, 'Metrics', { containerId: c.id });
    const timestamp = String(yield* nowNs());
    const written = yield* usage(c.id);
    const v = (n: number): Message => ({ value: String(Math.max(0, Math.floor(n))) });
    const { memory, cpu } = metrics;
    const inactive = memory.stat.inactive_file ?? 0;
    return {
      attributes: { id: c.id, metadata: c.config.metadata, labels: c.config.labels ?? {}, annotations: c.config.annotations ?? {} },
      cpu: { timestamp, usageCoreNanoSeconds: v(cpu.usage) },
      memory: {
        timestamp, workingSetBytes: v(memory.usage - inactive), usageBytes: v(memory.usage), rssBytes: v(memory.stat.anon ?? 0), pageFaults: v(memory.stat.pgfault ?? 0),
        majorPageFaults: v(memory.stat.pgmajfault ?? 0), ...(memory.limit === null ? {} : { availableBytes: v(memory.limit - memory.usage + inactive) }),
      },
      writableLayer: { timestamp, fsId: { mountpoint: CONTAINERD.layers.replace(/\/snapshots$/, '') }, usedBytes: v(written.bytes), inodesUsed: v(written.inodes) },
    };
  } catch (error) {
    if (error instanceof Refusal) return null;
    throw error;
  }
}

export function* containerStats(cri: Cri, r: Message): Call<Message> {
  return { stats: (yield* statsOf(cri, containerOf(cri, r.containerId))) ?? undefined };
}

export function* listStats(cri: Cri, r: Message): Call<Message> {
  const { id, podSandboxId, labelSelector } = r.filter ?? {};
  const stats: Message[] = [];
  for (const c of [...cri.containers.values()].sort((a, b) => a.createdAt - b.createdAt)) {
    if (stateOf(c) !== 'CONTAINER_RUNNING' || (id && !c.id.startsWith(id)) || (podSandboxId && !c.sandboxId.startsWith(podSandboxId))) continue;
    if (!Object.entries(labelSelector ?? {}).every(([k, v]) => c.config.labels?.[k] === v)) continue;
    const one = yield* statsOf(cri, c);
    if (one) stats.push(one);
  }
  return { stats };
}

/** A pod's figures: its containers and the one that holds its namespaces together. */
function* podStats(cri: Cri, s: Sandbox): Call<Message> {
  const timestamp = String(yield* nowNs());
  const sum = { cpu: 0, working: 0, usage: 0, rss: 0, processes: 0 };
  const containers: Message[] = [];
  const mine = [...cri.containers.values()].filter((c) => c.sandboxId === s.id && stateOf(c) === 'CONTAINER_RUNNING');
  for (const id of [s.id, ...mine.map((c) => c.id)]) {
    try {
      const { metrics } = yield* taskCall(cri.d, NAMESPACE, 'Metrics', { containerId: id });
      sum.cpu += metrics.cpu.usage;
      sum.usage += metrics.memory.usage;
      sum.working += metrics.memory.usage - (metrics.memory.stat.inactive_file ?? 0);
      sum.rss += metrics.memory.stat.anon ?? 0;
      sum.processes += metrics.pids?.current ?? 1;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
    }
  }
  for (const c of mine) {
    const one = yield* statsOf(cri, c);
    if (one) containers.push(one);
  }
  const v = (n: number): Message => ({ value: String(Math.max(0, Math.floor(n))) });
  return {
    attributes: { id: s.id, metadata: s.config.metadata, labels: s.config.labels ?? {}, annotations: s.config.annotations ?? {} },
    linux: { cpu: { timestamp, usageCoreNanoSeconds: v(sum.cpu) }, memory: { timestamp, workingSetBytes: v(sum.working), usageBytes: v(sum.usage), rssBytes: v(sum.rss) }, process: { timestamp, processCount: v(sum.processes) }, containers },
  };
}

export function* listPodStats(cri: Cri, r: Message): Call<Message> {
  const { id, labelSelector } = r.filter ?? {};
  const stats: Message[] = [];
  for (const s of [...cri.sandboxes.values()].sort((a, b) => (a.id < b.id ? -1 : 1))) {
    if (!s.ready || (id && !s.id.startsWith(id)) || !Object.entries(labelSelector ?? {}).every(([k, v]) => s.config.labels?.[k] === v)) continue;
    stats.push(yield* podStats(cri, s));
  }
  return { stats };
}
