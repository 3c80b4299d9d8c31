/**
 * Strategic merge patch: lists of named things merge by their key; `$patch`, `$retainKeys`, `$deleteFromPrimitiveList` and
 * `$setElementOrder` delete, replace and order. Source: apimachinery strategicpatch.
 */
import { copy, isObject, type Json } from './objects.ts';

/** Merge keys of lists by the field's name; lists not named here are replaced whole. */
const MERGE_KEYS: Record<string, readonly string[]> = {
  containers: ['name'], initContainers: ['name'], ephemeralContainers: ['name'], env: ['name'], volumes: ['name'], volumeMounts: ['mountPath'],
  ports: ['containerPort', 'port'], conditions: ['type'], addresses: ['type'], taints: ['key'], ownerReferences: ['uid'], imagePullSecrets: ['name'],
  topologySpreadConstraints: ['topologyKey'], hostAliases: ['ip'], schedulingGates: ['name'],
};
const SETS = new Set(['finalizers']);

export function strategicPatch(target: Json, patch: Json): Json {
  if (!isObject(patch)) return copy(patch);
  if (patch.$patch === 'replace') return withoutDirectives(patch);
  const out: Json = isObject(target) ? { ...target } : {};
  if (Array.isArray(patch.$retainKeys)) for (const key of Object.keys(out)) if (!patch.$retainKeys.includes(key)) delete out[key];
  for (const [key, value] of Object.entries(patch as Record<string, Json>)) {
    if (key.startsWith('$deleteFromPrimitiveList/')) takeFrom(out, key.slice(25), value);
    if (key.startsWith('$')) continue;
    if (value === null || value?.$patch === 'delete') delete out[key];
    else if (Array.isArray(value)) out[key] = mergeList(key, out[key], value);
    else out[key] = isObject(value) ? strategicPatch(out[key], value) : value;
  }
  for (const [key, order] of Object.entries(patch as Record<string, Json>)) if (key.startsWith('$setElementOrder/')) reorder(out, key.slice(17), order);
  return out;
}

function takeFrom(out: Json, field: string, values: Json): void {
  if (Array.isArray(out[field]) && Array.isArray(values)) out[field] = out[field].filter((x: Json) => !values.includes(x));
}

/** Items in the order that the patch states; what it does not name stays behind what it stood behind. */
function reorder(out: Json, field: string, order: Json): void {
  const list: Json = out[field];
  if (!Array.isArray(list) || !Array.isArray(order)) return;
  const key = isObject(order[0]) ? Object.keys(order[0])[0]! : null;
  const place = new Map(order.map((one, i) => [key ? one?.[key] : one, i]));
  let last = -1;
  const ranked = list.map((item, i) => {
    last = place.get(key ? item?.[key] : item) ?? last;
    return { item, rank: last, i, named: place.has(key ? item?.[key] : item) };
  });
  out[field] = ranked.sort((a, b) => a.rank - b.rank || Number(b.named) - Number(a.named) || a.i - b.i).map(({ item }) => item);
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
