/** Runs a filter of jq: each input gives any number of outputs, each with the path that led to it where there is one. Source: jq(1). */
import { BUILTINS, DEFINED, formatted, LACKING } from './builtins.ts';
import { BadFilter, type Filter, parseFilter } from './parse.ts';
import { arithmetic, compare, deletePath, getPath, indexed, isObject, JqError, setPath, sliced, type Step, truth, typeOf, type Value } from './values.ts';

/** A value, and where it stands in the input when only paths led to it. */
export interface Item {
  v: Value;
  path: Step[] | null;
}

interface Closure {
  params: string[];
  body: Filter;
  scope: Scope;
}

/** What a filter may ask of the program that runs it. */
export interface Around {
  /** Seconds since 1970. */
  now: number;
  env: Value;
  /** The next of the inputs; throws JqError after the last. */
  input(): Value;
}

/** Variables and functions in reach. */
export interface Scope {
  around: Around;
  variables: ReadonlyMap<string, Value>;
  functions: Map<string, Closure>;
  parent: Scope | null;
}

class Budget extends Error {}

const MOST = 5_000_000;
let spent = 0;

/** A scope with variables. */
export function topScope(around: Around, variables: ReadonlyMap<string, Value>): Scope {
  spent = 0;
  return { around, variables, functions: new Map(), parent: null };
}

const plain = (v: Value): Item => ({ v, path: null });

export function* run(f: Filter, scope: Scope, input: Item): Generator<Item> {
  if (++spent > MOST) throw new Budget('not modelled: a filter of so many steps');
  switch (f.op) {
    case 'identity': yield input; return;
    case 'recurse': yield* everything(input); return;
    case 'literal': yield plain(f.value); return;
    case 'text': yield* textOf(f, scope, input); return;
    case 'format': yield plain(formatted(f.name, input.v)); return;
    case 'negate': for (const { v } of run(f.of, scope, input)) {
      if (typeof v !== 'number') throw new JqError(`${typeOf(v)} cannot be negated`);
      yield plain(-v);
    }
      return;
    case 'index': for (const key of run(f.key, scope, plainly(input))) for (const of of run(f.of, scope, input)) yield { v: indexed(of.v, key.v), path: of.path && [...of.path, key.v as Step] }; return;
    case 'slice': yield* slices(f, scope, input); return;
    case 'each': for (const of of run(f.of, scope, input)) yield* children(of); return;
    case 'try': yield* attempted(f, scope, input); return;
    case 'array': yield plain(f.of ? [...run(f.of, scope, plainly(input))].map((one) => one.v) : []); return;
    case 'object': yield* objects(f.fields, scope, plainly(input)); return;
    case 'pipe': for (const one of run(f.a, scope, input)) yield* run(f.b, scope, one); return;
    case 'comma': yield* run(f.a, scope, input); yield* run(f.b, scope, input); return;
    case 'alternative': yield* alternatives(f, scope, input); return;
    case 'binary': yield* binaries(f, scope, plainly(input)); return;
    case 'assign': yield* assigned(f, scope, plainly(input)); return;
    case 'if': yield* chosen(f, scope, input, 0); return;
    case 'as': for (const { v } of run(f.of, scope, plainly(input))) yield* run(f.body, withVariable(scope, f.name, v), input); return;
    case 'reduce': {
      let at: Value = first(run(f.from, scope, input))?.v ?? null;
      for (const { v } of run(f.of, scope, plainly(input))) at = last(run(f.by, withVariable(scope, f.name, v), plain(at)))?.v ?? null;
      yield plain(at);
      return;
    }
    case 'foreach': {
      let at: Value = first(run(f.from, scope, input))?.v ?? null;
      for (const { v } of run(f.of, scope, plainly(input))) {
        const inner = withVariable(scope, f.name, v);
        for (const state of run(f.by, inner, plain(at))) {
          at = state.v;
          yield* f.show ? run(f.show, inner, plain(at)) : [plain(at)];
        }
      }
      return;
    }
    case 'define': {
      const inner: Scope = { around: scope.around, variables: scope.variables, functions: new Map(), parent: scope };
      inner.functions.set(`${f.name}/${f.params.length}`, { params: f.params, body: f.body, scope: inner });
      yield* run(f.rest, inner, input);
      return;
    }
    case 'variable': yield plain(variable(scope, f.name)); return;
    case 'call': yield* called(f.name, f.args, scope, input);
  }
}

/** What is computed has no path of its own. */
const plainly = (input: Item): Item => (input.path ? { v: input.v, path: null } : input);

function first(items: Iterable<Item>): Item | undefined {
  for (const one of items) return one;
  return undefined;
}

function last(items: Iterable<Item>): Item | undefined {
  let at: Item | undefined;
  for (const one of items) at = one;
  return at;
}

function withVariable(scope: Scope, name: string, value: Value): Scope {
  return { around: scope.around, variables: new Map([...scope.variables, [name, value]]), functions: new Map(), parent: scope };
}

