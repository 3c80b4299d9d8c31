/** The other side of a stream that Exec gives: a person's terminal, or pipes, to a process in a container. Frames as in exec.ts. */
import { SIG, type SockAddr, TIOCGWINSZ, type Winsize } from '../../../kernel/abi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { bytes, text } from '../../../sim/text.ts';
import { joinBytes } from '../../../sim/wire.ts';
import { attempt } from '../../lib/files.ts';
import { type Call, thread, upgrade, writeAll } from '../../lib/http.ts';
import { rawMode, restoreMode } from '../runc/console.ts';
import { CHANNEL, frame, unframe } from './frames.ts';

type StreamEnd = { exitCode: number } | { error: string };

/** Connects and stays until the command has ended. The terminal is put back as it was. */
export function* attachStream(address: SockAddr, path: string, o: { tty: boolean; stdin: boolean }, body = ''): Call<StreamEnd> {
  const { stream, rest } = yield* upgrade(address, { method: 'POST', path, body });
  if (stream.status !== 101) {
    let said = '';
    for (let piece = yield* stream.readChunk(); piece !== null; piece = yield* stream.readChunk()) said += text(piece);
    yield* stream.close();
    return { error: said.trim() || `unable to upgrade connection: status ${stream.status}` };
  }
  const { fd } = stream;
  const before = o.tty ? yield* rawMode(0) : null;
  if (o.tty) yield* followSize(fd);
  if (o.stdin) yield* feed(fd);
  const end = yield* show(fd, rest);
  yield* restoreMode(0, before);
  yield* attempt(sys('close', fd), 0);
  return end;
}

function* followSize(fd: number): Call<void> {
  const tell = function* (): Call<void> {
    const size = (yield* attempt(sys('ioctl', 0, TIOCGWINSZ), null)) as Winsize | null;
    if (size) yield* attempt(writeAll(fd, frame(CHANNEL.size, bytes(JSON.stringify({ width: size.cols, height: size.rows })))), undefined);
  };
  yield* tell();
  yield* sys('rt_sigaction', SIG.WINCH, { handler: tell, restart: true });
}

function* feed(fd: number): Call<void> {
  yield* thread(function* (): Body {
    for (;;) {
      const data = yield* attempt(attempt(sys('read', 0, 4096), 'again' as const, 'EINTR'), new Uint8Array(0));
      if (data === 'again') continue;
      if (data.length === 0) break;
      yield* attempt(writeAll(fd, frame(CHANNEL.stdin, data)), undefined);
    }
    yield* attempt(writeAll(fd, frame(CHANNEL.eof, new Uint8Array(0))), undefined);
    return 0;
  });
}

function* show(fd: number, first: Uint8Array): Call<StreamEnd> {
  let held = first;
  for (;;) {
    const { frames, rest } = unframe(held);
    for (const f of frames) {
      if (f.channel === CHANNEL.stdout) yield* attempt(writeAll(1, f.data), undefined);
      if (f.channel === CHANNEL.stderr) yield* attempt(writeAll(2, f.data), undefined);
      if (f.channel === CHANNEL.end) return JSON.parse(text(f.data)) as StreamEnd;
    }
    const data = yield* attempt(attempt(sys('read', fd, 65536), 'again' as const, 'EINTR'), new Uint8Array(0));
    if (data === 'again') {
      held = rest;
      continue;
    }
    if (data.length === 0) return { error: 'error reading from error stream: unexpected EOF' };
    held = joinBytes([rest, data]);
  }
}
