/**
 * One scheduling cycle: filter nodes, score those that will do, choose the best, ties by seeded chance. The loop itself
 * records what each plugin said; plugins only answer. Source: pkg/scheduler/schedule_one.go.
 */
import { below, type Random } from '../../sim/random.ts';
import type { LabelSelector, Pod } from '../types/objects.ts';
import { addPod, demandOf, nodeInfo } from './nodes.ts';
import type { PodVolumes } from './volumes.ts';
import type { CycleState, NodeInfo, NodeVerdict, Profile, Refusal } from './profile.ts';

export type { NodeVerdict } from './profile.ts';

export interface PluginScores {
  plugin: string;
  weight: number;
  applies: boolean;
  raw: number[];
  norm: number[];
  /** What `formula` needs, of one feasible node after another; `starts` says where each begins. */
  operands: number[];
  starts: number[];
}

export interface Decision {
  pod: string;
  uid: string;
  /** ns */
  at: number;
  attempt: number;
  profile: Profile;
  nodes: number;
  verdicts: NodeVerdict[];
  feasible: string[];
  scores: PluginScores[];
  totals: number[];
  tied: string[];
  chosen: string | null;
  message: string;
  cpuMilli: number;
  memory: number;
}

/** How many feasible nodes are enough (schedule_one.go numFeasibleNodesToFind). */
export function nodesToFind(nodes: number, percentage: number): number {
  if (nodes < 100) return nodes;
  const pct = percentage > 0 ? percentage : Math.max(5, 50 - Math.floor(nodes / 125));
  if (pct >= 100) return nodes;
  return Math.max(100, Math.floor((nodes * pct) / 100));
}

export function imageCounts(nodes: readonly NodeInfo[]): Map<string, number> {
  const out = new Map<string, number>();
  for (const info of nodes) for (const name of info.images.keys()) out.set(name, (out.get(name) ?? 0) + 1);
  return out;
}

export interface CycleInput {
  pod: Pod;
  nodes: readonly NodeInfo[];
  profile: Profile;
  random: Random;
  /** Where the search begins. */
  start: number;
  imageNodes: Map<string, number>;
  defaultSelector?: LabelSelector | null;
  /** What was said before any node was looked at (PreFilter): then none will do. */
  refused?: string | null;
  /** Pods that wait for victims to leave a node, by node: they have their place before pods of no higher priority. */
  nominated?: Map<string, Pod[]>;
  volumes?: PodVolumes | null;
  at: number;
  attempt: number;
}

/** Decides for one pod. `searched` is how many nodes were looked at: the next search begins behind them. */
export function decide(input: CycleInput): { decision: Decision; searched: number } {
  const { pod, nodes, profile } = input;
  const demand = demandOf(pod.spec);
  const state = beginCycle({ pod, demand, profile, nodes, imageNodes: input.imageNodes, defaultSelector: input.defaultSelector ?? null, volumes: input.volumes ?? null });
  const decision: Decision = {
    pod: `${pod.metadata.namespace ?? 'default'}/${pod.metadata.name}`, uid: pod.metadata.uid ?? '', at: input.at, attempt: input.attempt, profile,
    nodes: nodes.length, verdicts: [], feasible: [], scores: [], totals: [], tied: [], chosen: null, message: '',
    cpuMilli: demand.requests.get('cpu') ?? 0, memory: demand.requests.get('memory') ?? 0,
  };
  const wanted = nodesToFind(nodes.length, profile.percentageOfNodesToScore);
  const fits: NodeInfo[] = [];
  let searched = 0;
  if (input.refused) decision.verdicts.push(...nodes.map((info) => ({ node: info.name, plugin: 'VolumeBinding', reasons: [input.refused!], resolvable: false })));
  else for (; searched < nodes.length && fits.length < wanted; searched++) {
    const info = nodes[(input.start + searched) % nodes.length]!;
    const verdict = input.nominated ? withNominated(state, info, input.nominated.get(info.name) ?? []) : runFilters(state, info);
    decision.verdicts.push(verdict);
    if (verdict.plugin === null) fits.push(info);
  }
  decision.feasible = fits.map((i) => i.name);
  if (fits.length === 0) decision.message = failure(decision, profile, pod, input.refused);
  else if (fits.length === 1) {
    decision.chosen = fits[0]!.name;
    decision.tied = [fits[0]!.name];
  } else score(state, fits, decision, input.random);
  return { decision, searched };
}

