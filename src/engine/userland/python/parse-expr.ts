/** Expressions by precedence climbing. Source: Python 3.13 language reference, chapter 6. Left out: await, asynchronous comprehensions. */
import { type Arg, BadSyntax, type Expr, type FPart, type Span } from './ast.ts';
import { type Token, tokens } from './lex.ts';
import { byteLiteral, fstringParts, unescaped } from './literals.ts';
import { bindName, expect, identifier, invalid, is, KEYWORDS, nameNode, next, type Parser, peek, type Rules, span, take } from './parse-base.ts';
import { braces, comprehended, display, parenthesis } from './parse-display.ts';
import { lambda } from './parse-params.ts';
import { bytesOf, ELLIPSIS, type Value } from './values.ts';

const BINARY: readonly (readonly string[])[] = [['|'], ['^'], ['&'], ['<<', '>>'], ['+', '-'], ['*', '/', '//', '%', '@']];

/** expr, expr, … : one, or a tuple without parentheses. */
export function expressions(p: Parser): Expr {
  const first = peek(p);
  const one = starred(p);
  if (!is(p, ',')) return one;
  const items = [one];
  while (take(p, ',') && startsExpression(p)) items.push(starred(p));
  return { k: 'tuple', items, bare: true, ...span(p, first) };
}

export function startsExpression(p: Parser): boolean {
  const t = peek(p);
  if (t.type === 'number' || t.type === 'string') return true;
  if (t.type === 'name') return !KEYWORDS.has(t.text) || ['None', 'True', 'False', 'not', 'lambda', 'yield', 'await'].includes(t.text);
  return t.type === 'op' && ['(', '[', '{', '-', '+', '~', '...', '*'].includes(t.text);
}

function starred(p: Parser): Expr {
  const first = peek(p);
  if (take(p, '*')) return { k: 'star', value: binary(p, 0), ...span(p, first) };
  return walrus(p);
}

export function walrus(p: Parser): Expr {
  const first = peek(p);
  const e = expression(p);
  if (e.k !== 'name' || !take(p, ':=')) return e;
  let scope = p.scope;
  while (scope.kind === 'comp' && scope.parent) scope = scope.parent;
  bindName(scope, e.id);
  return { k: 'walrus', target: e, value: expression(p), ...span(p, first) };
}

export function expression(p: Parser): Expr {
  const first = peek(p);
  if (is(p, 'lambda')) return lambda(p);
  if (is(p, 'yield')) return yielding(p);
  const then = disjunction(p);
  if (!is(p, 'if')) return then;
  next(p);
  const test = disjunction(p);
  if (!take(p, 'else')) throw new BadSyntax("expected 'else' after 'if' expression", span(p, first));
  const other = expression(p);
  return { k: 'cond', test, then, other, ...span(p, first) };
}

export function yielding(p: Parser): Expr {
  const first = next(p);
  const marks = p.marks.at(-1);
  if (!marks) throw new BadSyntax("'yield' outside function", first);
  marks.generator = true;
  if (take(p, 'from')) return { k: 'yield', value: expression(p), from: true, ...span(p, first) };
  const value = startsExpression(p) ? expressions(p) : null;
  return { k: 'yield', value, from: false, ...span(p, first) };
}

function disjunction(p: Parser): Expr {
  return logic(p, 'or', (q) => logic(q, 'and', negation));
}

function logic(p: Parser, op: 'and' | 'or', below: (p: Parser) => Expr): Expr {
  const first = peek(p);
  const items = [below(p)];
  while (take(p, op)) items.push(below(p));
  return items.length === 1 ? items[0]! : { k: 'logic', op, items, ...span(p, first) };
}

function negation(p: Parser): Expr {
  const first = peek(p);
  if (take(p, 'not')) return { k: 'unary', op: 'not', value: negation(p), ...span(p, first) };
  return comparison(p);
}

function compareOp(p: Parser): string | null {
  const t = peek(p);
  if (t.type === 'op' && ['<', '>', '==', '>=', '<=', '!='].includes(t.text)) return next(p).text;
  if (is(p, 'in') && !p.noIn) return next(p).text;
  if (is(p, 'not') && is(p, 'in', 1)) {
    p.at += 2;
    return 'not in';
  }
  if (!is(p, 'is')) return null;
  next(p);
  return take(p, 'not') ? 'is not' : 'is';
}

