/**
 * csi-disk: the driver of the lab's block store. Its controller service makes, attaches, grows and deletes volumes there; its node
 * service makes file systems on the disks that appear, mounts them once a node and binds them into pods.
 * Source: container-storage-interface spec 1.11. Left out: snapshots, raw block volumes, topology, several writers.
 */
import type { Json } from '../../../cluster/types/objects.ts';
import { AT_FDCWD, AT_REMOVEDIR, MS_BIND, MS_RDONLY, MS_REMOUNT, O_RDONLY, O_RDWR, SysError } from '../../../kernel/abi.ts';
import { type Body, type SockAddr, sys } from '../../../kernel/sys.ts';
import { inodesOf, superBytes } from '../../../sim/ext4.ts';
import { attempt, exists, mkdirAll, tryRead } from '../../lib/files.ts';
import { type Call, request, writeAll } from '../../lib/http.ts';
import { parseJson } from '../api.ts';
import { probe, sizeOfDevice } from '../../util-linux/blocks.ts';
import { readMounts } from '../../util-linux/mounts.ts';
import { klog, type Methods, RpcError, serveRpc } from './rpc.ts';

export const DRIVER = 'disk.csi.nestbox.dev';
const VERSION = 'v1.0.0';
const GIB = 2 ** 30;
/** Volumes a node, as its store allows. */
const MOST = 8;
const EXT4_IOC_RESIZE_FS = 0x40086610;

interface Driver { store: SockAddr; node: string }

const CODES: Readonly<Record<number, ConstructorParameters<typeof RpcError>[0]>> = { 400: 'InvalidArgument', 404: 'NotFound', 409: 'FailedPrecondition', 429: 'ResourceExhausted', 507: 'ResourceExhausted' };

/** One call to the block store. */
function* store(d: Driver, method: string, path: string, body?: Json): Call<Json> {
  let answer: { status: number; body: string };
  try {
    answer = yield* request(d.store, { method, path, ...(body === undefined ? {} : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }) });
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new RpcError('Unavailable', `block store: ${error.message.toLowerCase()}`);
  }
  const parsed = parseJson(answer.body) as Json;
  if (answer.status >= 400) throw new RpcError(CODES[answer.status] ?? 'Internal', String(parsed?.error ?? answer.status));
  return parsed;
}

const WRITERS = new Set(['SINGLE_NODE_WRITER', 'SINGLE_NODE_SINGLE_WRITER', 'SINGLE_NODE_MULTI_WRITER', 'SINGLE_NODE_READER_ONLY']);

function check(capabilities: Json[]): void {
  for (const c of capabilities ?? []) {
    const mode = c.access_mode?.mode ?? '';
    if (!WRITERS.has(mode)) throw new RpcError('InvalidArgument', `Volume capabilities not supported: access mode ${mode}: a volume can be attached to one node at a time`);
    if (c.block) throw new RpcError('InvalidArgument', 'Volume capabilities not supported: raw block volumes');
    const type = c.mount?.fs_type;
    if (type && type !== 'ext4') throw new RpcError('InvalidArgument', `Volume capabilities not supported: file system ${type}`);
  }
}

const needed = (range: Json): number => Math.ceil(Number(range?.required_bytes ?? GIB) / 2 ** 20) * 2 ** 20;

