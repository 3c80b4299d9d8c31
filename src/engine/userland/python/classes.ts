/** class statements: the method resolution order (C3) and the class object. Source: Python 3.13 data model, 3.3.3. */
import type { Call } from '../lib/http.ts';
import type { Stmt } from './ast.ts';
import { call, inType } from './call.ts';
import { typeError } from './errors.ts';
import type { Flow } from './exec.ts';
import { type Func, isObj, type Type, typeNamed, type Value } from './values.ts';
import type { Frame, Vm } from './vm.ts';

function merged(name: string, bases: readonly Type[]): Type[] {
  const queues = [...bases.map((b) => [...b.mro]), [...bases]];
  const out: Type[] = [];
  for (;;) {
    const left = queues.filter((q) => q.length > 0);
    if (left.length === 0) return out;
    const next = left.map((q) => q[0]!).find((head) => left.every((q) => q.indexOf(head) <= 0));
    if (!next) throw typeError(`Cannot create a consistent method resolution order (MRO) for bases ${bases.map((b) => b.name).join(', ')} in class ${name}`);
    out.push(next);
    for (const q of queues) if (q[0] === next) q.shift();
  }
}

export function* defineClass(vm: Vm, frame: Frame, s: Extract<Stmt, { k: 'class' }>, args: readonly Value[], run: (inner: Frame) => Call<Flow>): Call<Value> {
  const bases: Type[] = [];
  for (const one of args) {
    if (!isObj(one, 'type')) throw typeError('bases must be types');
    if (one.name === 'bool' || one.name === 'NoneType' || one.name === 'range') throw typeError(`type '${one.name}' is not an acceptable base type`);
    bases.push(one);
  }
  if (bases.length === 0) bases.push(typeNamed('object'));
  const within = frame.scope.kind === 'function' ? `${frame.name}.<locals>.${s.name}` : s.name;
  const module = (frame.globals.get('__name__') as string | undefined) ?? '__main__';
  const type: Type = { t: 'type', name: s.name, module, bases, mro: [], attrs: new Map(), builtin: false, qualname: within };
  type.mro = [type, ...merged(s.name, bases)];
  const inner: Frame = { name: s.name, source: frame.source, scope: s.scope, vars: type.attrs, globals: frame.globals, outer: frame, at: s, hidden: false, depth: frame.depth, holds: [] };
  inner.vars.set('__module__', module);
  vm.frames.push(inner);
  try {
    yield* run(inner);
  } finally {
    vm.frames.pop();
  }
  // Methods find their class, for super(), where the class body's frame was.
  const seen: Frame = { ...inner, vars: new Map([['__class__', type]]) };
  for (const v of type.attrs.values()) for (const f of functionsOf(v)) if (f.outer === inner) f.outer = seen;
  for (const [name, v] of type.attrs) {
    const hook = isObj(v, 'native') || isObj(v, 'inst') ? inType(v.type, '__set_name__') : undefined;
    if (hook !== undefined) yield* call(vm, hook, [v, type, name]);
  }
  return type;
}

/** A method, also where property, staticmethod or classmethod wraps it. */
function functionsOf(v: Value): Func[] {
  if (isObj(v, 'func')) return [v];
  if (!isObj(v, 'native')) return [];
  const { data } = v as { data: unknown };
  const inside = data !== null && typeof data === 'object' && 'get' in data ? Object.values(data) : [data];
  return inside.filter((one): one is Func => isObj(one as Value, 'func'));
}
