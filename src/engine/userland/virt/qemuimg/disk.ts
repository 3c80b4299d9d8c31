/**
 * A disk image as a program sees it: bytes of a virtual disk over a file in some format, with its chain of backing images
 * and the lock that keeps two writers apart. Formats: raw and qcow2; the others that QEMU knows are recognized and refused.
 */
import { AT_FDCWD, O_RDONLY, O_RDWR, S_IFMT, SEEK_DATA, SEEK_HOLE, SysError } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';

import type { Call } from '../../lib/http.ts';
import { attempt } from '../../lib/files.ts';
import { strerror } from '../../lib/io.ts';
import { clusterSize, type Qcow2, readAt, writeAt } from './clusters.ts';
import { ImageError } from './format.ts';
import { extentOf, fillFrom, openQcow2, writeCluster } from './qcow2.ts';

export interface Disk {
  path: string;
  format: string;
  fd: number;
  size: number;
  /** Null for raw. */
  qcow2: Qcow2 | null;
  backing: Disk | null;
  /** The format was guessed, not given. */
  probed: boolean;
}

export interface OpenOptions {
  format?: string;
  write?: boolean;
  /** -U: no lock. */
  share?: boolean;
  /** Do not open the backing image. */
  alone?: boolean;
}

export const FORMATS =
  'blkdebug blklogwrites blkverify bochs cloop compress copy-before-write copy-on-read dmg file ftp ftps gluster host_cdrom host_device http https iscsi iser luks nbd nfs null-aio null-co nvme parallels preallocate qcow qcow2 qed quorum raw rbd replication snapshot-access ssh throttle vdi vhdx vmdk vpc vvfat'.split(' ');

const SIGNATURES: readonly (readonly [at: number, magic: string, format: string])[] = [
  [0, 'QFI\xfb', 'qcow2'], [0, 'KDMV', 'vmdk'], [0, 'QED\0', 'qed'], [0, 'vhdxfile', 'vhdx'], [0, 'conectix', 'vpc'], [0, 'LUKS\xba\xbe', 'luks'], [64, '\x7f\x10\xda\xbe', 'vdi'],
];

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;

function latin(data: Uint8Array): string {
  return String.fromCharCode(...data);
}

export function* probeFormat(fd: number): Call<string> {
  const head = yield* readAt(fd, 0, 512);
  for (const [at, magic, format] of SIGNATURES) if (latin(head.subarray(at, at + magic.length)) === magic) return format;
  return 'raw';
}

/** Opens an image and, unless told otherwise, what it is based on. Throws ImageError. */
export function* openDisk(path: string, options: OpenOptions = {}): Call<Disk> {
  if (options.format !== undefined && !FORMATS.includes(options.format)) throw new ImageError(`Could not open '${path}': Unknown driver '${options.format}'`);
  const fd = yield* openFile(path, options);
  try {
    return yield* diskOf(path, fd, options);
  } catch (error) {
    yield* sys('close', fd);
    throw error;
  }
}

function* diskOf(path: string, fd: number, options: OpenOptions): Call<Disk> {
  const format = options.format ?? (yield* probeFormat(fd));
  if (format !== 'raw' && format !== 'qcow2') throw new ImageError(`Could not open '${path}': not modelled: image format '${format}'`);
  const disk: Disk = { path, format, fd, size: 0, qcow2: null, backing: null, probed: options.format === undefined };
  if (format === 'raw') {
    disk.size = Math.ceil((yield* sys('fstat', fd)).size / 512) * 512;
    return disk;
  }
  try {
    disk.qcow2 = yield* openQcow2(fd);
  } catch (error) {
    if (error instanceof ImageError) throw new ImageError(`Could not open '${path}': ${error.message}`);
    throw error;
  }
  const { header } = disk.qcow2;
  disk.size = header.size;
  if (header.backingFile && !options.alone) {
    disk.backing = yield* inside(path, openDisk(besides(path, header.backingFile), { ...(header.backingFormat === null ? {} : { format: header.backingFormat }), ...(options.share ? { share: true } : {}) }));
  }
  return disk;
}

function* inside(path: string, opening: Call<Disk>): Call<Disk> {
  try {
    return yield* opening;
  } catch (error) {
    if (error instanceof ImageError) throw new ImageError(`Could not open '${path}': Could not open backing file: ${error.message}`);
    throw error;
  }
}

