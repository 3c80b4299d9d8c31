/**
 * From a path's text to a place: component by component through mounts, symbolic links and `..`, as path_resolution(7).
 * At most 40 links, names of 255 bytes, paths of 4096. A magic link (proc) leads straight to a path.
 */
import { SysError } from '../abi.ts';
import type { Kernel, Task } from '../records.ts';
import { hangingAt } from './hanging.ts';
import { MAY_EXEC, requireAccess } from './inode.ts';
import type { Dentry, Path } from './types.ts';

const MAX_LINKS = 40;

export interface Found {
  /** The directory that holds the last component. */
  parent: Path;
  /** The last component; empty when the path ends in "/", ".", ".." or is the root: then `target` is the place itself. */
  name: string;
  target: Path | null;
  /** The path ended in a slash: only a directory will do. */
  slash: boolean;
}

export function sameFile(a: Path, b: Path): boolean {
  return a.mount === b.mount && a.dentry === b.dentry;
}

/** Steps into whatever is mounted on a place, to the topmost. */
export function intoMounts(path: Path): Path {
  let { mount, dentry } = path;
  for (;;) {
    const over = hangingAt(mount, dentry);
    if (!over) return { mount, dentry };
    mount = over;
    dentry = over.root;
  }
}

export function parentOf(task: Task, path: Path): Path {
  let { mount, dentry } = path;
  if (sameFile(path, task.fs.root)) return path;
  while (dentry === mount.root) {
    if (mount.parent === mount) return { mount, dentry };
    dentry = mount.at;
    mount = mount.parent;
    if (sameFile({ mount, dentry }, task.fs.root)) return { mount, dentry };
  }
  return intoMounts({ mount, dentry: dentry.parent });
}

/** One step down; null when the name does not exist. */
export function child(kernel: Kernel, dir: Path, name: string): Path | null {
  const dentry = dir.dentry.sb.ops.lookup(kernel, dir.dentry, name);
  if (!dentry) return null;
  const path = { mount: dir.mount, dentry };
  return dentry.hung ? intoMounts(path) : path;
}

const KEPT_PATHS = 4096;
const cut = new Map<string, readonly string[]>();

/** The components of a path's text: the same paths are walked again and again. */
function partsOf(text: string): readonly string[] {
  const known = cut.get(text);
  if (known) return known;
  const parts = text.split('/').filter((part) => part !== '');
  if (cut.size >= KEPT_PATHS) cut.clear();
  cut.set(text, parts);
  return parts;
}

/**
 * Resolves all but insists on none of the last component. `follow` says whether a symbolic link at the end is followed;
 * a trailing slash follows it anyway. Throws ENOENT, ENOTDIR, ELOOP, EACCES, ENAMETOOLONG.
 */
export function find(kernel: Kernel, task: Task, start: Path, text: string, follow: boolean): Found {
  if (text === '') throw new SysError('ENOENT');
  if (text.length > 4095) throw new SysError('ENAMETOOLONG');
  const begin = text.startsWith('/') ? task.fs.root : start;
  let { mount, dentry } = begin;
  let parts: readonly string[] = partsOf(text);
  let slash = text.endsWith('/');
  let links = 0;
  for (let i = 0; i < parts.length; ) {
    const part = parts[i]!;
    const last = i === parts.length - 1;
    const { inode, sb } = dentry;
    if (inode.kind !== 'dir') throw new SysError('ENOTDIR');
    requireAccess(task, inode, MAY_EXEC);
    if (sb.bars) requireShown(task, dentry, 'enter');
    if (part === '.' || part === '..') {
      if (part === '..') ({ mount, dentry } = parentOf(task, { mount, dentry }));
      i++;
      continue;
    }
    if (part.length > 255) throw new SysError('ENAMETOOLONG');
    let next = sb.ops.lookup(kernel, dentry, part);
    if (!next) {
      if (last) return { parent: { mount, dentry }, name: part, target: null, slash };
      throw new SysError('ENOENT');
    }
    let over = mount;
    if (next.hung) ({ mount: over, dentry: next } = intoMounts({ mount, dentry: next }));
    if (next.inode.kind === 'link' && (!last || follow || slash)) {
      if (++links > MAX_LINKS) throw new SysError('ELOOP');
      const magic = next.sb.ops.follow?.(kernel, next, task);
      if (magic) {
        if (last) return { parent: { mount, dentry }, name: part, target: magic, slash };
        ({ mount, dentry } = magic);
        i++;
        continue;
      }
      const target = readLink(kernel, task, next);
      const rest = parts.slice(i + 1);
      if (target.endsWith('/') && rest.length === 0) slash = true;
      parts = [...partsOf(target), ...rest];
      if (target.startsWith('/')) ({ mount, dentry } = task.fs.root);
      i = 0;
      continue;
    }
    if (last) {
      if (slash && next.inode.kind !== 'dir') throw new SysError('ENOTDIR');
      if (next.sb.bars) requireShown(task, next, 'see');
      return { parent: { mount, dentry }, name: part, target: { mount: over, dentry: next }, slash };
    }
    mount = over;
    dentry = next;
    i++;
  }
  const at = { mount, dentry };
  return { parent: at, name: '', target: at, slash };
}

/** Some file systems hide names from some. */
export function requireShown(task: Task, entry: Dentry, how: 'see' | 'enter'): void {
  const errno = entry.sb.bars?.(task, entry, how);
  if (errno) throw new SysError(errno);
}

export function readLink(kernel: Kernel, task: Task, entry: Dentry): string {
  const read = entry.sb.ops.readlink;
  if (!read) throw new SysError('EINVAL');
  const target = read(kernel, entry, task);
  if (target === '') throw new SysError('ENOENT');
  return target;
}

/** A path that must exist. */
export function lookup(kernel: Kernel, task: Task, start: Path, text: string, follow = true): Path {
  const { target } = find(kernel, task, start, text, follow);
  if (!target) throw new SysError('ENOENT');
  return target;
}

/** The text of a path as `task` sees it; "(unreachable)" before what its root does not reach. */
export function pathText(task: Task, path: Path): string {
  let { mount, dentry } = path;
  const { root } = task.fs;
  let text = '';
  const deleted = dentry.deleted ? ' (deleted)' : '';
  for (;;) {
    if (mount === root.mount && dentry === root.dentry) break;
    if (dentry === mount.root) {
      if (mount.parent === mount) {
        if (root.mount !== mount || root.dentry !== dentry) return `(unreachable)${text === '' ? '/' : text}`;
        break;
      }
      dentry = mount.at;
      mount = mount.parent;
      continue;
    }
    text = `/${dentry.name}${text}`;
    dentry = dentry.parent;
  }
  return (text === '' ? '/' : text) + deleted;
}
