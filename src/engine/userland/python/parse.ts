/** Statements and blocks. Source: Python 3.13 language reference, chapters 7 and 8. Left out: async, match, type parameters. */
import { BadSyntax, type Expr, type FunctionCode, type Handler, type Span, type Stmt } from './ast.ts';
import { lexed, tokens } from './lex.ts';
import { bind, bindName, expect, identifier, invalid, is, KEYWORDS, nameNode, next, type Parser, peek, scopeOf, span, take } from './parse-base.ts';
import { callArgs, expression, expressions, primary, RULES, startsExpression, walrus, yielding } from './parse-expr.ts';
import { targets } from './parse-display.ts';
import { parameters } from './parse-params.ts';

export interface Parsed {
  body: Stmt[];
  scope: Parser['scope'];
}

/** Parses a whole program. Throws BadSyntax. */
export function parse(text: string): Parsed {
  const scope = scopeOf('module', null);
  const { all, unclosed } = lexed(text.replace(/\r\n?/g, '\n'));
  const p: Parser = { tokens: all, at: 0, scope, marks: [], loops: 0, noIn: false, rules: RULES };
  const body: Stmt[] = [];
  try {
    while (peek(p).type !== 'end') body.push(...statement(p));
  } catch (error) {
    // What is wrong on a later line than an open bracket is the bracket's fault.
    const blamed = unclosed && error instanceof BadSyntax && (error.at.eline > unclosed.line || peek(p).type === 'newline' || peek(p).type === 'end');
    throw blamed ? new BadSyntax(`'${unclosed.text}' was never closed`, unclosed) : error;
  }
  return { body, scope };
}

/** Parses one expression, as eval() does. */
export function parseExpression(text: string): Expr {
  const p: Parser = { tokens: tokens(text.trim()), at: 0, scope: scopeOf('module', null), marks: [], loops: 0, noIn: false, rules: RULES };
  const e = expressions(p);
  if (peek(p).type !== 'newline' && peek(p).type !== 'end') throw invalid(p);
  return e;
}

const COMPOUND: Readonly<Record<string, (p: Parser) => Stmt>> = {
  if: ifStatement, while: whileStatement, for: forStatement, def: (p) => define(p, []), class: (p) => classStatement(p, []), try: tryStatement, with: withStatement,
};

function statement(p: Parser): Stmt[] {
  const t = peek(p);
  if (t.type === 'indent') throw new BadSyntax('unexpected indent', lineSpan(p), 'IndentationError');
  if (t.type === 'op' && t.text === '@') return [decorated(p)];
  if (t.type === 'name' && t.text === 'async') throw new BadSyntax('not modelled: async', t);
  const compound = t.type === 'name' ? COMPOUND[t.text] : undefined;
  if (compound) return [compound(p)];
  if (t.type === 'name' && t.text === 'match' && peek(p, 1).type === 'name' && !KEYWORDS.has(peek(p, 1).text)) throw new BadSyntax('not modelled: the match statement', t);
  return simpleLine(p);
}

/** What the compiler finds, after the parser was content. */
function late(message: string, at: Span): BadSyntax {
  const error = new BadSyntax(message, at);
  error.late = true;
  return error;
}

/** The whole of the line's text so far, which indentation errors point to the end of. */
function lineSpan(p: Parser): Span {
  let at = p.at;
  while (p.tokens[at]!.type === 'indent') at++;
  const first = p.tokens[at]!;
  return { line: first.line, col: first.col, eline: first.line, ecol: first.col };
}

function simpleLine(p: Parser): Stmt[] {
  const out: Stmt[] = [];
  do {
    if (peek(p).type === 'newline') break;
    out.push(simple(p));
  } while (take(p, ';'));
  endLine(p, out.at(-1));
  return out;
}

function endLine(p: Parser, last: Stmt | undefined): void {
  const t = peek(p);
  if (t.type === 'newline') {
    next(p);
    return;
  }
  if (t.type === 'end') return;
  if (last?.k === 'expr') throw besides(p, last.value);
  throw invalid(p);
}

