/** One row a machine. */
import { PAGE } from '../sim/units.ts';
import type { HostRow } from '../../bridge/rows.ts';
import { columns, kernelsOf, type View } from './view.ts';

export const hosts: View = {
  doc: 'The machines of this world, one kernel each.',
  arg: 'host?',
  columns: columns(`
    name: the machine's name
    cpus [count]: processors
    memory [bytes]: RAM
    used [bytes]: frames in use: anonymous, file and kernel pages
    processes [count]: processes alive
    oomKills [count]: processes that the global OOM killer ended (not a cgroup's)
    bootedAt [ns]: when its kernel started
  `),
  rows: (world, arg) =>
    kernelsOf(world, arg).map((kernel): HostRow => {
      const { anon, file, kernel: own } = kernel.frames;
      let processes = 0;
      for (const task of kernel.tasks.values()) if (task.pid === task.tgid && task.state !== 'dead' && !task.kthread) processes++;
      return {
        key: kernel.name, name: kernel.name, cpus: kernel.cpus, memory: kernel.memory, used: (anon + file + own) * PAGE,
        processes, oomKills: kernel.counters.globalOomKills ?? 0, bootedAt: kernel.bootedAt,
      };
    }),
};
