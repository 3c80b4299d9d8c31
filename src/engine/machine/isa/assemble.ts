/**
 * An assembler for flat 64-bit images in NASM's syntax: the guests of this house and whatever people write in it.
 * Passes repeat until no label moves (jumps start short and grow), then one more writes. Its bytes are NASM's.
 * Source: NASM manual 3, 6, 7.1 (bin format). Left out: sections other than one flat run (`section` is read and .bss, .data
 * follow .text in the order written), bits 16 and 32, object formats, floating point.
 */
import { AssemblyError, columnOf, type Cursor, expression, peek, type Scope, take, type Token, tokens, type Value } from './assemble-expression.ts';
import { encode, little, type Operand, prefixByte, REGISTERS, type Size } from './assemble-encode.ts';
import { type Include, type Line, type Mistake, preprocess } from './assemble-source.ts';
import { FORMS } from './forms.ts';

export interface AssembledError {
  file: string;
  line: number;
  /** 1-based. */
  column: number;
  /** "file:line: error: message", as NASM prints it. */
  text: string;
}

export interface Assembled {
  bytes: Uint8Array;
  origin: bigint;
  /** Full names, local ones as "label.local". */
  labels: ReadonlyMap<string, bigint>;
  /** What each source line produced, in order; the file where it is an included one's. */
  lines: { line: number; file: string | null; address: bigint; length: number }[];
  errors: AssembledError[];
}

interface Pass {
  symbols: Map<string, { n: bigint; address: boolean }>;
  previous: Map<string, { n: bigint; address: boolean }>;
  /** Errors count, undefined symbols too. */
  last: boolean;
  out: number[];
  origin: bigint;
  scope: string;
  defaultRel: boolean;
  lines: Assembled['lines'];
  mistakes: Mistake[];
  /** A symbol that is already this pass's, not the one before's. */
  defined: Set<string>;
}

const PASSES = 60;
const LARGEST = 64 * 1024 * 1024;
const DATA: Record<string, number> = { db: 1, dw: 2, dd: 4, dq: 8 };
const RESERVE: Record<string, number> = { resb: 1, resw: 2, resd: 4, resq: 8 };
const SIZES: Record<string, Size> = { byte: 1, word: 2, dword: 4, qword: 8, tword: 10, oword: 16 };

/** `include` gives the text of files that the source includes. */
export function assemble(source: string, file = 'input.asm', include: Include = () => null): Assembled {
  const { lines, mistakes } = preprocess(source, include);
  let parsed: Parsed[] = [];
  const errors = mistakes.slice();
  for (const line of lines) {
    try {
      const words = tokens(line.text);
      if (words.length > 0) parsed.push({ number: line.number, file: line.file, words });
    } catch (error) {
      if (!(error instanceof AssemblyError)) throw error;
      errors.push({ line: line.number, column: error.column, text: error.message, file: line.file });
    }
  }
  if (errors.length > 0) parsed = [];
  let previous: Pass['symbols'] = new Map();
  let pass = runPass(parsed, previous, false);
  for (let n = 0; n < PASSES && !same(pass.symbols, previous); n++) {
    previous = pass.symbols;
    pass = runPass(parsed, previous, false);
  }
  pass = runPass(parsed, pass.symbols, true);
  const all = [...errors, ...pass.mistakes].sort((a, b) => a.line - b.line || a.column - b.column);
  return {
    bytes: Uint8Array.from(all.length > 0 ? [] : pass.out), origin: pass.origin, lines: pass.lines,
    labels: new Map([...pass.symbols].map(([name, s]) => [name, s.n])),
    errors: all.map((m) => ({ file: m.file ?? file, line: m.line, column: m.column, text: `${m.file ?? file}:${m.line}: error: ${m.text}` })),
  };
}

interface Parsed {
  number: Line['number'];
  file: Line['file'];
  words: Token[];
  /** What it always gives, wherever it stands; null: that depends; undefined: not assembled yet. */
  fixed?: number[] | null;
}

/** An instruction of registers and numbers alone, without a memory operand that might be relative to it. */
function staysSame(words: readonly Token[]): boolean {
  if (words[0]?.kind !== 'name' || !(FORMS.has(words[0].text.toLowerCase()) || prefixByte(words[0].text.toLowerCase()) !== undefined)) return false;
  return words.every(({ kind, text }, n) => {
    const name = text.toLowerCase();
    if (kind === 'name') return n === 0 || REGISTERS.has(name) || name in SIZES || FORMS.has(name);
    if (kind === 'punct' && text === '[') return words[n + 1]?.kind === 'name' && REGISTERS.has(words[n + 1]!.text.toLowerCase());
    return kind === 'number' || (kind === 'punct' && !text.startsWith('$'));
  });
}

