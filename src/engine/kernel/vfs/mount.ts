/**
 * Mounts and mount namespaces: mount, bind, move, remount, propagation, umount, pivot_root, and the texts of
 * /proc/PID/mounts and mountinfo. Source: mount(2), pivot_root(2), mount_namespaces(7), kernel doc sharedsubtree.
 * Left out: slave propagation chains beyond one level, expiring mounts.
 */
import {
  MNT_DETACH, MS_BIND, MS_MOVE, MS_NODEV, MS_NOATIME, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_RDONLY, MS_REC, MS_REMOUNT, MS_SHARED, MS_SLAVE, MS_STRICTATIME, MS_UNBINDABLE, SysError,
} from '../abi.ts';
import type { Kernel, Task } from '../records.ts';
import { mountOptions, tmpfsText } from './options.ts';
import { record } from '../../sim/trace.ts';
import { forgetPages, isMounted } from '../block.ts';
import { nsCapable } from '../credentials.ts';
import { tasksIn } from '../membership.ts';
import { endMounts, noteHolder } from '../vacancy.ts';
import { hang, rehang, takeDown } from './hanging.ts';
import { capable, capableEverywhere } from './inode.ts';
import { lookup, sameFile } from './path.ts';
import { enrol, peersOf, setPeers } from './peers.ts';
import type { Dentry, Mount, MountNamespace, Path, SuperBlock } from './types.ts';

/** How the time of access is kept: noatime, strictatime; neither is relatime. */
const ATIME_FLAGS = MS_NOATIME | MS_STRICTATIME;
const KEPT_FLAGS = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | ATIME_FLAGS;

export function createMount(kernel: Kernel, ns: MountNamespace, sb: SuperBlock, root: Dentry, at: Path | null, flags: number, source: string): Mount {
  const mount: Mount = {
    id: kernel.mounts.nextId++, parent: null as unknown as Mount, at: root, sb, root, flags: flags & KEPT_FLAGS, shared: 0, master: 0, source, ns, hung: true,
  };
  mount.parent = at ? at.mount : mount;
  if (at) mount.at = at.dentry;
  hang(mount);
  noteHolder(kernel, mount);
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

export function mount(kernel: Kernel, task: Task, source: string, target: string, type: string, flags: number, data: string): 0 {
  mayMount(task);
  const at = lookup(kernel, task, task.fs.cwd, target);
  if (flags & MS_REMOUNT) return remount(at, flags, data);
  if (flags & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)) return propagate(kernel, at, flags);
  if (flags & MS_MOVE) return move(kernel, task, source, at);
  if (flags & MS_BIND) return bind(kernel, task, source, at, flags);
  const make = kernel.filesystems[type];
  if (!make) throw new SysError('ENODEV');
  if (!FOR_ALL.has(type) && !capableEverywhere(task, 'sys_admin')) throw new SysError('EPERM');
  if (type === 'proc' && !nsCapable(task, task.ns.pid.owner, 'sys_admin')) throw new SysError('EPERM');
  if (at.dentry.inode.kind !== 'dir') throw new SysError('ENOTDIR');
  const sb = make(kernel, task, source, data);
  if (flags & MS_RDONLY && OWN_SUPER.has(type)) sb.readonly = true;
  attach(kernel, at, (place) => createMount(kernel, place.mount.ns, sb, sb.root, place, flags, source || 'none'));
  record(kernel.trace, 'kernel', kernel.name, 'mount', { type, target, source, pid: task.pid });
  return 0;
}

/** Makes a mount at a place, and its copies where the place's mount is shared. */
function attach(kernel: Kernel, at: Path, make: (place: Path) => Mount): Mount {
  const first = make(at);
  if (at.mount.shared === 0) return first;
  setPeers(kernel, first, kernel.mounts.nextGroup++, first.master);
  for (const peer of peersOf(kernel, at.mount)) {
    const copy = make({ mount: peer, dentry: at.dentry });
    if (peer.shared === at.mount.shared) setPeers(kernel, copy, first.shared, copy.master);
    else setPeers(kernel, copy, copy.shared, first.shared);
  }
  return first;
}

function bind(kernel: Kernel, task: Task, source: string, at: Path, flags: number): 0 {
  const from = lookup(kernel, task, task.fs.cwd, source);
  if ((from.dentry.inode.kind === 'dir') !== (at.dentry.inode.kind === 'dir')) throw new SysError('ENOTDIR');
  if (from.mount.unbindable) throw new SysError('EINVAL');
  const below = flags & MS_REC ? from.mount.ns.mounts.filter((m) => m !== from.mount && !m.unbindable && under(m, from)) : [];
  const made = attach(kernel, at, (place) => {
    const copy = createMount(kernel, place.mount.ns, from.mount.sb, from.dentry, place, from.mount.flags, from.mount.source);
    setPeers(kernel, copy, from.mount.shared, 0);
    return copy;
  });
  if (from.mount.shared === 0 && at.mount.shared === 0) setPeers(kernel, made, 0, made.master);
  const copies = new Map<Mount, Mount>([[from.mount, made]]);
  for (const one of below) {
    const parent = copies.get(one.parent);
    if (parent) copies.set(one, copyInto(kernel, one, parent));
  }
  return 0;
}

