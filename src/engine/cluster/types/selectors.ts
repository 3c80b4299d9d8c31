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

interface Token { kind: 'word' | 'end' | '(' | ')' | ',' | '!' | 'operator'; text: string }

/** `in` and `notin` are operators only where one is looked for. */
interface Tokens { all: Token[]; at: number }

function tokens(text: string): Tokens {
  const all: Token[] = [];
  for (const m of text.matchAll(/\s+|([(),])|([=!<>]+)|([^\s(),=!<>]+)/g)) {
    if (m[1]) all.push({ kind: m[1] as Token['kind'], text: m[1] });
    else if (m[2]) for (const o of m[2].match(/==|!=|./g)!) all.push({ kind: o === '!' ? '!' : 'operator', text: o });
    else if (m[3]) all.push({ kind: 'word', text: m[3] });
  }
  return { all, at: 0 };
}

const END: Token = { kind: 'end', text: '' };
const peek = (t: Tokens): Token => t.all[t.at] ?? END;
const take = (t: Tokens): Token => t.all[t.at++] ?? END;

class SelectorError extends Error {}
const wrong = (found: Token, expected: string): SelectorError => new SelectorError(`found '${found.text}', expected: ${expected}`);

/** Parses `-l`; a string is the error's text. */
export function parseSelector(text: string): Requirement[] | string {
  try {
    return requirements(tokens(text));
  } catch (error) {
    if (!(error instanceof SelectorError)) throw error;
    return error.message;
  }
}

function requirements(t: Tokens): Requirement[] {
  const out: Requirement[] = [];
  for (;;) {
    const first = peek(t);
    if (first.kind === 'end') return out;
    if (first.kind !== 'word' && first.kind !== '!') throw wrong(first, "!, identifier, or 'end of string'");
    try {
      out.push(requirement(t));
    } catch (error) {
      throw error instanceof SelectorError ? new SelectorError(`unable to parse requirement: ${error.message}`) : error;
    }
    const next = take(t);
    if (next.kind === 'end') return out;
    if (next.kind !== ',') throw wrong(next, "',' or 'end of string'");
    const after = peek(t);
    if (after.kind !== 'word' && after.kind !== '!') throw wrong(after, "identifier after ','");
  }
}

const OPERATORS = ['in', 'notin', '=', '==', '!=', 'gt', 'lt'];

function requirement(t: Tokens): Requirement {
  let word = take(t);
  const none = word.kind === '!';
  if (none) word = take(t);
  if (word.kind !== 'word') throw wrong(word, 'identifier');
  const key = word.text;
  const fault = keyFault(key);
  if (fault) throw new SelectorError(`<nil>: Invalid value: ${JSON.stringify(key)}: ${fault}`);
  if (none) return { key, op: 'DoesNotExist', values: [] };
  if (peek(t).kind === 'end' || peek(t).kind === ',') return { key, op: 'Exists', values: [] };
  const operator = take(t);
  const shown = operator.text === '>' ? 'gt' : operator.text === '<' ? 'lt' : operator.text;
  if (!OPERATORS.includes(shown) || (operator.kind === 'word' && !['in', 'notin'].includes(operator.text))) throw wrong(operator, OPERATORS.join(', '));
  if (shown === 'in' || shown === 'notin') return { key, op: shown === 'in' ? 'In' : 'NotIn', values: valueList(t) };
  const value = peek(t).kind === 'end' || peek(t).kind === ',' ? '' : take(t);
  if (value !== '' && value.kind !== 'word') throw wrong(value, 'identifier');
  const values = [value === '' ? '' : value.text];
  if ((shown === 'gt' || shown === 'lt') && !/^[-+]?\d+$/.test(values[0]!)) throw new SelectorError(`values[0]: Invalid value: ${JSON.stringify(values[0])}: for 'Gt', 'Lt' operators, the value must be an integer`);
  return { key, op: shown === 'gt' ? 'Gt' : shown === 'lt' ? 'Lt' : shown === '!=' ? 'NotIn' : 'In', values };
}

/** "(a,b)"; an empty place is an empty value. */
function valueList(t: Tokens): string[] {
  const open = take(t);
  if (open.kind !== '(') throw new SelectorError(`found '${open.text}' expected: '('`);
  if (peek(t).kind === ')') throw new SelectorError("values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty");
  if (peek(t).kind !== 'word' && peek(t).kind !== ',') throw wrong(peek(t), "',', ')' or identifier");
  const values = new Set<string>();
  for (;;) {
    const one = take(t);
    if (one.kind === 'word') {
      values.add(one.text);
      if (peek(t).kind !== ',' && peek(t).kind !== ')') throw wrong(peek(t), "',' or ')'");
    } else if (one.kind === ',') {
      if (values.size === 0 || peek(t).kind === ')' || peek(t).kind === ',') values.add('');
    } else throw wrong(one, "',', or identifier");
    if (peek(t).kind === ')') {
      t.at++;
      return [...values].sort();
    }
  }
}

function keyFault(key: string): string | null {
  const parts = key.split('/');
  const name = parts.at(-1)!;
  if (parts.length > 2) return "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
  if (/^(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/.test(name)) return null;
  return "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
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
      reason: object.reason, type: object.type, source: object.source?.component || object.reportingComponent,
    };
    return Object.hasOwn(fields, field) ? (fields[field] ?? '') : undefined;
  }
  if (object.kind === 'Node' && field === 'spec.unschedulable') return String(object.spec?.unschedulable ?? false);
  if (object.kind === 'Namespace' && field === 'status.phase') return object.status?.phase ?? '';
  return undefined;
}
