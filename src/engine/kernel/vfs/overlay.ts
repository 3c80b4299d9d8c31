/**
 * OverlayFS: a merged view of one writable upper tree over read-only lower trees. Nothing is invented: upper and lower
 * are real directories of other file systems, a whiteout is a character device 0:0 in the upper tree, an opaque
 * directory carries trusted.overlay.opaque=y, and one function copies up. Defaults as docker uses it: redirect_dir,
 * index and metacopy off. Source: kernel doc filesystems/overlayfs.rst, and the recorded behaviour of 6.12.
 *
 * A merged dentry holds its upper dentry, its lower ones (topmost first) and an inode that stands for it: directories
 * and not-yet-copied files have an inode of the overlay's own, so that stat keeps its number when a copy-up happens.
 * Left out: redirect_dir=on, index=on, metacopy=on (mount refuses them), xino, nfs_export.
 */
import { record } from '../../sim/trace.ts';
import { uint32 } from '../../sim/random.ts';
import { bytes } from '../../sim/text.ts';
import { O_ACCMODE, O_TRUNC, SysError } from '../abi.ts';
import type { Kernel, Task } from '../records.ts';
import { mountOptions } from './options.ts';
import { type Content, readContent } from './content.ts';
import { createSuperBlock, makeDentry } from './inode.ts';
import { lookup as lookupPath, sameFile } from './path.ts';
import { RENAME_EXCHANGE } from './tmpfs.ts';
import type { Dentry, FileOps, FsOps, Inode, Path, SuperBlock } from './types.ts';

/** Its own attributes; what a program sets under that prefix is kept under the longer one. */
const OWN = 'trusted.overlay.';
const ESCAPED = 'trusted.overlay.overlay.';
const OPAQUE = 'trusted.overlay.opaque';
const IMPURE = 'trusted.overlay.impure';
const ORIGIN = 'trusted.overlay.origin';
const UUID = 'trusted.overlay.uuid';
const YES = bytes('y');

interface Layers {
  upper: Dentry | null;
  /** Topmost first; each a directory when the first is. */
  lower: Dentry[];
}

interface OverlayData {
  upper: Path | null;
  lowers: Path[];
  /** Merged dentries already made, so that a name keeps its identity. */
  children: WeakMap<Dentry, Map<string, Dentry>>;
  layers: WeakMap<Dentry, Layers>;
  /** One merged inode a hard-linked upper inode. */
  byUpper: Map<Inode, Inode>;
  /** All layers are of one file system. */
  sameFs: boolean;
  /** The whiteout that all are links of, as long as it has room. */
  whiteout: Dentry | null;
}

const dataOf = (sb: SuperBlock): OverlayData => sb.data as OverlayData;

/** Where a merged name comes from; for views. */
export function layersOf(entry: Dentry): Layers {
  return dataOf(entry.sb).layers.get(entry)!;
}

/** The directories that an overlay stands on: the writable one, and those below, topmost first; for views. */
export function treesOf(sb: SuperBlock): { upper: Dentry | null; lowers: Dentry[] } {
  const { upper, lowers } = dataOf(sb);
  return { upper: upper?.dentry ?? null, lowers: lowers.map((one) => one.dentry) };
}

/** The inode of the layer that a merged name shows. */
export function realInode(entry: Dentry): Inode {
  return real(layersOf(entry)).inode;
}

export function isWhiteout(inode: Inode): boolean {
  return inode.kind === 'chr' && inode.rdev[0] === 0 && inode.rdev[1] === 0;
}

export function isOpaque(dir: Dentry): boolean {
  return dir.inode.xattrs?.get(OPAQUE)?.[0] === YES[0];
}

const look = (kernel: Kernel, dir: Dentry, name: string): Dentry | null => dir.sb.ops.lookup(kernel, dir, name);

/** Finds a name through the stack: what shows and what lies below it. Null when nothing, or a whiteout, is there. */
function stack(kernel: Kernel, dir: Layers, name: string): Layers | null {
  let upper: Dentry | null = null;
  const lower: Dentry[] = [];
  let open = true;
  if (dir.upper) {
    const found = look(kernel, dir.upper, name);
    if (found) {
      if (isWhiteout(found.inode)) return null;
      upper = found;
      open = found.inode.kind === 'dir' && !isOpaque(found);
    }
  }
  for (const one of dir.lower) {
    if (!open) break;
    const found = look(kernel, one, name);
    if (!found) continue;
    if (isWhiteout(found.inode)) break;
    const isDir = found.inode.kind === 'dir';
    if (upper || lower.length > 0) {
      if (!isDir) break;
      lower.push(found);
    } else lower.push(found);
    open = isDir && !isOpaque(found);
  }
  return upper || lower.length > 0 ? { upper, lower } : null;
}

