/** Programs that make one thing: mkdir, touch, ln, link, mknod, mkfifo, mktemp, truncate. */
import {
  AT_FDCWD, AT_SYMLINK_FOLLOW, AT_SYMLINK_NOFOLLOW, O_CREAT, O_EXCL, O_RDWR, O_WRONLY, S_IFBLK, S_IFCHR, S_IFIFO, type Stat, SysError,
} from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { BadOption, type Options, parseOptions, lastValue } from '../lib/args.ts';
import { isDir, statOf } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';
import { civilOf, daysBefore } from '../../sim/calendar.ts';
import { parseDate } from './calendar.ts';
import { idOf, lstat } from './copy.ts';
import { changedMode } from './modes.ts';
import { baseName, dirName, joined } from './paths.ts';
import { curly, quoted } from './quote.ts';
import { parseSize } from './sizes.ts';

export function* umaskNow(): Call<number> {
  const mask = yield* sys('umask', 0o22);
  yield* sys('umask', mask);
  return mask;
}

function* modeOption(o: Options, otherwise: number): Call<number | null> {
  const spec = lastValue(o, 'mode');
  if (spec === undefined) return null;
  const mode = changedMode(spec, otherwise, yield* umaskNow(), false);
  if (mode === null) throw new Failed(`invalid mode ${curly(spec)}`);
  return mode;
}

export const mkdir = command(function* (argv) {
  const o = parseOptions('m/mode= p/parents v/verbose Z', argv.slice(1));
  if (o.words.length === 0) throw new BadOption('missing operand');
  const mode = yield* modeOption(o, 0o777);
  let status = 0;
  for (const word of o.words) {
    try {
      if (o.on.has('parents')) yield* withParents(o, word);
      else {
        yield* sys('mkdirat', AT_FDCWD, word, 0o777);
        if (o.on.has('verbose')) yield* print(`mkdir: created directory ${quoted(word)}\n`);
      }
      if (mode !== null) yield* sys('fchmodat', AT_FDCWD, word, mode);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      yield* complain(`mkdir: cannot create directory ${curly(word)}: ${strerror(error)}\n`);
      status = 1;
    }
  }
  return status;
});

function* withParents(o: Options, word: string): Call<void> {
  let at = word.startsWith('/') ? '' : '.';
  const parts = word.split('/').filter((p) => p !== '');
  for (const [i, part] of parts.entries()) {
    at = at === '.' ? part : `${at}/${part}`;
    try {
      yield* sys('mkdirat', AT_FDCWD, at, 0o777);
      if (o.on.has('verbose')) yield* print(`mkdir: created directory ${quoted(at)}\n`);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      const there = yield* statOf(at);
      if (there && isDir(there)) continue;
      throw there ? new SysError(i === parts.length - 1 ? 'EEXIST' : 'ENOTDIR') : error;
    }
  }
}

export const touch = command(function* (argv) {
  const o = parseOptions('a c/no-create d/date= f h/no-dereference m r/reference= t= time=', argv.slice(1));
  if (o.words.length === 0) throw new BadOption('missing file operand');
  const when = yield* touchTimes(o);
  const flags = o.on.has('no-dereference') ? AT_SYMLINK_NOFOLLOW : 0;
  const word = lastValue(o, 'time');
  const onlyA = o.on.has('a') || word === 'access' || word === 'atime' || word === 'use';
  const onlyM = o.on.has('m') || word === 'modify' || word === 'mtime';
  let status = 0;
  for (const path of o.words) {
    try {
      if (!o.on.has('no-create') && !flags) yield* sys('close', yield* sys('openat', AT_FDCWD, path, O_WRONLY | O_CREAT | 0o4400, 0o666));
      yield* sys('utimensat', AT_FDCWD, path, onlyM && !onlyA ? null : when[0], onlyA && !onlyM ? null : when[1], flags);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      if (error.errno === 'ENOENT' && o.on.has('no-create')) continue;
      if (error.errno === 'EISDIR') {
        yield* sys('utimensat', AT_FDCWD, path, onlyM && !onlyA ? null : when[0], onlyA && !onlyM ? null : when[1], flags);
        continue;
      }
      yield* complain(`touch: ${flags ? 'setting times of' : 'cannot touch'} ${quoted(path)}: ${strerror(error)}\n`);
      status = 1;
    }
  }
  return status;
});

