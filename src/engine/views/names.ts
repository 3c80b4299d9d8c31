/** Names that several views share: a cgroup's path, the container a cgroup belongs to. */
import type { Cgroup } from '../kernel/records.ts';

export function pathOf(cgroup: Cgroup): string {
  let path = '';
  for (let at: Cgroup = cgroup; at.parent; at = at.parent) path = `/${at.name}${path}`;
  return path === '' ? '/' : path;
}

/** The first 12 digits of the container's id that a cgroup path names, or empty. */
export function containerOf(path: string): string {
  return /(?:docker|cri-containerd)-([0-9a-f]{12})[0-9a-f]*\.scope/.exec(path)?.[1] ?? '';
}
