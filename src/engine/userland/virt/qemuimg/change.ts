/** qemu-img snapshot, resize, rebase and commit: what changes an image in place. Source: qemu-img(1). */
import { sys } from '../../../kernel/sys.ts';
import { lastValue } from '../../lib/args.ts';
import { nowNs } from '../../lib/clock.ts';
import type { Call } from '../../lib/http.ts';
import { complain, Failed, print } from '../../lib/io.ts';
import { allocate, bytesOf, clusterSize, type Qcow2, readAt, refcountOf, release, wordsOf, writeAt, writeHeader } from './clusters.ts';
import { makeRawRoom, preallocate } from './create.ts';
import { besides, closeDisk, type Disk, openDisk, pieceAt, readDisk, writeDisk } from './disk.ts';
import { ImageError } from './format.ts';
import { oneName, openingOf, snapshotTable } from './info.ts';
import { countTree, discard, growL1, l1Needed, markCopied } from './qcow2.ts';
import { optionsOf, sizeOf, Usage } from './sizes.ts';
import { writeSnapshots } from './snapshots.ts';

/** What QEMU says when it guessed raw and is about to write. */
export function* warnProbed(disk: Disk): Call<void> {
  if (disk.format !== 'raw' || !disk.probed) return;
  yield* complain(
    `WARNING: Image format was not specified for '${disk.path}' and probing guessed raw.\n         Automatically detecting the format is dangerous for raw images, write operations on block 0 will be restricted.\n         Specify the 'raw' format explicitly to remove the restrictions.\n`,
  );
}

// ---- snapshot

export function* snapshot(argv: readonly string[]): Call<number> {
  const o = optionsOf('l a= c= d= q U/force-share object= image-opts', argv);
  const name = oneName(o);
  const acts = ['l', 'a', 'c', 'd'].filter((key) => o.on.has(key));
  if (acts.length > 1) throw new Usage("Cannot mix '-l', '-a', '-c', '-d'");
  const act = acts[0] ?? '';
  const disk = yield* openDisk(name, { ...openingOf(o), write: act !== 'l' && act !== '', alone: true });
  if (act !== 'l' && act !== '') yield* warnProbed(disk);
  const tag = lastValue(o, act) ?? '';
  try {
    if (act === 'l') yield* print(disk.qcow2 && disk.qcow2.snapshots.length > 0 ? snapshotTable(disk.qcow2.snapshots) : '');
    else if (act === 'c') yield* createSnapshot(disk, tag);
    else if (act === 'a') yield* applySnapshot(disk, tag);
    else if (act === 'd') yield* deleteSnapshot(disk, tag);
  } finally {
    yield* closeDisk(disk);
  }
  return 0;
}

function* createSnapshot(disk: Disk, name: string): Call<void> {
  const q = disk.qcow2;
  if (!q) throw new Failed(`Could not create snapshot '${name}': -95 (Operation not supported)`);
  const size = clusterSize(q);
  const now = yield* nowNs();
  const l1Offset = q.l1.length === 0 ? 0 : yield* allocate(q, Math.ceil((8 * q.l1.length) / size));
  yield* writeAt(q.fd, l1Offset, bytesOf(q.l1));
  yield* countTree(q, q.l1, 1);
  yield* markCopied(q);
  yield* writeAt(q.fd, l1Offset, bytesOf(q.l1));
  const id = String(Math.max(0, ...q.snapshots.map((s) => Number.parseInt(s.id, 10) || 0)) + 1);
  yield* writeSnapshots(q, [
    ...q.snapshots,
    { id, name, l1Offset, l1Size: q.l1.length, dateSec: Math.floor(now / 1e9), dateNsec: Math.floor((now % 1e9) / 1000) * 1000, vmClockNsec: 0, vmStateSize: 0, diskSize: disk.size, icount: 0 },
  ]);
}

