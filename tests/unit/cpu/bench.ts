/**
 * A processor in long mode on a small machine, for tests: identity page tables, flat descriptors, an IDT whose gates lead to
 * labels of the source, and a way to run until a stop. Bare (root operation) or as a guest under VMX with EPT.
 */
import { readFileSync } from 'node:fs';
import * as at from '../../../src/cpu/layout.ts';
import { assemble } from '../../../src/engine/machine/isa/assemble.ts';
import * as m from '../../../src/engine/machine/machine.ts';

export const module = new WebAssembly.Module(readFileSync(new URL('../../../build/cpu.wasm', import.meta.url)));

export const MEMORY = 0x1000000;
/** Guest-physical: tables at 0x2000.., descriptors at 0x1000, code at 0x100000 in bare machines and guests alike. */
export const CODE = 0x100000;
export const PML4 = 0x2000;
const GDT = 0x1000;
export const IDT = 0x800;
export const TSS = 0x1100;

export interface Program {
  machine: m.Machine;
  labels: ReadonlyMap<string, bigint>;
}

/** 2 MiB pages, all of them the user's too unless a test says otherwise. */
export function identityTables(memory: DataView, base = 0, user = 4): void {
  memory.setBigUint64(base + PML4, BigInt(PML4 + 0x1000 | 3 | user), true);
  memory.setBigUint64(base + PML4 + 0x1000, BigInt(PML4 + 0x2000 | 3 | user), true);
  for (let n = 0; n < 512; n++) memory.setBigUint64(base + PML4 + 0x2000 + 8 * n, BigInt(n * 0x200000) | 0x83n | BigInt(user), true);
}

export function assembleOrThrow(source: string, origin = CODE): { bytes: Uint8Array; labels: ReadonlyMap<string, bigint> } {
  const result = assemble(`bits 64\norg 0x${origin.toString(16)}\n${source}`, 'test.asm');
  if (result.errors.length > 0) throw new Error(result.errors[0]!.text);
  return { bytes: result.bytes, labels: result.labels };
}

/** GDT: 8 kernel code, 10 kernel data, 18 user data, 20 user code, 28 TSS (rsp0 at 0x9000, ist1 0xa000). IDT: gates of `gates`. */
export function descriptors(memory: DataView, labels: ReadonlyMap<string, bigint>, gates: Readonly<Record<number, string | [label: string, flags: number]>>, base = 0): void {
  const put = (offset: number, value: bigint): void => memory.setBigUint64(base + offset, value, true);
  [0n, 0x00af9b000000ffffn, 0x00cf93000000ffffn, 0x00cff3000000ffffn, 0x00affb000000ffffn].forEach((d, n) => {
    put(GDT + 8 * n, d);
  });
  put(GDT + 0x28, 0x0000890000000067n | (BigInt(TSS) << 16n));
  put(TSS + 4, 0x9000n);
  put(TSS + 36, 0xa000n);
  memory.setUint16(base + TSS + 102, 0x68, true);
  for (const [vector, gate] of Object.entries(gates)) {
    const [label, flags] = typeof gate === 'string' ? [gate, 0x8e00] : gate;
    const to = labels.get(label);
    if (to === undefined) throw new Error(`no label ${label}`);
    put(IDT + 16 * Number(vector), (to & 0xffffn) | (8n << 16n) | (BigInt(flags) << 32n) | ((to >> 16n & 0xffffn) << 48n));
    put(IDT + 16 * Number(vector) + 8, to >> 32n);
  }
}

export type Gates = Parameters<typeof descriptors>[2];

/** A bare machine at the first byte of `source`: ring 0, interrupts off, stack at 0x8000. */
export function bare(source: string, gates: Gates = {}, options: m.MachineOptions = {}): Program {
  const machine = m.createMachine(module, MEMORY, options);
  const { bytes, labels } = assembleOrThrow(source);
  m.load(machine, CODE, bytes);
  identityTables(machine.physical);
  descriptors(machine.physical, labels, gates);
  for (const [name, value] of [['cr3', BigInt(PML4)], ['cr4', 0xa0n], ['efer', 0xd01n], ['cr0', 0x80010033n], ['rip', BigInt(CODE)], ['rsp', 0x8000n], ['rflags', 2n]] as const) m.setRegister(machine, name, value);
  for (const [name, value] of segments()) m.setSegment(machine, name, value);
  return { machine, labels };
}

export function segments(): [m.SegmentName, m.Segment][] {
  const data = { selector: 0x10, base: 0n, limit: 0xffffffff, rights: 0xc093 };
  return [
    ['cs', { selector: 8, base: 0n, limit: 0xffffffff, rights: 0xa09b }], ['ss', data], ['ds', data], ['es', data], ['fs', data], ['gs', data],
    ['tr', { selector: 0x28, base: BigInt(TSS), limit: 0x67, rights: 0x8b }], ['ldtr', { selector: 0, base: 0n, limit: 0, rights: 0x10000 }],
    ['gdtr', { selector: 0, base: BigInt(GDT), limit: 0x37, rights: 0 }], ['idtr', { selector: 0, base: BigInt(IDT), limit: 0x7ff, rights: 0 }],
  ];
}

/** Runs until something other than the budget stops it; 10 million cycles at most. */
export function finish(program: Program): m.Stop {
  return m.run(program.machine, 10_000_000n);
}

export const reg = (program: Program, name: string): bigint => m.register(program.machine, name);
export const exceptions = (program: Program, vector: number): bigint => m.slot(program.machine, at.EXCEPTIONS + 8 * vector);

