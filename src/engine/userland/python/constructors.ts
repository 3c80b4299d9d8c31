/** The built-in types as callables: int("7"), bytearray(100), list(x). Source: Python 3.13 library reference, chapter 2. */
import type { Call } from '../lib/http.ts';
import { counted, intArg, numberArg, textArg } from './arguments.ts';
import { call, METHODS, methodOf } from './call.ts';
import { decode, encode } from './codecs.ts';
import { raised, typeError, valueError } from './errors.ts';
import { collect } from './iterate.ts';
import { asInt, truth } from './ops.ts';
import { str, stringRepr } from './repr.ts';
import { byteOf } from './sequences.ts';
import { asSet, fill } from './types/collections.ts';
import { type Async, type Bytes, bytesOf, dataOf, dict, isObj, list, set, tuple, type Type, typeName, typeNamed, typeOf, type Value } from './values.ts';
import type { Vm } from './vm.ts';

function* toInt(vm: Vm, v: Value | undefined, base: Value | undefined): Call<Value> {
  if (v === undefined) return 0n;
  const n = asInt(v);
  if (n !== undefined && base === undefined) return n;
  if (typeof v === 'number') {
    if (Number.isNaN(v)) throw valueError('cannot convert float NaN to integer');
    if (!Number.isFinite(v)) throw raised('OverflowError', 'cannot convert float infinity to integer');
    return BigInt(Math.trunc(v));
  }
  if (typeof v === 'string' || isObj(v, 'bytes')) return parsedInt(typeof v === 'string' ? v : decode(dataOf(v), 'latin-1'), base === undefined ? 10 : intArg(base), v);
  const method = isObj(v, 'inst') ? (methodOf(v, '__int__') ?? methodOf(v, '__index__')) : undefined;
  if (method !== undefined) return yield* call(vm, method, []);
  throw typeError(`int() argument must be a string, a bytes-like object or a real number, not '${typeName(v)}'`);
}

const PREFIXES: Readonly<Record<number, string>> = { 16: '0x', 8: '0o', 2: '0b' };

function parsedInt(text: string, base: number, given: Value): bigint {
  const bad = (): Error => valueError(`invalid literal for int() with base ${base}: ${typeof given === 'string' ? stringRepr(text) : `b${stringRepr(text)}`}`);
  const m = /^\s*([+-]?)(0[xXoObB])?([0-9a-zA-Z]+(?:_[0-9a-zA-Z]+)*)\s*$/.exec(text);
  if (!m) throw bad();
  let digits = m[3]!.replaceAll('_', '').toLowerCase();
  let radix = base;
  const prefix = m[2]?.toLowerCase();
  if (prefix !== undefined) {
    const own = prefix === '0x' ? 16 : prefix === '0o' ? 8 : 2;
    if (base === 0) radix = own;
    else if (PREFIXES[base] !== prefix) digits = prefix + digits;
  } else if (base === 0) radix = 10;
  const all = '0123456789abcdefghijklmnopqrstuvwxyz'.slice(0, radix);
  for (const c of digits) if (!all.includes(c)) throw bad();
  if (radix === 10 && digits.length > 4300) throw valueError(`Exceeds the limit (4300 digits) for integer string conversion: value has ${digits.length} digits; use sys.set_int_max_str_digits() to increase the limit`);
  let n = 0n;
  if (radix === 10 || PREFIXES[radix] !== undefined) n = BigInt((PREFIXES[radix] ?? '') + digits);
  else for (const c of digits) n = n * BigInt(radix) + BigInt(all.indexOf(c));
  return m[1] === '-' ? -n : n;
}

function* toFloat(vm: Vm, v: Value | undefined): Call<Value> {
  if (v === undefined) return 0;
  if (typeof v === 'string') {
    const s = v.trim().replace(/(?<=\d)_(?=\d)/g, '').toLowerCase();
    const special = /^([+-]?)(inf|infinity|nan)$/.exec(s);
    if (special) return special[2] === 'nan' ? Number.NaN : special[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
    if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/.test(s)) throw valueError(`could not convert string to float: ${stringRepr(v)}`);
    return Number(s);
  }
  const method = isObj(v, 'inst') ? methodOf(v, '__float__') : undefined;
  if (method !== undefined) return yield* call(vm, method, []);
  if (typeof v !== 'number' && asInt(v) === undefined) throw typeError(`float() argument must be a string or a real number, not '${typeName(v)}'`);
  const x = numberArg(v);
  if (typeof v === 'bigint' && !Number.isFinite(x)) throw raised('OverflowError', 'int too large to convert to float');
  return x;
}

