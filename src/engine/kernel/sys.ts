/**
 * The door. A program of the modelled Linux is a generator; all it can do is yield one of three things:
 *
 *   - a system call                         `const fd = yield* sys('openat', AT_FDCWD, path, O_RDONLY, 0)`
 *   - processor time, spent in user mode    `yield* compute(2 * MS)`
 *   - a memory access (may fault)           `yield* touch(address, length, 'w')`
 *
 * The kernel resumes it with the call's result, or throws a `SysError` into it. There is no other way in or out: docker,
 * kubelet and the shell live behind this file. Strings and bytes cross as they are; pointers to structures become records.
 * Which calls exist is this one interface; the kernel's table over it is exhaustive by type.
 */
import type { SchedPolicy } from './records.ts';
import type {
  Dirent, PerfEventAttr, PollFd, Rusage, SockAddr, Stat, Statfs, Sysinfo, Termios, Utsname, WaitResult, Winsize,
} from './abi.ts';

import type { SeccompProfile } from './seccomp.ts';

export type Bytes = Uint8Array;

/** What a program is: `argv[0]` is its name; it returns an exit status (0 when nothing is returned). */
export type Program = (argv: readonly string[], env: Readonly<Record<string, string>>) => Body;
/** A running program or a signal handler. */
// biome-ignore lint/suspicious/noExplicitAny: what is sent in depends on what was yielded; `sys` restores the type
export type Body = Generator<Request, number | void, any>;

export type Request =
  | { readonly op: 'sys'; readonly name: keyof Syscalls; readonly args: readonly unknown[] }
  | { readonly op: 'compute'; readonly ns: number }
  | { readonly op: 'touch'; readonly address: number; readonly length: number; readonly mode: 'r' | 'w' };

export interface CloneArgs {
  /** CLONE_* | exit signal is always SIGCHLD. */
  flags: number;
  /** The child's code. What it closes over must not be changed by the parent afterwards: a copy, as fork makes. */
  run: () => Body;
  /** cgroup v2 directory descriptor (CLONE_INTO_CGROUP). */
  cgroup?: number;
}

export interface SigAction {
  handler: 'default' | 'ignore' | ((signal: number) => Body);
  /** SA_RESTART: an interrupted call is dispatched again instead of failing with EINTR. */
  restart?: boolean;
}

export interface Message {
  data: Bytes;
  /** SCM_RIGHTS: descriptors sent along; on receipt they are new descriptors of the receiver. */
  fds: number[];
  from?: SockAddr;
}

export interface SemOperation {
  number: number;
  change: number;
  flags?: number;
}

/** What IPC_STAT tells of an object of any of the three kinds; times in seconds since 1970. */
export interface IpcStatus {
  id: number; key: number; mode: number;
  uid: number; gid: number; cuid: number; cgid: number;
  ctime: number;
  /** Segments. */
  size: number; cpid: number; lpid: number; nattch: number;
  /** Queues. */
  qnum: number; cbytes: number; qbytes: number; lspid: number; lrpid: number;
  /** Semaphores: values, and who changed each last. */
  values: readonly number[]; pids: readonly number[];
  put: number; taken: number;
}

export interface Syscalls {
  // ---- processes
  getpid(): number;
  getppid(): number;
  gettid(): number;
  getpgid(pid: number): number;
  setpgid(pid: number, pgid: number): 0;
  getsid(pid: number): number;
  setsid(): number;
  clone(args: CloneArgs): number;
  unshare(flags: number): 0;
  setns(fd: number, type: number): 0;
  execve(path: string, argv: readonly string[], env: Readonly<Record<string, string>>): never;
  exit_group(code: number): never;
  /** pid > 0, -1 any child, 0 own group, < -1 that group; with WNOHANG pid 0 in the result means none yet. */
  wait4(pid: number, options: number): WaitResult;
  prctl(option: string, arg?: string | number): number;
  getpriority(which: number, who: number): number;
  setpriority(which: number, who: number, nice: number): 0;
  sched_yield(): 0;
  /** The processors a task may run on; pid 0 is the caller. */
  sched_getaffinity(pid: number): readonly number[];
  sched_setaffinity(pid: number, cpus: readonly number[]): 0;
  sched_getscheduler(pid: number): { policy: SchedPolicy; priority: number; resetOnFork: boolean };
  sched_setscheduler(pid: number, policy: SchedPolicy, priority: number, resetOnFork?: boolean): 0;
  getrusage(who: number): Rusage;
  prlimit64(pid: number, resource: string, limit: { cur: number; max: number } | null): { cur: number; max: number };
  /** Requests by their names (PTRACE_SEIZE, PTRACE_SYSCALL, …), kernel/ptrace.ts; stops are told by wait4. */
  ptrace(request: string, pid: number, arg?: unknown): unknown;
  reboot(cmd: string): 0;

