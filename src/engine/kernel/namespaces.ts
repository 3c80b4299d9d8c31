/**
 * Namespaces: what clone, unshare and setns do with a task's view of mounts, pids, names, network and users. The first ones
 * have the inode numbers that every Linux gives them. A new user namespace comes first: its maker has all capabilities in it,
 * and the other new namespaces belong to it. Source: namespaces(7), user_namespaces(7), pid_namespaces(7), setns(2).
 * Offsets of time namespaces: timens.ts; objects of ipc namespaces: ipc.ts.
 */
import { record } from '../sim/trace.ts';
import {
  CLONE_FS, CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWTIME, CLONE_NEWUSER, CLONE_NEWUTS, CLONE_THREAD, CLONE_VM,
  SysError,
} from './abi.ts';
import { fullCaps, idInside, nsCapable, requireCapable } from './credentials.ts';
import { moveNamespaces, threadsOf } from './membership.ts';
import { createNetNamespace } from './net/links.ts';
import type { Kernel, Namespaces, PidNamespace, Task, TimeNamespace, UserNamespace } from './records.ts';
import { newTimeNamespace } from './timens.ts';
import { freshNumber, madeFor } from './vacancy.ts';
import { copyMountNamespace } from './vfs/mount.ts';
import { type NsFile, nsFile } from './vfs/nsfs.ts';
import type { File, MountNamespace } from './vfs/types.ts';

const NEW_FLAGS = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWUSER | CLONE_NEWCGROUP | CLONE_NEWTIME;
/** Levels of nesting that pid and user namespaces allow. */
const MAX_LEVEL = 32;

/** PROC_*_INIT_INO; mnt and net are made later and get the next free ones. */
const INIT_INO = { ipc: 0xefffffff, uts: 0xeffffffe, user: 0xeffffffd, pid: 0xeffffffc, cgroup: 0xeffffffb, time: 0xeffffffa };
/** Of the first net and mnt namespaces. */
export const FIRST_FREE_INO = 4026531840;
/** Where those made later begin: the kernel itself holds the numbers between. */
export const LATER_INO = 4026532188;

/** The namespaces that a machine boots with. */
export function firstNamespaces(kernel: Kernel, hostname: string, mnt: MountNamespace): Namespaces {
  const user: UserNamespace = {
    ino: INIT_INO.user, parent: null, owner: 0, uidMap: [{ inside: 0, outside: 0, count: 4294967295 }],
    gidMap: [{ inside: 0, outside: 0, count: 4294967295 }], setgroups: 'allow',
  };
  const pid: PidNamespace = { ino: INIT_INO.pid, parent: null, level: 0, next: 1, tasks: new Map(), dead: false, owner: user };
  mnt.owner = user;
  const time = newTimeNamespace(INIT_INO.time, user, null);
  return {
    mnt, pid, pidForChildren: pid, user,
    uts: { ino: INIT_INO.uts, hostname, domainname: '(none)', owner: user },
    ipc: { ino: INIT_INO.ipc, owner: user },
    net: createNetNamespace(kernel, user, FIRST_FREE_INO),
    cgroup: { ino: INIT_INO.cgroup, root: kernel.cgroups.root, owner: user },
    time, timeForChildren: time,
  };
}

/** Made for a user namespace as long as it, and those above it, may have one more of the type. Throws ENOSPC. */
function requireRoom(kernel: Kernel, user: UserNamespace, type: 'mnt' | 'uts' | 'ipc' | 'pid' | 'cgroup' | 'net' | 'time' | 'user'): void {
  for (let at: UserNamespace | null = user; at; at = at.parent) {
    const most = at.most?.get(type);
    if (most !== undefined && madeFor(kernel, at, type) >= most) throw new SysError('ENOSPC');
  }
}

function userLevel(ns: UserNamespace): number {
  let level = 0;
  for (let at = ns.parent; at; at = at.parent) level++;
  return level;
}

