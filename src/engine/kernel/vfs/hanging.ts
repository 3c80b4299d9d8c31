/**
 * Which mount hangs at a place: every name keeps the mounts that hang at it, of all namespaces, so that a step of a path walk to a
 * name where nothing does asks nothing. They are few: what hangs at one name in many namespaces is unmounted there again.
 */
import type { Kernel } from '../records.ts';
import type { Dentry, Mount, MountNamespace, SuperBlock } from './types.ts';

/** A mount that hangs nowhere yet: it is its own parent. */
export function makeMount(id: number, ns: MountNamespace, sb: SuperBlock, root: Dentry, source: string, flags = 0): Mount {
  const mount: Mount = {
    id, parent: null as unknown as Mount, at: root, sb, root, flags, shared: 0, master: 0, joined: 0, unbindable: false, locks: null, source, ns, hung: false, children: [],
  };
  mount.parent = mount;
  return mount;
}

/** A mount in no namespace that anybody is in: what has no name of its own is reached through it. */
export function mountApart(sb: SuperBlock, root: Dentry): Mount {
  const ns: MountNamespace = { ino: 0, mounts: [], root: null as unknown as Mount, late: null };
  ns.root = makeMount(0, ns, sb, root, sb.type);
  return ns.root;
}

/** In the order of hanging up: the last of those with the same parent is on top. */
function add(mount: Mount): void {
  const { at } = mount;
  if (at.hung) at.hung.push(mount);
  else at.hung = [mount];
  if (mount.parent !== mount) mount.parent.children.push(mount);
}

function remove(mount: Mount): void {
  leaveName(mount);
  const { children } = mount.parent;
  const i = children.indexOf(mount);
  if (i >= 0) children.splice(i, 1);
}

function leaveName(mount: Mount): void {
  const here = mount.at.hung;
  const i = here?.indexOf(mount) ?? -1;
  if (i < 0) return;
  if (here!.length === 1) mount.at.hung = null;
  else here!.splice(i, 1);
}

/** The topmost mount at a name of a mount, or null. */
export function hangingAt(parent: Mount, at: Dentry): Mount | null {
  parent.ns.late?.childAt(parent, at);
  const here = at.hung;
  if (!here) return null;
  for (let i = here.length - 1; i >= 0; i--) {
    const one = here[i]!;
    if (one.parent === parent && one !== parent) return one;
  }
  return null;
}

/** One more in its namespace; one of a namespace's file holds that namespace. */
export function hang(kernel: Kernel, mount: Mount): void {
  mount.ns.mounts.push(mount);
  mount.hung = true;
  mount.sb.mounts = (mount.sb.mounts ?? 0) + 1;
  add(mount);
  if (mount.sb.type === 'nsfs') kernel.spaces.mounted.add(mount);
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
  }
  for (const mount of mounts) {
    if (mount.parent.hung) remove(mount);
    else leaveName(mount);
    mount.children = [];
  }
  for (const ns of new Set(mounts.map((mount) => mount.ns))) ns.mounts = ns.mounts.filter((mount) => mount.hung);
}

/** Is a name a directory, or below it? */
export function within(name: Dentry, dir: Dentry): boolean {
  for (let at = name; ; at = at.parent) {
    if (at === dir) return true;
    if (at.parent === at) return false;
  }
}

/** A mount and those below it, parents first. */
export function treeOf(top: Mount): Mount[] {
  const out: Mount[] = [];
  const walk = (at: Mount): void => {
    out.push(at);
    for (const one of at.children) walk(one);
  };
  walk(top);
  return out;
}
