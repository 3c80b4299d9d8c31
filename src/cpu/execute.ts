/**
 * The inner loop: one record after the other until the block ends, something fails, or code was overwritten. Here are the
 * operations that programs are made of; the rest is one call away (`executeRare`). An operation returns nothing when it
 * cannot fail; otherwise it is false when it did not happen, and the loop gives back the record that failed.
 * Arithmetic is done in 64 bits whatever the size; storing cuts it, and `lazy` keeps what the flags need.
 */
import { GPR, PAGE_BASE, RIP } from './layout';
import { EXEC_END, g64, gp, canonical, NARROWED, PEND, PEND_EXCEPTION, s64, X_VECTOR } from './state';
import { R_BASE, R_DISPLACEMENT, R_DST, R_IMMEDIATE, R_INDEX, R_LENGTH, R_OFFSET, R_OP, R_SCALE, R_SEGMENT, R_SIZE, R_SRC, RECORD } from './record';
import { borrows, carries, cf, condition, extend, lazy, setCarryOverflow, vector } from './flags';
import { commit, rd, wr } from './memory';
import { executeRare } from './execute-rare';
import { ADC, ADD, AND, CALL, CALL_TO, CMOV, CMOV_LOAD, CMP, CONVERT_A, CONVERT_D, DEC, IMUL2, IMUL3, INC, JCC, JMP, JMP_TO, LEA, LOAD, MOV, MOVSX16, MOVSX32, MOVSX8, MOVZX16, MOVZX8,
  NARROW, NEG, NOP, NOT, OR, POP, PUSH, RCL, RCR, RET, ROL, ROR, SAR, SBB, SETCC, SETCC_STORE, SHL, SHR, STORE, SUB, TEST, XCHG, XOR } from './ops';

