/**
 * VMX instructions of code (SDM 3C 31): what each demands (#UD, #GP, exit from a guest, in this order), what it does, and how
 * it answers: VMsucceed, VMfailInvalid (CF) when no VMCS is current, VMfailValid (ZF) with an error number in the current one.
 */
import {
  CPL, CR0, CR4, CURRENT_VMCS, EFER, FEATURE_CONTROL, GPR, INTERRUPTIBILITY, LAUNCHED, RFLAGS, VMX_OPERATION, VMXON_POINTER,
} from '../layout';
import {
  canonical, CR4_KNOWN, CR4_VMXE, EFER_LMA, F_ARITHMETIC, F_CF, F_VM, F_ZF, feature4, g32, g64, gp, guest, leave, s32, s64, ud,
} from '../state';
import { R_IMMEDIATE, R_LENGTH, R_REG, R_RM } from '../record';
import { flags, setFlagsWhole } from '../flags';
import { commit, flushContext, flushEpt, flushTlb, rd, wr } from '../memory';
import { ea } from '../operand';
import { legacy, real } from '../legacy';
import { putSized, storeSized } from '../arithmetic';
import { CR0_ONES, CR4_ONES, goodEptPointer, pageAddress } from './capabilities';
import { enterByCode } from './entry';
import { fieldExists, readComponent, readOnly, setField, VM_INSTRUCTION_ERROR, writeComponent } from './fields';
import { leaveInformed } from './information';
import { bringIn, clearLaunch, hasRevision, NONE, writeOut } from './region';

const LOCKED_OUTSIDE_SMX: u64 = 5;

// ---- answers

function answer(bits: u64): bool {
  setFlagsWhole((flags() & ~F_ARITHMETIC) | bits);
  return true;
}
function succeed(): bool { return answer(0); }
function failInvalid(): bool { return answer(F_CF); }
/** VMfail: valid with its number when a VMCS is current. */
export function fail(error: u32): bool {
  if (g64(CURRENT_VMCS) == NONE) return failInvalid();
  setField(VM_INSTRUCTION_ERROR, u64(error));
  return answer(F_ZF);
}

// ---- demands

function modeRefuses(): bool { return real() || (g64(RFLAGS) & F_VM) != 0 || ((g64(EFER) & EFER_LMA) != 0 && legacy()); }

/** VMCALL: the exit of a guest comes before the mode. */
export function vmcall(length: u32): bool {
  if (guest()) return leave(18, 0, length);
  if (g32(VMX_OPERATION) == 0 || modeRefuses()) return ud();
  return g32(CPL) != 0 ? gp(0) : fail(1);
}

/** All the others; the record's immediate is the exit reason of each. */
export function vmxInstruction(p: usize): bool {
  const which = load<u32>(p, R_IMMEDIATE);
  const inside = guest() || g32(VMX_OPERATION) != 0;
  if (modeRefuses() || (which == 27 ? !feature4(CR4_VMXE) : !inside)) return ud();
  if (guest()) return leaveGuest(p, which);
  if (!inside) return vmxon(p);
  if (g32(CPL) != 0) return gp(0);
  switch (which) {
    case 19: return vmclear(p);
    case 20: return launch(p, true);
    case 21: return vmptrld(p);
    case 22: return vmptrst(p);
    case 23: return vmread(p);
    case 24: return launch(p, false);
    case 25: return vmwrite(p);
    case 26: return vmxoff();
    case 27: return fail(15);
    case 50: return invept(p);
    default: return invvpid(p);
  }
}

function leaveGuest(p: usize, which: u32): bool {
  if (which == 20 || which == 24 || which == 26) return leave(which, 0, load<u8>(p, R_LENGTH));
  const second = which == 23 || which == 25 || which == 50 || which == 53;
  return leaveInformed(p, which, second ? u32(load<u8>(p, R_REG)) << 28 : 0);
}

// ---- on and off

let operand: u64 = 0;
/** The 64-bit operand in memory; false: it cannot be read. */
function readOperand(p: usize): bool {
  const at = rd(ea(p), 8);
  if (at == 0) return false;
  operand = load<u64>(at);
  return true;
}

function vmxon(p: usize): bool {
  const cr0 = g64(CR0);
  const cr4 = g64(CR4);
  if (g32(CPL) != 0 || (cr0 & CR0_ONES) != CR0_ONES || (cr4 & CR4_ONES) != CR4_ONES || (cr4 & ~CR4_KNOWN) != 0) return gp(0);
  if ((g64(FEATURE_CONTROL) & LOCKED_OUTSIDE_SMX) != LOCKED_OUTSIDE_SMX) return gp(0);
  if (!readOperand(p)) return false;
  if (!pageAddress(operand) || !hasRevision(operand)) return failInvalid();
  s64(VMXON_POINTER, operand);
  s64(CURRENT_VMCS, NONE);
  s32(VMX_OPERATION, 1);
  return succeed();
}

