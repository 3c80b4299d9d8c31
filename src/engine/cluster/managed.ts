/**
 * Who owns which fields (metadata.managedFields). Kept for objects that somebody wrote through the API by name (kubectl, a client
 * with a fieldManager); what only controllers and kubelets write carries none, to be light.
 * Source: apimachinery pkg/util/managedfields 1.32. Left out: the cap of ten updaters.
 */
import { decode, difference, encode, type FieldSet, ownable } from './fieldsets.ts';
import type { Cluster } from './state.ts';
import { stamp } from './store.ts';
import { apiVersionOf, type Kind } from './types/kinds.ts';
import type { Json, KubeObject } from './types/objects.ts';

export interface Entry {
  apiVersion: string;
  fieldsType: 'FieldsV1';
  fieldsV1: Json;
  manager: string;
  operation: 'Apply' | 'Update';
  subresource?: string;
  time: string;
}

/** Components whose own objects go untracked. */
const QUIET = /^(kubelet|kube-proxy|coredns|kube-controller-manager|kube-scheduler|csi|unknown)/;

export const isTracked = (old: KubeObject | undefined, manager: string | undefined): boolean => old?.metadata.managedFields !== undefined || (manager !== undefined && !QUIET.test(manager));

const rank = (a: Entry, b: Entry): number =>
  a.operation !== b.operation ? (a.operation === 'Apply' ? -1 : 1) : a.time !== b.time ? (a.time < b.time ? -1 : 1) : a.manager < b.manager ? -1 : a.manager > b.manager ? 1 : 0;
export const sortEntries = (entries: readonly Entry[]): Entry[] => [...entries].sort(rank);

/** The entries after an ordinary write: what changed is the writer's and nobody else's, what went is nobody's. */
export function afterUpdate(cluster: Cluster, kind: Kind, old: KubeObject | undefined, object: KubeObject, manager: string, sub: string | undefined): Entry[] {
  const { changed, removed } = difference(old ? ownable(old, sub) : {}, ownable(object, sub));
  const before: Entry[] = old?.metadata.managedFields ?? [];
  const mine = (e: Entry): boolean => e.manager === manager && e.operation === 'Update' && e.subresource === sub;
  const out: Entry[] = [];
  for (const entry of before) {
    if (mine(entry)) continue;
    const kept = without(entry, changed, removed);
    if (kept) out.push(kept);
  }
  const own = before.find(mine);
  const fields: FieldSet = own ? decode(own.fieldsV1) : new Set();
  const size = fields.size;
  for (const path of changed) fields.add(path);
  const grown = fields.size !== size || changed.size > 0;
  for (const path of removed) fields.delete(path);
  if (fields.size > 0) out.push({ apiVersion: apiVersionOf(kind), fieldsType: 'FieldsV1', fieldsV1: encode(fields), manager, operation: 'Update', ...(sub ? { subresource: sub } : {}), time: own && !grown ? own.time : stamp(cluster.timeline) });
  return sortEntries(out);
}

/** An entry that has lost fields; null when none are left. */
export function without(entry: Entry, ...gone: readonly FieldSet[]): Entry | null {
  const fields = decode(entry.fieldsV1);
  let lost = false;
  for (const set of gone) for (const path of set) lost = fields.delete(path) || lost;
  if (!lost) return entry;
  return fields.size === 0 ? null : { ...entry, fieldsV1: encode(fields) };
}
