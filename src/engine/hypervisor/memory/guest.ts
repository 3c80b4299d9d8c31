/**
 * Guest-linear to guest-physical by the guest's own tables, in software: what KVM does when it reads an operand for the
 * guest and what QEMU's monitor does for `x` and `info tlb`. No rights are checked and no bits are set; the guest's own
 * accesses never come here. All formats of machine/paging-formats.ts. Source: SDM 3A 4.3-4.5.
 */
import { entryIn, indexOf, isLeaf, pagingFormat, pointsAt, PRESENT } from '../../machine/paging-formats.ts';
import { guestControl } from '../state.ts';
import type { Vm } from '../vm.ts';
import { readGuest } from './frames.ts';

/** The guest-physical address, or null: not mapped. Without paging the address itself. Addresses outside long mode have 32 bits. */
export function guestPhysical(vm: Vm, gva: bigint): number | null {
  const format = pagingFormat({ cr0: guestControl(vm, 'cr0'), cr4: guestControl(vm, 'cr4'), efer: guestControl(vm, 'efer') });
  if (!format) return Number(gva & 0xffff_ffffn);
  const linear = format.name === '4-level' ? gva : gva & 0xffff_ffffn;
  let table = guestControl(vm, 'cr3') & format.root;
  for (const level of format.levels) {
    const entry = entryIn(readGuest(vm, Number(table) + format.entryBytes * indexOf(level, linear), format.entryBytes), format);
    if ((entry & PRESENT) === 0n) return null;
    const next = pointsAt(format, level, entry);
    if (isLeaf(level, entry)) return Number(next | (linear & ((1n << BigInt(level.shift)) - 1n)));
    table = next;
  }
  return null;
}

/** Bytes at a linear address, across pages; null where nothing is mapped. */
export function readLinear(vm: Vm, gva: bigint, length: number): Uint8Array | null {
  const out = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const at = BigInt.asUintN(64, gva + BigInt(done));
    const gpa = guestPhysical(vm, at);
    if (gpa === null) return done === 0 ? null : out.subarray(0, done);
    const part = Math.min(length - done, 4096 - (gpa % 4096));
    out.set(readGuest(vm, gpa, part), done);
    done += part;
  }
  return out;
}
