/**
 * The parent's half of starting a process in namespaces: forks `runc init`, puts it in the cgroup, tells it which
 * namespaces to join and make, then answers its questions until it has become the program or said what went wrong.
 * Source: runc libcontainer/process_linux.go (initProcess, setnsProcess).
 */
import { AF_UNIX, O_CLOEXEC, O_DIRECTORY, O_RDONLY, AT_FDCWD, SIG, SOCK_STREAM, SysError } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { attempt, fork, poke, reap } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { CgroupError, keyed, setResources } from './cgroup.ts';
import { HookFailed, runHooks } from './hooks.ts';
import { Fatal, log, type Settings } from './log.ts';
import { type Lines, linesOf, receive, tell } from './pipe.ts';
import type { Process, Resources, Spec } from './spec.ts';
import { RLIMITS } from './validate.ts';

/** What the first stage is told. */
export interface Boot {
  /** CLONE_NEW* of the namespaces to make. */
  make: number;
  /** Namespaces to join, in this order. */
  join: readonly { type: number; path: string }[];
  uidMap: string;
  gidMap: string;
}

/** What the last stage is told. */
export interface InitConfig {
  kind: 'standard' | 'setns';
  /** What hooks are told. */
  state: { id: string; bundle: string } | null;
  spec: Spec;
  process: Process;
  rootfs: string;
  /** A terminal is to be made; its master goes through this descriptor. */
  console: boolean;
  /** It waits at the fifo before it becomes the program. */
  fifo: boolean;
}

/** What the last stage says. */
export type Sync = { type: 'hooks' | 'ready' } | { type: 'error'; message: string };

/** Descriptors of `runc init`: the pipe to the parent, the state directory, the console's socket. */
export const INIT_FDS = { pipe: 3, state: 4, console: 5 };

interface Launch {
  boot: Boot;
  config: InitConfig;
  cgroup: string;
  settings: Settings;
  /** Limits to set once the container's mounts are made; null for a process that joins. */
  resources: Resources | null;
  /** Where the exec fifo is; '' for none. */
  stateDir: string;
  /** A socket to which the console's master goes; -1 for none. */
  consoleFd: number;
  /** What hooks are told; null for a process that joins. */
  state: { id: string; bundle: string } | null;
}

