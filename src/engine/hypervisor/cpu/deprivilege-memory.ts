/**
 * The monitor's own accesses on behalf of the guest: through the guest's page tables, with the rights, the accessed and dirty
 * bits and the faults of the access that the guest's processor would have made. What stops an access is thrown as a record
 * (`Stopped`) and caught where the monitor was entered; nothing was changed until then. Source: SDM 3A 4.5-4.8.
 */
import { register } from '../../machine/machine.ts';
import { hostAddress, readGuest, slotOf, writeGuest } from '../memory/frames.ts';
import { shadowOf } from '../memory/shadow.ts';
import type { Paging } from '../memory/shadow-types.ts';
import { walkGuest } from '../memory/shadow-walk.ts';
import type { Vm } from '../vm.ts';
import { LMA, own, vcpu } from './deprivilege-state.ts';

export type Stopped =
  /** An exception of the guest's. */
  | { kind: 'fault'; vector: number; error: number | null; cr2?: bigint }
  /** A guest page without a frame. */
  | { kind: 'page'; gpa: number }
  /** No memory there. */
  | { kind: 'mmio'; gpa: bigint; write: boolean }
  | { kind: 'shutdown' }
  | { kind: 'missing'; text: string };

export const stopped = (reason: Stopped): Stopped => reason;
export const isStopped = (thrown: unknown): thrown is Stopped => typeof thrown === 'object' && thrown !== null && 'kind' in thrown && !(thrown instanceof Error);

export const gp = (error = 0): Stopped => ({ kind: 'fault', vector: 13, error });
export const np = (error: number): Stopped => ({ kind: 'fault', vector: 11, error });
export const ss = (error: number): Stopped => ({ kind: 'fault', vector: 12, error });
export const ud = (): Stopped => ({ kind: 'fault', vector: 6, error: null });
export const missing = (what: string): Stopped => ({ kind: 'missing', text: `not modelled: ${what}` });

export interface Reach {
  write?: boolean;
  fetch?: boolean;
  /** By ring 3; otherwise by the supervisor. */
  user?: boolean;
  /** By the processor itself (tables, frames of ring 0): EFLAGS.AC does not open SMAP. */
  implicit?: boolean;
  /** No bits are set and nothing is charged: only a look. */
  look?: boolean;
}

const AC = 0x4_0000n;

export const canonical = (linear: bigint): boolean => BigInt.asUintN(64, BigInt.asIntN(48, linear)) === linear;

/** What decides how the guest's tables are read, as the guest believes it. */
export const paging = (vm: Vm): Paging => ({ cr0: vcpu(vm, 'cr0'), cr3: vcpu(vm, 'cr3'), cr4: vcpu(vm, 'cr4'), efer: own(vm).efer });

/** Guest-physical address behind a linear one. Throws what the access would have met. */
export function guestLinear(vm: Vm, gva: bigint, reach: Reach): number {
  if ((own(vm).efer & LMA) !== 0n && !canonical(gva)) throw gp();
  const access = { write: reach.write === true, user: reach.user === true, fetch: reach.fetch === true, ac: !reach.implicit && (register(vm.machine, 'rflags') & AC) !== 0n };
  const walk = walkGuest(vm, paging(vm), shadowOf(vm).pdptes, gva, access, !reach.look);
  if (!walk.ok) throw stopped({ kind: 'fault', vector: 14, error: walk.error, cr2: gva });
  return walk.gfn * 4096 + Number(gva & 0xfffn);
}

/** The pieces of a linear range, page by page, each with a frame behind it. */
function pieces(vm: Vm, gva: bigint, length: number, reach: Reach): { gpa: number; bytes: number }[] {
  const out: { gpa: number; bytes: number }[] = [];
  for (let done = 0; done < length; ) {
    const at = BigInt.asUintN(64, gva + BigInt(done));
    const gpa = guestLinear(vm, at, reach);
    const bytes = Math.min(length - done, 4096 - (gpa % 4096));
    if (!slotOf(vm, gpa)) throw stopped({ kind: 'mmio', gpa: BigInt(gpa), write: reach.write === true });
    if (hostAddress(vm, gpa) === null) throw stopped({ kind: 'page', gpa });
    out.push({ gpa, bytes });
    done += bytes;
  }
  return out;
}

export function readAt(vm: Vm, gva: bigint, length: number, reach: Reach = {}): Uint8Array {
  const out = new Uint8Array(length);
  let done = 0;
  for (const { gpa, bytes } of pieces(vm, gva, length, reach)) {
    out.set(readGuest(vm, gpa, bytes), done);
    done += bytes;
  }
  return out;
}

/** All or nothing. */
export function writeAt(vm: Vm, gva: bigint, bytes: Uint8Array, reach: Reach = {}): void {
  let done = 0;
  for (const piece of pieces(vm, gva, bytes.length, { ...reach, write: true })) {
    writeGuest(vm, piece.gpa, bytes.subarray(done, done + piece.bytes));
    done += piece.bytes;
  }
}

export function readNumber(vm: Vm, gva: bigint, size: number, reach: Reach = {}): bigint {
  let value = 0n;
  readAt(vm, gva, size, reach).forEach((byte, n) => {
    value |= BigInt(byte) << BigInt(8 * n);
  });
  return value;
}

export const bytesOf = (value: bigint, size: number): Uint8Array => Uint8Array.from({ length: size }, (_, n) => Number((value >> BigInt(8 * n)) & 0xffn));
export const writeNumber = (vm: Vm, gva: bigint, size: number, value: bigint, reach: Reach = {}): void => writeAt(vm, gva, bytesOf(value, size), reach);

/** Bytes of code from here on, as many as can be fetched of `most`; throws when not even the first can. */
export function fetchAt(vm: Vm, gva: bigint, most: number, user: boolean): Uint8Array {
  const first = Math.min(most, 4096 - Number(gva & 0xfffn));
  const bytes = readAt(vm, gva, first, { fetch: true, user });
  if (first === most) return bytes;
  try {
    const rest = readAt(vm, gva + BigInt(first), most - first, { fetch: true, user });
    const out = new Uint8Array(most);
    out.set(bytes);
    out.set(rest, first);
    return out;
  } catch (thrown) {
    if (isStopped(thrown) && thrown.kind !== 'missing') return bytes;
    throw thrown;
  }
}