function newUserNamespace(kernel: Kernel, task: Task, fresh: () => number): UserNamespace {
  const { user } = task.ns;
  requireRoom(kernel, user, 'user');
  if (!user.parent && (kernel.counters['sysctl:unprivileged_userns_clone'] ?? 1) === 0) requireCapable(task, user, 'sys_admin');
  if (userLevel(user) >= MAX_LEVEL) throw new SysError('ENOSPC');
  if (idInside(user, task.cred.euid, 'uidMap') === null || idInside(user, task.cred.egid, 'gidMap') === null) throw new SysError('EPERM');
  return { ino: fresh(), parent: user, owner: task.cred.euid, uidMap: null, gidMap: null, setgroups: user.setgroups };
}

const LIMITED = [[CLONE_NEWNS, 'mnt'], [CLONE_NEWUTS, 'uts'], [CLONE_NEWIPC, 'ipc'], [CLONE_NEWPID, 'pid'], [CLONE_NEWCGROUP, 'cgroup'], [CLONE_NEWNET, 'net'], [CLONE_NEWTIME, 'time']] as const;

/** New namespaces as flags ask, owned by `owner`, in the order of create_new_namespaces. `fs` moves along when the mounts are new. */
function create(
  kernel: Kernel, task: Task, target: Pick<Task, 'fs'>, flags: number, owner: UserNamespace, fresh: () => number,
): Partial<Namespaces> {
  const made: Partial<Namespaces> = {};
  const { ns } = task;
  if (flags & CLONE_NEWPID && ns.pidForChildren.level >= MAX_LEVEL) throw new SysError('ENOSPC');
  for (const [flag, type] of LIMITED) if (flags & flag) requireRoom(kernel, owner, type);
  if (flags & CLONE_NEWNS) {
    const copy = copyMountNamespace(kernel, ns.mnt, fresh(), owner);
    made.mnt = copy.ns;
    target.fs.root = copy.move(target.fs.root);
    target.fs.cwd = copy.move(target.fs.cwd);
  }
  if (flags & CLONE_NEWUTS) made.uts = { ...ns.uts, ino: fresh(), owner };
  if (flags & CLONE_NEWIPC) made.ipc = { ino: fresh(), owner };
  if (flags & CLONE_NEWPID) {
    const parent = ns.pidForChildren;
    made.pidForChildren = { ino: fresh(), parent, level: parent.level + 1, next: 1, tasks: new Map(), dead: false, owner };
  }
  if (flags & CLONE_NEWCGROUP) made.cgroup = { ino: fresh(), root: task.cgroup, owner };
  if (flags & CLONE_NEWNET) made.net = createNetNamespace(kernel, owner, fresh());
  if (flags & CLONE_NEWTIME) made.timeForChildren = newTimeNamespace(fresh(), owner, ns.time);
  return made;
}

function requireMayCreate(task: Task, flags: number): void {
  if (flags & NEW_FLAGS & ~CLONE_NEWUSER && !(flags & CLONE_NEWUSER)) requireCapable(task, task.ns.user, 'sys_admin');
}

/** The namespaces of a task about to be made; sets its credentials when it gets a user namespace of its own. */
export function namespacesForChild(kernel: Kernel, task: Task, child: Task, flags: number): Namespaces {
  if (flags & CLONE_NEWNS && flags & CLONE_FS) throw new SysError('EINVAL');
  if (flags & CLONE_NEWUSER && flags & CLONE_FS) throw new SysError('EINVAL');
  requireMayCreate(task, flags);
  const { ns } = task;
  if (!(flags & NEW_FLAGS)) return ns.pid === ns.pidForChildren && ns.time === ns.timeForChildren ? ns : entered({ ...ns, pid: ns.pidForChildren });
  const fresh = () => freshNumber(kernel);
  const user = flags & CLONE_NEWUSER ? newUserNamespace(kernel, task, fresh) : ns.user;
  if (user !== ns.user) child.cred = { ...task.cred, caps: fullCaps() };
  const made: Namespaces = { ...ns, ...create(kernel, task, child, flags, user, fresh), user };
  made.pid = made.pidForChildren;
  return entered(made);
}

