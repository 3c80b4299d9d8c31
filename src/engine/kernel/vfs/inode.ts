/** Making inodes, names and file systems, and what every file system shares: permission bits, stat. Source: man 7 inode. */
import { EPOCH_SECONDS, SECOND } from '../../sim/units.ts';
import { O_ACCMODE, O_DIRECTORY, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG, S_IFSOCK, type Stat, SysError } from '../abi.ts';
import { idInside, shownGid, shownUid } from '../credentials.ts';
import type { Kernel, Task } from '../records.ts';
import type { Dentry, FsOps, Inode, InodeKind, SuperBlock } from './types.ts';

const TYPE_BITS: Record<InodeKind, number> = {
  file: S_IFREG, dir: S_IFDIR, link: S_IFLNK, chr: S_IFCHR, blk: S_IFBLK, fifo: S_IFIFO, sock: S_IFSOCK,
};

/** Seconds since 1970 on this kernel's clock, to the microsecond. */
export function wallClock(kernel: Kernel): number {
  return EPOCH_SECONDS + kernel.timeline.now / SECOND;
}

export function createSuperBlock(kernel: Kernel, type: string, source: string, ops: FsOps, options = '', data: unknown = null): SuperBlock {
  const sb: SuperBlock = {
    type, dev: kernel.mounts.nextDev++, source, ops, root: null as unknown as Dentry, nextIno: 1, readonly: false, options, data,
  };
  return sb;
}

export function makeInode(kernel: Kernel, sb: SuperBlock, kind: InodeKind, mode: number, data: unknown): Inode {
  const now = wallClock(kernel);
  return {
    ino: sb.nextIno++, sb, kind, mode, uid: 0, gid: 0, nlink: kind === 'dir' ? 2 : 1, size: 0, atime: now, mtime: now, ctime: now,
    rdev: [0, 0], xattrs: null, charged: null, data,
  };
}

export function makeDentry(name: string, parent: Dentry | null, inode: Inode): Dentry {
  const dentry: Dentry = { name, parent: parent as Dentry, inode, sb: inode.sb, deleted: false, hung: null };
  if (!parent) dentry.parent = dentry;
  return dentry;
}

/** The new inode's owner is its maker; in a set-group-ID directory the group is the directory's, and the bit goes on. */
export function own(task: Task, dir: Inode, inode: Inode): void {
  inode.uid = task.cred.euid;
  inode.gid = task.cred.egid;
  if ((dir.mode & 0o2000) === 0) return;
  inode.gid = dir.gid;
  if (inode.kind === 'dir') inode.mode |= 0o2000;
}

export function modeBits(inode: Inode): number {
  return TYPE_BITS[inode.kind] | inode.mode;
}

/** Pages that its content takes: of a file those that are no holes, of a directory those of a disk. */
function pagesOf({ kind, size, data }: Inode): number {
  if (kind === 'dir') return Math.floor(size / 4096);
  return kind === 'file' ? Math.ceil(size / 4096) - ((data as { holes?: number } | null)?.holes ?? 0) : 0;
}

export function statOf(inode: Inode): Stat {
  return {
    dev: inode.sb.dev, ino: inode.ino, mode: modeBits(inode), nlink: inode.nlink, uid: inode.uid, gid: inode.gid, rdev: inode.rdev,
    size: inode.size, blocks: pagesOf(inode) * 8, blksize: 4096,
    atime: inode.atime, mtime: inode.mtime, ctime: inode.ctime,
  };
}

export const MAY_READ = 4;
export const MAY_WRITE = 2;
export const MAY_EXEC = 1;

/** Has the task a capability in its own user namespace? */
export function capable(task: Task, capability: string): boolean {
  return task.cred.caps.effective.includes(capability);
}

/** In the first user namespace: what the whole machine is asked for. */
export function capableEverywhere(task: Task, capability: string): boolean {
  return !task.ns.user?.parent && capable(task, capability);
}

/** Over an inode: its owner and group must be known in the task's user namespace. */
export function capableOver(task: Task, inode: Inode, capability: string): boolean {
  if (!capable(task, capability)) return false;
  const user = task.ns.user;
  return !user?.parent || (idInside(user, inode.uid, 'uidMap') !== null && idInside(user, inode.gid, 'gidMap') !== null);
}

/** What stat tells a task: ids as its user namespace knows them. */
export function statFor(task: Task, inode: Inode): Stat {
  const stat = statOf(inode);
  if (!task.ns.user?.parent) return stat;
  stat.uid = shownUid(task, inode.uid);
  stat.gid = shownGid(task, inode.gid);
  return stat;
}

/** May this task do that (MAY_*) to the inode? CAP_DAC_OVERRIDE does all but execute what nobody may execute. */
export function permitted(task: Task, inode: Inode, mask: number): boolean {
  const { cred } = task;
  const shift = cred.euid === inode.uid ? 6 : cred.egid === inode.gid || cred.groups.includes(inode.gid) ? 3 : 0;
  if (((inode.mode >> shift) & mask) === mask) return true;
  if (capableOver(task, inode, 'dac_override') && ((mask & MAY_EXEC) === 0 || inode.kind === 'dir' || (inode.mode & 0o111) !== 0)) return true;
  return capableOver(task, inode, 'dac_read_search') && (mask === MAY_READ || (inode.kind === 'dir' && (mask & MAY_WRITE) === 0));
}

export function requireAccess(task: Task, inode: Inode, mask: number): void {
  if (permitted(task, inode, mask)) return;
  const wish = [mask & MAY_READ ? 'read' : '', mask & MAY_WRITE ? 'write' : '', mask & MAY_EXEC ? (inode.kind === 'dir' ? 'search' : 'execute') : ''].filter(Boolean).join(' and ');
  throw new SysError('EACCES', `uid ${task.cred.euid}, gid ${task.cred.egid} may not ${wish}: mode ${(inode.mode & 0o7777).toString(8).padStart(4, '0')}, owner ${inode.uid}:${inode.gid}, and it has not CAP_DAC_OVERRIDE`);
}

/** MAY_* that open flags ask for. */
export function accessOf(flags: number): number {
  const mode = flags & O_ACCMODE;
  return mode === 0 ? MAY_READ : mode === 1 ? MAY_WRITE : MAY_READ | MAY_WRITE;
}

export function requireDirectory(inode: Inode): void {
  if (inode.kind !== 'dir') throw new SysError('ENOTDIR');
}

export { O_DIRECTORY };
