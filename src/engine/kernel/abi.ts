/**
 * The numbers and shapes both sides of the door agree on: flags, errno names, signals, structures.
 * Values are Linux x86-64's (uapi headers). Userland may import this file and `sys.ts`, nothing else of the kernel.
 */
import { bytes } from '../sim/text.ts';

export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_ACCMODE = 3;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_NOCTTY = 0o400;
export const O_TRUNC = 0o1000;
export const O_APPEND = 0o2000;
export const O_NONBLOCK = 0o4000;
export const O_DIRECT = 0o40000;
export const O_DIRECTORY = 0o200000;
export const O_NOFOLLOW = 0o400000;
export const O_CLOEXEC = 0o2000000;
export const CLOSE_RANGE_CLOEXEC = 4;
export const O_PATH = 0o10000000;

export const AT_FDCWD = -100;
export const AT_SYMLINK_NOFOLLOW = 0x100;
export const AT_REMOVEDIR = 0x200;
export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;
export const AT_SYMLINK_FOLLOW = 0x400;
export const AT_EMPTY_PATH = 0x1000;

export const SEEK_SET = 0;
export const SEEK_CUR = 1;
export const SEEK_END = 2;
export const SEEK_DATA = 3;
export const SEEK_HOLE = 4;

export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o060000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;

export const CLONE_VM = 0x100;
export const CLONE_FS = 0x200;
export const CLONE_FILES = 0x400;
export const CLONE_NEWTIME = 0x80;
export const CLONE_VFORK = 0x4000;
export const CLONE_PARENT = 0x8000;
export const CLONE_THREAD = 0x10000;
export const CLONE_NEWNS = 0x00020000;
export const CLONE_NEWCGROUP = 0x02000000;
export const CLONE_NEWUTS = 0x04000000;
export const CLONE_NEWIPC = 0x08000000;
export const CLONE_NEWUSER = 0x10000000;
export const CLONE_NEWPID = 0x20000000;
export const CLONE_NEWNET = 0x40000000;

export const IPC_CREAT = 0o1000;
export const IPC_EXCL = 0o2000;
export const IPC_NOWAIT = 0o4000;
export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const MS_SYNCHRONOUS = 16;
export const MS_REMOUNT = 32;
export const MS_NOATIME = 1024;
export const MS_NODIRATIME = 2048;
export const MS_BIND = 4096;
export const MS_MOVE = 8192;
export const MS_REC = 16384;
export const MS_SILENT = 32768;
export const MS_UNBINDABLE = 1 << 17;
export const MS_PRIVATE = 1 << 18;
export const MS_SLAVE = 1 << 19;
export const MS_SHARED = 1 << 20;
export const MS_RELATIME = 1 << 21;
export const MS_STRICTATIME = 1 << 24;
export const MNT_FORCE = 1;
export const MNT_DETACH = 2;
export const MNT_EXPIRE = 4;
export const UMOUNT_NOFOLLOW = 8;

export const WNOHANG = 1;
export const WUNTRACED = 2;
export const WCONTINUED = 8;

export const POLLIN = 1;
export const POLLPRI = 2;
export const POLLOUT = 4;
export const POLLERR = 8;
export const POLLHUP = 16;
export const POLLNVAL = 32;

export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const PROT_EXEC = 4;
export const MAP_SHARED = 1;
export const MAP_PRIVATE = 2;
export const MAP_ANONYMOUS = 0x20;
export const MAP_POPULATE = 0x8000;

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;

