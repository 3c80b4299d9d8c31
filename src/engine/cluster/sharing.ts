/**
 * Pods of one template are alike but for names and states: equal parts of their specs, labels and owners are kept once.
 * Objects in the store are never changed in place, so nobody can tell.
 */
import type { Pod } from './types/objects.ts';

export type Sharing = Map<string, object>;

/** Distinct values kept at most; then it starts anew, and sharing is worse for a while. */
const KEPT = 20_000;

export function createSharing(): Sharing {
  return new Map();
}

/** Puts the one copy in the place of each part of a fresh pod. */
export function share(sharing: Sharing, pod: Pod): void {
  shareFields(sharing, pod.spec as unknown as Record<string, unknown>);
  shareFields(sharing, pod.metadata as unknown as Record<string, unknown>);
}

function shareFields(sharing: Sharing, object: Record<string, unknown> | undefined): void {
  for (const field in object) {
    const value = object[field];
    if (value !== null && typeof value === 'object') object[field] = one(sharing, value);
  }
}

function one(sharing: Sharing, value: object): object {
  const text = JSON.stringify(value);
  const known = sharing.get(text);
  if (known) return known;
  if (sharing.size >= KEPT) sharing.clear();
  sharing.set(text, value);
  return value;
}
