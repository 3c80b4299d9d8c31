/**
 * Memory as an instruction sees it: a linear address and a size become an address in the linear memory of WebAssembly.
 * First the fast front (one compare: its tag is the page with its low bits set, beside it the host pointer less the linear
 * address, in 32 bits), then the TLB, then the walker. `rd` and `wr` give 0 when the access does not
 * happen and `pend` says why. An access over two pages goes through SPLIT; after storing there, `commit` writes it back.
 * The TLB is set-associative, holds 4K, 2M and 1G translations of linear to host-physical addresses, tagged by VPID, PCID
 * and EPT root; the least recently refilled or missed-to way goes first. Source: SDM 3A 4.10, SDM 3C 29.4.
 */
import {
  CODE_LINES, CR0, CR3, EFER, FAST, FAST_BYTES, FAST_COUNT, FAST_FRONTS, HOST, MEMORY_BYTES, RIGHT_DIRTY, RIGHT_EPT_EXECUTE, RIGHT_EPT_WRITE, RIGHT_GLOBAL, TLB, TLB_ENTRY_SIZE, TLB_EPT,
  TLB_GUEST, TLB_HOST, TLB_LINEAR, TLB_RIGHTS, TLB_SETS, TLB_SHIFT, TLB_TAG, TLB_USED, TLB_WAYS, VMX_OPERATION, VOID_READ, VOID_WRITE, WALK_MISCONFIGURATION, WALK_OK, WALK_PAGE_FAULT,
  WALK_VIOLATION,
} from './layout';
import {
  canonical, CR0_PG, CR4_PAE, CR4_PCIDE, EFER_LMA, CURRENT, E_LINEAR, E_PHYSICAL, FAST_FETCH, FAST_READ, FAST_WRITE, feature4, FETCH_TAG, g32, g64, gp, guest, leave, raise, s32, s64, SPLIT, SPLIT_BYTES,
  SPLIT_FIRST, SPLIT_SECOND, SPLIT_SIZE, ss, TLB_STAMP, user, ZERO_STACK, W_ERROR, W_FINAL, W_GUEST, W_HOST, W_RIGHTS, W_RING, W_SHIFT, X_ADDRESS,
} from './state';
import { beginWalk, BY_USER, endWalk, FETCH, FORMAT_32, FORMAT_LONG, FORMAT_NONE, FORMAT_PAE, KIND, permitted, READ, walk, WRITE } from './paging';
import { R_SEGMENT } from './record';
import { cachesUsed, dropCaches, dropContext, dropEptRoot, forbidCaches } from './walk-caches';
import { codeLineWritten, holdsCode, spent } from './blocks';
import { deviceAccess, devicesThere, namedByGuest, namedByLinear } from './devices';
import { ENABLE_EPT, EPT_POINTER, eptInForce, field, secondary, vpidInForce } from './vmx/fields';

@inline export function rd(address: u64, size: u32): usize {
  const e = load<u32>(FAST_READ) + ((u32(address >> 12) & (FAST_COUNT - 1)) << 4);
  if (load<u64>(e) == ((address + u64(size - 1)) | 0xfff)) return load<u32>(e + 8) + u32(address);
  return rdSlow(address, size);
}

@inline export function wr(address: u64, size: u32): usize {
  const e = load<u32>(FAST_WRITE) + ((u32(address >> 12) & (FAST_COUNT - 1)) << 4);
  if (load<u64>(e) == ((address + u64(size - 1)) | 0xfff)) return load<u32>(e + 8) + u32(address);
  return wrSlow(address, size);
}

@inline export function commit(at: usize): void { if (at == SPLIT) commitSplit(); }

export function rdSlow(address: u64, size: u32): usize { return reach(address, size, READ | (user() ? BY_USER : 0)); }
/** Pages with decoded code have a front of their own, good for the lines without any. */
export function wrSlow(address: u64, size: u32): usize {
  const e = codeFront(address);
  if (load<u64>(e) == ((address + u64(size - 1)) | 0xfff)) {
    const pointer: usize = load<u32>(e + 8) + u32(address);
    if (!holdsCode(u64(pointer - HOST), size)) return pointer;
  }
  return reach(address, size, WRITE | (user() ? BY_USER : 0));
}
function codeFront(address: u64): usize {
  return FAST + (user() ? 7 : 6) * FAST_BYTES + usize((u32(address >> 12) & (FAST_COUNT - 1)) << 4);
}

