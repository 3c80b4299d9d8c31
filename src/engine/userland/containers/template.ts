/**
 * Go's text/template as far as `--format` needs it, with the functions that docker adds (json, join, lower, upper, title, split,
 * println, truncate, pad). Values are JSON, or records that know their Go type (gofmt.ts); a function in a record is a method.
 * Source: pkg.go.dev/text/template; docker's formatting page.
 */
import { fromBase64, text } from '../../sim/text.ts';
import { goJson, printf, show, told, typeOf } from './gofmt.ts';
import { type Node, type Operand, parseWith, type Pipe, type Template, TemplateError } from './template-parse.ts';

export { goJson, show, told } from './gofmt.ts';
export { type Template, TemplateError } from './template-parse.ts';

interface Variables {
  own: Map<string, unknown>;
  up: Variables | null;
}

interface Scope {
  dot: unknown;
  variables: Variables;
  /** What maps lack is an error (missingkey=error). */
  strict: boolean;
  /** Decoded JSON, all of whose values Go knows as interface {}. */
  decoded: boolean;
}

/** A function refused its arguments. */
class Fault extends Error {}

/** Ends a round of a range; `out` is what it had written. */
class Leave {
  out = '';
  readonly kind: 'break' | 'continue';
  constructor(kind: 'break' | 'continue') {
    this.kind = kind;
  }
}

/** Parses; throws TemplateError with Go's words after "template: :1: ". `more`: functions of kubectl that docker has not. */
export function parseTemplate(source: string, more: readonly string[] = []): Template {
  return parseWith(more.length === 0 ? KNOWN : new Set([...KNOWN, ...more]), source);
}

/** The text of a template over data. A key that a map lacks fails ("map has no entry for key") unless `absent` is given. */
export function execute(template: Template, data: unknown, absent: string | null = null): string {
  return run(template, { dot: data, variables: { own: new Map([['$', data]]), up: null }, strict: absent === null, decoded: absent !== '' });
}

const inner = (scope: Scope): Scope => ({ ...scope, variables: { own: new Map(), up: scope.variables } });

function run(nodes: readonly Node[], scope: Scope): string {
  let out = '';
  try {
    for (const node of nodes) out += runOne(node, scope);
  } catch (error) {
    if (error instanceof Leave) error.out = out + error.out;
    throw error;
  }
  return out;
}

function runOne(node: Node, scope: Scope): string {
  if (node.kind === 'text') return node.text;
  if (node.kind === 'break' || node.kind === 'continue') throw new Leave(node.kind);
  if (node.kind === 'action') {
    const value = evaluate(node.pipe, scope);
    return node.pipe.assign === null ? show(value) : '';
  }
  if (node.kind === 'range') return range(node, scope);
  const within = inner(scope);
  const value = evaluate(node.pipe, within);
  if (!truthy(value)) return run(node.otherwise, within);
  return run(node.body, node.kind === 'with' ? { ...within, dot: value } : within);
}

function range(node: Extract<Node, { body: Node[] }>, scope: Scope): string {
  const value = evaluate({ ...node.pipe, assign: null }, scope);
  const names = (node.pipe.assign ?? '').split(',').filter((n) => n !== '');
  const entries = entriesOf(value);
  if (entries === null) throw new TemplateError(`${where(node.pipe.commands[0]![0]!.at, node.pipe.source)}range can't iterate over ${show(value)}`);
  if (entries.length === 0) return run(node.otherwise, inner(scope));
  let out = '';
  for (const [key, item] of entries) {
    const within = inner({ ...scope, dot: item });
    if (names.length === 1) within.variables.own.set(names[0]!, item);
    if (names.length === 2) within.variables.own.set(names[0]!, key).set(names[1]!, item);
    try {
      out += run(node.body, within);
    } catch (error) {
      if (!(error instanceof Leave)) throw error;
      out += error.out;
      if (error.kind === 'break') break;
    }
  }
  return out;
}

