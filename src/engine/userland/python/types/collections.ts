/** Methods of list, tuple, dict, set and range. Source: Python 3.13 library reference, 4.6, 4.9, 4.10. Views of dicts are lists of the moment. */
import type { Call } from '../../lib/http.ts';
import { calling, counted, intArg, plain } from '../arguments.ts';
import { call, METHODS } from '../call.ts';
import { raised, typeError, valueError } from '../errors.ts';
import { collect, hashable } from '../iterate.ts';
import { compare, equal, setOp, truth } from '../ops.ts';
import { lengthOf, setItem } from '../sequences.ts';
import { type Async, dict, type Dict, isObj, type List, list, set, type SetObj, type Sync, tuple, typeName, type Value } from '../values.ts';
import { STEP, type Vm } from '../vm.ts';

const items = (v: Value): Value[] => (v as List).items;

/** Sorts by <, stable, as sorted() does. */
export function* sortValues(vm: Vm, values: readonly Value[], key: Value, reverse: boolean): Call<Value[]> {
  const keyed: { v: Value; k: Value }[] = [];
  for (const v of values) keyed.push({ v, k: key === null ? v : yield* call(vm, key, [v]) });
  if (reverse) keyed.reverse();
  const sorted = yield* mergeSort(vm, keyed);
  if (reverse) sorted.reverse();
  return sorted.map((one) => one.v);
}

function* mergeSort(vm: Vm, all: { v: Value; k: Value }[]): Call<{ v: Value; k: Value }[]> {
  const first = all[0]?.k;
  const alike = typeof first === 'string' || typeof first === 'bigint' ? all.every((one) => typeof one.k === typeof first) : false;
  vm.cost += all.length * Math.ceil(Math.log2(all.length + 1)) * STEP;
  if (alike) return [...all].sort((a, b) => (a.k! < b.k! ? -1 : a.k! > b.k! ? 1 : 0));
  if (all.length < 2) return [...all];
  const half = all.length >> 1;
  const left = yield* mergeSort(vm, all.slice(0, half));
  const right = yield* mergeSort(vm, all.slice(half));
  const out: { v: Value; k: Value }[] = [];
  let i = 0;
  let j = 0;
  while (i < left.length && j < right.length) {
    if (yield* truth(vm, yield* compare(vm, '<', right[j]!.k, left[i]!.k))) out.push(right[j++]!);
    else out.push(left[i++]!);
  }
  return [...out, ...left.slice(i), ...right.slice(j)];
}

function* indexOf(vm: Vm, values: readonly Value[], wanted: Value): Call<number> {
  for (const [i, v] of values.entries()) if (yield* equal(vm, v, wanted)) return i;
  return -1;
}

const SEQUENCE: Readonly<Record<string, Async>> = {
  index: function* (vm, a) {
    const at = yield* indexOf(vm, items(a[0]!), a[1]!);
    if (at < 0) throw valueError(isObj(a[0], 'list') ? `${typeof a[1] === 'string' || typeof a[1] === 'bigint' ? (typeof a[1] === 'string' ? `'${a[1]}'` : String(a[1])) : typeName(a[1]!)} is not in list` : 'tuple.index(x): x not in tuple');
    return BigInt(at);
  },
  count: function* (vm, a) {
    let n = 0n;
    for (const v of items(a[0]!)) if (yield* equal(vm, v, a[1]!)) n++;
    return n;
  },
};

METHODS.set('tuple', calling(SEQUENCE));
METHODS.set('range', calling({
  index: function* (vm, a) { return BigInt(yield* indexOf(vm, yield* collect(vm, a[0]!), a[1]!)); },
  count: function* (vm, a) { return BigInt((yield* indexOf(vm, yield* collect(vm, a[0]!), a[1]!)) < 0 ? 0 : 1); },
}));
METHODS.set('list', {
  ...calling({
    ...SEQUENCE,
    extend: function* (vm, a) {
      for (const v of yield* collect(vm, a[1]!)) items(a[0]!).push(v);
      return null;
    },
    remove: function* (vm, a) {
      const at = yield* indexOf(vm, items(a[0]!), a[1]!);
      if (at < 0) throw valueError('list.remove(x): x not in list');
      items(a[0]!).splice(at, 1);
      return null;
    },
    sort: function* (vm, a, kw) {
      if (a.length > 1) throw typeError('sort() takes no positional arguments');
      const sorted = yield* sortValues(vm, items(a[0]!), kw.get('key') ?? null, yield* truth(vm, kw.get('reverse') ?? false));
      (a[0] as List).items = sorted;
      return null;
    },
  }),
  ...plain({
    append: (vm, a) => {
      counted('list.append', a, 1, 1, true);
      items(a[0]!).push(a[1]!);
      vm.heap.since += 8;
      return null;
    },
    insert: (_vm, a) => {
      counted('insert', a, 2, 2, true);
      const at = intArg(a[1]!);
      items(a[0]!).splice(at < 0 ? Math.max(0, at + items(a[0]!).length) : at, 0, a[2]!);
      return null;
    },
    pop: (_vm, a) => {
      const all = items(a[0]!);
      if (all.length === 0) throw raised('IndexError', 'pop from empty list');
      if (a.length < 2) return all.pop()!;
      const at = intArg(a[1]!);
      const real = at < 0 ? at + all.length : at;
      if (real < 0 || real >= all.length) throw raised('IndexError', 'pop index out of range');
      return all.splice(real, 1)[0]!;
    },
    clear: (_vm, a) => {
      items(a[0]!).length = 0;
      return null;
    },
    copy: (_vm, a) => list([...items(a[0]!)]),
    reverse: (_vm, a) => {
      items(a[0]!).reverse();
      return null;
    },
  }),
});