function controllerMethods(d: Driver): Methods {
  return {
    * 'Controller/CreateVolume'(r) {
      if (!r.name) throw new RpcError('InvalidArgument', 'Volume name not provided');
      check(r.volume_capabilities);
      const made = yield* store(d, 'POST', '/volumes', { name: r.name, size: needed(r.capacity_range) });
      return { volume: { capacity_bytes: String(made.size), volume_id: made.id, volume_context: {} } };
    },
    * 'Controller/DeleteVolume'(r) {
      try {
        yield* store(d, 'DELETE', `/volumes/${r.volume_id}`);
      } catch (error) {
        if (!(error instanceof RpcError) || error.code !== 'NotFound') throw error;
      }
      return {};
    },
    * 'Controller/ControllerPublishVolume'(r) {
      const made = yield* store(d, 'POST', `/volumes/${r.volume_id}/attach`, { node: r.node_id });
      return { publish_context: { devicePath: made.device } };
    },
    * 'Controller/ControllerUnpublishVolume'(r) {
      yield* store(d, 'POST', `/volumes/${r.volume_id}/detach`, { node: r.node_id });
      return {};
    },
    * 'Controller/ControllerExpandVolume'(r) {
      const made = yield* store(d, 'POST', `/volumes/${r.volume_id}/resize`, { size: needed(r.capacity_range) });
      return { capacity_bytes: String(made.size), node_expansion_required: true };
    },
    // biome-ignore lint/correctness/useYield: the type of a method
    * 'Controller/ControllerGetCapabilities'() {
      return { capabilities: ['CREATE_DELETE_VOLUME', 'PUBLISH_UNPUBLISH_VOLUME', 'EXPAND_VOLUME', 'SINGLE_NODE_MULTI_WRITER'].map((type) => ({ rpc: { type } })) };
    },
  };
}

/** The device of a volume on this node: by its serial, when it is there. Waits up to 10 s. */
function* deviceOf(id: string): Call<string> {
  for (let i = 0; i < 20; i++) {
    for (const letter of 'bcdefghijklmnopqrstuvwxyz') {
      const serial = yield* tryRead(`/sys/block/vd${letter}/serial`);
      if (serial !== null && serial.trim() === id.slice(0, 20) && (yield* exists(`/dev/vd${letter}`))) return `/dev/vd${letter}`;
    }
    yield* sys('nanosleep', 500_000_000);
  }
  throw new RpcError('NotFound', `device for volume ${id} not found: /dev/disk/by-id/virtio-${id.slice(0, 20)} does not exist`);
}

/** mkfs -t ext4 -m0 */
function* format(device: string): Call<void> {
  yield* klog('mount_linux.go:577', `Disk "${device}" appears to be unformatted, attempting to format as type: "ext4" with options: [-F -m0 ${device}]`);
  const blocks = Math.floor(((yield* sizeOfDevice(device)) ?? 0) / 4096);
  const uuid = ((yield* tryRead('/proc/sys/kernel/random/uuid')) ?? '').trim();
  const fd = yield* sys('openat', AT_FDCWD, device, O_RDWR);
  yield* sys('lseek', fd, 1024, 0);
  yield* writeAll(fd, superBytes({ uuid, label: '', blocks, inodes: inodesOf(blocks) }, Math.floor((yield* sys('clock_gettime', 'realtime')) / 1e9)));
  yield* sys('close', fd);
  yield* klog('mount_linux.go:587', `Disk successfully formatted (mkfs): ext4 - ${device} `);
}

const isMount = function* (path: string): Call<boolean> {
  return (yield* readMounts()).some((m) => m.target === path);
};

function* unmountAll(path: string): Call<void> {
  while (yield* isMount(path)) yield* sys('umount2', path, 0);
  yield* attempt(sys('unlinkat', AT_FDCWD, path, AT_REMOVEDIR), 0);
}

/** The file system takes what its device has grown by. */
function* grow(device: string, path: string): Call<number> {
  const size = (yield* sizeOfDevice(device)) ?? 0;
  const found = yield* probe(device);
  const blocks = Math.floor(size / 4096);
  if (found && found.blocks < blocks) {
    const fd = yield* sys('openat', AT_FDCWD, path, O_RDONLY);
    yield* sys('ioctl', fd, EXT4_IOC_RESIZE_FS, blocks);
    yield* sys('close', fd);
  }
  return size;
}

