/**
 * DefaultPreemption: when no node takes a pod, look for a node that would if pods of lower priority left it. Remove them
 * all, then reprieve from the most important down, those first that a disruption budget protects. Choose: fewest violated budgets,
 * lowest top priority of victims, smallest sum of priorities, fewest victims, latest start. Source: framework/preemption/preemption.go.
 * The trials happen on the snapshot itself and are taken back.
 */
import { below, type Random } from '../../sim/random.ts';
import type { KubeObject, Pod } from '../types/objects.ts';
import { matchesSelector } from '../types/selectors.ts';
import { keyOf } from '../types/objects.ts';
import { anew, beginCycle, isPlain, judge } from './cycle.ts';
import { type Decision, resolvable } from './decision.ts';
import { addPod, demandOf, load, removePod } from './nodes.ts';
import type { CycleState, NodeInfo, Profile } from './profile.ts';
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

/** How a trial takes pods from a node and gives them back. Where no filter sees pods, their amounts are enough. */
interface Trial {
  take(pod: Pod): void;
  give(pod: Pod): void;
  passes(): boolean;
  /** All that was taken has been given back. */
  end(): void;
}

function trialOn(info: NodeInfo, state: CycleState, lower: readonly Pod[]): Trial {
  if (!state.seesPods && !state.demand.other && lower.every(isPlain)) {
    return { take: (pod) => load(info, demandOf(pod.spec), -1), give: (pod) => load(info, demandOf(pod.spec), 1), passes: () => judge(state, info.index) === null, end: () => {} };
  }
  const before = new Map(info.pods);
  return {
    take: (pod) => removePod(info, pod), give: (pod) => addPod(info, pod), passes: () => judge(anew(state), info.index) === null,
    end() {
      info.pods = before;
    },
  };
}

/** Who would have to leave this node; null when that would not help either. */
export function candidateOn(info: NodeInfo, state: CycleState, budgets: readonly KubeObject[] = []): Candidate | null {
  const mine = priority(state.pod);
  const lower: Pod[] = [];
  for (const pod of info.pods.values()) if (priority(pod) < mine) lower.push(pod);
  if (lower.length === 0) return null;
  const trial = trialOn(info, state, lower);
  for (const pod of lower) trial.take(pod);
  const victims: Pod[] = [];
  let violations = 0;
  const helps = trial.passes();
  if (helps) {
    const { violating, rest } = byBudget(lower.sort(importance), budgets);
    for (const [pods, counts] of [[violating, true], [rest, false]] as const) {
      for (const pod of pods) {
        trial.give(pod);
        if (trial.passes()) continue;
        trial.take(pod);
        victims.push(pod);
        if (counts) violations++;
      }
    }
  }
  for (const pod of helps ? victims : lower) trial.give(pod);
  trial.end();
  return helps && victims.length > 0 ? { node: info.name, victims, violations } : null;
}

/** The node to be cleared for the pod, and of whom; null when no node would do. */
export function findVictims(pod: Pod, nodes: readonly NodeInfo[], decision: Decision, profile: Profile, budgets: readonly KubeObject[], volumes: PodVolumes | null = null, random?: Random): Candidate | null {
  return pick(candidatesFor(pod, nodes, decision, profile, budgets, volumes, random));
}

/**
 * Nodes that would take the pod, and who would have to go there: a tenth of those that could, a hundred at least, from a place
 * drawn by lot. None, while victims of an earlier search are still going.
 */
export function candidatesFor(pod: Pod, nodes: readonly NodeInfo[], decision: Decision, profile: Profile, budgets: readonly KubeObject[], volumes: PodVolumes | null = null, random?: Random): Candidate[] {
  const named = pod.status?.nominatedNodeName;
  const there = named ? nodes.find((n) => n.name === named) : undefined;
  if (there && [...there.pods.values()].some((p) => p.metadata.deletionTimestamp && priority(p) < priority(pod))) return [];
  const possible = decision.detail ? resolvable(decision.detail) : [];
  const state = beginCycle({ pod, nodes, profile, imageNodes: new Map(), volumes });
  const wanted = Math.min(possible.length, Math.max(100, Math.floor(nodes.length / 10)));
  const from = random && possible.length > wanted ? below(random, possible.length) : 0;
  const found: Candidate[] = [];
  for (let i = 0; i < possible.length && found.length < wanted; i++) {
    const one = candidateOn(possible[(from + i) % possible.length]!, state, budgets);
    if (one) found.push(one);
  }
  return found;
}

export function pick(candidates: readonly Candidate[]): Candidate | null {
  let best: Candidate | null = null;
  let rank: readonly (number | string)[] = [];
  for (const candidate of candidates) {
    const mine = rankOf(candidate);
    if (best && !better(mine, rank)) continue;
    best = candidate;
    rank = mine;
  }
  return best;
}

function rankOf({ victims, violations }: Candidate): readonly (number | string)[] {
  const top = victims.reduce((most, v) => Math.max(most, priority(v)), Number.NEGATIVE_INFINITY);
  const earliest = victims.filter((v) => priority(v) === top).map(startOf).sort()[0] ?? '';
  return [violations, top, victims.reduce((sum, v) => sum + priority(v) + 2 ** 31, 0), victims.length, earliest];
}

/** The first four the smaller the better, the start the later the better. */
function better(a: readonly (number | string)[], b: readonly (number | string)[]): boolean {
  for (let i = 0; i < 4; i++) if (a[i] !== b[i]) return a[i]! < b[i]!;
  return a[4]! > b[4]!;
}

export const victimNames = (c: Candidate): string[] => c.victims.map((v) => keyOf(v.metadata));
