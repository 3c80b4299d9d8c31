/**
 * Segment registers and descriptor tables: every load is checked as the manual says (SDM 3A 3.4-3.5, 5.3-5.5; 7.2.1, 7.2.3
 * for the TSS); in 64-bit mode bases count for FS and GS only, elsewhere legacy.ts checks every access. Rights are kept in the VMCS's format (SDM 3C 24.4.1).
 * Gates and far transfers: transfer.ts; task switches are not modelled.
 */
import { CPL, CS, DS, EFER, ES, GDTR, GPR, GS, FS, IDTR, INTERRUPTIBILITY, KERNEL_GS_BASE, LDTR, SEGMENT_LIMIT, SEGMENT_RIGHTS, SEGMENT_SELECTOR, SEGMENT_SIZE, SEGMENTS, SS, TR } from './layout';
import { canonical, CR4_UMIP, feature4, EFER_LMA, g32, g64, gp, np, PEND, s32, s64, ss, ud } from './state';
import { R_IMMEDIATE, R_REG, R_RM, R_SIZE } from './record';
import { commit, rd, reach, wr } from './memory';
import { IMPLICIT, READ, WRITE } from './paging';
import { ea } from './operand';
import { behind, legacy, pushSelector, pushSized, real, stackAt, stackDrop } from './legacy';
import { loadSized, putSized } from './arithmetic';
import { setZero } from './flags';
import { refreshAttention } from './attention';
import { controls2, DESCRIPTOR_EXITING } from './vmx/fields';
import { leaveInformed } from './vmx/information';

const RSP: usize = GPR + 32;
const UNUSABLE: u32 = 0x10000;

@inline export function segmentAt(n: u32): usize { return SEGMENTS + n * SEGMENT_SIZE; }
@inline export function rightsOf(n: u32): u32 { return g32(segmentAt(n) + SEGMENT_RIGHTS); }
@inline export function selectorOf(n: u32): u32 { return g32(segmentAt(n) + SEGMENT_SELECTOR); }

/** Host pointer of a selector's descriptor of `bytes`, or 0: not within its table (`pend` only when memory refused). */
let descriptorAddress: u64 = 0;
export function findDescriptor(selector: u32, bytes: u32): usize {
  const table = segmentAt((selector & 4) != 0 ? LDTR : GDTR);
  if ((selector & 4) != 0 && (g32(table + SEGMENT_RIGHTS) & UNUSABLE) != 0) return 0;
  const offset = selector & 0xfff8;
  if (offset + bytes - 1 > g32(table + SEGMENT_LIMIT)) return 0;
  descriptorAddress = g64(table) + u64(offset);
  return reach(descriptorAddress, bytes, READ | IMPLICIT);
}

/** Rights in VMCS format from a descriptor. */
@inline export function rightsFrom(descriptor: u64): u32 { return u32(descriptor >> 40) & 0xf0ff; }
export function limitFrom(descriptor: u64): u32 {
  const limit = u32(descriptor & 0xffff) | (u32(descriptor >> 32) & 0xf0000);
  return (descriptor >> 55) & 1 ? (limit << 12) | 0xfff : limit;
}
export function baseFrom(descriptor: u64): u64 { return ((descriptor >> 16) & 0xffffff) | ((descriptor >> 32) & 0xff000000); }

export function setSegment(n: u32, selector: u32, base: u64, limit: u32, rights: u32): void {
  const at = segmentAt(n);
  s64(at, base);
  s32(at + SEGMENT_LIMIT, limit);
  s32(at + SEGMENT_RIGHTS, rights);
  s32(at + SEGMENT_SELECTOR, selector);
}

/** Sets the accessed bit in the table when it is clear. */
export function markAccessed(descriptor: u64): bool {
  if ((descriptor >> 40) & 1) return true;
  const at = reach(descriptorAddress + 5, 1, WRITE | IMPLICIT);
  if (at == 0) return false;
  store<u8>(at, load<u8>(at) | 1);
  return true;
}

/** Real mode: the base is the selector's sixteenfold; limit and rights stay. */
export function loadReal(n: u32, selector: u32): bool {
  const at = segmentAt(n);
  const rights = g32(at + SEGMENT_RIGHTS);
  const usable = (rights & UNUSABLE) == 0;
  setSegment(n, selector, u64(selector) << 4, usable ? g32(at + SEGMENT_LIMIT) : 0xffff, usable ? rights : 0x93);
  return true;
}

