/** repr() and str() of every value. Source: CPython 3.13's own forms. */
import type { Call } from '../lib/http.ts';
import { call, methodOf } from './call.ts';
import { exceptionType, notModelled, typeError, valueError } from './errors.ts';
import { type Bytes, dataOf, type Instance, type Native, type Obj, type Type, typeName, type Value } from './values.ts';
import type { Vm } from './vm.ts';

export function floatText(x: number): string {
  if (Number.isNaN(x)) return 'nan';
  if (!Number.isFinite(x)) return x > 0 ? 'inf' : '-inf';
  if (Number.isInteger(x) && Math.abs(x) < 1e16) return `${Object.is(x, -0) ? '-0' : String(x)}.0`;
  const [mantissa, exponent] = x.toExponential().split('e') as [string, string];
  const e = Number(exponent);
  if (e < -4 || e >= 16) return `${mantissa}e${e < 0 ? '-' : '+'}${String(Math.abs(e)).padStart(2, '0')}`;
  const plain = String(x);
  if (!plain.includes('e')) return plain;
  return x.toFixed(Math.min(100, mantissa.replace(/[-.]/g, '').length - 1 - e));
}

const ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\\': '\\\\' };

const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, '0');

export function stringRepr(s: string, ascii = false): string {
  const quote = s.includes("'") && !s.includes('"') ? '"' : "'";
  let out = quote;
  for (const c of s) {
    const code = c.codePointAt(0)!;
    if (c === quote) out += `\\${c}`;
    else if (ESCAPES[c] !== undefined) out += ESCAPES[c];
    else if (code < 32 || code === 127) out += `\\x${hex(code, 2)}`;
    else if (code < 127) out += c;
    else if (!ascii && /[\p{L}\p{N}\p{P}\p{S}\p{M}]/u.test(c)) out += c;
    else out += code < 256 ? `\\x${hex(code, 2)}` : code < 65536 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
  }
  return out + quote;
}

export function bytesRepr(b: Bytes): string {
  if (b.length > 2 ** 26) throw notModelled('the text of more than 64 MiB of bytes');
  const data = dataOf(b);
  const quote = data.includes(39) && !data.includes(34) ? '"' : "'";
  let out = `b${quote}`;
  for (const code of data) {
    const c = String.fromCharCode(code);
    if (c === quote) out += `\\${c}`;
    else if (ESCAPES[c] !== undefined) out += ESCAPES[c];
    else out += code < 32 || code > 126 ? `\\x${hex(code, 2)}` : c;
  }
  out += quote;
  return b.mutable ? `bytearray(${out})` : out;
}

export const longText = (unit: string, count: number): string => {
  if (unit.length * count > 2 ** 28) throw notModelled('work on the characters of a str of more than 256 MiB');
  return unit.repeat(count);
};

/** The address a value would say it is at: the same for the same value. */
const ADDRESSES = new WeakMap<object, number>();
export function idOf(vm: Vm, v: Value): number {
  const key = typeof v === 'object' && v !== null ? v : null;
  if (!key) return typeof v === 'bigint' ? 0xa51c40 + Number(BigInt.asIntN(24, v)) * 32 : 0xa3f000 + String(v).length * 48;
  let address = ADDRESSES.get(key);
  if (address === undefined) {
    address = 0x7f0000000000 + (vm.addresses = vm.addresses + 0x40);
    ADDRESSES.set(key, address);
  }
  return address;
}
export const addressOf = (vm: Vm, v: Value): string => `0x${hex(idOf(vm, v), 12)}`;

export function* repr(vm: Vm, v: Value): Call<string> {
  if (v === null) return 'None';
  switch (typeof v) {
    case 'boolean': return v ? 'True' : 'False';
    case 'bigint': return intText(v);
    case 'number': return floatText(v);
    case 'string': return stringRepr(v);
    default: return yield* objectRepr(vm, v as Obj);
  }
}

/** int to text; beyond 4300 digits Python refuses. */
export function intText(v: bigint): string {
  const s = v.toString();
  if (s.length > 4301 || (s.length === 4301 && s[0] !== '-')) throw valueError('Exceeds the limit (4300 digits) for integer string conversion; use sys.set_int_max_str_digits() to increase the limit');
  return s;
}

function* objectRepr(vm: Vm, o: Obj): Call<string> {
  if (vm.showing.has(o)) return o.t === 'list' ? '[...]' : o.t === 'dict' ? '{...}' : '...';
  vm.showing.add(o);
  try {
    return yield* shown(vm, o);
  } finally {
    vm.showing.delete(o);
  }
}

function* several(vm: Vm, items: Iterable<Value>): Call<string> {
  const parts: string[] = [];
  for (const item of items) parts.push(yield* repr(vm, item));
  return parts.join(', ');
}

