/**
 * A page fault under shadow paging, sorted: the guest's tables refuse (true: the guest's to handle); they allow and the shadow
 * lacks (hidden: filled, with its neighbours, and tried again); a traced table is written (emulated); no memory is there.
 * Large pages of the guest become tables of 4 KiB pages, because the frames behind them lie anywhere.
 * Source: Linux arch/x86/kvm/mmu/paging_tmpl.h (page_fault, fetch), mmu.rst.
 */
import type { Vm } from '../vm.ts';
import { slotOf, storedFrame } from './frames.ts';
import { childOf, dropEntry, entryOf, flushProcessor, keyOf, link, setEntry, setLeaf, shadowPage, touch, zapPage } from './shadow-pages.ts';
import { leafFor, letGo, readyLeaf, resyncFrame } from './shadow-sync.ts';
import {
  FAULTS, type Fault, type FaultKind, MAY_ALL, MAY_EXECUTE, MAY_USER, MAY_WRITE, PRESENT, type Role, type Shadow, type ShadowPage, type Sorted,
} from './shadow-types.ts';
import { type Access, accessOf, type GuestWalk, type Settings, settingsOf, walkGuest } from './shadow-walk.ts';

const PAGE = 4096;

export const baseRole = (s: Settings): Omit<Role, 'level' | 'direct' | 'access' | 'quadrant'> => ({
  mode: s.mode, nx: s.nx, wp: s.wp, pse: s.mode === '32' && s.pse, smepNotWp: s.smep && !s.wp, smapNotWp: s.smap && !s.wp,
});

/** Which of the pages at the top an address begins in. */
export const topIndex = (s: Shadow, gva: bigint): number => (s.tops.length === 4 ? Number((gva >> 30n) & 3n) : 0);
export const shadowIndex = (level: number, gva: bigint): number => Number((gva >> BigInt(3 + 9 * level)) & 511n);

type Allowed = Extract<GuestWalk, { ok: true }>;

export function sortFault(vm: Vm, s: Shadow, fault: Fault): Sorted {
  s.clock++;
  s.pending = null;
  const settings = settingsOf(fault.paging);
  const gva = settings.mode === 'long' ? fault.address : BigInt.asUintN(32, fault.address);
  const access = accessOf(fault);
  const walk = walkGuest(vm, fault.paging, s.pdptes, fault.address, access, true);
  if (!walk.ok) {
    s.counts.true++;
    return note(s, fault, { kind: 'inject', error: walk.error }, 'true', 0, `#PF(${walk.error}) to the guest`);
  }
  const slot = Number((gva >> 39n) & 511n);
  if (s.fixed.has(slot) && s.tops.length === 1 && (s.deep?.slot !== slot || s.deep.index === shadowIndex(3, gva))) {
    return note(s, fault, { kind: 'reserved', slot }, 'reserved', 0, 'that is the monitor\'s');
  }
  if (s.low && s.tops.length === 4 && gva >= BigInt(s.low.base) && gva < BigInt(s.low.base + 2 ** 22)) return note(s, fault, { kind: 'reserved', slot }, 'reserved', 0, 'that is the monitor\'s');
  const gpa = walk.gfn * PAGE + Number(gva & 0xfffn);
  if (!slotOf(vm, gpa)) return note(s, fault, { kind: 'mmio', gpa }, 'mmio', gpa, 'no memory there');
  if (storedFrame(vm, walk.gfn) === null) {
    s.pending = fault;
    return note(s, fault, { kind: 'page', gpa }, 'page', gpa, 'the page gets a frame');
  }
  return fill(vm, s, fault, walk, { access, settings, gva, gpa });
}

export interface Target {
  access: Access;
  settings: Settings;
  gva: bigint;
  gpa: number;
}

function fill(vm: Vm, s: Shadow, fault: Fault, walk: Allowed, t: Target): Sorted {
  let rights = walk.rights & (walk.dirty ? MAY_ALL : ~MAY_WRITE);
  if (t.access.write && !t.access.user && (walk.rights & MAY_WRITE) === 0) {
    // the kernel writes in spite of the entry (CR0.WP clear): the page is the kernel's for now, and not to be run with SMEP
    rights = (rights | MAY_WRITE) & ~MAY_USER & (t.settings.smep ? ~MAY_EXECUTE : MAY_ALL);
  }
  const page = reachLeaf(vm, s, walk, t);
  const index = shadowIndex(1, t.gva);
  // pages of the guest's tables on this very path are made by now: tracing knows them
  const freed = t.access.write && letGo(s, walk.gfn);
  if (t.access.write && !freed && fault.delivering) unprotect(vm, s, walk.gfn);
  const leaf = leafFor(vm, s, walk.gfn, rights)!;
  // a page on the path may have gone with `unprotect`; the guest's next try builds it again
  if (page.hpa >= 0) {
    setLeaf(vm, s, page, index, leaf);
    prefetch(vm, s, page, index);
  }
  if (t.access.write && leaf.traced) {
    s.counts.write++;
    return note(s, fault, { kind: 'write', gpa: t.gpa }, 'write', t.gpa, 'emulated');
  }
  s.counts.hidden++;
  const unsynced = freed && (s.byGfn.get(walk.gfn)?.size ?? 0) > 0;
  return note(s, fault, { kind: 'filled' }, 'hidden', t.gpa, unsynced ? 'its table goes out of sync' : `filled${leaf.traced ? ' without writing' : ''}`);
}

