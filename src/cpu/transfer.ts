/**
 * Control transfers that may change privilege: IRET, far JMP, CALL and RET, SYSCALL and SYSRET. Sources: SDM 2 of each, SDM 3A
 * 5.8. Call gates and task gates: #GP. IRET to virtual-8086 mode is #GP, a task switch by NT too.
 */
import { CPL, CS, EFER, FMASK, GPR, INTERRUPTIBILITY, LSTAR, RFLAGS, RIP, SEGMENT_LIMIT, SEGMENT_RIGHTS, SEGMENT_SELECTOR, SS, STAR, TRAP_SYSCALL, TRAPS } from './layout';
import { canonical, EFER_LMA, EFER_SCE, F_NT, F_RF, F_VM, g32, g64, gp, guest, np, s32, s64, setPrivilege, ss, trap, ud } from './state';
import { R_IMMEDIATE, R_LENGTH, R_OP, R_SIZE } from './record';
import { flags, setFlagsWhole } from './flags';
import { flushFast, rd } from './memory';
import { ea, following } from './execute';
import { legacy, pushSized, real, setStackTop, stackAt, stackDrop } from './legacy';
import { loadSized } from './arithmetic';
import { baseFrom, dropInner, findDescriptor, limitFrom, loadReal, markAccessed, refused, rightsFrom, segmentAt, setSegment } from './segments';
import { changeFlags } from './stack';
import { modeChanged } from './mode';
import { refreshAttention } from './attention';

const RCX: usize = GPR + 8;
const RSP: usize = GPR + 32;
const R11: usize = GPR + 88;

/** Descriptor of a code segment to go to: `code` and true, or a fault. `outward`: a return may go to an outer ring. */
let code: u64 = 0;
function codeSegment(selector: u32, outward: bool): bool {
  if ((selector & 0xfffc) == 0) return gp(0);
  const at = findDescriptor(selector, 8);
  if (at == 0) return refused(selector);
  code = load<u64>(at);
  const rights = rightsFrom(code);
  const cpl = g32(CPL);
  const rpl = selector & 3;
  const dpl = (rights >> 5) & 3;
  const wrong = gpSelector(selector);
  if ((rights & 0x18) != 0x18) return gp(wrong);
  if ((rights & 0x6000) == 0x6000 && (g64(EFER) & EFER_LMA) != 0) return gp(wrong);
  if (outward) {
    if (rpl < cpl) return gp(wrong);
    if ((rights & 4) != 0 ? dpl > rpl : dpl != rpl) return gp(wrong);
  } else if ((rights & 4) != 0 ? dpl > cpl : rpl > cpl || dpl != cpl) return gp(wrong);
  if ((rights & 0x80) == 0) return np(wrong);
  return markAccessed(code);
}
@inline function gpSelector(selector: u32): u32 { return selector & 0xfffc; }

function enterCode(selector: u32, cpl: u32): void {
  const old = g32(segmentAt(CS) + SEGMENT_RIGHTS);
  const oldBase = g64(segmentAt(CS));
  const rights = rightsFrom(code) | 1;
  setSegment(CS, (selector & 0xfffc) | cpl, baseFrom(code), limitFrom(code), rights);
  if (g32(CPL) != cpl) setPrivilege(cpl);
  if (((rights ^ old) & 0x6000) != 0 || (baseFrom(code) != oldBase && (legacy() || (rights & 0x2000) == 0))) modeChanged();
}

/** Is the target good for the code segment `code`? In 64-bit code canonical, elsewhere within the limit. */
function reachable(target: u64): bool {
  const wide = (g64(EFER) & EFER_LMA) != 0 && (rightsFrom(code) & 0x2000) != 0;
  return wide ? canonical(target) : target <= u64(limitFrom(code));
}

function realCode(selector: u32, target: u64): bool {
  if (target > u64(g32(segmentAt(CS) + SEGMENT_LIMIT))) return gp(0);
  loadReal(CS, selector);
  modeChanged();
  s64(RIP, target);
  return true;
}

