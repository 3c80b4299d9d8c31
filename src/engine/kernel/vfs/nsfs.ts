/**
 * nsfs: the file system whose files are namespaces. /proc/PID/ns/* are magic links to them; an open descriptor or a bind mount
 * keeps its namespace alive. Source: namespaces(7). What setns(2) needs is in the inode: `nsFile(inode)`.
 */
import { CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWTIME, CLONE_NEWUSER, CLONE_NEWUTS, NS_GET_NSTYPE, NS_GET_OWNER_UID, NS_GET_PARENT, NS_GET_USERNS, SysError } from '../abi.ts';
import { shownUid } from '../credentials.ts';
import type { Kernel, Namespaces, UserNamespace } from '../records.ts';
import { vacate } from '../vacancy.ts';
import { install, makeFile } from './descriptors.ts';
import { mountApart } from './hanging.ts';
import { createSuperBlock, makeDentry, makeInode } from './inode.ts';
import type { Dentry, FileOps, FsOps, Inode, Mount, Path, SuperBlock } from './types.ts';

export type NsType = keyof Namespaces;

export interface NsFile {
  /** As the link's text names it: mnt, pid, uts, ipc, net, user, cgroup, time. */
  type: Exclude<NsType, 'pidForChildren' | 'timeForChildren'>;
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
}

const fileOps: FileOps = {
  read() {
    throw new SysError('EINVAL');
  },
  /** NS_GET_USERNS and NS_GET_PARENT give a descriptor; what is above the caller's own user namespace is not shown. */
  ioctl(kernel, task, file, request) {
    const { type, flag, ns } = file.data as NsFile & { ns: { owner?: UserNamespace; parent?: { ino: number } | null } };
    if (request === NS_GET_NSTYPE) return flag;
    if (request === NS_GET_OWNER_UID) {
      if (type !== 'user') throw new SysError('EINVAL');
      return shownUid(task, ns.owner as unknown as number);
    }
    if (request !== NS_GET_USERNS && request !== NS_GET_PARENT) throw new SysError('ENOTTY');
    if (request === NS_GET_PARENT && type !== 'user' && type !== 'pid') throw new SysError('EINVAL');
    const wanted = request === NS_GET_PARENT || type === 'user' ? ns.parent : (ns.owner ?? kernel.init.user);
    if (!wanted) throw new SysError('EPERM');
    const path = nsPath(kernel, request === NS_GET_USERNS ? 'user' : type, wanted);
    const opened = ops.open(kernel, task, path.dentry, 0);
    return install(task, makeFile(path, path.dentry.inode, opened.ops, 0, opened.data), true);
  },
  release(kernel, file) {
    const token = file.data as NsFile;
    kernel.spaces.opened.delete(token);
    vacate(kernel, token.ns);
  },
};

const ops: FsOps = {
  lookup: () => null,
  readdir: () => [],
  open(kernel, _task, entry) {
    const token = { ...(entry.inode.data as NsFile) };
    kernel.spaces.opened.add(token);
    return { ops: fileOps, data: token };
  },
};

function nsfsOf(kernel: Kernel): Nsfs {
  const known = kernel.drivers.get('nsfs') as Nsfs | undefined;
  if (known) return known;
  const sb = createSuperBlock(kernel, 'nsfs', 'nsfs', ops);
  sb.root = makeDentry('', null, makeInode(kernel, sb, 'dir', 0o555, null));
  const made: Nsfs = { sb, mount: mountApart(sb, sb.root), files: new WeakMap() };
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