function nodeMethods(d: Driver): Methods {
  return {
    // biome-ignore lint/correctness/useYield: the type of a method
    * 'Node/NodeGetInfo'() {
      return { node_id: d.node, max_volumes_per_node: String(MOST) };
    },
    // biome-ignore lint/correctness/useYield: the type of a method
    * 'Node/NodeGetCapabilities'() {
      return { capabilities: ['STAGE_UNSTAGE_VOLUME', 'EXPAND_VOLUME', 'GET_VOLUME_STATS', 'SINGLE_NODE_MULTI_WRITER'].map((type) => ({ rpc: { type } })) };
    },
    * 'Node/NodeStageVolume'(r) {
      check([r.volume_capability]);
      const target = String(r.staging_target_path);
      if (yield* isMount(target)) return {};
      const device = yield* deviceOf(String(r.volume_id));
      if (!(yield* probe(device))) yield* format(device);
      yield* mkdirAll(target);
      yield* sys('mount', device, target, 'ext4', 0, '');
      yield* grow(device, target);
      return {};
    },
    * 'Node/NodeUnstageVolume'(r) {
      yield* unmountAll(String(r.staging_target_path));
      return {};
    },
    * 'Node/NodePublishVolume'(r) {
      const target = String(r.target_path);
      if (yield* isMount(target)) return {};
      if (!(yield* isMount(String(r.staging_target_path)))) throw new RpcError('FailedPrecondition', `volume ${r.volume_id} is not staged at ${r.staging_target_path}`);
      yield* mkdirAll(target);
      yield* sys('mount', String(r.staging_target_path), target, '', MS_BIND, '');
      if (r.readonly) yield* sys('mount', '', target, '', MS_BIND | MS_REMOUNT | MS_RDONLY, '');
      return {};
    },
    * 'Node/NodeUnpublishVolume'(r) {
      yield* unmountAll(String(r.target_path));
      return {};
    },
    * 'Node/NodeExpandVolume'(r) {
      return { capacity_bytes: String(yield* grow(yield* deviceOf(String(r.volume_id)), String(r.volume_path))) };
    },
    * 'Node/NodeGetVolumeStats'(r) {
      const at = String(r.volume_path);
      if (!(yield* isMount(at))) throw new RpcError('NotFound', `volume not mounted at ${at}`);
      const s = yield* sys('statfs', at);
      const of = (n: number): string => String(n * s.bsize);
      return { usage: [{ unit: 'BYTES', total: of(s.blocks), available: of(s.bavail), used: of(s.blocks - s.bfree) }, { unit: 'INODES', total: String(s.files), available: String(s.ffree), used: String(s.files - s.ffree) }] };
    },
  };
}

const identity: Methods = {
  // biome-ignore lint/correctness/useYield: the type of a method
  * 'Identity/GetPluginInfo'() {
    return { name: DRIVER, vendor_version: VERSION };
  },
  // biome-ignore lint/correctness/useYield: the type of a method
  * 'Identity/GetPluginCapabilities'() {
    return { capabilities: [{ service: { type: 'CONTROLLER_SERVICE' } }, { volume_expansion: { type: 'ONLINE' } }] };
  },
  // biome-ignore lint/correctness/useYield: the type of a method
  * 'Identity/Probe'() {
    return { ready: true };
  },
};

/** csi-disk --endpoint=unix:///csi/csi.sock --mode=controller|node|all --node-id=NAME --store=ADDRESS:PORT */
export function* csiDisk(argv: readonly string[], env: Readonly<Record<string, string>>): Body {
  const flag = (name: string, otherwise: string): string => argv.find((a) => a.startsWith(`--${name}=`))?.slice(name.length + 3) ?? otherwise;
  const [address = '10.0.0.20', port = '7000'] = flag('store', '10.0.0.20:7000').split(':');
  const mode = flag('mode', 'all');
  const d: Driver = { store: { family: 'inet', address, port: Number(port) }, node: flag('node-id', env.NODE_NAME ?? (yield* sys('uname')).nodename) };
  yield* klog('main.go:71', `Driver: ${DRIVER} version: ${VERSION} mode: ${mode}`);
  return yield* serveRpc(flag('endpoint', 'unix:///csi/csi.sock').replace(/^unix:\/\//, ''), { ...identity, ...(mode === 'node' ? {} : controllerMethods(d)), ...(mode === 'controller' ? {} : nodeMethods(d)) });
}
