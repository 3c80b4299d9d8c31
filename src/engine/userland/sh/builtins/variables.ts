/** Builtins on variables and options: declare, local, export, readonly, unset, set, shopt, read's kin are elsewhere. Source: bash(1) SHELL BUILTIN COMMANDS. */
import type { Call } from '../../lib/http.ts';
import { keyOf } from '../arithmetic.ts';
import { assignText, splitAssignment } from '../assign.ts';
import { attributes } from '../parameter.ts';
import { ansiQuote, doubleQuote } from '../quote.ts';
import { Bad, type Shell, type Variable } from '../state.ts';
import { blank, find, findPlain, isName, names, resolveName, setArray, unset, unsetElement } from '../variables.ts';
import { type Arrays, type Builtin, fault, options, output } from './builtin.ts';

const DECLARE_LETTERS = 'aAfFgilnprtuxI';

/** "declare -x HOME="/root"" for one variable. */
export function declaration(sh: Shell, name: string, v: Variable): string {
  const letters = attributes(sh, name);
  const head = `declare -${letters === '' ? '-' : letters} ${name}`;
  if (v.value === undefined) return `${head}\n`;
  if (!(v.value instanceof Map)) return `${head}=${doubleQuote(v.value)}\n`;
  const all = [...(v.value as Map<string | number, string>)];
  if (v.kind === 'array') all.sort((a, b) => Number(a[0]) - Number(b[0]));
  const inside = all.map(([k, value]) => `[${/^[\w./-]+$/.test(String(k)) ? k : doubleQuote(String(k))}]=${doubleQuote(value)}`).join(' ');
  return `${head}=(${inside}${v.kind === 'assoc' && all.length > 0 ? ' ' : ''})\n`;
}

/** Parses -x +x letters; null after telling of a bad one. */
function* letters(sh: Shell, words: readonly string[]): Call<{ on: Set<string>; off: Set<string>; rest: string[] } | null> {
  const on = new Set<string>();
  const off = new Set<string>();
  let at = 1;
  for (; at < words.length && /^[-+][A-Za-z]/.test(words[at]!); at++) {
    for (const letter of words[at]!.slice(1)) {
      if (!DECLARE_LETTERS.includes(letter)) {
        yield* fault(sh, `${words[0]}: ${words[at]![0]}${letter}: invalid option`);
        return null;
      }
      (words[at]!.startsWith('-') ? on : off).add(letter);
    }
  }
  if (words[at] === '--') at++;
  return { on, off, rest: words.slice(at) };
}

function change(v: Variable, on: ReadonlySet<string>, off: ReadonlySet<string>): void {
  if (on.has('x')) v.exported = true;
  if (off.has('x')) v.exported = false;
  if (on.has('i')) v.integer = true;
  if (off.has('i')) v.integer = false;
  if (on.has('n')) v.nameref = true;
  if (on.has('l')) v.letters = 'lower';
  if (on.has('u')) v.letters = 'upper';
  if (off.has('l') || off.has('u')) v.letters = null;
  if (on.has('A') && v.kind === 'scalar') {
    v.kind = 'assoc';
    v.value = v.value === undefined ? undefined : new Map([['0', v.value as string]]);
  }
  if (on.has('a') && v.kind === 'scalar') {
    v.kind = 'array';
    v.value = v.value === undefined ? undefined : new Map([[0, v.value as string]]);
  }
}

const declare: Builtin = function* (sh, words, arrays) {
  const name = words[0]!;
  if (name === 'local' && sh.functionNames.length === 0) return yield* fault(sh, 'local: can only be used in a function');
  const parsed = yield* letters(sh, words);
  if (!parsed) return 2;
  const { on, off, rest } = parsed;
  if (name === 'readonly') on.add('r');
  if (name === 'export') {
    if (on.has('n')) {
      on.delete('n');
      off.add('x');
    } else on.add('x');
  }
  if (name === 'export' && on.has('f')) return yield* exportFunctions(sh, rest, !off.has('x'));
  if (on.has('f') || on.has('F')) return yield* functions(sh, rest, on.has('F'), off);
  if (rest.length === 0 || on.has('p')) return yield* show(sh, name, rest, on);
  let status = 0;
  for (const arg of rest) {
    try {
      const inFunction = sh.functionNames.length > 0 && !on.has('g') && name !== 'export' && name !== 'readonly';
      declareOne(sh, name, arg, inFunction, on, off, arrays);
    } catch (error) {
      if (!(error instanceof Bad)) throw error;
      status = yield* fault(sh, error.message);
    }
  }
  return status;
};

