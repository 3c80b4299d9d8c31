/** sed's script as instructions: addresses, commands, labels resolved, braces as jumps. */
import { Failed } from '../lib/io.ts';
import { BadRegex, compileRegex } from './regex.ts';
import type { Regex } from './regex-program.ts';

export type Address =
  | { type: 'line'; n: number }
  | { type: 'last' }
  | { type: 'step'; first: number; step: number }
  | { type: 'regex'; regex: Regex | null }
  /** Second addresses only. */
  | { type: 'plus'; n: number }
  | { type: 'multiple'; n: number };

export interface Substitution {
  regex: Regex | null;
  parts: (string | { group: number } | { change: 'U' | 'L' | 'E' | 'u' | 'l' })[];
  global: boolean;
  print: boolean;
  nth: number;
  file: string | null;
}

export interface Instruction {
  name: string;
  from: Address | null;
  to: Address | null;
  negated: boolean;
  substitution: Substitution | null;
  map: Map<string, string> | null;
  text: string | null;
  number: number | null;
  label: string | null;
  /** Where b, t, T and a block that is not chosen go on. */
  jump: number;
  /** State of a range. */
  active: boolean;
  until: number;
  done: boolean;
}

interface Parser {
  source: string;
  at: number;
  syntax: 'basic' | 'extended';
}

function bad(p: Parser, message: string): Failed {
  return new Failed(`-e expression #1, char ${Math.max(p.at, 0)}: ${message}`);
}

