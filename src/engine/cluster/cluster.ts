/**
 * A control plane: API and store, scheduler, controllers, joined on one timeline. Its events are data: kind `cluster.*`,
 * who = its name. It knows no kernel: kubelets reach it through `server.ts`, hollow nodes through `api.ts`.
 */
import { forkRandom } from '../sim/random.ts';
import { after, handle, type Handler, schedule, type Timeline } from '../sim/timeline.ts';
import type { Trace } from '../sim/trace.ts';
import { EPOCH_SECONDS, SECOND } from '../sim/units.ts';
import { create } from './api.ts';
import { NO_CUSTOMS, readCustoms } from './custom/kinds.ts';
import { resyncClaims } from './controllers/claims.ts';
import { arrive, CONTROLLERS, enqueue, syncAll } from './controllers/controllers.ts';
import { expireEvents } from './controllers/events.ts';
import type { Later } from './controllers/later.ts';
import { collectPods } from './controllers/podgc.ts';
import { monitorNodes } from './controllers/nodes.ts';
import { syncDeployment } from './controllers/deployment.ts';
import { TICK } from './controllers/timers.ts';
import { DEFAULT_BINDINGS, DEFAULT_ROLES } from './rbac.ts';
import { DEFAULT } from './scheduler/profiles.ts';
import { bindTimeout, createScheduler, cycle, observe, readmit } from './scheduler/queue.ts';
import type { Cluster } from './state.ts';
import { createStore, list } from './store.ts';
import { kindNamed } from './types/kinds.ts';
import { keyOf } from './types/objects.ts';

export type { Cluster } from './state.ts';

export interface ClusterOptions {
  name: string;
  timeline: Timeline;
  trace: Trace;
  seed: number;
  serverVersion?: string;
}

export function createCluster({ name, timeline, trace, seed, serverVersion = 'v1.32.4' }: ClusterOptions): Cluster {
  const cluster: Cluster = {
    name, timeline, trace, random: forkRandom(seed, name), store: createStore(timeline), scheduler: createScheduler(DEFAULT),
    work: new Map(CONTROLLERS.map((c) => [c.name, new Set<string>()])), due: new Set(), synced: new Map(), causes: new Map(), cause: undefined, serverVersion,
    held: null, since: 0, hollow: new Map(), nextSubnet: 1, moment: { at: '', conditions: new Map() }, subnets: new Map(), oldestEvent: Number.POSITIVE_INFINITY, eventNames: new Map(), series: new Map(), similar: new Map(), spam: new Map(), metrics: new Map(), tainted: new Map(), scalers: new Map(),
    raced: [], customs: NO_CUSTOMS,
  };
  // Without power nothing is decided; what was due is done when it is back.
  const on = (kind: string, act: Handler): void => handle(timeline, kind, (event) => (cluster.held ? void cluster.held.push(event) : act(event)));
  on('cluster.sync', (event) => syncAll(cluster, event.arg as string));
  on('cluster.later', (event) => arrive(cluster, event.arg as Later));
  on('cluster.schedule', () => cycle(cluster));
  on('cluster.retry', (event) => readmit(cluster, event.arg as Parameters<typeof readmit>[1]));
  on('cluster.bindtimeout', (event) => bindTimeout(cluster, event.arg as { key: string; uid: string }));
  on('cluster.flush', (event) => flush(cluster, event.arg as { key: string; attempts: number }));
  on('cluster.tick', () => tick(cluster));
  cluster.store.listeners.add((change) => {
    if (change.kind === 'CustomResourceDefinition') cluster.customs = readCustoms(cluster);
    observe(cluster, change);
    enqueue(cluster, change);
  });
  furnish(cluster);
  after(timeline, TICK, { kind: 'cluster.tick', who: name });
  return cluster;
}

/** The control plane's machine loses its power, or has it again: then its controllers look at nodes as if for the first time. */
export function setPower(cluster: Cluster, on: boolean): void {
  if (!on) cluster.held ??= [];
  else if (cluster.held) {
    const { held } = cluster;
    cluster.held = null;
    cluster.since = EPOCH_SECONDS + cluster.timeline.now / SECOND;
    for (const event of held) schedule(cluster.timeline, cluster.timeline.now, event);
  }
}

/** What every new cluster has. */
function furnish(cluster: Cluster): void {
  for (const name of ['default', 'kube-node-lease', 'kube-public', 'kube-system']) create(cluster, kindNamed('Namespace'), undefined, { metadata: { name } });
  for (const { name, rules } of DEFAULT_ROLES) create(cluster, kindNamed('ClusterRole'), undefined, { metadata: { name, labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults' } }, rules });
  for (const [name, role, group] of DEFAULT_BINDINGS) {
    create(cluster, kindNamed('ClusterRoleBinding'), undefined, { metadata: { name }, roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role }, subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: group }] });
  }
  for (const [name, value, description] of SYSTEM_CLASSES) create(cluster, kindNamed('PriorityClass'), undefined, { metadata: { name }, value, description });
  create(cluster, kindNamed('Service'), 'default', {
    metadata: { name: 'kubernetes', labels: { component: 'apiserver', provider: 'kubernetes' } },
    spec: { clusterIP: '10.96.0.1', ports: [{ name: 'https', port: 443, protocol: 'TCP', targetPort: 6443 }], type: 'ClusterIP' },
  });
  create(cluster, kindNamed('Endpoints'), 'default', {
    metadata: { name: 'kubernetes', labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } },
    subsets: [{ addresses: [{ ip: '10.0.0.10' }], ports: [{ name: 'https', port: 6443, protocol: 'TCP' }] }],
  });
  create(cluster, kindNamed('EndpointSlice'), 'default', {
    metadata: { name: 'kubernetes', labels: { 'kubernetes.io/service-name': 'kubernetes' } }, addressType: 'IPv4', endpoints: [{ addresses: ['10.0.0.10'], conditions: { ready: true } }], ports: [{ name: 'https', port: 6443, protocol: 'TCP' }],
  });
}

/** The two classes that every cluster has. Source: pkg/apis/scheduling/v1/helpers.go. */
const SYSTEM_CLASSES = [
  ['system-node-critical', 2_000_001_000, 'Used for system critical pods that must not be moved from their current node.'],
  ['system-cluster-critical', 2_000_000_000, 'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.'],
] as const;

function tick(cluster: Cluster): void {
  monitorNodes(cluster);
  const now = EPOCH_SECONDS + cluster.timeline.now / SECOND;
  if (Math.floor(now) % 60 < 5) expireEvents(cluster, now);
  if (Math.floor(now) % 15 < 5) resyncClaims(cluster);
  if (Math.floor(now) % 20 < 5) collectPods(cluster);
  for (const d of list(cluster.store, 'Deployment')) {
    if (d.status?.conditions?.some((c: { type: string; reason: string }) => c.type === 'Progressing' && c.reason === 'ReplicaSetUpdated')) syncDeployment(cluster, keyOf(d.metadata));
  }
  after(cluster.timeline, TICK, { kind: 'cluster.tick', who: cluster.name });
}

/** A pod that waited five minutes without any change is tried again. */
function flush(cluster: Cluster, { key, attempts }: { key: string; attempts: number }): void {
  const entry = cluster.scheduler.waiting.get(key);
  if (!entry || entry.attempts !== attempts) return;
  cluster.scheduler.waiting.delete(key);
  readmit(cluster, entry);
}
