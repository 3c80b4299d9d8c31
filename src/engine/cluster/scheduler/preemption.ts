/**
 * DefaultPreemption: when no node takes a pod, look for a node that would if pods of lower priority left it. Remove them
 * all, then reprieve from the most important down, those first whose going would break a disruption budget. Choose: fewest
 * broken budgets, lowest top priority of victims, smallest sum of priorities, fewest victims, latest start.
 * Source: framework/preemption/preemption.go, plugins/defaultpreemption.
 */
import type { KubeObject, Pod } from '../types/objects.ts';
import { keyOf } from '../types/objects.ts';
import { matchesSelector } from '../types/selectors.ts';
import type { Decision } from './cycle.ts';
import { beginCycle, imageCounts, runFilters, withPods } from './cycle.ts';
import { addPod, demandOf, nodeInfo, removePod } from './nodes.ts';
import type { CycleState, NodeInfo, Profile } from './profile.ts';
import type { PodVolumes } from './volumes.ts';

export interface Candidate {
  node: string;
  /** In the order of reprieve: those of budgets that would break first, of each kind the most important first. */
  victims: Pod[];
  /** How many of the victims go although a budget forbids it. */
  violations: number;
}

const priority = (pod: Pod): number => pod.spec.priority ?? 0;
const startOf = (pod: Pod): string => pod.status?.startTime ?? '9999';

function importance(a: Pod, b: Pod): number {
  return priority(b) - priority(a) || (startOf(a) < startOf(b) ? -1 : startOf(a) > startOf(b) ? 1 : 0);
}

/** Pods whose going a budget does not allow, and the others. A budget that names no label protects nobody. */
function byBudget(pods: readonly Pod[], budgets: readonly KubeObject[]): { violating: Pod[]; free: Pod[] } {
  const left = budgets.map((b): number => b.status?.disruptionsAllowed ?? 0);
  const violating: Pod[] = [];
  const free: Pod[] = [];
  for (const pod of pods) {
    let breaks = false;
    for (const [i, budget] of budgets.entries()) {
      const selector = budget.spec.selector;
      if (budget.metadata.namespace !== pod.metadata.namespace || !selector || Object.keys({ ...selector.matchLabels }).length + (selector.matchExpressions ?? []).length === 0) continue;
      if (!pod.metadata.labels || !matchesSelector(selector, pod.metadata.labels) || budget.status?.disruptedPods?.[pod.metadata.name] !== undefined) continue;
      left[i]!--;
      if (left[i]! < 0) breaks = true;
    }
    (breaks ? violating : free).push(pod);
  }
  return { violating, free };
}

export function candidateOn(info: NodeInfo, state: CycleState, budgets: readonly KubeObject[]): Candidate | null {
  const lower = [...info.pods.values()].filter((p) => priority(p) < priority(state.pod));
  if (lower.length === 0) return null;
  const copy = nodeInfo(info.node);
  for (const pod of info.pods.values()) addPod(copy, pod);
  const fits = (): boolean => runFilters(withPods(state, info, copy), copy).plugin === null;
  for (const pod of lower) removePod(copy, pod);
  if (!fits()) return null;
  const victims: Pod[] = [];
  const { violating, free } = byBudget(lower.sort(importance), budgets);
  let violations = 0;
  for (const pod of [...violating, ...free]) {
    addPod(copy, pod);
    if (fits()) continue;
    removePod(copy, pod);
    if (violating.includes(pod)) violations++;
    victims.push(pod);
  }
  return { node: info.name, victims, violations };
}

export function findVictims(pod: Pod, nodes: readonly NodeInfo[], decision: Decision, profile: Profile, budgets: readonly KubeObject[], volumes: PodVolumes | null = null): Candidate | null {
  return pick(candidatesFor(pod, nodes, decision, profile, budgets, volumes));
}

/** Every node that would take the pod, and who would have to go there. None, while victims of an earlier search are still going. */
export function candidatesFor(pod: Pod, nodes: readonly NodeInfo[], decision: Decision, profile: Profile, budgets: readonly KubeObject[], volumes: PodVolumes | null = null): Candidate[] {
  const resolvable = new Set(decision.verdicts.filter((v) => v.resolvable).map((v) => v.node));
  if (![...nodes].some((n) => resolvable.has(n.name) && [...n.pods.values()].some((p) => priority(p) < priority(pod)))) return [];
  if ([...nodes].some((n) => pod.status?.nominatedNodeName === n.name && [...n.pods.values()].some((p) => p.metadata.deletionTimestamp && priority(p) < priority(pod)))) return [];
  const state = beginCycle({ pod, demand: demandOf(pod.spec), profile, nodes, imageNodes: imageCounts(nodes), defaultSelector: null, volumes });
  return nodes.flatMap((info) => (resolvable.has(info.name) ? (candidateOn(info, state, budgets) ?? []) : []));
}

export function pick(candidates: readonly Candidate[]): Candidate | null {
  const rank = (c: Candidate): readonly (number | string)[] => {
    const top = c.victims.length > 0 ? Math.max(...c.victims.map(priority)) : Number.NEGATIVE_INFINITY;
    const earliest = c.victims.filter((v) => priority(v) === top).map(startOf).sort()[0] ?? '';
    return [c.violations, top, c.victims.reduce((sum, v) => sum + priority(v) + 2 ** 31, 0), c.victims.length, earliest];
  };
  let best: Candidate | null = null;
  for (const candidate of candidates) {
    if (!best || better(rank(candidate), rank(best))) best = candidate;
  }
  return best;
}

/** The first four the smaller the better, the start the later the better. */
function better(a: readonly (number | string)[], b: readonly (number | string)[]): boolean {
  for (let i = 0; i < 4; i++) if (a[i] !== b[i]) return a[i]! < b[i]!;
  return a[4]! > b[4]!;
}

export const victimNames = (c: Candidate): string[] => c.victims.map((v) => keyOf(v.metadata));
