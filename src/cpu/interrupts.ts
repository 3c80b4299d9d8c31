/**
 * Delivery of interrupts and exceptions, here through the IDT of IA-32e mode (other modes: interrupts-legacy.ts): gates, interrupt stacks, what is pushed, what faults
 * on the way, double and triple fault. Sources: SDM 3A 6.12-6.15 (table 6-5 for double faults), SDM 3C 27.2.3-27.2.4 and 25.6.1
 * for what a guest's exceptions do. Costs what COST_EVENT says. Left out: task gates, shadow stacks.
 */
import {
  COST_EVENT, CPL, CR2, CS, CYCLES, DR6, EFER, EXCEPTIONS, GPR, IDTR, INTERRUPTIBILITY, LAST_ERROR, LAST_VECTOR, PAYLOAD, RIP, SEGMENT_LIMIT, SEGMENT_SELECTOR, SS, STOP_SHUTDOWN, STOP_TRAP, TR, TRAPS,
  ACTIVITY,
} from './layout';
import {
  canonical, EFER_LMA, E_QUALIFICATION, E_REASON, F_IF, F_NT, F_RF, F_TF, F_VM, g32, g64, gp, guest, np, PEND, PEND_EXCEPTION, PEND_EXIT, PEND_NONE, s32, s64, raise, setPrivilege, ss, ts, X_ADDRESS, X_ERROR, X_HAS_ERROR,
  X_KIND, X_LENGTH, X_VECTOR,
} from './state';
import { flags, setFlagsWhole } from './flags';
import { commit, reach } from './memory';
import { BY_USER, IMPLICIT, READ, WRITE } from './paging';
import { baseFrom, findDescriptor, limitFrom, markAccessed, rightsFrom, rightsOf, segmentAt, setSegment } from './segments';
import { refreshAttention } from './attention';
import { EXCEPTION_BITMAP, field32, PAGE_FAULT_MASK, PAGE_FAULT_MATCH } from './vmx/fields';
import { exitGuest, exitWithEvent, left } from './vmx/exit';
import { real } from './legacy';
import { throughGate, throughVector } from './interrupts-legacy';
import { codeChanged } from './mode';

const RSP: usize = GPR + 32;
const VALID: u32 = 0x80000000;

/** -1: delivered, or the guest was left for code. Otherwise the processor stops with this reason. */
export function deliverPending(): i32 {
  const vector = g32(X_VECTOR);
  s64(EXCEPTIONS + vector * 8, g64(EXCEPTIONS + vector * 8) + u64(g32(X_KIND) != 4));
  return deliver(vector, g32(X_KIND), g32(X_ERROR), g32(X_HAS_ERROR) != 0, g32(X_LENGTH), false);
}

