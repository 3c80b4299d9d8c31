import { expect, it } from 'vitest';
import { create } from '../../../src/engine/cluster/api.ts';
import { type Cluster, createCluster } from '../../../src/engine/cluster/cluster.ts';
import { budgetFacts, deploymentFacts, nodeFacts, podFacts, serviceFacts } from '../../../src/engine/cluster/inspect.ts';
import { handle } from '../../../src/engine/cluster/server.ts';
import { get, list } from '../../../src/engine/cluster/store.ts';
import { exportCluster } from '../../../src/engine/cluster/transfer/export.ts';
import { importObjects } from '../../../src/engine/cluster/transfer/import.ts';
import { findKind, kindNamed } from '../../../src/engine/cluster/types/kinds.ts';
import type { Json, Node } from '../../../src/engine/cluster/types/objects.ts';
import { createTimeline, runTo } from '../../../src/engine/sim/timeline.ts';
import { createTrace } from '../../../src/engine/sim/trace.ts';
import { SECOND } from '../../../src/engine/sim/units.ts';
import { addHollowNodes } from '../../../src/engine/world/hollow.ts';

function lab(hollow: number, seed = 1): Cluster {
  const timeline = createTimeline();
  const cluster = createCluster({ name: 'cluster', timeline, trace: createTrace(timeline), seed });
  addHollowNodes(cluster, { hollow });
  return cluster;
}
const later = (cluster: Cluster, seconds: number): void => runTo(cluster.timeline, cluster.timeline.now + seconds * SECOND);
const pod = { containers: [{ name: 'c', image: 'nginx', resources: { requests: { cpu: '100m', memory: '64Mi' } } }] };

function furnished(): Cluster {
  const cluster = lab(4);
  create(cluster, kindNamed('Namespace'), undefined, { metadata: { name: 'prod' } });
  create(cluster, kindNamed('ConfigMap'), 'prod', { metadata: { name: 'settings' }, data: { mode: 'fast' } });
  create(cluster, kindNamed('Deployment'), 'prod', { metadata: { name: 'web' }, spec: { replicas: 5, selector: { matchLabels: { app: 'web' } }, template: { metadata: { labels: { app: 'web' } }, spec: pod } } });
  create(cluster, kindNamed('StatefulSet'), 'prod', { metadata: { name: 'db' }, spec: { replicas: 2, serviceName: 'db', selector: { matchLabels: { app: 'db' } }, template: { metadata: { labels: { app: 'db' } }, spec: pod } } });
  create(cluster, kindNamed('Service'), 'prod', { metadata: { name: 'web' }, spec: { selector: { app: 'web' }, ports: [{ port: 80 }] } });
  create(cluster, kindNamed('Pod'), 'prod', { metadata: { name: 'alone' }, spec: pod });
  later(cluster, 15);
  return cluster;
}

/** As `kubectl get … -A -o json` tells it. */
const dump = (cluster: Cluster): Json[] => ['Namespace', 'Node', 'ConfigMap', 'Deployment', 'ReplicaSet', 'StatefulSet', 'Service', 'Event', 'Lease', 'Pod'].flatMap((kind) => JSON.parse(JSON.stringify(list(cluster.store, kind))) as Json[]);

it('a dump becomes the same cluster, and its controllers leave it as it is', () => {
  const from = furnished();
  const to = lab(0, 2);
  const { taken, skipped } = importObjects(to, dump(from));
  expect(taken).toMatchObject({ Node: 4, Deployment: 1, ReplicaSet: 1, StatefulSet: 1, Pod: 8 });
  expect(skipped.filter((s) => !['made anew here', 'there already'].includes(s.why))).toEqual([]);
  const placed = (c: Cluster): unknown => podFacts(c, 'prod').map((p) => [p.name, p.node, p.status, p.owner]);
  const before = placed(from);
  later(to, 60);
  expect(placed(to)).toEqual(before);
  expect(deploymentFacts(to)).toMatchObject([{ name: 'web', ready: 5, updated: 5 }]);
  expect(get(to.store, 'Endpoints', 'prod/web')?.subsets?.[0].addresses).toHaveLength(5);
  expect(list<Node>(to.store, 'Node').every((n) => n.status.conditions?.some((c) => c.type === 'Ready' && c.status === 'True'))).toBe(true);
});

