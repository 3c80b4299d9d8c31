/**
 * The virtual machine as QEMU holds it: KVM's descriptors, the board's devices, what the serial line is connected to, and
 * whether the machine runs. The process has two threads, as the real one has with one processor: the main loop (keys,
 * monitors) and the vCPU's, which lives in KVM_RUN. Between two yields nobody else runs, so the record needs no lock.
 */
import { SIG, SysError, TCSETS, type Termios } from '../../../kernel/abi.ts';
import {
  KVM_IMMEDIATE_EXIT, KVM_IRQ_LINE, KVM_SET_IRQCHIP, KVM_SET_REGS, KVM_SET_SREGS,
} from '../../../kernel/drivers/kvm/uapi.ts';
import { compute, sys } from '../../../kernel/sys.ts';
import { type Board, createBoard, powerLine, SCI_IRQ, SERIAL_IRQ, serialLine } from '../../../machine/devices/board.ts';
import { receive, takeOutput } from '../../../machine/devices/uart.ts';
import { MS } from '../../../sim/units.ts';
import { isoNano, nowNs } from '../../lib/clock.ts';
import { attempt } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { complain } from '../../lib/io.ts';
import type { GdbClient } from './gdbstub.ts';
import type { Image } from './boot.ts';
import type { Options } from './options.ts';

/** QMP's words. */
export type Status = 'prelaunch' | 'running' | 'paused' | 'shutdown' | 'internal-error';

/** What a character device is connected to; -1: nothing there. */
export interface Channel {
  label: string;
  /** As "info chardev" shows it. */
  filename: string;
  input: number;
  output: number;
  /** C-a is the escape key and the monitor is behind it. */
  mux: boolean;
}

export interface Emulator {
  options: Options;
  vm: number;
  vcpu: number;
  /** The vCPU's thread; 0 before it starts. */
  thread: number;
  board: Board;
  image: Image;
  status: Status;
  /** The vCPU's thread waits here while the machine does not run. */
  go: readonly [number, number];
  waiting: boolean;
  /** A reset is due before the next KVM_RUN. */
  resetting: boolean;
  serial: Channel;
  /** Where isa-debugcon writes. */
  debugConsole: Channel | null;
  channels: Channel[];
  /** Keys for the guest that its receiver has no room for. */
  backlog: Uint8Array;
  lines: { serial: boolean; power: boolean };
  /** The debugger that is attached. */
  gdb: GdbClient | null;
  /** To put back when it ends. */
  terminal: Termios | null;
  /** Sends an event to every QMP client. */
  emit(event: string, data?: Record<string, unknown>): Call<void>;
  /** What must be removed at the end. */
  litter: string[];
}

// ---- lines and the serial port

function* setIrq(emu: Emulator, irq: number, level: boolean): Call<void> {
  yield* sys('ioctl', emu.vm, KVM_IRQ_LINE, { irq, level: level ? 1 : 0 });
}

/** Tells KVM of the lines that have changed. */
export function* updateLines(emu: Emulator): Call<void> {
  const serial = serialLine(emu.board);
  const power = powerLine(emu.board);
  if (serial !== emu.lines.serial) {
    emu.lines.serial = serial;
    yield* setIrq(emu, SERIAL_IRQ, serial);
  }
  if (power !== emu.lines.power) {
    emu.lines.power = power;
    yield* setIrq(emu, SCI_IRQ, power);
  }
}

/** Hands keys to the receiver as far as it has room; the rest waits. */
export function* feedSerial(emu: Emulator, data: Uint8Array): Call<void> {
  if (data.length > 0) emu.backlog = Uint8Array.from([...emu.backlog, ...data]);
  if (emu.backlog.length === 0) return;
  emu.backlog = receive(emu.board.uart, emu.backlog);
  yield* updateLines(emu);
}

/** The devices that the command line asks for. */
export const boardOf = ({ debugExit, debugConsole, memory }: Options): Board => createBoard({ debugExit, debugPort: debugConsole?.port ?? null, memory });

/** Puts out what the guest has sent. A reader that is not there or too slow loses it, as the line has no flow control. */
export function* drainSerial(emu: Emulator): Call<void> {
  const data = takeOutput(emu.board.uart);
  if (data.length > 0) yield* send(emu.serial, data);
  const debug = emu.board.debugConsole.splice(0);
  if (debug.length > 0 && emu.debugConsole) yield* send(emu.debugConsole, Uint8Array.from(debug));
}