export const TCGETS = 0x5401;
export const TCSETS = 0x5402;
export const TCSETSW = 0x5403;
export const TCSETSF = 0x5404;
export const TCFLSH = 0x540b;
export const TIOCSCTTY = 0x540e;
export const NS_GET_USERNS = 0xb701;
export const NS_GET_PARENT = 0xb702;
export const NS_GET_NSTYPE = 0xb703;
export const NS_GET_OWNER_UID = 0xb704;
export const LOOP_CTL_GET_FREE = 0x4c82;
export const LOOP_CONFIGURE = 0x4c0a;
export const LOOP_CLR_FD = 0x4c01;
export const LOOP_GET_STATUS64 = 0x4c05;
export const LOOP_SET_CAPACITY = 0x4c07;
export const TIOCGPGRP = 0x540f;
export const TIOCSPGRP = 0x5410;
export const TIOCGWINSZ = 0x5413;
export const TIOCSWINSZ = 0x5414;
export const TIOCNOTTY = 0x5422;
export const TIOCGSID = 0x5429;
export const TIOCGPTPEER = 0x5441;
export const FIONREAD = 0x541b;
export const TIOCGPTN = 0x80045430;
export const TIOCSPTLCK = 0x40045431;

/** Linux x86-64 signal numbers. */
export const SIG = {
  HUP: 1, INT: 2, QUIT: 3, ILL: 4, TRAP: 5, ABRT: 6, BUS: 7, FPE: 8, KILL: 9, USR1: 10, SEGV: 11, USR2: 12,
  PIPE: 13, ALRM: 14, TERM: 15, STKFLT: 16, CHLD: 17, CONT: 18, STOP: 19, TSTP: 20, TTIN: 21, TTOU: 22, URG: 23,
  XCPU: 24, XFSZ: 25, VTALRM: 26, PROF: 27, WINCH: 28, IO: 29, PWR: 30, SYS: 31,
} as const;

/** errno name to [number, strerror text] (glibc's English). */
export const ERRNO = {
  EPERM: [1, 'Operation not permitted'],
  ENOENT: [2, 'No such file or directory'],
  ESRCH: [3, 'No such process'],
  EINTR: [4, 'Interrupted system call'],
  EIO: [5, 'Input/output error'],
  ENXIO: [6, 'No such device or address'],
  E2BIG: [7, 'Argument list too long'],
  ENOEXEC: [8, 'Exec format error'],
  EBADF: [9, 'Bad file descriptor'],
  ECHILD: [10, 'No child processes'],
  EAGAIN: [11, 'Resource temporarily unavailable'],
  ENOMEM: [12, 'Cannot allocate memory'],
  EACCES: [13, 'Permission denied'],
  EFAULT: [14, 'Bad address'],
  ENOTBLK: [15, 'Block device required'],
  EBUSY: [16, 'Device or resource busy'],
  EEXIST: [17, 'File exists'],
  EXDEV: [18, 'Invalid cross-device link'],
  ENODEV: [19, 'No such device'],
  ENOTDIR: [20, 'Not a directory'],
  EISDIR: [21, 'Is a directory'],
  EINVAL: [22, 'Invalid argument'],
  ENFILE: [23, 'Too many open files in system'],
  EMFILE: [24, 'Too many open files'],
  ENOTTY: [25, 'Inappropriate ioctl for device'],
  ETXTBSY: [26, 'Text file busy'],
  EFBIG: [27, 'File too large'],
  ENOSPC: [28, 'No space left on device'],
  ESPIPE: [29, 'Illegal seek'],
  EROFS: [30, 'Read-only file system'],
  EMLINK: [31, 'Too many links'],
  EPIPE: [32, 'Broken pipe'],
  EDOM: [33, 'Numerical argument out of domain'],
  ERANGE: [34, 'Numerical result out of range'],
  EDEADLK: [35, 'Resource deadlock avoided'],
  ENAMETOOLONG: [36, 'File name too long'],
  ENOSYS: [38, 'Function not implemented'],
  ENOTEMPTY: [39, 'Directory not empty'],
  ELOOP: [40, 'Too many levels of symbolic links'],
  ENOMSG: [42, 'No message of desired type'],
  ENODATA: [61, 'No data available'],
  EOVERFLOW: [75, 'Value too large for defined data type'],
  EUSERS: [87, 'Too many users'],
  ENOTSOCK: [88, 'Socket operation on non-socket'],
  EDESTADDRREQ: [89, 'Destination address required'],
  EMSGSIZE: [90, 'Message too long'],
  EPROTOTYPE: [91, 'Protocol wrong type for socket'],
  EPROTONOSUPPORT: [93, 'Protocol not supported'],
  EOPNOTSUPP: [95, 'Operation not supported'],
  EAFNOSUPPORT: [97, 'Address family not supported by protocol'],
  EADDRINUSE: [98, 'Address already in use'],
  EADDRNOTAVAIL: [99, 'Cannot assign requested address'],
  ENETDOWN: [100, 'Network is down'],
  ENETUNREACH: [101, 'Network is unreachable'],
  ECONNABORTED: [103, 'Software caused connection abort'],
  ECONNRESET: [104, 'Connection reset by peer'],
  EISCONN: [106, 'Transport endpoint is already connected'],
  ENOTCONN: [107, 'Transport endpoint is not connected'],
  ETIMEDOUT: [110, 'Connection timed out'],
  ECONNREFUSED: [111, 'Connection refused'],
  EHOSTUNREACH: [113, 'No route to host'],
  EALREADY: [114, 'Operation already in progress'],
  EINPROGRESS: [115, 'Operation now in progress'],
  ESTALE: [116, 'Stale file handle'],
} as const satisfies Record<string, readonly [number, string]>;

