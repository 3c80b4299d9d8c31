
import { BadRegex, compileRegex } from './regex.ts';
import type { Regex } from './regex-program.ts';
import { BUILTINS, fault, type Token, tokens } from './awk-tokens.ts';

export type Expr =
  | { t: 'num'; v: number }
  | { t: 'str'; v: string }
  | { t: 'regex'; v: Regex }
  | { t: 'var'; name: string }
  | { t: 'field'; of: Expr }
  | { t: 'index'; name: string; at: Expr[] }
  | { t: 'in'; at: Expr[]; name: string }
  | { t: 'assign'; op: string; to: Expr; from: Expr }
  | { t: 'cond'; test: Expr; yes: Expr; no: Expr }
  | { t: 'and' | 'or'; a: Expr; b: Expr }
  | { t: 'binary'; op: string; a: Expr; b: Expr }
  | { t: 'match'; negated: boolean; a: Expr; b: Expr }
  | { t: 'unary'; op: string; a: Expr }
  | { t: 'step'; op: string; to: Expr; when: 'before' | 'after' }
  | { t: 'call'; name: string; args: Expr[]; own: boolean }
  | { t: 'getline'; to: Expr | null; from: Expr | null; how: 'input' | 'file' | 'command' }
  | { t: 'group'; list: Expr[] };

export type Stmt =
  | { t: 'block'; body: Stmt[] }
  | { t: 'expr'; e: Expr }
  | { t: 'print' | 'printf'; args: Expr[]; to: { how: '>' | '>>' | '|'; e: Expr } | null }
  | { t: 'if'; test: Expr; yes: Stmt; no: Stmt | null }
  | { t: 'while'; test: Expr; body: Stmt }
  | { t: 'do'; test: Expr; body: Stmt }
  | { t: 'for'; init: Stmt | null; test: Expr | null; step: Stmt | null; body: Stmt }
  | { t: 'forin'; name: string; array: string; body: Stmt }
  | { t: 'delete'; name: string; at: Expr[] | null }
  | { t: 'jump'; how: 'next' | 'nextfile' | 'break' | 'continue' }
  | { t: 'exit' | 'return'; e: Expr | null };

export interface Rule {
  when: 'BEGIN' | 'END' | 'always' | 'test' | 'range';
  test: Expr | null;
  until: Expr | null;
  body: Stmt | null;
  inside: boolean;
}

export interface Program {
  rules: Rule[];
  functions: Map<string, { params: string[]; body: Stmt }>;
}

interface Parser {
  tokens: Token[];
  at: number;
  depth: number;
  /** `>` prints to a file and `in` is the loop's own word while these are set. */
  noGreater: number;
  noIn: number;
}

const peek = (p: Parser): Token => p.tokens[p.at]!;
const isOp = (p: Parser, text: string): boolean => peek(p).kind === 'op' && peek(p).text === text;
const isWord = (p: Parser, text: string): boolean => peek(p).kind === 'word' && peek(p).text === text;

function take(p: Parser): Token {
  return p.tokens[p.at++]!;
}

function accept(p: Parser, text: string): boolean {
  if (!isOp(p, text)) return false;
  p.at++;
  return true;
}

function expect(p: Parser, text: string): void {
  if (accept(p, text)) return;
  const t = peek(p);
  if (t.kind === 'end') throw fault(t.line + 1, `missing ${text === '}' || text === ')' ? text : text} near end of file`);
  throw fault(t.line, `syntax error at or near ${t.kind === 'newline' ? 'end of line' : t.text}`);
}

function skipNewlines(p: Parser): void {
  while (peek(p).kind === 'newline') p.at++;
}

function skipEnds(p: Parser): void {
  while (peek(p).kind === 'newline' || isOp(p, ';')) p.at++;
}

export function parseAwk(source: string): Program {
  const p: Parser = { tokens: tokens(source), at: 0, depth: 0, noGreater: 0, noIn: 0 };
  const program: Program = { rules: [], functions: new Map() };
  skipEnds(p);
  while (peek(p).kind !== 'end') {
    if (isWord(p, 'function')) functionOf(p, program);
    else program.rules.push(ruleOf(p));
    skipEnds(p);
  }
  return program;
}

function functionOf(p: Parser, program: Program): void {
  p.at++;
  const name = take(p).text;
  expect(p, '(');
  const params: string[] = [];
  while (!isOp(p, ')')) {
    params.push(take(p).text);
    if (!accept(p, ',')) break;
    skipNewlines(p);
  }
  expect(p, ')');
  skipNewlines(p);
  program.functions.set(name, { params, body: blockOf(p) });
}

