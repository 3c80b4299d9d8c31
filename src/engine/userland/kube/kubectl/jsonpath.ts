/**
 * JSONPath templates as kubectl knows them: {.a.b}, ['a'], [0], [-1], [1:3:2], [*], unions, .., ?(@.x=="y"), {range …}{end},
 * {"text"}; text outside braces stands for itself. Parsed first, so that a fault is found before anything is looked up.
 * Source: client-go/util/jsonpath 1.32, which keeps a range open to the end where {end} is missing.
 */
import { isObject, type Json } from '../../../cluster/types/objects.ts';
import { toJson } from './yaml.ts';

export class PathError extends Error {}

type Slice = readonly [from: number | null, to: number | null, step: number | null, single: boolean];
type Step =
  | { do: 'list'; steps: Step[] } | { do: 'text'; text: string } | { do: 'value'; value: number | boolean } | { do: 'word'; word: string } | { do: 'field'; name: string } | { do: 'wild' } | { do: 'deep' }
  | { do: 'slice'; slice: Slice } | { do: 'union'; of: Step[][] } | { do: 'filter'; left: Step[]; right: Step[]; operator: string };

/** A template that was read; `parsePath` throws PathError with the fault alone. */
export type Template = readonly Step[];

interface Reader { text: string; at: number; root: Step[] }

const STOPS = new Set([' ', '\t', '\r', '\n', '', '.', ',', '[', ']', '$', '@', '{', '}']);

export function parsePath(text: string): Template {
  const r: Reader = { text, at: 0, root: [] };
  while (r.at < text.length) {
    const open = text.indexOf('{', r.at);
    const end = open < 0 ? text.length : open;
    if (end > r.at) r.root.push({ do: 'text', text: text.slice(r.at, end) });
    r.at = end;
    if (open < 0) break;
    r.at++;
    const steps: Step[] = [];
    r.root.push({ do: 'list', steps });
    while (action(r, steps));
  }
  return r.root;
}

/** One thing inside braces; false at the closing one. */
function action(r: Reader, out: Step[]): boolean {
  const rest = r.text.slice(r.at);
  const c = rest[0] ?? '';
  if (c === '}') {
    r.at++;
    return false;
  }
  if (rest.startsWith('[?(')) filter(r, out);
  else if (rest.startsWith('..')) {
    if (out.at(-1)?.do === 'deep') throw new PathError('invalid multiple recursive descent');
    r.at += 2;
    out.push({ do: 'deep' });
    if (/^[\p{L}\p{Nd}_]/u.test(r.text.slice(r.at))) field(r, out);
  } else if (c === '' || c === '\r' || c === '\n') throw new PathError('unclosed action');
  else if (c === ' ' || c === '@' || c === '$') r.at++;
  else if (c === '[') array(r, out);
  else if (c === '"' || c === "'") quoted(r, out, c);
  else if (c === '.') {
    r.at++;
    field(r, out);
  } else if (/[-+\d]/.test(c)) number(r, out);
  else if (/[\p{L}_]/u.test(c)) {
    const start = r.at;
    while (!STOPS.has(r.text[r.at] ?? '')) r.at++;
    const word = r.text.slice(start, r.at);
    out.push(word === 'true' || word === 'false' ? { do: 'value', value: word === 'true' } : { do: 'word', word });
  } else throw new PathError(`unrecognized character in action: U+${c.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')} '${c}'`);
  return true;
}

function field(r: Reader, out: Step[]): void {
  const start = r.at;
  while (!STOPS.has(r.text[r.at] ?? '')) r.at += r.text[r.at] === '\\' ? 2 : 1;
  const name = r.text.slice(start, r.at);
  out.push(name === '*' ? { do: 'wild' } : { do: 'field', name: name.replaceAll('\\', '') });
}

