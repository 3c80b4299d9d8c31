/** What holds for the whole hierarchy: its mount options, and which files belong to whom a subtree is delegated. Source: kernel doc cgroup-v2. */
import { ContextRefused } from '../abi.ts';
import type { Kernel } from '../records.ts';

/** Options in the order of /proc/mounts; /sys/kernel/cgroup/features names the same. */
export const FEATURES: readonly string[] = ['nsdelegate', 'favordynmods', 'memory_localevents', 'memory_recursiveprot', 'memory_hugetlb_accounting', 'pids_localevents'];

/** Files that a delegatee may write at the root of what it was given, in the kernel's order of controllers. */
export const DELEGATED: readonly string[] = ['cgroup.procs', 'cgroup.threads', 'cgroup.subtree_control', 'memory.oom.group', 'memory.reclaim'];

/** Options in the order in which they are shown. Refuses one that cgroup2 does not know. */
export function readOptions(names: Iterable<string>): string {
  const given = new Set(names);
  for (const name of given) if (!FEATURES.includes(name)) throw new ContextRefused(`cgroup2: Unknown parameter '${name}'`);
  return FEATURES.filter((name) => given.has(name)).join(',');
}

/** The options of every mount of the hierarchy. */
export function hierarchyOptions(kernel: Kernel): string {
  return (kernel.drivers.get('cgroup2') as string | undefined) ?? '';
}
