/**
 * Code of 16 and 32 bits: protected, compatibility and real mode. A memory operand is worked out by a record of its own
 * (`locate`): offset cut to the address size, checked against its segment, base added, cut to 32 bits; the operation then
 * uses that linear address, so the inner loop is the one of 64-bit code. Stack and branches have operations here.
 * Sources: SDM 3A 3.4, 5.2-5.4; SDM 2 of each instruction; real mode: SDM 3B 21.1.
 * Left out: virtual-8086 mode, task switches.
 */
import { CS, GPR, MODE, MODE_LONG, MODE_REAL, PAGE_BASE, RIP, SEGMENT_LIMIT, SEGMENT_RIGHTS, SEGMENT_SIZE, SEGMENTS, SS } from './layout';
import { F_AF, F_CF, F_OF, g32, g64, gp, NARROWED, raise, s64, ss, trap, ud } from './state';
import { R_DISPLACEMENT, R_DST, R_IMMEDIATE, R_LENGTH, R_OP, R_REG, R_RM, R_SIZE, R_SRC, RECORD } from './record';
import { condition, flags, lazy, setFlagsWhole, setZero } from './flags';
import { commit, rd, wr } from './memory';
import { ea, following } from './operand';
import { pushValue } from './operate';
import { loadSized, putSized, storeSized } from './arithmetic';

const RSP: usize = GPR + 32;

@inline export function legacy(): bool { return g32(MODE) != MODE_LONG; }
@inline export function real(): bool { return g32(MODE) == MODE_REAL; }

// ---- segments

function outside(n: u32): i64 {
  if (n == SS) ss(0);
  else gp(0);
  return -1;
}

/** Linear address of bytes at an offset of a segment; -1: the segment refuses (#GP, #SS). */
export function within(n: u32, offset: u64, bytes: u32, writes: bool): i64 {
  const at = SEGMENTS + n * SEGMENT_SIZE;
  const rights = g32(at + SEGMENT_RIGHTS);
  const limit = u64(g32(at + SEGMENT_LIMIT));
  const last = offset + u64(bytes) - 1;
  if (!real()) {
    if ((rights & 0x10000) != 0) return outside(n);
    if ((rights & 8) != 0 ? writes || (rights & 2) == 0 : writes && (rights & 2) == 0) return outside(n);
  }
  if ((rights & 0xc) == 4) {
    if (offset <= limit || last > ((rights & 0x4000) != 0 ? u64(0xffffffff) : u64(0xffff))) return outside(n);
  } else if (last > limit && limit != 0xffffffff) return outside(n);
  return i64(u64(u32(g64(at) + offset)));
}

/** The operand's linear address goes to NARROWED. R_REG: segment, 8 it is written, 16 offsets of 16 bits; R_RM: bytes, 0 for 512. */
export function locate(p: usize): bool {
  const how: u32 = load<u8>(p, R_REG);
  const offset = ea(p) & ((how & 16) != 0 ? u64(0xffff) : u64(0xffffffff));
  const bytes: u32 = load<u8>(p, R_RM);
  const to = within(how & 7, offset, bytes == 0 ? 512 : bytes, (how & 8) != 0);
  if (to < 0) return false;
  s64(NARROWED, u64(to));
  return true;
}

/**
 * The second part of an operand that is read as two, `first` bytes behind the first one: offsets wrap round at the size of addresses,
 * and each part is checked by itself (far pointers, BOUND; measured on recent Intel processors).
 */
export function behind(p: usize, first: u32, bytes: u32): usize {
  if (!legacy()) return rd(ea(p) + u64(first), bytes);
  const location = p - RECORD;
  const how: u32 = load<u8>(location, R_REG);
  const at = within(how & 7, (ea(location) + u64(first)) & ((how & 16) != 0 ? u64(0xffff) : u64(0xffffffff)), bytes, false);
  return at < 0 ? 0 : rd(u64(at), bytes);
}

/** An operand of a string instruction; in 64-bit mode only the base counts. -1: refused. */
export function operandOf(slot: u32, offset: u64, bytes: u32, writes: bool): i64 {
  return within((slot - SEGMENTS) / SEGMENT_SIZE, offset, bytes, writes);
}

// ---- the stack

@inline function wideStack(): bool { return (g32(SEGMENTS + SS * SEGMENT_SIZE + SEGMENT_RIGHTS) & 0x4000) != 0; }
@inline export function stackMask(): u64 { return wideStack() ? 0xffffffff : 0xffff; }
/** The stack pointer as far as the stack segment has one. */
export function stackTop(): u64 { return legacy() ? g64(RSP) & stackMask() : g64(RSP); }
export function setStackTop(value: u64): void {
  if (!legacy()) s64(RSP, value);
  else if (wideStack()) s64(RSP, u64(u32(value)));
  else store<u16>(RSP, u16(value));
}

