/**
 * Python's values. None, bool, int, float and str are JavaScript's null, boolean, bigint, number and string; everything else is
 * a record told apart by `t`. Types are values too. Source: Python 3.13 data model.
 */
import type { Call } from '../lib/http.ts';
import type { FunctionCode, Source } from './ast.ts';
import type { Frame, Vm } from './vm.ts';

export type Value = null | boolean | bigint | number | string | Obj;
export type Kw = ReadonlyMap<string, Value>;
export type Vars = Map<string, Value>;
export type Key = string | bigint | number | null | object;

/** `view` names what dict.keys() and the like gave. */
export interface List { t: 'list'; items: Value[]; view?: string }
export interface Tuple { t: 'tuple'; items: readonly Value[]; fields?: { type: Type; names: readonly string[] } }
export interface Dict { t: 'dict'; map: Map<Key, [Value, Value]> }
export interface SetObj { t: 'set'; map: Map<Key, Value>; frozen: boolean }
/** `data` of a long run of one byte is made when somebody looks; until then `length` and `fill` say it all. */
export interface Bytes { t: 'bytes'; data: Uint8Array | null; length: number; fill: number; mutable: boolean }
/** A str too long to be one of JavaScript's comfortably: `unit` said `count` times. */
export interface LongStr { t: 'long'; unit: string; count: number }
export interface Range { t: 'range'; start: bigint; stop: bigint; step: bigint }
export interface Slice { t: 'slice'; lo: Value; hi: Value; step: Value }
export interface Func { t: 'func'; name: string; qualname: string; code: FunctionCode; defaults: Map<string, Value>; globals: Vars; outer: Frame | null; source: Source; attrs: Vars }
export interface Builtin { t: 'builtin'; name: string; call?: Sync; run?: Async; self?: Value }
export interface Method { t: 'method'; self: Value; func: Value }
export interface Type { t: 'type'; name: string; module: string; bases: readonly Type[]; mro: readonly Type[]; attrs: Vars; make?: Async; builtin: boolean; qualname?: string }
export interface Instance { t: 'inst'; type: Type; attrs: Vars; /** Of exceptions. */ args?: readonly Value[]; trace?: TraceEntry[]; cause?: Value; context?: Value; suppress?: boolean; native?: Value }
export interface Module { t: 'module'; name: string; vars: Vars; file: string | null }
export interface Iter { t: 'iter'; name: string; next: () => Call<Value | undefined>; close?: () => Call<void>; send?: (value: Value) => Call<Value | undefined>; /** What it goes over, and a generator's variables. */ source?: Value; vars?: Vars }
/** Something of a module written here: files, sockets, and the like; `type` finds its methods. */
export interface Native { t: 'native'; type: Type; attrs: Vars; data: unknown }
export interface Super { t: 'super'; type: Type; self: Value }
export interface Special { t: 'special'; name: string }
export type Obj = List | Tuple | Dict | SetObj | Bytes | LongStr | Range | Slice | Func | Builtin | Method | Type | Instance | Module | Iter | Native | Super | Special;

export type Sync = (vm: Vm, args: readonly Value[], kw: Kw) => Value;
export type Async = (vm: Vm, args: readonly Value[], kw: Kw) => Call<Value>;

export interface TraceEntry { source: Source; name: string; line: number; span: TraceSpan | null }
export interface TraceSpan { line: number; col: number; eline: number; ecol: number; anchor: { from: { line: number; col: number }; to: { line: number; col: number } } | null; plainCall: boolean }

export const list = (items: Value[]): List => ({ t: 'list', items });
export const tuple = (items: readonly Value[]): Tuple => ({ t: 'tuple', items });
export const bytesOf = (data: Uint8Array, mutable = false): Bytes => ({ t: 'bytes', data, length: data.length, fill: 0, mutable });
export const dict = (): Dict => ({ t: 'dict', map: new Map() });
export const set = (frozen = false): SetObj => ({ t: 'set', map: new Map(), frozen });
export const builtin = (name: string, call: Sync): Builtin => ({ t: 'builtin', name, call });
export const coroutine = (name: string, run: Async): Builtin => ({ t: 'builtin', name, run });
export const ELLIPSIS: Special = { t: 'special', name: 'Ellipsis' };
export const NOT_IMPLEMENTED: Special = { t: 'special', name: 'NotImplemented' };
export const NO_KW: Kw = new Map();

/** The bytes themselves; a run is written out now. */
export function dataOf(b: Bytes): Uint8Array {
  b.data ??= new Uint8Array(b.length).fill(b.fill);
  return b.data;
}

