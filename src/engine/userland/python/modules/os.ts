/** os: one system call a function, paths in its errors. Source: Python 3.13 library reference, os. Left out: what has no system call here, dir_fd arguments. */
import * as abi from '../../../kernel/abi.ts';
import { entriesAt } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { argument, bytesArg, calling, counted, intArg, numberArg, pathArg, plain, textArg } from '../arguments.ts';
import { osError, type PyError, raised, typeError } from '../errors.ts';
import { makeFile } from '../files.ts';
import { collect, over } from '../iterate.ts';
import { setItem } from '../sequences.ts';
import { type Async, builtin, bytesOf, coroutine, dict, defineType, isObj, type Kw, list, type Native, tuple, type Type, typeName, type Value } from '../values.ts';
import { sysc, type Vm } from '../vm.ts';
import { osPath } from './ospath.ts';

const { AT_FDCWD } = abi;

/** Runs a call about a path: a failure carries the names. */
export function* about<T>(work: Call<T>, one: Value, two?: Value): Call<T> {
  try {
    return yield* work;
  } catch (error) {
    if (error instanceof abi.SysError) throw osError(error, one, two);
    throw error;
  }
}

/** A call of which Python keeps nothing. */
export function* none(work: Call<unknown>): Call<null> {
  yield* work;
  return null;
}

type OnPath = (vm: Vm, path: string, args: readonly Value[], kw: Kw) => Call<Value>;
const path = (name: string, least: number, work: OnPath): Async => function* (vm, a, kw) {
  const one = argument(a, kw, 0, name === 'rename' ? 'src' : 'path', null);
  if (a.length < least && kw.size === 0) throw typeError(`${name}() missing required argument '${least === 1 ? 'path' : ['path', 'mode', 'value'][a.length]}' (pos ${a.length + 1})`);
  return yield* about(work(vm, pathArg(name, one), a, kw), one);
};
const two = (name: string, work: (vm: Vm, from: string, to: string) => Call<Value>): Async => function* (vm, a, kw) {
  const one = argument(a, kw, 0, 'src', null);
  if (a.length + kw.size < 2) throw typeError(`${name}() missing required argument '${a.length === 0 ? 'src' : 'dst'}' (pos ${a.length + 1})`);
  const other = argument(a, kw, 1, 'dst', null);
  return yield* about(work(vm, pathArg(name, one, 'src'), pathArg(name, other, 'dst')), one, other);
};

const STAT: Type = defineType('stat_result', undefined, 'os');
const STAT_NAMES = ['st_mode', 'st_ino', 'st_dev', 'st_nlink', 'st_uid', 'st_gid', 'st_size', 'st_atime', 'st_mtime', 'st_ctime'];
export function statResult(s: abi.Stat): Value {
  const whole = [s.mode, s.ino, s.dev, s.nlink, s.uid, s.gid, s.size, s.atime, s.mtime, s.ctime].map((n) => BigInt(Math.floor(n)));
  const made = tuple(whole);
  const attrs = new Map<string, Value>(STAT_NAMES.map((name, i) => [name, whole[i]!]));
  attrs.set('st_atime', s.atime).set('st_mtime', s.mtime).set('st_ctime', s.ctime).set('st_blocks', BigInt(s.blocks)).set('st_blksize', BigInt(s.blksize)).set('st_rdev', BigInt((s.rdev[0] << 8) | s.rdev[1]));
  return { t: 'native', type: STAT, attrs, data: made };
}
STAT.attrs.set('__getitem__', builtin('__getitem__', (_vm, a) => ((a[0] as Native).data as { items: Value[] }).items[intArg(a[1]!)]!));
STAT.attrs.set('__iter__', builtin('__iter__', (_vm, a) => over('tuple_iterator', ((a[0] as Native).data as { items: Value[] }).items.values())));
STAT.attrs.set('__repr__', builtin('__repr__', (_vm, a) => `os.stat_result(${STAT_NAMES.map((n, i) => `${n}=${String(((a[0] as Native).data as { items: Value[] }).items[i])}`).join(', ')})`));

function named(name: string, names: readonly string[], values: readonly Value[]): Value {
  return { ...tuple(values), fields: { type: UNAME.get(name) ?? defined(name), names } };
}
const UNAME = new Map<string, Type>();
const defined = (name: string): Type => {
  const type = defineType(name, undefined, 'posix');
  UNAME.set(name, type);
  return type;
};

