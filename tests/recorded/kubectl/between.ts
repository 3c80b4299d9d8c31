/**
 * What the recording's driver did between the lines that were kept, as those tell: nodes that register and become ready, jobs,
 * Services, a namespace, 24 pods with statuses of every kind (their recorded JSON is the input), and how long it took.
 */
import { create, mutate, remove } from '../../../src/engine/cluster/api.ts';
import type { Cluster } from '../../../src/engine/cluster/cluster.ts';
import { setCondition } from '../../../src/engine/cluster/scheduler/queue.ts';
import { list, microStamp, put, stamp } from '../../../src/engine/cluster/store.ts';
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

/** Pods as the recording gives them, on a node that is there by name only. */
function pods(cluster: Cluster, lines: readonly Recorded[]): void {
  const items = JSON.parse(lines.find((l) => l.cmd === 'kubectl get pods -l demo=st -o json')!.stdout).items as KubeObject[];
  create(cluster, kindNamed('Node'), undefined, { metadata: { name: 'edge-1' }, spec: {}, status: { conditions: [{ type: 'Ready', status: 'True' }] } });
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

type Step = (cluster: Cluster, lines: readonly Recorded[], world: World) => void;

/** By the transcript and the number of the line before which it happened. */
const STEPS: Readonly<Record<string, Readonly<Record<number, Step>>>> = {
  'kubectl-1.20-live': {
    20: (c) => {
      ready(c, 'worker-1', false);
      registeredAgain(c);
    },
    22: (c) => void remove(c, kindNamed('Lease'), 'kube-node-lease', 'worker-1'),
    23: (c) => void create(c, kindNamed('Lease'), 'kube-node-lease', { metadata: { name: 'worker-1' }, spec: { holderIdentity: 'worker-1', leaseDurationSeconds: 40, renewTime: microStamp(c.timeline) } }),
    65: (c) => {
      for (const event of list(c.store, 'Event')) if (event.reason === 'NodeNotReady') remove(c, kindNamed('Event'), event.metadata.namespace, event.metadata.name);
    },
    91: (c) => ready(c, 'worker-1', true),
    108: (c) => halfReady(c, (names) => names),
    110: (c, _l, world) => {
      halfReady(c, () => []);
      services(c);
      job(c, 'j1');
      job(c, 'fromc');
      api(c, 'POST', '/api/v1/namespaces', { metadata: { name: 'dev' } });
      advance(world, world.timeline.now + 5e9);
    },
    114: (c) => remove(c, kindNamed('Pod'), 'default', 'solo', { gracePeriodSeconds: 0 }),
    124: (c, lines) => pods(c, lines),
  },
  'kubectl-1.32-live': {
    7: registeredAgain,
    0: (c, _l, world) => {
      for (const name of ['j1', 'fromc']) job(c, name);
      api(c, 'POST', '/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers', { metadata: { name: 'web' }, spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }, minReplicas: 2, maxReplicas: 5, targetCPUUtilizationPercentage: 80 } });
      api(c, 'POST', '/apis/batch/v1/namespaces/default/cronjobs', { metadata: { name: 'c1' }, spec: { schedule: '*/5 * * * *', jobTemplate: { spec: { template: { spec: { containers: [{ name: 'c', image: 'busybox' }], restartPolicy: 'OnFailure' } } } } } });
      advance(world, world.timeline.now + 5e9);
    },
    4: (c) => void mutate(c, 'HorizontalPodAutoscaler', 'default/web', (h) => {
      h.status = { ...h.status, currentReplicas: 2, desiredReplicas: 2 };
    }, 'status'),
    3: (c) => halfReady(c, (names) => names.slice(0, 1)),
    19: (c) => halfReady(c, () => []),
    35: (c, _l, world) => {
      job(c, 'c1-1795336800');
      advance(world, world.timeline.now + 5e9);
    },
    44: (c) => cordon(c, 'worker-2'),
  },
};

export function between(name: string, index: number, lines: readonly Recorded[], world: World): void {
  STEPS[name]?.[index]?.(clusterOf(world), lines, world);
}

/** Seconds to the next line, where the tables tell that it was not three. */
const PAUSES: Readonly<Record<string, Readonly<Record<number, number>>>> = { 'kubectl-1.20-live': { 30: 0.1 } };
export const pauseAfter = (name: string, index: number): number => PAUSES[name]?.[index] ?? 3;
