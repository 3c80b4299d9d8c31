/**
 * Expressions. `quick` answers what has no effect and needs no system call (names, numbers, short texts) without a generator;
 * everything else goes through `evaluate`. The frame remembers what it is at, for tracebacks.
 */
import type { Call } from '../lib/http.ts';
import type { Arg, Clause, Expr, ExprOf, FPart, FunctionCode } from './ast.ts';
import { call, getAttr, methodOf } from './call.ts';
import { isError, raised, typeError } from './errors.ts';
import { format } from './format.ts';
import { heavy, made as counted, weigh } from './heap.ts';
import { collect, hashable, iterate } from './iterate.ts';
import { binary, compare, truth, unary } from './ops.ts';
import { resolve } from './parse-base.ts';
import { repr, str, stringRepr } from './repr.ts';
import { itemOf } from './sequences.ts';
import { dict, type Func, isObj, list, type Obj, set, tuple, typeName, type Value } from './values.ts';
import { type Frame, STEP, type Vm } from './vm.ts';

/** Assigns to a target; given by exec.ts. */
export type Assigner = (vm: Vm, frame: Frame, target: Expr, value: Value) => Call<void>;
let assign: Assigner;
export const setAssigner = (to: Assigner): void => {
  assign = to;
};
/** What a generator's body yields besides the kernel's requests. */
export interface Yielded {
  op: 'yield';
  value: Value;
}

export function lookup(vm: Vm, frame: Frame, e: ExprOf<'name'>): Value | undefined {
  if (e.up === -2) e.up = e.scope.kind === 'class' && !e.scope.globals.has(e.id) ? -3 : resolve(e.scope, e.id);
  if (e.up === 0) return frame.vars.get(e.id);
  if (e.up === -3) {
    const own = frame.vars.get(e.id);
    if (own !== undefined) return own;
    const up = resolve({ ...e.scope, bound: new Set() }, e.id);
    if (up > 0) return above(frame, up).vars.get(e.id);
  } else if (e.up > 0) return above(frame, e.up).vars.get(e.id);
  const found = frame.globals.get(e.id);
  return found === undefined ? vm.builtins.get(e.id) : found;
}

export function above(frame: Frame, up: number): Frame {
  let f = frame;
  for (let i = 0; i < up; i++) f = f.outer!;
  return f;
}

function missing(e: ExprOf<'name'>): Error {
  if (e.up === 0) return raised('UnboundLocalError', `cannot access local variable '${e.id}' where it is not associated with a value`);
  if (e.up > 0) return raised('NameError', `cannot access free variable '${e.id}' where it is not associated with a value in enclosing scope`);
  return raised('NameError', `name '${e.id}' is not defined`);
}

/** The value of an expression that has no effects, or undefined: then `evaluate` must be asked. */
export function quick(vm: Vm, frame: Frame, e: Expr): Value | undefined {
  switch (e.k) {
    case 'const': return e.value;
    case 'name': vm.cost += STEP; return lookup(vm, frame, e);
    case 'bin': {
      const l = quick(vm, frame, e.left);
      if (typeof l !== 'bigint' && typeof l !== 'number') return undefined;
      const r = quick(vm, frame, e.right);
      if (typeof l !== typeof r) return undefined;
      vm.cost += STEP;
      if (e.op === '+') return (l as number) + (r as number);
      if (e.op === '-') return (l as number) - (r as number);
      if (e.op === '*') return typeof l === 'number' ? l * (r as number) : l * (r as bigint);
      return typeof l === 'bigint' && e.op === '%' && l >= 0n && (r as bigint) > 0n ? l % (r as bigint) : undefined;
    }
    case 'compare': {
      if (e.ops.length !== 1) return undefined;
      const l = quick(vm, frame, e.left);
      if (typeof l !== 'bigint' && typeof l !== 'string') return undefined;
      const r = quick(vm, frame, e.rights[0]!);
      if (typeof l !== typeof r) return undefined;
      vm.cost += STEP;
      switch (e.ops[0]) {
        case '<': return l < r!;
        case '>': return l > r!;
        case '<=': return l <= r!;
        case '>=': return l >= r!;
        case '==': return l === r;
        case '!=': return l !== r;
        default: return undefined;
      }
    }
    default: return undefined;
  }
}

