/** Figures of the node and its pods for whoever scales or shows them: /stats/summary and /metrics/resource. Source: pkg/kubelet/server/stats, metrics/collectors 1.32; numbers are those of the control groups. */
import type { Json } from '../../cluster/types/objects.ts';
import { rfc3339 } from '../../cluster/types/time.ts';
import { sys } from '../../kernel/sys.ts';
import { attempt } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { SECOND } from '../../sim/units.ts';
import { api, slurp } from './api.ts';
import { cri, refused } from './cri.ts';
import { workingSet } from './eviction.ts';
import { type Kubelet, wallclock } from './node.ts';

interface Figures {
  cpu: number;
  memory: number;
}

/** ns of processor time and bytes of the working set of a control group. */
function* figuresOf(slice: string): Call<Figures> {
  const usec = Number(/^usage_usec (\d+)/m.exec((yield* slurp(`/sys/fs/cgroup${slice}/cpu.stat`)) ?? '')?.[1] ?? 0);
  return { cpu: usec * 1000, memory: yield* workingSet(slice) };
}

function* nodeFigures(): Call<Figures> {
  const { cpu } = yield* figuresOf('');
  const info = (yield* slurp('/proc/meminfo')) ?? '';
  const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  const cache = Number(/^inactive_file (\d+)/m.exec((yield* slurp('/sys/fs/cgroup/memory.stat')) ?? '')?.[1] ?? 0);
  return { cpu, memory: Math.max(0, (kib('MemTotal') - kib('MemFree')) * 1024 - cache) };
}

interface PodFigures {
  pod: Json;
  containers: { name: string; startTime: string; figures: Figures; disk: number }[];
}

function* podFigures(k: Kubelet): Call<PodFigures[]> {
  const all = yield* cri('ListContainerStats', {});
  const stats = new Map<string, Json>(refused(all) ? [] : (all.stats ?? []).map((s: Json) => [s.attributes.id, s]));
  const out: PodFigures[] = [];
  for (const held of k.pods.values()) {
    const containers: PodFigures['containers'] = [];
    for (const [name, id] of held.ids) {
      const s = stats.get(id);
      if (s) containers.push({ name, startTime: held.startTime, figures: { cpu: Number(s.cpu?.usageCoreNanoSeconds?.value ?? 0), memory: Number(s.memory?.workingSetBytes?.value ?? 0) }, disk: Number(s.writableLayer?.usedBytes?.value ?? 0) });
    }
    if (containers.length > 0) out.push({ pod: held.pod, containers });
  }
  return out;
}

/** Processor time grows; what it was at the last question gives the rate. */
const before = new WeakMap<Kubelet, Map<string, { at: number; cpu: number; rate: number }>>();

function rateOf(k: Kubelet, key: string, cpu: number, now: number): number {
  const seen = before.get(k) ?? new Map<string, { at: number; cpu: number; rate: number }>();
  before.set(k, seen);
  const old = seen.get(key);
  if (old && now - old.at < 1e9) return old.rate;
  const rate = old && cpu >= old.cpu ? Math.round(((cpu - old.cpu) * 1e9) / (now - old.at)) : 0;
  seen.set(key, { at: now, cpu, rate });
  return rate;
}

/** What is on the claims of a pod: the file systems of their mounts. */
function* volumeStats(k: Kubelet, pod: Json, time: string): Call<Json[]> {
  const out: Json[] = [];
  for (const [name, one] of k.pods.get(pod.metadata.uid)?.claims ?? []) {
    const fs = yield* attempt(sys('statfs', one.path), null);
    const claim = (pod.spec.volumes ?? []).find((v: Json) => v.name === name)?.persistentVolumeClaim?.claimName;
    if (fs) out.push({ time, availableBytes: fs.bavail * fs.bsize, capacityBytes: fs.blocks * fs.bsize, usedBytes: (fs.blocks - fs.bfree) * fs.bsize, inodesFree: fs.ffree, inodes: fs.files, inodesUsed: fs.files - fs.ffree, name, pvcRef: { name: claim, namespace: pod.metadata.namespace } });
  }
  return out;
}

