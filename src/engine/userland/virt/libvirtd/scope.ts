/**
 * The control groups of a domain: machine.slice/machine-qemu\x2dID\x2dNAME.scope/libvirt, as systemd-machined names them.
 * Everything that QEMU touches is charged there, so a limit on it limits the guest. Source: libvirt cgroups.html.
 */
import { AT_FDCWD, AT_REMOVEDIR } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { attempt, mkdirAll, poke } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';

const ROOT = '/sys/fs/cgroup';
const SLICE = `${ROOT}/machine.slice`;
const CONTROLLERS = '+cpuset +cpu +io +memory +pids';

/** systemd's escaping of a unit name's parts. */
const unitEscape = (text: string): string =>
  [...text].map((c) => (/[a-zA-Z0-9:_.]/.test(c) ? c : `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`)).join('');

export const scopeOf = (id: number, name: string): string => `${SLICE}/machine-qemu\\x2d${id}\\x2d${unitEscape(name)}.scope`;

/** Makes the groups; the directory whose cgroup.procs QEMU joins, or null on a machine without cgroups there. */
export function* makeScope(id: number, name: string): Call<string | null> {
  const scope = scopeOf(id, name);
  yield* attempt(poke(`${ROOT}/cgroup.subtree_control`, CONTROLLERS), undefined);
  yield* attempt(mkdirAll(SLICE), undefined);
  yield* attempt(poke(`${SLICE}/cgroup.subtree_control`, CONTROLLERS), undefined);
  yield* attempt(mkdirAll(scope), undefined);
  yield* attempt(poke(`${scope}/cgroup.subtree_control`, CONTROLLERS), undefined);
  const made = yield* attempt(sys('mkdirat', AT_FDCWD, `${scope}/libvirt`, 0o755), -1);
  return made === 0 ? `${scope}/libvirt` : null;
}

export function* removeScope(id: number, name: string): Call<void> {
  const scope = scopeOf(id, name);
  for (const dir of [`${scope}/libvirt`, scope]) yield* attempt(sys('unlinkat', AT_FDCWD, dir, AT_REMOVEDIR), 0);
}
