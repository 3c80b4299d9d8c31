/**
 * The syntax tree of a Python program. Every node knows the span of source it came from, in lines from 1 and columns from 0,
 * since tracebacks underline it. Source: Python 3.13 language reference.
 */
import type { Value } from './values.ts';

export interface Span {
  line: number;
  col: number;
  eline: number;
  ecol: number;
}

/** The names of one function, class body, comprehension or module. */
export interface Scope {
  kind: 'module' | 'function' | 'class' | 'comp';
  parent: Scope | null;
  bound: Set<string>;
  globals: Set<string>;
  nonlocals: Set<string>;
}

export interface Arg {
  kind: 'pos' | 'star' | 'kw' | 'kwstar';
  name: string;
  value: Expr;
}

export interface Param {
  name: string;
  kind: 'pos' | 'star' | 'kwonly' | 'kwstar';
  /** Before a lone `/`. */
  posOnly: boolean;
  fallback: Expr | null;
}

export interface FunctionCode {
  name: string;
  params: Param[];
  body: Stmt[];
  scope: Scope;
  generator: boolean;
  doc: string | null;
}

export interface Clause {
  target: Expr;
  iter: Expr;
  conditions: Expr[];
}

export type FPart = string | { value: Expr; conversion: string; spec: FPart[]; debug: string };

export type Expr = Span & (
  | { k: 'const'; value: Value }
  | { k: 'name'; id: string; scope: Scope; up: number }
  | { k: 'bin'; op: string; left: Expr; right: Expr; opAt: { line: number; col: number } }
  | { k: 'unary'; op: string; value: Expr }
  | { k: 'logic'; op: 'and' | 'or'; items: Expr[] }
  | { k: 'compare'; left: Expr; ops: string[]; rights: Expr[] }
  | { k: 'call'; func: Expr; args: Arg[]; open: { line: number; col: number } }
  | { k: 'attr'; value: Expr; name: string }
  | { k: 'sub'; value: Expr; index: Expr; open: { line: number; col: number } }
  | { k: 'slice'; lo: Expr | null; hi: Expr | null; step: Expr | null }
  | { k: 'list' | 'tuple' | 'set'; items: Expr[]; bare?: boolean }
  | { k: 'dict'; keys: (Expr | null)[]; values: Expr[] }
  | { k: 'comp'; kind: 'list' | 'set' | 'dict' | 'gen'; element: Expr; value: Expr | null; clauses: Clause[]; scope: Scope }
  | { k: 'lambda'; code: FunctionCode }
  | { k: 'cond'; test: Expr; then: Expr; other: Expr }
  | { k: 'star'; value: Expr }
  | { k: 'fstring'; parts: FPart[] }
  | { k: 'walrus'; target: Expr; value: Expr }
  | { k: 'yield'; value: Expr | null; from: boolean }
);
export type ExprOf<K extends Expr['k']> = Extract<Expr, { k: K }>;

export interface Handler extends Span {
  type: Expr | null;
  name: Expr | null;
  body: Stmt[];
}

export type Stmt = Span & (
  | { k: 'expr'; value: Expr }
  | { k: 'assign'; targets: Expr[]; value: Expr }
  | { k: 'aug'; target: Expr; op: string; value: Expr; opAt: { line: number; col: number } }
  | { k: 'return'; value: Expr | null }
  | { k: 'if'; test: Expr; body: Stmt[]; orelse: Stmt[] }
  | { k: 'while'; test: Expr; body: Stmt[]; orelse: Stmt[] }
  | { k: 'for'; target: Expr; iter: Expr; body: Stmt[]; orelse: Stmt[] }
  | { k: 'def'; target: Expr; code: FunctionCode; decorators: Expr[] }
  | { k: 'class'; target: Expr; name: string; args: Arg[]; body: Stmt[]; scope: Scope; decorators: Expr[] }
  | { k: 'try'; body: Stmt[]; handlers: Handler[]; orelse: Stmt[]; final: Stmt[] }
  | { k: 'raise'; value: Expr | null; cause: Expr | null }
  | { k: 'with'; items: { value: Expr; target: Expr | null }[]; body: Stmt[] }
  | { k: 'import'; names: { path: string; target: Expr; whole: boolean }[] }
  | { k: 'from'; module: string; names: { name: string; target: Expr }[]; star: boolean }
  | { k: 'del'; targets: Expr[] }
  | { k: 'assert'; test: Expr; message: Expr | null }
  | { k: 'pass' | 'break' | 'continue' | 'global' }
);

export interface Source {
  /** "<string>", "<stdin>" or the path. */
  file: string;
  lines: readonly string[];
}

/** A program that is no Python: printed with its line and a caret. */
export class BadSyntax extends Error {
  readonly kind: 'SyntaxError' | 'IndentationError' | 'TabError';
  readonly at: Span;
  /** Found by the compiler, which shows no line of a program that is no file. */
  late = false;
  constructor(message: string, at: Span, kind: 'SyntaxError' | 'IndentationError' | 'TabError' = 'SyntaxError') {
    super(message);
    this.at = at;
    this.kind = kind;
  }
}
