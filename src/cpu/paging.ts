/**
 * The one page walker: `walk(format, root, address, access, below)`. With `below` every address of a table is itself
 * translated by it, so the long-mode format over EPT is two-dimensional paging: 24 references for 4K over 4K.
 * Every reference is written to the ring that pictures read; there is no second walker. Sources: SDM 3A 4.5-4.8 (formats,
 * rights, error codes), SDM 3C 29.3 (EPT, misconfigurations, accessed and dirty, qualification 27-7).
 * A reference costs COST_REFERENCE cycles (a second-level cache hit), a walk COST_WALK besides (second-level TLB missed).
 * 32-bit paging (4K, 4M with PSE, 32-bit addresses in large entries) has entries of 4 bytes; PAE is the long-mode format begun at
 * level 2 from one of four pointers that the processor read when CR3 was loaded (SDM 3A 4.4.1).
 * Upper levels may come from paging-structure caches (walk-caches.ts). Left out: 5-level paging, protection keys.
 */
import {
  CACHE_EPT_OFFSET, CACHE_EPT_RIGHTS, CACHE_HOST, CACHE_RIGHTS, CACHE_TABLE, COST_REFERENCE, COST_WALK, CR0, CR3, CYCLES, EFER, HOST, MEMORY_BYTES, PAGE_BASE, REFERENCE, REFERENCE_AFTER, REFERENCE_CYCLES, REFERENCE_ENTRY, REFERENCE_GPA, REFERENCE_HPA,
  REFERENCE_INDEX, REFERENCE_LEAF, REFERENCE_LEVEL, REFERENCE_MAX, REFERENCE_ROW, REFERENCE_SIZE, REFERENCE_TABLE, REFERENCES, RFLAGS,
  RIGHT_DIRTY, RIGHT_EPT_EXECUTE, RIGHT_EPT_WRITE, RIGHT_EXECUTE, RIGHT_GLOBAL, RIGHT_USER, RIGHT_WRITE, RIP, WALK_ACCESS, WALK_AT, WALK_COST,
  WALK_COUNT, WALK_CR3, WALK_EPTP, WALK_ERROR, WALK_GPA, WALK_GUEST_SHIFT, WALK_GVA, WALK_HOST_SHIFT, WALK_HPA, WALK_NUMBER, WALK_OK,
  WALK_PAGE_FAULT, WALK_PCID, WALK_REFERENCES, WALK_RESULT, WALK_RING, WALK_RING_LEVEL, WALK_RIP, WALK_SIZE, WALK_VIOLATION,
  WALK_MISCONFIGURATION, WALK_VPID, WALKS, CODE_LINES,
} from './layout';
import {
  CR0_PG, CR0_WP, CR4_PAE, CURRENT, CR4_PGE, CR4_SMAP, CR4_SMEP, EFER_LMA, EFER_NXE, F_AC, feature4, g32, g64, PHYSICAL_MASK, PDPTES, RESERVED_MASK, s32, s64, W_COUNT, W_ENTRIES,
  W_EPT_ENTRIES, W_EPT_RIGHTS, W_ERROR, W_FINAL, W_GUEST, W_GUEST_SHIFT, W_HOST, W_HOST_SHIFT, W_RIGHTS, W_RING, W_ROW, W_SHIFT,
} from './state';
import { R_OFFSET } from './record';
import { codeLineWritten } from './blocks';
import { eptInForce } from './vmx/fields';
import { tagInForce } from './memory';
import { allowCaches, find, forbidCaches, foundLevel, keep } from './walk-caches';

export const FORMAT_LONG: u32 = 0;
export const FORMAT_EPT: u32 = 1;
export const FORMAT_PAE: u32 = 2;
export const FORMAT_32: u32 = 3;
/** No paging: the linear address is the physical one. */
export const FORMAT_NONE: u32 = 4;

// access: what, by whom
export const READ: u32 = 0;
export const WRITE: u32 = 1;
export const FETCH: u32 = 2;
export const KIND: u32 = 3;
export const BY_USER: u32 = 4;
export const IMPLICIT: u32 = 8; // the processor's own access to a descriptor table or TSS: AC does not count

