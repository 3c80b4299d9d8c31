/**
 * The processor's working state beside its registers, and how an instruction fails. Nothing is thrown: what cannot go on
 * writes down why (`pend`) and returns false or 0, and the run loop delivers the exception or leaves the guest.
 * Addresses 0x900..0xfff are private to the processor; everything that others read is in layout.ts.
 */
import { CPL, CODE_EPOCH, CR4, FAST, FAST_BYTES, RFLAGS, RIP, VMX } from './layout';

// lazy arithmetic flags: see flags.ts
export const LF_RESULT: usize = 0x900;
export const LF_CARRY: usize = 0x908;
export const LF_BITS: usize = 0x910;

// fast front in force for this privilege
export const FAST_READ: usize = 0x920;
export const FAST_WRITE: usize = 0x924;
export const FAST_FETCH: usize = 0x928;

// why the current instruction does not complete
export const PEND: usize = 0x930;
export const PEND_NONE: u32 = 0;
export const PEND_EXCEPTION: u32 = 1;
export const PEND_EXIT: u32 = 2;
export const PEND_DEVICE: u32 = 3; // the host answers for a device
export const X_VECTOR: usize = 0x934;
export const X_ERROR: usize = 0x938;
export const X_HAS_ERROR: usize = 0x93c;
export const X_KIND: usize = 0x940; // interruption type of the VMCS: 0 external, 2 NMI, 3 exception, 4 int n, 5 int1, 6 int3
export const X_LENGTH: usize = 0x944;
export const X_ADDRESS: usize = 0x948; // of a page fault
export const E_REASON: usize = 0x950;
export const E_INFO: usize = 0x954; // instruction information
export const E_QUALIFICATION: usize = 0x958;
export const E_PHYSICAL: usize = 0x960;
export const E_LINEAR: usize = 0x968;
export const E_LENGTH: usize = 0x970;

// what the run loop must look at between instructions
export const ATTENTION: usize = 0x974;
export const A_INTERRUPT: u32 = 1; // a line is up, or a window is wanted
export const A_STEP: u32 = 2; // TF, MTF or an interrupt shadow: one instruction at a time
export const A_HALT: u32 = 4;
export const A_STOP: u32 = 8; // the host must act (port I/O)

export const FOLLOWER: usize = 0xbbc; // block that the inner loop did not begin: it does not fit the budget, or it is time to look round
export const SPLIT: usize = 0xe80; // 256 bytes: an access over two pages; the largest is the frame of an event
export const SPLIT_FIRST: usize = 0x990; // host pointer of the part in the first page
export const SPLIT_SECOND: usize = 0x994;
export const SPLIT_BYTES: usize = 0x998; // bytes in the first page
export const SPLIT_SIZE: usize = 0x99c;
export const PATCH_OP: usize = 0xbb8; // operation that STOP stands for
export const ARENA_TOP: usize = 0x9a4;
export const ZERO_STACK: usize = 0x9a8; // always 0, as ZERO; says that the access is to the stack segment
export const NARROWED: usize = 0x9b0; // effective address cut to 32 bits
export const TLB_STAMP: usize = 0x9b8;
export const TIMER: usize = 0x9c0; // cycles at which the preemption timer runs out; all ones: never
export const IO_POINTER: usize = 0x9c8; // where finishIo puts what came in; 0: the accumulator
export const IO_SIZE: usize = 0x9cc; // 0: nothing is waited for
export const PENDING_MTF: usize = 0x9d0;
export const REP_LIMIT: usize = 0x9d4; // iterations of a repeated string instruction in one go

export const MONITORS: usize = 0x9f8; // 1: MONITOR watches a line
export const CROSSED: usize = 0x9f4; // 1: the current instruction went into a guest or out of one
export const CODE_BASE: usize = 0x9e0; // base of the code segment; 0 in 64-bit mode
export const CODE_KIND: usize = 0x9e8; // 0 64-bit code, 1 32-bit, 2 16-bit, 3 32-bit with a limit
export const FPU_IMAGE: usize = 0xc00; // 512 bytes as FXSAVE writes them
export const PDPTES: usize = 0xe00; // the four page-directory-pointer entries of PAE paging, as CR3 was loaded
export const CODE_LIMIT: usize = 0x9ec; // of the code segment
export const CURRENT: usize = 0x9d8; // record that executes; 0 between blocks
export const PATCHED: usize = 0xbb4; // record where STOP was put for this time; 0: none
export const FETCH_TAG: usize = 0xba8; // linear page of the code that runs, low bits set; 0: ask the TLB
export const FETCH_BIAS: usize = 0xbb0; // host pointer less linear address, in 32 bits
export const CEILING: usize = 0xba0; // slot: no instruction begins at or after so many cycles

// the walker's results and scratch: see paging.ts
export const W_HOST: usize = 0xa00;
export const W_GUEST: usize = 0xa08;
export const W_ERROR: usize = 0xa10;
export const W_RIGHTS: usize = 0xa18;
export const W_SHIFT: usize = 0xa1c;
export const W_GUEST_SHIFT: usize = 0xa20;
export const W_HOST_SHIFT: usize = 0xa24;
export const W_RING: usize = 0xa28; // where the walk is written; 0: quiet
export const W_COUNT: usize = 0xa2c;
export const W_EPT_RIGHTS: usize = 0xa30;
export const W_ROW: usize = 0xa34;
export const W_FINAL: usize = 0xa38; // 1: translating the page itself, not a table
export const W_CACHES: usize = 0xa3c; // of this walk: 1 it may use paging-structure caches, 2 it did
export const W_ENTRIES: usize = 0xa40; // guest entries by level: host-physical address and value and rights, 24 bytes each
export const W_EPT_ENTRIES: usize = 0xac0; // same of the EPT walk in progress

