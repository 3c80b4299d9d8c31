/**
 * The VMCS in force, by the real encodings (SDM 3D appendix B), and the controls that the rest of the processor asks for.
 * A field is one slot of the layout; its place follows from its encoding. Which encodings exist for VMREAD and VMWRITE is
 * the table COMPONENTS. Host-state fields count only when the VMCS is code's (VMX_OPERATION).
 */
import { VMCS } from '../layout';
import { guest } from '../state';

export const VPID: u32 = 0x0000;
export const IO_BITMAP_A: u32 = 0x2000;
export const IO_BITMAP_B: u32 = 0x2002;
export const MSR_BITMAP: u32 = 0x2004;
export const EXIT_MSR_STORE: u32 = 0x2006;
export const EXIT_MSR_LOAD: u32 = 0x2008;
export const ENTRY_MSR_LOAD: u32 = 0x200a;
export const TSC_OFFSET: u32 = 0x2010;
export const EPT_POINTER: u32 = 0x201a;
export const GUEST_PHYSICAL_ADDRESS: u32 = 0x2400;
export const LINK_POINTER: u32 = 0x2800;
export const GUEST_DEBUGCTL: u32 = 0x2802;
export const GUEST_PAT: u32 = 0x2804;
export const GUEST_EFER: u32 = 0x2806;
export const GUEST_PDPTES: u32 = 0x280a;
export const HOST_PAT: u32 = 0x2c00;
export const HOST_EFER: u32 = 0x2c02;
export const PIN_BASED_CONTROLS: u32 = 0x4000;
export const PRIMARY_PROCESSOR_CONTROLS: u32 = 0x4002;
export const EXCEPTION_BITMAP: u32 = 0x4004;
export const PAGE_FAULT_MASK: u32 = 0x4006;
export const PAGE_FAULT_MATCH: u32 = 0x4008;
export const CR3_TARGET_COUNT: u32 = 0x400a;
export const EXIT_CONTROLS: u32 = 0x400c;
export const EXIT_MSR_STORE_COUNT: u32 = 0x400e;
export const EXIT_MSR_LOAD_COUNT: u32 = 0x4010;
export const ENTRY_CONTROLS: u32 = 0x4012;
export const ENTRY_MSR_LOAD_COUNT: u32 = 0x4014;
export const ENTRY_INTERRUPTION: u32 = 0x4016;
export const ENTRY_ERROR_CODE: u32 = 0x4018;
export const ENTRY_LENGTH: u32 = 0x401a;
export const SECONDARY_PROCESSOR_CONTROLS: u32 = 0x401e;
export const VM_INSTRUCTION_ERROR: u32 = 0x4400;
export const EXIT_REASON: u32 = 0x4402;
export const EXIT_INTERRUPTION: u32 = 0x4404;
export const EXIT_INTERRUPTION_ERROR: u32 = 0x4406;
export const IDT_VECTORING: u32 = 0x4408;
export const IDT_VECTORING_ERROR: u32 = 0x440a;
export const EXIT_LENGTH: u32 = 0x440c;
export const EXIT_INSTRUCTION: u32 = 0x440e;
export const GUEST_SELECTORS: u32 = 0x0800;
export const HOST_SELECTORS: u32 = 0x0c00; // es cs ss ds fs gs tr
export const GUEST_LIMITS: u32 = 0x4800;
export const GUEST_RIGHTS: u32 = 0x4814;
export const GUEST_GDTR_LIMIT: u32 = 0x4810;
export const GUEST_INTERRUPTIBILITY: u32 = 0x4824;
export const GUEST_ACTIVITY: u32 = 0x4826;
export const GUEST_SYSENTER_CS: u32 = 0x482a;
export const PREEMPTION_TIMER: u32 = 0x482e;
export const HOST_SYSENTER_CS: u32 = 0x4c00;
export const CR0_MASK: u32 = 0x6000;
export const CR4_MASK: u32 = 0x6002;
export const CR0_SHADOW: u32 = 0x6004;
export const CR4_SHADOW: u32 = 0x6006;
export const CR3_TARGET0: u32 = 0x6008;
export const EXIT_QUALIFICATION: u32 = 0x6400;
export const GUEST_LINEAR_ADDRESS: u32 = 0x640a;
export const GUEST_CR0: u32 = 0x6800;
export const GUEST_CR3: u32 = 0x6802;
export const GUEST_CR4: u32 = 0x6804;
export const GUEST_BASES: u32 = 0x6806;
export const GUEST_DR7: u32 = 0x681a;
export const GUEST_RSP: u32 = 0x681c;
export const GUEST_RIP: u32 = 0x681e;
export const GUEST_RFLAGS: u32 = 0x6820;
export const GUEST_PENDING_DEBUG: u32 = 0x6822;
export const GUEST_SYSENTER_ESP: u32 = 0x6824;
export const GUEST_SYSENTER_EIP: u32 = 0x6826;
export const HOST_CR0: u32 = 0x6c00;
export const HOST_CR3: u32 = 0x6c02;
export const HOST_CR4: u32 = 0x6c04;
export const HOST_BASES: u32 = 0x6c06; // fs gs tr gdtr idtr
export const HOST_SYSENTER_ESP: u32 = 0x6c10;
export const HOST_SYSENTER_EIP: u32 = 0x6c12;
export const HOST_RSP: u32 = 0x6c14;
export const HOST_RIP: u32 = 0x6c16;

