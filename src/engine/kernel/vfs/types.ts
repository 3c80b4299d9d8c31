/**
 * The records of the virtual file system: inodes, names, mounts, open files. Behaviour is a table per file system
 * (`FsOps`) and per kind of open file (`FileOps`), chosen by the record.
 *
 * A `Dentry` is a name in a directory of one file system; a `Path` is a dentry seen through one mount. Sizes in bytes,
 * times in seconds since 1970. Handlers throw SysError; a call that must wait returns BLOCK and is dispatched again
 * when somebody wakes the channel it named.
 */
import type { Errno } from '../abi.ts';
import type { Bytes, Dirent } from '../sys.ts';
import type { Cgroup } from '../cgroup/types.ts';
import type { Kernel, Task, UserNamespace } from '../records.ts';

export type InodeKind = Dirent['type'];

export interface Inode {
  ino: number;
  sb: SuperBlock;
  kind: InodeKind;
  /** Permission bits, 0o7777. */
  mode: number;
  uid: number;
  gid: number;
  nlink: number;
  size: number;
  atime: number;
  mtime: number;
  ctime: number;
  rdev: readonly [number, number];
  xattrs: Map<string, Bytes> | null;
  /** Descriptions of a file that are open for writing; none may be executed meanwhile. */
  writers?: number;
  /** The cgroups that its cached pages are charged to, and how many pages each. */
  charged: Map<Cgroup, number> | null;
  /** Of tmpfs: pages out in swap, by the group whose slots they hold. */
  swapped?: Map<Cgroup, number>;
  /** Whatever its file system keeps: bytes of a file, children of a directory, a link's target, a generator of text. */
  data: unknown;
}

export interface SuperBlock {
  /** "tmpfs", "overlay", "proc", "sysfs", "cgroup2", "devtmpfs", "devpts", "mqueue", "ext4" (the modelled disk), "nsfs", "sockfs", "pipefs". */
  type: string;
  /** Minor of the anonymous device number (major 0), or the disk's. */
  dev: number;
  source: string;
  ops: FsOps;
  root: Dentry;
  nextIno: number;
  /** Mounts of it that hang somewhere, on whatever machine. */
  mounts?: number;
  readonly: boolean;
  /** Every write reaches the disk at once; shown, not charged. */
  synchronous?: boolean;
  /** Whose privileges count for it; absent: the first user namespace's. */
  user?: UserNamespace;
  /** Takes options at a remount. Absent: they are kept as text. */
  reconfigure?(task: Task, data: string): void;
  /** What a name, or what is inside of it, is refused with; null not at all. */
  bars?: ((task: Task, entry: Dentry, how: 'see' | 'enter') => Errno | null) | null;
  /** Options as /proc/mounts prints them after rw/ro and atime. */
  options: string;
  data: unknown;
  /** Pages that it may hold, and holds; bytes really kept; of a tmpfs the names that it may have, and has; space.ts. */
  space?: { pages: number; used: number; kept: number; names?: { most: number; used: number } };
}

export interface Dentry {
  name: string;
  /** Itself at the root of its file system. */
  parent: Dentry;
  inode: Inode;
  sb: SuperBlock;
  /** Unlinked: open descriptors and working directories may still hold it. */
  deleted: boolean;
  /** The mounts that hang here, in whatever namespace; hanging.ts. */
  hung: Mount[] | null;
}

export interface Mount {
  id: number;
  parent: Mount;
  /** Where in the parent it hangs. */
  at: Dentry;
  sb: SuperBlock;
  /** The part of the file system that shows (its root, or a subtree for a bind mount). */
  root: Dentry;
  flags: number;
  /** Peer group: 0 private. */
  shared: number;
  master: number;
  /** When it came into its groups, by order. */
  joined: number;
  /** May not be bound elsewhere. */
  unbindable: boolean;
  /** Of a less privileged namespace: whether it hangs fast, and the flags that may not be taken away. */
  locks: { fast: boolean; flags: number } | null;
  source: string;
  ns: MountNamespace;
  /** Neither unmounted nor gone with its namespace. */
  hung: boolean;
  /** What hangs in it, in the order of hanging up. */
  children: Mount[];
}

