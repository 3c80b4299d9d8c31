/** Operators: arithmetic, comparison, membership, truth. Source: Python 3.13 data model and numeric tower. */
import type { Call } from '../lib/http.ts';
import { call, inType, methodOf } from './call.ts';
import { notModelled, raised, typeError, valueError } from './errors.ts';
import { percentFormat } from './format.ts';
import { collect, hashable } from './iterate.ts';
import { concat, repeated } from './sequences.ts';
import { longText } from './repr.ts';
import { dataOf, isObj, NOT_IMPLEMENTED, type SetObj, type Obj, typeName, typeOf, type Value } from './values.ts';
import type { Vm } from './vm.ts';

const DUNDER: Readonly<Record<string, string>> = {
  '+': 'add', '-': 'sub', '*': 'mul', '/': 'truediv', '//': 'floordiv', '%': 'mod', '**': 'pow', '<<': 'lshift', '>>': 'rshift', '&': 'and', '|': 'or', '^': 'xor', '@': 'matmul',
};

export const asInt = (v: Value): bigint | undefined => (typeof v === 'bigint' ? v : typeof v === 'boolean' ? (v ? 1n : 0n) : undefined);
const asNumber = (v: Value): bigint | number | undefined => (typeof v === 'number' ? v : asInt(v));

/** a OP b; `augmented` only changes the words of the error and mutable operands. */
export function* binary(vm: Vm, op: string, a: Value, b: Value, augmented = false): Call<Value> {
  const l = asNumber(a);
  const r = asNumber(b);
  if (l !== undefined && r !== undefined) {
    if (typeof a === 'boolean' && typeof b === 'boolean' && '&|^'.includes(op)) return op === '&' ? a && b : op === '|' ? a || b : a !== b;
    const made = typeof l === 'bigint' && typeof r === 'bigint' ? integers(op, l, r) : floats(op, l, r);
    if (made !== undefined) return made;
  }
  const own = yield* userOp(vm, op, a, b, augmented);
  if (own !== undefined) return own;
  const found = yield* sequenceOp(vm, op, a, b);
  if (found !== undefined) return found;
  const sign = augmented ? `${op}=` : op === '**' ? '** or pow()' : op;
  const hint = op === '>>' && isObj(a, 'builtin') && a.name === 'print' ? '. Did you mean "print(<message>, file=<output_stream>)"?' : '';
  const left = unconcatenated(op, a, b);
  throw typeError(left ?? `unsupported operand type(s) for ${sign}: '${typeName(a)}' and '${typeName(b)}'${hint}`);
}

/** What sequences say themselves of a wrong partner. */
function unconcatenated(op: string, a: Value, b: Value): string | undefined {
  const name = typeName(a);
  if (op === '+' && (name === 'str' || name === 'list' || name === 'tuple')) return `can only concatenate ${name} (not "${typeName(b)}") to ${name}`;
  if (op === '+' && isObj(a, 'bytes')) return `can't concat ${typeName(b)} to ${name}`;
  const sequence = (v: Value): boolean => typeof v === 'string' || isObj(v, 'list') || isObj(v, 'tuple') || isObj(v, 'bytes') || isObj(v, 'long');
  if (op === '*' && sequence(a)) return `can't multiply sequence by non-int of type '${typeName(b)}'`;
  if (op === '*' && sequence(b)) return `can't multiply sequence by non-int of type '${typeName(a)}'`;
  return undefined;
}

const LIMIT_BITS = 2n ** 24n;

function integers(op: string, a: bigint, b: bigint): Value | undefined {
  switch (op) {
    case '+': return a + b;
    case '-': return a - b;
    case '*': return a * b;
    case '/':
      if (b === 0n) throw raised('ZeroDivisionError', 'division by zero');
      return quotient(a, b);
    case '//':
      if (b === 0n) throw raised('ZeroDivisionError', 'integer division or modulo by zero');
      return floorDiv(a, b);
    case '%':
      if (b === 0n) throw raised('ZeroDivisionError', 'integer modulo by zero');
      return a - floorDiv(a, b) * b;
    case '**':
      if (b < 0n) return floats('**', Number(a), Number(b));
      if (a > 1n && b * BigInt(a.toString(2).length) > LIMIT_BITS) throw notModelled('an int of more than 16 million bits');
      return a ** b;
    case '<<':
      if (b < 0n) throw valueError('negative shift count');
      if (b > LIMIT_BITS) throw notModelled('an int of more than 16 million bits');
      return a << b;
    case '>>':
      if (b < 0n) throw valueError('negative shift count');
      return a >> b;
    case '&': return a & b;
    case '|': return a | b;
    case '^': return a ^ b;
    default: return undefined;
  }
}

