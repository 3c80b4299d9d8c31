/**
 * Kinds that the server serves in more than one version or group, and stores in one: Events of events.k8s.io/v1 are those of
 * core, HorizontalPodAutoscalers of autoscaling/v1 those of v2. Source: pkg/apis/{events,autoscaling}/v1/conversion.go 1.32.
 */
import { apiVersionOf, type Kind, kindNamed } from './types/kinds.ts';
import type { Json, KubeObject } from './types/objects.ts';

/** What an object of the served version is in the store. */
export function toStored(served: Kind, body: Json): Json {
  if (served.custom?.stored && body !== null && typeof body === 'object' && !Array.isArray(body)) return { ...body, apiVersion: apiVersionOf(served), kind: served.custom.stored.kind };
  const way = WAYS[apiVersionOf(served) + served.kind];
  if (!way || body === null || typeof body !== 'object' || Array.isArray(body)) return body;
  return { ...way.stored(body), apiVersion: apiVersionOf(kindNamed(served.kind)) };
}

export function toServed(served: Kind, object: KubeObject): KubeObject {
  if (served.custom) return { ...object, apiVersion: apiVersionOf(served), kind: served.custom.name };
  const way = WAYS[apiVersionOf(served) + served.kind];
  return way ? { ...way.served(object), apiVersion: apiVersionOf(served) } : object;
}

/** core name, events.k8s.io name. */
const EVENT_FIELDS: readonly (readonly [string, string])[] = [
  ['involvedObject', 'regarding'], ['message', 'note'], ['source', 'deprecatedSource'], ['firstTimestamp', 'deprecatedFirstTimestamp'], ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'], ['reportingComponent', 'reportingController'],
];

function renamed(from: Json, pairs: readonly (readonly [string, string])[]): Json {
  const names = new Map(pairs);
  return Object.fromEntries(Object.entries(from).map(([name, value]) => [names.get(name) ?? name, value]));
}

const CPU = (metric: Json): boolean => metric?.type === 'Resource' && metric.resource?.name === 'cpu' && metric.resource.target?.averageUtilization !== undefined;

function scalerToStored(body: Json): Json {
  const { targetCPUUtilizationPercentage: percent, ...spec } = body.spec ?? {};
  if (percent !== undefined && percent !== null) spec.metrics = [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: percent } } }];
  return { ...body, spec };
}

function scalerToServed(object: KubeObject): KubeObject {
  const { metrics, behavior: _behavior, ...spec } = object.spec;
  const { currentMetrics, conditions: _conditions, ...status } = object.status ?? {};
  const wanted = (metrics ?? []).find(CPU);
  if (wanted) spec.targetCPUUtilizationPercentage = wanted.resource.target.averageUtilization;
  const current = (currentMetrics ?? []).find((m: Json) => m?.resource?.name === 'cpu')?.resource.current?.averageUtilization;
  if (current !== undefined) status.currentCPUUtilizationPercentage = current;
  return { ...object, spec, status };
}

const WAYS: Readonly<Record<string, { stored(body: Json): Json; served(object: KubeObject): KubeObject }>> = {
  'events.k8s.io/v1Event': { stored: (body) => renamed(body, EVENT_FIELDS.map(([a, b]) => [b, a] as const)), served: (object) => renamed(object, EVENT_FIELDS) },
  'autoscaling/v1HorizontalPodAutoscaler': { stored: scalerToStored, served: scalerToServed },
};
