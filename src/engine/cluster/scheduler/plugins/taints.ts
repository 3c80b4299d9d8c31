/** TaintToleration: NoSchedule and NoExecute taints keep pods away, PreferNoSchedule ones cost score. */
import type { Taint, Toleration } from '../../types/objects.ts';
import type { FilterPlugin, ScorePlugin } from '../profile.ts';
import { normalizeTo100 } from './normalize.ts';

export function tolerates(t: Toleration, taint: Taint): boolean {
  if (t.effect && t.effect !== taint.effect) return false;
  if (t.key && t.key !== taint.key) return false;
  if (!t.key && t.operator !== 'Exists') return false;
  return t.operator === 'Exists' || (t.value ?? '') === (taint.value ?? '');
}

export const taintFilter: FilterPlugin = {
  name: 'TaintToleration',
  filter({ pod, profile }, info) {
    for (const taint of info.taints) {
      if (taint.effect !== 'NoSchedule' && taint.effect !== 'NoExecute') continue;
      if ((pod.spec.tolerations ?? []).some((t) => tolerates(t, taint))) continue;
      const shown = `{${taint.key}: ${taint.value ?? ''}}`;
      return {
        reasons: [profile.legacy ? `node(s) had taint ${shown}, that the pod didn't tolerate` : `node(s) had untolerated taint ${shown}`],
        resolvable: false,
      };
    }
    return null;
  },
};

export const taintScore: ScorePlugin = {
  name: 'TaintToleration',
  applies: () => true,
  score({ pod }, info, operands) {
    let count = 0;
    const mine = (pod.spec.tolerations ?? []).filter((t) => !t.effect || t.effect === 'PreferNoSchedule');
    for (const taint of info.taints) {
      if (taint.effect === 'PreferNoSchedule' && !mine.some((t) => tolerates(t, taint))) count++;
    }
    operands.push(count);
    return count;
  },
  normalize: (_state, scores) => normalizeTo100(scores, true),
  formula: ([count]) => `${count} untolerated PreferNoSchedule taint${count === 1 ? '' : 's'}; 100 - 100*${count}/max over nodes (100 when no node has any)`,
};
