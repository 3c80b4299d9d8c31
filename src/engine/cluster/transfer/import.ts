/**
 * Objects of another cluster put into this one as they were there: names, uids, owners and status stay, so that its controllers
 * find their pods; its nodes become hollow nodes. What a control plane makes by itself (events, leases, endpoints) is not taken.
 */
import { decodeBody } from '../api.ts';
import { fillCustom } from '../custom/objects.ts';
import { setDefaults } from '../defaults.ts';
import { ApiError, faultText } from '../errors.ts';
import { adoptHollow, type Cluster, note } from '../state.ts';
import { get, put, stamp } from '../store.ts';
import { isMadeAddress } from './export.ts';
import { apiVersionOf, findKind, type Kind } from '../types/kinds.ts';
import { type Json, keyOf, type Node, type Pod } from '../types/objects.ts';
import { validate } from '../validate.ts';

export interface Imported {
  /** Objects taken, by kind. */
  taken: Record<string, number>;
  /** Objects left out, by kind, and why. */
  skipped: { kind: string; why: string; count: number }[];
}

/** What the control plane here makes anew. */
const MADE_HERE = new Set(['Event', 'Lease', 'ComponentStatus', 'Binding']);
/** Fields of a running system that mean nothing here. */
const DROPPED = ['resourceVersion', 'managedFields', 'selfLink'];

export function importObjects(cluster: Cluster, items: readonly Json[]): Imported {
  const taken: Record<string, number> = {};
  const skipped = new Map<string, Imported['skipped'][number]>();
  cluster.cause = note(cluster, 'cluster.import', { objects: items.length }, undefined);
  for (const item of items) {
    const kind = typeof item?.kind === 'string' ? item.kind : '(none)';
    const why = take(cluster, item);
    if (why === null) taken[kind] = (taken[kind] ?? 0) + 1;
    else {
      const key = `${kind} ${why}`;
      const known = skipped.get(key);
      if (known) known.count++;
      else skipped.set(key, { kind, why, count: 1 });
    }
  }
  cluster.cause = undefined;
  return { taken, skipped: [...skipped.values()] };
}

/** null: it is in the store now. */
function take(cluster: Cluster, item: Json): string | null {
  if (item === null || typeof item !== 'object' || Array.isArray(item)) return 'not an object';
  const [version, name] = [String(item.apiVersion ?? ''), String(item.kind ?? '')];
  const kind = findKind(version, name) ?? cluster.customs.served.find((k) => k.kind === name && apiVersionOf(k) === version)?.custom?.stored;
  if (!kind) return `no matches for kind "${item.kind}" in version "${item.apiVersion}"`;
  if (MADE_HERE.has(kind.kind)) return 'made anew here';
  if (typeof item.metadata?.name !== 'string' || item.metadata.name === '') return 'it has no name';
  if (isMadeAddress(cluster, kind.kind, { namespace: 'default', ...item.metadata })) return 'made anew here';
  try {
    return write(cluster, kind, item);
  } catch (error) {
    if (error instanceof ApiError) return error.message;
    throw error;
  }
}

function write(cluster: Cluster, kind: Kind, item: Json): string | null {
  const { status, ...rest } = item;
  const object = decodeBody(kind, kind.custom && !kind.custom.status ? item : rest, false);
  object.apiVersion = apiVersionOf(kind);
  object.kind = kind.kind;
  for (const field of DROPPED) delete (object.metadata as unknown as Json)[field];
  object.metadata.uid ??= `import-${kind.kind.toLowerCase()}-${object.metadata.name}`;
  object.metadata.creationTimestamp ??= stamp(cluster.timeline);
  if (kind.namespaced) {
    object.metadata.namespace ??= 'default';
    if (!get(cluster.store, 'Namespace', object.metadata.namespace)) return `namespace "${object.metadata.namespace}" is not here`;
  }
  const key = keyOf(object.metadata);
  if (get(cluster.store, kind.kind, key)) return 'there already';
  if (kind.custom) fillCustom(kind, object);
  else setDefaults(object);
  const faults = validate(kind, object);
  if (faults.length > 0) return `invalid: ${faultText(faults[0]!)}`;
  if (status !== undefined && status !== null && typeof status === 'object') object.status = decodeBody(kind, { status }, false).status;
  if (kind.kind === 'Pod') {
    const fault = settle(cluster, object as Pod);
    if (fault !== null) return fault;
  }
  put(cluster.store, object);
  if (kind.kind === 'Node') adoptHollow(cluster, object as Node);
  return null;
}

/** A pod stays where it was, when that node came along; one that was being deleted is gone by now. */
function settle(cluster: Cluster, pod: Pod): string | null {
  if (pod.metadata.deletionTimestamp) return 'it was being deleted';
  pod.status ??= { phase: 'Pending' } as Pod['status'];
  pod.status.phase ??= 'Pending';
  const { nodeName } = pod.spec;
  return nodeName && !get(cluster.store, 'Node', nodeName) ? 'its node is not here' : null;
}
