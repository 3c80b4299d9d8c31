/** Iteration: iter() and next() of every value, and the small conversions that go through them. */
import type { Call } from '../lib/http.ts';
import { call, findAttr, methodOf } from './call.ts';
import { isError, raised, typeError } from './errors.ts';
import { longText } from './repr.ts';
import { dataOf, isObj, type Iter, keyOf, type Key, typeName, type Value } from './values.ts';
import { STEP, type Vm } from './vm.ts';

export const iterOf = (name: string, next: () => Call<Value | undefined>, source?: Value): Iter => (source === undefined ? { t: 'iter', name, next } : { t: 'iter', name, next, source });

/** An iterator over a JavaScript one. */
export function over(name: string, values: Iterator<Value>): Iter {
  return iterOf(name, function* () {
    const { value, done } = values.next();
    return done ? undefined : value;
  });
}

function* growing(items: readonly Value[]): Generator<Value> {
  for (let i = 0; i < items.length; i++) yield items[i]!;
}
function* steps(start: bigint, stop: bigint, step: bigint): Generator<Value> {
  if (step > 0n) for (let i = start; i < stop; i += step) yield i;
  else for (let i = start; i > stop; i += step) yield i;
}
function* numbers(data: Uint8Array): Generator<Value> {
  for (const one of data) yield BigInt(one);
}
function* keysOf(map: Map<Key, [Value, Value]>): Generator<Value> {
  const { size } = map;
  for (const [key] of map.values()) {
    yield key;
    if (map.size !== size) throw raised('RuntimeError', 'dictionary changed size during iteration');
  }
}

export function* iterate(vm: Vm, v: Value): Call<Iter> {
  if (typeof v === 'string') return over('str_ascii_iterator', v[Symbol.iterator]());
  if (typeof v === 'object' && v !== null) {
    switch (v.t) {
      case 'iter': return v;
      case 'list': return over('list_iterator', growing(v.items));
      case 'tuple': return over('tuple_iterator', growing(v.items));
      case 'range': return over('range_iterator', steps(v.start, v.stop, v.step));
      case 'dict': return over('dict_keyiterator', keysOf(v.map));
      case 'set': return over('set_iterator', v.map.values());
      case 'bytes': return over(v.mutable ? 'bytearray_iterator' : 'bytes_iterator', numbers(dataOf(v)));
      case 'long': return over('str_ascii_iterator', longText(v.unit, v.count)[Symbol.iterator]());
      case 'inst': case 'native': return yield* iterateObject(vm, v);
      default: break;
    }
  }
  throw typeError(`'${typeName(v)}' object is not iterable`);
}

function* iterateObject(vm: Vm, v: Extract<Value, { t: 'inst' | 'native' }>): Call<Iter> {
  const method = methodOf(v, '__iter__');
  if (method !== undefined) {
    const made = yield* call(vm, method, []);
    if (isObj(made, 'iter')) return made;
    const step = isObj(made, 'inst') || isObj(made, 'native') ? methodOf(made, '__next__') : undefined;
    if (step === undefined) throw typeError(`iter() returned non-iterator of type '${typeName(made)}'`);
    return iterOf(typeName(made), () => stepOf(vm, step), made);
  }
  const item = methodOf(v, '__getitem__');
  if (item === undefined) throw typeError(`'${typeName(v)}' object is not iterable`);
  let at = 0n;
  return iterOf('iterator', function* () {
    try {
      return yield* call(vm, item, [at++]);
    } catch (error) {
      if (isError(error, 'IndexError')) return undefined;
      throw error;
    }
  });
}

function* stepOf(vm: Vm, method: Value): Call<Value | undefined> {
  try {
    return yield* call(vm, method, []);
  } catch (error) {
    if (isError(error, 'StopIteration')) return undefined;
    throw error;
  }
}

/** The next value of anything with __next__, for next(). */
export function* nextOf(vm: Vm, v: Value): Call<Value | undefined> {
  if (isObj(v, 'iter')) return yield* v.next();
  const method = yield* findAttr(vm, v, '__next__');
  if (method === undefined) throw typeError(`'${typeName(v)}' object is not an iterator`);
  return yield* stepOf(vm, method);
}

/** Everything an iterable gives. */
export function* collect(vm: Vm, v: Value): Call<Value[]> {
  if (isObj(v, 'list') || isObj(v, 'tuple')) return [...v.items];
  const it = yield* iterate(vm, v);
  const out: Value[] = [];
  for (;;) {
    const one = yield* it.next();
    if (one === undefined) return out;
    vm.cost += STEP;
    out.push(one);
  }
}

export function hashable(v: Value): Key {
  const key = keyOf(v);
  if (key === undefined) throw typeError(`unhashable type: '${typeName(v)}'`);
  return key;
}
