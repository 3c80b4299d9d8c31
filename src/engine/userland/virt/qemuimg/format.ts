/**
 * The header of a qcow2 image and what it holds: read, checked and written, with its extensions (backing format, feature
 * names) and the backing file's name behind them. All numbers big-endian. Source: QEMU docs/interop/qcow2.txt.
 */
import { bytes, text } from '../../../sim/text.ts';

export class ImageError extends Error {}

export const MAGIC = 0x514649fb;
export const COPIED = 1n << 63n;
export const COMPRESSED = 1n << 62n;
export const ZERO = 1n;
/** Bits 9 to 55: an offset in the file. */
export const OFFSET = 0x00fffffffffffe00n;

export interface Header {
  version: 2 | 3;
  backingFile: string | null;
  backingFormat: string | null;
  clusterBits: number;
  size: number;
  l1Size: number;
  l1Offset: number;
  refTableOffset: number;
  refTableClusters: number;
  snapshotCount: number;
  snapshotsOffset: number;
  /** Bit 0 dirty, 1 corrupt, 2 external data, 3 compression type, 4 extended L2 entries. */
  incompatible: number;
  /** Bit 0: lazy refcounts. */
  compatible: number;
  autoclear: number;
  /** Bits of a refcount as a power of two. */
  refcountOrder: number;
  compression: 'zlib' | 'zstd';
}

export const EXTENDED_L2 = 16;
const BACKING_FORMAT = 0xe2792aca;
const FEATURE_NAMES = 0x6803f857;

const FEATURES: readonly (readonly [kind: number, bit: number, name: string])[] = [
  [0, 0, 'dirty bit'], [0, 1, 'corrupt bit'], [0, 2, 'external data file'], [0, 3, 'compression type'], [0, 4, 'extended L2 entries'],
  [1, 0, 'lazy refcounts'], [2, 0, 'bitmaps'], [2, 1, 'raw external data'],
];

/** Throws ImageError with what the real driver says. */
export function parseHeader(data: Uint8Array): Header {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (data.length < 4 || view.getUint32(0) !== MAGIC) throw new ImageError('Image is not in qcow2 format');
  const version = data.length < 8 ? 0 : view.getUint32(4);
  if (version !== 2 && version !== 3) throw new ImageError(`Unsupported qcow2 version ${version}`);
  if (data.length < 104) throw new ImageError('qcow2 header too short');
  const u64 = (at: number): number => Number(view.getBigUint64(at));
  const clusterBits = view.getUint32(20);
  if (clusterBits < 9 || clusterBits > 21) throw new ImageError(`Unsupported cluster size: 2^${clusterBits}`);
  const length = version === 2 ? 72 : view.getUint32(100);
  if (version === 3 && length < 104) throw new ImageError('qcow2 header too short');
  if (length > 2 ** clusterBits) throw new ImageError('qcow2 header exceeds cluster size');
  if (view.getUint32(32) > 0) throw new ImageError('not modelled: encrypted qcow2 images');
  const header: Header = {
    version, backingFile: null, backingFormat: null, clusterBits, size: u64(24), l1Size: view.getUint32(36), l1Offset: u64(40), refTableOffset: u64(48),
    refTableClusters: view.getUint32(56), snapshotCount: view.getUint32(60), snapshotsOffset: u64(64),
    incompatible: version === 2 ? 0 : u64(72), compatible: version === 2 ? 0 : u64(80), autoclear: version === 2 ? 0 : u64(88),
    refcountOrder: version === 2 ? 4 : view.getUint32(96), compression: version === 3 && length > 104 && data[104] === 1 ? 'zstd' : 'zlib',
  };
  if (header.refcountOrder > 6) throw new ImageError('Reference count entry width too large; may not exceed 64 bits');
  if (header.incompatible & 4) throw new ImageError('not modelled: qcow2 with an external data file');
  if (header.incompatible >= 32) throw new ImageError(`Unsupported qcow2 feature(s): Unknown incompatible feature: ${(header.incompatible & ~31).toString(16)}`);
  const at = u64(8);
  const nameLength = view.getUint32(16);
  if (at > 0 && nameLength > Math.min(1023, 2 ** clusterBits - at)) throw new ImageError('Backing file name too long');
  if (at > 0) header.backingFile = text(data.subarray(at, at + nameLength));
  header.backingFormat = findExtension(data, view, length, at || data.length);
  return header;
}

function findExtension(data: Uint8Array, view: DataView, from: number, end: number): string | null {
  for (let at = from; at + 8 <= Math.min(end, data.length); ) {
    const length = view.getUint32(at + 4);
    if (view.getUint32(at) === 0) return null;
    if (view.getUint32(at) === BACKING_FORMAT) return text(data.subarray(at + 8, at + 8 + length));
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return null;
}

/** The first bytes of the image; throws ImageError when they do not fit into a cluster. */
export function headerBytes(h: Header): Uint8Array {
  const length = h.version === 2 ? 72 : 112;
  const out = new Uint8Array(Math.max(4096, 2 ** h.clusterBits));
  const view = new DataView(out.buffer);
  const u64 = (at: number, value: number): void => view.setBigUint64(at, BigInt(value));
  view.setUint32(0, MAGIC);
  view.setUint32(4, h.version);
  view.setUint32(20, h.clusterBits);
  u64(24, h.size);
  view.setUint32(36, h.l1Size);
  u64(40, h.l1Offset);
  u64(48, h.refTableOffset);
  view.setUint32(56, h.refTableClusters);
  view.setUint32(60, h.snapshotCount);
  u64(64, h.snapshotsOffset);
  if (h.version === 3) {
    u64(72, h.incompatible);
    u64(80, h.compatible);
    u64(88, h.autoclear);
    view.setUint32(96, h.refcountOrder);
    view.setUint32(100, length);
    out[104] = h.compression === 'zstd' ? 1 : 0;
  }
  let at = length;
  const extension = (type: number, data: Uint8Array): void => {
    view.setUint32(at, type);
    view.setUint32(at + 4, data.length);
    out.set(data, at + 8);
    at += 8 + Math.ceil(data.length / 8) * 8;
  };
  if (h.backingFormat !== null) extension(BACKING_FORMAT, bytes(h.backingFormat));
  if (h.version === 3) extension(FEATURE_NAMES, featureTable());
  at += 8;
  if (h.backingFile !== null) {
    const name = bytes(h.backingFile);
    if (at + name.length > 2 ** h.clusterBits) throw new ImageError('Backing file name too long');
    out.set(name, at);
    u64(8, at);
    view.setUint32(16, name.length);
    at += name.length;
  }
  return out.subarray(0, at);
}

function featureTable(): Uint8Array {
  const out = new Uint8Array(48 * FEATURES.length);
  for (const [n, [kind, bit, name]] of FEATURES.entries()) {
    out[48 * n] = kind;
    out[48 * n + 1] = bit;
    out.set(bytes(name), 48 * n + 2);
  }
  return out;
}
