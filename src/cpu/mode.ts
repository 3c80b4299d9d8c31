/** The mode that CR0, EFER and CS say, after any of them changed, and what kind of code that makes of the code segment. */
import { CPL, CR0, CS, EFER, MODE, MODE_COMPATIBILITY, MODE_LONG, MODE_PROTECTED, MODE_REAL, SEGMENT_RIGHTS, SEGMENT_SIZE, SEGMENTS, SS } from './layout';
import { CODE_BASE, CODE_KIND, CR0_PE, CR0_PG, EFER_LMA, EFER_LME, g32, g64, s32, s64, setPrivilege } from './state';
import { flushFast } from './memory';
import { refreshAttention } from './attention';

export function modeChanged(): void {
  const cr0 = g64(CR0);
  let efer = g64(EFER);
  efer = (cr0 & CR0_PG) != 0 && (efer & EFER_LME) != 0 ? efer | EFER_LMA : efer & ~EFER_LMA;
  s64(EFER, efer);
  const code = g32(SEGMENTS + CS * SEGMENT_SIZE + SEGMENT_RIGHTS);
  let mode: u32 = MODE_PROTECTED;
  if ((cr0 & CR0_PE) == 0) mode = MODE_REAL;
  else if ((efer & EFER_LMA) != 0) mode = (code & 0x2000) != 0 ? MODE_LONG : MODE_COMPATIBILITY;
  s32(MODE, mode);
  s64(CODE_BASE, mode == MODE_LONG ? 0 : g64(SEGMENTS + CS * SEGMENT_SIZE));
  s32(CODE_KIND, mode == MODE_LONG ? 0 : (code & 0x4000) != 0 ? 1 : 2);
  flushFast();
  refreshAttention();
}

/** The debugger or a VM entry set segments: CPL is SS's DPL (SDM 3C 25.4.1). */
export function privilegeFromStack(): void {
  setPrivilege((g32(SEGMENTS + SS * SEGMENT_SIZE + SEGMENT_RIGHTS) >> 5) & 3);
}