/** 0, or WALK_PAGE_FAULT, WALK_VIOLATION, WALK_MISCONFIGURATION. Results in W_HOST, W_GUEST, W_SHIFT, W_RIGHTS, W_ERROR. */
export function walk(format: u32, root: u64, address: u64, access: u32, below: u64): u32 {
  if (format == FORMAT_EPT) return walkEpt(root, address, access);
  if (format == FORMAT_LONG) return walkLong(root & PHYSICAL_MASK, address, access, below, 4);
  if (format == FORMAT_PAE) return walkPae(u64(u32(address)), access, below);
  if (format == FORMAT_32) return walk32(root, u64(u32(address)), access, below);
  s32(W_GUEST_SHIFT, 12);
  return reached(u64(u32(address)), RIGHT_WRITE | RIGHT_EXECUTE | RIGHT_DIRTY | ((access & BY_USER) != 0 ? RIGHT_USER : 0), 12, below, access);
}

/** From the pointer in the processor: no reference to memory. */
function walkPae(address: u64, access: u32, below: u64): u32 {
  const pointer = g64(PDPTES + usize(address >> 30 << 3));
  return (pointer & 1) == 0 ? pageFault(access, 0) : walkLong(pointer & PHYSICAL_MASK, address, access, below, 2);
}

/** Reads the four pointers that CR3 names into the processor; WALK_PAGE_FAULT: one has reserved bits, none was taken. */
export function readPointers(cr3: u64, below: u64): u32 {
  const base = cr3 & 0xffffffe0;
  s32(W_RING, 0);
  let bad = false;
  for (let n: u32 = 0; n < 4; n++) {
    const result = locate(base + u64(n * 8), below);
    if (result != 0) return result;
    const entry = readPhysical(g64(W_HOST));
    s64(PDPTES + 32 + n * 8, entry);
    bad = bad || ((entry & 1) != 0 && (entry & (RESERVED_MASK | 0xfff00000000001e6)) != 0);
  }
  if (bad) return WALK_PAGE_FAULT;
  memory.copy(PDPTES, PDPTES + 32, 32);
  return WALK_OK;
}

/** State was set from outside (VM entry, a debugger): the pointers are what memory says. */
export function keepPointers(): void {
  if ((g64(CR0) & CR0_PG) != 0 && (g64(EFER) & EFER_LMA) == 0 && feature4(CR4_PAE)) readPointers(g64(CR3), eptInForce());
}

function walkLong(root: u64, address: u64, access: u32, below: u64, top: u32): u32 {
  let table = root;
  let rights: u32 = RIGHT_WRITE | RIGHT_USER | RIGHT_EXECUTE;
  let level = top;
  let entry: u64 = 0;
  let known: u64 = 0;
  const tag = tagInForce();
  const cached = find(address, top, tag, below, 0);
  if (cached != 0) {
    level = foundLevel - 1;
    table = g64(cached + CACHE_TABLE);
    rights = g32(cached + CACHE_RIGHTS);
    known = g64(cached + CACHE_HOST);
    s32(W_FINAL, 0);
    s32(W_EPT_RIGHTS, g32(cached + CACHE_EPT_RIGHTS));
  }
  const begin = level;
  const nx = (g64(EFER) & EFER_NXE) != 0;
  const reserved = RESERVED_MASK | (nx ? 0 : u64(1) << 63);
  for (;;) {
    const shift = 3 + 9 * level;
    const index = u32(address >> u64(shift)) & 511;
    const gpa = table + u64(index) * 8;
    s32(W_ROW, top - level);
    let hpa = known + u64(index) * 8;
    if (cached == 0 || level != begin) {
      const at = locate(gpa, below);
      if (at != 0) return at;
      hpa = g64(W_HOST);
    }
    entry = readPhysical(hpa);
    const place = W_ENTRIES + level * 24;
    s64(place, hpa);
    s64(place + 8, entry);
    s32(place + 16, g32(W_EPT_RIGHTS));
    s32(place + 20, g32(W_COUNT));
    const leaf = level == 1 || (level < 4 && (entry & 0x80) != 0);
    record(0, level, index, gpa, hpa, entry, leaf);
    if ((entry & 1) == 0) return pageFault(access, 0);
    let bad = (entry & reserved) != 0;
    if (level == 4) bad = bad || (entry & 0x80) != 0;
    if (top == 2) bad = bad || (entry & 0x7ff0000000000000) != 0;
    if (leaf && level > 1) bad = bad || (entry & (level == 2 ? 0x1fe000 : 0x3fffe000)) != 0;
    if (bad) return pageFault(access, 9);
    if ((entry & 2) == 0) rights &= ~RIGHT_WRITE;
    if ((entry & 4) == 0) rights &= ~RIGHT_USER;
    if (nx && (entry >> 63) != 0) rights &= ~RIGHT_EXECUTE;
    s32(place + 16, (g32(place + 16) & 0xffff) | (rights << 16));
    if (leaf) break;
    table = entry & PHYSICAL_MASK;
    level--;
  }
  if ((entry & 0x100) != 0 && feature4(CR4_PGE)) rights |= RIGHT_GLOBAL;
  if (!permitted(rights, access)) return pageFault(access, 1);
  const pageShift = 3 + 9 * level;
  const mask = (u64(1) << u64(pageShift)) - 1;
  const gpa = (entry & PHYSICAL_MASK & ~mask) | (address & mask);
  s32(W_GUEST_SHIFT, pageShift);
  s64(W_GUEST, gpa);
  const marked = markLong(level, access, below, begin);
  if (marked != 0) return marked;
  for (let n = level + 1; n <= begin; n++) {
    const upper = W_ENTRIES + n * 24;
    keep(address, n, tag, below, 0, g64(upper + 8) & PHYSICAL_MASK, g64(upper - 24) & PHYSICAL_MASK, g32(upper + 16) >> 16, g32(upper - 8) & 0xffff);
  }
  if ((access & KIND) == WRITE || (entry & 0x40) != 0) rights |= RIGHT_DIRTY;
  return reached(gpa, rights, pageShift, below, access);
}

