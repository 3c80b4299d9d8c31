/**
 * A container's life: start, stop, kill, pause, what follows its end, removal. Every step is a call of containerd's tasks
 * service or of the kernel. Source: moby daemon/start.go, stop.go, kill.go, monitor.go, delete.go, restartmanager.
 */
import { SysError } from '../../../../kernel/abi.ts';
import { sys } from '../../../../kernel/sys.ts';
import { MS, SECOND } from '../../../../sim/units.ts';
import { isoNano, nowNs, parseIso } from '../../../lib/clock.ts';
import { attempt } from '../../../lib/files.ts';
import { type Call, thread } from '../../../lib/http.ts';
import { Refusal, tasks } from '../../containerd/api.ts';
import { ignoreRefusal, NS, refusable } from './containerd.ts';
import type { Spec } from '../../runc/spec.ts';
import { emit, publish } from './events.ts';
import { startHealth } from './health.ts';
import { mountLayer, removeLayer, unmountLayer } from './layers.ts';
import { removeVolume, usersOf } from './mounts.ts';
import { connectNetworks, joinNetworks, leaveNetworks, writeNetworkFiles } from './sandbox.ts';
import { saveContainer, removeDirectory } from './record.ts';
import { isSignal, signalNumber } from './signals.ts';
import { specOf } from './spec.ts';
import { type Container, type Daemon, NEVER, Refused } from './state.ts';
import {
  closeAll,
  createStreams,
  drained,
  type Fifos,
  finish,
  joinStreams,
  makeFifos,
  openOutputs,
  removeFifos,
  type Streams,
} from './streams.ts';
import { waitWhile, wake, withLock } from './waiters.ts';
import { mountVolumes, unmountVolumes } from './volumemounts.ts';
import { logFileOf } from './logfile.ts';

export function streamsOf(c: Container): Streams {
  c.live.streams ??= createStreams(c.Config.Tty, null, c.live.logged);
  return c.live.streams;
}

/** Starts it; says false when it runs already. Throws Refused in docker's words. */
export function* startContainer(daemon: Daemon, c: Container): Call<boolean> {
  return yield* withLock(c.live.busy, () => startLocked(daemon, c));
}

function* startLocked(daemon: Daemon, c: Container): Call<boolean> {
  if (c.State.Paused) throw new Refused(409, 'cannot start a paused container, try unpause instead');
  if (c.State.Running && !c.State.Restarting) return false;
  if (c.live.removing || c.State.Dead) throw new Refused(409, 'container is marked for removal and cannot be started');
  c.live.stopping = false;
  c.HasBeenManuallyStopped = false;
  // The kernel has no such setting: asked for or not, it is discarded.
  c.HostConfig.OomKillDisable = null;
  try {
    yield* launch(daemon, c);
  } catch (error) {
    if (!(error instanceof Refused) && !(error instanceof Refusal) && !(error instanceof SysError)) throw error;
    const refused = error instanceof Refused ? error : translated(error);
    yield* failed(daemon, c, refused);
    throw refused;
  }
  return true;
}

function translated(error: Refusal | SysError): Refused {
  const message = error instanceof Refusal ? `failed to create task for container: ${error.message}` : error.message.toLowerCase();
  return new Refused(
    /executable file not found|no such file or directory|permission denied|is a directory/.test(message) ? 400 : 500,
    // A directory cannot be run: that is said to be a matter of permission.
    /is a directory/.test(message) ? `${message}: permission denied` : message,
  );
}

function* failed(daemon: Daemon, c: Container, refused: Refused): Call<void> {
  yield* leaveNetworks(daemon, c);
  yield* unmountLayer(c);
  yield* unmountVolumes(daemon, c);
  const code = /executable file not found|no such file or directory/.test(refused.message)
    ? 127
    : /permission denied|is a directory/.test(refused.message)
      ? 126
      : 128;
  Object.assign(c.State, { Running: false, Restarting: false, Pid: 0, ExitCode: code, Error: refused.message });
  c.State.Status = c.State.StartedAt === NEVER ? 'created' : 'exited';
  yield* finish(streamsOf(c));
  yield* saveContainer(c);
  yield* wake(c.live.exit);
  if (c.HostConfig.AutoRemove) yield* removeContainer(daemon, c, { force: true, volumes: true });
}

