/** Sockets of the internet family: see sockets.ts for files, tcp.ts for streams, forward.ts for the way of packets. */
import { SysError } from '../abi.ts';
import type { Family } from './family.ts';

function absent(): never {
  throw new SysError('EAFNOSUPPORT');
}

export const inetFamily: Family = {
  bind: absent, listen: absent, connect: absent, send: absent, receive: absent, shutdown: absent, release: () => undefined, poll: () => 0,
};
