/**
 * A pod's claims on its node: hostPath and local volumes, and those of drivers: attached first, staged once a node, published into each
 * pod, grown when their volume has; taken back in reverse, before the pod is gone. Source: pkg/kubelet/volumemanager, pkg/volume/{csi,local}
 * and operation_generator.go 1.32.
 * Left out: raw block volumes.
 */
import { attachmentName, globalMount, uniqueName } from '../../../cluster/types/attachment.ts';
import type { Json, Pod } from '../../../cluster/types/objects.ts';
import { AT_FDCWD, AT_REMOVEDIR, MS_BIND, SysError } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { SECOND } from '../../../sim/units.ts';
import { attempt, mkdirAll, readJson, removeAll, statOf, writeFile } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { readMounts } from '../../util-linux/mounts.ts';
import { api } from '../api.ts';
import { rpc, RpcError } from '../csi/rpc.ts';
import { type Kubelet, say } from '../node.ts';
import { monotonic, rootOf, type Work } from '../pod/work.ts';

/** The kubelet gives a pod's volumes so long, then says what is missing: podAttachAndMountTimeout. */
const PATIENCE = 123 * SECOND;
const GROWTH = 10 * SECOND;

/** A volume of a driver on this node. */
export interface NodeVolume {
  driver: string;
  handle: string;
  staged: boolean;
  /** Pods that have it, by uid. */
  pods: Set<string>;
}

/** A claim of a pod, mounted. */
export interface Mounted {
  volume: string;
  path: string;
  /** How it is taken back. */
  kind: 'csi' | 'local' | 'hostPath';
  driver: string;
  handle: string;
}

/** Nothing wrong, but not there yet. */
export const WAITING = '';

/** Mounts the claims of a pod. null: all are there; WAITING; or what is wrong, in the kubelet's words. */
export function* setUpClaims(w: Work): Call<string | null> {
  const { pod } = w.held;
  const missing: string[] = [];
  for (const v of (pod.spec.volumes ?? []) as Json[]) {
    if (!v.persistentVolumeClaim || w.claims.has(v.name)) continue;
    const wrong = yield* setUp(w, v);
    if (wrong === WAITING) missing.push(v.name);
    else if (wrong !== null) return wrong;
  }
  if (missing.length === 0) {
    w.claimsSince = 0;
    return null;
  }
  const now = yield* monotonic();
  if (w.claimsSince === 0) w.claimsSince = now;
  if (now - w.claimsSince < PATIENCE) return WAITING;
  w.claimsSince = now;
  return `Unable to attach or mount volumes: unmounted volumes=[${missing.join(' ')}], unattached volumes=[${missing.join(' ')}], failed to process volumes=[]: context deadline exceeded`;
}

function* setUp(w: Work, v: Json): Call<string | null> {
  const { k, held: { pod } } = w;
  const name = v.persistentVolumeClaim.claimName as string;
  const claim = yield* api(k.server, 'GET', `/api/v1/namespaces/${pod.metadata.namespace}/persistentvolumeclaims/${name}`);
  if (claim?.status !== 200 || claim.body.status?.phase !== 'Bound') return WAITING;
  const volume = yield* api(k.server, 'GET', `/api/v1/persistentvolumes/${claim.body.spec.volumeName}`);
  if (volume?.status !== 200) return WAITING;
  const pv = volume.body as Json;
  if (pv.spec.hostPath) return yield* hostPath(w, v.name, pv);
  if (pv.spec.local) return yield* local(w, v.name, pv);
  return yield* driverVolume(w, v, pv);
}

function* hostPath(w: Work, name: string, pv: Json): Call<string | null> {
  const { path, type = '' } = pv.spec.hostPath;
  const stat = yield* statOf(path);
  if (type === 'Directory' && !stat) return `MountVolume.SetUp failed for volume "${pv.metadata.name}" : hostPath type check failed: ${path} is not a directory`;
  if (!stat) yield* attempt(mkdirAll(path), undefined);
  w.claims.set(name, { volume: pv.metadata.name, path, kind: 'hostPath', driver: '', handle: '' });
  return null;
}