function vmxoff(): bool {
  if (g64(CURRENT_VMCS) != NONE) writeOut();
  s64(CURRENT_VMCS, NONE);
  s32(VMX_OPERATION, 0);
  return succeed();
}

// ---- which VMCS

function vmclear(p: usize): bool {
  if (!readOperand(p)) return false;
  if (!pageAddress(operand)) return fail(2);
  if (operand == g64(VMXON_POINTER)) return fail(3);
  if (operand == g64(CURRENT_VMCS)) {
    s32(LAUNCHED, 0);
    writeOut();
    s64(CURRENT_VMCS, NONE);
  } else clearLaunch(operand);
  return succeed();
}

function vmptrld(p: usize): bool {
  if (!readOperand(p)) return false;
  if (!pageAddress(operand)) return fail(9);
  if (operand == g64(VMXON_POINTER)) return fail(10);
  if (!hasRevision(operand)) return fail(11);
  if (operand != g64(CURRENT_VMCS)) {
    if (g64(CURRENT_VMCS) != NONE) writeOut();
    bringIn(operand);
  }
  return succeed();
}

function vmptrst(p: usize): bool {
  const at = wr(ea(p), 8);
  if (at == 0) return false;
  store<u64>(at, g64(CURRENT_VMCS));
  commit(at);
  return succeed();
}

// ---- fields

/** Size of operands: 8 bytes in 64-bit code, else 4. */
function sizeNow(): u32 { return legacy() ? 2 : 3; }
function register(n: u32): u64 { return legacy() ? u64(load<u32>(GPR + n * 8)) : g64(GPR + n * 8); }

function vmread(p: usize): bool {
  if (g64(CURRENT_VMCS) == NONE) return failInvalid();
  const encoding = register(load<u8>(p, R_REG));
  if (!fieldExists(encoding)) return fail(12);
  const value = readComponent(u32(encoding));
  const rm: u32 = load<u8>(p, R_RM);
  if (rm != 0xff) putSized(GPR + rm * 8, sizeNow(), value);
  else {
    const at = wr(ea(p), 1 << sizeNow());
    if (at == 0) return false;
    storeSized(at, sizeNow(), value);
    commit(at);
  }
  return succeed();
}

function vmwrite(p: usize): bool {
  if (g64(CURRENT_VMCS) == NONE) return failInvalid();
  const rm: u32 = load<u8>(p, R_RM);
  let value: u64;
  if (rm != 0xff) value = register(rm);
  else {
    const at = rd(ea(p), 1 << sizeNow());
    if (at == 0) return false;
    value = legacy() ? u64(load<u32>(at)) : load<u64>(at);
  }
  const encoding = register(load<u8>(p, R_REG));
  if (!fieldExists(encoding)) return fail(12);
  if (readOnly(u32(encoding))) return fail(13);
  writeComponent(u32(encoding), value);
  return succeed();
}

// ---- into the guest

function launch(p: usize, first: bool): bool {
  if (g64(CURRENT_VMCS) == NONE) return failInvalid();
  if ((g32(INTERRUPTIBILITY) & 2) != 0) return fail(26);
  if (first != (g32(LAUNCHED) == 0)) return fail(first ? 4 : 5);
  const error = enterByCode(p);
  return error == 0 ? true : fail(error);
}

// ---- translations

function invept(p: usize): bool {
  const kind = register(load<u8>(p, R_REG));
  const at = rd(ea(p), 16);
  if (at == 0) return false;
  const pointer = load<u64>(at);
  if (load<u64>(at + 8) != 0 || kind < 1 || kind > 2) return fail(28);
  if (kind == 1) {
    if (!goodEptPointer(pointer)) return fail(28);
    flushEpt(pointer);
  } else flushTlb();
  return succeed();
}

/** 0 one address, 1 one VPID, 2 all VPIDs, 3 one VPID but for its global translations. */
function invvpid(p: usize): bool {
  const kind = register(load<u8>(p, R_REG));
  const at = rd(ea(p), 16);
  if (at == 0) return false;
  const vpid = load<u64>(at);
  const address = load<u64>(at + 8);
  if (kind > 3 || vpid >> 16 != 0 || (kind != 2 && vpid == 0)) return fail(28);
  if (kind == 0) {
    if (!canonical(address)) return fail(28);
    // more than that one address may go (SDM 3C 29.4.3.3)
    flushContext(u32(vpid), -1, true);
  } else if (kind == 2) flushTlb();
  else flushContext(u32(vpid), -1, kind == 1);
  return succeed();
}
