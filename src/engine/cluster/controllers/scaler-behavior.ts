/** An autoscaler's memory of what it asked for and did, the windows over it and the limits of its policies. Source: podautoscaler/horizontal.go 1.32. */
import type { Json, KubeObject } from '../types/objects.ts';

export interface ScalerMemory {
  uid: string;
  /** Seconds since 1970 of the round to come. */
  next: number;
  recommendations: { at: number; n: number }[];
  ups: { at: number; n: number }[];
  downs: { at: number; n: number }[];
}

const DOWN_WINDOW = 300;

const UP: Json = { stabilizationWindowSeconds: 0, selectPolicy: 'Max', policies: [{ type: 'Pods', value: 4, periodSeconds: 15 }, { type: 'Percent', value: 100, periodSeconds: 15 }] };
const DOWN: Json = { stabilizationWindowSeconds: DOWN_WINDOW, selectPolicy: 'Max', policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }] };
const upRules = (hpa: KubeObject): Json => ({ ...UP, ...hpa.spec.behavior?.scaleUp });
const downRules = (hpa: KubeObject): Json => ({ ...DOWN, ...hpa.spec.behavior?.scaleDown });

/** The lowest of recent recommendations holds back growth, the highest shrinking. Records this one. */
export function stabilized(hpa: KubeObject, memory: ScalerMemory, current: number, asked: number, now: number): number {
  const upFrom = now - upRules(hpa).stabilizationWindowSeconds;
  const downFrom = now - downRules(hpa).stabilizationWindowSeconds;
  let low = asked;
  let high = asked;
  for (const { at, n } of memory.recommendations) {
    if (at > upFrom) low = Math.min(low, n);
    if (at > downFrom) high = Math.max(high, n);
  }
  memory.recommendations = [...memory.recommendations.filter(({ at }) => at > Math.min(upFrom, downFrom)), { at: now, n: asked }];
  let out = current;
  if (out < low) out = low;
  if (out > high) out = high;
  return out;
}

export function remember(hpa: KubeObject, memory: ScalerMemory, from: number, to: number, now: number): void {
  const longest = (rules: Json): number => Math.max(...rules.policies.map((p: Json) => p.periodSeconds));
  const [events, rules] = to > from ? ([memory.ups, upRules(hpa)] as const) : ([memory.downs, downRules(hpa)] as const);
  const kept = events.filter(({ at }) => at > now - longest(rules));
  events.splice(0, events.length, ...kept, { at: now, n: Math.abs(to - from) });
}

const within = (events: ScalerMemory['ups'], since: number): number => events.reduce((sum, { at, n }) => (at > since ? sum + n : sum), 0);

function upLimit(rules: Json, memory: ScalerMemory, current: number, now: number): number {
  if (rules.selectPolicy === 'Disabled') return current;
  const limits = (rules.policies as Json[]).map((p) => {
    const start = current - within(memory.ups, now - p.periodSeconds) + within(memory.downs, now - p.periodSeconds);
    return p.type === 'Pods' ? start + p.value : Math.ceil(start * (1 + p.value / 100));
  });
  return rules.selectPolicy === 'Min' ? Math.min(...limits) : Math.max(...limits);
}

function downLimit(rules: Json, memory: ScalerMemory, current: number, now: number): number {
  if (rules.selectPolicy === 'Disabled') return current;
  const limits = (rules.policies as Json[]).map((p) => {
    const start = current - within(memory.ups, now - p.periodSeconds) + within(memory.downs, now - p.periodSeconds);
    return p.type === 'Pods' ? start - p.value : Math.trunc(start * (1 - p.value / 100));
  });
  return rules.selectPolicy === 'Min' ? Math.max(...limits) : Math.min(...limits);
}

export interface Limited { replicas: number; reason: string; message: string }

export function rateLimited(hpa: KubeObject, memory: ScalerMemory, current: number, wanted: number, now: number): Limited {
  const { minReplicas: least = 1, maxReplicas: most } = hpa.spec;
  if (wanted > current) {
    const limit = Math.max(current, upLimit(upRules(hpa), memory, current, now));
    const [bound, reason, message] = most > limit
      ? [limit, 'ScaleUpLimit', 'the desired replica count is increasing faster than the maximum scale rate'] : [most, 'TooManyReplicas', 'the desired replica count is more than the maximum replica count'];
    if (wanted > (bound as number)) return { replicas: bound as number, reason: reason as string, message: message as string };
  } else if (wanted < current) {
    const limit = Math.min(current, downLimit(downRules(hpa), memory, current, now));
    const [bound, reason, message] = least < limit
      ? [limit, 'ScaleDownLimit', 'the desired replica count is decreasing faster than the maximum scale rate'] : [least, 'TooFewReplicas', 'the desired replica count is less than the minimum replica count'];
    if (wanted < (bound as number)) return { replicas: bound as number, reason: reason as string, message: message as string };
  }
  return { replicas: wanted, reason: 'DesiredWithinRange', message: 'the desired count is within the acceptable range' };
}