/** The guest's side is done: through EPT, when there is one, to the host's address and the rights of both. */
function reached(gpa: u64, guestRights: u32, pageShift: u32, below: u64, access: u32): u32 {
  let rights = guestRights;
  s64(W_GUEST, gpa);
  if (below == 0) {
    s64(W_HOST, gpa);
    s32(W_HOST_SHIFT, 0);
    s32(W_SHIFT, pageShift);
    s32(W_RIGHTS, rights | RIGHT_EPT_WRITE | RIGHT_EPT_EXECUTE);
    return WALK_OK;
  }
  s32(W_ROW, 4);
  s32(W_FINAL, 1);
  const result = walk(FORMAT_EPT, below, gpa, access & KIND, 0);
  if (result != WALK_OK) return result;
  const ept = g32(W_EPT_RIGHTS);
  if ((ept & 2) != 0) rights |= RIGHT_EPT_WRITE;
  if ((ept & 4) != 0) rights |= RIGHT_EPT_EXECUTE;
  if ((ept & 0x100) == 0) rights &= ~RIGHT_DIRTY;
  s32(W_RIGHTS, rights);
  s32(W_HOST_SHIFT, g32(W_SHIFT));
  s32(W_SHIFT, min<u32>(pageShift, g32(W_SHIFT)));
  return WALK_OK;
}

/** 32-bit paging: two levels, entries of 4 bytes; 4M pages with CR4.PSE, their address bits 39:32 in bits 20:13. */
function walk32(root: u64, address: u64, access: u32, below: u64): u32 {
  let table = root & 0xfffff000;
  let rights: u32 = RIGHT_WRITE | RIGHT_USER | RIGHT_EXECUTE;
  let level: u32 = 2;
  let entry: u64 = 0;
  for (;;) {
    const index = u32(address >> u64(level == 2 ? 22 : 12)) & 1023;
    const gpa = table + u64(index) * 4;
    s32(W_ROW, 2 - level);
    const at = locate(gpa, below);
    if (at != 0) return at;
    const hpa = g64(W_HOST);
    entry = hpa < g64(MEMORY_BYTES) ? u64(load<u32>(HOST + usize(hpa))) : 0xffffffff;
    const keep = W_ENTRIES + level * 24;
    s64(keep, hpa);
    s64(keep + 8, entry);
    s32(keep + 16, g32(W_EPT_RIGHTS));
    s32(keep + 20, g32(W_COUNT));
    const leaf = level == 1 || ((entry & 0x80) != 0 && feature4(0x10));
    record(0, level, index, gpa, hpa, entry, leaf);
    if ((entry & 1) == 0) return pageFault(access, 0);
    if (leaf && level == 2 && (entry & 0x200000) != 0) return pageFault(access, 9);
    if ((entry & 2) == 0) rights &= ~RIGHT_WRITE;
    if ((entry & 4) == 0) rights &= ~RIGHT_USER;
    if (leaf) break;
    table = entry & 0xfffff000;
    level--;
  }
  if ((entry & 0x100) != 0 && feature4(CR4_PGE)) rights |= RIGHT_GLOBAL;
  if (!permitted(rights, access)) return pageFault(access, 1);
  const pageShift: u32 = level == 2 ? 22 : 12;
  const base = level == 2 ? (entry & 0xffc00000) | ((entry & 0x1fe000) << 19) : entry & 0xfffff000;
  const gpa = base | (address & ((u64(1) << u64(pageShift)) - 1));
  s32(W_GUEST_SHIFT, pageShift);
  s64(W_GUEST, gpa);
  const marked = mark32(level, access, below);
  if (marked != 0) return marked;
  if ((access & KIND) == WRITE || (entry & 0x40) != 0) rights |= RIGHT_DIRTY;
  // the TLB keeps a 4M page as two of 2M
  return reached(gpa, rights, level == 2 ? 21 : 12, below, access);
}

