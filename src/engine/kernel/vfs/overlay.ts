/**
 * OverlayFS: a merged view of one writable upper tree over read-only lower trees. Nothing is invented: upper and lower
 * are real directories of other file systems, a whiteout is a character device 0:0 in the upper tree, an opaque
 * directory carries trusted.overlay.opaque=y, and one function copies up. With redirect_dir=on a renamed directory of a
 * lower layer says in trusted.overlay.redirect where that layer has it. Defaults as docker uses it: redirect_dir, index and
 * metacopy off. Source: kernel doc filesystems/overlayfs.rst, and the recorded behaviour of 6.12.
 *
 * A merged dentry holds its upper dentry, its lower ones (topmost first) and an inode that stands for it: directories
 * and not-yet-copied files have an inode of the overlay's own, so that stat keeps its number when a copy-up happens.
 * Left out: index=on, metacopy=on (mount refuses them), xino, nfs_export.
 */
import { record } from '../../sim/trace.ts';
import { bytes, text } from '../../sim/text.ts';
import { O_ACCMODE, O_TRUNC, RENAME_EXCHANGE, SysError } from '../abi.ts';
import type { Kernel, Task } from '../records.ts';
import type { Dirent } from '../sys.ts';
import { mountOptions } from './options.ts';
import { featuresOf, shownOptions, uuidMode } from './overlayoptions.ts';
import { type Content, readContent } from './content.ts';
import { createSuperBlock, makeDentry } from './inode.ts';
import { lookup as lookupPath, sameFile } from './path.ts';
import type { Dentry, FileOps, FsOps, Inode, Path, SuperBlock } from './types.ts';

const YES = bytes('y');
/** Longest redirect, bytes. */
const REDIRECT_MAX = 256;

type OwnName = 'opaque' | 'impure' | 'origin' | 'uuid' | 'redirect' | 'metacopy';

