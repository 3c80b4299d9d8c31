/**
 * Returns: IRET and far RET, to the same ring or an outer one, in real, protected, compatibility and 64-bit mode. Sources: SDM 2A
 * IRET, SDM 2B RET, SDM 3A 5.8.6, 6.14.3. In IA-32e mode IRET with NT is #GP; a task return by NT and IRET to virtual-8086
 * mode elsewhere are #GP too: neither is modelled.
 */
import { CPL, INTERRUPTIBILITY, RFLAGS, SS } from './layout';
import { F_NT, F_RF, F_VM, g32, g64, gp, np, s32, s64, ss } from './state';
import { R_IMMEDIATE, R_SIZE } from './record';
import { flags, setFlagsWhole } from './flags';
import { legacy, real, setStackTop, stackAt, stackDrop } from './legacy';
import { loadSized } from './arithmetic';
import { baseFrom, dropInner, findDescriptor, limitFrom, markAccessed, refused, rightsFrom, setSegment } from './segments';
import { changeFlags } from './stack';
import { refreshAttention } from './attention';
import { enterCode, land, longMode, reachable, realCode } from './transfer';

/** Descriptor of the code segment that is returned to: in `code`, or a fault. */
let code: u64 = 0;
function codeSegment(selector: u32): bool {
  if ((selector & 0xfffc) == 0) return gp(0);
  const at = findDescriptor(selector, 8);
  if (at == 0) return refused(selector);
  code = load<u64>(at);
  const rights = rightsFrom(code);
  const rpl = selector & 3;
  const dpl = (rights >> 5) & 3;
  const wrong = selector & 0xfffc;
  if (rpl < g32(CPL) || (rights & 0x18) != 0x18) return gp(wrong);
  if ((rights & 0x6000) == 0x6000 && longMode()) return gp(wrong);
  if ((rights & 4) != 0 ? dpl > rpl : dpl != rpl) return gp(wrong);
  return (rights & 0x80) == 0 ? np(wrong) : true;
}

/** The stack segment of the ring that is returned to: in `stack`; 0 is the null selector. */
let stack: u64 = 0;
function stackSegment(selector: u32, ring: u32): bool {
  stack = 0;
  // null is good for 64-bit code above ring 3
  if ((selector & 0xfffc) == 0) return longMode() && (rightsFrom(code) & 0x2000) != 0 && ring != 3 ? true : gp(0);
  const at = findDescriptor(selector, 8);
  if (at == 0) return refused(selector);
  stack = load<u64>(at);
  const rights = rightsFrom(stack);
  if ((selector & 3) != ring || (rights & 0x1a) != 0x12 || ((rights >> 5) & 3) != ring) return gp(selector & 0xfffc);
  return (rights & 0x80) == 0 ? ss(selector & 0xfffc) : true;
}

function enterStack(selector: u32, ring: u32, top: u64): bool {
  if (stack == 0) setSegment(SS, selector, 0, 0, 0x10000 | (ring << 5));
  else {
    if (findDescriptor(selector, 8) == 0 || !markAccessed(stack)) return false;
    setSegment(SS, selector, baseFrom(stack), limitFrom(stack), rightsFrom(stack) | 1);
  }
  setStackTop(top);
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
  returnFlags(given, size);
  return true;
}

/** Flags by the privilege of the ring that returns; RF comes from the frame. NMIs are open again. */
function returnFlags(given: u64, size: u32): void {
  const virtual: u64 = g32(CPL) == 0 && size != 1 && !real() ? given & 0x180000 : 0;
  changeFlags(given & ~F_VM, size == 1 ? 0xffff : ~u64(0));
  if (size != 1) setFlagsWhole((flags() & ~u64(g32(CPL) == 0 && !real() ? 0x180000 : 0)) | (given & F_RF) | virtual);
  s32(INTERRUPTIBILITY, g32(INTERRUPTIBILITY) & ~8);
  refreshAttention();
}

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
  if (!longMode() && size != 1 && (given & F_VM) != 0 && g32(CPL) == 0) return gp(0);
  if (!codeSegment(selector)) return false;
  const ring = selector & 3;
  const outer = ring > g32(CPL);
  // outside 64-bit mode the stack is in the frame only when the ring changes
  const switches = !short || outer;
  if (short && outer) {
    frame = stackAt(0, 5 << size);
    if (frame == 0) return false;
  }
  const top = switches ? loadSized(frame + usize(3 * step), size) : 0;
  const stackSelector = switches ? u32(loadSized(frame + usize(4 * step), size)) & 0xffff : 0;
  if (switches && !stackSegment(stackSelector, ring)) return false;
  if (!reachable(code, target)) return gp(0);
  if (!switches) stackDrop(3 * step);
  returnFlags(given, size);
  if (!enterCode(selector, code, ring) || (switches && !enterStack(stackSelector, ring, top))) return false;
  if (outer) dropInner(ring);
  return land(code, target);
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
  if (!codeSegment(selector)) return false;
  const ring = selector & 3;
  if (ring == g32(CPL)) {
    if (!reachable(code, target)) return gp(0);
    stackDrop(2 * step + extra);
    if (!enterCode(selector, code, ring)) return false;
    return land(code, target);
  }
  const outer = stackAt(2 * step + extra, 2 << size);
  if (outer == 0) return false;
  const top = loadSized(outer, size);
  const stackSelector = u32(loadSized(outer + usize(step), size)) & 0xffff;
  if (!stackSegment(stackSelector, ring)) return false;
  if (!reachable(code, target)) return gp(0);
  if (!enterCode(selector, code, ring) || !enterStack(stackSelector, ring, top)) return false;
  stackDrop(extra);
  dropInner(ring);
  return land(code, target);
}
