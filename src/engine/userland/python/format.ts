/** Format specifications, % formatting and str.format. Source: Python 3.13 library reference, 6.1.3. Left out: z, locale types. */
import type { Call } from '../lib/http.ts';
import { call, getAttr, methodOf } from './call.ts';
import { raised, typeError, valueError } from './errors.ts';
import { itemOf } from './sequences.ts';
import { floatText, repr, str, stringRepr } from './repr.ts';
import { isObj, type Kw, typeName, type Value } from './values.ts';
import type { Vm } from './vm.ts';

interface Spec {
  fill: string;
  align: string;
  sign: string;
  alternate: boolean;
  width: number;
  group: string;
  precision: number | null;
  type: string;
}

const SPEC = /^(?:([\s\S])?([<>=^]))?([-+ ])?(z)?(#)?(0)?(\d+)?([,_])?(?:\.(\d+))?([a-zA-Z%])?$/u;

function parseSpec(text: string, v: Value): Spec {
  const m = SPEC.exec(text);
  if (!m) throw valueError(`Invalid format specifier '${text}' for object of type '${typeName(v)}'`);
  const zero = m[6] !== undefined;
  return {
    fill: m[1] ?? (zero ? '0' : ' '), align: m[2] ?? (zero && typeof v !== 'string' ? '=' : ''), sign: m[3] ?? '-', alternate: m[5] !== undefined, width: Number(m[7] ?? 0), group: m[8] ?? '',
    precision: m[9] === undefined ? null : Number(m[9]), type: m[10] ?? '',
  };
}

function padded(s: Spec, sign: string, body: string, fallback: string): string {
  const missing = s.width - [...(sign + body)].length;
  if (missing <= 0) return sign + body;
  const align = s.align || fallback;
  if (align === '=') return sign + s.fill.repeat(missing) + body;
  if (align === '<') return sign + body + s.fill.repeat(missing);
  if (align === '>') return s.fill.repeat(missing) + sign + body;
  return s.fill.repeat(Math.floor(missing / 2)) + sign + body + s.fill.repeat(Math.ceil(missing / 2));
}

const grouped = (digits: string, mark: string, every = 3): string => (mark === '' ? digits : digits.replace(new RegExp(`\\B(?=([0-9a-fA-F]{${every}})+(?![0-9a-fA-F]))`, 'g'), mark));

const signOf = (negative: boolean, how: string): string => (negative ? '-' : how === '-' ? '' : how);

/** format(v, spec) of every value. */
export function* format(vm: Vm, v: Value, spec: string): Call<string> {
  if (isObj(v, 'inst') || isObj(v, 'native')) {
    const method = methodOf(v, '__format__');
    if (method !== undefined) return (yield* call(vm, method, [spec])) as string;
  }
  if (spec === '') return yield* str(vm, v);
  if (typeof v === 'string' || isObj(v, 'long')) return formatText(yield* str(vm, v), parseSpec(spec, v));
  if (typeof v === 'bigint' || typeof v === 'boolean') return formatInt(v, parseSpec(spec, v));
  if (typeof v === 'number') return formatFloat(v, parseSpec(spec, v));
  throw typeError(`unsupported format string passed to ${typeName(v)}.__format__`);
}

function formatText(v: string, s: Spec): string {
  if (s.type !== '' && s.type !== 's') throw valueError(`Unknown format code '${s.type}' for object of type 'str'`);
  if (s.align === '=') throw valueError("'=' alignment not allowed in string format specifier");
  return padded(s, '', s.precision === null ? v : [...v].slice(0, s.precision).join(''), '<');
}

const RADIX: Readonly<Record<string, readonly [number, string]>> = { b: [2, '0b'], o: [8, '0o'], x: [16, '0x'], X: [16, '0X'] };

function formatInt(v: bigint | boolean, s: Spec): string {
  const n = BigInt(v);
  if ('eEfFgG%'.includes(s.type) && s.type !== '') return formatFloat(Number(n), s);
  if (typeof v === 'boolean' && s.type === '') return formatText(v ? 'True' : 'False', { ...s, align: s.align === '=' ? '>' : s.align || '>' });
  if (s.precision !== null) throw valueError('Precision not allowed in integer format specifier');
  if (s.type === 'c') return padded(s, '', String.fromCodePoint(Number(n)), '<');
  const radix = RADIX[s.type];
  if (!radix && !['', 'd', 'n'].includes(s.type)) throw valueError(`Unknown format code '${s.type}' for object of type '${typeName(v)}'`);
  const size = n < 0n ? -n : n;
  const digits = size.toString(radix?.[0] ?? 10);
  const body = grouped(s.type === 'X' ? digits.toUpperCase() : digits, s.group, radix ? 4 : 3);
  const sign = signOf(n < 0n, s.sign) + (radix && s.alternate ? radix[1] : '');
  return padded(s, sign, zeroGrouped(s, sign, body, radix ? 4 : 3), '>');
}

/** With fill 0 and a group mark the zeros are grouped too. */
function zeroGrouped(s: Spec, sign: string, body: string, every: number): string {
  if (s.group === '' || s.align !== '=' || s.fill !== '0') return body;
  let digits = body.replaceAll(s.group, '');
  while (sign.length + grouped(digits, s.group, every).length < s.width) digits = `0${digits}`;
  return grouped(digits, s.group, every);
}

function formatFloat(v: number, s: Spec): string {
  const size = Math.abs(v);
  const negative = v < 0 || Object.is(v, -0);
  let body: string;
  if (!Number.isFinite(v)) body = Number.isNaN(v) ? 'nan' : 'inf';
  else body = floatBody(size, s);
  if (s.type === 'E' || s.type === 'F' || s.type === 'G') body = body.toUpperCase();
  const [whole, rest] = body.split(/(?=[.e%])/s).length > 1 ? [body.replace(/[.e%].*$/s, ''), body.replace(/^[^.e%]*/s, '')] : [body, ''];
  const sign = signOf(negative && !Number.isNaN(v), s.sign);
  return padded(s, sign, grouped(whole, s.group) + rest, '>');
}

export function exact(v: number, digits: number): string {
  if (v < 1e15 && digits <= 60 && isTie(v, digits)) return toEven(v, digits);
  if (v < 1e21 && digits <= 100) return v.toFixed(digits);
  return `${BigInt(Math.round(v))}${digits > 0 ? `.${'0'.repeat(digits)}` : ''}`;
}

/** Whether a number lies exactly between two of so many digits. */
const isTie = (v: number, digits: number): boolean => /^\d*\.?\d*50*$/.test(v.toFixed(digits + 40)) && /^50*$/.test(v.toFixed(digits + 40).slice(-40));

function toEven(v: number, digits: number): string {
  const whole = v.toFixed(digits + 40);
  const cut = whole.slice(0, whole.length - 40).replace(/\.$/, '');
  return Number(cut.at(-1)) % 2 === 0 ? cut : v.toFixed(digits);
}

function floatBody(v: number, s: Spec): string {
  const precision = s.precision ?? 6;
  switch (s.type) {
    case 'f': case 'F': return exact(v, precision);
    case '%': return `${exact(v * 100, precision)}%`;
    case 'e': case 'E': return exponent(v.toExponential(precision));
    case 'g': case 'G': return general(v, precision || 1, s.alternate);
    case '':
      if (s.precision === null) return floatText(v);
      return dotted(general(v, precision || 1, false, true));
    case 'n': return general(v, precision || 1, false);
    default: throw valueError(`Unknown format code '${s.type}' for object of type 'float'`);
  }
}

const dotted = (s: string): string => (/[.e]/.test(s) ? s : `${s}.0`);
const exponent = (s: string): string => s.replace(/e([+-])(\d)$/, 'e$10$2');

function general(v: number, precision: number, keep: boolean, early = false): string {
  if (v === 0) return keep ? `0.${'0'.repeat(precision - 1)}` : '0';
  const e = Number(v.toExponential(precision - 1).split('e')[1]);
  const trim = (s: string): string => (keep || !s.includes('.') ? s : s.replace(/\.?0+(?=e|$)/, ''));
  if (e < -4 || e >= (early ? precision - 0 : precision)) return exponent(trim(v.toExponential(precision - 1)));
  return trim(exact(v, Math.max(0, precision - 1 - e)));
}

const PERCENT = /%(?:\(([^)]*)\))?([-+ #0]*)(\*|\d+)?(?:\.(\*|\d+)?)?[hlL]?([\s\S])?/g;

interface Taker {
  next(): Value;
  left(): number;
}

/** text % values. Throws TypeError, ValueError. */
export function* percentFormat(vm: Vm, text: string, values: Value): Call<Value> {
  const items = isObj(values, 'tuple') ? values.items : [values];
  let used = 0;
  let mapped = false;
  const taker: Taker = {
    next: () => {
      if (used >= items.length) throw typeError('not enough arguments for format string');
      return items[used++]!;
    },
    left: () => items.length - used,
  };
  let out = '';
  let last = 0;
  for (const m of text.matchAll(PERCENT)) {
    out += text.slice(last, m.index);
    last = m.index + m[0].length;
    if (m[5] === undefined) throw valueError('incomplete format');
    if (m[5] === '%') {
      out += '%';
      continue;
    }
    let value: Value | undefined;
    if (m[1] !== undefined) {
      if (!isObj(values, 'dict')) throw typeError('format requires a mapping');
      mapped = true;
      value = itemOf(values, m[1]);
    }
    out += yield* conversion(vm, m, taker, value, last);
  }
  if (!mapped && taker.left() > 0 && !isObj(values, 'dict')) throw typeError('not all arguments converted during string formatting');
  return out + text.slice(last);
}

function* conversion(vm: Vm, m: RegExpMatchArray, taker: Taker, given: Value | undefined, end: number): Call<string> {
  const flags = m[2] ?? '';
  const star = (word: string | undefined): number | null => (word === undefined ? null : word === '*' ? Number(taker.next()) : Number(word));
  const width = star(m[3]) ?? 0;
  const precision = m[0].includes('.') ? (star(m[4]) ?? 0) : null;
  const kind = m[5]!;
  const v = given ?? taker.next();
  const left = flags.includes('-') || width < 0;
  const spec: Spec = {
    fill: flags.includes('0') && !left && !'sra'.includes(kind) ? '0' : ' ', align: left ? '<' : flags.includes('0') && !'srac'.includes(kind) ? '=' : '>', sign: flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '-',
    alternate: flags.includes('#'), width: Math.abs(width), group: '', precision, type: kind,
  };
  if ('sra'.includes(kind)) {
    const shown = kind === 's' ? yield* str(vm, v) : kind === 'r' ? yield* repr(vm, v) : typeof v === 'string' ? stringRepr(v, true) : yield* repr(vm, v);
    return padded(spec, '', precision === null ? shown : [...shown].slice(0, precision).join(''), '>');
  }
  if (kind === 'c') return padded(spec, '', typeof v === 'string' ? v : String.fromCodePoint(Number(v)), '>');
  if ('diuxXo'.includes(kind)) return percentInt(spec, kind, v);
  if ('eEfFgG'.includes(kind)) {
    if (typeof v !== 'number' && typeof v !== 'bigint' && typeof v !== 'boolean') throw typeError(`must be real number, not ${typeName(v)}`);
    return formatFloat(Number(v), spec);
  }
  throw valueError(`unsupported format character '${kind}' (0x${kind.charCodeAt(0).toString(16)}) at index ${end - 1}`);
}

function percentInt(spec: Spec, kind: string, v: Value): string {
  const n = typeof v === 'bigint' ? v : typeof v === 'boolean' ? BigInt(v) : typeof v === 'number' && 'diu'.includes(kind) ? BigInt(Math.trunc(v)) : undefined;
  if (n === undefined) throw typeError('diu'.includes(kind) ? `%${kind} format: a real number is required, not ${typeName(v)}` : `%${kind} format: an integer is required, not ${typeName(v)}`);
  const { precision } = spec;
  const made = formatInt(n, { ...spec, type: 'diu'.includes(kind) ? 'd' : kind, precision: null, width: precision === null ? spec.width : 0 });
  return precision === null ? made : padded(spec, '', made.replace(/\d+$/, (d) => d.padStart(precision, '0')), '>');
}

/** text.format(*args, **kw). */
export function* formatMethod(vm: Vm, text: string, args: readonly Value[], kw: Kw): Call<string> {
  let auto = 0;
  let manual = false;
  const expand = function* (source: string, depth: number): Call<string> {
    let out = '';
    for (let i = 0; i < source.length; i++) {
      const c = source[i]!;
      if ((c === '{' || c === '}') && source[i + 1] === c && depth === 0) out += source[i++];
      else if (c === '}') throw valueError("Single '}' encountered in format string");
      else if (c !== '{') out += c;
      else {
        let end = i + 1;
        for (let open = 1; end < source.length; end++) {
          if (source[end] === '{') open++;
          else if (source[end] === '}' && --open === 0) break;
        }
        if (end >= source.length) throw valueError(end === i + 1 ? "Single '{' encountered in format string" : "expected '}' before end of string");
        out += yield* one(source.slice(i + 1, end), depth);
        i = end;
      }
    }
    return out;
  };
  const one = function* (field: string, depth: number): Call<string> {
    const m = /^([^!:]*)(?:!(.))?(?::(.*))?$/s.exec(field)!;
    const [, path = '', how, spec = ''] = m;
    const name = /^[^.[]*/.exec(path)![0];
    let v: Value | undefined;
    if (name === '' || /^\d+$/.test(name)) {
      if (name === '' && manual) throw valueError('cannot switch from manual field specification to automatic field numbering');
      if (name !== '') manual = true;
      v = args[name === '' ? auto++ : Number(name)];
      if (v === undefined) throw raised('IndexError', `Replacement index ${name === '' ? auto - 1 : name} out of range for positional args tuple`);
    } else {
      v = kw.get(name);
      if (v === undefined) throw raised('KeyError', name);
    }
    for (const step of path.slice(name.length).matchAll(/\.([^.[]+)|\[([^\]]+)\]/g)) {
      v = step[1] !== undefined ? yield* getAttr(vm, v, step[1]) : itemOf(v, /^\d+$/.test(step[2]!) ? BigInt(step[2]!) : step[2]!)!;
    }
    const shown: Value = how === 'r' ? yield* repr(vm, v) : how === 's' ? yield* str(vm, v) : v;
    return yield* format(vm, shown, spec.includes('{') ? yield* expand(spec, depth + 1) : spec);
  };
  return yield* expand(text, 0);
}
