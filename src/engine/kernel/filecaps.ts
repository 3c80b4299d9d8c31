/**
 * Capabilities of files: the bytes of security.capability (revision 2; 3 with the root of a user namespace), who they count for,
 * and what they give at execve. Source: capabilities(7), linux/capability.h, security/commoncap.c. Left out: securebits.
 */
import { CAPABILITIES, SysError } from './abi.ts';
import { idInside, idOutside } from './credentials.ts';
import type { Task, UserNamespace } from './records.ts';
import type { CapSets } from './sys.ts';
import type { Path } from './vfs/types.ts';

export const FILE_CAPS = 'security.capability';
const REVISION_2 = 0x02000000;
const REVISION_3 = 0x03000000;
const EFFECTIVE = 1;
const MS_NOSUID = 2;
const NONE: readonly string[] = [];

export interface FileCaps {
  permitted: readonly string[];
  inheritable: readonly string[];
  effective: boolean;
  /** The first namespace's id of the user who is root where they count. */
  root: number;
}

/** null for what are no such bytes. */
export function decodeFileCaps(value: Uint8Array): FileCaps | null {
  if (value.length < 20) return null;
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  const magic = view.getUint32(0, true);
  const revision = magic & 0xff000000;
  if (!(revision === REVISION_2 && value.length === 20) && !(revision === REVISION_3 && value.length === 24)) return null;
  const set = (at: number): string[] => CAPABILITIES.filter((_, bit) => (view.getUint32(at + (bit >= 32 ? 8 : 0), true) >>> (bit & 31)) & 1);
  return { permitted: set(4), inheritable: set(8), effective: (magic & EFFECTIVE) !== 0, root: revision === REVISION_3 ? view.getUint32(20, true) : 0 };
}

/** `value` with another root: revision 2 for that of the first namespace. */
function withRoot(value: Uint8Array, root: number): Uint8Array {
  const out = new Uint8Array(root === 0 ? 20 : 24);
  out.set(value.subarray(0, 20));
  const view = new DataView(out.buffer);
  view.setUint32(0, ((root === 0 ? REVISION_2 : REVISION_3) | (out[0]! & EFFECTIVE)) >>> 0, true);
  if (root !== 0) view.setUint32(20, root, true);
  return out;
}

/** What a task that sets them leaves on the file: its namespace's root goes with them. Throws EINVAL, EPERM. */
export function storedFileCaps(task: Task, value: Uint8Array): Uint8Array {
  const caps = decodeFileCaps(value);
  if (!caps) throw new SysError('EINVAL');
  const root = idOutside(task.ns.user, caps.root, 'uidMap');
  if (root === null) throw new SysError('EPERM');
  return withRoot(value, root);
}

/** What a task reads. Throws EOVERFLOW when their root has no id in its namespace. */
export function shownFileCaps(task: Task, value: Uint8Array): Uint8Array {
  const caps = decodeFileCaps(value);
  if (!caps || !task.ns.user.parent) return value;
  const root = idInside(task.ns.user, caps.root, 'uidMap');
  if (root !== null) return withRoot(value, root);
  if (countsIn(task.ns.user, caps.root)) return withRoot(value, 0);
  throw new SysError('EOVERFLOW');
}

/** Is this user the root of the namespace or of one above it? */
function countsIn(ns: UserNamespace, root: number): boolean {
  for (let at: UserNamespace | null = ns; at; at = at.parent) if (idInside(at, root, 'uidMap') === 0) return true;
  return false;
}

/** Those of a program for the task that is to become it; null: none that count. */
export function capsOfProgram(task: Task, path: Path): FileCaps | null {
  const value = path.dentry.inode.xattrs?.get(FILE_CAPS);
  if (!value || typeof value === 'string' || path.mount.flags & MS_NOSUID) return null;
  const caps = decodeFileCaps(value);
  return caps && countsIn(task.ns.user, caps.root) ? caps : null;
}

/** Of the file's: what the bounding set lets through and both sides inherit. Throws EPERM: it would begin with fewer than it needs. */
export function gainedFrom(file: FileCaps, caps: CapSets): readonly string[] {
  const gained = CAPABILITIES.filter((cap) => (file.permitted.includes(cap) && caps.bounding.includes(cap)) || (file.inheritable.includes(cap) && caps.inheritable.includes(cap)));
  if (file.effective && file.permitted.some((cap) => !gained.includes(cap))) throw new SysError('EPERM', `the bounding set keeps it from ${file.permitted.filter((cap) => !gained.includes(cap)).map((cap) => `CAP_${cap.toUpperCase()}`).join(', ')}`);
  return gained;
}

/**
 * Sets after execve: of the file, of root as if every file had all, and the ambient ones where nothing else gives any. `before` is
 * whom it was; under no_new_privs nothing is gained.
 */
export function capsAfterExec(task: Task, file: FileCaps | null, before: { euid: number; egid: number; caps: CapSets }): CapSets {
  const { caps, uid, euid, egid, noNewPrivs } = task.cred;
  const { user } = task.ns;
  const asRoot = idInside(user, euid, 'uidMap') === 0;
  const rootReal = idInside(user, uid, 'uidMap') === 0;
  let permitted = file ? gainedFrom(file, caps) : NONE;
  let effective = file?.effective ?? false;
  if ((asRoot || rootReal) && !(file && asRoot && !rootReal)) {
    permitted = caps.bounding === CAPABILITIES ? CAPABILITIES : CAPABILITIES.filter((cap) => caps.bounding.includes(cap) || caps.inheritable.includes(cap));
    effective ||= asRoot;
  }
  if (noNewPrivs && permitted !== before.caps.permitted && permitted.some((cap) => !before.caps.permitted.includes(cap))) permitted = permitted.filter((cap) => before.caps.permitted.includes(cap));
  const ambient = file || euid !== before.euid || egid !== before.egid ? NONE : caps.ambient;
  permitted = ambient.length === 0 ? permitted : CAPABILITIES.filter((cap) => permitted.includes(cap) || ambient.includes(cap));
  return { ...caps, permitted, effective: effective ? permitted : ambient, ambient };
}
