/**
 * How names are found through the layers of an overlay. Upper and lower are real directories of other file systems; a whiteout is a
 * character device 0:0 in the upper tree, an opaque directory carries trusted.overlay.opaque=y, a redirect says where a lower
 * layer has a renamed directory. A merged dentry holds its upper dentry, its lower ones (topmost first) and an inode that stands
 * for it: directories and not-yet-copied files have an inode of the overlay's own, so that stat keeps its number when a copy-up
 * happens. Source: kernel doc filesystems/overlayfs.rst, and the recorded behaviour of 6.12.
 */
import { bytes, text } from '../../sim/text.ts';
import { SysError } from '../abi.ts';
import type { Kernel, Task } from '../records.ts';
import type { Dirent } from '../sys.ts';
import { makeDentry } from './inode.ts';
import { indexName, isIndexed, unionLinks } from './overlayindex.ts';
import type { Dentry, Inode, Path, SuperBlock } from './types.ts';

export const YES = bytes('y');
/** Longest redirect, bytes. */
export const REDIRECT_MAX = 256;

type OwnName = 'opaque' | 'impure' | 'origin' | 'uuid' | 'redirect' | 'metacopy' | 'nlink';

export interface Layers {
  upper: Dentry | null;
  /** Topmost first; each a directory when the first is. Under a file that was copied up without its data, where that lies is last. */
  lower: Dentry[];
  /** The copy in the index that this name shows, though it has no name of its own in the upper tree. */
  indexed?: Dentry | null;
}

export interface OverlayData {
  upper: Path | null;
  lowers: Path[];
  /** Merged dentries already made, so that a name keeps its identity. */
  children: WeakMap<Dentry, Map<string, Dentry>>;
  layers: WeakMap<Dentry, Layers>;
  /** One merged inode a hard-linked inode of the upper tree, and with an index of the lower ones. */
  byUpper: Map<Inode, Inode>;
  /** Where copies of lower files with several names are; null without index=on. */
  index: Dentry | null;
  /** All layers are of one file system. */
  sameFs: boolean;
  /** The whiteout that all are links of, as long as it has room. */
  whiteout: Dentry | null;
  /** Its own attributes begin so (user.overlay. with userxattr); what a program sets under it is kept with "overlay." once more. */
  own: string;
  redirect: 'on' | 'follow' | 'nofollow';
  /** Changes of attributes alone copy no data up. */
  metacopy: boolean;
  /** How many of the lowers hold data only, last; on how many file systems this one stands; may it set its attributes. */
  dataOnly: number;
  depth: number;
  marked: boolean;
  /** Whose identity new whiteouts have: that of who mounted it. */
  mounter: { uid: number; gid: number };
}

export const dataOf = (sb: SuperBlock): OverlayData => sb.data as OverlayData;

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

export function attribute(data: Pick<OverlayData, 'own'>, at: Dentry, name: OwnName): Uint8Array | undefined {
  return at.inode.xattrs?.get(data.own + name);
}

export function mark(kernel: Kernel, task: Task, sb: SuperBlock, at: Dentry, name: OwnName, value: Uint8Array): void {
  if (dataOf(sb).marked) at.sb.ops.setxattr?.(kernel, task, at, dataOf(sb).own + name, value);
  else if (name === 'opaque' || name === 'redirect') throw new SysError('EIO');
}

/** Nothing of the layers below shows through this directory of a layer. */
export function isOpaque(dir: Dentry, data: Pick<OverlayData, 'own'> = { own: 'trusted.overlay.' }): boolean {
  return attribute(data, dir, 'opaque')?.[0] === YES[0];
}

export const look = (kernel: Kernel, dir: Dentry, name: string): Dentry | null => dir.sb.ops.lookup(kernel, dir, name);

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
  // Where a file's data should be
  if (search.dataless && after === '') {
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
    // data-only layers are looked into for data alone
    if (layers === roots && i >= roots.length - data.dataOnly && !search.dataless) break;
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
  if (!upper && lower.length === 0) return null;
  if (upper || !data.index || !isIndexed(lower[0]!.inode)) return { upper, lower };
  return { upper, lower, indexed: look(kernel, data.index, indexName(lower[0]!.inode)) };
}

function isBelow(root: Dentry, at: Dentry): boolean {
  for (let d = at; ; d = d.parent) {
    if (d === root || d.inode === root.inode) return true;
    if (d.parent === d) return false;
  }
}

