/**
 * Go's text/template as far as `--format` needs it: fields, variables, pipelines, if/with/range/else/end, comparison and
 * the functions that docker adds (json, join, lower, upper, title, split, println, truncate, pad). Values are JSON.
 * Source: pkg.go.dev/text/template; docker's formatting page. Left out: define, template, block, method calls.
 */
export class TemplateError extends Error {}

type Node =
  | { kind: 'text'; text: string }
  | { kind: 'action'; pipe: Pipe; at: number }
  | { kind: 'if' | 'with' | 'range'; pipe: Pipe; body: Node[]; otherwise: Node[]; at: number };
interface Pipe {
  assign: string | null;
  commands: Operand[][];
}
type Operand =
  | { kind: 'field'; path: string[]; source: string; at: number }
  | { kind: 'variable'; name: string; path: string[]; source: string; at: number }
  | { kind: 'literal'; value: unknown }
  | { kind: 'word'; name: string; at: number }
  | { kind: 'group'; pipe: Pipe; path: string[]; source: string; at: number };

export type Template = Node[];

interface Token {
  text: string;
  at: number;
}

/** Parses; throws TemplateError with Go's words after "template: :1: ". */
export function parseTemplate(source: string): Template {
  const nodes: Node[] = [];
  const stack: { node: Extract<Node, { body: Node[] }>; into: Node[] }[] = [];
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
        const node: Node = { kind: 'if', pipe: parsePipe(tokens.slice(2)), body: [], otherwise: [], at: open };
        into.push(node);
        top.node = node;
        into = node.body;
      }
    } else if (word === 'if' || word === 'with' || word === 'range') {
      const node: Extract<Node, { body: Node[] }> = { kind: word, pipe: parsePipe(tokens.slice(1)), body: [], otherwise: [], at: open };
      into.push(node);
      stack.push({ node, into });
      into = node.body;
    } else if (tokens.length === 0) throw new TemplateError('template: :1: missing value for command');
    else into.push({ kind: 'action', pipe: parsePipe(tokens), at: open });
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

function parsePipe(tokens: Token[]): Pipe {
  let assign: string | null = null;
  let rest = tokens;
  const define = tokens.findIndex((t) => t.text === ':=' || t.text === '=');
  if (define > 0) {
    assign = tokens.slice(0, define).map((t) => t.text).join('');
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
      const pipe = parsePipe(rest.slice(i + 1, end - 1));
      const next = rest[end];
      const dotted = next && next.text.startsWith('.') && next.text.length > 1 && next.at === rest[end - 1]!.at + 1;
      commands[commands.length - 1]!.push({ kind: 'group', pipe, path: dotted ? next.text.slice(1).split('.') : [], source: '', at: token.at });
      i = dotted ? end : end - 1;
    } else commands[commands.length - 1]!.push(operand(token));
  }
  if (commands.some((c) => c.length === 0)) throw new TemplateError('template: :1: missing value for command');
  return { assign, commands };
}

function operand(token: Token): Operand {
  const { text, at } = token;
  const first = text[0]!;
  if (first === '"') return { kind: 'literal', value: unquote(text) };
  if (first === '`') return { kind: 'literal', value: text.slice(1, -1) };
  if (/^-?\d/.test(text)) return { kind: 'literal', value: Number(text) };
  if (text === '.') return { kind: 'field', path: [], source: text, at };
  if (first === '.') return { kind: 'field', path: text.slice(1).split('.'), source: text, at };
  if (first === '$') {
    const [name, ...path] = text.split('.');
    return { kind: 'variable', name: name!, path, source: text, at };
  }
  if (text === 'true' || text === 'false') return { kind: 'literal', value: text === 'true' };
  if (text === 'nil') return { kind: 'literal', value: null };
  if (!/^\w+$/.test(text)) throw new TemplateError(`template: :1: unexpected ${JSON.stringify(text)} in command`);
  if (!FUNCTIONS[text] && text !== 'and' && text !== 'or') throw new TemplateError(`template: :1: function "${text}" not defined`);
  return { kind: 'word', name: text, at };
}

function unquote(quoted: string): string {
  return quoted.slice(1, -1).replace(/\\(.)/g, (_, c: string) => ({ n: '\n', t: '\t', r: '\r' })[c] ?? c);
}

