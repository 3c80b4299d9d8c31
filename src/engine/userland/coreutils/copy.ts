/**
 * One copy of a file or a tree, for cp and for mv between file systems: data, and as asked mode, owner, times, extended
 * attributes and hard links among what is copied. Source: coreutils src/copy.c's behaviour.
 */
import {
  AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW, O_CREAT, O_EXCL, O_RDONLY, O_TRUNC, O_WRONLY, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG,
  S_IFSOCK, type Stat, SysError,
} from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { attempt, isDir, list } from '../lib/files.ts';
import { type Call, writeAll } from '../lib/http.ts';
import { complain, print, strerror } from '../lib/io.ts';
import { isType } from './modes.ts';
import { joined } from './paths.ts';
import { quoted } from './quote.ts';

export interface CopyRules {
  who: 'cp' | 'mv';
  recursive: boolean;
  /** Follow links: 'never' (-P), 'named' (-H), 'always' (-L). */
  follow: 'never' | 'named' | 'always';
  mode: boolean;
  owner: boolean;
  times: boolean;
  xattrs: boolean;
  links: boolean;
  force: boolean;
  verbose: boolean;
  /** What to do with a destination that exists. */
  existing: 'replace' | 'keep' | 'newer' | 'ask';
  /** Make links instead of copies. */
  instead: 'copy' | 'hard' | 'symbolic';
  attributesOnly: boolean;
  umask: number;
  /** Inode to the first copy made of it. */
  seen: Map<string, string>;
  /** Directories made by this copy, so that a tree is not copied into itself. */
  made: Set<string>;
}

export const idOf = (stat: Stat): string => `${stat.dev}:${stat.ino}`;

/** lstat, null when there is nothing; other failures are thrown. */
export function* lstat(path: string): Call<Stat | null> {
  return yield* attempt(sys('newfstatat', AT_FDCWD, path, AT_SYMLINK_NOFOLLOW), null, 'ENOENT');
}

function* fail(rules: CopyRules, message: string, error?: SysError): Call<false> {
  yield* complain(`${rules.who}: ${message}${error ? `: ${strerror(error)}` : ''}\n`);
  return false;
}

/** Copies `from` to `to` (its full new name). Complaints are printed; says whether all went well. */
export function* copyTree(rules: CopyRules, from: string, to: string, named: 'named' | 'inside' = 'named'): Call<boolean> {
  const follow = rules.follow === 'always' || (rules.follow === 'named' && named === 'named');
  let stat: Stat;
  try {
    stat = yield* sys('newfstatat', AT_FDCWD, from, follow ? 0 : AT_SYMLINK_NOFOLLOW);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return yield* fail(rules, `cannot stat ${quoted(from)}`, error);
  }
  if (isDir(stat) && !rules.recursive) return yield* fail(rules, `-r not specified; omitting directory ${quoted(from)}`);
  const old = yield* lstat(to);
  if (old) {
    const verdict = yield* mayReplace(rules, from, to, stat, old);
    if (verdict !== 'go') return verdict === 'skip';
  }
  try {
    return isDir(stat) ? yield* copyDirectory(rules, from, to, stat, old) : yield* copyOther(rules, from, to, stat, old);
  } catch (error) {
    // It has been told of; what lies beside it is copied all the same.
    if (error instanceof Unreadable) return false;
    if (!(error instanceof SysError) || error.errno === 'EPIPE') throw error;
    return yield* fail(rules, `${reading(stat)} ${quoted(to)}`, error);
  }
}

function reading(stat: Stat): string {
  if (isType(stat.mode, S_IFDIR)) return 'cannot create directory';
  if (isType(stat.mode, S_IFLNK)) return 'cannot create symbolic link';
  if (isType(stat.mode, S_IFIFO)) return 'cannot create fifo';
  return isType(stat.mode, S_IFREG) ? 'cannot create regular file' : 'cannot create special file';
}

