/**
 * The I/O APIC (82093AA, page 0xfec00000): 24 pins, each with an entry that says which vector goes to whom. ISA's lines are pins of
 * the same number, line 0 is pin 2, as on every PC. Version 0x20 (an end-of-interrupt register at 0x40), as QEMU's. Source: Intel
 * 82093AA data sheet. Left out: delivery as ExtINT, INIT and SMI, polarity (lines are active by their level here).
 */
import { accept, type Apic, meant } from './apic.ts';

export interface IoApic {
  select: number;
  id: number;
  /** Low and high half of each redirection entry. */
  low: number[];
  high: number[];
  /** Levels of the pins. */
  pins: number;
}

export const IOAPIC_BASE = 0xfec0_0000;
const PINS = 24;
const VERSION = 0x20 | ((PINS - 1) << 16);
const MASKED = 0x10000;
const LEVEL = 0x8000;
const REMOTE_IRR = 0x4000;
const STATUS = 0x1000;

export const createIoApic = (): IoApic => ({ select: 0, id: 0, low: Array.from({ length: PINS }, () => MASKED), high: Array.from({ length: PINS }, () => 0), pins: 0 });

function deliver(io: IoApic, apic: Apic, pin: number): void {
  const entry = io.low[pin]!;
  if ((entry & MASKED) !== 0) return;
  const level = (entry & LEVEL) !== 0;
  if (level) io.low[pin] = entry | REMOTE_IRR;
  if (meant(apic, io.high[pin]! >>> 24, (entry & 0x800) !== 0)) accept(apic, (entry >> 8) & 7, entry & 255, level);
}

/** An edge on a masked pin is lost, a level stays. */
export function setPin(io: IoApic, apic: Apic, pin: number, high: boolean): void {
  const bit = 1 << pin;
  const rises = high && (io.pins & bit) === 0;
  io.pins = high ? io.pins | bit : io.pins & ~bit;
  if ((io.low[pin]! & LEVEL) !== 0 ? high && (io.low[pin]! & REMOTE_IRR) === 0 : rises) deliver(io, apic, pin);
}

/** The processor is done with a level-triggered vector: a line that is still up asks again. */
export function ended(io: IoApic, apic: Apic, vector: number): void {
  for (let pin = 0; pin < PINS; pin++) {
    if ((io.low[pin]! & (LEVEL | REMOTE_IRR)) !== (LEVEL | REMOTE_IRR) || (io.low[pin]! & 255) !== vector) continue;
    io.low[pin]! &= ~REMOTE_IRR;
    if ((io.pins & (1 << pin)) !== 0) deliver(io, apic, pin);
  }
}

/** Offsets 0 and 0x10; others read 0. */
export function readIoApic(io: IoApic, offset: number): number {
  if (offset === 0) return io.select;
  if (offset !== 0x10) return 0;
  if (io.select === 0 || io.select === 2) return io.id << 24;
  if (io.select === 1) return VERSION;
  const pin = (io.select - 0x10) >> 1;
  if (pin < 0 || pin >= PINS) return 0;
  return ((io.select & 1) !== 0 ? io.high[pin]! : io.low[pin]!) >>> 0;
}

export function writeIoApic(io: IoApic, apic: Apic, offset: number, value: number): void {
  if (offset === 0) io.select = value & 255;
  else if (offset === 0x40) ended(io, apic, value & 255);
  else if (offset === 0x10 && io.select === 0) io.id = (value >>> 24) & 15;
  else if (offset === 0x10) redirect(io, apic, value);
}

function redirect(io: IoApic, apic: Apic, value: number): void {
  const pin = (io.select - 0x10) >> 1;
  if (pin < 0 || pin >= PINS) return;
  if ((io.select & 1) !== 0) {
    io.high[pin] = value >>> 0;
    return;
  }
  io.low[pin] = ((value & ~(REMOTE_IRR | STATUS)) >>> 0) | (io.low[pin]! & (REMOTE_IRR | STATUS));
  if ((value & LEVEL) === 0) io.low[pin]! &= ~REMOTE_IRR;
  else if ((io.pins & (1 << pin)) !== 0 && (io.low[pin]! & REMOTE_IRR) === 0) deliver(io, apic, pin);
}
