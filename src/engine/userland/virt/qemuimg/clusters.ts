/**
 * The clusters of an open qcow2 file: reference counts in blocks under a two-level table, allocation of the first free run,
 * growth of the tables themselves. Tables are written through; a new one is written whole.
 * Source: QEMU docs/interop/qcow2.txt, "Host cluster management".
 */
import { sys } from '../../../kernel/sys.ts';
import { type Call } from '../../lib/http.ts';
import { type Header, headerBytes, ImageError } from './format.ts';

export interface Qcow2 {
  fd: number;
  header: Header;
  l1: bigint[];
  refTable: bigint[];
  /** L2 tables and refcount blocks by their offset in the file. */
  tables: Map<number, DataView>;
  snapshots: Snapshot[];
  /** Below this cluster nothing is free. */
  firstFree: number;
}

export interface Snapshot {
  id: string;
  name: string;
  l1Offset: number;
  l1Size: number;
  dateSec: number;
  dateNsec: number;
  vmClockNsec: number;
  vmStateSize: number;
  diskSize: number;
  icount: number;
}

export const clusterSize = (q: Qcow2): number => 2 ** q.header.clusterBits;

/** Reads `count` bytes; what lies past the end is zero. */
export function* readAt(fd: number, offset: number, count: number): Call<Uint8Array> {
  const out = new Uint8Array(count);
  for (let done = 0; done < count; ) {
    const some = yield* sys('pread64', fd, Math.min(count - done, 1 << 20), offset + done);
    if (some.length === 0) break;
    out.set(some, done);
    done += some.length;
  }
  return out;
}

export function* writeAt(fd: number, offset: number, data: Uint8Array): Call<void> {
  for (let done = 0; done < data.length; ) done += yield* sys('pwrite64', fd, data.subarray(done, done + (1 << 20)), offset + done);
}

export function wordsOf(data: Uint8Array): bigint[] {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return Array.from({ length: data.length >> 3 }, (_, n) => view.getBigUint64(8 * n));
}

export function bytesOf(words: readonly bigint[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(8 * words.length));
  for (const [n, word] of words.entries()) view.setBigUint64(8 * n, word);
  return new Uint8Array(view.buffer);
}

export function* writeHeader(q: Qcow2): Call<void> {
  yield* writeAt(q.fd, 0, headerBytes(q.header));
}

/** The table cluster at this offset. */
export function* tableAt(q: Qcow2, offset: number): Call<DataView> {
  const known = q.tables.get(offset);
  if (known) return known;
  const data = yield* readAt(q.fd, offset, clusterSize(q));
  const view = new DataView(data.buffer);
  q.tables.set(offset, view);
  return view;
}

/** A new table cluster, all zero, or a copy. */
export function* newTable(q: Qcow2, offset: number, copy?: DataView): Call<DataView> {
  const data = copy ? new Uint8Array(copy.buffer).slice() : new Uint8Array(clusterSize(q));
  yield* writeAt(q.fd, offset, data);
  const view = new DataView(data.buffer);
  q.tables.set(offset, view);
  return view;
}

export function* setEntry(q: Qcow2, offset: number, at: number, value: bigint): Call<void> {
  const table = yield* tableAt(q, offset);
  table.setBigUint64(at, value);
  yield* writeAt(q.fd, offset + at, new Uint8Array(table.buffer, at, 8));
}

// ---- reference counts

/** Clusters that one refcount block describes. */
export const perBlock = (q: Qcow2): number => 2 ** (q.header.clusterBits + 3 - q.header.refcountOrder);

export function countIn(block: DataView, order: number, n: number): number {
  if (order < 3) return (block.getUint8(n >> (3 - order)) >> ((n & ((8 >> order) - 1)) << order)) & ((1 << (1 << order)) - 1);
  if (order === 3) return block.getUint8(n);
  if (order === 4) return block.getUint16(2 * n);
  return order === 5 ? block.getUint32(4 * n) : Number(block.getBigUint64(8 * n));
}

export function setCountIn(block: DataView, order: number, n: number, value: number): void {
  if (order < 3) {
    const at = n >> (3 - order);
    const shift = (n & ((8 >> order) - 1)) << order;
    block.setUint8(at, (block.getUint8(at) & ~(((1 << (1 << order)) - 1) << shift)) | (value << shift));
  } else if (order === 3) block.setUint8(n, value);
  else if (order === 4) block.setUint16(2 * n, value);
  else if (order === 5) block.setUint32(4 * n, value);
  else block.setBigUint64(8 * n, BigInt(value));
}

