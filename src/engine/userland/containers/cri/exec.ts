/**
 * Commands in containers. ExecSync collects what is said. Exec gives the path of a stream, which is an upgraded connection to
 * the same socket: frames of a channel's byte (0 stdin, 1 stdout, 2 stderr, 3 end as JSON, 4 size as JSON, 5 end of stdin), a
 * length in four bytes, big end first, and the data. Source: containerd pkg/cri/server/container_exec{,sync}.go; the channels
 * are those of Kubernetes' remotecommand protocol.
 */
import { AT_FDCWD, O_CLOEXEC, O_RDONLY, O_RDWR, SIG } from '../../../kernel/abi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { bytes, fromBase64, text, toBase64 } from '../../../sim/text.ts';
import { joinBytes } from '../../../sim/wire.ts';
import { SECOND } from '../../../sim/units.ts';
import { attempt } from '../../lib/files.ts';
import { type Call, type Exchange, hijack, reply, thread, writeAll } from '../../lib/http.ts';
import { Refusal, type Streams } from '../containerd/api.ts';
import { taskCall } from '../containerd/tasks.ts';
import { hexOf } from '../oci.ts';
import { type Bell, dropBell, hear, makeBell, ring } from '../shim/bell.ts';
import { CHANNEL, frame, unframe } from './frames.ts';
import { dropFifos, makeFifos, stdinOf } from './logs.ts';
import { containerSpec } from './spec.ts';
import { type Container, containerOf, type Cri, CriError, type Message, NAMESPACE, newId, sandboxOf, stateOf } from './state.ts';
import type { Process } from '../runc/spec.ts';

const LIMIT = 16 * 1024 * 1024;

function running(cri: Cri, id: string): Container {
  const c = containerOf(cri, id);
  if (stateOf(c) !== 'CONTAINER_RUNNING') throw new CriError('Unknown', `container is in ${stateOf(c)} state`);
  return c;
}

function* processOf(cri: Cri, c: Container, cmd: readonly string[], tty: boolean): Call<Process> {
  const image = cri.d.store.images.get(c.imageId);
  const spec = yield* containerSpec({ id: c.id, image: image?.config ?? { architecture: '', os: '', created: '', config: {}, rootfs: { type: 'layers', diff_ids: [] }, history: [] }, chain: image?.chain ?? [] }, { ...c.config, command: cmd, args: [] }, sandboxOf(cri, c.sandboxId));
  return { ...spec.process, args: [...cmd], terminal: tty, env: [...(spec.process.env ?? []), ...(tty ? ['TERM=xterm'] : [])] };
}

/** Reads a fifo to its end in a thread, handing pieces on. */
function* reader(path: string, piece: (data: Uint8Array) => Call<void>, done: { left: number; bell: Bell }): Call<void> {
  done.left++;
  yield* thread(function* (): Body {
    const fd = yield* attempt(sys('openat', AT_FDCWD, path, O_RDONLY | O_CLOEXEC), -1);
    for (;;) {
      const data = fd < 0 ? new Uint8Array(0) : yield* attempt(attempt(sys('read', fd, 65536), 'again' as const, 'EINTR'), new Uint8Array(0));
      if (data === 'again') continue;
      if (data.length === 0) break;
      yield* piece(data);
    }
    if (fd >= 0) yield* attempt(sys('close', fd), 0);
    done.left--;
    yield* ring(done.bell);
    return 0;
  });
}