const real = (layers: Layers): Dentry => layers.upper ?? layers.lower[0]!;

/** The inode that stands for a merged name: attributes of the real one, a number of its own. */
function standIn(sb: SuperBlock, layers: Layers): Inode {
  const from = real(layers).inode;
  const data = dataOf(sb);
  const shared = layers.upper && from.kind !== 'dir' ? data.byUpper.get(from) : undefined;
  const inode: Inode = shared ?? { ...from, sb, ino: numberOf(sb, layers), data: layers };
  if (layers.upper && from.kind !== 'dir') data.byUpper.set(from, inode);
  copyAttributes(inode, layers);
  return inode;
}

/** When all layers are of one file system a name has the number of its origin there; else one of the overlay's own. */
function numberOf(sb: SuperBlock, { upper, lower }: Layers): number {
  const data = dataOf(sb);
  if (!data.sameFs) return sb.nextIno++;
  return (lower[0] ?? upper)!.inode.ino;
}

function copyAttributes(inode: Inode, layers: Layers): void {
  const from = real(layers).inode;
  inode.mode = from.mode;
  inode.uid = from.uid;
  inode.gid = from.gid;
  inode.size = from.size;
  inode.atime = from.atime;
  inode.mtime = from.mtime;
  inode.ctime = from.ctime;
  inode.rdev = from.rdev;
  inode.nlink = from.kind === 'dir' ? (layers.lower.length > 0 ? 1 : from.nlink) : from.nlink;
  inode.kind = from.kind;
  const shown = [...(from.xattrs ?? [])].flatMap(([name, value]): [string, Uint8Array][] =>
    name.startsWith(ESCAPED) ? [[`${OWN}${name.slice(ESCAPED.length)}`, value]] : name.startsWith(OWN) ? [] : [[name, value]],
  );
  inode.xattrs = shown.length > 0 ? new Map(shown) : null;
}

function merged(kernel: Kernel, dir: Dentry, name: string): Dentry | null {
  const data = dataOf(dir.sb);
  const layers = stack(kernel, layersOf(dir), name);
  let names = data.children.get(dir);
  const old = names?.get(name);
  if (!layers) {
    names?.delete(name);
    return null;
  }
  if (old && !old.deleted) {
    const had = data.layers.get(old)!;
    if (real(had) === real(layers) || (had.upper === null && had.lower[0] === layers.lower[0] && layers.upper !== null)) {
      had.upper = layers.upper;
      had.lower = layers.lower;
      copyAttributes(old.inode, had);
      return old;
    }
    old.deleted = true;
  }
  const dentry = makeDentry(name, dir, standIn(dir.sb, layers));
  data.layers.set(dentry, layers);
  if (!names) {
    names = new Map();
    data.children.set(dir, names);
  }
  names.set(name, dentry);
  return dentry;
}

/** Names of a merged directory: upper first, then what each lower adds; whiteouts hide. */
function list(kernel: Kernel, dir: Dentry): Dentry[] {
  const layers = layersOf(dir);
  const seen = new Set<string>();
  const found: Dentry[] = [];
  for (const one of [layers.upper, ...layers.lower]) {
    if (!one) continue;
    for (const { name } of one.sb.ops.readdir(kernel, one)) {
      if (seen.has(name)) continue;
      seen.add(name);
      const entry = merged(kernel, dir, name);
      if (entry) found.push(entry);
    }
  }
  return found;
}

function needUpper(sb: SuperBlock): void {
  if (!dataOf(sb).upper) throw new SysError('EROFS');
}

/** The path of a merged dentry inside the overlay, for records. */
function pathOf(entry: Dentry): string {
  let path = '';
  for (let d = entry; d.parent !== d; d = d.parent) path = `/${d.name}${path}`;
  return path || '/';
}

