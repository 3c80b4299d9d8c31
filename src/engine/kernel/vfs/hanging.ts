/**
 * Which mount hangs at a place: each mount namespace keeps its mounts by the name they hang at, so that a step of a path walk asks
 * once however many there are. The list is built when first asked and kept by those who hang mounts up and take them down.
 */
import type { Dentry, Mount, MountNamespace } from './types.ts';

/** In the order of `ns.mounts`: the last of those with the same parent is on top. */
const placesOf = (ns: MountNamespace): Map<Dentry, Mount[]> => (ns.places ??= built(ns));

function built(ns: MountNamespace): Map<Dentry, Mount[]> {
  const places = new Map<Dentry, Mount[]>();
  for (const mount of ns.mounts) add(places, mount);
  return places;
}

function add(places: Map<Dentry, Mount[]>, mount: Mount): void {
  const here = places.get(mount.at);
  if (here) here.push(mount);
  else places.set(mount.at, [mount]);
}

function remove(places: Map<Dentry, Mount[]>, mount: Mount): void {
  const here = places.get(mount.at);
  if (!here) return;
  const rest = here.filter((one) => one !== mount);
  if (rest.length === 0) places.delete(mount.at);
  else places.set(mount.at, rest);
}

/** The topmost mount at a name of a mount, or null. */
export function hangingAt(parent: Mount, at: Dentry): Mount | null {
  const here = placesOf(parent.ns).get(at);
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
  if (mount.ns.places) add(mount.ns.places, mount);
}

/** One hangs elsewhere from now on. */
export function rehang(mount: Mount, parent: Mount, at: Dentry): void {
  if (mount.ns.places) remove(mount.ns.places, mount);
  mount.parent = parent;
  mount.at = at;
  if (mount.ns.places) add(mount.ns.places, mount);
}

/** Several hang no more; each is taken out of its own namespace. */
export function takeDown(mounts: readonly Mount[]): void {
  const gone = new Set(mounts);
  for (const ns of new Set(mounts.map((mount) => mount.ns))) ns.mounts = ns.mounts.filter((mount) => !gone.has(mount));
  for (const mount of gone) if (mount.ns.places) remove(mount.ns.places, mount);
}

/** Whether it hangs somewhere still. */
export function isHung(mount: Mount): boolean {
  return placesOf(mount.ns).get(mount.at)?.includes(mount) ?? false;
}
