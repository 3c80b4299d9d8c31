/**
 * InterPodAffinity: required terms let a pod in only where (or only where no) matching pods share a topology value; pods that are
 * there already may veto; preferred terms of both sides add to the score. Source: plugins/interpodaffinity/{filtering,scoring}.go.
 */
import type { Pod } from '../../types/objects.ts';
import { type CycleState, type FilterPlugin, jot, type Refusal, type ScorePlugin } from '../profile.ts';
import { type Counter, counter, hintOf, means, sideOf, type Snapshot, type Term, topology } from '../snapshot.ts';

/** A sum by topology value. */
interface Sums {
  of: Int32Array;
  sums: Float64Array;
}

/** Adds `weight` for every counted pod to the topology value of its node; whether there was any. */
function gather(snapshot: Snapshot, by: Map<string, Sums>, key: string, counts: Int32Array, weight: number): boolean {
  const { of, values } = topology(snapshot, key);
  let into = by.get(key);
  if (!into) by.set(key, (into = { of, sums: new Float64Array(values.length) }));
  let any = false;
  for (let i = 0; i < counts.length; i++) {
    const n = counts[i]!;
    if (n === 0 || of[i]! < 0) continue;
    into.sums[of[i]!]! += n * weight;
    any = true;
  }
  return any;
}

const hintFor = (term: Term, pod: Pod): string => (term.namespaceSelector || term.namespaces?.length ? '\n' : hintOf(pod.metadata.namespace, term.labelSelector));

/** Pods on nodes that all the terms of `pod` mean. */
function meant(snapshot: Snapshot, pod: Pod, terms: readonly Term[]): Counter {
  const own = pod.metadata.namespace;
  return counter(snapshot, `${own} means ${JSON.stringify(terms)}`, hintFor(terms[0]!, pod), (other) => terms.every((t) => means(t, own, other, snapshot.spaces)));
}

interface Counts {
  wants: readonly Term[];
  shuns: readonly Term[];
  affinity: Map<string, Sums>;
  anti: Map<string, Sums>;
  existing: Map<string, Sums>;
  /** No pod that the affinity terms mean is anywhere, and the pod itself would do. */
  first: boolean;
}

function count({ pod, snapshot }: CycleState): Counts | null {
  const wants = sideOf(pod, 'podAffinity').required;
  const shuns = sideOf(pod, 'podAntiAffinity').required;
  const counts: Counts = { wants, shuns, affinity: new Map(), anti: new Map(), existing: new Map(), first: false };
  for (const entry of snapshot.terms.values()) {
    if (entry.kind === 'shuns' && means(entry.term, entry.namespace, pod, snapshot.spaces)) gather(snapshot, counts.existing, entry.term.topologyKey, entry.counts, 1);
  }
  if (wants.length > 0) {
    const { counts: there } = meant(snapshot, pod, wants);
    let any = false;
    for (const term of wants) if (gather(snapshot, counts.affinity, term.topologyKey, there, 1)) any = true;
    counts.first = !any && wants.every((t) => means(t, pod.metadata.namespace, pod, snapshot.spaces));
  }
  for (const term of shuns) gather(snapshot, counts.anti, term.topologyKey, meant(snapshot, pod, [term]).counts, 1);
  return wants.length + shuns.length + counts.existing.size > 0 ? counts : null;
}

function counted(state: CycleState): Counts | null {
  let found = state.scratch.get('interpod') as Counts | null | undefined;
  if (found === undefined) state.scratch.set('interpod', (found = count(state)));
  return found;
}

/** The sum of a node's topology value; undefined without the label. */
function at(by: Map<string, Sums>, key: string, index: number): number | undefined {
  const sums = by.get(key)!;
  const value = sums.of[index]!;
  return value < 0 ? undefined : sums.sums[value];
}

export const interPodFilter: FilterPlugin = {
  name: 'InterPodAffinity',
  skips: (state) => counted(state) === null,
  filter(state, { index }) {
    const counts = counted(state);
    if (!counts) return null;
    const says = (reason: string, resolvable: boolean): Refusal => ({
      reasons: state.profile.legacy ? ["node(s) didn't match pod affinity/anti-affinity", reason] : [reason], resolvable,
    });
    let exist = true;
    for (const term of counts.wants) {
      const there = at(counts.affinity, term.topologyKey, index);
      if (there === undefined) return says("node(s) didn't match pod affinity rules", false);
      if (there === 0) exist = false;
    }
    if (!exist && !counts.first) return says("node(s) didn't match pod affinity rules", false);
    for (const term of counts.shuns) if (at(counts.anti, term.topologyKey, index)) return says("node(s) didn't match pod anti-affinity rules", true);
    for (const key of counts.existing.keys()) if (at(counts.existing, key, index)) return says("node(s) didn't satisfy existing pods anti-affinity rules", true);
    return null;
  },
};

/** Score by topology value; empty when no term of either side met a pod. */
function weigh({ pod, snapshot }: CycleState): Map<string, Sums> {
  const scores = new Map<string, Sums>();
  let any = false;
  const add = (key: string, counts: Int32Array, weight: number): void => {
    if (gather(snapshot, scores, key, counts, weight)) any = true;
  };
  for (const p of sideOf(pod, 'podAffinity').preferred) add(p.podAffinityTerm.topologyKey, meant(snapshot, pod, [p.podAffinityTerm]).counts, p.weight);
  for (const p of sideOf(pod, 'podAntiAffinity').preferred) add(p.podAffinityTerm.topologyKey, meant(snapshot, pod, [p.podAffinityTerm]).counts, -p.weight);
  for (const entry of snapshot.terms.values()) {
    if (entry.kind !== 'shuns' && means(entry.term, entry.namespace, pod, snapshot.spaces)) add(entry.term.topologyKey, entry.counts, entry.weight);
  }
  if (!any) scores.clear();
  return scores;
}

const weighed = (state: CycleState): Map<string, Sums> => state.scratch.get('interpod-score') as Map<string, Sums>;

export const interPodScore: ScorePlugin = {
  name: 'InterPodAffinity',
  applies(state) {
    const scores = weigh(state);
    state.scratch.set('interpod-score', scores);
    return state.profile.legacy || scores.size > 0;
  },
  score(state, index, operands) {
    const scores = weighed(state);
    if (scores.size === 0) return 0;
    let sum = 0;
    for (const key of scores.keys()) sum += at(scores, key, index) ?? 0;
    jot(operands, sum);
    return sum;
  },
  normalize(state, scores) {
    if (weighed(state).size === 0) return;
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
