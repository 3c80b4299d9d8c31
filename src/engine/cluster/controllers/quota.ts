/** Quota controller: what of each quota is used, counted anew when something that counted has gone. Source: pkg/controller/resourcequota 1.32. */
import { quotasOf, recount } from '../admission/quota.ts';
import { kindsCounted } from '../admission/usage.ts';
import { mutate } from '../api.ts';
import type { Cluster } from '../state.ts';
import { type Change, get } from '../store.ts';
import { keyOf, same } from '../types/objects.ts';

export function syncQuota(cluster: Cluster, key: string): void {
  const quota = get(cluster.store, 'ResourceQuota', key);
  if (!quota || quota.metadata.deletionTimestamp) return;
  const status = recount(cluster, quota, kindsCounted(Object.keys(quota.spec.hard ?? {})));
  if (same(status, quota.status)) return;
  mutate(cluster, 'ResourceQuota', key, (o) => {
    o.status = status;
  }, 'status');
}

const ended = (o: Change['object'] | undefined): boolean => o?.status?.phase === 'Succeeded' || o?.status?.phase === 'Failed';

/** New objects were charged when they came in; what goes, or ends, gives back. */
export function quotasTouched(cluster: Cluster, change: Change): string[] {
  if (change.kind === 'ResourceQuota') return change.type === 'DELETED' || (change.old && same(change.old.spec, change.object.spec)) ? [] : [keyOf(change.object.metadata)];
  const gives = change.type === 'DELETED' || (change.kind === 'Pod' && ended(change.object) && !ended(change.old)) || ((change.kind === 'Service' || change.kind === 'PersistentVolumeClaim') && change.type === 'MODIFIED' && !same(change.old?.spec, change.object.spec));
  return gives ? quotasOf(cluster, change.object.metadata.namespace).map((q) => keyOf(q.metadata)) : [];
}