/** An access with its privilege said: the processor's own to descriptor tables, stacks of other rings. */
export function reach(address: u64, size: u32, access: u32): usize {
  const last = address + u64(size - 1);
  if (!canonical(address) || !canonical(last)) {
    // by the stack segment it is #SS
    const record: usize = g32(CURRENT);
    if (record != 0 && load<u16>(record, R_SEGMENT) == u16(ZERO_STACK)) ss(0);
    else gp(0);
    return 0;
  }
  if (((address ^ last) >> 12) == 0) return translate(address, size, access);
  const first = 4096 - (u32(address) & 0xfff);
  const a = translate(address, first, access);
  if (a == 0) return 0;
  const b = translate(last & ~u64(0xfff), size - first, access);
  if (b == 0) return 0;
  memory.copy(SPLIT, a, first);
  memory.copy(SPLIT + first, b, size - first);
  s32(SPLIT_FIRST, u32(a));
  s32(SPLIT_SECOND, u32(b));
  s32(SPLIT_BYTES, first);
  s32(SPLIT_SIZE, size);
  return SPLIT;
}

function commitSplit(): void {
  const first = g32(SPLIT_BYTES);
  memory.copy(g32(SPLIT_FIRST), SPLIT, first);
  memory.copy(g32(SPLIT_SECOND), SPLIT + first, g32(SPLIT_SIZE) - first);
}

/** Host pointer of an access within one page, or 0. */
export function translate(address: u64, size: u32, access: u32): usize {
  const below = eptInForce();
  const tag = tagInForce();
  let entry = lookup(address, tag, below);
  if (entry != 0 && !allowed(load<u8>(entry + TLB_RIGHTS), access)) {
    drop(entry);
    entry = 0;
  }
  if (entry == 0) {
    entry = refill(address, access, tag, below);
    if (entry == 0) return 0;
    if (entry == DEVICE) return deviceAccess(g64(W_GUEST), size, (access & KIND) == WRITE);
  }
  const mask = (u64(1) << u64(load<u8>(entry + TLB_SHIFT))) - 1;
  const hpa = load<u64>(entry + TLB_HOST) | (address & mask);
  if (hpa >= g64(MEMORY_BYTES) && devicesThere() && (access & KIND) != FETCH) return deviceAccess(hpa, size, (access & KIND) == WRITE);
  if (hpa >= g64(MEMORY_BYTES)) return ((access & KIND) == WRITE ? VOID_WRITE : VOID_READ) + usize(address & 0xfff);
  const pointer = HOST + usize(hpa);
  const kind = access & KIND;
  if (kind == WRITE && load<u64>(CODE_LINES + (usize(hpa >> 12) << 3)) != 0) {
    codeLineWritten(hpa, size);
    if (((access & BY_USER) != 0) == user()) {
      const e = codeFront(address);
      s64(e, address | 0xfff);
      s32(e + 8, u32(pointer) - u32(address));
    }
    return pointer;
  }
  if (((access & BY_USER) != 0) == user()) {
    const front = kind == READ ? g32(FAST_READ) : kind == WRITE ? g32(FAST_WRITE) : g32(FAST_FETCH);
    const e = front + ((u32(address >> 12) & (FAST_COUNT - 1)) << 4);
    s64(e, address | 0xfff);
    s32(e + 8, u32(pointer) - u32(address));
  }
  return pointer;
}

/** VPID and PCID that translations are made and found under. */
export function tagInForce(): u32 {
  return (vpidInForce() << 16) | (feature4(CR4_PCIDE) ? u32(g64(CR3)) & 0xfff : 0);
}

function allowed(rights: u32, access: u32): bool {
  if (!permitted(rights, access)) return false;
  const kind = access & KIND;
  if (kind == WRITE) return (rights & (RIGHT_EPT_WRITE | RIGHT_DIRTY)) == (RIGHT_EPT_WRITE | RIGHT_DIRTY);
  return kind == READ || (rights & RIGHT_EPT_EXECUTE) != 0;
}

function setOf(address: u64, shift: u32): usize {
  return TLB + usize((u32(address >> u64(shift)) & (g32(TLB_SETS) - 1)) * g32(TLB_WAYS) * TLB_ENTRY_SIZE);
}

