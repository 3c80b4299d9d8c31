/**
 * Source text to tokens: logical lines, indentation as tokens of its own, literals. Source: Python 3.13 language reference,
 * chapter 2. Left out: complex numbers, names beyond \w, encodings other than UTF-8.
 */
import { BadSyntax, type Span } from './ast.ts';

export interface Token extends Span {
  type: 'name' | 'number' | 'string' | 'op' | 'newline' | 'indent' | 'dedent' | 'end';
  text: string;
  /** Of a string: its prefix in lower case and what stands between the quotes. */
  prefix?: string;
  body?: string;
  quote?: string;
}

const OPERATORS = [
  '**=', '//=', '>>=', '<<=', '...', '!=', '**', '//', '>>', '<<', '<=', '>=', '==', '->', '+=', '-=', '*=', '/=', '%=', '@=', '&=', '|=', '^=', ':=',
  '+', '-', '*', '/', '%', '@', '&', '|', '^', '~', '<', '>', '(', ')', '[', ']', '{', '}', ',', ':', '.', ';', '=',
];
const CLOSES: Readonly<Record<string, string>> = { ')': '(', ']': '[', '}': '{' };
const NAME = /[\p{L}_][\p{L}\p{N}_]*/uy;
const NUMBER = /0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|(?:\d(?:_?\d)*)?\.\d(?:_?\d)*(?:[eE][+-]?\d(?:_?\d)*)?|\d(?:_?\d)*\.?(?:[eE][+-]?\d(?:_?\d)*)?/y;
const PREFIX = /^(?:[rR]?[bB]|[bB][rR]|[rR]?[fF]|[fF][rR]|[rR]|[uU])?$/;

interface Lexer {
  text: string;
  at: number;
  line: number;
  start: number;
  open: Token[];
  indents: number[];
  out: Token[];
}

export function tokens(text: string): Token[] {
  const { all, unclosed } = lexed(text);
  if (unclosed) throw new BadSyntax(`'${unclosed.text}' was never closed`, unclosed);
  return all;
}

/** The tokens, and the bracket that the text ends within. */
export function lexed(text: string): { all: Token[]; unclosed: Token | undefined } {
  const l: Lexer = { text, at: 0, line: 1, start: 0, open: [], indents: [0], out: [] };
  while (l.at < text.length) {
    if (l.at === l.start && l.open.length === 0 && indentation(l)) continue;
    token(l);
  }
  const unclosed = l.open.at(-1);
  if (l.out.length > 0 && l.out.at(-1)!.type !== 'newline') push(l, 'newline', '', l.at);
  for (let i = 1; i < l.indents.length; i++) push(l, 'dedent', '', l.at);
  push(l, 'end', '', l.at);
  return { all: l.out, unclosed };
}

function push(l: Lexer, type: Token['type'], text: string, from: number, line = l.line, col = from - l.start): Token {
  const token: Token = { type, text, line, col, eline: l.line, ecol: l.at - l.start };
  l.out.push(token);
  return token;
}

function spanAt(l: Lexer, from: number, to = from + 1): Span {
  return { line: l.line, col: from - l.start, eline: l.line, ecol: to - l.start };
}

function newLine(l: Lexer): void {
  l.line++;
  l.start = l.at;
}

/** White space at the start of a logical line; true when the line was blank. */
function indentation(l: Lexer): boolean {
  let width = 0;
  let at = l.at;
  for (; ; at++) {
    if (l.text[at] === ' ') width++;
    else if (l.text[at] === '\t') width = (Math.floor(width / 8) + 1) * 8;
    else if (l.text[at] !== '\f') break;
  }
  const c = l.text[at];
  if (c === undefined || c === '\n' || c === '#' || c === '\r') {
    const end = l.text.indexOf('\n', at);
    l.at = end < 0 ? l.text.length : end + 1;
    if (end >= 0) newLine(l);
    return true;
  }
  l.at = at;
  const now = l.indents.at(-1)!;
  if (width > now) {
    l.indents.push(width);
    push(l, 'indent', '', at);
  } else if (width < now) {
    while (l.indents.at(-1)! > width) {
      l.indents.pop();
      push(l, 'dedent', '', at);
    }
    if (l.indents.at(-1) !== width) {
      const end = l.text.indexOf('\n', at);
      throw new BadSyntax('unindent does not match any outer indentation level', spanAt(l, end < 0 ? l.text.length : end), 'IndentationError');
    }
  }
  return false;
}

