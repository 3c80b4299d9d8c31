/**
 * Control and debug registers, INVLPG, INVPCID. In a guest the masks decide: a bit that the host owns reads from the
 * shadow, and writing it otherwise than the shadow leaves the guest (SDM 3C 26.1.3, 26.3). Faults by SDM 2 MOV CR, SDM 3A 2.5.
 * Debug registers hold their values; hardware breakpoints are not modelled.
 */
import { COST_CONTROL, CPL, CR0, CR2, CR3, CR4, CR8, CS, CYCLES, DR0, DR6, DR7, EFER, GPR, TR, VMX_HIDDEN, VMX_OPERATION, WALK_MISCONFIGURATION, WALK_OK, WALK_PAGE_FAULT } from './layout';
import {
  CR0_CD, CR0_ET, CR0_NW, CR0_PE, CR0_PG, CR0_TS, CR0_WP, CR4_KNOWN, CR4_PAE, CR4_PCIDE, CR4_PGE, CR4_SMAP, CR4_SMEP, CR4_VMXE, canonical, EFER_LMA, EFER_LME, E_LINEAR, E_PHYSICAL, W_ERROR, W_GUEST, g32, g64, gp, guest, leave, raise,
  s64, ud,
} from './state';
import { R_LENGTH, R_REG, R_RM } from './record';
import { flushContext, flushFast, flushPage, flushTlb, rd, tagInForce } from './memory';
import { readPointers } from './paging';
import { ea } from './operand';
import { modeChanged } from './mode';
import { legacy } from './legacy';
import { rightsOf } from './segments';
import {
  controls, controls2, CR0_MASK, CR0_SHADOW, CR3_LOAD_EXITING, CR3_STORE_EXITING, CR3_TARGET0, CR3_TARGET_COUNT, CR4_MASK, CR4_SHADOW, CR8_LOAD_EXITING, CR8_STORE_EXITING, ENABLE_INVPCID, UNRESTRICTED, eptInForce, field,
  field32, INVLPG_EXITING, MOV_DR_EXITING, vpidInForce,
} from './vmx/fields';
import { leaveInformed } from './vmx/information';
import { writeTaskPriority } from './devices';

const CR0_KNOWN: u64 = 0xe005003f;

function general(p: usize): usize { return GPR + usize(load<u8>(p, R_RM)) * 8; }

/** CR8 needs REX.R, so it is there in 64-bit code only. */
function isControl(n: u32): bool { return n == 0 || n == 2 || n == 3 || n == 4 || n == 8; }

export function fromControl(p: usize): bool {
  if (load<u8>(p, R_RM) == 0xff) return ud();
  const n: u32 = load<u8>(p, R_REG);
  if (!isControl(n)) return ud();
  if (g32(CPL) != 0) return gp(0);
  const to = general(p);
  const code: u64 = u64(n) | 0x10 | (u64(load<u8>(p, R_RM)) << 8);
  switch (n) {
    case 0: s64(to, guest() ? shadowed(g64(CR0), CR0_MASK, CR0_SHADOW) : g64(CR0)); return true;
    case 2: s64(to, g64(CR2)); return true;
    case 3:
      if (controls(CR3_STORE_EXITING)) return leave(28, code, load<u8>(p, R_LENGTH));
      s64(to, g64(CR3));
      return true;
    case 4: s64(to, guest() ? shadowed(g64(CR4), CR4_MASK, CR4_SHADOW) : g64(CR4)); return true;
    case 8:
      if (controls(CR8_STORE_EXITING)) return leave(28, code, load<u8>(p, R_LENGTH));
      s64(to, g64(CR8));
      return true;
    default: return ud();
  }
}
function shadowed(real: u64, mask: u32, shadow: u32): u64 { return (real & ~field(mask)) | (field(shadow) & field(mask)); }

export function toControl(p: usize): bool {
  if (!writeControl(p)) return false;
  s64(CYCLES, g64(CYCLES) + u64(g32(COST_CONTROL)));
  return true;
}

function writeControl(p: usize): bool {
  if (load<u8>(p, R_RM) == 0xff) return ud();
  const n: u32 = load<u8>(p, R_REG);
  if (!isControl(n)) return ud();
  if (g32(CPL) != 0) return gp(0);
  const value = legacy() ? u64(u32(g64(general(p)))) : g64(general(p));
  const length: u32 = load<u8>(p, R_LENGTH);
  const code: u64 = u64(n) | (u64(load<u8>(p, R_RM)) << 8);
  switch (n) {
    case 0:
      if (guest() && owned(value, CR0_MASK, CR0_SHADOW)) return leave(28, code, length);
      return writeCr0(guest() ? merged(g64(CR0), value, CR0_MASK) : value);
    case 2: s64(CR2, value); return true;
    case 3:
      if (controls(CR3_LOAD_EXITING) && !isTarget(value)) return leave(28, code, length);
      return writeCr3(value);
    case 4:
      if (guest() && owned(value, CR4_MASK, CR4_SHADOW)) return leave(28, code, length);
      return writeCr4(guest() ? merged(g64(CR4), value, CR4_MASK) : value);
    case 8:
      if (controls(CR8_LOAD_EXITING)) return leave(28, code, length);
      if ((value & ~u64(15)) != 0) return gp(0);
      if (!writeTaskPriority(value)) return false;
      s64(CR8, value);
      return true;
    default: return ud();
  }
}
/** Some bit that the host owns would become other than the shadow says. */
function owned(value: u64, mask: u32, shadow: u32): bool { return ((value ^ field(shadow)) & field(mask)) != 0; }
function merged(real: u64, value: u64, mask: u32): u64 { return (real & field(mask)) | (value & ~field(mask)); }

