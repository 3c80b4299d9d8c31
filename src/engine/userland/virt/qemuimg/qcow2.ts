/**
 * Data of a qcow2 image: a guest offset goes through L1 and L2 to a cluster, a compressed piece, zeros or nothing (then the
 * backing image, if there is one). Writes allocate, copy what they do not cover, and break clusters that snapshots share.
 * With extended L2 entries 32 subclusters each have an allocated and a zero bit.
 * Source: QEMU docs/interop/qcow2.txt, "Cluster mapping".
 */
import { deflateSync, inflateSync } from 'fflate';
import { sys } from '../../../kernel/sys.ts';
import type { Call } from '../../lib/http.ts';
import {
  addRefcounts, allocate, bytesOf, clusterSize, newTable, type Qcow2, readAt, refcountOf, release, setEntry, tableAt, wordsOf, writeAt, writeHeader,
} from './clusters.ts';
import { COMPRESSED, COPIED, EXTENDED_L2, type Header, ImageError, OFFSET, parseHeader, ZERO } from './format.ts';
import { readSnapshots } from './snapshots.ts';

export function* openQcow2(fd: number): Call<Qcow2> {
  const start = yield* readAt(fd, 0, 4096);
  const header = parseHeader(yield* headOf(fd, start));
  const size = 2 ** header.clusterBits;
  const q: Qcow2 = { fd, header, l1: [], refTable: [], tables: new Map(), snapshots: [], firstFree: 0 };
  if (header.refTableClusters * size > 8 * 2 ** 20) throw new ImageError('Reference count table too large');
  if (8 * header.l1Size > 32 * 2 ** 20) throw new ImageError('Active L1 table too large');
  if (header.l1Size < l1Needed(header, header.size)) throw new ImageError('L1 table is too small');
  q.l1 = wordsOf(yield* readAt(fd, header.l1Offset, 8 * header.l1Size));
  q.refTable = wordsOf(yield* readAt(fd, header.refTableOffset, header.refTableClusters * size));
  q.snapshots = yield* readSnapshots(q);
  return q;
}

/** The header's cluster, cut where the file ends. */
function* headOf(fd: number, start: Uint8Array): Call<Uint8Array> {
  const { size } = yield* sys('fstat', fd);
  const bits = new DataView(start.buffer).getUint32(20);
  const whole = bits > 12 && bits <= 21 ? yield* readAt(fd, 0, 2 ** bits) : start;
  return whole.subarray(0, Math.min(whole.length, size));
}

export const entryBytes = (h: Header): number => (h.incompatible & EXTENDED_L2 ? 16 : 8);
export const perL2 = (h: Header): number => 2 ** h.clusterBits / entryBytes(h);
export const l1Needed = (h: Header, size: number): number => Math.ceil(size / (2 ** h.clusterBits * perL2(h)));

export interface Extent {
  kind: 'none' | 'zero' | 'data' | 'compressed';
  /** In the file, of 'data'. */
  at: number;
  length: number;
}

/** The L2 entry of a guest offset; `table` is 0 where there is no L2 table. */
export function* entryOf(q: Qcow2, offset: number): Call<{ table: number; at: number; entry: bigint; bitmap: bigint }> {
  const index = Math.floor(offset / clusterSize(q));
  const table = Number((q.l1[Math.floor(index / perL2(q.header))] ?? 0n) & OFFSET);
  const at = (index % perL2(q.header)) * entryBytes(q.header);
  if (table === 0) return { table, at, entry: 0n, bitmap: 0n };
  const view = yield* tableAt(q, table);
  return { table, at, entry: view.getBigUint64(at), bitmap: entryBytes(q.header) === 16 ? view.getBigUint64(at + 8) : 0n };
}

/** What lies at `offset`: up to the end of its cluster (or subcluster). */
export function* extentOf(q: Qcow2, offset: number): Call<Extent> {
  const size = clusterSize(q);
  const { entry, bitmap } = yield* entryOf(q, offset);
  const inside = offset % size;
  const at = Number(entry & OFFSET) + inside;
  if (entry & COMPRESSED) return { kind: 'compressed', at: 0, length: size - inside };
  if (entryBytes(q.header) === 16) {
    const n = BigInt(Math.floor((inside * 32) / size));
    const length = size / 32 - (inside % (size / 32));
    if ((bitmap >> n) & 1n) return { kind: 'data', at, length };
    return { kind: (bitmap >> (n + 32n)) & 1n ? 'zero' : 'none', at: 0, length };
  }
  if (entry & ZERO) return { kind: 'zero', at: 0, length: size - inside };
  return { kind: Number(entry & OFFSET) === 0 ? 'none' : 'data', at, length: size - inside };
}

