/**
 * Far JMP and CALL, straight to a code segment or through a call gate (8 bytes, 16 in IA-32e mode), with the stack of an inner
 * ring from the TSS. Sources: SDM 2A CALL, JMP; SDM 3A 5.8 (privilege, gates, stack switching), 5.8.3.1 for 64-bit gates.
 * Task gates and TSS descriptors are #GP: hardware task switches are not modelled.
 */
import { CPL, CS, EFER, GPR, RIP, SEGMENT_LIMIT, SS } from './layout';
import { canonical, EFER_LMA, g32, g64, gp, np, s64, setPrivilege } from './state';
import { R_IMMEDIATE, R_OP, R_SIZE } from './record';
import { rd } from './memory';
import { ea, following } from './operand';
import { pushValue } from './operate';
import { behind, pushSized, real, stackAt } from './legacy';
import { loadSized } from './arithmetic';
import { baseFrom, findDescriptor, limitFrom, loadReal, markAccessed, refused, rightsFrom, segmentAt, selectorOf, setSegment } from './segments';
import { codeChanged } from './mode';
import { innerStack, pushedInner, takeInnerStack } from './inner-stack';

const RSP: usize = GPR + 32;

@inline export function longMode(): bool { return (g64(EFER) & EFER_LMA) != 0; }

/** Loads CS from a descriptor that was checked; its accessed bit is set. False: writing the table failed. */
export function enterCode(selector: u32, descriptor: u64, cpl: u32): bool {
  if (findDescriptor(selector, 8) == 0 || !markAccessed(descriptor)) return false;
  setSegment(CS, (selector & 0xfffc) | cpl, baseFrom(descriptor), limitFrom(descriptor), rightsFrom(descriptor) | 1);
  if (g32(CPL) != cpl) setPrivilege(cpl);
  codeChanged();
  return true;
}

@inline function wideCode(descriptor: u64): bool { return longMode() && (rightsFrom(descriptor) & 0x2000) != 0; }
/** Is the target good for a code segment? In 64-bit code canonical, elsewhere its 32 bits within the limit. */
export function reachable(descriptor: u64, target: u64): bool {
  return wideCode(descriptor) ? canonical(target) : u32(target) <= limitFrom(descriptor);
}
/** Goes there; outside 64-bit code the pointer has 32 bits. */
export function land(descriptor: u64, target: u64): bool {
  s64(RIP, wideCode(descriptor) ? target : u64(u32(target)));
  return true;
}

export function realCode(selector: u32, target: u64): bool {
  if (target > u64(g32(segmentAt(CS) + SEGMENT_LIMIT))) return gp(0);
  loadReal(CS, selector);
  codeChanged();
  s64(RIP, target);
  return true;
}

/** Is it a code segment that a jump from this ring may enter? With `inward` a gate may lead to an inner ring. */
function codeRefused(selector: u32, descriptor: u64, rpl: u32, inward: bool): bool {
  const rights = rightsFrom(descriptor);
  const cpl = g32(CPL);
  const dpl = (rights >> 5) & 3;
  const wrong = selector & 0xfffc;
  if ((rights & 0x18) != 0x18) return !gp(wrong);
  if (longMode() && (rights & 0x6000) == 0x6000) return !gp(wrong);
  if (inward || (rights & 4) != 0 ? dpl > cpl : rpl > cpl || dpl != cpl) return !gp(wrong);
  return (rights & 0x80) == 0 ? !np(wrong) : false;
}

/** Offset and selector behind the operation, in the code or in memory. */
let farTarget: u64 = 0;
let farSelector: u32 = 0;
function farPointer(p: usize): bool {
  const size: u32 = load<u8>(p, R_SIZE);
  const direct = (load<u16>(p, R_OP) & 12) == 0;
  let at = direct ? p + R_IMMEDIATE : rd(ea(p), 1 << size);
  if (at == 0) return false;
  farTarget = loadSized(at, size);
  at = direct ? p + R_IMMEDIATE + (1 << size) : behind(p, 1 << size, 2);
  if (at == 0) return false;
  farSelector = load<u16>(at);
  return true;
}

export function jumpFar(p: usize): bool { return transfer(p, false); }
export function callFar(p: usize): bool { return transfer(p, true); }

