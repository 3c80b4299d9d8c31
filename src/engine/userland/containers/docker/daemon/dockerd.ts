/**
 * dockerd: the Engine API on /var/run/docker.sock, containerd below it. Threads: one listens for containerd's events, one a
 * connection, one a stream. Source: moby cmd/dockerd, daemon/daemon.go.
 */
import { SIG, SysError } from '../../../../kernel/abi.ts';
import { type Body, type Program, sys } from '../../../../kernel/sys.ts';
import { MS, SECOND } from '../../../../sim/units.ts';
import { nowNs } from '../../../lib/clock.ts';
import { exists, mkdirAll, raiseFiles, tryRead, writeFile } from '../../../lib/files.ts';
import { type Call, listen, serveOn, thread } from '../../../lib/http.ts';
import { complain } from '../../../lib/io.ts';
import { notifyReady } from '../../../lib/notify.ts';
import { type Envelope, nextEvents, Refusal, subscribe, type Subscription, tasks } from '../../containerd/api.ts';
import { DOCKER, openStore } from '../../store.ts';
import { loadNetworks } from './bridges.ts';
import { emit } from './events.ts';
import { handleExecExit } from './exec.ts';
import { unmountLayer } from './layers.ts';
import { unmountVolumes } from './volumemounts.ts';
import { ignoreRefusal, NS } from './containerd.ts';
import { handleExit, removeContainer, startContainer, stopContainer } from './lifecycle.ts';
import { loadVolumes } from './mounts.ts';
import { loadContainers, newId, saveContainer } from './record.ts';
import { leaveNetworks } from './sandbox.ts';
import { route } from './routes.ts';
import { type Daemon, Refused, ROOT } from './state.ts';

const SOCKET = '/var/run/docker.sock';

export const dockerd: Program = function* (argv, env) {
  if (argv.includes('--version') || argv.includes('-v')) return 0;
  yield* sys('rt_sigaction', SIG.PIPE, { handler: 'ignore' });
  yield* raiseFiles();
  // As docker.socket does: who comes before the daemon is ready waits for it.
  const listening = yield* listen({ family: 'unix', path: SOCKET });
  yield* mkdirAll(ROOT, 0o710);
  yield* mkdirAll(`${ROOT}/containers`, 0o710);
  yield* mkdirAll('/run/docker/containerd', 0o711);
  const daemon = yield* open();
  const heard = yield* hearContainerd();
  yield* thread(() => listenEvents(daemon, heard));
  yield* revive(daemon);
  yield* leaveAtTerm(daemon);
  yield* notifyReady(env);
  yield* serveOn(listening, (x) => route(daemon, x));
  return 0;
};

function* open(): Call<Daemon> {
  const daemon: Daemon = {
    id: yield* engineId(),
    store: yield* openStore(DOCKER),
    containers: new Map(),
    names: new Map(),
    networks: new Map(),
    volumes: new Map(),
    execs: new Map(),
    events: { log: [], count: 0, watchers: new Set() },
    cache: new Map(),
    nextPort: 32768,
    cgroupDriver: (yield* exists('/sys/fs/cgroup/system.slice')) ? 'systemd' : 'cgroupfs',
    startedAt: yield* nowNs(),
  };
  yield* loadVolumes(daemon);
  yield* loadContainers(daemon);
  yield* loadNetworks(daemon);
  return daemon;
}

function* engineId(): Call<string> {
  const known = yield* tryRead(`${ROOT}/engine-id`);
  if (known) return known.trim();
  const id = (yield* newId(32)).replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, '$1-$2-4$3-a$4-$5');
  yield* writeFile(`${ROOT}/engine-id`, id, 0o600);
  return id;
}

/** The stream of containerd's events; waits until it is there. */
function* hearContainerd(): Call<Subscription> {
  for (let tries = 0; ; tries++) {
    try {
      return yield* subscribe(NS);
    } catch (error) {
      if (!(error instanceof SysError) && !(error instanceof Refusal)) throw error;
      if (tries === 600)
        yield* complain('failed to start daemon: failed to dial "/run/containerd/containerd.sock": context deadline exceeded\n');
      yield* sys('nanosleep', tries < 500 ? 2 * MS : SECOND);
    }
  }
}

