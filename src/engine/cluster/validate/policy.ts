/** Autoscalers, disruption budgets, roles and their bindings. Source: pkg/apis/{autoscaling,policy,rbac}/validation 1.32. */
import { type Json, type KubeObject, same } from '../types/objects.ts';
import { milliOf } from '../types/quantity.ts';
import { atMostHundred, countOrPercent, type Faults, forbidden, invalid, invalidAs, required, unsupported } from './faults.ts';
import { each, labelFaults, pathSegmentFaults, selector } from './names.ts';

const METRICS: Readonly<Record<string, string>> = { ContainerResource: 'containerResource', External: 'external', Object: 'object', Pods: 'pods', Resource: 'resource' };

export function autoscaler(object: KubeObject, out: Faults): void {
  const { spec } = object;
  if (spec.minReplicas !== undefined && spec.minReplicas < 1) out.push(invalid('spec.minReplicas', spec.minReplicas, 'must be greater than or equal to 1'));
  const most = spec.maxReplicas ?? 0;
  if (most < 1) out.push(invalid('spec.maxReplicas', most, 'must be greater than 0'));
  if (spec.minReplicas !== undefined && most < spec.minReplicas) out.push(invalid('spec.maxReplicas', most, 'must be greater than or equal to `minReplicas`'));
  reference(spec.scaleTargetRef, 'spec.scaleTargetRef', out);
  for (const [i, metric] of ((spec.metrics ?? []) as Json[]).entries()) metricFaults(metric, `spec.metrics[${i}]`, out);
  for (const side of ['scaleUp', 'scaleDown']) if (spec.behavior?.[side]) rules(spec.behavior[side], `spec.behavior.${side}`, out);
}

function reference(ref: Json, field: string, out: Faults): void {
  for (const name of ['kind', 'name']) {
    if (!ref?.[name]) out.push(required(`${field}.${name}`));
    else each(pathSegmentFaults(ref[name]), `${field}.${name}`, ref[name], out);
  }
}

function metricFaults(metric: Json, field: string, out: Faults): void {
  if (!metric?.type) out.push(required(`${field}.type`, 'must specify a metric source type'));
  if (!METRICS[metric?.type]) out.push(unsupported(`${field}.type`, metric?.type ?? '', Object.keys(METRICS)));
  const given = ['object', 'external', 'pods', 'resource', 'containerResource'].filter((name) => metric?.[name]);
  const wanted = METRICS[metric?.type];
  if (given.length > 0) source(given[0]!, metric[given[0]!], `${field}.${given[0]}`, out);
  if (wanted && !given.includes(wanted)) out.push(required(`${field}.${wanted}`, 'must populate information for the given metric source'));
  if (given.length > 1) for (const name of given) if (name !== wanted) out.push(forbidden(`${field}.${name}`, 'must populate the given metric source only'));
}

function source(name: string, s: Json, field: string, out: Faults): void {
  const target = s.target ?? {};
  if (name === 'resource' || name === 'containerResource') {
    if (!s.name) out.push(required(`${field}.name`, 'must specify a resource name'));
    if (name === 'containerResource' && !s.container) out.push(required(`${field}.container`, 'must specify a container'));
    targetFaults(target, `${field}.target`, out);
    if (target.averageUtilization === undefined && target.averageValue === undefined) out.push(required(`${field}.target.averageUtilization`, 'must set either a target raw value or a target utilization'));
    if (target.averageUtilization !== undefined && target.averageValue !== undefined) out.push(forbidden(`${field}.target.averageValue`, 'may not set both a target raw value and a target utilization'));
    return;
  }
  if (name === 'object') reference(s.describedObject, `${field}.describedObject`, out);
  if (!s.metric?.name) out.push(required(`${field}.metric.name`, 'must specify a metric name'));
  targetFaults(target, `${field}.target`, out);
  if (name === 'pods' && !(target.averageValue !== undefined && milliOf(target.averageValue) > 0)) out.push(required(`${field}.target.averageValue`, 'must specify a positive target averageValue'));
  if (name !== 'pods' && target.value === undefined && target.averageValue === undefined) out.push(required(`${field}.target.averageValue`, name === 'object' ? 'must set either a target value or averageValue' : 'must set either a target value for metric or a per-pod target'));
}

function targetFaults(target: Json, field: string, out: Faults): void {
  if (!target.type) out.push(required(`${field}.type`, 'must specify a metric target type'));
  if (!['Utilization', 'Value', 'AverageValue'].includes(target.type)) out.push(invalid(`${field}.type`, target.type ?? '', 'must be either Utilization, Value, or AverageValue'));
  for (const name of ['value', 'averageValue']) if (target[name] !== undefined && milliOf(target[name]) <= 0) out.push(invalid(`${field}.${name}`, String(target[name]), 'must be positive'));
  if (target.averageUtilization !== undefined && target.averageUtilization < 1) out.push(invalid(`${field}.averageUtilization`, target.averageUtilization, 'must be greater than 0'));
}