function transfer(p: usize, calls: bool): bool {
  if (!farPointer(p)) return false;
  const size: u32 = load<u8>(p, R_SIZE);
  const target = farTarget;
  const selector = farSelector;
  if (real()) return realTransfer(selector, target, size, following(p), calls);
  if ((selector & 0xfffc) == 0) return gp(0);
  const found = findDescriptor(selector, 8);
  if (found == 0) return refused(selector);
  const descriptor = load<u64>(found);
  if ((rightsFrom(descriptor) & 0x10) == 0) return throughGate(selector, descriptor, following(p), calls);
  if (codeRefused(selector, descriptor, selector & 3, false)) return false;
  const top = g64(RSP);
  if (calls) {
    if (!pushSized(size, u64(selectorOf(CS))) || !pushSized(size, following(p))) return restoreTop(top);
  }
  if (!reachable(descriptor, target)) {
    restoreTop(top);
    return gp(0);
  }
  if (!enterCode(selector, descriptor, g32(CPL))) return restoreTop(top);
  return land(descriptor, target);
}
function restoreTop(top: u64): bool {
  s64(RSP, top);
  return false;
}

function realTransfer(selector: u32, target: u64, size: u32, back: u64, calls: bool): bool {
  const top = g64(RSP);
  if (calls && (!pushSized(size, u64(selectorOf(CS))) || !pushSized(size, back))) return restoreTop(top);
  return realCode(selector, target) ? true : restoreTop(top);
}

/** A gate of 16 bytes uses all of RSP, in compatibility mode too. */
function put(size: u32, value: u64): bool { return size == 3 ? pushValue<u64>(value) : pushSized(size, value); }

/** A system descriptor: only call gates lead anywhere. */
function throughGate(gateSelector: u32, gate: u64, back: u64, calls: bool): bool {
  const rights = rightsFrom(gate);
  const kind = rights & 0x1f;
  const wide = longMode();
  const wrong = gateSelector & 0xfffc;
  if (kind != 12 && (kind != 4 || wide)) return gp(wrong);
  const dpl = (rights >> 5) & 3;
  if (dpl < g32(CPL) || dpl < (gateSelector & 3)) return gp(wrong);
  let target = kind == 4 ? gate & 0xffff : (gate & 0xffff) | ((gate >> 32) & 0xffff0000);
  if (wide) {
    const whole = findDescriptor(gateSelector, 16);
    if (whole == 0) return refused(gateSelector);
    const high = load<u64>(whole + 8);
    if (((high >> 40) & 0x1f) != 0) return gp(wrong);
    target |= high << 32;
  }
  if ((rights & 0x80) == 0) return np(wrong);
  const selector = u32(gate >> 16) & 0xffff;
  if ((selector & 0xfffc) == 0) return gp(0);
  const found = findDescriptor(selector, 8);
  if (found == 0) return refused(selector);
  const descriptor = load<u64>(found);
  if (codeRefused(selector, descriptor, 0, calls)) return false;
  if (wide && (rightsFrom(descriptor) & 0x6000) != 0x2000) return gp(selector & 0xfffc);
  const size: u32 = wide ? 3 : kind == 12 ? 2 : 1;
  const ring = (rightsFrom(descriptor) >> 5) & 3;
  const inner = calls && (rightsFrom(descriptor) & 4) == 0 && ring < g32(CPL);
  if (inner) return callInner(selector, descriptor, target, size, u32(gate >> 32) & 31, ring, back);
  const top = g64(RSP);
  if (calls && (!put(size, u64(selectorOf(CS))) || !put(size, back))) return restoreTop(top);
  if (!reachable(descriptor, target)) {
    restoreTop(top);
    return gp(0);
  }
  if (!enterCode(selector, descriptor, g32(CPL))) return restoreTop(top);
  return land(descriptor, target);
}

/** Parameters that a gate of 8 bytes copies to the inner stack, read before the stacks change. */
const PARAMETERS: usize = memory.data(31 * 4);

function callInner(selector: u32, descriptor: u64, target: u64, size: u32, given: u32, ring: u32, back: u64): bool {
  const count: u32 = longMode() ? 0 : given;
  if (!innerStack(ring, 0)) return false;
  for (let n: u32 = 0; n < count; n++) {
    const at = stackAt(u64(n << size), 1 << size);
    if (at == 0) return false;
    store<u32>(PARAMETERS + (n << 2), u32(loadSized(at, size)));
  }
  if (!reachable(descriptor, target)) return gp(0);
  const code = u64(selectorOf(CS));
  const oldStack = u64(selectorOf(SS));
  const oldTop = g64(RSP);
  takeInnerStack(ring);
  let good = put(size, oldStack) && put(size, oldTop);
  for (let n = count; good && n > 0; n--) good = put(size, u64(load<u32>(PARAMETERS + ((n - 1) << 2))));
  good = good && put(size, code) && put(size, back);
  if (!pushedInner(good, 0) || !enterCode(selector, descriptor, ring)) return false;
  return land(descriptor, target);
}
