/**
 * Events and returns by software: what the processor would do with the guest's IDT, TSS and STAR if the guest had one of its own.
 * Frames carry the guest's selectors and flags, never the real ring. Faults on the way: double fault, triple fault. Everything
 * is read and checked before anything is changed, so that a missing page can be fetched and the whole tried again.
 * Sources: SDM 3A 6.12-6.15, SDM 2 IRET, SYSCALL, SYSRET; the order of checks is src/cpu/interrupts.ts's. Gates of 16 bytes (IA-32e mode) only.
 */
import { general, register, setGeneral, setRegister } from '../../machine/machine.ts';
import type { Vm } from '../vm.ts';
import { bytesOf, canonical, gp, isStopped, missing, np, readNumber, ss, type Stopped, stopped, writeAt } from './deprivilege-memory.ts';
import { baseOf, type Descriptor, dplOf, dropInner, errorOf, findDescriptor, inLongCode, limitOf, longMode, markAccessed, needDescriptor, segmentFrom, UNUSABLE } from './deprivilege-segments.ts';
import { IF, IOPL, NT, own, RF, setVcpu, setVirtualFlags, setVirtualSegment, table, TF, virtualCpl, virtualFlags, virtualSegment } from './deprivilege-state.ts';

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

function through(vm: Vm, { vector, type, error, length }: Event): void {
  if (!longMode(vm)) throw missing('delivery of events outside long mode under a deprivileging technique');
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
  const words = frame(vm, type, error, BigInt.asUintN(64, register(vm.machine, 'rip') + BigInt(type >= 4 ? length : 0)), vector);
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

function onlyOuterRings(ring: number): void {
  if (ring === 1 || ring === 2) throw missing('rings 1 and 2 of a deprivileged guest');
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

// ---- SYSCALL and SYSRET

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

// ---- IRET and far transfers of the guest's kernel

/** Descriptor of a code segment to go to. `outward`: a return may go to ring 3. */
function codeSegment(vm: Vm, selector: number, outward: boolean): Descriptor {
  if ((selector & 0xfffc) === 0) throw gp();
  const found = needDescriptor(vm, selector);
  const { rights } = found;
  const cpl = virtualCpl(vm);
  const rpl = selector & 3;
  const dpl = dplOf(rights);
  const wrong = gp(errorOf(selector));
  if ((rights & 0x18) !== 0x18 || ((rights & 0x6000) === 0x6000 && longMode(vm))) throw wrong;
  const conforming = (rights & 4) !== 0;
  if (outward) {
    if (rpl < cpl || (conforming ? dpl > rpl : dpl !== rpl)) throw wrong;
  } else if (conforming ? dpl > cpl : rpl > cpl || dpl !== cpl) throw wrong;
  if ((rights & 0x80) === 0) throw np(errorOf(selector));
  return found;
}

function reachable(vm: Vm, target: bigint, { raw, rights }: Descriptor): void {
  const fits = longMode(vm) && (rights & 0x2000) !== 0 ? canonical(target) : target <= BigInt(limitOf(raw));
  if (!fits) throw gp();
}

function stackSegment(vm: Vm, selector: number, cpl: number, target: number): Descriptor | null {
  if ((selector & 0xfffc) === 0) {
    if ((target & 0x2000) !== 0 && cpl !== 3 && (selector & 3) === cpl) return null;
    throw gp();
  }
  const found = needDescriptor(vm, selector);
  if ((selector & 3) !== cpl || (found.rights & 0x1a) !== 0x12 || dplOf(found.rights) !== cpl) throw gp(errorOf(selector));
  if ((found.rights & 0x80) === 0) throw ss(errorOf(selector));
  return found;
}

function putStack(vm: Vm, selector: number, found: Descriptor | null): void {
  setVirtualSegment(vm, 'ss', found ? segmentFrom(selector, found) : { selector, base: 0n, limit: 0, rights: UNUSABLE | ((selector & 3) << 5) });
}

/** IRET of 2, 4 or 8 bytes an element, by the guest's kernel in 64-bit code. */
export function interruptReturn(vm: Vm, size: 2 | 4 | 8): void {
  const { machine } = vm;
  const flags = virtualFlags(vm);
  if ((flags & NT) !== 0n) throw gp();
  const top = register(machine, 'rsp');
  const word = (n: number): bigint => readNumber(vm, BigInt.asUintN(64, top + BigInt(n * size)), size);
  const [target, codeWord, given, stack, stackWord] = [word(0), word(1), word(2), word(3), word(4)];
  const selector = Number(codeWord & 0xffffn);
  const ring = selector & 3;
  const cpl = virtualCpl(vm);
  const code = codeSegment(vm, selector, true);
  onlyOuterRings(ring);
  const stackSelector = Number(stackWord & 0xffffn);
  const found = stackSegment(vm, stackSelector, ring, code.rights);
  reachable(vm, target, code);
  markAccessed(vm, code);
  if (found) markAccessed(vm, found);
  const may = 0x24_4dd5n | TF | IOPL | IF | (size === 2 ? 0n : RF);
  const width = size === 2 ? 0xffffn : ~0n;
  if (ring > cpl) dropInner(vm);
  putStack(vm, stackSelector, found);
  setVirtualSegment(vm, 'cs', segmentFrom(selector, code));
  setVirtualFlags(vm, (flags & ~(may & width) & ~RF) | (given & may & width));
  setRegister(machine, 'rsp', size === 8 ? stack : size === 4 ? stack : (register(machine, 'rsp') & ~0xffffn) | stack);
  setRegister(machine, 'rip', target);
}

/** RETF: `extra` bytes are dropped besides. */
export function farReturn(vm: Vm, size: 2 | 4 | 8, extra: number): void {
  const { machine } = vm;
  const top = register(machine, 'rsp');
  const word = (at: bigint): bigint => readNumber(vm, BigInt.asUintN(64, at), size);
  const target = word(top);
  const selector = Number(word(top + BigInt(size)) & 0xffffn);
  const code = codeSegment(vm, selector, true);
  reachable(vm, target, code);
  onlyOuterRings(selector & 3);
  const above = top + BigInt(2 * size + extra);
  if ((selector & 3) > virtualCpl(vm)) {
    const stack = word(above);
    const stackSelector = Number(word(above + BigInt(size)) & 0xffffn);
    const found = stackSegment(vm, stackSelector, selector & 3, code.rights);
    dropInner(vm);
    putStack(vm, stackSelector, found);
    setRegister(machine, 'rsp', BigInt.asUintN(64, stack + BigInt(extra)));
  } else setRegister(machine, 'rsp', BigInt.asUintN(64, above));
  markAccessed(vm, code);
  setVirtualSegment(vm, 'cs', segmentFrom(selector, code));
  setRegister(machine, 'rip', target);
}

/** Far JMP, or far CALL with what comes after it. */
export function farTransfer(vm: Vm, target: bigint, selector: number, call: { back: bigint; size: 2 | 4 | 8 } | null): void {
  const { machine } = vm;
  const code = codeSegment(vm, selector, false);
  if (baseOf(code.raw) !== 0n && (code.rights & 0x2000) === 0) throw missing('far transfer to a code segment with a base');
  reachable(vm, target, code);
  if (call) {
    const bottom = BigInt.asUintN(64, register(machine, 'rsp') - BigInt(2 * call.size));
    const bytes = new Uint8Array(2 * call.size);
    bytes.set(bytesOf(call.back, call.size));
    bytes.set(bytesOf(BigInt(virtualSegment(vm, 'cs').selector), call.size), call.size);
    writeAt(vm, bottom, bytes);
    setRegister(machine, 'rsp', bottom);
  }
  markAccessed(vm, code);
  setVirtualSegment(vm, 'cs', segmentFrom((selector & 0xfffc) | virtualCpl(vm), code));
  setRegister(machine, 'rip', target);
}
