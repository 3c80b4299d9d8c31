/**
 * POSIX tar as bytes: a writer and a reader without any file system. The writer emits ustar headers in a fixed form, so
 * the same entries always give the same bytes and the same digest. The reader understands ustar, GNU long names and pax
 * paths, and refuses what is cut off or has a wrong checksum. Bounds are the caller's. Left out: sparse files.
 */
import { bytes, text } from '../../sim/text.ts';
import { joinBytes } from '../../sim/wire.ts';

export interface TarEntry {
  /** As in the archive, without a leading "./" or "/" and without a trailing "/". */
  name: string;
  type: 'file' | 'dir' | 'link' | 'hardlink' | 'chr' | 'blk' | 'fifo';
  mode: number;
  uid: number;
  gid: number;
  /** Seconds since 1970. */
  mtime: number;
  data: Uint8Array;
  /** Target of a symbolic or hard link. */
  target: string;
  rdev: readonly [number, number];
  /** The name as it was read. */
  read?: string;
}

export interface TarLimits {
  entries: number;
  /** Bytes of all files together. */
  size: number;
  depth: number;
}

export const LIMITS: TarLimits = { entries: 50_000, size: 512 * 1024 * 1024, depth: 64 };

export class TarError extends Error {}

const BLOCK = 512;
const TYPES: Readonly<Record<string, TarEntry['type']>> = { '0': 'file', '\0': 'file', '7': 'file', '1': 'hardlink', '2': 'link', '3': 'chr', '4': 'blk', '5': 'dir', '6': 'fifo' };
const FLAGS: Readonly<Record<TarEntry['type'], string>> = { file: '0', hardlink: '1', link: '2', chr: '3', blk: '4', dir: '5', fifo: '6' };
const EMPTY = new Uint8Array(0);

export function entry(name: string, more: Partial<TarEntry> = {}): TarEntry {
  return { name, type: 'file', mode: 0o644, uid: 0, gid: 0, mtime: 0, data: EMPTY, target: '', rdev: [0, 0], ...more };
}

/** An archive of these entries in this order, ended by two empty blocks. */
export function writeTar(entries: readonly TarEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const e of entries) {
    const name = e.type === 'dir' ? `${e.name}/` : e.name;
    if (bytes(name).length > 100) parts.push(header('././@LongLink', 'L', bytes(`${name}\0`).length, entry('')), padded(bytes(`${name}\0`)));
    if (bytes(e.target).length > 100) parts.push(header('././@LongLink', 'K', bytes(`${e.target}\0`).length, entry('')), padded(bytes(`${e.target}\0`)));
    const size = e.type === 'file' ? e.data.length : 0;
    parts.push(header(name, FLAGS[e.type], size, e));
    if (size > 0) parts.push(padded(e.data));
  }
  parts.push(new Uint8Array(2 * BLOCK));
  return joinBytes(parts);
}

function padded(data: Uint8Array): Uint8Array {
  const out = new Uint8Array(Math.ceil(data.length / BLOCK) * BLOCK);
  out.set(data);
  return out;
}

function header(name: string, flag: string, size: number, e: TarEntry): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const put = (at: number, length: number, value: string): void => {
    block.set(bytes(value).subarray(0, length), at);
  };
  const octal = (at: number, length: number, value: number): void => put(at, length, `${value.toString(8).padStart(length - 1, '0')}\0`);
  put(0, 100, name);
  octal(100, 8, e.mode & 0o7777);
  octal(108, 8, e.uid);
  octal(116, 8, e.gid);
  octal(124, 12, size);
  octal(136, 12, Math.max(0, Math.floor(e.mtime)));
  put(148, 8, '        ');
  put(156, 1, flag);
  put(157, 100, e.target);
  put(257, 8, 'ustar\x0000');
  octal(329, 8, e.rdev[0]);
  octal(337, 8, e.rdev[1]);
  put(148, 8, `${sum(block).toString(8).padStart(6, '0')}\0 `);
  return block;
}

function sum(block: Uint8Array): number {
  let total = 0;
  for (let i = 0; i < BLOCK; i++) total += i >= 148 && i < 156 ? 32 : block[i]!;
  return total;
}

