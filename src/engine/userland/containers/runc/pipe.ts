/** Lines of JSON over a socket: what runc, its stages and the shim say to one another. */
import { SysError } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { bytes, text } from '../../../sim/text.ts';
import { type Call, writeAll } from '../../lib/http.ts';

export interface Lines {
  fd: number;
  rest: string;
}

export const linesOf = (fd: number): Lines => ({ fd, rest: '' });

/** The next message, or null when the other side has gone. */
export function* receive<T>(lines: Lines): Call<T | null> {
  for (;;) {
    const end = lines.rest.indexOf('\n');
    if (end >= 0) {
      const line = lines.rest.slice(0, end);
      lines.rest = lines.rest.slice(end + 1);
      return JSON.parse(line) as T;
    }
    let data: Uint8Array;
    try {
      data = yield* sys('read', lines.fd, 65536);
    } catch (error) {
      if (error instanceof SysError && error.errno === 'EINTR') continue;
      if (error instanceof SysError && error.errno === 'ECONNRESET') return null;
      throw error;
    }
    if (data.length === 0) return null;
    lines.rest += text(data);
  }
}

export function* tell(fd: number, message: object): Call<void> {
  yield* writeAll(fd, bytes(`${JSON.stringify(message)}\n`));
}
