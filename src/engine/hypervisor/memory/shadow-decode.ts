/**
 * The bytes at the guest's rip as an instruction that writes to memory: what it does, where, with which value. 64- and 32-bit
 * code; addresses of 16 bits, shifts, pushes and calls are not taken. Source: SDM 2A 2.1-2.2, appendix A.
 */
import { guestRegister, guestSegment, setGuestRegister } from '../state.ts';
import type { SegmentName, Vm } from '../vm.ts';
import { readLinear } from './guest.ts';

const ARITHMETIC = ['add', 'or', 'adc', 'sbb', 'and', 'sub', 'xor'] as const;
export type Op = (typeof ARITHMETIC)[number] | 'mov' | 'xchg' | 'cmpxchg' | 'cmpxchg8b' | 'xadd' | 'not' | 'neg' | 'inc' | 'dec' | 'bts' | 'btr' | 'btc' | 'movs' | 'stos';

export interface Written {
  op: Op;
  /** Bytes of the operand in memory. */
  size: number;
  /** Linear address of the operand. */
  address: bigint;
  /** Register, immediate or bit number, cut to the size. */
  source: bigint;
  /** rip behind the instruction. */
  next: bigint;
  repeats: boolean;
  setRegister(value: bigint): void;
  setAccumulator(value: bigint): void;
  /** An index or count at the width of the instruction's addresses. */
  index(name: string): bigint;
  move(name: string, by: number): void;
  destination(): bigint;
  origin(): bigint;
}

const GENERAL = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'];
const SEGMENT_PREFIX: Readonly<Record<number, SegmentName>> = { 0x26: 'es', 0x2e: 'cs', 0x36: 'ss', 0x3e: 'ds', 0x64: 'fs', 0x65: 'gs' };
const CODE_64 = 0x2000;
const CODE_32 = 0x4000;

interface Cursor {
  vm: Vm;
  bytes: Uint8Array;
  at: number;
  wide: boolean;
  rex: number;
  operand16: boolean;
  address32: boolean;
  segment: SegmentName | null;
  repeats: boolean;
}

interface Operand {
  reg: number;
  address: bigint;
}