it('what is exported holds nothing that a system wrote, and makes the same again', () => {
  const from = furnished();
  const { manifests, kwok, kind } = exportCluster(from);
  const text = JSON.stringify(manifests);
  for (const field of ['"status"', '"uid"', '"resourceVersion"', '"managedFields"', '"creationTimestamp"', '"generation"', '"nodeName"', '"clusterIP"', '"ownerReferences"']) expect(text).not.toContain(field);
  expect(manifests.map((m) => `${m.kind}/${m.metadata.name}`)).toEqual(expect.arrayContaining(['Namespace/prod', 'ConfigMap/settings', 'Deployment/web', 'StatefulSet/db', 'Service/web', 'Pod/alone']));
  expect(manifests.some((m) => m.kind === 'ReplicaSet' || m.kind === 'Endpoints' || m.metadata.name === 'kubernetes')).toBe(false);
  const to = lab(4, 3);
  for (const m of manifests) create(to, findKind(m.apiVersion, m.kind)!, m.metadata.namespace, m, { strict: true });
  later(to, 15);
  expect(podFacts(to, 'prod').map((p) => [p.owner.split('/')[0], p.status]).sort()).toEqual(podFacts(from, 'prod').map((p) => [p.owner.split('/')[0], p.status]).sort());
  expect(JSON.stringify(exportCluster(to).manifests)).toBe(text);
  expect(kwok.filter((k) => k.kind === 'Node')).toHaveLength(4);
  expect(kind.nodes).toHaveLength(5);
});

it('what it cannot take it names, and the rest comes in', () => {
  const to = lab(0);
  const bad: Json[] = [null, 7, [], { kind: 'Frob' }, { apiVersion: 'v1', kind: 'Pod' }, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { containers: [] } }, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'q' }, spec: { nodeName: 'none', containers: [{ name: 'c', image: 'x' }] } }, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' }, status: 'up' }, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'm', namespace: 'nowhere' } }];
  const { taken, skipped } = importObjects(to, [...bad, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'good' }, data: { a: 'b' } }]);
  expect(taken.ConfigMap).toBe(1);
  expect(skipped.map((s) => s.why).join('\n')).toMatch(/not an object[\s\S]*no matches for kind "Frob"[\s\S]*it has no name[\s\S]*invalid: spec.containers[\s\S]*its node is not here[\s\S]*namespace "nowhere" is not here/);
  later(to, 10);
  expect(handle(to, { method: 'POST', path: '/nestbox/import', query: {}, headers: {}, body: 'x' }).status).toBe(400);
  expect(handle(to, { method: 'GET', path: '/nestbox/frob', query: {}, headers: {}, body: '' }).status).toBe(404);
});

