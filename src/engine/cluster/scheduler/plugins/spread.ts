/**
 * PodTopologySpread: hard constraints bound the skew between topology values; soft ones, and the defaults for pods of a Service
 * or ReplicaSet (hostname skew 3, zone skew 5), score by how many like pods are there. Source: plugins/podtopologyspread.
 */
import type { LabelSelector, Pod } from '../../types/objects.ts';
import { matchesSelector } from '../../types/selectors.ts';
import { type CycleState, type FilterPlugin, jot, type Refusal, type ScorePlugin } from '../profile.ts';
import { counter, type Counter, hintOf, mask, type Snapshot, sumsOf, topology, type Topology } from '../snapshot.ts';
import { nodeMask } from './affinity.ts';
import { tolerates } from './taints.ts';

interface Constraint {
  maxSkew: number;
  topologyKey: string;
  whenUnsatisfiable: string;
  labelSelector?: LabelSelector;
  matchLabelKeys?: string[];
  minDomains?: number;
  nodeAffinityPolicy?: string;
  nodeTaintsPolicy?: string;
}

const HOSTNAME = 'kubernetes.io/hostname';
const ZONE = 'topology.kubernetes.io/zone';

/** The pod's constraints of one mode, their selectors narrowed by matchLabelKeys. */
function own(pod: Pod, mode: string): Constraint[] {
  const out: Constraint[] = [];
  for (const c of (pod.spec.topologySpreadConstraints ?? []) as Constraint[]) {
    if (c.whenUnsatisfiable !== mode) continue;
    const labels = pod.metadata.labels ?? {};
    const keys = (c.matchLabelKeys ?? []).filter((key) => labels[key] !== undefined);
    if (keys.length === 0) out.push(c);
    else {
      const narrowed = keys.map((key) => ({ key, operator: 'In', values: [labels[key]!] }));
      out.push({ ...c, labelSelector: { ...c.labelSelector, matchExpressions: [...(c.labelSelector?.matchExpressions ?? []), ...narrowed] } });
    }
  }
  return out;
}

/** Living pods of the pod's namespace that the selector means, by node. */
function matching(snapshot: Snapshot, pod: Pod, selector: LabelSelector | undefined): Counter {
  const { namespace } = pod.metadata;
  const matches = (other: Pod): boolean => !other.metadata.deletionTimestamp && other.metadata.namespace === namespace && matchesSelector(selector, other.metadata.labels);
  return counter(snapshot, `spread ${JSON.stringify(selector)}`, hintOf(namespace, selector), matches);
}

/** Nodes whose taints the pod tolerates, for constraints that honour taints. */
function untainted({ snapshot, pod }: CycleState): Uint8Array {
  const tolerations = pod.spec.tolerations ?? [];
  return mask(snapshot, `taints ${JSON.stringify(tolerations)}`, (info) => info.taints.every((taint) => taint.effect === 'PreferNoSchedule' || tolerations.some((t) => tolerates(t, taint))));
}

/** Which nodes a constraint counts at all; null: all of them. */
function included(state: CycleState, c: Constraint, chosen: Uint8Array | null): ((i: number) => boolean) | null {
  const byAffinity = (state.profile.legacy || c.nodeAffinityPolicy !== 'Ignore') && chosen ? chosen : null;
  const byTaint = c.nodeTaintsPolicy === 'Honor' && !state.profile.legacy ? untainted(state) : null;
  if (!byAffinity && !byTaint) return null;
  return (i) => (byAffinity === null || byAffinity[i] === 1) && (byTaint === null || byTaint[i] === 1);
}

interface Hard {
  constraint: Constraint;
  of: Int32Array;
  /** Pods by topology value; -1: no domain. */
  counts: Int32Array;
  least: number;
  self: number;
}

