/**
 * A process's standard streams in the daemon: fifos to the shim, threads that read them, copies to whoever is attached and
 * to the log. Attached clients stay over restarts until the output ends.
 * Source: moby container/stream, daemon/attach.go, daemon/logger/jsonfilelog; API "stream format".
 */
import { AT_FDCWD, O_NONBLOCK, O_RDONLY, O_WRONLY, S_IFIFO } from '../../../../kernel/abi.ts';
import { type Body, sys } from '../../../../kernel/sys.ts';
import { text } from '../../../../sim/text.ts';
import { joinBytes } from '../../../../sim/wire.ts';
import { isoNano, nowNs } from '../../../lib/clock.ts';
import { attempt, mkdirAll, removeAll } from '../../../lib/files.ts';
import { type Call, thread, writeAll } from '../../../lib/http.ts';
import { type LogFile, type LogLine, writeLog } from './logfile.ts';
import { type Waiters, waitWhile, wake } from './waiters.ts';

export interface Attached {
  fd: number;
  stdout: boolean;
  stderr: boolean;
  ended: Waiters;
  gone: boolean;
}

export interface Streams {
  tty: boolean;
  /** Write end of the process's standard input. */
  stdin: number | null;
  /** Woken when the process's streams are there. */
  ready: Waiters;
  clients: Set<Attached>;
  /** Readers still at work; `drained` is woken when the last ends. */
  readers: number;
  drained: Waiters;
  /** The end of the output is not the end: somebody calls `finish` once the exit status is known. */
  held: boolean;
  /** What output is logged to. */
  log: LogFile | null;
  logged: Waiters;
  /** Lines logged in this life of the daemon. */
  lines: number;
}

export function createStreams(tty: boolean, log: LogFile | null, logged: Waiters): Streams {
  return { tty, stdin: null, ready: new Set(), clients: new Set(), readers: 0, drained: new Set(), held: false, log, logged, lines: 0 };
}

export interface Fifos {
  dir: string;
  stdin: string;
  stdout: string;
  stderr: string;
  terminal: boolean;
}

export function* makeFifos(container: string, name: string, want: { stdin: boolean; tty: boolean }): Call<Fifos> {
  const dir = `/run/docker/containerd/${container}`;
  yield* mkdirAll(dir, 0o700);
  const make = function* (stream: string, wanted: boolean): Call<string> {
    if (!wanted) return '';
    const path = `${dir}/${name}-${stream}`;
    yield* attempt(sys('unlinkat', AT_FDCWD, path, 0), 0);
    yield* sys('mknodat', AT_FDCWD, path, S_IFIFO | 0o700, 0, 0);
    return path;
  };
  return {
    dir,
    stdin: yield* make('stdin', want.stdin),
    stdout: yield* make('stdout', true),
    stderr: yield* make('stderr', !want.tty),
    terminal: want.tty,
  };
}

export function* removeFifos(fifos: Fifos): Call<void> {
  for (const path of [fifos.stdin, fifos.stdout, fifos.stderr]) if (path !== '') yield* removeAll(path);
}

/** Opens the ends that output comes to, before anything can be written. */
export function* openOutputs(fifos: Fifos): Call<number[]> {
  const fds: number[] = [];
  for (const path of [fifos.stdout, fifos.stderr]) {
    if (path === '') continue;
    const fd = yield* sys('openat', AT_FDCWD, path, O_RDONLY | O_NONBLOCK);
    yield* sys('fcntl', fd, 'setfl', O_RDONLY);
    fds.push(fd);
  }
  return fds;
}

/** Joins the shim's ends, once it has opened them. */
export function* joinStreams(s: Streams, fifos: Fifos, outputs: readonly number[]): Call<void> {
  if (fifos.stdin !== '') s.stdin = yield* sys('openat', AT_FDCWD, fifos.stdin, O_WRONLY);
  s.readers += outputs.length;
  for (const [i, fd] of outputs.entries()) yield* thread(() => reader(s, fd, i === 0 ? 1 : 2));
  yield* wake(s.ready);
}

export function* closeAll(fds: readonly number[]): Call<void> {
  for (const fd of fds) yield* attempt(sys('close', fd), 0);
}

