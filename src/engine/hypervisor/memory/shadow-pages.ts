/**
 * Shadow pages: found by guest frame and role or made, linked, zapped, recycled; leaf entries and the reverse map that finds
 * them. A guest frame with a shadow page is traced: no leaf entry that maps it lets the guest write, unless all its shadow
 * pages are leaves out of sync. Source: Linux arch/x86/kvm/mmu (kvm_mmu_get_shadow_page, kvm_mmu_prepare_zap_page), mmu.rst.
 */
import { takeFrame, type Vm } from '../vm.ts';
import {
  ACCESSED, DIRTY, FRAME, MAY_EXECUTE, MAY_USER, MAY_WRITE, NO_EXECUTE, PRESENT, type Role, type Shadow, type ShadowPage, TRACED, USER, WRITE,
} from './shadow-types.ts';

const PAGE = 4096;
const ENTRIES = 512;

export const keyOf = (gfn: number, r: Role): string =>
  `${gfn.toString(16)}:${r.level}${r.mode}${r.direct ? 'd' : ''}a${r.access}q${r.quadrant}${r.nx ? 'n' : ''}${r.wp ? 'w' : ''}${r.pse ? 'p' : ''}${r.smepNotWp ? 'e' : ''}${r.smapNotWp ? 'a' : ''}`;

/** Shadow pages that a guest of this size may have: a fiftieth of its pages, 64 at least, as KVM allows. */
export const shadowLimit = (memoryBytes: number): number => Math.max(64, Math.floor(memoryBytes / PAGE / 50));

/** Translations may be wrong now: everything that the processor remembers of this guest goes. */
export const flushProcessor = (vm: Vm, s: Shadow): void => vm.machine.cpu.flushVpid(s.vpid);

export const entryOf = (vm: Vm, at: number): bigint => vm.machine.physical.getBigUint64(at, true);
export const setEntry = (vm: Vm, at: number, value: bigint): void => vm.machine.physical.setBigUint64(at, value, true);

const pageOf = (s: Shadow, at: number): ShadowPage | undefined => s.byHpa.get(at - (at % PAGE));
export const childOf = (s: Shadow, entry: bigint): ShadowPage | undefined => ((entry & PRESENT) !== 0n ? s.byHpa.get(Number(entry & FRAME)) : undefined);

// ---- finding and making

export function touch(s: Shadow, page: ShadowPage): void {
  page.used = s.clock;
  page.writes = 0;
  s.pages.delete(page.key);
  s.pages.set(page.key, page);
}

/** The shadow page of a guest frame in a role. Making one takes the guest's leave to write that frame unseen. */
export function shadowPage(vm: Vm, s: Shadow, gfn: number, role: Role): ShadowPage {
  const key = keyOf(gfn, role);
  const known = s.pages.get(key);
  if (known) {
    touch(s, known);
    return known;
  }
  const hpa = frameFor(vm, s);
  const page: ShadowPage = { id: s.ids++, key, gfn, role, hpa, parents: new Set(), gfns: new Int32Array(role.level === 1 ? ENTRIES : 0).fill(-1), present: 0, unsync: false, writes: 0, used: s.clock };
  s.pages.set(key, page);
  s.byHpa.set(hpa, page);
  if (role.level === 4) for (const [slot, entry] of s.fixed) setEntry(vm, hpa + 8 * slot, entry);
  if (!role.direct) traceFrame(vm, s, page);
  return page;
}

function traceFrame(vm: Vm, s: Shadow, page: ShadowPage): void {
  const others = s.byGfn.get(page.gfn) ?? new Set();
  // a table above the leaves is never out of sync
  if (page.role.level > 1) for (const other of [...others]) if (other.unsync) zapPage(vm, s, other);
  s.byGfn.set(page.gfn, others.add(page));
  const free = [...others].some((other) => other.unsync);
  if (free) setUnsync(s, page, true);
  else protectFrame(vm, s, page.gfn);
}

export function setUnsync(s: Shadow, page: ShadowPage, on: boolean): void {
  page.unsync = on;
  if (on) s.unsync.add(page);
  else s.unsync.delete(page);
}

