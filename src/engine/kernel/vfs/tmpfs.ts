/**
 * The file system in memory, with two names: "tmpfs", and "ext4" for the modelled disk (the same tree under a disk's
 * name and device number; what differs on a real disk is told in the fidelity page). A directory is a Map of names in
 * order of making. Pages of file content are charged to the writer's cgroup: shmem on tmpfs, file on the disk.
 */
import { chargeFile } from '../cgroup/cache.ts';
import { PAGE } from '../../sim/units.ts';
import { unchargeFile } from '../cgroup/charge.ts';
import { O_DIRECT, O_TRUNC, RENAME_EXCHANGE, SysError } from '../abi.ts';
import { FILE_CAPS } from '../filecaps.ts';
import { readShared } from '../cgroup/cache.ts';
import { dropShared } from '../swap.ts';
import { dirtied, direct, readThrough, undirty } from '../disk.ts';
import type { Kernel, Task } from '../records.ts';
import { addGap, type Content, emptyContent, fillGaps, readContent, resizeContent, writeContent } from './content.ts';
import { createSuperBlock, makeDentry, makeInode, own, wallClock } from './inode.ts';
import { pipeOps } from '../pipe.ts';
import { deviceOps } from './devices.ts';
import { counting, dropName, freeSpace, requireName, roomFor, takeName } from './space.ts';
import type { Dentry, FileOps, FsOps, Inode, InodeKind, SuperBlock } from './types.ts';

/** Bytes: the largest file. */
const FILE_MAX = 2 ** 43;
/** The modelled disk holds so many times the memory. */
const DISK = 5;
/** BOGO_DIRENT_SIZE. */
const ENTRY = 20;

export type Children = Map<string, Dentry>;

export function childrenOf(dir: Inode): Children {
  return dir.data as Children;
}

function add(kernel: Kernel, dir: Dentry, name: string, inode: Inode): Dentry {
  takeName(dir.sb);
  const dentry = makeDentry(name, dir, inode);
  childrenOf(dir.inode).set(name, dentry);
  if (inode.kind === 'dir') dir.inode.nlink++;
  resizeDir(dir.inode, 1);
  touchDir(kernel, dir.inode);
  return dentry;
}

/** In memory a directory's size tells its entries, 20 bytes each; a disk's directory is a block. */
function resizeDir(dir: Inode, entries: number): void {
  if (dir.sb.type !== 'ext4') dir.size += ENTRY * entries;
}

function touchDir(kernel: Kernel, dir: Inode): void {
  dir.mtime = wallClock(kernel);
  dir.ctime = dir.mtime;
}

export function newData(kind: InodeKind, target = ''): unknown {
  if (kind === 'dir') return new Map<string, Dentry>();
  if (kind === 'file') return emptyContent();
  return kind === 'link' ? target : null;
}

function detach(kernel: Kernel, entry: Dentry): void {
  dropName(entry.sb);
  childrenOf(entry.parent.inode).delete(entry.name);
  resizeDir(entry.parent.inode, -1);
  entry.deleted = true;
  touchDir(kernel, entry.parent.inode);
}

function drop(kernel: Kernel, inode: Inode): void {
  inode.ctime = wallClock(kernel);
  if (inode.nlink > 0 || inode.kind !== 'file') return;
  unchargeFile(kernel, inode);
  dropShared(kernel, inode, 0);
  freeSpace(inode);
  undirty(kernel, inode);
}

/** The pages between the end and page `to` become a hole. */
function skip(inode: Inode, to: number): void {
  addGap(inode.data as Content, Math.ceil(inode.size / PAGE), to);
}

