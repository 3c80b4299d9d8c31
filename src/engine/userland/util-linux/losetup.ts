/** losetup of util-linux 2.41, and what mount(8) needs of loop devices. Source: losetup(8), loop(4). Left out: --direct-io, --loop-ref, partitions. */
import {
  AT_FDCWD, LOOP_CLR_FD, LOOP_CONFIGURE, LOOP_CTL_GET_FREE, LOOP_GET_STATUS64, LOOP_SET_CAPACITY, type LoopConfig, type LoopStatus, O_RDONLY, O_RDWR, type Stat, SysError,
} from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { realPath } from '../coreutils/paths.ts';
import { parseSize } from '../coreutils/sizes.ts';
import { BadOption, lastValue, type Options, parseOptions } from '../lib/args.ts';
import { attempt, entriesAt, statOf } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';
import { type ColumnSpec, render, rowOf } from './columns.ts';
import { mountOver, readMounts } from './mounts.ts';

/** A device that is tied to a file. */
export interface BoundLoop extends LoopStatus {
  device: string;
}

/** Those in use, in order. */
export function* boundLoops(): Call<BoundLoop[]> {
  const out: BoundLoop[] = [];
  const names = (yield* entriesAt('/dev')).map((one) => one.name).filter((name) => /^loop\d+$/.test(name)).sort((a, b) => Number(a.slice(4)) - Number(b.slice(4)));
  for (const name of names) {
    const status = yield* statusOf(`/dev/${name}`);
    if (status) out.push({ ...status, device: `/dev/${name}` });
  }
  return out;
}

function* statusOf(device: string): Call<LoopStatus | null> {
  const fd = yield* attempt(sys('openat', AT_FDCWD, device, O_RDONLY), -1);
  if (fd < 0) return null;
  const status = (yield* attempt(sys('ioctl', fd, LOOP_GET_STATUS64, 0), null)) as LoopStatus | null;
  yield* sys('close', fd);
  return status;
}

/** The first free device. Throws SysError. */
export function* freeLoop(): Call<string> {
  const fd = yield* sys('openat', AT_FDCWD, '/dev/loop-control', O_RDWR);
  try {
    return `/dev/loop${Number(yield* sys('ioctl', fd, LOOP_CTL_GET_FREE, 0))}`;
  } finally {
    yield* sys('close', fd);
  }
}

export type Wanted = Omit<LoopConfig, 'fd'>;

/** Ties a device to a file; a file that may only be read makes it read-only. Throws SysError. */
export function* bindLoop(device: string, path: string, wanted: Wanted): Call<void> {
  const writable = wanted.readonly ? -1 : yield* attempt(sys('openat', AT_FDCWD, path, O_RDWR), -1, 'EACCES', 'EROFS', 'EPERM');
  const file = writable >= 0 ? writable : yield* sys('openat', AT_FDCWD, path, O_RDONLY);
  const fd = yield* sys('openat', AT_FDCWD, device, O_RDWR);
  try {
    yield* sys('ioctl', fd, LOOP_CONFIGURE, { ...wanted, fd: file, readonly: writable < 0 });
  } finally {
    yield* sys('close', fd);
    yield* sys('close', file);
  }
}

function* tell(device: string, request: number): Call<void> {
  const fd = yield* sys('openat', AT_FDCWD, device, O_RDWR);
  try {
    yield* sys('ioctl', fd, request, 0);
  } finally {
    yield* sys('close', fd);
  }
}

const COLUMNS: Readonly<Record<string, ColumnSpec>> = Object.fromEntries(([
  { name: 'NAME' }, { name: 'SIZELIMIT', align: 'right', number: true, hint: 5 }, { name: 'OFFSET', align: 'right', number: true, hint: 5 }, { name: 'AUTOCLEAR', align: 'right', flag: true }, { name: 'RO', align: 'right', flag: true }, { name: 'BACK-FILE' },
  { name: 'DIO', align: 'right', flag: true }, { name: 'LOG-SEC', align: 'right', number: true, hint: 4 }, { name: 'BACK-INO', align: 'right', number: true, hint: 4 }, { name: 'BACK-MAJ:MIN', align: 'right' }, { name: 'MAJ:MIN' }, { name: 'PARTSCAN', align: 'right', flag: true },
] satisfies ColumnSpec[]).map((one) => [one.name, one]));

const STANDARD = ['NAME', 'SIZELIMIT', 'OFFSET', 'AUTOCLEAR', 'RO', 'BACK-FILE', 'DIO', 'LOG-SEC'];

const numbers = (major: number | string, minor: number | string, table: boolean): string => (table ? `${String(major).padStart(3)}:${String(minor).padEnd(3)}` : `${major}:${minor}`);

