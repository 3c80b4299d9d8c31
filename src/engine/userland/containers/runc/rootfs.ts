/**
 * The container's view of files, made from inside its new mount namespace: the mounts of the spec, device nodes, masked
 * and read-only paths, and pivot_root. Source: runc libcontainer/rootfs_linux.go, man 2 pivot_root.
 */
import {
  AT_FDCWD, MNT_DETACH, MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_RDONLY, MS_REC, MS_REMOUNT, MS_SHARED, MS_SLAVE, MS_UNBINDABLE, O_CLOEXEC,
  O_CREAT, O_DIRECTORY, O_PATH, O_RDONLY, O_WRONLY, S_IFBLK, S_IFCHR, SysError,
} from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import type { Call } from '../../lib/http.ts';
import { attempt, exists, isDir, mkdirAll, statOf } from '../../lib/files.ts';
import type { Spec, SpecMount } from './spec.ts';

/** What went wrong while building the container, in runc's words. */
export class InitError extends Error {}

const FLAGS: Readonly<Record<string, number>> = {
  ro: MS_RDONLY, nosuid: MS_NOSUID, nodev: MS_NODEV, noexec: MS_NOEXEC, remount: MS_REMOUNT, bind: MS_BIND, rbind: MS_BIND | MS_REC, noatime: 1024, relatime: 1 << 21,
  strictatime: 1 << 24,
};
const CLEARED = new Set(['rw', 'suid', 'dev', 'exec', 'defaults', 'atime', 'newinstance']);
const PROPAGATION: Readonly<Record<string, number>> = {
  private: MS_PRIVATE, rprivate: MS_PRIVATE | MS_REC, shared: MS_SHARED, rshared: MS_SHARED | MS_REC, slave: MS_SLAVE, rslave: MS_SLAVE | MS_REC,
  unbindable: MS_UNBINDABLE, runbindable: MS_UNBINDABLE | MS_REC,
};

/** Flags, propagation changes and the remaining data of mount options. */
export function mountOptions(options: readonly string[]): { flags: number; propagation: number[]; data: string } {
  let flags = 0;
  const propagation: number[] = [];
  const data: string[] = [];
  for (const o of options) {
    if (FLAGS[o] !== undefined) flags |= FLAGS[o];
    else if (PROPAGATION[o] !== undefined) propagation.push(PROPAGATION[o]);
    else if (!CLEARED.has(o)) data.push(o);
  }
  return { flags, propagation, data: data.join(',') };
}

/** Mounts everything below `root`; afterwards nothing of the host's tree is needed but the binds' sources. */
export function* prepareRootfs(spec: Spec, root: string): Call<void> {
  const propagation = PROPAGATION[spec.linux.rootfsPropagation ?? 'rslave'] ?? MS_SLAVE | MS_REC;
  yield* sys('mount', '', '/', '', propagation, '');
  yield* parentPrivate(root);
  yield* sys('mount', root, root, 'bind', MS_BIND | MS_REC, '');
  for (const m of spec.mounts) {
    try {
      yield* mountOne(m, root);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      throw mountFault(m, error.message.toLowerCase());
    }
  }
  const dev = spec.mounts.find((m) => m.destination === '/dev');
  if (dev && dev.type !== 'bind') yield* makeDevices(spec, root);
}

/** What the root will hang from must not be shared: pivot_root refuses that, and its mounts would show outside. */
function* parentPrivate(root: string): Call<void> {
  for (let path = root; ; path = path.slice(0, path.lastIndexOf('/')) || '/') {
    if ((yield* attempt(sys('mount', '', path, '', MS_PRIVATE, ''), null)) === 0 || path === '/') return;
  }
}

