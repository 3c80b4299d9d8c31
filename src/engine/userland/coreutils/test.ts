/** test and [: expressions about files, strings and numbers. Source: test(1p), by the number of arguments, then the GNU grammar. */
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG, S_IFSOCK, type Stat, TIOCGWINSZ } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { attempt, statOf } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain } from '../lib/io.ts';
import { isType } from './modes.ts';
import { curly } from './quote.ts';

class BadTest extends Error {}

interface Words {
  words: readonly string[];
  at: number;
}

export const test = command(function* (argv) {
  let words = argv.slice(1);
  const name = (argv[0] ?? 'test').split('/').pop()!;
  if (name === '[') {
    if (words.at(-1) !== ']') {
      yield* complain("[: missing ']'\n".replace(/'/g, (_, i) => (i < 12 ? '‘' : '’')));
      return 2;
    }
    words = words.slice(0, -1);
  }
  try {
    return (yield* evaluate(words)) ? 0 : 1;
  } catch (error) {
    if (!(error instanceof BadTest)) throw error;
    yield* complain(`${name}: ${error.message}\n`);
    return 2;
  }
}, 2);

function* evaluate(words: readonly string[]): Call<boolean> {
  const [a, b, c] = words;
  if (words.length === 0) return false;
  if (words.length === 1) return a !== '';
  if (words.length === 2) {
    if (a === '!') return b === '';
    if (!isUnary(a!)) throw new BadTest(/^-./.test(a!) ? `${curly(a!)}: unary operator expected` : `missing argument after ${curly(b!)}`);
    return yield* unary(a!, b!);
  }
  if (words.length === 3) {
    if (isBinary(b!)) return yield* binary(a!, b!, c!);
    if (b === '-a') return a !== '' && c !== '';
    if (b === '-o') return a !== '' || c !== '';
    if (a === '!') return !(yield* evaluate(words.slice(1)));
    if (a === '(' && c === ')') return b !== '';
    throw new BadTest(`${curly(b!)}: binary operator expected`);
  }
  if (words.length === 4 && a === '!') return !(yield* evaluate(words.slice(1)));
  const w: Words = { words, at: 0 };
  const value = yield* either(w);
  if (w.at < words.length) throw new BadTest(`extra argument ${curly(words[w.at]!)}`);
  return value;
}

function* either(w: Words): Call<boolean> {
  let value = yield* both(w);
  while (w.words[w.at] === '-o') {
    w.at++;
    value = (yield* both(w)) || value;
  }
  return value;
}

function* both(w: Words): Call<boolean> {
  let value = yield* term(w);
  while (w.words[w.at] === '-a') {
    w.at++;
    value = (yield* term(w)) && value;
  }
  return value;
}

function* term(w: Words): Call<boolean> {
  const word = w.words[w.at];
  if (word === undefined) throw new BadTest('argument expected');
  if (word === '!') {
    w.at++;
    return !(yield* term(w));
  }
  const operator = w.words[w.at + 1];
  if (operator !== undefined && isBinary(operator) && w.at + 2 < w.words.length) {
    w.at += 3;
    return yield* binary(word, operator, w.words[w.at - 1]!);
  }
  if (word === '(') {
    w.at++;
    const value = yield* either(w);
    if (w.words[w.at] !== ')') throw new BadTest("')' expected");
    w.at++;
    return value;
  }
  if (isUnary(word) && w.at + 1 < w.words.length) {
    w.at += 2;
    return yield* unary(word, w.words[w.at - 1]!);
  }
  w.at++;
  return word !== '';
}

const isUnary = (word: string): boolean => /^-[bcdefghkprsStuwxzGLNOn]$/.test(word);
const isBinary = (word: string): boolean => ['=', '==', '!=', '<', '>', '-eq', '-ne', '-lt', '-le', '-gt', '-ge', '-nt', '-ot', '-ef'].includes(word);

function integer(word: string): number {
  if (!/^\s*[-+]?\d+\s*$/.test(word)) throw new BadTest(`invalid integer ${curly(word)}`);
  return Number(word);
}

function* binary(a: string, operator: string, b: string): Call<boolean> {
  switch (operator) {
    case '=': case '==': return a === b;
    case '!=': return a !== b;
    case '<': return a < b;
    case '>': return a > b;
    case '-eq': return integer(a) === integer(b);
    case '-ne': return integer(a) !== integer(b);
    case '-lt': return integer(a) < integer(b);
    case '-le': return integer(a) <= integer(b);
    case '-gt': return integer(a) > integer(b);
    case '-ge': return integer(a) >= integer(b);
    default:
  }
  const [x, y] = [yield* statOf(a), yield* statOf(b)];
  if (operator === '-nt') return x !== null && (y === null || x.mtime > y.mtime);
  if (operator === '-ot') return y !== null && (x === null || x.mtime < y.mtime);
  return x !== null && y !== null && x.dev === y.dev && x.ino === y.ino;
}

const TYPES: Readonly<Record<string, number>> = { '-b': S_IFBLK, '-c': S_IFCHR, '-d': S_IFDIR, '-f': S_IFREG, '-p': S_IFIFO, '-S': S_IFSOCK };

function* unary(operator: string, word: string): Call<boolean> {
  switch (operator) {
    case '-n': return word !== '';
    case '-z': return word === '';
    case '-t': return (yield* attempt(sys('ioctl', integer(word), TIOCGWINSZ), null)) !== null;
    case '-r': case '-w': case '-x': return (yield* attempt(sys('faccessat', AT_FDCWD, word, { '-r': 4, '-w': 2, '-x': 1 }[operator]), null)) !== null;
    default:
  }
  const link = operator === '-h' || operator === '-L';
  const stat: Stat | null = yield* attempt(sys('newfstatat', AT_FDCWD, word, link ? AT_SYMLINK_NOFOLLOW : 0), null);
  if (!stat) return false;
  if (link) return isType(stat.mode, S_IFLNK);
  if (TYPES[operator] !== undefined) return isType(stat.mode, TYPES[operator]);
  switch (operator) {
    case '-s': return stat.size > 0;
    case '-g': return (stat.mode & 0o2000) !== 0;
    case '-u': return (stat.mode & 0o4000) !== 0;
    case '-k': return (stat.mode & 0o1000) !== 0;
    case '-O': return stat.uid === (yield* sys('geteuid'));
    case '-G': return stat.gid === (yield* sys('getegid'));
    case '-N': return stat.mtime > stat.atime;
    default: return true;
  }
}
