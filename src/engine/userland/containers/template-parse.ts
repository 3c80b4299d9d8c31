/**
 * Go's text/template, its reading: a tree of texts, actions and clauses, and the templates that it defines.
 * Source: pkg.go.dev/text/template/parse.
 */
import { type Kind, shown, type Token, tokens } from './template-lex.ts';

export class TemplateError extends Error {
  /** What was written before. */
  out = '';
}

export type Node =
  | { kind: 'text'; text: string }
  | { kind: 'action'; pipe: Pipe; at: number }
  | { kind: 'break' }
  | { kind: 'continue' }
  | { kind: 'template'; name: string; pipe: Pipe | null; at: number }
  | Control;
export type Control = { kind: 'if' | 'with' | 'range'; pipe: Pipe; body: Node[]; otherwise: Node[]; at: number };
export interface Pipe {
  /** Variables that it is given to, by commas. */
  assign: string | null;
  /** := makes them. */
  declares: boolean;
  commands: Operand[][];
  /** As Go prints it in an error. */
  source: string;
  at: number;
}
export type Operand =
  | { kind: 'field'; path: string[]; source: string; at: number }
  | { kind: 'variable'; name: string; path: string[]; source: string; at: number }
  | { kind: 'literal'; value: unknown; source: string; at: number }
  | { kind: 'word'; name: string; path: string[]; source: string; at: number }
  | { kind: 'group'; pipe: Pipe; path: string[]; source: string; at: number };

export interface Template {
  /** As errors name it. */
  name: string;
  nodes: Node[];
  /** By name, with their own variables. */
  defined: ReadonlyMap<string, Node[]>;
  source: string;
}

/** What ends a list of nodes. */
type End = '{{end}}' | '{{else}}';

class Reader {
  readonly name: string;
  readonly functions: ReadonlySet<string>;
  readonly words: readonly Token[];
  readonly defined = new Map<string, Node[]>();
  next = 0;
  variables: string[] = ['$'];
  loops = 0;
  actionLine = 0;

  constructor(name: string, functions: ReadonlySet<string>, source: string) {
    this.name = name;
    this.functions = functions;
    this.words = tokens(source);
  }

  take(): Token {
    const token = this.words[Math.min(this.next, this.words.length - 1)]!;
    this.next++;
    return token;
  }

  peek(): Token {
    return this.words[Math.min(this.next, this.words.length - 1)]!;
  }

  takeSolid(): Token {
    while (this.peek().kind === 'space') this.next++;
    return this.take();
  }

  peekSolid(): Token {
    while (this.peek().kind === 'space') this.next++;
    return this.peek();
  }

  fail(why: string): never {
    const line = this.words[Math.min(Math.max(this.next - 1, 0), this.words.length - 1)]!.line;
    throw new TemplateError(`template: ${this.name}:${line}: ${why}`);
  }

  unexpected(token: Token, context: string): never {
    if (token.kind !== 'error') this.fail(`unexpected ${shown(token)} in ${context}`);
    const started = this.actionLine > 0 && this.actionLine !== token.line ? ` in action started at ${this.name}:${this.actionLine}` : '';
    this.fail(`${token.text}${token.text.endsWith(' action') ? started.replace(' in action', '') : started}`);
  }

  expect(kind: Kind, context: string): Token {
    const token = this.takeSolid();
    return token.kind === kind ? token : this.unexpected(token, context);
  }
}

/** Parses; throws TemplateError with Go's words. */
export function parseWith(functions: ReadonlySet<string>, source: string, name = ''): Template {
  const r = new Reader(name, functions, source);
  const nodes: Node[] = [];
  while (r.peek().kind !== 'eof') {
    const before = r.next;
    if (r.peek().kind === 'left') {
      r.take();
      if (isKeyword(r.takeSolid(), 'define')) {
        definition(r);
        continue;
      }
      r.next = before;
    }
    const node = textOrAction(r);
    if (typeof node === 'string') return r.fail(`unexpected ${node}`);
    nodes.push(node);
  }
  return { name, nodes, defined: r.defined, source };
}

const isKeyword = (token: Token, word: string): boolean => token.kind === 'keyword' && token.text === word;

/** {{define "name"}} … {{end}}: its variables are its own. */
function definition(r: Reader): void {
  const context = 'define clause';
  const name = templateName(r, r.takeSolid(), context);
  r.expect('right', context);
  own(r, name, (end) => r.fail(`unexpected ${end} in ${context}`));
}

