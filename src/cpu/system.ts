/**
 * Instructions that ask or change the processor itself: CPUID, time, MSRs, ports, HLT, the interrupt flag. What leaves a
 * guest is decided here by its controls, after the faults of privilege (SDM 3C 26.1.1). CPUID says exactly what exists:
 * no x87, no SSE, only their state to save. Sources: SDM 2, SDM 4 (MSRs), SDM 1 18.5.2 (port permissions).
 */
import {
  ACTIVITY, APIC_BASE, CPL, CSTAR, CYCLES, DEBUGCTL, DEVICES, EFER, FEATURE_CONTROL, FMASK, GPR, HOST, INTERRUPTIBILITY, KERNEL_GS_BASE, LSTAR, MEMORY_BYTES, MISC_ENABLE, PAT, PAYLOAD, RFLAGS,
  SEGMENT_LIMIT, SEGMENT_RIGHTS, SEGMENT_SIZE, SEGMENTS, STAR, SYSENTER_CS, SYSENTER_EIP, SYSENTER_ESP, TR, TSC_AUX, TSC_BASE, VMX_HIDDEN, CR0,
} from './layout';
import {
  A_STOP, ATTENTION, canonical, CR0_PG, CR4_TSD, EFER_LMA, EFER_LME, EFER_NXE, EFER_SCE, F_IF, feature4, g32, g64, gp, guest, IO_POINTER, IO_SIZE, leave, PEND, s32, s64, ud,
} from './state';
import { R_CYCLES, R_IMMEDIATE, R_LENGTH, R_RM, R_SIZE, R_SRC } from './record';
import { commit, flushTlb, reach, wr } from './memory';
import { IMPLICIT, READ } from './paging';
import { ea } from './operand';
import { loadSized, putSized } from './arithmetic';
import { hidden } from './segments';
import { refreshAttention } from './attention';
import { deviceMsr, readDeviceMsr, writeDeviceMsr } from './devices';
import { capability, FIRST_MSR, LAST_MSR } from './vmx/capabilities';
import {
  controls, controls2, CR0_MASK, CR0_SHADOW, ENABLE_RDTSCP, field, HLT_EXITING, IO_BITMAP_A, IO_BITMAP_B, MSR_BITMAP, RDPMC_EXITING, RDTSC_EXITING, TSC_OFFSET, UNCONDITIONAL_IO, USE_IO_BITMAPS,
  USE_MSR_BITMAP, USE_TSC_OFFSET,
} from './vmx/fields';

const RAX: usize = GPR;
const RCX: usize = GPR + 8;
const RDX: usize = GPR + 16;
const RBX: usize = GPR + 24;

// ---- CPUID

export function cpuid(length: u32): bool {
  if (guest()) return leave(10, 0, length);
  identify(load<u32>(RAX), load<u32>(RCX));
  s64(RAX, g64(PAYLOAD));
  s64(RBX, g64(PAYLOAD + 8));
  s64(RCX, g64(PAYLOAD + 16));
  s64(RDX, g64(PAYLOAD + 24));
  return true;
}

function answer(a: u32, b: u32, c: u32, d: u32): void {
  s64(PAYLOAD, u64(a));
  s64(PAYLOAD + 8, u64(b));
  s64(PAYLOAD + 16, u64(c));
  s64(PAYLOAD + 24, u64(d));
}