function* touchTimes(o: Options): Call<[number | 'now', number | 'now']> {
  const reference = lastValue(o, 'reference');
  if (reference !== undefined) {
    const stat = yield* statOf(reference);
    if (!stat) throw new Failed(`failed to get attributes of ${quoted(reference)}: No such file or directory`);
    return [stat.atime, stat.mtime];
  }
  const now = (yield* sys('clock_gettime', 'realtime')) / 1e9;
  const date = lastValue(o, 'date');
  if (date !== undefined) {
    const at = parseDate(date, now);
    if (at === null) throw new Failed(`invalid date format ${curly(date)}`);
    return [at, at];
  }
  const stamp = lastValue(o, 't');
  if (stamp === undefined) return ['now', 'now'];
  const m = /^(\d\d)?(\d\d)?(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d\d))?$/.exec(stamp);
  if (!m) throw new Failed(`invalid date format ${curly(stamp)}`);
  const yy = m[1] !== undefined && m[2] === undefined ? Number(m[1]) : Number(m[2]);
  const year = m[1] === undefined ? civilOf(now).year : m[2] === undefined ? (yy < 69 ? 2000 : 1900) + yy : Number(m[1]) * 100 + yy;
  const at = daysBefore(year, Number(m[3]), Number(m[4])) * 86400 + Number(m[5]) * 3600 + Number(m[6]) * 60 + Number(m[7] ?? 0);
  return [at, at];
}

export const ln = command(function* (argv) {
  const o = parseOptions('b d f/force i/interactive L/logical n/no-dereference P/physical r/relative s/symbolic S/suffix= t/target-directory= T/no-target-directory v/verbose', argv.slice(1));
  const pairs = yield* linkPairs(o);
  let status = 0;
  for (const [target, path] of pairs) if (!(yield* linkOne(o, target, path))) status = 1;
  return status;
});

function* linkPairs(o: Options): Call<[string, string][]> {
  const { words } = o;
  if (words.length === 0) throw new BadOption('missing file operand');
  const dir = lastValue(o, 'target-directory');
  const inside = (to: string, targets: readonly string[]): [string, string][] => targets.map((t) => [t, joined(to, baseName(t))]);
  if (dir !== undefined) return inside(dir, words);
  if (words.length === 1) return inside('.', words).map(([t, p]) => [t, p.slice(2)]);
  const last = words.at(-1)!;
  const own = o.on.has('no-dereference') ? yield* lstat(last) : yield* statOf(last);
  if (!o.on.has('no-target-directory') && own && isDir(own)) return inside(last, words.slice(0, -1));
  if (words.length > 2) throw new Failed(`target ${quoted(last)}: ${own ? 'Not a directory' : 'No such file or directory'}`);
  return [[words[0]!, last]];
}

