/** Kubernetes events: what a component says about an object; the same words about the same object count up. They live an hour. */
import { joined } from '../../sim/text.ts';
import { EPOCH_SECONDS, SECOND } from '../../sim/units.ts';
import { HOUR_SECONDS } from './timers.ts';
import type { Cluster, Series } from '../state.ts';
import { uid } from '../state.ts';
import { drop, get, microStamp, put, stamp, type Store } from '../store.ts';
import { extended, type KubeEvent, type KubeObject, saidAt } from '../types/objects.ts';
import { parseTime } from '../types/time.ts';

export function emit(cluster: Cluster, about: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string, component: string, host?: string): void {
  if (ACTIONS[reason]) return modern(cluster, about, type, reason, message, component);
  const { namespace = 'default', name: of, uid: id } = about.metadata;
  const subject = `${component}|${host ?? ''}|${about.kind}|${namespace}|${of}|${id}`;
  const combined = combine(cluster, `${subject}|${type}|${reason}`, message);
  const same = combined ?? `${subject}|${type}|${reason}|${message}`;
  if (!allowed(cluster, subject)) return;
  const now = stamp(cluster.timeline);
  const known = cluster.eventNames.get(same);
  const old = known ? get<KubeEvent>(cluster.store, 'Event', known) : undefined;
  const words = combined ? `(combined from similar events): ${message}` : message;
  if (old) {
    put(cluster.store, { ...old, metadata: { ...old.metadata }, message: words, count: (old.count ?? 1) + 1, lastTimestamp: now });
    return;
  }
  const source = host ? { component, host } : { component };
  cluster.eventNames.set(same, write(cluster, about, type, reason, words, { count: 1, firstTimestamp: now, lastTimestamp: now, source, reportingComponent: component, reportingInstance: host ?? '' }));
}

/** A new event; its key. */
function write(cluster: Cluster, about: KubeObject, type: string, reason: string, message: string, more: Partial<KubeEvent>): string {
  const { metadata, apiVersion } = about;
  const namespace = metadata.namespace ?? 'default';
  const { name, key } = eventName(cluster.store, namespace, metadata.name, cluster.timeline.now);
  const involved = metadata.namespace ? { kind: about.kind, namespace, name: metadata.name } : { kind: about.kind, name: metadata.name };
  const event: KubeEvent = {
    apiVersion: 'v1', kind: 'Event',
    metadata: { name, namespace, uid: uid(cluster.random), creationTimestamp: stamp(cluster.timeline), resourceVersion: '' },
    involvedObject: extended(involved, { uid: metadata.uid ?? '', apiVersion, resourceVersion: metadata.resourceVersion ?? '' } as object),
    reason, message, type, firstTimestamp: null, lastTimestamp: null, source: NOWHERE,
  };
  put(cluster.store, extended(event, more), key);
  return key;
}

const NOWHERE = {};

/** What the scheduler says by the newer recorder, with the action that it was about. */
const ACTIONS: Readonly<Record<string, string>> = { Scheduled: 'Binding', FailedScheduling: 'Scheduling', Preempted: 'Preempting' };
/** The recorder's name on its machine. */
const instances = new Map<string, string>();

function instanceOf(component: string): string {
  let name = instances.get(component);
  if (name === undefined) instances.set(component, (name = `${component}-control-plane`));
  return name;
}
/** A series is written at its first repetition, then every 30 minutes, and when nothing was added for six. */
const REFRESH = 1800 * SECOND;
const FINISH = 360 * SECOND;

/**
 * The newer recorder (client-go tools/events): the same thing about the same object at the same version is a series, whatever the
 * words. It neither combines nor drops.
 */
function modern(cluster: Cluster, about: KubeObject, type: string, reason: string, message: string, component: string): void {
  const { timeline } = cluster;
  const said = { eventTime: microStamp(timeline), action: ACTIONS[reason]!, reportingComponent: component, reportingInstance: instanceOf(component) };
  if (reason === 'Scheduled') {
    write(cluster, about, type, reason, message, said);
    return;
  }
  const key = `${component}|${about.kind}|${about.metadata.uid}|${about.metadata.resourceVersion}|${type}|${reason}`;
  const known = cluster.series.get(key);
  if (known) {
    known.count++;
    known.at = timeline.now;
    known.last = microStamp(timeline);
    if (known.count === 2) writeSeries(cluster, known);
    return;
  }
  const event = write(cluster, about, type, reason, message, said);
  cluster.series.set(key, { event, count: 1, at: timeline.now, last: '', written: 1, writtenAt: timeline.now });
}

function writeSeries(cluster: Cluster, s: Series): void {
  const event = get<KubeEvent>(cluster.store, 'Event', s.event);
  s.written = s.count;
  s.writtenAt = cluster.timeline.now;
  if (event) put(cluster.store, { ...event, metadata: { ...event.metadata }, series: { count: s.count, lastObservedTime: s.last } });
}

function sweepSeries(cluster: Cluster): void {
  const { now } = cluster.timeline;
  for (const [key, s] of cluster.series) {
    const over = now - s.at > FINISH;
    if (s.count > s.written && (over || now - s.writtenAt > REFRESH)) writeSeries(cluster, s);
    if (over) cluster.series.delete(key);
  }
}

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
function eventName(store: Store, namespace: string, about: string, now: number): { name: string; key: string } {
  for (let low = EPOCH_LOW + Math.floor(now); ; low++) {
    const name = joined([about, '.', (EPOCH_HIGH + Math.floor(low / HALF)).toString(16), (low % HALF).toString(16).padStart(8, '0')]);
    const key = joined([namespace, '/', name]);
    if (!get(store, 'Event', key)) return { name, key };
  }
}

/** An event was written: it may be older than all. */
export function noticeEvent(cluster: Cluster, event: KubeEvent): void {
  const seconds = EPOCH_SECONDS + cluster.timeline.now / SECOND;
  const fresh = event.lastTimestamp === stamp(cluster.timeline) || event.metadata.creationTimestamp === stamp(cluster.timeline);
  cluster.oldestEvent = Math.min(cluster.oldestEvent, fresh ? seconds : (parseTime(saidAt(event)) ?? seconds));
}

/** Forgets events older than an hour. */
export function expireEvents(cluster: Cluster, nowSeconds: number): void {
  sweepSeries(cluster);
  if (nowSeconds - cluster.oldestEvent > HOUR_SECONDS) {
    let oldest = Number.POSITIVE_INFINITY;
    for (const event of [...(cluster.store.tables.get('Event')?.values() ?? [])] as KubeEvent[]) {
      const at = parseTime(saidAt(event)) ?? nowSeconds;
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