/** Something follows an expression statement that cannot: what CPython says of it. */
function besides(p: Parser, e: Expr): BadSyntax {
  const t = peek(p);
  const old = e.k === 'name' && (e.id === 'print' || e.id === 'exec');
  if (old && (startsExpression(p) || t.type === 'string')) {
    const rest = expressions(p);
    return new BadSyntax(`Missing parentheses in call to '${e.id}'. Did you mean ${e.id}(...)?`, { line: e.line, col: e.col, eline: rest.eline, ecol: rest.ecol });
  }
  return invalid(p, t);
}

const AUGMENTED = new Set(['+=', '-=', '*=', '/=', '//=', '%=', '**=', '>>=', '<<=', '&=', '^=', '|=', '@=']);

function simple(p: Parser): Stmt {
  const t = peek(p);
  const keyword = t.type === 'name' ? SIMPLE[t.text] : undefined;
  if (keyword) return keyword(p);
  const first = is(p, 'yield') ? yielding(p) : expressions(p);
  const op = peek(p);
  if (op.type === 'op' && AUGMENTED.has(op.text)) {
    bind(p, first, 'aug');
    next(p);
    const value = is(p, 'yield') ? yielding(p) : expressions(p);
    return { k: 'aug', target: first, op: op.text.slice(0, -1), value, opAt: { line: op.line, col: op.col }, ...span(p, t) };
  }
  if (is(p, ':')) return annotated(p, first);
  if (!is(p, '=')) return { k: 'expr', value: first, ...span(p, t) };
  const found = [first];
  let value = first;
  while (take(p, '=')) {
    bind(p, value, 'assign');
    value = is(p, 'yield') ? yielding(p) : expressions(p);
    if (is(p, '=')) found.push(value);
  }
  return { k: 'assign', targets: found, value, ...span(p, t) };
}

function annotated(p: Parser, target: Expr): Stmt {
  if (target.k !== 'name' && target.k !== 'attr' && target.k !== 'sub') throw invalid(p);
  next(p);
  expression(p);
  bind(p, target, 'assign');
  if (!take(p, '=')) return { k: 'pass', ...span(p, target) };
  return { k: 'assign', targets: [target], value: expressions(p), ...span(p, target) };
}

const SIMPLE: Readonly<Record<string, (p: Parser) => Stmt>> = {
  pass: (p) => ({ k: 'pass', ...span(p, next(p)) }),
  break: (p) => inLoop(p, 'break'),
  continue: (p) => inLoop(p, 'continue'),
  return: (p) => {
    const first = next(p);
    if (p.marks.length === 0) throw late("'return' outside function", first);
    return { k: 'return', value: startsExpression(p) ? expressions(p) : null, ...span(p, first) };
  },
  raise: (p) => {
    const first = next(p);
    const value = startsExpression(p) ? expression(p) : null;
    const cause = value && take(p, 'from') ? expression(p) : null;
    return { k: 'raise', value, cause, ...span(p, first) };
  },
  assert: (p) => {
    const first = next(p);
    const test = expression(p);
    return { k: 'assert', test, message: take(p, ',') ? expression(p) : null, ...span(p, first) };
  },
  del: (p) => {
    const first = next(p);
    const e = expressions(p);
    const found = e.k === 'tuple' || e.k === 'list' ? e.items : [e];
    for (const one of found) bind(p, one, 'del');
    return { k: 'del', targets: found, ...span(p, first) };
  },
  global: (p) => declared(p, 'globals'),
  nonlocal: (p) => declared(p, 'nonlocals'),
  import: importStatement,
  from: fromStatement,
};

function inLoop(p: Parser, k: 'break' | 'continue'): Stmt {
  const first = next(p);
  if (p.loops === 0) throw late(k === 'break' ? "'break' outside loop" : "'continue' not properly in loop", first);
  return { k, ...span(p, first) };
}

function declared(p: Parser, into: 'globals' | 'nonlocals'): Stmt {
  const first = next(p);
  do {
    const name = identifier(p);
    const word = into === 'globals' ? 'global' : 'nonlocal';
    if (p.scope.bound.has(name.text) && p.scope.kind !== 'module') throw late(`name '${name.text}' is assigned to before ${word} declaration`, span(p, first));
    if (into === 'nonlocals' && p.scope.kind === 'module') throw late('nonlocal declaration not allowed at module level', span(p, first));
    p.scope[into].add(name.text);
  } while (take(p, ','));
  return { k: 'global', ...span(p, first) };
}

