/**
 * OverlayFS as a file system: what programs do to merged names, done to the real trees; mount options. Defaults as docker uses it:
 * redirect_dir, index and metacopy off. How names are found is in overlaylayers.ts, copy-up in overlaycopyup.ts.
 * What index=on adds is in overlayindex.ts. Left out: xino, nfs_export.
 */
import { bytes, text } from '../../sim/text.ts';
import { ContextRefused, O_ACCMODE, O_TRUNC, RENAME_EXCHANGE, SysError } from '../abi.ts';
import { logLine } from '../log.ts';
import type { Kernel, Task } from '../records.ts';
import { createSuperBlock, makeDentry } from './inode.ts';
import { mountOptions } from './options.ts';
import { noteUser, openIndex, requireUnused } from './overlayindex.ts';
import { featuresOf, shownOptions, uuidMode } from './overlayoptions.ts';
import { lookup as lookupPath } from './path.ts';
import type { Dentry, FileOps, FsOps, Path, SuperBlock } from './types.ts';
import { below, clearWhiteout, copyUp, endLinks, forget, makeOpaque, markImpure, remove, removeUpper, startLinks, whiteout, syncDir } from './overlaycopyup.ts';
import { attribute, copyAttributes, dataOf, dataSource, entriesOf, isDataless, isOpaque, type Layers, layersOf, list, look, mark, merged, needUpper, type OverlayData, real, REDIRECT_MAX, standIn } from './overlaylayers.ts';

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
    startLinks(kernel, task, from);
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
    if (there && !exchange) startLinks(kernel, task, there);
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
      if (there) {
        forget(there);
        endLinks(kernel, task, there);
      }
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
  markRedirect(kernel, task, entry, toDir);
}

/** A file without its data that gets another name says under which one the data is found. `toDir` null: a link, which may be anywhere. */
function markDataSource(kernel: Kernel, task: Task, entry: Dentry, toDir: Dentry | null): void {
  const { upper } = layersOf(entry);
  if (!isDataless(entry.sb, upper)) return;
  markRedirect(kernel, task, entry, toDir);
}

