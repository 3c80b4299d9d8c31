/**
 * The lists of MSRs that a VM entry loads and a VM exit stores and loads (SDM 3C 25.7.2, 27.4, 28.4, 28.6): entries of 16
 * bytes, index u32, reserved u32, value. Each gives 0, or the number (from 1) of the entry that failed.
 */
import { CODE_LINES, HOST, MEMORY_BYTES, PAYLOAD } from '../layout';
import { g64, s64 } from '../state';
import { codeLineWritten } from '../blocks';
import { rdmsr, wrmsr } from '../system';
import { withinWidth } from './capabilities';

const FS_BASE: u32 = 0xc0000100;
const GS_BASE: u32 = 0xc0000101;
const SMBASE: u32 = 0x9e;

function entry(address: u64, n: u32): usize {
  const at = address + u64(n) * 16;
  return withinWidth(at) && at + 16 <= g64(MEMORY_BYTES) ? HOST + usize(at) : 0;
}
/** MSRs of the local APIC's x2APIC mode. */
function ofApic(index: u32): bool { return index >> 8 == 8; }

export function loadList(address: u64, count: u32): u32 {
  for (let n: u32 = 0; n < count; n++) {
    const at = entry(address, n);
    if (at == 0) return n + 1;
    const index = load<u32>(at);
    if (load<u32>(at + 4) != 0 || index == FS_BASE || index == GS_BASE || index == SMBASE || ofApic(index)) return n + 1;
    if (wrmsr(index, load<u64>(at + 8)) != 0) return n + 1;
  }
  return 0;
}

export function storeList(address: u64, count: u32): u32 {
  for (let n: u32 = 0; n < count; n++) {
    const at = entry(address, n);
    if (at == 0) return n + 1;
    const index = load<u32>(at);
    if (load<u32>(at + 4) != 0 || index == SMBASE || ofApic(index) || rdmsr(index) != 0) return n + 1;
    const to = at - HOST + 8;
    if (load<u64>(CODE_LINES + (to >> 12 << 3)) != 0) codeLineWritten(u64(to), 8);
    s64(at + 8, g64(PAYLOAD + 56));
  }
  return 0;
}
