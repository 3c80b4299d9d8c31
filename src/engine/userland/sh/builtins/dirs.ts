/** cd, pwd and the directory stack. Paths are logical: .. undoes the last part as typed. Source: bash(1). */
import { SysError } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { attempt, statOf } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { strerror } from '../../lib/io.ts';
import type { Shell } from '../state.ts';
import { get, set, target } from '../variables.ts';
import { type Builtin, fault, options, output } from './builtin.ts';

/** Joins and tidies a path without asking the disk. */
export function logical(cwd: string, path: string): string {
  const parts: string[] = [];
  for (const part of (path.startsWith('/') ? path : `${cwd}/${path}`).split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') parts.pop();
    else parts.push(part);
  }
  return `/${parts.join('/')}`;
}

/** Changes directory; throws SysError. */
export function* enter(sh: Shell, path: string, physical: boolean): Call<void> {
  const to = physical ? path : logical(sh.cwd, path);
  yield* sys('chdir', to);
  const old = sh.cwd;
  sh.cwd = physical ? yield* sys('getcwd') : to;
  set(sh, 'OLDPWD', old);
  set(sh, 'PWD', sh.cwd);
  target(sh, 'OLDPWD').exported = true;
  target(sh, 'PWD').exported = true;
}

const cd: Builtin = function* (sh, words) {
  const parsed = yield* options(sh, words, 'LPe@', 'cd [-L|[-P [-e]] [-@]] [dir]');
  if (!parsed) return 2;
  const { on, rest } = parsed;
  if (rest.length > 1 && sh.flavour === 'bash') return yield* fault(sh, 'cd: too many arguments');
  let path = rest[0];
  if (path === undefined) {
    path = get(sh, 'HOME');
    if (path === undefined) return yield* fault(sh, 'cd: HOME not set');
  }
  let show = false;
  if (path === '-') {
    const old = get(sh, 'OLDPWD');
    if (old === undefined) return yield* fault(sh, 'cd: OLDPWD not set');
    path = old;
    show = true;
  }
  if (path === '') return show ? yield* output(sh, 'cd', '\n') : 0;
  const found = yield* throughCdpath(sh, path);
  try {
    yield* enter(sh, found ?? path, on.has('P') || sh.options.has('physical'));
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    if (sh.flavour === 'dash') return yield* fault(sh, `cd: can't cd to ${path}`, 2);
    if (sh.flavour === 'ash') return yield* fault(sh, `cd: can't cd to ${path}: ${strerror(error)}`);
    return yield* fault(sh, `cd: ${path}: ${strerror(error)}`);
  }
  return show || found !== null ? yield* output(sh, 'cd', `${sh.cwd}\n`) : 0;
};

function* throughCdpath(sh: Shell, path: string): Call<string | null> {
  const list = get(sh, 'CDPATH');
  if (!list || /^\.{0,2}\//.test(path) || path === '.' || path === '..') return null;
  for (const dir of list.split(':')) {
    if (dir !== '' && dir !== '.' && (yield* statOf(`${dir}/${path}`))) return `${dir}/${path}`;
  }
  return null;
}

const pwd: Builtin = function* (sh, words) {
  const parsed = yield* options(sh, words, 'LP', 'pwd [-LP]');
  if (!parsed) return 2;
  return yield* output(sh, 'pwd', `${parsed.on.has('P') ? yield* attempt(sys('getcwd'), sh.cwd) : sh.cwd}\n`);
};

function tilded(sh: Shell, path: string): string {
  const home = get(sh, 'HOME') ?? '';
  return home !== '' && home !== '/' && (path === home || path.startsWith(`${home}/`)) ? `~${path.slice(home.length)}` : path;
}

const dirs: Builtin = function* (sh, words) {
  const all = [sh.cwd, ...sh.oldDirs];
  const flags = words.slice(1).join('');
  if (flags.includes('c')) {
    sh.oldDirs = [];
    return 0;
  }
  const long = flags.includes('l') ? all : all.map((d) => tilded(sh, d));
  if (flags.includes('v')) return yield* output(sh, 'dirs', long.map((d, i) => `${String(i).padStart(2)}  ${d}\n`).join(''));
  if (flags.includes('p')) return yield* output(sh, 'dirs', long.map((d) => `${d}\n`).join(''));
  return yield* output(sh, 'dirs', `${long.join(' ')}\n`);
};

/** +N or -N as an index into the stack; null when it is none, -1 out of range. */
function stackIndex(sh: Shell, word: string | undefined): number | null {
  if (word === undefined || !/^[-+]\d+$/.test(word)) return null;
  const size = sh.oldDirs.length + 1;
  const n = Number(word.slice(1));
  const index = word.startsWith('+') ? n : size - 1 - n;
  return index >= 0 && index < size ? index : -1;
}

const pushd: Builtin = function* (sh, words) {
  const all = [sh.cwd, ...sh.oldDirs];
  const index = stackIndex(sh, words[1]);
  if (index === -1) return yield* fault(sh, `pushd: ${words[1]}: directory stack index out of range`);
  if (words[1] === undefined && sh.oldDirs.length === 0) return yield* fault(sh, 'pushd: no other directory');
  const rotated = index !== null ? [...all.slice(index), ...all.slice(0, index)] : words[1] === undefined ? [all[1]!, all[0]!, ...all.slice(2)] : [words[1], ...all];
  try {
    yield* enter(sh, rotated[0]!, false);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return yield* fault(sh, `pushd: ${rotated[0]}: ${strerror(error)}`);
  }
  sh.oldDirs = rotated.slice(1);
  return yield* dirs(sh, ['dirs'], new Map());
};

const popd: Builtin = function* (sh, words) {
  if (sh.oldDirs.length === 0) return yield* fault(sh, 'popd: directory stack empty');
  const index = stackIndex(sh, words[1]) ?? 0;
  if (index < 0) return yield* fault(sh, `popd: ${words[1]}: directory stack index out of range`);
  if (index > 0) sh.oldDirs.splice(index - 1, 1);
  else {
    try {
      yield* enter(sh, sh.oldDirs[0]!, false);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      return yield* fault(sh, `popd: ${sh.oldDirs[0]}: ${strerror(error)}`);
    }
    sh.oldDirs = sh.oldDirs.slice(1);
  }
  return yield* dirs(sh, ['dirs'], new Map());
};

export const directories: Readonly<Record<string, Builtin>> = { cd, pwd, dirs, pushd, popd };
