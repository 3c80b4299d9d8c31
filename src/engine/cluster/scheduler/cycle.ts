/**
 * One scheduling cycle: filter nodes, score those that will do, choose the best, ties by seeded chance. The loop itself
 * records what each plugin said; plugins only answer. Source: pkg/scheduler/schedule_one.go.
 */
import type { Random } from '../../sim/random.ts';
import type { LabelSelector, Pod } from '../types/objects.ts';
import { blankDecision, type Decision, NOBODY, noSpare, noteRefusal, refusedBy, type Spare } from './decision.ts';
import { addPod, demandOf, load, removePod } from './nodes.ts';
import type { CycleState, Demand, NodeInfo, Profile, Refusal } from './profile.ts';
import { score } from './scoring.ts';
import { snapshotOf } from './snapshot.ts';
import type { PodVolumes } from './volumes.ts';

export type { Decision, PluginScores } from './decision.ts';
export type { NodeVerdict } from './profile.ts';

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
  /** "namespace/name", where it is at hand. */
  key?: string;
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
  nominated?: ReadonlyMap<string, readonly Promised[]> | undefined;
  spare?: Spare;
  volumes?: PodVolumes | null;
  at: number;
  attempt: number;
}

const priorityOf = (pod: Pod): number => pod.spec.priority ?? 0;

/** The state of a cycle, with the filters that have something to say about its pod. */
export function beginCycle(from: Pick<CycleInput, 'pod' | 'nodes' | 'profile' | 'imageNodes' | 'defaultSelector' | 'volumes'>): CycleState {
  const { pod, nodes, profile, imageNodes } = from;
  const state: CycleState = {
    pod, demand: demandOf(pod.spec), profile, nodes, snapshot: snapshotOf(nodes), imageNodes, feasible: NOBODY, defaultSelector: from.defaultSelector ?? null, volumes: from.volumes ?? null, filters: profile.filters, seesPods: false, scratch: new Map(),
  };
  chooseFilters(state);
  return state;
}

function chooseFilters(state: CycleState): void {
  state.filters = state.profile.filters.filter((plugin) => !plugin.skips?.(state));
  state.seesPods = state.filters.some((plugin) => plugin.seesPods);
}

/** The same cycle after pods came to a node or left it. */
export function anew(state: CycleState): CycleState {
  const next: CycleState = { ...state, filters: state.profile.filters, scratch: new Map() };
  chooseFilters(next);
  return next;
}

/** Decides for one pod. `searched` is how many nodes were looked at: the next search begins behind them. */
export function decide(input: CycleInput): { decision: Decision; searched: number } {
  const { pod, nodes, profile, spare = noSpare() } = input;
  const state = beginCycle(input);
  const decision = blankDecision(pod, input.key ?? `${pod.metadata.namespace ?? 'default'}/${pod.metadata.name}`, input, state.demand);
  const detail = decision.detail!;
  if (input.refused) refuseAll(decision, nodes, input.refused, spare);
  else search(state, input, decision, spare);
  decision.fits = detail.feasible.length;
  if (decision.fits === 0) decision.message = failure(decision, profile, pod, input.refused);
  else if (decision.fits === 1) {
    decision.chosen = nodes[detail.feasible[0]!]!.name;
    decision.ties = 1;
  } else score(state, decision, input.random, spare);
  return { decision, searched: input.refused ? 0 : decision.searched };
}

function refuseAll(decision: Decision, nodes: readonly NodeInfo[], why: string, spare: Spare): void {
  const detail = decision.detail!;
  const refusal: Refusal = { reasons: [why], resolvable: false };
  for (let i = 0; i < nodes.length; i++) noteRefusal(detail, i, 'VolumeBinding', refusal, spare);
  decision.refused = new Map([['VolumeBinding', nodes.length]]);
  decision.searched = nodes.length;
}

/** Looks at nodes in their order from `start` on until enough will do: as many at a time as are wanted still, so that none is looked at too much. */
function search(state: CycleState, input: CycleInput, decision: Decision, spare: Spare): void {
  const { nodes, snapshot: { places } } = state;
  const wanted = Math.min(nodesToFind(nodes.length, state.profile.percentageOfNodesToScore), nodes.length);
  const promised = input.nominated && input.nominated.size > 0 ? input.nominated : null;
  const detail = decision.detail!;
  const used = spare.places.pop();
  const fits = used?.length === wanted ? used : new Int32Array(wanted);
  let found = 0;
  let searched = 0;
  for (let at = detail.start; searched < nodes.length && found < wanted; ) {
    const many = Math.min(wanted - found, nodes.length - searched);
    for (let i = 0, place = at; i < many; i++) {
      places[i] = place;
      if (++place === nodes.length) place = 0;
    }
    const sure = sift(state, places, many, promised);
    if (sure === many) {
      for (let i = 0; i < many; i++) fits[found + i] = places[i]!;
      found += many;
      searched += many;
      at = (at + many) % nodes.length;
      continue;
    }
    for (let i = 0, k = 0; i < many; i++, searched++) {
      if (k < sure && places[k] === at) {
        fits[found++] = at;
        k++;
      } else {
        const first = promised?.get(nodes[at]!.name);
        const verdict = first ? withPromised(state, nodes[at]!, first) : judge(state, at);
        if (verdict === null) fits[found++] = at;
        else noteRefusal(detail, searched, verdict.plugin, verdict.refusal, spare);
      }
      if (++at === nodes.length) at = 0;
    }
  }
  decision.searched = searched;
  detail.feasible = found === fits.length ? fits : fits.slice(0, found);
  if (detail.kinds.length > 0) decision.refused = refusedBy(detail.kinds);
}

