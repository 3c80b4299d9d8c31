/** JSON values as jq has them: their order, their text, arithmetic and errors. Objects keep the order of their keys. Source: jq(1). */
export type Value = unknown;

/** An error of the language; `value` is what `catch` sees. */
export class JqError extends Error {
  readonly value: Value;
  constructor(value: Value) {
    super(typeof value === 'string' ? value : `${toJson(value)} (not a string)`);
    this.value = value;
  }
}

export type Obj = Record<string, Value>;

export function typeOf(value: Value): 'null' | 'boolean' | 'number' | 'string' | 'array' | 'object' {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value as 'boolean' | 'number' | 'string' | 'object';
}

export const isObject = (value: Value): value is Obj => typeOf(value) === 'object';
export const truth = (value: Value): boolean => value !== null && value !== undefined && value !== false;

function numberText(value: number): string {
  if (Number.isNaN(value)) return 'null';
  if (!Number.isFinite(value)) return value > 0 ? '1.7976931348623157e+308' : '-1.7976931348623157e+308';
  if (Object.is(value, -0)) return '-0';
  const text = String(value);
  return text.replace(/e([+-])(\d)$/, 'e$10$2');
}

export interface Layout {
  indent: string;
  sort?: boolean;
  ascii?: boolean;
}

const quotedText = (text: string, ascii = false): string => {
  const json = JSON.stringify(text).replace(/\x7f/g, '\\u007f');
  return ascii ? json.replace(/[^\x00-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`) : json;
};

/** One line when `indent` is empty. */
export function toJson(value: Value, layout: Layout = { indent: '' }, depth = 0): string {
  const type = typeOf(value);
  if (type === 'null') return 'null';
  if (type === 'boolean') return String(value);
  if (type === 'number') return numberText(value as number);
  if (type === 'string') return quotedText(value as string, layout.ascii);
  const inner = layout.indent === '' ? '' : `\n${layout.indent.repeat(depth + 1)}`;
  const end = layout.indent === '' ? '' : `\n${layout.indent.repeat(depth)}`;
  if (Array.isArray(value)) return value.length === 0 ? '[]' : `[${value.map((one) => inner + toJson(one, layout, depth + 1)).join(',')}${end}]`;
  const keys = layout.sort ? sortedKeys(value as Obj) : Object.keys(value as Obj);
  return keys.length === 0 ? '{}' : `{${keys.map((key) => `${inner}${quotedText(key, layout.ascii)}:${layout.indent === '' ? '' : ' '}${toJson((value as Obj)[key], layout, depth + 1)}`).join(',')}${end}}`;
}

export const sortedKeys = (value: Obj): string[] => Object.keys(value).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));

const RANK = ['null', 'false', 'true', 'number', 'string', 'array', 'object'];
const rank = (value: Value): number => RANK.indexOf(typeof value === 'boolean' ? String(value) : typeOf(value));

export function compare(a: Value, b: Value): number {
  const by = rank(a) - rank(b);
  if (by !== 0) return by;
  if (typeof a === 'number') return a - (b as number);
  if (typeof a === 'string') return a < (b as string) ? -1 : a > (b as string) ? 1 : 0;
  if (Array.isArray(a)) return compareLists(a, b as Value[]);
  if (!isObject(a)) return 0;
  const keys = [sortedKeys(a), sortedKeys(b as Obj)] as const;
  return compareLists(keys[0], keys[1]) || compareLists(keys[0].map((key) => a[key]), keys[1].map((key) => (b as Obj)[key]));
}

function compareLists(a: readonly Value[], b: readonly Value[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const by = compare(a[i], b[i]);
    if (by !== 0) return by;
  }
  return a.length - b.length;
}

/** How messages show a value: its type and the beginning of its text. */
export function named(value: Value): string {
  const text = toJson(value);
  return typeOf(value) === 'null' ? 'null (null)' : `${typeOf(value)} (${text.length > 11 ? `${text.slice(0, 10)}...` : text})`;
}

const merge = (a: Obj, b: Obj): Obj => {
  const out = { ...a };
  for (const [key, value] of Object.entries(b)) out[key] = isObject(value) && isObject(out[key]) ? merge(out[key], value) : value;
  return out;
};

export function arithmetic(by: string, a: Value, b: Value): Value {
  const [s, t] = [typeOf(a), typeOf(b)];
  const wrong = (what: string): never => {
    throw new JqError(`${named(a)} and ${named(b)} cannot be ${what}`);
  };
  if (s === 'number' && t === 'number') {
    const [x, y] = [a as number, b as number];
    if (by === '+') return x + y;
    if (by === '-') return x - y;
    if (by === '*') return x * y;
    if (y === 0 || (by === '%' && Math.trunc(y) === 0)) return wrong('divided because the divisor is zero');
    return by === '/' ? x / y : Math.trunc(x) % Math.abs(Math.trunc(y));
  }
  if (by === '+') {
    if (s === 'null') return b;
    if (t === 'null') return a;
    if (s === 'string' && t === 'string') return `${a}${b}`;
    if (s === 'array' && t === 'array') return [...(a as Value[]), ...(b as Value[])];
    return s === 'object' && t === 'object' ? { ...(a as Obj), ...(b as Obj) } : wrong('added');
  }
  if (by === '-') return s === 'array' && t === 'array' ? (a as Value[]).filter((one) => !(b as Value[]).some((two) => compare(one, two) === 0)) : wrong('subtracted');
  if (by === '*') {
    if (s === 'object' && t === 'object') return merge(a as Obj, b as Obj);
    if (s === 'string' && t === 'number') return (b as number) > 0 ? (a as string).repeat(Math.max(1, Math.ceil(b as number))) : null;
    return wrong('multiplied');
  }
  return by === '/' && s === 'string' && t === 'string' ? (a as string).split(b as string) : wrong('divided');
}

export function indexed(of: Value, key: Value): Value {
  if (typeOf(of) === 'null' && ['string', 'number', 'null'].includes(typeOf(key))) return null;
  if (isObject(of) && typeof key === 'string') return Object.hasOwn(of, key) ? of[key] : null;
  if (Array.isArray(of) && typeof key === 'number') return of[key < 0 ? of.length + Math.floor(key) : Math.floor(key)] ?? null;
  if (Array.isArray(of) && isObject(key)) return sliced(of, key.start ?? null, key.end ?? null);
  if (typeof key === 'string') throw new JqError(`Cannot index ${typeOf(of)} with ${isObject(of) || of === null ? '' : 'string '}"${key}"`);
  throw new JqError(`Cannot index ${typeOf(of)} with ${typeOf(key)}`);
}

export function sliced(of: Value, from: Value, to: Value): Value {
  if (typeOf(of) === 'null') return null;
  if (!Array.isArray(of) && typeof of !== 'string') throw new JqError(`Cannot index ${typeOf(of)} with object`);
  return of.slice(from === null ? undefined : Math.floor(from as number), to === null ? undefined : Math.ceil(to as number));
}

export type Step = string | number | Obj;

export const getPath = (value: Value, path: readonly Step[]): Value => path.reduce<Value>((at, step) => (at === null ? null : indexed(at, step)), value);

export function setPath(value: Value, path: readonly Step[], to: Value): Value {
  const [step, ...rest] = path;
  if (step === undefined) return to;
  if (typeof step === 'string') {
    if (!isObject(value) && value !== null && value !== undefined) throw new JqError(`Cannot index ${typeOf(value)} with "${step}"`);
    const before = (value ?? {}) as Obj;
    return { ...before, [step]: setPath(Object.hasOwn(before, step) ? before[step] : null, rest, to) };
  }
  if (!Array.isArray(value) && value !== null && value !== undefined) throw new JqError(`Cannot index ${typeOf(value)} with ${typeOf(step)}`);
  const list = [...((value ?? []) as Value[])];
  if (typeof step !== 'number') {
    const [from, end] = [(step.start ?? 0) as number, (step.end ?? list.length) as number];
    list.splice(from, end - from, ...(setPath(list.slice(from, end), rest, to) as Value[]));
    return list;
  }
  const at = step < 0 ? list.length + step : step;
  if (at < 0) throw new JqError('Out of bounds negative array index');
  while (list.length < at) list.push(null);
  list[at] = setPath(list[at] ?? null, rest, to);
  return list;
}

export function deletePath(value: Value, path: readonly Step[]): Value {
  const [step, ...rest] = path;
  if (step === undefined || value === null) return null;
  if (rest.length > 0) {
    const inner = indexed(value, step);
    return inner === null ? value : setPath(value, [step], deletePath(inner, rest));
  }
  if (Array.isArray(value)) {
    const gone = typeof step === 'number' ? [step < 0 ? value.length + step : step, 1] : isObject(step) ? [(step.start ?? 0) as number, ((step.end ?? value.length) as number) - ((step.start ?? 0) as number)] : null;
    if (!gone) throw new JqError(`Cannot delete field at array index of array`);
    return value.filter((_, i) => i < gone[0]! || i >= gone[0]! + gone[1]!);
  }
  if (!isObject(value) || typeof step !== 'string') throw new JqError(`Cannot delete field at object index of ${typeOf(value)}`);
  return Object.fromEntries(Object.entries(value).filter(([key]) => key !== step));
}
