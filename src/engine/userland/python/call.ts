/**
 * Attributes and calls: where a name on a value is found, how arguments meet parameters, and the frame that a function runs in.
 * Source: Python 3.13 data model, 3.3. Left out: metaclasses, __slots__, descriptors beyond property, staticmethod and classmethod.
 */
import type { Call } from '../lib/http.ts';
import type { Expr } from './ast.ts';
import { exceptionType, isException, makeException, osError, PyError, raised, typeError } from './errors.ts';
import { heavy, made as counted, weigh } from './heap.ts';
import { SysError } from '../../kernel/abi.ts';
import { nested } from './trampoline.ts';
import { type Builtin, dict, type Func, type Instance, isObj, type Kw, type Native, NO_KW, type Obj, tuple, type Type, typeName, typeOf, type Value, type Vars } from './values.ts';
import { type Frame, STEP, type Vm } from './vm.ts';

/** Methods of the built-in types, by type name; filled by types/*.ts. */
export const METHODS = new Map<string, Readonly<Record<string, Builtin>>>();

/** Runs a function's body in its frame; given by exec.ts, which depends on this file. */
export type BodyRunner = (vm: Vm, func: Func, frame: Frame) => Call<Value>;
let runBody: BodyRunner;
export const setBodyRunner = (run: BodyRunner): void => {
  runBody = run;
};

export function inType(type: Type, name: string): Value | undefined {
  for (const one of type.mro) {
    const found = one.attrs.get(name);
    if (found !== undefined) return found;
    const method = METHODS.get(one.name)?.[name];
    if (method !== undefined) return method;
  }
  return undefined;
}

/** Binds what was found in a type to the value it is read from. */
function bound(found: Value, self: Value): Value {
  if (!isObj(found, 'func') && !isObj(found, 'builtin') && !isObj(found, 'native')) return found;
  if (found.t === 'native') {
    if (found.type.name === 'staticmethod') return found.data as Value;
    if (found.type.name === 'classmethod') return { t: 'method', self: typeOf(self), func: found.data as Value };
    return found;
  }
  return { t: 'method', self, func: found };
}

/** A special method as the type has it, bound; undefined when there is none. */
export function methodOf(v: Obj, name: string): Value | undefined {
  const found = inType(typeOf(v), name);
  return found === undefined ? undefined : bound(found, v);
}

export function* getAttr(vm: Vm, v: Value, name: string): Call<Value> {
  const found = yield* findAttr(vm, v, name);
  if (found !== undefined) return found;
  throw noAttribute(v, name);
}

function noAttribute(v: Value, name: string): PyError {
  if (isObj(v, 'module')) return raised('AttributeError', `module '${v.name}' has no attribute '${name}'`);
  if (isObj(v, 'type')) return raised('AttributeError', `type object '${v.name}' has no attribute '${name}'`);
  return raised('AttributeError', `'${typeName(v)}' object has no attribute '${name}'`);
}

const isProperty = (v: Value | undefined): v is Native => isObj(v, 'native') && v.type.name === 'property';

/** The attribute, or undefined; __getattr__ and properties are asked. */
export function* findAttr(vm: Vm, v: Value, name: string): Call<Value | undefined> {
  if (typeof v === 'object' && v !== null) {
    switch (v.t) {
      case 'module': return name === '__dict__' ? varsDict(v.vars) : v.vars.get(name);
      case 'type': return typeAttr(v, name);
      case 'func': if (v.attrs.has(name)) return v.attrs.get(name)!; return functionAttr(v, name);
      case 'super': return superAttr(v.type, v.self, name);
      case 'inst': case 'native': return yield* instanceAttr(vm, v, name);
      case 'tuple': {
        const at = v.fields?.names.indexOf(name) ?? -1;
        if (at >= 0) return v.items[at];
        break;
      }
      case 'range': if (name === 'start' || name === 'stop' || name === 'step') return v[name]; break;
      case 'slice': if (name === 'start') return v.lo; if (name === 'stop') return v.hi; if (name === 'step') return v.step; break;
      case 'builtin': if (name === '__name__' || name === '__qualname__') return v.name; if (name === '__doc__') return null; break;
      case 'method': if (name === '__self__') return v.self; if (name === '__func__') return v.func; return yield* findAttr(vm, v.func, name);
      default: break;
    }
  }
  return common(v, name);
}

