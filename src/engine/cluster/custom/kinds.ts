/**
 * Kinds that CustomResourceDefinitions add: rows beside those of `types/kinds.ts`, made anew from the definitions whenever one changes. In the
 * store such a kind is named with its group ("CronTab.stable.example.com"), so that it may be called as another is; `toServed` takes that off.
 */
import type { Cluster } from '../state.ts';
import { list, stamp } from '../store.ts';
import { type Kind, kindNamed } from '../types/kinds.ts';
import type { Condition, Json, KubeObject } from '../types/objects.ts';

export interface Customs {
  /** By the name in the store: the row of the version that is stored. */
  stored: ReadonlyMap<string, Kind>;
  /** As they are asked for, a row a version; the preferred version of a group first. */
  served: readonly Kind[];
}

export const NO_CUSTOMS: Customs = { stored: new Map(), served: [] };
export const CLEANUP = 'customresourcecleanup.apiextensions.k8s.io';
const VERBS = ['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch'];

export const kindOf = (cluster: Cluster, stored: string): Kind => cluster.customs.stored.get(stored) ?? kindNamed(stored);
export const storedName = (kind: string, group: string): string => `${kind}.${group}`;

export const conditionOf = (crd: KubeObject, type: string): Condition | undefined => (crd.status?.conditions ?? []).find((c: Condition) => c.type === type);
export const isEstablished = (crd: KubeObject): boolean => conditionOf(crd, 'Established')?.status === 'True';

/** Versions as Kubernetes ranks them: v2 before v1 before v1beta2 before v1alpha1 before anything else by name. */
export function byVersion(a: string, b: string): number {
  const rank = (v: string): number[] | null => {
    const m = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(v);
    return m ? [m[2] === undefined ? 2 : m[2] === 'beta' ? 1 : 0, Number(m[1]), Number(m[3] ?? 0)] : null;
  };
  const [x, y] = [rank(a), rank(b)];
  if (!x || !y) return x ? -1 : y ? 1 : a < b ? -1 : a > b ? 1 : 0;
  for (let i = 0; i < 3; i++) if (x[i] !== y[i]) return y[i]! - x[i]!;
  return 0;
}

function rowsOf(crd: KubeObject): Kind[] {
  const { group, names, scope, versions } = crd.spec;
  return [...versions].sort((a: Json, b: Json) => byVersion(a.name, b.name)).map((version: Json): Kind => {
    const common = { group, version: version.name, plural: names.plural, singular: names.singular, short: names.shortNames ?? [], namespaced: scope === 'Namespaced', all: (names.categories ?? []).includes('all'), verbs: VERBS };
    const custom = {
      name: names.kind, listKind: names.listKind, categories: names.categories ?? [], schema: version.schema?.openAPIV3Schema ?? {}, columns: version.additionalPrinterColumns ?? null,
      status: version.subresources?.status !== undefined, scale: version.subresources?.scale ?? null, deprecated: version.deprecated ? (version.deprecationWarning ?? `${group}/${version.name} ${names.kind} is deprecated`) : '',
    };
    const stored: Kind = { ...common, kind: storedName(names.kind, group), custom };
    return { ...common, kind: names.kind, custom: { ...custom, stored } };
  });
}

/** What the definitions in the store add now. */
export function readCustoms(cluster: Cluster): Customs {
  const stored = new Map<string, Kind>();
  const served: Kind[] = [];
  for (const crd of list(cluster.store, 'CustomResourceDefinition')) {
    if (!isEstablished(crd)) continue;
    for (const row of rowsOf(crd)) {
      const version = crd.spec.versions.find((v: Json) => v.name === row.version);
      if (version.storage) stored.set(row.custom!.stored!.kind, row.custom!.stored!);
      if (version.served) served.push(row);
    }
  }
  return { stored, served: served.sort((a, b) => (a.group < b.group ? -1 : a.group > b.group ? 1 : byVersion(a.version, b.version))) };
}

/** Marks a definition as one that goes. */
export function terminating(cluster: Cluster, crd: KubeObject, reason: string, message: string): void {
  const row = { lastTransitionTime: stamp(cluster.timeline), message, reason, status: 'True', type: 'Terminating' };
  crd.status = { ...crd.status, conditions: [...(crd.status?.conditions ?? []).filter((c: Condition) => c.type !== 'Terminating'), row] };
}
