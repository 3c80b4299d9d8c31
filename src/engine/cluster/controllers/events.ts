/** Kubernetes events: what a component says about an object; the same words about the same object count up. They live an hour. */
import { EPOCH_SECONDS, SECOND } from '../../sim/units.ts';
import { HOUR_SECONDS } from './timers.ts';
import type { Cluster } from '../state.ts';
import { uid } from '../state.ts';
import { drop, get, put, stamp, type Store } from '../store.ts';
import type { KubeEvent, KubeObject } from '../types/objects.ts';
import { parseTime } from '../types/time.ts';

export function emit(cluster: Cluster, about: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string, component: string, host?: string): void {
  const namespace = about.metadata.namespace ?? 'default';
  const same = `${about.kind}|${namespace}|${about.metadata.name}|${about.metadata.uid}|${type}|${reason}|${message}|${component}`;
  const now = stamp(cluster.timeline);
  const known = cluster.eventNames.get(same);
  const old = known ? get<KubeEvent>(cluster.store, 'Event', known) : undefined;
  if (old) {
    put(cluster.store, { ...old, metadata: { ...old.metadata }, count: old.count + 1, lastTimestamp: now });
    return;
  }
  const name = eventName(cluster.store, namespace, about.metadata.name, cluster.timeline.now);
  const event: KubeEvent = {
    apiVersion: 'v1', kind: 'Event',
    metadata: { name, namespace, uid: uid(cluster.random), creationTimestamp: now },
    involvedObject: {
      kind: about.kind, ...(about.metadata.namespace ? { namespace } : {}), name: about.metadata.name, uid: about.metadata.uid ?? '', apiVersion: about.apiVersion,
      resourceVersion: about.metadata.resourceVersion ?? '',
    },
    reason, message, type, count: 1, firstTimestamp: now, lastTimestamp: now,
    source: host ? { component, host } : { component }, reportingComponent: component, reportingInstance: host ?? '',
  };
  put(cluster.store, event);
  cluster.eventNames.set(same, `${namespace}/${name}`);
}

/** The object's name and the time in hexadecimal ns, as client-go names events: lists of them are in order of time. */
function eventName(store: Store, namespace: string, about: string, now: number): string {
  for (let at = BigInt(EPOCH_SECONDS) * BigInt(SECOND) + BigInt(Math.floor(now)); ; at++) {
    const name = `${about}.${at.toString(16)}`;
    if (!get(store, 'Event', `${namespace}/${name}`)) return name;
  }
}

/** Forgets events older than an hour. */
export function expireEvents(cluster: Cluster, nowSeconds: number): void {
  for (const event of [...(cluster.store.tables.get('Event')?.values() ?? [])] as KubeEvent[]) {
    if (nowSeconds - (parseTime(event.lastTimestamp) ?? nowSeconds) > HOUR_SECONDS) drop(cluster.store, event);
  }
  for (const [same, key] of cluster.eventNames) if (!get(cluster.store, 'Event', key)) cluster.eventNames.delete(same);
}