function* launch(daemon: Daemon, c: Container): Call<void> {
  const root = yield* mountLayer(c);
  yield* mountVolumes(daemon, c);
  yield* connectNetworks(daemon, c);
  yield* writeNetworkFiles(daemon, c);
  const spec = yield* specOf(daemon, c, root);
  const log = logFileOf(c);
  const s = streamsOf(c);
  s.log ??= log;
  const fifos = yield* makeFifos(c.ID, 'init', { stdin: c.Config.OpenStdin, tty: c.Config.Tty });
  for (const m of c.MountPoints)
    if (m.Type === 'volume')
      yield* publish(daemon, 'volume', 'mount', m.Name!, {
        container: c.ID,
        destination: m.Destination,
        driver: 'local',
        propagation: '',
        'read/write': String(m.RW),
      });
  const outputs = yield* openOutputs(fifos);
  let joined = false;
  try {
    yield* createAndStart(daemon, c, spec, fifos, function* () {
      joined = true;
      yield* joinStreams(s, fifos, outputs);
    });
  } finally {
    if (!joined) yield* closeAll(outputs);
    yield* removeFifos(fifos);
  }
  c.HasBeenStartedBefore = true;
  yield* saveContainer(c);
  yield* startHealth(daemon, c);
  yield* emit(daemon, 'container', 'start', c);
}

/** containerd's part: the task made, its networks joined, its streams, then its start. */
function* createAndStart(
  daemon: Daemon,
  c: Container,
  spec: Spec,
  { stdin, stdout, stderr, terminal }: Fifos,
  join: () => Call<void>,
): Call<void> {
  const { pid } = yield* tasks(NS, 'Create', {
    containerId: c.ID,
    spec,
    stdin,
    stdout,
    stderr,
    terminal,
    options: { systemdCgroup: daemon.cgroupDriver === 'systemd' },
  });
  try {
    yield* joinNetworks(daemon, c, pid);
    yield* join();
    c.State = {
      ...c.State,
      Status: 'running',
      Running: true,
      Paused: false,
      Restarting: false,
      OOMKilled: false,
      Pid: pid,
      ExitCode: 0,
      Error: '',
      StartedAt: isoNano(yield* nowNs()),
    };
    c.live.oomSeen = false;
    yield* tasks(NS, 'Start', { containerId: c.ID });
  } catch (error) {
    yield* attempt(ignoreRefusal(tasks(NS, 'Kill', { containerId: c.ID, signal: 9 })), null);
    yield* attempt(ignoreRefusal(tasks(NS, 'Delete', { containerId: c.ID })), null);
    throw error;
  }
}

/** Its first process has ended. */
export function* handleExit(daemon: Daemon, c: Container, exitStatus: number): Call<void> {
  yield* withLock(c.live.busy, () => exited(daemon, c, exitStatus));
  if (c.HostConfig.AutoRemove && !c.State.Restarting && !c.live.removing) yield* removeContainer(daemon, c, { force: true, volumes: true });
}