function mark32(leafLevel: u32, access: u32, below: u64): u32 {
  if (g32(W_RING) == 0) return WALK_OK;
  for (let level = leafLevel; level <= 2; level++) {
    const keep = W_ENTRIES + level * 24;
    const entry = g64(keep + 8);
    const after = entry | 0x20 | (level == leafLevel && (access & KIND) == WRITE ? 0x40 : 0);
    if (after == entry) continue;
    if (below != 0 && (g32(keep + 16) & 2) == 0) return unwritable(keep);
    const hpa = g64(keep);
    if (hpa < g64(MEMORY_BYTES)) {
      store<u32>(HOST + usize(hpa), u32(after));
      if (load<u64>(CODE_LINES + (usize(hpa >> 12) << 3)) != 0) codeLineWritten(hpa, 4);
    }
    recordAfter(g32(keep + 20), after);
  }
  return WALK_OK;
}

/** A table entry that must be marked lies where EPT allows no writing. */
function unwritable(keep: usize): u32 {
  s32(W_FINAL, 0);
  s64(W_ERROR, 2 | (u64(g32(keep + 16) & 7) << 3) | 0x80);
  s64(W_GUEST, g64(referenceOf(g32(keep + 20)) + REFERENCE_GPA));
  return WALK_VIOLATION;
}

/** Host-physical address of a table's entry into W_HOST; not 0: the EPT refuses. */
function locate(gpa: u64, below: u64): u32 {
  s64(W_GUEST, gpa);
  s32(W_FINAL, 0);
  if (below == 0) {
    s64(W_HOST, gpa);
    s32(W_EPT_RIGHTS, 7);
    return 0;
  }
  return walk(FORMAT_EPT, below, gpa, (below & 0x40) != 0 ? WRITE : READ, 0);
}

/** Accessed in every entry used, dirty in the leaf of a write. */
function markLong(leafLevel: u32, access: u32, below: u64, top: u32): u32 {
  if (g32(W_RING) == 0) return WALK_OK;
  for (let level = leafLevel; level <= top; level++) {
    const keep = W_ENTRIES + level * 24;
    const entry = g64(keep + 8);
    const after = entry | 0x20 | (level == leafLevel && (access & KIND) == WRITE ? 0x40 : 0);
    if (after == entry) continue;
    if (below != 0 && (g32(keep + 16) & 2) == 0) return unwritable(keep);
    writePhysical(g64(keep), after);
    recordAfter(g32(keep + 20), after);
  }
  return WALK_OK;
}

