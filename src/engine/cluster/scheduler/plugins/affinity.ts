/** NodeAffinity and nodeSelector: required terms are ORed, their expressions ANDed; preferred terms add their weights. */
import type { Node, NodeSelectorTerm, Pod } from '../../types/objects.ts';
import { matchesMap, meets, type Requirement } from '../../types/selectors.ts';
import type { FilterPlugin, ScorePlugin } from '../profile.ts';
import { normalizeTo100 } from './normalize.ts';

/** An empty term matches no node. */
export function termMatches(term: NodeSelectorTerm | undefined, node: Node): boolean {
  const labels = term?.matchExpressions ?? [];
  const fields = term?.matchFields ?? [];
  if (labels.length + fields.length === 0) return false;
  const requirement = (e: { key: string; operator: string; values?: string[] }): Requirement => ({ key: e.key, op: e.operator as Requirement['op'], values: e.values ?? [] });
  return (
    labels.every((e) => meets(node.metadata.labels, requirement(e))) &&
    fields.every((e) => meets({ 'metadata.name': node.metadata.name }, requirement(e)))
  );
}

export function matchesNode(pod: Pod, node: Node): boolean {
  if (!matchesMap(pod.spec.nodeSelector, node.metadata.labels)) return false;
  const required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return !required || (required.nodeSelectorTerms ?? []).some((term: NodeSelectorTerm) => termMatches(term, node));
}

export const affinityFilter: FilterPlugin = {
  name: 'NodeAffinity',
  filter({ pod, profile }, info) {
    if (matchesNode(pod, info.node)) return null;
    return { reasons: [profile.legacy ? "node(s) didn't match Pod's node affinity" : "node(s) didn't match Pod's node affinity/selector"], resolvable: false };
  },
};

const preferred = (pod: Pod): { weight: number; preference: NodeSelectorTerm }[] =>
  pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];

export const affinityScore: ScorePlugin = {
  name: 'NodeAffinity',
  applies: ({ pod, profile }) => profile.legacy || preferred(pod).length > 0,
  score({ pod }, info, operands) {
    let sum = 0;
    for (const { weight, preference } of preferred(pod)) {
      if (weight !== 0 && termMatches(preference, info.node)) {
        sum += weight;
        operands.push(weight);
      }
    }
    return sum;
  },
  normalize: (_state, scores) => normalizeTo100(scores, false),
  formula: (weights, raw) => (weights.length === 0 ? 'no preferred term matches' : `${weights.join(' + ')} = ${raw}; 100*${raw}/max over nodes`),
};