/** An event from outside, or one that a VM entry injects (that one is never intercepted). */
export function deliver(firstVector: u32, firstKind: u32, firstError: u32, firstHas: bool, length: u32, injected: bool): i32 {
  let vector = firstVector;
  let kind = firstKind;
  let error = firstError;
  let hasError = firstHas;
  let skip = length;
  let vectoring: u32 = 0;
  let vectoringError: u32 = 0;
  s64(CYCLES, g64(CYCLES) + u64(g32(COST_EVENT)));
  if (g32(TRAPS) != 0 && !guest()) return trapped(vector, kind, error, hasError, length);
  while (true) {
    s32(LAST_VECTOR, vector);
    s32(LAST_ERROR, hasError ? error : 0);
    const info = vector | (kind << 8) | (hasError ? 0x800 : 0) | VALID;
    if (guest() && !injected && (kind == 3 || kind > 4) && intercepted(vector, error)) {
      s32(PEND, PEND_NONE);
      exitWithEvent(info, error, vectoring, vectoringError, vector == 14 ? g64(X_ADDRESS) : vector == 1 ? g64(DR6) & 0x600f : 0, skip);
      return left();
    }
    if (vector == 14 && kind == 3 && !injected) s64(CR2, g64(X_ADDRESS));
    s32(PEND, PEND_NONE);
    if (pass(vector, kind, error, hasError, kind == 4 || kind > 4 ? g64(RIP) + u64(skip) : g64(RIP))) {
      s32(ACTIVITY, 0);
      return -1;
    }
    if (g32(PEND) == PEND_EXIT) {
      s32(PEND, PEND_NONE);
      exitGuest(info, error, skip);
      return left();
    }
    const second = g32(X_VECTOR);
    s64(EXCEPTIONS + second * 8, g64(EXCEPTIONS + second * 8) + 1);
    // the exception bitmap asks about this one, not about the double or triple fault that it would make
    if (guest() && intercepted(second, g32(X_ERROR))) {
      s32(PEND, PEND_NONE);
      s32(LAST_VECTOR, second);
      s32(LAST_ERROR, g32(X_HAS_ERROR) != 0 ? g32(X_ERROR) : 0);
      exitWithEvent(second | 0x300 | (g32(X_HAS_ERROR) != 0 ? 0x800 : 0) | VALID, g32(X_ERROR), info, error, second == 14 ? g64(X_ADDRESS) : 0, skip);
      return left();
    }
    if (kind == 3 && vector == 8) return shutdown(vector);
    vectoring = info;
    vectoringError = error;
    injected = false;
    // of a fault while a software interrupt is delivered the exit tells that instruction's length (SDM 3C 28.2.5)
    if (kind < 4) skip = 0;
    if (kind == 3 && doubles(vector, second)) {
      vector = 8;
      error = 0;
      hasError = true;
      s64(EXCEPTIONS + 64, g64(EXCEPTIONS + 64) + 1);
    } else {
      vector = second;
      error = g32(X_ERROR);
      hasError = g32(X_HAS_ERROR) != 0;
    }
    kind = 3;
  }
}

/** The host's handler is the program round this processor. */
function trapped(vector: u32, kind: u32, error: u32, hasError: bool, length: u32): i32 {
  s32(PEND, PEND_NONE);
  s32(LAST_VECTOR, vector);
  s32(LAST_ERROR, hasError ? error : 0);
  if (vector == 14 && kind == 3) s64(CR2, g64(X_ADDRESS));
  s64(PAYLOAD, u64(vector));
  s64(PAYLOAD + 8, hasError ? u64(error) : 0);
  s64(PAYLOAD + 16, u64(kind));
  s64(PAYLOAD + 24, u64(length));
  return STOP_TRAP;
}

function shutdown(vector: u32): i32 {
  s32(PEND, PEND_NONE);
  if (guest()) {
    s64(E_QUALIFICATION, 0);
    s32(E_REASON, 2);
    exitGuest(0, 0, 0);
    return left();
  }
  s32(ACTIVITY, 2);
  s64(PAYLOAD, u64(vector));
  return STOP_SHUTDOWN;
}

/** Exception bitmap; for page faults the error code must match too (SDM 3C 26.2). */
function intercepted(vector: u32, error: u32): bool {
  const bit = ((field32(EXCEPTION_BITMAP) >> vector) & 1) != 0;
  if (vector != 14) return bit;
  return ((error & field32(PAGE_FAULT_MASK)) == field32(PAGE_FAULT_MATCH)) == bit;
}

function contributory(vector: u32): bool { return vector == 0 || (vector >= 10 && vector <= 13); }
function doubles(first: u32, second: u32): bool {
  if (contributory(first)) return contributory(second);
  return first == 14 && (contributory(second) || second == 14);
}

let gateStack: u64 = 0;

function pass(vector: u32, kind: u32, error: u32, hasError: bool, back: u64): bool {
  if ((g64(EFER) & EFER_LMA) != 0) return through(vector, kind, error, hasError, back);
  return real() ? throughVector(vector, back) : throughGate(vector, kind, error, hasError, back);
}