const fileOps: FileOps = {
  read(kernel, task, file, count, offset) {
    const end = Math.min(offset + count, file.inode.size);
    if (file.flags & O_DIRECT && file.inode.sb.type === 'ext4') direct(kernel, task, 'read', Math.max(0, end - offset));
    else readThrough(kernel, task, file.inode, end);
    if (file.inode.swapped?.size) readShared(kernel, task, file.inode, Math.ceil((end - offset) / PAGE));
    return readContent(file.inode.data as Content, file.inode.size, offset, count);
  },
  write(kernel, task, file, given, offset) {
    const { inode } = file;
    if (offset + given.length > FILE_MAX) throw new SysError('EFBIG');
    if (inode.xattrs) inode.xattrs.delete(FILE_CAPS);
    const data = given.subarray(0, roomFor(inode, offset, given.length));
    const end = offset + data.length;
    const past = (file.flags & O_DIRECT) !== 0 && inode.sb.type === 'ext4';
    counting(inode, () => {
      skip(inode, Math.floor(offset / PAGE));
      fillGaps(inode.data as Content, Math.floor(offset / PAGE), Math.ceil(end / PAGE));
      if (past) direct(kernel, task, 'write', data.length);
      else chargeFile(kernel, task, inode, Math.max(inode.size, end));
      writeContent(inode.data as Content, inode.size, offset, data);
      if (end > inode.size) inode.size = end;
    });
    if (!past) dirtied(kernel, inode, data.length);
    inode.mtime = wallClock(kernel);
    inode.ctime = inode.mtime;
    return data.length;
  },
};

const dirOps: FileOps = {
  readdir: (kernel, _task, file) => file.inode.sb.ops.readdir(kernel, (file.path?.dentry ?? null) as Dentry),
};

export const tmpfsOps: FsOps = {
  lookup: (_kernel, dir, name) => childrenOf(dir.inode).get(name) ?? null,
  readdir(_kernel, dir) {
    const entries = [...childrenOf(dir.inode).values()].map((d) => ({ name: d.name, ino: d.inode.ino, type: d.inode.kind }));
    // libfs: a directory of tmpfs is a list with the newest name first.
    return dir.sb.type === 'tmpfs' ? entries.reverse() : entries;
  },
  create(kernel, task, dir, name, kind, mode, rdev, target) {
    requireName(dir.sb);
    const inode = makeInode(kernel, dir.sb, kind, mode, newData(kind, target));
    inode.rdev = rdev;
    if (kind === 'link') inode.size = target.length;
    if (kind === 'dir') inode.size = dir.sb.type === 'ext4' ? 4096 : 2 * ENTRY;
    own(task, dir.inode, inode);
    return add(kernel, dir, name, inode);
  },
  link(kernel, _task, dir, name, from) {
    requireName(dir.sb);
    from.inode.nlink++;
    from.inode.ctime = wallClock(kernel);
    return add(kernel, dir, name, from.inode);
  },
  unlink(kernel, _task, entry) {
    detach(kernel, entry);
    entry.inode.nlink--;
    drop(kernel, entry.inode);
  },
  rmdir(kernel, _task, entry) {
    if (childrenOf(entry.inode).size > 0) throw new SysError('ENOTEMPTY');
    detach(kernel, entry);
    entry.inode.nlink = 0;
    entry.parent.inode.nlink--;
  },
  rename(kernel, _task, entry, toDir, toName, flags) {
    const there = childrenOf(toDir.inode).get(toName) ?? null;
    const from = entry.parent;
    const fromName = entry.name;
    if (flags & RENAME_EXCHANGE) {
      if (!there) throw new SysError('ENOENT');
      place(entry, toDir, toName);
      place(there, from, fromName);
    } else {
      if (there) {
        if (there.inode.kind === 'dir') {
          if (childrenOf(there.inode).size > 0) throw new SysError('ENOTEMPTY');
          toDir.inode.nlink--;
          there.inode.nlink = 0;
        } else there.inode.nlink--;
        there.deleted = true;
        dropName(toDir.sb);
        resizeDir(toDir.inode, -1);
        drop(kernel, there.inode);
      }
      childrenOf(from.inode).delete(fromName);
      childrenOf(toDir.inode).delete(toName);
      resizeDir(from.inode, -1);
      resizeDir(toDir.inode, 1);
      place(entry, toDir, toName);
      if (entry.inode.kind === 'dir' && from !== toDir) {
        from.inode.nlink--;
        toDir.inode.nlink++;
      }
    }
    entry.inode.ctime = wallClock(kernel);
    touchDir(kernel, from.inode);
    touchDir(kernel, toDir.inode);
  },
  readlink: (_kernel, entry) => {
    if (entry.inode.kind !== 'link') throw new SysError('EINVAL');
    return entry.inode.data as string;
  },
  setattr(kernel, task, entry, change) {
    setInode(kernel, task, entry.inode, change);
  },
  setxattr(kernel, _task, entry, name, value) {
    const { inode } = entry;
    inode.xattrs ??= new Map();
    if (value === null) inode.xattrs.delete(name);
    else inode.xattrs.set(name, value);
    inode.ctime = wallClock(kernel);
  },
  open(kernel, task, entry, flags) {
    return openInode(kernel, task, entry.inode, flags);
  },
};

