/**
 * Which mount hangs at a place: every name keeps the mounts that hang at it, of all namespaces, so that a step of a path walk to a
 * name where nothing does asks nothing. They are few: what hangs at one name in many namespaces is unmounted there again.
 */
import type { Dentry, Mount } from './types.ts';

/** In the order of hanging up: the last of those with the same parent is on top. */
function add(mount: Mount): void {
  const { at } = mount;
  if (at.hung) at.hung.push(mount);
  else at.hung = [mount];
}

function remove(mount: Mount): void {
  const here = mount.at.hung;
  const i = here?.indexOf(mount) ?? -1;
  if (i < 0) return;
  if (here!.length === 1) mount.at.hung = null;
  else here!.splice(i, 1);
}

/** The topmost mount at a name of a mount, or null. */
export function hangingAt(parent: Mount, at: Dentry): Mount | null {
  const here = at.hung;
  if (!here) return null;
  for (let i = here.length - 1; i >= 0; i--) {
    const one = here[i]!;
    if (one.parent === parent && one !== parent) return one;
  }
  return null;
}

/** One more in its namespace. */
export function hang(mount: Mount): void {
  mount.ns.mounts.push(mount);
  mount.hung = true;
  mount.sb.mounts = (mount.sb.mounts ?? 0) + 1;
  add(mount);
}

/** One hangs elsewhere from now on. */
export function rehang(mount: Mount, parent: Mount, at: Dentry): void {
  remove(mount);
  mount.parent = parent;
  mount.at = at;
  add(mount);
}

/** Several hang no more; each is taken out of its own namespace. */
export function takeDown(mounts: readonly Mount[]): void {
  for (const mount of mounts) {
    if (mount.hung) mount.sb.mounts!--;
    mount.hung = false;
    remove(mount);
  }
  for (const ns of new Set(mounts.map((mount) => mount.ns))) ns.mounts = ns.mounts.filter((mount) => mount.hung);
}
