/** Path names as text (nothing is looked up here), and the paths that symbolic links lead to. */
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, S_IFLNK, S_IFMT, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { attempt } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';

export function baseName(path: string): string {
  const trimmed = path.replace(/\/+$/, '');
  return trimmed === '' ? (path === '' ? '' : '/') : trimmed.slice(trimmed.lastIndexOf('/') + 1);
}

export function dirName(path: string): string {
  const trimmed = path.replace(/\/+$/, '');
  if (trimmed === '') return path.startsWith('/') ? '/' : '.';
  const cut = trimmed.lastIndexOf('/');
  if (cut < 0) return '.';
  return trimmed.slice(0, cut).replace(/\/+$/, '') || '/';
}

export function joined(dir: string, name: string): string {
  return dir.endsWith('/') ? dir + name : `${dir}/${name}`;
}

/** What may be missing: nothing ('all' parts exist), the last part, or any part. */
export type Missing = 'none' | 'last' | 'any';

/** The absolute path without links, "." or "..". Throws ENOENT, ELOOP, ENOTDIR. */
export function* realPath(path: string, missing: Missing): Call<string> {
  if (path === '') throw new SysError('ENOENT');
  let at = path.startsWith('/') ? '' : yield* currentDirectory();
  if (at === '/') at = '';
  let rest = path.split('/').filter((p) => p !== '' && p !== '.');
  let links = 0;
  while (rest.length > 0) {
    const part = rest.shift()!;
    if (part === '..') {
      at = at.slice(0, Math.max(0, at.lastIndexOf('/')));
      continue;
    }
    const next = `${at}/${part}`;
    const stat = missing === 'any' ? yield* attempt(sys('newfstatat', AT_FDCWD, next, AT_SYMLINK_NOFOLLOW), null)
      : yield* attempt(sys('newfstatat', AT_FDCWD, next, AT_SYMLINK_NOFOLLOW), null, 'ENOENT');
    if (!stat && (missing === 'none' || (missing === 'last' && rest.length > 0))) throw new SysError('ENOENT');
    if (stat && (stat.mode & S_IFMT) === S_IFLNK) {
      if (++links > 40) throw new SysError('ELOOP');
      const target = yield* sys('readlinkat', AT_FDCWD, next);
      rest = [...target.split('/').filter((p) => p !== '' && p !== '.'), ...rest];
      if (target.startsWith('/')) at = '';
      continue;
    }
    if (stat && rest.length > 0 && missing !== 'any' && (stat.mode & S_IFMT) !== 0o040000) throw new SysError('ENOTDIR');
    at = next;
  }
  return at === '' ? '/' : at;
}

function* currentDirectory(): Call<string> {
  return yield* sys('getcwd');
}
