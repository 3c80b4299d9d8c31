/**
 * Wide multiplication and division, bit strings, double shifts, bit scans, compare and exchange. Each takes its operand
 * from a register or memory by the record; sizes are a parameter here. Source: SDM 2. Undefined flags are left as they
 * fall; the defined ones are held against a real processor.
 */
import { GPR, RFLAGS } from './layout';
import { F_ARITHMETIC, F_ZF, g64, gp, raise, s64 } from './state';
import { R_DST, R_IMMEDIATE, R_OP, R_SIZE, R_SRC } from './record';
import { borrows, carries, lazy, setCarry, setFlagsWhole, setZero, zf } from './flags';
import { commit, rd, wr } from './memory';
import { ea } from './operand';
import { highSigned, highUnsigned } from './shift';
import { legacy } from './legacy';
import { BT, BTR, BTS, LOAD, STORE } from './ops';

const RAX: usize = GPR;
const RDX: usize = GPR + 16;

export function loadSized(at: usize, size: u32): u64 {
  if (size == 0) return load<u8>(at);
  if (size == 1) return load<u16>(at);
  return size == 2 ? load<u32>(at) : load<u64>(at);
}
export function storeSized(at: usize, size: u32, value: u64): void {
  if (size == 0) store<u8>(at, u8(value));
  else if (size == 1) store<u16>(at, u16(value));
  else if (size == 2) store<u32>(at, u32(value));
  else store<u64>(at, value);
}
export function putSized(at: usize, size: u32, value: u64): void {
  if (size == 2) store<u64>(at, u64(u32(value)));
  else storeSized(at, size, value);
}
export function signSized(value: u64, size: u32): i64 { return size == 0 ? i64(i8(value)) : size == 1 ? i64(i16(value)) : size == 2 ? i64(i32(value)) : i64(value); }
export function lazySized(size: u32, result: u64, carry: u64): void {
  if (size == 0) lazy<u8>(result, carry);
  else if (size == 1) lazy<u16>(result, carry);
  else if (size == 2) lazy<u32>(result, carry);
  else lazy<u64>(result, carry);
}
function flagVector(size: u32, carry: bool, overflow: bool): u64 { return ((u64(carry) << 1) | u64(carry != overflow)) << ((8 << u64(size)) - 2); }

@inline function form(p: usize): u32 { return u32(load<u16>(p, R_OP)) & 12; }
/** The r/m operand for reading; 0: a fault. */
function operandRead(p: usize): usize { return form(p) == 0 ? load<u32>(p, R_SRC) : rd(ea(p), 1 << u32(load<u8>(p, R_SIZE))); }
/** The r/m operand that is the destination. */
export function operandWrite(p: usize): usize { return form(p) == STORE ? wr(ea(p), 1 << u32(load<u8>(p, R_SIZE))) : load<u32>(p, R_DST); }
export function finish(p: usize, at: usize, size: u32, value: u64): void {
  if (form(p) == STORE) {
    storeSized(at, size, value);
    commit(at);
  } else putSized(at, size, value);
}

/** MUL, IMUL with one operand. */
export function multiplyWide(p: usize, withSign: bool): bool {
  const at = operandRead(p);
  if (at == 0) return false;
  const size: u32 = load<u8>(p, R_SIZE);
  const b = loadSized(at, size);
  const a = loadSized(RAX, size);
  let low: u64;
  let high: u64;
  let overflow: bool;
  if (size == 3) {
    low = a * b;
    high = withSign ? u64(highSigned(i64(a), i64(b))) : highUnsigned(a, b);
    overflow = withSign ? i64(high) != i64(low) >> 63 : high != 0;
  } else {
    const bits: u64 = 8 << u64(size);
    const r = withSign ? u64(signSized(a, size) * signSized(b, size)) : a * b;
    low = r;
    high = r >> bits;
    overflow = withSign ? signSized(r, size) != i64(r) : high != 0;
  }
  if (size == 0) store<u16>(RAX, u16(low));
  else {
    putSized(RAX, size, low);
    putSized(RDX, size, high);
  }
  lazySized(size, low, flagVector(size, overflow, overflow));
  return true;
}

