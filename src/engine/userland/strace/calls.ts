/**
 * How strace writes each call: a row a call. `in` is printed when the call begins, `out` when it has ended and what it filled
 * is known; `ret` where the result is no plain number. Calls that real programs make under another name have it as `as`; what
 * the door leaves away (a sigset's size, a stack of clone) is written as glibc's wrapper gives it.
 * Source: strace 6.13 and the calls' prototypes.
 */
import * as abi from '../../kernel/abi.ts';
import type { Bytes, Dirent, SemOperation, SockAddr, Stat, WaitResult } from '../../kernel/sys.ts';
import { ioctlText } from './ioctl.ts';
import { optionValue, prctlArgs, socketName, SOCKET_LEVEL } from './options.ts';
import {
  actionText, addressLength, addressText, capSetsText, direntBytes, limitText, modeText, nodeText, pollText, statfsText, statText, statusText, timespec, timesText, timeval,
} from './structs.ts';
import {
  type Bits, type Cx, dirfdText, fdText, flags, hexNumber, imagePointer, maskText, namesOf, octal, oneOf, pathText, plain, pointer, quotedBytes, quotedText, signalText, threadPointer,
} from './values.ts';

type Print = (cx: Cx) => string;

export interface Decoder {
  as?: string;
  in: readonly Print[];
  out?: readonly Print[];
  /** What follows the arguments once it has ended, with its own comma. */
  after?: Print;
  /** The result of a call that did not fail. */
  ret?: Print;
}

const a = (cx: Cx, i: number): unknown => cx.args[i];
const fd = (i: number): Print => (cx) => fdText(cx, a(cx, i));
const dirfd = (i: number): Print => (cx) => dirfdText(cx, a(cx, i));
const path = (i: number): Print => (cx) => pathText(cx, a(cx, i));
const str = (i: number): Print => (cx) => quotedText(cx, a(cx, i));
const num = (i: number): Print => (cx) => String(a(cx, i) ?? 0);
const oct = (i: number): Print => (cx) => octal(a(cx, i) ?? 0);
const address = (i: number): Print => (cx) => (Number(a(cx, i)) === 0 ? 'NULL' : hexNumber(a(cx, i)));
const bits = (i: number, table: Bits, whole: string, none = '0'): Print => (cx) => flags(table, Number(a(cx, i) ?? 0), none, whole);
const one = (i: number, table: Bits, whole: string): Print => (cx) => oneOf(table, Number(a(cx, i)), whole);
const word = (text: string): Print => () => text;
/** Filled by the call; where it failed, or filled nothing, only the address is known. */
const filled = (print: Print, place = 1): Print => (cx) => (cx.failed || cx.result === undefined || cx.result === null ? pointer(cx, place) : print(cx));
const hexRet: Print = (cx) => hexNumber(cx.result);
const zero: Print = () => '0';

const key = (i: number): Print => (cx) => (Number(a(cx, i)) === 0 ? 'IPC_PRIVATE' : hexNumber(a(cx, i)));
const ipcMode = (i: number): Print => (cx) => {
  const given = Number(a(cx, i) ?? 0);
  const names = IPC.filter(([, bit]) => given & bit).map(([name]) => name);
  return [...names, octal(given & 0o777)].join('|');
};
const ipcCommand: Print = (cx) => `IPC_${a(cx, 1)}`;
const ipcStatus: Print = (cx) => (a(cx, 1) === 'RMID' ? 'NULL' : pointer(cx, 1));
const operations = (cx: Cx): readonly SemOperation[] => a(cx, 1) as readonly SemOperation[];