function comparison(p: Parser): Expr {
  const first = peek(p);
  const left = binary(p, 0);
  const ops: string[] = [];
  const rights: Expr[] = [];
  for (let op = compareOp(p); op !== null; op = compareOp(p)) {
    ops.push(op);
    rights.push(binary(p, 0));
  }
  return ops.length === 0 ? left : { k: 'compare', left, ops, rights, ...span(p, first) };
}

export function binary(p: Parser, level: number): Expr {
  if (level === BINARY.length) return unary(p);
  const first = peek(p);
  let left = binary(p, level + 1);
  for (let t = peek(p); t.type === 'op' && BINARY[level]!.includes(t.text); t = peek(p)) {
    next(p);
    const right = binary(p, level + 1);
    left = { k: 'bin', op: t.text, left, right, opAt: { line: t.line, col: t.col }, ...span(p, first) };
  }
  return left;
}

function unary(p: Parser): Expr {
  const first = peek(p);
  if (first.type === 'op' && ['-', '+', '~'].includes(first.text)) {
    next(p);
    return { k: 'unary', op: first.text, value: unary(p), ...span(p, first) };
  }
  const base = primary(p);
  const t = peek(p);
  if (!take(p, '**')) return base;
  return { k: 'bin', op: '**', left: base, right: unary(p), opAt: { line: t.line, col: t.col }, ...span(p, first) };
}

export function primary(p: Parser): Expr {
  const first = peek(p);
  let e = atom(p);
  for (;;) {
    const t = peek(p);
    if (t.type !== 'op') return e;
    const open = { line: t.line, col: t.col };
    if (take(p, '.')) e = { k: 'attr', value: e, name: identifier(p).text, ...span(p, first) };
    else if (take(p, '(')) {
      const args = callArgs(p);
      e = { k: 'call', func: e, args, open, ...span(p, first) };
    } else if (take(p, '[')) {
      const index = subscript(p);
      expect(p, ']');
      e = { k: 'sub', value: e, index, open, ...span(p, first) };
    } else return e;
  }
}

/** Inside parentheses a `for` may hold `in` again. */
function inside<T>(p: Parser, work: () => T): T {
  const { noIn } = p;
  p.noIn = false;
  try {
    return work();
  } finally {
    p.noIn = noIn;
  }
}

export function callArgs(p: Parser): Arg[] {
  return inside(p, () => {
    const args: Arg[] = [];
    while (!take(p, ')')) {
      const first = peek(p);
      if (take(p, '*')) args.push({ kind: 'star', name: '', value: expression(p) });
      else if (take(p, '**')) args.push({ kind: 'kwstar', name: '', value: expression(p) });
      else if (first.type === 'name' && !KEYWORDS.has(first.text) && is(p, '=', 1)) {
        p.at += 2;
        args.push({ kind: 'kw', name: first.text, value: expression(p) });
      } else {
        if (args.some((a) => a.kind === 'kw')) throw late(p, args);
        args.push({ kind: 'pos', name: '', value: comprehended(p, 'gen', p.tokens[p.at - 1]!) });
      }
      if (is(p, ')')) continue;
      if (!take(p, ',')) throw comma(p, args.at(-1)!.value);
    }
    return args;
  });
}

function late(p: Parser, _args: readonly Arg[]): BadSyntax {
  let depth = 0;
  let at = p.at;
  for (; ; at++) {
    const t = p.tokens[at]!;
    if ('([{'.includes(t.text) && t.type === 'op') depth++;
    else if (t.type === 'op' && ')]}'.includes(t.text) && depth-- === 0) break;
    if (t.type === 'end') break;
  }
  return new BadSyntax('positional argument follows keyword argument', { ...p.tokens[at]! });
}

/** Two expressions side by side within brackets. */
function comma(p: Parser, before: Expr): BadSyntax {
  const t = peek(p);
  const starts = t.type === 'number' || t.type === 'string' || (t.type === 'name' && !KEYWORDS.has(t.text));
  if (!starts) return invalid(p);
  const after = p.at;
  try {
    const right = expression(p);
    return new BadSyntax('invalid syntax. Perhaps you forgot a comma?', { line: before.line, col: before.col, eline: right.eline, ecol: right.ecol });
  } catch {
    p.at = after;
    return invalid(p);
  }
}

