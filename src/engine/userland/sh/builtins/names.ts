/** Builtins on names of commands: type, command, hash, alias, unalias, history, help, test. Source: bash(1). */
import type { Call } from '../../lib/http.ts';
import { complain } from '../../lib/io.ts';
import { appendFile, attempt, writeFile } from '../../lib/files.ts';
import { isExecutable, locate, searchPath } from '../lookup.ts';
import { ansiQuote } from '../quote.ts';
import { Bad, type Shell } from '../state.ts';
import { testWords } from '../test.ts';
import { get } from '../variables.ts';
import { type Builtin, fault, options, output } from './builtin.ts';
import { functionText } from './variables.ts';

const KEYWORDS = new Set(['if', 'then', 'else', 'elif', 'fi', 'case', 'esac', 'for', 'select', 'while', 'until', 'do', 'done', 'in', 'function', 'time', '{', '}', '!', '[[', ']]', 'coproc']);

interface Meaning {
  kind: 'alias' | 'keyword' | 'function' | 'builtin' | 'file';
  /** "ls is /usr/bin/ls". */
  text: string;
  /** What command -v prints. */
  short: string;
  path?: string;
}

/** What a name means, best first. */
function* meanings(sh: Shell, builtins: ReadonlySet<string>, name: string, all: boolean): Call<Meaning[]> {
  const out: Meaning[] = [];
  const alias = sh.aliases.get(name);
  if (alias !== undefined) out.push({ kind: 'alias', text: `${name} is aliased to \`${alias}'`, short: `alias ${name}=${ansiQuote(alias)}` });
  if (KEYWORDS.has(name)) out.push({ kind: 'keyword', text: `${name} is a shell keyword`, short: name });
  if (sh.functions.has(name)) out.push({ kind: 'function', text: `${name} is a function\n${functionText(sh, name).trimEnd()}`, short: name });
  if (builtins.has(name)) out.push({ kind: 'builtin', text: `${name} is a shell builtin`, short: name });
  if (out.length > 0 && !all) return out;
  if (name.includes('/')) {
    if (yield* isExecutable(name)) out.push({ kind: 'file', text: `${name} is ${name}`, short: name, path: name });
    return out;
  }
  const hashed = all ? undefined : sh.hashed.get(name)?.path;
  if (hashed) out.push({ kind: 'file', text: `${name} is hashed (${hashed})`, short: hashed, path: hashed });
  else {
    for (const dir of (get(sh, 'PATH') ?? '').split(':')) {
      const at = `${dir || '.'}/${name}`;
      if (!(yield* isExecutable(at))) continue;
      out.push({ kind: 'file', text: `${name} is ${at}`, short: at, path: at });
      if (!all) break;
    }
  }
  return out;
}

export function namesOf(builtins: ReadonlySet<string>): Readonly<Record<string, Builtin>> {
  const type: Builtin = function* (sh, words) {
    const parsed = yield* options(sh, words, 'afptP', 'type [-afptP] name [name ...]');
    if (!parsed) return 2;
    const { on, rest } = parsed;
    let status = 0;
    for (const name of rest) {
      let found = yield* meanings(sh, builtins, name, on.has('a'));
      if (on.has('P')) found = found.filter((m) => m.kind === 'file').length > 0 ? found.filter((m) => m.kind === 'file') : yield* fileOnly(sh, name);
      if (found.length === 0) {
        status = 1;
        if (sh.flavour !== 'bash') yield* output(sh, 'type', `${name}: not found\n`);
        else if (!on.has('t') && !on.has('p') && !on.has('P')) yield* fault(sh, `type: ${name}: not found`);
      }
      for (const m of on.has('a') ? found : found.slice(0, 1)) {
        const line = on.has('t') ? m.kind : on.has('p') || on.has('P') ? (m.path ?? '') : m.text;
        if (line !== '') yield* output(sh, 'type', `${line}\n`);
      }
    }
    return status;
  };

  const command: Builtin = function* (sh, words) {
    const parsed = yield* options(sh, words, 'pvV', 'command [-pVv] command [arg ...]');
    if (!parsed) return 2;
    const { on, rest } = parsed;
    if (rest.length === 0) return 0;
    if (!on.has('v') && !on.has('V')) return yield* sh.calls.words(sh, rest, 'no-functions');
    let status = 1;
    for (const name of rest) {
      const [first] = yield* meanings(sh, builtins, name, false);
      if (first) {
        status = 0;
        yield* output(sh, 'command', `${on.has('V') ? first.text : first.short}\n`);
      } else if (on.has('V')) yield* fault(sh, `command: ${name}: not found`);
    }
    return sh.flavour === 'bash' ? status : status === 0 ? 0 : 127;
  };

  const enable: Builtin = function* (sh, words) {
    if (words.length > 1 && words[1] !== '-a') return yield* fault(sh, 'enable: not modelled: enabling and disabling builtins');
    return yield* output(sh, 'enable', [...builtins].sort().map((n) => `enable ${n}\n`).join(''));
  };

  const help: Builtin = function* (sh, words) {
    const [, name] = words;
    if (name === undefined) {
      const all = [...builtins].sort();
      return yield* output(sh, 'help', `GNU bash, version 5.2.15(1)-release (x86_64-pc-linux-gnu)\nThese shell commands are defined internally.\n\n${all.map((n) => ` ${n}\n`).join('')}`);
    }
    if (!builtins.has(name)) return yield* fault(sh, `help: no help topics match \`${name}'.  Try \`help help' or \`man -k ${name}' or \`info ${name}'.`);
    return yield* output(sh, 'help', `${name}: ${name} [arguments]\n    not modelled: the text of this help page. See bash(1).\n`);
  };
  return { type, command, enable, help };
}