function* mountOne(m: SpecMount, root: string): Call<void> {
  const { destination } = m;
  const to = root + (destination.startsWith('/') ? '' : '/') + destination.replace(/\/\.\.(?=\/|$)/g, '');
  const { flags, propagation, data } = mountOptions(m.options ?? []);
  if (flags & MS_BIND || m.type === 'bind') {
    const source = m.source ?? '';
    const stat = yield* statOf(source);
    if (!stat) throw mountFault(m, `create mount destination for ${destination} mount: bind mount source stat: stat ${source}: no such file or directory`);
    if (isDir(stat)) yield* mkdirAll(to);
    else yield* touchFile(to);
    yield* sys('mount', source, to, 'bind', MS_BIND | (flags & MS_REC || MS_REC), '');
    const rest = flags & ~(MS_BIND | MS_REC);
    if (rest) yield* sys('mount', '', to, '', rest | MS_BIND | MS_REMOUNT, '');
  } else {
    requireProcSafe(m, to, root);
    const before = yield* statOf(to);
    yield* mkdirAll(to);
    const type = m.type === 'cgroup' ? 'cgroup2' : (m.type ?? 'none');
    const mode = type === 'tmpfs' && before && !/(^|,)mode=/.test(data) ? `mode=0${(before.mode & 0o7777).toString(8)}` : '';
    const all = type === 'cgroup2' ? data.replace(/\b(private|nsdelegate)\b,?/g, '') : [mode, data].filter(Boolean).join(',');
    yield* mountAt(m.source ?? type, to, destination, type, flags, all);
  }
  for (const p of propagation) yield* attempt(sys('mount', '', to, '', p, ''), 0);
}

const mountFault = (m: SpecMount, text: string): InitError => new InitError(`error during container init: error mounting ${JSON.stringify(m.source ?? '')} to rootfs at ${JSON.stringify(m.destination)}: ${text}`);

/** The lowest descriptor that is free in runc's init: below it are its pipes, of which the lab has fewer. */
const FIRST_FREE = 6;

/** Through a descriptor of the place, so that no link of the image leads elsewhere; told with that descriptor. */
function* mountAt(source: string, to: string, destination: string, type: string, flags: number, data: string): Call<void> {
  const low = yield* sys('openat', AT_FDCWD, to, O_PATH | O_CLOEXEC);
  const fd = yield* sys('fcntl', low, 'dupfd_cloexec', FIRST_FREE);
  yield* sys('close', low);
  try {
    yield* sys('mount', source, to, type, flags, data);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new InitError(`error during container init: error mounting ${JSON.stringify(source)} to rootfs at ${JSON.stringify(destination)}: mount ${source}:${destination} (via /proc/self/fd/${fd})${data === '' ? '' : `, data: ${data}`}: ${error.message.toLowerCase()}`);
  } finally {
    yield* sys('close', fd);
  }
}

const IN_PROC = new Set('cpuinfo diskstats meminfo stat swaps uptime loadavg slabinfo net/dev sys/kernel/ns_last_pid sys/crypto/fips_enabled'.split(' '));

/** Nothing is mounted over parts of /proc but files that tell of load and machine. */
function requireProcSafe(m: SpecMount, to: string, root: string): void {
  const inner = to.startsWith(`${root}/proc/`) ? to.slice(root.length + 6).replace(/\/+$/, '') : null;
  const fault = (text: string): InitError => mountFault(m, `create mount destination for ${m.destination} mount: check proc-safety of ${m.destination} mount: ${JSON.stringify(to)} cannot be mounted because it is ${text}`);
  if (inner && !IN_PROC.has(inner)) throw fault('inside /proc');
  if (to.replace(/\/+$/, '') === `${root}/proc` && m.type !== 'proc') throw fault('not of type proc');
}

function* touchFile(path: string): Call<void> {
  yield* mkdirAll(path.slice(0, path.lastIndexOf('/')));
  if (yield* exists(path)) return;
  yield* sys('close', yield* sys('openat', AT_FDCWD, path, O_WRONLY | O_CREAT, 0o755));
}

