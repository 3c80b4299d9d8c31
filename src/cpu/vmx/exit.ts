/**
 * VM exit: what happened goes to the read-only fields, the guest's state to the guest-state area (SDM 3C 28.2-28.3). When the
 * VMCS is code's, host state is loaded and that code goes on (host.ts); otherwise the host is the program that called run(),
 * and the processor stops. General registers stay as the guest left them, as on the real processor. Without VPID everything
 * that the TLB knows of the guest is gone.
 */
import {
  ACTIVITY, CR0, CR3, CR4, CYCLES, DEBUGCTL, DR7, EFER, EXITS, GDTR, GPR, INTERRUPTIBILITY, LAUNCHED, PAT, PAYLOAD, RFLAGS, RIP, ROOT_NMI, SEGMENT_LIMIT, SEGMENT_RIGHTS, SEGMENT_SELECTOR,
  SEGMENT_SIZE, SEGMENTS, STOP_EXIT, SYSENTER_CS, SYSENTER_EIP, SYSENTER_ESP, VMX, VMX_OPERATION,
} from '../layout';
import { CR4_PAE, E_INFO, E_LINEAR, E_PHYSICAL, E_QUALIFICATION, E_REASON, EFER_LMA, F_TF, g32, g64, PDPTES, PENDING_MTF, s32, s64, TIMER } from '../state';
import { flags } from '../flags';
import { flushFast, flushTlb } from '../memory';
import { refreshAttention } from '../attention';
import {
  ENABLE_EPT, ENABLE_VPID, ENTRY_CONTROLS, ENTRY_INTERRUPTION, ENTRY_LONG, EXIT_CONTROLS, EXIT_INSTRUCTION, EXIT_INTERRUPTION, EXIT_INTERRUPTION_ERROR, EXIT_LENGTH, EXIT_MSR_STORE, EXIT_MSR_STORE_COUNT,
  EXIT_QUALIFICATION, EXIT_REASON, EXIT_SAVE_DEBUG, EXIT_SAVE_EFER, EXIT_SAVE_PAT, EXIT_SAVE_TIMER, field, field32, GUEST_ACTIVITY, GUEST_BASES, GUEST_CR0, GUEST_CR3, GUEST_CR4, GUEST_DEBUGCTL,
  GUEST_DR7, GUEST_EFER, GUEST_GDTR_LIMIT, GUEST_INTERRUPTIBILITY, GUEST_LIMITS, GUEST_LINEAR_ADDRESS, GUEST_PAT, GUEST_PDPTES, GUEST_PENDING_DEBUG, GUEST_PHYSICAL_ADDRESS, GUEST_RFLAGS, GUEST_RIGHTS, GUEST_RIP,
  GUEST_RSP, GUEST_SELECTORS, GUEST_SYSENTER_CS, GUEST_SYSENTER_EIP, GUEST_SYSENTER_ESP, IDT_VECTORING, IDT_VECTORING_ERROR, PIN_BASED_CONTROLS, PIN_TIMER, PIN_VIRTUAL_NMI, PREEMPTION_TIMER,
  secondary, setField, UNRESTRICTED,
} from './fields';
import { abort, loadHost } from './host';
import { storeList } from './lists';

/** What the run loop gives back after an exit: it stops, or (-1) goes on in the code that owns the VMCS. */
@inline export function left(): i32 { return g32(VMX_OPERATION) != 0 ? -1 : STOP_EXIT; }

/** Leaves for the reason noted by `leave`; `vectoring` is the event whose delivery was interrupted, or 0. */
export function exitGuest(vectoring: u32, vectoringError: u32, length: u32): void {
  const reason = g32(E_REASON);
  setField(EXIT_REASON, u64(reason));
  setField(EXIT_QUALIFICATION, g64(E_QUALIFICATION));
  if (reason == 48 || reason == 49) setField(GUEST_PHYSICAL_ADDRESS, g64(E_PHYSICAL));
  if (reason == 48 || reason == 30 || reason == 28) setField(GUEST_LINEAR_ADDRESS, g64(E_LINEAR));
  setField(EXIT_INTERRUPTION, 0);
  setField(EXIT_INTERRUPTION_ERROR, 0);
  setField(IDT_VECTORING, u64(vectoring));
  setField(IDT_VECTORING_ERROR, (vectoring & 0x800) != 0 ? u64(vectoringError) : 0);
  setField(EXIT_LENGTH, u64(length));
  setField(EXIT_INSTRUCTION, u64(g32(E_INFO)));
  saveState();
  s64(PAYLOAD, u64(reason));
  s64(PAYLOAD + 8, g64(E_QUALIFICATION));
  s64(PAYLOAD + 16, reason == 48 || reason == 49 ? g64(E_PHYSICAL) : 0);
  s64(PAYLOAD + 24, 0);
  if (g32(VMX_OPERATION) != 0) intoCode();
}

/** The guest's state is saved: its MSRs too, then the host's state. */
function intoCode(): void {
  // with virtual NMIs the guest's blocking is its own, and root operation has what it had
  if ((field32(PIN_BASED_CONTROLS) & PIN_VIRTUAL_NMI) == 0) s32(ROOT_NMI, g32(INTERRUPTIBILITY) & 8);
  if (storeList(field(EXIT_MSR_STORE), field32(EXIT_MSR_STORE_COUNT)) != 0) abort(1);
  else loadHost();
}

