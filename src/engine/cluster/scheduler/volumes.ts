/**
 * What a pod's claims mean for where it can run, worked out once a cycle, and what follows once a node is chosen: volumes that
 * exist are kept for their claims, those that do not are asked for by the selected-node annotation, and the pod is bound when all are there.
 * Source: plugins/volumebinding/{volume_binding,binder}.go 1.32. Left out: ephemeral volumes' claims, scores by capacity.
 */
import { after } from '../../sim/timeline.ts';
import { SECOND } from '../../sim/units.ts';
import { mutate } from '../api.ts';
import { emit } from '../controllers/events.ts';
import type { Cluster } from '../state.ts';
import { bindsLate, BIND_COMPLETED, BOUND_BY_CONTROLLER, classOf, findVolume, NO_PROVISIONER, reaches, SELECTED_NODE, wanted } from '../storage/match.ts';
import { get, list, type Store } from '../store.ts';
import { claimsOf } from '../types/claims.ts';
import { type Json, type KubeObject, keyOf, type Node, type Pod } from '../types/objects.ts';
import { wholeOf } from '../types/quantity.ts';
import { matchesSelector } from '../types/selectors.ts';
import { addPod, removePod } from './nodes.ts';

export interface PodVolumes {
  store: Store;
  /** Volumes of the claims that have one; `missing` when one of them is gone. */
  bound: KubeObject[];
  missing: boolean;
  /** Claims that wait for a node, the smallest first. */
  late: KubeObject[];
  /** Keys of claims that one pod alone may use. */
  exclusive: string[];
}

export const UNBOUND = 'pod has unbound immediate PersistentVolumeClaims';
export const CONFLICT = 'node(s) had volume node affinity conflict';
export const NOT_FOUND = "node(s) didn't find available persistent volumes to bind";
export const NO_SPACE = 'node(s) did not have enough free storage';
export const MISSING = 'node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)';

/** null: no claims. Text: none of the nodes will do, whatever they are. */
export function volumesOf(cluster: Cluster, pod: Pod): PodVolumes | string | null {
  const names = claimsOf(pod);
  if (names.length === 0) return null;
  const { store } = cluster;
  const out: PodVolumes = { store, bound: [], missing: false, late: [], exclusive: [] };
  let immediate = false;
  for (const name of names) {
    const key = `${pod.metadata.namespace}/${name}`;
    const claim = get(store, 'PersistentVolumeClaim', key);
    if (!claim) return `persistentvolumeclaim "${name}" not found`;
    if (claim.status?.phase === 'Lost') return `persistentvolumeclaim "${name}" bound to non-existent persistentvolume "${claim.spec.volumeName ?? ''}"`;
    if (claim.metadata.deletionTimestamp) return `persistentvolumeclaim "${name}" is being deleted`;
    if ((claim.spec.accessModes as string[]).includes('ReadWriteOncePod')) out.exclusive.push(key);
    if (claim.spec.volumeName && claim.metadata.annotations?.[BIND_COMPLETED]) {
      const volume = get(store, 'PersistentVolume', claim.spec.volumeName);
      if (volume) out.bound.push(volume);
      else out.missing = true;
    } else if (!claim.spec.volumeName && bindsLate(store, claim)) out.late.push(claim);
    else immediate = true;
  }
  out.late.sort((a, b) => wanted(a) - wanted(b));
  return immediate ? UNBOUND : out;
}

/** A claim and the volume it shall have; without one it is to be provisioned. */
interface Choice { claim: KubeObject; volume: KubeObject | null }

/** What the late claims would get on a node, or why not. */
export function choose(volumes: PodVolumes, node: Node): Choice[] | string {
  const { store } = volumes;
  const taken = new Set<string>();
  const out: Choice[] = [];
  for (const claim of volumes.late) {
    const selected = claim.metadata.annotations?.[SELECTED_NODE];
    if (selected) {
      if (selected !== node.metadata.name) return NOT_FOUND;
      out.push({ claim, volume: null });
      continue;
    }
    const volume = findVolume(store, claim, { node, taken });
    if (volume) taken.add(volume.metadata.name);
    else {
      const sc = get(store, 'StorageClass', classOf(claim))!;
      if (sc.provisioner === NO_PROVISIONER || !allowed(sc, node)) return NOT_FOUND;
      if (!hasRoom(store, sc, claim, node)) return NO_SPACE;
    }
    out.push({ claim, volume: volume ?? null });
  }
  return out;
}

function allowed(sc: KubeObject, node: Node): boolean {
  const terms: Json[] = sc.allowedTopologies ?? [];
  return terms.length === 0 || terms.some((term) => (term.matchLabelExpressions ?? []).every((e: Json) => (e.values ?? []).includes(node.metadata.labels?.[e.key])));
}

