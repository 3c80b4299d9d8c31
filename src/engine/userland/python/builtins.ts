/** The built-in functions. Source: Python 3.13 library reference, chapter 2. */
import { calling, counted, intArg, numberArg, plain, textArg } from './arguments.ts';
import { call, delAttr, findAttr, getAttr, METHODS, methodOf, setAttr } from './call.ts';
import { EXCEPTIONS, isError, notModelled, raised, typeError, valueError } from './errors.ts';
import { evaluate, lastReturn } from './eval.ts';
import { filesBuiltins } from './files.ts';
import { exact, format } from './format.ts';
import { collect, hashable, iterate, iterOf, nextOf, over } from './iterate.ts';
import { binary, compare, equal, floorDiv, truth } from './ops.ts';
import { parseExpression } from './parse.ts';
import { idOf, repr, stringRepr } from './repr.ts';
import { lengthOf } from './sequences.ts';
import { sortValues } from './types/collections.ts';
import { type Async, type Builtin, dict, ELLIPSIS, isObj, type Kw, list, type Native, NOT_IMPLEMENTED, type Sync, tuple, type Type, typeName, typeNamed, typeOf, type Value, type Vars } from './values.ts';
import { constructors } from './constructors.ts';
import { importModule } from './imports.ts';
import type { Vm } from './vm.ts';
import type { Call } from '../lib/http.ts';

const based = (prefix: string, radix: number): Sync => (_vm, a) => {
  if (typeof a[0] !== 'bigint' && typeof a[0] !== 'boolean') throw typeError(`'${typeName(a[0]!)}' object cannot be interpreted as an integer`);
  const n = BigInt(a[0]);
  return `${n < 0n ? '-' : ''}${prefix}${(n < 0n ? -n : n).toString(radix)}`;
};

function matches(v: Value, wanted: Value): boolean {
  if (isObj(wanted, 'tuple')) return wanted.items.some((one) => matches(v, one));
  if (!isObj(wanted, 'type')) throw typeError('isinstance() arg 2 must be a type, a tuple of types, or a union');
  return typeOf(v).mro.includes(wanted);
}

const SYNC: Readonly<Record<string, Sync>> = {
  chr: (_vm, a) => {
    const n = intArg(a[0]!);
    if (n < 0 || n > 0x10ffff) throw valueError('chr() arg not in range(0x110000)');
    return String.fromCodePoint(n);
  },
  ord: (_vm, a) => {
    const v = a[0]!;
    if (isObj(v, 'bytes') && v.length === 1) return BigInt(v.data ? v.data[0]! : v.fill);
    if (typeof v !== 'string') throw typeError(`ord() expected string of length 1, but ${typeName(v)} found`);
    if ([...v].length !== 1) throw typeError(`ord() expected a character, but string of length ${[...v].length} found`);
    return BigInt(v.codePointAt(0)!);
  },
  hex: based('0x', 16), oct: based('0o', 8), bin: based('0b', 2),
  id: (vm, a) => BigInt(idOf(vm, a[0]!)),
  isinstance: (_vm, a) => {
    counted('isinstance', a, 2);
    return matches(a[0]!, a[1]!);
  },
  issubclass: (_vm, a) => {
    if (!isObj(a[0], 'type')) throw typeError('issubclass() arg 1 must be a class');
    const { mro } = a[0];
    return (isObj(a[1], 'tuple') ? a[1].items : [a[1]!]).some((t) => mro.includes(t as Type));
  },
  callable: (_vm, a) => {
    const v = a[0]!;
    return isObj(v, 'func') || isObj(v, 'builtin') || isObj(v, 'method') || isObj(v, 'type') || ((isObj(v, 'inst') || isObj(v, 'native')) && methodOf(v, '__call__') !== undefined);
  },
  globals: (vm) => varsOf((vm.frames.at(-1)?.globals ?? vm.main.vars)),
  locals: (vm) => varsOf(vm.frames.at(-1)!.vars),
  delattr: (_vm, a) => {
    delAttr(a[0]!, textArg(a[1]!));
    return null;
  },
  dir: (vm, a) => list(namesOf(vm, a[0]).sort()),
  hash: (_vm, a) => hashOf(a[0]!),
  breakpoint: () => { throw notModelled('the debugger'); },
  compile: () => { throw notModelled('compile()'); },
  exec: () => { throw notModelled('exec()'); },
};

