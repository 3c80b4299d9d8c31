/**
 * The stack of a deprivileged guest as its processor would use it: 64 bits flat in 64-bit code, else an offset of 32 or 16 bits in SS,
 * checked against its limit. Sources: SDM 1 6.2, SDM 3A 5.3.
 */
import { register, setRegister } from '../../machine/machine.ts';
import type { GuestSegment, Vm } from '../vm.ts';
import { bytesOf, type Reach, readNumber, ss, writeAt } from './deprivilege-memory.ts';
import { inLongCode } from './deprivilege-segments.ts';
import { UNUSABLE, virtualCpl, virtualSegment } from './deprivilege-state.ts';

const BIG = 0x4000;
const WHOLE = 0xffff_ffff;

const maskOf = ({ rights }: GuestSegment): bigint => ((rights & BIG) !== 0 ? 0xffff_ffffn : 0xffffn);

/** Linear address of bytes at an offset of a stack segment, or #SS with this error code. */
function within({ base, limit, rights }: GuestSegment, offset: bigint, bytes: number, error: number): bigint {
  const last = offset + BigInt(bytes) - 1n;
  const down = (rights & 0xc) === 4;
  const outside = down ? offset <= BigInt(limit) || last > ((rights & BIG) !== 0 ? 0xffff_ffffn : 0xffffn) : last > BigInt(limit) && limit !== WHOLE;
  if (outside || (rights & UNUSABLE) !== 0) throw ss(error);
  return BigInt.asUintN(32, base + offset);
}

export const stackPointer = (vm: Vm): bigint => (inLongCode(vm) ? register(vm.machine, 'rsp') : register(vm.machine, 'rsp') & maskOf(virtualSegment(vm, 'ss')));

/** Of the stack segment in force: one of 16 bits leaves the rest of ESP. */
export function setStackPointer(vm: Vm, value: bigint): void {
  const before = register(vm.machine, 'rsp');
  const mask = inLongCode(vm) ? ~0n : maskOf(virtualSegment(vm, 'ss'));
  setRegister(vm.machine, 'rsp', BigInt.asUintN(64, mask === 0xffffn ? (before & ~0xffffn) | (value & 0xffffn) : value & mask));
}

const reachOf = (vm: Vm): Reach => ({ user: virtualCpl(vm) === 3 });

/** What lies `delta` bytes above the top. */
export function peek(vm: Vm, delta: number, size: number): bigint {
  if (inLongCode(vm)) return readNumber(vm, BigInt.asUintN(64, register(vm.machine, 'rsp') + BigInt(delta)), size, reachOf(vm));
  const stack = virtualSegment(vm, 'ss');
  return readNumber(vm, within(stack, (register(vm.machine, 'rsp') + BigInt(delta)) & maskOf(stack), size, 0), size, reachOf(vm));
}

/** #SS unless so many bytes from `delta` above the top lie within the stack: a frame is read as one. */
export function need(vm: Vm, delta: number, bytes: number): void {
  if (inLongCode(vm)) return;
  const stack = virtualSegment(vm, 'ss');
  within(stack, (register(vm.machine, 'rsp') + BigInt(delta)) & maskOf(stack), bytes, 0);
}

/** Stores words below a top, the first the highest, all or nothing; the new top. `ring`: whose rights count. */
export function store(vm: Vm, stack: GuestSegment, top: bigint, words: readonly bigint[], size: number, ring: number, error = 0): bigint {
  const reach = { user: ring === 3, implicit: ring !== virtualCpl(vm) };
  const mask = maskOf(stack);
  const bottom = (top - BigInt(words.length * size)) & mask;
  const whole = words.length * size;
  if (bottom + BigInt(whole) <= mask + 1n) {
    const bytes = new Uint8Array(whole);
    words.forEach((word, n) => {
      bytes.set(bytesOf(BigInt.asUintN(8 * size, word), size), whole - (n + 1) * size);
    });
    writeAt(vm, within(stack, bottom, whole, error), bytes, reach);
    return bottom;
  }
  words.forEach((word, n) => {
    writeAt(vm, within(stack, (top - BigInt((n + 1) * size)) & mask, size, error), bytesOf(BigInt.asUintN(8 * size, word), size), reach);
  });
  return bottom;
}

/** On the stack in force; the first word goes first. */
export function push(vm: Vm, words: readonly bigint[], size: number): void {
  if (!inLongCode(vm)) return setStackPointer(vm, store(vm, virtualSegment(vm, 'ss'), stackPointer(vm), words, size, virtualCpl(vm)));
  const bottom = BigInt.asUintN(64, register(vm.machine, 'rsp') - BigInt(words.length * size));
  const bytes = new Uint8Array(words.length * size);
  words.forEach((word, n) => {
    bytes.set(bytesOf(BigInt.asUintN(8 * size, word), size), (words.length - 1 - n) * size);
  });
  writeAt(vm, bottom, bytes, reachOf(vm));
  setRegister(vm.machine, 'rsp', bottom);
}

export const drop = (vm: Vm, bytes: number): void => setStackPointer(vm, stackPointer(vm) + BigInt(bytes));
