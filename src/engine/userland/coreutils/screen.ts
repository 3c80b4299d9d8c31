/** A program that has the whole terminal: keys one at a time, the other screen, and everything put back at the end. */
import { AT_FDCWD, O_RDWR, POLLIN, SIG, TCGETS, TCSETS, type Termios, TIOCGWINSZ, type Winsize } from '../../kernel/abi.ts';
import { type Body, sys } from '../../kernel/sys.ts';
import { attempt } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { print } from '../lib/io.ts';
import { binaryOf } from './streams.ts';

export interface Screen {
  /** Keys come from here: /dev/tty, as standard input may be a pipe. */
  fd: number;
  before: Termios | null;
  /** Keys that came together and were not taken yet. */
  keys: string[];
}

/** Null when standard output is no terminal. */
export function* openScreen(): Call<Screen | null> {
  if ((yield* attempt(sys('ioctl', 1, TIOCGWINSZ), null)) === null) return null;
  const fd = yield* attempt(sys('openat', AT_FDCWD, '/dev/tty', O_RDWR), 0);
  const before = (yield* attempt(sys('ioctl', fd, TCGETS), null)) as Termios | null;
  if (before) yield* sys('ioctl', fd, TCSETS, { ...before, canonical: false, echo: false });
  const screen: Screen = { fd, before, keys: [] };
  yield* sys('rt_sigaction', SIG.INT, { handler: function* (): Body {
    yield* closeScreen(screen);
    yield* sys('exit_group', 130);
  } });
  yield* print('\x1b[?1049h\x1b[?25l');
  return screen;
}

export function* closeScreen(screen: Screen): Call<void> {
  yield* print('\x1b[?25h\x1b[?1049l');
  if (screen.before) yield* attempt(sys('ioctl', screen.fd, TCSETS, screen.before), 0);
}

export function* sizeOf(): Call<Winsize> {
  const size = (yield* attempt(sys('ioctl', 1, TIOCGWINSZ), null)) as Winsize | null;
  return { rows: size?.rows || 24, cols: size?.cols || 80 };
}

/** The next key ("q", "\x1b[A"), or null after so many ns without one; -1 waits for ever. */
export function* nextKey(screen: Screen, timeout: number): Call<string | null> {
  const waiting = screen.keys.shift();
  if (waiting !== undefined) return waiting;
  const ready = yield* sys('poll', [{ fd: screen.fd, events: POLLIN }], timeout);
  if (ready.length === 0) return null;
  const data = yield* sys('read', screen.fd, 256);
  screen.keys = binaryOf(data).match(/\x1b\[[0-9;]*[A-Za-z~]|./gs) ?? ['q'];
  return screen.keys.shift()!;
}