function variable(scope: Scope, name: string): Value {
  for (let at: Scope | null = scope; at; at = at.parent) if (at.variables.has(name)) return at.variables.get(name);
  throw new BadFilter(`$${name} is not defined`);
}

function* children({ v, path }: Item): Generator<Item> {
  if (Array.isArray(v)) for (const [i, one] of v.entries()) yield { v: one, path: path && [...path, i] };
  else if (isObject(v)) for (const [key, one] of Object.entries(v)) yield { v: one, path: path && [...path, key] };
  else throw new JqError(`Cannot iterate over ${typeOf(v)}${typeOf(v) === 'null' ? '' : ` (${String(typeof v === 'string' ? JSON.stringify(v) : v)})`}`);
}

function* everything(item: Item): Generator<Item> {
  yield item;
  if (Array.isArray(item.v) || isObject(item.v)) for (const one of children(item)) yield* everything(one);
}

function* textOf(f: Extract<Filter, { op: 'text' }>, scope: Scope, input: Item, at = 0, before = ''): Generator<Item> {
  const part = f.parts[at];
  if (part === undefined) yield plain(before);
  else if (typeof part === 'string') yield* textOf(f, scope, input, at + 1, before + part);
  else for (const { v } of run(part, scope, plainly(input))) yield* textOf(f, scope, input, at + 1, before + formatted(f.format, v));
}

function* slices(f: Extract<Filter, { op: 'slice' }>, scope: Scope, input: Item): Generator<Item> {
  const from = f.from ? (first(run(f.from, scope, plainly(input)))?.v ?? null) : null;
  const to = f.to ? (first(run(f.to, scope, plainly(input)))?.v ?? null) : null;
  for (const of of run(f.of, scope, input)) yield { v: sliced(of.v, from, to), path: of.path && [...of.path, { start: from, end: to }] };
}

function* attempted(f: Extract<Filter, { op: 'try' }>, scope: Scope, input: Item): Generator<Item> {
  try {
    yield* run(f.body, scope, input);
  } catch (error) {
    if (!(error instanceof JqError)) throw error;
    if (f.or) yield* run(f.or, scope, plain(error.value));
  }
}

function* objects(fields: readonly [Filter, Filter][], scope: Scope, input: Item, made: Record<string, Value> = {}): Generator<Item> {
  const [field, ...rest] = fields;
  if (!field) {
    yield plain(made);
    return;
  }
  for (const key of run(field[0], scope, input)) {
    if (typeof key.v !== 'string') throw new JqError(`Object keys must be strings`);
    for (const value of run(field[1], scope, input)) yield* objects(rest, scope, input, { ...made, [key.v]: value.v });
  }
}

function* alternatives(f: { a: Filter; b: Filter }, scope: Scope, input: Item): Generator<Item> {
  let some = false;
  try {
    for (const one of run(f.a, scope, input)) {
      if (!truth(one.v)) continue;
      some = true;
      yield one;
    }
  } catch (error) {
    if (!(error instanceof JqError)) throw error;
  }
  if (!some) yield* run(f.b, scope, input);
}

function* binaries(f: Extract<Filter, { op: 'binary' }>, scope: Scope, input: Item): Generator<Item> {
  if (f.by === 'and' || f.by === 'or') {
    for (const a of run(f.a, scope, input)) {
      if (truth(a.v) === (f.by === 'or')) yield plain(f.by === 'or');
      else for (const b of run(f.b, scope, input)) yield plain(truth(b.v));
    }
    return;
  }
  for (const b of run(f.b, scope, input)) for (const a of run(f.a, scope, input)) yield plain(COMPARE[f.by]?.(compare(a.v, b.v)) ?? arithmetic(f.by, a.v, b.v));
}

const COMPARE: Readonly<Record<string, (order: number) => boolean>> = { '==': (o) => o === 0, '!=': (o) => o !== 0, '<': (o) => o < 0, '<=': (o) => o <= 0, '>': (o) => o > 0, '>=': (o) => o >= 0 };

/** The paths that a filter leads to. */
export function pathsOf(f: Filter, scope: Scope, v: Value): Step[][] {
  return [...run(f, scope, { v, path: [] })].map((one) => {
    if (!one.path) throw new JqError(`Invalid path expression with result ${typeOf(one.v) === 'string' ? JSON.stringify(one.v) : String(one.v)}`);
    return one.path;
  });
}

function* assigned(f: Extract<Filter, { op: 'assign' }>, scope: Scope, input: Item): Generator<Item> {
  if (f.by === '|=') {
    let v = input.v;
    const gone: Step[][] = [];
    for (const path of pathsOf(f.a, scope, v)) {
      const one = first(run(f.b, scope, plain(getPath(v, path))));
      if (one) v = setPath(v, path, one.v);
      else gone.push(path);
    }
    for (const path of gone.reverse()) v = deletePath(v, path);
    yield plain(v);
    return;
  }
  for (const right of run(f.b, scope, input)) {
    let v = input.v;
    for (const path of pathsOf(f.a, scope, v)) {
      const before = getPath(v, path);
      v = setPath(v, path, f.by === '=' ? right.v : f.by === '//=' ? (truth(before) ? before : right.v) : arithmetic(f.by[0]!, before, right.v));
    }
    yield plain(v);
  }
}

