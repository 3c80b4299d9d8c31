/** printf: formats with the conversions of printf(1), over and over while arguments last. */
import { BadOption } from '../lib/args.ts';
import { command, complain } from '../lib/io.ts';
import { unescaped } from './escapes.ts';
import { curly } from './quote.ts';
import { encoded, putOut } from './streams.ts';

export interface Formatted {
  /** Binary. */
  text: string;
  /** Complaints without the program's name. */
  errors: string[];
}

/** The whole output of `printf FORMAT ARGS…`. */
export function formatted(format: string, args: readonly string[]): Formatted {
  const out: Formatted = { text: '', errors: [] };
  let at = 0;
  do {
    const before = at;
    const pieces = encoded(format).split(/(%(?:%|[-+ #0']*(?:\*|\d+)?(?:\.(?:\*|-?\d+)?)?[a-zA-Z]|[^a-zA-Z]?))/);
    for (const [i, piece] of pieces.entries()) {
      if (i % 2 === 0 || piece === '%%') {
        const literal = i % 2 === 0 ? unescaped(piece, 'printf') : { text: '%', stop: false };
        out.text += literal.text;
        if (literal.stop) return out;
        continue;
      }
      const m = /^%([-+ #0']*)(\*|\d+)?(?:\.(\*|-?\d+)?)?([a-zA-Z])$/.exec(piece);
      if (!m || !'diouxXeEfFgGaAcsbq'.includes(m[4]!)) {
        out.errors.push(`${piece}: invalid conversion specification`);
        return out;
      }
      const next = (): string | undefined => args[at++];
      const width = m[2] === '*' ? toInteger(next() ?? '0', out) : Number(m[2] ?? 0);
      const dotted = piece.includes('.');
      const precision = m[3] === '*' ? toInteger(next() ?? '0', out) : dotted ? Number(m[3] ?? 0) : null;
      const flags = width < 0 ? `${m[1]!}-` : m[1]!;
      const value = one(m[4]!, flags, precision, next(), out);
      out.text += pad(value.text, Math.abs(width), flags, 'diouxXeEfFgG'.includes(m[4]!), precision !== null && 'diouxX'.includes(m[4]!));
      if (value.stop) return out;
    }
    if (at === before) break;
  } while (at < args.length);
  return out;
}

function pad(text: string, width: number, flags: string, number: boolean, exact: boolean): string {
  if (text.length >= width) return text;
  if (flags.includes('-')) return text.padEnd(width);
  if (!flags.includes('0') || !number || exact) return text.padStart(width);
  const sign = /^([-+ ]|0[xX])?/.exec(text)![0];
  return sign + text.slice(sign.length).padStart(width - sign.length, '0');
}

function one(letter: string, flags: string, precision: number | null, arg: string | undefined, out: Formatted): { text: string; stop: boolean } {
  switch (letter) {
    case 's': return plain(cut(encoded(arg ?? ''), precision));
    case 'c': return plain(encoded(arg ?? '').slice(0, 1));
    case 'b': {
      const read = unescaped(encoded(arg ?? ''), 'echo');
      return { text: cut(read.text, precision), stop: read.stop };
    }
    case 'q': return plain(encoded(shellQuoted(arg ?? '')));
    case 'd': case 'i': return plain(integer(toInteger(arg ?? '0', out), flags, precision));
    case 'u': return plain(digits(unsigned(toInteger(arg ?? '0', out)).toString(), precision));
    case 'o': return plain(`${flags.includes('#') ? '0' : ''}${digits(unsigned(toInteger(arg ?? '0', out)).toString(8), precision)}`);
    case 'x': case 'X': {
      const n = unsigned(toInteger(arg ?? '0', out));
      const text = `${flags.includes('#') && n !== 0n ? '0x' : ''}${digits(n.toString(16), precision)}`;
      return plain(letter === 'X' ? text.toUpperCase() : text);
    }
    default: return plain(floating(letter, toFloat(arg ?? '0', out), flags, precision));
  }
}

const plain = (text: string): { text: string; stop: boolean } => ({ text, stop: false });
const cut = (text: string, precision: number | null): string => (precision === null || precision < 0 ? text : text.slice(0, precision));
const digits = (text: string, precision: number | null): string => (precision === null ? text : text.padStart(precision, '0'));
const unsigned = (n: number): bigint => BigInt.asUintN(64, BigInt(n));

function integer(n: number, flags: string, precision: number | null): string {
  const sign = n < 0 ? '-' : flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '';
  return sign + digits(String(Math.abs(n)), precision);
}

/** %e, %f, %g of C for finite and infinite numbers. */
export function floating(letter: string, n: number, flags: string, precision: number | null): string {
  const sign = n < 0 || Object.is(n, -0) ? '-' : flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '';
  const a = Math.abs(n);
  let text: string;
  if (!Number.isFinite(n)) text = Number.isNaN(n) ? 'nan' : 'inf';
  else if (/f/i.test(letter)) text = fixed(a, precision ?? 6);
  else if (/e/i.test(letter)) text = exponent(a.toExponential(Math.min(precision ?? 6, 100)));
  else text = general(a, precision === null ? 6 : Math.max(1, precision), flags.includes('#'));
  return sign + (/[EFGA]/.test(letter) ? text.toUpperCase() : text);
}

/** toFixed, also for numbers beyond 1e21. */
function fixed(a: number, places: number): string {
  return a >= 1e21 ? `${BigInt(a)}${places > 0 ? `.${'0'.repeat(places)}` : ''}` : a.toFixed(Math.min(places, 100));
}

const exponent = (text: string): string => text.replace(/e([-+])(\d)$/, 'e$10$2');

function general(a: number, precision: number, keep: boolean): string {
  if (a === 0) return '0';
  const power = Number(a.toExponential(precision - 1).split('e')[1]);
  const text = power < -4 || power >= precision ? exponent(a.toExponential(precision - 1)) : fixed(a, Math.max(0, precision - 1 - power));
  return keep || !text.includes('.') ? text : text.replace(/\.?0+(?=e|$)/, '');
}

function toInteger(arg: string, out: Formatted): number {
  const quoted = /^["'](.)/su.exec(arg);
  if (quoted) return quoted[1]!.codePointAt(0)!;
  const m = /^\s*([-+]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*)/.exec(arg);
  if (!m) {
    if (arg !== '') out.errors.push(`${curly(arg)}: expected a numeric value`);
    return 0;
  }
  if (m[0].length < arg.length) out.errors.push(`${curly(arg)}: value not completely converted`);
  const value = /^0[0-7]+$/.test(m[2]!) ? Number.parseInt(m[2]!, 8) : Number(m[2]);
  return m[1] === '-' ? -value : value;
}

function toFloat(arg: string, out: Formatted): number {
  const quoted = /^["'](.)/su.exec(arg);
  if (quoted) return quoted[1]!.codePointAt(0)!;
  const m = /^\s*[-+]?(0[xX][0-9a-fA-F]+|(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|inf(inity)?|nan)/i.exec(arg);
  if (!m) {
    if (arg !== '') out.errors.push(`${curly(arg)}: expected a numeric value`);
    return 0;
  }
  if (m[0].length < arg.length) out.errors.push(`${curly(arg)}: value not completely converted`);
  const word = m[0].trim().toLowerCase();
  if (word.includes('inf')) return word.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return Number(word);
}

function shellQuoted(arg: string): string {
  if (/^[A-Za-z0-9_@%+=:,./-]+$/.test(arg)) return arg;
  return arg.includes("'") && !/["$`\\]/.test(arg) ? `"${arg}"` : `'${arg.replaceAll("'", "'\\''")}'`;
}

export const printf = command(function* (argv) {
  const args = argv[1] === '--' ? argv.slice(2) : argv.slice(1);
  if (args.length === 0) throw new BadOption('missing operand');
  const result = formatted(args[0]!, args.slice(1));
  yield* putOut(result.text);
  for (const message of result.errors) yield* complain(`printf: ${message}\n`);
  return result.errors.length > 0 ? 1 : 0;
});
