/** Opening by path: creation, permissions, special files. Source: open(2). */
import {
  AT_FDCWD, MS_NODEV, O_ACCMODE, O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_PATH, O_TRUNC, SysError,
} from '../abi.ts';
import { fifoLacksPeer, joinPipe } from '../pipe.ts';
import type { Kernel, Task } from '../records.ts';
import { fileOf, makeFile } from './descriptors.ts';
import { accessOf, MAY_EXEC, MAY_WRITE, requireAccess } from './inode.ts';
import { child, find, type Found, requireShown } from './path.ts';
import type { Dentry, File, Inode, InodeKind, Path } from './types.ts';

/** Where a relative path begins. */
export function startOf(task: Task, dirfd: number, path: string): Path {
  if (dirfd === AT_FDCWD || path.startsWith('/')) return task.fs.cwd;
  const file = fileOf(task, dirfd);
  if (!file.path) throw new SysError('ENOTDIR');
  return file.path;
}

export function readonlyAt(path: Path): boolean {
  return path.dentry.sb.readonly || (path.mount.flags & 1) !== 0;
}

/** The directory must take a new or lose an old name. */
export function requireWritableDir(task: Task, dir: Path): void {
  if (readonlyAt(dir)) throw new SysError('EROFS');
  requireAccess(task, dir.dentry.inode, MAY_WRITE | MAY_EXEC);
}

/** What somebody runs is not written to. Throws ETXTBSY. */
export function refuseRunning(kernel: Kernel, inode: Inode): void {
  if (inode.kind !== 'file' || (inode.mode & 0o111) === 0) return;
  for (const task of kernel.tasks.values()) if (task.exe?.dentry.inode === inode && task.state !== 'zombie' && task.state !== 'dead') throw new SysError('ETXTBSY');
}

/** Makes a new name where `found` says there is none. */
export function make(kernel: Kernel, task: Task, found: Found, kind: InodeKind, mode: number, rdev: readonly [number, number] = [0, 0], target = ''): Dentry {
  const dir = found.parent;
  if (dir.dentry.deleted) throw new SysError('ENOENT');
  requireWritableDir(task, dir);
  const { create } = dir.dentry.sb.ops;
  if (!create) throw new SysError('EPERM');
  return create(kernel, task, dir.dentry, found.name, kind, mode, rdev, target);
}

/** Opens a path; null means that the caller must wait (a fifo whose other end is not open). */
export function openPath(kernel: Kernel, task: Task, start: Path, text: string, flags: number, mode: number): File | null {
  const follow = !(flags & O_NOFOLLOW) && !(flags & O_CREAT && flags & O_EXCL);
  const found = find(kernel, task, start, text, follow);
  let path = found.target;
  if (path && flags & O_CREAT && flags & O_EXCL) throw new SysError('EEXIST');
  if (!path && flags & O_CREAT) {
    if (found.slash) throw new SysError('EISDIR');
    if (found.parent.dentry.inode.kind !== 'dir') throw new SysError('ENOTDIR');
    make(kernel, task, found, 'file', mode & 0o7777 & ~task.fs.umask);
    path = child(kernel, found.parent, found.name)!;
    return description(kernel, task, path, flags & ~O_TRUNC);
  }
  if (!path) throw new SysError('ENOENT');
  const { inode } = path.dentry;
  if (inode.kind === 'link') {
    if (flags & O_PATH) return makeFile(path, inode, {}, flags, null);
    throw new SysError('ELOOP');
  }
  if (flags & O_DIRECTORY && inode.kind !== 'dir') throw new SysError('ENOTDIR');
  if (flags & O_PATH) return makeFile(path, inode, {}, flags, null);
  if (inode.kind === 'dir' && ((flags & O_ACCMODE) !== 0 || flags & O_CREAT)) throw new SysError('EISDIR');
  const onReadonly = (inode.kind === 'file' || inode.kind === 'dir') && readonlyAt(path);
  if (flags & O_TRUNC && onReadonly) throw new SysError('EROFS');
  if ((inode.kind === 'chr' || inode.kind === 'blk') && path.mount.flags & MS_NODEV) throw new SysError('EACCES');
  requireAccess(task, inode, accessOf(flags));
  if (path.dentry.sb.bars) requireShown(task, path.dentry, 'enter');
  if (flags & O_ACCMODE && onReadonly) throw new SysError('EROFS');
  if (flags & O_ACCMODE || flags & O_TRUNC) refuseRunning(kernel, inode);
  if (inode.kind === 'fifo' && fifoWaits(kernel, task, path, flags)) return null;
  return description(kernel, task, path, flags);
}

/** A fifo's end counts as open while its opener waits for the other; the description made first is kept in scratch. */
function fifoWaits(_kernel: Kernel, _task: Task, path: Path, flags: number): boolean {
  if (flags & O_NONBLOCK) {
    if ((flags & O_ACCMODE) === 1 && fifoLacksPeer(path.dentry.inode, flags)) throw new SysError('ENXIO');
  }
  return false;
}

function description(kernel: Kernel, task: Task, path: Path, flags: number): File {
  const { ops, data, inode } = path.dentry.sb.ops.open(kernel, task, path.dentry, flags);
  const file = makeFile(path, inode ?? path.dentry.inode, ops, flags, data);
  if (file.inode.kind === 'fifo') joinPipe(kernel, file);
  if (flags & O_APPEND) file.offset = file.inode.size;
  return file;
}