/** A leaf's eax, ebx, ecx, edx into the first four payload slots. */
export function identify(leaf: u32, subleaf: u32): void {
  switch (leaf) {
    case 0: return answer(7, 0x756e6547, 0x6c65746e, 0x49656e69); // GenuineIntel
    // family 6; SSE and x87 are not there. ecx: monitor vmx cx16 pcid popcnt; edx: de pse tsc msr pae cx8 sep pge cmov pat pse36 fxsr
    // and apic, x2apic, tsc-deadline where there is an APIC
    case 1: return answer(0x000306c0, 0x00000800, 0x00822008 | (g32(VMX_HIDDEN) == 0 ? 0x20 : 0) | (g32(DEVICES) != 0 ? 0x1200000 : 0), 0x0103a97c | (g32(DEVICES) != 0 && (g64(APIC_BASE) & 0x800) != 0 ? 0x200 : 0));
    case 5: return answer(64, 64, 3, 0); // monitor lines of 64 bytes; masked interrupts may end mwait
    case 7: return answer(0, subleaf == 0 ? 0x00100480 : 0, subleaf == 0 ? 4 : 0, 0); // smep invpcid smap; umip
    case 0x80000000: return answer(0x80000008, 0, 0, 0);
    case 0x80000001: return answer(0, 0, 1, 0x2c100800); // lahf; syscall nx page1gb rdtscp lm
    case 0x80000002: return answer(0x7473654e, 0x20786f62, 0x2d363878, 0x70203436); // "Nestbox x86-64 p"
    case 0x80000003: return answer(0x65636f72, 0x726f7373, 0, 0); // "rocessor"
    case 0x80000004: return answer(0, 0, 0, 0);
    case 0x80000007: return answer(0, 0, 0, 0x100); // invariant time-stamp counter
    case 0x80000008: return answer(0x3028, 0, 0, 0); // 48 linear, 40 physical bits
    default: return answer(0, 0, 0, 0);
  }
}

// ---- time

export function readTime(p: usize, withAux: bool): bool {
  const length: u32 = load<u8>(p, R_LENGTH);
  if (withAux && guest() && !controls2(ENABLE_RDTSCP)) return ud();
  if (feature4(CR4_TSD) && g32(CPL) != 0) return gp(0);
  if (controls(RDTSC_EXITING)) return leave(withAux ? 51 : 16, 0, length);
  const now = timeStamp() + u64(load<u16>(p, R_CYCLES));
  s64(RAX, u64(u32(now)));
  s64(RDX, now >> 32);
  if (withAux) s64(RCX, u64(u32(g64(TSC_AUX))));
  return true;
}
function timeStamp(): u64 { return g64(CYCLES) + g64(TSC_BASE) + (controls(USE_TSC_OFFSET) ? field(TSC_OFFSET) : 0); }

export function readCounter(length: u32): bool {
  return controls(RDPMC_EXITING) ? leave(15, 0, length) : gp(0);
}

// ---- MSRs

/** Slot of an MSR that is one, or 0. */
function msrSlot(index: u32): usize {
  switch (index) {
    case 0x1b: return APIC_BASE;
    case 0x3a: return g32(VMX_HIDDEN) == 0 ? FEATURE_CONTROL : 0;
    case 0x174: return SYSENTER_CS;
    case 0x175: return SYSENTER_ESP;
    case 0x176: return SYSENTER_EIP;
    case 0x1a0: return MISC_ENABLE;
    case 0x1d9: return DEBUGCTL;
    case 0x277: return PAT;
    case 0xc0000080: return EFER;
    case 0xc0000081: return STAR;
    case 0xc0000082: return LSTAR;
    case 0xc0000083: return CSTAR;
    case 0xc0000084: return FMASK;
    case 0xc0000100: return SEGMENTS + 4 * SEGMENT_SIZE;
    case 0xc0000101: return SEGMENTS + 5 * SEGMENT_SIZE;
    case 0xc0000102: return KERNEL_GS_BASE;
    case 0xc0000103: return TSC_AUX;
    default: return 0;
  }
}

/** 0 with the value in the last payload slot; 1: no such MSR. */
export function rdmsr(index: u32): i32 {
  if (index >= FIRST_MSR && index <= LAST_MSR) {
    s64(PAYLOAD + 56, capability(index));
    return g32(VMX_HIDDEN);
  }
  const at = msrSlot(index);
  if (at == 0 && index != 0x10) return 1;
  s64(PAYLOAD + 56, index == 0x10 ? timeStamp() : g64(at));
  return 0;
}