function* mayReplace(rules: CopyRules, from: string, to: string, stat: Stat, old: Stat): Call<'go' | 'skip' | 'no'> {
  const target = (yield* attempt(sys('newfstatat', AT_FDCWD, to, 0), null)) ?? old;
  if (idOf(target) === idOf(stat) && !(rules.who === 'mv' && isType(old.mode, S_IFLNK)) && rules.instead === 'copy') {
    yield* fail(rules, `${quoted(from)} and ${quoted(to)} are the same file`);
    return 'no';
  }
  if (isDir(stat) && !isDir(target)) {
    yield* fail(rules, `cannot overwrite non-directory ${quoted(to)} with directory ${quoted(from)}`);
    return 'no';
  }
  if (!isDir(stat) && isDir(target)) {
    yield* fail(rules, `cannot overwrite directory ${quoted(to)} with non-directory`);
    return 'no';
  }
  if (isDir(stat)) return 'go';
  if (rules.existing === 'keep') return 'skip';
  if (rules.existing === 'newer' && target.mtime >= stat.mtime) return 'skip';
  if (rules.existing === 'ask' && !(yield* agreed(`${rules.who}: overwrite ${quoted(to)}? `))) return rules.who === 'cp' ? 'no' : 'skip';
  return 'go';
}

/** Asks on standard error; yes begins with y or Y. */
export function* agreed(question: string): Call<boolean> {
  yield* complain(question);
  let answer = '';
  while (!answer.includes('\n')) {
    const data = yield* sys('read', 0, 1);
    if (data.length === 0) break;
    answer += String.fromCharCode(data[0]!);
  }
  return /^\s*[yY]/.test(answer);
}

function* copyDirectory(rules: CopyRules, from: string, to: string, stat: Stat, old: Stat | null): Call<boolean> {
  if (rules.made.has(idOf(stat))) return yield* fail(rules, `cannot copy a directory, ${quoted(from)}, into itself, ${quoted(to)}`);
  const names = yield* list(from);
  if (!old) {
    yield* sys('mkdirat', AT_FDCWD, to, (stat.mode & 0o7777 & ~rules.umask) | 0o700);
    if (rules.verbose) yield* print(`${quoted(from)} -> ${quoted(to)}\n`);
  }
  const made = yield* sys('newfstatat', AT_FDCWD, to, 0);
  rules.made.add(idOf(made));
  let well = true;
  for (const { name } of names) well = (yield* copyTree(rules, joined(from, name), joined(to, name), 'inside')) && well;
  yield* preserve(rules, from, to, stat);
  if (!old && !rules.mode) yield* attempt(sys('fchmodat', AT_FDCWD, to, stat.mode & 0o777 & ~rules.umask), 0);
  return well;
}

function* copyOther(rules: CopyRules, from: string, to: string, stat: Stat, old: Stat | null): Call<boolean> {
  const first = rules.links && stat.nlink > 1 ? rules.seen.get(idOf(stat)) : undefined;
  if (rules.links && stat.nlink > 1 && first === undefined) rules.seen.set(idOf(stat), to);
  const linking = first !== undefined || rules.instead !== 'copy';
  if (old && (linking || !copiesData(rules, stat) || isType(old.mode, S_IFLNK) !== isType(stat.mode, S_IFLNK))) {
    if (isType(old.mode, S_IFLNK) && isType(stat.mode, S_IFREG) && !linking && rules.who === 'cp') {
      // Data goes through a link that is there.
    } else if (rules.instead !== 'copy' && !rules.force) throw new SysError('EEXIST');
    else yield* sys('unlinkat', AT_FDCWD, to, 0);
  }
  if (first !== undefined) yield* sys('linkat', AT_FDCWD, first, AT_FDCWD, to, 0);
  else if (rules.instead === 'hard') yield* sys('linkat', AT_FDCWD, from, AT_FDCWD, to, 0);
  else if (rules.instead === 'symbolic') yield* sys('symlinkat', from, AT_FDCWD, to);
  else yield* copyContent(rules, from, to, stat, old);
  if (rules.verbose) yield* print(`${rules.who === 'mv' ? 'copied ' : ''}${quoted(from)} -> ${quoted(to)}\n`);
  if (first === undefined && rules.instead === 'copy') yield* preserve(rules, from, to, stat);
  return true;
}

