/**
 * The shim's answers: each a method of containerd's task service, carried out by runc as a child. Source:
 * containerd cmd/containerd-shim-runc-v2/task/service.go, process/{init,exec}.go.
 */
import { exited, POLLIN, TIOCSWINSZ, WNOHANG, AT_FDCWD, MNT_DETACH, SysError } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { MS } from '../../../sim/units.ts';
import { attempt, removeAll, tryRead, writeFile } from '../../lib/files.ts';
import { type Call, listen } from '../../lib/http.ts';
import { Refusal, type Requests, type Responses, type TaskState } from '../containerd/api.ts';
import { CGROUP_ROOT, pidsIn } from '../runc/cgroup.ts';
import { receiveMaster } from '../runc/console.ts';
import { lastError } from '../runc/log.ts';
import { mountOptions } from '../runc/rootfs.ts';
import { dropBell, hear, makeBell, ring } from './bell.ts';
import { metricsOf } from './metrics.ts';
import { spawn } from './spawn.ts';
import { announce, waitFor, catchUp, type Held, newProc, type Proc, type Shim, watchMemory } from './state.ts';
import { attachConsole, closeChild, closeStdin, type Io, pipes, withoutStreams } from './streams.ts';

/** As the shim takes Create: containerd has made the bundle. */
type ShimCreate = Requests['Create'] & { bundle: string };

const RUNC = '/usr/sbin/runc';

function heldOf(shim: Shim, id: string): Held {
  const held = shim.containers.get(id);
  if (!held) throw new Refusal('NOT_FOUND', `container not created: not found`);
  return held;
}

function procOf(shim: Shim, r: { containerId: string; execId?: string }): { held: Held; proc: Proc } {
  const held = heldOf(shim, r.containerId);
  if (!r.execId) return { held, proc: held.init };
  const proc = held.execs.get(r.execId);
  if (!proc) throw new Refusal('NOT_FOUND', `process does not exist ${r.execId}: not found`);
  return { held, proc };
}

/** Runs runc; refuses with its last logged error after `what`, or for '' as runc's own output. `io` are its streams, which the container inherits. */
function* runc(shim: Shim, held: { bundle: string; systemd: boolean }, what: string, args: readonly string[], io: readonly number[], console: number): Call<number> {
  const log = `${held.bundle}/log.json`;
  yield* writeFile(log, '', 0o600);
  const argv = [RUNC, '--root', `/run/containerd/runc/${shim.namespace}`, '--log', log, '--log-format', 'json', ...(held.systemd ? ['--systemd-cgroup'] : []), ...args];
  const pid = yield* spawn({ argv, stdio: io });
  const master = console < 0 ? -1 : yield* acceptMaster(shim, console, pid);
  const status = yield* waitFor(shim, pid);
  if (exited(status) === 0) return master;
  const why = lastError((yield* tryRead(log)) ?? '');
  const ended = `runc did not terminate successfully: exit status ${exited(status) ?? 255}`;
  throw new Refusal('UNKNOWN', what === '' ? `${ended}: ${why}\n: unknown` : `${what}: ${why || ended}: unknown`);
}

/** The console's master, from whoever connects, unless runc ends before anybody does. */
function* acceptMaster(shim: Shim, listening: number, pid: number): Call<number> {
  for (;;) {
    const ready = yield* attempt(sys('poll', [{ fd: listening, events: POLLIN }], 20 * MS), [], 'EINTR');
    if (ready.length > 0) {
      const { fd } = yield* sys('accept4', listening, 0);
      return yield* attempt(receiveMaster(fd), -1);
    }
    if (shim.ended.has(pid)) return -1;
    const ended = yield* attempt(sys('wait4', pid, WNOHANG), null, 'ECHILD');
    if (ended && ended.pid === pid) {
      shim.ended.set(pid, ended.status);
      return -1;
    }
  }
}

/** Starts runc with the streams that the process is to have. */
function* withStreams(shim: Shim, held: Held, proc: Proc, what: string, args: readonly string[], then: readonly string[]): Call<void> {
  const { streams } = proc;
  const io: Io = streams.terminal ? yield* withoutStreams() : yield* pipes(streams);
  proc.io = io;
  const socket = `/run/containerd/s/pty-${held.id.slice(0, 12)}-${proc.id.slice(0, 12)}`;
  const listening = streams.terminal ? yield* listen({ family: 'unix', path: socket }, 0o700) : -1;
  try {
    const master = yield* runc(shim, held, what, [...args, ...(listening < 0 ? [] : ['--console-socket', socket]), ...then], io.child, listening);
    if (master >= 0) yield* attachConsole(io, master, streams);
  } catch (error) {
    yield* closeStdin(io);
    throw error;
  } finally {
    yield* closeChild(io);
    if (listening >= 0) {
      yield* attempt(sys('close', listening), 0);
      yield* attempt(sys('unlinkat', AT_FDCWD, socket, 0), 0);
    }
  }
}

