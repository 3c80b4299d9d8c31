/**
 * The devices of a small PC and the ports where they answer: the board does not know who runs the processor, the devices
 * do not know their ports. Reads of nobody's ports give all ones, as an empty ISA bus does.
 * Ports: 0x20 0xa0 interrupt controllers, 0x40 timer, 0xe9 debug console, 0xf4 isa-debug-exit (when there), 0x3f8 serial,
 * 0x604 ACPI PM1a control. Source: QEMU's pc-i440fx memory map.
 */
import { acknowledge, createPic, type Pic, readPic, requesting, setLine, writePic } from './pic.ts';
import { createTimer, dueAt, type IntervalTimer, readTimer, tick, writeTimer } from './timer.ts';
import { createUart, interrupting, readUart, type Uart, writeUart } from './uart.ts';

export interface Board {
  pic: Pic;
  timer: IntervalTimer;
  uart: Uart;
  /** Where isa-debug-exit sits; null: not on this board. */
  debugExit: { port: number; size: number } | null;
  debugConsole: number[];
  /** Set once the guest has ended the machine. */
  ended: { how: 'debug-exit'; status: number } | { how: 'power-off' } | { how: 'reset' } | null;
}

export function createBoard(debugExit: Board['debugExit'] = null): Board {
  return { pic: createPic(), timer: createTimer(), uart: createUart(), debugExit, debugConsole: [], ended: null };
}

const COM1 = 0x3f8;
const SLEEP_ENABLE = 0x2000;
const SERIAL_IRQ = 4;

/** An OUT of 1, 2 or 4 bytes at `now` (ns). */
export function writePort(board: Board, port: number, size: number, value: number, now: number): void {
  const exit = board.debugExit;
  if (exit && port >= exit.port && port < exit.port + exit.size) {
    board.ended = { how: 'debug-exit', status: ((value << 1) | 1) & 0xff };
    return;
  }
  if (port === 0x604) {
    if (value & SLEEP_ENABLE) board.ended = { how: 'power-off' };
    return;
  }
  if (port === 0x64 && (value & 255) === 0xfe) board.ended = { how: 'reset' };
  for (let n = 0; n < size; n++) writeByte(board, port + n, Math.floor(value / 2 ** (8 * n)) & 255, now);
}

function writeByte(board: Board, port: number, value: number, now: number): void {
  if ((port & 0xff7e) === 0x20) writePic(board.pic, port, value);
  else if (port >= 0x40 && port <= 0x43) writeTimer(board.timer, port, value, now);
  else if (port === 0xe9) board.debugConsole.push(value);
  else if (port >= COM1 && port < COM1 + 8) writeUart(board.uart, port - COM1, value);
}

export function readPort(board: Board, port: number, size: number, now: number): number {
  let value = 0;
  for (let n = 0; n < size; n++) value += readByte(board, port + n, now) * 2 ** (8 * n);
  return value;
}

function readByte(board: Board, port: number, now: number): number {
  if ((port & 0xff7e) === 0x20) return readPic(board.pic, port);
  if (port >= 0x40 && port <= 0x43) return readTimer(board.timer, port, now);
  if (port === 0xe9) return 0xe9;
  if (port >= COM1 && port < COM1 + 8) return readUart(board.uart, port - COM1);
  return 0xff;
}

/** Brings the lines up to `now`; says whether an interrupt waits for the processor. */
export function pending(board: Board, now: number): boolean {
  if (tick(board.timer, now) > 0) {
    setLine(board.pic, 0, false);
    setLine(board.pic, 0, true);
  }
  setLine(board.pic, SERIAL_IRQ, interrupting(board.uart));
  return requesting(board.pic);
}

/** The vector that the processor takes. */
export function takeInterrupt(board: Board): number {
  return acknowledge(board.pic);
}

/** ns of the next thing that a halted processor may wait for, or null: only input can wake it. */
export function nextEvent(board: Board): number | null {
  return dueAt(board.timer);
}
