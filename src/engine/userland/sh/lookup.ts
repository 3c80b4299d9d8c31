/** Where a command's program is: PATH, and the table of those found before. Source: bash(1) COMMAND EXECUTION. */
import { S_IFMT, S_IFREG } from '../../kernel/abi.ts';
import { statOf } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import type { Shell } from './state.ts';
import { get } from './variables.ts';

/** Path of a command: itself with a slash, the table of hashed ones, or the first in PATH; null when nowhere. */
export function* locate(sh: Shell, name: string): Call<string | null> {
  if (name.includes('/')) return name;
  if (name === '') return null;
  const known = sh.hashed.get(name);
  if (known && (yield* isExecutable(known.path))) {
    known.hits++;
    return known.path;
  }
  const found = yield* searchPath(get(sh, 'PATH') ?? '', name);
  if (found !== null) sh.hashed.set(name, { path: found, hits: 1 });
  return found;
}

export function* searchPath(path: string, name: string): Call<string | null> {
  for (const dir of path.split(':')) {
    const at = `${dir === '' ? '.' : dir}/${name}`;
    if (yield* isExecutable(at)) return at;
  }
  return null;
}

export function* isExecutable(path: string): Call<boolean> {
  const stat = yield* statOf(path);
  return stat !== null && (stat.mode & S_IFMT) === S_IFREG && (stat.mode & 0o111) !== 0;
}
