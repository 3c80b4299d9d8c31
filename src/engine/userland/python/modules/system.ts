/** sys, time, signal, errno and math. Source: Python 3.13 library reference. Of sys and math only what scripts ask for most. */
import { ERRNO, SIG } from '../../../kernel/abi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import type { Call } from '../../lib/http.ts';
import { calling, intArg, numberArg, plain } from '../arguments.ts';
import { call } from '../call.ts';
import { notModelled, raised, typeError, valueError } from '../errors.ts';
import { sizeOf } from '../heap.ts';
import { builtin, defineType, isObj, list, tuple, type Type, type Value } from '../values.ts';
import { catchUp, failedWith, settle, setSignalRunner, sysc, type Vm } from '../vm.ts';
import { civil, strftime } from './calendar.ts';

export const VERSION = '3.13.5';

function named(type: Type, names: readonly string[], values: readonly Value[]): Value {
  return { ...tuple(values), fields: { type, names } };
}
const VERSION_INFO = defineType('version_info', undefined, 'sys');
const TIME = defineType('struct_time', undefined, 'time');

export function sysModule(vm: Vm): Map<string, Value> {
  const vars = new Map<string, Value>([
    ['argv', list([...vm.argv])], ['path', list([...vm.path])], ['platform', 'linux'], ['maxsize', 2n ** 63n - 1n], ['byteorder', 'little'], ['executable', '/usr/bin/python3'], ['prefix', '/usr'], ['maxunicode', 1114111n],
    ['version', `${VERSION} (main, Jun 25 2025, 18:55:22) [GCC 14.2.0]`], ['version_info', named(VERSION_INFO, ['major', 'minor', 'micro', 'releaselevel', 'serial'], [3n, 13n, 5n, 'final', 0n])],
    ['modules', { t: 'dict', map: new Map() }], ['hexversion', 0x030d05f0n],
  ]);
  for (const [name, f] of Object.entries(plain({
    exit: (_vm, a) => { throw raised('SystemExit', ...a); },
    getsizeof: (_vm, a) => BigInt(sizeOf(a[0]!)),
    getrecursionlimit: () => 1000n,
    setrecursionlimit: () => { throw notModelled('another recursion limit than 1000'); },
    getdefaultencoding: () => 'utf-8', getfilesystemencoding: () => 'utf-8',
    intern: (_vm, a) => a[0]!,
    exc_info: (v) => { const e = v.handling.at(-1); return e ? tuple([e.type, e, null]) : tuple([null, null, null]); },
  }))) vars.set(name, f);
  return vars;
}

/** Sleeps to the end whatever signals come, as PEP 475 has it. */
function* sleep(vm: Vm, v: Value): Call<null> {
  if (typeof v !== 'number' && typeof v !== 'bigint' && typeof v !== 'boolean') throw typeError(`'${isObj(v, 'inst') ? v.type.name : typeof v === 'string' ? 'str' : v === null ? 'NoneType' : 'object'}' object cannot be interpreted as an integer`);
  const seconds = numberArg(v);
  if (seconds < 0) throw valueError('sleep length must be non-negative');
  yield* settle(vm);
  const until = (yield* sys('clock_gettime', 'monotonic')) + seconds * 1e9;
  for (let left = seconds * 1e9; ; left = until - (yield* sys('clock_gettime', 'monotonic'))) {
    try {
      yield* sys('nanosleep', Math.max(0, Math.round(left)));
      if (vm.pending.length > 0) yield* catchUp(vm);
      return null;
    } catch (error) {
      if (!failedWith(error, 'EINTR')) throw error;
      yield* catchUp(vm);
    }
  }
}

const TIME_NAMES = ['tm_year', 'tm_mon', 'tm_mday', 'tm_hour', 'tm_min', 'tm_sec', 'tm_wday', 'tm_yday', 'tm_isdst'];
const clock = (name: 'realtime' | 'monotonic' | 'cpu', ns: boolean) => function* (vm: Vm): Call<Value> {
  const at = yield* sysc(vm, 'clock_gettime', name);
  return ns ? BigInt(Math.round(at)) : at / 1e9;
};