interface Scope {
  dot: unknown;
  variables: Map<string, unknown>;
  /** Fields that are absent print this ("<no value>"), or fail when null. */
  absent: string | null;
}

/** The text of a template over JSON data. A missing field fails ("map has no entry for key") unless `absent` is given. */
export function execute(template: Template, data: unknown, absent: string | null = null): string {
  return run(template, { dot: data, variables: new Map([['$', data]]), absent });
}

function run(nodes: readonly Node[], scope: Scope): string {
  let out = '';
  for (const node of nodes) {
    if (node.kind === 'text') out += node.text;
    else if (node.kind === 'action') {
      const value = evaluate(node.pipe, scope);
      if (node.pipe.assign === null) out += show(value);
    } else if (node.kind === 'range') out += range(node, scope);
    else {
      const value = evaluate(node.pipe, scope);
      if (truthy(value)) out += run(node.body, node.kind === 'with' ? { ...scope, dot: value } : scope);
      else out += run(node.otherwise, scope);
    }
  }
  return out;
}

function range(node: Extract<Node, { body: Node[] }>, scope: Scope): string {
  const value = evaluate({ ...node.pipe, assign: null }, scope);
  const names = (node.pipe.assign ?? '').split(',').filter((n) => n !== '');
  const entries: [unknown, unknown][] = Array.isArray(value)
    ? value.map((v, i) => [i, v])
    : typeof value === 'object' && value !== null
      ? Object.keys(value).sort().map((k) => [k, (value as Record<string, unknown>)[k]])
      : [];
  if (entries.length === 0) return run(node.otherwise, scope);
  return entries
    .map(([key, item]) => {
      const variables = new Map(scope.variables);
      if (names.length === 1) variables.set(names[0]!, item);
      if (names.length === 2) variables.set(names[0]!, key).set(names[1]!, item);
      return run(node.body, { ...scope, dot: item, variables });
    })
    .join('');
}

function evaluate(pipe: Pipe, scope: Scope): unknown {
  let value: unknown;
  pipe.commands.forEach((command, i) => {
    value = call(command, i === 0 ? [] : [value], scope);
  });
  if (pipe.assign !== null) scope.variables.set(pipe.assign, value);
  return value;
}

function call(command: readonly Operand[], piped: unknown[], scope: Scope): unknown {
  const head = command[0]!;
  if (head.kind !== 'word') {
    if (command.length > 1) throw new TemplateError(`template: :1: executing "" at <${'source' in head ? head.source : ''}>: can't give argument to non-function`);
    return value(head, scope);
  }
  const args = [...command.slice(1).map((o) => value(o, scope)), ...piped];
  if (head.name === 'and') return args.find((a) => !truthy(a)) ?? args[args.length - 1];
  if (head.name === 'or') return args.find((a) => truthy(a)) ?? args[args.length - 1];
  return FUNCTIONS[head.name]!(args, head);
}

function value(o: Operand, scope: Scope): unknown {
  if (o.kind === 'literal') return o.value;
  if (o.kind === 'word') return call([o], [], scope);
  let base: unknown = scope.dot;
  if (o.kind === 'group') base = evaluate(o.pipe, scope);
  if (o.kind === 'variable') {
    if (!scope.variables.has(o.name)) throw new TemplateError(`template: :1: undefined variable "${o.name}"`);
    base = scope.variables.get(o.name);
  }
  for (const key of o.path) {
    const record = base as Record<string, unknown> | null | undefined;
    if (typeof record === 'object' && record !== null && Object.hasOwn(record, key)) base = record[key];
    else if (scope.absent !== null && (typeof record !== 'object' || record === null)) return undefined;
    else {
      const where = `template: :1:${o.at}: executing "" at <${o.source}>: `;
      if (record === null || record === undefined) throw new TemplateError(`${where}nil pointer evaluating interface {}.${key}`);
      if (typeof record !== 'object') throw new TemplateError(`${where}can't evaluate field ${key} in type ${typeof record === 'string' ? 'string' : 'interface {}'}`);
      throw new TemplateError(`${where}map has no entry for key "${key}"`);
    }
  }
  return base;
}

