/** The client's end of GDB's remote serial protocol: a packet and its answer, console text on the way. Source: GDB manual appendix E. */
import { POLLIN, SysError } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { bytes, text } from '../../../sim/text.ts';
import { type Call, dial, writeAll } from '../../lib/http.ts';
import { Failed, print, strerror } from '../../lib/io.ts';

export interface Remote {
  fd: number;
  held: string;
}

/** "localhost:1234", ":1234", "tcp:host:1234". */
export function* connect(where: string): Call<Remote> {
  const m = /^(?:tcp:)?([^:]*):(\d+)$/.exec(where);
  if (!m) throw new Failed(`${where}: No such file or directory.`);
  const address = m[1] === '' || m[1] === 'localhost' ? '127.0.0.1' : m[1]!;
  try {
    return { fd: yield* dial({ family: 'inet', address, port: Number(m[2]) }), held: '' };
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`${where}: ${strerror(error)}.`);
  }
}

export function* sendPacket(remote: Remote, body: string): Call<void> {
  const data = bytes(body);
  yield* writeAll(remote.fd, bytes(`$${body}#${(data.reduce((sum, byte) => sum + byte, 0) & 255).toString(16).padStart(2, '0')}`));
}

/** The next packet; console output ("O…") is printed. Null: the other end has closed. `interrupted` is asked after each signal. */
export function* nextPacket(remote: Remote, interrupted: () => boolean): Call<string | null> {
  let asked = false;
  for (;;) {
    const m = /^[+-]*\$([^#]*)#(..)/.exec(remote.held);
    if (m) {
      remote.held = remote.held.slice(m[0].length);
      yield* writeAll(remote.fd, bytes('+'));
      if (m[1]!.startsWith('O') && m[1] !== 'OK') yield* print(fromHex(m[1]!.slice(1)));
      else return m[1]!;
      continue;
    }
    if (interrupted() && !asked) {
      asked = true;
      yield* writeAll(remote.fd, Uint8Array.of(3));
    }
    try {
      yield* sys('poll', [{ fd: remote.fd, events: POLLIN }], -1);
      const data = yield* sys('read', remote.fd, 65536);
      if (data.length === 0) return null;
      remote.held += text(data);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      if (error.errno !== 'EINTR') return null;
    }
  }
}

export const fromHex = (hex: string): string => text(Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)));
export const toHex = (line: string): string => [...bytes(line)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