export function blockOffset(q: Qcow2, cluster: number): number {
  return Number((q.refTable[Math.floor(cluster / perBlock(q))] ?? 0n) & ~511n);
}

export function* refcountOf(q: Qcow2, cluster: number): Call<number> {
  const block = blockOffset(q, cluster);
  return block === 0 ? 0 : countIn(yield* tableAt(q, block), q.header.refcountOrder, cluster % perBlock(q));
}

/** Sets one count where its block exists. */
export function* putRefcount(q: Qcow2, cluster: number, value: number): Call<void> {
  const offset = blockOffset(q, cluster);
  const block = yield* tableAt(q, offset);
  const { refcountOrder: order } = q.header;
  const n = cluster % perBlock(q);
  setCountIn(block, order, n, value);
  const width = Math.max(1, 2 ** (order - 3));
  const at = Math.floor((n * 2 ** order) / 8);
  yield* writeAt(q.fd, offset + at, new Uint8Array(block.buffer, at, width));
}

/** Adds to the counts of `clusters` clusters; a cluster whose count becomes 0 is free. */
export function* addRefcounts(q: Qcow2, first: number, clusters: number, by: number): Call<void> {
  for (let n = first; n < first + clusters; n++) {
    if (blockOffset(q, n) === 0) yield* addBlock(q, n);
    const count = (yield* refcountOf(q, n)) + by;
    if (count < 0 || count >= 2 ** 2 ** q.header.refcountOrder) throw new ImageError('Invalid argument');
    yield* putRefcount(q, n, count);
    if (count === 0) {
      if (n < q.firstFree) q.firstFree = n;
      q.tables.delete(n * clusterSize(q));
    }
  }
}

/** A refcount block for a cluster that has none: in the range that it describes it counts itself. */
function* addBlock(q: Qcow2, cluster: number): Call<void> {
  const index = Math.floor(cluster / perBlock(q));
  if (index >= q.refTable.length) yield* growRefTable(q, index + 1);
  if (blockOffset(q, cluster) !== 0) return;
  const place = yield* freeRun(q, 1, cluster);
  yield* newTable(q, place * clusterSize(q));
  yield* linkBlock(q, index, place);
  yield* addRefcounts(q, place, 1, 1);
}

function* linkBlock(q: Qcow2, index: number, place: number): Call<void> {
  q.refTable[index] = BigInt(place * clusterSize(q));
  yield* writeAt(q.fd, q.header.refTableOffset + 8 * index, bytesOf([q.refTable[index]!]));
}

/** A larger refcount table behind everything, with a block that describes it and itself. */
function* growRefTable(q: Qcow2, entries: number): Call<void> {
  const size = clusterSize(q);
  const clusters = Math.ceil((8 * Math.ceil(entries * 1.5)) / size);
  const start = Math.ceil(entries - 1) * perBlock(q);
  const old = { offset: q.header.refTableOffset, clusters: q.header.refTableClusters };
  while (q.refTable.length < (clusters * size) / 8) q.refTable.push(0n);
  q.refTable[entries - 1] = BigInt(start * size);
  q.header.refTableOffset = (start + 1) * size;
  q.header.refTableClusters = clusters;
  yield* newTable(q, start * size);
  yield* writeAt(q.fd, q.header.refTableOffset, bytesOf(q.refTable));
  yield* writeHeader(q);
  yield* addRefcounts(q, start, 1 + clusters, 1);
  yield* addRefcounts(q, old.offset / size, old.clusters, -1);
}

/** The first run of free clusters; `taken` is spoken for. */
function* freeRun(q: Qcow2, clusters: number, taken = -1): Call<number> {
  let start = q.firstFree;
  for (let n = start; n < start + clusters; n++) {
    if (n === taken || (yield* refcountOf(q, n)) !== 0) start = n + 1;
  }
  return start;
}

/** Allocates clusters in one piece; their offset. */
export function* allocate(q: Qcow2, clusters: number): Call<number> {
  for (;;) {
    const start = yield* freeRun(q, clusters);
    let missing = -1;
    for (let n = start; n < start + clusters && missing < 0; n++) if (blockOffset(q, n) === 0) missing = n;
    if (missing >= 0) {
      yield* addBlock(q, missing);
      continue;
    }
    yield* addRefcounts(q, start, clusters, 1);
    if (start === q.firstFree) q.firstFree = start + clusters;
    return start * clusterSize(q);
  }
}

export function* release(q: Qcow2, offset: number, clusters: number): Call<void> {
  yield* addRefcounts(q, offset / clusterSize(q), clusters, -1);
}
