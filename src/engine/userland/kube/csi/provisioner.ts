/**
 * csi-provisioner: claims of its driver's classes become volumes, and released volumes that are to be deleted go.
 * Source: kubernetes-csi/external-provisioner 5.1 with sig-storage-lib-external-provisioner. Left out: clones, snapshots, topology,
 * capacities, leader election.
 */
import type { Json, KubeObject } from '../../../cluster/types/objects.ts';
import { type Body, type SockAddr, sys } from '../../../kernel/sys.ts';

import type { Call } from '../../lib/http.ts';
import { api } from '../api.ts';
import { createQueue, drainQueue, enqueue, good, inCluster, keep, type Queue, tellEvent } from './informer.ts';
import { klog, rpc, RpcError } from './rpc.ts';

const FINALIZER = 'external-provisioner.volume.kubernetes.io/finalizer';
const NOTE = 'volume.kubernetes.io/storage-provisioner';
const SELECTED = 'volume.kubernetes.io/selected-node';
const MODES: Readonly<Record<string, string>> = { ReadWriteOnce: 'SINGLE_NODE_MULTI_WRITER', ReadWriteOncePod: 'SINGLE_NODE_SINGLE_WRITER', ReadOnlyMany: 'MULTI_NODE_READER_ONLY', ReadWriteMany: 'MULTI_NODE_MULTI_WRITER' };

interface Provisioner {
  server: SockAddr;
  socket: string;
  driver: string;
  component: string;
  identity: string;
  claims: Map<string, KubeObject>;
  volumes: Map<string, KubeObject>;
}

export const flagOf = (argv: readonly string[], name: string, otherwise: string): string => argv.find((a) => a.replace(/^--?/, '').startsWith(`${name}=`))?.replace(/^[^=]*=/, '') ?? otherwise;

/** Waits for the driver's socket and asks its name. */
export function* driverName(socket: string): Call<string> {
  for (;;) {
    try {
      return String((yield* rpc(socket, 'Identity/GetPluginInfo')).name);
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
    }
    yield* sys('nanosleep', 1_000_000_000);
  }
}