/** A process is in the time namespace that was meant for it. */
function entered(ns: Namespaces): Namespaces {
  ns.time = ns.timeForChildren;
  ns.time.entered = true;
  return ns;
}

/** At execve a task goes where its children would. */
export function enterTime(kernel: Kernel, task: Task): void {
  if (task.ns.time !== task.ns.timeForChildren) moveNamespaces(kernel, task, entered({ ...task.ns }));
}

/** unshare(2). Throws EPERM, EINVAL, ENOSPC. */
export function unshare(kernel: Kernel, task: Task, flags: number): void {
  if (flags & ~(NEW_FLAGS | CLONE_FS | 0x400 | CLONE_VM | CLONE_THREAD | 0x800 | 0x40000)) throw new SysError('EINVAL');
  if (flags & (CLONE_NEWUSER | CLONE_THREAD | CLONE_VM) && threadsOf(kernel, task).length > 1) throw new SysError('EINVAL');
  requireMayCreate(task, flags);
  if (flags & (CLONE_FS | CLONE_NEWNS | CLONE_NEWUSER)) task.fs = { ...task.fs };
  const fresh = () => freshNumber(kernel);
  const user = flags & CLONE_NEWUSER ? newUserNamespace(kernel, task, fresh) : task.ns.user;
  const made = create(kernel, task, task, flags, user, fresh);
  if (user !== task.ns.user) task.cred = { ...task.cred, caps: fullCaps() };
  moveNamespaces(kernel, task, { ...task.ns, ...made, user });
  if (flags & NEW_FLAGS) record(kernel.trace, 'kernel', kernel.name, 'ns.unshare', { pid: task.pid, comm: task.comm, flags });
}

/** setns(2): joins the namespace that a descriptor of nsfs stands for. Throws EINVAL, EPERM. */
export function setns(kernel: Kernel, task: Task, file: File, type: number): void {
  const found = nsFile(file.inode);
  if (!found || (type !== 0 && type !== found.flag)) throw new SysError('EINVAL');
  join(kernel, task, found);
  record(kernel.trace, 'kernel', kernel.name, 'ns.setns', { pid: task.pid, comm: task.comm, type: found.type, ino: found.ns.ino });
}

function join(kernel: Kernel, task: Task, { type, ns }: NsFile): void {
  if (type === 'user') {
    joinUser(kernel, task, ns as UserNamespace);
    return;
  }
  const owner = (ns as { owner?: UserNamespace }).owner ?? kernel.init.user;
  if (!nsCapable(task, owner, 'sys_admin') || !nsCapable(task, task.ns.user, 'sys_admin')) throw new SysError('EPERM');
  if (type === 'pid') {
    joinPid(kernel, task, ns as PidNamespace);
    return;
  }
  if (type === 'mnt') {
    if (!nsCapable(task, task.ns.user, 'sys_chroot')) throw new SysError('EPERM');
    const mnt = ns as MountNamespace;
    const place = { mount: mnt.root, dentry: mnt.root.root };
    task.fs = { ...task.fs, root: place, cwd: place };
  }
  if (type === 'time') moveNamespaces(kernel, task, entered({ ...task.ns, timeForChildren: ns as TimeNamespace }));
  else moveNamespaces(kernel, task, { ...task.ns, [type]: ns });
}

function joinUser(kernel: Kernel, task: Task, ns: UserNamespace): void {
  if (ns === task.ns.user || threadsOf(kernel, task).length > 1) throw new SysError('EINVAL');
  if (!nsCapable(task, ns, 'sys_admin')) throw new SysError('EPERM');
  task.fs = { ...task.fs };
  task.cred = { ...task.cred, caps: fullCaps() };
  moveNamespaces(kernel, task, { ...task.ns, user: ns });
}

/** Only into the own namespace or one below it, and only for children. */
function joinPid(kernel: Kernel, task: Task, ns: PidNamespace): void {
  for (let at: PidNamespace | null = ns; at !== task.ns.pid; at = at.parent) if (!at) throw new SysError('EINVAL');
  moveNamespaces(kernel, task, { ...task.ns, pidForChildren: ns });
}