function* reader(s: Streams, fd: number, stream: 1 | 2): Body {
  let partial = new Uint8Array(0);
  for (;;) {
    const data = yield* attempt(sys('read', fd, 32768), null, 'EIO', 'EBADF');
    if (data === null || data.length === 0) break;
    if (s.log) partial = yield* logLines(s, stream, joinBytes([partial, data]));
    for (const client of [...s.clients]) if (stream === 1 ? client.stdout : client.stderr) yield* send(s, client, data, stream);
  }
  if (partial.length > 0) yield* keep(s, [{ log: text(partial), stream: NAMES[stream], time: isoNano(yield* nowNs()) }]);
  yield* attempt(sys('close', fd), 0);
  s.readers--;
  if (s.readers === 0 && s.held) yield* wake(s.drained);
  else if (s.readers === 0) yield* finish(s);
  return 0;
}

function* send(s: Streams, client: Attached, data: Uint8Array, stream: 1 | 2): Call<void> {
  const sent = yield* attempt(writeAll(client.fd, s.tty ? data : frame(stream, data)), null);
  if (sent === null) yield* detach(s, client);
}

export function frame(stream: 1 | 2, data: Uint8Array): Uint8Array {
  const head = new Uint8Array(8);
  head[0] = stream;
  new DataView(head.buffer).setUint32(4, data.length);
  return joinBytes([head, data]);
}

export function* detach(s: Streams, client: Attached): Call<void> {
  s.clients.delete(client);
  client.gone = true;
  yield* wake(client.ended);
}

/** The output has ended: clients hear of it, standard input goes. */
export function* finish(s: Streams): Call<void> {
  if (s.stdin !== null) yield* attempt(sys('close', s.stdin), 0);
  s.stdin = null;
  for (const client of [...s.clients]) {
    yield* attempt(sys('shutdown', client.fd, 1), 0);
    yield* detach(s, client);
  }
  yield* wake(s.drained);
}

/** Waits until all output has been read, at most `ns`. */
export function* drained(s: Streams, ns: number): Call<void> {
  yield* waitWhile(s.drained, () => s.readers > 0, ns);
}

const MAX_LINE = 16384;

function* logLines(s: Streams, stream: 1 | 2, data: Uint8Array): Call<Uint8Array<ArrayBuffer>> {
  let from = 0;
  const out: LogLine[] = [];
  const time = isoNano(yield* nowNs());
  for (;;) {
    const end = data.indexOf(10, from);
    if (end < 0 && data.length - from < MAX_LINE) break;
    const to = end < 0 || end - from >= MAX_LINE ? from + MAX_LINE : end + 1;
    out.push({ log: text(data.subarray(from, to)), stream: NAMES[stream], time });
    from = to;
  }
  yield* keep(s, out);
  return Uint8Array.from(data.subarray(from));
}

const NAMES = { 1: 'stdout', 2: 'stderr' } as const;

function* keep(s: Streams, lines: readonly LogLine[]): Call<void> {
  if (!s.log || lines.length === 0) return;
  yield* writeLog(s.log, lines);
  s.lines += lines.length;
  yield* wake(s.logged);
}

/**
 * A client at the other end of `fd`: its bytes go to standard input, output comes to it, until one of them ends.
 * `closeStdin` is what the end of its input means.
 */
export function* serveAttached(
  s: Streams,
  want: { fd: number; stdin: boolean; stdout: boolean; stderr: boolean },
  closeStdin: () => Call<void>,
): Call<void> {
  const client: Attached = { fd: want.fd, stdout: want.stdout, stderr: want.stderr, ended: new Set(), gone: false };
  s.clients.add(client);
  for (;;) {
    const data = yield* attempt(sys('read', want.fd, 32768), null);
    if (data === null) break;
    if (data.length === 0) {
      if (want.stdin && !client.gone) yield* closeStdin();
      yield* waitWhile(client.ended, () => !client.gone);
      break;
    }
    if (!want.stdin) continue;
    yield* waitWhile(s.ready, () => s.stdin === null && !client.gone, 60e9);
    if (s.stdin !== null) yield* attempt(writeAll(s.stdin, data), undefined);
  }
  yield* detach(s, client);
}
