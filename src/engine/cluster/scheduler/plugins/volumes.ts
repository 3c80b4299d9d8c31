/**
 * The filters that look at volumes: VolumeRestrictions, NodeVolumeLimits, VolumeBinding, VolumeZone. They are skipped for pods
 * without claims. Source: pkg/scheduler/framework/plugins/{volumerestrictions,nodevolumelimits,volumebinding,volumezone} 1.32.
 */
import { classOf } from '../../storage/match.ts';
import { get, type Store } from '../../store.ts';
import { claimsOf } from '../../types/claims.ts';
import type { Pod } from '../../types/objects.ts';
import type { CycleState, FilterPlugin, NodeInfo } from '../profile.ts';
import { refusal } from '../volumes.ts';

const without = (state: CycleState): boolean => !state.volumes;

export const volumeRestrictions: FilterPlugin = {
  name: 'VolumeRestrictions',
  skips: (state) => !state.volumes?.exclusive.length,
  filter({ volumes, nodes, pod }) {
    const uses = (other: Pod): boolean => other.metadata.uid !== pod.metadata.uid && claimsOf(other).some((name) => volumes!.exclusive.includes(`${other.metadata.namespace}/${name}`));
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

export const nodeVolumeLimits: FilterPlugin = {
  name: 'NodeVolumeLimits',
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
  skips: without,
  filter({ volumes }, info) {
    const why = refusal(volumes!, info.node);
    return why ? { reasons: [why], resolvable: false } : null;
  },
};

const ZONES = ['failure-domain.beta.kubernetes.io/zone', 'failure-domain.beta.kubernetes.io/region', 'topology.kubernetes.io/zone', 'topology.kubernetes.io/region'];

export const volumeZone: FilterPlugin = {
  name: 'VolumeZone',
  skips: (state) => !state.volumes?.bound.some((v) => ZONES.some((key) => v.metadata.labels?.[key] !== undefined)),
  filter({ volumes }, info) {
    const labels = info.node.metadata.labels ?? {};
    if (!ZONES.some((key) => labels[key] !== undefined)) return null;
    const bad = volumes!.bound.some((v) => ZONES.some((key) => v.metadata.labels?.[key] !== undefined && !v.metadata.labels[key].split('__').includes(labels[key] ?? labels[key.replace('failure-domain.beta', 'topology')] ?? '')));
    return bad ? { reasons: ['node(s) had no available volume zone'], resolvable: false } : null;
  },
};
