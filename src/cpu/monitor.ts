/**
 * MONITOR and MWAIT (SDM 2B): the line is watched in name only, and the wait ends at once, as it may for reasons of the
 * implementation. Nothing but this processor writes memory while it waits, so nothing is missed. Exits 39 and 36.
 */
import { CPL, GPR } from './layout';
import { g32, g64, gp, leave, MONITORS, s32, ud } from './state';
import { R_FLAGS, R_IMMEDIATE, R_LENGTH, R_SEGMENT, RF_NARROW, RF_A16 } from './record';
import { rd } from './memory';
import { legacy, operandOf } from './legacy';
import { controls, MONITOR_EXITING, MWAIT_EXITING } from './vmx/fields';

const RCX: usize = GPR + 8;
const MONITOR_EXIT: u32 = 39;

/** The record's immediate is the exit reason of each. */
export function monitorOrWait(p: usize): bool {
  if (g32(CPL) != 0) return ud();
  return load<u32>(p, R_IMMEDIATE) == MONITOR_EXIT ? monitor(p) : wait(p);
}

function monitor(p: usize): bool {
  if (controls(MONITOR_EXITING)) return leave(MONITOR_EXIT, 0, load<u8>(p, R_LENGTH));
  if (load<u32>(RCX) != 0) return gp(0);
  const flags = load<u8>(p, R_FLAGS);
  const offset = (flags & RF_A16) != 0 ? u64(load<u16>(GPR)) : (flags & RF_NARROW) != 0 ? u64(load<u32>(GPR)) : g64(GPR);
  const slot: u32 = load<u16>(p, R_SEGMENT);
  const address = legacy() ? operandOf(slot, offset, 1, false) : i64(offset + load<u64>(slot));
  if (legacy() && address < 0) return false;
  if (rd(u64(address), 1) == 0) return false;
  s32(MONITORS, 1);
  return true;
}

/** ECX bit 0 (interrupts end the wait even when masked) is all that CPUID leaf 5 tells of. */
function wait(p: usize): bool {
  if (controls(MWAIT_EXITING)) return leave(36, u64(g32(MONITORS)), load<u8>(p, R_LENGTH));
  if ((load<u32>(RCX) & ~1) != 0) return gp(0);
  s32(MONITORS, 0);
  return true;
}
