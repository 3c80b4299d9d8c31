/** qemu-img create: a new image, its options read and shown as QEMU does. Source: qemu-img(1), QEMU docs/interop/qcow2.txt. */
import { AT_FDCWD, O_CREAT, O_RDWR, O_TRUNC, SysError } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { lastValue } from '../../lib/args.ts';
import type { Call } from '../../lib/http.ts';
import { Failed, print, strerror } from '../../lib/io.ts';
import { addRefcounts, allocate, clusterSize, type Qcow2, setEntry, writeAt, writeHeader } from './clusters.ts';
import { besides, closeDisk, FORMATS, openDisk, probeFormat } from './disk.ts';
import { COPIED, EXTENDED_L2, type Header, ImageError } from './format.ts';
import { entryBytes, entryOf, growL1, l1Needed, perL2, setL1 } from './qcow2.ts';
import { optionsOf, sizeOf, Usage } from './sizes.ts';

export interface CreateOptions {
  format: string;
  size: number;
  options: Map<string, string>;
}

const QCOW2_ORDER = 'cluster_size extended_l2 preallocation compression_type size compat backing_file backing_fmt lazy_refcounts refcount_bits'.split(' ');
const QCOW2_DEFAULTS: Readonly<Record<string, string>> = { cluster_size: '65536', extended_l2: 'off', compression_type: 'zlib', lazy_refcounts: 'off', refcount_bits: '16' };
const RAW_ORDER = ['size', 'preallocation', 'extent_size_hint', 'nocow'];

const QCOW2_HELP = `Supported qcow2 options:
  backing_file=<str>     - File name of a base image
  backing_fmt=<str>      - Image format of the base image
  cluster_size=<size>    - qcow2 cluster size
  compat=<str>           - Compatibility level (v2 [0.10] or v3 [1.1])
  compression_type=<str> - Compression method used for image cluster compression
  extended_l2=<bool (on/off)> - Extended L2 tables
  lazy_refcounts=<bool (on/off)> - Postpone refcount updates
  preallocation=<str>    - Preallocation mode (allowed values: off, metadata, falloc, full)
  refcount_bits=<num>    - Width of a reference count entry in bits
  size=<size>            - Virtual disk size
`;

export function* create(argv: readonly string[]): Call<number> {
  const o = optionsOf('f= F= b= o= q u 6 object=', argv);
  const format = lastValue(o, 'f') ?? 'raw';
  const options = new Map<string, string>();
  for (const list of o.values.get('o') ?? []) {
    if (list === 'help' || list === '?') return yield* help(format);
    readList(list, options);
  }
  const [name, sizeWord, ...more] = o.words;
  if (name === undefined) throw new Usage('Expecting image file name');
  const size = sizeWord === undefined ? null : sizeArgument(sizeWord);
  if (more.length > 0) throw new Usage(`Unexpected argument: ${more.at(-1)}`);
  knownFormat(name, format);
  checkNames(name, format, options);
  if (lastValue(o, 'b') !== undefined) {
    if (format === 'raw') throw new ImageError(`${name}: Backing file not supported for file format '${format}'`);
    options.set('backing_file', lastValue(o, 'b')!);
  }
  if (lastValue(o, 'F') !== undefined) {
    if (format === 'raw') throw new ImageError(`${name}: Backing format not supported for file format '${format}'`);
    options.set('backing_fmt', lastValue(o, 'F')!);
  }
  if (size !== null) options.set('size', String(size));
  yield* withBacking(name, options, o.on.has('u'));
  if (!options.has('size')) throw new ImageError(`${name}: Image creation needs a size parameter`);
  if (!o.on.has('q')) yield* print(`Formatting '${name}', fmt=${format} ${shown(format, options)}\n`);
  yield* makeImage(name, format, options);
  return 0;
}

export function readList(list: string, options: Map<string, string>): void {
  for (const pair of list.split(',')) {
    const cut = pair.indexOf('=');
    options.set(cut < 0 ? pair : pair.slice(0, cut), cut < 0 ? 'on' : pair.slice(cut + 1));
  }
}

function* help(format: string): Call<number> {
  if (format === 'qcow2') yield* print(QCOW2_HELP);
  else if (format === 'raw') yield* print('Supported raw options:\n  size=<size>            - Virtual disk size\n');
  else knownFormat(format, format);
  return 0;
}

export function sizeArgument(word: string): number {
  const size = sizeOf(word);
  if (Number.isNaN(size)) throw new Failed('Invalid image size specified. You may use k, M, G, T, P or E suffixes for\nqemu-img: kilobytes, megabytes, gigabytes, terabytes, petabytes and exabytes.');
  if (size >= 2 ** 63) throw new Failed('Invalid image size specified. Must be between 0 and 9223372036854775807.');
  return size;
}

