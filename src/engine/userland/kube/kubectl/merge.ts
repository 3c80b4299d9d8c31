/**
 * `kubectl apply`'s three-way merge: from what was applied last, what is wanted now and what there is, the patch that deletes
 * what was taken out of the manifest, sets what differs and leaves alone what others set. Lists of named things merge by key.
 */
import { copy, isObject, type Json, same } from '../../../cluster/types/objects.ts';
import { toJson } from './yaml.ts';

export const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

const KEYS: Record<string, readonly string[]> = {
  containers: ['name'], initContainers: ['name'], env: ['name'], volumes: ['name'], volumeMounts: ['mountPath'], ports: ['containerPort', 'port'],
  imagePullSecrets: ['name'], taints: ['key'], ownerReferences: ['uid'], hostAliases: ['ip'], topologySpreadConstraints: ['topologyKey'],
};

/** The manifest with the annotation that holds itself. */
export function annotated(object: Json): Json {
  const bare = copy(object);
  bare.metadata ??= {};
  const annotations = { ...bare.metadata.annotations };
  delete annotations[LAST_APPLIED];
  bare.metadata.annotations = annotations;
  const out = copy(bare);
  out.metadata.annotations[LAST_APPLIED] = `${toJson(bare, 0)}\n`;
  return out;
}

export function lastApplied(live: Json): Json | null {
  const text = live?.metadata?.annotations?.[LAST_APPLIED];
  if (typeof text !== 'string') return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The patch; empty when there is nothing to do. */
export function threeWay(original: Json, wanted: Json, live: Json): Json {
  const patch: Json = {};
  for (const [key, value] of Object.entries(wanted as Record<string, Json>)) {
    if (value === null || value === undefined) continue;
    const there = live?.[key];
    if (isObject(value) && isObject(there)) {
      const inner = threeWay(isObject(original?.[key]) ? original[key] : {}, value, there);
      if (Object.keys(inner).length > 0) patch[key] = inner;
    } else if (Array.isArray(value) && Array.isArray(there)) {
      const list = lists(key, original?.[key], value, there);
      if (list) patch[key] = list;
    } else if (!same(value, there)) {
      if (isObject(value) && Object.keys(value).length === 0 && there === undefined) continue;
      patch[key] = copy(value);
    }
  }
  for (const key of Object.keys(original ?? {})) {
    if (!Object.hasOwn(wanted, key) && live?.[key] !== undefined) patch[key] = null;
  }
  return patch;
}

function lists(field: string, original: Json, wanted: Json[], live: Json[]): Json[] | null {
  const key = KEYS[field]?.find((k) => wanted.every((x) => isObject(x) && x[k] !== undefined));
  if (!key) return same(wanted, live) ? null : copy(wanted);
  const before: Json[] = Array.isArray(original) ? original : [];
  const out: Json[] = [];
  for (const one of wanted) {
    const there = live.find((x) => x?.[key] === one[key]);
    if (!there) out.push(copy(one));
    else {
      const inner = threeWay(before.find((x) => x?.[key] === one[key]) ?? {}, one, there);
      if (Object.keys(inner).length > 0) out.push({ [key]: one[key], ...inner });
    }
  }
  for (const one of before) {
    if (!wanted.some((x) => x[key] === one?.[key]) && live.some((x) => x?.[key] === one?.[key])) out.push({ $patch: 'delete', [key]: one[key] });
  }
  return out.length > 0 ? out : null;
}