/** What a range goes through; null for what it cannot. */
function entriesOf(value: unknown): [unknown, unknown][] | null {
  if (Array.isArray(value)) return value.map((v, i) => [i, v]);
  if (value === null || value === undefined) return [];
  if (typeof value !== 'object' || typeOf(value)?.fields) return null;
  return Object.keys(value).sort().map((k) => [k, (value as Record<string, unknown>)[k]]);
}

function evaluate(pipe: Pipe, scope: Scope): unknown {
  let value: unknown;
  pipe.commands.forEach((command, i) => {
    value = call(command, i === 0 ? [] : [value], scope);
  });
  if (pipe.assign !== null) assign(pipe, scope.variables, value);
  return value;
}

function assign(pipe: Pipe, variables: Variables, value: unknown): void {
  let at: Variables | null = variables;
  if (!pipe.declares) while (at && !at.own.has(pipe.assign!)) at = at.up;
  if (!at) throw new TemplateError(`template: :1: undefined variable "${pipe.assign}"`);
  at.own.set(pipe.assign!, value);
}

const where = (at: number, source: string): string => `template: :1:${at}: executing "" at <${source}>: `;

function call(command: readonly Operand[], piped: unknown[], scope: Scope): unknown {
  const head = command[0]!;
  const args = (): unknown[] => [...command.slice(1).map((o) => value(o, scope)), ...piped];
  if (head.kind !== 'word') {
    const found = value(head, scope, command.length > 1 || piped.length > 0);
    if (typeof found === 'function') return found(...args());
    if (command.length > 1 || piped.length > 0) throw new TemplateError(`${where(head.at, head.source)}can't give argument to non-function ${head.source}`);
    return found;
  }
  if (head.name === 'and' || head.name === 'or') return junction(head.name, command.slice(1), piped, scope);
  const given = args();
  const most = ARITY[head.name];
  if (most !== undefined && given.length !== most) throw new TemplateError(`${where(head.at, head.source)}wrong number of args for ${head.name}: want ${most} got ${given.length}`);
  try {
    return FUNCTIONS[head.name]!(given);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    throw new TemplateError(`${where(head.at, command.map((one) => one.source).join(' '))}error calling ${head.name}: ${error.message}`);
  }
}

/** and, or: the first that decides; the others are not looked at. */
function junction(name: 'and' | 'or', operands: readonly Operand[], piped: unknown[], scope: Scope): unknown {
  let last: unknown;
  for (const operand of operands) {
    last = value(operand, scope);
    if (truthy(last) === (name === 'or')) return last;
  }
  return piped.length > 0 ? piped[0] : last;
}

function value(o: Operand, scope: Scope, called = false): unknown {
  if (o.kind === 'literal') return o.value;
  if (o.kind === 'word') return call([o], [], scope);
  let base: unknown = scope.dot;
  if (o.kind === 'group') base = evaluate(o.pipe, scope);
  if (o.kind === 'variable') {
    let at: Variables | null = scope.variables;
    while (at && !at.own.has(o.name)) at = at.up;
    if (!at) throw new TemplateError(`template: :1: undefined variable "${o.name}"`);
    base = at.own.get(o.name);
  }
  for (const key of o.path) base = field(base, key, o, scope);
  return typeof base === 'function' && !called ? base() : base;
}

function field(base: unknown, key: string, o: Operand, scope: Scope): unknown {
  if (typeof base === 'object' && base !== null && !(scope.decoded && Array.isArray(base))) {
    if (Object.hasOwn(base, key)) return (base as Record<string, unknown>)[key];
    const type = typeOf(base);
    if (type?.fields) throw new TemplateError(`${where(o.at, o.source)}can't evaluate field ${key} in type ${type.name}`);
    if (!scope.strict) return undefined;
    throw new TemplateError(`${where(o.at, o.source)}map has no entry for key "${key}"`);
  }
  if (base === undefined && !scope.strict) return undefined;
  if (base === null || base === undefined) throw new TemplateError(`${where(o.at, o.source)}nil pointer evaluating interface {}.${key}`);
  const type = typeof base === 'number' ? (scope.strict ? 'json.Number' : 'int') : typeof base === 'boolean' ? 'bool' : Array.isArray(base) ? '[]interface {}' : 'string';
  throw new TemplateError(`${where(o.at, o.source)}can't evaluate field ${key} in type ${scope.decoded ? 'interface {}' : type}`);
}

