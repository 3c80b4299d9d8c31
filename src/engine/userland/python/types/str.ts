/** Methods of str. Source: Python 3.13 library reference, 4.7. Left out: translate beyond tables of characters, isdecimal's finer classes. */
import type { Call } from '../../lib/http.ts';
import { argument, calling, counted, intArg, plain, textArg } from '../arguments.ts';
import { METHODS } from '../call.ts';
import { encode } from '../codecs.ts';
import { raised, typeError, valueError } from '../errors.ts';
import { formatMethod } from '../format.ts';
import { collect } from '../iterate.ts';
import { bounds, lengthOf } from '../sequences.ts';
import { longText } from '../repr.ts';
import { isObj, list, type Sync, tuple, typeName, type Value } from '../values.ts';
import type { Vm } from '../vm.ts';

const WHITE = ' \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0';

const self = (v: Value): string => (typeof v === 'string' ? v : isObj(v, 'long') ? longText(v.unit, v.count) : textArg(v));

function stripped(s: string, chars: Value, left: boolean, right: boolean): string {
  const set = chars === null ? WHITE : textArg(chars, 'strip arg');
  let a = 0;
  let b = s.length;
  while (left && a < b && set.includes(s[a]!)) a++;
  while (right && b > a && set.includes(s[b - 1]!)) b--;
  return s.slice(a, b);
}

const strip = (left: boolean, right: boolean): Sync => (_vm, args) => stripped(self(args[0]!), args[1] ?? null, left, right);

export function split(s: string, separator: Value, most: number, right: boolean): string[] {
  if (separator === null) return splitWhite(s, most, right);
  const by = textArg(separator, 'must be str or None, not ');
  if (by === '') throw valueError('empty separator');
  const parts = s.split(by);
  if (most < 0 || parts.length <= most + 1) return parts;
  return right ? [parts.slice(0, parts.length - most).join(by), ...parts.slice(parts.length - most)] : [...parts.slice(0, most), parts.slice(most).join(by)];
}

function splitWhite(s: string, most: number, right: boolean): string[] {
  const words = [...s.matchAll(/[^ \t\n\r\x0b\x0c\x1c-\x1f\x85\xa0]+/g)];
  if (most < 0 || words.length <= most) return words.map((m) => m[0]);
  if (right) {
    const cut = words[words.length - most - 1]!;
    const rest = words.slice(words.length - most).map((m) => m[0]);
    return [stripped(s.slice(0, cut.index + cut[0].length), null, true, true), ...rest];
  }
  const cut = words[most]!;
  return [...words.slice(0, most).map((m) => m[0]), stripped(s.slice(cut.index), null, true, false) && s.slice(cut.index).replace(/[ \t\n\r\x0b\x0c]+$/, '')];
}

const splitter = (right: boolean): Sync => (_vm, args, kw) => list(split(self(args[0]!), argument(args, kw, 1, 'sep', null), intArg(argument(args, kw, 2, 'maxsplit', -1n)), right));

export function splitLines(s: string, keep: boolean): string[] {
  const out: string[] = [];
  for (const m of s.matchAll(/([^\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]*)(\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]|$)/g)) {
    if (m[0] === '') break;
    out.push(keep ? m[0] : m[1]!);
  }
  return out;
}

/** start and end arguments of find, count and the like, as offsets. */
function window(args: readonly Value[], length: number): [number, number] {
  const [lo, hi] = bounds({ t: 'slice', lo: args[2] ?? null, hi: args[3] ?? null, step: null }, length);
  return [lo, hi];
}

const finder = (right: boolean, must: boolean): Sync => (_vm, args) => {
  const s = self(args[0]!);
  const part = textArg(args[1]!);
  const [lo, hi] = window(args, s.length);
  const inside = s.slice(lo, Math.max(lo, hi));
  const at = right ? inside.lastIndexOf(part) : inside.indexOf(part);
  if (at < 0 && must) throw valueError('substring not found');
  return BigInt(at < 0 ? -1 : at + lo);
};

const affix = (end: boolean): Sync => (_vm, args) => {
  const s = self(args[0]!);
  const [lo, hi] = window(args, s.length);
  const inside = s.slice(lo, Math.max(lo, hi));
  const tried = isObj(args[1], 'tuple') ? args[1].items : [args[1]!];
  return tried.some((one) => {
    if (typeof one !== 'string') throw typeError(`${end ? 'endswith' : 'startswith'} first arg must be str or a tuple of str, not ${typeName(one)}`);
    return end ? inside.endsWith(one) : inside.startsWith(one);
  });
};

const is = (pattern: RegExp): Sync => (_vm, args) => pattern.test(self(args[0]!));

const pad = (how: 'ljust' | 'rjust' | 'center'): Sync => (_vm, args) => {
  const s = self(args[0]!);
  const width = intArg(args[1]!);
  const fill = args[2] === undefined ? ' ' : textArg(args[2]);
  const missing = Math.max(0, width - lengthOf(s)!);
  if (how === 'ljust') return s + fill.repeat(missing);
  if (how === 'rjust') return fill.repeat(missing) + s;
  const left = Math.floor(missing / 2) + (missing & width & 1);
  return fill.repeat(left) + s + fill.repeat(missing - left);
};

const title = (s: string): string => s.replace(/\p{L}+/gu, (w) => w[0]!.toUpperCase() + w.slice(1).toLowerCase());

function partition(s: string, by: string, right: boolean): Value {
  const at = right ? s.lastIndexOf(by) : s.indexOf(by);
  if (at < 0) return tuple(right ? ['', '', s] : [s, '', '']);
  return tuple([s.slice(0, at), by, s.slice(at + by.length)]);
}