export function timeModule(): Map<string, Value> {
  const fields = function* (vm: Vm, v: Value | undefined): Call<number[]> {
    if (isObj(v, 'tuple')) return v.items.map(intArg);
    return civil(v === undefined || v === null ? (yield* sysc(vm, 'clock_gettime', 'realtime')) / 1e9 : numberArg(v));
  };
  const structure = function* (vm: Vm, a: readonly Value[]): Call<Value> {
    return named(TIME, TIME_NAMES, (yield* fields(vm, a[0])).map((n) => BigInt(n)));
  };
  return new Map<string, Value>([...Object.entries(calling({
    sleep: function* (vm, a) { return yield* sleep(vm, a[0]!); },
    time: clock('realtime', false), time_ns: clock('realtime', true), monotonic: clock('monotonic', false), monotonic_ns: clock('monotonic', true),
    perf_counter: clock('monotonic', false), perf_counter_ns: clock('monotonic', true), process_time: clock('cpu', false), process_time_ns: clock('cpu', true),
    gmtime: structure, localtime: structure,
    strftime: function* (vm, a) { return strftime(String(a[0]), yield* fields(vm, a[1])); },
    ctime: function* (vm, a) { return strftime('%a %b %e %H:%M:%S %Y', yield* fields(vm, a[0])); },
    asctime: function* (vm, a) { return strftime('%a %b %e %H:%M:%S %Y', yield* fields(vm, a[0])); },
  })), ['timezone', 0n], ['tzname', tuple(['UTC', 'UTC'])], ['struct_time', TIME]]);
}

export const errnoModule = (): Map<string, Value> => new Map<string, Value>(Object.entries(ERRNO).map(([name, [n]]): [string, Value] => [name, BigInt(n)]).concat([
  ['EWOULDBLOCK', 11n], ['ENOTSUP', 95n], ['errorcode', { t: 'dict', map: new Map(Object.entries(ERRNO).map(([name, [n]]) => [BigInt(n), [BigInt(n), name]])) }],
]));

// ---- signals: the kernel's handler only notes the number; Python's runs between two statements

const DEFAULT = 0n;
const IGNORE = 1n;

export function* install(vm: Vm, signal: number, handler: Value): Call<void> {
  vm.handlers.set(signal, handler);
  yield* arm(vm, signal);
}

export function* arm(vm: Vm, signal: number): Call<void> {
  const handler = vm.handlers.get(signal)!;
  const own = function* (number: number): Body {
    vm.pending.push(number);
    if (vm.tape) vm.tape.signals.push({ at: vm.tape.requests, signal: number });
  };
  yield* sysc(vm, 'rt_sigaction', signal, { handler: handler === DEFAULT ? 'default' : handler === IGNORE ? 'ignore' : own });
}

setSignalRunner(function* (vm) {
  const signal = vm.pending.shift()!;
  const handler = vm.handlers.get(signal);
  if (handler === undefined || handler === DEFAULT || handler === IGNORE) return;
  yield* call(vm, handler, [BigInt(signal), null]);
});

export const interrupt: Value = builtin('default_int_handler', () => { throw raised('KeyboardInterrupt'); });