function* local(w: Work, name: string, pv: Json): Call<string | null> {
  const { path } = pv.spec.local;
  if (!(yield* statOf(path))) return `MountVolume.NewMounter initialization failed for volume "${pv.metadata.name}" : path "${path}" does not exist`;
  const at = `${rootOf(w.held.pod)}/volumes/kubernetes.io~local-volume/${pv.metadata.name}`;
  yield* mkdirAll(at);
  yield* sys('mount', path, at, '', MS_BIND, '');
  yield* giveToGroup(w.held.pod, at);
  w.claims.set(name, { volume: pv.metadata.name, path: at, kind: 'local', driver: '', handle: '' });
  return null;
}

/** Volumes that this node says it uses: nobody takes them from it. */
function* tellInUse(k: Kubelet): Call<void> {
  yield* api(k.server, 'PATCH', `/api/v1/nodes/${k.node}/status`, { status: { volumesInUse: [...k.volumes.values()].map((one) => uniqueName(one.driver, one.handle)).sort() } }, 'merge');
}

/** What attaching left for the node; null while it is not attached. */
function* attachment(k: Kubelet, driver: string, handle: string): Call<Json | null> {
  const about = yield* api(k.server, 'GET', `/apis/storage.k8s.io/v1/csidrivers/${driver}`);
  if (about?.status === 200 && about.body.spec?.attachRequired === false) return {};
  const node = yield* api(k.server, 'GET', `/api/v1/nodes/${k.node}`);
  if (!((node?.body?.status?.volumesAttached ?? []) as Json[]).some((one) => one.name === uniqueName(driver, handle))) return null;
  const va = yield* api(k.server, 'GET', `/apis/storage.k8s.io/v1/volumeattachments/${attachmentName(driver, handle, k.node)}`);
  return va?.status === 200 && va.body.status?.attached ? (va.body.status.attachmentMetadata ?? {}) : null;
}

function* driverVolume(w: Work, v: Json, pv: Json): Call<string | null> {
  const { k, held: { pod } } = w;
  const { driver, volumeHandle: handle, fsType = '', volumeAttributes = {}, readOnly = false } = pv.spec.csi ?? {};
  const name = pv.metadata.name as string;
  if (!driver) return `MountVolume.SetUp failed for volume "${name}" : not modelled: volumes but hostPath, local and csi`;
  const fresh = !k.volumes.has(name);
  const held: NodeVolume = k.volumes.get(name) ?? { driver, handle, staged: false, pods: new Set() };
  k.volumes.set(name, held);
  held.pods.add(pod.metadata.uid!);
  if (fresh) yield* tellInUse(k);
  const context = yield* attachment(k, driver, handle);
  if (context === null) return WAITING;
  const socket = k.drivers.get(driver);
  const failed = (step: string, why: string): string => `MountVolume.${step} failed for volume "${name}" : ${why}`;
  if (!socket) return failed('MountDevice', `kubernetes.io/csi: attacher.MountDevice failed to create newCsiDriverClient: driver name ${driver} not found in the list of registered CSI drivers`);
  const staging = globalMount(driver, handle);
  const capability = { access_mode: { mode: (pv.spec.accessModes ?? []).includes('ReadWriteOncePod') ? 'SINGLE_NODE_SINGLE_WRITER' : (pv.spec.accessModes ?? []).includes('ReadWriteOnce') ? 'SINGLE_NODE_MULTI_WRITER' : 'MULTI_NODE_MULTI_WRITER' }, mount: { fs_type: fsType, mount_flags: pv.spec.mountOptions ?? [] } };
  let step = 'MountDevice';
  try {
    if (!held.staged) {
      yield* mkdirAll(staging.slice(0, -'/globalmount'.length));
      yield* writeFile(`${staging.slice(0, -'/globalmount'.length)}/vol_data.json`, JSON.stringify({ driverName: driver, volumeHandle: handle }));
      yield* rpc(socket, 'Node/NodeStageVolume', { volume_id: handle, publish_context: context, staging_target_path: staging, volume_capability: capability, volume_context: volumeAttributes });
      held.staged = true;
    }
    step = 'SetUp';
    const base = `${rootOf(pod)}/volumes/kubernetes.io~csi/${name}`;
    yield* mkdirAll(base);
    yield* writeFile(`${base}/vol_data.json`, JSON.stringify({ attachmentID: attachmentName(driver, handle, k.node), driverName: driver, nodeName: k.node, specVolID: name, volumeHandle: handle, volumeLifecycleMode: 'Persistent' }));
    const readonly = readOnly || v.persistentVolumeClaim.readOnly === true;
    yield* rpc(socket, 'Node/NodePublishVolume', { volume_id: handle, publish_context: context, staging_target_path: staging, target_path: `${base}/mount`, volume_capability: capability, readonly, volume_context: volumeAttributes });
    if (!readonly) yield* giveToGroup(pod, `${base}/mount`);
    w.claims.set(v.name, { volume: name, path: `${base}/mount`, kind: 'csi', driver, handle });
    return null;
  } catch (error) {
    if (error instanceof RpcError || error instanceof SysError) return failed(step, error.message);
    throw error;
  }
}

