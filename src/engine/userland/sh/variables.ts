/** Variables: look-up through scopes, assignment with its attributes, the specials, the environment of a command. Source: bash(1) PARAMETERS. */
import { sys } from '../../kernel/sys.ts';
import type { Call } from '../lib/http.ts';
import { beyond, LONG, MAX_VALUE } from './memory.ts';
import { Bad, lineOf, type Shell, type Variable } from './state.ts';

export function blank(): Variable {
  return { value: undefined, kind: 'scalar', exported: false, readonly: false, integer: false, letters: null, nameref: false };
}

export function isName(text: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(text);
}

/** The variable of that name that is seen here, namerefs not followed. */
export function findPlain(sh: Shell, name: string): Variable | undefined {
  for (let i = sh.scopes.length - 1; i >= 0; i--) {
    const v = sh.scopes[i]!.get(name);
    if (v) return v;
  }
  return undefined;
}

export function resolveName(sh: Shell, name: string): string {
  let at = name;
  for (let hops = 0; hops < 8; hops++) {
    const v = findPlain(sh, at);
    if (!v?.nameref || typeof v.value !== 'string' || v.value === '') return at;
    at = v.value;
  }
  return at;
}

export function find(sh: Shell, name: string): Variable | undefined {
  return findPlain(sh, resolveName(sh, name));
}

/** The scalar value (element 0 of an array); undefined when unset. */
export function get(sh: Shell, name: string): string | undefined {
  const dynamic = DYNAMIC[name];
  if (dynamic) {
    const value = dynamic(sh);
    if (value !== undefined) return value;
  }
  const resolved = resolveName(sh, name);
  const cut = resolved.indexOf('[');
  if (cut > 0) return element(sh, resolved.slice(0, cut), resolved.slice(cut + 1, -1));
  const v = findPlain(sh, resolved);
  if (!v) return undefined;
  if (v.value instanceof Map) return (v.value as Map<number | string, string>).get(v.kind === 'assoc' ? '0' : 0);
  return v.value;
}

/** One element; `key` is already evaluated: a number's text, or the string of an associative array. */
export function element(sh: Shell, name: string, key: string): string | undefined {
  if (name === 'PIPESTATUS') return sh.pipeStatus[Number(key)]?.toString();
  if (name === 'FUNCNAME') return sh.functionNames.slice().reverse()[Number(key)];
  if (name === 'DIRSTACK') return [sh.cwd, ...sh.oldDirs][Number(key)];
  const v = find(sh, name);
  if (!v) return name === 'BASH_VERSINFO' ? VERSION_INFO[Number(key)] : undefined;
  if (v.value instanceof Map) {
    if (v.kind === 'assoc') return (v.value as Map<string, string>).get(key);
    const index = Number(key);
    return (v.value as Map<number, string>).get(index < 0 ? lastIndex(v.value as Map<number, string>) + 1 + index : index);
  }
  return Number(key) === 0 || Number(key) === -1 ? v.value : undefined;
}

function lastIndex(array: ReadonlyMap<number, string>): number {
  let last = -1;
  for (const key of array.keys()) if (key > last) last = key;
  return last;
}

/** Keys and values in order; a scalar is an array of one. Null when unset. */
export function entries(sh: Shell, name: string): [string, string][] | null {
  if (name === 'PIPESTATUS') return sh.pipeStatus.map((s, i) => [String(i), String(s)]);
  if (name === 'FUNCNAME') return sh.functionNames.slice().reverse().map((s, i) => [String(i), s]);
  if (name === 'DIRSTACK') return [sh.cwd, ...sh.oldDirs].map((s, i) => [String(i), s]);
  if (name === 'BASH_VERSINFO') return VERSION_INFO.map((s, i) => [String(i), s]);
  const v = find(sh, name);
  if (!v || v.value === undefined) {
    const dynamic = DYNAMIC[name]?.(sh);
    return dynamic === undefined ? null : [['0', dynamic]];
  }
  if (!(v.value instanceof Map)) return [['0', v.value]];
  if (v.kind === 'assoc') return [...(v.value as Map<string, string>)].sort((a, b) => (a[0] < b[0] ? -1 : 1));
  return [...(v.value as Map<number, string>)].sort((a, b) => a[0] - b[0]).map(([k, value]) => [String(k), value]);
}

const VERSION_INFO = ['5', '2', '15', '1', 'release', 'x86_64-pc-linux-gnu'];

const DYNAMIC: Record<string, (sh: Shell) => string | undefined> = {
  RANDOM: (sh) => {
    sh.random = (Math.imul(sh.random, 1103515245) + 12345) >>> 0;
    return String((sh.random >>> 16) & 0x7fff);
  },
  LINENO: (sh) => String(lineOf(sh)),
  BASHPID: (sh) => String(sh.pid),
  PPID: (sh) => String(sh.ppid),
  FUNCNAME: (sh) => sh.functionNames.at(-1),
  BASH_SUBSHELL: (sh) => String(sh.subshells),
  BASH_VERSION: (sh) => (sh.flavour === 'bash' ? '5.2.15(1)-release' : undefined),
  SHELLOPTS: (sh) => (sh.flavour === 'bash' ? ['braceexpand', 'hashall', 'interactive-comments', ...sh.options].sort().join(':') : undefined),
  PIPESTATUS: (sh) => (sh.pipeStatus[0] === undefined ? undefined : String(sh.pipeStatus[0])),
  DIRSTACK: (sh) => sh.cwd,
  BASH: (sh) => (sh.flavour === 'bash' ? '/bin/bash' : undefined),
  HISTCMD: (sh) => String(sh.history.length + 1),
};

