/**
 * Mounts and mount namespaces: mount, bind, move, remount, propagation, umount, pivot_root, and the texts of
 * /proc/PID/mounts and mountinfo. Source: mount(2), pivot_root(2), mount_namespaces(7), kernel doc sharedsubtree.
 * Trees of mounts and what hears of them: trees.ts, peers.ts. Left out: expiring mounts.
 */
import {
  MNT_DETACH, MNT_EXPIRE, MNT_FORCE, MS_BIND, MS_MOVE, MS_NOATIME, MS_NODEV, MS_NODIRATIME, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_RDONLY, MS_REC, MS_RELATIME, MS_REMOUNT, MS_SHARED, MS_SILENT,
  MS_SLAVE, MS_STRICTATIME, MS_SYNCHRONOUS, MS_UNBINDABLE, O_ACCMODE, SysError, UMOUNT_NOFOLLOW,
} from '../abi.ts';
import type { Kernel, Task, UserNamespace } from '../records.ts';
import { reconfigure } from './options.ts';
import { record } from '../../sim/trace.ts';
import { forgetPages, isMounted } from '../block.ts';
import { nsCapable } from '../credentials.ts';
import { tasksIn } from '../membership.ts';
import { endMounts } from '../vacancy.ts';
import { hang, hangingAt, makeMount, rehang, takeDown, treeOf, within } from './hanging.ts';
import { capable, capableEverywhere } from './inode.ts';
import { beginLate, complete, completeBelow, counterpart, completeTree, forget, settle, turnAll } from './latecopy.ts';
import { lookup, sameFile } from './path.ts';
import { enslave, receiversOf, setPeers } from './peers.ts';
import { attachTree, cloneMount, copyTree, goingWith, lockTree, ofMounts } from './trees.ts';
import type { Dentry, Mount, MountNamespace, Path, SuperBlock } from './types.ts';

/** How the time of access is kept: noatime, strictatime; neither is relatime. */
const ATIME_FLAGS = MS_NOATIME | MS_STRICTATIME;
const KEPT_FLAGS = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NODIRATIME | ATIME_FLAGS;

export function createMount(kernel: Kernel, ns: MountNamespace, sb: SuperBlock, root: Dentry, at: Path | null, flags: number, source: string): Mount {
  const mount = makeMount(kernel.mounts.nextId++, ns, sb, root, source, flags & KEPT_FLAGS);
  if (at) {
    mount.parent = at.mount;
    mount.at = at.dentry;
  }
  hang(kernel, mount);
  return mount;
}

/** Mounting asks for CAP_SYS_ADMIN over the mount namespace. */
function mayMount(task: Task): void {
  const { owner } = task.ns.mnt;
  if (owner ? !nsCapable(task, owner, 'sys_admin') : !capable(task, 'sys_admin')) throw new SysError('EPERM');
}

/** File systems that the root of a user namespace may mount anew (FS_USERNS_MOUNT). */
const FOR_ALL: ReadonlySet<string> = new Set(['tmpfs', 'proc', 'sysfs', 'cgroup2', 'devpts', 'mqueue', 'overlay']);

/** File systems of which each mount(2) is another one, read-only as a whole when mounted so. */
const OWN_SUPER: ReadonlySet<string> = new Set(['tmpfs', 'sysfs', 'overlay']);

/** Whose privileges count beside the mounter's own. */
const USER_OF: Readonly<Record<string, (task: Task) => UserNamespace>> = {
  proc: (task) => task.ns.pid.owner, sysfs: (task) => task.ns.net.owner, cgroup2: (task) => task.ns.cgroup.owner, mqueue: (task) => task.ns.ipc.owner,
};

/** A new one of these would show what mounts over an old one hide: a less privileged namespace must see one whole already. */
const REVEALING: ReadonlySet<string> = new Set(['proc', 'sysfs']);

/** The restrictions of the mount that is seen whole (mount_too_revealing). Throws EPERM when there is none. */
function locksOfVisible(kernel: Kernel, ns: MountNamespace, sb: SuperBlock, flags: number): Mount['locks'] {
  complete(ns);
  for (const one of ns.mounts) {
    if (one.sb.type !== sb.type || one.root !== one.sb.root || (one.locks && one.locks.flags & MS_RDONLY && !(flags & MS_RDONLY))) continue;
    if (one.locks && (one.locks.flags & ATIME_FLAGS) !== (flags & ATIME_FLAGS)) continue;
    const hides = (child: Mount): boolean => Boolean(child.locks?.fast) && (child.at.inode.kind !== 'dir' || child.at.sb.ops.readdir(kernel, child.at).length > 0);
    if (!one.children.some(hides)) return one.locks && { fast: false, flags: one.locks.flags & (MS_RDONLY | ATIME_FLAGS) };
  }
  throw new SysError('EPERM');
}