const AT: Bits = [['AT_SYMLINK_NOFOLLOW', 0x100], ['AT_REMOVEDIR', 0x200], ['AT_SYMLINK_FOLLOW', 0x400], ['AT_EMPTY_PATH', 0x1000]];
const CLONE = namesOf('CLONE_');
const MOUNT: Bits = [...namesOf('MS_'), ['MS_RELATIME', 1 << 21]];
const PROT: Bits = [['PROT_READ', 1], ['PROT_WRITE', 2], ['PROT_EXEC', 4]];
const MAP: Bits = [['MAP_SHARED', 1], ['MAP_PRIVATE', 2], ['MAP_FIXED', 0x10], ['MAP_ANONYMOUS', 0x20], ['MAP_POPULATE', 0x8000]];
const UMOUNT: Bits = [['MNT_FORCE', 1], ['MNT_DETACH', 2], ['MNT_EXPIRE', 4], ['UMOUNT_NOFOLLOW', 8]];
const WAIT: Bits = [['WNOHANG', 1], ['WSTOPPED', 2], ['WEXITED', 4], ['WCONTINUED', 8]];
const WHENCE: Bits = [['SEEK_SET', 0], ['SEEK_CUR', 1], ['SEEK_END', 2], ['SEEK_DATA', 3], ['SEEK_HOLE', 4]];
const FAMILY: Bits = [['AF_UNSPEC', 0], ['AF_UNIX', 1], ['AF_INET', 2], ['AF_INET6', 10], ['AF_NETLINK', 16], ['AF_PACKET', 17], ['AF_VSOCK', 40]];
const SOCK: Bits = [['SOCK_STREAM', 1], ['SOCK_DGRAM', 2], ['SOCK_RAW', 3], ['SOCK_SEQPACKET', 5]];
const SHUT: Bits = [['SHUT_RD', 0], ['SHUT_WR', 1], ['SHUT_RDWR', 2]];
const PRIO: Bits = [['PRIO_PROCESS', 0], ['PRIO_PGRP', 1], ['PRIO_USER', 2]];
const RUSAGE: Bits = [['RUSAGE_SELF', 0], ['RUSAGE_CHILDREN', -1], ['RUSAGE_THREAD', 1]];
const IPC: Bits = [['IPC_CREAT', 0o1000], ['IPC_EXCL', 0o2000], ['IPC_NOWAIT', 0o4000]];
const ACCESS: Bits = [['R_OK', 4], ['W_OK', 2], ['X_OK', 1]];
const RENAME: Bits = [['RENAME_NOREPLACE', 1], ['RENAME_EXCHANGE', 2], ['RENAME_WHITEOUT', 4]];
const LOCK: Bits = [['LOCK_SH', 1], ['LOCK_EX', 2], ['LOCK_NB', 4], ['LOCK_UN', 8]];
const XATTR: Bits = [['XATTR_CREATE', 1], ['XATTR_REPLACE', 2]];
const OPEN: Bits = namesOf('O_', 'O_RDONLY', 'O_WRONLY', 'O_RDWR', 'O_ACCMODE');
const CLOEXEC: Bits = OPEN.filter(([name]) => name === 'O_CLOEXEC' || name === 'O_NONBLOCK' || name === 'O_DIRECT');

function openFlags(value: unknown): string {
  const n = Number(value);
  const mode = ['O_RDONLY', 'O_WRONLY', 'O_RDWR', 'O_ACCMODE'][n & 3]!;
  const rest = flags(OPEN, n & ~3, '', 'O_???');
  return rest === '' ? mode : `${mode}|${rest}`;
}

function socketType(value: unknown): string {
  const n = Number(value);
  const more = [...(n & 0o2000000 ? ['SOCK_CLOEXEC'] : []), ...(n & 0o4000 ? ['SOCK_NONBLOCK'] : [])];
  return [oneOf(SOCK, n & 0xf, 'SOCK_???'), ...more].join('|');
}

const sockFlags: Print = (cx) => flags([['SOCK_CLOEXEC', 0o2000000], ['SOCK_NONBLOCK', 0o4000]], Number(a(cx, 1)), '0', 'SOCK_???');

