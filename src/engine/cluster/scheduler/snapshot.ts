/**
 * What the scheduler keeps about all nodes together, so that no cycle walks all pods: for each selector that somebody asked
 * about, how many pods it matches on each node; for each (anti-)affinity term of pods that are there, the same of its owners;
 * topology values by node; which nodes a node selector admits. Kept as pods come and go; nodes that come and go start it anew.
 */
import type { Labels, LabelSelector, Pod } from '../types/objects.ts';
import { matchesSelector } from '../types/selectors.ts';
import { type Columns, noColumns } from './columns.ts';
import { type NodeInfo, type Room, roomFor } from './profile.ts';

/** Pods of some sort: by node index, in all, and by the values of those topology keys that somebody asked for. */
export interface Counts {
  counts: Int32Array;
  total: number;
  sums: Map<string, Sums>;
}

export interface Sums {
  /** By node index: the topology value's index, or -1. */
  of: Int32Array;
  /** By topology value. */
  sums: Int32Array;
  /** On nodes that have a value. */
  total: number;
}

/** Pods that match. */
export interface Counter extends Counts {
  matches(pod: Pod): boolean;
}

export type TermKind = 'likes' | 'avoids' | 'wants' | 'shuns';

/** One (anti-)affinity term that pods on nodes have: wants and shuns are required, likes and avoids preferred. */
export interface OwnedTerm extends Counts {
  kind: TermKind;
  term: Term;
  weight: number;
  /** Of the pods that have it, which are counted. */
  namespace: string | undefined;
}

export interface Term {
  labelSelector?: LabelSelector;
  namespaces?: string[];
  namespaceSelector?: LabelSelector;
  topologyKey: string;
}

export interface Topology {
  /** By node index: the value's index, or -1. */
  of: Int32Array;
  values: string[];
  /** Every node has a value. */
  complete: boolean;
}

export interface Snapshot {
  nodes: readonly NodeInfo[];
  room: Room;
  counters: Map<string, Counter>;
  /** Counters by what a pod must at least have: "namespace\nlabel=value", "namespace\n" or "\n". */
  byHint: Map<string, Counter[]>;
  terms: Map<string, OwnedTerm>;
  topologies: Map<string, Topology>;
  masks: Map<string, Uint8Array>;
  /** Some node is cordoned; has a taint that keeps pods away; has one that costs score. Null: not known now. */
  traits: { cordoned: boolean; tainted: boolean; dispreferred: boolean } | null;
  /** Room for a cycle's list of nodes. */
  places: Int32Array;
  columns: Columns;
  /** Labels of namespaces, for terms that select them. */
  spaces: ReadonlyMap<string, Labels>;
}

/** Counters kept at most: the oldest goes, and is counted again when it is asked for. */
const KEPT_COUNTERS = 600;
const KEPT_MASKS = 200;
const NO_SPACES: ReadonlyMap<string, Labels> = new Map();
const known = new WeakMap<readonly NodeInfo[], Snapshot>();

/** The snapshot over these nodes: one for each list. */
export function snapshotOf(nodes: readonly NodeInfo[]): Snapshot {
  let found = known.get(nodes);
  if (found) return found;
  found = { nodes, room: roomFor(nodes.length), counters: new Map(), byHint: new Map(), terms: new Map(), topologies: new Map(), masks: new Map(), traits: null, places: new Int32Array(nodes.length), columns: noColumns(), spaces: NO_SPACES };
  known.set(nodes, found);
  for (const [i, info] of nodes.entries()) {
    for (const column of Object.keys(found.room) as (keyof Room)[]) found.room[column][i] = info.room[column][info.index]!;
    info.room = found.room;
    info.home = found;
    info.index = i;
  }
  for (const info of nodes) if (info.affine > 0) for (const pod of info.pods.values()) tallyTerms(found, pod, info.index, 1);
  return found;
}