export function mount(kernel: Kernel, task: Task, source: string, target: string, type: string, flags: number, data: string): 0 {
  const at = lookup(kernel, task, task.fs.cwd, target);
  mayMount(task);
  if (flags & MS_REC && flags & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)) turnLate(at, flags);
  settle(kernel, at.mount.ns);
  if (flags & MS_REMOUNT) return remount(kernel, task, at, flags, data);
  if (flags & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)) return propagate(kernel, at, flags);
  if (flags & MS_MOVE) return move(kernel, task, source, at);
  if (flags & MS_BIND) return bind(kernel, task, source, at, flags);
  const make = kernel.filesystems[type];
  if (!make) throw new SysError('ENODEV');
  const user = USER_OF[type]?.(task) ?? task.ns.user;
  if (FOR_ALL.has(type) ? !nsCapable(task, user, 'sys_admin') : !capableEverywhere(task, 'sys_admin')) throw new SysError('EPERM');
  const sb = make(kernel, task, source, data);
  if (FOR_ALL.has(type)) sb.user ??= user;
  const locks = REVEALING.has(type) && task.ns.mnt.owner !== kernel.init.user ? locksOfVisible(kernel, task.ns.mnt, sb, flags) : null;
  if (at.dentry.inode.kind !== 'dir') throw new SysError('ENOTDIR');
  if (flags & MS_RDONLY && OWN_SUPER.has(type)) sb.readonly = true;
  if (flags & MS_SYNCHRONOUS) sb.synchronous = true;
  const fresh = makeMount(kernel.mounts.nextId++, at.mount.ns, sb, sb.root, source || 'none', flags & KEPT_FLAGS);
  fresh.locks = locks;
  attachTree(kernel, [fresh], at, task.ns.mnt.owner);
  record(kernel.trace, 'kernel', kernel.name, 'mount', { type, target, source, pid: task.pid });
  return 0;
}

function bind(kernel: Kernel, task: Task, source: string, at: Path, flags: number): 0 {
  const from = lookup(kernel, task, task.fs.cwd, source);
  if (from.mount.unbindable) throw new SysError('EINVAL');
  if (flags & MS_REC || from.mount.locks) completeBelow(from);
  const whole = treeOf(from.mount);
  if (!(flags & MS_REC) && whole.some((one) => one.parent === from.mount && one.locks?.fast && within(one.at, from.dentry))) throw new SysError('EINVAL');
  if ((from.dentry.inode.kind === 'dir') !== (at.dentry.inode.kind === 'dir')) throw new SysError('ENOTDIR');
  const tree = copyTree(kernel, flags & MS_REC ? whole : [from.mount], from.dentry, at.mount.ns);
  const { locks } = tree[0]!;
  if (locks) tree[0]!.locks = { ...locks, fast: false };
  attachTree(kernel, tree, at, task.ns.mnt.owner);
  return 0;
}

/** Does mount `m` hang somewhere below a path? */
function under(m: Mount, top: Path): boolean {
  const whole = top.dentry === top.mount.root;
  for (let at = m; at.parent !== at; at = at.parent) {
    if (at.parent !== top.mount) continue;
    if (whole) return true;
    for (let d = at.at; ; d = d.parent) {
      if (d === top.dentry) return true;
      if (d.parent === d) return false;
    }
  }
  return false;
}

function requireRootOf(at: Path): Mount {
  if (at.dentry !== at.mount.root) throw new SysError('EINVAL');
  return at.mount;
}

/** Restrictions that came from a more privileged namespace stay. */
function mayChange({ locks }: Mount, flags: number): boolean {
  const kept = (locks?.flags ?? 0) & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC);
  return !locks || ((flags & kept) === kept && (flags & ATIME_FLAGS) === (locks.flags & ATIME_FLAGS));
}

