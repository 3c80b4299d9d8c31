/**
 * ELF files of 32 and 64 bits as QEMU's loader takes them: program headers of type LOAD to their physical addresses, the
 * entry moved along when it lies in code that is not where it is linked to, notes for those who look for one.
 * Source: System V ABI, ELF-32 and ELF-64; QEMU include/hw/elf_ops.h.
 */
import type { Part } from './pc.ts';

/** Why a file is none that can be loaded; QEMU says the same of all of them. */
export class BadElf extends Error {}

export interface Elf {
  wide: boolean;
  machine: number;
  flags: number;
  entry: bigint;
  /** Physical addresses of the first byte and behind the last. */
  low: number;
  high: number;
  parts: (Part & { size: number })[];
  notes: { name: string; type: number; data: Uint8Array }[];
}

const I386 = 3;
export const X86_64 = 62;
const LOAD = 1;
const NOTE = 4;
const EXECUTABLE = 1;
/** Of all segments together, as the loader limits it. */
const SIZE_MAX = 2 ** 31 - 1;

export const isElf = (data: Uint8Array): boolean => data[0] === 0x7f && data[1] === 0x45 && data[2] === 0x4c && data[3] === 0x46;

interface Header {
  type: number;
  flags: number;
  offset: number;
  virtual: bigint;
  physical: number;
  fileSize: number;
  memorySize: number;
  align: number;
}

/** Throws BadElf. */
export function readElf(data: Uint8Array): Elf {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const wide = data[4] === 2;
  if (data.length < (wide ? 64 : 52) || !isElf(data) || data[5] !== 1) throw new BadElf('no header');
  const machine = view.getUint16(18, true);
  if (machine !== I386 && machine !== X86_64) throw new BadElf('machine');
  const at = wide ? Number(view.getBigUint64(32, true)) : view.getUint32(28, true);
  const count = view.getUint16(wide ? 56 : 44, true);
  const size = wide ? 56 : 32;
  if (at + count * size > data.length) throw new BadElf('program headers');
  const elf: Elf = {
    wide, machine, flags: view.getUint32(wide ? 48 : 36, true), entry: wide ? view.getBigUint64(24, true) : BigInt(view.getUint32(24, true)),
    low: Number.POSITIVE_INFINITY, high: 0, parts: [], notes: [],
  };
  const linked = elf.entry;
  let total = 0;
  for (let n = 0; n < count; n++) {
    const header = (wide ? header64 : header32)(view, at + n * size);
    if (header.type !== LOAD && header.type !== NOTE) continue;
    if (header.fileSize > 0 && header.offset + header.fileSize > data.length) throw new BadElf('a segment reaches past the end of the file');
    const bytes = data.subarray(header.offset, header.offset + header.fileSize);
    if (header.type === NOTE) elf.notes.push(...notesOf(bytes, header.align));
    else {
      total += header.memorySize;
      if (total > SIZE_MAX || header.physical + header.memorySize > Number.MAX_SAFE_INTEGER) throw new BadElf('too big');
      load(elf, header, bytes, linked);
    }
  }
  return elf;
}

function load(elf: Elf, header: Header, bytes: Uint8Array, linked: bigint): void {
  const { physical, virtual, memorySize, fileSize } = header;
  const inside = linked >= virtual && linked < virtual + BigInt(fileSize);
  if (virtual !== BigInt(physical) && inside && (header.flags & EXECUTABLE) !== 0) elf.entry = linked - virtual + BigInt(physical);
  elf.low = Math.min(elf.low, physical);
  elf.high = Math.max(elf.high, physical + memorySize);
  elf.parts.push({ gpa: physical, data: bytes.subarray(0, memorySize), size: memorySize });
}

function header32(view: DataView, at: number): Header {
  const word = (n: number): number => view.getUint32(at + 4 * n, true);
  return { type: word(0), offset: word(1), virtual: BigInt(word(2)), physical: word(3), fileSize: word(4), memorySize: word(5), flags: word(6), align: word(7) };
}

function header64(view: DataView, at: number): Header {
  const slot = (offset: number): bigint => view.getBigUint64(at + offset, true);
  return {
    type: view.getUint32(at, true), flags: view.getUint32(at + 4, true), offset: Number(slot(8)), virtual: slot(16), physical: Number(slot(24)), fileSize: Number(slot(32)),
    memorySize: Number(slot(40)), align: Number(slot(48)),
  };
}

/** Names and descriptors are padded to 4 bytes, to 8 in segments that say so. */
function notesOf(data: Uint8Array, align: number): Elf['notes'] {
  const out: Elf['notes'] = [];
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const padded = (n: number): number => Math.ceil(n / (align === 8 ? 8 : 4)) * (align === 8 ? 8 : 4);
  for (let at = 0; at + 12 <= data.length; ) {
    const [nameSize, size, type] = [view.getUint32(at, true), view.getUint32(at + 4, true), view.getUint32(at + 8, true)];
    const body = at + padded(12 + nameSize);
    if (body + size > data.length) break;
    out.push({ name: String.fromCharCode(...data.subarray(at + 12, at + 12 + Math.max(0, nameSize - 1))), type, data: data.subarray(body, body + size) });
    at = body + padded(size);
  }
  return out;
}

/** Two segments, the next above one another, that want the same memory; or null. */
export function overlap(elf: Elf): readonly [Range, Range] | null {
  const ranges = elf.parts.map(({ gpa, size }, index) => ({ index, start: gpa, end: gpa + size })).filter((one) => one.end > one.start).sort((a, b) => a.start - b.start || a.index - b.index);
  for (const [n, range] of ranges.entries()) if (n > 0 && range.start < ranges[n - 1]!.end) return [ranges[n - 1]!, range];
  return null;
}

/** Of segment `index` among those that are loaded. */
export interface Range {
  index: number;
  start: number;
  end: number;
}

/** The parts with the zeros behind them, cut to the memory that there is. */
export function withZeros(elf: Elf, memory: number): Part[] {
  return elf.parts.flatMap(({ gpa, data, size }) => {
    const end = Math.min(memory, gpa + size);
    if (end <= gpa) return [];
    const whole = new Uint8Array(end - gpa);
    whole.set(data.subarray(0, end - gpa));
    return [{ gpa, data: whole }];
  });
}
