/** Where a pod may go: affinities, spread constraints, tolerations, taints. Source: pkg/apis/core/validation 1.32. */
import type { Json, Taint, Toleration } from '../types/objects.ts';
import { duplicate, type Faults, forbidden, invalid, invalidAs, required, unsupported } from './faults.ts';
import { each, labelFaults, qualifiedFaults, selector, valueFaults } from './names.ts';

export function affinity(a: Json, field: string, out: Faults): void {
  if (!a) return;
  const node = a.nodeAffinity;
  if (node?.requiredDuringSchedulingIgnoredDuringExecution) {
    const at = `${field}.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms`;
    const terms: Json[] = node.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms ?? [];
    if (terms.length === 0) out.push(required(at, 'must have at least one node selector term'));
    for (const [i, term] of terms.entries()) nodeTerm(term, `${at}[${i}]`, out);
  }
  for (const [i, one] of ((node?.preferredDuringSchedulingIgnoredDuringExecution ?? []) as Json[]).entries()) {
    const at = `${field}.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[${i}]`;
    weight(one?.weight, at, out);
    nodeTerm(one?.preference, `${at}.preference`, out);
  }
  for (const name of ['podAffinity', 'podAntiAffinity']) {
    for (const [i, term] of ((a[name]?.requiredDuringSchedulingIgnoredDuringExecution ?? []) as Json[]).entries()) podTerm(term, `${field}.${name}.requiredDuringSchedulingIgnoredDuringExecution[${i}]`, out);
    for (const [i, one] of ((a[name]?.preferredDuringSchedulingIgnoredDuringExecution ?? []) as Json[]).entries()) {
      const at = `${field}.${name}.preferredDuringSchedulingIgnoredDuringExecution[${i}]`;
      weight(one?.weight, at, out);
      podTerm(one?.podAffinityTerm, `${at}.podAffinityTerm`, out);
    }
  }
}

function weight(value: Json, field: string, out: Faults): void {
  const n = value ?? 0;
  if (n < 1 || n > 100) out.push(invalid(`${field}.weight`, n, 'must be in the range 1-100'));
}

