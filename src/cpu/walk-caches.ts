/**
 * Paging-structure caches: what upper entries of the tables said, so that a walk begins further down. For linear addresses a PML4E,
 * a PDPTE and a PDE cache, tagged by VPID, PCID and EPT root (under EPT they hold combined mappings: where the host keeps the next
 * table); the same three for guest-physical addresses, tagged by EPT root. Fully associative, the least recently used goes first.
 * Sizes are those that side channels found on Skylake (van Schaik and others 2017: PDE 32, PDPTE 4; the PML4E cache's is assumed).
 * Off unless WALK_CACHES is set, so that a walk shows every table. A walk that fails from a cached entry is walked again in full, as
 * faults drop what was used. 32-bit paging uses none. Sources: SDM 3A 4.10.3-4.10.4, SDM 3C 29.4.
 */
import {
  CACHE_ENTRY_SIZE, CACHE_EPT, CACHE_EPT_OFFSET, CACHE_EPT_RIGHTS, CACHE_HOST, CACHE_KEY, CACHE_PDE, CACHE_PDE_COUNT, CACHE_PDPTE, CACHE_PDPTE_COUNT, CACHE_PML4E, CACHE_PML4E_COUNT, CACHE_RIGHTS,
  CACHE_TABLE, CACHE_TAG, CACHE_USED, WALK_CACHES,
} from './layout';
import { g32, g64, s32, s64, TLB_STAMP, W_CACHES } from './state';

const MAY_USE: u32 = 1;
const USED: u32 = 2;

/** Before a walk that counts; a quiet one uses none. */
export function allowCaches(): void { s32(W_CACHES, g32(WALK_CACHES) != 0 ? MAY_USE : 0); }
export function forbidCaches(): void { s32(W_CACHES, 0); }
export function cachesUsed(): bool { return (g32(W_CACHES) & USED) != 0; }

@inline function first(level: u32): usize { return level == 4 ? CACHE_PML4E : level == 3 ? CACHE_PDPTE : CACHE_PDE; }
@inline function count(level: u32): u32 { return level == 4 ? CACHE_PML4E_COUNT : level == 3 ? CACHE_PDPTE_COUNT : CACHE_PDE_COUNT; }
@inline function keyOf(address: u64, level: u32): u64 {
  const shift = u64(3 + 9 * level);
  return ((address >> shift) << shift) | 1;
}

/** The entry of the lowest level at most `top` that covers the address, or 0; `foundLevel` says whose entry it stands for. */
export function find(address: u64, top: u32, tag: u32, below: u64, offset: usize): usize {
  if (g32(W_CACHES) == 0) return 0;
  for (let level: u32 = 2; level <= top; level++) {
    const key = keyOf(address, level);
    let at = first(level) + offset;
    for (let n: u32 = 0; n < count(level); n++, at += CACHE_ENTRY_SIZE) {
      if (g64(at) != key || g32(at + CACHE_TAG) != tag || g64(at + CACHE_EPT) != below) continue;
      s64(at + CACHE_USED, g64(TLB_STAMP));
      s64(TLB_STAMP, g64(TLB_STAMP) + 1);
      s32(W_CACHES, g32(W_CACHES) | USED);
      foundLevel = level;
      return at;
    }
  }
  return 0;
}
export let foundLevel: u32 = 0;

/** What the entry of `level` says, now that a walk went through it. */
export function keep(address: u64, level: u32, tag: u32, below: u64, offset: usize, table: u64, host: u64, rights: u32, eptRights: u32): void {
  if (g32(W_CACHES) == 0) return;
  const key = keyOf(address, level);
  let at = first(level) + offset;
  let victim = at;
  for (let n: u32 = 0; n < count(level); n++, at += CACHE_ENTRY_SIZE) {
    if (g64(at) == key && g32(at + CACHE_TAG) == tag && g64(at + CACHE_EPT) == below) {
      victim = at;
      break;
    }
    if (g64(victim) != 0 && (g64(at) == 0 || g64(at + CACHE_USED) < g64(victim + CACHE_USED))) victim = at;
  }
  s64(victim, key);
  s64(victim + CACHE_TABLE, table);
  s64(victim + CACHE_HOST, host);
  s64(victim + CACHE_EPT, below);
  s32(victim + CACHE_TAG, tag);
  s32(victim + CACHE_RIGHTS, rights);
  s32(victim + CACHE_EPT_RIGHTS, eptRights);
  s64(victim + CACHE_USED, g64(TLB_STAMP));
  s64(TLB_STAMP, g64(TLB_STAMP) + 1);
}

/** Everything. */
export function dropCaches(): void {
  for (let level: u32 = 2; level <= 4; level++) {
    memory.fill(first(level), 0, usize(count(level) * CACHE_ENTRY_SIZE));
    memory.fill(first(level) + CACHE_EPT_OFFSET, 0, usize(count(level) * CACHE_ENTRY_SIZE));
  }
}

/** Those for linear addresses, of a VPID and of one PCID or of all (-1). */
export function dropContext(vpid: u32, pcid: i32): void {
  for (let level: u32 = 2; level <= 4; level++) {
    let at = first(level);
    for (let n: u32 = 0; n < count(level); n++, at += CACHE_ENTRY_SIZE) {
      const tag = g32(at + CACHE_TAG);
      if ((tag >> 16) == vpid && (pcid < 0 || (tag & 0xffff) == u32(pcid))) s64(at, 0);
    }
  }
}

/** Combined and guest-physical ones of an EPT root. */
export function dropEptRoot(eptp: u64): void {
  for (let level: u32 = 2; level <= 4; level++) {
    for (let half: usize = 0; half <= usize(CACHE_EPT_OFFSET); half += CACHE_EPT_OFFSET) {
      let at = first(level) + half;
      for (let n: u32 = 0; n < count(level); n++, at += CACHE_ENTRY_SIZE) {
        if (((g64(at + CACHE_EPT) ^ eptp) >> 12) == 0) s64(at, 0);
      }
    }
  }
}