/**
 * Copies a name up, its directories first: same owner, mode, times, data and attributes, in the upper tree. A lower
 * hard link is broken: only this name is copied.
 */
function copyUp(kernel: Kernel, task: Task, entry: Dentry, without: 'data' | 'nothing' = 'nothing'): Dentry {
  const layers = layersOf(entry);
  if (layers.upper) return layers.upper;
  needUpper(entry.sb);
  const parent = copyUp(kernel, task, entry.parent);
  const from = layers.lower[0]!.inode;
  const { ops } = parent.sb;
  const stamp = { mtime: parent.inode.mtime, ctime: parent.inode.ctime };
  const copy = ops.create!(kernel, task, parent, entry.name, from.kind, from.mode, from.rdev, from.kind === 'link' ? (from.data as string) : '');
  Object.assign(parent.inode, stamp);
  const to = copy.inode;
  to.uid = from.uid;
  to.gid = from.gid;
  to.mode = from.mode;
  if (from.kind === 'file' && without !== 'data') copyData(kernel, task, copy, from);
  const xattrs = [...(from.xattrs ?? [])].filter(([name]) => !name.startsWith(OWN) || name.startsWith(ESCAPED));
  if (xattrs.length > 0) to.xattrs = new Map(xattrs);
  to.atime = from.atime;
  to.mtime = from.mtime;
  // One name of several is a file of its own from here on: it has no origin.
  if (from.kind === 'dir' || from.nlink === 1) ops.setxattr?.(kernel, task, copy, ORIGIN, bytes(`${from.sb.dev}:${from.ino}`));
  if (from.kind !== 'dir') markImpure(kernel, task, parent);
  else markImpure(kernel, task, parent);
  layers.upper = copy;
  if (from.kind !== 'dir') dataOf(entry.sb).byUpper.set(to, entry.inode);
  if (from.kind !== 'dir' && from.nlink > 1 && dataOf(entry.sb).sameFs) entry.inode.ino = to.ino;
  copyAttributes(entry.inode, layers);
  record(kernel.trace, 'kernel', kernel.name, 'overlay.copyup', { path: pathOf(entry), size: to.size, kind: from.kind, upper: upperName(entry.sb) });
  return copy;
}

/** Nothing of the layers below shows through this directory. */
function makeOpaque(kernel: Kernel, task: Task, upper: Dentry, dir: Dentry, name: string): void {
  upper.sb.ops.setxattr?.(kernel, task, upper, OPAQUE, YES);
  record(kernel.trace, 'kernel', kernel.name, 'overlay.opaque', { path: `${pathOf(dir) === '/' ? '' : pathOf(dir)}/${name}`, upper: upperName(dir.sb) });
}

function markImpure(kernel: Kernel, task: Task, dir: Dentry): void {
  if (!dir.inode.xattrs?.has(IMPURE)) dir.sb.ops.setxattr?.(kernel, task, dir, IMPURE, YES);
}

function upperName(sb: SuperBlock): string {
  const { upper } = dataOf(sb);
  let path = '';
  for (let d = upper!.dentry; d.parent !== d; d = d.parent) path = `/${d.name}${path}`;
  return path;
}

function copyData(kernel: Kernel, task: Task, copy: Dentry, from: Inode): void {
  const opened = copy.sb.ops.open(kernel, task, copy, 1);
  const file = { path: null, inode: copy.inode, ops: opened.ops, flags: 1, offset: 0, refs: 0, data: opened.data };
  const content = from.data as Content;
  const step = 1 << 20;
  for (let at = 0; at < from.size; at += step) opened.ops.write!(kernel, task, file, readContent(content, from.size, at, step), at);
}

const below = (kernel: Kernel, layers: Layers, name: string): boolean => {
  for (const one of layers.lower) {
    const found = look(kernel, one, name);
    if (found) return !isWhiteout(found.inode);
  }
  return false;
};

