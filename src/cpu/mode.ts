/**
 * The mode that CR0, EFER and CS say, after any of them changed, and what kind of code that makes of the code segment.
 * Kinds: 0 64-bit code, 1 32-bit code over all 4 GiB, 2 16-bit code, 3 32-bit code of a segment with a limit (its branches are
 * checked). A change of the code segment alone leaves translations as they are.
 */
import { CR0, CS, EFER, MODE, MODE_COMPATIBILITY, MODE_LONG, MODE_PROTECTED, MODE_REAL, SEGMENT_LIMIT, SEGMENT_RIGHTS, SEGMENT_SIZE, SEGMENTS, SS } from './layout';
import { CODE_BASE, CODE_KIND, CODE_LIMIT, CR0_PE, CR0_PG, EFER_LMA, EFER_LME, g32, g64, newEpoch, s32, s64, setPrivilege } from './state';
import { flushFast } from './memory';
import { keepPointers } from './paging';
import { refreshAttention } from './attention';

export function modeChanged(): void {
  const cr0 = g64(CR0);
  const efer = g64(EFER);
  s64(EFER, (cr0 & CR0_PG) != 0 && (efer & EFER_LME) != 0 ? efer | EFER_LMA : efer & ~EFER_LMA);
  codeChanged();
  keepPointers();
  flushFast();
  refreshAttention();
}

/** The code segment is another: blocks follow each other anew when base or kind differ. */
export function codeChanged(): void {
  const rights = g32(SEGMENTS + CS * SEGMENT_SIZE + SEGMENT_RIGHTS);
  let mode: u32 = MODE_PROTECTED;
  if ((g64(CR0) & CR0_PE) == 0) mode = MODE_REAL;
  else if ((g64(EFER) & EFER_LMA) != 0) mode = (rights & 0x2000) != 0 ? MODE_LONG : MODE_COMPATIBILITY;
  s32(MODE, mode);
  const base = mode == MODE_LONG ? 0 : g64(SEGMENTS + CS * SEGMENT_SIZE);
  const limit = g32(SEGMENTS + CS * SEGMENT_SIZE + SEGMENT_LIMIT);
  let kind: u32 = 0;
  if (mode != MODE_LONG) kind = (rights & 0x4000) == 0 ? 2 : limit == 0xffffffff ? 1 : 3;
  if (base == g64(CODE_BASE) && kind == g32(CODE_KIND) && (kind < 2 || limit == g32(CODE_LIMIT))) return;
  s32(CODE_LIMIT, limit);
  s64(CODE_BASE, base);
  s32(CODE_KIND, kind);
  newEpoch();
}

/** The debugger or a VM entry set segments: CPL is SS's DPL (SDM 3C 25.4.1). */
export function privilegeFromStack(): void {
  setPrivilege((g32(SEGMENTS + SS * SEGMENT_SIZE + SEGMENT_RIGHTS) >> 5) & 3);
}