/** One pass through the gate; false: `pend` says what went wrong. */
function through(vector: u32, kind: u32, error: u32, hasError: bool, back: u64): bool {
  const software = kind == 4 || kind == 6;
  const ext: u32 = software ? 0 : 1;
  const idt = segmentAt(IDTR);
  const code = (vector << 3) | 2 | ext;
  if (vector * 16 + 15 > g32(idt + SEGMENT_LIMIT)) return gp(code);
  const gate = reach(g64(idt) + u64(vector * 16), 16, READ | IMPLICIT);
  if (gate == 0) return false;
  const low = load<u64>(gate);
  const target = (low & 0xffff) | ((low >> 32) & 0xffff0000) | (load<u64>(gate + 8) << 32);
  const type = u32(low >> 40) & 0x1f;
  if (type != 14 && type != 15) return gp(code);
  const cpl = g32(CPL);
  if (software && (u32(low >> 45) & 3) < cpl) return gp(code);
  if (((low >> 47) & 1) == 0) return np(code);
  const selector = u32(low >> 16) & 0xffff;
  if ((selector & 0xfffc) == 0) return gp(ext);
  const at = findDescriptor(selector, 8);
  if (at == 0) return g32(PEND) != 0 ? false : gp((selector & 0xfffc) | ext);
  const descriptor = load<u64>(at);
  const rights = rightsFrom(descriptor);
  const dpl = (rights >> 5) & 3;
  if ((rights & 0x18) != 0x18 || dpl > cpl || (rights & 0x6000) != 0x2000) return gp((selector & 0xfffc) | ext);
  if ((rights & 0x80) == 0) return np((selector & 0xfffc) | ext);
  const next = (rights & 4) != 0 ? cpl : dpl;
  if (!chooseStack(u32(low >> 32) & 7, next, ext)) return false;
  if (!canonical(target)) return gp(ext);
  const bytes: u32 = hasError ? 48 : 40;
  gateStack = (gateStack & ~u64(15)) - u64(bytes);
  if (!canonical(gateStack) || !canonical(gateStack + u64(bytes - 1))) return ss(ext);
  const frame = framePlace(bytes, WRITE | (next == 3 ? BY_USER : 0));
  if (frame == 0) return false;
  const old = flags();
  const fault = kind == 3 && vector != 1;
  let p = frame;
  if (hasError) {
    store<u64>(p, u64(error));
    p += 8;
  }
  store<u64>(p, back);
  store<u64>(p + 8, u64(g32(segmentAt(CS) + SEGMENT_SELECTOR)));
  store<u64>(p + 16, fault ? old | F_RF : old);
  store<u64>(p + 24, g64(RSP));
  store<u64>(p + 32, u64(g32(segmentAt(SS) + SEGMENT_SELECTOR)));
  commit(frame);
  if (!markAccessed(descriptor)) return false;
  setFlagsWhole(old & ~(F_TF | F_NT | F_RF | F_VM | (type == 14 ? F_IF : 0)));
  const wasLong = (rightsOf(CS) & 0x2000) != 0;
  setSegment(CS, (selector & 0xfffc) | next, baseFrom(descriptor), limitFrom(descriptor), rights | 1);
  if (next != cpl) {
    setSegment(SS, next, 0, 0, 0x10000 | (next << 5));
    setPrivilege(next);
  }
  s64(RSP, gateStack);
  s64(RIP, target);
  if (!wasLong) codeChanged();
  s32(INTERRUPTIBILITY, (g32(INTERRUPTIBILITY) & 8) | (kind == 2 ? 8 : 0));
  refreshAttention();
  return true;
}

/** Pushes go downwards, so the highest part that is not there faults. */
function framePlace(bytes: u32, access: u32): usize {
  const frame = reach(gateStack, bytes, access);
  if (frame != 0 || g32(PEND) != PEND_EXCEPTION || g32(X_VECTOR) != 14) return frame;
  const top = gateStack + u64(bytes) - 8;
  const first = reach(top, 8, access);
  if (first != 0) {
    raise(14, g32(X_ERROR), true);
    s64(X_ADDRESS, (top & ~u64(0xfff)) - 8);
  }
  return 0;
}

/** The stack that the gate switches to: IST, the ring's own, or none. */
function chooseStack(ist: u32, next: u32, ext: u32): bool {
  if (ist == 0 && next == g32(CPL)) {
    gateStack = g64(RSP);
    return true;
  }
  const tr = segmentAt(TR);
  const offset: u32 = ist != 0 ? 28 + ist * 8 : 4 + next * 8;
  if (offset + 7 > g32(tr + SEGMENT_LIMIT)) return ts((g32(tr + SEGMENT_SELECTOR) & 0xfffc) | ext);
  const at = reach(g64(tr) + u64(offset), 8, READ | IMPLICIT);
  if (at == 0) return false;
  gateStack = load<u64>(at);
  return canonical(gateStack) ? true : ss(ext);
}
