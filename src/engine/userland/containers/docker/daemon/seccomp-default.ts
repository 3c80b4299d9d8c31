/**
 * docker's default system-call filter as data: what is allowed to everybody, what a capability opens, what arguments decide.
 * All else fails with EPERM. Grouped by what the calls are about. Source: the published table of moby's default profile, 26.1.
 */
import type { ProfileRule } from './seccomp.ts';

const words = (text: string): string[] => text.trim().split(/\s+/);

const FILES = `
  access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64 fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown
  fchown32 fchownat fcntl fcntl64 fdatasync flock fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd getdents getdents64 ioctl lchown lchown32 link linkat
  _llseek lseek lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open openat openat2 pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink
  readlinkat readv rename renameat renameat2 rmdir sendfile sendfile64 splice stat stat64 statfs statfs64 statx symlink symlinkat sync sync_file_range syncfs tee truncate truncate64 umask
  unlink unlinkat utime utimensat utimensat_time64 utimes vmsplice write writev inotify_add_watch inotify_init inotify_init1 inotify_rm_watch fanotify_mark cachestat`;
const ATTRIBUTES = 'fgetxattr flistxattr fremovexattr fsetxattr getxattr lgetxattr listxattr llistxattr lremovexattr lsetxattr removexattr setxattr';
const MEMORY = `
  brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2 mprotect mremap msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect
  process_mrelease remap_file_pages`;
const PROCESSES = `
  capget capset execve execveat exit exit_group fork getcpu getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpgid getpgrp getpid getppid getpriority
  getresgid getresgid32 getresuid getresuid32 getrlimit get_robust_list getrusage getsid get_thread_area gettid getuid getuid32 ioprio_get ioprio_set kill pidfd_open pidfd_send_signal prctl prlimit64
  restart_syscall rseq sched_getaffinity sched_getattr sched_getparam sched_get_priority_max sched_get_priority_min sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64
  sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setpgid setpriority setregid
  setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit set_robust_list setsid set_thread_area set_tid_address setuid setuid32 sysinfo tgkill tkill ugetrlimit uname
  vfork wait4 waitid waitpid arch_prctl modify_ldt`;
const SIGNALS = `
  pause rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack signalfd signalfd4 sigprocmask sigreturn`;
const WAITING = `
  epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake io_cancel
  io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit _newselect poll ppoll ppoll_time64 pselect6 pselect6_time64 select`;
const TIME = `
  adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 gettimeofday nanosleep time timer_create timer_delete
  timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times`;
const SOCKETS = `
  accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair`;
const MESSAGES = `
  ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat
  shmctl shmdt shmget`;
const CONFINEMENT = 'getrandom landlock_add_rule landlock_create_ruleset landlock_restrict_self seccomp';

const ALLOW = 'SCMP_ACT_ALLOW';
/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const NAMESPACES = 0x7e020000;
const AF_VSOCK = 40;
const ENOSYS = 38;

const personality = (value: number): ProfileRule => ({ names: ['personality'], action: ALLOW, args: [{ index: 0, value, op: 'SCMP_CMP_EQ' }] });
const opened = (names: string, ...caps: string[]): ProfileRule => ({ names: words(names), action: ALLOW, includes: { caps } });

export const DEFAULT_PROFILE: { defaultAction: string; defaultErrnoRet: number; syscalls: readonly ProfileRule[] } = {
  defaultAction: 'SCMP_ACT_ERRNO',
  defaultErrnoRet: 1,
  syscalls: [
    { names: [FILES, ATTRIBUTES, MEMORY, PROCESSES, SIGNALS, WAITING, TIME, SOCKETS, MESSAGES, CONFINEMENT].flatMap(words).sort(), action: ALLOW },
    { names: words('process_vm_readv process_vm_writev ptrace'), action: ALLOW, includes: { minKernel: '4.8' } },
    { names: ['socket'], action: ALLOW, args: [{ index: 0, value: AF_VSOCK, op: 'SCMP_CMP_NE' }] },
    ...[0, 8, 0x20000, 0x20008, 0xffffffff].map(personality),
    opened('open_by_handle_at', 'CAP_DAC_READ_SEARCH'),
    opened(
      `bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog
       umount umount2 unshare`, 'CAP_SYS_ADMIN',
    ),
    { names: ['clone'], action: ALLOW, args: [{ index: 0, value: NAMESPACES, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }], excludes: { caps: ['CAP_SYS_ADMIN'] } },
    { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS, excludes: { caps: ['CAP_SYS_ADMIN'] } },
    opened('reboot', 'CAP_SYS_BOOT'), opened('chroot', 'CAP_SYS_CHROOT'), opened('delete_module init_module finit_module', 'CAP_SYS_MODULE'), opened('acct', 'CAP_SYS_PACCT'),
    opened('kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace', 'CAP_SYS_PTRACE'), opened('iopl ioperm', 'CAP_SYS_RAWIO'),
    opened('settimeofday stime clock_settime clock_settime64', 'CAP_SYS_TIME'), opened('vhangup', 'CAP_SYS_TTY_CONFIG'),
    opened('get_mempolicy mbind set_mempolicy set_mempolicy_home_node', 'CAP_SYS_NICE'), opened('syslog', 'CAP_SYSLOG'), opened('bpf', 'CAP_BPF'), opened('perf_event_open', 'CAP_PERFMON'),
  ],
};
