/**
 * The virtual processor of a deprivileged guest: what the guest believes (control registers, interrupt flag, IOPL, tables, ring)
 * is kept by the monitor, partly in a page that translated code reads; the real processor holds the general registers, the
 * arithmetic flags, and the segments with privilege compressed: descriptors of ring 0 are of ring 1, ring 3 stays. So the guest's
 * ring is 3 when the real one is, and 0 otherwise; guests that use rings 1 and 2 themselves are not modelled.
 * Source: Robin and Irvine 2000; Adams and Agesen 2006, 2.2.
 */
import { INTERRUPTIBILITY } from '../../../cpu/layout.ts';
import { privilege, register, segment, setRegister, setSegment, type SegmentName as MachineSegment } from '../../machine/machine.ts';
import type { ControlName, GuestSegment, GuestState, SegmentName, TableName, Vm } from '../vm.ts';
import { fixSlot } from '../memory/shadow.ts';
import { AREA, type Area, createArea, GDT_AT, IDT_AT, SLOT, type SlotName, directoryEntry, topEntry } from './deprivilege-area.ts';

/** What one sensitive instruction that does not trap did. */
export interface Silent {
  text: string;
  rip: bigint;
  times: number;
  saw: string;
  should: string;
}

export interface Own {
  area: Area;
  efer: bigint;
  /** Virtual TR and LDTR; the real ones hold nothing. */
  tr: GuestSegment;
  ldt: GuestSegment;
  tscOffset: bigint;
  /** No interrupt before the next instruction is done (STI, MOV SS). */
  shadow: boolean;
  /** Bytes of the guest's GDT that the shadow holds, to see whether it changed. */
  copied: Uint8Array;
  /** Where the newest stretch ran. */
  ran: 'user' | 'kernel' | 'translated' | 'monitor';
  silent: Map<string, Silent>;
  /** Told when linear addresses may lead elsewhere. */
  remapped: ((vm: Vm) => void) | null;
  /** Told when guest memory was stored to by other than the guest's own unseen stores. */
  wrote: ((vm: Vm, gpa: number, length: number) => void) | null;
  /** A store to watched code that the monitor cannot do is let through; `open` fills the shadow. */
  unseen: ((vm: Vm, gpa: number, open: () => void) => void) | null;
  /** After every change of the root in force. */
  rooted: ((vm: Vm) => void) | null;
  /** The guest reached for an address where the monitor's area is: true, it is elsewhere now. */
  makeRoom: ((vm: Vm, linear: bigint) => boolean) | null;
  /** Where the area is besides, for 32-bit code; null: nowhere yet. */
  low: bigint | null;
  /** Of binary translation (translate-cache.ts), or null. */
  cache: unknown;
}

export const IF = 0x200n;
export const IOPL = 0x3000n;
export const TF = 0x100n;
export const NT = 0x4000n;
export const RF = 0x1_0000n;
export const LMA = 0x400n;
export const LME = 0x100n;
export const SCE = 1n;
export const NXE = 0x800n;
export const PG = 0x8000_0000n;
export const PE = 1n;
const REAL_FIXED = 2n | IF;
export const UNUSABLE = 0x1_0000;

export const own = (vm: Vm): Own => vm.own as Own;

// ---- the page of the virtual processor

export const vcpu = (vm: Vm, name: SlotName): bigint => vm.machine.physical.getBigUint64(own(vm).area.vcpu + SLOT[name], true);
export function setVcpu(vm: Vm, name: SlotName, value: bigint): void {
  vm.machine.physical.setBigUint64(own(vm).area.vcpu + SLOT[name], BigInt.asUintN(64, value), true);
}

export const table = (vm: Vm, name: TableName): { base: bigint; limit: number } => {
  const at = own(vm).area.vcpu + SLOT[name];
  return { limit: vm.machine.physical.getUint16(at, true), base: vm.machine.physical.getBigUint64(at + 2, true) };
};
export function setTable(vm: Vm, name: TableName, { base, limit }: { base: bigint; limit: number }): void {
  const at = own(vm).area.vcpu + SLOT[name];
  vm.machine.physical.setUint16(at, limit, true);
  vm.machine.physical.setBigUint64(at + 2, BigInt.asUintN(64, base), true);
}

// ---- ring and flags

export const inReal = (vm: Vm): boolean => (vcpu(vm, 'cr0') & PE) === 0n;
/** 0 or 3: the ring in which the guest believes itself. */
export const virtualCpl = (vm: Vm): 0 | 3 => (privilege(vm.machine) === 3 ? 3 : 0);

export const virtualFlags = (vm: Vm): bigint => (register(vm.machine, 'rflags') & ~(IF | IOPL)) | vcpu(vm, 'interrupts') | vcpu(vm, 'iopl');
export function setVirtualFlags(vm: Vm, value: bigint): void {
  setRegister(vm.machine, 'rflags', (value & ~IOPL) | REAL_FIXED);
  setVcpu(vm, 'interrupts', value & IF);
  setVcpu(vm, 'iopl', value & IOPL);
}

/** Interrupts can be delivered now. */
export const open = (vm: Vm): boolean => vcpu(vm, 'interrupts') !== 0n && !own(vm).shadow;

