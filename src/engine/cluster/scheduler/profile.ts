/**
 * What the scheduler's plugins see and answer, and which of them run with which weights. A filter answers with reasons
 * or nothing; a score answers with a whole number. Source: kube-scheduler 1.32 default plugins; `V1_20` carries the
 * formulas and wording of 1.20, against which decisions of the real scheduler were recorded.
 */
import type { PodVolumes } from './volumes.ts';
import type { LabelSelector, Node, Pod, Taint } from '../types/objects.ts';

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
  requested: Map<string, number>;
  /** With 100m and 200Mi for containers that name no request; used by scores only. */
  nonzeroCpu: number;
  nonzeroMemory: number;
  pods: Map<string, Pod>;
  /** How many of them have affinity rules of their own. */
  affine: number;
  taints: readonly Taint[];
  /** "ip/protocol/port" of host ports in use. */
  ports: Set<string>;
  /** Image name to bytes. */
  images: Map<string, number>;
  /** The one verdict of every filter that lets a pod pass here. */
  passed?: NodeVerdict;
}

/** What a pod asks for, computed once a cycle. */
export interface Demand {
  requests: Map<string, number>;
  nonzeroCpu: number;
  nonzeroMemory: number;
  /** Whether it requests anything at all. */
  any: boolean;
}

export interface CycleState {
  pod: Pod;
  demand: Demand;
  profile: Profile;
  /** All nodes of the cluster. */
  nodes: readonly NodeInfo[];
  /** Image name to nodes that have it. */
  imageNodes: Map<string, number>;
  /** Nodes that passed the filters; set before scores. */
  feasible: readonly NodeInfo[];
  /** Pods like this one by its Services and ReplicaSet: what default spreading counts. */
  defaultSelector: LabelSelector | null;
  /** The pod's claims and volumes; null when it has none. */
  volumes: PodVolumes | null;
  /** The profile's filters without those that skip this pod. */
  filters: readonly FilterPlugin[];
  /** What plugins compute once a cycle. */
  scratch: Map<string, unknown>;
}

export interface FilterPlugin {
  name: string;
  /** Whether it says nothing about this pod, whatever the node. */
  skips?(state: CycleState): boolean;
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
  /** Pushes the numbers that the formula's text is made of, and returns the raw score. */
  score(state: CycleState, info: NodeInfo, operands: number[]): number;
  /** From raw scores to 0..100, in place. */
  normalize(state: CycleState, scores: number[]): void;
  /** The arithmetic as text. */
  formula(operands: readonly number[], raw: number): string;
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
