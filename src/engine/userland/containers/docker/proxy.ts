/**
 * docker-proxy: listens on a host port and copies every connection to the container's port, a thread each way. Says "0" on
 * descriptor 3 once it listens, or "1" and why not. Source: moby cmd/docker-proxy. Left out: sctp; IPv6 sockets are not
 * modelled, so the proxy of an IPv6 address is there and hears nothing.
 */
import { AF_INET, SIG, SOCK_DGRAM, SysError } from '../../../kernel/abi.ts';
import { type Body, type Program, sys } from '../../../kernel/sys.ts';
import { bytes } from '../../../sim/text.ts';
import { attempt } from '../../lib/files.ts';
import { type Call, dial, listen, thread, writeAll } from '../../lib/http.ts';

interface Ends {
  proto: string;
  hostIp: string;
  hostPort: number;
  ip: string;
  port: number;
}

export const dockerProxy: Program = function* (argv) {
  const option = (name: string, otherwise: string): string => argv[argv.indexOf(`-${name}`) + 1] ?? otherwise;
  const ends: Ends = {
    proto: option('proto', 'tcp'),
    hostIp: option('host-ip', '0.0.0.0'),
    hostPort: Number(option('host-port', '0')),
    ip: option('container-ip', ''),
    port: Number(option('container-port', '0')),
  };
  yield* sys('rt_sigaction', SIG.PIPE, { handler: 'ignore' });
  yield* attempt(sys('prctl', 'PR_SET_PDEATHSIG', SIG.TERM), 0);
  if (ends.hostIp.includes(':')) {
    yield* report('0\n');
    for (;;) yield* attempt(sys('pause'), 0);
  }
  let fd: number;
  try {
    fd = ends.proto === 'udp' ? yield* bindUdp(ends) : yield* listen({ family: 'inet', address: ends.hostIp, port: ends.hostPort }, undefined, 4096);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* report(`1\nlisten ${ends.proto}4 ${ends.hostIp}:${ends.hostPort}: bind: ${error.message.toLowerCase()}`);
    return 1;
  }
  yield* report('0\n');
  yield* ends.proto === 'udp' ? relay(fd, ends) : accept(fd, ends);
  return 0;
};

function* report(text: string): Call<void> {
  yield* attempt(writeAll(3, bytes(text)), undefined);
  yield* attempt(sys('close', 3), 0);
}

function* bindUdp(ends: Ends): Call<number> {
  const fd = yield* sys('socket', AF_INET, SOCK_DGRAM, 0);
  yield* sys('bind', fd, { family: 'inet', address: ends.hostIp, port: ends.hostPort });
  return fd;
}

function* accept(listening: number, ends: Ends): Call<void> {
  for (;;) {
    const { fd } = yield* sys('accept4', listening, 0);
    yield* thread(() => connection(fd, ends));
  }
}

function* connection(client: number, ends: Ends): Body {
  const server = yield* attempt(dial({ family: 'inet', address: ends.ip, port: ends.port }), -1);
  if (server >= 0) {
    yield* thread(() => copy(server, client));
    yield* copy(client, server);
    yield* attempt(sys('close', server), 0);
  }
  yield* attempt(sys('close', client), 0);
  return 0;
}

/** Copies until the sender ends, then ends the receiver's input. */
function* copy(from: number, to: number): Body {
  for (;;) {
    const data = yield* attempt(sys('read', from, 65536), null);
    if (data === null || data.length === 0) break;
    if ((yield* attempt(writeAll(to, data), null)) === null) break;
  }
  yield* attempt(sys('shutdown', to, 1), 0);
  return 0;
}

/** Datagrams: one socket to the container a client, and its answers back. */
function* relay(fd: number, ends: Ends): Call<void> {
  const known = new Map<string, number>();
  for (;;) {
    const { data, from } = yield* sys('recvfrom', fd, 65536);
    if (from?.family !== 'inet') continue;
    const key = `${from.address}:${from.port}`;
    let to = known.get(key);
    if (to === undefined) {
      to = yield* sys('socket', AF_INET, SOCK_DGRAM, 0);
      yield* sys('connect', to, { family: 'inet', address: ends.ip, port: ends.port });
      known.set(key, to);
      const socket = to;
      yield* thread(function* () {
        for (;;) {
          const answer = yield* attempt(sys('recvfrom', socket, 65536), null);
          if (answer === null) return 0;
          yield* attempt(sys('sendto', fd, answer.data, from), 0);
        }
      });
    }
    yield* attempt(sys('sendto', to, data), 0);
  }
}
