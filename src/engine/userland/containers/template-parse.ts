/**
 * Go's text/template, its reading: text, fields, variables, pipelines, if, with, range, else, break, continue.
 * Source: pkg.go.dev/text/template/parse. Left out: define, template, block.
 */
export class TemplateError extends Error {}

export type Node =
  | { kind: 'text'; text: string }
  | { kind: 'action'; pipe: Pipe; at: number }
  | { kind: 'break' }
  | { kind: 'continue' }
  | { kind: 'if' | 'with' | 'range'; pipe: Pipe; body: Node[]; otherwise: Node[]; at: number };
export interface Pipe {
  /** Variables that it is given to, by commas. */
  assign: string | null;
  /** := makes them. */
  declares: boolean;
  commands: Operand[][];
  /** As Go prints it in an error. */
  source: string;
}
export type Operand =
  | { kind: 'field'; path: string[]; source: string; at: number }
  | { kind: 'variable'; name: string; path: string[]; source: string; at: number }
  | { kind: 'literal'; value: unknown; source: string; at: number }
  | { kind: 'word'; name: string; source: string; at: number }
  | { kind: 'group'; pipe: Pipe; path: string[]; source: string; at: number };

export type Template = Node[];

interface Token {
  text: string;
  at: number;
}

/** Parses; throws TemplateError with Go's words after "template: :1: ". */
export function parseWith(functions: ReadonlySet<string>, source: string): Template {
  const nodes: Node[] = [];
  const stack: { outer: Extract<Node, { body: Node[] }>; node: Extract<Node, { body: Node[] }>; into: Node[] }[] = [];
  let into = nodes;
  let at = 0;
  while (at < source.length) {
    const open = source.indexOf('{{', at);
    let plain = source.slice(at, open < 0 ? source.length : open);
    if (open >= 0 && /^\{\{-\s/.test(source.slice(open))) plain = plain.replace(/\s+$/, '');
    if (plain !== '') into.push({ kind: 'text', text: plain });
    if (open < 0) break;
    const close = source.indexOf('}}', open);
    if (close < 0) throw new TemplateError('template: :1: unclosed action');
    let inner = source.slice(open + 2, close);
    at = close + 2;
    if (/^-\s/.test(inner)) inner = ` ${inner.slice(1)}`;
    if (/\s-$/.test(inner)) {
      inner = inner.slice(0, -1);
      at += /^\s*/.exec(source.slice(at))![0].length;
    }
    if (/^\s*\/\*/.test(inner)) continue;
    const tokens = tokenize(inner, open + 2);
    const word = tokens[0]?.text;
    if (word === 'end') {
      const top = stack.pop();
      if (!top) throw new TemplateError('template: :1: unexpected {{end}}');
      into = top.into;
    } else if (word === 'else') {
      const top = stack[stack.length - 1];
      if (!top) throw new TemplateError('template: :1: unexpected {{else}}');
      into = top.node.otherwise;
      if (tokens[1]?.text === 'if') {
        const node: Node = { kind: 'if', pipe: parsePipe(functions, tokens.slice(2)), body: [], otherwise: [], at: open };
        into.push(node);
        top.node = node;
        into = node.body;
      }
    } else if ((word === 'break' || word === 'continue') && tokens.length === 1) {
      if (!stack.some((one) => one.outer.kind === 'range')) throw new TemplateError(`template: :1: {{${word}}} outside {{range}}`);
      into.push({ kind: word });
    } else if (word === 'if' || word === 'with' || word === 'range') {
      const node: Extract<Node, { body: Node[] }> = { kind: word, pipe: parsePipe(functions, tokens.slice(1)), body: [], otherwise: [], at: open };
      into.push(node);
      stack.push({ outer: node, node, into });
      into = node.body;
    } else if (tokens.length === 0) throw new TemplateError('template: :1: missing value for command');
    else into.push({ kind: 'action', pipe: parsePipe(functions, tokens), at: open });
  }
  if (stack.length > 0) throw new TemplateError('template: :1: unexpected EOF');
  return nodes;
}

function tokenize(inner: string, offset: number): Token[] {
  const tokens: Token[] = [];
  const rule = /\s+|"(?:[^"\\]|\\.)*"|`[^`]*`|'(?:[^'\\]|\\.)'|:=|[|(),=]|\$?[\w]*(?:\.[\w]+)+|\$\w*|\.|-?\d+(?:\.\d+)?|\w+/y;
  while (rule.lastIndex < inner.length) {
    const at = rule.lastIndex;
    const match = rule.exec(inner);
    if (!match) {
      const c = inner[at]!;
      throw new TemplateError(c === '"' ? 'template: :1: unterminated quoted string' : `template: :1: unexpected ${JSON.stringify(c)} in command`);
    }
    if (match[0].trim() !== '') tokens.push({ text: match[0], at: offset + at });
  }
  return tokens;
}

