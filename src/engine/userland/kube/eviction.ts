/**
 * Eviction under pressure: every 10 s what is left of memory and of the disk is compared with the hard thresholds; the pod that
 * uses most beyond its request goes, one at a time; before that unused images and dead containers when it is the disk. A condition
 * holds for five minutes after its signal was last seen. Source: pkg/kubelet/eviction 1.32. Left out: soft thresholds, inodes, PIDs.
 */
import type { Container, Json, Pod } from '../../cluster/types/objects.ts';
import { amountOf, wholeOf } from '../../cluster/types/quantity.ts';
import { AT_FDCWD } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { SECOND } from '../../sim/units.ts';
import { attempt } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { isCritical } from './admit.ts';
import { slurp } from './api.ts';
import { cri, refused } from './cri.ts';
import { type Held, type Kubelet, say } from './node.ts';
import { thresholdOf } from './nodestatus.ts';
import { used } from './pod/volumes.ts';
import { podSlice } from './qos.ts';

const PERIOD = 10 * SECOND;
const TRANSITION = 300 * SECOND;

interface Signal {
  condition: string;
  /** Shown in messages: "memory", "ephemeral-storage". */
  resource: 'memory' | 'ephemeral-storage';
  available: number;
  threshold: number;
}

/** Bytes of a pod's cgroup that are not cache that can go. */
export function* workingSet(slice: string): Call<number> {
  const current = Number((yield* slurp(`/sys/fs/cgroup${slice}/memory.current`)) ?? 0);
  const inactive = Number(/^inactive_file (\d+)/m.exec((yield* slurp(`/sys/fs/cgroup${slice}/memory.stat`)) ?? '')?.[1] ?? 0);
  return Math.max(0, current - inactive);
}

function* signals(k: Kubelet): Call<Signal[]> {
  const info = (yield* slurp('/proc/meminfo')) ?? '';
  const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  const out: Signal[] = [];
  const cache = Number(/^inactive_file (\d+)/m.exec((yield* slurp('/sys/fs/cgroup/memory.stat')) ?? '')?.[1] ?? 0);
  if (info !== '') out.push({ condition: 'MemoryPressure', resource: 'memory', available: kib('MemFree') * 1024 + cache, threshold: thresholdOf(k.config.evictionHard['memory.available'], k.memory) });
  const disk = yield* attempt(sys('statfs', '/var/lib/kubelet'), null);
  if (disk) out.push({ condition: 'DiskPressure', resource: 'ephemeral-storage', available: disk.bavail * disk.bsize, threshold: Math.max(thresholdOf(k.config.evictionHard['nodefs.available'], k.disk), thresholdOf(k.config.evictionHard['imagefs.available'], k.disk)) });
  return out;
}

export function* evictor(k: Kubelet): Call<never> {
  const seen = new Map<string, number>();
  for (;;) {
    yield* sys('nanosleep', PERIOD);
    const now = yield* sys('clock_gettime', 'monotonic');
    const met: Signal[] = [];
    for (const s of yield* signals(k)) {
      if (s.available < s.threshold) {
        seen.set(s.condition, now);
        met.push(s);
      }
      const last = seen.get(s.condition);
      if (last !== undefined && now - last < TRANSITION) k.pressure.add(s.condition);
      else k.pressure.delete(s.condition);
    }
    yield* localLimits(k);
    const worst = met[0];
    if (!worst) continue;
    yield* say(k, { kind: 'Node', metadata: { name: k.node, uid: k.node } }, 'Warning', 'EvictionThresholdMet', `Attempting to reclaim ${worst.resource}`);
    if (worst.resource === 'ephemeral-storage' && (yield* collectImages(k)) && (yield* signals(k)).every((s) => s.condition !== worst.condition || s.available >= s.threshold)) continue;
    yield* evictOne(k, worst);
  }
}

interface Usage {
  held: Held;
  usage: number;
  request: number;
}

const requested = (pod: Pod, resource: string): number => pod.spec.containers.reduce((n, c) => n + amountOf(resource, c.resources?.requests?.[resource]), 0);

/** More than asked for first, then lower priority, then most beyond what was asked for. */
export function rank(all: Usage[]): Usage[] {
  const over = (u: Usage): number => (u.usage > u.request ? 1 : 0);
  return [...all].sort((a, b) => over(b) - over(a) || (a.held.pod.spec.priority ?? 0) - (b.held.pod.spec.priority ?? 0) || b.usage - b.request - (a.usage - a.request) || (a.held.pod.metadata.uid! < b.held.pod.metadata.uid! ? -1 : 1));
}

const live = (h: Held): boolean => !h.gone && h.evict === null && h.phase !== 'Succeeded' && h.phase !== 'Failed' && h.pod.metadata.deletionTimestamp === undefined;

