/**
 * What each call takes, so that a program cannot hand the kernel what it would stumble over: a wrong pointer is EFAULT, a number
 * that is none EINVAL, as if the real call had looked. One letter an argument; after `?` the rest may be missing.
 *
 *   n number   w whole number   i number, perhaps without end   s string   b bytes   o record   u record or null   x anything
 *   N list of numbers   S list of strings   E strings by name   t time (number, "now", null)
 *   k list of semaphore operations
 *   O perf event attributes   a socket address   p poll list   m signal action   f clone arguments   c capability sets   P seccomp profile   r netlink request
 */
import type { Errno } from '../abi.ts';
import type { Syscalls } from '../sys.ts';

export const SIGNATURES: { readonly [K in keyof Syscalls]: string } = {
  getpid: '', getppid: '', gettid: '', getpgid: 'n', setpgid: 'nn', getsid: 'n', setsid: '', clone: 'f', unshare: 'n', setns: 'nn', execve: 'sSE',
  exit_group: 'n', wait4: 'nn', prctl: 's?x', getpriority: 'nn', setpriority: 'nnw', sched_yield: '', sched_getaffinity: 'n', sched_setaffinity: 'nN', sched_getscheduler: 'n', sched_setscheduler: 'nsn?x', getrusage: 'n', prlimit64: 'nsu', ptrace: 'sn?x', reboot: 's',
  kill: 'nn', rt_sigaction: 'nm', rt_sigprocmask: 'sN', pause: '', rt_sigreturn: '',
  getuid: '', geteuid: '', getgid: '', getegid: '', getgroups: '', setgroups: 'N', setresuid: 'nnn', setresgid: 'nnn', capget: 'n', capset: 'c',
  seccomp: 'P', sethostname: 's', setdomainname: 's', uname: '', sysinfo: '',
  shmget: 'www', shmctl: 'ws', msgget: 'ww', msgctl: 'ws', msgsnd: 'wwbw', msgrcv: 'wwww', semget: 'www', semctl: 'ws', semop: 'wk',
  nanosleep: 'i', clock_gettime: 's', alarm: 'n',
  mmap: 'wnn?nw', munmap: 'ww', brk: 'w', mlock: 'ww', madvise: 'wws', swapon: 'sn', swapoff: 's',
  openat: 'nsn?n', close: 'n', read: 'nw', write: 'nb', pread64: 'nww', pwrite64: 'nbw', lseek: 'nwn', fstat: 'n', newfstatat: 'nsn', getdents64: 'n',
  mkdirat: 'nsn', mknodat: 'nsnnn', unlinkat: 'nsn', renameat2: 'nsnsn', linkat: 'nsnsn', symlinkat: 'sns', readlinkat: 'ns', fchmodat: 'nsn',
  fchownat: 'nsnnn', utimensat: 'nsttn', truncate: 'sw', ftruncate: 'nw', fallocate: 'nnww', faccessat: 'nsn', statfs: 's', chdir: 's', fchdir: 'n', getcwd: '', chroot: 's',
  umask: 'n', dup: 'n', dup3: 'nwn', pipe2: 'n', close_range: 'nnn', fcntl: 'ns?w', ioctl: 'nn?x', poll: 'pn', fsync: 'n', sync: '', flock: 'nn', setxattr: 'ssbn',
  getxattr: 'ss', listxattr: 's', removexattr: 'ss', lsetxattr: 'ssbn', lgetxattr: 'ss', llistxattr: 's', lremovexattr: 'ss', mount: 'sssns', umount2: 'sn', pivot_root: 'ss',
  socket: 'nnn', socketpair: 'nn', bind: 'na', listen: 'nn', accept4: 'nn', connect: 'na', sendto: 'nb?a', recvfrom: 'nw', sendmsg: 'nbN', recvmsg: 'nw',
  shutdown: 'nn', getsockname: 'n', getpeername: 'n', setsockopt: 'nsn', getsockopt: 'ns', netlink: 'r', perf_event_open: 'Onnnn', syslog: 's?s',
};

type Fields = Record<string, unknown>;

const isRecord = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
const isNumber = (value: unknown): value is number => typeof value === 'number' && !Number.isNaN(value);
const isString = (value: unknown): value is string => typeof value === 'string';
const listOf = (value: unknown, one: (item: unknown) => boolean): boolean => Array.isArray(value) && value.every(one);

const isRule = (value: unknown): boolean =>
  isRecord(value) && isString(value.action) && listOf(value.names, isString) &&
  (value.args === undefined || listOf(value.args, (one) => isRecord(one) && isNumber(one.index) && Number.isFinite(one.value) && isString(one.op) && (one.valueTwo === undefined || Number.isFinite(one.valueTwo))));

const CHECKS: Readonly<Record<string, (value: unknown) => boolean>> = {
  n: Number.isFinite,
  w: Number.isSafeInteger,
  i: isNumber,
  s: isString,
  b: (value) => value instanceof Uint8Array,
  o: isRecord,
  u: (value) => value === null || (isRecord(value) && isNumber(value.cur) && isNumber(value.max)),
  O: (value) => isRecord(value) && ['type', 'config', 'sampleType', 'ringBytes', 'wakeupBytes'].every((key) => isNumber(value[key])),
  x: () => true,
  N: (value) => listOf(value, isNumber),
  S: (value) => listOf(value, isString),
  E: (value) => isRecord(value) && Object.values(value).every(isString),
  k: (value) => listOf(value, (one) => isRecord(one) && Number.isSafeInteger(one.number) && Number.isSafeInteger(one.change)),
  t: (value) => value === null || value === 'now' || isNumber(value),
  a: (value) => isRecord(value) && (value.family === 'unix' ? isString(value.path) : isString(value.family) && isString(value.address) && isNumber(value.port)),
  p: (value) => listOf(value, (one) => isRecord(one) && isNumber(one.fd) && isNumber(one.events)),
  m: (value) => isRecord(value) && (value.handler === 'default' || value.handler === 'ignore' || typeof value.handler === 'function'),
  f: (value) => isRecord(value) && isNumber(value.flags) && typeof value.run === 'function',
  c: (value) => isRecord(value) && Object.values(value).every((one) => one === undefined || listOf(one, isString)),
  P: (value) => isRecord(value) && isString(value.defaultAction) && listOf(value.rules, isRule),
  r: (value) => isRecord(value) && isString(value.type),
};

interface Parameter {
  fits: (value: unknown) => boolean;
  optional: boolean;
  fault: Errno;
}

function parametersOf(letters: string): Parameter[] {
  const [needed, rest = ''] = letters.split('?') as [string, string?];
  const one = (letter: string, optional: boolean): Parameter => ({ fits: CHECKS[letter]!, optional, fault: 'nwi'.includes(letter) ? 'EINVAL' : 'EFAULT' });
  return [...[...needed].map((letter) => one(letter, false)), ...[...rest].map((letter) => one(letter, true))];
}

const PARAMETERS = new Map(Object.entries(SIGNATURES).map(([name, letters]) => [name, parametersOf(letters)]));

/** What is wrong with the arguments of a call: an errno, or null. ENOSYS for a name that is no call. */
export function argumentFault(name: keyof Syscalls, args: readonly unknown[]): Errno | null {
  const parameters = PARAMETERS.get(name);
  if (parameters === undefined) return 'ENOSYS';
  for (let i = 0; i < parameters.length; i++) {
    const { fits, optional, fault } = parameters[i]!;
    const value = args[i];
    if (!fits(value) && !(value === undefined && optional)) return fault;
  }
  return null;
}