/** Null: not an instruction of these. */
export function decodeWrite(vm: Vm): Written | null {
  const c = start(vm);
  if (!c) return null;
  const opcode = c.bytes[c.at++];
  if (opcode === undefined) return null;
  try {
    return opcode === 0x0f ? decodeTwo(c) : decodeOne(c, opcode);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

function start(vm: Vm): Cursor | null {
  const cs = guestSegment(vm, 'cs');
  const wide = (cs.rights & CODE_64) !== 0;
  if (!wide && (cs.rights & CODE_32) === 0) return null;
  const bytes = readLinear(vm, wide ? guestRegister(vm, 'rip') : BigInt.asUintN(32, cs.base + guestRegister(vm, 'rip')), 15);
  if (!bytes) return null;
  const c: Cursor = { vm, bytes, at: 0, wide, rex: 0, operand16: false, address32: !wide, segment: null, repeats: false };
  for (; c.at < bytes.length; c.at++) {
    const byte = bytes[c.at]!;
    if (byte === 0x66) c.operand16 = true;
    else if (byte === 0x67) {
      if (!wide) return null;
      c.address32 = true;
    } else if (byte === 0xf2 || byte === 0xf3) c.repeats = true;
    else if (SEGMENT_PREFIX[byte]) c.segment = SEGMENT_PREFIX[byte]!;
    else if (byte !== 0xf0) break;
  }
  if (wide && ((c.bytes[c.at] ?? 0) & 0xf0) === 0x40) c.rex = c.bytes[c.at++]!;
  return c;
}

const operandSize = (c: Cursor, byte: boolean): number => (byte ? 1 : (c.rex & 8) !== 0 ? 8 : c.operand16 ? 2 : 4);

// ---- parts of an encoding

function take(c: Cursor, size: number): bigint {
  if (c.at + size > c.bytes.length) throw new RangeError('cut off');
  let value = 0n;
  for (let n = size - 1; n >= 0; n--) value = (value << 8n) | BigInt(c.bytes[c.at + n]!);
  c.at += size;
  return BigInt.asIntN(8 * size, value);
}

const register = (c: Cursor, n: number): bigint => guestRegister(c.vm, GENERAL[n]!);
const masked = (c: Cursor, value: bigint): bigint => BigInt.asUintN(c.address32 ? 32 : 64, value);

/** FS and GS have bases everywhere, the others outside 64-bit code. */
function linear(c: Cursor, offset: bigint, segment: SegmentName): bigint {
  const { base } = guestSegment(c.vm, segment);
  if (c.wide) return BigInt.asUintN(64, offset + (segment === 'fs' || segment === 'gs' ? base : 0n));
  return BigInt.asUintN(32, offset + base);
}

/** `immediate` bytes follow, which an address relative to rip counts from. */
function modrm(c: Cursor, immediate: number): Operand {
  const byte = Number(BigInt.asUintN(8, take(c, 1)));
  const mod = byte >> 6;
  const rm = byte & 7;
  const reg = ((byte >> 3) & 7) | ((c.rex & 4) << 1);
  if (mod === 3) throw new RangeError('a register');
  let offset = 0n;
  let segment: SegmentName = 'ds';
  if (rm === 4) {
    const sib = Number(BigInt.asUintN(8, take(c, 1)));
    const index = ((sib >> 3) & 7) | ((c.rex & 2) << 2);
    const base = (sib & 7) | ((c.rex & 1) << 3);
    if (index !== 4) offset += register(c, index) << BigInt(sib >> 6);
    if ((sib & 7) === 5 && mod === 0) offset += take(c, 4);
    else {
      offset += register(c, base);
      if (base === 4 || base === 5) segment = 'ss';
    }
  } else if (rm === 5 && mod === 0) {
    offset = take(c, 4);
    if (c.wide) offset += guestRegister(c.vm, 'rip') + BigInt(c.at + immediate);
  } else {
    const base = rm | ((c.rex & 1) << 3);
    offset = register(c, base);
    if (base === 5) segment = 'ss';
  }
  if (mod === 1) offset += take(c, 1);
  if (mod === 2) offset += take(c, 4);
  return { reg, address: linear(c, masked(c, offset), c.segment ?? segment) };
}

/** A general register's part; without REX the byte registers 4-7 are AH, CH, DH, BH. */
function part(c: Cursor, n: number, size: number): bigint {
  if (size === 1 && c.rex === 0 && n >= 4) return (register(c, n - 4) >> 8n) & 255n;
  return BigInt.asUintN(8 * size, register(c, n));
}

function setPart(c: Cursor, n: number, size: number, value: bigint): void {
  const high = size === 1 && c.rex === 0 && n >= 4;
  const to = high ? n - 4 : n;
  const old = register(c, to);
  const shift = high ? 8n : 0n;
  const mask = ((1n << BigInt(8 * size)) - 1n) << shift;
  setGuestRegister(c.vm, GENERAL[to]!, size >= 4 ? value : (old & ~mask) | (value << shift));
}

// ---- the instruction

function made(c: Cursor, op: Op, size: number, address: bigint, source: bigint, reg: number): Written {
  const { vm } = c;
  const rip = guestRegister(vm, 'rip') + BigInt(c.at);
  return {
    op, size, address, source: BigInt.asUintN(8 * size, source), next: BigInt.asUintN(c.wide ? 64 : 32, rip), repeats: c.repeats,
    setRegister: (value) => setPart(c, reg, size, value),
    setAccumulator: (value) => setPart(c, 0, size, value),
    index: (name) => masked(c, guestRegister(vm, name)),
    move: (name, by) => setGuestRegister(vm, name, masked(c, guestRegister(vm, name) + BigInt(by))),
    destination: () => linear(c, masked(c, guestRegister(vm, 'rdi')), 'es'),
    origin: () => linear(c, masked(c, guestRegister(vm, 'rsi')), c.segment ?? 'ds'),
  };
}

function fromRegister(c: Cursor, op: Op, size: number): Written {
  const { reg, address } = modrm(c, 0);
  return made(c, op, size, address, part(c, reg, size), reg);
}

function fromImmediate(c: Cursor, size: number, bytes: number, opOf: (digit: number) => Op | null): Written | null {
  const { reg, address } = modrm(c, bytes);
  const op = opOf(reg & 7);
  return op ? made(c, op, size, address, bytes === 0 ? 0n : take(c, bytes), reg) : null;
}

function decodeOne(c: Cursor, opcode: number): Written | null {
  const byte = (opcode & 1) === 0;
  const size = operandSize(c, byte);
  const immediate = Math.min(size, 4);
  if (opcode < 0x38 && (opcode & 7) < 2) return fromRegister(c, ARITHMETIC[opcode >> 3]!, size);
  switch (opcode) {
    case 0x80:
    case 0x81: return fromImmediate(c, size, immediate, (digit) => ARITHMETIC[digit] ?? null);
    case 0x83: return fromImmediate(c, size, 1, (digit) => ARITHMETIC[digit] ?? null);
    case 0x86:
    case 0x87: return fromRegister(c, 'xchg', size);
    case 0x88:
    case 0x89: return fromRegister(c, 'mov', size);
    case 0xa2:
    case 0xa3: {
      const offset = BigInt.asUintN(c.address32 ? 32 : 64, take(c, c.address32 ? 4 : 8));
      return made(c, 'mov', size, linear(c, offset, c.segment ?? 'ds'), part(c, 0, size), 0);
    }
    case 0xa4:
    case 0xa5: return made(c, 'movs', size, 0n, 0n, 0);
    case 0xaa:
    case 0xab: return made(c, 'stos', size, 0n, 0n, 0);
    case 0xc6:
    case 0xc7: return fromImmediate(c, size, immediate, (digit) => (digit === 0 ? 'mov' : null));
    case 0xf6:
    case 0xf7: return fromImmediate(c, size, 0, (digit) => (digit === 2 ? 'not' : digit === 3 ? 'neg' : null));
    case 0xfe:
    case 0xff: return fromImmediate(c, size, 0, (digit) => (digit === 0 ? 'inc' : digit === 1 ? 'dec' : null));
    default: return null;
  }
}

function decodeTwo(c: Cursor): Written | null {
  const opcode = Number(BigInt.asUintN(8, take(c, 1)));
  const size = operandSize(c, (opcode & 1) === 0);
  switch (opcode) {
    case 0xab: return bitString(c, 'bts');
    case 0xb3: return bitString(c, 'btr');
    case 0xbb: return bitString(c, 'btc');
    case 0xba: return fromImmediate(c, operandSize(c, false), 1, (digit) => ([undefined, 'bts', 'btr', 'btc'] as const)[digit - 4] ?? null);
    case 0xb0:
    case 0xb1: return fromRegister(c, 'cmpxchg', size);
    case 0xc0:
    case 0xc1: return fromRegister(c, 'xadd', size);
    case 0xc3: return fromRegister(c, 'mov', operandSize(c, false));
    case 0xc7: return fromImmediate(c, (c.rex & 8) !== 0 ? 16 : 8, 0, (digit) => (digit === 1 ? 'cmpxchg8b' : null));
    default: return null;
  }
}

/** The bit number of a register reaches beyond the operand: signed, in units of it. */
function bitString(c: Cursor, op: Op): Written {
  const size = operandSize(c, false);
  const { reg, address } = modrm(c, 0);
  const number = BigInt.asIntN(8 * size, register(c, reg));
  const moved = (number >> BigInt(size === 8 ? 6 : size === 4 ? 5 : 4)) * BigInt(size);
  return made(c, op, size, BigInt.asUintN(c.wide ? 64 : 32, address + moved), number, reg);
}