function replaced(s: string, from: string, to: string, most: number): string {
  if (most < 0) return s.replaceAll(from, () => to);
  let out = s;
  let at = 0;
  for (let i = 0; i < most; i++) {
    const found = out.indexOf(from, at);
    if (found < 0) break;
    out = out.slice(0, found) + to + out.slice(found + from.length);
    at = found + to.length + (from === '' ? 1 : 0);
  }
  return out;
}

const TABLE: Readonly<Record<string, Sync>> = {
  upper: (_vm, a) => self(a[0]!).toUpperCase(),
  lower: (_vm, a) => self(a[0]!).toLowerCase(),
  casefold: (_vm, a) => self(a[0]!).toLowerCase(),
  title: (_vm, a) => title(self(a[0]!)),
  capitalize: (_vm, a) => self(a[0]!).slice(0, 1).toUpperCase() + self(a[0]!).slice(1).toLowerCase(),
  swapcase: (_vm, a) => Array.from(self(a[0]!), (c) => (c === c.toUpperCase() ? c.toLowerCase() : c.toUpperCase())).join(''),
  strip: strip(true, true), lstrip: strip(true, false), rstrip: strip(false, true),
  split: splitter(false), rsplit: splitter(true),
  splitlines: (_vm, a, kw) => list(splitLines(self(a[0]!), argument(a, kw, 1, 'keepends', false) === true)),
  find: finder(false, false), rfind: finder(true, false), index: finder(false, true), rindex: finder(true, true),
  startswith: affix(false), endswith: affix(true),
  count: (_vm, a) => {
    const s = self(a[0]!);
    const [lo, hi] = window(a, s.length);
    const part = textArg(a[1]!);
    return BigInt(part === '' ? hi - lo + 1 : s.slice(lo, hi).split(part).length - 1);
  },
  replace: (_vm, a, kw) => {
    counted('replace', a, 2, 3, true);
    return replaced(self(a[0]!), textArg(a[1]!, 'replace() argument 1'), textArg(a[2]!, 'replace() argument 2'), intArg(argument(a, kw, 3, 'count', -1n)));
  },
  ljust: pad('ljust'), rjust: pad('rjust'), center: pad('center'),
  zfill: (_vm, a) => {
    const s = self(a[0]!);
    const sign = /^[+-]/.test(s) ? s[0]! : '';
    return sign + s.slice(sign.length).padStart(intArg(a[1]!) - sign.length, '0');
  },
  partition: (_vm, a) => partition(self(a[0]!), textArg(a[1]!), false),
  rpartition: (_vm, a) => partition(self(a[0]!), textArg(a[1]!), true),
  isdigit: is(/^\p{Nd}+$/u), isdecimal: is(/^\p{Nd}+$/u), isnumeric: is(/^\p{N}+$/u), isalpha: is(/^\p{L}+$/u), isalnum: is(/^[\p{L}\p{N}]+$/u), isspace: is(/^\s+$/u), isascii: is(/^[\0-\x7f]*$/),
  isidentifier: is(/^[\p{L}_][\p{L}\p{N}_]*$/u), isprintable: is(/^[ \p{L}\p{N}\p{P}\p{S}\p{M}]*$/u),
  isupper: (_vm, a) => /\p{Lu}/u.test(self(a[0]!)) && !/\p{Ll}/u.test(self(a[0]!)),
  islower: (_vm, a) => /\p{Ll}/u.test(self(a[0]!)) && !/\p{Lu}/u.test(self(a[0]!)),
  istitle: (_vm, a) => /\p{Lu}/u.test(self(a[0]!)) && title(self(a[0]!)) === self(a[0]!),
  removeprefix: (_vm, a) => (self(a[0]!).startsWith(textArg(a[1]!)) ? self(a[0]!).slice(textArg(a[1]!).length) : self(a[0]!)),
  removesuffix: (_vm, a) => (textArg(a[1]!) !== '' && self(a[0]!).endsWith(textArg(a[1]!)) ? self(a[0]!).slice(0, -textArg(a[1]!).length) : self(a[0]!)),
  expandtabs: (_vm, a, kw) => expandTabs(self(a[0]!), intArg(argument(a, kw, 1, 'tabsize', 8n))),
  encode: (_vm, a, kw) => encode(self(a[0]!), String(argument(a, kw, 1, 'encoding', 'utf-8')), String(argument(a, kw, 2, 'errors', 'strict'))),
  __len__: (_vm, a) => BigInt(lengthOf(a[0]!)!),
  __contains__: (_vm, a) => self(a[0]!).includes(textArg(a[1]!)),
  maketrans: () => { throw raised('NotImplementedError', 'not modelled: str.maketrans'); },
};

function expandTabs(s: string, size: number): string {
  let out = '';
  let col = 0;
  for (const c of s) {
    if (c === '\t') {
      const n = size > 0 ? size - (col % size) : 0;
      out += ' '.repeat(n);
      col += n;
    } else {
      out += c;
      col = c === '\n' ? 0 : col + 1;
    }
  }
  return out;
}

function* join(vm: Vm, args: readonly Value[]): Call<Value> {
  const parts = yield* collect(vm, args[1]!);
  for (const [i, one] of parts.entries()) if (typeof one !== 'string' && !isObj(one, 'long')) throw typeError(`sequence item ${i}: expected str instance, ${typeName(one)} found`);
  return (parts as Value[]).map(self).join(self(args[0]!));
}

METHODS.set('str', {
  ...plain(TABLE),
  ...calling({
    join,
    format: function* (vm, args, kw) { return yield* formatMethod(vm, self(args[0]!), args.slice(1), kw); },
  }),
});
