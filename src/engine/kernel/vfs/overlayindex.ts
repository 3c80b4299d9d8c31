/**
 * The index of an overlay (index=on): a lower file of several names is copied up once, into WORKDIR/index under the hexadecimal of its
 * handle; names that are written are links of that copy, names that are not show it too, so that hard links stay what they are.
 * How many names the file has in the merged tree is kept with the copy, as a difference from its own number ("U+1"). Source: kernel doc filesystems/overlayfs.rst (Inode index), fs/overlayfs/{copy_up,namei,inode,util}.c.
 * Left out: indexes of directories (nfs_export), cleaning of stale entries at mount.
 */
import { bytes, text } from '../../sim/text.ts';
import { SysError } from '../abi.ts';
import { logLine } from '../log.ts';
import type { Kernel, Task } from '../records.ts';
import type { Dentry, Inode, SuperBlock } from './types.ts';

/** struct ovl_fb over a file handle of tmpfs: version 0, magic, length, little-endian, type 1, the file system's uuid, generation, number. */
export function handleOf(inode: Inode): Uint8Array {
  const handle = new Uint8Array(33);
  handle.set([0, 0xfb, handle.length, 0, 1]);
  const view = new DataView(handle.buffer);
  view.setUint32(5, inode.sb.dev * 0x9e3779b1);
  for (const [at, salt] of [[9, 0x85ebca6b], [13, 0xc2b2ae35], [17, 0x27d4eb2f]] as const) view.setUint32(at, (inode.sb.dev + 1) * salt);
  view.setUint32(21, inode.ino * 0x9e3779b1, true);
  view.setUint32(25, inode.ino, true);
  return handle;
}

/** Under which name the index has the copy of a lower file. */
export const indexName = (lower: Inode): string => Array.from(handleOf(lower), (byte) => byte.toString(16).padStart(2, '0')).join('');

export const isIndexed = (lower: Inode): boolean => lower.kind !== 'dir' && lower.nlink > 1;

/** What the attribute says that the merged file has: names; null without it. */
export function unionLinks(stored: Uint8Array | undefined, upper: Inode): number | null {
  const said = stored && /^U([+-]\d+)$/.exec(text(stored));
  return said ? Math.max(0, upper.nlink + Number(said[1])) : null;
}

/** The attribute for a file that has `links` names, told from the copy's number. */
export function linksText(links: number, upper: Inode): Uint8Array {
  const difference = links - upper.nlink;
  return bytes(`U${difference < 0 ? '' : '+'}${difference}`);
}

/** Upper directories and the file system that was mounted over each last, and by which kernel: a disk outlives it. */
const users = new WeakMap<Dentry, { kernel: Kernel; sb: SuperBlock }>();

export function noteUser(kernel: Kernel, upper: Dentry, sb: SuperBlock): void {
  users.set(upper, { kernel, sb });
}

/** Another mount writes here. */
export function inUse(kernel: Kernel, dir: Dentry): boolean {
  const other = users.get(dir);
  return other?.kernel === kernel && (other.sb.mounts ?? 0) > 0;
}

/** With an index a directory belongs to one mount; without it the log warns. Throws EBUSY. */
export function reportInUse(kernel: Kernel, what: 'upperdir' | 'workdir' | 'lowerdir', index: boolean): void {
  const text = `overlayfs: ${what} is in-use as upperdir/workdir of another mount,`;
  if (!index) {
    logLine(kernel, 4, `${text} accessing files from both mounts will result in undefined behavior.`);
    return;
  }
  logLine(kernel, 3, `${text} mount with '-o index=off' to override exclusive upperdir protection.`);
  throw new SysError('EBUSY');
}

const same = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, i) => byte === b[i]);

/** The directory of the index, made at the first mount; upper, lower and index know each other by their handles. Throws ESTALE for others than then. */
export function openIndex(kernel: Kernel, task: Task, own: string, work: Dentry, upper: Dentry, lower: Dentry): Dentry {
  const { ops } = work.sb;
  const index = ops.lookup(kernel, work, 'index') ?? ops.create!(kernel, task, work, 'index', 'dir', 0, [0, 0], '');
  const agree = (at: Dentry, name: string, with_: Dentry, what: string): void => {
    const has = at.inode.xattrs?.get(own + name);
    if (!has) ops.setxattr?.(kernel, task, at, own + name, handleOf(with_.inode));
    else if (!same(has, handleOf(with_.inode))) {
      if (name === 'upper') logLine(kernel, 4, `overlayfs: failed to verify upper (${with_.parent.name}/${with_.name}, ino=${with_.inode.ino}, err=-116)`);
      logLine(kernel, 3, `overlayfs: failed to verify ${what}`);
      if (name === 'upper') logLine(kernel, 4, "overlayfs: try deleting index dir or mounting with '-o index=off' to disable inodes index.");
      throw new SysError('ESTALE');
    }
  };
  agree(upper, 'origin', lower, 'upper root origin');
  agree(index, 'upper', upper, "index dir 'upper' xattr");
  return index;
}