/** bytes() and bytearray(): a length, text with its encoding, or what iterates over numbers. */
const byteMaker = (mutable: boolean): Async => function* (vm, a, kw): Call<Bytes> {
  const name = mutable ? 'bytearray' : 'bytes';
  const v = a[0];
  if (v === undefined) return bytesOf(new Uint8Array(0), mutable);
  if (typeof v === 'string') {
    const encoding = a[1] ?? kw.get('encoding');
    if (encoding === undefined) throw typeError('string argument without an encoding');
    return { ...(encode(v, textArg(encoding)) as Bytes), mutable };
  }
  const n = asInt(v);
  if (n !== undefined) {
    if (n < 0n) throw valueError('negative count');
    if (n >= 2n ** 63n) throw raised('OverflowError', "cannot fit 'int' into an index-sized integer");
    if (n > 2n ** 47n) throw raised('MemoryError');
    return { t: 'bytes', data: null, length: Number(n), fill: 0, mutable };
  }
  if (isObj(v, 'bytes')) return { ...v, data: v.data && v.data.slice(), mutable };
  if (typeof v === 'number' || v === null) throw typeError(`cannot convert '${typeName(v)}' object to ${name}`);
  return bytesOf(Uint8Array.from(yield* collect(vm, v), (one) => byteOf(one, mutable ? 'byte' : 'bytes')), mutable);
};

function* range(a: readonly Value[]): Call<Value> {
  counted('range', a, 1, 3);
  const [x, y, z] = a.map((v) => {
    const n = asInt(v);
    if (n === undefined) throw typeError(`'${typeName(v)}' object cannot be interpreted as an integer`);
    return n;
  });
  if (z === 0n) throw valueError('range() arg 3 must not be zero');
  return { t: 'range', start: y === undefined ? 0n : x!, stop: y ?? x!, step: z ?? 1n };
}

const MAKERS: Readonly<Record<string, Async>> = {
  int: function* (vm, a, kw) { return yield* toInt(vm, a[0], a[1] ?? kw.get('base')); },
  float: function* (vm, a) { return yield* toFloat(vm, a[0]); },
  bool: function* (vm, a) { return a.length > 0 && (yield* truth(vm, a[0]!)); },
  str: function* (vm, a, kw) {
    if (a.length === 0) return '';
    const encoding = a[1] ?? kw.get('encoding');
    if (encoding !== undefined && isObj(a[0], 'bytes')) return decode(dataOf(a[0]), textArg(encoding), String(a[2] ?? kw.get('errors') ?? 'strict'));
    if (isObj(a[0], 'long')) return a[0];
    return yield* str(vm, a[0]!);
  },
  bytes: byteMaker(false), bytearray: byteMaker(true),
  list: function* (vm, a) { return list(a.length > 0 ? yield* collect(vm, a[0]!) : []); },
  tuple: function* (vm, a) { return isObj(a[0], 'tuple') ? a[0] : tuple(a.length > 0 ? yield* collect(vm, a[0]!) : []); },
  dict: function* (vm, a, kw) {
    const made = dict();
    yield* fill(vm, made, a[0], kw);
    return made;
  },
  set: function* (vm, a) { return a.length > 0 ? yield* asSet(vm, a[0]!) : set(); },
  frozenset: function* (vm, a) { return a.length > 0 ? yield* asSet(vm, a[0]!, true) : set(true); },
  range: function* (_vm, a) { return yield* range(a); },
  slice: function* (_vm, a) { return a.length === 1 ? { t: 'slice', lo: null, hi: a[0]!, step: null } : { t: 'slice', lo: a[0]!, hi: a[1]!, step: a[2] ?? null }; },
  object: function* () { return { t: 'inst', type: typeNamed('object'), attrs: new Map() }; },
  type: function* (_vm, a) {
    if (a.length !== 1) throw raised('NotImplementedError', 'not modelled: classes made by type()');
    return typeOf(a[0]!);
  },
};

METHODS.set('int', {
  bit_length: { t: 'builtin', name: 'bit_length', call: (_vm, a) => { const n = asInt(a[0]!)!; return BigInt(n === 0n ? 0 : (n < 0n ? -n : n).toString(2).length); } },
  to_bytes: { t: 'builtin', name: 'to_bytes', call: (_vm, a, kw) => {
    const length = intArg(a[1] ?? kw.get('length') ?? 1n);
    let n = BigInt.asUintN(length * 8, asInt(a[0]!)!);
    const out = new Uint8Array(length);
    for (let i = 0; i < length; i++, n >>= 8n) out[i] = Number(n & 255n);
    return bytesOf((a[2] ?? kw.get('byteorder') ?? 'big') === 'big' ? out.reverse() : out);
  } },
  from_bytes: { t: 'builtin', name: 'from_bytes', call: (_vm, a, kw) => {
    const data = [...dataOf(a[0] as Bytes)];
    if ((a[1] ?? kw.get('byteorder') ?? 'big') === 'little') data.reverse();
    return data.reduce((n, b) => (n << 8n) | BigInt(b), 0n);
  } },
});
METHODS.set('float', {
  is_integer: { t: 'builtin', name: 'is_integer', call: (_vm, a) => Number.isInteger(a[0]) },
});

/** Name to type, each with its maker. */
export const constructors: Readonly<Record<string, Type>> = Object.fromEntries(Object.entries(MAKERS).map(([name, make]) => {
  const type = typeNamed(name);
  type.make = make;
  return [name, type];
}));
