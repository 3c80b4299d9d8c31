/**
 * The instruction at the guest's rip as one that writes to memory: what it does, where, with which value. 64- and 32-bit code;
 * addresses of 16 bits, shifts, pushes and calls are not taken. The instruction itself is read by machine/isa.
 */
import { type Parts, partsOf } from '../../machine/isa/parts.ts';
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
const SEGMENTS: readonly SegmentName[] = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];
const CODE_64 = 0x2000;
const CODE_32 = 0x4000;

interface Context {
  vm: Vm;
  d: Parts;
}

// ---- parts of an encoding

const register = ({ vm }: Context, n: number): bigint => guestRegister(vm, GENERAL[n]!);
const masked = ({ d }: Context, value: bigint): bigint => BigInt.asUintN(8 * d.addressSize, value);
const operandSize = ({ d }: Context): number => ((d.opcode & 1) === 0 ? 1 : d.size);

/** FS and GS have bases everywhere, the others outside 64-bit code. */
function linear({ vm, d }: Context, offset: bigint, byDefault: SegmentName): bigint {
  const segment = SEGMENTS[d.segment] ?? byDefault;
  const { base } = guestSegment(vm, segment);
  if (d.bits === 64) return BigInt.asUintN(64, offset + (segment === 'fs' || segment === 'gs' ? base : 0n));
  return BigInt.asUintN(32, offset + base);
}

function addressOf(c: Context): bigint {
  const { vm, d } = c;
  let offset = d.displacement + (d.ripRelative ? guestRegister(vm, 'rip') + BigInt(d.length) : 0n);
  if (d.base >= 0) offset += register(c, d.base);
  if (d.index >= 0) offset += register(c, d.index) << BigInt(d.scale);
  return linear(c, masked(c, offset), d.base === 4 || d.base === 5 ? 'ss' : 'ds');
}

/** A general register's part; without REX the byte registers 4-7 are AH, CH, DH, BH. */
function part(c: Context, n: number, size: number): bigint {
  if (size === 1 && c.d.rex === 0 && n >= 4) return (register(c, n - 4) >> 8n) & 255n;
  return BigInt.asUintN(8 * size, register(c, n));
}

function setPart(c: Context, n: number, size: number, value: bigint): void {
  const high = size === 1 && c.d.rex === 0 && n >= 4;
  const to = high ? n - 4 : n;
  const old = register(c, to);
  const shift = high ? 8n : 0n;
  const mask = ((1n << BigInt(8 * size)) - 1n) << shift;
  setGuestRegister(c.vm, GENERAL[to]!, size >= 4 ? value : (old & ~mask) | (value << shift));
}

// ---- the instruction

function made(c: Context, op: Op, size: number, address: bigint, source: bigint): Written {
  const { vm, d } = c;
  const origin = (segment: SegmentName, name: string): bigint => linear(c, masked(c, guestRegister(vm, name)), segment);
  return {
    op, size, address, source: BigInt.asUintN(8 * size, source), next: BigInt.asUintN(d.bits === 64 ? 64 : 32, guestRegister(vm, 'rip') + BigInt(d.length)), repeats: d.rep !== 0,
    setRegister: (value) => setPart(c, d.reg, size, value),
    setAccumulator: (value) => setPart(c, 0, size, value),
    index: (name) => masked(c, guestRegister(vm, name)),
    move: (name, by) => setGuestRegister(vm, name, masked(c, guestRegister(vm, name) + BigInt(by))),
    // the destination of a string is ES's whatever a prefix says
    destination: () => linear({ vm, d: { ...d, segment: -1 } }, masked(c, guestRegister(vm, 'rdi')), 'es'),
    origin: () => origin('ds', 'rsi'),
  };
}

const fromRegister = (op: Op) => (c: Context): Written => made(c, op, operandSize(c), addressOf(c), part(c, c.d.reg, operandSize(c)));
const fromImmediate = (ops: Readonly<Record<number, Op>>, size?: (c: Context) => number) => (c: Context): Written | null => {
  const op = ops[c.d.reg & 7];
  return op ? made(c, op, (size ?? operandSize)(c), addressOf(c), c.d.immediate) : null;
};
const wide = ({ d }: Context): number => d.size;
const string = (op: Op) => (c: Context): Written => made(c, op, operandSize(c), 0n, 0n);

/** The bit number of a register reaches beyond the operand: signed, in units of it. */
const bitString = (op: Op) => (c: Context): Written => {
  const { size, reg } = c.d;
  const number = BigInt.asIntN(8 * size, register(c, reg));
  const moved = (number >> BigInt(size === 8 ? 6 : size === 4 ? 5 : 4)) * BigInt(size);
  return made(c, op, size, BigInt.asUintN(c.d.bits === 64 ? 64 : 32, addressOf(c) + moved), number);
};

const fromOffset = (c: Context): Written => made(c, 'mov', operandSize(c), linear(c, masked(c, c.d.immediate), 'ds'), part(c, 0, operandSize(c)));

type Reader = (c: Context) => Written | null;
const both = (opcode: number, reader: Reader): Record<number, Reader> => ({ [opcode]: reader, [opcode + 1]: reader });
const ONE: Readonly<Record<number, Reader>> = {
  ...Object.assign({}, ...ARITHMETIC.map((op, n) => both(8 * n, fromRegister(op)))), ...both(0x80, fromImmediate(ARITHMETIC)), 0x83: fromImmediate(ARITHMETIC), ...both(0x86, fromRegister('xchg')), ...both(0x88, fromRegister('mov')),
  ...both(0xa2, fromOffset), ...both(0xa4, string('movs')), ...both(0xaa, string('stos')), ...both(0xc6, fromImmediate(['mov'])), ...both(0xf6, fromImmediate({ 2: 'not', 3: 'neg' })), ...both(0xfe, fromImmediate(['inc', 'dec'])),
};
const TWO: Readonly<Record<number, Reader>> = {
  0xab: bitString('bts'), 0xb3: bitString('btr'), 0xbb: bitString('btc'), 0xba: fromImmediate({ 5: 'bts', 6: 'btr', 7: 'btc' }, wide), ...both(0xb0, fromRegister('cmpxchg')), ...both(0xc0, fromRegister('xadd')), 0xc3: fromRegister('mov'),
  0xc7: fromImmediate({ 1: 'cmpxchg8b' }, ({ d }) => ((d.rex & 8) !== 0 ? 16 : 8)),
};
const MOFFS = 0xa2;
const isString = (opcode: number): boolean => opcode >= 0xa4 && opcode <= 0xab;

/** Null: not an instruction of these. */
export function decodeWrite(vm: Vm): Written | null {
  const cs = guestSegment(vm, 'cs');
  const long = (cs.rights & CODE_64) !== 0;
  if (!long && (cs.rights & CODE_32) === 0) return null;
  const bytes = readLinear(vm, long ? guestRegister(vm, 'rip') : BigInt.asUintN(32, cs.base + guestRegister(vm, 'rip')), 15);
  const d = bytes && partsOf(bytes, long ? 64 : 32);
  if (!d || d.addressSize === 2) return null;
  const reader = d.map === 0 ? ONE[d.opcode] : d.map === 1 ? TWO[d.opcode] : undefined;
  if (!reader || (!d.memory && !(d.map === 0 && (isString(d.opcode) || (d.opcode & ~1) === MOFFS)))) return null;
  return reader({ vm, d });
}
