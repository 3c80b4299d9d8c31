/**
 * Direct paging: the processor walks the guest's own tables, which hold machine addresses; the guest may read them and asks for
 * every change. A frame has one type at a time, counted: a page table of one level, or writable; so no table can be written by
 * the guest, and a table is validated once, when it gets its type. Source: Barham et al., SOSP 2003, 3.3.3; Xen's get_page_type.
 */
import type { Vm } from '../vm.ts';
import { type Domain, domainOf, type Frame, type FrameType } from './domain.ts';
import { EBUSY, EINVAL, EPERM, RESERVED_SLOTS } from './interface.ts';

const PRESENT = 1n;
const WRITABLE = 2n;
const LARGE = 0x80n;
const ADDRESS = 0x000f_ffff_ffff_f000n;
const TABLES: readonly FrameType[] = ['none', 'l1', 'l2', 'l3', 'l4'];

export const levelOf = (type: FrameType): number => TABLES.indexOf(type);

/** The domain's record of a frame; null: not one of its own. */
export const frameAt = (domain: Domain, hpa: number): Frame | null => domain.frames.get(Math.floor(hpa / 4096)) ?? null;

/** Is this entry of a table of this level the hypervisor's own? */
const reserved = (level: number, n: number): boolean => level === 4 && (RESERVED_SLOTS as readonly number[]).includes(n);

export class Refused extends Error {
  readonly code: number;
  constructor(code: number, text: string) {
    super(text);
    this.code = code;
  }
}

const hex = (value: bigint | number): string => `0x${value.toString(16)}`;

/** One reference more that needs the frame to be of this type. Throws Refused. Gives the present entries that were validated. */
export function takeType(vm: Vm, hpa: number, type: FrameType): number {
  const frame = frameAt(domainOf(vm), hpa);
  if (!frame) throw new Refused(EPERM, `frame ${hex(hpa / 4096)} is not the domain's`);
  if (frame.count > 0 && frame.type !== type) throw new Refused(EBUSY, `frame ${hex(hpa / 4096)} is in use as ${frame.type}, not to be had as ${type}`);
  if (frame.count > 0) {
    frame.count++;
    return 0;
  }
  frame.type = type;
  frame.count = 1;
  const level = levelOf(type);
  if (level < 1) return 0;
  try {
    return validate(vm, hpa, level);
  } catch (error) {
    frame.count = 0;
    frame.type = 'none';
    throw error;
  }
}

export function dropType(vm: Vm, hpa: number): void {
  const frame = frameAt(domainOf(vm), hpa);
  if (!frame || frame.count === 0) return;
  if (--frame.count > 0) return;
  const level = levelOf(frame.type);
  frame.type = 'none';
  if (level < 1) return;
  for (let n = 0; n < 512; n++) {
    if (reserved(level, n)) continue;
    release(vm, level, vm.machine.physical.getBigUint64(hpa + 8 * n, true));
  }
}

/** All 512 entries; those taken before a bad one are given back. */
function validate(vm: Vm, hpa: number, level: number): number {
  const { physical } = vm.machine;
  let n = 0;
  let present = 0;
  try {
    for (; n < 512; n++) {
      if (reserved(level, n)) continue;
      present += hold(vm, level, physical.getBigUint64(hpa + 8 * n, true));
    }
  } catch (error) {
    while (--n >= 0) if (!reserved(level, n)) release(vm, level, physical.getBigUint64(hpa + 8 * n, true));
    throw error;
  }
  if (level === 4) for (const [slot, entry] of domainOf(vm).reserved) physical.setBigUint64(hpa + 8 * slot, entry, true);
  return present;
}

/** What an entry refers to is held; gives how many present entries were looked at. */
function hold(vm: Vm, level: number, entry: bigint): number {
  if ((entry & PRESENT) === 0n) return 0;
  const target = Number(entry & ADDRESS);
  if (level > 1) {
    if ((entry & LARGE) !== 0n) throw new Refused(EINVAL, `entry ${hex(entry)}: large pages are not for guests`);
    return 1 + takeType(vm, target, TABLES[level - 1]!);
  }
  if (target === domainOf(vm).shared) return 1;
  if (!frameAt(domainOf(vm), target)) throw new Refused(EPERM, `entry ${hex(entry)}: frame ${hex(target / 4096)} is not the domain's`);
  if ((entry & WRITABLE) !== 0n) takeType(vm, target, 'writable');
  return 1;
}

function release(vm: Vm, level: number, entry: bigint): void {
  if ((entry & PRESENT) === 0n) return;
  const target = Number(entry & ADDRESS);
  if (level > 1 || ((entry & WRITABLE) !== 0n && target !== domainOf(vm).shared)) dropType(vm, target);
}

/** mmu_update: one entry of a page table, given by its machine address. Throws Refused; nothing changed then. */
export function updateEntry(vm: Vm, at: number, entry: bigint): void {
  const frame = frameAt(domainOf(vm), at);
  if (!frame) throw new Refused(EPERM, `machine address ${hex(at)} is not the domain's`);
  if (at % 8 !== 0) throw new Refused(EINVAL, `machine address ${hex(at)} is not that of an entry`);
  const { physical } = vm.machine;
  const level = frame.count > 0 ? levelOf(frame.type) : -1;
  if (level >= 1) {
    if (reserved(level, (at % 4096) / 8)) throw new Refused(EPERM, `L4 entry ${(at % 4096) / 8} is the hypervisor's`);
    const old = physical.getBigUint64(at, true);
    hold(vm, level, entry);
    physical.setBigUint64(at, entry, true);
    release(vm, level, old);
    return;
  }
  // an ordinary page: the guest could have written it itself
  physical.setBigUint64(at, entry, true);
  vm.machine.cpu.dropCode(BigInt(at), 8n);
}

export function pin(vm: Vm, hpa: number, level: number): number {
  const frame = frameAt(domainOf(vm), hpa);
  if (frame?.pinned) throw new Refused(EINVAL, `frame ${hex(hpa / 4096)} is pinned already`);
  const entries = takeType(vm, hpa, TABLES[level]!);
  frameAt(domainOf(vm), hpa)!.pinned = true;
  return entries;
}

export function unpin(vm: Vm, hpa: number): void {
  const frame = frameAt(domainOf(vm), hpa);
  if (!frame?.pinned) throw new Refused(EINVAL, `frame ${hex(hpa / 4096)} is not pinned`);
  frame.pinned = false;
  dropType(vm, hpa);
}
