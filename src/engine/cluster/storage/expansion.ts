/** Whether a claim may grow: only one whose class allows it. Source: plugin/pkg/admission/storage/persistentvolume/resize 1.32. */
import { forbidden } from '../errors.ts';
import type { Cluster } from '../state.ts';
import { get } from '../store.ts';
import type { Kind } from '../types/kinds.ts';
import type { KubeObject } from '../types/objects.ts';
import { wholeOf } from '../types/quantity.ts';

export function admitExpansion(cluster: Cluster, kind: Kind, object: KubeObject, old: KubeObject): void {
  if (kind.kind !== 'PersistentVolumeClaim') return;
  const [from, to] = [old, object].map((o) => wholeOf(o.spec?.resources?.requests?.storage)) as [number, number];
  if (to <= from) return;
  if (old.status?.phase !== 'Bound') throw forbidden(kind, old.metadata.name, 'Only bound persistent volume claims can be expanded');
  const sc = get(cluster.store, 'StorageClass', old.spec.storageClassName ?? '');
  if (!sc?.allowVolumeExpansion) throw forbidden(kind, old.metadata.name, 'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize');
}
