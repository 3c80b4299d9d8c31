/**
 * Instructions that meet a device, seen from the host's side (cpu/devices.ts is the processor's): what an instruction asks for, a
 * try with the answers given so far, what it did when none was lacking.
 */
import * as at from '../../cpu/layout.ts';
import { type Machine, setSlot, slot, type Stop } from './machine.ts';

export interface DeviceAccess {
  /** Physical; or SPACE_MSR and an index, or SPACE_CR8. */
  address: number;
  /** Bytes, at most 16. */
  size: number;
  kind: 'read' | 'store' | 'modify';
  /** Read or stored; for what an instruction asks only that of a WRMSR. */
  value: bigint;
}

export { SPACE_CR8, SPACE_MSR } from '../../cpu/layout.ts';

const KINDS = ['read', 'store', 'modify'] as const;
const word = (m: Machine, offset: number): number => m.state.getUint32(offset, true);
const setWord = (m: Machine, offset: number, value: number): void => m.state.setUint32(offset, value, true);
const NOWHERE = 0xffff_ffff_ffff_ffffn;

/** From now on accesses outside memory, to the APIC's MSRs and to CR8 stop the processor: a machine with devices on its own bus. */
export const withDevices = (m: Machine): void => setWord(m, at.DEVICES, 1);

/** The instruction is done. Otherwise it has not happened. */
const isDone = (m: Machine): boolean => word(m, at.DEVICE_USED) !== 0;

/** What the instruction lacks. */
const asked = (m: Machine): DeviceAccess => ({
  address: Number(slot(m, at.PAYLOAD)), size: Number(slot(m, at.PAYLOAD + 8)), kind: KINDS[Number(slot(m, at.PAYLOAD + 16))] ?? 'read', value: slot(m, at.PAYLOAD + 24),
});

/** Pages of a guest's that are devices, with the linear page where its tables lack them (null: EPT does); at most NAMED_MOST. */
export interface NamedPage {
  physical: number;
  linear: bigint | null;
}
export const NAMED_MOST = at.DEVICE_NAMED;

/** The next instruction is tried with these answers, access by access; `refused`: its MSR is #GP. */
export function beginTry(m: Machine, given: readonly bigint[], named: readonly NamedPage[] = [], refused = false): void {
  setWord(m, at.DEVICE_TRY, 1);
  setWord(m, at.DEVICE_USED, 0);
  setWord(m, at.DEVICE_GIVEN, given.length);
  setWord(m, at.DEVICE_REFUSED, refused ? 1 : 0);
  for (const [n, value] of given.entries()) putValue(m, n, value);
  for (let n = 0; n < NAMED_MOST; n++) {
    const page = named[n];
    setSlot(m, at.DEVICE_PAGES + 8 * n, page ? BigInt(page.physical) : NOWHERE);
    setSlot(m, at.DEVICE_LINEAR + 8 * n, page?.linear ?? NOWHERE);
  }
}

function putValue(m: Machine, n: number, value: bigint): void {
  if (n >= at.DEVICE_MOST) return;
  const p = at.DEVICE_ACCESSES + n * at.DEVICE_ACCESS_SIZE + at.DEVICE_VALUE;
  setSlot(m, p, BigInt.asUintN(64, value));
  setSlot(m, p + 8, value >> 64n);
}

/** How a try ended: why the processor stopped, and the accesses of the instruction when it is done (null: it is not), or what it lacks after a stop for a device. */
export interface Try {
  stop: Stop;
  accesses: DeviceAccess[] | null;
  want: DeviceAccess | null;
}

/** To be called before anything else is done to the processor. */
export function endTry(m: Machine, stop: Stop): Try {
  const done = isDone(m);
  const accesses = takeAccesses(m);
  return { stop, accesses: done ? accesses : null, want: !done && stop.reason === 'device' ? asked(m) : null };
}

function takeAccesses(m: Machine): DeviceAccess[] {
  const out: DeviceAccess[] = [];
  for (let n = 0; n < word(m, at.DEVICE_USED); n++) {
    const p = at.DEVICE_ACCESSES + n * at.DEVICE_ACCESS_SIZE;
    const size = word(m, p + at.DEVICE_SIZE);
    const whole = slot(m, p + at.DEVICE_VALUE) | (slot(m, p + at.DEVICE_VALUE + 8) << 64n);
    out.push({ address: Number(slot(m, p)), size, kind: KINDS[word(m, p + at.DEVICE_KIND)] ?? 'read', value: BigInt.asUintN(8 * size, whole) });
  }
  for (const offset of [at.DEVICE_TRY, at.DEVICE_USED, at.DEVICE_GIVEN, at.DEVICE_REFUSED]) setWord(m, offset, 0);
  return out;
}

/** Counters as they were: an instruction that is carried out for a guest by its hypervisor is not the processor's own work. */
export function keepCounters(m: Machine): () => void {
  const kept = [at.CYCLES, at.WALKS, at.REFERENCES].map((offset) => [offset, slot(m, offset)] as const);
  return () => {
    for (const [offset, value] of kept) setSlot(m, offset, value);
  };
}