function* table(o: Options, loops: readonly BoundLoop[]): Call<number> {
  const names = lastValue(o, 'output')?.toUpperCase().split(',') ?? STANDARD;
  for (const name of names) if (!COLUMNS[name]) throw new Failed(`unknown column: ${name}`);
  if (loops.length === 0) return 0;
  const style = o.on.has('json') ? 'json' : o.on.has('raw') ? 'raw' : 'table';
  const mounts = yield* readMounts();
  const rows = loops.map((one) => {
    const [major, minor] = (mountOver(mounts, one.file)?.dev ?? `0:${one.dev}`).split(':') as [string, string];
    return rowOf({
      NAME: one.device, SIZELIMIT: String(one.sizeLimit), OFFSET: String(one.offset), AUTOCLEAR: one.autoclear ? '1' : '0', RO: one.readonly ? '1' : '0', 'BACK-FILE': one.file, DIO: '0', 'LOG-SEC': '512', 'BACK-INO': String(one.ino),
      'BACK-MAJ:MIN': numbers(major, minor, style === 'table'), 'MAJ:MIN': numbers(7, one.device.slice(9), style === 'table'), PARTSCAN: '0',
    });
  });
  yield* print(render(rows, names.map((name) => COLUMNS[name]!), null, { headings: !o.on.has('noheadings'), style, title: 'loopdevices' }));
  return 0;
}

const said = (error: unknown): string => {
  if (!(error instanceof SysError)) throw error;
  return strerror(error);
};

function* detach(devices: readonly string[]): Call<number> {
  let status = 0;
  for (const device of devices) {
    try {
      yield* tell(device, LOOP_CLR_FD);
    } catch (error) {
      yield* complain(`losetup: ${device}: detach failed: ${said(error)}\n`);
      status = 1;
    }
  }
  return status;
}

function bytesIn(o: Options, name: string): number {
  const given = lastValue(o, name);
  if (given === undefined) return 0;
  const size = parseSize(given);
  if (size === null || size < 0) throw new Failed(`failed to parse ${name === 'offset' ? 'offset' : 'size'}: '${given}'`);
  return size;
}

function* create(o: Options, device: string | null, path: string): Call<number> {
  const full = yield* attempt(realPath(path, 'none'), null);
  if (full === null) throw new Failed(`${device ?? path}: failed to set up loop device: No such file or directory`);
  const wanted: Wanted = { offset: bytesIn(o, 'offset'), sizeLimit: bytesIn(o, 'sizelimit'), readonly: o.on.has('read-only'), autoclear: false };
  try {
    const at = device ?? (yield* freeLoop());
    yield* bindLoop(at, full, wanted);
    if (o.on.has('show')) yield* print(`${at}\n`);
  } catch (error) {
    throw new Failed(`${path}: failed to set up loop device: ${said(error)}`);
  }
  const size = (yield* statOf(full))?.size ?? 0;
  if (size % 512 !== 0) yield* complain(`losetup: ${path}: Warning: file does not fit into a 512-byte sector; the end of the file will be ignored.\n`);
  return 0;
}

/** "/dev/loop0: [65024]:21161 (/root/d.img)" */
function* old(one: BoundLoop): Call<string> {
  const dev = mountOver(yield* readMounts(), one.file)?.dev.split(':').map(Number) ?? [0, one.dev];
  const more = `${one.offset > 0 ? `, offset ${one.offset}` : ''}${one.sizeLimit > 0 ? `, sizelimit ${one.sizeLimit}` : ''}`;
  return `${one.device}: [${String(dev[0]! * 256 + dev[1]!).padStart(4, '0')}]:${one.ino} (${one.file})${more}\n`;
}

/** A device that goes by itself and could not be mounted. Throws SysError. */
export function* releaseLoop(device: string): Call<void> {
  if ((yield* statusOf(device))?.autoclear) yield* tell(device, LOOP_CLR_FD);
}

export const losetup = command(function* (argv) {
  const o = parseOptions('a/all c/set-capacity d/detach D/detach-all f/find j/associated= J/json l/list n/noheadings o/offset= O/output= P/partscan r/read-only show sizelimit= v/verbose raw L/nooverlap output-all b/sector-size= direct-io?', argv.slice(1));
  const { on, words } = o;
  if (on.has('detach')) {
    if (words.length === 0) throw new BadOption("option requires an argument -- 'd'");
    return yield* detach(words);
  }
  if (on.has('detach-all')) return yield* detach((yield* boundLoops()).map((one) => one.device));
  if (on.has('set-capacity')) {
    for (const device of words) {
      try {
        yield* tell(device, LOOP_SET_CAPACITY);
      } catch (error) {
        throw new Failed(`${device}: set capacity failed: ${said(error)}`);
      }
    }
    return 0;
  }
  if (on.has('find')) {
    if (words.length > 1) throw new Failed('unexpected arguments');
    if (words.length === 1) return yield* create(o, null, words[0]!);
    try {
      yield* print(`${yield* freeLoop()}\n`);
    } catch (error) {
      throw new Failed(`cannot find an unused loop device: ${said(error)}`);
    }
    return 0;
  }
  if (words.length === 2) return yield* create(o, words[0]!, words[1]!);
  if (words.length > 2) throw new Failed('unexpected arguments');
  let loops = yield* boundLoops();
  const file = lastValue(o, 'associated');
  if (file !== undefined) {
    const stat: Stat | null = yield* statOf(file);
    loops = loops.filter((one) => stat !== null && one.ino === stat.ino && one.dev === stat.dev);
  }
  if (words.length === 1) {
    loops = loops.filter((one) => one.device === words[0]);
    if (loops.length === 0) throw new Failed(`${words[0]}: No such file or directory`);
  }
  const listed = on.has('list') || on.has('output') || on.has('json') || on.has('raw') || (words.length === 0 && file === undefined && !on.has('all'));
  if (listed) return yield* table(o, loops);
  for (const one of loops) yield* print(yield* old(one));
  return 0;
});
