import { expect, it } from 'vitest';
import { create } from '../../../src/engine/cluster/api.ts';
import { type Cluster, createCluster } from '../../../src/engine/cluster/cluster.ts';
import { deploymentFacts, podFacts } from '../../../src/engine/cluster/inspect.ts';
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
