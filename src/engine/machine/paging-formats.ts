/**
 * The formats of x86 page tables, for programs that read a guest's tables out of its memory: which levels there are, which
 * bits of a linear address each takes, and how large an entry is. Source: SDM 3A 4.3 (32-bit), 4.4 (PAE), 4.5 (4-level).
 */
export interface PagingLevel {
  shift: number;
  bits: number;
  /** An entry with PS set ends the walk here. */
  large: boolean;
  /** The entries carry rights; those of a PAE's pointer table do not. */
  rights: boolean;
}

export interface PagingFormat {
  name: '32-bit' | 'PAE' | '4-level';
  entryBytes: 4 | 8;
  /** Bits of CR3 that locate the first table. */
  root: bigint;
  levels: readonly PagingLevel[];
}

const level = (shift: number, bits: number, large = false, rights = true): PagingLevel => ({ shift, bits, large, rights });
const WIDE: PagingFormat = { name: '4-level', entryBytes: 8, root: 0x000f_ffff_ffff_f000n, levels: [level(39, 9), level(30, 9, true), level(21, 9, true), level(12, 9)] };
const PAE: PagingFormat = { name: 'PAE', entryBytes: 8, root: 0xffff_ffe0n, levels: [level(30, 2, false, false), level(21, 9, true), level(12, 9)] };
const NARROW: PagingFormat = { name: '32-bit', entryBytes: 4, root: 0xffff_f000n, levels: [level(22, 10, false), level(12, 10)] };
const NARROW_LARGE: PagingFormat = { ...NARROW, levels: [level(22, 10, true), level(12, 10)] };

const PG = 0x8000_0000n;
const CR4_PSE = 0x10n;
const CR4_PAE = 0x20n;
const LMA = 0x400n;

/** The format that these registers select; null: paging is off. */
export function pagingFormat(registers: { cr0: bigint; cr4: bigint; efer: bigint }): PagingFormat | null {
  if ((registers.cr0 & PG) === 0n) return null;
  if ((registers.efer & LMA) !== 0n) return WIDE;
  if ((registers.cr4 & CR4_PAE) !== 0n) return PAE;
  return (registers.cr4 & CR4_PSE) !== 0n ? NARROW_LARGE : NARROW;
}

export const PRESENT = 1n;
const LARGE = 0x80n;
const ADDRESS = 0x000f_ffff_ffff_f000n;

/** Whether this present entry is a page rather than the next table. */
export const isLeaf = (at: PagingLevel, entry: bigint): boolean => at.shift === 12 || (at.large && (entry & LARGE) !== 0n);

/** The table or page that an entry points at. A 4 MiB page of the 32-bit format has bits 39:32 of its address in 20:13. */
export function pointsAt(format: PagingFormat, at: PagingLevel, entry: bigint): bigint {
  if (!isLeaf(at, entry)) return entry & ADDRESS;
  if (format.entryBytes === 4 && at.shift === 22) return (entry & 0xffc0_0000n) | (((entry >> 13n) & 0xffn) << 32n);
  return entry & ADDRESS & ~((1n << BigInt(at.shift)) - 1n);
}

export function entryIn(data: Uint8Array, format: PagingFormat, n = 0): bigint {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return format.entryBytes === 4 ? BigInt(view.getUint32(4 * n, true)) : view.getBigUint64(8 * n, true);
}

/** Which entry of a level's table translates a linear address. */
export const indexOf = (at: PagingLevel, linear: bigint): number => Number((linear >> BigInt(at.shift)) & ((1n << BigInt(at.bits)) - 1n));