function ruleOf(p: Parser): Rule {
  const rule: Rule = { when: 'always', test: null, until: null, body: null, inside: false };
  if (isWord(p, 'BEGIN') || isWord(p, 'END')) rule.when = take(p).text as 'BEGIN';
  else if (!isOp(p, '{')) {
    rule.when = 'test';
    rule.test = expression(p);
    if (accept(p, ',')) {
      skipNewlines(p);
      rule.when = 'range';
      rule.until = expression(p);
    }
  }
  if (isOp(p, '{')) rule.body = blockOf(p);
  return rule;
}

function blockOf(p: Parser): Stmt {
  expect(p, '{');
  const body: Stmt[] = [];
  skipEnds(p);
  while (!isOp(p, '}')) {
    if (peek(p).kind === 'end') expect(p, '}');
    body.push(statement(p));
    skipEnds(p);
  }
  p.at++;
  return { t: 'block', body };
}

function finish(p: Parser): void {
  if (isOp(p, '}') || peek(p).kind === 'end') return;
  if (peek(p).kind === 'newline' || isOp(p, ';')) {
    p.at++;
    return;
  }
  throw fault(peek(p).line, `syntax error at or near ${peek(p).text}`);
}

function bodyOf(p: Parser): Stmt {
  skipNewlines(p);
  if (accept(p, ';')) return { t: 'block', body: [] };
  return statement(p);
}

function statement(p: Parser): Stmt {
  if (++p.depth > 300) throw fault(peek(p).line, 'nested too deeply');
  try {
    return statement1(p);
  } finally {
    p.depth--;
  }
}

function statement1(p: Parser): Stmt {
  if (isOp(p, '{')) return blockOf(p);
  if (peek(p).kind !== 'word' || isWord(p, 'getline')) return ended(p, simple(p));
  const word = peek(p).text;
  switch (word) {
    case 'if': return ifOf(p);
    case 'while': {
      p.at++;
      const test = parenthesised(p);
      if (accept(p, ';')) return { t: 'while', test, body: { t: 'block', body: [] } };
      return { t: 'while', test, body: bodyOf(p) };
    }
    case 'do': {
      p.at++;
      const body = bodyOf(p);
      skipEnds(p);
      if (!isWord(p, 'while')) throw fault(peek(p).line, `syntax error at or near ${peek(p).text}`);
      p.at++;
      return ended(p, { t: 'do', body, test: parenthesised(p) });
    }
    case 'for': return forOf(p);
    case 'break': case 'continue': case 'next': case 'nextfile':
      p.at++;
      return ended(p, { t: 'jump', how: word });
    case 'exit': case 'return': {
      p.at++;
      const none = isOp(p, '}') || isOp(p, ';') || peek(p).kind === 'newline' || peek(p).kind === 'end';
      return ended(p, { t: word, e: none ? null : expression(p) });
    }
    default: return ended(p, simple(p));
  }
}

function ended(p: Parser, s: Stmt): Stmt {
  finish(p);
  return s;
}

function parenthesised(p: Parser): Expr {
  expect(p, '(');
  const e = expression(p);
  expect(p, ')');
  return e;
}

function ifOf(p: Parser): Stmt {
  p.at++;
  const test = parenthesised(p);
  const yes = bodyOf(p);
  const back = p.at;
  skipEnds(p);
  if (!isWord(p, 'else')) {
    p.at = back;
    return { t: 'if', test, yes, no: null };
  }
  p.at++;
  return { t: 'if', test, yes, no: bodyOf(p) };
}

function forOf(p: Parser): Stmt {
  p.at++;
  expect(p, '(');
  const [a, b, c, d] = [peek(p), p.tokens[p.at + 1], p.tokens[p.at + 2], p.tokens[p.at + 3]];
  if (a.kind === 'name' && b?.text === 'in' && c?.kind === 'name' && d?.text === ')') {
    p.at += 4;
    return { t: 'forin', name: a.text, array: c.text, body: bodyOf(p) };
  }
  const init = isOp(p, ';') ? null : simple(p);
  expect(p, ';');
  const test = isOp(p, ';') ? null : expression(p);
  expect(p, ';');
  const step = isOp(p, ')') ? null : simple(p);
  expect(p, ')');
  return { t: 'for', init, test, step, body: accept(p, ';') ? { t: 'block', body: [] } : bodyOf(p) };
}

