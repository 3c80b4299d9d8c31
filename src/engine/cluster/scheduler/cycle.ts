/**
 * One scheduling cycle: filter nodes, score those that will do, choose the best, ties by seeded chance. The loop itself
 * records what each plugin said; plugins only answer. Source: pkg/scheduler/schedule_one.go.
 */
import { below, type Random } from '../../sim/random.ts';
import type { LabelSelector, Pod } from '../types/objects.ts';
import { addPod, demandOf, removePod } from './nodes.ts';
import type { CycleState, NodeInfo, NodeVerdict, Operands, Profile, Refusal, Scores, ScorePlugin } from './profile.ts';
import { snapshotOf } from './snapshot.ts';
import type { PodVolumes } from './volumes.ts';

export type { NodeVerdict } from './profile.ts';

export interface PluginScores {
  plugin: string;
  weight: number;
  applies: boolean;
  raw: Scores;
  norm: Scores;
  /** What `formula` needs, of one feasible node after another; `starts` says where each begins. */
  operands: Operands;
  starts: Int32Array;
}

/** What was decided. Lists by node are kept of the newest decisions only; counts of all. */
export interface Decision {
  pod: string;
  uid: string;
  /** ns */
  at: number;
  attempt: number;
  profile: Profile;
  nodes: number;
  /** Nodes looked at, nodes that every filter let pass, nodes that shared the best total. */
  searched: number;
  fits: number;
  ties: number;
  best: number;
  /** Nodes refused by each filter. */
  refused: ReadonlyMap<string, number>;
  chosen: string | null;
  message: string;
  cpuMilli: number;
  memory: number;
  /** What the lists are made of; null when they are no longer kept. */
  detail: Detail | null;
  readonly verdicts: readonly NodeVerdict[];
  readonly feasible: readonly string[];
  readonly scores: readonly PluginScores[];
  readonly totals: ArrayLike<number>;
  readonly tied: readonly string[];
}

export interface Detail {
  order: readonly NodeInfo[];
  /** The place where the search began. */
  start: number;
  /** Who was refused, by index. */
  refusals: Map<number, NodeVerdict>;
  /** Indices of those that passed, in the order found. */
  feasible: Int32Array;
  scores: PluginScores[];
  totals: Float64Array;
}

const NOTHING: readonly never[] = [];
const NOBODY = new Int32Array(0);
const NO_TOTALS = new Float64Array(0);

/** What every decision answers from its detail: one set of getters for all of them. */
const LISTS: Pick<Decision, 'verdicts' | 'feasible' | 'scores' | 'totals' | 'tied'> & ThisType<Decision> = {
  get verdicts() {
    return this.detail ? verdictsOf(this.detail, this.searched) : NOTHING;
  },
  get feasible() {
    const { detail } = this;
    return detail ? Array.from(detail.feasible, (i) => detail.order[i]!.name) : NOTHING;
  },
  get scores() {
    return this.detail?.scores ?? NOTHING;
  },
  get totals() {
    return this.detail?.totals ?? NOTHING;
  },
  get tied() {
    const { detail } = this;
    if (!detail) return NOTHING;
    return detail.totals.length === 0 ? this.feasible : this.feasible.filter((_, i) => detail.totals[i] === this.best);
  },
};

function blankDecision(pod: Pod, input: CycleInput, demand: CycleState['demand']): Decision {
  const decision = Object.create(LISTS) as Decision;
  decision.pod = `${pod.metadata.namespace ?? 'default'}/${pod.metadata.name}`;
  decision.uid = pod.metadata.uid ?? '';
  decision.at = input.at;
  decision.attempt = input.attempt;
  decision.profile = input.profile;
  decision.nodes = input.nodes.length;
  decision.searched = decision.fits = decision.ties = decision.best = 0;
  decision.refused = NONE;
  decision.chosen = null;
  decision.message = '';
  decision.cpuMilli = demand.cpu;
  decision.memory = demand.memory;
  decision.detail = { order: input.nodes, start: input.nodes.length === 0 ? 0 : input.start % input.nodes.length, refusals: new Map(), feasible: NOBODY, scores: [], totals: NO_TOTALS };
  return decision;
}

