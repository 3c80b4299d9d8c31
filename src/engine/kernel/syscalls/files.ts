/** System calls on files and directories, in the order of the Syscalls interface. Source: the calls' manual pages, section 2. */
import {
  AT_EMPTY_PATH, AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_FOLLOW, AT_SYMLINK_NOFOLLOW, CLOSE_RANGE_CLOEXEC, O_ACCMODE, O_APPEND, O_CLOEXEC, O_NONBLOCK, O_PATH,
  SEEK_CUR, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET, SIG, type Stat, SysError,
} from '../abi.ts';
import { PAGE } from '../../sim/units.ts';
import { namedId } from '../credentials.ts';
import { writeBack, writeBackAll } from '../disk.ts';
import { fifoLacksPeer, joinPipe, makePipe, peersOpened, pipeOps, waitForPeer } from '../pipe.ts';
import { FILE_CAPS } from '../filecaps.ts';
import type { Kernel, Task } from '../records.ts';
import { sendSignal } from '../signals.ts';
import type { Bytes } from '../sys.ts';
import { type Content, emptyContent, nextPage } from '../vfs/content.ts';
import { closeFd, dropFile, fileOf, install, makeFile, put, slotOf } from '../vfs/descriptors.ts';
import { hangingAt } from '../vfs/hanging.ts';
import { capable, capableEverywhere, capableOver, MAY_EXEC, MAY_WRITE, permitted, requireAccess, statFor, wallClock } from '../vfs/inode.ts';
import { realInode } from '../vfs/overlaylayers.ts';
import { flock } from '../vfs/flock.ts';
import { make, openPath, readonlyAt, requireWritableDir, startOf, refuseRunning } from '../vfs/open.ts';
import { find, lookup, pathText, readLink } from '../vfs/path.ts';
import { allocate, blocksOf, filesOf } from '../vfs/space.ts';
import { BLOCK, type File, type InodeKind, type Path, type SuperBlock } from '../vfs/types.ts';
import { xattrHandlers } from './xattrs.ts';
import type { Handlers } from './handlers.ts';

const MAX_IO = 0x7ffff000;

function at(kernel: Kernel, task: Task, dirfd: number, path: string, flags: number): Path {
  if (path === '' && flags & AT_EMPTY_PATH) {
    if (dirfd === AT_FDCWD) return task.fs.cwd;
    const file = fileOf(task, dirfd);
    if (!file.path) throw new SysError('ENOENT');
    return file.path;
  }
  return lookup(kernel, task, startOf(task, dirfd, path), path, !(flags & AT_SYMLINK_NOFOLLOW));
}

function statPath(kernel: Kernel, task: Task, dirfd: number, path: string, flags: number): Stat {
  if (path === '' && flags & AT_EMPTY_PATH && dirfd !== AT_FDCWD) return statFor(task, fileOf(task, dirfd).inode);
  return statFor(task, at(kernel, task, dirfd, path, flags).dentry.inode);
}

/** Only the owner, or CAP_FOWNER, changes mode and times. */
function requireOwner(task: Task, path: Path): void {
  if (task.cred.euid !== path.dentry.inode.uid && !capableOver(task, path.dentry.inode, 'fowner')) throw new SysError('EPERM');
}

function requireWritable(path: Path): void {
  if (readonlyAt(path)) throw new SysError('EROFS');
}

function setattr(kernel: Kernel, task: Task, path: Path, change: Parameters<NonNullable<Path['dentry']['sb']['ops']['setattr']>>[3]): 0 {
  const set = path.dentry.sb.ops.setattr;
  if (!set) throw new SysError('EPERM');
  requireWritable(path);
  set(kernel, task, path.dentry, change);
  return 0;
}

const namedUid = (task: Task, uid: number): number => (task.ns.user?.parent ? namedId(task, uid, 'uidMap') : uid);
const namedGid = (task: Task, gid: number): number => (task.ns.user?.parent ? namedId(task, gid, 'gidMap') : gid);

/** In a sticky directory only the file's or directory's owner removes a name. */
function requireSticky(task: Task, dir: Path, entry: Path): void {
  const { inode } = dir.dentry;
  if ((inode.mode & 0o1000) === 0 || capableOver(task, entry.dentry.inode, 'fowner')) return;
  if (task.cred.euid !== inode.uid && task.cred.euid !== entry.dentry.inode.uid) throw new SysError('EPERM');
}

