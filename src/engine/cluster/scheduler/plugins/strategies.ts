/**
 * NodeResourcesFit as a configuration may have it: a strategy (LeastAllocated, MostAllocated, RequestedToCapacityRatio with its
 * shape) over resources with weights. Whole numbers, as Go divides. Source: noderesources/{least,most}_allocated.go,
 * requested_to_capacity_ratio.go, helper/shape_score.go 1.32.
 */
import { type CycleState, jot, type ScorePlugin } from '../profile.ts';

export type Strategy = 'LeastAllocated' | 'MostAllocated' | 'RequestedToCapacityRatio';
export interface Weighed { name: string; weight: number }
/** utilization in per cent, score from 0 to 10. */
export interface Point { utilization: number; score: number }

/** What an amount asked for of a capacity that is not 0 is worth, 0 to 100. */
type Worth = (requested: number, capacity: number) => number;

const least: Worth = (requested, capacity) => (requested > capacity ? 0 : Math.floor(((capacity - requested) * 100) / capacity));
const most: Worth = (requested, capacity) => Math.floor((Math.min(requested, capacity) * 100) / capacity);

/** A line through the points, level before the first and after the last. */
export function shaped(points: readonly Point[]): Worth {
  const at = points.map(({ utilization, score }) => ({ utilization, score: score * 10 }));
  return (requested, capacity) => {
    const share = requested > capacity ? 100 : Math.floor((requested * 100) / capacity);
    const next = at.findIndex((p) => share <= p.utilization);
    if (next < 0) return at[at.length - 1]!.score;
    if (next === 0) return at[0]!.score;
    const [a, b] = [at[next - 1]!, at[next]!];
    return a.score + Math.trunc(((b.score - a.score) * (share - a.utilization)) / (b.utilization - a.utilization));
  };
}

/** Capacity and what would be taken of it; null where the node has none, or where this pod asks for none of an extended resource. */
function amounts({ demand, nodes, snapshot: { room } }: CycleState, index: number, name: string): [number, number] | null {
  if (name === 'cpu') return room.cpu[index] === 0 ? null : [room.cpu[index]!, room.nonzeroCpu[index]! + demand.nonzeroCpu];
  if (name === 'memory') return room.memory[index] === 0 ? null : [room.memory[index]!, room.nonzeroMemory[index]! + demand.nonzeroMemory];
  const { allocatable, requested } = nodes[index]!;
  const wanted = demand.requests.get(name) ?? 0;
  const capacity = allocatable.get(name) ?? 0;
  return capacity === 0 || wanted === 0 ? null : [capacity, (requested.get(name) ?? 0) + wanted];
}

/** A mean by weights: rounded down, but for the ratio, which leaves out what is worth nothing and rounds to the nearest. */
export function fitBy(strategy: Strategy, resources: readonly Weighed[], shape: readonly Point[]): ScorePlugin {
  const ratio = strategy === 'RequestedToCapacityRatio';
  const worth = ratio ? shaped(shape) : strategy === 'MostAllocated' ? most : least;
  return {
    name: 'NodeResourcesFit',
    applies: () => true,
    score(state, index, operands) {
      let sum = 0;
      let weights = 0;
      for (const [i, { name, weight }] of resources.entries()) {
        const found = amounts(state, index, name);
        if (!found) continue;
        const score = worth(found[1], found[0]);
        for (const value of [i, found[0], found[1], score]) jot(operands, value);
        if (ratio && score === 0) continue;
        sum += score * weight;
        weights += weight;
      }
      return weights === 0 ? 0 : ratio ? Math.round(sum / weights) : Math.floor(sum / weights);
    },
    normalize: () => {},
    formula(operands, raw) {
      const parts: string[] = [];
      for (let i = 0; i < operands.length; i += 4) {
        const { name, weight } = resources[operands[i]!]!;
        parts.push(`${name} ${operands[i + 2]} of ${operands[i + 1]} = ${operands[i + 3]}${weight === 1 ? '' : `, times ${weight}`}`);
      }
      return `${parts.join('; ')}; mean ${raw}`;
    },
  };
}
