/**
 * Disruption controller: how many pods of each PodDisruptionBudget may be taken away now. A budget in percent, or of what may be
 * missing, counts the replicas that the pods' controllers want. Source: pkg/controller/disruption/disruption.go 1.32.
 */
import { EPOCH_SECONDS, SECOND } from '../../sim/units.ts';
import { mutate } from '../api.ts';
import type { Cluster } from '../state.ts';
import { type Change, get, list, podsLabelled, stamp } from '../store.ts';
import { type Condition, type Json, type KubeObject, keyOf, type Pod, same } from '../types/objects.ts';
import { matchesSelector, printSelector } from '../types/selectors.ts';
import { parseTime } from '../types/time.ts';
import { emit } from './events.ts';
import { later } from './later.ts';
import { isReady } from './pods.ts';

const COMPONENT = 'controllermanager';
/** Seconds for which an evicted pod counts as gone while it is still there. */
const DELETION_TIMEOUT = 120;

const secondsNow = (cluster: Cluster): number => EPOCH_SECONDS + cluster.timeline.now / SECOND;

export function podsOfBudget(cluster: Cluster, budget: KubeObject): Pod[] {
  const { selector } = budget.spec;
  if (!selector) return [];
  const { namespace } = budget.metadata;
  const some = selector.matchLabels && Object.keys(selector.matchLabels).length > 0 ? podsLabelled(cluster.store, namespace!, selector.matchLabels) : list<Pod>(cluster.store, 'Pod', namespace);
  return some.filter((pod) => matchesSelector(selector, pod.metadata.labels) && pod.status?.phase !== 'Succeeded' && pod.status?.phase !== 'Failed');
}

/** The replicas that the controllers of some pods want, and the pods that have none. */
function expectedScale(cluster: Cluster, pods: readonly Pod[]): { expected: number; unmanaged: string[] } {
  const scales = new Map<string, number>();
  const unmanaged: string[] = [];
  for (const pod of pods) {
    const ref = pod.metadata.ownerReferences?.find((r) => r.controller);
    let owner = ref && get(cluster.store, ref.kind, `${pod.metadata.namespace}/${ref.name}`);
    const above = owner?.kind === 'ReplicaSet' ? owner.metadata.ownerReferences?.find((r) => r.controller && r.kind === 'Deployment') : undefined;
    if (above) owner = get(cluster.store, 'Deployment', `${pod.metadata.namespace}/${above.name}`) ?? owner;
    if (owner?.spec?.replicas === undefined) unmanaged.push(pod.metadata.name);
    else scales.set(owner.metadata.uid!, owner.spec.replicas);
  }
  return { expected: [...scales.values()].reduce((a, b) => a + b, 0), unmanaged };
}

const part = (value: string | number, of: number): number => (typeof value === 'number' ? value : Math.ceil((of * Number.parseInt(value, 10)) / 100));

function wanted(cluster: Cluster, budget: KubeObject, pods: readonly Pod[]): { expected: number; desired: number } {
  const { minAvailable, maxUnavailable } = budget.spec;
  if (maxUnavailable === undefined && typeof minAvailable !== 'string') return { expected: pods.length, desired: minAvailable ?? 1 };
  const { expected, unmanaged } = expectedScale(cluster, pods);
  if (unmanaged.length > 0) {
    emit(cluster, budget, 'Warning', 'UnmanagedPods', `Pods selected by this PodDisruptionBudget (selector: &LabelSelector{MatchLabels:map[string]string{${printSelector(budget.spec.selector)}},MatchExpressions:[]LabelSelectorRequirement{},}) were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an integer value.`, COMPONENT);
  }
  return maxUnavailable !== undefined ? { expected, desired: Math.max(0, expected - part(maxUnavailable, expected)) } : { expected, desired: part(minAvailable, expected) };
}

export function syncBudget(cluster: Cluster, key: string): void {
  const budget = get(cluster.store, 'PodDisruptionBudget', key);
  if (!budget || budget.metadata.deletionTimestamp) return;
  const pods = podsOfBudget(cluster, budget);
  if (pods.length === 0) emit(cluster, budget, 'Normal', 'NoPods', 'No matching pods found', COMPONENT);
  const { expected, desired } = wanted(cluster, budget, pods);
  const disrupted = stillDisrupted(cluster, budget, pods, key);
  const healthy = pods.filter((pod) => !pod.metadata.deletionTimestamp && disrupted[pod.metadata.name] === undefined && isReady(pod)).length;
  const allowed = expected > 0 ? Math.max(0, healthy - desired) : 0;
  const status = {
    ...(Object.keys(disrupted).length > 0 ? { disruptedPods: disrupted } : {}), conditions: conditionsOf(cluster, budget, allowed), currentHealthy: healthy, desiredHealthy: desired, disruptionsAllowed: allowed, expectedPods: expected,
    observedGeneration: budget.metadata.generation!,
  };
  if (same(status, budget.status)) return;
  mutate(cluster, 'PodDisruptionBudget', key, (o) => {
    o.status = status;
  }, 'status');
}

/** Pods that the eviction subresource let go and that are still seen alive; for so long they count as gone. */
function stillDisrupted(cluster: Cluster, budget: KubeObject, pods: readonly Pod[], key: string): Record<string, string> {
  const out: Record<string, string> = {};
  const alive = new Map(pods.map((pod) => [pod.metadata.name, pod]));
  for (const [name, at] of Object.entries((budget.status?.disruptedPods ?? {}) as Record<string, string>)) {
    const pod = alive.get(name);
    const left = (parseTime(at) ?? 0) + DELETION_TIMEOUT - secondsNow(cluster);
    if (!pod || pod.metadata.deletionTimestamp || left <= 0) continue;
    out[name] = at;
    later(cluster, 'budget', key, left);
  }
  return out;
}

export function conditionsOf(cluster: Cluster, budget: KubeObject, allowed: number): Condition[] {
  const old: Json = (budget.status?.conditions ?? []).find((c: Condition) => c.type === 'DisruptionAllowed');
  const status = allowed > 0 ? 'True' : 'False';
  const reason = allowed > 0 ? 'SufficientPods' : 'InsufficientPods';
  return [{ lastTransitionTime: old?.status === status ? old.lastTransitionTime : stamp(cluster.timeline), message: '', observedGeneration: budget.metadata.generation!, reason, status, type: 'DisruptionAllowed' } as Condition];
}

/** Budgets whose numbers a change may move: those that select the pod, or all beside a controller that was scaled. */
export function budgetsTouched(cluster: Cluster, change: Change): string[] {
  if (change.kind === 'PodDisruptionBudget') return change.type === 'DELETED' || (change.old && same(change.old.spec, change.object.spec)) ? [] : [change.key];
  const table = cluster.store.tables.get('PodDisruptionBudget');
  if (!table || table.size === 0) return [];
  const { namespace } = change.object.metadata;
  if (change.kind === 'Pod') {
    const { object, old } = change;
    if (old && change.type === 'MODIFIED' && isReady(old as Pod) === isReady(object as Pod) && old.status?.phase === object.status?.phase && old.metadata.deletionTimestamp === object.metadata.deletionTimestamp && same(old.metadata.labels, object.metadata.labels)) return [];
    return [...table.values()].filter((b) => b.metadata.namespace === namespace && [object, old].some((o) => o && matchesSelector(b.spec.selector, o.metadata.labels))).map((b) => keyOf(b.metadata));
  }
  if (change.object.spec?.replicas === undefined || change.object.spec.replicas === change.old?.spec?.replicas) return [];
  return [...table.values()].filter((b) => b.metadata.namespace === namespace).map((b) => keyOf(b.metadata));
}