/** Runs a command with these streams; its exit status. Throws CriError in containerd's words. */
function* runIn(cri: Cri, c: Container, streams: Streams, execId: string, process: Process, timeout: number, started: () => Call<void>): Call<number> {
  const target = { containerId: c.id, execId };
  try {
    yield* taskCall(cri.d, NAMESPACE, 'Exec', { ...streams, ...target, spec: process });
    yield* taskCall(cri.d, NAMESPACE, 'Start', target);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    try {
      yield* taskCall(cri.d, NAMESPACE, 'Delete', target);
    } catch (other) {
      if (!(other instanceof Refusal)) throw other;
    }
    throw new CriError('Unknown', `failed to exec in container: failed to start exec ${JSON.stringify(execId)}: ${error.message}`);
  }
  yield* started();
  const over = { done: false, late: false };
  if (timeout > 0) {
    yield* thread(function* (): Body {
      yield* sys('nanosleep', timeout * SECOND);
      if (over.done) return 0;
      over.late = true;
      try {
        yield* taskCall(cri.d, NAMESPACE, 'Kill', { ...target, signal: SIG.KILL });
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
      }
      return 0;
    });
  }
  try {
    const { exitStatus } = yield* taskCall(cri.d, NAMESPACE, 'Wait', target);
    over.done = true;
    if (over.late) throw new CriError('DeadlineExceeded', `failed to exec in container: timeout ${timeout}s exceeded: context deadline exceeded`);
    yield* taskCall(cri.d, NAMESPACE, 'Delete', target);
    return exitStatus;
  } catch (error) {
    if (error instanceof Refusal) throw new CriError('Unknown', `failed to exec in container: ${error.message}`);
    throw error;
  }
}

export function* execSync(cri: Cri, r: Message): Call<Message> {
  const c = running(cri, r.containerId);
  const cmd = (r.cmd ?? []).map(String);
  if (cmd.length === 0) throw new CriError('InvalidArgument', 'exec config must include a command');
  const execId = hexOf(yield* newId(cri, `exec ${c.id}`));
  const streams = yield* makeFifos(c.id, execId.slice(0, 12), { stdin: r.stdin !== undefined, stderr: true });
  const out: Record<'stdout' | 'stderr', Uint8Array[]> = { stdout: [], stderr: [] };
  const done = { left: 0, bell: yield* makeBell() };
  let size = 0;
  for (const name of ['stdout', 'stderr'] as const) {
    // biome-ignore lint/correctness/useYield: the type of a receiver
    yield* reader(streams[name], function* (data) {
      size += data.length;
      if (size < LIMIT) out[name].push(data);
    }, done);
  }
  try {
    const exitCode = yield* runIn(cri, c, streams, execId, yield* processOf(cri, c, cmd, false), Number(r.timeout ?? 0), () => feedStdin(cri, c, execId, streams, r.stdin));
    while (done.left > 0) yield* hear(done.bell);
    return { stdout: toBase64(joinBytes(out.stdout)), stderr: toBase64(joinBytes(out.stderr)), exitCode };
  } finally {
    yield* dropFifos(streams);
    while (done.left > 0) yield* hear(done.bell);
    yield* dropBell(done.bell);
  }
}

/** Beyond the interface: standard input given whole, in base64. */
function* feedStdin(cri: Cri, c: Container, execId: string, streams: Streams, stdin: unknown): Call<void> {
  if (stdin === undefined) return;
  const data = fromBase64(String(stdin));
  const fd = yield* sys('openat', AT_FDCWD, streams.stdin, O_RDWR | O_CLOEXEC);
  yield* thread(function* (): Body {
    yield* attempt(writeAll(fd, data), undefined);
    yield* attempt(sys('close', fd), 0);
    yield* closeStdin(cri, c, execId);
    return 0;
  });
}

function* closeStdin(cri: Cri, c: Container, execId: string): Call<void> {
  try {
    yield* taskCall(cri.d, NAMESPACE, 'CloseIO', { containerId: c.id, execId });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
  }
}

export function* prepareExec(cri: Cri, r: Message): Call<Message> {
  const c = running(cri, r.containerId);
  const token = (yield* newId(cri, `stream ${c.id}`)).slice(0, 8);
  cri.execs.set(token, { containerId: c.id, cmd: (r.cmd ?? []).map(String), tty: r.tty === true, stdin: r.stdin === true });
  return { url: `/exec/${token}` };
}

export function* prepareAttach(cri: Cri, r: Message): Call<Message> {
  const c = running(cri, r.containerId);
  const token = (yield* newId(cri, `attach ${c.id}`)).slice(0, 8);
  cri.execs.set(token, { containerId: c.id, cmd: null, tty: r.tty === true, stdin: r.stdin === true && c.config.stdin === true });
  return { url: `/exec/${token}` };
}