function lookup(address: u64, tag: u32, below: u64): usize {
  for (let shift: u32 = 12; shift <= 30; shift += 9) {
    const page = (address & ~((u64(1) << u64(shift)) - 1)) | 1;
    let at = setOf(address, shift);
    for (let way: u32 = 0; way < g32(TLB_WAYS); way++, at += TLB_ENTRY_SIZE) {
      if (load<u64>(at) != page || load<u8>(at + TLB_SHIFT) != u8(shift) || load<u64>(at + TLB_EPT) != below) continue;
      const other = load<u32>(at + TLB_TAG);
      if (other != tag && ((load<u8>(at + TLB_RIGHTS) & RIGHT_GLOBAL) == 0 || (other >> 16) != (tag >> 16))) continue;
      stamp(at);
      return at;
    }
  }
  return 0;
}

function stamp(at: usize): void {
  const now = g64(TLB_STAMP) + 1;
  s64(TLB_STAMP, now);
  s64(at + TLB_USED, now);
}

/** Of `refill`: no memory but a device, at W_GUEST. */
const DEVICE: usize = 1;

function refill(address: u64, access: u32, tag: u32, below: u64): usize {
  beginWalk(address, access, below, tag);
  let result = walkInForce(address, access, below);
  if (result != WALK_OK && cachesUsed()) {
    dropContext(tag >> 16, i32(tag & 0xffff));
    if (below != 0) dropEptRoot(below);
    forbidCaches();
    result = walkInForce(address, access, below);
  }
  const violated = g64(W_ERROR);
  endWalk(result);
  spent();
  if (result == WALK_OK) return insert(address, tag, below);
  if ((access & KIND) != FETCH && result == WALK_VIOLATION && g32(W_FINAL) != 0 && namedByGuest(g64(W_GUEST))) return DEVICE;
  if (result == WALK_PAGE_FAULT) {
    const device = (access & KIND) != FETCH ? namedByLinear(address) : ~u64(0);
    if (device != ~u64(0)) {
      s64(W_GUEST, device);
      return DEVICE;
    }
    raise(14, u32(violated), true);
    s64(X_ADDRESS, address);
    return 0;
  }
  leave(result == WALK_MISCONFIGURATION ? 49 : 48, result == WALK_MISCONFIGURATION ? 0 : violated, 0);
  s64(E_PHYSICAL, g64(W_GUEST));
  s64(E_LINEAR, address);
  return 0;
}

function formatInForce(): u32 {
  if ((g64(EFER) & EFER_LMA) != 0) return FORMAT_LONG;
  if ((g64(CR0) & CR0_PG) == 0) return FORMAT_NONE;
  return feature4(CR4_PAE) ? FORMAT_PAE : FORMAT_32;
}

function walkInForce(address: u64, access: u32, below: u64): u32 {
  return walk(formatInForce(), g64(CR3), address, access, below);
}

function insert(address: u64, tag: u32, below: u64): usize {
  const shift = g32(W_SHIFT);
  const mask = (u64(1) << u64(shift)) - 1;
  let at = setOf(address, shift);
  let victim = at;
  for (let way: u32 = 0; way < g32(TLB_WAYS); way++, at += TLB_ENTRY_SIZE) {
    if (load<u64>(at) == 0) {
      victim = at;
      break;
    }
    if (load<u64>(at + TLB_USED) < load<u64>(victim + TLB_USED)) victim = at;
  }
  if (load<u64>(victim) != 0) drop(victim);
  s64(victim + TLB_LINEAR, (address & ~mask) | 1);
  s64(victim + TLB_HOST, g64(W_HOST) & ~mask);
  s64(victim + TLB_GUEST, g64(W_GUEST) & ~mask);
  s64(victim + TLB_EPT, below);
  s32(victim + TLB_TAG, tag);
  store<u8>(victim + TLB_SHIFT, u8(shift));
  store<u8>(victim + TLB_RIGHTS, u8(g32(W_RIGHTS)));
  stamp(victim);
  return victim;
}

/** Takes one entry out, and whatever the fast front knows from it. */
function drop(at: usize): void {
  const linear = load<u64>(at) - 1;
  store<u64>(at, 0);
  if (load<u8>(at + TLB_SHIFT) == 12) forget(linear);
  else clearFronts();
}

