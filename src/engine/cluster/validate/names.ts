/** Names, labels, annotations, owners, selectors. Source: apimachinery pkg/util/validation, pkg/api/validation/objectmeta.go 1.32. */
import type { Json, KubeObject, LabelSelector } from '../types/objects.ts';
import { type Faults, forbidden, invalid, regexText, required, tooLong } from './faults.ts';

const LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const SUBDOMAIN = `${LABEL}(\\.${LABEL})*`;
const DNS1035 = '[a-z]([-a-z0-9]*[a-z0-9])?';
const QUALIFIED = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const VALUE = '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?';
const SAYS = {
  label: regexText("a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character", LABEL, 'my-name', '123-abc'),
  subdomain: regexText("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character", SUBDOMAIN, 'example.com'),
  dns1035: regexText("a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character", DNS1035, 'my-name', 'abc-123'),
  name: regexText("must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character", QUALIFIED, 'MyName', 'my.name', '123-abc'),
  value: regexText("a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character", VALUE, 'MyValue', 'my_value', '12345'),
  wildcard: regexText("a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character", `\\*\\.${SUBDOMAIN}`, '*.example.com'),
  configKey: regexText("a valid config key must consist of alphanumeric characters, '-', '_' or '.'", '[-._a-zA-Z0-9]+', 'key.name', 'KEY_NAME', 'key-name'),
};

const tested = new Map<string, RegExp>();
function fits(pattern: string, text: string): boolean {
  let regex = tested.get(pattern);
  if (!regex) {
    regex = new RegExp(`^(?:${pattern})$`);
    tested.set(pattern, regex);
  }
  return regex.test(text);
}

const longer = (text: string, most: number): string[] => (text.length > most ? [`must be no more than ${most} characters`] : []);

/** Each gives what is wrong with a text; nothing when it is good. */
export const subdomainFaults = (text: string): string[] => [...longer(text, 253), ...(fits(SUBDOMAIN, text) ? [] : [SAYS.subdomain])];
export const labelFaults = (text: string): string[] => [...longer(text, 63), ...(fits(LABEL, text) ? [] : [fits(SUBDOMAIN, text) ? 'must not contain dots' : SAYS.label])];
export const dns1035Faults = (text: string): string[] => [...longer(text, 63), ...(fits(DNS1035, text) ? [] : [SAYS.dns1035])];
export const wildcardFaults = (text: string): string[] => [...longer(text, 253), ...(fits(`\\*\\.${SUBDOMAIN}`, text) ? [] : [SAYS.wildcard])];
export const valueFaults = (text: string): string[] => [...longer(text, 63), ...(fits(VALUE, text) ? [] : [SAYS.value])];

export function configKeyFaults(text: string): string[] {
  const out = longer(text, 253);
  if (!fits('[-._a-zA-Z0-9]+', text)) out.push(SAYS.configKey);
  if (text === '.') out.push("must not be '.'");
  else if (text === '..') out.push("must not be '..'");
  else if (text.startsWith('..')) out.push("must not start with '..'");
  return out;
}

export function qualifiedFaults(text: string): string[] {
  const parts = text.split('/');
  if (parts.length > 2) return [`a qualified name ${SAYS.name} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`];
  const out: string[] = [];
  const name = parts[parts.length - 1]!;
  if (parts.length === 2) out.push(...(parts[0] === '' ? ['prefix part must be non-empty'] : subdomainFaults(parts[0]!).map((f) => `prefix part ${f}`)));
  if (name === '') out.push('name part must be non-empty');
  else if (name.length > 63) out.push('name part must be no more than 63 characters');
  if (!fits(QUALIFIED, name)) out.push(`name part ${SAYS.name}`);
  return out;
}

export function portNameFaults(text: string): string[] {
  const out = longer(text, 15);
  if (!/^[-a-z0-9]+$/.test(text)) out.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  if (!/[a-z]/.test(text)) out.push('must contain at least one letter (a-z)');
  if (text.includes('--')) out.push('must not contain consecutive hyphens');
  if (text.startsWith('-') || text.endsWith('-')) out.push('must not begin or end with a hyphen');
  return out;
}

/** Names of objects that are parts of paths: roles and the like. */
export function pathSegmentFaults(text: string): string[] {
  if (text === '.' || text === '..') return [`may not be '${text}'`];
  return ['/', '%'].filter((c) => text.includes(c)).map((c) => `may not contain '${c}'`);
}

export function each(faults: readonly string[], field: string, value: unknown, out: Faults): void {
  for (const fault of faults) out.push(invalid(field, value, fault));
}

/** Rules for names by kind; the others are subdomains. */
const RULES: Readonly<Record<string, (text: string) => string[]>> = {
  Namespace: labelFaults, Service: dns1035Faults, Role: pathSegmentFaults, ClusterRole: pathSegmentFaults, RoleBinding: pathSegmentFaults, ClusterRoleBinding: pathSegmentFaults,
};

/** Finalizers of core that have no domain. */
const STANDARD_FINALIZERS = new Set(['kubernetes', 'orphan', 'foregroundDeletion']);

