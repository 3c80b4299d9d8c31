/**
 * What /dev/kvm and a program that drives it agree on: request numbers and records of linux/kvm.h, nothing else, so that
 * QEMU may import it as it imports abi.ts. Fields bear the header's names in our case; 64-bit values are bigint.
 *
 * Two things cross the door otherwise than in life, because programs of the modelled Linux have no bytes of memory:
 * `kvm_run`, a page that kernel and program share, is the argument and the result of KVM_RUN; and a store into guest
 * memory through the program's own mapping is a pwrite on the VM's descriptor (a load, a pread), at the guest-physical
 * address. Both touch the pages behind, as the store would. Source: Linux Documentation/virt/kvm/api.rst.
 */

// ---- the system descriptor
export const KVM_GET_API_VERSION = 0xae00;
export const KVM_CREATE_VM = 0xae01;
export const KVM_CHECK_EXTENSION = 0xae03;
export const KVM_GET_VCPU_MMAP_SIZE = 0xae04;
export const KVM_API_VERSION = 12;

// ---- a VM's
export const KVM_CREATE_VCPU = 0xae41;
export const KVM_SET_USER_MEMORY_REGION = 0x4020ae46;
export const KVM_SET_TSS_ADDR = 0xae47;
export const KVM_CREATE_IRQCHIP = 0xae60;
export const KVM_IRQ_LINE = 0x4008ae61;
export const KVM_CREATE_PIT2 = 0x4040ae77;
/** Interrupt controllers and timers become what they are after a reset: stands for KVM_SET_IRQCHIP, KVM_SET_PIT2 and KVM_SET_LAPIC with that. */
export const KVM_SET_IRQCHIP = 0x8208ae63;

// ---- a vCPU's
export const KVM_RUN = 0xae80;
export const KVM_GET_REGS = 0x8090ae81;
export const KVM_SET_REGS = 0x4090ae82;
export const KVM_GET_SREGS = 0x8138ae83;
export const KVM_SET_SREGS = 0x4138ae84;
/** Breakpoints, watched places and single steps; arms the next KVM_RUN, which ends with KVM_EXIT_DEBUG. */
export const KVM_SET_GUEST_DEBUG = 0x4048ae9b;
/** The lab's own: from now on what the VM does is kept (1) or no longer (0), so that a debugger can go back. Then KVM_GO_BACK takes a GuestDebug and returns a DebugStop; ENXIO: nothing is kept. */
export const KVM_SET_HISTORY = 0x4004aef0;
export const KVM_GET_HISTORY = 0x8018aef1;
export const KVM_GO_BACK = 0x4048aef2;
/** Stands for `kvm_run->immediate_exit = 1` and the signal that takes a vCPU out of KVM_RUN: it fails with EINTR once. */
export const KVM_IMMEDIATE_EXIT = 0xaeff;

export const KVM_CAP_IRQCHIP = 0;
export const KVM_CAP_HLT = 1;
export const KVM_CAP_USER_MEMORY = 3;
export const KVM_CAP_NR_VCPUS = 9;
export const KVM_CAP_NR_MEMSLOTS = 10;
export const KVM_CAP_PIT2 = 33;
export const KVM_CAP_IMMEDIATE_EXIT = 136;

export const KVM_EXIT_IO = 2;
export const KVM_EXIT_DEBUG = 4;
export const KVM_EXIT_HLT = 5;
export const KVM_EXIT_MMIO = 6;
export const KVM_EXIT_SHUTDOWN = 8;
export const KVM_EXIT_FAIL_ENTRY = 9;
export const KVM_EXIT_INTR = 10;
export const KVM_EXIT_INTERNAL_ERROR = 17;

/**
 * What KVM_CREATE_VM may be told instead of 0. The technique stands for which hypervisor was loaded with which parameters
 * (kvm_intel.ept=0), the generation for the processor it runs on; in life neither goes with a VM. EINVAL: not here, not known.
 */
export interface VmType {
  technique?: string;
  generation?: string;
}

export interface MemoryRegion {
  slot: number;
  flags: number;
  guestPhysAddr: number;
  /** Bytes; 0 removes the slot. */
  memorySize: number;
  userspaceAddr: number;
}

export const REGISTERS = ['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rsp', 'rbp', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15', 'rip', 'rflags'] as const;
export type Regs = Record<(typeof REGISTERS)[number], bigint>;

/** `rights` is the VMCS's format: 3:0 type, 4 S, 6:5 DPL, 7 P, 12 AVL, 13 L, 14 D/B, 15 G, 16 unusable. */
export interface Segment {
  selector: number;
  base: bigint;
  limit: number;
  rights: number;
}

export const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs', 'ldt', 'tr'] as const;
export interface Sregs {
  segments: Record<(typeof SEGMENTS)[number], Segment>;
  gdt: { base: bigint; limit: number };
  idt: { base: bigint; limit: number };
  cr0: bigint;
  cr2: bigint;
  cr3: bigint;
  cr4: bigint;
  efer: bigint;
  /** Waits in HLT. */
  halted: boolean;
}

/** `until` is the lab's own: the next exit, of any reason or the one named as perf names it; or the next store into a page table that is in use. */
export interface GuestDebug {
  singlestep: boolean;
  /** Linear addresses. */
  breakpoints: bigint[];
  watch: { address: bigint; length: number }[];
  until: { reason: string | null } | 'table-write' | null;
}

/** Why the debugger has the machine. */
export type DebugStop =
  | { kind: 'step' }
  | { kind: 'breakpoint'; address: bigint }
  | { kind: 'watch'; address: bigint }
  | { kind: 'table-write'; gpa: bigint; before: bigint; after: bigint }
  | { kind: 'exit'; reason: string; qualification: bigint; gpa: bigint | null }
  /** Of the kept history. */
  | { kind: 'begin' }
  | { kind: 'end' };

/** What KVM_GET_HISTORY tells, in units of progress; `at` null: the machine stands at its end. */
export interface HistoryState {
  from: number;
  to: number;
  at: number | null;
}

/** What the program leaves in the shared page before KVM_RUN. */
export interface RunArgument {
  /** The value that an `in` or a load of the last exit reads; 64-bit loads as a bigint. */
  data?: number | bigint;
}

/** What KVM_RUN leaves there. */
export type RunResult =
  | { exitReason: typeof KVM_EXIT_IO; direction: 'in' | 'out'; port: number; size: number; data: number }
  | { exitReason: typeof KVM_EXIT_MMIO; physAddr: number; data: bigint; len: number; isWrite: boolean }
  | { exitReason: typeof KVM_EXIT_DEBUG; stop: DebugStop }
  | { exitReason: typeof KVM_EXIT_SHUTDOWN }
  | { exitReason: typeof KVM_EXIT_FAIL_ENTRY; hardwareEntryFailureReason: number }
  | { exitReason: typeof KVM_EXIT_INTERNAL_ERROR; suberror: number; text: string };