/** A frame of the host's, by giving up the shadow page that was not used longest when there are too many. */
function frameFor(vm: Vm, s: Shadow): number {
  const free = s.free.pop();
  if (free !== undefined) return free;
  if (s.pages.size < s.limit) {
    const fresh = takeFrame(vm);
    if (fresh !== null) {
      vm.tables++;
      return fresh;
    }
  }
  for (const page of s.pages.values()) {
    if (page.used === s.clock || s.tops.includes(page)) continue;
    s.counts.recycled++;
    zapPage(vm, s, page);
    flushProcessor(vm, s);
    return s.free.pop()!;
  }
  throw new Error('shadow paging: no frame for a table');
}

// ---- entries

/** Makes an entry point at another shadow page. Rights are in the leaves. */
export function link(vm: Vm, parent: ShadowPage, index: number, child: ShadowPage): void {
  const at = parent.hpa + 8 * index;
  setEntry(vm, at, BigInt(child.hpa) | PRESENT | WRITE | USER | ACCESSED);
  child.parents.add(at);
  parent.present++;
}

export interface Leaf {
  gfn: number;
  hpa: number;
  rights: number;
  /** Writable but for the trace. */
  traced: boolean;
}

/** Enters a page in a table of level 1; what stood there goes. */
export function setLeaf(vm: Vm, s: Shadow, page: ShadowPage, index: number, leaf: Leaf): void {
  dropEntry(vm, s, page, index);
  const at = page.hpa + 8 * index;
  const writes = (leaf.rights & MAY_WRITE) !== 0;
  setEntry(vm, at, BigInt(leaf.hpa) | PRESENT | ACCESSED | DIRTY | (writes ? WRITE : 0n) | (leaf.traced ? TRACED : 0n) | ((leaf.rights & MAY_USER) !== 0 ? USER : 0n) | ((leaf.rights & MAY_EXECUTE) !== 0 ? 0n : NO_EXECUTE));
  page.gfns[index] = leaf.gfn;
  page.present++;
  const known = s.rmap.get(leaf.gfn);
  if (known) known.add(at);
  else s.rmap.set(leaf.gfn, new Set([at]));
}

/** Takes an entry out, leaf or link. Entries that are not ours (the monitor's own) stay. True: there was one. */
export function dropEntry(vm: Vm, s: Shadow, page: ShadowPage, index: number): boolean {
  const at = page.hpa + 8 * index;
  const entry = entryOf(vm, at);
  if ((entry & PRESENT) === 0n) return false;
  if (page.role.level === 1) {
    const gfn = page.gfns[index]!;
    const mapped = s.rmap.get(gfn);
    mapped?.delete(at);
    if (mapped?.size === 0) s.rmap.delete(gfn);
    page.gfns[index] = -1;
  } else {
    const child = childOf(s, entry);
    if (!child) return false;
    child.parents.delete(at);
  }
  setEntry(vm, at, page.role.level === 4 ? (s.fixed.get(index) ?? 0n) : 0n);
  page.present--;
  return true;
}

/** No mapping of the frame lets the guest write any more. */
export function protectFrame(vm: Vm, s: Shadow, gfn: number): void {
  let changed = false;
  for (const at of s.rmap.get(gfn) ?? []) {
    const entry = entryOf(vm, at);
    if ((entry & WRITE) === 0n) continue;
    setEntry(vm, at, (entry & ~WRITE) | TRACED);
    changed = true;
  }
  if (changed) flushProcessor(vm, s);
}

/** A page is given up: its entries, every entry that points to it, its frame. Its children stay for others to find. */
export function zapPage(vm: Vm, s: Shadow, page: ShadowPage): void {
  if (page.present > 0) for (let index = 0; index < ENTRIES; index++) dropEntry(vm, s, page, index);
  for (const at of [...page.parents]) {
    const parent = pageOf(s, at);
    if (parent) dropEntry(vm, s, parent, (at % PAGE) / 8);
    else setEntry(vm, at, 0n);
  }
  s.pages.delete(page.key);
  s.byHpa.delete(page.hpa);
  setUnsync(s, page, false);
  if (!page.role.direct) {
    const same = s.byGfn.get(page.gfn);
    same?.delete(page);
    if (same?.size === 0) s.byGfn.delete(page.gfn);
  }
  vm.machine.memory.fill(0, page.hpa, page.hpa + PAGE);
  s.free.push(page.hpa);
  page.hpa = -1;
}
