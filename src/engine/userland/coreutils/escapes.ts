/** Backslash escapes of echo -e, printf and tr, as binary strings. */
import { encoded } from './streams.ts';

const SIMPLE: Readonly<Record<string, string>> = {
  '\\': '\\', a: '\x07', b: '\b', e: '\x1b', E: '\x1b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', '"': '"', "'": "'",
};

export interface Unescaped {
  text: string;
  /** \c was met: print nothing more. */
  stop: boolean;
}

/** `style`: echo and %b take \0NNN, a printf format \NNN; \xHH, \uHHHH and \UHHHHHHHH in both. */
export function unescaped(source: string, style: 'echo' | 'printf'): Unescaped {
  let out = '';
  for (let i = 0; i < source.length; i++) {
    const c = source[i]!;
    if (c !== '\\' || i + 1 >= source.length) {
      out += c;
      continue;
    }
    const rest = source.slice(i + 1);
    if (rest[0] === 'c') return { text: out, stop: true };
    const octal = style === 'echo' ? /^0([0-7]{0,3})/.exec(rest) : /^([0-7]{1,3})/.exec(rest);
    const hex = /^x([0-9a-fA-F]{1,2})/.exec(rest);
    const wide = /^(?:u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8}))/.exec(rest);
    if (octal) {
      out += String.fromCharCode(Number.parseInt(octal[1] || '0', 8) & 255);
      i += octal[0].length;
    } else if (hex) {
      out += String.fromCharCode(Number.parseInt(hex[1]!, 16));
      i += hex[0].length;
    } else if (wide) {
      const point = Number.parseInt(wide[1] ?? wide[2]!, 16);
      out += encoded(point <= 0x10ffff ? String.fromCodePoint(point) : '?');
      i += wide[0].length;
    } else if (SIMPLE[rest[0]!] !== undefined && !(style === 'echo' && /["']/.test(rest[0]!))) {
      out += SIMPLE[rest[0]!]!;
      i++;
    } else {
      out += `\\${rest[0]!}`;
      i++;
    }
  }
  return { text: out, stop: false };
}
