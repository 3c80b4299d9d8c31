/**
 * Peer groups of mounts: those that share what is mounted below them, and the slaves that hear of it. A group whose last member
 * leaves hands its slaves to the group that the member heard of itself. Source: kernel doc sharedsubtree, fs/pnode.c.
 */
import type { Kernel } from '../records.ts';
import type { Mount } from './types.ts';

export interface PeerGroup {
  members: Set<Mount>;
  slaves: Set<Mount>;
}

/** Makes a mount a member of one group and a slave of another; 0 none. */
export function setPeers(kernel: Kernel, mount: Mount, shared: number, master: number): void {
  if (mount.shared === shared && mount.master === master) return;
  const before = { shared: mount.shared, master: mount.master };
  leave(kernel, mount);
  mount.shared = shared;
  mount.master = master;
  enrol(kernel, mount);
  if (before.shared !== shared) bequeath(kernel, before.shared, before.master);
}

/** A mount that was made with its groups in it; or that should have been, a while ago. */
export function enrol(kernel: Kernel, mount: Mount, joined = kernel.mounts.nextJoined++): void {
  mount.joined = joined;
  if (mount.shared !== 0) groupOf(kernel, mount.shared).members.add(mount);
  if (mount.master !== 0) groupOf(kernel, mount.master).slaves.add(mount);
}

function groupOf({ mounts: { groups } }: Kernel, id: number): PeerGroup {
  let group = groups.get(id);
  if (!group) groups.set(id, (group = { members: new Set(), slaves: new Set() }));
  return group;
}

function leave({ mounts: { groups } }: Kernel, mount: Mount): void {
  for (const id of [mount.shared, mount.master]) {
    const group = groups.get(id);
    if (!group) continue;
    if (id === mount.shared) group.members.delete(mount);
    if (id === mount.master) group.slaves.delete(mount);
    if (group.members.size + group.slaves.size === 0) groups.delete(id);
  }
}

/** The slaves of a group without members hear of its own master from now on, or of nobody. */
function bequeath(kernel: Kernel, id: number, master: number): void {
  const group = kernel.mounts.groups.get(id);
  if (!group || group.members.size > 0) return;
  for (const slave of newestFirst(group.slaves).reverse()) setPeers(kernel, slave, slave.shared, master === id ? 0 : master);
}

/** These hang nowhere any more. */
export function disband(kernel: Kernel, mounts: readonly Mount[]): void {
  for (const mount of mounts) setPeers(kernel, mount, 0, 0);
}

/** A slave hears of its peers once it leaves them; one that had none, of its own master only. */
export function enslave(kernel: Kernel, mount: Mount): void {
  const peers = (kernel.mounts.groups.get(mount.shared)?.members.size ?? 0) > 1;
  setPeers(kernel, mount, 0, peers ? mount.shared : mount.master);
}

const newestFirst = (mounts: Iterable<Mount>): Mount[] => [...mounts].sort((a, b) => b.joined - a.joined);

/** The other members of a group, the newest first. */
export function peersOf(kernel: Kernel, mount: Mount): Mount[] {
  const members = kernel.mounts.groups.get(mount.shared)?.members;
  return members ? newestFirst(members).filter((one) => one !== mount) : [];
}

/** Who hears of a group, the newest first: each lone slave, and each group of slaves as one list. */
export function slavesOf(kernel: Kernel, id: number): Mount[][] {
  const out: Mount[][] = [];
  const seen = new Set<number>();
  for (const slave of newestFirst(kernel.mounts.groups.get(id)?.slaves ?? [])) {
    if (slave.shared === 0) out.push([slave]);
    else if (!seen.has(slave.shared)) {
      seen.add(slave.shared);
      out.push([slave, ...peersOf(kernel, slave)]);
    }
  }
  return out;
}

/** All that hear of what happens below a mount, directly or through others. */
export function receiversOf(kernel: Kernel, mount: Mount): Mount[] {
  const out = peersOf(kernel, mount);
  const below = (id: number): void => {
    for (const list of slavesOf(kernel, id)) {
      out.push(...list);
      if (list[0]!.shared !== 0) below(list[0]!.shared);
    }
  };
  if (mount.shared !== 0) below(mount.shared);
  return out;
}
