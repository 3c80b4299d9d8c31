/** Sequences: length, joining, repetition, subscripts and slices of them. Long runs are kept as runs. */
import { joinBytes } from '../../sim/wire.ts';
import { notModelled, raised, typeError, valueError } from './errors.ts';
import { hashable } from './iterate.ts';
import { longText } from './repr.ts';
import { type Bytes, bytesOf, dataOf, isObj, list, type Slice, tuple, typeName, type Value } from './values.ts';
import type { Vm } from './vm.ts';

/** Characters from which a repeated str stays a run. */
const RUN = 128 * 1024;
/** What a list written out here may have. */
const ITEMS = 2 ** 25;

const SURROGATE = /[\ud800-\udfff]/;
const wide = (s: string): boolean => SURROGATE.test(s) && /[\ud800-\udbff][\udc00-\udfff]/.test(s);

export function lengthOf(v: Value): number | undefined {
  if (typeof v === 'string') return wide(v) ? [...v].length : v.length;
  if (typeof v !== 'object' || v === null) return undefined;
  switch (v.t) {
    case 'list': case 'tuple': return v.items.length;
    case 'dict': case 'set': return v.map.size;
    case 'bytes': return v.length;
    case 'long': return lengthOf(v.unit)! * v.count;
    case 'range': {
      const span = v.step > 0n ? v.stop - v.start : v.start - v.stop;
      const step = v.step > 0n ? v.step : -v.step;
      return span <= 0n ? 0 : Number((span + step - 1n) / step);
    }
    default: return undefined;
  }
}

export function concat(a: Value, b: Value): Value | undefined {
  if (typeof a === 'string' && typeof b === 'string') {
    if (a.length + b.length > 2 ** 28) throw notModelled('work on the characters of a str of more than 256 MiB');
    return a + b;
  }
  if (isObj(a, 'list') && isObj(b, 'list')) return list([...a.items, ...b.items]);
  if (isObj(a, 'tuple') && isObj(b, 'tuple')) return tuple([...a.items, ...b.items]);
  if (isObj(a, 'bytes') && isObj(b, 'bytes')) {
    if (a.data === null && b.data === null && a.fill === b.fill) return { ...a, length: a.length + b.length };
    return bytesOf(joinBytes([dataOf(a), dataOf(b)]), a.mutable);
  }
  if ((isObj(a, 'long') || typeof a === 'string') && (isObj(b, 'long') || typeof b === 'string')) return concatLong(a, b);
  return undefined;
}

function concatLong(a: Exclude<Value, null | boolean | number | bigint>, b: Value): Value {
  const parts = (v: Value): { unit: string; count: number } => (isObj(v, 'long') ? v : { unit: v as string, count: 1 });
  const [x, y] = [parts(a), parts(b)];
  if (x.unit === y.unit) return { t: 'long', unit: x.unit, count: x.count + y.count };
  return { t: 'long', unit: longText(x.unit, x.count) + longText(y.unit, y.count), count: 1 };
}

const countOf = (v: Value): bigint | undefined => (typeof v === 'bigint' ? v : typeof v === 'boolean' ? (v ? 1n : 0n) : undefined);

