/**
 * What becomes of a definition: its names are accepted unless another has them, then its kind is served; when it goes, its objects go
 * first. Source: apiextensions-apiserver pkg/controller/{status,establish,finalizer} 1.32.
 */
import { mutate, remove } from '../api.ts';
import type { Cluster } from '../state.ts';
import { type Change, get, list, stamp } from '../store.ts';
import { KINDS } from '../types/kinds.ts';
import { type Condition, copy, type Json, type KubeObject, same } from '../types/objects.ts';
import { CLEANUP, conditionOf, isEstablished, kindOf, storedName, terminating } from './kinds.ts';

const CRD = 'CustomResourceDefinition';

/** The definition that changed; that of an object that is gone, when it waits for that; and all others when one has given its names back. */
export function definitionsWoken(cluster: Cluster, change: Change): string[] {
  if (change.kind === CRD) return change.type === 'DELETED' ? [...(cluster.store.tables.get(CRD)?.keys() ?? [])].sort() : [change.key];
  const kind = change.type === 'DELETED' ? cluster.customs.stored.get(change.kind) : undefined;
  const name = kind && `${kind.plural}.${kind.group}`;
  return name && get(cluster.store, CRD, name)?.metadata.deletionTimestamp ? [name] : [];
}

export function syncDefinition(cluster: Cluster, name: string): void {
  const crd = get(cluster.store, CRD, name);
  if (!crd) return;
  if (crd.metadata.deletionTimestamp) return empty(cluster, crd);
  const clash = clashOf(cluster, crd);
  const now = stamp(cluster.timeline);
  const conditions: Condition[] = [...(crd.status?.conditions ?? [])];
  const say = (type: string, status: string, reason: string, message: string): void => {
    const old = conditions.findIndex((c) => c.type === type);
    if (old >= 0 && conditions[old]!.status === status && conditions[old]!.reason === reason) return;
    const row = { lastTransitionTime: now, message, reason, status, type } as Condition;
    if (old >= 0) conditions[old] = row;
    else conditions.push(row);
  };
  if (clash) say('NamesAccepted', 'False', clash[0], clash[1]);
  else say('NamesAccepted', 'True', 'NoConflicts', 'no conflicts found');
  if (!clash) say('Established', 'True', 'InitialNamesAccepted', 'the initial names have been accepted');
  else if (!isEstablished(crd)) say('Established', 'False', 'NotAccepted', 'not all names are accepted');
  const { names, versions } = crd.spec;
  const storage: string = versions.find((v: Json) => v.storage).name;
  const kept: string[] = crd.status?.storedVersions ?? [];
  const status = { acceptedNames: clash ? (crd.status?.acceptedNames ?? { kind: '', plural: '' }) : copy(names), conditions, storedVersions: kept.includes(storage) ? kept : [...kept, storage] };
  if (same(status, crd.status)) return;
  mutate(cluster, CRD, name, (o) => {
    o.status = status;
  }, 'status');
}

/** The first name that another kind of the same group has: reason and message. */
function clashOf(cluster: Cluster, crd: KubeObject): [string, string] | null {
  const { group, names } = crd.spec;
  const others: Json[] = [
    ...KINDS.filter((k) => k.group === group).map((k) => ({ plural: k.plural, singular: k.singular, shortNames: k.short, kind: k.kind, listKind: `${k.kind}List` })),
    ...list(cluster.store, CRD).filter((o) => o.spec.group === group && o.metadata.name !== crd.metadata.name && isEstablished(o)).map((o) => o.status.acceptedNames),
  ];
  const words = new Set(others.flatMap((o) => [o.plural, o.singular, ...(o.shortNames ?? [])]));
  const kinds = new Set(others.flatMap((o) => [o.kind, o.listKind]));
  const used = (what: string): string => `${JSON.stringify(what)} is already in use`;
  if (words.has(names.plural)) return ['PluralConflict', used(names.plural)];
  if (words.has(names.singular)) return ['SingularConflict', used(names.singular)];
  const short = (names.shortNames ?? []).find((s: string) => words.has(s));
  if (short) return ['ShortNamesConflict', used(short)];
  if (kinds.has(names.kind)) return ['KindConflict', used(names.kind)];
  return kinds.has(names.listKind) ? ['ListKindConflict', used(names.listKind)] : null;
}

/** Every object of the kind is told to go; when none is left, so is the definition. */
function empty(cluster: Cluster, crd: KubeObject): void {
  if (!crd.metadata.finalizers?.includes(CLEANUP)) return;
  const stored = storedName(crd.spec.names.kind, crd.spec.group);
  for (const object of list(cluster.store, stored)) if (!object.metadata.deletionTimestamp) remove(cluster, kindOf(cluster, stored), object.metadata.namespace, object.metadata.name);
  if (list(cluster.store, stored).length > 0) {
    if (conditionOf(crd, 'Terminating')?.reason === 'InstanceDeletionCheck') return;
    mutate(cluster, CRD, crd.metadata.name, (o) => terminating(cluster, o, 'InstanceDeletionCheck', `could not confirm zero CustomResources remaining: timed out waiting for the condition`), 'status');
    return;
  }
  mutate(cluster, CRD, crd.metadata.name, (o) => {
    o.metadata.finalizers = o.metadata.finalizers!.filter((f) => f !== CLEANUP);
  });
}