/** Pods by topology value for each hard constraint, and the least of them. */
function hardCounts(state: CycleState, constraints: readonly Constraint[]): Hard[] {
  const { pod, snapshot, profile, nodes } = state;
  const chosen = nodeMask(state);
  const topologies = constraints.map((c) => topology(snapshot, c.topologyKey));
  const allComplete = topologies.every((t) => t.complete);
  const complete = (i: number): boolean => allComplete || topologies.every((t) => t.of[i]! >= 0);
  return constraints.map((c, n): Hard => {
    const counter = matching(snapshot, pod, c.labelSelector);
    const some = included(state, c, chosen);
    const counts = allComplete && !some ? sumsOf(snapshot, counter, c.topologyKey).sums : countDomains(topologies[n]!, counter.counts, some ?? EVERY, complete, profile.legacy, nodes.length);
    let least = Number.MAX_SAFE_INTEGER;
    let domains = 0;
    for (let v = 0; v < counts.length; v++) {
      const count = counts[v]!;
      if (count < 0) continue;
      domains++;
      if (count < least) least = count;
    }
    if (!profile.legacy && c.minDomains !== undefined && domains < c.minDomains) least = 0;
    return { constraint: c, of: topologies[n]!.of, counts, least, self: matchesSelector(c.labelSelector, pod.metadata.labels) ? 1 : 0 };
  });
}

const EVERY = (): boolean => true;

/** Pods by topology value, where only some nodes count; -1: no node of the value does. */
function countDomains({ of, values }: Topology, pods: Int32Array, counted: (i: number) => boolean, complete: (i: number) => boolean, legacy: boolean, nodes: number): Int32Array {
  const counts = new Int32Array(values.length).fill(-1);
  for (let i = 0; i < nodes; i++) if (of[i]! >= 0 && counts[of[i]!]! < 0 && counted(i) && complete(i)) counts[of[i]!] = 0;
  for (let i = 0; i < nodes; i++) if (pods[i]! > 0 && of[i]! >= 0 && counts[of[i]!]! >= 0 && (legacy || (counted(i) && complete(i)))) counts[of[i]!]! += pods[i]!;
  return counts;
}

function hard(state: CycleState): Hard[] {
  let found = state.scratch.get('spread') as Hard[] | undefined;
  if (!found) state.scratch.set('spread', (found = hardCounts(state, own(state.pod, 'DoNotSchedule'))));
  return found;
}

const UNLABELLED: Refusal = { reasons: ["node(s) didn't match pod topology spread constraints (missing required label)"], resolvable: false };
const SKEWED: Refusal = { reasons: ["node(s) didn't match pod topology spread constraints"], resolvable: true };

export const spreadFilter: FilterPlugin = {
  name: 'PodTopologySpread',
  seesPods: true,
  skips: ({ pod }) => !(pod.spec.topologySpreadConstraints ?? []).some((c: Constraint) => c.whenUnsatisfiable === 'DoNotSchedule'),
  sift(state, places, all) {
    let n = all;
    for (const { constraint: { maxSkew }, of, counts, least, self } of hard(state)) {
      const most = maxSkew + least - self;
      let m = 0;
      for (let k = 0; k < n; k++) {
        const value = of[places[k]!]!;
        if (value >= 0 && Math.max(0, counts[value]!) <= most) places[m++] = places[k]!;
      }
      n = m;
    }
    return n;
  },
  passes(state, index) {
    for (const { constraint, of, counts, least, self } of hard(state)) if (of[index]! < 0 || Math.max(0, counts[of[index]!]!) + self - least > constraint.maxSkew) return false;
    return true;
  },
  filter(state, info) {
    for (const { constraint, of, counts, least, self } of hard(state)) {
      const value = of[info.index]!;
      if (value < 0) return UNLABELLED;
      if (Math.max(0, counts[value]!) + self - least > constraint.maxSkew) return SKEWED;
    }
    return null;
  },
};

interface Soft {
  constraints: Constraint[];
  /** By node index: it lacks a label of some constraint. Null: none is left out. */
  ignored: Uint8Array | null;
  topologies: Topology[];
  /** Pods by topology value, or by node where the key is the host's name. */
  counts: (Int32Array | Float64Array)[];
  weights: number[];
}

const DEFAULTS = [{ maxSkew: 3, topologyKey: HOSTNAME }, { maxSkew: 5, topologyKey: ZONE }];

function softConstraints({ pod, defaultSelector }: CycleState): Constraint[] {
  if ((pod.spec.topologySpreadConstraints ?? []).length > 0) return own(pod, 'ScheduleAnyway');
  return defaultSelector ? DEFAULTS.map((c) => ({ ...c, whenUnsatisfiable: 'ScheduleAnyway', labelSelector: defaultSelector })) : [];
}