function verdictsOf({ order, start, refusals }: Detail, searched: number): NodeVerdict[] {
  return Array.from({ length: searched }, (_, n) => {
    const i = (start + n) % order.length;
    return refusals.get(i) ?? order[i]!.passed;
  });
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
  /** Pods that were promised a place by preemption, by node. */
  nominated?: ReadonlyMap<string, readonly Pod[]> | undefined;
  /** Lists of decisions that nobody keeps any more, to be used again. */
  spare?: PluginScores[];
  volumes?: PodVolumes | null;
  at: number;
  attempt: number;
}

const NONE: ReadonlyMap<string, number> = new Map();
const priorityOf = (pod: Pod): number => pod.spec.priority ?? 0;

/** The state of a cycle, with the filters that have something to say about its pod. */
export function beginCycle(from: Pick<CycleInput, 'pod' | 'nodes' | 'profile' | 'imageNodes' | 'defaultSelector' | 'volumes'>): CycleState {
  const { pod, nodes, profile, imageNodes } = from;
  const state: CycleState = {
    pod, demand: demandOf(pod.spec), profile, nodes, snapshot: snapshotOf(nodes), imageNodes, feasible: NOBODY, defaultSelector: from.defaultSelector ?? null, volumes: from.volumes ?? null, filters: profile.filters, scratch: new Map(),
  };
  state.filters = profile.filters.filter((plugin) => !plugin.skips?.(state));
  return state;
}

/** The same cycle after pods came to a node or left it. */
export function anew(state: CycleState): CycleState {
  const next: CycleState = { ...state, filters: state.profile.filters, scratch: new Map() };
  next.filters = state.profile.filters.filter((plugin) => !plugin.skips?.(next));
  return next;
}

/** Decides for one pod. `searched` is how many nodes were looked at: the next search begins behind them. */
export function decide(input: CycleInput): { decision: Decision; searched: number } {
  const { pod, nodes, profile } = input;
  const state = beginCycle(input);
  const decision = blankDecision(pod, input, state.demand);
  const detail = decision.detail!;
  if (input.refused) refuseAll(decision, nodes, input.refused);
  else search(state, input, decision);
  decision.fits = detail.feasible.length;
  if (decision.fits === 0) decision.message = failure(decision, profile, pod, input.refused);
  else if (decision.fits === 1) {
    decision.chosen = nodes[detail.feasible[0]!]!.name;
    decision.ties = 1;
  } else score(state, decision, input.random, input.spare ?? []);
  return { decision, searched: input.refused ? 0 : decision.searched };
}

function refuseAll(decision: Decision, nodes: readonly NodeInfo[], why: string): void {
  for (const [i, info] of nodes.entries()) decision.detail!.refusals.set(i, { node: info.name, plugin: 'VolumeBinding', reasons: [why], resolvable: false });
  decision.refused = new Map([['VolumeBinding', nodes.length]]);
  decision.searched = nodes.length;
}

/** Looks at nodes in their order from `start` on until enough will do. */
function search(state: CycleState, input: CycleInput, decision: Decision): void {
  const { nodes } = state;
  const wanted = nodesToFind(nodes.length, state.profile.percentageOfNodesToScore);
  const { filters } = state;
  const promised = promisedTo(input);
  const { refusals, start } = decision.detail!;
  const fits = new Int32Array(Math.min(wanted, nodes.length));
  const refused = new Map<string, number>();
  let found = 0;
  let searched = 0;
  for (let at = start; searched < nodes.length && found < wanted; searched++) {
    const verdict = promised?.has(nodes[at]!.name) ? withPromised(state, nodes[at]!, filters, promised.get(nodes[at]!.name)!) : judge(state, at, filters);
    if (verdict === null) fits[found++] = at;
    else {
      refusals.set(at, verdict);
      refused.set(verdict.plugin!, (refused.get(verdict.plugin!) ?? 0) + 1);
    }
    if (++at === nodes.length) at = 0;
  }
  decision.searched = searched;
  decision.detail!.feasible = found === fits.length ? fits : fits.slice(0, found);
  if (refused.size > 0) decision.refused = refused;
}

