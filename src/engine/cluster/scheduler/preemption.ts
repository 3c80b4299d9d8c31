/**
 * DefaultPreemption: when no node takes a pod, look for a node that would if pods of lower priority left it. Remove them
 * all, then reprieve from the most important down, those first that a disruption budget protects. Choose: fewest violated budgets,
 * lowest top priority of victims, smallest sum of priorities, fewest victims, latest start. Source: framework/preemption/preemption.go.
 * Trials happen on the snapshot itself and are taken back, or, where amounts alone decide, on paper.
 */
import { below, type Random } from '../../sim/random.ts';
import type { KubeObject, Pod } from '../types/objects.ts';
import { matchesSelector } from '../types/selectors.ts';
import { keyOf } from '../types/objects.ts';
import { anew, beginCycle, goesFirst, judge, type Promised } from './cycle.ts';
import { type Decision, resolvable } from './decision.ts';
import { addPod, demandOf, removePod } from './nodes.ts';
import type { CycleState, Demand, NodeInfo, Profile } from './profile.ts';
import type { PodVolumes } from './volumes.ts';

export interface Candidate {
  node: string;
  /** In the order of reprieve: those that violate a budget first, then the most important. */
  victims: Pod[];
  violations: number;
}

const priority = (pod: Pod): number => pod.spec.priority ?? 0;
const startOf = (pod: Pod): string => pod.status?.startTime ?? '9999';

function importance(a: Pod, b: Pod): number {
  return priority(b) - priority(a) || (startOf(a) < startOf(b) ? -1 : startOf(a) > startOf(b) ? 1 : 0);
}

/** Pods whose eviction a budget does not allow, and the others, in the order given. */
function byBudget(pods: readonly Pod[], budgets: readonly KubeObject[]): { violating: Pod[]; rest: Pod[] } {
  const left = budgets.map((b) => Number(b.status?.disruptionsAllowed ?? 0));
  const violating: Pod[] = [];
  const rest: Pod[] = [];
  for (const pod of pods) {
    let violates = false;
    for (const [i, budget] of budgets.entries()) {
      const { selector } = budget.spec;
      const empty = !selector || Object.keys(selector.matchLabels ?? {}).length + (selector.matchExpressions ?? []).length === 0;
      if (!pod.metadata.labels || empty || budget.metadata.namespace !== pod.metadata.namespace || !matchesSelector(selector, pod.metadata.labels)) continue;
      if (budget.status?.disruptedPods?.[pod.metadata.name] !== undefined) continue;
      left[i]!--;
      if (left[i]! < 0) violates = true;
    }
    (violates ? violating : rest).push(pod);
  }
  return { violating, rest };
}

/** Victims among the pods that were taken from a node, each given back that can be: those first that a budget protects. `stays` tells whether the pod still fits with this one, which then stays; it is told the place among all where they come in order. */
function reprieve(node: string, lower: readonly Pod[], budgets: readonly KubeObject[], stays: (pod: Pod, at: number | null) => boolean): Candidate {
  const victims: Pod[] = [];
  if (budgets.length === 0) {
    for (let i = 0; i < lower.length; i++) if (!stays(lower[i]!, i)) victims.push(lower[i]!);
    return { node, victims, violations: 0 };
  }
  const { violating, rest } = byBudget(lower, budgets);
  for (const pod of violating) if (!stays(pod, null)) victims.push(pod);
  const violations = victims.length;
  for (const pod of rest) if (!stays(pod, null)) victims.push(pod);
  return { node, victims, violations };
}

function rankedOf(info: NodeInfo): NonNullable<NodeInfo['ranked']> {
  if (!info.ranked) {
    const pods = [...info.pods.values()].sort(importance);
    info.ranked = { pods, demands: pods.map((pod) => demandOf(pod.spec)) };
  }
  return info.ranked;
}

/** Where no filter sees pods, CPU, memory and slots decide: nothing needs to be moved. */
function byAmounts(info: NodeInfo, { demand, pod, snapshot: { room } }: CycleState, budgets: readonly KubeObject[], promised: readonly Promised[]): Candidate | null {
  const { pods, demands } = rankedOf(info);
  const mine = priority(pod);
  const i = info.index;
  let slots = room.slots[i]! - room.pods[i]! - 1;
  let cpu = room.cpu[i]! - room.usedCpu[i]! - demand.cpu;
  let memory = room.memory[i]! - room.usedMemory[i]! - demand.memory;
  for (const one of promised) {
    slots--;
    cpu -= one.demand.cpu;
    memory -= one.demand.memory;
  }
  const fits = (of: Demand): boolean => slots >= 1 && (demand.cpu === 0 || cpu >= of.cpu) && (demand.memory === 0 || memory >= of.memory);
  let first = pods.length;
  for (; first > 0 && priority(pods[first - 1]!) < mine; first--) {
    slots++;
    cpu += demands[first - 1]!.cpu;
    memory += demands[first - 1]!.memory;
  }
  if (first === pods.length || slots < 0 || (demand.cpu > 0 && cpu < 0) || (demand.memory > 0 && memory < 0)) return null;
  const found = reprieve(info.name, pods.slice(first), budgets, (one, at) => {
    const of = at === null ? demandOf(one.spec) : demands[first + at]!;
    if (!fits(of)) return false;
    slots--;
    cpu -= of.cpu;
    memory -= of.memory;
    return true;
  });
  return found.victims.length > 0 ? found : null;
}

