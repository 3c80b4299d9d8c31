/**
 * Decoded code by host-physical address. A write to a 64-byte line from which instructions were decoded drops the blocks of
 * that page, so self-modifying code is seen at the next instruction. Pages with decoded code have no fast writes: every
 * store to them comes through `codeLineWritten`. When the arena is full everything is dropped and decoding starts afresh.
 */
import { ARENA, ARENA_END, BLOCK_HASH, BLOCK_HASH_COUNT, BLOCKS, CODE_LINES, CYCLES, HOST, MEMORY_BYTES, PAGE_BLOCKS } from './layout';
import { ARENA_TOP, CEILING, CODE_KIND, CURRENT, g32, g64, newEpoch, PATCHED, PATCH_OP, s32, s64 } from './state';
import { B_END, B_HEADER, B_KEY, B_NEXT, B_NOT_TAKEN, B_TAKEN, LINK_NOT_TAKEN, LINK_TAKEN, R_CYCLES, R_FLAGS, R_OP, RECORD, RF_LAST } from './record';
import { STOP } from './ops';
import { forgetWrites } from './memory';

export const DEAD: u64 = ~u64(0);
const LARGEST: u32 = 80 * RECORD + B_HEADER;

@inline function slotOf(hpa: u64): usize {
  return BLOCK_HASH + usize((u32(hpa) ^ (u32(hpa >> 12) * 0x9e5)) & (BLOCK_HASH_COUNT - 1)) * 16;
}

/** The same bytes are other instructions in code of another kind: the kind is in the key's highest byte. */
@inline function keyOf(hpa: u64): u64 { return hpa | (u64(g32(CODE_KIND)) << 56); }

/** The block that starts at a host-physical address, or 0. */
export function blockAt(address: u64): usize {
  const hpa = keyOf(address);
  const at = slotOf(hpa);
  return load<u64>(at) == hpa && load<u32>(at + 8) != 0 ? load<u32>(at + 8) : 0;
}

/** Room for a block, at the arena's top. */
export function newBlock(): usize {
  if (g32(ARENA_TOP) + LARGEST > u32(ARENA_END)) dropAllCode();
  return g32(ARENA_TOP);
}

/** A block is complete: from now on it is found, and its lines are watched. `bytes` of code lie in its page. */
export function keepBlock(block: usize, hpa: u64, bytes: u32): void {
  s32(ARENA_TOP, (load<u32>(block + B_END) + u32(RECORD) + 63) & ~63);
  const page = usize(hpa >> 12);
  store<u64>(block + B_KEY, keyOf(hpa));
  store<u32>(block + B_NEXT, load<u32>(PAGE_BLOCKS + (page << 2)));
  store<u32>(PAGE_BLOCKS + (page << 2), u32(block));
  const at = slotOf(hpa);
  s64(at, keyOf(hpa));
  s32(at + 8, u32(block));
  const lines = CODE_LINES + (page << 3);
  if (load<u64>(lines) == 0) forgetWrites(u32(HOST + (page << 12)));
  store<u64>(lines, load<u64>(lines) | linesOf(hpa, bytes));
  s64(BLOCKS, g64(BLOCKS) + 1);
}

function linesOf(hpa: u64, bytes: u32): u64 {
  const first = u32(hpa >> 6) & 63;
  const last = min<u32>(63, (u32(hpa & 0xfff) + bytes - 1) >> 6);
  return (~u64(0) >> u64(63 - last)) & (~u64(0) << u64(first));
}

/** Were instructions decoded from these bytes of one page? */
export function holdsCode(hpa: u64, bytes: u32): bool { return (load<u64>(CODE_LINES + (usize(hpa >> 12) << 3)) & linesOf(hpa, bytes)) != 0; }

/** Bytes within one page are about to change. */
export function codeLineWritten(hpa: u64, bytes: u32): void {
  if (holdsCode(hpa, bytes)) dropPage(usize(hpa >> 12));
}

function dropPage(page: usize): void {
  let block: usize = load<u32>(PAGE_BLOCKS + (page << 2));
  while (block != 0) {
    const at = slotOf(load<u64>(block + B_KEY));
    if (load<u32>(at + 8) == u32(block)) s32(at + 8, 0);
    store<u64>(block + B_KEY, DEAD);
    store<u32>(block + B_TAKEN, u32(LINK_TAKEN));
    store<u32>(block + B_NOT_TAKEN, u32(LINK_NOT_TAKEN));
    block = load<u32>(block + B_NEXT);
  }
  store<u32>(PAGE_BLOCKS + (page << 2), 0);
  store<u64>(CODE_LINES + (page << 3), 0);
  stopAfterCurrent();
  newEpoch();
}

/** The inner loop comes back after the instruction that executes, by a STOP in the place of the next. */
export function stopAfterCurrent(): void {
  const record: usize = g32(CURRENT);
  if (record == 0 || (load<u8>(record, R_FLAGS) & RF_LAST) != 0) return;
  const next = record + RECORD;
  if (load<u16>(next, R_OP) == u16(STOP)) return;
  s32(PATCHED, u32(next));
  s32(PATCH_OP, load<u16>(next, R_OP));
  store<u16>(next, u16(STOP), R_OP);
}

export function unpatch(): void {
  if (g32(PATCHED) == 0) return;
  store<u16>(g32(PATCHED), u16(g32(PATCH_OP)), R_OP);
  s32(PATCHED, 0);
}

/** Cycles were spent within an instruction: those after it in its block may no longer begin before CEILING. */
export function spent(): void {
  let record: usize = g32(CURRENT);
  if (record == 0 || g64(CYCLES) + 0x10000 <= g64(CEILING)) return;
  while ((load<u8>(record, R_FLAGS) & RF_LAST) == 0) record += RECORD;
  if (g64(CYCLES) + u64(load<u16>(record, R_CYCLES)) >= g64(CEILING)) stopAfterCurrent();
}

/** The host wrote to memory. */
export function dropCode(hpa: u64, bytes: u64): void {
  if (bytes == 0) return;
  const last = min<u64>(hpa + bytes, g64(MEMORY_BYTES)) - 1;
  for (let page = hpa >> 12; page <= last >> 12; page++) {
    if (load<u64>(CODE_LINES + (usize(page) << 3)) != 0) dropPage(usize(page));
  }
}

export function dropAllCode(): void {
  memory.fill(BLOCK_HASH, 0, BLOCK_HASH_COUNT * 16);
  memory.fill(CODE_LINES, 0, usize(g64(MEMORY_BYTES) >> 12) << 3);
  memory.fill(PAGE_BLOCKS, 0, usize(g64(MEMORY_BYTES) >> 12) << 2);
  s32(ARENA_TOP, ARENA);
  newEpoch();
}