function common(v: Value, name: string): Value | undefined {
  if (name === '__class__') return typeOf(v);
  const found = inType(typeOf(v), name);
  if (found !== undefined) return bound(found, v);
  if (name === '__doc__') return null;
  return undefined;
}

const varsDict = (vars: Vars): Value => {
  const made = dict();
  for (const [k, v] of vars) made.map.set(`s${k}`, [k, v]);
  return made;
};

function typeAttr(type: Type, name: string): Value | undefined {
  if (name === '__name__') return type.name;
  if (name === '__qualname__') return type.qualname ?? type.name;
  if (name === '__module__') return type.module;
  if (name === '__bases__') return tuple(type.bases);
  if (name === '__mro__') return tuple(type.mro);
  if (name === '__dict__') return varsDict(type.attrs);
  const found = inType(type, name);
  if (isObj(found, 'native') && found.type.name === 'staticmethod') return found.data as Value;
  if (isObj(found, 'native') && found.type.name === 'classmethod') return { t: 'method', self: type, func: found.data as Value };
  return found ?? (name === '__doc__' ? null : name === '__class__' ? typeOf(type) : undefined);
}

function functionAttr(f: Func, name: string): Value | undefined {
  if (name === '__name__') return f.name;
  if (name === '__qualname__') return f.qualname;
  if (name === '__doc__') return f.code.doc;
  if (name === '__module__') return f.globals.get('__name__') ?? null;
  if (name === '__dict__') return varsDict(f.attrs);
  return common(f, name);
}

function superAttr(type: Type, self: Value, name: string): Value | undefined {
  const mro = isObj(self, 'type') ? self.mro : typeOf(self).mro;
  for (const one of mro.slice(mro.indexOf(type) + 1)) {
    const found = one.attrs.get(name) ?? METHODS.get(one.name)?.[name];
    if (found !== undefined) return bound(found, self);
  }
  return undefined;
}

function* instanceAttr(vm: Vm, v: Instance | Native, name: string): Call<Value | undefined> {
  const found = inType(v.type, name);
  if (isProperty(found)) {
    const { get } = found.data as { get: Value };
    return yield* call(vm, get, [v]);
  }
  const own = v.attrs.get(name);
  if (own !== undefined) return own;
  if (v.t === 'inst' && v.args !== undefined) {
    if (name === 'args') return tuple(v.args);
    if (name === '__traceback__') return null;
    if (name === '__cause__') return v.cause ?? null;
    if (name === '__context__') return v.context ?? null;
  }
  if (found !== undefined) return bound(found, v);
  if (name === '__dict__') return varsDict(v.attrs);
  const plain = common(v, name);
  if (plain !== undefined) return plain;
  const hook = inType(v.type, '__getattr__');
  return hook === undefined ? undefined : yield* call(vm, hook, [v, name]);
}