export function* create(shim: Shim, r: ShimCreate): Call<Responses['Create']> {
  const held: Held = {
    id: r.containerId, bundle: r.bundle, systemd: r.options?.systemdCgroup === true, cgroup: '', init: newProc(r.containerId, r, null), execs: new Map(), paused: false,
    mounted: false, kills: 0, gone: null,
  };
  if (shim.containers.has(held.id)) throw new Refusal('ALREADY_EXISTS', `task ${held.id}: already exists`);
  for (const m of r.rootfs ?? []) {
    const { flags, data } = mountOptions(m.options);
    yield* mountRoot(m.source, `${r.bundle}/rootfs`, m.type, flags, data);
    held.mounted = true;
  }
  const pidFile = `${r.bundle}/init.pid`;
  try {
    yield* withStreams(shim, held, held.init, 'OCI runtime create failed', ['create', '--bundle', r.bundle, '--pid-file', pidFile], [held.id]);
  } catch (error) {
    if (held.mounted) yield* attempt(sys('umount2', `${r.bundle}/rootfs`, MNT_DETACH), 0);
    throw error;
  }
  held.init.pid = Number(yield* tryRead(pidFile));
  const path = /^0::(.*)$/m.exec((yield* tryRead(`/proc/${held.init.pid}/cgroup`)) ?? '')?.[1] ?? '';
  held.cgroup = `${CGROUP_ROOT}${path}`;
  shim.containers.set(held.id, held);
  yield* watchMemory(shim, held);
  yield* announce(shim, '/tasks/create', { containerId: held.id, pid: held.init.pid });
  yield* catchUp(shim, held, held.init);
  return { containerId: held.id, pid: held.init.pid };
}

function* mountRoot(source: string, target: string, type: string, flags: number, data: string): Call<void> {
  try {
    yield* sys('mount', source, target, type, flags, data);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Refusal('UNKNOWN', `failed to mount rootfs component: ${error.message.toLowerCase()}: unknown`);
  }
}

function* start(shim: Shim, r: Requests['Start']): Call<Responses['Start']> {
  const { held, proc } = procOf(shim, r);
  if (proc.status !== 'CREATED') throw new Refusal('FAILED_PRECONDITION', `cannot start a ${proc.status.toLowerCase()} process: failed precondition`);
  if (proc === held.init) {
    proc.starting = true;
    try {
      yield* runc(shim, held, 'OCI runtime start failed', ['start', held.id], [-1, -1, -1], -1);
    } catch (error) {
      proc.starting = false;
      throw error;
    }
    proc.status = 'RUNNING';
    yield* announce(shim, '/tasks/start', { containerId: held.id, pid: proc.pid });
    yield* catchUp(shim, held, proc);
    return { pid: proc.pid };
  }
  const base = `${held.bundle}/${proc.id}`;
  yield* writeFile(`${base}.json`, JSON.stringify({ ...proc.spec, terminal: proc.streams.terminal }), 0o600);
  try {
    yield* withStreams(shim, held, proc, 'OCI runtime exec failed', ['exec', '--process', `${base}.json`, '--pid-file', `${base}.pid`, '--detach'], [held.id]);
  } catch (error) {
    proc.status = 'STOPPED';
    proc.exitStatus = 255;
    throw error;
  }
  proc.pid = Number(yield* tryRead(`${base}.pid`));
  proc.status = 'RUNNING';
  yield* announce(shim, '/tasks/exec-started', { containerId: held.id, execId: proc.id, pid: proc.pid });
  yield* catchUp(shim, held, proc);
  return { pid: proc.pid };
}

function* remove(shim: Shim, r: Requests['Delete']): Call<Responses['Delete']> {
  const { held, proc } = procOf(shim, r);
  if (proc.status !== 'STOPPED' && !(proc === held.init && proc.status === 'CREATED')) {
    throw new Refusal('FAILED_PRECONDITION', `cannot delete a ${held.paused ? 'paused' : 'running'} process: failed precondition`);
  }
  if (proc.io) yield* closeStdin(proc.io);
  if (proc !== held.init) held.execs.delete(proc.id);
  else {
    yield* attempt(refused(runc(shim, held, 'runc delete failed', ['delete', '--force', held.id], [-1, -1, -1], -1)), 0);
    if (held.mounted) yield* attempt(sys('umount2', `${held.bundle}/rootfs`, MNT_DETACH), 0);
    if (held.gone) yield* ring(held.gone);
    shim.containers.delete(held.id);
  }
  if (proc.io && proc.io.master >= 0) yield* attempt(sys('close', proc.io.master), 0);
  yield* announce(shim, '/tasks/delete', { containerId: held.id, id: proc.id, pid: proc.pid, exitStatus: proc.exitStatus, exitedAt: proc.exitedAt });
  return { pid: proc.pid, exitStatus: proc.exitStatus, exitedAt: proc.exitedAt };
}

/** A refusal that changes nothing. */
function* refused(step: Call<number>): Call<number> {
  try {
    return yield* step;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return -1;
  }
}

