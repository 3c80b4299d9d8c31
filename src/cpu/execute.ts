/**
 * The inner loop: one record after the other, block after block, until the budget ends, something fails, or code was overwritten. Here are the
 * operations that programs are made of; the rest is one call away (`executeRare`). An operation returns nothing when it
 * cannot fail; otherwise it is false when it did not happen, and the loop gives back the record that failed.
 * Arithmetic is done in 64 bits whatever the size; storing cuts it, and `lazy` keeps what the flags need.
 */
import { CYCLES, FAST_COUNT, GPR, INSTRUCTIONS, PAGE_BASE, RIP } from './layout';
import { ATTENTION, canonical, CURRENT, FAST_READ, FAST_WRITE, FOLLOWER, g32, g64, gp, NARROWED, PEND, PEND_EXCEPTION, s32, s64, TIMER, ud, X_VECTOR } from './state';
import {
  B_COUNT, B_CYCLES, B_HEADER, B_NOT_TAKEN, B_TAKEN, LINK_INDIRECT, LINK_NOT_TAKEN, R_BASE, R_DISPLACEMENT, R_DST, R_FLAGS, R_IMMEDIATE, R_INDEX, R_LENGTH, R_OFFSET, R_OP, R_SCALE, R_SEGMENT, R_SIZE,
  R_SRC, RECORD, RF_LAST,
} from './record';
import { borrows, carries, cf, condition, extend, lazy, setCarryOverflow, vector } from './flags';
import { commit, rdSlow, wrSlow } from './memory';
import { follow, land, pageOfRip } from './fetch';
import { executeRare } from './execute-rare';
import { locate } from './legacy';
import { ADC, ADD, AND, CMP, DEC, INC, NEG, NOT, OR, RCL, RCR, ROL, ROR, SAR, SBB, SHL, SHR, SUB, TEST, XOR } from './ops';

/** Blocks until it comes back to look round: compiled code that has got better is taken up then. */
const TURNS: u32 = 0x10000;

/** Linear address of the memory operand. */
@inline export function ea(p: usize): u64 {
  return load<u64>(load<u16>(p, R_BASE)) + (load<u64>(load<u16>(p, R_INDEX)) << u64(load<u8>(p, R_SCALE))) + load<u64>(p, R_DISPLACEMENT) + load<u64>(load<u16>(p, R_SEGMENT));
}
/** As `rd` and `wr`; on the slow way it is noted which record this is. */
@inline function read(p: usize, address: u64, size: u32): usize {
  const e = load<u32>(FAST_READ) + ((u32(address >> 8) & ((FAST_COUNT - 1) << 4)));
  if (load<u64>(e) == ((address + u64(size - 1)) | 0xfff)) return load<u32>(e + 8) + u32(address);
  return readSlow(p, address, size);
}
@inline function write(p: usize, address: u64, size: u32): usize {
  const e = load<u32>(FAST_WRITE) + ((u32(address >> 8) & ((FAST_COUNT - 1) << 4)));
  if (load<u64>(e) == ((address + u64(size - 1)) | 0xfff)) return load<u32>(e + 8) + u32(address);
  return writeSlow(p, address, size);
}
function readSlow(p: usize, address: u64, size: u32): usize {
  store<u32>(CURRENT, u32(p));
  return rdSlow(address, size);
}
function writeSlow(p: usize, address: u64, size: u32): usize {
  store<u32>(CURRENT, u32(p));
  return wrSlow(address, size);
}
@inline function dst(p: usize): usize { return load<u32>(p, R_DST); }
@inline function src(p: usize): usize { return load<u32>(p, R_SRC); }
/** Writing 32 bits of a register clears its upper half. */
@inline export function put<T>(at: usize, value: u64): void {
  if (sizeof<T>() == 4) store<u64>(at, u64(u32(value)));
  else store<T>(at, <T>(value));
}
@inline export function following(p: usize): u64 { return g64(PAGE_BASE) + u64(load<u16>(p, R_OFFSET)) + u64(load<u8>(p, R_LENGTH)); }

// ---- two operands
@inline function compute<T>(kind: i32, a: u64, b: u64): u64 {
  if (kind == ADD || kind == ADC) {
    const r = a + b + (kind == ADC ? u64(cf()) : 0);
    lazy<T>(r, carries(a, b, r));
    return r;
  }
  if (kind == SUB || kind == CMP || kind == SBB) {
    const r = a - b - (kind == SBB ? u64(cf()) : 0);
    lazy<T>(r, borrows(a, b, r));
    return r;
  }
  const r = kind == OR ? a | b : kind == XOR ? a ^ b : a & b;
  lazy<T>(r, 0);
  return r;
}
@inline function rr<T>(kind: i32, p: usize): void {
  const d = dst(p);
  const r = compute<T>(kind, u64(load<T>(d)), u64(load<T>(src(p))));
  if (kind != CMP && kind != TEST) put<T>(d, r);
}
@inline function rm<T>(kind: i32, p: usize): bool {
  const m = read(p, ea(p), sizeof<T>());
  if (m == 0) return false;
  const d = dst(p);
  const r = compute<T>(kind, u64(load<T>(d)), u64(load<T>(m)));
  if (kind != CMP) put<T>(d, r);
  return true;
}
@inline function mr<T>(kind: i32, p: usize): bool {
  const reads = kind == CMP || kind == TEST;
  const m = reads ? read(p, ea(p), sizeof<T>()) : write(p, ea(p), sizeof<T>());
  if (m == 0) return false;
  const r = compute<T>(kind, u64(load<T>(m)), u64(load<T>(src(p))));
  if (!reads) {
    store<T>(m, <T>(r));
    commit(m);
  }
  return true;
}
@inline function loadRegister<T>(p: usize): bool {
  const m = read(p, ea(p), sizeof<T>());
  if (m == 0) return false;
  put<T>(dst(p), u64(load<T>(m)));
  return true;
}
@inline function storeMemory<T>(p: usize): bool {
  const m = write(p, ea(p), sizeof<T>());
  if (m == 0) return false;
  store<T>(m, load<T>(src(p)));
  commit(m);
  return true;
}
/** From another size: S read, extended, T written. */
@inline function widen<S, T>(p: usize): void { put<T>(dst(p), u64(load<S>(src(p)))); }
@inline function widenLoad<S, T>(p: usize): bool {
  const m = read(p, ea(p), sizeof<S>());
  if (m == 0) return false;
  put<T>(dst(p), u64(load<S>(m)));
  return true;
}
@inline function exchange<T>(p: usize): void {
  const d = dst(p);
  const s = src(p);
  const v = u64(load<T>(d));
  put<T>(d, u64(load<T>(s)));
  put<T>(s, v);
}
@inline function exchangeMemory<T>(p: usize): bool {
  const m = write(p, ea(p), sizeof<T>());
  if (m == 0) return false;
  const v = u64(load<T>(m));
  store<T>(m, load<T>(dst(p)));
  put<T>(dst(p), v);
  commit(m);
  return true;
}

// ---- one operand
@inline function change<T>(kind: i32, a: u64): u64 {
  if (kind == NOT) return ~a;
  if (kind == NEG) {
    const r = 0 - a;
    lazy<T>(r, borrows(0, a, r));
    return r;
  }
  const r = kind == INC ? a + 1 : a - 1;
  let c = kind == INC ? carries(a, 1, r) : borrows(a, 1, r);
  const top = ((c >> (sizeof<T>() * 8 - 1)) & 1) != 0;
  if (top != cf()) c ^= u64(3) << (sizeof<T>() * 8 - 2);
  lazy<T>(r, c);
  return r;
}
@inline function changeRegister<T>(kind: i32, p: usize): void { put<T>(dst(p), change<T>(kind, u64(load<T>(dst(p))))); }
@inline function changeMemory<T>(kind: i32, p: usize): bool {
  const m = write(p, ea(p), sizeof<T>());
  if (m == 0) return false;
  store<T>(m, <T>(change<T>(kind, u64(load<T>(m)))));
  commit(m);
  return true;
}

// ---- shifts and rotations: flags by SDM 2B SAL/SAR/SHL/SHR, RCL/RCR/ROL/ROR; count 0 changes none
function shift<T>(kind: i32, a: u64, counted: u32): u64 {
  const bits: u32 = sizeof<T>() * 8;
  const count: u64 = counted & (bits == 64 ? 63 : 31);
  if (count == 0) return a;
  const top: u64 = bits - 1;
  if (kind == SHL) {
    const r = a << count;
    const carry = count <= bits && ((a >> (bits - count)) & 1) != 0;
    lazy<T>(r, vector<T>(carry, carry != (((r >> top) & 1) != 0)));
    return r;
  }
  if (kind == SHR) {
    const r = a >> count;
    lazy<T>(r, vector<T>(((a >> (count - 1)) & 1) != 0, ((a >> top) & 1) != 0));
    return r;
  }
  if (kind == SAR) {
    const s = extend<T>(a);
    const r = u64(s >> i64(count));
    lazy<T>(r, vector<T>(((s >> i64(count - 1)) & 1) != 0, false));
    return r;
  }
  return rotate<T>(kind, a, count);
}
function rotate<T>(kind: i32, a: u64, count: u64): u64 {
  const bits: u64 = sizeof<T>() * 8;
  const top: u64 = bits - 1;
  let r = a;
  if (kind == ROL) {
    const n = count & top;
    if (n != 0) r = u64(<T>(a << n)) | (a >> (bits - n));
    const carry = (r & 1) != 0;
    setCarryOverflow(carry, carry != (((r >> top) & 1) != 0));
    return r;
  }
  if (kind == ROR) {
    const n = count & top;
    if (n != 0) r = u64(<T>(a << (bits - n))) | (a >> n);
    const high = (r >> top) & 1;
    setCarryOverflow(high != 0, high != ((r >> (top - 1)) & 1));
    return r;
  }
  let carry = u64(cf());
  const n = bits < 32 ? count % (bits + 1) : count;
  for (let i: u64 = 0; i < n; i++) {
    if (kind == RCL) {
      const out = (r >> top) & 1;
      r = u64(<T>(r << 1)) | carry;
      carry = out;
    } else {
      const out = r & 1;
      r = (r >> 1) | (carry << top);
      carry = out;
    }
  }
  const high = (r >> top) & 1;
  const overflow = kind == RCL ? high != carry : high != ((r >> (top - 1)) & 1);
  setCarryOverflow(carry != 0, overflow);
  return r;
}
@inline function shiftRegister<T>(kind: i32, p: usize): void { put<T>(dst(p), shift<T>(kind, u64(load<T>(dst(p))), load<u8>(src(p)))); }
@inline function shiftMemory<T>(kind: i32, p: usize): bool {
  const m = write(p, ea(p), sizeof<T>());
  if (m == 0) return false;
  store<T>(m, <T>(shift<T>(kind, u64(load<T>(m)), load<u8>(src(p)))));
  commit(m);
  return true;
}

