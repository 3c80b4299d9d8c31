/** awk's values and what is computed from them without running anything: numbers and strings, the record and its fields, functions of strings. */
import type { Heap } from '../lib/heap.ts';
import { Failed } from '../lib/io.ts';
import type { Program } from './awk-parse.ts';
import { formatted } from './printf.ts';
import { compileRegex } from './regex.ts';
import { type Regex, search } from './regex-program.ts';
import { decoded, type Out, type Reader } from './streams.ts';

/** A string from input that looks like a number counts as one in comparisons. */
export interface StrNum {
  text: string;
}
export type Value = number | string | StrNum | undefined;
export type Arr = Map<string, Value>;
/** A name's place: a plain value or an array. */
export interface Cell {
  value: Value;
  array: Arr | null;
}

export interface Machine {
  program: Program;
  globals: Map<string, Cell>;
  locals: Map<string, Cell> | null;
  fields: Value[];
  record: string;
  /** The record must be put together again from its fields. */
  stale: boolean;
  args: string[];
  nextArg: number;
  reader: Reader | null;
  usedFile: boolean;
  out: Out;
  sinks: Map<string, { fd: number; pid: number }>;
  sources: Map<string, { reader: Reader; pid: number }>;
  regexes: Map<string, Regex>;
  env: Readonly<Record<string, string>>;
  seed: number;
  depth: number;
  /** Steps of the interpreter since processor time was last spent for them. */
  steps: number;
  heap: Heap;
  /** Bytes that elements of arrays take, and the longest string that was kept. */
  kept: { elements: number; longest: number };
}

export function setRecord(m: Machine, line: string): void {
  m.record = line;
  m.stale = false;
  m.fields = split(m, line, cell(m, 'FS').value).map((text) => ({ text }));
  cell(m, 'NF').value = m.fields.length;
}

export function record(m: Machine): string {
  if (m.stale) {
    m.record = m.fields.map((f) => str(m, f)).join(str(m, cell(m, 'OFS').value));
    m.stale = false;
  }
  return m.record;
}

export function split(m: Machine, text: string, separator: Value | Regex): string[] {
  if (text === '') return [];
  if (typeof separator === 'object' && 'program' in separator) return byRegex(text, separator);
  const fs = str(m, separator);
  if (fs === ' ') return text.split(/[ \t\n]+/).filter((w) => w !== '');
  if (fs === '') return [...text];
  if (fs.length === 1 && fs !== '\\') return text.split(fs);
  return byRegex(text, dynamic(m, fs));
}

function byRegex(text: string, regex: Regex): string[] {
  const out: string[] = [];
  let at = 0;
  for (;;) {
    const found = search(regex, text, at);
    if (!found || found[1] === found[0]) break;
    out.push(text.slice(at, found[0]));
    at = found[1]!;
  }
  out.push(text.slice(at));
  return out;
}

export function dynamic(m: Machine, source: string): Regex {
  let regex = m.regexes.get(source);
  if (!regex) {
    regex = compileRegex(source, { syntax: 'extended', awk: true });
    m.regexes.set(source, regex);
  }
  return regex;
}

export function cell(m: Machine, name: string): Cell {
  const local = m.locals?.get(name);
  if (local) return local;
  let global = m.globals.get(name);
  if (!global) {
    global = { value: undefined, array: null };
    m.globals.set(name, global);
  }
  return global;
}

export function array(m: Machine, name: string): Arr {
  return (cell(m, name).array ??= new Map());
}

const NUMERIC = /^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$/;

export function number(value: Value): number {
  if (typeof value === 'number') return value;
  if (value === undefined) return 0;
  const m = /^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?/.exec(typeof value === 'string' ? value : value.text);
  return m ? Number(m[0]) : 0;
}

export function str(m: Machine, value: Value, format = 'CONVFMT'): string {
  if (typeof value === 'string') return value;
  if (value === undefined) return '';
  if (typeof value === 'object') return value.text;
  if (Number.isInteger(value)) return Math.abs(value) < 1e16 ? String(value) : decoded(formatted('%d', [BigInt(value).toString()]).text);
  if (!Number.isFinite(value)) return Number.isNaN(value) ? '-nan' : value > 0 ? 'inf' : '-inf';
  return decoded(formatted(str(m, cell(m, format).value), [String(value)]).text);
}

export function truth(value: Value): boolean {
  if (value === undefined) return false;
  if (typeof value === 'number') return value !== 0;
  if (typeof value === 'string') return value !== '';
  return NUMERIC.test(value.text) ? Number(value.text) !== 0 : value.text !== '';
}

