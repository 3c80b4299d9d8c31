/**
 * The local APIC of the only processor: priorities, interrupts of its own (timer, LINT0 with the 8259's line behind it, LINT1, error),
 * interrupts that it sends itself. Who asks for registers, page or MSRs, is apic-registers.ts. It begins as firmware leaves it:
 * enabled, LINT0 passing the 8259's vectors on, LINT1 NMI, the last thing sent a start-up message to others. Source: SDM 3A 10; where it leaves room, KVM's lapic.c.
 * Other processors: there are none; what is sent to them is delivered to nobody, and the delivery status is idle.
 * Left out: SMI and INIT to itself, thermal and performance counters (their entries hold what is written), focus processor checking.
 */
import { type ApicTimer, createApicTimer, expire, type TimerMode } from './apic-timer.ts';

export interface Apic {
  /** IA32_APIC_BASE. */
  base: bigint;
  id: number;
  tpr: number;
  ldr: number;
  dfr: number;
  svr: number;
  /** 256 bits each, 32 to a word: in service, level-triggered, requested. */
  isr: number[];
  tmr: number[];
  irr: number[];
  /** As read, and as gathered since it was last written. */
  esr: number;
  errors: number;
  icrLow: number;
  icrHigh: number;
  /** Timer, thermal, performance, LINT0, LINT1, error. */
  lvt: number[];
  timer: ApicTimer;
  /** An NMI waits for the processor. */
  nmi: boolean;
  /** Level of the 8259's line, to see edges. */
  wire: boolean;
  /** Vectors of level-triggered interrupts that ended: for the I/O APIC. */
  ended: number[];
}

export const BASE_ENABLE = 0x800n;
export const BASE_X2 = 0x400n;
export const LVT_TIMER = 0;
export const LVT_LINT0 = 3;
export const LVT_ERROR = 5;
export const MASKED = 0x10000;
const SVR_ENABLE = 0x100;
export const SEND_ILLEGAL = 0x20;
export const RECEIVE_ILLEGAL = 0x40;
export const ILLEGAL_REGISTER = 0x80;
const FIXED = 0;
const LOWEST = 1;
const NMI = 4;
const EXTINT = 7;

const words = (): number[] => [0, 0, 0, 0, 0, 0, 0, 0];

export const createApic = (): Apic => ({
  base: 0xfee0_0900n, id: 0, tpr: 0, ldr: 0, dfr: 0xffff_ffff, svr: 0x1ff, isr: words(), tmr: words(), irr: words(), esr: 0, errors: 0, icrLow: 0xc4610, icrHigh: 0,
  lvt: [MASKED, MASKED, MASKED, 0x8700, 0x8400, MASKED], timer: createApicTimer(), nmi: false, wire: false, ended: [],
});

export const enabled = (apic: Apic): boolean => (apic.base & BASE_ENABLE) !== 0n;
export const x2 = (apic: Apic): boolean => (apic.base & BASE_X2) !== 0n;
const on = (apic: Apic): boolean => enabled(apic) && (apic.svr & SVR_ENABLE) !== 0;

export const timerMode = (apic: Apic): TimerMode => (['one-shot', 'periodic', 'tsc-deadline', 'one-shot'] as const)[(apic.lvt[LVT_TIMER]! >> 17) & 3]!;

// ---- bits

const has = (bits: readonly number[], vector: number): boolean => (bits[vector >> 5]! & (1 << (vector & 31))) !== 0;
export function put(bits: number[], vector: number, value: boolean): void {
  const bit = 1 << (vector & 31);
  bits[vector >> 5] = (value ? bits[vector >> 5]! | bit : bits[vector >> 5]! & ~bit) >>> 0;
}
/** The highest vector, or -1. */
export function highest(bits: readonly number[]): number {
  for (let n = 7; n >= 0; n--) if (bits[n] !== 0) return 32 * n + 31 - Math.clz32(bits[n]!);
  return -1;
}

/** Processor priority: of the task, or of what is in service. */
export function priority(apic: Apic): number {
  const serving = Math.max(0, highest(apic.isr));
  return apic.tpr >> 4 >= serving >> 4 ? apic.tpr : serving & 0xf0;
}

// ---- interrupts arrive

export function raiseError(apic: Apic, bit: number): void {
  const fresh = (apic.errors & bit) === 0;
  apic.errors |= bit;
  if (fresh && (apic.lvt[LVT_ERROR]! & MASKED) === 0) request(apic, apic.lvt[LVT_ERROR]! & 255, false);
}