export function repeated(vm: Vm, a: Value, b: Value): Value | undefined {
  const n = countOf(b);
  if (n === undefined) return countOf(a) === undefined ? undefined : repeated(vm, b, a);
  if (n >= 2n ** 63n) throw raised('OverflowError', "cannot fit 'int' into an index-sized integer");
  const times = n < 0n ? 0 : Number(n);
  if (typeof a === 'string' || isObj(a, 'long')) {
    const { unit, count } = typeof a === 'string' ? { unit: a, count: 1 } : a;
    if (unit === '' || times === 0) return '';
    if (unit.length * count * times > 2 ** 47) throw raised('MemoryError');
    return unit.length * count * times < RUN ? unit.repeat(count * times) : { t: 'long', unit, count: count * times };
  }
  if (isObj(a, 'bytes')) {
    if (a.length * times > 2 ** 47) throw raised('MemoryError');
    const uniform = a.data === null || a.data.every((c) => c === a.data![0]);
    if (uniform && a.length * times > 4096) return { t: 'bytes', data: null, length: a.length * times, fill: a.data ? a.data[0]! : a.fill, mutable: a.mutable };
    if (a.length * times > 2 ** 28) throw notModelled('more than 256 MiB of bytes that differ');
    return bytesOf(joinBytes(Array.from({ length: times }, () => dataOf(a))), a.mutable);
  }
  if (!isObj(a, 'list') && !isObj(a, 'tuple')) return undefined;
  if (a.items.length * times * 8 > 2 ** 47) throw raised('MemoryError');
  if (a.items.length * times > ITEMS) throw notModelled(`a ${typeName(a)} of more than ${ITEMS} items`);
  const items: Value[] = [];
  for (let i = 0; i < times; i++) for (const one of a.items) items.push(one);
  vm.cost += items.length;
  return a.t === 'list' ? list(items) : tuple(items);
}

/** [start, stop, step] of a slice over `length` items. Throws TypeError, ValueError. */
export function bounds(s: Slice, length: number): [number, number, number] {
  const part = (v: Value): number | null => {
    if (v === null) return null;
    const n = countOf(v);
    if (n === undefined) throw typeError('slice indices must be integers or None or have an __index__ method');
    return Number(n);
  };
  const step = part(s.step) ?? 1;
  if (step === 0) throw valueError('slice step cannot be zero');
  const clamp = (n: number | null, fallback: number): number => {
    if (n === null) return fallback;
    const at = n < 0 ? n + length : n;
    return step > 0 ? Math.min(Math.max(at, 0), length) : Math.min(Math.max(at, -1), length - 1);
  };
  return [clamp(part(s.lo), step > 0 ? 0 : length - 1), clamp(part(s.hi), step > 0 ? length : -1), step];
}

function sliced<T>(items: ArrayLike<T> & { slice(a: number, b: number): ArrayLike<T> }, s: Slice): ArrayLike<T> {
  const [lo, hi, step] = bounds(s, items.length);
  if (step === 1) return items.slice(lo, Math.max(lo, hi));
  const out: T[] = [];
  for (let i = lo; step > 0 ? i < hi : i > hi; i += step) out.push(items[i]!);
  return out;
}

export function indexIn(what: string, v: Value, length: number, verb = ''): number {
  const n = countOf(v);
  if (n === undefined) throw typeError(what === 'string' ? `string indices must be integers, not '${typeName(v)}'` : `${what} indices must be integers or slices, not ${typeName(v)}`);
  const at = Number(n < 0n ? n + BigInt(length) : n);
  if (at < 0 || at >= length) throw raised('IndexError', `${what === 'byte' ? 'index' : what === 'bytearray' ? 'bytearray index' : `${what}${verb} index`} out of range`);
  return at;
}

/** v[index] of the built-in sequences and dicts; undefined for what has none. */
export function itemOf(v: Value, index: Value): Value | undefined {
  if (typeof v === 'string') {
    const chars = wide(v) ? [...v] : null;
    if (isObj(index, 'slice')) return Array.from(sliced<string>(chars ?? Array.from(v), index)).join('');
    return chars ? chars[indexIn('string', index, chars.length)]! : v[indexIn('string', index, v.length)]!;
  }
  if (typeof v !== 'object' || v === null) return undefined;
  switch (v.t) {
    case 'list': if (v.view) return undefined; return isObj(index, 'slice') ? list(Array.from(sliced(v.items, index))) : v.items[indexIn('list', index, v.items.length)]!;
    case 'tuple': return isObj(index, 'slice') ? tuple(Array.from(sliced(v.items as Value[], index))) : v.items[indexIn('tuple', index, v.items.length)]!;
    case 'bytes':
      if (isObj(index, 'slice')) return bytesSlice(v, index);
      return BigInt(v.data ? v.data[indexIn(v.mutable ? 'bytearray' : 'byte', index, v.length)]! : (indexIn(v.mutable ? 'bytearray' : 'byte', index, v.length), v.fill));
    case 'dict': {
      const found = v.map.get(hashable(index));
      if (!found) throw raised('KeyError', index);
      return found[1];
    }
    case 'range': {
      const length = lengthOf(v)!;
      if (!isObj(index, 'slice')) return v.start + BigInt(indexIn('range object', index, length)) * v.step;
      const [lo, hi, step] = bounds(index, length);
      return { t: 'range', start: v.start + BigInt(lo) * v.step, stop: v.start + BigInt(hi) * v.step, step: v.step * BigInt(step) };
    }
    case 'long': return itemOf(longText(v.unit, v.count), index);
    default: return undefined;
  }
}