export const socketOf = (argv: readonly string[], otherwise = '/csi/csi.sock'): string => flagOf(argv, 'csi-address', otherwise).replace(/^unix:\/\//, '');

export function* csiProvisioner(argv: readonly string[], env: Readonly<Record<string, string>>): Body {
  const socket = socketOf(argv);
  yield* klog('csi-provisioner.go:154', 'Version: v5.1.0');
  const driver = yield* driverName(socket);
  yield* klog('csi-provisioner.go:205', `CSI driver supports CREATE_DELETE_VOLUME, driver name ${driver}`);
  const { nodename } = yield* sys('uname');
  const t = yield* sys('clock_gettime', 'realtime');
  const p: Provisioner = {
    server: inCluster(env), socket, driver, component: `${driver}_${nodename}_${(Math.floor(t / 1000) % 0xffffff).toString(16)}`, identity: `${Math.floor(t / 1e6)}-${Math.floor(t / 1e3) % 10000}-${driver}`, claims: new Map(), volumes: new Map(),
  };
  const queue: Queue = yield* createQueue();
  p.claims = yield* keep(p.server, '/api/v1/persistentvolumeclaims', (o, gone) => (gone ? nothing() : enqueue(queue, `claim ${o.metadata.namespace}/${o.metadata.name}`)));
  p.volumes = yield* keep(p.server, '/api/v1/persistentvolumes', (o, gone) => (gone ? nothing() : enqueue(queue, `volume ${o.metadata.name}`)));
  return yield* drainQueue(queue, (key) => (key.startsWith('claim ') ? provision(p, key.slice(6)) : remove(p, key.slice(7))));
}

export function* nothing(): Call<void> {}

function* provision(p: Provisioner, key: string): Call<boolean> {
  const claim = p.claims.get(key);
  if (!claim || claim.spec.volumeName || claim.metadata.deletionTimestamp || claim.metadata.annotations?.[NOTE] !== p.driver) return false;
  const sc = good(yield* api(p.server, 'GET', `/apis/storage.k8s.io/v1/storageclasses/${claim.spec.storageClassName}`));
  if (!sc || sc.provisioner !== p.driver) return false;
  const node = claim.metadata.annotations[SELECTED];
  if (sc.volumeBindingMode === 'WaitForFirstConsumer' && !node) return false;
  const name = `pvc-${claim.metadata.uid}`;
  if (p.volumes.has(name)) return false;
  yield* tellEvent(p.server, claim, 'Normal', 'Provisioning', `External provisioner is provisioning volume for claim "${key}"`, p.component);
  let volume: Json;
  try {
    const modes = (claim.spec.accessModes ?? []) as string[];
    const fsType = sc.parameters?.['csi.storage.k8s.io/fstype'] ?? 'ext4';
    ({ volume } = yield* rpc(p.socket, 'Controller/CreateVolume', {
      name, capacity_range: { required_bytes: String(bytesOf(claim.spec.resources.requests.storage)) },
      volume_capabilities: modes.map((mode) => ({ access_mode: { mode: MODES[mode] ?? mode }, ...(claim.spec.volumeMode === 'Block' ? { block: {} } : { mount: { fs_type: fsType } }) })),
      parameters: Object.fromEntries(Object.entries((sc.parameters ?? {}) as Record<string, string>).filter(([k]) => !k.startsWith('csi.storage.k8s.io/'))),
    }));
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    yield* tellEvent(p.server, claim, 'Warning', 'ProvisioningFailed', `failed to provision volume with StorageClass "${sc.metadata.name}": ${error.message}`, p.component);
    if (error.code === 'ResourceExhausted' && node) {
      yield* api(p.server, 'PATCH', `/api/v1/namespaces/${claim.metadata.namespace}/persistentvolumeclaims/${claim.metadata.name}`, { metadata: { annotations: { [SELECTED]: null } } }, 'merge');
    }
    return true;
  }
  const made = yield* api(p.server, 'POST', '/api/v1/persistentvolumes', volumeObject(p, name, claim, sc, volume));
  if (!good(made) && made?.status !== 409) return true;
  yield* tellEvent(p.server, claim, 'Normal', 'ProvisioningSucceeded', `Successfully provisioned volume ${name}`, p.component);
  return false;
}

function volumeObject(p: Provisioner, name: string, claim: KubeObject, sc: Json, volume: Json): Json {
  const { metadata, spec } = claim;
  return {
    apiVersion: 'v1', kind: 'PersistentVolume',
    metadata: {
      name, finalizers: [FINALIZER],
      annotations: { 'pv.kubernetes.io/provisioned-by': p.driver, 'volume.kubernetes.io/provisioner-deletion-secret-name': '', 'volume.kubernetes.io/provisioner-deletion-secret-namespace': '' },
    },
    spec: {
      accessModes: spec.accessModes, capacity: { storage: quantityOf(Number(volume.capacity_bytes)) },
      claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', name: metadata.name, namespace: metadata.namespace, resourceVersion: metadata.resourceVersion, uid: metadata.uid },
      csi: { driver: p.driver, fsType: sc.parameters?.['csi.storage.k8s.io/fstype'] ?? 'ext4', volumeAttributes: { ...volume.volume_context, 'storage.kubernetes.io/csiProvisionerIdentity': p.identity }, volumeHandle: volume.volume_id },
      persistentVolumeReclaimPolicy: sc.reclaimPolicy ?? 'Delete', storageClassName: sc.metadata.name, volumeMode: spec.volumeMode ?? 'Filesystem', ...(sc.mountOptions?.length ? { mountOptions: sc.mountOptions } : {}),
    },
  };
}

function* remove(p: Provisioner, name: string): Call<boolean> {
  const volume = p.volumes.get(name);
  if (!volume || volume.metadata.annotations?.['pv.kubernetes.io/provisioned-by'] !== p.driver) return false;
  const { phase } = volume.status ?? {};
  if (volume.spec.persistentVolumeReclaimPolicy !== 'Delete' || (phase !== 'Released' && phase !== 'Failed')) return false;
  const fail = function* (message: string): Call<boolean> {
    yield* tellEvent(p.server, volume, 'Warning', 'VolumeFailedDelete', message, p.component);
    return true;
  };
  const attachments = good(yield* api(p.server, 'GET', '/apis/storage.k8s.io/v1/volumeattachments'))?.items as Json[] | undefined;
  const still = attachments?.find((a) => a.spec.source?.persistentVolumeName === name);
  if (still) return yield* fail(`persistentvolume ${name} is still attached to node ${still.spec.nodeName}`);
  try {
    yield* rpc(p.socket, 'Controller/DeleteVolume', { volume_id: volume.spec.csi?.volumeHandle ?? '' });
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    return yield* fail(error.message);
  }
  yield* api(p.server, 'DELETE', `/api/v1/persistentvolumes/${name}`);
  const now = good(yield* api(p.server, 'GET', `/api/v1/persistentvolumes/${name}`));
  if (now) yield* api(p.server, 'PATCH', `/api/v1/persistentvolumes/${name}`, { metadata: { finalizers: (now.metadata.finalizers ?? []).filter((f: string) => f !== FINALIZER) } }, 'merge');
  return false;
}

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40 };

/** Bytes of a quantity of storage. */
export function bytesOf(quantity: string | number): number {
  const m = /^([\d.]+)([kMGT]i?|Ki)?$/.exec(String(quantity));
  return m ? Math.ceil(Number(m[1]) * (UNITS[m[2] ?? ''] ?? 1)) : 0;
}

export function quantityOf(bytes: number): string {
  for (const unit of ['Ti', 'Gi', 'Mi', 'Ki']) if (bytes > 0 && bytes % UNITS[unit]! === 0) return `${bytes / UNITS[unit]!}${unit}`;
  return String(bytes);
}
