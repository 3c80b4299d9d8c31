/**
 * Checks of the host-state area (SDM 3C 27.2.2-27.2.4), for a VMCS of code: the number of the first rule that is broken
 * (machine/entry-rules.ts), or 0.
 */
import { EFER } from '../layout';
import { canonical, CR4_KNOWN, CR4_PAE, CR4_PCIDE, EFER_LMA, EFER_LME, EFER_NXE, EFER_SCE, g64 } from '../state';
import { CR0_ONES, CR4_ONES, goodPat, withinWidth } from './capabilities';
import {
  ENTRY_CONTROLS, ENTRY_LONG, EXIT_CONTROLS, EXIT_HOST_LONG, EXIT_LOAD_EFER, EXIT_LOAD_PAT, field, field32, HOST_BASES, HOST_CR0, HOST_CR3, HOST_CR4, HOST_EFER, HOST_PAT, HOST_RIP, HOST_SELECTORS,
  HOST_SYSENTER_EIP, HOST_SYSENTER_ESP,
} from './fields';

export function checkHost(): u32 {
  const size = checkAddressSize();
  if (size != 0) return size;
  const registers = checkRegisters();
  return registers != 0 ? registers : checkSegments();
}

function checkAddressSize(): u32 {
  const long = (field32(EXIT_CONTROLS) & EXIT_HOST_LONG) != 0;
  const now = (g64(EFER) & EFER_LMA) != 0;
  if (!now && (long || (field32(ENTRY_CONTROLS) & ENTRY_LONG) != 0)) return 40;
  if (now && !long) return 41;
  const cr4 = field(HOST_CR4);
  if (!long) {
    if ((cr4 & CR4_PCIDE) != 0) return 42;
    return field(HOST_RIP) >> 32 != 0 ? 43 : 0;
  }
  if ((cr4 & CR4_PAE) == 0) return 44;
  return canonical(field(HOST_RIP)) ? 0 : 45;
}

function checkRegisters(): u32 {
  const exit = field32(EXIT_CONTROLS);
  const cr0 = field(HOST_CR0);
  const cr4 = field(HOST_CR4);
  if ((cr0 & CR0_ONES) != CR0_ONES || cr0 >> 32 != 0) return 46;
  if ((cr4 & CR4_ONES) != CR4_ONES || (cr4 & ~CR4_KNOWN) != 0) return 47;
  if (!withinWidth(field(HOST_CR3))) return 48;
  if (!canonical(field(HOST_SYSENTER_ESP))) return 49;
  if (!canonical(field(HOST_SYSENTER_EIP))) return 50;
  if ((exit & EXIT_LOAD_PAT) != 0 && !goodPat(field(HOST_PAT))) return 51;
  if ((exit & EXIT_LOAD_EFER) == 0) return 0;
  const efer = field(HOST_EFER);
  if ((efer & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)) != 0) return 52;
  const long = (exit & EXIT_HOST_LONG) != 0;
  return ((efer & EFER_LMA) != 0) != long || ((efer & EFER_LME) != 0) != long ? 53 : 0;
}

function checkSegments(): u32 {
  for (let n: u32 = 0; n < 7; n++) {
    if ((field32(HOST_SELECTORS + 2 * n) & 7) != 0) return 54;
  }
  if ((field32(HOST_SELECTORS + 2) & 0xffff) == 0) return 55;
  if ((field32(HOST_SELECTORS + 12) & 0xffff) == 0) return 56;
  if ((field32(EXIT_CONTROLS) & EXIT_HOST_LONG) == 0 && (field32(HOST_SELECTORS + 4) & 0xffff) == 0) return 57;
  for (let n: u32 = 0; n < 5; n++) {
    if (!canonical(field(HOST_BASES + 2 * n))) return 58 + n;
  }
  return 0;
}
