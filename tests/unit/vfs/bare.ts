/** A kernel without processes but one, root on a tmpfs: enough to make system calls on files directly. */
import { createTree } from '../../../src/engine/kernel/cgroup/core.ts';
import { createMembers, enlist } from '../../../src/engine/kernel/membership.ts';
import type { Kernel, Mount, Task } from '../../../src/engine/kernel/records.ts';
import { fileHandlers } from '../../../src/engine/kernel/syscalls/files.ts';
import { createSpaces } from '../../../src/engine/kernel/vacancy.ts';
import { newFiles } from '../../../src/engine/kernel/vfs/descriptors.ts';
import { FILESYSTEMS } from '../../../src/engine/kernel/vfs/filesystems.ts';
import { createMount } from '../../../src/engine/kernel/vfs/mount.ts';
import { createTmpfs } from '../../../src/engine/kernel/vfs/tmpfs.ts';
import type { MountNamespace, SuperBlock } from '../../../src/engine/kernel/vfs/types.ts';
import { createSched } from '../../../src/engine/kernel/sched.ts';
import { createRandom } from '../../../src/engine/sim/random.ts';
import { createTimeline } from '../../../src/engine/sim/timeline.ts';
import { createTrace } from '../../../src/engine/sim/trace.ts';

const ALL = ['sys_admin', 'dac_override', 'dac_read_search', 'fowner', 'chown', 'mknod', 'sys_chroot'];

export interface Bare {
  kernel: Kernel;
  task: Task;
  root: SuperBlock;
}

export function bare(): Bare {
  const timeline = createTimeline();
  const kernel = {
    name: 'bare', timeline, trace: createTrace(timeline), random: createRandom(1), cpus: 1, memory: 2 ** 31, ghz: 1, release: '6.12', version: '#1',
    bootedAt: 0, tasks: new Map(), ended: [], programs: new Map(), cgroups: createTree(), frames: { total: 2 ** 19, anon: 0, file: 0, kernel: 0 },
    members: createMembers(), spaces: createSpaces(4026531842), waiters: new Map(), ttys: new Map(), log: [], mounts: { nextId: 1, nextGroup: 1, nextDev: 20, groups: new Map(), nextJoined: 0, late: new Set() }, uplink: null, counters: {},
    drivers: new Map(), devices: new Map(), filesystems: FILESYSTEMS, sched: createSched(1), ahead: 0, overcommit: 0,
  } as unknown as Kernel;
  const root = createTmpfs(kernel, 'tmpfs', 'root', '', 0o755);
  const mnt: MountNamespace = { ino: 1, mounts: [], root: null as unknown as Mount, late: null };
  mnt.root = createMount(kernel, mnt, root, root.root, null, 0, 'root');
  const place = { mount: mnt.root, dentry: root.root };
  const task = makeTask(kernel, 1, place, mnt);
  return { kernel, task, root };
}

export function makeTask(kernel: Kernel, pid: number, place: Task['fs']['root'], mnt: MountNamespace): Task {
  const first = [...kernel.tasks.values()][0];
  const pidNs = first?.ns.pid ?? { ino: 1, parent: null, level: 0, next: pid, tasks: new Map(), dead: false, owner: null };
  const { root } = kernel.cgroups;
  const task = {
    pid, tgid: pid, nspids: [pid], parent: null, children: [], comm: `t${pid}`, state: 'sleeping', waitingOn: [], wakeAt: null,
    ns: { mnt, pid: pidNs, net: { links: [] }, cgroup: { ino: 1, root } }, oomScoreAdj: 0, nice: 0,
    cred: { uid: 0, euid: 0, suid: 0, gid: 0, egid: 0, sgid: 0, groups: [], caps: { effective: ALL }, noNewPrivs: false },
    cgroup: root, fs: { root: place, cwd: place, umask: 0o022 }, files: newFiles(), limits: {}, scratch: null,
    mm: { users: 1, rss: { anon: 0, file: 0, shmem: 0 }, areas: [], pageTables: 0 },
    io: { rchar: 0, wchar: 0, syscr: 0, syscw: 0, read: 0, write: 0, cancelled: 0 },
    sched: { vruntime: 0, cpu: null, sliceUsed: 0 }, signals: { pending: [], blocked: [], actions: new Map() },
  } as unknown as Task;
  task.leader = task;
  enlist(kernel, task);
  pidNs.tasks.set(pid, task);
  root.tasks.add(task);
  root.pids.current++;
  return task;
}

/** System calls of the one process: `call(b)('openat', -100, '/x', 0)`. */
export function calls(b: Bare): <K extends keyof typeof fileHandlers>(name: K, ...args: unknown[]) => ReturnType<(typeof fileHandlers)[K]> {
  return (name, ...args) => (fileHandlers[name] as (...all: unknown[]) => never)(b.kernel, b.task, ...args);
}
