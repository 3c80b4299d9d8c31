/**
 * Pods that nobody will end: those that are terminating on a node which is not ready and tainted out-of-service are removed, so that
 * their volumes can go elsewhere. Every 20 s. Source: pkg/controller/podgc 1.32. Left out: the threshold of terminated pods.
 */
import { mutate, remove } from '../api.ts';
import { type Cluster, note } from '../state.ts';
import { get, list } from '../store.ts';
import { kindNamed } from '../types/kinds.ts';
import { keyOf, type Node, type Pod } from '../types/objects.ts';

export const OUT_OF_SERVICE = 'node.kubernetes.io/out-of-service';

export function collectPods(cluster: Cluster): void {
  const lost = new Set(list<Node>(cluster.store, 'Node')
    .filter((n) => (n.spec.taints ?? []).some((t) => t.key === OUT_OF_SERVICE) && n.status?.conditions?.find((c) => c.type === 'Ready')?.status !== 'True')
    .map((n) => n.metadata.name));
  if (lost.size === 0) return;
  for (const pod of list<Pod>(cluster.store, 'Pod')) {
    if (!pod.metadata.deletionTimestamp || !lost.has(pod.spec.nodeName ?? '')) continue;
    note(cluster, 'pod.collected', { pod: keyOf(pod.metadata), node: pod.spec.nodeName ?? '' });
    mutate<Pod>(cluster, 'Pod', keyOf(pod.metadata), (p) => {
      if (p.status.phase !== 'Succeeded') p.status.phase = 'Failed';
    }, 'status');
    if (get(cluster.store, 'Pod', keyOf(pod.metadata))) remove(cluster, kindNamed('Pod'), pod.metadata.namespace, pod.metadata.name, { gracePeriodSeconds: 0 });
  }
}
