/**
 * The devices of a small PC and the ports where they answer: the board does not know who runs the processor, the devices
 * do not know their ports. Reads of nobody's ports give all ones, as an empty ISA bus does.
 * Ports: 0x20 0xa0 interrupt controllers, 0x40 0x61 timer, 0x60 0x64 keyboard controller, 0x70 clock, 0x92 reset and A20,
 * 0xe9 debug console and 0xf4 isa-debug-exit (when there), 0x3f8 serial, 0x600 0x602 ACPI PM1a status and enable, 0x604 PM1a
 * control (0xb004 too, where Bochs and old QEMU have it), 0xcf9 reset. Source: QEMU's pc-i440fx memory map, ACPI 4.8.3.
 * Under KVM the interrupt controllers and the timer are the kernel's and only the rest is the program's.
 */
import { createIrqchip, type Irqchip, irqchipOwns, irqPending, nextEdge, readIrqchip, setIrqLine, takeVector, writeIrqchip } from './irqchip.ts';
import { createKeyboard, type Keyboard, readKeyboard, writeKeyboard } from './keyboard.ts';
import { createRtc, readRtc, type Rtc, writeRtc } from './rtc.ts';
import { createUart, interrupting, readUart, type Uart, writeUart } from './uart.ts';

export interface Board extends Irqchip {
  uart: Uart;
  keyboard: Keyboard;
  rtc: Rtc;
  /** ACPI PM1a: status and enable bits; bit 8 is the power button. */
  power: { status: number; enable: number };
  /** Where isa-debug-exit sits; null: not on this board. */
  debugExit: { port: number; size: number } | null;
  /** The port of isa-debugcon; null: not on this board. */
  debugPort: number | null;
  /** Bytes written there. */
  debugConsole: number[];
  /** Set once the guest has ended the machine. */
  ended: { how: 'debug-exit'; status: number } | { how: 'power-off' } | { how: 'reset' } | null;
}

export interface BoardOptions {
  debugExit?: Board['debugExit'];
  debugPort?: number | null;
  /** Bytes of main memory, which the clock's memory tells. */
  memory?: number;
}

export function createBoard({ debugExit = null, debugPort = null, memory = 0 }: BoardOptions = {}): Board {
  return {
    ...createIrqchip(), uart: createUart(), keyboard: createKeyboard(), rtc: createRtc(memory), power: { status: 0, enable: 0 }, debugExit, debugPort, debugConsole: [], ended: null,
  };
}

const COM1 = 0x3f8;
/** Of port 0x92: the gate is open. */
const A20 = 2;
const SLEEP_ENABLE = 0x2000;
export const SERIAL_IRQ = 4;
/** The system control interrupt: ACPI events. */
export const SCI_IRQ = 9;
const POWER_BUTTON = 0x100;

/** An OUT of 1, 2 or 4 bytes at `now` (ns). */
export function writePort(board: Board, port: number, size: number, value: number, now: number): void {
  const exit = board.debugExit;
  if (exit && port >= exit.port && port < exit.port + exit.size) {
    board.ended = { how: 'debug-exit', status: ((value << 1) | 1) & 0xff };
    return;
  }
  if (port === 0x604 || port === 0xb004) {
    if (value & SLEEP_ENABLE) board.ended = { how: 'power-off' };
    return;
  }
  for (let n = 0; n < size; n++) writeByte(board, port + n, Math.floor(value / 2 ** (8 * n)) & 255, now);
}

function writeByte(board: Board, port: number, value: number, now: number): void {
  if (irqchipOwns(port)) writeIrqchip(board, port, value, now);
  else if (port === 0x600 || port === 0x601) board.power.status &= ~(value << (8 * (port & 1)));
  else if (port === 0x602 || port === 0x603) board.power.enable = (board.power.enable & (0xff00 >> (8 * (port & 1)))) | (value << (8 * (port & 1)));
  else if (port === board.debugPort) board.debugConsole.push(value);
  else if (port === 0x60 || port === 0x64) {
    if (writeKeyboard(board.keyboard, port, value)) board.ended = { how: 'reset' };
  } else if (port === 0x70 || port === 0x71) writeRtc(board.rtc, port, value);
  else if ((port === 0x92 && (value & 1) !== 0) || (port === 0xcf9 && (value & 4) !== 0)) board.ended = { how: 'reset' };
  else if (port >= COM1 && port < COM1 + 8) writeUart(board.uart, port - COM1, value);
}

/** `now` in ns: for the timer since it was made, for the clock since 1970; who serves the ports says which of them it asks. */
export function readPort(board: Board, port: number, size: number, now: number): number {
  let value = 0;
  for (let n = 0; n < size; n++) value += readByte(board, port + n, now) * 2 ** (8 * n);
  return value;
}

function readByte(board: Board, port: number, now: number): number {
  if (irqchipOwns(port)) return readIrqchip(board, port, now);
  if (port >= 0x600 && port <= 0x603) return ((port < 0x602 ? board.power.status : board.power.enable) >> (8 * (port & 1))) & 255;
  if (port === board.debugPort) return 0xe9;
  if (port === 0x60 || port === 0x64) return readKeyboard(board.keyboard, port);
  if (port === 0x70 || port === 0x71) return readRtc(board.rtc, port, now);
  if (port === 0x92) return A20;
  if (port >= COM1 && port < COM1 + 8) return readUart(board.uart, port - COM1);
  return 0xff;
}

/** Somebody pressed the power button: the guest that asked for it (PM1a enable) is interrupted. */
export function pressPower(board: Board): void {
  board.power.status |= POWER_BUTTON;
}

/** Levels of the lines that the devices other than the timer drive. */
export const serialLine = (board: Board): boolean => interrupting(board.uart);
export const powerLine = (board: Board): boolean => (board.power.status & board.power.enable & POWER_BUTTON) !== 0;

/** Brings the lines up to `now`; says whether an interrupt waits for the processor. */
export function pending(board: Board, now: number): boolean {
  setIrqLine(board, SERIAL_IRQ, serialLine(board));
  setIrqLine(board, SCI_IRQ, powerLine(board));
  return irqPending(board, now);
}

/** The vector that the processor takes. */
export const takeInterrupt = (board: Board): number => takeVector(board);

/** ns of the next thing that a halted processor may wait for, or null: only input can wake it. */
export const nextEvent = (board: Board): number | null => nextEdge(board);
