/** Statements: each says how the block goes on, by a word or by the value returned. */
import { SysError } from '../../kernel/abi.ts';
import type { Call } from '../lib/http.ts';
import type { Expr, ExprOf, Handler, Stmt } from './ast.ts';
import { call, delAttr, getAttr, methodOf, setAttr, setBodyRunner } from './call.ts';
import { defineClass } from './classes.ts';
import { isException, osError, PyError, raised, typeError } from './errors.ts';
import { above, argumentsOf, evaluate, generator, lookup, makeFunction, setAssigner, subscript } from './eval.ts';
import { heavy, tidy, weigh } from './heap.ts';
import { importFrom, importModule } from './imports.ts';
import { collect, iterate } from './iterate.ts';
import { binary, inPlace, truth } from './ops.ts';
import { deleteItem, lengthOf, setItem } from './sequences.ts';
import { noteTrace } from './traceback.ts';
import { type Func, type Instance, isObj, type Iter, type Type, typeName, type Value } from './values.ts';
import { catchUp, due, type Frame, STEP, type Vm } from './vm.ts';

/** How a block ended: null at its end, 'break', 'continue', or a return. */
export type Flow = null | 'break' | 'continue' | { value: Value };

export function* execute(vm: Vm, frame: Frame, body: readonly Stmt[]): Call<Flow> {
  for (const s of body) {
    if (due(vm)) yield* catchUp(vm);
    frame.at = s;
    const flow = yield* statement(vm, frame, s);
    if (vm.heap.held.size > 0 || vm.heap.files.size > 0 || vm.heap.since > 1_000_000) yield* tidy(vm);
    if (flow !== null) return flow;
  }
  return null;
}

function* statement(vm: Vm, frame: Frame, s: Stmt): Call<Flow> {
  vm.cost += STEP;
  switch (s.k) {
    case 'expr': {
      const v = yield* evaluate(vm, frame, s.value);
      if (vm.display) yield* vm.display(v);
      return null;
    }
    case 'assign': {
      const v = yield* evaluate(vm, frame, s.value);
      for (const target of s.targets) yield* assign(vm, frame, target, v);
      return null;
    }
    case 'aug': yield* augmented(vm, frame, s); return null;
    case 'return': return { value: s.value ? yield* evaluate(vm, frame, s.value) : null };
    case 'if': return yield* execute(vm, frame, (yield* truth(vm, yield* evaluate(vm, frame, s.test))) ? s.body : s.orelse);
    case 'while': return yield* whileLoop(vm, frame, s);
    case 'for': return yield* forLoop(vm, frame, s);
    case 'pass': case 'global': return null;
    case 'break': case 'continue': return s.k;
    default: return yield* rarer(vm, frame, s);
  }
}

function* rarer(vm: Vm, frame: Frame, s: Stmt): Call<Flow> {
  switch (s.k) {
    case 'def': {
      let made: Value = yield* makeFunction(vm, frame, s.code, frame.scope.kind === 'class' ? frame.name : '');
      made = yield* decorate(vm, frame, s.decorators, made);
      yield* assign(vm, frame, s.target, made);
      return null;
    }
    case 'class': {
      const { args, kw } = yield* argumentsOf(vm, frame, s.args, null);
      if (kw.size > 0) throw raised('NotImplementedError', 'not modelled: keyword arguments of a class definition');
      const made = yield* defineClass(vm, frame, s, args, (inner) => execute(vm, inner, s.body));
      yield* assign(vm, frame, s.target, yield* decorate(vm, frame, s.decorators, made));
      return null;
    }
    case 'try': return yield* tryStatement(vm, frame, s);
    case 'with': return yield* withItems(vm, frame, s, 0);
    case 'raise': return yield* raise(vm, frame, s);
    case 'import': yield* imports(vm, frame, s); return null;
    case 'from': yield* importFrom(vm, frame, s, (target, value) => assign(vm, frame, target, value)); return null;
    case 'del': for (const target of s.targets) yield* remove(vm, frame, target); return null;
    case 'assert': {
      if (yield* truth(vm, yield* evaluate(vm, frame, s.test))) return null;
      const message = s.message ? [yield* evaluate(vm, frame, s.message)] : [];
      frame.at = s.test;
      throw raised('AssertionError', ...message);
    }
    default: throw raised('SystemError', `no such statement: ${s.k}`);
  }
}

function* decorate(vm: Vm, frame: Frame, decorators: readonly Expr[], made: Value): Call<Value> {
  let out = made;
  const found: Value[] = [];
  for (const one of decorators) found.push(yield* evaluate(vm, frame, one));
  for (const one of found.reverse()) out = yield* call(vm, one, [out]);
  return out;
}

