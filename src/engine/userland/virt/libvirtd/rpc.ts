/**
 * How virsh and libvirtd talk: one HTTP request a call over libvirtd's unix socket, arguments and result as JSON, a refusal
 * as text with status 409. The real wire format (XDR) is not modelled; who may open the socket is, by its permission bits.
 */
import { SysError } from '../../../kernel/abi.ts';
import { type Call, type Handler, reply, request } from '../../lib/http.ts';
import { strerror } from '../../lib/io.ts';
import { LibvirtError } from '../libvirt/xml.ts';

export const SOCKET = '/run/libvirt/libvirt-sock';
/** As messages name it. */
const SHOWN = '/var/run/libvirt/libvirt-sock';

/** The daemon cannot be reached at all. */
export class NoConnection extends Error {}

/** One call. Throws LibvirtError with the daemon's words, NoConnection when there is no daemon. */
export function* callLibvirt(method: string, args: Readonly<Record<string, unknown>>, socket = SOCKET): Call<unknown> {
  let status: number;
  let body: string;
  try {
    const answer = yield* request({ family: 'unix', path: socket }, { method: 'POST', path: `/${method}`, body: JSON.stringify(args) });
    status = answer.status;
    body = answer.body;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new NoConnection(`Failed to connect socket to '${socket === SOCKET ? SHOWN : socket}': ${strerror(error)}`);
  }
  if (status === 409) throw new LibvirtError((JSON.parse(body) as { message: string }).message);
  if (status !== 200) throw new NoConnection('End of file while reading data: Input/output error');
  return (JSON.parse(body) as { value?: unknown }).value;
}

export type CallHandler = (method: string, args: Readonly<Record<string, unknown>>) => Call<unknown>;

export function serveCalls(answer: CallHandler): Handler {
  return function* (exchange) {
    let args: Record<string, unknown>;
    try {
      args = JSON.parse(exchange.body || '{}') as Record<string, unknown>;
    } catch {
      yield* reply(exchange, 400, { message: 'malformed call' });
      return;
    }
    try {
      const value = yield* answer(exchange.path.slice(1), args);
      yield* reply(exchange, 200, { value: value ?? null });
    } catch (error) {
      if (!(error instanceof LibvirtError)) throw error;
      yield* reply(exchange, 409, { message: error.message });
    }
  };
}