function quotient(a: bigint, b: bigint): number {
  const x = Number(a) / Number(b);
  if (Number.isFinite(x)) return x;
  const scaled = Number((a * 2n ** 64n) / b) / 2 ** 64;
  if (!Number.isFinite(scaled)) throw raised('OverflowError', 'integer division result too large for a float');
  return scaled;
}

export function floorDiv(a: bigint, b: bigint): bigint {
  const q = a / b;
  return a % b !== 0n && a < 0n !== b < 0n ? q - 1n : q;
}

export function toFloat(v: bigint | number): number {
  const x = Number(v);
  if (!Number.isFinite(x) && typeof v === 'bigint') throw raised('OverflowError', 'int too large to convert to float');
  return x;
}

function floats(op: string, l: bigint | number, r: bigint | number): Value | undefined {
  if ('<<>>&|^@'.includes(op)) return undefined;
  const a = toFloat(l);
  const b = toFloat(r);
  switch (op) {
    case '+': return a + b;
    case '-': return a - b;
    case '*': return a * b;
    case '/':
      if (b === 0) throw raised('ZeroDivisionError', typeof l === 'number' || typeof r === 'number' ? 'float division by zero' : 'division by zero');
      return a / b;
    case '//':
      if (b === 0) throw raised('ZeroDivisionError', 'float floor division by zero');
      return Math.floor(a / b);
    case '%':
      if (b === 0) throw raised('ZeroDivisionError', 'float modulo by zero');
      return floatMod(a, b);
    default: return power(a, b);
  }
}

export function floatMod(a: number, b: number): number {
  const m = a % b;
  return m !== 0 && m < 0 !== b < 0 ? m + b : m;
}

function power(a: number, b: number): number {
  if (a === 0 && b < 0) throw raised('ZeroDivisionError', 'zero to a negative power');
  if (a < 0 && !Number.isInteger(b)) throw notModelled('complex numbers');
  const x = a ** b;
  if (!Number.isFinite(x) && Number.isFinite(a) && Number.isFinite(b)) throw raised('OverflowError', 34n, 'Numerical result out of range');
  return x;
}

/** Methods of a program's own classes, the right one's first where its class is derived from the left one's. */
function* userOp(vm: Vm, op: string, a: Value, b: Value, augmented: boolean): Call<Value | undefined> {
  const name = DUNDER[op]!;
  const has = (v: Value): v is Obj => isObj(v, 'inst') || isObj(v, 'native');
  const attempts: [Value, string, Value][] = [];
  if (augmented && has(a)) attempts.push([a, `__i${name}__`, b]);
  if (has(a)) attempts.push([a, `__${name}__`, b]);
  if (has(b)) attempts.push([b, `__r${name}__`, a]);
  for (const [self, method, other] of attempts) {
    const found = methodOf(self as Obj, method);
    if (found === undefined) continue;
    const made = yield* call(vm, found, [other]);
    if (made !== NOT_IMPLEMENTED) return made;
  }
  return undefined;
}

function* sequenceOp(vm: Vm, op: string, a: Value, b: Value): Call<Value | undefined> {
  if (op === '+') return concat(a, b);
  if (op === '*') return repeated(vm, a, b);
  if (op === '%' && typeof a === 'string') return yield* percentFormat(vm, a, b);
  if (op === '|' && isObj(a, 'dict') && isObj(b, 'dict')) return { t: 'dict', map: new Map([...a.map, ...b.map]) };
  if (isObj(a, 'set') && isObj(b, 'set')) return setOp(op, a, b);
  return undefined;
}

export function setOp(op: string, a: SetObj, b: SetObj): Value | undefined {
  const made: SetObj = { t: 'set', map: new Map(), frozen: a.frozen };
  if (!'|&-^'.includes(op)) return undefined;
  for (const [k, v] of a.map) if (op === '|' || (op === '&') === b.map.has(k)) made.map.set(k, v);
  if (op === '|' || op === '^') for (const [k, v] of b.map) if (op === '|' || !a.map.has(k)) made.map.set(k, v);
  return made;
}

