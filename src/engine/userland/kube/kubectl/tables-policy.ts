/** Columns of `kubectl get` for quotas, limits, autoscalers, budgets, ingresses, policies, roles. Source: pkg/printers/internalversion 1.32. */
import type { Json, KubeObject } from '../../../cluster/types/objects.ts';
import { canonical } from '../../../cluster/types/quantity.ts';
import { printSelector } from '../../../cluster/types/selectors.ts';
import { ageOf, type Columns } from './columns.ts';

const NONE = '<none>';

const plain = (headers: string, narrow: number, row: (o: KubeObject, age: string) => string[]): Columns =>
  ({ headers: headers.split('|'), narrow, row: (o, now) => row(o, ageOf(o.metadata.creationTimestamp, now)) });

/** "cpu: 20%/80%", three of them and how many more. */
function scalerTargets(spec: Json, status: Json): string {
  const metrics: Json[] = spec.metrics ?? [];
  if (metrics.length === 0) return NONE;
  const current: Json[] = status?.currentMetrics ?? [];
  const texts = metrics.map((m, i) => {
    const source = m[m.type.charAt(0).toLowerCase() + m.type.slice(1)] ?? {};
    const now = current[i]?.[m.type.charAt(0).toLowerCase() + m.type.slice(1)]?.current;
    const value = (wanted: string): string => (now?.[wanted] !== undefined && now[wanted] !== null ? String(now[wanted]) : '<unknown>');
    const target = source.target ?? {};
    if (m.type === 'Resource' || m.type === 'ContainerResource') {
      if (target.averageValue !== undefined) return `${source.name}: ${value('averageValue')}/${canonical(target.averageValue)}`;
      const percent = value('averageUtilization');
      return `${source.name}: ${percent === '<unknown>' ? percent : `${percent}%`}/${target.averageUtilization === undefined ? '<auto>' : `${target.averageUtilization}%`}`;
    }
    if (target.averageValue !== undefined) return `${value('averageValue')}/${canonical(target.averageValue)}${m.type === 'Pods' ? '' : ' (avg)'}`;
    return `${value('value')}/${canonical(target.value ?? '0')}`;
  });
  return texts.length > 3 ? `${texts.slice(0, 2).join(', ')} + ${texts.length - 2} more...` : texts.join(', ');
}

function quotaColumns(quota: KubeObject): [string, string] {
  const rows = (wanted: (name: string) => boolean): string =>
    Object.keys(quota.status?.hard ?? {}).filter(wanted).sort().map((name) => `${name}: ${quota.status.used?.[name] ?? '0'}/${quota.status.hard[name]}`).join(', ');
  return [rows((n) => !n.startsWith('limits')), rows((n) => n.startsWith('limits'))];
}

const backend = (b: Json): string => (b?.service ? `${b.service.name}:${b.service.port?.name || b.service.port?.number}` : b?.resource ? `APIGroup: ${b.resource.apiGroup ?? ''}, Kind: ${b.resource.kind}, Name: ${b.resource.name}` : '');
export const ingressBackend = backend;

function hosts(ingress: KubeObject): string {
  const list = (ingress.spec.rules ?? []).map((r: Json) => r.host).filter(Boolean) as string[];
  if (list.length === 0) return '*';
  return list.slice(0, 3).join(',') + (list.length > 3 ? ` + ${list.length - 3} more...` : '');
}

const subjects = (o: KubeObject, kind: string): string =>
  ((o.subjects ?? []) as Json[]).filter((s) => s.kind === kind).map((s) => (kind === 'ServiceAccount' ? `${s.namespace}/${s.name}` : s.name)).join(', ');
const binding = (o: KubeObject, age: string): string[] => [o.metadata.name, `${o.roleRef.kind}/${o.roleRef.name}`, age, subjects(o, 'User'), subjects(o, 'Group'), subjects(o, 'ServiceAccount')];
const images = (spec: Json): string[] => [(spec?.containers ?? []).map((c: Json) => c.name).join(','), (spec?.containers ?? []).map((c: Json) => c.image).join(',')];
const mapText = (map: Record<string, string> | undefined): string => Object.keys(map ?? {}).sort().map((k) => `${k}=${map![k]}`).join(',') || NONE;

