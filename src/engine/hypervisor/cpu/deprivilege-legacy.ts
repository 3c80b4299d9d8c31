/**
 * Events outside IA-32e mode by software: gates of 8 bytes (interrupt and trap, 32 and 16 bits), the stack of an inner ring from the
 * TSS, in real mode the vector table. Everything is checked before anything is changed; the order of checks is src/cpu's.
 * Sources: SDM 3A 6.10-6.13, 7.2.1; SDM 3B 21.1.4. Left out: task gates (#GP).
 */
import { register, setRegister } from '../../machine/machine.ts';
import type { GuestSegment, Vm } from '../vm.ts';
import { gp, np, readNumber, ss, type Stopped } from './deprivilege-memory.ts';
import { type Descriptor, dplOf, errorOf, findDescriptor, limitOf, markAccessed, onlyOuterRings, realSegment, segmentFrom } from './deprivilege-segments.ts';
import { push, setStackPointer, stackPointer, store } from './deprivilege-stack.ts';
import { IF, NT, own, RF, setVirtualFlags, setVirtualSegment, table, TF, virtualCpl, virtualFlags, virtualSegment } from './deprivilege-state.ts';
import type { Event } from './deprivilege-deliver.ts';

const VM86 = 0x2_0000n;
const AC = 0x4_0000n;

/** Real mode: four bytes a vector; FLAGS, CS and IP are pushed. */
export function throughVector(vm: Vm, { vector }: Event, back: bigint): void {
  const idt = table(vm, 'idt');
  if (vector * 4 + 3 > idt.limit) throw gp();
  const entry = readNumber(vm, BigInt.asUintN(32, idt.base + BigInt(vector * 4)), 4, { implicit: true });
  const flags = virtualFlags(vm);
  push(vm, [flags, BigInt(virtualSegment(vm, 'cs').selector), back], 2);
  setVirtualFlags(vm, flags & ~(TF | IF | AC | RF));
  setVirtualSegment(vm, 'cs', realSegment(vm, 'cs', Number(entry >> 16n)));
  setRegister(vm.machine, 'rip', entry & 0xffffn);
  own(vm).shadow = false;
}

export function throughGate(vm: Vm, { vector, type, error }: Event, back: bigint): void {
  const software = type === 4 || type === 6;
  const ext = software ? 0 : 1;
  const code = (vector << 3) | 2 | ext;
  const idt = table(vm, 'idt');
  if (vector * 8 + 7 > idt.limit) throw gp(code);
  const low = readNumber(vm, BigInt.asUintN(32, idt.base + BigInt(vector * 8)), 8, { implicit: true });
  const kind = Number((low >> 40n) & 0x1fn);
  if (kind !== 6 && kind !== 7 && kind !== 14 && kind !== 15) throw gp(code);
  const cpl = virtualCpl(vm);
  if (software && Number((low >> 45n) & 3n) < cpl) throw gp(code);
  if (((low >> 47n) & 1n) === 0n) throw np(code);
  const size = (kind & 8) !== 0 ? 4 : 2;
  const target = (low & 0xffffn) | (size === 4 ? (low >> 32n) & 0xffff_0000n : 0n);
  const selector = Number((low >> 16n) & 0xffffn);
  const found = gateTarget(vm, selector, cpl, ext);
  const next = (found.rights & 4) !== 0 ? cpl : dplOf(found.rights);
  onlyOuterRings(next);
  const inner = next === cpl ? null : innerStack(vm, next, ext);
  if (target > BigInt(limitOf(found.raw))) throw gp(ext);
  const flags = virtualFlags(vm);
  const words = [type === 3 && vector !== 1 ? flags | RF : flags, BigInt(virtualSegment(vm, 'cs').selector), back, ...(error === null ? [] : [BigInt(error)])];
  if (inner) words.unshift(BigInt(virtualSegment(vm, 'ss').selector), register(vm.machine, 'rsp'));
  const stack = inner?.segment ?? virtualSegment(vm, 'ss');
  const bottom = store(vm, stack, inner?.top ?? stackPointer(vm), words, size, next, inner ? errorOf(stack.selector) | ext : ext);
  markAccessed(vm, found);
  if (inner) setVirtualSegment(vm, 'ss', stack);
  setVirtualSegment(vm, 'cs', segmentFrom(errorOf(selector) | next, found));
  setStackPointer(vm, bottom);
  setVirtualFlags(vm, flags & ~(TF | NT | RF | VM86 | ((kind & 1) === 0 ? IF : 0n)));
  setRegister(vm.machine, 'rip', target);
  own(vm).shadow = false;
}

function gateTarget(vm: Vm, selector: number, cpl: number, ext: number): Descriptor {
  if (errorOf(selector) === 0) throw gp(ext);
  const found = findDescriptor(vm, selector);
  if (!found || (found.rights & 0x18) !== 0x18 || dplOf(found.rights) > cpl) throw gp(errorOf(selector) | ext);
  if ((found.rights & 0x80) === 0) throw np(errorOf(selector) | ext);
  return found;
}

const ts = (error: number): Stopped => ({ kind: 'fault', vector: 10, error });

/** The stack of a ring as the task's segment has it, checked. Outside IA-32e mode. */
export function innerStack(vm: Vm, ring: number, ext: number): { segment: GuestSegment; top: bigint } {
  const { tr } = own(vm);
  const wide = (tr.rights & 8) !== 0;
  const offset = wide ? 4 + ring * 8 : 2 + ring * 4;
  if (offset + (wide ? 6 : 4) - 1 > tr.limit) throw ts(errorOf(tr.selector) | ext);
  const at = BigInt.asUintN(32, tr.base + BigInt(offset));
  const top = readNumber(vm, at, wide ? 4 : 2, { implicit: true });
  const selector = Number(readNumber(vm, at + (wide ? 4n : 2n), 2, { implicit: true }));
  if (errorOf(selector) === 0) throw ts(ext);
  const wrong = errorOf(selector) | ext;
  const found = findDescriptor(vm, selector);
  if (!found || (selector & 3) !== ring || (found.rights & 0x1a) !== 0x12 || dplOf(found.rights) !== ring) throw ts(wrong);
  if ((found.rights & 0x80) === 0) throw ss(wrong);
  markAccessed(vm, found);
  return { segment: segmentFrom(selector, found), top };
}
