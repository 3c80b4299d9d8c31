/** os.path. Source: Python 3.13 library reference, os.path (posixpath). */
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, type Stat, SysError } from '../../../kernel/abi.ts';
import type { Call } from '../../lib/http.ts';
import { calling, pathArg, plain } from '../arguments.ts';
import { osError, typeError } from '../errors.ts';
import { type Async, isObj, tuple, typeName, type Value } from '../values.ts';
import { sysc, type Vm } from '../vm.ts';

function* statOr(vm: Vm, v: Value, flags: number): Call<Stat | null> {
  try {
    if (typeof v === 'bigint') return yield* sysc(vm, 'fstat', Number(v));
    return yield* sysc(vm, 'newfstatat', AT_FDCWD, pathArg('stat', v), flags);
  } catch (error) {
    if (error instanceof SysError) return null;
    throw error;
  }
}

const kind = (mode: number, flags = 0): Async => function* (vm, a) {
  const s = yield* statOr(vm, a[0]!, flags);
  return s !== null && (s.mode & S_IFMT) === mode;
};

const field = (name: 'size' | 'mtime' | 'atime' | 'ctime'): Async => function* (vm, a) {
  try {
    const s = yield* sysc(vm, 'newfstatat', AT_FDCWD, pathArg('stat', a[0]!), 0);
    return name === 'size' ? BigInt(s.size) : s[name];
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const failed = osError(error, a[0]!);
    failed.value.trace = [{ source: { file: '<frozen genericpath>', lines: [] }, name: `get${name}`, line: name === 'size' ? 62 : 67, span: null }];
    throw failed;
  }
};

function words(fn: string, a: readonly Value[]): string[] {
  return a.map((v) => {
    if (typeof v === 'string') return v;
    if (isObj(v, 'bytes')) throw typeError("Can't mix strings and bytes in path components");
    throw typeError(fn === 'join' ? `join() argument must be str, bytes, or os.PathLike object, not '${typeName(v)}'` : `expected str, bytes or os.PathLike object, not ${typeName(v)}`);
  });
}

export function joinPath(parts: readonly string[]): string {
  let out = parts[0] ?? '';
  for (const part of parts.slice(1)) {
    if (part.startsWith('/')) out = part;
    else out += (out === '' || out.endsWith('/') ? '' : '/') + part;
  }
  return out;
}

export function normal(path: string): string {
  if (path === '') return '.';
  const root = path.startsWith('//') && !path.startsWith('///') ? '//' : path.startsWith('/') ? '/' : '';
  const out: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..' || (root === '' && (out.length === 0 || out.at(-1) === '..'))) out.push(part);
    else out.pop();
  }
  return root + out.join('/') || '.';
}

function head(path: string): string {
  const cut = path.slice(0, path.lastIndexOf('/') + 1);
  return /^\/*$/.test(cut) ? cut : cut.replace(/\/+$/, '');
}
const tail = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

function extension(path: string): [string, string] {
  const m = /^(.*[^/.][^/]*?)(\.[^./]*)$/s.exec(path);
  const base = tail(path).replace(/^\.+/, '');
  return m && base.includes('.') ? [m[1]!, m[2]!] : [path, ''];
}

function* real(vm: Vm, path: string, depth = 0): Call<string> {
  let out = '';
  const parts = (path.startsWith('/') ? path : `${yield* sysc(vm, 'getcwd')}/${path}`).split('/').filter((p) => p !== '' && p !== '.');
  for (const [i, part] of parts.entries()) {
    if (part === '..') {
      out = out.slice(0, out.lastIndexOf('/'));
      continue;
    }
    const s = yield* statOr(vm, `${out}/${part}`, AT_SYMLINK_NOFOLLOW);
    if (s && (s.mode & S_IFMT) === S_IFLNK && depth < 40) {
      const target = yield* sysc(vm, 'readlinkat', AT_FDCWD, `${out}/${part}`);
      return yield* real(vm, joinPath([out || '/', target, ...parts.slice(i + 1)]), depth + 1);
    }
    out += `/${part}`;
  }
  return out || '/';
}

export function osPath(): Map<string, Value> {
  return new Map<string, Value>(Object.entries({
    ...plain({
      join: (_vm, a) => joinPath(words('join', a)),
      basename: (_vm, a) => tail(words('basename', a)[0]!),
      dirname: (_vm, a) => head(words('dirname', a)[0]!),
      split: (_vm, a) => tuple([head(words('split', a)[0]!), tail(words('split', a)[0]!)]),
      splitext: (_vm, a) => tuple(extension(words('splitext', a)[0]!)),
      normpath: (_vm, a) => normal(words('normpath', a)[0]!),
      isabs: (_vm, a) => words('isabs', a)[0]!.startsWith('/'),
      expanduser: (vm, a) => words('expanduser', a)[0]!.replace(/^~(?=\/|$)/, vm.env.get('HOME') ?? '~'),
      expandvars: (vm, a) => words('expandvars', a)[0]!.replace(/\$(\w+)|\$\{([^}]*)\}/g, (all, x: string, y: string) => vm.env.get(x ?? y) ?? all),
    }),
    ...calling({
      exists: function* (vm, a) { return (yield* statOr(vm, a[0]!, 0)) !== null; },
      lexists: function* (vm, a) { return (yield* statOr(vm, a[0]!, AT_SYMLINK_NOFOLLOW)) !== null; },
      isdir: kind(S_IFDIR), isfile: kind(S_IFREG), islink: kind(S_IFLNK, AT_SYMLINK_NOFOLLOW),
      getsize: field('size'), getmtime: field('mtime'), getatime: field('atime'), getctime: field('ctime'),
      abspath: function* (vm, a) { const p = words('abspath', a)[0]!; return normal(p.startsWith('/') ? p : `${yield* sysc(vm, 'getcwd')}/${p}`); },
      realpath: function* (vm, a) { return yield* real(vm, words('realpath', a)[0]!); },
      samefile: function* (vm, a) {
        const [x, y] = [yield* statOr(vm, a[0]!, 0), yield* statOr(vm, a[1]!, 0)];
        return x !== null && y !== null && x.ino === y.ino && x.dev === y.dev;
      },
      ismount: function* (vm, a) {
        const p = words('ismount', a)[0]!;
        const [x, y] = [yield* statOr(vm, p, AT_SYMLINK_NOFOLLOW), yield* statOr(vm, `${p}/..`, 0)];
        return x !== null && y !== null && (x.dev !== y.dev || x.ino === y.ino);
      },
    }),
  }));
}
