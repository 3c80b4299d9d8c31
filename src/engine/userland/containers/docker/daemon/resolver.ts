/**
 * The embedded DNS server of networks that people make: a thread of the daemon at 127.0.0.11 in each container's namespace,
 * at a port of its own to which rules there send port 53. Names, aliases and short ids of those on the same networks; any other
 * name is asked of the host's name servers. Source: moby libnetwork/resolver.go, resolver_unix.go. UDP only.
 */
import { AF_INET, AT_FDCWD, CLONE_NEWNET, O_RDONLY, POLLIN, SOCK_DGRAM, type SockAddr, SysError } from '../../../../kernel/abi.ts';
import { type Body, sys } from '../../../../kernel/sys.ts';
import { SECOND } from '../../../../sim/units.ts';
import { attempt, tryRead } from '../../../lib/files.ts';
import { type Call, thread } from '../../../lib/http.ts';
import { encodeAnswer, encodeName, queryName } from '../../../net/dns.ts';
import { bridged, is, membersOf, rules } from './bridges.ts';
import type { Container, Daemon } from './state.ts';

export const RESOLVER = '127.0.0.11';
const FORWARD = 4 * SECOND;
const TYPE_A = 1;
const TYPE_PTR = 12;
const SERVFAIL = 2;

/** The default bridge knows no names. */
export const needsResolver = (daemon: Daemon, c: Container): boolean => bridged(daemon, c).some(({ n }) => n.bridge !== 'docker0');

/** Starts the server of a container whose namespace is that of `pid`; once. */
export function* startResolver(daemon: Daemon, c: Container, pid: number): Call<void> {
  if (c.live.resolver >= 0 || !needsResolver(daemon, c)) return;
  const fd = yield* socketIn(`/proc/${pid}/ns/net`);
  if (fd < 0) return;
  const [closed, keep] = yield* sys('pipe2', 0);
  c.live.resolver = keep;
  const local = yield* sys('getsockname', fd);
  yield* redirect(pid, local.family === 'inet' ? local.port : 0);
  yield* thread(() => serveNames(daemon, c, fd, closed));
}

/** Its thread ends when the other end of its pipe is closed. */
export function* stopResolver(c: Container): Call<void> {
  if (c.live.resolver < 0) return;
  yield* sys('close', c.live.resolver);
  c.live.resolver = -1;
}

/** A socket made inside by a thread that goes there; -1 when there is no such namespace. Descriptors are the daemon's. */
function* socketIn(namespace: string): Call<number> {
  const [from, to] = yield* sys('pipe2', 0);
  yield* thread(function* (): Body {
    try {
      const ns = yield* sys('openat', AT_FDCWD, namespace, O_RDONLY);
      yield* sys('setns', ns, CLONE_NEWNET);
      yield* sys('close', ns);
      const fd = yield* sys('socket', AF_INET, SOCK_DGRAM, 0);
      yield* sys('bind', fd, { family: 'inet', address: RESOLVER, port: 0 });
      yield* sys('write', to, Uint8Array.of(fd >> 8, fd & 255));
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
    }
    yield* sys('close', to);
    return 0;
  });
  const told = yield* sys('read', from, 2);
  yield* sys('close', from);
  return told.length === 2 ? told[0]! * 256 + told[1]! : -1;
}

function* redirect(pid: number, port: number): Call<void> {
  const ns = { pid };
  const to = `${RESOLVER}/32`;
  for (const chain of ['DOCKER_OUTPUT', 'DOCKER_POSTROUTING']) yield* rules('nf.newchain', 'nat', chain, undefined, ns);
  yield* rules('nf.append', 'nat', 'OUTPUT', { dst: is(to), target: 'DOCKER_OUTPUT' }, ns);
  yield* rules('nf.append', 'nat', 'POSTROUTING', { dst: is(to), target: 'DOCKER_POSTROUTING' }, ns);
  yield* rules('nf.append', 'nat', 'DOCKER_OUTPUT', { dst: is(to), proto: is('udp'), dport: is('53'), target: 'DNAT', to: `${RESOLVER}:${port}` }, ns);
  yield* rules('nf.append', 'nat', 'DOCKER_POSTROUTING', { src: is(to), proto: is('udp'), sport: is(String(port)), target: 'SNAT', to: ':53' }, ns);
}