function* evictOne(k: Kubelet, s: Signal): Call<void> {
  const all: Usage[] = [];
  for (const held of k.pods.values()) {
    if (!live(held) || isCritical(held.pod)) continue;
    all.push({ held, usage: s.resource === 'memory' ? yield* workingSet(podSlice(held.pod)) : yield* diskUsed(k, held), request: requested(held.pod, s.resource) });
  }
  const victim = rank(all)[0];
  if (!victim) return;
  const words = yield* exceeding(victim.held, s);
  yield* evict(k, victim.held, `The node was low on resource: ${s.resource}. Threshold quantity: ${quantity(s.threshold)}, available: ${quantity(s.available)}. ${words}`, 0);
}

/** As a quantity in binary units, the way Ki is printed by the real one. */
const quantity = (n: number): string => (n % 1024 === 0 ? (n % 1048576 === 0 && n > 0 ? `${n / 1048576}Mi` : `${n / 1024}Ki`) : String(n));

/** "Container hog was using 300Mi, request is 100Mi, has larger consumption of memory. " */
function* exceeding(held: Held, s: Signal): Call<string> {
  let out = '';
  for (const c of held.pod.spec.containers) {
    const id = held.ids.get(c.name);
    const request = amountOf(s.resource, c.resources?.requests?.[s.resource]);
    const usage = id === undefined ? 0 : s.resource === 'memory' ? yield* workingSet(`${podSlice(held.pod)}/cri-containerd-${id}.scope`) : yield* writable(id);
    if (usage > request) out += `Container ${c.name} was using ${quantity(Math.floor(usage / 1024) * 1024)}, request is ${quantity(request)}, has larger consumption of ${s.resource}. `;
  }
  return out;
}

function* evict(k: Kubelet, held: Held, message: string, grace: number): Call<void> {
  yield* say(k, held.pod, 'Warning', 'Evicted', message);
  held.evict = { reason: 'Evicted', message, grace };
  k.changes++;
}

function* writable(id: string): Call<number> {
  const answer = yield* cri('ContainerStats', { containerId: id });
  return refused(answer) ? 0 : Number(answer.stats?.writableLayer?.usedBytes?.value ?? 0);
}

const root = (held: Held): string => `/var/lib/kubelet/pods/${held.pod.metadata.uid}/volumes/kubernetes.io~empty-dir`;

/** Writable layers, logs and emptyDirs. */
function* diskUsed(_k: Kubelet, held: Held): Call<number> {
  let sum = yield* used(root(held));
  for (const id of held.ids.values()) sum += yield* writable(id);
  for (const { current } of held.logs.values()) sum += (yield* attempt(sys('newfstatat', AT_FDCWD, current, 0), null))?.size ?? 0;
  return sum;
}

/** Limits of a pod's own: of an emptyDir, of a container's or the pod's ephemeral storage. */
function* localLimits(k: Kubelet): Call<void> {
  for (const held of k.pods.values()) {
    if (!live(held)) continue;
    for (const v of (held.pod.spec.volumes ?? []) as Json[]) {
      const limit = wholeOf(v.emptyDir?.sizeLimit);
      if (limit > 0 && (yield* used(`${root(held)}/${v.name}`)) > limit) yield* evict(k, held, `Usage of EmptyDir volume "${v.name}" exceeds the limit "${v.emptyDir.sizeLimit}". `, 0);
    }
    const limits = held.pod.spec.containers.map((c: Container) => wholeOf(c.resources?.limits?.['ephemeral-storage']));
    for (const [i, c] of held.pod.spec.containers.entries()) {
      const id = held.ids.get(c.name);
      if (limits[i]! > 0 && id !== undefined && held.evict === null && (yield* writable(id)) > limits[i]!) yield* evict(k, held, `Container ${c.name} exceeded its local ephemeral storage limit "${c.resources!.limits!['ephemeral-storage']}". `, 0);
    }
    if (held.evict === null && limits.every((l) => l > 0) && (yield* diskUsed(k, held)) > limits.reduce((a, b) => a + b, 0)) yield* evict(k, held, `Pod ephemeral local storage usage exceeds the total limit of containers ${quantity(limits.reduce((a, b) => a + b, 0))}. `, 0);
  }
}

/** Removes images that no container uses; whether there were any. */
export function* collectImages(k: Kubelet): Call<boolean> {
  const containers = yield* cri('ListContainers', {});
  const images = yield* cri('ListImages', {});
  if (refused(containers) || refused(images)) return false;
  const inUse = new Set<string>((containers.containers ?? []).map((c: Json) => c.imageRef));
  let any = false;
  for (const image of (images.images ?? []) as Json[]) {
    if (inUse.has(image.id) || image.pinned) continue;
    yield* cri('RemoveImage', { image: { image: image.id } });
    any = true;
  }
  if (any) k.changes++;
  return any;
}