function* kill(shim: Shim, r: Requests['Kill']): Call<object> {
  const { held, proc } = procOf(shim, r);
  if (proc.status === 'STOPPED') throw new Refusal('NOT_FOUND', 'process already finished: not found');
  if (proc.pid === 0) throw new Refusal('FAILED_PRECONDITION', 'process not created: failed precondition');
  const pids = r.all ? yield* pidsIn(held.cgroup) : [proc.pid];
  for (const pid of pids) yield* attempt(sys('kill', pid, r.signal), 0);
  return {};
}

function* addExec(shim: Shim, r: Requests['Exec']): Call<object> {
  const held = heldOf(shim, r.containerId);
  if (held.init.status === 'STOPPED') throw new Refusal('FAILED_PRECONDITION', 'cannot exec in a stopped state: failed precondition');
  if (held.paused) throw new Refusal('FAILED_PRECONDITION', 'cannot exec in a paused state: failed precondition');
  if (held.execs.has(r.execId)) throw new Refusal('ALREADY_EXISTS', `id ${r.execId}: already exists`);
  held.execs.set(r.execId, newProc(r.execId, { stdin: r.stdin, stdout: r.stdout, stderr: r.stderr, terminal: r.terminal }, r.spec));
  yield* announce(shim, '/tasks/exec-added', { containerId: held.id, execId: r.execId });
  return {};
}

function* wait(shim: Shim, r: Requests['Wait']): Call<Responses['Wait']> {
  const { proc } = procOf(shim, r);
  if (proc.status !== 'STOPPED') {
    const bell = yield* makeBell();
    proc.waiters.push(bell);
    while ((proc.status as string) !== 'STOPPED') yield* hear(bell);
    proc.waiters = proc.waiters.filter((b) => b !== bell);
    yield* dropBell(bell);
  }
  return { exitStatus: proc.exitStatus, exitedAt: proc.exitedAt };
}

function* freeze(shim: Shim, r: { containerId: string }, what: 'pause' | 'resume'): Call<object> {
  const held = heldOf(shim, r.containerId);
  yield* runc(shim, held, `OCI runtime ${what} failed`, [what, held.id], [-1, -1, -1], -1);
  held.paused = what === 'pause';
  yield* announce(shim, what === 'pause' ? '/tasks/paused' : '/tasks/resumed', { containerId: held.id });
  return {};
}

export function stateOf(held: Held, proc: Proc): TaskState {
  const { pid, exitStatus, exitedAt, streams } = proc;
  const status = proc.status === 'RUNNING' && held.paused ? 'PAUSED' : proc.status;
  return { containerId: held.id, id: proc.id, pid, status, exitStatus, exitedAt, stdin: streams.stdin, stdout: streams.stdout, stderr: streams.stderr, terminal: streams.terminal };
}

type Method = (shim: Shim, request: never) => Call<object>;

export const METHODS: Readonly<Record<string, Method>> = {
  Create: create,
  Start: start,
  Kill: kill,
  Delete: remove,
  Exec: addExec,
  Wait: wait,
  *ResizePty(shim: Shim, r: Requests['ResizePty']) {
    const { proc } = procOf(shim, r);
    if (proc.io && proc.io.master >= 0) yield* attempt(sys('ioctl', proc.io.master, TIOCSWINSZ, { rows: r.height, cols: r.width }), 0);
    return {};
  },
  *CloseIO(shim: Shim, r: Requests['CloseIO']) {
    const { proc } = procOf(shim, r);
    if (proc.io) yield* closeStdin(proc.io);
    return {};
  },
  Pause: (shim: Shim, r: Requests['Pause']) => freeze(shim, r, 'pause'),
  Resume: (shim: Shim, r: Requests['Resume']) => freeze(shim, r, 'resume'),
  *Update(shim: Shim, r: Requests['Update']) {
    const held = heldOf(shim, r.containerId);
    yield* writeFile(`${held.bundle}/update.json`, JSON.stringify(r.resources), 0o600);
    yield* runc(shim, held, '', ['update', '--resources', `${held.bundle}/update.json`, held.id], [-1, -1, -1], -1);
    yield* removeAll(`${held.bundle}/update.json`);
    return {};
  },
  *ListPids(shim: Shim, r: Requests['ListPids']) {
    return { processes: (yield* pidsIn(heldOf(shim, r.containerId).cgroup)).sort((a, b) => a - b).map((pid) => ({ pid })) };
  },
  *Metrics(shim: Shim, r: Requests['Metrics']) {
    return { metrics: yield* metricsOf(heldOf(shim, r.containerId).cgroup) };
  },
  // biome-ignore lint/correctness/useYield: the type of a method
  *Get(shim: Shim, r: Requests['Get']) {
    const { held, proc } = procOf(shim, r);
    return { process: stateOf(held, proc) };
  },
  // biome-ignore lint/correctness/useYield: the type of a method
  *List(shim: Shim) {
    return { tasks: [...shim.containers.values()].map((held) => stateOf(held, held.init)) };
  },
};
