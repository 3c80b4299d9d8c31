/** Methods of bytes and bytearray, by way of text of one character a byte. Source: Python 3.13 library reference, 4.8. */
import { argument, bytesArg, intArg, plain } from '../arguments.ts';
import { METHODS } from '../call.ts';
import { decode } from '../codecs.ts';
import { typeError, valueError } from '../errors.ts';
import { byteOf } from '../sequences.ts';
import { type Builtin, type Bytes, bytesOf, dataOf, isObj, list, type Sync, tuple, typeName, type Value } from '../values.ts';
import type { Vm } from '../vm.ts';
import './str.ts';

export const latin = (data: Uint8Array): string => {
  let out = '';
  for (let i = 0; i < data.length; i += 4096) out += String.fromCharCode(...data.subarray(i, i + 4096));
  return out;
};
export const unlatin = (s: string): Uint8Array => Uint8Array.from(s, (c) => c.charCodeAt(0));

function asText(v: Value): Value {
  if (isObj(v, 'bytes')) return latin(dataOf(v));
  if (isObj(v, 'tuple')) return tuple(v.items.map(asText));
  if (isObj(v, 'list')) return list(v.items.map(asText));
  if (typeof v === 'string') throw typeError("a bytes-like object is required, not 'str'");
  return v;
}

function asBytes(v: Value, mutable: boolean): Value {
  if (typeof v === 'string') return bytesOf(unlatin(v), mutable);
  if (isObj(v, 'list')) return list(v.items.map((one) => asBytes(one, mutable)));
  if (isObj(v, 'tuple')) return tuple(v.items.map((one) => asBytes(one, mutable)));
  return v;
}

/** A method of str, done on bytes. */
function borrowed(name: string): Sync {
  return (vm: Vm, args, kw) => {
    const method = METHODS.get('str')![name]!.call!;
    return asBytes(method(vm, args.map(asText), kw), (args[0] as Bytes).mutable);
  };
}
const BORROWED = [
  'upper', 'lower', 'strip', 'lstrip', 'rstrip', 'split', 'rsplit', 'splitlines', 'find', 'rfind', 'index', 'rindex', 'startswith', 'endswith', 'count', 'replace', 'ljust', 'rjust', 'center', 'zfill', 'partition',
  'rpartition', 'isdigit', 'isalpha', 'isalnum', 'isspace', 'isupper', 'islower', 'removeprefix', 'removesuffix', 'title', 'capitalize',
];

const hexText = (data: Uint8Array, by: string): string => Array.from(data, (b) => b.toString(16).padStart(2, '0')).join(by);

const SHARED: Record<string, Builtin> = plain({
  ...Object.fromEntries(BORROWED.map((name) => [name, borrowed(name)])),
  decode: (_vm, a, kw) => decode(bytesArg(a[0]!), String(argument(a, kw, 1, 'encoding', 'utf-8')), String(argument(a, kw, 2, 'errors', 'strict'))),
  hex: (_vm, a) => hexText(bytesArg(a[0]!), typeof a[1] === 'string' ? a[1] : ''),
  join: (_vm, a) => {
    const parts = isObj(a[1], 'list') || isObj(a[1], 'tuple') ? a[1].items : [];
    for (const [i, one] of parts.entries()) if (!isObj(one, 'bytes')) throw typeError(`sequence item ${i}: expected a bytes-like object, ${typeName(one)} found`);
    return bytesOf(unlatin(parts.map((one) => latin(bytesArg(one))).join(latin(bytesArg(a[0]!)))), (a[0] as Bytes).mutable);
  },
  fromhex: (_vm, a) => {
    const text = String(a.at(-1)).replace(/\s/g, '');
    if (!/^([0-9a-fA-F]{2})*$/.test(text)) throw valueError(`non-hexadecimal number found in fromhex() arg at position ${text.search(/[^0-9a-fA-F]/)}`);
    return bytesOf(Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)));
  },
});
METHODS.set('bytes', SHARED);

/** Puts new content into a bytearray. */
function become(v: Value, data: Uint8Array): null {
  Object.assign(v as Bytes, { data, length: data.length });
  return null;
}
METHODS.set('bytearray', {
  ...SHARED,
  ...plain({
    append: (_vm, a) => become(a[0]!, Uint8Array.from([...bytesArg(a[0]!), byteOf(a[1]!)])),
    extend: (_vm, a) => {
      const more = isObj(a[1], 'bytes') ? [...dataOf(a[1])] : isObj(a[1], 'list') || isObj(a[1], 'tuple') ? a[1].items.map((one) => byteOf(one)) : [];
      return become(a[0]!, Uint8Array.from([...bytesArg(a[0]!), ...more]));
    },
    pop: (_vm, a) => {
      const data = [...bytesArg(a[0]!)];
      const [gone] = data.splice(a.length > 1 ? intArg(a[1]!) : -1, 1);
      become(a[0]!, Uint8Array.from(data));
      return BigInt(gone!);
    },
    clear: (_vm, a) => become(a[0]!, new Uint8Array(0)),
  }),
});