function* listenEvents(daemon: Daemon, first: Subscription): Body {
  let heard = first;
  for (;;) {
    const events = yield* nextEvents(heard);
    if (events === null) heard = yield* hearContainerd();
    else for (const e of events) yield* note(daemon, e);
  }
}

function* note(daemon: Daemon, { topic, event }: Envelope): Call<void> {
  const c = daemon.containers.get(event.containerId);
  if (!c) return;
  if (topic === '/tasks/oom') {
    c.live.oomSeen = true;
    c.State.OOMKilled = true;
    yield* saveContainer(c);
    yield* emit(daemon, 'container', 'oom', c);
    return;
  }
  if (topic !== '/tasks/exit') return;
  const status = event.exitStatus ?? 0;
  if (event.id === c.ID) yield* thread(() => quietly(handleExit(daemon, c, status)));
  else {
    const exec = daemon.execs.get(event.id ?? '');
    if (exec) yield* thread(() => quietly(handleExecExit(daemon, exec, status)));
  }
}

function* quietly(call: Call<void>): Body {
  try {
    yield* call;
  } catch (error) {
    if (!(error instanceof Refused) && !(error instanceof SysError) && !(error instanceof Refusal)) throw error;
    yield* complain(`level=error msg=${JSON.stringify(error.message)}\n`);
  }
  return 0;
}

/** What an earlier life of the daemon left running is stopped; what must always run starts again. Source: daemon.restore. */
function* revive(daemon: Daemon): Call<void> {
  for (const { containerId } of (yield* ignoreRefusal(tasks(NS, 'List', {})))?.tasks ?? []) yield* clearTask(containerId);
  for (const c of [...daemon.containers.values()]) {
    if (c.State.Running) {
      c.State = { ...c.State, Status: 'exited', Running: false, Paused: false, Restarting: false, Pid: 0, ExitCode: 255 };
      yield* leaveNetworks(daemon, c);
      yield* unmountLayer(c);
      yield* unmountVolumes(daemon, c);
      yield* saveContainer(c);
    }
    const { Name } = c.HostConfig.RestartPolicy;
    const again =
      Name === 'always' || (!c.HasBeenManuallyStopped && (Name === 'unless-stopped' || (Name === 'on-failure' && c.State.ExitCode !== 0)));
    if (c.HostConfig.AutoRemove) yield* removeContainer(daemon, c, { force: true, volumes: true });
    else if (c.HasBeenStartedBefore && again) yield* thread(() => quietly(startAgain(daemon, c.ID)));
  }
}

function* clearTask(containerId: string): Call<void> {
  yield* ignoreRefusal(tasks(NS, 'Kill', { containerId, signal: SIG.KILL, all: true }));
  yield* ignoreRefusal(tasks(NS, 'Wait', { containerId }));
  yield* ignoreRefusal(tasks(NS, 'Delete', { containerId }));
}

/** SIGTERM: every container is stopped, then the daemon ends. */
function* leaveAtTerm(daemon: Daemon): Call<void> {
  let leaving = false;
  yield* sys('rt_sigaction', SIG.TERM, {
    restart: true,
    *handler(): Body {
      if (leaving) return;
      leaving = true;
      yield* thread(() => leave(daemon));
    },
  });
}

function* leave(daemon: Daemon): Body {
  const running = [...daemon.containers.values()].filter((c) => c.State.Running);
  for (const c of running) yield* thread(() => quietly(end(daemon, c.ID)));
  for (let tries = 0; tries < 150 && running.some((c) => c.State.Running || c.HasBeenManuallyStopped); tries++)
    yield* sys('nanosleep', 100 * MS);
  yield* sys('exit_group', 0);
}

function* end(daemon: Daemon, id: string): Call<void> {
  const c = daemon.containers.get(id);
  if (!c) return;
  const manually = c.HasBeenManuallyStopped;
  yield* stopContainer(daemon, c, null);
  c.HasBeenManuallyStopped = manually;
  yield* saveContainer(c);
}

function* startAgain(daemon: Daemon, id: string): Call<void> {
  const c = daemon.containers.get(id);
  if (c) yield* startContainer(daemon, c);
}
