/**
 * File systems whose files are generated: proc, sysfs, cgroupfs stand on this. A directory is a function that lists
 * nodes; a file is a function that prints and, where it may be written, one that takes text. Each node stands beside the
 * record it prints, and looks at it anew at every open.
 */
import { bytes, text } from '../../sim/text.ts';
import { type Errno, O_ACCMODE, O_NONBLOCK, POLLERR, POLLIN, POLLOUT, POLLPRI, SysError } from '../abi.ts';
import type { Kernel, Task } from '../records.ts';
import type { Bytes, Dirent } from '../sys.ts';
import { kernfsOrder } from './kernfs.ts';
import { createSuperBlock, makeDentry, makeInode } from './inode.ts';
import { waitOn } from '../wait.ts';
import type { Opener } from '../cgroup/psi.ts';
import { BLOCK, type Dentry, type File, type FileOps, type FsOps, type Inode, type MayBlock, type Path, type SuperBlock } from './types.ts';

export type Node =
  | {
      kind: 'dir';
      mode?: number;
      uid?: number;
      gid?: number;
      nlink?: number;
      /** The names and nodes inside now. */
      list(kernel: Kernel, task: Task | null): Iterable<readonly [string, Node]>;
      /** One name, where listing all would be wasteful. */
      get?(kernel: Kernel, name: string, task: Task | null): Node | null;
      mkdir?(kernel: Kernel, task: Task, name: string, mode: number): void;
      rmdir?(kernel: Kernel, task: Task, name: string): void;
      rename?(kernel: Kernel, task: Task, from: string, to: string): void;
      /** chmod and chown, to be kept by whom it stands for. */
      setattr?(change: { mode?: number; uid?: number; gid?: number }): void;
      /** Stands for the same thing at each look, so that the name keeps its inode. */
      id?: unknown;
      /** Extended attributes, kept by whom it stands for: such a node takes them. */
      xattrs?: Map<string, Bytes>;
    }
  | {
      kind: 'file';
      mode?: number;
      uid?: number;
      gid?: number;
      read?(kernel: Kernel, task: Task): string | Uint8Array;
      write?(kernel: Kernel, task: Task, value: string, opener: Opener): void;
      /** Opened for writing: may refuse it before anything is written. */
      opens?(task: Task): void;
      /** Its own POLL* bits, and what is to be done when the description is closed. */
      poll?(kernel: Kernel, opener: Opener): number;
      release?(kernel: Kernel, opener: Opener): void;
      /** POLL* beyond readable and writable, and the channel that wakes pollers. */
      channel?: string;
      /** Hands out each thing once, and its reader waits on the channel for more. */
      stream?: { channel: string; take(kernel: Kernel, count: number): Uint8Array | null };
      size?: number;
      setattr?(change: { mode?: number; uid?: number; gid?: number }): void;
      xattrs?: Map<string, Bytes>;
    }
  | { kind: 'link'; mode?: number; uid?: number; gid?: number; target(kernel: Kernel, task: Task): string; follow?(kernel: Kernel, task: Task): Path | null };

interface Held {
  node: Node;
  /** Dentries already handed out, so that a name keeps its identity while it exists. */
  children: Map<string, Dentry>;
}

const held = (inode: Inode): Held => inode.data as Held;

function dentryFor(kernel: Kernel, dir: Dentry, name: string, node: Node): Dentry {
  const { children } = held(dir.inode);
  const old = children.get(name);
  if (old && held(old.inode).node.kind === node.kind && idOf(held(old.inode).node) === idOf(node)) {
    held(old.inode).node = node;
    refresh(old.inode, node);
    return old;
  }
  if (old) old.deleted = true;
  const inode = makeInode(kernel, dir.sb, node.kind, defaultMode(node), { node, children: new Map() } satisfies Held);
  refresh(inode, node);
  const dentry = makeDentry(name, dir, inode);
  children.set(name, dentry);
  return dentry;
}