// pin-based
export const PIN_EXTERNAL: u32 = 1;
export const PIN_NMI: u32 = 8;
export const PIN_VIRTUAL_NMI: u32 = 0x20;
export const PIN_TIMER: u32 = 0x40;
// primary
export const WINDOW: u32 = 4;
export const USE_TSC_OFFSET: u32 = 8;
export const HLT_EXITING: u32 = 0x80;
export const INVLPG_EXITING: u32 = 0x200;
export const MWAIT_EXITING: u32 = 0x400;
export const RDPMC_EXITING: u32 = 0x800;
export const RDTSC_EXITING: u32 = 0x1000;
export const CR3_LOAD_EXITING: u32 = 0x8000;
export const CR3_STORE_EXITING: u32 = 0x10000;
export const CR8_LOAD_EXITING: u32 = 0x80000;
export const CR8_STORE_EXITING: u32 = 0x100000;
export const NMI_WINDOW: u32 = 0x400000;
export const MOV_DR_EXITING: u32 = 0x800000;
export const UNCONDITIONAL_IO: u32 = 0x1000000;
export const USE_IO_BITMAPS: u32 = 0x2000000;
export const MONITOR_TRAP: u32 = 0x8000000;
export const USE_MSR_BITMAP: u32 = 0x10000000;
export const MONITOR_EXITING: u32 = 0x20000000;
export const SECONDARY: u32 = 0x80000000;
// secondary
export const ENABLE_EPT: u32 = 2;
export const DESCRIPTOR_EXITING: u32 = 4;
export const ENABLE_RDTSCP: u32 = 8;
export const ENABLE_VPID: u32 = 0x20;
export const UNRESTRICTED: u32 = 0x80;
export const ENABLE_INVPCID: u32 = 0x1000;
// exit and entry
export const EXIT_SAVE_DEBUG: u32 = 4;
export const EXIT_HOST_LONG: u32 = 0x200;
export const EXIT_ACKNOWLEDGE: u32 = 0x8000;
export const EXIT_SAVE_PAT: u32 = 0x40000;
export const EXIT_LOAD_PAT: u32 = 0x80000;
export const EXIT_SAVE_EFER: u32 = 0x100000;
export const EXIT_LOAD_EFER: u32 = 0x200000;
export const EXIT_SAVE_TIMER: u32 = 0x400000;
export const ENTRY_LOAD_DEBUG: u32 = 4;
export const ENTRY_LONG: u32 = 0x200;
export const ENTRY_LOAD_PAT: u32 = 0x4000;
export const ENTRY_LOAD_EFER: u32 = 0x8000;

@inline export function place(encoding: u32): usize {
  return VMCS + usize((((encoding >> 13) & 3) << 8) | (((encoding >> 10) & 3) << 6) | ((encoding >> 1) & 63)) * 8;
}
/**
 * Bit n: the field of index n exists. By width (16 bits, 64, 32, natural), then by type (control, read-only, guest, host).
 * Not there: posted interrupts, EPTP list, PML, virtual APIC, VM functions, PERF_GLOBAL_CTRL, TPR threshold, PLE.
 */
const COMPONENTS: usize = memory.data<u32>([
  0x1, 0, 0xff, 0x7f,
  0x217f, 0x1, 0x1ef, 0x3,
  0xbfff, 0xff, 0xbfffff, 0x1,
  0xff, 0x3f, 0xfffff, 0xfff,
]);
/** Does VMREAD know this encoding? The high half of a field exists where the field has 64 bits on every processor. */
export function fieldExists(encoding: u64): bool {
  if (encoding >> 15 != 0 || (encoding & 0x1000) != 0) return false;
  const code = u32(encoding);
  const index = (code >> 1) & 0x1ff;
  if ((code & 1) != 0 && code >> 13 != 1) return false;
  const known = load<u32>(COMPONENTS + (((code >> 11) & 12) | ((code >> 10) & 3)) * 4);
  return index < 32 && ((known >> index) & 1) != 0;
}
export function readOnly(encoding: u32): bool { return ((encoding >> 10) & 3) == 1; }
export function readComponent(encoding: u32): u64 { return (encoding & 1) != 0 ? field(encoding) >> 32 : field(encoding); }
/** What does not fit into the field is dropped. */
export function writeComponent(encoding: u32, value: u64): void {
  const width = encoding >> 13;
  if ((encoding & 1) != 0) setField(encoding, (field(encoding) & 0xffffffff) | (value << 32));
  else setField(encoding, width == 0 ? value & 0xffff : width == 2 ? value & 0xffffffff : value);
}
@inline export function field(encoding: u32): u64 { return load<u64>(place(encoding)); }
@inline export function field32(encoding: u32): u32 { return load<u32>(place(encoding)); }
@inline export function setField(encoding: u32, value: u64): void { store<u64>(place(encoding), value); }

export function secondary(): u32 { return (field32(PRIMARY_PROCESSOR_CONTROLS) & SECONDARY) != 0 ? field32(SECONDARY_PROCESSOR_CONTROLS) : 0; }
/** A guest runs and this primary control is on. */
export function controls(bit: u32): bool { return guest() && (field32(PRIMARY_PROCESSOR_CONTROLS) & bit) != 0; }
export function controls2(bit: u32): bool { return guest() && (secondary() & bit) != 0; }

/** EPT pointer that accesses go through; 0: none. */
export function eptInForce(): u64 { return controls2(ENABLE_EPT) ? field(EPT_POINTER) : 0; }
export function vpidInForce(): u32 { return controls2(ENABLE_VPID) ? field32(VPID) & 0xffff : 0; }
