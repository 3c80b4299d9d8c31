/**
 * Values as Go prints them: fmt's verbs and its JSON. A record is a map unless it was told what it is: a struct knows its type's
 * name and the order of its fields, and keeps the JSON it was made from. Source: pkg.go.dev/fmt, encoding/json.
 */
import { bytes } from '../../sim/text.ts';

const GO = Symbol('go');

export interface GoType {
  /** As errors name it: "*formatter.ContainerContext". */
  name: string;
  /** Of a struct, in order; null for a map. */
  fields: readonly string[] | null;
  /** What a map gives for a key that is not there (undefined: nothing); a struct has none. */
  zero?: unknown;
  /** What a map's keys are where they are no plain strings. */
  key?: string;
  pointer?: boolean;
  /** What it was made from, for JSON. */
  original?: unknown;
  /** It has a MarshalJSON of its own, in which <, > and & are escaped. */
  marshals?: boolean;
  /** Printed so instead of field by field: a moment. */
  text?: string;
}

/** A number of decoded JSON, which Go keeps as its digits (json.Number). */
export class JsonNumber {
  readonly digits: string;
  constructor(digits: string) {
    this.digits = digits;
  }
}

/** JSON as Go decodes it into an interface {} with UseNumber. */
export function decoded(x: unknown): unknown {
  if (typeof x === 'number') return new JsonNumber(String(x));
  if (Array.isArray(x)) return x.map(decoded);
  if (typeof x !== 'object' || x === null) return x;
  return Object.fromEntries(Object.entries(x).filter(([, v]) => v !== undefined).map(([k, v]) => [k, decoded(v)]));
}

/** The same record, told what it is. */
export function told<T extends object>(record: T, type: GoType): T {
  Object.defineProperty(record, GO, { value: type });
  return record;
}

export function typeOf(x: unknown): GoType | null {
  return typeof x === 'object' && x !== null ? ((x as { [GO]?: GoType })[GO] ?? null) : null;
}

/** What JSON sees of a value. */
function originalOf(x: unknown): unknown {
  if (x instanceof JsonNumber) return Number(x.digits);
  const type = typeOf(x);
  if (type && 'original' in type) return type.original;
  if (Array.isArray(x)) return x.map(originalOf);
  if (typeof x !== 'object' || x === null) return x;
  return Object.fromEntries(Object.entries(x).filter(([, v]) => typeof v !== 'function').map(([k, v]) => [k, originalOf(v)]));
}

