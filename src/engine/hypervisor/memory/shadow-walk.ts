/**
 * The guest's own tables, walked with the guest's own rights as its processor would: the answer that sorts faults, and accessed
 * and dirty bits set as that walk sets them. Reserved bits and rights are those of `src/cpu/paging.ts`. Entries where nobody has
 * memory read as all ones. Sources: SDM 3A 4.3-4.8.
 */
import type { Vm } from '../vm.ts';
import { hostAddress, slotOf } from './frames.ts';
import { ACCESSED, DIRTY, type Fault, FRAME, LARGE, MAY_ALL, MAY_EXECUTE, MAY_USER, MAY_WRITE, type Mode, NO_EXECUTE, type Paging, PRESENT, USER, WRITE } from './shadow-types.ts';

const PG = 0x8000_0000n;
const WP = 0x10000n;
const PSE = 0x10n;
const PAE = 0x20n;
const SMEP = 0x10_0000n;
const SMAP = 0x20_0000n;
const LMA = 0x400n;
const NXE = 0x800n;
/** Bits 51:40, above the processor's physical addresses. */
const BEYOND = 0x000f_ff00_0000_0000n;
const PAE_RESERVED = 0x7ff0_0000_0000_0000n;
const PDPTE_RESERVED = 0x8000_0000_0000_01e6n;
const ALL_ONES = 0xffff_ffff_ffff_ffffn;

export function modeOf({ cr0, cr4, efer }: Paging): Mode {
  if ((efer & LMA) !== 0n) return 'long';
  if ((cr0 & PG) === 0n) return 'none';
  return (cr4 & PAE) !== 0n ? 'pae' : '32';
}

export interface Settings {
  mode: Mode;
  wp: boolean;
  nx: boolean;
  pse: boolean;
  smep: boolean;
  smap: boolean;
}
export function settingsOf(p: Paging): Settings {
  const mode = modeOf(p);
  return { mode, wp: (p.cr0 & WP) !== 0n, nx: mode !== '32' && (p.efer & NXE) !== 0n, pse: (p.cr4 & PSE) !== 0n, smep: (p.cr4 & SMEP) !== 0n, smap: (p.cr4 & SMAP) !== 0n };
}

export interface Access {
  write: boolean;
  user: boolean;
  fetch: boolean;
  ac: boolean;
}
export const accessOf = ({ error, ac }: Pick<Fault, 'error' | 'ac'>): Access => ({ write: (error & 2) !== 0, user: (error & 4) !== 0, fetch: (error & 16) !== 0, ac });

/** One entry that the walk used. */
export interface Step {
  level: number;
  gpa: number;
  entry: bigint;
  /** Rights of this entry alone. */
  rights: number;
  leaf: boolean;
  /** Frame that it points at: the next table, or the first frame of the page. */
  next: number;
}

export type GuestWalk =
  | { ok: true; gfn: number; rights: number; dirty: boolean; steps: Step[] }
  | { ok: false; error: number; steps: Step[] };

export const entryBytes = (mode: Mode): 4 | 8 => (mode === '32' ? 4 : 8);

export function readEntry(vm: Vm, gpa: number, bytes: 4 | 8): bigint {
  const hpa = hostAddress(vm, gpa);
  if (hpa === null) return slotOf(vm, gpa) ? 0n : bytes === 4 ? 0xffff_ffffn : ALL_ONES;
  return bytes === 4 ? BigInt(vm.machine.physical.getUint32(hpa, true)) : vm.machine.physical.getBigUint64(hpa, true);
}

function writeEntry(vm: Vm, gpa: number, value: bigint, bytes: 4 | 8): void {
  const hpa = hostAddress(vm, gpa);
  if (hpa === null) return;
  if (bytes === 4) vm.machine.physical.setUint32(hpa, Number(value), true);
  else vm.machine.physical.setBigUint64(hpa, value, true);
  vm.machine.cpu.dropCode(BigInt(hpa), BigInt(bytes));
}

