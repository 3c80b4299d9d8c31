/**
 * VM entry: checks of the controls (VMfail, error 7), then of the guest's state (exit 0x80000021), then the state is loaded
 * and the event injected (SDM 3C 27.2-27.6). Every check has a number, whose name stands in machine/entry-rules.ts; the first
 * that fails ends the entry. Host state is not checked: the host is the program round this processor. The default-1 bits of
 * the controls may be clear. Guests outside IA-32e mode enter with unrestricted guest only; VM-entry and VM-exit MSR lists must be empty.
 */
import {
  ACTIVITY, CR0, CR3, CR4, DEBUGCTL, DR7, EFER, ENTRIES, CYCLES, GDTR, GPR, INTERRUPTIBILITY, LAUNCHED, PAT, PAYLOAD, RIP, SEGMENT_LIMIT, SEGMENT_RIGHTS, SEGMENT_SELECTOR,
  SEGMENT_SIZE, SEGMENTS, STOP_EXIT, STOP_FAILED, SYSENTER_CS, SYSENTER_EIP, SYSENTER_ESP, VMX,
} from '../layout';
import { canonical, CR4_KNOWN, CR4_PAE, CR4_VMXE, EFER_LMA, EFER_LME, EFER_NXE, EFER_SCE, g32, g64, PENDING_MTF, s32, s64, TIMER } from '../state';
import { setFlagsWhole } from '../flags';
import { flushTlb } from '../memory';
import { modeChanged, privilegeFromStack } from '../mode';
import { deliver } from '../interrupts';
import { refreshAttention } from '../attention';
import {
  UNRESTRICTED, CR3_TARGET_COUNT, ENABLE_EPT, ENABLE_VPID, ENTRY_CONTROLS, ENTRY_ERROR_CODE, ENTRY_INTERRUPTION, ENTRY_LENGTH, ENTRY_LOAD_DEBUG, ENTRY_LOAD_EFER, ENTRY_LOAD_PAT, ENTRY_LONG,
  ENTRY_MSR_LOAD_COUNT, EPT_POINTER, EXIT_CONTROLS, EXIT_MSR_LOAD_COUNT, EXIT_MSR_STORE_COUNT, EXIT_QUALIFICATION, EXIT_REASON, EXIT_SAVE_TIMER, field, field32, GUEST_ACTIVITY,
  GUEST_BASES, GUEST_CR0, GUEST_CR3, GUEST_CR4, GUEST_DEBUGCTL, GUEST_DR7, GUEST_EFER, GUEST_GDTR_LIMIT, GUEST_INTERRUPTIBILITY, GUEST_LIMITS, GUEST_PAT, GUEST_RFLAGS,
  GUEST_RIGHTS, GUEST_RIP, GUEST_RSP, GUEST_SELECTORS, GUEST_SYSENTER_CS, GUEST_SYSENTER_EIP, GUEST_SYSENTER_ESP, IO_BITMAP_A, IO_BITMAP_B, LINK_POINTER, MONITOR_TRAP, MSR_BITMAP,
  NMI_WINDOW, PIN_BASED_CONTROLS, PIN_NMI, PIN_TIMER, PIN_VIRTUAL_NMI, PREEMPTION_TIMER, PRIMARY_PROCESSOR_CONTROLS, secondary, setField, USE_IO_BITMAPS, USE_MSR_BITMAP,
  VM_INSTRUCTION_ERROR, VPID,
} from './fields';

// what exists, default-1 bits among it
const PIN_KNOWN: u32 = 0x7f;
const PRIMARY_KNOWN: u32 = 0xfff9ffff;
const SECONDARY_KNOWN: u32 = 0x10ee;
const EXIT_KNOWN: u32 = 0x7fffff;
const ENTRY_KNOWN: u32 = 0xf3ff;

/** -1: the guest is loaded. Otherwise STOP_FAILED or STOP_EXIT. */
export function enter(launched: u32): i32 {
  const wrong = checkControls();
  if (wrong != 0) return fail(7, wrong);
  if (launched != g32(LAUNCHED)) return fail(launched == 0 ? 4 : 5, 0);
  const broken = checkGuest();
  if (broken != 0) {
    setField(EXIT_REASON, 0x80000021);
    setField(EXIT_QUALIFICATION, broken == 39 ? 4 : 0);
    s64(PAYLOAD, 0x80000021);
    s64(PAYLOAD + 8, broken == 39 ? 4 : 0);
    s64(PAYLOAD + 16, 0);
    s64(PAYLOAD + 24, u64(broken));
    return STOP_EXIT;
  }
  loadState();
  s64(ENTRIES, g64(ENTRIES) + 1);
  const result = inject();
  s32(LAUNCHED, 1);
  return result;
}

