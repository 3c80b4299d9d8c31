/**
 * Terminals with the line discipline N_TTY: editing of a line in canonical mode, echo, signals to the foreground group,
 * CR and NL mapping, window size. The picture: bytes typed go through `receive`, become signals, edits of
 * `line`, or input that is ready; bytes written go through `emit` to `output`, from where the world (a console) or the
 * master (a pseudo-terminal) takes them; terminal.ts has the rest. Source: termios(3).
 * Left out: flow control by ^S and ^Q, VMIN and VTIME, other settings of termios than those in abi.ts.
 */
import { SIG, type Termios, type Winsize } from './abi.ts';
import { joinBytes } from '../sim/wire.ts';
import type { Kernel } from './records.ts';
import { signalGroup } from './signals.ts';
import { wake } from './wait.ts';

export interface Tty {
  /** "tty1", "pts/0". */
  name: string;
  termios: Termios;
  winsize: Winsize;
  /** Session and foreground process group; 0 = none. */
  session: number;
  foreground: number;
  /** The line being edited in canonical mode. */
  line: number[];
  /** Input after the line discipline: whole lines (an empty one is end-of-file), or runs of bytes of raw mode. */
  ready: Ready[];
  /** Sum of the lengths of `ready`. */
  readyBytes: number;
  /** ^V was typed: the next byte is taken as it is. */
  literal: boolean;
  /** Where the cursor is, for erasing tabs; and where it was when the line began. */
  column: number;
  lineColumn: number;
  hungUp: boolean;
  /** Bytes written and not yet taken, in order; stream 2 came through a write-only description. */
  output: { data: Uint8Array; stream: 1 | 2 }[];
  outputBytes: number;
  /** Descriptions open on it (of a pty: on the slave). */
  users: number;
  index: number;
  isPty: boolean;
  /** Unique in the kernel: names its wait channels. */
  id: number;
}

interface Ready {
  bytes: number[];
  line: boolean;
}

/** Input that a terminal holds: the real one's N_TTY_BUF_SIZE in canonical mode; more waits in its driver in raw mode. */
const LINE_MAX = 4096;
const RAW_MAX = 65536;
/** A pseudo-terminal's unread output; a console's is taken by the world. */
export const OUTPUT_MAX = 65536;
/** Small pieces of output are joined up to this. */
const JOINED = 1024;

const CTRL = { intr: 3, eof: 4, erase: 127, backspace: 8, kill: 21, quit: 28, susp: 26, werase: 23, lnext: 22, reprint: 18 };
const NL = 10;
const CR = 13;
const TAB = 9;
const BELL = 7;

export function createTty(kernel: Kernel, name: string, index: number, isPty: boolean): Tty {
  const id = (kernel.counters.ttys ?? 0) + 1;
  kernel.counters.ttys = id;
  return {
    name, termios: { canonical: true, echo: true, signals: true, mapCrNl: true, postprocess: true }, winsize: isPty ? { rows: 0, cols: 0 } : { rows: 24, cols: 80 },
    session: 0, foreground: 0, line: [], ready: [], readyBytes: 0, literal: false, column: 0, lineColumn: 0, hungUp: false, output: [], outputBytes: 0,
    users: 0, index, isPty, id,
  };
}

export const inputChannel = (tty: Tty): string => `tty.in:${tty.id}`;
export const outputChannel = (tty: Tty): string => `tty.out:${tty.id}`;

// ---- output

/** Writes bytes to the screen; NL becomes CR NL when postprocessing. */
export function emit(kernel: Kernel, tty: Tty, data: Uint8Array | readonly number[], stream: 1 | 2 = 1): void {
  if (data.length === 0) return;
  const out = tty.termios.postprocess ? withCr(data) : Uint8Array.from(data);
  track(tty, out);
  const last = tty.output[tty.output.length - 1];
  if (last && last.stream === stream && last.data.length + out.length <= JOINED) last.data = joinBytes([last.data, out]);
  else tty.output.push({ data: out, stream });
  tty.outputBytes += out.length;
  wake(kernel, outputChannel(tty));
}

function withCr(data: Uint8Array | readonly number[]): Uint8Array {
  let lines = 0;
  for (const byte of data) if (byte === NL) lines++;
  const out = new Uint8Array(data.length + lines);
  let at = 0;
  for (const byte of data) {
    if (byte === NL) out[at++] = CR;
    out[at++] = byte;
  }
  return out;
}

