/**
 * What a shim holds: containers, their processes, what has ended, what is to be told to containerd. Shared by its threads.
 * The reaper gets every end: a process of a container is marked and announced; another child's status is kept for the
 * thread that waits for it.
 */
import { POLLIN, POLLPRI, shellStatus, SIG, SysError, WNOHANG, AT_FDCWD, O_CLOEXEC, O_RDONLY } from '../../../kernel/abi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { text } from '../../../sim/text.ts';
import { SECOND } from '../../../sim/units.ts';
import { nowIso } from '../../lib/clock.ts';
import { attempt } from '../../lib/files.ts';
import { type Call, thread } from '../../lib/http.ts';
import { call, type Envelope, Refusal, type Streams } from '../containerd/api.ts';
import type { Process } from '../runc/spec.ts';
import { type Bell, dropBell, hear, makeBell, ring } from './bell.ts';
import type { Io } from './streams.ts';

export interface Proc {
  /** The execId; the container's id for its first process. */
  id: string;
  pid: number;
  streams: Streams;
  io: Io | null;
  status: 'CREATED' | 'RUNNING' | 'STOPPED';
  exitStatus: number;
  exitedAt: string;
  waiters: Bell[];
  /** Its start is not told yet: nothing that follows from it may be. */
  starting: boolean;
  /** Of an exec: what to run. */
  spec: Process | null;
}

export interface Held {
  id: string;
  bundle: string;
  systemd: boolean;
  /** Its directory below /sys/fs/cgroup. */
  cgroup: string;
  init: Proc;
  execs: Map<string, Proc>;
  paused: boolean;
  mounted: boolean;
  kills: number;
  gone: Bell | null;
}

export interface Shim {
  namespace: string;
  /** containerd's socket. */
  address: string;
  containers: Map<string, Held>;
  /** Statuses of children that are no container's process, newest 64. */
  ended: Map<number, number>;
  outbox: Envelope[];
  news: Bell;
  child: Bell;
}

export function* createShim(namespace: string, address: string): Call<Shim> {
  return { namespace, address, containers: new Map(), ended: new Map(), outbox: [], news: yield* makeBell(), child: yield* makeBell() };
}

export function newProc(id: string, streams: Streams, spec: Process | null): Proc {
  return { id, pid: 0, streams, io: null, status: 'CREATED', exitStatus: 0, exitedAt: '', waiters: [], starting: false, spec };
}

export function* announce(shim: Shim, topic: Envelope['topic'], event: Envelope['event']): Call<void> {
  shim.outbox.push({ timestamp: yield* nowIso(), namespace: shim.namespace, topic, event });
  yield* ring(shim.news);
}

/** Tells containerd, in order, for as long as it takes: containerd may be away. */
export function* publisher(shim: Shim): Body {
  for (;;) {
    const next = shim.outbox[0];
    if (!next) {
      yield* hear(shim.news);
      continue;
    }
    try {
      yield* call('containerd.services.events.ttrpc.v1.Events/Forward', { envelope: next }, shim.namespace, shim.address);
      shim.outbox.shift();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      yield* sys('nanosleep', SECOND);
    }
  }
}

/** Reaps whatever ends below this subreaper. */
function* reaper(shim: Shim): Body {
  for (;;) {
    let ended: { pid: number; status: number };
    try {
      ended = yield* sys('wait4', -1, WNOHANG);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      ended = { pid: 0, status: 0 };
    }
    if (ended.pid > 0) yield* onEnd(shim, ended.pid, ended.status);
    else yield* hear(shim.child);
  }
}

export function* watchChildren(shim: Shim): Call<void> {
  yield* sys('rt_sigaction', SIG.CHLD, { restart: true, handler: () => rung(shim.child) });
  yield* thread(() => reaper(shim));
}

function* rung(bell: Bell): Body {
  yield* ring(bell);
}

export function* onEnd(shim: Shim, pid: number, status: number): Call<void> {
  for (const held of shim.containers.values()) {
    for (const proc of [held.init, ...held.execs.values()]) {
      if (proc.pid !== pid || proc.status === 'STOPPED' || proc.starting) continue;
      yield* countKills(shim, held);
      proc.status = 'STOPPED';
      proc.exitStatus = shellStatus(status);
      proc.exitedAt = yield* nowIso();
      yield* announce(shim, '/tasks/exit', { containerId: held.id, id: proc.id, pid, exitStatus: proc.exitStatus, exitedAt: proc.exitedAt });
      for (const bell of proc.waiters) yield* ring(bell);
      return;
    }
  }
  shim.ended.set(pid, status);
  for (const old of shim.ended.keys()) if (shim.ended.size > 64) shim.ended.delete(old);
}

/** Waits for a child that is no container's process; the reaper may have been first. */
export function* waitFor(shim: Shim, pid: number): Call<number> {
  for (;;) {
    const known = shim.ended.get(pid);
    if (known !== undefined) {
      shim.ended.delete(pid);
      return known;
    }
    try {
      return (yield* sys('wait4', pid, 0)).status;
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      if (error.errno === 'ECHILD' && !shim.ended.has(pid)) return 0;
    }
  }
}

/** A process may have ended before it was known, or its start told: between runc's return and now. */
export function* catchUp(shim: Shim, held: Held, proc: Proc): Call<void> {
  proc.starting = false;
  if (proc === held.init) yield* countKills(shim, held);
  const status = shim.ended.get(proc.pid);
  if (status === undefined) return;
  shim.ended.delete(proc.pid);
  yield* onEnd(shim, proc.pid, status);
}

// ---- out of memory

function* countKills(shim: Shim, held: Held): Call<void> {
  const fd = yield* attempt(sys('openat', AT_FDCWD, `${held.cgroup}/memory.events`, O_RDONLY | O_CLOEXEC), -1);
  if (fd < 0) return;
  yield* note(shim, held, fd);
  yield* sys('close', fd);
}

function* note(shim: Shim, held: Held, fd: number): Call<boolean> {
  const data = yield* attempt(sys('pread64', fd, 4096, 0), null);
  if (data === null) return false;
  if (held.init.starting) return true;
  const kills = Number(/^oom_kill (\d+)$/m.exec(text(data))?.[1] ?? 0);
  const more = kills > held.kills;
  held.kills = Math.max(held.kills, kills);
  if (more) yield* announce(shim, '/tasks/oom', { containerId: held.id });
  return true;
}

/** Follows memory.events of a container's cgroup: the file has an exceptional condition when a count has changed. */
export function* watchMemory(shim: Shim, held: Held): Call<void> {
  const fd = yield* attempt(sys('openat', AT_FDCWD, `${held.cgroup}/memory.events`, O_RDONLY | O_CLOEXEC), -1);
  if (fd < 0) return;
  const gone = yield* makeBell();
  held.gone = gone;
  yield* thread(function* (): Body {
    while (yield* note(shim, held, fd)) {
      const ready = yield* attempt(sys('poll', [{ fd, events: POLLPRI }, { fd: gone.read, events: POLLIN }], -1), [], 'EINTR');
      if (ready.some((r) => r.fd === gone.read)) break;
    }
    yield* attempt(sys('close', fd), 0);
    yield* dropBell(gone);
    return 0;
  });
}
