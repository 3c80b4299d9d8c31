/**
 * PodTopologySpread: hard constraints bound the skew between topology values; soft ones, and the defaults for pods of a Service
 * or ReplicaSet (hostname skew 3, zone skew 5), score by how many like pods are there. Source: plugins/podtopologyspread.
 */
import type { LabelSelector, Pod } from '../../types/objects.ts';
import { matchesSelector } from '../../types/selectors.ts';
import type { CycleState, FilterPlugin, NodeInfo, ScorePlugin } from '../profile.ts';
import { matchesNode } from './affinity.ts';
import { untolerated } from './taints.ts';

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

const own = (pod: Pod, mode: string): Constraint[] => (pod.spec.topologySpreadConstraints ?? []).filter((c: Constraint) => c.whenUnsatisfiable === mode).map((c: Constraint) => withLabelKeys(c, pod));
const label = (info: NodeInfo, key: string): string | undefined => info.node.metadata.labels?.[key];

/** matchLabelKeys: the pod's own values of these labels are asked of the others as well; a key it has not is left out. */
function withLabelKeys(c: Constraint, pod: Pod): Constraint {
  const mine = (c.matchLabelKeys ?? []).flatMap((key) => (pod.metadata.labels?.[key] === undefined ? [] : [[key, pod.metadata.labels[key]!] as const]));
  if (mine.length === 0) return c;
  const selector = c.labelSelector ?? {};
  return { ...c, labelSelector: { ...selector, matchExpressions: [...(selector.matchExpressions ?? []), ...mine.map(([key, value]) => ({ key, operator: 'In', values: [value] }))] } };
}

/** Is the node one that the constraint counts? */
function counted(c: Constraint, pod: Pod, info: NodeInfo): boolean {
  if (c.nodeAffinityPolicy !== 'Ignore' && !matchesNode(pod, info.node)) return false;
  return c.nodeTaintsPolicy !== 'Honor' || untolerated(pod, info) === undefined;
}

function matching(info: NodeInfo, pod: Pod, selector: LabelSelector | undefined): number {
  let n = 0;
  for (const other of info.pods.values()) {
    if (!other.metadata.deletionTimestamp && other.metadata.namespace === pod.metadata.namespace && matchesSelector(selector, other.metadata.labels)) n++;
  }
  return n;
}

/** Pods by topology value for each hard constraint, and the least of them: none, while there are fewer values than minDomains. */
function hardCounts(state: CycleState, constraints: readonly Constraint[]): { counts: Map<string, number>; least: number }[] {
  const { pod, nodes, profile } = state;
  const complete = nodes.filter((info) => constraints.every((c) => label(info, c.topologyKey) !== undefined));
  return constraints.map((c) => {
    const domain = complete.filter((info) => counted(c, pod, info));
    const counts = new Map<string, number>(domain.map((info) => [label(info, c.topologyKey)!, 0]));
    for (const info of profile.legacy ? nodes : domain) {
      const value = label(info, c.topologyKey);
      if (value !== undefined && counts.has(value)) counts.set(value, counts.get(value)! + matching(info, pod, c.labelSelector));
    }
    return { counts, least: counts.size < (c.minDomains ?? 1) ? 0 : Math.min(Number.MAX_SAFE_INTEGER, ...counts.values()) };
  });
}

export const spreadFilter: FilterPlugin = {
  name: 'PodTopologySpread',
  filter(state, info) {
    if (!state.pod.spec.topologySpreadConstraints?.length) return null;
    const constraints = own(state.pod, 'DoNotSchedule');
    if (constraints.length === 0) return null;
    if (!state.scratch.has('spread')) state.scratch.set('spread', hardCounts(state, constraints));
    const all = state.scratch.get('spread') as ReturnType<typeof hardCounts>;
    for (const [i, c] of constraints.entries()) {
      const value = label(info, c.topologyKey);
      if (value === undefined) return { reasons: ["node(s) didn't match pod topology spread constraints (missing required label)"], resolvable: false };
      const { counts, least } = all[i]!;
      const self = matchesSelector(c.labelSelector, state.pod.metadata.labels) ? 1 : 0;
      if ((counts.get(value) ?? 0) + self - least > c.maxSkew) return { reasons: ["node(s) didn't match pod topology spread constraints"], resolvable: true };
    }
    return null;
  },
};

