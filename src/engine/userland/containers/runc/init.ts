/**
 * `runc init`: three stages. The first stays outside, writes id maps and reports pids. The second joins and makes
 * namespaces. The third, a child so that it is in the new pid namespace, builds the container's view, drops what it may not
 * have, waits at the exec fifo and becomes the program. Stages two and three are children of runc itself (CLONE_PARENT).
 * Source: runc libcontainer/nsenter/nsexec.c, standard_init_linux.go, setns_init_linux.go, init_linux.go.
 */
import {
  AF_UNIX, AT_FDCWD, CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWPID, CLONE_NEWTIME, CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWUTS, CLONE_PARENT, MAP_ANONYMOUS, MAP_PRIVATE, O_CLOEXEC, O_RDONLY, O_WRONLY,
  PROT_READ, PROT_WRITE, SIG, SOCK_STREAM, SysError,
} from '../../../kernel/abi.ts';
import { compute, sys, touch } from '../../../kernel/sys.ts';
import { bytes } from '../../../sim/text.ts';
import { MiB, MS } from '../../../sim/units.ts';
import { attempt, poke } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { complain } from '../../lib/io.ts';
import { becomeUser, closeOnExec, goTo, lookPath, Refused, requireEnv, requireFds, startEnv } from './identity.ts';
import { HookFailed, runHooks } from './hooks.ts';
import { makeConsole } from './console.ts';
import { type Boot, INIT_FDS, type InitConfig, type Sync } from './launch.ts';
import { linesOf, type Lines, receive, tell } from './pipe.ts';
import { finishRootfs, InitError, pivotRoot, prepareRootfs } from './rootfs.ts';
import { loadSeccomp } from './seccomp.ts';
import { FIFO } from './state.ts';

/** Anonymous memory that the runtime of Go holds when it makes a container. */
const HEAP = 4 * MiB;

export function* init(): Call<number> {
  const lines = linesOf(INIT_FDS.pipe);
  const boot = yield* receive<Boot>(lines);
  if (!boot) return 1;
  yield* sys('prctl', 'PR_SET_NAME', 'runc:[0:PARENT]');
  const [mine, theirs] = yield* sys('socketpair', AF_UNIX, SOCK_STREAM);
  const stage1 = yield* sys('clone', {
    flags: CLONE_PARENT,
    run: function* () {
      yield* sys('close', mine);
      return yield* second(boot, linesOf(theirs));
    },
  });
  yield* sys('close', theirs);
  const child = linesOf(mine);
  for (;;) {
    const said = yield* receive<{ type: 'map' } | { type: 'pid'; pid: number } | { type: 'error'; message: string; fatal?: boolean }>(child);
    if (said?.type === 'map') {
      yield* attempt(poke(`/proc/${stage1}/setgroups`, boot.gidMap === '' ? 'deny' : 'allow'), undefined);
      if (boot.gidMap !== '') yield* poke(`/proc/${stage1}/gid_map`, boot.gidMap);
      yield* poke(`/proc/${stage1}/uid_map`, boot.uidMap);
      yield* tell(mine, { type: 'mapped' });
    } else if (said?.type === 'pid') {
      yield* tell(INIT_FDS.pipe, { stage1, stage2: said.pid });
      return 0;
    } else {
      yield* tell(INIT_FDS.pipe, { stage1, stage2: 0, error: said?.message ?? 'runc init: the second stage ended', ...(said?.fatal ? { fatal: said.message } : {}) });
      return 1;
    }
  }
}

function* second(boot: Boot, up: Lines): Call<number> {
  yield* sys('prctl', 'PR_SET_NAME', 'runc:[1:CHILD]');
  try {
    const fds: number[] = [];
    for (const { path } of boot.join) fds.push(yield* join(path, sys('openat', AT_FDCWD, path, O_RDONLY | O_CLOEXEC)));
    for (const [i, { type }] of boot.join.entries()) yield* enterOne(type, fds[i]!);
    for (const fd of fds) yield* sys('close', fd);
    if (boot.make & CLONE_NEWUSER) {
      yield* sys('unshare', CLONE_NEWUSER);
      yield* tell(up.fd, { type: 'map' });
      if (!(yield* receive(up))) return 1;
      yield* sys('setresuid', 0, 0, 0);
    }
    const rest = boot.make & ~(CLONE_NEWUSER | CLONE_NEWCGROUP);
    if (rest) yield* sys('unshare', rest);
    const pid = yield* sys('clone', {
      flags: CLONE_PARENT,
      run: function* () {
        yield* sys('close', up.fd);
        return yield* third(boot);
      },
    });
    yield* tell(up.fd, { type: 'pid', pid });
    return 0;
  } catch (error) {
    if (error instanceof NsexecFailed) yield* tell(up.fd, { type: 'error', message: error.message, fatal: true });
    else if (error instanceof Refused) yield* tell(up.fd, { type: 'error', message: error.message });
    else if (error instanceof SysError) yield* tell(up.fd, { type: 'error', message: `can't make namespaces: ${error.message.toLowerCase()}` });
    else throw error;
    return 1;
  }
}

