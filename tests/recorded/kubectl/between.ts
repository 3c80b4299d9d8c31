/**
 * What the recording's driver did between the lines that were kept, as those tell: nodes that register and become ready, jobs,
 * Services, a namespace, 24 pods with statuses of every kind (their recorded JSON is the input), and how long it took.
 */
import { create, mutate, remove } from '../../../src/engine/cluster/api.ts';
import type { Cluster } from '../../../src/engine/cluster/cluster.ts';
import { setCondition } from '../../../src/engine/cluster/scheduler/queue.ts';
import { get, list, microStamp, put, stamp } from '../../../src/engine/cluster/store.ts';
import { kindNamed } from '../../../src/engine/cluster/types/kinds.ts';
import type { Json, KubeObject, Node, Pod } from '../../../src/engine/cluster/types/objects.ts';
import { handle } from '../../../src/engine/cluster/server.ts';
import { advance, type World } from '../../../src/engine/world/world.ts';
import type { Recorded } from '../transcripts.ts';

const clusterOf = (world: World): Cluster => world.cluster!;

function ready(cluster: Cluster, name: string, yes: boolean): void {
  mutate<Node>(cluster, 'Node', name, (n) => {
    const now = stamp(cluster.timeline);
    for (const c of n.status.conditions ?? []) {
      if (c.type === 'Ready') Object.assign(c, yes ? { status: 'True', reason: 'KubeletReady', message: 'kubelet is posting ready status' } : { status: 'False', reason: 'KubeletNotReady', message: 'CSINode is not yet initialized' }, { lastTransitionTime: now });
    }
  }, 'status');
}

/** The node has registered again since its event was written; its lease is not there yet. */
function registeredAgain(cluster: Cluster): void {
  for (const event of list(cluster.store, 'Event')) {
    if (event.reason === 'RegisteredNode') put(cluster.store, { ...event, metadata: { ...event.metadata }, involvedObject: { ...event.involvedObject, uid: 'before' } });
  }
}

function api(cluster: Cluster, method: string, path: string, body: Json, type = 'application/json'): void {
  const reply = handle(cluster, { method, path: path.split('?')[0]!, query: {}, headers: { 'content-type': type }, body: JSON.stringify(body) });
  if (reply.status >= 300) throw new Error(JSON.stringify(reply.body));
}

const HOME = '/api/v1/namespaces/default';

function job(cluster: Cluster, name: string): void {
  api(cluster, 'POST', '/apis/batch/v1/namespaces/default/jobs', { metadata: { name }, spec: { template: { spec: { containers: [{ name: 'c', image: 'busybox' }], restartPolicy: 'Never' } } } });
}

function services(cluster: Cluster): void {
  for (const [name, spec] of [['web', {}], ['np', { type: 'NodePort' }], ['lb', { type: 'LoadBalancer' }], ['headless', { clusterIP: 'None' }]] as const) {
    const pods = name === 'web' ? { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] } : { ports: [{ port: 80 }] };
    api(cluster, 'POST', `${HOME}/services`, { metadata: { name }, spec: { ...pods, ...spec } });
  }
  api(cluster, 'POST', `${HOME}/services`, { metadata: { name: 'ext' }, spec: { type: 'ExternalName', externalName: 'a.example.com' } });
}

/** Pods as the recording gives them. */
function pods(cluster: Cluster, lines: readonly Recorded[]): void {
  const items = JSON.parse(lines.find((l) => l.cmd === 'kubectl get pods -l demo=st -o json')!.stdout).items as KubeObject[];
  for (const item of items) {
    const { resourceVersion: _r, creationTimestamp: _c, ...metadata } = item.metadata;
    put(cluster.store, { ...item, metadata: { ...metadata, creationTimestamp: stamp(cluster.timeline) } } as KubeObject);
  }
}

function halfReady(cluster: Cluster, which: (names: string[]) => string[]): void {
  const all = list<Pod>(cluster.store, 'Pod').filter((p) => p.metadata.labels?.app === 'api').map((p) => p.metadata.name).sort();
  for (const name of all) {
    const no = which(all).includes(name);
    mutate<Pod>(cluster, 'Pod', `default/${name}`, (p) => {
      for (const type of ['Ready', 'ContainersReady']) setCondition(p, { type, status: no ? 'False' : 'True' } as never);
      for (const c of p.status.containerStatuses ?? []) c.ready = !no;
    }, 'status');
  }
}