/** Who would have to leave this node; null when that would not help either. Pods that were promised a place there and go first have it. */
export function candidateOn(info: NodeInfo, state: CycleState, budgets: readonly KubeObject[] = [], promised: readonly Promised[] = []): Candidate | null {
  if (!state.seesPods && !state.demand.other && !state.profile.legacy && info.affine + info.other === 0 && promised.every((one) => one.plain)) return byAmounts(info, state, budgets, promised);
  const before = new Map(info.pods);
  const lower = [...before.values()].filter((p) => priority(p) < priority(state.pod)).sort(importance);
  if (lower.length === 0) return null;
  const fits = (): boolean => judge(anew(state), info.index) === null;
  const passes = (): boolean => {
    for (const { pod } of promised) addPod(info, pod);
    const beside = fits();
    for (const { pod } of promised) removePod(info, pod);
    return beside && (promised.length === 0 || fits());
  };
  for (const pod of lower) removePod(info, pod);
  const found = !passes() ? null : reprieve(info.name, lower, budgets, (pod) => {
    addPod(info, pod);
    if (passes()) return true;
    removePod(info, pod);
    return false;
  });
  for (const pod of found?.victims ?? lower) addPod(info, pod);
  info.pods = before;
  return found && found.victims.length > 0 ? found : null;
}

/** The node to be cleared for the pod, and of whom; null when no node would do. */
export function findVictims(pod: Pod, nodes: readonly NodeInfo[], decision: Decision, profile: Profile, budgets: readonly KubeObject[], volumes: PodVolumes | null = null, random?: Random, nominated?: ReadonlyMap<string, readonly Promised[]>): Candidate | null {
  return pick(candidatesFor(pod, nodes, decision, profile, budgets, volumes, random, nominated));
}

/**
 * Nodes that would take the pod, and who would have to go there: a tenth of those that could, a hundred at least, from a place
 * drawn by lot. None, while victims of an earlier search are still going.
 */
export function candidatesFor(pod: Pod, nodes: readonly NodeInfo[], decision: Decision, profile: Profile, budgets: readonly KubeObject[], volumes: PodVolumes | null = null, random?: Random, nominated?: ReadonlyMap<string, readonly Promised[]>): Candidate[] {
  const named = pod.status?.nominatedNodeName;
  const there = named ? nodes.find((n) => n.name === named) : undefined;
  if (there && [...there.pods.values()].some((p) => p.metadata.deletionTimestamp && priority(p) < priority(pod))) return [];
  const possible = decision.detail ? resolvable(decision.detail) : [];
  const state = beginCycle({ pod, nodes, profile, imageNodes: new Map(), volumes });
  const wanted = Math.min(possible.length, Math.max(100, Math.floor(nodes.length / 10)));
  const from = random && possible.length > wanted ? below(random, possible.length) : 0;
  const found: Candidate[] = [];
  for (let i = 0; i < possible.length && found.length < wanted; i++) {
    const info = possible[(from + i) % possible.length]!;
    const one = candidateOn(info, state, budgets, nominated?.get(info.name)?.filter((p) => goesFirst(p, pod)));
    if (one) found.push(one);
  }
  return found;
}

export function pick(candidates: readonly Candidate[]): Candidate | null {
  let best: Rank | null = null;
  for (const candidate of candidates) {
    const mine = rankOf(candidate);
    if (!best || better(mine, best)) best = mine;
  }
  return best?.candidate ?? null;
}

interface Rank {
  candidate: Candidate;
  top: number;
  sum: number;
}

function rankOf(candidate: Candidate): Rank {
  let top = Number.NEGATIVE_INFINITY;
  let sum = 0;
  for (const victim of candidate.victims) {
    top = Math.max(top, priority(victim));
    sum += priority(victim) + 2 ** 31;
  }
  return { candidate, top, sum };
}

/** When the first of the most important victims started. */
function earliest({ candidate, top }: Rank): string {
  let first = '';
  for (const victim of candidate.victims) if (priority(victim) === top && (first === '' || startOf(victim) < first)) first = startOf(victim);
  return first;
}

/** Violations, top priority, sum and number the smaller the better; then the start the later the better. */
function better(a: Rank, b: Rank): boolean {
  const [x, y] = [a.candidate, b.candidate];
  if (x.violations !== y.violations) return x.violations < y.violations;
  if (a.top !== b.top) return a.top < b.top;
  if (a.sum !== b.sum) return a.sum < b.sum;
  if (x.victims.length !== y.victims.length) return x.victims.length < y.victims.length;
  return earliest(a) > earliest(b);
}

export const victimNames = (c: Candidate): string[] => c.victims.map((v) => keyOf(v.metadata));