export function signalModule(): Map<string, Value> {
  const vars = new Map<string, Value>([['SIG_DFL', DEFAULT], ['SIG_IGN', IGNORE], ['default_int_handler', interrupt], ['NSIG', 65n]]);
  for (const [name, n] of Object.entries(SIG)) vars.set(`SIG${name}`, BigInt(n));
  for (const [name, f] of Object.entries(calling({
    signal: function* (vm, a) {
      const n = intArg(a[0]!);
      if (n < 1 || n > 64) throw valueError('signal number out of range');
      const handler = a[1]!;
      if (handler !== DEFAULT && handler !== IGNORE && !isObj(handler, 'func') && !isObj(handler, 'builtin') && !isObj(handler, 'method') && !isObj(handler, 'type')) {
        throw typeError('signal handler must be signal.SIG_IGN, signal.SIG_DFL, or a callable object');
      }
      const old = vm.handlers.get(n) ?? DEFAULT;
      yield* install(vm, n, handler);
      return old;
    },
    getsignal: function* (vm, a) { return vm.handlers.get(intArg(a[0]!)) ?? DEFAULT; },
    pause: function* (vm) {
      yield* settle(vm);
      try {
        yield* sys('pause');
      } catch (error) {
        if (!failedWith(error, 'EINTR')) throw error;
      }
      yield* catchUp(vm);
      return null;
    },
    alarm: function* (vm, a) { return BigInt(yield* sysc(vm, 'alarm', intArg(a[0]!))); },
    raise_signal: function* (vm, a) {
      yield* sysc(vm, 'kill', yield* sysc(vm, 'getpid'), intArg(a[0]!));
      yield* catchUp(vm);
      return null;
    },
    strsignal: function* (_vm, a) { return `Signal ${intArg(a[0]!)}`; },
  }))) vars.set(name, f);
  return vars;
}

const real = (name: string, f: (x: number) => number): [string, Value] => [name, builtin(name, (_vm, a) => {
  const x = numberArg(a[0]!);
  const y = f(x);
  if (Number.isNaN(y) && !Number.isNaN(x)) throw valueError('math domain error');
  return y;
})];

function integerRoot(n: bigint): bigint {
  if (n < 0n) throw valueError('isqrt() argument must be nonnegative');
  if (n < 2n) return n;
  let x = 1n << BigInt((n.toString(2).length + 1) >> 1);
  for (;;) {
    const y = (x + n / x) >> 1n;
    if (y >= x) return x;
    x = y;
  }
}

const gcd = (a: bigint, b: bigint): bigint => (b === 0n ? (a < 0n ? -a : a) : gcd(b, a % b));

export function mathModule(): Map<string, Value> {
  return new Map<string, Value>([
    ['pi', Math.PI], ['e', Math.E], ['tau', 2 * Math.PI], ['inf', Number.POSITIVE_INFINITY], ['nan', Number.NaN],
    real('sqrt', Math.sqrt), real('sin', Math.sin), real('cos', Math.cos), real('tan', Math.tan), real('exp', Math.exp), real('atan', Math.atan), real('asin', Math.asin), real('acos', Math.acos), real('log2', Math.log2), real('log10', Math.log10), real('fabs', Math.abs),
    ...Object.entries(plain({
      floor: (_vm, a) => BigInt(Math.floor(numberArg(a[0]!))), ceil: (_vm, a) => BigInt(Math.ceil(numberArg(a[0]!))), trunc: (_vm, a) => BigInt(Math.trunc(numberArg(a[0]!))),
      log: (_vm, a) => {
        const [x, base] = [numberArg(a[0]!), a[1] === undefined ? Math.E : numberArg(a[1])];
        if (x <= 0) throw valueError('math domain error');
        return a[1] === undefined ? Math.log(x) : Math.log(x) / Math.log(base);
      },
      pow: (_vm, a) => numberArg(a[0]!) ** numberArg(a[1]!), hypot: (_vm, a) => Math.hypot(...a.map(numberArg)), atan2: (_vm, a) => Math.atan2(numberArg(a[0]!), numberArg(a[1]!)),
      isqrt: (_vm, a) => integerRoot(BigInt(intArg(a[0]!) >= 0 || typeof a[0] === 'bigint' ? (a[0] as bigint) : 0n)),
      gcd: (_vm, a) => a.map((v) => v as bigint).reduce(gcd, 0n),
      factorial: (_vm, a) => { let n = 1n; for (let i = 2n; i <= BigInt(intArg(a[0]!)); i++) n *= i; return n; },
      isnan: (_vm, a) => Number.isNaN(numberArg(a[0]!)), isinf: (_vm, a) => Math.abs(numberArg(a[0]!)) === Number.POSITIVE_INFINITY, isfinite: (_vm, a) => Number.isFinite(numberArg(a[0]!)),
    })),
  ]);
}
