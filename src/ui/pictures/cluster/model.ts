/**
 * The page's copy of a cluster's cells: columns of numbers by slot, kept up to date by patches. A pod keeps its place on its node as long as
 * it is there; a place that falls free is taken by the next that comes. Pure: no drawing here.
 */
import type { CellPatch } from '../../../bridge/protocol.ts';

export const STATE_NAMES = ['no node yet', 'starting', 'running', 'not ready', 'done', 'failing', 'terminating'] as const;
export const QOS_NAMES = ['BestEffort', 'Burstable', 'Guaranteed'] as const;
const GONE = 255;
const WIDTH = 9;

export interface Model {
  nodes: string[];
  namespaces: string[];
  owners: string[];
  names: string[];
  /** By slot. Node 0: none; else its place + 1. State 255: the slot is empty. */
  node: Int32Array;
  state: Uint8Array;
  qos: Uint8Array;
  namespace: Int32Array;
  owner: Int32Array;
  place: Int32Array;
  used: number;
  /** Slots by node and place, -1 where a place is free. */
  at: number[][];
  free: number[][];
  /** Nine numbers a node, as they were sent. */
  facts: Float64Array;
  counts: Int32Array;
  living: number;
  /** Slots and nodes to be drawn again. */
  changed: number[];
  changedNodes: number[];
  /** Places that fell empty since: node and place, by turns. */
  emptied: number[];
  /** Pods without a node have moved up. */
  closed: boolean;
  /** There are nodes that no layout knows. */
  grown: boolean;
  /** Pods that changed in all. */
  writes: number;
}

export function createModel(): Model {
  return {
    nodes: [], namespaces: [], owners: [], names: [], node: new Int32Array(0), state: new Uint8Array(0), qos: new Uint8Array(0), namespace: new Int32Array(0), owner: new Int32Array(0), place: new Int32Array(0),
    used: 0, at: [[]], free: [[]], facts: new Float64Array(0), counts: new Int32Array(STATE_NAMES.length), living: 0, changed: [], changedNodes: [], emptied: [], closed: false, grown: true, writes: 0,
  };
}

/** The names that pods refer to, and the nodes. */
export function takeTables(model: Model, patch: CellPatch): void {
  if (patch.reset) Object.assign(model, createModel());
  for (const column of ['nodes', 'namespaces', 'owners'] as const) for (const name of patch[column]) model[column].push(name);
  while (model.at.length <= model.nodes.length) {
    model.at.push([]);
    model.free.push([]);
    model.grown = true;
  }
  takeNodes(model, patch.nodeCells);
}

function takeNodes(model: Model, cells: Float64Array): void {
  if (model.facts.length < model.nodes.length * WIDTH) model.facts = longer(model.facts, model.nodes.length * WIDTH, Float64Array);
  for (let i = 0; i < cells.length; i += WIDTH) {
    model.facts.set(cells.subarray(i, i + WIDTH), cells[i]! * WIDTH);
    model.changedNodes.push(cells[i]!);
  }
}

function longer<T extends Float64Array | Int32Array | Uint8Array>(old: T, length: number, make: new (n: number) => T): T {
  const out = new make(Math.max(length, old.length * 2));
  out.set(old);
  return out;
}

function reserve(model: Model, slots: number): void {
  if (slots <= model.node.length) return;
  const before = model.node.length;
  const n = Math.max(slots, 1024, before * 2);
  for (const column of ['node', 'namespace', 'owner', 'place'] as const) model[column] = longer(model[column], n, Int32Array);
  model.qos = longer(model.qos, n, Uint8Array);
  model.state = longer(model.state, n, Uint8Array).fill(GONE, before);
}

