/** The eviction subresource: a deletion that a PodDisruptionBudget may refuse. Source: pkg/registry/core/pod/storage/eviction.go 1.32. */
import { read, remove, type WriteOptions } from './api.ts';
import type { Cluster } from './state.ts';
import { kindNamed } from './types/kinds.ts';
import type { Json } from './types/objects.ts';

export function evict(cluster: Cluster, namespace: string, name: string, body: Json, options: WriteOptions): void {
  const kind = kindNamed('Pod');
  read(cluster, kind, namespace, name);
  remove(cluster, kind, namespace, name, {
    ...(typeof body?.gracePeriodSeconds === 'number' ? { gracePeriodSeconds: body.gracePeriodSeconds } : {}), ...(body?.preconditions ? { preconditions: body.preconditions } : {}),
    ...(options.dryRun || body?.dryRun?.length ? { dryRun: true } : {}),
  });
}