function makeType(name: string, base: Type | null, module = 'builtins'): Type {
  const type: Type = { t: 'type', name, module, bases: base ? [base] : [], mro: [], attrs: new Map(), builtin: true };
  return type;
}

const OBJECT: Type = makeType('object', null);
OBJECT.mro = [OBJECT];
const TYPES = new Map<string, Type>([['object', OBJECT]]);

/** A new type of this module's own; `base` defaults to object. */
export function defineType(name: string, base: Type = OBJECT, module = 'builtins'): Type {
  const type = makeType(name, base, module);
  type.mro = [type, ...base.mro];
  if (module === 'builtins') TYPES.set(name, type);
  return type;
}

const NAMES = [
  'type', 'int', 'float', 'str', 'bytes', 'bytearray', 'list', 'tuple', 'dict', 'set', 'frozenset', 'range', 'slice', 'NoneType', 'function', 'builtin_function_or_method', 'method',
  'module', 'ellipsis', 'NotImplementedType', 'super', 'generator', 'property', 'staticmethod', 'classmethod',
];
for (const name of NAMES) defineType(name);
defineType('bool', TYPES.get('int'));

/** A built-in type by its name; made at the first question for iterators, which have many. */
export function typeNamed(name: string): Type {
  return TYPES.get(name) ?? defineType(name);
}
export const isBuiltinType = (name: string): boolean => TYPES.has(name);

const BY_TAG: Readonly<Record<string, string>> = {
  list: 'list', dict: 'dict', long: 'str', range: 'range', slice: 'slice', func: 'function', builtin: 'builtin_function_or_method', method: 'method', type: 'type', module: 'module', super: 'super',
};

export function typeOf(v: Value): Type {
  if (v === null) return typeNamed('NoneType');
  switch (typeof v) {
    case 'string': return typeNamed('str');
    case 'bigint': return typeNamed('int');
    case 'number': return typeNamed('float');
    case 'boolean': return typeNamed('bool');
    default: break;
  }
  const o = v as Obj;
  if (o.t === 'inst' || o.t === 'native') return o.type;
  if (o.t === 'list' && o.view) return typeNamed(o.view);
  if (o.t === 'tuple') return o.fields?.type ?? typeNamed('tuple');
  if (o.t === 'set') return typeNamed(o.frozen ? 'frozenset' : 'set');
  if (o.t === 'bytes') return typeNamed(o.mutable ? 'bytearray' : 'bytes');
  if (o.t === 'iter') return typeNamed(o.name);
  if (o.t === 'special') return typeNamed(o.name === 'Ellipsis' ? 'ellipsis' : 'NotImplementedType');
  return typeNamed(BY_TAG[o.t]!);
}
export const typeName = (v: Value): string => typeOf(v).name;

export function isObj<T extends Obj['t']>(v: Value | undefined, t: T): v is Extract<Obj, { t: T }> {
  return typeof v === 'object' && v !== null && v.t === t;
}

/** What a dict or set finds a value by; undefined for what has no hash. */
export function keyOf(v: Value): Key | undefined {
  switch (typeof v) {
    case 'string': return `s${v}`;
    case 'bigint': return v;
    case 'boolean': return v ? 1n : 0n;
    case 'number': return Number.isInteger(v) ? BigInt(v) : v;
    default: break;
  }
  if (v === null) return null;
  switch (v.t) {
    case 'tuple': return tupleKey(v.items, 't');
    case 'bytes': return v.mutable ? undefined : `b${dataOf(v).join(',')}`;
    case 'list': case 'dict': return undefined;
    case 'set': return v.frozen ? tupleKey([...v.map.values()].sort((a, b) => (String(keyOf(a)) < String(keyOf(b)) ? -1 : 1)), 'f') : undefined;
    case 'slice': return undefined;
    default: return v;
  }
}

const IDS = new WeakMap<object, number>();
let ids = 0;

function tupleKey(items: readonly Value[], tag: string): string | undefined {
  const parts: string[] = [];
  for (const item of items) {
    const key = keyOf(item);
    if (key === undefined) return undefined;
    if (typeof key === 'object' && key !== null) {
      if (!IDS.has(key)) IDS.set(key, ++ids);
      parts.push(`o${IDS.get(key)}`);
    } else parts.push(typeof key === 'string' ? `${key.length}:${key}` : `${typeof key === 'number' ? 'd' : 'i'}${String(key)}`);
  }
  return `${tag}${parts.join('|')}`;
}
