/**
 * POSIX regular expressions, basic and extended, with GNU's additions: parsed to a small program and run by backtracking
 * that never enters the same (instruction, position) twice, so a match costs at most program × text and is the longest of
 * the leftmost. Back references cannot be bounded so; they have a limit of steps. Source: regex(7), RE2's bit-state search.
 */
import { type CharSet, compileNode, type Node, type Regex } from './regex-program.ts';

export interface RegexOptions {
  syntax: 'basic' | 'extended' | 'fixed';
  ignoreCase?: boolean;
  multiline?: boolean;
  /** Backslash escapes inside brackets, as awk has them. */
  awk?: boolean;
}

/** What regcomp(3) would say. */
export class BadRegex extends Error {}

interface Parser {
  source: string;
  at: number;
  options: RegexOptions;
  groups: number;
  open: number;
  references: boolean;
}

export function compileRegex(source: string, options: RegexOptions): Regex {
  const parser: Parser = { source, at: 0, options, groups: 0, open: 0, references: false };
  const node: Node = options.syntax === 'fixed' ? { type: 'all', items: [...source].map((c) => ({ type: 'char', char: c })) } : alternatives(parser, 0);
  if (parser.at < source.length && options.syntax !== 'fixed') throw new BadRegex('Unmatched ) or \\)');
  const literal = !options.ignoreCase && node.type === 'all' && node.items.every((i) => i.type === 'char') ? node.items.map((i) => (i as { char: string }).char).join('') : null;
  const program = compileNode(node, options.ignoreCase ?? false);
  if (program.length > 30_000) throw new BadRegex('Regular expression too big');
  return { program, groups: parser.groups, ignoreCase: options.ignoreCase ?? false, multiline: options.multiline ?? false, hasReferences: parser.references, literal };
}

/** Is an operator written plain (extended) or with a backslash (basic) here? */
function operator(p: Parser, char: string): boolean {
  if (p.options.syntax === 'extended') return p.source[p.at] === char;
  return p.source[p.at] === '\\' && p.source[p.at + 1] === char;
}

const width = (p: Parser): number => (p.options.syntax === 'extended' ? 1 : 2);

function alternatives(p: Parser, depth: number): Node {
  if (depth > 200) throw new BadRegex('Regular expression too big');
  const items: Node[] = [sequence(p, depth)];
  while (operator(p, '|')) {
    p.at += width(p);
    items.push(sequence(p, depth));
  }
  return items.length === 1 ? items[0]! : { type: 'any-of', items };
}

function sequence(p: Parser, depth: number): Node {
  const items: Node[] = [];
  // An extended expression's star with nothing before it repeats nothing.
  while (p.options.syntax === 'extended' && /[*+?]/.test(p.source[p.at] ?? '')) p.at++;
  const start = p.at;
  while (p.at < p.source.length && !operator(p, '|')) {
    if (operator(p, ')')) {
      if (depth > 0) break;
      throw new BadRegex('Unmatched ) or \\)');
    }
    const atom = atomOf(p, depth, p.at === start);
    items.push(repeated(p, atom));
  }
  return { type: 'all', items };
}

function atomOf(p: Parser, depth: number, first: boolean): Node {
  const c = p.source[p.at]!;
  const extended = p.options.syntax === 'extended';
  if (operator(p, '(')) {
    p.at += width(p);
    const index = ++p.groups;
    const item = alternatives(p, depth + 1);
    if (!operator(p, ')')) throw new BadRegex('Unmatched ( or \\(');
    p.at += width(p);
    return { type: 'group', index, item };
  }
  if (c === '\\') return escapeOf(p);
  p.at++;
  if (c === '[') return bracket(p);
  if (c === '.') return { type: 'any' };
  if (c === '^' && (extended || first)) return { type: 'assert', kind: 'start' };
  if (c === '$' && (extended || p.at >= p.source.length || /^\\[|)]/.test(p.source.slice(p.at, p.at + 2)))) return { type: 'assert', kind: 'end' };
  return { type: 'char', char: c };
}

const WORD = '[:alnum:]_';

function escapeOf(p: Parser): Node {
  const c = p.source[p.at + 1];
  if (c === undefined) throw new BadRegex('Trailing backslash');
  p.at += 2;
  switch (c) {
    case 'w': return { type: 'set', set: setOf(WORD, false) };
    case 'W': return { type: 'set', set: setOf(WORD, true) };
    case 's': return { type: 'set', set: setOf('[:space:]', false) };
    case 'S': return { type: 'set', set: setOf('[:space:]', true) };
    case 'b': return p.options.awk ? { type: 'char', char: '\b' } : { type: 'assert', kind: 'boundary' };
    case 'B': return { type: 'assert', kind: 'inside' };
    case '<': return { type: 'assert', kind: 'word-start' };
    case '>': return { type: 'assert', kind: 'word-end' };
    case '`': return { type: 'assert', kind: 'buffer-start' };
    case "'": return { type: 'assert', kind: 'buffer-end' };
    case 'n': return { type: 'char', char: '\n' };
    case 't': return { type: 'char', char: '\t' };
    default:
  }
  if (p.options.awk && 'rfva/"'.includes(c)) return { type: 'char', char: { r: '\r', f: '\f', v: '\v', a: '\x07' }[c] ?? c };
  if (/[1-9]/.test(c)) {
    if (Number(c) > p.groups) throw new BadRegex('Invalid back reference');
    p.references = true;
    return { type: 'reference', index: Number(c) };
  }
  return { type: 'char', char: c };
}

