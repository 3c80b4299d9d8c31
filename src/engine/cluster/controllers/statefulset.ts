/**
 * StatefulSet: pods with numbers, made in order and taken away in reverse, each waiting for those before it unless
 * podManagementPolicy is Parallel; an update replaces them from the highest number down to the partition.
 * Source: pkg/controller/statefulset/stateful_set_control.go 1.32.
 */
import { create, mutate } from '../api.ts';
import type { Cluster } from '../state.ts';
import { get, ownedBy } from '../store.ts';
import { kindNamed } from '../types/kinds.ts';
import { copy, type Json, type KubeObject, keyOf, type Pod, same } from '../types/objects.ts';
import { emit } from './events.ts';
import { adopt, availableOf, isReady, retire, spawn } from './pods.ts';
import { retainClaims } from './retention.ts';
import { currentRevision, forgetRevisions, hashOf, type Revision, revisionsOf, templateOf } from './revisions.ts';

const COMPONENT = 'statefulset-controller';
const HASH = 'controller-revision-hash';

interface Turn { cluster: Cluster; set: KubeObject; current: Revision; update: Revision }

/** web-3 of the set web: 3; null for a pod that has no such name. */
export function ordinalOf(set: KubeObject, pod: Pod): number | null {
  const tail = pod.metadata.name.startsWith(`${set.metadata.name}-`) ? pod.metadata.name.slice(set.metadata.name.length + 1) : '';
  return /^(0|[1-9]\d*)$/.test(tail) ? Number(tail) : null;
}

export function syncStatefulSet(cluster: Cluster, key: string): void {
  const set = get(cluster.store, 'StatefulSet', key);
  if (!set) return;
  if (!set.metadata.deletionTimestamp) {
    if (!set.status?.observedGeneration) adopt(cluster, set, (pod) => ordinalOf(set, pod) !== null);
    const update = currentRevision(cluster, set);
    const current = revisionsOf(cluster, set).find((one) => one.metadata.name === set.status?.currentRevision) ?? update;
    arrange({ cluster, set, current, update });
  }
  settle(cluster, key);
}

const numbered = (cluster: Cluster, set: KubeObject): Map<number, Pod> =>
  new Map(ownedBy<Pod>(cluster.store, set.metadata.uid!, 'Pod').flatMap((pod) => {
    const n = ordinalOf(set, pod);
    return n === null ? [] : [[n, pod] as const];
  }).sort((a, b) => a[0] - b[0]));

const healthy = (pod: Pod): boolean => pod.status?.phase === 'Running' && isReady(pod) && !pod.metadata.deletionTimestamp;
/** Healthy for as long as minReadySeconds asks. */
function settled(cluster: Cluster, set: KubeObject, pod: Pod): boolean {
  return healthy(pod) && availableOf(cluster, [pod], set.spec.minReadySeconds, 'statefulset', keyOf(set.metadata)).length === 1;
}
const ended = (pod: Pod): boolean => pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded';

/** One pass: each number in order, then those that are too many, then those of an old template. */
function arrange(turn: Turn): void {
  const { cluster, set, update } = turn;
  const inOrder = set.spec.podManagementPolicy !== 'Parallel';
  const start = set.spec.ordinals?.start ?? 0;
  const pods = numbered(cluster, set);
  if (set.spec.volumeClaimTemplates?.length) for (const [n, pod] of pods) retainClaims(cluster, set, pod, n < start || n >= start + set.spec.replicas);
  for (let n = start; n < start + set.spec.replicas; n++) {
    const pod = pods.get(n);
    if (pod && ended(pod) && !pod.metadata.deletionTimestamp) {
      emit(cluster, set, 'Warning', 'RecreatingFailedPod', `StatefulSet ${keyOf(set.metadata)} is recreating failed Pod ${pod.metadata.name}`, COMPONENT);
      retire(cluster, set, pod, COMPONENT, deleted(set, pod));
      return;
    }
    if (!pod) make(turn, n);
    if (inOrder && (!pod || !settled(cluster, set, pod))) return;
  }
  for (const [n, pod] of [...pods].reverse()) {
    if (n >= start && n < start + set.spec.replicas) continue;
    if (!pod.metadata.deletionTimestamp) retire(cluster, set, pod, COMPONENT, deleted(set, pod));
    if (inOrder) return;
  }
  if (set.spec.updateStrategy?.type === 'OnDelete') return;
  const partition = set.spec.updateStrategy?.rollingUpdate?.partition ?? 0;
  for (let n = start + set.spec.replicas - 1; n >= Math.max(start, start + partition); n--) {
    const pod = pods.get(n);
    if (!pod) return;
    if (pod.metadata.labels?.[HASH] !== hashOf(update) && !pod.metadata.deletionTimestamp) {
      retire(cluster, set, pod, COMPONENT, deleted(set, pod));
      return;
    }
    if (!settled(cluster, set, pod)) return;
  }
}

