/**
 * blkid, blockdev, mkfs.ext4, resize2fs: what is on a disk, by reading and writing its blocks. Messages of util-linux 2.41 and
 * e2fsprogs 1.47. Left out: file systems but ext4, shrinking, features to choose.
 */
import { AT_FDCWD, O_CREAT, O_RDONLY, O_RDWR, S_IFBLK, S_IFREG, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { backupGroups, blockSizeFor, groupsOf, inodesOf, journalOf, type Super, superBytes, superOf } from '../../sim/ext4.ts';
import { isType } from '../coreutils/modes.ts';
import { parseSize } from '../coreutils/sizes.ts';
import { BadOption, lastValue, parseOptions } from '../lib/args.ts';
import { attempt, statOf, tryRead } from '../lib/files.ts';
import { type Call, writeAll } from '../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';
import { readMounts } from './mounts.ts';

const BLKGETSIZE64 = 0x80081272;
const EXT4_IOC_RESIZE_FS = 0x40086610;
const SUPER_AT = 1024;

/** Bytes of a block device; null when it is none or cannot be asked. */
export function* sizeOfDevice(path: string): Call<number | null> {
  const fd = yield* attempt(sys('openat', AT_FDCWD, path, O_RDONLY), -1);
  if (fd < 0) return null;
  const size = yield* attempt(sys('ioctl', fd, BLKGETSIZE64, 0), null);
  yield* sys('close', fd);
  return size === null ? null : Number(size);
}

/** The ext4 superblock of a device, or null. */
export function* probe(path: string): Call<Super | null> {
  const fd = yield* attempt(sys('openat', AT_FDCWD, path, O_RDONLY), -1);
  if (fd < 0) return null;
  const head = yield* attempt(sys('pread64', fd, 1024, SUPER_AT), new Uint8Array(0));
  yield* sys('close', fd);
  return superOf(head);
}

function* devices(): Call<string[]> {
  return ((yield* tryRead('/proc/partitions')) ?? '').split('\n').slice(2).map((l) => l.trim().split(/\s+/)[3]).filter((name): name is string => name !== undefined).map((name) => `/dev/${name}`);
}

export const blkid = command(function* (argv) {
  const o = parseOptions('o/output= p/probe s/match-tag= t/match-token= L/label= U/uuid=', argv.slice(1));
  const asked = o.words.length > 0 ? o.words : yield* devices();
  const tags = o.values.get('match-tag');
  let found = 0;
  for (const path of asked) {
    const one = yield* probe(path);
    if (!one) continue;
    const all: [string, string][] = [...(one.label ? [['LABEL', one.label] as [string, string]] : []), ['UUID', one.uuid], ['BLOCK_SIZE', String(one.blockSize ?? 4096)], ['TYPE', 'ext4']];
    const wanted = lastValue(o, 'uuid') ?? lastValue(o, 'label');
    if (wanted !== undefined) {
      if (!all.some(([k, v]) => (k === 'UUID' || k === 'LABEL') && v === wanted)) continue;
      yield* print(`${path}\n`);
    } else {
      const shown = all.filter(([k]) => !tags || tags.includes(k));
      const how = lastValue(o, 'output') ?? 'full';
      if (how === 'value') yield* print(shown.map(([, v]) => `${v}\n`).join(''));
      else if (how === 'export') yield* print(`${found > 0 ? '\n' : ''}DEVNAME=${path}\n${shown.map(([k, v]) => `${k}=${v}\n`).join('')}`);
      else if (how === 'device') yield* print(`${path}\n`);
      else yield* print(`${path}: ${shown.map(([k, v]) => `${k}="${v}"`).join(' ')}\n`);
    }
    found++;
  }
  return found > 0 ? 0 : 2;
});

export const blockdev = command(function* (argv) {
  const o = parseOptions('getsize64 getsz getss getpbsz getbsz getro report q v', argv.slice(1));
  if (o.words.length === 0) throw new BadOption('no device specified');
  for (const path of o.words) {
    const fd = yield* attempt(sys('openat', AT_FDCWD, path, O_RDONLY), -1);
    if (fd < 0) throw new Failed(`cannot open ${path}: No such file or directory`);
    yield* sys('close', fd);
    const size = yield* sizeOfDevice(path);
    if (size === null) throw new Failed(`ioctl error on BLKGETSIZE64: Inappropriate ioctl for device`);
    for (const what of o.on.keys()) yield* print(`${{ getsize64: size, getsz: size / 512, getss: 512, getpbsz: 512, getbsz: 4096, getro: 0 }[what as 'getss'] ?? ''}\n`);
  }
});

function* uuid(): Call<string> {
  return ((yield* tryRead('/proc/sys/kernel/random/uuid')) ?? '').trim();
}

/** " 0/16" written over by as many blanks, as it counts. */
function progress(of: number): string {
  const text = `${'0'.padStart(String(of).length)}/${of}`;
  const back = '\b'.repeat(text.length);
  return `${text}${back}${' '.repeat(text.length)}${back}`;
}

/** mkfs.ext4 [-F] [-q] [-L label] [-m percent] [-E …] [-O …] [-U uuid] DEVICE [SIZE] */
export const mkfs = command(function* (argv) {
  const name = (argv[0] ?? '').split('/').pop()!;
  const o = parseOptions('t= F q v n b= m= L= U= E= O= i= I= N= j J= D K', argv.slice(1));
  const type = lastValue(o, 't') ?? (name === 'mkfs' ? 'ext2' : 'ext4');
  const [path, asked] = o.words;
  if (path === undefined) throw new Failed(`Usage: ${name} [-t type] [-F] [-q] [-L volume-label] [-U UUID] device [fs-size]`);
  if (type !== 'ext4') throw new Failed(`not modelled: file systems of type ${type}, only ext4`);
  if (!o.on.has('q')) yield* complain('mke2fs 1.47.2 (1-Jan-2025)\n');
  const wish = asked === undefined ? null : /^\d+$/.test(asked) ? Number(asked) * 1024 : (parseSize(asked) ?? 0);
  if ((yield* statOf(path)) === null && wish !== null) yield* sys('close', yield* sys('openat', AT_FDCWD, path, O_RDWR | O_CREAT, 0o644));
  const stat = yield* statOf(path);
  if (!stat) {
    yield* complain(`The file ${path} does not exist and no size was specified.\n`);
    return 1;
  }
  const mounted = (yield* readMounts()).find((m) => m.source === path);
  if (mounted) {
    yield* complain(`${path} is mounted; will not make a filesystem here!\n`);
    return 1;
  }
  const size = isType(stat.mode, S_IFBLK) ? yield* sizeOfDevice(path) : isType(stat.mode, S_IFREG) ? Math.max(stat.size, wish ?? 0) : null;
  if (size === null) throw new Failed(`not modelled: a file system in ${path}, which is neither a file nor a disk that was attached`);
  if (isType(stat.mode, S_IFREG) && size > stat.size) yield* sys('truncate', path, size);
  const old = yield* probe(path);
  if (old && !o.on.has('F') && (yield* attempt(sys('ioctl', 0, 0x5401), null)) !== null && (yield* attempt(sys('ioctl', 1, 0x5401), null)) !== null) {
    yield* complain(`${path} contains a ext4 file system\nProceed anyway? (y,N) not modelled: use -F\n`);
    return 1;
  }
  const blockSize = Number(lastValue(o, 'b') ?? blockSizeFor(Math.min(size, wish ?? size)));
  if (blockSize !== 1024 && blockSize !== 4096) throw new Failed(`not modelled: blocks of ${blockSize} bytes, only 1024 and 4096`);
  const blocks = Math.floor(Math.min(size, wish ?? size) / blockSize);
  if (blocks < 16) throw new Failed(`Filesystem too small for a journal`);
  const made: Super = { uuid: lastValue(o, 'U') ?? (yield* uuid()), label: lastValue(o, 'L') ?? '', blocks, inodes: inodesOf(blocks, blockSize), ...(blockSize !== 4096 && { blockSize }) };
  const fd = yield* sys('openat', AT_FDCWD, path, O_RDWR);
  const now = Math.floor((yield* sys('clock_gettime', 'realtime')) / 1e9);
  yield* sys('lseek', fd, SUPER_AT, 0);
  yield* writeAll(fd, superBytes(made, now));
  yield* attempt(sys('fsync', fd), 0);
  yield* sys('close', fd);
  if (o.on.has('q')) return 0;
  const groups = groupsOf(blocks, blockSize);
  const backups = backupGroups(groups).map((g) => g * 8 * blockSize + (blockSize === 1024 ? 1 : 0));
  if (isType(stat.mode, S_IFREG)) yield* print(`Discarding device blocks: ${progress(blocks)}done                            \n`);
  yield* print(`Creating filesystem with ${blocks} ${blockSize / 1024}k blocks and ${made.inodes} inodes\nFilesystem UUID: ${made.uuid}\n${backups.length > 0 ? `Superblock backups stored on blocks: \n\t${backups.join(', ')}\n` : ''}\n`);
  yield* print(`Allocating group tables: ${progress(groups)}done                            \nWriting inode tables: ${progress(groups)}done                            \n${journalOf(blocks) > 0 ? `Creating journal (${journalOf(blocks)} blocks): done\n` : ''}Writing superblocks and filesystem accounting information: ${progress(groups)}done\n\n`);
  return 0;
});

export const resize2fs = command(function* (argv) {
  const o = parseOptions('f p M d= b s', argv.slice(1));
  const [path, asked] = o.words;
  if (path === undefined) throw new Failed('Usage: resize2fs [-f] device [new_size]');
  yield* complain('resize2fs 1.47.2 (1-Jan-2025)\n');
  const found = yield* probe(path);
  if (!found) {
    yield* complain(`resize2fs: Bad magic number in super-block while trying to open ${path}\nCouldn't find valid filesystem superblock.\n`);
    return 1;
  }
  const size = (yield* sizeOfDevice(path)) ?? 0;
  const blocks = asked === undefined ? Math.floor(size / 4096) : Math.floor((/^\d+$/.test(asked) ? Number(asked) * 4096 : (parseSize(asked) ?? 0)) / 4096);
  if (blocks === found.blocks) {
    yield* print(`The filesystem is already ${blocks} (4k) blocks long.  Nothing to do!\n\n`);
    return 0;
  }
  if (blocks * 4096 > size) throw new Failed(`The containing partition (or device) is only ${Math.floor(size / 4096)} (4k) blocks.\nYou requested a new size of ${blocks} blocks.\n`);
  const at = (yield* readMounts()).find((m) => m.source === path)?.target;
  if (!at) throw new Failed('not modelled: growing a file system that is not mounted');
  if (blocks < found.blocks) throw new Failed('On-line shrinking not supported');
  yield* print(`Filesystem at ${path} is mounted on ${at}; on-line resizing required\nold_desc_blocks = ${Math.ceil(found.blocks / 32768 / 64)}, new_desc_blocks = ${Math.ceil(blocks / 32768 / 64)}\n`);
  const fd = yield* sys('openat', AT_FDCWD, at, O_RDONLY);
  try {
    yield* sys('ioctl', fd, EXT4_IOC_RESIZE_FS, blocks);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`${strerror(error)} While checking for on-line resizing support`);
  } finally {
    yield* sys('close', fd);
  }
  yield* print(`The filesystem on ${path} is now ${blocks} (4k) blocks long.\n\n`);
  return 0;
});