// ---- multiplication into a register
function product<T>(a: u64, b: u64): u64 {
  const x = extend<T>(a);
  const y = extend<T>(b);
  const r = u64(x * y);
  let overflow: bool;
  if (sizeof<T>() == 8) overflow = highSigned(x, y) != (i64(r) >> 63);
  else overflow = extend<T>(r) != i64(r);
  lazy<T>(r, vector<T>(overflow, overflow));
  return r;
}
export function highUnsigned(a: u64, b: u64): u64 {
  const al = a & 0xffffffff;
  const ah = a >> 32;
  const bl = b & 0xffffffff;
  const bh = b >> 32;
  const middle = ah * bl + ((al * bl) >> 32);
  const other = al * bh + (middle & 0xffffffff);
  return ah * bh + (middle >> 32) + (other >> 32);
}
export function highSigned(a: i64, b: i64): i64 { return i64(highUnsigned(u64(a), u64(b))) - (a < 0 ? b : 0) - (b < 0 ? a : 0); }
@inline function multiply<T>(p: usize): void { put<T>(dst(p), product<T>(u64(load<T>(dst(p))), u64(load<T>(src(p))))); }
@inline function multiplyLoad<T>(p: usize): bool {
  const m = read(p, ea(p), sizeof<T>());
  if (m == 0) return false;
  put<T>(dst(p), product<T>(u64(load<T>(dst(p))), u64(load<T>(m))));
  return true;
}
@inline function multiplyBy<T>(p: usize): void { put<T>(dst(p), product<T>(u64(load<T>(src(p))), load<u64>(p, R_IMMEDIATE))); }
@inline function multiplyByLoad<T>(p: usize): bool {
  const m = read(p, ea(p), sizeof<T>());
  if (m == 0) return false;
  put<T>(dst(p), product<T>(u64(load<T>(m)), load<u64>(p, R_IMMEDIATE)));
  return true;
}

// ---- stack and control
const RSP: usize = GPR + 32;
/** An address that is not canonical is #SS for the stack. */
function stackFault(): bool {
  if (load<u32>(PEND) == PEND_EXCEPTION && load<u32>(X_VECTOR) == 13) store<u32>(X_VECTOR, 12);
  return false;
}
/** For operations outside this loop. */
export function pushValue<T>(value: T): bool { return push<T>(g32(CURRENT), value); }
@inline function push<T>(p: usize, value: T): bool {
  const top = g64(RSP) - sizeof<T>();
  const m = write(p, top, sizeof<T>());
  if (m == 0) return stackFault();
  store<T>(m, value);
  commit(m);
  s64(RSP, top);
  return true;
}
@inline function pushMemory<T>(p: usize): bool {
  const m = read(p, ea(p), sizeof<T>());
  return m != 0 && push<T>(p, load<T>(m));
}
@inline function popRegister<T>(p: usize): bool {
  const m = read(p, g64(RSP), sizeof<T>());
  if (m == 0) return stackFault();
  s64(RSP, g64(RSP) + sizeof<T>());
  put<T>(dst(p), u64(load<T>(m)));
  return true;
}
function popMemory<T>(p: usize): bool {
  const m = read(p, g64(RSP), sizeof<T>());
  if (m == 0) return stackFault();
  const value = load<T>(m);
  s64(RSP, g64(RSP) + sizeof<T>());
  const to = write(p, ea(p), sizeof<T>());
  if (to == 0) {
    s64(RSP, g64(RSP) - sizeof<T>());
    return false;
  }
  store<T>(to, value);
  commit(to);
  return true;
}
@inline export function go(target: u64): bool {
  if (!canonical(target)) return gp(0);
  s64(RIP, target);
  return true;
}
@inline function call(p: usize): bool { return canonical(g64(PAGE_BASE) + load<u64>(p, R_DISPLACEMENT)) ? push<u64>(p, following(p)) : gp(0); }
@inline function callTo(p: usize, target: u64): bool {
  if (!canonical(target)) return gp(0);
  if (!push<u64>(p, following(p))) return false;
  s64(RIP, target);
  return true;
}
@inline function callMemory(p: usize): bool {
  const m = read(p, ea(p), 8);
  return m != 0 && callTo(p, load<u64>(m));
}
@inline function jumpMemory(p: usize): bool {
  const m = read(p, ea(p), 8);
  return m != 0 && go(load<u64>(m));
}
@inline function returnNear(p: usize): bool {
  const m = read(p, g64(RSP), 8);
  if (m == 0) return stackFault();
  if (!go(load<u64>(m))) return false;
  s64(RSP, g64(RSP) + 8 + load<u64>(p, R_IMMEDIATE));
  return true;
}
@inline function setByte(p: usize, value: bool): void { store<u8>(dst(p), u8(value)); }
@inline function setMemory(p: usize, value: bool): bool {
  const m = write(p, ea(p), 1);
  if (m == 0) return false;
  store<u8>(m, u8(value));
  return true;
}
@inline function move(p: usize, from: usize, does: bool): void {
  const size = load<u8>(p, R_SIZE);
  const d = dst(p);
  if (size == 3) {
    if (does) store<u64>(d, load<u64>(from));
  } else if (size == 2) store<u64>(d, u64(does ? load<u32>(from) : load<u32>(d)));
  else if (does) store<u16>(d, load<u16>(from));
}
@inline function moveLoad(p: usize, does: bool): bool {
  const m = read(p, ea(p), 1 << u32(load<u8>(p, R_SIZE)));
  if (m == 0) return false;
  move(p, m, does);
  return true;
}

// ---- what `specialise` makes of the above
/** Address of base and displacement. */
@inline function near(p: usize): u64 { return load<u64>(load<u16>(p, R_BASE)) + load<u64>(p, R_DISPLACEMENT); }
@inline function loadNear<S, T>(p: usize): bool {
  const m = read(p, near(p), sizeof<S>());
  if (m == 0) return false;
  put<T>(dst(p), u64(load<S>(m)));
  return true;
}
@inline function storeNear<T>(p: usize): bool {
  const m = write(p, near(p), sizeof<T>());
  if (m == 0) return false;
  store<T>(m, load<T>(src(p)));
  commit(m);
  return true;
}
@inline function addNear<T>(p: usize): bool {
  const m = read(p, near(p), sizeof<T>());
  if (m == 0) return false;
  const d = dst(p);
  put<T>(d, compute<T>(ADD, u64(load<T>(d)), u64(load<T>(m))));
  return true;
}
@inline function compareNear<T>(p: usize): bool {
  const m = read(p, near(p), sizeof<T>());
  if (m != 0) compute<T>(CMP, u64(load<T>(dst(p))), u64(load<T>(m)));
  return m != 0;
}
@inline function compareNearWith<T>(p: usize): bool {
  const m = read(p, near(p), sizeof<T>());
  if (m != 0) compute<T>(CMP, u64(load<T>(m)), u64(load<T>(src(p))));
  return m != 0;
}
@inline function quiet<T>(kind: i32, p: usize): void {
  const d = dst(p);
  const a = load<T>(d);
  const b = load<T>(src(p));
  put<T>(d, u64(kind == ADD ? a + b : kind == SUB ? a - b : kind == OR ? a | b : kind == AND ? a & b : a ^ b));
}
@inline function shifted<T>(kind: i32, a: T, count: T): T { return kind == SHL ? <T>(a << count) : kind == SHR ? <T>(a >> count) : <T>(extend<T>(u64(a)) >> i64(count)); }
@inline function countOf<T>(p: usize): T { return <T>(load<u8>(p, R_IMMEDIATE) & (sizeof<T>() * 8 - 1)); }
@inline function shiftQuietly<T>(kind: i32, p: usize): void {
  const d = dst(p);
  put<T>(d, u64(shifted<T>(kind, load<T>(d), countOf<T>(p))));
}
/** The count is not 0. */
@inline function shiftBy<T>(kind: i32, p: usize): void {
  const d = dst(p);
  const a = load<T>(d);
  const count = countOf<T>(p);
  const top: T = <T>(sizeof<T>() * 8 - 1);
  const r = shifted<T>(kind, a, count);
  const carry = kind == SHL ? ((a >> <T>(top + 1 - count)) & 1) != 0 : ((a >> <T>(count - 1)) & 1) != 0;
  const overflow = kind == SHL ? carry != (r >> top != 0) : kind == SHR ? a >> top != 0 : false;
  lazy<T>(u64(r), vector<T>(carry, overflow));
  put<T>(d, u64(r));
}
@inline function rotateBy<T>(kind: i32, p: usize): void {
  const d = dst(p);
  const count = countOf<T>(p);
  const r = kind == ROL ? rotl<T>(load<T>(d), count) : rotr<T>(load<T>(d), count);
  const top = r >> <T>(sizeof<T>() * 8 - 1) != 0;
  if (kind == ROL) setCarryOverflow((r & 1) != 0, top != ((r & 1) != 0));
  else setCarryOverflow(top, top != (((r >> <T>(sizeof<T>() * 8 - 2)) & 1) != 0));
  put<T>(d, u64(r));
}
/** CMP, and what the jump after it asks. */
@inline function compares<T>(code: i32, p: usize): bool {
  const a = u64(load<T>(dst(p)));
  const b = u64(load<T>(src(p)));
  const r = a - b;
  lazy<T>(r, borrows(a, b, r));
  const negated = (code & 1) != 0;
  switch (code >> 1) {
    case 1: return (a < b) != negated;
    case 2: return (a == b) != negated;
    case 3: return (a <= b) != negated;
    case 4: return (extend<T>(r) < 0) != negated;
    case 6: return (extend<T>(a) < extend<T>(b)) != negated;
    case 7: return (extend<T>(a) <= extend<T>(b)) != negated;
    default: return condition(code);
  }
}
/** TEST, likewise: no carry, no overflow. */
@inline function tests<T>(code: i32, p: usize): bool {
  const r = u64(load<T>(dst(p)) & load<T>(src(p)));
  lazy<T>(r, 0);
  const negated = (code & 1) != 0;
  switch (code >> 1) {
    case 0: case 1: return negated;
    case 2: case 3: return (r == 0) != negated;
    case 4: case 6: return (extend<T>(r) < 0) != negated;
    case 7: return (extend<T>(r) <= 0) != negated;
    default: return condition(code);
  }
}
/** An operation on a register, and whether its result is 0. */
@inline function zeroAfter<T>(kind: i32, p: usize): bool {
  const d = dst(p);
  const a = u64(load<T>(d));
  const r = kind == DEC ? change<T>(DEC, a) : compute<T>(kind, a, u64(load<T>(src(p))));
  put<T>(d, r);
  return <T>r == 0;
}

