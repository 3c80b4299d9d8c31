/** Kubernetes events: what a component says about an object; the same words about the same object count up. They live an hour. */
import { joined } from '../../sim/text.ts';
import { EPOCH_SECONDS, SECOND } from '../../sim/units.ts';
import { HOUR_SECONDS } from './timers.ts';
import type { Cluster } from '../state.ts';
import { uid } from '../state.ts';
import { drop, get, put, stamp, type Store } from '../store.ts';
import { extended, type KubeEvent, type KubeObject } from '../types/objects.ts';
import { parseTime } from '../types/time.ts';

export function emit(cluster: Cluster, about: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string, component: string, host?: string): void {
  const namespace = about.metadata.namespace ?? 'default';
  if (reason === 'Scheduled') {
    write(cluster, about, namespace, type, reason, message, component, host);
    return;
  }
  const subject = `${component}|${host ?? ''}|${about.kind}|${namespace}|${about.metadata.name}|${about.metadata.uid}`;
  // The scheduler has the newer recorder, which neither combines nor drops.
  const modern = SCHEDULED.has(reason);
  const combined = modern ? null : combine(cluster, `${subject}|${type}|${reason}`, message);
  const same = combined ?? `${subject}|${type}|${reason}|${message}`;
  if (!modern && !allowed(cluster, subject)) return;
  const now = stamp(cluster.timeline);
  const known = cluster.eventNames.get(same);
  const old = known ? get<KubeEvent>(cluster.store, 'Event', known) : undefined;
  const words = combined ? `(combined from similar events): ${message}` : message;
  if (old) {
    put(cluster.store, { ...old, metadata: { ...old.metadata }, message: words, count: old.count + 1, lastTimestamp: now });
    return;
  }
  cluster.eventNames.set(same, write(cluster, about, namespace, type, reason, words, component, host));
}

/** A new event; its key. */
function write(cluster: Cluster, about: KubeObject, namespace: string, type: string, reason: string, message: string, component: string, host?: string): string {
  const now = stamp(cluster.timeline);
  const { metadata, apiVersion } = about;
  const name = eventName(cluster.store, namespace, metadata.name, cluster.timeline.now);
  const involved = metadata.namespace ? { kind: about.kind, namespace, name: metadata.name } : { kind: about.kind, name: metadata.name };
  const key = joined([namespace, '/', name]);
  put(cluster.store, {
    apiVersion: 'v1', kind: 'Event',
    metadata: { name, namespace, uid: uid(cluster.random), creationTimestamp: now, resourceVersion: '' },
    involvedObject: extended(involved, { uid: metadata.uid ?? '', apiVersion, resourceVersion: metadata.resourceVersion ?? '' } as object),
    reason, message, type, count: 1, firstTimestamp: now, lastTimestamp: now,
    source: host ? { component, host } : { component }, reportingComponent: component, reportingInstance: host ?? '',
  } as KubeEvent, key);
  return key;
}

const SCHEDULED = new Set(['Scheduled', 'FailedScheduling', 'Preempted']);
/** Different messages of one reason about one object within ten minutes; from the tenth on they are one event. */
const SIMILAR = 10;
const SIMILAR_SPAN = 600 * SECOND;
/** One component says at most so much about one object, and then one thing in five minutes. Source: client-go tools/record/events_cache.go. */
const BURST = 25;
const REFILL = 300 * SECOND;

/** The key under which similar events count together, or null while there are few. */
function combine(cluster: Cluster, key: string, message: string): string | null {
  const { now } = cluster.timeline;
  let seen = cluster.similar.get(key);
  if (!seen || now - seen.at > SIMILAR_SPAN) cluster.similar.set(key, (seen = { messages: new Set(), at: now }));
  seen.messages.add(message);
  seen.at = now;
  if (seen.messages.size < SIMILAR) return null;
  seen.messages.delete(seen.messages.values().next().value!);
  return key;
}

function allowed(cluster: Cluster, subject: string): boolean {
  const { now } = cluster.timeline;
  const bucket = cluster.spam.get(subject);
  if (!bucket) {
    cluster.spam.set(subject, { tokens: BURST - 1, at: now });
    return true;
  }
  bucket.tokens = Math.min(BURST, bucket.tokens + (now - bucket.at) / REFILL);
  bucket.at = now;
  if (bucket.tokens < 1) return false;
  bucket.tokens--;
  return true;
}

const HALF = 2 ** 32;
const EPOCH_HIGH = Number((BigInt(EPOCH_SECONDS) * BigInt(SECOND)) / BigInt(HALF));
const EPOCH_LOW = Number((BigInt(EPOCH_SECONDS) * BigInt(SECOND)) % BigInt(HALF));

/** The object's name and the time in hexadecimal ns, as client-go names events: lists of them are in order of time. */
function eventName(store: Store, namespace: string, about: string, now: number): string {
  for (let low = EPOCH_LOW + Math.floor(now); ; low++) {
    const name = joined([about, '.', (EPOCH_HIGH + Math.floor(low / HALF)).toString(16), (low % HALF).toString(16).padStart(8, '0')]);
    if (!get(store, 'Event', `${namespace}/${name}`)) return name;
  }
}

/** An event was written: it may be older than all. */
export function noticeEvent(cluster: Cluster, { lastTimestamp }: KubeEvent): void {
  const seconds = EPOCH_SECONDS + cluster.timeline.now / SECOND;
  cluster.oldestEvent = Math.min(cluster.oldestEvent, lastTimestamp === stamp(cluster.timeline) ? seconds : (parseTime(lastTimestamp) ?? seconds));
}

/** Forgets events older than an hour. */
export function expireEvents(cluster: Cluster, nowSeconds: number): void {
  if (nowSeconds - cluster.oldestEvent > HOUR_SECONDS) {
    let oldest = Number.POSITIVE_INFINITY;
    for (const event of [...(cluster.store.tables.get('Event')?.values() ?? [])] as KubeEvent[]) {
      const at = parseTime(event.lastTimestamp) ?? nowSeconds;
      if (nowSeconds - at > HOUR_SECONDS) drop(cluster.store, event);
      else oldest = Math.min(oldest, at);
    }
    cluster.oldestEvent = oldest;
  }
  for (const [same, key] of cluster.eventNames) if (!get(cluster.store, 'Event', key)) cluster.eventNames.delete(same);
  const { now } = cluster.timeline;
  for (const [key, seen] of cluster.similar) if (now - seen.at > SIMILAR_SPAN) cluster.similar.delete(key);
  for (const [key, bucket] of cluster.spam) if (now - bucket.at > HOUR_SECONDS * SECOND) cluster.spam.delete(key);
}
