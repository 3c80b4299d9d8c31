/**
 * DefaultPreemption: when no node takes a pod, look for a node that would if pods of lower priority left it. Remove them
 * all, then reprieve from the most important down. Choose: lowest top priority of victims, smallest sum of priorities, fewest
 * victims, latest start. Source: framework/preemption/preemption.go. Left out: PodDisruptionBudgets.
 */
import type { Pod } from '../types/objects.ts';
import { keyOf } from '../types/objects.ts';
import type { Decision } from './cycle.ts';
import { imageCounts, runFilters } from './cycle.ts';
import { addPod, demandOf, nodeInfo, removePod } from './nodes.ts';
import type { CycleState, NodeInfo, Profile } from './profile.ts';

export interface Candidate {
  node: string;
  /** In the order of reprieve: the most important first. */
  victims: Pod[];
}

const priority = (pod: Pod): number => pod.spec.priority ?? 0;
const startOf = (pod: Pod): string => pod.status?.startTime ?? '9999';

function importance(a: Pod, b: Pod): number {
  return priority(b) - priority(a) || (startOf(a) < startOf(b) ? -1 : startOf(a) > startOf(b) ? 1 : 0);
}

export function candidateOn(info: NodeInfo, state: CycleState): Candidate | null {
  const copy = nodeInfo(info.node);
  for (const pod of info.pods.values()) addPod(copy, pod);
  const lower = [...info.pods.values()].filter((p) => priority(p) < priority(state.pod));
  if (lower.length === 0) return null;
  const around = (): CycleState => ({ ...state, nodes: state.nodes.map((n) => (n.name === info.name ? copy : n)), scratch: new Map() });
  for (const pod of lower) removePod(copy, pod);
  if (runFilters(around(), copy).plugin !== null) return null;
  const victims: Pod[] = [];
  for (const pod of lower.sort(importance)) {
    addPod(copy, pod);
    if (runFilters(around(), copy).plugin === null) continue;
    removePod(copy, pod);
    victims.push(pod);
  }
  return { node: info.name, victims };
}

export function findVictims(pod: Pod, nodes: readonly NodeInfo[], decision: Decision, profile: Profile): Candidate | null {
  const resolvable = new Set(decision.verdicts.filter((v) => v.resolvable).map((v) => v.node));
  if (![...nodes].some((n) => resolvable.has(n.name) && [...n.pods.values()].some((p) => priority(p) < priority(pod)))) return null;
  if ([...nodes].some((n) => pod.status?.nominatedNodeName === n.name && [...n.pods.values()].some((p) => p.metadata.deletionTimestamp && priority(p) < priority(pod)))) return null;
  const state: CycleState = { pod, demand: demandOf(pod.spec), profile, nodes, imageNodes: imageCounts(nodes), feasible: [], defaultSelector: null, scratch: new Map() };
  const candidates = nodes.flatMap((info) => (resolvable.has(info.name) ? (candidateOn(info, state) ?? []) : []));
  return pick(candidates);
}

export function pick(candidates: readonly Candidate[]): Candidate | null {
  const rank = (c: Candidate): readonly (number | string)[] => {
    const top = c.victims.length > 0 ? Math.max(...c.victims.map(priority)) : Number.NEGATIVE_INFINITY;
    const earliest = c.victims.filter((v) => priority(v) === top).map(startOf).sort()[0] ?? '';
    return [top, c.victims.reduce((sum, v) => sum + priority(v) + 2 ** 31, 0), c.victims.length, earliest];
  };
  let best: Candidate | null = null;
  for (const candidate of candidates) {
    if (!best || better(rank(candidate), rank(best))) best = candidate;
  }
  return best;
}

/** The first three the smaller the better, the start the later the better. */
function better(a: readonly (number | string)[], b: readonly (number | string)[]): boolean {
  for (let i = 0; i < 3; i++) if (a[i] !== b[i]) return a[i]! < b[i]!;
  return a[3]! > b[3]!;
}

export const victimNames = (c: Candidate): string[] => c.victims.map((v) => keyOf(v.metadata));
