/** What is remembered of each kill for want of memory: who could have died, with the figures that decided, and who did. Newest 20. */
import { PAGE } from '../sim/units.ts';
import { cgroupPath, usage } from './cgroup/charge.ts';
import type { Cgroup } from './cgroup/types.ts';
import type { Kernel, Task } from './records.ts';

const KEPT = 20;

interface OomCandidate {
  pid: number;
  nspid: number;
  ppid: number;
  comm: string;
  uid: number;
  cgroup: string;
  /** Bytes. */
  rss: number;
  pageTables: number;
  adj: number;
  /** Badness, pages: rss + page tables + adj thousandths of the limit; null when it must not be killed. */
  points: number | null;
  /** Chosen; killed with the chosen one's group; or spared. */
  fate: 'victim' | 'group' | 'spared';
}

export interface OomRecord {
  n: number;
  t: number;
  /** Path of the group whose limit was hit; null: the machine's memory. */
  limit: string | null;
  /** Bytes. */
  max: number;
  usage: number;
  /** Who asked for the page that was not there. */
  pid: number;
  comm: string;
  /** Ordinal of the trace record oom.invoked. */
  because: number;
  candidates: OomCandidate[];
}

/** Remembers an invocation of the killer, before anybody is dead. `group` dies as a whole with the victim. */
export function rememberOom(
  kernel: Kernel, task: Task, limit: Cgroup, totalpages: number, candidates: readonly { task: Task; points: number | null }[], victim: Task | null, group: readonly Task[], because: number,
): void {
  const { frames, ooms } = kernel;
  const used = limit.parent ? usage(limit.memory) : frames.anon + frames.file + frames.kernel;
  ooms.push({
    n: (ooms.at(-1)?.n ?? -1) + 1, t: kernel.timeline.now + kernel.ahead, limit: limit.parent ? cgroupPath(limit) : null, max: totalpages * PAGE, usage: used * PAGE,
    pid: task.pid, comm: task.comm, because,
    candidates: candidates.map(({ task: one, points }) => {
      const { rss, pageTables } = one.mm;
      return {
        pid: one.pid, nspid: one.nspids.at(-1) ?? one.pid, ppid: one.parent?.pid ?? 0, comm: one.comm, uid: one.cred.uid, cgroup: cgroupPath(one.cgroup),
        rss: (rss.anon + rss.file + rss.shmem) * PAGE, pageTables: pageTables * PAGE, adj: one.oomScoreAdj, points,
        fate: one === victim ? 'victim' : group.includes(one) ? 'group' : 'spared',
      };
    }),
  });
  if (ooms.length > KEPT) ooms.shift();
}