function track(tty: Tty, out: Uint8Array): void {
  for (const byte of out) {
    if (byte === CR || byte === NL) tty.column = 0;
    else if (byte === 8) tty.column = Math.max(0, tty.column - 1);
    else if (byte === TAB) tty.column += 8 - (tty.column % 8);
    else if (byte >= 32 && byte < 127) tty.column++;
    else if ((byte & 0xc0) === 0xc0) tty.column++;
  }
}

/** How a typed byte is shown: control characters as ^X. */
function shown(byte: number): number[] {
  if (byte === TAB || byte >= 128 || (byte >= 32 && byte !== 127)) return [byte];
  return [94, byte ^ 64];
}

function echo(kernel: Kernel, tty: Tty, byte: number): void {
  if (tty.termios.echo) emit(kernel, tty, byte === NL ? [NL] : shown(byte));
}

// ---- input

/** Bytes arrive from the keyboard (or from a pty's master). */
export function receive(kernel: Kernel, tty: Tty, data: Uint8Array): void {
  if (tty.hungUp) return;
  for (const byte of data) receiveByte(kernel, tty, byte);
}

function receiveByte(kernel: Kernel, tty: Tty, typed: number): void {
  const { termios } = tty;
  let byte = typed;
  if (tty.literal) {
    tty.literal = false;
    take(kernel, tty, byte);
    return;
  }
  if (termios.signals && interruptsBy(kernel, tty, byte)) return;
  if (termios.mapCrNl && byte === CR) byte = NL;
  if (!termios.canonical) {
    take(kernel, tty, byte);
    return;
  }
  switch (byte) {
    case CTRL.erase:
    case CTRL.backspace:
      eraseChar(kernel, tty);
      return;
    case CTRL.werase:
      eraseWord(kernel, tty);
      return;
    case CTRL.kill:
      while (tty.line.length > 0) eraseChar(kernel, tty);
      return;
    case CTRL.reprint:
      echo(kernel, tty, byte);
      echo(kernel, tty, NL);
      for (const one of tty.line) echo(kernel, tty, one);
      return;
    case CTRL.lnext:
      tty.literal = true;
      if (termios.echo) emit(kernel, tty, [94, 8]);
      return;
    case CTRL.eof:
      commit(kernel, tty);
      return;
    case NL:
      if (tty.readyBytes + tty.line.length >= RAW_MAX) return;
      echo(kernel, tty, NL);
      tty.line.push(NL);
      commit(kernel, tty);
      return;
    default:
      take(kernel, tty, byte);
  }
}

/** ^C, ^\ and ^Z: a signal to the foreground group; what was typed before is thrown away. */
function interruptsBy(kernel: Kernel, tty: Tty, byte: number): boolean {
  const signal = byte === CTRL.intr ? SIG.INT : byte === CTRL.quit ? SIG.QUIT : byte === CTRL.susp ? SIG.TSTP : 0;
  if (signal === 0) return false;
  flushInput(tty);
  echo(kernel, tty, byte);
  if (tty.foreground) signalGroup(kernel, tty.foreground, signal, 'tty');
  return true;
}

export function flushInput(tty: Tty): void {
  tty.line = [];
  tty.ready = [];
  tty.readyBytes = 0;
}

/** An ordinary byte. */
function take(kernel: Kernel, tty: Tty, byte: number): void {
  if (tty.termios.canonical) {
    if (tty.line.length + tty.readyBytes >= LINE_MAX - 1) {
      emit(kernel, tty, [BELL]);
      return;
    }
    if (tty.line.length === 0) tty.lineColumn = tty.column;
    tty.line.push(byte);
    echo(kernel, tty, byte);
    return;
  }
  if (tty.readyBytes >= RAW_MAX) return;
  const last = tty.ready[tty.ready.length - 1];
  if (last && !last.line) last.bytes.push(byte);
  else tty.ready.push({ bytes: [byte], line: false });
  tty.readyBytes++;
  echo(kernel, tty, byte);
  wake(kernel, inputChannel(tty));
}

/** The line being edited is ready to be read, as it stands; an empty one is end-of-file. */
function commit(kernel: Kernel, tty: Tty): void {
  tty.ready.push({ bytes: tty.line, line: true });
  tty.readyBytes += tty.line.length;
  tty.line = [];
  wake(kernel, inputChannel(tty));
}

