/**
 * The page tables that a guest uses, as they were: copies of every table that CR3 leads to, to be held against what they are now.
 * Accessed and dirty bits are the processor's own and do not count as a store; a new CR3 leads to other tables, which is none either.
 */
import { readGuest } from '../../../hypervisor/memory/frames.ts';
import { guestControl } from '../../../hypervisor/state.ts';
import type { Vm } from '../../../hypervisor/vm.ts';
import { entryIn, isLeaf, type PagingFormat, pagingFormat, pointsAt, PRESENT } from '../../../machine/paging-formats.ts';

export interface TableCopies {
  cr3: bigint;
  tables: Map<number, { format: PagingFormat; depth: number; bytes: Uint8Array }>;
}

const ACCESSED_DIRTY = 0x60n;
/** A guest with more tables than this is watched in part. */
const MOST = 256;

export function copyTables(vm: Vm): TableCopies {
  const out: TableCopies = { cr3: guestControl(vm, 'cr3'), tables: new Map() };
  const format = pagingFormat({ cr0: guestControl(vm, 'cr0'), cr4: guestControl(vm, 'cr4'), efer: guestControl(vm, 'efer') });
  if (format) collect(vm, format, 0, out.cr3 & format.root, out);
  return out;
}

function collect(vm: Vm, format: PagingFormat, depth: number, at: bigint, out: TableCopies): void {
  const level = format.levels[depth];
  if (!level || out.tables.has(Number(at)) || out.tables.size >= MOST || at >= 1n << 40n) return;
  const bytes = Uint8Array.from(readGuest(vm, Number(at), format.entryBytes << level.bits));
  out.tables.set(Number(at), { format, depth, bytes });
  for (let n = 0; n < 1 << level.bits; n++) {
    const entry = entryIn(bytes, format, n);
    if ((entry & PRESENT) !== 0n && !isLeaf(level, entry)) collect(vm, format, depth + 1, pointsAt(format, level, entry), out);
  }
}

/** The first entry that somebody has stored into since; the copies then are as it is now. */
export function tableChange(vm: Vm, copies: TableCopies): { gpa: bigint; before: bigint; after: bigint } | null {
  if (guestControl(vm, 'cr3') !== copies.cr3) {
    Object.assign(copies, copyTables(vm));
    return null;
  }
  for (const [at, { format, bytes }] of copies.tables) {
    const now = readGuest(vm, at, bytes.length);
    for (let n = 0; n < bytes.length; n++) {
      if (now[n] === bytes[n]) continue;
      const index = Math.floor(n / format.entryBytes);
      const [before, after] = [entryIn(bytes, format, index), entryIn(now, format, index)];
      if ((before & ~ACCESSED_DIRTY) !== (after & ~ACCESSED_DIRTY)) return { gpa: BigInt(at + index * format.entryBytes), before, after };
      bytes[n] = now[n]!;
    }
  }
  return null;
}
