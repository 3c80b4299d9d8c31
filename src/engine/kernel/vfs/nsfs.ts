/**
 * nsfs: the file system whose files are namespaces. /proc/PID/ns/* are magic links to them; an open descriptor or a bind mount
 * keeps its namespace alive. Source: namespaces(7). What setns(2) needs is in the inode: `nsFile(inode)`.
 */
import { CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWTIME, CLONE_NEWUSER, CLONE_NEWUTS, SysError } from '../abi.ts';
import type { Kernel, Namespaces } from '../records.ts';
import { isHung } from './hanging.ts';
import { createSuperBlock, makeDentry, makeInode } from './inode.ts';
import type { Dentry, FileOps, FsOps, Inode, Mount, MountNamespace, Path, SuperBlock } from './types.ts';

export type NsType = keyof Namespaces;

export interface NsFile {
  /** As the link's text names it: mnt, pid, uts, ipc, net, user, cgroup, time. */
  type: Exclude<NsType, 'pidForChildren'>;
  /** CLONE_NEW*. */
  flag: number;
  ns: { ino: number };
}

export const NS_FLAGS: Readonly<Record<NsFile['type'], number>> = {
  cgroup: CLONE_NEWCGROUP, ipc: CLONE_NEWIPC, mnt: CLONE_NEWNS, net: CLONE_NEWNET, pid: CLONE_NEWPID, time: CLONE_NEWTIME, user: CLONE_NEWUSER, uts: CLONE_NEWUTS,
};

interface Nsfs {
  sb: SuperBlock;
  mount: Mount;
  files: WeakMap<object, Dentry>;
  /** What keeps namespaces alive: a token for each open description, and the mounts of their files. */
  opened: Set<NsFile>;
  mounted: Set<Mount>;
  /** How often something was let go that may have held a namespace. */
  releases: number;
}

const fileOps: FileOps = {
  read() {
    throw new SysError('EINVAL');
  },
  release(kernel, file) {
    nsfsOf(kernel).opened.delete(file.data as NsFile);
    letGo(kernel);
  },
};

const ops: FsOps = {
  lookup: () => null,
  readdir: () => [],
  open(kernel, _task, entry) {
    const token = { ...(entry.inode.data as NsFile) };
    nsfsOf(kernel).opened.add(token);
    return { ops: fileOps, data: token };
  },
};

function nsfsOf(kernel: Kernel): Nsfs {
  const known = kernel.drivers.get('nsfs') as Nsfs | undefined;
  if (known) return known;
  const sb = createSuperBlock(kernel, 'nsfs', 'nsfs', ops);
  sb.root = makeDentry('', null, makeInode(kernel, sb, 'dir', 0o555, null));
  const ns: MountNamespace = { ino: 0, mounts: [], root: null as unknown as Mount };
  const mount: Mount = { id: 0, parent: null as unknown as Mount, at: sb.root, sb, root: sb.root, flags: 0, shared: 0, master: 0, source: 'nsfs', ns };
  mount.parent = mount;
  ns.root = mount;
  const made: Nsfs = { sb, mount, files: new WeakMap(), opened: new Set(), mounted: new Set(), releases: 0 };
  kernel.drivers.set('nsfs', made);
  return made;
}

/** The file that stands for a namespace: always the same for the same one. */
export function nsPath(kernel: Kernel, type: NsFile['type'], ns: { ino: number }): Path {
  const { sb, mount, files } = nsfsOf(kernel);
  let dentry = files.get(ns);
  if (!dentry) {
    const inode = makeInode(kernel, sb, 'file', 0o444, { type, flag: NS_FLAGS[type], ns } satisfies NsFile);
    inode.ino = ns.ino;
    dentry = makeDentry(`${type}:[${ns.ino}]`, sb.root, inode);
    files.set(ns, dentry);
  }
  return { mount, dentry };
}

/** The namespace that a file of nsfs stands for; null for any other file. */
export function nsFile(inode: Inode): NsFile | null {
  return inode.sb.type === 'nsfs' && inode.kind === 'file' ? (inode.data as NsFile) : null;
}

/** Something ends that may have held a namespace: a task, a descriptor, a mount, a socket. */
export function letGo(kernel: Kernel): void {
  nsfsOf(kernel).releases++;
}

/** Grows with each: while it stays the same no namespace can have lost its last holder. */
export function releases(kernel: Kernel): number {
  return nsfsOf(kernel).releases;
}

/** A mount that may be of a namespace's file. */
export function noteHolder(kernel: Kernel, mount: Mount): void {
  if (mount.sb.type === 'nsfs') nsfsOf(kernel).mounted.add(mount);
}

/** Namespaces of one type (null: of all) that an open descriptor or a bind mount holds. */
export function heldByFiles(kernel: Kernel, type: NsFile['type'] | null): Set<object> {
  const { opened, mounted } = nsfsOf(kernel);
  const held = new Set<object>();
  const views = new Set<object>();
  if (mounted.size > 0) for (const task of kernel.tasks.values()) views.add(task.ns.mnt);
  for (const file of opened) {
    if (type === null || file.type === type) held.add(file.ns);
    if (file.type === 'mnt') views.add(file.ns);
  }
  for (const mount of mounted) {
    const file = mount.root.inode.data as NsFile;
    if (!views.has(mount.ns) || !isHung(mount)) mounted.delete(mount);
    else if (type === null || file.type === type) held.add(file.ns);
  }
  return held;
}
