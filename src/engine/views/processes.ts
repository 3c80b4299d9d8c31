/** One row a process, as the host sees it, with its place in every namespace; processes that ended follow. */
import type { ProcessRow } from '../../bridge/rows.ts';
import type { EndedTask, Kernel, Task } from '../kernel/records.ts';
import { PAGE } from '../sim/units.ts';
import { containerOf, pathOf } from './names.ts';
import { columns, kernelsOf, type View } from './view.ts';

export const processes: View = {
  doc: 'Processes as the host numbers them, parents before children; the newest that ended come last.',
  arg: 'host?',
  columns: columns(`
    host: machine
    pid [count]: in the first pid namespace
    ppid [count]: parent's
    comm: short name
    args: command line
    state: running, runnable, sleeping, stopped, zombie, or ended
    uid [count]: effective user, as the host counts
    rss [KiB]: pages present
    cgroup: path in the cgroup tree
    container: id of the container it is in, 12 digits, or empty
    nspid [count]: its pid in its own pid namespace
    nspids: its pid at every level, by blanks, the first namespace's first
    depth [count]: distance from pid 1
    pidns [count]: inode of its pid namespace
    mntns [count]: inode of its mount namespace
    netns [count]: inode of its network namespace
    utsns [count]: inode of its UTS namespace
    ipcns [count]: inode of its IPC namespace
    userns [count]: inode of its user namespace
    cgroupns [count]: inode of its cgroup namespace
    timens [count]: inode of its time namespace
    oomScoreAdj [count]: -1000 to 1000
    exit [count]: exit code, or 128 + signal, once it has ended
    killedBy: what sent the signal that ended it ("oom", a pid), or empty
  `),
  rows: (world, arg) => kernelsOf(world, arg).flatMap((kernel) => [...alive(kernel), ...kernel.ended.map((task) => ended(kernel, task))]),
};

function alive(kernel: Kernel): ProcessRow[] {
  const rows: ProcessRow[] = [];
  const visit = (task: Task, depth: number): void => {
    if (task.pid === task.tgid) rows.push(row(kernel, task, depth));
    for (const child of [...task.children].sort((a, b) => a.pid - b.pid)) visit(child, depth + 1);
  };
  const init = kernel.tasks.get(1);
  if (init) visit(init, 0);
  return rows;
}

function row(kernel: Kernel, task: Task, depth: number): ProcessRow {
  const cgroup = pathOf(task.cgroup);
  const { ns, mm } = task;
  return {
    key: `${kernel.name}/${task.pid}`, host: kernel.name, pid: task.pid, ppid: task.parent?.tgid ?? 0, comm: task.comm,
    args: task.argv.join(' ') || task.comm, state: task.state, uid: task.cred.euid,
    rss: ((mm.rss.anon + mm.rss.file + mm.rss.shmem) * PAGE) / 1024, cgroup, container: containerOf(cgroup),
    nspid: task.nspids[task.nspids.length - 1] ?? task.pid, nspids: task.nspids.join(' '), depth,
    pidns: ns.pid.ino, mntns: ns.mnt.ino, netns: ns.net.ino, utsns: ns.uts.ino, ipcns: ns.ipc.ino, userns: ns.user.ino, cgroupns: ns.cgroup.ino, timens: ns.time.ino,
    oomScoreAdj: task.oomScoreAdj, exit: null, killedBy: '',
  };
}

function ended(kernel: Kernel, task: EndedTask): ProcessRow {
  const signal = task.status & 0x7f;
  return {
    key: `${kernel.name}/${task.pid}@${task.endedAt}`, host: kernel.name, pid: task.pid, ppid: task.ppid, comm: task.comm,
    args: task.args || task.comm, state: 'ended', uid: 0, rss: 0, cgroup: task.cgroup, container: containerOf(task.cgroup), nspid: 0, nspids: '', depth: 0,
    pidns: 0, mntns: 0, netns: 0, utsns: 0, ipcns: 0, userns: 0, cgroupns: 0, timens: 0, oomScoreAdj: 0,
    exit: signal !== 0 ? 128 + signal : (task.status >> 8) & 255, killedBy: task.killedBy,
  };
}