/** Pushes 1 << size bytes. */
export function pushSized(size: u32, value: u64): bool {
  if (!legacy()) return size == 3 ? pushValue<u64>(value) : size == 2 ? pushValue<u32>(u32(value)) : pushValue<u16>(u16(value));
  const bytes: u32 = 1 << size;
  const top = (g64(RSP) - u64(bytes)) & stackMask();
  const to = within(SS, top, bytes, true);
  if (to < 0) return false;
  const at = wr(u64(to), bytes);
  if (at == 0) return false;
  storeSized(at, size, value);
  commit(at);
  setStackTop(top);
  return true;
}

/** PUSH of a segment register moves by four bytes and writes two, as processors do since the 486 (SDM 2B PUSH). */
export function pushSelector(selector: u32): bool {
  const top = (g64(RSP) - 4) & stackMask();
  const to = within(SS, top, 4, true);
  if (to < 0) return false;
  const at = wr(u64(to), 2);
  if (at == 0) return false;
  store<u16>(at, u16(selector));
  commit(at);
  setStackTop(top);
  return true;
}

/** Bytes of the stack, `delta` above its top; 0: they cannot be read. */
export function stackAt(delta: u64, bytes: u32): usize {
  if (!legacy()) return rd(g64(RSP) + delta, bytes);
  const from = within(SS, (g64(RSP) + delta) & stackMask(), bytes, false);
  return from < 0 ? 0 : rd(u64(from), bytes);
}
export function stackDrop(bytes: u64): void { setStackTop(stackTop() + bytes); }

export function push(p: usize): bool {
  const size: u32 = load<u8>(p, R_SIZE);
  if ((load<u16>(p, R_OP) & 12) == 0) return pushSized(size, loadSized(load<u32>(p, R_SRC), size));
  const at = rd(ea(p), 1 << size);
  return at != 0 && pushSized(size, loadSized(at, size));
}

export function pop(p: usize): bool {
  const size: u32 = load<u8>(p, R_SIZE);
  const at = stackAt(0, 1 << size);
  if (at == 0) return false;
  const value = loadSized(at, size);
  if ((load<u16>(p, R_OP) & 12) == 0) {
    stackDrop(1 << size);
    putSized(load<u32>(p, R_DST), size, value);
    return true;
  }
  const to = wr(ea(p), 1 << size);
  if (to == 0) return false;
  storeSized(to, size, value);
  commit(to);
  stackDrop(1 << size);
  return true;
}

/** The whole of it is reached before anything is stored. */
export function pushAll(p: usize): bool {
  const size: u32 = load<u8>(p, R_SIZE);
  const before = g64(RSP);
  const top = stackTop();
  for (let n: u32 = 0; n < 8; n++) {
    if (!pushSized(size, n == 4 ? top : loadSized(GPR + n * 8, size))) {
      s64(RSP, before);
      return false;
    }
  }
  return true;
}

export function popAll(p: usize): bool {
  const size: u32 = load<u8>(p, R_SIZE);
  const at = stackAt(0, 8 << size);
  if (at == 0) return false;
  for (let n: u32 = 0; n < 8; n++) {
    if (n != 3) putSized(GPR + (7 - n) * 8, size, loadSized(at + (n << size), size));
  }
  stackDrop(8 << size);
  return true;
}

// ---- branches

/** EIP, or #GP when it lies outside of the code segment. */
export function goTo(target: u64): bool {
  if (target > u64(g32(SEGMENTS + CS * SEGMENT_SIZE + SEGMENT_LIMIT))) return gp(0);
  s64(RIP, target);
  return true;
}
@inline function cut(p: usize, target: u64): u64 { return load<u8>(p, R_SIZE) == 1 ? target & 0xffff : u64(u32(target)); }
@inline function relative(p: usize): u64 { return cut(p, g64(PAGE_BASE) + load<u64>(p, R_DISPLACEMENT)); }