function isTarget(value: u64): bool {
  for (let n: u32 = 0; n < field32(CR3_TARGET_COUNT); n++) {
    if (field(CR3_TARGET0 + 2 * n) == value) return true;
  }
  return false;
}

export function writeCr0(given: u64): bool {
  const value = given | CR0_ET;
  if (value >> 32 != 0) return gp(0);
  if ((value & CR0_PG) != 0 && (value & CR0_PE) == 0) return gp(0);
  if ((value & CR0_NW) != 0 && (value & CR0_CD) == 0) return gp(0);
  const long = (g64(EFER) & EFER_LME) != 0;
  if ((value & CR0_PG) == 0 && (g64(EFER) & EFER_LMA) != 0) {
    // only compatibility mode may leave IA-32e mode
    if (!legacy() || (g64(CR4) & CR4_PCIDE) != 0) return gp(0);
  }
  if ((value & CR0_PG) != 0 && (g64(CR0) & CR0_PG) == 0) {
    if (long && (g64(CR4) & CR4_PAE) == 0) return gp(0);
    if (long && (rightsOf(CS) & 0x2000) != 0) return gp(0);
    if (long && (rightsOf(TR) & 0x1000d) == 1) return gp(0);
  }
  const fixed: u64 = controls2(UNRESTRICTED) ? 0x20 : 0x80000021;
  if ((guest() || g32(VMX_OPERATION) != 0) && (value & fixed) != fixed) return gp(0);
  const before = g64(CR0);
  const pae = (value & CR0_PG) != 0 && !long && (g64(CR4) & CR4_PAE) != 0;
  if (pae && ((before ^ value) & (CR0_PG | CR0_CD | CR0_NW)) != 0 && !takePointers(g64(CR3))) return false;
  s64(CR0, value & CR0_KNOWN);
  if (((before ^ value) & (CR0_PG | CR0_WP | CR0_PE)) != 0) {
    if (((before ^ value) & (CR0_PG | CR0_PE)) != 0) flushTlb();
    else flushFast();
    modeChanged();
  }
  return true;
}

/** PAE paging is in force: its four pointers are in the processor. */
function paePaging(): bool { return (g64(CR0) & CR0_PG) != 0 && (g64(EFER) & EFER_LMA) == 0 && (g64(CR4) & CR4_PAE) != 0; }

/** Loads the four pointers; a reserved bit in one that is present is #GP, and nothing has changed. */
function takePointers(cr3: u64): bool {
  const result = readPointers(cr3, eptInForce());
  if (result == WALK_OK) return true;
  if (result == WALK_PAGE_FAULT) return gp(0);
  leave(result == WALK_MISCONFIGURATION ? 49 : 48, result == WALK_MISCONFIGURATION ? 0 : g64(W_ERROR), 0);
  s64(E_PHYSICAL, g64(W_GUEST));
  return false;
}

export function writeCr3(given: u64): bool {
  const pcids = (g64(CR4) & CR4_PCIDE) != 0;
  const keep = pcids && given >> 63 != 0;
  const value = pcids ? given & ~(u64(1) << 63) : given;
  if (value >> 40 != 0) return gp(0);
  if (paePaging() && !takePointers(value)) return false;
  s64(CR3, value);
  if (keep) flushFast();
  else flushContext(vpidInForce(), pcids ? i32(value & 0xfff) : 0, false);
  return true;
}

export function writeCr4(value: u64): bool {
  const before = g64(CR4);
  if ((value & ~CR4_KNOWN) != 0) return gp(0);
  if ((value & CR4_PAE) == 0 && (g64(EFER) & EFER_LMA) != 0) return gp(0);
  if ((value & ~before & CR4_PCIDE) != 0 && ((g64(CR3) & 0xfff) != 0 || (g64(EFER) & EFER_LMA) == 0)) return gp(0);
  const needs = guest() || g32(VMX_OPERATION) != 0;
  if (needs ? (value & CR4_VMXE) == 0 : (value & CR4_VMXE) != 0 && g32(VMX_HIDDEN) != 0) return gp(0);
  const pae = (value & CR4_PAE) != 0 && (g64(CR0) & CR0_PG) != 0 && (g64(EFER) & EFER_LMA) == 0;
  if (pae && ((before ^ value) & (CR4_PAE | CR4_PGE | 0x10 | CR4_SMEP)) != 0 && !takePointers(g64(CR3))) return false;
  s64(CR4, value);
  if (((before ^ value) & (CR4_PGE | CR4_PAE | CR4_PCIDE | 0x10 | CR4_SMEP)) != 0) flushTlb();
  else if (((before ^ value) & CR4_SMAP) != 0) flushFast();
  return true;
}

