/** flock(2): advisory locks of whole files, held by open descriptions. A description that is gone holds none. */
import { SysError } from '../abi.ts';
import type { Kernel, Task } from '../records.ts';
import { waitOn, wake } from '../wait.ts';
import { BLOCK, type File, type Inode } from './types.ts';

export const LOCK_SH = 1;
export const LOCK_EX = 2;
export const LOCK_NB = 4;
export const LOCK_UN = 8;

interface Holders {
  kind: typeof LOCK_SH | typeof LOCK_EX;
  files: Set<File>;
}

const held = new WeakMap<Inode, Holders>();

const channel = (inode: Inode): string => `flock:${inode.sb.dev}:${inode.ino}`;

/** Lets go of whatever lock this description has. */
export function unlock(kernel: Kernel, file: File): void {
  const holders = held.get(file.inode);
  if (!holders?.files.delete(file)) return;
  if (holders.files.size === 0) held.delete(file.inode);
  wake(kernel, channel(file.inode));
}

/** Throws EAGAIN (LOCK_NB), EINVAL. Changing the kind of a lock lets go of it first, as the real call does. */
export function flock(kernel: Kernel, task: Task, file: File, operation: number): 0 | typeof BLOCK {
  const kind = operation & ~LOCK_NB;
  if (kind === LOCK_UN) {
    unlock(kernel, file);
    return 0;
  }
  if (kind !== LOCK_SH && kind !== LOCK_EX) throw new SysError('EINVAL');
  const holders = held.get(file.inode);
  if (holders?.files.has(file)) {
    if (holders.kind === kind) return 0;
    unlock(kernel, file);
  }
  const others = held.get(file.inode);
  if (!others || (others.kind === LOCK_SH && kind === LOCK_SH)) {
    if (others) others.files.add(file);
    else held.set(file.inode, { kind, files: new Set([file]) });
    return 0;
  }
  if (operation & LOCK_NB) throw new SysError('EAGAIN');
  waitOn(kernel, task, channel(file.inode));
  return BLOCK;
}
