/**
 * The stack of an inner ring, as call gates and interrupt gates take it from the TSS: 16-bit, 32-bit, and in IA-32e mode a stack
 * pointer with a null selector. Sources: SDM 3A 5.8.5, 6.12.1, 7.2.1, 7.7.
 */
import { CPL, GPR, SEGMENT_LIMIT, SEGMENT_RIGHTS, SEGMENT_SELECTOR, SS, TR } from './layout';
import { canonical, g32, g64, PEND, PEND_EXCEPTION, s32, s64, setPrivilege, ss, ts, X_ERROR, X_VECTOR } from './state';
import { reach } from './memory';
import { IMPLICIT, READ } from './paging';
import { baseFrom, findDescriptor, limitFrom, markAccessed, rightsFrom, segmentAt, setSegment } from './segments';
import { setStackTop } from './legacy';
import { longMode } from './transfer';

const RSP: usize = GPR + 32;

let top: u64 = 0;
let selector: u32 = 0;
let descriptor: u64 = 0;

/** Reads and checks the stack of a ring; false with #TS or #SS. `ext`: bit 0 of the error codes. */
export function innerStack(ring: u32, ext: u32): bool {
  const tr = segmentAt(TR);
  const task = (g32(tr + SEGMENT_SELECTOR) & 0xfffc) | ext;
  const long = longMode();
  const wide = (g32(tr + SEGMENT_RIGHTS) & 8) != 0;
  const offset: u32 = wide ? 4 + ring * 8 : 2 + ring * 4;
  const bytes: u32 = long ? 8 : wide ? 6 : 4;
  if (offset + bytes - 1 > g32(tr + SEGMENT_LIMIT)) return ts(task);
  const at = reach(g64(tr) + u64(offset), bytes, READ | IMPLICIT);
  if (at == 0) return false;
  if (long) {
    top = load<u64>(at);
    selector = ring;
    return canonical(top) ? true : ss(ext);
  }
  top = wide ? u64(load<u32>(at)) : u64(load<u16>(at));
  selector = wide ? load<u16>(at + 4) : load<u16>(at + 2);
  return checked(ring, ext);
}

function checked(ring: u32, ext: u32): bool {
  if ((selector & 0xfffc) == 0) return ts(ext);
  const wrong = (selector & 0xfffc) | ext;
  const found = findDescriptor(selector, 8);
  if (found == 0) return g32(PEND) != 0 ? false : ts(wrong);
  descriptor = load<u64>(found);
  const rights = rightsFrom(descriptor);
  if ((selector & 3) != ring || (rights & 0x1a) != 0x12 || ((rights >> 5) & 3) != ring) return ts(wrong);
  if ((rights & 0x80) == 0) return ss(wrong);
  return markAccessed(descriptor);
}

let oldBase: u64 = 0;
let oldLimit: u32 = 0;
let oldRights: u32 = 0;
let oldSelector: u32 = 0;
let oldTop: u64 = 0;
let oldRing: u32 = 0;

/** From here on pushes go to the inner stack, with the inner ring's rights. */
export function takeInnerStack(ring: u32): void {
  const stack = segmentAt(SS);
  oldBase = g64(stack);
  oldLimit = g32(stack + SEGMENT_LIMIT);
  oldRights = g32(stack + SEGMENT_RIGHTS);
  oldSelector = g32(stack + SEGMENT_SELECTOR);
  oldTop = g64(RSP);
  oldRing = g32(CPL);
  if (longMode()) setSegment(SS, ring, 0, 0, 0x10000 | (ring << 5));
  else setSegment(SS, selector, baseFrom(descriptor), limitFrom(descriptor), rightsFrom(descriptor) | 1);
  setPrivilege(ring);
  // on a stack of 16 bits the upper half of ESP stays
  if (longMode()) s64(RSP, top);
  else setStackTop(top);
}

/** Ends the pushes: when they failed, stack and ring are as before, and #SS names the inner stack. */
export function pushedInner(good: bool, ext: u32): bool {
  if (good) return true;
  if (g32(PEND) == PEND_EXCEPTION && g32(X_VECTOR) == 12) s32(X_ERROR, (selector & 0xfffc) | ext);
  setSegment(SS, oldSelector, oldBase, oldLimit, oldRights);
  setPrivilege(oldRing);
  s64(RSP, oldTop);
  return false;
}
