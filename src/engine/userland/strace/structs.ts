/** Structures as strace writes them: stat, statfs, terminals, socket addresses, signals' actions, statuses, limits, times, capabilities. */
import * as abi from '../../kernel/abi.ts';
import type { CapSets, SigAction, SockAddr, Statfs, Termios, WaitResult } from '../../kernel/sys.ts';
import type { Stat } from '../../kernel/abi.ts';
import { civilOf } from '../../sim/calendar.ts';
import { type Bits, type Cx, flags, imagePointer, octal, pathText, signalText } from './values.ts';

const KINDS: readonly [number, string][] = [
  [abi.S_IFSOCK, 'S_IFSOCK'], [abi.S_IFLNK, 'S_IFLNK'], [abi.S_IFREG, 'S_IFREG'], [abi.S_IFBLK, 'S_IFBLK'], [abi.S_IFDIR, 'S_IFDIR'], [abi.S_IFCHR, 'S_IFCHR'], [abi.S_IFIFO, 'S_IFIFO'],
];

export function modeText(mode: number): string {
  const kind = KINDS.find(([bits]) => (mode & abi.S_IFMT) === bits)?.[1];
  const special = ([['S_ISUID', 0o4000], ['S_ISGID', 0o2000], ['S_ISVTX', 0o1000]] as const).filter(([, bit]) => mode & bit).map(([name]) => name);
  return [...(kind ? [kind] : []), ...special, octal(mode & 0o777)].join('|');
}

const device = ([major, minor]: readonly [number, number]): string => `makedev(0x${major.toString(16)}, 0x${minor.toString(16)})`;

/** "2025-09-20T10:00:00+0000", and with a fraction as strace adds it. */
function stamp(seconds: number): string {
  const { year, month, day, hour, minute, second, nanosecond } = civilOf(seconds);
  const pad = (n: number): string => String(n).padStart(2, '0');
  return `${year}-${pad(month)}-${pad(day)}T${pad(hour)}:${pad(minute)}:${pad(second)}${nanosecond > 0 ? `.${String(nanosecond).padStart(9, '0')}` : ''}+0000`;
}

export function statText(cx: Cx, s: Stat): string {
  const kind = s.mode & abi.S_IFMT;
  const size = kind === abi.S_IFCHR || kind === abi.S_IFBLK ? `st_rdev=${device(s.rdev)}` : `st_size=${s.size}`;
  if (!cx.verbose) return `{st_mode=${modeText(s.mode)}, ${size}, ...}`;
  const time = (name: string, at: number): string => `st_${name}time=${Math.floor(at)} /* ${stamp(at)} */, st_${name}time_nsec=${Math.round((at % 1) * 1e9)}`;
  return `{st_dev=${device([0, s.dev])}, st_ino=${s.ino}, st_mode=${modeText(s.mode)}, st_nlink=${s.nlink}, st_uid=${s.uid}, st_gid=${s.gid}, st_blksize=${s.blksize}, st_blocks=${s.blocks}, ${size}, ${time('a', s.atime)}, ${time('m', s.mtime)}, ${time('c', s.ctime)}}`;
}

export const nodeText = (mode: unknown, major: unknown, minor: unknown): string =>
  (Number(mode) & abi.S_IFMT) === abi.S_IFCHR || (Number(mode) & abi.S_IFMT) === abi.S_IFBLK ? `, ${device([Number(major), Number(minor)])}` : '';

const MAGIC: Readonly<Record<string, string>> = {
  ext4: 'EXT2_SUPER_MAGIC', tmpfs: 'TMPFS_MAGIC', devtmpfs: 'TMPFS_MAGIC', proc: 'PROC_SUPER_MAGIC', sysfs: 'SYSFS_MAGIC', cgroup2: 'CGROUP2_SUPER_MAGIC', overlay: 'OVERLAYFS_SUPER_MAGIC', devpts: 'DEVPTS_SUPER_MAGIC',
};

export function statfsText(s: Statfs): string {
  return `{f_type=${MAGIC[s.type] ?? '0 /* ??? */'}, f_bsize=${s.bsize}, f_blocks=${s.blocks}, f_bfree=${s.bfree}, f_bavail=${s.bavail}, f_files=${s.files}, f_ffree=${s.ffree}, f_fsid={val=[0, 0]}, f_namelen=255, f_frsize=${s.bsize}, f_flags=ST_VALID}`;
}

export function termiosText(t: Termios): string {
  const list = (...names: readonly (string | false)[]): string => names.filter((one) => one !== false).join('|') || '0';
  return `{c_iflag=${list(t.mapCrNl && 'ICRNL', 'IXON', 'IUTF8')}, c_oflag=NL0|CR0|TAB0|BS0|VT0|FF0${t.postprocess ? '|OPOST|ONLCR' : ''}, c_cflag=B38400|CS8|CREAD, c_lflag=${list(t.signals && 'ISIG', t.canonical && 'ICANON', t.echo && 'ECHO|ECHOE|ECHOK', 'IEXTEN', t.echo && 'ECHOCTL|ECHOKE')}, ...}`;
}