/** MOV, POP and LxS to ES, SS, DS, FS, GS. */
export function loadSegment(n: u32, selector: u32): bool {
  const cpl = g32(CPL);
  const rpl = selector & 3;
  if (real()) return loadReal(n, selector);
  if ((selector & 0xfffc) == 0) {
    if (n == SS && (cpl == 3 || rpl != cpl || legacy())) return gp(0);
    setSegment(n, selector, 0, 0, UNUSABLE | (n == SS ? cpl << 5 : 0));
    return true;
  }
  const at = findDescriptor(selector, 8);
  if (at == 0) return refused(selector);
  const descriptor = load<u64>(at);
  const rights = rightsFrom(descriptor);
  const dpl = (rights >> 5) & 3;
  const kind = rights & 0x1f;
  if (n == SS) {
    if (rpl != cpl || (kind & 0x1a) != 0x12 || dpl != cpl) return gp(selector & 0xfffc);
    if ((rights & 0x80) == 0) return ss(selector & 0xfffc);
  } else {
    if ((kind & 0x10) == 0 || (kind & 0x0a) == 0x08) return gp(selector & 0xfffc);
    const conforming = (kind & 0x0c) == 0x0c;
    if (!conforming && (rpl > dpl || cpl > dpl)) return gp(selector & 0xfffc);
    if ((rights & 0x80) == 0) return np(selector & 0xfffc);
  }
  if (!markAccessed(descriptor)) return false;
  setSegment(n, selector, baseFrom(descriptor), limitFrom(descriptor), rights | 1);
  return true;
}

/** #GP(selector), unless reading the table failed for its own reason. */
export function refused(selector: u32): bool { return g32(PEND) != 0 ? false : gp(selector & 0xfffc); }

export function toSegment(p: usize): bool {
  const n: u32 = load<u8>(p, R_REG) & 7;
  if (n == CS || n > u32(GS)) return ud();
  let selector: u32;
  if (load<u8>(p, R_RM) == 0xff) {
    const at = rd(ea(p), 2);
    if (at == 0) return false;
    selector = load<u16>(at);
  } else selector = load<u16>(GPR + usize(load<u8>(p, R_RM)) * 8);
  if (!loadSegment(n, selector)) return false;
  if (n == SS) shadow();
  return true;
}
/** No interrupt after a load of SS: the stack pointer comes next. */
function shadow(): void {
  s32(INTERRUPTIBILITY, g32(INTERRUPTIBILITY) | 2);
  refreshAttention();
}

export function fromSegment(p: usize): bool {
  const n: u32 = load<u8>(p, R_REG) & 7;
  if (n > u32(GS)) return ud();
  if (load<u8>(p, R_RM) != 0xff) {
    putSized(GPR + usize(load<u8>(p, R_RM)) * 8, load<u8>(p, R_SIZE), u64(selectorOf(n)));
    return true;
  }
  const at = wr(ea(p), 2);
  if (at == 0) return false;
  store<u16>(at, u16(selectorOf(n)));
  commit(at);
  return true;
}

export function pushSegment(p: usize): bool {
  const selector = selectorOf(load<u32>(p, R_IMMEDIATE));
  return legacy() && load<u8>(p, R_SIZE) == 2 ? pushSelector(selector) : pushSized(load<u8>(p, R_SIZE), u64(selector));
}

export function popSegment(p: usize): bool {
  const size: u32 = load<u8>(p, R_SIZE);
  const at = stackAt(0, 1 << size);
  if (at == 0) return false;
  const n = load<u32>(p, R_IMMEDIATE);
  const before = g64(RSP);
  stackDrop(u64(1) << u64(size));
  if (!loadSegment(n, load<u16>(at))) {
    s64(RSP, before);
    return false;
  }
  if (n == SS) shadow();
  return true;
}

/** LSS, LFS, LGS. */
export function loadFarPointer(p: usize): bool {
  const size: u32 = load<u8>(p, R_SIZE);
  let at = rd(ea(p), 1 << size);
  if (at == 0) return false;
  const offset = loadSized(at, size);
  const n = load<u32>(p, R_IMMEDIATE);
  at = behind(p, 1 << size, 2);
  if (at == 0 || !loadSegment(n, load<u16>(at))) return false;
  putSized(GPR + usize(load<u8>(p, R_REG)) * 8, size, offset);
  if (n == SS) shadow();
  return true;
}

