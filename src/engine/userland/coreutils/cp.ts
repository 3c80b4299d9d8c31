/** cp, mv and install: where things go, and what the options ask of the copy. */
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, RENAME_NOREPLACE, S_IFLNK, type Stat, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { BadOption, type Options, parseOptions, lastValue } from '../lib/args.ts';
import { attempt, isDir, mkdirAll, statOf } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';
import { findGroup, findUser, readAccounts } from './accounts.ts';
import { agreed, type CopyRules, copyTree, idOf, lstat, removeTree, Unreadable } from './copy.ts';
import { changedMode, isType } from './modes.ts';
import { baseName, joined } from './paths.ts';
import { curly, quoted } from './quote.ts';

const CP_SPEC =
  'a/archive b d f/force H i/interactive l/link L/dereference n/no-clobber p P/no-dereference r R/recursive s/symbolic-link S/suffix= t/target-directory= T/no-target-directory ' +
  'u/update? v/verbose x/one-file-system Z preserve? no-preserve= parents attributes-only reflink? sparse= strip-trailing-slashes copy-contents remove-destination debug';

function* rulesOf(who: 'cp' | 'mv', o: Options): Call<CopyRules> {
  const { on } = o;
  const archive = on.has('archive') || who === 'mv';
  const kept = new Set((lastValue(o, 'preserve') ?? (on.has('preserve') ? 'mode,ownership,timestamps' : '')).split(','));
  const keeps = (what: string): boolean => archive || (on.has('p') && ['mode', 'ownership', 'timestamps'].includes(what)) || kept.has(what) || kept.has('all');
  const recursive = archive || on.has('recursive') || on.has('r');
  const umask = yield* sys('umask', 0o22);
  yield* sys('umask', umask);
  return {
    who, recursive, umask, seen: new Map(), made: new Set(),
    follow: on.has('dereference') ? 'always' : on.has('H') ? 'named' : recursive || on.has('d') || on.has('no-dereference') ? 'never' : 'always',
    mode: keeps('mode'), owner: keeps('ownership'), times: keeps('timestamps'), xattrs: keeps('xattr'), links: keeps('links') || on.has('d'),
    force: on.has('force') || on.has('remove-destination'), verbose: on.has('verbose'),
    existing: on.has('no-clobber') ? 'keep' : on.has('update') ? 'newer' : on.has('interactive') ? 'ask' : 'replace',
    instead: on.has('link') ? 'hard' : on.has('symbolic-link') ? 'symbolic' : 'copy', attributesOnly: on.has('attributes-only'),
  };
}

/** Each source with its full new name. Throws BadOption or Failed for operands that do not fit. */
export function* destinations(o: Options): Call<[string, string][]> {
  const { words } = o;
  const target = lastValue(o, 'target-directory');
  const inside = (dir: string, sources: readonly string[]): [string, string][] =>
    sources.map((s) => [s, o.on.has('parents') ? joined(dir, s.replace(/^\/+/, '')) : joined(dir, baseName(s))]);
  if (words.length === 0) throw new BadOption('missing file operand');
  if (target !== undefined) {
    const stat = yield* attempt(sys('newfstatat', AT_FDCWD, target, 0), null);
    if (!stat || !isDir(stat)) throw new Failed(`target directory ${quoted(target)}: ${stat ? 'Not a directory' : 'No such file or directory'}`);
    return inside(target, words);
  }
  if (words.length === 1) throw new BadOption(`missing destination file operand after ${quoted(words[0]!)}`);
  const last = words.at(-1)!;
  if (o.on.has('no-target-directory')) {
    if (words.length > 2) throw new BadOption(`extra operand ${quoted(words[2]!)}`);
    return [[words[0]!, last]];
  }
  const stat = yield* statOf(last);
  if (stat && isDir(stat)) return inside(last, words.slice(0, -1));
  if (words.length > 2) throw new Failed(`target ${quoted(last)}: ${stat ? 'Not a directory' : 'No such file or directory'}`);
  return [[words[0]!, last]];
}

export const cp = command(function* (argv) {
  const o = parseOptions(CP_SPEC, argv.slice(1));
  const rules = yield* rulesOf('cp', o);
  let status = 0;
  for (const [from, to] of yield* destinations(o)) {
    if (o.on.has('parents')) yield* mkdirAll(to.slice(0, to.lastIndexOf('/')));
    if (to.endsWith('/') && !(yield* statOf(to)) && !(rules.recursive && (yield* statOf(from)))) {
      yield* complain(`cp: cannot create regular file ${quoted(to)}: Not a directory\n`);
      status = 1;
      continue;
    }
    try {
      if (!(yield* copyTree(rules, from, to.replace(/(?<=.)\/+$/, '')))) status = 1;
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      status = 1;
    }
  }
  return status;
});

const MV_SPEC =
  'b f/force i/interactive n/no-clobber S/suffix= t/target-directory= T/no-target-directory u/update? v/verbose Z strip-trailing-slashes exchange no-copy debug';

export const mv = command(function* (argv) {
  const o = parseOptions(MV_SPEC, argv.slice(1));
  const rules = yield* rulesOf('mv', o);
  let status = 0;
  for (const [from, to] of yield* destinations(o)) if (!(yield* moveOne(rules, from, to))) status = 1;
  return status;
});