const pairs = (v: Value): Map<unknown, [Value, Value]> => (v as Dict).map;

/** Takes what dict() and update() take into a dict. */
export function* fill(vm: Vm, into: Dict, source: Value | undefined, kw: ReadonlyMap<string, Value>): Call<void> {
  if (isObj(source, 'dict')) for (const [k, v] of source.map.values()) setItem(into, k, v, null);
  else if (source !== undefined) {
    for (const [i, pair] of (yield* collect(vm, source)).entries()) {
      if (lengthOf(pair) === undefined) throw typeError(`cannot convert dictionary update sequence element #${i} to a sequence`);
      const two = yield* collect(vm, pair);
      if (two.length !== 2) throw valueError(`dictionary update sequence element #${i} has length ${two.length}; 2 is required`);
      setItem(into, two[0]!, two[1]!, null);
    }
  }
  for (const [k, v] of kw) setItem(into, k, v, null);
}

const DICT: Readonly<Record<string, Sync>> = {
  keys: (_vm, a) => view('dict_keys', [...pairs(a[0]!).values()].map(([k]) => k)),
  values: (_vm, a) => view('dict_values', [...pairs(a[0]!).values()].map(([, v]) => v)),
  items: (_vm, a) => view('dict_items', [...pairs(a[0]!).values()].map((p) => tuple([...p]))),
  get: (_vm, a) => {
    counted('get', a, 1, 2, true);
    const found = pairs(a[0]!).get(hashable(a[1]!));
    return found ? found[1] : (a[2] ?? null);
  },
  setdefault: (_vm, a) => {
    const found = pairs(a[0]!).get(hashable(a[1]!));
    if (found) return found[1];
    setItem(a[0]!, a[1]!, a[2] ?? null, null);
    return a[2] ?? null;
  },
  pop: (_vm, a) => {
    const key = hashable(a[1]!);
    const found = pairs(a[0]!).get(key);
    if (!found && a.length < 3) throw raised('KeyError', a[1]!);
    pairs(a[0]!).delete(key);
    return found ? found[1] : a[2]!;
  },
  popitem: (_vm, a) => {
    const last = [...pairs(a[0]!).entries()].at(-1);
    if (!last) throw raised('KeyError', 'popitem(): dictionary is empty');
    pairs(a[0]!).delete(last[0]);
    return tuple([...last[1]]);
  },
  clear: (_vm, a) => {
    pairs(a[0]!).clear();
    return null;
  },
  copy: (_vm, a) => ({ t: 'dict', map: new Map([...(a[0] as Dict).map].map(([k, p]) => [k, [...p] as [Value, Value]])) }),
};

/** keys(), values(), items(): a list that shows itself as the view it stands for. */
const view = (name: string, values: Value[]): Value => ({ t: 'list', items: values, view: name });

METHODS.set('dict', {
  ...plain(DICT),
  ...calling({
    update: function* (vm, a, kw) {
      yield* fill(vm, a[0] as Dict, a[1], kw);
      return null;
    },
    fromkeys: function* (vm, a) {
      const made = dict();
      for (const k of yield* collect(vm, a[0]!)) setItem(made, k, a[1] ?? null, null);
      return made;
    },
  }),
});

const members = (v: Value): SetObj => v as SetObj;

const setMethod = (op: string, update: boolean): Async => function* (vm, a) {
  const self = members(a[0]!);
  let made: SetObj = { t: 'set', map: new Map(self.map), frozen: self.frozen };
  for (const other of a.slice(1)) made = setOp(op, made, yield* asSet(vm, other)) as SetObj;
  if (!update) return made;
  self.map = made.map;
  return null;
};

export function* asSet(vm: Vm, v: Value, frozen = false): Call<SetObj> {
  const made = set(frozen);
  for (const one of yield* collect(vm, v)) made.map.set(hashable(one), one);
  return made;
}

const relation = (op: string): Async => function* (vm, a) {
  return yield* compare(vm, op, a[0]!, yield* asSet(vm, a[1]!));
};

const SET = {
  ...calling({
    union: setMethod('|', false), intersection: setMethod('&', false), difference: setMethod('-', false), symmetric_difference: setMethod('^', false),
    issubset: relation('<='), issuperset: relation('>='),
    isdisjoint: function* (vm, a) {
      return (setOp('&', members(a[0]!), yield* asSet(vm, a[1]!)) as SetObj).map.size === 0;
    },
  }),
  ...plain({ copy: (_vm, a) => ({ t: 'set', map: new Map(members(a[0]!).map), frozen: members(a[0]!).frozen }) }),
};
METHODS.set('frozenset', SET);
METHODS.set('set', {
  ...SET,
  ...calling({ update: setMethod('|', true), intersection_update: setMethod('&', true), difference_update: setMethod('-', true) }),
  ...plain({
    add: (_vm, a) => {
      members(a[0]!).map.set(hashable(a[1]!), a[1]!);
      return null;
    },
    discard: (_vm, a) => {
      members(a[0]!).map.delete(hashable(a[1]!));
      return null;
    },
    remove: (_vm, a) => {
      if (!members(a[0]!).map.delete(hashable(a[1]!))) throw raised('KeyError', a[1]!);
      return null;
    },
    pop: (_vm, a) => {
      const first = members(a[0]!).map.entries().next();
      if (first.done) throw raised('KeyError', 'pop from an empty set');
      members(a[0]!).map.delete(first.value[0]);
      return first.value[1];
    },
    clear: (_vm, a) => {
      members(a[0]!).map.clear();
      return null;
    },
  }),
});