/** Hides a name of the lower trees: a whiteout in the upper one, a link of the shared one or, as a rename leaves it, of its own. */
function whiteout(kernel: Kernel, task: Task, dir: Dentry, name: string, how: 'shared' | 'own' = 'shared'): void {
  const upper = layersOf(dir).upper!;
  const data = dataOf(dir.sb);
  if (data.whiteout && how === 'shared') upper.sb.ops.link!(kernel, task, upper, name, data.whiteout);
  else {
    const made = upper.sb.ops.create!(kernel, task, upper, name, 'chr', 0, [0, 0], '');
    made.inode.uid = 0;
    made.inode.gid = 0;
    if (how === 'shared') {
      // One more name of it is kept in the work directory, to link the next one from.
      made.inode.nlink = 2;
      data.whiteout = makeDentry(name, null, made.inode);
    }
  }
  record(kernel.trace, 'kernel', kernel.name, 'overlay.whiteout', { path: `${pathOf(dir) === '/' ? '' : pathOf(dir)}/${name}`, upper: upperName(dir.sb) });
}

function removeUpper(kernel: Kernel, task: Task, entry: Dentry): void {
  if (entry.inode.kind === 'dir') {
    for (const { name } of entry.sb.ops.readdir(kernel, entry)) entry.sb.ops.unlink!(kernel, task, look(kernel, entry, name)!);
    entry.sb.ops.rmdir!(kernel, task, entry);
  } else entry.sb.ops.unlink!(kernel, task, entry);
}

function remove(kernel: Kernel, task: Task, entry: Dentry): void {
  needUpper(entry.sb);
  const dir = entry.parent;
  copyUp(kernel, task, dir);
  const layers = layersOf(entry);
  if (layers.upper) removeUpper(kernel, task, layers.upper);
  if (below(kernel, layersOf(dir), entry.name)) whiteout(kernel, task, dir, entry.name);
  forget(entry);
}

function forget(entry: Dentry): void {
  const data = dataOf(entry.sb);
  if (entry.inode.nlink > 0) entry.inode.nlink--;
  entry.deleted = true;
  data.children.get(entry.parent)?.delete(entry.name);
}

/** Makes way for a new upper name: takes a whiteout out of the upper tree; says whether one was there. */
function clearWhiteout(kernel: Kernel, task: Task, upper: Dentry, name: string): boolean {
  const there = look(kernel, upper, name);
  if (!there || !isWhiteout(there.inode)) return false;
  upper.sb.ops.unlink!(kernel, task, there);
  return true;
}

const dirOps: FileOps = {
  readdir: (kernel, _task, file) => list(kernel, file.path!.dentry).map((d) => ({ name: d.name, ino: d.inode.ino, type: d.inode.kind })),
};

/** An open file of the overlay reads and writes the real one it was opened on, and keeps the merged attributes true. */
function through(entry: Dentry, inner: Dentry, opened: { ops: FileOps; data: unknown }): { ops: FileOps; data: unknown } {
  const target = inner.inode;
  const open = { path: null, inode: target, ops: opened.ops, flags: 0, offset: 0, refs: 1, data: opened.data };
  const ops: FileOps = {
    ...(opened.ops.read
      ? {
          read(kernel, task, file, count, offset) {
            open.flags = file.flags;
            // Opened on a lower file that has been copied up since: what is read is the copy (mmap would keep the old one).
            const { upper } = layersOf(entry);
            if (!upper || upper.inode === target || entry.deleted) return opened.ops.read!(kernel, task, open, count, offset);
            const fresh = upper.sb.ops.open(kernel, task, upper, 0);
            return fresh.ops.read!(kernel, task, { ...open, inode: upper.inode, ops: fresh.ops, data: fresh.data }, count, offset);
          },
        }
      : {}),
    ...(opened.ops.write
      ? {
          write(kernel, task, file, data, offset) {
            open.flags = file.flags;
            const n = opened.ops.write!(kernel, task, open, data, offset);
            if (layersOf(entry).upper?.inode === target) copyAttributes(entry.inode, layersOf(entry));
            return n;
          },
        }
      : {}),
  };
  return { ops, data: null };
}