/** Bit 11 of the instruction information: outside 64-bit code, an operand size of 32 bits. */
function tableSize(p: usize): u32 { return legacy() && load<u8>(p, R_SIZE) != 1 ? 1 << 11 : 0; }

export function loadTable(p: usize, global: bool): bool {
  if (controls2(DESCRIPTOR_EXITING)) return leaveInformed(p, 46, tableSize(p) | (global ? 2 : 3) << 28);
  const at = rd(ea(p), legacy() ? 6 : 10);
  if (at == 0) return false;
  const base = legacy() ? u64(load<u32>(at + 2)) & (load<u8>(p, R_SIZE) == 1 ? 0xffffff : 0xffffffff) : load<u64>(at + 2);
  if (!canonical(base)) return gp(0);
  const to = segmentAt(global ? GDTR : IDTR);
  s32(to + SEGMENT_LIMIT, load<u16>(at));
  s64(to, base);
  return true;
}

/** SGDT, SIDT, SLDT, STR, SMSW above ring 0 are #GP with CR4.UMIP (SDM 3A 2.5). */
export function hidden(): bool { return g32(CPL) != 0 && feature4(CR4_UMIP); }

export function storeTable(p: usize, global: bool): bool {
  if (hidden()) return gp(0);
  if (controls2(DESCRIPTOR_EXITING)) return leaveInformed(p, 46, tableSize(p) | (global ? 0 : 1) << 28);
  const at = wr(ea(p), legacy() ? 6 : 10);
  if (at == 0) return false;
  const from = segmentAt(global ? GDTR : IDTR);
  store<u16>(at, u16(g32(from + SEGMENT_LIMIT)));
  if (legacy()) store<u32>(at + 2, u32(g64(from)));
  else store<u64>(at + 2, g64(from));
  commit(at);
  return true;
}

function selectorOperand(p: usize): i32 {
  if (load<u8>(p, R_RM) != 0xff) return load<u16>(GPR + usize(load<u8>(p, R_RM)) * 8);
  const at = rd(ea(p), 2);
  return at == 0 ? -1 : i32(load<u16>(at));
}

/** Descriptors of 16 bytes in 64-bit code: base 63:32 in the second half. */
function loadSystem(n: u32, selector: u32, kind: u32): bool {
  if ((selector & 4) != 0) return gp(selector & 0xfffc);
  const wide = !legacy();
  const at = findDescriptor(selector, wide ? 16 : 8);
  if (at == 0) return refused(selector);
  const descriptor = load<u64>(at);
  const base = baseFrom(descriptor) | (wide ? load<u64>(at + 8) << 32 : 0);
  const rights = rightsFrom(descriptor);
  const short = (g64(EFER) & EFER_LMA) == 0 && kind == 9 && (rights & 0x1f) == 1;
  if ((rights & 0x1f) != kind && !short) return gp(selector & 0xfffc);
  if (wide && ((load<u64>(at + 8) >> 40) & 0x1f) != 0) return gp(selector & 0xfffc);
  if ((rights & 0x80) == 0) return np(selector & 0xfffc);
  if (!canonical(base)) return gp(selector & 0xfffc);
  if (n == TR) {
    const busy = reach(descriptorAddress + 5, 1, WRITE | IMPLICIT);
    if (busy == 0) return false;
    store<u8>(busy, load<u8>(busy) | 2);
  }
  setSegment(n, selector, base, limitFrom(descriptor), n == TR ? rights | 2 : rights);
  return true;
}

export function loadLocal(p: usize): bool {
  if (real()) return ud();
  if (controls2(DESCRIPTOR_EXITING)) return leaveInformed(p, 47, 2 << 28);
  const selector = selectorOperand(p);
  if (selector < 0) return false;
  if ((selector & 0xfffc) == 0) {
    setSegment(LDTR, selector, 0, 0, UNUSABLE);
    return true;
  }
  return loadSystem(LDTR, selector, 2);
}

export function loadTask(p: usize): bool {
  if (real()) return ud();
  if (controls2(DESCRIPTOR_EXITING)) return leaveInformed(p, 47, 3 << 28);
  const selector = selectorOperand(p);
  if (selector < 0) return false;
  return (selector & 0xfffc) == 0 ? gp(0) : loadSystem(TR, selector, 9);
}

