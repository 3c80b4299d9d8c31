/**
 * String instructions with and without REP. A repeated one does a bounded run of iterations and, when there are more,
 * stays at itself, as the real one is interruptible after each. Every iteration is complete before the next begins, so a
 * fault in the middle leaves RCX, RSI and RDI where it happened. Costs one cycle for each 8 bytes beyond the first.
 * Source: SDM 2B REP, INS, OUTS; exits: SDM 3C 28.2.1 table 28-5 and 28.2.5.
 */
import { CYCLES, ES, GPR, PAGE_BASE, PAYLOAD, RFLAGS, RIP, SEGMENT_SIZE, SEGMENTS, INSTRUCTIONS } from './layout';
import { ATTENTION, A_STEP, A_STOP, E_INFO, E_LINEAR, F_DF, g32, g64, gp, IO_POINTER, IO_SIZE, PEND, REP_LIMIT, s32, s64 } from './state';
import { R_FLAGS, R_LENGTH, R_OFFSET, R_SEGMENT, R_SIZE, RF_A16, RF_NARROW, RF_REP, RF_REPNE } from './record';
import { borrows, zf } from './flags';
import { commit, rd, wr } from './memory';
import { lazySized, loadSized, putSized, storeSized } from './arithmetic';
import { CMPS, INS, LODS, MOVS, OUTS, SCAS, STOS } from './ops';
import { legacy, within } from './legacy';
import { portExit, portRefused } from './system';
import { addressSize } from './vmx/information';

const RAX: usize = GPR;
const RCX: usize = GPR + 8;
const RSI: usize = GPR + 48;
const RDI: usize = GPR + 56;

let segmentBase: u64 = 0;
let narrow: bool = false;
/** In 16- and 32-bit code: the segment of the source, and addresses of 16 bits. */
let segmented: bool = false;
let sourceSegment: u32 = 0;
let short: bool = false;

@inline function pointer(register: usize): u64 { return short ? u64(load<u16>(register)) : narrow ? u64(load<u32>(register)) : load<u64>(register); }
@inline function setPointer(register: usize, value: u64): void {
  if (short) store<u16>(register, u16(value));
  else s64(register, narrow ? u64(u32(value)) : value);
}
const REFUSED: u64 = ~u64(0);
/** Linear addresses of the two operands; REFUSED: the segment does not let it. */
function sourceOf(bytes: u32): u64 {
  if (!segmented) return pointer(RSI) + segmentBase;
  return u64(within(sourceSegment, pointer(RSI), bytes, false));
}
function targetOf(bytes: u32, writes: bool): u64 {
  return segmented ? u64(within(ES, pointer(RDI), bytes, writes)) : pointer(RDI);
}
function readAt(address: u64, bytes: u32): usize { return segmented && address == REFUSED ? 0 : rd(address, bytes); }
function writeAt(address: u64, bytes: u32): usize { return segmented && address == REFUSED ? 0 : wr(address, bytes); }

export function stringOperation(p: usize, family: u32): bool {
  const flags = load<u8>(p, R_FLAGS);
  const size: u32 = load<u8>(p, R_SIZE);
  narrow = (flags & RF_NARROW) != 0;
  segmented = legacy();
  short = (flags & RF_A16) != 0;
  if (segmented) sourceSegment = (u32(load<u16>(p, R_SEGMENT)) - SEGMENTS) / SEGMENT_SIZE;
  segmentBase = load<u64>(load<u16>(p, R_SEGMENT));
  const step: u64 = (g64(RFLAGS) & F_DF) != 0 ? 0 - (u64(1) << u64(size)) : u64(1) << u64(size);
  const repeated = (flags & (RF_REP | RF_REPNE)) != 0;
  if (family == INS || family == OUTS) return portString(p, family, size, step, repeated);
  if (!repeated) return once(family, size, step);
  let count = pointer(RCX);
  if (count == 0) return cutPointers(family);
  let left: u64 = (g32(ATTENTION) & A_STEP) != 0 ? 1 : min<u64>(count, u64(g32(REP_LIMIT)));
  s64(CYCLES, g64(CYCLES) + (left << u64(size) >> 3));
  if ((family == MOVS || family == STOS) && left > 8) {
    const bulk = inBulk(family, size, step, left);
    if (bulk == FAILED) return false;
    left -= bulk;
    count -= bulk;
    setPointer(RCX, count);
  }
  const compares = family == CMPS || family == SCAS;
  while (left > 0) {
    if (!once(family, size, step)) return false;
    left--;
    count--;
    setPointer(RCX, count);
    if (compares && zf() != ((flags & RF_REP) != 0)) return true;
  }
  if (count != 0) again(p);
  return true;
}

/** With 32-bit addresses in 64-bit mode even no iteration clears upper halves: RCX's, and for MOVS and STOS the pointers' (measured on recent Intel processors). */
function cutPointers(family: u32): bool {
  if (segmented || !narrow) return true;
  s64(RCX, 0);
  if (family == MOVS) s64(RSI, u64(load<u32>(RSI)));
  if (family == MOVS || family == STOS) s64(RDI, u64(load<u32>(RDI)));
  return true;
}

/** More iterations: the same instruction comes next, and this round does not count as one. */
function again(p: usize): void {
  s64(RIP, g64(PAGE_BASE) + u64(load<u16>(p, R_OFFSET)));
  s64(INSTRUCTIONS, g64(INSTRUCTIONS) - 1);
}

const FAILED: u64 = ~u64(0);