/** A pod came to (1) or left (-1) a node. */
export function tally(snapshot: Snapshot, pod: Pod, index: number, sign: number): void {
  if (snapshot.byHint.size > 0) {
    const { namespace, labels } = pod.metadata;
    bump(snapshot.byHint.get('\n'), pod, index, sign);
    bump(snapshot.byHint.get(`${namespace}\n`), pod, index, sign);
    for (const key in labels) bump(snapshot.byHint.get(`${namespace}\n${key}=${labels[key]}`), pod, index, sign);
  }
  if (pod.spec.affinity) tallyTerms(snapshot, pod, index, sign);
}

function bump(counters: readonly Counter[] | undefined, pod: Pod, index: number, sign: number): void {
  if (!counters) return;
  for (const counter of counters) {
    if (counter.matches(pod)) count(counter, index, sign);
  }
}

function count(counts: Counts, index: number, sign: number): void {
  counts.counts[index]! += sign;
  counts.total += sign;
  if (counts.sums.size === 0) return;
  for (const one of counts.sums.values()) {
    const value = one.of[index]!;
    if (value < 0) continue;
    one.sums[value]! += sign;
    one.total += sign;
  }
}

/** Counts by the values of a topology key: added up when they are first asked for, kept from then on. */
export function sumsOf(snapshot: Snapshot, counts: Counts, key: string): Sums {
  let found = counts.sums.get(key);
  if (found) return found;
  const { of, values } = topology(snapshot, key);
  found = { of, sums: new Int32Array(values.length), total: 0 };
  for (let i = 0; i < of.length; i++) {
    const n = counts.counts[i]!;
    if (n === 0 || of[i]! < 0) continue;
    found.sums[of[i]!]! += n;
    found.total += n;
  }
  counts.sums.set(key, found);
  return found;
}

export function hintOf(namespace: string | undefined, selector: LabelSelector | undefined | null): string {
  for (const key in selector?.matchLabels) return `${namespace}\n${key}=${selector.matchLabels[key]}`;
  return `${namespace}\n`;
}

/** Pods that match, by node; `key` says what is matched, `hint` what every matching pod has (see Snapshot.byHint). */
export function counter(snapshot: Snapshot, key: string, hint: string, matches: (pod: Pod) => boolean): Counter {
  const name = `${hint}\n${key}`;
  let found = snapshot.counters.get(name);
  if (found) return found;
  found = { counts: new Int32Array(snapshot.nodes.length), total: 0, sums: new Map(), matches };
  for (const [i, info] of snapshot.nodes.entries()) for (const pod of info.pods.values()) if (matches(pod)) found.counts[i]!++;
  for (const n of found.counts) found.total += n;
  if (snapshot.counters.size >= KEPT_COUNTERS) forgetOldest(snapshot);
  snapshot.counters.set(name, found);
  const peers = snapshot.byHint.get(hint);
  if (peers) peers.push(found);
  else snapshot.byHint.set(hint, [found]);
  return found;
}

function forgetOldest(snapshot: Snapshot): void {
  const [name, gone] = snapshot.counters.entries().next().value!;
  snapshot.counters.delete(name);
  for (const [hint, peers] of snapshot.byHint) {
    const at = peers.indexOf(gone);
    if (at < 0) continue;
    peers.splice(at, 1);
    if (peers.length === 0) snapshot.byHint.delete(hint);
    return;
  }
}

export function topology(snapshot: Snapshot, key: string): Topology {
  let found = snapshot.topologies.get(key);
  if (found) return found;
  const index = new Map<string, number>();
  const of = new Int32Array(snapshot.nodes.length).fill(-1);
  let complete = true;
  for (const [i, info] of snapshot.nodes.entries()) {
    const value = info.node.metadata.labels?.[key];
    if (value === undefined) {
      complete = false;
      continue;
    }
    let at = index.get(value);
    if (at === undefined) index.set(value, (at = index.size));
    of[i] = at;
  }
  found = { of, values: [...index.keys()], complete };
  snapshot.topologies.set(key, found);
  return found;
}

/** One byte a node, by a question about nodes alone; `key` says which. */
export function mask(snapshot: Snapshot, key: string, admits: (info: NodeInfo) => boolean): Uint8Array {
  let found = snapshot.masks.get(key);
  if (found) return found;
  found = Uint8Array.from(snapshot.nodes, (info) => (admits(info) ? 1 : 0));
  if (snapshot.masks.size >= KEPT_MASKS) snapshot.masks.delete(snapshot.masks.keys().next().value!);
  snapshot.masks.set(key, found);
  return found;
}

