/**
 * persistentVolumeClaimRetentionPolicy: whom the claims of a StatefulSet belong to, and so with whom they go: the set, the pod that is
 * scaled away, or nobody. Source: pkg/controller/statefulset/stateful_set_utils.go updateClaimOwnerRefForSetAndPod 1.32.
 */
import { mutate } from '../api.ts';
import type { Cluster } from '../state.ts';
import { get } from '../store.ts';
import type { KubeObject, OwnerReference, Pod } from '../types/objects.ts';
import { ownerMark } from './pods.ts';

/** Owners as the policy wants them. `scaledAway`: the pod's number is beyond the replicas. */
export function retainClaims(cluster: Cluster, set: KubeObject, pod: Pod, scaledAway: boolean): void {
  const { whenDeleted = 'Retain', whenScaled = 'Retain' } = set.spec.persistentVolumeClaimRetentionPolicy ?? {};
  const bySet = whenDeleted === 'Delete' && !(whenScaled === 'Delete' && scaledAway);
  const byPod = whenScaled === 'Delete' && scaledAway;
  for (const template of (set.spec.volumeClaimTemplates ?? []) as KubeObject[]) {
    const key = `${set.metadata.namespace}/${template.metadata.name}-${pod.metadata.name}`;
    const claim = get(cluster.store, 'PersistentVolumeClaim', key);
    if (!claim) continue;
    const have = claim.metadata.ownerReferences ?? [];
    const owns = (uid: string | undefined): boolean => have.some((ref) => ref.uid === uid);
    if (owns(set.metadata.uid) === bySet && owns(pod.metadata.uid) === byPod) continue;
    const others = have.filter((ref) => ref.uid !== set.metadata.uid && !(ref.kind === 'Pod' && ref.name === pod.metadata.name));
    const wanted: OwnerReference[] = [...others, ...(bySet ? [ownerMark(set)] : []), ...(byPod ? [ownerMark(pod)] : [])];
    mutate(cluster, 'PersistentVolumeClaim', key, (c) => {
      if (wanted.length > 0) c.metadata.ownerReferences = wanted;
      else delete c.metadata.ownerReferences;
    });
  }
}
