/** printf's format, and echo's words. Source: POSIX printf, bash(1) printf and echo. */
import { unescapeAnsi, backslashQuote } from './quote.ts';

export interface Printed {
  text: string;
  /** Complaints, in order: after "NAME: ". */
  faults: string[];
}

/** Formats over and over until the arguments are used up. `clock` is seconds since 1970 for %(…)T. */
export function printf(format: string, args: readonly string[], strftime: (format: string, seconds: number | null) => string): Printed {
  const faults: string[] = [];
  let text = '';
  let at = 0;
  let stopped = false;
  const take = (): string | undefined => args[at++];
  do {
    const before = at;
    text += once(format, take, faults, strftime, () => {
      stopped = true;
    });
    if (stopped || at === before) break;
  } while (at < args.length && text.length < 1_000_000);
  return { text, faults };
}

function once(format: string, take: () => string | undefined, faults: string[], strftime: (f: string, s: number | null) => string, stop: () => void): string {
  let out = '';
  let halted = false;
  const halt = (): void => {
    halted = true;
    stop();
  };
  const pieces = /%%|%([-+ #0']*)(\*|\d+)?(?:\.(\*|-?\d*))?(?:hh?|ll?|[Ljzt])?(\([^)]*\)T|[a-zA-Z])?/g;
  let from = 0;
  for (const m of format.matchAll(pieces)) {
    out += unescapeAnsi(format.slice(from, m.index), 'plain', halt);
    if (halted) return out;
    from = m.index + m[0].length;
    if (m[0] === '%%') {
      out += '%';
      continue;
    }
    const conversion = m[4];
    if (conversion === undefined || !/^([diouxXeEfFgGaAcsbqQ]|\(.*\)T)$/.test(conversion)) {
      faults.push(conversion === undefined ? `\`%': missing format character` : `\`${m[0].at(-1)}': invalid format character`);
      stop();
      return out;
    }
    let flags = m[1]!;
    let width = m[2] === '*' ? integerOf(take() ?? '0', faults) : BigInt(m[2] ?? 0);
    if (width < 0n) {
      flags += '-';
      width = -width;
    }
    const precision = m[3] === undefined ? null : m[3] === '*' ? Number(integerOf(take() ?? '0', faults)) : Number(m[3] || 0);
    out += pad(convert(conversion, flags, precision, take, faults, strftime, halt), flags, Math.min(Number(width), 100_000), /[diouxXeEfFgGaA]/.test(conversion));
    if (halted) return out;
  }
  return out + unescapeAnsi(format.slice(from), 'plain', halt);
}

function pad(text: string, flags: string, width: number, numeric: boolean): string {
  const length = Array.from(text).length;
  if (length >= width) return text;
  if (flags.includes('-')) return text + ' '.repeat(width - length);
  if (flags.includes('0') && numeric) {
    const sign = /^[-+ ]?(0[xX])?/.exec(text)![0];
    return sign + '0'.repeat(width - length) + text.slice(sign.length);
  }
  return ' '.repeat(width - length) + text;
}

function convert(
  conversion: string, flags: string, precision: number | null, take: () => string | undefined, faults: string[], strftime: (f: string, s: number | null) => string, halt: () => void,
): string {
  if (conversion.endsWith('T')) {
    const when = take();
    return strftime(conversion.slice(1, -2) || '%X', when === undefined || when === '-1' ? null : Number(when));
  }
  const cut = (s: string): string => (precision === null || precision < 0 ? s : Array.from(s).slice(0, precision).join(''));
  switch (conversion) {
    case 's': return cut(take() ?? '');
    case 'c': return (take() ?? '').slice(0, 1);
    case 'q': case 'Q': return cut(backslashQuote(take() ?? ''));
    case 'b': return cut(unescapeAnsi(take() ?? '', 'plain', halt));
    case 'd': case 'i': return signed(digits(integerOf(take() ?? '0', faults), 10, precision), flags);
    case 'u': return digits(BigInt.asUintN(64, integerOf(take() ?? '0', faults)), 10, precision);
    case 'o': return (flags.includes('#') ? '0' : '') + digits(BigInt.asUintN(64, integerOf(take() ?? '0', faults)), 8, precision);
    case 'x': return hex(integerOf(take() ?? '0', faults), flags, precision);
    case 'X': return hex(integerOf(take() ?? '0', faults), flags, precision).toUpperCase();
    default: return floating(conversion, floatOf(take() ?? '0', faults), flags, precision);
  }
}

function digits(value: bigint, base: number, precision: number | null): string {
  const text = (value < 0n ? -value : value).toString(base);
  return (value < 0n ? '-' : '') + (precision === null ? text : text.padStart(precision, '0'));
}

const signed = (text: string, flags: string): string => (text.startsWith('-') ? text : flags.includes('+') ? `+${text}` : flags.includes(' ') ? ` ${text}` : text);

function hex(value: bigint, flags: string, precision: number | null): string {
  return (flags.includes('#') && value !== 0n ? '0x' : '') + digits(BigInt.asUintN(64, value), 16, precision);
}

function integerOf(text: string, faults: string[]): bigint {
  const trimmed = text.trimStart();
  if (/^['"]/.test(trimmed)) return BigInt(trimmed.codePointAt(1) ?? 0);
  const match = /^([-+]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*)/.exec(trimmed);
  if (trimmed !== '' && match?.[0] !== trimmed) faults.push(`${text}: invalid number`);
  if (!match) return 0n;
  const body = match[2]!;
  const value = /^0[xX]/.test(body) ? BigInt(body) : body.length > 1 && body.startsWith('0') ? BigInt(`0o${body.slice(1)}`) : BigInt(body);
  return match[1] === '-' ? -value : value;
}

function floatOf(text: string, faults: string[]): number {
  if (/^['"]/.test(text)) return text.codePointAt(1) ?? 0;
  const value = Number(text.trim());
  if (!Number.isNaN(value)) return value;
  const lead = /^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?/.exec(text);
  if (/^\s*[-+]?(inf|nan)/i.test(text)) return /nan/i.test(text) ? Number.NaN : text.includes('-') ? -Infinity : Infinity;
  faults.push(`${text}: invalid number`);
  return lead ? Number(lead[0]) : 0;
}

function floating(conversion: string, value: number, flags: string, precision: number | null): string {
  const places = Math.min(precision ?? 6, 100);
  let text: string;
  if (!Number.isFinite(value)) text = Number.isNaN(value) ? 'nan' : value < 0 ? '-inf' : 'inf';
  else if (/[fF]/.test(conversion)) text = value.toFixed(places);
  else if (/[eE]/.test(conversion)) text = exponent(value.toExponential(places));
  else text = general(value, precision === 0 ? 1 : places, flags.includes('#'));
  return signed(/[EFG]/.test(conversion) ? text.toUpperCase() : text, flags);
}

const exponent = (text: string): string => text.replace(/e([-+])(\d)$/, 'e$10$2');

function general(value: number, significant: number, keep: boolean): string {
  if (value === 0) return '0';
  const power = Number(value.toExponential(Math.max(0, significant - 1)).split('e')[1]);
  if (power < -4 || power >= significant) {
    const text = exponent(value.toExponential(Math.max(0, significant - 1)));
    return keep ? text : text.replace(/\.?0+e/, 'e');
  }
  const text = value.toFixed(Math.max(0, significant - 1 - power));
  return keep || !text.includes('.') ? text : text.replace(/\.?0+$/, '');
}

/** echo: its options and escapes. */
export function echo(words: readonly string[], flavour: 'bash' | 'dash' | 'ash', always: boolean): string {
  let newline = true;
  let escapes = flavour === 'dash' || always;
  let at = 0;
  const letters = flavour === 'dash' ? /^-n$/ : /^-[neE]+$/;
  for (; at < words.length && letters.test(words[at]!); at++) {
    for (const letter of words[at]!.slice(1)) {
      if (letter === 'n') newline = false;
      else escapes = letter === 'e';
    }
  }
  const text = words.slice(at).join(' ');
  let stopped = false;
  const shown = escapes
    ? unescapeAnsi(text, 'zero', () => {
        stopped = true;
      })
    : text;
  return stopped ? shown : shown + (newline ? '\n' : '');
}
