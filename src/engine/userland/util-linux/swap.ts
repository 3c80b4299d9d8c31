/** mkswap, swapon, swapoff: a file made to hold pages, taken into use, and given back. Source: mkswap(8), swapon(8) of util-linux 2.41. Left out: devices, fstab's order, labels to name areas. */
import { AT_FDCWD, O_RDONLY, O_RDWR, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { bytes, text } from '../../sim/text.ts';
import { BadOption, lastValue, parseOptions } from '../lib/args.ts';
import { attempt, statOf, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { render, rowOf } from './columns.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';

const PAGE = 4096;
const LEAST = 10;
const MAGIC = 'SWAPSPACE2';
const FLAG_PREFER = 0x8000;

function size(n: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = n;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const tenth = Math.floor(value * 10 + 0.5) / 10;
  return `${Number.isInteger(tenth) ? tenth : tenth.toFixed(1)} ${units[unit]}`;
}

function* opened(name: string, path: string, flags: number): Call<number> {
  try {
    return yield* sys('openat', AT_FDCWD, path, flags);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`cannot open ${path}: ${strerror(error)}`, name === 'mkswap' ? 1 : 255);
  }
}

/** Sixteen bytes as 8-4-4-4-12 hexadecimal digits. */
const uuidText = (raw: Uint8Array): string => [...raw].map((one) => one.toString(16).padStart(2, '0')).join('').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');

function* freshUuid(): Call<Uint8Array> {
  const fd = yield* sys('openat', AT_FDCWD, '/dev/urandom', O_RDONLY);
  const raw = yield* sys('read', fd, 16);
  yield* sys('close', fd);
  raw[6] = (raw[6]! & 0x0f) | 0x40;
  raw[8] = (raw[8]! & 0x3f) | 0x80;
  return raw;
}

export const mkswap = command(function* (argv) {
  const o = parseOptions('c/check f/force q/quiet p/pagesize= L/label= v/swapversion= U/uuid= e/endianness= o/offset= s/size= F/file verbose lock? V/version h/help', argv.slice(1));
  const path = o.words[0];
  if (path === undefined) throw new BadOption('Nowhere to set up swap on?');
  if (o.on.has('file') || o.on.has('size')) throw new Failed('not modelled: --file, --size; write the file with dd first');
  const fd = yield* opened('mkswap', path, O_RDWR);
  const stat = yield* sys('fstat', fd);
  const mode = stat.mode & 0o7777;
  if (mode & 0o7077 & ~0o0000 && mode & 0o077) yield* complain(`mkswap: ${path}: insecure permissions ${mode.toString(8).padStart(4, '0')}, fix with: chmod 0600 ${path}\n`);
  const pages = Math.floor(stat.size / PAGE);
  if (pages < LEAST) throw new Failed(`error: swap area needs to be at least ${(LEAST * PAGE) / 1024} KiB`);
  if (stat.blocks * 512 < stat.size) {
    yield* complain(`\nmkswap: ${path} contains holes or other unsupported extents.\n        This swap file can be rejected by kernel on swap activation!\n        Use --verbose for more details.\n\n`);
  }
  const label = lastValue(o, 'label') ?? '';
  const given = lastValue(o, 'uuid');
  if (given !== undefined && !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(given)) throw new Failed('error: parsing UUID failed');
  const uuid = given === undefined ? yield* freshUuid() : Uint8Array.from(given.replaceAll('-', '').match(/../g)!, (pair) => Number.parseInt(pair, 16));
  const head = new Uint8Array(PAGE);
  const view = new DataView(head.buffer);
  view.setUint32(1024, 1, true);
  view.setUint32(1028, pages - 1, true);
  head.set(uuid, 1036);
  head.set(bytes(label).subarray(0, 16), 1052);
  head.set(bytes(MAGIC), PAGE - MAGIC.length);
  yield* sys('pwrite64', fd, head, 0);
  yield* sys('fsync', fd);
  yield* sys('close', fd);
  const room = (pages - 1) * PAGE;
  if (!o.on.has('quiet')) yield* print(`Setting up swapspace version 1, size = ${size(pages * PAGE)} (${room} bytes)\n${label ? `LABEL=${label}` : 'no label'}, UUID=${uuidText(uuid)}\n`);
  return 0;
});

interface Area {
  name: string;
  type: string;
  size: number;
  used: number;
  priority: number;
}

function* areas(): Call<Area[]> {
  const rows = ((yield* tryRead('/proc/swaps')) ?? '').split('\n').slice(1).filter(Boolean);
  return rows.map((row) => row.trim().split(/\s+/)).map(([name, type, total, used, priority]) => ({ name: name!, type: type!, size: Number(total) * 1024, used: Number(used) * 1024, priority: Number(priority) }));
}

/** "64M", "0B". */
function short(n: number): string {
  const units = ['B', 'K', 'M', 'G', 'T'];
  let value = n;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const tenth = Math.round(value * 10) / 10;
  return `${tenth}${units[unit]}`;
}

function* header(path: string): Call<Uint8Array | null> {
  const fd = yield* attempt(sys('openat', AT_FDCWD, path, O_RDONLY), -1);
  if (fd < 0) return null;
  const head = yield* sys('pread64', fd, PAGE, 0);
  yield* sys('close', fd);
  return head;
}

function* show(wanted: string, plain: { bytes: boolean; headings: boolean; raw: boolean }): Call<void> {
  const all = yield* areas();
  if (all.length === 0) return;
  const cells: Record<string, { right: boolean; of: (area: Area, head: Uint8Array | null) => string }> = {
    NAME: { right: false, of: (a) => a.name }, TYPE: { right: false, of: (a) => a.type }, SIZE: { right: true, of: (a) => (plain.bytes ? String(a.size + PAGE) : short(a.size + PAGE)) },
    USED: { right: true, of: (a) => (plain.bytes ? String(a.used) : short(a.used)) }, PRIO: { right: true, of: (a) => String(a.priority) },
    UUID: { right: false, of: (_a, head) => (head ? uuidText(head.subarray(1036, 1052)) : '') }, LABEL: { right: false, of: (_a, head) => (head ? text(head.subarray(1052, 1068)).replace(/\0+$/, '') : '') },
  };
  const names = wanted.split(',').map((one) => one.toUpperCase());
  for (const one of names) if (!cells[one]) throw new Failed(`unknown column: ${one.toLowerCase()}`);
  const rows: string[][] = [];
  for (const area of all) {
    const head = names.includes('UUID') || names.includes('LABEL') ? yield* header(area.name) : null;
    rows.push(names.map((one) => cells[one]!.of(area, head)));
  }
  const columns = names.map((name) => ({ name, ...(cells[name]!.right ? { align: 'right' as const } : {}) }));
  const table = rows.map((row) => rowOf(Object.fromEntries(names.map((name, i) => [name, row[i]!]))));
  yield* print(render(table, columns, null, { headings: plain.headings, style: plain.raw ? 'raw' : 'table', title: 'swap' }));
}

export const swapon = command(function* (argv) {
  const o = parseOptions('a/all d/discard? e/ifexists f/fixpgsz o/options= p/priority= s/summary show? noheadings raw bytes v/verbose L= U= T/fstab= V/version h/help', argv.slice(1));
  if (o.on.has('summary')) {
    if ((yield* areas()).length > 0) yield* print((yield* tryRead('/proc/swaps')) ?? '');
    return 0;
  }
  if (o.on.has('show') || (o.words.length === 0 && !o.on.has('all'))) {
    yield* show(lastValue(o, 'show') ?? 'NAME,TYPE,SIZE,USED,PRIO', { bytes: o.on.has('bytes'), headings: !o.on.has('noheadings'), raw: o.on.has('raw') });
    return 0;
  }
  const priority = lastValue(o, 'priority') ?? /(?:^|,)pri=(-?\d+)/.exec(lastValue(o, 'options') ?? '')?.[1];
  const paths = o.on.has('all') ? yield* listed() : o.words;
  let status = 0;
  for (const path of paths) {
    const failed = yield* take(path, priority === undefined ? 0 : FLAG_PREFER | Math.max(0, Number(priority)), o.on.has('verbose'));
    if (failed) status = 255;
  }
  return status;
});

/** The swap lines of /etc/fstab that are not in use yet. */
function* listed(): Call<string[]> {
  const table = yield* tryRead('/etc/fstab');
  if (table === null) throw new Failed('failed to parse /etc/fstab: No such file or directory', 255);
  const used = new Set((yield* areas()).map((one) => one.name));
  return table.split('\n').map((line) => line.trim().split(/\s+/)).filter((f) => f[2] === 'swap' && !f[0]!.startsWith('#') && !(f[3] ?? '').split(',').includes('noauto') && !used.has(f[0]!)).map((f) => f[0]!);
}

function* full(path: string): Call<string> {
  return path.startsWith('/') ? path : `${(yield* sys('getcwd')).replace(/\/$/, '')}/${path}`;
}

function* take(given: string, flags: number, verbose: boolean): Call<boolean> {
  const path = yield* full(given);
  const say = function* (message: string): Call<true> {
    yield* complain(`swapon: ${message}\n`);
    return true;
  };
  if (verbose) yield* print(`swapon ${path}\n`);
  const stat = yield* statOf(path);
  if (!stat) return yield* say(`cannot open ${path}: No such file or directory`);
  const mode = stat.mode & 0o7777;
  if (mode & 0o077) yield* complain(`swapon: ${path}: insecure permissions ${mode.toString(8).padStart(4, '0')}, 0600 suggested.\n`);
  if (stat.blocks * 512 < stat.size) return yield* say(`${path}: skipping - it appears to have holes.`);
  const head = yield* header(path);
  if (!head || head.length < PAGE || text(head.subarray(PAGE - MAGIC.length)) !== MAGIC) return yield* say(`${path}: read swap header failed`);
  if (verbose) {
    const pages = new DataView(head.buffer, head.byteOffset).getUint32(1028, true);
    yield* complain(`swapon: ${path}: found signature [pagesize=${PAGE}, signature=swap]\nswapon: ${path}: pagesize=${PAGE}, swapsize=${(pages + 1) * PAGE}, devsize=${stat.size}\n`);
  }
  try {
    yield* sys('swapon', path, flags);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return yield* say(`${path}: swapon failed: ${strerror(error)}`);
  }
  return false;
}

export const swapoff = command(function* (argv) {
  const o = parseOptions('a/all v/verbose L= U= V/version h/help', argv.slice(1));
  const paths = o.on.has('all') ? (yield* areas()).map((one) => one.name) : o.words;
  if (paths.length === 0 && !o.on.has('all')) throw new BadOption('bad usage');
  let status = 0;
  for (const given of paths) {
    if (o.on.has('verbose')) yield* print(`swapoff ${given}\n`);
    try {
      yield* sys('swapoff', given);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      yield* complain(`swapoff: ${given}: swapoff failed: ${strerror(error)}\n`);
      status = error.errno === 'ENOMEM' ? 2 : 4;
    }
  }
  return status;
});
