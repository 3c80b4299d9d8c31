/**
 * What QEMU's firmware leaves behind on a PC: the map of memory that it tells a kernel, and the processor as its option ROMs
 * hand it over: 32-bit protected mode, flat segments, paging and interrupts off, A20 open. The tables lie where the ROMs of
 * 7.2 have them. Source: SeaBIOS as QEMU 7.2 ships it, by dumps of its memory and "info registers" at the first instruction.
 *
 *   0xc02b8 GDT (multiboot), 0xc0118 (PVH)   esp = 0x6f08, 0x6edc
 */
import { type Regs, REGISTERS, SEGMENTS, type Sregs } from '../../../kernel/drivers/kvm/uapi.ts';

export interface E820 {
  base: bigint;
  length: bigint;
  /** 1 memory, 2 reserved. */
  type: number;
}

/** The firmware keeps this much at the end of memory for its tables. */
const HIGH_TABLES = 0x20000;
export const LOW_MEMORY = 0x9fc00;
export const MIB = 2 ** 20;

/** The map of a machine with so many bytes of memory, all below 3 GiB. */
export function e820(memory: number): E820[] {
  const row = (base: number, length: number, type: number): E820 => ({ base: BigInt(base), length: BigInt(length), type });
  const top = Math.floor(memory / 4096) * 4096 - HIGH_TABLES;
  return [
    row(0, LOW_MEMORY, 1), row(LOW_MEMORY, 0xa0000 - LOW_MEMORY, 2), row(0xf0000, 0x10000, 2),
    ...(top > MIB ? [row(MIB, top - MIB, 1), row(top, HIGH_TABLES, 2)] : []),
    row(0xfffc0000, 0x40000, 2), row(0xfd_0000_0000, 0x3_0000_0000, 2),
  ];
}

/** Code and data of 32 bits, code and data of 16: the ROM's GDT. */
const DESCRIPTORS = [0n, 0x00cf9b000000ffffn, 0x00cf93000000ffffn, 0x00009e000000ffffn, 0x000092000000ffffn];

export function words(values: readonly bigint[]): Uint8Array {
  const out = new DataView(new ArrayBuffer(8 * values.length));
  for (const [n, value] of values.entries()) out.setBigUint64(8 * n, value, true);
  return new Uint8Array(out.buffer);
}

export interface Part {
  gpa: number;
  data: Uint8Array;
}

export const descriptorTable = (gpa: number): Part => ({ gpa, data: words(DESCRIPTORS) });

/** The registers at a 32-bit entry; `given` are those that the boot protocol names. */
export function protectedEntry(gdt: number, given: Partial<Regs>): { regs: Regs; sregs: Sregs } {
  const regs = { ...(Object.fromEntries(REGISTERS.map((name) => [name, 0n])) as Regs), rflags: 6n, ...given };
  const flat = (selector: number, rights: number, limit = 0xffffffff): Sregs['segments']['cs'] => ({ selector, base: 0n, limit, rights });
  const segments = Object.fromEntries(SEGMENTS.map((name) => [name, flat(0x10, 0xc093)])) as Sregs['segments'];
  Object.assign(segments, { cs: flat(0x08, 0xc09b), ldt: flat(0, 0x0082, 0xffff), tr: flat(0, 0x008b, 0xffff) });
  return {
    regs,
    sregs: {
      segments, gdt: { base: BigInt(gdt), limit: 8 * DESCRIPTORS.length - 1 }, idt: { base: 0n, limit: 0x3ff }, cr0: 0x11n, cr2: 0n, cr3: 0n, cr4: 0n, efer: 0n, halted: false,
    },
  };
}