function realInterruptReturn(size: u32): bool {
  const step: u64 = u64(1) << u64(size);
  const frame = stackAt(0, 3 << size);
  if (frame == 0) return false;
  const target = loadSized(frame, size);
  const selector = u32(loadSized(frame + usize(step), size)) & 0xffff;
  const given = loadSized(frame + usize(2 * step), size);
  if (!realCode(selector, target)) return false;
  stackDrop(3 * step);
  changeFlags(given & ~F_VM, size == 1 ? 0xffff : ~u64(0));
  s32(INTERRUPTIBILITY, g32(INTERRUPTIBILITY) & ~8);
  refreshAttention();
  return true;
}

/** The stack segment of the ring that is returned to. */
function checkStack(selector: u32, cpl: u32, target: u32): bool {
  if ((selector & 0xfffc) == 0) {
    // null is good for 64-bit code above ring 3
    if ((target & 0x2000) != 0 && cpl != 3 && (selector & 3) == cpl) {
      stackRights = 0x10000 | (cpl << 5);
      stackLimit = 0;
      stackBase = 0;
      return true;
    }
    return gp(0);
  }
  const at = findDescriptor(selector, 8);
  if (at == 0) return refused(selector);
  const descriptor = load<u64>(at);
  const rights = rightsFrom(descriptor);
  if ((selector & 3) != cpl || (rights & 0x1a) != 0x12 || ((rights >> 5) & 3) != cpl) return gp(selector & 0xfffc);
  if ((rights & 0x80) == 0) return ss(selector & 0xfffc);
  if (!markAccessed(descriptor)) return false;
  stackRights = rights | 1;
  stackLimit = limitFrom(descriptor);
  stackBase = baseFrom(descriptor);
  return true;
}
let stackRights: u32 = 0;
let stackLimit: u32 = 0;
let stackBase: u64 = 0;

export function interruptReturn(p: usize): bool {
  const size: u32 = load<u8>(p, R_SIZE);
  if (real()) return realInterruptReturn(size);
  if ((g64(RFLAGS) & F_NT) != 0) return gp(0);
  const step: u64 = u64(1) << u64(size);
  const short = legacy();
  let frame = stackAt(0, short ? 3 << size : 5 << size);
  if (frame == 0) return false;
  const target = loadSized(frame, size);
  const selector = u32(loadSized(frame + usize(step), size)) & 0xffff;
  const given = loadSized(frame + usize(2 * step), size);
  if (short && size != 1 && (given & F_VM) != 0 && g32(CPL) == 0) return gp(0);
  const outer = (selector & 3) > g32(CPL);
  // outside 64-bit mode the stack is in the frame only when the ring changes
  const switches = !short || outer;
  if (short && outer) {
    frame = stackAt(0, 5 << size);
    if (frame == 0) return false;
  }
  const stack = switches ? loadSized(frame + usize(3 * step), size) : 0;
  const stackSelector = switches ? u32(loadSized(frame + usize(4 * step), size)) & 0xffff : 0;
  if (!codeSegment(selector, true)) return false;
  const chosen = code;
  if (switches && !checkStack(stackSelector, selector & 3, rightsFrom(chosen))) return false;
  code = chosen;
  if (!reachable(target)) return gp(0);
  if (!switches) stackDrop(3 * step);
  // flags by the privilege of the ring that returns; RF comes from the frame
  const keepRf = given & F_RF;
  changeFlags(given & ~F_VM, size == 1 ? 0xffff : ~u64(0));
  if (size != 1) setFlagsWhole(flags() | keepRf);
  enterCode(selector, selector & 3);
  if (switches) {
    setSegment(SS, stackSelector, stackBase, stackLimit, stackRights);
    setStackTop(stack);
  }
  s64(RIP, target);
  if (outer) dropInner(selector & 3);
  s32(INTERRUPTIBILITY, g32(INTERRUPTIBILITY) & ~8);
  refreshAttention();
  return true;
}