export function* setAttr(vm: Vm, v: Value, name: string, value: Value): Call<void> {
  if (isObj(v, 'inst') || isObj(v, 'native')) {
    const found = inType(v.type, name);
    if (isProperty(found)) {
      const { set } = found.data as { set: Value };
      if (set === null) throw raised('AttributeError', `property '${name}' of '${v.type.name}' object has no setter`);
      yield* call(vm, set, [v, value]);
      return;
    }
    const hook = inType(v.type, '__setattr__');
    if (isObj(hook, 'func')) {
      yield* call(vm, hook, [v, name, value]);
      return;
    }
    if (v.t === 'inst' && v.args !== undefined && name === 'args' && isObj(value, 'tuple')) v.args = value.items;
    else v.attrs.set(name, value);
  } else if (isObj(v, 'module')) v.vars.set(name, value);
  else if (isObj(v, 'type') && !v.builtin) v.attrs.set(name, value);
  else if (isObj(v, 'func')) v.attrs.set(name, value);
  else if (isObj(v, 'type')) throw typeError(`cannot set '${name}' attribute of immutable type '${v.name}'`);
  else if (common(v, name) !== undefined) throw raised('AttributeError', `'${typeName(v)}' object attribute '${name}' is read-only`);
  else throw raised('AttributeError', `'${typeName(v)}' object has no attribute '${name}' and no __dict__ for setting new attributes`);
}

export function delAttr(v: Value, name: string): void {
  const vars = isObj(v, 'module') ? v.vars : isObj(v, 'inst') || isObj(v, 'native') || isObj(v, 'type') || isObj(v, 'func') ? v.attrs : undefined;
  if (!vars?.delete(name)) throw noAttribute(v, name);
}

/** Calls anything. Throws PyError. */
export function* call(vm: Vm, f: Value, args: readonly Value[], kw: Kw = NO_KW): Call<Value> {
  vm.cost += STEP;
  if (typeof f === 'object' && f !== null) {
    switch (f.t) {
      case 'func': return yield* callFunction(vm, f, args, kw);
      case 'builtin': return yield* callBuiltin(vm, f, args, kw);
      case 'method': return yield* call(vm, f.func, [f.self, ...args], kw);
      case 'type': return yield* construct(vm, f, args, kw);
      case 'inst': case 'native': {
        const method = methodOf(f, '__call__');
        if (method !== undefined) return yield* call(vm, method, args, kw);
        break;
      }
      default: break;
    }
  }
  throw typeError(`'${typeName(f)}' object is not callable`);
}

function* callBuiltin(vm: Vm, f: Builtin, args: readonly Value[], kw: Kw): Call<Value> {
  try {
    const result = f.call ? f.call(vm, args, kw) : yield* f.run!(vm, args, kw);
    if (heavy(result)) yield* weigh(vm, result);
    else counted(vm, result);
    const self = args[0];
    if (self !== undefined && heavy(self)) yield* weigh(vm, self);
    return result;
  } catch (error) {
    if (error instanceof SysError) throw osError(error);
    throw error;
  }
}

function* construct(vm: Vm, type: Type, args: readonly Value[], kw: Kw): Call<Value> {
  const own = type.mro.find((t) => !t.builtin && t.attrs.has('__new__'));
  if (own) {
    const made = yield* call(vm, own.attrs.get('__new__')!, [type, ...args], kw);
    yield* initialise(vm, made, type, args, kw);
    return made;
  }
  if (type.builtin) {
    if (!type.make) throw typeError(`cannot create '${type.name}' instances`);
    const made = yield* type.make(vm, args, kw);
    if (heavy(made)) yield* weigh(vm, made, type.name !== 'bytes');
    return made;
  }
  const made: Instance = isException(type) ? makeException(type, args) : { t: 'inst', type, attrs: new Map() };
  yield* initialise(vm, made, type, args, kw);
  return made;
}

function* initialise(vm: Vm, made: Value, type: Type, args: readonly Value[], kw: Kw): Call<void> {
  if (!isObj(made, 'inst')) return;
  const init = inType(type, '__init__');
  if (init !== undefined) {
    const result = yield* call(vm, init, [made, ...args], kw);
    if (result !== null) throw typeError(`__init__() should return None, not '${typeName(result)}'`);
  } else if ((args.length > 0 || kw.size > 0) && made.args === undefined && !type.mro.some((t) => t.attrs.has('__new__'))) throw typeError(`${type.name}() takes no arguments`);
}
exceptionType('BaseException').attrs.set('__init__', { t: 'builtin', name: '__init__', call: (_vm, args) => {
  const self = args[0] as Instance;
  self.args = args.slice(1);
  return null;
} });