function dotted(p: Parser): string {
  let path = identifier(p).text;
  while (take(p, '.')) path += `.${identifier(p).text}`;
  return path;
}

function importStatement(p: Parser): Stmt {
  const first = next(p);
  const names: { path: string; target: Expr; whole: boolean }[] = [];
  do {
    const token = peek(p);
    const path = dotted(p);
    const as = take(p, 'as') ? identifier(p) : null;
    const target = nameNode(p, as ?? { ...token, text: path.split('.')[0]! });
    bind(p, target, 'assign');
    names.push({ path, target, whole: as !== null });
  } while (take(p, ','));
  return { k: 'import', names, ...span(p, first) };
}

function fromStatement(p: Parser): Stmt {
  const first = next(p);
  let module = '';
  while (is(p, '.') || is(p, '...')) module += next(p).text;
  if (!is(p, 'import')) module += dotted(p);
  expect(p, 'import');
  if (take(p, '*')) return { k: 'from', module, names: [], star: true, ...span(p, first) };
  const open = take(p, '(');
  const names: { name: string; target: Expr }[] = [];
  do {
    if (open && is(p, ')')) break;
    const name = identifier(p);
    const target = nameNode(p, take(p, 'as') ? identifier(p) : name);
    bind(p, target, 'assign');
    names.push({ name: name.text, target });
  } while (take(p, ','));
  if (open) expect(p, ')');
  return { k: 'from', module, names, star: false, ...span(p, first) };
}

/** The statements after a colon; `what` and `line` say whose they are when none come. */
function block(p: Parser, what: string, line: number): Stmt[] {
  expect(p, ':');
  if (peek(p).type !== 'newline') return simpleLine(p);
  next(p);
  if (peek(p).type !== 'indent') {
    const t = peek(p);
    const kind = /^(?:function|class)/.test(what) ? what : `${what} statement`;
    throw new BadSyntax(`expected an indented block after ${kind} on line ${line}`, { line: t.line, col: t.col, eline: t.line, ecol: t.type === 'end' ? t.col : t.ecol }, 'IndentationError');
  }
  next(p);
  const body: Stmt[] = [];
  while (peek(p).type !== 'dedent' && peek(p).type !== 'end') body.push(...statement(p));
  if (peek(p).type === 'dedent') next(p);
  return body;
}

function loopBlock(p: Parser, what: string, line: number): Stmt[] {
  p.loops++;
  const body = block(p, what, line);
  p.loops--;
  return body;
}

function elseBlock(p: Parser): Stmt[] {
  const t = take(p, 'else');
  return t ? block(p, "'else'", t.line) : [];
}

function ifStatement(p: Parser): Stmt {
  const first = next(p);
  const test = walrus(p);
  if (is(p, '=')) throw new BadSyntax("invalid syntax. Maybe you meant '==' or ':=' instead of '='?", { line: test.line, col: test.col, eline: peek(p, 1).eline, ecol: peek(p, 1).ecol });
  const body = block(p, `'${first.text}'`, first.line);
  const orelse = is(p, 'elif') ? [ifStatement(p)] : elseBlock(p);
  return { k: 'if', test, body, orelse, ...span(p, first) };
}

function whileStatement(p: Parser): Stmt {
  const first = next(p);
  const test = walrus(p);
  const body = loopBlock(p, "'while'", first.line);
  return { k: 'while', test, body, orelse: elseBlock(p), ...span(p, first) };
}

function forStatement(p: Parser): Stmt {
  const first = next(p);
  const target = targets(p);
  bind(p, target, 'for');
  if (!take(p, 'in')) throw invalid(p);
  const iter = expressions(p);
  const body = loopBlock(p, "'for'", first.line);
  return { k: 'for', target, iter, body, orelse: elseBlock(p), ...span(p, first) };
}

function decorated(p: Parser): Stmt {
  const decorators: Expr[] = [];
  while (take(p, '@')) {
    decorators.push(walrus(p));
    if (peek(p).type !== 'newline') throw invalid(p);
    next(p);
  }
  if (is(p, 'def')) return define(p, decorators);
  if (is(p, 'class')) return classStatement(p, decorators);
  throw invalid(p);
}

