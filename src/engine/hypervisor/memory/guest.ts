/**
 * Guest-linear to guest-physical by the guest's own tables, in software: what KVM does when it reads an operand for the
 * guest and what QEMU's monitor does for `x` and `info tlb`. No rights are checked and no bits are set; the guest's own
 * accesses never come here. Four levels, long mode. Source: SDM 3A 4.5.
 */
import { guestControl } from '../state.ts';
import type { Vm } from '../vm.ts';
import { readGuest } from './frames.ts';

const PRESENT = 1n;
const LARGE = 0x80n;
const ADDRESS = 0x000f_ffff_ffff_f000n;
const PAGING = 0x8000_0000n;

const entryAt = (vm: Vm, gpa: number): bigint => {
  const bytes = readGuest(vm, gpa, 8);
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
};

/** The guest-physical address, or null: not mapped. Without paging the address itself. */
export function guestPhysical(vm: Vm, gva: bigint): number | null {
  if ((guestControl(vm, 'cr0') & PAGING) === 0n) return Number(gva & 0xffff_ffffn);
  let table = Number(guestControl(vm, 'cr3') & ADDRESS);
  for (let shift = 39n; shift >= 12n; shift -= 9n) {
    const entry = entryAt(vm, table + 8 * Number((gva >> shift) & 511n));
    if ((entry & PRESENT) === 0n) return null;
    if (shift === 12n || (shift < 39n && (entry & LARGE) !== 0n)) {
      const offset = (1n << shift) - 1n;
      return Number((entry & ADDRESS & ~offset) | (gva & offset));
    }
    table = Number(entry & ADDRESS);
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
