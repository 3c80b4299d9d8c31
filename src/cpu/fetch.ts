/**
 * From RIP to the block that comes next. The linear page that code runs in is remembered with its place (FETCH_TAG), as a
 * processor's fetch does: the TLB is asked when another page is entered or translations were flushed, not once an instruction.
 * Blocks of one page know each other (B_TAKEN, B_NOT_TAKEN), so a loop within a page runs on without coming here.
 * The 16-bit and limited kinds of code are checked against their segment each time and never linked. Source: SDM 3A 4.10.2, 5.3.
 */
import { CS, FAST_COUNT, HOST, PAGE_BASE, RIP, SEGMENT_LIMIT, SEGMENT_SIZE, SEGMENTS, VOID_READ } from './layout';
import { CODE_BASE, CODE_KIND, CURRENT, FAST_FETCH, FETCH_BIAS, FETCH_TAG, g32, g64, raise, s32, s64, user } from './state';
import { B_FALL, B_HEADER, B_KEY, B_NOT_TAKEN, B_TAKEN, LINK_INDIRECT, LINK_NOT_TAKEN, LINK_TAKEN, R_DISPLACEMENT, R_OFFSET } from './record';
import { BY_USER, FETCH } from './paging';
import { translate } from './memory';
import { blockAt, DEAD } from './blocks';
import { decodeAcross, decodeBlock } from './decode';

const ACROSS: usize = 0xb80;

/** Linear address of the page of RIP, less the base of the code segment. */
@inline export function pageOfRip(): u64 { return ((g64(RIP) + g64(CODE_BASE)) & ~u64(0xfff)) - g64(CODE_BASE); }

/** Where a block that ended leads: RIP. `link` is the next block, or which way it ended. */
export function land(block: usize, last: usize, link: usize): void {
  if (link == LINK_INDIRECT) return;
  if (link == LINK_TAKEN) s64(RIP, g64(PAGE_BASE) + load<u64>(last, R_DISPLACEMENT));
  else if (link == LINK_NOT_TAKEN) s64(RIP, g64(PAGE_BASE) + u64(load<u32>(block, B_FALL)));
  else s64(RIP, g64(PAGE_BASE) + u64(load<u16>(link + B_HEADER, R_OFFSET)));
}

/** The block at RIP after one that ended by `way`; within the same page both remember. 0: fetching failed, `pend` says how. */
export function follow(block: usize, way: usize): usize {
  const from = g64(PAGE_BASE);
  const next = current();
  if (next == 0) return 0;
  const to = pageOfRip();
  s64(PAGE_BASE, to);
  if (way != LINK_INDIRECT && to == from && g32(CODE_KIND) < 2 && load<u64>(next, B_KEY) != DEAD && load<u64>(block, B_KEY) != DEAD) {
    store<u32>(block + (way == LINK_TAKEN ? B_TAKEN : B_NOT_TAKEN), u32(next));
  }
  return next;
}

/** The block at RIP, decoded when need be; 0: fetching failed, `pend` says how. */
export function current(): usize {
  s32(CURRENT, 0);
  if (g32(CODE_KIND) != 0 && !cutPointer()) return 0;
  const address = g32(CODE_KIND) != 0 ? u64(u32(g64(RIP) + g64(CODE_BASE))) : g64(RIP);
  if (g64(FETCH_TAG) != (address | 0xfff) && !enterPage(address)) return 0;
  const pointer: usize = g32(FETCH_BIAS) + u32(address);
  if (pointer < usize(HOST)) return decodeAcross(VOID_READ, 15, u32(address) & 0xfff);
  const hpa = u64(pointer - HOST);
  let made = blockAt(hpa);
  if (made == 0) made = decodeBlock(hpa);
  if (g32(CODE_KIND) > 1 && beyond(made, address)) return lastOfSegment(address, pointer);
  return made != 0 ? made : across(address, pointer);
}

function enterPage(address: u64): bool {
  const e = load<u32>(FAST_FETCH) + ((u32(address >> 12) & (FAST_COUNT - 1)) << 4);
  let bias = load<u32>(e + 8);
  if (load<u64>(e) != (address | 0xfff)) {
    const pointer = fetchPointer(address);
    if (pointer == 0) return false;
    bias = u32(pointer) - u32(address);
  }
  s64(FETCH_TAG, address | 0xfff);
  s32(FETCH_BIAS, bias);
  return true;
}

/** Does the block, or an instruction over two pages, go on behind the limit of the code segment? */
function beyond(block: usize, address: u64): bool {
  const bytes: u64 = block == 0 ? 15 : u64(load<u32>(block, B_FALL) - (u32(address) & 0xfff));
  return g64(RIP) + bytes - 1 > u64(g32(SEGMENTS + CS * SEGMENT_SIZE + SEGMENT_LIMIT));
}

/** One instruction, of the bytes that the code segment still holds; #GP when it does not end within them. */
function lastOfSegment(address: u64, pointer: usize): usize {
  const room = min<u64>(15, u64(g32(SEGMENTS + CS * SEGMENT_SIZE + SEGMENT_LIMIT)) - g64(RIP) + 1);
  const first = min<u32>(u32(room), 4096 - (u32(address) & 0xfff));
  memory.copy(ACROSS, pointer, first);
  let made = decodeAcross(ACROSS, first, u32(address) & 0xfff);
  if (made == 0 && u64(first) < room) {
    const second = fetchPointer((address | 0xfff) + 1);
    if (second == 0) return 0;
    memory.copy(ACROSS + first, second, u32(room) - first);
    made = decodeAcross(ACROSS, u32(room), u32(address) & 0xfff);
  }
  if (made == 0) raise(13, 0, true);
  return made;
}

/** EIP has 32 bits, and must lie within its segment. */
function cutPointer(): bool {
  s64(RIP, u64(load<u32>(RIP)));
  return load<u32>(RIP) <= g32(SEGMENTS + CS * SEGMENT_SIZE + SEGMENT_LIMIT) ? true : raise(13, 0, true);
}

function fetchPointer(address: u64): usize {
  if (u64((i64(address) << 16) >> 16) != address) {
    raise(13, 0, true);
    return 0;
  }
  return translate(address, 1, FETCH | (user() ? BY_USER : 0));
}

/** An instruction over two pages: its bytes are copied together. */
function across(address: u64, pointer: usize): usize {
  const first = 4096 - (u32(address) & 0xfff);
  const second = fetchPointer((address | 0xfff) + 1);
  if (second == 0) return 0;
  memory.copy(ACROSS, pointer, first);
  memory.copy(ACROSS + first, second, 15 - first);
  return decodeAcross(ACROSS, 15, u32(address) & 0xfff);
}
