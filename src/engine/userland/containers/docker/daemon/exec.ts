/** docker exec in the daemon: a process added to a running container. Source: moby daemon/exec.go. */
import { SECOND } from '../../../../sim/units.ts';
import type { Call } from '../../../lib/http.ts';
import { Refusal, tasks } from '../../containerd/api.ts';
import type { Process } from '../../runc/spec.ts';
import { capabilitiesOf } from './capabilities.ts';
import { emit } from './events.ts';
import { ignoreRefusal, NS } from './containerd.ts';
import { mergedDir } from './layers.ts';
import { newId } from './record.ts';
import { environmentOf, userOf } from './spec.ts';
import { type Any, type Container, type Daemon, type Exec, Refused } from './state.ts';
import { closeAll, createStreams, drained, finish, joinStreams, makeFifos, openOutputs, removeFifos } from './streams.ts';
import { waitWhile, wake } from './waiters.ts';

export function running(c: Container, called: string): void {
  if (!c.State.Running) throw new Refused(409, `container ${c.ID} is not running`);
  if (c.State.Paused) throw new Refused(409, `Container ${called} is paused, unpause the container before exec`);
  if (c.State.Restarting) throw new Refused(409, `Container ${c.ID} is restarting, wait until the container is running`);
}

/** Throws Refused for keys that are none: single characters, ctrl- and one of a-z @ [ \\ ] ^ _. Source: moby/term ascii.go. */
export function checkDetachKeys(keys: string): void {
  if (keys.split(',').some((key) => [...key].length !== 1 && !/^ctrl-[a-z@[\\\]^_]$/.test(key))) throw new Refused(400, `Invalid escape keys (${keys}) provided`);
}

const commandOf = (body: Any): string => (body.Cmd as string[]).join(' ');

/** `called` is how the request named the container. */
export function* createExec(daemon: Daemon, c: Container, body: Any, called = c.ID): Call<Exec> {
  running(c, called);
  if (!Array.isArray(body?.Cmd) || body.Cmd.length === 0) throw new Refused(400, 'No exec command specified');
  if (body.DetachKeys) checkDetachKeys(String(body.DetachKeys));
  const exec: Exec = { ID: yield* newId(), container: c.ID, Running: false, ExitCode: null, Pid: 0, body, exit: new Set(), streams: null };
  daemon.execs.set(exec.ID, exec);
  c.live.execs.push(exec.ID);
  yield* emit(daemon, 'container', `exec_create: ${commandOf(body)}`, c, { execID: exec.ID });
  return exec;
}

function* processOf(c: Container, body: Any): Call<Process> {
  const user = yield* userOf(body.User || c.Config.User, mergedDir(c), c.HostConfig.GroupAdd ?? []);
  const capabilities = capabilitiesOf(c.HostConfig.CapAdd, c.HostConfig.CapDrop, c.HostConfig.Privileged || body.Privileged === true);
  const held = user.uid === 0 ? capabilities : [];
  const given: string[] = body.Env ?? [];
  const named = new Set(given.map((e) => e.split('=')[0]));
  const base = environmentOf(c, user.home).filter((e) => !named.has(e.split('=')[0]!) && !(e.startsWith('TERM=') && !body.Tty));
  return {
    terminal: body.Tty === true,
    user: { uid: user.uid, gid: user.gid, additionalGids: user.groups },
    args: body.Cmd,
    cwd: body.WorkingDir || c.Config.WorkingDir || '/',
    env: [...base, ...(body.Tty && !base.some((e) => e.startsWith('TERM=')) && !named.has('TERM') ? ['TERM=xterm'] : []), ...given],
    capabilities: { bounding: capabilities, effective: held, permitted: held, inheritable: [] },
    oomScoreAdj: c.HostConfig.OomScoreAdj,
  };
}

/** Starts it. Throws Refused with runc's words; the exec then counts as ended with 126 or 127. */
export function* startExec(daemon: Daemon, exec: Exec): Call<void> {
  const c = daemon.containers.get(exec.container);
  if (!c) throw new Refused(404, `No such container: ${exec.container}`);
  running(c, c.ID);
  if (exec.Running || exec.ExitCode !== null) throw new Refused(409, `Error: Exec command ${exec.ID} is already running`);
  const { body } = exec;
  let process: Process;
  try {
    process = yield* processOf(c, body);
  } catch (error) {
    exec.ExitCode = 126;
    throw error;
  }
  exec.streams ??= createStreams(body.Tty === true, null, new Set());
  exec.streams.held = true;
  const fifos = yield* makeFifos(c.ID, exec.ID, { stdin: body.AttachStdin === true, tty: body.Tty === true });
  const { stdin, stdout, stderr, terminal } = fifos;
  const outputs = yield* openOutputs(fifos);
  let joined = false;
  yield* emit(daemon, 'container', `exec_start: ${commandOf(body)}`, c, { execID: exec.ID });
  try {
    yield* tasks(NS, 'Exec', { containerId: c.ID, execId: exec.ID, spec: process, stdin, stdout, stderr, terminal });
    exec.Running = true;
    exec.Pid = (yield* tasks(NS, 'Start', { containerId: c.ID, execId: exec.ID })).pid;
    joined = true;
    yield* joinStreams(exec.streams, fifos, outputs);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    exec.Running = false;
    exec.ExitCode = 126;
    yield* ignoreRefusal(tasks(NS, 'Delete', { containerId: c.ID, execId: exec.ID }));
    throw new Refused(400, error.message);
  } finally {
    if (!joined) yield* closeAll(outputs);
    yield* removeFifos(fifos);
  }
}

export function* handleExecExit(daemon: Daemon, exec: Exec, exitStatus: number): Call<void> {
  const c = daemon.containers.get(exec.container);
  if (exec.streams) yield* drained(exec.streams, 2 * SECOND);
  if (c) yield* ignoreRefusal(tasks(NS, 'Delete', { containerId: c.ID, execId: exec.ID }));
  exec.ExitCode = exitStatus;
  exec.Running = false;
  if (exec.streams) yield* finish(exec.streams);
  if (c) yield* emit(daemon, 'container', 'exec_die', c, { execID: exec.ID, exitCode: String(exitStatus) });
  yield* wake(exec.exit);
}

export function* waitExec(exec: Exec): Call<void> {
  yield* waitWhile(exec.exit, () => exec.ExitCode === null);
}

export function execJson(exec: Exec): Any {
  const [entrypoint, ...args] = exec.body.Cmd as string[];
  return {
    ID: exec.ID,
    Running: exec.Running,
    ExitCode: exec.ExitCode,
    ProcessConfig: {
      tty: exec.body.Tty === true,
      entrypoint,
      arguments: args,
      privileged: exec.body.Privileged === true,
      ...(exec.body.User ? { user: exec.body.User } : {}),
    },
    OpenStdin: exec.body.AttachStdin === true,
    OpenStderr: exec.body.AttachStderr === true,
    OpenStdout: exec.body.AttachStdout === true,
    CanRemove: false,
    ContainerID: exec.container,
    DetachKeys: '',
    Pid: exec.Pid,
  };
}
