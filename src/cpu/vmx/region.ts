/**
 * The VMCS region of code in host-physical memory. While a VMCS is current its data lie in the processor (the slots of the
 * layout); VMCLEAR, VMPTRLD of another and VMXOFF write them out. Own format: revision identifier u32, VMX-abort indicator
 * u32 (both SDM 3C 25.2), launch state u32 (1: launched), u32 of nothing, then for each width and type (SDM 3D appendix B)
 * 24 fields of 8 bytes by index.
 */
import { CODE_LINES, CURRENT_VMCS, HOST, LAUNCHED, MEMORY_BYTES, VMCS } from '../layout';
import { g32, g64, s32, s64 } from '../state';
import { codeLineWritten } from '../blocks';
import { REVISION } from './capabilities';

/** No VMCS is current. */
export const NONE: u64 = ~u64(0);
const ABORT: u64 = 4;
const LAUNCH: u64 = 8;
const DATA: usize = 16;
const FIELDS: usize = 24;
const GROUPS: usize = 16;

/** Host pointer of so many bytes that are about to be read or written; 0: memory is not there. */
function pointer(address: u64, bytes: u32, writes: bool): usize {
  if (address + u64(bytes) > g64(MEMORY_BYTES)) return 0;
  if (writes && load<u64>(CODE_LINES + (usize(address >> 12) << 3)) != 0) codeLineWritten(address, bytes);
  return HOST + usize(address);
}

export function hasRevision(address: u64): bool {
  const at = pointer(address, 4, false);
  return at != 0 && load<u32>(at) == REVISION;
}

/** The current VMCS goes to its region. */
export function writeOut(): void {
  const to = pointer(g64(CURRENT_VMCS), 4096, true);
  if (to == 0) return;
  store<u32>(to + usize(LAUNCH), g32(LAUNCHED));
  for (let n: usize = 0; n < GROUPS; n++) memory.copy(to + DATA + n * FIELDS * 8, VMCS + n * 512, FIELDS * 8);
}

/** A region's data become the current VMCS. */
export function bringIn(address: u64): void {
  s64(CURRENT_VMCS, address);
  const from = pointer(address, 4096, false);
  if (from == 0) return;
  s32(LAUNCHED, load<u32>(from + usize(LAUNCH)) & 1);
  for (let n: usize = 0; n < GROUPS; n++) memory.copy(VMCS + n * 512, from + DATA + n * FIELDS * 8, FIELDS * 8);
}

/** Launch state of a region that is not current becomes clear. */
export function clearLaunch(address: u64): void {
  const at = pointer(address + LAUNCH, 4, true);
  if (at != 0) store<u32>(at, 0);
}

/** VMX abort: the indicator goes to the region of the current VMCS. */
export function writeAbort(code: u32): void {
  const at = pointer(g64(CURRENT_VMCS) + ABORT, 4, true);
  if (at != 0) store<u32>(at, code);
}
