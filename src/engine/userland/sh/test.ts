/**
 * Conditions: [[ … ]] over the tree, test and [ over words, by one table of primaries. Source: bash(1) CONDITIONAL EXPRESSIONS.
 */
import type { TestExpression } from 'unbash';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK, type Stat, TCGETS } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { attempt, statOf } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { evaluate } from './arithmetic.ts';
import { expandOne, expandPattern } from './expand.ts';
import { wholePattern } from './ere.ts';
import { compile, matches } from './pattern.ts';
import { Bad, type Shell } from './state.ts';
import { entries, find, setArray } from './variables.ts';

const FILE_TYPES: Record<string, number> = { '-b': S_IFBLK, '-c': S_IFCHR, '-d': S_IFDIR, '-f': S_IFREG, '-p': S_IFIFO, '-S': S_IFSOCK };
const UNARY = new Set(['-a', '-e', '-b', '-c', '-d', '-f', '-p', '-S', '-g', '-u', '-k', '-h', '-L', '-r', '-w', '-x', '-s', '-t', '-O', '-G', '-N', '-o', '-v', '-R', '-z', '-n']);
const BINARY = new Set(['=', '==', '!=', '<', '>', '-eq', '-ne', '-lt', '-le', '-gt', '-ge', '-nt', '-ot', '-ef']);

export function* unary(sh: Shell, operator: string, operand: string): Call<boolean> {
  if (operator === '-z') return operand === '';
  if (operator === '-n') return operand !== '';
  if (operator === '-t') return (yield* attempt(sys('ioctl', Number(operand), TCGETS), null)) !== null;
  if (operator === '-o') return sh.options.has(operand);
  if (operator === '-v') return isSet(sh, operand);
  if (operator === '-R') return find(sh, operand)?.nameref === true;
  if (operator === '-r' || operator === '-w' || operator === '-x') {
    const bit = { '-r': 4, '-w': 2, '-x': 1 }[operator];
    return (yield* attempt(sys('faccessat', AT_FDCWD, operand, bit), null)) === 0;
  }
  if (operator === '-h' || operator === '-L') {
    const link = yield* attempt(sys('newfstatat', AT_FDCWD, operand, AT_SYMLINK_NOFOLLOW), null);
    return link !== null && (link.mode & S_IFMT) === S_IFLNK;
  }
  const stat = yield* statOf(operand);
  return stat !== null && (yield* ofFile(operator, stat));
}

function* ofFile(operator: string, stat: Stat): Call<boolean> {
  const type = FILE_TYPES[operator];
  if (type !== undefined) return (stat.mode & S_IFMT) === type;
  switch (operator) {
    case '-s': return stat.size > 0;
    case '-u': return (stat.mode & 0o4000) !== 0;
    case '-g': return (stat.mode & 0o2000) !== 0;
    case '-k': return (stat.mode & 0o1000) !== 0;
    case '-O': return stat.uid === (yield* sys('geteuid'));
    case '-G': return stat.gid === (yield* sys('getegid'));
    case '-N': return stat.mtime > stat.atime;
    default: return true;
  }
}

function isSet(sh: Shell, name: string): boolean {
  const indexed = /^(\w+)\[(.*)\]$/s.exec(name);
  if (!indexed) return entries(sh, name)?.some(([k]) => k === '0') ?? false;
  const all = entries(sh, indexed[1]!) ?? [];
  if (indexed[2] === '@' || indexed[2] === '*') return all.length > 0;
  const key = find(sh, indexed[1]!)?.kind === 'assoc' ? indexed[2]! : evaluate(sh, indexed[2]!).toString();
  return all.some(([k]) => k === key);
}

function* files(operator: string, left: string, right: string): Call<boolean> {
  const [a, b] = [yield* statOf(left), yield* statOf(right)];
  if (operator === '-ef') return a !== null && b !== null && a.dev === b.dev && a.ino === b.ino;
  if (operator === '-nt') return a !== null && (b === null || a.mtime > b.mtime);
  return b !== null && (a === null || a.mtime < b.mtime);
}

const COMPARE: Record<string, (a: bigint, b: bigint) => boolean> = {
  '-eq': (a, b) => a === b, '-ne': (a, b) => a !== b, '-lt': (a, b) => a < b, '-le': (a, b) => a <= b, '-gt': (a, b) => a > b, '-ge': (a, b) => a >= b,
};

/** [[ … ]]. */
export function* testExpression(sh: Shell, node: TestExpression): Call<boolean> {
  switch (node.type) {
    case 'TestGroup': return yield* testExpression(sh, node.expression);
    case 'TestNot': return (yield* testExpression(sh, node.operand)) !== (node.negations.length % 2 === 1);
    case 'TestLogical': {
      for (const operand of node.operands) if ((yield* testExpression(sh, operand)) !== (node.operator === '&&')) return node.operator === '||';
      return node.operator === '&&';
    }
    case 'TestUnary': return yield* unary(sh, node.operator, yield* expandOne(sh, node.operand));
    case 'TestBinary': return yield* testBinary(sh, node);
  }
}

