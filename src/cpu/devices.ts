/**
 * Accesses of instructions to what is not memory: memory-mapped devices, the APIC's MSRs, CR8 where an APIC hangs on it. The devices
 * are the host's. Nothing half done leaves the processor: an instruction that meets a device stops before it has done anything
 * (STOP_DEVICE); the host finds an answer and has it tried again (DEVICE_TRY) with the answers given so far, access by access in the
 * order in which the instruction makes them; when none is lacking it is done, and what it stored is in DEVICE_ACCESSES.
 * The same serves a hypervisor that must carry out an instruction of its guest's on a device: DEVICE_PAGES are then the physical
 * pages where the guest's tables (EPT, or shadow ones at DEVICE_LINEAR) have nothing and the devices are.
 * Event delivery, tables and fetches do not reach devices.
 */
import {
  DEVICE_ACCESS_SIZE, DEVICE_ACCESSES, DEVICE_ADDRESS, DEVICE_GIVEN, DEVICE_LINEAR, DEVICE_MODIFIES, DEVICE_MOST, DEVICE_NAMED, DEVICE_PAGES, DEVICE_READS, DEVICE_REFUSED, DEVICE_SIZE, DEVICE_STORES, DEVICE_TRY,
  DEVICE_USED, DEVICE_VALUE, DEVICE_KIND, DEVICES, PAYLOAD, SPACE_MSR, SPACE_CR8,
} from './layout';
import { A_STOP, ATTENTION, CURRENT, g32, g64, gp, PEND, PEND_DEVICE, s32, s64 } from './state';
import { BTC, BTS, CMPXCHG, CMPXCHG8B, DEC, INC, NEG, NOT, ROL, SAR, SHLD, SHRD, XADD, XCHG, XOR } from './ops';
import { R_OP } from './record';

/** Is there somebody who answers for accesses outside memory? */
@inline export function devicesThere(): bool { return (g32(DEVICES) | g32(DEVICE_TRY)) != 0 && g32(CURRENT) != 0; }

/** Where the instruction finds what it reads or leaves what it stores (up to 16 bytes); 0: it does not happen now. */
export function deviceAccess(address: u64, size: u32, writes: bool): usize {
  const kind: u32 = !writes ? DEVICE_READS : modifies() ? DEVICE_MODIFIES : DEVICE_STORES;
  const n = g32(DEVICE_USED);
  if (g32(DEVICE_TRY) == 0 || n >= u32(DEVICE_MOST) || (n >= g32(DEVICE_GIVEN) && kind != DEVICE_STORES)) return ask(address, size, kind);
  const at: usize = DEVICE_ACCESSES + n * DEVICE_ACCESS_SIZE;
  s64(at + DEVICE_ADDRESS, address);
  s32(at + DEVICE_SIZE, size);
  s32(at + DEVICE_KIND, kind);
  s32(DEVICE_USED, n + 1);
  s32(ATTENTION, g32(ATTENTION) | A_STOP);
  return at + DEVICE_VALUE;
}

function ask(address: u64, size: u32, kind: u32): usize {
  s64(PAYLOAD, address);
  s64(PAYLOAD + 8, u64(size));
  s64(PAYLOAD + 16, u64(kind));
  s32(PEND, PEND_DEVICE);
  return 0;
}

/** The instruction reads what it writes to. */
function modifies(): bool {
  const record: usize = g32(CURRENT);
  const family = i32(load<u16>(record, R_OP)) >> 4;
  if (family <= XOR || (family >= INC && family <= NEG) || (family >= ROL && family <= SAR)) return true;
  return family == XCHG || family == XADD || family == CMPXCHG || family == CMPXCHG8B || (family >= BTS && family <= BTC) || family == SHLD || family == SHRD;
}

/** Is it a page that a hypervisor has named, where its EPT has nothing? */
export function namedByGuest(physical: u64): bool {
  return g32(DEVICE_TRY) != 0 && g32(CURRENT) != 0 && numberOf(DEVICE_PAGES, physical) >= 0;
}
/** Physical address of a named device at a linear one where shadow tables have nothing; all ones: none. */
export function namedByLinear(linear: u64): u64 {
  const n = g32(DEVICE_TRY) != 0 && g32(CURRENT) != 0 ? numberOf(DEVICE_LINEAR, linear) : -1;
  return n < 0 ? ~u64(0) : g64(DEVICE_PAGES + n * 8) | (linear & 0xfff);
}
function numberOf(pages: usize, address: u64): i32 {
  for (let n = 0; n < DEVICE_NAMED; n++) if (g64(pages + n * 8) == (address & ~u64(0xfff))) return n;
  return -1;
}

// ---- registers that are a device's on a bare machine

/** IA32_APIC_BASE, IA32_TSC_DEADLINE, x2APIC. */
export function deviceMsr(index: u32): bool {
  return g32(DEVICES) != 0 && (index == 0x1b || index == 0x6e0 || (index >= 0x800 && index < 0x900));
}

/** Pointer to the value; 0: not now, or #GP. */
export function readDeviceMsr(index: u32): usize { return refused(deviceAccess(u64(SPACE_MSR) | u64(index), 8, false)); }
/** The host looks at the value before it lets the instruction happen. */
export function writeDeviceMsr(index: u32, value: u64): bool {
  s64(PAYLOAD + 24, value);
  if (g32(DEVICE_TRY) == 0 || g32(DEVICE_GIVEN) == 0) return ask(u64(SPACE_MSR) | u64(index), 8, DEVICE_STORES) != 0;
  const at = refused(deviceAccess(u64(SPACE_MSR) | u64(index), 8, true));
  if (at != 0) s64(at, value);
  return at != 0;
}
export function writeTaskPriority(value: u64): bool {
  if (g32(DEVICES) == 0) return true;
  const at = deviceAccess(u64(SPACE_CR8), 8, true);
  if (at != 0) s64(at, value);
  return at != 0;
}

function refused(at: usize): usize {
  if (at == 0 || g32(DEVICE_REFUSED) == 0) return at;
  gp(0);
  return 0;
}
