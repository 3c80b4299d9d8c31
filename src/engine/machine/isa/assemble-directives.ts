/**
 * What a line may hold beside an instruction: data, room, repetitions, and the directives that say where code lies and of what kind it is.
 * Source: NASM manual 3.2, 7, 8.1. Left out: `follows=`, `vfollows=`, other than 4- and 8-byte floating-point numbers.
 */
import { exceeds } from './assemble-encode.ts';
import { AssemblyError, columnOf, type Cursor, expression, peek, take, type Token, type Value } from './assemble-expression.ts';
import { instruction, isPrefix } from './assemble-instruction.ts';
import { type Bits, little } from './assemble-operand.ts';
import { ABSOLUTE, here, type Pass, put, putMany, room, scopeOf, sectionNamed, warn } from './assemble-pass.ts';
import { FORMS } from './forms.ts';

const DATA: ReadonlyMap<string, number> = new Map([['db', 1], ['dw', 2], ['dd', 4], ['dq', 8], ['dt', 10], ['do', 16], ['dy', 32], ['dz', 64]]);
const RESERVE: ReadonlyMap<string, number> = new Map([['resb', 1], ['resw', 2], ['resd', 4], ['resq', 8], ['rest', 10], ['reso', 16], ['resy', 32], ['resz', 64]]);

/** Whether a line's first word is no label. */
export const isWord = (text: string): boolean => {
  const w = text.toLowerCase();
  return FORMS.has(w) || DATA.has(w) || RESERVE.has(w) || isPrefix(w) || DIRECTIVES.has(w) || w === 'times' || w === 'incbin' || w === 'equ';
};

/** Runs the line if it is a directive, in brackets or without. */
export function directive(pass: Pass, words: readonly Token[]): boolean {
  const [first, second] = words;
  const bracket = first!.kind === 'punct' && first!.text === '[';
  const token = bracket ? second : first;
  const run = token?.kind === 'name' ? DIRECTIVES.get(token.text.toLowerCase()) : undefined;
  if (!bracket && !run) return false;
  if (bracket && !words.some(({ kind, text }) => kind === 'punct' && text === ']')) throw new AssemblyError(1, 'invalid directive line');
  if (!token || !run) throw new AssemblyError(token?.column ?? 1, `unrecognized directive [${token?.text ?? ''}]`);
  const cursor: Cursor = { tokens: bracket ? words.filter(({ text }) => text !== ']') : words, at: bracket ? 2 : 1 };
  run(pass, cursor);
  ended(cursor);
  return true;
}

function ended(cursor: Cursor): void {
  if (cursor.at < cursor.tokens.length) throw new AssemblyError(columnOf(cursor), 'comma, colon, decorator or end of line expected after operand');
}

/** An instruction, data, or one of these several times. */
export function statement(pass: Pass, words: readonly Token[]): void {
  const cursor: Cursor = { tokens: words, at: 0 };
  repeatable(pass, cursor, 0);
  ended(cursor);
}

/** What stands behind `equ`, and the first word that does not belong to it. */
export function equal(pass: Pass, words: readonly Token[]): { value: Value; rest: Token | undefined } {
  const cursor: Cursor = { tokens: words, at: 1 };
  const value = expression(cursor, scopeOf(pass, here(pass)));
  return { value, rest: peek(cursor) };
}

/** A plain number that must not depend on what comes later. */
function critical(pass: Pass, cursor: Cursor): bigint {
  const column = columnOf(cursor);
  const value = expression(cursor, scopeOf(pass, here(pass)));
  if (value.unknown) return 0n;
  if (value.addresses !== 0 || value.registers.length > 0) throw new AssemblyError(column, 'attempt to use a non-constant value');
  return value.n;
}

function mode(bits: Bits) {
  return (pass: Pass): void => {
    pass.bits = bits;
  };
}

function section(pass: Pass, cursor: Cursor): void {
  const token = peek(cursor);
  if (!token) throw new AssemblyError(columnOf(cursor), 'segment name not recognized');
  cursor.at++;
  pass.section = sectionNamed(pass, token.text);
  while (peek(cursor)) attribute(pass, cursor);
}

