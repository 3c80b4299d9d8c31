/**
 * What the scheduler remembers of its decisions: the outcome of every one (node, how many fitted, who refused how many), the
 * lists by node of the newest. The whole of an older one comes back by replaying to its moment.
 */
import { type Decision, noSpare, type Spare } from './decision.ts';

export interface Memory {
  /** Newest decision of each pod, by key. */
  decisions: Map<string, Decision>;
  /** Keys of those kept with every node's verdict and scores, oldest first from `head`; how many nodes that is. */
  detailed: string[];
  head: number;
  rows: number;
  spare: Spare;
}

const KEPT_DECISIONS = 200_000;
const KEPT_DETAILED = 4000;
/** Verdicts kept over all decisions. */
const KEPT_ROWS = 60_000;
const KEPT_SPARE = 64;

export function createMemory(): Memory {
  return { decisions: new Map(), detailed: [], head: 0, rows: 0, spare: noSpare() };
}

export function remember(memory: Memory, key: string, decision: Decision): void {
  const { decisions, detailed } = memory;
  const old = decisions.get(key);
  if (old) {
    memory.rows -= rowsOf(old);
    decisions.delete(key);
  }
  memory.rows += decision.searched;
  decisions.set(key, decision);
  detailed.push(key);
  while (memory.head < detailed.length - 1 && (memory.rows > KEPT_ROWS || detailed.length - memory.head > KEPT_DETAILED)) thin(memory, detailed[memory.head++]!, key);
  if (memory.head > 5000) {
    detailed.splice(0, memory.head);
    memory.head = 0;
  }
  if (decisions.size > KEPT_DECISIONS) {
    const [oldest, gone] = decisions.entries().next().value!;
    memory.rows -= rowsOf(gone);
    decisions.delete(oldest);
  }
}

const rowsOf = (decision: Decision): number => (decision.detail ? decision.searched : 0);

function thin(memory: Memory, key: string, newest: string): void {
  const old = memory.decisions.get(key);
  if (!old?.detail || key === newest) return;
  memory.rows -= rowsOf(old);
  const { spare } = memory;
  const { scores, totals, feasible, said } = old.detail;
  for (const one of scores) if (!one.common && spare.scores.length < KEPT_SPARE) spare.scores.push(one);
  if (totals.length > 0 && spare.totals.length < KEPT_SPARE) spare.totals.push(totals);
  if (feasible.length > 0 && spare.places.length < KEPT_SPARE) spare.places.push(feasible);
  if (said && spare.said.length < KEPT_SPARE) spare.said.push(said);
  old.detail = null;
}