export function traitsOf(snapshot: Snapshot): NonNullable<Snapshot['traits']> {
  if (snapshot.traits) return snapshot.traits;
  const traits = { cordoned: false, tainted: false, dispreferred: false };
  for (const info of snapshot.nodes) {
    if (info.node.spec?.unschedulable) traits.cordoned = true;
    for (const taint of info.taints) {
      if (taint.effect === 'PreferNoSchedule') traits.dispreferred = true;
      else traits.tainted = true;
    }
  }
  snapshot.traits = traits;
  return traits;
}

/** A node's own state changed: what was worked out of nodes is not known any more. */
export function nodeChanged(snapshot: Snapshot, labelsDiffer: boolean): void {
  snapshot.traits = null;
  if (snapshot.masks.size > 0) snapshot.masks.clear();
  if (!labelsDiffer) return;
  snapshot.topologies.clear();
  for (const counter of snapshot.counters.values()) counter.sums.clear();
  for (const term of snapshot.terms.values()) term.sums.clear();
}

/** Whether a term of a pod of `namespace` means `pod`. */
export function means(term: Term, namespace: string | undefined, pod: Pod, spaces: ReadonlyMap<string, Labels> = NO_SPACES): boolean {
  return reaches(term, namespace, pod.metadata.namespace, spaces) && matchesSelector(term.labelSelector, pod.metadata.labels);
}

function reaches(term: Term, own: string | undefined, other: string | undefined, spaces: ReadonlyMap<string, Labels>): boolean {
  if (term.namespaces?.includes(other ?? '')) return true;
  const { namespaceSelector: chosen } = term;
  if (chosen) return Object.keys(chosen).length === 0 || matchesSelector(chosen, spaces.get(other ?? ''));
  return !term.namespaces?.length && own === other;
}

type Side = { required: readonly Term[]; preferred: readonly { weight: number; podAffinityTerm: Term }[] };
const NO_SIDE: Side = { required: [], preferred: [] };

export function sideOf(pod: Pod, kind: 'podAffinity' | 'podAntiAffinity'): Side {
  const side = pod.spec.affinity?.[kind];
  if (!side) return NO_SIDE;
  return {
    required: side.requiredDuringSchedulingIgnoredDuringExecution ?? [],
    preferred: (side.preferredDuringSchedulingIgnoredDuringExecution ?? []).filter((p: { podAffinityTerm?: Term }) => p.podAffinityTerm),
  };
}

interface Named { kind: TermKind; term: Term; weight: number; name: string }
const named = new WeakMap<object, Named[]>();

/** The terms of a pod, each with a name that equal terms share. */
function termsOf(pod: Pod): Named[] {
  const { affinity } = pod.spec;
  let found = named.get(affinity);
  if (found) return found;
  const likes = sideOf(pod, 'podAffinity');
  const avoids = sideOf(pod, 'podAntiAffinity');
  const one = (kind: TermKind, term: Term, weight: number): Named => ({ kind, term, weight, name: `${kind} ${weight} ${JSON.stringify(term)}` });
  found = [
    ...likes.required.map((t) => one('wants', t, 1)), ...likes.preferred.map((p) => one('likes', p.podAffinityTerm, p.weight)),
    ...avoids.required.map((t) => one('shuns', t, 1)), ...avoids.preferred.map((p) => one('avoids', p.podAffinityTerm, -p.weight)),
  ];
  named.set(affinity, found);
  return found;
}

function tallyTerms(snapshot: Snapshot, pod: Pod, index: number, sign: number): void {
  if (!pod.spec.affinity) return;
  const { namespace } = pod.metadata;
  for (const { kind, term, weight, name } of termsOf(pod)) {
    const key = `${namespace} ${name}`;
    let entry = snapshot.terms.get(key);
    if (!entry) snapshot.terms.set(key, (entry = { kind, term, weight, namespace, counts: new Int32Array(snapshot.nodes.length), total: 0, sums: new Map() }));
    count(entry, index, sign);
    if (entry.total === 0) snapshot.terms.delete(key);
  }
}
