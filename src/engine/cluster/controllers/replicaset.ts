/** ReplicaSet and ReplicationController: as many pods as asked for. Deletion ranking as controller_utils.go ActivePodsWithRanks. */
import { mutate } from '../api.ts';
import type { Cluster } from '../state.ts';
import { get, ownedBy, stamp } from '../store.ts';
import { type Condition, type Json, keyOf, type Pod, type ReplicaSet, same } from '../types/objects.ts';
import { parseTime } from '../types/time.ts';
import { EPOCH_SECONDS, SECOND } from '../../sim/units.ts';
import { later } from './later.ts';
import { adopt, availableOf, isActive, isReady, retire, spawn } from './pods.ts';
import { BURST } from './timers.ts';

export const syncReplicaSet = (cluster: Cluster, key: string): void => sync(cluster, 'ReplicaSet', key);
/** The older kind: its selector is a map, all else is the same. */
export const syncReplicationController = (cluster: Cluster, key: string): void => sync(cluster, 'ReplicationController', key);

const NAMES: Readonly<Record<string, string>> = { ReplicaSet: 'replicaset-controller', ReplicationController: 'replication-controller' };

function sync(cluster: Cluster, kind: string, key: string): void {
  const rs = get<ReplicaSet>(cluster.store, kind, key);
  if (!rs) return;
  let pods = ownedBy<Pod>(cluster.store, rs.metadata.uid!, 'Pod').filter(isActive);
  let refused: string | null = null;
  if (!rs.metadata.deletionTimestamp) {
    const before = cluster.store.revision;
    if (!rs.status?.observedGeneration) pods.push(...adopt(cluster, rs));
    const missing = rs.spec.replicas - pods.length;
    if (missing > 0) refused = grow(cluster, rs, Math.min(missing, BURST));
    else if (missing < 0) shrink(cluster, rs, pods, Math.min(-missing, BURST));
    if (cluster.store.revision !== before) pods = ownedBy<Pod>(cluster.store, rs.metadata.uid!, 'Pod').filter(isActive);
    if (missing > BURST || -missing > BURST) later(cluster, kind.toLowerCase(), key, 0.05);
  }
  status(cluster, rs, key, pods, refused);
}

/** Why the API server would have no more of them; null when all were made. It is asked again after a while. */
function grow(cluster: Cluster, rs: ReplicaSet, n: number): string | null {
  let refused: string | null = null;
  for (let i = 0; i < n; i++) {
    const made = spawn(cluster, rs, rs.spec.template, NAMES[rs.kind]!, {
      refused(message) {
        refused = message;
      },
    });
    if (made) continue;
    later(cluster, rs.kind.toLowerCase(), keyOf(rs.metadata), backoff(cluster, rs));
    return refused;
  }
  return null;
}

/** As the controllers' queues wait: longer the longer it fails, 5 ms doubled to 1,000 s; here by how long it has failed. */
function backoff(cluster: Cluster, rs: ReplicaSet): number {
  const since = parseTime((rs.status as Json)?.conditions?.find((c: Condition) => c.type === 'ReplicaFailure')?.lastTransitionTime);
  return since === null ? 1 : Math.min(1000, Math.max(1, EPOCH_SECONDS + cluster.timeline.now / SECOND - since));
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
  for (const { pod } of sorted.slice(0, n)) retire(cluster, rs, pod, NAMES[rs.kind]!);
}

function status(cluster: Cluster, rs: ReplicaSet, key: string, pods: readonly Pod[], refused: string | null): void {
  const ready = pods.filter(isReady);
  const available = rs.spec.minReadySeconds ? availableOf(cluster, ready, rs.spec.minReadySeconds, rs.kind.toLowerCase(), key).length : ready.length;
  const old: Condition | undefined = (rs.status as Json)?.conditions?.find((c: Condition) => c.type === 'ReplicaFailure');
  // What was refused first stays told: a message with a new name each time would make a new version each time.
  const failure: Condition | null = refused === null ? null : (old ?? { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: refused, lastTransitionTime: stamp(cluster.timeline) });
  const next = {
    ...(available > 0 ? { availableReplicas: available } : {}), ...(failure ? { conditions: [failure] } : {}), ...(pods.length > 0 ? { fullyLabeledReplicas: pods.length } : {}), observedGeneration: rs.metadata.generation!,
    ...(ready.length > 0 ? { readyReplicas: ready.length } : {}), replicas: pods.length,
  };
  if (same(next, rs.status)) return;
  mutate<ReplicaSet>(cluster, rs.kind, key, (o) => {
    o.status = next;
  }, 'status');
}