const cordon = (cluster: Cluster, name: string): void => void mutate<Node>(cluster, 'Node', name, (n) => {
  n.spec.unschedulable = true;
});

/** A node by name only, as the recording's was: room for pods, nobody who runs them. */
function edge(cluster: Cluster, world: World): void {
  create(cluster, kindNamed('Node'), undefined, { metadata: { name: 'edge-1' }, spec: {}, status: { conditions: [{ type: 'Ready', status: 'True' }] } });
  advance(world, cluster.timeline.now + 4e8);
  const room = { cpu: '8', memory: '32Gi', pods: '110' };
  mutate<Node>(cluster, 'Node', 'edge-1', (n) => Object.assign(n.status, { allocatable: room, capacity: room }), 'status');
}

/** A pod or set of a manifest anew, as if applied now. */
function again(cluster: Cluster, kind: string, name: string): void {
  const old = get(cluster.store, kind, `default/${name}`)!;
  for (const p of list<Pod>(cluster.store, 'Pod')) if (p.metadata.ownerReferences?.[0]?.name === name) remove(cluster, kindNamed('Pod'), 'default', p.metadata.name, { gracePeriodSeconds: 0 });
  remove(cluster, kindNamed(kind), 'default', name, { gracePeriodSeconds: 0 });
  const { nodeName: _, ...spec } = old.spec;
  create(cluster, kindNamed(kind), 'default', { metadata: { name }, spec });
}

function deployment(cluster: Cluster, app: string, replicas: number): void {
  api(cluster, 'POST', '/apis/apps/v1/namespaces/default/deployments', { metadata: { name: app }, spec: { replicas, selector: { matchLabels: { app } }, template: { metadata: { labels: { app } }, spec: { containers: [{ name: 'c', image: 'busybox' }] } } } });
}

const patch = (cluster: Cluster, path: string, body: Json): void => api(cluster, 'PATCH', path, body, 'application/strategic-merge-patch+json');
const WEB = '/apis/apps/v1/namespaces/default/deployments/web';
const scale = (replicas: number): Step => (c) => patch(c, WEB, { spec: { replicas } });
const image = (image: string): Step => (c) => patch(c, WEB, { spec: { template: { spec: { containers: [{ name: 'nginx', image }] } } } });

/** Pods other than a DaemonSet's leave the node; nothing new comes. */
function drain(cluster: Cluster, name: string): void {
  cordon(cluster, name);
  for (const p of list<Pod>(cluster.store, 'Pod')) {
    if (p.spec.nodeName !== name || p.metadata.ownerReferences?.[0]?.kind === 'DaemonSet') continue;
    remove(cluster, kindNamed('Pod'), p.metadata.namespace, p.metadata.name);
  }
}

const uncordon = (cluster: Cluster, name: string): void => void mutate<Node>(cluster, 'Node', name, (n) => {
  delete n.spec.unschedulable;
});

/** A node that has just registered: not ready yet, tainted so by admission, its lease not yet there. */
function fresh(cluster: Cluster, name: string): void {
  ready(cluster, name, false);
  mutate<Node>(cluster, 'Node', name, (n) => {
    n.spec.taints = [{ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }];
  });
  remove(cluster, kindNamed('Lease'), 'kube-node-lease', name);
}

type Step = (cluster: Cluster, lines: readonly Recorded[], world: World) => void;

/** What happened when, by the transcript: the second since its node registered, before which line at the latest. */
type Happened = readonly (readonly [line: number, second: number, step: Step])[];

