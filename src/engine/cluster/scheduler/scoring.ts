/**
 * Scores of the nodes that will do: raw, normalised, weighted and summed; the best of them, ties by seeded chance. What is the same
 * of every node is worked out once. Source: pkg/scheduler/framework/runtime RunScorePlugins, schedule_one.go selectHost.
 */
import { below, type Random } from '../../sim/random.ts';
import type { Decision, PluginScores, Spare } from './decision.ts';
import type { CycleState, Scores, ScorePlugin } from './profile.ts';

export function score(state: CycleState, decision: Decision, random: Random, spare: Spare): void {
  const { feasible, scores } = decision.detail!;
  state.feasible = feasible;
  for (const { plugin, weight } of state.profile.scores) scores.push(scoresOf(state, plugin, weight, spare));
  const totals = addUp(totalsFor(feasible.length, spare), scores);
  const { best, ties } = highest(totals);
  decision.detail!.totals = totals;
  decision.ties = ties;
  decision.best = best;
  const at = drawn(totals, best, ties === 1 ? 0 : below(random, ties));
  decision.chosen = state.nodes[feasible[at]!]!.name;
}

/** The place of the best total that the lot fell on. */
function drawn(totals: Float64Array, best: number, lot: number): number {
  let left = lot;
  for (let i = 0; i < totals.length; i++) if (totals[i] === best && left-- === 0) return i;
  return -1;
}

function totalsFor(n: number, spare: Spare): Float64Array {
  const used = spare.totals.pop();
  return used?.length === n ? used : new Float64Array(n);
}

function scoresOf(state: CycleState, plugin: ScorePlugin, weight: number, spare: Spare): PluginScores {
  const n = state.feasible.length;
  if (!plugin.applies(state)) return alike(plugin.name, weight, n, false, 0, 0);
  const uniform = plugin.uniform?.(state) ?? null;
  if (uniform !== null) {
    const norm = Float64Array.of(uniform);
    plugin.normalize(state, norm);
    return alike(plugin.name, weight, n, true, uniform, norm[0]!);
  }
  const one = blank(spare, n, plugin, weight);
  ask(state, plugin, one);
  if (!plugin.plain) {
    one.norm.set(one.raw);
    plugin.normalize(state, one.norm);
  }
  return one;
}

/** Weighted sums, all of whole numbers: those that every node has alike are summed apart. */
function addUp(totals: Float64Array, scores: readonly PluginScores[]): Float64Array {
  let base = 0;
  for (const { applies, common, norm, weight } of scores) if (applies && common) base += norm[0]! * weight;
  totals.fill(base);
  for (const { applies, common, norm, weight } of scores) {
    if (!applies || common) continue;
    for (let i = 0; i < totals.length; i++) totals[i]! += norm[i]! * weight;
  }
  return totals;
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
  const { raw, starts, operands } = into;
  const { feasible } = state;
  if (plugin.scoreAll?.(state, raw, operands, starts)) return;
  for (let i = 0; i < feasible.length; i++) {
    starts[i] = operands.length;
    raw[i] = plugin.score(state, feasible[i]!, operands);
  }
  starts[feasible.length] = operands.length;
}

/** Lists for `n` nodes, to be filled: used ones where there are any of that length. */
function blank(spare: Spare, n: number, { name, plain = false }: ScorePlugin, weight: number): PluginScores {
  const used = spare.scores.pop();
  if (used?.raw.length === n) {
    used.plugin = name;
    used.weight = weight;
    used.operands.length = 0;
    if (plain) used.norm = used.raw;
    else if (used.norm === used.raw) used.norm = new Float64Array(n);
    return used;
  }
  const raw = new Float64Array(n);
  return { plugin: name, weight, applies: true, raw, norm: plain ? raw : new Float64Array(n), operands: { values: new Float64Array(Math.max(16, n * 4)), length: 0 }, starts: new Int32Array(n + 1), common: false };
}

/** Lists of one number, by number and length: nobody writes to them. */
const lists = new Map<string, Float64Array>();
const KEPT_LISTS = 64;
const noStarts = new Map<number, Int32Array>();
const NO_OPERANDS = { values: new Float64Array(0), length: 0 };

function alike(plugin: string, weight: number, n: number, applies: boolean, raw: number, norm: number): PluginScores {
  let starts = noStarts.get(n);
  if (!starts) {
    if (noStarts.size >= KEPT_LISTS) noStarts.clear();
    noStarts.set(n, (starts = new Int32Array(n + 1)));
  }
  return { plugin, weight, applies, raw: listOf(n, raw), norm: listOf(n, norm), operands: NO_OPERANDS, starts, common: true };
}

function listOf(n: number, value: number): Scores {
  const name = `${n} ${value}`;
  let list = lists.get(name);
  if (!list) {
    if (lists.size >= KEPT_LISTS) lists.clear();
    lists.set(name, (list = new Float64Array(n).fill(value)));
  }
  return list;
}
