/**
 * Operands of an instruction as the assemblers read them, and the bytes of one in memory: ModRM, SIB and displacement with 16-, 32-
 * and 64-bit addresses. Source: SDM 2A tables 2-1 to 2-3, 2.2.1.6 (RIP-relative). Left out: VSIB.
 */
import { AssemblyError, type Value } from './assemble-expression.ts';

export type Size = 1 | 2 | 4 | 8 | 10 | 16;
export type Bits = 16 | 32 | 64;

/** An addressing form not to be rearranged: register numbers or -1, `size` bytes wide. */
export interface Written {
  base: number;
  index: number;
  scale: number;
  size: number;
}

export interface MemoryOperand {
  kind: 'memory';
  column: number;
  value: Value;
  size: Size | null;
  /** Written `far`. */
  far?: boolean;
  segment: string | null;
  mode: 'abs' | 'rel' | null;
  displacement: 1 | 2 | 4 | 8 | null;
  written?: Written;
}

export interface ImmediateOperand {
  kind: 'immediate';
  column: number;
  value: Value;
  size: Size | null;
  strict: boolean;
  distance: 'short' | 'near' | null;
}

export type Operand =
  | { kind: 'register'; column: number; name: string; group: RegisterGroup; number: number; size: Size; /** spl bpl sil dil */ rex: boolean; high: boolean }
  | ImmediateOperand
  | MemoryOperand
  | { kind: 'far'; column: number; selector: Value; value: Value; size: Size | null };

export type RegisterGroup = 'general' | 'segment' | 'control' | 'debug';

export interface Register {
  group: RegisterGroup;
  number: number;
  size: Size;
  rex: boolean;
  high: boolean;
}

export const REGISTERS: ReadonlyMap<string, Register> = registers();

function registers(): Map<string, Register> {
  const out = new Map<string, Register>();
  const put = (name: string, group: RegisterGroup, number: number, size: Size, rex = false, high = false): void => {
    out.set(name, { group, number, size, rex, high });
  };
  const classic = ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di'];
  const low = ['al', 'cl', 'dl', 'bl', 'spl', 'bpl', 'sil', 'dil'];
  for (let n = 0; n < 8; n++) {
    put(`r${classic[n]}`, 'general', n, 8);
    put(`e${classic[n]}`, 'general', n, 4);
    put(classic[n]!, 'general', n, 2);
    put(low[n]!, 'general', n, 1, n >= 4);
  }
  ['ah', 'ch', 'dh', 'bh'].forEach((name, n) => put(name, 'general', n + 4, 1, false, true));
  for (let n = 8; n < 16; n++) {
    put(`r${n}`, 'general', n, 8);
    put(`r${n}d`, 'general', n, 4);
    put(`r${n}w`, 'general', n, 2);
    put(`r${n}b`, 'general', n, 1);
  }
  ['es', 'cs', 'ss', 'ds', 'fs', 'gs'].forEach((name, n) => put(name, 'segment', n, 2));
  for (const n of [0, 2, 3, 4, 8]) put(`cr${n}`, 'control', n, 8);
  for (const n of [0, 1, 2, 3, 6, 7]) put(`dr${n}`, 'debug', n, 8);
  return out;
}

export const SEGMENT_PREFIX: Readonly<Record<string, number>> = { es: 0x26, cs: 0x2e, ss: 0x36, ds: 0x3e, fs: 0x64, gs: 0x65 };

export const inSigned = (n: bigint, bits: number): boolean => BigInt.asIntN(bits, n) === n;

export function little(out: number[], n: bigint, bytes: number): void {
  if (bytes <= 4) {
    let rest = Number(BigInt.asIntN(32, n));
    for (let i = 0; i < bytes; i++, rest >>= 8) out.push(rest & 255);
    return;
  }
  let rest = BigInt.asUintN(bytes * 8, n);
  for (let i = 0; i < bytes; i++) {
    out.push(Number(rest & 255n));
    rest >>= 8n;
  }
}

/** What an operand in memory adds to an instruction. */
export interface Place {
  /** Bits B and X. */
  rex: number;
  segment: number;
  /** Bytes of the address. */
  size: 2 | 4 | 8;
  tail: number[];
  /** Where in the tail a displacement relative to the next instruction stands, or -1. */
  ripAt: number;
}

const SIZE_OF: Readonly<Record<Bits, 2 | 4 | 8>> = { 16: 2, 32: 4, 64: 8 };

/** Found before any form is looked for. */
export const IMPOSSIBLE = 'impossible combination of address sizes';

function impossible(operand: MemoryOperand, bits: Bits, size: number): never {
  throw new AssemblyError(operand.column, size === 0 ? `invalid ${bits}-bit effective address` : IMPOSSIBLE);
}

/** `address`: the size that a prefix gives, 0 none. `sizes`: only whether its size is possible is asked. */
export function place(operand: MemoryOperand, reg: number, bits: Bits, defaultRel: boolean, address: number, sizes = false): Place {
  const out: Place = { rex: 0, segment: operand.segment ? SEGMENT_PREFIX[operand.segment]! : 0, size: SIZE_OF[bits], tail: [], ripAt: -1 };
  if (!operand.written) possible(operand, bits, address);
  if (sizes) return out;
  const at = baseAndIndex(operand, bits, address);
  out.size = at.size as Place['size'];
  if (out.size === 2) short(operand, reg, at, bits, out.tail);
  else if (at.base < 0 && at.index < 0) bare(operand, reg, bits, defaultRel, out);
  else {
    out.rex = (at.base > 7 ? 1 : 0) | (at.index > 7 ? 2 : 0);
    indexed(operand, reg, at, out.tail);
  }
  return out;
}