function copyInto(kernel: Kernel, one: Mount, parent: Mount): Mount {
  const copy = createMount(kernel, parent.ns, one.sb, one.root, { mount: parent, dentry: one.at }, one.flags, one.source);
  setPeers(kernel, copy, one.shared, one.master);
  return copy;
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

function remount(at: Path, flags: number, data: string): 0 {
  const target = requireRootOf(at);
  target.flags = (flags & ATIME_FLAGS ? flags : flags | (target.flags & ATIME_FLAGS)) & KEPT_FLAGS;
  if (!(flags & MS_BIND)) {
    target.sb.readonly = (flags & MS_RDONLY) !== 0;
    if (data !== '') target.sb.options = target.sb.type === 'tmpfs' ? tmpfsText(mountOptions(`${target.sb.options},${data}`)) : data;
  }
  return 0;
}

function propagate(kernel: Kernel, at: Path, flags: number): 0 {
  const top = requireRootOf(at);
  const all = flags & MS_REC ? top.ns.mounts.filter((m) => m === top || under(m, { mount: top, dentry: top.root })) : [top];
  for (const one of all) {
    if (flags & MS_SHARED) setPeers(kernel, one, one.shared || kernel.mounts.nextGroup++, one.master);
    else setPeers(kernel, one, 0, flags & MS_SLAVE ? one.shared || one.master : 0);
    one.unbindable = (flags & MS_UNBINDABLE) !== 0;
  }
  return 0;
}

function move(kernel: Kernel, task: Task, source: string, at: Path): 0 {
  const moved = requireRootOf(lookup(kernel, task, task.fs.cwd, source));
  if (moved.parent === moved || moved.parent.shared !== 0) throw new SysError('EINVAL');
  if (at.mount === moved || under(at.mount, { mount: moved, dentry: moved.root })) throw new SysError('ELOOP');
  rehang(moved, at.mount, at.dentry);
  return 0;
}

export function umount(kernel: Kernel, task: Task, target: string, flags: number): 0 {
  mayMount(task);
  const gone = requireRootOf(lookup(kernel, task, task.fs.cwd, target));
  if (gone.parent === gone) throw new SysError(flags & MNT_DETACH ? 'EINVAL' : 'EBUSY');
  const below = gone.ns.mounts.filter((m) => m !== gone && under(m, { mount: gone, dentry: gone.root }));
  if (!(flags & MNT_DETACH) && (below.length > 0 || inUse(kernel, gone))) throw new SysError('EBUSY');
  const peers = gone.parent.shared ? peersOf(kernel, gone.parent).map((p) => gone.at.hung?.find((m) => m.parent === p)) : [];
  const all = [gone, ...below, ...peers].filter((one) => one !== undefined);
  takeDown(all);
  endMounts(kernel, all);
  const disks = all.map((one) => one.sb).filter((sb) => sb.type === 'ext4' && sb.data);
  for (const sb of new Set(disks)) if (!isMounted(kernel, sb)) forgetPages(kernel, sb);
  record(kernel.trace, 'kernel', kernel.name, 'umount', { target, pid: task.pid });
  return 0;
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
  if (fresh.dentry.inode.kind !== 'dir' || put.dentry.inode.kind !== 'dir') throw new SysError('ENOTDIR');
  if (fresh.mount === top.mount || put.mount === top.mount) throw new SysError('EBUSY');
  if (fresh.dentry !== fresh.mount.root || top.dentry !== top.mount.root) throw new SysError('EINVAL');
  if (fresh.mount.parent === fresh.mount || fresh.mount.parent.shared || (top.mount.parent !== top.mount && top.mount.parent.shared) || put.mount.shared) throw new SysError('EINVAL');
  if (!(put.mount === fresh.mount || under(put.mount, { mount: fresh.mount, dentry: fresh.mount.root }))) throw new SysError('EINVAL');
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

/** A copy of a mount namespace, and the task's root and working directory moved into it. */
export function copyMountNamespace(kernel: Kernel, from: MountNamespace, ino: number): { ns: MountNamespace; move: (path: Path) => Path } {
  const ns: MountNamespace = { ino, mounts: [], root: null as unknown as Mount };
  const copies = new Map<Mount, Mount>();
  for (const one of from.mounts) {
    const { parent, at, sb, root, flags, shared, master, source } = one;
    const copy: Mount = { id: kernel.mounts.nextId++, parent, at, sb, root, flags, shared, master, source, ns, hung: true };
    copies.set(one, copy);
    hang(copy);
    noteHolder(kernel, copy);
    enrol(kernel, copy);
  }
  for (const copy of ns.mounts) copy.parent = copies.get(copy.parent) ?? copy;
  ns.root = copies.get(from.root)!;
  return { ns, move: (path) => ({ mount: copies.get(path.mount) ?? path.mount, dentry: path.dentry }) };
}