/** The fast front forgets one page. */
function forget(linear: u64): void {
  let e = FAST + usize((u32(linear >> 12) & (FAST_COUNT - 1)) << 4);
  for (let n = 0; n < FAST_FRONTS; n++, e += FAST_BYTES) {
    if (load<u64>(e) == (linear | 0xfff)) store<u64>(e, 0);
  }
}

/** Nothing is known without asking the TLB: privilege rules, address space or TLB changed. */
export function flushFast(): void {
  clearFronts();
  s64(FETCH_TAG, 0);
}

function clearFronts(): void { memory.fill(FAST, 0, FAST_FRONTS * FAST_BYTES); }

/** No fast write to this page of the host: code was decoded from it. */
export function forgetWrites(pointer: u32): void {
  for (let half = 0; half < 2; half++) {
    let e: usize = FAST + FAST_BYTES + half * 3 * FAST_BYTES;
    for (let n = 0; n < FAST_COUNT; n++, e += 16) {
      if (load<u64>(e) != 0 && load<u32>(e + 8) + u32(load<u64>(e) - 0xfff) == pointer) store<u64>(e, 0);
    }
  }
}

// ---- invalidation (SDM 3A 4.10.4, SDM 3C 29.4.3)

/** Everything. */
export function flushTlb(): void {
  let at: usize = TLB;
  for (let n: u32 = 0; n < g32(TLB_SETS) * g32(TLB_WAYS); n++, at += TLB_ENTRY_SIZE) store<u64>(at, 0);
  dropCaches();
  flushFast();
}

/** Of one VPID and PCID, or of all PCIDs (pcid -1); globals only when asked. */
export function flushContext(vpid: u32, pcid: i32, globals: bool): void {
  dropContext(vpid, pcid);
  let at: usize = TLB;
  for (let n: u32 = 0; n < g32(TLB_SETS) * g32(TLB_WAYS); n++, at += TLB_ENTRY_SIZE) {
    const tag = load<u32>(at + TLB_TAG);
    if ((tag >> 16) != vpid || (pcid >= 0 && (tag & 0xffff) != u32(pcid))) continue;
    if (!globals && (load<u8>(at + TLB_RIGHTS) & RIGHT_GLOBAL) != 0) continue;
    store<u64>(at, 0);
  }
  flushFast();
}

export function flushVpid(vpid: u32): void { flushContext(vpid, -1, true); }

export function flushEpt(eptp: u64): void {
  dropEptRoot(eptp);
  let at: usize = TLB;
  for (let n: u32 = 0; n < g32(TLB_SETS) * g32(TLB_WAYS); n++, at += TLB_ENTRY_SIZE) {
    if (((load<u64>(at + TLB_EPT) ^ eptp) >> 12) == 0) store<u64>(at, 0);
  }
  flushFast();
}

/** INVLPG: every translation of the page under this VPID and PCID, and global ones; all paging-structure caches of the two. */
export function flushPage(address: u64, tag: u32): void {
  dropContext(tag >> 16, i32(tag & 0xffff));
  let at: usize = TLB;
  for (let n: u32 = 0; n < g32(TLB_SETS) * g32(TLB_WAYS); n++, at += TLB_ENTRY_SIZE) {
    if (load<u64>(at) == 0) continue;
    const mask = (u64(1) << u64(load<u8>(at + TLB_SHIFT))) - 1;
    if (load<u64>(at) != ((address & ~mask) | 1)) continue;
    const other = load<u32>(at + TLB_TAG);
    if (other == tag || ((other >> 16) == (tag >> 16) && (load<u8>(at + TLB_RIGHTS) & RIGHT_GLOBAL) != 0)) store<u64>(at, 0);
  }
  flushFast();
}

/** What the loaded state maps a linear address to, without leaving a trace; all ones: nothing. */
export function probe(address: u64, access: u32): u64 {
  if (!canonical(address)) return ~u64(0);
  s32(W_RING, 0);
  // a guest that has just been left is looked at through its own EPT
  const result = walkInForce(address, access, (guest() || g32(VMX_OPERATION) == 0) && (secondary() & ENABLE_EPT) != 0 ? field(EPT_POINTER) : 0);
  return result == WALK_OK ? g64(W_HOST) : ~u64(0);
}