export function* evaluate(vm: Vm, frame: Frame, e: Expr): Call<Value> {
  const fast = quick(vm, frame, e);
  if (fast !== undefined) return fast;
  vm.cost += STEP;
  switch (e.k) {
    case 'const': return e.value;
    case 'name': frame.at = e; throw missing(e);
    case 'bin': return yield* binaryExpr(vm, frame, e);
    case 'call': return yield* callExpr(vm, frame, e);
    case 'attr': {
      const v = yield* evaluate(vm, frame, e.value);
      frame.at = e;
      return yield* getAttr(vm, v, e.name);
    }
    case 'sub': {
      const v = yield* evaluate(vm, frame, e.value);
      const index = yield* evaluate(vm, frame, e.index);
      frame.at = e;
      return yield* subscript(vm, v, index);
    }
    case 'unary': {
      const v = yield* evaluate(vm, frame, e.value);
      frame.at = e;
      return e.op === 'not' ? !(yield* truth(vm, v)) : yield* unary(vm, e.op, v);
    }
    case 'logic': return yield* logic(vm, frame, e);
    case 'compare': return yield* chain(vm, frame, e);
    case 'list': return list(yield* elements(vm, frame, e.items));
    case 'tuple': return tuple(yield* elements(vm, frame, e.items));
    default: return yield* rarer(vm, frame, e);
  }
}

function* rarer(vm: Vm, frame: Frame, e: Expr): Call<Value> {
  switch (e.k) {
    case 'set': {
      const made = set();
      for (const v of yield* elements(vm, frame, e.items)) {
        frame.at = e;
        made.map.set(hashable(v), v);
      }
      return made;
    }
    case 'dict': return yield* dictExpr(vm, frame, e);
    case 'comp': return yield* comprehension(vm, frame, e);
    case 'cond': return (yield* truth(vm, yield* evaluate(vm, frame, e.test))) ? yield* evaluate(vm, frame, e.then) : yield* evaluate(vm, frame, e.other);
    case 'lambda': return yield* makeFunction(vm, frame, e.code);
    case 'fstring': return yield* fstring(vm, frame, e.parts);
    case 'slice': return { t: 'slice', lo: yield* optional(vm, frame, e.lo), hi: yield* optional(vm, frame, e.hi), step: yield* optional(vm, frame, e.step) };
    case 'walrus': {
      const v = yield* evaluate(vm, frame, e.value);
      yield* assign(vm, frame, e.target, v);
      return v;
    }
    case 'yield': return yield* yieldExpr(vm, frame, e);
    case 'star': throw raised('SyntaxError', "can't use starred expression here");
    default: throw raised('SystemError', `no such expression: ${e.k}`);
  }
}

function* optional(vm: Vm, frame: Frame, e: Expr | null): Call<Value> {
  return e ? yield* evaluate(vm, frame, e) : null;
}

function* binaryExpr(vm: Vm, frame: Frame, e: ExprOf<'bin'>): Call<Value> {
  const l = yield* evaluate(vm, frame, e.left);
  const r = yield* evaluate(vm, frame, e.right);
  frame.at = e;
  const made = yield* binary(vm, e.op, l, r);
  if (heavy(made)) yield* weigh(vm, made);
  else counted(vm, made);
  return made;
}

function* logic(vm: Vm, frame: Frame, e: ExprOf<'logic'>): Call<Value> {
  let v: Value = null;
  for (const one of e.items) {
    v = yield* evaluate(vm, frame, one);
    if ((yield* truth(vm, v)) === (e.op === 'or')) return v;
  }
  return v;
}

function* chain(vm: Vm, frame: Frame, e: ExprOf<'compare'>): Call<Value> {
  let left = yield* evaluate(vm, frame, e.left);
  let v: Value = true;
  for (const [i, op] of e.ops.entries()) {
    const right = yield* evaluate(vm, frame, e.rights[i]!);
    frame.at = e;
    v = yield* compare(vm, op, left, right);
    if (i < e.ops.length - 1 && !(yield* truth(vm, v))) return v;
    left = right;
  }
  return v;
}

function* elements(vm: Vm, frame: Frame, items: readonly Expr[]): Call<Value[]> {
  const out: Value[] = [];
  for (const one of items) {
    if (one.k !== 'star') out.push(yield* evaluate(vm, frame, one));
    else {
      const v = yield* evaluate(vm, frame, one.value);
      frame.at = one.value;
      out.push(...(yield* collect(vm, v)));
    }
  }
  return out;
}

