/**
 * What the run loop must do besides running: take interrupts, leave a guest because of one, single-step. Worked out anew
 * whenever something changed that it depends on, so that the loop tests one word. Sources: SDM 3A 6.8, SDM 3C 26.2, 26.5.2.
 */
import { ACTIVITY, DEVICE_TRY, DEVICE_USED, INTERRUPTIBILITY, LINE, NMI_LINE, RFLAGS } from './layout';
import { A_HALT, A_INTERRUPT, A_STEP, ATTENTION, F_IF, F_RF, F_TF, g32, g64, guest, IO_SIZE, A_STOP, PENDING_MTF, s32 } from './state';
import { field32, PIN_BASED_CONTROLS, PRIMARY_PROCESSOR_CONTROLS } from './vmx/fields';

export function refreshAttention(): void {
  let a: u32 = 0;
  const flags = g64(RFLAGS);
  if ((flags & (F_TF | F_RF)) != 0 || (g32(INTERRUPTIBILITY) & 3) != 0) a |= A_STEP;
  if (g32(NMI_LINE) != 0 && (g32(INTERRUPTIBILITY) & 8) == 0) a |= A_INTERRUPT;
  if (g32(LINE) != 0 && ((flags & F_IF) != 0 || (guest() && (field32(PIN_BASED_CONTROLS) & 1) != 0))) a |= A_INTERRUPT;
  if (g32(ACTIVITY) != 0) a |= A_HALT;
  if (g32(IO_SIZE) != 0 || g32(DEVICE_USED) != 0) a |= A_STOP;
  if (g32(DEVICE_TRY) != 0) a |= A_STEP;
  if (guest()) {
    const primary = field32(PRIMARY_PROCESSOR_CONTROLS);
    if ((primary & 4) != 0 && (flags & F_IF) != 0) a |= A_INTERRUPT;
    if ((primary & 0x400000) != 0 && (g32(INTERRUPTIBILITY) & 8) == 0) a |= A_INTERRUPT;
    if ((primary & 0x8000000) != 0 || g32(PENDING_MTF) != 0) a |= A_STEP;
  }
  s32(ATTENTION, a);
}