function number(r: Reader, out: Step[]): void {
  const [text] = /^[-+]?[\d.]*/.exec(r.text.slice(r.at))!;
  r.at += text.length;
  if (!/^[-+]?(?:\d+\.?\d*|\.\d+)$/.test(text)) throw new PathError(`cannot parse number ${text}`);
  out.push({ do: 'value', value: Number(text) });
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', a: '\x07', b: '\b', f: '\f', v: '\v', '\\': '\\' };

function quoted(r: Reader, out: Step[], quote: string): void {
  let end = r.at + 1;
  for (;; end++) {
    const c = r.text[end];
    if (c === undefined || c === '\n') throw new PathError('unterminated quoted string');
    if (c === quote && r.text[end - 1] !== '\\') break;
  }
  const value = r.text.slice(r.at, end + 1);
  r.at = end + 1;
  const inner = value.slice(1, -1);
  if (inner.replace(/\\./g, '').includes('\\') || /\\[^ntrabfv\\'"xuU0-7]/.test(inner)) throw new PathError(`unquote string ${value} error invalid syntax`);
  out.push({ do: 'text', text: inner.replace(/\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|(.))/g, (_, x?: string, u?: string, c?: string) => (c === undefined ? String.fromCharCode(Number.parseInt(x ?? u!, 16)) : (ESCAPES[c] ?? c))) });
}

/** What stands alone between braces. */
const inner = (text: string): Step[] => {
  const [first] = parsePath(`{${text}}`);
  return first?.do === 'list' ? first.steps : [];
};

function array(r: Reader, out: Step[]): void {
  const end = r.text.slice(r.at).search(/[\]\n]/);
  if (end < 0 || r.text[r.at + end] === '\n') throw new PathError('unterminated array');
  const given = r.text.slice(r.at + 1, r.at + end);
  r.at += end + 1;
  const text = given === '*' ? ':' : given;
  const union = text.split(',');
  if (union.length > 1) {
    out.push({ do: 'union', of: union.map((one) => inner(`[${one.trim()}]`)) });
    return;
  }
  const key = /^'([^']*)'$/.exec(text);
  if (key) {
    out.push(...inner(`.${key[1]}`));
    return;
  }
  const m = /^(-?\d*)(?::(-?\d*))?(?::(-?\d*))?$/.exec(text);
  if (!m) throw new PathError(`invalid array index ${text}`);
  const amount = (part: string | undefined): number | null => {
    if (part === '-') throw new PathError('array index - is not a number');
    return part ? Number(part) : null;
  };
  const [from, to, step] = [amount(m[1]), amount(m[2]), amount(m[3])];
  const single = m[2] === undefined;
  out.push({ do: 'slice', slice: [from, single ? (from ?? 0) + 1 : to, step, single] });
}

function filter(r: Reader, out: Step[]): void {
  let quote = '';
  let closed = false;
  let end = r.at + 3;
  for (;; end++) {
    const c = r.text[end];
    if (c === undefined || c === '\n') throw new PathError('unterminated filter');
    if (c === '"' || c === "'") {
      if (quote === '') quote = c;
      else if (c === quote && r.text[end - 1] !== '\\') closed = true;
    } else if (c === ')' && (quote !== '') === closed) break;
  }
  if (r.text[end + 1] !== ']') throw new PathError('unclosed array expect ]');
  const text = r.text.slice(r.at + 3, end);
  r.at = end + 2;
  const m = /^([^!<>=]+)([!<>=]+)(.+?)$/s.exec(text);
  out.push(m ? { do: 'filter', left: inner(m[1]!), right: inner(m[3]!), operator: m[2]! } : { do: 'filter', left: inner(text), right: [], operator: 'exists' });
}

/** Where the ranges stand while a template is walked. */
interface Walk { strict: boolean; depth: number; begun: boolean; ended: boolean }

/** What each action of a template names in `data`. `strict`: a field that is nowhere is a fault. */
export function results(template: Template, data: Json, strict = false): Json[][] {
  const walk: Walk = { strict, depth: 0, begun: false, ended: false };
  const out: Json[][] = [];
  block(template, 0, data, walk, out);
  return out;
}

/** Walks actions up to the {end} of the range that they are in; where that stands. */
function block(steps: readonly Step[], from: number, data: Json, walk: Walk, out: Json[][]): number {
  for (let i = from; i < steps.length; i++) {
    const found = take([data], steps[i]!, walk);
    if (walk.ended) {
      walk.ended = false;
      return i;
    }
    if (!walk.begun) {
      out.push(found);
      continue;
    }
    walk.begun = false;
    walk.depth++;
    let end = steps.length - 1;
    for (const one of found) end = block(steps, i + 1, one, walk, out);
    if (found.length === 0) end = block(steps, i + 1, null, walk, []);
    walk.depth--;
    i = end;
  }
  return steps.length;
}

const all = (input: readonly Json[], steps: readonly Step[], walk: Walk): Json[] => steps.reduce<Json[]>((values, step) => take(values, step, walk), [...input]);
const everything = (v: Json): Json[] => (Array.isArray(v) ? v : isObject(v) ? Object.keys(v).sort().map((k) => v[k]) : []);
const descendants = (v: Json): Json[] => (everything(v).length === 0 ? [] : [v, ...everything(v).flatMap(descendants)]);
const goType = (v: Json): string => (isObject(v) ? 'map[string]interface {}' : typeof v === 'string' ? 'string' : typeof v === 'boolean' ? 'bool' : Number.isInteger(v) ? 'int64' : 'float64');

