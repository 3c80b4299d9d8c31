/**
 * Keeping shadow pages true to the guest's tables: a leaf that the guest wrote unseen is read again when the guest flushes, a
 * table above the leaves that is written is corrected at once, and one that is written again and again without being used is
 * no page table any more. Source: Linux arch/x86/kvm/mmu (FNAME(sync_spte), mmu_sync_children, kvm_mmu_track_write), mmu.rst.
 */
import type { Vm } from '../vm.ts';
import { storedFrame } from './frames.ts';
import { dropEntry, entryOf, flushProcessor, type Leaf, protectFrame, setLeaf, setUnsync, zapPage } from './shadow-pages.ts';
import { ACCESSED, DIRTY, MAY_WRITE, PRESENT, type Shadow, type ShadowPage } from './shadow-types.ts';
import { entryBytes, readEntry, readStep, type Settings } from './shadow-walk.ts';

const PAGE = 4096;
const ENTRIES = 512;

/** What reading the entries of a shadow page's guest table needs to know. */
export const settingsFor = ({ role }: ShadowPage): Settings => ({ mode: role.mode, wp: role.wp, nx: role.nx, pse: role.pse, smep: false, smap: false });

/** Must writes to this frame be seen: a table in use, or watched? */
export const isTraced = (s: Shadow, gfn: number): boolean => {
  for (const page of s.byGfn.get(gfn) ?? []) if (!page.unsync) return true;
  return s.watched.has(gfn);
};

/** Address of the guest's entry behind an entry of a shadow table of level 1. */
const guestEntry = (page: ShadowPage, index: number): number => page.gfn * PAGE + entryBytes(page.role.mode) * (page.role.mode === '32' ? page.role.quadrant * ENTRIES + index : index);

/** What the guest's entry allows without a fault: present, used already, its page backed. Writing only when it is dirty. */
export function readyLeaf(vm: Vm, s: Shadow, page: ShadowPage, index: number): Leaf | null {
  const gpa = guestEntry(page, index);
  const step = readStep(readEntry(vm, gpa, entryBytes(page.role.mode)), 1, gpa, settingsFor(page));
  if (!step || step.rights < 0 || (step.entry & ACCESSED) === 0n) return null;
  return leafFor(vm, s, step.next, page.role.access & step.rights & ((step.entry & DIRTY) !== 0n ? ~0 : ~MAY_WRITE));
}

/** A leaf without more rights than tracing leaves; null: no frame behind it. */
export function leafFor(vm: Vm, s: Shadow, gfn: number, rights: number): Leaf | null {
  const hpa = storedFrame(vm, gfn);
  if (hpa === null) return null;
  const traced = (rights & MAY_WRITE) !== 0 && isTraced(s, gfn);
  return { gfn, hpa, rights: traced ? rights & ~MAY_WRITE : rights, traced };
}

/** A leaf out of sync is compared with its guest table, entry by entry, and traced again. */
function resync(vm: Vm, s: Shadow, page: ShadowPage): void {
  setUnsync(s, page, false);
  protectFrame(vm, s, page.gfn);
  s.counts.resync++;
  for (let index = 0; index < ENTRIES; index++) {
    const at = page.hpa + 8 * index;
    if ((entryOf(vm, at) & PRESENT) === 0n) continue;
    const leaf = readyLeaf(vm, s, page, index);
    if (leaf && leaf.gfn === page.gfns[index]) setLeaf(vm, s, page, index, leaf);
    else dropEntry(vm, s, page, index);
  }
}

/** All shadow pages of a frame become true, and traced together. */
export function resyncFrame(vm: Vm, s: Shadow, gfn: number): void {
  for (const page of [...(s.byGfn.get(gfn) ?? [])]) if (page.unsync) resync(vm, s, page);
  flushProcessor(vm, s);
}

/** Everything that the root in force reaches becomes true; what others reach waits for them. Returns how many pages were read again. */
export function syncReachable(vm: Vm, s: Shadow): number {
  const stale = [...s.unsync].filter((page) => reaches(s, page, new Set()));
  // all shadow pages of a frame become traced together
  const frames = new Set(stale.map((page) => page.gfn));
  const all = [...s.unsync].filter((page) => frames.has(page.gfn));
  for (const page of all) resync(vm, s, page);
  return all.length;
}

/** Is the page under a top of the root in force? */
function reaches(s: Shadow, page: ShadowPage, seen: Set<ShadowPage>): boolean {
  if (s.tops.includes(page)) return true;
  if (seen.has(page)) return false;
  seen.add(page);
  for (const at of page.parents) {
    const parent = s.byHpa.get(at - (at % PAGE));
    if (parent && reaches(s, parent, seen)) return true;
  }
  return false;
}

/** Writing to this frame need not be seen: all its shadow pages are leaves, and now out of sync. */
export function letGo(s: Shadow, gfn: number): boolean {
  const pages = [...(s.byGfn.get(gfn) ?? [])];
  if (!s.policy.unsync || pages.some((page) => page.role.level > 1)) return false;
  for (const page of pages) {
    if (page.unsync) continue;
    setUnsync(s, page, true);
    s.counts.unsynced++;
  }
  return true;
}

/** Bytes of guest memory were changed by other than the guest's own unseen writes. True: the root is gone, make it again. */
export function tablesWritten(vm: Vm, s: Shadow, gpa: number, length: number, emulated: boolean): boolean {
  let lost = false;
  let changed = false;
  for (let at = gpa; at < gpa + length; ) {
    const gfn = Math.floor(at / PAGE);
    const end = Math.min(gpa + length, (gfn + 1) * PAGE);
    for (const page of [...(s.byGfn.get(gfn) ?? [])]) {
      changed = true;
      if (emulated && (flooded(s, page) || odd(page, at, end))) {
        lost ||= s.tops.includes(page);
        zapPage(vm, s, page);
        s.counts.flooded++;
      } else dropWritten(vm, s, page, at % PAGE, ((end - 1) % PAGE) + 1);
    }
    at = end;
  }
  if (changed) flushProcessor(vm, s);
  return lost;
}

/** Written a third time and never used between: probably no table any more. Leaves go out of sync instead. */
function flooded(s: Shadow, page: ShadowPage): boolean {
  if (page.role.level === 1 && s.policy.unsync) return false;
  return ++page.writes >= s.policy.flooding;
}

/** A write that is no update of one entry: over the edge of one, or smaller than half of one. */
function odd(page: ShadowPage, at: number, end: number): boolean {
  const bytes = entryBytes(page.role.mode);
  return end - at < 4 || Math.floor(at / bytes) !== Math.floor((end - 1) / bytes);
}

/** The shadow entries of guest entries that lie between two offsets of their table. */
function dropWritten(vm: Vm, s: Shadow, page: ShadowPage, from: number, to: number): void {
  const { level, quadrant, mode } = page.role;
  const bytes = entryBytes(mode);
  for (let n = Math.floor(from / bytes); n * bytes < to; n++) {
    if (mode !== '32') dropEntry(vm, s, page, n);
    else if (level === 1) {
      if (Math.floor(n / ENTRIES) === quadrant) dropEntry(vm, s, page, n % ENTRIES);
    } else if (n >> 8 === quadrant) {
      dropEntry(vm, s, page, 2 * (n & 255));
      dropEntry(vm, s, page, 2 * (n & 255) + 1);
    }
  }
}
