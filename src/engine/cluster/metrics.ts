/**
 * The metrics server: what pods and nodes use, as metrics.k8s.io shows it. Kubelets tell every 15 s what their control groups
 * counted; hollow nodes have pods use what annotations declare (kwok.x-k8s.io/usage-cpu, usage-memory; 1m and 1Mi without).
 * Source: metrics-server 0.7. Simplified: kubelets bring their figures, nobody fetches them.
 */
import { EPOCH_SECONDS, SECOND } from '../sim/units.ts';
import { badRequest, noSuchPath, notFound } from './errors.ts';
import type { Cluster } from './state.ts';
import { get, list, podsOnNode, stamp } from './store.ts';
import type { Kind } from './types/kinds.ts';
import type { Json, KubeObject, Labels, Node, Pod } from './types/objects.ts';
import { milliOf, wholeOf } from './types/quantity.ts';
import { parseTime } from './types/time.ts';

/** Seconds between two rounds. */
export const RESOLUTION = 15;

/** Cores in billionths, bytes. */
export interface Usage { cpu: number; memory: number }

export interface PodUsage {
  /** Seconds since 1970 of the last round. */
  at: number;
  /** Seconds it covers. */
  window: number;
  containers: Map<string, Usage>;
}

/** What one kubelet said last. */
export interface NodeReport { at: number; node: Usage; pods: Map<string, PodUsage> }

const secondsNow = (cluster: Cluster): number => EPOCH_SECONDS + cluster.timeline.now / SECOND;

const usageOf = (part: Json): Usage => ({ cpu: Number(part?.cpu?.usageNanoCores ?? 0), memory: Number(part?.memory?.workingSetBytes ?? 0) });

/** A kubelet's /stats/summary, PUT by itself. */
export function takeReport(cluster: Cluster, name: string, body: Json): void {
  if (body?.node?.nodeName !== name || !Array.isArray(body.pods)) throw badRequest('not a summary of this node');
  const at = secondsNow(cluster);
  const before = cluster.metrics.get(name);
  const pods = new Map<string, PodUsage>();
  for (const pod of body.pods) {
    const uid = String(pod?.podRef?.uid);
    const known = before?.pods.get(uid);
    const containers = new Map<string, Usage>((pod?.containers ?? []).map((c: Json) => [String(c?.name), usageOf(c)]));
    pods.set(uid, { at, window: known ? at - known.at : 0, containers });
  }
  cluster.metrics.set(name, { at, node: usageOf(body.node), pods });
}

/** What a running pod uses; null before two rounds have seen it. */
export function podUsage(cluster: Cluster, pod: Pod): PodUsage | null {
  const { nodeName } = pod.spec;
  if (!nodeName || pod.status?.phase !== 'Running') return null;
  if (cluster.hollow.has(nodeName)) return declared(cluster, pod);
  const known = cluster.metrics.get(nodeName)?.pods.get(pod.metadata.uid!);
  return known && known.window > 0 && secondsNow(cluster) - known.at < 4 * RESOLUTION ? known : null;
}

function declared(cluster: Cluster, pod: Pod): PodUsage | null {
  const at = Math.floor(secondsNow(cluster) / RESOLUTION) * RESOLUTION;
  const started = parseTime(pod.status.startTime);
  if (started === null || at - started < RESOLUTION) return null;
  const said = pod.metadata.annotations ?? {};
  const share = Math.max(1, pod.spec.containers.length);
  const cpu = milliOf(said['kwok.x-k8s.io/usage-cpu'] ?? '1m') * 1e6;
  const memory = wholeOf(said['kwok.x-k8s.io/usage-memory'] ?? '1Mi');
  return { at, window: RESOLUTION, containers: new Map(pod.spec.containers.map((c) => [c.name, { cpu: cpu / share, memory: memory / share }])) };
}

function nodeUsage(cluster: Cluster, node: Node): { at: number; usage: Usage } | null {
  const { name } = node.metadata;
  if (!cluster.hollow.has(name)) {
    const report = cluster.metrics.get(name);
    return report && secondsNow(cluster) - report.at < 4 * RESOLUTION ? { at: report.at, usage: report.node } : null;
  }
  const usage: Usage = { cpu: 0, memory: 0 };
  for (const pod of podsOnNode(cluster.store, name)) {
    for (const one of podUsage(cluster, pod)?.containers.values() ?? []) {
      usage.cpu += one.cpu;
      usage.memory += one.memory;
    }
  }
  return { at: Math.floor(secondsNow(cluster) / RESOLUTION) * RESOLUTION, usage };
}

const quantities = ({ cpu, memory }: Usage): Labels => ({ cpu: `${Math.round(cpu)}n`, memory: `${Math.round(memory / 1024)}Ki` });

function metricsObject(cluster: Cluster, kind: Kind, of: KubeObject, at: number, window: number, body: Json): KubeObject {
  const { name, namespace, labels } = of.metadata;
  const stampOf = (seconds: number): string => stamp(cluster.timeline, (seconds - EPOCH_SECONDS) * SECOND);
  return { kind: kind.kind, apiVersion: 'metrics.k8s.io/v1beta1', metadata: { name, ...(namespace ? { namespace } : {}), creationTimestamp: stamp(cluster.timeline), ...(labels ? { labels } : {}) }, timestamp: stampOf(at), window: `${window}s`, ...body };
}

function one(cluster: Cluster, kind: Kind, object: KubeObject): KubeObject | null {
  if (kind.kind === 'NodeMetrics') {
    const found = nodeUsage(cluster, object as Node);
    return found && metricsObject(cluster, kind, object, found.at, RESOLUTION, { usage: quantities(found.usage) });
  }
  const found = podUsage(cluster, object as Pod);
  return found && metricsObject(cluster, kind, object, found.at, Math.round(found.window), { containers: [...found.containers].map(([name, usage]) => ({ name, usage: quantities(usage) })) });
}

const source = (kind: Kind): string => (kind.kind === 'NodeMetrics' ? 'Node' : 'Pod');

export const isMetrics = (kind: Kind): boolean => kind.group === 'metrics.k8s.io';

export function listMetrics(cluster: Cluster, kind: Kind, namespace: string | undefined): KubeObject[] {
  if (cluster.serverVersion.startsWith('v1.20.')) throw noSuchPath();
  return list(cluster.store, source(kind), namespace).map((object) => one(cluster, kind, object)).filter((m) => m !== null);
}

export function getMetrics(cluster: Cluster, kind: Kind, namespace: string | undefined, name: string): KubeObject {
  if (cluster.serverVersion.startsWith('v1.20.')) throw noSuchPath();
  const object = get(cluster.store, source(kind), namespace ? `${namespace}/${name}` : name);
  const found = object && one(cluster, kind, object);
  if (!found) throw notFound({ ...kind, plural: kind.plural }, namespace ? `${namespace}/${name}` : name);
  return found;
}