function bytesSlice(v: Bytes, index: Slice): Value {
  const [lo, hi, step] = bounds(index, v.length);
  if (v.data === null && step === 1) return { ...v, length: Math.max(0, hi - lo) };
  return bytesOf(Uint8Array.from(sliced<number>(dataOf(v), index) as ArrayLike<number>), v.mutable);
}

/** v[index] = value; false for what takes none. `items` are the value's own, for slices. */
export function setItem(v: Value, index: Value, value: Value, items: readonly Value[] | null): boolean {
  if (typeof v !== 'object' || v === null) return false;
  if (v.t === 'dict') {
    const key = hashable(index);
    const old = v.map.get(key);
    if (old) old[1] = value;
    else v.map.set(key, [index, value]);
    return true;
  }
  if (v.t === 'list') {
    if (isObj(index, 'slice')) spliceList(v.items, index, items!);
    else v.items[indexIn('list', index, v.items.length, ' assignment')] = value;
    return true;
  }
  if (v.t !== 'bytes' || !v.mutable) return false;
  if (isObj(index, 'slice')) {
    const all = Array.from(dataOf(v), (n): Value => BigInt(n));
    spliceList(all, index, isObj(value, 'bytes') ? Array.from(dataOf(value), (n) => BigInt(n)) : items!);
    v.data = Uint8Array.from(all, Number);
    v.length = all.length;
  } else dataOf(v)[indexIn('bytearray', index, v.length)] = byteOf(value);
  return true;
}

export function byteOf(v: Value, what = 'byte'): number {
  const n = countOf(v);
  if (n === undefined) throw typeError(`'${typeName(v)}' object cannot be interpreted as an integer`);
  if (n < 0n || n > 255n) throw valueError(`${what} must be in range(0, 256)`);
  return Number(n);
}

function spliceList(all: Value[], index: Slice, items: readonly Value[]): void {
  const [lo, hi, step] = bounds(index, all.length);
  if (step === 1) {
    const tail = all.slice(Math.max(lo, hi));
    all.length = lo;
    for (const one of items) all.push(one);
    for (const one of tail) all.push(one);
    return;
  }
  const places: number[] = [];
  for (let i = lo; step > 0 ? i < hi : i > hi; i += step) places.push(i);
  if (places.length !== items.length) throw valueError(`attempt to assign sequence of size ${items.length} to extended slice of size ${places.length}`);
  for (const [i, place] of places.entries()) all[place] = items[i]!;
}

/** del v[index]; false for what has none to delete. */
export function deleteItem(v: Value, index: Value): boolean {
  if (isObj(v, 'dict')) {
    if (!v.map.delete(hashable(index))) throw raised('KeyError', index);
    return true;
  }
  if (!isObj(v, 'list')) return false;
  if (!isObj(index, 'slice')) v.items.splice(indexIn('list', index, v.items.length, ' assignment'), 1);
  else {
    const [lo, hi, step] = bounds(index, v.items.length);
    const gone = new Set<number>();
    for (let i = lo; step > 0 ? i < hi : i > hi; i += step) gone.add(i);
    v.items = v.items.filter((_, i) => !gone.has(i));
  }
  return true;
}
