/**
 * The binder of claims and volumes: each claim gets the volume that fits, is sent to its class's provisioner, or says why it waits;
 * each volume follows its claim through Available, Bound, Released and what its reclaim policy wants. What is in use is not taken away.
 * Source: pkg/controller/volume/{persistentvolume/pv_controller.go,pvcprotection,pvprotection} 1.32. Left out: recycler pods.
 */
import { mutate, remove } from '../api.ts';
import type { Cluster } from '../state.ts';
import { CLAIM_PROTECTION, defaultClass, VOLUME_PROTECTION } from '../storage/defaults.ts';
import {
  BETA_PROVISIONER, BIND_COMPLETED, bindsLate, BOUND_BY_CONTROLLER, classOf, findVolume, isFor, mismatch, PROVISIONED_BY, PROVISIONER, SELECTED_NODE,
} from '../storage/match.ts';
import { get, list } from '../store.ts';
import { usersOf } from '../types/claims.ts';
import { kindNamed } from '../types/kinds.ts';
import { type Json, type KubeObject, keyOf, type Pod } from '../types/objects.ts';
import { emit } from './events.ts';

const COMPONENT = 'persistentvolume-controller';
const has = (o: KubeObject, note: string): boolean => o.metadata.annotations?.[note] !== undefined;

function annotate(o: KubeObject, notes: Record<string, string>): void {
  o.metadata.annotations = { ...o.metadata.annotations, ...notes };
}

function unprotect(cluster: Cluster, object: KubeObject, finalizer: string): void {
  if (!object.metadata.finalizers?.includes(finalizer)) return;
  mutate(cluster, object.kind, keyOf(object.metadata), (o) => {
    o.metadata.finalizers = (o.metadata.finalizers ?? []).filter((one) => one !== finalizer);
  });
}

// ---- claims

export function syncClaim(cluster: Cluster, key: string): void {
  const claim = get(cluster.store, 'PersistentVolumeClaim', key);
  if (!claim) return;
  if (claim.metadata.deletionTimestamp && !usersOf(list<Pod>(cluster.store, 'Pod', claim.metadata.namespace), claim).some((pod) => pod.spec.nodeName)) {
    unprotect(cluster, claim, CLAIM_PROTECTION);
    if (!get(cluster.store, 'PersistentVolumeClaim', key)) return;
  }
  if (has(claim, BIND_COMPLETED)) bound(cluster, claim);
  else if (claim.spec.volumeName) requested(cluster, claim);
  else unbound(cluster, claim);
}

/** Every 15 s: claims that wait look again at what there is, and say again why they wait. */
export function resyncClaims(cluster: Cluster): void {
  for (const claim of list(cluster.store, 'PersistentVolumeClaim')) if (claim.status?.phase !== 'Bound') syncClaim(cluster, keyOf(claim.metadata));
}

function setPhase(cluster: Cluster, object: KubeObject, phase: string, message?: string): void {
  const now = get(cluster.store, object.kind, keyOf(object.metadata));
  if (!now || (now.status?.phase === phase && now.status?.message === message)) return;
  mutate(cluster, object.kind, keyOf(object.metadata), (o) => {
    const { message: gone, ...rest } = o.status ?? {};
    void gone;
    o.status = { ...rest, phase, ...(message ? { message } : {}) };
  }, 'status');
}

/** Binds, or mends a binding that was half done. */
function bind(cluster: Cluster, volume: KubeObject, claim: KubeObject): void {
  const { metadata } = claim;
  mutate(cluster, 'PersistentVolume', volume.metadata.name, (v) => {
    if (v.spec.claimRef?.uid === metadata.uid) return;
    if (!v.spec.claimRef) annotate(v, { [BOUND_BY_CONTROLLER]: 'yes' });
    v.spec.claimRef = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', name: metadata.name, namespace: metadata.namespace, resourceVersion: metadata.resourceVersion, uid: metadata.uid };
  });
  setPhase(cluster, volume, 'Bound');
  mutate(cluster, 'PersistentVolumeClaim', keyOf(metadata), (c) => {
    if (c.spec.volumeName !== volume.metadata.name) {
      annotate(c, { [BOUND_BY_CONTROLLER]: 'yes' });
      c.spec.volumeName = volume.metadata.name;
    }
    if (!has(c, BIND_COMPLETED)) annotate(c, { [BIND_COMPLETED]: 'yes' });
  });
  mutate(cluster, 'PersistentVolumeClaim', keyOf(metadata), (c) => {
    const grown = c.status?.phase === 'Bound' && c.status.capacity;
    c.status = { ...c.status, accessModes: volume.spec.accessModes, capacity: grown || volume.spec.capacity, phase: 'Bound' };
  }, 'status');
}