/** Every entry of an archive. Throws TarError with Go's words: "unexpected EOF", "archive/tar: invalid tar header". */
export function readTar(data: Uint8Array, limits: TarLimits = LIMITS): TarEntry[] {
  const entries: TarEntry[] = [];
  let at = 0;
  let total = 0;
  let long: { name?: string; target?: string } = {};
  while (at < data.length) {
    if (at + BLOCK > data.length) throw new TarError('unexpected EOF');
    const block = data.subarray(at, at + BLOCK);
    at += BLOCK;
    if (block.every((b) => b === 0)) break;
    if (number(block, 148, 8) !== sum(block)) throw new TarError('archive/tar: invalid tar header');
    const size = number(block, 124, 12);
    const flag = String.fromCharCode(block[156]!);
    if (at + size > data.length) throw new TarError('unexpected EOF');
    const content = data.subarray(at, at + size);
    at += Math.ceil(size / BLOCK) * BLOCK;
    if (flag === 'L') long.name = string(content, 0, size);
    else if (flag === 'K') long.target = string(content, 0, size);
    else if (flag === 'x') long = { ...long, ...pax(content) };
    else if (flag !== 'g') {
      const type = TYPES[flag];
      if (!type) throw new TarError(`archive/tar: unhandled tar header type ${flag.charCodeAt(0)}`);
      entries.push(entryOf(block, type, content, long));
      long = {};
      total += type === 'file' ? size : 0;
      check(entries, total, limits);
    }
  }
  return entries;
}

function check(entries: readonly TarEntry[], total: number, limits: TarLimits): void {
  const last = entries[entries.length - 1]!;
  if (entries.length > limits.entries) throw new TarError(`archive holds more than ${limits.entries} entries`);
  if (total > limits.size) throw new TarError(`archive holds more than ${limits.size} bytes`);
  if (last.name.split('/').length > limits.depth) throw new TarError(`path is deeper than ${limits.depth}: ${last.name.slice(0, 80)}`);
}

function entryOf(block: Uint8Array, type: TarEntry['type'], content: Uint8Array, long: { name?: string; target?: string }): TarEntry {
  const ustar = string(block, 257, 5) === 'ustar';
  const prefix = ustar && block[262] === 0 ? string(block, 345, 155) : '';
  const short = string(block, 0, 100);
  const read = long.name ?? (prefix ? `${prefix}/${short}` : short);
  const name = clean(read);
  const dir = type === 'file' && (long.name ?? short).endsWith('/');
  return {
    name, type: dir ? 'dir' : type, mode: number(block, 100, 8) & 0o7777, uid: number(block, 108, 8), gid: number(block, 116, 8),
    mtime: number(block, 136, 12), data: type === 'file' && !dir ? content : EMPTY, target: long.target ?? string(block, 157, 100),
    rdev: type === 'chr' || type === 'blk' ? [number(block, 329, 8), number(block, 337, 8)] : [0, 0], read,
  };
}

function clean(name: string): string {
  return name.replace(/^(\.?\/)+/, '').replace(/\/+$/, '').replace(/^\.$/, '');
}

function string(block: Uint8Array, at: number, length: number): string {
  const end = block.indexOf(0, at);
  return text(block.subarray(at, end < 0 || end > at + length ? at + length : end));
}

function number(block: Uint8Array, at: number, length: number): number {
  if (block[at]! & 0x80) {
    let value = 0;
    for (let i = at + 1; i < at + length; i++) value = value * 256 + block[i]!;
    return value;
  }
  const digits = string(block, at, length).trim();
  if (digits === '') return 0;
  if (!/^[0-7]+$/.test(digits)) throw new TarError('archive/tar: invalid tar header');
  return Number.parseInt(digits, 8);
}

function pax(content: Uint8Array): { name?: string; target?: string } {
  const out: { name?: string; target?: string } = {};
  let at = 0;
  while (at < content.length) {
    const space = content.indexOf(32, at);
    const length = space < 0 ? Number.NaN : Number(text(content.subarray(at, space)));
    if (!(length > space - at) || at + length > content.length) throw new TarError('archive/tar: invalid tar header');
    const [key, ...value] = text(content.subarray(space + 1, at + length - 1)).split('=');
    if (key === 'path') out.name = value.join('=');
    if (key === 'linkpath') out.target = value.join('=');
    at += length;
  }
  return out;
}

/** Whether a name, joined to a directory, stays inside it. */
export function staysInside(name: string): boolean {
  return !name.split('/').includes('..') && !name.includes('\0');
}