function* chosen(f: Extract<Filter, { op: 'if' }>, scope: Scope, input: Item, at: number): Generator<Item> {
  const branch = f.branches[at];
  if (!branch) {
    yield* f.or ? run(f.or, scope, input) : [input];
    return;
  }
  for (const { v } of run(branch[0], scope, plainly(input))) yield* truth(v) ? run(branch[1], scope, input) : chosen(f, scope, input, at + 1);
}

const defined = new Map<string, { params: string[]; body: Filter }>();

function libraryOf(name: string): { params: string[]; body: Filter } | null {
  const source = DEFINED[name];
  if (source === undefined) return null;
  let known = defined.get(name);
  if (!known) defined.set(name, (known = { params: source[0] === '' ? [] : source[0].split(' '), body: parseFilter(source[1]) }));
  return known;
}

/** What the program knows and the filter does not. */
const ASKED: Readonly<Record<string, (around: Around) => Iterable<Item>>> = {
  'now/0': ({ now }) => [plain(now)],
  'env/0': ({ env }) => [plain(env)],
  'input/0': (around) => [plain(around.input())],
  'inputs/0': function* (around) {
    for (;;) {
      let v: Value;
      try {
        v = around.input();
      } catch (error) {
        if (error instanceof JqError && error.value === NO_MORE) return;
        throw error;
      }
      yield plain(v);
    }
  },
};
/** What `input` says after the last one. */
export const NO_MORE = 'No more inputs';

function* called(name: string, args: readonly Filter[], scope: Scope, input: Item): Generator<Item> {
  const full = `${name}/${args.length}`;
  for (let at: Scope | null = scope; at; at = at.parent) {
    const known = at.functions.get(full);
    if (known) {
      yield* entered(known, args, scope, input);
      return;
    }
  }
  const library = libraryOf(full);
  if (library) {
    yield* entered({ ...library, scope: { around: scope.around, variables: new Map(), functions: new Map(), parent: null } }, args, scope, input);
    return;
  }
  const asked = ASKED[full];
  if (asked) {
    yield* asked(scope.around);
    return;
  }
  const builtin = BUILTINS[full];
  if (!builtin) throw new BadFilter(`${full} is not defined`);
  yield* builtin(input, args.map((arg) => (item: Item) => run(arg, scope, item)), (arg: number, v: Value) => pathsOf(args[arg]!, scope, v));
}

/** Arguments are filters of the caller; one with a $ is a value, for each of the outputs. */
function* entered(known: Closure, args: readonly Filter[], scope: Scope, input: Item, at = 0, inner: Scope = { around: scope.around, variables: new Map(), functions: new Map(), parent: known.scope }): Generator<Item> {
  const param = known.params[at];
  if (param === undefined) {
    yield* run(known.body, inner, input);
    return;
  }
  const next: Scope = { around: scope.around, variables: inner.variables, functions: new Map(inner.functions), parent: inner.parent };
  if (!param.startsWith('$')) {
    next.functions.set(`${param}/0`, { params: [], body: args[at]!, scope });
    yield* entered(known, args, scope, input, at + 1, next);
    return;
  }
  for (const { v } of run(args[at]!, scope, plainly(input))) {
    const bound: Scope = { ...next, variables: new Map([...inner.variables, [param.slice(1), v]]) };
    bound.functions.set(`${param.slice(1)}/0`, { params: [], body: { op: 'literal', value: v }, scope });
    yield* entered(known, args, scope, input, at + 1, bound);
  }
}

/** Names that are called but nowhere defined, before anything runs. Throws BadFilter. */
export function requireDefined(f: Filter, known: ReadonlySet<string>, variables: ReadonlySet<string>): void {
  if (f.op === 'call') {
    const full = `${f.name}/${f.args.length}`;
    if (!known.has(full) && !BUILTINS[full] && !DEFINED[full] && !ASKED[full]) throw new BadFilter(LACKING.has(full) ? `not modelled: ${full}` : `${full} is not defined`);
  }
  if (f.op === 'variable' && !variables.has(f.name) && !['ENV', '__loc__'].includes(f.name)) throw new BadFilter(`$${f.name} is not defined`);
  if (f.op === 'define') {
    const inner = new Set([...known, `${f.name}/${f.params.length}`]);
    requireDefined(f.body, new Set([...inner, ...f.params.map((one) => `${one.replace(/^\$/, '')}/0`)]), new Set([...variables, ...f.params.filter((one) => one.startsWith('$')).map((one) => one.slice(1))]));
    requireDefined(f.rest, inner, variables);
    return;
  }
  const more = f.op === 'as' || f.op === 'reduce' || f.op === 'foreach' ? new Set([...variables, f.name]) : variables;
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit);
    else if (typeof value === 'object' && value !== null && 'op' in value) requireDefined(value as Filter, known, more);
  };
  if (f.op !== 'literal') for (const value of Object.values(f)) visit(value);
}
