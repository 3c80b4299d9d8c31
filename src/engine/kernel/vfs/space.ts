/**
 * How much a file system in memory, or the modelled disk, holds and may hold, in pages. A tmpfs takes half of the memory unless
 * it is told a size. Pages of holes are free. Source: tmpfs(5), statfs(2). A name in a
 * tmpfs takes one of its inodes, a further one of the same file too. Left out: inodes of the disk run out, blocks kept for root.
 */
import { PAGE } from '../../sim/units.ts';
import { SysError } from '../abi.ts';
import { holesOf } from '../cgroup/charge.ts';
import { addGap, type Content, fillGaps } from './content.ts';
import type { Inode, SuperBlock } from './types.ts';

/** What one file system really keeps, bytes: zeros are free. Beyond that the disk is full, lest the lab's own memory run out. */
const KEPT_MAX = 512 * 1024 * 1024;

const keptBy = (inode: Inode): number => (inode.data as { kept?: number } | null)?.kept ?? 0;

const pagesOf = (inode: Inode): number => (inode.kind === 'file' ? Math.ceil(inode.size / PAGE) - holesOf(inode) : 0);

type Space = NonNullable<SuperBlock['space']>;

/** What statfs(2) tells; nothing of what has no limit. */
export function blocksOf({ pages, used }: Space): { blocks: number; bfree: number } {
  return Number.isFinite(pages) ? { blocks: pages, bfree: Math.max(0, pages - used) } : { blocks: 0, bfree: 0 };
}

export function filesOf({ most, used }: NonNullable<Space['names']>): { files: number; ffree: number } {
  return Number.isFinite(most) ? { files: most, ffree: Math.max(0, most - used) } : { files: 0, ffree: 0 };
}

/** Throws ENOSPC when no further name may be made. */
export function requireName({ space }: SuperBlock): void {
  if (space?.names && space.names.used >= space.names.most) throw new SysError('ENOSPC');
}

export function takeName({ space }: SuperBlock): void {
  if (space?.names) space.names.used++;
}

export function dropName({ space }: SuperBlock): void {
  if (space?.names) space.names.used--;
}

/** How many of `length` bytes can be written at `offset`. Throws ENOSPC when not one can. */
export function roomFor(inode: Inode, offset: number, length: number): number {
  const { space } = inode.sb;
  if (!space || length === 0) return length;
  if (space.kept > KEPT_MAX) throw new SysError('ENOSPC');
  const last = Math.ceil(inode.size / PAGE);
  const more = Math.ceil((offset + length) / PAGE) - Math.max(last, Math.floor(offset / PAGE));
  const over = more - Math.max(0, space.pages - space.used);
  if (more <= 0 || over <= 0) return length;
  const fits = (Math.ceil((offset + length) / PAGE) - over) * PAGE - offset;
  if (fits <= 0) throw new SysError('ENOSPC');
  return fits;
}

/** Does something that changes how many pages a file has, and counts them. */
export function counting(inode: Inode, change: () => void): void {
  const [pages, kept] = [pagesOf(inode), keptBy(inode)];
  change();
  const { space } = inode.sb;
  if (!space) return;
  space.used += pagesOf(inode) - pages;
  space.kept += keptBy(inode) - kept;
}

/** Takes room for bytes that nobody writes: fallocate(2). Throws ENOSPC when not all of it is there. */
export function allocate(inode: Inode, offset: number, length: number, longer: boolean): void {
  if (roomFor(inode, offset, length) < length) throw new SysError('ENOSPC');
  const end = offset + length;
  counting(inode, () => {
    fillGaps(inode.data as Content, Math.floor(offset / PAGE), Math.ceil(end / PAGE));
    if (longer && end > inode.size) {
      if (offset > inode.size) addGap(inode.data as Content, Math.ceil(inode.size / PAGE), Math.floor(offset / PAGE));
      inode.size = end;
    }
  });
}

/** A file is gone. */
export function freeSpace(inode: Inode): void {
  const { space } = inode.sb;
  if (!space) return;
  space.used = Math.max(0, space.used - pagesOf(inode));
  space.kept = Math.max(0, space.kept - keptBy(inode));
}
