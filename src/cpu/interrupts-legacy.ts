/**
 * Delivery of one event outside IA-32e mode: gates of 8 bytes (interrupt and trap, 32 and 16 bits), the stack of an inner ring
 * from the TSS, in real mode the vector table. Sources: SDM 3A 6.10-6.13, 7.2.1; SDM 3B 21.1.4. Left out: task gates (#GP).
 */
import { CPL, CS, GPR, IDTR, INTERRUPTIBILITY, RIP, SEGMENT_LIMIT, SEGMENT_SELECTOR, SS } from './layout';
import { F_AC, F_IF, F_NT, F_RF, F_TF, F_VM, g32, g64, gp, np, PEND, PEND_EXCEPTION, s32, s64, X_ERROR, X_VECTOR } from './state';
import { flags, setFlagsWhole } from './flags';
import { reach } from './memory';
import { IMPLICIT, READ } from './paging';
import { baseFrom, findDescriptor, limitFrom, loadReal, markAccessed, rightsFrom, segmentAt, setSegment } from './segments';
import { pushSized } from './legacy';
import { innerStack, pushedInner, takeInnerStack } from './inner-stack';
import { codeChanged } from './mode';
import { refreshAttention } from './attention';

const RSP: usize = GPR + 32;

/** Real mode: four bytes a vector; FLAGS, CS and IP are pushed. */
export function throughVector(vector: u32, back: u64): bool {
  const idt = segmentAt(IDTR);
  if (vector * 4 + 3 > g32(idt + SEGMENT_LIMIT)) return gp(0);
  const at = reach(g64(idt) + u64(vector * 4), 4, READ | IMPLICIT);
  if (at == 0) return false;
  const target = u64(load<u16>(at));
  const selector: u32 = load<u16>(at + 2);
  const old = flags();
  const top = g64(RSP);
  if (!pushSized(1, old) || !pushSized(1, u64(g32(segmentAt(CS) + SEGMENT_SELECTOR))) || !pushSized(1, back)) {
    s64(RSP, top);
    return false;
  }
  setFlagsWhole(old & ~(F_TF | F_IF | F_AC | F_RF));
  loadReal(CS, selector);
  s64(RIP, target);
  codeChanged();
  return true;
}

/** Through an interrupt or trap gate of protected mode; false: `pend` says what went wrong, and nothing has changed. */
export function throughGate(vector: u32, kind: u32, error: u32, hasError: bool, back: u64): bool {
  const software = kind == 4 || kind == 6;
  const ext: u32 = software ? 0 : 1;
  const idt = segmentAt(IDTR);
  const code = (vector << 3) | 2 | ext;
  if (vector * 8 + 7 > g32(idt + SEGMENT_LIMIT)) return gp(code);
  const gate = reach(g64(idt) + u64(vector * 8), 8, READ | IMPLICIT);
  if (gate == 0) return false;
  const low = load<u64>(gate);
  const type = u32(low >> 40) & 0x1f;
  if (type != 6 && type != 7 && type != 14 && type != 15) return gp(code);
  const cpl = g32(CPL);
  if (software && (u32(low >> 45) & 3) < cpl) return gp(code);
  if (((low >> 47) & 1) == 0) return np(code);
  const size: u32 = (type & 8) != 0 ? 2 : 1;
  const target = (low & 0xffff) | (size == 2 ? (low >> 32) & 0xffff0000 : 0);
  const selector = u32(low >> 16) & 0xffff;
  if ((selector & 0xfffc) == 0) return gp(ext);
  const at = findDescriptor(selector, 8);
  if (at == 0) return g32(PEND) != 0 ? false : gp((selector & 0xfffc) | ext);
  const descriptor = load<u64>(at);
  const rights = rightsFrom(descriptor);
  const dpl = (rights >> 5) & 3;
  if ((rights & 0x18) != 0x18 || dpl > cpl) return gp((selector & 0xfffc) | ext);
  if ((rights & 0x80) == 0) return np((selector & 0xfffc) | ext);
  const next = (rights & 4) != 0 ? cpl : dpl;
  if (next != cpl && !innerStack(next, ext)) return false;
  if (target > u64(limitFrom(descriptor))) return gp(ext);
  const old = flags();
  const stored = kind == 3 && vector != 1 ? old | F_RF : old;
  if (!pushFrame(size, next, stored, back, error, hasError, ext)) return false;
  if (findDescriptor(selector, 8) == 0 || !markAccessed(descriptor)) return false;
  setFlagsWhole(old & ~(F_TF | F_NT | F_RF | F_VM | ((type & 1) == 0 ? F_IF : 0)));
  setSegment(CS, (selector & 0xfffc) | next, baseFrom(descriptor), limitFrom(descriptor), rights | 1);
  s64(RIP, target);
  codeChanged();
  s32(INTERRUPTIBILITY, (g32(INTERRUPTIBILITY) & 8) | (kind == 2 ? 8 : 0));
  refreshAttention();
  return true;
}

/** Pushes on the stack of ring `next`; when that fails, stack and ring are as before. */
function pushFrame(size: u32, next: u32, stored: u64, back: u64, error: u32, hasError: bool, ext: u32): bool {
  const inward = next != g32(CPL);
  const selector = u64(g32(segmentAt(SS) + SEGMENT_SELECTOR));
  const top = g64(RSP);
  if (inward) takeInnerStack(next);
  const pushed = (!inward || (pushSized(size, selector) && pushSized(size, top))) && pushSized(size, stored) &&
    pushSized(size, u64(g32(segmentAt(CS) + SEGMENT_SELECTOR))) && pushSized(size, back) && (!hasError || pushSized(size, u64(error)));
  if (inward) return pushedInner(pushed, ext);
  if (pushed) return true;
  s64(RSP, top);
  if (g32(PEND) == PEND_EXCEPTION && g32(X_VECTOR) == 12) s32(X_ERROR, ext);
  return false;
}