function unbound(cluster: Cluster, claim: KubeObject): void {
  const late = bindsLate(cluster.store, claim);
  const volume = claim.metadata.deletionTimestamp ? undefined : findVolume(cluster.store, claim, { onlyKept: late });
  if (volume) {
    bind(cluster, volume, claim);
    return;
  }
  if (late && !has(claim, SELECTED_NODE)) {
    const waiting = usersOf(list<Pod>(cluster.store, 'Pod', claim.metadata.namespace), claim).filter((pod) => pod.status?.phase !== 'Succeeded' && pod.status?.phase !== 'Failed').map((pod) => pod.metadata.name);
    if (waiting.length === 0) emit(cluster, claim, 'Normal', 'WaitForFirstConsumer', 'waiting for first consumer to be created before binding', COMPONENT);
    else emit(cluster, claim, 'Normal', 'WaitForPodScheduled', waiting.length === 1 ? `waiting for pod ${waiting[0]} to be scheduled` : `waiting for pods ${waiting.join(',')} to be scheduled`, COMPONENT);
  } else if (classOf(claim) !== '') provision(cluster, claim);
  else if (claim.spec.storageClassName === undefined && defaultClass(cluster)) {
    mutate(cluster, 'PersistentVolumeClaim', keyOf(claim.metadata), (c) => {
      c.spec.storageClassName = defaultClass(cluster)!.metadata.name;
    });
  } else emit(cluster, claim, 'Normal', 'FailedBinding', 'no persistent volumes available for this claim and no storage class is set', COMPONENT);
  setPhase(cluster, claim, 'Pending');
}

function provision(cluster: Cluster, claim: KubeObject): void {
  if (claim.metadata.deletionTimestamp) return;
  const name = classOf(claim);
  const sc = get(cluster.store, 'StorageClass', name);
  if (!sc) emit(cluster, claim, 'Warning', 'ProvisioningFailed', `storageclass.storage.k8s.io "${name}" not found`, COMPONENT);
  else if (String(sc.provisioner).startsWith('kubernetes.io/')) emit(cluster, claim, 'Warning', 'ProvisioningFailed', `no volume plugin matched name: ${sc.provisioner}`, COMPONENT);
  else {
    if (claim.metadata.annotations?.[PROVISIONER] !== sc.provisioner) {
      mutate(cluster, 'PersistentVolumeClaim', keyOf(claim.metadata), (c) => annotate(c, { [BETA_PROVISIONER]: sc.provisioner, [PROVISIONER]: sc.provisioner }));
    }
    emit(cluster, claim, 'Normal', 'ExternalProvisioning', `Waiting for a volume to be created either by the external provisioner '${sc.provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.`, COMPONENT);
  }
}

/** The claim names its volume. */
function requested(cluster: Cluster, claim: KubeObject): void {
  const volume = get(cluster.store, 'PersistentVolume', claim.spec.volumeName);
  const wrong = volume && !volume.spec.claimRef ? mismatch(volume, claim) : null;
  if (wrong) emit(cluster, claim, 'Warning', 'VolumeMismatch', `Cannot bind to requested volume "${claim.spec.volumeName}": ${wrong}`, COMPONENT);
  if (volume && !wrong && (!volume.spec.claimRef || isFor(volume, claim))) bind(cluster, volume, claim);
  else setPhase(cluster, claim, 'Pending');
}

function bound(cluster: Cluster, claim: KubeObject): void {
  const lose = (reason: string, message: string): void => {
    if (claim.status?.phase === 'Lost') return;
    emit(cluster, claim, 'Warning', reason, message, COMPONENT);
    mutate(cluster, 'PersistentVolumeClaim', keyOf(claim.metadata), (c) => {
      c.status = { phase: 'Lost' };
    }, 'status');
  };
  if (!claim.spec.volumeName) return lose('ClaimLost', 'Bound claim has lost reference to PersistentVolume. Data on the volume is lost!');
  const volume = get(cluster.store, 'PersistentVolume', claim.spec.volumeName);
  if (!volume) return lose('ClaimLost', 'Bound claim has lost its PersistentVolume. Data on the volume is lost!');
  if (!volume.spec.claimRef || isFor(volume, claim)) return bind(cluster, volume, claim);
  return lose('ClaimMisbound', 'Two claims are bound to the same volume, this one is bound incorrectly');
}

// ---- volumes

export function syncVolume(cluster: Cluster, name: string): void {
  const volume = get(cluster.store, 'PersistentVolume', name);
  if (!volume) return;
  if (volume.metadata.deletionTimestamp && volume.status?.phase !== 'Bound') {
    unprotect(cluster, volume, VOLUME_PROTECTION);
    if (!get(cluster.store, 'PersistentVolume', name)) return;
  }
  const ref = volume.spec.claimRef;
  if (!ref?.uid) {
    setPhase(cluster, volume, 'Available');
    if (ref && get(cluster.store, 'PersistentVolumeClaim', `${ref.namespace}/${ref.name}`)) syncClaim(cluster, `${ref.namespace}/${ref.name}`);
    return;
  }
  const claim = get(cluster.store, 'PersistentVolumeClaim', `${ref.namespace}/${ref.name}`);
  if (!claim || claim.metadata.uid !== ref.uid) {
    if (volume.status?.phase !== 'Released' && volume.status?.phase !== 'Failed') setPhase(cluster, volume, 'Released');
    reclaim(cluster, get(cluster.store, 'PersistentVolume', name)!);
  } else if (!claim.spec.volumeName) syncClaim(cluster, keyOf(claim.metadata));
  else if (claim.spec.volumeName === name) setPhase(cluster, volume, 'Bound');
  else elsewhere(cluster, volume);
}

