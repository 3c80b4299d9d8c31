/**
 * Where a pod's processes live and what they may take: kubepods.slice with a slice a QoS class and a slice a pod, oom_score_adj,
 * shares and quotas. Source: kubelet pkg/kubelet/{cm,qos} 1.32. Pure but for `writeCgroup`.
 */
import type { Container, Pod } from '../../cluster/types/objects.ts';
import { amountOf, milliOf, wholeOf } from '../../cluster/types/quantity.ts';
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
  const request = wholeOf(container.resources?.requests?.memory);
  return Math.min(999, Math.max(3, 1000 - Math.floor((1000 * request) / nodeMemory)));
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

const sum = (pod: Pod, list: 'requests' | 'limits', r: string): number => pod.spec.containers.reduce((n, c) => n + amountOf(r, c.resources?.[list]?.[r]), 0);

/** Makes the pod's slice with its limits; controllers are turned on down the road. */
export function* writeCgroup(pod: Pod): Call<void> {
  const slice = podSlice(pod);
  const parts = slice.split('/').filter((p) => p !== '');
  let at = ROOT;
  for (const part of parts) {
    yield* spill(`${at}/cgroup.subtree_control`, '+cpu +memory +pids', 0);
    at += `/${part}`;
    yield* makeDirs(at);
  }
  const shares = sharesOf(sum(pod, 'requests', 'cpu'));
  yield* spill(`${at}/cpu.weight`, String(weightOf(shares)), 0);
  if (pod.spec.containers.every((c) => c.resources?.limits?.memory !== undefined)) yield* spill(`${at}/memory.max`, String(sum(pod, 'limits', 'memory')), 0);
  if (pod.spec.containers.every((c) => c.resources?.limits?.cpu !== undefined)) yield* spill(`${at}/cpu.max`, `${Math.max(1000, sum(pod, 'limits', 'cpu') * 100)} 100000`, 0);
}

export function* removeCgroup(pod: Pod): Call<void> {
  try {
    yield* sys('unlinkat', AT_FDCWD, ROOT + podSlice(pod), AT_REMOVEDIR);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
  }
}
