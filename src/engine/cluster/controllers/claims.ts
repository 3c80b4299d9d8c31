/**
 * PersistentVolumeClaims so far: a claim waits, and says why every 15 s; one that is deleted stays until no pod uses it.
 * Source: pkg/controller/volume/{persistentvolume,pvcprotection}. Absent: volumes to bind it to, and their provisioners.
 */
import { mutate } from '../api.ts';
import type { Cluster } from '../state.ts';
import { get, list } from '../store.ts';
import { claimsOf, usersOf } from '../types/claims.ts';
import type { Pod } from '../types/objects.ts';
import { emit } from './events.ts';
import { later } from './later.ts';

const RESYNC = 15;
const FINALIZER = 'kubernetes.io/pvc-protection';

export function syncClaim(cluster: Cluster, key: string): void {
  const claim = get(cluster.store, 'PersistentVolumeClaim', key);
  if (!claim) return;
  if (claim.metadata.deletionTimestamp) {
    if (usersOf(list<Pod>(cluster.store, 'Pod', claim.metadata.namespace), claim).some((pod) => pod.status?.phase !== 'Succeeded' && pod.status?.phase !== 'Failed')) return;
    mutate(cluster, 'PersistentVolumeClaim', key, (o) => {
      o.metadata.finalizers = (o.metadata.finalizers ?? []).filter((one) => one !== FINALIZER);
    });
    return;
  }
  const { storageClassName } = claim.spec;
  if (storageClassName) emit(cluster, claim, 'Warning', 'ProvisioningFailed', `storageclass.storage.k8s.io "${storageClassName}" not found`, 'persistentvolume-controller');
  else emit(cluster, claim, 'Normal', 'FailedBinding', 'no persistent volumes available for this claim and no storage class is set', 'persistentvolume-controller');
  later(cluster, 'claim', key, RESYNC);
}

/** Why no node will do for a pod, as the scheduler's VolumeBinding says before it looks at any; null when nothing keeps it. */
export function unbound(cluster: Cluster, pod: Pod): string | null {
  for (const name of claimsOf(pod)) {
    const claim = get(cluster.store, 'PersistentVolumeClaim', `${pod.metadata.namespace}/${name}`);
    if (!claim) return `persistentvolumeclaim "${name}" not found`;
    if (claim.metadata.deletionTimestamp) return `persistentvolumeclaim "${name}" is being deleted`;
    if (!claim.spec.volumeName) return 'pod has unbound immediate PersistentVolumeClaims';
  }
  return null;
}