function request(apic: Apic, vector: number, level: boolean): void {
  if (vector < 16) {
    apic.errors |= RECEIVE_ILLEGAL;
    return;
  }
  put(apic.irr, vector, true);
  put(apic.tmr, vector, level);
}

/** A message reaches this APIC. */
export function accept(apic: Apic, mode: number, vector: number, level: boolean): void {
  if (mode === NMI) apic.nmi = true;
  else if ((mode === FIXED || mode === LOWEST) && on(apic)) {
    if (vector < 16) raiseError(apic, RECEIVE_ILLEGAL);
    else request(apic, vector, level);
  }
}

/** Is this APIC meant by a destination? */
export function meant(apic: Apic, destination: number, logical: boolean): boolean {
  if (!logical) return destination === 0xff || destination === apic.id;
  if (x2(apic)) return (destination >>> 16) === (apic.ldr >>> 16) && (destination & apic.ldr & 0xffff) !== 0;
  const ldr = apic.ldr >>> 24;
  if (apic.dfr >>> 28 === 15) return (destination & ldr) !== 0;
  return destination === 0xff || (destination >> 4 === ldr >> 4 && (destination & ldr & 15) !== 0);
}

/** The interrupt command register was written: whoever is meant gets it; nobody else is there. */
export function send(apic: Apic): void {
  const { icrLow } = apic;
  const mode = (icrLow >> 8) & 7;
  const shorthand = (icrLow >> 18) & 3;
  const self = shorthand === 1 || shorthand === 2 || (shorthand === 0 && meant(apic, x2(apic) ? apic.icrHigh : apic.icrHigh >>> 24, (icrLow & 0x800) !== 0));
  if ((mode === FIXED || mode === LOWEST) && (icrLow & 255) < 16) raiseError(apic, SEND_ILLEGAL);
  else if (self) accept(apic, mode, icrLow & 255, (icrLow & 0x8000) !== 0);
}

/** The 8259's line moves: what LINT0 makes of it, unless its vectors are passed on. */
export function setWire(apic: Apic, high: boolean): void {
  const rises = high && !apic.wire;
  apic.wire = high;
  const entry = apic.lvt[LVT_LINT0]!;
  const mode = (entry >> 8) & 7;
  if (rises && enabled(apic) && (entry & MASKED) === 0 && mode !== EXTINT) accept(apic, mode, entry & 255, (entry & 0x8000) !== 0);
}

/** The processor gets its vectors from the 8259 itself, if that has any. */
export const passesOn = (apic: Apic): boolean => !enabled(apic) || (apic.lvt[LVT_LINT0]! & (MASKED | 0x700)) === 0x700;

/** Brings the timer up to `now` (ns). */
export function tickApic(apic: Apic, now: number): void {
  if (!expire(apic.timer, timerMode(apic), now)) return;
  const entry = apic.lvt[LVT_TIMER]!;
  if (on(apic) && (entry & MASKED) === 0) accept(apic, FIXED, entry & 255, false);
}

// ---- interrupts leave for the processor

/** Something is requested whose class is above the processor's priority. */
export const requestingApic = (apic: Apic): boolean => on(apic) && highest(apic.irr) >> 4 > priority(apic) >> 4;

/** Something waits for nothing but the task priority to fall. */
export function heldByTask(apic: Apic): boolean {
  const wanted = highest(apic.irr) >> 4;
  return on(apic) && wanted >= 0 && wanted <= apic.tpr >> 4 && wanted > highest(apic.isr) >> 4;
}

/** The processor takes it: the vector, which is in service from now on; the spurious one when the request is gone. */
export function acknowledgeApic(apic: Apic): number {
  if (!requestingApic(apic)) return apic.svr & 255;
  const vector = highest(apic.irr);
  put(apic.irr, vector, false);
  put(apic.isr, vector, true);
  return vector;
}

/** End of interrupt. */
export function endOfInterrupt(apic: Apic): void {
  const vector = highest(apic.isr);
  if (vector < 0) return;
  put(apic.isr, vector, false);
  if (has(apic.tmr, vector)) apic.ended.push(vector);
}

/** Software turned it off: every entry is masked, which only turning it on allows to change. */
export function setSpurious(apic: Apic, value: number): void {
  apic.svr = value & 0x3ff;
  if ((apic.svr & SVR_ENABLE) === 0) apic.lvt = apic.lvt.map((entry) => entry | MASKED);
}

export const softwareOff = (apic: Apic): boolean => (apic.svr & SVR_ENABLE) === 0;