function subscript(p: Parser): Expr {
  return inside(p, () => {
    const first = peek(p);
    const one = slice(p);
    if (!is(p, ',')) return one;
    const items = [one];
    while (take(p, ',') && !is(p, ']')) items.push(slice(p));
    return { k: 'tuple', items, ...span(p, first) };
  });
}

function slice(p: Parser): Expr {
  const first = peek(p);
  const part = (): Expr | null => (is(p, ':') || is(p, ']') || is(p, ',') ? null : walrus(p));
  const lo = part();
  if (!take(p, ':')) {
    if (!lo) throw invalid(p);
    return lo;
  }
  const hi = part();
  const step = take(p, ':') ? part() : null;
  return { k: 'slice', lo, hi, step, ...span(p, first) };
}

function atom(p: Parser): Expr {
  const t = peek(p);
  if (t.type === 'number') return constant(p, numberOf(next(p).text), t);
  if (t.type === 'string') return strings(p);
  if (t.type === 'op') {
    if (take(p, '(')) return inside(p, () => parenthesis(p, t));
    if (take(p, '[')) return inside(p, () => display(p, t));
    if (take(p, '{')) return inside(p, () => braces(p, t));
    if (take(p, '...')) return constant(p, ELLIPSIS, t);
    throw invalid(p);
  }
  if (t.type !== 'name') throw invalid(p);
  if (t.text === 'None' || t.text === 'True' || t.text === 'False') return constant(p, t.text === 'None' ? null : t.text === 'True', next(p));
  if (t.text === 'await' || t.text === 'async') throw new BadSyntax(`not modelled: ${t.text}`, t);
  return nameNode(p, identifier(p));
}

const constant = (p: Parser, value: Value, first: Span): Expr => ({ k: 'const', value, ...span(p, first) });

function numberOf(text: string): Value {
  const plain = text.replaceAll('_', '');
  return /^0[xXoObB]/.test(plain) || /^\d+$/.test(plain) ? BigInt(plain) : Number(plain);
}

/** Adjacent literals are one. */
function strings(p: Parser): Expr {
  const first = peek(p);
  const parts: FPart[] = [];
  const data: number[] = [];
  let isBytes: boolean | null = null;
  let formatted = false;
  while (peek(p).type === 'string') {
    const t = next(p);
    const bytes = t.prefix!.includes('b');
    if (isBytes !== null && isBytes !== bytes) throw new BadSyntax('cannot mix bytes and nonbytes literals', first);
    isBytes = bytes;
    if (bytes) data.push(...byteLiteral(t));
    else if (t.prefix!.includes('f')) {
      formatted = true;
      parts.push(...fstringParts(t.body!, t, 0, (source, token, offset) => embedded(p, source, token, offset), false));
    } else parts.push(unescaped(t.body!, t.prefix!.includes('r'), false, t));
  }
  if (isBytes) return constant(p, bytesOf(Uint8Array.from(data)), first);
  if (!formatted) return constant(p, parts.join(''), first);
  return { k: 'fstring', parts, ...span(p, first) };
}

/** An expression within an f-string, at its place in the file. */
function embedded(p: Parser, source: string, token: Token, offset: number): Expr {
  const before = token.body!.slice(0, offset);
  const line = token.line + before.split('\n').length - 1;
  const head = before.includes('\n') ? before.length - before.lastIndexOf('\n') - 1 : token.col + token.prefix!.length + token.quote!.length + offset;
  const shifted = tokens(`(${source})`).map((t) => shift(t, line, head - 1));
  const inner: Parser = { ...p, tokens: shifted, at: 1, noIn: false };
  const e = expressions(inner);
  if (!is(inner, ')') || peek(inner, 1).type !== 'newline') throw new BadSyntax(`f-string: invalid syntax`, peek(inner));
  return e;
}

function shift(t: Token, line: number, col: number): Token {
  return { ...t, line: t.line + line - 1, eline: t.eline + line - 1, col: t.line === 1 ? t.col + col : t.col, ecol: t.eline === 1 ? t.ecol + col : t.ecol };
}


export const RULES: Rules = { expression, expressions, starred, walrus, yielding, disjunction, binary, comma };