function* fileOnly(sh: Shell, name: string): Call<Meaning[]> {
  const at = yield* searchPath(get(sh, 'PATH') ?? '', name);
  return at === null ? [] : [{ kind: 'file', text: `${name} is ${at}`, short: at, path: at }];
}

const hash: Builtin = function* (sh, words) {
  const parsed = yield* options(sh, words, 'lrp:dt', 'hash [-lr] [-p pathname] [-dt] [name ...]');
  if (!parsed) return 2;
  const { on, rest } = parsed;
  if (on.has('r')) sh.hashed.clear();
  if (rest.length === 0 && !on.has('r')) {
    if (sh.hashed.size === 0) return yield* output(sh, 'hash', 'hash: hash table empty\n');
    const lines = [...sh.hashed.values()].map((h) => `${String(h.hits).padStart(4)}\t${h.path}\n`);
    return yield* output(sh, 'hash', `hits\tcommand\n${lines.join('')}`);
  }
  let status = 0;
  for (const name of rest) {
    if (on.has('p')) sh.hashed.set(name, { path: on.get('p')!, hits: 0 });
    else if (on.has('d')) sh.hashed.delete(name);
    else if (on.has('t')) {
      const known = sh.hashed.get(name);
      if (known) yield* output(sh, 'hash', `${rest.length > 1 ? `${name}\t` : ''}${known.path}\n`);
      else status = yield* fault(sh, `hash: ${name}: not found`);
    } else if ((yield* locate(sh, name)) === null) status = yield* fault(sh, `hash: ${name}: not found`);
  }
  return status;
};

const alias: Builtin = function* (sh, words) {
  const args = words.slice(words[1] === '-p' ? 2 : 1);
  const show = (name: string, value: string): string => `${sh.flavour === 'bash' ? 'alias ' : ''}${name}=${ansiQuote(value)}\n`;
  if (args.length === 0) return yield* output(sh, 'alias', [...sh.aliases].sort((a, b) => (a[0] < b[0] ? -1 : 1)).map(([n, v]) => show(n, v)).join(''));
  let status = 0;
  for (const arg of args) {
    const cut = arg.indexOf('=');
    if (cut > 0) sh.aliases.set(arg.slice(0, cut), arg.slice(cut + 1));
    else if (sh.aliases.has(arg)) yield* output(sh, 'alias', show(arg, sh.aliases.get(arg)!));
    else if (sh.flavour === 'bash') status = yield* fault(sh, `alias: ${arg}: not found`);
    else {
      yield* complain(`alias: ${arg} not found\n`);
      status = 1;
    }
  }
  return status;
};

const unalias: Builtin = function* (sh, words) {
  let status = 0;
  for (const arg of words.slice(1)) {
    if (arg === '-a') sh.aliases.clear();
    else if (!sh.aliases.delete(arg)) status = yield* fault(sh, `unalias: ${arg}: not found`);
  }
  return status;
};

const history: Builtin = function* (sh, words) {
  const parsed = yield* options(sh, words, 'cd:anrwps', 'history [-c] [-d offset] [n] or history -anrw [filename] or history -ps arg [arg...]');
  if (!parsed) return 2;
  const { on, rest } = parsed;
  const path = rest[0] ?? get(sh, 'HISTFILE') ?? '/root/.bash_history';
  if (on.has('c')) sh.history = [];
  else if (on.has('d')) {
    const n = Number(on.get('d'));
    const index = n < 0 ? sh.history.length + n : n - 1;
    if (!(index >= 0 && index < sh.history.length)) return yield* fault(sh, `history: ${on.get('d')}: history position out of range`);
    sh.history.splice(index, 1);
  } else if (on.has('w')) yield* writeFile(path, sh.history.map((l) => `${l}\n`).join(''), 0o600);
  else if (on.has('a')) {
    yield* attempt(appendFile(path, sh.history.slice(sh.historyRead).map((l) => `${l}\n`).join('')), undefined);
    sh.historyRead = sh.history.length;
  } else if (on.has('s')) sh.history.push(rest.join(' '));
  else if (on.size === 0) {
    if (rest[0] !== undefined && !/^\d+$/.test(rest[0])) return yield* fault(sh, `history: ${rest[0]}: numeric argument required`);
    const from = rest[0] === undefined ? 0 : Math.max(0, sh.history.length - Number(rest[0]));
    return yield* output(sh, 'history', sh.history.slice(from).map((l, i) => `${String(from + i + 1).padStart(5)}  ${l}\n`).join(''));
  } else return yield* fault(sh, 'history: not modelled: this option');
  return 0;
};

function* tested(sh: Shell, name: string, words: readonly string[]): Call<number> {
  try {
    return yield* testWords(sh, name, words);
  } catch (error) {
    if (!(error instanceof Bad)) throw error;
    return yield* fault(sh, error.message, error.status);
  }
}

const test: Builtin = function* (sh, words) {
  return yield* tested(sh, 'test', words.slice(1));
};

const bracket: Builtin = function* (sh, words) {
  if (words.at(-1) !== ']') return yield* fault(sh, "[: missing `]'", 2);
  return yield* tested(sh, '[', words.slice(1, -1));
};

export const names: Readonly<Record<string, Builtin>> = { hash, alias, unalias, history, test, '[': bracket };
