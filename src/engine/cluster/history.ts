/**
 * The cluster's past: which revisions the store still knows, what each changed, and the cluster as it was at one of them. What
 * reads a cluster (`inspect.ts` and the views on it) reads the past one the same way; it has a store of its own and no future.
 */
import type { Cluster } from './state.ts';
import { type Change, storeAt } from './store.ts';

export interface Revision {
  revision: number;
  /** ns of the simulation. */
  at: number;
  what: Change['type'];
  kind: string;
  /** "namespace/name" */
  key: string;
}

/** Oldest and newest revision that can be shown. */
export const spanOf = (cluster: Cluster): { from: number; to: number } => ({ from: cluster.store.forgotten, to: cluster.store.revision });

/** What changed after one revision up to another, oldest first; `most` of the newest. */
export function revisionsBetween(cluster: Cluster, from: number, to: number, most = 1000): Revision[] {
  const found: Revision[] = [];
  const { history } = cluster.store;
  for (let i = history.length - 1; i >= 0 && history[i]!.revision > from && found.length < most; i--) {
    const { revision, at, type, kind, key } = history[i]!;
    if (revision <= to) found.push({ revision, at, what: type, kind, key });
  }
  return found.reverse();
}

/** The last revision written at or before a moment (ns); null when the store no longer knows. */
export function revisionAt(cluster: Cluster, at: number): number | null {
  const { history } = cluster.store;
  for (let i = history.length - 1; i >= 0; i--) if (history[i]!.at <= at) return history[i]!.revision;
  return null;
}

/** The cluster as it was; null when that is no longer, or not yet, known. */
export function clusterAt(cluster: Cluster, revision: number): Cluster | null {
  const { from, to } = spanOf(cluster);
  if (revision < from || revision > to) return null;
  return { ...cluster, store: storeAt(cluster.store, revision) };
}