export function addressText(cx: Cx, a: SockAddr | undefined): string {
  if (!a) return 'NULL';
  if (a.family === 'unix') return a.path === '' ? '{sa_family=AF_UNIX}' : `{sa_family=AF_UNIX, sun_path=${a.path.startsWith('\0') ? `@${pathText(cx, a.path.slice(1))}` : pathText(cx, a.path)}}`;
  return `{sa_family=AF_INET, sin_port=htons(${a.port}), sin_addr=inet_addr("${a.address}")}`;
}

/** socklen_t of an address. */
export const addressLength = (a: SockAddr | undefined): number => (!a ? 0 : a.family === 'inet' ? 16 : a.path === '' ? 2 : a.path.startsWith('\0') ? 2 + a.path.length : 3 + a.path.length);

export function actionText(cx: Cx, a: SigAction | undefined, own: boolean): string {
  if (!a) return 'NULL';
  const handler = a.handler === 'default' ? 'SIG_DFL' : a.handler === 'ignore' ? 'SIG_IGN' : imagePointer(cx, 7);
  const bits = ['SA_RESTORER', ...(a.restart ? ['SA_RESTART'] : [])];
  if (!own && a.handler === 'default') return `{sa_handler=SIG_DFL, sa_mask=[], sa_flags=0}`;
  return `{sa_handler=${handler}, sa_mask=[], sa_flags=${bits.join('|')}, sa_restorer=${imagePointer(cx, 99)}}`;
}

export function statusText({ status }: WaitResult): string {
  const code = abi.exited(status);
  if (code !== null) return `{WIFEXITED(s) && WEXITSTATUS(s) == ${code}}`;
  if (status === 0xffff) return '{WIFCONTINUED(s)}';
  const stopped = abi.stopSignal(status);
  if (stopped !== null) return `{WIFSTOPPED(s) && WSTOPSIG(s) == ${signalText(stopped)}}`;
  return `{WIFSIGNALED(s) && WTERMSIG(s) == ${signalText(status & 0x7f)}${status & 0x80 ? ' && WCOREDUMP(s)' : ''}}`;
}

function limit(value: number): string {
  if (!Number.isFinite(value) || value >= 2 ** 63) return 'RLIM64_INFINITY';
  return value > 1024 && value % 1024 === 0 ? `${value / 1024}*1024` : String(value);
}

export const limitText = (l: { cur: number; max: number } | null | undefined): string => (l ? `{rlim_cur=${limit(l.cur)}, rlim_max=${limit(l.max)}}` : 'NULL');

export const timespec = (ns: number): string => `{tv_sec=${Math.floor(ns / 1e9)}, tv_nsec=${Math.round(ns % 1e9)}}`;
export const timeval = (ns: number): string => `{tv_sec=${Math.floor(ns / 1e9)}, tv_usec=${Math.floor((ns % 1e9) / 1000)}}`;

/** The two times of utimensat. */
export function timesText(atime: unknown, mtime: unknown): string {
  if (atime === 'now' && mtime === 'now') return 'NULL';
  const one = (value: unknown): string => (value === 'now' ? 'UTIME_NOW' : value === null ? 'UTIME_OMIT' : `{tv_sec=${Math.floor(Number(value))}, tv_nsec=${Math.round((Number(value) % 1) * 1e9)}} /* ${stamp(Number(value))} */`);
  return `[${one(atime)}, ${one(mtime)}]`;
}

export function capsText(names: readonly string[] | undefined): string {
  return names && names.length > 0 ? names.map((one) => `1<<CAP_${one.toUpperCase()}`).join('|') : '0';
}

export const capSetsText = (sets: Partial<CapSets>): string => `{effective=${capsText(sets.effective)}, permitted=${capsText(sets.permitted)}, inheritable=${capsText(sets.inheritable)}}`;

const POLL: Bits = [['POLLIN', 1], ['POLLPRI', 2], ['POLLOUT', 4], ['POLLERR', 8], ['POLLHUP', 16], ['POLLNVAL', 32]];

export function pollText(fds: readonly { fd: number; events?: number; revents?: number }[], key: 'events' | 'revents'): string {
  return `[${fds.map((one) => `{fd=${one.fd}, ${key}=${flags(POLL, one[key] ?? 0, '0', 'POLL???')}}`).join(', ')}]`;
}

/** Bytes that getdents64 would have filled. */
export function direntBytes(entries: readonly { name: string }[]): number {
  return entries.reduce((sum, { name }) => sum + Math.ceil((19 + name.length + 1) / 8) * 8, 0);
}