/** Moves to the front the places of nodes that every filter lets pass for sure, in order; how many they are. */
function sift(state: CycleState, places: Int32Array, many: number, promised: CycleInput['nominated'] | null): number {
  const { nodes, filters } = state;
  let n = many;
  if (promised) {
    n = 0;
    for (let i = 0; i < many; i++) if (!promised.has(nodes[places[i]!]!.name)) places[n++] = places[i]!;
  }
  for (let f = 0; f < filters.length && n > 0; f++) {
    const plugin = filters[f]!;
    if (plugin.sift) n = plugin.sift(state, places, n);
    else if (plugin.passes) {
      const all = n;
      n = 0;
      for (let i = 0; i < all; i++) if (plugin.passes(state, places[i]!)) places[n++] = places[i]!;
    } else return 0;
  }
  return n;
}

export interface Promised {
  pod: Pod;
  demand: Demand;
  /** A filter that sees no pods knows all of it by its amounts of CPU and memory, and none wakes because of it. */
  plain: boolean;
}

export function promiseOf(pod: Pod): Promised {
  const demand = demandOf(pod.spec);
  return { pod, demand, plain: !pod.spec.affinity && !demand.other };
}

/** Whether a pod that was promised a place has it before another one. */
export const goesFirst = ({ pod }: Promised, other: Pod): boolean => pod.metadata.uid !== other.metadata.uid && priorityOf(pod) >= priorityOf(other);

/** As if the nominated pods were there already; then as if they never came, for affinity could depend on either. */
function withPromised(state: CycleState, info: NodeInfo, nominated: readonly Promised[]): Verdict | null {
  const mine = state.pod;
  const goes = (one: Promised): boolean => goesFirst(one, mine);
  let some = false;
  let plain = !state.seesPods;
  for (const one of nominated) {
    if (!goes(one)) continue;
    some = true;
    if (!one.plain) plain = false;
  }
  if (!some) return judge(state, info.index);
  if (plain) {
    for (const one of nominated) if (goes(one)) load(info, one.demand, 1);
    const verdict = judge(state, info.index);
    for (const one of nominated) if (goes(one)) load(info, one.demand, -1);
    return verdict;
  }
  const first = nominated.filter(goes);
  for (const { pod } of first) addPod(info, pod);
  const verdict = judge(anew(state), info.index);
  for (const { pod } of first) removePod(info, pod);
  return verdict ?? judge(state, info.index);
}

interface Verdict {
  plugin: string;
  refusal: Refusal;
}

/** The first filter that refuses; null: all let it pass. */
export function judge(state: CycleState, index: number): Verdict | null {
  const { filters } = state;
  for (let i = 0; i < filters.length; i++) {
    const plugin = filters[i]!;
    if (plugin.passes?.(state, index)) continue;
    const refusal = plugin.filter(state, state.nodes[index]!);
    if (refusal) return { plugin: plugin.name, refusal };
  }
  return null;
}

/** "0/3 nodes are available: 1 node(s) …, 2 Insufficient cpu. preemption: …", reasons sorted as text. */
function failure(decision: Decision, profile: Profile, pod: Pod, refused?: string | null): string {
  if (decision.nodes === 0) return 'no nodes available to schedule pods';
  const head = `0/${decision.nodes} nodes are available: ${refused ? `${profile.legacy ? `${decision.nodes} ` : ''}${refused}` : reasonsOf(decision)}.`;
  if (profile.legacy) return head;
  if (pod.spec.preemptionPolicy === 'Never') return `${head} preemption: not eligible due to preemptionPolicy=Never.`;
  const why = new Map<string, number>();
  for (const { refusal, nodes } of decision.detail!.kinds) add(why, refusal.resolvable ? 'No preemption victims found for incoming pod' : 'Preemption is not helpful for scheduling', nodes);
  return `${head} preemption: 0/${decision.nodes} nodes are available: ${histogram(why)}.`;
}

function add(counts: Map<string, number>, reason: string, nodes: number): void {
  counts.set(reason, (counts.get(reason) ?? 0) + nodes);
}

function reasonsOf(decision: Decision): string {
  const counts = new Map<string, number>();
  for (const { refusal, nodes } of decision.detail!.kinds) for (const reason of refusal.reasons) add(counts, reason, nodes);
  return histogram(counts);
}

const histogram = (counts: ReadonlyMap<string, number>): string => [...counts].map(([reason, n]) => `${n} ${reason}`).sort().join(', ');
