/**
 * Threads of the kernel itself: tasks without a program or memory, children of kthreadd, asleep until the kernel has work for
 * them. Most never have any here, as on an idle machine; kswapd0 gets pages back when memory runs short and the flusher
 * writes dirty pages out (disk.ts). Names and order as a 6.12 kernel starts them. Source: proc_pid_stat(5), kernel/kthread.c.
 */
import { rootCred } from './credentials.ts';
import type { AddressSpace, Kernel, Task } from './records.ts';
import { type Body, sys } from './sys.ts';
import { allocatePids, blankTask } from './task.ts';
import { FLUSHER, SWAPPER } from './kworkers.ts';
import { enlist } from './membership.ts';
import { newFiles } from './vfs/descriptors.ts';

/** A round of work; ns of processor time that it took. Null: nothing left to do. */
export type Work = (kernel: Kernel, task: Task) => number | null;

interface Made {
  name: string;
  /** Waits without counting as load, as workqueues do. */
  idle?: true;
  nice?: number;
  /** SCHED_FIFO priority. */
  priority?: number;
  /** On this processor alone. */
  cpu?: number;
}

const queue = (name: string): Made => ({ name: `kworker/R-${name}`, idle: true, nice: -20 });

function ofProcessor(i: number): Made[] {
  return [
    { name: `cpuhp/${i}`, cpu: i }, { name: `idle_inject/${i}`, cpu: i, priority: 50 }, { name: `migration/${i}`, cpu: i, priority: 99 }, { name: `ksoftirqd/${i}`, cpu: i },
    { name: `kworker/${i}:0-events`, idle: true, cpu: i }, { name: `kworker/${i}:0H-events_highpri`, idle: true, nice: -20, cpu: i },
  ];
}

function table(cpus: number): Made[] {
  const first = ofProcessor(0);
  return [
    { name: 'pool_workqueue_release' }, ...['kvfree_rcu_reclaim', 'rcu_gp', 'sync_wq', 'slub_flushwq', 'netns'].map(queue), first[4]!, first[5]!,
    { name: FLUSHER, idle: true }, queue('mm_percpu_wq'), { name: 'rcu_tasks_kthread', idle: true }, { name: 'rcu_tasks_rude_kthread', idle: true },
    { name: 'rcu_tasks_trace_kthread', idle: true }, first[3]!, { name: 'rcu_preempt', idle: true }, { name: 'rcu_exp_par_gp_kthread_worker/0' },
    { name: 'rcu_exp_gp_kthread_worker' }, first[2]!, first[1]!, first[0]!, ...Array.from({ length: cpus - 1 }, (_, i) => ofProcessor(i + 1)).flat(),
    { name: 'kdevtmpfs' }, queue('inet_frag_wq'), { name: 'kauditd' }, { name: 'khungtaskd' }, { name: 'oom_reaper' }, queue('writeback'), { name: 'kcompactd0' },
    { name: 'ksmd', nice: 5 }, { name: 'khugepaged', nice: 19 }, ...['kintegrityd', 'kblockd', 'blkcg_punt_bio'].map(queue), { name: 'irq/9-acpi', priority: 50 },
    { name: SWAPPER }, ...['kthrotld', 'acpi_thermal_pm', 'mld', 'ipv6_addrconf', 'kstrp'].map(queue), { name: 'jbd2/vda1-8' }, queue('ext4-rsv-conversion'),
  ];
}

/** Makes kthreadd and its children; `work` is what those that have some do, by name. */
export function startKthreads(kernel: Kernel, init: Task, work: Readonly<Record<string, Work>>): void {
  const none: AddressSpace = { users: 1, rss: { anon: 0, file: 0, shmem: 0 }, areas: [], brk: { start: 0, end: 0 }, pageTables: 0, peak: 0, charged: new Map(), locked: 0, swapped: 0, touched: 0 };
  const kthreadd = make(kernel, init, none, { name: 'kthreadd' }, null, null);
  for (const one of table(kernel.cpus)) make(kernel, init, none, one, kthreadd, work[one.name] ?? null);
}

function make(kernel: Kernel, init: Task, mm: AddressSpace, one: Made, parent: Task | null, work: Work | null): Task {
  const { root } = kernel.cgroups;
  mm.users++;
  const task = blankTask(kernel, { ns: kernel.init, cred: rootCred(), cgroup: root, fs: { ...init.fs }, files: newFiles(), mm }, one.name);
  task.nspids = allocatePids(kernel.init.pid, task);
  task.pid = task.nspids[0]!;
  task.tgid = task.pid;
  task.parent = parent;
  parent?.children.push(task);
  task.exitSignal = 0;
  task.nice = one.nice ?? 0;
  task.kthread = { bound: parent === null || one.cpu !== undefined, idle: one.idle === true };
  if (one.priority !== undefined) Object.assign(task.sched, { policy: 'SCHED_FIFO', priority: one.priority });
  if (one.cpu !== undefined && kernel.cpus > 1) Object.assign(task.sched, { affinity: [one.cpu], allowed: [one.cpu], last: one.cpu });
  task.stack = work ? [body(kernel, task, work)] : [];
  enlist(kernel, task);
  root.tasks.add(task);
  root.pids.current++;
  if (work) kernel.drivers.set(`kthread:${one.name}`, task);
  return task;
}

function* body(kernel: Kernel, task: Task, work: Work): Body {
  for (;;) {
    for (;;) {
      const ns = work(kernel, task);
      if (ns === null) break;
      task.owed.system += Math.max(1000, ns);
      yield* sys('sched_yield');
    }
    yield* sys('pause');
  }
}
