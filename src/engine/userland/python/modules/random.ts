/**
 * random: its state comes from the kernel's random source at the first question, or from seed(). Source: Python 3.13 library
 * reference, random. The generator is xorshift, not Mersenne Twister: a seed repeats itself, but not CPython's numbers.
 */
import type { Call } from '../../lib/http.ts';
import { calling, intArg, numberArg } from '../arguments.ts';
import { raised, typeError, valueError } from '../errors.ts';
import { collect, hashable } from '../iterate.ts';
import { lengthOf } from '../sequences.ts';
import { bytesOf, isObj, list, type Value } from '../values.ts';
import type { Vm } from '../vm.ts';
import { randomBytes } from './os.ts';

const MASK = 2n ** 64n - 1n;

function* next64(vm: Vm): Call<bigint> {
  if (!vm.random) {
    let state = 0n;
    for (const b of yield* randomBytes(vm, 8)) state = (state << 8n) | BigInt(b);
    vm.random = { state: state | 1n };
  }
  let x = vm.random.state;
  x ^= x >> 12n;
  x = (x ^ (x << 25n)) & MASK;
  x ^= x >> 27n;
  vm.random.state = x;
  return (x * 0x2545f4914f6cdd1dn) & MASK;
}

function* unit(vm: Vm): Call<number> {
  return Number((yield* next64(vm)) >> 11n) / 2 ** 53;
}

function* below(vm: Vm, n: bigint): Call<bigint> {
  if (n <= 0n) throw valueError('empty range for randrange()');
  return (yield* next64(vm)) % n;
}

function* shuffled(vm: Vm, items: readonly Value[]): Call<Value[]> {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Number(yield* below(vm, BigInt(i + 1)));
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
}

function seeded(v: Value): bigint {
  let h = 0xcbf29ce484222325n;
  for (const c of String(hashable(v))) h = ((h ^ BigInt(c.charCodeAt(0))) * 0x100000001b3n) & MASK;
  return h | 1n;
}

export function randomModule(): Map<string, Value> {
  return new Map<string, Value>(Object.entries(calling({
    seed: function* (vm, a) {
      vm.random = a[0] === undefined || a[0] === null ? null : { state: seeded(a[0]) };
      return null;
    },
    random: function* (vm) { return yield* unit(vm); },
    uniform: function* (vm, a) { return numberArg(a[0]!) + (numberArg(a[1]!) - numberArg(a[0]!)) * (yield* unit(vm)); },
    randint: function* (vm, a) { return BigInt(intArg(a[0]!)) + (yield* below(vm, BigInt(intArg(a[1]!) - intArg(a[0]!) + 1))); },
    randrange: function* (vm, a) {
      const [lo, hi] = a.length === 1 ? [0, intArg(a[0]!)] : [intArg(a[0]!), intArg(a[1]!)];
      const step = a[2] === undefined ? 1 : intArg(a[2]);
      return BigInt(lo) + BigInt(step) * (yield* below(vm, BigInt(Math.ceil((hi - lo) / step))));
    },
    getrandbits: function* (vm, a) {
      let n = 0n;
      for (let left = intArg(a[0]!); left > 0; left -= 64) n = (n << 64n) | (yield* next64(vm));
      return BigInt.asUintN(intArg(a[0]!), n);
    },
    choice: function* (vm, a) {
      if (lengthOf(a[0]!) === 0) throw raised('IndexError', 'Cannot choose from an empty sequence');
      const all = yield* collect(vm, a[0]!);
      return all[Number(yield* below(vm, BigInt(all.length)))]!;
    },
    choices: function* (vm, a, kw) {
      const all = yield* collect(vm, a[0]!);
      const out: Value[] = [];
      for (let i = intArg(kw.get('k') ?? 1n); i > 0; i--) out.push(all[Number(yield* below(vm, BigInt(all.length)))]!);
      return list(out);
    },
    sample: function* (vm, a, kw) {
      const all = yield* collect(vm, a[0]!);
      const count = intArg(a[1] ?? kw.get('k') ?? 0n);
      if (count > all.length) throw valueError('Sample larger than population or is negative');
      return list((yield* shuffled(vm, all)).slice(0, count));
    },
    shuffle: function* (vm, a) {
      if (!isObj(a[0], 'list')) throw typeError('shuffle() takes a list');
      a[0].items = yield* shuffled(vm, a[0].items);
      return null;
    },
    randbytes: function* (vm, a) { return bytesOf(yield* randomBytes(vm, intArg(a[0]!))); },
  })));
}