/** Its claim has another volume: what the binder had promised it, it takes back. */
function elsewhere(cluster: Cluster, volume: KubeObject): void {
  if (has(volume, PROVISIONED_BY) && volume.spec.persistentVolumeReclaimPolicy === 'Delete') {
    setPhase(cluster, volume, 'Released');
    reclaim(cluster, volume);
    return;
  }
  mutate(cluster, 'PersistentVolume', volume.metadata.name, (v) => {
    if (!has(v, BOUND_BY_CONTROLLER)) {
      delete v.spec.claimRef.uid;
      return;
    }
    delete v.spec.claimRef;
    delete v.metadata.annotations![BOUND_BY_CONTROLLER];
  });
  setPhase(cluster, volume, 'Available');
}

function reclaim(cluster: Cluster, volume: KubeObject): void {
  const { spec, metadata } = volume;
  const fail = (reason: string, message: string): void => {
    if (volume.status?.phase === 'Failed') return;
    setPhase(cluster, volume, 'Failed', message);
    emit(cluster, volume, 'Warning', reason, message, COMPONENT);
  };
  if (spec.persistentVolumeReclaimPolicy === 'Recycle') fail('VolumeFailedRecycle', spec.hostPath || spec.nfs ? 'not modelled: recycler pods' : 'No recycler plugin found for the volume!');
  if (spec.persistentVolumeReclaimPolicy !== 'Delete' || has(volume, PROVISIONED_BY) || spec.csi) return;
  if (!spec.hostPath) fail('VolumeFailedDelete', `error getting deleter volume plugin for volume "${metadata.name}": no deletable volume plugin matched`);
  else if (!/^\/tmp\/.+/.test(spec.hostPath.path)) fail('VolumeFailedDelete', `host_path deleter only supports /tmp/.+ but received provided ${spec.hostPath.path}`);
  else remove(cluster, kindNamed('PersistentVolume'), undefined, metadata.name);
}

/** Claims that a change of a claim, a pod or a volume concerns. */
export function claimsWoken(cluster: Cluster, { kind, type, object, old }: { kind: string; type: string; object: KubeObject; old?: KubeObject }): string[] {
  if (kind === 'PersistentVolumeClaim') {
    if (type === 'DELETED' || (old && old.spec === object.spec && old.metadata === object.metadata)) return [];
    return !old || differs(old, object) ? [keyOf(object.metadata)] : [];
  }
  if (kind === 'PersistentVolume') {
    const ref = object.spec.claimRef ?? old?.spec.claimRef;
    return ref && (type === 'DELETED' || !old?.spec.claimRef) && get(cluster.store, 'PersistentVolumeClaim', `${ref.namespace}/${ref.name}`) ? [`${ref.namespace}/${ref.name}`] : [];
  }
  if (kind !== 'Pod' || type !== 'DELETED') return [];
  const claims: string[] = ((object as Pod).spec.volumes ?? []).flatMap((v: Json) => (v?.persistentVolumeClaim?.claimName ? [`${object.metadata.namespace}/${v.persistentVolumeClaim.claimName}`] : []));
  return claims.filter((key) => get(cluster.store, 'PersistentVolumeClaim', key)?.metadata.deletionTimestamp);
}

const differs = (old: KubeObject, now: KubeObject): boolean =>
  old.spec.volumeName !== now.spec.volumeName || old.spec.storageClassName !== now.spec.storageClassName || old.metadata.deletionTimestamp !== now.metadata.deletionTimestamp ||
  old.metadata.annotations?.[SELECTED_NODE] !== now.metadata.annotations?.[SELECTED_NODE];

/** Volumes that a change concerns: itself, or that of a claim that went or was bound. */
export function volumesWoken(cluster: Cluster, { kind, type, object, old }: { kind: string; type: string; object: KubeObject; old?: KubeObject }): string[] {
  if (kind === 'PersistentVolume') return type === 'DELETED' ? [] : [object.metadata.name];
  if (kind !== 'PersistentVolumeClaim') return [];
  if (type === 'DELETED' || old?.spec.volumeName !== object.spec.volumeName) return list(cluster.store, 'PersistentVolume').filter((v) => isFor(v, object)).map((v) => v.metadata.name);
  return [];
}