function attribute(pass: Pass, cursor: Cursor): void {
  const { section: now } = pass;
  const token = peek(cursor)!;
  const word = token.text.toLowerCase();
  cursor.at++;
  if (word === 'nobits' || word === 'progbits') now.bytes = word === 'progbits';
  else if (/^(align|start|vstart)$/.test(word) && take(cursor, '=')) {
    const n = critical(pass, cursor);
    if (word === 'start') now.wantedStart = n;
    else if (word === 'vstart') now.wantedAddress = n;
    else if (n <= 0n || (n & (n - 1n)) !== 0n) throw new AssemblyError(token.column, 'argument to `align\' is not power of two');
    else now.align = Math.max(now.align, Number(n));
  } else if (word === 'follows' || word === 'vfollows') throw new AssemblyError(token.column, `not modelled: section attribute \`${word}'`);
  else if (!/^(exec|noexec|write|nowrite|alloc|noalloc|code|data|text|rdata|bss|use16|use32|use64)$/.test(word)) throw new AssemblyError(token.column, `unknown section attribute '${token.text}' ignored in declaration of section \`${now.name}'`);
}

const skip = (_pass: Pass, cursor: Cursor): void => {
  cursor.at = cursor.tokens.length;
};

const DIRECTIVES: ReadonlyMap<string, (pass: Pass, cursor: Cursor) => void> = new Map(Object.entries<(pass: Pass, cursor: Cursor) => void>({
  bits(pass, cursor) {
    const token = peek(cursor);
    const n = token?.kind === 'number' ? Number(token.value) : 0;
    if (n !== 16 && n !== 32 && n !== 64) throw new AssemblyError(columnOf(cursor), `\`${token?.text ?? ''}' is not a valid segment size; must be 16, 32 or 64`);
    cursor.at++;
    pass.bits = n;
  },
  use16: mode(16), use32: mode(32), use64: mode(64),
  org(pass, cursor) {
    const column = columnOf(cursor);
    const origin = critical(pass, cursor);
    if (pass.originSet && origin !== pass.origin) throw new AssemblyError(column, 'program origin redefined');
    if (!pass.originSet) pass.section.address += origin - pass.origin;
    pass.origin = origin;
    pass.originSet = true;
  },
  default(pass, cursor) {
    const word = peek(cursor)?.text.toLowerCase();
    if (word !== 'rel' && word !== 'abs') throw new AssemblyError(columnOf(cursor), 'unrecognized DEFAULT');
    pass.defaultRel = word === 'rel';
    cursor.at++;
  },
  align: (pass, cursor) => aligned(pass, cursor, 0x90),
  alignb: (pass, cursor) => aligned(pass, cursor, 0),
  section, segment: section,
  absolute(pass, cursor) {
    const n = expression(cursor, scopeOf(pass, here(pass))).n;
    const name = `${ABSOLUTE}${pass.sections.length}`;
    pass.section = { ...sectionNamed(pass, name), name: ABSOLUTE, bytes: false, address: n, start: n };
    pass.sections = pass.sections.filter((one) => one.name !== name);
  },
  global: skip, cpu: skip, extern: skip, common: skip, static: skip, warning: skip, map: skip, list: skip, required: skip,
}));

function aligned(pass: Pass, cursor: Cursor, filler: number): void {
  const column = columnOf(cursor);
  const to = critical(pass, cursor);
  if (to <= 0n || (to & (to - 1n)) !== 0n) throw new AssemblyError(column, `alignment \`${to}' is not a power of two`);
  const { section: now } = pass;
  if (now.align < Number(to)) now.align = Number(to);
  const missing = room(pass, (to - (BigInt(now.size) % to)) % to, column);
  if (!take(cursor, ',')) return putMany(pass, missing, filler);
  const before = now.size;
  const from = cursor.at;
  if (missing > 0) repeatable(pass, cursor, 0);
  const size = now.size - before;
  if (size === 1) again(pass, missing - 1, size);
  else for (let n = 1; n < missing && size > 0; n++) {
    cursor.at = from;
    repeatable(pass, cursor, 0);
  }
  cursor.at = cursor.tokens.length;
}

function repeatable(pass: Pass, cursor: Cursor, depth: number): void {
  const token = peek(cursor);
  if (token?.kind !== 'name') throw new AssemblyError(columnOf(cursor), depth === 0 ? 'label or instruction expected at start of line' : 'parser: instruction expected');
  const word = token.text.toLowerCase();
  cursor.at++;
  if (word === 'times') return times(pass, cursor, token, depth);
  const size = DATA.get(word);
  if (size !== undefined) return data(pass, cursor, size);
  const unit = RESERVE.get(word);
  if (unit !== undefined) return reserve(pass, cursor, unit, token);
  if (word === 'incbin') return included(pass, cursor, token);
  instruction(pass, cursor, token);
}