function same(a: Pass['symbols'], b: Pass['symbols']): boolean {
  if (a.size !== b.size) return false;
  for (const [name, s] of a) if (b.get(name)?.n !== s.n) return false;
  return true;
}

function runPass(lines: readonly Parsed[], previous: Pass['symbols'], last: boolean): Pass {
  const pass: Pass = { symbols: new Map(), previous, last, out: [], origin: 0n, scope: '', defaultRel: false, lines: [], mistakes: [], defined: new Set() };
  for (const line of lines) {
    const from = pass.out.length;
    try {
      if (line.fixed) for (const byte of line.fixed) pass.out.push(byte);
      else statement(pass, line);
      if (line.fixed === undefined) line.fixed = staysSame(line.words) ? pass.out.slice(from) : null;
    } catch (error) {
      if (!(error instanceof AssemblyError)) throw error;
      if (last) pass.mistakes.push({ line: line.number, column: error.column, text: error.message, file: line.file });
    }
    if (pass.out.length > from) pass.lines.push({ line: line.number, file: line.file, address: pass.origin + BigInt(from), length: pass.out.length - from });
  }
  return pass;
}

const here = (pass: Pass): bigint => pass.origin + BigInt(pass.out.length);

function fullName(pass: Pass, name: string): string {
  return name.startsWith('.') && !name.startsWith('..') ? pass.scope + name : name;
}

function scopeOf(pass: Pass, at: bigint): Scope {
  return {
    symbol(name, column) {
      const full = fullName(pass, name);
      const found = pass.symbols.get(full) ?? pass.previous.get(full);
      if (!found && pass.last) throw new AssemblyError(column, `symbol \`${full}' not defined`);
      return found;
    },
    isRegister: (name) => REGISTERS.has(name),
    here: at, start: pass.origin,
  };
}

const isWord = (text: string): boolean => {
  const w = text.toLowerCase();
  return FORMS.has(w) || w in DATA || w in RESERVE || w === 'times' || prefixByte(w) !== undefined || w in DIRECTIVES || w === 'incbin' || w === 'o64';
};

function statement(pass: Pass, line: Parsed): void {
  const cursor: Cursor = { tokens: line.words, at: 0 };
  const first = peek(cursor)!;
  if (first.kind === 'punct' && first.text === '[') {
    cursor.at++;
    return directive(pass, { tokens: line.words.filter((t) => t.text !== ']'), at: 1 });
  }
  if (first.kind !== 'name') throw new AssemblyError(first.column, 'label or instruction expected at start of line');
  const second = line.words[1];
  const colon = second?.kind === 'punct' && second.text === ':';
  if (colon || !isWord(first.text)) {
    cursor.at = colon ? 2 : 1;
    const next = peek(cursor);
    if (next?.kind === 'name' && next.text.toLowerCase() === 'equ') {
      cursor.at++;
      return equate(pass, first, cursor);
    }
    if (!colon && next && !(next.kind === 'name' && isWord(next.text))) throw new AssemblyError(first.column, `parser: instruction expected`);
    label(pass, first);
    if (!next) return;
  }
  instructionOrData(pass, cursor, 0);
  if (cursor.at < cursor.tokens.length) throw new AssemblyError(columnOf(cursor), 'comma, colon, decorator or end of line expected after operand');
}

function define(pass: Pass, token: Token, full: string, n: bigint, address: boolean): void {
  if (pass.defined.has(full)) throw new AssemblyError(token.column, `label \`${full}' inconsistently redefined`);
  pass.defined.add(full);
  pass.symbols.set(full, { n, address });
}

function label(pass: Pass, token: Token): void {
  if (REGISTERS.has(token.text.toLowerCase())) throw new AssemblyError(token.column, `invalid use of register name \`${token.text}' as a label`);
  const full = fullName(pass, token.text);
  if (!token.text.startsWith('.')) pass.scope = token.text;
  define(pass, token, full, here(pass), true);
}