function* imports(vm: Vm, frame: Frame, s: Extract<Stmt, { k: 'import' }>): Call<void> {
  for (const { path, target, whole } of s.names) {
    const module = yield* importModule(vm, path);
    yield* assign(vm, frame, target, whole ? module : (vm.modules.get(path.split('.')[0]!) ?? module));
  }
}

/** `for ever: nothing` is one long computation; the rest goes step by step. */
function idle(s: Extract<Stmt, { k: 'while' }>): boolean {
  return s.test.k === 'const' && s.body.every((one) => one.k === 'pass' || one.k === 'continue' || (one.k === 'expr' && one.value.k === 'const'));
}
const SPIN = 1_000_000;

function* whileLoop(vm: Vm, frame: Frame, s: Extract<Stmt, { k: 'while' }>): Call<Flow> {
  const spins = idle(s);
  while (yield* truth(vm, yield* evaluate(vm, frame, s.test))) {
    if (spins) vm.cost += SPIN;
    const flow = yield* execute(vm, frame, s.body);
    if (flow === 'break') return null;
    if (flow !== null && flow !== 'continue') return flow;
    if (due(vm)) yield* catchUp(vm);
    frame.at = s;
  }
  return yield* execute(vm, frame, s.orelse);
}

function* forLoop(vm: Vm, frame: Frame, s: Extract<Stmt, { k: 'for' }>): Call<Flow> {
  const source = yield* evaluate(vm, frame, s.iter);
  frame.at = s.iter;
  const it = yield* iterate(vm, source);
  frame.holds.push(it);
  const flow = yield* forItems(vm, frame, s, it);
  frame.holds.splice(frame.holds.indexOf(it), 1);
  return flow;
}

function* forItems(vm: Vm, frame: Frame, s: Extract<Stmt, { k: 'for' }>, it: Iter): Call<Flow> {
  for (;;) {
    frame.at = s.iter;
    const v = yield* it.next();
    if (v === undefined) break;
    frame.at = s.target;
    yield* assign(vm, frame, s.target, v);
    const flow = yield* execute(vm, frame, s.body);
    if (flow === 'break') return null;
    if (flow !== null && flow !== 'continue') return flow;
    if (due(vm)) yield* catchUp(vm);
  }
  return yield* execute(vm, frame, s.orelse);
}

function* assign(vm: Vm, frame: Frame, target: Expr, v: Value): Call<void> {
  switch (target.k) {
    case 'name': setName(vm, frame, target, v); return;
    case 'attr': {
      const owner = yield* evaluate(vm, frame, target.value);
      frame.at = target;
      return yield* setAttr(vm, owner, target.name, v);
    }
    case 'sub': {
      const owner = yield* evaluate(vm, frame, target.value);
      const index = yield* evaluate(vm, frame, target.index);
      frame.at = target;
      return yield* assignItem(vm, owner, index, v);
    }
    case 'tuple': case 'list': return yield* unpack(vm, frame, target, v);
    default: throw raised('SyntaxError', 'cannot assign');
  }
}
setAssigner(assign);

function setName(_vm: Vm, frame: Frame, target: ExprOf<'name'>, v: Value): void {
  let holder: Frame = frame;
  while (holder.hidden && !holder.scope.bound.has(target.id) && holder.outer) holder = holder.outer;
  if (holder.scope.globals.has(target.id)) holder.globals.set(target.id, v);
  else if (holder.scope.nonlocals.has(target.id)) {
    let f = holder.outer;
    while (f && (f.scope.kind === 'class' || !f.scope.bound.has(target.id))) f = f.outer;
    if (!f) throw raised('SyntaxError', `no binding for nonlocal '${target.id}' found`);
    f.vars.set(target.id, v);
  } else holder.vars.set(target.id, v);
}

export function* assignItem(vm: Vm, owner: Value, index: Value, v: Value): Call<void> {
  if (isObj(owner, 'inst') || isObj(owner, 'native')) {
    const method = methodOf(owner, '__setitem__');
    if (method !== undefined) {
      yield* call(vm, method, [index, v]);
      return;
    }
  }
  const items = isObj(index, 'slice') && isObj(owner, 'list') ? yield* collect(vm, v) : null;
  if (!setItem(owner, index, v, items)) throw typeError(`'${typeName(owner)}' object does not support item assignment`);
  if (heavy(owner)) yield* weigh(vm, owner);
}