function note(s: Shadow, fault: Fault, sorted: Sorted, kind: FaultKind, gpa: number, done: string): Sorted {
  s.faults.push({ n: s.faultsEver++, kind, gva: fault.address, error: fault.error, rip: fault.rip, gpa, done });
  if (s.faults.length > FAULTS) s.faults.shift();
  return sorted;
}

/** Down from the root, making what is missing, to the table of level 1. */
export function reachLeaf(vm: Vm, s: Shadow, walk: Allowed, t: Target): ShadowPage {
  let page = s.tops[topIndex(s, t.gva)]!;
  let rights = MAY_ALL;
  for (const step of walk.steps) if (step.level > page.role.level) rights &= step.rights;
  for (;;) {
    touch(s, page);
    const { level } = page.role;
    if (level === 1) return page;
    const index = shadowIndex(level, t.gva);
    const wanted = page.role.direct ? below(page, index) : under(walk, t, level, index, rights);
    if (!page.role.direct) rights = wanted.rights;
    const known = childOf(s, entryOf(vm, page.hpa + 8 * index));
    if (known?.key === keyOf(wanted.gfn, wanted.role)) page = known;
    else {
      if (dropEntry(vm, s, page, index)) flushProcessor(vm, s);
      const made = s.ids;
      const child = shadowPage(vm, s, wanted.gfn, wanted.role);
      // out of sync while nothing led to it: the guest's flushes have passed it by
      if (child.unsync && s.ids === made) resyncFrame(vm, s, child.gfn);
      link(vm, page, index, child);
      if (level === 4 && s.deep?.slot === index) keepDeep(vm, s, child);
      page = child;
    }
  }
}

/** The monitor's entry is in the guest's table of its slot, too. */
function keepDeep(vm: Vm, s: Shadow, page: ShadowPage): void {
  setEntry(vm, page.hpa + 8 * s.deep!.index, s.deep!.entry);
  flushProcessor(vm, s);
}

interface Wanted {
  gfn: number;
  role: Role;
  rights: number;
}

/** Inside a large page, or with paging off. */
function below(page: ShadowPage, index: number): Wanted {
  const level = page.role.level - 1;
  return { gfn: page.gfn + index * 512 ** level, role: { ...page.role, level }, rights: page.role.access };
}

/** What an entry of a guest table leads to: the next table, or a large page that becomes a table of its own. */
function under(walk: Allowed, t: Target, level: number, index: number, above: number): Wanted {
  const step = walk.steps.find((one) => one.level === level)!;
  const rights = above & step.rights;
  const common = baseRole(t.settings);
  if (!step.leaf) return { gfn: step.next, role: { ...common, level: level - 1, direct: false, access: rights, quadrant: t.settings.mode === '32' ? index & 1 : 0 }, rights };
  const first = step.next + (t.settings.mode === '32' ? (index & 1) * 512 : 0);
  return { gfn: first, role: { ...common, level: level - 1, direct: true, access: walk.dirty ? rights : rights & ~MAY_WRITE, quadrant: 0 }, rights };
}

/** Neighbours in the same group that the guest has used already come with it. */
function prefetch(vm: Vm, s: Shadow, page: ShadowPage, index: number): void {
  const count = s.policy.prefetch;
  if (count <= 1) return;
  const first = index - (index % count);
  for (let n = first; n < first + count; n++) {
    if (n === index || (entryOf(vm, page.hpa + 8 * n) & PRESENT) !== 0n) continue;
    const leaf = page.role.direct ? leafFor(vm, s, page.gfn + n, page.role.access) : readyLeaf(vm, s, page, n);
    if (!leaf) continue;
    setLeaf(vm, s, page, n, leaf);
    s.counts.prefetched++;
  }
}

/** The frame is no table for now: its shadow pages go and the guest may write it. */
export function unprotect(vm: Vm, s: Shadow, gfn: number): void {
  const pages = [...(s.byGfn.get(gfn) ?? [])];
  if (pages.length === 0) return;
  s.counts.unprotected++;
  for (const page of pages) zapPage(vm, s, page);
  flushProcessor(vm, s);
}