function knownFormat(name: string, format: string): void {
  if (!FORMATS.includes(format)) throw new ImageError(`${name}: Unknown file format '${format}'`);
  if (format !== 'raw' && format !== 'qcow2') throw new ImageError(`${name}: not modelled: image format '${format}'`);
}

export function checkNames(name: string, format: string, options: ReadonlyMap<string, string>): void {
  const known = format === 'raw' ? RAW_ORDER : QCOW2_ORDER;
  for (const key of options.keys()) if (!known.includes(key)) throw new ImageError(`${name}: Invalid parameter '${key}'`);
}

function shown(format: string, options: ReadonlyMap<string, string>): string {
  const all: Record<string, string> = { ...(format === 'qcow2' ? QCOW2_DEFAULTS : {}), ...Object.fromEntries(options) };
  all.cluster_size &&= String(sizeOf(all.cluster_size));
  return (format === 'raw' ? RAW_ORDER : QCOW2_ORDER).filter((key) => all[key] !== undefined).map((key) => `${key}=${all[key]}`).join(' ');
}

/** The backing image must open, unless -u; it gives the size that is not given. */
function* withBacking(name: string, options: Map<string, string>, unsafe: boolean): Call<void> {
  const file = options.get('backing_file');
  if (!file) return;
  if (file === name) throw new ImageError(`${name}: Error: Trying to create an image with the same filename as the backing file`);
  const format = options.get('backing_fmt');
  if (format !== undefined && !FORMATS.includes(format)) throw new ImageError(`${name}: Unknown backing file format '${format}'`);
  if (unsafe && options.has('size')) return;
  const path = besides(name, file);
  try {
    const disk = yield* openDisk(path, { share: true, ...(format === undefined ? {} : { format }) });
    if (!options.has('size')) options.set('size', String(disk.size));
    const guessed = format === undefined ? yield* probeFormat(disk.fd) : null;
    yield* closeDisk(disk);
    if (guessed !== null) throw new ImageError(`${name}: Backing file specified without backing format\nDetected format of ${guessed}.`);
  } catch (error) {
    if (!(error instanceof ImageError) || /without backing format/.test(error.message)) throw error;
    const own = error.message.replace(`Could not open '${path}': `, '');
    throw new ImageError(`${name}: ${own}\nCould not open backing image.`);
  }
}

/** Throws ImageError. The options are those of the format, `size` among them. */
export function* makeImage(name: string, format: string, options: ReadonlyMap<string, string>): Call<void> {
  const size = Math.ceil(Number(options.get('size')) / 512) * 512;
  const header = format === 'qcow2' ? headerFor(name, size, options) : null;
  let fd: number;
  try {
    fd = yield* sys('openat', AT_FDCWD, name, O_RDWR | O_CREAT | O_TRUNC, 0o644);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new ImageError(`${name}: Could not create '${name}': ${strerror(error)}`);
  }
  try {
    if (header) yield* makeQcow2(fd, header, size, options.get('preallocation') ?? 'off');
    else yield* makeRaw(fd, size, options.get('preallocation') ?? 'off');
  } finally {
    yield* sys('close', fd);
  }
}

/** The first block of a raw file is written, so that the file system's block size can be probed. */
function* makeRaw(fd: number, size: number, preallocation: string): Call<void> {
  yield* sys('ftruncate', fd, size);
  yield* makeRawRoom(fd, 0, preallocation === 'full' || preallocation === 'falloc' ? size : Math.min(size, 4096));
}

/** Blocks of zeros. */
export function* makeRawRoom(fd: number, from: number, to: number): Call<void> {
  for (let at = from; at < to; at += 1 << 20) yield* writeAt(fd, at, new Uint8Array(Math.min(1 << 20, to - at)));
}

const MODES = ['off', 'metadata', 'falloc', 'full'];