function place(entry: Dentry, dir: Dentry, name: string): void {
  entry.parent = dir;
  entry.name = name;
  childrenOf(dir.inode).set(name, entry);
}

/** chmod, chown, utimes and truncate on an inode of this kind of file system. */
export function setInode(
  kernel: Kernel,
  task: Task,
  inode: Inode,
  change: Partial<Pick<Inode, 'mode' | 'uid' | 'gid' | 'atime' | 'mtime' | 'size'>>,
): void {
  if (change.size !== undefined) {
    const { size } = change;
    if (size > FILE_MAX) throw new SysError('EFBIG');
    counting(inode, () => {
      if (size > inode.size) skip(inode, Math.ceil(size / PAGE));
      else fillGaps(inode.data as Content, Math.ceil(size / PAGE), Number.MAX_SAFE_INTEGER);
      resizeContent(inode.data as Content, inode.size, size);
      const shorter = size < inode.size;
      inode.size = size;
      if (shorter) {
        dropShared(kernel, inode, Math.ceil(size / PAGE));
        unchargeFile(kernel, inode, size);
      }
    });
  }
  const stamp = wallClock(kernel);
  if (change.size !== undefined && change.mtime === undefined) inode.mtime = stamp;
  Object.assign(inode, change);
  inode.ctime = stamp;
}

/** Opens an inode held in memory: a directory, a file, a device, a pipe. Truncates when asked. */
export function openInode(kernel: Kernel, task: Task, inode: Inode, flags: number): { ops: FileOps; data: unknown } {
  if (inode.kind === 'dir') return { ops: dirOps, data: null };
  if (inode.kind === 'chr' || inode.kind === 'blk') return deviceOps(kernel, task, inode, flags);
  if (inode.kind === 'fifo') return { ops: pipeOps, data: null };
  if (inode.kind === 'sock') throw new SysError('ENXIO');
  if (inode.kind === 'link') throw new SysError('ELOOP');
  if (flags & O_TRUNC && inode.size > 0) setInode(kernel, task, inode, { size: 0 });
  return { ops: fileOps, data: null };
}

/** A new, empty file system in memory. */
export function createTmpfs(kernel: Kernel, type: 'tmpfs' | 'ext4', source: string, options: string, mode: number): SuperBlock {
  const sb = createSuperBlock(kernel, type, source, tmpfsOps, options);
  const inode = makeInode(kernel, sb, 'dir', mode, newData('dir'));
  if (type === 'ext4') {
    inode.ino = 2;
    sb.nextIno = 11;
  }
  inode.size = type === 'ext4' ? 4096 : 40;
  sb.space = { pages: Math.floor((kernel.memory * (type === 'ext4' ? DISK : 0.5)) / PAGE), used: 0, kept: 0, ...(type === 'tmpfs' && { names: { most: Math.floor(kernel.memory / PAGE / 2), used: 1 } }) };
  sb.root = makeDentry('', null, inode);
  return sb;
}
