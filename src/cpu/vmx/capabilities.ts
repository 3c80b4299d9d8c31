/**
 * What VT-x of this processor can do: one table for the checks of a VM entry and for the MSRs 0x480 to 0x490 that tell about
 * it (SDM 3D appendix A). A control is what must be one (ONES) and what may be one (KNOWN). Absent: everything of the APIC,
 * posted interrupts, PML, VM functions, VMCS shadowing, PERF_GLOBAL_CTRL, dual-monitor treatment.
 */
import { CR4_KNOWN, CR4_VMXE, PHYSICAL_BITS } from '../state';

/** VMCS revision identifier; regions have one page, whose format after the first 8 bytes region.ts says. */
export const REVISION: u32 = 0x4e42;
const REGION_BYTES: u64 = 4096;
const WRITE_BACK: u64 = 6;

export const PIN_ONES: u32 = 0x16;
export const PIN_KNOWN: u32 = 0x7f;
export const PRIMARY_ONES: u32 = 0x04006172;
/** CR3-load and CR3-store exiting besides, as the MSRs from before there were TRUE ones say. */
const PRIMARY_OLD_ONES: u32 = 0x0401e172;
export const PRIMARY_KNOWN: u32 = 0xffd9fffe;
export const SECONDARY_KNOWN: u32 = 0x10ee;
export const EXIT_ONES: u32 = 0x36dfb;
const EXIT_OLD_ONES: u32 = 0x36dff;
export const EXIT_KNOWN: u32 = 0x7fefff;
export const ENTRY_ONES: u32 = 0x11fb;
const ENTRY_OLD_ONES: u32 = 0x11ff;
export const ENTRY_KNOWN: u32 = 0xd3ff;

export const TIMER_SHIFT: u32 = 5; // the preemption timer goes down when this bit of the time-stamp counter changes
export const CR3_TARGETS: u32 = 4;
/** PE, NE, PG; an unrestricted guest may do without PE and PG. */
export const CR0_ONES: u64 = 0x80000021;
export const CR0_ONES_UNRESTRICTED: u64 = 0x20;
const CR0_MAY: u64 = 0xffffffff;
export const CR4_ONES: u64 = CR4_VMXE;
const HIGHEST_INDEX: u64 = 23;

// of EPT_VPID_CAP
const WALK_LENGTH_4: u64 = 1 << 6;
const EPT_UNCACHEABLE: u64 = 1 << 8;
const EPT_WRITE_BACK: u64 = 1 << 14;
const PAGES_2M: u64 = 1 << 16;
const PAGES_1G: u64 = 1 << 17;
const HAS_INVEPT: u64 = 1 << 20;
const EPT_DIRTY: u64 = 1 << 21;
const INVEPT_SINGLE: u64 = 1 << 25;
const INVEPT_ALL: u64 = 1 << 26;
const HAS_INVVPID: u64 = u64(1) << 32;
const INVVPID_TYPES: u64 = u64(15) << 40;

export const FIRST_MSR: u32 = 0x480;
export const LAST_MSR: u32 = 0x490;

function pair(ones: u32, known: u32): u64 { return u64(ones) | (u64(known) << 32); }

/** Value of IA32_VMX_BASIC (0x480) to IA32_VMX_TRUE_ENTRY_CTLS (0x490). */
export function capability(index: u32): u64 {
  switch (index) {
    // INS and OUTS are told in the instruction information (54), TRUE controls exist (55)
    case 0x480: return u64(REVISION) | (REGION_BYTES << 32) | (WRITE_BACK << 50) | (u64(3) << 54);
    case 0x481: case 0x48d: return pair(PIN_ONES, PIN_KNOWN);
    case 0x482: return pair(PRIMARY_OLD_ONES, PRIMARY_KNOWN);
    case 0x48e: return pair(PRIMARY_ONES, PRIMARY_KNOWN);
    case 0x483: return pair(EXIT_OLD_ONES, EXIT_KNOWN);
    case 0x48f: return pair(EXIT_ONES, EXIT_KNOWN);
    case 0x484: return pair(ENTRY_OLD_ONES, ENTRY_KNOWN);
    case 0x490: return pair(ENTRY_ONES, ENTRY_KNOWN);
    // LMA goes to the entry control (5); HLT, shutdown, wait-for-SIPI exist (8:6); lists of 512 MSRs are recommended (27:25 are 0)
    case 0x485: return u64(TIMER_SHIFT) | 0x20 | 0x1c0 | (u64(CR3_TARGETS) << 16);
    case 0x486: return CR0_ONES;
    case 0x487: return CR0_MAY;
    case 0x488: return CR4_ONES;
    case 0x489: return CR4_KNOWN;
    case 0x48a: return HIGHEST_INDEX << 1;
    case 0x48b: return pair(0, SECONDARY_KNOWN);
    case 0x48c:
      return WALK_LENGTH_4 | EPT_UNCACHEABLE | EPT_WRITE_BACK | PAGES_2M | PAGES_1G | HAS_INVEPT | EPT_DIRTY | INVEPT_SINGLE | INVEPT_ALL | HAS_INVVPID | INVVPID_TYPES;
    default: return 0;
  }
}

/** An address that the processor could have: nothing above its width. */
@inline export function withinWidth(address: u64): bool { return address >> PHYSICAL_BITS == 0; }
/** Of a page within the width. */
@inline export function pageAddress(address: u64): bool { return (address & 0xfff) == 0 && withinWidth(address); }
/** EPT memory types 0 and 6 exist, tables have four levels, bit 6 keeps accessed and dirty. */
export function goodEptPointer(pointer: u64): bool { return goodMemoryType(pointer) && goodWalkLength(pointer) && goodReserved(pointer); }
export function goodMemoryType(pointer: u64): bool { return (pointer & 7) == 0 || (pointer & 7) == WRITE_BACK; }
export function goodWalkLength(pointer: u64): bool { return ((pointer >> 3) & 7) == 3; }
export function goodReserved(pointer: u64): bool { return (pointer & 0xf80) == 0 && withinWidth(pointer); }
/** Every byte of a PAT is a memory type. */
export function goodPat(value: u64): bool {
  for (let n: u64 = 0; n < 64; n += 8) {
    const kind = (value >> n) & 0xff;
    if (kind > 7 || kind == 2 || kind == 3) return false;
  }
  return true;
}