export function metadata(object: KubeObject, namespaced: boolean, out: Faults): void {
  const meta = object.metadata;
  const rule = RULES[object.kind] ?? subdomainFaults;
  if (meta.generateName) each(rule(meta.generateName.replace(/-$/, 'a')), 'metadata.generateName', meta.generateName, out);
  if (!meta.name) out.push(required('metadata.name', 'name or generateName is required'));
  else each(rule(meta.name), 'metadata.name', meta.name, out);
  if (namespaced) each(labelFaults(meta.namespace ?? ''), 'metadata.namespace', meta.namespace ?? '', out);
  labels(meta.labels, 'metadata.labels', out);
  annotations(meta.annotations, 'metadata.annotations', out);
  owners(meta.ownerReferences, out);
  for (const [i, one] of (meta.finalizers ?? []).entries()) {
    const faults = qualifiedFaults(String(one));
    each(faults, 'metadata.finalizers', one, out);
    if (faults.length === 0 && !one.includes('/') && !STANDARD_FINALIZERS.has(one)) out.push(invalid(`metadata.finalizers[${i}]`, one, 'name is neither a standard finalizer name nor is it fully qualified'));
  }
}

/** Texts found good: the same few come with every pod. */
const goodKeys = new Set<string>();
const goodValues = new Set<string>();
const REMEMBERED = 4000;

function known(good: Set<string>, text: string, faultsOf: (text: string) => string[]): string[] {
  if (good.has(text)) return [];
  const faults = faultsOf(text);
  if (faults.length === 0) {
    if (good.size >= REMEMBERED) good.clear();
    good.add(text);
  }
  return faults;
}

export function labels(map: Record<string, string> | undefined, field: string, out: Faults): void {
  for (const key in map) {
    each(known(goodKeys, key, qualifiedFaults), field, key, out);
    each(known(goodValues, map[key]!, valueFaults), field, map[key], out);
  }
}

export function annotations(map: Record<string, string> | undefined, field: string, out: Faults): void {
  let size = 0;
  for (const key in map) {
    each(known(goodKeys, key.toLowerCase(), qualifiedFaults), field, key, out);
    size += key.length + (map[key] ?? '').length;
  }
  if (size > 256 * 1024) out.push(tooLong(field, 256 * 1024));
}

function owners(list: Json[] | undefined, out: Faults): void {
  let controller: Json;
  for (const [i, one] of (list ?? []).entries()) {
    const field = `metadata.ownerReferences[${i}]`;
    if (!one.apiVersion) out.push(invalid(`${field}.apiVersion`, one.apiVersion ?? '', 'version must not be empty'));
    for (const name of ['kind', 'name', 'uid']) if (!one[name]) out.push(invalid(`${field}.${name}`, one[name] ?? '', 'must not be empty'));
    if (one.kind === 'Event' && one.apiVersion === 'v1') out.push({ ...invalid(field, '', ''), value: 'v1.OwnerReference', detail: '/v1, Kind=Event is disallowed from being an owner' });
    if (!one.controller) continue;
    if (controller) out.push({ ...forbidden('metadata.ownerReferences', ''), type: 'Invalid value', value: '[]v1.OwnerReference', detail: `Only one reference can have Controller set to true. Found "true" in references for ${controller.kind}/${controller.name} and ${one.kind}/${one.name}` });
    else controller = one;
  }
}

export function selector(s: LabelSelector | undefined | null, field: string, out: Faults): void {
  labels(s?.matchLabels, `${field}.matchLabels`, out);
  for (const [i, e] of (s?.matchExpressions ?? []).entries()) {
    const at = `${field}.matchExpressions[${i}]`;
    if (e.operator === 'In' || e.operator === 'NotIn') {
      if (!e.values?.length) out.push(required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
    } else if (e.operator === 'Exists' || e.operator === 'DoesNotExist') {
      if (e.values?.length) out.push(forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
    } else out.push(invalid(`${at}.operator`, e.operator ?? '', 'not a valid selector operator'));
    each(qualifiedFaults(e.key ?? ''), `${at}.key`, e.key ?? '', out);
    for (const [j, v] of (e.values ?? []).entries()) each(valueFaults(v), `${at}.values[${j}]`, v, out);
  }
}

export const isEmptySelector = (s: LabelSelector): boolean => Object.keys(s.matchLabels ?? {}).length + (s.matchExpressions ?? []).length === 0;

/** As Go's %#v prints a LabelSelector. */
export function goSelector(s: LabelSelector): string {
  const map = (m: Record<string, string>): string => `map[string]string{${Object.keys(m).sort().map((k) => `${JSON.stringify(k)}:${JSON.stringify(m[k])}`).join(', ')}}`;
  const one = (e: Json): string => `v1.LabelSelectorRequirement{Key:${JSON.stringify(e.key)}, Operator:${JSON.stringify(e.operator)}, Values:${e.values ? `[]string{${e.values.map((v: string) => JSON.stringify(v)).join(', ')}}` : '[]string(nil)'}}`;
  const expressions = s.matchExpressions ? `[]v1.LabelSelectorRequirement{${s.matchExpressions.map(one).join(', ')}}` : '[]v1.LabelSelectorRequirement(nil)';
  return `v1.LabelSelector{MatchLabels:${s.matchLabels ? map(s.matchLabels) : 'map[string]string(nil)'}, MatchExpressions:${expressions}}`;
}
