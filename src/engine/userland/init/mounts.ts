/** What pid 1 mounts before anything else, the machine's name, and its network links up. Source: systemd's mount-setup, file-hierarchy(7). */
import { AT_FDCWD, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_REC, MS_SHARED, MS_STRICTATIME, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { attempt, exists, list, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';

const SAFE = MS_NOSUID | MS_NODEV | MS_NOEXEC;

/** Source, target, type, flags, options. */
const MOUNTS: readonly (readonly [string, string, string, number, string])[] = [
  ['sysfs', '/sys', 'sysfs', SAFE, ''],
  ['proc', '/proc', 'proc', SAFE, ''],
  ['tmpfs', '/run', 'tmpfs', SAFE, 'size=10%,mode=755'],
  ['cgroup2', '/sys/fs/cgroup', 'cgroup2', SAFE, 'nsdelegate,memory_recursiveprot'],
  ['devpts', '/dev/pts', 'devpts', MS_NOSUID | MS_NOEXEC, 'gid=5,mode=620,ptmxmode=000'],
  ['tmpfs', '/dev/shm', 'tmpfs', MS_NOSUID | MS_NODEV | MS_STRICTATIME, ''],
  ['tmpfs', '/run/lock', 'tmpfs', SAFE, 'size=5242880'],
  ['mqueue', '/dev/mqueue', 'mqueue', SAFE, ''],
];

const LINKS: readonly (readonly [string, string])[] = [
  ['/proc/self/fd', '/dev/fd'], ['/proc/self/fd/0', '/dev/stdin'], ['/proc/self/fd/1', '/dev/stdout'], ['/proc/self/fd/2', '/dev/stderr'],
];

export function* mountAll(): Call<void> {
  const plain = yield* exists('/etc/nestbox/plain-init');
  for (const [source, at, type, flags, data] of plain ? MOUNTS.map((one) => (one[2] === 'cgroup2' ? ([one[0], one[1], one[2], 0, ''] as const) : one)) : MOUNTS) {
    yield* attempt(sys('mkdirat', AT_FDCWD, at, 0o755), 0);
    yield* attempt(mounted(source, at, type, flags, data), undefined, 'EBUSY', 'ENODEV', 'EINVAL', 'ENOENT', 'EACCES', 'EROFS');
  }
  for (const [to, at] of LINKS) yield* attempt(sys('symlinkat', to, AT_FDCWD, at), 0);
  for (const line of ((yield* tryRead('/etc/fstab')) ?? '').split('\n')) {
    const [source, at, type, data] = line.trim().split(/\s+/);
    if (at === '/' && data?.split(',').includes('rshared')) yield* attempt(sys('mount', 'none', '/', '', MS_SHARED | MS_REC, ''), 0);
    else if (source && at && type && !source.startsWith('#') && at !== '/') yield* attempt(mounted(source, at, type, 0, data === 'defaults' ? '' : (data ?? '')), undefined);
  }
  // systemd shares the whole tree, so that mounts made later show in namespaces below.
  if (!plain) yield* attempt(sys('mount', 'none', '/', '', MS_SHARED | MS_REC, ''), 0);
  for (const dir of ['/run/user', '/run/systemd']) yield* attempt(sys('mkdirat', AT_FDCWD, dir, 0o755), 0);
}

/** Mounts; options that this kernel does not know are left out, as systemd does. */
function* mounted(source: string, at: string, type: string, flags: number, data: string): Call<void> {
  try {
    yield* sys('mount', source, at, type, flags, data);
  } catch (error) {
    if (!(error instanceof SysError) || error.errno !== 'EINVAL' || data === '') throw error;
    yield* sys('mount', source, at, type, flags, data.split(',')[0]!);
  }
}

export function* nameMachine(): Call<void> {
  const name = (yield* tryRead('/etc/hostname'))?.trim();
  if (name) yield* attempt(sys('sethostname', name), 0);
}

/** The loopback and the machine's own links; the kernel has given eth0 its address. systemd gives lo ::1 itself, without a route. */
export function* linksUp(plain: boolean): Call<void> {
  if (!plain) yield* attempt(sys('netlink', { type: 'link.set', name: 'lo', up: false }), null);
  if (!plain) yield* attempt(sys('netlink', { type: 'addr.add', dev: 'lo', address: '::1', prefix: 128, noPrefixRoute: true }), null);
  for (const { name } of yield* list('/sys/class/net')) {
    if (name === 'lo' || /^(eth|en)/.test(name)) yield* attempt(sys('netlink', { type: 'link.set', name, up: true }), null);
  }
}
