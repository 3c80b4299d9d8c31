/** ResourceQuota: refuses what a namespace has no room for, and charges what it lets in. Source: plugin/pkg/admission/resourcequota 1.32. */
import { EPOCH_SECONDS, SECOND } from '../../sim/units.ts';
import { forbidden } from '../errors.ts';
import type { Cluster } from '../state.ts';
import { put } from '../store.ts';
import type { Kind } from '../types/kinds.ts';
import type { KubeObject, PodSpec } from '../types/objects.ts';
import { amountIn, type Amounts, amountText } from '../types/amounts.ts';
import { inScope, usageOf } from './usage.ts';

const CONSTRAINED = ['cpu', 'memory', 'requests.cpu', 'requests.memory', 'limits.cpu', 'limits.memory'];

const secondsNow = (cluster: Cluster): number => EPOCH_SECONDS + cluster.timeline.now / SECOND;

export function quotasOf(cluster: Cluster, namespace: string | undefined): KubeObject[] {
  const table = cluster.store.tables.get('ResourceQuota');
  if (!table || table.size === 0 || namespace === undefined) return [];
  return [...table.values()].filter((q) => q.metadata.namespace === namespace).sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

/** Throws when a quota would be exceeded; otherwise gives what charges them, to be called when the object is written. */
export function admitQuota(cluster: Cluster, kind: Kind, object: KubeObject, old?: KubeObject): (() => void) | null {
  const quotas = quotasOf(cluster, object.metadata.namespace);
  if (quotas.length === 0) return null;
  const now = secondsNow(cluster);
  const usage = usageOf(kind, object, now);
  if (old) for (const [name, n] of usageOf(kind, old, now)) usage.set(name, (usage.get(name) ?? 0) - n);
  const charged: { quota: KubeObject; wanted: [string, number][] }[] = [];
  for (const quota of quotas) {
    const hard: Record<string, string> = quota.status?.hard ?? {};
    if (!inScope(quota, kind, object)) continue;
    if (kind.kind === 'Pod' && !old) unsaid(kind, object, quota, hard);
    const wanted = [...usage].filter(([name, n]) => hard[name] !== undefined && n > 0).sort(([a], [b]) => (a < b ? -1 : 1));
    if (wanted.length === 0) continue;
    const over = wanted.filter(([name, n]) => amountIn(name, quota.status.used?.[name]) + n > amountIn(name, hard[name]));
    if (over.length > 0) {
      const list = (text: (name: string, n: number) => string): string => over.map(([name, n]) => `${name}=${text(name, n)}`).join(',');
      throw forbidden(kind, object.metadata.name, `exceeded quota: ${quota.metadata.name}, requested: ${list(amountText)}, used: ${list((name) => amountText(name, amountIn(name, quota.status.used?.[name])))}, limited: ${list((name) => hard[name]!)}`);
    }
    charged.push({ quota, wanted });
  }
  return charged.length === 0 ? null : () => charge(cluster, charged);
}

/** A quota of CPU or memory makes every container say how much. */
function unsaid(kind: Kind, object: KubeObject, quota: KubeObject, hard: Record<string, string>): void {
  const required = CONSTRAINED.filter((name) => hard[name] !== undefined);
  if (required.length === 0) return;
  const spec = object.spec as PodSpec;
  const lacks = new Map<string, string[]>();
  for (const c of [...(spec.containers ?? []), ...(spec.initContainers ?? [])]) {
    for (const name of required) {
      const list = name.startsWith('limits.') ? c.resources?.limits : c.resources?.requests;
      if (list?.[name.replace(/^.*\./, '')] === undefined) lacks.set(name, [...(lacks.get(name) ?? []), c.name]);
    }
  }
  if (lacks.size === 0) return;
  throw forbidden(kind, object.metadata.name, `failed quota: ${quota.metadata.name}: must specify ${[...lacks].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, of]) => `${name} for: ${of.sort().join(',')}`).join('; ')}`);
}

function charge(cluster: Cluster, charged: readonly { quota: KubeObject; wanted: [string, number][] }[]): void {
  for (const { quota, wanted } of charged) {
    const used = { ...quota.status.used };
    for (const [name, n] of wanted) used[name] = amountText(name, amountIn(name, used[name]) + n);
    put(cluster.store, { ...quota, metadata: { ...quota.metadata }, status: { ...quota.status, used } });
  }
}

/** The same numbers, counted anew. */
export function recount(cluster: Cluster, quota: KubeObject, kinds: readonly Kind[]): { hard: Record<string, string>; used: Record<string, string> } {
  const now = secondsNow(cluster);
  const hard: Record<string, string> = quota.spec.hard ?? {};
  const sum: Amounts = new Map(Object.keys(hard).map((name) => [name, 0]));
  for (const kind of kinds) {
    for (const object of cluster.store.tables.get(kind.kind)?.values() ?? []) {
      if (object.metadata.namespace !== quota.metadata.namespace || !inScope(quota, kind, object)) continue;
      for (const [name, n] of usageOf(kind, object, now)) if (sum.has(name)) sum.set(name, sum.get(name)! + n);
    }
  }
  return { hard, used: Object.fromEntries([...sum].map(([name, n]) => [name, amountText(name, n)])) };
}
