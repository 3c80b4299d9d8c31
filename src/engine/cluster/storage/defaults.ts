/**
 * What the API server fills in for storage: defaults of volumes, classes and drivers, finalizers that keep what is in use, and
 * the default class of a claim that names none. Source: pkg/apis/{core,storage}/v1/defaults.go, plugin/pkg/admission/storage 1.32.
 */
import type { Cluster } from '../state.ts';
import { list } from '../store.ts';
import { isDefaultClass } from '../types/claims.ts';
import type { Json, KubeObject } from '../types/objects.ts';
import { canonical } from '../types/quantity.ts';

export const CLAIM_PROTECTION = 'kubernetes.io/pvc-protection';
export const VOLUME_PROTECTION = 'kubernetes.io/pv-protection';

const tidy = (map: Json): void => {
  for (const [key, value] of Object.entries(map ?? {})) map[key] = canonical(value as string);
};

function volume({ spec }: KubeObject): void {
  if (!spec) return;
  spec.persistentVolumeReclaimPolicy ??= 'Retain';
  spec.volumeMode ??= 'Filesystem';
  tidy(spec.capacity);
  if (spec.hostPath) spec.hostPath.type ??= '';
}

function driver(object: KubeObject): void {
  const spec = (object.spec ??= {});
  spec.attachRequired ??= true;
  spec.fsGroupPolicy ??= 'ReadWriteOnceWithFSType';
  spec.podInfoOnMount ??= false;
  spec.requiresRepublish ??= false;
  spec.seLinuxMount ??= false;
  spec.storageCapacity ??= false;
  spec.volumeLifecycleModes ??= ['Persistent'];
}

export function claimSpec(spec: Json): void {
  if (!spec) return;
  spec.volumeMode ??= 'Filesystem';
  tidy(spec.resources?.requests);
  tidy(spec.resources?.limits);
}

const DEFAULTS: Readonly<Record<string, (object: KubeObject) => void>> = {
  PersistentVolumeClaim: (o) => claimSpec(o.spec),
  PersistentVolume: volume,
  CSIDriver: driver,
  StorageClass(o) {
    o.reclaimPolicy ??= 'Delete';
    o.volumeBindingMode ??= 'Immediate';
  },
};

/** Fills in a storage object; says whether its kind is one. */
export function storageDefaults(object: KubeObject): boolean {
  const fill = DEFAULTS[object.kind];
  fill?.(object);
  return fill !== undefined;
}

/** The newest class marked as default, by name among equals; undefined when none is. */
export function defaultClass(cluster: Cluster): KubeObject | undefined {
  const all = list(cluster.store, 'StorageClass').filter(isDefaultClass);
  return all.sort((a, b) => (a.metadata.creationTimestamp === b.metadata.creationTimestamp ? (a.metadata.name < b.metadata.name ? -1 : 1) : a.metadata.creationTimestamp! > b.metadata.creationTimestamp! ? -1 : 1))[0];
}

/** Admission of a new claim or volume. */
export function admitStorage(cluster: Cluster, object: KubeObject): void {
  const { metadata, spec } = object;
  const finalizer = object.kind === 'PersistentVolumeClaim' ? CLAIM_PROTECTION : object.kind === 'PersistentVolume' ? VOLUME_PROTECTION : null;
  if (!finalizer) return;
  if (!metadata.finalizers?.includes(finalizer)) metadata.finalizers = [...(metadata.finalizers ?? []), finalizer];
  if (object.kind !== 'PersistentVolumeClaim' || !spec || spec.storageClassName !== undefined || metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] !== undefined) return;
  const chosen = defaultClass(cluster);
  if (chosen) spec.storageClassName = chosen.metadata.name;
}
