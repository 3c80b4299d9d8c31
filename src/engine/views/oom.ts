/** The newest kills for want of memory: one row a process that could have died, with the figures that decided and what became of it. */
import type { OomRow } from '../../bridge/rows.ts';
import type { OomRecord } from '../kernel/oomlog.ts';
import type { Kernel } from '../kernel/records.ts';
import { PAGE } from '../sim/units.ts';
import { containerOf } from './names.ts';
import { columns, kernelsOf, type View } from './view.ts';

export const oom: View = {
  doc: 'The newest 20 times that the out-of-memory killer was called: every process it could choose, most points first, and what became of it.',
  arg: 'host?, kill?, container?',
  columns: columns(`
    host: machine
    kill [count]: ordinal of the invocation
    t [ns]: when
    constraint: CONSTRAINT_MEMCG where a control group's limit was hit, CONSTRAINT_NONE where the machine's memory was full
    limitGroup: the group whose limit was hit, or empty
    limit [bytes]: memory.max of that group, or the machine's memory
    usage [bytes]: what was used then
    invoker: short name of the process that asked for a page
    invokerPid [count]: its pid
    pid [count]: candidate, as the host numbers it
    nspid [count]: in its own pid namespace
    ppid [count]: its parent then
    comm: candidate's short name
    uid [count]: its user
    cgroup: its control group
    container: id of its container, 12 digits, or empty
    rss [bytes]: pages present
    pageTables [bytes]: its page tables
    adj [count]: oom_score_adj
    adjPages [count]: what that adds: adj thousandths of the limit, in pages
    points [count]: badness: rss + page tables + adjPages, in pages; null where oom_score_adj is -1000
    fate: victim, group (memory.oom.group: killed with the victim), or spared
    why: the reason in words
    invoked: it was this process that asked
    because [count]: ordinal of the trace record
  `),
  rows: (world, arg) =>
    kernelsOf(world, arg).flatMap((kernel) =>
      kernel.ooms.filter((one) => (arg.kill ?? null) === null || one.n === Number(arg.kill)).flatMap((one) => rowsOf(kernel, one)))
      .filter((row) => (arg.container ?? null) === null || row.container === String(arg.container).slice(0, 12)),
};

function rowsOf(kernel: Kernel, one: OomRecord): OomRow[] {
  const pages = Math.floor(one.max / PAGE / 1000);
  const sorted = [...one.candidates].sort((a, b) => (b.points ?? Number.NEGATIVE_INFINITY) - (a.points ?? Number.NEGATIVE_INFINITY) || b.pid - a.pid);
  const most = sorted.find((c) => c.fate === 'victim')?.points ?? 0;
  return sorted.map((c): OomRow => ({
    key: `${kernel.name}/${one.n}/${c.pid}`, host: kernel.name, kill: one.n, t: one.t, constraint: one.limit === null ? 'CONSTRAINT_NONE' : 'CONSTRAINT_MEMCG',
    limitGroup: one.limit ?? '', limit: one.max, usage: one.usage, invoker: one.comm, invokerPid: one.pid, pid: c.pid, nspid: c.nspid, ppid: c.ppid, comm: c.comm, uid: c.uid,
    cgroup: c.cgroup, container: containerOf(c.cgroup), rss: c.rss, pageTables: c.pageTables, adj: c.adj, adjPages: c.adj * pages, points: c.points, fate: c.fate,
    why: reason(c, most), invoked: c.pid === one.pid, because: one.because,
  }));
}

function reason(c: OomRecord['candidates'][number], most: number): string {
  if (c.points === null) return 'oom_score_adj is -1000: never chosen';
  if (c.fate === 'victim') return c.adj === 0 ? 'most points' : 'most points, with its oom_score_adj';
  if (c.fate === 'group') return "memory.oom.group: dies with the victim";
  return c.points === most ? 'as many points as the victim, which is later in the list' : 'fewer points';
}