function* shown(vm: Vm, o: Obj): Call<string> {
  switch (o.t) {
    case 'list': return o.view ? `${o.view}([${yield* several(vm, o.items)}])` : `[${yield* several(vm, o.items)}]`;
    case 'tuple': return yield* tupleRepr(vm, o);
    case 'dict': {
      const parts: string[] = [];
      for (const [k, v] of o.map.values()) parts.push(`${yield* repr(vm, k)}: ${yield* repr(vm, v)}`);
      return `{${parts.join(', ')}}`;
    }
    case 'set': {
      if (o.map.size === 0) return o.frozen ? 'frozenset()' : 'set()';
      const inside = `{${yield* several(vm, o.map.values())}}`;
      return o.frozen ? `frozenset(${inside})` : inside;
    }
    case 'bytes': return bytesRepr(o);
    case 'long': return stringRepr(longText(o.unit, o.count));
    case 'range': return `range(${o.start}, ${o.stop}${o.step === 1n ? '' : `, ${o.step}`})`;
    case 'slice': return `slice(${yield* several(vm, [o.lo, o.hi, o.step])})`;
    case 'inst': return yield* instanceRepr(vm, o);
    case 'native': return yield* nativeRepr(vm, o);
    default: return plainRepr(vm, o);
  }
}

function* tupleRepr(vm: Vm, o: Extract<Obj, { t: 'tuple' }>): Call<string> {
  if (!o.fields) return `(${yield* several(vm, o.items)}${o.items.length === 1 ? ',' : ''})`;
  const parts: string[] = [];
  for (const [i, name] of o.fields.names.entries()) if (i < o.items.length) parts.push(`${name}=${yield* repr(vm, o.items[i]!)}`);
  const { type } = o.fields;
  return `${type.module === 'builtins' ? '' : `${type.module}.`}${type.name}(${parts.join(', ')})`;
}

function plainRepr(vm: Vm, o: Obj): string {
  switch (o.t) {
    case 'func': return `<function ${o.qualname} at ${addressOf(vm, o)}>`;
    case 'builtin': return o.self === undefined ? `<built-in function ${o.name}>` : `<built-in method ${o.name} of ${typeName(o.self)} object at ${addressOf(vm, o.self)}>`;
    case 'method': return `<bound method ${o.func !== null && typeof o.func === 'object' && o.func.t === 'func' ? o.func.qualname : '?'} of <${qualified(o.self)} object at ${addressOf(vm, o.self)}>>`;
    case 'type': return `<class '${o.module === 'builtins' ? '' : `${o.module}.`}${o.qualname ?? o.name}'>`;
    case 'module': return o.file === null ? `<module '${o.name}' (built-in)>` : `<module '${o.name}' from '${o.file}'>`;
    case 'special': return o.name;
    default: return `<${typeName(o)} object at ${addressOf(vm, o)}>`;
  }
}

const qualified = (v: Value): string => {
  const type = typeof v === 'object' && v !== null && (v.t === 'inst' || v.t === 'native') ? v.type : null;
  return type ? typePath(type) : typeName(v);
};
export const typePath = (type: Type): string => (type.module === 'builtins' ? (type.qualname ?? type.name) : `${type.module}.${type.qualname ?? type.name}`);

function* nativeRepr(vm: Vm, o: Native): Call<string> {
  const method = methodOf(o, '__repr__');
  if (method !== undefined) return (yield* call(vm, method, [])) as string;
  return `<${typePath(o.type)} object at ${addressOf(vm, o)}>`;
}

function* instanceRepr(vm: Vm, o: Instance): Call<string> {
  const method = methodOf(o, '__repr__');
  if (method !== undefined) {
    const text = yield* call(vm, method, []);
    if (typeof text !== 'string') throw typeError(`__repr__ returned non-string (type ${typeName(text)})`);
    return text;
  }
  if (o.args === undefined) return `<${typePath(o.type)} object at ${addressOf(vm, o)}>`;
  if (o.args.length === 1) return `${o.type.name}(${yield* repr(vm, o.args[0]!)})`;
  return `${o.type.name}(${yield* several(vm, o.args)})`;
}

export function* str(vm: Vm, v: Value): Call<string> {
  if (typeof v === 'string') return v;
  if (typeof v !== 'object' || v === null) return yield* repr(vm, v);
  if (v.t === 'long') return longText(v.unit, v.count);
  if (v.t !== 'inst') return yield* repr(vm, v);
  const method = methodOf(v, '__str__');
  if (method !== undefined) {
    const text = yield* call(vm, method, []);
    if (typeof text !== 'string') throw typeError(`__str__ returned non-string (type ${typeName(text)})`);
    return text;
  }
  if (v.args === undefined || methodOf(v, '__repr__') !== undefined) return yield* repr(vm, v);
  return yield* exceptionText(vm, v);
}

function* exceptionText(vm: Vm, e: Instance): Call<string> {
  const args = e.args!;
  if (e.type.mro.includes(exceptionType('OSError')) && e.attrs.get('errno') !== undefined) {
    const one = e.attrs.get('filename') ?? null;
    const two = e.attrs.get('filename2') ?? null;
    const names = one === null ? '' : `: ${yield* repr(vm, one)}${two === null ? '' : ` -> ${yield* repr(vm, two)}`}`;
    return `[Errno ${yield* str(vm, e.attrs.get('errno')!)}] ${yield* str(vm, e.attrs.get('strerror')!)}${names}`;
  }
  if (args.length === 0) return '';
  if (args.length > 1) return `(${yield* several(vm, args)})`;
  return e.type.mro.includes(exceptionType('KeyError')) ? yield* repr(vm, args[0]!) : yield* str(vm, args[0]!);
}
