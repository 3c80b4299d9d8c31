/** Claims and volumes from the API down to the disk: who claims, what is bound, where it is attached, where it is mounted, what is on it. */
import type { VolumeRow } from '../../bridge/rows.ts';
import { type BlockDisk, bytesOn, mountsOf } from '../kernel/block.ts';
import type { Kernel } from '../kernel/records.ts';
import { pathText } from '../kernel/vfs/path.ts';
import { childrenOf } from '../kernel/vfs/tmpfs.ts';
import type { Dentry } from '../kernel/vfs/types.ts';
import { get, list } from '../cluster/store.ts';
import { usersOf } from '../cluster/types/claims.ts';
import { type KubeEvent, type KubeObject, type Pod, saidAt } from '../cluster/types/objects.ts';
import { wholeOf } from '../cluster/types/quantity.ts';
import { SECOND } from '../sim/units.ts';
import type { StoredVolume } from '../world/blockstore.ts';
import type { World } from '../world/world.ts';
import { entryAt } from './disk.ts';
import { columns, type View } from './view.ts';

const modes: Readonly<Record<string, string>> = { ReadWriteOnce: 'RWO', ReadOnlyMany: 'ROX', ReadWriteMany: 'RWX', ReadWriteOncePod: 'RWOP' };

function treeBytes(dir: Dentry | null): number {
  if (!dir) return 0;
  if (dir.inode.kind !== 'dir') return dir.inode.kind === 'file' ? dir.inode.size : 0;
  let sum = 0;
  for (const entry of childrenOf(dir.inode).values()) sum += treeBytes(entry);
  return sum;
}

/** The node that a volume's affinity names, when it is one. */
function tied(volume: KubeObject | undefined): string {
  const terms = volume?.spec.nodeAffinity?.required?.nodeSelectorTerms ?? [];
  const values = terms.length === 1 ? (terms[0].matchExpressions ?? []).find((e: { key: string }) => e.key === 'kubernetes.io/hostname')?.values : undefined;
  return values?.length === 1 ? values[0] : '';
}

/** Where a disk is mounted on the machine that has it, the places that pods see. */
function mounts(kernel: Kernel | undefined, disk: BlockDisk): string {
  if (!kernel || !disk.tree) return '';
  const init = kernel.tasks.get(1);
  return init ? mountsOf(kernel, disk.tree.sb).filter((m) => m.ns === init.ns.mnt).map((mount) => pathText(init, { mount, dentry: mount.root })).sort().join(',') : '';
}

function why(world: World, about: KubeObject): string {
  const events = list<KubeEvent>(world.cluster!.store, 'Event', about.metadata.namespace ?? 'default').filter((e) => e.involvedObject.uid === about.metadata.uid);
  return events.sort((a, b) => ((saidAt(a) ?? '') < (saidAt(b) ?? '') ? -1 : 1)).at(-1)?.message ?? '';
}

const told = (v: StoredVolume | undefined): string => (v?.history ?? []).map(({ at, what }) => `${(at / SECOND).toFixed(1)} s ${what}`).join('; ');

function moved(v: StoredVolume | undefined): number {
  const places = (v?.history ?? []).flatMap(({ what }) => /^attached to (\S+)/.exec(what)?.[1] ?? []);
  return places.filter((place, i) => i > 0 && place !== places[i - 1]).length;
}

