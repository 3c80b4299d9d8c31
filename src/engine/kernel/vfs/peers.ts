/** Peer groups of mounts: those that share what is mounted below them, and the slaves that hear of it. Source: kernel doc sharedsubtree. */
import type { Kernel } from '../records.ts';
import type { Mount } from './types.ts';

/** Makes a mount a member of one group and a slave of another; 0 none. */
export function setPeers(kernel: Kernel, mount: Mount, shared: number, master: number): void {
  const { shared: oldShared, master: oldMaster } = mount;
  if (oldShared === shared && oldMaster === master) return;
  mount.shared = shared;
  mount.master = master;
  // a peer that becomes a slave of its own group stays one of those that hear of it
  for (const group of oldShared === oldMaster ? [oldShared] : [oldShared, oldMaster]) if (group !== 0 && group !== shared && group !== master) remove(kernel, group, mount);
  enrol(kernel, mount);
}

/** A mount that was made with its groups in it. */
export function enrol(kernel: Kernel, mount: Mount): void {
  if (mount.shared !== 0) add(kernel, mount.shared, mount);
  if (mount.master !== 0) add(kernel, mount.master, mount);
}

function add({ mounts: { groups } }: Kernel, group: number, mount: Mount): void {
  const members = groups.get(group);
  if (members) members.add(mount);
  else groups.set(group, new Set([mount]));
}

function remove({ mounts: { groups } }: Kernel, group: number, mount: Mount): void {
  const members = groups.get(group);
  if (members?.delete(mount) && members.size === 0) groups.delete(group);
}

function leave(kernel: Kernel, mount: Mount): void {
  if (mount.shared !== 0) remove(kernel, mount.shared, mount);
  if (mount.master !== 0) remove(kernel, mount.master, mount);
}

/** These hang nowhere any more. */
export function disband(kernel: Kernel, mounts: readonly Mount[]): void {
  for (const mount of mounts) leave(kernel, mount);
}

/** The peers and slaves of a shared mount, itself not among them, oldest first. */
export function peersOf(kernel: Kernel, mount: Mount): Mount[] {
  const members = kernel.mounts.groups.get(mount.shared);
  return members ? [...members].filter((one) => one !== mount).sort((a, b) => a.id - b.id) : [];
}
