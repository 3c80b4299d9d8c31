/**
 * Arithmetic evaluation in 64-bit integers: $((…)), ((…)), let, indices. Names are evaluated as expressions themselves, side
 * effects happen only in the branch taken. Source: bash(1) ARITHMETIC EVALUATION.
 */
import { Bad, type Shell } from './state.ts';
import { element, find, get, set, setElement } from './variables.ts';

interface Token {
  type: 'number' | 'name' | 'operator' | 'end';
  text: string;
  /** NAME[INDEX]: the index as written. */
  index?: string;
  pos: number;
}

type Kind = Token['type'];

interface Run {
  sh: Shell;
  text: string;
  at: number;
  token: Token;
  /** Greater than 0 in a branch not taken. */
  skip: number;
  depth: number;
  /** Where the last operand or operator began, for messages. */
  mark: number;
}

const OPERATORS = ['<<=', '>>=', '**', '++', '--', '<<', '>>', '<=', '>=', '==', '!=', '&&', '||', '+=', '-=', '*=', '/=', '%=', '&=', '^=', '|='];
const ASSIGN = new Set(['=', '+=', '-=', '*=', '/=', '%=', '<<=', '>>=', '&=', '^=', '|=']);
const LEVELS: readonly (readonly string[])[] = [
  ['||'], ['&&'], ['|'], ['^'], ['&'], ['==', '!='], ['<', '<=', '>', '>='], ['<<', '>>'], ['+', '-'], ['*', '/', '%'],
];

const wrap = (value: bigint): bigint => BigInt.asIntN(64, value);

/** The value of an expression; throws Bad with bash's message. */
export function evaluate(sh: Shell, text: string): bigint {
  return evaluateAt(sh, text, 0);
}

function evaluateAt(sh: Shell, text: string, depth: number): bigint {
  if (depth > 1024) throw new Bad(`${text.trim()}: expression recursion level exceeded (error token is "${text.trim()}")`);
  const run: Run = { sh, text, at: 0, token: { type: 'end', text: '', pos: 0 }, skip: 0, depth, mark: 0 };
  next(run);
  if (kind(run) === 'end') return 0n;
  const value = comma(run);
  if (kind(run) !== 'end') {
    fail(run, kind(run) === 'operator' && !'()'.includes(run.token.text) ? 'syntax error: operand expected' : 'syntax error in expression', run.token.pos);
  }
  return value;
}

function fail(run: Run, message: string, pos: number): never {
  throw new Bad(`${run.text.trimStart()}: ${message} (error token is "${run.text.slice(pos)}")`);
}

