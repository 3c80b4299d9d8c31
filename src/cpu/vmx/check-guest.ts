/**
 * Checks of the guest-state area (SDM 3C 27.3.1) apart from segments: the number of the first rule that is broken
 * (machine/entry-rules.ts), or 0.
 */
import { CURRENT_VMCS, VMX_OPERATION } from '../layout';
import {
  canonical, CR4_KNOWN, CR4_PAE, CR4_PCIDE, EFER_LMA, EFER_LME, EFER_NXE, EFER_SCE, F_IF, F_TF, F_VM, g32, g64,
} from '../state';
import { readPhysical } from '../paging';
import { CR0_ONES, CR0_ONES_UNRESTRICTED, CR4_ONES, goodPat, pageAddress, REVISION, withinWidth } from './capabilities';
import { checkSegments } from './check-segments';
import {
  ENABLE_EPT, ENTRY_CONTROLS, ENTRY_INTERRUPTION, ENTRY_LOAD_DEBUG, ENTRY_LOAD_EFER, ENTRY_LOAD_PAT, ENTRY_LONG, field, field32, GUEST_ACTIVITY, GUEST_CR0, GUEST_CR3, GUEST_CR4, GUEST_DEBUGCTL,
  GUEST_DR7, GUEST_EFER, GUEST_INTERRUPTIBILITY, GUEST_PAT, GUEST_PDPTES, GUEST_PENDING_DEBUG, GUEST_RFLAGS, GUEST_RIGHTS, GUEST_RIP, GUEST_SYSENTER_EIP, GUEST_SYSENTER_ESP, LINK_POINTER,
  PIN_BASED_CONTROLS, PIN_VIRTUAL_NMI, secondary, UNRESTRICTED,
} from './fields';

const PG: u64 = 0x80000000;
const STI: u32 = 1;
const MOV_SS: u32 = 2;

export function checkGuest(): u32 {
  const registers = checkRegisters();
  if (registers != 0) return registers;
  const segments = checkSegments();
  if (segments != 0) return segments;
  const flags = checkFlags();
  if (flags != 0) return flags;
  const state = checkState();
  if (state != 0) return state;
  const link = checkLink();
  return link != 0 ? link : checkPointers();
}

function checkRegisters(): u32 {
  const cr0 = field(GUEST_CR0);
  const cr4 = field(GUEST_CR4);
  const entry = field32(ENTRY_CONTROLS);
  const long = (entry & ENTRY_LONG) != 0;
  const ones = (secondary() & UNRESTRICTED) != 0 ? CR0_ONES_UNRESTRICTED : CR0_ONES;
  if ((cr0 & ones) != ones) return 70;
  if ((cr0 & PG) != 0 && (cr0 & 1) == 0) return 71;
  if (cr0 >> 32 != 0) return 72;
  if ((cr4 & CR4_ONES) != CR4_ONES || (cr4 & ~CR4_KNOWN) != 0) return 73;
  if (long && ((cr4 & CR4_PAE) == 0 || (cr0 & PG) == 0)) return 74;
  if (!long && (cr4 & CR4_PCIDE) != 0) return 75;
  if (!withinWidth(field(GUEST_CR3))) return 76;
  if ((entry & ENTRY_LOAD_DEBUG) != 0) {
    if ((field(GUEST_DEBUGCTL) & ~u64(3)) != 0) return 77;
    if (field(GUEST_DR7) >> 32 != 0) return 78;
  }
  if (!canonical(field(GUEST_SYSENTER_ESP))) return 79;
  if (!canonical(field(GUEST_SYSENTER_EIP))) return 80;
  if ((entry & ENTRY_LOAD_PAT) != 0 && !goodPat(field(GUEST_PAT))) return 81;
  if ((entry & ENTRY_LOAD_EFER) == 0) return 0;
  const efer = field(GUEST_EFER);
  if ((efer & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)) != 0) return 82;
  if (((efer & EFER_LMA) != 0) != long) return 83;
  return (cr0 & PG) != 0 && ((efer & EFER_LME) != 0) != long ? 84 : 0;
}

function external(): bool { return (field32(ENTRY_INTERRUPTION) & 0x80000700) == 0x80000000; }

