/** qemu-img info, map and measure. Source: qemu-img(1). */
import { sys } from '../../../kernel/sys.ts';
import { lastValue, type Options } from '../../lib/args.ts';
import type { Call } from '../../lib/http.ts';
import { isoSeconds } from '../../lib/clock.ts';
import { Failed, print } from '../../lib/io.ts';
import { clusterSize, type Snapshot } from './clusters.ts';
import { besides, closeDisk, type Disk, openDisk, type OpenOptions, type Piece, pieceAt } from './disk.ts';
import { type Header, ImageError } from './format.ts';
import { readList } from './create.ts';
import { l1Needed } from './qcow2.ts';
import { human, optionsOf, sizeOf, Usage } from './sizes.ts';

export function openingOf(o: Options): OpenOptions {
  const format = lastValue(o, 'f');
  return { ...(format === undefined ? {} : { format }), ...(o.on.has('force-share') ? { share: true } : {}) };
}

export function oneName(o: Options): string {
  const [name, ...more] = o.words;
  if (name === undefined || more.length > 0) throw new Usage('Expecting one image file name');
  return name;
}

/** --output: json or not. */
export function asJson(o: Options): boolean {
  const output = lastValue(o, 'output') ?? 'human';
  if (output !== 'human' && output !== 'json') throw new Failed('--output must be used with human or json as argument.');
  return output === 'json';
}

export function* info(argv: readonly string[]): Call<number> {
  const o = optionsOf('f= U/force-share output= backing-chain object= image-opts', argv);
  const json = asJson(o);
  const parts: string[] = [];
  const opening = openingOf(o);
  let next: { path: string; opening: OpenOptions } | null = { path: oneName(o), opening };
  while (next) {
    const disk: Disk = yield* openDisk(next.path, { ...next.opening, alone: true });
    const bytes = (yield* sys('fstat', disk.fd)).blocks * 512;
    parts.push(json ? shownJson(disk, bytes) : inWords(disk, bytes));
    yield* closeDisk(disk);
    const header: Header | undefined = disk.qcow2?.header;
    const share = o.on.has('force-share') ? { share: true } : {};
    next = o.on.has('backing-chain') && header?.backingFile ? { path: besides(disk.path, header.backingFile), opening: { ...share, ...(header.backingFormat === null ? {} : { format: header.backingFormat }) } } : null;
  }
  if (!json) yield* print(parts.join('\n'));
  else yield* print(o.on.has('backing-chain') ? `[\n${parts.map((part) => part.replace(/^/gm, '    ')).join(',\n')}\n]\n` : `${parts[0]!}\n`);
  return 0;
}

function inWords(disk: Disk, bytes: number): string {
  let out = `image: ${disk.path}\nfile format: ${disk.format}\nvirtual size: ${human(disk.size)} (${disk.size} bytes)\ndisk size: ${human(bytes)}\n`;
  const q = disk.qcow2;
  if (!q) return out;
  const { header } = q;
  out += `cluster_size: ${clusterSize(q)}\n`;
  if (header.backingFile) {
    const full = besides(disk.path, header.backingFile);
    out += `backing file: ${header.backingFile}${full === header.backingFile ? '' : ` (actual path: ${full})`}\n`;
    if (header.backingFormat !== null) out += `backing file format: ${header.backingFormat}\n`;
  }
  if (q.snapshots.length > 0) out += snapshotTable(q.snapshots);
  out += `Format specific information:\n    compat: ${header.version === 2 ? '0.10' : '1.1'}\n    compression type: ${header.compression}\n`;
  if (header.version === 3) out += `    lazy refcounts: ${(header.compatible & 1) === 1}\n`;
  out += `    refcount bits: ${2 ** header.refcountOrder}\n`;
  if (header.version === 3) out += `    corrupt: ${(header.incompatible & 2) !== 0}\n    extended l2: ${(header.incompatible & 16) !== 0}\n`;
  return out;
}

