/**
 * The registers of the local APIC: a page of 32-bit registers 16 bytes apart (xAPIC), or MSRs 0x800 to 0x83f (x2APIC), beside
 * IA32_APIC_BASE and IA32_TSC_DEADLINE. Accesses of the page that are not 4 bytes at a register's first are lost, as KVM has it.
 * Source: SDM 3A tables 10-1 and 10-6, 10.12.
 */
import {
  type Apic, BASE_ENABLE, BASE_X2, createApic, enabled, endOfInterrupt, ILLEGAL_REGISTER, LVT_ERROR, LVT_TIMER, MASKED, priority, put, raiseError, send, setSpurious, softwareOff, tickApic, timerMode, x2,
} from './apic.ts';
import { currentCount, setDivide, startTimer } from './apic-timer.ts';

const VERSION = 0x0005_0014;
const ID = 0x02;
const TPR = 0x08;
const PPR = 0x0a;
const EOI = 0x0b;
const LDR = 0x0d;
const DFR = 0x0e;
const SVR = 0x0f;
const ESR = 0x28;
const ICR = 0x30;
const ICR_HIGH = 0x31;
const FIRST_LVT = 0x32;
const INITIAL = 0x38;
const CURRENT = 0x39;
const DIVIDE = 0x3e;
const SELF_IPI = 0x3f;
/** Bits of an entry that can be written: timer, thermal, performance, LINT0, LINT1, error. */
const LVT_BITS = [0x700ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff];

/** By register number; null: there is none. `now` in ns. */
function read(apic: Apic, register: number, now: number): number | null {
  if (register >= 0x10 && register < 0x28) return [apic.isr, apic.tmr, apic.irr][(register - 0x10) >> 3]![register & 7]!;
  if (register >= FIRST_LVT && register < INITIAL) return apic.lvt[register - FIRST_LVT]!;
  switch (register) {
    case ID: return x2(apic) ? apic.id : apic.id << 24;
    case 0x03: return VERSION;
    case TPR: return apic.tpr;
    case 0x09: return priority(apic);
    case PPR: return priority(apic);
    case EOI: return 0;
    case LDR: return apic.ldr;
    case DFR: return apic.dfr;
    case SVR: return apic.svr;
    case ESR: return apic.esr;
    case ICR: return apic.icrLow;
    case ICR_HIGH: return apic.icrHigh;
    case INITIAL: return apic.timer.initial;
    case CURRENT: return currentCount(apic.timer, timerMode(apic), now);
    case DIVIDE: return apic.timer.divide;
    default: return null;
  }
}

/** False: there is no such register, or it is read only. */
function write(apic: Apic, register: number, value: number, now: number): boolean {
  tickApic(apic, now);
  if (register >= FIRST_LVT && register < INITIAL) {
    setEntry(apic, register - FIRST_LVT, value);
    return true;
  }
  switch (register) {
    case ID: apic.id = value >>> 24; return true;
    case TPR: apic.tpr = value & 255; return true;
    case EOI: endOfInterrupt(apic); return true;
    case LDR: apic.ldr = (value & 0xff00_0000) >>> 0; return true;
    case DFR: apic.dfr = (value | 0x0fff_ffff) >>> 0; return true;
    case SVR: setSpurious(apic, value); return true;
    case ESR:
      apic.esr = apic.errors;
      apic.errors = 0;
      return true;
    case ICR:
      apic.icrLow = value & 0xccfff;
      send(apic);
      return true;
    case ICR_HIGH: apic.icrHigh = (value & 0xff00_0000) >>> 0; return true;
    case INITIAL:
      if (timerMode(apic) !== 'tsc-deadline') startTimer(apic.timer, value >>> 0, now);
      return true;
    case DIVIDE: setDivide(apic.timer, value, timerMode(apic), now); return true;
    default: return false;
  }
}

function setEntry(apic: Apic, n: number, value: number): void {
  const before = timerMode(apic);
  apic.lvt[n] = (value & LVT_BITS[n]!) | (softwareOff(apic) ? MASKED : 0);
  if (n !== LVT_TIMER || before === timerMode(apic)) return;
  // into and out of counting by the time-stamp counter everything stops
  if (before === 'tsc-deadline' || timerMode(apic) === 'tsc-deadline') Object.assign(apic.timer, { initial: 0, deadline: 0n });
}

// ---- the page

/** ns since what the timer counts from; the page's first byte is IA32_APIC_BASE's. */
export const inPage = (apic: Apic, physical: number): boolean => enabled(apic) && !x2(apic) && Math.floor(physical / 4096) * 4096 === Number(apic.base & 0xff_ffff_f000n);