function parsePipe(functions: ReadonlySet<string>, tokens: Token[]): Pipe {
  let assign: string | null = null;
  let declares = false;
  let rest = tokens;
  const define = tokens.findIndex((t) => t.text === ':=' || t.text === '=');
  if (define > 0) {
    assign = tokens.slice(0, define).map((t) => t.text).join('');
    declares = tokens[define]!.text === ':=';
    rest = tokens.slice(define + 1);
  }
  const commands: Operand[][] = [[]];
  for (let i = 0; i < rest.length; i++) {
    const token = rest[i]!;
    if (token.text === '|') commands.push([]);
    else if (token.text === '(') {
      let depth = 1;
      let end = i + 1;
      for (; end < rest.length && depth > 0; end++) depth += rest[end]!.text === '(' ? 1 : rest[end]!.text === ')' ? -1 : 0;
      if (depth > 0) throw new TemplateError('template: :1: unclosed left paren');
      const pipe = parsePipe(functions, rest.slice(i + 1, end - 1));
      const next = rest[end];
      const dotted = next && next.text.startsWith('.') && next.text.length > 1 && next.at === rest[end - 1]!.at + 1;
      commands[commands.length - 1]!.push({ kind: 'group', pipe, path: dotted ? next.text.slice(1).split('.') : [], source: `(${pipe.source})${dotted ? next.text : ''}`, at: dotted ? next.at : token.at });
      i = dotted ? end : end - 1;
    } else commands[commands.length - 1]!.push(operand(functions, token));
  }
  if (commands.some((c) => c.length === 0)) throw new TemplateError('template: :1: missing value for command');
  const source = commands.map((command) => command.map((one) => one.source).join(' ')).join(' | ');
  return { assign, declares, commands, source: assign === null ? source : `${assign.replace(',', ', ')} := ${source}` };
}

function operand(functions: ReadonlySet<string>, token: Token): Operand {
  const { text, at } = token;
  const first = text[0]!;
  const literal = (value: unknown): Operand => ({ kind: 'literal', value, source: text, at });
  if (first === '"') return literal(unquote(text));
  if (first === '`') return literal(text.slice(1, -1));
  if (first === "'") return literal(unquote(text).codePointAt(0));
  if (/^-?\d/.test(text)) return literal(Number(text));
  if (text === '.') return { kind: 'field', path: [], source: text, at };
  if (first === '.') {
    // A chain of fields stands where its second begins.
    const path = text.slice(1).split('.');
    return { kind: 'field', path, source: text, at: path.length > 1 ? at + 1 + path[0]!.length : at };
  }
  if (first === '$') {
    const [name, ...path] = text.split('.');
    return { kind: 'variable', name: name!, path, source: text, at: path.length > 0 ? at + name!.length : at };
  }
  if (text === 'true' || text === 'false') return literal(text === 'true');
  if (text === 'nil') return { kind: 'literal', value: null, source: text, at };
  if (!/^\w+$/.test(text)) throw new TemplateError(`template: :1: unexpected ${JSON.stringify(text)} in command`);
  if (!functions.has(text)) throw new TemplateError(`template: :1: function "${text}" not defined`);
  return { kind: 'word', name: text, source: text, at };
}

function unquote(quoted: string): string {
  return quoted.slice(1, -1).replace(/\\(.)/g, (_, c: string) => ({ n: '\n', t: '\t', r: '\r' })[c] ?? c);
}
