/**
 * SYSCALL, SYSRET, SYSENTER, SYSEXIT: rings change by MSRs, without tables. Sources: SDM 2B of each; SDM 3A 5.8.7, 5.8.8.
 * SYSCALL and SYSRET are #UD outside 64-bit mode, as on Intel's processors.
 */
import { CPL, CS, EFER, FMASK, GPR, LSTAR, RFLAGS, RIP, SS, STAR, SYSENTER_CS, SYSENTER_EIP, SYSENTER_ESP, TRAP_SYSCALL, TRAP_SYSENTER, TRAPS } from './layout';
import { canonical, EFER_SCE, F_AC, F_IF, F_RF, F_VM, g32, g64, gp, guest, s64, setPrivilege, trap, ud } from './state';
import { R_LENGTH, R_SIZE } from './record';
import { flags, setFlagsWhole } from './flags';
import { flushFast } from './memory';
import { following } from './operand';
import { real } from './legacy';
import { setSegment } from './segments';
import { codeChanged } from './mode';
import { refreshAttention } from './attention';
import { longMode } from './transfer';

const RCX: usize = GPR + 8;
const RDX: usize = GPR + 16;
const RSP: usize = GPR + 32;
const R11: usize = GPR + 88;

/** Flat segments of a ring. `wide`: 64-bit code. */
function flat(code: u32, stack: u32, ring: u32, wide: bool): void {
  setSegment(CS, code, 0, 0xffffffff, (wide ? 0xa09b : 0xc09b) | (ring << 5));
  setSegment(SS, stack, 0, 0xffffffff, 0xc093 | (ring << 5));
  setPrivilege(ring);
  codeChanged();
}

export function systemCall(p: usize): bool {
  if ((g64(EFER) & EFER_SCE) == 0) return ud();
  if (g32(TRAPS) != 0 && !guest()) return trap(TRAP_SYSCALL, 4, load<u8>(p, R_LENGTH));
  const before = flags();
  s64(RCX, following(p));
  s64(R11, before & ~F_RF);
  s64(RIP, g64(LSTAR));
  setFlagsWhole(before & ~g64(FMASK) & ~F_RF);
  const selector = u32(g64(STAR) >> 32) & 0xfffc;
  flat(selector, selector + 8, 0, true);
  if (((before ^ g64(RFLAGS)) & F_AC) != 0) flushFast();
  refreshAttention();
  return true;
}

export function systemReturn(p: usize): bool {
  if ((g64(EFER) & EFER_SCE) == 0) return ud();
  if (g32(CPL) != 0) return gp(0);
  const wide = load<u8>(p, R_SIZE) == 3;
  const target = g64(RCX);
  if (wide && !canonical(target)) return gp(0);
  const base = u32(g64(STAR) >> 48);
  const before = g64(RFLAGS);
  setFlagsWhole((g64(R11) & 0x3c7fd7) | 2);
  s64(RIP, wide ? target : target & 0xffffffff);
  flat(((base + (wide ? 16 : 0)) & 0xffff) | 3, ((base + 8) & 0xffff) | 3, 3, wide);
  if (((before ^ g64(RFLAGS)) & F_AC) != 0) flushFast();
  refreshAttention();
  return true;
}

export function systemEnter(p: usize): bool {
  const selector = u32(g64(SYSENTER_CS)) & 0xfffc;
  if (real() || selector == 0) return gp(0);
  if (g32(TRAPS) != 0 && !guest()) return trap(TRAP_SYSENTER, 4, load<u8>(p, R_LENGTH));
  const wide = longMode();
  setFlagsWhole(flags() & ~(F_VM | F_IF | F_RF));
  s64(RSP, wide ? g64(SYSENTER_ESP) : u64(u32(g64(SYSENTER_ESP))));
  s64(RIP, wide ? g64(SYSENTER_EIP) : u64(u32(g64(SYSENTER_EIP))));
  flat(selector, (selector + 8) & 0xffff, 0, wide);
  refreshAttention();
  return true;
}

export function systemExit(p: usize): bool {
  const base = u32(g64(SYSENTER_CS)) & 0xffff;
  if (real() || (base & 0xfffc) == 0 || g32(CPL) != 0) return gp(0);
  const wide = load<u8>(p, R_SIZE) == 3;
  if (wide && (!canonical(g64(RCX)) || !canonical(g64(RDX)))) return gp(0);
  s64(RSP, wide ? g64(RCX) : u64(load<u32>(RCX)));
  s64(RIP, wide ? g64(RDX) : u64(load<u32>(RDX)));
  flat(((base + (wide ? 32 : 16)) & 0xffff) | 3, ((base + (wide ? 40 : 24)) & 0xffff) | 3, 3, wide);
  refreshAttention();
  return true;
}