function walkEpt(root: u64, address: u64, access: u32): u32 {
  let table = root & PHYSICAL_MASK;
  let rights: u32 = 7;
  let level: u32 = 4;
  let entry: u64 = 0;
  const tracks = (root & 0x40) != 0;
  const final = g32(W_FINAL) != 0;
  const asked: u32 = (access == READ ? 1 : access == WRITE ? 2 : 4) | (tracks && !final ? 1 : 0);
  if ((address & ~(PHYSICAL_MASK | 0xfff)) != 0) return violation(asked, 0, final);
  const cached = find(address, 4, 0, root, CACHE_EPT_OFFSET);
  if (cached != 0) {
    level = foundLevel - 1;
    table = g64(cached + CACHE_HOST);
    rights = g32(cached + CACHE_RIGHTS);
  }
  const begin = level;
  for (;;) {
    const shift = 3 + 9 * level;
    const index = u32(address >> u64(shift)) & 511;
    const hpa = table + u64(index) * 8;
    entry = readPhysical(hpa);
    const place = W_EPT_ENTRIES + level * 24;
    s64(place, hpa);
    s64(place + 8, entry);
    s32(place + 20, g32(W_COUNT));
    const leaf = level == 1 || (level < 4 && (entry & 0x80) != 0);
    record(1, level, index, address, hpa, entry, leaf);
    const permission = u32(entry) & 7;
    if (permission == 0) return violation(asked, 0, final);
    if (misconfigured(entry, level, leaf)) return WALK_MISCONFIGURATION;
    rights &= permission;
    s32(place + 16, rights);
    if (leaf) break;
    table = entry & PHYSICAL_MASK;
    level--;
  }
  if ((asked & ~rights) != 0) return violation(asked, rights, final);
  if (tracks && g32(W_RING) != 0) {
    for (let n = level; n <= begin; n++) {
      const place = W_EPT_ENTRIES + n * 24;
      const before = g64(place + 8);
      const after = before | 0x100 | (n == level && access == WRITE ? 0x200 : 0);
      if (after == before) continue;
      writePhysical(g64(place), after);
      recordAfter(g32(place + 20), after);
    }
  }
  for (let n = level + 1; n <= begin; n++) {
    const upper = W_EPT_ENTRIES + n * 24;
    keep(address, n, 0, root, CACHE_EPT_OFFSET, g64(upper + 8) & PHYSICAL_MASK, g64(upper + 8) & PHYSICAL_MASK, g32(upper + 16), 0);
  }
  const mask = (u64(1) << u64(3 + 9 * level)) - 1;
  s64(W_HOST, (entry & PHYSICAL_MASK & ~mask) | (address & mask));
  s32(W_SHIFT, 3 + 9 * level);
  // bit 8: a write need not come back here to set dirty
  s32(W_EPT_RIGHTS, rights | (!tracks || access == WRITE || (entry & 0x200) != 0 ? 0x100 : 0));
  return WALK_OK;
}

function misconfigured(entry: u64, level: u32, leaf: bool): bool {
  if ((entry & 3) == 2) return true;
  if ((entry & RESERVED_MASK) != 0) return true;
  if (!leaf) return (entry & (level == 4 ? 0xf8 : 0x78)) != 0;
  const kind = u32(entry >> 3) & 7;
  if (kind == 2 || kind == 3 || kind == 7) return true;
  if (level == 2) return (entry & 0x1ff000) != 0;
  if (level == 3) return (entry & 0x3ffff000) != 0;
  return false;
}

function violation(asked: u32, rights: u32, final: bool): u32 {
  s64(W_ERROR, u64(asked | (rights << 3) | 0x80 | (final ? 0x100 : 0)));
  return WALK_VIOLATION;
}

/** Error code: bit 0 present, 1 write, 2 user, 3 reserved, 4 fetch. */
function pageFault(access: u32, code: u32): u32 {
  const fetch = (access & KIND) == FETCH && (feature4(CR4_SMEP) || (feature4(CR4_PAE) && (g64(EFER) & EFER_NXE) != 0));
  s64(W_ERROR, u64(code | ((access & KIND) == WRITE ? 2 : 0) | ((access & BY_USER) != 0 ? 4 : 0) | (fetch ? 16 : 0)));
  return WALK_PAGE_FAULT;
}

/** Do the guest's tables allow it (SDM 3A 4.6)? */
export function permitted(rights: u32, access: u32): bool {
  const kind = access & KIND;
  if ((access & BY_USER) != 0) {
    if ((rights & RIGHT_USER) == 0) return false;
    if (kind == WRITE) return (rights & RIGHT_WRITE) != 0;
    return kind == READ || (rights & RIGHT_EXECUTE) != 0;
  }
  if (kind == FETCH) {
    if ((rights & RIGHT_USER) != 0 && feature4(CR4_SMEP)) return false;
    return (rights & RIGHT_EXECUTE) != 0;
  }
  if ((rights & RIGHT_USER) != 0 && feature4(CR4_SMAP) && ((access & IMPLICIT) != 0 || (g64(RFLAGS) & F_AC) == 0)) return false;
  return kind == READ || (rights & RIGHT_WRITE) != 0 || (g64(CR0) & CR0_WP) == 0;
}

