/**
 * Pressure stall information: how long tasks of a group (or below) waited for processor, memory or disk. Who makes a task
 * wait books the stall here; the averages move every two seconds of simulated time, as kernel doc accounting/psi tells.
 * Left out: triggers; `full` of cpu is only what cpu.max took.
 */
import { SECOND } from '../../sim/units.ts';
import type { Kernel } from '../records.ts';
import type { Cgroup, PsiLine } from './types.ts';

const WINDOWS = [['avg10', 10], ['avg60', 60], ['avg300', 300]] as const;

/** Books `ns` lost by tasks of a group; `all` when nobody in it could go on meanwhile. */
export function stall(kernel: Kernel, cgroup: Cgroup, resource: 'cpu' | 'memory' | 'io', ns: number, all: 'some' | 'all'): void {
  for (let at: Cgroup | null = cgroup; at; at = at.parent) {
    if (!at.pressure) continue;
    const psi = at.psi[resource];
    psi.some.total += ns / 1000;
    if (all === 'all') psi.full.total += ns / 1000;
  }
}

/** So many tasks more (or fewer) wait for a processor in a group: as long as one does, some are stalled. */
export function countWaiting(kernel: Kernel, cgroup: Cgroup, by: number): void {
  const { now } = kernel.timeline;
  for (let at: Cgroup | null = cgroup; at; at = at.parent) {
    bookWaiting(at, now);
    at.waiting.tasks += by;
  }
}

function bookWaiting({ waiting, psi, pressure }: Cgroup, now: number): void {
  if (waiting.tasks > 0 && pressure) psi.cpu.some.total += (now - waiting.since) / 1000;
  waiting.since = now;
}

function settle(kernel: Kernel, line: PsiLine): void {
  const periods = Math.floor((kernel.timeline.now - line.at) / (2 * SECOND));
  if (periods <= 0) return;
  const share = Math.min(100, ((line.total - line.seen) * 1000 * 100) / (periods * 2 * SECOND));
  for (const [name, seconds] of WINDOWS) {
    const keep = Math.exp((-2 * periods) / seconds);
    line[name] = line[name] * keep + share * (1 - keep);
  }
  line.at += periods * 2 * SECOND;
  line.seen = line.total;
}

export function pressureText(kernel: Kernel, cgroup: Cgroup, resource: 'cpu' | 'memory' | 'io'): string {
  let text = '';
  bookWaiting(cgroup, kernel.timeline.now);
  for (const kind of ['some', 'full'] as const) {
    const line = cgroup.psi[resource][kind];
    settle(kernel, line);
    const total = kind === 'full' && resource === 'cpu' && cgroup.parent ? cgroup.cpu.throttledTime / 1000 : line.total;
    text += `${kind} avg10=${line.avg10.toFixed(2)} avg60=${line.avg60.toFixed(2)} avg300=${line.avg300.toFixed(2)} total=${Math.floor(total)}\n`;
  }
  return text;
}
