/**
 * Expressions of GNU as: sums of a number and symbols, whose places are known only when the sections are laid out.
 * Source: as info manual, "Expressions": three levels, `* / % << >>` above `| & ^ !` above `+ -` and comparisons.
 */

/** A mistake in one statement, in GNU's words. */
export class GasError extends Error {}

export type Expr = { op: 'number'; n: bigint } | { op: 'symbol'; name: string } | { op: 'one'; of: string; a: Expr } | { op: 'two'; of: string; a: Expr; b: Expr };

/** A number and how many times each symbol or section counts. */
export interface Sum {
  n: bigint;
  terms: Map<string, bigint>;
}

export interface Reader {
  text: string;
  at: number;
  /** The symbol that a name stands for here: `.`, 1f and 1b have their own. */
  symbol(name: string): string;
}

export const constant = (n: bigint): Expr => ({ op: 'number', n });

export function skipBlanks(reader: Reader): void {
  while (/[ \t]/.test(reader.text[reader.at] ?? '')) reader.at++;
}

/** Takes the text if it comes next. */
export function accept(reader: Reader, text: string): boolean {
  skipBlanks(reader);
  if (!reader.text.startsWith(text, reader.at)) return false;
  reader.at += text.length;
  return true;
}

const LEVELS: readonly (readonly string[])[] = [['||'], ['&&'], ['==', '!=', '<>', '<=', '>=', '<', '>', '+', '-'], ['|', '&', '^', '!'], ['<<', '>>', '*', '/', '%']];

export function expression(reader: Reader, level = 0): Expr {
  if (level === LEVELS.length) return unary(reader);
  let a = expression(reader, level + 1);
  for (;;) {
    skipBlanks(reader);
    const of = LEVELS[level]!.find((text) => reader.text.startsWith(text, reader.at));
    if (of === undefined || (of.length === 1 && LEVELS.some((list) => list.some((text) => text.length === 2 && text.startsWith(of) && reader.text.startsWith(text, reader.at))))) return a;
    reader.at += of.length;
    a = { op: 'two', of, a, b: expression(reader, level + 1) };
  }
}

const NUMBER = /0[xX][0-9a-fA-F]+|0[bB][01]+(?![0-9a-zA-Z])|[0-9]+/y;
const NAME = /[A-Za-z_.$][\w.$]*|[0-9]+[fb](?![0-9A-Za-z_])/y;
const QUOTED: Readonly<Record<string, number>> = { n: 10, t: 9, r: 13, b: 8, f: 12, '\\': 92, "'": 39, '"': 34 };

function unary(reader: Reader): Expr {
  skipBlanks(reader);
  for (const of of ['-', '~', '+', '!']) if (accept(reader, of)) return { op: 'one', of, a: unary(reader) };
  if (accept(reader, '(')) {
    const inner = expression(reader);
    if (!accept(reader, ')')) throw new GasError('missing `)\'');
    return inner;
  }
  if (reader.text[reader.at] === "'") return character(reader);
  NAME.lastIndex = reader.at;
  const name = NAME.exec(reader.text)?.[0];
  if (name !== undefined) {
    reader.at += name.length;
    return { op: 'symbol', name: reader.symbol(name) };
  }
  NUMBER.lastIndex = reader.at;
  const digits = NUMBER.exec(reader.text)?.[0];
  if (digits === undefined) throw new GasError('missing or invalid expression');
  reader.at += digits.length;
  return constant(BigInt(/^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits.replace(/^0B/, '0b').replace(/^0X/, '0x')));
}

function character(reader: Reader): Expr {
  const escaped = reader.text[reader.at + 1] === '\\';
  const c = reader.text[reader.at + (escaped ? 2 : 1)];
  if (c === undefined) throw new GasError('missing or invalid expression');
  reader.at += escaped ? 3 : 2;
  if (reader.text[reader.at] === "'") reader.at++;
  return constant(BigInt(escaped ? (QUOTED[c] ?? c.charCodeAt(0)) : c.charCodeAt(0)));
}

export function evaluate(expr: Expr, lookup: (name: string) => Sum): Sum {
  switch (expr.op) {
    case 'number': return { n: expr.n, terms: new Map() };
    case 'symbol': return lookup(expr.name);
    case 'one': {
      const a = evaluate(expr.a, lookup);
      if (expr.of === '+') return a;
      if (expr.of === '-') return added({ n: 0n, terms: new Map() }, a, -1n);
      return { n: expr.of === '~' ? ~number(a) : number(a) === 0n ? 1n : 0n, terms: new Map() };
    }
    case 'two': {
      const a = evaluate(expr.a, lookup);
      const b = evaluate(expr.b, lookup);
      if (expr.of === '+') return added(a, b, 1n);
      const less = added(a, b, -1n);
      if (expr.of === '-') return less;
      if (expr.of in COMPARE) return { n: COMPARE[expr.of]!(number(less)) ? -1n : 0n, terms: new Map() };
      return { n: computed(expr.of, number(a), number(b)), terms: new Map() };
    }
  }
}

const COMPARE: Readonly<Record<string, (difference: bigint) => boolean>> = {
  '==': (d) => d === 0n, '!=': (d) => d !== 0n, '<>': (d) => d !== 0n, '<': (d) => d < 0n, '>': (d) => d > 0n, '<=': (d) => d <= 0n, '>=': (d) => d >= 0n,
};

function number(sum: Sum): bigint {
  if (sum.terms.size > 0) throw new GasError('invalid operands for operator: a symbol that is not absolute');
  return sum.n;
}

function added(a: Sum, b: Sum, by: bigint): Sum {
  const terms = new Map(a.terms);
  for (const [name, times] of b.terms) {
    const n = (terms.get(name) ?? 0n) + by * times;
    if (n === 0n) terms.delete(name);
    else terms.set(name, n);
  }
  return { n: a.n + by * b.n, terms };
}

function computed(of: string, a: bigint, b: bigint): bigint {
  switch (of) {
    case '*': return a * b;
    case '<<': return b < 0n || b > 63n ? 0n : BigInt.asUintN(64, a << b);
    case '>>': return b < 0n || b > 63n ? 0n : BigInt.asUintN(64, a) >> b;
    case '|': return a | b;
    case '&': return a & b;
    case '^': return a ^ b;
    case '!': return a | ~b;
    case '&&': return a !== 0n && b !== 0n ? 1n : 0n;
    case '||': return a !== 0n || b !== 0n ? 1n : 0n;
  }
  if (b === 0n) throw new GasError('division by zero');
  return of === '/' ? a / b : a % b;
}
