/**
 * Pods of one template are alike but for names and states: equal parts of their specs, labels and owners are kept once. Pods that no
 * controller made have a volume name of their own, and so containers of their own: of these the fields are shared.
 * Objects in the store are never changed in place, so nobody can tell.
 */
import type { Pod } from './types/objects.ts';

export interface Sharing {
  /** By their JSON. */
  values: Map<string, object>;
  texts: Map<string, string>;
  /** Those of `values`: they are not looked up again. */
  known: WeakSet<object>;
}

/** Distinct values kept at most; then it starts anew, and sharing is worse for a while. */
const KEPT = 20_000;

export function createSharing(): Sharing {
  return { values: new Map(), texts: new Map(), known: new WeakSet() };
}

type Fields = Record<string, unknown>;

/** Puts the one copy in the place of each part of a fresh pod. */
export function share(sharing: Sharing, pod: Pod): void {
  const owned = pod.metadata.ownerReferences?.some((r) => r.controller) ?? false;
  const spec = pod.spec as unknown as Fields;
  for (const field in spec) {
    if (!owned && OWN.has(field) && Array.isArray(spec[field])) for (const part of spec[field]) shareFields(sharing, part);
    else shareField(sharing, spec, field);
  }
  shareFields(sharing, pod.metadata as unknown as Fields);
}

/** What holds the name of the volume with the token. */
const OWN = new Set(['containers', 'initContainers', 'volumes', 'volumeMounts']);
/** Texts that are each pod's own. */
const SINGULAR = new Set(['name', 'uid']);

function shareFields(sharing: Sharing, object: Fields | null | undefined): void {
  for (const field in object) if (!OWN.has(field)) shareField(sharing, object, field);
}

function shareField(sharing: Sharing, object: Fields, field: string): void {
  const value = object[field];
  if (typeof value === 'string') {
    if (!SINGULAR.has(field)) object[field] = text(sharing, value);
  } else if (value !== null && typeof value === 'object') object[field] = one(sharing, value);
}

function text({ texts }: Sharing, value: string): string {
  const known = texts.get(value);
  if (known !== undefined) return known;
  if (texts.size >= KEPT) texts.clear();
  texts.set(value, value);
  return value;
}

function one({ values, known }: Sharing, value: object): object {
  if (known.has(value)) return value;
  const json = JSON.stringify(value);
  const first = values.get(json);
  if (first) return first;
  if (values.size >= KEPT) values.clear();
  values.set(json, value);
  known.add(value);
  return value;
}