/** The container's own output from now on, and its input; until it ends or the other side goes. */
function* streamAttach(cri: Cri, id: string, stdin: boolean, fd: number, say: (channel: number, data: Uint8Array) => Call<void>): Call<number> {
  const c = running(cri, id);
  const tap = cri.taps.get(c.id);
  const tell = (stream: 'stdout' | 'stderr', data: Uint8Array): Call<void> => say(stream === 'stdout' ? CHANNEL.stdout : CHANNEL.stderr, data);
  tap?.listeners.add(tell);
  const gone = { over: false };
  yield* listen(cri, c, '', fd, stdin ? stdinOf(c.id) : '', gone);
  while (stateOf(c) === 'CONTAINER_RUNNING' && !gone.over) yield* sys('nanosleep', SECOND / 20);
  if (!gone.over) yield* sys('nanosleep', SECOND / 20);
  tap?.listeners.delete(tell);
  return c.exitCode;
}

/** The connection of a stream that Exec has promised. */
export function* streamExec(cri: Cri, token: string, exchange: Exchange): Call<void> {
  const asked = cri.execs.get(token);
  if (!asked) return yield* reply(exchange, 404, 'page not found');
  cri.execs.delete(token);
  const fd = yield* hijack(exchange);
  const say = (channel: number, data: Uint8Array): Call<void> => attempt(writeAll(fd, frame(channel, data)), undefined);
  const end = (answer: object): Call<void> => say(CHANNEL.end, bytes(JSON.stringify(answer)));
  let streams: Streams | null = null;
  const done = { left: 0, bell: yield* makeBell() };
  try {
    if (asked.cmd === null) {
      yield* end({ exitCode: yield* streamAttach(cri, asked.containerId, asked.stdin, fd, say) });
      return;
    }
    const c = running(cri, asked.containerId);
    const execId = hexOf(yield* newId(cri, `exec ${c.id}`));
    streams = { ...(yield* makeFifos(c.id, execId.slice(0, 12), { stdin: asked.stdin, stderr: !asked.tty })), terminal: asked.tty };
    const { stdin, stdout, stderr } = streams;
    yield* reader(stdout, (data) => say(CHANNEL.stdout, data), done);
    if (stderr !== '') yield* reader(stderr, (data) => say(CHANNEL.stderr, data), done);
    const process = yield* processOf(cri, c, asked.cmd, asked.tty);
    const exitCode = yield* runIn(cri, c, streams, execId, process, 0, () => listen(cri, c, execId, fd, stdin));
    while (done.left > 0) yield* hear(done.bell);
    yield* end({ exitCode });
  } catch (error) {
    if (!(error instanceof CriError)) throw error;
    yield* end({ error: error.message });
  } finally {
    if (streams) yield* dropFifos(streams);
    yield* attempt(sys('shutdown', fd, 2), 0);
  }
}

/** What the other side sends: input, sizes of its window, the end of input. */
function* listen(cri: Cri, c: Container, execId: string, fd: number, stdin: string, gone = { over: false }): Call<void> {
  let input = stdin === '' ? -1 : yield* sys('openat', AT_FDCWD, stdin, O_RDWR | O_CLOEXEC);
  const end = function* (): Call<void> {
    if (input < 0) return;
    yield* attempt(sys('close', input), 0);
    input = -1;
    yield* closeStdin(cri, c, execId);
  };
  yield* thread(function* (): Body {
    let held: Uint8Array = new Uint8Array(0);
    for (;;) {
      const data = yield* attempt(sys('read', fd, 65536), new Uint8Array(0));
      if (data.length === 0) break;
      const { frames, rest } = unframe(joinBytes([held, data]));
      held = rest;
      for (const f of frames) {
        if (f.channel === CHANNEL.stdin && input >= 0) yield* attempt(writeAll(input, f.data), undefined);
        if (f.channel === CHANNEL.eof) yield* end();
        if (f.channel === CHANNEL.size) yield* resize(cri, c, execId, text(f.data));
      }
    }
    // Whoever goes away from a container does not end its input.
    if (execId !== '') yield* end();
    gone.over = true;
    return 0;
  });
}

function* resize(cri: Cri, c: Container, execId: string, source: string): Call<void> {
  const { width, height } = JSON.parse(source) as { width: number; height: number };
  try {
    yield* taskCall(cri.d, NAMESPACE, 'ResizePty', { containerId: c.id, execId, width, height });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
  }
}
