/** json: dumps, loads, dump, load. Source: Python 3.13 library reference, json. Left out: hooks and encoders of one's own. */
import type { Call } from '../../lib/http.ts';
import { argument, bytesArg, calling, textArg } from '../arguments.ts';
import { call, getAttr } from '../call.ts';
import { decode } from '../codecs.ts';
import { exceptionType, makeException, PyError, raised, typeError } from '../errors.ts';
import { compare } from '../ops.ts';
import { floatText } from '../repr.ts';
import { setItem } from '../sequences.ts';
import { defineType, dict, isObj, type Kw, list, typeName, type Value } from '../values.ts';
import type { Vm } from '../vm.ts';

const BAD = defineType('JSONDecodeError', exceptionType('ValueError'), 'json.decoder');

interface Style {
  indent: string | null;
  item: string;
  key: string;
  sort: boolean;
  ascii: boolean;
}

const ESCAPES: Readonly<Record<string, string>> = { '"': '\\"', '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\b': '\\b', '\f': '\\f' };

function text(s: string, ascii: boolean): string {
  const pattern = ascii ? /["\\\u0000-\u001f\u007f-\uffff]/g : /["\\\u0000-\u001f]/g;
  return `"${s.replace(pattern, (c) => ESCAPES[c] ?? (c === '\x7f' ? c : `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`))}"`;
}

function* keyText(v: Value): Call<string> {
  if (typeof v === 'string') return v;
  if (v === null) return 'null';
  if (typeof v === 'boolean') return v ? 'true' : 'false';
  if (typeof v === 'bigint') return String(v);
  if (typeof v === 'number') return floatText(v);
  throw typeError(`keys must be str, int, float, bool or None, not ${typeName(v)}`);
}

function* write(vm: Vm, v: Value, style: Style, depth: number): Call<string> {
  if (v === null) return 'null';
  if (typeof v === 'boolean') return v ? 'true' : 'false';
  if (typeof v === 'bigint') return String(v);
  if (typeof v === 'number') return Number.isNaN(v) ? 'NaN' : Number.isFinite(v) ? floatText(v) : v > 0 ? 'Infinity' : '-Infinity';
  if (typeof v === 'string') return text(v, style.ascii);
  if (depth > 900) throw raised('ValueError', 'Circular reference detected');
  const inner = style.indent === null ? '' : `\n${style.indent.repeat(depth + 1)}`;
  const outer = style.indent === null ? '' : `\n${style.indent.repeat(depth)}`;
  const parts: string[] = [];
  if (isObj(v, 'list') || isObj(v, 'tuple')) {
    for (const one of v.items) parts.push(yield* write(vm, one, style, depth + 1));
    return parts.length === 0 ? '[]' : `[${inner}${parts.join(style.item + inner)}${outer}]`;
  }
  if (!isObj(v, 'dict')) throw typeError(`Object of type ${typeName(v)} is not JSON serializable`);
  const pairs = [...v.map.values()];
  if (style.sort) {
    const keys: { v: Value; pair: [Value, Value] }[] = pairs.map((pair) => ({ v: pair[0], pair }));
    for (const one of keys) if (one !== keys[0]) yield* compare(vm, '<', one.v, keys[0]!.v);
    pairs.sort(([a], [b]) => (a! < b! ? -1 : a! > b! ? 1 : 0));
  }
  for (const [k, one] of pairs) parts.push(`${text(yield* keyText(k), style.ascii)}${style.key}${yield* write(vm, one, style, depth + 1)}`);
  return parts.length === 0 ? '{}' : `{${inner}${parts.join(style.item + inner)}${outer}}`;
}

function* dumps(vm: Vm, v: Value, kw: Kw): Call<string> {
  const given = kw.get('indent') ?? null;
  const separators = kw.get('separators') ?? null;
  const [item, key] = isObj(separators, 'tuple') ? separators.items.map((one) => textArg(one)) : [given === null ? ', ' : ',', ': '];
  const indent = given === null ? null : typeof given === 'string' ? given : ' '.repeat(Number(given));
  return yield* write(vm, v, { indent, item: item!, key: key!, sort: kw.get('sort_keys') === true, ascii: kw.get('ensure_ascii') !== false }, 0);
}

interface Reader {
  s: string;
  at: number;
}

function bad(r: Reader, message: string, at = r.at): PyError {
  const before = r.s.slice(0, at).split('\n');
  const made = makeException(BAD, [`${message}: line ${before.length} column ${before.at(-1)!.length + 1} (char ${at})`]);
  made.attrs.set('msg', message).set('pos', BigInt(at));
  return new PyError(made);
}

