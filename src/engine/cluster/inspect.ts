/** Questions about a control plane, for pictures and labs: pure, over the store and the scheduler's recorded decisions. */
import { EPOCH_SECONDS, SECOND } from '../sim/units.ts';
import type { Decision } from './scheduler/cycle.ts';
import { demandOf, occupies } from './scheduler/nodes.ts';
import type { NodeInfo } from './scheduler/profile.ts';
import type { Cluster } from './state.ts';
import { get, list, podsOnNode } from './store.ts';
import type { Deployment, KubeEvent, KubeObject, Node, Pod, Service } from './types/objects.ts';
import { keyOf, saidAt } from './types/objects.ts';
import { ownerOf, summarize } from './types/podstatus.ts';
import { printSelector } from './types/selectors.ts';
import { amountOf } from './types/quantity.ts';
import { parseTime } from './types/time.ts';

/** RFC 3339 to ns since the world began. */
export function nsOf(time: string | null | undefined): number {
  const seconds = parseTime(time);
  return seconds === null ? 0 : (seconds - EPOCH_SECONDS) * SECOND;
}

export interface NodeFacts {
  node: Node;
  name: string;
  ready: boolean;
  unschedulable: boolean;
  cpuMilli: number;
  memory: number;
  podsMax: number;
  cpuRequested: number;
  memoryRequested: number;
  pods: number;
  taints: string;
  zone: string;
  ip: string;
  version: string;
}

export function nodeFacts(cluster: Cluster): NodeFacts[] {
  return list<Node>(cluster.store, 'Node').map((node) => nodeFact(node, cluster.scheduler.infos.get(node.metadata.name)));
}

export function nodeFact(node: Node, info: NodeInfo | undefined): NodeFacts {
    const allocatable = node.status?.allocatable ?? {};
    return {
      node, name: node.metadata.name,
      ready: (node.status?.conditions ?? []).some((c) => c.type === 'Ready' && c.status === 'True'),
      unschedulable: node.spec?.unschedulable ?? false,
      cpuMilli: amountOf('cpu', allocatable.cpu), memory: amountOf('memory', allocatable.memory), podsMax: amountOf('pods', allocatable.pods),
      cpuRequested: info?.room.usedCpu[info.index] ?? 0, memoryRequested: info?.room.usedMemory[info.index] ?? 0, pods: info?.pods.size ?? 0,
      taints: (node.spec?.taints ?? []).map((t) => `${t.key}${t.value ? `=${t.value}` : ''}:${t.effect}`).join(','),
      zone: node.metadata.labels?.['topology.kubernetes.io/zone'] ?? '',
      ip: node.status?.addresses?.find((a) => a.type === 'InternalIP')?.address ?? '', version: node.status?.nodeInfo?.kubeletVersion ?? '',
  };
}

export interface PodFacts {
  pod: Pod;
  namespace: string;
  name: string;
  node: string;
  phase: string;
  status: string;
  ready: string;
  restarts: number;
  ip: string;
  owner: string;
  labels: string;
  cpuMilli: number;
  memory: number;
  qos: string;
  createdAt: number;
  terminating: boolean;
  containers: string;
  oomKilled: boolean;
  spread: string;
}

export function podFacts(cluster: Cluster, namespace?: string): PodFacts[] {
  return list<Pod>(cluster.store, 'Pod', namespace).map((pod) => podFact(cluster, pod));
}

const FEW = 100;

/** All of a kind, sorted; of more than `most` a few: for lists that are only glanced at. */
export function some<T extends KubeObject>(cluster: Cluster, kind: string, most: number): T[] {
  const rows = cluster.store.tables.get(kind);
  if (!rows || rows.size <= most) return list<T>(cluster.store, kind);
  const out: KubeObject[] = [];
  for (const object of rows.values()) if (out.push(object) === FEW) break;
  return out as T[];
}