/** What is read and written; other kinds are made anew. A device is read unless whole trees are copied. */
function copiesData(rules: CopyRules, stat: Stat): boolean {
  if (isType(stat.mode, S_IFLNK)) return false;
  return isType(stat.mode, S_IFREG) || (!rules.recursive && !isType(stat.mode, S_IFSOCK));
}

function* copyContent(rules: CopyRules, from: string, to: string, stat: Stat, old: Stat | null): Call<void> {
  if (isType(stat.mode, S_IFLNK)) yield* sys('symlinkat', yield* sys('readlinkat', AT_FDCWD, from), AT_FDCWD, to);
  else if (copiesData(rules, stat)) yield* copyData(rules, from, to, stat, old);
  else yield* sys('mknodat', AT_FDCWD, to, stat.mode, isType(stat.mode, S_IFCHR) || isType(stat.mode, S_IFBLK) ? stat.rdev[0] : 0, stat.rdev[1]);
}

function* readFrom(rules: CopyRules, from: string, source: number): Call<Uint8Array> {
  try {
    return yield* sys('read', source, 131072);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`${rules.who}: error reading ${quoted(from)}: ${strerror(error)}\n`);
    throw new Unreadable();
  }
}

function* copyData(rules: CopyRules, from: string, to: string, stat: Stat, old: Stat | null): Call<void> {
  let source: number;
  try {
    source = yield* sys('openat', AT_FDCWD, from, O_RDONLY);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`${rules.who}: cannot open ${quoted(from)} for reading: ${strerror(error)}\n`);
    throw new Unreadable();
  }
  const mode = stat.mode & (rules.owner ? 0o700 : 0o777);
  const create = (): Call<number> => sys('openat', AT_FDCWD, to, O_WRONLY | O_CREAT | (old ? 0 : O_EXCL), mode);
  let target: number;
  if (old && rules.attributesOnly) target = yield* sys('openat', AT_FDCWD, to, O_WRONLY);
  else if (!old) target = yield* create();
  else {
    const opened = yield* attempt(sys('openat', AT_FDCWD, to, O_WRONLY | O_TRUNC), -1, ...(rules.force ? (['EACCES', 'EPERM', 'ETXTBSY'] as const) : (['ENOTBLK'] as const)));
    if (opened < 0) yield* sys('unlinkat', AT_FDCWD, to, 0);
    target = opened >= 0 ? opened : yield* sys('openat', AT_FDCWD, to, O_WRONLY | O_CREAT | O_EXCL, mode);
  }
  try {
    for (;;) {
      const data = rules.attributesOnly ? new Uint8Array(0) : yield* readFrom(rules, from, source);
      if (data.length === 0) break;
      yield* writeAll(target, data);
    }
  } finally {
    yield* sys('close', target);
    yield* sys('close', source);
  }
}

/** The complaint has been printed already. */
export class Unreadable extends Error {}

function* preserve(rules: CopyRules, from: string, to: string, stat: Stat): Call<void> {
  const link = isType(stat.mode, S_IFLNK);
  if (rules.owner) yield* attempt(sys('fchownat', AT_FDCWD, to, stat.uid, stat.gid, AT_SYMLINK_NOFOLLOW), 0);
  // After the owner: a change of that takes capabilities away.
  if (rules.xattrs) yield* copyXattrs(from, to);
  if (rules.mode && !link) yield* sys('fchmodat', AT_FDCWD, to, stat.mode & 0o7777);
  if (rules.times) yield* sys('utimensat', AT_FDCWD, to, stat.atime, stat.mtime, AT_SYMLINK_NOFOLLOW);
}

function* copyXattrs(from: string, to: string): Call<void> {
  const names = yield* attempt(sys('llistxattr', from), []);
  for (const name of names) yield* attempt(sys('lsetxattr', to, name, yield* sys('lgetxattr', from, name), 0), 0);
}

/** Removes what was copied, after a move between file systems. */
export function* removeTree(path: string): Call<void> {
  const stat = yield* lstat(path);
  if (!stat) return;
  if (isDir(stat)) for (const { name } of yield* list(path)) yield* removeTree(joined(path, name));
  yield* sys('unlinkat', AT_FDCWD, path, isDir(stat) ? AT_REMOVEDIR : 0);
}