export const real = (layers: Layers): Dentry => layers.upper ?? layers.indexed ?? layers.lower[0]!;

/** Was this file copied up (or does it lie in a layer) without its data? */
export const isDataless = (sb: SuperBlock, at: Dentry | null): boolean => at !== null && at.inode.kind === 'file' && attribute(dataOf(sb), at, 'metacopy') !== undefined;

/** Where the bytes of a name are. */
export function dataSource(entry: Dentry): Dentry {
  const layers = layersOf(entry);
  return isDataless(entry.sb, real(layers)) ? layers.lower.at(-1)! : real(layers);
}

/** The inode that stands for a merged name: attributes of the real one, a number of its own. */
export function standIn(sb: SuperBlock, layers: Layers): Inode {
  const from = real(layers).inode;
  const data = dataOf(sb);
  const sharing = from.kind !== 'dir' && (layers.upper !== null || (data.index !== null && isIndexed(layers.lower[0]!.inode)));
  const shared = sharing ? data.byUpper.get(from) : undefined;
  const inode: Inode = shared ?? { ...from, sb, ino: numberOf(sb, layers), data: layers };
  if (sharing) data.byUpper.set(from, inode);
  copyAttributes(inode, layers);
  return inode;
}

/** When all layers are of one file system a name has the number of its origin there; else one of the overlay's own. */
function numberOf(sb: SuperBlock, { upper, lower }: Layers): number {
  const data = dataOf(sb);
  if (!data.sameFs) return sb.nextIno++;
  return (lower[0] ?? upper)!.inode.ino;
}

export function copyAttributes(inode: Inode, layers: Layers): void {
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
  const { own, index } = dataOf(inode.sb);
  const union = index && from.kind !== 'dir' ? unionLinks(from.xattrs?.get(`${own}nlink`), from) : null;
  inode.nlink = isMerged ? 1 : (union ?? from.nlink);
  inode.kind = from.kind;
  const escaped = `${own}overlay.`;
  const shown = [...(from.xattrs ?? [])].flatMap(([name, value]): [string, Uint8Array][] =>
    name.startsWith(escaped) ? [[`${own}${name.slice(escaped.length)}`, value]] : name.startsWith(own) ? [] : [[name, value]],
  );
  inode.xattrs = shown.length > 0 ? new Map(shown) : null;
}

export function merged(kernel: Kernel, dir: Dentry, name: string): Dentry | null {
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
    if (real(had) === real(layers) || (had.upper === null && had.lower[0] === layers.lower[0] && (layers.upper !== null || layers.indexed))) {
      had.upper = layers.upper;
      had.lower = layers.lower;
      had.indexed = layers.indexed ?? null;
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
export function list(kernel: Kernel, dir: Dentry): Dentry[] {
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

/** Whoever reads a directory that holds nothing from below any more takes its mark away. Source: fs/overlayfs/readdir.c, ovl_cache_get_impure. */
function cleanse(kernel: Kernel, dir: Dentry, upper: Dentry): void {
  const data = dataOf(dir.sb);
  if (!data.sameFs || !attribute(data, upper, 'impure')) return;
  if (!list(kernel, dir).some((one) => attribute(data, real(layersOf(one)), 'origin'))) upper.inode.xattrs!.delete(`${data.own}impure`);
}

/** What a reader of a directory sees: one of a single layer that was never copied up is read as it is, with the whiteouts in it. */
export function entriesOf(kernel: Kernel, dir: Dentry): Dirent[] {
  const shown = list(kernel, dir).map((d): Dirent => ({ name: d.name, ino: d.inode.ino, type: d.inode.kind }));
  const layers = layersOf(dir);
  const only = real(layers);
  if (layers.lower.length + (layers.upper ? 1 : 0) > 1 || only.inode.xattrs?.has(`${dataOf(dir.sb).own}origin`)) return shown;
  if (layers.upper) cleanse(kernel, dir, layers.upper);
  const names = new Set(shown.map(({ name }) => name));
  return [...shown, ...only.sb.ops.readdir(kernel, only).filter(({ name }) => !names.has(name))];
}

export function needUpper(sb: SuperBlock): void {
  if (!dataOf(sb).upper) throw new SysError('EROFS');
}

/** The path of a merged dentry inside the overlay, for records. */
export function pathOf(entry: Dentry): string {
  let path = '';
  for (let d = entry; d.parent !== d; d = d.parent) path = `/${d.name}${path}`;
  return path || '/';
}
