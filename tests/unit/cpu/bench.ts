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
  [0n, 0x00af9b000000ffffn, 0x00cf93000000ffffn, 0x00cff3000000ffffn, 0x00affb000000ffffn].forEach((d, n) => put(GDT + 8 * n, d));
  put(GDT + 0x28, 0x0000890000000067n | (BigInt(TSS) << 16n));
  put(TSS + 4, 0x9000n);
  put(TSS + 36, 0xa000n);
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
