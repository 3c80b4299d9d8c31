/** What one object counts for against quotas, and which quotas see it. Source: pkg/quota/v1/evaluator/core 1.32. */
import { type Kind, KINDS, kindNamed, qualified } from '../types/kinds.ts';
import type { Json, KubeObject, Pod } from '../types/objects.ts';
import { wholeOf } from '../types/quantity.ts';
import { parseTime } from '../types/time.ts';
import { type Amounts, podAmounts } from '../types/amounts.ts';

/** Core objects that have a name of their own beside "count/…". */
const PLAIN = new Set(['configmaps', 'secrets', 'replicationcontrollers', 'resourcequotas', 'services', 'persistentvolumeclaims']);

/** `now` in seconds since 1970. */
export function usageOf(kind: Kind, object: KubeObject, now: number): Amounts {
  const out: Amounts = new Map([[`count/${qualified(kind)}`, 1]]);
  if (kind.group === '' && PLAIN.has(kind.plural)) out.set(kind.plural, 1);
  if (kind.kind === 'Pod') podUsage(object as Pod, now, out);
  else if (kind.kind === 'Service') {
    const external = object.spec.type === 'NodePort' || object.spec.type === 'LoadBalancer';
    out.set('services.nodeports', external ? (object.spec.ports ?? []).length : 0);
    out.set('services.loadbalancers', object.spec.type === 'LoadBalancer' ? 1 : 0);
  } else if (kind.kind === 'PersistentVolumeClaim') {
    const size = wholeOf(object.spec.resources?.requests?.storage);
    out.set('requests.storage', size);
    const name = object.spec.storageClassName;
    if (name) {
      out.set(`${name}.storageclass.storage.k8s.io/requests.storage`, size);
      out.set(`${name}.storageclass.storage.k8s.io/persistentvolumeclaims`, 1);
    }
  }
  return out;
}

/** A pod that ended, or whose time to end is over, holds nothing. */
function podUsage(pod: Pod, now: number, out: Amounts): void {
  if (pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded') return;
  const dying = parseTime(pod.metadata.deletionTimestamp);
  if (dying !== null && dying < now) return;
  out.set('pods', 1);
  for (const [name, n] of podAmounts(pod.spec, 'requests')) {
    if (!name.includes('/')) out.set(name, n);
    out.set(`requests.${name}`, n);
  }
  for (const [name, n] of podAmounts(pod.spec, 'limits')) if (!name.includes('/')) out.set(`limits.${name}`, n);
}

/** Whether a quota's scopes choose an object; scopes choose among pods only. */
export function inScope(quota: KubeObject, kind: Kind, object: KubeObject): boolean {
  const scopes: Json[] = [...(quota.spec.scopes ?? []).map((scopeName: string) => ({ scopeName, operator: 'Exists' })), ...(quota.spec.scopeSelector?.matchExpressions ?? [])];
  return scopes.every((scope) => kind.kind === 'Pod' && meetsScope(scope, object as Pod));
}

function meetsScope(scope: Json, pod: Pod): boolean {
  switch (scope.scopeName) {
    case 'Terminating':
      return pod.spec.activeDeadlineSeconds !== undefined;
    case 'NotTerminating':
      return pod.spec.activeDeadlineSeconds === undefined;
    case 'BestEffort':
      return pod.status?.qosClass === 'BestEffort';
    case 'NotBestEffort':
      return pod.status?.qosClass !== 'BestEffort';
    case 'PriorityClass': {
      const name = pod.spec.priorityClassName;
      if (scope.operator === 'Exists') return Boolean(name);
      if (scope.operator === 'DoesNotExist') return !name;
      return (scope.values ?? []).includes(name ?? '') === (scope.operator === 'In');
    }
    case 'CrossNamespacePodAffinity': {
      const terms = ['podAffinity', 'podAntiAffinity'].flatMap((side) => [
        ...(pod.spec.affinity?.[side]?.requiredDuringSchedulingIgnoredDuringExecution ?? []), ...(pod.spec.affinity?.[side]?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((x: Json) => x.podAffinityTerm),
      ]);
      return terms.some((t: Json) => t?.namespaces?.length || t?.namespaceSelector);
    }
  }
  return false;
}

/** The kinds of whose objects a quota with these names must know. */
export function kindsCounted(names: readonly string[]): Kind[] {
  const out = new Map<string, Kind>();
  for (const name of names) {
    const counted = /^count\/(.+)$/.exec(name)?.[1];
    const kind = KINDS.find((k) => k.namespaced && (counted !== undefined ? qualified(k) === counted : k.group === '' && k.plural === name));
    if (kind) out.set(kind.kind, kindNamed(kind.kind));
    else if (/^services\./.test(name)) out.set('Service', kindNamed('Service'));
    else if (/requests\.storage$|persistentvolumeclaims$/.test(name)) out.set('PersistentVolumeClaim', kindNamed('PersistentVolumeClaim'));
    else out.set('Pod', kindNamed('Pod'));
  }
  return [...out.values()];
}