/** Deterministic, as with PYTHONHASHSEED=0; ints are CPython's own. */
function hashOf(v: Value): bigint {
  const key = hashable(v);
  if (typeof key === 'bigint') {
    const p = 2n ** 61n - 1n;
    const h = key < 0n ? -(-key % p) : key % p;
    return h === -1n ? -2n : h;
  }
  let h = 0xcbf29ce484222325n;
  for (const c of String(typeof key === 'object' ? 'o' : key)) h = BigInt.asUintN(64, (h ^ BigInt(c.charCodeAt(0))) * 0x100000001b3n);
  return BigInt.asIntN(64, h);
}

function varsOf(vars: Vars): Value {
  const made = dict();
  for (const [k, v] of vars) made.map.set(`s${k}`, [k, v]);
  return made;
}

function namesOf(vm: Vm, v: Value | undefined): string[] {
  if (v === undefined) return [...vm.frames.at(-1)!.vars.keys()];
  const names = new Set<string>();
  if (isObj(v, 'module')) for (const name of v.vars.keys()) names.add(name);
  if (isObj(v, 'inst') || isObj(v, 'native')) for (const name of v.attrs.keys()) names.add(name);
  const mro = isObj(v, 'type') ? v.mro : isObj(v, 'module') ? [] : typeOf(v).mro;
  for (const type of mro) for (const name of [...type.attrs.keys(), ...Object.keys(METHODS.get(type.name) ?? {})]) names.add(name);
  return [...names];
}

/** min() and max(). */
const extreme = (name: string, op: string): Async => function* (vm, a, kw) {
  const key = kw.get('key') ?? null;
  const all = a.length === 1 ? yield* collect(vm, a[0]!) : a;
  if (a.length === 0) throw typeError(`${name} expected at least 1 argument, got 0`);
  let best: Value | undefined;
  let bestKey: Value = null;
  for (const v of all) {
    const k = key === null ? v : yield* call(vm, key, [v]);
    if (best === undefined || (yield* truth(vm, yield* compare(vm, op, k, bestKey)))) [best, bestKey] = [v, k];
  }
  if (best !== undefined) return best;
  const fallback = kw.get('default');
  if (fallback === undefined) throw valueError(`${name}() iterable argument is empty`);
  return fallback;
};