export function* applySnapshot(disk: Disk, name: string): Call<void> {
  const q = disk.qcow2;
  if (!q) throw new Failed(`Could not apply snapshot '${name}': -95 (Operation not supported)`);
  const wanted = q.snapshots.find((s) => s.id === name) ?? q.snapshots.find((s) => s.name === name);
  if (!wanted) throw new Failed(`Could not apply snapshot '${name}': Failed to load snapshot: No such file or directory`);
  const l1 = wordsOf(yield* readAt(q.fd, wanted.l1Offset, 8 * wanted.l1Size));
  yield* growL1(q, l1.length);
  yield* countTree(q, l1, 1);
  const old = [...q.l1];
  for (const n of q.l1.keys()) q.l1[n] = l1[n] ?? 0n;
  yield* writeAt(q.fd, q.header.l1Offset, bytesOf(q.l1));
  yield* countTree(q, old, -1);
  yield* markCopied(q);
  if (wanted.diskSize === 0 || wanted.diskSize === disk.size) return;
  disk.size = wanted.diskSize;
  q.header.size = wanted.diskSize;
  yield* writeHeader(q);
}

function* deleteSnapshot(disk: Disk, name: string): Call<void> {
  const q = disk.qcow2;
  const wanted = q?.snapshots.find((s) => s.name === name);
  if (!q || !wanted) throw new Failed(`Could not delete snapshot '${name}': snapshot not found`);
  const l1 = wordsOf(yield* readAt(q.fd, wanted.l1Offset, 8 * wanted.l1Size));
  yield* writeSnapshots(q, q.snapshots.filter((s) => s !== wanted));
  yield* countTree(q, l1, -1);
  if (l1.length > 0) yield* release(q, wanted.l1Offset, Math.ceil((8 * l1.length) / clusterSize(q)));
  yield* markCopied(q);
}

// ---- resize

const BAD_SIZE = "Parameter 'size' expects a non-negative number below 2^64\nOptional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\nand exabytes, respectively.\n";

export function* resize(argv: readonly string[]): Call<number> {
  const words = [...argv];
  const last = words.at(-1) ?? '';
  if (words.length === 0 || (words.length < 2 && !last.startsWith('-'))) throw new Usage('Not enough arguments');
  words.pop();
  const o = optionsOf('f= q/quiet shrink preallocation= object= image-opts', words);
  const name = oneName(o);
  const sign = last[0] === '+' ? 1 : last[0] === '-' ? -1 : 0;
  const amount = sizeOf(sign === 0 ? last : last.slice(1));
  if (!Number.isFinite(amount)) {
    yield* complain(`qemu-img: ${BAD_SIZE}`);
    return 1;
  }
  const disk = yield* openDisk(name, { ...openingOf(o), write: true });
  yield* warnProbed(disk);
  try {
    const to = Math.ceil((sign === 0 ? amount : disk.size + sign * amount) / 512) * 512;
    if (to <= 0) throw new Failed('New image size must be positive');
    if (to < disk.size && !o.on.has('shrink')) {
      throw new Failed("Use the --shrink option to perform a shrink operation.\nqemu-img: warning: Shrinking an image will delete all data beyond the shrunken image's end. Before performing such an operation, make sure there is no important data there.");
    }
    if (to < disk.size && o.on.has('preallocation')) throw new Failed('Preallocation can only be used for growing images');
    yield* setSize(disk, to, lastValue(o, 'preallocation') ?? 'off');
    if (!o.on.has('quiet')) yield* print('Image resized.\n');
  } finally {
    yield* closeDisk(disk);
  }
  return 0;
}

export function* setSize(disk: Disk, to: number, preallocation: string): Call<void> {
  const from = disk.size;
  disk.size = to;
  const q = disk.qcow2;
  if (!q) {
    yield* sys('ftruncate', disk.fd, to);
    if (preallocation === 'full' || preallocation === 'falloc') yield* makeRawRoom(disk.fd, from, to);
    return;
  }
  if (to < from) {
    yield* discard(q, to, from);
    yield* cutTail(q);
  } else yield* growL1(q, l1Needed(q.header, to));
  q.header.size = to;
  yield* writeHeader(q);
  if (preallocation !== 'off') yield* preallocate(q, from, to, preallocation);
}

