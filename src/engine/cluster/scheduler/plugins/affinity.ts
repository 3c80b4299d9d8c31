/** NodeAffinity and nodeSelector: required terms are ORed, their expressions ANDed; preferred terms add their weights. */
import type { Node, NodeSelectorTerm, Pod } from '../../types/objects.ts';
import { matchesMap, meets, type Requirement } from '../../types/selectors.ts';
import { type CycleState, type FilterPlugin, jot, type NodeInfo, type Refusal, type ScorePlugin } from '../profile.ts';
import { mask } from '../snapshot.ts';
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

const required = (pod: Pod): { nodeSelectorTerms?: NodeSelectorTerm[] } | undefined => pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;

export function matchesNode(pod: Pod, node: Node): boolean {
  if (!matchesMap(pod.spec.nodeSelector, node.metadata.labels)) return false;
  const rule = required(pod);
  return !rule || (rule.nodeSelectorTerms ?? []).some((term) => termMatches(term, node));
}

/** Whether the pod chooses nodes at all. */
export const choosesNodes = (pod: Pod): boolean => required(pod) !== undefined || Object.keys(pod.spec.nodeSelector ?? {}).length > 0;

/** The question "may the pod be here by its selector?", by node index; null when every node will do. */
export function nodeMask(state: CycleState): Uint8Array | null {
  const known = state.scratch.get('nodes');
  if (known !== undefined) return known as Uint8Array | null;
  const { pod } = state;
  const made = choosesNodes(pod) ? mask(state.snapshot, JSON.stringify([pod.spec.nodeSelector, required(pod)]), (info) => matchesNode(pod, info.node)) : null;
  state.scratch.set('nodes', made);
  return made;
}

const byField = (pod: Pod): boolean => required(pod)?.nodeSelectorTerms?.some((t) => t.matchFields?.length) ?? false;

/** One that names its node by a field (a DaemonSet's) is asked node by node. */
function admits(state: CycleState, info: NodeInfo): boolean {
  if (byField(state.pod)) return matchesNode(state.pod, info.node);
  return nodeMask(state)?.[info.index] !== 0;
}

const MISMATCH: Refusal = { reasons: ["node(s) didn't match Pod's node affinity/selector"], resolvable: false };
const OLD_MISMATCH: Refusal = { reasons: ["node(s) didn't match Pod's node affinity"], resolvable: false };

export const affinityFilter: FilterPlugin = {
  name: 'NodeAffinity',
  skips: ({ pod }) => !choosesNodes(pod),
  passes: (state, index) => !byField(state.pod) && nodeMask(state)?.[index] === 1,
  sift(state, places, all) {
    const chosen = byField(state.pod) ? null : nodeMask(state);
    let n = 0;
    if (chosen) for (let k = 0; k < all; k++) if (chosen[places[k]!] === 1) places[n++] = places[k]!;
    return n;
  },
  filter(state, info) {
    if (admits(state, info)) return null;
    return state.profile.legacy ? OLD_MISMATCH : MISMATCH;
  },
};

const preferred = (pod: Pod): { weight: number; preference: NodeSelectorTerm }[] =>
  pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];

export const affinityScore: ScorePlugin = {
  name: 'NodeAffinity',
  applies: ({ pod, profile }) => profile.legacy || preferred(pod).length > 0,
  score({ pod, nodes }, index, operands) {
    const { node } = nodes[index]!;
    let sum = 0;
    for (const { weight, preference } of preferred(pod)) {
      if (weight !== 0 && termMatches(preference, node)) {
        sum += weight;
        jot(operands, weight);
      }
    }
    return sum;
  },
  normalize: (_state, scores) => normalizeTo100(scores, false),
  formula: (weights, raw) => (weights.length === 0 ? 'no preferred term matches' : `${Array.from(weights).join(' + ')} = ${raw}; 100*${raw}/max over nodes`),
};
