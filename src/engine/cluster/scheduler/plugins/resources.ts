/**
 * Scores by free room. LeastAllocated: the emptier the better, floor((capacity - requested)*100/capacity) for CPU and
 * memory, mean of both. BalancedAllocation: CPU and memory in like proportion, (1 - |f0 - f1|/2)*100 (1.20: 1 - |f0 - f1|).
 */
import { columnOf, least, share } from '../columns.ts';
import { type CycleState, jot, reserve, type ScorePlugin } from '../profile.ts';
import { milliOf, wholeOf } from '../../types/quantity.ts';

const MIB = 1024 * 1024;

/** 1.20 counted a RuntimeClass's CPU overhead in whole units; scores of that profile do too. */
function wantedCpu(state: CycleState): number {
  const overhead = state.pod.spec.overhead?.cpu;
  if (!state.profile.legacy || overhead === undefined) return state.demand.nonzeroCpu;
  return state.demand.nonzeroCpu - milliOf(overhead) + wholeOf(overhead);
}

export function leastAllocated(name: string): ScorePlugin {
  return {
    name,
    applies: () => true,
    score(state, index, operands) {
      const { room } = state.snapshot;
      const cpu = room.cpu[index]!;
      const memory = room.memory[index]!;
      const usedCpu = room.nonzeroCpu[index]! + wantedCpu(state);
      const usedMemory = room.nonzeroMemory[index]! + state.demand.nonzeroMemory;
      jot(operands, cpu);
      jot(operands, usedCpu);
      jot(operands, memory);
      jot(operands, usedMemory);
      const have = (cpu === 0 ? 0 : 1) + (memory === 0 ? 0 : 1);
      if (state.profile.legacy) return Math.floor((least(usedCpu, cpu) + least(usedMemory, memory)) / 2);
      return have === 0 ? 0 : Math.floor((least(usedCpu, cpu) + least(usedMemory, memory)) / have);
    },
    scoreAll(state, raw, operands, starts) {
      const { feasible } = state;
      const column = columnOf(state);
      if (!column) return false;
      const { least: scores, leastFrom: from } = column;
      const values = reserve(operands, feasible.length * 4);
      let at = operands.length;
      for (let i = 0; i < feasible.length; i++) {
        const n = feasible[i]!;
        starts[i] = at;
        raw[i] = scores[n]!;
        values[at] = from[4 * n]!;
        values[at + 1] = from[4 * n + 1]!;
        values[at + 2] = from[4 * n + 2]!;
        values[at + 3] = from[4 * n + 3]!;
        at += 4;
      }
      starts[feasible.length] = at;
      operands.length = at;
      return true;
    },
    plain: true,
    normalize: () => {},
    formula({ 0: cpu = 0, 1: usedCpu = 0, 2: memory = 0, 3: usedMemory = 0 }, raw) {
      return `cpu (${cpu}m - ${usedCpu}m)*100/${cpu}m = ${least(usedCpu, cpu)}; memory (${mib(memory)} - ${mib(usedMemory)})*100/${mib(memory)} = ${least(usedMemory, memory)}; mean ${raw}`;
    },
  };
}

const mib = (bytes: number): string => `${Math.round((bytes / MIB) * 100) / 100}Mi`;

const oldShare = (used: number, capacity: number): number => (capacity === 0 ? 1 : used / capacity);

export const balancedAllocation: ScorePlugin = {
  name: 'NodeResourcesBalancedAllocation',
  applies: ({ demand, profile }) => profile.legacy || demand.cpu > 0 || demand.memory > 0,
  score(state, index, operands) {
    const { room } = state.snapshot;
    const { legacy } = state.profile;
    const f0 = legacy ? oldShare(room.nonzeroCpu[index]! + wantedCpu(state), room.cpu[index]!) : share(room.usedCpu[index]! + state.demand.cpu, room.cpu[index]!);
    const f1 = legacy ? oldShare(room.nonzeroMemory[index]! + state.demand.nonzeroMemory, room.memory[index]!) : share(room.usedMemory[index]! + state.demand.memory, room.memory[index]!);
    jot(operands, f0);
    jot(operands, f1);
    jot(operands, legacy ? 1 : 0);
    if (legacy) return f0 >= 1 || f1 >= 1 ? 0 : Math.trunc((1 - Math.abs(f0 - f1)) * 100);
    return Math.trunc((1 - Math.abs(f0 - f1) / 2) * 100);
  },
  scoreAll(state, raw, operands, starts) {
    const { feasible } = state;
    const column = columnOf(state);
    if (!column) return false;
    const { balanced, shares } = column;
    const values = reserve(operands, feasible.length * 3);
    let at = operands.length;
    for (let i = 0; i < feasible.length; i++) {
      const n = feasible[i]!;
      starts[i] = at;
      raw[i] = balanced[n]!;
      values[at] = shares[2 * n]!;
      values[at + 1] = shares[2 * n + 1]!;
      values[at + 2] = 0;
      at += 3;
    }
    starts[feasible.length] = at;
    operands.length = at;
    return true;
  },
  plain: true,
  normalize: () => {},
  formula({ 0: f0 = 0, 1: f1 = 0, 2: legacy = 0 }, raw) {
    const a = f0.toFixed(4);
    const b = f1.toFixed(4);
    return legacy ? `(1 - |${a} - ${b}|)*100 = ${raw}` : `(1 - |cpu ${a} - memory ${b}|/2)*100 = ${raw}`;
  },
};
