/**
 * A 16550 serial port as a guest sees it: eight ports, two FIFOs, one interrupt line (IRQ 4 at 0x3f8). Bytes sent are out
 * at once: the line has no speed. Source: National Semiconductor PC16550D data sheet. Left out: modem lines change never,
 * no break, no parity, no character time-out beyond "something waits".
 */
export interface Uart {
  /** Received and not read yet. */
  input: number[];
  /** Sent and not taken yet. */
  output: number[];
  /** Sent ever. */
  sent: number;
  ier: number;
  lcr: number;
  mcr: number;
  scratch: number;
  divisor: number;
  fifo: boolean;
  /** The transmitter's interrupt waits to be seen (IIR 0x02). */
  thrEmpty: boolean;
}

export const FIFO = 16;
const DLAB = 0x80;
const LOOP = 0x10;
const OUT2 = 0x08;

export function createUart(): Uart {
  return { input: [], output: [], sent: 0, ier: 0, lcr: 0, mcr: 0, scratch: 0, divisor: 12, fifo: false, thrEmpty: false };
}

/** What the line brings; the part that the FIFO has no room for is returned to be tried again. */
export function receive(uart: Uart, data: Uint8Array): Uint8Array {
  const room = Math.max(0, (uart.fifo ? FIFO : 1) - uart.input.length);
  for (const byte of data.subarray(0, room)) uart.input.push(byte);
  return data.subarray(room);
}

export function takeOutput(uart: Uart): Uint8Array {
  return Uint8Array.from(uart.output.splice(0));
}

/** The level of the interrupt line; OUT2 gates it, as on a PC. */
export function interrupting(uart: Uart): boolean {
  return (uart.mcr & OUT2) !== 0 && identify(uart) !== 1;
}

function identify(uart: Uart): number {
  if ((uart.ier & 1) !== 0 && uart.input.length > 0) return 4;
  if ((uart.ier & 2) !== 0 && uart.thrEmpty) return 2;
  return 1;
}

/** A read of register 0-7. */
export function readUart(uart: Uart, register: number): number {
  switch (register) {
    case 0: return uart.lcr & DLAB ? uart.divisor & 255 : (uart.input.shift() ?? 0);
    case 1: return uart.lcr & DLAB ? uart.divisor >> 8 : uart.ier;
    case 2: {
      const id = identify(uart);
      if (id === 2) uart.thrEmpty = false;
      return id | (uart.fifo ? 0xc0 : 0);
    }
    case 3: return uart.lcr;
    case 4: return uart.mcr;
    case 5: return 0x60 | (uart.input.length > 0 ? 1 : 0);
    case 6: return 0xb0;
    default: return uart.scratch;
  }
}

export function writeUart(uart: Uart, register: number, value: number): void {
  const byte = value & 255;
  switch (register) {
    case 0:
      if (uart.lcr & DLAB) uart.divisor = (uart.divisor & 0xff00) | byte;
      else if (uart.mcr & LOOP) receive(uart, Uint8Array.of(byte));
      else {
        uart.output.push(byte);
        uart.sent++;
        uart.thrEmpty = true;
      }
      return;
    case 1:
      if (uart.lcr & DLAB) uart.divisor = (uart.divisor & 255) | (byte << 8);
      else {
        if ((byte & 2) !== 0 && (uart.ier & 2) === 0) uart.thrEmpty = true;
        uart.ier = byte & 15;
      }
      return;
    case 2:
      uart.fifo = (byte & 1) !== 0;
      if (byte & 2) uart.input.length = 0;
      return;
    case 3: uart.lcr = byte; return;
    case 4: uart.mcr = byte & 31; return;
    case 7: uart.scratch = byte; return;
  }
}