function repeated(p: Parser, atom: Node): Node {
  let node = atom;
  for (;;) {
    const bound = boundOf(p, node);
    if (!bound) return node;
    node = { type: 'repeat', item: node, ...bound };
  }
}

function boundOf(p: Parser, atom: Node): { min: number; max: number } | null {
  const extended = p.options.syntax === 'extended';
  // In a basic expression a star with nothing before it is a star.
  const bare = !extended && atom.type === 'assert' && atom.kind === 'start';
  if (p.source[p.at] === '*' && !bare) {
    p.at++;
    return { min: 0, max: -1 };
  }
  for (const [char, bound] of [['+', { min: 1, max: -1 }], ['?', { min: 0, max: 1 }]] as const) {
    if (operator(p, char)) {
      p.at += width(p);
      return { ...bound };
    }
  }
  if (!operator(p, '{')) return null;
  const rest = p.source.slice(p.at + width(p));
  const m = (extended ? /^(\d*)(,?)(\d*)\}/ : /^(\d*)(,?)(\d*)\\\}/).exec(rest);
  if (!m || (m[1] === '' && m[2] === '')) {
    if (extended) return null;
    throw new BadRegex(/\\\}/.test(rest) ? 'Invalid content of \\{\\}' : 'Unmatched { or \\{');
  }
  p.at += width(p) + m[0].length;
  const min = Number(m[1] || 0);
  const max = m[2] === '' ? min : m[3] === '' ? -1 : Number(m[3]);
  if (max >= 0 && min > max) throw new BadRegex('Invalid content of \\{\\}');
  if (Math.max(min, max) > 32767) throw new BadRegex('Regular expression too big');
  return { min, max };
}

const CLASSES: Readonly<Record<string, RegExp>> = {
  alpha: /[A-Za-z\u00aa-\uffff]/, digit: /[0-9]/, alnum: /[A-Za-z0-9\u00aa-\uffff]/, upper: /[A-Z]/, lower: /[a-z]/, space: /[ \t-\r]/, blank: /[ \t]/,
  punct: /[!-/:-@[-`{-~]/, print: /[ -~\u00a0-\uffff]/, graph: /[!-~\u00a1-\uffff]/, cntrl: /[\0-\x1f\x7f]/, xdigit: /[0-9A-Fa-f]/,
};

function setOf(body: string, negated: boolean): CharSet {
  const set: CharSet = { low: new Uint8Array(256), ranges: [], negated };
  for (const m of body.matchAll(/\[:(\w+):\]|(.)/gs)) {
    if (m[1]) addClass(set, m[1]);
    else addRange(set, m[2]!.charCodeAt(0), m[2]!.charCodeAt(0));
  }
  return set;
}

function addClass(set: CharSet, name: string): void {
  const one = CLASSES[name];
  if (!one) throw new BadRegex('Invalid character class name');
  for (let i = 0; i < 256; i++) if (one.test(String.fromCharCode(i))) set.low[i] = 1;
  if (one.test('\u4e00')) set.ranges.push([256, 0xffff]);
}

function addRange(set: CharSet, from: number, to: number): void {
  for (let i = from; i <= Math.min(to, 255); i++) set.low[i] = 1;
  if (to > 255) set.ranges.push([Math.max(from, 256), to]);
}

function bracket(p: Parser): Node {
  const set: CharSet = { low: new Uint8Array(256), ranges: [], negated: false };
  if (p.source[p.at] === '^') {
    set.negated = true;
    p.at++;
  }
  const start = p.at;
  for (;;) {
    const c = p.source[p.at];
    if (c === undefined) throw new BadRegex('Unmatched [, [^, [:, [., or [=');
    if (c === ']' && p.at > start) break;
    if (p.source.startsWith('[:', p.at)) {
      const end = p.source.indexOf(':]', p.at + 2);
      if (end < 0) throw new BadRegex('Unmatched [, [^, [:, [., or [=');
      addClass(set, p.source.slice(p.at + 2, end));
      p.at = end + 2;
      continue;
    }
    const from = bracketChar(p);
    if (p.source[p.at] === '-' && p.source[p.at + 1] !== ']' && p.source[p.at + 1] !== undefined) {
      p.at++;
      const to = bracketChar(p);
      if (to < from) throw new BadRegex('Invalid range end');
      addRange(set, from, to);
    } else addRange(set, from, from);
  }
  p.at++;
  return { type: 'set', set };
}

function bracketChar(p: Parser): number {
  const named = /^\[([.=])(.)\1\]/s.exec(p.source.slice(p.at, p.at + 6));
  if (named) {
    p.at += named[0].length;
    return named[2]!.charCodeAt(0);
  }
  const c = p.source[p.at++]!;
  if (c !== '\\' || !(p.options.awk || /[nt\]\\]/.test(p.source[p.at] ?? ''))) return c.charCodeAt(0);
  const next = p.source[p.at] ?? '';
  if (!p.options.awk && (next === ']' || next === '\\')) return c.charCodeAt(0);
  p.at++;
  return ({ n: '\n', t: '\t', r: '\r', f: '\f', v: '\v' }[next] ?? next).charCodeAt(0);
}