function* serveNames(daemon: Daemon, c: Container, fd: number, closed: number): Body {
  for (;;) {
    const ready = yield* sys('poll', [{ fd, events: POLLIN }, { fd: closed, events: POLLIN }], -1);
    if (ready.some((one) => one.fd === closed)) break;
    const { data, from } = yield* sys('recvfrom', fd, 65536);
    if (data.length > 16 && from) yield* thread(() => reply(daemon, c, fd, data, from));
  }
  yield* sys('close', fd);
  yield* sys('close', closed);
  return 0;
}

function* reply(daemon: Daemon, c: Container, fd: number, query: Uint8Array, to: SockAddr): Body {
  const name = queryName(query).toLowerCase();
  const answer = typeOf(query) === TYPE_PTR ? yield* reverse(daemon, c, query, name) : yield* direct(daemon, c, query, name);
  yield* attempt(sys('sendto', fd, answer, to), 0);
  return 0;
}

/** Several addresses come in another order each time (DNS round robin). */
function* direct(daemon: Daemon, c: Container, query: Uint8Array, name: string): Call<Uint8Array> {
  const known = addressesOf(daemon, c, name);
  if (known === null) return yield* forward(query, yield* serversFor(c));
  const start = known.length > 1 ? Math.floor((query[0]! * 256 + query[1]!) / 2) % known.length : 0;
  return encodeAnswer(query, 0, typeOf(query) === TYPE_A ? [...known.slice(start), ...known.slice(0, start)] : []);
}

/** "2.0.18.172.in-addr.arpa": the container that has the address, as "name.network". */
function* reverse(daemon: Daemon, c: Container, query: Uint8Array, name: string): Call<Uint8Array> {
  const octets = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\.in-addr\.arpa$/.exec(name);
  const address = octets ? octets.slice(1).reverse().join('.') : '';
  for (const { n } of bridged(daemon, c).filter((one) => one.n.bridge !== 'docker0')) {
    for (const one of membersOf(daemon, n)) {
      if (Object.values(one.network.endpoints).some((e) => e.NetworkID === n.Id && e.IPAddress === address)) return encodeName(query, `${one.Name.slice(1)}.${n.Name}`);
    }
  }
  return yield* forward(query, yield* serversFor(c));
}

function typeOf(query: Uint8Array): number {
  let at = 12;
  while (at < query.length && query[at]! > 0) at += query[at]! + 1;
  return (query[at + 1] ?? 0) * 256 + (query[at + 2] ?? 0);
}

/** Addresses of "name" or "name.network" on the container's networks; null for what is no name there. */
export function addressesOf(daemon: Daemon, c: Container, name: string): string[] | null {
  const found = bridged(daemon, c).filter(({ n }) => n.bridge !== 'docker0').flatMap(({ n }) => {
    const suffix = `.${n.Name.toLowerCase()}`;
    return membersOf(daemon, n).flatMap((one) => {
      const e = Object.values(one.network.endpoints).find((x) => x.NetworkID === n.Id)!;
      const names = (e.DNSNames ?? []).map((x) => x.toLowerCase());
      const said = names.includes(name) || (name.endsWith(suffix) && names.includes(name.slice(0, -suffix.length)));
      return said && e.IPAddress !== '' ? [e.IPAddress] : [];
    });
  });
  return found.length > 0 ? found : null;
}

/** Name servers for what is outside: those of --dns, else the host's, else Google's as docker does. */
export function* serversFor(c: Container): Call<string[]> {
  if (c.HostConfig.Dns.length > 0) return c.HostConfig.Dns;
  const lines = ((yield* tryRead('/etc/resolv.conf')) ?? '').split('\n');
  const servers = lines.flatMap((line) => /^nameserver\s+(\d+\.\d+\.\d+\.\d+)/.exec(line)?.[1] ?? []);
  return servers.length > 0 ? servers : ['8.8.8.8', '8.8.4.4'];
}

/** Asks from the host's namespace, each server once. */
function* forward(query: Uint8Array, servers: readonly string[]): Call<Uint8Array> {
  for (const address of servers) {
    const fd = yield* sys('socket', AF_INET, SOCK_DGRAM, 0);
    try {
      yield* sys('connect', fd, { family: 'inet', address, port: 53 });
      yield* sys('sendto', fd, query);
      if ((yield* sys('poll', [{ fd, events: POLLIN }], FORWARD)).length === 0) continue;
      const { data } = yield* sys('recvfrom', fd, 65536);
      if (data[0] === query[0] && data[1] === query[1]) return data;
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
    } finally {
      yield* sys('close', fd);
    }
  }
  return encodeAnswer(query, SERVFAIL, []);
}