/** Neither operand wraps round within this run, and its segments hold all of it; otherwise one at a time. */
function wholeFits(family: u32, bytes: u32): bool {
  const top: u64 = short ? 0x10000 : 0x100000000;
  if (pointer(RDI) + u64(bytes) > top || (family == MOVS && pointer(RSI) + u64(bytes) > top)) return false;
  const fits = targetOf(bytes, true) != REFUSED && (family != MOVS || sourceOf(bytes) != REFUSED);
  if (!fits) s32(PEND, 0);
  return fits;
}

/** Whole runs within a page, upwards, not overlapping: how many were done. */
function inBulk(family: u32, size: u32, step: u64, left: u64): u64 {
  if (i64(step) < 0) return 0;
  const to = targetOf(1 << size, true);
  if (segmented && to == REFUSED) return FAILED;
  let count = min<u64>(left, (4096 - (to & 0xfff)) >> u64(size));
  let from: u64 = 0;
  if (family == MOVS) {
    from = sourceOf(1 << size);
    if (segmented && from == REFUSED) return FAILED;
    count = min<u64>(count, (4096 - (from & 0xfff)) >> u64(size));
  }
  const bytes = u32(count << u64(size));
  if (bytes == 0) return 0;
  if (segmented && !wholeFits(family, bytes)) return g32(PEND) != 0 ? FAILED : 0;
  let source: usize = 0;
  if (family == MOVS) {
    source = rd(from, bytes);
    if (source == 0) return FAILED;
  }
  const target = wr(to, bytes);
  if (target == 0) return FAILED;
  if (family == MOVS) {
    if (target > source && target < source + bytes) return 0;
    memory.copy(target, source, bytes);
    setPointer(RSI, pointer(RSI) + u64(bytes));
  } else if (size == 0) memory.fill(target, load<u8>(RAX), bytes);
  else {
    const value = loadSized(RAX, size);
    for (let n: u32 = 0; n < bytes; n += 1 << size) storeSized(target + n, size, value);
  }
  setPointer(RDI, pointer(RDI) + u64(bytes));
  return count;
}

function once(family: u32, size: u32, step: u64): bool {
  const bytes: u32 = 1 << size;
  switch (family) {
    case MOVS: {
      const from = readAt(sourceOf(bytes), bytes);
      if (from == 0) return false;
      const value = loadSized(from, size);
      const to = writeAt(targetOf(bytes, true), bytes);
      if (to == 0) return false;
      storeSized(to, size, value);
      commit(to);
      setPointer(RSI, pointer(RSI) + step);
      setPointer(RDI, pointer(RDI) + step);
      return true;
    }
    case STOS: {
      const to = writeAt(targetOf(bytes, true), bytes);
      if (to == 0) return false;
      storeSized(to, size, loadSized(RAX, size));
      commit(to);
      setPointer(RDI, pointer(RDI) + step);
      return true;
    }
    case LODS: {
      const from = readAt(sourceOf(bytes), bytes);
      if (from == 0) return false;
      putSized(RAX, size, loadSized(from, size));
      setPointer(RSI, pointer(RSI) + step);
      return true;
    }
    case SCAS: {
      const from = readAt(targetOf(bytes, false), bytes);
      if (from == 0) return false;
      compare(loadSized(RAX, size), loadSized(from, size), size);
      setPointer(RDI, pointer(RDI) + step);
      return true;
    }
    default: {
      const first = readAt(sourceOf(bytes), bytes);
      if (first == 0) return false;
      const a = loadSized(first, size);
      const second = readAt(targetOf(bytes, false), bytes);
      if (second == 0) return false;
      compare(a, loadSized(second, size), size);
      setPointer(RSI, pointer(RSI) + step);
      setPointer(RDI, pointer(RDI) + step);
      return true;
    }
  }
}

function compare(a: u64, b: u64, size: u32): void {
  const r = a - b;
  lazySized(size, r, borrows(a, b, r));
}

/** INS and OUTS: one iteration goes to the host's board, or the whole instruction leaves the guest. */
function portString(p: usize, family: u32, size: u32, step: u64, repeated: bool): bool {
  const port: u32 = load<u16>(GPR + 16);
  if (repeated && pointer(RCX) == 0) return true;
  if (portRefused(port, 1 << size)) return g32(PEND) != 0 ? false : gp(0);
  const incoming = family == INS;
  const address = incoming ? targetOf(1 << size, true) : sourceOf(1 << size);
  if (segmented && address == REFUSED) return false;
  if (portExit(port, size, incoming, u32(16) | (repeated ? 32 : 0), load<u8>(p, R_LENGTH))) {
    s64(E_LINEAR, address);
    const segment: u32 = incoming ? 0 : i32(load<u16>(p, R_SEGMENT)) >= SEGMENTS ? (i32(load<u16>(p, R_SEGMENT)) - SEGMENTS) / SEGMENT_SIZE : 3;
    s32(E_INFO, addressSize(p) | (segment << 15));
    return false;
  }
  const at = incoming ? wr(address, 1 << size) : rd(address, 1 << size);
  if (at == 0) return false;
  s64(PAYLOAD, u64(port));
  s64(PAYLOAD + 8, u64(1) << u64(size));
  s64(PAYLOAD + 16, u64(incoming));
  s64(PAYLOAD + 24, incoming ? 0 : loadSized(at, size));
  s32(IO_SIZE, 1 << size);
  s32(IO_POINTER, incoming ? u32(at) : 0);
  s32(ATTENTION, g32(ATTENTION) | A_STOP);
  setPointer(incoming ? RDI : RSI, pointer(incoming ? RDI : RSI) + step);
  if (repeated) {
    setPointer(RCX, pointer(RCX) - 1);
    if (pointer(RCX) != 0) again(p);
  }
  return true;
}