/** A name in an image's header is relative to the image. */
export function besides(path: string, name: string): string {
  return name.startsWith('/') || !path.includes('/') ? name : path.slice(0, path.lastIndexOf('/') + 1) + name;
}

function* openFile(path: string, options: OpenOptions): Call<number> {
  let fd: number;
  try {
    fd = yield* sys('openat', AT_FDCWD, path, options.write ? O_RDWR : O_RDONLY);
    const kind = (yield* sys('fstat', fd)).mode & S_IFMT;
    if (kind === 0o040000) throw new SysError('EISDIR');
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    if (error.errno === 'EISDIR') throw new ImageError(`Could not open '${path}': 'file' driver requires '${path}' to be a regular file`);
    throw new ImageError(`Could not open '${path}': Could not open '${path}': ${strerror(error)}`);
  }
  if (options.share) return fd;
  const locked = yield* attempt(sys('flock', fd, (options.write ? LOCK_EX : LOCK_SH) | LOCK_NB), -1, 'EAGAIN');
  if (locked === 0) return fd;
  yield* sys('close', fd);
  throw new ImageError(`Could not open '${path}': Failed to get ${options.write ? '' : 'shared '}"write" lock\nIs another process using the image [${path}]?`);
}

export function* closeDisk(disk: Disk): Call<void> {
  for (let at: Disk | null = disk; at; at = at.backing) yield* sys('close', at.fd);
}

/** `n` bytes of the virtual disk. */
export function* readDisk(disk: Disk | null, offset: number, n: number): Call<Uint8Array> {
  if (!disk || offset >= disk.size) return new Uint8Array(n);
  if (!disk.qcow2) return yield* readAt(disk.fd, offset, n);
  const out = new Uint8Array(n);
  const { backing } = disk;
  yield* fillFrom(disk.qcow2, offset, out.subarray(0, Math.min(n, disk.size - offset)), (at, count) => readDisk(backing, at, count));
  return out;
}

export function* writeDisk(disk: Disk, offset: number, data: Uint8Array): Call<void> {
  if (!disk.qcow2) return yield* writeAt(disk.fd, offset, data);
  const size = clusterSize(disk.qcow2);
  const { backing } = disk;
  for (let done = 0; done < data.length; ) {
    const n = Math.min(data.length - done, size - ((offset + done) % size));
    yield* writeCluster(disk.qcow2, offset + done, data.subarray(done, done + n), (at, count) => readDisk(backing, at, count));
    done += n;
  }
}

/** A piece of the virtual disk of one kind, and in which image of the chain it is (0 is this one). */
export interface Piece {
  length: number;
  depth: number;
  present: boolean;
  zero: boolean;
  data: boolean;
  /** In the file; null when it has no place of its own. */
  at: number | null;
  compressed: boolean;
  disk: Disk;
}

export function* pieceAt(disk: Disk, offset: number, max: number, depth = 0): Call<Piece> {
  const rest = Math.min(max, disk.size - offset);
  if (rest <= 0) return { length: max, depth, present: false, zero: true, data: false, at: null, compressed: false, disk };
  if (!disk.qcow2) return yield* rawPiece(disk, offset, rest, depth);
  const extent = yield* extentOf(disk.qcow2, offset);
  const length = Math.min(extent.length, rest);
  if (extent.kind === 'none') {
    if (disk.backing) return yield* pieceAt(disk.backing, offset, length, depth + 1);
    return { length, depth, present: false, zero: true, data: false, at: null, compressed: false, disk };
  }
  const data = extent.kind !== 'zero';
  return { length, depth, present: true, zero: !data, data, at: extent.kind === 'data' ? extent.at : null, compressed: extent.kind === 'compressed', disk };
}

function* rawPiece(disk: Disk, offset: number, rest: number, depth: number): Call<Piece> {
  const data = yield* attempt(sys('lseek', disk.fd, offset, SEEK_DATA), Number.POSITIVE_INFINITY, 'ENXIO');
  const isData = data <= offset;
  const end = isData ? yield* attempt(sys('lseek', disk.fd, offset, SEEK_HOLE), offset + rest, 'ENXIO') : data;
  const { size } = yield* sys('fstat', disk.fd);
  const length = Math.max(1, Math.min(rest, (end >= size ? offset + rest : end) - offset));
  return { length, depth, present: true, zero: !isData, data: isData, at: offset, compressed: false, disk };
}

export function isZero(data: Uint8Array): boolean {
  for (const byte of data) if (byte !== 0) return false;
  return true;
}

