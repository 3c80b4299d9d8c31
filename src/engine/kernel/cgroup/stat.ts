/** memory.stat, memory.numa_stat, cpu.stat and cgroup.stat as 6.12 prints them. */
import { PAGE, US } from '../../sim/units.ts';
import type { Kernel } from '../records.ts';
import { settleAll } from '../sched.ts';
import { controllersOf, descendants, dyingBelow, hasController } from './core.ts';
import type { Cgroup } from './types.ts';

/** The keys of memory.stat in order; those that this model has no mechanism for stay 0 as on a machine without it. */
const KEYS = `anon file kernel kernel_stack pagetables sec_pagetables percpu sock vmalloc shmem file_mapped file_dirty file_writeback
  swapcached anon_thp file_thp shmem_thp inactive_anon active_anon inactive_file active_file unevictable slab_reclaimable
  slab_unreclaimable slab workingset_refault_anon workingset_refault_file workingset_activate_anon workingset_activate_file
  workingset_restore_anon workingset_restore_file workingset_nodereclaim pgdemote_kswapd pgdemote_direct pgdemote_khugepaged
  pgpromote_success pgscan pgsteal pgscan_kswapd pgscan_direct pgscan_khugepaged pgsteal_kswapd pgsteal_direct pgsteal_khugepaged
  pgfault pgmajfault pgrefill pgactivate pgdeactivate pglazyfree pglazyfreed swpin_zero swpout_zero thp_fault_alloc
  thp_collapse_alloc thp_swpout thp_swpout_fallback numa_pages_migrated numa_pte_updates numa_hint_faults`.split(/\s+/);
const NODE_KEYS = KEYS.filter((key) => !/^(kernel|percpu|sock|vmalloc|slab|pgscan.*|pgsteal.*|pg(fault|majfault|refill|activate|deactivate|lazy.*)|sw(pin|pout)_zero|thp_.*|numa_.*)$/.test(key));

function values(cgroup: Cgroup): Record<string, number> {
  const { memory } = cgroup;
  let scanned = 0;
  let stolen = 0;
  for (const one of [cgroup, ...descendants(cgroup)]) {
    scanned += one.memory.scanned;
    stolen += one.memory.stolen;
  }
  return {
    anon: memory.anon * PAGE, file: (memory.file + memory.shmem) * PAGE, kernel: cgroup.parent ? memory.kernel * PAGE : 0, shmem: memory.shmem * PAGE,
    active_anon: (memory.anon + memory.shmem) * PAGE, inactive_file: memory.file * PAGE,
    pgscan: scanned, pgscan_direct: scanned, pgsteal: stolen, pgsteal_direct: stolen,
    pgfault: memory.pgfault, pgmajfault: memory.pgmajfault,
  };
}

export function memoryStat(cgroup: Cgroup): string {
  const now = values(cgroup);
  return KEYS.map((key) => `${key} ${now[key] ?? 0}\n`).join('');
}

export function memoryNumaStat(cgroup: Cgroup): string {
  const now = values(cgroup);
  return NODE_KEYS.map((key) => `${key} N0=${now[key] ?? 0}\n`).join('');
}

const us = (ns: number): number => Math.floor(ns / US);

export function cpuStat(kernel: Kernel, cgroup: Cgroup): string {
  settleAll(kernel);
  const { cpu } = cgroup;
  const user = us(cpu.usage.user);
  const system = us(cpu.usage.system);
  const usage = `usage_usec ${user + system}\nuser_usec ${user}\nsystem_usec ${system}\nnice_usec 0\n`;
  if (!hasController(cgroup, 'cpu')) return usage;
  return `${usage}nr_periods ${cpu.nrPeriods}\nnr_throttled ${cpu.nrThrottled}\nthrottled_usec ${us(cpu.throttledTime)}\nnr_bursts ${cpu.nrBursts}\nburst_usec ${us(cpu.burstTime)}\n`;
}

export function cgroupStat(kernel: Kernel, cgroup: Cgroup): string {
  const below = descendants(cgroup);
  const all = [cgroup, ...below];
  const dying = dyingBelow(kernel, cgroup);
  const names = ['cpuset', 'cpu', 'io', 'memory', 'perf_event', 'hugetlb', 'pids', 'rdma', 'misc'] as const;
  const has = (one: Cgroup, name: (typeof names)[number]): boolean => {
    if (name === 'perf_event') return one.parent === null || kernel.cgroups.implicit;
    const own = controllersOf(one);
    return own.includes(name) || (name === 'memory' && own.includes('io'));
  };
  let text = `nr_descendants ${below.length}\n`;
  for (const name of names) text += `nr_subsys_${name} ${all.filter((one) => has(one, name)).length}\n`;
  text += `nr_dying_descendants ${dying.all}\n`;
  for (const name of names) text += `nr_dying_subsys_${name} ${name === 'memory' ? dying.memory : 0}\n`;
  return text;
}
