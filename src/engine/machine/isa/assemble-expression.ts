/**
 * Expressions of the assembler: tokens of a line, and values as linear combinations of a number, section addresses and
 * registers, so that `label2 - label1` is a plain number and `[rbx + rcx*8 + table]` is an addressing form.
 * Grammar and precedence: NASM manual 3.5. Left out: floating point, `seg`, `wrt`, critical segments.
 */
export interface Token {
  kind: 'name' | 'number' | 'string' | 'punct';
  text: string;
  value: bigint;
  column: number;
  /** Of a number with a point in it. */
  float?: number;
}

/** A mistake in the source, at a 1-based column; several lines are several messages. `late` ones are told only where no other was made. */
export class AssemblyError extends Error {
  column: number;
  late: boolean;
  constructor(column: number, message: string, late = false) {
    super(message);
    this.column = column;
    this.late = late;
  }
}

export interface Value {
  n: bigint;
  /** How many section addresses it holds: 0 is a plain number, 1 an address. */
  addresses: number;
  /** Refers to a symbol whose place is not known in this pass. */
  unknown: boolean;
  registers: [name: string, times: bigint][];
  /** Written as a string: db keeps all its bytes. */
  string?: string;
}

export interface Scope {
  /** Undefined: no such symbol (yet). */
  symbol(name: string, column: number): { n: bigint; address: boolean } | undefined;
  isRegister(name: string): boolean;
  /** Values of $ and $$. */
  here(): bigint;
  start(): bigint;
  /** They are plain numbers. */
  absolute?: boolean;
}