const web = (more: object = {}): Json => ({ replicas: 2, selector: { matchLabels: { app: 'web' } }, template: { metadata: { labels: { app: 'web' } }, spec: pod }, ...more });
/** One of nearly everything, and what only a system or the lab itself makes. */
function rich(): Cluster {
  const cluster = lab(3);
  const make = (kind: string, name: string, rest: Json, namespace = 'prod'): void => void create(cluster, kindNamed(kind), kindNamed(kind).namespaced ? namespace : undefined, { metadata: { name, ...rest.metadata }, ...Object.fromEntries(Object.entries(rest).filter(([k]) => k !== 'metadata')) }, { strict: true });
  make('Namespace', 'prod', { metadata: { labels: { team: 'a' }, finalizers: [] } });
  make('CustomResourceDefinition', 'things.example.com', { spec: { group: 'example.com', scope: 'Namespaced', names: { plural: 'things', kind: 'Thing' }, versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties: { a: { type: 'integer' } } } } } } }] } });
  make('PriorityClass', 'high', { value: 1000 });
  make('ServiceAccount', 'robot', {});
  make('Secret', 'key', { stringData: { k: 'v' } });
  make('Role', 'reader', { rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }] });
  make('RoleBinding', 'reads', { roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reader' }, subjects: [{ kind: 'ServiceAccount', name: 'robot', namespace: 'prod' }] });
  make('ResourceQuota', 'q', { spec: { hard: { pods: '50' } } });
  make('LimitRange', 'l', { spec: { limits: [{ type: 'Container', default: { cpu: '1' } }] } });
  make('Deployment', 'web', { spec: web() });
  make('PodDisruptionBudget', 'web', { spec: { minAvailable: 1, selector: { matchLabels: { app: 'web' } } } });
  make('HorizontalPodAutoscaler', 'web', { spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }, minReplicas: 2, maxReplicas: 4 } });
  make('Service', 'web', { spec: { type: 'NodePort', selector: { app: 'web' }, ports: [{ port: 80, nodePort: 30080 }] } });
  make('Service', 'headless', { spec: { clusterIP: 'None', selector: { app: 'db' }, ports: [{ port: 1 }] } });
  make('Service', 'outside', { spec: { ports: [{ port: 443 }] } });
  make('Endpoints', 'outside', { subsets: [{ addresses: [{ ip: '192.0.2.7' }], ports: [{ port: 443 }] }] });
  make('Ingress', 'i', { spec: { rules: [{ http: { paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 'web', port: { number: 80 } } } }] } }] } });
  make('NetworkPolicy', 'n', { spec: { podSelector: {}, policyTypes: ['Ingress'] } });
  make('DaemonSet', 'agent', { spec: { selector: { matchLabels: { app: 'agent' } }, template: { metadata: { labels: { app: 'agent' } }, spec: pod } } });
  make('StatefulSet', 'db', { spec: { replicas: 1, serviceName: 'headless', selector: { matchLabels: { app: 'db' } }, template: { metadata: { labels: { app: 'db' } }, spec: pod }, volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } }] } });
  make('PersistentVolume', 'disk', { spec: { capacity: { storage: '2Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/d' }, persistentVolumeReclaimPolicy: 'Retain' } });
  make('Job', 'once', { spec: { template: { metadata: {}, spec: { ...pod, restartPolicy: 'Never' } } } });
  make('CronJob', 'nightly', { spec: { schedule: '0 0 * * *', jobTemplate: { spec: { template: { metadata: {}, spec: { ...pod, restartPolicy: 'Never' } } } } } });
  make('Pod', 'alone', { spec: { ...pod, priorityClassName: 'high' } });
  make('ConfigMap', 'coredns', { data: { Corefile: '.' } }, 'kube-system');
  later(cluster, 20);
  handle(cluster, { method: 'POST', path: '/apis/example.com/v1/namespaces/prod/things', query: {}, headers: {}, body: JSON.stringify({ apiVersion: 'example.com/v1', kind: 'Thing', metadata: { name: 't' }, spec: { a: 1 } }) });
  return cluster;
}
const nulls = (value: Json): boolean => value === null || (typeof value === 'object' && Object.values<Json>(value).some(nulls));

