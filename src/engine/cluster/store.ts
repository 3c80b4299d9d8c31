/**
 * What etcd and the watch cache are: objects by kind and name, one revision counter over all of them, the newest changes
 * kept for watches that begin in the past, and listeners that hear each change once, in order.
 *
 * Invariant: an object in the store is never changed in place; every write puts a new one with a new resourceVersion.
 */
import { joined } from '../sim/text.ts';
import type { Timeline } from '../sim/timeline.ts';
import { EPOCH_SECONDS, SECOND } from '../sim/units.ts';
import { indexPod, labelTerm, nodeTerm, type PodIndex } from './podindex.ts';
import { createSharing, type Sharing, share } from './sharing.ts';
import { type KubeObject, keyOf, type Labels, type Pod } from './types/objects.ts';
import { rfc3339 } from './types/time.ts';

export interface Change {
  revision: number;
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  kind: string;
  /** "namespace/name" */
  key: string;
  object: KubeObject;
  /** What it was before; absent when added. */
  old?: KubeObject;
  /** ns; and who wrote it: a controller, "kubelet", "kubectl". */
  at: number;
  by: string;
}

export type Listener = (change: Change) => void;

export interface Store {
  timeline: Timeline;
  /** Who is writing now. */
  actor: string;
  revision: number;
  tables: Map<string, Map<string, KubeObject>>;
  /** The newest changes, oldest first; leases, which beat all the time, apart. */
  history: Change[];
  beats: Change[];
  /** Changes up to these revisions are no longer kept. */
  forgotten: number;
  forgottenBeats: number;
  listeners: Set<Listener>;
  /** Owner's uid to what it owns, by "Kind namespace/name". */
  owned: Map<string, Map<string, KubeObject>>;
  /** Keys of pods by node and by label: see `termsOf`. */
  pods: PodIndex;
  /** Keys of a kind in order, as of when they were last asked for, and what has changed since. */
  sorted: Map<string, Sorted>;
  /** Values that many objects have alike, kept once. */
  shared: Sharing;
}

interface Sorted {
  keys: string[];
  added: string[];
  /** Some of the keys may be gone. */
  dropped: boolean;
}

const HISTORY = 20_000;
const BEATS = 2_000;

export function createStore(timeline: Timeline): Store {
  return { timeline, actor: '', revision: 1, tables: new Map(), history: [], beats: [], forgotten: 1, forgottenBeats: 1, listeners: new Set(), owned: new Map(), pods: new Map(), sorted: new Map(), shared: createSharing() };
}

/** The API's time: whole seconds, RFC 3339. */
export function stamp(timeline: Timeline, at = timeline.now): string {
  return rfc3339(EPOCH_SECONDS + Math.floor(at / SECOND));
}

/** With microseconds, as leases have it. */
export function microStamp(timeline: Timeline): string {
  const micros = String(Math.floor((timeline.now % SECOND) / 1000)).padStart(6, '0');
  return joined([stamp(timeline).slice(0, -1), '.', micros, 'Z']);
}

export function table(store: Store, kind: string): Map<string, KubeObject> {
  let found = store.tables.get(kind);
  if (!found) {
    found = new Map();
    store.tables.set(kind, found);
  }
  return found;
}

export function get<T extends KubeObject = KubeObject>(store: Store, kind: string, key: string): T | undefined {
  return store.tables.get(kind)?.get(key) as T | undefined;
}

/** All of a kind, in one namespace or all, sorted by name as etcd's keys are. */
export function list<T extends KubeObject = KubeObject>(store: Store, kind: string, namespace?: string): T[] {
  const rows = store.tables.get(kind);
  if (!rows) return [];
  const out: KubeObject[] = [];
  for (const key of keysOf(store, kind, rows)) {
    const object = rows.get(key)!;
    if (namespace === undefined || object.metadata.namespace === namespace) out.push(object);
  }
  return out as T[];
}

function keysOf(store: Store, kind: string, rows: Map<string, KubeObject>): string[] {
  const known = store.sorted.get(kind);
  if (known && known.added.length === 0 && !known.dropped) return known.keys;
  const keys = known && known.added.length < rows.size / 4 ? merged(known, rows) : [...rows.keys()].sort();
  store.sorted.set(kind, { keys, added: [], dropped: false });
  return keys;
}

/** The keys that are left and those that came, in order, each once. */
function merged({ keys, added }: Sorted, rows: Map<string, KubeObject>): string[] {
  const out: string[] = [];
  const fresh = added.sort();
  let at = 0;
  const take = (key: string): void => {
    if (key !== out[out.length - 1] && rows.has(key)) out.push(key);
  };
  for (const key of keys) {
    while (at < fresh.length && fresh[at]! <= key) take(fresh[at++]!);
    take(key);
  }
  while (at < fresh.length) take(fresh[at++]!);
  return out;
}

/** Pods bound to a node, sorted by name. */
export function podsOnNode(store: Store, node: string): Pod[] {
  return lookUp(store, nodeTerm(node));
}

/** Pods of a namespace that have all these labels, sorted by name; there must be at least one. */
export function podsLabelled(store: Store, namespace: string, labels: Labels): Pod[] {
  const [first, ...rest] = Object.entries(labels);
  if (!first) return list<Pod>(store, 'Pod', namespace);
  return lookUp(store, labelTerm(namespace, first[0], first[1])).filter((pod) => rest.every(([k, v]) => pod.metadata.labels?.[k] === v));
}

function lookUp(store: Store, term: string): Pod[] {
  const keys = store.pods.get(term);
  if (!keys) return [];
  const rows = store.tables.get('Pod')!;
  return [...keys].sort().map((key) => rows.get(key) as Pod);
}