interface Layers {
  upper: Dentry | null;
  /** Topmost first; each a directory when the first is. Under a file that was copied up without its data, where that lies is last. */
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
  /** Its own attributes begin so (user.overlay. with userxattr); what a program sets under it is kept with "overlay." once more. */
  own: string;
  redirect: 'on' | 'follow' | 'nofollow';
  /** Changes of attributes alone copy no data up. */
  metacopy: boolean;
  /** Whose identity new whiteouts have: that of who mounted it. */
  mounter: { uid: number; gid: number };
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

function attribute(data: Pick<OverlayData, 'own'>, at: Dentry, name: OwnName): Uint8Array | undefined {
  return at.inode.xattrs?.get(data.own + name);
}

function mark(kernel: Kernel, task: Task, sb: SuperBlock, at: Dentry, name: OwnName, value: Uint8Array): void {
  at.sb.ops.setxattr?.(kernel, task, at, dataOf(sb).own + name, value);
}

/** Nothing of the layers below shows through this directory of a layer. */
export function isOpaque(dir: Dentry, data: Pick<OverlayData, 'own'> = { own: 'trusted.overlay.' }): boolean {
  return attribute(data, dir, 'opaque')?.[0] === YES[0];
}

const look = (kernel: Kernel, dir: Dentry, name: string): Dentry | null => dir.sb.ops.lookup(kernel, dir, name);

/** A search for one name through the layers: which name the next layer has it under, and whether to look further down. */
interface Search {
  data: OverlayData;
  /** A name in the same directory, or, after a redirect, "/path" from the layers' roots. */
  name: string;
  redirected: boolean;
  isDir: boolean;
  stop: boolean;
  /** What was found last has its data further down. */
  dataless: boolean;
}

/** One component in one layer; `before` and `after` are the rest of the name round it. */
function lookupOne(kernel: Kernel, search: Search, base: Dentry, name: string, before: string, after: string): Dentry | null {
  const found = look(kernel, base, name);
  if (!found) return null;
  if (isWhiteout(found.inode)) {
    search.stop = true;
    return null;
  }
  if (found.inode.kind !== 'dir') {
    search.stop = true;
    if (search.isDir || after !== '') return null;
    search.dataless = attribute(search.data, found, 'metacopy') !== undefined;
    if (!search.dataless) return found;
    if (!search.data.metacopy) throw new SysError('EPERM');
    search.stop = false;
    followRedirect(search, found, before, after);
    return found;
  }
  if (search.dataless) {
    search.stop = true;
    return null;
  }
  if (after === '') search.isDir = true;
  if (isOpaque(found, search.data)) search.stop = true;
  else followRedirect(search, found, before, after);
  return found;
}

function followRedirect(search: Search, found: Dentry, before: string, after: string): void {
  const redirect = attribute(search.data, found, 'redirect');
  if (redirect === undefined) return;
  if (search.data.redirect === 'nofollow') throw new SysError('EPERM');
  const to = text(redirect);
  if (to.startsWith('/')) search.stop = false;
  search.name = (to.startsWith('/') ? to : before + to) + after;
  search.redirected = true;
}

/** The name in one layer, component by component where it is a path; a redirect on the way changes what follows for the next layer. */
function lookupLayer(kernel: Kernel, search: Search, base: Dentry): Dentry | null {
  const { name } = search;
  if (!name.startsWith('/')) return lookupOne(kernel, search, base, name, '', '');
  let at: Dentry | null = base;
  // Counted from the end: what stands before may change.
  for (let rest = name.slice(1); ; ) {
    const slash = rest.indexOf('/');
    const one = slash < 0 ? rest : rest.slice(0, slash);
    const after = slash < 0 ? '' : rest.slice(slash);
    const before = search.name.slice(0, search.name.length - rest.length);
    at = lookupOne(kernel, search, at, one, before, after);
    if (slash < 0 || !at || at.inode.kind !== 'dir') return slash < 0 ? at : null;
    rest = after.slice(1);
  }
}

/** Finds a name through the stack: what shows and what lies below it. Null when nothing, or a whiteout, is there. */
function stack(kernel: Kernel, sb: SuperBlock, dir: Layers, name: string): Layers | null {
  const data = dataOf(sb);
  const search: Search = { data, name, redirected: false, isDir: false, stop: false, dataless: false };
  const upper = dir.upper ? lookupLayer(kernel, search, dir.upper) : null;
  const lower: Dentry[] = [];
  const roots = data.lowers.map((path) => path.dentry);
  let layers = upper && search.name.startsWith('/') ? roots : dir.lower;
  for (let i = 0; i < layers.length && !search.stop; i++) {
    const base = layers[i]!;
    const found = lookupLayer(kernel, search, base);
    if (!found) continue;
    lower.push(found);
    if (search.stop || layers === roots || !search.name.startsWith('/')) continue;
    // From here on in terms of the layers' roots: on with the layer below this one.
    i = roots.findIndex((root) => root.sb === base.sb && isBelow(root, base));
    layers = roots;
  }
  if (search.dataless) throw new SysError('EIO');
  return upper || lower.length > 0 ? { upper, lower } : null;
}

function isBelow(root: Dentry, at: Dentry): boolean {
  for (let d = at; ; d = d.parent) {
    if (d === root || d.inode === root.inode) return true;
    if (d.parent === d) return false;
  }
}

const real = (layers: Layers): Dentry => layers.upper ?? layers.lower[0]!;

/** Was this file copied up (or does it lie in a layer) without its data? */
const isDataless = (sb: SuperBlock, at: Dentry | null): boolean => at !== null && at.inode.kind === 'file' && attribute(dataOf(sb), at, 'metacopy') !== undefined;

/** Where the bytes of a name are. */
function dataSource(entry: Dentry): Dentry {
  const layers = layersOf(entry);
  return isDataless(entry.sb, real(layers)) ? layers.lower.at(-1)! : real(layers);
}

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
  // A merged directory does not count its subdirectories.
  const isMerged = from.kind === 'dir' && layers.lower.length > (layers.upper ? 0 : 1);
  inode.nlink = isMerged ? 1 : from.nlink;
  inode.kind = from.kind;
  const { own } = dataOf(inode.sb);
  const escaped = `${own}overlay.`;
  const shown = [...(from.xattrs ?? [])].flatMap(([name, value]): [string, Uint8Array][] =>
    name.startsWith(escaped) ? [[`${own}${name.slice(escaped.length)}`, value]] : name.startsWith(own) ? [] : [[name, value]],
  );
  inode.xattrs = shown.length > 0 ? new Map(shown) : null;
}

