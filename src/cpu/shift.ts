/** Shifts, rotations and multiplication into a register. Flags by SDM 2B SAL/SAR/SHL/SHR, RCL/RCR/ROL/ROR; a count of 0 changes none. */
import { R_IMMEDIATE } from './record';
import { cf, extend, lazy, setCarryOverflow, vector } from './flags';
import { commit } from './memory';
import { dst, ea, put, read, src, write } from './operand';
import { RCL, ROL, ROR, SAR, SHL, SHR } from './ops';

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
@inline export function shiftRegister<T>(kind: i32, p: usize): void { put<T>(dst(p), shift<T>(kind, u64(load<T>(dst(p))), load<u8>(src(p)))); }
@inline export function shiftMemory<T>(kind: i32, p: usize): bool {
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
@inline export function multiply<T>(p: usize): void { put<T>(dst(p), product<T>(u64(load<T>(dst(p))), u64(load<T>(src(p))))); }
@inline export function multiplyLoad<T>(p: usize): bool {
  const m = read(p, ea(p), sizeof<T>());
  if (m == 0) return false;
  put<T>(dst(p), product<T>(u64(load<T>(dst(p))), u64(load<T>(m))));
  return true;
}
@inline export function multiplyBy<T>(p: usize): void { put<T>(dst(p), product<T>(u64(load<T>(src(p))), load<u64>(p, R_IMMEDIATE))); }
@inline export function multiplyByLoad<T>(p: usize): bool {
  const m = read(p, ea(p), sizeof<T>());
  if (m == 0) return false;
  put<T>(dst(p), product<T>(u64(load<T>(m)), load<u64>(p, R_IMMEDIATE)));
  return true;
}
