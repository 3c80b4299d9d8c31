/**
 * csi-resizer: claims that ask for more than they have: the volume grows, then the node that has it mounted grows its file system.
 * Source: kubernetes-csi/external-resizer 1.12. Left out: recovery from failed expansion, attribute classes, leader election.
 */
import type { Json, KubeObject } from '../../../cluster/types/objects.ts';
import { rfc3339 } from '../../../cluster/types/time.ts';
import { type Body, type SockAddr, sys } from '../../../kernel/sys.ts';
import type { Call } from '../../lib/http.ts';
import { api } from '../api.ts';
import { createQueue, drainQueue, enqueue, good, inCluster, keep, tellEvent } from './informer.ts';
import { bytesOf, driverName, nothing, quantityOf, socketOf } from './provisioner.ts';
import { klog, rpc, RpcError } from './rpc.ts';

interface Resizer { server: SockAddr; socket: string; driver: string; claims: Map<string, KubeObject> }

export function* csiResizer(argv: readonly string[], env: Readonly<Record<string, string>>): Body {
  const socket = socketOf(argv);
  yield* klog('main.go:108', 'Version : v1.12.0');
  const driver = yield* driverName(socket);
  yield* klog('main.go:166', `CSI driver name ${driver}`);
  const r: Resizer = { server: inCluster(env), socket, driver, claims: new Map() };
  const queue = yield* createQueue();
  r.claims = yield* keep(r.server, '/api/v1/persistentvolumeclaims', (o, gone) => (gone ? nothing() : enqueue(queue, `${o.metadata.namespace}/${o.metadata.name}`)));
  return yield* drainQueue(queue, (key) => sync(r, key));
}

const condition = (type: string, now: string, message = ''): Json => ({ lastProbeTime: null, lastTransitionTime: now, ...(message ? { message } : {}), status: 'True', type });

function* sync(r: Resizer, key: string): Call<boolean> {
  const claim = r.claims.get(key);
  if (claim?.status?.phase !== 'Bound') return false;
  const wanted = bytesOf(claim.spec.resources?.requests?.storage ?? 0);
  if (wanted <= bytesOf(claim.status.capacity?.storage ?? 0)) return false;
  const volume = good(yield* api(r.server, 'GET', `/api/v1/persistentvolumes/${claim.spec.volumeName}`));
  if (volume?.spec.csi?.driver !== r.driver || bytesOf(volume.spec.capacity.storage) >= wanted) return false;
  const path = `/api/v1/namespaces/${claim.metadata.namespace}/persistentvolumeclaims/${claim.metadata.name}/status`;
  const stamp = function* (): Call<string> {
    return rfc3339((yield* sys('clock_gettime', 'realtime')) / 1e9);
  };
  const component = `external-resizer ${r.driver}`;
  yield* api(r.server, 'PATCH', path, { status: { conditions: [condition('Resizing', yield* stamp())] } }, 'merge');
  yield* tellEvent(r.server, claim, 'Normal', 'Resizing', `External resizer is resizing volume ${volume.metadata.name}`, component);
  try {
    const grown = yield* rpc(r.socket, 'Controller/ControllerExpandVolume', { volume_id: volume.spec.csi.volumeHandle, capacity_range: { required_bytes: String(wanted) } });
    yield* api(r.server, 'PATCH', `/api/v1/persistentvolumes/${volume.metadata.name}`, { spec: { capacity: { storage: quantityOf(Number(grown.capacity_bytes)) } } }, 'merge');
    if (grown.node_expansion_required) {
      yield* api(r.server, 'PATCH', path, { status: { conditions: [condition('FileSystemResizePending', yield* stamp(), 'Waiting for user to (re-)start a pod to finish file system resize of volume on node.')] } }, 'merge');
      yield* tellEvent(r.server, claim, 'Normal', 'FileSystemResizeRequired', 'Require file system resize of volume on node', component);
    } else yield* api(r.server, 'PATCH', path, { status: { capacity: { storage: quantityOf(Number(grown.capacity_bytes)) }, conditions: null } }, 'merge');
    return false;
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    yield* tellEvent(r.server, claim, 'Warning', 'VolumeResizeFailed', `resize volume "${volume.metadata.name}" by resizer "${r.driver}" failed: ${error.message}`, component);
    return true;
  }
}