const stat = (flags: number): Async => function* (vm, a, kw) {
  const at = argument(a, kw, 0, 'path', null);
  if (typeof at === 'bigint') return statResult(yield* sysc(vm, 'fstat', Number(at)));
  const how = kw.get('follow_symlinks') === false ? abi.AT_SYMLINK_NOFOLLOW : flags;
  return statResult(yield* about(sysc(vm, 'newfstatat', AT_FDCWD, pathArg('stat', at), how), at));
};

const FILES: Readonly<Record<string, Async>> = {
  rename: two('rename', function* (vm, from, to) { return yield* none(sysc(vm, 'renameat2', AT_FDCWD, from, AT_FDCWD, to, 0)); }),
  replace: two('replace', function* (vm, from, to) { return yield* none(sysc(vm, 'renameat2', AT_FDCWD, from, AT_FDCWD, to, 0)); }),
  link: two('link', function* (vm, from, to) { return yield* none(sysc(vm, 'linkat', AT_FDCWD, from, AT_FDCWD, to, 0)); }),
  symlink: two('symlink', function* (vm, from, to) { return yield* none(sysc(vm, 'symlinkat', from, AT_FDCWD, to)); }),
  readlink: path('readlink', 1, function* (vm, p) { return yield* sysc(vm, 'readlinkat', AT_FDCWD, p); }),
  mkdir: path('mkdir', 1, function* (vm, p, a, kw) { return yield* none(sysc(vm, 'mkdirat', AT_FDCWD, p, intArg(argument(a, kw, 1, 'mode', 0o777n)))); }),
  rmdir: path('rmdir', 1, function* (vm, p) { return yield* none(sysc(vm, 'unlinkat', AT_FDCWD, p, abi.AT_REMOVEDIR)); }),
  unlink: path('unlink', 1, function* (vm, p) { return yield* none(sysc(vm, 'unlinkat', AT_FDCWD, p, 0)); }),
  remove: path('remove', 1, function* (vm, p) { return yield* none(sysc(vm, 'unlinkat', AT_FDCWD, p, 0)); }),
  chmod: path('chmod', 2, function* (vm, p, a) { return yield* none(sysc(vm, 'fchmodat', AT_FDCWD, p, intArg(a[1]!))); }),
  chown: path('chown', 3, function* (vm, p, a) { return yield* none(sysc(vm, 'fchownat', AT_FDCWD, p, intArg(a[1]!), intArg(a[2]!), 0)); }),
  lchown: path('lchown', 3, function* (vm, p, a) { return yield* none(sysc(vm, 'fchownat', AT_FDCWD, p, intArg(a[1]!), intArg(a[2]!), abi.AT_SYMLINK_NOFOLLOW)); }),
  truncate: path('truncate', 2, function* (vm, p, a) { return yield* none(sysc(vm, 'truncate', p, intArg(a[1]!))); }),
  chdir: path('chdir', 1, function* (vm, p) { return yield* none(sysc(vm, 'chdir', p)); }),
  chroot: path('chroot', 1, function* (vm, p) { return yield* none(sysc(vm, 'chroot', p)); }),
  mkfifo: path('mkfifo', 1, function* (vm, p, a) { return yield* none(sysc(vm, 'mknodat', AT_FDCWD, p, abi.S_IFIFO | (a[1] === undefined ? 0o666 : intArg(a[1])), 0, 0)); }),
  setxattr: path('setxattr', 3, function* (vm, p, a, kw) { return yield* none(sysc(vm, kw.get('follow_symlinks') === false ? 'lsetxattr' : 'setxattr', p, textArg(a[1]!), bytesArg(a[2]!), a[3] === undefined ? 0 : intArg(a[3]))); }),
  getxattr: path('getxattr', 2, function* (vm, p, a, kw) { return bytesOf(yield* sysc(vm, kw.get('follow_symlinks') === false ? 'lgetxattr' : 'getxattr', p, textArg(a[1]!))); }),
  listxattr: path('listxattr', 1, function* (vm, p, _a, kw) { return list(yield* sysc(vm, kw.get('follow_symlinks') === false ? 'llistxattr' : 'listxattr', p)); }),
  removexattr: path('removexattr', 2, function* (vm, p, a, kw) { return yield* none(sysc(vm, kw.get('follow_symlinks') === false ? 'lremovexattr' : 'removexattr', p, textArg(a[1]!))); }),
  utime: path('utime', 1, function* (vm, p, a) {
    const times = isObj(a[1], 'tuple') ? a[1].items.map(numberArg) : ['now' as const, 'now' as const];
    return yield* none(sysc(vm, 'utimensat', AT_FDCWD, p, times[0]!, times[1]!, 0));
  }),
  access: function* (vm, a) {
    try {
      yield* sysc(vm, 'faccessat', AT_FDCWD, pathArg('access', a[0]!), intArg(a[1]!));
      return true;
    } catch (error) {
      if (error instanceof abi.SysError) return false;
      throw error;
    }
  },
  listdir: function* (vm, a) {
    const at = a[0] ?? '.';
    const name = pathArg('listdir', at);
    yield* about(openDirectory(vm, name), at);
    return list((yield* entriesAt(name)).map((e) => e.name));
  },
  stat: stat(0), lstat: stat(abi.AT_SYMLINK_NOFOLLOW),
  makedirs: function* (vm, a, kw) { return yield* makedirs(vm, textArg(a[0]!), argument(a, kw, 1, 'mode', 0o777n), argument(a, kw, 2, 'exist_ok', false) === true); },
  walk: function* (vm, a) {
    const out: Value[] = [];
    yield* walk(vm, pathArg('walk', a[0]!), out);
    return over('generator', out.values());
  },
};