function merged(kernel: Kernel, dir: Dentry, name: string): Dentry | null {
  const data = dataOf(dir.sb);
  const layers = stack(kernel, dir.sb, layersOf(dir), name);
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

/** What a reader of a directory sees: one of a single layer that was never copied up is read as it is, with the whiteouts in it. */
function entriesOf(kernel: Kernel, dir: Dentry): Dirent[] {
  const shown = list(kernel, dir).map((d): Dirent => ({ name: d.name, ino: d.inode.ino, type: d.inode.kind }));
  const layers = layersOf(dir);
  const only = real(layers);
  if (layers.lower.length + (layers.upper ? 1 : 0) > 1 || only.inode.xattrs?.has(`${dataOf(dir.sb).own}origin`)) return shown;
  const names = new Set(shown.map(({ name }) => name));
  return [...shown, ...only.sb.ops.readdir(kernel, only).filter(({ name }) => !names.has(name))];
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
 * hard link is broken: only this name is copied. Without 'data' when that is thrown away next; 'attributes' are enough for what
 * does not touch it, where metacopy is on: the data stays below until somebody writes.
 */
function copyUp(kernel: Kernel, task: Task, entry: Dentry, what: 'all' | 'no data' | 'attributes' = 'all'): Dentry {
  const layers = layersOf(entry);
  if (layers.upper) {
    if (what !== 'attributes' && isDataless(entry.sb, layers.upper)) bringData(kernel, task, entry, what);
    return layers.upper;
  }
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
  const { own, metacopy } = dataOf(entry.sb);
  const dataless = metacopy && what === 'attributes' && from.kind === 'file';
  if (dataless) ops.setattr!(kernel, task, copy, { size: from.size });
  else if (from.kind === 'file' && what !== 'no data') copyData(kernel, task, copy, dataSource(entry).inode);
  const xattrs = [...(from.xattrs ?? [])].filter(([name]) => !name.startsWith(own) || name.startsWith(`${own}overlay.`));
  if (xattrs.length > 0) to.xattrs = new Map(xattrs);
  if (dataless) mark(kernel, task, entry.sb, copy, 'metacopy', new Uint8Array(0));
  to.atime = from.atime;
  to.mtime = from.mtime;
  // One name of several is a file of its own from here on: it has no origin.
  if (from.kind === 'dir' || from.nlink === 1) mark(kernel, task, entry.sb, copy, 'origin', handleOf(from));
  markImpure(kernel, task, entry.sb, parent);
  layers.upper = copy;
  if (from.kind !== 'dir') dataOf(entry.sb).byUpper.set(to, entry.inode);
  if (from.kind !== 'dir' && from.nlink > 1 && dataOf(entry.sb).sameFs) entry.inode.ino = to.ino;
  copyAttributes(entry.inode, layers);
  if (entry.parent !== entry) syncDir(entry.parent);
  record(kernel.trace, 'kernel', kernel.name, 'overlay.copyup', { path: pathOf(entry), size: to.size, kind: from.kind, upper: upperName(entry.sb) });
  return copy;
}

/** The data of a file that was copied up without it follows. */
function bringData(kernel: Kernel, task: Task, entry: Dentry, what: 'all' | 'no data'): void {
  const layers = layersOf(entry);
  const upper = layers.upper!;
  const { atime, mtime } = upper.inode;
  if (what === 'all') copyData(kernel, task, upper, dataSource(entry).inode);
  Object.assign(upper.inode, { atime, mtime });
  upper.sb.ops.setxattr?.(kernel, task, upper, `${dataOf(entry.sb).own}metacopy`, null);
  copyAttributes(entry.inode, layers);
  record(kernel.trace, 'kernel', kernel.name, 'overlay.copyup', { path: pathOf(entry), size: upper.inode.size, kind: 'file', upper: upperName(entry.sb) });
}

/** Nothing of the layers below shows through this directory. */
function makeOpaque(kernel: Kernel, task: Task, upper: Dentry, dir: Dentry, name: string): void {
  mark(kernel, task, dir.sb, upper, 'opaque', YES);
  record(kernel.trace, 'kernel', kernel.name, 'overlay.opaque', { path: `${pathOf(dir) === '/' ? '' : pathOf(dir)}/${name}`, upper: upperName(dir.sb) });
}

function markImpure(kernel: Kernel, task: Task, sb: SuperBlock, dir: Dentry): void {
  if (!attribute(dataOf(sb), dir, 'impure')) mark(kernel, task, sb, dir, 'impure', YES);
}

/** struct ovl_fb over a file handle of tmpfs: version 0, magic, length, little-endian, type 1, the file system's uuid, generation, number. */
function handleOf(inode: Inode): Uint8Array {
  const handle = new Uint8Array(33);
  handle.set([0, 0xfb, handle.length, 0, 1]);
  const view = new DataView(handle.buffer);
  view.setUint32(5, inode.sb.dev * 0x9e3779b1);
  for (const [at, salt] of [[9, 0x85ebca6b], [13, 0xc2b2ae35], [17, 0x27d4eb2f]] as const) view.setUint32(at, (inode.sb.dev + 1) * salt);
  view.setUint32(21, inode.ino * 0x9e3779b1, true);
  view.setUint32(25, inode.ino, true);
  return handle;
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
    made.inode.uid = data.mounter.uid;
    made.inode.gid = data.mounter.gid;
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
  readdir: (kernel, _task, file) => entriesOf(kernel, file.path!.dentry),
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
            if (!upper || upper.inode === target || entry.deleted || isDataless(entry.sb, upper)) return opened.ops.read!(kernel, task, open, count, offset);
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
    // Without features that would break when layers are changed offline, a fresh directory stays as it is.
    const apart = over || below(kernel, layersOf(dir), name) || (dataOf(dir.sb).redirect === 'on' && layersOf(dir).lower.length > 0);
    if (kind === 'dir' && apart) makeOpaque(kernel, task, made, dir, name);
    syncDir(dir);
    return merged(kernel, dir, name)!;
  },
  link(kernel, task, dir, name, from) {
    needUpper(dir.sb);
    const source = copyUp(kernel, task, from, 'attributes');
    markDataSource(kernel, task, from, null);
    const upper = copyUp(kernel, task, dir);
    clearWhiteout(kernel, task, upper, name);
    upper.sb.ops.link!(kernel, task, upper, name, source);
    if (layersOf(from).lower.length > 0) markImpure(kernel, task, dir.sb, upper);
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
    const exchange = (flags & RENAME_EXCHANGE) !== 0;
    const there = merged(kernel, toDir, toName);
    requireMovable(entry);
    if (exchange) {
      if (!there) throw new SysError('ENOENT');
      requireMovable(there);
    }
    const full = there !== null && there.inode.kind === 'dir' && !exchange && list(kernel, there).length > 0;
    if (full && layersOf(there).lower.length > 0) throw new SysError('ENOTEMPTY');
    const source = copyUp(kernel, task, entry, 'attributes');
    const from = entry.parent;
    const fromUpper = copyUp(kernel, task, from);
    const toUpper = copyUp(kernel, task, toDir);
    const old = look(kernel, toUpper, toName);
    if (exchange) copyUp(kernel, task, there!, 'attributes');
    // Before the real rename is tried: where lower layers have it, or that nothing of a lower layer may show through it there.
    if (isDir) markMoved(kernel, task, entry, toDir, toName);
    else markDataSource(kernel, task, entry, toDir);
    if (exchange) {
      if (there!.inode.kind === 'dir') markMoved(kernel, task, there!, from, entry.name);
      else markDataSource(kernel, task, there!, from);
      fromUpper.sb.ops.rename!(kernel, task, source, toUpper, toName, RENAME_EXCHANGE);
      forgetNames(entry, there!);
    } else {
      if (full) throw new SysError('ENOTEMPTY');
      if (old) removeUpper(kernel, task, old);
      fromUpper.sb.ops.rename!(kernel, task, source, toUpper, toName, 0);
      if (below(kernel, layersOf(from), entry.name)) whiteout(kernel, task, from, entry.name, 'own');
      if (attribute(dataOf(entry.sb), source, 'origin')) markImpure(kernel, task, entry.sb, toUpper);
      if (there) forget(there);
      move(entry, toDir, toName);
      const layers = layersOf(entry);
      if (!isDir && !isDataless(entry.sb, source)) layers.lower = [];
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
    const upper = copyUp(kernel, task, entry, change.size === undefined ? 'attributes' : change.size === 0 ? 'no data' : 'all');
    upper.sb.ops.setattr!(kernel, task, upper, change);
    copyAttributes(entry.inode, layersOf(entry));
  },
  setxattr(kernel, task, entry, name, value) {
    const upper = copyUp(kernel, task, entry, 'attributes');
    const { own } = dataOf(entry.sb);
    upper.sb.ops.setxattr?.(kernel, task, upper, name.startsWith(own) ? `${own}overlay.${name.slice(own.length)}` : name, value);
    copyAttributes(entry.inode, layersOf(entry));
  },
  open(kernel, task, entry, flags) {
    if (entry.inode.kind === 'dir') return { ops: dirOps, data: null };
    const writes = (flags & O_ACCMODE) !== 0 || (flags & O_TRUNC) !== 0;
    const inner = writes && entry.inode.kind === 'file' ? copyUp(kernel, task, entry, flags & O_TRUNC ? 'no data' : 'all') : entry.inode.kind === 'file' ? dataSource(entry) : real(layersOf(entry));
    const opened = inner.sb.ops.open(kernel, task, inner, flags);
    copyAttributes(entry.inode, layersOf(entry));
    if (entry.inode.kind !== 'file') return opened;
    return through(entry, inner, opened);
  },
};

/** A directory that lower layers have part in moves only where redirects are made. Throws EXDEV. */
function requireMovable(entry: Dentry): void {
  if (entry.inode.kind === 'dir' && layersOf(entry).lower.length > 0 && dataOf(entry.sb).redirect !== 'on') throw new SysError('EXDEV');
}

/** A directory is about to move into `toDir`: a redirect when lower layers have part in it; else opaque where they have part in what it moves into. */
function markMoved(kernel: Kernel, task: Task, entry: Dentry, toDir: Dentry, toName: string): void {
  const { upper, lower } = layersOf(entry);
  const data = dataOf(entry.sb);
  if (lower.length === 0) {
    if (layersOf(toDir).lower.length > 0 && !isOpaque(upper!, data)) makeOpaque(kernel, task, upper!, toDir, toName);
    return;
  }
  const sameDir = entry.parent === toDir;
  const has = redirectOf(entry);
  if (has !== null && (sameDir || has.startsWith('/'))) return;
  const to = sameDir ? entry.name : rootedName(entry);
  if (bytes(to).length > REDIRECT_MAX) throw new SysError('EXDEV');
  mark(kernel, task, entry.sb, upper!, 'redirect', bytes(to));
}

/** A file without its data that gets another name says under which one the data is found. `toDir` null: a link, which may be anywhere. */
function markDataSource(kernel: Kernel, task: Task, entry: Dentry, toDir: Dentry | null): void {
  const { upper } = layersOf(entry);
  if (!isDataless(entry.sb, upper)) return;
  const sameDir = entry.parent === toDir;
  const has = redirectOf(entry);
  if (has !== null && (sameDir || has.startsWith('/'))) return;
  const to = sameDir ? entry.name : rootedName(entry);
  if (bytes(to).length > REDIRECT_MAX) throw new SysError('EXDEV');
  mark(kernel, task, entry.sb, upper!, 'redirect', bytes(to));
}

function redirectOf(entry: Dentry): string | null {
  const { upper } = layersOf(entry);
  const value = upper ? attribute(dataOf(entry.sb), upper, 'redirect') : undefined;
  return value === undefined ? null : text(value);
}

/** The path under which the lower layers have a directory: redirects on the way up stand for what they redirect. */
function rootedName(entry: Dentry): string {
  let path = '';
  for (let at = entry; at.parent !== at; at = at.parent) {
    const redirect = redirectOf(at);
    if (redirect?.startsWith('/')) return redirect + path;
    path = `/${redirect ?? at.name}${path}`;
  }
  return path;
}

function move(entry: Dentry, toDir: Dentry, toName: string): void {
  const { children } = dataOf(entry.sb);
  children.get(entry.parent)?.delete(entry.name);
  entry.parent = toDir;
  entry.name = toName;
  let names = children.get(toDir);
  if (!names) {
    names = new Map();
    children.set(toDir, names);
  }
  names.set(toName, entry);
}

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

/** mount -t overlay -o lowerdir=A:B,upperdir=U,workdir=W. Errors as mount(2) gives them. */
export function createOverlay(kernel: Kernel, task: Task, source: string, data: string): SuperBlock {
  const options = mountOptions(data);
  const features = featuresOf(options);
  const { redirect } = features;
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
  const own = features.userxattr ? 'user.overlay.' : 'trusted.overlay.';
  const uuid = uuidMode(kernel, task, options, upper?.dentry ?? null, own);
  const shown = shownOptions(features, uuid, [`lowerdir=${lowerdir}`, ...(upper ? [`upperdir=${upperText}`, `workdir=${workText}`] : [])]);
  const sb = createSuperBlock(kernel, 'overlay', source, overlayOps, shown);
  sb.readonly = upper === null;
  sb.nextIno = 1;
  const sameFs = [...lowers, ...(upper ? [upper] : [])].every((path) => path.dentry.sb === lowers[0]!.dentry.sb);
  sb.data = { upper, lowers, children: new WeakMap(), layers: new WeakMap(), byUpper: new Map(), sameFs, whiteout: null, own, redirect, metacopy: features.metacopy, mounter: { uid: task.cred.euid, gid: task.cred.egid } } satisfies OverlayData;
  const layers: Layers = { upper: upper?.dentry ?? null, lower: lowers.map((p) => p.dentry) };
  sb.root = makeDentry('', null, standIn(sb, layers));
  dataOf(sb).layers.set(sb.root, layers);
  return sb;
}

