/**
 * HorizontalPodAutoscaler: every 15 s the replicas that its metrics ask for, held within its bounds, stabilised over a window and
 * limited by its policies, as conditions and events tell. Source: pkg/controller/podautoscaler/horizontal.go 1.32.
 * Absent: custom and external metrics APIs; metrics of those kinds fail as where none is registered.
 */
import { EPOCH_SECONDS, SECOND } from '../../sim/units.ts';
import { mutate } from '../api.ts';
import { ApiError } from '../errors.ts';
import type { Cluster } from '../state.ts';
import { get, list, podsLabelled, stamp } from '../store.ts';
import { findKind } from '../types/kinds.ts';
import { type Condition, copy, type Json, type KubeObject, keyOf, type LabelSelector, type Pod, same } from '../types/objects.ts';
import { decimal, milliOf } from '../types/quantity.ts';
import { matchesSelector } from '../types/selectors.ts';
import { emit } from './events.ts';
import { later } from './later.ts';
import { rateLimited, remember, type ScalerMemory, stabilized } from './scaler-behavior.ts';
import { resourceReplicas } from './scaler-math.ts';

const COMPONENT = 'horizontal-pod-autoscaler';
const PERIOD = 15;

interface Turn { cluster: Cluster; hpa: KubeObject; status: Json; memory: ScalerMemory; now: number }

export function syncScaler(cluster: Cluster, key: string): void {
  const hpa = get(cluster.store, 'HorizontalPodAutoscaler', key);
  if (!hpa || hpa.metadata.deletionTimestamp) {
    cluster.scalers.delete(key);
    return;
  }
  const now = EPOCH_SECONDS + cluster.timeline.now / SECOND;
  let memory = cluster.scalers.get(key);
  // Whatever asks for a turn waits a period in the queue; who waits already is not queued again.
  if (!memory || memory.uid !== hpa.metadata.uid) {
    cluster.scalers.set(key, (memory = { uid: hpa.metadata.uid!, next: now + PERIOD, recommendations: [], ups: [], downs: [] }));
    later(cluster, 'scaler', key, PERIOD);
  }
  if (memory.next > now + 0.001) return;
  memory.next = now + PERIOD;
  later(cluster, 'scaler', key, PERIOD);
  const status: Json = copy(hpa.status ?? {});
  reconcile({ cluster, hpa, status, memory, now });
  if (same(status, hpa.status)) return;
  mutate(cluster, 'HorizontalPodAutoscaler', key, (o) => {
    o.status = status;
  }, 'status');
}

/** As SetConditionInList does: the time moves with the status only. */
function say({ cluster, status }: Turn, type: string, value: string, reason: string, message: string): void {
  const list: Condition[] = (status.conditions ??= []);
  const old = list.find((c) => c.type === type);
  const next: Condition = { type, status: value, lastTransitionTime: old?.status === value ? (old.lastTransitionTime ?? '') : stamp(cluster.timeline), reason, message };
  if (old) list[list.indexOf(old)] = next;
  else list.push(next);
}

interface Scaled { object: KubeObject; replicas: number; selector: LabelSelector }

function target({ cluster, hpa }: Turn): Scaled | string {
  const ref = hpa.spec.scaleTargetRef;
  const kind = findKind(ref.apiVersion ?? 'v1', ref.kind);
  if (!kind) return `no matches for kind ${JSON.stringify(ref.kind)} in version ${JSON.stringify(ref.apiVersion ?? '')}`;
  const object = get(cluster.store, kind.kind, `${hpa.metadata.namespace}/${ref.name}`);
  if (!object) return `${kind.plural}/scale${kind.group ? `.${kind.group}` : ''} ${JSON.stringify(ref.name)} not found`;
  if (object.spec?.replicas === undefined) return `the server could not find the requested resource`;
  return { object, replicas: object.spec.replicas, selector: kind.kind === 'ReplicationController' ? { matchLabels: object.spec.selector } : object.spec.selector };
}