function declareOne(sh: Shell, name: string, arg: string, local: boolean, on: ReadonlySet<string>, off: ReadonlySet<string>, arrays: Arrays): void {
  const parts = splitAssignment(arg);
  if (!parts) throw new Bad(`${name}: \`${arg}': not a valid identifier`);
  const scope = local ? functionScope(sh) : null;
  const plain = scope ? scope.get(parts.name) : findPlain(sh, parts.name);
  if (plain?.readonly && (parts.value !== undefined || arrays.has(parts.name))) throw new Bad(`${name === 'local' || name === 'declare' ? `${name}: ` : ''}${parts.name}: readonly variable`);
  let v = plain;
  if (!v) {
    v = blank();
    if (scope && on.has('I')) Object.assign(v, find(sh, parts.name) ?? {});
    (scope ?? sh.scopes[0]!).set(parts.name, v);
  }
  const nameref = on.has('n');
  if (nameref && parts.value !== undefined) {
    if (resolveName(sh, parts.value) === parts.name) throw new Bad(`${name}: ${parts.name}: nameref variable self references not allowed`);
    v.value = parts.value;
  }
  change(v, on, off);
  const elements = arrays.get(parts.name);
  if (elements) setArray(sh, parts.name, elements, false);
  else if (parts.value !== undefined && !nameref) {
    assignText(sh, parts.name, parts.key === null ? null : keyOf(sh, parts.name, parts.key), parts.value, parts.append);
  }
  if (on.has('r')) v.readonly = true;
}

/** The scope of the function being run: prefix assignments of a builtin push theirs on top. */
function functionScope(sh: Shell): Map<string, Variable> {
  return sh.scopes[sh.functionScopes.at(-1) ?? 0]!;
}

function* show(sh: Shell, name: string, only: readonly string[], on: ReadonlySet<string>): Call<number> {
  let out = '';
  let status = 0;
  if (only.length > 0) {
    for (const one of only) {
      const v = findPlain(sh, one);
      if (v) out += declaration(sh, one, v);
      else status = yield* fault(sh, `${name}: ${one}: not found`);
    }
  } else {
    for (const one of names(sh)) {
      const v = findPlain(sh, one)!;
      if (name === 'local' && !functionScope(sh).has(one)) continue;
      if ((on.has('x') && !v.exported) || (on.has('r') && !v.readonly) || (on.has('a') && v.kind !== 'array') || (on.has('A') && v.kind !== 'assoc') || (on.has('i') && !v.integer)) continue;
      if (sh.flavour !== 'bash') out += v.value === undefined ? `${name} ${one}\n` : `${name} ${one}=${ansiQuote(v.value instanceof Map ? '' : v.value)}\n`;
      else if (name === 'declare' && on.size === 0) out += v.value instanceof Map ? declaration(sh, one, v).replace(/^declare -\S+ /, '') : v.value === undefined ? '' : `${one}=${shown(v.value)}\n`;
      else out += declaration(sh, one, v);
    }
  }
  return (yield* output(sh, name, out)) || status;
}

const shown = (value: string): string => (/[^A-Za-z0-9_@%+=:,./-]/.test(value) ? ansiQuote(value) : value);

function* functions(sh: Shell, only: readonly string[], namesOnly: boolean, off: ReadonlySet<string>): Call<number> {
  if (off.size > 0) return 0;
  const wanted = only.length > 0 ? only : [...sh.functions.keys()].sort();
  let out = '';
  for (const name of wanted) {
    const fn = sh.functions.get(name);
    if (!fn) return 1;
    out += namesOnly ? (only.length > 0 ? `${name}\n` : `declare -f ${name}\n`) : functionText(sh, name);
  }
  return yield* output(sh, 'declare', out);
}

function* exportFunctions(sh: Shell, only: readonly string[], on: boolean): Call<number> {
  let status = 0;
  for (const name of only) {
    const fn = sh.functions.get(name);
    if (fn) sh.functions.set(name, { ...fn, exported: on });
    else status = yield* fault(sh, `export: ${name}: not a function`);
  }
  return status;
}

/** A function as it was written, under bash's heading. */
export function functionText(sh: Shell, name: string): string {
  const fn = sh.functions.get(name)!;
  return `${name} () \n${fn.source.text.slice(fn.body.pos, fn.body.end)}\n`;
}

const unsetBuiltin: Builtin = function* (sh, words) {
  const parsed = yield* options(sh, words, 'fvn', 'unset [-f] [-v] [-n] [name ...]');
  if (!parsed) return 2;
  let status = 0;
  for (const arg of parsed.rest) {
    const element = /^([A-Za-z_]\w*)\[(.*)\]$/s.exec(arg);
    try {
      if (parsed.on.has('f')) sh.functions.delete(arg);
      else if (element) unsetElement(sh, element[1]!, element[2] === '@' || element[2] === '*' ? element[2] : keyOf(sh, element[1]!, element[2]!));
      else if (!isName(arg) && parsed.on.has('v')) status = yield* fault(sh, `unset: \`${arg}': not a valid identifier`);
      else if (find(sh, arg) || parsed.on.has('v')) unset(sh, arg);
      else sh.functions.delete(arg);
    } catch (error) {
      if (!(error instanceof Bad)) throw error;
      status = yield* fault(sh, error.message);
    }
  }
  return status;
};

