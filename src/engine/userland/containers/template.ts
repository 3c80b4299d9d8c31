/**
 * Go's text/template as far as `--format` needs it, with the functions that docker adds (json, join, lower, upper, title, split,
 * println, truncate, pad). Values are JSON, or records that know their Go type (gofmt.ts); a function in a record is a method.
 * Source: pkg.go.dev/text/template; docker's formatting page.
 */
import { bytes, fromBase64, text } from '../../sim/text.ts';
import { goJson, JsonNumber, kindOf, printf, show, told, typeOf } from './gofmt.ts';
import { type Control, type Node, type Operand, parseWith, type Pipe, type Template, TemplateError } from './template-parse.ts';

export { decoded, goJson, show, told } from './gofmt.ts';
export { type Template, TemplateError } from './template-parse.ts';

interface Variables {
  own: Map<string, unknown>;
  up: Variables | null;
}

interface Scope {
  dot: unknown;
  variables: Variables;
  template: Template;
  /** The template that runs, as errors name it. */
  name: string;
  /** Templates within templates. */
  depth: number;
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

/** Parses; throws TemplateError with Go's words after "template: NAME:1: ". `more`: functions of kubectl that docker has not. */
export function parseTemplate(source: string, more: readonly string[] = [], name = ''): Template {
  return parseWith(more.length === 0 ? KNOWN : new Set([...KNOWN, ...more]), source, name);
}

/** The text of a template over data. A key that a map lacks fails ("map has no entry for key") unless `absent` is given. */
export function execute(template: Template, data: unknown, absent: string | null = null): string {
  return run(template.nodes, { ...beginning(template, data), strict: absent === null, decoded: absent !== '' });
}

const beginning = (template: Template, data: unknown): Omit<Scope, 'strict' | 'decoded'> => ({ template, name: template.name, depth: 0, dot: data, variables: { own: new Map([['$', data]]), up: null } });
const inner = (scope: Scope): Scope => ({ ...scope, variables: { own: new Map(), up: scope.variables } });

function run(nodes: readonly Node[], scope: Scope): string {
  let out = '';
  try {
    for (const node of nodes) out += runOne(node, scope);
  } catch (error) {
    if (error instanceof Leave || error instanceof TemplateError) error.out = out + error.out;
    throw error;
  }
  return out;
}

function runOne(node: Node, scope: Scope): string {
  switch (node.kind) {
    case 'text':
      return node.text;
    case 'break':
    case 'continue':
      throw new Leave(node.kind);
    case 'action': {
      const value = evaluate(node.pipe, scope);
      // What decoded JSON has as null is no value to Go.
      return node.pipe.assign !== null ? '' : show(scope.decoded ? (value ?? undefined) : value);
    }
    case 'template':
      return include(node, scope);
    case 'range':
      return range(node, scope);
  }
  const within = inner(scope);
  const value = evaluate(node.pipe, within);
  if (!truthy(value)) return run(node.otherwise, within);
  return run(node.body, node.kind === 'with' ? { ...within, dot: value } : within);
}

const MOST_DEPTH = 100_000;

/** A defined template with its own variables, over what is handed to it. */
function include(node: Extract<Node, { kind: 'template' }>, scope: Scope): string {
  const source = `{{template ${JSON.stringify(node.name)}${node.pipe ? ` ${node.pipe.source}` : ''}}}`;
  const body = scope.template.defined.get(node.name) ?? (node.name === scope.template.name ? scope.template.nodes : undefined);
  if (!body) throw failure(scope, node.at, source, `template ${JSON.stringify(node.name)} not defined`);
  if (scope.depth >= MOST_DEPTH) throw failure(scope, node.at, source, `exceeded maximum template depth (${MOST_DEPTH})`);
  const dot = node.pipe ? evaluate(node.pipe, scope) : undefined;
  return run(body, { ...scope, dot, name: node.name, depth: scope.depth + 1, variables: { own: new Map([['$', dot]]), up: null } });
}

function range(node: Control, scope: Scope): string {
  const value = evaluate({ ...node.pipe, assign: null }, scope);
  const names = (node.pipe.assign ?? '').split(',').filter((n) => n !== '');
  const entries = entriesOf(value);
  const head = node.pipe.commands[0]![0]!;
  if (entries === null) throw failure(scope, head.at, head.source, `range can't iterate over ${show(value)}`);
  if (typeof value === 'number' && names.length > 1) throw failure(scope, head.at, head.source, `can't use ${show(value)} to iterate over more than one variable`);
  if (entries.length === 0) return run(node.otherwise, inner(scope));
  let out = '';
  for (const [key, item] of entries) {
    const within = inner({ ...scope, dot: item });
    if (names.length === 1) within.variables.own.set(names[0]!, item);
    if (names.length === 2) within.variables.own.set(names[0]!, key).set(names[1]!, item);
    try {
      out += run(node.body, within);
    } catch (error) {
      if (error instanceof TemplateError) error.out = out + error.out;
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
  if (typeof value === 'number' && Number.isInteger(value)) return Array.from({ length: Math.max(value, 0) }, (_, i) => [i, i]);
  if (value === null || value === undefined) return [];
  if (typeof value !== 'object' || value instanceof JsonNumber || typeOf(value)?.fields) return null;
  return Object.keys(value).sort().map((k) => [k, (value as Record<string, unknown>)[k]]);
}

function evaluate(pipe: Pipe, scope: Scope): unknown {
  let value: unknown;
  pipe.commands.forEach((command, i) => {
    value = call(command, i === 0 ? [] : [value], scope);
  });
  if (pipe.assign !== null) assign(pipe, scope, value);
  return value;
}

function assign(pipe: Pipe, scope: Scope, value: unknown): void {
  let at: Variables | null = scope.variables;
  if (!pipe.declares) while (at && !at.own.has(pipe.assign!)) at = at.up;
  if (!at) throw failure(scope, pipe.at, pipe.source, `undefined variable: ${pipe.assign}`);
  at.own.set(pipe.assign!, value);
}

/** What went wrong at a place of the source, as Go tells it: line, and column from 0. */
function failure(scope: Scope, at: number, source: string, why: string): TemplateError {
  const before = scope.template.source.slice(0, at);
  const line = before.split('\n').length;
  return new TemplateError(`template: ${scope.template.name}:${line}:${at - (before.lastIndexOf('\n') + 1)}: executing ${JSON.stringify(scope.name)} at <${source}>: ${why}`);
}

const sourceOf = (command: readonly Operand[]): string => command.map((one) => one.source).join(' ');

function call(command: readonly Operand[], piped: unknown[], scope: Scope): unknown {
  const head = command[0]!;
  if (head.kind !== 'word' || head.path.length > 0) return callValue(command, piped, scope);
  const { name } = head;
  const given = command.length - 1 + piped.length;
  const [least, most] = ARITY[name] ?? [0, Infinity];
  if (given < least || given > most) throw failure(scope, head.at, head.source, `wrong number of args for ${name}: want ${least === most ? least : `at least ${least}`} got ${given}`);
  if (name === 'and' || name === 'or') return junction(name, command.slice(1), piped, scope);
  const takes = TAKES[name] ?? [];
  const args: unknown[] = command.slice(1).map((o, i) => argument(o, takes[i], scope));
  if (piped.length > 0) {
    const last = command.length > 1 ? command.at(-1)! : head;
    args.push(checked(piped[0], takes[command.length - 1], last, scope));
  }
  try {
    return FUNCTIONS[name]!(args);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    throw failure(scope, head.at, sourceOf(command), `error calling ${name}: ${error.message}`);
  }
}

/** A field, a variable, a literal: only a method takes arguments. */
function callValue(command: readonly Operand[], piped: unknown[], scope: Scope): unknown {
  const head = command[0]!;
  const alone = command.length === 1 && piped.length === 0;
  if (alone && head.kind === 'literal' && head.value === null) throw failure(scope, head.at, head.source, 'nil is not a command');
  const found = value(head, scope, !alone);
  if (typeof found === 'function') return found(...command.slice(1).map((o) => value(o, scope)), ...piped);
  if (alone) return found;
  const field = head.kind === 'literal' ? undefined : head.path.at(-1);
  const why = field === undefined ? `can't give argument to non-function ${head.source}` : scope.decoded ? `${field} is not a method but has arguments` : `${field} has arguments but cannot be invoked as function`;
  throw failure(scope, head.at, head.source, why);
}

/** Types of arguments that functions insist on. */
type Takes = 'string' | 'int' | 'list';

const WORDS: Readonly<Record<Takes, string>> = { string: 'string', int: 'int', list: '[]string' };
const LITERALS: Readonly<Record<Takes, string>> = { string: 'string', int: 'integer', list: '' };

function fits(x: unknown, takes: Takes, decoded: boolean): boolean {
  if (takes === 'list') return Array.isArray(x) && !decoded && x.every((one) => typeof one === 'string');
  return takes === 'string' ? typeof x === 'string' : typeof x === 'number' && Number.isInteger(x);
}

function argument(o: Operand, takes: Takes | undefined, scope: Scope): unknown {
  if (o.kind === 'literal' && takes && !fits(o.value, takes, scope.decoded)) {
    if (takes === 'list') throw failure(scope, o.at, o.source, o.value === null ? 'cannot assign nil to []string' : `can't handle ${o.source} for arg of type []string`);
    throw failure(scope, o.at, o.source, o.value === null ? `cannot assign nil to ${takes}` : `expected ${LITERALS[takes]}; found ${o.source}`);
  }
  return checked(value(o, scope), takes, o, scope);
}

function checked(x: unknown, takes: Takes | undefined, at: Operand, scope: Scope): unknown {
  if (!takes || fits(x, takes, scope.decoded)) return x;
  if (x === undefined && takes === 'list') return [];
  if (x === undefined) throw failure(scope, at.at, at.source, `invalid value; expected ${WORDS[takes]}`);
  const got = scope.decoded && Array.isArray(x) ? '[]interface {}' : kindOf(x);
  throw failure(scope, at.at, at.source, `wrong type for value; expected ${WORDS[takes]}; got ${got}`);
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
  let base: unknown = scope.dot;
  if (o.kind === 'word') base = call([{ ...o, path: [] }], [], scope);
  if (o.kind === 'group') base = evaluate(o.pipe, scope);
  if (o.kind === 'variable') {
    let at: Variables | null = scope.variables;
    while (at && !at.own.has(o.name)) at = at.up;
    if (!at) throw failure(scope, o.at, o.source, `undefined variable: ${o.name}`);
    base = at.own.get(o.name);
  }
  if (o.path.length === 0) return base;
  for (const key of o.path) base = field(base, key, o, scope);
  return typeof base === 'function' && !called ? base() : base;
}

function field(base: unknown, key: string, o: Operand, scope: Scope): unknown {
  if (typeof base === 'object' && base !== null && !(base instanceof JsonNumber) && !(scope.decoded && Array.isArray(base))) {
    if (Object.hasOwn(base, key)) return (base as Record<string, unknown>)[key];
    const type = typeOf(base);
    // Neither do keys of a type of their own take a name.
    if (type?.fields || type?.key) throw failure(scope, o.at, o.source, `can't evaluate field ${key} in type ${type.name}`);
    if (!scope.strict) return undefined;
    throw failure(scope, o.at, o.source, `map has no entry for key "${key}"`);
  }
  if (base === undefined && !scope.strict) return undefined;
  if (base === null || base === undefined) throw failure(scope, o.at, o.source, `nil pointer evaluating interface {}.${key}`);
  throw failure(scope, o.at, o.source, `can't evaluate field ${key} in type ${scope.decoded ? 'interface {}' : kindOf(base)}`);
}

type Fn = (args: unknown[]) => unknown;
const str = (x: unknown): string => (typeof x === 'string' ? x : show(x));

/** The kinds that Go compares; a number of decoded JSON is a text to it. */
const basic = (x: unknown): string => (x instanceof JsonNumber ? 'string' : typeof x);

function compare(a: unknown, b: unknown): number {
  for (const x of [a, b]) if (!['number', 'string'].includes(basic(x))) throw new Fault('invalid type for comparison');
  if (basic(a) !== basic(b)) throw new Fault('incompatible types for comparison');
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return str(a) < str(b) ? -1 : str(a) > str(b) ? 1 : 0;
}

function equal(a: unknown, b: unknown): boolean {
  const [x, y] = [a ?? null, b ?? null];
  if (x === null || y === null) return x === y;
  for (const one of [x, y]) if (basic(one) === 'object') throw new Fault(`non-comparable type ${show(one)}: ${kindOf(one)}`);
  if (basic(x) !== basic(y)) throw new Fault('incompatible types for comparison');
  return typeof x === 'boolean' ? x === y : str(x) === str(y);
}

function length(x: unknown): number {
  if (typeof x === 'string' || x instanceof JsonNumber) return bytes(str(x)).length;
  if (Array.isArray(x)) return x.length;
  if (x === null || x === undefined) throw new Fault('len of nil pointer');
  if (typeof x !== 'object') throw new Fault(`len of type ${kindOf(x)}`);
  if (typeOf(x)?.fields) throw new Fault(`len of type ${typeOf(x)!.name.replace(/^\*/, '')}`);
  return Object.keys(x).length;
}

function index([base, ...keys]: unknown[]): unknown {
  return keys.reduce((x: unknown, key) => {
    if (x === null || x === undefined) throw new Fault('index of untyped nil');
    if (Array.isArray(x) || typeof x === 'string') {
      if (typeof key !== 'number') throw new Fault(key === null || key === undefined ? 'cannot index slice/array with nil' : `cannot index slice/array with type ${kindOf(key)}`);
      if (key < 0 || key > x.length) throw new Fault(`index out of range: ${key}`);
      if (key === x.length) throw new Fault(`reflect: ${typeof x === 'string' ? 'string' : 'slice'} index out of range`);
      return typeof x === 'string' ? x.charCodeAt(key) : x[key];
    }
    const type = typeOf(x);
    if (typeof x !== 'object' || x instanceof JsonNumber || type?.fields) throw new Fault(`can't index item of type ${kindOf(x).replace(/^\*/, '')}`);
    if (typeof key !== 'string' || type?.key) throw new Fault(`value has type ${kindOf(key)}; should be ${type?.key ?? 'string'}`);
    const record = x as Record<string, unknown>;
    return Object.hasOwn(record, key) ? record[key] : type?.zero;
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
  eq: ([a, ...rest]) => {
    if (rest.length === 0) throw new Fault('missing argument for comparison');
    return rest.some((b) => equal(a, b));
  },
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

/** How many arguments functions take, at least and at most. */
const ARITY: Readonly<Record<string, readonly [number, number]>> = {
  json: [1, 1], join: [2, 2], split: [2, 2], lower: [1, 1], upper: [1, 1], title: [1, 1], truncate: [2, 2], pad: [3, 3], len: [1, 1], not: [1, 1], ne: [2, 2], lt: [2, 2], le: [2, 2], gt: [2, 2], ge: [2, 2],
  eq: [1, Infinity], and: [1, Infinity], or: [1, Infinity], printf: [1, Infinity], index: [1, Infinity], slice: [1, Infinity],
};

const TAKES: Readonly<Record<string, readonly Takes[]>> = {
  join: ['list', 'string'], split: ['string', 'string'], lower: ['string'], upper: ['string'], title: ['string'], truncate: ['string', 'int'], pad: ['string', 'int', 'int'], printf: ['string'],
};

const KUBECTL = new Set(['base64decode', 'exists']);
const KNOWN: ReadonlySet<string> = new Set([...Object.keys(FUNCTIONS).filter((f) => !KUBECTL.has(f)), 'and', 'or']);

function truthy(x: unknown): boolean {
  if (Array.isArray(x)) return x.length > 0;
  if (x instanceof JsonNumber) return true;
  if (typeof x === 'object' && x !== null) return typeOf(x)?.fields ? true : Object.keys(x).length > 0;
  return Boolean(x);
}

/** The heads of a table's columns by the template of its rows: what changes a value leaves a head as it is. */
export function headings(template: Template, titles: Readonly<Record<string, string>>): string {
  const label = (name: string): string => name.split('.').at(-1)!.replace(/[-_]/g, ' ');
  const dot = told({ ...titles, Label: label }, { name: 'formatter.SubHeaderContext', fields: null });
  return run(plainCalls(template.nodes), { ...beginning(template, dot), strict: false, decoded: false });
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
  return nodes.map((n) => ('pipe' in n && n.pipe ? ('body' in n ? { ...n, pipe: pipe(n.pipe), body: plainCalls(n.body), otherwise: plainCalls(n.otherwise) } : { ...n, pipe: pipe(n.pipe) }) : n));
}
