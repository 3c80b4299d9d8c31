/**
 * Scores by free room. LeastAllocated: the emptier the better, floor((capacity - requested)*100/capacity) for CPU and
 * memory, mean of both. BalancedAllocation: CPU and memory in like proportion, (1 - |f0 - f1|/2)*100 (1.20: 1 - |f0 - f1|).
 */
import type { CycleState, NodeInfo, ScorePlugin } from '../profile.ts';
import { milliOf, wholeOf } from '../../types/quantity.ts';

const MIB = 1024 * 1024;

/** 1.20 counted a RuntimeClass's CPU overhead in whole units; scores of that profile do too. */
function wantedCpu(state: CycleState): number {
  const overhead = state.pod.spec.overhead?.cpu;
  if (!state.profile.legacy || overhead === undefined) return state.demand.nonzeroCpu;
  return state.demand.nonzeroCpu - milliOf(overhead) + wholeOf(overhead);
}

const least = (requested: number, capacity: number): number =>
  capacity === 0 || requested > capacity ? 0 : Math.floor(((capacity - requested) * 100) / capacity);

export function leastAllocated(name: string): ScorePlugin {
  return {
    name,
    applies: () => true,
    score(state, info, operands) {
      const cpu = info.allocatable.get('cpu') ?? 0;
      const memory = info.allocatable.get('memory') ?? 0;
      const usedCpu = info.nonzeroCpu + wantedCpu(state);
      const usedMemory = info.nonzeroMemory + state.demand.nonzeroMemory;
      operands.push(cpu, usedCpu, memory, usedMemory);
      const have = (cpu === 0 ? 0 : 1) + (memory === 0 ? 0 : 1);
      if (state.profile.legacy) return Math.floor((least(usedCpu, cpu) + least(usedMemory, memory)) / 2);
      return have === 0 ? 0 : Math.floor((least(usedCpu, cpu) + least(usedMemory, memory)) / have);
    },
    normalize: () => {},
    formula([cpu = 0, usedCpu = 0, memory = 0, usedMemory = 0], raw) {
      return `cpu (${cpu}m - ${usedCpu}m)*100/${cpu}m = ${least(usedCpu, cpu)}; memory (${mib(memory)} - ${mib(usedMemory)})*100/${mib(memory)} = ${least(usedMemory, memory)}; mean ${raw}`;
    },
  };
}

const mib = (bytes: number): string => `${Math.round((bytes / MIB) * 100) / 100}Mi`;

function fractions(state: CycleState, info: NodeInfo): [number, number] {
  const cpu = info.allocatable.get('cpu') ?? 0;
  const memory = info.allocatable.get('memory') ?? 0;
  if (state.profile.legacy) {
    const f = (used: number, capacity: number): number => (capacity === 0 ? 1 : used / capacity);
    return [f(info.nonzeroCpu + wantedCpu(state), cpu), f(info.nonzeroMemory + state.demand.nonzeroMemory, memory)];
  }
  const f = (name: string, capacity: number): number =>
    capacity === 0 ? 0 : Math.min(1, ((info.requested.get(name) ?? 0) + (state.demand.requests.get(name) ?? 0)) / capacity);
  return [f('cpu', cpu), f('memory', memory)];
}

export const balancedAllocation: ScorePlugin = {
  name: 'NodeResourcesBalancedAllocation',
  applies: ({ demand, profile }) => profile.legacy || (demand.requests.get('cpu') ?? 0) > 0 || (demand.requests.get('memory') ?? 0) > 0,
  score(state, info, operands) {
    const [f0, f1] = fractions(state, info);
    operands.push(f0, f1, state.profile.legacy ? 1 : 0);
    if (state.profile.legacy) return f0 >= 1 || f1 >= 1 ? 0 : Math.trunc((1 - Math.abs(f0 - f1)) * 100);
    return Math.trunc((1 - Math.abs(f0 - f1) / 2) * 100);
  },
  normalize: () => {},
  formula([f0 = 0, f1 = 0, legacy = 0], raw) {
    const a = f0.toFixed(4);
    const b = f1.toFixed(4);
    return legacy ? `(1 - |${a} - ${b}|)*100 = ${raw}` : `(1 - |cpu ${a} - memory ${b}|/2)*100 = ${raw}`;
  },
};
