/** find: an expression over every file of a tree. Source: find(1); -newerXY, -fstype, -regex and -printf in the forms people use. */
import { AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW, S_IFLNK, S_IFMT, type Stat, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { attempt, isDir, list, statOf, walked } from '../lib/files.ts';
import { type Call, writeAll } from '../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';
import { type Accounts, findGroup, findUser, groupName, readAccounts, userName } from './accounts.ts';
import { strftime } from './calendar.ts';
import { agreed } from './copy.ts';
import { unescaped } from './escapes.ts';
import { globOf } from './ls.ts';
import { changedMode, modeString, typeLetter } from './modes.ts';
import { baseName, dirName, joined } from './paths.ts';
import { curly } from './quote.ts';
import { compileRegex } from './regex.ts';
import { matchesWhole } from './regex-program.ts';
import { runChild } from './run.ts';
import { bytesOf, encoded } from './streams.ts';

interface Visit {
  path: string;
  /** What was given on the command line, for %P. */
  start: string;
  depth: number;
  stat: Stat;
  prune: boolean;
}

type Test = (v: Visit) => Call<boolean>;

interface Finder {
  args: readonly string[];
  at: number;
  env: Readonly<Record<string, string>>;
  accounts: Accounts;
  now: number;
  follow: boolean;
  minDepth: number;
  maxDepth: number;
  depthFirst: boolean;
  oneSystem: boolean;
  acts: boolean;
  status: number;
  quit: boolean;
  /** Called when all is visited: the rest of -exec … +. */
  finish: (() => Call<void>)[];
}

export const find = command(function* (argv, env) {
  const args = argv.slice(1);
  const f: Finder = {
    args, at: 0, env, accounts: yield* readAccounts(), now: (yield* sys('clock_gettime', 'realtime')) / 1e9, follow: false, minDepth: 0, maxDepth: Number.POSITIVE_INFINITY, depthFirst: false,
    oneSystem: false, acts: false, status: 0, quit: false, finish: [],
  };
  while (/^-[HLP]$/.test(args[f.at] ?? '')) f.follow = args[f.at++] === '-L';
  const starts: string[] = [];
  while (f.at < args.length && !/^[-(!]/.test(args[f.at]!)) starts.push(args[f.at++]!);
  let test: Test = f.at < args.length ? either(f) : (): Call<boolean> => yes();
  if (f.at < args.length) throw new Failed(args[f.at] === ')' ? "invalid expression; you have too many ')'" : `paths must precede expression: \`${args[f.at]!}'`);
  if (!f.acts) {
    const inner = test;
    test = function* (v) {
      if (yield* inner(v)) yield* print(`${v.path}\n`);
      return true;
    };
  }
  for (const start of starts.length > 0 ? starts : ['.']) {
    const stat = yield* look(f, start, 0);
    if (stat) yield* walk(f, test, { path: start, start, depth: 0, stat, prune: false }, stat.dev);
  }
  for (const finish of f.finish) yield* finish();
  return f.status;
});

function* yes(): Call<boolean> {
  return true;
}

function* look(f: Finder, path: string, depth: number): Call<Stat | null> {
  try {
    if (f.follow) {
      const target = yield* attempt(sys('newfstatat', AT_FDCWD, path, 0), null);
      if (target) return target;
    }
    return yield* sys('newfstatat', AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    if (depth > 0 && error.errno === 'ENOENT' && /^\/proc\//.test(path)) return null;
    yield* complain(`find: ${curly(path)}: ${strerror(error)}\n`);
    f.status = 1;
    return null;
  }
}

function* walk(f: Finder, test: Test, v: Visit, dev: number): Call<void> {
  if (f.quit) return;
  const inRange = v.depth >= f.minDepth && v.depth <= f.maxDepth;
  if (!f.depthFirst && inRange) yield* test(v);
  if (isDir(v.stat) && !v.prune && v.depth < f.maxDepth && !(f.oneSystem && v.stat.dev !== dev)) {
    const fd = yield* attempt(sys('openat', AT_FDCWD, v.path, 0o200000), null);
    if (fd === null) {
      const error = yield* reasonOf(v.path);
      if (error) {
        yield* complain(`find: ${curly(v.path)}: ${error}\n`);
        f.status = 1;
      }
    } else {
      yield* sys('close', fd);
      for (const { name } of yield* walked(v.path)) {
        if (f.quit) return;
        const path = joined(v.path, name);
        const stat = yield* look(f, path, v.depth + 1);
        if (stat) yield* walk(f, test, { path, start: v.start, depth: v.depth + 1, stat, prune: false }, dev);
      }
    }
  }
  if (f.depthFirst && inRange && !f.quit) yield* test(v);
}

function* reasonOf(path: string): Call<string | null> {
  try {
    yield* sys('close', yield* sys('openat', AT_FDCWD, path, 0o200000));
    return null;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return strerror(error);
  }
}

function either(f: Finder): Test {
  let left = both(f);
  while (f.args[f.at] === '-o' || f.args[f.at] === '-or' || f.args[f.at] === ',') {
    const list = f.args[f.at++] === ',';
    const [a, b] = [left, both(f)];
    left = function* (v) {
      const first = yield* a(v);
      return first && !list ? true : yield* b(v);
    };
  }
  return left;
}

function both(f: Finder): Test {
  let left = term(f);
  while (f.at < f.args.length && !['-o', '-or', ')', ','].includes(f.args[f.at]!)) {
    if (f.args[f.at] === '-a' || f.args[f.at] === '-and') f.at++;
    const [a, b] = [left, term(f)];
    left = function* (v) {
      return (yield* a(v)) && (yield* b(v));
    };
  }
  return left;
}

function term(f: Finder): Test {
  const word = f.args[f.at++];
  if (word === undefined) throw new Failed('expected an expression');
  if (word === '!' || word === '-not') {
    const inner = term(f);
    return function* (v) {
      return !(yield* inner(v));
    };
  }
  if (word === '(') {
    const inner = either(f);
    if (f.args[f.at++] !== ')') throw new Failed("invalid expression; I was expecting to find a ')' somewhere but did not see one.");
    return inner;
  }
  return predicate(f, word);
}

function value(f: Finder, word: string): string {
  const next = f.args[f.at++];
  if (next === undefined) throw new Failed(`missing argument to \`${word}'`);
  return next;
}

const plain = (holds: (v: Visit) => boolean): Test =>
  function* (v) {
    return holds(v);
  };

/** "+3", "-3", "3" against a number. */
function compare(spec: string, word: string): (n: number) => boolean {
  const m = /^([-+]?)(\d+)$/.exec(spec);
  if (!m) throw new Failed(`invalid argument \`${spec}' to \`${word}'`);
  const n = Number(m[2]);
  return m[1] === '+' ? (x): boolean => x > n : m[1] === '-' ? (x): boolean => x < n : (x): boolean => x === n;
}

function action(f: Finder, test: Test): Test {
  f.acts = true;
  return test;
}

function predicate(f: Finder, word: string): Test {
  switch (word) {
    case '-name': case '-iname': return named(value(f, word), word === '-iname', (v) => baseName(v.path));
    case '-path': case '-ipath': case '-wholename': return named(value(f, word), word === '-ipath', (v) => v.path);
    case '-regex': case '-iregex': {
      const regex = compileRegex(value(f, word), { syntax: 'basic', ignoreCase: word === '-iregex' });
      return plain((v) => matchesWhole(regex, v.path));
    }
    case '-regextype': value(f, word); return yes;
    case '-type': case '-xtype': return typed(f, word);
    case '-size': return sized(value(f, word));
    case '-empty': return function* (v) {
      return isDir(v.stat) ? (yield* list(v.path)).length === 0 : (v.stat.mode & S_IFMT) === 0o100000 && v.stat.size === 0;
    };
    case '-mtime': case '-atime': case '-ctime': case '-mmin': case '-amin': case '-cmin': return aged(f, word);
    case '-newer': return newer(value(f, word));
    case '-perm': return permitted(value(f, word));
    case '-user': case '-group': case '-uid': case '-gid': return owned(f, word);
    case '-nouser': return plain((v) => !f.accounts.users.some((u) => u.uid === v.stat.uid));
    case '-links': { const holds = compare(value(f, word), word); return plain((v) => holds(v.stat.nlink)); }
    case '-inum': { const holds = compare(value(f, word), word); return plain((v) => holds(v.stat.ino)); }
    case '-samefile': return samefile(value(f, word));
    case '-readable': case '-writable': case '-executable': {
      const mode = { '-readable': 4, '-writable': 2, '-executable': 1 }[word];
      return function* (v) {
        return (yield* attempt(sys('faccessat', AT_FDCWD, v.path, mode), null)) !== null;
      };
    }
    case '-true': return yes;
    case '-false': return plain(() => false);
    case '-maxdepth': f.maxDepth = depthOf(value(f, word), word); return yes;
    case '-mindepth': f.minDepth = depthOf(value(f, word), word); return yes;
    case '-depth': case '-d': f.depthFirst = true; return yes;
    case '-xdev': case '-mount': f.oneSystem = true; return yes;
    case '-follow': f.follow = true; return yes;
    case '-noleaf': case '-warn': case '-nowarn': case '-daystart': return yes;
    case '-prune': return plain((v) => (v.prune = true));
    default: return performing(f, word);
  }
}

function performing(f: Finder, word: string): Test {
  switch (word) {
    case '-print': return action(f, function* (v) {
      yield* print(`${v.path}\n`);
      return true;
    });
    case '-print0': return action(f, function* (v) {
      yield* print(`${v.path}\0`);
      return true;
    });
    case '-printf': { const format = value(f, word); return action(f, function* (v) {
      yield* writeAll(1, bytesOf(yield* printed(f, format, v)));
      return true;
    }); }
    case '-ls': return action(f, function* (v) {
      yield* print(longLine(f, v));
      return true;
    });
    case '-delete': f.depthFirst = true; return action(f, (v) => deleted(f, v));
    case '-quit': return action(f, plain(() => (f.quit = true)));
    case '-exec': case '-execdir': case '-ok': return action(f, execution(f, word));
    default: throw new Failed(`unknown predicate \`${word}'`);
  }
}

function depthOf(spec: string, word: string): number {
  if (!/^\d+$/.test(spec)) throw new Failed(`Expected a positive decimal integer argument to ${word}, but got ${curly(spec)}`);
  return Number(spec);
}

function named(pattern: string, fold: boolean, of: (v: Visit) => string): Test {
  const glob = globOf(fold ? pattern.toLowerCase() : pattern);
  return plain((v) => glob.test(fold ? of(v).toLowerCase() : of(v)));
}

const TYPES: Readonly<Record<string, string>> = { f: '-', d: 'd', l: 'l', c: 'c', b: 'b', p: 'p', s: 's' };

function typed(f: Finder, word: string): Test {
  const letters = value(f, word).split(',').map((l) => {
    if (TYPES[l] === undefined) throw new Failed(`Unknown argument to ${word}: ${l}`);
    return TYPES[l];
  });
  return function* (v) {
    const stat = word === '-xtype' && (v.stat.mode & S_IFMT) === S_IFLNK ? ((yield* statOf(v.path)) ?? v.stat) : v.stat;
    return letters.includes(typeLetter(stat.mode));
  };
}

const UNITS: Readonly<Record<string, number>> = { b: 512, c: 1, w: 2, k: 1024, M: 1048576, G: 1073741824, '': 512 };

function sized(spec: string): Test {
  const m = /^([-+]?\d+)([bcwkMG]?)$/.exec(spec);
  if (!m) throw new Failed(`Invalid argument \`${spec}' to -size`);
  const holds = compare(m[1]!, '-size');
  return plain((v) => holds(Math.ceil(v.stat.size / UNITS[m[2]!]!)));
}

function aged(f: Finder, word: string): Test {
  const holds = compare(value(f, word), word);
  const field = ({ m: 'mtime', a: 'atime', c: 'ctime' } as const)[word[1] as 'm'];
  const unit = word.endsWith('min') ? 60 : 86400;
  return plain((v) => {
    const age = (f.now - v.stat[field]) / unit;
    return holds(unit === 60 ? Math.ceil(age) : Math.floor(age));
  });
}

function newer(reference: string): Test {
  let base: Stat | null | undefined;
  return function* (v) {
    base ??= yield* statOf(reference);
    if (!base) throw new Failed(`${curly(reference)}: No such file or directory`);
    return v.stat.mtime > base.mtime;
  };
}

function samefile(reference: string): Test {
  let base: Stat | null | undefined;
  return function* (v) {
    base ??= yield* attempt(sys('newfstatat', AT_FDCWD, reference, AT_SYMLINK_NOFOLLOW), null);
    if (!base) throw new Failed(`${curly(reference)}: No such file or directory`);
    return v.stat.dev === base.dev && v.stat.ino === base.ino;
  };
}

function permitted(spec: string): Test {
  const how = /^[-/]/.test(spec) ? spec[0] : '';
  const mode = changedMode(how ? spec.slice(1) : spec, 0, 0, false);
  if (mode === null) throw new Failed(`invalid mode ${curly(spec)}`);
  return plain((v) => {
    const bits = v.stat.mode & 0o7777;
    return how === '-' ? (bits & mode) === mode : how === '/' ? mode === 0 || (bits & mode) !== 0 : bits === mode;
  });
}

function owned(f: Finder, word: string): Test {
  const spec = value(f, word);
  if (word === '-uid' || word === '-gid') {
    const holds = compare(spec, word);
    return plain((v) => holds(word === '-uid' ? v.stat.uid : v.stat.gid));
  }
  const id = word === '-user' ? (findUser(f.accounts, spec)?.uid ?? null) : findGroup(f.accounts, spec);
  if (id === null) throw new Failed(`${curly(spec)} is not the name of a known ${word.slice(1)}`);
  return plain((v) => (word === '-user' ? v.stat.uid : v.stat.gid) === id);
}

function* deleted(f: Finder, v: Visit): Call<boolean> {
  if (v.path === '.' || v.path === '..') return true;
  try {
    yield* sys('unlinkat', AT_FDCWD, v.path, isDir(v.stat) ? AT_REMOVEDIR : 0);
    return true;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`find: cannot delete ${curly(v.path)}: ${strerror(error)}\n`);
    f.status = 1;
    return false;
  }
}

function execution(f: Finder, word: string): Test {
  const line: string[] = [];
  for (;;) {
    const next = f.args[f.at++];
    if (next === undefined) throw new Failed(`missing argument to \`${word}'`);
    if (next === ';') break;
    if (next === '+' && line.at(-1) === '{}') return gathering(f, word, line.slice(0, -1));
    line.push(next);
  }
  if (line.length === 0) throw new Failed(`invalid argument \`;' to \`${word}'`);
  return function* (v) {
    const name = word === '-execdir' ? `./${baseName(v.path)}` : v.path;
    const words = line.map((w) => w.replaceAll('{}', name));
    if (word === '-ok' && !(yield* agreed(`< ${words.join(' ')} > ? `))) return false;
    return (yield* started(f, words, word === '-execdir' ? dirName(v.path) : null)) === 0;
  };
}

function* started(f: Finder, words: readonly string[], dir: string | null): Call<number> {
  const back = dir === null ? null : yield* sys('getcwd');
  if (dir !== null) yield* sys('chdir', dir);
  const status = yield* runChild('find', words, f.env, curly);
  if (back !== null) yield* sys('chdir', back);
  return status;
}

/** -exec … {} +: as many at a time as fit on a command line. */
function gathering(f: Finder, _word: string, line: readonly string[]): Test {
  let held: string[] = [];
  const go = function* (): Call<void> {
    if (held.length === 0) return;
    const words = [...line, ...held];
    held = [];
    if ((yield* started(f, words, null)) !== 0) f.status = 1;
  };
  f.finish.push(go);
  return function* (v) {
    held.push(v.path);
    if (held.length >= 2000) yield* go();
    return true;
  };
}

function* printed(f: Finder, format: string, v: Visit): Call<string> {
  const target = format.includes('%l') && (v.stat.mode & S_IFMT) === S_IFLNK ? yield* attempt(sys('readlinkat', AT_FDCWD, v.path), '') : '';
  const text = encoded(format).replace(/%([-0]?)(\d*)(?:([ACT])(.)|(.))/g, (_, flag: string, width: string, which: string | undefined, timeLetter: string | undefined, letter: string | undefined) => {
    const field = which === undefined ? fieldOf(f, letter!, v, target) : timeField(v.stat[({ A: 'atime', C: 'ctime', T: 'mtime' } as const)[which as 'A']], timeLetter!);
    const shown = encoded(field);
    return flag === '-' ? shown.padEnd(Number(width)) : shown.padStart(Number(width), flag === '0' ? '0' : ' ');
  });
  return unescaped(text, 'printf').text;
}

const timeField = (at: number, letter: string): string => (letter === '@' ? `${at.toFixed(9)}0` : letter === '+' ? strftime('%F+%T.%N0', at) : strftime(`%${letter}`, at));

function fieldOf(f: Finder, letter: string, v: Visit, target: string): string {
  const s = v.stat;
  switch (letter) {
    case 'p': return v.path;
    case 'P': return v.path === v.start ? '' : v.path.slice(v.start.length).replace(/^\//, '');
    case 'f': return baseName(v.path);
    case 'h': return v.path.includes('/') ? dirName(v.path) : '.';
    case 'H': return v.start;
    case 's': return String(s.size);
    case 'm': return (s.mode & 0o7777).toString(8);
    case 'M': return modeString(s.mode);
    case 'u': return userName(f.accounts, s.uid);
    case 'U': return String(s.uid);
    case 'g': return groupName(f.accounts, s.gid);
    case 'G': return String(s.gid);
    case 'i': return String(s.ino);
    case 'n': return String(s.nlink);
    case 'd': return String(v.depth);
    case 'D': return String(s.dev);
    case 'k': return String(Math.ceil(s.blocks / 2));
    case 'b': return String(s.blocks);
    case 'y': return typeLetter(s.mode) === '-' ? 'f' : typeLetter(s.mode);
    case 'l': return target;
    case 't': return strftime('%a %b %e %H:%M:%S.%N0 %Y', s.mtime);
    case 'a': return strftime('%a %b %e %H:%M:%S.%N0 %Y', s.atime);
    case '%': return '%';
    default: return `%${letter}`;
  }
}

function longLine(f: Finder, v: Visit): string {
  const s = v.stat;
  return `${String(s.ino).padStart(9)} ${String(Math.ceil(s.blocks / 2)).padStart(6)} ${modeString(s.mode)} ${String(s.nlink).padStart(3)} ${userName(f.accounts, s.uid).padEnd(8)} ${groupName(f.accounts, s.gid).padEnd(8)} ${String(s.size).padStart(8)} ${strftime('%b %e %H:%M', s.mtime)} ${v.path}\n`;
}