/** Reads the nodes of a template of that name up to its end. */
function own(r: Reader, name: string, wrong: (end: End) => void): void {
  const { variables } = r;
  r.variables = ['$'];
  const [nodes, end] = list(r);
  if (end !== '{{end}}') wrong(end);
  r.variables = variables;
  // A definition without anything in it does not replace another.
  if (nodes.some((n) => n.kind !== 'text' || n.text.trim() !== '') || !r.defined.has(name)) r.defined.set(name, nodes);
}

function list(r: Reader): [Node[], End] {
  const nodes: Node[] = [];
  while (r.peekSolid().kind !== 'eof') {
    const node = textOrAction(r);
    if (typeof node === 'string') return [nodes, node];
    nodes.push(node);
  }
  return r.fail('unexpected EOF');
}

function textOrAction(r: Reader): Node | End {
  const token = r.takeSolid();
  if (token.kind === 'text') return { kind: 'text', text: token.text };
  if (token.kind !== 'left') r.unexpected(token, 'input');
  r.actionLine = token.line;
  const node = action(r);
  r.actionLine = 0;
  return node;
}

function action(r: Reader): Node | End {
  const token = r.peekSolid();
  if (token.kind === 'keyword') {
    switch (token.text) {
      case 'if':
      case 'with':
      case 'range':
        r.take();
        return control(r, token.text, token.at);
      case 'end':
        r.take();
        r.expect('right', 'end');
        return '{{end}}';
      case 'else':
        r.take();
        if (!isKeyword(r.peekSolid(), 'if') && !isKeyword(r.peek(), 'with')) r.expect('right', 'else');
        return '{{else}}';
      case 'break':
      case 'continue':
        r.take();
        return leave(r, token.text);
      case 'template':
        r.take();
        return inclusion(r);
      case 'block':
        r.take();
        return block(r);
    }
  }
  return { kind: 'action', at: token.at, pipe: pipeline(r, 'command', 'right') };
}

function leave(r: Reader, kind: 'break' | 'continue'): Node {
  const token = r.takeSolid();
  if (token.kind !== 'right') r.unexpected(token, `{{${kind}}}`);
  if (r.loops === 0) r.fail(`{{${kind}}} outside {{range}}`);
  return { kind };
}

function templateName(r: Reader, token: Token, context: string): string {
  return token.kind === 'string' ? unquote(token.text) : token.kind === 'raw' ? token.text.slice(1, -1) : r.unexpected(token, context);
}

/** {{template "name" pipeline}} */
function inclusion(r: Reader): Node {
  const context = 'template clause';
  const token = r.takeSolid();
  const name = templateName(r, token, context);
  if (r.peekSolid().kind !== 'right') return { kind: 'template', name, pipe: pipeline(r, context, 'right'), at: token.at };
  r.take();
  return { kind: 'template', name, pipe: null, at: token.at };
}

/** {{block "name" pipeline}} … {{end}}: defines and includes. */
function block(r: Reader): Node {
  const context = 'block clause';
  const token = r.takeSolid();
  const name = templateName(r, token, context);
  const pipe = pipeline(r, context, 'right');
  own(r, name, (end) => r.fail(`unexpected ${end} in ${context}`));
  return { kind: 'template', name, pipe, at: token.at };
}

function control(r: Reader, kind: Control['kind'], at: number): Control {
  const known = r.variables.length;
  const pipe = pipeline(r, kind, 'right');
  if (kind === 'range') r.loops++;
  const [body, end] = list(r);
  if (kind === 'range') r.loops--;
  let otherwise: Node[] = [];
  if (end === '{{else}}') {
    if (kind !== 'range' && isKeyword(r.peek(), kind)) otherwise = [control(r, kind, r.take().at)];
    else {
      const [rest, last] = list(r);
      if (last !== '{{end}}') r.fail(`expected end; found ${last}`);
      otherwise = rest;
    }
  }
  r.variables.length = known;
  return { kind, pipe, body, otherwise, at };
}

const OPERANDS: ReadonlySet<Kind> = new Set(['bool', 'rune', 'dot', 'field', 'identifier', 'number', 'raw', 'string', 'variable', '(']);