function isMountPoint(path: Path): boolean {
  const { mount, dentry } = path;
  return hangingAt(mount, dentry) !== null || (dentry === mount.root && mount.parent !== mount && mount.hung);
}

function countRead({ io }: Task, bytes: number): void {
  io.syscr++;
  io.rchar += bytes;
}

function countWrite({ io }: Task, { inode }: File, bytes: number): void {
  io.syscw++;
  io.wchar += bytes;
  if (inode.sb.type === 'ext4' && inode.kind === 'file') io.write += Math.ceil(bytes / PAGE) * PAGE;
}

function readable(file: File): void {
  if ((file.flags & O_ACCMODE) === 1 || file.flags & O_PATH) throw new SysError('EBADF');
}
function writable(file: File): void {
  if ((file.flags & O_ACCMODE) === 0 || file.flags & O_PATH) throw new SysError('EBADF');
}
/** The next written byte, or the next hole (the end is one): where a file system keeps no holes, everything is written. */
function seekSparse(file: File, offset: number, whence: number): number {
  const { inode } = file;
  if (offset < 0 || offset >= inode.size) throw new SysError('ENXIO');
  const end = Math.ceil(inode.size / PAGE);
  const content = inode.data as Content | null;
  const page = nextPage(content?.gaps ? content : emptyContent(), Math.floor(offset / PAGE), whence === SEEK_DATA ? 'data' : 'hole', end);
  if (whence === SEEK_DATA && page >= end) throw new SysError('ENXIO');
  file.offset = Math.min(inode.size, Math.max(offset, page * PAGE));
  return file.offset;
}
function seekable(file: File): void {
  if (file.inode.kind === 'fifo' || file.inode.kind === 'sock') throw new SysError('ESPIPE');
}

/** RLIMIT_FSIZE: nothing is written beyond it; who begins there gets SIGXFSZ. Throws EFBIG. */
function withinLimit(kernel: Kernel, task: Task, { inode }: File, data: Bytes, offset: number): Bytes {
  const limit = sizeLimit(task);
  if (inode.kind !== 'file' || offset + data.length <= limit) return data;
  if (offset < limit) return data.subarray(0, limit - offset);
  return tooBig(kernel, task);
}

const sizeLimit = (task: Task): number => task.limits?.RLIMIT_FSIZE?.cur ?? Number.POSITIVE_INFINITY;

function tooBig(kernel: Kernel, task: Task): never {
  sendSignal(kernel, task.leader, SIG.XFSZ, 'RLIMIT_FSIZE');
  throw new SysError('EFBIG');
}

function truncateTo(kernel: Kernel, task: Task, path: Path, length: number): 0 {
  if (length < 0) throw new SysError('EINVAL');
  const { inode } = path.dentry;
  if (inode.kind === 'dir') throw new SysError('EISDIR');
  if (inode.kind !== 'file') throw new SysError('EINVAL');
  if (length > inode.size && length > sizeLimit(task)) tooBig(kernel, task);
  return setattr(kernel, task, path, { size: length });
}