function fail(error: u32, rule: u32): i32 {
  setField(VM_INSTRUCTION_ERROR, u64(error));
  s64(PAYLOAD, u64(error));
  s64(PAYLOAD + 8, u64(rule));
  return STOP_FAILED;
}

function checkControls(): u32 {
  const pin = field32(PIN_BASED_CONTROLS);
  const primary = field32(PRIMARY_PROCESSOR_CONTROLS);
  const second = secondary();
  if ((pin & ~PIN_KNOWN) != 0) return 1;
  if ((primary & ~PRIMARY_KNOWN) != 0) return 2;
  if ((second & ~SECONDARY_KNOWN) != 0) return 3;
  if ((field32(EXIT_CONTROLS) & ~EXIT_KNOWN) != 0) return 4;
  if ((field32(ENTRY_CONTROLS) & ~ENTRY_KNOWN) != 0) return 5;
  if (field32(CR3_TARGET_COUNT) > 4) return 6;
  if ((primary & USE_IO_BITMAPS) != 0 && (!aligned(field(IO_BITMAP_A)) || !aligned(field(IO_BITMAP_B)))) return 7;
  if ((primary & USE_MSR_BITMAP) != 0 && !aligned(field(MSR_BITMAP))) return 8;
  if ((second & ENABLE_EPT) != 0) {
    const pointer = field(EPT_POINTER);
    const kind = pointer & 7;
    if ((kind != 0 && kind != 6) || ((pointer >> 3) & 7) != 3 || (pointer & 0xf80) != 0 || pointer >> 40 != 0) return 9;
  }
  if ((second & ENABLE_VPID) != 0 && (field32(VPID) & 0xffff) == 0) return 10;
  if ((pin & PIN_VIRTUAL_NMI) != 0 && (pin & PIN_NMI) == 0) return 11;
  if ((primary & NMI_WINDOW) != 0 && (pin & PIN_VIRTUAL_NMI) == 0) return 11;
  if (!checkInjection(field32(ENTRY_INTERRUPTION))) return 12;
  if (field32(EXIT_MSR_STORE_COUNT) != 0 || field32(EXIT_MSR_LOAD_COUNT) != 0 || field32(ENTRY_MSR_LOAD_COUNT) != 0) return 13;
  if ((field32(EXIT_CONTROLS) & EXIT_SAVE_TIMER) != 0 && (pin & PIN_TIMER) == 0) return 14;
  return 0;
}
function aligned(address: u64): bool { return (address & 0xfff) == 0 && address >> 40 == 0; }

/** SDM 3C 27.2.1.3: type, vector and error code go together. */
function checkInjection(info: u32): bool {
  if (info >> 31 == 0) return true;
  const kind = (info >> 8) & 7;
  const vector = info & 255;
  if (kind == 1 || kind == 7 || (info & 0x7ffff000) != 0) return false;
  if (kind == 2 && vector != 2) return false;
  if (kind == 3 && vector > 31) return false;
  const wants = kind == 3 && (vector == 8 || (vector >= 10 && vector <= 14) || vector == 17);
  if (((info & 0x800) != 0) != wants) return false;
  if (wants && (field32(ENTRY_ERROR_CODE) & ~0x7fff) != 0) return false;
  return kind < 4 || (field32(ENTRY_LENGTH) >= 1 && field32(ENTRY_LENGTH) <= 15);
}