/** $SECONDS and $EPOCHSECONDS need the clock. */
export function* timed(sh: Shell, name: string): Call<string | undefined> {
  if (name === 'SECONDS') return String(Math.floor(((yield* sys('clock_gettime', 'monotonic')) - sh.startedAt) / 1e9));
  if (name === 'EPOCHSECONDS') return String(Math.floor((yield* sys('clock_gettime', 'realtime')) / 1e9));
  if (name === 'EPOCHREALTIME') return ((yield* sys('clock_gettime', 'realtime')) / 1e9).toFixed(6);
  return undefined;
}

/** The variable to write to, made in the outermost scope when there is none. */
export function target(sh: Shell, name: string): Variable {
  const resolved = resolveName(sh, name);
  const known = findPlain(sh, resolved);
  if (known?.readonly) throw new Bad(`${name}: readonly variable`);
  if (known) return known;
  const made = blank();
  sh.scopes[0]!.set(resolved, made);
  return made;
}

function shaped(sh: Shell, v: Variable, value: string): string {
  if (value.length >= LONG) {
    if (value.length > MAX_VALUE) throw beyond(value.length);
    sh.swollen = Math.max(sh.swollen, value.length);
  }
  return v.letters === 'lower' ? value.toLowerCase() : v.letters === 'upper' ? value.toUpperCase() : value;
}

export function set(sh: Shell, name: string, value: string): void {
  const v = target(sh, name);
  if (v.value instanceof Map) {
    if (v.kind === 'assoc') (v.value as Map<string, string>).set('0', shaped(sh, v, value));
    else (v.value as Map<number, string>).set(0, shaped(sh, v, value));
  } else if (v.kind === 'array') v.value = new Map([[0, shaped(sh, v, value)]]);
  else v.value = shaped(sh, v, value);
  if (name === 'RANDOM') sh.random = Number(value) >>> 0;
  if (sh.options.has('allexport')) v.exported = true;
  if (name === 'OPTIND') sh.getopts = { index: Number(value) || 1, offset: 0 };
  if (name === 'PATH') sh.hashed.clear();
}

/** NAME[KEY]=VALUE; `key` as for `element`. */
export function setElement(sh: Shell, name: string, key: string, value: string): void {
  const v = target(sh, name);
  if (v.kind === 'assoc') {
    if (!(v.value instanceof Map)) v.value = new Map<string, string>();
    (v.value as Map<string, string>).set(key, shaped(sh, v, value));
    return;
  }
  const array = toArray(v);
  let index = Number(key);
  if (index < 0) index += lastIndex(array) + 1;
  if (index < 0) throw new Bad(`${name}[${key}]: bad array subscript`);
  array.set(index, shaped(sh, v, value));
}

export function setArray(sh: Shell, name: string, values: readonly (readonly [string | null, string])[], append: boolean): void {
  const v = target(sh, name);
  if (v.kind === 'assoc') {
    if (!append || !(v.value instanceof Map)) v.value = new Map<string, string>();
    for (const [key, value] of values) (v.value as Map<string, string>).set(key ?? '', shaped(sh, v, value));
    return;
  }
  if (!append) v.value = new Map<number, string>();
  const array = toArray(v);
  let next = lastIndex(array) + 1;
  for (const [key, value] of values) {
    const index = key === null ? next : Number(key);
    array.set(index, shaped(sh, v, value));
    next = index + 1;
  }
}

function toArray(v: Variable): Map<number, string> {
  if (!(v.value instanceof Map)) v.value = v.value === undefined ? new Map() : new Map([[0, v.value]]);
  v.kind = 'array';
  return v.value as Map<number, string>;
}

export function unset(sh: Shell, name: string): void {
  const resolved = resolveName(sh, name);
  for (let i = sh.scopes.length - 1; i >= 0; i--) {
    const v = sh.scopes[i]!.get(resolved);
    if (!v) continue;
    if (v.readonly) throw new Bad(`unset: ${name}: cannot unset: readonly variable`);
    if (i > 0) sh.scopes[i]!.set(resolved, blank());
    else sh.scopes[i]!.delete(resolved);
    return;
  }
}

export function unsetElement(sh: Shell, name: string, key: string): void {
  const v = find(sh, name);
  if (v?.value instanceof Map) {
    if (v.kind === 'assoc') (v.value as Map<string, string>).delete(key);
    else (v.value as Map<number, string>).delete(Number(key) < 0 ? lastIndex(v.value as Map<number, string>) + 1 + Number(key) : Number(key));
  } else if (v && Number(key) === 0) unset(sh, name);
}

/** Exported variables, as execve takes them. */
export function environment(sh: Shell): Record<string, string> {
  const env: Record<string, string> = {};
  for (const scope of sh.scopes) {
    for (const [name, v] of scope) {
      if (v.exported && typeof v.value === 'string') env[name] = v.value;
      else if (!v.exported) delete env[name];
    }
  }
  if (sh.flavour !== 'bash') return byBucket(env);
  for (const fn of sh.functions.values()) if (fn.exported) env[`BASH_FUNC_${fn.name}%%`] = `() ${fn.source.text.slice(fn.body.pos, fn.body.end)}`;
  return env;
}

/** The order of the 39 buckets of dash's and ash's table of variables. */
function byBucket(env: Readonly<Record<string, string>>): Record<string, string> {
  const bucket = (name: string): number => Array.from(name).reduce((sum, c) => sum + c.charCodeAt(0), name.charCodeAt(0) * 16) % 39;
  return Object.fromEntries(Object.entries(env).sort(([a], [b]) => bucket(a) - bucket(b)));
}

/** Names of all variables seen here, sorted. */
export function names(sh: Shell): string[] {
  const all = new Set<string>();
  for (const scope of sh.scopes) for (const name of scope.keys()) all.add(name);
  return [...all].sort();
}