export function podFact(cluster: Cluster, pod: Pod): PodFacts {
    const { status, ready, total, restarts } = summarize(pod);
    const demand = demandOf(pod.spec);
    const labels = pod.metadata.labels ?? {};
    return {
      pod, namespace: pod.metadata.namespace!, name: pod.metadata.name, node: pod.spec.nodeName ?? '', phase: pod.status.phase ?? '', status,
      ready: `${ready}/${total}`, restarts, ip: pod.status.podIP ?? '', owner: ownerOf(pod),
      labels: Object.keys(labels).sort().map((k) => `${k}=${labels[k]}`).join(','),
      cpuMilli: demand.requests.get('cpu') ?? 0, memory: demand.requests.get('memory') ?? 0, qos: pod.status.qosClass ?? '',
      createdAt: nsOf(pod.metadata.creationTimestamp), terminating: pod.metadata.deletionTimestamp !== undefined,
      containers: (pod.status.containerStatuses ?? []).map((c) => (c.containerID ?? '').replace(/^.*\/\//, '')).filter((id) => id !== '').join(','),
      oomKilled: (pod.status.containerStatuses ?? []).some((c) => c.state?.terminated?.reason === 'OOMKilled' || c.lastState?.terminated?.reason === 'OOMKilled'),
      spread: (pod.spec.topologySpreadConstraints ?? []).map((c) => `${c.topologyKey}:${c.maxSkew}:${c.whenUnsatisfiable}`).join(','),
    };
}

export interface DeploymentFacts {
  namespace: string;
  name: string;
  replicas: number;
  ready: number;
  updated: number;
  available: number;
  image: string;
  createdAt: number;
}

export function deploymentFacts(cluster: Cluster): DeploymentFacts[] {
  return list<Deployment>(cluster.store, 'Deployment').map((d) => ({
    namespace: d.metadata.namespace!, name: d.metadata.name, replicas: d.spec.replicas, ready: d.status?.readyReplicas ?? 0, updated: d.status?.updatedReplicas ?? 0,
    available: d.status?.availableReplicas ?? 0, image: d.spec.template.spec.containers.map((c) => c.image).join(','), createdAt: nsOf(d.metadata.creationTimestamp),
  }));
}

export interface ServiceFacts {
  namespace: string;
  name: string;
  type: string;
  clusterIp: string;
  ports: string;
  selector: string;
  endpoints: string;
}

export function serviceFacts(cluster: Cluster): ServiceFacts[] {
  return list<Service>(cluster.store, 'Service').map((s) => {
    const selector = s.spec.selector ?? {};
    return {
      namespace: s.metadata.namespace!, name: s.metadata.name, type: s.spec.type ?? 'ClusterIP', clusterIp: s.spec.clusterIP ?? '',
      ports: (s.spec.ports ?? []).map((p) => `${p.port}${p.nodePort ? `:${p.nodePort}` : ''}/${p.protocol ?? 'TCP'}`).join(','),
      selector: Object.keys(selector).sort().map((k) => `${k}=${selector[k]}`).join(','), endpoints: endpointsOf(get(cluster.store, 'Endpoints', keyOf(s.metadata))),
    };
  });
}

export interface BudgetFacts {
  namespace: string;
  name: string;
  rule: string;
  selector: string;
  pods: number;
  healthy: number;
  needed: number;
  allowed: number;
}

/** PodDisruptionBudgets as their controller counts them. */
export function budgetFacts(cluster: Cluster): BudgetFacts[] {
  return list(cluster.store, 'PodDisruptionBudget').map(({ metadata, spec, status }) => ({
    namespace: metadata.namespace!, name: metadata.name, rule: spec.minAvailable !== undefined ? `minAvailable ${spec.minAvailable}` : `maxUnavailable ${spec.maxUnavailable ?? 1}`,
    selector: printSelector(spec.selector), pods: status?.expectedPods ?? 0, healthy: status?.currentHealthy ?? 0, needed: status?.desiredHealthy ?? 0, allowed: status?.disruptionsAllowed ?? 0,
  }));
}

function endpointsOf(endpoints: KubeObject | undefined): string {
  const out: string[] = [];
  for (const subset of endpoints?.subsets ?? []) {
    for (const address of subset.addresses ?? []) for (const port of subset.ports ?? []) out.push(`${address.ip}:${port.port}`);
  }
  return out.join(',');
}

/** The newest decision for "namespace/name". */
export function decisionOf(cluster: Cluster, pod: string): Decision | undefined {
  return cluster.scheduler.decisions.get(pod);
}

export interface FilterFacts {
  node: string;
  plugin: string;
  ok: boolean;
  reason: string;
}

/** One row a node and filter that ran: those before the first refusal passed. */
export function filterFacts(decision: Decision): FilterFacts[] {
  const out: FilterFacts[] = [];
  for (const verdict of decision.verdicts) {
    for (const { name } of decision.profile.filters) {
      const ok = name !== verdict.plugin;
      out.push({ node: verdict.node, plugin: name, ok, reason: ok ? '' : verdict.reasons.join(', ') });
      if (!ok) break;
    }
  }
  return out;
}

export interface ScoreFacts {
  node: string;
  plugin: string;
  raw: number;
  score: number;
  weight: number;
  weighted: number;
  formula: string;
  chosen: boolean;
  total: number;
}

export function scoreFacts(decision: Decision): ScoreFacts[] {
  return decision.feasible.flatMap((node, i) =>
    decision.scores.map((s): ScoreFacts => {
      const plugin = decision.profile.scores.find((p) => p.plugin.name === s.plugin)!.plugin;
      return {
        node, plugin: s.plugin, raw: s.raw[i]!, score: s.norm[i]!, weight: s.weight, weighted: s.norm[i]! * s.weight,
        formula: s.applies ? plugin.formula(s.operands.values.subarray(s.starts[i], s.starts[i + 1]), s.raw[i]!) : 'says nothing about this pod', chosen: decision.chosen === node, total: decision.totals[i]!,
      };
    }),
  );
}

export interface EventFacts {
  namespace: string;
  object: string;
  type: string;
  reason: string;
  message: string;
  count: number;
  lastAt: number;
  source: string;
}

/** Events that are told of at most: the newest. */
const MOST_EVENTS = 5000;

/** Sorted by name; where there are very many, those made last, and those that were said again. */
function newestEvents(cluster: Cluster, namespace: string | undefined): KubeEvent[] {
  const all = (cluster.store.tables.get('Event') ?? new Map()) as ReadonlyMap<string, KubeEvent>;
  if (all.size <= MOST_EVENTS) return list<KubeEvent>(cluster.store, 'Event', namespace);
  const found: [key: string, event: KubeEvent][] = [];
  let older = all.size - MOST_EVENTS;
  for (const [key, event] of all) if ((older-- <= 0 || event.series || (event.count ?? 1) > 1) && (namespace === undefined || event.metadata.namespace === namespace)) found.push([key, event]);
  return found.sort((a, b) => (a[0] < b[0] ? -1 : 1)).map(([, event]) => event);
}

export function eventFacts(cluster: Cluster, namespace?: string): EventFacts[] {
  return newestEvents(cluster, namespace)
    .map((e) => ({
      namespace: e.metadata.namespace!, object: `${e.involvedObject.kind.toLowerCase()}/${e.involvedObject.name}`, type: e.type, reason: e.reason, message: e.message,
      count: e.series?.count ?? e.count ?? 1, lastAt: nsOf(saidAt(e)), source: e.source?.component || String(e.reportingComponent ?? ''),
    }))
    .sort((a, b) => a.lastAt - b.lastAt)
    .slice(-MOST_EVENTS);
}

/** Pods that hold resources on a node. */
export function podsOn(cluster: Cluster, node: string): Pod[] {
  return podsOnNode(cluster.store, node).filter(occupies);
}
