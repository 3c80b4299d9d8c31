/** lambda, and the parameters of functions. Source: Python 3.13 language reference, 6.14 and 8.7. */
import { BadSyntax, type Expr, type FunctionCode, type Param } from './ast.ts';
import { expect, identifier, invalid, is, next, type Parser, scopeOf, span, take } from './parse-base.ts';

export function lambda(p: Parser): Expr {
  const first = next(p);
  const outer = p.scope;
  const scope = scopeOf('function', outer);
  const params = parameters(p, ':', scope);
  expect(p, ':');
  p.scope = scope;
  p.marks.push({ generator: false });
  const value = p.rules.expression(p);
  const { generator } = p.marks.pop()!;
  p.scope = outer;
  const at = span(p, value);
  const code: FunctionCode = { name: '<lambda>', params, body: [{ k: 'return', value, ...at }], scope, generator, doc: null };
  return { k: 'lambda', code, ...span(p, first) };
}

/** Parameters up to `close`; annotations are read and forgotten. */
export function parameters(p: Parser, close: ')' | ':', scope: Parser['scope']): Param[] {
  const params: Param[] = [];
  let kind: 'pos' | 'kwonly' = 'pos';
  let defaulted = false;
  while (!is(p, close)) {
    if (take(p, '/')) for (const one of params) one.posOnly = true;
    else if (take(p, '**')) params.push(parameter(p, 'kwstar', close, scope));
    else if (take(p, '*')) {
      if (!is(p, ',')) params.push(parameter(p, 'star', close, scope));
      kind = 'kwonly';
    } else {
      const one = parameter(p, kind, close, scope);
      if (one.fallback) defaulted = true;
      else if (defaulted && kind === 'pos') throw new BadSyntax('parameter without a default follows parameter with a default', p.tokens[p.at - 1]!);
      if (params.some((q) => q.name === one.name)) throw new BadSyntax(`duplicate parameter '${one.name}' in function definition`, p.tokens[p.at - 1]!);
      params.push(one);
    }
    if (!take(p, ',') && !is(p, close)) throw invalid(p);
  }
  return params;
}

function parameter(p: Parser, kind: Param['kind'], close: string, scope: Parser['scope']): Param {
  const name = identifier(p).text;
  scope.bound.add(name);
  if (close === ')' && take(p, ':')) p.rules.expression(p);
  const fallback = take(p, '=') ? p.rules.expression(p) : null;
  return { name, kind, posOnly: false, fallback };
}
