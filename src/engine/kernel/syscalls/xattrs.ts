/** Extended attributes. trusted.* needs CAP_SYS_ADMIN; user.* only on files and directories. Source: xattr(7). */
import { bytes } from '../../sim/text.ts';
import { SysError } from '../abi.ts';
import { FILE_CAPS, shownFileCaps, storedFileCaps } from '../filecaps.ts';
import type { Kernel, Task } from '../records.ts';
import { capableEverywhere, capableOver, MAY_READ, MAY_WRITE, requireAccess } from '../vfs/inode.ts';
import { readonlyAt } from '../vfs/open.ts';
import { lookup } from '../vfs/path.ts';
import type { Inode, Path } from '../vfs/types.ts';
import type { Handlers } from './handlers.ts';

function check(task: Task, inode: Inode, name: string, mask: number): void {
  const [space] = name.split('.', 1);
  if (name.length > 255 || !name.includes('.')) throw new SysError('EOPNOTSUPP');
  if (space === 'trusted') {
    if (!capableEverywhere(task, 'sys_admin')) throw new SysError(mask === MAY_WRITE ? 'EPERM' : 'ENODATA');
  } else if (space === 'user') {
    if (inode.kind !== 'file' && inode.kind !== 'dir') throw new SysError(mask === MAY_WRITE ? 'EPERM' : 'ENODATA');
    requireAccess(task, inode, mask);
  } else if (name === FILE_CAPS) {
    if (mask === MAY_WRITE && !capableOver(task, inode, 'setfcap')) throw new SysError('EPERM');
  } else if (space === 'security') {
    if (mask === MAY_WRITE && !capableEverywhere(task, 'sys_admin')) throw new SysError('EPERM');
  } else if (!/^system\.posix_acl_(access|default)$/.test(name)) throw new SysError('EOPNOTSUPP');
}

type Follow = 'target' | 'link';

const at = (kernel: Kernel, task: Task, path: string, follow: Follow): Path => lookup(kernel, task, task.fs.cwd, path, follow === 'target');

function set(kernel: Kernel, task: Task, follow: Follow, path: string, name: string, value: Uint8Array, flags: number): 0 {
  const target = at(kernel, task, path, follow);
  check(task, target.dentry.inode, name, MAY_WRITE);
  const { setxattr } = target.dentry.sb.ops;
  if (!setxattr) throw new SysError('EOPNOTSUPP');
  if (readonlyAt(target)) throw new SysError('EROFS');
  const has = target.dentry.inode.xattrs?.has(name) ?? false;
  if (flags & 1 && has) throw new SysError('EEXIST');
  if (flags & 2 && !has) throw new SysError('ENODATA');
  setxattr(kernel, task, target.dentry, name, name === FILE_CAPS ? storedFileCaps(task, value) : value);
  return 0;
}

function get(kernel: Kernel, task: Task, follow: Follow, path: string, name: string): Uint8Array {
  const { inode } = at(kernel, task, path, follow).dentry;
  check(task, inode, name, MAY_READ);
  const value = inode.xattrs?.get(name);
  if (!value) throw new SysError('ENODATA');
  const found = typeof value === 'string' ? bytes(value) : value;
  return name === FILE_CAPS ? shownFileCaps(task, found) : found;
}

function list(kernel: Kernel, task: Task, follow: Follow, path: string): string[] {
  const { inode } = at(kernel, task, path, follow).dentry;
  return [...(inode.xattrs?.keys() ?? [])].filter((name) => !name.startsWith('trusted.') || capableEverywhere(task, 'sys_admin'));
}

function remove(kernel: Kernel, task: Task, follow: Follow, path: string, name: string): 0 {
  const target = at(kernel, task, path, follow);
  check(task, target.dentry.inode, name, MAY_WRITE);
  if (!target.dentry.inode.xattrs?.has(name)) throw new SysError('ENODATA');
  const { setxattr } = target.dentry.sb.ops;
  if (!setxattr) throw new SysError('EOPNOTSUPP');
  if (readonlyAt(target)) throw new SysError('EROFS');
  setxattr(kernel, task, target.dentry, name, null);
  return 0;
}

export const xattrHandlers = {
  setxattr: (kernel, task, path, name, value, flags) => set(kernel, task, 'target', path, name, value, flags),
  lsetxattr: (kernel, task, path, name, value, flags) => set(kernel, task, 'link', path, name, value, flags),
  getxattr: (kernel, task, path, name) => get(kernel, task, 'target', path, name),
  lgetxattr: (kernel, task, path, name) => get(kernel, task, 'link', path, name),
  listxattr: (kernel, task, path) => list(kernel, task, 'target', path),
  llistxattr: (kernel, task, path) => list(kernel, task, 'link', path),
  removexattr: (kernel, task, path, name) => remove(kernel, task, 'target', path, name),
  lremovexattr: (kernel, task, path, name) => remove(kernel, task, 'link', path, name),
} satisfies Partial<Handlers>;