/** The text of a body's first statement, where that is a string alone. */
function docOf(body: readonly Stmt[]): string | null {
  const s = body[0];
  return s?.k === 'expr' && s.value.k === 'const' && typeof s.value.value === 'string' ? s.value.value : null;
}

function define(p: Parser, decorators: Expr[]): Stmt {
  const first = next(p);
  const name = identifier(p);
  const target = nameNode(p, name);
  bind(p, target, 'assign');
  const outer = p.scope;
  const scope = scopeOf('function', outer);
  if (!take(p, '(')) throw new BadSyntax("expected '('", peek(p));
  const params = parameters(p, ')', scope);
  expect(p, ')');
  if (take(p, '->')) expression(p);
  const { loops } = p;
  p.scope = scope;
  p.loops = 0;
  p.marks.push({ generator: false });
  const body = block(p, 'function definition', first.line);
  const { generator } = p.marks.pop()!;
  p.scope = outer;
  p.loops = loops;
  const code: FunctionCode = { name: name.text, params, body, scope, generator, doc: docOf(body) };
  return { k: 'def', target, code, decorators, ...span(p, first) };
}

function classStatement(p: Parser, decorators: Expr[]): Stmt {
  const first = next(p);
  const name = identifier(p);
  const target = nameNode(p, name);
  bind(p, target, 'assign');
  const args = take(p, '(') ? callArgs(p) : [];
  const outer = p.scope;
  const { marks, loops } = p;
  const scope = scopeOf('class', outer);
  p.scope = scope;
  p.marks = [];
  p.loops = 0;
  const body = block(p, 'class definition', first.line);
  p.scope = outer;
  p.marks = marks;
  p.loops = loops;
  bindName(scope, '__module__');
  return { k: 'class', target, name: name.text, args, body, scope, decorators, ...span(p, first) };
}

function tryStatement(p: Parser): Stmt {
  const first = next(p);
  const body = block(p, "'try'", first.line);
  const handlers: Handler[] = [];
  while (is(p, 'except')) handlers.push(handler(p));
  const orelse = handlers.length > 0 ? elseBlock(p) : [];
  const t = take(p, 'finally');
  const final = t ? block(p, "'finally'", t.line) : [];
  if (handlers.length === 0 && !t) throw new BadSyntax("expected 'except' or 'finally' block", peek(p));
  return { k: 'try', body, handlers, orelse, final, ...span(p, first) };
}

function handler(p: Parser): Handler {
  const first = next(p);
  if (is(p, '*')) throw new BadSyntax('not modelled: except*', peek(p));
  const type = is(p, ':') ? null : expression(p);
  if (type && is(p, ',')) throw new BadSyntax('multiple exception types must be parenthesized', { ...type, eline: peek(p, 1).eline, ecol: peek(p, 1).ecol });
  const name = type && take(p, 'as') ? nameNode(p, identifier(p)) : null;
  if (name) bind(p, name, 'assign');
  const body = block(p, "'except'", first.line);
  return { type, name, body, ...span(p, first) };
}

function withStatement(p: Parser): Stmt {
  const first = next(p);
  const open = grouped(p) ? take(p, '(') : null;
  const items: { value: Expr; target: Expr | null }[] = [];
  do {
    if (open && is(p, ')')) break;
    const value = expression(p);
    const target = take(p, 'as') ? primary(p) : null;
    if (target) bind(p, target, 'with');
    items.push({ value, target });
  } while (take(p, ','));
  if (open) expect(p, ')');
  const body = block(p, "'with'", first.line);
  return { k: 'with', items, body, ...span(p, first) };
}

/** Whether the parenthesis after `with` holds items, and is no expression's own: a colon follows where it closes, an `as` or comma is in it. */
function grouped(p: Parser): boolean {
  if (!is(p, '(')) return false;
  let depth = 0;
  let marks = false;
  for (let i = 0; peek(p, i).type !== 'end' && peek(p, i).type !== 'newline'; i++) {
    const { text, type } = peek(p, i);
    if (type === 'op' && '([{'.includes(text)) depth++;
    else if (type === 'op' && ')]}'.includes(text) && --depth === 0) return marks && is(p, ':', i + 1);
    else if (depth === 1 && is(p, 'as', i)) marks = true;
  }
  return false;
}
