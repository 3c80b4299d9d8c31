/** NodeInfo: a node's allocatable and what the pods on it take, kept as pods come and go. */
import { podAmounts, podAmountsOr } from '../types/amounts.ts';
import type { Node, Pod, PodSpec } from '../types/objects.ts';
import { keyOf, same } from '../types/objects.ts';
import { amountOf } from '../types/quantity.ts';
import { type Demand, type NodeInfo, roomFor } from './profile.ts';
import { nodeChanged, tally } from './snapshot.ts';

/** What scores assume of a container that names no request. */
const ASSUMED = { cpu: '100m', memory: '200Mi' };

export function nodeInfo(node: Node): NodeInfo {
  const { name } = node.metadata;
  const info: NodeInfo = {
    node, name, allocatable: new Map(), requested: new Map(), room: roomFor(1),
    pods: new Map(), affine: 0, other: 0, ranked: null, taints: [], ports: new Set(), images: new Map(), passed: { node: name, plugin: null, reasons: PASSED, resolvable: true }, home: null, index: 0,
  };
  setNode(info, node);
  return info;
}

const PASSED: readonly string[] = [];

export function setNode(info: NodeInfo, node: Node): void {
  const before = info.node;
  info.node = node;
  if (info.home) nodeChanged(info.home, !same(before.metadata.labels, node.metadata.labels));
  info.taints = node.spec?.taints ?? [];
  info.allocatable = new Map(Object.entries(node.status?.allocatable ?? {}).map(([k, v]) => [k, amountOf(k, v)]));
  info.room.changed[info.index]!++;
  info.room.cpu[info.index] = info.allocatable.get('cpu') ?? 0;
  info.room.memory[info.index] = info.allocatable.get('memory') ?? 0;
  info.room.slots[info.index] = info.allocatable.get('pods') ?? 0;
  info.images = new Map();
  for (const image of node.status?.images ?? []) for (const name of image.names ?? []) info.images.set(name, image.sizeBytes ?? 0);
}

/** What a pod takes, and what the scores take it for. */
export function demandOf(spec: PodSpec): Demand {
  const of = spec.containers?.length === 1 && !spec.initContainers && !spec.overhead && spec.containers[0]!.resources ? spec.containers[0]!.resources : spec.containers;
  const known = demands.get(of);
  if (known && known.init === spec.initContainers && known.overhead === spec.overhead) return known.demand;
  const demand = oneOf(workOut(spec));
  if (of) demands.set(of, { init: spec.initContainers, overhead: spec.overhead, demand });
  return demand;
}

/** Demands by the only container's resources, or the list of containers: pods of one template share them. */
const demands = new WeakMap<object, { init: unknown; overhead: unknown; demand: Demand }>();
const distinct = new Map<string, Demand>();
const KEPT_DEMANDS = 2000;

function oneOf(demand: Demand): Demand {
  const name = `${demand.nonzeroCpu} ${demand.nonzeroMemory} ${JSON.stringify([...demand.requests])}`;
  const known = distinct.get(name);
  if (known) return known;
  if (distinct.size >= KEPT_DEMANDS) distinct.clear();
  distinct.set(name, demand);
  return demand;
}

function workOut(spec: PodSpec): Demand {
  const requests = podAmounts(spec, 'requests');
  const scored = podAmountsOr(spec, ASSUMED);
  let any = false;
  let other = false;
  for (const [name, amount] of requests) {
    if (amount > 0) any = true;
    if (amount > 0 && name !== 'cpu' && name !== 'memory') other = true;
  }
  return { requests, nonzeroCpu: scored.get('cpu') ?? 0, nonzeroMemory: scored.get('memory') ?? 0, cpu: requests.get('cpu') ?? 0, memory: requests.get('memory') ?? 0, any, other };
}

export function hostPorts(spec: PodSpec): string[] {
  const out: string[] = [];
  for (const c of spec.initContainers ? [...(spec.containers ?? []), ...spec.initContainers.filter((i) => i.restartPolicy === 'Always')] : (spec.containers ?? [])) {
    for (const p of c.ports ?? []) {
      const port = spec.hostNetwork ? (p.hostPort ?? p.containerPort) : p.hostPort;
      if (port) out.push(`${p.hostIP || '0.0.0.0'}/${p.protocol || 'TCP'}/${port}`);
    }
  }
  return out;
}

export function addPod(info: NodeInfo, pod: Pod, key = keyOf(pod.metadata)): void {
  account(info, pod, 1);
  info.pods.set(key, pod);
  if (info.home) tally(info.home, pod, info.index, 1);
}

/** A pod that is there already was written again. */
export function replacePod(info: NodeInfo, old: Pod, pod: Pod, key: string): void {
  info.pods.set(key, pod);
  info.ranked = null;
  if (old.spec.containers !== pod.spec.containers) {
    account(info, old, -1);
    account(info, pod, 1);
  }
  if (!info.home || (old.metadata.labels === pod.metadata.labels && old.metadata.deletionTimestamp === pod.metadata.deletionTimestamp && old.spec.affinity === pod.spec.affinity)) return;
  tally(info.home, old, info.index, -1);
  tally(info.home, pod, info.index, 1);
}

export function removePod(info: NodeInfo, pod: Pod): void {
  const key = keyOf(pod.metadata);
  const there = info.pods.get(key);
  if (!there) return;
  info.pods.delete(key);
  account(info, there, -1);
  if (info.home) tally(info.home, there, info.index, -1);
  if (info.ports.size > 0) info.ports = new Set([...info.pods.values()].flatMap((p) => hostPorts(p.spec)));
}

function account(info: NodeInfo, pod: Pod, sign: number): void {
  const demand = demandOf(pod.spec);
  info.ranked = null;
  if (demand.other) info.other += sign;
  if (demand.other) for (const [k, v] of demand.requests) if (k !== 'cpu' && k !== 'memory') info.requested.set(k, (info.requested.get(k) ?? 0) + sign * v);
  load(info, demand, sign);
  if (pod.spec.affinity) info.affine += sign;
  if (sign > 0) for (const port of hostPorts(pod.spec)) info.ports.add(port);
}

/** Counts a pod's amounts in or out, and nothing else of it. */
export function load({ room, index }: NodeInfo, demand: Demand, sign: number): void {
  room.changed[index]!++;
  room.pods[index]! += sign;
  room.usedCpu[index]! += sign * demand.cpu;
  room.usedMemory[index]! += sign * demand.memory;
  room.nonzeroCpu[index]! += sign * demand.nonzeroCpu;
  room.nonzeroMemory[index]! += sign * demand.nonzeroMemory;
}

/** Succeeded and Failed pods take nothing, not even a slot. */
export function occupies(pod: Pod): boolean {
  return pod.status?.phase !== 'Succeeded' && pod.status?.phase !== 'Failed';
}
