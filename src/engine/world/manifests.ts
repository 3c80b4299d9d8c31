/**
 * Manifests that a scenario brings along, applied to its cluster before anything else happens: made, or merged into what is
 * there (labels of a node). What is refused is recorded.
 */
import { create, read, update } from '../cluster/api.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { ApiError } from '../cluster/errors.ts';
import { strategicPatch } from '../cluster/patch.ts';
import { note } from '../cluster/state.ts';
import { copy, type Json } from '../cluster/types/objects.ts';
import { findKind } from '../cluster/types/kinds.ts';
import { ManifestError, readManifest } from '../userland/kube/kubectl/manifest.ts';

export function applyManifests(cluster: Cluster, manifests: readonly string[]): void {
  for (const source of manifests) {
    try {
      applyObjects(cluster, readManifest(source, 'scenario').map(({ object }) => object));
    } catch (error) {
      if (!(error instanceof ManifestError)) throw error;
      note(cluster, 'manifest.refused', { why: error.message });
    }
  }
}

export function applyObjects(cluster: Cluster, objects: readonly Json[]): void {
  for (const object of objects) {
    const kind = findKind(String(object.apiVersion), String(object.kind));
    if (kind) put(cluster, kind, copy(object));
    else note(cluster, 'manifest.refused', { why: `no matches for kind "${object.kind}"` });
  }
}

function put(cluster: Cluster, kind: NonNullable<ReturnType<typeof findKind>>, object: Parameters<typeof create>[3]): void {
  const namespace = kind.namespaced ? (object.metadata?.namespace ?? 'default') : undefined;
  try {
    try {
      create(cluster, kind, namespace, object, { strict: true });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status.reason !== 'AlreadyExists') throw error;
      const { name } = object.metadata;
      update(cluster, kind, namespace, name, strategicPatch(copy(read(cluster, kind, namespace, name)), object));
    }
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    note(cluster, 'manifest.refused', { why: error.message });
  }
}