function nodeTerm(term: Json, field: string, out: Faults): void {
  for (const [i, e] of ((term?.matchExpressions ?? []) as Json[]).entries()) {
    const at = `${field}.matchExpressions[${i}]`;
    switch (e?.operator) {
      case 'In':
      case 'NotIn':
        if (!e.values?.length) out.push(required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
        break;
      case 'Exists':
      case 'DoesNotExist':
        if (e.values?.length) out.push(forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
        break;
      case 'Gt':
      case 'Lt':
        if (e.values?.length !== 1) out.push(required(`${at}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'"));
        break;
      default:
        out.push(invalid(`${at}.operator`, e?.operator ?? '', 'not a valid selector operator'));
    }
    each(qualifiedFaults(e?.key ?? ''), `${at}.key`, e?.key ?? '', out);
    for (const [j, v] of (e?.values ?? []).entries()) if (typeof v === 'string' && e.operator !== 'Gt' && e.operator !== 'Lt') each(valueFaults(v), `${at}.values[${j}]`, v, out);
  }
  for (const [i, e] of ((term?.matchFields ?? []) as Json[]).entries()) {
    const at = `${field}.matchFields[${i}]`;
    if (e?.operator === 'In' || e?.operator === 'NotIn') {
      if (e.values?.length !== 1) out.push(required(`${at}.values`, "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"));
    } else out.push(invalid(`${at}.operator`, e?.operator ?? '', 'not a valid selector operator'));
    if (e?.key !== 'metadata.name') out.push(invalid(`${at}.key`, e?.key ?? '', 'not a valid field selector key'));
  }
}

function podTerm(term: Json, field: string, out: Faults): void {
  selector(term?.labelSelector, `${field}.labelSelector`, out);
  selector(term?.namespaceSelector, `${field}.namespaceSelector`, out);
  for (const name of term?.namespaces ?? []) each(labelFaults(name), `${field}.namespace`, name, out);
  if (!term?.topologyKey) out.push(required(`${field}.topologyKey`, 'can not be empty'));
  else each(qualifiedFaults(term.topologyKey), `${field}.topologyKey`, term.topologyKey, out);
}

export function spread(list: Json[] | undefined, field: string, out: Faults): void {
  const seen = new Set<string>();
  for (const [i, c] of (list ?? []).entries()) {
    const at = `${field}[${i}]`;
    if (!(c?.maxSkew > 0)) out.push(invalid(`${at}.maxSkew`, c?.maxSkew ?? 0, 'must be greater than zero'));
    if (!c?.topologyKey) out.push(required(`${at}.topologyKey`, 'can not be empty'));
    else each(qualifiedFaults(c.topologyKey), `${at}.topologyKey`, c.topologyKey, out);
    if (!['DoNotSchedule', 'ScheduleAnyway'].includes(c?.whenUnsatisfiable)) out.push(unsupported(`${at}.whenUnsatisfiable`, c?.whenUnsatisfiable ?? '', ['DoNotSchedule', 'ScheduleAnyway']));
    const pair = `{${c?.topologyKey}, ${c?.whenUnsatisfiable}}`;
    if (seen.has(pair)) out.push(duplicate(`${at}.{topologyKey, whenUnsatisfiable}`, pair));
    seen.add(pair);
    if (c?.minDomains !== undefined) {
      if (c.minDomains <= 0) out.push(invalid(`${at}.minDomains`, c.minDomains, 'must be greater than zero'));
      if (c.whenUnsatisfiable !== 'DoNotSchedule') out.push(invalid(`${at}.minDomains`, c.minDomains, 'can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway'));
    }
    for (const name of ['nodeAffinityPolicy', 'nodeTaintsPolicy']) if (c?.[name] !== undefined && !['Honor', 'Ignore'].includes(c[name])) out.push(unsupported(`${at}.${name}`, c[name], ['Honor', 'Ignore']));
    selector(c?.labelSelector, `${at}.labelSelector`, out);
  }
}

const EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

function goToleration(t: Toleration): string {
  const seconds = t.tolerationSeconds === undefined ? '(*int64)(nil)' : '(*int64)(0xc000000000)';
  return `core.Toleration{Key:${JSON.stringify(t.key ?? '')}, Operator:${JSON.stringify(t.operator ?? '')}, Value:${JSON.stringify(t.value ?? '')}, Effect:${JSON.stringify(t.effect ?? '')}, TolerationSeconds:${seconds}}`;
}

export function tolerations(list: Toleration[] | undefined, field: string, out: Faults): void {
  for (const [i, t] of (list ?? []).entries()) {
    const at = `${field}[${i}]`;
    if (t.key && !t.key.startsWith('node.kubernetes.io/')) each(qualifiedFaults(t.key), `${at}.key`, t.key, out);
    if (!t.key && t.operator !== 'Exists') out.push(invalid(`${at}.operator`, t.operator ?? '', 'operator must be Exists when `key` is empty, which means "match all values and all keys"'));
    if (t.tolerationSeconds !== undefined && t.effect !== 'NoExecute') out.push(invalid(`${at}.effect`, t.effect ?? '', "effect must be 'NoExecute' when `tolerationSeconds` is set"));
    if (t.operator === undefined || t.operator === '' || t.operator === 'Equal') {
      if (t.value) each(valueFaults(t.value), `${at}.operator`, t.value, out);
    } else if (t.operator === 'Exists') {
      if (t.value) out.push(invalidAs(`${at}.operator`, goToleration(t), "value must be empty when `operator` is 'Exists'"));
    } else out.push(unsupported(`${at}.operator`, t.operator, ['Equal', 'Exists']));
    if (t.effect && !EFFECTS.includes(t.effect)) out.push(unsupported(`${at}.effect`, t.effect, EFFECTS));
  }
}

export function taints(list: Taint[] | undefined, field: string, out: Faults): void {
  const seen = new Set<string>();
  for (const [i, t] of (list ?? []).entries()) {
    const at = `${field}[${i}]`;
    each(qualifiedFaults(t?.key ?? ''), `${at}.key`, t?.key ?? '', out);
    if (t?.value) each(valueFaults(t.value), `${at}.value`, t.value, out);
    if (!t?.effect) out.push(required(`${at}.effect`));
    else if (!EFFECTS.includes(t.effect)) out.push(unsupported(`${at}.effect`, t.effect, EFFECTS));
    const pair = `${t?.key} ${t?.effect}`;
    if (seen.has(pair)) out.push({ ...duplicate(at, ''), value: `core.Taint{Key:${JSON.stringify(t?.key)}, Value:${JSON.stringify(t?.value ?? '')}, Effect:${JSON.stringify(t?.effect)}, TimeAdded:<nil>}`, detail: 'taints must be unique by key and effect pair' });
    seen.add(pair);
  }
}
