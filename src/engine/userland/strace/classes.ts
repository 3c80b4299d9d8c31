/** The classes of calls that -e trace=%NAME chooses. Source: strace 6.13, syscallent.h; strace(1), "Filtering". */
const words = (text: string): ReadonlySet<string> => new Set(text.split(/\s+/).filter((word) => word !== ''));

const STAT = 'newfstatat fstat';
const NAMED: Readonly<Record<string, ReadonlySet<string>>> = {
  file: words(`openat newfstatat mkdirat mknodat unlinkat renameat2 linkat symlinkat readlinkat fchmodat fchownat utimensat truncate faccessat statfs chdir chroot getcwd setxattr getxattr listxattr removexattr lsetxattr lgetxattr llistxattr lremovexattr
    mount umount2 pivot_root execve`),
  desc: words(`openat close close_range read write pread64 pwrite64 lseek fstat newfstatat getdents64 mkdirat mknodat unlinkat renameat2 linkat symlinkat readlinkat fchmodat fchownat utimensat ftruncate fallocate faccessat fchdir dup dup3
    pipe2 fcntl ioctl poll fsync flock mmap setns perf_event_open`),
  process: words('clone execve exit_group wait4 kill unshare'),
  network: words(`socket socketpair bind listen accept4 connect sendto recvfrom sendmsg recvmsg shutdown getsockname getpeername setsockopt getsockopt netlink`),
  signal: words('kill rt_sigaction rt_sigprocmask rt_sigreturn pause'),
  ipc: words('shmget shmctl msgget msgctl msgsnd msgrcv semget semctl semop'),
  memory: words('mmap munmap brk mlock madvise'),
  creds: words('getuid geteuid getgid getegid getgroups setgroups setresuid setresgid capget capset prctl'),
  clock: words('clock_gettime'),
  pure: words('getpid getppid gettid getuid geteuid getgid getegid getpgid'),
  stat: words(''), lstat: words(''), fstat: words(STAT), '%stat': words(STAT), statfs: words('statfs'), fstatfs: words(''), '%statfs': words('statfs'),
};

/** By name without the %, older short names too. */
export const CLASSES: Readonly<Record<string, ReadonlySet<string>>> = { ...NAMED, net: NAMED.network!, mem: NAMED.memory! };