function* unpack(vm: Vm, frame: Frame, target: ExprOf<'list' | 'tuple' | 'set'>, v: Value): Call<void> {
  frame.at = target;
  const starred = target.items.findIndex((one) => one.k === 'star');
  const wanted = target.items.length;
  const plain = lengthOf(v) === undefined && !isObj(v, 'iter') && !isObj(v, 'inst') && !isObj(v, 'native');
  if (plain) throw typeError(`cannot unpack non-iterable ${typeName(v)} object`);
  const items = yield* collect(vm, v);
  if (starred < 0) {
    if (items.length > wanted) throw raised('ValueError', `too many values to unpack (expected ${wanted})`);
    if (items.length < wanted) throw raised('ValueError', `not enough values to unpack (expected ${wanted}, got ${items.length})`);
    for (const [i, one] of target.items.entries()) yield* assign(vm, frame, one, items[i]!);
    return;
  }
  if (items.length < wanted - 1) throw raised('ValueError', `not enough values to unpack (expected at least ${wanted - 1}, got ${items.length})`);
  const tail = wanted - 1 - starred;
  for (const [i, one] of target.items.entries()) {
    if (one.k === 'star') yield* assign(vm, frame, one.value, { t: 'list', items: items.slice(starred, items.length - tail) });
    else yield* assign(vm, frame, one, items[i < starred ? i : items.length - (wanted - i)]!);
  }
}

function* augmented(vm: Vm, frame: Frame, s: Extract<Stmt, { k: 'aug' }>): Call<void> {
  const { target } = s;
  const owner = target.k === 'attr' || target.k === 'sub' ? yield* evaluate(vm, frame, target.value) : null;
  const index = target.k === 'sub' ? yield* evaluate(vm, frame, target.index) : null;
  frame.at = target;
  const old = target.k === 'attr' ? yield* getAttr(vm, owner, target.name) : target.k === 'sub' ? yield* subscript(vm, owner, index) : yield* evaluate(vm, frame, target);
  const v = yield* evaluate(vm, frame, s.value);
  frame.at = s;
  const made = (yield* inPlace(vm, s.op, old, v)) ?? (yield* binary(vm, s.op, old, v, true));
  if (heavy(made)) yield* weigh(vm, made);
  frame.at = target;
  if (target.k === 'attr') yield* setAttr(vm, owner, target.name, made);
  else if (target.k === 'sub') yield* assignItem(vm, owner, index, made);
  else yield* assign(vm, frame, target, made);
}

function* remove(vm: Vm, frame: Frame, target: Expr): Call<void> {
  frame.at = target;
  if (target.k === 'tuple' || target.k === 'list') {
    for (const one of target.items) yield* remove(vm, frame, one);
  } else if (target.k === 'name') {
    const found = lookup(vm, frame, target);
    const holder = target.up > 0 ? above(frame, target.up).vars : target.up === -1 ? frame.globals : frame.vars;
    if (found === undefined || !holder.delete(target.id)) yield* evaluate(vm, frame, { ...target, id: target.id, up: target.up });
  } else if (target.k === 'attr') delAttr(yield* evaluate(vm, frame, target.value), target.name);
  else if (target.k === 'sub') {
    const owner = yield* evaluate(vm, frame, target.value);
    const index = yield* evaluate(vm, frame, target.index);
    frame.at = target;
    const method = isObj(owner, 'inst') || isObj(owner, 'native') ? methodOf(owner, '__delitem__') : undefined;
    if (method !== undefined) yield* call(vm, method, [index]);
    else if (!deleteItem(owner, index)) throw typeError(`'${typeName(owner)}' object doesn't support item deletion`);
  }
}

function* raise(vm: Vm, frame: Frame, s: Extract<Stmt, { k: 'raise' }>): Call<never> {
  if (!s.value) {
    const current = vm.handling.at(-1);
    if (!current) throw raised('RuntimeError', 'No active exception to reraise');
    const error = new PyError(current);
    error.noted = frame;
    throw error;
  }
  const v = yield* evaluate(vm, frame, s.value);
  const cause = s.cause ? yield* evaluate(vm, frame, s.cause) : undefined;
  frame.at = s;
  const made = isObj(v, 'type') && isException(v) ? yield* call(vm, v, []) : v;
  if (!isObj(made, 'inst') || !isException(made.type)) throw typeError('exceptions must derive from BaseException');
  if (cause !== undefined) {
    made.cause = isObj(cause, 'type') ? yield* call(vm, cause, []) : cause;
    made.suppress = true;
  }
  throw new PyError(made);
}

/** Turns what was thrown into a Python exception with this frame in its traceback; rethrows what is none. */
export function caught(vm: Vm, frame: Frame, error: unknown): PyError {
  const found = error instanceof SysError ? osError(error) : error instanceof RangeError && /call stack/i.test(error.message) ? raised('RecursionError', 'maximum recursion depth exceeded') : error;
  if (!(found instanceof PyError)) throw error;
  noteTrace(vm, frame, found);
  return found;
}