@inline export function g64(at: usize): u64 { return load<u64>(at); }
@inline export function s64(at: usize, value: u64): void { store<u64>(at, value); }
@inline export function g32(at: usize): u32 { return load<u32>(at); }
@inline export function s32(at: usize, value: u32): void { store<u32>(at, value); }

@inline export function user(): bool { return g32(CPL) == 3; }
@inline export function guest(): bool { return g32(VMX) != 0; }

/** An exception of the current instruction; the value is always false. */
export function raise(vector: u32, error: u32, hasError: bool): bool {
  s32(PEND, PEND_EXCEPTION);
  s32(X_VECTOR, vector);
  s32(X_ERROR, error);
  s32(X_HAS_ERROR, u32(hasError));
  s32(X_KIND, 3);
  s32(X_LENGTH, 0);
  return false;
}
export function ud(): bool { return raise(6, 0, false); }
export function gp(error: u32): bool { return raise(13, error, true); }
export function np(error: u32): bool { return raise(11, error, true); }
export function ss(error: u32): bool { return raise(12, error, true); }
export function ts(error: u32): bool { return raise(10, error, true); }

/** A software interrupt or exception: pushed rip is after the instruction. */
export function trap(vector: u32, kind: u32, length: u32): bool {
  raise(vector, 0, false);
  s32(X_KIND, kind);
  s32(X_LENGTH, length);
  return false;
}

/** The current instruction leaves the guest; the value is always false. */
export function leave(reason: u32, qualification: u64, length: u32): bool {
  s32(PEND, PEND_EXIT);
  s32(E_REASON, reason);
  s64(E_QUALIFICATION, qualification);
  s32(E_LENGTH, length);
  s32(E_INFO, 0);
  return false;
}

@inline export function canonical(address: u64): bool { return u64((i64(address) << 16) >> 16) == address; }

/** Which of the fast fronts serves this privilege. */
export function setPrivilege(cpl: u32): void {
  if ((g32(CPL) == 3) != (cpl == 3)) s64(FETCH_TAG, 0);
  s32(CPL, cpl);
  const half: u32 = cpl == 3 ? 3 * FAST_BYTES : 0;
  s32(FAST_READ, FAST + half);
  s32(FAST_WRITE, FAST + half + FAST_BYTES);
  s32(FAST_FETCH, FAST + half + 2 * FAST_BYTES);
}

/** Code was dropped, or is reached another way. */
export function newEpoch(): void { s32(CODE_EPOCH, g32(CODE_EPOCH) + 1); }

export const F_CF: u64 = 1;
export const F_PF: u64 = 4;
export const F_AF: u64 = 0x10;
export const F_ZF: u64 = 0x40;
export const F_SF: u64 = 0x80;
export const F_TF: u64 = 0x100;
export const F_IF: u64 = 0x200;
export const F_DF: u64 = 0x400;
export const F_OF: u64 = 0x800;
export const F_IOPL: u64 = 0x3000;
export const F_NT: u64 = 0x4000;
export const F_RF: u64 = 0x10000;
export const F_VM: u64 = 0x20000;
export const F_AC: u64 = 0x40000;
export const F_ARITHMETIC: u64 = 0x8d5;

export const CR0_PE: u64 = 1;
export const CR0_MP: u64 = 2;
export const CR0_EM: u64 = 4;
export const CR0_TS: u64 = 8;
export const CR0_ET: u64 = 0x10;
export const CR0_NE: u64 = 0x20;
export const CR0_WP: u64 = 0x10000;
export const CR0_AM: u64 = 0x40000;
export const CR0_NW: u64 = 0x20000000;
export const CR0_CD: u64 = 0x40000000;
export const CR0_PG: u64 = 0x80000000;
export const CR4_TSD: u64 = 4;
export const CR4_PAE: u64 = 0x20;
export const CR4_PGE: u64 = 0x80;
export const CR4_UMIP: u64 = 0x800;
export const CR4_VMXE: u64 = 0x2000;
export const CR4_PCIDE: u64 = 0x20000;
export const CR4_SMEP: u64 = 0x100000;
export const CR4_SMAP: u64 = 0x200000;
/** Bits of CR4 that exist: TSD DE PSE PAE PGE UMIP VMXE PCIDE SMEP SMAP; PCE, OSFXSR and OSXMMEXCPT are kept and change nothing. */
export const CR4_KNOWN: u64 = 0x322fbc;
export const EFER_SCE: u64 = 1;
export const EFER_LME: u64 = 0x100;
export const EFER_LMA: u64 = 0x400;
export const EFER_NXE: u64 = 0x800;
export const PHYSICAL_BITS: u64 = 40;
export const PHYSICAL_MASK: u64 = 0xfffffff000; // a frame
export const RESERVED_MASK: u64 = 0xfff0000000000; // bits 51:40 of an entry

@inline export function feature4(bit: u64): bool { return (g64(CR4) & bit) != 0; }
@inline export function flagOn(bit: u64): bool { return (g64(RFLAGS) & bit) != 0; }
@inline export function rip(): u64 { return g64(RIP); }