it('each exported manifest is one that a server takes from a person', () => {
  const { manifests, kwok, kind } = exportCluster(rich());
  expect(manifests.map((m) => `${m.kind}/${m.metadata.name}`)).toEqual([
    'Namespace/prod', 'CustomResourceDefinition/things.example.com', 'PriorityClass/high', 'ServiceAccount/robot', 'Secret/key', 'PersistentVolume/disk', 'PersistentVolumeClaim/data-db-0', 'Service/headless', 'Service/outside', 'Service/web', 'Endpoints/outside', 'LimitRange/l', 'Pod/alone',
    'ResourceQuota/q', 'DaemonSet/agent', 'Deployment/web', 'StatefulSet/db', 'HorizontalPodAutoscaler/web', 'CronJob/nightly', 'Job/once', 'Ingress/i', 'NetworkPolicy/n', 'PodDisruptionBudget/web', 'RoleBinding/reads', 'Role/reader', 'Thing/t',
  ]);
  for (const m of manifests) {
    const what = `${m.kind}/${m.metadata.name}`;
    expect(Object.keys(m.metadata).filter((k) => !['name', 'namespace', 'labels', 'annotations'].includes(k)), what).toEqual([]);
    expect([m.status, nulls(m)], what).toEqual([undefined, false]);
    if (m.kind === 'Service') expect(m.spec.clusterIP, what).toBe(m.metadata.name === 'headless' ? 'None' : undefined);
    if (m.kind === 'PersistentVolume') expect(m.spec.claimRef).toBeUndefined();
  }
  const nodes = kwok.filter((k) => k.kind === 'Node');
  for (const node of nodes) expect([node.metadata.annotations['kwok.x-k8s.io/node'], node.metadata.uid, node.spec.podCIDR, node.status.capacity.cpu]).toEqual(['fake', undefined, undefined, '4']);
  expect(kwok.filter((k) => k.kind === 'Stage').map((s) => `${s.metadata.name} ${s.apiVersion} ${s.spec.resourceRef.kind}`)).toEqual(['node-initialize', 'pod-ready', 'pod-complete', 'pod-delete'].map((name) => `${name} kwok.x-k8s.io/v1alpha1 ${name.startsWith('node') ? 'Node' : 'Pod'}`));
  expect(kind).toMatchObject({ kind: 'Cluster', apiVersion: 'kind.x-k8s.io/v1alpha4', nodes: [{ role: 'control-plane' }, { role: 'worker' }, { role: 'worker' }, { role: 'worker' }] });
});

it('a cluster that was exported and imported looks the same', () => {
  const from = rich();
  const { manifests, kwok } = exportCluster(from);
  const to = lab(0, 7);
  const nodes = importObjects(to, kwok.filter((k) => k.kind === 'Node').map((n) => ({ ...n, status: { ...n.status, conditions: [{ type: 'Ready', status: 'True' }] } })));
  const definitions = importObjects(to, manifests.filter((m) => m.kind === 'CustomResourceDefinition'));
  later(to, 1);
  const rest = importObjects(to, manifests.filter((m) => m.kind !== 'CustomResourceDefinition'));
  expect([nodes.skipped, definitions.skipped, rest.skipped]).toEqual([[], [], []]);
  later(to, 30);
  const seen = (c: Cluster): Json => ({
    pods: podFacts(c, 'prod').map((p) => [p.owner.split('/')[0], p.status, p.qos, p.cpuMilli]).sort(), deployments: deploymentFacts(c).map(({ createdAt: _, ...d }) => d), budgets: budgetFacts(c).map((b) => [b.name, b.allowed]),
    services: serviceFacts(c).filter((s) => s.namespace === 'prod').map((s) => [s.name, s.type, s.ports, s.endpoints.split(',').length]), claims: list(c.store, 'PersistentVolumeClaim').map((x) => [x.metadata.name, x.status.phase]),
    things: list(c.store, 'Thing.example.com').map((x) => x.spec), cron: list(c.store, 'CronJob').map((x) => x.spec.schedule), nodes: nodeFacts(c).map((n) => [n.name, n.ready, n.cpuMilli, n.memory]),
  });
  expect(seen(to)).toEqual(seen(from));
  expect(JSON.stringify(exportCluster(to).manifests)).toBe(JSON.stringify(manifests));
});
