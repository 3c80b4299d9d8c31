/**
 * InterPodAffinity: required terms let a pod in only where (or only where no) matching pods share a topology value; pods that are
 * there already may veto; preferred terms of both sides add to the score. Source: plugins/interpodaffinity/{filtering,scoring}.go.
 */
import type { Pod } from '../../types/objects.ts';
import { type CycleState, type FilterPlugin, jot, type Refusal, type ScorePlugin } from '../profile.ts';
import { type Counter, counter, type Counts, hintOf, means, sideOf, type Snapshot, type Sums, sumsOf, type Term } from '../snapshot.ts';

const hintFor = (term: Term, pod: Pod): string => (term.namespaceSelector || term.namespaces?.length ? '\n' : hintOf(pod.metadata.namespace, term.labelSelector));

/** Pods on nodes that all the terms of `pod` mean. */
function meant(snapshot: Snapshot, pod: Pod, terms: readonly Term[]): Counter {
  const own = pod.metadata.namespace;
  return counter(snapshot, `${own} means ${JSON.stringify(terms)}`, hintFor(terms[0]!, pod), (other) => terms.every((t) => means(t, own, other, snapshot.spaces)));
}

interface Met {
  /** By required term of affinity and of anti-affinity: pods that all of the former mean, or this one. */
  wanted: Sums[];
  shunned: Sums[];
  /** Owners of terms that shun this pod. */
  existing: Sums[];
  /** No pod that the affinity terms mean is anywhere, and the pod itself would do. */
  first: boolean;
}

function meet({ pod, snapshot }: CycleState): Met | null {
  const wants = sideOf(pod, 'podAffinity').required;
  const shuns = sideOf(pod, 'podAntiAffinity').required;
  const existing: Sums[] = [];
  for (const entry of snapshot.terms.values()) {
    if (entry.kind === 'shuns' && means(entry.term, entry.namespace, pod, snapshot.spaces)) existing.push(sumsOf(snapshot, entry, entry.term.topologyKey));
  }
  if (wants.length + shuns.length + existing.length === 0) return null;
  const there = wants.length > 0 ? meant(snapshot, pod, wants) : null;
  const wanted = wants.map((term) => sumsOf(snapshot, there!, term.topologyKey));
  return {
    wanted, shunned: shuns.map((term) => sumsOf(snapshot, meant(snapshot, pod, [term]), term.topologyKey)), existing,
    first: wants.length > 0 && wanted.every((sums) => sums.total === 0) && wants.every((t) => means(t, pod.metadata.namespace, pod, snapshot.spaces)),
  };
}

function met(state: CycleState): Met | null {
  let found = state.scratch.get('interpod') as Met | null | undefined;
  if (found === undefined) state.scratch.set('interpod', (found = meet(state)));
  return found;
}

/** The count of a node's topology value; -1 without the label. */
function at({ of, sums }: Sums, index: number): number {
  const value = of[index]!;
  return value < 0 ? -1 : sums[value]!;
}

/** Affinity is met when each term's topology value is there and holds a pod that all terms mean, or when this is the first such pod. */
function joins({ wanted, first }: Met, index: number): boolean {
  let exist = true;
  for (let i = 0; i < wanted.length; i++) {
    const there = at(wanted[i]!, index);
    if (there < 0) return false;
    if (there === 0) exist = false;
  }
  return exist || first;
}

function any(all: readonly Sums[], index: number): boolean {
  for (let i = 0; i < all.length; i++) if (at(all[i]!, index) > 0) return true;
  return false;
}

const refusal = (reason: string, resolvable: boolean): readonly [today: Refusal, old: Refusal] => [
  { reasons: [reason], resolvable }, { reasons: ["node(s) didn't match pod affinity/anti-affinity", reason], resolvable },
];
const APART = refusal("node(s) didn't match pod affinity rules", false);
const SHUNNED = refusal("node(s) didn't match pod anti-affinity rules", true);
const UNWANTED = refusal("node(s) didn't satisfy existing pods anti-affinity rules", true);

export const interPodFilter: FilterPlugin = {
  name: 'InterPodAffinity',
  seesPods: true,
  skips: (state) => met(state) === null,
  sift(state, places, all) {
    const found = met(state)!;
    let n = 0;
    for (let k = 0; k < all; k++) {
      const index = places[k]!;
      if (joins(found, index) && !any(found.shunned, index) && !any(found.existing, index)) places[n++] = index;
    }
    return n;
  },
  filter(state, { index }) {
    const found = met(state);
    if (!found) return null;
    const says = (one: readonly [Refusal, Refusal]): Refusal => one[state.profile.legacy ? 1 : 0];
    if (!joins(found, index)) return says(APART);
    if (any(found.shunned, index)) return says(SHUNNED);
    return any(found.existing, index) ? says(UNWANTED) : null;
  },
};

interface Weighed {
  sums: Sums;
  weight: number;
}

/** Counts with their weights; none when no term of either side met a pod. */
function weigh({ pod, snapshot }: CycleState): Weighed[] {
  const out: Weighed[] = [];
  const add = (key: string, counts: Counts, weight: number): void => {
    if (counts.total === 0) return;
    const sums = sumsOf(snapshot, counts, key);
    if (sums.total > 0) out.push({ sums, weight });
  };
  for (const p of sideOf(pod, 'podAffinity').preferred) add(p.podAffinityTerm.topologyKey, meant(snapshot, pod, [p.podAffinityTerm]), p.weight);
  for (const p of sideOf(pod, 'podAntiAffinity').preferred) add(p.podAffinityTerm.topologyKey, meant(snapshot, pod, [p.podAffinityTerm]), -p.weight);
  for (const entry of snapshot.terms.values()) {
    if (entry.kind !== 'shuns' && means(entry.term, entry.namespace, pod, snapshot.spaces)) add(entry.term.topologyKey, entry, entry.weight);
  }
  return out;
}

const weighed = (state: CycleState): Weighed[] => state.scratch.get('interpod-score') as Weighed[];

export const interPodScore: ScorePlugin = {
  name: 'InterPodAffinity',
  applies(state) {
    const scores = weigh(state);
    state.scratch.set('interpod-score', scores);
    return state.profile.legacy || scores.length > 0;
  },
  score(state, index, operands) {
    const scores = weighed(state);
    if (scores.length === 0) return 0;
    let sum = 0;
    for (let i = 0; i < scores.length; i++) sum += Math.max(0, at(scores[i]!.sums, index)) * scores[i]!.weight;
    jot(operands, sum);
    return sum;
  },
  normalize(state, scores) {
    if (weighed(state).length === 0) return;
    let min = state.profile.legacy ? 0 : Number.POSITIVE_INFINITY;
    let max = state.profile.legacy ? 0 : Number.NEGATIVE_INFINITY;
    for (const s of scores) {
      min = Math.min(min, s);
      max = Math.max(max, s);
    }
    for (let i = 0; i < scores.length; i++) scores[i] = max > min ? Math.trunc(100 * ((scores[i]! - min) / (max - min))) : 0;
  },
  formula: ({ 0: sum = 0 }) => `sum of weights of matching terms, both ways: ${sum}; 100*(${sum} - min)/(max - min) over nodes`,
};
