/**
 * Events and fast calls by software: what the processor would do with the guest's IDT, TSS and STAR if the guest had one of its own.
 * Frames carry the guest's selectors and flags, never the real ring. Faults on the way: double fault, triple fault. Everything
 * is read and checked before anything is changed, so that a missing page can be fetched and the whole tried again.
 * Sources: SDM 3A 6.12-6.15, SDM 2 SYSCALL, SYSRET, SYSENTER, SYSEXIT; the order of checks is src/cpu/interrupts.ts's. Gates of 16 bytes (IA-32e mode) here, others in deprivilege-legacy.ts.
 */
import { general, register, setGeneral, setRegister } from '../../machine/machine.ts';
import type { Vm } from '../vm.ts';
import { throughGate, throughVector } from './deprivilege-legacy.ts';
import { bytesOf, canonical, gp, isStopped, np, readNumber, ss, type Stopped, stopped, writeAt } from './deprivilege-memory.ts';
import { type Descriptor, dplOf, errorOf, findDescriptor, inLongCode, longMode, markAccessed, onlyOuterRings, segmentFrom } from './deprivilege-segments.ts';
import { IF, inReal, NT, own, RF, setVcpu, setVirtualFlags, setVirtualSegment, table, TF, UNUSABLE, virtualCpl, virtualFlags, virtualSegment } from './deprivilege-state.ts';

const VM86 = 0x2_0000n;
export const EXTERNAL = 0;
export const NMI = 2;
export const EXCEPTION = 3;
export const SOFTWARE = 4;

export interface Event {
  vector: number;
  /** As in a VMCS: 0 external, 2 NMI, 3 exception, 4 INT n, 5 INT1, 6 INT3 and INTO. */
  type: number;
  error: number | null;
  /** Of the instruction, for types above 3. */
  length: number;
  cr2?: bigint;
}

const contributory = (vector: number): boolean => vector === 0 || (vector >= 10 && vector <= 13);
const doubles = (first: number, second: number): boolean =>
  contributory(first) ? contributory(second) : first === 14 && (contributory(second) || second === 14);

/** Throws 'page' and the like, with nothing changed, and 'shutdown' for a triple fault. */
export function deliver(vm: Vm, first: Event): void {
  let event = first;
  for (;;) {
    if (event.cr2 !== undefined) setVcpu(vm, 'cr2', event.cr2);
    try {
      through(vm, event);
      return;
    } catch (thrown) {
      if (!isStopped(thrown) || thrown.kind !== 'fault') throw thrown;
      event = second(event, thrown);
    }
  }
}

function second(event: Event, fault: Extract<Stopped, { kind: 'fault' }>): Event {
  if (event.type === EXCEPTION && event.vector === 8) throw stopped({ kind: 'shutdown' });
  if (event.type === EXCEPTION && doubles(event.vector, fault.vector)) return { vector: 8, type: EXCEPTION, error: 0, length: 0 };
  return { vector: fault.vector, type: EXCEPTION, error: fault.error, length: 0, ...(fault.cr2 === undefined ? {} : { cr2: fault.cr2 }) };
}

