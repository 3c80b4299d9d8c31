/**
 * Attach and detach: volumes of drivers that pods of a node want are attached to it by a VolumeAttachment, those that nobody wants are
 * detached when the node has let go of them; six minutes after a node that is lost, or at once when it is tainted out-of-service, by force.
 * A volume for one node that another still has is a multi-attach error. Source: pkg/controller/volume/attachdetach 1.32.
 */
import { EPOCH_SECONDS, SECOND } from '../../sim/units.ts';
import { create, mutate, remove } from '../api.ts';
import { type Cluster, note } from '../state.ts';
import { BIND_COMPLETED } from '../storage/match.ts';
import { get, list, stamp } from '../store.ts';
import { attachmentName, uniqueName } from '../types/attachment.ts';
import { claimsOf } from '../types/claims.ts';
import { kindNamed } from '../types/kinds.ts';
import { type Json, type KubeObject, type Node, type Pod } from '../types/objects.ts';
import { parseTime } from '../types/time.ts';
import { emit } from './events.ts';
import { later } from './later.ts';
import { OUT_OF_SERVICE } from './podgc.ts';

const COMPONENT = 'attachdetach-controller';
/** maxWaitForUnmountDuration */
const FORCE = 360;
const UNWANTED = 'nestbox.dev/unwanted-since';

/** Volumes of drivers that a pod's bound claims name. */
function volumesOfPod(cluster: Cluster, pod: Pod): KubeObject[] {
  return claimsOf(pod).flatMap((name) => {
    const claim = get(cluster.store, 'PersistentVolumeClaim', `${pod.metadata.namespace}/${name}`);
    const volume = claim?.metadata.annotations?.[BIND_COMPLETED] ? get(cluster.store, 'PersistentVolume', claim.spec.volumeName ?? '') : undefined;
    return volume?.spec.csi ? [volume] : [];
  });
}

const attachable = (cluster: Cluster, volume: KubeObject): boolean => get(cluster.store, 'CSIDriver', volume.spec.csi.driver)?.spec?.attachRequired !== false;
const over = (pod: Pod): boolean => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';

/** Pods that want a volume, by node. Hollow nodes have no drivers. */
function wantedBy(cluster: Cluster, volume: KubeObject): Map<string, Pod[]> {
  const out = new Map<string, Pod[]>();
  const ref = volume.spec.claimRef;
  for (const pod of list<Pod>(cluster.store, 'Pod', ref?.namespace)) {
    const node = pod.spec.nodeName;
    if (!node || over(pod) || cluster.hollow.has(node) || !claimsOf(pod).includes(ref?.name ?? '') || !volumesOfPod(cluster, pod).some((v) => v.metadata.name === volume.metadata.name)) continue;
    out.set(node, [...(out.get(node) ?? []), pod]);
  }
  return out;
}

const attachmentsOf = (cluster: Cluster, name: string): KubeObject[] => list(cluster.store, 'VolumeAttachment').filter((va) => va.spec.source?.persistentVolumeName === name);

/** One volume: who wants it, where it is, and what is to be done. */
export function syncAttachments(cluster: Cluster, name: string): void {
  const volume = get(cluster.store, 'PersistentVolume', name);
  const there = attachmentsOf(cluster, name);
  const wanted = volume?.spec.csi && attachable(cluster, volume) ? wantedBy(cluster, volume) : new Map<string, Pod[]>();
  for (const va of there) if (!wanted.has(va.spec.nodeName)) detach(cluster, volume, va);
  for (const va of there) if (wanted.has(va.spec.nodeName)) settle(cluster, volume!, va, wanted.get(va.spec.nodeName)!);
  for (const [node, pods] of wanted) {
    if (there.some((va) => va.spec.nodeName === node)) continue;
    const single = !(volume!.spec.accessModes as string[]).some((mode) => mode === 'ReadWriteMany' || mode === 'ReadOnlyMany');
    if (single && there.length > 0) complain(cluster, volume!, there[0]!, pods, wanted);
    else attach(cluster, volume!, node);
  }
}

function attach(cluster: Cluster, volume: KubeObject, node: string): void {
  const { driver, volumeHandle } = volume.spec.csi;
  create(cluster, kindNamed('VolumeAttachment'), undefined, { metadata: { name: attachmentName(driver, volumeHandle, node) }, spec: { attacher: driver, nodeName: node, source: { persistentVolumeName: volume.metadata.name } } });
}

/** Said once for each pod. */
function complain(cluster: Cluster, volume: KubeObject, va: KubeObject, pods: readonly Pod[], wanted: Map<string, Pod[]>): void {
  for (const pod of pods) {
    const users = (wanted.get(va.spec.nodeName) ?? []).filter((p) => p.metadata.namespace === pod.metadata.namespace).map((p) => p.metadata.name);
    const why = users.length > 0 ? `Volume is already used by pod(s) ${users.join(', ')}` : "Volume is already exclusively attached to one node and can't be attached to another";
    const said = list(cluster.store, 'Event', pod.metadata.namespace).some((e) => e.involvedObject.uid === pod.metadata.uid && String(e.message).startsWith('Multi-Attach error'));
    if (said) continue;
    emit(cluster, pod, 'Warning', 'FailedAttachVolume', `Multi-Attach error for volume "${volume.metadata.name}" ${why}`, COMPONENT);
    note(cluster, 'volume.multiattach', { volume: volume.metadata.name, pod: pod.metadata.name, node: va.spec.nodeName });
  }
}

