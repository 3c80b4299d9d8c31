/** expr: arithmetic, comparison and matching of arguments; 0 and "" give status 1. Source: expr(1p). */
import { BadOption } from '../lib/args.ts';
import { command, Failed, print } from '../lib/io.ts';
import { curly } from './quote.ts';
import { BadRegex, compileRegex } from './regex.ts';
import { search } from './regex-program.ts';

interface Words {
  words: readonly string[];
  at: number;
}

export const expr = command(function* (argv) {
  const w: Words = { words: argv.slice(argv[1] === '--' ? 2 : 1), at: 0 };
  if (w.words.length === 0) throw new BadOption('missing operand');
  const value = or(w);
  if (w.at < w.words.length) throw new Failed(`syntax error: unexpected argument ${curly(w.words[w.at]!)}`, 2);
  yield* print(`${value}\n`);
  return isNull(value) ? 1 : 0;
}, 2);

const isNull = (value: string): boolean => value === '' || /^-?0+$/.test(value);
const isNumber = (value: string): boolean => /^-?\d+$/.test(value);

function integer(value: string): bigint {
  if (!isNumber(value)) throw new Failed('non-integer argument', 2);
  return BigInt(value);
}

function or(w: Words): string {
  let left = and(w);
  while (w.words[w.at] === '|') {
    w.at++;
    const right = and(w);
    left = isNull(left) ? (isNull(right) ? '0' : right) : left;
  }
  return left;
}

function and(w: Words): string {
  let left = comparison(w);
  while (w.words[w.at] === '&') {
    w.at++;
    const right = comparison(w);
    left = isNull(left) || isNull(right) ? '0' : left;
  }
  return left;
}

function comparison(w: Words): string {
  let left = sum(w);
  while (['<', '<=', '=', '==', '!=', '>=', '>'].includes(w.words[w.at] ?? '')) {
    const operator = w.words[w.at++]!;
    const right = sum(w);
    const numeric = isNumber(left) && isNumber(right);
    const order = numeric ? (BigInt(left) < BigInt(right) ? -1 : BigInt(left) > BigInt(right) ? 1 : 0) : left < right ? -1 : left > right ? 1 : 0;
    const holds = { '<': order < 0, '<=': order <= 0, '=': order === 0, '==': order === 0, '!=': order !== 0, '>=': order >= 0, '>': order > 0 }[operator];
    left = holds ? '1' : '0';
  }
  return left;
}

function sum(w: Words): string {
  let left = product(w);
  while (w.words[w.at] === '+' || w.words[w.at] === '-') {
    const operator = w.words[w.at++]!;
    const right = product(w);
    left = String(operator === '+' ? integer(left) + integer(right) : integer(left) - integer(right));
  }
  return left;
}

function product(w: Words): string {
  let left = matching(w);
  while (['*', '/', '%'].includes(w.words[w.at] ?? '')) {
    const operator = w.words[w.at++]!;
    const [a, b] = [integer(left), integer(matching(w))];
    if (operator !== '*' && b === 0n) throw new Failed('division by zero', 2);
    left = String(operator === '*' ? a * b : operator === '/' ? a / b : a % b);
  }
  return left;
}

function matching(w: Words): string {
  let left = primary(w);
  while (w.words[w.at] === ':') {
    w.at++;
    left = matched(left, primary(w));
  }
  return left;
}

function matched(text: string, pattern: string): string {
  try {
    const regex = compileRegex(pattern, { syntax: 'basic' });
    const found = search(regex, text);
    const at = found && found[0] === 0 ? found : null;
    if (regex.groups > 0) return at && at[2]! >= 0 ? text.slice(at[2], at[3]) : '';
    return at ? String(at[1]) : '0';
  } catch (error) {
    if (error instanceof BadRegex) throw new Failed(error.message, 2);
    throw error;
  }
}

function primary(w: Words): string {
  const word = w.words[w.at++];
  if (word === undefined) throw new Failed(`syntax error: missing argument after ${curly(w.words.at(-1) ?? '')}`, 2);
  if (word === '(') {
    const value = or(w);
    if (w.words[w.at] !== ')') throw new Failed(w.at >= w.words.length ? `syntax error: expecting ')' after ${curly(w.words.at(-1)!)}` : `syntax error: expecting ')' instead of ${curly(w.words[w.at]!)}`, 2);
    w.at++;
    return value;
  }
  if (word === '+' && w.at < w.words.length) return w.words[w.at++]!;
  if (word === 'length' && w.at < w.words.length) return String([...matching(w)].length);
  if (word === 'match' && w.at + 1 < w.words.length) return matched(matching(w), matching(w));
  if (word === 'index' && w.at + 1 < w.words.length) {
    const [text, chars] = [matching(w), matching(w)];
    const found = [...text].findIndex((c) => chars.includes(c));
    return String(found + 1);
  }
  if (word === 'substr' && w.at + 2 < w.words.length) {
    const [text, from, length] = [matching(w), Number(matching(w)), Number(matching(w))];
    return from > 0 && length > 0 ? [...text].slice(from - 1, from - 1 + length).join('') : '';
  }
  return word;
}