// ---- segments

const named = (name: SegmentName): MachineSegment => (name === 'ldt' ? 'ldtr' : name);
const dpl = (rights: number): number => (rights >> 5) & 3;

/** As the guest would see it: ring 1 is its ring 0. */
export function virtualSegment(vm: Vm, name: SegmentName): GuestSegment {
  if (name === 'tr') return own(vm).tr;
  if (name === 'ldt') return own(vm).ldt;
  const real = segment(vm.machine, named(name));
  const rights = dpl(real.rights) === 1 ? real.rights & ~0x60 : real.rights;
  const kernel = (name === 'cs' || name === 'ss') && (real.selector & 3) === 1;
  return { ...real, rights, selector: !kernel ? real.selector : inReal(vm) ? Number(vcpu(vm, name)) : real.selector & 0xfffc };
}

/** Loads the real register with privilege compressed. */
export function setVirtualSegment(vm: Vm, name: SegmentName, value: GuestSegment): void {
  const o = own(vm);
  if (name === 'tr' || name === 'ldt') {
    o[name] = value;
    setVcpu(vm, name, BigInt(value.selector));
    return;
  }
  const inner = dpl(value.rights) === 0;
  const usable = (value.rights & UNUSABLE) === 0;
  const stack = name === 'ss';
  const rights = inner && (usable || stack) ? value.rights | 0x20 : value.rights;
  const kernel = (stack || name === 'cs') && inner;
  setSegment(vm.machine, named(name), { ...value, rights, selector: kernel ? (value.selector & 0xfffc) | 1 : value.selector });
  if (stack || name === 'cs') setVcpu(vm, name, BigInt(value.selector));
}

// ---- control registers

export function control(vm: Vm, name: ControlName): bigint {
  return name === 'efer' ? own(vm).efer : vcpu(vm, name);
}

const SMEP = 1n << 20n;
const SMAP = 1n << 21n;
const UMIP = 1n << 11n;
const TSD = 4n;
const PAE = 0x20n;
const PGE = 0x80n;
/** Bits of CR4 that the guest's own choice must make real. */
const PASSED = SMEP | SMAP | UMIP | TSD;

/** MP, EM, TS and AM are obeyed by the real processor; protection, numeric errors, paging, and write protection even of rings 0 to 2 are the monitor's: traces on the guest's tables depend on it. */
const CR0_PASSED = 0x4_000en;
const CR0_FIXED = 0x8001_0031n;

/** Only the belief; what follows for the shadow of its memory is `follow`'s. */
export function setControl(vm: Vm, name: ControlName, value: bigint): void {
  if (name === 'efer') {
    own(vm).efer = value;
    // SYSCALL without SCE is #UD by the processor itself
    setRegister(vm.machine, 'efer', LME | LMA | NXE | (value & SCE));
  } else setVcpu(vm, name, value);
  if (name === 'cr0') setRegister(vm.machine, 'cr0', CR0_FIXED | (value & CR0_PASSED));
  if (name === 'cr4') setRegister(vm.machine, 'cr4', PAE | PGE | (value & PASSED));
}

export const deprivilegedState: GuestState = {
  register: (vm, name) => (name === 'rflags' ? virtualFlags(vm) : register(vm.machine, name)),
  setRegister(vm, name, value) {
    if (name === 'rflags') setVirtualFlags(vm, value);
    else setRegister(vm.machine, name, value);
  },
  control, setControl, segment: virtualSegment, setSegment: setVirtualSegment, table, setTable,
  clearInterruptibility(vm) {
    own(vm).shadow = false;
    vm.machine.state.setUint32(INTERRUPTIBILITY, 0, true);
  },
};

const NOTHING: GuestSegment = { selector: 0, base: 0n, limit: 0, rights: UNUSABLE };

/** The real processor in long mode and ring 1, with the monitor's tables; the guest's registers come afterwards. */
export function initDeprivileged(vm: Vm, cachePages: number): void {
  const area = createArea(vm, cachePages);
  vm.own = {
    area, efer: 0n, tr: NOTHING, ldt: NOTHING, tscOffset: 0n, shadow: false, copied: new Uint8Array(0), ran: 'kernel', silent: new Map(), remapped: null, wrote: null, unseen: null, rooted: null, makeRoom: null, low: null, cache: null,
  } satisfies Own;
  fixSlot(vm, 511, topEntry(area), { index: 511, entry: directoryEntry(area) });
  const { machine } = vm;
  setRegister(machine, 'cr4', PAE | PGE);
  setRegister(machine, 'efer', LME | NXE);
  setRegister(machine, 'cr0', CR0_FIXED | 2n);
  setSegment(machine, 'gdtr', { selector: 0, base: AREA + BigInt(GDT_AT), limit: 0, rights: 0 });
  setSegment(machine, 'idtr', { selector: 0, base: AREA + BigInt(IDT_AT), limit: 0xfff, rights: 0 });
  setSegment(machine, 'tr', { selector: 0x40, base: 0n, limit: 0, rights: 0x8b });
  setRegister(machine, 'rflags', REAL_FIXED);
}