function looksNumeric(value: Value): boolean {
  return typeof value === 'number' || value === undefined || (typeof value === 'object' && NUMERIC.test(value.text));
}

export function compare(m: Machine, a: Value, b: Value): number {
  if (looksNumeric(a) && looksNumeric(b)) return number(a) - number(b);
  const [x, y] = [str(m, a), str(m, b)];
  return x < y ? -1 : x > y ? 1 : 0;
}

export function binary(m: Machine, op: string, a: Value, b: Value): Value {
  switch (op) {
    case ' ': return str(m, a) + str(m, b);
    case '+': return number(a) + number(b);
    case '-': return number(a) - number(b);
    case '*': return number(a) * number(b);
    case '/':
      return number(a) / number(b);
    case '%':
      return number(a) % number(b);
    case '^': return number(a) ** number(b);
    default: {
      const order = compare(m, a, b);
      return { '<': order < 0, '<=': order <= 0, '==': order === 0, '!=': order !== 0, '>=': order >= 0, '>': order > 0 }[op] ? 1 : 0;
    }
  }
}

export function fieldAt(m: Machine, n: number): Value {
  if (n < 0) throw new Failed(`attempt to access field ${n}`, 2);
  return n === 0 ? { text: record(m) } : m.fields[Math.floor(n) - 1];
}

export function pure(m: Machine, name: string, v: readonly Value[]): Value {
  const n = number(v[0]);
  switch (name) {
    case 'substr': {
      const chars = [...str(m, v[0])];
      const from = Math.round(number(v[1]));
      const end = v.length > 2 ? from + Math.round(number(v[2])) : Number.POSITIVE_INFINITY;
      // As mawk counts: positions before the first one take part of the length, one of them does not.
      return chars.slice(Math.max(0, from - 1), Math.max(0, end - 1 + (from < 0 && v.length > 2 ? 0 : 0))).join('');
    }
    case 'index': return [...str(m, v[0])].join('').indexOf(str(m, v[1])) + 1;
    case 'sprintf': return sprintf(m, v);
    case 'tolower': return str(m, v[0]).toLowerCase();
    case 'toupper': return str(m, v[0]).toUpperCase();
    case 'int': return Math.trunc(n);
    case 'sqrt': return Math.sqrt(n);
    case 'exp': return Math.exp(n);
    case 'log': return Math.log(n);
    case 'sin': return Math.sin(n);
    case 'cos': return Math.cos(n);
    case 'atan2': return Math.atan2(n, number(v[1]));
    case 'srand': {
      const old = m.seed;
      m.seed = v.length > 0 ? n : m.seed + 1;
      return old;
    }
    case 'rand': {
      m.seed = (Math.imul(Math.trunc(m.seed), 1103515245) + 12345) & 0x7fffffff;
      return m.seed / 0x80000000;
    }
    default: throw new Failed(`not modelled: ${name}`, 2);
  }
}

export function sprintf(m: Machine, v: readonly Value[]): string {
  const format = str(m, v[0]).replace(/\\/g, '\\\\');
  const rest = v.slice(1);
  let at = 0;
  // %c of a number is a character; whole numbers of %d are cut.
  const ready = format.replace(/%([-+ #0]*)(\*|\d+)?(\.(?:\*|\d+))?([a-zA-Z%])/g, (whole, flags: string, width: string | undefined, precision: string | undefined, letter: string) => {
    if (letter === '%') return whole;
    const star = (text: string | undefined): string => (text?.includes('*') ? text.replace('*', String(number(rest[at++]))) : (text ?? ''));
    const [w, p] = [star(width), star(precision)];
    const value = rest[at++];
    const spec = `%${flags}${w}${p}`;
    const one = letter === 'c' ? formatted(`${spec}s`, [typeof value === 'number' ? String.fromCodePoint(Math.max(0, Math.trunc(value) % 0x10ffff)) : [...str(m, value)][0] ?? ''])
      : 'dioxXu'.includes(letter) ? formatted(`${spec}${letter}`, [String(Math.trunc(number(value)))]) : /[eEfFgGaA]/.test(letter) ? formatted(`${spec}${letter}`, [String(number(value))]) : formatted(`${spec}s`, [str(m, value)]);
    return decoded(one.text).replace(/\\/g, '\\\\').replace(/%/g, '%%');
  });
  return decoded(formatted(ready, []).text);
}
