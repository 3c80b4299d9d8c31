/**
 * Users, groups and capabilities. Ids in a `Cred` and on inodes are the first user namespace's; a program sees them
 * through its namespace's maps, what is not mapped as 65534. A capability counts in the task's own user namespace and those
 * below it; whoever made a namespace has all of them in it. Source: credentials(7), capabilities(7), user_namespaces(7).
 * Left out: securebits, keyrings. Those of files: filecaps.ts.
 */
import { SysError } from './abi.ts';
import { CAPABILITIES } from './abi.ts';
import type { Cred, IdMap, Task, UserNamespace } from './records.ts';
import type { CapSets } from './sys.ts';

export const OVERFLOW_ID = 65534;

const NONE: readonly string[] = [];

/** Root of the first user namespace. */
export function rootCred(): Cred {
  return {
    uid: 0, euid: 0, suid: 0, gid: 0, egid: 0, sgid: 0, groups: [], noNewPrivs: false,
    caps: { effective: CAPABILITIES, permitted: CAPABILITIES, inheritable: NONE, bounding: CAPABILITIES, ambient: NONE },
  };
}

/** Everything in a user namespace that the task has just made or joined. */
export function fullCaps(): CapSets {
  return { effective: CAPABILITIES, permitted: CAPABILITIES, inheritable: NONE, bounding: CAPABILITIES, ambient: NONE };
}

function through(map: readonly IdMap[] | null, id: number, from: 'inside' | 'outside', to: 'inside' | 'outside'): number | null {
  for (const one of map ?? []) if (id >= one[from] && id < one[from] + one.count) return one[to] + (id - one[from]);
  return null;
}

type Which = 'uidMap' | 'gidMap';

/** An id as a namespace shows it; null when it is not mapped there. */
export function idInside(ns: UserNamespace, id: number, which: Which): number | null {
  if (!ns.parent) return id;
  const above = idInside(ns.parent, id, which);
  return above === null ? null : through(ns[which], above, 'outside', 'inside');
}

/** The first namespace's id of one that a namespace names; null when that is not mapped. */
export function idOutside(ns: UserNamespace, id: number, which: Which): number | null {
  if (!ns.parent) return id;
  const above = through(ns[which], id, 'inside', 'outside');
  return above === null ? null : idOutside(ns.parent, above, which);
}

export function shownUid(task: Task, uid: number): number {
  return idInside(task.ns.user, uid, 'uidMap') ?? OVERFLOW_ID;
}

export function shownGid(task: Task, gid: number): number {
  return idInside(task.ns.user, gid, 'gidMap') ?? OVERFLOW_ID;
}

/** The id that a program names. Throws EINVAL when its namespace does not map it. */
export function namedId(task: Task, id: number, which: Which): number {
  const found = idOutside(task.ns.user, id, which);
  if (found === null) throw new SysError('EINVAL');
  return found;
}

/** Has the task this capability over things that a user namespace owns? */
export function nsCapable(task: Task, ns: UserNamespace, capability: string): boolean {
  for (let at: UserNamespace | null = ns; at; at = at.parent) {
    if (at === task.ns.user) return task.cred.caps.effective.includes(capability);
    if (at.parent === task.ns.user && at.owner === task.cred.euid) return true;
  }
  return false;
}

export function requireCapable(task: Task, ns: UserNamespace, capability: string): void {
  if (nsCapable(task, ns, capability)) return;
  throw new SysError('EPERM', `it needs CAP_${capability.toUpperCase()}${ns === task.ns.user ? '' : ` in user:[${ns.ino}], and is in user:[${task.ns.user.ino}]`}`);
}

/** Sets after a change of user ids: leaving root drops them, becoming root makes the permitted ones effective. */
export function capsAfterSetuid(task: Task, before: Cred): CapSets {
  const root = namedRoot(task.ns.user);
  const { caps } = task.cred;
  const was = before.uid === root || before.euid === root || before.suid === root;
  const is = task.cred.uid === root || task.cred.euid === root || task.cred.suid === root;
  if (was && !is) return { ...caps, permitted: before.keepCaps ? caps.permitted : NONE, effective: NONE, ambient: NONE };
  if (before.euid === root && task.cred.euid !== root) return { ...caps, effective: NONE };
  if (before.euid !== root && task.cred.euid === root) return { ...caps, effective: caps.permitted };
  return caps;
}

function namedRoot(ns: UserNamespace): number {
  return idOutside(ns, 0, 'uidMap') ?? -1;
}

/** May `from` send `to` a signal? */
export function maySignal(from: Task, to: Task): boolean {
  const { uid, euid } = from.cred;
  return uid === to.cred.uid || uid === to.cred.suid || euid === to.cred.uid || euid === to.cred.suid || nsCapable(from, to.ns.user, 'kill');
}