function* join(path: string, step: Call<number>): Call<number> {
  try {
    return yield* step;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Refused(`failed to join namespace ${path}: ${error.message.toLowerCase()}`);
  }
}

/** nsexec speaks itself when this fails. */
class NsexecFailed extends Error {}

const SPOKEN: Readonly<Record<number, string>> = { [CLONE_NEWUSER]: 'user', [CLONE_NEWNET]: 'net', [CLONE_NEWNS]: 'mnt', [CLONE_NEWUTS]: 'uts', [CLONE_NEWCGROUP]: 'cgroup', [CLONE_NEWIPC]: 'ipc', [CLONE_NEWPID]: 'pid', [CLONE_NEWTIME]: 'time' };

function* enterOne(type: number, fd: number): Call<void> {
  try {
    yield* sys('setns', fd, type);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new NsexecFailed(`failed to setns into ${SPOKEN[type]} namespace: ${error.message}`);
  }
}

/** The process that becomes the container's program. */
function* third(boot: Boot): Call<number> {
  yield* sys('prctl', 'PR_SET_NAME', 'runc:[2:INIT]');
  const lines = linesOf(INIT_FDS.pipe);
  yield* sys('setsid');
  yield* sys('setresuid', 0, 0, 0);
  yield* sys('setresgid', 0, 0, 0);
  yield* attempt(sys('setgroups', []), 0);
  if (boot.make & CLONE_NEWCGROUP) yield* sys('unshare', CLONE_NEWCGROUP);
  const config = yield* receive<InitConfig>(lines);
  if (!config) return 1;
  yield* touch(yield* sys('mmap', HEAP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS), HEAP, 'w');
  yield* compute(8 * MS);
  let program: string;
  try {
    program = config.kind === 'standard' ? yield* standard(boot, config, lines) : yield* joining(config);
  } catch (error) {
    const message = error instanceof InitError || error instanceof Refused ? error.message : error instanceof SysError ? error.message.toLowerCase() : null;
    if (message === null) throw error;
    yield* tell(INIT_FDS.pipe, { type: 'error', message: message.replace(/^error during container init: /, '') } satisfies Sync);
    return 1;
  }
  yield* sys('close', INIT_FDS.pipe);
  if (config.fifo) yield* waitAtFifo();
  try {
    yield* inside(config, 'startContainer', 'created');
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    yield* complain(`${error.message}\n`);
    return 1;
  }
  return yield* become(program, config);
}

function* standard(boot: Boot, config: InitConfig, lines: Lines): Call<string> {
  const { spec, process } = config;
  requireEnv(process);
  if (boot.make & CLONE_NEWNET) yield* attempt(sys('netlink', { type: 'link.set', name: 'lo', up: true }), 0);
  if (boot.make & CLONE_NEWNS) {
    yield* prepareRootfs(spec, config.rootfs);
    yield* ask(lines, 'hooks');
    yield* sys('chdir', config.rootfs);
    yield* inside(config, 'createContainer', 'creating');
    yield* pivotRoot(config.rootfs);
    yield* makeCwd(process.cwd);
  } else {
    yield* ask(lines, 'hooks');
    yield* sys('chroot', config.rootfs);
    yield* sys('chdir', '/');
  }
  if (config.console) yield* makeConsole(INIT_FDS.console, process.consoleSize, 'with /dev/console');
  if (boot.make & CLONE_NEWUTS) {
    if (spec.hostname) yield* named('sethostname', sys('sethostname', spec.hostname));
  }
  for (const [key, value] of Object.entries(spec.linux.sysctl ?? {})) yield* sysctl(key, value);
  if (boot.make & CLONE_NEWNS) yield* finishRootfs(spec);
  if (process.noNewPrivileges) yield* sys('prctl', 'PR_SET_NO_NEW_PRIVS', 1);
  yield* ask(lines, 'ready');
  yield* requireFds();
  yield* goTo(process.cwd);
  if (spec.linux.seccomp && !process.noNewPrivileges) yield* loadSeccomp(spec.linux.seccomp);
  yield* becomeUser(process);
  const program = yield* lookPath(process);
  if (spec.linux.seccomp && process.noNewPrivileges) yield* loadSeccomp(spec.linux.seccomp);
  return program;
}