/** Takes the last character (of UTF-8: all its bytes) off the line and the screen. */
function eraseChar(kernel: Kernel, tty: Tty): void {
  let byte = tty.line.pop();
  if (byte === undefined) return;
  while (byte >= 0x80 && byte < 0xc0 && tty.line.length > 0) byte = tty.line.pop()!;
  if (!tty.termios.echo) return;
  const width = byte === TAB ? tabWidth(tty) : byte >= 128 ? 1 : shown(byte).length;
  const gone: number[] = [];
  for (let i = 0; i < width; i++) gone.push(...(byte === TAB ? [8] : [8, 32, 8]));
  emit(kernel, tty, gone);
}

/** Columns that a tab at the end of the line took. */
function tabWidth(tty: Tty): number {
  let column = tty.lineColumn;
  for (const byte of tty.line) column += byte === TAB ? 8 - (column % 8) : (byte & 0xc0) === 0x80 ? 0 : shown(byte).length;
  return 8 - (column % 8);
}

function eraseWord(kernel: Kernel, tty: Tty): void {
  const isWord = (byte: number | undefined): boolean => byte !== undefined && ((byte >= 48 && byte <= 57) || (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122) || byte === 95 || byte >= 128);
  while (tty.line.length > 0 && !isWord(tty.line[tty.line.length - 1])) eraseChar(kernel, tty);
  while (isWord(tty.line[tty.line.length - 1])) eraseChar(kernel, tty);
}

export function setTermios(kernel: Kernel, tty: Tty, next: Termios): void {
  const was = tty.termios.canonical;
  tty.termios = { ...tty.termios, ...next };
  if (was && !tty.termios.canonical) for (const one of tty.ready) markEnd(tty, one);
  if (was && !tty.termios.canonical && tty.line.length > 0) {
    tty.ready.push({ bytes: tty.line, line: false });
    tty.readyBytes += tty.line.length;
    tty.line = [];
  }
  wake(kernel, inputChannel(tty));
}

/** An end of file that was not read yet lies in the real buffer as a NUL, which is what raw mode reads. */
function markEnd(tty: Tty, one: Ready): void {
  if (!one.line || one.bytes[one.bytes.length - 1] === NL) return;
  one.bytes.push(0);
  tty.readyBytes++;
}

/** What a read gets now: one line, or what raw mode has; null when there is nothing. */
export function readInput(tty: Tty, count: number): Uint8Array | null {
  if (!tty.termios.canonical) {
    const out: number[] = [];
    while (out.length < count && tty.ready.length > 0) {
      const first = tty.ready[0]!;
      out.push(...first.bytes.splice(0, count - out.length));
      if (first.bytes.length === 0) tty.ready.shift();
    }
    tty.readyBytes -= out.length;
    return out.length > 0 ? Uint8Array.from(out) : null;
  }
  const first = tty.ready[0];
  if (!first) return null;
  const out = Uint8Array.from(first.bytes.splice(0, count));
  tty.readyBytes -= out.length;
  if (first.bytes.length === 0) tty.ready.shift();
  return out;
}

/**
 * Takes what a terminal has shown since the last time, neighbours of one stream joined. The beginning of a character whose
 * other bytes are yet to come stays, so that taking more or less often gives the same texts.
 */
export function takeOutput(kernel: Kernel, tty: Tty): { data: Uint8Array; stream: 1 | 2 }[] {
  if (tty.output.length === 0) return [];
  const runs: { parts: Uint8Array[]; stream: 1 | 2 }[] = [];
  for (const { data, stream } of tty.output) {
    const last = runs[runs.length - 1];
    if (last?.stream === stream) last.parts.push(data);
    else runs.push({ parts: [data], stream });
  }
  const taken = runs.map(({ parts, stream }) => ({ data: parts.length === 1 ? parts[0]! : joinBytes(parts), stream }));
  const last = taken[taken.length - 1]!;
  const kept = unfinished(last.data);
  tty.output = kept > 0 ? [{ data: last.data.subarray(last.data.length - kept), stream: last.stream }] : [];
  tty.outputBytes = kept;
  last.data = last.data.subarray(0, last.data.length - kept);
  wake(kernel, outputChannel(tty));
  return taken.filter((one) => one.data.length > 0);
}

/** How many bytes at the end begin a UTF-8 sequence that is longer than what is there. */
function unfinished(data: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, data.length); back++) {
    const byte = data[data.length - back]!;
    if ((byte & 0xc0) === 0x80) continue;
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return needed > back ? back : 0;
  }
  return 0;
}