/** Numbers that no rule makes. */
function impossible(p: usize): usize {
  ud();
  return p;
}

/**
 * Executes from the first record of a block, and on into the blocks that follow as long as they fit the budget (`ceiling` cycles,
 * `most` instructions, both since power-on) and nothing asks for attention. 0: whole blocks were done, FOLLOWER is the one that was
 * not begun, or 0: look again, `pend` may say why. Otherwise the record where it stopped. With a budget of 0 it ends after one block.
 * The labels are FAMILY * 16 + form + size of ops.ts as plain numbers, without gaps, so that the compiler makes one jump table of
 * them; an operation goes on with the next record, a branch leaves the switch and says by `link` where the block leads.
 */
export function execute(first: usize, ceiling: u64, most: u64): usize {
  const timer = g64(TIMER);
  let block = first;
  let link: usize = 0;
  let turns = TURNS;
  let p = first + B_HEADER;
  s64(PAGE_BASE, pageOfRip());
  s32(FOLLOWER, 0);
  while (true) {
    switch (u32(load<u16>(p, R_OP))) {
      case 0x000: rr<u8>(ADD, p); p += RECORD; continue;
      case 0x001: rr<u16>(ADD, p); p += RECORD; continue;
      case 0x002: rr<u32>(ADD, p); p += RECORD; continue;
      case 0x003: rr<u64>(ADD, p); p += RECORD; continue;
      case 0x004: if (!rm<u8>(ADD, p)) return p; p += RECORD; continue;
      case 0x005: if (!rm<u16>(ADD, p)) return p; p += RECORD; continue;
      case 0x006: if (!rm<u32>(ADD, p)) return p; p += RECORD; continue;
      case 0x007: if (!rm<u64>(ADD, p)) return p; p += RECORD; continue;
      case 0x008: if (!mr<u8>(ADD, p)) return p; p += RECORD; continue;
      case 0x009: if (!mr<u16>(ADD, p)) return p; p += RECORD; continue;
      case 0x00a: if (!mr<u32>(ADD, p)) return p; p += RECORD; continue;
      case 0x00b: if (!mr<u64>(ADD, p)) return p; p += RECORD; continue;
      case 0x00c: case 0x00d: case 0x00e: case 0x00f: return impossible(p);
      case 0x010: rr<u8>(OR, p); p += RECORD; continue;
      case 0x011: rr<u16>(OR, p); p += RECORD; continue;
      case 0x012: rr<u32>(OR, p); p += RECORD; continue;
      case 0x013: rr<u64>(OR, p); p += RECORD; continue;
      case 0x014: if (!rm<u8>(OR, p)) return p; p += RECORD; continue;
      case 0x015: if (!rm<u16>(OR, p)) return p; p += RECORD; continue;
      case 0x016: if (!rm<u32>(OR, p)) return p; p += RECORD; continue;
      case 0x017: if (!rm<u64>(OR, p)) return p; p += RECORD; continue;
      case 0x018: if (!mr<u8>(OR, p)) return p; p += RECORD; continue;
      case 0x019: if (!mr<u16>(OR, p)) return p; p += RECORD; continue;
      case 0x01a: if (!mr<u32>(OR, p)) return p; p += RECORD; continue;
      case 0x01b: if (!mr<u64>(OR, p)) return p; p += RECORD; continue;
      case 0x01c: case 0x01d: case 0x01e: case 0x01f: return impossible(p);
      case 0x020: rr<u8>(ADC, p); p += RECORD; continue;
      case 0x021: rr<u16>(ADC, p); p += RECORD; continue;
      case 0x022: rr<u32>(ADC, p); p += RECORD; continue;
      case 0x023: rr<u64>(ADC, p); p += RECORD; continue;
      case 0x024: if (!rm<u8>(ADC, p)) return p; p += RECORD; continue;
      case 0x025: if (!rm<u16>(ADC, p)) return p; p += RECORD; continue;
      case 0x026: if (!rm<u32>(ADC, p)) return p; p += RECORD; continue;
      case 0x027: if (!rm<u64>(ADC, p)) return p; p += RECORD; continue;
      case 0x028: if (!mr<u8>(ADC, p)) return p; p += RECORD; continue;
      case 0x029: if (!mr<u16>(ADC, p)) return p; p += RECORD; continue;
      case 0x02a: if (!mr<u32>(ADC, p)) return p; p += RECORD; continue;
      case 0x02b: if (!mr<u64>(ADC, p)) return p; p += RECORD; continue;
      case 0x02c: case 0x02d: case 0x02e: case 0x02f: return impossible(p);
      case 0x030: rr<u8>(SBB, p); p += RECORD; continue;
      case 0x031: rr<u16>(SBB, p); p += RECORD; continue;
      case 0x032: rr<u32>(SBB, p); p += RECORD; continue;
      case 0x033: rr<u64>(SBB, p); p += RECORD; continue;
      case 0x034: if (!rm<u8>(SBB, p)) return p; p += RECORD; continue;
      case 0x035: if (!rm<u16>(SBB, p)) return p; p += RECORD; continue;
      case 0x036: if (!rm<u32>(SBB, p)) return p; p += RECORD; continue;
      case 0x037: if (!rm<u64>(SBB, p)) return p; p += RECORD; continue;
      case 0x038: if (!mr<u8>(SBB, p)) return p; p += RECORD; continue;
      case 0x039: if (!mr<u16>(SBB, p)) return p; p += RECORD; continue;
      case 0x03a: if (!mr<u32>(SBB, p)) return p; p += RECORD; continue;
      case 0x03b: if (!mr<u64>(SBB, p)) return p; p += RECORD; continue;
      case 0x03c: case 0x03d: case 0x03e: case 0x03f: return impossible(p);
      case 0x040: rr<u8>(AND, p); p += RECORD; continue;
      case 0x041: rr<u16>(AND, p); p += RECORD; continue;
      case 0x042: rr<u32>(AND, p); p += RECORD; continue;
      case 0x043: rr<u64>(AND, p); p += RECORD; continue;
      case 0x044: if (!rm<u8>(AND, p)) return p; p += RECORD; continue;
      case 0x045: if (!rm<u16>(AND, p)) return p; p += RECORD; continue;
      case 0x046: if (!rm<u32>(AND, p)) return p; p += RECORD; continue;
      case 0x047: if (!rm<u64>(AND, p)) return p; p += RECORD; continue;
      case 0x048: if (!mr<u8>(AND, p)) return p; p += RECORD; continue;
      case 0x049: if (!mr<u16>(AND, p)) return p; p += RECORD; continue;
      case 0x04a: if (!mr<u32>(AND, p)) return p; p += RECORD; continue;
      case 0x04b: if (!mr<u64>(AND, p)) return p; p += RECORD; continue;
      case 0x04c: case 0x04d: case 0x04e: case 0x04f: return impossible(p);
      case 0x050: rr<u8>(SUB, p); p += RECORD; continue;
      case 0x051: rr<u16>(SUB, p); p += RECORD; continue;
      case 0x052: rr<u32>(SUB, p); p += RECORD; continue;
      case 0x053: rr<u64>(SUB, p); p += RECORD; continue;
      case 0x054: if (!rm<u8>(SUB, p)) return p; p += RECORD; continue;
      case 0x055: if (!rm<u16>(SUB, p)) return p; p += RECORD; continue;
      case 0x056: if (!rm<u32>(SUB, p)) return p; p += RECORD; continue;
      case 0x057: if (!rm<u64>(SUB, p)) return p; p += RECORD; continue;
      case 0x058: if (!mr<u8>(SUB, p)) return p; p += RECORD; continue;
      case 0x059: if (!mr<u16>(SUB, p)) return p; p += RECORD; continue;
      case 0x05a: if (!mr<u32>(SUB, p)) return p; p += RECORD; continue;
      case 0x05b: if (!mr<u64>(SUB, p)) return p; p += RECORD; continue;
      case 0x05c: case 0x05d: case 0x05e: case 0x05f: return impossible(p);
      case 0x060: rr<u8>(XOR, p); p += RECORD; continue;
      case 0x061: rr<u16>(XOR, p); p += RECORD; continue;
      case 0x062: rr<u32>(XOR, p); p += RECORD; continue;
      case 0x063: rr<u64>(XOR, p); p += RECORD; continue;
      case 0x064: if (!rm<u8>(XOR, p)) return p; p += RECORD; continue;
      case 0x065: if (!rm<u16>(XOR, p)) return p; p += RECORD; continue;
      case 0x066: if (!rm<u32>(XOR, p)) return p; p += RECORD; continue;
      case 0x067: if (!rm<u64>(XOR, p)) return p; p += RECORD; continue;
      case 0x068: if (!mr<u8>(XOR, p)) return p; p += RECORD; continue;
      case 0x069: if (!mr<u16>(XOR, p)) return p; p += RECORD; continue;
      case 0x06a: if (!mr<u32>(XOR, p)) return p; p += RECORD; continue;
      case 0x06b: if (!mr<u64>(XOR, p)) return p; p += RECORD; continue;
      case 0x06c: case 0x06d: case 0x06e: case 0x06f: return impossible(p);
      case 0x070: rr<u8>(CMP, p); p += RECORD; continue;
      case 0x071: rr<u16>(CMP, p); p += RECORD; continue;
      case 0x072: rr<u32>(CMP, p); p += RECORD; continue;
      case 0x073: rr<u64>(CMP, p); p += RECORD; continue;
      case 0x074: if (!rm<u8>(CMP, p)) return p; p += RECORD; continue;
      case 0x075: if (!rm<u16>(CMP, p)) return p; p += RECORD; continue;
      case 0x076: if (!rm<u32>(CMP, p)) return p; p += RECORD; continue;
      case 0x077: if (!rm<u64>(CMP, p)) return p; p += RECORD; continue;
      case 0x078: if (!mr<u8>(CMP, p)) return p; p += RECORD; continue;
      case 0x079: if (!mr<u16>(CMP, p)) return p; p += RECORD; continue;
      case 0x07a: if (!mr<u32>(CMP, p)) return p; p += RECORD; continue;
      case 0x07b: if (!mr<u64>(CMP, p)) return p; p += RECORD; continue;
      case 0x07c: case 0x07d: case 0x07e: case 0x07f: return impossible(p);
      case 0x080: rr<u8>(TEST, p); p += RECORD; continue;
      case 0x081: rr<u16>(TEST, p); p += RECORD; continue;
      case 0x082: rr<u32>(TEST, p); p += RECORD; continue;
      case 0x083: rr<u64>(TEST, p); p += RECORD; continue;
      case 0x088: if (!mr<u8>(TEST, p)) return p; p += RECORD; continue;
      case 0x089: if (!mr<u16>(TEST, p)) return p; p += RECORD; continue;
      case 0x08a: if (!mr<u32>(TEST, p)) return p; p += RECORD; continue;
      case 0x08b: if (!mr<u64>(TEST, p)) return p; p += RECORD; continue;
      case 0x084: case 0x085: case 0x086: case 0x087: case 0x08c: case 0x08d: case 0x08e: case 0x08f: return impossible(p);
      case 0x090: put<u8>(dst(p), u64(load<u8>(src(p)))); p += RECORD; continue;
      case 0x091: put<u16>(dst(p), u64(load<u16>(src(p)))); p += RECORD; continue;
      case 0x092: put<u32>(dst(p), u64(load<u32>(src(p)))); p += RECORD; continue;
      case 0x093: put<u64>(dst(p), u64(load<u64>(src(p)))); p += RECORD; continue;
      case 0x094: if (!loadRegister<u8>(p)) return p; p += RECORD; continue;
      case 0x095: if (!loadRegister<u16>(p)) return p; p += RECORD; continue;
      case 0x096: if (!loadRegister<u32>(p)) return p; p += RECORD; continue;
      case 0x097: if (!loadRegister<u64>(p)) return p; p += RECORD; continue;
      case 0x098: if (!storeMemory<u8>(p)) return p; p += RECORD; continue;
      case 0x099: if (!storeMemory<u16>(p)) return p; p += RECORD; continue;
      case 0x09a: if (!storeMemory<u32>(p)) return p; p += RECORD; continue;
      case 0x09b: if (!storeMemory<u64>(p)) return p; p += RECORD; continue;
      case 0x09c: case 0x09d: case 0x09e: case 0x09f: return impossible(p);
      case 0x0a1: put<u16>(dst(p), ea(p) - load<u64>(load<u16>(p, R_SEGMENT))); p += RECORD; continue;
      case 0x0a2: put<u32>(dst(p), ea(p) - load<u64>(load<u16>(p, R_SEGMENT))); p += RECORD; continue;
      case 0x0a3: put<u64>(dst(p), ea(p) - load<u64>(load<u16>(p, R_SEGMENT))); p += RECORD; continue;
      case 0x0a0: case 0x0a4: case 0x0a5: case 0x0a6: case 0x0a7: case 0x0a8: case 0x0a9: case 0x0aa: case 0x0ab: case 0x0ac: case 0x0ad: case 0x0ae: case 0x0af: return impossible(p);
      case 0x0b0: changeRegister<u8>(INC, p); p += RECORD; continue;
      case 0x0b1: changeRegister<u16>(INC, p); p += RECORD; continue;
      case 0x0b2: changeRegister<u32>(INC, p); p += RECORD; continue;
      case 0x0b3: changeRegister<u64>(INC, p); p += RECORD; continue;
      case 0x0b8: if (!changeMemory<u8>(INC, p)) return p; p += RECORD; continue;
      case 0x0b9: if (!changeMemory<u16>(INC, p)) return p; p += RECORD; continue;
      case 0x0ba: if (!changeMemory<u32>(INC, p)) return p; p += RECORD; continue;
      case 0x0bb: if (!changeMemory<u64>(INC, p)) return p; p += RECORD; continue;
      case 0x0b4: case 0x0b5: case 0x0b6: case 0x0b7: case 0x0bc: case 0x0bd: case 0x0be: case 0x0bf: return impossible(p);
      case 0x0c0: changeRegister<u8>(DEC, p); p += RECORD; continue;
      case 0x0c1: changeRegister<u16>(DEC, p); p += RECORD; continue;
      case 0x0c2: changeRegister<u32>(DEC, p); p += RECORD; continue;
      case 0x0c3: changeRegister<u64>(DEC, p); p += RECORD; continue;
      case 0x0c8: if (!changeMemory<u8>(DEC, p)) return p; p += RECORD; continue;
      case 0x0c9: if (!changeMemory<u16>(DEC, p)) return p; p += RECORD; continue;
      case 0x0ca: if (!changeMemory<u32>(DEC, p)) return p; p += RECORD; continue;
      case 0x0cb: if (!changeMemory<u64>(DEC, p)) return p; p += RECORD; continue;
      case 0x0c4: case 0x0c5: case 0x0c6: case 0x0c7: case 0x0cc: case 0x0cd: case 0x0ce: case 0x0cf: return impossible(p);
      case 0x0d0: changeRegister<u8>(NOT, p); p += RECORD; continue;
      case 0x0d1: changeRegister<u16>(NOT, p); p += RECORD; continue;
      case 0x0d2: changeRegister<u32>(NOT, p); p += RECORD; continue;
      case 0x0d3: changeRegister<u64>(NOT, p); p += RECORD; continue;
      case 0x0d8: if (!changeMemory<u8>(NOT, p)) return p; p += RECORD; continue;
      case 0x0d9: if (!changeMemory<u16>(NOT, p)) return p; p += RECORD; continue;
      case 0x0da: if (!changeMemory<u32>(NOT, p)) return p; p += RECORD; continue;
      case 0x0db: if (!changeMemory<u64>(NOT, p)) return p; p += RECORD; continue;
      case 0x0d4: case 0x0d5: case 0x0d6: case 0x0d7: case 0x0dc: case 0x0dd: case 0x0de: case 0x0df: return impossible(p);
      case 0x0e0: changeRegister<u8>(NEG, p); p += RECORD; continue;
      case 0x0e1: changeRegister<u16>(NEG, p); p += RECORD; continue;
      case 0x0e2: changeRegister<u32>(NEG, p); p += RECORD; continue;
      case 0x0e3: changeRegister<u64>(NEG, p); p += RECORD; continue;
      case 0x0e8: if (!changeMemory<u8>(NEG, p)) return p; p += RECORD; continue;
      case 0x0e9: if (!changeMemory<u16>(NEG, p)) return p; p += RECORD; continue;
      case 0x0ea: if (!changeMemory<u32>(NEG, p)) return p; p += RECORD; continue;
      case 0x0eb: if (!changeMemory<u64>(NEG, p)) return p; p += RECORD; continue;
      case 0x0e4: case 0x0e5: case 0x0e6: case 0x0e7: case 0x0ec: case 0x0ed: case 0x0ee: case 0x0ef: return impossible(p);
      case 0x0f0: shiftRegister<u8>(ROL, p); p += RECORD; continue;
      case 0x0f1: shiftRegister<u16>(ROL, p); p += RECORD; continue;
      case 0x0f2: shiftRegister<u32>(ROL, p); p += RECORD; continue;
      case 0x0f3: shiftRegister<u64>(ROL, p); p += RECORD; continue;
      case 0x0f8: if (!shiftMemory<u8>(ROL, p)) return p; p += RECORD; continue;
      case 0x0f9: if (!shiftMemory<u16>(ROL, p)) return p; p += RECORD; continue;
      case 0x0fa: if (!shiftMemory<u32>(ROL, p)) return p; p += RECORD; continue;
      case 0x0fb: if (!shiftMemory<u64>(ROL, p)) return p; p += RECORD; continue;
      case 0x0f4: case 0x0f5: case 0x0f6: case 0x0f7: case 0x0fc: case 0x0fd: case 0x0fe: case 0x0ff: return impossible(p);
      case 0x100: shiftRegister<u8>(ROR, p); p += RECORD; continue;
      case 0x101: shiftRegister<u16>(ROR, p); p += RECORD; continue;
      case 0x102: shiftRegister<u32>(ROR, p); p += RECORD; continue;
      case 0x103: shiftRegister<u64>(ROR, p); p += RECORD; continue;
      case 0x108: if (!shiftMemory<u8>(ROR, p)) return p; p += RECORD; continue;
      case 0x109: if (!shiftMemory<u16>(ROR, p)) return p; p += RECORD; continue;
      case 0x10a: if (!shiftMemory<u32>(ROR, p)) return p; p += RECORD; continue;
      case 0x10b: if (!shiftMemory<u64>(ROR, p)) return p; p += RECORD; continue;
      case 0x104: case 0x105: case 0x106: case 0x107: case 0x10c: case 0x10d: case 0x10e: case 0x10f: return impossible(p);
      case 0x110: shiftRegister<u8>(RCL, p); p += RECORD; continue;
      case 0x111: shiftRegister<u16>(RCL, p); p += RECORD; continue;
      case 0x112: shiftRegister<u32>(RCL, p); p += RECORD; continue;
      case 0x113: shiftRegister<u64>(RCL, p); p += RECORD; continue;
      case 0x118: if (!shiftMemory<u8>(RCL, p)) return p; p += RECORD; continue;
      case 0x119: if (!shiftMemory<u16>(RCL, p)) return p; p += RECORD; continue;
      case 0x11a: if (!shiftMemory<u32>(RCL, p)) return p; p += RECORD; continue;
      case 0x11b: if (!shiftMemory<u64>(RCL, p)) return p; p += RECORD; continue;
      case 0x114: case 0x115: case 0x116: case 0x117: case 0x11c: case 0x11d: case 0x11e: case 0x11f: return impossible(p);
      case 0x120: shiftRegister<u8>(RCR, p); p += RECORD; continue;
      case 0x121: shiftRegister<u16>(RCR, p); p += RECORD; continue;
      case 0x122: shiftRegister<u32>(RCR, p); p += RECORD; continue;
      case 0x123: shiftRegister<u64>(RCR, p); p += RECORD; continue;
      case 0x128: if (!shiftMemory<u8>(RCR, p)) return p; p += RECORD; continue;
      case 0x129: if (!shiftMemory<u16>(RCR, p)) return p; p += RECORD; continue;
      case 0x12a: if (!shiftMemory<u32>(RCR, p)) return p; p += RECORD; continue;
      case 0x12b: if (!shiftMemory<u64>(RCR, p)) return p; p += RECORD; continue;
      case 0x124: case 0x125: case 0x126: case 0x127: case 0x12c: case 0x12d: case 0x12e: case 0x12f: return impossible(p);
      case 0x130: shiftRegister<u8>(SHL, p); p += RECORD; continue;
      case 0x131: shiftRegister<u16>(SHL, p); p += RECORD; continue;
      case 0x132: shiftRegister<u32>(SHL, p); p += RECORD; continue;
      case 0x133: shiftRegister<u64>(SHL, p); p += RECORD; continue;
      case 0x138: if (!shiftMemory<u8>(SHL, p)) return p; p += RECORD; continue;
      case 0x139: if (!shiftMemory<u16>(SHL, p)) return p; p += RECORD; continue;
      case 0x13a: if (!shiftMemory<u32>(SHL, p)) return p; p += RECORD; continue;
      case 0x13b: if (!shiftMemory<u64>(SHL, p)) return p; p += RECORD; continue;
      case 0x134: case 0x135: case 0x136: case 0x137: case 0x13c: case 0x13d: case 0x13e: case 0x13f: return impossible(p);
      case 0x140: shiftRegister<u8>(SHR, p); p += RECORD; continue;
      case 0x141: shiftRegister<u16>(SHR, p); p += RECORD; continue;
      case 0x142: shiftRegister<u32>(SHR, p); p += RECORD; continue;
      case 0x143: shiftRegister<u64>(SHR, p); p += RECORD; continue;
      case 0x148: if (!shiftMemory<u8>(SHR, p)) return p; p += RECORD; continue;
      case 0x149: if (!shiftMemory<u16>(SHR, p)) return p; p += RECORD; continue;
      case 0x14a: if (!shiftMemory<u32>(SHR, p)) return p; p += RECORD; continue;
      case 0x14b: if (!shiftMemory<u64>(SHR, p)) return p; p += RECORD; continue;
      case 0x144: case 0x145: case 0x146: case 0x147: case 0x14c: case 0x14d: case 0x14e: case 0x14f: return impossible(p);
      case 0x150: shiftRegister<u8>(SAR, p); p += RECORD; continue;
      case 0x151: shiftRegister<u16>(SAR, p); p += RECORD; continue;
      case 0x152: shiftRegister<u32>(SAR, p); p += RECORD; continue;
      case 0x153: shiftRegister<u64>(SAR, p); p += RECORD; continue;
      case 0x158: if (!shiftMemory<u8>(SAR, p)) return p; p += RECORD; continue;
      case 0x159: if (!shiftMemory<u16>(SAR, p)) return p; p += RECORD; continue;
      case 0x15a: if (!shiftMemory<u32>(SAR, p)) return p; p += RECORD; continue;
      case 0x15b: if (!shiftMemory<u64>(SAR, p)) return p; p += RECORD; continue;
      case 0x154: case 0x155: case 0x156: case 0x157: case 0x15c: case 0x15d: case 0x15e: case 0x15f: return impossible(p);
      case 0x161: widen<u8, u16>(p); p += RECORD; continue;
      case 0x162: widen<u8, u32>(p); p += RECORD; continue;
      case 0x163: widen<u8, u64>(p); p += RECORD; continue;
      case 0x165: if (!widenLoad<u8, u16>(p)) return p; p += RECORD; continue;
      case 0x166: if (!widenLoad<u8, u32>(p)) return p; p += RECORD; continue;
      case 0x167: if (!widenLoad<u8, u64>(p)) return p; p += RECORD; continue;
      case 0x160: case 0x164: case 0x168: case 0x169: case 0x16a: case 0x16b: case 0x16c: case 0x16d: case 0x16e: case 0x16f: return impossible(p);
      case 0x171: widen<u16, u16>(p); p += RECORD; continue;
      case 0x172: widen<u16, u32>(p); p += RECORD; continue;
      case 0x173: widen<u16, u64>(p); p += RECORD; continue;
      case 0x175: if (!widenLoad<u16, u16>(p)) return p; p += RECORD; continue;
      case 0x176: if (!widenLoad<u16, u32>(p)) return p; p += RECORD; continue;
      case 0x177: if (!widenLoad<u16, u64>(p)) return p; p += RECORD; continue;
      case 0x170: case 0x174: case 0x178: case 0x179: case 0x17a: case 0x17b: case 0x17c: case 0x17d: case 0x17e: case 0x17f: return impossible(p);
      case 0x181: widen<i8, u16>(p); p += RECORD; continue;
      case 0x182: widen<i8, u32>(p); p += RECORD; continue;
      case 0x183: widen<i8, u64>(p); p += RECORD; continue;
      case 0x185: if (!widenLoad<i8, u16>(p)) return p; p += RECORD; continue;
      case 0x186: if (!widenLoad<i8, u32>(p)) return p; p += RECORD; continue;
      case 0x187: if (!widenLoad<i8, u64>(p)) return p; p += RECORD; continue;
      case 0x180: case 0x184: case 0x188: case 0x189: case 0x18a: case 0x18b: case 0x18c: case 0x18d: case 0x18e: case 0x18f: return impossible(p);
      case 0x191: widen<i16, u16>(p); p += RECORD; continue;
      case 0x192: widen<i16, u32>(p); p += RECORD; continue;
      case 0x193: widen<i16, u64>(p); p += RECORD; continue;
      case 0x195: if (!widenLoad<i16, u16>(p)) return p; p += RECORD; continue;
      case 0x196: if (!widenLoad<i16, u32>(p)) return p; p += RECORD; continue;
      case 0x197: if (!widenLoad<i16, u64>(p)) return p; p += RECORD; continue;
      case 0x190: case 0x194: case 0x198: case 0x199: case 0x19a: case 0x19b: case 0x19c: case 0x19d: case 0x19e: case 0x19f: return impossible(p);
      case 0x1a1: widen<i32, u16>(p); p += RECORD; continue;
      case 0x1a2: widen<i32, u32>(p); p += RECORD; continue;
      case 0x1a3: widen<i32, u64>(p); p += RECORD; continue;
      case 0x1a5: if (!widenLoad<i32, u16>(p)) return p; p += RECORD; continue;
      case 0x1a6: if (!widenLoad<i32, u32>(p)) return p; p += RECORD; continue;
      case 0x1a7: if (!widenLoad<i32, u64>(p)) return p; p += RECORD; continue;
      case 0x1a0: case 0x1a4: case 0x1a8: case 0x1a9: case 0x1aa: case 0x1ab: case 0x1ac: case 0x1ad: case 0x1ae: case 0x1af: return impossible(p);
      case 0x1b1: multiply<u16>(p); p += RECORD; continue;
      case 0x1b2: multiply<u32>(p); p += RECORD; continue;
      case 0x1b3: multiply<u64>(p); p += RECORD; continue;
      case 0x1b5: if (!multiplyLoad<u16>(p)) return p; p += RECORD; continue;
      case 0x1b6: if (!multiplyLoad<u32>(p)) return p; p += RECORD; continue;
      case 0x1b7: if (!multiplyLoad<u64>(p)) return p; p += RECORD; continue;
      case 0x1b0: case 0x1b4: case 0x1b8: case 0x1b9: case 0x1ba: case 0x1bb: case 0x1bc: case 0x1bd: case 0x1be: case 0x1bf: return impossible(p);
      case 0x1c1: multiplyBy<u16>(p); p += RECORD; continue;
      case 0x1c2: multiplyBy<u32>(p); p += RECORD; continue;
      case 0x1c3: multiplyBy<u64>(p); p += RECORD; continue;
      case 0x1c5: if (!multiplyByLoad<u16>(p)) return p; p += RECORD; continue;
      case 0x1c6: if (!multiplyByLoad<u32>(p)) return p; p += RECORD; continue;
      case 0x1c7: if (!multiplyByLoad<u64>(p)) return p; p += RECORD; continue;
      case 0x1c0: case 0x1c4: case 0x1c8: case 0x1c9: case 0x1ca: case 0x1cb: case 0x1cc: case 0x1cd: case 0x1ce: case 0x1cf: return impossible(p);
      case 0x1d1: if (!push<u16>(p, load<u16>(src(p)))) return p; p += RECORD; continue;
      case 0x1d3: if (!push<u64>(p, load<u64>(src(p)))) return p; p += RECORD; continue;
      case 0x1d9: if (!pushMemory<u16>(p)) return p; p += RECORD; continue;
      case 0x1db: if (!pushMemory<u64>(p)) return p; p += RECORD; continue;
      case 0x1d0: case 0x1d2: case 0x1d4: case 0x1d5: case 0x1d6: case 0x1d7: case 0x1d8: case 0x1da: case 0x1dc: case 0x1dd: case 0x1de: case 0x1df: return impossible(p);
      case 0x1e1: if (!popRegister<u16>(p)) return p; p += RECORD; continue;
      case 0x1e3: if (!popRegister<u64>(p)) return p; p += RECORD; continue;
      case 0x1e9: if (!popMemory<u16>(p)) return p; p += RECORD; continue;
      case 0x1eb: if (!popMemory<u64>(p)) return p; p += RECORD; continue;
      case 0x1e0: case 0x1e2: case 0x1e4: case 0x1e5: case 0x1e6: case 0x1e7: case 0x1e8: case 0x1ea: case 0x1ec: case 0x1ed: case 0x1ee: case 0x1ef: return impossible(p);
      case 0x1f0: if (condition(0)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x1f1: if (condition(1)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x1f2: if (condition(2)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x1f3: if (condition(3)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x1f4: if (condition(4)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x1f5: if (condition(5)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x1f6: if (condition(6)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x1f7: if (condition(7)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x1f8: if (condition(8)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x1f9: if (condition(9)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x1fa: if (condition(10)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x1fb: if (condition(11)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x1fc: if (condition(12)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x1fd: if (condition(13)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x1fe: if (condition(14)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x1ff: if (condition(15)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x200: setByte(p, condition(0)); p += RECORD; continue;
      case 0x201: setByte(p, condition(1)); p += RECORD; continue;
      case 0x202: setByte(p, condition(2)); p += RECORD; continue;
      case 0x203: setByte(p, condition(3)); p += RECORD; continue;
      case 0x204: setByte(p, condition(4)); p += RECORD; continue;
      case 0x205: setByte(p, condition(5)); p += RECORD; continue;
      case 0x206: setByte(p, condition(6)); p += RECORD; continue;
      case 0x207: setByte(p, condition(7)); p += RECORD; continue;
      case 0x208: setByte(p, condition(8)); p += RECORD; continue;
      case 0x209: setByte(p, condition(9)); p += RECORD; continue;
      case 0x20a: setByte(p, condition(10)); p += RECORD; continue;
      case 0x20b: setByte(p, condition(11)); p += RECORD; continue;
      case 0x20c: setByte(p, condition(12)); p += RECORD; continue;
      case 0x20d: setByte(p, condition(13)); p += RECORD; continue;
      case 0x20e: setByte(p, condition(14)); p += RECORD; continue;
      case 0x20f: setByte(p, condition(15)); p += RECORD; continue;
      case 0x210: if (!setMemory(p, condition(0))) return p; p += RECORD; continue;
      case 0x211: if (!setMemory(p, condition(1))) return p; p += RECORD; continue;
      case 0x212: if (!setMemory(p, condition(2))) return p; p += RECORD; continue;
      case 0x213: if (!setMemory(p, condition(3))) return p; p += RECORD; continue;
      case 0x214: if (!setMemory(p, condition(4))) return p; p += RECORD; continue;
      case 0x215: if (!setMemory(p, condition(5))) return p; p += RECORD; continue;
      case 0x216: if (!setMemory(p, condition(6))) return p; p += RECORD; continue;
      case 0x217: if (!setMemory(p, condition(7))) return p; p += RECORD; continue;
      case 0x218: if (!setMemory(p, condition(8))) return p; p += RECORD; continue;
      case 0x219: if (!setMemory(p, condition(9))) return p; p += RECORD; continue;
      case 0x21a: if (!setMemory(p, condition(10))) return p; p += RECORD; continue;
      case 0x21b: if (!setMemory(p, condition(11))) return p; p += RECORD; continue;
      case 0x21c: if (!setMemory(p, condition(12))) return p; p += RECORD; continue;
      case 0x21d: if (!setMemory(p, condition(13))) return p; p += RECORD; continue;
      case 0x21e: if (!setMemory(p, condition(14))) return p; p += RECORD; continue;
      case 0x21f: if (!setMemory(p, condition(15))) return p; p += RECORD; continue;
      case 0x220: move(p, src(p), condition(0)); p += RECORD; continue;
      case 0x221: move(p, src(p), condition(1)); p += RECORD; continue;
      case 0x222: move(p, src(p), condition(2)); p += RECORD; continue;
      case 0x223: move(p, src(p), condition(3)); p += RECORD; continue;
      case 0x224: move(p, src(p), condition(4)); p += RECORD; continue;
      case 0x225: move(p, src(p), condition(5)); p += RECORD; continue;
      case 0x226: move(p, src(p), condition(6)); p += RECORD; continue;
      case 0x227: move(p, src(p), condition(7)); p += RECORD; continue;
      case 0x228: move(p, src(p), condition(8)); p += RECORD; continue;
      case 0x229: move(p, src(p), condition(9)); p += RECORD; continue;
      case 0x22a: move(p, src(p), condition(10)); p += RECORD; continue;
      case 0x22b: move(p, src(p), condition(11)); p += RECORD; continue;
      case 0x22c: move(p, src(p), condition(12)); p += RECORD; continue;
      case 0x22d: move(p, src(p), condition(13)); p += RECORD; continue;
      case 0x22e: move(p, src(p), condition(14)); p += RECORD; continue;
      case 0x22f: move(p, src(p), condition(15)); p += RECORD; continue;
      case 0x230: if (!moveLoad(p, condition(0))) return p; p += RECORD; continue;
      case 0x231: if (!moveLoad(p, condition(1))) return p; p += RECORD; continue;
      case 0x232: if (!moveLoad(p, condition(2))) return p; p += RECORD; continue;
      case 0x233: if (!moveLoad(p, condition(3))) return p; p += RECORD; continue;
      case 0x234: if (!moveLoad(p, condition(4))) return p; p += RECORD; continue;
      case 0x235: if (!moveLoad(p, condition(5))) return p; p += RECORD; continue;
      case 0x236: if (!moveLoad(p, condition(6))) return p; p += RECORD; continue;
      case 0x237: if (!moveLoad(p, condition(7))) return p; p += RECORD; continue;
      case 0x238: if (!moveLoad(p, condition(8))) return p; p += RECORD; continue;
      case 0x239: if (!moveLoad(p, condition(9))) return p; p += RECORD; continue;
      case 0x23a: if (!moveLoad(p, condition(10))) return p; p += RECORD; continue;
      case 0x23b: if (!moveLoad(p, condition(11))) return p; p += RECORD; continue;
      case 0x23c: if (!moveLoad(p, condition(12))) return p; p += RECORD; continue;
      case 0x23d: if (!moveLoad(p, condition(13))) return p; p += RECORD; continue;
      case 0x23e: if (!moveLoad(p, condition(14))) return p; p += RECORD; continue;
      case 0x23f: if (!moveLoad(p, condition(15))) return p; p += RECORD; continue;
      case 0x243: link = load<u32>(block, B_TAKEN); break;
      case 0x240: case 0x241: case 0x242: case 0x244: case 0x245: case 0x246: case 0x247: case 0x248: case 0x249: case 0x24a: case 0x24b: case 0x24c: case 0x24d: case 0x24e: case 0x24f: return impossible(p);
      case 0x253: if (!go(load<u64>(src(p)))) return p; link = LINK_INDIRECT; break;
      case 0x25b: if (!jumpMemory(p)) return p; link = LINK_INDIRECT; break;
      case 0x250: case 0x251: case 0x252: case 0x254: case 0x255: case 0x256: case 0x257: case 0x258: case 0x259: case 0x25a: case 0x25c: case 0x25d: case 0x25e: case 0x25f: return impossible(p);
      case 0x263: if (!call(p)) return p; link = load<u32>(block, B_TAKEN); break;
      case 0x260: case 0x261: case 0x262: case 0x264: case 0x265: case 0x266: case 0x267: case 0x268: case 0x269: case 0x26a: case 0x26b: case 0x26c: case 0x26d: case 0x26e: case 0x26f: return impossible(p);
      case 0x273: if (!callTo(p, load<u64>(src(p)))) return p; link = LINK_INDIRECT; break;
      case 0x27b: if (!callMemory(p)) return p; link = LINK_INDIRECT; break;
      case 0x270: case 0x271: case 0x272: case 0x274: case 0x275: case 0x276: case 0x277: case 0x278: case 0x279: case 0x27a: case 0x27c: case 0x27d: case 0x27e: case 0x27f: return impossible(p);
      case 0x283: if (!returnNear(p)) return p; link = LINK_INDIRECT; break;
      case 0x280: case 0x281: case 0x282: case 0x284: case 0x285: case 0x286: case 0x287: case 0x288: case 0x289: case 0x28a: case 0x28b: case 0x28c: case 0x28d: case 0x28e: case 0x28f: return impossible(p);
      case 0x290: exchange<u8>(p); p += RECORD; continue;
      case 0x291: exchange<u16>(p); p += RECORD; continue;
      case 0x292: exchange<u32>(p); p += RECORD; continue;
      case 0x293: exchange<u64>(p); p += RECORD; continue;
      case 0x294: if (!exchangeMemory<u8>(p)) return p; p += RECORD; continue;
      case 0x295: if (!exchangeMemory<u16>(p)) return p; p += RECORD; continue;
      case 0x296: if (!exchangeMemory<u32>(p)) return p; p += RECORD; continue;
      case 0x297: if (!exchangeMemory<u64>(p)) return p; p += RECORD; continue;
      case 0x298: case 0x299: case 0x29a: case 0x29b: case 0x29c: case 0x29d: case 0x29e: case 0x29f: return impossible(p);
      case 0x2a1: store<u16>(GPR, u16(load<i8>(GPR))); p += RECORD; continue;
      case 0x2a2: store<u64>(GPR, u64(u32(load<i16>(GPR)))); p += RECORD; continue;
      case 0x2a3: store<i64>(GPR, i64(load<i32>(GPR))); p += RECORD; continue;
      case 0x2a0: case 0x2a4: case 0x2a5: case 0x2a6: case 0x2a7: case 0x2a8: case 0x2a9: case 0x2aa: case 0x2ab: case 0x2ac: case 0x2ad: case 0x2ae: case 0x2af: return impossible(p);
      case 0x2b1: store<u16>(GPR + 16, u16(load<i16>(GPR) >> 15)); p += RECORD; continue;
      case 0x2b2: store<u64>(GPR + 16, u64(u32(load<i32>(GPR) >> 31))); p += RECORD; continue;
      case 0x2b3: store<i64>(GPR + 16, load<i64>(GPR) >> 63); p += RECORD; continue;
      case 0x2b0: case 0x2b4: case 0x2b5: case 0x2b6: case 0x2b7: case 0x2b8: case 0x2b9: case 0x2ba: case 0x2bb: case 0x2bc: case 0x2bd: case 0x2be: case 0x2bf: return impossible(p);
      case 0x2c0: p += RECORD; continue;
      case 0x2c1: case 0x2c2: case 0x2c3: case 0x2c4: case 0x2c5: case 0x2c6: case 0x2c7: case 0x2c8: case 0x2c9: case 0x2ca: case 0x2cb: case 0x2cc: case 0x2cd: case 0x2ce: case 0x2cf: return impossible(p);
      case 0x2d0: s64(NARROWED, u64(u32(ea(p)))); p += RECORD; continue;
      case 0x2d1: if (!locate(p)) return p; p += RECORD; continue;
      case 0x2d2: s64(NARROWED, ea(p) & 0xffff); p += RECORD; continue;
      case 0x2d3: case 0x2d4: case 0x2d5: case 0x2d6: case 0x2d7: case 0x2d8: case 0x2d9: case 0x2da: case 0x2db: case 0x2dc: case 0x2dd: case 0x2de: case 0x2df: return impossible(p);
      case 0x2e0: if (!loadNear<u32, u32>(p)) return p; p += RECORD; continue;
      case 0x2e1: if (!loadNear<u64, u64>(p)) return p; p += RECORD; continue;
      case 0x2e2: if (!storeNear<u32>(p)) return p; p += RECORD; continue;
      case 0x2e3: if (!storeNear<u64>(p)) return p; p += RECORD; continue;
      case 0x2e4: if (!loadNear<u8, u32>(p)) return p; p += RECORD; continue;
      case 0x2e5: if (!loadNear<u16, u32>(p)) return p; p += RECORD; continue;
      case 0x2e6: if (!storeNear<u8>(p)) return p; p += RECORD; continue;
      case 0x2e7: if (!loadNear<i32, u64>(p)) return p; p += RECORD; continue;
      case 0x2e8: if (!addNear<u32>(p)) return p; p += RECORD; continue;
      case 0x2e9: if (!addNear<u64>(p)) return p; p += RECORD; continue;
      case 0x2ea: if (!compareNear<u32>(p)) return p; p += RECORD; continue;
      case 0x2eb: if (!compareNear<u64>(p)) return p; p += RECORD; continue;
      case 0x2ec: if (!compareNearWith<u32>(p)) return p; p += RECORD; continue;
      case 0x2ed: if (!compareNearWith<u64>(p)) return p; p += RECORD; continue;
      case 0x2ee: put<u32>(dst(p), near(p)); p += RECORD; continue;
      case 0x2ef: put<u64>(dst(p), near(p)); p += RECORD; continue;
      case 0x2f0: quiet<u32>(ADD, p); p += RECORD; continue;
      case 0x2f1: quiet<u64>(ADD, p); p += RECORD; continue;
      case 0x2f2: quiet<u32>(OR, p); p += RECORD; continue;
      case 0x2f3: quiet<u64>(OR, p); p += RECORD; continue;
      case 0x2f4: quiet<u32>(AND, p); p += RECORD; continue;
      case 0x2f5: quiet<u64>(AND, p); p += RECORD; continue;
      case 0x2f6: quiet<u32>(SUB, p); p += RECORD; continue;
      case 0x2f7: quiet<u64>(SUB, p); p += RECORD; continue;
      case 0x2f8: quiet<u32>(XOR, p); p += RECORD; continue;
      case 0x2f9: quiet<u64>(XOR, p); p += RECORD; continue;
      case 0x2fa: put<u32>(dst(p), u64(load<u32>(dst(p))) + 1); p += RECORD; continue;
      case 0x2fb: put<u64>(dst(p), u64(load<u64>(dst(p))) + 1); p += RECORD; continue;
      case 0x2fc: put<u32>(dst(p), u64(load<u32>(dst(p))) - 1); p += RECORD; continue;
      case 0x2fd: put<u64>(dst(p), u64(load<u64>(dst(p))) - 1); p += RECORD; continue;
      case 0x300: shiftBy<u32>(SHL, p); p += RECORD; continue;
      case 0x301: shiftBy<u64>(SHL, p); p += RECORD; continue;
      case 0x302: shiftBy<u32>(SHR, p); p += RECORD; continue;
      case 0x303: shiftBy<u64>(SHR, p); p += RECORD; continue;
      case 0x304: shiftBy<u32>(SAR, p); p += RECORD; continue;
      case 0x305: shiftBy<u64>(SAR, p); p += RECORD; continue;
      case 0x306: rotateBy<u32>(ROL, p); p += RECORD; continue;
      case 0x307: rotateBy<u64>(ROL, p); p += RECORD; continue;
      case 0x308: rotateBy<u32>(ROR, p); p += RECORD; continue;
      case 0x309: rotateBy<u64>(ROR, p); p += RECORD; continue;
      case 0x30a: shiftQuietly<u32>(SHL, p); p += RECORD; continue;
      case 0x30b: shiftQuietly<u64>(SHL, p); p += RECORD; continue;
      case 0x30c: shiftQuietly<u32>(SHR, p); p += RECORD; continue;
      case 0x30d: shiftQuietly<u64>(SHR, p); p += RECORD; continue;
      case 0x30e: shiftQuietly<u32>(SAR, p); p += RECORD; continue;
      case 0x30f: shiftQuietly<u64>(SAR, p); p += RECORD; continue;
      case 0x310: if (compares<u8>(0, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x311: if (compares<u8>(1, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x312: if (compares<u8>(2, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x313: if (compares<u8>(3, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x314: if (compares<u8>(4, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x315: if (compares<u8>(5, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x316: if (compares<u8>(6, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x317: if (compares<u8>(7, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x318: if (compares<u8>(8, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x319: if (compares<u8>(9, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x31a: if (compares<u8>(10, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x31b: if (compares<u8>(11, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x31c: if (compares<u8>(12, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x31d: if (compares<u8>(13, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x31e: if (compares<u8>(14, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x31f: if (compares<u8>(15, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x320: if (compares<u16>(0, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x321: if (compares<u16>(1, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x322: if (compares<u16>(2, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x323: if (compares<u16>(3, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x324: if (compares<u16>(4, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x325: if (compares<u16>(5, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x326: if (compares<u16>(6, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x327: if (compares<u16>(7, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x328: if (compares<u16>(8, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x329: if (compares<u16>(9, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x32a: if (compares<u16>(10, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x32b: if (compares<u16>(11, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x32c: if (compares<u16>(12, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x32d: if (compares<u16>(13, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x32e: if (compares<u16>(14, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x32f: if (compares<u16>(15, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x330: if (compares<u32>(0, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x331: if (compares<u32>(1, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x332: if (compares<u32>(2, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x333: if (compares<u32>(3, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x334: if (compares<u32>(4, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x335: if (compares<u32>(5, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x336: if (compares<u32>(6, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x337: if (compares<u32>(7, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x338: if (compares<u32>(8, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x339: if (compares<u32>(9, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x33a: if (compares<u32>(10, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x33b: if (compares<u32>(11, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x33c: if (compares<u32>(12, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x33d: if (compares<u32>(13, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x33e: if (compares<u32>(14, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x33f: if (compares<u32>(15, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x340: if (compares<u64>(0, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x341: if (compares<u64>(1, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x342: if (compares<u64>(2, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x343: if (compares<u64>(3, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x344: if (compares<u64>(4, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x345: if (compares<u64>(5, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x346: if (compares<u64>(6, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x347: if (compares<u64>(7, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x348: if (compares<u64>(8, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x349: if (compares<u64>(9, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x34a: if (compares<u64>(10, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x34b: if (compares<u64>(11, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x34c: if (compares<u64>(12, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x34d: if (compares<u64>(13, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x34e: if (compares<u64>(14, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x34f: if (compares<u64>(15, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x350: if (tests<u8>(0, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x351: if (tests<u8>(1, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x352: if (tests<u8>(2, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x353: if (tests<u8>(3, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x354: if (tests<u8>(4, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x355: if (tests<u8>(5, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x356: if (tests<u8>(6, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x357: if (tests<u8>(7, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x358: if (tests<u8>(8, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x359: if (tests<u8>(9, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x35a: if (tests<u8>(10, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x35b: if (tests<u8>(11, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x35c: if (tests<u8>(12, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x35d: if (tests<u8>(13, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x35e: if (tests<u8>(14, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x35f: if (tests<u8>(15, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x360: if (tests<u16>(0, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x361: if (tests<u16>(1, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x362: if (tests<u16>(2, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x363: if (tests<u16>(3, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x364: if (tests<u16>(4, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x365: if (tests<u16>(5, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x366: if (tests<u16>(6, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x367: if (tests<u16>(7, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x368: if (tests<u16>(8, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x369: if (tests<u16>(9, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x36a: if (tests<u16>(10, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x36b: if (tests<u16>(11, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x36c: if (tests<u16>(12, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x36d: if (tests<u16>(13, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x36e: if (tests<u16>(14, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x36f: if (tests<u16>(15, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x370: if (tests<u32>(0, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x371: if (tests<u32>(1, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x372: if (tests<u32>(2, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x373: if (tests<u32>(3, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x374: if (tests<u32>(4, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x375: if (tests<u32>(5, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x376: if (tests<u32>(6, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x377: if (tests<u32>(7, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x378: if (tests<u32>(8, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x379: if (tests<u32>(9, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x37a: if (tests<u32>(10, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x37b: if (tests<u32>(11, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x37c: if (tests<u32>(12, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x37d: if (tests<u32>(13, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x37e: if (tests<u32>(14, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x37f: if (tests<u32>(15, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x380: if (tests<u64>(0, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x381: if (tests<u64>(1, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x382: if (tests<u64>(2, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x383: if (tests<u64>(3, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x384: if (tests<u64>(4, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x385: if (tests<u64>(5, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x386: if (tests<u64>(6, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x387: if (tests<u64>(7, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x388: if (tests<u64>(8, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x389: if (tests<u64>(9, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x38a: if (tests<u64>(10, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x38b: if (tests<u64>(11, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x38c: if (tests<u64>(12, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x38d: if (tests<u64>(13, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x38e: if (tests<u64>(14, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x38f: if (tests<u64>(15, p)) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x390: if (zeroAfter<u32>(DEC, p) != false) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x391: if (zeroAfter<u32>(DEC, p) != true) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x392: if (zeroAfter<u64>(DEC, p) != false) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x393: if (zeroAfter<u64>(DEC, p) != true) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x394: if (zeroAfter<u32>(SUB, p) != false) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x395: if (zeroAfter<u32>(SUB, p) != true) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x396: if (zeroAfter<u64>(SUB, p) != false) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x397: if (zeroAfter<u64>(SUB, p) != true) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x398: if (zeroAfter<u32>(ADD, p) != false) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x399: if (zeroAfter<u32>(ADD, p) != true) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x39a: if (zeroAfter<u64>(ADD, p) != false) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x39b: if (zeroAfter<u64>(ADD, p) != true) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x39c: if (zeroAfter<u32>(AND, p) != false) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x39d: if (zeroAfter<u32>(AND, p) != true) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x39e: if (zeroAfter<u64>(AND, p) != false) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x39f: if (zeroAfter<u64>(AND, p) != true) link = load<u32>(block, B_TAKEN); else link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x2fe: case 0x2ff: case 0x3a0: case 0x3a1: case 0x3a2: case 0x3a3: case 0x3a4: case 0x3a5: case 0x3a6: case 0x3a7: case 0x3a8: case 0x3a9: case 0x3aa: case 0x3ab: case 0x3ac: case 0x3ad:
      case 0x3ae: case 0x3af: case 0x3b0: case 0x3b1: case 0x3b2: case 0x3b3: case 0x3b4: case 0x3b5: case 0x3b6: case 0x3b7: case 0x3b8: case 0x3b9: case 0x3ba: case 0x3bb: case 0x3bc: case 0x3bd:
      case 0x3be: case 0x3bf: case 0x3c0: case 0x3c1: case 0x3c2: case 0x3c3: case 0x3c4: case 0x3c5: case 0x3c6: case 0x3c7: case 0x3c8: case 0x3c9: case 0x3ca: case 0x3cb: case 0x3cc: case 0x3cd:
      case 0x3ce: case 0x3cf: case 0x3d0: case 0x3d1: case 0x3d2: case 0x3d3: case 0x3d4: case 0x3d5: case 0x3d6: case 0x3d7: case 0x3d8: case 0x3d9: case 0x3da: case 0x3db: case 0x3dc: case 0x3dd:
      case 0x3de: case 0x3df: case 0x3e0: case 0x3e1: case 0x3e2: case 0x3e3: case 0x3e4: case 0x3e5: case 0x3e6: case 0x3e7: case 0x3e8: case 0x3e9: case 0x3ea: case 0x3eb: case 0x3ec: case 0x3ed:
      case 0x3ee: case 0x3ef: return impossible(p);
      case 0x3f0: return p;
      case 0x3f1: link = load<u32>(block, B_NOT_TAKEN); break;
      case 0x3f2: case 0x3f3: case 0x3f4: case 0x3f5: case 0x3f6: case 0x3f7: case 0x3f8: case 0x3f9: case 0x3fa: case 0x3fb: case 0x3fc: case 0x3fd: case 0x3fe: case 0x3ff: return impossible(p);
      default: {
        store<u32>(CURRENT, u32(p));
        if ((load<u8>(p, R_FLAGS) & RF_LAST) == 0) {
          if (!executeRare(p)) return p;
          p += RECORD;
          continue;
        }
        s64(RIP, following(p));
        if (!executeRare(p)) return p;
        link = LINK_INDIRECT;
        if (g32(ATTENTION) != 0 || g64(TIMER) != timer) turns = 1;
      }
    }
    let cycles = g64(CYCLES) + u64(load<u32>(block, B_CYCLES));
    const count = g64(INSTRUCTIONS) + u64(load<u32>(block, B_COUNT));
    s64(CYCLES, cycles);
    s64(INSTRUCTIONS, count);
    if (--turns == 0) {
      land(block, p, link);
      return 0;
    }
    if (link <= LINK_NOT_TAKEN) {
      land(block, p, link);
      if (cycles >= ceiling || count >= most) return 0;
      link = follow(block, link);
      if (link == 0) return 0;
      cycles = g64(CYCLES);
    }
    if (cycles + u64(load<u32>(link, B_CYCLES)) > ceiling || count + u64(load<u32>(link, B_COUNT)) > most) {
      land(block, p, link);
      s32(FOLLOWER, u32(link));
      return 0;
    }
    block = link;
    p = link + B_HEADER;
  }
}