// ---- under VMX

/** Guest-physical 0 lies at this host-physical address; EPT tables lie at EPT. */
export const GUEST_BASE = 0x400000;
export const EPT = 0x10000;
export const EPTP = BigInt(EPT) | 0x5en;
export const GUEST_BYTES = 0xc00000;

/** VMCS encodings by name, for tests. */
export const F = {
  vpid: 0x0000, ioA: 0x2000, ioB: 0x2002, msrBitmap: 0x2004, tscOffset: 0x2010, eptp: 0x201a, gpa: 0x2400, link: 0x2800, efer: 0x2806,
  pin: 0x4000, primary: 0x4002, exceptions: 0x4004, pfMask: 0x4006, pfMatch: 0x4008, cr3Count: 0x400a, exitControls: 0x400c, msrStore: 0x400e, entryControls: 0x4012, inject: 0x4016, injectError: 0x4018,
  injectLength: 0x401a, secondary: 0x401e, instructionError: 0x4400, reason: 0x4402, info: 0x4404, infoError: 0x4406, vectoring: 0x4408, vectoringError: 0x440a, length: 0x440c, instruction: 0x440e,
  interruptibility: 0x4824, activity: 0x4826, timer: 0x482e, cr0Mask: 0x6000, cr4Mask: 0x6002, cr0Shadow: 0x6004, cr4Shadow: 0x6006, cr3Target0: 0x6008, qualification: 0x6400, gla: 0x640a,
  cr0: 0x6800, cr3: 0x6802, cr4: 0x6804, rsp: 0x681c, rip: 0x681e, rflags: 0x6820,
} as const;

/** EPT of 4 KiB pages mapping guest memory to GUEST_BASE upwards, all rights, write-back. */
export function eptTables(memory: DataView): void {
  memory.setBigUint64(EPT, BigInt(EPT + 0x1007), true);
  memory.setBigUint64(EPT + 0x1000, BigInt(EPT + 0x2007), true);
  for (let n = 0; n < GUEST_BYTES / 0x200000; n++) {
    memory.setBigUint64(EPT + 0x2000 + 8 * n, BigInt(EPT + 0x3000 + 0x1000 * n + 7), true);
    for (let k = 0; k < 512; k++) memory.setBigUint64(EPT + 0x3000 + 0x1000 * n + 8 * k, BigInt(GUEST_BASE + n * 0x200000 + k * 4096) | 0x37n, true);
  }
}
/** The EPT entry of a guest-physical page. */
export const eptEntry = (gpa: number): number => EPT + 0x3000 + (gpa >> 12) * 8;

/** 4 KiB pages for the first 2 MiB of the guest, 2 MiB pages above. */
export function smallTables(memory: DataView, base: number): void {
  identityTables(memory, base);
  memory.setBigUint64(base + PML4 + 0x2000, BigInt(PML4 + 0x3007), true);
  for (let k = 0; k < 512; k++) memory.setBigUint64(base + PML4 + 0x3000 + 8 * k, BigInt(k * 4096 + 7), true);
}

export type Fields = Partial<Record<keyof typeof F, bigint>>;

/** The same program as a guest: EPT, HLT exiting, unconditional I/O; `fields` changes the VMCS before entry. */
export function vm(source: string, gates: Gates = {}, fields: Fields = {}, options: m.MachineOptions = {}): Program {
  const machine = m.createMachine(module, MEMORY, options);
  const { bytes, labels } = assembleOrThrow(source);
  m.load(machine, GUEST_BASE + CODE, bytes);
  eptTables(machine.physical);
  smallTables(machine.physical, GUEST_BASE);
  descriptors(machine.physical, labels, gates, GUEST_BASE);
  m.clearVmcs(machine);
  const all: Fields = {
    pin: 0x16n, primary: 0x8401e1f2n | 0x01000000n, secondary: 0x2an, exitControls: 0x36dffn | 0x300000n, entryControls: 0x11ffn | 0x200n | 0x8000n, eptp: EPTP, vpid: 1n, link: 0xffffffffffffffffn,
    cr0: 0x80010033n, cr3: BigInt(PML4), cr4: 0x20a0n, cr4Mask: 0x2000n, efer: 0xd01n, rsp: 0x8000n, rip: BigInt(CODE), rflags: 2n, ...fields,
  };
  for (const [name, value] of Object.entries(all)) m.vmwrite(machine, F[name as keyof typeof F], value);
  for (const [name, s] of segments()) {
    const n = m.SEGMENT_NAMES.indexOf(name);
    if (n < 8) {
      m.vmwrite(machine, 0x800 + 2 * n, BigInt(s.selector));
      m.vmwrite(machine, 0x4814 + 2 * n, BigInt(s.rights));
    }
    m.vmwrite(machine, 0x4800 + 2 * n, BigInt(s.limit));
    m.vmwrite(machine, 0x6806 + 2 * n, s.base);
  }
  return { machine, labels };
}

export const field = (program: Program, name: keyof typeof F): bigint => m.vmread(program.machine, F[name]);
export const setField = (program: Program, name: keyof typeof F, value: bigint): void => m.vmwrite(program.machine, F[name], value);

/** Enters and runs until the next exit. */
export function exit(program: Program): m.Stop {
  const refused = m.enterGuest(program.machine);
  return refused ?? m.run(program.machine, 10_000_000n);
}
/** Moves past the instruction that caused the exit. */
export function skip(program: Program): void {
  setField(program, 'rip', field(program, 'rip') + field(program, 'length'));
}
