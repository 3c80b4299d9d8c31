/** Objects of custom kinds on their way into the store: decoded, pruned, filled in and checked by the schema of the version they came in. */
import { ApiError, badRequest, type Fault } from '../errors.ts';
import type { Cluster } from '../state.ts';
import { get } from '../store.ts';
import type { Kind } from '../types/kinds.ts';
import { copy, type Json, type KubeObject, same } from '../types/objects.ts';
import { decode } from '../types/schema.ts';
import { metadata } from '../validate/names.ts';
import { faultsOf, fillIn, prune } from './schema.ts';

/** Paths of fields that neither the schema nor metadata has. */
export function unknownFields(kind: Kind, body: Json): string[] {
  const unknown: string[] = [];
  prune(copy(body), kind.custom!.schema, '', unknown, true);
  return [...decode('ObjectMeta', body?.metadata).unknown.map((f) => `metadata.${f}`), ...unknown];
}

export function decodeCustom(kind: Kind, body: Json, strict: boolean): KubeObject {
  const says = (why: string): ApiError => badRequest(`${kind.custom!.name} in version "${kind.version}" cannot be handled as a ${kind.custom!.name}: ${why}`);
  if (body === null || typeof body !== 'object' || Array.isArray(body)) throw says('json: cannot unmarshal into Go value');
  const meta = decode('ObjectMeta', body.metadata);
  if (meta.mistyped) throw says(meta.mistyped);
  const unknown = unknownFields(kind, body);
  if (unknown.length > 0 && strict) throw says(`strict decoding error: ${unknown.map((f) => `unknown field "${f}"`).join(', ')}`);
  const object = copy(body) as KubeObject;
  prune(object, kind.custom!.schema, '', [], true);
  if (object.metadata) for (const [field, value] of Object.entries(object.metadata)) if (value === null || meta.unknown.includes(field)) delete (object.metadata as Json)[field];
  return object;
}

export const fillCustom = (kind: Kind, object: KubeObject): void => fillIn(object, kind.custom!.schema);

export function customFaults(kind: Kind, object: KubeObject): Fault[] {
  const out: Fault[] = [];
  metadata(object, kind.namespaced, out);
  faultsOf(object, kind.custom!.schema, '', out, true);
  const { scale } = kind.custom!;
  if (!scale) return out;
  const replicas = at(object, scale.specReplicasPath);
  if (typeof replicas === 'number' && replicas < 0) out.push({ field: scale.specReplicasPath.slice(1), type: 'Invalid value', value: String(replicas), detail: 'should be a non-negative integer' });
  return out;
}

/** What a change to counts a new generation: all but metadata, and the status where that is written apart. */
export function sameWish(kind: Kind, a: KubeObject, b: KubeObject): boolean {
  const wish = ({ metadata: _m, apiVersion: _a, kind: _k, status, ...rest }: KubeObject): Json => (kind.custom!.status ? rest : { ...rest, status });
  return same(wish(a), wish(b));
}

/** Nothing new is made while its kind goes. */
export function refuseWhileGoing(cluster: Cluster, kind: Kind): void {
  const crd = get(cluster.store, 'CustomResourceDefinition', `${kind.plural}.${kind.group}`);
  if (crd?.metadata.deletionTimestamp) throw new ApiError(405, 'MethodNotAllowed', 'create not allowed while custom resource definition is terminating');
}

/** A value at a simple path (".spec.replicas"). */
export function at(object: Json, path: string): Json {
  return path.split('.').filter((part) => part !== '').reduce((value, part) => value?.[part], object);
}

export function place(object: Json, path: string, value: Json): void {
  const parts = path.split('.').filter((part) => part !== '');
  let where = object;
  for (const part of parts.slice(0, -1)) where = where[part] ??= {};
  where[parts[parts.length - 1]!] = value;
}