/** Changes a mutable left operand in place where Python does; undefined elsewhere. */
export function* inPlace(vm: Vm, op: string, a: Value, b: Value): Call<Value | undefined> {
  if (isObj(a, 'list') && op === '+') {
    for (const one of yield* collect(vm, b)) a.items.push(one);
    return a;
  }
  if (isObj(a, 'list') && op === '*' && asInt(b) !== undefined) {
    const made = repeated(vm, a, b) as Extract<Obj, { t: 'list' }>;
    a.items = made.items;
    return a;
  }
  if (isObj(a, 'bytes') && a.mutable && op === '+' && isObj(b, 'bytes')) {
    const made = concat(a, b) as typeof a;
    Object.assign(a, { data: made.data, length: made.length, fill: made.fill });
    return a;
  }
  if (isObj(a, 'set') && !a.frozen && isObj(b, 'set')) {
    const made = setOp(op, a, b) as SetObj | undefined;
    if (made) a.map = made.map;
    return made && a;
  }
  if (isObj(a, 'dict') && isObj(b, 'dict') && op === '|') {
    for (const [k, v] of b.map) a.map.set(k, v);
    return a;
  }
  return undefined;
}

export function* unary(vm: Vm, op: string, v: Value): Call<Value> {
  const n = asNumber(v);
  if (n !== undefined) {
    if (op === '-') return typeof n === 'bigint' ? -n : -n;
    if (op === '+') return n;
    if (typeof n === 'bigint') return ~n;
  }
  const method = isObj(v, 'inst') ? methodOf(v, op === '-' ? '__neg__' : op === '+' ? '__pos__' : '__invert__') : undefined;
  if (method !== undefined) return yield* call(vm, method, []);
  throw typeError(`bad operand type for unary ${op}: '${typeName(v)}'`);
}

export function* truth(vm: Vm, v: Value): Call<boolean> {
  switch (typeof v) {
    case 'boolean': return v;
    case 'bigint': return v !== 0n;
    case 'number': return v !== 0;
    case 'string': return v !== '';
    default: break;
  }
  if (v === null) return false;
  switch (v.t) {
    case 'list': case 'tuple': return v.items.length > 0;
    case 'dict': case 'set': return v.map.size > 0;
    case 'bytes': return v.length > 0;
    case 'range': return v.step > 0n ? v.start < v.stop : v.start > v.stop;
    case 'inst': {
      const method = methodOf(v, '__bool__');
      if (method !== undefined) return (yield* call(vm, method, [])) === true;
      const length = methodOf(v, '__len__');
      return length === undefined ? true : (yield* call(vm, length, [])) !== 0n;
    }
    default: return true;
  }
}

const REFLECTED: Readonly<Record<string, string>> = { '<': '>', '>': '<', '<=': '>=', '>=': '<=', '==': '==', '!=': '!=' };
const RICH: Readonly<Record<string, string>> = { '<': '__lt__', '>': '__gt__', '<=': '__le__', '>=': '__ge__', '==': '__eq__', '!=': '__ne__' };

export function* equal(vm: Vm, a: Value, b: Value): Call<boolean> {
  if (a === b) return true;
  return yield* truth(vm, yield* compare(vm, '==', a, b));
}

export function* compare(vm: Vm, op: string, a: Value, b: Value): Call<Value> {
  if (op === 'is') return same(a, b);
  if (op === 'is not') return !same(a, b);
  if (op === 'in' || op === 'not in') return (yield* contains(vm, b, a)) === (op === 'in');
  const x = asNumber(a);
  const y = asNumber(b);
  if (x !== undefined && y !== undefined) return ordered(op, x < y, x <= y && x >= y, x > y);
  if (typeof a === 'string' && typeof b === 'string') return ordered(op, less(a, b), a === b, less(b, a));
  for (const [self, other, name] of [[a, b, RICH[op]!], [b, a, RICH[REFLECTED[op]!]!]] as const) {
    const method = isObj(self, 'inst') || isObj(self, 'native') ? methodOf(self, name) : undefined;
    if (method === undefined) continue;
    const made = yield* call(vm, method, [other]);
    if (made !== NOT_IMPLEMENTED) return made;
  }
  const made = yield* containers(vm, op, a, b);
  if (made !== undefined) return made;
  if (op === '!=') return !(yield* equal(vm, a, b));
  if (op === '==') return same(a, b);
  throw typeError(`'${op}' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`);
}

const same = (a: Value, b: Value): boolean => a === b || (typeof a === 'number' && Object.is(a, b));

