/**
 * A process's standard streams in the shim: pipes to the process, threads that copy between them and the fifos of whoever
 * asked for it; with a terminal, the console's master in place of the pipes. A fifo is held open for both directions, so
 * that its other end may come and go. Source: containerd-shim-runc-v2 process/io.go.
 */
import { AT_FDCWD, O_CLOEXEC, O_RDONLY, O_RDWR, O_WRONLY } from '../../../kernel/abi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { attempt } from '../../lib/files.ts';
import { type Call, thread, writeAll } from '../../lib/http.ts';
import type { Streams } from '../containerd/api.ts';

export interface Io {
  /** The process's own ends: 0, 1, 2 of what runc is started with. */
  child: [number, number, number];
  /** Kept so that stdin's fifo never ends by itself; closed by CloseIO. -1 none. */
  stdinKeeper: number;
  /** The console's master; -1 without a terminal. */
  master: number;
}

const open = (path: string, flags: number): Call<number> => sys('openat', AT_FDCWD, path, flags | O_CLOEXEC);

/** Pipes and their copying threads (no terminal). The caller closes `child` once runc has them. */
export function* pipes(s: Streams): Call<Io> {
  const io: Io = { child: [-1, -1, -1], stdinKeeper: -1, master: -1 };
  if (s.stdin === '') io.child[0] = yield* open('/dev/null', O_RDONLY);
  else {
    const [read, write] = yield* sys('pipe2', O_CLOEXEC);
    io.child[0] = read;
    io.stdinKeeper = yield* open(s.stdin, O_RDWR);
    const from = yield* open(s.stdin, O_RDONLY);
    yield* copying(from, write);
  }
  for (const [i, path] of [[1, s.stdout], [2, s.stderr]] as const) {
    if (path === '') {
      io.child[i] = yield* open('/dev/null', O_WRONLY);
      continue;
    }
    const [read, write] = yield* sys('pipe2', O_CLOEXEC);
    io.child[i] = write;
    yield* copying(read, yield* open(path, O_RDWR));
  }
  return io;
}

/** The streams of a process with a terminal: runc itself gets none, the master comes later. */
export function* withoutStreams(): Call<Io> {
  return { child: [yield* open('/dev/null', O_RDONLY), yield* open('/dev/null', O_WRONLY), yield* open('/dev/null', O_WRONLY)], stdinKeeper: -1, master: -1 };
}

export function* attachConsole(io: Io, master: number, s: Streams): Call<void> {
  io.master = master;
  if (s.stdin !== '') {
    io.stdinKeeper = yield* open(s.stdin, O_RDWR);
    const from = yield* open(s.stdin, O_RDONLY);
    yield* thread(function* (): Body {
      yield* copy(from, master);
      yield* attempt(sys('close', from), 0);
      return 0;
    });
  }
  const to = s.stdout === '' ? yield* open('/dev/null', O_WRONLY) : yield* open(s.stdout, O_RDWR);
  yield* thread(function* (): Body {
    yield* copy(master, to);
    yield* attempt(sys('close', to), 0);
    return 0;
  });
}

function* copying(from: number, to: number): Call<void> {
  yield* thread(function* (): Body {
    yield* copy(from, to);
    yield* attempt(sys('close', to), 0);
    yield* attempt(sys('close', from), 0);
    return 0;
  });
}

/** Until the end of what is read, or nobody takes it any more. */
function* copy(from: number, to: number): Call<void> {
  for (;;) {
    const data = yield* attempt(attempt(sys('read', from, 32768), 'again' as const, 'EINTR'), null);
    if (data === 'again') continue;
    if (data === null || data.length === 0) return;
    if ((yield* attempt(writeAll(to, data), null)) === null) return;
  }
}

export function* closeChild(io: Io): Call<void> {
  for (const fd of io.child) yield* attempt(sys('close', fd), 0);
}

export function* closeStdin(io: Io): Call<void> {
  if (io.stdinKeeper < 0) return;
  yield* attempt(sys('close', io.stdinKeeper), 0);
  io.stdinKeeper = -1;
}
