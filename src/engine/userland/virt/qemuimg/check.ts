/** qemu-img check: counts every reference in a qcow2 image anew and compares with what the refcount blocks say. Source: qemu-img(1). */
import { sys } from '../../../kernel/sys.ts';
import { lastValue } from '../../lib/args.ts';
import type { Call } from '../../lib/http.ts';
import { complain, Failed, print } from '../../lib/io.ts';
import { addRefcounts, clusterSize, perBlock, putRefcount, type Qcow2, readAt, refcountOf, tableAt, wordsOf } from './clusters.ts';
import { closeDisk, openDisk } from './disk.ts';
import { COMPRESSED, COPIED, OFFSET, ZERO } from './format.ts';
import { asJson, oneName, openingOf } from './info.ts';
import { compressedPlace, entryBytes, markCopied } from './qcow2.ts';
import { tableLength } from './snapshots.ts';
import { optionsOf, Usage } from './sizes.ts';

interface Found {
  references: Map<number, number>;
  total: number;
  allocated: number;
  compressed: number;
  fragmented: number;
  /** Where the next cluster would lie if nothing were fragmented. */
  next: number;
}

interface Verdict {
  corruptions: number;
  leaks: number;
  fixedCorruptions: number;
  fixedLeaks: number;
  end: number;
  found: Found;
}

export function* check(argv: readonly string[]): Call<number> {
  const o = optionsOf('f= U/force-share q/quiet r/repair= T= output= object= image-opts', argv);
  const json = asJson(o);
  const repair = lastValue(o, 'repair');
  if (repair !== undefined && repair !== 'leaks' && repair !== 'all') throw new Usage(`Unknown option value for -r (expecting 'leaks' or 'all'): ${repair}`);
  const quiet = o.on.has('quiet');
  const disk = yield* openDisk(oneName(o), { ...openingOf(o), alone: true, ...(repair === undefined ? {} : { write: true }) });
  if (!disk.qcow2) throw new Failed('This image format does not support checks', 63);
  let verdict = yield* examine(disk.qcow2, repair ?? null);
  if (repair !== undefined && (verdict.fixedCorruptions > 0 || verdict.fixedLeaks > 0)) {
    if (!json && !quiet) {
      yield* print(`The following inconsistencies were found and repaired:\n\n    ${verdict.fixedLeaks} leaked clusters\n    ${verdict.fixedCorruptions} corruptions\n\nDouble checking the fixed image now...\n`);
    }
    verdict = { ...(yield* examine(disk.qcow2, null)), fixedCorruptions: verdict.fixedCorruptions, fixedLeaks: verdict.fixedLeaks };
  }
  if (!quiet) yield* print(json ? verdictJson(disk.path, verdict) : verdictText(verdict));
  yield* closeDisk(disk);
  return verdict.corruptions > 0 ? 2 : verdict.leaks > 0 ? 3 : 0;
}

function verdictText(v: Verdict): string {
  let out = v.corruptions === 0 && v.leaks === 0 ? 'No errors were found on the image.\n' : '';
  if (v.corruptions > 0) out += `\n${v.corruptions} errors were found on the image.\nData may be corrupted, or further writes to the image may corrupt it.\n`;
  if (v.leaks > 0) out += `\n${v.leaks} leaked clusters were found on the image.\nThis means waste of disk space, but no harm to data.\n`;
  const { total, allocated, fragmented, compressed } = v.found;
  const percent = (n: number, of: number): string => (of === 0 ? 0 : (n * 100) / of).toFixed(2);
  if (total > 0 && allocated > 0) out += `${allocated}/${total} = ${percent(allocated, total)}% allocated, ${percent(fragmented, allocated)}% fragmented, ${percent(compressed, allocated)}% compressed clusters\n`;
  return `${out}Image end offset: ${v.end}\n`;
}

function verdictJson(path: string, v: Verdict): string {
  const fields: Record<string, unknown> = { 'image-end-offset': v.end, 'total-clusters': v.found.total, 'check-errors': 0 };
  if (v.corruptions > 0) fields.corruptions = v.corruptions;
  if (v.found.allocated > 0) fields['allocated-clusters'] = v.found.allocated;
  if (v.found.fragmented > 0) fields['fragmented-clusters'] = v.found.fragmented;
  if (v.found.compressed > 0) fields['compressed-clusters'] = v.found.compressed;
  if (v.leaks > 0) fields.leaks = v.leaks;
  if (v.fixedLeaks > 0) fields['leaks-fixed'] = v.fixedLeaks;
  if (v.fixedCorruptions > 0) fields['corruptions-fixed'] = v.fixedCorruptions;
  return `${JSON.stringify({ ...fields, filename: path, format: 'qcow2' }, null, 4)}\n`;
}