/** A compressed cluster, whole. */
export function* readCompressed(q: Qcow2, entry: bigint): Call<Uint8Array> {
  if (q.header.compression !== 'zlib') throw new ImageError('not modelled: zstd-compressed clusters');
  const { at, length } = compressedPlace(q.header, entry);
  const data = yield* readAt(q.fd, at, length);
  return inflateSync(data, { out: new Uint8Array(clusterSize(q)) });
}

export function compressedPlace(h: Header, entry: bigint): { at: number; length: number } {
  const shift = BigInt(62 - (h.clusterBits - 8));
  const at = Number(entry & ((1n << shift) - 1n));
  const sectors = Number((entry >> shift) & ((1n << BigInt(h.clusterBits - 8)) - 1n)) + 1;
  return { at, length: sectors * 512 - (at % 512) };
}

/** The L2 table of a guest offset, made or unshared where needed. */
function* ownTable(q: Qcow2, offset: number): Call<number> {
  const n = Math.floor(offset / (clusterSize(q) * perL2(q.header)));
  const entry = q.l1[n]!;
  if (entry & COPIED) return Number(entry & OFFSET);
  const old = Number(entry & OFFSET);
  const place = yield* allocate(q, 1);
  yield* newTable(q, place, old === 0 ? undefined : yield* tableAt(q, old));
  yield* setL1(q, n, BigInt(place) | COPIED);
  if (old !== 0) yield* release(q, old, 1);
  return place;
}

export function* setL1(q: Qcow2, n: number, entry: bigint): Call<void> {
  q.l1[n] = entry;
  yield* writeAt(q.fd, q.header.l1Offset + 8 * n, bytesOf([entry]));
}

/** Drops what an entry refers to. */
export function* dropEntry(q: Qcow2, entry: bigint): Call<void> {
  const size = clusterSize(q);
  if (entry & COMPRESSED) {
    const { at, length } = compressedPlace(q.header, entry);
    const first = Math.floor(at / size);
    yield* addRefcounts(q, first, Math.floor((at + length - 1) / size) - first + 1, -1);
  } else if (Number(entry & OFFSET) > 0) yield* release(q, Number(entry & OFFSET), 1);
}

/** Writes within one cluster; `below` gives what the backing image shows of a part of it. */
export function* writeCluster(q: Qcow2, offset: number, data: Uint8Array, below: (at: number, n: number) => Call<Uint8Array>): Call<void> {
  const size = clusterSize(q);
  const start = offset - (offset % size);
  const { entry, bitmap } = yield* entryOf(q, offset);
  const full = entryBytes(q.header) === 8 ? !(entry & ZERO) : (bitmap & 0xffffffffn) === 0xffffffffn;
  if (entry & COPIED && full && !(entry & COMPRESSED)) {
    yield* writeAt(q.fd, Number(entry & OFFSET) + (offset % size), data);
    return;
  }
  let whole = data;
  if (data.length < size) {
    whole = new Uint8Array(size);
    yield* fillFrom(q, start, whole, below);
    whole.set(data, offset - start);
  }
  const table = yield* ownTable(q, offset);
  const keep = entry & COPIED && !(entry & COMPRESSED) && Number(entry & OFFSET) > 0;
  const place = keep ? Number(entry & OFFSET) : yield* allocate(q, 1);
  yield* writeAt(q.fd, place, whole);
  const { at } = yield* entryOf(q, offset);
  yield* setEntry(q, table, at, BigInt(place) | COPIED);
  if (entryBytes(q.header) === 16) yield* setEntry(q, table, at + 8, 0xffffffffn);
  if (!keep) yield* dropEntry(q, entry);
}

/** The cluster as the guest sees it. */
export function* fillFrom(q: Qcow2, start: number, out: Uint8Array, below: (at: number, n: number) => Call<Uint8Array>): Call<void> {
  for (let at = start; at < start + out.length; ) {
    const extent = yield* extentOf(q, at);
    const n = Math.min(extent.length, start + out.length - at);
    if (extent.kind === 'data') out.set(yield* readAt(q.fd, extent.at, n), at - start);
    else if (extent.kind === 'none') out.set(yield* below(at, n), at - start);
    else if (extent.kind === 'compressed') {
      const inside = at % clusterSize(q);
      out.set((yield* readCompressed(q, (yield* entryOf(q, at)).entry)).subarray(inside, inside + n), at - start);
    }
    at += n;
  }
}