export const overlayOps: FsOps = {
  lookup: merged,
  readdir: (kernel, dir) => list(kernel, dir).map((d) => ({ name: d.name, ino: d.inode.ino, type: d.inode.kind })),
  create(kernel, task, dir, name, kind, mode, rdev, target) {
    needUpper(dir.sb);
    if (kind === 'chr' && rdev[0] === 0 && rdev[1] === 0) throw new SysError('EPERM');
    const upper = copyUp(kernel, task, dir);
    const over = clearWhiteout(kernel, task, upper, name);
    const made = upper.sb.ops.create!(kernel, task, upper, name, kind, mode, rdev, target);
    if (kind === 'dir' && (over || below(kernel, layersOf(dir), name))) makeOpaque(kernel, task, made, dir, name);
    syncDir(dir);
    return merged(kernel, dir, name)!;
  },
  link(kernel, task, dir, name, from) {
    needUpper(dir.sb);
    const source = copyUp(kernel, task, from);
    const upper = copyUp(kernel, task, dir);
    clearWhiteout(kernel, task, upper, name);
    upper.sb.ops.link!(kernel, task, upper, name, source);
    if (layersOf(from).lower.length > 0) markImpure(kernel, task, upper);
    dataOf(dir.sb).byUpper.set(source.inode, from.inode);
    copyAttributes(from.inode, layersOf(from));
    syncDir(dir);
    return merged(kernel, dir, name)!;
  },
  unlink(kernel, task, entry) {
    remove(kernel, task, entry);
    syncDir(entry.parent);
  },
  rmdir(kernel, task, entry) {
    if (list(kernel, entry).length > 0) throw new SysError('ENOTEMPTY');
    remove(kernel, task, entry);
    syncDir(entry.parent);
  },
  rename(kernel, task, entry, toDir, toName, flags) {
    needUpper(entry.sb);
    const isDir = entry.inode.kind === 'dir';
    const there = merged(kernel, toDir, toName);
    if (isDir && layersOf(entry).lower.length > 0) throw new SysError('EXDEV');
    if (flags & RENAME_EXCHANGE) {
      if (!there) throw new SysError('ENOENT');
      if (there.inode.kind === 'dir' && layersOf(there).lower.length > 0) throw new SysError('EXDEV');
    }
    const full = there !== null && there.inode.kind === 'dir' && !(flags & RENAME_EXCHANGE) && list(kernel, there).length > 0;
    if (full && layersOf(there).lower.length > 0) throw new SysError('ENOTEMPTY');
    const source = copyUp(kernel, task, entry);
    const from = entry.parent;
    const fromUpper = copyUp(kernel, task, from);
    const toUpper = copyUp(kernel, task, toDir);
    const old = look(kernel, toUpper, toName);
    if (flags & RENAME_EXCHANGE) {
      copyUp(kernel, task, there!);
      fromUpper.sb.ops.rename!(kernel, task, source, toUpper, toName, RENAME_EXCHANGE);
      forgetNames(entry, there!);
    } else {
      // Into a merged directory: nothing of a lower layer may show through it there. Done before the real rename is tried.
      if (isDir && layersOf(toDir).lower.length > 0 && !isOpaque(source)) makeOpaque(kernel, task, source, toDir, toName);
      if (full) throw new SysError('ENOTEMPTY');
      if (old) removeUpper(kernel, task, old);
      fromUpper.sb.ops.rename!(kernel, task, source, toUpper, toName, 0);
      if (below(kernel, layersOf(from), entry.name)) whiteout(kernel, task, from, entry.name, 'own');
      if (source.inode.xattrs?.has(ORIGIN)) markImpure(kernel, task, toUpper);
      if (there) forget(there);
      const data = dataOf(entry.sb);
      data.children.get(from)?.delete(entry.name);
      entry.parent = toDir;
      entry.name = toName;
      let names = data.children.get(toDir);
      if (!names) {
        names = new Map();
        data.children.set(toDir, names);
      }
      names.set(toName, entry);
      const layers = layersOf(entry);
      layers.lower = [];
      copyAttributes(entry.inode, layers);
    }
    syncDir(from);
    syncDir(toDir);
  },
  readlink(_kernel, entry) {
    const { inode } = real(layersOf(entry));
    if (inode.kind !== 'link') throw new SysError('EINVAL');
    return inode.data as string;
  },
  setattr(kernel, task, entry, change) {
    const upper = copyUp(kernel, task, entry, change.size === 0 ? 'data' : 'nothing');
    upper.sb.ops.setattr!(kernel, task, upper, change);
    copyAttributes(entry.inode, layersOf(entry));
  },
  setxattr(kernel, task, entry, name, value) {
    const upper = copyUp(kernel, task, entry);
    upper.sb.ops.setxattr?.(kernel, task, upper, name.startsWith(OWN) ? `${ESCAPED}${name.slice(OWN.length)}` : name, value);
    copyAttributes(entry.inode, layersOf(entry));
  },
  open(kernel, task, entry, flags) {
    if (entry.inode.kind === 'dir') return { ops: dirOps, data: null };
    const writes = (flags & O_ACCMODE) !== 0 || (flags & O_TRUNC) !== 0;
    const inner = writes && entry.inode.kind === 'file' ? copyUp(kernel, task, entry, flags & O_TRUNC ? 'data' : 'nothing') : real(layersOf(entry));
    const opened = inner.sb.ops.open(kernel, task, inner, flags);
    copyAttributes(entry.inode, layersOf(entry));
    if (entry.inode.kind !== 'file') return opened;
    return through(entry, inner, opened);
  },
};