function* testBinary(sh: Shell, node: Extract<TestExpression, { type: 'TestBinary' }>): Call<boolean> {
  const { operator } = node;
  const left = yield* expandOne(sh, node.left);
  const noCase = sh.shopts.has('nocasematch');
  if (operator === '==' || operator === '=' || operator === '!=') {
    return matches(compile(yield* expandPattern(sh, node.right)), left, noCase) === (operator !== '!=');
  }
  if (operator === '=~') return regular(sh, left, yield* expandPattern(sh, node.right));
  const right = yield* expandOne(sh, node.right);
  const compare = COMPARE[operator];
  if (compare) return compare(evaluate(sh, left), evaluate(sh, right));
  if (operator === '<') return left < right;
  if (operator === '>') return left > right;
  return yield* files(operator, left, right);
}

/** A POSIX extended regular expression; what matched goes to BASH_REMATCH. */
function regular(sh: Shell, subject: string, pattern: string): boolean {
  let source = pattern.replace(/\[\[:(\w+):\]\]/g, (_, name: string) => `[${CLASS[name] ?? ''}]`).replace(/\[:(\w+):\]/g, (_, name: string) => CLASS[name] ?? '');
  source = source.replace(/\\([@!^-])/g, (all, c: string) => (c === '@' || c === '!' ? c : all));
  const noCase = sh.shopts.has('nocasematch');
  const whole = wholePattern(pattern);
  if (whole && !matches(whole, subject.slice(0, 100_000), noCase)) {
    setArray(sh, 'BASH_REMATCH', [], false);
    return false;
  }
  let found: RegExpExecArray | null;
  try {
    found = new RegExp(source, `u${sh.shopts.has('nocasematch') ? 'i' : ''}`).exec(subject.slice(0, 100_000));
  } catch {
    try {
      found = new RegExp(source, sh.shopts.has('nocasematch') ? 'i' : '').exec(subject.slice(0, 100_000));
    } catch {
      throw new Bad('', { status: 2 });
    }
  }
  setArray(sh, 'BASH_REMATCH', found ? found.map((m) => [null, m ?? '']) : [], false);
  return found !== null;
}

const CLASS: Record<string, string> = {
  alpha: 'A-Za-z', digit: '0-9', alnum: 'A-Za-z0-9', upper: 'A-Z', lower: 'a-z', space: '\\s', blank: ' \\t', punct: '!-\\/:-@\\[-`{-~', xdigit: '0-9A-Fa-f',
};

/** test and [: 0, 1, or 2 with a message thrown. */
export function* testWords(sh: Shell, name: string, args: readonly string[]): Call<number> {
  const wrong = (message: string): never => {
    throw new Bad(`${name}: ${message}`, { status: 2 });
  };
  const integer = (word: string): bigint => (/^\s*[-+]?\d+\s*$/.test(word) ? BigInt(word.trim().replace(/^\+/, '')) : wrong(`${word}: integer expression expected`));
  function* two(left: string, operator: string, right: string): Call<boolean> {
    if (operator === '=' || operator === '==') return left === right;
    if (operator === '!=') return left !== right;
    if (operator === '<') return left < right;
    if (operator === '>') return left > right;
    const compare = COMPARE[operator];
    if (compare) return compare(integer(left), integer(right));
    return yield* files(operator, left, right);
  }
  function* few(words: readonly string[]): Call<boolean> {
    const [a, b, c, d] = words as [string, string, string, string];
    switch (words.length) {
      case 0: return false;
      case 1: return a !== '';
      case 2:
        if (a === '!') return b === '';
        if (UNARY.has(a)) return yield* unary(sh, a, b);
        return wrong(`${a}: unary operator expected`);
      case 3:
        if (BINARY.has(b)) return yield* two(a, b, c);
        if (b === '-a') return a !== '' && c !== '';
        if (b === '-o') return a !== '' || c !== '';
        if (a === '!') return !(yield* few([b, c]));
        if (a === '(' && c === ')') return b !== '';
        return wrong(`${b}: binary operator expected`);
      case 4:
        if (a === '!') return !(yield* few([b, c, d]));
        if (a === '(' && d === ')') return yield* few([b, c]);
    }
    const cursor = { at: 0 };
    const value = yield* either(words, cursor);
    if (cursor.at < words.length) wrong('too many arguments');
    return value;
  }
  function* either(words: readonly string[], cursor: { at: number }): Call<boolean> {
    let value = yield* both(words, cursor);
    while (words[cursor.at] === '-o') {
      cursor.at++;
      const right = yield* both(words, cursor);
      value = value || right;
    }
    return value;
  }
  function* both(words: readonly string[], cursor: { at: number }): Call<boolean> {
    let value = yield* primary(words, cursor);
    while (words[cursor.at] === '-a') {
      cursor.at++;
      const right = yield* primary(words, cursor);
      value = value && right;
    }
    return value;
  }
  function* primary(words: readonly string[], cursor: { at: number }): Call<boolean> {
    const word = words[cursor.at];
    if (word === undefined) return wrong('argument expected');
    if (word === '!') {
      cursor.at++;
      return !(yield* primary(words, cursor));
    }
    if (word === '(') {
      cursor.at++;
      const value = yield* either(words, cursor);
      if (words[cursor.at] !== ')') wrong("`)' expected");
      cursor.at++;
      return value;
    }
    const operator = words[cursor.at + 1];
    if (operator !== undefined && BINARY.has(operator) && cursor.at + 2 < words.length) {
      cursor.at += 3;
      return yield* two(word, operator, words[cursor.at - 1]!);
    }
    if (UNARY.has(word) && operator !== undefined) {
      cursor.at += 2;
      return yield* unary(sh, word, operator);
    }
    cursor.at++;
    return word !== '';
  }
  return (yield* few(args)) ? 0 : 1;
}