/** 0 done, 1 #GP. */
export function wrmsr(index: u32, value: u64): i32 {
  if (index == 0x10) {
    s64(TSC_BASE, g64(TSC_BASE) + value - timeStamp());
    return 0;
  }
  const at = msrSlot(index);
  if (at == 0) return 1;
  switch (index) {
    case 0xc0000080: return writeEfer(value);
    case 0x3a:
      // locked until reset; SMX (bit 1 and above) is not there
      if ((g64(FEATURE_CONTROL) & 1) != 0 || (value & ~u64(5)) != 0) return 1;
      break;
    case 0x175: case 0x176: case 0xc0000082: case 0xc0000083: case 0xc0000100: case 0xc0000101: case 0xc0000102:
      if (!canonical(value)) return 1;
      break;
    case 0x277:
      for (let n = 0; n < 64; n += 8) {
        const kind = (value >> n) & 0xff;
        if (kind > 7 || kind == 2 || kind == 3) return 1;
      }
      break;
    case 0x174: // 32 bits, whatever stands above
      s64(at, u64(u32(value)));
      return 0;
    case 0xc0000084: case 0xc0000103:
      if (value >> 32 != 0) return 1;
      break;
    case 0x1d9:
      if ((value & ~u64(3)) != 0) return 1;
      break;
    default: break;
  }
  s64(at, value);
  return 0;
}

function writeEfer(value: u64): i32 {
  if ((value & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)) != 0) return 1;
  const before = g64(EFER);
  if ((g64(CR0) & CR0_PG) != 0 && ((before ^ value) & EFER_LME) != 0) return 1;
  s64(EFER, (value & ~EFER_LMA) | (before & EFER_LMA));
  if (((before ^ value) & EFER_NXE) != 0) flushTlb();
  return 0;
}

function msrExits(index: u32, writes: bool): bool {
  if (!guest()) return false;
  if (!controls(USE_MSR_BITMAP)) return true;
  if (index > 0x1fff && (index < 0xc0000000 || index > 0xc0001fff)) return true;
  const bit = index & 0x1fff;
  const at = field(MSR_BITMAP) + (writes ? 2048 : 0) + (index >= 0xc0000000 ? 1024 : 0) + u64(bit >> 3);
  return at >= g64(MEMORY_BYTES) || ((load<u8>(HOST + usize(at)) >> u8(bit & 7)) & 1) != 0;
}

export function readMsrs(length: u32): bool {
  const index = load<u32>(RCX);
  if (msrExits(index, false)) return leave(31, 0, length);
  if (deviceMsr(index)) {
    const at = readDeviceMsr(index);
    if (at == 0) return false;
    s64(PAYLOAD + 56, g64(at));
  } else if (rdmsr(index) != 0) return gp(0);
  s64(RAX, g64(PAYLOAD + 56) & 0xffffffff);
  s64(RDX, g64(PAYLOAD + 56) >> 32);
  return true;
}
export function writeMsrs(length: u32): bool {
  const index = load<u32>(RCX);
  if (msrExits(index, true)) return leave(32, 0, length);
  const value = u64(load<u32>(RAX)) | (u64(load<u32>(RDX)) << 32);
  if (deviceMsr(index)) return writeDeviceMsr(index, value);
  return wrmsr(index, value) == 0 ? true : gp(0);
}

// ---- ports

/** Ring above IOPL and the task's I/O bitmap says no (or the TSS is too short to say). */
export function portRefused(port: u32, bytes: u32): bool {
  if (u64(g32(CPL)) <= ((g64(RFLAGS) >> 12) & 3)) return false;
  const tr = SEGMENTS + TR * SEGMENT_SIZE;
  if ((g32(tr + SEGMENT_RIGHTS) & 0x1000d) != 9) return true;
  const limit = g32(tr + SEGMENT_LIMIT);
  if (limit < 103) return true;
  const map = reach(g64(tr) + 102, 2, READ | IMPLICIT);
  if (map == 0) return true;
  const first = u32(load<u16>(map)) + (port >> 3);
  if (first + 1 > limit) return true;
  const at = reach(g64(tr) + u64(first), 2, READ | IMPLICIT);
  if (at == 0) return true;
  return ((u32(load<u16>(at)) >> (port & 7)) & ((1 << bytes) - 1)) != 0;
}