/** The file ends where its last cluster in use does. */
function* cutTail(q: Qcow2): Call<void> {
  const size = clusterSize(q);
  let last = Math.ceil((yield* sys('fstat', q.fd)).size / size) - 1;
  while (last > 0 && (yield* refcountOf(q, last)) === 0) last--;
  if ((last + 1) * size < (yield* sys('fstat', q.fd)).size) yield* sys('ftruncate', q.fd, (last + 1) * size);
}

// ---- rebase, commit

export function* rebase(argv: readonly string[]): Call<number> {
  const o = optionsOf('f= F= b= u p q t= T= U/force-share object= image-opts', argv);
  const name = oneName(o);
  const base = lastValue(o, 'b');
  if (base === undefined && !o.on.has('u')) throw new Usage('Must specify backing file (-b) or use unsafe mode (-u)');
  const disk = yield* openDisk(name, { ...openingOf(o), write: true, alone: o.on.has('u') });
  try {
    if (!disk.qcow2) throw new Failed(`Could not change the backing file to '${base ?? ''}': Operation not supported`);
    if (!o.on.has('u')) yield* keepContents(disk, base!, lastValue(o, 'F'));
    const { header } = disk.qcow2;
    header.backingFile = base || null;
    header.backingFormat = base ? (lastValue(o, 'F') ?? null) : null;
    yield* writeHeader(disk.qcow2);
  } finally {
    yield* closeDisk(disk);
  }
  return 0;
}

/** What the old base showed and the new one does not is copied into the image. */
function* keepContents(disk: Disk, base: string, format: string | undefined): Call<void> {
  let below: Disk | null = null;
  try {
    if (base !== '') below = yield* openDisk(besides(disk.path, base), { share: true, ...(format === undefined ? {} : { format }) });
  } catch (error) {
    if (error instanceof ImageError) throw new Failed(`Could not open new backing file '${base}': ${error.message}`);
    throw error;
  }
  for (let at = 0; at < disk.size; ) {
    const piece = yield* pieceAt(disk, at, Math.min(disk.size - at, clusterSize(disk.qcow2!)));
    if (piece.depth > 0) {
      const mine = yield* readDisk(disk.backing, at, piece.length);
      const theirs = yield* readDisk(below, at, piece.length);
      if (mine.some((byte, n) => byte !== theirs[n])) yield* writeDisk(disk, at, mine);
    }
    at += piece.length;
  }
  if (below) yield* closeDisk(below);
}

export function* commit(argv: readonly string[]): Call<number> {
  const o = optionsOf('f= t= b= d p q r= object= image-opts', argv);
  const disk = yield* openDisk(oneName(o), { ...openingOf(o), write: true, alone: true });
  const header = disk.qcow2?.header;
  if (!disk.qcow2 || !header?.backingFile) throw new Failed('Image does not have a backing file');
  const path = besides(disk.path, header.backingFile);
  if (lastValue(o, 'b') !== undefined && lastValue(o, 'b') !== header.backingFile) throw new Failed('not modelled: commit to another image than the next one (-b)');
  const base = yield* openDisk(path, { write: true, ...(header.backingFormat === null ? {} : { format: header.backingFormat }) });
  if (base.size < disk.size) yield* setSize(base, disk.size, 'off');
  for (let at = 0; at < disk.size; ) {
    const piece = yield* pieceAt(disk, at, disk.size - at);
    if (piece.present) yield* writeDisk(base, at, yield* readDisk(disk, at, piece.length));
    at += piece.length;
  }
  if (!o.on.has('d')) {
    yield* discard(disk.qcow2, 0, disk.size);
    yield* cutTail(disk.qcow2);
  }
  yield* closeDisk(base);
  yield* closeDisk(disk);
  if (!o.on.has('q')) yield* print('Image committed.\n');
  return 0;
}