/** At first without replacing, as GNU's mv does. */
function* renamed(from: string, to: string): Call<void> {
  const done = yield* attempt(sys('renameat2', AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE), null, 'EEXIST', 'EINVAL');
  if (done === null) yield* sys('renameat2', AT_FDCWD, from, AT_FDCWD, to, 0);
}

function* moveOne(rules: CopyRules, from: string, to: string): Call<boolean> {
  let stat: Stat;
  try {
    stat = yield* sys('newfstatat', AT_FDCWD, from, AT_SYMLINK_NOFOLLOW);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`mv: cannot stat ${quoted(from)}: ${strerror(error)}\n`);
    return false;
  }
  const old = yield* lstat(to);
  if (old) {
    const refusal = yield* mayMove(rules, from, to, stat, old);
    if (refusal !== null) return refusal;
  }
  try {
    yield* renamed(from.replace(/(?<=.)\/+$/, ''), to.replace(/(?<=.)\/+$/, ''));
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    if (error.errno === 'EXDEV') return yield* carry(rules, from, to, old);
    if (error.errno === 'EINVAL' && isDir(stat)) yield* complain(`mv: cannot move ${quoted(from)} to a subdirectory of itself, ${quoted(to)}\n`);
    else if (error.errno === 'ENOTEMPTY' || error.errno === 'EEXIST') yield* complain(`mv: cannot overwrite ${quoted(to)}: ${strerror(new SysError('ENOTEMPTY'))}\n`);
    else yield* complain(`mv: cannot move ${quoted(from)} to ${quoted(to)}: ${strerror(error)}\n`);
    return false;
  }
  if (rules.verbose) yield* print(`renamed ${quoted(from)} -> ${quoted(to)}\n`);
  return true;
}

/** Null: go on. Otherwise whether leaving it counts as success. */
function* mayMove(rules: CopyRules, from: string, to: string, stat: Stat, old: Stat): Call<boolean | null> {
  if (idOf(stat) === idOf(old) && rules.existing !== 'keep') {
    if (from === to || stat.nlink === 1 || !isType(stat.mode, S_IFLNK)) {
      yield* complain(`mv: ${quoted(from)} and ${quoted(to)} are the same file\n`);
      return false;
    }
  }
  if (isDir(stat) && !isDir(old)) {
    yield* complain(`mv: cannot overwrite non-directory ${quoted(to)} with directory ${quoted(from)}\n`);
    return false;
  }
  if (!isDir(stat) && isDir(old)) {
    yield* complain(`mv: cannot overwrite directory ${quoted(to)} with non-directory\n`);
    return false;
  }
  if (rules.existing === 'keep') return true;
  if (rules.existing === 'newer' && old.mtime >= stat.mtime) return true;
  return rules.existing === 'ask' && !(yield* agreed(`mv: overwrite ${quoted(to)}? `)) ? true : null;
}

/** To another file system (or out of an overlay's lower layer): copy all of it, then remove it. */
function* carry(rules: CopyRules, from: string, to: string, old: Stat | null): Call<boolean> {
  try {
    if (old) yield* sys('unlinkat', AT_FDCWD, to, isDir(old) ? 0x200 : 0);
    if (!(yield* copyTree({ ...rules, verbose: false, existing: 'replace' }, from, to))) return false;
    yield* removeTree(from);
  } catch (error) {
    if (error instanceof Unreadable) return false;
    if (!(error instanceof SysError)) throw error;
    yield* complain(`mv: cannot remove ${quoted(from)}: ${strerror(error)}\n`);
    return false;
  }
  return true;
}

export const install = command(function* (argv) {
  const o = parseOptions('b c C/compare d/directory D g/group= m/mode= o/owner= p/preserve-timestamps s/strip t/target-directory= T/no-target-directory v/verbose', argv.slice(1));
  const mode = changedMode(lastValue(o, 'mode') ?? '755', 0, 0, false);
  if (mode === null) throw new Failed(`invalid mode ${curly(lastValue(o, 'mode')!)}`);
  const accounts = yield* readAccounts();
  const uid = o.on.has('owner') ? (findUser(accounts, lastValue(o, 'owner')!)?.uid ?? null) : -1;
  if (uid === null) throw new Failed(`invalid user ${curly(lastValue(o, 'owner')!)}`);
  const gid = o.on.has('group') ? findGroup(accounts, lastValue(o, 'group')!) : -1;
  if (gid === null) throw new Failed(`invalid group ${curly(lastValue(o, 'group')!)}`);
  if (o.on.has('directory')) {
    for (const dir of o.words) {
      yield* mkdirAll(dir);
      yield* sys('fchmodat', AT_FDCWD, dir, mode);
    }
    return 0;
  }
  const rules: CopyRules = { ...(yield* rulesOf('cp', o)), force: true, follow: 'always', times: o.on.has('preserve-timestamps') };
  let status = 0;
  if (o.on.has('D') && o.words.length === 2) yield* mkdirAll(o.words[1]!.slice(0, Math.max(0, o.words[1]!.lastIndexOf('/'))) || '.');
  for (const [from, to] of yield* destinations(o)) {
    if (!(yield* copyTree(rules, from, to))) {
      status = 1;
      continue;
    }
    yield* sys('fchmodat', AT_FDCWD, to, mode);
    if (uid >= 0 || gid >= 0) yield* sys('fchownat', AT_FDCWD, to, uid, gid, 0);
  }
  return status;
});
