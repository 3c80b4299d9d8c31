/** Flags by the stack and AH, stack frames, LOOP and XLAT. Source: SDM 2; what POPF may change: SDM 2B POPF table 4-16. */
import { CPL, GPR, PAGE_BASE, RFLAGS, SEGMENT_SIZE, SEGMENTS, SS } from './layout';
import { F_AC, F_ARITHMETIC, F_DF, F_IF, F_IOPL, F_NT, F_RF, F_TF, F_VM, g32, g64, s64 } from './state';
import { R_DISPLACEMENT, R_FLAGS, R_IMMEDIATE, R_SEGMENT, R_SIZE, RF_A16, RF_NARROW } from './record';
import { flags, setFlagsWhole, zf } from './flags';
import { commit, flushFast, rd, wr } from './memory';
import { goTo, legacy, pushSized, setStackTop, stackAt, stackDrop, stackMask, stackTop, within } from './legacy';
import { loadSized, putSized } from './arithmetic';
import { go } from './operate';
import { refreshAttention } from './attention';

const RCX: usize = GPR + 8;
const RSP: usize = GPR + 32;
const RBP: usize = GPR + 40;

/** LOOPNE, LOOPE, LOOP, JRCXZ by the immediate 0..3; RCX or, with address size 32, ECX. */
export function loop(p: usize): bool {
  const narrow = (load<u8>(p, R_FLAGS) & RF_NARROW) != 0;
  const short = (load<u8>(p, R_FLAGS) & RF_A16) != 0;
  const kind = load<u32>(p, R_IMMEDIATE);
  let count = short ? u64(load<u16>(RCX)) : narrow ? u64(load<u32>(RCX)) : g64(RCX);
  const before = g64(RCX);
  if (kind != 3) {
    count = short ? u64(u16(count - 1)) : narrow ? u64(u32(count - 1)) : count - 1;
    if (short) store<u16>(RCX, u16(count));
    else s64(RCX, count);
  }
  const taken = kind == 3 ? count == 0 : count != 0 && (kind == 2 || zf() == (kind == 1));
  if (!taken) return true;
  const target = g64(PAGE_BASE) + load<u64>(p, R_DISPLACEMENT);
  const gone = legacy() ? goTo(target & (load<u8>(p, R_SIZE) == 1 ? u64(0xffff) : 0xffffffff)) : go(target);
  if (!gone) s64(RCX, before);
  return gone;
}

export function lahf(): bool {
  store<u8>(GPR + 1, u8((flags() & 0xd5) | 2));
  return true;
}
export function sahf(): bool {
  const low = u64(load<u8>(GPR + 1)) & 0xd5;
  setFlagsWhole((flags() & ~u64(0xd5)) | low);
  return true;
}

export function pushFlags(p: usize): bool {
  const value = flags() & ~(F_RF | F_VM);
  return pushSized(load<u8>(p, R_SIZE), value);
}

export function popFlags(p: usize): bool {
  const size: u32 = load<u8>(p, R_SIZE);
  const at = stackAt(0, 1 << size);
  if (at == 0) return false;
  const given = loadSized(at, size);
  stackDrop(u64(1) << u64(size));
  changeFlags(given, size == 1 ? u64(0xffff) : ~u64(0));
  return true;
}

/** What POPF and IRET may write by privilege: IOPL in ring 0 only, IF when CPL <= IOPL. */
export function changeFlags(given: u64, width: u64): void {
  let may = F_ARITHMETIC | F_TF | F_DF | F_NT | F_AC | 0x200000;
  const cpl = u64(g32(CPL));
  if (cpl == 0) may |= F_IOPL;
  if (cpl <= ((g64(RFLAGS) >> 12) & 3)) may |= F_IF;
  may &= width;
  const before = flags();
  const after = (before & ~may & ~F_RF) | (given & may);
  setFlagsWhole(after);
  if (((before ^ after) & F_AC) != 0) flushFast();
  refreshAttention();
}