function* openDirectory(vm: Vm, name: string): Call<void> {
  yield* sysc(vm, 'close', yield* sysc(vm, 'openat', AT_FDCWD, name, abi.O_RDONLY | abi.O_DIRECTORY));
}

function* makedirs(vm: Vm, name: string, mode: Value, existing: boolean): Call<Value> {
  const up = name.replace(/\/+$/, '').replace(/\/*[^/]*$/, '');
  const present = function* (p: string): Call<abi.Stat | null> {
    try {
      return yield* sysc(vm, 'newfstatat', AT_FDCWD, p, 0);
    } catch (error) {
      if (error instanceof abi.SysError) return null;
      throw error;
    }
  };
  if (up !== '' && !(yield* present(up))) yield* makedirs(vm, up, mode, true);
  try {
    yield* sysc(vm, 'mkdirat', AT_FDCWD, name, intArg(mode));
  } catch (error) {
    if (!(error instanceof abi.SysError)) throw error;
    const there = yield* present(name);
    if (existing && there && (there.mode & abi.S_IFMT) === abi.S_IFDIR) return null;
    throw frozen(osError(error, name), 'makedirs', 227);
  }
  return null;
}

function* walk(vm: Vm, top: string, out: Value[]): Call<void> {
  const entries = yield* entriesAt(top);
  const dirs = entries.filter((e) => e.type === 'dir').map((e) => e.name);
  out.push(tuple([top, list([...dirs]), list(entries.filter((e) => e.type !== 'dir').map((e) => e.name))]));
  for (const one of dirs) yield* walk(vm, `${top.replace(/\/$/, '')}/${one}`, out);
}

const DESCRIPTORS: Readonly<Record<string, Async>> = {
  open: function* (vm, a, kw) { return BigInt(yield* about(sysc(vm, 'openat', AT_FDCWD, pathArg('open', a[0]!), intArg(argument(a, kw, 1, 'flags', 0n)) | abi.O_CLOEXEC, intArg(argument(a, kw, 2, 'mode', 0o777n))), a[0]!)); },
  close: function* (vm, a) { return yield* none(sysc(vm, 'close', intArg(a[0]!))); },
  read: function* (vm, a) { return bytesOf(yield* sysc(vm, 'read', intArg(a[0]!), intArg(a[1]!))); },
  write: function* (vm, a) { return BigInt(yield* sysc(vm, 'write', intArg(a[0]!), bytesArg(a[1]!))); },
  lseek: function* (vm, a) { return BigInt(yield* sysc(vm, 'lseek', intArg(a[0]!), intArg(a[1]!), intArg(a[2]!))); },
  dup: function* (vm, a) { return BigInt(yield* sysc(vm, 'dup', intArg(a[0]!))); },
  dup2: function* (vm, a) {
    if (a[0] !== a[1]) yield* sysc(vm, 'dup3', intArg(a[0]!), intArg(a[1]!), 0);
    return a[1]!;
  },
  pipe: function* (vm) { return tuple((yield* sysc(vm, 'pipe2', abi.O_CLOEXEC)).map((fd) => BigInt(fd))); },
  fsync: function* (vm, a) { return yield* none(sysc(vm, 'fsync', intArg(a[0]!))); },
  ftruncate: function* (vm, a) { return yield* none(sysc(vm, 'ftruncate', intArg(a[0]!), intArg(a[1]!))); },
  fstat: function* (vm, a) { return statResult(yield* sysc(vm, 'fstat', intArg(a[0]!))); },
  set_inheritable: function* (vm, a) { return yield* none(sysc(vm, 'fcntl', intArg(a[0]!), 'setfd', a[1] === true ? 0 : 1)); },
  fdopen: function* (vm, a, kw) { return makeFile(vm, intArg(a[0]!), a[0]!, String(argument(a, kw, 1, 'mode', 'r'))); },
  sync: function* (vm) { return yield* none(sysc(vm, 'sync')); },
  isatty: function* (vm, a) {
    try {
      yield* sysc(vm, 'ioctl', intArg(a[0]!), abi.TCGETS);
      return true;
    } catch (error) {
      if (error instanceof abi.SysError) return false;
      throw error;
    }
  },
};

const child = (result: abi.WaitResult): Value => tuple([BigInt(result.pid), BigInt(result.status)]);

const PROCESSES: Readonly<Record<string, Async>> = {
  ...Object.fromEntries((['getpid', 'getppid', 'getuid', 'geteuid', 'getgid', 'getegid', 'setsid'] as const).map((name): [string, Async] => [name, function* (vm) { return BigInt((yield* sysc(vm, name)) as number); }])),
  getpgid: function* (vm, a) { return BigInt(yield* sysc(vm, 'getpgid', intArg(a[0]!))); },
  getpgrp: function* (vm) { return BigInt(yield* sysc(vm, 'getpgid', 0)); },
  getsid: function* (vm, a) { return BigInt(yield* sysc(vm, 'getsid', intArg(a[0]!))); },
  setpgid: function* (vm, a) { return yield* none(sysc(vm, 'setpgid', intArg(a[0]!), intArg(a[1]!))); },
  getgroups: function* (vm) { return list((yield* sysc(vm, 'getgroups')).map((g) => BigInt(g))); },
  setuid: function* (vm, a) { return yield* none(sysc(vm, 'setresuid', intArg(a[0]!), intArg(a[0]!), intArg(a[0]!))); },
  setgid: function* (vm, a) { return yield* none(sysc(vm, 'setresgid', intArg(a[0]!), intArg(a[0]!), intArg(a[0]!))); },
  setgroups: function* (vm, a) { return yield* none(sysc(vm, 'setgroups', (yield* collect(vm, a[0]!)).map(intArg))); },
  kill: function* (vm, a) {
    counted('kill', a, 2);
    return yield* none(sysc(vm, 'kill', intArg(a[0]!), intArg(a[1]!)));
  },
  killpg: function* (vm, a) { return yield* none(sysc(vm, 'kill', -intArg(a[0]!), intArg(a[1]!))); },
  nice: function* (vm, a) {
    const now = (yield* sysc(vm, 'getpriority', 0, 0)) + intArg(a[0]!);
    yield* sysc(vm, 'setpriority', 0, 0, Math.max(-20, Math.min(19, now)));
    return BigInt(yield* sysc(vm, 'getpriority', 0, 0));
  },
  umask: function* (vm, a) { return BigInt(yield* sysc(vm, 'umask', intArg(a[0]!))); },
  getcwd: function* (vm) { return yield* sysc(vm, 'getcwd'); },
  _exit: function* (vm, a, kw) { return yield* sysc(vm, 'exit_group', intArg(argument(a, kw, 0, 'status', 0n)) & 255) as Call<never>; },
  fork: function* (vm) { return yield* fork(vm); },
  wait: function* (vm) { return child(yield* sysc(vm, 'wait4', -1, 0)); },
  waitpid: function* (vm, a) { return child(yield* sysc(vm, 'wait4', intArg(a[0]!), intArg(a[1]!))); },
  unshare: function* (vm, a) { return yield* none(sysc(vm, 'unshare', intArg(a[0]!))); },
  setns: function* (vm, a, kw) { return yield* none(sysc(vm, 'setns', intArg(a[0]!), intArg(argument(a, kw, 1, 'nstype', 0n)))); },
  uname: function* (vm) {
    const u = yield* sysc(vm, 'uname');
    return named('uname_result', ['sysname', 'nodename', 'release', 'version', 'machine'], [u.sysname, u.nodename, u.release, u.version, u.machine]);
  },
  sched_getaffinity: function* (vm, a) {
    const made: Value = { t: 'set', map: new Map(), frozen: false };
    for (const cpu of yield* sysc(vm, 'sched_getaffinity', intArg(a[0]!))) made.map.set(BigInt(cpu), BigInt(cpu));
    return made;
  },
  sched_setaffinity: function* (vm, a) { return yield* none(sysc(vm, 'sched_setaffinity', intArg(a[0]!), (yield* collect(vm, a[1]!)).map(intArg))); },
  sched_yield: function* (vm) { return yield* none(sysc(vm, 'sched_yield')); },
  cpu_count: function* (vm) { return BigInt(yield* processors(vm)); },
  process_cpu_count: function* (vm) { return BigInt((yield* sysc(vm, 'sched_getaffinity', 0)).length); },
  getloadavg: function* (vm) { return tuple([...(yield* sysc(vm, 'sysinfo')).loads]); },
  sysconf: function* (vm, a) {
    const name = String(a[0]);
    if (name === 'SC_PAGE_SIZE' || name === 'SC_PAGESIZE') return 4096n;
    if (name === 'SC_CLK_TCK') return 100n;
    if (name === 'SC_NPROCESSORS_ONLN' || name === 'SC_NPROCESSORS_CONF') return BigInt(yield* processors(vm));
    if (name === 'SC_PHYS_PAGES') return BigInt(Math.floor((yield* sysc(vm, 'sysinfo')).totalram / 4096));
    if (name === 'SC_AVPHYS_PAGES') return BigInt(Math.floor((yield* sysc(vm, 'sysinfo')).freeram / 4096));
    throw raised('ValueError', 'unrecognized configuration name');
  },
  urandom: function* (vm, a) { return bytesOf(yield* randomBytes(vm, intArg(a[0]!))); },
  system: function* (vm, a) {
    const { runShell } = yield* lateSubprocess();
    return BigInt(yield* runShell(vm, textArg(a[0]!)));
  },
  ...execs(),
};

/** Set by subprocess.ts, which depends on this file. */
let shell: ((vm: Vm, command: string) => Call<number>) | null = null;
export const setShell = (run: (vm: Vm, command: string) => Call<number>): void => {
  shell = run;
};
function* lateSubprocess(): Call<{ runShell: (vm: Vm, command: string) => Call<number> }> {
  return { runShell: shell! };
}

export function* randomBytes(vm: Vm, count: number): Call<Uint8Array> {
  const fd = yield* sysc(vm, 'openat', AT_FDCWD, '/dev/urandom', abi.O_RDONLY | abi.O_CLOEXEC);
  const data = yield* sysc(vm, 'read', fd, count);
  yield* sysc(vm, 'close', fd);
  return data;
}

/** Processors that are online, as sysconf finds them. */
function* processors(vm: Vm): Call<number> {
  try {
    const fd = yield* sysc(vm, 'openat', AT_FDCWD, '/sys/devices/system/cpu/online', abi.O_RDONLY);
    const data = yield* sysc(vm, 'read', fd, 1024);
    yield* sysc(vm, 'close', fd);
    let n = 0;
    for (const part of String.fromCharCode(...data).trim().split(',')) {
      const [lo, hi] = part.split('-').map(Number);
      n += (hi ?? lo!) - lo! + 1;
    }
    if (n > 0) return n;
  } catch (error) {
    if (!(error instanceof abi.SysError)) throw error;
  }
  return (yield* sysc(vm, 'sched_getaffinity', 0)).length;
}

function* fork(vm: Vm): Call<Value> {
  if (!vm.tape) throw raised('NotImplementedError', 'not modelled: os.fork called without its name in the program text');
  const pid = yield* sysc(vm, 'clone', { flags: 0, run: vm.tape.child });
  if (pid === 0) for (const [signal] of vm.handlers) yield* vm.rearm(signal);
  return BigInt(pid);
}

/** The exec family: l takes words, v a list; p looks along PATH, e takes an environment. */
function execs(): Record<string, Async> {
  const out: Record<string, Async> = {};
  for (const name of ['execl', 'execlp', 'execle', 'execlpe', 'execv', 'execvp', 'execve', 'execvpe']) {
    out[name] = function* (vm, a) {
      const words = [...a];
      const own = name.endsWith('e') ? words.pop()! : null;
      const file = pathArg(name, words[0]!);
      const argv = (name.includes('l', 4) ? words.slice(1) : yield* collect(vm, words[1]!)).map((w) => textArg(w));
      if (argv.length === 0) throw raised('ValueError', `${name}() arg 2 must not be empty`);
      const env = own === null ? Object.fromEntries(vm.env) : environmentOf(own);
      for (const f of vm.files) yield* f.flush();
      return yield* about(execute(vm, file, argv, env, name.includes('p')), name.includes('p') && !file.includes('/') ? (undefined as never) : words[0]!);
    };
  }
  return out;
}

export function environmentOf(v: Value): Record<string, string> {
  const map = isObj(v, 'dict') ? v.map : isObj(v, 'native') && isObj(v.data as Value, 'dict') ? (v.data as { map: Map<unknown, [Value, Value]> }).map : new Map<unknown, [Value, Value]>();
  return Object.fromEntries([...map.values()].map(([k, one]) => [String(k), String(one)]));
}

/** execve along PATH where asked. Throws SysError. */
export function* execute(vm: Vm, file: string, argv: readonly string[], env: Readonly<Record<string, string>>, along: boolean): Call<never> {
  const places = along && !file.includes('/') ? (env.PATH ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin').split(':').map((dir) => `${dir}/${file}`) : [file];
  let failed = new abi.SysError('ENOENT');
  for (const place of places) {
    try {
      yield* sysc(vm, 'execve', place, argv, env);
    } catch (error) {
      if (!(error instanceof abi.SysError)) throw error;
      if (error.errno !== 'ENOENT' && error.errno !== 'ENOTDIR') failed = error;
    }
  }
  throw failed;
}

const STATUS = plain({
  WIFEXITED: (_vm, a) => abi.exited(intArg(a[0]!)) !== null,
  WEXITSTATUS: (_vm, a) => BigInt(abi.exited(intArg(a[0]!)) ?? 0),
  WIFSIGNALED: (_vm, a) => abi.termSignal(intArg(a[0]!)) !== null,
  WTERMSIG: (_vm, a) => BigInt(intArg(a[0]!) & 0x7f),
  waitstatus_to_exitcode: (_vm, a) => BigInt(abi.exited(intArg(a[0]!)) ?? -(abi.termSignal(intArg(a[0]!)) ?? 0)),
  fspath: (_vm, a) => a[0]!,
  fsencode: (_vm, a) => (typeof a[0] === 'string' ? bytesOf(new TextEncoder().encode(a[0])) : a[0]!),
  strerror: (_vm, a) => Object.values(abi.ERRNO).find(([n]) => n === intArg(a[0]!))?.[1] ?? `Unknown error ${String(a[0])}`,
});

const ENVIRON: Type = defineType('_Environ', undefined, 'os');

/** os.environ: changes reach what the program executes later. */
function environ(vm: Vm): Native {
  const data = dict();
  for (const [k, v] of vm.env) setItem(data, k, v, null);
  const made: Native = { t: 'native', type: ENVIRON, attrs: new Map(), data };
  return made;
}
/** An error that the library's own frozen code raises, with its line. */
function frozen(error: PyError, name: string, line: number): PyError {
  error.value.trace = [{ source: { file: '<frozen os>', lines: [] }, name, line, span: null }];
  return error;
}
const held = (v: Value): ReturnType<typeof dict> => (v as Native).data as ReturnType<typeof dict>;
for (const [name, f] of Object.entries(plain({
  __getitem__: (_vm, a) => {
    const found = held(a[0]!).map.get(`s${textArg(a[1]!, 'str expected')}`);
    if (!found) throw frozen(raised('KeyError', a[1]!), '__getitem__', 716);
    return found[1];
  },
  __setitem__: (vm, a) => {
    if (typeof a[1] !== 'string' || typeof a[2] !== 'string') throw typeError(`str expected, not ${typeName(typeof a[1] !== 'string' ? a[1]! : a[2]!)}`);
    setItem(held(a[0]!), a[1], a[2], null);
    vm.env.set(a[1], a[2]);
    return null;
  },
  __delitem__: (vm, a) => {
    if (!held(a[0]!).map.delete(`s${String(a[1])}`)) throw raised('KeyError', a[1]!);
    vm.env.delete(String(a[1]));
    return null;
  },
  __contains__: (_vm, a) => held(a[0]!).map.has(`s${String(a[1])}`),
  __len__: (_vm, a) => BigInt(held(a[0]!).map.size),
  __iter__: (_vm, a) => over('dict_keyiterator', [...held(a[0]!).map.values()].map(([k]) => k).values()),
  get: (_vm, a) => held(a[0]!).map.get(`s${String(a[1])}`)?.[1] ?? a[2] ?? null,
  copy: (_vm, a) => ({ t: 'dict', map: new Map(held(a[0]!).map) }),
  pop: (vm, a) => {
    const key = `s${String(a[1])}`;
    const found = held(a[0]!).map.get(key);
    if (!found && a.length < 3) throw raised('KeyError', a[1]!);
    held(a[0]!).map.delete(key);
    vm.env.delete(String(a[1]));
    return found ? found[1] : a[2]!;
  },
  keys: (_vm, a) => ({ t: 'list', items: [...held(a[0]!).map.values()].map(([k]) => k), view: 'dict_keys' }),
  items: (_vm, a) => ({ t: 'list', items: [...held(a[0]!).map.values()].map((p) => tuple([...p])), view: 'dict_items' }),
}))) ENVIRON.attrs.set(name, f);

const CONSTANTS = [
  'O_RDONLY', 'O_WRONLY', 'O_RDWR', 'O_CREAT', 'O_EXCL', 'O_TRUNC', 'O_APPEND', 'O_NONBLOCK', 'O_DIRECT', 'O_DIRECTORY', 'O_NOFOLLOW', 'O_CLOEXEC', 'O_PATH', 'O_NOCTTY', 'SEEK_SET', 'SEEK_CUR', 'SEEK_END', 'SEEK_DATA', 'SEEK_HOLE',
  'CLONE_VM', 'CLONE_FS', 'CLONE_FILES', 'CLONE_NEWTIME', 'CLONE_NEWNS', 'CLONE_NEWCGROUP', 'CLONE_NEWUTS', 'CLONE_NEWIPC', 'CLONE_NEWUSER', 'CLONE_NEWPID', 'CLONE_NEWNET', 'WNOHANG', 'WUNTRACED', 'WCONTINUED',
] as const;

export function osModule(vm: Vm): Map<string, Value> {
  const vars = new Map<string, Value>(Object.entries({ ...calling({ ...FILES, ...DESCRIPTORS, ...PROCESSES }), ...STATUS }));
  for (const name of CONSTANTS) vars.set(name, BigInt(abi[name]));
  for (const [name, n] of [['F_OK', 0n], ['X_OK', 1n], ['W_OK', 2n], ['R_OK', 4n], ['XATTR_CREATE', 1n], ['XATTR_REPLACE', 2n]] as const) vars.set(name, n);
  const env = environ(vm);
  vars.set('environ', env).set('name', 'posix').set('sep', '/').set('linesep', '\n').set('pathsep', ':').set('devnull', '/dev/null').set('curdir', '.').set('pardir', '..').set('error', raised('OSError').value.type);
  vars.set('getenv', coroutine('getenv', function* (v, a) { return v.env.get(String(a[0])) ?? a[1] ?? null; }));
  vars.set('path', vm.modules.get('os.path') ?? { t: 'module', name: 'posixpath', vars: osPath(), file: null });
  return vars;
}
