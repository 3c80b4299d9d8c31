/**
 * virsh console: this terminal and a domain's pty joined until the escape key (^]) or the end of the domain. The pty is
 * opened here; the real program has libvirtd pass its bytes. Source: virsh-console.c.
 */
import { AT_FDCWD, O_NOCTTY, O_RDWR, POLLHUP, POLLIN, SysError, TCGETS, TCSETS, type Termios } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { attempt } from '../../lib/files.ts';
import { type Call, writeAll } from '../../lib/http.ts';

const ESCAPE = 0x1d;
const NONE = new Uint8Array(0);

export function* isTerminal(fd: number): Call<boolean> {
  return (yield* attempt(sys('ioctl', fd, TCGETS), null)) !== null;
}

/** Throws SysError when the pty cannot be opened. */
export function* joinConsole(pty: string): Call<void> {
  const fd = yield* sys('openat', AT_FDCWD, pty, O_RDWR | O_NOCTTY);
  const before = (yield* sys('ioctl', 0, TCGETS)) as Termios;
  yield* sys('ioctl', 0, TCSETS, { canonical: false, echo: false, signals: false, mapCrNl: false, postprocess: false } satisfies Termios);
  try {
    while (yield* pass(fd));
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
  } finally {
    yield* attempt(sys('ioctl', 0, TCSETS, before), 0);
    yield* attempt(sys('close', fd), 0);
  }
}

/** Waits for either side and passes on what it has; false at the end. */
function* pass(fd: number): Call<boolean> {
  const ready = yield* sys('poll', [{ fd: 0, events: POLLIN }, { fd, events: POLLIN }], -1);
  for (const one of ready) {
    const data = yield* attempt(sys('read', one.fd, 4096), NONE, 'EIO');
    if (one.fd === 0) {
      const leaving = data.indexOf(ESCAPE);
      const keys = leaving < 0 ? data : data.subarray(0, leaving);
      if (keys.length > 0) yield* writeAll(fd, keys);
      if (leaving >= 0 || data.length === 0) return false;
    } else {
      if (data.length === 0) return false;
      yield* writeAll(1, data);
      if (one.revents & POLLHUP && !(one.revents & POLLIN)) return false;
    }
  }
  return true;
}
