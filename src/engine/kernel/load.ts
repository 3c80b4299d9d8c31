/**
 * Load averages: the number of tasks that run or want to, averaged over 1, 5 and 15 minutes with the kernel's weights. They are
 * brought up to date when somebody looks, from the processor time spent since: an idle machine needs no timer for them.
 * Source: kernel/sched/loadavg.c. Simplified: the mean of runnable tasks since the last look stands for samples every five seconds.
 */
import { SECOND } from '../sim/units.ts';
import type { Kernel } from './records.ts';
import { settleAll } from './sched.ts';

const WINDOWS = [60, 300, 900] as const;

interface Load {
  at: number;
  busy: number;
  averages: [number, number, number];
}

export function loads(kernel: Kernel): [number, number, number] {
  settleAll(kernel);
  const load = (kernel.drivers.get('load') ?? { at: kernel.bootedAt, busy: 0, averages: [0, 0, 0] }) as Load;
  kernel.drivers.set('load', load);
  const now = kernel.timeline.now;
  const busy = kernel.sched.cpus.reduce((sum, cpu) => sum + cpu.user + cpu.system, 0);
  const elapsed = now - load.at;
  if (elapsed >= SECOND) {
    let waiting = 0;
    for (const task of kernel.tasks.values()) if (task.state === 'runnable') waiting++;
    const active = Math.max(0, busy - load.busy) / elapsed + waiting;
    load.averages = WINDOWS.map((seconds, i) => {
      const keep = Math.exp(-elapsed / (seconds * SECOND));
      return load.averages[i]! * keep + active * (1 - keep);
    }) as Load['averages'];
    load.at = now;
    load.busy = busy;
  }
  return [...load.averages];
}