function* dictExpr(vm: Vm, frame: Frame, e: ExprOf<'dict'>): Call<Value> {
  const made = dict();
  for (const [i, key] of e.keys.entries()) {
    const v = yield* evaluate(vm, frame, e.values[i]!);
    if (key) {
      const k = yield* evaluate(vm, frame, key);
      frame.at = e;
      made.map.set(hashable(k), [k, v]);
    } else if (isObj(v, 'dict')) for (const [k, pair] of v.map) made.map.set(k, [...pair]);
    else throw typeError(`'${typeName(v)}' object is not a mapping`);
  }
  return made;
}

export function* subscript(vm: Vm, v: Value, index: Value): Call<Value> {
  if (isObj(v, 'inst') || isObj(v, 'native')) {
    const method = methodOf(v, '__getitem__');
    if (method !== undefined) return yield* call(vm, method, [index]);
  }
  const found = itemOf(v, index);
  if (found !== undefined) {
    if (heavy(found) && isObj(index, 'slice')) yield* weigh(vm, found);
    return found;
  }
  if (isObj(v, 'type')) return v;
  throw typeError(`'${typeName(v)}' object is not subscriptable`);
}

function* callExpr(vm: Vm, frame: Frame, e: ExprOf<'call'>): Call<Value> {
  const f = yield* evaluate(vm, frame, e.func);
  if (e.args.length === 0 && isObj(f, 'builtin') && f.name === 'super') {
    frame.at = e;
    return implicitSuper(frame);
  }
  const { args, kw } = yield* argumentsOf(vm, frame, e.args, f);
  frame.at = e;
  return yield* call(vm, f, args, kw);
}

/** super() in a method: its class is the cell __class__, its object the first parameter. */
function implicitSuper(frame: Frame): Value {
  let f: Frame | null = frame;
  while (f && !f.vars.has('__class__')) f = f.outer;
  const type = f?.vars.get('__class__');
  const inner = frame.hidden ? frame.outer! : frame;
  const self = inner.vars.values().next().value;
  if (!isObj(type, 'type') || self === undefined) throw raised('RuntimeError', 'super(): no arguments');
  return { t: 'super', type, self };
}

export function* argumentsOf(vm: Vm, frame: Frame, given: readonly Arg[], f: Value): Call<{ args: Value[]; kw: Map<string, Value> }> {
  const args: Value[] = [];
  const kw = new Map<string, Value>();
  const name = isObj(f, 'func') ? f.qualname : isObj(f, 'builtin') ? f.name : typeName(f);
  for (const one of given) {
    const v = yield* evaluate(vm, frame, one.value);
    if (one.kind === 'pos') args.push(v);
    else if (one.kind === 'star') args.push(...(yield* collect(vm, v)));
    else if (one.kind === 'kw') kw.set(one.name, v);
    else if (isObj(v, 'dict')) {
      for (const [k, value] of v.map.values()) {
        if (kw.has(k as string)) throw typeError(`${name}() got multiple values for keyword argument '${k as string}'`);
        kw.set(k as string, value);
      }
    } else throw typeError(`${name}() argument after ** must be a mapping, not ${typeName(v)}`);
  }
  return { args, kw };
}

export function* makeFunction(vm: Vm, frame: Frame, code: FunctionCode, owner = ''): Call<Func> {
  const defaults = new Map<string, Value>();
  for (const p of code.params) if (p.fallback) defaults.set(p.name, yield* evaluate(vm, frame, p.fallback));
  const inside = frame.scope.kind === 'function' ? `${frame.name}.<locals>.` : '';
  return { t: 'func', name: code.name, qualname: owner ? `${owner}.${code.name}` : inside + code.name, code, defaults, globals: frame.globals, outer: frame, source: frame.source, attrs: new Map() };
}

function* fstring(vm: Vm, frame: Frame, parts: readonly FPart[]): Call<string> {
  let out = '';
  for (const part of parts) {
    if (typeof part === 'string') {
      out += part;
      continue;
    }
    const v = yield* evaluate(vm, frame, part.value);
    const spec = part.spec.length === 0 ? '' : yield* fstring(vm, frame, part.spec);
    frame.at = part.value;
    const shown: Value = part.conversion === 'r' ? yield* repr(vm, v) : part.conversion === 's' ? yield* str(vm, v) : part.conversion === 'a' ? stringRepr(yield* str(vm, v), true) : v;
    out += part.debug + (yield* format(vm, shown, spec));
  }
  return out;
}