/** fsGroup: the volume belongs to the pod's group. */
function* giveToGroup(pod: Pod, at: string): Call<void> {
  const gid = pod.spec.securityContext?.fsGroup;
  if (gid === undefined || gid === null) return;
  yield* attempt(sys('fchownat', AT_FDCWD, at, 0, gid, 0), 0);
  yield* attempt(sys('fchmodat', AT_FDCWD, at, 0o2775), 0);
}

/** What a kubelet that was started again finds mounted for a pod: by the mounts, and what was written down beside them. */
export function* reconstruct(w: Work): Call<void> {
  const { k, held: { pod } } = w;
  const claims = ((pod.spec.volumes ?? []) as Json[]).filter((v) => v.persistentVolumeClaim && !w.claims.has(v.name));
  if (claims.length === 0) return;
  const base = `${rootOf(pod)}/volumes/kubernetes.io~`;
  const found = (yield* readMounts()).map((m) => m.target).filter((target) => target.startsWith(base));
  const names = new Map<string, string>();
  if (found.length > 0) {
    for (const v of claims) {
      const claim = yield* api(k.server, 'GET', `/api/v1/namespaces/${pod.metadata.namespace}/persistentvolumeclaims/${v.persistentVolumeClaim.claimName}`);
      if (claim?.status === 200) names.set(String(claim.body.spec.volumeName), v.name);
    }
  }
  for (const path of found) {
    const [, kind, volume] = /^(csi|local-volume)\/([^/]+)/.exec(path.slice(base.length)) ?? [];
    if (!volume || [...w.claims.values()].some((one) => one.path === path)) continue;
    const written = kind === 'csi' ? yield* readJson<{ driverName: string; volumeHandle: string }>(`${base}csi/${volume}/vol_data.json`) : null;
    if (kind === 'csi' && !written) continue;
    const [driver, handle] = [written?.driverName ?? '', written?.volumeHandle ?? ''];
    w.claims.set(names.get(volume) ?? volume, { volume, path, kind: kind === 'csi' ? 'csi' : 'local', driver, handle });
    if (kind !== 'csi') continue;
    const one: NodeVolume = k.volumes.get(volume) ?? { driver, handle, staged: true, pods: new Set() };
    one.pods.add(pod.metadata.uid!);
    k.volumes.set(volume, one);
    yield* tellInUse(k);
  }
}

/** Unmounts a pod's claims; tries for as long as it takes, for what is mounted is not to be removed. */
export function* tearDownClaims(w: Work): Call<void> {
  const { k, held: { pod } } = w;
  yield* reconstruct(w);
  for (;;) {
    let wrong = '';
    for (const [name, one] of [...w.claims]) {
      const why = yield* takeBack(k, pod, one);
      if (why === null) w.claims.delete(name);
      else wrong ||= why;
    }
    if (wrong === '') break;
    yield* say(k, pod, 'Warning', 'FailedUnMount', wrong);
    yield* sys('nanosleep', 2 * SECOND);
  }
  for (const [name, one] of [...k.volumes]) if (one.pods.delete(pod.metadata.uid!) && one.pods.size === 0) yield* unstage(k, name, one);
}

