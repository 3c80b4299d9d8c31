/**
 * What hypervisor and guest agree on under paravirtualization: numbers and layouts of Xen's public headers for x86-64 where
 * they exist (xen.h, event_channel.h, sched.h, vcpu.h, arch-x86/xen-x86_64.h), so that what is learned here holds there.
 * Four things differ, as the first Xen did them or because the lab needs no more: the guest's kernel runs in ring 1 (as in
 * 32-bit Xen; 64-bit Xen has it in ring 3 with tables of its own), hypercalls are `int 0x82` (SOSP 2003) with number in rax
 * and arguments in rdi, rsi, rdx, r10, r8; descriptor tables are the hypervisor's (set_gdt is refused); one domain, one vCPU.
 */
export const HYPERCALL_VECTOR = 0x82;

export const HYPERCALLS = {
  set_trap_table: 0, mmu_update: 1, set_gdt: 2, stack_switch: 3, set_callbacks: 4, fpu_taskswitch: 5, memory_op: 12, multicall: 13, update_va_mapping: 14, set_timer_op: 15,
  xen_version: 17, console_io: 18, iret: 23, vcpu_op: 24, set_segment_base: 25, mmuext_op: 26, sched_op: 29, event_channel_op: 32,
} as const;
export type HypercallName = keyof typeof HYPERCALLS;

/** Negative errno as hypercalls give them. */
export const EPERM = -1;
export const ESRCH = -3;
export const E2BIG = -7;
export const EFAULT = -14;
export const EBUSY = -16;
export const EINVAL = -22;
export const ENOSPC = -28;
export const ENOSYS = -38;

// ---- mmuext_op
export const MMUEXT_PIN_L1 = 0;
export const MMUEXT_PIN_L4 = 3;
export const MMUEXT_UNPIN = 4;
export const MMUEXT_NEW_BASEPTR = 5;
export const MMUEXT_TLB_FLUSH_LOCAL = 6;
export const MMUEXT_INVLPG_LOCAL = 7;

// ---- sched_op
export const SCHED_YIELD = 0;
export const SCHED_BLOCK = 1;
export const SCHED_SHUTDOWN = 2;

// ---- event_channel_op
export const EVTCHN_BIND_VIRQ = 1;
export const EVTCHN_CLOSE = 3;
export const EVTCHN_SEND = 4;
export const EVTCHN_UNMASK = 9;
export const VIRQ_TIMER = 0;
export const VIRQ_CONSOLE = 2;

// ---- vcpu_op
export const VCPU_SET_PERIODIC_TIMER = 6;
export const VCPU_STOP_PERIODIC_TIMER = 7;

// ---- selectors of the hypervisor's descriptor table, in Xen's place (entry 0x1c00 and on)
export const KERNEL_CODE = 0xe008 | 1;
export const KERNEL_DATA = 0xe010 | 1;
export const USER_DATA = 0xe018 | 3;
export const USER_CODE = 0xe020 | 3;

// ---- shared_info: vcpu_info of vCPU 0 first
export const UPCALL_PENDING = 0; // u8
export const UPCALL_MASK = 1; // u8: what cli and sti are here
export const PENDING_SELECTOR = 8; // u64: words of EVENTS_PENDING with a bit set
export const ARCH_CR2 = 16; // u64
export const EVENTS_PENDING = 0x800; // u64[64]
export const EVENTS_MASK = 0xa00; // u64[64]

// ---- start_info, at the linear address in rdx when the guest starts
export const START_MAGIC = 0; // char[32]
export const START_PAGES = 32; // u64: frames the domain has
export const START_SHARED = 40; // u64: machine address of shared_info
export const START_TABLES = 80; // u64 pt_base: linear address of the L4
export const START_TABLE_FRAMES = 88; // u64 nr_pt_frames
export const START_FRAME_LIST = 96; // u64 mfn_list: linear address of u64 per frame, its machine frame
export const START_COMMAND_LINE = 120; // char[1024]

/** Where the hypervisor shows machine frame to guest frame, read-only, a u64 each; and where its descriptor table is. */
export const MACHINE_TO_PHYSICAL = 0xffff_8000_0000_0000n;
export const HYPERVISOR_TABLES = 0xffff_8080_0000_0000n;
/** L4 entries that are the hypervisor's. */
export const RESERVED_SLOTS = [256, 257] as const;