/** Changes of pods as a patch has them; new ones take their names from `names`, from `first` on. Returns how many it took. */
export function takePods(model: Model, pods: Uint32Array, names: readonly string[], first = 0): number {
  let next = first;
  let top = model.used;
  for (let i = 0; i < pods.length; i += 5) top = Math.max(top, pods[i]! + 1);
  reserve(model, top);
  model.used = top;
  for (let i = 0; i < pods.length; i += 5) {
    const slot = pods[i]!;
    const packed = pods[i + 1]!;
    const state = (packed >>> 16) & 0xff;
    model.writes++;
    if (state === GONE) {
      leave(model, slot);
      model.changed.push(slot);
      continue;
    }
    const node = packed & 0xffff;
    if (packed & (1 << 28)) model.names[slot] = names[next++] ?? '';
    const was = model.state[slot]!;
    if (was !== GONE && model.node[slot] !== node) leave(model, slot);
    if (model.state[slot] === GONE) enter(model, slot, node);
    else model.counts[model.state[slot]!]!--;
    model.state[slot] = state;
    model.counts[state]!++;
    model.qos[slot] = (packed >>> 24) & 3;
    model.namespace[slot] = pods[i + 2]!;
    model.owner[slot] = pods[i + 3]!;
    model.changed.push(slot);
  }
  return next - first;
}

function enter(model: Model, slot: number, node: number): void {
  const at = model.at[node]!;
  const place = model.free[node]!.pop() ?? at.length;
  at[place] = slot;
  model.node[slot] = node;
  model.place[slot] = place;
  model.living++;
}

/** Pods without a node close up once most of them have gone. */
export function closeUp(model: Model): void {
  const waiting = model.at[0]!;
  const there = waiting.length - model.free[0]!.length;
  if (waiting.length < 8 || there > waiting.length / 2) return;
  model.at[0] = waiting.filter((slot) => slot >= 0);
  model.free[0] = [];
  for (const [place, slot] of model.at[0].entries()) model.place[slot] = place;
  model.closed = true;
}

function leave(model: Model, slot: number): void {
  const was = model.state[slot]!;
  if (was === GONE) return;
  const node = model.node[slot]!;
  const place = model.place[slot]!;
  model.at[node]![place] = -1;
  model.free[node]!.push(place);
  model.counts[was]!--;
  model.living--;
  model.state[slot] = GONE;
  model.emptied.push(node, place);
}

export const isThere = (model: Model, slot: number): boolean => slot >= 0 && slot < model.used && model.state[slot] !== GONE;
export const podName = (model: Model, slot: number): string => `${model.namespaces[model.namespace[slot]!]}/${model.names[slot]}`;
export const nodeName = (model: Model, slot: number): string => (model.node[slot] === 0 ? '' : model.nodes[model.node[slot]! - 1]!);

export interface NodeNumbers { ready: boolean; cordoned: boolean; tainted: boolean; cpu: number; cpuRequested: number; memory: number; memoryRequested: number; pods: number; podsMax: number; gone: boolean }
export function nodeNumbers(model: Model, index: number): NodeNumbers {
  const f = model.facts.subarray(index * WIDTH, index * WIDTH + WIDTH);
  const flags = f[1]!;
  return { gone: flags < 0, ready: (flags & 1) !== 0, cordoned: (flags & 2) !== 0, tainted: (flags & 4) !== 0, cpu: f[2]!, cpuRequested: f[3]!, memory: f[4]!, memoryRequested: f[5]!, pods: f[6]!, podsMax: f[7]! };
}

/** Slots of which some name contains every word; null when there is nothing to look for. */
export function search(model: Model, query: string): Uint8Array | null {
  const words = wordsOf(query);
  if (words.length === 0) return null;
  const out = new Uint8Array(model.state.length);
  for (let slot = 0; slot < model.used; slot++) out[slot] = matches(model, slot, words);
  return out;
}

/** The same after some slots have changed. */
export function searchAgain(model: Model, query: string, before: Uint8Array, slots: readonly number[]): Uint8Array {
  const words = wordsOf(query);
  const out = before.length === model.state.length ? before : longer(before, model.state.length, Uint8Array);
  for (const slot of slots) out[slot] = matches(model, slot, words);
  return out;
}

const wordsOf = (query: string): string[] => query.toLowerCase().split(/\s+/).filter(Boolean);
function matches(model: Model, slot: number, words: readonly string[]): 0 | 1 {
  if (model.state[slot] === GONE) return 0;
  const text = `${podName(model, slot)} ${nodeName(model, slot)} ${STATE_NAMES[model.state[slot]!]} ${QOS_NAMES[model.qos[slot]!]} ${model.owners[model.owner[slot]!]}`.toLowerCase();
  return words.every((word) => text.includes(word)) ? 1 : 0;
}