function* linkOne(o: Options, target: string, path: string): Call<boolean> {
  const symbolic = o.on.has('symbolic');
  let source: Stat | null = null;
  try {
    if (!symbolic) {
      source = yield* sys('newfstatat', AT_FDCWD, target, o.on.has('logical') ? 0 : AT_SYMLINK_NOFOLLOW);
      if (isDir(source)) {
        yield* complain(`ln: ${target}: hard link not allowed for directory\n`);
        return false;
      }
    }
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`ln: failed to access ${quoted(target)}: ${strerror(error)}\n`);
    return false;
  }
  try {
    const old = o.on.has('force') ? yield* lstat(path) : null;
    if (old && isDir(old)) {
      yield* complain(`ln: ${path}: cannot overwrite directory\n`);
      return false;
    }
    if (old && source && idOf(old) === idOf(source)) {
      yield* complain(`ln: ${quoted(target)} and ${quoted(path)} are the same file\n`);
      return false;
    }
    if (old) yield* sys('unlinkat', AT_FDCWD, path, 0);
    if (symbolic) yield* sys('symlinkat', o.on.has('relative') ? relative(dirName(path), target) : target, AT_FDCWD, path);
    else yield* sys('linkat', AT_FDCWD, target, AT_FDCWD, path, o.on.has('logical') ? AT_SYMLINK_FOLLOW : 0);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const what = symbolic ? `failed to create symbolic link ${quoted(path)}` : `failed to create hard link ${quoted(path)}${['EEXIST', 'EROFS', 'ENOSPC', 'EDQUOT'].includes(error.errno) ? '' : ` => ${quoted(target)}`}`;
    yield* complain(`ln: ${what}: ${strerror(error)}\n`);
    return false;
  }
  if (o.on.has('verbose')) yield* print(`${quoted(path)} ${symbolic ? '->' : '=>'} ${quoted(target)}\n`);
  return true;
}

/** The way from one directory to a path, both taken from the same place. */
export function relative(from: string, to: string): string {
  const parts = (p: string): string[] => p.split('/').filter((x) => x !== '' && x !== '.');
  const [a, b] = [parts(from), parts(to)];
  let same = 0;
  while (same < a.length && same < b.length && a[same] === b[same]) same++;
  return [...a.slice(same).map(() => '..'), ...b.slice(same)].join('/') || '.';
}

export const link = command(function* (argv) {
  const { words } = parseOptions('', argv.slice(1));
  if (words.length < 2) throw new BadOption(words.length === 0 ? 'missing operand' : `missing operand after ${curly(words[0]!)}`);
  try {
    yield* sys('linkat', AT_FDCWD, words[0]!, AT_FDCWD, words[1]!, 0);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`cannot create link ${quoted(words[1]!)} to ${quoted(words[0]!)}: ${strerror(error)}`);
  }
});

export const mknod = command(function* (argv) {
  const o = parseOptions('m/mode= Z', argv.slice(1));
  const [path, type, major, minor] = o.words;
  if (path === undefined || type === undefined) throw new BadOption(path === undefined ? 'missing operand' : `missing operand after ${curly(path)}`);
  const device = type === 'b' || type === 'c' || type === 'u';
  if (!device && type !== 'p') throw new Failed(`invalid device type ${quoted(type)}`);
  if (device && (major === undefined || minor === undefined)) throw new BadOption(`missing operand after ${curly(o.words.at(-1)!)}`);
  if (!device && major !== undefined) throw new BadOption(`extra operand ${quoted(major)}\nFifos do not have major and minor device numbers.`);
  const numbers = device ? [number(major!, 'major'), number(minor!, 'minor')] : [0, 0];
  const mode = yield* modeOption(o, 0o666);
  try {
    yield* sys('mknodat', AT_FDCWD, path, (type === 'b' ? S_IFBLK : type === 'p' ? S_IFIFO : S_IFCHR) | 0o666, numbers[0]!, numbers[1]!);
    if (mode !== null) yield* sys('fchmodat', AT_FDCWD, path, mode);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`${path}: ${strerror(error)}`);
  }
});

function number(source: string, what: string): number {
  if (!/^(0x[0-9a-fA-F]+|\d+)$/.test(source)) throw new Failed(`invalid ${what} device number ${quoted(source)}`);
  return source.startsWith('0') && /^[0-7]+$/.test(source) ? Number.parseInt(source, 8) : Number(source);
}

export const mkfifo = command(function* (argv) {
  const o = parseOptions('m/mode= Z', argv.slice(1));
  if (o.words.length === 0) throw new BadOption('missing operand');
  const mode = yield* modeOption(o, 0o666);
  let status = 0;
  for (const path of o.words) {
    try {
      yield* sys('mknodat', AT_FDCWD, path, S_IFIFO | 0o666, 0, 0);
      if (mode !== null) yield* sys('fchmodat', AT_FDCWD, path, mode);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      yield* complain(`mkfifo: cannot create fifo ${quoted(path)}: ${strerror(error)}\n`);
      status = 1;
    }
  }
  return status;
});

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';