function* tryStatement(vm: Vm, frame: Frame, s: Extract<Stmt, { k: 'try' }>): Call<Flow> {
  if (s.final.length === 0) return yield* guarded(vm, frame, s);
  let flow: Flow;
  try {
    flow = yield* guarded(vm, frame, s);
  } catch (error) {
    const found = caught(vm, frame, error);
    const depth = vm.handling.length;
    vm.handling.push(found.value);
    try {
      const over = yield* execute(vm, frame, s.final);
      if (over !== null) return over;
    } finally {
      vm.handling.length = depth;
    }
    throw found;
  }
  return (yield* execute(vm, frame, s.final)) ?? flow;
}

function* guarded(vm: Vm, frame: Frame, s: Extract<Stmt, { k: 'try' }>): Call<Flow> {
  let flow: Flow;
  const frames = vm.frames.length;
  try {
    flow = yield* execute(vm, frame, s.body);
  } catch (error) {
    const found = caught(vm, frame, error);
    vm.frames.length = frames;
    const handler = yield* handlerFor(vm, frame, s.handlers, found.value);
    if (!handler) throw found;
    return yield* handle(vm, frame, handler, found.value);
  }
  return flow ?? (yield* execute(vm, frame, s.orelse));
}

function* handlerFor(vm: Vm, frame: Frame, handlers: readonly Handler[], e: Instance): Call<Handler | null> {
  for (const h of handlers) {
    if (!h.type) return h;
    const wanted = yield* evaluate(vm, frame, h.type);
    frame.at = h.type;
    for (const type of isObj(wanted, 'tuple') ? wanted.items : [wanted]) {
      if (!isObj(type, 'type') || !isException(type)) throw typeError('catching classes that do not inherit from BaseException is not allowed');
      if (e.type.mro.includes(type as Type)) return h;
    }
  }
  return null;
}

function* handle(vm: Vm, frame: Frame, h: Handler, e: Instance): Call<Flow> {
  const depth = vm.handling.length;
  vm.handling.push(e);
  try {
    if (h.name) yield* assign(vm, frame, h.name, e);
    return yield* execute(vm, frame, h.body);
  } catch (error) {
    throw caught(vm, frame, error);
  } finally {
    vm.handling.length = depth;
    if (h.name?.k === 'name') (frame.scope.globals.has(h.name.id) ? frame.globals : frame.vars).delete(h.name.id);
  }
}

function* withItems(vm: Vm, frame: Frame, s: Extract<Stmt, { k: 'with' }>, at: number): Call<Flow> {
  const item = s.items[at];
  if (!item) return yield* execute(vm, frame, s.body);
  const manager = yield* evaluate(vm, frame, item.value);
  frame.at = item.value;
  const known = isObj(manager, 'inst') || isObj(manager, 'native');
  const enter = known ? methodOf(manager, '__enter__') : undefined;
  const exit = known ? methodOf(manager, '__exit__') : undefined;
  if (enter === undefined || exit === undefined) {
    const half = known && enter !== undefined;
    throw typeError(`'${typeName(manager)}' object does not support the context manager protocol${half ? ' (missed __exit__ method)' : ''}`);
  }
  const entered = yield* call(vm, enter, []);
  frame.holds.push(manager);
  if (item.target) yield* assign(vm, frame, item.target, entered);
  let flow: Flow;
  try {
    flow = yield* withItems(vm, frame, s, at + 1);
    frame.holds.pop();
  } catch (error) {
    const found = caught(vm, frame, error);
    vm.handling.push(found.value);
    const swallowed = yield* truth(vm, yield* call(vm, exit, [found.value.type, found.value, null]));
    vm.handling.pop();
    if (swallowed) return null;
    throw found;
  }
  frame.at = item.value;
  yield* call(vm, exit, [null, null, null]);
  return flow;
}

/** Runs a frame as one more of the stack. */
export function* within<T>(vm: Vm, frame: Frame, work: () => Call<T>): Call<T> {
  vm.frames.push(frame);
  const depth = vm.frames.length;
  try {
    return yield* work();
  } catch (error) {
    throw caught(vm, frame, error);
  } finally {
    vm.frames.length = depth - 1;
  }
}

setBodyRunner(function* (vm: Vm, func: Func, frame: Frame): Call<Value> {
  const run = function* (): Call<Value> {
    const flow = yield* execute(vm, frame, func.code.body);
    return flow !== null && typeof flow === 'object' ? flow.value : null;
  };
  if (func.code.generator) return generator(vm, frame, traced(vm, frame, run()));
  return yield* within(vm, frame, run);
});

export function* traced(vm: Vm, frame: Frame, body: Call<Value>): Call<Value> {
  try {
    return yield* body;
  } catch (error) {
    throw caught(vm, frame, error);
  }
}
