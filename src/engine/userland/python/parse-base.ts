/** What the two halves of the parser share: the cursor over tokens, spans, scopes, and the words of a syntax error. */
import { BadSyntax, type Expr, type Scope, type Span } from './ast.ts';
import type { Token } from './lex.ts';

export interface Parser {
  tokens: readonly Token[];
  at: number;
  scope: Scope;
  /** The innermost function's marks: whether it yields. */
  marks: { generator: boolean }[];
  loops: number;
  /** How many opens: a `(` line that may hold `:=`, or an `in` that a `for` owns. */
  noIn: boolean;
  rules: Rules;
}

/** The rules that displays and parameters go back to; parse-expr.ts gives them. */
export interface Rules {
  expression(p: Parser): Expr;
  expressions(p: Parser): Expr;
  starred(p: Parser): Expr;
  walrus(p: Parser): Expr;
  yielding(p: Parser): Expr;
  disjunction(p: Parser): Expr;
  binary(p: Parser, level: number): Expr;
  comma(p: Parser, before: Expr): BadSyntax;
}

export const KEYWORDS = new Set([
  'False', 'None', 'True', 'and', 'as', 'assert', 'async', 'await', 'break', 'class', 'continue', 'def', 'del', 'elif', 'else', 'except', 'finally', 'for', 'from', 'global', 'if',
  'import', 'in', 'is', 'lambda', 'nonlocal', 'not', 'or', 'pass', 'raise', 'return', 'try', 'while', 'with', 'yield',
]);

export const peek = (p: Parser, ahead = 0): Token => p.tokens[Math.min(p.at + ahead, p.tokens.length - 1)]!;

export function next(p: Parser): Token {
  const token = peek(p);
  if (p.at < p.tokens.length - 1) p.at++;
  return token;
}

/** Whether the next token is this operator or keyword. */
export function is(p: Parser, text: string, ahead = 0): boolean {
  const token = peek(p, ahead);
  return token.text === text && (token.type === 'op' || (token.type === 'name' && KEYWORDS.has(text)));
}

export function take(p: Parser, text: string): Token | null {
  return is(p, text) ? next(p) : null;
}

export function expect(p: Parser, text: string): Token {
  const token = take(p, text);
  if (token) return token;
  if (text === ':' && peek(p).type === 'newline') throw new BadSyntax("expected ':'", peek(p));
  throw invalid(p);
}

export function invalid(p: Parser, token = peek(p)): BadSyntax {
  if (token.type === 'indent') return new BadSyntax('unexpected indent', token, 'IndentationError');
  return new BadSyntax('invalid syntax', token.type === 'newline' ? { ...token, ecol: token.col + 1 } : token);
}

export function identifier(p: Parser): Token {
  const token = peek(p);
  if (token.type !== 'name' || KEYWORDS.has(token.text)) throw invalid(p);
  return next(p);
}

/** From where `first` begins to the end of what was taken last. */
export function span(p: Parser, first: Span): Span {
  const last = p.tokens[Math.max(0, p.at - 1)]!;
  return { line: first.line, col: first.col, eline: last.eline, ecol: last.ecol };
}

export function scopeOf(kind: Scope['kind'], parent: Scope | null): Scope {
  return { kind, parent, bound: new Set(), globals: new Set(), nonlocals: new Set() };
}

export function nameNode(p: Parser, token: Token): Expr {
  return { k: 'name', id: token.text, scope: p.scope, up: -2, line: token.line, col: token.col, eline: token.eline, ecol: token.ecol };
}

const KINDS: Readonly<Record<string, string>> = {
  call: 'function call', lambda: 'lambda', logic: 'expression', bin: 'expression', unary: 'expression', compare: 'comparison', dict: 'dict literal', set: 'set display', cond: 'conditional expression',
  fstring: 'f-string expression', walrus: 'named expression', yield: 'yield expression',
};

function kindOf(e: Expr): string {
  if (e.k === 'const') return e.value === null ? 'None' : e.value === true ? 'True' : e.value === false ? 'False' : typeof e.value === 'object' && e.value.t === 'special' ? 'ellipsis' : 'literal';
  if (e.k === 'comp') return e.kind === 'gen' ? 'generator expression' : `${e.kind === 'list' ? 'list' : e.kind} comprehension`;
  return KINDS[e.k] ?? 'expression';
}

/** Makes an expression a target: its names are bound here. Throws BadSyntax for what cannot be assigned to. */
export function bind(p: Parser, e: Expr, how: 'assign' | 'del' | 'for' | 'aug' | 'with'): void {
  if (e.k === 'name') {
    bindName(e.scope, e.id);
    return;
  }
  if (e.k === 'attr' || e.k === 'sub') return;
  if (e.k === 'tuple' || e.k === 'list') {
    if (how === 'aug') throw new BadSyntax(`'${e.k}' is an illegal expression for augmented assignment`, e);
    for (const item of e.items) bind(p, item, how);
    return;
  }
  if (e.k === 'star' && how !== 'del') return bind(p, e.value, how);
  const kind = kindOf(e);
  if (how === 'del') throw new BadSyntax(`cannot delete ${kind}`, e);
  if (how === 'aug') throw new BadSyntax(`'${kind}' is an illegal expression for augmented assignment`, e);
  const constant = e.k === 'const' && kind !== 'literal' && kind !== 'ellipsis';
  throw new BadSyntax(constant || how === 'for' || how === 'with' ? `cannot assign to ${kind}` : `cannot assign to ${kind} here. Maybe you meant '==' instead of '='?`, e);
}

/** A name bound in a comprehension by := belongs to what holds it. */
export function bindName(scope: Scope, id: string): void {
  if (!scope.globals.has(id) && !scope.nonlocals.has(id)) scope.bound.add(id);
}

/**
 * How many frames up a name lives: 0 here, n for the n-th enclosing one, -1 global or built in. Comprehensions have frames of
 * their own; class bodies are not seen from functions within.
 */
export function resolve(scope: Scope, id: string): number {
  if (scope.kind === 'module' || scope.globals.has(id)) return -1;
  if (scope.bound.has(id)) return 0;
  let up = 1;
  for (let s = scope.parent; s && s.kind !== 'module'; s = s.parent, up++) {
    const hidden = s.kind === 'class' && !(scope.kind === 'comp' && scope.parent === s);
    if (hidden) continue;
    if (s.globals.has(id)) return -1;
    if (s.bound.has(id)) return up;
  }
  return -1;
}
