/** NodeInfo: a node's allocatable and what the pods on it take, kept as pods come and go. */
import type { Container, Node, Pod, PodSpec } from '../types/objects.ts';
import { keyOf } from '../types/objects.ts';
import { amountOf, milliOf, wholeOf } from '../types/quantity.ts';
import type { Demand, NodeInfo } from './profile.ts';

/** What scores assume of a container that names no request. */
export const DEFAULT_CPU = 100;
export const DEFAULT_MEMORY = 200 * 1024 * 1024;

export function nodeInfo(node: Node): NodeInfo {
  const info: NodeInfo = {
    node, name: node.metadata.name, allocatable: new Map(), requested: new Map(), nonzeroCpu: 0, nonzeroMemory: 0,
    pods: new Map(), affine: 0, taints: [], ports: new Set(), images: new Map(),
  };
  setNode(info, node);
  return info;
}

export function setNode(info: NodeInfo, node: Node): void {
  info.node = node;
  info.taints = node.spec?.taints ?? [];
  info.allocatable = new Map(Object.entries(node.status?.allocatable ?? {}).map(([k, v]) => [k, amountOf(k, v)]));
  info.images = new Map();
  for (const image of node.status?.images ?? []) for (const name of image.names ?? []) info.images.set(name, image.sizeBytes ?? 0);
}

/**
 * What a pod takes: the sum of its containers and sidecars (init containers that restart always), or, where that is more, one init
 * container with the sidecars started before it; plus overhead. Source: k8s.io/component-helpers/resource, aggregateContainerRequests.
 */
export function demandOf(spec: PodSpec): Demand {
  const running: Sum = { requests: new Map(), cpu: 0, memory: 0 };
  const sidecars: Sum = { requests: new Map(), cpu: 0, memory: 0 };
  const peaks: Sum[] = [];
  for (const c of spec.containers ?? []) addContainer(running, c);
  for (const c of spec.initContainers ?? []) {
    if (c.restartPolicy === 'Always') {
      addContainer(running, c);
      addContainer(sidecars, c);
      continue;
    }
    const peak: Sum = { ...sidecars, requests: new Map(sidecars.requests) };
    addContainer(peak, c);
    peaks.push(peak);
  }
  for (const peak of peaks) {
    for (const [k, v] of peak.requests) running.requests.set(k, Math.max(running.requests.get(k) ?? 0, v));
    running.cpu = Math.max(running.cpu, peak.cpu);
    running.memory = Math.max(running.memory, peak.memory);
  }
  const { requests } = running;
  for (const [k, v] of Object.entries(spec.overhead ?? {})) {
    requests.set(k, (requests.get(k) ?? 0) + amountOf(k, v));
    if (k === 'cpu') running.cpu += milliOf(v);
    if (k === 'memory') running.memory += wholeOf(v);
  }
  let any = false;
  for (const amount of requests.values()) if (amount > 0) any = true;
  return { requests, nonzeroCpu: running.cpu, nonzeroMemory: running.memory, any };
}

interface Sum {
  requests: Map<string, number>;
  /** As the scores count: a container without a request takes the default. */
  cpu: number;
  memory: number;
}

function addContainer(sum: Sum, c: Container): void {
  const requests = c.resources?.requests;
  for (const k in requests) sum.requests.set(k, (sum.requests.get(k) ?? 0) + amountOf(k, requests[k]!));
  sum.cpu += requests?.cpu === undefined ? DEFAULT_CPU : milliOf(requests.cpu);
  sum.memory += requests?.memory === undefined ? DEFAULT_MEMORY : wholeOf(requests.memory);
}

export function hostPorts(spec: PodSpec): string[] {
  const out: string[] = [];
  for (const c of [...(spec.containers ?? []), ...(spec.initContainers ?? []).filter((i) => i.restartPolicy === 'Always')]) {
    for (const p of c.ports ?? []) {
      const port = spec.hostNetwork ? (p.hostPort ?? p.containerPort) : p.hostPort;
      if (port) out.push(`${p.hostIP || '0.0.0.0'}/${p.protocol || 'TCP'}/${port}`);
    }
  }
  return out;
}

export function addPod(info: NodeInfo, pod: Pod): void {
  account(info, pod, 1);
  info.pods.set(keyOf(pod.metadata), pod);
}

export function removePod(info: NodeInfo, pod: Pod): void {
  if (!info.pods.delete(keyOf(pod.metadata))) return;
  account(info, pod, -1);
  if (info.ports.size > 0) info.ports = new Set([...info.pods.values()].flatMap((p) => hostPorts(p.spec)));
}

function account(info: NodeInfo, pod: Pod, sign: number): void {
  const demand = demandOf(pod.spec);
  for (const [k, v] of demand.requests) info.requested.set(k, (info.requested.get(k) ?? 0) + sign * v);
  if (pod.spec.affinity) info.affine += sign;
  info.nonzeroCpu += sign * demand.nonzeroCpu;
  info.nonzeroMemory += sign * demand.nonzeroMemory;
  if (sign > 0) for (const port of hostPorts(pod.spec)) info.ports.add(port);
}

/** Succeeded and Failed pods take nothing, not even a slot. */
export function occupies(pod: Pod): boolean {
  return pod.status?.phase !== 'Succeeded' && pod.status?.phase !== 'Failed';
}
