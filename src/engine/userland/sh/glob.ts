/** Pathname expansion: a pattern against the directories of the modelled disk. Source: glob(7), bash(1) "Pathname Expansion". */
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { attempt, isDir, list, statOf } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { compile, hasGlob, matches } from './pattern.ts';

/** Sorted paths that match; empty when none does. `dots` lets * match a leading dot. */
export function* glob(pattern: string, dots = false): Call<string[]> {
  const parts = cut(pattern);
  const rooted = pattern.startsWith('/');
  let found: string[] = [rooted ? '/' : ''];
  for (const [i, part] of parts.entries()) {
    const last = i === parts.length - 1;
    if (part === '' && last) {
      found = yield* onlyDirs(found);
      found = found.map((path) => `${path}/`);
    } else if (hasGlob(part)) found = yield* matching(found, part, dots);
    else found = yield* existing(found, unquoted(part), last);
    if (found.length === 0) return [];
  }
  return found.sort(byName);
}

const unquoted = (text: string): string => text.replace(/\\(.)/gs, '$1');
const join = (dir: string, name: string): string => (dir === '' ? name : dir.endsWith('/') ? dir + name : `${dir}/${name}`);

/** Splits at slashes that are not in brackets or escaped; leading and doubled ones vanish. */
function cut(pattern: string): string[] {
  const parts = pattern.split('/');
  while (parts.length > 1 && parts[0] === '') parts.shift();
  return parts.filter((p, i) => p !== '' || i === parts.length - 1);
}

function* matching(dirs: readonly string[], part: string, dots: boolean): Call<string[]> {
  const compiled = compile(part);
  const shown = part.startsWith('.') || part.startsWith('\\.');
  const out: string[] = [];
  for (const dir of dirs) {
    const names = (yield* list(dir === '' ? '.' : dir)).map((e) => e.name);
    if (shown) names.unshift('.', '..');
    for (const name of names) {
      if (name.startsWith('.') && !shown && !dots) continue;
      if (matches(compiled, name)) out.push(join(dir, name));
    }
  }
  return out;
}

function* existing(dirs: readonly string[], name: string, last: boolean): Call<string[]> {
  const out: string[] = [];
  for (const dir of dirs) {
    const path = join(dir, name);
    if (!last || (yield* attempt(sys('newfstatat', AT_FDCWD, path, AT_SYMLINK_NOFOLLOW), null))) out.push(path);
  }
  return out;
}

function* onlyDirs(paths: readonly string[]): Call<string[]> {
  const out: string[] = [];
  for (const path of paths) {
    const stat = yield* statOf(path);
    if (stat && isDir(stat)) out.push(path);
  }
  return out;
}

/** Order of the C locale. */
export function byName(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