export function clearTaskSwitched(length: u32): bool {
  if (guest() && (field(CR0_MASK) & CR0_TS) != 0) {
    // host-owned: leaves only when the guest believes TS to be set; otherwise nothing happens
    return (field(CR0_SHADOW) & CR0_TS) != 0 ? leave(28, 0x20, length) : true;
  }
  s64(CR0, g64(CR0) & ~CR0_TS);
  return true;
}

export function loadMachineStatus(p: usize): bool {
  let value: u64;
  const inMemory = load<u8>(p, R_RM) == 0xff;
  if (inMemory) {
    const at = rd(ea(p), 2);
    if (at == 0) return false;
    value = u64(load<u16>(at)) & 15;
  } else value = g64(general(p)) & 15;
  if (guest()) {
    const mask = field(CR0_MASK) & 15;
    const shadow = field(CR0_SHADOW);
    // PE can only be set
    const asked = (mask & 14 & (value ^ shadow)) != 0 || ((mask & 1) != 0 && (value & 1) != 0 && (shadow & 1) == 0);
    if (asked && inMemory) s64(E_LINEAR, ea(p));
    if (asked) return leave(28, 0x30 | (inMemory ? 0x40 : 0) | (value << 16), load<u8>(p, R_LENGTH));
    value = (g64(CR0) & mask) | (value & ~mask);
  }
  return writeCr0((g64(CR0) & ~u64(14)) | value | (g64(CR0) & CR0_PE));
}

/** Without CR4.DE dr4 and dr5 are dr6 and dr7. */
function debugAt(n: u32): usize {
  if (n < 4) return DR0 + n * 8;
  if (n > 7 || (n < 6 && (g64(CR4) & 8) != 0)) return 0;
  return (n & 1) != 0 ? DR7 : DR6;
}

export function fromDebug(p: usize): bool {
  if (load<u8>(p, R_RM) == 0xff) return ud();
  const at = debugAt(load<u8>(p, R_REG));
  if (at == 0) return ud();
  if (g32(CPL) != 0) return gp(0);
  if (controls(MOV_DR_EXITING)) return leave(29, u64(load<u8>(p, R_REG)) | 0x10 | (u64(load<u8>(p, R_RM)) << 8), load<u8>(p, R_LENGTH));
  if ((g64(DR7) & 0x2000) != 0) return detected();
  s64(general(p), g64(at));
  return true;
}

export function toDebug(p: usize): bool {
  if (load<u8>(p, R_RM) == 0xff) return ud();
  const at = debugAt(load<u8>(p, R_REG));
  if (at == 0) return ud();
  if (g32(CPL) != 0) return gp(0);
  if (controls(MOV_DR_EXITING)) return leave(29, u64(load<u8>(p, R_REG)) | (u64(load<u8>(p, R_RM)) << 8), load<u8>(p, R_LENGTH));
  if ((g64(DR7) & 0x2000) != 0) return detected();
  const value = g64(general(p));
  if (at >= usize(DR6) && value >> 32 != 0) return gp(0);
  s64(at, at == DR6 ? (value & 0xe00f) | 0xffff0ff0 : at == DR7 ? (value & 0xffff2fff) | 0x400 : value);
  return true;
}

/** General detect: debug registers are touched while DR7.GD is set. */
function detected(): bool {
  s64(DR7, g64(DR7) & ~u64(0x2000));
  s64(DR6, g64(DR6) | 0x2000);
  return raise(1, 0, false);
}

export function invalidatePage(p: usize): bool {
  const address = ea(p);
  if (controls(INVLPG_EXITING)) return leave(14, address, load<u8>(p, R_LENGTH));
  if (canonical(address)) flushPage(address, tagInForce());
  // a 4M page of 32-bit paging is two entries
  if ((g64(EFER) & EFER_LMA) == 0 && (g64(CR4) & 0x30) == 0x10) flushPage(address ^ 0x200000, tagInForce());
  return true;
}

/** INVPCID: 0 one address, 1 one PCID, 2 all with globals, 3 all without. */
export function invalidatePcid(p: usize): bool {
  if (guest() && !controls2(ENABLE_INVPCID)) return ud();
  if (controls(INVLPG_EXITING)) return leaveInformed(p, 58, u32(load<u8>(p, R_REG)) << 28);
  const kind = g64(GPR + usize(load<u8>(p, R_REG)) * 8);
  const at = rd(ea(p), 16);
  if (at == 0) return false;
  const pcid = load<u64>(at);
  const address = load<u64>(at + 8);
  if (kind > 3 || pcid >> 12 != 0) return gp(0);
  if (kind < 2 && (g64(CR4) & CR4_PCIDE) == 0 && pcid != 0) return gp(0);
  if (kind == 0) {
    if (!canonical(address)) return gp(0);
    flushPage(address, (vpidInForce() << 16) | u32(pcid));
  } else if (kind == 1) flushContext(vpidInForce(), i32(pcid), false);
  else flushContext(vpidInForce(), -1, kind == 2);
  return true;
}