/** By code points, which UTF-16 orders otherwise above U+FFFF. */
const less = (a: string, b: string): boolean => a < b;

function ordered(op: string, lt: boolean, eq: boolean, gt: boolean): boolean {
  switch (op) {
    case '<': return lt;
    case '>': return gt;
    case '<=': return lt || eq;
    case '>=': return gt || eq;
    case '==': return eq;
    default: return !eq;
  }
}

function* containers(vm: Vm, op: string, a: Value, b: Value): Call<Value | undefined> {
  if ((isObj(a, 'list') && isObj(b, 'list')) || (isObj(a, 'tuple') && isObj(b, 'tuple'))) return yield* sequences(vm, op, a.items, b.items);
  if (isObj(a, 'bytes') && isObj(b, 'bytes')) {
    const [x, y] = [latin(dataOf(a)), latin(dataOf(b))];
    return ordered(op, x < y, x === y, x > y);
  }
  if (isObj(a, 'long') || isObj(b, 'long')) {
    const plain = (v: Value): Value => (isObj(v, 'long') ? longText(v.unit, v.count) : v);
    return isObj(a, 'long') && isObj(b, 'long') && a.unit === b.unit && op === '==' ? a.count === b.count : yield* compare(vm, op, plain(a), plain(b));
  }
  if (isObj(a, 'set') && isObj(b, 'set')) {
    const within = [...a.map.keys()].every((k) => b.map.has(k));
    const around = [...b.map.keys()].every((k) => a.map.has(k));
    return ordered(op, within && !around, within && around, around && !within);
  }
  if (isObj(a, 'range') && isObj(b, 'range') && op === '==') return a.start === b.start && a.stop === b.stop && a.step === b.step;
  if (!isObj(a, 'dict') || !isObj(b, 'dict') || (op !== '==' && op !== '!=')) return undefined;
  let eq = a.map.size === b.map.size;
  for (const [k, [, v]] of a.map) eq = eq && b.map.has(k) && (yield* equal(vm, v, b.map.get(k)![1]));
  return eq === (op === '==');
}

const latin = (data: Uint8Array): string => Array.from(data, (c) => String.fromCharCode(c)).join('');

function* sequences(vm: Vm, op: string, a: readonly Value[], b: readonly Value[]): Call<Value> {
  if ((op === '==' || op === '!=') && a.length !== b.length) return op === '!=';
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    if (yield* equal(vm, a[i]!, b[i]!)) continue;
    return op === '==' ? false : op === '!=' ? true : yield* compare(vm, op, a[i]!, b[i]!);
  }
  return ordered(op, a.length < b.length, a.length === b.length, a.length > b.length);
}

export function* contains(vm: Vm, whole: Value, part: Value): Call<boolean> {
  if (typeof whole === 'string' || isObj(whole, 'long')) {
    const text = typeof whole === 'string' ? whole : longText(whole.unit, whole.count);
    if (typeof part !== 'string') throw typeError(`'in <string>' requires string as left operand, not ${typeName(part)}`);
    return text.includes(part);
  }
  if (isObj(whole, 'dict') || isObj(whole, 'set')) return whole.map.has(hashable(part));
  if (isObj(whole, 'bytes')) {
    const n = asInt(part);
    if (n !== undefined) return dataOf(whole).includes(Number(n));
    if (isObj(part, 'bytes')) return latin(dataOf(whole)).includes(latin(dataOf(part)));
    throw typeError(`a bytes-like object is required, not '${typeName(part)}'`);
  }
  if (isObj(whole, 'range')) {
    const n = asInt(part);
    if (n !== undefined) return (whole.step > 0n ? n >= whole.start && n < whole.stop : n <= whole.start && n > whole.stop) && (n - whole.start) % whole.step === 0n;
  }
  const method = isObj(whole, 'inst') || isObj(whole, 'native') ? methodOf(whole, '__contains__') : undefined;
  if (method !== undefined) return yield* truth(vm, yield* call(vm, method, [part]));
  if (typeof whole !== 'object' || whole === null || (!isObj(whole, 'list') && !isObj(whole, 'tuple') && !isObj(whole, 'iter') && inType(typeOf(whole), '__iter__') === undefined && !isObj(whole, 'range'))) {
    throw typeError(`argument of type '${typeName(whole)}' is not iterable`);
  }
  for (const one of yield* collect(vm, whole)) if (yield* equal(vm, one, part)) return true;
  return false;
}