function soft(state: CycleState): Soft | null {
  const { pod, nodes, profile, feasible, snapshot } = state;
  const constraints = softConstraints(state);
  if (constraints.length === 0) return null;
  const strict = (pod.spec.topologySpreadConstraints ?? []).length > 0 || profile.legacy;
  const topologies = constraints.map((c) => topology(snapshot, c.topologyKey));
  const allComplete = topologies.every((t) => t.complete);
  const complete = (i: number): boolean => allComplete || topologies.every((t) => t.of[i]! >= 0);
  const ignored = allComplete || !strict ? null : new Uint8Array(nodes.length);
  let skipped = 0;
  if (ignored) {
    for (const index of feasible) {
      if (complete(index)) continue;
      ignored[index] = 1;
      skipped++;
    }
  }
  const chosen = nodeMask(state);
  const weights: number[] = [];
  const counts = constraints.map((c, n) => {
    const counter = matching(snapshot, pod, c.labelSelector);
    if (c.topologyKey === HOSTNAME) {
      weights.push(Math.log(feasible.length - skipped + 2));
      return counter.counts;
    }
    const { of, values } = topologies[n]!;
    const sums = new Float64Array(values.length).fill(-1);
    let size = 0;
    for (let i = 0; i < feasible.length; i++) {
      const index = feasible[i]!;
      const value = of[index]!;
      if (value < 0 || ignored?.[index] || sums[value]! >= 0) continue;
      sums[value] = 0;
      size++;
    }
    weights.push(Math.log(size + 2));
    const some = included(state, c, chosen);
    if (!some && (!strict || allComplete)) {
      const all = sumsOf(snapshot, counter, c.topologyKey).sums;
      for (let v = 0; v < sums.length; v++) if (sums[v] === 0) sums[v] = all[v]!;
      return sums;
    }
    const pods = counter.counts;
    for (let i = 0; i < nodes.length; i++) if (pods[i]! > 0 && of[i]! >= 0 && sums[of[i]!]! >= 0 && (!some || some(i)) && (!strict || complete(i))) sums[of[i]!]! += pods[i]!;
    return sums;
  });
  return { constraints, ignored, topologies, counts, weights };
}

const softOf = (state: CycleState): Soft | null => state.scratch.get('spread-score') as Soft | null;

function scoreNode(s: Soft, index: number, operands: Parameters<ScorePlugin['score']>[2]): number {
  let sum = 0;
  for (let i = 0; i < s.constraints.length; i++) {
    const c = s.constraints[i]!;
    const value = s.topologies[i]!.of[index]!;
    if (value < 0) continue;
    const n = c.topologyKey === HOSTNAME ? s.counts[i]![index]! : Math.max(0, s.counts[i]![value]!);
    sum += n * s.weights[i]! + (c.maxSkew - 1);
    jot(operands, n);
    jot(operands, s.weights[i]!);
    jot(operands, c.maxSkew);
  }
  return sum;
}

export const spreadScore: ScorePlugin = {
  name: 'PodTopologySpread',
  applies(state) {
    const s = soft(state);
    state.scratch.set('spread-score', s);
    return state.profile.legacy || s !== null;
  },
  score(state, index, operands) {
    const s = softOf(state);
    if (!s || s.ignored?.[index]) return 0;
    const sum = scoreNode(s, index, operands);
    return state.profile.legacy ? Math.trunc(sum) : Math.round(sum);
  },
  normalize(state, scores) {
    const s = softOf(state);
    const { feasible } = state;
    let min = Number.MAX_SAFE_INTEGER;
    let max = 0;
    for (let i = 0; i < scores.length; i++) {
      if (s?.ignored?.[feasible[i]!]) continue;
      min = Math.min(min, scores[i]!);
      max = Math.max(max, scores[i]!);
    }
    for (let i = 0; i < scores.length; i++) scores[i] = s?.ignored?.[feasible[i]!] ? 0 : max === 0 ? 100 : Math.trunc((100 * (max + min - scores[i]!)) / max);
  },
  formula(o, raw) {
    const parts: string[] = [];
    for (let i = 0; i < o.length; i += 3) parts.push(`${o[i]} like pods * ${o[i + 1]!.toFixed(3)} + ${o[i + 2]! - 1}`);
    return `${parts.join(' + ') || 'no constraint'} = ${raw}; 100*(max + min - ${raw})/max over nodes`;
  },
};
