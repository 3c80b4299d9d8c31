/**
 * The PC's two 8259A interrupt controllers, the second behind line 2 of the first: which vector the processor gets next.
 * Fully nested priorities, edge triggered, specific and unspecific end of interrupt. Source: Intel 8259A data sheet.
 * Left out: rotation, special mask mode, polling, level triggering.
 */
interface Chip {
  /** Requested, in service, masked: a bit a line. */
  irr: number;
  isr: number;
  imr: number;
  base: number;
  /** Which initialization word is expected next, 0: none. */
  step: number;
  wantsFourth: boolean;
  autoEoi: boolean;
  readIsr: boolean;
}

export interface Pic {
  chips: [Chip, Chip];
  /** Levels of the 16 lines, to see edges. */
  lines: number;
}

const chip = (base: number): Chip => ({ irr: 0, isr: 0, imr: 0xff, base, step: 0, wantsFourth: false, autoEoi: false, readIsr: false });

export function createPic(): Pic {
  return { chips: [chip(8), chip(0x70)], lines: 0 };
}

/** Sets the level of line 0-15; a rising edge requests. */
export function setLine(pic: Pic, line: number, high: boolean): void {
  const bit = 1 << line;
  if (high && (pic.lines & bit) === 0) pic.chips[line >> 3]!.irr |= 1 << (line & 7);
  pic.lines = high ? pic.lines | bit : pic.lines & ~bit;
}

function best(c: Chip): number {
  const wanted = c.irr & ~c.imr;
  for (let n = 0; n < 8; n++) {
    if (c.isr & (1 << n)) return -1;
    if (wanted & (1 << n)) return n;
  }
  return -1;
}

function cascade(pic: Pic): void {
  const [first, second] = pic.chips;
  if (best(second) >= 0) first.irr |= 4;
  else first.irr &= ~4;
}

/** Something waits that the masks and priorities let through. */
export function requesting(pic: Pic): boolean {
  cascade(pic);
  return best(pic.chips[0]) >= 0;
}

/** The processor acknowledges: the vector, and its line is in service. 7 of the first chip when the request is gone. */
export function acknowledge(pic: Pic): number {
  cascade(pic);
  const [first, second] = pic.chips;
  const line = best(first);
  if (line < 0) return first.base + 7;
  serve(first, line);
  if (line !== 2) return first.base + line;
  const behind = best(second);
  if (behind < 0) return second.base + 7;
  serve(second, behind);
  return second.base + behind;
}

function serve(c: Chip, line: number): void {
  c.irr &= ~(1 << line);
  if (!c.autoEoi) c.isr |= 1 << line;
}

/** Ports 0x20, 0x21, 0xa0, 0xa1. */
export function readPic(pic: Pic, port: number): number {
  const c = pic.chips[port >= 0xa0 ? 1 : 0];
  return port & 1 ? c.imr : c.readIsr ? c.isr : c.irr;
}

export function writePic(pic: Pic, port: number, value: number): void {
  const c = pic.chips[port >= 0xa0 ? 1 : 0];
  if (port & 1) return writeData(c, value & 255);
  if (value & 0x10) {
    Object.assign(c, { irr: 0, isr: 0, imr: 0, step: 2, wantsFourth: (value & 1) !== 0, autoEoi: false, readIsr: false });
    return;
  }
  if (value & 8) {
    if (value & 2) c.readIsr = (value & 1) !== 0;
    return;
  }
  const command = value >> 5;
  if (command === 3) c.isr &= ~(1 << (value & 7));
  else if (command === 1) c.isr &= c.isr - 1;
}

function writeData(c: Chip, value: number): void {
  switch (c.step) {
    case 2:
      c.base = value & 0xf8;
      c.step = 3;
      return;
    case 3:
      c.step = c.wantsFourth ? 4 : 0;
      return;
    case 4:
      c.autoEoi = (value & 2) !== 0;
      c.step = 0;
      return;
    default: c.imr = value;
  }
}
