/**
 * How fast the nodes of a zone lose their pods: one node in 10 s while the zone is mostly well, one in 100 s (none in a small zone)
 * when more than half of it is not, and nobody loses anything while every zone is down: then it is the control plane that is cut off.
 * Source: pkg/controller/nodelifecycle/node_lifecycle_controller.go 1.32 (computeZoneState, handleDisruption, ReducedQPSFunc).
 */
import type { Cluster } from '../state.ts';
import type { Node } from '../types/objects.ts';

export type ZoneState = 'Normal' | 'PartialDisruption' | 'FullDisruption';

const UNHEALTHY = 0.55;
const LARGE = 50;
/** Seconds between two nodes. */
const USUAL = 10;
const REDUCED = 100;

export function zoneOf(node: Node): string {
  const labels = node.metadata.labels ?? {};
  const region = labels['topology.kubernetes.io/region'] ?? labels['failure-domain.beta.kubernetes.io/region'] ?? '';
  const zone = labels['topology.kubernetes.io/zone'] ?? labels['failure-domain.beta.kubernetes.io/zone'] ?? '';
  return region === '' && zone === '' ? '' : `${region}:\u0000:${zone}`;
}

const isReady = (node: Node): boolean => node.status?.conditions?.find((c) => c.type === 'Ready')?.status === 'True';

export interface Zone { state: ZoneState; size: number }

export function zonesOf(nodes: readonly Node[]): Map<string, Zone> {
  const counts = new Map<string, [ready: number, not: number]>();
  for (const node of nodes) {
    const zone = zoneOf(node);
    const count = counts.get(zone) ?? [0, 0];
    count[isReady(node) ? 0 : 1]++;
    counts.set(zone, count);
  }
  return new Map([...counts].map(([zone, [ready, not]]) => {
    const state: ZoneState = ready === 0 && not > 0 ? 'FullDisruption' : not > 2 && not / (not + ready) >= UNHEALTHY ? 'PartialDisruption' : 'Normal';
    return [zone, { state, size: ready + not }];
  }));
}

export const allDown = (zones: ReadonlyMap<string, Zone>): boolean => zones.size > 0 && [...zones.values()].every((z) => z.state === 'FullDisruption');

/** Whether another node of the zone may be tainted now; if so, that is counted. */
export function mayTaint(cluster: Cluster, name: string, zone: Zone, now: number): boolean {
  if (zone.state === 'PartialDisruption' && zone.size <= LARGE) return false;
  const next = cluster.tainted.get(name) ?? 0;
  if (now < next - 0.001) return false;
  cluster.tainted.set(name, now + (zone.state === 'PartialDisruption' ? REDUCED : USUAL));
  return true;
}
