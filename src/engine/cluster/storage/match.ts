/**
 * Which volume a claim may have: the smallest that is big enough, of its class, modes and selector, free or kept for it, and, where
 * a node is given, usable there. Source: component-helpers storage/volume/pv_helpers.go (FindMatchingVolume) 1.32.
 */
import { termMatches } from '../scheduler/plugins/affinity.ts';
import { get, type Store } from '../store.ts';
import type { Json, KubeObject, Node, NodeSelectorTerm } from '../types/objects.ts';
import { wholeOf } from '../types/quantity.ts';
import { matchesSelector } from '../types/selectors.ts';

export const BIND_COMPLETED = 'pv.kubernetes.io/bind-completed';
export const BOUND_BY_CONTROLLER = 'pv.kubernetes.io/bound-by-controller';
export const PROVISIONED_BY = 'pv.kubernetes.io/provisioned-by';
export const SELECTED_NODE = 'volume.kubernetes.io/selected-node';
export const PROVISIONER = 'volume.kubernetes.io/storage-provisioner';
export const BETA_PROVISIONER = 'volume.beta.kubernetes.io/storage-provisioner';
export const NO_PROVISIONER = 'kubernetes.io/no-provisioner';

export const classOf = (o: KubeObject): string => o.metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? o.spec.storageClassName ?? '';
export const wanted = (claim: KubeObject): number => wholeOf(claim.spec.resources?.requests?.storage);
export const sizeOf = (volume: KubeObject): number => wholeOf(volume.spec.capacity?.storage);

/** Kept for this very claim; a reference without uid is one by name. */
export function isFor(volume: KubeObject, claim: KubeObject): boolean {
  const ref = volume.spec.claimRef;
  return ref?.name === claim.metadata.name && ref.namespace === claim.metadata.namespace && (!ref.uid || ref.uid === claim.metadata.uid);
}

/** Whether a volume can be used on a node; one that says nothing can everywhere. */
export function reaches(volume: KubeObject, node: Node): boolean {
  const terms = volume.spec.nodeAffinity?.required?.nodeSelectorTerms as NodeSelectorTerm[] | undefined;
  return !terms || terms.some((term) => termMatches(term, node));
}

/** Whether binding waits until a pod has a node. */
export function bindsLate(store: Store, claim: KubeObject): boolean {
  return get(store, 'StorageClass', classOf(claim))?.volumeBindingMode === 'WaitForFirstConsumer';
}

/** Why a volume asked for by name cannot be had, or null. */
export function mismatch(volume: KubeObject, claim: KubeObject): string | null {
  if (sizeOf(volume) < wanted(claim)) return 'requested PV is too small';
  if (classOf(volume) !== classOf(claim)) return 'storageClassName does not match';
  if ((volume.spec.volumeMode ?? 'Filesystem') !== (claim.spec.volumeMode ?? 'Filesystem')) return 'incompatible volumeMode';
  if (!hasModes(volume, claim)) return 'incompatible accessMode';
  return null;
}

const hasModes = (volume: KubeObject, claim: KubeObject): boolean => ((claim.spec.accessModes ?? []) as string[]).every((mode) => (volume.spec.accessModes as Json).includes(mode));

export interface Search {
  node?: Node;
  /** Only what is kept for the claim already. */
  onlyKept?: boolean;
  /** Names of volumes that other claims of the pod take. */
  taken?: ReadonlySet<string>;
}

export function findVolume(store: Store, claim: KubeObject, { node, onlyKept = false, taken }: Search = {}): KubeObject | undefined {
  const all = [...(store.tables.get('PersistentVolume')?.values() ?? [])].filter((v) => hasModes(v, claim) && !taken?.has(v.metadata.name) && (v.spec.volumeMode ?? 'Filesystem') === (claim.spec.volumeMode ?? 'Filesystem'));
  const kept = all.find((v) => isFor(v, claim) && sizeOf(v) >= wanted(claim));
  if (kept) return !node || reaches(kept, node) ? kept : undefined;
  if (onlyKept) return undefined;
  let best: KubeObject | undefined;
  for (const v of all) {
    if (v.status?.phase !== 'Available' || v.spec.claimRef || v.metadata.deletionTimestamp || sizeOf(v) < wanted(claim) || classOf(v) !== classOf(claim)) continue;
    if (claim.spec.selector && !matchesSelector(claim.spec.selector, v.metadata.labels)) continue;
    if (node && !reaches(v, node)) continue;
    if (!best || sizeOf(v) < sizeOf(best) || (sizeOf(v) === sizeOf(best) && v.metadata.name < best.metadata.name)) best = v;
  }
  return best;
}