export function readPhysical(hpa: u64): u64 {
  return hpa < g64(MEMORY_BYTES) ? load<u64>(HOST + usize(hpa)) : ~u64(0);
}

function writePhysical(hpa: u64, value: u64): void {
  if (hpa >= g64(MEMORY_BYTES)) return;
  store<u64>(HOST + usize(hpa), value);
  if (load<u64>(CODE_LINES + (usize(hpa >> 12) << 3)) != 0) codeLineWritten(hpa, 8);
}

// ---- the ring

export function beginWalk(gva: u64, access: u32, below: u64, tag: u32): void {
  const number = g64(WALKS);
  const at = WALK_RING + u32(number % WALK_COUNT) * WALK_SIZE;
  s32(W_RING, at);
  allowCaches();
  s32(W_COUNT, 0);
  s32(W_GUEST_SHIFT, 0);
  s32(W_HOST_SHIFT, 0);
  s64(at + WALK_NUMBER, number);
  s64(at + WALK_GVA, gva);
  const record: usize = g32(CURRENT);
  s64(at + WALK_RIP, record != 0 ? g64(PAGE_BASE) + u64(load<u16>(record, R_OFFSET)) : g64(RIP));
  s64(at + WALK_CR3, g64(CR3));
  s64(at + WALK_EPTP, below);
  store<u8>(at + WALK_ACCESS, u8(access & KIND));
  store<u8>(at + WALK_RING_LEVEL, (access & BY_USER) != 0 ? 3 : 0);
  store<u16>(at + WALK_VPID, u16(tag >> 16));
  store<u16>(at + WALK_PCID, u16(tag));
}

export function endWalk(result: u32): void {
  const at = g32(W_RING);
  const count = g32(W_COUNT);
  const cost = g32(COST_WALK) + count * g32(COST_REFERENCE);
  s64(CYCLES, g64(CYCLES) + u64(cost));
  s64(REFERENCES, g64(REFERENCES) + u64(count));
  s64(at + WALK_GPA, g64(W_GUEST));
  s64(at + WALK_HPA, result == 0 ? g64(W_HOST) : 0);
  s64(at + WALK_AT, g64(CYCLES));
  s32(at + WALK_COST, cost);
  store<u8>(at + WALK_RESULT, u8(result));
  store<u8>(at + WALK_REFERENCES, u8(min<u32>(count, REFERENCE_MAX)));
  s64(at + WALK_ERROR, result == 0 ? 0 : g64(W_ERROR));
  store<u8>(at + WALK_GUEST_SHIFT, u8(g32(W_GUEST_SHIFT)));
  store<u8>(at + WALK_HOST_SHIFT, u8(g32(W_HOST_SHIFT)));
  s64(WALKS, g64(WALKS) + 1);
  s32(W_RING, 0);
  forbidCaches();
}

function referenceOf(n: u32): usize { return g32(W_RING) + REFERENCE + n * REFERENCE_SIZE; }

function record(table: u32, level: u32, index: u32, gpa: u64, hpa: u64, entry: u64, leaf: bool): void {
  const n = g32(W_COUNT);
  s32(W_COUNT, n + 1);
  if (g32(W_RING) == 0 || n >= u32(REFERENCE_MAX)) return;
  const at = referenceOf(n);
  store<u8>(at + REFERENCE_TABLE, u8(table));
  store<u8>(at + REFERENCE_LEVEL, u8(level));
  store<u8>(at + REFERENCE_ROW, u8(g32(W_ROW)));
  store<u8>(at + REFERENCE_LEAF, u8(leaf));
  store<u16>(at + REFERENCE_INDEX, u16(index));
  store<u16>(at + REFERENCE_CYCLES, u16(g32(COST_REFERENCE)));
  s64(at + REFERENCE_GPA, gpa);
  s64(at + REFERENCE_HPA, hpa);
  s64(at + REFERENCE_ENTRY, entry);
  s64(at + REFERENCE_AFTER, entry);
}

function recordAfter(n: u32, after: u64): void {
  if (n < u32(REFERENCE_MAX)) s64(referenceOf(n) + REFERENCE_AFTER, after);
}