/** Up to 8 bytes of the page. */
export function readPage(apic: Apic, offset: number, size: number, now: number): bigint {
  tickApic(apic, now);
  const within = offset & 15;
  if (within >= 4) return 0n;
  const value = read(apic, offset >> 4, now);
  if (value === null) raiseError(apic, ILLEGAL_REGISTER);
  return BigInt.asUintN(8 * Math.min(size, 4 - within), BigInt((value ?? 0) >>> 0) >> BigInt(8 * within));
}

export function writePage(apic: Apic, offset: number, size: number, value: bigint, now: number): void {
  if (size < 4 || (offset & 15) !== 0) return;
  const register = offset >> 4;
  if (!write(apic, register, Number(BigInt.asUintN(32, value)), now) && read(apic, register, now) === null) raiseError(apic, ILLEGAL_REGISTER);
}

// ---- the MSRs

/** What the time-stamp counter was or will be at a nanosecond. */
export interface TimeStamps {
  toNs(stamp: bigint): number;
}

const FIRST = 0x800;
const APIC_BASE = 0x1b;
const TSC_DEADLINE = 0x6e0;
const ADDRESS = 0xff_ffff_f000n;
const BSP = 0x100n;

export const isApicMsr = (index: number): boolean => index === APIC_BASE || index === TSC_DEADLINE || (index >= FIRST && index < FIRST + 0x100);

/** Null: #GP. */
export function readApicMsr(apic: Apic, index: number, now: number): bigint | null {
  tickApic(apic, now);
  if (index === APIC_BASE) return apic.base;
  if (index === TSC_DEADLINE) return timerMode(apic) === 'tsc-deadline' ? apic.timer.deadline : 0n;
  const register = index - FIRST;
  if (!x2(apic) || register === DFR || register === ICR_HIGH || register === EOI || register === 0x09 || register === SELF_IPI) return null;
  if (register === ICR) return (BigInt(apic.icrHigh >>> 0) << 32n) | BigInt(apic.icrLow >>> 0);
  const value = read(apic, register, now);
  return value === null ? null : BigInt(value >>> 0);
}

/** False: #GP, and nothing has changed. */
export function writeApicMsr(apic: Apic, index: number, value: bigint, now: number, clock: TimeStamps): boolean {
  if (!mayWriteMsr(apic, index, value)) return false;
  tickApic(apic, now);
  const register = index - FIRST;
  if (index === APIC_BASE) setBase(apic, value);
  else if (index === TSC_DEADLINE) {
    if (timerMode(apic) === 'tsc-deadline') Object.assign(apic.timer, { deadline: value, deadlineAt: clock.toNs(value) });
  } else if (register === ICR) {
    apic.icrHigh = Number(value >> 32n);
    write(apic, ICR, Number(value & 0xffff_ffffn), now);
  } else if (register === SELF_IPI) {
    apic.icrLow = 0x40000 | Number(value & 255n);
    send(apic);
  } else write(apic, register, Number(value), now);
  return true;
}

/** Would the write be #GP? Nothing changes. */
export function mayWriteMsr(apic: Apic, index: number, value: bigint): boolean {
  if (index === TSC_DEADLINE) return true;
  if (index === APIC_BASE) return mayBecome(apic.base, value);
  const register = index - FIRST;
  if (!x2(apic)) return false;
  if (register === ICR) return true;
  if (value >> 32n !== 0n) return false;
  switch (register) {
    case EOI:
    case ESR: return value === 0n;
    case SELF_IPI: return value < 256n;
    case TPR:
    case SVR:
    case INITIAL:
    case DIVIDE: return true;
    default: return register >= FIRST_LVT && register <= FIRST_LVT + LVT_ERROR;
  }
}

/** Modes follow each other: off, xAPIC, x2APIC, off. */
function mayBecome(before: bigint, after: bigint): boolean {
  if ((after & ~(ADDRESS | BASE_ENABLE | BASE_X2 | BSP)) !== 0n) return false;
  const [was, will] = [before & (BASE_ENABLE | BASE_X2), after & (BASE_ENABLE | BASE_X2)];
  if (will === BASE_X2) return false;
  if (will === BASE_ENABLE) return was !== (BASE_ENABLE | BASE_X2);
  return will === 0n || was !== 0n;
}

function setBase(apic: Apic, value: bigint): void {
  const was = enabled(apic);
  const wasX2 = x2(apic);
  apic.base = (value & ~BSP) | (apic.base & BSP);
  if (was && !enabled(apic)) Object.assign(apic, { ...createApic(), base: apic.base, svr: 0xff, lvt: [MASKED, MASKED, MASKED, MASKED, MASKED, MASKED] });
  if (!wasX2 && x2(apic)) apic.ldr = ((apic.id >> 4) << 16) | (1 << (apic.id & 15));
}

export { put as setVector };