export interface MountNamespace {
  ino: number;
  mounts: Mount[];
  root: Mount;
  /** Whose capabilities count for mounting here; absent where only root of the machine is. */
  owner?: UserNamespace;
  /** While not all of it is copied: from where; latecopy.ts. */
  late: LateCopy | null;
}

export interface LateCopy {
  kernel: Kernel;
  /** Does not change as long as this is so. */
  from: MountNamespace;
  /** Number of the first copy; the others follow in the order of their originals. */
  firstId: number;
  /** Likewise when they came into their groups; those that are slaves since came in the order of the tree. */
  firstJoined: number;
  enslaved: { tree: readonly Mount[]; firstJoined: number } | null;
  /** How copies stand to their originals. */
  kin: 'peer' | 'slave' | 'private';
  made: Map<Mount, Mount>;
  originals: Map<Mount, Mount>;
  /** Makes the copies of what hangs at a place. */
  childAt(parent: Mount, at: Dentry): void;
}

export interface Path {
  mount: Mount;
  dentry: Dentry;
}

export const BLOCK: unique symbol = Symbol('block');
/** What a handler that may wait returns. Before returning BLOCK it names its wait channel with `waitOn(task, channel)`. */
export type MayBlock<T> = T | typeof BLOCK;

/** An open file description; descriptors are slots that point here. */
export interface File {
  path: Path | null;
  inode: Inode;
  ops: FileOps;
  flags: number;
  offset: number;
  /** Descriptors and others that hold it. */
  refs: number;
  /** The ops' own state: a pipe's end, a socket, a snapshot of generated text. */
  data: unknown;
}

export interface FileOps {
  read?(kernel: Kernel, task: Task, file: File, count: number, offset: number): MayBlock<Bytes>;
  write?(kernel: Kernel, task: Task, file: File, data: Bytes, offset: number): MayBlock<number>;
  readdir?(kernel: Kernel, task: Task, file: File): Dirent[];
  ioctl?(kernel: Kernel, task: Task, file: File, request: number, arg: unknown): MayBlock<unknown>;
  /** POLL* bits that hold now. */
  poll?(kernel: Kernel, file: File): number;
  /** The channels whose wake may change `poll`. */
  channels?(file: File): string[];
  /** Last reference gone. */
  release?(kernel: Kernel, file: File): void;
}

/** One table a file system. Directory arguments are inodes of that file system; permissions were checked by the caller. */
export interface FsOps {
  lookup(kernel: Kernel, dir: Dentry, name: string): Dentry | null;
  readdir(kernel: Kernel, dir: Dentry): Dirent[];
  create?(kernel: Kernel, task: Task, dir: Dentry, name: string, kind: InodeKind, mode: number, rdev: readonly [number, number], target: string): Dentry;
  link?(kernel: Kernel, task: Task, dir: Dentry, name: string, from: Dentry): Dentry;
  unlink?(kernel: Kernel, task: Task, entry: Dentry): void;
  rmdir?(kernel: Kernel, task: Task, entry: Dentry): void;
  rename?(kernel: Kernel, task: Task, entry: Dentry, toDir: Dentry, toName: string, flags: number): void;
  readlink?(kernel: Kernel, entry: Dentry, task: Task): string;
  /** Magic links (/proc/PID/fd/N, /proc/PID/ns/net, exe, cwd, root) lead straight to a path. */
  follow?(kernel: Kernel, entry: Dentry, task: Task): Path | null;
  /** mode, uid, gid, times, size of a node; overlay copies up here. */
  setattr?(kernel: Kernel, task: Task, entry: Dentry, change: Partial<Pick<Inode, 'mode' | 'uid' | 'gid' | 'atime' | 'mtime' | 'size'>>): void;
  setxattr?(kernel: Kernel, task: Task, entry: Dentry, name: string, value: Bytes | null): void;
  /** The operations of a file of this file system when opened; overlay copies up here when flags ask to write. */
  open(kernel: Kernel, task: Task, entry: Dentry, flags: number): { ops: FileOps; data: unknown; inode?: Inode };
  statfs?(kernel: Kernel, sb: SuperBlock): { blocks: number; bfree: number; files: number; ffree: number; bavail?: number; bsize?: number };
}
