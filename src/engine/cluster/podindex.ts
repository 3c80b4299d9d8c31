/** Which pods a node has and which pods bear a label, without walking all pods. */
import type { Pod } from './types/objects.ts';

/** Keys by term. */
export type PodIndex = Map<string, Set<string>>;

export const nodeTerm = (node: string): string => `node ${node}`;
export const labelTerm = (namespace: string, key: string, value: string): string => `${namespace} ${key}=${value}`;

/** Follows one write: `old` is what the pod was, `now` what it is; one of them may be missing. */
export function indexPod(index: PodIndex, key: string, old: Pod | undefined, now: Pod | undefined): void {
  if (old?.spec.nodeName !== now?.spec.nodeName) {
    if (old?.spec.nodeName) take(index, nodeTerm(old.spec.nodeName), key);
    if (now?.spec.nodeName) add(index, nodeTerm(now.spec.nodeName), key);
  }
  const before = old?.metadata.labels;
  const after = now?.metadata.labels;
  if (before === after) return;
  const namespace = (now ?? old)!.metadata.namespace!;
  for (const name in before) if (after?.[name] !== before[name]) take(index, labelTerm(namespace, name, before[name]!), key);
  for (const name in after) if (before?.[name] !== after[name]) add(index, labelTerm(namespace, name, after[name]!), key);
}

function add(index: PodIndex, term: string, key: string): void {
  const keys = index.get(term);
  if (keys) keys.add(key);
  else index.set(term, new Set([key]));
}

function take(index: PodIndex, term: string, key: string): void {
  const keys = index.get(term);
  if (keys?.delete(key) && keys.size === 0) index.delete(term);
}
