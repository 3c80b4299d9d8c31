/**
 * What a system call is for when a container is made: one row a call, the argument deciding where the call alone does not.
 * Writes count by the file they go to: a control group's, a map of ids, a network setting. Source: runc's libcontainer, by
 * which of its packages makes the call.
 */
import { AT_FDCWD, CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWTIME, CLONE_NEWUSER, CLONE_NEWUTS, CLONE_THREAD, MNT_DETACH, S_IFBLK, S_IFCHR, S_IFMT } from './abi.ts';
import type { Task } from './records.ts';
import { pathText } from './vfs/path.ts';
import type { Path } from './vfs/types.ts';

export type Purpose = 'namespaces' | 'mounts' | 'pivot_root' | 'cgroup' | 'network' | 'capabilities' | 'seccomp' | 'exec';

const NEW = CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWTIME | CLONE_NEWUSER | CLONE_NEWUTS;

interface Found {
  purpose: Purpose;
  path: string;
}

type Rule = Purpose | ((task: Task, args: readonly unknown[]) => Found | Purpose | null);

const CGROUP_FS = 'cgroup2';
const ASKS = /\.(list|get)$|^(hops|extack)$/;
const PRIVILEGES: ReadonlySet<string> = new Set(['PR_CAPBSET_DROP', 'PR_CAP_AMBIENT', 'PR_SET_NO_NEW_PRIVS', 'PR_SET_KEEPCAPS', 'PR_SET_SECUREBITS']);

function placeOf(task: Task, fd: unknown): Path | null {
  const file = typeof fd === 'number' ? task.files.slots[fd]?.file : undefined;
  return file?.path ?? null;
}

/** Is this name, from this directory, one of the control group file system? By its directory, or as it is written. */
function inCgroups(task: Task, dirfd: unknown, name: unknown): boolean {
  if (typeof name !== 'string') return false;
  if (name.startsWith('/')) return name.startsWith('/sys/fs/cgroup/');
  const from = dirfd === AT_FDCWD ? task.fs.cwd : placeOf(task, dirfd);
  return from?.dentry.sb.type === CGROUP_FS;
}

const directory: Rule = (task, [dirfd, name]) => (inCgroups(task, dirfd, name) ? 'cgroup' : null);

const written: Rule = (task, [fd]) => {
  const place = placeOf(task, fd);
  if (!place) return null;
  const { type } = place.dentry.sb;
  if (type !== CGROUP_FS && type !== 'proc') return null;
  const path = pathText(task, place);
  if (type === CGROUP_FS) return { purpose: 'cgroup', path };
  if (/\/(uid_map|gid_map|setgroups)$/.test(path)) return { purpose: 'namespaces', path };
  return path.includes('/sys/net/') ? { purpose: 'network', path } : null;
};

const RULES: ReadonlyMap<string, Rule> = new Map(Object.entries<Rule>({
  unshare: 'namespaces', sethostname: 'namespaces', setdomainname: 'namespaces',
  setns: (task, [fd]) => {
    const place = placeOf(task, fd);
    return { purpose: 'namespaces', path: place ? pathText(task, place) : '' };
  },
  clone: (_task, [args]) => {
    const { flags = 0, cgroup } = args as { flags?: number; cgroup?: number };
    if (flags & NEW) return 'namespaces';
    return cgroup !== undefined ? 'cgroup' : flags & CLONE_THREAD ? null : 'exec';
  },
  mount: (_task, [source, target]) => (target === '.' ? 'pivot_root' : /^\/proc\/[^/]+\/(task\/\d+\/)?ns\//.test(String(source)) ? 'namespaces' : 'mounts'),
  umount2: (_task, [target, flags]) => (target === '.' && Number(flags) & MNT_DETACH ? 'pivot_root' : 'mounts'),
  mknodat: (_task, [, , mode]) => ((Number(mode) & S_IFMT) === S_IFCHR || (Number(mode) & S_IFMT) === S_IFBLK ? 'mounts' : null),
  pivot_root: 'pivot_root', chroot: 'pivot_root',
  mkdirat: directory, unlinkat: directory, write: written, pwrite64: written,
  netlink: (_task, [request]) => (ASKS.test(String((request as { type?: unknown }).type)) ? null : 'network'),
  bind: (_task, [, address]) => ((address as { family?: string }).family === 'inet' ? 'network' : null),
  capset: 'capabilities', setresuid: 'capabilities', setresgid: 'capabilities', setgroups: 'capabilities',
  prctl: (_task, [option]) => (PRIVILEGES.has(String(option)) ? 'capabilities' : null),
  seccomp: 'seccomp',
}));

/** What the call is for, and what its descriptor is open on; null when it has nothing to do with containers. execve is noted by exec.ts. */
export function purposeOf(task: Task, name: string, args: readonly unknown[]): Found | null {
  const rule = RULES.get(name);
  if (rule === undefined) return null;
  const found = typeof rule === 'function' ? rule(task, args) : rule;
  return typeof found === 'string' ? { purpose: found, path: '' } : found;
}
