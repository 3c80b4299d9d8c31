/** What `specialise` makes of the commonest operations: near addresses, flags that nothing sees, comparison and jump in one. */
import { R_BASE, R_DISPLACEMENT, R_IMMEDIATE } from './record';
import { borrows, condition, extend, lazy, setCarryOverflow, vector } from './flags';
import { commit } from './memory';
import { dst, put, read, src, write } from './operand';
import { change, compute } from './operate';
import { ADD, AND, CMP, DEC, OR, ROL, SHL, SHR, SUB } from './ops';

/** Address of base and displacement. */
@inline export function near(p: usize): u64 { return load<u64>(load<u16>(p, R_BASE)) + load<u64>(p, R_DISPLACEMENT); }
@inline export function loadNear<S, T>(p: usize): bool {
  const m = read(p, near(p), sizeof<S>());
  if (m == 0) return false;
  put<T>(dst(p), u64(load<S>(m)));
  return true;
}
@inline export function storeNear<T>(p: usize): bool {
  const m = write(p, near(p), sizeof<T>());
  if (m == 0) return false;
  store<T>(m, load<T>(src(p)));
  commit(m);
  return true;
}
@inline export function addNear<T>(p: usize): bool {
  const m = read(p, near(p), sizeof<T>());
  if (m == 0) return false;
  const d = dst(p);
  put<T>(d, compute<T>(ADD, u64(load<T>(d)), u64(load<T>(m))));
  return true;
}
@inline export function compareNear<T>(p: usize): bool {
  const m = read(p, near(p), sizeof<T>());
  if (m != 0) compute<T>(CMP, u64(load<T>(dst(p))), u64(load<T>(m)));
  return m != 0;
}
@inline export function compareNearWith<T>(p: usize): bool {
  const m = read(p, near(p), sizeof<T>());
  if (m != 0) compute<T>(CMP, u64(load<T>(m)), u64(load<T>(src(p))));
  return m != 0;
}
@inline export function quiet<T>(kind: i32, p: usize): void {
  const d = dst(p);
  const a = load<T>(d);
  const b = load<T>(src(p));
  put<T>(d, u64(kind == ADD ? a + b : kind == SUB ? a - b : kind == OR ? a | b : kind == AND ? a & b : a ^ b));
}
@inline function shifted<T>(kind: i32, a: T, count: T): T { return kind == SHL ? <T>(a << count) : kind == SHR ? <T>(a >> count) : <T>(extend<T>(u64(a)) >> i64(count)); }
@inline function countOf<T>(p: usize): T { return <T>(load<u8>(p, R_IMMEDIATE) & (sizeof<T>() * 8 - 1)); }
@inline export function shiftQuietly<T>(kind: i32, p: usize): void {
  const d = dst(p);
  put<T>(d, u64(shifted<T>(kind, load<T>(d), countOf<T>(p))));
}
/** The count is not 0. */
@inline export function shiftBy<T>(kind: i32, p: usize): void {
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
@inline export function rotateBy<T>(kind: i32, p: usize): void {
  const d = dst(p);
  const count = countOf<T>(p);
  const r = kind == ROL ? rotl<T>(load<T>(d), count) : rotr<T>(load<T>(d), count);
  const top = r >> <T>(sizeof<T>() * 8 - 1) != 0;
  if (kind == ROL) setCarryOverflow((r & 1) != 0, top != ((r & 1) != 0));
  else setCarryOverflow(top, top != (((r >> <T>(sizeof<T>() * 8 - 2)) & 1) != 0));
  put<T>(d, u64(r));
}
/** CMP, and what the jump after it asks. */
@inline export function compares<T>(code: i32, p: usize): bool {
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
@inline export function tests<T>(code: i32, p: usize): bool {
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
@inline export function zeroAfter<T>(kind: i32, p: usize): bool {
  const d = dst(p);
  const a = u64(load<T>(d));
  const r = kind == DEC ? change<T>(DEC, a) : compute<T>(kind, a, u64(load<T>(src(p))));
  put<T>(d, r);
  return <T>r == 0;
}
