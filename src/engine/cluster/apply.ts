/** Server-side apply. */
import { create, read, update, type WriteOptions } from './api.ts';
import { strategicPatch } from './patch.ts';
import type { Cluster } from './state.ts';
import { get } from './store.ts';
import type { Kind } from './types/kinds.ts';
import type { Json, KubeObject } from './types/objects.ts';

export function applyPatch(cluster: Cluster, kind: Kind, namespace: string | undefined, name: string, body: Json, sub: string | undefined, options: WriteOptions & { force: boolean }): { made: boolean; object: KubeObject } {
  const there = get(cluster.store, kind.kind, kind.namespaced ? `${namespace}/${name}` : name);
  if (!there) return { made: true, object: create(cluster, kind, namespace, body, { ...options, strict: true }) };
  const old = read(cluster, kind, namespace, name);
  const next = strategicPatch(old, body);
  if (next.metadata && body?.metadata?.resourceVersion === undefined) next.metadata = { ...next.metadata, resourceVersion: old.metadata.resourceVersion };
  return { made: false, object: update(cluster, kind, namespace, name, next, sub, options) };
}