  // ---- signals
  kill(pid: number, signal: number): 0;
  rt_sigaction(signal: number, action: SigAction): SigAction;
  rt_sigprocmask(how: 'block' | 'unblock' | 'setmask', signals: readonly number[]): readonly number[];
  pause(): never;
  /** The end of a signal handler, where somebody traces. */
  rt_sigreturn(): never;

  // ---- identity
  getuid(): number;
  geteuid(): number;
  getgid(): number;
  getegid(): number;
  getgroups(): readonly number[];
  setgroups(groups: readonly number[]): 0;
  setresuid(ruid: number, euid: number, suid: number): 0;
  setresgid(rgid: number, egid: number, sgid: number): 0;
  /** Capability sets as names without CAP_, lower case, e.g. "sys_admin". */
  capget(pid: number): CapSets;
  capset(sets: Partial<CapSets>): 0;
  /** SECCOMP_SET_MODE_FILTER; the profile stands for its BPF program. Needs no_new_privs or CAP_SYS_ADMIN (EACCES). */
  seccomp(profile: SeccompProfile): 0;
  sethostname(name: string): 0;
  setdomainname(name: string): 0;
  // ---- System V objects; key 0 is IPC_PRIVATE, flags are permission bits and IPC_*
  shmget(key: number, size: number, flags: number): number;
  /** Commands: "STAT", "RMID". */
  shmctl(id: number, command: string): IpcStatus | 0;
  msgget(key: number, flags: number): number;
  msgctl(id: number, command: string): IpcStatus | 0;
  msgsnd(id: number, type: number, data: Bytes, flags: number): 0;
  msgrcv(id: number, size: number, type: number, flags: number): { type: number; data: Bytes };
  semget(key: number, count: number, flags: number): number;
  semctl(id: number, command: string): IpcStatus | 0;
  semop(id: number, operations: readonly SemOperation[]): 0;

  uname(): Utsname;
  sysinfo(): Sysinfo;

  // ---- time
  /** Blocks for `ns` nanoseconds of simulated time. */
  nanosleep(ns: number): 0;
  /** 'realtime' is nanoseconds since 1970 (a float, microsecond exact); 'monotonic' and 'boottime' since boot; 'cpu' this process. */
  clock_gettime(clock: 'realtime' | 'monotonic' | 'boottime' | 'cpu'): number;
  alarm(seconds: number): number;

  // ---- memory
  /** Returns an address. With a descriptor the pages are the file's. Pages count when touched. */
  mmap(length: number, prot: number, flags: number, fd?: number, offset?: number): number;
  munmap(address: number, length: number): 0;
  /** 0 asks; returns the break. */
  brk(address: number): number;
  mlock(address: number, length: number): 0;
  /** Flags: SWAP_FLAG_PREFER 0x8000 | priority. */
  swapon(path: string, flags: number): 0;
  swapoff(path: string): 0;
  madvise(address: number, length: number, advice: string): 0;

