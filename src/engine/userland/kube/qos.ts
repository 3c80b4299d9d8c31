/**
 * Where a pod's processes live and what they may take: kubepods.slice with a slice a QoS class and a slice a pod, oom_score_adj,
 * shares and quotas. Source: kubelet pkg/kubelet/{cm,qos} 1.32. Pure but for `writeCgroup`.
 */
import { podAmounts } from '../../cluster/types/amounts.ts';
import type { Container, Pod } from '../../cluster/types/objects.ts';
import { milliOf, wholeOf } from '../../cluster/types/quantity.ts';
import { AT_FDCWD, AT_REMOVEDIR, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import type { Call } from '../lib/http.ts';
import { makeDirs, spill } from './api.ts';

const ROOT = '/sys/fs/cgroup';

/** "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<uid>.slice" */
export function podSlice(pod: Pod): string {
  const uid = pod.metadata.uid!.replace(/-/g, '_');
  const qos = pod.status.qosClass ?? 'BestEffort';
  if (qos === 'Guaranteed') return `/kubepods.slice/kubepods-pod${uid}.slice`;
  const word = qos.toLowerCase();
  return `/kubepods.slice/kubepods-${word}.slice/kubepods-${word}-pod${uid}.slice`;
}

export function oomScoreAdj(pod: Pod, container: Container, nodeMemory: number): number {
  if ((pod.spec.priority ?? 0) >= 2_000_001_000 || pod.status.qosClass === 'Guaranteed') return -997;
  if (pod.status.qosClass === 'BestEffort') return 1000;
  const of = (c: Container): number => Math.min(999, Math.max(3, 1000 - Math.floor((1000 * wholeOf(c.resources?.requests?.memory)) / nodeMemory)));
  // An init container that stays is killed no sooner than those it serves.
  const stays = container.restartPolicy === 'Always' && (pod.spec.initContainers ?? []).some((c) => c.name === container.name);
  return stays ? Math.min(of(container), ...pod.spec.containers.map(of)) : of(container);
}

export const sharesOf = (milli: number): number => (milli === 0 ? 2 : Math.min(262144, Math.max(2, Math.floor((milli * 1024) / 1000))));

/** cgroup v2's cpu.weight from shares, as the kubelet turns it. */
export const weightOf = (shares: number): number => Math.floor(1 + ((shares - 2) * 9999) / 262142);

export interface LinuxResources {
  cpuPeriod: string;
  cpuQuota: string;
  cpuShares: string;
  memoryLimitInBytes: string;
  oomScoreAdj: string;
}

export function resourcesOf(pod: Pod, container: Container, nodeMemory: number): LinuxResources {
  const limit = milliOf(container.resources?.limits?.cpu);
  return {
    cpuPeriod: '100000', cpuQuota: limit > 0 ? String(Math.max(1000, limit * 100)) : '0', cpuShares: String(sharesOf(milliOf(container.resources?.requests?.cpu))),
    memoryLimitInBytes: String(wholeOf(container.resources?.limits?.memory)), oomScoreAdj: String(oomScoreAdj(pod, container, nodeMemory)),
  };
}

const sum = (pod: Pod, list: 'requests' | 'limits', r: string): number => podAmounts(pod.spec, list).get(r) ?? 0;

/** Makes a slice below the root; controllers are turned on down the road. Its directory. */
function* makeSlice(slice: string): Call<string> {
  let at = ROOT;
  for (const part of slice.split('/').filter((p) => p !== '')) {
    yield* spill(`${at}/cgroup.subtree_control`, '+cpu +memory +pids', 0);
    at += `/${part}`;
    yield* makeDirs(at);
  }
  return at;
}

/** The slice of all pods: all that is not reserved, the reserve of eviction included, so that the kubelet comes before the kernel. */
export function* writeNodeCgroups(cpus: number, memory: number): Call<void> {
  const at = yield* makeSlice('/kubepods.slice');
  yield* spill(`${at}/cpu.weight`, String(weightOf(sharesOf(cpus * 1000))), 0);
  yield* spill(`${at}/memory.max`, String(memory), 0);
  yield* spill(`${yield* makeSlice('/kubepods.slice/kubepods-besteffort.slice')}/cpu.weight`, '1', 0);
  yield* makeSlice('/kubepods.slice/kubepods-burstable.slice');
}

/** Burstable pods together weigh what they ask for. */
export function* weighBurstable(pods: readonly Pod[]): Call<void> {
  const milli = pods.filter((p) => p.status.qosClass === 'Burstable').reduce((n, p) => n + sum(p, 'requests', 'cpu'), 0);
  yield* spill(`${ROOT}/kubepods.slice/kubepods-burstable.slice/cpu.weight`, String(weightOf(sharesOf(milli))), 0);
}

/** Makes the pod's slice with its limits. */
export function* writeCgroup(pod: Pod): Call<void> {
  const at = yield* makeSlice(podSlice(pod));
  const all = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])];
  yield* spill(`${at}/cpu.weight`, String(weightOf(sharesOf(sum(pod, 'requests', 'cpu')))), 0);
  if (all.every((c) => c.resources?.limits?.memory !== undefined)) yield* spill(`${at}/memory.max`, String(sum(pod, 'limits', 'memory')), 0);
  if (all.every((c) => c.resources?.limits?.cpu !== undefined)) yield* spill(`${at}/cpu.max`, `${Math.max(1000, sum(pod, 'limits', 'cpu') * 100)} 100000`, 0);
}

export function* removeCgroup(pod: Pod): Call<void> {
  try {
    yield* sys('unlinkat', AT_FDCWD, ROOT + podSlice(pod), AT_REMOVEDIR);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
  }
}