export function jump(p: usize): bool { return goTo(relative(p)); }
export function jumpIf(p: usize): bool { return condition(i32(load<u16>(p, R_OP) & 15)) ? goTo(relative(p)) : true; }
/** Operand of an indirect branch. */
let target: u64 = 0;
function indirect(p: usize): bool {
  const size: u32 = load<u8>(p, R_SIZE);
  const at = (load<u16>(p, R_OP) & 12) == 0 ? usize(load<u32>(p, R_SRC)) : rd(ea(p), 1 << size);
  if (at == 0) return false;
  target = loadSized(at, size);
  return true;
}
export function jumpTo(p: usize): bool { return indirect(p) && goTo(target); }
function callAt(p: usize, to: u64): bool {
  if (to > u64(g32(SEGMENTS + CS * SEGMENT_SIZE + SEGMENT_LIMIT))) return gp(0);
  return pushSized(load<u8>(p, R_SIZE), following(p)) && goTo(to);
}
export function call(p: usize): bool { return callAt(p, relative(p)); }
export function callTo(p: usize): bool { return indirect(p) && callAt(p, target); }
export function returnNear(p: usize): bool {
  const size: u32 = load<u8>(p, R_SIZE);
  const at = stackAt(0, 1 << size);
  if (at == 0) return false;
  if (!goTo(loadSized(at, size))) return false;
  stackDrop((u64(1) << u64(size)) + load<u64>(p, R_IMMEDIATE));
  return true;
}

// ---- decimal adjustment: SF, ZF, PF by the result

function adjusted(carry: bool, adjust: bool): bool {
  const low = u64(load<u8>(GPR));
  lazy<u8>(low, 0);
  const other = flags() & ~(F_CF | F_AF | F_OF);
  setFlagsWhole(other | (carry ? F_CF : 0) | (adjust ? F_AF : 0));
  return true;
}

export function decimal(subtracts: bool): bool {
  const before = flags();
  const old: u32 = load<u8>(GPR);
  let al = old;
  const adjust = (old & 15) > 9 || (before & F_AF) != 0;
  let carry = (before & F_CF) != 0;
  const high = old > 0x99 || carry;
  carry = high;
  if (adjust) {
    al = subtracts ? al - 6 : al + 6;
    if (subtracts && old < 6) carry = true;
  }
  if (high) al = subtracts ? al - 0x60 : al + 0x60;
  store<u8>(GPR, u8(al));
  return adjusted(carry, adjust);
}

export function ascii(subtracts: bool): bool {
  const adjust = (load<u8>(GPR) & 15) > 9 || (flags() & F_AF) != 0;
  if (adjust) store<u16>(GPR, subtracts ? load<u16>(GPR) - 0x106 : load<u16>(GPR) + 0x106);
  store<u8>(GPR, load<u8>(GPR) & 15);
  return adjusted(adjust, adjust);
}

export function asciiMultiply(p: usize): bool {
  const base: u32 = load<u8>(p, R_IMMEDIATE);
  if (base == 0) return raise(0, 0, false);
  const al: u32 = load<u8>(GPR);
  store<u8>(GPR + 1, u8(al / base));
  store<u8>(GPR, u8(al % base));
  return adjusted(false, false);
}

export function asciiDivide(p: usize): bool {
  store<u16>(GPR, u16((u32(load<u8>(GPR)) + u32(load<u8>(GPR + 1)) * u32(load<u8>(p, R_IMMEDIATE))) & 0xff));
  return adjusted(false, false);
}

// ---- the rest

export function bound(p: usize): bool {
  const size: u32 = load<u8>(p, R_SIZE);
  const bytes: u32 = 1 << size;
  let at = rd(ea(p), bytes);
  if (at == 0) return false;
  const low = loadSized(at, size);
  at = behind(p, bytes, bytes);
  if (at == 0) return false;
  const high = loadSized(at, size);
  const index = loadSized(load<u32>(p, R_DST), size);
  const inside = size == 1 ? i16(index) >= i16(low) && i16(index) <= i16(high) : i32(index) >= i32(low) && i32(index) <= i32(high);
  return inside ? true : raise(5, 0, false);
}

export function overflowTrap(p: usize): bool { return (flags() & F_OF) != 0 ? trap(4, 6, load<u8>(p, R_LENGTH)) : true; }

/** ARPL: the destination's RPL becomes at least the source's. */
export function adjustPrivilege(p: usize): bool {
  if (real()) return ud();
  const inMemory = load<u8>(p, R_RM) == 0xff;
  let at = inMemory ? rd(ea(p), 2) : usize(load<u32>(p, R_DST));
  if (at == 0) return false;
  const own = load<u16>(at);
  const wanted = load<u16>(load<u32>(p, R_SRC)) & 3;
  const raises = (own & 3) < wanted;
  if (raises) {
    if (inMemory) at = wr(ea(p), 2);
    if (at == 0) return false;
    store<u16>(at, (own & 0xfffc) | wanted);
    if (inMemory) commit(at);
  }
  setZero(raises);
  return true;
}

export function carryToAl(): bool {
  store<u8>(GPR, (flags() & F_CF) != 0 ? 0xff : 0);
  return true;
}
