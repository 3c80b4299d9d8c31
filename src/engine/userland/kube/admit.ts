/** Whether a node takes a pod that has been bound to it; else how it is rejected. Source: pkg/kubelet/lifecycle/predicate.go, eviction_manager.go Admit 1.32. */
import type { Pod } from '../../cluster/types/objects.ts';
import { amountOf } from '../../cluster/types/quantity.ts';
import type { Held, Kubelet } from './node.ts';

export const requestOf = (pod: Pod, resource: string): number => {
  const of = (c: Pod['spec']['containers'][number]): number => amountOf(resource, c.resources?.requests?.[resource]);
  const main = pod.spec.containers.reduce((n, c) => n + of(c), 0);
  const stay = (pod.spec.initContainers ?? []).filter((c) => c.restartPolicy === 'Always').reduce((n, c) => n + of(c), 0);
  const once = (pod.spec.initContainers ?? []).filter((c) => c.restartPolicy !== 'Always').reduce((n, c) => Math.max(n, of(c)), 0);
  return Math.max(main + stay, once);
};

export const isCritical = (pod: Pod): boolean => (pod.spec.priority ?? 0) >= 2_000_000_000 || pod.metadata.annotations?.['kubernetes.io/config.source'] === 'file';

export function admit(k: Kubelet, held: Held): { reason: string; message: string } | null {
  const { pod } = held;
  const rejected = (reason: string, message: string): { reason: string; message: string } => ({ reason, message: `Pod was rejected: ${message}` });
  if (!isCritical(pod) && k.pressure.size > 0) {
    const onlyMemory = [...k.pressure].every((c) => c === 'MemoryPressure');
    if (!onlyMemory || (pod.status.qosClass ?? 'BestEffort') === 'BestEffort') return rejected('Evicted', `The node had condition: [${[...k.pressure].sort().join(' ')}]. `);
  }
  const others = [...k.pods.values()].filter((h) => h !== held && !h.gone && h.phase !== 'Succeeded' && h.phase !== 'Failed' && h.evict === null);
  const room: [string, number, string][] = [['pods', k.config.maxPods, 'pods'], ['cpu', k.cpus * 1000, 'cpu'], ['memory', k.allocatable, 'memory']];
  for (const [resource, capacity, word] of room) {
    const asked = resource === 'pods' ? 1 : requestOf(pod, resource);
    const taken = others.reduce((n, h) => n + (resource === 'pods' ? 1 : requestOf(h.pod, resource)), 0);
    if (asked > 0 && asked + taken > capacity) return rejected(`OutOf${word}`, `Node didn't have enough resource: ${word}, requested: ${asked}, used: ${taken}, capacity: ${capacity}`);
  }
  return null;
}