/** Linear address of the memory operand. */
@inline export function ea(p: usize): u64 {
  return load<u64>(load<u16>(p, R_BASE)) + (load<u64>(load<u16>(p, R_INDEX)) << u64(load<u8>(p, R_SCALE))) + load<u64>(p, R_DISPLACEMENT) + load<u64>(load<u16>(p, R_SEGMENT));
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
  const m = rd(ea(p), sizeof<T>());
  if (m == 0) return false;
  const d = dst(p);
  const r = compute<T>(kind, u64(load<T>(d)), u64(load<T>(m)));
  if (kind != CMP) put<T>(d, r);
  return true;
}
@inline function mr<T>(kind: i32, p: usize): bool {
  const reads = kind == CMP || kind == TEST;
  const m = reads ? rd(ea(p), sizeof<T>()) : wr(ea(p), sizeof<T>());
  if (m == 0) return false;
  const r = compute<T>(kind, u64(load<T>(m)), u64(load<T>(src(p))));
  if (!reads) {
    store<T>(m, <T>(r));
    commit(m);
  }
  return true;
}
@inline function loadRegister<T>(p: usize): bool {
  const m = rd(ea(p), sizeof<T>());
  if (m == 0) return false;
  put<T>(dst(p), u64(load<T>(m)));
  return true;
}
@inline function storeMemory<T>(p: usize): bool {
  const m = wr(ea(p), sizeof<T>());
  if (m == 0) return false;
  store<T>(m, load<T>(src(p)));
  commit(m);
  return true;
}
/** From another size: S read, extended, T written. */
@inline function widen<S, T>(p: usize): void { put<T>(dst(p), u64(load<S>(src(p)))); }
@inline function widenLoad<S, T>(p: usize): bool {
  const m = rd(ea(p), sizeof<S>());
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
  const m = wr(ea(p), sizeof<T>());
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
  const m = wr(ea(p), sizeof<T>());
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
  const m = wr(ea(p), sizeof<T>());
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
  const m = rd(ea(p), sizeof<T>());
  if (m == 0) return false;
  put<T>(dst(p), product<T>(u64(load<T>(dst(p))), u64(load<T>(m))));
  return true;
}
@inline function multiplyBy<T>(p: usize): void { put<T>(dst(p), product<T>(u64(load<T>(src(p))), load<u64>(p, R_IMMEDIATE))); }
@inline function multiplyByLoad<T>(p: usize): bool {
  const m = rd(ea(p), sizeof<T>());
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
@inline export function pushValue<T>(value: T): bool {
  const top = g64(RSP) - sizeof<T>();
  const m = wr(top, sizeof<T>());
  if (m == 0) return stackFault();
  store<T>(m, value);
  commit(m);
  s64(RSP, top);
  return true;
}
@inline function pushMemory<T>(p: usize): bool {
  const m = rd(ea(p), sizeof<T>());
  return m != 0 && pushValue<T>(load<T>(m));
}
@inline function popRegister<T>(p: usize): bool {
  const m = rd(g64(RSP), sizeof<T>());
  if (m == 0) return stackFault();
  s64(RSP, g64(RSP) + sizeof<T>());
  put<T>(dst(p), u64(load<T>(m)));
  return true;
}
function popMemory<T>(p: usize): bool {
  const m = rd(g64(RSP), sizeof<T>());
  if (m == 0) return stackFault();
  const value = load<T>(m);
  s64(RSP, g64(RSP) + sizeof<T>());
  const to = wr(ea(p), sizeof<T>());
  if (to == 0) {
    s64(RSP, g64(RSP) - sizeof<T>());
    return false;
  }
  store<T>(to, value);
  commit(to);
  return true;
}
@inline function go(target: u64): bool {
  if (!canonical(target)) return gp(0);
  s64(RIP, target);
  return true;
}
@inline function branch(p: usize): void { s64(RIP, g64(PAGE_BASE) + load<u64>(p, R_DISPLACEMENT)); }
@inline function callTo(p: usize, target: u64): bool {
  if (!canonical(target)) return gp(0);
  if (!pushValue<u64>(following(p))) return false;
  s64(RIP, target);
  return true;
}
@inline function callMemory(p: usize): bool {
  const m = rd(ea(p), 8);
  return m != 0 && callTo(p, load<u64>(m));
}
@inline function jumpMemory(p: usize): bool {
  const m = rd(ea(p), 8);
  return m != 0 && go(load<u64>(m));
}
@inline function returnNear(p: usize): bool {
  const m = rd(g64(RSP), 8);
  if (m == 0) return stackFault();
  if (!go(load<u64>(m))) return false;
  s64(RSP, g64(RSP) + 8 + load<u64>(p, R_IMMEDIATE));
  return true;
}
@inline function setByte(p: usize, value: bool): void { store<u8>(dst(p), u8(value)); }
@inline function setMemory(p: usize, value: bool): bool {
  const m = wr(ea(p), 1);
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
  const m = rd(ea(p), 1 << u32(load<u8>(p, R_SIZE)));
  if (m == 0) return false;
  move(p, m, does);
  return true;
}

/** Executes from a record to EXEC_END; returns the record where it stopped. */
export function execute(from: usize): usize {
  let p = from;
  do {
    switch (u32(load<u16>(p, R_OP))) {
      case ADD * 16: rr<u8>(ADD, p); break;
      case ADD * 16 + LOAD: if (!rm<u8>(ADD, p)) return p; break;
      case ADD * 16 + STORE: if (!mr<u8>(ADD, p)) return p; break;
      case ADD * 16 + 1: rr<u16>(ADD, p); break;
      case ADD * 16 + LOAD + 1: if (!rm<u16>(ADD, p)) return p; break;
      case ADD * 16 + STORE + 1: if (!mr<u16>(ADD, p)) return p; break;
      case ADD * 16 + 2: rr<u32>(ADD, p); break;
      case ADD * 16 + LOAD + 2: if (!rm<u32>(ADD, p)) return p; break;
      case ADD * 16 + STORE + 2: if (!mr<u32>(ADD, p)) return p; break;
      case ADD * 16 + 3: rr<u64>(ADD, p); break;
      case ADD * 16 + LOAD + 3: if (!rm<u64>(ADD, p)) return p; break;
      case ADD * 16 + STORE + 3: if (!mr<u64>(ADD, p)) return p; break;
      case OR * 16: rr<u8>(OR, p); break;
      case OR * 16 + LOAD: if (!rm<u8>(OR, p)) return p; break;
      case OR * 16 + STORE: if (!mr<u8>(OR, p)) return p; break;
      case OR * 16 + 1: rr<u16>(OR, p); break;
      case OR * 16 + LOAD + 1: if (!rm<u16>(OR, p)) return p; break;
      case OR * 16 + STORE + 1: if (!mr<u16>(OR, p)) return p; break;
      case OR * 16 + 2: rr<u32>(OR, p); break;
      case OR * 16 + LOAD + 2: if (!rm<u32>(OR, p)) return p; break;
      case OR * 16 + STORE + 2: if (!mr<u32>(OR, p)) return p; break;
      case OR * 16 + 3: rr<u64>(OR, p); break;
      case OR * 16 + LOAD + 3: if (!rm<u64>(OR, p)) return p; break;
      case OR * 16 + STORE + 3: if (!mr<u64>(OR, p)) return p; break;
      case ADC * 16: rr<u8>(ADC, p); break;
      case ADC * 16 + LOAD: if (!rm<u8>(ADC, p)) return p; break;
      case ADC * 16 + STORE: if (!mr<u8>(ADC, p)) return p; break;
      case ADC * 16 + 1: rr<u16>(ADC, p); break;
      case ADC * 16 + LOAD + 1: if (!rm<u16>(ADC, p)) return p; break;
      case ADC * 16 + STORE + 1: if (!mr<u16>(ADC, p)) return p; break;
      case ADC * 16 + 2: rr<u32>(ADC, p); break;
      case ADC * 16 + LOAD + 2: if (!rm<u32>(ADC, p)) return p; break;
      case ADC * 16 + STORE + 2: if (!mr<u32>(ADC, p)) return p; break;
      case ADC * 16 + 3: rr<u64>(ADC, p); break;
      case ADC * 16 + LOAD + 3: if (!rm<u64>(ADC, p)) return p; break;
      case ADC * 16 + STORE + 3: if (!mr<u64>(ADC, p)) return p; break;
      case SBB * 16: rr<u8>(SBB, p); break;
      case SBB * 16 + LOAD: if (!rm<u8>(SBB, p)) return p; break;
      case SBB * 16 + STORE: if (!mr<u8>(SBB, p)) return p; break;
      case SBB * 16 + 1: rr<u16>(SBB, p); break;
      case SBB * 16 + LOAD + 1: if (!rm<u16>(SBB, p)) return p; break;
      case SBB * 16 + STORE + 1: if (!mr<u16>(SBB, p)) return p; break;
      case SBB * 16 + 2: rr<u32>(SBB, p); break;
      case SBB * 16 + LOAD + 2: if (!rm<u32>(SBB, p)) return p; break;
      case SBB * 16 + STORE + 2: if (!mr<u32>(SBB, p)) return p; break;
      case SBB * 16 + 3: rr<u64>(SBB, p); break;
      case SBB * 16 + LOAD + 3: if (!rm<u64>(SBB, p)) return p; break;
      case SBB * 16 + STORE + 3: if (!mr<u64>(SBB, p)) return p; break;
      case AND * 16: rr<u8>(AND, p); break;
      case AND * 16 + LOAD: if (!rm<u8>(AND, p)) return p; break;
      case AND * 16 + STORE: if (!mr<u8>(AND, p)) return p; break;
      case AND * 16 + 1: rr<u16>(AND, p); break;
      case AND * 16 + LOAD + 1: if (!rm<u16>(AND, p)) return p; break;
      case AND * 16 + STORE + 1: if (!mr<u16>(AND, p)) return p; break;
      case AND * 16 + 2: rr<u32>(AND, p); break;
      case AND * 16 + LOAD + 2: if (!rm<u32>(AND, p)) return p; break;
      case AND * 16 + STORE + 2: if (!mr<u32>(AND, p)) return p; break;
      case AND * 16 + 3: rr<u64>(AND, p); break;
      case AND * 16 + LOAD + 3: if (!rm<u64>(AND, p)) return p; break;
      case AND * 16 + STORE + 3: if (!mr<u64>(AND, p)) return p; break;
      case SUB * 16: rr<u8>(SUB, p); break;
      case SUB * 16 + LOAD: if (!rm<u8>(SUB, p)) return p; break;
      case SUB * 16 + STORE: if (!mr<u8>(SUB, p)) return p; break;
      case SUB * 16 + 1: rr<u16>(SUB, p); break;
      case SUB * 16 + LOAD + 1: if (!rm<u16>(SUB, p)) return p; break;
      case SUB * 16 + STORE + 1: if (!mr<u16>(SUB, p)) return p; break;
      case SUB * 16 + 2: rr<u32>(SUB, p); break;
      case SUB * 16 + LOAD + 2: if (!rm<u32>(SUB, p)) return p; break;
      case SUB * 16 + STORE + 2: if (!mr<u32>(SUB, p)) return p; break;
      case SUB * 16 + 3: rr<u64>(SUB, p); break;
      case SUB * 16 + LOAD + 3: if (!rm<u64>(SUB, p)) return p; break;
      case SUB * 16 + STORE + 3: if (!mr<u64>(SUB, p)) return p; break;
      case XOR * 16: rr<u8>(XOR, p); break;
      case XOR * 16 + LOAD: if (!rm<u8>(XOR, p)) return p; break;
      case XOR * 16 + STORE: if (!mr<u8>(XOR, p)) return p; break;
      case XOR * 16 + 1: rr<u16>(XOR, p); break;
      case XOR * 16 + LOAD + 1: if (!rm<u16>(XOR, p)) return p; break;
      case XOR * 16 + STORE + 1: if (!mr<u16>(XOR, p)) return p; break;
      case XOR * 16 + 2: rr<u32>(XOR, p); break;
      case XOR * 16 + LOAD + 2: if (!rm<u32>(XOR, p)) return p; break;
      case XOR * 16 + STORE + 2: if (!mr<u32>(XOR, p)) return p; break;
      case XOR * 16 + 3: rr<u64>(XOR, p); break;
      case XOR * 16 + LOAD + 3: if (!rm<u64>(XOR, p)) return p; break;
      case XOR * 16 + STORE + 3: if (!mr<u64>(XOR, p)) return p; break;
      case CMP * 16: rr<u8>(CMP, p); break;
      case CMP * 16 + LOAD: if (!rm<u8>(CMP, p)) return p; break;
      case CMP * 16 + STORE: if (!mr<u8>(CMP, p)) return p; break;
      case CMP * 16 + 1: rr<u16>(CMP, p); break;
      case CMP * 16 + LOAD + 1: if (!rm<u16>(CMP, p)) return p; break;
      case CMP * 16 + STORE + 1: if (!mr<u16>(CMP, p)) return p; break;
      case CMP * 16 + 2: rr<u32>(CMP, p); break;
      case CMP * 16 + LOAD + 2: if (!rm<u32>(CMP, p)) return p; break;
      case CMP * 16 + STORE + 2: if (!mr<u32>(CMP, p)) return p; break;
      case CMP * 16 + 3: rr<u64>(CMP, p); break;
      case CMP * 16 + LOAD + 3: if (!rm<u64>(CMP, p)) return p; break;
      case CMP * 16 + STORE + 3: if (!mr<u64>(CMP, p)) return p; break;
      case TEST * 16: rr<u8>(TEST, p); break;
      case TEST * 16 + STORE: if (!mr<u8>(TEST, p)) return p; break;
      case TEST * 16 + 1: rr<u16>(TEST, p); break;
      case TEST * 16 + STORE + 1: if (!mr<u16>(TEST, p)) return p; break;
      case TEST * 16 + 2: rr<u32>(TEST, p); break;
      case TEST * 16 + STORE + 2: if (!mr<u32>(TEST, p)) return p; break;
      case TEST * 16 + 3: rr<u64>(TEST, p); break;
      case TEST * 16 + STORE + 3: if (!mr<u64>(TEST, p)) return p; break;
      case MOV * 16: put<u8>(dst(p), u64(load<u8>(src(p)))); break;
      case MOV * 16 + LOAD: if (!loadRegister<u8>(p)) return p; break;
      case MOV * 16 + STORE: if (!storeMemory<u8>(p)) return p; break;
      case MOV * 16 + 1: put<u16>(dst(p), u64(load<u16>(src(p)))); break;
      case MOV * 16 + LOAD + 1: if (!loadRegister<u16>(p)) return p; break;
      case MOV * 16 + STORE + 1: if (!storeMemory<u16>(p)) return p; break;
      case MOV * 16 + 2: put<u32>(dst(p), u64(load<u32>(src(p)))); break;
      case MOV * 16 + LOAD + 2: if (!loadRegister<u32>(p)) return p; break;
      case MOV * 16 + STORE + 2: if (!storeMemory<u32>(p)) return p; break;
      case MOV * 16 + 3: put<u64>(dst(p), u64(load<u64>(src(p)))); break;
      case MOV * 16 + LOAD + 3: if (!loadRegister<u64>(p)) return p; break;
      case MOV * 16 + STORE + 3: if (!storeMemory<u64>(p)) return p; break;
      case LEA * 16 + 1: put<u16>(dst(p), ea(p) - load<u64>(load<u16>(p, R_SEGMENT))); break;
      case LEA * 16 + 2: put<u32>(dst(p), ea(p) - load<u64>(load<u16>(p, R_SEGMENT))); break;
      case LEA * 16 + 3: put<u64>(dst(p), ea(p) - load<u64>(load<u16>(p, R_SEGMENT))); break;
      case INC * 16: changeRegister<u8>(INC, p); break;
      case INC * 16 + STORE: if (!changeMemory<u8>(INC, p)) return p; break;
      case INC * 16 + 1: changeRegister<u16>(INC, p); break;
      case INC * 16 + STORE + 1: if (!changeMemory<u16>(INC, p)) return p; break;
      case INC * 16 + 2: changeRegister<u32>(INC, p); break;
      case INC * 16 + STORE + 2: if (!changeMemory<u32>(INC, p)) return p; break;
      case INC * 16 + 3: changeRegister<u64>(INC, p); break;
      case INC * 16 + STORE + 3: if (!changeMemory<u64>(INC, p)) return p; break;
      case DEC * 16: changeRegister<u8>(DEC, p); break;
      case DEC * 16 + STORE: if (!changeMemory<u8>(DEC, p)) return p; break;
      case DEC * 16 + 1: changeRegister<u16>(DEC, p); break;
      case DEC * 16 + STORE + 1: if (!changeMemory<u16>(DEC, p)) return p; break;
      case DEC * 16 + 2: changeRegister<u32>(DEC, p); break;
      case DEC * 16 + STORE + 2: if (!changeMemory<u32>(DEC, p)) return p; break;
      case DEC * 16 + 3: changeRegister<u64>(DEC, p); break;
      case DEC * 16 + STORE + 3: if (!changeMemory<u64>(DEC, p)) return p; break;
      case NOT * 16: changeRegister<u8>(NOT, p); break;
      case NOT * 16 + STORE: if (!changeMemory<u8>(NOT, p)) return p; break;
      case NOT * 16 + 1: changeRegister<u16>(NOT, p); break;
      case NOT * 16 + STORE + 1: if (!changeMemory<u16>(NOT, p)) return p; break;
      case NOT * 16 + 2: changeRegister<u32>(NOT, p); break;
      case NOT * 16 + STORE + 2: if (!changeMemory<u32>(NOT, p)) return p; break;
      case NOT * 16 + 3: changeRegister<u64>(NOT, p); break;
      case NOT * 16 + STORE + 3: if (!changeMemory<u64>(NOT, p)) return p; break;
      case NEG * 16: changeRegister<u8>(NEG, p); break;
      case NEG * 16 + STORE: if (!changeMemory<u8>(NEG, p)) return p; break;
      case NEG * 16 + 1: changeRegister<u16>(NEG, p); break;
      case NEG * 16 + STORE + 1: if (!changeMemory<u16>(NEG, p)) return p; break;
      case NEG * 16 + 2: changeRegister<u32>(NEG, p); break;
      case NEG * 16 + STORE + 2: if (!changeMemory<u32>(NEG, p)) return p; break;
      case NEG * 16 + 3: changeRegister<u64>(NEG, p); break;
      case NEG * 16 + STORE + 3: if (!changeMemory<u64>(NEG, p)) return p; break;
      case ROL * 16: shiftRegister<u8>(ROL, p); break;
      case ROL * 16 + STORE: if (!shiftMemory<u8>(ROL, p)) return p; break;
      case ROL * 16 + 1: shiftRegister<u16>(ROL, p); break;
      case ROL * 16 + STORE + 1: if (!shiftMemory<u16>(ROL, p)) return p; break;
      case ROL * 16 + 2: shiftRegister<u32>(ROL, p); break;
      case ROL * 16 + STORE + 2: if (!shiftMemory<u32>(ROL, p)) return p; break;
      case ROL * 16 + 3: shiftRegister<u64>(ROL, p); break;
      case ROL * 16 + STORE + 3: if (!shiftMemory<u64>(ROL, p)) return p; break;
      case ROR * 16: shiftRegister<u8>(ROR, p); break;
      case ROR * 16 + STORE: if (!shiftMemory<u8>(ROR, p)) return p; break;
      case ROR * 16 + 1: shiftRegister<u16>(ROR, p); break;
      case ROR * 16 + STORE + 1: if (!shiftMemory<u16>(ROR, p)) return p; break;
      case ROR * 16 + 2: shiftRegister<u32>(ROR, p); break;
      case ROR * 16 + STORE + 2: if (!shiftMemory<u32>(ROR, p)) return p; break;
      case ROR * 16 + 3: shiftRegister<u64>(ROR, p); break;
      case ROR * 16 + STORE + 3: if (!shiftMemory<u64>(ROR, p)) return p; break;
      case RCL * 16: shiftRegister<u8>(RCL, p); break;
      case RCL * 16 + STORE: if (!shiftMemory<u8>(RCL, p)) return p; break;
      case RCL * 16 + 1: shiftRegister<u16>(RCL, p); break;
      case RCL * 16 + STORE + 1: if (!shiftMemory<u16>(RCL, p)) return p; break;
      case RCL * 16 + 2: shiftRegister<u32>(RCL, p); break;
      case RCL * 16 + STORE + 2: if (!shiftMemory<u32>(RCL, p)) return p; break;
      case RCL * 16 + 3: shiftRegister<u64>(RCL, p); break;
      case RCL * 16 + STORE + 3: if (!shiftMemory<u64>(RCL, p)) return p; break;
      case RCR * 16: shiftRegister<u8>(RCR, p); break;
      case RCR * 16 + STORE: if (!shiftMemory<u8>(RCR, p)) return p; break;
      case RCR * 16 + 1: shiftRegister<u16>(RCR, p); break;
      case RCR * 16 + STORE + 1: if (!shiftMemory<u16>(RCR, p)) return p; break;
      case RCR * 16 + 2: shiftRegister<u32>(RCR, p); break;
      case RCR * 16 + STORE + 2: if (!shiftMemory<u32>(RCR, p)) return p; break;
      case RCR * 16 + 3: shiftRegister<u64>(RCR, p); break;
      case RCR * 16 + STORE + 3: if (!shiftMemory<u64>(RCR, p)) return p; break;
      case SHL * 16: shiftRegister<u8>(SHL, p); break;
      case SHL * 16 + STORE: if (!shiftMemory<u8>(SHL, p)) return p; break;
      case SHL * 16 + 1: shiftRegister<u16>(SHL, p); break;
      case SHL * 16 + STORE + 1: if (!shiftMemory<u16>(SHL, p)) return p; break;
      case SHL * 16 + 2: shiftRegister<u32>(SHL, p); break;
      case SHL * 16 + STORE + 2: if (!shiftMemory<u32>(SHL, p)) return p; break;
      case SHL * 16 + 3: shiftRegister<u64>(SHL, p); break;
      case SHL * 16 + STORE + 3: if (!shiftMemory<u64>(SHL, p)) return p; break;
      case SHR * 16: shiftRegister<u8>(SHR, p); break;
      case SHR * 16 + STORE: if (!shiftMemory<u8>(SHR, p)) return p; break;
      case SHR * 16 + 1: shiftRegister<u16>(SHR, p); break;
      case SHR * 16 + STORE + 1: if (!shiftMemory<u16>(SHR, p)) return p; break;
      case SHR * 16 + 2: shiftRegister<u32>(SHR, p); break;
      case SHR * 16 + STORE + 2: if (!shiftMemory<u32>(SHR, p)) return p; break;
      case SHR * 16 + 3: shiftRegister<u64>(SHR, p); break;
      case SHR * 16 + STORE + 3: if (!shiftMemory<u64>(SHR, p)) return p; break;
      case SAR * 16: shiftRegister<u8>(SAR, p); break;
      case SAR * 16 + STORE: if (!shiftMemory<u8>(SAR, p)) return p; break;
      case SAR * 16 + 1: shiftRegister<u16>(SAR, p); break;
      case SAR * 16 + STORE + 1: if (!shiftMemory<u16>(SAR, p)) return p; break;
      case SAR * 16 + 2: shiftRegister<u32>(SAR, p); break;
      case SAR * 16 + STORE + 2: if (!shiftMemory<u32>(SAR, p)) return p; break;
      case SAR * 16 + 3: shiftRegister<u64>(SAR, p); break;
      case SAR * 16 + STORE + 3: if (!shiftMemory<u64>(SAR, p)) return p; break;
      case MOVZX8 * 16 + 1: widen<u8, u16>(p); break;
      case MOVZX8 * 16 + LOAD + 1: if (!widenLoad<u8, u16>(p)) return p; break;
      case MOVZX8 * 16 + 2: widen<u8, u32>(p); break;
      case MOVZX8 * 16 + LOAD + 2: if (!widenLoad<u8, u32>(p)) return p; break;
      case MOVZX8 * 16 + 3: widen<u8, u64>(p); break;
      case MOVZX8 * 16 + LOAD + 3: if (!widenLoad<u8, u64>(p)) return p; break;
      case MOVZX16 * 16 + 1: widen<u16, u16>(p); break;
      case MOVZX16 * 16 + LOAD + 1: if (!widenLoad<u16, u16>(p)) return p; break;
      case MOVZX16 * 16 + 2: widen<u16, u32>(p); break;
      case MOVZX16 * 16 + LOAD + 2: if (!widenLoad<u16, u32>(p)) return p; break;
      case MOVZX16 * 16 + 3: widen<u16, u64>(p); break;
      case MOVZX16 * 16 + LOAD + 3: if (!widenLoad<u16, u64>(p)) return p; break;
      case MOVSX8 * 16 + 1: widen<i8, u16>(p); break;
      case MOVSX8 * 16 + LOAD + 1: if (!widenLoad<i8, u16>(p)) return p; break;
      case MOVSX8 * 16 + 2: widen<i8, u32>(p); break;
      case MOVSX8 * 16 + LOAD + 2: if (!widenLoad<i8, u32>(p)) return p; break;
      case MOVSX8 * 16 + 3: widen<i8, u64>(p); break;
      case MOVSX8 * 16 + LOAD + 3: if (!widenLoad<i8, u64>(p)) return p; break;
      case MOVSX16 * 16 + 1: widen<i16, u16>(p); break;
      case MOVSX16 * 16 + LOAD + 1: if (!widenLoad<i16, u16>(p)) return p; break;
      case MOVSX16 * 16 + 2: widen<i16, u32>(p); break;
      case MOVSX16 * 16 + LOAD + 2: if (!widenLoad<i16, u32>(p)) return p; break;
      case MOVSX16 * 16 + 3: widen<i16, u64>(p); break;
      case MOVSX16 * 16 + LOAD + 3: if (!widenLoad<i16, u64>(p)) return p; break;
      case MOVSX32 * 16 + 1: widen<i32, u16>(p); break;
      case MOVSX32 * 16 + LOAD + 1: if (!widenLoad<i32, u16>(p)) return p; break;
      case MOVSX32 * 16 + 2: widen<i32, u32>(p); break;
      case MOVSX32 * 16 + LOAD + 2: if (!widenLoad<i32, u32>(p)) return p; break;
      case MOVSX32 * 16 + 3: widen<i32, u64>(p); break;
      case MOVSX32 * 16 + LOAD + 3: if (!widenLoad<i32, u64>(p)) return p; break;
      case IMUL2 * 16 + 1: multiply<u16>(p); break;
      case IMUL2 * 16 + LOAD + 1: if (!multiplyLoad<u16>(p)) return p; break;
      case IMUL3 * 16 + 1: multiplyBy<u16>(p); break;
      case IMUL3 * 16 + LOAD + 1: if (!multiplyByLoad<u16>(p)) return p; break;
      case IMUL2 * 16 + 2: multiply<u32>(p); break;
      case IMUL2 * 16 + LOAD + 2: if (!multiplyLoad<u32>(p)) return p; break;
      case IMUL3 * 16 + 2: multiplyBy<u32>(p); break;
      case IMUL3 * 16 + LOAD + 2: if (!multiplyByLoad<u32>(p)) return p; break;
      case IMUL2 * 16 + 3: multiply<u64>(p); break;
      case IMUL2 * 16 + LOAD + 3: if (!multiplyLoad<u64>(p)) return p; break;
      case IMUL3 * 16 + 3: multiplyBy<u64>(p); break;
      case IMUL3 * 16 + LOAD + 3: if (!multiplyByLoad<u64>(p)) return p; break;
      case PUSH * 16 + 1: if (!pushValue<u16>(load<u16>(src(p)))) return p; break;
      case PUSH * 16 + STORE + 1: if (!pushMemory<u16>(p)) return p; break;
      case POP * 16 + 1: if (!popRegister<u16>(p)) return p; break;
      case POP * 16 + STORE + 1: if (!popMemory<u16>(p)) return p; break;
      case PUSH * 16 + 3: if (!pushValue<u64>(load<u64>(src(p)))) return p; break;
      case PUSH * 16 + STORE + 3: if (!pushMemory<u64>(p)) return p; break;
      case POP * 16 + 3: if (!popRegister<u64>(p)) return p; break;
      case POP * 16 + STORE + 3: if (!popMemory<u64>(p)) return p; break;
      case JCC * 16 + 0: if (condition(0)) branch(p); break;
      case JCC * 16 + 1: if (condition(1)) branch(p); break;
      case JCC * 16 + 2: if (condition(2)) branch(p); break;
      case JCC * 16 + 3: if (condition(3)) branch(p); break;
      case JCC * 16 + 4: if (condition(4)) branch(p); break;
      case JCC * 16 + 5: if (condition(5)) branch(p); break;
      case JCC * 16 + 6: if (condition(6)) branch(p); break;
      case JCC * 16 + 7: if (condition(7)) branch(p); break;
      case JCC * 16 + 8: if (condition(8)) branch(p); break;
      case JCC * 16 + 9: if (condition(9)) branch(p); break;
      case JCC * 16 + 10: if (condition(10)) branch(p); break;
      case JCC * 16 + 11: if (condition(11)) branch(p); break;
      case JCC * 16 + 12: if (condition(12)) branch(p); break;
      case JCC * 16 + 13: if (condition(13)) branch(p); break;
      case JCC * 16 + 14: if (condition(14)) branch(p); break;
      case JCC * 16 + 15: if (condition(15)) branch(p); break;
      case SETCC * 16: setByte(p, condition(0)); break;
      case SETCC * 16 + 1: setByte(p, condition(1)); break;
      case SETCC * 16 + 2: setByte(p, condition(2)); break;
      case SETCC * 16 + 3: setByte(p, condition(3)); break;
      case SETCC * 16 + 4: setByte(p, condition(4)); break;
      case SETCC * 16 + 5: setByte(p, condition(5)); break;
      case SETCC * 16 + 6: setByte(p, condition(6)); break;
      case SETCC * 16 + 7: setByte(p, condition(7)); break;
      case SETCC * 16 + 8: setByte(p, condition(8)); break;
      case SETCC * 16 + 9: setByte(p, condition(9)); break;
      case SETCC * 16 + 10: setByte(p, condition(10)); break;
      case SETCC * 16 + 11: setByte(p, condition(11)); break;
      case SETCC * 16 + 12: setByte(p, condition(12)); break;
      case SETCC * 16 + 13: setByte(p, condition(13)); break;
      case SETCC * 16 + 14: setByte(p, condition(14)); break;
      case SETCC * 16 + 15: setByte(p, condition(15)); break;
      case SETCC_STORE * 16: if (!setMemory(p, condition(0))) return p; break;
      case SETCC_STORE * 16 + 1: if (!setMemory(p, condition(1))) return p; break;
      case SETCC_STORE * 16 + 2: if (!setMemory(p, condition(2))) return p; break;
      case SETCC_STORE * 16 + 3: if (!setMemory(p, condition(3))) return p; break;
      case SETCC_STORE * 16 + 4: if (!setMemory(p, condition(4))) return p; break;
      case SETCC_STORE * 16 + 5: if (!setMemory(p, condition(5))) return p; break;
      case SETCC_STORE * 16 + 6: if (!setMemory(p, condition(6))) return p; break;
      case SETCC_STORE * 16 + 7: if (!setMemory(p, condition(7))) return p; break;
      case SETCC_STORE * 16 + 8: if (!setMemory(p, condition(8))) return p; break;
      case SETCC_STORE * 16 + 9: if (!setMemory(p, condition(9))) return p; break;
      case SETCC_STORE * 16 + 10: if (!setMemory(p, condition(10))) return p; break;
      case SETCC_STORE * 16 + 11: if (!setMemory(p, condition(11))) return p; break;
      case SETCC_STORE * 16 + 12: if (!setMemory(p, condition(12))) return p; break;
      case SETCC_STORE * 16 + 13: if (!setMemory(p, condition(13))) return p; break;
      case SETCC_STORE * 16 + 14: if (!setMemory(p, condition(14))) return p; break;
      case SETCC_STORE * 16 + 15: if (!setMemory(p, condition(15))) return p; break;
      case CMOV * 16: move(p, src(p), condition(0)); break;
      case CMOV * 16 + 1: move(p, src(p), condition(1)); break;
      case CMOV * 16 + 2: move(p, src(p), condition(2)); break;
      case CMOV * 16 + 3: move(p, src(p), condition(3)); break;
      case CMOV * 16 + 4: move(p, src(p), condition(4)); break;
      case CMOV * 16 + 5: move(p, src(p), condition(5)); break;
      case CMOV * 16 + 6: move(p, src(p), condition(6)); break;
      case CMOV * 16 + 7: move(p, src(p), condition(7)); break;
      case CMOV * 16 + 8: move(p, src(p), condition(8)); break;
      case CMOV * 16 + 9: move(p, src(p), condition(9)); break;
      case CMOV * 16 + 10: move(p, src(p), condition(10)); break;
      case CMOV * 16 + 11: move(p, src(p), condition(11)); break;
      case CMOV * 16 + 12: move(p, src(p), condition(12)); break;
      case CMOV * 16 + 13: move(p, src(p), condition(13)); break;
      case CMOV * 16 + 14: move(p, src(p), condition(14)); break;
      case CMOV * 16 + 15: move(p, src(p), condition(15)); break;
      case CMOV_LOAD * 16: if (!moveLoad(p, condition(0))) return p; break;
      case CMOV_LOAD * 16 + 1: if (!moveLoad(p, condition(1))) return p; break;
      case CMOV_LOAD * 16 + 2: if (!moveLoad(p, condition(2))) return p; break;
      case CMOV_LOAD * 16 + 3: if (!moveLoad(p, condition(3))) return p; break;
      case CMOV_LOAD * 16 + 4: if (!moveLoad(p, condition(4))) return p; break;
      case CMOV_LOAD * 16 + 5: if (!moveLoad(p, condition(5))) return p; break;
      case CMOV_LOAD * 16 + 6: if (!moveLoad(p, condition(6))) return p; break;
      case CMOV_LOAD * 16 + 7: if (!moveLoad(p, condition(7))) return p; break;
      case CMOV_LOAD * 16 + 8: if (!moveLoad(p, condition(8))) return p; break;
      case CMOV_LOAD * 16 + 9: if (!moveLoad(p, condition(9))) return p; break;
      case CMOV_LOAD * 16 + 10: if (!moveLoad(p, condition(10))) return p; break;
      case CMOV_LOAD * 16 + 11: if (!moveLoad(p, condition(11))) return p; break;
      case CMOV_LOAD * 16 + 12: if (!moveLoad(p, condition(12))) return p; break;
      case CMOV_LOAD * 16 + 13: if (!moveLoad(p, condition(13))) return p; break;
      case CMOV_LOAD * 16 + 14: if (!moveLoad(p, condition(14))) return p; break;
      case CMOV_LOAD * 16 + 15: if (!moveLoad(p, condition(15))) return p; break;
      case JMP * 16 + 3: branch(p); break;
      case JMP_TO * 16 + 3: if (!go(load<u64>(src(p)))) return p; break;
      case JMP_TO * 16 + STORE + 3: if (!jumpMemory(p)) return p; break;
      case CALL * 16 + 3: if (!callTo(p, g64(PAGE_BASE) + load<u64>(p, R_DISPLACEMENT))) return p; break;
      case CALL_TO * 16 + 3: if (!callTo(p, load<u64>(src(p)))) return p; break;
      case CALL_TO * 16 + STORE + 3: if (!callMemory(p)) return p; break;
      case RET * 16 + 3: if (!returnNear(p)) return p; break;
      case XCHG * 16: exchange<u8>(p); break;
      case XCHG * 16 + LOAD: if (!exchangeMemory<u8>(p)) return p; break;
      case XCHG * 16 + 1: exchange<u16>(p); break;
      case XCHG * 16 + LOAD + 1: if (!exchangeMemory<u16>(p)) return p; break;
      case XCHG * 16 + 2: exchange<u32>(p); break;
      case XCHG * 16 + LOAD + 2: if (!exchangeMemory<u32>(p)) return p; break;
      case XCHG * 16 + 3: exchange<u64>(p); break;
      case XCHG * 16 + LOAD + 3: if (!exchangeMemory<u64>(p)) return p; break;
      case CONVERT_A * 16 + 1: store<u16>(GPR, u16(load<i8>(GPR))); break;
      case CONVERT_A * 16 + 2: store<u64>(GPR, u64(u32(load<i16>(GPR)))); break;
      case CONVERT_A * 16 + 3: store<i64>(GPR, i64(load<i32>(GPR))); break;
      case CONVERT_D * 16 + 1: store<u16>(GPR + 16, u16(load<i16>(GPR) >> 15)); break;
      case CONVERT_D * 16 + 2: store<u64>(GPR + 16, u64(u32(load<i32>(GPR) >> 31))); break;
      case CONVERT_D * 16 + 3: store<i64>(GPR + 16, load<i64>(GPR) >> 63); break;
      case NOP * 16: break;
      case NARROW * 16: s64(NARROWED, u64(u32(ea(p)))); break;
      default: if (!executeRare(p)) return p;
    }
    p += RECORD;
  } while (p < load<u32>(EXEC_END));
  return p;
}