function* takeBack(k: Kubelet, pod: Pod, one: Mounted): Call<string | null> {
  if (one.kind === 'hostPath') return null;
  try {
    if (one.kind === 'local') {
      yield* sys('umount2', one.path, 0);
      yield* attempt(sys('unlinkat', AT_FDCWD, one.path, AT_REMOVEDIR), 0);
      return null;
    }
    const socket = k.drivers.get(one.driver);
    if (!socket) return `UnmountVolume.TearDown failed for volume "${one.volume}" : driver name ${one.driver} not found in the list of registered CSI drivers`;
    yield* rpc(socket, 'Node/NodeUnpublishVolume', { volume_id: one.handle, target_path: one.path });
    yield* removeAll(`${rootOf(pod)}/volumes/kubernetes.io~csi/${one.volume}`);
    return null;
  } catch (error) {
    if (error instanceof RpcError || error instanceof SysError) return `UnmountVolume.TearDown failed for volume "${one.volume}" : ${error.message}`;
    throw error;
  }
}

/** The last pod is gone: the node lets go of the volume. */
function* unstage(k: Kubelet, name: string, one: NodeVolume): Call<void> {
  const staging = globalMount(one.driver, one.handle);
  for (;;) {
    if (one.pods.size > 0) return;
    const socket = k.drivers.get(one.driver);
    try {
      if (socket && one.staged) yield* rpc(socket, 'Node/NodeUnstageVolume', { volume_id: one.handle, staging_target_path: staging });
      if (socket || !one.staged) break;
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
    }
    yield* sys('nanosleep', 2 * SECOND);
  }
  yield* removeAll(staging.slice(0, -'/globalmount'.length));
  if (one.pods.size > 0) {
    one.staged = false;
    return;
  }
  k.volumes.delete(name);
  yield* tellInUse(k);
}

/** Claims whose volume has grown: the node grows the file system, and the claim says what it has. */
export function* growClaims(w: Work): Call<void> {
  const now = yield* monotonic();
  if (now - w.grownAt < GROWTH) return;
  w.grownAt = now;
  const { k, held: { pod } } = w;
  for (const [name, one] of w.claims) {
    const socket = one.kind === 'csi' ? k.drivers.get(one.driver) : undefined;
    const claimName = ((pod.spec.volumes ?? []) as Json[]).find((v) => v.name === name)?.persistentVolumeClaim?.claimName;
    if (!socket || !claimName) continue;
    const path = `/api/v1/namespaces/${pod.metadata.namespace}/persistentvolumeclaims/${claimName}`;
    const claim = (yield* api(k.server, 'GET', path))?.body as Json;
    if (!claim?.status?.conditions?.some((c: Json) => c.type === 'FileSystemResizePending')) continue;
    const pv = (yield* api(k.server, 'GET', `/api/v1/persistentvolumes/${one.volume}`))?.body as Json;
    try {
      yield* rpc(socket, 'Node/NodeExpandVolume', { volume_id: one.handle, volume_path: one.path, staging_target_path: globalMount(one.driver, one.handle) });
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      yield* say(k, pod, 'Warning', 'VolumeResizeFailed', `NodeExpandVolume.NodeExpandVolume failed for volume "${one.volume}" : ${error.message}`);
      continue;
    }
    yield* api(k.server, 'PATCH', `${path}/status`, { status: { capacity: { storage: pv.spec.capacity.storage }, conditions: null } }, 'merge');
    for (const about of [pod, claim]) yield* say(k, about, 'Normal', 'FileSystemResizeSuccessful', `MountVolume.NodeExpandVolume succeeded for volume "${one.volume}" ${k.node}`);
  }
}