/** Nominated pods that go before this one. */
function promisedTo({ pod, nominated }: CycleInput): Map<string, Pod[]> | null {
  if (!nominated || nominated.size === 0) return null;
  const out = new Map<string, Pod[]>();
  for (const [node, pods] of nominated) {
    const first = pods.filter((p) => p.metadata.uid !== pod.metadata.uid && priorityOf(p) >= priorityOf(pod));
    if (first.length > 0) out.set(node, first);
  }
  return out.size > 0 ? out : null;
}

/** As if the nominated pods were there already; then as if they never came, for affinity could depend on either. */
function withPromised(state: CycleState, info: NodeInfo, filters: Profile['filters'], pods: readonly Pod[]): NodeVerdict | null {
  for (const pod of pods) addPod(info, pod);
  const verdict = runFilters(anew(state), info);
  for (const pod of pods) removePod(info, pod);
  return verdict.plugin === null ? judge(state, info.index, filters) : verdict;
}

/** The first filter that refuses; all of the profile are asked. */
export function runFilters(state: CycleState, info: NodeInfo): NodeVerdict {
  return judge(state, info.index, state.filters) ?? info.passed;
}

/** null: all let it pass. */
function judge(state: CycleState, index: number, filters: Profile['filters']): NodeVerdict | null {
  for (let i = 0; i < filters.length; i++) {
    const plugin = filters[i]!;
    if (plugin.passes?.(state, index)) continue;
    const info = state.nodes[index]!;
    const refusal: Refusal | null = plugin.filter(state, info);
    if (refusal) return { node: info.name, plugin: plugin.name, reasons: refusal.reasons, resolvable: refusal.resolvable };
  }
  return null;
}

function score(state: CycleState, decision: Decision, random: Random, spare: PluginScores[]): void {
  const { feasible, scores } = decision.detail!;
  state.feasible = feasible;
  const totals = new Float64Array(feasible.length);
  for (const { plugin, weight } of state.profile.scores) {
    const one = blank(spare, feasible.length, plugin.name, weight);
    one.applies = plugin.applies(state);
    if (one.applies) {
      ask(state, plugin, one);
      one.norm.set(one.raw);
      plugin.normalize(state, one.norm);
      addUp(totals, one.norm, weight);
    }
    scores.push(one);
  }
  const { best, ties } = highest(totals);
  decision.detail!.totals = totals;
  decision.ties = ties;
  decision.best = best;
  let lot = ties === 1 ? 0 : below(random, ties);
  for (let i = 0; i < totals.length && decision.chosen === null; i++) if (totals[i] === best && lot-- === 0) decision.chosen = state.nodes[feasible[i]!]!.name;
}

function addUp(totals: Float64Array, norm: Scores, weight: number): void {
  for (let i = 0; i < totals.length; i++) totals[i]! += norm[i]! * weight;
}

function highest(totals: Float64Array): { best: number; ties: number } {
  let best = Number.NEGATIVE_INFINITY;
  let ties = 0;
  for (let i = 0; i < totals.length; i++) {
    const total = totals[i]!;
    if (total > best) {
      best = total;
      ties = 1;
    } else if (total === best) ties++;
  }
  return { best, ties };
}

function ask(state: CycleState, plugin: ScorePlugin, into: PluginScores): void {
  const uniform = plugin.uniform?.(state) ?? null;
  if (uniform !== null) {
    into.raw.fill(uniform);
    into.starts.fill(0);
    return;
  }
  const { raw, starts, operands } = into;
  const { feasible } = state;
  if (plugin.scoreAll?.(state, raw, operands, starts)) return;
  for (let i = 0; i < feasible.length; i++) {
    starts[i] = operands.length;
    raw[i] = plugin.score(state, feasible[i]!, operands);
  }
  starts[feasible.length] = operands.length;
}

/** Empty lists for `n` nodes: used ones where there are any of that length. */
function blank(spare: PluginScores[], n: number, plugin: string, weight: number): PluginScores {
  const used = spare.pop();
  if (used?.raw.length !== n) {
    return { plugin, weight, applies: false, raw: new Float64Array(n), norm: new Float64Array(n), operands: { values: new Float64Array(Math.max(16, n * 4)), length: 0 }, starts: new Int32Array(n + 1) };
  }
  used.raw.fill(0);
  used.norm.fill(0);
  used.operands.length = 0;
  return Object.assign(used, { plugin, weight, applies: false });
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
