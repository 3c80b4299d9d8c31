/**
 * The namespaces of one task, all eight, with whom it shares each; its pid at every level; and the id maps of user
 * namespaces. What /proc/PID/ns, NSpid of /proc/PID/status, uid_map and gid_map say, for every task at once.
 * Source: namespaces(7), pid_namespaces(7), user_namespaces(7).
 */
import type { IdMapRow, PidLevelRow, TaskNamespaceRow } from '../../bridge/rows.ts';
import { cgroupPath } from '../kernel/cgroup/charge.ts';
import type { Kernel, PidNamespace, Task, UserNamespace } from '../kernel/records.ts';
import { mountsSeen } from '../kernel/vfs/latecopy.ts';
import { containerFiles } from './containers.ts';
import { containerOf } from './names.ts';
import { type Arg, columns, kernelsOf, type View } from './view.ts';

type Type = 'cgroup' | 'ipc' | 'mnt' | 'net' | 'pid' | 'time' | 'user' | 'uts';
/** In the order of /proc/PID/ns. */
const TYPES: readonly Type[] = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'time', 'user', 'uts'];
/** Names said one by one; more are counted. */
const NAMED = 4;

const taskOf = (kernel: Kernel | undefined, arg: Arg): Task | undefined => kernel?.tasks.get(Number(arg.pid));

function leaders(kernel: Kernel): Task[] {
  return [...kernel.tasks.values()].filter((task) => task.pid === task.tgid && task.state !== 'zombie' && task.state !== 'dead').sort((a, b) => a.pid - b.pid);
}

/** Who they are in words: containers by name, and what is in none as "the host". */
function names(kernel: Kernel, tasks: readonly Task[], known: ReadonlyMap<string, string>): string {
  const found = new Set<string>();
  for (const task of tasks) {
    const container = containerOf(cgroupPath(task.cgroup));
    found.add(container === '' ? (task.ns.pid === kernel.init.pid ? 'the host' : `pid ${task.pid} ${task.comm}`) : (known.get(container) ?? container));
  }
  const all = [...found];
  return all.length > NAMED ? `${all.slice(0, NAMED).join(', ')} and ${all.length - NAMED} more` : all.join(', ');
}

export const taskNamespaces: View = {
  doc: 'The eight namespaces of one task, and who else is in each.',
  arg: 'host, pid',
  columns: columns(`
    type: cgroup, ipc, mnt, net, pid, time, user or uts
    ino [count]: inode number
    link: as ls -l /proc/PID/ns prints it
    first: whether it is the one that the machine booted with
    processes [count]: processes in it, this one among them
    shared: who else is in it: containers by name, the host
    owner [count]: inode of the user namespace that owns it; of a user namespace its parent, 0 at the first
    says: what it holds: host name, devices, root of the groups, level
  `),
  rows: (world, arg) => {
    const kernel = kernelsOf(world, arg)[0];
    const task = taskOf(kernel, arg);
    if (!kernel || !task) return [];
    const all = leaders(kernel);
    const known = new Map(containerFiles(kernel).map((file) => [file.ID.slice(0, 12), file.Name.slice(1)]));
    return TYPES.map((type): TaskNamespaceRow => {
      const ns = task.ns[type];
      const others = all.filter((one) => one !== task.leader && one.ns[type] === ns);
      const owner = type === 'user' ? (task.ns.user.parent?.ino ?? 0) : ((ns as { owner?: UserNamespace }).owner?.ino ?? kernel.init.user.ino);
      return { key: type, type, ino: ns.ino, link: `${type}:[${ns.ino}]`, first: ns === kernel.init[type], processes: others.length + 1, shared: names(kernel, others, known), owner, says: says(task, type) };
    });
  },
};

function says(task: Task, type: Type): string {
  const { ns } = task;
  switch (type) {
    case 'uts': return `host name ${ns.uts.hostname}`;
    case 'net': return ns.net.links.map((link) => link.name).join(', ') || 'no device';
    case 'cgroup': return `root ${cgroupPath(ns.cgroup.root)}`;
    case 'pid': return `level ${ns.pid.level}, here it is ${task.nspids[task.nspids.length - 1]}`;
    case 'mnt': return `${mountsSeen(ns.mnt).length} mounts`;
    case 'user': return ns.user.uidMap === null ? 'no uid map yet' : ns.user.uidMap.map((map) => `${map.inside} is ${map.outside}${map.count > 1 ? `, ${map.count} of them` : ''}`).join('; ');
    default: return '';
  }
}

export const pidLevels: View = {
  doc: 'The pids of one task: one in each pid namespace from the first down to its own.',
  arg: 'host, pid',
  columns: columns(`
    level [count]: 0 is the first namespace
    ino [count]: the namespace's inode number
    pid [count]: what this level calls the task
    init [count]: pid in the first namespace of the one that is 1 at this level
    initComm: its short name
    processes [count]: processes that this level sees
  `),
  rows: (world, arg) => {
    const kernel = kernelsOf(world, arg)[0];
    const task = taskOf(kernel, arg);
    if (!task) return [];
    const levels: PidNamespace[] = [];
    for (let at: PidNamespace | null = task.ns.pid; at; at = at.parent) levels.unshift(at);
    return levels.map((ns, level): PidLevelRow => {
      const init = ns.tasks.get(1);
      return { key: String(level), level, ino: ns.ino, pid: task.nspids[level] ?? 0, init: init?.pid ?? 0, initComm: init?.comm ?? '', processes: [...ns.tasks.values()].filter((one) => one.leader === one).length };
    });
  },
};

export const idMaps: View = {
  doc: 'uid_map and gid_map of the user namespaces in use, or of the one that a task is in and those above.',
  arg: 'host?, pid?',
  columns: columns(`
    host: machine
    ns [count]: inode of the user namespace
    parent [count]: inode of the one above, 0 for the first
    kind: uid or gid
    inside [count]: first id in the namespace
    outside [count]: first id in the parent
    count [count]: how many
    setgroups: allow or deny
  `),
  rows: (world, arg) => kernelsOf(world, arg).flatMap((kernel) => {
    const asked = arg.pid === undefined || arg.pid === null ? leaders(kernel) : [taskOf(kernel, arg)].filter((task) => task !== undefined);
    const found = new Set<UserNamespace>();
    for (const task of asked) for (let at: UserNamespace | null = task.ns.user; at; at = at.parent) found.add(at);
    return [...found].sort((a, b) => a.ino - b.ino).flatMap((ns) => (['uid', 'gid'] as const).flatMap((kind) => (ns[`${kind}Map`] ?? []).map(({ inside, outside, count }): IdMapRow => ({
      key: `${kernel.name}/${ns.ino}/${kind}/${inside}`, host: kernel.name, ns: ns.ino, parent: ns.parent?.ino ?? 0, kind, inside, outside, count, setgroups: ns.setgroups,
    }))));
  }),
};