function pipeline(r: Reader, context: string, end: 'right' | ')'): Pipe {
  const { at } = r.peekSolid();
  const { names, declares } = declarations(r, context);
  const commands: Operand[][] = [];
  for (;;) {
    const token = r.takeSolid();
    if (token.kind === end) break;
    if (!OPERANDS.has(token.kind) && !isKeyword(token, 'nil')) r.unexpected(token, context);
    r.next--;
    commands.push(command(r));
  }
  if (commands.length === 0) r.fail(`missing value for ${context}`);
  const stage = commands.findIndex(([head], i) => i > 0 && (head!.kind === 'literal' || (head!.kind === 'field' && head!.path.length === 0)));
  if (stage > 0) r.fail(`non executable command in pipeline stage ${stage + 1}`);
  const source = commands.map((one) => one.map((o) => o.source).join(' ')).join(' | ');
  const given = names.length > 0 ? `${names.join(', ')} ${declares ? ':=' : '='} ` : '';
  return { assign: names.length > 0 ? names.join(',') : null, declares, commands, source: given + source, at };
}

/** "$x :=", "$i, $x :=", "$x =" before a pipeline. */
function declarations(r: Reader, context: string): { names: string[]; declares: boolean } {
  const names: string[] = [];
  while (r.peekSolid().kind === 'variable') {
    const before = r.next;
    const name = r.take().text;
    const next = r.peekSolid();
    if (next.kind === 'assign' || next.kind === 'declare') {
      r.take();
      names.push(name);
      r.variables.push(name);
      return { names, declares: next.kind === 'declare' };
    }
    if (next.kind !== 'char' || next.text !== ',') {
      r.next = before;
      break;
    }
    r.take();
    names.push(name);
    r.variables.push(name);
    if (context !== 'range' || names.length >= 2) r.fail(`too many declarations in ${context}`);
    const after = r.peekSolid();
    if (after.kind !== 'variable' && after.kind !== 'right' && after.kind !== ')') r.fail('range can only initialize variables');
  }
  return { names, declares: true };
}

function command(r: Reader): Operand[] {
  const operands: Operand[] = [];
  for (;;) {
    r.peekSolid();
    const one = operand(r);
    if (one) operands.push(one);
    const token = r.take();
    if (token.kind === 'space') continue;
    if (token.kind === 'right' || token.kind === ')') r.next--;
    else if (token.kind !== 'pipe') r.unexpected(token, 'operand');
    break;
  }
  if (operands.length === 0) r.fail('empty command');
  return operands;
}

/** A term with the fields that follow it; a chain stands where its first further field does. */
function operand(r: Reader): Operand | null {
  const node = term(r);
  if (!node || r.peek().kind !== 'field') return node;
  const { at } = r.peek();
  const path: string[] = [];
  while (r.peek().kind === 'field') path.push(r.take().text.slice(1));
  const source = `${node.source}.${path.join('.')}`;
  if (node.kind === 'literal' || (node.kind === 'field' && node.path.length === 0)) return r.fail(`unexpected . after term ${JSON.stringify(node.source)}`);
  return { ...node, path: [...node.path, ...path], source, at };
}

function term(r: Reader): Operand | null {
  const token = r.takeSolid();
  const { text, at } = token;
  const literal = (value: unknown): Operand => ({ kind: 'literal', value, source: text, at });
  switch (token.kind) {
    case 'identifier':
      return r.functions.has(text) ? { kind: 'word', name: text, path: [], source: text, at } : r.fail(`function "${text}" not defined`);
    case 'dot':
      return { kind: 'field', path: [], source: text, at };
    case 'field':
      return { kind: 'field', path: [text.slice(1)], source: text, at };
    case 'variable':
      return r.variables.includes(text) ? { kind: 'variable', name: text, path: [], source: text, at } : r.fail(`undefined variable "${text}"`);
    case 'keyword':
      if (text === 'nil') return literal(null);
      break;
    case 'bool':
      return literal(text === 'true');
    case 'rune':
      if ([...unquote(text)].length !== 1) r.fail(`malformed character constant: ${text}`);
      return literal(unquote(text).codePointAt(0));
    case 'number':
      return literal(Number(text.replaceAll('_', '').replace(/^0(?=\d+$)/, '0o')));
    case 'string':
      return literal(unquote(text));
    case 'raw':
      return literal(text.slice(1, -1));
    case '(': {
      const pipe = pipeline(r, 'parenthesized pipeline', ')');
      return { kind: 'group', pipe, path: [], source: `(${pipe.source})`, at: pipe.at };
    }
  }
  r.next--;
  return null;
}

const ESCAPED: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', a: '\x07', b: '\b', f: '\f', v: '\v' };

function unquote(quoted: string): string {
  return quoted.slice(1, -1).replace(/\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|(.))/g, (_, x: string, u: string, c: string) => (c === undefined ? String.fromCharCode(Number.parseInt(x ?? u, 16)) : (ESCAPED[c] ?? c)));
}
