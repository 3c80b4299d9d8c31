/** qemu-img convert, dd and compare: the bytes of one disk into another image, zeros left out. Source: qemu-img(1). */
import { lastValue } from '../../lib/args.ts';
import { exists } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { Failed, print } from '../../lib/io.ts';
import { viewSnapshot } from './snapshots.ts';
import { clusterSize } from './clusters.ts';
import { checkNames, makeImage, readList } from './create.ts';
import { closeDisk, type Disk, FORMATS, isZero, openDisk, pieceAt, readDisk, writeDisk } from './disk.ts';
import { openingOf } from './info.ts';
import { writeCompressed } from './qcow2.ts';
import { optionsOf, sizeOf, Usage } from './sizes.ts';

const PART = 2 << 20;

export function* convert(argv: readonly string[]): Call<number> {
  const o = optionsOf('f= O= o= B= F= l= S= t= T= m= r= c p q n C W U/force-share object= image-opts target-image-opts target-is-zero bitmaps salvage', argv);
  const options = new Map<string, string>();
  for (const list of o.values.get('o') ?? []) readList(list, options);
  if (o.words.length < 2) throw new Failed('Must specify image file name');
  if (o.words.length > 2) throw new Failed('not modelled: several images into one');
  const [from, to] = o.words as [string, string];
  const format = lastValue(o, 'O') ?? 'raw';
  const source = yield* openDisk(from, openingOf(o));
  const tag = lastValue(o, 'l');
  if (tag !== undefined) {
    if (!source.qcow2) throw new Failed("Failed to load snapshot: Can't find snapshot");
    source.size = yield* viewSnapshot(source.qcow2, tag.replace(/^snapshot\.(id|name)=/, ''));
  }
  if (!FORMATS.includes(format)) throw new Failed(`Unknown file format '${format}'`);
  if (format !== 'raw' && format !== 'qcow2') throw new Failed(`not modelled: image format '${format}'`);
  const compress = o.on.has('c');
  if (compress && format === 'raw') throw new Failed('Compression not supported for this file format');
  if (lastValue(o, 'B') !== undefined) options.set('backing_file', lastValue(o, 'B')!);
  if (lastValue(o, 'F') !== undefined) options.set('backing_fmt', lastValue(o, 'F')!);
  if (!o.on.has('n')) {
    if (!options.has('size')) options.set('size', String(source.size));
    checkNames(to, format, options);
    if (options.has('backing_file') && !(yield* exists(options.get('backing_file')!))) throw new Failed(`Could not open '${options.get('backing_file')}': Could not open '${options.get('backing_file')}': No such file or directory`);
    yield* makeImage(to, format, options);
  }
  const target = yield* openDisk(to, { format, write: true });
  const sparse = sizeOf(lastValue(o, 'S') ?? '4k');
  const shows = o.on.has('p') && !o.on.has('q');
  if (shows) yield* print('    (0.00/100%)\r');
  yield* copyDisk(source, target, { compress, sparse, thin: target.backing !== null, fresh: !o.on.has('n') });
  if (shows) yield* print('    (100.00/100%)\r    (100.00/100%)\r\n');
  yield* closeDisk(target);
  yield* closeDisk(source);
  return 0;
}

interface Copy {
  compress: boolean;
  /** Bytes of zeros that are left out; 0 leaves out none. */
  sparse: number;
  /** What the source's first image does not hold comes from the backing image. */
  thin: boolean;
  /** The target was made for this: what is not written reads as zero. */
  fresh: boolean;
}

function* copyDisk(source: Disk, target: Disk, how: Copy): Call<void> {
  const unit = target.qcow2 ? clusterSize(target.qcow2) : Math.max(4096, how.sparse);
  const room = { at: 0, end: 0 };
  const end = Math.min(source.size, target.size);
  for (let at = 0; at < end; ) {
    const piece = yield* pieceAt(source, at, Math.min(end - at, PART));
    const skip = how.thin ? piece.depth > 0 || !piece.present : how.fresh && how.sparse > 0 && piece.zero;
    const whole = skip ? Math.floor((at + piece.length) / unit) * unit - at : 0;
    if (skip && (whole > 0 || at + piece.length >= end) && at % unit === 0) {
      at += whole > 0 ? whole : piece.length;
      continue;
    }
    const n = Math.min(unit - (at % unit), end - at);
    const data = yield* readDisk(source, at, n);
    if (how.compress && target.qcow2 && !isZero(data)) yield* writeCompressed(target.qcow2, at, padded(data, unit), room);
    else if (how.sparse === 0 || how.thin || !how.fresh || !isZero(data)) yield* writeDisk(target, at, data);
    at += n;
  }
}