export const fileHandlers = {
  openat(kernel, task, dirfd, path, flags, mode = 0) {
    const held = task.scratch as { file: File; seen: number } | undefined;
    const file = held?.file ?? openPath(kernel, task, startOf(task, dirfd, path), path, flags, mode)!;
    const alone = file.inode.kind === 'fifo' && !(flags & (O_NONBLOCK | O_PATH)) && fifoLacksPeer(file.inode, flags);
    if (alone && (!held || peersOpened(file.inode, flags) === held.seen)) {
      task.scratch = held ?? { file, seen: peersOpened(file.inode, flags) };
      waitForPeer(kernel, task, file.inode);
      return BLOCK;
    }
    task.scratch = undefined;
    return install(task, file, (flags & O_CLOEXEC) !== 0);
  },
  close(kernel, task, fd) {
    closeFd(kernel, task, fd);
    return 0;
  },
  read(kernel, task, fd, count) {
    const file = fileOf(task, fd);
    readable(file);
    if (file.inode.kind === 'dir') throw new SysError('EISDIR');
    if (!file.ops.read) throw new SysError('EINVAL');
    if (count < 0) throw new SysError('EINVAL');
    const data = file.ops.read(kernel, task, file, Math.min(count, MAX_IO), file.offset);
    if (data instanceof Uint8Array) {
      file.offset += data.length;
      countRead(task, data.length);
    }
    return data;
  },
  write(kernel, task, fd, data) {
    const file = fileOf(task, fd);
    writable(file);
    if (!file.ops.write) throw new SysError('EINVAL');
    const offset = file.flags & O_APPEND ? file.inode.size : file.offset;
    const n = file.ops.write(kernel, task, file, withinLimit(kernel, task, file, data, offset), offset);
    // What guest memory is written through may also ask to be called again.
    if (typeof n === 'number') {
      file.offset = offset + n;
      countWrite(task, file, n);
    }
    return n;
  },
  pread64(kernel, task, fd, count, offset) {
    const file = fileOf(task, fd);
    readable(file);
    seekable(file);
    if (file.inode.kind === 'dir') throw new SysError('EISDIR');
    if (!file.ops.read || offset < 0) throw new SysError('EINVAL');
    const read = file.ops.read(kernel, task, file, Math.min(count, MAX_IO), offset);
    if (read instanceof Uint8Array) countRead(task, read.length);
    return read;
  },
  pwrite64(kernel, task, fd, data, offset) {
    const file = fileOf(task, fd);
    writable(file);
    seekable(file);
    if (!file.ops.write || offset < 0) throw new SysError('EINVAL');
    const n = file.ops.write(kernel, task, file, withinLimit(kernel, task, file, data, offset), offset);
    if (typeof n === 'number') countWrite(task, file, n);
    return n;
  },
  lseek(_kernel, task, fd, offset, whence) {
    const file = fileOf(task, fd);
    seekable(file);
    if (whence === SEEK_DATA || whence === SEEK_HOLE) return seekSparse(file, offset, whence);
    const from = { [SEEK_SET]: 0, [SEEK_CUR]: file.offset, [SEEK_END]: file.inode.size }[whence];
    if (from === undefined || from + offset < 0) throw new SysError('EINVAL');
    file.offset = from + offset;
    return file.offset;
  },
  fstat(_kernel, task, fd) {
    return statFor(task, fileOf(task, fd).inode);
  },
  newfstatat: statPath,
  getdents64(kernel, task, fd) {
    const file = fileOf(task, fd);
    if (!file.ops.readdir) throw new SysError('ENOTDIR');
    if (file.offset > 0) return [];
    if (file.path!.dentry.deleted) throw new SysError('ENOENT');
    const entries = file.ops.readdir(kernel, task, file);
    file.offset = 1;
    const { inode } = file;
    return [{ name: '.', ino: inode.ino, type: 'dir' }, { name: '..', ino: file.path!.dentry.parent.inode.ino, type: 'dir' }, ...entries];
  },
  mkdirat(kernel, task, dirfd, path, mode) {
    const found = find(kernel, task, startOf(task, dirfd, path), path, false);
    if (found.target) throw new SysError('EEXIST');
    make(kernel, task, found, 'dir', mode & 0o7777 & ~task.fs.umask & 0o1777);
    return 0;
  },
  mknodat(kernel, task, dirfd, path, mode, major, minor) {
    const kinds: Record<number, InodeKind> = { 0: 'file', 0o100000: 'file', 0o020000: 'chr', 0o060000: 'blk', 0o010000: 'fifo', 0o140000: 'sock' };
    const kind = kinds[mode & 0o170000];
    if (!kind) throw new SysError('EINVAL');
    const whiteout = kind === 'chr' && major === 0 && minor === 0;
    const found = find(kernel, task, startOf(task, dirfd, path), path, false);
    if (found.target) throw new SysError('EEXIST');
    if (found.slash) throw new SysError('ENOENT');
    requireWritableDir(task, found.parent);
    if ((kind === 'chr' || kind === 'blk') && !whiteout && !capableEverywhere(task, 'mknod')) throw new SysError('EPERM');
    make(kernel, task, found, kind, mode & 0o7777 & ~task.fs.umask, [major, minor]);
    return 0;
  },
  unlinkat(kernel, task, dirfd, path, flags) {
    const found = find(kernel, task, startOf(task, dirfd, path), path, false);
    const { target } = found;
    const removeDir = (flags & AT_REMOVEDIR) !== 0;
    if (found.name === '') {
      if (!removeDir) throw new SysError('EISDIR');
      throw new SysError(path.endsWith('..') ? 'ENOTEMPTY' : path.replace(/\/+$/, '').endsWith('.') ? 'EINVAL' : 'EBUSY');
    }
    if (!target) throw new SysError('ENOENT');
    requireWritableDir(task, found.parent);
    requireSticky(task, found.parent, target);
    const isDir = target.dentry.inode.kind === 'dir';
    if (removeDir && !isDir) throw new SysError('ENOTDIR');
    if (!removeDir && isDir) throw new SysError('EISDIR');
    if (isMountPoint(target)) throw new SysError('EBUSY');
    const { ops } = target.dentry.sb;
    const remove = removeDir ? ops.rmdir : ops.unlink;
    if (!remove) throw new SysError('EPERM');
    remove(kernel, task, target.dentry);
    return 0;
  },
  renameat2(kernel, task, olddirfd, oldpath, newdirfd, newpath, flags) {
    const from = find(kernel, task, startOf(task, olddirfd, oldpath), oldpath, false);
    const to = find(kernel, task, startOf(task, newdirfd, newpath), newpath, false);
    if (from.name === '' || to.name === '') throw new SysError('EBUSY');
    const source = from.target;
    if (!source) throw new SysError('ENOENT');
    if (from.parent.mount !== to.parent.mount) throw new SysError('EXDEV');
    const isDir = source.dentry.inode.kind === 'dir';
    if (!isDir && (from.slash || to.slash)) throw new SysError('ENOTDIR');
    if (flags & 1 && to.target) throw new SysError('EEXIST');
    for (let d = to.parent.dentry; ; d = d.parent) {
      if (d === source.dentry) throw new SysError('EINVAL');
      if (d.parent === d) break;
    }
    for (let d = from.parent.dentry; to.target && d.parent !== d; d = d.parent) if (d === to.target.dentry) throw new SysError('ENOTEMPTY');
    requireWritableDir(task, from.parent);
    requireWritableDir(task, to.parent);
    requireSticky(task, from.parent, source);
    if (to.target && !(flags & 2)) {
      requireSticky(task, to.parent, to.target);
      if (to.target.dentry.inode === source.dentry.inode) return 0;
      const overDir = to.target.dentry.inode.kind === 'dir';
      if (isDir && !overDir) throw new SysError('ENOTDIR');
      if (!isDir && overDir) throw new SysError('EISDIR');
      if (isMountPoint(to.target)) throw new SysError('EBUSY');
    }
    if (isMountPoint(source)) throw new SysError('EBUSY');
    const { rename } = source.dentry.sb.ops;
    if (!rename) throw new SysError('EPERM');
    rename(kernel, task, source.dentry, to.parent.dentry, to.name, flags);
    return 0;
  },
  linkat(kernel, task, olddirfd, oldpath, newdirfd, newpath, flags) {
    const source = lookup(kernel, task, startOf(task, olddirfd, oldpath), oldpath, (flags & AT_SYMLINK_FOLLOW) !== 0);
    const found = find(kernel, task, startOf(task, newdirfd, newpath), newpath, false);
    if (found.target) throw new SysError('EEXIST');
    if (source.dentry.inode.kind === 'dir') throw new SysError('EPERM');
    if (found.slash) throw new SysError('ENOENT');
    if (source.mount !== found.parent.mount) throw new SysError('EXDEV');
    requireWritableDir(task, found.parent);
    const { link } = found.parent.dentry.sb.ops;
    if (!link) throw new SysError('EPERM');
    link(kernel, task, found.parent.dentry, found.name, source.dentry);
    return 0;
  },
  symlinkat(kernel, task, target, dirfd, path) {
    if (target === '') throw new SysError('ENOENT');
    const found = find(kernel, task, startOf(task, dirfd, path), path, false);
    if (found.target) throw new SysError('EEXIST');
    if (found.slash) throw new SysError('ENOENT');
    make(kernel, task, found, 'link', 0o777, [0, 0], target);
    return 0;
  },
  readlinkat(kernel, task, dirfd, path) {
    const { dentry } = lookup(kernel, task, startOf(task, dirfd, path), path, false);
    if (dentry.inode.kind !== 'link') throw new SysError('EINVAL');
    return readLink(kernel, task, dentry);
  },
  fchmodat(kernel, task, dirfd, path, mode) {
    const target = at(kernel, task, dirfd, path, AT_EMPTY_PATH);
    requireWritable(target);
    requireOwner(task, target);
    return setattr(kernel, task, target, { mode: mode & 0o7777 });
  },
  fchownat(kernel, task, dirfd, path, uid, gid, flags) {
    const target = at(kernel, task, dirfd, path, flags);
    requireWritable(target);
    const { inode } = target.dentry;
    const newUid = uid < 0 ? inode.uid : namedUid(task, uid);
    const newGid = gid < 0 ? inode.gid : namedGid(task, gid);
    const ownGroup = newUid === inode.uid && task.cred.euid === inode.uid && (newGid === task.cred.egid || task.cred.groups.includes(newGid));
    if (!ownGroup && !capableOver(task, inode, 'chown')) throw new SysError('EPERM');
    const mode = inode.kind === 'file' && inode.mode & 0o111 ? inode.mode & ~0o6000 : inode.mode;
    if (inode.xattrs?.has(FILE_CAPS)) target.dentry.sb.ops.setxattr?.(kernel, task, target.dentry, FILE_CAPS, null);
    return setattr(kernel, task, target, { uid: newUid, gid: newGid, mode });
  },
  utimensat(kernel, task, dirfd, path, atime, mtime, flags) {
    const target = at(kernel, task, dirfd, path, flags | AT_EMPTY_PATH);
    requireWritable(target);
    const both = atime === 'now' && mtime === 'now';
    if (!(both && permitted(task, target.dentry.inode, MAY_WRITE))) requireOwner(task, target);
    const now = wallClock(kernel);
    const { inode } = target.dentry;
    const pick = (value: number | 'now' | null, old: number): number => (value === null ? old : value === 'now' ? now : value);
    return setattr(kernel, task, target, { atime: pick(atime, inode.atime), mtime: pick(mtime, inode.mtime) });
  },
  truncate(kernel, task, path, length) {
    const target = lookup(kernel, task, task.fs.cwd, path);
    if (target.dentry.inode.kind === 'file') requireAccess(task, target.dentry.inode, MAY_WRITE);
    refuseRunning(kernel, target.dentry.inode);
    return truncateTo(kernel, task, target, length);
  },
  ftruncate(kernel, task, fd, length) {
    const file = fileOf(task, fd);
    if ((file.flags & O_ACCMODE) === 0) throw new SysError('EINVAL');
    if (!file.path) throw new SysError('EINVAL');
    return truncateTo(kernel, task, file.path, length);
  },
  fallocate(_kernel, task, fd, mode, offset, length) {
    const file = fileOf(task, fd);
    if ((file.flags & O_ACCMODE) === 0) throw new SysError('EBADF');
    if (offset < 0 || length <= 0) throw new SysError('EINVAL');
    if (mode !== 0 && mode !== 1) throw new SysError('EOPNOTSUPP');
    const inode = file.path?.dentry.sb.type === 'overlay' ? realInode(file.path.dentry) : file.inode;
    if (inode.kind !== 'file') throw new SysError(inode.kind === 'fifo' ? 'ESPIPE' : 'ENODEV');
    if (inode.sb.type !== 'ext4' && inode.sb.type !== 'tmpfs') throw new SysError('EOPNOTSUPP');
    allocate(inode, offset, length, mode === 0);
    return 0;
  },
  faccessat(kernel, task, dirfd, path, mode) {
    const target = at(kernel, task, dirfd, path, 0);
    if (mode !== 0 && !permitted(task, target.dentry.inode, mode)) throw new SysError('EACCES');
    if (mode & MAY_WRITE && target.dentry.inode.kind !== 'chr' && readonlyAt(target)) throw new SysError('EROFS');
    return 0;
  },
  statfs(kernel, task, path) {
    const { dentry } = lookup(kernel, task, task.fs.cwd, path);
    const { sb } = dentry;
    const total = Math.floor(kernel.memory / 4096);
    const { space } = sb.type === 'overlay' ? (kernel.drivers.get('rootfs') as SuperBlock) : sb;
    const size: ReturnType<NonNullable<SuperBlock['ops']['statfs']>> = sb.ops.statfs?.(kernel, sb) ??
      (space && sb.type !== 'mqueue' ? { ...blocksOf(space), ...filesOf(space.names ?? { most: total, used: sb.nextIno }) } : { blocks: 0, bfree: 0, files: 0, ffree: 0 });
    return { type: sb.type, bsize: size.bsize ?? 4096, blocks: Math.floor(size.blocks), bfree: Math.floor(size.bfree), bavail: Math.floor(size.bavail ?? size.bfree), files: size.files, ffree: size.ffree };
  },
  chdir(kernel, task, path) {
    const target = lookup(kernel, task, task.fs.cwd, path);
    if (target.dentry.inode.kind !== 'dir') throw new SysError('ENOTDIR');
    requireAccess(task, target.dentry.inode, MAY_EXEC);
    task.fs.cwd = target;
    return 0;
  },
  fchdir(_kernel, task, fd) {
    const file = fileOf(task, fd);
    if (file.inode.kind !== 'dir' || !file.path) throw new SysError('ENOTDIR');
    requireAccess(task, file.inode, MAY_EXEC);
    task.fs.cwd = file.path;
    return 0;
  },
  getcwd(_kernel, task) {
    if (task.fs.cwd.dentry.deleted) throw new SysError('ENOENT');
    return pathText(task, task.fs.cwd);
  },
  chroot(kernel, task, path) {
    const target = lookup(kernel, task, task.fs.cwd, path);
    if (target.dentry.inode.kind !== 'dir') throw new SysError('ENOTDIR');
    if (!capable(task, 'sys_chroot')) throw new SysError('EPERM');
    task.fs.root = target;
    return 0;
  },
  umask(_kernel, task, mask) {
    const old = task.fs.umask;
    task.fs.umask = mask & 0o777;
    return old;
  },
  dup(_kernel, task, fd) {
    return install(task, fileOf(task, fd), false);
  },
  dup3(kernel, task, oldfd, newfd, flags) {
    const file = fileOf(task, oldfd);
    if (oldfd === newfd) throw new SysError('EINVAL');
    if (newfd < 0 || newfd >= (task.limits?.RLIMIT_NOFILE?.cur ?? 1024)) throw new SysError('EBADF');
    const old = task.files.slots[newfd];
    put(task, newfd, { file, cloexec: (flags & O_CLOEXEC) !== 0 });
    if (old) dropFile(kernel, old.file);
    return newfd;
  },
  close_range(kernel, task, first, last, flags) {
    if (first > last || flags & ~CLOSE_RANGE_CLOEXEC) throw new SysError('EINVAL');
    const { slots } = task.files;
    for (let fd = first; fd <= last && fd < slots.length; fd++) {
      const slot = slots[fd];
      if (!slot) continue;
      if (flags & CLOSE_RANGE_CLOEXEC) slot.cloexec = true;
      else closeFd(kernel, task, fd);
    }
    return 0;
  },
  pipe2(kernel, task, flags) {
    const inode = makePipe(kernel);
    const ends = [0, 1].map((mode) => {
      const file = makeFile(null, inode, pipeOps, mode | (flags & O_NONBLOCK), null);
      joinPipe(kernel, file);
      return install(task, file, (flags & O_CLOEXEC) !== 0);
    });
    return [ends[0]!, ends[1]!];
  },
  fcntl(_kernel, task, fd, cmd, arg = 0) {
    const slot = slotOf(task, fd);
    switch (cmd) {
      case 'getfd':
        return slot.cloexec ? 1 : 0;
      case 'setfd':
        slot.cloexec = (arg & 1) !== 0;
        return 0;
      case 'getfl':
        return slot.file.flags;
      case 'setfl': {
        const settable = O_APPEND | O_NONBLOCK;
        slot.file.flags = (slot.file.flags & ~settable) | (arg & settable);
        return 0;
      }
      case 'dupfd':
      case 'dupfd_cloexec':
        return install(task, slot.file, cmd === 'dupfd_cloexec', arg);
      default:
        throw new SysError('EINVAL');
    }
  },
  ioctl(kernel, task, fd, request, arg) {
    const file = fileOf(task, fd);
    if (!file.ops.ioctl) throw new SysError('ENOTTY');
    return file.ops.ioctl(kernel, task, file, request, arg);
  },
  fsync(kernel, task, fd) {
    const file = fileOf(task, fd);
    if (file.inode.kind !== 'file' && file.inode.kind !== 'dir') throw new SysError('EINVAL');
    writeBack(kernel, task, file.path?.dentry.sb.type === 'overlay' ? realInode(file.path.dentry) : file.inode);
    return 0;
  },
  sync(kernel, task) {
    writeBackAll(kernel, task);
    return 0;
  },
  flock: (kernel, task, fd, operation) => flock(kernel, task, fileOf(task, fd), operation),
  ...xattrHandlers,
} satisfies Partial<Handlers>;
