/**
 * Scores by room, kept by node: pods of one template come one after another and ask for the same, and each changes one node. A column
 * holds what a demand scores on every node, good for as long as nothing came to the node or left it.
 */
import type { CycleState, Demand } from './profile.ts';

export interface Column {
  /** By node: the node's `changed` when this was reckoned. */
  seen: Float64Array;
  least: Float64Array;
  /** Four numbers a node: what `least` was reckoned from. */
  leastFrom: Float64Array;
  balanced: Float64Array;
  /** Two numbers a node: shares of CPU and memory. */
  shares: Float64Array;
  /** How many cycles asked for any column, when this one was last asked for. */
  asked: number;
}

export interface Columns {
  byDemand: Map<Demand, Column>;
  /** Cycles that asked; the demand of the last one. */
  asked: number;
  last: Demand | null;
}

export const noColumns = (): Columns => ({ byDemand: new Map(), asked: 0, last: null });

const FEW_NODES = 200;
const KEPT = 12;
/** A column that nobody asked for in so many cycles may go. */
const STALE = 1000;

export const share = (used: number, capacity: number): number => (capacity === 0 ? 0 : Math.min(1, used / capacity));
export const least = (requested: number, capacity: number): number => (capacity === 0 || requested > capacity ? 0 : Math.floor(((capacity - requested) * 100) / capacity));

/** The column of the cycle's demand, right for all feasible nodes; null where reckoning anew is as good. */
export function columnOf(state: CycleState): Column | null {
  const known = state.scratch.get('column') as Column | null | undefined;
  if (known !== undefined) return known;
  const column = state.profile.legacy || state.nodes.length < FEW_NODES ? null : choose(state);
  if (column) refresh(column, state);
  state.scratch.set('column', column);
  return column;
}

function choose({ demand, snapshot: { columns }, nodes }: CycleState): Column | null {
  const { byDemand } = columns;
  const again = columns.last === demand;
  columns.last = demand;
  columns.asked++;
  let column = byDemand.get(demand);
  if (!column) {
    if (!again) return null;
    if (byDemand.size >= KEPT) {
      const [oldest, { asked }] = [...byDemand].reduce((a, b) => (b[1].asked < a[1].asked ? b : a));
      if (columns.asked - asked < STALE) return null;
      byDemand.delete(oldest);
    }
    const n = nodes.length;
    column = { seen: new Float64Array(n).fill(-1), least: new Float64Array(n), leastFrom: new Float64Array(4 * n), balanced: new Float64Array(n), shares: new Float64Array(2 * n), asked: 0 };
    byDemand.set(demand, column);
  }
  column.asked = columns.asked;
  return column;
}

function refresh({ seen, least: scores, leastFrom, balanced, shares }: Column, { feasible, demand, snapshot: { room } }: CycleState): void {
  const { changed } = room;
  for (let i = 0; i < feasible.length; i++) {
    const n = feasible[i]!;
    if (seen[n] === changed[n]) continue;
    seen[n] = changed[n]!;
    const cpu = room.cpu[n]!;
    const memory = room.memory[n]!;
    const usedCpu = room.nonzeroCpu[n]! + demand.nonzeroCpu;
    const usedMemory = room.nonzeroMemory[n]! + demand.nonzeroMemory;
    const have = (cpu === 0 ? 0 : 1) + (memory === 0 ? 0 : 1);
    scores[n] = have === 0 ? 0 : Math.floor((least(usedCpu, cpu) + least(usedMemory, memory)) / have);
    leastFrom[4 * n] = cpu;
    leastFrom[4 * n + 1] = usedCpu;
    leastFrom[4 * n + 2] = memory;
    leastFrom[4 * n + 3] = usedMemory;
    const f0 = share(room.usedCpu[n]! + demand.cpu, cpu);
    const f1 = share(room.usedMemory[n]! + demand.memory, memory);
    balanced[n] = Math.trunc((1 - Math.abs(f0 - f1) / 2) * 100);
    shares[2 * n] = f0;
    shares[2 * n + 1] = f1;
  }
}