function reserve(pass: Pass, cursor: Cursor, size: number, token: Token): void {
  const count = room(pass, critical(pass, cursor) * BigInt(size), token.column);
  if (pass.section.bytes && count > 0) warn(pass, `uninitialized space declared in ${pass.section.name} section: zeroing [-w+zeroing]`);
  putMany(pass, count, 0);
}

function included(pass: Pass, cursor: Cursor, token: Token): void {
  const name = peek(cursor);
  if (name?.kind !== 'string') throw new AssemblyError(token.column, '`incbin\' expects a file name');
  cursor.at++;
  const bytes = pass.binary(name.text);
  if (!bytes) throw new AssemblyError(token.column, `\`incbin': unable to open file \`${name.text}'`);
  const numbers: bigint[] = [];
  while (take(cursor, ',')) numbers.push(critical(pass, cursor));
  const [skipped = 0n, most = BigInt(bytes.length)] = numbers;
  const from = Number(skipped);
  put(pass, [...bytes.subarray(from, Math.min(bytes.length, from + Number(most)))]);
}

function times(pass: Pass, cursor: Cursor, token: Token, depth: number): void {
  if (depth > 4) throw new AssemblyError(token.column, 'TIMES nests too deep');
  const count = room(pass, critical(pass, cursor), token.column);
  const from = cursor.at;
  const { section: now } = pass;
  const before = now.size;
  const { addresses } = pass;
  for (let n = 0; n < count; n++) {
    cursor.at = from;
    repeatable(pass, cursor, depth + 1);
    if (now.size > LIMIT) throw new AssemblyError(token.column, 'the image grows beyond 64 MiB');
    if (n === 0 && pass.addresses === addresses && !pass.varies) return again(pass, count - 1, now.size - before);
  }
  if (count === 0) cursor.at = cursor.tokens.length;
}
const LIMIT = 64 * 1024 * 1024;

/** The last `size` bytes `count` times more. */
function again(pass: Pass, count: number, size: number): void {
  const { section: now } = pass;
  if (now.size + count * size > LIMIT) throw new AssemblyError(1, 'the image grows beyond 64 MiB');
  now.size += count * size;
  if (!pass.last || !now.bytes) return;
  const bytes = now.data.slice(now.data.length - size);
  for (let n = 0; n < count; n++) for (const byte of bytes) now.data.push(byte);
}

function data(pass: Pass, cursor: Cursor, size: number): void {
  const at = here(pass);
  const out: number[] = [];
  const told: string[] = [];
  if (!peek(cursor)) return warn(pass, 'no operand for data declaration [-w+db-empty]');
  do {
    const column = columnOf(cursor);
    const signed = peek(cursor)?.text === '-' ? 1 : 0;
    if (cursor.tokens[cursor.at + signed]?.float !== undefined) {
      cursor.at += signed;
      for (const byte of floating(cursor, size, signed === 1 ? -1 : 1)) out.push(byte);
      continue;
    }
    const value = expression(cursor, scopeOf(pass, at));
    if (value.registers.length > 0) throw new AssemblyError(column, 'expression is not simple or relocatable');
    if (value.string !== undefined) {
      const encoded = new TextEncoder().encode(value.string);
      for (const byte of encoded) out.push(byte);
      for (let pad = (size - (encoded.length % size)) % size; pad > 0; pad--) out.push(0);
      continue;
    }
    if (size > 8) throw new AssemblyError(column, `integer supplied as ${size * 8}-bit data`);
    if (value.addresses === 0) exceeds(value.n, size, told);
    little(out, value.n, size);
  } while (take(cursor, ','));
  for (const text of told) warn(pass, text);
  put(pass, out);
}

/** A floating-point number of 4 or 8 bytes. */
function floating(cursor: Cursor, size: number, sign: number): Uint8Array {
  const token = peek(cursor)!;
  if (size !== 4 && size !== 8) throw new AssemblyError(token.column, `not modelled: floating-point numbers of ${size} bytes`);
  cursor.at++;
  const view = new DataView(new ArrayBuffer(size));
  if (size === 4) view.setFloat32(0, sign * token.float!, true);
  else view.setFloat64(0, sign * token.float!, true);
  return new Uint8Array(view.buffer);
}
