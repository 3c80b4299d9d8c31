/** Users, groups, capabilities, seccomp, names of the machine. Source: the calls' manual pages, section 2. */
import { PAGE, SECOND } from '../../sim/units.ts';
import { CAPABILITIES, SysError } from '../abi.ts';
import { capsAfterSetuid, namedId, nsCapable, requireCapable, shownGid, shownUid } from '../credentials.ts';
import { loads } from '../load.ts';
import type { Cred, Kernel, Task } from '../records.ts';
import { filterOf } from '../seccomp.ts';
import type { CapSets } from '../sys.ts';
import { swapTotal, swapUsed } from '../swap.ts';
import { taskByPid } from '../task.ts';
import { timeOf } from '../wait.ts';
import type { Handlers } from './handlers.ts';

const NAME_MAX = 64;

/** setresuid's and setresgid's arguments: -1 leaves; without the capability only what one has already. */
function changed(task: Task, ids: readonly number[], have: readonly number[], which: 'uidMap' | 'gidMap', capability: string): number[] {
  return ids.map((id, i) => {
    if (id < 0) return have[i]!;
    const wanted = namedId(task, id, which);
    if (!have.includes(wanted) && !nsCapable(task, task.ns.user, capability)) throw new SysError('EPERM');
    return wanted;
  });
}

function subset(of: readonly string[], all: readonly string[]): boolean {
  return of.every((one) => all.includes(one));
}

function capset(_kernel: Kernel, task: Task, sets: Partial<CapSets>): 0 {
  const { caps } = task.cred;
  const next: CapSets = { ...caps };
  for (const key of ['effective', 'permitted', 'inheritable', 'bounding', 'ambient'] as const) {
    const wanted = sets[key];
    if (wanted) next[key as 'effective'] = CAPABILITIES.filter((cap) => wanted.includes(cap));
  }
  const raises = (key: keyof CapSets, over: readonly string[]): boolean => !subset(next[key], over);
  if (raises('permitted', caps.permitted) || raises('effective', next.permitted)) throw new SysError('EPERM');
  if (raises('inheritable', [...caps.inheritable, ...caps.permitted]) && !nsCapable(task, task.ns.user, 'setpcap')) throw new SysError('EPERM');
  if (raises('inheritable', [...caps.inheritable, ...caps.bounding])) throw new SysError('EPERM');
  if (raises('bounding', caps.bounding)) throw new SysError('EPERM');
  if (next.bounding.length < caps.bounding.length) requireCapable(task, task.ns.user, 'setpcap');
  next.ambient = next.ambient.filter((cap) => next.permitted.includes(cap) && next.inheritable.includes(cap));
  task.cred = { ...task.cred, caps: next };
  return 0;
}

function rename(kernel: Kernel, task: Task, key: 'hostname' | 'domainname', name: string): 0 {
  requireCapable(task, task.ns.uts.owner ?? kernel.init.user, 'sys_admin');
  if (name.length > NAME_MAX) throw new SysError('EINVAL');
  task.ns.uts[key] = name;
  return 0;
}

export const identityHandlers = {
  getuid: (_kernel, task) => shownUid(task, task.cred.uid),
  geteuid: (_kernel, task) => shownUid(task, task.cred.euid),
  getgid: (_kernel, task) => shownGid(task, task.cred.gid),
  getegid: (_kernel, task) => shownGid(task, task.cred.egid),
  getgroups: (_kernel, task) => task.cred.groups.map((gid) => shownGid(task, gid)),
  setgroups(_kernel, task, groups) {
    const { user } = task.ns;
    if (!nsCapable(task, user, 'setgid') || user.setgroups === 'deny' || (user.parent && !user.gidMap)) throw new SysError('EPERM');
    if (groups.length > 65536) throw new SysError('EINVAL');
    task.cred = { ...task.cred, groups: groups.map((gid) => namedId(task, gid, 'gidMap')) };
    return 0;
  },
  setresuid(_kernel, task, ruid, euid, suid) {
    const before: Cred = task.cred;
    const [uid, e, s] = changed(task, [ruid, euid, suid], [before.uid, before.euid, before.suid], 'uidMap', 'setuid');
    task.cred = { ...before, uid: uid!, euid: e!, suid: s! };
    task.cred = { ...task.cred, caps: capsAfterSetuid(task, before) };
    return 0;
  },
  setresgid(_kernel, task, rgid, egid, sgid) {
    const { cred } = task;
    const [gid, e, s] = changed(task, [rgid, egid, sgid], [cred.gid, cred.egid, cred.sgid], 'gidMap', 'setgid');
    task.cred = { ...cred, gid: gid!, egid: e!, sgid: s! };
    return 0;
  },
  capget(_kernel, task, pid) {
    const target = pid === 0 ? task : taskByPid(task, pid);
    if (!target) throw new SysError('ESRCH');
    return target.cred.caps;
  },
  capset,
  seccomp(kernel, task, profile) {
    if (!task.cred.noNewPrivs && !nsCapable(task, task.ns.user, 'sys_admin')) throw new SysError('EACCES');
    task.seccomp = [...task.seccomp, filterOf(kernel, profile)];
    return 0;
  },
  sethostname: (kernel, task, name) => rename(kernel, task, 'hostname', name),
  setdomainname: (kernel, task, name) => rename(kernel, task, 'domainname', name),
  uname(kernel, task) {
    const { hostname, domainname } = task.ns.uts;
    return { sysname: 'Linux', nodename: hostname, release: kernel.release, version: kernel.version, machine: 'x86_64', domainname };
  },
  sysinfo(kernel) {
    const { frames } = kernel;
    const used = frames.anon + frames.file + frames.kernel;
    return {
      uptime: Math.floor((timeOf(kernel) - kernel.bootedAt) / SECOND), loads: loads(kernel), totalram: frames.total * PAGE, freeram: (frames.total - used) * PAGE,
      totalswap: swapTotal(kernel) * PAGE, freeswap: (swapTotal(kernel) - swapUsed(kernel)) * PAGE, procs: kernel.tasks.size,
    };
  },
} satisfies Partial<Handlers>;