type Fn = (args: unknown[]) => unknown;
const str = (x: unknown): string => (typeof x === 'string' ? x : show(x));

function compare(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a !== typeof b) throw new Fault('incompatible types for comparison');
  return str(a) < str(b) ? -1 : str(a) > str(b) ? 1 : 0;
}

/** Numbers of JSON are texts too (json.Number): they equal a text of the same digits. */
const equal = (a: unknown, b: unknown): boolean => a === b || (typeof a !== typeof b && typeof a !== 'object' && typeof b !== 'object' && str(a) === str(b));

function length(x: unknown): number {
  if (typeof x === 'string') return x.length;
  if (Array.isArray(x)) return x.length;
  if (x === null || x === undefined) throw new Fault('len of nil pointer');
  if (typeof x !== 'object') throw new Fault(`len of type ${typeof x === 'number' ? 'int' : 'bool'}`);
  return Object.keys(x).length;
}

function index([base, ...keys]: unknown[]): unknown {
  return keys.reduce((x: unknown, key) => {
    if (x === null || x === undefined) throw new Fault('index of untyped nil');
    if (Array.isArray(x) || typeof x === 'string') {
      if (typeof key !== 'number') throw new Fault(`cannot index slice/array with type ${typeof key}`);
      if (key < 0 || key >= x.length) throw new Fault(`index out of range: ${key}`);
      return typeof x === 'string' ? x.charCodeAt(key) : x[key];
    }
    if (typeof x !== 'object' || typeOf(x)?.fields) throw new Fault(`can't index item of type ${typeOf(x)?.name ?? typeof x}`);
    const record = x as Record<string, unknown>;
    return Object.hasOwn(record, str(key)) ? record[str(key)] : typeOf(x)?.zero;
  }, base);
}

function sliced([x, from = 0, to]: unknown[]): unknown {
  if (typeof x !== 'string' && !Array.isArray(x)) throw new Fault(`can't slice item of type ${x === null || x === undefined ? 'nil' : typeof x}`);
  const end = to === undefined ? x.length : Number(to);
  if (Number(from) < 0 || Number(from) > x.length) throw new Fault(`index out of range: ${str(from)}`);
  if (end < 0 || end > x.length) throw new Fault(`index out of range: ${end}`);
  return x.slice(Number(from), end);
}

const JS: Readonly<Record<string, string>> = { '\\': '\\\\', "'": "\\'", '"': '\\"', '<': '\\u003C', '>': '\\u003E', '&': '\\u0026', '=': '\\u003D', '\n': '\\u000A', '\r': '\\u000D', '\t': '\\u0009' };
const HTML: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&#34;', "'": '&#39;' };
const all = (args: unknown[]): string => args.map(str).join(' ');

