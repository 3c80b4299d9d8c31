/** Garbage collection of what a deleted owner owned, and the end of namespaces: their contents go first. */
import { create, mutate, remove } from '../api.ts';
import { put } from '../store.ts';
import type { Cluster } from '../state.ts';
import { drop, get, list, ownedBy } from '../store.ts';
import { KINDS, kindNamed } from '../types/kinds.ts';
import { copy, type KubeObject, type Pod } from '../types/objects.ts';

/** `uid` is gone: what it alone owned goes too. */
export function collect(cluster: Cluster, uid: string): void {
  for (const child of ownedBy(cluster.store, uid)) {
    const others = (child.metadata.ownerReferences ?? []).filter((r) => r.uid !== uid);
    if (others.length > 0) {
      mutate(cluster, child.kind, `${child.metadata.namespace}/${child.metadata.name}`, (o) => {
        o.metadata.ownerReferences = others;
      });
    } else remove(cluster, kindNamed(child.kind), child.metadata.namespace, child.metadata.name);
  }
}

export function syncNamespace(cluster: Cluster, name: string): void {
  const namespace = get(cluster.store, 'Namespace', name);
  if (!namespace) return;
  if (!namespace.metadata.deletionTimestamp) {
    if (!get(cluster.store, 'ServiceAccount', `${name}/default`)) create(cluster, kindNamed('ServiceAccount'), name, { metadata: { name: 'default' } });
    return;
  }
  let left = 0;
  for (const kind of KINDS) {
    if (!kind.namespaced) continue;
    for (const object of list<KubeObject>(cluster.store, kind.kind, name)) {
      if (!object.metadata.deletionTimestamp) remove(cluster, kind, name, object.metadata.name);
      if (get(cluster.store, kind.kind, `${name}/${object.metadata.name}`)) left++;
    }
  }
  if (left > 0) return;
  const last = copy(namespace);
  last.spec = {};
  put(cluster.store, last);
  drop(cluster.store, last);
}

/** Victims of preemption. */
export function evictPod(cluster: Cluster, key: string): void {
  const pod = get<Pod>(cluster.store, 'Pod', key);
  if (pod && !pod.metadata.deletionTimestamp) remove(cluster, kindNamed('Pod'), pod.metadata.namespace, pod.metadata.name);
}