/** As `list`, at a past revision that the store still knows: the newer changes are taken back. */
export function listAt<T extends KubeObject = KubeObject>(store: Store, kind: string, revision: number, namespace?: string): T[] {
  const rows = new Map(store.tables.get(kind));
  takeBack(changesOf(store, kind), revision, (change) => {
    if (change.kind !== kind) return;
    if (change.old) rows.set(change.key, change.old);
    else rows.delete(change.key);
  });
  return [...rows.values()].filter((o) => namespace === undefined || o.metadata.namespace === namespace).sort(byKey) as T[];
}

/** The newest changes first, down to a revision. */
function takeBack(changes: readonly Change[], revision: number, undo: (change: Change) => void): void {
  for (let i = changes.length - 1; i >= 0 && changes[i]!.revision > revision; i--) undo(changes[i]!);
}

/** The changes kept that a kind's are among. */
export const changesOf = (store: Store, kind: string): readonly Change[] => (kind === 'Lease' ? store.beats : store.history);
export const forgottenOf = (store: Store, kind: string): number => (kind === 'Lease' ? store.forgottenBeats : store.forgotten);

/** All objects (leases are left out) as they were at a past revision that is still known, with their indexes; nobody writes to it. */
export function storeAt(store: Store, revision: number): Store {
  const tables = new Map([...store.tables].filter(([kind]) => kind !== 'Lease').map(([kind, rows]) => [kind, new Map(rows)]));
  takeBack(store.history, revision, (change) => {
    const rows = tables.get(change.kind)!;
    if (change.old) rows.set(change.key, change.old);
    else rows.delete(change.key);
  });
  const past: Store = { ...createStore(store.timeline), revision, tables, history: store.history.filter((c) => c.revision <= revision), forgotten: store.forgotten };
  for (const [kind, rows] of tables) {
    for (const [key, object] of rows) {
      if (kind === 'Pod') indexPod(past.pods, key, undefined, object as Pod);
      index(past, undefined, object);
    }
  }
  return past;
}

function byKey(a: KubeObject, b: KubeObject): number {
  const x = keyOf(a.metadata);
  const y = keyOf(b.metadata);
  return x < y ? -1 : x > y ? 1 : 0;
}

/** What `uid` owns, of one kind, in order of creation. */
export function ownedBy<T extends KubeObject = KubeObject>(store: Store, uid: string, kind?: string): T[] {
  const out: KubeObject[] = [];
  for (const object of store.owned.get(uid)?.values() ?? []) if (kind === undefined || object.kind === kind) out.push(object);
  return out as T[];
}

/** Writes `object` (a fresh value) under the next revision and tells everyone. Who has its key at hand gives it. */
export function put(store: Store, object: KubeObject, key = storedKey(object)): KubeObject {
  const { kind } = object;
  const rows = table(store, kind);
  const old = rows.get(key);
  if (!old) {
    store.sorted.get(kind)?.added.push(key);
    if (kind === 'Pod') share(store.shared, object as Pod);
  }
  if (kind === 'Pod') indexPod(store.pods, key, old as Pod | undefined, object as Pod);
  object.metadata.resourceVersion = String(++store.revision);
  rows.set(key, object);
  index(store, old, object);
  publish(store, old ? { revision: store.revision, type: 'MODIFIED', kind, key, object, old, at: store.timeline.now, by: store.actor } : { revision: store.revision, type: 'ADDED', kind, key, object, at: store.timeline.now, by: store.actor });
  return object;
}

function storedKey({ metadata: { namespace, name } }: KubeObject): string {
  return namespace ? joined([namespace, '/', name]) : name;
}

export function drop(store: Store, object: KubeObject): void {
  const key = storedKey(object);
  const old = table(store, object.kind).get(key);
  if (!old) return;
  table(store, object.kind).delete(key);
  const known = store.sorted.get(object.kind);
  if (known) known.dropped = true;
  if (object.kind === 'Pod') indexPod(store.pods, key, old as Pod, undefined);
  index(store, old, undefined);
  const last = { ...object, metadata: { ...object.metadata, resourceVersion: String(++store.revision) } };
  publish(store, { revision: store.revision, type: 'DELETED', kind: object.kind, key, object: last, old, at: store.timeline.now, by: store.actor });
}

function index(store: Store, old: KubeObject | undefined, now: KubeObject | undefined): void {
  if (!old?.metadata.ownerReferences && !now?.metadata.ownerReferences) return;
  const entry = (o: KubeObject): string => `${o.kind} ${keyOf(o.metadata)}`;
  for (const ref of old?.metadata.ownerReferences ?? []) {
    if (now?.metadata.ownerReferences?.some((r) => r.uid === ref.uid)) continue;
    const set = store.owned.get(ref.uid);
    set?.delete(entry(old!));
    if (set?.size === 0) store.owned.delete(ref.uid);
  }
  for (const ref of now?.metadata.ownerReferences ?? []) {
    let set = store.owned.get(ref.uid);
    if (!set) {
      set = new Map();
      store.owned.set(ref.uid, set);
    }
    set.set(entry(now!), now!);
  }
}

function publish(store: Store, change: Change): void {
  if (change.kind === 'Lease') store.forgottenBeats = keep(store.beats, change, BEATS) ?? store.forgottenBeats;
  else store.forgotten = keep(store.history, change, HISTORY) ?? store.forgotten;
  for (const listener of [...store.listeners]) listener(change);
}

/** Adds a change to those kept; when some were let go, the newest revision among them. */
function keep(kept: Change[], change: Change, most: number): number | null {
  kept.push(change);
  if (kept.length <= most * 1.25) return null;
  return kept.splice(0, kept.length - most).at(-1)!.revision;
}
