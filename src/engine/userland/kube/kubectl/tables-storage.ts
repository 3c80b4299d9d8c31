/** The columns of `kubectl get` for storage. Source: pkg/printers/internalversion 1.32 (printPersistentVolume and its neighbours). */
import type { Json, KubeObject } from '../../../cluster/types/objects.ts';
import { isDefaultClass } from '../../../cluster/types/claims.ts';
import { accessModes, ageOf, type Columns } from './columns.ts';

const claimOf = (v: KubeObject): string => (v.spec.claimRef ? `${v.spec.claimRef.namespace}/${v.spec.claimRef.name}` : '');
const flag = (value: Json): string => String(value ?? false);
const list = (all: readonly string[]): string => (all.length === 0 ? '<none>' : all.join(','));

export const STORAGE_COLUMNS: Readonly<Record<string, Columns>> = {
  PersistentVolume: {
    headers: ['NAME', 'CAPACITY', 'ACCESS MODES', 'RECLAIM POLICY', 'STATUS', 'CLAIM', 'STORAGECLASS', 'VOLUMEATTRIBUTESCLASS', 'REASON', 'AGE', 'VOLUMEMODE'], narrow: 10,
    row: (v, now) => [
      v.metadata.name, v.spec.capacity?.storage ?? '', accessModes(v.spec.accessModes), v.spec.persistentVolumeReclaimPolicy ?? '', v.metadata.deletionTimestamp ? 'Terminating' : (v.status?.phase ?? ''), claimOf(v), v.spec.storageClassName ?? '',
      v.spec.volumeAttributesClassName ?? '<unset>', v.status?.reason ?? '', ageOf(v.metadata.creationTimestamp, now), v.spec.volumeMode ?? '<unset>',
    ],
  },
  StorageClass: {
    headers: ['NAME', 'PROVISIONER', 'RECLAIMPOLICY', 'VOLUMEBINDINGMODE', 'ALLOWVOLUMEEXPANSION', 'AGE'], narrow: 6,
    row: (c, now) => [`${c.metadata.name}${isDefaultClass(c) ? ' (default)' : ''}`, c.provisioner, c.reclaimPolicy ?? 'Delete', c.volumeBindingMode ?? 'Immediate', flag(c.allowVolumeExpansion), ageOf(c.metadata.creationTimestamp, now)],
  },
  VolumeAttachment: {
    headers: ['NAME', 'ATTACHER', 'PV', 'NODE', 'ATTACHED', 'AGE'], narrow: 6,
    row: (a, now) => [a.metadata.name, a.spec.attacher, a.spec.source?.persistentVolumeName ?? '', a.spec.nodeName, flag(a.status?.attached), ageOf(a.metadata.creationTimestamp, now)],
  },
  CSIDriver: {
    headers: ['NAME', 'ATTACHREQUIRED', 'PODINFOONMOUNT', 'STORAGECAPACITY', 'TOKENREQUESTS', 'REQUIRESREPUBLISH', 'MODES', 'AGE'], narrow: 8,
    row: ({ metadata, spec }, now) => [
      metadata.name, flag(spec.attachRequired ?? true), flag(spec.podInfoOnMount), flag(spec.storageCapacity), (spec.tokenRequests ?? []).map((t: Json) => t.audience).join(',') || '<unset>', flag(spec.requiresRepublish), list(spec.volumeLifecycleModes ?? []), ageOf(metadata.creationTimestamp, now),
    ],
  },
  CSINode: { headers: ['NAME', 'DRIVERS', 'AGE'], narrow: 3, row: (n, now) => [n.metadata.name, String((n.spec?.drivers ?? []).length), ageOf(n.metadata.creationTimestamp, now)] },
  CSIStorageCapacity: { headers: ['NAME', 'STORAGECLASS', 'CAPACITY', 'AGE'], narrow: 4, row: (c, now) => [c.metadata.name, c.storageClassName ?? '', c.capacity ?? '', ageOf(c.metadata.creationTimestamp, now)] },
};