function* exited(daemon: Daemon, c: Container, exitStatus: number): Call<void> {
  if (!c.State.Running || c.State.Restarting) return;
  c.live.healthRound++;
  yield* drained(streamsOf(c), 2 * SECOND);
  yield* finish(streamsOf(c));
  yield* ignoreRefusal(tasks(NS, 'Delete', { containerId: c.ID }));
  yield* leaveNetworks(daemon, c);
  yield* unmountLayer(c);
  yield* unmountVolumes(daemon, c);
  for (const m of c.MountPoints)
    if (m.Type === 'volume') yield* publish(daemon, 'volume', 'unmount', m.Name!, { container: c.ID, driver: 'local' });
  const now = yield* nowNs();
  const ran = Math.max(0, now - parseIso(c.State.StartedAt));
  const restart = wantsRestart(c, exitStatus);
  c.State = {
    ...c.State,
    Status: restart ? 'restarting' : 'exited',
    Running: restart,
    Restarting: restart,
    Paused: false,
    Pid: 0,
    ExitCode: exitStatus,
    OOMKilled: c.live.oomSeen,
    FinishedAt: isoNano(now),
  };
  if (restart) c.RestartCount++;
  yield* finish(streamsOf(c));
  yield* saveContainer(c);
  c.live.exits++;
  yield* emit(daemon, 'container', 'die', c, { execDuration: String(Math.floor(ran / SECOND)), exitCode: String(exitStatus) });
  yield* wake(c.live.exit);
  yield* wake(c.live.logged);
  if (!restart) return;
  c.live.backoff = ran > 10 * SECOND || c.live.backoff === 0 ? 100 * MS : Math.min(60 * SECOND, c.live.backoff * 2);
  yield* thread(() => restartLater(daemon, c, c.live.backoff));
}

function wantsRestart(c: Container, exitStatus: number): boolean {
  if (c.live.stopping || c.live.removing) return false;
  const { Name, MaximumRetryCount } = c.HostConfig.RestartPolicy;
  if (Name === 'always' || Name === 'unless-stopped') return true;
  return Name === 'on-failure' && exitStatus !== 0 && (MaximumRetryCount === 0 || c.RestartCount < MaximumRetryCount);
}

function* restartLater(daemon: Daemon, c: Container, delay: number) {
  yield* sys('nanosleep', delay);
  if (!c.State.Restarting || c.live.stopping || c.live.removing) return 0;
  try {
    yield* startContainer(daemon, c);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
  }
  return 0;
}

/** Waits until it does not run; at most `ns` when given. Says whether it ended. */
export function* waitExit(c: Container, ns = -1): Call<boolean> {
  return yield* waitWhile(c.live.exit, () => c.State.Running && !c.State.Restarting, ns);
}

export function* killContainer(daemon: Daemon, c: Container, signal: string): Call<void> {
  const number = signalNumber(signal === '' ? 'KILL' : signal);
  if (number === null) throw new Refused(400, `invalid signal: ${signal}`);
  if (!isSignal(number)) throw new Refused(400, `the linux daemon does not support signal ${number}`);
  if (!c.State.Running) throw new Refused(409, `container ${c.ID} is not running`);
  if (c.State.Restarting) {
    yield* giveUpRestart(c);
    return;
  }
  const fatal = number === 9 || number === stopSignal(c);
  if (fatal) c.live.stopping = true;
  if (number === 9 && c.State.Paused) yield* unpause(daemon, c);
  yield* send(c, number);
  yield* emit(daemon, 'container', 'kill', c, { signal: String(number) });
  if (number === 9) yield* waitExit(c, 10 * SECOND);
}

function* send(c: Container, signal: number): Call<void> {
  yield* ignoreRefusal(tasks(NS, 'Kill', { containerId: c.ID, signal }));
}

function* giveUpRestart(c: Container): Call<void> {
  c.live.stopping = true;
  c.State = { ...c.State, Status: 'exited', Running: false, Restarting: false };
  yield* saveContainer(c);
  yield* wake(c.live.exit);
}

function stopSignal(c: Container): number {
  return signalNumber(c.Config.StopSignal ?? 'TERM') ?? 15;
}

