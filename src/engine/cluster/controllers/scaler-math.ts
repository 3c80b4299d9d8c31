/**
 * How many replicas a metric asks for: the ratio of what is used to the target, of the pods that are ready; pods without metrics
 * and pods that are not ready count so that they never make the change larger. Source: podautoscaler/replica_calculator.go 1.32.
 */
import { EPOCH_SECONDS, SECOND } from '../../sim/units.ts';
import { podUsage, type PodUsage } from '../metrics.ts';
import type { Cluster } from '../state.ts';
import type { Pod } from '../types/objects.ts';
import { amountOf } from '../types/quantity.ts';
import { parseTime } from '../types/time.ts';

export const TOLERANCE = 0.1;
/** Seconds. */
const CPU_INITIALIZATION = 300;
const INITIAL_READINESS = 30;

export interface Proposal {
  replicas: number;
  /** Percent of requests, where the target is one. */
  utilization?: number;
  /** Of one pod on average, in thousandths of cores or bytes. */
  average: number;
}

interface Groups { ready: Map<string, number>; unready: Set<string>; missing: Set<string> }

/** In thousandths. */
function amountUsed(usage: PodUsage, resource: string, container: string | undefined): number | null {
  let sum = 0;
  for (const [name, one] of usage.containers) {
    if (container !== undefined && name !== container) continue;
    sum += resource === 'cpu' ? one.cpu / 1e6 : one.memory * 1000;
  }
  return container !== undefined && !usage.containers.has(container) ? null : Math.round(sum);
}

function group(cluster: Cluster, pods: readonly Pod[], resource: string, container: string | undefined): Groups {
  const out: Groups = { ready: new Map(), unready: new Set(), missing: new Set() };
  const now = EPOCH_SECONDS + cluster.timeline.now / SECOND;
  for (const pod of pods) {
    const { name } = pod.metadata;
    if (pod.metadata.deletionTimestamp || pod.status?.phase === 'Failed') continue;
    if (pod.status?.phase === 'Pending') {
      out.unready.add(name);
      continue;
    }
    const usage = podUsage(cluster, pod);
    const value = usage && amountUsed(usage, resource, container);
    if (usage === null || value === null) out.missing.add(name);
    else if (resource === 'cpu' && starting(pod, usage, now)) out.unready.add(name);
    else out.ready.set(name, value);
  }
  return out;
}

/** A pod whose processor time still tells of its start. */
function starting(pod: Pod, usage: PodUsage, now: number): boolean {
  const condition = pod.status.conditions?.find((c) => c.type === 'Ready');
  const started = parseTime(pod.status.startTime);
  if (!condition || started === null) return true;
  const since = parseTime(condition.lastTransitionTime) ?? 0;
  if (started + CPU_INITIALIZATION > now) return condition.status === 'False' || usage.at < since + usage.window;
  return condition.status === 'False' && started + INITIAL_READINESS > since;
}

/** Thousandths asked for by each pod; a text when a container asks for nothing. */
function requestsOf(pods: readonly Pod[], resource: string, container: string | undefined): Map<string, number> | string {
  const out = new Map<string, number>();
  for (const pod of pods) {
    let sum = 0;
    for (const c of [...pod.spec.containers, ...(pod.spec.initContainers ?? []).filter((i) => i.restartPolicy === 'Always')]) {
      if (container !== undefined && c.name !== container) continue;
      const request = c.resources?.requests?.[resource];
      if (request === undefined) return `missing request for ${resource} in container ${c.name} of Pod ${pod.metadata.name}`;
      sum += resource === 'cpu' ? amountOf('cpu', request) : amountOf(resource, request) * 1000;
    }
    out.set(pod.metadata.name, sum);
  }
  return out;
}

interface Measure { ratio: number; utilization?: number; average: number }

/** A text is the error's. `target`: percent of requests, or thousandths of a pod. */
export function resourceReplicas(cluster: Cluster, pods: readonly Pod[], current: number, resource: string, target: { percent?: number; average?: number }, container?: string): Proposal | string {
  if (!pods.some((pod) => podUsage(cluster, pod) !== null)) return `unable to get metrics for resource ${resource}: no metrics returned from resource metrics API`;
  if (pods.length === 0) return 'no pods returned by selector while calculating replica count';
  const groups = group(cluster, pods, resource, container);
  const requests = target.percent === undefined ? null : requestsOf(pods, resource, container);
  if (typeof requests === 'string') return requests;
  if (groups.ready.size === 0) return 'did not receive metrics for targeted pods (pods might be unready)';
  const measure = (values: ReadonlyMap<string, number>): Measure => {
    let used = 0;
    let asked = 0;
    for (const [name, value] of values) {
      used += value;
      asked += requests?.get(name) ?? 0;
    }
    const average = Math.trunc(used / values.size);
    if (target.percent === undefined) return { ratio: average / target.average!, average };
    const utilization = asked === 0 ? 0 : Math.trunc((used * 100) / asked);
    return { ratio: utilization / target.percent, utilization, average };
  };
  const first = measure(groups.ready);
  const told = { ...(first.utilization === undefined ? {} : { utilization: first.utilization }), average: first.average };
  return { replicas: decide(groups, current, first.ratio, measure, (name) => fallback(name, requests, target)), ...told };
}

/** What a pod without metrics is taken to use when fewer replicas are wanted. */
function fallback(name: string, requests: ReadonlyMap<string, number> | null, target: { percent?: number; average?: number }): number {
  return requests ? Math.trunc(((requests.get(name) ?? 0) * Math.max(100, target.percent!)) / 100) : target.average!;
}

const within = (ratio: number): boolean => Math.abs(1 - ratio) <= TOLERANCE;

function decide({ ready, unready, missing }: Groups, current: number, ratio: number, measure: (values: ReadonlyMap<string, number>) => Measure, without: (name: string) => number): number {
  const growsWithUnready = unready.size > 0 && ratio > 1;
  if (!growsWithUnready && missing.size === 0) return within(ratio) ? current : Math.ceil(ratio * ready.size);
  const values = new Map(ready);
  for (const name of missing) {
    if (ratio < 1) values.set(name, without(name));
    else if (ratio > 1) values.set(name, 0);
  }
  if (growsWithUnready) for (const name of unready) values.set(name, 0);
  const next = measure(values).ratio;
  if (within(next) || (ratio < 1 && next > 1) || (ratio > 1 && next < 1)) return current;
  const replicas = Math.ceil(next * values.size);
  return (next < 1 && replicas > current) || (next > 1 && replicas < current) ? current : replicas;
}