function take(input: readonly Json[], step: Step, walk: Walk): Json[] {
  switch (step.do) {
    case 'list': return all(input, step.steps, walk);
    case 'text': return [step.text];
    case 'value': return input.map(() => step.value);
    case 'wild': return input.flatMap(everything);
    case 'deep': return input.flatMap(descendants);
    case 'union': return step.of.flatMap((steps) => all(input, steps, walk));
    case 'slice': return input.flatMap((v) => (v === null || v === undefined ? [] : sliced(v, step.slice)));
    case 'filter': return input.flatMap((v) => passing(v, step, walk));
    case 'field': {
      const found = input.flatMap((v) => (isObject(v) && Object.hasOwn(v, step.name) ? [v[step.name]] : []));
      if (found.length === 0 && input.length > 0 && walk.strict) throw new PathError(`${step.name} is not found`);
      return found;
    }
    default: {
      if (step.word === 'range') walk.begun = true;
      else if (step.word !== 'end') throw new PathError(`unrecognized identifier ${step.word}`);
      else if (walk.depth > 0) walk.ended = true;
      else throw new PathError('not in range, nothing to end');
      return [...input];
    }
  }
}

function sliced(v: Json, [from, to, step, single]: Slice): Json[] {
  if (!Array.isArray(v)) throw new PathError(`${goType(v)} is not array or slice`);
  const n = v.length;
  let first = from ?? 0;
  if (first < 0) first += n;
  let last = to ?? n;
  if (last < 0 || (last === 0 && single)) last += n;
  if (first === last) return [];
  if (first >= n || first < 0) throw new PathError(`array index out of bounds: index ${first}, length ${n}`);
  if (last > n || last < 0) throw new PathError(`array index out of bounds: index ${last - 1}, length ${n}`);
  if (first > last) throw new PathError(`starting index ${first} is greater than ending index ${last}`);
  if (step !== null && step <= 0) throw new PathError('step must be > 0');
  return v.slice(first, last).filter((_: Json, i: number) => i % (step ?? 1) === 0);
}

function passing(v: Json, { left, right, operator }: Step & { do: 'filter' }, walk: Walk): Json[] {
  if (!Array.isArray(v)) throw new PathError(`${isObject(v) ? `map[${Object.keys(v).sort().map((k) => `${k}:${String(v[k])}`).join(' ')}]` : v === null ? '<nil>' : String(v)} is not array or slice and cannot be filtered`);
  const mild = { ...walk, strict: false };
  return v.filter((one: Json) => {
    const a = all([one], left, operator === 'exists' ? mild : walk);
    if (operator === 'exists' || a.length === 0) return a.length > 0;
    const b = all([one], right, walk);
    if (a.length > 1 || b.length > 1) throw new PathError('can only compare one element at a time');
    return b.length > 0 && compares(a[0], b[0], operator);
  });
}

function compares(a: Json, b: Json, operator: string): boolean {
  const kind = (x: Json): string => (typeof x === 'number' ? (Number.isInteger(x) ? 'int' : 'float') : typeof x);
  if (!['<', '>', '==', '!=', '<=', '>='].includes(operator)) throw new PathError(`unrecognized filter operator ${operator}`);
  for (const x of [a, b]) if (x === null || typeof x === 'object') throw new PathError('invalid type for comparison');
  if (kind(a) !== kind(b)) throw new PathError('incompatible types for comparison');
  if (operator === '==') return a === b;
  if (operator === '!=') return a !== b;
  if (kind(a) === 'boolean') throw new PathError('invalid type for comparison');
  return operator === '<' ? a < b : operator === '>' ? a > b : operator === '<=' ? a <= b : a >= b;
}

/** What a template prints of an object. */
export function jsonPath(template: Template, data: Json, strict = false): string {
  return results(template, data, strict).map((found) => found.map(show).join(' ')).join('');
}

/** A value as a path prints it: objects and lists as JSON, characters of HTML escaped as Go does. */
export function show(value: Json): string {
  if (value === null || value === undefined) return 'null';
  return typeof value === 'object' ? toJson(value, 0).replace(/[<>&]/g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`) : String(value);
}

/** A path as people write it, ".a.b", "a.b" or "{.a.b}", as a template. */
export function relaxed(path: string): string {
  if (path === '') return path;
  const m = /^\{\.?([^{}]+)\}$|^\.?([^{}]+)$/.exec(path);
  if (!m) throw new PathError("unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' or '{.name1.name2}'");
  return `{.${m[1] ?? m[2]}}`;
}

/** The values of one such path. */
export const find = (path: string, data: Json): Json[] => results(parsePath(relaxed(path)), data).flat();
