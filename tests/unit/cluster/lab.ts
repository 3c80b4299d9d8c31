/** A control plane with hollow nodes, and the few verbs that tests of it share. */
import { create } from '../../../src/engine/cluster/api.ts';
import { type Cluster, createCluster } from '../../../src/engine/cluster/cluster.ts';
import { ApiError } from '../../../src/engine/cluster/errors.ts';
import { handle } from '../../../src/engine/cluster/server.ts';
import { list } from '../../../src/engine/cluster/store.ts';
import { kindNamed } from '../../../src/engine/cluster/types/kinds.ts';
import type { Json, KubeEvent, KubeObject, Pod } from '../../../src/engine/cluster/types/objects.ts';
import { createTimeline, runTo } from '../../../src/engine/sim/timeline.ts';
import { createTrace } from '../../../src/engine/sim/trace.ts';
import { SECOND } from '../../../src/engine/sim/units.ts';
import { addHollowNodes } from '../../../src/engine/world/hollow.ts';

export function lab(hollow = 0, seed = 1): Cluster {
  const timeline = createTimeline();
  const cluster = createCluster({ name: 'cluster', timeline, trace: createTrace(timeline), seed });
  addHollowNodes(cluster, { hollow });
  later(cluster, 1);
  return cluster;
}
export const later = (cluster: Cluster, seconds: number): void => runTo(cluster.timeline, cluster.timeline.now + seconds * SECOND);
export const make = (cluster: Cluster, kind: string, body: Json, namespace = 'default'): KubeObject => create(cluster, kindNamed(kind), kindNamed(kind).namespaced ? namespace : undefined, body, { strict: true });
export function said(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof ApiError) return error.message;
    throw error;
  }
  return '';
}
export const events = (cluster: Cluster, about: string): string[] => list<KubeEvent>(cluster.store, 'Event').filter((e) => e.involvedObject.name === about).map((e) => `${e.reason}: ${e.message}`);
export const pods = (cluster: Cluster, namespace = 'default'): Pod[] => list<Pod>(cluster.store, 'Pod', namespace);
export const names = (cluster: Cluster): string[] => pods(cluster).filter((p) => !p.metadata.deletionTimestamp).map((p) => p.metadata.name);
export function ask(cluster: Cluster, method: string, path: string, body: Json = '', query: Record<string, string> = {}, headers: Record<string, string> = {}): { status: number; body: Json } {
  return handle(cluster, { method, path, query, headers: { 'content-type': 'application/json', ...headers }, body: body === '' ? '' : JSON.stringify(body) });
}