interface Soft {
  constraints: Constraint[];
  ignored: Set<string>;
  counts: Map<string, number>[];
  weights: number[];
}

function soft(state: CycleState): Soft | null {
  const { pod, nodes, profile, feasible } = state;
  const given = (pod.spec.topologySpreadConstraints ?? []).length > 0;
  const constraints = given ? own(pod, 'ScheduleAnyway') : state.defaultSelector
    ? [{ maxSkew: 3, topologyKey: HOSTNAME }, { maxSkew: 5, topologyKey: ZONE }].map((c) => ({ ...c, whenUnsatisfiable: 'ScheduleAnyway', labelSelector: state.defaultSelector! }))
    : [];
  if (constraints.length === 0) return null;
  const strict = given || profile.legacy;
  const complete = (info: NodeInfo): boolean => constraints.every((c) => label(info, c.topologyKey) !== undefined);
  const ignored = new Set(strict ? feasible.filter((i) => !complete(i)).map((i) => i.name) : []);
  const ranked = feasible.filter((i) => !ignored.has(i.name));
  const counts = constraints.map((c) => new Map<string, number>(c.topologyKey === HOSTNAME ? [] : ranked.flatMap((i) => (label(i, c.topologyKey) === undefined ? [] : [[label(i, c.topologyKey)!, 0] as const]))));
  const weights = constraints.map((c, i) => Math.log((c.topologyKey === HOSTNAME ? feasible.length - ignored.size : counts[i]!.size) + 2));
  for (const info of nodes) {
    if (strict && !complete(info)) continue;
    for (const [i, c] of constraints.entries()) {
      if (!counted(c, pod, info)) continue;
      const value = label(info, c.topologyKey);
      const known = value === undefined ? undefined : counts[i]!.get(value);
      if (known !== undefined) counts[i]!.set(value!, known + matching(info, pod, c.labelSelector));
    }
  }
  return { constraints, ignored, counts, weights };
}

export const spreadScore: ScorePlugin = {
  name: 'PodTopologySpread',
  applies(state) {
    const s = soft(state);
    state.scratch.set('spread-score', s);
    return state.profile.legacy || s !== null;
  },
  score(state, info, operands) {
    const s = state.scratch.get('spread-score') as Soft | null;
    if (!s || s.ignored.has(info.name)) return 0;
    let sum = 0;
    for (const [i, c] of s.constraints.entries()) {
      const value = label(info, c.topologyKey);
      if (value === undefined) continue;
      const n = c.topologyKey === HOSTNAME ? matching(info, state.pod, c.labelSelector) : (s.counts[i]!.get(value) ?? 0);
      sum += n * s.weights[i]! + (c.maxSkew - 1);
      operands.push(n, s.weights[i]!, c.maxSkew);
    }
    return state.profile.legacy ? Math.trunc(sum) : Math.round(sum);
  },
  normalize(state, scores) {
    const s = state.scratch.get('spread-score') as Soft | null;
    const skip = state.feasible.map((info) => s?.ignored.has(info.name) ?? false);
    let min = Number.MAX_SAFE_INTEGER;
    let max = 0;
    for (const [i, score] of scores.entries()) {
      if (skip[i]) continue;
      min = Math.min(min, score);
      max = Math.max(max, score);
    }
    for (let i = 0; i < scores.length; i++) scores[i] = skip[i] ? 0 : max === 0 ? 100 : Math.trunc((100 * (max + min - scores[i]!)) / max);
  },
  formula(o, raw) {
    const parts: string[] = [];
    for (let i = 0; i < o.length; i += 3) parts.push(`${o[i]} like pods * ${o[i + 1]!.toFixed(3)} + ${o[i + 2]! - 1}`);
    return `${parts.join(' + ') || 'no constraint'} = ${raw}; 100*(max + min - ${raw})/max over nodes`;
  },
};
