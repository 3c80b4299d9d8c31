/** The shapes of Kubernetes' scheduler_perf (config/performance-config.yaml and its templates), and the floors its CI holds them to, in pods a second. */
import { mutate } from '../../src/engine/cluster/api.ts';
import type { Cluster } from '../../src/engine/cluster/state.ts';
import type { Node } from '../../src/engine/cluster/types/objects.ts';

export interface Shape {
  /** Pods with 5,000 nodes. */
  count: { init: number; measured: number };
  init(i: number): object;
  measured(i: number): object;
}

const ZONES = ['zone1', 'zone2', 'zone3'];

/** Every node has a zone, as the shapes' node templates say. */
export function labelNodes(cluster: Cluster): void {
  for (const [i, name] of [...(cluster.store.tables.get('Node')?.keys() ?? [])].entries()) {
    mutate<Node>(cluster, 'Node', name, (node) => {
      node.metadata.labels = { ...node.metadata.labels, 'topology.kubernetes.io/zone': ZONES[i % ZONES.length]! };
    });
  }
}

const REQUESTS = { cpu: '100m', memory: '500Mi' };

function pod(name: string, labels: Record<string, string>, spec: object = {}, requests: object = REQUESTS): object {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, labels }, spec: { containers: [{ name: 'pause', image: 'registry.k8s.io/pause:3.10', ports: [{ containerPort: 80 }], resources: { requests, limits: requests } }], ...spec } };
}

/** A pod of which a hundred fit on a node. */
export const small = (i: number): object => pod(`small-${i}`, { app: 'small' }, {}, { cpu: '10m', memory: '8Mi' });

const plain = (i: number): object => pod(`init-${i}`, { app: 'init' });
const term = (key: string, color: string): object => ({ labelSelector: { matchLabels: { color } }, topologyKey: key, namespaces: ['default'] });
const HOST = 'kubernetes.io/hostname';
const ZONE = 'topology.kubernetes.io/zone';

export const SHAPES: Record<string, Shape> = {
  SchedulingBasic: { count: { init: 5000, measured: 50_000 }, init: plain, measured: (i) => pod(`basic-${i}`, { app: 'basic' }, {}, { cpu: '100m', memory: '400Mi' }) },
  NodeAffinity: {
    count: { init: 5000, measured: 10_000 }, init: plain,
    measured: (i) => pod(`affine-${i}`, { app: 'affine' }, { affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [{ key: ZONE, operator: 'In', values: ['zone1', 'zone2'] }] }] } } } }),
  },
  PreferredPodAffinity: {
    count: { init: 5000, measured: 5000 }, init: plain,
    measured: (i) => pod(`likes-${i}`, { color: 'red' }, { affinity: { podAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, podAffinityTerm: term(HOST, 'red') }] } } }),
  },
  PodAntiAffinity: {
    count: { init: 1000, measured: 2000 }, init: (i) => pod(`green-${i}`, { color: 'green' }, { affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term(HOST, 'green')] } } }),
    measured: (i) => pod(`shuns-${i}`, { color: 'green' }, { affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term(HOST, 'green')] } } }),
  },
  PodAffinity: {
    count: { init: 5000, measured: 5000 }, init: (i) => pod(`blue-${i}`, { color: 'blue' }, { affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term(ZONE, 'blue')] } } }),
    measured: (i) => pod(`wants-${i}`, { color: 'blue' }, { affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term(ZONE, 'blue')] } } }),
  },
  TopologySpreading: {
    count: { init: 5000, measured: 5000 }, init: plain,
    measured: (i) => pod(`spread-${i}`, { color: 'yellow' }, { topologySpreadConstraints: [{ maxSkew: 5, topologyKey: ZONE, whenUnsatisfiable: 'DoNotSchedule', labelSelector: { matchLabels: { color: 'yellow' } } }] }),
  },
  Preemption: {
    count: { init: 20_000, measured: 5000 }, init: (i) => pod(`low-${i}`, { app: 'low' }, {}, { cpu: '900m', memory: '500Mi' }),
    measured: (i) => pod(`high-${i}`, { app: 'high' }, { priority: 10 }, { cpu: '3000m', memory: '500Mi' }),
  },
  Unschedulable: { count: { init: 100, measured: 10_000 }, init: (i) => pod(`huge-${i}`, { app: 'huge' }, {}, { cpu: '64', memory: '500Mi' }), measured: (i) => pod(`basic-${i}`, { app: 'basic' }) },
};

/** Source: kubernetes test/integration/scheduler_perf, thresholds of its CI (with a network API server and etcd between). */
export const FLOORS: Record<string, number> = {
  SchedulingBasic: 810, NodeAffinity: 220, PreferredPodAffinity: 90, PodAntiAffinity: 60, PodAffinity: 35, Preemption: 570, Unschedulable: 590,
};