/** Of drivers that publish their capacity. */
function hasRoom(store: Store, sc: KubeObject, claim: KubeObject, node: Node): boolean {
  if (!get(store, 'CSIDriver', sc.provisioner)?.spec?.storageCapacity) return true;
  return list(store, 'CSIStorageCapacity').some((c) => c.storageClassName === sc.metadata.name && wholeOf(c.maximumVolumeSize ?? c.capacity) >= wanted(claim) && (!c.nodeTopology || matchesSelector(c.nodeTopology, node.metadata.labels)));
}

/** Why a node does not do for the pod's volumes: those it has and those it is to get are looked at both. */
export function refusals(volumes: PodVolumes, node: Node): string[] {
  if (volumes.missing) return [MISSING];
  const found = volumes.late.length > 0 ? choose(volumes, node) : [];
  return [...(volumes.bound.some((v) => !reaches(v, node)) ? [CONFLICT] : []), ...(typeof found === 'string' ? [found] : [])];
}

// ---- between the choice of a node and the binding of the pod

/** A pod that has a node and waits for its volumes; the node counts it already. */
export interface Reservation {
  pod: Pod;
  node: string;
  claims: string[];
  /** Claims that are to be provisioned: they carry the node's name. */
  provisioned: string[];
}

const TIMEOUT = 600 * SECOND;

/** Begins to bind the volumes; false when there is nothing to wait for. */
export function reserve(cluster: Cluster, key: string, pod: Pod, volumes: PodVolumes, name: string): boolean {
  const info = cluster.scheduler.infos.get(name);
  const choices = info ? choose(volumes, info.node) : [];
  if (!info || typeof choices === 'string' || choices.length === 0) return false;
  const held: Pod = { ...pod, spec: { ...pod.spec, nodeName: name } };
  const claims = choices.map((c) => keyOf(c.claim.metadata));
  cluster.scheduler.reserved.set(key, { pod: held, node: name, claims, provisioned: choices.filter((c) => !c.volume).map((c) => keyOf(c.claim.metadata)) });
  addPod(info, held);
  for (const { claim, volume } of choices) {
    const { metadata } = claim;
    if (volume) {
      mutate(cluster, 'PersistentVolume', volume.metadata.name, (v) => {
        if (!v.spec.claimRef) v.metadata.annotations = { ...v.metadata.annotations, [BOUND_BY_CONTROLLER]: 'yes' };
        v.spec.claimRef = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', name: metadata.name, namespace: metadata.namespace, resourceVersion: metadata.resourceVersion, uid: metadata.uid };
      });
    } else {
      mutate(cluster, 'PersistentVolumeClaim', keyOf(metadata), (c) => {
        c.metadata.annotations = { ...c.metadata.annotations, [SELECTED_NODE]: name };
      });
    }
  }
  after(cluster.timeline, TIMEOUT, { kind: 'cluster.bindtimeout', who: cluster.name, arg: { key, uid: pod.metadata.uid! } });
  return true;
}

/** Gives the node's room back. */
export function release(cluster: Cluster, key: string): Reservation | undefined {
  const held = cluster.scheduler.reserved.get(key);
  if (!held) return undefined;
  cluster.scheduler.reserved.delete(key);
  const info = cluster.scheduler.infos.get(held.node);
  if (info?.pods.get(key) === held.pod) removePod(info, held.pod);
  return held;
}

/** Where a reservation stands: all bound, still waiting, or why it came to nothing. */
export function progress(cluster: Cluster, held: Reservation): true | null | string {
  let all = true;
  for (const key of held.claims) {
    const claim = get(cluster.store, 'PersistentVolumeClaim', key);
    if (!claim || claim.metadata.deletionTimestamp) return `persistentvolumeclaim "${key.split('/')[1]}" not found`;
    const done = claim.spec.volumeName && claim.metadata.annotations?.[BIND_COMPLETED];
    if (!done) all = false;
    if (!done && held.provisioned.includes(key) && claim.metadata.annotations?.[SELECTED_NODE] !== held.node) return `provisioning failed for PVC "${claim.metadata.name}"`;
    const volume = done ? get(cluster.store, 'PersistentVolume', claim.spec.volumeName) : undefined;
    const node = get<Node>(cluster.store, 'Node', held.node);
    if (volume && node && !reaches(volume, node)) return `pv "${volume.metadata.name}" node affinity doesn't match node "${held.node}": no matching NodeSelectorTerms`;
  }
  return all ? true : null;
}

export function complain(cluster: Cluster, pod: Pod, why: string): void {
  emit(cluster, pod, 'Warning', 'FailedScheduling', `running PreBind plugin "VolumeBinding": binding volumes: ${why}`, 'default-scheduler');
}