/** DIV, IDIV: #DE when the quotient does not fit. */
export function divide(p: usize, withSign: bool): bool {
  const at = operandRead(p);
  if (at == 0) return false;
  const size: u32 = load<u8>(p, R_SIZE);
  const divisor = loadSized(at, size);
  if (divisor == 0) return raise(0, 0, false);
  if (size == 3) return withSign ? divideSigned128(i64(divisor)) : divideUnsigned128(divisor);
  const bits: u64 = 8 << u64(size);
  const whole: u64 = size == 0 ? load<u16>(RAX) : (loadSized(RDX, size) << bits) | loadSized(RAX, size);
  let quotient: u64;
  let remainder: u64;
  if (withSign) {
    const n = signSized(whole, size + 1);
    const d = signSized(divisor, size);
    if (n == i64.MIN_VALUE && d == -1) return raise(0, 0, false);
    const q = n / d;
    if (q != signSized(u64(q), size)) return raise(0, 0, false);
    quotient = u64(q);
    remainder = u64(n % d);
  } else {
    quotient = whole / divisor;
    remainder = whole % divisor;
    if (quotient >> bits != 0) return raise(0, 0, false);
  }
  if (size == 0) store<u16>(RAX, u16((quotient & 0xff) | ((remainder & 0xff) << 8)));
  else {
    putSized(RAX, size, quotient);
    putSized(RDX, size, remainder);
  }
  return true;
}

function divideUnsigned128(divisor: u64): bool {
  if (g64(RDX) >= divisor) return raise(0, 0, false);
  quotient128(g64(RDX), g64(RAX), divisor);
  s64(RAX, quotientLow);
  s64(RDX, remainder64);
  return true;
}

let quotientLow: u64 = 0;
let remainder64: u64 = 0;

/** high:low / divisor with high < divisor, by one bit at a time when it does not fit 64 bits. */
function quotient128(high: u64, low: u64, divisor: u64): void {
  if (high == 0) {
    quotientLow = low / divisor;
    remainder64 = low % divisor;
    return;
  }
  let r = high;
  let q = low;
  for (let n = 0; n < 64; n++) {
    const carry = r >> 63;
    r = (r << 1) | (q >> 63);
    q <<= 1;
    if (carry != 0 || r >= divisor) {
      r -= divisor;
      q |= 1;
    }
  }
  quotientLow = q;
  remainder64 = r;
}

function divideSigned128(divisor: i64): bool {
  let high = g64(RDX);
  let low = g64(RAX);
  const negative = i64(high) < 0;
  if (negative) {
    low = 0 - low;
    high = ~high + u64(low == 0);
  }
  const magnitude = divisor < 0 ? 0 - u64(divisor) : u64(divisor);
  if (high >= magnitude) return raise(0, 0, false);
  quotient128(high, low, magnitude);
  const minus = negative != (divisor < 0);
  if (quotientLow > (minus ? u64(1) << 63 : (u64(1) << 63) - 1)) return raise(0, 0, false);
  s64(RAX, minus ? 0 - quotientLow : quotientLow);
  s64(RDX, negative ? 0 - remainder64 : remainder64);
  return true;
}

/** BT and its changing kin; with a register offset a memory operand is a bit string, any distance away. */
export function bitTest(p: usize, family: u32): bool {
  const size: u32 = load<u8>(p, R_SIZE);
  const bits: u64 = 8 << u64(size);
  const from: usize = load<u32>(p, R_SRC);
  const immediate = from == p + R_IMMEDIATE;
  const offset = immediate ? i64(load<u8>(from)) : signSized(loadSized(from, size), size);
  const bit = u64(offset) & (bits - 1);
  let at: usize = load<u32>(p, R_DST);
  if (form(p) == STORE) {
    let address = ea(p) + (immediate ? 0 : u64((offset >> (3 + size)) << size));
    if (legacy()) address = u64(u32(address));
    at = family == BT ? rd(address, 1 << size) : wr(address, 1 << size);
    if (at == 0) return false;
  }
  const value = loadSized(at, size);
  setCarry(((value >> bit) & 1) != 0);
  if (family == BT) return true;
  const mask = u64(1) << bit;
  finish(p, at, size, family == BTS ? value | mask : family == BTR ? value & ~mask : value ^ mask);
  return true;
}