function headerFor(name: string, size: number, options: ReadonlyMap<string, string>): Header {
  const wrong = (message: string): never => {
    throw new ImageError(`${name}: ${message}`);
  };
  const on = (key: string): boolean => {
    const value = options.get(key) ?? 'off';
    if (!['on', 'off', 'yes', 'no', 'true', 'false'].includes(value)) wrong(`Parameter '${key}' expects 'on' or 'off'`);
    return ['on', 'yes', 'true'].includes(value);
  };
  const compat = options.get('compat') ?? 'v3';
  if (!['0.10', '1.1', 'v2', 'v3'].includes(compat)) wrong(`Invalid parameter 'compat'`);
  const version = compat === '0.10' || compat === 'v2' ? 2 : 3;
  const cluster = sizeOf(options.get('cluster_size') ?? '65536');
  const extended = on('extended_l2');
  if (cluster < 512 || cluster > 2 ** 21 || !Number.isInteger(Math.log2(cluster))) wrong('Cluster size must be a power of two between 512 and 2048k');
  if (extended && cluster < 16384) wrong('Extended L2 entries are only supported with cluster sizes of at least 16384 bytes');
  if (version === 2 && extended) wrong('Extended L2 entries are only supported with compatibility level 1.1 and above (use version=v3 or greater)');
  if (version === 2 && on('lazy_refcounts')) wrong('Lazy refcounts only supported with compatibility level 1.1 and above (use version=v3 or greater)');
  const bits = Number(options.get('refcount_bits') ?? '16');
  if (!Number.isInteger(Math.log2(bits)) || bits > 64) wrong('Refcount width must be a power of two and may not exceed 64 bits');
  if (version === 2 && bits !== 16) wrong('Different refcount widths than 16 bits require compatibility level 1.1 or above (use version=v3 or greater)');
  const mode = options.get('preallocation') ?? 'off';
  if (!MODES.includes(mode)) wrong(`Invalid parameter '${mode}'`);
  const compression = options.get('compression_type') ?? 'zlib';
  if (compression !== 'zlib' && compression !== 'zstd') wrong(`Invalid parameter '${compression}'`);
  const header: Header = {
    version, backingFile: options.get('backing_file') || null, backingFormat: options.get('backing_fmt') ?? null, clusterBits: Math.log2(cluster), size: 0, l1Size: 0,
    l1Offset: 0, refTableOffset: cluster, refTableClusters: 1, snapshotCount: 0, snapshotsOffset: 0,
    incompatible: (extended ? EXTENDED_L2 : 0) | (compression === 'zstd' ? 8 : 0), compatible: on('lazy_refcounts') ? 1 : 0, autoclear: 0, refcountOrder: Math.log2(bits),
    compression: compression as 'zlib' | 'zstd',
  };
  if (8 * l1Needed(header, size) > 32 * 2 ** 20) wrong(`The image size is too large for file format 'qcow2' (try using a larger cluster size)`);
  return header;
}

/** Header, refcount table and one block, then the L1 table at the size. */
function* makeQcow2(fd: number, header: Header, size: number, preallocation: string): Call<void> {
  const cluster = 2 ** header.clusterBits;
  yield* writeAt(fd, 0, new Uint8Array(3 * cluster));
  const q: Qcow2 = { fd, header, l1: [], refTable: new Array<bigint>(cluster / 8).fill(0n), tables: new Map(), snapshots: [], firstFree: 0 };
  q.refTable[0] = BigInt(2 * cluster);
  yield* writeAt(fd, cluster, wordBytes(q.refTable[0]));
  yield* addRefcounts(q, 0, 3, 1);
  q.firstFree = 3;
  yield* growL1(q, l1Needed(header, size));
  header.size = size;
  yield* writeHeader(q);
  if (preallocation !== 'off') yield* preallocate(q, 0, size, preallocation);
}

function wordBytes(word: bigint): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, word);
  return new Uint8Array(view.buffer);
}

/** Every cluster gets its place; with falloc and full also its blocks, else the file only becomes as long. */
export function* preallocate(q: Qcow2, from: number, to: number, mode: string): Call<void> {
  const cluster = clusterSize(q);
  let end = 0;
  for (let at = from - (from % cluster); at < to; at += cluster) {
    const n = Math.floor(at / (cluster * perL2(q.header)));
    if (q.l1[n] === 0n) {
      const table = yield* allocate(q, 1);
      yield* writeAt(q.fd, table, new Uint8Array(cluster));
      yield* setL1(q, n, BigInt(table) | COPIED);
    }
    const found = yield* entryOf(q, at);
    if (found.entry !== 0n) continue;
    const place = yield* allocate(q, 1);
    yield* setEntry(q, found.table, found.at, BigInt(place) | COPIED);
    if (entryBytes(q.header) === 16) yield* setEntry(q, found.table, found.at + 8, 0xffffffffn);
    end = place + cluster;
    if (mode !== 'metadata') yield* writeAt(q.fd, place, new Uint8Array(cluster));
  }
  if (end > (yield* sys('fstat', q.fd)).size) yield* sys('ftruncate', q.fd, end);
}

