/**
 * Checks of the VM-execution, VM-exit and VM-entry control fields (SDM 3C 27.2.1): the number of the first rule that is
 * broken, or 0. What the numbers say stands in machine/entry-rules.ts. Features that this processor does not have are named
 * first, each by a rule of its own, then come the bits that must be one or zero.
 */
import { VMX_OPERATION } from '../layout';
import { g32 } from '../state';
import {
  CR3_TARGETS, ENTRY_KNOWN, ENTRY_ONES, EXIT_KNOWN, EXIT_ONES, goodMemoryType, goodReserved, goodWalkLength, pageAddress, PIN_KNOWN, PIN_ONES, PRIMARY_KNOWN, PRIMARY_ONES, SECONDARY_KNOWN,
  withinWidth,
} from './capabilities';
import {
  CR3_TARGET_COUNT, ENABLE_EPT, ENABLE_VPID, ENTRY_CONTROLS, ENTRY_ERROR_CODE, ENTRY_INTERRUPTION, ENTRY_LENGTH, ENTRY_MSR_LOAD, ENTRY_MSR_LOAD_COUNT, EPT_POINTER, EXIT_CONTROLS, EXIT_MSR_LOAD,
  EXIT_MSR_LOAD_COUNT, EXIT_MSR_STORE, EXIT_MSR_STORE_COUNT, EXIT_SAVE_TIMER, field, field32, GUEST_CR0, IO_BITMAP_A, IO_BITMAP_B, MSR_BITMAP, NMI_WINDOW, PIN_BASED_CONTROLS, PIN_NMI, PIN_TIMER,
  PIN_VIRTUAL_NMI, PRIMARY_PROCESSOR_CONTROLS, secondary, UNRESTRICTED, USE_IO_BITMAPS, USE_MSR_BITMAP, VPID,
} from './fields';

const POSTED: u32 = 0x80;
const TPR_SHADOW: u32 = 0x200000;
const TERTIARY: u32 = 0x20000;
/** APIC accesses, x2APIC mode, register virtualization, virtual-interrupt delivery. */
const APIC: u32 = 0x311;

export function checkControls(): u32 {
  const absent = absentFeature();
  if (absent != 0) return absent;
  const reserved = reservedBits();
  if (reserved != 0) return reserved;
  const execution = checkExecution();
  if (execution != 0) return execution;
  const lists = checkLists();
  return lists != 0 ? lists : checkInjection(field32(ENTRY_INTERRUPTION));
}

function absentFeature(): u32 {
  const primary = field32(PRIMARY_PROCESSOR_CONTROLS);
  const second = secondary();
  if ((field32(PIN_BASED_CONTROLS) & POSTED) != 0) return 30;
  if ((primary & TPR_SHADOW) != 0 || (second & APIC) != 0) return 31;
  if ((second & 0x2000) != 0) return 32;
  if ((second & 0x20000) != 0) return 33;
  if ((second & 0x4000) != 0) return 34;
  if ((second & 0x40000) != 0) return 35;
  if ((primary & TERTIARY) != 0) return 36;
  if ((second & 0x400) != 0) return 37;
  if ((second & 0x10800) != 0) return 38;
  return (field32(EXIT_CONTROLS) & 0x1000) != 0 || (field32(ENTRY_CONTROLS) & 0x2000) != 0 ? 39 : 0;
}

function outside(value: u32, ones: u32, known: u32): bool { return (value & ones) != ones || (value & ~known) != 0; }

function reservedBits(): u32 {
  if (outside(field32(PIN_BASED_CONTROLS), PIN_ONES, PIN_KNOWN)) return 1;
  if (outside(field32(PRIMARY_PROCESSOR_CONTROLS), PRIMARY_ONES, PRIMARY_KNOWN)) return 2;
  if (outside(secondary(), 0, SECONDARY_KNOWN)) return 3;
  if (outside(field32(EXIT_CONTROLS), EXIT_ONES, EXIT_KNOWN)) return 4;
  return outside(field32(ENTRY_CONTROLS), ENTRY_ONES, ENTRY_KNOWN) ? 5 : 0;
}

function checkExecution(): u32 {
  const pin = field32(PIN_BASED_CONTROLS);
  const primary = field32(PRIMARY_PROCESSOR_CONTROLS);
  const second = secondary();
  if (field32(CR3_TARGET_COUNT) > CR3_TARGETS) return 6;
  if ((primary & USE_IO_BITMAPS) != 0) {
    if (!pageAddress(field(IO_BITMAP_A))) return 7;
    if (!pageAddress(field(IO_BITMAP_B))) return 8;
  }
  if ((primary & USE_MSR_BITMAP) != 0 && !pageAddress(field(MSR_BITMAP))) return 9;
  if ((pin & PIN_VIRTUAL_NMI) != 0 && (pin & PIN_NMI) == 0) return 10;
  if ((primary & NMI_WINDOW) != 0 && (pin & PIN_VIRTUAL_NMI) == 0) return 11;
  if ((second & ENABLE_VPID) != 0 && (field32(VPID) & 0xffff) == 0) return 12;
  if ((second & ENABLE_EPT) != 0) {
    const pointer = field(EPT_POINTER);
    if (!goodMemoryType(pointer)) return 13;
    if (!goodWalkLength(pointer)) return 14;
    if (!goodReserved(pointer)) return 15;
  } else if ((second & UNRESTRICTED) != 0) return 16;
  return (field32(EXIT_CONTROLS) & EXIT_SAVE_TIMER) != 0 && (pin & PIN_TIMER) == 0 ? 17 : 0;
}

/** MSR lists: 16 bytes an entry, the last byte within the width; the host program has its own way with its MSRs. */
function checkLists(): u32 {
  if (g32(VMX_OPERATION) == 0) return field32(EXIT_MSR_STORE_COUNT) | field32(EXIT_MSR_LOAD_COUNT) | field32(ENTRY_MSR_LOAD_COUNT) ? 29 : 0;
  const store = checkList(field32(EXIT_MSR_STORE_COUNT), field(EXIT_MSR_STORE), 18);
  if (store != 0) return store;
  const back = checkList(field32(EXIT_MSR_LOAD_COUNT), field(EXIT_MSR_LOAD), 19);
  return back != 0 ? back : checkList(field32(ENTRY_MSR_LOAD_COUNT), field(ENTRY_MSR_LOAD), 20);
}
function checkList(count: u32, address: u64, rule: u32): u32 {
  if (count == 0) return 0;
  return (address & 15) != 0 || !withinWidth(address) || !withinWidth(address + u64(count) * 16 - 1) ? rule : 0;
}

/** SDM 3C 27.2.1.3: type, vector, error code and length go together. */
function checkInjection(info: u32): u32 {
  if (info >> 31 == 0) return 0;
  const kind = (info >> 8) & 7;
  const vector = info & 255;
  if (kind == 1) return 21;
  if ((kind == 2 && vector != 2) || (kind == 3 && vector > 31) || (kind == 7 && vector != 0)) return 22;
  const real = (secondary() & UNRESTRICTED) != 0 && (field(GUEST_CR0) & 1) == 0;
  const wants = !real && kind == 3 && (vector == 8 || (vector >= 10 && vector <= 14) || vector == 17);
  if (((info & 0x800) != 0) != wants) return 23;
  if ((info & 0x7ffff000) != 0) return 24;
  if (wants && field32(ENTRY_ERROR_CODE) >> 16 != 0) return 25;
  return kind >= 4 && kind <= 6 && (field32(ENTRY_LENGTH) < 1 || field32(ENTRY_LENGTH) > 15) ? 26 : 0;
}