/** The state of a cycle, with the filters that have something to say about its pod. */
export function beginCycle(from: Omit<CycleState, 'feasible' | 'filters' | 'scratch'>): CycleState {
  const state: CycleState = { ...from, feasible: [], filters: from.profile.filters, scratch: new Map() };
  state.filters = from.profile.filters.filter((plugin) => !plugin.skips?.(state));
  return state;
}

const PASSED: readonly string[] = [];

export function runFilters(state: CycleState, info: NodeInfo): NodeVerdict {
  for (const plugin of state.filters) {
    const refusal: Refusal | null = plugin.filter(state, info);
    if (refusal) return { node: info.name, plugin: plugin.name, reasons: refusal.reasons, resolvable: refusal.resolvable };
  }
  return (info.passed ??= { node: info.name, plugin: null, reasons: PASSED, resolvable: true });
}

/** The state as it would be with another node info in the place of one. */
export const withPods = (state: CycleState, info: NodeInfo, instead: NodeInfo): CycleState => ({ ...state, nodes: state.nodes.map((n) => (n === info ? instead : n)), scratch: new Map() });

/** A node must do both with the pods that are nominated to it, which may never come, and without. */
function withNominated(state: CycleState, info: NodeInfo, nominated: readonly Pod[]): NodeVerdict {
  const before = nominated.filter((p) => (p.spec.priority ?? 0) >= (state.pod.spec.priority ?? 0) && p.metadata.uid !== state.pod.metadata.uid);
  if (before.length === 0) return runFilters(state, info);
  const copy = nodeInfo(info.node);
  for (const pod of [...info.pods.values(), ...before]) addPod(copy, pod);
  const verdict = runFilters(withPods(state, info, copy), copy);
  return verdict.plugin === null ? runFilters(state, info) : verdict;
}

function score(state: CycleState, fits: readonly NodeInfo[], decision: Decision, random: Random): void {
  state.feasible = fits;
  const totals = new Array<number>(fits.length).fill(0);
  for (const { plugin, weight } of state.profile.scores) {
    const applies = plugin.applies(state);
    const raw = new Array<number>(fits.length).fill(0);
    const operands: number[] = [];
    const starts: number[] = [];
    if (applies) {
      for (let i = 0; i < fits.length; i++) {
        starts.push(operands.length);
        raw[i] = plugin.score(state, fits[i]!, operands);
      }
    }
    const norm = raw.slice();
    if (applies) plugin.normalize(state, norm);
    for (let i = 0; i < fits.length; i++) totals[i]! += norm[i]! * weight;
    decision.scores.push({ plugin: plugin.name, weight, applies, raw, norm, operands, starts });
  }
  let best = Number.NEGATIVE_INFINITY;
  for (const total of totals) if (total > best) best = total;
  decision.totals = totals;
  decision.tied = decision.feasible.filter((_, i) => totals[i] === best);
  decision.chosen = decision.tied[decision.tied.length === 1 ? 0 : below(random, decision.tied.length)]!;
}

/** "0/3 nodes are available: 1 node(s) …, 2 Insufficient cpu. preemption: …", reasons sorted as text. */
function failure(decision: Decision, profile: Profile, pod: Pod, refused?: string | null): string {
  if (decision.nodes === 0) return 'no nodes available to schedule pods';
  const head = `0/${decision.nodes} nodes are available: ${refused ? `${profile.legacy ? `${decision.nodes} ` : ''}${refused}` : histogram(decision.verdicts.flatMap((v) => v.reasons))}.`;
  if (profile.legacy) return head;
  if (pod.spec.preemptionPolicy === 'Never') return `${head} preemption: not eligible due to preemptionPolicy=Never.`;
  const why = decision.verdicts.map((v) => (v.resolvable ? 'No preemption victims found for incoming pod' : 'Preemption is not helpful for scheduling'));
  return `${head} preemption: 0/${decision.nodes} nodes are available: ${histogram(why)}.`;
}

export function histogram(reasons: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return [...counts].map(([reason, n]) => `${n} ${reason}`).sort().join(', ');
}
