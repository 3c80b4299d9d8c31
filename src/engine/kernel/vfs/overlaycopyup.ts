/**
 * What changes in the upper tree of an overlay: one function copies up, another lays a whiteout where a lower name is to be gone.
 * Source: kernel doc filesystems/overlayfs.rst, and the recorded behaviour of 6.12.
 */
import { SysError } from '../abi.ts';
import { record } from '../../sim/trace.ts';
import type { Kernel, Task } from '../records.ts';
import { type Content, readContent } from './content.ts';
import { makeDentry } from './inode.ts';
import { handleOf, indexName, isIndexed, linksText } from './overlayindex.ts';
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
  const data = dataOf(entry.sb);
  const from = layers.lower[0]!.inode;
  const stamp = { mtime: parent.inode.mtime, ctime: parent.inode.ctime };
  if (data.index && isIndexed(from)) {
    layers.indexed ??= makeCopy(kernel, task, entry, data.index, indexName(from), what);
    parent.sb.ops.link!(kernel, task, parent, entry.name, layers.indexed);
    layers.upper = look(kernel, parent, entry.name)!;
    layers.indexed = null;
    markLinks(kernel, task, entry);
  } else layers.upper = makeCopy(kernel, task, entry, parent, entry.name, what);
  Object.assign(parent.inode, stamp);
  markImpure(kernel, task, entry.sb, parent);
  const to = layers.upper.inode;
  if (from.kind !== 'dir') data.byUpper.set(to, entry.inode);
  if (from.kind !== 'dir' && from.nlink > 1 && data.sameFs && !data.index) entry.inode.ino = to.ino;
  copyAttributes(entry.inode, layers);
  if (entry.parent !== entry) syncDir(entry.parent);
  record(kernel.trace, 'kernel', kernel.name, 'overlay.copyup', { path: pathOf(entry), size: to.size, kind: from.kind, upper: upperName(entry.sb) });
  return layers.upper;
}

/** The file that holds the bytes: a lower layer may itself be in an overlay. */
function bottom(entry: Dentry): Dentry {
  let at = dataSource(entry);
  while (at.sb.type === 'overlay') at = dataSource(at);
  return at;
}

/** A copy of the lower file, link or directory in a directory of the upper file system: the name's own, or the index. */
function makeCopy(kernel: Kernel, task: Task, entry: Dentry, dir: Dentry, name: string, what: 'all' | 'no data' | 'attributes'): Dentry {
  const from = layersOf(entry).lower[0]!.inode;
  const { ops } = dir.sb;
  const copy = ops.create!(kernel, task, dir, name, from.kind, from.mode, from.rdev, from.kind === 'link' ? (from.data as string) : '');
  const to = copy.inode;
  to.uid = from.uid;
  to.gid = from.gid;
  to.mode = from.mode;
  const { own, metacopy, index } = dataOf(entry.sb);
  const dataless = metacopy && what === 'attributes' && from.kind === 'file';
  if (dataless) ops.setattr!(kernel, task, copy, { size: from.size });
  else if (from.kind === 'file' && what !== 'no data') copyData(kernel, task, copy, bottom(entry).inode);
  const xattrs = [...(from.xattrs ?? [])].filter(([one]) => !one.startsWith(own) || one.startsWith(`${own}overlay.`));
  if (xattrs.length > 0) to.xattrs = new Map(xattrs);
  if (dataless) mark(kernel, task, entry.sb, copy, 'metacopy', new Uint8Array(0));
  to.atime = from.atime;
  to.mtime = from.mtime;
  // Without an index one name of several is a file of its own from here on: it has no origin.
  if (from.kind === 'dir' || from.nlink === 1 || index) mark(kernel, task, entry.sb, copy, 'origin', handleOf(from));
  return copy;
}

/** How many names the merged file has, told from its copy's number. */
function markLinks(kernel: Kernel, task: Task, entry: Dentry): void {
  const { upper } = layersOf(entry);
  mark(kernel, task, entry.sb, upper!, 'nlink', linksText(entry.inode.nlink, upper!.inode));
}

/** A name is about to come or go: a file of the index is told how many it has. It gets a name of the upper tree to lose. */
export function startLinks(kernel: Kernel, task: Task, entry: Dentry): void {
  const { index } = dataOf(entry.sb);
  if (!index || entry.inode.kind === 'dir') return;
  const layers = layersOf(entry);
  if (!layers.upper && isIndexed(layers.lower[0]!.inode)) copyUp(kernel, task, entry);
  if (layers.upper && attribute(dataOf(entry.sb), layers.upper, 'nlink')) markLinks(kernel, task, entry);
}

/** The data of a file that was copied up without it follows. */
function bringData(kernel: Kernel, task: Task, entry: Dentry, what: 'all' | 'no data'): void {
  const layers = layersOf(entry);
  const upper = layers.upper!;
  const { atime, mtime } = upper.inode;
  if (what === 'all') copyData(kernel, task, upper, bottom(entry).inode);
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
  startLinks(kernel, task, entry);
  const layers = layersOf(entry);
  // an empty opaque directory takes the place of one with whiteouts, before it goes
  if (layers.upper?.inode.kind === 'dir' && !dataOf(entry.sb).marked && layers.upper.sb.ops.readdir(kernel, layers.upper).length > 0) throw new SysError('EIO');
  if (layers.upper) removeUpper(kernel, task, layers.upper);
  if (below(kernel, layersOf(dir), entry.name)) whiteout(kernel, task, dir, entry.name);
  forget(entry);
  endLinks(kernel, task, entry);
}

/** The last name of a file of the index has gone: so does its copy. */
export function endLinks(kernel: Kernel, task: Task, entry: Dentry): void {
  const { index } = dataOf(entry.sb);
  const { upper } = layersOf(entry);
  if (!index || !upper || entry.inode.kind === 'dir' || entry.inode.nlink > 0) return;
  for (const { name } of index.sb.ops.readdir(kernel, index)) {
    const kept = look(kernel, index, name);
    if (kept?.inode === upper.inode) index.sb.ops.unlink!(kernel, task, kept);
  }
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
