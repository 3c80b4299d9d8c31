/**
 * Descriptors of a deprivileged guest, read by the monitor from the guest's own tables with the guest's own ring: loads of data
 * segments, of LDTR and TR, and the shadow GDT that the real processor reads, which holds the guest's descriptors with ring 0
 * made ring 1 and without its system descriptors. Rules and errors: SDM 3A 3.4-3.5, 5.5; SDM 2 MOV, LTR, LLDT, LAR, LSL, VERR.
 */
import { register, segment, setSegment } from '../../machine/machine.ts';
import type { GuestSegment, SegmentName, Vm } from '../vm.ts';
import { GDT_PAGES } from './deprivilege-area.ts';
import { canonical, gp, isStopped, missing, np, readAt, readNumber, ss, writeNumber } from './deprivilege-memory.ts';
import { inReal, LMA, own, setVirtualSegment, table, UNUSABLE, virtualCpl, virtualSegment } from './deprivilege-state.ts';

export interface Descriptor {
  raw: bigint;
  at: bigint;
  rights: number;
}

export const rightsOf = (raw: bigint): number => Number((raw >> 40n) & 0xf0ffn);
export const limitOf = (raw: bigint): number => {
  const limit = Number((raw & 0xffffn) | ((raw >> 32n) & 0xf0000n));
  return ((raw >> 55n) & 1n) === 1n ? limit * 4096 + 4095 : limit;
};
export const baseOf = (raw: bigint): bigint => ((raw >> 16n) & 0xff_ffffn) | ((raw >> 32n) & 0xff00_0000n);
export const dplOf = (rights: number): number => (rights >> 5) & 3;
export const errorOf = (selector: number): number => selector & 0xfffc;
export const longMode = (vm: Vm): boolean => (own(vm).efer & LMA) !== 0n;

/** Of the guest's GDT or LDT, or null: outside its table. */
export function findDescriptor(vm: Vm, selector: number, bytes: 8 | 16 = 8): Descriptor | null {
  const { ldt } = own(vm);
  const local = (selector & 4) !== 0;
  if (local && (ldt.rights & UNUSABLE) !== 0) return null;
  const { base, limit } = local ? ldt : table(vm, 'gdt');
  const offset = selector & 0xfff8;
  if (offset + bytes - 1 > limit) return null;
  const at = BigInt.asUintN(64, base + BigInt(offset));
  const raw = readNumber(vm, at, 8, { implicit: true });
  return { raw, at, rights: rightsOf(raw) };
}

/** The descriptor, or #GP(selector). */
export function needDescriptor(vm: Vm, selector: number, bytes: 8 | 16 = 8): Descriptor {
  const found = findDescriptor(vm, selector, bytes);
  if (!found) throw gp(errorOf(selector));
  return found;
}

export function markAccessed(vm: Vm, { raw, at }: Descriptor): void {
  if (((raw >> 40n) & 1n) === 0n) writeNumber(vm, at + 5n, 1, ((raw >> 40n) & 0xffn) | 1n, { implicit: true });
}

export const segmentFrom = (selector: number, { raw, rights }: Descriptor): GuestSegment => ({ selector, base: baseOf(raw), limit: limitOf(raw), rights: rights | 1 });

export function onlyOuterRings(ring: number): void {
  if (ring === 1 || ring === 2) throw missing('rings 1 and 2 of a deprivileged guest');
}

/** Real mode: the base is the selector's, limit and rights stay. */
export function realSegment(vm: Vm, name: SegmentName, selector: number): GuestSegment {
  const before = virtualSegment(vm, name);
  const usable = (before.rights & UNUSABLE) === 0;
  return { selector, base: BigInt(selector) << 4n, limit: usable ? before.limit : 0xffff, rights: usable ? before.rights : 0x93 };
}

/** MOV, POP and LxS to a data or stack segment. */
export function loadSegment(vm: Vm, name: Exclude<SegmentName, 'cs' | 'tr' | 'ldt'>, selector: number): void {
  if (inReal(vm)) return setVirtualSegment(vm, name, realSegment(vm, name, selector));
  const cpl = virtualCpl(vm);
  const rpl = selector & 3;
  if ((selector & 0xfffc) === 0) {
    if (name === 'ss' && (cpl === 3 || rpl !== cpl || !inLongCode(vm))) throw gp();
    setVirtualSegment(vm, name, { selector, base: 0n, limit: 0, rights: UNUSABLE | (name === 'ss' ? cpl << 5 : 0) });
    return;
  }
  const found = needDescriptor(vm, selector);
  const { rights } = found;
  const kind = rights & 0x1f;
  const dpl = dplOf(rights);
  if (name === 'ss') {
    if (rpl !== cpl || (kind & 0x1a) !== 0x12 || dpl !== cpl) throw gp(errorOf(selector));
    if ((rights & 0x80) === 0) throw ss(errorOf(selector));
  } else {
    if ((kind & 0x10) === 0 || (kind & 0x0a) === 0x08) throw gp(errorOf(selector));
    if ((kind & 0x0c) !== 0x0c && (rpl > dpl || cpl > dpl)) throw gp(errorOf(selector));
    if ((rights & 0x80) === 0) throw np(errorOf(selector));
  }
  markAccessed(vm, found);
  setVirtualSegment(vm, name, segmentFrom(selector, found));
}