const protocol: Print = (cx) => {
  const n = Number(a(cx, 2) ?? 0);
  return Number(a(cx, 0)) !== abi.AF_INET ? String(n) : (({ 0: 'IPPROTO_IP', 1: 'IPPROTO_ICMP', 6: 'IPPROTO_TCP', 17: 'IPPROTO_UDP' }) as Record<number, string>)[n] ?? String(n);
};

const peer = (i: number): Print => (cx) => addressText(cx, a(cx, i) as SockAddr | undefined);
const peerLength = (i: number): Print => (cx) => String(addressLength(a(cx, i) as SockAddr | undefined));
const bytesAt = (i: number): Print => (cx) => quotedBytes(cx, a(cx, i) as Uint8Array);
const lengthOf = (i: number): Print => (cx) => String((a(cx, i) as { length: number }).length);
const takenBytes: Print = filled((cx) => quotedBytes(cx, cx.result as Uint8Array));
const countRet: Print = (cx) => String((cx.result as Uint8Array).length);
const ids = (i: number): Print => (cx) => `[${(a(cx, i) as readonly number[]).join(', ')}]`;

function cloneFlags(cx: Cx): string {
  const n = (a(cx, 0) as { flags: number }).flags;
  if (n === 0) return 'flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD';
  return `flags=${flags(CLONE, n, '', 'CLONE_???')}${n & abi.CLONE_THREAD ? '' : '|SIGCHLD'}`;
}

const plainFork = (cx: Cx): boolean => (a(cx, 0) as { flags: number }).flags === 0;
const command = (cx: Cx): string => String(a(cx, 1)).toUpperCase();

const FCNTL_RET: Readonly<Record<string, Print>> = {
  GETFD: (cx) => (Number(cx.result) ? `0x${Number(cx.result).toString(16)} (flags FD_CLOEXEC)` : '0'),
  GETFL: (cx) => `0x${Number(cx.result).toString(16)} (flags ${openFlags(cx.result)})`,
};

function fcntlArgs(cx: Cx): string {
  const name = command(cx);
  const value = Number(a(cx, 2) ?? 0);
  if (name === 'SETFD') return `F_SETFD, ${value ? 'FD_CLOEXEC' : '0'}`;
  if (name === 'SETFL') return `F_SETFL, ${openFlags(value)}`;
  return name.startsWith('DUPFD') ? `F_${name}, ${value}` : `F_${name}`;
}

const message = (data: Uint8Array, fds: readonly number[], cx: Cx, from?: SockAddr): string => {
  const length = 16 + 4 * fds.length;
  const control = fds.length > 0 ? `, msg_control=[{cmsg_len=${length}, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[${fds.map((n) => fdText(cx, n)).join(', ')}]}], msg_controllen=${Math.ceil(length / 8) * 8}` : ', msg_controllen=0';
  return `{msg_name=${from ? addressText(cx, from) : 'NULL'}, msg_namelen=${addressLength(from)}, msg_iov=[{iov_base=${quotedBytes(cx, data)}, iov_len=${data.length}}], msg_iovlen=1${control}, msg_flags=0}`;
};

const none: Decoder = { in: [] };

