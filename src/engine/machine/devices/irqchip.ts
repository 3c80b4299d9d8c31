/**
 * Interrupt controllers and timer together: what KVM keeps in the kernel (its irqchip and PIT), so that a guest that
 * ticks does not leave for the program each time. Others set their lines with `setLine`. Ports 0x20, 0x21, 0xa0, 0xa1,
 * 0x40 to 0x43, 0x61.
 */
import { acknowledge, createPic, type Pic, readPic, requesting, setLine, writePic } from './pic.ts';
import { createTimer, dueAt, type IntervalTimer, readTimer, tick, writeTimer } from './timer.ts';

export interface Irqchip {
  pic: Pic;
  timer: IntervalTimer;
}

export const createIrqchip = (): Irqchip => ({ pic: createPic(), timer: createTimer() });

export const irqchipOwns = (port: number): boolean => (port & 0xff7e) === 0x20 || (port >= 0x40 && port <= 0x43) || port === 0x61;

/** One byte, at `now` (ns). */
export function writeIrqchip(chip: Irqchip, port: number, value: number, now: number): void {
  if ((port & 0xff7e) === 0x20) writePic(chip.pic, port, value);
  else writeTimer(chip.timer, port, value, now);
}

export const readIrqchip = (chip: Irqchip, port: number, now: number): number =>
  (port & 0xff7e) === 0x20 ? readPic(chip.pic, port) : readTimer(chip.timer, port, now);

/** Brings the timer's line up to `now`; says whether an interrupt waits for the processor. */
export function irqPending(chip: Irqchip, now: number): boolean {
  if (tick(chip.timer, now) > 0) {
    setLine(chip.pic, 0, false);
    setLine(chip.pic, 0, true);
  }
  return requesting(chip.pic);
}

/** The vector that the processor takes. */
export const takeVector = (chip: Irqchip): number => acknowledge(chip.pic);

/** ns of the timer's next edge, or null. */
export const nextEdge = (chip: Irqchip): number | null => dueAt(chip.timer);