function token(l: Lexer): void {
  const { text } = l;
  const c = text[l.at]!;
  if (c === ' ' || c === '\t' || c === '\f' || c === '\r') {
    l.at++;
    if (l.at - 1 === l.start) skipBlanks(l);
    return;
  }
  if (c === '#') {
    const end = text.indexOf('\n', l.at);
    l.at = end < 0 ? text.length : end;
    return;
  }
  if (c === '\n') {
    if (l.open.length === 0 && l.out.length > 0 && l.out.at(-1)!.type !== 'newline') push(l, 'newline', '', l.at);
    l.at++;
    newLine(l);
    return;
  }
  if (c === '\\') {
    if (text[l.at + 1] !== '\n') throw new BadSyntax(l.at + 1 >= text.length ? 'unexpected EOF while parsing' : 'unexpected character after line continuation character', spanAt(l, l.at + 1));
    l.at += 2;
    newLine(l);
    skipBlanks(l);
    return;
  }
  if (word(l)) return;
  if (/[0-9]/.test(c) || (c === '.' && /[0-9]/.test(text[l.at + 1] ?? ''))) return number(l);
  if (c === '"' || c === "'") return string(l, l.at, '');
  operator(l, c);
}

const skipBlanks = (l: Lexer): void => {
  while (l.text[l.at] === ' ' || l.text[l.at] === '\t') l.at++;
};

function word(l: Lexer): boolean {
  NAME.lastIndex = l.at;
  const name = NAME.exec(l.text)?.[0];
  if (name === undefined) return false;
  const from = l.at;
  const after = l.text[from + name.length];
  if ((after === '"' || after === "'") && PREFIX.test(name)) {
    l.at += name.length;
    string(l, from, name.toLowerCase());
    return true;
  }
  l.at += name.length;
  push(l, 'name', name, from);
  return true;
}

function number(l: Lexer): void {
  NUMBER.lastIndex = l.at;
  const found = NUMBER.exec(l.text)![0];
  const from = l.at;
  l.at += found.length;
  const next = l.text[l.at] ?? '';
  if (/[jJ]/.test(next)) throw new BadSyntax('not modelled: complex numbers', spanAt(l, from, l.at + 1));
  const keyword = /^(?:and|or|if|else|in|is|not|for)\b/.test(l.text.slice(l.at, l.at + 5));
  if (/[\p{L}_0-9]/u.test(next) && !keyword) throw new BadSyntax('invalid decimal literal', spanAt(l, l.at - 1, l.at));
  if (/^0[0-9_]*[1-9]/.test(found) && /^\d+$/.test(found)) {
    throw new BadSyntax('leading zeros in decimal integer literals are not permitted; use an 0o prefix for octal integers', spanAt(l, from, from + 1));
  }
  push(l, 'number', found, from);
}

function string(l: Lexer, from: number, prefix: string): void {
  const line = l.line;
  const col = from - l.start;
  const q = l.text[l.at]!;
  const quote = l.text.startsWith(q.repeat(3), l.at) ? q.repeat(3) : q;
  l.at += quote.length;
  const body = l.at;
  for (;;) {
    const c = l.text[l.at];
    if (c === undefined || (c === '\n' && quote.length === 1)) {
      const f = prefix.includes('f') ? 'f-' : '';
      const what = quote.length === 3 ? `unterminated triple-quoted ${f}string literal` : `unterminated ${f}string literal`;
      const last = c === undefined && l.at === l.start && l.line > line ? l.line - 1 : l.line;
      throw new BadSyntax(`${what} (detected at line ${last})`, { line, col, eline: line, ecol: col + 1 });
    }
    if (c === '\\') l.at++;
    if (l.text[l.at] === '\n') {
      l.at++;
      newLine(l);
      continue;
    }
    if (c !== '\\' && l.text.startsWith(quote, l.at)) break;
    l.at++;
  }
  const inside = l.text.slice(body, l.at);
  l.at += quote.length;
  const made = push(l, 'string', l.text.slice(from, l.at), from, line, col);
  made.prefix = prefix;
  made.body = inside;
  made.quote = quote;
}

function operator(l: Lexer, c: string): void {
  const op = OPERATORS.find((one) => l.text.startsWith(one, l.at));
  const from = l.at;
  if (op === undefined) {
    const code = c.codePointAt(0)!;
    const printable = code > 32 && code < 127;
    const span = spanAt(l, from);
    throw new BadSyntax(printable ? 'invalid syntax' : `invalid non-printable character U+${code.toString(16).toUpperCase().padStart(4, '0')}`, span);
  }
  l.at += op.length;
  const made = push(l, 'op', op, from);
  if ('([{'.includes(op) && op.length === 1) l.open.push(made);
  const opener = CLOSES[op];
  if (opener === undefined) return;
  const last = l.open.pop();
  if (!last) throw new BadSyntax(`unmatched '${op}'`, made);
  if (last.text !== opener) {
    const where = last.line === l.line ? '' : ` on line ${last.line}`;
    throw new BadSyntax(`closing parenthesis '${op}' does not match opening parenthesis '${last.text}'${where}`, made);
  }
}
