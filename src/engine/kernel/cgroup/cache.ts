/** The page cache of a file grows: who writes or reads first pays, reclaiming or killing as its limits demand. Source: kernel doc cgroup-v2 (memory). */
import { PAGE } from '../../sim/units.ts';
import { SysError } from '../abi.ts';
import { reclaimOrKill } from '../oom.ts';
import type { Kernel, Task } from '../records.ts';
import type { Inode } from '../vfs/types.ts';
import { dropShared } from '../swap.ts';
import { cachedPages, fileKind, holesOf } from './charge.ts';
import { highStall } from './reclaim.ts';
import type { Cgroup } from './types.ts';

/** Makes the page cache of a file as large as `size` needs; the new pages are charged to the group of the task that grew it. */
export function chargeFile(kernel: Kernel, task: Task, inode: Inode, size: number): void {
  const more = Math.ceil(size / PAGE) - holesOf(inode) - cachedPages(inode) - sharedOut(inode);
  if (more <= 0) return;
  const { cgroup } = task;
  // A file larger than its group may hold goes through in parts: what was cached first makes room for the rest.
  const part = Math.max(1, Math.min(more, 256));
  for (let done = 0; done < more; done += part) {
    const pages = Math.min(part, more - done);
    if (!reclaimOrKill(kernel, task, cgroup, fileKind(inode), pages)) throw new SysError('ENOMEM');
    inode.charged ??= new Map();
    inode.charged.set(cgroup, (inode.charged.get(cgroup) ?? 0) + pages);
    if (fileKind(inode) === 'file') cacheIn(cgroup, inode);
    else cgroup.memory.shared.add(inode);
    task.heldBack = Math.max(task.heldBack, highStall(kernel, cgroup, pages));
  }
}

/** Pages of a file of tmpfs that are out in swap. */
const sharedOut = (inode: Inode): number => [...(inode.swapped?.values() ?? [])].reduce((sum, n) => sum + n, 0);

/** Pages of a file of tmpfs are read: as many of them as are out come back, charged to whose slots they held. */
export function readShared(kernel: Kernel, task: Task, inode: Inode, pages: number): void {
  const share = Math.ceil((pages * sharedOut(inode)) / Math.max(1, Math.ceil(inode.size / PAGE)));
  let left = Math.min(share, sharedOut(inode));
  for (const [cgroup, out] of [...inode.swapped!]) {
    const part = Math.min(left, out);
    if (part <= 0) return;
    if (!reclaimOrKill(kernel, task, cgroup, 'shmem', part)) throw new SysError('ENOMEM');
    dropShared(kernel, inode, sharedOut(inode) - part);
    inode.charged ??= new Map();
    inode.charged.set(cgroup, (inode.charged.get(cgroup) ?? 0) + part);
    cgroup.memory.shared.add(inode);
    left -= part;
  }
}

/** Puts a file at the young end of its group's list of reclaimable cache. */
function cacheIn(cgroup: Cgroup, inode: Inode): void {
  cgroup.memory.cache.delete(inode);
  cgroup.memory.cache.add(inode);
}
