/** The cpuset controller: which processors a group asked for and which it has. Source: kernel doc cgroup-v2 (cpuset). */
import type { Kernel } from '../records.ts';
import { hasController } from './core.ts';
import { listOf } from './numbers.ts';
import type { Cgroup } from './types.ts';

/** Processors (or memory nodes) a group may use: what it asked for, as far as its parent has them; else its parent's. */
export function effective(kernel: Kernel, cgroup: Cgroup, what: 'cpus' | 'mems'): number[] {
  const limit = what === 'cpus' ? kernel.cpus : 1;
  if (!cgroup.parent) return Array.from({ length: limit }, (_, i) => i);
  const above = effective(kernel, cgroup.parent, what);
  if (!hasController(cgroup, 'cpuset') || cgroup.cpuset[what] === '') return above;
  const own = listOf(cgroup.cpuset[what], limit).filter((one) => above.includes(one));
  return own.length > 0 ? own : above;
}

/** Why a partition does not hold, or null. */
export function partitionFault(kernel: Kernel, cgroup: Cgroup): string | null {
  const { cpus, exclusive } = cgroup.cpuset;
  if (cpus === '' && exclusive === '') return 'cpuset.cpus and cpuset.cpus.exclusive are empty';
  const { parent } = cgroup;
  if (parent?.parent && parent.cpuset.partition === 'member') return 'Parent is not a partition root';
  const mine = listOf(exclusive || cpus, kernel.cpus);
  for (const sibling of parent?.children.values() ?? []) {
    if (sibling === cgroup || sibling.cpuset.cpus === '') continue;
    if (listOf(sibling.cpuset.cpus, kernel.cpus).some((one) => mine.includes(one))) return 'Cpu list in cpuset.cpus not exclusive';
  }
  return null;
}
