/** Quoting text so that the shell reads it back, and the escapes of $'…', echo -e and printf. Source: bash(1) QUOTING. */
import { byteChar } from '../../sim/text.ts';

/** As ${x@Q} and declare -p: single quotes, or $'…' where there are control characters. */
export function ansiQuote(text: string): string {
  if (/[\x00-\x1f\x7f]/.test(text)) return dollarQuote(text);
  return `'${text.replace(/'/g, "'\\''")}'`;
}

const NAMED: Record<string, string> = { '\n': '\\n', '\t': '\\t', '\r': '\\r', '\x07': '\\a', '\b': '\\b', '\f': '\\f', '\v': '\\v', '\x1b': '\\E', "'": "\\'", '\\': '\\\\' };

export function dollarQuote(text: string): string {
  return `$'${text.replace(/[\x00-\x1f\x7f'\\]/g, (c) => NAMED[c] ?? `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`)}'`;
}

/** As declare -p and set -x: bare where nothing needs quoting. */
export function plainQuote(text: string): string {
  if (text === '') return "''";
  return /[^A-Za-z0-9_@%+=:,./^-]/.test(text) || text.startsWith('~') ? ansiQuote(text) : text;
}

/** As printf %q: backslashes before what is special. */
export function backslashQuote(text: string): string {
  if (text === '') return "''";
  if (/[\x00-\x1f\x7f]/.test(text)) return dollarQuote(text);
  return text.replace(/[^A-Za-z0-9_@%+=:./\u0080-\uffff-]/g, '\\$&').replace(/^~/, '\\~');
}

export function doubleQuote(text: string): string {
  if (/[\x00-\x1f\x7f]/.test(text)) return dollarQuote(text);
  return `"${text.replace(/["\\$`]/g, '\\$&')}"`;
}

const ESCAPES: Record<string, string> = { a: '\x07', b: '\b', e: '\x1b', E: '\x1b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', '\\': '\\' };

/** Backslash escapes; `octal` says whether \101 needs no zero (printf, $'…') or \0101 (echo -e). \c ends the text: null then follows. */
export function unescapeAnsi(text: string, octal: 'plain' | 'zero' = 'plain', onStop?: () => void): string {
  let out = '';
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (c !== '\\' || i + 1 >= text.length) {
      out += c;
      continue;
    }
    const rest = text.slice(i + 1);
    const number =
      (octal === 'zero' ? /^0([0-7]{0,3})/ : /^0?([0-7]{1,3})/).exec(rest) ?? null;
    const hex = /^x([0-9A-Fa-f]{1,2})|^u([0-9A-Fa-f]{1,4})|^U([0-9A-Fa-f]{1,8})/.exec(rest);
    if (number) {
      out += byteChar(Number.parseInt(number[1] || '0', 8) & 255);
      i += number[0].length;
    } else if (hex) {
      const code = Number.parseInt(hex[1] ?? hex[2] ?? hex[3]!, 16);
      out += hex[1] !== undefined ? byteChar(code) : code <= 0x10ffff ? String.fromCodePoint(code) : '\ufffd';
      i += hex[0].length;
    } else if (rest[0] === 'c' && onStop) {
      onStop();
      return out;
    } else if (rest[0]! in ESCAPES) {
      out += ESCAPES[rest[0]!];
      i++;
    } else out += c;
  }
  return out;
}
