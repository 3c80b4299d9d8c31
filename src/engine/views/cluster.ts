/** The control plane's objects as rows: nodes, pods, deployments, services, events. The questions are cluster/inspect.ts. */
import type { BudgetRow, ClusterSizeRow, DeploymentRow, KubeEventRow, NodeRow, PodRow, ServiceRow } from '../../bridge/rows.ts';
import { budgetFacts, deploymentFacts, eventFacts, nodeFact, type NodeFacts, podFact, podFacts, type PodFacts, serviceFacts, some } from '../cluster/inspect.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { get } from '../cluster/store.ts';
import type { Node, Pod } from '../cluster/types/objects.ts';
import { type Arg, columns, type View } from './view.ts';

const namespaceOf = (arg: Arg): string | undefined => (typeof arg.namespace === 'string' && arg.namespace !== '' ? arg.namespace : undefined);

const most = (arg: Arg): number => (typeof arg.most === 'number' ? arg.most : Number.POSITIVE_INFINITY);

function nodesOf(cluster: Cluster | null, arg: Arg): NodeFacts[] {
  if (!cluster) return [];
  if (typeof arg.node !== 'string') return some<Node>(cluster, 'Node', most(arg)).map((node) => nodeFact(node, cluster.scheduler.infos.get(node.metadata.name)));
  const one = get<Node>(cluster.store, 'Node', arg.node);
  return one ? [nodeFact(one, cluster.scheduler.infos.get(arg.node))] : [];
}

function podsOf(cluster: Cluster | null, arg: Arg): PodFacts[] {
  if (!cluster) return [];
  if (typeof arg.pod === 'string') {
    const one = get<Pod>(cluster.store, 'Pod', arg.pod);
    return one ? [podFact(cluster, one)] : [];
  }
  const namespace = namespaceOf(arg);
  return namespace === undefined ? some<Pod>(cluster, 'Pod', most(arg)).map((pod) => podFact(cluster, pod)) : podFacts(cluster, namespace);
}

export const clusterSize: View = {
  doc: 'How large the cluster is: one row, none without a cluster.',
  arg: '',
  columns: columns(`
    nodes [count]: nodes
    pods [count]: pods
    waiting [count]: pods that the scheduler has yet to place, or could not
    decided [count]: cycles of the scheduler
    revision [count]: of the store
    oldest [count]: revision from which on the store remembers what objects were
  `),
  rows: ({ cluster }): ClusterSizeRow[] =>
    cluster
      ? [{ key: cluster.name, nodes: cluster.store.tables.get('Node')?.size ?? 0, pods: cluster.store.tables.get('Pod')?.size ?? 0, waiting: cluster.scheduler.active.members.size + cluster.scheduler.waiting.size, decided: cluster.scheduler.cycles, revision: cluster.store.revision, oldest: cluster.store.forgotten }]
      : [],
};

export const nodes: View = {
  doc: 'Nodes of the cluster and how much of each is requested; of more than `most`, a hundred.',
  arg: 'node?, most?',
  columns: columns(`
    name: node
    ready: condition Ready is True
    unschedulable: cordoned
    cpuMilli [milli]: allocatable processor time, thousandths of a core
    memory [bytes]: allocatable memory
    podsMax [count]: allocatable pods
    cpuRequested [milli]: sum of the requests of pods on it
    memoryRequested [bytes]: sum of the requests of pods on it
    pods [count]: pods that hold resources on it
    taints: key=value:effect, comma separated
    zone: its label topology.kubernetes.io/zone, or empty
    ip: internal address
    version: kubelet's
  `),
  rows: (world, arg) => nodesOf(world.cluster, arg).map(({ node: _, ...facts }): NodeRow => ({ key: facts.name, ...facts })),
};

export const pods: View = {
  doc: 'Pods as kubectl get pods tells them: all, those of a namespace, the one named namespace/name; of more than `most`, a hundred.',
  arg: 'namespace?, pod?, most?',
  columns: columns(`
    namespace: namespace
    name: pod
    node: where it is bound, or empty
    phase: Pending, Running, Succeeded, Failed or Unknown
    status: the STATUS column of kubectl
    ready: containers that are ready, of all
    restarts [count]: of all containers
    ip: pod address
    owner: controller, kind/name
    labels: key=value, comma separated
    cpuMilli [milli]: requested
    memory [bytes]: requested
    qos: Guaranteed, Burstable or BestEffort
    createdAt [ns]: when
    terminating: deletion was asked for
    containers: container ids, comma separated
    oomKilled: a container of it was killed for memory
    spread: its spread constraints, key:skew:what if not, comma separated
  `),
  rows: (world, arg) =>
    podsOf(world.cluster, arg).map(({ pod: _, ...facts }): PodRow => ({ key: `${facts.namespace}/${facts.name}`, ...facts })),
};

export const deployments: View = {
  doc: 'Deployments and how far each has come.',
  arg: '',
  columns: columns(`
    namespace: namespace
    name: deployment
    replicas [count]: wanted
    ready [count]: pods that are ready
    updated [count]: pods of the newest template
    available [count]: pods that have been ready long enough
    image: images of the template
    createdAt [ns]: when
  `),
  rows: (world) => (world.cluster ? deploymentFacts(world.cluster) : []).map((facts): DeploymentRow => ({ key: `${facts.namespace}/${facts.name}`, ...facts })),
};

export const services: View = {
  doc: 'Services and the endpoints behind them.',
  arg: '',
  columns: columns(`
    namespace: namespace
    name: service
    type: ClusterIP, NodePort, LoadBalancer or ExternalName
    clusterIp: its address
    ports: port/protocol, comma separated
    selector: labels of the pods it stands for
    endpoints: address:port of ready pods, comma separated
  `),
  rows: (world) => (world.cluster ? serviceFacts(world.cluster) : []).map((facts): ServiceRow => ({ key: `${facts.namespace}/${facts.name}`, ...facts })),
};

export const budgets: View = {
  doc: 'Disruption budgets: how many pods must stay, and how many may go now.',
  arg: '',
  columns: columns(`
    namespace: namespace
    name: budget
    rule: minAvailable or maxUnavailable, and how many
    selector: labels of the pods that it holds
    pods [count]: pods that it counts
    healthy [count]: of them ready
    needed [count]: of them that must stay
    allowed [count]: that may be evicted now
  `),
  rows: (world) => (world.cluster ? budgetFacts(world.cluster) : []).map((facts): BudgetRow => ({ key: `${facts.namespace}/${facts.name}`, ...facts })),
};

export const kubeEvents: View = {
  doc: 'Kubernetes events, oldest first.',
  arg: 'namespace?',
  columns: columns(`
    namespace: namespace
    object: what it is about, kind/name
    type: Normal or Warning
    reason: one word
    message: what happened
    count [count]: how often
    lastAt [ns]: last time
    source: component
  `),
  rows: (world, arg) => {
    const seen = new Map<string, number>();
    return (world.cluster ? eventFacts(world.cluster, namespaceOf(arg)) : []).map((facts): KubeEventRow => {
      const name = `${facts.namespace}/${facts.object}/${facts.reason}/${facts.message}`;
      const n = seen.get(name) ?? 0;
      seen.set(name, n + 1);
      return { key: n === 0 ? name : `${name}#${n}`, ...facts };
    });
  },
};
