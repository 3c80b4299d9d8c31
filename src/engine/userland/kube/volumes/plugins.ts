/**
 * The kubelet's plugin watcher: drivers announce themselves by a socket in plugins_registry; the kubelet asks them who they are and
 * writes that to its CSINode. Source: pkg/kubelet/pluginmanager, pkg/volume/csi/nodeinfomanager 1.32.
 */
import type { Json } from '../../../cluster/types/objects.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { SECOND } from '../../../sim/units.ts';
import { attempt, list, mkdirAll } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { api } from '../api.ts';
import { rpc, RpcError } from '../csi/rpc.ts';
import type { Kubelet } from '../node.ts';

const REGISTRY = '/var/lib/kubelet/plugins_registry';
const CSI_NODES = '/apis/storage.k8s.io/v1/csinodes';

export function* watchPlugins(k: Kubelet): Body {
  yield* attempt(mkdirAll(REGISTRY), undefined);
  yield* attempt(mkdirAll('/var/lib/kubelet/plugins'), undefined);
  yield* writeNode(k, {});
  const known = new Map<string, string>();
  for (;;) {
    const sockets = (yield* list(REGISTRY)).map((e) => e.name).filter((name) => name.endsWith('.sock'));
    for (const socket of sockets) {
      if (known.has(socket)) continue;
      const driver = yield* register(k, `${REGISTRY}/${socket}`);
      if (driver) known.set(socket, driver);
    }
    for (const [socket, driver] of known) {
      if (sockets.includes(socket)) continue;
      known.delete(socket);
      k.drivers.delete(driver);
      yield* writeNode(k, { remove: driver });
    }
    yield* sys('nanosleep', 2 * SECOND);
  }
}

function* register(k: Kubelet, socket: string): Call<string | null> {
  try {
    const info = yield* rpc(socket, 'Registration/GetInfo');
    if (info.type !== 'CSIPlugin') return null;
    const node = yield* rpc(String(info.endpoint), 'Node/NodeGetInfo');
    const segments = (node.accessible_topology?.segments ?? {}) as Record<string, string>;
    const most = Number(node.max_volumes_per_node ?? 0);
    yield* writeNode(k, { add: { name: info.name, nodeID: node.node_id, topologyKeys: Object.keys(segments).length > 0 ? Object.keys(segments) : null, ...(most > 0 ? { allocatable: { count: most } } : {}) } });
    if (Object.keys(segments).length > 0) yield* api(k.server, 'PATCH', `/api/v1/nodes/${k.node}`, { metadata: { labels: segments } }, 'merge');
    k.drivers.set(String(info.name), String(info.endpoint));
    yield* annotate(k, String(info.name), String(node.node_id));
    yield* rpc(socket, 'Registration/NotifyRegistrationStatus', { plugin_registered: true });
    return String(info.name);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    return null;
  }
}

const NODE_ID = 'csi.volume.kubernetes.io/nodeid';

function* annotate(k: Kubelet, driver: string, id: string): Call<void> {
  const node = yield* api(k.server, 'GET', `/api/v1/nodes/${k.node}`);
  if (node?.status !== 200) return;
  let now: Record<string, string> = {};
  try {
    now = JSON.parse(node.body.metadata.annotations?.[NODE_ID] ?? '{}');
  } catch {
    now = {};
  }
  yield* api(k.server, 'PATCH', `/api/v1/nodes/${k.node}`, { metadata: { annotations: { [NODE_ID]: JSON.stringify({ ...now, [driver]: id }) } } }, 'merge');
}

/** Makes the node's CSINode, adds a driver to it or takes one away. */
function* writeNode(k: Kubelet, change: { add?: Json; remove?: string }): Call<void> {
  for (let i = 0; i < 5; i++) {
    const there = yield* api(k.server, 'GET', `${CSI_NODES}/${k.node}`);
    if (!there) return;
    if (there.status === 404) {
      const node = yield* api(k.server, 'GET', `/api/v1/nodes/${k.node}`);
      const uid = node?.status === 200 ? node.body.metadata.uid : undefined;
      yield* api(k.server, 'POST', CSI_NODES, {
        apiVersion: 'storage.k8s.io/v1', kind: 'CSINode', metadata: { name: k.node, ...(uid ? { ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: k.node, uid }] } : {}) }, spec: { drivers: change.add ? [change.add] : [] },
      });
      return;
    }
    const gone = change.remove ?? change.add?.name;
    if (there.status >= 400 || gone === undefined) return;
    const drivers = [...(there.body.spec?.drivers ?? []).filter((d: Json) => d.name !== gone), ...(change.add ? [change.add] : [])];
    const put = yield* api(k.server, 'PATCH', `${CSI_NODES}/${k.node}`, { spec: { drivers } }, 'merge');
    if (put && put.status < 400) return;
  }
}