export type Errno = keyof typeof ERRNO;

/** A failed system call, thrown into the program that made it. No `Error`: a failed call is ordinary, and what engines keep of an error costs more than the call. */
export class SysError {
  readonly errno: Errno;
  /** What would have been needed, in words; empty where the errno says it all. Programs do not see it. */
  readonly why: string;
  constructor(errno: Errno, why = '') {
    this.errno = errno;
    this.why = why;
  }
  get message(): string {
    return ERRNO[this.errno][1];
  }
  toString(): string {
    return `${this.errno}: ${this.message}`;
  }
}

/** EINVAL with what a file system wrote into the log of its context, which mount(8) reads and prints. Source: fs_context(9). */
export class ContextRefused extends SysError {
  readonly said: string;
  constructor(said: string) {
    super('EINVAL', said);
    this.said = said;
  }
}

export interface Stat {
  dev: number;
  ino: number;
  /** Type and permission bits, as S_IF* | 0o7777. */
  mode: number;
  nlink: number;
  uid: number;
  gid: number;
  /** [major, minor] of a device node. */
  rdev: readonly [number, number];
  size: number;
  /** 512-byte blocks. */
  blocks: number;
  blksize: number;
  /** Seconds since 1970, fractions allowed. */
  atime: number;
  mtime: number;
  ctime: number;
}

export interface Dirent {
  name: string;
  ino: number;
  type: 'file' | 'dir' | 'link' | 'chr' | 'blk' | 'fifo' | 'sock';
}

export interface Termios {
  /** ICANON, ECHO, ISIG, ICRNL, OPOST|ONLCR: the ones the line discipline honours. */
  canonical: boolean;
  echo: boolean;
  signals: boolean;
  mapCrNl: boolean;
  postprocess: boolean;
}

export interface Winsize {
  rows: number;
  cols: number;
}

export type SockAddr =
  | { family: 'unix'; path: string }
  | { family: 'inet'; address: string; port: number };

export interface Rusage {
  /** Nanoseconds. */
  utime: number;
  stime: number;
  /** KiB. */
  maxrss: number;
}

export interface Utsname {
  sysname: string;
  nodename: string;
  release: string;
  version: string;
  machine: string;
  domainname: string;
}

export interface Sysinfo {
  /** Seconds. */
  uptime: number;
  loads: readonly [number, number, number];
  /** Bytes. */
  totalram: number;
  freeram: number;
  totalswap: number;
  freeswap: number;
  procs: number;
}

export interface Statfs {
  type: string;
  bsize: number;
  blocks: number;
  bfree: number;
  bavail: number;
  files: number;
  ffree: number;
}

export interface PollFd {
  fd: number;
  events: number;
}

export interface WaitResult {
  pid: number;
  /** As the real status word: exit code << 8, or signal (| 0x80 core), or 0x7f | sig << 8 when stopped, 0xffff continued. */
  status: number;
  rusage: Rusage;
}

