/**
 * What text tools read and write: bytes, held as "binary strings" of one character a byte, so that nothing is lost on the
 * way through. Lines come from a reader that keeps its end mark. What a program holds in memory it has really mapped and
 * touched (heap.ts), so an endless line ends as it does in life.
 */
import { AT_FDCWD, O_RDONLY, S_IFDIR, S_IFMT, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { bytes, text } from '../../sim/text.ts';
import { attempt } from '../lib/files.ts';
import { type Call, writeAll } from '../lib/http.ts';
import { complain, strerror } from '../lib/io.ts';
import { createHeap, hold, type Heap } from '../lib/heap.ts';
import { listed } from './quote.ts';

export const READ = 65536;

/** One character a byte. */
export function binaryOf(data: Uint8Array): string {
  if (data.length <= 8192) return String.fromCharCode.apply(null, data as unknown as number[]);
  let out = '';
  for (let i = 0; i < data.length; i += 8192) out += String.fromCharCode.apply(null, data.subarray(i, i + 8192) as unknown as number[]);
  return out;
}

export function bytesOf(binary: string): Uint8Array {
  const out = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) out[i] = binary.charCodeAt(i);
  return out;
}

const HIGH = /[\x80-\xff]/;
const WIDE = /[^\x00-\x7f]/;

/** Text (a file name, an argument) as the bytes that stand for it. */
export function encoded(characters: string): string {
  return WIDE.test(characters) ? binaryOf(bytes(characters)) : characters;
}

/** The characters that these bytes stand for; bytes that are no UTF-8 stay as they are. */
export function decoded(binary: string): string {
  if (!HIGH.test(binary)) return binary;
  const characters = text(bytesOf(binary));
  return characters.includes('\ufffd') ? binary : characters;
}

/** What programs print comes out as one write a buffer. */
export function* putOut(binary: string): Call<void> {
  if (binary !== '') yield* writeAll(1, bytesOf(binary));
}

/** Lines collected and written out 64 KiB at a time; the writer flushes at its end. */
export interface Out {
  text: string;
}

export function createOut(): Out {
  return { text: '' };
}

export function* put(out: Out, binary: string): Call<void> {
  out.text += binary;
  if (out.text.length >= READ) yield* flush(out);
}

export function* flush(out: Out): Call<void> {
  const held = out.text;
  out.text = '';
  yield* putOut(held);
}

export interface Reader {
  fd: number;
  text: string;
  at: number;
  ended: boolean;
  heap: Heap;
}

export function createReader(fd: number): Reader {
  return { fd, text: '', at: 0, ended: false, heap: createHeap() };
}

/** Says whether the next line can be had without waiting. */
export function lineWaits(reader: Reader, end = '\n'): boolean {
  return reader.ended || reader.text.includes(end, reader.at);
}

/** The next line with its end mark (the last one may lack it), or null at end of file. */
export function* nextLine(reader: Reader, end = '\n'): Call<string | null> {
  const found = reader.text.indexOf(end, reader.at);
  if (found >= 0) {
    const line = reader.text.slice(reader.at, found + 1);
    reader.at = found + 1;
    return line;
  }
  const parts = [reader.text.slice(reader.at)];
  let size = parts[0]!.length;
  reader.text = '';
  reader.at = 0;
  while (!reader.ended) {
    const data = yield* sys('read', reader.fd, READ);
    if (data.length === 0) {
      reader.ended = true;
      break;
    }
    const chunk = binaryOf(data);
    const at = chunk.indexOf(end);
    parts.push(at < 0 ? chunk : chunk.slice(0, at + 1));
    if (at >= 0) {
      reader.text = chunk;
      reader.at = at + 1;
      return parts.join('');
    }
    size += data.length;
    if (size > READ * 4) yield* hold(reader.heap, size);
  }
  const rest = parts.join('');
  return rest === '' ? null : rest;
}

/** Everything up to end of file. */
export function* readRest(fd: number): Call<string> {
  const heap = createHeap();
  const parts: string[] = [];
  let size = 0;
  for (;;) {
    const data = yield* sys('read', fd, READ);
    if (data.length === 0) return parts.join('');
    parts.push(binaryOf(data));
    size += data.length;
    if (size > READ * 4) yield* hold(heap, size);
  }
}

/** "bytes read so far" of one input. */
export interface Input {
  name: string;
  fd: number;
}

/**
 * Opens each named file ("-" and no names: standard input) and hands it over; one that cannot be opened, or fails later,
 * is complained of as "WHO: NAME: why". Returns 1 when any failed, else 0.
 */
export function* eachInput(
  who: string, names: readonly string[], use: (input: Input) => Call<void>, phrase: (name: string) => string = listed,
): Call<number> {
  let status = 0;
  for (const name of names.length === 0 ? ['-'] : names) {
    let fd = -1;
    try {
      fd = name === '-' ? 0 : yield* sys('openat', AT_FDCWD, name, O_RDONLY);
      yield* use({ name, fd });
    } catch (error) {
      if (!(error instanceof SysError) || error.errno === 'EPIPE' || error.errno === 'ENOSPC') throw error;
      yield* complain(`${who}: ${phrase(name)}: ${strerror(error)}\n`);
      status = 1;
    }
    if (fd > 2) yield* attempt(sys('close', fd), 0);
  }
  return status;
}

/** Throws EISDIR for a descriptor of a directory, as reading it would. */
export function* refuseDirectory(fd: number): Call<void> {
  const stat = yield* sys('fstat', fd);
  if ((stat.mode & S_IFMT) === S_IFDIR) throw new SysError('EISDIR');
}

/** A line without its end mark. */
export function chomp(line: string, end = '\n'): string {
  return line.endsWith(end) ? line.slice(0, -1) : line;
}