export function snapshotTable(snapshots: readonly Snapshot[]): string {
  const row = (cells: readonly string[]): string => `${cells[0]!.padEnd(9)} ${cells[1]!.padEnd(16)} ${cells[2]!.padStart(8)}${cells[3]!.padStart(20)}${cells[4]!.padStart(13)}${cells[5]!.padStart(11)}\n`;
  return `Snapshot list:\n${row(['ID', 'TAG', 'VM SIZE', 'DATE', 'VM CLOCK', 'ICOUNT'])}${snapshots.map((s) => row([s.id, s.name, human(s.vmStateSize), stamp(s.dateSec), clock(s.vmClockNsec), String(s.icount)])).join('')}`;
}

const two = (n: number): string => String(n).padStart(2, '0');

const stamp = (seconds: number): string => isoSeconds(seconds * 1e9).slice(0, 19).replace('T', ' ');

function clock(ns: number): string {
  const seconds = Math.floor(ns / 1e9);
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}.${String(Math.floor((ns % 1e9) / 1e6)).padStart(3, '0')}`;
}

/** The order of the fields is that of QEMU's dictionaries. */
function shownJson(disk: Disk, bytes: number): string {
  const fields: Record<string, unknown> = {};
  const q = disk.qcow2;
  if (q && q.snapshots.length > 0) {
    fields.snapshots = q.snapshots.map((s) => ({
      icount: s.icount, 'vm-clock-nsec': s.vmClockNsec % 1e9, name: s.name, 'date-sec': s.dateSec, 'date-nsec': s.dateNsec, 'vm-clock-sec': Math.floor(s.vmClockNsec / 1e9), id: s.id, 'vm-state-size': s.vmStateSize,
    }));
  }
  if (q?.header.backingFormat && q.header.backingFile) fields['backing-filename-format'] = q.header.backingFormat;
  fields['virtual-size'] = disk.size;
  fields.filename = disk.path;
  if (q) fields['cluster-size'] = clusterSize(q);
  fields.format = disk.format;
  fields['actual-size'] = bytes;
  if (q) fields['format-specific'] = { type: 'qcow2', data: specific(q.header) };
  if (q?.header.backingFile) {
    fields['full-backing-filename'] = besides(disk.path, q.header.backingFile);
    fields['backing-filename'] = q.header.backingFile;
  }
  fields['dirty-flag'] = q !== null && (q.header.incompatible & 1) === 1;
  return JSON.stringify(fields, null, 4);
}

function specific(h: Header): Record<string, unknown> {
  if (h.version === 2) return { compat: '0.10', 'compression-type': h.compression, 'refcount-bits': 16 };
  return { compat: '1.1', 'compression-type': h.compression, 'lazy-refcounts': (h.compatible & 1) === 1, 'refcount-bits': 2 ** h.refcountOrder, corrupt: (h.incompatible & 2) !== 0, 'extended-l2': (h.incompatible & 16) !== 0 };
}

// ---- map

export function* map(argv: readonly string[]): Call<number> {
  const o = optionsOf('f= U/force-share output= s/start-offset= l/max-length= object= image-opts', argv);
  const json = asJson(o);
  const disk = yield* openDisk(oneName(o), openingOf(o));
  const start = sizeOf(lastValue(o, 'start-offset') ?? '0');
  const end = Math.min(disk.size, start + sizeOf(lastValue(o, 'max-length') ?? '8E'));
  const lines: string[] = [];
  if (!json) yield* print('Offset          Length          Mapped to       File\n');
  for (let at = start; at < end; ) {
    const piece = yield* joined(disk, at, end);
    if (json) lines.push(mapJson(at, piece));
    else if (piece.data && piece.compressed) throw new ImageError('File contains external, encrypted or compressed clusters.');
    else if (piece.data) yield* print(`${hex(at)}${hex(piece.length)}${hex(piece.at ?? 0)}${piece.disk.path}\n`);
    at += piece.length;
  }
  if (json) yield* print(`[${lines.join(',\n')}]\n`);
  yield* closeDisk(disk);
  return 0;
}

const hex = (n: number): string => (n === 0 ? '0' : `0x${n.toString(16)}`).padEnd(16);

/** Pieces that continue each other, as one. */
export function* joined(disk: Disk, from: number, end: number): Call<Piece> {
  const first = yield* pieceAt(disk, from, end - from);
  for (let at = from + first.length; at < end; at = from + first.length) {
    const next = yield* pieceAt(disk, at, end - at);
    const follows = next.at === (first.at === null ? null : first.at + first.length);
    if (!follows || next.depth !== first.depth || next.present !== first.present || next.zero !== first.zero || next.data !== first.data) break;
    first.length += next.length;
  }
  return first;
}

function mapJson(at: number, piece: Piece): string {
  const place = piece.at === null ? '' : `, "offset": ${piece.at}`;
  return `{ "start": ${at}, "length": ${piece.length}, "depth": ${piece.depth}, "present": ${piece.present}, "zero": ${piece.zero}, "data": ${piece.data}${place}}`;
}

// ---- measure

export function* measure(argv: readonly string[]): Call<number> {
  const o = optionsOf('f= U/force-share O= o= l= output= size= object= image-opts', argv);
  const json = asJson(o);
  const sizeWord = lastValue(o, 'size');
  if (o.words.length > 1 || (sizeWord === undefined) === (o.words.length === 0)) throw new Failed(sizeWord !== undefined && o.words.length > 0 ? '--size N cannot be used together with a filename.' : 'Either --size N or one filename must be specified.');
  const format = lastValue(o, 'O') ?? 'raw';
  if (format !== 'raw' && format !== 'qcow2') throw new Failed(`not modelled: measure of format '${format}'`);
  const options = new Map<string, string>();
  for (const list of o.values.get('o') ?? []) readList(list, options);
  let [size, data] = [sizeOf(sizeWord ?? '0'), 0];
  const cluster = sizeOf(options.get('cluster_size') ?? '65536');
  if (sizeWord === undefined) {
    const disk = yield* openDisk(o.words[0]!, openingOf(o));
    size = disk.size;
    data = yield* usedClusters(disk, cluster);
    yield* closeDisk(disk);
  }
  const meta = format === 'raw' ? 0 : metadataBytes(size, cluster, Number(options.get('refcount_bits') ?? 16));
  const round = (n: number): number => Math.ceil(n / cluster) * cluster;
  const required = format === 'raw' ? size : meta + data;
  const full = format === 'raw' ? size : meta + round(size);
  const bitmaps = format === 'qcow2' && sizeWord === undefined;
  if (json) yield* print(`{\n${bitmaps ? '    "bitmaps": 0,\n' : ''}    "required": ${required},\n    "fully-allocated": ${full}\n}\n`);
  else yield* print(`required size: ${required}\nfully allocated size: ${full}\n${bitmaps ? 'bitmaps size: 0\n' : ''}`);
  return 0;
}

function* usedClusters(disk: Disk, cluster: number): Call<number> {
  let bytes = 0;
  for (let at = 0; at < disk.size; ) {
    const piece = yield* joined(disk, at, disk.size);
    if (piece.data) bytes += Math.ceil((at + piece.length) / cluster) * cluster - Math.max(Math.floor(at / cluster) * cluster, 0);
    at += piece.length;
  }
  return bytes;
}

/** Header, tables and counts of an image with everything allocated. */
function metadataBytes(size: number, cluster: number, refcountBits: number): number {
  const round = (n: number): number => Math.ceil(n / cluster) * cluster;
  const clusters = Math.ceil(size / cluster);
  const l2 = Math.ceil(Math.max(clusters, 0) / (cluster / 8)) * cluster;
  const l1 = round(8 * l1Needed({ clusterBits: Math.log2(cluster), incompatible: 0 } as Header, size));
  const others = cluster + l1 + l2 + clusters * cluster;
  const perBlock = (cluster * 8) / refcountBits;
  let [blocks, table] = [0, 0];
  for (let last = -1; last !== blocks + table; ) {
    last = blocks + table;
    blocks = Math.ceil((others / cluster + blocks + table) / perBlock);
    table = Math.ceil((8 * blocks) / cluster);
  }
  return cluster + l1 + l2 + (blocks + table) * cluster;
}