/** What a directory stands for; null for others. */
export const shownBy = (entry: Dentry): unknown => idOf(held(entry.inode).node) ?? null;

const idOf = (node: Node): unknown => (node.kind === 'dir' ? node.id : undefined);

function defaultMode(node: Node): number {
  if (node.mode !== undefined) return node.mode;
  if (node.kind === 'dir') return 0o555;
  if (node.kind === 'link') return 0o777;
  return (node.read || node.stream ? 0o444 : 0) | (node.write ? 0o200 : 0);
}

function refresh(inode: Inode, node: Node): void {
  inode.mode = defaultMode(node);
  inode.uid = node.uid ?? 0;
  inode.gid = node.gid ?? 0;
  if (node.kind === 'dir') inode.nlink = node.nlink ?? 2;
  if (node.kind === 'file') inode.size = node.size ?? 0;
  inode.xattrs = node.kind === 'link' ? null : (node.xattrs ?? null);
}

function directory(dir: Dentry): Extract<Node, { kind: 'dir' }> {
  const { node } = held(dir.inode);
  if (node.kind !== 'dir') throw new SysError('ENOTDIR');
  return node;
}

function getNode(kernel: Kernel, dir: Dentry, name: string): Node | null {
  const node = directory(dir);
  if (node.get) return node.get(kernel, name, null);
  for (const [one, inner] of node.list(kernel, null)) if (one === name) return inner;
  return null;
}

/** An open generated file: what its reader was shown last, and who that was. */
interface Opened {
  node: Extract<Node, { kind: 'file' }>;
  shown: Uint8Array | null;
  reader: Task | null;
  state: unknown;
}

/** Would a reader be shown something else now? Such a file has an exceptional condition (kernfs_notify). */
function changed(kernel: Kernel, { node, shown, reader }: Opened): boolean {
  if (!node.channel || !node.read || !shown || !reader) return false;
  try {
    const now = node.read(kernel, reader);
    return (typeof now === 'string' ? now : text(now)) !== text(shown);
  } catch {
    return true;
  }
}

function readStream(kernel: Kernel, task: Task, file: File, { channel, take }: { channel: string; take(kernel: Kernel, count: number): Uint8Array | null }, count: number): MayBlock<Uint8Array> {
  const data = take(kernel, count);
  if (data) return data;
  if (file.flags & O_NONBLOCK) throw new SysError('EAGAIN');
  waitOn(kernel, task, channel);
  return BLOCK;
}

const fileOps: FileOps = {
  read(kernel, task, file, count, offset) {
    const state = file.data as Opened;
    if (state.node.stream) return readStream(kernel, task, file, state.node.stream, count);
    if (!state.node.read) throw new SysError('EINVAL');
    if (state.shown === null || offset === 0) {
      const shown = state.node.read(kernel, task);
      state.shown = typeof shown === 'string' ? bytes(shown) : shown;
      state.reader = task;
    }
    return state.shown.subarray(offset, offset + count);
  },
  write(kernel, task, file, data) {
    const opened = file.data as Opened;
    if (!opened.node.write) throw new SysError('EINVAL');
    opened.node.write(kernel, task, text(data), opened);
    return data.length;
  },
  release(kernel, file) {
    const opened = file.data as Opened;
    opened.node.release?.(kernel, opened);
  },
  poll(kernel, file) {
    const opened = file.data as Opened;
    return opened.node.poll ? opened.node.poll(kernel, opened) : POLLIN | POLLOUT | (changed(kernel, opened) ? POLLPRI | POLLERR : 0);
  },
  channels: (file) => {
    const { node } = file.data as { node: Extract<Node, { kind: 'file' }> };
    return node.channel ? [node.channel] : [];
  },
};

function entriesOf(kernel: Kernel, task: Task | null, dir: Dentry): Dirent[] {
  const entries = [...directory(dir).list(kernel, task)].map(([name, node]) => ({ name, ino: dentryFor(kernel, dir, name, node).inode.ino, type: node.kind }));
  return KERNFS.has(dir.sb.type) ? kernfsOrder(entries) : entries;
}

