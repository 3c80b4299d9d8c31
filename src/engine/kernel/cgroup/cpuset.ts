/**
 * The cpuset controller: which processors a group asked for and which it has. A partition (root or isolated) takes its processors
 * away from its parent, as long as they are nobody else's and the parent keeps one. Source: kernel doc cgroup-v2 (cpuset),
 * kernel/cgroup/cpuset.c of 6.12. Left out: remote partitions, load balancing within isolated ones, memory nodes but 0.
 */
import { SysError } from '../abi.ts';
import type { Kernel } from '../records.ts';
import { listOf } from './numbers.ts';
import type { Cgroup } from './types.ts';

type Partition = Cgroup['cpuset']['partition'];

/** Does the controller work here? */
const hasController = (cgroup: Cgroup): boolean => cgroup.parent === null || cgroup.parent.subtree.has('cpuset');

/** A group and all below it. */
export function below(cgroup: Cgroup): Cgroup[] {
  return [cgroup, ...[...cgroup.children.values()].flatMap(below)];
}

const holds = (cgroup: Cgroup): boolean => cgroup.parent === null || (cgroup.cpuset.partition !== 'member' && cgroup.cpuset.fault === null);

const meet = (a: readonly number[], b: readonly number[]): number[] => a.filter((one) => b.includes(one));
const without = (a: readonly number[], b: readonly number[]): number[] => a.filter((one) => !b.includes(one));

/** Processors (or memory nodes) a group may use: what it asked for, as far as its parent has them; else its parent's. */
export function effective(kernel: Kernel, cgroup: Cgroup, what: 'cpus' | 'mems'): number[] {
  if (what === 'mems') return [0];
  const mine = granted(kernel, cgroup);
  const taken = [...cgroup.children.values()].filter(holds).flatMap((child) => exclusiveOf(kernel, child));
  return without(mine, taken);
}

/** The same before the partitions below have taken theirs. */
function granted(kernel: Kernel, cgroup: Cgroup): number[] {
  if (!cgroup.parent) return Array.from({ length: kernel.cpus }, (_, i) => i);
  if (hasController(cgroup) && holds(cgroup)) return exclusiveOf(kernel, cgroup);
  const above = effective(kernel, cgroup.parent, 'cpus');
  if (!hasController(cgroup) || cgroup.cpuset.cpus === '') return above;
  const own = meet(listOf(cgroup.cpuset.cpus, kernel.cpus), above);
  return own.length > 0 ? own : above;
}

const asked = (kernel: Kernel, { cpuset }: Cgroup): number[] => listOf(cpuset.exclusive || cpuset.cpus, kernel.cpus);

/** What a group has, or could have, for itself alone: what it says, as far as the groups above may give it. */
export function exclusiveOf(kernel: Kernel, cgroup: Cgroup): number[] {
  if (!cgroup.parent) return Array.from({ length: kernel.cpus }, (_, i) => i);
  if (!holds(cgroup) && cgroup.cpuset.exclusive === '') return [];
  const { parent } = cgroup;
  return parent.parent ? meet(asked(kernel, cgroup), exclusiveOf(kernel, parent)) : asked(kernel, cgroup);
}

const siblings = (cgroup: Cgroup): Cgroup[] => [...cgroup.parent!.children.values()].filter((one) => one !== cgroup);

/** Why a group cannot be a partition, or null. One that asks below a member would be remote: first it needs processors from above. */
function partitionFault(kernel: Kernel, cgroup: Cgroup, asks: boolean): string | null {
  const { cpus, exclusive } = cgroup.cpuset;
  const parent = cgroup.parent!;
  if (!asks && !holds(parent)) return 'Parent is not a partition root';
  if (cpus === '' && exclusive === '') return 'cpuset.cpus and cpuset.cpus.exclusive are empty';
  const mine = asked(kernel, cgroup);
  if (!holds(parent)) return meet(mine, exclusiveOf(kernel, parent)).length === 0 ? 'Invalid cpu list in cpuset.cpus.exclusive' : 'Parent is not a partition root';
  for (const one of siblings(cgroup)) {
    const its = listOf(one.cpuset.exclusive || one.cpuset.cpus, kernel.cpus);
    if (meet(its, mine).length > 0) return 'Cpu list in cpuset.cpus not exclusive';
  }
  const left = effective(kernel, parent, 'cpus');
  if (meet(mine, left).length === 0) return 'Invalid cpu list in cpuset.cpus.exclusive';
  if (without(left, mine).length === 0 && (!parent.parent || parent.tasks.size > 0)) return 'Parent unable to distribute cpu downstream';
  return null;
}

/** After a change: does a partition hold, and those below it? */
function review(kernel: Kernel, cgroup: Cgroup, asks = false): void {
  const { cpuset } = cgroup;
  if (cpuset.partition !== 'member') {
    // Looked at as a newcomer: what it takes now must not count against it.
    cpuset.fault = '';
    cpuset.fault = partitionFault(kernel, cgroup, asks);
  }
  for (const child of cgroup.children.values()) if (child.cpuset.partition !== 'member' && (child.cpuset.fault === null || holds(cgroup) !== holds(child))) review(kernel, child);
}

export function setPartition(kernel: Kernel, cgroup: Cgroup, partition: Partition): void {
  const { cpuset } = cgroup;
  cpuset.partition = partition;
  cpuset.fault = null;
  review(kernel, cgroup, true);
  for (const child of cgroup.children.values()) if (child.cpuset.partition !== 'member') review(kernel, child);
  changed(kernel, cgroup);
}

/** Groups with tasks that have named something may not name nothing any more. */
export function requireEmptyable(cgroup: Cgroup, before: string, after: string): void {
  if (before !== '' && after === '' && below(cgroup).some((one) => [...one.tasks].some((task) => task.state !== 'zombie' && task.state !== 'dead'))) throw new SysError('ENOSPC');
}

/** cpuset.cpus: siblings that are partitions and would share a processor hold no longer. */
export function setCpus(kernel: Kernel, cgroup: Cgroup, cpus: string): void {
  requireEmptyable(cgroup, cgroup.cpuset.cpus, cpus);
  cgroup.cpuset.cpus = cpus;
  const mine = listOf(cpus, kernel.cpus);
  for (const one of siblings(cgroup)) if (holds(one) && meet(exclusiveOf(kernel, one), mine).length > 0) one.cpuset.fault = '';
  review(kernel, cgroup);
  changed(kernel, cgroup);
}

/** cpuset.cpus.exclusive: nobody's twice among siblings. Throws EINVAL. */
export function setExclusive(kernel: Kernel, cgroup: Cgroup, exclusive: string): void {
  const mine = listOf(exclusive, kernel.cpus);
  for (const one of siblings(cgroup)) {
    if (meet(listOf(one.cpuset.exclusive, kernel.cpus), mine).length > 0) throw new SysError('EINVAL');
    if (one.cpuset.cpus !== '' && without(listOf(one.cpuset.cpus, kernel.cpus), mine).length === 0) throw new SysError('EINVAL');
  }
  cgroup.cpuset.exclusive = exclusive;
  review(kernel, cgroup);
  changed(kernel, cgroup);
}

/** Nothing may be left in a partition's books that its parent does not have; tasks follow (policy.ts). */
function changed(kernel: Kernel, cgroup: Cgroup): void {
  for (const one of below(cgroup)) if (one !== cgroup && one.cpuset.partition !== 'member' && !holds(one.parent!)) one.cpuset.fault = 'Parent is not a partition root';
}