function simple(p: Parser): Stmt {
  if (isWord(p, 'delete')) {
    p.at++;
    const name = take(p).text;
    return { t: 'delete', name, at: isOp(p, '[') ? subscript(p) : null };
  }
  if (!isWord(p, 'print') && !isWord(p, 'printf')) return { t: 'expr', e: expression(p) };
  const t = take(p).text as 'print';
  p.noGreater++;
  const args: Expr[] = [];
  while (!isOp(p, '}') && !isOp(p, ';') && !isOp(p, '>') && !isOp(p, '>>') && !isOp(p, '|') && peek(p).kind !== 'newline' && peek(p).kind !== 'end') {
    args.push(expression(p));
    if (!accept(p, ',')) break;
    skipNewlines(p);
  }
  p.noGreater--;
  const list = args.length === 1 && args[0]!.t === 'group' ? args[0]!.list : args;
  for (const how of ['>', '>>', '|'] as const) if (accept(p, how)) return { t, args: list, to: { how, e: concatenation(p) } };
  return { t, args: list, to: null };
}

function subscript(p: Parser): Expr[] {
  expect(p, '[');
  const saved = [p.noGreater, p.noIn];
  [p.noGreater, p.noIn] = [0, 0];
  const at: Expr[] = [expression(p)];
  while (accept(p, ',')) at.push(expression(p));
  [p.noGreater, p.noIn] = saved as [number, number];
  expect(p, ']');
  return at;
}

const ASSIGN = new Set(['=', '+=', '-=', '*=', '/=', '%=', '^=', '**=']);

function expression(p: Parser): Expr {
  if (++p.depth > 300) throw fault(peek(p).line, 'nested too deeply');
  const left = conditional(p);
  let out = left;
  const t = peek(p);
  if (t.kind === 'op' && ASSIGN.has(t.text) && (left.t === 'var' || left.t === 'field' || left.t === 'index')) {
    p.at++;
    skipNewlines(p);
    out = { t: 'assign', op: t.text.slice(0, -1).replace('**', '^'), to: left, from: expression(p) };
  }
  p.depth--;
  return out;
}

function conditional(p: Parser): Expr {
  const test = disjunction(p);
  if (!accept(p, '?')) return test;
  skipNewlines(p);
  const yes = expression(p);
  skipNewlines(p);
  expect(p, ':');
  skipNewlines(p);
  return { t: 'cond', test, yes, no: expression(p) };
}

function disjunction(p: Parser): Expr {
  let a = conjunction(p);
  while (accept(p, '||')) {
    skipNewlines(p);
    a = { t: 'or', a, b: conjunction(p) };
  }
  return a;
}

function conjunction(p: Parser): Expr {
  let a = membership(p);
  while (accept(p, '&&')) {
    skipNewlines(p);
    a = { t: 'and', a, b: membership(p) };
  }
  return a;
}

function membership(p: Parser): Expr {
  let a = matching(p);
  while (isWord(p, 'in') && p.noIn === 0) {
    p.at++;
    a = { t: 'in', at: a.t === 'group' ? a.list : [a], name: take(p).text };
  }
  return a;
}

function matching(p: Parser): Expr {
  let a = comparison(p);
  while (isOp(p, '~') || isOp(p, '!~')) {
    const negated = take(p).text === '!~';
    a = { t: 'match', negated, a, b: comparison(p) };
  }
  return a;
}

function comparison(p: Parser): Expr {
  const a = concatenation(p);
  const t = peek(p);
  if (t.kind !== 'op' || !['<', '<=', '==', '!=', '>=', '>'].includes(t.text) || (t.text === '>' && p.noGreater > 0)) return piped(p, a);
  p.at++;
  return { t: 'binary', op: t.text, a, b: concatenation(p) };
}

/** "command" | getline [var] */
function piped(p: Parser, a: Expr): Expr {
  let out = a;
  while (isOp(p, '|') && p.tokens[p.at + 1]?.text === 'getline') {
    p.at += 2;
    out = { t: 'getline', to: target(p), from: out, how: 'command' };
  }
  return out;
}

function target(p: Parser): Expr | null {
  return peek(p).kind === 'name' || isOp(p, '$') ? primary(p) : null;
}

function startsOperand(p: Parser): boolean {
  const t = peek(p);
  if (t.kind === 'num' || t.kind === 'str' || t.kind === 'name' || t.kind === 'func') return true;
  return t.kind === 'op' && ['$', '!', '(', '-', '+', '++', '--'].includes(t.text);
}

