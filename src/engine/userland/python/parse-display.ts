/** Parentheses, displays and comprehensions. Source: Python 3.13 language reference, 6.2. */
import { BadSyntax, type Clause, type Expr, type Span } from './ast.ts';
import type { Token } from './lex.ts';
import { bind, expect, invalid, is, type Parser, peek, scopeOf, span, take } from './parse-base.ts';
import { lambda } from './parse-params.ts';

export function parenthesis(p: Parser, first: Token): Expr {
  if (take(p, ')')) return { k: 'tuple', items: [], ...span(p, first) };
  if (is(p, 'yield')) {
    const e = p.rules.yielding(p);
    expect(p, ')');
    return e;
  }
  const one = comprehended(p, 'gen', first);
  if (take(p, ')')) return one.k === 'comp' && one.kind === 'gen' && one.line === first.line && one.col === first.col ? { ...one, ...span(p, first) } : one;
  const items = [one];
  while (take(p, ',')) if (!is(p, ')')) items.push(p.rules.starred(p));
  if (!take(p, ')')) throw p.rules.comma(p, items.at(-1)!);
  return { k: 'tuple', items, ...span(p, first) };
}

export function display(p: Parser, first: Token): Expr {
  if (take(p, ']')) return { k: 'list', items: [], ...span(p, first) };
  const one = comprehended(p, 'list', first);
  if (one.k === 'comp' && one.kind === 'list' && take(p, ']')) return { ...one, ...span(p, first) };
  const items = [one];
  while (take(p, ',')) if (!is(p, ']')) items.push(p.rules.starred(p));
  if (!take(p, ']')) throw p.rules.comma(p, items.at(-1)!);
  return { k: 'list', items, ...span(p, first) };
}

/** One expression, or a comprehension over it; a comprehension's element is parsed again in its own scope. */
export function comprehended(p: Parser, kind: 'gen' | 'list' | 'set', first: Span): Expr {
  const from = p.at;
  const one = p.rules.starred(p);
  if (!is(p, 'for')) {
    if (is(p, 'async')) throw new BadSyntax('not modelled: async', peek(p));
    return one;
  }
  p.at = from;
  return comprehension(p, kind, first);
}

function comprehension(p: Parser, kind: 'gen' | 'list' | 'set' | 'dict', first: Span): Expr {
  const outer = p.scope;
  const scope = scopeOf('comp', outer);
  const start = p.at;
  // The clauses come first, since they bind the names that the element reads.
  p.scope = scope;
  element(p, kind);
  const clauses: Clause[] = [];
  while (is(p, 'for')) clauses.push(clause(p, outer, clauses.length === 0));
  const end = p.at;
  p.at = start;
  const { key, value } = element(p, kind);
  p.at = end;
  p.scope = outer;
  return { k: 'comp', kind, element: key, value, clauses, scope, ...span(p, first) };
}

function element(p: Parser, kind: string): { key: Expr; value: Expr | null } {
  const key = kind === 'dict' ? p.rules.expression(p) : p.rules.walrus(p);
  if (kind !== 'dict') return { key, value: null };
  expect(p, ':');
  return { key, value: p.rules.expression(p) };
}

function clause(p: Parser, outer: Parser['scope'], outermost: boolean): Clause {
  const { scope } = p;
  expect(p, 'for');
  const target = targets(p);
  bind(p, target, 'for');
  if (!take(p, 'in')) throw invalid(p);
  if (outermost) p.scope = outer;
  const iter = p.rules.disjunction(p);
  p.scope = scope;
  const conditions: Expr[] = [];
  while (take(p, 'if')) conditions.push(is(p, 'lambda') ? lambda(p) : p.rules.disjunction(p));
  return { target, iter, conditions };
}

/** What stands between `for` and `in`. */
export function targets(p: Parser): Expr {
  const { noIn } = p;
  p.noIn = true;
  const e = p.rules.expressions(p);
  p.noIn = noIn;
  return e;
}

export function braces(p: Parser, first: Token): Expr {
  if (take(p, '}')) return { k: 'dict', keys: [], values: [], ...span(p, first) };
  if (is(p, '**')) return entries(p, first, [], []);
  const from = p.at;
  const one = p.rules.starred(p);
  if (take(p, ':')) {
    const value = p.rules.expression(p);
    if (is(p, 'for')) {
      p.at = from;
      const e = comprehension(p, 'dict', first);
      expect(p, '}');
      return { ...e, ...span(p, first) };
    }
    return entries(p, first, [one], [value]);
  }
  if (is(p, 'for')) {
    p.at = from;
    const e = comprehension(p, 'set', first);
    expect(p, '}');
    return { ...e, ...span(p, first) };
  }
  const items = [one];
  while (take(p, ',')) if (!is(p, '}')) items.push(p.rules.starred(p));
  if (!take(p, '}')) throw p.rules.comma(p, items.at(-1)!);
  return { k: 'set', items, ...span(p, first) };
}

function entries(p: Parser, first: Token, keys: (Expr | null)[], values: Expr[]): Expr {
  while (keys.length === 0 || take(p, ',')) {
    if (is(p, '}')) break;
    if (take(p, '**')) {
      keys.push(null);
      values.push(p.rules.binary(p, 0));
      continue;
    }
    keys.push(p.rules.expression(p));
    if (!take(p, ':')) throw new BadSyntax("':' expected after dictionary key", { ...p.tokens[p.at - 1]! });
    values.push(p.rules.expression(p));
  }
  if (!take(p, '}')) throw p.rules.comma(p, values.at(-1)!);
  return { k: 'dict', keys, values, ...span(p, first) };
}

