/** File systems from a Tree: what a disk holds before the machine boots, and files that arrive from outside. */
import { bytes } from '../../sim/text.ts';
import { binaryOf } from '../abi.ts';
import type { Kernel } from '../records.ts';
import { type Content, sharedContent } from './content.ts';
import { makeDentry, makeInode, wallClock } from './inode.ts';
import { childrenOf, newData } from './tmpfs.ts';
import type { Dentry, Inode, SuperBlock } from './types.ts';

export type TreeEntry = { mode?: number; uid?: number; gid?: number } & (
  | { type: 'dir' }
  | { type: 'file'; data: string | Uint8Array }
  | { type: 'link'; target: string }
  /** A binary that names a program; `size` in bytes, where it is larger than the name: the rest reads as zeros. */
  | { type: 'program'; name: string; size?: number | undefined }
  | { type: 'chr' | 'blk'; major: number; minor: number }
  /** Another name of a file of this tree. */
  | { type: 'hard'; target: string }
);

/** Absolute path to what is there; directories on the way are made as needed, symbolic links on the way are followed. */
export type Tree = Record<string, TreeEntry>;

/** Fills a file system of the tmpfs kind. Nothing is charged: it is the disk, not its cache. */
export function populate(kernel: Kernel, sb: SuperBlock, tree: Tree): void {
  const dirs = new Map<string, Dentry>([['', sb.root]]);
  for (const [path, entry] of Object.entries(tree)) {
    if (entry.type === 'dir' && path === '/') continue;
    const cut = path.lastIndexOf('/');
    place(kernel, sb, directory(kernel, sb, dirs, path.slice(0, cut)), path.slice(cut + 1), entry);
  }
}

function directory(kernel: Kernel, sb: SuperBlock, dirs: Map<string, Dentry>, path: string): Dentry {
  const known = dirs.get(path);
  if (known) return known;
  const cut = path.lastIndexOf('/');
  const parent = directory(kernel, sb, dirs, path.slice(0, cut));
  const name = path.slice(cut + 1);
  let found = childrenOf(parent.inode).get(name);
  if (found?.inode.kind === 'link') {
    const target = found.inode.data as string;
    found = directory(kernel, sb, dirs, target.startsWith('/') ? target.replace(/\/$/, '') : `${path.slice(0, cut)}/${target}`);
  }
  found ??= place(kernel, sb, parent, name, { type: 'dir' });
  dirs.set(path, found);
  return found;
}

const DEFAULT_MODE = { dir: 0o755, file: 0o644, link: 0o777, program: 0o755, chr: 0o600, blk: 0o660, hard: 0o644 };

function place(kernel: Kernel, sb: SuperBlock, parent: Dentry, name: string, entry: TreeEntry): Dentry {
  const mode = entry.mode ?? DEFAULT_MODE[entry.type];
  const old = childrenOf(parent.inode).get(name);
  if (old && old.inode.kind === 'dir' && entry.type === 'dir') {
    old.inode.mode = mode;
    return old;
  }
  const inode = entry.type === 'hard' ? existing(sb, entry.target) : build(kernel, sb, mode, entry);
  if (entry.type === 'hard') inode.nlink++;
  if (entry.uid !== undefined) inode.uid = entry.uid;
  if (entry.gid !== undefined) inode.gid = entry.gid;
  const dentry = makeDentry(name, parent, inode);
  childrenOf(parent.inode).set(name, dentry);
  if (inode.kind === 'dir') parent.inode.nlink++;
  if (sb.type !== 'ext4') parent.inode.size += 20;
  return dentry;
}

function build(kernel: Kernel, sb: SuperBlock, mode: number, entry: TreeEntry): Inode {
  if (entry.type === 'dir') {
    const inode = makeInode(kernel, sb, 'dir', mode, newData('dir'));
    inode.size = sb.type === 'ext4' ? 4096 : 40;
    return inode;
  }
  if (entry.type === 'link') {
    const inode = makeInode(kernel, sb, 'link', mode, entry.target);
    inode.size = entry.target.length;
    return inode;
  }
  if (entry.type === 'chr' || entry.type === 'blk') {
    const inode = makeInode(kernel, sb, entry.type, mode, null);
    inode.rdev = [entry.major, entry.minor];
    return inode;
  }
  const data = entry.type === 'program' ? binaryOf(entry.name) : entry.type === 'file' ? (typeof entry.data === 'string' ? bytes(entry.data) : entry.data) : new Uint8Array(0);
  const inode = makeInode(kernel, sb, 'file', mode, sharedContent(data) satisfies Content);
  inode.size = entry.type === 'program' ? Math.max(data.length, entry.size ?? 0) : data.length;
  if (sb.space) sb.space.used += Math.ceil(inode.size / 4096);
  return inode;
}

function existing(sb: SuperBlock, path: string): Inode {
  let at = sb.root;
  for (const part of path.split('/').filter(Boolean)) at = childrenOf(at.inode).get(part)!;
  return at.inode;
}

/** Puts a file on the machine's disk from outside, over what has its name. */
export function putFile(kernel: Kernel, path: string, data: Uint8Array): void {
  const sb = kernel.drivers.get('rootfs') as SuperBlock;
  populate(kernel, sb, { [path]: { type: 'file', data } });
  const dir = path.slice(0, path.lastIndexOf('/'));
  const parent = existing(sb, dir);
  parent.mtime = wallClock(kernel);
}