function row(world: World, claim: KubeObject | undefined, volume: KubeObject | undefined, stored: StoredVolume | undefined): VolumeRow {
  const pods = claim ? usersOf(list<Pod>(world.cluster!.store, 'Pod', claim.metadata.namespace), claim) : [];
  const va = volume ? list(world.cluster!.store, 'VolumeAttachment').find((one) => one.spec.source?.persistentVolumeName === volume.metadata.name) : undefined;
  const home = tied(volume);
  const path = volume?.spec.hostPath?.path ?? volume?.spec.local?.path ?? '';
  const node = stored?.attached?.node ?? home;
  const kernel = world.kernels.get(node);
  const name = claim ? `${claim.metadata.namespace}/${claim.metadata.name}` : volume?.spec.claimRef ? `${volume.spec.claimRef.namespace}/${volume.spec.claimRef.name}` : '';
  const of = volume ?? claim;
  return {
    key: volume?.metadata.name ?? (name || stored?.id || ''), claim: name, volume: volume?.metadata.name ?? '', class: of?.spec.storageClassName ?? '', size: wholeOf(volume?.spec.capacity?.storage ?? claim?.spec.resources?.requests?.storage) || (stored?.disk.size ?? 0),
    modes: (of?.spec.accessModes ?? []).map((mode: string) => modes[mode] ?? mode).join(','), phase: volume?.status?.phase ?? '', claimPhase: claim?.metadata.deletionTimestamp ? 'Terminating' : (claim?.status?.phase ?? ''), policy: volume?.spec.persistentVolumeReclaimPolicy ?? '',
    pods: pods.map((p) => p.metadata.name).join(','), attachment: va ? `${va.spec.nodeName} ${va.metadata.deletionTimestamp ? 'detaching' : va.status?.attached ? 'attached' : 'attaching'}` : '',
    node, tied: home !== '', device: stored?.attached?.device ?? '', handle: stored?.id ?? path, mounts: stored ? mounts(kernel, stored.disk) : path,
    bytes: stored ? bytesOn(stored.disk) : path && kernel ? treeBytes(entryAt(kernel, path)) : 0, message: claim && claim.status?.phase !== 'Bound' ? why(world, claim) : '', history: told(stored), moves: moved(stored),
  };
}

export const volumes: View = {
  doc: 'Volumes from the claim down to the disk: binding, attachment, device, mounts, data; one row a claim or volume.',
  arg: 'namespace?',
  columns: columns(`
    claim: namespace/name, or empty
    volume: PersistentVolume, or empty
    class: storage class
    size [bytes]: of the volume, or asked for
    modes: access modes, RWO, ROX, RWX, RWOP
    phase: of the volume: Pending, Available, Bound, Released or Failed
    claimPhase: of the claim: Pending, Bound, Lost or Terminating
    policy: Retain, Delete or Recycle
    pods: that mount the claim, comma separated
    attachment: node and state of its VolumeAttachment, or empty
    node: where it is attached, or the node that it cannot leave
    tied: it cannot leave its node
    device: on that node, e.g. /dev/vdb
    handle: the block store's name of it, or the directory it is
    mounts: where it is mounted on its node, comma separated
    bytes [bytes]: data on it
    message: why the claim waits
    history: what the block store did with it
    moves [count]: how often it was attached to another machine than before
  `),
  rows(world, arg) {
    if (!world.cluster) return [];
    const { store } = world.cluster;
    const wanted = typeof arg.namespace === 'string' && arg.namespace !== '' ? arg.namespace : null;
    const stored = new Map(world.blocks?.volumes ?? []);
    const out: VolumeRow[] = [];
    const seen = new Set<string>();
    for (const claim of list(store, 'PersistentVolumeClaim')) {
      const volume = get(store, 'PersistentVolume', claim.spec.volumeName ?? '');
      if (volume) seen.add(volume.metadata.name);
      const disk = stored.get(volume?.spec.csi?.volumeHandle);
      if (disk) stored.delete(disk.id);
      if (!wanted || claim.metadata.namespace === wanted) out.push(row(world, claim, volume, disk));
    }
    if (wanted) return out;
    for (const volume of list(store, 'PersistentVolume')) {
      if (seen.has(volume.metadata.name)) continue;
      const disk = stored.get(volume.spec.csi?.volumeHandle);
      if (disk) stored.delete(disk.id);
      out.push(row(world, undefined, volume, disk));
    }
    for (const disk of stored.values()) out.push(row(world, undefined, undefined, disk));
    return out;
  },
};