/** Starts it; the pid of the process, a child of the caller, that is (or waits to become) the program. Throws Fatal. */
export function* launch(l: Launch): Call<number> {
  const [mine, theirs] = yield* sys('socketpair', AF_UNIX, SOCK_STREAM);
  yield* sys('fcntl', mine, 'setfd', 1);
  yield* sys('fcntl', theirs, 'setfd', 1);
  const state = l.stateDir === '' ? -1 : yield* sys('openat', AT_FDCWD, l.stateDir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const { consoleFd } = l;
  const first = yield* fork(function* () {
    yield* passOn([theirs, state, consoleFd]);
    yield* sys('execve', '/proc/self/exe', ['runc', 'init'], { _LIBCONTAINER_INITPIPE: String(INIT_FDS.pipe) });
    return 1;
  });
  yield* sys('close', theirs);
  if (state >= 0) yield* sys('close', state);
  const lines = linesOf(mine);
  let pid = 0;
  try {
    yield* enter(l.cgroup, first);
    const adj = l.config.process.oomScoreAdj;
    if (adj !== undefined && (adj < -1000 || adj > 1000)) {
      yield* log(l.settings, 'fatal', `nsexec[${first}]: failed to update /proc/self/oom_score_adj: Invalid argument`);
      yield* attempt(sys('kill', first, SIG.KILL), 0);
      yield* reap(first);
      throw new Fatal("unable to start container process: can't get final child's PID from pipe: EOF");
    }
    yield* tell(mine, l.boot);
    const stages = yield* receive<{ stage1: number; stage2: number; error?: string; fatal?: string }>(lines);
    yield* reap(first);
    if (!stages || stages.error !== undefined) {
      if (stages?.stage1) yield* attempt(reap(stages.stage1), 0);
      if (stages?.fatal) {
        yield* log(l.settings, 'fatal', `nsexec-1[${stages.stage1}]: ${stages.fatal}`);
        yield* log(l.settings, 'fatal', `nsexec-0[${first}]: failed to sync with stage-1: next state: Success`);
        throw new Fatal("unable to start container process: can't get final child's PID from pipe: EOF");
      }
      throw new Fatal(`unable to start container process: ${stages?.error ?? 'waiting for init preliminary setup: EOF'}`);
    }
    yield* attempt(reap(stages.stage1), 0);
    pid = stages.stage2;
    yield* attempt(poke(`/proc/${pid}/oom_score_adj`, String(l.config.process.oomScoreAdj ?? 0)), undefined);
    yield* tell(mine, l.config);
    yield* answer(l, lines, pid);
    return pid;
  } catch (error) {
    if (pid > 0) {
      yield* attempt(sys('kill', pid, SIG.KILL), 0);
      yield* attempt(reap(pid), 0);
    }
    if (error instanceof SysError) throw new Fatal(`unable to start container process: ${error.message.toLowerCase()}`);
    throw error;
  } finally {
    yield* attempt(sys('close', mine), 0);
  }
}

function* enter(cgroup: string, pid: number): Call<void> {
  try {
    yield* poke(`${cgroup}/cgroup.procs`, String(pid));
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Fatal(`unable to start container process: unable to apply cgroup configuration: failed to write ${pid}: write ${cgroup}/cgroup.procs: ${error.message.toLowerCase()}`);
  }
}

/** In the child: the descriptors from 3 on are these, in this order; one that is negative is left closed. */
function* passOn(fds: readonly number[]): Call<void> {
  const high: number[] = [];
  for (const fd of fds) high.push(fd < 0 ? -1 : yield* sys('fcntl', fd, 'dupfd_cloexec', 100));
  for (const [i, fd] of high.entries()) if (fd >= 0) yield* sys('dup3', fd, 3 + i, 0);
}

function* answer(l: Launch, lines: Lines, pid: number): Call<void> {
  let ran = l.config.kind === 'setns';
  for (;;) {
    const sync = yield* receive<Sync>(lines);
    if (sync?.type === 'hooks' || sync?.type === 'ready') {
      if (sync.type === 'hooks' && l.resources) yield* limit(l, l.resources);
      if (sync.type === 'hooks') yield* beside(l, pid);
      if (sync.type === 'ready') {
        yield* rlimits(pid, l.config.process);
        ran = true;
      }
      if ((yield* attempt(tell(lines.fd, { type: 'run' }), null, 'EPIPE')) !== null) continue;
    }
    if (sync === null && ran && (yield* stillThere(pid))) return;
    if ((yield* keyed(`${l.cgroup}/memory.events`, 'oom_kill')) > 0 && l.config.kind === 'standard') {
      throw new Fatal('unable to start container process: container init was OOM-killed (memory limit too low?)');
    }
    if (sync === null && ran) return;
    throw new Fatal(`unable to start container process: ${sync?.type === 'error' ? `${ran ? '' : 'error during container init: '}${sync.message}` : 'error during container init: unexpected EOF'}`);
  }
}

function* stillThere(pid: number): Call<boolean> {
  return (yield* attempt(sys('kill', pid, 0), null)) !== null;
}

/** The hooks that run in runc's own namespaces before the container's view is entered. */
function* beside(l: Launch, pid: number): Call<void> {
  if (!l.state) return;
  try {
    for (const kind of ['prestart', 'createRuntime'] as const) yield* runHooks(l.config.spec, kind, { ...l.state, pid, status: 'creating' });
  } catch (error) {
    if (!(error instanceof HookFailed)) throw error;
    throw new Fatal(`unable to start container process: error during container init: ${error.message}`);
  }
}

function* limit(l: Launch, resources: Resources): Call<void> {
  try {
    yield* setResources(l.cgroup, resources, l.settings.systemd);
  } catch (error) {
    if (!(error instanceof CgroupError)) throw error;
    throw new Fatal(`unable to start container process: error during container init: error setting cgroup config for procHooks process: ${error.message}`);
  }
}

function* rlimits(pid: number, process: Process): Call<void> {
  for (const { type, hard, soft } of process.rlimits ?? []) {
    try {
      yield* sys('prlimit64', pid, type, { cur: soft, max: hard });
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      throw new Fatal(`unable to start container process: error during container init: error setting rlimits for ready process: error setting rlimit type ${RLIMITS[type]}: ${error.message.toLowerCase()}`);
    }
  }
}