const KERNFS: ReadonlySet<string> = new Set(['cgroup2', 'sysfs']);

const dirOps: FileOps = {
  readdir: (kernel, task, file) => entriesOf(kernel, task, file.path!.dentry),
};

function refuse(errno: Errno): never {
  throw new SysError(errno);
}

export const pseudoOps: FsOps = {
  lookup(kernel, dir, name) {
    const node = getNode(kernel, dir, name);
    if (node) return dentryFor(kernel, dir, name, node);
    const { children } = held(dir.inode);
    const old = children.get(name);
    if (old) old.deleted = true;
    children.delete(name);
    return null;
  },
  readdir: (kernel, dir) => entriesOf(kernel, null, dir),
  create(kernel, task, dir, name, kind, mode) {
    const node = directory(dir);
    if (kind !== 'dir') refuse(kind === 'file' ? 'EACCES' : 'EPERM');
    if (!node.mkdir) refuse('EPERM');
    node.mkdir(kernel, task, name, mode);
    return dentryFor(kernel, dir, name, getNode(kernel, dir, name)!);
  },
  unlink: () => refuse('EPERM'),
  rmdir(kernel, task, entry) {
    const node = directory(entry.parent);
    if (!node.rmdir) refuse('EPERM');
    node.rmdir(kernel, task, entry.name);
    entry.deleted = true;
    held(entry.parent.inode).children.delete(entry.name);
  },
  rename(kernel, task, entry, toDir, toName) {
    if (toDir !== entry.parent) refuse('EIO');
    const node = directory(toDir);
    if (!node.rename) refuse('EPERM');
    node.rename(kernel, task, entry.name, toName);
  },
  readlink(kernel, entry, task) {
    const { node } = held(entry.inode);
    return node.kind === 'link' ? node.target(kernel, task) : refuse('EINVAL');
  },
  follow(kernel, entry, task) {
    const { node } = held(entry.inode);
    return node.kind === 'link' ? (node.follow?.(kernel, task) ?? null) : null;
  },
  setattr(_kernel, _task, entry, change) {
    const { size: _, ...rest } = change;
    const { node } = held(entry.inode);
    if (node.kind !== 'link') {
      const { mode, uid, gid } = change;
      node.setattr?.({ ...(mode === undefined ? {} : { mode }), ...(uid === undefined ? {} : { uid }), ...(gid === undefined ? {} : { gid }) });
    }
    Object.assign(entry.inode, rest);
  },
  setxattr(_kernel, _task, entry, name, value) {
    const { xattrs } = entry.inode;
    if (!xattrs) throw new SysError('EOPNOTSUPP');
    if (value === null) xattrs.delete(name);
    else xattrs.set(name, value);
  },
  open(_kernel, task, entry, flags) {
    const { node } = held(entry.inode);
    if (node.kind === 'dir') return { ops: dirOps, data: null };
    if (node.kind === 'file' && flags & O_ACCMODE) node.opens?.(task);
    return { ops: fileOps, data: { node: node as Opened['node'], shown: null, reader: null, state: null } satisfies Opened };
  },
};

/** A generated file system with this root directory. */
export function createPseudo(kernel: Kernel, type: string, source: string, root: Extract<Node, { kind: 'dir' }>, options = ''): SuperBlock {
  const sb = createSuperBlock(kernel, type, source, pseudoOps, options);
  const inode = makeInode(kernel, sb, 'dir', root.mode ?? 0o555, { node: root, children: new Map() } satisfies Held);
  inode.ino = 1;
  sb.nextIno = 2;
  sb.root = makeDentry('', null, inode);
  return sb;
}

/** A directory whose names do not change. */
export function fixed(entries: Record<string, Node>, mode?: number): Extract<Node, { kind: 'dir' }> {
  return { kind: 'dir', list: () => Object.entries(entries), get: (_kernel, name) => entries[name] ?? null, ...(mode === undefined ? {} : { mode }) };
}