function remount(kernel: Kernel, task: Task, at: Path, flags: number, data: string): 0 {
  const target = requireRootOf(at);
  const fresh = (flags & (ATIME_FLAGS | MS_RELATIME | MS_NODIRATIME) ? flags : flags | (target.flags & (ATIME_FLAGS | MS_NODIRATIME))) & KEPT_FLAGS;
  if (!mayChange(target, fresh)) throw new SysError('EPERM');
  if (!(flags & MS_BIND)) {
    const { sb } = target;
    if (!(sb.user ? nsCapable(task, sb.user, 'sys_admin') : capableEverywhere(task, 'sys_admin'))) throw new SysError('EPERM');
    if (flags & MS_RDONLY && !sb.readonly && writtenThrough(kernel, sb)) throw new SysError('EBUSY');
    if (data !== '') reconfigure(task, sb, data);
    sb.readonly = (flags & MS_RDONLY) !== 0;
    sb.synchronous = (flags & MS_SYNCHRONOUS) !== 0;
  }
  target.flags = fresh;
  return 0;
}

function propagate(kernel: Kernel, at: Path, flags: number): 0 {
  const top = requireRootOf(at);
  if (![MS_SHARED, MS_PRIVATE, MS_SLAVE, MS_UNBINDABLE].includes(flags & ~(MS_REC | MS_SILENT))) throw new SysError('EINVAL');
  for (const one of flags & MS_REC ? treeOf(top) : [top]) {
    if (flags & MS_SHARED) setPeers(kernel, one, one.shared || kernel.mounts.nextGroup++, one.master);
    else if (flags & MS_SLAVE) enslave(kernel, one);
    else setPeers(kernel, one, 0, 0);
    if (!(flags & MS_SLAVE)) one.unbindable = (flags & MS_UNBINDABLE) !== 0;
  }
  return 0;
}

/** Of a namespace that is not wholly copied yet: what is still to come turns with the rest, if all of it hangs below. */
function turnLate({ mount, dentry }: Path, flags: number): void {
  const { late } = mount.ns;
  if (!late) return;
  const all = late.originals.get(mount) === late.from.root && dentry === mount.root && !(flags & ~(MS_PRIVATE | MS_SLAVE | MS_REC | MS_SILENT));
  if (!all || !turnAll(mount.ns, flags & MS_SLAVE ? 'slave' : 'private')) completeTree(mount);
}

function move(kernel: Kernel, task: Task, source: string, at: Path): 0 {
  const moved = requireRootOf(lookup(kernel, task, task.fs.cwd, source));
  if (moved.parent === moved || moved.locks?.fast || (at.dentry.inode.kind === 'dir') !== (moved.root.inode.kind === 'dir') || moved.parent.shared !== 0) throw new SysError('EINVAL');
  completeTree(moved);
  const tree = treeOf(moved);
  if (at.mount.shared !== 0 && tree.some((one) => one.unbindable)) throw new SysError('EINVAL');
  if (at.mount === moved || under(at.mount, { mount: moved, dentry: moved.root })) throw new SysError('ELOOP');
  attachTree(kernel, tree, at, task.ns.mnt.owner);
  return 0;
}

export function umount(kernel: Kernel, task: Task, target: string, flags: number): 0 {
  if (flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW)) throw new SysError('EINVAL');
  const at = lookup(kernel, task, task.fs.cwd, target);
  mayMount(task);
  const gone = requireRootOf(at);
  if (gone.locks?.fast) throw new SysError('EINVAL');
  if (gone.parent === gone) throw new SysError(flags & MNT_DETACH ? 'EINVAL' : 'EBUSY');
  settle(kernel, gone.ns);
  const { late } = gone.ns;
  if (late && late.originals.get(gone) === late.from.root && flags & MNT_DETACH) forget(gone.ns);
  else completeTree(gone);
  const tree = treeOf(gone);
  if (!(flags & MNT_DETACH) && (tree.length > 1 || inUse(kernel, gone) || peersInUse(kernel, gone))) throw new SysError('EBUSY');
  const all = [...tree, ...goingWith(kernel, tree)];
  takeDown(all);
  endMounts(kernel, all);
  const disks = all.map((one) => one.sb).filter((sb) => (sb.type === 'ext4' && sb.data) || (sb.type === 'tmpfs' && !(flags & MNT_DETACH)));
  for (const sb of new Set(disks)) if (!isMounted(kernel, sb)) forgetPages(kernel, sb);
  record(kernel.trace, 'kernel', kernel.name, 'umount', { target, pid: task.pid });
  return 0;
}

/** Its likes elsewhere would go too: not while somebody is in one of them. */
function peersInUse(kernel: Kernel, gone: Mount): boolean {
  if (gone.parent.shared === 0) return false;
  return receiversOf(kernel, gone.parent).some((to) => {
    const child = hangingAt(to, gone.at);
    return child !== null && child.children.every((one) => one.at === child.root) && inUse(kernel, child);
  });
}

