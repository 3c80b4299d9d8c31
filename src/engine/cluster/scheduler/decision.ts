/**
 * What a cycle decided: its outcome, kept of every pod, and the lists by node that it was made of, kept of the newest. A refusal is a
 * number a node; the words of each are there once.
 */
import type { Pod } from '../types/objects.ts';
import type { CycleState, NodeInfo, NodeVerdict, Operands, Profile, Refusal, Scores } from './profile.ts';

export interface PluginScores {
  plugin: string;
  weight: number;
  applies: boolean;
  raw: Scores;
  norm: Scores;
  /** What `formula` needs, of one feasible node after another; `starts` says where each begins. */
  operands: Operands;
  starts: Int32Array;
  /** Its lists are those of every node that scores the same: not to be written to. */
  common: boolean;
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

/** Why nodes were refused, in the same words, and how many. */
export interface Kind {
  plugin: string;
  refusal: Refusal;
  nodes: number;
}

export interface Detail {
  order: readonly NodeInfo[];
  /** The place where the search began. */
  start: number;
  /** Of the nodes looked at, in that order: 0 passed, or one of `kinds`, counted from 1. Null: all passed. */
  said: Uint16Array | null;
  kinds: Kind[];
  /** Indices of those that passed, in the order found. */
  feasible: Int32Array;
  scores: PluginScores[];
  totals: Float64Array;
}

/** Lists of decisions that nobody keeps any more, to be used again. */
export interface Spare {
  scores: PluginScores[];
  totals: Float64Array[];
  places: Int32Array[];
  said: Uint16Array[];
}

export const noSpare = (): Spare => ({ scores: [], totals: [], places: [], said: [] });

const NOTHING: readonly never[] = [];
export const NOBODY = new Int32Array(0);
const NO_TOTALS = new Float64Array(0);
const NONE: ReadonlyMap<string, number> = new Map();

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

export function blankDecision(pod: Pod, key: string, from: { nodes: readonly NodeInfo[]; profile: Profile; start: number; at: number; attempt: number }, demand: CycleState['demand']): Decision {
  const { nodes, profile, start, at, attempt } = from;
  const outcome = {
    pod: key, uid: pod.metadata.uid ?? '', at, attempt, profile, nodes: nodes.length, searched: 0, fits: 0, ties: 0, best: 0, refused: NONE, chosen: null, message: '', cpuMilli: demand.cpu, memory: demand.memory,
    detail: { order: nodes, start: nodes.length === 0 ? 0 : start % nodes.length, said: null, kinds: [], feasible: NOBODY, scores: [], totals: NO_TOTALS } satisfies Detail,
  };
  return Object.setPrototypeOf(outcome, LISTS);
}

function verdictsOf({ order, start, said, kinds }: Detail, searched: number): NodeVerdict[] {
  return Array.from({ length: searched }, (_, n) => {
    const info = order[(start + n) % order.length]!;
    const kind = said?.[n] ? kinds[said[n]! - 1]! : null;
    return kind ? { node: info.name, plugin: kind.plugin, reasons: kind.refusal.reasons, resolvable: kind.refusal.resolvable } : info.passed;
  });
}

/** Notes that the `n`th node looked at was refused. */
export function noteRefusal(detail: Detail, n: number, plugin: string, refusal: Refusal, spare: Spare): void {
  if (detail.said === null) {
    const used = spare.said.pop();
    detail.said = used?.length === detail.order.length ? used.fill(0) : new Uint16Array(detail.order.length);
  }
  const kind = kindOf(detail.kinds, plugin, refusal);
  detail.kinds[kind]!.nodes++;
  detail.said[n] = kind + 1;
}

function kindOf(kinds: Kind[], plugin: string, refusal: Refusal): number {
  for (let i = 0; i < kinds.length; i++) if (kinds[i]!.refusal === refusal && kinds[i]!.plugin === plugin) return i;
  const { reasons, resolvable } = refusal;
  const known = kinds.findIndex((k) => k.plugin === plugin && k.refusal.resolvable === resolvable && k.refusal.reasons.length === reasons.length && k.refusal.reasons.every((r, i) => r === reasons[i]));
  if (known >= 0) return known;
  kinds.push({ plugin, refusal, nodes: 0 });
  return kinds.length - 1;
}

/** How many nodes each filter refused. */
export function refusedBy(kinds: readonly Kind[]): ReadonlyMap<string, number> {
  if (kinds.length === 0) return NONE;
  const out = new Map<string, number>();
  for (const { plugin, nodes } of kinds) out.set(plugin, (out.get(plugin) ?? 0) + nodes);
  return out;
}

/** Nodes that were refused for what evicting pods could change, in the order of the list of nodes. */
export function resolvable({ order, start, said, kinds }: Detail): NodeInfo[] {
  if (said === null) return [];
  const split = order.length - start;
  return order.filter((_, i) => {
    const kind = said[i >= start ? i - start : i + split]!;
    return kind > 0 && kinds[kind - 1]!.refusal.resolvable;
  });
}
