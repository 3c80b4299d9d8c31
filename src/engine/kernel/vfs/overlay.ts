/**
 * OverlayFS as a file system: what programs do to merged names, done to the real trees; mount options. Defaults as docker uses it:
 * redirect_dir, index and metacopy off. How names are found is in overlaylayers.ts, copy-up in overlaycopyup.ts.
 * What index=on adds is in overlayindex.ts. Left out: xino.
 */
import { bytes, text } from '../../sim/text.ts';
import { ContextRefused, MS_RDONLY, O_ACCMODE, O_TRUNC, RENAME_EXCHANGE, SysError } from '../abi.ts';
import { logLine } from '../log.ts';
import type { Kernel, Task } from '../records.ts';
import { capableEverywhere, createSuperBlock, makeDentry } from './inode.ts';
import { mountOptions } from './options.ts';
import { inUse, noteUser, openIndex, reportInUse } from './overlayindex.ts';
import { checkOptions, type Features, featuresOf, shownOptions, type UuidMode, uuidMode } from './overlayoptions.ts';
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
    const { redirect, index, metacopy } = dataOf(dir.sb);
    const apart = over || below(kernel, layersOf(dir), name) || ((redirect === 'on' || index !== null || metacopy) && layersOf(dir).lower.length > 0);
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
    noteOrigin(kernel, task, dir.sb, upper, source);
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
    const other = exchange ? copyUp(kernel, task, there!, 'attributes') : null;
    // Before the real rename is tried: where lower layers have it, or that nothing of a lower layer may show through it there.
    if (isDir) markMoved(kernel, task, entry, toDir, toName);
    else markDataSource(kernel, task, entry, toDir);
    if (other) {
      if (there!.inode.kind === 'dir') markMoved(kernel, task, there!, from, entry.name);
      else markDataSource(kernel, task, there!, from);
      noteOrigin(kernel, task, entry.sb, toUpper, source);
      noteOrigin(kernel, task, entry.sb, fromUpper, other);
      fromUpper.sb.ops.rename!(kernel, task, source, toUpper, toName, RENAME_EXCHANGE);
      forgetNames(entry, there!);
    } else {
      if (full) throw new SysError('ENOTEMPTY');
      if (old) removeUpper(kernel, task, old);
      fromUpper.sb.ops.rename!(kernel, task, source, toUpper, toName, 0);
      if (below(kernel, layersOf(from), entry.name)) whiteout(kernel, task, from, entry.name, 'own');
      noteOrigin(kernel, task, entry.sb, toUpper, source);
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

/** A directory of the upper layer that gets what comes from a lower one is impure. */
function noteOrigin(kernel: Kernel, task: Task, sb: SuperBlock, dir: Dentry, came: Dentry): void {
  if (attribute(dataOf(sb), came, 'origin')) markImpure(kernel, task, sb, dir);
}

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
  // another name of the same lower file may be elsewhere: the path from the root then
  const sameDir = entry.parent === toDir && (entry.inode.kind === 'dir' || (layersOf(entry).lower[0]?.inode.nlink ?? 1) === 1);
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

/** The lower directories by their texts, and how many at the end hold data only: of lowerdir=, divided at colons that no backslash stands before (data after "::"), or of each lowerdir+= and datadir+=. */
function lowerTextsOf(kernel: Kernel, data: string, options: ReadonlyMap<string, string>): { texts: string[]; dataOnly: number } {
  const each = data.split(/(?<!\\),/).map((one) => one.replace(/\\,/g, ','));
  const given = (name: string): string[] => each.filter((one) => one.startsWith(`${name}=`)).map((one) => one.slice(name.length + 1));
  const added = given('lowerdir+');
  const dataDirs = given('datadir+');
  const lowerdir = options.get('lowerdir') ?? '';
  if (lowerdir !== '' && added.length + dataDirs.length > 0) throw new ContextRefused('overlay: lowerdir+ and datadir+ cannot follow lowerdir');
  if (added.length + dataDirs.length > 0) return { texts: [...added, ...dataDirs], dataOnly: dataDirs.length };
  if (lowerdir === '') return { texts: [], dataOnly: 0 };
  if (lowerdir.startsWith(':')) return wrongLowers(kernel, 'cannot append lower layer');
  const parts = lowerdir.split(/(?<!\\)(::?)/);
  const texts = parts.filter((_, i) => i % 2 === 0).map((one) => one.replace(/\\(.)/g, '$1'));
  if (texts.includes('')) return wrongLowers(kernel, texts.at(-1) === '' ? 'unescaped trailing colons in lowerdir mount option.' : 'empty lowerdir');
  const firstData = parts.findIndex((one, i) => i % 2 === 1 && one === '::');
  if (firstData >= 0 && parts.some((one, i) => i > firstData && i % 2 === 1 && one === ':')) return wrongLowers(kernel, 'regular lower layers cannot follow data lower layers');
  return { texts, dataOnly: firstData < 0 ? 0 : texts.length - (firstData + 1) / 2 };
}

function wrongLowers(kernel: Kernel, why: string): never {
  logLine(kernel, 3, `overlayfs: ${why}`);
  throw new SysError('EINVAL');
}

function shownLowers(options: ReadonlyMap<string, string>, texts: readonly string[], dataOnly: number): string[] {
  if (options.has('lowerdir')) return [`lowerdir=${options.get('lowerdir')}`];
  return texts.map((one, i) => `${i < texts.length - dataOnly ? 'lowerdir' : 'datadir'}+=${one}`);
}

function isWithin(entry: Dentry, dir: Dentry): boolean {
  for (let at = entry; ; at = at.parent) {
    if (at.inode === dir.inode) return true;
    if (at.parent === at) return false;
  }
}

/** No directory of a mount is two of its layers, and no layer lies in another: what is seen of one would be seen again below. Throws ELOOP. */
function refuseOverlaps(kernel: Kernel, lowers: readonly Dentry[], upper: Dentry | null): void {
  const conflict = (what: string): never => {
    logLine(kernel, 3, `overlayfs: ${what}`);
    throw new SysError('ELOOP');
  };
  for (const [i, one] of lowers.entries()) if (one.inode === upper?.inode || lowers.some((other, j) => j < i && other.inode === one.inode)) conflict('conflicting lowerdir path');
  for (const [i, one] of lowers.entries()) if (lowers.some((other, j) => j !== i && isWithin(one, other)) || (upper && isWithin(one, upper))) conflict('overlapping lowerdir path');
}

/** File systems on file systems: two deep at the most. proc is as deep as it may be. */
const STACK_MAX = 2;
const depthOf = (sb: SuperBlock): number => (sb.type === 'overlay' ? dataOf(sb).depth : sb.type === 'proc' ? STACK_MAX : 0);

function depthOver(kernel: Kernel, below: readonly Path[]): number {
  const depth = 1 + Math.max(0, ...below.map((path) => depthOf(path.dentry.sb)));
  if (depth <= STACK_MAX) return depth;
  logLine(kernel, 3, 'overlayfs: maximum fs stacking depth exceeded');
  throw new SysError('EINVAL');
}

/** One directory that an option names; the writable ones must be of a file system that takes a layer. */
function layerPath(kernel: Kernel, task: Task, text: string, use: 'upper' | 'lower'): Path {
  let path: Path;
  try {
    path = lookupPath(kernel, task, task.fs.cwd, text);
  } catch (error) {
    if (error instanceof SysError && error.errno === 'ENOENT') logLine(kernel, 3, `overlayfs: failed to resolve '${text}': -2`);
    throw error;
  }
  if (path.dentry.inode.kind !== 'dir') throw new ContextRefused(`overlay: ${text} is not a directory`);
  if (use === 'lower') return path;
  if (path.dentry.sb.type === 'overlay') throw new ContextRefused(`overlay: filesystem on ${text} not supported as upperdir`);
  if (path.dentry.sb.readonly || path.mount.flags & MS_RDONLY) throw new ContextRefused(`overlay: filesystem on ${text} is read-only`);
  return path;
}

/** Without the right to set trusted attributes: what needs them is off. */
function withoutAttributes(kernel: Kernel, features: Features, uuid: UuidMode): UuidMode {
  const say = (text: string): void => logLine(kernel, 4, `overlayfs: ${text}`);
  say('failed to set xattr on upper');
  if (features.redirect !== 'nofollow') {
    features.redirect = 'nofollow';
    features.redirectShown = true;
    say('...falling back to redirect_dir=nofollow.');
  }
  for (const name of ['metacopy', 'index'] as const) {
    if (!features[name]) continue;
    features[name] = false;
    say(`...falling back to ${name}=off.`);
  }
  say('...falling back to uuid=null.');
  if (!features.userxattr) logLine(kernel, 6, "overlayfs: try mounting with 'userxattr' option");
  return uuid === 'off' ? uuid : 'null';
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
  logLine(kernel, 3, "overlayfs: overlay with incompat feature 'volatile' cannot be mounted");
  throw new SysError('EINVAL');
}

/** mount -t overlay -o lowerdir=A:B,upperdir=U,workdir=W. Errors as mount(2) gives them. */
export function createOverlay(kernel: Kernel, task: Task, source: string, data: string): SuperBlock {
  const options = mountOptions(data);
  checkOptions(options);
  const { texts: lowerTexts, dataOnly } = lowerTextsOf(kernel, data, options);
  const lowers = lowerTexts.map((one) => layerPath(kernel, task, one, 'lower'));
  const upperText = options.get('upperdir');
  const workText = options.get('workdir');
  const upper = upperText === undefined ? null : layerPath(kernel, task, upperText, 'upper');
  const work = workText === undefined ? null : layerPath(kernel, task, workText, 'upper');
  const features = featuresOf(kernel, options, dataOnly > 0 ? 'data-only layers' : 'none');
  if (lowers.length === 0) wrongLowers(kernel, "missing 'lowerdir'");
  if (upper && !work) wrongLowers(kernel, "missing 'workdir'");
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
  const depth = depthOver(kernel, [...lowers, ...(upper ? [upper] : [])]);
  refuseOverlaps(kernel, lowers.map((path) => path.dentry), upper?.dentry ?? null);
  if (features.volatile && upper && work) markVolatile(kernel, task, work.dentry);
  const own = features.userxattr ? 'user.overlay.' : 'trusted.overlay.';
  if (upper && inUse(kernel, upper.dentry)) reportInUse(kernel, 'upperdir', features.index);
  if (upper && work && inUse(kernel, work.dentry)) reportInUse(kernel, 'workdir', features.index);
  for (const { dentry } of lowers) if (inUse(kernel, dentry)) reportInUse(kernel, 'lowerdir', features.index);
  const marked = !upper || features.userxattr || capableEverywhere(task, 'sys_admin');
  const index = features.index && marked && upper && work ? openIndex(kernel, task, own, work.dentry, upper.dentry, lowers[0]!.dentry) : null;
  const uuid = marked ? uuidMode(kernel, task, options, upper?.dentry ?? null, own) : withoutAttributes(kernel, features, (options.get('uuid') ?? 'auto') as UuidMode);
  const dirs = [...shownLowers(options, lowerTexts, dataOnly), ...(upper ? [`upperdir=${upperText}`, `workdir=${workText}`] : [])];
  const shown = shownOptions(features, uuid, dirs.map((one) => one.replaceAll(',', '\\054')));
  const sb = createSuperBlock(kernel, 'overlay', source, overlayOps, shown);
  sb.readonly = upper === null;
  sb.nextIno = 1;
  const sameFs = [...lowers, ...(upper ? [upper] : [])].every((path) => path.dentry.sb === lowers[0]!.dentry.sb);
  sb.data = { upper, lowers, children: new WeakMap(), layers: new WeakMap(), byUpper: new Map(), index, sameFs, whiteout: null, own, redirect: features.redirect, metacopy: features.metacopy, dataOnly, depth, marked, mounter: { uid: task.cred.euid, gid: task.cred.egid } } satisfies OverlayData;
  const layers: Layers = { upper: upper?.dentry ?? null, lower: lowers.slice(0, lowers.length - dataOnly).map((p) => p.dentry) };
  sb.root = makeDentry('', null, standIn(sb, layers));
  dataOf(sb).layers.set(sb.root, layers);
  for (const path of [upper, upper && work]) if (path) noteUser(kernel, path.dentry, sb);
  return sb;
}
