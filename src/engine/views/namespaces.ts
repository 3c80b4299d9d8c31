/** One row a namespace that some process is in, as lsns lists them. */
import type { NamespaceRow } from '../../bridge/rows.ts';
import type { Kernel, Namespaces, Task } from '../kernel/records.ts';
import { columns, kernelsOf, type View } from './view.ts';

const TYPES: readonly (keyof Namespaces)[] = ['time', 'cgroup', 'pid', 'user', 'uts', 'ipc', 'net', 'mnt'];

export const namespaces: View = {
  doc: 'Namespaces in use, by type and inode, with their first process.',
  arg: 'host?',
  columns: columns(`
    host: machine
    type: mnt, pid, net, uts, ipc, user, cgroup or time
    ino [count]: inode number, as /proc/PID/ns shows it
    processes [count]: processes in it
    pid [count]: lowest pid in it
    command: that process's command line
    parent [count]: of a pid or user namespace the one above; 0 for the first, and for other types
    owner [count]: inode of the user namespace that owns it
  `),
  rows: (world, arg) => kernelsOf(world, arg).flatMap(list),
};

function list(kernel: Kernel): NamespaceRow[] {
  const found = new Map<string, { type: string; ino: number; count: number; first: Task }>();
  for (const task of [...kernel.tasks.values()].sort((a, b) => a.pid - b.pid)) {
    if (task.pid !== task.tgid || task.state === 'zombie' || task.state === 'dead') continue;
    for (const type of TYPES) {
      const { ino } = task.ns[type];
      const key = `${type}:${ino}`;
      const seen = found.get(key);
      if (seen) seen.count++;
      else found.set(key, { type, ino, count: 1, first: task });
    }
  }
  return [...found.entries()]
    .sort(([, a], [, b]) => TYPES.indexOf(a.type as 'mnt') - TYPES.indexOf(b.type as 'mnt') || a.ino - b.ino)
    .map(([key, { type, ino, count, first }]) => ({
      key: `${kernel.name}/${key}`, host: kernel.name, type, ino, processes: count, pid: first.pid, command: first.argv.join(' ') || first.comm,
      parent: type === 'pid' ? (first.ns.pid.parent?.ino ?? 0) : type === 'user' ? (first.ns.user.parent?.ino ?? 0) : 0,
      owner: (first.ns[type as 'uts'] as { owner?: { ino: number } }).owner?.ino ?? kernel.init.user.ino,
    }));
}
