/**
 * The x87 state as far as an operating system saves it: control and status words, FXSAVE and FXRSTOR of a whole image, #NM by
 * CR0.TS and CR0.EM. There is no arithmetic: every other x87, MMX or SSE instruction is #UD, and CPUID says so (FXSR without
 * FPU). Sources: SDM 1 8.1, 10.5; SDM 2A FINIT, FXSAVE; SDM 3A 2.5, table 9-3.
 */
import { CR0, GPR } from './layout';
import { CR0_EM, CR0_MP, CR0_TS, FPU_IMAGE, g64, gp, raise } from './state';
import { R_IMMEDIATE } from './record';
import { commit, rd, wr } from './memory';
import { ea } from './operand';

const CONTROL: usize = FPU_IMAGE;
const STATUS: usize = FPU_IMAGE + 2;
const TAGS: usize = FPU_IMAGE + 4;
const MXCSR: usize = FPU_IMAGE + 24;
const MXCSR_MASK: usize = FPU_IMAGE + 28;
/** Bytes of an FXSAVE image that the processor writes; the rest is reserved or software's. */
const IMAGE: u32 = 416;

export const FNINIT: u32 = 0;
export const FNCLEX: u32 = 1;
export const FWAIT: u32 = 2;
export const FNSTSW_AX: u32 = 3;
export const FNSTCW: u32 = 0;
export const FNSTSW: u32 = 1;
export const FXSAVE: u32 = 2;
export const FLDCW: u32 = 0;
export const FXRSTOR: u32 = 1;

/** Power-on: as after FNINIT, but with the control word of a reset. */
export function resetFpu(): void {
  initialize();
  store<u16>(CONTROL, 0x40);
  store<u32>(MXCSR, 0x1f80);
  store<u32>(MXCSR_MASK, 0xffff);
}
function initialize(): void {
  store<u16>(CONTROL, 0x37f);
  store<u16>(STATUS, 0);
  store<u8>(TAGS, 0);
  store<u16>(FPU_IMAGE + 6, 0);
  store<u64>(FPU_IMAGE + 8, 0);
  store<u64>(FPU_IMAGE + 16, 0);
}

function unavailable(): bool { return (g64(CR0) & (CR0_EM | CR0_TS)) != 0; }

export function fpuPlain(p: usize): bool {
  const kind = load<u32>(p, R_IMMEDIATE);
  if (kind == FWAIT) return (g64(CR0) & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS) ? raise(7, 0, false) : true;
  if (unavailable()) return raise(7, 0, false);
  if (kind == FNINIT) initialize();
  else if (kind == FNCLEX) store<u16>(STATUS, load<u16>(STATUS) & 0x7f00);
  else store<u16>(GPR, load<u16>(STATUS));
  return true;
}

export function fpuStore(p: usize): bool {
  if (unavailable()) return raise(7, 0, false);
  const kind = load<u32>(p, R_IMMEDIATE);
  const address = ea(p);
  if (kind != FXSAVE) {
    const at = wr(address, 2);
    if (at == 0) return false;
    store<u16>(at, load<u16>(kind == FNSTCW ? CONTROL : STATUS));
    commit(at);
    return true;
  }
  if ((address & 15) != 0) return gp(0);
  // every page is reached before anything is written
  if (wr(address + u64(IMAGE - 16), 16) == 0) return false;
  for (let n: u32 = 0; n < IMAGE; n += 16) {
    const at = wr(address + u64(n), 16);
    if (at == 0) return false;
    memory.copy(at, FPU_IMAGE + n, 16);
  }
  return true;
}

export function fpuLoad(p: usize): bool {
  if (unavailable()) return raise(7, 0, false);
  const address = ea(p);
  if (load<u32>(p, R_IMMEDIATE) == FLDCW) {
    const at = rd(address, 2);
    if (at == 0) return false;
    store<u16>(CONTROL, (load<u16>(at) & 0x1f3f) | 0x40);
    return true;
  }
  if ((address & 15) != 0) return gp(0);
  const mxcsr = rd(address + 24, 4);
  if (mxcsr == 0) return false;
  if ((load<u32>(mxcsr) & 0xffff0000) != 0) return gp(0);
  if (rd(address + u64(IMAGE - 16), 16) == 0) return false;
  for (let n: u32 = 0; n < IMAGE; n += 16) {
    const at = rd(address + u64(n), 16);
    if (at == 0) return false;
    memory.copy(FPU_IMAGE + n, at, 16);
  }
  store<u16>(CONTROL, (load<u16>(CONTROL) & 0x1f3f) | 0x40);
  store<u32>(MXCSR_MASK, 0xffff);
  return true;
}