/** A step's meaning, or null: a reserved bit is set. Not present: `rights` -1. */
export function readStep(entry: bigint, level: number, gpa: number, s: Settings): Step | null {
  const step: Step = { level, gpa, entry, rights: -1, leaf: level === 1, next: 0 };
  if ((entry & PRESENT) === 0n) return step;
  const large = (entry & LARGE) !== 0n;
  step.rights = ((entry & WRITE) !== 0n ? MAY_WRITE : 0) | ((entry & USER) !== 0n ? MAY_USER : 0) | MAY_EXECUTE;
  if (s.mode === '32') {
    step.leaf = level === 1 || (large && s.pse);
    if (step.leaf && level === 2 && (entry & 0x20_0000n) !== 0n) return null;
    step.next = step.leaf && level === 2 ? Number(((entry & 0xffc0_0000n) | ((entry & 0x1f_e000n) << 19n)) >> 12n) : Number((entry & 0xffff_f000n) >> 12n);
    return step;
  }
  if ((entry & BEYOND) !== 0n || (!s.nx && (entry & NO_EXECUTE) !== 0n) || (level === 4 && large)) return null;
  if (s.mode === 'pae' && (entry & PAE_RESERVED) !== 0n) return null;
  if (s.mode === 'pae' && level === 3) {
    if ((entry & PDPTE_RESERVED) !== 0n) return null;
    return { ...step, rights: MAY_ALL, next: Number((entry & FRAME) >> 12n) };
  }
  step.leaf = level === 1 || (level < 4 && large);
  if (step.leaf && level > 1 && (entry & (level === 2 ? 0x1f_e000n : 0x3fff_e000n)) !== 0n) return null;
  if (s.nx && (entry & NO_EXECUTE) !== 0n) step.rights &= ~MAY_EXECUTE;
  const frame = Number((entry & FRAME) >> 12n);
  step.next = step.leaf ? frame - (frame % 512 ** (level - 1)) : frame;
  return step;
}

/** SDM 3A 4.6. */
export function permitted(rights: number, a: Access, s: Settings): boolean {
  const user = (rights & MAY_USER) !== 0;
  const writable = (rights & MAY_WRITE) !== 0;
  if (a.user) return user && (!a.write || writable) && (!a.fetch || (rights & MAY_EXECUTE) !== 0);
  if (a.fetch) return (rights & MAY_EXECUTE) !== 0 && !(user && s.smep);
  if (user && s.smap && !a.ac) return false;
  return !a.write || writable || !s.wp;
}

const indexOf = (mode: Mode, level: number, gva: bigint): number =>
  mode === '32' ? Number((gva >> (level === 2 ? 22n : 12n)) & 1023n) : Number((gva >> BigInt(3 + 9 * level)) & 511n);

/** Walks for an access; with `mark` an allowed one leaves accessed and dirty behind. PAE begins at the entries that CR3 loaded. */
export function walkGuest(vm: Vm, paging: Paging, pdptes: readonly bigint[], address: bigint, a: Access, mark: boolean): GuestWalk {
  const s = settingsOf(paging);
  const gva = s.mode === 'long' ? address : BigInt.asUintN(32, address);
  if (s.mode === 'none') return { ok: true, gfn: Number(gva >> 12n), rights: MAY_ALL, dirty: true, steps: [] };
  const bytes = entryBytes(s.mode);
  const steps: Step[] = [];
  const refuse = (code: number): GuestWalk => ({ ok: false, error: code | (a.write ? 2 : 0) | (a.user ? 4 : 0) | (a.fetch && (s.smep || s.nx) ? 16 : 0), steps });
  let table = Number((paging.cr3 & (s.mode === '32' ? 0xffff_f000n : FRAME)) >> 12n);
  let rights = MAY_ALL;
  for (let level = s.mode === 'long' ? 4 : s.mode === 'pae' ? 3 : 2; ; level--) {
    const index = indexOf(s.mode, level, gva);
    const loaded = s.mode === 'pae' && level === 3;
    const gpa = loaded ? Number(paging.cr3 & 0xffff_ffe0n) + 8 * index : table * 4096 + bytes * index;
    const step = readStep(loaded ? (pdptes[index] ?? 0n) : readEntry(vm, gpa, bytes), level, gpa, s);
    if (!step) return refuse(9);
    steps.push(step);
    if (step.rights < 0) return refuse(0);
    rights &= step.rights;
    table = step.next;
    if (step.leaf) break;
  }
  if (!permitted(rights, a, s)) return refuse(1);
  if (mark) markSteps(vm, steps, a.write, s.mode);
  const leaf = steps.at(-1)!;
  const within = Number((gva >> 12n) & BigInt((s.mode === '32' ? 1024 : 512) ** (leaf.level - 1) - 1));
  return { ok: true, gfn: leaf.next + within, rights, dirty: (leaf.entry & DIRTY) !== 0n, steps };
}

function markSteps(vm: Vm, steps: Step[], write: boolean, mode: Mode): void {
  for (const step of steps) {
    if (mode === 'pae' && step.level === 3) continue;
    const after = step.entry | ACCESSED | (step.leaf && write ? DIRTY : 0n);
    if (after === step.entry) continue;
    writeEntry(vm, step.gpa, after, entryBytes(mode));
    step.entry = after;
  }
}