/** Exit 0 (an exception or NMI) or 1 (an acknowledged interrupt) with the event itself. */
export function exitWithEvent(info: u32, error: u32, vectoring: u32, vectoringError: u32, qualification: u64, length: u32): void {
  s32(E_REASON, (info & 0x700) == 0 ? 1 : 0);
  s64(E_QUALIFICATION, qualification);
  s32(E_INFO, 0);
  exitGuest(vectoring, vectoringError, length);
  setField(EXIT_INTERRUPTION, u64(info));
  setField(EXIT_INTERRUPTION_ERROR, (info & 0x800) != 0 ? u64(error) : 0);
  // an NMI that left the guest blocks further ones (SDM 3C 28.5.5)
  if (g32(VMX_OPERATION) != 0 && (info & 0x700) == 0x200) {
    s32(INTERRUPTIBILITY, g32(INTERRUPTIBILITY) | 8);
    refreshAttention();
  }
}

/** An exit that is not an instruction's: windows, timer, monitor trap, the host's own. */
export function exitPlain(reason: u32, qualification: u64): void {
  s32(E_REASON, reason);
  s64(E_QUALIFICATION, qualification);
  s32(E_INFO, 0);
  exitGuest(0, 0, 0);
}

function saveState(): void {
  for (let n: u32 = 0; n < 8; n++) {
    const at = SEGMENTS + n * SEGMENT_SIZE;
    setField(GUEST_SELECTORS + 2 * n, u64(g32(at + SEGMENT_SELECTOR)));
    setField(GUEST_BASES + 2 * n, g64(at));
    setField(GUEST_LIMITS + 2 * n, u64(g32(at + SEGMENT_LIMIT)));
    setField(GUEST_RIGHTS + 2 * n, u64(g32(at + SEGMENT_RIGHTS)));
  }
  for (let n: u32 = 0; n < 2; n++) {
    const at = SEGMENTS + (GDTR + n) * SEGMENT_SIZE;
    setField(GUEST_BASES + 2 * (8 + n), g64(at));
    setField(GUEST_GDTR_LIMIT + 2 * n, u64(g32(at + SEGMENT_LIMIT)));
  }
  setField(GUEST_CR0, g64(CR0));
  setField(GUEST_CR3, g64(CR3));
  setField(GUEST_CR4, g64(CR4));
  setField(GUEST_RSP, g64(GPR + 32));
  setField(GUEST_RIP, g64(RIP));
  setField(GUEST_RFLAGS, flags());
  setField(GUEST_SYSENTER_CS, g64(SYSENTER_CS));
  setField(GUEST_SYSENTER_ESP, g64(SYSENTER_ESP));
  setField(GUEST_SYSENTER_EIP, g64(SYSENTER_EIP));
  setField(GUEST_INTERRUPTIBILITY, u64(g32(INTERRUPTIBILITY)));
  setField(GUEST_ACTIVITY, u64(g32(ACTIVITY)));
  // TF's trap waits behind the shadow of STI or MOV SS, and in HLT
  const waits = (g32(INTERRUPTIBILITY) & 3) != 0 || g32(ACTIVITY) == 1;
  setField(GUEST_PENDING_DEBUG, waits && (g64(RFLAGS) & F_TF) != 0 && (g64(DEBUGCTL) & 2) == 0 ? 0x4000 : 0);
  savePointers();
  const exit = field32(EXIT_CONTROLS);
  if ((exit & EXIT_SAVE_DEBUG) != 0) {
    setField(GUEST_DR7, g64(DR7));
    setField(GUEST_DEBUGCTL, g64(DEBUGCTL));
  }
  if ((exit & EXIT_SAVE_PAT) != 0) setField(GUEST_PAT, g64(PAT));
  if ((exit & EXIT_SAVE_EFER) != 0) setField(GUEST_EFER, g64(EFER));
  // with unrestricted guest the control follows the guest's mode (SDM 3C 28.2)
  if ((secondary() & UNRESTRICTED) != 0) setField(ENTRY_CONTROLS, (field(ENTRY_CONTROLS) & ~u64(ENTRY_LONG)) | ((g64(EFER) & EFER_LMA) != 0 ? u64(ENTRY_LONG) : 0));
  if ((exit & EXIT_SAVE_TIMER) != 0 && (field32(PIN_BASED_CONTROLS) & PIN_TIMER) != 0) {
    const now = g64(CYCLES);
    const end = g64(TIMER);
    setField(PREEMPTION_TIMER, end > now ? (end - now) >> 5 : 0);
  }
  setField(ENTRY_INTERRUPTION, field(ENTRY_INTERRUPTION) & 0x7fffffff);
  const keeps = (secondary() & ENABLE_VPID) != 0;
  s32(VMX, 0);
  s32(LAUNCHED, 1);
  s32(PENDING_MTF, 0);
  s32(ACTIVITY, 0);
  s64(TIMER, ~u64(0));
  s64(EXITS, g64(EXITS) + 1);
  if (keeps) flushFast();
  else flushTlb();
  refreshAttention();
}

/** With EPT the entries of a PAE guest's page-directory-pointer table are state of their own. */
function savePointers(): void {
  const pae = (g64(CR0) & 0x80000000) != 0 && (g64(CR4) & CR4_PAE) != 0 && (g64(EFER) & EFER_LMA) == 0;
  if ((secondary() & ENABLE_EPT) == 0 || !pae) return;
  for (let n: u32 = 0; n < 4; n++) setField(GUEST_PDPTES + 2 * n, g64(PDPTES + n * 8));
}
