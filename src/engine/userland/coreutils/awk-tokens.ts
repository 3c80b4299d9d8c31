/** awk's words: names, numbers, strings, regular expressions where one may stand, operators. Source: awk(1p). */
import { Failed } from '../lib/io.ts';

export interface Token {
  kind: 'num' | 'str' | 'regex' | 'name' | 'func' | 'word' | 'op' | 'newline' | 'end';
  text: string;
  line: number;
}

const WORDS = new Set('BEGIN END function func if else while for do break continue next nextfile exit return delete in getline print printf'.split(' '));
export const BUILTINS = new Set('length substr index split sub gsub match sprintf sin cos atan2 exp log sqrt int rand srand tolower toupper system close fflush'.split(' '));

const OPS = ['**=', '&&', '||', '++', '--', '+=', '-=', '*=', '/=', '%=', '^=', '**', '==', '<=', '>=', '!=', '!~', '>>', '{', '}', '(', ')', '[', ']', ';', ',', '+', '-', '*', '/', '%', '^', '!', '>', '<', '|', '?', ':', '~', '$', '='];

export function fault(line: number, message: string): Failed {
  return new Failed(`line ${line}: ${message}`, 2);
}

export function tokens(source: string): Token[] {
  const out: Token[] = [];
  let line = 1;
  let at = 0;
  const push = (kind: Token['kind'], text: string): void => {
    out.push({ kind, text, line });
  };
  while (at < source.length) {
    const c = source[at]!;
    const rest = source.slice(at, at + 400);
    if (c === '\\' && source[at + 1] === '\n') {
      at += 2;
      line++;
    } else if (c === ' ' || c === '\t' || c === '\r') at++;
    else if (c === '#') while (at < source.length && source[at] !== '\n') at++;
    else if (c === '\n') {
      push('newline', '\n');
      line++;
      at++;
    } else if (/[\d.]/.test(c) && /^(\d+\.?\d*|\.\d+)/.test(rest)) {
      const m = /^(0[xX][0-9a-fA-F]+|(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?)/.exec(rest)![0];
      push('num', m);
      at += m.length;
    } else if (/[A-Za-z_]/.test(c)) {
      const m = /^\w+/.exec(rest)![0];
      at += m.length;
      push(WORDS.has(m) ? 'word' : !BUILTINS.has(m) && source[at] === '(' ? 'func' : 'name', m === 'func' ? 'function' : m);
    } else if (c === '"') {
      const [text, end] = quotedText(source, at, line);
      push('str', text);
      at = end;
    } else if (c === '/' && regexAllowed(out.at(-1))) {
      const [text, end] = regexText(source, at, line);
      push('regex', text);
      at = end;
    } else {
      const op = OPS.find((o) => source.startsWith(o, at));
      if (!op) throw fault(line, `syntax error at or near ${c}`);
      push('op', op);
      at += op.length;
    }
  }
  push('end', 'end of file');
  return out;
}

function regexAllowed(before: Token | undefined): boolean {
  if (!before) return true;
  return !(before.kind === 'num' || before.kind === 'str' || before.kind === 'name' || (before.kind === 'op' && [')', ']', '$'].includes(before.text)));
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', f: '\f', v: '\v', a: '\x07', b: '\b', '\\': '\\', '"': '"', '/': '/' };

function quotedText(source: string, from: number, line: number): [string, number] {
  let out = '';
  for (let at = from + 1; at < source.length; at++) {
    const c = source[at]!;
    if (c === '"') return [out, at + 1];
    if (c === '\n') break;
    if (c !== '\\') {
      out += c;
      continue;
    }
    const octal = /^[0-7]{1,3}/.exec(source.slice(at + 1, at + 4));
    if (octal) {
      out += String.fromCharCode(Number.parseInt(octal[0], 8));
      at += octal[0].length;
    } else {
      const next = source[++at] ?? '';
      out += ESCAPES[next] ?? `\\${next}`;
    }
  }
  throw fault(line, `runaway string constant "${source.slice(from + 1, from + 20)} ...`);
}

function regexText(source: string, from: number, line: number): [string, number] {
  let bracket = false;
  for (let at = from + 1; at < source.length; at++) {
    const c = source[at]!;
    if (c === '\n') break;
    if (c === '\\') at++;
    else if (c === '[') {
      if (!bracket && source[at + 1] === ']') at++;
      bracket = true;
    } else if (c === ']') bracket = false;
    else if (c === '/' && !bracket) return [source.slice(from + 1, at).replace(/\\\//g, '/'), at + 1];
  }
  throw fault(line, `runaway regular expression /${source.slice(from + 1, from + 20)} ...`);
}