function childFrame(frame: Frame, e: ExprOf<'comp'>, hidden: boolean): Frame {
  return { name: hidden ? frame.name : '<genexpr>', source: frame.source, scope: e.scope, vars: new Map(), globals: frame.globals, outer: frame, at: e, hidden, depth: frame.depth, holds: [] };
}

function* comprehension(vm: Vm, frame: Frame, e: ExprOf<'comp'>): Call<Value> {
  const first = yield* evaluate(vm, frame, e.clauses[0]!.iter);
  frame.at = e.clauses[0]!.iter;
  const source = yield* iterate(vm, first);
  const inner = childFrame(frame, e, e.kind !== 'gen');
  inner.vars.set('.0', source);
  if (e.kind === 'gen') {
    return generator(vm, inner, (function* (): Call<Value> {
      yield* clauses(vm, inner, e.clauses, 0, source, function* () {
        yield { op: 'yield', value: yield* evaluate(vm, inner, e.element) } as never;
      });
      return null;
    })());
  }
  const made = e.kind === 'list' ? list([]) : e.kind === 'set' ? set() : dict();
  vm.frames.push(inner);
  try {
    yield* clauses(vm, inner, e.clauses, 0, source, function* () {
      const v = yield* evaluate(vm, inner, e.element);
      if (made.t === 'list') made.items.push(v);
      else if (made.t === 'set') made.map.set(hashable(v), v);
      else made.map.set(hashable(v), [v, yield* evaluate(vm, inner, e.value!)]);
      vm.heap.since += 8;
      if (heavy(made)) yield* weigh(vm, made);
    });
  } finally {
    vm.frames.pop();
    frame.at = inner.at;
  }
  return made;
}

function* clauses(vm: Vm, frame: Frame, all: readonly Clause[], at: number, first: Value | null, element: () => Call<void>): Call<void> {
  const clause = all[at];
  if (!clause) return yield* element();
  const it = yield* iterate(vm, first ?? (yield* evaluate(vm, frame, clause.iter)));
  for (;;) {
    const v = yield* it.next();
    if (v === undefined) return;
    vm.cost += STEP;
    yield* assign(vm, frame, clause.target, v);
    let keep = true;
    for (const test of clause.conditions) keep = keep && (yield* truth(vm, yield* evaluate(vm, frame, test)));
    if (keep) yield* clauses(vm, frame, all, at + 1, null, element);
  }
}

/** A generator object over a body that yields `Yielded` records between the kernel's requests. */
export function generator(vm: Vm, frame: Frame, body: Call<Value>): Value {
  let over = false;
  let running = false;
  const resume = function* (how: () => IteratorResult<unknown, Value>): Call<Value | undefined> {
    if (over) return undefined;
    if (running) throw raised('ValueError', 'generator already executing');
    running = true;
    vm.frames.push(frame);
    try {
      for (let step = how(); ; ) {
        if (step.done) {
          over = true;
          if (step.value !== null) lastReturn.set(made, step.value);
          return undefined;
        }
        const request = step.value as Yielded | { op: string };
        if (request.op === 'yield') return (request as Yielded).value;
        let answer: unknown;
        let failed = false;
        try {
          answer = yield request as never;
        } catch (error) {
          answer = error;
          failed = true;
        }
        step = failed ? body.throw(answer) : body.next(answer);
      }
    } catch (error) {
      over = true;
      if (isError(error, 'StopIteration')) throw raised('RuntimeError', 'generator raised StopIteration');
      throw error;
    } finally {
      running = false;
      vm.frames.pop();
    }
  };
  const made: Obj = {
    t: 'iter', name: 'generator', vars: frame.vars, next: () => resume(() => body.next(null)), send: (v) => resume(() => body.next(v)),
    close: function* () {
      if (!over) yield* resume(() => body.return(null));
      over = true;
    },
  };
  return made;
}
/** What a generator returned, for `yield from` and StopIteration. */
export const lastReturn = new WeakMap<object, Value>();

function* yieldExpr(vm: Vm, frame: Frame, e: ExprOf<'yield'>): Call<Value> {
  const v = e.value ? yield* evaluate(vm, frame, e.value) : null;
  frame.at = e;
  if (!e.from) return ((yield { op: 'yield', value: v } as never) as Value | undefined) ?? null;
  const it = yield* iterate(vm, v);
  for (;;) {
    const one = yield* it.next();
    if (one === undefined) return lastReturn.get(it) ?? null;
    yield { op: 'yield', value: one } as never;
  }
}