const ASYNC: Readonly<Record<string, Async>> = {
  len: function* (vm, a) {
    counted('len', a, 1);
    const n = lengthOf(a[0]!);
    if (n !== undefined) return BigInt(n);
    const v = a[0]!;
    const method = isObj(v, 'inst') || isObj(v, 'native') ? methodOf(v, '__len__') : undefined;
    if (method === undefined) throw typeError(`object of type '${typeName(v)}' has no len()`);
    return yield* call(vm, method, []);
  },
  repr: function* (vm, a) { return yield* repr(vm, a[0]!); },
  ascii: function* (vm, a) { return typeof a[0] === 'string' ? stringRepr(a[0], true) : yield* repr(vm, a[0]!); },
  format: function* (vm, a) { return yield* format(vm, a[0]!, a[1] === undefined ? '' : textArg(a[1])); },
  sorted: function* (vm, a, kw) { return list(yield* sortValues(vm, yield* collect(vm, a[0]!), kw.get('key') ?? null, yield* truth(vm, kw.get('reverse') ?? false))); },
  sum: function* (vm, a, kw) {
    let total: Value = a[1] ?? kw.get('start') ?? 0n;
    if (typeof total === 'string') throw typeError("sum() can't sum strings [use ''.join(seq) instead]");
    for (const v of yield* collect(vm, a[0]!)) total = yield* binary(vm, '+', total, v);
    return total;
  },
  min: extreme('min', '<'), max: extreme('max', '>'),
  any: function* (vm, a) {
    const it = yield* iterate(vm, a[0]!);
    for (let v = yield* it.next(); v !== undefined; v = yield* it.next()) if (yield* truth(vm, v)) return true;
    return false;
  },
  all: function* (vm, a) {
    const it = yield* iterate(vm, a[0]!);
    for (let v = yield* it.next(); v !== undefined; v = yield* it.next()) if (!(yield* truth(vm, v))) return false;
    return true;
  },
  abs: function* (vm, a) {
    const v = a[0]!;
    if (typeof v === 'bigint') return v < 0n ? -v : v;
    if (typeof v === 'number' || typeof v === 'boolean') return typeof v === 'number' ? Math.abs(v) : BigInt(v);
    const method = isObj(v, 'inst') ? methodOf(v, '__abs__') : undefined;
    if (method === undefined) throw typeError(`bad operand type for abs(): '${typeName(v)}'`);
    return yield* call(vm, method, []);
  },
  divmod: function* (vm, a) { return tuple([yield* binary(vm, '//', a[0]!, a[1]!), yield* binary(vm, '%', a[0]!, a[1]!)]); },
  pow: function* (vm, a) {
    if (a.length < 3) return yield* binary(vm, '**', a[0]!, a[1]!);
    let [base, left, mod] = a as [bigint, bigint, bigint];
    let out = 1n;
    for (base %= mod; left > 0n; left >>= 1n, base = (base * base) % mod) if (left & 1n) out = (out * base) % mod;
    return ((out % mod) + mod) % mod;
  },
  round: function* (vm, a) { return rounded(a[0]!, a[1] ?? null, yield* repr(vm, a[0]!)); },
  iter: function* (vm, a) {
    if (a.length < 2) return yield* iterate(vm, a[0]!);
    return iterOf('callable_iterator', function* () {
      const v = yield* call(vm, a[0]!, []);
      return (yield* equal(vm, v, a[1]!)) ? undefined : v;
    });
  },
  next: function* (vm, a) {
    const v = yield* nextOf(vm, a[0]!);
    if (v !== undefined) return v;
    if (a.length > 1) return a[1]!;
    const last = lastReturn.get(a[0] as object);
    throw last === undefined ? raised('StopIteration') : raised('StopIteration', last);
  },
  enumerate: function* (vm, a, kw) {
    const it = yield* iterate(vm, a[0]!);
    let n = BigInt(intArg(a[1] ?? kw.get('start') ?? 0n));
    return iterOf('enumerate', function* () {
      const v = yield* it.next();
      return v === undefined ? undefined : tuple([n++, v]);
    }, it);
  },
  zip: function* (vm, a, kw) { return yield* zipped(vm, a, kw); },
  map: function* (vm, a) {
    if (a.length < 2) throw typeError('map() must have at least two arguments.');
    const source = yield* zipped(vm, a.slice(1), new Map());
    return iterOf('map', function* () {
      const v = yield* nextOf(vm, source);
      return v === undefined ? undefined : yield* call(vm, a[0]!, isObj(v, 'tuple') ? v.items : []);
    }, source);
  },
  filter: function* (vm, a) {
    const it = yield* iterate(vm, a[1]!);
    return iterOf('filter', function* () {
      for (;;) {
        const v = yield* it.next();
        if (v === undefined || (yield* truth(vm, a[0] === null ? v : yield* call(vm, a[0]!, [v])))) return v;
      }
    }, it);
  },
  reversed: function* (vm, a) {
    if (lengthOf(a[0]!) === undefined || isObj(a[0], 'set')) throw typeError(`'${typeName(a[0]!)}' object is not reversible`);
    return over(isObj(a[0], 'list') ? 'list_reverseiterator' : 'reversed', (yield* collect(vm, a[0]!)).reverse().values());
  },
  getattr: function* (vm, a) {
    if (a.length < 3) return yield* getAttr(vm, a[0]!, textArg(a[1]!));
    try {
      return (yield* findAttr(vm, a[0]!, textArg(a[1]!))) ?? a[2]!;
    } catch (error) {
      if (isError(error, 'AttributeError')) return a[2]!;
      throw error;
    }
  },
  hasattr: function* (vm, a) { return (yield* findAttr(vm, a[0]!, textArg(a[1]!))) !== undefined; },
  setattr: function* (vm, a) {
    yield* setAttr(vm, a[0]!, textArg(a[1]!), a[2]!);
    return null;
  },
  vars: function* (vm, a) { return a.length === 0 ? varsOf(vm.frames.at(-1)!.vars) : yield* getAttr(vm, a[0]!, '__dict__'); },
  eval: function* (vm, a) { return yield* evaluate(vm, { ...vm.frames.at(-1)!, source: { file: '<string>', lines: [textArg(a[0]!)] } }, parseExpression(textArg(a[0]!))); },
  __import__: function* (vm, a) { return yield* importModule(vm, textArg(a[0]!)); },
};