function checkGuest(): u32 {
  const cr0 = field(GUEST_CR0);
  const cr4 = field(GUEST_CR4);
  const entry = field32(ENTRY_CONTROLS);
  const free = (secondary() & UNRESTRICTED) != 0;
  const long = (entry & ENTRY_LONG) != 0;
  const fixed: u64 = free ? 0x20 : 0x80000021;
  if ((cr0 & fixed) != fixed || (cr0 & 0x80000001) == 0x80000000 || cr0 >> 32 != 0 || ((cr0 & 0x20000000) != 0 && (cr0 & 0x40000000) == 0)) return 20;
  if ((cr4 & CR4_VMXE) == 0 || (cr4 & ~CR4_KNOWN) != 0) return 21;
  if (long && ((cr4 & CR4_PAE) == 0 || (cr0 & 0x80000000) == 0)) return 22;
  if (!long && !free) return 23;
  if (field(GUEST_CR3) >> 40 != 0) return 24;
  if ((entry & ENTRY_LOAD_EFER) != 0) {
    const efer = field(GUEST_EFER);
    if ((efer & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)) != 0 || ((efer & EFER_LMA) != 0) != long || ((cr0 & 0x80000000) != 0 && ((efer & EFER_LME) != 0) != long)) return 25;
  }
  if ((entry & ENTRY_LOAD_DEBUG) != 0 && (field(GUEST_DR7) >> 32 != 0 || (field(GUEST_DEBUGCTL) & ~u64(3)) != 0)) return 26;
  if (!canonical(field(GUEST_SYSENTER_ESP)) || !canonical(field(GUEST_SYSENTER_EIP))) return 27;
  if ((entry & ENTRY_LOAD_PAT) != 0 && !goodPat(field(GUEST_PAT))) return 41;
  const segments = checkSegments();
  if (segments != 0) return segments;
  for (let n: u32 = 0; n < 2; n++) {
    if (!canonical(field(GUEST_BASES + 16 + 2 * n)) || field32(GUEST_GDTR_LIMIT + 2 * n) > 0xffff) return 33;
  }
  return checkRest();
}

function goodPat(value: u64): bool {
  for (let n: u64 = 0; n < 64; n += 8) {
    const kind = (value >> n) & 0xff;
    if (kind > 7 || kind == 2 || kind == 3) return false;
  }
  return true;
}

function checkSegments(): u32 {
  const cs = field32(GUEST_RIGHTS + 2);
  const ss = field32(GUEST_RIGHTS + 4);
  const cpl = (ss >> 5) & 3;
  const type = cs & 15;
  const flat = (secondary() & UNRESTRICTED) != 0 && type == 3;
  if ((cs & 0x10000) != 0 || (cs & 0x90) != 0x90 || ((type & 9) != 9 && !flat) || ((cs & 0x6000) == 0x6000 && (field32(ENTRY_CONTROLS) & ENTRY_LONG) != 0)) return 28;
  if ((cs & 4) != 0 ? ((cs >> 5) & 3) > cpl : ((cs >> 5) & 3) != cpl) return 28;
  if ((ss & 0x10000) == 0) {
    if ((ss & 0x90) != 0x90 || (ss & 0x0b) != 3) return 29;
    if ((field32(GUEST_SELECTORS + 4) & 3) != cpl) return 29;
  }
  for (let n: u32 = 0; n < 6; n++) {
    if (n == 1 || n == 2) continue;
    const rights = field32(GUEST_RIGHTS + 2 * n);
    if ((rights & 0x10000) != 0) continue;
    if ((rights & 0x91) != 0x91 || (rights & 0x0a) == 8) return 30;
  }
  const tr = field32(GUEST_RIGHTS + 14);
  if ((tr & 0x10000) != 0 || ((tr & 0x9f) != 0x8b && ((tr & 0x9f) != 0x83 || (field32(ENTRY_CONTROLS) & ENTRY_LONG) != 0)) || (field32(GUEST_SELECTORS + 14) & 4) != 0) return 31;
  const ldtr = field32(GUEST_RIGHTS + 12);
  if ((ldtr & 0x10000) == 0 && ((ldtr & 0x9f) != 0x82 || (field32(GUEST_SELECTORS + 12) & 4) != 0)) return 32;
  if (!canonical(field(GUEST_BASES + 8)) || !canonical(field(GUEST_BASES + 10)) || !canonical(field(GUEST_BASES + 14))) return 40;
  return 0;
}