const FUNCTIONS: Readonly<Record<string, Fn>> = {
  json: ([x]) => goJson(x),
  join: ([list, separator]) => (Array.isArray(list) ? list.map(str).join(str(separator)) : ''),
  split: ([text, separator]) => str(text).split(str(separator)),
  lower: ([x]) => str(x).toLowerCase(),
  upper: ([x]) => str(x).toUpperCase(),
  title: ([x]) => str(x).replace(/\b[a-z]/g, (c) => c.toUpperCase()),
  println: (args) => `${args.map(str).join(' ')}\n`,
  print: (args) => args.map((x, i) => (i > 0 && typeof x !== 'string' && typeof args[i - 1] !== 'string' ? ` ${str(x)}` : str(x))).join(''),
  printf: ([format, ...args]) => printf(str(format), args),
  truncate: ([text, n]) => str(text).slice(0, Number(n)),
  pad: ([text, before, after]) => (str(text) === '' ? '' : ' '.repeat(Number(before)) + str(text) + ' '.repeat(Number(after))),
  len: ([x]) => length(x),
  not: ([x]) => !truthy(x),
  eq: ([a, ...rest]) => rest.some((b) => equal(a, b)),
  ne: ([a, b]) => !equal(a, b),
  lt: ([a, b]) => compare(a, b) < 0,
  le: ([a, b]) => compare(a, b) <= 0,
  gt: ([a, b]) => compare(a, b) > 0,
  ge: ([a, b]) => compare(a, b) >= 0,
  html: (args) => all(args).replace(/[&<>"']/g, (c) => HTML[c]!),
  js: (args) => all(args).replace(/[\\'"<>&=\n\r\t]/g, (c) => JS[c]!),
  urlquery: (args) => encodeURIComponent(all(args)).replace(/%20/g, '+'),
  slice: sliced,
  index,
  base64decode: ([x]) => {
    try {
      return text(fromBase64(str(x)));
    } catch {
      throw new Fault('illegal base64 data at input byte 0');
    }
  },
  exists: ([x, ...path]) => {
    let at: unknown = x;
    for (const key of path) {
      if (at === null || typeof at !== 'object' || !Object.hasOwn(at, str(key))) return false;
      at = (at as Record<string, unknown>)[str(key)];
    }
    return true;
  },
};

/** How many arguments those take that take a certain number. */
const ARITY: Readonly<Record<string, number>> = { json: 1, join: 2, split: 2, lower: 1, upper: 1, title: 1, truncate: 2, pad: 3, len: 1, not: 1, ne: 2, lt: 2, le: 2, gt: 2, ge: 2 };

const KUBECTL = new Set(['base64decode', 'exists']);
const KNOWN: ReadonlySet<string> = new Set([...Object.keys(FUNCTIONS).filter((f) => !KUBECTL.has(f)), 'and', 'or']);

function truthy(x: unknown): boolean {
  if (Array.isArray(x)) return x.length > 0;
  if (typeof x === 'object' && x !== null) return typeOf(x)?.fields ? true : Object.keys(x).length > 0;
  return Boolean(x);
}

/** The heads of a table's columns by the template of its rows: what changes a value leaves a head as it is. */
export function headings(template: Template, titles: Readonly<Record<string, string>>): string {
  const label = (name: string): string => name.split('.').at(-1)!.replace(/[-_]/g, ' ');
  return run(plainCalls(template), { dot: told({ ...titles, Label: label }, { name: 'formatter.SubHeaderContext', fields: null }), variables: { own: new Map(), up: null }, strict: false, decoded: false });
}

const UNCHANGED = new Set(['json', 'lower', 'upper', 'title', 'truncate', 'join', 'split']);

function plainCalls(nodes: readonly Node[]): Node[] {
  const pipe = (p: Pipe): Pipe => ({ ...p, commands: p.commands.map(command).filter((c) => c.length > 0) });
  const command = (c: Operand[]): Operand[] => {
    const head = c[0]!;
    if (head.kind === 'word' && UNCHANGED.has(head.name)) return c.slice(1, 2).map(operand);
    return c.map(operand);
  };
  const operand = (o: Operand): Operand => (o.kind === 'group' ? { ...o, pipe: pipe(o.pipe) } : o);
  return nodes.map((n) => ('pipe' in n ? ('body' in n ? { ...n, pipe: pipe(n.pipe), body: plainCalls(n.body), otherwise: plainCalls(n.otherwise) } : { ...n, pipe: pipe(n.pipe) }) : n));
}