function* zipped(vm: Vm, a: readonly Value[], kw: Kw): Call<Value> {
  const its: Value[] = [];
  for (const one of a) its.push(yield* iterate(vm, one));
  const strict = kw.get('strict') === true;
  return iterOf('zip', function* () {
    const row: Value[] = [];
    for (const [i, it] of its.entries()) {
      const v = yield* nextOf(vm, it);
      if (v === undefined) {
        if (strict && i > 0) throw valueError(`zip() argument ${i + 1} is shorter than argument${i > 1 ? 's 1-' : ' '}${i}`);
        return undefined;
      }
      row.push(v);
    }
    return row.length === 0 ? undefined : tuple(row);
  }, list(its));
}

/** Half to even, as IEEE and Python do. */
function rounded(v: Value, digits: Value, _text: string): Value {
  if (typeof v === 'bigint' || typeof v === 'boolean') {
    const n = BigInt(v);
    if (digits === null || intArg(digits) >= 0) return n;
    const unit = 10n ** BigInt(-intArg(digits));
    const low = floorDiv(n, unit) * unit;
    const twice = (n - low) * 2n;
    return twice > unit || (twice === unit && (low / unit) % 2n !== 0n) ? low + unit : low;
  }
  const x = numberArg(v);
  if (digits !== null && intArg(digits) < 0) return Math.round(x / 10 ** -intArg(digits)) * 10 ** -intArg(digits);
  if (digits !== null) return Number.isFinite(x) ? Number(`${x < 0 ? '-' : ''}${exact(Math.abs(x), intArg(digits))}`) : x;
  if (!Number.isFinite(x)) throw Number.isNaN(x) ? valueError('cannot convert float NaN to integer') : raised('OverflowError', 'cannot convert float infinity to integer');
  const low = Math.floor(x);
  const half = x - low === 0.5;
  return BigInt(half ? (low % 2 === 0 ? low : low + 1) : Math.round(x));
}

const wrapper = (name: string): Type => {
  const type = typeNamed(name);
  type.make = function* (_vm, a): Call<Value> {
    const data = name === 'property' ? { get: a[0] ?? null, set: a[1] ?? null } : a[0]!;
    return { t: 'native', type, attrs: new Map(), data };
  };
  return type;
};
wrapper('staticmethod');
wrapper('classmethod');
wrapper('property').attrs.set('setter', { t: 'builtin', name: 'setter', call: (_vm, a) => {
  const self = a[0] as Native;
  return { ...self, data: { ...(self.data as object), set: a[1]! } };
} });

/** Methods of generators and other iterators. */
const ITERATOR = calling({
  __next__: function* (vm, a) { return yield* ASYNC.next!(vm, [a[0]!], new Map()); },
  send: function* (_vm, a) {
    const it = a[0]!;
    const v = isObj(it, 'iter') && it.send ? yield* it.send(a[1] ?? null) : undefined;
    if (v === undefined) throw raised('StopIteration');
    return v;
  },
  close: function* (_vm, a) {
    if (isObj(a[0], 'iter') && a[0].close) yield* a[0].close();
    return null;
  },
  __iter__: function* (_vm, a) { return a[0]!; },
});
METHODS.set('generator', ITERATOR);
METHODS.set('object', plain({ __init__: () => null }));

/** A fresh namespace of builtins. */
export function builtinsOf(vm: Vm): Vars {
  const vars: Vars = new Map<string, Value>([['NotImplemented', NOT_IMPLEMENTED], ['Ellipsis', ELLIPSIS], ['__debug__', true]]);
  for (const [name, type] of EXCEPTIONS) vars.set(name, type);
  vars.set('IOError', EXCEPTIONS.get('OSError')!).set('EnvironmentError', EXCEPTIONS.get('OSError')!);
  for (const [name, type] of Object.entries(constructors)) vars.set(name, type);
  for (const name of ['property', 'staticmethod', 'classmethod', 'object']) vars.set(name, typeNamed(name));
  const all: Record<string, Builtin> = { ...plain(SYNC), ...calling(ASYNC), ...filesBuiltins };
  for (const [name, f] of Object.entries(all)) vars.set(name, f);
  vars.set('super', { t: 'builtin', name: 'super', call: (_v, a) => ({ t: 'super', type: a[0] as Type, self: a[1]! }) });
  for (const name of ['exit', 'quit']) vars.set(name, { t: 'builtin', name, call: (_v, a) => { throw raised('SystemExit', ...a); } });
  vm.builtins = vars;
  return vars;
}