function through(vm: Vm, event: Event): void {
  const { vector, type, error, length } = event;
  const back = register(vm.machine, 'rip') + BigInt(type >= 4 ? length : 0);
  if (!longMode(vm)) return inReal(vm) ? throughVector(vm, event, BigInt.asUintN(16, back)) : throughGate(vm, event, BigInt.asUintN(32, back));
  const software = type === 4 || type === 6;
  const ext = software ? 0 : 1;
  const code = (vector << 3) | 2 | ext;
  const idt = table(vm, 'idt');
  if (vector * 16 + 15 > idt.limit) throw gp(code);
  const low = readNumber(vm, idt.base + BigInt(vector * 16), 8, { implicit: true });
  const target = (low & 0xffffn) | ((low >> 32n) & 0xffff_0000n) | (readNumber(vm, idt.base + BigInt(vector * 16 + 8), 4, { implicit: true }) << 32n);
  const kind = Number((low >> 40n) & 0x1fn);
  if (kind !== 14 && kind !== 15) throw gp(code);
  const cpl = virtualCpl(vm);
  if (software && Number((low >> 45n) & 3n) < cpl) throw gp(code);
  if (((low >> 47n) & 1n) === 0n) throw np(code);
  const selector = Number((low >> 16n) & 0xffffn);
  const found = gateTarget(vm, selector, cpl, ext);
  const next = (found.rights & 4) !== 0 ? cpl : dplOf(found.rights);
  const stack = chooseStack(vm, Number((low >> 32n) & 7n), next, ext);
  if (!canonical(target)) throw gp(ext);
  const words = frame(vm, type, error, BigInt.asUintN(64, back), vector);
  const bottom = BigInt.asUintN(64, (stack & ~15n) - BigInt(8 * words.length));
  if (!canonical(bottom) || !canonical(BigInt.asUintN(64, bottom + BigInt(8 * words.length - 1)))) throw ss(ext);
  const bytes = new Uint8Array(8 * words.length);
  words.forEach((word, n) => {
    bytes.set(bytesOf(word, 8), 8 * n);
  });
  writeAt(vm, bottom, bytes, { user: next === 3, implicit: true });
  markAccessed(vm, found);
  enter(vm, found, selector, next, cpl, kind === 14);
  setRegister(vm.machine, 'rsp', bottom);
  setRegister(vm.machine, 'rip', target);
  own(vm).shadow = false;
}

function gateTarget(vm: Vm, selector: number, cpl: number, ext: number): Descriptor {
  if ((selector & 0xfffc) === 0) throw gp(ext);
  const found = findDescriptor(vm, selector);
  if (!found) throw gp(errorOf(selector) | ext);
  const { rights } = found;
  if ((rights & 0x18) !== 0x18 || dplOf(rights) > cpl || (rights & 0x6000) !== 0x2000) throw gp(errorOf(selector) | ext);
  if ((rights & 0x80) === 0) throw np(errorOf(selector) | ext);
  onlyOuterRings((rights & 4) !== 0 ? cpl : dplOf(rights));
  return found;
}

function chooseStack(vm: Vm, ist: number, next: number, ext: number): bigint {
  if (ist === 0 && next === virtualCpl(vm)) return register(vm.machine, 'rsp');
  const { tr } = own(vm);
  const offset = ist !== 0 ? 28 + ist * 8 : 4 + next * 8;
  if (offset + 7 > tr.limit) throw { kind: 'fault', vector: 10, error: errorOf(tr.selector) | ext } satisfies Stopped;
  return readNumber(vm, tr.base + BigInt(offset), 8, { implicit: true });
}

/** What is pushed, from the lowest address. */
function frame(vm: Vm, type: number, error: number | null, back: bigint, vector: number): bigint[] {
  const flags = virtualFlags(vm);
  const words = [
    back, BigInt(virtualSegment(vm, 'cs').selector), type === EXCEPTION && vector !== 1 ? flags | RF : flags, register(vm.machine, 'rsp'), BigInt(virtualSegment(vm, 'ss').selector),
  ];
  return error === null ? words : [BigInt(error), ...words];
}

function enter(vm: Vm, found: Descriptor, selector: number, next: number, cpl: number, closes: boolean): void {
  const flags = virtualFlags(vm);
  if (next !== cpl) setVirtualSegment(vm, 'ss', { selector: next, base: 0n, limit: 0, rights: UNUSABLE | (next << 5) });
  setVirtualSegment(vm, 'cs', segmentFrom(errorOf(selector) | next, found));
  setVirtualFlags(vm, flags & ~(TF | NT | RF | VM86 | (closes ? IF : 0n)));
}

// ---- SYSCALL and SYSRET, SYSENTER and SYSEXIT

const STAR = 0xc0000081;
const LSTAR = 0xc0000082;
const CSTAR = 0xc0000083;
const FMASK = 0xc0000084;