function next(run: Run): void {
  const { text } = run;
  while (run.at < text.length && ' \t\n\r'.includes(text[run.at]!)) run.at++;
  const pos = run.at;
  const rest = text.slice(pos, pos + 3);
  if (rest === '') {
    run.token = { type: 'end', text: '', pos };
    return;
  }
  const number = /^[0-9][0-9A-Za-z#@_]*/.exec(text.slice(pos));
  if (number) {
    run.at += number[0].length;
    run.token = { type: 'number', text: number[0], pos };
    return;
  }
  const name = /^[A-Za-z_][A-Za-z0-9_]*/.exec(text.slice(pos));
  if (name) {
    run.at += name[0].length;
    run.token = { type: 'name', text: name[0], pos };
    if (text[run.at] === '[') run.token.index = subscript(run);
    return;
  }
  const operator = OPERATORS.find((o) => rest.startsWith(o)) ?? rest[0]!;
  run.at += operator.length;
  run.token = { type: 'operator', text: operator, pos };
}

function subscript(run: Run): string {
  let depth = 0;
  for (let i = run.at; i < run.text.length; i++) {
    if (run.text[i] === '[') depth++;
    else if (run.text[i] === ']' && --depth === 0) {
      const index = run.text.slice(run.at + 1, i);
      run.at = i + 1;
      return index;
    }
  }
  throw new Bad(`${run.text.slice(run.token.pos)}: bad array subscript`);
}

const kind = (run: Run): Kind => run.token.type;
const isOp = (run: Run, text: string): boolean => run.token.type === 'operator' && run.token.text === text;

function comma(run: Run): bigint {
  let value = assignment(run);
  while (isOp(run, ',')) {
    next(run);
    value = assignment(run);
  }
  return value;
}

function assignment(run: Run): bigint {
  const first = run.token;
  if (first.type === 'name') {
    const saved = run.at;
    next(run);
    if (kind(run) === 'operator' && ASSIGN.has(run.token.text)) {
      const operator = run.token.text;
      next(run);
      const right = assignment(run);
      const value = operator === '=' ? right : apply(run, operator.slice(0, -1), variableValue(run, first), right, run.token.pos);
      store(run, first, value);
      return value;
    }
    run.at = saved;
    run.token = first;
  }
  const value = ternary(run);
  if (kind(run) === 'operator' && ASSIGN.has(run.token.text)) fail(run, 'attempted assignment to non-variable', run.token.pos);
  return value;
}

function ternary(run: Run): bigint {
  const test = binary(run, 0);
  if (!isOp(run, '?')) return test;
  next(run);
  if (run.token.type === 'end' || isOp(run, ':')) fail(run, 'expression expected', run.token.pos);
  run.skip += test === 0n ? 1 : 0;
  const yes = comma(run);
  run.skip -= test === 0n ? 1 : 0;
  if (!isOp(run, ':')) fail(run, "`:' expected for conditional expression", run.token.pos);
  next(run);
  if (kind(run) === 'end') fail(run, 'expression expected', run.token.pos);
  run.skip += test === 0n ? 0 : 1;
  const no = assignment(run);
  run.skip -= test === 0n ? 0 : 1;
  return test === 0n ? no : yes;
}

function binary(run: Run, level: number): bigint {
  if (level === LEVELS.length) return power(run);
  let left = binary(run, level + 1);
  while (run.token.type === 'operator' && LEVELS[level]!.includes(run.token.text)) {
    const operator = run.token.text;
    next(run);
    const shortcut = (operator === '&&' && left === 0n) || (operator === '||' && left !== 0n);
    run.skip += shortcut ? 1 : 0;
    const pos = run.token.pos;
    const right = binary(run, level + 1);
    run.skip -= shortcut ? 1 : 0;
    left = apply(run, operator, left, right, pos);
  }
  return left;
}

function power(run: Run): bigint {
  const base = unary(run);
  if (!isOp(run, '**')) return base;
  next(run);
  const pos = run.token.pos;
  const exponent = power(run);
  return apply(run, '**', base, exponent, pos);
}

function unary(run: Run): bigint {
  const { token } = run;
  if (token.type === 'operator') {
    if (token.text === '++' || token.text === '--') {
      next(run);
      const name: Token = run.token;
      if (name.type === 'name') {
        next(run);
        const value = wrap(variableValue(run, name) + (token.text === '++' ? 1n : -1n));
        store(run, name, value);
        return value;
      }
      const inner = unary(run);
      return inner;
    }
    if ('+-!~'.includes(token.text)) {
      next(run);
      const value = unary(run);
      return token.text === '-' ? wrap(-value) : token.text === '!' ? (value === 0n ? 1n : 0n) : token.text === '~' ? ~value : value;
    }
  }
  return primary(run);
}

function primary(run: Run): bigint {
  const { token } = run;
  if (token.type === 'number') {
    next(run);
    const value = number(run, token);
    if (kind(run) === 'number' || kind(run) === 'name') fail(run, 'syntax error in expression', run.token.pos);
    return value;
  }
  if (token.type === 'name') {
    next(run);
    if (kind(run) === 'number' || kind(run) === 'name') fail(run, 'syntax error in expression', run.token.pos);
    const value = variableValue(run, token);
    if (isOp(run, '++') || isOp(run, '--')) {
      store(run, token, wrap(value + (run.token.text === '++' ? 1n : -1n)));
      next(run);
    }
    return value;
  }
  if (isOp(run, '(')) {
    next(run);
    const value = comma(run);
    if (!isOp(run, ')')) fail(run, "missing `)'", run.token.pos);
    next(run);
    return value;
  }
  return fail(run, 'syntax error: operand expected', token.type === 'end' ? Math.max(0, lastToken(run)) : token.pos);
}

/** bash blames the operator before a missing operand. */
function lastToken(run: Run): number {
  const text = run.text.trimEnd();
  let at = text.length - 1;
  while (at > 0 && /[-+*/%<>=!&|^~?:,]/.test(text[at - 1]!) && /[-+*/%<>=!&|^~?:,]/.test(text[at]!)) at--;
  return at;
}

function number(run: Run, token: Token): bigint {
  const { text } = token;
  const based = /^(\d+)#(.*)$/.exec(text);
  if (based) return inBase(run, token, Number(based[1]), based[2]!);
  if (/^0[xX]/.test(text)) return inBase(run, token, 16, text.slice(2) || '0');
  if (/^0/.test(text) && text.length > 1) return inBase(run, token, 8, text.slice(1));
  return inBase(run, token, 10, text);
}

function inBase(run: Run, token: Token, base: number, digits: string): bigint {
  if (base < 2 || base > 64) fail(run, 'invalid arithmetic base', token.pos);
  if (digits === '') fail(run, 'invalid integer constant', token.pos);
  let value = 0n;
  for (const c of digits) {
    const digit = digitOf(c, base);
    if (digit < 0 || digit >= base) fail(run, 'value too great for base', token.pos);
    value = wrap(value * BigInt(base) + BigInt(digit));
  }
  return value;
}

function digitOf(c: string, base: number): number {
  if (c >= '0' && c <= '9') return c.charCodeAt(0) - 48;
  if (c >= 'a' && c <= 'z') return c.charCodeAt(0) - 87;
  if (c >= 'A' && c <= 'Z') return c.charCodeAt(0) - (base <= 36 ? 55 : 29);
  return c === '@' ? 62 : c === '_' ? 63 : -1;
}

function apply(run: Run, operator: string, a: bigint, b: bigint, pos: number): bigint {
  if ((operator === '/' || operator === '%') && b === 0n) {
    if (run.skip > 0) return 0n;
    fail(run, 'division by 0', pos);
  }
  switch (operator) {
    case '+': return wrap(a + b);
    case '-': return wrap(a - b);
    case '*': return wrap(a * b);
    case '/': return wrap(a / b);
    case '%': return a % b;
    case '<<': return wrap(a << (b & 63n));
    case '>>': return a >> (b & 63n);
    case '<': return a < b ? 1n : 0n;
    case '<=': return a <= b ? 1n : 0n;
    case '>': return a > b ? 1n : 0n;
    case '>=': return a >= b ? 1n : 0n;
    case '==': return a === b ? 1n : 0n;
    case '!=': return a !== b ? 1n : 0n;
    case '&': return a & b;
    case '^': return a ^ b;
    case '|': return a | b;
    case '&&': return a !== 0n && b !== 0n ? 1n : 0n;
    case '||': return a !== 0n || b !== 0n ? 1n : 0n;
    default: return raise(run, a, b, pos);
  }
}

function raise(run: Run, a: bigint, b: bigint, pos: number): bigint {
  if (b < 0n) {
    if (run.skip > 0) return 0n;
    fail(run, 'exponent less than 0', pos);
  }
  let result = 1n;
  let base = a;
  for (let n = b; n > 0n; n >>= 1n) {
    if (n & 1n) result = wrap(result * base);
    base = wrap(base * base);
  }
  return result;
}

/** The index of an element as `element` takes it: a number's text, or the key itself. */
export function keyOf(sh: Shell, name: string, index: string): string {
  if (find(sh, name)?.kind === 'assoc') return index;
  return evaluate(sh, index).toString();
}

function variableValue(run: Run, token: Token): bigint {
  if (run.skip > 0) return 0n;
  const { sh } = run;
  const raw = token.index === undefined ? get(sh, token.text) : element(sh, token.text, keyOf(sh, token.text, token.index));
  if (raw === undefined) {
    if (sh.options.has('nounset')) throw new Bad(`${token.text}: unbound variable`, { fatal: true, status: 127 });
    return 0n;
  }
  if (/^\s*-?[1-9]\d{0,14}\s*$/.test(raw)) return BigInt(raw.trim());
  return raw.trim() === '' ? 0n : evaluateAt(sh, raw, run.depth + 1);
}

function store(run: Run, token: Token, value: bigint): void {
  if (run.skip > 0) return;
  if (token.index === undefined) set(run.sh, token.text, value.toString());
  else setElement(run.sh, token.text, keyOf(run.sh, token.text, token.index), value.toString());
}