export function* send(channel: Channel, data: Uint8Array): Call<void> {
  if (channel.output < 0) return;
  for (let at = 0; at < data.length; ) {
    const sent = yield* attempt(sys('write', channel.output, data.subarray(at)), 0, 'EAGAIN', 'EPIPE', 'EIO');
    if (sent === 0) return;
    at += sent;
  }
}

// ---- life

/** Stores the image and sets the processor to where it is entered. */
export function* powerOn(emu: Emulator): Call<void> {
  for (const { gpa, data } of emu.image.parts) yield* sys('pwrite64', emu.vm, data, gpa);
  yield* sys('ioctl', emu.vcpu, KVM_SET_SREGS, emu.image.sregs);
  yield* sys('ioctl', emu.vcpu, KVM_SET_REGS, emu.image.regs);
}

/** ns of processor time that the firmware of a real machine takes from reset to the image. */
const FIRMWARE = 50 * MS;

/** The vCPU's own part of a reset. */
export function* reset(emu: Emulator): Call<void> {
  emu.resetting = false;
  yield* compute(FIRMWARE);
  emu.board = boardOf(emu.options);
  yield* sys('ioctl', emu.vm, KVM_SET_IRQCHIP);
  emu.lines = { serial: false, power: false };
  yield* updateLines(emu);
  yield* powerOn(emu);
}

export function* stop(emu: Emulator, status: Status): Call<void> {
  if (emu.status !== 'running') return;
  emu.status = status;
  yield* sys('ioctl', emu.vcpu, KVM_IMMEDIATE_EXIT);
  yield* emu.emit('STOP');
}

export function* cont(emu: Emulator): Call<void> {
  if (emu.status === 'running') return;
  emu.status = 'running';
  yield* emu.emit('RESUME');
  yield* release(emu);
}

/** Lets the vCPU's thread look at the state again. */
function* release(emu: Emulator): Call<void> {
  if (!emu.waiting) return;
  emu.waiting = false;
  yield* sys('write', emu.go[1], Uint8Array.of(1));
}

export type Cause = 'guest-shutdown' | 'guest-reset' | 'host-signal' | 'host-qmp-quit' | 'host-qmp-system-reset' | 'host-ui';

/** From a monitor (the vCPU is called out of KVM_RUN) or from the guest. With -no-reboot it is the end. */
export function* requestReset(emu: Emulator, cause: Cause): Call<void> {
  if (emu.options.noReboot) return yield* requestShutdown(emu, cause);
  emu.resetting = true;
  yield* emu.emit('RESET', { guest: cause.startsWith('guest'), reason: cause });
  if (cause.startsWith('host')) yield* sys('ioctl', emu.vcpu, KVM_IMMEDIATE_EXIT);
}

export function* requestShutdown(emu: Emulator, cause: Cause): Call<void> {
  yield* emu.emit('SHUTDOWN', { guest: cause.startsWith('guest'), reason: cause });
  if (!emu.options.noShutdown || cause.startsWith('host-signal') || cause === 'host-qmp-quit') return yield* leave(emu, 0);
  yield* stop(emu, 'shutdown');
}

/** The end of the process, from whichever thread. */
export function* leave(emu: Emulator, status: number): Call<never> {
  yield* drainSerial(emu);
  if (emu.terminal) yield* attempt(sys('ioctl', 0, TCSETS, emu.terminal), 0);
  for (const path of emu.litter) yield* attempt(sys('unlinkat', -100, path, 0), 0);
  return yield* sys('exit_group', status);
}

/** A message to whoever started this process. */
export function* tell(options: Options, message: string): Call<void> {
  const time = options.timestamp ? `${isoMicro(yield* nowNs())} ` : '';
  yield* complain(`${time}${message}\n`);
}

/** "2026-01-15T09:00:00.000123Z". */
function isoMicro(ns: number): string {
  const [head, fraction = 'Z'] = isoNano(ns).split('.');
  return `${head!.replace(/Z$/, '')}.${fraction.replace('Z', '').padEnd(6, '0').slice(0, 6)}Z`;
}

export function* terminate(emu: Emulator, signal: number): Call<never> {
  yield* tell(emu.options, `qemu-system-x86_64: terminating on signal ${signal}`);
  yield* emu.emit('SHUTDOWN', { guest: false, reason: 'host-signal' });
  return yield* leave(emu, 0);
}

export const ENDING_SIGNALS = [SIG.INT, SIG.HUP, SIG.TERM];

export const interrupted = (error: unknown): boolean => error instanceof SysError && error.errno === 'EINTR';