function equate(pass: Pass, token: Token, cursor: Cursor): void {
  const value = expression(cursor, scopeOf(pass, here(pass)));
  const full = fullName(pass, token.text);
  if (value.unknown && !pass.last) return;
  if (value.registers.length > 0 || value.addresses > 1 || value.addresses < 0) throw new AssemblyError(token.column, 'bad syntax for EQU');
  define(pass, token, full, value.n, value.addresses === 1);
  if (cursor.at < cursor.tokens.length) throw new AssemblyError(columnOf(cursor), 'expression syntax error');
}

/** A plain number that must not depend on what comes later. */
function critical(pass: Pass, cursor: Cursor): bigint {
  const column = columnOf(cursor);
  const value = expression(cursor, scopeOf(pass, here(pass)));
  if (value.unknown) return 0n;
  if (value.addresses !== 0 || value.registers.length > 0) throw new AssemblyError(column, 'attempt to use a non-constant value');
  return value.n;
}

function room(pass: Pass, n: bigint, column: number): number {
  if (n < 0n) throw new AssemblyError(column, `TIMES value ${n} is negative`);
  if (n + BigInt(pass.out.length) > BigInt(LARGEST)) throw new AssemblyError(column, 'the image grows beyond 64 MiB');
  return Number(n);
}

const DIRECTIVES: Record<string, (pass: Pass, cursor: Cursor) => void> = {
  bits(pass, cursor) {
    const column = columnOf(cursor);
    if (critical(pass, cursor) !== 64n) throw new AssemblyError(column, 'only `bits 64\' is supported: guests are entered in long mode');
  },
  use64() {},
  org(pass, cursor) {
    pass.origin = critical(pass, cursor);
  },
  default(pass, cursor) {
    const word = peek(cursor)?.text.toLowerCase();
    if (word !== 'rel' && word !== 'abs') throw new AssemblyError(columnOf(cursor), 'unrecognized DEFAULT');
    pass.defaultRel = word === 'rel';
    cursor.at++;
  },
  align: aligned,
  alignb: aligned,
  section: skip, segment: skip, global: skip, cpu: skip, extern: skip,
};

function skip(_pass: Pass, cursor: Cursor): void {
  cursor.at = cursor.tokens.length;
}

function aligned(pass: Pass, cursor: Cursor): void {
  const column = columnOf(cursor);
  const to = critical(pass, cursor);
  if (to <= 0n || (to & (to - 1n)) !== 0n) throw new AssemblyError(column, `alignment \`${to}' is not a power of two`);
  const missing = room(pass, (to - (BigInt(pass.out.length) % to)) % to, column);
  if (take(cursor, ',')) {
    const from = cursor.at;
    for (let n = 0; n < missing; n++) {
      cursor.at = from;
      const before = pass.out.length;
      instructionOrData(pass, cursor, 0);
      if (pass.out.length - before !== 1) n += pass.out.length - before - 1;
    }
    cursor.at = cursor.tokens.length;
  } else for (let n = 0; n < missing; n++) pass.out.push(0x90);
}

function directive(pass: Pass, cursor: Cursor): void {
  const token = peek(cursor);
  const run = DIRECTIVES[token?.text.toLowerCase() ?? ''];
  if (!token || !run) throw new AssemblyError(token?.column ?? 1, `unrecognized directive [${token?.text ?? ''}]`);
  cursor.at++;
  run(pass, cursor);
}

function instructionOrData(pass: Pass, cursor: Cursor, depth: number): void {
  const token = peek(cursor);
  if (token?.kind !== 'name') throw new AssemblyError(columnOf(cursor), 'instruction expected');
  const word = token.text.toLowerCase();
  if (word in DIRECTIVES) return directive(pass, cursor);
  cursor.at++;
  if (word === 'times') return times(pass, cursor, token, depth);
  if (word in DATA) return data(pass, cursor, DATA[word]!);
  if (word in RESERVE) {
    const count = room(pass, critical(pass, cursor) * BigInt(RESERVE[word]!), token.column);
    for (let n = 0; n < count; n++) pass.out.push(0);
    return;
  }
  if (word === 'incbin') throw new AssemblyError(token.column, '`incbin\' is not supported');
  instruction(pass, cursor, token);
}

function times(pass: Pass, cursor: Cursor, token: Token, depth: number): void {
  if (depth > 4) throw new AssemblyError(token.column, 'TIMES nests too deep');
  const count = room(pass, critical(pass, cursor), token.column);
  const from = cursor.at;
  for (let n = 0; n < count; n++) {
    cursor.at = from;
    instructionOrData(pass, cursor, depth + 1);
    if (pass.out.length > LARGEST) throw new AssemblyError(token.column, 'the image grows beyond 64 MiB');
  }
  if (count === 0) cursor.at = cursor.tokens.length;
}