export function* summary(k: Kubelet): Call<Json> {
  const time = yield* wallclock();
  const now = yield* sys('clock_gettime', 'monotonic');
  const disk = yield* attempt(sys('statfs', '/var/lib/kubelet'), null);
  const fs = disk ? { time, availableBytes: disk.bavail * disk.bsize, capacityBytes: disk.blocks * disk.bsize, usedBytes: (disk.blocks - disk.bfree) * disk.bsize } : {};
  const part = (key: string, f: Figures): Json => ({ cpu: { time, usageNanoCores: rateOf(k, key, f.cpu, now), usageCoreNanoSeconds: f.cpu }, memory: { time, workingSetBytes: f.memory } });
  const node = yield* nodeFigures();
  const pods: Json[] = [];
  for (const { pod, containers } of yield* podFigures(k)) {
    const volume = yield* volumeStats(k, pod, time);
    const total = containers.reduce((a, c) => ({ cpu: a.cpu + c.figures.cpu, memory: a.memory + c.figures.memory }), { cpu: 0, memory: 0 });
    pods.push({
      podRef: { name: pod.metadata.name, namespace: pod.metadata.namespace, uid: pod.metadata.uid }, startTime: containers[0]!.startTime, ...(volume.length > 0 ? { volume } : {}),
      containers: containers.map((c) => ({ name: c.name, startTime: c.startTime, ...part(`${pod.metadata.uid}/${c.name}`, c.figures), rootfs: { time, usedBytes: c.disk } })), ...part(String(pod.metadata.uid), total),
    });
  }
  return { node: { nodeName: k.node, startTime: rfc3339(((yield* sys('clock_gettime', 'realtime')) - now) / 1e9), ...part('node', node), fs }, pods };
}

/** Every 15 s, metrics-server's resolution: the figures are brought to the API server's metrics API. */
export function* tellFigures(k: Kubelet): Call<never> {
  for (;;) {
    yield* sys('nanosleep', 15 * SECOND);
    yield* api(k.server, 'PUT', `/apis/metrics.k8s.io/v1beta1/nodes/${k.node}`, yield* summary(k));
  }
}

/** The same for metrics-server, as text: node_*, pod_*, container_* of processor seconds and working sets. */
export function* resourceMetrics(k: Kubelet): Call<string> {
  const at = Math.floor((yield* sys('clock_gettime', 'realtime')) / 1e6);
  const node = yield* nodeFigures();
  const pods = yield* podFigures(k);
  const seconds = (f: Figures): string => String(f.cpu / 1e9);
  const block = (name: string, help: string, type: string, rows: string[]): string => `# HELP ${name} [STABLE] ${help}\n# TYPE ${name} ${type}\n${rows.map((r) => `${name}${r} ${at}\n`).join('')}`;
  const each = (of: (f: Figures) => string): string[] => pods.flatMap(({ pod, containers }) => containers.map((c) => `{container="${c.name}",namespace="${pod.metadata.namespace}",pod="${pod.metadata.name}"} ${of(c.figures)}`));
  const sums = (of: (f: Figures) => string): string[] =>
    pods.map(({ pod, containers }) => `{namespace="${pod.metadata.namespace}",pod="${pod.metadata.name}"} ${of(containers.reduce((a, c) => ({ cpu: a.cpu + c.figures.cpu, memory: a.memory + c.figures.memory }), { cpu: 0, memory: 0 }))}`);
  return [
    block('container_cpu_usage_seconds_total', 'Cumulative cpu time consumed by the container in core-seconds', 'counter', each(seconds)),
    block('container_memory_working_set_bytes', 'Current working set of the container in bytes', 'gauge', each((f) => String(f.memory))),
    block('node_cpu_usage_seconds_total', 'Cumulative cpu time consumed by the node in core-seconds', 'counter', [` ${seconds(node)}`]),
    block('node_memory_working_set_bytes', 'Current working set of the node in bytes', 'gauge', [` ${node.memory}`]),
    block('pod_cpu_usage_seconds_total', 'Cumulative cpu time consumed by the pod in core-seconds', 'counter', sums(seconds)),
    block('pod_memory_working_set_bytes', 'Current working set of the pod in bytes', 'gauge', sums((f) => String(f.memory))),
  ].join('');
}