/** Says false when it does not run. `seconds` null takes the container's own; -1 waits for ever. */
export function* stopContainer(daemon: Daemon, c: Container, seconds: number | null, signal?: string): Call<boolean> {
  if (signal && signalNumber(signal) === null) throw new Refused(400, `invalid signal: ${signal}`);
  if (!c.State.Running) return false;
  c.live.stopping = true;
  c.HasBeenManuallyStopped = true;
  if (c.State.Restarting) {
    yield* giveUpRestart(c);
    return true;
  }
  const number = signal ? signalNumber(signal)! : stopSignal(c);
  // One that cannot be sent is not waited for as long.
  const wait = isSignal(number) ? (seconds ?? c.Config.StopTimeout ?? 10) : 2;
  if (c.State.Paused) yield* unpause(daemon, c);
  yield* send(c, number);
  yield* emit(daemon, 'container', 'kill', c, { signal: String(number) });
  if (!(yield* waitExit(c, wait < 0 ? -1 : wait * SECOND))) {
    yield* send(c, 9);
    yield* emit(daemon, 'container', 'kill', c, { signal: '9' });
    yield* waitExit(c);
  }
  yield* saveContainer(c);
  yield* emit(daemon, 'container', 'stop', c);
  return true;
}

export function* restartContainer(daemon: Daemon, c: Container, seconds: number | null, signal?: string): Call<void> {
  const keep = c.HostConfig.AutoRemove;
  c.HostConfig.AutoRemove = false;
  try {
    yield* stopContainer(daemon, c, seconds, signal);
    yield* startContainer(daemon, c);
  } finally {
    c.HostConfig.AutoRemove = keep;
  }
  yield* emit(daemon, 'container', 'restart', c);
}

export function* pauseContainer(daemon: Daemon, c: Container): Call<void> {
  if (!c.State.Running) throw new Refused(409, `container ${c.ID} is not running`);
  if (c.State.Paused) throw new Refused(409, `Container ${c.ID} is already paused`);
  if (c.State.Restarting) throw new Refused(409, `Container ${c.ID} is restarting, wait until the container is running`);
  yield* refusable(tasks(NS, 'Pause', { containerId: c.ID }), `Cannot pause container ${c.ID}`);
  c.State = { ...c.State, Paused: true, Status: 'paused' };
  yield* saveContainer(c);
  yield* emit(daemon, 'container', 'pause', c);
}

export function* unpause(daemon: Daemon, c: Container): Call<void> {
  if (!c.State.Paused) throw new Refused(500, `Container ${c.ID} is not paused`);
  yield* refusable(tasks(NS, 'Resume', { containerId: c.ID }), `Cannot unpause container ${c.ID}`);
  c.State = { ...c.State, Paused: false, Status: 'running' };
  yield* saveContainer(c);
  yield* emit(daemon, 'container', 'unpause', c);
}

/** Removes it with its layer and files. Throws Refused. */
export function* removeContainer(daemon: Daemon, c: Container, how: { force: boolean; volumes: boolean }): Call<void> {
  if (c.live.removing) throw new Refused(409, `removal of container ${c.ID} is already in progress`);
  if (c.State.Running && !how.force) {
    const state = c.State.Paused ? 'paused' : c.State.Restarting ? 'restarting' : 'running';
    throw new Refused(
      409,
      `cannot remove container "${c.Name}": container is ${state}: ${state === 'paused' ? 'unpause and then stop the container before removing or force remove' : 'stop the container before removing or force remove'}`,
    );
  }
  const auto = c.HostConfig.AutoRemove;
  if (c.State.Running) {
    c.HostConfig.AutoRemove = false;
    yield* killContainer(daemon, c, 'KILL');
  }
  c.live.removing = true;
  c.live.healthRound++;
  yield* removeLayer(daemon, c);
  daemon.containers.delete(c.ID);
  daemon.names.delete(c.Name.slice(1));
  for (const id of c.live.execs) daemon.execs.delete(id);
  yield* removeDirectory(c);
  if (how.volumes || auto) {
    for (const m of c.MountPoints) {
      if (m.Name && daemon.volumes.get(m.Name)?.anonymous && usersOf(daemon, m.Name).length === 0) yield* removeVolume(daemon, m.Name);
    }
  }
  yield* emit(daemon, 'container', 'destroy', c);
  yield* wake(c.live.exit);
  yield* wake(c.live.gone);
}
