/**
 * What every operation of a decoded record stands on: its operands' places, the quick way to memory, a result put into a register.
 * An operation returns nothing when it cannot fail; otherwise it is false when it did not happen.
 */
import { FAST_COUNT, PAGE_BASE } from './layout';
import { CURRENT, FAST_READ, FAST_WRITE, g64 } from './state';
import { R_BASE, R_DISPLACEMENT, R_DST, R_INDEX, R_LENGTH, R_OFFSET, R_SCALE, R_SEGMENT, R_SRC } from './record';
import { rdSlow, wrSlow } from './memory';

/** Linear address of the memory operand. */
@inline export function ea(p: usize): u64 {
  return load<u64>(load<u16>(p, R_BASE)) + (load<u64>(load<u16>(p, R_INDEX)) << u64(load<u8>(p, R_SCALE))) + load<u64>(p, R_DISPLACEMENT) + load<u64>(load<u16>(p, R_SEGMENT));
}
/** As `rd` and `wr`; on the slow way it is noted which record this is. */
@inline export function read(p: usize, address: u64, size: u32): usize {
  const e = load<u32>(FAST_READ) + ((u32(address >> 8) & ((FAST_COUNT - 1) << 4)));
  if (load<u64>(e) == ((address + u64(size - 1)) | 0xfff)) return load<u32>(e + 8) + u32(address);
  return readSlow(p, address, size);
}
@inline export function write(p: usize, address: u64, size: u32): usize {
  const e = load<u32>(FAST_WRITE) + ((u32(address >> 8) & ((FAST_COUNT - 1) << 4)));
  if (load<u64>(e) == ((address + u64(size - 1)) | 0xfff)) return load<u32>(e + 8) + u32(address);
  return writeSlow(p, address, size);
}
function readSlow(p: usize, address: u64, size: u32): usize {
  store<u32>(CURRENT, u32(p));
  return rdSlow(address, size);
}
function writeSlow(p: usize, address: u64, size: u32): usize {
  store<u32>(CURRENT, u32(p));
  return wrSlow(address, size);
}
@inline export function dst(p: usize): usize { return load<u32>(p, R_DST); }
@inline export function src(p: usize): usize { return load<u32>(p, R_SRC); }
/** Writing 32 bits of a register clears its upper half. */
@inline export function put<T>(at: usize, value: u64): void {
  if (sizeof<T>() == 4) store<u64>(at, u64(u32(value)));
  else store<T>(at, <T>(value));
}
@inline export function following(p: usize): u64 { return g64(PAGE_BASE) + u64(load<u16>(p, R_OFFSET)) + u64(load<u8>(p, R_LENGTH)); }
