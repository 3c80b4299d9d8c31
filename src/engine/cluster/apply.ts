/**
 * Server-side apply: a manager states the fields it wants; fields it stated before and no longer states go, unless others own
 * them; what others own and it would change is a conflict, unless it forces. Source: structured-merge-diff merge/update.go v4.
 */
import { create, read, unknownOf, type WriteOptions, writeApplied } from './api.ts';
import { ApiError, badRequest } from './errors.ts';
import { collect, decode, difference, encode, type FieldSet, overlay, ownable, pathText, prune } from './fieldsets.ts';
import { type Entry, sortEntries, without } from './managed.ts';
import type { Cluster } from './state.ts';
import { get, stamp } from './store.ts';
import { apiVersionOf, type Kind, nameOf } from './types/kinds.ts';
import { copy, type Json, type KubeObject } from './types/objects.ts';

export interface ApplyOptions extends WriteOptions { manager: string; force: boolean }

export function applyPatch(cluster: Cluster, kind: Kind, namespace: string | undefined, name: string, body: Json, sub: string | undefined, options: ApplyOptions): { made: boolean; object: KubeObject } {
  const { manager } = options;
  if (manager === '') throw new ApiError(422, 'Invalid', 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch');
  if (body.metadata?.managedFields?.length) throw badRequest('metadata.managedFields must be nil');
  if (body.metadata?.name !== undefined && body.metadata.name !== name) throw badRequest(`the name of the object (${body.metadata.name}) does not match the name on the URL (${name})`);
  const unknown = unknownOf(kind, body);
  if (unknown.length > 0) throw new ApiError(500, '', `failed to create typed patch object (${namespace ? `${namespace}/` : '/'}${name}; ${apiVersionOf(kind)}, Kind=${nameOf(kind)}): .${unknown[0]}: field not declared in schema`);
  const live = get(cluster.store, kind.kind, kind.namespaced ? `${namespace}/${name}` : name);
  const applied: FieldSet = new Set();
  collect(ownable(body, sub === 'status' ? sub : undefined), '', '', applied);
  if (!live) {
    if (sub !== undefined) read(cluster, kind, namespace, name);
    const entry = entryOf(cluster, kind, applied, manager, sub);
    return { made: true, object: create(cluster, kind, namespace, { ...body, metadata: { ...body.metadata, name } }, { ...options, strict: true, managed: [entry] }) };
  }
  const old: Entry[] = live.metadata.managedFields ?? [beforeFirst(cluster, kind, live)];
  const mine = (e: Entry): boolean => e.manager === manager && e.operation === 'Apply' && e.subresource === sub;
  const others = old.filter((e) => !mine(e));
  const merged = merge(live, body, sub, dropped(old.find(mine), others, applied));
  const { changed } = difference(ownable(live, sub === 'status' ? sub : undefined), ownable(merged, sub === 'status' ? sub : undefined));
  const conflicts = others.flatMap((entry) => [...decode(entry.fieldsV1)].filter((path) => changed.has(path)).sort().map((path) => ({ entry, path })));
  if (conflicts.length > 0 && !options.force && !migrates(live, manager, conflicts)) throw conflictError(conflicts);
  const lost: FieldSet = new Set(conflicts.map((c) => c.path));
  const entries = others.map((entry) => without(entry, lost)).filter((entry) => entry !== null);
  const before = old.find(mine);
  const entry = entryOf(cluster, kind, applied, manager, sub);
  if (before && JSON.stringify(before.fieldsV1) === JSON.stringify(entry.fieldsV1) && changed.size === 0) entry.time = before.time;
  return { made: false, object: writeApplied(cluster, kind, live, merged, sub, { ...options, managed: sortEntries([...entries, entry]) }) };
}

const entryOf = (cluster: Cluster, kind: Kind, fields: FieldSet, manager: string, sub: string | undefined): Entry =>
  ({ apiVersion: apiVersionOf(kind), fieldsType: 'FieldsV1', fieldsV1: encode(fields), manager, operation: 'Apply', ...(sub ? { subresource: sub } : {}), time: stamp(cluster.timeline) });

/** An object that nobody tracked was somebody's nevertheless. */
function beforeFirst(cluster: Cluster, kind: Kind, live: KubeObject): Entry {
  const fields: FieldSet = new Set();
  collect(ownable(live), '', '', fields, true);
  return { ...entryOf(cluster, kind, fields, 'before-first-apply', undefined), operation: 'Update' };
}

/** What this manager stated before, states no more, and nobody else owns. */
function dropped(before: Entry | undefined, others: readonly Entry[], applied: FieldSet): FieldSet {
  const out: FieldSet = before ? decode(before.fieldsV1) : new Set();
  for (const path of applied) out.delete(path);
  for (const entry of others) for (const path of decode(entry.fieldsV1)) out.delete(path);
  for (const path of [...out]) for (const kept of applied) if (kept.startsWith(`${path}\u0001`)) out.delete(path);
  return out;
}

function merge(live: KubeObject, body: Json, sub: string | undefined, gone: FieldSet): KubeObject {
  const base = copy(live);
  prune(base, gone);
  if (sub === 'status') return { ...base, status: overlay(base.status ?? {}, body.status ?? {}, 'status') };
  const { status: _s, apiVersion: _a, kind: _k, ...stated } = body;
  return overlay(base, stated);
}

interface Conflict { entry: Entry; path: string }

/** kubectl's own client-side applies are taken over: what the annotation recorded is what the same person applied. */
function migrates(live: KubeObject, manager: string, conflicts: readonly Conflict[]): boolean {
  const recorded = live.metadata.annotations?.['kubectl.kubernetes.io/last-applied-configuration'];
  if (manager !== 'kubectl' || !recorded) return false;
  const fields: FieldSet = new Set();
  try {
    collect(ownable(JSON.parse(recorded)), '', '', fields);
  } catch {
    return false;
  }
  return conflicts.every(({ path }) => fields.has(path));
}

function managerText({ manager, operation, apiVersion, subresource }: Entry): string {
  const name = `${JSON.stringify(manager)}${subresource ? ` with subresource ${JSON.stringify(subresource)}` : ''}`;
  return operation === 'Update' ? `${name} using ${apiVersion}` : name;
}

function conflictError(conflicts: readonly Conflict[]): ApiError {
  const byManager = new Map<string, string[]>();
  for (const { entry, path } of conflicts) byManager.set(managerText(entry), [...(byManager.get(managerText(entry)) ?? []), pathText(path)]);
  const [first] = conflicts;
  const says = conflicts.length === 1
    ? `Apply failed with 1 conflict: conflict with ${managerText(first!.entry)}: ${pathText(first!.path)}`
    : `Apply failed with ${conflicts.length} conflicts: ${[...byManager].sort(([a], [b]) => (a < b ? -1 : 1)).map(([who, paths]) => `conflicts with ${who}:\n${paths.map((p) => `- ${p}`).join('\n')}`).join('\n')}`;
  return new ApiError(409, 'Conflict', says, { causes: conflicts.map(({ entry, path }) => ({ reason: 'FieldManagerConflict', message: `conflict with ${managerText(entry)}`, field: pathText(path) })) });
}