type Fn = (args: unknown[], at: { name: string; at: number }) => unknown;
const str = (x: unknown): string => (typeof x === 'string' ? x : show(x));
const compare = (a: unknown, b: unknown): number => (typeof a === 'number' && typeof b === 'number' ? a - b : str(a) < str(b) ? -1 : str(a) > str(b) ? 1 : 0);

const FUNCTIONS: Readonly<Record<string, Fn>> = {
  json: ([x]) => goJson(x),
  join: ([list, separator]) => (Array.isArray(list) ? list.map(str).join(str(separator)) : ''),
  split: ([text, separator]) => str(text).split(str(separator)),
  lower: ([x]) => str(x).toLowerCase(),
  upper: ([x]) => str(x).toUpperCase(),
  title: ([x]) => str(x).replace(/\b[a-z]/g, (c) => c.toUpperCase()),
  println: (args) => `${args.map(str).join(' ')}\n`,
  print: (args) => args.map(str).join(''),
  printf: ([format, ...args]) => printf(str(format), args),
  truncate: ([text, n]) => str(text).slice(0, Number(n)),
  pad: ([text, before, after]) => ' '.repeat(Number(before)) + str(text) + ' '.repeat(Number(after)),
  len: ([x]) => (typeof x === 'string' || Array.isArray(x) ? x.length : Object.keys((x ?? {}) as object).length),
  not: ([x]) => !truthy(x),
  eq: ([a, ...rest]) => rest.some((b) => a === b || (typeof a !== typeof b && str(a) === str(b))),
  ne: ([a, b]) => a !== b,
  lt: ([a, b]) => compare(a, b) < 0,
  le: ([a, b]) => compare(a, b) <= 0,
  gt: ([a, b]) => compare(a, b) > 0,
  ge: ([a, b]) => compare(a, b) >= 0,
  html: ([x]) => str(x).replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;'),
  slice: ([x, from, to]) => (typeof x === 'string' || Array.isArray(x) ? x.slice(Number(from ?? 0), to === undefined ? undefined : Number(to)) : x),
  index: ([base, ...keys], at) =>
    keys.reduce((x: unknown, key) => {
      if (Array.isArray(x)) {
        if (typeof key !== 'number' || key < 0 || key >= x.length) throw new TemplateError(`template: :1:${at.at}: executing "" at <index>: error calling index: index out of range: ${str(key)}`);
        return x[key];
      }
      if (x === null || x === undefined) throw new TemplateError(`template: :1:${at.at}: executing "" at <index>: error calling index: index of untyped nil`);
      const record = x as Record<string, unknown>;
      return Object.hasOwn(record, str(key)) ? record[str(key)] : undefined;
    }, base),
};

function printf(format: string, args: unknown[]): string {
  let i = 0;
  return format.replace(/%(-?)(\d*)(?:\.(\d+))?([vsdqxft%])/g, (_, left: string, width: string, precision: string | undefined, verb: string) => {
    if (verb === '%') return '%';
    const arg = args[i++];
    let text = verb === 'q' ? JSON.stringify(str(arg)) : verb === 'x' ? Number(arg).toString(16) : str(arg);
    if (verb === 'f') text = Number(arg).toFixed(precision === undefined ? 6 : Number(precision));
    return left ? text.padEnd(Number(width || 0)) : text.padStart(Number(width || 0));
  });
}

function truthy(x: unknown): boolean {
  if (Array.isArray(x)) return x.length > 0;
  if (typeof x === 'object' && x !== null) return Object.keys(x).length > 0;
  return Boolean(x);
}

/** Go's %v. */
export function show(x: unknown): string {
  if (x === undefined) return '<no value>';
  if (x === null) return '<nil>';
  if (Array.isArray(x)) return `[${x.map(show).join(' ')}]`;
  if (typeof x === 'object') {
    const record = x as Record<string, unknown>;
    return `map[${Object.keys(record).sort().map((k) => `${k}:${show(record[k])}`).join(' ')}]`;
  }
  if (typeof x === 'number' && Number.isInteger(x) && Math.abs(x) >= 1e21) return x.toExponential();
  return String(x);
}

/** JSON as Go's encoder writes it: <, > and & escaped. */
export function goJson(x: unknown, indent?: string): string {
  return JSON.stringify(x ?? null, null, indent).replace(/[<>&]/g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`);
}
