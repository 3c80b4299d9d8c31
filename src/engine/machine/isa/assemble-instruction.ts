/**
 * An instruction's line read: prefixes, the mnemonic, its operands with their sizes and distances. Source: NASM manual 3.1 to 3.3, 3.7.
 */
import { encode, prefixByte } from './assemble-encode.ts';
import { AssemblyError, columnOf, type Cursor, expression, peek, take, type Token } from './assemble-expression.ts';
import { IMPOSSIBLE, type MemoryOperand, type Operand, REGISTERS, SEGMENT_PREFIX, type Size } from './assemble-operand.ts';
import { here, type Pass, put, scopeOf, warn } from './assemble-pass.ts';
import { FORMS } from './forms.ts';

const SIZES: ReadonlyMap<string, Size> = new Map([['byte', 1], ['word', 2], ['dword', 4], ['qword', 8], ['tword', 10], ['oword', 16]]);
const OPERAND_SIZE: ReadonlyMap<string, number> = new Map([['o16', 2], ['o32', 4], ['o64', 8]]);
const ADDRESS_SIZE: ReadonlyMap<string, number> = new Map([['a16', 2], ['a32', 4], ['a64', 8]]);
/** Jumps that start short and grow. */
const GROWS = /^j/;

export const isPrefix = (word: string): boolean => prefixByte(word) !== undefined || OPERAND_SIZE.has(word) || ADDRESS_SIZE.has(word);

interface Lead {
  bytes: number[];
  operandSize: number;
  addressSize: number;
  /** Prefixes that only a size turned into bytes. */
  alone: number[];
}

/** Takes the word as a prefix if it is one. */
function prefix(pass: Pass, lead: Lead, word: string): boolean {
  const byte = prefixByte(word) ?? SEGMENT_PREFIX[word];
  if (byte !== undefined) lead.bytes.push(byte);
  else if (OPERAND_SIZE.has(word)) {
    lead.operandSize = OPERAND_SIZE.get(word)!;
    if (lead.operandSize * 8 !== pass.bits && lead.operandSize !== 8 && !(lead.operandSize === 4 && pass.bits === 64)) lead.alone.push(0x66);
  } else if (ADDRESS_SIZE.has(word)) {
    lead.addressSize = ADDRESS_SIZE.get(word)!;
    if (lead.addressSize * 8 !== pass.bits) lead.alone.push(0x67);
  } else return false;
  return true;
}

export function instruction(pass: Pass, cursor: Cursor, first: Token): void {
  const at = here(pass);
  const lead: Lead = { bytes: [], operandSize: 0, addressSize: 0, alone: [] };
  let token = first;
  while (prefix(pass, lead, token.text.toLowerCase())) {
    const next = peek(cursor);
    if (next?.kind !== 'name') return put(pass, [...lead.bytes, ...lead.alone]);
    token = next;
    cursor.at++;
  }
  let mnemonic = token.text.toLowerCase();
  if (lead.operandSize === 8 && mnemonic === 'sysret') mnemonic = 'o64sysret';
  if (!FORMS.has(mnemonic)) throw new AssemblyError(token.column, 'parser: instruction expected');
  if (lead.addressSize === 2 && pass.bits === 64) throw new AssemblyError(token.column, `${IMPOSSIBLE}\n16-bit addressing is not supported in 64-bit mode`);
  const operands: Operand[] = [];
  if (peek(cursor)) {
    do operands.push(operand(pass, cursor, at));
    while (take(cursor, ','));
  }
  if (GROWS.test(mnemonic) && operands[0]?.kind === 'immediate') pass.varies = true;
  const { operandSize, addressSize } = lead;
  put(pass, encode(mnemonic, operands, {
    here: at, bits: pass.bits, defaultRel: pass.defaultRel, prefixes: lead.bytes, operandSize, addressSize, warn: pass.last ? (text) => warn(pass, text) : undefined,
  }, token.column));
}

function operand(pass: Pass, cursor: Cursor, at: bigint): Operand {
  const column = columnOf(cursor);
  let size: Size | null = null;
  let strict = false;
  let distance: 'short' | 'near' | 'far' | null = null;
  for (let token = peek(cursor); token?.kind === 'name'; token = peek(cursor)) {
    const word = token.text.toLowerCase();
    const bytes = SIZES.get(word);
    if (bytes !== undefined) size = bytes;
    else if (word === 'strict') strict = true;
    else if (word === 'short' || word === 'near' || word === 'far') distance = word;
    else if (word !== 'ptr') break;
    cursor.at++;
  }
  if (take(cursor, '[')) return memoryOperand(pass, cursor, at, column, size, distance === 'far');
  const token = peek(cursor);
  const register = token?.kind === 'name' ? REGISTERS.get(token.text.toLowerCase()) : undefined;
  if (token && register) {
    cursor.at++;
    return { kind: 'register', column, name: token.text.toLowerCase(), ...register };
  }
  const value = expression(cursor, scopeOf(pass, at));
  if (value.registers.length > 0) throw new AssemblyError(column, 'invalid operand type');
  if (take(cursor, ':')) {
    const target = expression(cursor, scopeOf(pass, at));
    if (target.registers.length > 0) throw new AssemblyError(column, 'invalid operand type');
    return { kind: 'far', column, selector: value, value: target, size };
  }
  if (distance === 'far') throw new AssemblyError(column, 'mismatch in operand sizes');
  return { kind: 'immediate', column, value, size, strict, distance };
}

const DISPLACEMENTS: ReadonlyMap<string, 1 | 2 | 4 | 8> = new Map([['byte', 1], ['word', 2], ['dword', 4], ['qword', 8]]);

function memoryOperand(pass: Pass, cursor: Cursor, at: bigint, column: number, size: Size | null, far: boolean): MemoryOperand {
  let segment: string | null = null;
  let mode: 'abs' | 'rel' | null = null;
  let displacement: MemoryOperand['displacement'] = null;
  for (let token = peek(cursor); token?.kind === 'name'; token = peek(cursor)) {
    const word = token.text.toLowerCase();
    if (word === 'rel' || word === 'abs') mode = word;
    else if (DISPLACEMENTS.has(word)) displacement = DISPLACEMENTS.get(word)!;
    else if (cursor.tokens[cursor.at + 1]?.text === ':' && REGISTERS.get(word)?.group === 'segment') {
      segment = word;
      cursor.at++;
    } else if (word !== 'nosplit') break;
    cursor.at++;
  }
  const value = expression(cursor, scopeOf(pass, at));
  if (!take(cursor, ']')) throw new AssemblyError(columnOf(cursor), "expecting `]'");
  if (value.addresses < 0 || value.addresses > 1) throw new AssemblyError(column, 'invalid effective address: multiple base segments');
  if (value.registers.length === 0 && mode !== 'abs') pass.addresses++;
  return { kind: 'memory', column, value, size, far, segment, mode, displacement };
}
