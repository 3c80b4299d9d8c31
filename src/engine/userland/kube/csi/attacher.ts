/**
 * csi-attacher: VolumeAttachments of its driver become calls to attach and detach, and say what came of it.
 * Source: kubernetes-csi/external-attacher 4.7. Left out: secrets, leader election.
 */
import type { Json, KubeObject } from '../../../cluster/types/objects.ts';
import { rfc3339 } from '../../../cluster/types/time.ts';
import { type Body, type SockAddr, sys } from '../../../kernel/sys.ts';
import type { Call } from '../../lib/http.ts';
import { api } from '../api.ts';
import { createQueue, drainQueue, enqueue, good, inCluster, keep } from './informer.ts';
import { driverName, nothing, socketOf } from './provisioner.ts';
import { klog, rpc, RpcError } from './rpc.ts';

interface Attacher {
  server: SockAddr;
  socket: string;
  driver: string;
  finalizer: string;
  attachments: Map<string, KubeObject>;
  volumes: Map<string, KubeObject>;
}

const VA = '/apis/storage.k8s.io/v1/volumeattachments';
const PV = '/api/v1/persistentvolumes';

export function* csiAttacher(argv: readonly string[], env: Readonly<Record<string, string>>): Body {
  const socket = socketOf(argv);
  yield* klog('main.go:111', 'Version: v4.7.0');
  const driver = yield* driverName(socket);
  yield* klog('main.go:168', `CSI driver name ${driver}`);
  const a: Attacher = { server: inCluster(env), socket, driver, finalizer: `external-attacher/${driver.replace(/\./g, '-')}`, attachments: new Map(), volumes: new Map() };
  const queue = yield* createQueue();
  a.attachments = yield* keep(a.server, VA, (o, gone) => (gone ? enqueue(queue, `pv ${o.spec.source?.persistentVolumeName}`) : enqueue(queue, `va ${o.metadata.name}`)));
  a.volumes = yield* keep(a.server, PV, (o, gone) => (gone ? nothing() : enqueue(queue, `pv ${o.metadata.name}`)));
  return yield* drainQueue(queue, (key) => (key.startsWith('va ') ? sync(a, key.slice(3)) : release(a, key.slice(3))));
}

function* sync(a: Attacher, name: string): Call<boolean> {
  const va = a.attachments.get(name);
  if (!va || va.spec.attacher !== a.driver) return false;
  if (va.metadata.deletionTimestamp) return yield* detach(a, va);
  return va.status?.attached ? false : yield* attach(a, va);
}

const withFinalizer = (o: Json, finalizer: string): string[] => [...new Set([...(o.metadata.finalizers ?? []), finalizer])];

/** Node and volume as the driver knows them. */
function* named(a: Attacher, va: KubeObject): Call<{ volume: Json; node: string } | string> {
  const volume = good(yield* api(a.server, 'GET', `${PV}/${va.spec.source?.persistentVolumeName}`));
  if (!volume?.spec.csi) return `failed to find PersistentVolume "${va.spec.source?.persistentVolumeName}"`;
  const csiNode = good(yield* api(a.server, 'GET', `/apis/storage.k8s.io/v1/csinodes/${va.spec.nodeName}`));
  const node = (csiNode?.spec?.drivers ?? []).find((d: Json) => d.name === a.driver)?.nodeID;
  return node ? { volume, node } : `CSINode ${va.spec.nodeName} does not contain driver ${a.driver}`;
}

function* report(a: Attacher, va: KubeObject, field: 'attachError' | 'detachError', message: string): Call<boolean> {
  yield* klog('csi_handler.go:234', `Error processing "${va.metadata.name}": failed to ${field === 'attachError' ? 'attach' : 'detach'}: ${message}`, 'I');
  const time = rfc3339((yield* sys('clock_gettime', 'realtime')) / 1e9);
  yield* api(a.server, 'PATCH', `${VA}/${va.metadata.name}/status`, { status: { attached: va.status?.attached ?? false, [field]: { message, time } } }, 'merge');
  return true;
}

function* attach(a: Attacher, va: KubeObject): Call<boolean> {
  const found = yield* named(a, va);
  if (typeof found === 'string') return yield* report(a, va, 'attachError', found);
  const { volume, node } = found;
  if (!volume.metadata.finalizers?.includes(a.finalizer)) yield* api(a.server, 'PATCH', `${PV}/${volume.metadata.name}`, { metadata: { finalizers: withFinalizer(volume, a.finalizer) } }, 'merge');
  if (!va.metadata.finalizers?.includes(a.finalizer)) yield* api(a.server, 'PATCH', `${VA}/${va.metadata.name}`, { metadata: { finalizers: withFinalizer(va, a.finalizer) } }, 'merge');
  try {
    const { publish_context: attachmentMetadata } = yield* rpc(a.socket, 'Controller/ControllerPublishVolume', {
      volume_id: volume.spec.csi.volumeHandle, node_id: node, readonly: false, volume_capability: { access_mode: { mode: 'SINGLE_NODE_MULTI_WRITER' }, mount: { fs_type: volume.spec.csi.fsType ?? '' } }, volume_context: volume.spec.csi.volumeAttributes ?? {},
    });
    yield* api(a.server, 'PATCH', `${VA}/${va.metadata.name}/status`, { status: { attached: true, attachmentMetadata, attachError: null } }, 'merge');
    const known = a.attachments.get(va.metadata.name);
    if (known) a.attachments.set(va.metadata.name, { ...known, status: { ...known.status, attached: true } });
    return false;
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    return yield* report(a, va, 'attachError', error.message);
  }
}

function* detach(a: Attacher, va: KubeObject): Call<boolean> {
  if (!va.metadata.finalizers?.includes(a.finalizer)) return false;
  const volume = good(yield* api(a.server, 'GET', `${PV}/${va.spec.source?.persistentVolumeName}`));
  try {
    if (volume?.spec.csi) yield* rpc(a.socket, 'Controller/ControllerUnpublishVolume', { volume_id: volume.spec.csi.volumeHandle, node_id: va.spec.nodeName });
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    return yield* report(a, va, 'detachError', error.message);
  }
  yield* api(a.server, 'PATCH', `${VA}/${va.metadata.name}`, { metadata: { finalizers: va.metadata.finalizers.filter((f) => f !== a.finalizer) } }, 'merge');
  return false;
}

/** A volume that is to go, and is attached nowhere, is held no longer. */
function* release(a: Attacher, name: string): Call<boolean> {
  const volume = a.volumes.get(name);
  if (!volume?.metadata.deletionTimestamp || !volume.metadata.finalizers?.includes(a.finalizer)) return false;
  if ([...a.attachments.values()].some((va) => va.spec.source?.persistentVolumeName === name)) return false;
  yield* api(a.server, 'PATCH', `${PV}/${name}`, { metadata: { finalizers: volume.metadata.finalizers.filter((f) => f !== a.finalizer) } }, 'merge');
  return false;
}