function* examine(q: Qcow2, repair: 'leaks' | 'all' | null): Call<Verdict> {
  const size = clusterSize(q);
  const found: Found = { references: new Map(), total: Math.ceil(q.header.size / size), allocated: 0, compressed: 0, fragmented: 0, next: 0 };
  const verdict: Verdict = { corruptions: 0, leaks: 0, fixedCorruptions: 0, fixedLeaks: 0, end: 0, found };
  refer(q, found, 0, size);
  yield* walkL1(q, found, q.l1, q.header.l1Offset, true);
  for (const s of q.snapshots) yield* walkL1(q, found, wordsOf(yield* readAt(q.fd, s.l1Offset, 8 * s.l1Size)), s.l1Offset, false);
  refer(q, found, q.header.snapshotsOffset, tableLength(q.snapshots));
  refer(q, found, q.header.refTableOffset, q.header.refTableClusters * size);
  for (const word of q.refTable) if (word !== 0n) refer(q, found, Number(word & ~511n), size);
  const clusters = Math.max(Math.ceil((yield* sys('fstat', q.fd)).size / size), ...[...q.refTable.keys()].filter((n) => q.refTable[n] !== 0n).map((n) => (n + 1) * perBlock(q)));
  yield* compare(q, verdict, clusters, null);
  if (repair !== null && verdict.corruptions + verdict.leaks > 0) {
    verdict.corruptions = 0;
    verdict.leaks = 0;
    yield* compare(q, verdict, clusters, repair);
    if (repair === 'all') yield* markCopied(q);
  } else yield* compareMarks(q, verdict);
  return verdict;
}

function refer(q: Qcow2, found: Found, offset: number, length: number): void {
  if (length <= 0) return;
  const size = clusterSize(q);
  for (let n = Math.floor(offset / size); n <= Math.floor((offset + length - 1) / size); n++) found.references.set(n, (found.references.get(n) ?? 0) + 1);
}

function* walkL1(q: Qcow2, found: Found, l1: readonly bigint[], offset: number, active: boolean): Call<void> {
  refer(q, found, offset, 8 * l1.length);
  for (const word of l1) {
    const table = Number(word & OFFSET);
    if (table === 0) continue;
    refer(q, found, table, clusterSize(q));
    const view = yield* tableAt(q, table);
    for (let at = 0; at < clusterSize(q); at += entryBytes(q.header)) walkEntry(q, found, view.getBigUint64(at), active);
  }
}

function walkEntry(q: Qcow2, found: Found, entry: bigint, active: boolean): void {
  const size = clusterSize(q);
  if (entry & COMPRESSED) {
    const { at, length } = compressedPlace(q.header, entry);
    refer(q, found, at, length);
    if (!active) return;
    found.allocated++;
    found.compressed++;
    found.fragmented++;
    return;
  }
  const place = Number(entry & OFFSET);
  if (place === 0) return;
  refer(q, found, place, size);
  if (!active || entry & ZERO) return;
  found.allocated++;
  if (found.next !== 0 && found.next !== place) found.fragmented++;
  found.next = place + size;
}

/** Says of every cluster what its count is and should be; repairs what it may. */
function* compare(q: Qcow2, v: Verdict, clusters: number, repair: 'leaks' | 'all' | null): Call<void> {
  let high = -1;
  for (let n = 0; n < clusters; n++) {
    const count = yield* refcountOf(q, n);
    const references = v.found.references.get(n) ?? 0;
    if (count > 0 || references > 0) high = n;
    if (count === references) continue;
    const bad = count < references;
    const fix = repair === 'all' || (repair === 'leaks' && !bad);
    yield* complain(`${fix ? 'Repairing' : bad ? 'ERROR' : 'Leaked'} cluster ${n} refcount=${count} reference=${references}\n`);
    if (fix) {
      yield* repairCount(q, n, references);
      if (bad) v.fixedCorruptions++;
      else v.fixedLeaks++;
    } else if (bad) v.corruptions++;
    else v.leaks++;
  }
  v.end = (high + 1) * clusterSize(q);
}

/** COPIED must say that a table or a cluster of the active disk is referred to once. */
function* compareMarks(q: Qcow2, v: Verdict): Call<void> {
  const size = clusterSize(q);
  for (const [n, word] of q.l1.entries()) {
    const table = Number(word & OFFSET);
    if (table === 0) continue;
    yield* compareMark(q, v, word, `L2 cluster: l1_index=${n} l1_entry`);
    const view = yield* tableAt(q, table);
    for (let at = 0; at < size; at += entryBytes(q.header)) {
      const entry = view.getBigUint64(at);
      if (!(entry & COMPRESSED) && Number(entry & OFFSET) > 0) yield* compareMark(q, v, entry, 'data cluster: l2_entry');
    }
  }
}

function* compareMark(q: Qcow2, v: Verdict, entry: bigint, what: string): Call<void> {
  const count = yield* refcountOf(q, Number(entry & OFFSET) / clusterSize(q));
  if ((count === 1) === ((entry & COPIED) !== 0n)) return;
  v.corruptions++;
  yield* complain(`ERROR OFLAG_COPIED ${what}=${entry.toString(16)} refcount=${count}\n`);
}

function* repairCount(q: Qcow2, cluster: number, references: number): Call<void> {
  if (q.refTable[Math.floor(cluster / perBlock(q))]) yield* putRefcount(q, cluster, references);
  else yield* addRefcounts(q, cluster, 1, references);
  q.firstFree = 0;
}
