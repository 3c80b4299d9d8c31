/**
 * A container's terminal. Inside, `makeConsole` opens /dev/ptmx of the container's own devpts, makes the slave the standard
 * streams and sends the master out over a socket (SCM_RIGHTS). Outside, whoever holds the master copies between it and a
 * person's terminal in raw mode. Source: runc libcontainer/console_linux.go, tty.go.
 */
import {
  AT_FDCWD, MS_BIND, O_CREAT, O_NOCTTY, O_RDWR, O_WRONLY, POLLERR, POLLHUP, POLLIN, SIG, SysError, TCGETS, TCSETS, TIOCGPTN, TIOCGWINSZ, TIOCSCTTY, TIOCSPTLCK,
  TIOCSWINSZ, type Termios, type Winsize,
} from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { bytes } from '../../../sim/text.ts';
import { attempt } from '../../lib/files.ts';
import { type Call, writeAll } from '../../lib/http.ts';
import { Fatal } from './log.ts';

export function* makeConsole(socket: number, size: { height: number; width: number } | undefined, where: 'with /dev/console' | 'without /dev/console'): Call<void> {
  const master = yield* sys('openat', AT_FDCWD, '/dev/ptmx', O_RDWR | O_NOCTTY);
  yield* attempt(sys('ioctl', master, TIOCSPTLCK, 0), 0);
  const slave = `/dev/pts/${Number(yield* sys('ioctl', master, TIOCGPTN))}`;
  if (size && size.width > 0) yield* sys('ioctl', master, TIOCSWINSZ, { rows: size.height, cols: size.width } satisfies Winsize);
  if (where === 'with /dev/console') {
    yield* sys('close', yield* sys('openat', AT_FDCWD, '/dev/console', O_WRONLY | O_CREAT | O_NOCTTY, 0o666));
    yield* sys('mount', slave, '/dev/console', 'bind', MS_BIND, '');
  }
  yield* sys('sendmsg', socket, bytes(slave), [master]);
  yield* sys('close', socket);
  const fd = yield* sys('openat', AT_FDCWD, slave, O_RDWR);
  for (const to of [0, 1, 2]) if (fd !== to) yield* sys('dup3', fd, to, 0);
  if (fd > 2) yield* sys('close', fd);
  yield* sys('close', master);
  yield* sys('ioctl', 0, TIOCSCTTY, 0);
}

/** The master that the container sent, and nothing more is expected on the socket. */
export function* receiveMaster(socket: number): Call<number> {
  const { fds } = yield* sys('recvmsg', socket, 4096);
  yield* sys('close', socket);
  if (fds[0] === undefined) throw new SysError('EIO');
  yield* sys('fcntl', fds[0], 'setfd', 1);
  return fds[0];
}

/** The terminal that somebody sits at: a standard stream, else /dev/tty. Throws Fatal where there is none. */
export function* hostConsole(): Call<number> {
  for (const fd of [2, 1, 0]) if (yield* attempt(sys('ioctl', fd, TCGETS), null)) return fd;
  try {
    return yield* sys('openat', AT_FDCWD, '/dev/tty', O_RDWR);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Fatal(`open /dev/tty: ${error.message.toLowerCase()}`);
  }
}

/** Puts the terminal at `fd` into raw mode; what it was before, or null when it is none. */
export function* rawMode(fd: number): Call<Termios | null> {
  const before = (yield* attempt(sys('ioctl', fd, TCGETS), null)) as Termios | null;
  if (before) yield* sys('ioctl', fd, TCSETS, { canonical: false, echo: false, signals: false, mapCrNl: false, postprocess: false } satisfies Termios);
  return before;
}

export function* restoreMode(fd: number, before: Termios | null): Call<void> {
  if (before) yield* attempt(sys('ioctl', fd, TCSETS, before), 0);
}

/** Keeps a pty's size that of the terminal at `fd`, now and at every SIGWINCH. */
export function* followSize(fd: number, master: number): Call<void> {
  const copy = function* (): Call<void> {
    const size = yield* attempt(sys('ioctl', fd, TIOCGWINSZ), null);
    if (size) yield* attempt(sys('ioctl', master, TIOCSWINSZ, size), 0);
  };
  yield* copy();
  yield* sys('rt_sigaction', SIG.WINCH, { handler: copy, restart: true });
}

/** Copies input to the master and the master to output until the other side has hung up. */
export function* relay(master: number, input: number, output: number): Call<void> {
  let open = true;
  for (;;) {
    let ready: { fd: number; revents: number }[];
    try {
      ready = yield* sys('poll', [...(open ? [{ fd: input, events: POLLIN }] : []), { fd: master, events: POLLIN }], -1);
    } catch (error) {
      if (error instanceof SysError && error.errno === 'EINTR') continue;
      throw error;
    }
    for (const { fd, revents } of ready) {
      if ((revents & (POLLIN | POLLHUP | POLLERR)) === 0) continue;
      const data = yield* attempt(sys('read', fd, 8192), new Uint8Array(0));
      if (fd === master && data.length === 0) return;
      if (fd === input && data.length === 0) open = false;
      if (data.length > 0) yield* attempt(writeAll(fd === master ? output : master, data), undefined);
    }
  }
}