export const POLICY_TABLES: Record<string, Columns> = {
  ComponentStatus: plain('NAME|STATUS|MESSAGE|ERROR', 4, (o) => {
    const c: Json = (o.conditions as Json[])?.find((x) => x.type === 'Healthy') ?? {};
    return [o.metadata.name, c.status === 'True' ? 'Healthy' : c.status === 'False' ? 'Unhealthy' : 'Unknown', c.message ?? '', c.error ?? ''];
  }),
  ResourceQuota: plain('NAME|REQUEST|LIMIT|AGE', 4, (o, age) => [o.metadata.name, ...quotaColumns(o), age]),
  LimitRange: plain('NAME|CREATED AT', 2, (o) => [o.metadata.name, o.metadata.creationTimestamp ?? '']),
  ReplicationController: plain('NAME|DESIRED|CURRENT|READY|AGE|CONTAINERS|IMAGES|SELECTOR', 5, (o, age) => [
    o.metadata.name, String(o.spec.replicas), String(o.status?.replicas ?? 0), String(o.status?.readyReplicas ?? 0), age, ...images(o.spec.template?.spec), mapText(o.spec.selector),
  ]),
  PodTemplate: plain('NAME|CONTAINERS|IMAGES|POD LABELS', 4, (o) => [o.metadata.name, ...images(o.template?.spec), mapText(o.template?.metadata?.labels)]),
  HorizontalPodAutoscaler: plain('NAME|REFERENCE|TARGETS|MINPODS|MAXPODS|REPLICAS|AGE', 7, (o, age) => [
    o.metadata.name, `${o.spec.scaleTargetRef.kind}/${o.spec.scaleTargetRef.name}`, scalerTargets(o.spec, o.status), String(o.spec.minReplicas ?? '<unset>'), String(o.spec.maxReplicas), String(o.status?.currentReplicas ?? 0), age,
  ]),
  PodDisruptionBudget: plain('NAME|MIN AVAILABLE|MAX UNAVAILABLE|ALLOWED DISRUPTIONS|AGE', 5, (o, age) => [
    o.metadata.name, String(o.spec.minAvailable ?? 'N/A'), String(o.spec.maxUnavailable ?? 'N/A'), String(o.status?.disruptionsAllowed ?? 0), age,
  ]),
  Ingress: plain('NAME|CLASS|HOSTS|ADDRESS|PORTS|AGE', 6, (o, age) => [
    o.metadata.name, o.spec.ingressClassName ?? o.metadata.annotations?.['kubernetes.io/ingress.class'] ?? NONE, hosts(o),
    (o.status?.loadBalancer?.ingress ?? []).map((i: Json) => i.ip || i.hostname).join(','), o.spec.tls?.length ? '80, 443' : '80', age,
  ]),
  IngressClass: plain('NAME|CONTROLLER|PARAMETERS|AGE', 4, (o, age) => {
    const p = o.spec?.parameters;
    return [o.metadata.name, o.spec?.controller ?? '', p ? `${p.kind}${p.apiGroup ? `.${p.apiGroup}` : ''}/${p.name}` : NONE, age];
  }),
  NetworkPolicy: plain('NAME|POD-SELECTOR|AGE', 3, (o, age) => [o.metadata.name, printSelector(o.spec.podSelector ?? {}), age]),
  RuntimeClass: plain('NAME|HANDLER|AGE', 3, (o, age) => [o.metadata.name, o.handler, age]),
  Role: plain('NAME|CREATED AT', 2, (o) => [o.metadata.name, o.metadata.creationTimestamp ?? '']),
  ClusterRole: plain('NAME|CREATED AT', 2, (o) => [o.metadata.name, o.metadata.creationTimestamp ?? '']),
  RoleBinding: plain('NAME|ROLE|AGE|USERS|GROUPS|SERVICEACCOUNTS', 3, binding),
  ClusterRoleBinding: plain('NAME|ROLE|AGE|USERS|GROUPS|SERVICEACCOUNTS', 3, binding),
  CustomResourceDefinition: plain('NAME|CREATED AT', 2, (o) => [o.metadata.name, o.metadata.creationTimestamp ?? '']),
};
