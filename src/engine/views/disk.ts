/** Files of a machine's own disk, for views that read what daemons have written there. */
import type { Kernel } from '../kernel/records.ts';
import { type Content, readContent } from '../kernel/vfs/content.ts';
import { childrenOf } from '../kernel/vfs/tmpfs.ts';
import type { Dentry, SuperBlock } from '../kernel/vfs/types.ts';
import { text } from '../sim/text.ts';

/** The name at a path of the root file system, no links followed; null when it is not there. */
export function entryAt(kernel: Kernel, path: string): Dentry | null {
  let at = (kernel.drivers.get('rootfs') as SuperBlock | undefined)?.root ?? null;
  for (const part of path.split('/')) {
    if (part === '' || !at) continue;
    at = at.inode.kind === 'dir' ? (childrenOf(at.inode).get(part) ?? null) : null;
  }
  return at;
}

/** Names in a directory, sorted; none when it is not there. */
export function entriesOf(dir: Dentry | null): Dentry[] {
  if (dir?.inode.kind !== 'dir' || !(dir.inode.data instanceof Map)) return [];
  return [...childrenOf(dir.inode).values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

export function textAt(kernel: Kernel, path: string): string | null {
  const found = entryAt(kernel, path);
  if (found?.inode.kind !== 'file') return null;
  return text(readContent(found.inode.data as Content, found.inode.size, 0, found.inode.size));
}

/** A JSON file; null when it is missing or half written. */
export function jsonAt<T>(kernel: Kernel, path: string): T | null {
  const source = textAt(kernel, path);
  if (source === null) return null;
  try {
    return JSON.parse(source) as T;
  } catch {
    return null;
  }
}