export function returnFar(p: usize): bool {
  const size: u32 = load<u8>(p, R_SIZE);
  const step: u64 = u64(1) << u64(size);
  const extra = load<u64>(p, R_IMMEDIATE);
  const frame = stackAt(0, 2 << size);
  if (frame == 0) return false;
  const target = loadSized(frame, size);
  const selector = u32(loadSized(frame + usize(step), size)) & 0xffff;
  if (real()) {
    if (!realCode(selector, target)) return false;
    stackDrop(2 * step + extra);
    return true;
  }
  if (!codeSegment(selector, true)) return false;
  const chosen = code;
  if (!reachable(target)) return gp(0);
  if ((selector & 3) > g32(CPL)) {
    const outer = stackAt(2 * step + extra, 2 << size);
    if (outer == 0) return false;
    const stack = loadSized(outer, size);
    const stackSelector = u32(loadSized(outer + usize(step), size)) & 0xffff;
    if (!checkStack(stackSelector, selector & 3, rightsFrom(chosen))) return false;
    code = chosen;
    enterCode(selector, selector & 3);
    setSegment(SS, stackSelector, stackBase, stackLimit, stackRights);
    setStackTop(stack + extra);
    dropInner(selector & 3);
  } else {
    stackDrop(2 * step + extra);
    enterCode(selector, g32(CPL));
  }
  s64(RIP, target);
  return true;
}

/** Offset and selector in memory; gates are not modelled, so only code segments are good. */
function farPointer(p: usize): usize {
  if ((load<u16>(p, R_OP) & 12) == 0) return p + R_IMMEDIATE;
  return rd(ea(p), (1 << u32(load<u8>(p, R_SIZE))) + 2);
}

export function jumpFar(p: usize): bool {
  const at = farPointer(p);
  if (at == 0) return false;
  const size: u32 = load<u8>(p, R_SIZE);
  const target = loadSized(at, size);
  const selector: u32 = load<u16>(at + (1 << size));
  if (real()) return realCode(selector, target);
  if (!codeSegment(selector, false)) return false;
  if (!reachable(target)) return gp(0);
  enterCode(selector, g32(CPL));
  s64(RIP, target);
  return true;
}

export function callFar(p: usize): bool {
  const at = farPointer(p);
  if (at == 0) return false;
  const size: u32 = load<u8>(p, R_SIZE);
  const target = loadSized(at, size);
  const selector: u32 = load<u16>(at + (1 << size));
  if (!real() && !codeSegment(selector, false)) return false;
  const chosen = code;
  if (!real() && !reachable(target)) return gp(0);
  const old = u64(g32(segmentAt(CS) + SEGMENT_SELECTOR));
  const top = g64(RSP);
  const back = following(p);
  const pushed = pushSized(size, old) && pushSized(size, back);
  if (!pushed) {
    s64(RSP, top);
    return false;
  }
  if (real()) return realCode(selector, target);
  code = chosen;
  enterCode(selector, g32(CPL));
  s64(RIP, target);
  return true;
}

export function systemCall(p: usize): bool {
  if ((g64(EFER) & EFER_SCE) == 0) return ud();
  if (g32(TRAPS) != 0 && !guest()) return trap(TRAP_SYSCALL, 4, load<u8>(p, R_LENGTH));
  const before = flags();
  s64(RCX, following(p));
  s64(R11, before & ~F_RF);
  s64(RIP, g64(LSTAR));
  setFlagsWhole(before & ~g64(FMASK) & ~F_RF);
  const selector = u32(g64(STAR) >> 32) & 0xfffc;
  setSegment(CS, selector, 0, 0xffffffff, 0xa09b);
  setSegment(SS, selector + 8, 0, 0xffffffff, 0xc093);
  setPrivilege(0);
  if (((before ^ g64(RFLAGS)) & 0x40000) != 0) flushFast();
  refreshAttention();
  return true;
}

export function systemReturn(p: usize): bool {
  if ((g64(EFER) & EFER_SCE) == 0) return ud();
  const wide = load<u8>(p, R_SIZE) == 3;
  const target = g64(RCX);
  if (wide && !canonical(target)) return gp(0);
  const base = u32(g64(STAR) >> 48);
  const before = g64(RFLAGS);
  setFlagsWhole((g64(R11) & 0x3c7fd7) | 2);
  s64(RIP, wide ? target : target & 0xffffffff);
  setSegment(CS, (base + (wide ? 16 : 0)) | 3, 0, 0xffffffff, wide ? 0xa0fb : 0xc0fb);
  setSegment(SS, (base + 8) | 3, 0, 0xffffffff, 0xc0f3);
  setPrivilege(3);
  if (((before ^ g64(RFLAGS)) & 0x40000) != 0) flushFast();
  if (!wide) modeChanged();
  refreshAttention();
  return true;
}