/** ENTER in code of 16 and 32 bits. */
function enterLegacy(p: usize): bool {
  const size: u32 = load<u8>(p, R_SIZE);
  const level = load<u32>(p, R_IMMEDIATE) >> 16 & 31;
  const before = g64(RSP);
  if (!pushSized(size, loadSized(RBP, size))) return false;
  const frame = size == 1 ? u64(load<u16>(RSP)) : u64(load<u32>(RSP));
  for (let n: u32 = 1; n <= level; n++) {
    let value = frame;
    if (n < level) {
      const from = within(SS, (g64(RBP) - u64(n << size)) & stackMask(), 1 << size, false);
      const at = from < 0 ? 0 : rd(u64(from), 1 << size);
      if (at == 0) {
        s64(RSP, before);
        return false;
      }
      value = loadSized(at, size);
    }
    if (!pushSized(size, value)) {
      s64(RSP, before);
      return false;
    }
  }
  setStackTop(stackTop() - u64(load<u16>(p, R_IMMEDIATE)));
  putSized(RBP, size, frame);
  return true;
}

/** ENTER size, level. */
export function enter(p: usize): bool {
  if (legacy()) return enterLegacy(p);
  const size: u64 = load<u8>(p, R_SIZE) == 1 ? 2 : 8;
  const frameBytes = u64(load<u16>(p, R_IMMEDIATE));
  const level = load<u32>(p, R_IMMEDIATE) >> 16 & 31;
  let top = g64(RSP);
  let base = g64(RBP);
  for (let n: u32 = 0; n <= level; n++) {
    let value: u64;
    if (n == 0) value = g64(RBP);
    else if (n == level) value = g64(RSP) - size;
    else {
      base -= size;
      const from = rd(base, u32(size));
      if (from == 0) return false;
      value = size == 2 ? u64(load<u16>(from)) : load<u64>(from);
    }
    top -= size;
    const at = wr(top, u32(size));
    if (at == 0) return false;
    if (size == 2) store<u16>(at, u16(value));
    else store<u64>(at, value);
    commit(at);
    if (level == 0) break;
  }
  const end = top - frameBytes;
  if (wr(end, u32(size)) == 0) return false;
  if (size == 2) store<u16>(RBP, u16(g64(RSP) - size));
  else s64(RBP, g64(RSP) - size);
  s64(RSP, end);
  return true;
}

export function leaveFrame(p: usize): bool {
  const size: u32 = load<u8>(p, R_SIZE);
  if (legacy()) {
    const old = g64(RSP);
    setStackTop(g64(RBP));
    const saved = stackAt(0, 1 << size);
    if (saved == 0) {
      s64(RSP, old);
      return false;
    }
    putSized(RBP, size, loadSized(saved, size));
    stackDrop(u64(1) << u64(size));
    return true;
  }
  const base = g64(RBP);
  const at = rd(base, 1 << size);
  if (at == 0) return false;
  if (size == 1) store<u16>(RBP, load<u16>(at));
  else s64(RBP, load<u64>(at));
  s64(RSP, base + (u64(1) << u64(size)));
  return true;
}

export function translateByte(p: usize): bool {
  let address = g64(GPR + 24) + u64(load<u8>(GPR));
  if ((load<u8>(p, R_FLAGS) & RF_NARROW) != 0) address = u64(u32(address));
  if (legacy()) {
    if ((load<u8>(p, R_FLAGS) & RF_A16) != 0) address &= 0xffff;
    const to = within((u32(load<u16>(p, R_SEGMENT)) - SEGMENTS) / SEGMENT_SIZE, address, 1, false);
    const from = to < 0 ? 0 : rd(u64(to), 1);
    if (from == 0) return false;
    store<u8>(GPR, load<u8>(from));
    return true;
  }
  const at = rd(address + load<u64>(load<u16>(p, R_SEGMENT)), 1);
  if (at == 0) return false;
  store<u8>(GPR, load<u8>(at));
  return true;
}
