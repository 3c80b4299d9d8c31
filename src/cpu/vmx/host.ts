/**
 * Back in root operation of code: the host state is loaded from the host-state area (SDM 3C 28.5), then the MSRs of the exit's
 * load list; execution goes on at the host's RIP. What cannot be done is a VMX abort (SDM 3C 28.7): shutdown.
 */
import {
  ACTIVITY, CR0, CR3, CR4, CS, CYCLES, DEBUGCTL, DR7, EFER, COST_EXIT, FS, GDTR, GPR, GS, INTERRUPTIBILITY, LDTR, PAT, PAYLOAD, RIP, ROOT_NMI, SEGMENT_LIMIT, SEGMENTS, SEGMENT_SIZE, SYSENTER_CS,
  SYSENTER_EIP, SYSENTER_ESP, TR, VMX,
} from '../layout';
import { CR0_PG, CR4_PAE, CR4_PCIDE, CROSSED, EFER_LMA, EFER_LME, g32, g64, MONITORS, PENDING_MTF, s32, s64, TIMER } from '../state';
import { setFlagsWhole } from '../flags';
import { flushFast, flushTlb } from '../memory';
import { readPointers } from '../paging';
import { modeChanged, privilegeFromStack } from '../mode';
import { setSegment } from '../segments';
import { refreshAttention } from '../attention';
import {
  ENABLE_VPID, EXIT_CONTROLS, EXIT_HOST_LONG, EXIT_LOAD_EFER, EXIT_LOAD_PAT, EXIT_MSR_LOAD, EXIT_MSR_LOAD_COUNT, field, field32, HOST_BASES, HOST_CR0, HOST_CR3, HOST_CR4, HOST_EFER, HOST_PAT,
  HOST_RIP, HOST_RSP, HOST_SELECTORS, HOST_SYSENTER_CS, HOST_SYSENTER_EIP, HOST_SYSENTER_ESP, secondary,
} from './fields';
import { loadList } from './lists';
import { writeAbort } from './region';

/** ET, CD, NW and what is reserved stay as they are. */
const CR0_KEPT: u64 = 0x7ffaffd0;
const UNUSABLE: u32 = 0x10000;
const CODE_64: u32 = 0xa09b;
const CODE_32: u32 = 0xc09b;
const DATA: u32 = 0xc093;
const BUSY_TSS: u32 = 0x8b;

/** The guest is out, its state is saved. */
export function loadHost(): void {
  s32(VMX, 0);
  s32(PENDING_MTF, 0);
  s64(TIMER, ~u64(0));
  s32(CROSSED, 1);
  s32(MONITORS, 0);
  s64(CYCLES, g64(CYCLES) + u64(g32(COST_EXIT)));
  loadRegisters();
  loadSegments();
  s32(ACTIVITY, 0);
  s32(INTERRUPTIBILITY, g32(ROOT_NMI));
  privilegeFromStack();
  modeChanged();
  if ((secondary() & ENABLE_VPID) != 0) flushFast();
  else flushTlb();
  const pae = (g64(CR0) & CR0_PG) != 0 && (g64(CR4) & CR4_PAE) != 0 && (g64(EFER) & EFER_LMA) == 0;
  if (pae && readPointers(g64(CR3), 0) != 0) return abort(2);
  if (loadList(field(EXIT_MSR_LOAD), field32(EXIT_MSR_LOAD_COUNT)) != 0) return abort(4);
  refreshAttention();
}

function loadRegisters(): void {
  const exit = field32(EXIT_CONTROLS);
  const long = (exit & EXIT_HOST_LONG) != 0;
  s64(CR0, (field(HOST_CR0) & ~CR0_KEPT) | (g64(CR0) & CR0_KEPT));
  s64(CR3, field(HOST_CR3));
  s64(CR4, long ? field(HOST_CR4) | CR4_PAE : field(HOST_CR4) & ~CR4_PCIDE);
  s64(DR7, 0x400);
  s64(DEBUGCTL, 0);
  s64(SYSENTER_CS, field(HOST_SYSENTER_CS));
  s64(SYSENTER_ESP, field(HOST_SYSENTER_ESP));
  s64(SYSENTER_EIP, field(HOST_SYSENTER_EIP));
  if ((exit & EXIT_LOAD_PAT) != 0) s64(PAT, field(HOST_PAT));
  if ((exit & EXIT_LOAD_EFER) != 0) s64(EFER, field(HOST_EFER));
  else s64(EFER, long ? g64(EFER) | EFER_LMA | EFER_LME : g64(EFER) & ~(EFER_LMA | EFER_LME));
  s64(GPR + 32, field(HOST_RSP));
  s64(RIP, field(HOST_RIP));
  setFlagsWhole(2);
}

function loadSegments(): void {
  const long = (field32(EXIT_CONTROLS) & EXIT_HOST_LONG) != 0;
  for (let n: u32 = 0; n <= u32(GS); n++) {
    const selector = field32(HOST_SELECTORS + 2 * n) & 0xffff;
    const base = n >= u32(FS) ? field(HOST_BASES + 2 * (n - FS)) : 0;
    const rights = n == CS ? (long ? CODE_64 : CODE_32) : selector == 0 ? DATA | UNUSABLE : DATA;
    setSegment(n, selector, base, 0xffffffff, rights);
  }
  setSegment(TR, field32(HOST_SELECTORS + 12) & 0xffff, field(HOST_BASES + 4), 0x67, BUSY_TSS);
  setSegment(LDTR, 0, 0, 0, UNUSABLE);
  for (let n: u32 = 0; n < 2; n++) {
    const at = SEGMENTS + (GDTR + n) * SEGMENT_SIZE;
    s64(at, field(HOST_BASES + 6 + 2 * n));
    s32(at + SEGMENT_LIMIT, 0xffff);
  }
}

/** Shutdown that only a reset ends: 1 the guest's MSRs could not be stored, 2 the host's page-directory pointers are bad, 4 its MSRs could not be loaded. */
export function abort(code: u32): void {
  writeAbort(code);
  s64(PAYLOAD, 0);
  s32(ACTIVITY, 2);
  refreshAttention();
}
