/** The table of internal snapshots in a qcow2 image. Source: QEMU docs/interop/qcow2.txt, "Snapshots". */
import { bytes, text } from '../../../sim/text.ts';
import type { Call } from '../../lib/http.ts';
import { allocate, clusterSize, type Qcow2, readAt, release, type Snapshot, wordsOf, writeAt, writeHeader } from './clusters.ts';
import { ImageError } from './format.ts';

export function* readSnapshots(q: Qcow2): Call<Snapshot[]> {
  const out: Snapshot[] = [];
  let at = q.header.snapshotsOffset;
  for (let n = 0; n < q.header.snapshotCount; n++) {
    const data = yield* readAt(q.fd, at, 40 + 1024 + 2048);
    const { snapshot, length } = parse(data);
    out.push(snapshot);
    at += length;
  }
  return out;
}

function parse(data: Uint8Array): { snapshot: Snapshot; length: number } {
  const view = new DataView(data.buffer);
  const extra = view.getUint32(36);
  const [idLength, nameLength] = [view.getUint16(12), view.getUint16(14)];
  const names = 40 + extra;
  const u64 = (at: number): number => Number(view.getBigUint64(at));
  return {
    length: Math.ceil((names + idLength + nameLength) / 8) * 8,
    snapshot: {
      id: text(data.subarray(names, names + idLength)), name: text(data.subarray(names + idLength, names + idLength + nameLength)), l1Offset: u64(0), l1Size: view.getUint32(8),
      dateSec: view.getUint32(16), dateNsec: view.getUint32(20), vmClockNsec: u64(24), vmStateSize: extra >= 8 ? u64(40) : view.getUint32(32),
      diskSize: extra >= 16 ? u64(48) : 0, icount: extra >= 24 ? u64(56) : 0,
    },
  };
}

function unparse(s: Snapshot): Uint8Array {
  const [id, name] = [bytes(s.id), bytes(s.name)];
  const out = new Uint8Array(Math.ceil((64 + id.length + name.length) / 8) * 8);
  const view = new DataView(out.buffer);
  const u64 = (at: number, value: number): void => view.setBigUint64(at, BigInt(value));
  u64(0, s.l1Offset);
  view.setUint32(8, s.l1Size);
  view.setUint16(12, id.length);
  view.setUint16(14, name.length);
  view.setUint32(16, s.dateSec);
  view.setUint32(20, s.dateNsec);
  u64(24, s.vmClockNsec);
  view.setUint32(32, s.vmStateSize);
  view.setUint32(36, 24);
  u64(40, s.vmStateSize);
  u64(48, s.diskSize);
  u64(56, s.icount);
  out.set(id, 64);
  out.set(name, 64 + id.length);
  return out;
}

export const tableLength = (snapshots: readonly Snapshot[]): number => snapshots.reduce((sum, s) => sum + unparse(s).length, 0);

/** The table in new clusters, then the header that points at it, then the old ones are free. */
export function* writeSnapshots(q: Qcow2, snapshots: Snapshot[]): Call<void> {
  const size = clusterSize(q);
  const old = { offset: q.header.snapshotsOffset, clusters: Math.ceil(tableLength(q.snapshots) / size) };
  q.header.snapshotsOffset = snapshots.length === 0 ? 0 : yield* allocate(q, Math.ceil(tableLength(snapshots) / size));
  let at = q.header.snapshotsOffset;
  for (const one of snapshots) {
    const data = unparse(one);
    yield* writeAt(q.fd, at, data);
    at += data.length;
  }
  q.header.snapshotCount = snapshots.length;
  q.snapshots = snapshots;
  yield* writeHeader(q);
  if (old.clusters > 0) yield* release(q, old.offset, old.clusters);
}

/** Shows the disk as it was at a snapshot, in memory only. Throws ImageError. */
export function* viewSnapshot(q: Qcow2, name: string): Call<number> {
  const wanted = q.snapshots.find((s) => s.id === name) ?? q.snapshots.find((s) => s.name === name);
  if (!wanted) throw new ImageError("Failed to load snapshot: Can't find snapshot");
  q.l1 = wordsOf(yield* readAt(q.fd, wanted.l1Offset, 8 * wanted.l1Size));
  return wanted.diskSize || q.header.size;
}
