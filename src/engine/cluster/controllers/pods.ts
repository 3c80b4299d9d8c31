/** What every controller that owns pods shares: the owner's mark, a pod from a template, which pods count. */
import { create, mutate, remove } from '../api.ts';
import { ApiError } from '../errors.ts';
import type { Cluster } from '../state.ts';
import { podsLabelled } from '../store.ts';
import { kindNamed } from '../types/kinds.ts';
import { copy, type Json, type KubeObject, keyOf, type OwnerReference, type Pod, type PodTemplate } from '../types/objects.ts';
import { matchesSelector } from '../types/selectors.ts';
import { parseTime } from '../types/time.ts';
import { EPOCH_SECONDS, SECOND } from '../../sim/units.ts';
import { emit } from './events.ts';
import { later } from './later.ts';

export const isActive = (pod: Pod): boolean => !pod.metadata.deletionTimestamp && pod.status?.phase !== 'Succeeded' && pod.status?.phase !== 'Failed';

export function isReady(pod: Pod): boolean {
  return (pod.status?.conditions ?? []).some((c) => c.type === 'Ready' && c.status === 'True');
}

/** Seconds until a pod has been ready for so long as to count as available: 0 when it has, null while it is not ready. */
export function availableIn(cluster: Cluster, pod: Pod, minReady: number | undefined): number | null {
  const ready = (pod.status?.conditions ?? []).find((c) => c.type === 'Ready' && c.status === 'True');
  if (!ready) return null;
  if (!minReady) return 0;
  return Math.max(0, (parseTime(ready.lastTransitionTime) ?? 0) + minReady - (EPOCH_SECONDS + cluster.timeline.now / SECOND));
}

/** Of some pods those that are available; a look is taken again when the next of them will be. */
export function availableOf(cluster: Cluster, pods: readonly Pod[], minReady: number | undefined, controller: string, key: string): Pod[] {
  const out: Pod[] = [];
  let next = Number.POSITIVE_INFINITY;
  for (const pod of pods) {
    const left = availableIn(cluster, pod, minReady);
    if (left === 0) out.push(pod);
    else if (left !== null) next = Math.min(next, left);
  }
  if (next < Number.POSITIVE_INFINITY) later(cluster, controller, key, next);
  return out;
}

export const ownerMark = (owner: KubeObject): OwnerReference => ({
  apiVersion: owner.apiVersion, blockOwnerDeletion: true, controller: true, kind: owner.kind, name: owner.metadata.name, uid: owner.metadata.uid!,
});

export interface Extra {
  /** Instead of a generated one. */
  name?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  change?: (spec: Json) => void;
  /** How its making is announced; nothing when it is the caller's to say. */
  says?: (name: string) => string;
  /** Hears why the API server refused it. */
  refused?: (message: string) => void;
}

/** A pod of a template, owned by `owner`; null when the API server refuses it, which an event tells. */
export function spawn(cluster: Cluster, owner: KubeObject, template: PodTemplate, component: string, extra: Extra = {}): Pod | null {
  const { creationTimestamp, ...meta } = copy(template.metadata);
  void creationTimestamp;
  const spec = copy(template.spec);
  extra.change?.(spec);
  const metadata = {
    ...meta, ...(extra.name ? { name: extra.name } : { generateName: `${owner.metadata.name}-` }), ownerReferences: [ownerMark(owner)],
    ...(extra.labels ? { labels: { ...meta.labels, ...extra.labels } } : {}), ...(extra.annotations ? { annotations: { ...meta.annotations, ...extra.annotations } } : {}),
  };
  try {
    const pod = create(cluster, kindNamed('Pod'), owner.metadata.namespace, { metadata, spec }) as Pod;
    emit(cluster, owner, 'Normal', 'SuccessfulCreate', extra.says ? extra.says(pod.metadata.name) : `Created pod: ${pod.metadata.name}`, component);
    return pod;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    emit(cluster, owner, 'Warning', 'FailedCreate', `Error creating: ${error.message}`, component);
    extra.refused?.(error.message);
    return null;
  }
}

export function retire(cluster: Cluster, owner: KubeObject, pod: Pod, component: string, says = `Deleted pod: ${pod.metadata.name}`): void {
  remove(cluster, kindNamed('Pod'), pod.metadata.namespace, pod.metadata.name);
  emit(cluster, owner, 'Normal', 'SuccessfulDelete', says, component);
}

/** Pods that match a selector and belong to nobody are taken in; returns them. */
export function adopt(cluster: Cluster, owner: KubeObject, may: (pod: Pod) => boolean = () => true): Pod[] {
  const taken: Pod[] = [];
  const selector = owner.kind === 'ReplicationController' ? { matchLabels: owner.spec.selector } : owner.spec.selector;
  for (const pod of podsLabelled(cluster.store, owner.metadata.namespace!, selector?.matchLabels ?? {})) {
    if (pod.metadata.ownerReferences?.length || !isActive(pod) || !matchesSelector(selector, pod.metadata.labels) || !may(pod)) continue;
    mutate<Pod>(cluster, 'Pod', keyOf(pod.metadata), (p) => {
      p.metadata.ownerReferences = [ownerMark(owner)];
    });
    taken.push(pod);
  }
  return taken;
}
