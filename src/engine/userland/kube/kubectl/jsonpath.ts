/**
 * JSONPath templates as kubectl knows them: {.a.b}, ['a'], [0], [-1], [1:3], [*], .., ?(@.x=="y"), {range …}{end}, {"text"}.
 * Source: client-go/util/jsonpath. Left out: unions of paths.
 */
import { isObject, type Json } from '../../../cluster/types/objects.ts';
import { toJson } from './yaml.ts';

export class PathError extends Error {}

type Part = { text: string } | { path: string } | { range: string; body: Part[] };

/** Evaluates a template; text outside braces is printed as it is. */
export function jsonPath(template: string, data: Json, strict = false): string {
  const source = template.includes('{') ? template : `{${template}}`;
  const [parts] = parseTemplate(source, 0, false, template);
  return render(parts, data, data, strict);
}

/** All values that the template's paths name, for jsonpath-as-json. */
export function pathValues(template: string, data: Json): Json[] {
  const source = template.includes('{') ? template : `{${template}}`;
  const [parts] = parseTemplate(source, 0, false, template);
  const gather = (some: readonly Part[], current: Json): Json[] =>
    some.flatMap((part) => ('text' in part ? [part.text] : 'path' in part ? find(part.path, data, current) : find(part.range, data, current).flatMap((one) => gather(part.body, one))));
  return gather(parts, data);
}

function parseTemplate(source: string, from: number, inside: boolean, whole: string): [Part[], number] {
  const parts: Part[] = [];
  let at = from;
  while (at < source.length) {
    if (source[at] !== '{') {
      const next = source.indexOf('{', at);
      parts.push({ text: source.slice(at, next < 0 ? source.length : next) });
      at = next < 0 ? source.length : next;
      continue;
    }
    const close = closing(source, at);
    if (close < 0) throw new PathError(`error parsing jsonpath ${whole}, unclosed action`);
    const action = source.slice(at + 1, close).trim();
    at = close + 1;
    if (action === 'end') {
      if (!inside) throw new PathError(`error parsing jsonpath ${whole}, not in range, nothing to end`);
      return [parts, at];
    }
    if (/^range\s/.test(action)) {
      const [body, after] = parseTemplate(source, at, true, whole);
      parts.push({ range: action.slice(6).trim(), body });
      at = after;
    } else if (/^["']/.test(action)) parts.push({ text: unquote(action) });
    else parts.push({ path: action });
  }
  if (inside) throw new PathError(`error parsing jsonpath ${whole}, unterminated range`);
  return [parts, at];
}

function closing(source: string, from: number): number {
  let quote = '';
  for (let i = from + 1; i < source.length; i++) {
    const c = source[i]!;
    if (quote) {
      if (c === '\\') i++;
      else if (c === quote) quote = '';
    } else if (c === '"' || c === "'") quote = c;
    else if (c === '}') return i;
  }
  return -1;
}

function unquote(text: string): string {
  const escapes: Record<string, string> = { n: '\n', t: '\t', r: '\r' };
  return text.slice(1, text.endsWith(text[0]!) && text.length > 1 ? -1 : undefined).replace(/\\(.)/g, (_, c: string) => escapes[c] ?? c);
}

function render(parts: readonly Part[], root: Json, current: Json, strict: boolean): string {
  let out = '';
  for (const part of parts) {
    if ('text' in part) out += part.text;
    else if ('path' in part) {
      const found = find(part.path, root, current);
      if (strict && found.length === 0) throw new PathError(`${part.path.replace(/^.*\.(?=[^.]*$)/, '')} is not found`);
      out += found.map(show).join(' ');
    } else for (const one of find(part.range, root, current)) out += render(part.body, root, one, strict);
  }
  return out;
}

export function show(value: Json): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'object' ? toJson(value, 0) : String(value);
}

/** All values that a path names. */
export function find(path: string, root: Json, current: Json): Json[] {
  let values: Json[] = [path.startsWith('$') ? root : current];
  let rest = path.replace(/^[@$]/, '');
  while (rest !== '') {
    const deep = /^\.\.([\w-]+|\*)?/.exec(rest);
    const field = /^\.((?:\\.|[^.[\\\s])+)/.exec(rest) ?? (rest === path ? /^((?:\\.|[\w-])+)/.exec(rest) : null);
    if (deep) {
      const all = values.flatMap(descendants);
      values = deep[1] && deep[1] !== '*' ? all.flatMap((v) => child(v, deep[1]!)) : all;
      rest = rest.slice(deep[0].length);
    } else if (field) {
      const name = field[1]!.replace(/\\(.)/g, '$1');
      values = values.flatMap((v) => (name === '*' ? everything(v) : child(v, name)));
      rest = rest.slice(field[0].length);
    } else if (rest.startsWith('[')) {
      const end = bracket(rest);
      if (end < 0) throw new PathError('unterminated array');
      const inner = rest.slice(1, end).trim();
      values = values.flatMap((v) => subscript(v, inner, root));
      rest = rest.slice(end + 1);
    } else if (rest === '.') rest = '';
    else throw new PathError(`unrecognized character in action: U+${rest.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')} '${rest[0]}'`);
  }
  return values.filter((v) => v !== undefined);
}

function bracket(text: string): number {
  let depth = 0;
  let quote = '';
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (quote) {
      if (c === quote) quote = '';
    } else if (c === '"' || c === "'") quote = c;
    else if (c === '[') depth++;
    else if (c === ']' && --depth === 0) return i;
  }
  return -1;
}

const child = (v: Json, name: string): Json[] => (isObject(v) && Object.hasOwn(v, name) ? [v[name]] : []);
const everything = (v: Json): Json[] => (Array.isArray(v) ? v : v !== null && typeof v === 'object' ? Object.keys(v).sort().map((k) => v[k]) : []);

function descendants(v: Json): Json[] {
  return [v, ...everything(v).flatMap(descendants)];
}

function subscript(v: Json, inner: string, root: Json): Json[] {
  if (inner === '*') return everything(v);
  if (/^['"]/.test(inner)) return child(v, inner.slice(1, -1));
  if (inner.startsWith('?(')) return (Array.isArray(v) ? v : []).filter((one: Json) => passes(inner.slice(2, -1), root, one));
  if (!Array.isArray(v)) return [];
  const slice = /^(-?\d*):(-?\d*)$/.exec(inner);
  if (slice) return v.slice(slice[1] === '' ? 0 : Number(slice[1]), slice[2] === '' ? undefined : Number(slice[2]));
  return inner.split(',').flatMap((i) => {
    const n = Number(i);
    if (!Number.isInteger(n)) throw new PathError(`invalid array index ${i}`);
    const at = n < 0 ? v.length + n : n;
    if (at < 0 || at >= v.length) throw new PathError(`array index out of bounds: index ${n}, length ${v.length}`);
    return [v[at]];
  });
}

function passes(condition: string, root: Json, one: Json): boolean {
  const match = /^(.+?)\s*(==|!=|<=|>=|<|>)\s*(.+)$/.exec(condition.trim());
  if (!match) return find(condition.trim(), root, one).length > 0;
  const operand = (text: string): Json => (/^['"]/.test(text) ? text.slice(1, -1) : /^[@$.]/.test(text) ? find(text, root, one)[0] : text === 'true' ? true : text === 'false' ? false : Number(text));
  const a = operand(match[1]!.trim());
  const b = operand(match[3]!.trim());
  if (a === undefined) return false;
  switch (match[2]) {
    case '==': return a === b;
    case '!=': return a !== b;
    case '<': return a < b;
    case '>': return a > b;
    case '<=': return a <= b;
    default: return a >= b;
  }
}