/** What the attacher has done so far, told to the pods and to the node's status. */
function settle(cluster: Cluster, volume: KubeObject, va: KubeObject, pods: readonly Pod[]): void {
  if (va.metadata.annotations?.[UNWANTED]) {
    mutate(cluster, 'VolumeAttachment', va.metadata.name, (o) => {
      delete o.metadata.annotations![UNWANTED];
    });
  }
  if (va.metadata.deletionTimestamp) return;
  const { driver, volumeHandle } = volume.spec.csi;
  const node = get<Node>(cluster.store, 'Node', va.spec.nodeName);
  const entry = uniqueName(driver, volumeHandle);
  const listed = attachedTo(node);
  if (!va.status?.attached) {
    const error = va.status?.attachError?.message;
    if (error) for (const pod of pods) emit(cluster, pod, 'Warning', 'FailedAttachVolume', `AttachVolume.Attach failed for volume "${volume.metadata.name}" : ${error}`, COMPONENT);
    return;
  }
  if (!node || listed.some((one) => one.name === entry)) return;
  for (const pod of pods) emit(cluster, pod, 'Normal', 'SuccessfulAttachVolume', `AttachVolume.Attach succeeded for volume "${volume.metadata.name}" `, COMPONENT);
  mutate(cluster, 'Node', va.spec.nodeName, (n) => {
    n.status.volumesAttached = [...listed, { devicePath: '', name: entry }];
  }, 'status');
}

const attachedTo = (node: KubeObject | undefined): Json[] => node?.status?.volumesAttached ?? [];

function detach(cluster: Cluster, volume: KubeObject | undefined, va: KubeObject): void {
  if (va.metadata.deletionTimestamp) return;
  const name = va.spec.nodeName as string;
  const node = get<Node>(cluster.store, 'Node', name);
  const csi = volume?.spec.csi;
  const entry = csi ? uniqueName(csi.driver, csi.volumeHandle) : '';
  const inUse = ((node?.status as Json)?.volumesInUse ?? []).includes(entry);
  if (node && inUse && !mayForce(cluster, node, va, volume)) return;
  if (node && attachedTo(node).some((one) => one.name === entry)) {
    mutate(cluster, 'Node', name, (n) => {
      const rest = attachedTo(n).filter((one: Json) => one.name !== entry);
      if (rest.length > 0) n.status.volumesAttached = rest;
      else delete n.status.volumesAttached;
    }, 'status');
  }
  remove(cluster, kindNamed('VolumeAttachment'), undefined, va.metadata.name);
}

/** A node that still says it uses the volume: only when it is gone for good may it be taken away. */
function mayForce(cluster: Cluster, node: Node, va: KubeObject, volume: KubeObject | undefined): boolean {
  const force = (why: string): true => {
    note(cluster, 'volume.forcedetach', { volume: volume?.metadata.name ?? '', node: node.metadata.name, why });
    return true;
  };
  if ((node.spec.taints ?? []).some((t) => t.key === OUT_OF_SERVICE)) return force('out-of-service');
  const since = parseTime(va.metadata.annotations?.[UNWANTED]);
  const now = EPOCH_SECONDS + cluster.timeline.now / SECOND;
  if (since === null) {
    mutate(cluster, 'VolumeAttachment', va.metadata.name, (o) => {
      o.metadata.annotations = { ...o.metadata.annotations, [UNWANTED]: stamp(cluster.timeline) };
    });
    later(cluster, 'attach', String(va.spec.source?.persistentVolumeName), FORCE + 1);
    return false;
  }
  if (now - since < FORCE) return false;
  const ready = node.status?.conditions?.find((c) => c.type === 'Ready')?.status === 'True';
  if (ready) later(cluster, 'attach', String(va.spec.source?.persistentVolumeName), 60);
  return ready ? false : force('6m0s');
}

/** Volumes that a change concerns. */
export function attachmentsWoken(cluster: Cluster, { kind, type, object, old }: { kind: string; type: string; object: KubeObject; old?: KubeObject }): string[] {
  if (kind === 'VolumeAttachment') return [String(object.spec.source?.persistentVolumeName)];
  if (kind === 'Pod') {
    const pod = object as Pod;
    if (!pod.spec.nodeName || claimsOf(pod).length === 0) return [];
    if (type !== 'DELETED' && old?.spec.nodeName === pod.spec.nodeName && over(old as Pod) === over(pod)) return [];
    return volumesOfPod(cluster, pod).map((v) => v.metadata.name);
  }
  if (kind !== 'Node' || !cluster.store.tables.get('VolumeAttachment')?.size) return [];
  const differs = type === 'DELETED' || JSON.stringify(old?.status?.volumesInUse) !== JSON.stringify(object.status?.volumesInUse) || JSON.stringify(old?.spec.taints) !== JSON.stringify(object.spec.taints);
  return differs ? list(cluster.store, 'VolumeAttachment').filter((va) => va.spec.nodeName === object.metadata.name).map((va) => String(va.spec.source?.persistentVolumeName)) : [];
}