export function storeSelector(p: usize, local: bool): bool {
  if (real()) return ud();
  if (hidden()) return gp(0);
  if (controls2(DESCRIPTOR_EXITING)) return leaveInformed(p, 47, local ? 0 : 1 << 28);
  const selector = selectorOf(local ? LDTR : TR);
  if (load<u8>(p, R_RM) != 0xff) {
    putSized(GPR + usize(load<u8>(p, R_RM)) * 8, load<u8>(p, R_SIZE), u64(selector));
    return true;
  }
  const at = wr(ea(p), 2);
  if (at == 0) return false;
  store<u16>(at, u16(selector));
  commit(at);
  return true;
}

/** May LAR, LSL, VERR, VERW see this descriptor? */
function visible(selector: u32, rights: u32): bool {
  const dpl = (rights >> 5) & 3;
  if ((rights & 0x1c) == 0x1c) return true;
  return dpl >= g32(CPL) && dpl >= (selector & 3);
}

/** A system descriptor of 16 bytes lies within its table, and the type in its second half is 0. */
function wholeSystem(selector: u32): bool {
  const at = findDescriptor(selector, 16);
  return at != 0 && ((load<u64>(at + 8) >> 40) & 0x1f) == 0;
}

export function accessRights(p: usize, rightsWanted: bool): bool {
  if (real()) return ud();
  const selector = selectorOperand(p);
  if (selector < 0) return false;
  const at = (selector & 0xfffc) == 0 ? 0 : findDescriptor(selector, 8);
  if (at == 0 && g32(PEND) != 0) return false;
  let good = false;
  let value: u64 = 0;
  if (at != 0) {
    const descriptor = load<u64>(at);
    const rights = rightsFrom(descriptor);
    const kind = rights & 0x1f;
    // system types that count in IA-32e mode: LDT 2, TSS 9 11, for LAR call gate 12
    const old = (g64(EFER) & EFER_LMA) == 0 && (kind == 1 || kind == 3 || (rightsWanted && (kind == 4 || kind == 5)));
    good = visible(selector, rights) && ((kind & 0x10) != 0 || kind == 2 || kind == 9 || kind == 11 || (rightsWanted && kind == 12) || old);
    // as bochs has it: compatibility mode looks at the second half of call gates only
    if (good && (kind & 0x10) == 0 && (kind == 12 ? (g64(EFER) & EFER_LMA) != 0 : !legacy())) good = wholeSystem(selector);
    if (g32(PEND) != 0) return false;
    value = rightsWanted ? (descriptor >> 32) & 0xffff00 : u64(limitFrom(descriptor));
  }
  setZero(good);
  if (good) putSized(GPR + usize(load<u8>(p, R_REG)) * 8, load<u8>(p, R_SIZE), value);
  return true;
}

export function verify(p: usize, writes: bool): bool {
  if (real()) return ud();
  const selector = selectorOperand(p);
  if (selector < 0) return false;
  const at = (selector & 0xfffc) == 0 ? 0 : findDescriptor(selector, 8);
  if (at == 0 && g32(PEND) != 0) return false;
  let good = false;
  if (at != 0) {
    const rights = rightsFrom(load<u64>(at));
    const kind = rights & 0x1f;
    if ((kind & 0x10) != 0 && visible(selector, rights)) good = writes ? (kind & 0x0a) == 0x02 : (kind & 0x0a) != 0x08;
  }
  setZero(good);
  return true;
}

export function swapGs(): bool {
  if (g32(CPL) != 0) return gp(0);
  const at = segmentAt(GS);
  const base = g64(at);
  s64(at, g64(KERNEL_GS_BASE));
  s64(KERNEL_GS_BASE, base);
  return true;
}

/** Going to a less privileged ring takes away what only the inner one may hold (SDM 2A IRET). */
export function dropInner(cpl: u32): void {
  for (let k = 0; k < 4; k++) {
    const n: u32 = k == 0 ? ES : k == 1 ? DS : k == 2 ? FS : GS;
    const rights = rightsOf(n);
    if ((rights & UNUSABLE) != 0) continue;
    if (((rights >> 5) & 3) < cpl && (rights & 0x1c) != 0x1c) setSegment(n, 0, 0, 0, UNUSABLE);
  }
}
