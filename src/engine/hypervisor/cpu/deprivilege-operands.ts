/** Operands of an instruction that the monitor emulates: effective addresses, registers and memory by size. Source: SDM 2A 2.1-2.2. */
import { general, segment, setGeneralPart, setRegister } from '../../machine/machine.ts';
import type { Vm } from '../vm.ts';
import type { Parts } from '../../machine/isa/parts.ts';
import { readNumber, writeNumber } from './deprivilege-memory.ts';
import { own, vcpu, virtualCpl } from './deprivilege-state.ts';

export const SEGMENT_ORDER = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'] as const;
const mask = (size: number): bigint => (1n << BigInt(8 * size)) - 1n;

/** Offset without a segment's base. */
export function offsetOf(vm: Vm, d: Parts, rip: bigint): bigint {
  let sum = d.displacement + (d.ripRelative ? rip + BigInt(d.length) : 0n);
  if (d.base >= 0) sum += general(vm.machine, d.base);
  if (d.index >= 0) sum += general(vm.machine, d.index) << BigInt(d.scale);
  return BigInt.asUintN(8 * d.addressSize, sum);
}

export function linearOf(vm: Vm, d: Parts, rip: bigint): bigint {
  const stack = d.base === 4 || d.base === 5;
  const name = d.segment >= 0 ? SEGMENT_ORDER[d.segment]! : stack ? 'ss' : 'ds';
  const base = d.bits !== 64 || name === 'fs' || name === 'gs' ? segment(vm.machine, name).base : 0n;
  return BigInt.asUintN(d.bits === 64 ? 64 : 32, base + offsetOf(vm, d, rip));
}

/** By the ring in force. */
export const reachOf = (vm: Vm): { user: boolean } => ({ user: virtualCpl(vm) === 3 });

export const getRegister = (vm: Vm, n: number, size: number): bigint => general(vm.machine, n) & mask(size);
/** 32 bits clear the upper half; 16 and 8 leave the rest. */
export const putRegister = (vm: Vm, n: number, size: number, value: bigint): void => setGeneralPart(vm.machine, n, size, value);

export const readRm = (vm: Vm, d: Parts, rip: bigint, size: number): bigint =>
  d.memory ? readNumber(vm, linearOf(vm, d, rip), size, reachOf(vm)) : getRegister(vm, d.rm, size);

export function writeRm(vm: Vm, d: Parts, rip: bigint, size: number, value: bigint): void {
  if (d.memory) writeNumber(vm, linearOf(vm, d, rip), size, value & mask(size), reachOf(vm));
  else putRegister(vm, d.rm, size, value);
}

// ---- one instruction at work

export interface Emulation {
  vm: Vm;
  d: Parts;
  /** Of the instruction. */
  rip: bigint;
  /** ns. */
  now: number;
}

/** Where the instruction after this one lies. */
export const after = ({ d, rip }: Emulation): bigint => BigInt.asUintN(d.bits === 64 ? 64 : 32, rip + BigInt(d.length));

export function next(e: Emulation): null {
  setRegister(e.vm.machine, 'rip', after(e));
  own(e.vm).shadow = false;
  return null;
}

/** True: the flags' IOPL lets this ring at the interrupt flag and the ports. */
export const ioplAllows = (vm: Vm): boolean => virtualCpl(vm) <= Number(vcpu(vm, 'iopl') >> 12n);