function* joining(config: InitConfig): Call<string> {
  const { spec, process } = config;
  if (config.console) yield* makeConsole(INIT_FDS.console, process.consoleSize, 'without /dev/console');
  if (process.noNewPrivileges) yield* sys('prctl', 'PR_SET_NO_NEW_PRIVS', 1);
  yield* goTo(process.cwd);
  if (spec.linux.seccomp && !process.noNewPrivileges) yield* loadSeccomp(spec.linux.seccomp);
  yield* becomeUser(process);
  const program = yield* lookPath(process);
  if (spec.linux.seccomp && process.noNewPrivileges) yield* loadSeccomp(spec.linux.seccomp);
  return program;
}

/** Hooks in the container's namespaces. */
function* inside({ spec, state }: InitConfig, kind: 'createContainer' | 'startContainer', status: 'creating' | 'created'): Call<void> {
  if (!state || !spec.hooks?.[kind]) return;
  try {
    yield* runHooks(spec, kind, { ...state, status, pid: yield* sys('getpid') });
  } catch (error) {
    if (!(error instanceof HookFailed)) throw error;
    throw new Refused(error.message);
  }
}

function* ask(lines: Lines, type: 'hooks' | 'ready'): Call<void> {
  yield* tell(INIT_FDS.pipe, { type } satisfies Sync);
  if (!(yield* receive(lines))) throw new Refused('the parent has gone');
}

function* makeCwd(cwd: string): Call<void> {
  let at = '';
  for (const part of cwd.split('/').filter((p) => p !== '')) {
    at += `/${part}`;
    yield* attempt(sys('mkdirat', AT_FDCWD, at, 0o755), 0);
  }
}

/** A call whose failure is told with its name (os.SyscallError). */
function* named<T>(name: string, call: Call<T>): Call<T> {
  try {
    return yield* call;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Refused(`${name}: ${error.message.toLowerCase()}`);
  }
}

function* sysctl(key: string, value: string): Call<void> {
  const path = `/proc/sys/${key.replace(/\./g, '/')}`;
  let call = 'open';
  try {
    const fd = yield* sys('openat', AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
    call = 'write';
    yield* sys('write', fd, bytes(value));
    yield* sys('close', fd);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Refused(`${call} ${path}: ${error.message.toLowerCase()}`);
  }
}

/** Opening blocks until `runc start` opens the other end. */
function* waitAtFifo(): Call<void> {
  const fd = yield* sys('openat', INIT_FDS.state, FIFO, O_WRONLY | O_CLOEXEC);
  yield* sys('write', fd, bytes('0'));
  yield* sys('close', fd);
}

/** A binary of a real image; what the machine's own images hold only stands for programs. */
function* isElf(path: string): Call<boolean> {
  const fd = yield* attempt(sys('openat', AT_FDCWD, path, O_RDONLY), -1);
  if (fd < 0) return false;
  const head = yield* sys('read', fd, 4);
  yield* sys('close', fd);
  return head[0] === 0x7f && head[1] === 0x45 && head[2] === 0x4c && head[3] === 0x46;
}

function* become(program: string, config: InitConfig): Call<number> {
  const { process } = config;
  const env = yield* startEnv(process);
  yield* closeOnExec(3);
  yield* sys('rt_sigaction', SIG.PIPE, { handler: 'default' });
  try {
    yield* sys('execve', program, process.args, env);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`exec ${program}: ${error.message.toLowerCase()}\n`);
    if (error.errno === 'ENOEXEC' && (yield* isElf(program))) yield* complain(`not modelled: ${program}: machine code of a real binary\n`);
  }
  return 255;
}