const LIMIT = 1000;

export function* callFunction(vm: Vm, f: Func, args: readonly Value[], kw: Kw): Call<Value> {
  const vars = bindArguments(f, args, kw);
  if (vm.frames.length >= LIMIT) throw raised('RecursionError', 'maximum recursion depth exceeded');
  const frame: Frame = { name: f.code.name, source: f.source, scope: f.code.scope, vars, globals: f.globals, outer: f.outer, at: f.code.body[0]!, hidden: false, depth: vm.frames.length, holds: [] };
  return yield* nested(runBody(vm, f, frame));
}

/** Parameters from arguments. Throws TypeError as CPython words it. */
export function bindArguments(f: Func, args: readonly Value[], kw: Kw): Vars {
  const vars: Vars = new Map();
  const { params } = f.code;
  const positional = params.filter((p) => p.kind === 'pos');
  for (const [i, p] of positional.entries()) if (i < args.length) vars.set(p.name, args[i]!);
  const rest = params.find((p) => p.kind === 'star');
  if (rest) vars.set(rest.name, tuple(args.slice(positional.length)));
  const extra = params.find((p) => p.kind === 'kwstar');
  const others = dict();
  for (const [name, value] of kw) {
    const p = params.find((q) => q.name === name && (q.kind === 'pos' || q.kind === 'kwonly') && !q.posOnly);
    if (!p) {
      if (!extra) throw typeError(params.some((q) => q.name === name && q.posOnly) ? `${f.qualname}() got some positional-only arguments passed as keyword arguments: '${name}'` : `${f.qualname}() got an unexpected keyword argument '${name}'`);
      others.map.set(`s${name}`, [name, value]);
    } else if (vars.has(name)) throw typeError(`${f.qualname}() got multiple values for argument '${name}'`);
    else vars.set(name, value);
  }
  if (extra) vars.set(extra.name, others);
  if (!rest && args.length > positional.length) throw tooMany(f, positional, args.length, kw);
  complete(f, vars, positional.map((p) => p.name));
  return vars;
}

function complete(f: Func, vars: Vars, positional: readonly string[]): void {
  for (const kind of ['positional', 'keyword-only'] as const) {
    const names = kind === 'positional' ? positional : f.code.params.filter((p) => p.kind === 'kwonly').map((p) => p.name);
    const missing: string[] = [];
    for (const name of names) {
      if (vars.has(name)) continue;
      const fallback = f.defaults.get(name);
      if (fallback === undefined) missing.push(`'${name}'`);
      else vars.set(name, fallback);
    }
    if (missing.length === 0) continue;
    const listed = missing.length === 1 ? missing[0] : missing.length === 2 ? missing.join(' and ') : `${missing.slice(0, -1).join(', ')}, and ${missing.at(-1)}`;
    throw typeError(`${f.qualname}() missing ${missing.length} required ${kind} argument${missing.length > 1 ? 's' : ''}: ${listed}`);
  }
}

function tooMany(f: Func, positional: readonly { fallback: Expr | null }[], given: number, kw: Kw): PyError {
  const needed = positional.filter((p) => !p.fallback).length;
  const range = needed === positional.length ? String(needed) : `from ${needed} to ${positional.length}`;
  const plural = range === '1' ? '' : 's';
  const only = f.code.params.filter((p) => p.kind === 'kwonly' && kw.has(p.name)).length;
  const extra = only > 0 ? ` positional argument${given === 1 ? '' : 's'} (and ${only} keyword-only argument${only === 1 ? '' : 's'})` : '';
  return typeError(`${f.qualname}() takes ${range} positional argument${plural} but ${given}${extra} ${given === 1 && !extra ? 'was' : 'were'} given`);
}