/** JSON as docker's encoders write it; of a type that marshals itself, or where asked, as json.Marshal does: <, > and & escaped. */
export function goJson(x: unknown, indent?: string, escaped = typeOf(x)?.marshals === true): string {
  return JSON.stringify(originalOf(x) ?? null, null, indent).replace(escaped ? /[<>&\u2028\u2029]/g : /[\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Go's %v. */
export function show(x: unknown): string {
  return x === undefined ? '<no value>' : plain(x, false, 0);
}

function plain(x: unknown, names: boolean, depth: number): string {
  if (x === null || x === undefined) return '<nil>';
  if (Array.isArray(x)) return `[${x.map((one) => plain(one, names, depth + 1)).join(' ')}]`;
  if (typeof x === 'number' && Number.isInteger(x) && Math.abs(x) >= 1e21) return x.toExponential();
  if (typeof x !== 'object') return String(x);
  if (x instanceof JsonNumber) return x.digits;
  const type = typeOf(x);
  const record = x as Record<string, unknown>;
  if (type?.text !== undefined) return type.text;
  if (type?.pointer && depth > 0) return addressOf(x);
  if (type?.fields) return `{${type.fields.map((name) => `${names ? `${name}:` : ''}${plain(record[name], names, depth + 1)}`).join(' ')}}`;
  return `map[${Object.keys(record).sort().map((k) => `${k}:${plain(record[k], names, depth + 1)}`).join(' ')}]`;
}

/** Where it might lie in memory: the same for the same contents. */
function addressOf(x: object): string {
  let hash = 7;
  for (const c of goJson(x)) hash = (Math.imul(hash, 31) + c.codePointAt(0)!) | 0;
  return `0xc000${((hash >>> 0) & 0xfffff0).toString(16).padStart(6, '0')}`;
}

/** The name of a value's type. */
export function kindOf(x: unknown): string {
  if (x === null || x === undefined) return '<nil>';
  if (Array.isArray(x)) return x.every((one) => typeof one === 'string') ? '[]string' : '[]interface {}';
  if (x instanceof JsonNumber) return 'json.Number';
  if (typeof x === 'number') return Number.isInteger(x) ? 'int' : 'float64';
  if (typeof x === 'boolean') return 'bool';
  return typeof x === 'string' ? 'string' : (typeOf(x)?.name ?? 'map[string]interface {}');
}

interface Verb {
  flags: string;
  precision: number | null;
}

/** One verb on one value; null when the verb is not for such a value. */
function formatted(verb: string, x: unknown, { flags, precision }: Verb): string | null {
  if (verb === 'v') return flags.includes('+') ? plain(x, true, 0) : plain(x, false, 0);
  if (verb === 'T') return kindOf(x);
  if (verb === 't') return typeof x === 'boolean' ? String(x) : null;
  if (Array.isArray(x)) return `[${x.map((one) => formatted(verb, one, { flags, precision }) ?? bad(verb, one)).join(' ')}]`;
  if (typeof x === 'string' || x instanceof JsonNumber) return ofText(verb, plain(x, false, 0), precision);
  return typeof x === 'number' ? ofNumber(verb, x, flags, precision) : verb === 's' && typeof x === 'object' && x !== null ? plain(x, false, 0) : null;
}

function ofText(verb: string, x: string, precision: number | null): string | null {
  const text = precision === null ? x : [...x].slice(0, precision).join('');
  if (verb === 's') return text;
  if (verb === 'q') return JSON.stringify(text);
  if (verb !== 'x' && verb !== 'X') return null;
  const hex = [...bytes(text)].map((b) => b.toString(16).padStart(2, '0')).join('');
  return verb === 'x' ? hex : hex.toUpperCase();
}

const RADIX: Readonly<Record<string, number>> = { d: 10, x: 16, X: 16, o: 8, b: 2 };

function ofNumber(verb: string, x: number, flags: string, precision: number | null): string | null {
  const sign = flags.includes('+') && x >= 0 ? '+' : '';
  const whole = Number.isInteger(x);
  if (RADIX[verb] && whole) {
    const digits = x.toString(RADIX[verb]);
    return sign + (flags.includes('#') && (verb === 'x' || verb === 'X') ? `0${verb}` : '') + (verb === 'X' ? digits.toUpperCase() : digits);
  }
  if (verb === 'c' && whole) return String.fromCodePoint(x);
  if (verb === 'U' && whole) return `U+${x.toString(16).toUpperCase().padStart(4, '0')}`;
  if (verb === 'q' && whole) return `'${String.fromCodePoint(x)}'`;
  if (whole) return null;
  if (verb === 'f' || verb === 'F') return sign + x.toFixed(precision ?? 6);
  if (verb === 'e') return sign + x.toExponential(precision ?? 6).replace(/e([+-])(\d)$/, 'e$10$2');
  return verb === 'g' ? sign + String(precision === null ? x : Number(x.toPrecision(precision || 1))) : null;
}

const bad = (verb: string, x: unknown): string => `%!${verb}(${x === null || x === undefined ? '<nil>' : `${kindOf(x)}=${plain(x, false, 0)}`})`;

/** fmt.Sprintf. */
export function printf(format: string, args: readonly unknown[]): string {
  let next = 0;
  const out = format.replace(/%([-+# 0]*)(\d+|\*)?(?:\.(\d*|\*))?([a-zA-Z%])?/g, (_, flags: string, width: string | undefined, precision: string | undefined, verb: string | undefined) => {
    if (verb === undefined) return '%!(NOVERB)';
    if (verb === '%') return '%';
    const wide = width === '*' ? Number(args[next++]) : Number(width ?? 0);
    const exact = precision === undefined ? null : precision === '*' ? Number(args[next++]) : Number(precision || 0);
    if (next >= args.length) return `%!${verb}(MISSING)`;
    const arg = args[next++];
    const text = formatted(verb, arg, { flags, precision: exact }) ?? bad(verb, arg);
    if (flags.includes('-')) return text.padEnd(wide);
    if (!flags.includes('0') || typeof arg !== 'number') return text.padStart(wide);
    return /^[-+]/.test(text) ? text[0]! + text.slice(1).padStart(wide - 1, '0') : text.padStart(wide, '0');
  });
  const extra = args.slice(next).map((x) => (x === null || x === undefined ? '<nil>' : `${kindOf(x)}=${plain(x, false, 0)}`));
  return extra.length > 0 ? `${out}%!(EXTRA ${extra.join(', ')})` : out;
}