function checkFlags(): u32 {
  const flags = field(GUEST_RFLAGS);
  const rip = field(GUEST_RIP);
  const long = (field32(ENTRY_CONTROLS) & ENTRY_LONG) != 0;
  if (!long || (field32(GUEST_RIGHTS + 2) & 0x2000) == 0) {
    if (rip >> 32 != 0) return 129;
  } else if (rip >> 48 != 0 && rip >> 48 != 0xffff) return 130;
  if ((flags & ~u64(0x3f7fd7)) != 0 || (flags & 2) == 0) return 131;
  if ((flags & F_VM) != 0 && (long || (field(GUEST_CR0) & 1) == 0)) return 132;
  if ((flags & F_VM) != 0) return 133;
  return external() && (flags & F_IF) == 0 ? 134 : 0;
}

/** What may be injected into a guest that does not execute: SDM 3C 27.3.1.5. */
function wakes(activity: u32, info: u32): bool {
  const kind = (info >> 8) & 7;
  const vector = info & 255;
  if (activity == 1) return kind == 0 || kind == 2 || kind == 7 || (kind == 3 && (vector == 1 || vector == 18));
  return activity == 2 && (kind == 2 || (kind == 3 && vector == 18));
}

function checkState(): u32 {
  const activity = field32(GUEST_ACTIVITY);
  const blocking = field32(GUEST_INTERRUPTIBILITY);
  const info = field32(ENTRY_INTERRUPTION);
  const flags = field(GUEST_RFLAGS);
  const nmi = (info & 0x80000700) == 0x80000200;
  if (activity > 3) return 135;
  if (activity == 1 && ((field32(GUEST_RIGHTS + 4) >> 5) & 3) != 0) return 136;
  if (activity != 0 && (blocking & (STI | MOV_SS)) != 0) return 137;
  if (activity != 0 && info >> 31 != 0 && !wakes(activity, info)) return 138;
  if ((blocking & ~15) != 0) return 139;
  if ((blocking & (STI | MOV_SS)) == (STI | MOV_SS)) return 140;
  if ((blocking & STI) != 0 && (flags & F_IF) == 0) return 141;
  if (external() && (blocking & (STI | MOV_SS)) != 0) return 142;
  if (nmi && (blocking & MOV_SS) != 0) return 143;
  if ((blocking & 4) != 0) return 144;
  if (nmi && (field32(PIN_BASED_CONTROLS) & PIN_VIRTUAL_NMI) != 0 && (blocking & 8) != 0) return 145;
  const pending = field(GUEST_PENDING_DEBUG);
  if ((pending & ~u64(0x500f)) != 0) return 146;
  if ((blocking & (STI | MOV_SS)) == 0 && activity != 1) return 0;
  const steps = (flags & F_TF) != 0 && (field(GUEST_DEBUGCTL) & 2) == 0;
  return ((pending & 0x4000) != 0) != steps ? 147 : 0;
}

/** All ones, or another VMCS region of this processor (shadowing, which would use it, is not there). */
function checkLink(): u32 {
  const link = field(LINK_POINTER);
  if (link == ~u64(0)) return 0;
  if (!pageAddress(link)) return 148;
  if (u32(readPhysical(link)) != REVISION) return 149;
  return g32(VMX_OPERATION) != 0 && link == g64(CURRENT_VMCS) ? 150 : 0;
}

/** Entry `n` of the page-directory-pointer table that a guest with PAE paging will use; all ones: it does not. */
export function pointerEntry(n: u32): u64 {
  const second = secondary();
  return (second & ENABLE_EPT) != 0 ? field(GUEST_PDPTES + 2 * n) : readPhysical((field(GUEST_CR3) & 0xffffffe0) + u64(n) * 8);
}

function checkPointers(): u32 {
  const cr0 = field(GUEST_CR0);
  if ((cr0 & PG) == 0 || (field(GUEST_CR4) & CR4_PAE) == 0 || (field32(ENTRY_CONTROLS) & ENTRY_LONG) != 0) return 0;
  for (let n: u32 = 0; n < 4; n++) {
    const entry = pointerEntry(n);
    if ((entry & 1) != 0 && ((entry & 0x1e6) != 0 || !withinWidth(entry))) return (secondary() & ENABLE_EPT) != 0 ? 151 : 152;
  }
  return 0;
}

/** Exit qualification of a failed entry, by the rule that was broken (SDM 3C 27.8). */
export function failureQualification(rule: u32): u64 {
  if (rule >= 148 && rule <= 150) return 4;
  return rule == 151 || rule == 152 ? 2 : 0;
}
