/**
 * The eviction subresource: a deletion that a PodDisruptionBudget may refuse; each one that is let through is counted at once.
 * Source: pkg/registry/core/pod/storage/eviction.go 1.32.
 */
import { mutate, read, remove, type WriteOptions } from './api.ts';
import { conditionsOf } from './controllers/budget.ts';
import { isReady } from './controllers/pods.ts';
import { ApiError, forbidden } from './errors.ts';
import type { Cluster } from './state.ts';
import { stamp } from './store.ts';
import { kindNamed } from './types/kinds.ts';
import { type Condition, type Json, type KubeObject, keyOf, type Pod } from './types/objects.ts';
import { matchesSelector } from './types/selectors.ts';

export function evict(cluster: Cluster, namespace: string, name: string, body: Json, options: WriteOptions): void {
  const kind = kindNamed('Pod');
  const pod = read(cluster, kind, namespace, name) as Pod;
  const dryRun = Boolean(options.dryRun || body?.dryRun?.length);
  const free = pod.metadata.deletionTimestamp || ['Succeeded', 'Failed', 'Pending'].includes(pod.status?.phase ?? 'Pending');
  const budgets = free ? [] : [...(cluster.store.tables.get('PodDisruptionBudget')?.values() ?? [])].filter((b) => b.metadata.namespace === namespace && matchesSelector(b.spec.selector, pod.metadata.labels));
  if (budgets.length > 1) throw new ApiError(500, 'InternalError', 'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.');
  const [budget] = budgets;
  if (budget && !spares(budget, pod)) charge(cluster, budget, name, dryRun);
  if (!dryRun && !free) markTarget(cluster, pod);
  remove(cluster, kind, namespace, name, {
    ...(typeof body?.gracePeriodSeconds === 'number' ? { gracePeriodSeconds: body.gracePeriodSeconds } : {}), ...(body?.preconditions?.uid ? { preconditions: { uid: body.preconditions.uid } } : {}),
    ...(dryRun ? { dryRun } : {}),
  });
}

/** Whether a pod that is not ready may go without being counted. */
function spares(budget: KubeObject, pod: Pod): boolean {
  if (isReady(pod)) return false;
  if (budget.spec.unhealthyPodEvictionPolicy === 'AlwaysAllow') return true;
  const { currentHealthy = 0, desiredHealthy = 0 } = budget.status ?? {};
  return currentHealthy >= desiredHealthy && desiredHealthy > 0;
}

const TOO_MANY = "Cannot evict pod as it would violate the pod's disruption budget.";

function tooMany(cause: string): ApiError {
  return new ApiError(429, 'TooManyRequests', TOO_MANY, { causes: [{ reason: 'DisruptionBudget', message: cause }] });
}

function charge(cluster: Cluster, budget: KubeObject, pod: string, dryRun: boolean): void {
  const { name } = budget.metadata;
  const status = budget.status ?? {};
  if ((status.observedGeneration ?? 0) < (budget.metadata.generation ?? 1)) throw tooMany(`The disruption budget ${name} is still being processed by the server.`);
  const allowed = status.disruptionsAllowed ?? 0;
  if (allowed < 0) throw forbidden(kindNamed('PodDisruptionBudget'), name, 'pdb disruptions allowed is negative');
  if (allowed === 0) throw tooMany(`The disruption budget ${name} needs ${status.desiredHealthy ?? 0} healthy pods and has ${status.currentHealthy ?? 0} currently`);
  if (dryRun) return;
  mutate(cluster, 'PodDisruptionBudget', keyOf(budget.metadata), (o) => {
    o.status = { ...o.status, disruptionsAllowed: allowed - 1, disruptedPods: { ...o.status.disruptedPods, [pod]: stamp(cluster.timeline) }, conditions: conditionsOf(cluster, o, allowed - 1) };
  }, 'status');
}

function markTarget(cluster: Cluster, pod: Pod): void {
  mutate<Pod>(cluster, 'Pod', keyOf(pod.metadata), (p) => {
    const mark: Condition = { type: 'DisruptionTarget', status: 'True', reason: 'EvictionByEvictionAPI', message: 'Eviction API: evicting', lastProbeTime: null, lastTransitionTime: stamp(cluster.timeline) };
    p.status.conditions = [...(p.status.conditions ?? []).filter((c) => c.type !== 'DisruptionTarget'), mark];
  }, 'status');
}