export const OPTION_LETTERS: Readonly<Record<string, string>> = {
  a: 'allexport', b: 'notify', B: 'braceexpand', C: 'noclobber', e: 'errexit', E: 'errtrace', f: 'noglob', h: 'hashall', H: 'histexpand', k: 'keyword', m: 'monitor', n: 'noexec',
  p: 'privileged', t: 'onecmd', T: 'functrace', u: 'nounset', v: 'verbose', x: 'xtrace', P: 'physical', I: 'ignoreeof',
};
const OPTIONS = [
  'allexport', 'braceexpand', 'emacs', 'errexit', 'errtrace', 'functrace', 'hashall', 'histexpand', 'history', 'ignoreeof', 'interactive-comments', 'keyword', 'monitor',
  'noclobber', 'noexec', 'noglob', 'nolog', 'notify', 'nounset', 'onecmd', 'physical', 'pipefail', 'posix', 'privileged', 'verbose', 'vi', 'xtrace',
];
const ALWAYS = new Set(['braceexpand', 'hashall', 'interactive-comments']);

function isOn(sh: Shell, option: string): boolean {
  return sh.options.has(option) || ALWAYS.has(option) || (sh.interactive && ['emacs', 'histexpand', 'history'].includes(option));
}

/** Reads -eux -o NAME from the front of words; how many were used, or null after telling of a bad one. */
export function* takeOptions(sh: Shell, words: readonly string[], from: number): Call<number | null> {
  let at = from;
  for (; at < words.length && /^[-+]./.test(words[at]!) && words[at] !== '--'; at++) {
    const on = words[at]![0] === '-';
    const flagLetters = words[at]!.slice(1);
    for (const letter of flagLetters) {
      if (letter === 'o') {
        const name = words[at + 1];
        if (name === undefined) {
          yield* output(sh, 'set', OPTIONS.map((o) => (on ? `${o.padEnd(15)}\t${isOn(sh, o) ? 'on' : 'off'}\n` : `set ${isOn(sh, o) ? '-' : '+'}o ${o}\n`)).join(''));
          return at + 1;
        }
        if (!OPTIONS.includes(name) || (name === 'pipefail' && sh.flavour === 'dash')) {
          yield* fault(sh, `set: ${name}: invalid option name`);
          return null;
        }
        turn(sh, name, on);
        at++;
        break;
      }
      const option = OPTION_LETTERS[letter];
      if (!option) {
        yield* fault(sh, `set: -${letter}: invalid option`);
        return null;
      }
      turn(sh, option, on);
    }
  }
  return at;
}

function turn(sh: Shell, option: string, on: boolean): void {
  if (on) sh.options.add(option);
  else sh.options.delete(option);
}

const setOptions: Builtin = function* (sh, words) {
  if (words.length === 1) {
    const out = names(sh).map((n) => [n, findPlain(sh, n)!] as const).filter(([, v]) => v.value !== undefined);
    return yield* output(sh, 'set', out.map(([n, v]) => (v.value instanceof Map ? declaration(sh, n, v).replace(/^declare -\S+ /, '') : `${n}=${shown(v.value as string)}\n`)).join(''));
  }
  const at = yield* takeOptions(sh, words, 1);
  if (at === null) return 2;
  if (words[at] === '--') sh.params = words.slice(at + 1);
  else if (words[at] === '-') sh.params = words.length > at + 1 ? words.slice(at + 1) : sh.params;
  else if (at < words.length) sh.params = words.slice(at);
  return 0;
};

const SHOPTS = [
  'autocd', 'cdable_vars', 'cdspell', 'checkhash', 'checkjobs', 'checkwinsize', 'cmdhist', 'dotglob', 'execfail', 'expand_aliases', 'extdebug', 'extglob', 'failglob', 'globstar',
  'histappend', 'histverify', 'huponexit', 'inherit_errexit', 'interactive_comments', 'lastpipe', 'login_shell', 'nocaseglob', 'nocasematch', 'nullglob', 'progcomp', 'promptvars',
  'sourcepath', 'xpg_echo',
];

const shopt: Builtin = function* (sh, words) {
  const parsed = yield* options(sh, words, 'psuqo', 'shopt [-pqsu] [-o] [optname ...]');
  if (!parsed) return 2;
  const { on, rest } = parsed;
  let status = 0;
  let out = '';
  for (const name of rest.length > 0 ? rest : SHOPTS) {
    if (!(on.has('o') ? OPTIONS : SHOPTS).includes(name)) {
      status = yield* fault(sh, `shopt: ${name}: invalid ${on.has('o') ? 'option name' : 'shell option name'}`);
      continue;
    }
    const where = on.has('o') ? sh.options : sh.shopts;
    if (on.has('s') && rest.length > 0) where.add(name);
    else if (on.has('u') && rest.length > 0) where.delete(name);
    else {
      if (!where.has(name)) status = rest.length > 0 ? 1 : status;
      if (!on.has('q')) out += on.has('p') ? `shopt -${where.has(name) ? 's' : 'u'} ${name}\n` : `${name.padEnd(15)}\t${where.has(name) ? 'on' : 'off'}\n`;
    }
  }
  return (yield* output(sh, 'shopt', out)) || status;
};

export const variables: Readonly<Record<string, Builtin>> = {
  declare, typeset: declare, local: declare, export: declare, readonly: declare, unset: unsetBuiltin, set: setOptions, shopt,
};