/** Is a file of it open for writing? */
function writtenThrough(kernel: Kernel, sb: SuperBlock): boolean {
  for (const task of kernel.tasks.values()) {
    if (task.state === 'zombie' || task.state === 'dead') continue;
    for (const slot of task.files.slots) if (slot && slot.file.path?.mount.sb === sb && slot.file.inode.kind === 'file' && slot.file.flags & O_ACCMODE) return true;
  }
  return false;
}

function inUse(kernel: Kernel, mount: Mount): boolean {
  for (const task of kernel.tasks.values()) {
    if (task.state === 'zombie' || task.state === 'dead') continue;
    if (task.fs.cwd.mount === mount || task.fs.root.mount === mount) return true;
    for (const slot of task.files.slots) if (slot?.file.path?.mount === mount) return true;
  }
  return false;
}

export function pivotRoot(kernel: Kernel, task: Task, newRoot: string, putOld: string): 0 {
  mayMount(task);
  const fresh = lookup(kernel, task, task.fs.cwd, newRoot);
  const put = lookup(kernel, task, task.fs.cwd, putOld);
  const top = task.fs.root;
  settle(kernel, fresh.mount.ns);
  completeTree(fresh.mount);
  if (fresh.dentry.inode.kind !== 'dir' || put.dentry.inode.kind !== 'dir') throw new SysError('ENOTDIR');
  if (fresh.mount.parent.shared || (top.mount.parent !== top.mount && top.mount.parent.shared) || put.mount.shared || fresh.mount.locks?.fast) throw new SysError('EINVAL');
  if (fresh.mount === top.mount || put.mount === top.mount) throw new SysError('EBUSY');
  if (fresh.dentry !== fresh.mount.root || top.dentry !== top.mount.root || fresh.mount.parent === fresh.mount) throw new SysError('EINVAL');
  const reaches = (from: Path, to: Path): boolean => (from.mount === to.mount ? within(from.dentry, to.dentry) : under(from.mount, to));
  if (!reaches(put, fresh) || !reaches(fresh, top)) throw new SysError('EINVAL');
  const old = top.mount;
  const isTop = old.parent === old;
  rehang(fresh.mount, isTop ? fresh.mount : old.parent, isTop ? fresh.mount.root : old.at);
  rehang(old, put.mount, put.dentry);
  if (isTop) task.ns.mnt.root = fresh.mount;
  const place: Path = { mount: fresh.mount, dentry: fresh.mount.root };
  for (const other of tasksIn(kernel, task.ns.mnt)) {
    if (sameFile(other.fs.root, top)) other.fs.root = place;
    if (sameFile(other.fs.cwd, top)) other.fs.cwd = place;
  }
  record(kernel.trace, 'kernel', kernel.name, 'pivot_root', { new_root: newRoot, put_old: putOld, pid: task.pid });
  return 0;
}

/** A copy of a mount namespace, and the task's root and working directory moved into it. Of another owner, it hears of what is mounted above and tells nobody. */
export function copyMountNamespace(kernel: Kernel, from: MountNamespace, ino: number, owner: UserNamespace): { ns: MountNamespace; move: (path: Path) => Path } {
  const ns: MountNamespace = { ino, mounts: [], root: null as unknown as Mount, owner, late: null };
  const foreign = owner !== (from.owner ?? kernel.init.user);
  complete(from);
  if (!foreign && ![...kernel.spaces.mounted].some((one) => one.ns === from && ofMounts(one))) {
    beginLate(kernel, ns, from);
    return { ns, move: (path) => ({ mount: counterpart(ns, path.mount) ?? path.mount, dentry: path.dentry }) };
  }
  settle(kernel, from);
  const copies = new Map<Mount, Mount>();
  for (const one of from.mounts) if (!ofMounts(one)) copies.set(one, cloneMount(kernel, one, ns, one.root, foreign && one.shared !== 0 ? 'slave' : 'peer'));
  for (const copy of copies.values()) {
    copy.parent = copies.get(copy.parent) ?? copy;
    hang(kernel, copy);
  }
  ns.root = copies.get(from.root)!;
  if (foreign) lockTree([ns.root, ...ns.mounts.filter((one) => one !== ns.root)]);
  return { ns, move: (path) => ({ mount: copies.get(path.mount) ?? path.mount, dentry: path.dentry }) };
}