function forgetNames(a: Dentry, b: Dentry): void {
  const { children } = dataOf(a.sb);
  for (const one of [a, b]) {
    one.deleted = true;
    children.get(one.parent)?.delete(one.name);
  }
}

function syncDir(dir: Dentry): void {
  copyAttributes(dir.inode, layersOf(dir));
}

const ACCEPTED = new Set(['lowerdir', 'upperdir', 'workdir', 'redirect_dir', 'index', 'metacopy', 'userxattr', 'xino', 'volatile', 'uuid', 'nfs_export']);

/** uuid=auto: the upper directory gets an identity at its first mount and keeps it. */
function identify(kernel: Kernel, task: Task, upper: Dentry): void {
  if (upper.inode.xattrs?.has(UUID)) return;
  upper.sb.ops.setxattr?.(kernel, task, upper, UUID, Uint8Array.from({ length: 16 }, () => uint32(kernel.random) & 255));
}

/** mount -t overlay -o lowerdir=A:B,upperdir=U,workdir=W. Errors as mount(2) gives them. */
export function createOverlay(kernel: Kernel, task: Task, source: string, data: string): SuperBlock {
  const options = mountOptions(data);
  for (const name of options.keys()) if (!ACCEPTED.has(name)) throw new SysError('EINVAL');
  for (const name of ['redirect_dir', 'index', 'metacopy']) if (options.get(name) === 'on') throw new SysError('EINVAL');
  const lowerdir = options.get('lowerdir');
  if (!lowerdir) throw new SysError('EINVAL');
  const directory = (text: string): Path => {
    const path = lookupPath(kernel, task, task.fs.cwd, text);
    if (path.dentry.inode.kind !== 'dir') throw new SysError('ENOTDIR');
    return path;
  };
  const lowers = lowerdir.split(':').map((one) => directory(one.replaceAll('\\:', ':')));
  const upperText = options.get('upperdir');
  const workText = options.get('workdir');
  if (upperText !== undefined && workText === undefined) throw new SysError('EINVAL');
  const upper = upperText === undefined ? null : directory(upperText);
  const work = upper ? directory(workText!) : null;
  if (upper && work) {
    if (upper.dentry.sb !== work.dentry.sb || sameFile(upper, work)) throw new SysError('EINVAL');
    if (!work.dentry.sb.ops.lookup(kernel, work.dentry, 'work')) work.dentry.sb.ops.create!(kernel, task, work.dentry, 'work', 'dir', 0, [0, 0], '');
  } else if (lowers.length < 2 && !upper) {
    if (lowers.length < 1) throw new SysError('EINVAL');
  }
  if (upper) identify(kernel, task, upper.dentry);
  const shown = [`lowerdir=${lowerdir}`, ...(upper ? [`upperdir=${upperText}`, `workdir=${workText}`, 'uuid=on'] : ['redirect_dir=on'])];
  const sb = createSuperBlock(kernel, 'overlay', source, overlayOps, shown.join(','));
  sb.readonly = upper === null;
  sb.nextIno = 1;
  const sameFs = [...lowers, ...(upper ? [upper] : [])].every((path) => path.dentry.sb === lowers[0]!.dentry.sb);
  sb.data = { upper, lowers, children: new WeakMap(), layers: new WeakMap(), byUpper: new Map(), sameFs, whiteout: null } satisfies OverlayData;
  const layers: Layers = { upper: upper?.dentry ?? null, lower: lowers.map((p) => p.dentry) };
  sb.root = makeDentry('', null, standIn(sb, layers));
  dataOf(sb).layers.set(sb.root, layers);
  return sb;
}