/** True: the guest leaves, with the qualification of SDM 3C table 28-5. `more`: string 16, rep 32, immediate 64. */
export function portExit(port: u32, size: u32, incoming: bool, more: u32, length: u32): bool {
  if (!guest()) return false;
  let exits = controls(UNCONDITIONAL_IO);
  if (controls(USE_IO_BITMAPS)) {
    exits = port + (1 << size) > 0x10000;
    for (let n = port; !exits && n < port + (1 << size); n++) {
      const at = field(n < 0x8000 ? IO_BITMAP_A : IO_BITMAP_B) + u64((n & 0x7fff) >> 3);
      exits = at >= g64(MEMORY_BYTES) || ((load<u8>(HOST + usize(at)) >> u8(n & 7)) & 1) != 0;
    }
  }
  if (!exits) return false;
  leave(30, u64(((1 << size) - 1) | (incoming ? 8 : 0) | more | (port << 16)), length);
  return true;
}

function port(p: usize, incoming: bool): bool {
  const immediate = load<u32>(p, R_SRC) == u32(p + R_IMMEDIATE);
  const number: u32 = immediate ? load<u8>(p, R_IMMEDIATE) : load<u16>(RDX);
  const size: u32 = load<u8>(p, R_SIZE);
  if (portRefused(number, 1 << size)) return g32(PEND) != 0 ? false : gp(0);
  if (portExit(number, size, incoming, immediate ? 64 : 0, load<u8>(p, R_LENGTH))) return false;
  s64(PAYLOAD, u64(number));
  s64(PAYLOAD + 8, u64(1) << u64(size));
  s64(PAYLOAD + 16, u64(incoming));
  s64(PAYLOAD + 24, incoming ? 0 : loadSized(RAX, size));
  s32(IO_SIZE, 1 << size);
  s32(IO_POINTER, incoming ? u32(RAX) : 0);
  s32(ATTENTION, g32(ATTENTION) | A_STOP);
  return true;
}
export function portIn(p: usize): bool { return port(p, true); }
export function portOut(p: usize): bool { return port(p, false); }

/** What the host read from its board goes where the IN wants it. */
export function finishIo(value: u64): void {
  const at = g32(IO_POINTER);
  const bytes = g32(IO_SIZE);
  s32(IO_SIZE, 0);
  if (at == 0 || bytes == 0) return;
  const size: u32 = bytes == 4 ? 2 : bytes >> 1;
  if (at == u32(RAX)) putSized(at, size, value);
  else {
    if (size == 0) store<u8>(at, u8(value));
    else if (size == 1) store<u16>(at, u16(value));
    else store<u32>(at, u32(value));
    commit(at);
  }
}

// ---- halting, the interrupt flag

export function halt(length: u32): bool {
  if (controls(HLT_EXITING)) return leave(12, 0, length);
  s32(ACTIVITY, 1);
  refreshAttention();
  return true;
}

/** CLI, STI: #GP above IOPL. The instruction after an STI that turned interrupts on still runs undisturbed. */
export function clearOrSetInterrupts(on: bool): bool {
  if (u64(g32(CPL)) > ((g64(RFLAGS) >> 12) & 3)) return gp(0);
  const before = g64(RFLAGS);
  s64(RFLAGS, on ? before | F_IF : before & ~F_IF);
  if (on && (before & F_IF) == 0) s32(INTERRUPTIBILITY, g32(INTERRUPTIBILITY) | 1);
  refreshAttention();
  return true;
}

/** SMSW: CR0 as a guest may see it. */
export function machineStatus(p: usize): bool {
  if (hidden()) return gp(0);
  let value = g64(CR0);
  if (guest()) value = (value & ~field(CR0_MASK)) | (field(CR0_SHADOW) & field(CR0_MASK));
  if (load<u8>(p, R_RM) != 0xff) {
    putSized(GPR + usize(load<u8>(p, R_RM)) * 8, load<u8>(p, R_SIZE), value);
    return true;
  }
  const at = wr(ea(p), 2);
  if (at == 0) return false;
  store<u16>(at, u16(value));
  commit(at);
  return true;
}