/** Writes where the layers below have it: its old name within the same directory, the path from the root elsewhere; what says so already stays. Throws EXDEV. */
function markRedirect(kernel: Kernel, task: Task, entry: Dentry, toDir: Dentry | null): void {
  const sameDir = entry.parent === toDir;
  const has = redirectOf(entry);
  if (has !== null && (sameDir || has.startsWith('/'))) return;
  const to = sameDir ? entry.name : rootedName(entry);
  if (bytes(to).length > REDIRECT_MAX) throw new SysError('EXDEV');
  mark(kernel, task, entry.sb, layersOf(entry).upper!, 'redirect', bytes(to));
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

/** The lower directories by their texts: of lowerdir=, divided at colons that no backslash stands before, or of each lowerdir+=. */
function lowerTextsOf(data: string, options: ReadonlyMap<string, string>): string[] {
  const added = data.split(',').filter((one) => one.startsWith('lowerdir+=')).map((one) => one.slice('lowerdir+='.length));
  const lowerdir = options.get('lowerdir');
  if (lowerdir !== undefined && (added.length > 0 || options.has('datadir+'))) throw new ContextRefused('overlay: lowerdir+ and datadir+ cannot follow lowerdir');
  if (options.has('datadir+')) throw new SysError('EINVAL', 'data-only layers are not modelled');
  if (added.length > 0) return added;
  const texts = (lowerdir ?? '').split(/(?<!\\):/).map((one) => one.replace(/\\(.)/g, '$1'));
  if (texts.includes('')) throw new SysError('EINVAL');
  return texts;
}

function shownLowers(options: ReadonlyMap<string, string>, texts: readonly string[]): string[] {
  return options.has('lowerdir') ? [`lowerdir=${options.get('lowerdir')}`] : texts.map((one) => `lowerdir+=${one}`);
}

function isWithin(entry: Dentry, dir: Dentry): boolean {
  for (let at = entry; ; at = at.parent) {
    if (at.inode === dir.inode) return true;
    if (at.parent === at) return false;
  }
}

/** No lower layer may lie in another: what is seen of one would be seen again below. Throws ELOOP. */
function refuseOverlaps(kernel: Kernel, lowers: readonly Dentry[]): void {
  for (const [i, one] of lowers.entries()) {
    if (!lowers.some((other, j) => j !== i && isWithin(one, other))) continue;
    logLine(kernel, 3, 'overlayfs: overlapping lowerdir path');
    throw new SysError('ELOOP');
  }
}

/** A work directory says of a volatile mount that its files may have been lost; only who removes the mark may mount again. */
function markVolatile(kernel: Kernel, task: Task, work: Dentry): void {
  const made = (dir: Dentry, name: string, kind: 'dir' | 'file', mode: number): Dentry =>
    dir.sb.ops.lookup(kernel, dir, name) ?? dir.sb.ops.create!(kernel, task, dir, name, kind, mode, [0, 0], '');
  made(made(made(made(work, 'work', 'dir', 0), 'incompat', 'dir', 0o700), 'volatile', 'dir', 0o700), 'dirty', 'file', 0o700);
}

function refuseVolatile(kernel: Kernel, work: Dentry): void {
  const at = (dir: Dentry | null, name: string): Dentry | null => (dir ? dir.sb.ops.lookup(kernel, dir, name) : null);
  if (!at(at(at(work, 'work'), 'incompat'), 'volatile')) return;
  logLine(kernel, 3, "overlayfs: incompat feature 'volatile' cannot be mounted");
  throw new SysError('EINVAL');
}

/** mount -t overlay -o lowerdir=A:B,upperdir=U,workdir=W. Errors as mount(2) gives them. */
export function createOverlay(kernel: Kernel, task: Task, source: string, data: string): SuperBlock {
  const options = mountOptions(data);
  const features = featuresOf(options);
  const { redirect } = features;
  const lowerTexts = lowerTextsOf(data, options);
  const directory = (text: string): Path => {
    const path = lookupPath(kernel, task, task.fs.cwd, text);
    if (path.dentry.inode.kind !== 'dir') throw new ContextRefused(`overlay: ${text} is not a directory`);
    return path;
  };
  const lowers = lowerTexts.map(directory);
  const upperText = options.get('upperdir');
  const workText = options.get('workdir');
  if (upperText !== undefined && workText === undefined) throw new SysError('EINVAL');
  const upper = upperText === undefined ? null : directory(upperText);
  const work = upper ? directory(workText!) : null;
  if (upper && work) {
    if (upper.dentry.sb !== work.dentry.sb || isWithin(upper.dentry, work.dentry) || isWithin(work.dentry, upper.dentry)) {
      logLine(kernel, 3, upper.dentry.sb === work.dentry.sb ? 'overlayfs: workdir and upperdir must be separate subtrees' : 'overlayfs: workdir and upperdir must reside under the same mount');
      throw new SysError('EINVAL');
    }
    if (work.dentry.sb.ops.lookup(kernel, work.dentry, 'work')) refuseVolatile(kernel, work.dentry);
    else work.dentry.sb.ops.create!(kernel, task, work.dentry, 'work', 'dir', 0, [0, 0], '');
  } else if (lowers.length < 2) {
    logLine(kernel, 3, 'overlayfs: at least 2 lowerdir are needed while upperdir nonexistent');
    throw new SysError('EINVAL');
  }
  refuseOverlaps(kernel, lowers.map((path) => path.dentry));
  if (features.volatile && work) markVolatile(kernel, task, work.dentry);
  const own = features.userxattr ? 'user.overlay.' : 'trusted.overlay.';
  if (features.index && upper) requireUnused(kernel, upper.dentry);
  const index = features.index && upper && work ? openIndex(kernel, task, own, work.dentry, upper.dentry, lowers[0]!.dentry) : null;
  const uuid = uuidMode(kernel, task, options, upper?.dentry ?? null, own);
  const shown = shownOptions(features, uuid, [...shownLowers(options, lowerTexts), ...(upper ? [`upperdir=${upperText}`, `workdir=${workText}`] : [])]);
  const sb = createSuperBlock(kernel, 'overlay', source, overlayOps, shown);
  sb.readonly = upper === null;
  sb.nextIno = 1;
  const sameFs = [...lowers, ...(upper ? [upper] : [])].every((path) => path.dentry.sb === lowers[0]!.dentry.sb);
  sb.data = { upper, lowers, children: new WeakMap(), layers: new WeakMap(), byUpper: new Map(), index, sameFs, whiteout: null, own, redirect, metacopy: features.metacopy, mounter: { uid: task.cred.euid, gid: task.cred.egid } } satisfies OverlayData;
  const layers: Layers = { upper: upper?.dentry ?? null, lower: lowers.map((p) => p.dentry) };
  sb.root = makeDentry('', null, standIn(sb, layers));
  dataOf(sb).layers.set(sb.root, layers);
  if (upper) noteUser(upper.dentry, sb);
  return sb;
}
