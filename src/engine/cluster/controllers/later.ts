/** Putting a key on a controller's queue at a time to come. */
import { after } from '../../sim/timeline.ts';
import { SECOND } from '../../sim/units.ts';
import type { Cluster } from '../state.ts';

export interface Later { name: string; key: string }

/** At most one for a controller and key at one moment; an earlier one does not cancel a later one. */
export function later(cluster: Cluster, name: string, key: string, seconds: number): void {
  after(cluster.timeline, Math.max(1, Math.ceil(seconds * SECOND)), { kind: 'cluster.later', who: cluster.name, arg: { name, key } satisfies Later });
}
