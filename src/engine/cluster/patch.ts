/**
 * The ways to PATCH: JSON merge patch (RFC 7396), strategic merge patch (lists of named things merge by their key),
 * JSON patch (RFC 6902). Server-side apply is a strategic merge without deletions: field ownership is not kept.
 */
import { badRequest } from './errors.ts';
import { copy, type Json } from './types/objects.ts';

/** Merge keys of lists by the field's name; lists not named here are replaced whole. */
const MERGE_KEYS: Record<string, readonly string[]> = {
  containers: ['name'], initContainers: ['name'], ephemeralContainers: ['name'], env: ['name'], volumes: ['name'], volumeMounts: ['mountPath'],
  ports: ['containerPort', 'port'], conditions: ['type'], addresses: ['type'], taints: ['key'], ownerReferences: ['uid'], imagePullSecrets: ['name'],
  topologySpreadConstraints: ['topologyKey'], hostAliases: ['ip'], schedulingGates: ['name'],
};
const SETS = new Set(['finalizers']);
const isObject = (x: Json): boolean => x !== null && typeof x === 'object' && !Array.isArray(x);

export function strategicPatch(target: Json, patch: Json): Json {
  if (!isObject(patch)) return copy(patch);
  if (patch.$patch === 'replace') return withoutDirectives(patch);
  const out: Json = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch as Record<string, Json>)) {
    if (key.startsWith('$')) continue;
    if (value === null) delete out[key];
    else if (Array.isArray(value)) out[key] = mergeList(key, out[key], value);
    else out[key] = isObject(value) ? strategicPatch(out[key], value) : value;
  }
  return out;
}

function withoutDirectives(value: Json): Json {
  return copy(Object.fromEntries(Object.entries(value).filter(([key]) => !key.startsWith('$'))));
}

function mergeList(field: string, target: Json, patch: Json[]): Json {
  if (SETS.has(field)) return [...new Set([...(Array.isArray(target) ? target : []), ...patch])];
  const keys = MERGE_KEYS[field];
  const key = keys?.find((k) => patch.every((p) => isObject(p) && (p[k] !== undefined || p.$patch === 'replace')));
  if (!key || !Array.isArray(target) || patch.some((p) => p?.$patch === 'replace')) {
    return patch.filter((p) => p?.$patch === undefined).map((p) => copy(p));
  }
  const out: Json[] = target.map((x) => x);
  for (const one of patch) {
    const at = out.findIndex((x) => x?.[key] === one[key]);
    if (one.$patch === 'delete') {
      if (at >= 0) out.splice(at, 1);
    } else if (at >= 0) out[at] = strategicPatch(out[at], one);
    else out.push(strategicPatch({}, one));
  }
  return out;
}

export function jsonPatch(target: Json, operations: Json): Json {
  if (!Array.isArray(operations)) throw badRequest('json: cannot unmarshal object into Go value of type jsonpatch.Patch');
  let out = copy(target);
  for (const step of operations) {
    const path = String(step?.path ?? '').split('/').slice(1).map((p) => p.replace(/~1/g, '/').replace(/~0/g, '~'));
    if (path.includes('__proto__')) throw badRequest('invalid path');
    const last = path[path.length - 1];
    if (last === undefined) {
      out = copy(step.value);
      continue;
    }
    let at: Json = out;
    for (const part of path.slice(0, -1)) {
      at = at?.[part];
      if (at === null || typeof at !== 'object') throw badRequest(`the server rejected our request due to an error in our request`);
    }
    if (step.op === 'test') {
      if (JSON.stringify(at[last]) !== JSON.stringify(step.value)) throw badRequest(`testing value ${step.path} failed`);
    } else if (step.op === 'remove') {
      if (at[last] === undefined) throw badRequest('the server rejected our request due to an error in our request');
      if (Array.isArray(at)) at.splice(Number(last), 1);
      else delete at[last];
    } else if (step.op === 'add' || step.op === 'replace') {
      if (Array.isArray(at)) {
        if (last === '-') at.push(copy(step.value));
        else if (step.op === 'add') at.splice(Number(last), 0, copy(step.value));
        else at[Number(last)] = copy(step.value);
      } else at[last] = copy(step.value);
    } else throw badRequest(`Unexpected kind: ${String(step.op)}`);
  }
  return out;
}