const HAPPENED: Readonly<Record<string, Happened>> = {
  'kubectl-1.20-live': [
    [0, 1, (c) => {
      registeredAgain(c);
      fresh(c, 'worker-1');
    }],
    [23, 17, (c) => void create(c, kindNamed('Lease'), 'kube-node-lease', { metadata: { name: 'worker-1' }, spec: { holderIdentity: 'worker-1', leaseDurationSeconds: 40, renewTime: microStamp(c.timeline) } })],
    [75, 33, scale(5)], [75, 36, scale(2)], [75, 37, image('nginx:1.21')], [75, 39, image('nginx:1.19')],
    [75, 41, (c) => patch(c, WEB, { spec: { template: { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': stamp(c.timeline) } } } } })],
    [91, 50, (c) => ready(c, 'worker-1', true)],
    [91, 51, (c) => job(c, 'j1')], [91, 52, (c) => job(c, 'fromc')],
    [108, 60, (c) => halfReady(c, (names) => names)],
    [110, 60, (c) => {
      halfReady(c, () => []);
      services(c);
      api(c, 'POST', '/api/v1/namespaces', { metadata: { name: 'dev' } });
    }],
    [113, 63, (c) => {
      drain(c, 'worker-2');
      if (get(c.store, 'Pod', 'default/solo')) remove(c, kindNamed('Pod'), 'default', 'solo', { gracePeriodSeconds: 0 });
    }],
    [113, 68, (c) => uncordon(c, 'worker-2')],
    [124, 80, (c, lines, world) => {
      edge(c, world);
      pods(c, lines);
    }],
  ],
  'kubectl-1.32-live': [
    [0, 1, (c) => {
      registeredAgain(c);
      cordon(c, 'worker-2');
      for (const name of ['j1', 'fromc']) job(c, name);
      deployment(c, 'old', 4);
      api(c, 'POST', '/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers', { metadata: { name: 'web' }, spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }, minReplicas: 2, maxReplicas: 5, targetCPUUtilizationPercentage: 80 } });
      api(c, 'POST', '/apis/batch/v1/namespaces/default/cronjobs', { metadata: { name: 'c1' }, spec: { schedule: '*/5 * * * *', jobTemplate: { spec: { template: { spec: { containers: [{ name: 'c', image: 'busybox' }], restartPolicy: 'OnFailure' } } } } } });
    }],
    [0, 4, (c) => uncordon(c, 'worker-2')],
    [0, 5, (c) => {
      for (const [kind, name] of [['Pod', 'cmref'], ['Pod', 'volref'], ['StatefulSet', 'db']] as const) again(c, kind, name);
    }],
    [0, 13, (c, _lines, world) => edge(c, world)],
    [0, 20, (c) => {
      remove(c, kindNamed('Node'), undefined, 'edge-1');
      remove(c, kindNamed('Deployment'), 'default', 'old');
    }],
    [3, 46, (c) => halfReady(c, (names) => names.slice(0, 1))],
    [4, 47, (c) => void mutate(c, 'HorizontalPodAutoscaler', 'default/web', (h) => {
      h.status = { ...h.status, currentReplicas: 2, desiredReplicas: 2 };
    }, 'status')],
    [19, 49, (c) => halfReady(c, () => [])],
    [22, 55, image('nginx:1.19')],
    [35, 61, (c) => job(c, 'c1-1795336800')],
    [44, 70, (c) => cordon(c, 'worker-2')],
  ],
};

const due = new Map<World, number>();

/** Brings the world to where it was before a line: what happened before it, each at its second, and the time that it took. */
export function between(name: string, index: number, lines: readonly Recorded[], world: World): void {
  const cluster = clusterOf(world);
  const happened = HAPPENED[name] ?? [];
  let next = due.get(world) ?? 0;
  for (; next < happened.length && happened[next]![0] <= index; next++) {
    reach(world, happened[next]![1]);
    happened[next]![2](cluster, lines, world);
  }
  due.set(world, next);
  reach(world, secondOf(name, index));
}

function reach(world: World, second: number): void {
  if (world.timeline.now < second * 1e9) advance(world, second * 1e9);
}

/** Lines and the seconds at which they ran, as ages and times in the transcripts tell; even steps between them. */
const RAN: Readonly<Record<string, readonly (readonly [line: number, second: number])[]>> = {
  'kubectl-1.20-live': [[0, 14], [20, 16.5], [30, 18.5], [31, 18.9], [32, 25], [41, 26], [53, 28], [65, 29.5], [66, 30], [67, 32], [74, 33], [75, 43], [79, 47], [91, 52], [94, 53], [108, 60], [110, 61], [112, 62.5], [113, 69], [114, 77], [124, 81], [136, 84], [143, 88], [149, 94], [150, 101], [159, 130], [169, 132]],
  'kubectl-1.32-live': [[0, 40], [1, 46], [3, 47], [19, 49], [22, 56], [34, 62], [47, 75]],
};

function secondOf(name: string, index: number): number {
  const ran = RAN[name] ?? [];
  const after = ran.findIndex(([line]) => line > index);
  const [line, second] = ran.at(after < 0 ? -1 : after - 1) ?? [0, 0];
  const [nextLine, nextSecond] = after < 0 ? [line + 1, second] : ran[after]!;
  return second + ((nextSecond - second) * (index - line)) / (nextLine - line);
}
