/**
 * What a Job's policies make of its pods: which failures count, which end the job or give up one index, and when enough has
 * succeeded. Source: pkg/controller/job/{pod_failure_policy,backoff_utils,success_policy}.go 1.32.
 */
import type { Json, KubeObject, Pod } from '../types/objects.ts';
import { keyOf } from '../types/objects.ts';

export interface Verdict { action: 'FailJob' | 'Ignore' | 'FailIndex' | 'Count'; message: string }

/** The first rule that matches a failed pod decides. */
export function judge(job: KubeObject, pod: Pod): Verdict {
  for (const [i, rule] of ((job.spec.podFailurePolicy?.rules ?? []) as Json[]).entries()) {
    const message = matches(rule, pod);
    if (message) return { action: rule.action, message: `${message} matching ${rule.action} rule at index ${i}` };
  }
  return { action: 'Count', message: '' };
}

function matches(rule: Json, pod: Pod): string | null {
  if (rule.onExitCodes) {
    const { containerName, operator, values } = rule.onExitCodes;
    for (const c of [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])]) {
      const code = c.state?.terminated?.exitCode;
      if (code === undefined || code === 0 || (containerName !== undefined && c.name !== containerName)) continue;
      if ((values as number[]).includes(code) === (operator === 'In')) return `Container ${c.name} for pod ${keyOf(pod.metadata)} failed with exit code ${code}`;
    }
    return null;
  }
  for (const wanted of rule.onPodConditions ?? []) {
    if (pod.status?.conditions?.some((c) => c.type === wanted.type && c.status === wanted.status)) return `Pod ${keyOf(pod.metadata)} has condition ${wanted.type}`;
  }
  return null;
}

/** "0-2,4": sorted numbers as ranges. */
export function ranges(sorted: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const n of sorted) {
    const last = runs.at(-1);
    if (last && last[1] === n - 1) last[1] = n;
    else runs.push([n, n]);
  }
  return runs.map(([from, to]) => (from === to ? `${from}` : to === from + 1 ? `${from},${to}` : `${from}-${to}`)).join(',');
}

function parseRanges(text: string): Set<number> {
  const out = new Set<number>();
  for (const part of text.split(',')) {
    const [from = 0, to = from] = part.split('-').map(Number);
    for (let n = from; n <= to; n++) out.add(n);
  }
  return out;
}

/** Which rule of a success policy is met; null when none is. */
export function metSuccess(job: KubeObject, succeeded: ReadonlySet<number>): number | null {
  for (const [i, rule] of ((job.spec.successPolicy?.rules ?? []) as Json[]).entries()) {
    const wanted = rule.succeededIndexes === undefined ? null : parseRanges(rule.succeededIndexes);
    const have = wanted ? [...wanted].filter((n) => succeeded.has(n)).length : succeeded.size;
    if (have >= (rule.succeededCount ?? wanted!.size)) return i;
  }
  return null;
}
