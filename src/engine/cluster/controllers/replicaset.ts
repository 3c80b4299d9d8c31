/** ReplicaSet: as many pods as asked for. Deletion ranking as controller_utils.go ActivePodsWithRanks. */
import { mutate } from '../api.ts';
import type { Cluster } from '../state.ts';
import { get, ownedBy } from '../store.ts';
import { type Pod, type ReplicaSet, same } from '../types/objects.ts';
import { adopt, isActive, isReady, retire, spawn } from './pods.ts';
import { BURST } from './timers.ts';

export function syncReplicaSet(cluster: Cluster, key: string): void {
  const rs = get<ReplicaSet>(cluster.store, 'ReplicaSet', key);
  if (!rs) return;
  let pods = ownedBy<Pod>(cluster.store, rs.metadata.uid!, 'Pod').filter(isActive);
  if (!rs.metadata.deletionTimestamp) {
    const before = cluster.store.revision;
    if (!rs.status?.observedGeneration) pods.push(...adopt(cluster, rs));
    const missing = rs.spec.replicas - pods.length;
    if (missing > 0) grow(cluster, rs, Math.min(missing, BURST));
    else if (missing < 0) shrink(cluster, rs, pods, Math.min(-missing, BURST));
    if (cluster.store.revision !== before) pods = ownedBy<Pod>(cluster.store, rs.metadata.uid!, 'Pod').filter(isActive);
  }
  status(cluster, rs, key, pods);
}

function grow(cluster: Cluster, rs: ReplicaSet, n: number): void {
  for (let i = 0; i < n; i++) if (!spawn(cluster, rs, rs.spec.template, 'replicaset-controller')) return;
}

/** Lower goes first: unassigned, pending, not ready, on a crowded node, younger. */
function shrink(cluster: Cluster, rs: ReplicaSet, pods: Pod[], n: number): void {
  const crowd = new Map<string, number>();
  for (const pod of pods) crowd.set(pod.spec.nodeName ?? '', (crowd.get(pod.spec.nodeName ?? '') ?? 0) + 1);
  const phase = (pod: Pod): number => ({ Pending: 0, Unknown: 1, Running: 2 })[pod.status?.phase ?? 'Pending'] ?? 2;
  const cost = (pod: Pod): number => Number(pod.metadata.annotations?.['controller.kubernetes.io/pod-deletion-cost'] ?? 0) || 0;
  const restarts = (pod: Pod): number => (pod.status?.containerStatuses ?? []).reduce((sum, c) => sum + c.restartCount, 0);
  const rank = (pod: Pod): number[] => [
    pod.spec.nodeName ? 1 : 0, phase(pod), isReady(pod) ? 1 : 0, cost(pod), -(crowd.get(pod.spec.nodeName ?? '') ?? 0), -restarts(pod),
  ];
  const sorted = pods.map((pod, i) => ({ pod, rank: rank(pod), i })).sort((a, b) => {
    for (let i = 0; i < a.rank.length; i++) if (a.rank[i] !== b.rank[i]) return a.rank[i]! - b.rank[i]!;
    const x = a.pod.metadata.creationTimestamp ?? '';
    const y = b.pod.metadata.creationTimestamp ?? '';
    return x > y ? -1 : x < y ? 1 : b.i - a.i;
  });
  for (const { pod } of sorted.slice(0, n)) retire(cluster, rs, pod, 'replicaset-controller');
}

function status(cluster: Cluster, rs: ReplicaSet, key: string, pods: readonly Pod[]): void {
  const ready = pods.filter(isReady).length;
  const next = {
    replicas: pods.length,
    ...(pods.length > 0 ? { fullyLabeledReplicas: pods.length } : {}),
    ...(ready > 0 ? { readyReplicas: ready, availableReplicas: ready } : {}),
    observedGeneration: rs.metadata.generation!,
  };
  if (same(next, rs.status)) return;
  mutate<ReplicaSet>(cluster, 'ReplicaSet', key, (o) => {
    o.status = next;
  }, 'status');
}