export function exited(status: number): number | null {
  return (status & 0x7f) === 0 ? (status >> 8) & 0xff : null;
}
export function termSignal(status: number): number | null {
  const s = status & 0x7f;
  return s !== 0 && s !== 0x7f ? s : null;
}
export function stopSignal(status: number): number | null {
  return (status & 0xff) === 0x7f ? (status >> 8) & 0xff : null;
}
/** The shell's view: exit code, or 128 + signal. */
export function shellStatus(status: number): number {
  return exited(status) ?? 128 + (termSignal(status) ?? stopSignal(status) ?? 0);
}

// ---- perf_event_open(2), linux/perf_event.h
export const PERF_TYPE_TRACEPOINT = 2;
export const PERF_SAMPLE = { IP: 1, TID: 2, TIME: 4, CPU: 0x80, PERIOD: 0x100, RAW: 0x400, IDENTIFIER: 0x10000 } as const;
export const PERF_RECORD_LOST = 2;
export const PERF_RECORD_COMM = 3;
export const PERF_RECORD_SAMPLE = 9;
export const PERF_FLAG_FD_CLOEXEC = 8;
export const PERF_EVENT_IOC_ENABLE = 0x2400;
export const PERF_EVENT_IOC_DISABLE = 0x2401;
export const PERF_EVENT_IOC_ID = 0x80082407;
export const PERF_EVENT_IOC_SET_OUTPUT = 0x2405;
/** Stands for reading the mapped ring up to data_head: all the records in it. */
export const PERF_EVENT_IOC_TAKE = 0x24ff;

export interface PerfEventAttr {
  type: number;
  /** Of a tracepoint: its number. */
  config: number;
  /** PERF_SAMPLE bits. */
  sampleType: number;
  disabled: boolean;
  /** Its later threads and children are watched too. */
  inherit: boolean;
  /** Stands for the length of the mapping; 0 only counts. */
  ringBytes: number;
  /** A poll is woken when so many bytes lie in the ring. */
  wakeupBytes: number;
}

const MARK = '\x7fELFnestbox:';

/** The bytes of a binary that stands for a program. */
export function binaryOf(name: string): Uint8Array {
  return bytes(`${MARK}${name}\n`);
}

/** The program that a binary's bytes name, or null. */
export function programOf(head: Uint8Array): string | null {
  for (let i = 0; i < MARK.length; i++) if (head[i] !== MARK.charCodeAt(i)) return null;
  let name = '';
  for (let i = MARK.length; i < head.length && head[i] !== 10; i++) name += String.fromCharCode(head[i]!);
  return name;
}

/** Capabilities in the order of their numbers, without their CAP_ (linux/capability.h). */
export const CAPABILITIES: readonly string[] = [
  'chown', 'dac_override', 'dac_read_search', 'fowner', 'fsetid', 'kill', 'setgid', 'setuid', 'setpcap', 'linux_immutable', 'net_bind_service',
  'net_broadcast', 'net_admin', 'net_raw', 'ipc_lock', 'ipc_owner', 'sys_module', 'sys_rawio', 'sys_chroot', 'sys_ptrace', 'sys_pacct', 'sys_admin',
  'sys_boot', 'sys_nice', 'sys_resource', 'sys_time', 'sys_tty_config', 'mknod', 'lease', 'audit_write', 'audit_control', 'setfcap', 'mac_override',
  'mac_admin', 'syslog', 'wake_alarm', 'block_suspend', 'audit_read', 'perfmon', 'bpf', 'checkpoint_restore',
];

/** What LOOP_CONFIGURE takes. */
export interface LoopConfig {
  fd: number;
  offset: number;
  /** 0: to the file's end. */
  sizeLimit: number;
  readonly: boolean;
  autoclear: boolean;
}

/** What LOOP_GET_STATUS64 gives. */
export interface LoopStatus {
  file: string;
  ino: number;
  dev: number;
  offset: number;
  sizeLimit: number;
  readonly: boolean;
  autoclear: boolean;
}