function data(pass: Pass, cursor: Cursor, size: number): void {
  const at = here(pass);
  do {
    const column = columnOf(cursor);
    const value = expression(cursor, scopeOf(pass, at));
    if (value.registers.length > 0) throw new AssemblyError(column, 'expression is not simple or relocatable');
    if (value.string === undefined) {
      little(pass.out, value.n, size);
      continue;
    }
    const encoded = new TextEncoder().encode(value.string);
    for (const byte of encoded) pass.out.push(byte);
    for (let pad = (size - (encoded.length % size)) % size; pad > 0; pad--) pass.out.push(0);
  } while (take(cursor, ','));
}

function instruction(pass: Pass, cursor: Cursor, first: Token): void {
  const at = here(pass);
  let token = first;
  const prefixes: number[] = [];
  for (let byte = prefixByte(token.text.toLowerCase()); byte !== undefined; byte = prefixByte(token.text.toLowerCase())) {
    prefixes.push(byte);
    const next = peek(cursor);
    if (next?.kind !== 'name') {
      pass.out.push(...prefixes);
      return;
    }
    token = next;
    cursor.at++;
  }
  let mnemonic = token.text.toLowerCase();
  if (mnemonic === 'o64' && peek(cursor)?.text.toLowerCase() === 'sysret') {
    mnemonic = 'o64sysret';
    cursor.at++;
  }
  if (!FORMS.has(mnemonic)) throw new AssemblyError(token.column, `instruction expected, found \`${token.text}'`);
  const operands: Operand[] = [];
  if (peek(cursor)) {
    do operands.push(operand(pass, cursor, at));
    while (take(cursor, ','));
  }
  for (const byte of encode(mnemonic, operands, { here: at, defaultRel: pass.defaultRel, prefixes }, token.column)) pass.out.push(byte);
}

function operand(pass: Pass, cursor: Cursor, at: bigint): Operand {
  const column = columnOf(cursor);
  let size: Size | null = null;
  let strict = false;
  let distance: 'short' | 'near' | null = null;
  for (let token = peek(cursor); token?.kind === 'name'; token = peek(cursor)) {
    const word = token.text.toLowerCase();
    if (word in SIZES) size = SIZES[word]!;
    else if (word === 'strict') strict = true;
    else if (word === 'short' || word === 'near') distance = word;
    else if (word !== 'ptr') break;
    cursor.at++;
  }
  if (take(cursor, '[')) return memoryOperand(pass, cursor, at, column, size);
  const token = peek(cursor);
  const register = token?.kind === 'name' ? REGISTERS.get(token.text.toLowerCase()) : undefined;
  if (token && register) {
    cursor.at++;
    return { kind: 'register', column, name: token.text.toLowerCase(), ...register };
  }
  const value = expression(cursor, scopeOf(pass, at));
  if (value.registers.length > 0) throw new AssemblyError(column, 'invalid operand type');
  return { kind: 'immediate', column, value, size, strict, distance };
}

function memoryOperand(pass: Pass, cursor: Cursor, at: bigint, column: number, size: Size | null): Operand {
  let segment: string | null = null;
  let mode: 'abs' | 'rel' | null = null;
  let displacement: 1 | 4 | null = null;
  for (let token = peek(cursor); token?.kind === 'name'; token = peek(cursor)) {
    const word = token.text.toLowerCase();
    const colon = cursor.tokens[cursor.at + 1]?.text === ':';
    if (word === 'rel' || word === 'abs') mode = word;
    else if (word === 'byte') displacement = 1;
    else if (word === 'dword') displacement = 4;
    else if (word === 'qword') throw new AssemblyError(token.column, '64-bit absolute addresses are not supported');
    else if (colon && REGISTERS.get(word)?.group === 'segment') {
      segment = word;
      cursor.at++;
    } else break;
    cursor.at++;
  }
  const value: Value = expression(cursor, scopeOf(pass, at));
  if (!take(cursor, ']')) throw new AssemblyError(columnOf(cursor), "expecting `]'");
  if (value.addresses < 0 || value.addresses > 1) throw new AssemblyError(column, 'invalid effective address: multiple base segments');
  return { kind: 'memory', column, value, size, segment, mode, displacement };
}