  // ---- files
  openat(dirfd: number, path: string, flags: number, mode?: number): number;
  close(fd: number): 0;
  /** Empty at end of file. */
  read(fd: number, count: number): Bytes;
  write(fd: number, data: Bytes): number;
  pread64(fd: number, count: number, offset: number): Bytes;
  pwrite64(fd: number, data: Bytes, offset: number): number;
  lseek(fd: number, offset: number, whence: number): number;
  fstat(fd: number): Stat;
  newfstatat(dirfd: number, path: string, flags: number): Stat;
  getdents64(fd: number): Dirent[];
  mkdirat(dirfd: number, path: string, mode: number): 0;
  mknodat(dirfd: number, path: string, mode: number, major: number, minor: number): 0;
  unlinkat(dirfd: number, path: string, flags: number): 0;
  renameat2(olddirfd: number, oldpath: string, newdirfd: number, newpath: string, flags: number): 0;
  linkat(olddirfd: number, oldpath: string, newdirfd: number, newpath: string, flags: number): 0;
  symlinkat(target: string, dirfd: number, path: string): 0;
  readlinkat(dirfd: number, path: string): string;
  fchmodat(dirfd: number, path: string, mode: number): 0;
  fchownat(dirfd: number, path: string, uid: number, gid: number, flags: number): 0;
  /** Seconds since 1970; null leaves, 'now' sets the clock's. */
  utimensat(dirfd: number, path: string, atime: number | 'now' | null, mtime: number | 'now' | null, flags: number): 0;
  truncate(path: string, length: number): 0;
  ftruncate(fd: number, length: number): 0;
  /** Room for these bytes, that nothing was written to; mode 0 makes the file longer, 1 (KEEP_SIZE) does not. */
  fallocate(fd: number, mode: number, offset: number, length: number): 0;
  faccessat(dirfd: number, path: string, mode: number): 0;
  statfs(path: string): Statfs;
  chdir(path: string): 0;
  fchdir(fd: number): 0;
  getcwd(): string;
  chroot(path: string): 0;
  umask(mask: number): number;
  dup(fd: number): number;
  dup3(oldfd: number, newfd: number, flags: number): number;
  pipe2(flags: number): readonly [number, number];
  /** Closes the descriptors from `first` to `last`, or with CLOSE_RANGE_CLOEXEC marks them to be closed at execve. Throws EINVAL. */
  close_range(first: number, last: number, flags: number): 0;
  fcntl(fd: number, cmd: 'getfd' | 'setfd' | 'getfl' | 'setfl' | 'dupfd' | 'dupfd_cloexec', arg?: number): number;
  /** Request numbers in abi.ts and drivers; argument and result depend on the request. */
  ioctl(fd: number, request: number, arg?: unknown): unknown;
  /** Timeout in ns, -1 for ever. Returns the ready ones with their revents; empty on timeout. */
  poll(fds: readonly PollFd[], timeout: number): { fd: number; revents: number }[];
  fsync(fd: number): 0;
  sync(): 0;
  flock(fd: number, operation: number): 0;
  setxattr(path: string, name: string, value: Bytes, flags: number): 0;
  getxattr(path: string, name: string): Bytes;
  listxattr(path: string): string[];
  removexattr(path: string, name: string): 0;
  /** The four of a symbolic link itself. */
  lsetxattr(path: string, name: string, value: Bytes, flags: number): 0;
  lgetxattr(path: string, name: string): Bytes;
  llistxattr(path: string): string[];
  lremovexattr(path: string, name: string): 0;
  mount(source: string, target: string, type: string, flags: number, data: string): 0;
  umount2(target: string, flags: number): 0;
  pivot_root(newRoot: string, putOld: string): 0;

  // ---- sockets
  socket(family: number, type: number, protocol: number): number;
  socketpair(family: number, type: number): readonly [number, number];
  bind(fd: number, address: SockAddr): 0;
  listen(fd: number, backlog: number): 0;
  accept4(fd: number, flags: number): { fd: number; peer: SockAddr };
  connect(fd: number, address: SockAddr): 0;
  sendto(fd: number, data: Bytes, to?: SockAddr): number;
  recvfrom(fd: number, count: number): { data: Bytes; from?: SockAddr };
  sendmsg(fd: number, data: Bytes, fds: readonly number[]): number;
  recvmsg(fd: number, count: number): Message;
  shutdown(fd: number, how: number): 0;
  getsockname(fd: number): SockAddr;
  getpeername(fd: number): SockAddr;
  setsockopt(fd: number, option: string, value: number): 0;
  getsockopt(fd: number, option: string): number;
  /** rtnetlink as one request and its answer; shapes in `net/rtnetlink.ts`. */
  netlink(request: NetlinkRequest): unknown;

  // ---- performance events
  /** pid -1 any, 0 the caller; cpu -1 any; a descriptor that counts and samples hits of a tracepoint. */
  perf_event_open(attr: PerfEventAttr, pid: number, cpu: number, groupFd: number, flags: number): number;

  // ---- the log
  /** 'read' returns the ring buffer's records; 'write' appends one (as /dev/kmsg does). */
  syslog(action: 'read' | 'clear' | 'write', message?: string): LogLine[];
}

export interface CapSets {
  effective: readonly string[];
  permitted: readonly string[];
  inheritable: readonly string[];
  bounding: readonly string[];
  ambient: readonly string[];
}

export interface NetlinkRequest {
  type: string;
  [key: string]: unknown;
}

export interface LogLine {
  /** 0 emergency … 7 debug. */
  level: number;
  /** ns since boot. */
  at: number;
  text: string;
}

/** Makes one system call. Throws SysError inside the program when it fails. */
export function* sys<K extends keyof Syscalls>(
  name: K,
  ...args: Parameters<Syscalls[K]>
): Generator<Request, ReturnType<Syscalls[K]>, unknown> {
  return (yield { op: 'sys', name, args }) as ReturnType<Syscalls[K]>;
}

/** Spends `ns` of processor time in user mode; the scheduler may stretch it over more simulated time. */
export function* compute(ns: number): Generator<Request, void, unknown> {
  yield { op: 'compute', ns };
}

/** Reads or writes every page of a range of its own memory; faults charge pages to the cgroup, and may end the process. */
export function* touch(address: number, length: number, mode: 'r' | 'w'): Generator<Request, void, unknown> {
  yield { op: 'touch', address, length, mode };
}

export type { SchedPolicy };
export type { Dirent, PollFd, Rusage, SockAddr, Stat, Statfs, Sysinfo, Termios, Utsname, WaitResult, Winsize };
