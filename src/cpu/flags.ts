/**
 * Arithmetic flags, lazily. An operation leaves its result (sign-extended), the vector of carries out of every bit, and
 * the number of its top bit; a flag is worked out when somebody asks. CF is the carry out of the top bit, OF differs from
 * it by the carry into the top bit, AF is the carry out of bit 3. When LF_BITS is negative the flags stand in RFLAGS
 * as they are (after POPF, SAHF, IRET, VM entry). Source: SDM 1 3.4.3.1.
 */
import { RFLAGS } from './layout';
import { F_AF, F_ARITHMETIC, F_CF, F_OF, F_PF, F_SF, F_ZF, g64, LF_BITS, LF_CARRY, LF_RESULT, s64 } from './state';

@inline export function lazy<T>(result: u64, carry: u64): void {
  store<i64>(LF_RESULT, extend<T>(result));
  store<u64>(LF_CARRY, carry);
  store<i32>(LF_BITS, sizeof<T>() * 8 - 1);
}

@inline export function extend<T>(value: u64): i64 {
  if (sizeof<T>() == 1) return i64(i8(value));
  if (sizeof<T>() == 2) return i64(i16(value));
  if (sizeof<T>() == 4) return i64(i32(value));
  return i64(value);
}

@inline export function carries(a: u64, b: u64, r: u64): u64 { return (a & b) | ((a | b) & ~r); }
@inline export function borrows(a: u64, b: u64, r: u64): u64 { return (~a & b) | (~(a ^ b) & r); }

@inline export function cf(): bool {
  const bits = load<i32>(LF_BITS);
  if (bits < 0) return (g64(RFLAGS) & F_CF) != 0;
  return ((load<u64>(LF_CARRY) >> u64(bits)) & 1) != 0;
}
@inline export function zf(): bool {
  if (load<i32>(LF_BITS) < 0) return (g64(RFLAGS) & F_ZF) != 0;
  return load<u64>(LF_RESULT) == 0;
}
@inline export function sf(): bool {
  if (load<i32>(LF_BITS) < 0) return (g64(RFLAGS) & F_SF) != 0;
  return load<i64>(LF_RESULT) < 0;
}
@inline export function overflowed(): bool {
  const bits = load<i32>(LF_BITS);
  if (bits < 0) return (g64(RFLAGS) & F_OF) != 0;
  const c = load<u64>(LF_CARRY) >> u64(bits - 1);
  return ((c ^ (c >> 1)) & 1) != 0;
}
export function pf(): bool {
  if (load<i32>(LF_BITS) < 0) return (g64(RFLAGS) & F_PF) != 0;
  return (popcnt<u32>(load<u32>(LF_RESULT) & 0xff) & 1) == 0;
}
export function af(): bool {
  if (load<i32>(LF_BITS) < 0) return (g64(RFLAGS) & F_AF) != 0;
  return (load<u64>(LF_CARRY) & 8) != 0;
}
/** Signed less. */
@inline export function less(): bool { return sf() != overflowed(); }

/** RFLAGS with the arithmetic flags in it; afterwards they stand there. */
export function flags(): u64 {
  if (load<i32>(LF_BITS) < 0) return g64(RFLAGS);
  const value = (g64(RFLAGS) & ~F_ARITHMETIC) | u64(cf()) | (u64(pf()) << 2) | (u64(af()) << 4) | (u64(zf()) << 6) | (u64(sf()) << 7) | (u64(overflowed()) << 11);
  store<i32>(LF_BITS, -1);
  s64(RFLAGS, value);
  return value;
}

/** All of RFLAGS at once. */
export function setFlagsWhole(value: u64): void {
  store<i32>(LF_BITS, -1);
  s64(RFLAGS, (value & 0x3f7fd5) | 2);
}

/** CF alone. */
export function setCarry(value: bool): void {
  const bits = load<i32>(LF_BITS);
  if (bits < 0) {
    s64(RFLAGS, (g64(RFLAGS) & ~F_CF) | u64(value));
    return;
  }
  if (cf() != value) store<u64>(LF_CARRY, load<u64>(LF_CARRY) ^ (u64(3) << u64(bits - 1)));
}

/** CF and OF alone, as rotates do. */
export function setCarryOverflow(carry: bool, overflow: bool): void {
  const bits = load<i32>(LF_BITS);
  if (bits < 0) {
    s64(RFLAGS, (g64(RFLAGS) & ~(F_CF | F_OF)) | u64(carry) | (u64(overflow) << 11));
    return;
  }
  const two = (u64(carry) << 1) | u64(carry != overflow);
  store<u64>(LF_CARRY, (load<u64>(LF_CARRY) & ~(u64(3) << u64(bits - 1))) | (two << u64(bits - 1)));
}

/** ZF alone. */
export function setZero(value: bool): void {
  const now = flags();
  s64(RFLAGS, value ? now | F_ZF : now & ~F_ZF);
}

/** A carry vector for flags known one by one: top bit's carry, overflow. */
@inline export function vector<T>(carry: bool, overflow: bool): u64 {
  return ((u64(carry) << 1) | u64(carry != overflow)) << (sizeof<T>() * 8 - 2);
}

/** Condition code 0..15 (SDM 1 appendix B). */
@inline export function condition(code: u32): bool {
  switch (code >> 1) {
    case 0: return overflowed() != ((code & 1) != 0);
    case 1: return cf() != ((code & 1) != 0);
    case 2: return zf() != ((code & 1) != 0);
    case 3: return (cf() || zf()) != ((code & 1) != 0);
    case 4: return sf() != ((code & 1) != 0);
    case 5: return pf() != ((code & 1) != 0);
    case 6: return less() != ((code & 1) != 0);
    default: return (zf() || less()) != ((code & 1) != 0);
  }
}
