/**
 * VM entry (SDM 3C 27): controls are checked (VMfail, error 7), host state when the VMCS is code's (VMfail, error 8), then the
 * guest's state (exit 0x80000021); then the state is loaded, the MSRs of the load list (exit 0x80000022), the event injected.
 * Every check has a number, whose name stands in machine/entry-rules.ts; the first that fails ends the entry.
 * Two ways in: the program round this processor (no host state: it is the host), and VMLAUNCH and VMRESUME of code.
 */
import {
  ACTIVITY, BROKEN_RULE, CR0, CR3, CR4, CYCLES, DEBUGCTL, DR6, DR7, EFER, ENTRIES, COST_ENTRY, GDTR, GPR, INTERRUPTIBILITY, LAUNCHED, PAT, PAYLOAD, RIP, ROOT_NMI, SEGMENT_LIMIT,
  SEGMENT_RIGHTS, SEGMENT_SELECTOR, SEGMENT_SIZE, SEGMENTS, STOP_EXIT, STOP_FAILED, SYSENTER_CS, SYSENTER_EIP, SYSENTER_ESP, VMX, VMX_OPERATION,
} from '../layout';
import { CROSSED, CURRENT, EFER_LMA, EFER_LME, g32, g64, guest, PDPTES, PENDING_MTF, s32, s64, TIMER } from '../state';
import { R_CYCLES } from '../record';
import { setFlagsWhole } from '../flags';
import { flushTlb } from '../memory';
import { modeChanged, privilegeFromStack } from '../mode';
import { deliver } from '../interrupts';
import { refreshAttention } from '../attention';
import { TIMER_SHIFT } from './capabilities';
import { checkControls } from './check-controls';
import { checkGuest, failureQualification } from './check-guest';
import { checkHost } from './check-host';
import { loadHost } from './host';
import { loadList } from './lists';
import {
  ENABLE_EPT, ENABLE_VPID, ENTRY_CONTROLS, ENTRY_ERROR_CODE, ENTRY_INTERRUPTION, ENTRY_LENGTH, ENTRY_LOAD_DEBUG, ENTRY_LOAD_EFER, ENTRY_LOAD_PAT, ENTRY_LONG, ENTRY_MSR_LOAD, ENTRY_MSR_LOAD_COUNT,
  EXIT_QUALIFICATION, EXIT_REASON, field, field32, GUEST_ACTIVITY, GUEST_BASES, GUEST_CR0, GUEST_CR3, GUEST_CR4, GUEST_DEBUGCTL, GUEST_DR7, GUEST_EFER, GUEST_GDTR_LIMIT, GUEST_INTERRUPTIBILITY,
  GUEST_LIMITS, GUEST_PAT, GUEST_PDPTES, GUEST_PENDING_DEBUG, GUEST_RFLAGS, GUEST_RIGHTS, GUEST_RIP, GUEST_RSP, GUEST_SELECTORS, GUEST_SYSENTER_CS, GUEST_SYSENTER_EIP, GUEST_SYSENTER_ESP, MONITOR_TRAP,
  PIN_BASED_CONTROLS, PIN_TIMER, PREEMPTION_TIMER, PRIMARY_PROCESSOR_CONTROLS, secondary, setField, VM_INSTRUCTION_ERROR,
} from './fields';

const BAD_CONTROL: u32 = 7;
const BAD_HOST: u32 = 8;
const INVALID_STATE: u32 = 33;
const MSR_FAILED: u32 = 34;
const ENTRY_FAILED: u32 = 0x80000000;
/** ET, CD, NW and what is reserved: an entry by code leaves them as they are (SDM 3C 27.3.2.1). */
const CR0_KEPT: u64 = 0x7ffaffd0;

/** The host program's way in. -1: the guest is loaded. Otherwise STOP_FAILED or STOP_EXIT. */
export function enter(launched: u32): i32 {
  s32(BROKEN_RULE, 0);
  const wrong = checkControls();
  if (wrong != 0) return refuse(BAD_CONTROL, wrong);
  if (launched != g32(LAUNCHED)) return refuse(launched == 0 ? 4 : 5, 0);
  const broken = checkGuest();
  if (broken != 0) return failed(INVALID_STATE, failureQualification(broken), broken);
  loadState(0);
  return inject();
}

function refuse(error: u32, rule: u32): i32 {
  s32(BROKEN_RULE, rule);
  setField(VM_INSTRUCTION_ERROR, u64(error));
  s64(PAYLOAD, u64(error));
  s64(PAYLOAD + 8, u64(rule));
  return STOP_FAILED;
}