function bare(operand: MemoryOperand, reg: number, bits: Bits, defaultRel: boolean, out: Place): void {
  const relative = bits === 64 && (operand.mode === 'rel' || (operand.mode === null && defaultRel && !(operand.segment === 'fs' || operand.segment === 'gs')));
  if (bits !== 64 || relative) out.tail.push((reg << 3) | 5);
  else out.tail.push((reg << 3) | 4, 0x25);
  if (relative) out.ripAt = out.tail.length;
  little(out.tail, relative ? 0n : operand.value.n, 4);
}

function modOf({ value, displacement }: MemoryOperand, wide: number, needed: boolean): number {
  if (displacement === wide) return 2;
  if (displacement === 1) return 1;
  if (value.addresses !== 0 && !value.unknown) return 2;
  const n = BigInt.asIntN(8 * wide, value.n);
  return n === 0n && !value.unknown && !needed ? 0 : inSigned(n, 8) ? 1 : 2;
}

function indexed(operand: MemoryOperand, reg: number, { base, index, scale }: Written, tail: number[]): void {
  const mod = base < 0 ? 0 : modOf(operand, 4, (base & 7) === 5);
  if (index >= 0 || base < 0 || (base & 7) === 4) {
    const log = scale === 8 ? 3 : scale === 4 ? 2 : scale === 2 ? 1 : 0;
    tail.push((mod << 6) | (reg << 3) | 4, (log << 6) | ((index < 0 ? 4 : index & 7) << 3) | (base < 0 ? 5 : base & 7));
  } else tail.push((mod << 6) | (reg << 3) | (base & 7));
  if (base < 0 || mod === 2) little(tail, operand.value.n, 4);
  else if (mod === 1) little(tail, operand.value.n, 1);
}

/** BX BP with SI DI (table 2-1). */
function short(operand: MemoryOperand, reg: number, written: Written, bits: Bits, tail: number[]): void {
  const turned = written.base > 5;
  const base = turned ? written.index : written.base;
  const index = turned ? written.base : written.index;
  if (base < 0 && index < 0) {
    tail.push((reg << 3) | 6);
    return little(tail, operand.value.n, 2);
  }
  const rm = index < 0 ? (base === 5 ? 6 : 7) : base < 0 ? index - 2 : (base === 5 ? 2 : 0) + index - 6;
  if (operand.displacement !== null && operand.displacement > 2) impossible(operand, bits, 0);
  const mod = modOf(operand, 2, rm === 6);
  tail.push((mod << 6) | (reg << 3) | rm);
  little(tail, operand.value.n, mod);
}

function sizeWithout({ displacement }: MemoryOperand, bits: Bits, address: number): number {
  if (displacement === 2 && bits !== 64) return 2;
  if (displacement === 4 && bits === 16) return 4;
  return address !== 0 ? address : SIZE_OF[bits];
}

function possible(operand: MemoryOperand, bits: Bits, address: number): void {
  if (bits === 64 && (address === 2 || operand.displacement === 2)) impossible(operand, bits, 2);
  for (const [name, times] of operand.value.registers) {
    const size = times === 0n ? 0 : REGISTERS.get(name)!.size;
    if ((size === 8 && bits !== 64) || (size === 2 && bits === 64) || (size > 1 && address !== 0 && address !== size)) impossible(operand, bits, size);
  }
}

function baseAndIndex(operand: MemoryOperand, bits: Bits, address: number): Written {
  const found = operand.written ?? arranged(operand, bits, address);
  if (found.base + found.index > -2 && found.size !== 2 && operand.displacement === 2) impossible(operand, bits, 0);
  return found;
}

function arranged(operand: MemoryOperand, bits: Bits, address: number): Written {
  const list: { number: number; size: number; times: number }[] = [];
  for (const [name, times] of operand.value.registers) {
    if (times === 0n) continue;
    const register = REGISTERS.get(name)!;
    if (register.group !== 'general' || register.size < 2) impossible(operand, bits, 0);
    list.push({ number: register.number, size: register.size, times: Number(times) });
  }
  if (list.length > 2) throw new AssemblyError(operand.column, 'invalid effective address: too many registers');
  if (list.length === 2 && list[0]!.size !== list[1]!.size) impossible(operand, bits, 0);
  const size = list[0]?.size ?? sizeWithout(operand, bits, address);
  if (size === 2) return pair(operand, list, bits);
  let base = -1;
  let index = -1;
  let scale = 1;
  for (const { number, times } of list) {
    if (times === 1 && base < 0) base = number;
    else if (index < 0) {
      index = number;
      scale = times;
    } else impossible(operand, bits, 0);
  }
  if (base < 0 && index >= 0 && (scale === 2 || scale === 3 || scale === 5 || scale === 9)) {
    base = index;
    scale -= 1;
  }
  if (scale === 1 && index === 4) [base, index] = [index, base];
  if (index === 4 || ![1, 2, 4, 8].includes(scale)) impossible(operand, bits, 0);
  return { base, index, scale, size };
}

function pair(operand: MemoryOperand, list: readonly { number: number; times: number }[], bits: Bits): Written {
  const base = list.filter(({ number }) => number === 3 || number === 5);
  const index = list.filter(({ number }) => number === 6 || number === 7);
  if (base.length > 1 || index.length > 1 || base.length + index.length !== list.length || list.some(({ times }) => times !== 1)) impossible(operand, bits, 0);
  return { base: base[0]?.number ?? -1, index: index[0]?.number ?? -1, scale: 1, size: 2 };
}
