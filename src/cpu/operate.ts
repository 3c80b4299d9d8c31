/**
 * The operations that programs are made of: two operands, one operand, stack and control. Arithmetic is done in 64 bits whatever
 * the size; storing cuts it, and `lazy` keeps what the flags need.
 */
import { GPR, PAGE_BASE, RIP } from './layout';
import { canonical, CURRENT, g32, g64, gp, PEND, PEND_EXCEPTION, s64, X_VECTOR } from './state';
import { R_DISPLACEMENT, R_IMMEDIATE, R_SIZE } from './record';
import { borrows, carries, cf, lazy } from './flags';
import { commit } from './memory';
import { dst, ea, following, put, read, src, write } from './operand';
import { ADC, ADD, CMP, INC, NEG, NOT, OR, SBB, SUB, TEST, XOR } from './ops';

// ---- two operands
@inline export function compute<T>(kind: i32, a: u64, b: u64): u64 {
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
@inline export function rr<T>(kind: i32, p: usize): void {
  const d = dst(p);
  const r = compute<T>(kind, u64(load<T>(d)), u64(load<T>(src(p))));
  if (kind != CMP && kind != TEST) put<T>(d, r);
}
@inline export function rm<T>(kind: i32, p: usize): bool {
  const m = read(p, ea(p), sizeof<T>());
  if (m == 0) return false;
  const d = dst(p);
  const r = compute<T>(kind, u64(load<T>(d)), u64(load<T>(m)));
  if (kind != CMP) put<T>(d, r);
  return true;
}
@inline export function mr<T>(kind: i32, p: usize): bool {
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
@inline export function loadRegister<T>(p: usize): bool {
  const m = read(p, ea(p), sizeof<T>());
  if (m == 0) return false;
  put<T>(dst(p), u64(load<T>(m)));
  return true;
}
@inline export function storeMemory<T>(p: usize): bool {
  const m = write(p, ea(p), sizeof<T>());
  if (m == 0) return false;
  store<T>(m, load<T>(src(p)));
  commit(m);
  return true;
}
/** From another size: S read, extended, T written. */
@inline export function widen<S, T>(p: usize): void { put<T>(dst(p), u64(load<S>(src(p)))); }
@inline export function widenLoad<S, T>(p: usize): bool {
  const m = read(p, ea(p), sizeof<S>());
  if (m == 0) return false;
  put<T>(dst(p), u64(load<S>(m)));
  return true;
}
@inline export function exchange<T>(p: usize): void {
  const d = dst(p);
  const s = src(p);
  const v = u64(load<T>(d));
  put<T>(d, u64(load<T>(s)));
  put<T>(s, v);
}
@inline export function exchangeMemory<T>(p: usize): bool {
  const m = write(p, ea(p), sizeof<T>());
  if (m == 0) return false;
  const v = u64(load<T>(m));
  store<T>(m, load<T>(dst(p)));
  put<T>(dst(p), v);
  commit(m);
  return true;
}

// ---- one operand
@inline export function change<T>(kind: i32, a: u64): u64 {
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
@inline export function changeRegister<T>(kind: i32, p: usize): void { put<T>(dst(p), change<T>(kind, u64(load<T>(dst(p))))); }
@inline export function changeMemory<T>(kind: i32, p: usize): bool {
  const m = write(p, ea(p), sizeof<T>());
  if (m == 0) return false;
  store<T>(m, <T>(change<T>(kind, u64(load<T>(m)))));
  commit(m);
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
@inline export function push<T>(p: usize, value: T): bool {
  const top = g64(RSP) - sizeof<T>();
  const m = write(p, top, sizeof<T>());
  if (m == 0) return stackFault();
  store<T>(m, value);
  commit(m);
  s64(RSP, top);
  return true;
}
@inline export function pushMemory<T>(p: usize): bool {
  const m = read(p, ea(p), sizeof<T>());
  return m != 0 && push<T>(p, load<T>(m));
}
@inline export function popRegister<T>(p: usize): bool {
  const m = read(p, g64(RSP), sizeof<T>());
  if (m == 0) return stackFault();
  s64(RSP, g64(RSP) + sizeof<T>());
  put<T>(dst(p), u64(load<T>(m)));
  return true;
}
export function popMemory<T>(p: usize): bool {
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
@inline export function call(p: usize): bool { return canonical(g64(PAGE_BASE) + load<u64>(p, R_DISPLACEMENT)) ? push<u64>(p, following(p)) : gp(0); }
/** The return address is in memory by the time the target turns out not to be canonical (measured on recent Intel processors). */
@inline export function callTo(p: usize, target: u64): bool {
  const top = g64(RSP);
  if (!push<u64>(p, following(p))) return false;
  if (!canonical(target)) {
    s64(RSP, top);
    return gp(0);
  }
  s64(RIP, target);
  return true;
}
@inline export function callMemory(p: usize): bool {
  const m = read(p, ea(p), 8);
  return m != 0 && callTo(p, load<u64>(m));
}
@inline export function jumpMemory(p: usize): bool {
  const m = read(p, ea(p), 8);
  return m != 0 && go(load<u64>(m));
}
@inline export function returnNear(p: usize): bool {
  const m = read(p, g64(RSP), 8);
  if (m == 0) return stackFault();
  if (!go(load<u64>(m))) return false;
  s64(RSP, g64(RSP) + 8 + load<u64>(p, R_IMMEDIATE));
  return true;
}
@inline export function setByte(p: usize, value: bool): void { store<u8>(dst(p), u8(value)); }
@inline export function setMemory(p: usize, value: bool): bool {
  const m = write(p, ea(p), 1);
  if (m == 0) return false;
  store<u8>(m, u8(value));
  return true;
}
@inline export function move(p: usize, from: usize, does: bool): void {
  const size = load<u8>(p, R_SIZE);
  const d = dst(p);
  if (size == 3) {
    if (does) store<u64>(d, load<u64>(from));
  } else if (size == 2) store<u64>(d, u64(does ? load<u32>(from) : load<u32>(d)));
  else if (does) store<u16>(d, load<u16>(from));
}
@inline export function moveLoad(p: usize, does: bool): bool {
  const m = read(p, ea(p), 1 << u32(load<u8>(p, R_SIZE)));
  if (m == 0) return false;
  move(p, m, does);
  return true;
}
