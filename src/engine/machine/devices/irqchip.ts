/**
 * Interrupt controllers and timers together: two 8259s, the local APIC, the I/O APIC, the 8254. What KVM keeps in the kernel (its
 * irqchip and PIT), so that a guest that ticks does not leave for the program each time. Others set their lines with `setIrqLine`.
 * Ports 0x20, 0x21, 0xa0, 0xa1, 0x40 to 0x43, 0x61; pages of the local APIC and of the I/O APIC.
 */
import { acknowledgeApic, type Apic, createApic, passesOn, requestingApic, setWire, tickApic, timerMode } from './apic.ts';
import { inPage, readPage, writePage } from './apic-registers.ts';
import { timerDue } from './apic-timer.ts';
import { createIoApic, ended, type IoApic, IOAPIC_BASE, readIoApic, setPin, writeIoApic } from './ioapic.ts';
import { acknowledge, createPic, type Pic, readPic, requesting, setLine, writePic } from './pic.ts';
import { createTimer, dueAt, type IntervalTimer, readTimer, tick, writeTimer } from './timer.ts';

export interface Irqchip {
  pic: Pic;
  timer: IntervalTimer;
  apic: Apic;
  ioapic: IoApic;
}

export const createIrqchip = (): Irqchip => ({ pic: createPic(), timer: createTimer(), apic: createApic(), ioapic: createIoApic() });

export const irqchipOwns = (port: number): boolean => (port & 0xff7e) === 0x20 || (port >= 0x40 && port <= 0x43) || port === 0x61;

/** One byte, at `now` (ns). */
export function writeIrqchip(chip: Irqchip, port: number, value: number, now: number): void {
  if ((port & 0xff7e) === 0x20) writePic(chip.pic, port, value);
  else writeTimer(chip.timer, port, value, now);
}

export const readIrqchip = (chip: Irqchip, port: number, now: number): number =>
  (port & 0xff7e) === 0x20 ? readPic(chip.pic, port) : readTimer(chip.timer, port, now);

/** Level of ISA's line 0-15. */
export function setIrqLine(chip: Irqchip, line: number, high: boolean): void {
  setLine(chip.pic, line, high);
  setPin(chip.ioapic, chip.apic, line === 0 ? 2 : line, high);
}

// ---- the pages

/** Somebody here answers for a physical address. */
export const pageOwned = (chip: Irqchip, physical: number): boolean => inPage(chip.apic, physical) || Math.floor(physical / 4096) * 4096 === IOAPIC_BASE;

/** Up to 8 bytes at `now` (ns). */
export function readDevice(chip: Irqchip, physical: number, size: number, now: number): bigint {
  if (inPage(chip.apic, physical)) return readPage(chip.apic, physical & 0xfff, size, now);
  return BigInt.asUintN(8 * size, BigInt(readIoApic(chip.ioapic, physical & 0xff)));
}

export function writeDevice(chip: Irqchip, physical: number, size: number, value: bigint, now: number): void {
  if (inPage(chip.apic, physical)) writePage(chip.apic, physical & 0xfff, size, value, now);
  else writeIoApic(chip.ioapic, chip.apic, physical & 0xff, Number(BigInt.asUintN(32, value)));
  settle(chip);
}

/** Ends of level-triggered interrupts reach the I/O APIC. */
export function settle(chip: Irqchip): void {
  for (const vector of chip.apic.ended.splice(0)) ended(chip.ioapic, chip.apic, vector);
}

// ---- the processor

/** Brings the timers' lines up to `now`; says whether an interrupt waits for the processor. */
export function irqPending(chip: Irqchip, now: number): boolean {
  if (tick(chip.timer, now) > 0) {
    setIrqLine(chip, 0, false);
    setIrqLine(chip, 0, true);
  }
  tickApic(chip.apic, now);
  const wire = requesting(chip.pic);
  setWire(chip.apic, wire);
  return (wire && passesOn(chip.apic)) || requestingApic(chip.apic);
}

/** The vector that the processor takes. */
export const takeVector = (chip: Irqchip): number => (passesOn(chip.apic) && requesting(chip.pic) ? acknowledge(chip.pic) : acknowledgeApic(chip.apic));

/** ns of the next edge of a timer, or null. */
export function nextEdge(chip: Irqchip): number | null {
  const interval = dueAt(chip.timer);
  const local = timerDue(chip.apic.timer, timerMode(chip.apic));
  return interval === null ? local : local === null ? interval : Math.min(interval, local);
}
