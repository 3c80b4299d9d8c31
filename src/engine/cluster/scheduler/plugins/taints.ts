/** TaintToleration: NoSchedule and NoExecute taints keep pods away, PreferNoSchedule ones cost score. */
import type { Pod, Taint, Toleration } from '../../types/objects.ts';
import { type FilterPlugin, jot, type NodeInfo, type ScorePlugin } from '../profile.ts';
import { traitsOf } from '../snapshot.ts';
import { normalizeTo100 } from './normalize.ts';

export function tolerates(t: Toleration, taint: Taint): boolean {
  if (t.effect && t.effect !== taint.effect) return false;
  if (t.key && t.key !== taint.key) return false;
  if (!t.key && t.operator !== 'Exists') return false;
  return t.operator === 'Exists' || (t.value ?? '') === (taint.value ?? '');
}

/** The first taint of the node that keeps the pod away. */
export function untolerated(pod: Pod, info: NodeInfo): Taint | undefined {
  return info.taints.find((taint) => (taint.effect === 'NoSchedule' || taint.effect === 'NoExecute') && !(pod.spec.tolerations ?? []).some((t) => tolerates(t, taint)));
}

export const taintFilter: FilterPlugin = {
  name: 'TaintToleration',
  skips: ({ snapshot }) => !traitsOf(snapshot).tainted,
  passes: ({ pod, nodes }, index) => nodes[index]!.taints.length === 0 || untolerated(pod, nodes[index]!) === undefined,
  filter({ pod, profile }, info) {
    const taint = untolerated(pod, info);
    if (taint === undefined) return null;
    const shown = `{${taint.key}: ${taint.value ?? ''}}`;
    return { reasons: [profile.legacy ? `node(s) had taint ${shown}, that the pod didn't tolerate` : `node(s) had untolerated taint ${shown}`], resolvable: false };
  },
};

export const taintScore: ScorePlugin = {
  name: 'TaintToleration',
  applies: () => true,
  uniform: ({ snapshot }) => (traitsOf(snapshot).dispreferred ? null : 0),
  score({ pod, nodes }, index, operands) {
    let count = 0;
    const mine = (pod.spec.tolerations ?? []).filter((t) => !t.effect || t.effect === 'PreferNoSchedule');
    for (const taint of nodes[index]!.taints) {
      if (taint.effect === 'PreferNoSchedule' && !mine.some((t) => tolerates(t, taint))) count++;
    }
    jot(operands, count);
    return count;
  },
  normalize: (_state, scores) => normalizeTo100(scores, true),
  formula: ({ 0: count = 0 }) => `${count} untolerated PreferNoSchedule taint${count === 1 ? '' : 's'}; 100 - 100*${count}/max over nodes (100 when no node has any)`,
};