const deleted = (set: KubeObject, pod: Pod): string => `delete Pod ${pod.metadata.name} in StatefulSet ${set.metadata.name} successful`;

/** Numbers below the partition are made of the old template. */
function make({ cluster, set, current, update }: Turn, n: number): void {
  const kept = set.spec.updateStrategy?.type === 'OnDelete' ? 0 : (set.spec.ordinals?.start ?? 0) + (set.spec.updateStrategy?.rollingUpdate?.partition ?? 0);
  const revision = n < kept ? current : update;
  const name = `${set.metadata.name}-${n}`;
  for (const claim of (set.spec.volumeClaimTemplates ?? []) as KubeObject[]) claimFor(cluster, set, claim, name);
  spawn(cluster, set, templateOf(revision), COMPONENT, {
    name, labels: { [HASH]: hashOf(revision), 'statefulset.kubernetes.io/pod-name': name, 'apps.kubernetes.io/pod-index': String(n) },
    says: () => `create Pod ${name} in StatefulSet ${set.metadata.name} successful`,
    change(spec: Json) {
      spec.hostname = name;
      if (set.spec.serviceName) spec.subdomain = set.spec.serviceName;
      for (const claim of set.spec.volumeClaimTemplates ?? []) {
        const rest = (spec.volumes ?? []).filter((v: Json) => v.name !== claim.metadata.name);
        spec.volumes = [{ name: claim.metadata.name, persistentVolumeClaim: { claimName: `${claim.metadata.name}-${name}` } }, ...rest];
      }
    },
  });
}

/** The claim that a numbered pod keeps over its deaths. */
function claimFor(cluster: Cluster, set: KubeObject, template: KubeObject, pod: string): void {
  const name = `${template.metadata.name}-${pod}`;
  const { namespace } = set.metadata;
  if (get(cluster.store, 'PersistentVolumeClaim', `${namespace}/${name}`)) return;
  create(cluster, kindNamed('PersistentVolumeClaim'), namespace, { metadata: { name, labels: { ...template.metadata.labels, ...set.spec.selector.matchLabels } }, spec: copy(template.spec) });
  emit(cluster, set, 'Normal', 'SuccessfulCreate', `create Claim ${name} Pod ${pod} in StatefulSet ${set.metadata.name} success`, COMPONENT);
}

function settle(cluster: Cluster, key: string): void {
  const set = get(cluster.store, 'StatefulSet', key);
  if (!set) return;
  const revisions = revisionsOf(cluster, set);
  const update = revisions.at(-1);
  if (!update) return;
  const pods = [...numbered(cluster, set).values()].filter((pod) => !ended(pod));
  const ready = pods.filter(healthy).length;
  const available = pods.filter((pod) => settled(cluster, set, pod)).length;
  const of = (revision: Revision): number => pods.filter((pod) => pod.metadata.labels?.[HASH] === hashOf(revision) && !pod.metadata.deletionTimestamp).length;
  let current = revisions.find((one) => one.metadata.name === set.status?.currentRevision) ?? update;
  if (current !== update && of(update) === set.spec.replicas && ready === set.spec.replicas) current = update;
  const next = {
    availableReplicas: available, collisionCount: 0, ...(of(current) > 0 ? { currentReplicas: of(current) } : {}), currentRevision: current.metadata.name,
    observedGeneration: set.metadata.generation!, ...(ready > 0 ? { readyReplicas: ready } : {}), replicas: pods.length,
    updateRevision: update.metadata.name, ...(of(update) > 0 ? { updatedReplicas: of(update) } : {}),
  };
  forgetRevisions(cluster, set, new Set([hashOf(current), hashOf(update), ...pods.map((pod) => pod.metadata.labels?.[HASH] ?? '')]));
  if (same(next, set.status)) return;
  mutate(cluster, 'StatefulSet', key, (o) => {
    o.status = next;
  }, 'status');
}

