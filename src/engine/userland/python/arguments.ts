/** Arguments of functions written here: how many, of which kind, by position or name, in CPython's words when they are wrong. */
import { text } from '../../sim/text.ts';
import { raised, typeError } from './errors.ts';
import { asInt } from './ops.ts';
import { longText } from './repr.ts';
import { type Builtin, dataOf, isObj, type Kw, type Sync, type Async, typeName, type Value } from './values.ts';

/** Checks the count of positional arguments, `self` not counted when `method`. */
export function counted(name: string, args: readonly Value[], least: number, most = least, method = false): void {
  const given = args.length - (method ? 1 : 0);
  if (given >= least && given <= most) return;
  const s = (n: number): string => (n === 1 ? '' : 's');
  if (least === most && least === 0) throw typeError(`${name}() takes no arguments (${given} given)`);
  if (least === most && least === 1) throw typeError(`${name}() takes exactly one argument (${given} given)`);
  const word = given < least ? (least === most ? '' : 'at least ') : least === most ? '' : 'at most ';
  const bound = given < least ? least : most;
  throw typeError(`${name.split('.').at(-1)} expected ${word}${bound} argument${s(bound)}, got ${given}`);
}

/** Argument `i`, or the keyword `name`, or the fallback. */
export function argument(args: readonly Value[], kw: Kw, i: number, name: string, fallback: Value): Value {
  return args[i] ?? (args.length > i ? null : (kw.get(name) ?? fallback));
}

export function required(fn: string, args: readonly Value[], kw: Kw, i: number, name: string): Value {
  const found = i < args.length ? args[i]! : kw.get(name);
  if (found === undefined) throw typeError(`${fn}() missing required argument '${name}' (pos ${i + 1})`);
  return found;
}

export function intArg(v: Value): number {
  const n = asInt(v);
  if (n === undefined) throw typeError(`'${typeName(v)}' object cannot be interpreted as an integer`);
  return Number(n);
}

export function numberArg(v: Value): number {
  if (typeof v === 'number') return v;
  const n = asInt(v);
  if (n === undefined) throw typeError(`must be real number, not ${typeName(v)}`);
  return Number(n);
}

export function textArg(v: Value, what = 'argument'): string {
  if (typeof v === 'string') return v;
  if (isObj(v, 'long')) return longText(v.unit, v.count);
  throw typeError(`${what} must be str, not ${typeName(v)}`);
}

/** A path argument of os and open: str, bytes, or an object with __fspath__ (as its text). */
export function pathArg(fn: string, v: Value, what = 'path'): string {
  if (typeof v === 'string') {
    if (v.includes('\0')) throw raised('ValueError', 'embedded null byte');
    return v;
  }
  if (isObj(v, 'bytes')) return text(dataOf(v));
  throw typeError(`${fn}: ${what} should be string, bytes or os.PathLike, not ${typeName(v)}`);
}

export function bytesArg(v: Value): Uint8Array {
  if (isObj(v, 'bytes')) return dataOf(v);
  throw typeError(`a bytes-like object is required, not '${typeName(v)}'`);
}

/** Names to builtins, the ones that need no call of the kernel. */
export function plain(table: Readonly<Record<string, Sync>>): Record<string, Builtin> {
  return Object.fromEntries(Object.entries(table).map(([name, call]) => [name, { t: 'builtin', name, call }]));
}
export function calling(table: Readonly<Record<string, Async>>): Record<string, Builtin> {
  return Object.fromEntries(Object.entries(table).map(([name, run]) => [name, { t: 'builtin', name, run }]));
}