/** SHLD, SHRD. A count above 16 of a 16-bit operand is undefined. */
export function doubleShift(p: usize, left: bool): bool {
  const size: u32 = load<u8>(p, R_SIZE);
  const fill = loadSized(load<u32>(p, R_SRC), size);
  // the count: an immediate in the code, or CL
  const counted: u64 = load<i64>(p, R_IMMEDIATE) >= 0 ? load<u64>(p, R_IMMEDIATE) : u64(load<u8>(GPR + 8));
  const count = counted & (size == 3 ? 63 : 31);
  const at = operandWrite(p);
  if (at == 0) return false;
  const a = loadSized(at, size);
  if (count == 0) {
    finish(p, at, size, a);
    return true;
  }
  const bits: u64 = 8 << u64(size);
  let r: u64;
  let carry: bool;
  if (size == 1) {
    // three words in a row, as real processors do for counts over 16
    const row = (a << 32) | (fill << 16) | a;
    r = left ? (row << count) >> 32 : row >> count;
    carry = left ? ((row >> (48 - count)) & 1) != 0 : ((row >> (count - 1)) & 1) != 0;
  } else {
    r = left ? (a << count) | (fill >> (bits - count)) : (a >> count) | (fill << (bits - count));
    carry = left ? ((a >> (bits - count)) & 1) != 0 : ((a >> (count - 1)) & 1) != 0;
  }
  const overflow = ((r ^ a) >> (bits - 1)) & 1;
  lazySized(size, r, flagVector(size, carry, overflow != 0));
  finish(p, at, size, r);
  return true;
}

export function scanBits(p: usize, forward: bool): bool {
  const at = form(p) == LOAD ? rd(ea(p), 1 << u32(load<u8>(p, R_SIZE))) : load<u32>(p, R_SRC);
  if (at == 0) return false;
  const size: u32 = load<u8>(p, R_SIZE);
  const value = loadSized(at, size);
  if (value != 0) putSized(load<u32>(p, R_DST), size, forward ? ctz(value) : 63 - clz(value));
  lazy<u64>(value, 0);
  return true;
}

export function countBits(p: usize): bool {
  const at = form(p) == LOAD ? rd(ea(p), 1 << u32(load<u8>(p, R_SIZE))) : load<u32>(p, R_SRC);
  if (at == 0) return false;
  const size: u32 = load<u8>(p, R_SIZE);
  const value = loadSized(at, size);
  putSized(load<u32>(p, R_DST), size, popcnt(value));
  // ZF by the source, every other flag clear
  setFlagsWhole((g64(RFLAGS) & ~F_ARITHMETIC) | (value == 0 ? F_ZF : 0));
  return true;
}

export function byteSwap(p: usize): bool {
  const at: usize = load<u32>(p, R_DST);
  if (load<u8>(p, R_SIZE) == 3) s64(at, bswap<u64>(load<u64>(at)));
  else if (load<u8>(p, R_SIZE) == 2) s64(at, u64(bswap<u32>(load<u32>(at))));
  else store<u16>(at, 0);
  return true;
}

export function compareExchange(p: usize): bool {
  const size: u32 = load<u8>(p, R_SIZE);
  const at = operandWrite(p);
  if (at == 0) return false;
  const old = loadSized(at, size);
  const a = loadSized(RAX, size);
  const r = a - old;
  lazySized(size, r, borrows(a, old, r));
  if (zf()) finish(p, at, size, loadSized(load<u32>(p, R_SRC), size));
  else {
    // the accumulator takes the operand; a register operand keeps its upper half, memory is written with itself
    if (form(p) == STORE) finish(p, at, size, old);
    putSized(RAX, size, old);
  }
  return true;
}

export function exchangeAdd(p: usize): bool {
  const size: u32 = load<u8>(p, R_SIZE);
  const at = operandWrite(p);
  if (at == 0) return false;
  const from: usize = load<u32>(p, R_SRC);
  const a = loadSized(at, size);
  const b = loadSized(from, size);
  const r = a + b;
  lazySized(size, r, carries(a, b, r));
  putSized(from, size, a);
  finish(p, at, size, r);
  return true;
}

/** CMPXCHG8B, CMPXCHG16B: the latter wants 16-byte alignment. Only ZF changes. */
export function compareExchangeWide(p: usize): bool {
  const wide = load<u8>(p, R_SIZE) == 3;
  const address = ea(p);
  if (wide && (address & 15) != 0) return gp(0);
  const at = wr(address, wide ? 16 : 8);
  if (at == 0) return false;
  const size: u32 = wide ? 3 : 2;
  const step: usize = wide ? 8 : 4;
  const low = loadSized(at, size);
  const high = loadSized(at + step, size);
  const same = low == loadSized(RAX, size) && high == loadSized(RDX, size);
  setZero(same);
  if (same) {
    storeSized(at, size, loadSized(GPR + 24, size));
    storeSized(at + step, size, loadSized(GPR + 8, size));
    commit(at);
  } else {
    putSized(RAX, size, low);
    putSized(RDX, size, high);
  }
  return true;
}