const DEVICES: readonly [string, number, number][] = [['null', 1, 3], ['random', 1, 8], ['full', 1, 7], ['tty', 5, 0], ['zero', 1, 5], ['urandom', 1, 9]];
const DEVICE_LINKS: readonly [string, string][] = [['fd', '/proc/self/fd'], ['stdin', '/proc/self/fd/0'], ['stdout', '/proc/self/fd/1'], ['stderr', '/proc/self/fd/2'], ['core', '/proc/kcore'], ['ptmx', 'pts/ptmx']];

function* makeDevices(spec: Spec, root: string): Call<void> {
  for (const [name, major, minor] of DEVICES) yield* makeDevice(root, `/dev/${name}`, 0o666, major, minor);
  for (const d of spec.linux.devices ?? []) yield* makeDevice(root, d.path.startsWith('/') ? d.path : `/${d.path}`, d.fileMode ?? 0o666, d.major, d.minor, d);
  for (const [name, target] of DEVICE_LINKS) yield* attempt(sys('symlinkat', target, AT_FDCWD, `${root}/dev/${name}`), 0, 'EEXIST');
}

/** A node; in a user namespace, where none can be made, the host's is bound in its place. */
function* makeDevice(root: string, path: string, mode: number, major: number, minor: number, of: { type?: string; uid?: number; gid?: number } = {}): Call<void> {
  try {
    yield* attempt(sys('mknodat', AT_FDCWD, root + path, (of.type === 'b' ? S_IFBLK : S_IFCHR) | mode, major, minor), 0, 'EEXIST');
    yield* attempt(sys('fchmodat', AT_FDCWD, root + path, mode), 0);
    if (of.uid || of.gid) yield* attempt(sys('fchownat', AT_FDCWD, root + path, of.uid ?? 0, of.gid ?? 0, 0), 0);
  } catch (error) {
    if (!(error instanceof SysError) || error.errno !== 'EPERM') throw error;
    yield* touchFile(root + path);
    yield* sys('mount', path, root + path, 'bind', MS_BIND, '');
  }
}

/** Makes `root` the root directory and lets go of the old one. */
export function* pivotRoot(root: string): Call<void> {
  const old = yield* sys('openat', AT_FDCWD, '/', O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  yield* sys('chdir', root);
  yield* sys('pivot_root', '.', '.');
  yield* sys('fchdir', old);
  yield* sys('mount', '', '.', '', MS_SLAVE | MS_REC, '');
  yield* sys('umount2', '.', MNT_DETACH);
  yield* sys('close', old);
  yield* sys('chdir', '/');
}

/** Read-only and hidden parts, last, when everything else is in place. */
export function* finishRootfs(spec: Spec): Call<void> {
  for (const path of spec.linux.readonlyPaths ?? []) {
    if (!(yield* exists(path))) continue;
    yield* sys('mount', path, path, 'bind', MS_BIND | MS_REC, '');
    yield* sys('mount', '', path, '', MS_BIND | MS_REMOUNT | MS_RDONLY | (yield* inherited(path, spec)), '');
  }
  for (const path of spec.linux.maskedPaths ?? []) {
    const stat = yield* statOf(path);
    if (!stat) continue;
    if (isDir(stat)) yield* sys('mount', 'tmpfs', path, 'tmpfs', MS_RDONLY, '');
    else yield* sys('mount', '/dev/null', path, 'bind', MS_BIND, '');
  }
  if (spec.root.readonly) yield* sys('mount', '', '/', '', MS_BIND | MS_REMOUNT | MS_RDONLY, '');
}

/** A remount must repeat the flags that the mount has. */
function* inherited(path: string, spec: Spec): Call<number> {
  const over = spec.mounts.filter((m) => path === m.destination || path.startsWith(`${m.destination}/`)).sort((a, b) => b.destination.length - a.destination.length)[0];
  return mountOptions(over?.options ?? []).flags & (MS_NOSUID | MS_NODEV | MS_NOEXEC);
}