/** The instruction of a record enters; 0: done (in the guest, or out of it again), else the number of the VMfail. */
export function enterByCode(p: usize): u32 {
  s32(BROKEN_RULE, 0);
  const wrong = checkControls();
  if (wrong != 0) {
    s32(BROKEN_RULE, wrong);
    return BAD_CONTROL;
  }
  const host = checkHost();
  if (host != 0) {
    s32(BROKEN_RULE, host);
    return BAD_HOST;
  }
  s32(CROSSED, 1);
  s32(CURRENT, 0);
  s64(CYCLES, g64(CYCLES) + u64(g32(COST_ENTRY)));
  s32(ROOT_NMI, g32(INTERRUPTIBILITY) & 8);
  const broken = checkGuest();
  if (broken != 0) {
    failed(INVALID_STATE, failureQualification(broken), broken);
    return 0;
  }
  loadState(load<u16>(p, R_CYCLES));
  const entry = loadList(field(ENTRY_MSR_LOAD), field32(ENTRY_MSR_LOAD_COUNT));
  if (entry != 0) failed(MSR_FAILED, u64(entry), 0);
  else inject();
  return 0;
}

/** An exit that is the entry's own: nothing of the guest is saved, code's host state is loaded. */
function failed(reason: u32, qualification: u64, rule: u32): i32 {
  s32(BROKEN_RULE, rule);
  setField(EXIT_REASON, u64(ENTRY_FAILED | reason));
  setField(EXIT_QUALIFICATION, qualification);
  s64(PAYLOAD, u64(ENTRY_FAILED | reason));
  s64(PAYLOAD + 8, qualification);
  s64(PAYLOAD + 16, 0);
  s64(PAYLOAD + 24, u64(rule));
  if (g32(VMX_OPERATION) != 0) loadHost();
  return STOP_EXIT;
}

/** `before`: cycles between what the counter says and the entry. */
function loadState(before: u32): void {
  const entry = field32(ENTRY_CONTROLS);
  const kept: u64 = g32(VMX_OPERATION) != 0 ? CR0_KEPT : 0;
  s64(CR0, (field(GUEST_CR0) & ~kept) | (g64(CR0) & kept));
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
  s64(TIMER, (field32(PIN_BASED_CONTROLS) & PIN_TIMER) != 0 ? g64(CYCLES) + u64(before) + (u64(field32(PREEMPTION_TIMER)) << u64(TIMER_SHIFT)) : ~u64(0));
  s32(VMX, 1);
  if ((secondary() & ENABLE_VPID) == 0) flushTlb();
  privilegeFromStack();
  modeChanged();
  if (g32(VMX_OPERATION) != 0 && (secondary() & ENABLE_EPT) != 0) takePointers();
}

/** Under EPT the pointers of PAE paging are in the VMCS, and memory is not asked. */
function takePointers(): void {
  for (let n: u32 = 0; n < 4; n++) s64(PDPTES + n * 8, field(GUEST_PDPTES + 2 * n));
}

const OTHER_EVENT: u32 = 7;

/** The entry is made: its event is delivered. -1, or STOP_EXIT when the delivery left the guest. */
function inject(): i32 {
  s64(ENTRIES, g64(ENTRIES) + 1);
  s32(LAUNCHED, 1);
  const info = field32(ENTRY_INTERRUPTION);
  if (info >> 31 == 0) return pendingDebug();
  const kind = (info >> 8) & 7;
  if (kind != OTHER_EVENT) {
    s32(ACTIVITY, 0);
    const result = deliver(info & 255, kind, field32(ENTRY_ERROR_CODE), (info & 0x800) != 0, field32(ENTRY_LENGTH), true);
    if (result >= 0 || !guest()) return result;
  }
  setField(ENTRY_INTERRUPTION, u64(info & 0x7fffffff));
  // a monitor trap is pending right after an injected event, or is the event
  if (kind == OTHER_EVENT || (field32(PRIMARY_PROCESSOR_CONTROLS) & MONITOR_TRAP) != 0) s32(PENDING_MTF, 1);
  refreshAttention();
  return -1;
}

/** Breakpoints met (12) and TF's trap (14) that an exit kept waiting are delivered unless a shadow still blocks them. */
function pendingDebug(): i32 {
  const pending = field(GUEST_PENDING_DEBUG);
  if ((pending & 0x5000) == 0 || (g32(INTERRUPTIBILITY) & 3) != 0) {
    refreshAttention();
    return -1;
  }
  s64(DR6, (g64(DR6) & ~u64(15)) | (pending & 0x400f));
  s32(ACTIVITY, 0);
  const result = deliver(1, 3, 0, false, 0, false);
  refreshAttention();
  return result;
}
