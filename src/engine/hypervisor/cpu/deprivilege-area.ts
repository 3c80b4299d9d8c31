/**
 * What the monitor of a deprivileged guest keeps in linear memory: the top 4 MiB of every address space, for rings 0 to 2 only.
 * The guest's kernel runs in ring 1, so its translated code reaches the page of the virtual processor with a 32-bit
 * displacement; it could reach it by accident too, as in 64-bit mode no segment limit hides a monitor (Adams and Agesen 2006,
 * 3.1: 32-bit VMMs truncate segments). Only that page can be written through here; the rest is written by the monitor alone.
 *
 *   +0        page of the virtual processor     +0x2000    shadow GDT, 64 KiB     +0x40000   return lookup: addresses, negated
 *   +0x1000   nothing, where IDTR points        +0xc0000   return lookup: places in the cache
 *   +0x200000 translation cache
 */
import { codeWritten } from '../../machine/machine.ts';
import { takeFrame, type Vm } from '../vm.ts';

export const AREA = 0xffff_ffff_ffc0_0000n;
export const IDT_AT = 0x1000;
export const GDT_AT = 0x2000;
export const GDT_PAGES = 16;
export const TAGS_AT = 0x40000;
export const PLACES_AT = 0xc0000;
export const CACHE_AT = 0x200000;
const PAGE = 4096;
const LOOKUP_PAGES = 128;

export interface Area {
  /** Host-physical addresses. */
  vcpu: number;
  gdt: number;
  cache: number;
  cacheBytes: number;
  /** A page of zeros that stands for every page of the lookup table that nothing was entered into. */
  zero: number;
  /** The table of the top PML4 slot, the page directory of its last 1 GiB, and the two tables below that. */
  top: number;
  directory: number;
  tables: readonly [number, number];
}

const PRESENT = 1n;
const WRITABLE = 2n;
const ACCESSED = 0x60n;
const NX = 1n << 63n;

function frames(vm: Vm, count: number): number {
  const first = takeFrame(vm);
  for (let n = 1; n < count; n++) if (takeFrame(vm) === null) throw new RangeError('no host memory for the monitor');
  if (first === null) throw new RangeError('no host memory for the monitor');
  return first;
}

export function createArea(vm: Vm, cachePages: number): Area {
  const area: Area = {
    vcpu: frames(vm, 1), gdt: frames(vm, GDT_PAGES), cache: cachePages > 0 ? frames(vm, cachePages) : 0, cacheBytes: cachePages * PAGE, zero: frames(vm, 1), top: frames(vm, 1), directory: frames(vm, 1),
    tables: [frames(vm, 1), frames(vm, 1)],
  };
  vm.tables += 4;
  const { physical } = vm.machine;
  physical.setBigUint64(area.top + 8 * 511, directoryEntry(area), true);
  area.tables.forEach((table, n) => physical.setBigUint64(area.directory + 8 * (510 + n), BigInt(table) | PRESENT | WRITABLE | ACCESSED, true));
  enter(vm, area, 0, area.vcpu, WRITABLE | NX);
  for (let n = 0; n < GDT_PAGES; n++) enter(vm, area, GDT_AT + n * PAGE, area.gdt + n * PAGE, NX);
  if (cachePages > 0) for (let n = 0; n < 2 * LOOKUP_PAGES; n++) enter(vm, area, TAGS_AT + n * PAGE, area.zero, NX);
  for (let n = 0; n < cachePages; n++) enter(vm, area, CACHE_AT + n * PAGE, area.cache + n * PAGE, 0n);
  return area;
}

/** What the last entry of the table below it holds: the top 1 GiB. */
export const directoryEntry = (area: Area): bigint => BigInt(area.directory) | PRESENT | WRITABLE | ACCESSED;
/** What the last slot of every root holds, until the guest has tables there. */
export const topEntry = (area: Area): bigint => BigInt(area.top) | PRESENT | WRITABLE | ACCESSED;

/** The area as two directory entries of 2 MiB each. */
export const lowEntries = (area: Area): [bigint, bigint] => [BigInt(area.tables[0]) | PRESENT | WRITABLE | ACCESSED, BigInt(area.tables[1]) | PRESENT | WRITABLE | ACCESSED];

function enter(vm: Vm, area: Area, offset: number, frame: number, bits: bigint): void {
  const table = area.tables[offset >= 0x200000 ? 1 : 0];
  vm.machine.physical.setBigUint64(table + 8 * ((offset >> 12) % 512), BigInt(frame) | PRESENT | ACCESSED | bits, true);
}

/** Host-physical address of a slot of the lookup table, in a page that may be written: given one of its own when it has none. */
export function lookupSlot(vm: Vm, area: Area, offset: number): number {
  const at = area.tables[0] + 8 * (offset >> 12);
  let frame = Number(vm.machine.physical.getBigUint64(at, true) & 0x000f_ffff_ffff_f000n);
  if (frame === area.zero) {
    frame = frames(vm, 1);
    enter(vm, area, offset, frame, NX);
    vm.machine.cpu.flushTlb();
  }
  return frame + (offset % PAGE);
}

/** Stores into the translation cache. */
export function writeCache(vm: Vm, area: Area, offset: number, bytes: Uint8Array | readonly number[]): void {
  vm.machine.memory.set(bytes, area.cache + offset);
  codeWritten(vm.machine, area.cache + offset, bytes.length);
}

// ---- the page of the virtual processor

/** Offsets in the page; 8 bytes each. `gdt` and `idt` are 10: limit, base. */
export const SLOT = {
  s0: 0, s1: 8, s2: 0x10, s3: 0x18, /* 0 or 0x200 */ interrupts: 0x20, /* in place */ iopl: 0x28, /* an interrupt waits */ pending: 0x30, check: 0x38,
  cr0: 0x40, cr2: 0x48, cr3: 0x50, cr4: 0x58, cr8: 0x60, cs: 0x68, ss: 0x70, ldt: 0x78, tr: 0x80, target: 0x88, lookups: 0x90, gdt: 0xa0, idt: 0xb0,
} as const;
export type SlotName = keyof typeof SLOT;