export function compileScript(source: string, syntax: Parser['syntax']): Instruction[] {
  const p: Parser = { source, at: 0, syntax };
  const script: Instruction[] = [];
  const open: Instruction[] = [];
  for (;;) {
    skip(p, /[\s;]/);
    if (p.at >= source.length) break;
    if (source[p.at] === '#') {
      while (p.at < source.length && source[p.at] !== '\n') p.at++;
      continue;
    }
    const i = instruction(p);
    script.push(i);
    if (i.name === '{') open.push(i);
    if (i.name === '}') {
      const begin = open.pop();
      if (!begin) throw bad(p, "unexpected `}'");
      begin.jump = script.length;
    }
  }
  if (open.length > 0) throw new Failed("-e expression #1, char 0: unmatched `{'");
  for (const i of script) {
    if (!'btT'.includes(i.name)) continue;
    if (i.label === null || i.label === '') i.jump = script.length;
    else {
      const at = script.findIndex((x) => x.name === ':' && x.label === i.label);
      if (at < 0) throw new Failed(`-e expression #1, char ${source.length}: can't find label for jump to \`${i.label}'`.replace(/-e expression #1, char \d+: /, ''));
      i.jump = at;
    }
  }
  return script;
}

function skip(p: Parser, what: RegExp): void {
  while (p.at < p.source.length && what.test(p.source[p.at]!)) p.at++;
}

function instruction(p: Parser): Instruction {
  const from = address(p, 'first');
  let to: Address | null = null;
  skip(p, /[ \t]/);
  if (from && p.source[p.at] === ',') {
    p.at++;
    skip(p, /[ \t]/);
    to = address(p, 'second');
    if (!to) {
      p.at++;
      throw bad(p, "unexpected `,'");
    }
  }
  skip(p, /[ \t]/);
  let negated = false;
  while (p.source[p.at] === '!') {
    negated = true;
    p.at++;
    skip(p, /[ \t]/);
  }
  const name = p.source[p.at++];
  if (name === undefined) throw bad({ ...p, at: p.at - 1 }, 'missing command');
  const i: Instruction = { name, from, to, negated, substitution: null, map: null, text: null, number: null, label: null, jump: 0, active: false, until: -1, done: false };
  if (from?.type === 'line' && from.n === 0 && to?.type !== 'regex') throw bad(p, 'invalid usage of line address 0');
  operands(p, i);
  return i;
}

function operands(p: Parser, i: Instruction): void {
  switch (i.name) {
    case '{': return;
    case '}':
      if (i.from) throw bad(p, '} doesn\'t want any addresses');
      ended(p);
      return;
    case '=': case 'd': case 'D': case 'g': case 'G': case 'h': case 'H': case 'n': case 'N': case 'p': case 'P': case 'x': case 'z': ended(p); return;
    case 'q': case 'Q': case 'l': case 'L': {
      skip(p, /[ \t]/);
      const m = /^\d+/.exec(p.source.slice(p.at));
      if (m) {
        i.number = Number(m[0]);
        p.at += m[0].length;
      }
      ended(p);
      return;
    }
    case 'a': case 'i': case 'c': i.text = textOf(p); return;
    case ':': case 'b': case 't': case 'T': {
      skip(p, /[ \t]/);
      const m = (i.name === ':' ? /^[^\n;]*/ : /^[^\n;}]*/).exec(p.source.slice(p.at))![0];
      p.at += m.length;
      i.label = m.trim();
      if (i.name === ':' && i.label === '') throw bad(p, '":" lacks a label');
      return;
    }
    case 'r': case 'R': case 'w': case 'W': {
      skip(p, /[ \t]/);
      i.text = /^[^\n]*/.exec(p.source.slice(p.at))![0];
      p.at += i.text.length;
      if (i.text === '') throw bad(p, 'missing filename in r/R/w/W commands');
      return;
    }
    case 's': i.substitution = substitution(p); return;
    case 'y': i.map = transliteration(p); return;
    default: throw bad(p, `unknown command: \`${i.name}'`);
  }
}

function ended(p: Parser): void {
  skip(p, /[ \t]/);
  const c = p.source[p.at];
  if (c === undefined || c === '}' || c === '#') return;
  p.at++;
  if (c !== ';' && c !== '\n') throw bad(p, 'extra characters after command');
}

function address(p: Parser, which: 'first' | 'second'): Address | null {
  const rest = p.source.slice(p.at);
  const step = which === 'first' ? /^(\d+)~(\d+)/.exec(rest) : null;
  if (step) {
    p.at += step[0].length;
    return { type: 'step', first: Number(step[1]), step: Number(step[2]) };
  }
  const line = /^\d+/.exec(rest);
  if (line) {
    p.at += line[0].length;
    return { type: 'line', n: Number(line[0]) };
  }
  const near = which === 'second' ? /^([+~])(\d+)/.exec(rest) : null;
  if (near) {
    p.at += near[0].length;
    return near[1] === '+' ? { type: 'plus', n: Number(near[2]) } : { type: 'multiple', n: Math.max(1, Number(near[2])) };
  }
  if (rest[0] === '$') {
    p.at++;
    return { type: 'last' };
  }
  if (rest[0] !== '/' && rest[0] !== '\\') return null;
  p.at += rest[0] === '\\' ? 1 : 0;
  const body = delimited(p, 'regex', 'unterminated address regex');
  let flags = '';
  while (/[IM]/.test(p.source[p.at] ?? '')) flags += p.source[p.at++]!;
  return { type: 'regex', regex: regexOf(p, body, flags) };
}

function regexOf(p: Parser, body: string, flags: string): Regex | null {
  if (body === '') return null;
  try {
    return compileRegex(body, { syntax: p.syntax, ignoreCase: /[Ii]/.test(flags), multiline: /[Mm]/.test(flags) });
  } catch (error) {
    if (error instanceof BadRegex) throw bad(p, error.message);
    throw error;
  }
}

/** What stands between this delimiter and the next; `\` before the delimiter takes its meaning away. */
function delimited(p: Parser, kind: 'regex' | 'text', missing: string): string {
  const mark = p.source[p.at++]!;
  let out = '';
  let bracket = false;
  for (;;) {
    const c = p.source[p.at];
    if (c === undefined || (c === '\n' && kind === 'regex')) throw bad(p, missing);
    p.at++;
    if (c === '\\') {
      const next = p.source[p.at++];
      if (next === undefined) throw bad({ ...p, at: p.at - 1 }, missing);
      out += next === mark && !bracket ? (kind === 'regex' && /[.*[\]^$+?(){}|]/.test(mark) ? `[${mark}]` : mark) : kind === 'regex' && next === 'n' && !bracket ? '\n' : `\\${next}`;
      continue;
    }
    if (kind === 'regex') {
      if (bracket && c === ']') bracket = false;
      else if (!bracket && c === '[') {
        bracket = true;
        out += c;
        for (const first of ['^', ']']) {
          if (p.source[p.at] !== first) continue;
          out += first;
          p.at++;
        }
        continue;
      } else if (bracket && c === '[' && /[:.=]/.test(p.source[p.at] ?? '')) {
        const close = p.source.indexOf(`${p.source[p.at]!}]`, p.at + 1);
        if (close > 0) {
          out += p.source.slice(p.at - 1, close + 2);
          p.at = close + 2;
          continue;
        }
      }
    }
    if (c === mark && !bracket) return out;
    out += c;
  }
}

function substitution(p: Parser): Substitution {
  const pattern = delimited(p, 'regex', "unterminated `s' command");
  p.at--;
  const template = delimited(p, 'text', "unterminated `s' command");
  const s: Substitution = { regex: null, parts: [], global: false, print: false, nth: 1, file: null };
  let flags = '';
  for (;;) {
    const c = p.source[p.at] ?? '';
    if (/[gpIiMme]/.test(c)) {
      flags += c;
      p.at++;
    } else if (/\d/.test(c)) {
      const n = /^\d+/.exec(p.source.slice(p.at))![0];
      p.at += n.length;
      s.nth = Number(n);
      if (s.nth === 0) throw bad(p, "number option to `s' command may not be zero");
    } else if (c === 'w') {
      p.at++;
      skip(p, /[ \t]/);
      s.file = /^[^\n]*/.exec(p.source.slice(p.at))![0];
      p.at += s.file.length;
      break;
    } else break;
  }
  skip(p, /[ \t]/);
  const after = p.source[p.at];
  if (after !== undefined && after !== ';' && after !== '\n' && after !== '}' && after !== '#') {
    p.at++;
    throw bad(p, "unknown option to `s'");
  }
  s.global = flags.includes('g');
  s.print = flags.includes('p');
  s.regex = regexOf(p, pattern, flags);
  s.parts = partsOf(template);
  const most = Math.max(0, ...s.parts.map((part) => (typeof part !== 'string' && 'group' in part ? part.group : 0)));
  if (s.regex && most > s.regex.groups) throw bad(p, `invalid reference \\${most} on \`s' command's RHS`);
  return s;
}

function partsOf(template: string): Substitution['parts'] {
  const parts: Substitution['parts'] = [];
  let literal = '';
  const cut = (): void => {
    if (literal !== '') parts.push(literal);
    literal = '';
  };
  for (let i = 0; i < template.length; i++) {
    const c = template[i]!;
    if (c === '&') {
      cut();
      parts.push({ group: 0 });
    } else if (c === '\\' && i + 1 < template.length) {
      const next = template[++i]!;
      if (/\d/.test(next)) {
        cut();
        parts.push({ group: Number(next) });
      } else if (/[ULEul]/.test(next)) {
        cut();
        parts.push({ change: next as 'U' });
      } else literal += { n: '\n', t: '\t', r: '\r', f: '\f', v: '\v', a: '\x07' }[next] ?? next;
    } else literal += c;
  }
  cut();
  return parts;
}

function transliteration(p: Parser): Map<string, string> {
  const plain = (text: string): string[] => [...text.replace(/\\(.)/gs, (_, c: string) => ({ n: '\n', t: '\t', '\\': '\\' })[c] ?? `\\${c}`)];
  const from = plain(delimited(p, 'text', "unterminated `y' command"));
  p.at--;
  const to = plain(delimited(p, 'text', "unterminated `y' command"));
  if (from.length !== to.length) throw bad(p, "strings for `y' command are different lengths");
  ended(p);
  return new Map(from.map((c, i) => [c, to[i]!]));
}

/** The text of a, i, c: on the same line, or after a backslash and a line end; further lines end in backslashes. */
function textOf(p: Parser): string {
  skip(p, /[ \t]/);
  if (p.source[p.at] === '\\') {
    p.at++;
    skip(p, /[ \t]/);
    if (p.source[p.at] === '\n') p.at++;
  }
  if (p.at >= p.source.length) throw bad(p, 'expected \\ after `a\', `c\' or `i\'');
  let out = '';
  for (; p.at < p.source.length; p.at++) {
    const c = p.source[p.at]!;
    if (c === '\n') {
      p.at++;
      break;
    }
    if (c === '\\' && p.at + 1 < p.source.length) {
      p.at++;
      out += p.source[p.at]!;
    } else out += c;
  }
  return out;
}
