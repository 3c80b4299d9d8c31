/** ResourceQuotas and LimitRanges. Source: pkg/apis/core/validation ValidateResourceQuota, ValidateLimitRange 1.32. */
import { type Json, type KubeObject, same } from '../types/objects.ts';
import { canonical, isQuantity, milliOf } from '../types/quantity.ts';
import { duplicate, type Faults, forbidden, IMMUTABLE, invalid, invalidAs, required } from './faults.ts';
import { each, qualifiedFaults } from './names.ts';


const QUOTA = new Set([
  'cpu', 'memory', 'ephemeral-storage', 'requests.cpu', 'requests.memory', 'requests.storage', 'requests.ephemeral-storage', 'limits.cpu', 'limits.memory', 'limits.ephemeral-storage', 'pods', 'resourcequotas', 'services', 'replicationcontrollers',
  'secrets', 'persistentvolumeclaims', 'configmaps', 'services.nodeports', 'services.loadbalancers',
]);
const COUNTED = /^(pods|resourcequotas|services|replicationcontrollers|secrets|persistentvolumeclaims|configmaps|services\..*|count\/.*)$/;
const SCOPES = ['Terminating', 'NotTerminating', 'BestEffort', 'NotBestEffort', 'PriorityClass', 'CrossNamespacePodAffinity'];

export function quotaFaults(object: KubeObject, old: KubeObject | undefined, out: Faults): void {
  const { spec } = object;
  for (const [name, value] of Object.entries((spec.hard ?? {}) as Record<string, string>)) {
    const at = `spec.hard[${name}]`;
    each(qualifiedFaults(name), at, name, out);
    if (!name.includes('/') && !QUOTA.has(name) && !/^(requests\.)?hugepages-/.test(name)) {
      out.push(invalid(at, name, 'must be a standard resource type or fully qualified'), invalid(at, name, 'must be a standard resource for quotas'));
    }
    if (!isQuantity(value)) continue;
    const milli = milliOf(value);
    if (milli < 0) out.push(invalid(at, canonical(value), 'must be greater than or equal to 0'));
    if (COUNTED.test(name) && milli % 1000 !== 0) out.push(invalid(at, canonical(value), 'must be an integer'));
  }
  scopes(spec, out);
  if (old && !same(spec.scopes, old.spec.scopes)) out.push(invalidAs('spec.scopes', `[]core.ResourceQuotaScope{${(spec.scopes ?? []).map((s: string) => JSON.stringify(s)).join(', ')}}`, IMMUTABLE));
  if (old && !same(spec.scopeSelector, old.spec.scopeSelector)) out.push(invalidAs('spec.scopeSelector', 'core.ScopeSelector{…}', IMMUTABLE));
}

function scopes(spec: Json, out: Faults): void {
  const given: string[] = spec.scopes ?? [];
  const list = `[]core.ResourceQuotaScope{${given.map((s) => JSON.stringify(s)).join(', ')}}`;
  for (const scope of given) {
    if (!SCOPES.includes(scope)) out.push(invalidAs('spec.scopes', list, 'unsupported scope'));
    if (scope !== 'BestEffort') continue;
    for (const name of Object.keys(spec.hard ?? {})) if (name !== 'pods' && QUOTA.has(name)) out.push(invalidAs('spec.scopes', list, 'unsupported scope applied to resource'));
  }
  for (const [a, b] of [['BestEffort', 'NotBestEffort'], ['Terminating', 'NotTerminating']]) if (given.includes(a!) && given.includes(b!)) out.push(invalidAs('spec.scopes', list, 'conflicting scopes'));
  for (const [i, e] of ((spec.scopeSelector?.matchExpressions ?? []) as Json[]).entries()) {
    const at = `spec.scopeSelector.matchExpressions`;
    if (!SCOPES.includes(e?.scopeName)) out.push(invalid(`${at}.scopeName`, e?.scopeName ?? '', 'unsupported scope'));
    if (!['In', 'NotIn', 'Exists', 'DoesNotExist'].includes(e?.operator)) out.push(invalid(`${at}[${i}].operator`, e?.operator ?? '', 'not a valid selector operator'));
    else if (/In$/.test(e.operator) && !e.values?.length) out.push(required(`${at}.values`, "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"));
  }
}

const LIMIT_TYPES = ['Container', 'Pod', 'PersistentVolumeClaim'];

export function limitRange(object: KubeObject, out: Faults): void {
  const seen = new Set<string>();
  for (const [i, item] of ((object.spec.limits ?? []) as Json[]).entries()) {
    const at = `spec.limits[${i}]`;
    if (!item?.type) out.push(required(`${at}.type`));
    else {
      each(qualifiedFaults(item.type), `${at}.type`, item.type, out);
      if (!item.type.includes('/') && !LIMIT_TYPES.includes(item.type)) out.push(invalid(`${at}.type`, item.type, 'must be a standard limit type or fully qualified'));
      if (seen.has(item.type)) out.push(duplicate(`${at}.type`, item.type));
      seen.add(item.type);
    }
    if (item?.type === 'Pod') for (const name of ['default', 'defaultRequest']) if (Object.keys(item[name] ?? {}).length > 0) out.push(forbidden(`${at}.${name}`, "may not be specified when `type` is 'Pod'"));
    if (item?.type === 'PersistentVolumeClaim' && item.min?.storage === undefined && item.max?.storage === undefined) out.push(required(`${at}.limits`, 'either minimum or maximum storage value is required, but neither was provided'));
    limitItem(item ?? {}, at, out);
  }
}

/** [field, lower, upper, what is said of them]. */
const ORDERED = [
  ['min', 'min', 'max', 'min value L is greater than max value U'], ['defaultRequest', 'min', 'defaultRequest', 'min value L is greater than default request value U'],
  ['defaultRequest', 'defaultRequest', 'max', 'default request value L is greater than max value U'], ['defaultRequest', 'defaultRequest', 'default', 'default request value L is greater than default limit value U'],
  ['default', 'min', 'default', 'min value L is greater than default value U'], ['default', 'default', 'max', 'default value L is greater than max value U'],
] as const;

function limitItem(item: Json, field: string, out: Faults): void {
  const keys = new Set(['max', 'min', 'default', 'defaultRequest', 'maxLimitRequestRatio'].flatMap((name) => Object.keys(item[name] ?? {})));
  for (const key of [...keys].sort()) {
    for (const [named, low, high, says] of ORDERED) {
      const a = item[low]?.[key];
      const b = item[high]?.[key];
      if (a === undefined || b === undefined || milliOf(a) <= milliOf(b)) continue;
      out.push(invalid(`${field}.${named}[${key}]`, canonical(item[named][key]), says.replace('L', canonical(a)).replace('U', canonical(b))));
    }
    const ratio = item.maxLimitRequestRatio?.[key];
    if (ratio === undefined) continue;
    if (milliOf(ratio) < 1000) out.push(invalid(`${field}.maxLimitRequestRatio[${key}]`, canonical(ratio), `ratio ${canonical(ratio)} is less than 1`));
    const [low, high] = [item.min?.[key], item.max?.[key]];
    if (low === undefined || high === undefined) continue;
    const widest = milliOf(high) / milliOf(low);
    if (milliOf(ratio) / 1000 > widest) out.push(invalid(`${field}.maxLimitRequestRatio[${key}]`, canonical(ratio), `ratio ${canonical(ratio)} is greater than max/min = ${widest.toFixed(6)}`));
  }
}
