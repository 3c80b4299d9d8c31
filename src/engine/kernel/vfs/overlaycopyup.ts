/**
 * What changes in the upper tree of an overlay: one function copies up, another lays a whiteout where a lower name is to be gone.
 * Source: kernel doc filesystems/overlayfs.rst, and the recorded behaviour of 6.12.
 */
import { record } from '../../sim/trace.ts';
import type { Kernel, Task } from '../records.ts';
import { type Content, readContent } from './content.ts';
import { makeDentry } from './inode.ts';
import type { Dentry, Inode, SuperBlock } from './types.ts';
import { attribute, copyAttributes, dataOf, dataSource, isDataless, isWhiteout, type Layers, layersOf, look, mark, needUpper, pathOf, YES } from './overlaylayers.ts';

/**
 * Copies a name up, its directories first: same owner, mode, times, data and attributes, in the upper tree. A lower
 * hard link is broken: only this name is copied. Without 'data' when that is thrown away next; 'attributes' are enough for what
 * does not touch it, where metacopy is on: the data stays below until somebody writes.
 */
export function copyUp(kernel: Kernel, task: Task, entry: Dentry, what: 'all' | 'no data' | 'attributes' = 'all'): Dentry {
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
export function makeOpaque(kernel: Kernel, task: Task, upper: Dentry, dir: Dentry, name: string): void {
  mark(kernel, task, dir.sb, upper, 'opaque', YES);
  record(kernel.trace, 'kernel', kernel.name, 'overlay.opaque', { path: `${pathOf(dir) === '/' ? '' : pathOf(dir)}/${name}`, upper: upperName(dir.sb) });
}

export function markImpure(kernel: Kernel, task: Task, sb: SuperBlock, dir: Dentry): void {
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

export const below = (kernel: Kernel, layers: Layers, name: string): boolean => {
  for (const one of layers.lower) {
    const found = look(kernel, one, name);
    if (found) return !isWhiteout(found.inode);
  }
  return false;
};

/** Hides a name of the lower trees: a whiteout in the upper one, a link of the shared one or, as a rename leaves it, of its own. */
export function whiteout(kernel: Kernel, task: Task, dir: Dentry, name: string, how: 'shared' | 'own' = 'shared'): void {
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

export function removeUpper(kernel: Kernel, task: Task, entry: Dentry): void {
  if (entry.inode.kind === 'dir') {
    for (const { name } of entry.sb.ops.readdir(kernel, entry)) entry.sb.ops.unlink!(kernel, task, look(kernel, entry, name)!);
    entry.sb.ops.rmdir!(kernel, task, entry);
  } else entry.sb.ops.unlink!(kernel, task, entry);
}

export function remove(kernel: Kernel, task: Task, entry: Dentry): void {
  needUpper(entry.sb);
  const dir = entry.parent;
  copyUp(kernel, task, dir);
  const layers = layersOf(entry);
  if (layers.upper) removeUpper(kernel, task, layers.upper);
  if (below(kernel, layersOf(dir), entry.name)) whiteout(kernel, task, dir, entry.name);
  forget(entry);
}

export function forget(entry: Dentry): void {
  const data = dataOf(entry.sb);
  if (entry.inode.nlink > 0) entry.inode.nlink--;
  entry.deleted = true;
  data.children.get(entry.parent)?.delete(entry.name);
}

/** Makes way for a new upper name: takes a whiteout out of the upper tree; says whether one was there. */
export function clearWhiteout(kernel: Kernel, task: Task, upper: Dentry, name: string): boolean {
  const there = look(kernel, upper, name);
  if (!there || !isWhiteout(there.inode)) return false;
  upper.sb.ops.unlink!(kernel, task, there);
  return true;
}

/** A merged directory looks as its real one does. */
export function syncDir(dir: Dentry): void {
  copyAttributes(dir.inode, layersOf(dir));
}