export const inLongCode = (vm: Vm): boolean => longMode(vm) && (segment(vm.machine, 'cs').rights & 0x2000) !== 0;
/** Of the code that runs: the width of its addresses and operands. */
export const codeBits = (vm: Vm): 16 | 32 | 64 => (inLongCode(vm) ? 64 : (segment(vm.machine, 'cs').rights & 0x4000) !== 0 ? 32 : 16);
/** Linear address of the instruction at rip. */
export const codeAt = (vm: Vm): bigint => (inLongCode(vm) ? register(vm.machine, 'rip') : BigInt.asUintN(32, segment(vm.machine, 'cs').base + register(vm.machine, 'rip')));

/** LLDT and LTR. */
export function loadSystem(vm: Vm, name: 'ldt' | 'tr', selector: number): void {
  if ((selector & 0xfffc) === 0) {
    if (name === 'tr') throw gp();
    setVirtualSegment(vm, 'ldt', { selector, base: 0n, limit: 0, rights: UNUSABLE });
    return;
  }
  if ((selector & 4) !== 0) throw gp(errorOf(selector));
  const wide = longMode(vm);
  const found = needDescriptor(vm, selector, wide ? 16 : 8);
  const { raw, rights, at } = found;
  const short = !wide && name === 'tr' && (rights & 0x1f) === 1;
  if ((rights & 0x1f) !== (name === 'tr' ? 9 : 2) && !short) throw gp(errorOf(selector));
  if ((rights & 0x80) === 0) throw np(errorOf(selector));
  const base = baseOf(raw) | (wide ? readNumber(vm, at + 8n, 4, { implicit: true }) << 32n : 0n);
  if (!canonical(base)) throw gp(errorOf(selector));
  if (name === 'tr') writeNumber(vm, at + 5n, 1, ((raw >> 40n) & 0xffn) | 2n, { implicit: true });
  setVirtualSegment(vm, name, { selector, base, limit: limitOf(raw), rights: name === 'tr' ? rights | 2 : rights });
}

/** LAR and LSL: the value, or null: ZF is cleared. */
export function inspect(vm: Vm, selector: number, wantsRights: boolean): bigint | null {
  const found = (selector & 0xfffc) === 0 ? null : findDescriptor(vm, selector);
  if (!found || !visible(vm, selector, found.rights)) return null;
  const kind = found.rights & 0x1f;
  const old = !longMode(vm) && (kind === 1 || kind === 3 || (wantsRights && (kind === 4 || kind === 5)));
  if ((kind & 0x10) === 0 && kind !== 2 && kind !== 9 && kind !== 11 && !(wantsRights && kind === 12) && !old) return null;
  return wantsRights ? (found.raw >> 32n) & 0xff_ff00n : BigInt(limitOf(found.raw));
}

/** VERR and VERW. */
export function verify(vm: Vm, selector: number, writes: boolean): boolean {
  const found = (selector & 0xfffc) === 0 ? null : findDescriptor(vm, selector);
  if (!found || (found.rights & 0x10) === 0 || !visible(vm, selector, found.rights)) return false;
  return writes ? (found.rights & 0x0a) === 0x02 : (found.rights & 0x0a) !== 0x08;
}

function visible(vm: Vm, selector: number, rights: number): boolean {
  const dpl = dplOf(rights);
  return (rights & 0x1c) === 0x1c || (dpl >= virtualCpl(vm) && dpl >= (selector & 3));
}

/** Going to ring 3 takes away what only the kernel may hold (SDM 2A IRET). */
export function dropInner(vm: Vm): void {
  for (const name of ['es', 'ds', 'fs', 'gs'] as const) {
    const { rights } = segment(vm.machine, name);
    if ((rights & UNUSABLE) === 0 && dplOf(rights) < 3 && (rights & 0x1c) !== 0x1c) setSegment(vm.machine, name, { selector: 0, base: 0n, limit: 0, rights: UNUSABLE });
  }
}

// ---- the shadow GDT

/** One descriptor as the real processor may have it: ring 0 is ring 1, accessed, nothing that it would obey but code and data. */
export function compress(raw: bigint): bigint {
  if (((raw >> 44n) & 1n) === 0n) return 0n;
  const inner = ((raw >> 45n) & 3n) === 0n;
  return raw | (1n << 40n) | (inner ? 1n << 45n : 0n);
}

/** Brings the shadow GDT up to the guest's, as far as that can be read. */
export function copyGdt(vm: Vm): void {
  const o = own(vm);
  const { base, limit } = table(vm, 'gdt');
  const length = Math.min(GDT_PAGES * 4096, limit + 1) & ~7;
  const bytes = length === 0 ? new Uint8Array(0) : readable(vm, base, length);
  if (bytes.length === o.copied.length && bytes.every((byte, n) => byte === o.copied[n])) return;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length; at += 8) vm.machine.physical.setBigUint64(o.area.gdt + at, at === 0 ? 0n : compress(view.getBigUint64(at, true)), true);
  for (let at = bytes.length; at < o.copied.length; at += 8) vm.machine.physical.setBigUint64(o.area.gdt + at, 0n, true);
  o.copied = bytes;
  setSegment(vm.machine, 'gdtr', { ...segment(vm.machine, 'gdtr'), limit: Math.max(0, bytes.length - 1) });
}

function readable(vm: Vm, base: bigint, length: number): Uint8Array {
  try {
    return readAt(vm, base, length, { implicit: true, look: true });
  } catch (thrown) {
    if (isStopped(thrown)) return new Uint8Array(0);
    throw thrown;
  }
}