const PUNCT = ['<<<', '>>>', '<<', '>>', '//', '%%', '&&', '||', '==', '!=', '<>', '<=', '>='];
const NAME = /\$\$?(?![A-Za-z0-9_])|[A-Za-z_.?@][A-Za-z0-9_.?@~$#]*/y;
const NUMBER = /(?:0[xXhH][0-9a-fA-F_]+|\$[0-9][0-9a-fA-F_]*|[0-9][0-9a-fA-F_]*[hH]\b|0[bByY][01_]+|[01][01_]*[bByY]\b|0[oOqQ][0-7_]+|[0-7][0-7_]*[oOqQ]\b|0[dD][0-9_]+|[0-9][0-9_]*)/y;

const FLOAT = /[0-9][0-9_]*\.[0-9_]*(?:[eE][+-]?[0-9]+)?/y;

export function tokens(line: string): Token[] {
  const out: Token[] = [];
  for (let i = 0; i < line.length; ) {
    const c = line[i]!;
    if (c === ' ' || c === '\t' || c === '\r') {
      i++;
      continue;
    }
    if (c === ';') break;
    const column = i + 1;
    if (c === "'" || c === '"' || c === '`') {
      const [textOf, end] = quoted(line, i);
      out.push({ kind: 'string', text: textOf, value: 0n, column });
      i = end;
      continue;
    }
    FLOAT.lastIndex = i;
    const float = FLOAT.exec(line);
    if (float) {
      out.push({ kind: 'number', text: float[0], value: 0n, float: Number(float[0].replace(/_/g, '')), column });
      i += float[0].length;
      continue;
    }
    NUMBER.lastIndex = i;
    const number = NUMBER.exec(line);
    if (number) {
      out.push({ kind: 'number', text: number[0], value: numberOf(number[0], column), column });
      i += number[0].length;
      if (/[A-Za-z_]/.test(line[i] ?? '')) throw new AssemblyError(column, `expression syntax error: bad number \`${number[0]}${line[i]}'`);
      continue;
    }
    NAME.lastIndex = i;
    const name = NAME.exec(line);
    if (name) {
      out.push({ kind: 'name', text: name[0], value: 0n, column });
      i += name[0].length;
      continue;
    }
    const punct = PUNCT.find((p) => line.startsWith(p, i)) ?? c;
    out.push({ kind: 'punct', text: punct, value: 0n, column });
    i += punct.length;
  }
  return out;
}

function quoted(line: string, at: number): [text: string, end: number] {
  const quote = line[at]!;
  let out = '';
  for (let i = at + 1; i < line.length; i++) {
    const c = line[i]!;
    if (c === quote) return [out, i + 1];
    if (quote === '`' && c === '\\') {
      const e = line[++i] ?? '';
      const hex = e === 'x' ? /^[0-9a-fA-F]{1,2}/.exec(line.slice(i + 1)) : null;
      if (hex) {
        out += String.fromCharCode(Number.parseInt(hex[0], 16));
        i += hex[0].length;
      } else out += ESCAPES[e] ?? e;
    } else out += c;
  }
  throw new AssemblyError(at + 1, 'unterminated string');
}

const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t', '0': '\0', a: '\x07', b: '\b', e: '\x1b', v: '\v', f: '\f' };

function numberOf(source: string, column: number): bigint {
  const s = source.replace(/_/g, '').toLowerCase();
  if (/^0[xh]/.test(s)) return BigInt(`0x${s.slice(2)}`);
  if (s.startsWith('$')) return BigInt(`0x${s.slice(1)}`);
  if (s.endsWith('h')) return BigInt(`0x${s.slice(0, -1)}`);
  if (/^0[by][01]+$/.test(s)) return BigInt(`0b${s.slice(2)}`);
  if (/^[01]+[by]$/.test(s)) return BigInt(`0b${s.slice(0, -1)}`);
  if (/^0[oq]/.test(s)) return BigInt(`0o${s.slice(2)}`);
  if (/[oq]$/.test(s)) return BigInt(`0o${s.slice(0, -1)}`);
  if (/^0d/.test(s)) return BigInt(s.slice(2));
  if (!/^[0-9]+$/.test(s)) throw new AssemblyError(column, `bad number \`${source}'`);
  return BigInt(s);
}

/** A position in a line's tokens. */
export interface Cursor {
  tokens: readonly Token[];
  at: number;
}

export const peek = (cursor: Cursor): Token | undefined => cursor.tokens[cursor.at];
export const columnOf = (cursor: Cursor): number => peek(cursor)?.column ?? (cursor.tokens.at(-1)?.column ?? 0) + 1;

/** Takes the next token if it is this punctuation. */
export function take(cursor: Cursor, punct: string): boolean {
  const token = peek(cursor);
  if (token?.kind !== 'punct' || token.text !== punct) return false;
  cursor.at++;
  return true;
}

const LEVELS: readonly (readonly string[])[] = [
  ['||'], ['&&'], ['==', '=', '!=', '<>', '<', '>', '<=', '>='], ['|'], ['^'], ['&'], ['<<', '>>', '<<<', '>>>'], ['+', '-'], ['*', '/', '//', '%', '%%'],
];
/** How strongly an operator binds. */
const STRENGTH: ReadonlyMap<string, number> = new Map(LEVELS.flatMap((names, n) => names.map((name): [string, number] => [name, n])));

/** An expression of operators that bind at least as strongly as `least`. */
export function expression(cursor: Cursor, scope: Scope, least = 0): Value {
  let left = unary(cursor, scope);
  for (;;) {
    const token = cursor.tokens[cursor.at];
    if (token?.kind !== 'punct') return left;
    const strength = STRENGTH.get(token.text);
    if (strength === undefined || strength < least) return left;
    cursor.at++;
    left = combine(token, left, expression(cursor, scope, strength + 1));
  }
}

const plain = (n: bigint): Value => ({ n, addresses: 0, unknown: false, registers: [] });
const isPlain = (v: Value): boolean => v.registers.length === 0 && (v.addresses === 0 || v.unknown);

function unary(cursor: Cursor, scope: Scope): Value {
  const token = peek(cursor);
  if (!token) throw new AssemblyError(columnOf(cursor), 'expression syntax error');
  cursor.at++;
  if (token.float !== undefined) throw new AssemblyError(token.column, 'floating-point constants may not be used here');
  if (token.kind === 'number') return plain(token.value);
  if (token.kind === 'string') return { ...plain(packed(token.text)), string: token.text };
  if (token.kind === 'name') return named(token, scope);
  switch (token.text) {
    case '-': return scale(unary(cursor, scope), -1n);
    case '+': return unary(cursor, scope);
    case '~': return bitwise(token, unary(cursor, scope), (n) => ~n);
    case '!': return bitwise(token, unary(cursor, scope), (n) => (n === 0n ? 1n : 0n));
    case '(': {
      const inner = expression(cursor, scope);
      if (!take(cursor, ')')) throw new AssemblyError(columnOf(cursor), "expecting `)'");
      return inner;
    }
  }
  throw new AssemblyError(token.column, 'expression syntax error');
}

function packed(text: string): bigint {
  let n = 0n;
  for (let i = text.length - 1; i >= 0; i--) n = (n << 8n) | BigInt(text.charCodeAt(i) & 255);
  return n;
}

function named(token: Token, scope: Scope): Value {
  if (token.text === '$') return { ...plain(scope.here()), addresses: scope.absolute ? 0 : 1 };
  if (token.text === '$$') return { ...plain(scope.start()), addresses: scope.absolute ? 0 : 1 };
  const lower = token.text.toLowerCase();
  if (scope.isRegister(lower)) return { ...plain(0n), registers: [[lower, 1n]] };
  const symbol = scope.symbol(token.text, token.column);
  if (!symbol) return { ...plain(0n), addresses: 1, unknown: true };
  return { ...plain(symbol.n), addresses: symbol.address ? 1 : 0 };
}

function bitwise(token: Token, v: Value, f: (n: bigint) => bigint): Value {
  if (!isPlain(v)) throw new AssemblyError(token.column, `\`${token.text}' operator may only be applied to scalar values`);
  return { ...plain(f(v.n)), unknown: v.unknown };
}

function scale(v: Value, by: bigint): Value {
  return { n: v.n * by, addresses: v.addresses * Number(by), unknown: v.unknown, registers: v.registers.map(([r, t]) => [r, t * by]) };
}

function sum(a: Value, b: Value): Value {
  const registers = a.registers.slice();
  for (const [name, times] of b.registers) {
    const same = registers.findIndex(([r]) => r === name);
    if (same >= 0) registers[same] = [name, registers[same]![1] + times];
    else registers.push([name, times]);
  }
  return { n: a.n + b.n, addresses: a.addresses + b.addresses, unknown: a.unknown || b.unknown, registers };
}

function combine(token: Token, a: Value, b: Value): Value {
  switch (token.text) {
    case '+': return sum(a, b);
    case '-': return sum(a, scale(b, -1n));
    case '*':
      if (isPlain(b) && b.addresses === 0) return scale(a, b.n);
      if (isPlain(a) && a.addresses === 0) return scale(b, a.n);
      break;
    case '==': case '=': case '!=': case '<>': case '<': case '>': case '<=': case '>=':
      return compare(token.text, sum(a, scale(b, -1n)));
  }
  if (!isPlain(a) || !isPlain(b)) throw new AssemblyError(token.column, `\`${token.text}' operator may only be applied to scalar values`);
  const unknown = a.unknown || b.unknown;
  return { ...plain(unknown ? 0n : scalar(token, a.n, b.n)), unknown };
}

function compare(op: string, difference: Value): Value {
  const d = difference.n;
  const truth = op === '==' || op === '=' ? d === 0n : op === '!=' || op === '<>' ? d !== 0n : op === '<' ? d < 0n : op === '>' ? d > 0n : op === '<=' ? d <= 0n : d >= 0n;
  return { ...plain(truth ? 1n : 0n), unknown: difference.unknown };
}

function scalar(token: Token, a: bigint, b: bigint): bigint {
  const u = (n: bigint): bigint => BigInt.asUintN(64, n);
  switch (token.text) {
    case '||': return a !== 0n || b !== 0n ? 1n : 0n;
    case '&&': return a !== 0n && b !== 0n ? 1n : 0n;
    case '|': return a | b;
    case '^': return a ^ b;
    case '&': return a & b;
    case '<<': case '<<<': return b < 0n || b > 63n ? 0n : a << b;
    case '>>': return b < 0n || b > 63n ? 0n : u(a) >> b;
    case '>>>': return b < 0n || b > 63n ? 0n : BigInt.asIntN(64, a) >> b;
  }
  if (b === 0n) throw new AssemblyError(token.column, 'division by zero');
  switch (token.text) {
    case '*': return a * b;
    case '/': return u(a) / u(b);
    case '//': return BigInt.asIntN(64, a) / BigInt.asIntN(64, b);
    case '%': return u(a) % u(b);
    default: return BigInt.asIntN(64, a) % BigInt.asIntN(64, b);
  }
}
