/**
 * Control transfers that may change privilege: IRET, far JMP, CALL and RET, SYSCALL and SYSRET. Sources: SDM 2 of each, SDM 3A
 * 5.8. Only code segments of 64-bit mode are entered and left; returning to compatibility mode loads its segment, and the
 * next instruction raises #UD because that mode is not modelled. Call gates and task gates: #GP.
 */
import { CPL, CS, EFER, FMASK, GPR, INTERRUPTIBILITY, LSTAR, RFLAGS, RIP, SEGMENT_RIGHTS, SEGMENT_SELECTOR, SS, STAR } from './layout';
import { canonical, EFER_SCE, F_NT, F_RF, F_VM, g32, g64, gp, np, s32, s64, setPrivilege, ss, ud } from './state';
import { R_IMMEDIATE, R_SIZE } from './record';
import { flags, setFlagsWhole } from './flags';
import { flushFast, rd } from './memory';
import { ea, following, pushValue } from './execute';
import { loadSized } from './arithmetic';
import { baseFrom, dropInner, findDescriptor, limitFrom, markAccessed, refused, rightsFrom, segmentAt, setSegment } from './segments';
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
  if ((rights & 0x6000) == 0x6000) return gp(wrong);
  if (outward) {
    if (rpl < cpl) return gp(wrong);
    if ((rights & 4) != 0 ? dpl > rpl : dpl != rpl) return gp(wrong);
  } else if ((rights & 4) != 0 ? dpl > cpl : rpl > cpl || dpl != cpl) return gp(wrong);
  if ((rights & 0x80) == 0) return np(wrong);
  return markAccessed(code);
}
@inline function gpSelector(selector: u32): u32 { return selector & 0xfffc; }

function enterCode(selector: u32, cpl: u32): void {
  const before = g32(segmentAt(CS) + SEGMENT_RIGHTS) & 0x2000;
  const rights = rightsFrom(code) | 1;
  setSegment(CS, (selector & 0xfffc) | cpl, baseFrom(code), limitFrom(code), rights);
  if (g32(CPL) != cpl) setPrivilege(cpl);
  if ((rights & 0x2000) != before) modeChanged();
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
  if ((g64(RFLAGS) & F_NT) != 0) return gp(0);
  const size: u32 = load<u8>(p, R_SIZE);
  const step: u64 = u64(1) << u64(size);
  const frame = rd(g64(RSP), 5 << size);
  if (frame == 0) return false;
  const target = loadSized(frame, size);
  const selector = u32(loadSized(frame + usize(step), size)) & 0xffff;
  const given = loadSized(frame + usize(2 * step), size);
  const stack = loadSized(frame + usize(3 * step), size);
  const stackSelector = u32(loadSized(frame + usize(4 * step), size)) & 0xffff;
  if (!codeSegment(selector, true)) return false;
  const chosen = code;
  if (!checkStack(stackSelector, selector & 3, rightsFrom(chosen))) return false;
  if (!canonical(target)) return gp(0);
  code = chosen;
  const outer = (selector & 3) > g32(CPL);
  // flags by the privilege of the ring that returns; RF comes from the frame
  const keepRf = given & F_RF;
  changeFlags(given & ~F_VM, size == 1 ? 0xffff : ~u64(0));
  if (size != 1) setFlagsWhole(flags() | keepRf);
  enterCode(selector, selector & 3);
  setSegment(SS, stackSelector, stackBase, stackLimit, stackRights);
  s64(RSP, stack);
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
  const frame = rd(g64(RSP), 2 << size);
  if (frame == 0) return false;
  const target = loadSized(frame, size);
  const selector = u32(loadSized(frame + usize(step), size)) & 0xffff;
  if (!codeSegment(selector, true)) return false;
  const chosen = code;
  if (!canonical(target)) return gp(0);
  if ((selector & 3) > g32(CPL)) {
    const outer = rd(g64(RSP) + 2 * step + extra, 2 << size);
    if (outer == 0) return false;
    const stack = loadSized(outer, size);
    const stackSelector = u32(loadSized(outer + usize(step), size)) & 0xffff;
    if (!checkStack(stackSelector, selector & 3, rightsFrom(chosen))) return false;
    code = chosen;
    enterCode(selector, selector & 3);
    setSegment(SS, stackSelector, stackBase, stackLimit, stackRights);
    s64(RSP, stack + extra);
    dropInner(selector & 3);
  } else {
    enterCode(selector, g32(CPL));
    s64(RSP, g64(RSP) + 2 * step + extra);
  }
  s64(RIP, target);
  return true;
}

/** Offset and selector in memory; gates are not modelled, so only code segments are good. */
function farPointer(p: usize): usize { return rd(ea(p), (1 << u32(load<u8>(p, R_SIZE))) + 2); }

export function jumpFar(p: usize): bool {
  const at = farPointer(p);
  if (at == 0) return false;
  const size: u32 = load<u8>(p, R_SIZE);
  const target = loadSized(at, size);
  const selector: u32 = load<u16>(at + (1 << size));
  if (!codeSegment(selector, false)) return false;
  if (!canonical(target)) return gp(0);
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
  if (!codeSegment(selector, false)) return false;
  const chosen = code;
  if (!canonical(target)) return gp(0);
  const old = u64(g32(segmentAt(CS) + SEGMENT_SELECTOR));
  const top = g64(RSP);
  const back = following(p);
  const pushed = size == 3 ? pushValue<u64>(old) && pushValue<u64>(back) : size == 2 ? pushValue<u32>(u32(old)) && pushValue<u32>(u32(back)) : pushValue<u16>(u16(old)) && pushValue<u16>(u16(back));
  if (!pushed) {
    s64(RSP, top);
    return false;
  }
  code = chosen;
  enterCode(selector, g32(CPL));
  s64(RIP, target);
  return true;
}

export function systemCall(p: usize): bool {
  if ((g64(EFER) & EFER_SCE) == 0) return ud();
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
