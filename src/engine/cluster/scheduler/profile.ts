/**
 * What the scheduler's plugins see and answer, and which of them run with which weights. A filter answers with reasons
 * or nothing; a score answers with a whole number. Source: kube-scheduler 1.32 default plugins; `V1_20` carries the
 * formulas and wording of 1.20, against which decisions of the real scheduler were recorded.
 */
import type { PodVolumes } from './volumes.ts';
import type { LabelSelector, Node, Pod, Taint } from '../types/objects.ts';
import type { Snapshot } from './snapshot.ts';

/** A node with what is on it: the scheduler's snapshot. Amounts: CPU in thousandths, the rest in units. */
export interface NodeVerdict {
  node: string;
  /** First filter that refused; null when all let it pass. */
  plugin: string | null;
  reasons: readonly string[];
  resolvable: boolean;
}

export interface NodeInfo {
  node: Node;
  name: string;
  allocatable: Map<string, number>;
  /** Of pods that ask for more than CPU and memory; those two are counted in `room`. */
  requested: Map<string, number>;
  /** CPU, memory and slots as numbers: what every cycle asks for. Those of a snapshot lie side by side. */
  room: Room;
  pods: Map<string, Pod>;
  /** How many of them have affinity rules of their own. */
  affine: number;
  /** How many ask for more than CPU and memory. */
  other: number;
  /** Its pods, the most important first, with what each asks for; null when that is not known now. */
  ranked: { pods: Pod[]; demands: Demand[] } | null;
  taints: readonly Taint[];
  /** "ip/protocol/port" of host ports in use. */
  ports: Set<string>;
  /** Image name to bytes. */
  images: Map<string, number>;
  /** The one verdict of every filter that lets a pod pass here. */
  passed: NodeVerdict;
  /** The snapshot it is part of, and its place there and in `room`. */
  home: Snapshot | null;
  index: number;
}

/** One number a node. */
export interface Room {
  cpu: Float64Array;
  memory: Float64Array;
  slots: Float64Array;
  usedCpu: Float64Array;
  usedMemory: Float64Array;
  /** With 100m and 200Mi for containers that name no request; used by scores only. */
  nonzeroCpu: Float64Array;
  nonzeroMemory: Float64Array;
  pods: Float64Array;
  /** Grows with every change of the others. */
  changed: Float64Array;
}

export function roomFor(nodes: number): Room {
  const one = (): Float64Array => new Float64Array(nodes);
  return { cpu: one(), memory: one(), slots: one(), usedCpu: one(), usedMemory: one(), nonzeroCpu: one(), nonzeroMemory: one(), pods: one(), changed: one() };
}

/** What a pod asks for; pods that ask for the same share it. */
export interface Demand {
  requests: Map<string, number>;
  nonzeroCpu: number;
  nonzeroMemory: number;
  /** CPU and memory of `requests`. */
  cpu: number;
  memory: number;
  /** Whether it requests anything at all; and anything but CPU and memory. */
  any: boolean;
  other: boolean;
}

export interface CycleState {
  pod: Pod;
  demand: Demand;
  profile: Profile;
  /** All nodes of the cluster. */
  nodes: readonly NodeInfo[];
  snapshot: Snapshot;
  /** Image name to nodes that have it. */
  imageNodes: Map<string, number>;
  /** Nodes that passed the filters, by index; set before scores. */
  feasible: Int32Array;
  /** Pods like this one by its Services and ReplicaSet: what default spreading counts. */
  defaultSelector: LabelSelector | null;
  /** The pod's claims and volumes; null when it has none. */
  volumes: PodVolumes | null;
  /** The profile's filters without those that skip this pod. */
  filters: readonly FilterPlugin[];
  /** Whether one of these sees pods. */
  seesPods: boolean;
  /** What plugins compute once a cycle. */
  scratch: Map<string, unknown>;
}

export interface FilterPlugin {
  name: string;
  /** Whether it says nothing about this pod, whatever the node. */
  skips?(state: CycleState): boolean;
  /** Whether the node at this place will do, told without looking at its record; false: ask `filter`. */
  passes?(state: CycleState, index: number): boolean;
  /** The same of the first `n` of these places: moves those that will do to the front, in order, and says how many they are. */
  sift?(state: CycleState, places: Int32Array, n: number): number;
  /** Its answer depends on which pods are on nodes, not only on what they take together. */
  seesPods?: boolean;
  /** null: the node will do. */
  filter(state: CycleState, info: NodeInfo): Refusal | null;
}

export interface Refusal {
  reasons: string[];
  /** Evicting pods could help. */
  resolvable: boolean;
}

export interface ScorePlugin {
  name: string;
  /** Whether it says anything about this pod; a skipped plugin scores 0 on every node. */
  applies(state: CycleState): boolean;
  /** The raw score of every node when they all have the same, and no operand differs. */
  uniform?(state: CycleState): number | null;
  /** Notes the numbers that the formula's text is made of, and returns the raw score of the node at this place. */
  score(state: CycleState, index: number, operands: Operands): number;
  /** The same for all of `state.feasible` at once, where that is worth it; false: it is not, ask for each. */
  scoreAll?(state: CycleState, raw: Scores, operands: Operands, starts: Int32Array): boolean;
  /** The raw scores are 0..100 already: `normalize` does nothing. */
  plain?: boolean;
  /** From raw scores to 0..100, in place. */
  normalize(state: CycleState, scores: Scores): void;
  /** The arithmetic as text. */
  formula(operands: ArrayLike<number>, raw: number): string;
}

/** One number a feasible node, in order. */
export type Scores = Float64Array;

/** Numbers noted by a score, one node's after another's. */
export interface Operands {
  values: Float64Array;
  length: number;
}

/** Makes room for so many numbers more. */
export function reserve(operands: Operands, more: number): Float64Array {
  if (operands.values.length < operands.length + more) {
    const larger = new Float64Array(operands.length + more);
    larger.set(operands.values.subarray(0, operands.length));
    operands.values = larger;
  }
  return operands.values;
}

export function jot(operands: Operands, value: number): void {
  if (operands.length === operands.values.length) {
    const larger = new Float64Array(operands.values.length * 2);
    larger.set(operands.values);
    operands.values = larger;
  }
  operands.values[operands.length++] = value;
}

export interface Profile {
  name: string;
  schedulerName: string;
  filters: readonly FilterPlugin[];
  scores: readonly { plugin: ScorePlugin; weight: number }[];
  /** Formulas and wording of 1.20. */
  legacy: boolean;
  /** 0 = adaptive. */
  percentageOfNodesToScore: number;
}