function rules(r: Json, field: string, out: Faults): void {
  const window = r.stabilizationWindowSeconds;
  if (window !== undefined && window < 0) out.push(invalid(`${field}.stabilizationWindowSeconds`, window, 'must be greater than or equal to zero'));
  if (window > 3600) out.push(invalid(`${field}.stabilizationWindowSeconds`, window, 'must be less than or equal to 3600'));
  if (r.selectPolicy !== undefined && !['Disabled', 'Max', 'Min'].includes(r.selectPolicy)) out.push(unsupported(`${field}.selectPolicy`, r.selectPolicy, ['Disabled', 'Max', 'Min']));
  if (!r.policies?.length) out.push(required(`${field}.policies`, 'must specify at least one Policy'));
  for (const [i, policy] of ((r.policies ?? []) as Json[]).entries()) {
    const at = `${field}.policies[${i}]`;
    if (!['Percent', 'Pods'].includes(policy?.type)) out.push(unsupported(`${at}.type`, policy?.type ?? '', ['Percent', 'Pods']));
    if (!(policy?.value > 0)) out.push(invalid(`${at}.value`, policy?.value ?? 0, 'must be greater than zero'));
    if (!(policy?.periodSeconds > 0)) out.push(invalid(`${at}.periodSeconds`, policy?.periodSeconds ?? 0, 'must be greater than zero'));
    if (policy?.periodSeconds > 1800) out.push(invalid(`${at}.periodSeconds`, policy.periodSeconds, 'must be less than or equal to 1800'));
  }
}

export function budget(object: KubeObject, out: Faults): void {
  const { spec } = object;
  const pointer = (type: string, given: boolean): string => `(*${type})(${given ? '0xc000a1b2c0' : 'nil'})`;
  if (spec.minAvailable !== undefined && spec.maxUnavailable !== undefined) {
    const count = pointer('intstr.IntOrString', true);
    out.push(invalidAs('spec', `policy.PodDisruptionBudgetSpec{MinAvailable:${count}, Selector:${pointer('v1.LabelSelector', spec.selector !== undefined)}, MaxUnavailable:${count}, UnhealthyPodEvictionPolicy:${pointer('policy.UnhealthyPodEvictionPolicyType', spec.unhealthyPodEvictionPolicy !== undefined)}}`, 'minAvailable and maxUnavailable cannot be both set'));
  }
  for (const name of ['minAvailable', 'maxUnavailable']) {
    if (spec[name] === undefined) continue;
    countOrPercent(spec[name], `spec.${name}`, out);
    atMostHundred(spec[name], `spec.${name}`, out);
  }
  selector(spec.selector, 'spec.selector', out);
  if (spec.unhealthyPodEvictionPolicy !== undefined && !['AlwaysAllow', 'IfHealthyBudget'].includes(spec.unhealthyPodEvictionPolicy)) out.push(unsupported('spec.unhealthyPodEvictionPolicy', spec.unhealthyPodEvictionPolicy, ['AlwaysAllow', 'IfHealthyBudget']));
}

const GROUP = 'rbac.authorization.k8s.io';

export function role(object: KubeObject, out: Faults): void {
  for (const [i, rule] of ((object.rules ?? []) as Json[]).entries()) {
    const at = `rules[${i}]`;
    if (!rule?.verbs?.length) out.push(required(`${at}.verbs`, 'verbs must contain at least one value'));
    if (rule?.nonResourceURLs?.length) {
      if (object.kind === 'Role') out.push(invalidAs(`${at}.nonResourceURLs`, `[]string{${rule.nonResourceURLs.map((u: string) => JSON.stringify(u)).join(', ')}}`, 'namespaced rules cannot apply to non-resource URLs'));
      if (rule.apiGroups?.length || rule.resources?.length || rule.resourceNames?.length) out.push(invalidAs(`${at}.nonResourceURLs`, `[]string{${rule.nonResourceURLs.map((u: string) => JSON.stringify(u)).join(', ')}}`, 'rules cannot apply to both regular resources and non-resource URLs'));
      continue;
    }
    if (!rule?.apiGroups?.length) out.push(required(`${at}.apiGroups`, 'resource rules must supply at least one api group'));
    if (!rule?.resources?.length) out.push(required(`${at}.resources`, 'resource rules must supply at least one resource'));
  }
}

export function roleBinding(object: KubeObject, old: KubeObject | undefined, out: Faults): void {
  const ref = object.roleRef ?? {};
  const kinds = object.kind === 'RoleBinding' ? ['Role', 'ClusterRole'] : ['ClusterRole'];
  if (ref.apiGroup !== GROUP) out.push(unsupported('roleRef.apiGroup', ref.apiGroup ?? '', [GROUP]));
  if (!kinds.includes(ref.kind)) out.push(unsupported('roleRef.kind', ref.kind ?? '', kinds));
  if (!ref.name) out.push(required('roleRef.name'));
  else each(pathSegmentFaults(ref.name), 'roleRef.name', ref.name, out);
  for (const [i, s] of ((object.subjects ?? []) as Json[]).entries()) {
    const at = `subjects[${i}]`;
    if (!s?.name) out.push(required(`${at}.name`));
    if (s?.kind === 'ServiceAccount') {
      if (s.name) each(labelFaults(s.name).filter(() => !/^[a-z0-9.-]+$/.test(s.name)), `${at}.name`, s.name, out);
      if (s.apiGroup) out.push(unsupported(`${at}.apiGroup`, s.apiGroup, ['']));
      if (!s.namespace) out.push(required(`${at}.namespace`));
    } else if (s?.kind === 'User' || s?.kind === 'Group') {
      if (s.apiGroup !== GROUP) out.push(unsupported(`${at}.apiGroup`, s.apiGroup ?? '', [GROUP]));
    } else out.push(unsupported(`${at}.kind`, s?.kind ?? '', ['ServiceAccount', 'User', 'Group']));
  }
  if (old && !same(ref, old.roleRef)) out.push(invalidAs('roleRef', `rbac.RoleRef{APIGroup:${JSON.stringify(ref.apiGroup ?? '')}, Kind:${JSON.stringify(ref.kind ?? '')}, Name:${JSON.stringify(ref.name ?? '')}}`, 'cannot change roleRef'));
}