function concatenation(p: Parser): Expr {
  let a = additive(p);
  while (startsOperand(p) && !isOp(p, '-') && !isOp(p, '+')) a = { t: 'binary', op: ' ', a, b: additive(p) };
  return a;
}

function additive(p: Parser): Expr {
  let a = multiplicative(p);
  while (isOp(p, '+') || isOp(p, '-')) a = { t: 'binary', op: take(p).text, a, b: multiplicative(p) };
  return a;
}

function multiplicative(p: Parser): Expr {
  let a = unary(p);
  while (isOp(p, '*') || isOp(p, '/') || isOp(p, '%')) a = { t: 'binary', op: take(p).text, a, b: unary(p) };
  return a;
}

function unary(p: Parser): Expr {
  if (isOp(p, '!') || isOp(p, '-') || isOp(p, '+')) {
    const op = take(p).text;
    return { t: 'unary', op, a: unary(p) };
  }
  const base = postfix(p);
  if (!isOp(p, '^') && !isOp(p, '**')) return base;
  p.at++;
  return { t: 'binary', op: '^', a: base, b: unary(p) };
}

function postfix(p: Parser): Expr {
  const e = primary(p);
  if ((isOp(p, '++') || isOp(p, '--')) && (e.t === 'var' || e.t === 'field' || e.t === 'index')) return { t: 'step', op: take(p).text, to: e, when: 'after' };
  return e;
}

function primary(p: Parser): Expr {
  const t = take(p);
  switch (t.kind) {
    case 'num': return { t: 'num', v: Number(t.text) };
    case 'str': return { t: 'str', v: t.text };
    case 'regex':
      try {
        return { t: 'regex', v: compileRegex(t.text, { syntax: 'extended', awk: true }) };
      } catch (error) {
        if (error instanceof BadRegex) throw fault(t.line, `regular expression compile failed (${error.message})\n${t.text}`);
        throw error;
      }
    case 'func': return { t: 'call', name: t.text, args: argumentsOf(p), own: true };
    case 'name':
      if (BUILTINS.has(t.text)) return { t: 'call', name: t.text, args: isOp(p, '(') ? argumentsOf(p) : [], own: false };
      return isOp(p, '[') ? { t: 'index', name: t.text, at: subscript(p) } : { t: 'var', name: t.text };
    case 'word':
      if (t.text === 'getline') {
        const to = target(p);
        return accept(p, '<') ? { t: 'getline', to, from: postfix(p), how: 'file' } : { t: 'getline', to, from: null, how: 'input' };
      }
      break;
    case 'op':
      if (t.text === '$') return { t: 'field', of: isOp(p, '++') || isOp(p, '--') || isOp(p, '-') || isOp(p, '+') || isOp(p, '!') ? unary(p) : primary(p) };
      if (t.text === '++' || t.text === '--') return { t: 'step', op: t.text, to: primary(p), when: 'before' };
      if (t.text === '(') return grouped(p);
      if (t.text === '!' || t.text === '-' || t.text === '+') return { t: 'unary', op: t.text, a: unary(p) };
      break;
    default:
  }
  if (t.kind === 'end') throw fault(t.line + 1, 'missing } near end of file');
  throw fault(t.line, `syntax error at or near ${t.kind === 'newline' ? 'end of line' : t.text}`);
}

function grouped(p: Parser): Expr {
  const saved = [p.noGreater, p.noIn];
  [p.noGreater, p.noIn] = [0, 0];
  const list = [expression(p)];
  while (accept(p, ',')) {
    skipNewlines(p);
    list.push(expression(p));
  }
  [p.noGreater, p.noIn] = saved as [number, number];
  expect(p, ')');
  return list.length === 1 && !(list[0]!.t === 'group') ? { t: 'group', list } : { t: 'group', list };
}

function argumentsOf(p: Parser): Expr[] {
  expect(p, '(');
  const saved = [p.noGreater, p.noIn];
  [p.noGreater, p.noIn] = [0, 0];
  const args: Expr[] = [];
  skipNewlines(p);
  while (!isOp(p, ')')) {
    args.push(expression(p));
    skipNewlines(p);
    if (!accept(p, ',')) break;
    skipNewlines(p);
  }
  [p.noGreater, p.noIn] = saved as [number, number];
  expect(p, ')');
  return args;
}
