/**
 * A connection to a container's streams: standard input sent until it ends or the detach keys come, output taken apart
 * into stdout and stderr (without a terminal, frames of an 8-byte head), the client's own terminal raw meanwhile and put
 * back after. Source: docker/cli container/hijack.go, tty.go, signals.go; API "Attach to a container", stream format.
 */
import { SIG, SysError, TCGETS, TCSETS, type Termios, TIOCGWINSZ, type Winsize } from '../../../../kernel/abi.ts';
import { type Body, sys } from '../../../../kernel/sys.ts';
import { bytes } from '../../../../sim/text.ts';
import { joinBytes } from '../../../../sim/wire.ts';
import { attempt } from '../../../lib/files.ts';
import { type Call, type Stream, thread, writeAll } from '../../../lib/http.ts';
import { api, type Client, Stop } from './client.ts';

export interface Joined {
  stream: Stream;
  rest: Uint8Array;
  tty: boolean;
  stdin: boolean;
  detachKeys: readonly number[];
}

export type Ended = 'closed' | 'detached';

/** Whether a descriptor is a terminal. */
export function* isTerminal(fd: number): Call<boolean> {
  return (yield* attempt(sys('ioctl', fd, TCGETS), null)) !== null;
}

/** "ctrl-p,ctrl-q" as bytes. Throws Stop. */
export function detachKeys(text: string): number[] {
  return text.split(',').map((key) => {
    if ([...key].length === 1) return key.charCodeAt(0);
    const m = /^ctrl-([a-z@[\\\]^_])$/.exec(key);
    if (!m) throw new Stop(`invalid escape keys (${text}) provided`);
    return m[1]!.charCodeAt(0) & 31;
  });
}

/** Copies both ways until the daemon closes, or the person detaches. */
export function* converse(joined: Joined): Call<Ended> {
  const saved = joined.tty && joined.stdin && (yield* isTerminal(0)) ? ((yield* sys('ioctl', 0, TCGETS)) as Termios) : null;
  if (saved)
    yield* sys('ioctl', 0, TCSETS, { ...saved, canonical: false, echo: false, signals: false, mapCrNl: false, postprocess: false });
  const state: { ended: Ended } = { ended: 'closed' };
  try {
    if (joined.stdin) yield* thread(() => sendInput(joined, state));
    yield* receive(joined, state);
  } finally {
    if (saved) yield* sys('ioctl', 0, TCSETS, saved);
    yield* attempt(joined.stream.close(), undefined);
  }
  return state.ended;
}

function* sendInput(joined: Joined, state: { ended: Ended }): Body {
  const { stream, detachKeys: keys } = joined;
  let matched = 0;
  try {
    for (;;) {
      const data = yield* sys('read', 0, 32768);
      if (data.length === 0) break;
      if (!joined.tty) {
        yield* writeAll(stream.fd, data);
        continue;
      }
      const out: number[] = [];
      for (const byte of data) {
        if (byte === keys[matched] && keys.length > 0) {
          matched++;
          if (matched < keys.length) continue;
          state.ended = 'detached';
          yield* sys('shutdown', stream.fd, 2);
          return 0;
        }
        if (matched > 0) out.push(...keys.slice(0, matched));
        matched = byte === keys[0] ? 1 : 0;
        if (matched === 0) out.push(byte);
      }
      if (out.length > 0) yield* writeAll(stream.fd, Uint8Array.from(out));
    }
    yield* sys('shutdown', stream.fd, 1);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
  }
  return 0;
}

function* receive(joined: Joined, state: { ended: Ended }): Call<void> {
  let held = joined.rest;
  for (;;) {
    held = joined.tty ? yield* plain(held) : yield* frames(held);
    let data: Uint8Array;
    try {
      data = yield* sys('read', joined.stream.fd, 65536);
    } catch (error) {
      if (!(error instanceof SysError) || error.errno === 'EINTR') {
        if (error instanceof SysError) continue;
        throw error;
      }
      return;
    }
    if (data.length === 0 || state.ended === 'detached') return;
    held = held.length === 0 ? data : joinBytes([held, data]);
  }
}

const NOTHING = new Uint8Array(0);

function* plain(data: Uint8Array): Call<Uint8Array> {
  if (data.length > 0) yield* writeAll(1, data);
  return NOTHING;
}

/** Writes every whole frame to its descriptor; what is left of an unfinished one. */
export function* frames(data: Uint8Array): Call<Uint8Array> {
  let at = 0;
  while (at + 8 <= data.length) {
    const size = (data[at + 4]! << 24) | (data[at + 5]! << 16) | (data[at + 6]! << 8) | data[at + 7]!;
    if (at + 8 + size > data.length) break;
    yield* writeAll(data[at] === 2 ? 2 : 1, data.subarray(at + 8, at + 8 + size));
    at += 8 + size;
  }
  return data.subarray(at);
}

/** Tells the daemon the terminal's size, now and whenever it changes. `path` is "/containers/ID" or "/exec/ID". */
export function* followSize(client: Client, path: string): Call<void> {
  const tell = function* (): Call<void> {
    const size = (yield* attempt(sys('ioctl', 0, TIOCGWINSZ), null)) as Winsize | null;
    if (!size || (size.rows === 0 && size.cols === 0)) return;
    try {
      yield* api(client, 'POST', `${path}/resize`, { query: { h: size.rows, w: size.cols } });
    } catch (error) {
      if (!(error instanceof Error || error instanceof SysError)) throw error;
    }
  };
  yield* tell();
  yield* sys('rt_sigaction', SIG.WINCH, { handler: () => quietly(tell()), restart: true });
}

function* quietly(call: Call<void>): Body {
  yield* attempt(call, undefined);
}

/** Signals sent to the command go to the container; the third that asks it to end does end it. */
export function* proxySignals(client: Client, id: string): Call<void> {
  let asked = 0;
  for (const [name, signal] of Object.entries({
    HUP: SIG.HUP,
    INT: SIG.INT,
    QUIT: SIG.QUIT,
    TERM: SIG.TERM,
    USR1: SIG.USR1,
    USR2: SIG.USR2,
  })) {
    const handler = function* (): Body {
      if ((signal === SIG.INT || signal === SIG.TERM) && ++asked === 3) {
        yield* attempt(writeAll(2, bytes('\ngot 3 SIGTERM/SIGINTs, forcefully exiting\n')), undefined);
        yield* sys('exit_group', 1);
      }
      try {
        yield* api(client, 'POST', `/containers/${id}/kill`, { query: { signal: name } });
      } catch (error) {
        if (!(error instanceof Error || error instanceof SysError)) throw error;
      }
    };
    yield* sys('rt_sigaction', signal, { handler, restart: true });
  }
}
