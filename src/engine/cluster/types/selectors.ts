/** Label and field selectors: parsing what people type, matching objects, printing. Source: apimachinery labels/selector.go. */
import type { KubeObject, Labels, LabelSelector } from './objects.ts';

export interface Requirement {
  key: string;
  op: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'Gt' | 'Lt';
  values: readonly string[];
}

export function meets(labels: Labels | undefined, r: Requirement): boolean {
  const value = labels !== undefined && Object.hasOwn(labels, r.key) ? labels[r.key] : undefined;
  switch (r.op) {
    case 'In':
      return value !== undefined && r.values.includes(value);
    case 'NotIn':
      return value === undefined || !r.values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
    case 'Lt': {
      const bound = r.values[0] ?? '';
      if (value === undefined || !/^[+-]?\d+$/.test(value) || !/^[+-]?\d+$/.test(bound)) return false;
      return r.op === 'Gt' ? Number(value) > Number(bound) : Number(value) < Number(bound);
    }
  }
}

/** An absent selector matches nothing, an empty one everything. */
export function matchesSelector(selector: LabelSelector | undefined | null, labels: Labels | undefined): boolean {
  if (!selector) return false;
  const wanted = selector.matchLabels;
  for (const key in wanted) if (labels === undefined || labels[key] !== wanted[key]) return false;
  return !selector.matchExpressions?.length || selector.matchExpressions.every((e) => meets(labels, { key: e.key, op: e.operator as Requirement['op'], values: e.values ?? [] }));
}

export function matchesMap(wanted: Labels | undefined, labels: Labels | undefined): boolean {
  return Object.entries(wanted ?? {}).every(([key, value]) => labels !== undefined && labels[key] === value);
}

/** Parses `-l`; a string is the error's text. */
export function parseSelector(text: string): Requirement[] | string {
  const out: Requirement[] = [];
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let i = 0; i <= text.length; i++) {
    if (text[i] === '(') depth++;
    if (text[i] === ')') depth--;
    if (i === text.length || (text[i] === ',' && depth === 0)) {
      parts.push(text.slice(from, i).trim());
      from = i + 1;
    }
  }
  for (const part of parts) {
    if (part === '') continue;
    const set = /^(\S+)\s+(in|notin)\s*\((.*)\)$/.exec(part);
    const equal = /^([^\s=!]+)\s*(==|=|!=)\s*(\S*)$/.exec(part);
    const not = /^!\s*(\S+)$/.exec(part);
    if (set) out.push({ key: set[1]!, op: set[2] === 'in' ? 'In' : 'NotIn', values: set[3]!.split(',').map((v) => v.trim()) });
    else if (equal) out.push({ key: equal[1]!, op: equal[2] === '!=' ? 'NotIn' : 'In', values: [equal[3]!] });
    else if (not) out.push({ key: not[1]!, op: 'DoesNotExist', values: [] });
    else if (/^[A-Za-z0-9][A-Za-z0-9._/-]*$/.test(part)) out.push({ key: part, op: 'Exists', values: [] });
    else return `unable to parse requirement: found '${part.split(/\s+/)[1] ?? part}', expected: in, notin, =, ==, !=, gt, lt`;
  }
  return out;
}

/** "app=web,tier in (a,b)", as describe prints. */
export function printSelector(selector: LabelSelector | undefined): string {
  if (!selector) return '<none>';
  const parts = Object.keys(selector.matchLabels ?? {})
    .sort()
    .map((k) => `${k}=${selector.matchLabels![k]}`);
  for (const e of selector.matchExpressions ?? []) {
    const values = [...(e.values ?? [])].sort().join(',');
    if (e.operator === 'In') parts.push(`${e.key} in (${values})`);
    else if (e.operator === 'NotIn') parts.push(`${e.key} notin (${values})`);
    else parts.push(e.operator === 'Exists' ? e.key : `!${e.key}`);
  }
  return parts.length === 0 ? '<none>' : parts.join(',');
}

/** Field selectors that every API server knows, by kind; undefined = not supported. */
export function fieldOf(object: KubeObject, field: string): string | undefined {
  if (field === 'metadata.name') return object.metadata.name;
  if (field === 'metadata.namespace') return object.metadata.namespace ?? '';
  if (object.kind === 'Pod') {
    const fields: Record<string, string | undefined> = {
      'spec.nodeName': object.spec?.nodeName, 'spec.restartPolicy': object.spec?.restartPolicy, 'spec.schedulerName': object.spec?.schedulerName,
      'spec.serviceAccountName': object.spec?.serviceAccountName, 'status.phase': object.status?.phase, 'status.podIP': object.status?.podIP,
      'status.nominatedNodeName': object.status?.nominatedNodeName,
    };
    return Object.hasOwn(fields, field) ? (fields[field] ?? '') : undefined;
  }
  if (object.kind === 'Event') {
    const on = object.involvedObject ?? {};
    const fields: Record<string, string | undefined> = {
      'involvedObject.kind': on.kind, 'involvedObject.name': on.name, 'involvedObject.namespace': on.namespace, 'involvedObject.uid': on.uid,
      reason: object.reason, type: object.type, source: object.source?.component,
    };
    return Object.hasOwn(fields, field) ? (fields[field] ?? '') : undefined;
  }
  if (object.kind === 'Node' && field === 'spec.unschedulable') return String(object.spec?.unschedulable ?? false);
  if (object.kind === 'Namespace' && field === 'status.phase') return object.status?.phase ?? '';
  return undefined;
}