export const mktemp = command(function* (argv, env) {
  const o = parseOptions('d/directory u/dry-run q/quiet p= t suffix= tmpdir?', argv.slice(1));
  if (o.words.length > 1) throw new BadOption('too many templates');
  const dir = lastValue(o, 'p') ?? lastValue(o, 'tmpdir') ?? (o.words.length === 0 || o.on.has('t') || o.on.has('tmpdir') ? (env.TMPDIR ?? '/tmp') : null);
  const template = (o.words[0] ?? 'tmp.XXXXXXXXXX') + (lastValue(o, 'suffix') ?? '');
  const run = /X{3,}(?=[^X/]*$)/.exec(template);
  if (!run) throw new Failed(`too few X's in template ${curly(template)}`);
  for (let tries = 0; tries < 100; tries++) {
    const name = template.slice(0, run.index) + (yield* chance(run[0].length)) + template.slice(run.index + run[0].length);
    const path = dir === null ? name : joined(dir, name);
    try {
      if (o.on.has('dry-run')) {
        if (yield* lstat(path)) continue;
      } else if (o.on.has('directory')) yield* sys('mkdirat', AT_FDCWD, path, 0o700);
      else yield* sys('close', yield* sys('openat', AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL, 0o600));
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      if (error.errno === 'EEXIST') continue;
      if (o.on.has('quiet')) return 1;
      throw new Failed(`failed to create ${o.on.has('directory') ? 'directory' : 'file'} via template ${curly(joined(dir ?? '', template).replace(/^\/(?!\/)/, dir === null ? '' : '/'))}: ${strerror(error)}`);
    }
    yield* print(`${path}\n`);
    return 0;
  }
  throw new Failed(`failed to create file via template ${curly(template)}: File exists`);
});

function* chance(length: number): Call<string> {
  const fd = yield* sys('openat', AT_FDCWD, '/dev/urandom', 0);
  const data = yield* sys('read', fd, length);
  yield* sys('close', fd);
  return [...data].map((b) => LETTERS[b % LETTERS.length]!).join('');
}

export const truncate = command(function* (argv) {
  const o = parseOptions('c/no-create o/io-blocks r/reference= s/size=', argv.slice(1));
  const spec = lastValue(o, 'size');
  const reference = lastValue(o, 'reference');
  if (spec === undefined && reference === undefined) throw new BadOption('you must specify either ‘--size’ or ‘--reference’');
  if (o.words.length === 0) throw new BadOption('missing file operand');
  const m = /^([-+<>/%]?)(.+)$/.exec((spec ?? '0').trim());
  const size = m ? parseSize(m[2]!, 'kmgt') : null;
  if (!m || size === null) throw new Failed(`Invalid number: ${curly(spec ?? '')}`);
  const base = reference === undefined ? null : yield* statOf(reference);
  if (reference !== undefined && !base) throw new Failed(`cannot stat ${quoted(reference)}: No such file or directory`);
  let status = 0;
  for (const path of o.words) {
    try {
      if (o.on.has('no-create') && !(yield* statOf(path))) continue;
      const fd = yield* sys('openat', AT_FDCWD, path, O_WRONLY | O_CREAT, 0o666);
      const old = (yield* sys('fstat', fd)).size;
      const length = base && spec === undefined ? base.size : resized(m[1]!, size, base?.size ?? old);
      yield* sys('ftruncate', fd, Math.max(0, length));
      yield* sys('close', fd);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      yield* complain(`truncate: cannot open ${quoted(path)} for writing: ${strerror(error)}\n`);
      status = 1;
    }
  }
  return status;
});

function resized(op: string, size: number, old: number): number {
  switch (op) {
    case '+': return old + size;
    case '-': return old - size;
    case '<': return Math.min(old, size);
    case '>': return Math.max(old, size);
    case '/': return Math.floor(old / size) * size;
    case '%': return Math.ceil(old / size) * size;
    default: return size;
  }
}
