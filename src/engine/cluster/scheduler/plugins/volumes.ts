/**
 * The filters that look at volumes: VolumeRestrictions, NodeVolumeLimits, VolumeBinding, VolumeZone. They are skipped for pods
 * without claims. Source: pkg/scheduler/framework/plugins/{volumerestrictions,nodevolumelimits,volumebinding,volumezone} 1.32.
 */
import { classOf } from '../../storage/match.ts';
import { get, type Store } from '../../store.ts';
import { claimsOf } from '../../types/claims.ts';
import type { Json, Pod } from '../../types/objects.ts';
import type { CycleState, FilterPlugin, NodeInfo } from '../profile.ts';
import { refusals } from '../volumes.ts';

const without = (state: CycleState): boolean => !state.volumes;

/** Disks named in pods themselves that one node at a time may write: equal when these parts are. */
const DISKS: Record<string, (v: Json) => string> = {
  gcePersistentDisk: (v) => v.pdName,
  awsElasticBlockStore: (v) => v.volumeID,
  iscsi: (v) => v.iqn,
  rbd: (v) => `${v.pool ?? 'rbd'}/${v.image}/${[...(v.monitors ?? [])].sort().join(',')}`,
};
/** A disk that is attached for reading only, on both sides, is no conflict; EBS knows no such thing. */
function conflicts(a: Json, b: Json): boolean {
  return Object.entries(DISKS).some(([kind, named]) => a[kind] && b[kind] && named(a[kind]) === named(b[kind]) && !(kind !== 'awsElasticBlockStore' && a[kind].readOnly && b[kind].readOnly));
}
const disksOf = (pod: Pod): Json[] => (pod.spec.volumes ?? []).filter((v) => Object.keys(DISKS).some((kind) => v[kind]));

export const volumeRestrictions: FilterPlugin = {
  name: 'VolumeRestrictions',
  seesPods: true,
  skips: (state) => !state.volumes?.exclusive.length && disksOf(state.pod).length === 0,
  filter({ volumes, nodes, pod }, info) {
    const disks = disksOf(pod);
    if (disks.length > 0 && [...info.pods.values()].some((other) => disksOf(other).some((b) => disks.some((a) => conflicts(a, b))))) return { reasons: ['node(s) had no available disk'], resolvable: true };
    if (!volumes?.exclusive.length) return null;
    const uses = (other: Pod): boolean => other.metadata.uid !== pod.metadata.uid && claimsOf(other).some((name) => volumes.exclusive.includes(`${other.metadata.namespace}/${name}`));
    const taken = nodes.some((info) => [...info.pods.values()].some(uses));
    return taken ? { reasons: ['node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode'], resolvable: true } : null;
  },
};

/** Driver and volume of each claim of a pod that lies on a driver's volume, or will. */
function attachable(store: Store, pod: Pod): [driver: string, volume: string][] {
  return claimsOf(pod).flatMap((name): [string, string][] => {
    const key = `${pod.metadata.namespace}/${name}`;
    const claim = get(store, 'PersistentVolumeClaim', key);
    if (!claim) return [];
    const csi = get(store, 'PersistentVolume', claim.spec.volumeName ?? '')?.spec.csi;
    if (csi) return [[csi.driver, csi.volumeHandle]];
    const provisioner = claim.spec.volumeName ? undefined : get(store, 'StorageClass', classOf(claim))?.provisioner;
    return provisioner ? [[provisioner, key]] : [];
  });
}

function onNode(store: Store, info: NodeInfo, driver: string): Set<string> {
  const all = [...info.pods.values()].flatMap((pod) => attachable(store, pod)).filter(([d]) => d === driver).map(([, v]) => v);
  for (const va of store.tables.get('VolumeAttachment')?.values() ?? []) {
    const csi = va.spec.nodeName === info.name && va.spec.attacher === driver ? get(store, 'PersistentVolume', va.spec.source?.persistentVolumeName ?? '')?.spec.csi : undefined;
    if (csi) all.push(csi.volumeHandle);
  }
  return new Set(all);
}

/** 1.20 counted EBS volumes that pods name themselves; today they belong to the driver that replaced them. */
export const ebsLimits: FilterPlugin = {
  name: 'EBSLimits',
  seesPods: true,
  skips: (state) => ebsOf(state.pod).length === 0,
  filter({ pod }, info) {
    const there = new Set([...info.pods.values()].flatMap(ebsOf));
    const fresh = new Set(ebsOf(pod).filter((id) => !there.has(id)));
    const limit = info.allocatable.get('attachable-volumes-aws-ebs') ?? 39;
    return fresh.size > 0 && there.size + fresh.size > limit ? { reasons: ['node(s) exceed max volume count'], resolvable: true } : null;
  },
};
const ebsOf = (pod: Pod): string[] => (pod.spec.volumes ?? []).flatMap((v) => (v.awsElasticBlockStore ? [v.awsElasticBlockStore.volumeID] : []));

export const nodeVolumeLimits: FilterPlugin = {
  name: 'NodeVolumeLimits',
  seesPods: true,
  skips: without,
  filter({ volumes, pod }, info) {
    const { store } = volumes!;
    for (const driver of get(store, 'CSINode', info.name)?.spec?.drivers ?? []) {
      const limit = driver.allocatable?.count;
      if (limit === undefined) continue;
      const mine = attachable(store, pod).filter(([d]) => d === driver.name).map(([, v]) => v);
      if (mine.length === 0) continue;
      const there = onNode(store, info, driver.name);
      const fresh = new Set(mine.filter((v) => !there.has(v)));
      if (fresh.size > 0 && there.size + fresh.size > limit) return { reasons: ['node(s) exceed max volume count'], resolvable: true };
    }
    return null;
  },
};

export const volumeBinding: FilterPlugin = {
  name: 'VolumeBinding',
  seesPods: true,
  skips: without,
  filter({ volumes }, info) {
    const reasons = refusals(volumes!, info.node);
    return reasons.length > 0 ? { reasons, resolvable: false } : null;
  },
};

const ZONES = ['failure-domain.beta.kubernetes.io/zone', 'failure-domain.beta.kubernetes.io/region', 'topology.kubernetes.io/zone', 'topology.kubernetes.io/region'];

export const volumeZone: FilterPlugin = {
  name: 'VolumeZone',
  seesPods: true,
  skips: (state) => !state.volumes?.bound.some((v) => ZONES.some((key) => v.metadata.labels?.[key] !== undefined)),
  filter({ volumes }, info) {
    const labels = info.node.metadata.labels ?? {};
    if (!ZONES.some((key) => labels[key] !== undefined)) return null;
    const bad = volumes!.bound.some((v) => ZONES.some((key) => v.metadata.labels?.[key] !== undefined && !v.metadata.labels[key].split('__').includes(labels[key] ?? labels[key.replace('failure-domain.beta', 'topology')] ?? '')));
    return bad ? { reasons: ['node(s) had no available volume zone'], resolvable: false } : null;
  },
};