function reconcile(turn: Turn): void {
  const { cluster, hpa, status, memory, now } = turn;
  const found = target(turn);
  status.currentReplicas ??= 0;
  status.desiredReplicas ??= 0;
  if (typeof found === 'string') {
    emit(cluster, hpa, 'Warning', 'FailedGetScale', found, COMPONENT);
    say(turn, 'AbleToScale', 'False', 'FailedGetScale', `the HPA controller was unable to get the target's current scale: ${found}`);
    return;
  }
  say(turn, 'AbleToScale', 'True', 'SucceededGetScale', "the HPA controller was able to get the target's current scale");
  const current = found.replicas;
  if (memory.recommendations.length === 0) memory.recommendations.push({ at: now, n: current });
  const { minReplicas: least = 1, maxReplicas: most } = hpa.spec;
  status.currentReplicas = current;
  let desired = current;
  let reason = '';
  if (current === 0 && least !== 0) {
    say(turn, 'ScalingActive', 'False', 'ScalingDisabled', 'scaling is disabled since the replica count of the target is zero');
    desired = 0;
  } else if (current > most) [desired, reason] = [most, 'Current number of replicas above Spec.MaxReplicas'];
  else if (current < least) [desired, reason] = [least, 'Current number of replicas below Spec.MinReplicas'];
  else {
    const asked = ask(turn, found);
    if (asked === null) {
      status.desiredReplicas = Math.max(0, status.desiredReplicas);
      return;
    }
    if (asked.replicas > current) reason = `${asked.metric} above target`;
    else if (asked.replicas < current) reason = 'All metrics below target';
    desired = bounded(turn, current, asked.replicas);
  }
  if (desired !== current) rescale(turn, found, current, desired, reason);
  status.desiredReplicas = desired;
}

/** Stabilised, then limited by rate and bounds; conditions tell by what. */
function bounded(turn: Turn, current: number, asked: number): number {
  const { hpa, memory, now } = turn;
  const steady = stabilized(hpa, memory, current, asked, now);
  if (steady === asked) say(turn, 'AbleToScale', 'True', 'ReadyForNewScale', 'recommended size matches current size');
  else if (steady > asked) say(turn, 'AbleToScale', 'True', 'ScaleDownStabilized', 'recent recommendations were higher than current one, applying the highest recent recommendation');
  else say(turn, 'AbleToScale', 'True', 'ScaleUpStabilized', 'recent recommendations were lower than current one, applying the lowest recent recommendation');
  const { replicas, reason, message } = rateLimited(hpa, memory, current, steady, now);
  say(turn, 'ScalingLimited', replicas === steady ? 'False' : 'True', reason, message);
  return replicas;
}

function rescale(turn: Turn, found: Scaled, current: number, desired: number, reason: string): void {
  const { cluster, hpa, memory, status, now } = turn;
  try {
    mutate(cluster, found.object.kind, keyOf(found.object.metadata), (o) => {
      o.spec.replicas = desired;
    }, undefined, { manager: 'kube-controller-manager', sub: 'scale' });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    emit(cluster, hpa, 'Warning', 'FailedRescale', `New size: ${desired}; reason: ${reason}; error: ${error.message}`, COMPONENT);
    say(turn, 'AbleToScale', 'False', 'FailedUpdateScale', `the HPA controller was unable to update the target scale: ${error.message}`);
    return;
  }
  say(turn, 'AbleToScale', 'True', 'SucceededRescale', `the HPA controller was able to update the target scale to ${desired}`);
  emit(cluster, hpa, 'Normal', 'SuccessfulRescale', `New size: ${desired}; reason: ${reason}`, COMPONENT);
  remember(hpa, memory, current, desired, now);
  status.lastScaleTime = stamp(cluster.timeline);
}

interface Answer { replicas: number; metric: string; current: Json }
interface Failure { reason: string; error: string; wrapped: string }