const skip = (r: Reader): void => {
  while (' \t\n\r'.includes(r.s[r.at] ?? 'x')) r.at++;
};

function read(r: Reader): Value {
  const c = r.s[r.at];
  if (c === '{') return readDict(r);
  if (c === '[') return readList(r);
  if (c === '"') return readText(r);
  const word = /^(?:null|true|false|NaN|-?Infinity)/.exec(r.s.slice(r.at, r.at + 9))?.[0];
  if (word !== undefined) {
    r.at += word.length;
    return word === 'null' ? null : word === 'NaN' ? Number.NaN : word.endsWith('Infinity') ? Number(word) : word === 'true';
  }
  const number = /^-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/.exec(r.s.slice(r.at));
  if (!number) throw bad(r, 'Expecting value');
  r.at += number[0].length;
  return number[1] === undefined && number[2] === undefined ? BigInt(number[0]) : Number(number[0]);
}

function readText(r: Reader): string {
  const from = r.at++;
  let out = '';
  for (;;) {
    const c = r.s[r.at++];
    if (c === undefined) throw bad(r, 'Unterminated string starting at', from);
    if (c === '"') return out;
    if (c < ' ') throw bad(r, 'Invalid control character at', r.at - 1);
    if (c !== '\\') {
      out += c;
      continue;
    }
    const e = r.s[r.at++] ?? '';
    const plain = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }[e];
    if (plain !== undefined) out += plain;
    else if (e === 'u' && /^[0-9a-fA-F]{4}/.test(r.s.slice(r.at))) {
      out += String.fromCharCode(Number.parseInt(r.s.slice(r.at, r.at + 4), 16));
      r.at += 4;
    } else throw bad(r, e === 'u' ? 'Invalid \\uXXXX escape' : 'Invalid \\escape', e === 'u' ? r.at : r.at - 2);
  }
}

function readList(r: Reader): Value {
  const out: Value[] = [];
  r.at++;
  skip(r);
  if (r.s[r.at] === ']') {
    r.at++;
    return list(out);
  }
  for (;;) {
    skip(r);
    out.push(read(r));
    skip(r);
    const c = r.s[r.at];
    if (c !== ',' && c !== ']') throw bad(r, "Expecting ',' delimiter");
    r.at++;
    if (c === ']') return list(out);
    const comma = r.at - 1;
    skip(r);
    if (r.s[r.at] === ']') throw bad(r, 'Illegal trailing comma before end of array', comma);
  }
}

function readDict(r: Reader): Value {
  const out = dict();
  r.at++;
  skip(r);
  if (r.s[r.at] === '}') {
    r.at++;
    return out;
  }
  for (;;) {
    skip(r);
    if (r.s[r.at] !== '"') throw bad(r, 'Expecting property name enclosed in double quotes');
    const key = readText(r);
    skip(r);
    if (r.s[r.at] !== ':') throw bad(r, "Expecting ':' delimiter");
    r.at++;
    skip(r);
    setItem(out, key, read(r), null);
    skip(r);
    const c = r.s[r.at];
    if (c !== ',' && c !== '}') throw bad(r, "Expecting ',' delimiter");
    r.at++;
    if (c === '}') return out;
    const comma = r.at - 1;
    skip(r);
    if (r.s[r.at] === '}') throw bad(r, 'Illegal trailing comma before end of object', comma);
  }
}

function loads(v: Value): Value {
  if (typeof v !== 'string' && !isObj(v, 'bytes')) throw typeError(`the JSON object must be str, bytes or bytearray, not ${typeName(v)}`);
  const r: Reader = { s: typeof v === 'string' ? v : decode(bytesArg(v)), at: 0 };
  skip(r);
  const made = read(r);
  skip(r);
  if (r.at < r.s.length) throw bad(r, 'Extra data');
  return made;
}

export function jsonModule(): Map<string, Value> {
  return new Map<string, Value>(Object.entries(calling({
    dumps: function* (vm, a, kw) { return yield* dumps(vm, a[0]!, kw); },
    loads: function* (_vm, a) { return loads(a[0]!); },
    dump: function* (vm, a, kw) {
      yield* call(vm, yield* getAttr(vm, argument(a, kw, 1, 'fp', null), 'write'), [yield* dumps(vm, a[0]!, kw)]);
      return null;
    },
    load: function* (vm, a) { return loads(yield* call(vm, yield* getAttr(vm, a[0]!, 'read'), [])); },
  }))).set('JSONDecodeError', BAD);
}
