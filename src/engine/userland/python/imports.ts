/** import: modules written here by name, and files NAME.py or NAME/__init__.py along sys.path. Source: Python 3.13 language reference, 5. */
import { SysError } from '../../kernel/abi.ts';
import { text } from '../../sim/text.ts';
import { readBytes } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import type { Expr, Stmt } from './ast.ts';
import { findAttr } from './call.ts';
import { raised } from './errors.ts';
import type { Flow } from './exec.ts';
import { parse } from './parse.ts';
import type { Module, Value } from './values.ts';
import type { Frame, Vm } from './vm.ts';

/** Builds a module's names; given by modules/table.ts. */
export type ModuleMaker = (vm: Vm) => Map<string, Value>;
let known: ReadonlyMap<string, ModuleMaker> = new Map();
export const setModules = (to: ReadonlyMap<string, ModuleMaker>): void => {
  known = to;
};
let runModule: (vm: Vm, frame: Frame, body: readonly Stmt[]) => Call<Flow>;
export const setModuleRunner = (run: typeof runModule): void => {
  runModule = run;
};

/** A module by its dotted path. Throws ModuleNotFoundError. */
export function* importModule(vm: Vm, path: string): Call<Module> {
  const parts = path.split('.');
  let parent: Module | null = null;
  for (let i = 1; i <= parts.length; i++) {
    const name = parts.slice(0, i).join('.');
    const module: Module = vm.modules.get(name) ?? (yield* load(vm, name, parent));
    parent?.vars.set(parts[i - 1]!, module);
    parent = module;
  }
  return parent!;
}

function* load(vm: Vm, name: string, parent: Module | null): Call<Module> {
  const make = known.get(name);
  if (make) {
    vm.cost += 300_000;
    const module: Module = { t: 'module', name, vars: make(vm), file: null };
    module.vars.set('__name__', name);
    vm.modules.set(name, module);
    return module;
  }
  const found = yield* search(vm, name, parent);
  if (found) return found;
  const where = parent && parent.vars.get('__path__') === undefined ? `; '${parent.name}' is not a package` : '';
  const error = raised('ModuleNotFoundError', `No module named '${name}'${where}`);
  error.value.attrs.set('name', name).set('path', null);
  throw error;
}

function* search(vm: Vm, name: string, parent: Module | null): Call<Module | null> {
  const last = name.split('.').at(-1)!;
  const places = parent ? [String(parent.vars.get('__path__') ?? '')] : vm.path;
  for (const place of places) {
    if (parent && place === '') continue;
    const base = place === '' ? last : `${place}/${last}`;
    for (const file of [`${base}/__init__.py`, `${base}.py`]) {
      let source: string;
      try {
        source = text(yield* readBytes(file));
      } catch (error) {
        if (error instanceof SysError) continue;
        throw error;
      }
      return yield* runFile(vm, name, file, source, file.endsWith('/__init__.py') ? base : null);
    }
  }
  return null;
}

function* runFile(vm: Vm, name: string, file: string, content: string, place: string | null): Call<Module> {
  const cwd = file.startsWith('/') ? file : `./${file}`;
  const module: Module = { t: 'module', name, vars: new Map<string, Value>([['__name__', name], ['__file__', cwd]]), file: cwd };
  if (place !== null) module.vars.set('__path__', place);
  vm.modules.set(name, module);
  const { body, scope } = parse(content);
  const frame: Frame = { name: '<module>', source: { file: cwd, lines: content.split('\n') }, scope, vars: module.vars, globals: module.vars, outer: null, at: body[0] ?? { line: 1, col: 0, eline: 1, ecol: 0 }, hidden: false, depth: 0, holds: [] };
  try {
    yield* runModule(vm, frame, body);
  } catch (error) {
    vm.modules.delete(name);
    throw error;
  }
  return module;
}

const BUILT_IN = new Set(['sys', 'time', 'errno', 'math', 'posix', 'builtins', 'gc', 'atexit']);
const libraryFile = (name: string): string => (BUILT_IN.has(name) ? 'unknown location' : `/usr/lib/python3.13/${name === 'json' ? 'json/__init__' : name === 'os.path' ? 'posixpath' : name}.py`);

export function* importFrom(vm: Vm, frame: Frame, s: Extract<Stmt, { k: 'from' }>, assign: (target: Expr, value: Value) => Call<void>): Call<void> {
  if (s.module.startsWith('.')) throw raised('ImportError', 'attempted relative import with no known parent package');
  const module = yield* importModule(vm, s.module);
  if (s.star) {
    for (const [name, v] of module.vars) if (!name.startsWith('_')) frame.vars.set(name, v);
    return;
  }
  for (const { name, target } of s.names) {
    let v = yield* findAttr(vm, module, name);
    if (v === undefined && (known.has(`${s.module}.${name}`) || module.vars.has('__path__'))) v = yield* importModule(vm, `${s.module}.${name}`);
    if (v === undefined) {
      const error = raised('ImportError', `cannot import name '${name}' from '${s.module}' (${module.file ?? libraryFile(module.name)})`);
      throw error;
    }
    yield* assign(target, v);
  }
}
