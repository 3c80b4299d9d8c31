/** Extended attributes. trusted.* needs CAP_SYS_ADMIN; user.* only on files and directories. Source: xattr(7). */
import { bytes } from '../../sim/text.ts';
import { SysError } from '../abi.ts';
import type { Task } from '../records.ts';
import { capableEverywhere, MAY_READ, MAY_WRITE, requireAccess } from '../vfs/inode.ts';
import { readonlyAt } from '../vfs/open.ts';
import { lookup } from '../vfs/path.ts';
import type { Inode } from '../vfs/types.ts';
import type { Handlers } from './handlers.ts';

function check(task: Task, inode: Inode, name: string, mask: number): void {
  const [space] = name.split('.', 1);
  if (name.length > 255 || !name.includes('.')) throw new SysError('EOPNOTSUPP');
  if (space === 'trusted') {
    if (!capableEverywhere(task, 'sys_admin')) throw new SysError(mask === MAY_WRITE ? 'EPERM' : 'ENODATA');
  } else if (space === 'user') {
    if (inode.kind !== 'file' && inode.kind !== 'dir') throw new SysError(mask === MAY_WRITE ? 'EPERM' : 'ENODATA');
    requireAccess(task, inode, mask);
  } else if (space !== 'security' && space !== 'system') throw new SysError('EOPNOTSUPP');
}

export const xattrHandlers = {
  setxattr(kernel, task, path, name, value, flags) {
    const target = lookup(kernel, task, task.fs.cwd, path);
    check(task, target.dentry.inode, name, MAY_WRITE);
    const set = target.dentry.sb.ops.setxattr;
    if (!set) throw new SysError('EOPNOTSUPP');
    if (readonlyAt(target)) throw new SysError('EROFS');
    const has = target.dentry.inode.xattrs?.has(name) ?? false;
    if (flags & 1 && has) throw new SysError('EEXIST');
    if (flags & 2 && !has) throw new SysError('ENODATA');
    set(kernel, task, target.dentry, name, value);
    return 0;
  },
  getxattr(kernel, task, path, name) {
    const { inode } = lookup(kernel, task, task.fs.cwd, path).dentry;
    check(task, inode, name, MAY_READ);
    const value = inode.xattrs?.get(name);
    if (!value) throw new SysError('ENODATA');
    return typeof value === 'string' ? bytes(value) : value;
  },
  listxattr(kernel, task, path) {
    const { inode } = lookup(kernel, task, task.fs.cwd, path).dentry;
    return [...(inode.xattrs?.keys() ?? [])].filter((name) => !name.startsWith('trusted.') || capableEverywhere(task, 'sys_admin'));
  },
  removexattr(kernel, task, path, name) {
    const target = lookup(kernel, task, task.fs.cwd, path);
    check(task, target.dentry.inode, name, MAY_WRITE);
    if (!target.dentry.inode.xattrs?.has(name)) throw new SysError('ENODATA');
    const set = target.dentry.sb.ops.setxattr;
    if (!set) throw new SysError('EOPNOTSUPP');
    set(kernel, task, target.dentry, name, null);
    return 0;
  },
} satisfies Partial<Handlers>;