/** The largest that any metric asks for; null when one failed and the rest would shrink, or all failed. */
function ask(turn: Turn, found: Scaled): { replicas: number; metric: string } | null {
  const { cluster, hpa, status } = turn;
  const specs: Json[] = hpa.spec.metrics ?? [];
  const pods = podsOf(cluster, hpa, found.selector);
  let best: Answer | null = null;
  let failed = 0;
  let first: Failure | null = null;
  status.currentMetrics = specs.map((spec) => {
    const answer = metric(cluster, spec, pods, found.replicas, hpa.metadata.namespace!);
    if ('error' in answer) {
      emit(cluster, hpa, 'Warning', answer.reason, answer.error, COMPONENT);
      failed++;
      first ??= answer;
      return { type: '' };
    }
    if (best === null || answer.replicas > best.replicas) best = answer;
    return answer.current;
  });
  const chosen = best as Answer | null;
  if (failed > 0 && (chosen === null || chosen.replicas < found.replicas)) {
    const { reason, error, wrapped } = first!;
    say(turn, 'ScalingActive', 'False', reason, `the HPA was unable to compute the replica count: ${error}`);
    emit(cluster, hpa, 'Warning', 'FailedComputeMetricsReplicas', `invalid metrics (${failed} invalid out of ${specs.length}), first error is: ${wrapped}`, COMPONENT);
    return null;
  }
  say(turn, 'ScalingActive', 'True', 'ValidMetricFound', `the HPA was able to successfully calculate a replica count from ${chosen!.metric}`);
  return chosen;
}

function podsOf(cluster: Cluster, hpa: KubeObject, selector: LabelSelector): Pod[] {
  const { namespace } = hpa.metadata;
  const labels = selector?.matchLabels ?? {};
  const some = Object.keys(labels).length > 0 ? podsLabelled(cluster.store, namespace!, labels) : list<Pod>(cluster.store, 'Pod', namespace);
  return some.filter((pod) => matchesSelector(selector, pod.metadata.labels));
}

function metric(cluster: Cluster, spec: Json, pods: readonly Pod[], current: number, namespace: string): Answer | Failure {
  if (spec.type === 'Resource' || spec.type === 'ContainerResource') {
    const source = spec.type === 'Resource' ? spec.resource : spec.containerResource;
    const { averageUtilization: percent, averageValue } = source.target ?? {};
    const container = spec.type === 'ContainerResource' ? source.container : undefined;
    const found = resourceReplicas(cluster, pods, current, source.name, percent !== undefined ? { percent } : { average: milliOf(averageValue) }, container);
    const what = spec.type === 'Resource' ? 'resource' : 'container resource';
    if (typeof found === 'string') {
      const error = `failed to get ${source.name} utilization: ${found}`;
      return { reason: spec.type === 'Resource' ? 'FailedGetResourceMetric' : 'FailedGetContainerResourceMetric', error, wrapped: `failed to get ${source.name} ${what} metric value: ${error}` };
    }
    const value = { averageValue: decimal(found.average), ...(found.utilization === undefined ? {} : { averageUtilization: found.utilization }) };
    const field = spec.type === 'Resource' ? 'resource' : 'containerResource';
    return {
      replicas: found.replicas, metric: percent !== undefined ? `${source.name} ${what} utilization (percentage of request)` : `${source.name} ${what}`,
      current: { type: spec.type, [field]: { name: source.name, ...(container === undefined ? {} : { container }), current: value } },
    };
  }
  const name = (spec.pods ?? spec.object ?? spec.external)?.metric?.name ?? '';
  const api = spec.type === 'External' ? 'external' : 'custom';
  const error = spec.type === 'External'
    ? `unable to get external metric ${namespace}/${name}/nil: unable to fetch metrics from external metrics API: no ${api} metrics API (${api}.metrics.k8s.io) registered`
    : `unable to get metric ${name}: unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered`;
  return { reason: `FailedGet${spec.type}Metric`, error, wrapped: `failed to get ${String(spec.type).toLowerCase()} metric value: ${error}` };
}