function checkRest(): u32 {
  const flags = field(GUEST_RFLAGS);
  const info = field32(ENTRY_INTERRUPTION);
  const external = info >> 31 != 0 && (info & 0x700) == 0;
  const wide = (field32(ENTRY_CONTROLS) & ENTRY_LONG) != 0 && (field32(GUEST_RIGHTS + 2) & 0x2000) != 0;
  if (wide ? !canonical(field(GUEST_RIP)) : field(GUEST_RIP) >> 32 != 0) return 34;
  if ((flags & ~u64(0x3f7fd7)) != 0 || (flags & 2) == 0 || (flags & 0x20000) != 0) return 35;
  if (external && (flags & 0x200) == 0) return 36;
  const activity = field32(GUEST_ACTIVITY);
  const interruptibility = field32(GUEST_INTERRUPTIBILITY);
  if (activity > 3) return 37;
  if (activity != 0 && (interruptibility & 3) != 0) return 37;
  if (activity == 1 && ((field32(GUEST_RIGHTS + 4) >> 5) & 3) != 0) return 37;
  if ((interruptibility & ~15) != 0 || (interruptibility & 3) == 3 || ((interruptibility & 1) != 0 && (flags & 0x200) == 0)) return 38;
  if (external && (interruptibility & 3) != 0) return 38;
  if (field(LINK_POINTER) != ~u64(0)) return 39;
  return 0;
}

function loadState(): void {
  const entry = field32(ENTRY_CONTROLS);
  s64(CR0, field(GUEST_CR0));
  s64(CR3, field(GUEST_CR3));
  s64(CR4, field(GUEST_CR4));
  if ((entry & ENTRY_LOAD_DEBUG) != 0) {
    s64(DR7, field(GUEST_DR7));
    s64(DEBUGCTL, field(GUEST_DEBUGCTL));
  }
  if ((entry & ENTRY_LOAD_PAT) != 0) s64(PAT, field(GUEST_PAT));
  if ((entry & ENTRY_LOAD_EFER) != 0) s64(EFER, field(GUEST_EFER));
  else if ((entry & ENTRY_LONG) != 0) s64(EFER, g64(EFER) | EFER_LMA | EFER_LME);
  else s64(EFER, g64(EFER) & ~(EFER_LMA | ((field(GUEST_CR0) & 0x80000000) != 0 ? EFER_LME : 0)));
  s64(SYSENTER_CS, field(GUEST_SYSENTER_CS));
  s64(SYSENTER_ESP, field(GUEST_SYSENTER_ESP));
  s64(SYSENTER_EIP, field(GUEST_SYSENTER_EIP));
  for (let n: u32 = 0; n < 8; n++) {
    const at = SEGMENTS + n * SEGMENT_SIZE;
    s32(at + SEGMENT_SELECTOR, field32(GUEST_SELECTORS + 2 * n) & 0xffff);
    s64(at, field(GUEST_BASES + 2 * n));
    s32(at + SEGMENT_LIMIT, field32(GUEST_LIMITS + 2 * n));
    s32(at + SEGMENT_RIGHTS, field32(GUEST_RIGHTS + 2 * n));
  }
  for (let n: u32 = 0; n < 2; n++) {
    const at = SEGMENTS + (GDTR + n) * SEGMENT_SIZE;
    s64(at, field(GUEST_BASES + 16 + 2 * n));
    s32(at + SEGMENT_LIMIT, field32(GUEST_GDTR_LIMIT + 2 * n));
  }
  s64(GPR + 32, field(GUEST_RSP));
  s64(RIP, field(GUEST_RIP));
  setFlagsWhole(field(GUEST_RFLAGS));
  s32(INTERRUPTIBILITY, field32(GUEST_INTERRUPTIBILITY));
  s32(ACTIVITY, field32(GUEST_ACTIVITY));
  s32(PENDING_MTF, 0);
  s64(TIMER, (field32(PIN_BASED_CONTROLS) & PIN_TIMER) != 0 ? g64(CYCLES) + (u64(field32(PREEMPTION_TIMER)) << 5) : ~u64(0));
  s32(VMX, 1);
  if ((secondary() & ENABLE_VPID) == 0) flushTlb();
  privilegeFromStack();
  modeChanged();
}

function inject(): i32 {
  const info = field32(ENTRY_INTERRUPTION);
  if (info >> 31 == 0) {
    refreshAttention();
    return -1;
  }
  s32(ACTIVITY, 0);
  const result = deliver(info & 255, (info >> 8) & 7, field32(ENTRY_ERROR_CODE), (info & 0x800) != 0, field32(ENTRY_LENGTH), true);
  if (result >= 0) return result;
  setField(ENTRY_INTERRUPTION, u64(info & 0x7fffffff));
  // a monitor trap is pending right after an injected event
  if ((field32(PRIMARY_PROCESSOR_CONTROLS) & MONITOR_TRAP) != 0) s32(PENDING_MTF, 1);
  refreshAttention();
  return -1;
}