/** Puts one whole cluster away compressed behind the last one; plain where that saves nothing. */
export function* writeCompressed(q: Qcow2, offset: number, cluster: Uint8Array, room: { at: number; end: number }): Call<void> {
  const size = clusterSize(q);
  const packed = deflateSync(cluster, { level: 6 });
  const zero = function* (_at: number, n: number): Call<Uint8Array> {
    return new Uint8Array(n);
  };
  if (packed.length >= size) return yield* writeCluster(q, offset, cluster, zero);
  if (room.at === 0 || room.at + packed.length > room.end) {
    const place = yield* allocate(q, 1);
    if (room.at === 0 || place !== room.end) room.at = place;
    else yield* addRefcounts(q, Math.floor(room.at / size), 1, 1);
    room.end = place + size;
  } else yield* addRefcounts(q, Math.floor(room.at / size), 1, 1);
  const sectors = Math.floor((room.at + packed.length - 1) / 512) - Math.floor(room.at / 512);
  yield* writeAt(q.fd, room.at, packed);
  const table = yield* ownTable(q, offset);
  const { at } = yield* entryOf(q, offset);
  yield* setEntry(q, table, at, (BigInt(sectors) << BigInt(62 - (q.header.clusterBits - 8))) | COMPRESSED | BigInt(room.at));
  room.at += packed.length;
}

/** Lets go of whole clusters from `from` to `to`. */
export function* discard(q: Qcow2, from: number, to: number): Call<void> {
  const size = clusterSize(q);
  for (let at = Math.ceil(from / size) * size; at < to; at += size) {
    const { table, at: place, entry } = yield* entryOf(q, at);
    if (table === 0 || entry === 0n) continue;
    const own = yield* ownTable(q, at);
    yield* setEntry(q, own, place, 0n);
    if (entryBytes(q.header) === 16) yield* setEntry(q, own, place + 8, 0n);
    yield* dropEntry(q, entry);
  }
}

/** Makes room in L1 for a disk of this size, in a new table. */
export function* growL1(q: Qcow2, entries: number): Call<void> {
  if (entries <= q.l1.length) return;
  const size = clusterSize(q);
  const old = { offset: q.header.l1Offset, clusters: Math.ceil((8 * q.l1.length) / size) };
  while (q.l1.length < entries) q.l1.push(0n);
  q.header.l1Offset = yield* allocate(q, Math.ceil((8 * entries) / size));
  q.header.l1Size = entries;
  yield* writeAt(q.fd, q.header.l1Offset, bytesOf(q.l1));
  yield* writeHeader(q);
  if (old.clusters > 0) yield* release(q, old.offset, old.clusters);
}

/** COPIED says that nobody else refers to the table or the cluster: set anew from the counts. */
export function* markCopied(q: Qcow2): Call<void> {
  const size = clusterSize(q);
  const alone = function* (offset: number): Call<bigint> {
    return (yield* refcountOf(q, offset / size)) === 1 ? COPIED : 0n;
  };
  for (const [n, word] of q.l1.entries()) {
    const table = Number(word & OFFSET);
    if (table === 0) continue;
    const mark = yield* alone(table);
    if ((word & COPIED) !== mark) yield* setL1(q, n, (word & ~COPIED) | mark);
    const view = yield* tableAt(q, table);
    for (let at = 0; at < size; at += entryBytes(q.header)) {
      const entry = view.getBigUint64(at);
      if (entry === 0n || entry & COMPRESSED || Number(entry & OFFSET) === 0) continue;
      const want = (entry & ~COPIED) | (yield* alone(Number(entry & OFFSET)));
      if (want !== entry) yield* setEntry(q, table, at, want);
    }
  }
}

/** Everything that a tree of tables refers to counts once more, or once less. */
export function* countTree(q: Qcow2, l1: readonly bigint[], by: number): Call<void> {
  for (const word of l1) {
    const table = Number(word & OFFSET);
    if (table === 0) continue;
    const view = yield* tableAt(q, table);
    for (let at = 0; at < clusterSize(q); at += entryBytes(q.header)) {
      const entry = view.getBigUint64(at);
      if (entry & COMPRESSED) {
        const { at: place, length } = compressedPlace(q.header, entry);
        const first = Math.floor(place / clusterSize(q));
        yield* addRefcounts(q, first, Math.floor((place + length - 1) / clusterSize(q)) - first + 1, by);
      } else if (Number(entry & OFFSET) > 0) yield* addRefcounts(q, Number(entry & OFFSET) / clusterSize(q), 1, by);
    }
    yield* addRefcounts(q, table / clusterSize(q), 1, by);
  }
}