export type Msr = (index: number) => bigint;

export function systemCall(vm: Vm, msr: Msr): void {
  const { machine } = vm;
  const flags = virtualFlags(vm);
  const entry = msr(inLongCode(vm) ? LSTAR : CSTAR);
  setGeneral(machine, 1, register(machine, 'rip') + 2n);
  setGeneral(machine, 11, flags & ~RF);
  const selector = Number((msr(STAR) >> 32n) & 0xfffcn);
  setVirtualSegment(vm, 'ss', { selector: selector + 8, base: 0n, limit: 0xffff_ffff, rights: 0xc093 });
  setVirtualSegment(vm, 'cs', { selector, base: 0n, limit: 0xffff_ffff, rights: 0xa09b });
  setVirtualFlags(vm, flags & ~msr(FMASK) & ~RF);
  setRegister(machine, 'rip', entry);
}

export function systemReturn(vm: Vm, wide: boolean, msr: Msr): void {
  const { machine } = vm;
  const target = general(machine, 1);
  if (wide && !canonical(target)) throw gp();
  const base = Number((msr(STAR) >> 48n) & 0xffffn);
  const flags = (general(machine, 11) & 0x3c7fd7n) | 2n;
  setVirtualSegment(vm, 'cs', { selector: (base + (wide ? 16 : 0)) | 3, base: 0n, limit: 0xffff_ffff, rights: wide ? 0xa0fb : 0xc0fb });
  setVirtualSegment(vm, 'ss', { selector: (base + 8) | 3, base: 0n, limit: 0xffff_ffff, rights: 0xc0f3 });
  setVirtualFlags(vm, flags);
  setRegister(machine, 'rip', wide ? target : target & 0xffff_ffffn);
}

const SYSENTER_CS = 0x174;
const SYSENTER_ESP = 0x175;
const SYSENTER_EIP = 0x176;

function flat(vm: Vm, code: number, stack: number, ring: 0 | 3, wide: boolean): void {
  setVirtualSegment(vm, 'ss', { selector: stack & 0xffff, base: 0n, limit: 0xffff_ffff, rights: 0xc093 | (ring << 5) });
  setVirtualSegment(vm, 'cs', { selector: code & 0xffff, base: 0n, limit: 0xffff_ffff, rights: (wide ? 0xa09b : 0xc09b) | (ring << 5) });
}

export function systemEnter(vm: Vm, msr: Msr): void {
  const selector = Number(msr(SYSENTER_CS) & 0xfffcn);
  if (inReal(vm) || selector === 0) throw gp();
  const bits = longMode(vm) ? 64 : 32;
  const flags = virtualFlags(vm);
  flat(vm, selector, selector + 8, 0, bits === 64);
  setVirtualFlags(vm, flags & ~(VM86 | IF | RF));
  setRegister(vm.machine, 'rsp', BigInt.asUintN(bits, msr(SYSENTER_ESP)));
  setRegister(vm.machine, 'rip', BigInt.asUintN(bits, msr(SYSENTER_EIP)));
}

export function systemExit(vm: Vm, wide: boolean, msr: Msr): void {
  const base = Number(msr(SYSENTER_CS) & 0xffffn);
  const [stack, target] = [general(vm.machine, 1), general(vm.machine, 2)];
  if (inReal(vm) || (base & 0xfffc) === 0 || (wide && (!canonical(stack) || !canonical(target)))) throw gp();
  const flags = virtualFlags(vm);
  flat(vm, ((base + (wide ? 32 : 16)) & 0xffff) | 3, ((base + (wide ? 40 : 24)) & 0xffff) | 3, 3, wide);
  setVirtualFlags(vm, flags);
  setRegister(vm.machine, 'rsp', BigInt.asUintN(wide ? 64 : 32, stack));
  setRegister(vm.machine, 'rip', BigInt.asUintN(wide ? 64 : 32, target));
}
