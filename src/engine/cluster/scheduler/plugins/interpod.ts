/**
 * InterPodAffinity: required terms let a pod in only where (or only where no) matching pods share a topology value; pods that are
 * there already may veto; preferred terms of both sides add to the score. Source: plugins/interpodaffinity/{filtering,scoring}.go.
 */
import type { Labels, LabelSelector, Pod } from '../../types/objects.ts';
import { matchesSelector } from '../../types/selectors.ts';
import type { CycleState, FilterPlugin, ScorePlugin } from '../profile.ts';

interface Term {
  labelSelector?: LabelSelector;
  namespaces?: string[];
  namespaceSelector?: LabelSelector;
  topologyKey: string;
}

const side = (pod: Pod, kind: 'podAffinity' | 'podAntiAffinity'): { required: Term[]; preferred: { weight: number; podAffinityTerm: Term }[] } => ({
  required: pod.spec.affinity?.[kind]?.requiredDuringSchedulingIgnoredDuringExecution ?? [],
  preferred: (pod.spec.affinity?.[kind]?.preferredDuringSchedulingIgnoredDuringExecution ?? []).filter((p: { podAffinityTerm?: Term }) => p.podAffinityTerm),
});

/** Whether `owner`'s term means `pod`. */
function means(term: Term, owner: Pod, pod: Pod): boolean {
  const all = term.namespaceSelector !== undefined && Object.keys(term.namespaceSelector).length === 0;
  const spaces = term.namespaces?.length ? term.namespaces : [owner.metadata.namespace];
  return (all || spaces.includes(pod.metadata.namespace)) && matchesSelector(term.labelSelector, pod.metadata.labels);
}

const pair = (key: string, labels: Labels | undefined): string | null => (labels?.[key] === undefined ? null : `${key}\n${labels[key]}`);

interface Counts {
  affinity: Map<string, number>;
  anti: Map<string, number>;
  existing: Map<string, number>;
}

function count(state: CycleState): Counts | null {
  const { pod } = state;
  const affinity = side(pod, 'podAffinity').required;
  const anti = side(pod, 'podAntiAffinity').required;
  const counts: Counts = { affinity: new Map(), anti: new Map(), existing: new Map() };
  const add = (map: Map<string, number>, key: string | null): void => void (key !== null && map.set(key, (map.get(key) ?? 0) + 1));
  let any = affinity.length + anti.length > 0;
  for (const info of state.nodes) {
    if (!any && info.affine === 0) continue;
    const labels = info.node.metadata.labels;
    for (const other of info.pods.values()) {
      if (other.spec.affinity) {
        for (const term of side(other, 'podAntiAffinity').required) {
          if (!means(term, other, pod)) continue;
          add(counts.existing, pair(term.topologyKey, labels));
          any = true;
        }
      }
      if (affinity.length > 0 && affinity.every((t) => means(t, pod, other))) for (const t of affinity) add(counts.affinity, pair(t.topologyKey, labels));
      for (const t of anti) if (means(t, pod, other)) add(counts.anti, pair(t.topologyKey, labels));
    }
  }
  return any ? counts : null;
}

export const interPodFilter: FilterPlugin = {
  name: 'InterPodAffinity',
  filter(state, info) {
    if (!state.scratch.has('interpod')) state.scratch.set('interpod', count(state));
    const counts = state.scratch.get('interpod') as Counts | null;
    if (!counts) return null;
    const { pod, profile } = state;
    const labels = info.node.metadata.labels;
    const says = (reason: string, resolvable: boolean): { reasons: string[]; resolvable: boolean } => ({
      reasons: profile.legacy ? ["node(s) didn't match pod affinity/anti-affinity", reason] : [reason], resolvable,
    });
    const affinity = side(pod, 'podAffinity').required;
    let exist = true;
    for (const term of affinity) {
      const key = pair(term.topologyKey, labels);
      if (key === null) return says("node(s) didn't match pod affinity rules", false);
      if (!counts.affinity.get(key)) exist = false;
    }
    if (!exist && !(counts.affinity.size === 0 && affinity.every((t) => means(t, pod, pod)))) return says("node(s) didn't match pod affinity rules", false);
    for (const term of side(pod, 'podAntiAffinity').required) {
      const key = pair(term.topologyKey, labels);
      if (key !== null && counts.anti.get(key)) return says("node(s) didn't match pod anti-affinity rules", true);
    }
    if (counts.existing.size > 0) {
      for (const key of Object.keys(labels ?? {})) {
        if (counts.existing.get(pair(key, labels)!)) return says("node(s) didn't satisfy existing pods anti-affinity rules", true);
      }
    }
    return null;
  },
};

/** Score by topology pair. */
function weigh(state: CycleState): Map<string, number> {
  const { pod } = state;
  const scores = new Map<string, number>();
  const mine = { likes: side(pod, 'podAffinity').preferred, avoids: side(pod, 'podAntiAffinity').preferred };
  const wants = mine.likes.length + mine.avoids.length > 0;
  for (const info of state.nodes) {
    if (!wants && info.affine === 0) continue;
    const labels = info.node.metadata.labels;
    const add = (term: Term, owner: Pod, other: Pod, weight: number): void => {
      if (!means(term, owner, other)) return;
      const key = pair(term.topologyKey, labels);
      if (key !== null) scores.set(key, (scores.get(key) ?? 0) + weight);
    };
    for (const other of info.pods.values()) {
      if (wants) {
        for (const p of mine.likes) add(p.podAffinityTerm, pod, other, p.weight);
        for (const p of mine.avoids) add(p.podAffinityTerm, pod, other, -p.weight);
      }
      if (!other.spec.affinity) continue;
      const theirs = side(other, 'podAffinity');
      for (const term of theirs.required) add(term, other, pod, 1);
      for (const p of theirs.preferred) add(p.podAffinityTerm, other, pod, p.weight);
      for (const p of side(other, 'podAntiAffinity').preferred) add(p.podAffinityTerm, other, pod, -p.weight);
    }
  }
  return scores;
}

export const interPodScore: ScorePlugin = {
  name: 'InterPodAffinity',
  applies(state) {
    const scores = weigh(state);
    state.scratch.set('interpod-score', scores);
    return state.profile.legacy || scores.size > 0;
  },
  score(state, info, operands) {
    const scores = state.scratch.get('interpod-score') as Map<string, number>;
    if (scores.size === 0) return 0;
    let sum = 0;
    for (const key of Object.keys(info.node.metadata.labels ?? {})) sum += scores.get(pair(key, info.node.metadata.labels)!) ?? 0;
    operands.push(sum);
    return sum;
  },
  normalize(state, scores) {
    if ((state.scratch.get('interpod-score') as Map<string, number>).size === 0) return;
    let min = state.profile.legacy ? 0 : Number.POSITIVE_INFINITY;
    let max = state.profile.legacy ? 0 : Number.NEGATIVE_INFINITY;
    for (const s of scores) {
      min = Math.min(min, s);
      max = Math.max(max, s);
    }
    for (let i = 0; i < scores.length; i++) scores[i] = max > min ? Math.trunc(100 * ((scores[i]! - min) / (max - min))) : 0;
  },
  formula: ([sum = 0]) => `sum of weights of matching terms, both ways: ${sum}; 100*(${sum} - min)/(max - min) over nodes`,
};