export const DECODERS: Readonly<Record<string, Decoder>> = {
  // ---- processes
  getpid: none, getppid: none, gettid: none, setsid: none, sched_yield: none, pause: none, sync: none, getuid: none, geteuid: none, getgid: none, getegid: none,
  getpgid: { in: [num(0)] }, setpgid: { in: [num(0), num(1)] }, getsid: { in: [num(0)] },
  clone: { in: [word('child_stack=NULL'), cloneFlags], after: (cx) => (plainFork(cx) ? `, child_tidptr=${threadPointer(cx)}` : '') },
  unshare: { in: [bits(0, CLONE, 'CLONE_???')] }, setns: { in: [fd(0), bits(1, CLONE, 'CLONE_???')] },
  execve: {
    in: [path(0), (cx) => `[${(a(cx, 1) as string[]).slice(0, 32).map((w) => quotedText(cx, w)).join(', ')}${(a(cx, 1) as string[]).length > 32 ? ', ...' : ''}]`, (cx) => {
      const count = Object.keys(a(cx, 2) as object).length;
      return cx.verbose ? `[${Object.entries(a(cx, 2) as object).map(([k, v]) => quotedText(cx, `${k}=${v}`)).join(', ')}]` : `${pointer(cx, 5)} /* ${count} var${count === 1 ? '' : 's'} */`;
    }],
  },
  exit_group: { in: [num(0)] },
  wait4: {
    in: [num(0)], out: [filled((cx) => ((cx.result as WaitResult).pid === 0 ? pointer(cx, 1) : `[${statusText(cx.result as WaitResult)}]`)), bits(1, WAIT, 'W???'), word('NULL')],
    ret: (cx) => String((cx.result as WaitResult).pid),
  },
  prctl: { in: [(cx) => prctlArgs(cx)], ret: (cx) => String(cx.result) },
  getpriority: { in: [one(0, PRIO, 'PRIO_???'), num(1)], ret: (cx) => String(20 - Number(cx.result)) },
  setpriority: { in: [one(0, PRIO, 'PRIO_???'), num(1), num(2)] },
  getrusage: {
    in: [one(0, RUSAGE, 'RUSAGE_???')], out: [filled((cx) => {
      const r = cx.result as { utime: number; stime: number };
      return `{ru_utime=${timeval(r.utime)}, ru_stime=${timeval(r.stime)}, ...}`;
    })], ret: zero,
  },
  prlimit64: {
    in: [num(0), (cx) => String(a(cx, 1)).replace(/^(?!RLIMIT_)/, 'RLIMIT_'), (cx) => limitText(a(cx, 2) as { cur: number; max: number } | null)],
    out: [(cx) => (a(cx, 2) ? 'NULL' : cx.failed ? pointer(cx, 1) : limitText(cx.result as { cur: number; max: number }))], ret: zero,
  },
  ptrace: { in: [(cx) => String(a(cx, 0)), num(1), word('NULL'), (cx) => (typeof a(cx, 2) === 'number' && Number(a(cx, 2)) > 0 ? signalText(a(cx, 2)) : 'NULL')], ret: zero },
  reboot: { in: [word('LINUX_REBOOT_MAGIC1'), word('LINUX_REBOOT_MAGIC2'), (cx) => `LINUX_REBOOT_CMD_${String(a(cx, 0)).toUpperCase()}`] },

  // ---- System V objects
  shmget: { in: [key(0), num(1), ipcMode(2)] }, msgget: { in: [key(0), ipcMode(1)] }, semget: { in: [key(0), num(1), ipcMode(2)] },
  shmctl: { in: [num(0), ipcCommand], out: [ipcStatus], ret: zero }, msgctl: { in: [num(0), ipcCommand], out: [ipcStatus], ret: zero }, semctl: { in: [num(0), word('0'), ipcCommand], out: [ipcStatus], ret: zero },
  msgsnd: { in: [num(0), (cx) => `{mtype=${a(cx, 1)}, mtext=${quotedText(cx, a(cx, 2))}}`, (cx) => String((a(cx, 2) as Bytes).length), bits(3, IPC, 'IPC_???')] },
  msgrcv: {
    in: [num(0)], out: [filled((cx) => { const { type, data } = cx.result as { type: number; data: Bytes }; return `{mtype=${type}, mtext=${quotedText(cx, data)}}`; }), num(1), num(2), bits(3, IPC, 'IPC_???')],
    ret: (cx) => String((cx.result as { data: Bytes }).data.length),
  },
  semop: { in: [num(0), (cx) => `[${operations(cx).map((one) => `{sem_num=${one.number}, sem_op=${one.change}, sem_flg=${flags(IPC, one.flags ?? 0, '0', 'SEM_???')}}`).join(', ')}]`, (cx) => String(operations(cx).length)] },

  // ---- signals
  kill: { in: [num(0), (cx) => signalText(a(cx, 1))] },
  rt_sigaction: {
    in: [(cx) => signalText(a(cx, 0)), (cx) => actionText(cx, a(cx, 1) as never, true)], out: [filled((cx) => actionText(cx, cx.result as never, false)), word('8')], ret: zero,
  },
  rt_sigprocmask: {
    in: [(cx) => `SIG_${String(a(cx, 0)).toUpperCase()}`, (cx) => maskText(a(cx, 1) as number[])], out: [filled((cx) => maskText(cx.result as number[])), word('8')], ret: zero,
  },
  rt_sigreturn: { in: [word('{mask=[]}')] },

  // ---- identity
  getgroups: { in: [word('65536')], out: [filled((cx) => `[${(cx.result as number[]).join(', ')}]`)], ret: (cx) => String((cx.result as number[]).length) },
  setgroups: { in: [lengthOf(0), ids(0)] },
  setresuid: { in: [num(0), num(1), num(2)] }, setresgid: { in: [num(0), num(1), num(2)] },
  capget: { in: [(cx) => `{version=_LINUX_CAPABILITY_VERSION_3, pid=${a(cx, 0)}}`], out: [filled((cx) => capSetsText(cx.result as never))], ret: zero },
  capset: { in: [word('{version=_LINUX_CAPABILITY_VERSION_3, pid=0}'), (cx) => capSetsText(a(cx, 0) as never)] },
  seccomp: { in: [word('SECCOMP_SET_MODE_FILTER'), word('0'), (cx) => `${imagePointer(cx, 12)} /* ${(a(cx, 0) as { rules?: unknown[] }).rules?.length ?? 0} rules */`] },
  sethostname: { in: [str(0), lengthOf(0)] }, setdomainname: { in: [str(0), lengthOf(0)] },
  uname: {
    in: [], out: [filled((cx) => {
      const u = cx.result as Record<string, string>;
      return `{sysname=${quotedText(cx, u.sysname)}, nodename=${quotedText(cx, u.nodename)}, ${cx.verbose ? `release=${quotedText(cx, u.release)}, version=${quotedText(cx, u.version)}, machine=${quotedText(cx, u.machine)}, domainname=${quotedText(cx, u.domainname)}` : '...'}}`;
    })], ret: zero,
  },
  sysinfo: {
    in: [], out: [filled((cx) => {
      const s = cx.result as { uptime: number; loads: readonly number[]; totalram: number; freeram: number; totalswap: number; freeswap: number; procs: number };
      return `{uptime=${s.uptime}, loads=[${s.loads.map((l) => Math.round(l * 65536)).join(', ')}], totalram=${s.totalram}, freeram=${s.freeram}, sharedram=0, bufferram=0, totalswap=${s.totalswap}, freeswap=${s.freeswap}, procs=${s.procs}, totalhigh=0, freehigh=0, mem_unit=1}`;
    })], ret: zero,
  },

  // ---- time
  nanosleep: { as: 'clock_nanosleep', in: [word('CLOCK_REALTIME'), word('0'), (cx) => timespec(Number(a(cx, 0)))], out: [(cx) => pointer(cx, 2)] },
  restart_syscall: { in: [(cx) => `<... resuming interrupted ${nameOf(String(a(cx, 0)))} ...>`] },
  clock_gettime: { in: [(cx) => (a(cx, 0) === 'cpu' ? 'CLOCK_PROCESS_CPUTIME_ID' : `CLOCK_${String(a(cx, 0)).toUpperCase()}`)], out: [filled((cx) => timespec(Number(cx.result)))], ret: zero },
  alarm: { in: [num(0)] },

  // ---- memory
  mmap: { in: [word('NULL'), num(0), bits(1, PROT, 'PROT_???', 'PROT_NONE'), bits(2, MAP, 'MAP_???'), (cx) => (a(cx, 3) === undefined ? '-1' : fdText(cx, a(cx, 3))), (cx) => hexNumber(a(cx, 4) ?? 0)], ret: hexRet },
  munmap: { in: [address(0), num(1)] }, brk: { in: [address(0)], ret: hexRet }, mlock: { in: [address(0), num(1)] },
  madvise: { in: [address(0), num(1), (cx) => String(a(cx, 2)).toUpperCase().replace(/^(?!MADV_)/, 'MADV_')] },

  // ---- files
  openat: { in: [dirfd(0), path(1), (cx) => openFlags(a(cx, 2)) + (Number(a(cx, 2)) & abi.O_CREAT ? `, ${octal(a(cx, 3) ?? 0)}` : '')], ret: (cx) => fdText(cx, cx.result) },
  close: { in: [fd(0)] }, close_range: { in: [num(0), (cx) => (Number(a(cx, 1)) >= 0xffffffff ? '4294967295' : num(1)(cx)), bits(2, [['CLOSE_RANGE_UNSHARE', 2], ['CLOSE_RANGE_CLOEXEC', 4]], 'CLOSE_RANGE_???')] }, read: { in: [fd(0)], out: [takenBytes, num(1)], ret: countRet }, write: { in: [fd(0), bytesAt(1), lengthOf(1)] },
  pread64: { in: [fd(0)], out: [takenBytes, num(1), num(2)], ret: countRet }, pwrite64: { in: [fd(0), bytesAt(1), lengthOf(1), num(2)] },
  lseek: { in: [fd(0), num(1), one(2, WHENCE, 'SEEK_???')] },
  fstat: { in: [fd(0)], out: [filled((cx) => statText(cx, cx.result as Stat))], ret: zero },
  newfstatat: { in: [dirfd(0), path(1)], out: [filled((cx) => statText(cx, cx.result as Stat)), bits(2, AT, 'AT_???')], ret: zero },
  getdents64: { in: [fd(0)], out: [filled((cx) => `${imagePointer(cx, 30)} /* ${(cx.result as Dirent[]).length} entries */`), word('32768')], ret: (cx) => String(direntBytes(cx.result as Dirent[])) },
  mkdirat: { in: [dirfd(0), path(1), oct(2)] },
  mknodat: { in: [dirfd(0), path(1), (cx) => modeText(Number(a(cx, 2))) + nodeText(a(cx, 2), a(cx, 3), a(cx, 4))] },
  unlinkat: { in: [dirfd(0), path(1), bits(2, AT, 'AT_???')] },
  renameat2: { in: [dirfd(0), path(1), dirfd(2), path(3), bits(4, RENAME, 'RENAME_???')] },
  linkat: { in: [dirfd(0), path(1), dirfd(2), path(3), bits(4, AT, 'AT_???')] }, symlinkat: { in: [path(0), dirfd(1), path(2)] },
  readlinkat: { in: [dirfd(0), path(1)], out: [filled((cx) => pathText(cx, cx.result)), word('4096')], ret: (cx) => String(String(cx.result).length) },
  fchmodat: { in: [dirfd(0), path(1), oct(2)] }, fchownat: { in: [dirfd(0), path(1), num(2), num(3), bits(4, AT, 'AT_???')] },
  utimensat: { in: [dirfd(0), path(1), (cx) => timesText(a(cx, 2), a(cx, 3)), bits(4, AT, 'AT_???')] },
  truncate: { in: [path(0), num(1)] }, ftruncate: { in: [fd(0), num(1)] }, fallocate: { in: [fd(0), num(1), num(2), num(3)] }, faccessat: { in: [dirfd(0), path(1), bits(2, ACCESS, '?_OK', 'F_OK')] },
  statfs: { in: [path(0)], out: [filled((cx) => statfsText(cx.result as never))], ret: zero },
  chdir: { in: [path(0)] }, fchdir: { in: [fd(0)] }, chroot: { in: [path(0)] }, umask: { in: [oct(0)], ret: (cx) => octal(cx.result) },
  getcwd: { in: [], out: [filled((cx) => pathText(cx, cx.result)), word('4096')], ret: (cx) => String(String(cx.result).length + 1) },
  dup: { in: [fd(0)], ret: (cx) => fdText(cx, cx.result) }, dup3: { in: [fd(0), num(1), bits(2, CLOEXEC, 'O_???')], ret: (cx) => fdText(cx, cx.result) },
  pipe2: { in: [], out: [filled((cx) => `[${(cx.result as number[]).map((n) => fdText(cx, n)).join(', ')}]`), bits(0, CLOEXEC, 'O_???')], ret: zero },
  fcntl: { in: [fd(0), fcntlArgs], ret: (cx) => FCNTL_RET[command(cx)]?.(cx) ?? String(cx.result) },
  ioctl: { in: [fd(0)], out: [ioctlText], ret: (cx) => (typeof cx.result === 'number' ? String(cx.result) : '0') },
  poll: {
    in: [(cx) => pollText(a(cx, 0) as never, 'events'), lengthOf(0), (cx) => (Number(a(cx, 1)) < 0 ? '-1' : String(Math.round(Number(a(cx, 1)) / 1e6)))],
    ret: (cx) => ((cx.result as unknown[]).length === 0 ? '0 (Timeout)' : `${(cx.result as unknown[]).length} (${pollText(cx.result as never, 'revents')})`),
  },
  fsync: { in: [fd(0)] }, flock: { in: [fd(0), bits(1, LOCK, 'LOCK_???')] },
  setxattr: { in: [path(0), str(1), bytesAt(2), lengthOf(2), bits(3, XATTR, 'XATTR_???')] },
  getxattr: { in: [path(0), str(1)], out: [takenBytes, word('256')], ret: countRet },
  listxattr: { in: [path(0)], out: [filled((cx) => quotedText(cx, (cx.result as string[]).map((n) => `${n}\0`).join(''))), word('256')], ret: (cx) => String((cx.result as string[]).reduce((n, w) => n + w.length + 1, 0)) },
  removexattr: { in: [path(0), str(1)] },
  lsetxattr: { in: [path(0), str(1), bytesAt(2), lengthOf(2), bits(3, XATTR, 'XATTR_???')] },
  lgetxattr: { in: [path(0), str(1)], out: [takenBytes, word('256')], ret: countRet },
  llistxattr: { in: [path(0)], out: [filled((cx) => quotedText(cx, (cx.result as string[]).map((n) => `${n}\0`).join(''))), word('256')], ret: (cx) => String((cx.result as string[]).reduce((n, w) => n + w.length + 1, 0)) },
  lremovexattr: { in: [path(0), str(1)] },
  mount: { in: [path(0), path(1), (cx) => (a(cx, 2) === '' ? 'NULL' : str(2)(cx)), bits(3, MOUNT, 'MS_???'), (cx) => (a(cx, 4) === '' ? 'NULL' : str(4)(cx))] },
  umount2: { in: [path(0), bits(1, UMOUNT, 'MNT_???')] }, pivot_root: { in: [path(0), path(1)] },

  // ---- sockets
  socket: { in: [one(0, FAMILY, 'AF_???'), (cx) => socketType(a(cx, 1)), protocol], ret: (cx) => fdText(cx, cx.result) },
  socketpair: { in: [one(0, FAMILY, 'AF_???'), (cx) => socketType(a(cx, 1)), word('0')], out: [filled((cx) => `[${(cx.result as number[]).join(', ')}]`)], ret: zero },
  bind: { in: [fd(0), peer(1), peerLength(1)] }, listen: { in: [fd(0), num(1)] }, connect: { in: [fd(0), peer(1), peerLength(1)] },
  accept4: {
    in: [fd(0)], out: [filled((cx) => {
      const from = (cx.result as { peer: SockAddr }).peer;
      return `${addressText(cx, from)}, [${from.family === 'unix' ? `110 => ${addressLength(from)}` : addressLength(from)}]`;
    }), sockFlags], ret: (cx) => fdText(cx, (cx.result as { fd: number }).fd),
  },
  sendto: { in: [fd(0), bytesAt(1), lengthOf(1), word('0'), peer(2), peerLength(2)] },
  recvfrom: {
    in: [fd(0)], out: [filled((cx) => quotedBytes(cx, (cx.result as { data: Uint8Array }).data)), num(1), word('0'), (cx) => {
      const from = cx.failed ? undefined : (cx.result as { from?: SockAddr }).from;
      return from ? `${addressText(cx, from)}, [${addressLength(from)}]` : 'NULL, NULL';
    }], ret: (cx) => String((cx.result as { data: Uint8Array }).data.length),
  },
  sendmsg: { in: [fd(0), (cx) => message(a(cx, 1) as Uint8Array, a(cx, 2) as number[], cx), word('0')] },
  recvmsg: {
    in: [fd(0)], out: [filled((cx) => {
      const m = cx.result as { data: Uint8Array; fds: number[]; from?: SockAddr };
      return message(m.data, m.fds, cx, m.from);
    }), word('0')], ret: (cx) => String((cx.result as { data: Uint8Array }).data.length),
  },
  shutdown: { in: [fd(0), one(1, SHUT, 'SHUT_???')] },
  getsockname: { in: [fd(0)], out: [filled((cx) => `${addressText(cx, cx.result as SockAddr)}, [${addressLength(cx.result as SockAddr)}]`)], ret: zero },
  getpeername: { in: [fd(0)], out: [filled((cx) => `${addressText(cx, cx.result as SockAddr)}, [${addressLength(cx.result as SockAddr)}]`)], ret: zero },
  setsockopt: { in: [fd(0), (cx) => SOCKET_LEVEL(a(cx, 1)), (cx) => socketName(a(cx, 1)), (cx) => `[${a(cx, 2)}]`, word('4')] },
  getsockopt: { in: [fd(0), (cx) => SOCKET_LEVEL(a(cx, 1)), (cx) => socketName(a(cx, 1))], out: [filled((cx) => optionValue(cx))], ret: zero },
  netlink: { in: [(cx) => plain(cx, a(cx, 0))], ret: zero },

  // ---- the rest
  perf_event_open: {
    in: [(cx) => {
      const attr = a(cx, 0) as { type: number; config: number };
      return `{type=${attr.type === abi.PERF_TYPE_TRACEPOINT ? 'PERF_TYPE_TRACEPOINT' : attr.type}, size=0x88 /* PERF_ATTR_SIZE_??? */, config=${attr.config}, ...}`;
    }, num(1), num(2), num(3), bits(4, [['PERF_FLAG_FD_CLOEXEC', 8]], 'PERF_FLAG_???')], ret: (cx) => fdText(cx, cx.result),
  },
  syslog: { in: [(cx) => (a(cx, 0) === 'read' ? 'SYSLOG_ACTION_READ_ALL' : a(cx, 0) === 'clear' ? 'SYSLOG_ACTION_CLEAR' : plain(cx, a(cx, 0)))], out: [(cx) => (a(cx, 1) === undefined ? 'NULL' : str(1)(cx))], ret: zero },
};

/** The name that strace writes for a call of the door. */
export function nameOf(call: string): string {
  return DECODERS[call]?.as ?? call;
}

/** Arguments, one after another. What is no argument of the call (the caller may give the kernel anything) is an address. */
export function printed(prints: readonly Print[], cx: Cx): string {
  return prints.map((print) => orAddress(print, cx)).join(', ');
}

export function orAddress(print: Print, cx: Cx): string {
  try {
    return print(cx);
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) return pointer(cx, 9);
    throw error;
  }
}

/** A call that the table does not have: its arguments as they are. */
export function decoderOf(call: string): Decoder {
  return Object.hasOwn(DECODERS, call) ? DECODERS[call]! : { in: [(cx) => cx.args.map((value) => plain(cx, value)).join(', ')], ret: (cx) => (typeof cx.result === 'number' ? String(cx.result) : '0') };
}