function padded(data: Uint8Array, size: number): Uint8Array {
  if (data.length === size) return data;
  const out = new Uint8Array(size);
  out.set(data);
  return out;
}

export function* dd(argv: readonly string[]): Call<number> {
  const o = optionsOf('f= O= U/force-share object= image-opts', argv);
  const operands = new Map<string, string>();
  for (const word of o.words) {
    const cut = word.indexOf('=');
    const key = word.slice(0, Math.max(0, cut));
    if (!['if', 'of', 'bs', 'count', 'skip'].includes(key)) throw new Failed(cut < 0 ? `unrecognized operand ${word}` : `unrecognized operand ${key}`);
    operands.set(key, word.slice(cut + 1));
  }
  const number = (key: string, otherwise: number): number => {
    const word = operands.get(key);
    const value = word === undefined ? otherwise : sizeOf(word);
    if (Number.isFinite(value)) return value;
    throw new Failed(`Invalid ${key} specified. You may use k, M, G, T, P or E suffixes for\nqemu-img: kilobytes, megabytes, gigabytes, terabytes, petabytes and exabytes.`);
  };
  const bs = number('bs', 512);
  const format = lastValue(o, 'O') ?? 'raw';
  if (!operands.has('if') || !operands.has('of')) throw new Failed('Must specify both input and output files');
  const source = yield* openDisk(operands.get('if')!, openingOf(o));
  if (!FORMATS.includes(format)) throw new Failed(`Unknown file format '${format}'`);
  const start = Math.min(source.size, number('skip', 0) * bs);
  const length = Math.min(source.size - start, number('count', Number.MAX_SAFE_INTEGER / bs) * bs);
  yield* makeImage(operands.get('of')!, format, new Map([['size', String(length)]]));
  const target = yield* openDisk(operands.get('of')!, { format, write: true });
  for (let at = 0; at < length; at += PART) {
    const n = Math.min(PART, length - at);
    yield* writeDisk(target, at, yield* readDisk(source, start + at, n));
  }
  yield* closeDisk(target);
  yield* closeDisk(source);
  return 0;
}

export function* compare(argv: readonly string[]): Call<number> {
  const o = optionsOf('f= F= T= p q s U/force-share object= image-opts', argv);
  if (o.words.length !== 2) throw new Usage('Expecting two image file names');
  const share = o.on.has('force-share') ? { share: true } : {};
  const second = lastValue(o, 'F');
  const say = function* (line: string): Call<number> {
    if (!o.on.has('q')) yield* print(`${line}\n`);
    return 1;
  };
  const a = yield* openAs(o.words[0]!, openingOf(o));
  const b = yield* openAs(o.words[1]!, { ...share, ...(second === undefined ? {} : { format: second }) });
  if (o.on.has('s') && a.size !== b.size) return yield* say('Strict mode: Image size mismatch!');
  const end = Math.max(a.size, b.size);
  for (let at = 0; at < end; ) {
    const [one, two] = [yield* pieceAt(a, at, end - at), yield* pieceAt(b, at, end - at)];
    const n = Math.min(one.length, two.length, PART);
    if (o.on.has('s') && one.present !== two.present) return yield* say(`Strict mode: Offset ${at} block status mismatch!`);
    if (one.data || two.data) {
      const [left, right] = [yield* readDisk(a, at, n), yield* readDisk(b, at, n)];
      const differs = left.findIndex((byte, k) => byte !== right[k]);
      if (differs >= 0) return yield* say(`Content mismatch at offset ${at + differs - (differs % 512)}!`);
    }
    at += n;
  }
  if (!o.on.has('s') && a.size !== b.size && !o.on.has('q')) yield* print('Warning: Image size mismatch!\n');
  if (!o.on.has('q')) yield* print('Images are identical.\n');
  yield* closeDisk(a);
  yield* closeDisk(b);
  return 0;
}

/** compare's own troubles have status 2. */
function* openAs(path: string, options: Parameters<typeof openDisk>[1]): Call<Disk> {
  try {
    return yield* openDisk(path, options);
  } catch (error) {
    if (error instanceof Error && error.message.startsWith('Could not open')) throw new Failed(error.message, 2);
    throw error;
  }
}

