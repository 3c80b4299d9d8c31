/**
 * VM-exit instruction information (SDM 3C tables 28-9 to 28-14) and the qualification that goes with it, the displacement,
 * from a decoded instruction: bits 1:0 scale, 6:3 register operand, 9:7 address size, 10 the operand is a register,
 * 17:15 segment, 21:18 index, 22 there is none, 26:23 base, 27 there is none, 31:28 second register.
 */
import { GPR, PAGE_BASE, SEGMENT_SIZE, SEGMENTS, SS, ZERO } from '../layout';
import { E_INFO, g64, leave, NARROWED, s32, ZERO_STACK } from '../state';
import { R_BASE, R_DISPLACEMENT, R_FLAGS, R_INDEX, R_LENGTH, R_OP, R_REG, R_RM, R_SCALE, R_SEGMENT, RECORD, RF_A16, RF_NARROW } from '../record';
import { NARROW } from '../ops';

/** Outside 64-bit code, and with short addresses, the operand was worked out by the record before. */
function addressed(p: usize): usize { return load<u16>(p, R_BASE) == u16(NARROWED) ? p - RECORD : p; }

function segmentOf(p: usize, how: usize): u32 {
  if (how != p && load<u16>(how, R_OP) == u16(NARROW * 16 + 1)) return load<u8>(how, R_REG) & 7;
  const slot: u32 = load<u16>(p, R_SEGMENT);
  if (slot == ZERO_STACK) return SS;
  return slot >= u32(SEGMENTS) ? (slot - SEGMENTS) / SEGMENT_SIZE : 3;
}

/** Bits 9:7. */
export function addressSize(p: usize): u32 {
  const flags = load<u8>(p, R_FLAGS);
  return (flags & RF_A16) != 0 ? 0 : (flags & RF_NARROW) != 0 ? 1 << 7 : 2 << 7;
}

/** Of the r/m operand: address, or register in bits 6:3. */
export function operandInformation(p: usize): u32 {
  const rm: u32 = load<u8>(p, R_RM);
  if (rm != 0xff) return (rm << 3) | 1 << 10;
  const how = addressed(p);
  let info = addressSize(p) | (segmentOf(p, how) << 15);
  const index: u32 = load<u16>(how, R_INDEX);
  if (index == ZERO) info |= 1 << 22;
  else info |= (load<u8>(how, R_SCALE) & 3) | ((index - GPR) >> 3 << 18);
  const base: u32 = load<u16>(how, R_BASE);
  return info | (base == ZERO || base == PAGE_BASE ? 1 << 27 : (base - GPR) >> 3 << 23);
}

/** The displacement as it stands in the instruction; relative to RIP: the address that it makes. */
export function displacement(p: usize): u64 {
  if (load<u8>(p, R_RM) != 0xff) return 0;
  const how = addressed(p);
  return load<u64>(how, R_DISPLACEMENT) + (load<u16>(how, R_BASE) == u16(PAGE_BASE) ? g64(PAGE_BASE) : 0);
}

/** Leaves the guest with displacement, operand and `more` in the instruction information. */
export function leaveInformed(p: usize, reason: u32, more: u32): bool {
  leave(reason, displacement(p), load<u8>(p, R_LENGTH));
  s32(E_INFO, operandInformation(p) | more);
  return false;
}
