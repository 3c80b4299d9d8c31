/**
 * Published ports: a host port for each binding, kept from other containers, a docker-proxy process that listens and
 * forwards, and the DNAT rule beside it. Source: moby libnetwork/portallocator, portmapper, drivers/bridge/port_mapping.go.
 */
import { SIG } from '../../../../kernel/abi.ts';
import { sys } from '../../../../kernel/sys.ts';
import { text } from '../../../../sim/text.ts';
import { attempt, fork, reap } from '../../../lib/files.ts';
import type { Call } from '../../../lib/http.ts';
import { is, not, rules } from './bridges.ts';
import { type Container, type Daemon, type Endpoint, type Network, Refused } from './state.ts';

interface Binding {
  key: string;
  proto: string;
  inside: number;
  ip: string;
  port: number;
}

function bindingsOf(daemon: Daemon, c: Container): Binding[] {
  const wanted: Record<string, { HostIp: string; HostPort: string }[]> = { ...c.HostConfig.PortBindings };
  if (c.HostConfig.PublishAllPorts)
    for (const key of Object.keys(c.Config.ExposedPorts ?? {})) wanted[key] ??= [{ HostIp: '', HostPort: '' }];
  const out: Binding[] = [];
  for (const [key, list] of Object.entries(wanted).sort(([a], [b]) => Number.parseInt(a, 10) - Number.parseInt(b, 10))) {
    const [inside, proto = 'tcp'] = key.split('/');
    for (const one of list.length > 0 ? list : [{ HostIp: '', HostPort: '' }]) {
      const ips = one.HostIp === '' ? ['0.0.0.0', '::'] : [one.HostIp];
      const port = choose(daemon, c, one.HostPort, proto, ips, out);
      for (const ip of ips) out.push({ key, proto, inside: Number(inside), ip, port });
    }
  }
  return out;
}

/** Ports of running containers, and of this one so far, as "proto ip port". */
function taken(daemon: Daemon, except: Container, more: readonly Binding[]): Binding[] {
  const held = [...daemon.containers.values()]
    .filter((c) => c !== except)
    .flatMap((c) =>
      Object.entries(c.network.ports).flatMap(([key, list]) =>
        (list ?? []).map((b) => ({ key, proto: key.split('/')[1]!, inside: 0, ip: b.HostIp, port: Number(b.HostPort) })),
      ),
    );
  return [...held, ...more];
}

function clashes(a: Binding, proto: string, ip: string, port: number): boolean {
  const wild = (x: string): boolean => x === '0.0.0.0' || x === '::';
  const family = a.ip.includes(':') === ip.includes(':');
  return a.proto === proto && a.port === port && family && (a.ip === ip || wild(a.ip) || wild(ip));
}

function choose(daemon: Daemon, c: Container, text: string, proto: string, ips: readonly string[], more: readonly Binding[]): number {
  const held = taken(daemon, c, more);
  const free = (port: number): boolean => !held.some((b) => ips.some((ip) => clashes(b, proto, ip, port)));
  const range = /^(\d+)(?:-(\d+))?$/.exec(text);
  if (range && Number(range[1]) > 0) {
    const [from, to] = [Number(range[1]), Number(range[2] ?? range[1])];
    for (let port = from; port <= to; port++) if (free(port)) return port;
    throw new Refused(500, `Bind for ${ips[0]}:${from} failed: port is already allocated`);
  }
  for (let tries = 0; tries < 28232; tries++) {
    const port = daemon.nextPort;
    daemon.nextPort = port >= 60999 ? 32768 : port + 1;
    if (free(port)) return port;
  }
  throw new Refused(500, 'all ports are allocated');
}

/** Takes the host ports and notes them. Throws Refused. */
export function* reservePorts(daemon: Daemon, c: Container, e: Endpoint): Call<void> {
  c.network.ports = {};
  try {
    const bindings = bindingsOf(daemon, c);
    const ports: Container['network']['ports'] = {};
    for (const key of Object.keys(c.Config.ExposedPorts ?? {})) ports[key] = null;
    for (const b of bindings) ports[b.key] = [...(ports[b.key] ?? []), { HostIp: b.ip, HostPort: String(b.port) }];
    c.network.ports = ports;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    throw programming(c, e, error.message);
  }
}

function programming(c: Container, e: Endpoint, why: string): Refused {
  return new Refused(500, `driver failed programming external connectivity on endpoint ${c.Name.slice(1)} (${e.EndpointID}): ${why}`);
}

/** What it holds, the highest host port first, as docker programs them. */
function held(c: Container): Binding[] {
  const all = Object.entries(c.network.ports).flatMap(([key, list]) =>
    (list ?? []).map((b) => {
      const [inside, proto = 'tcp'] = key.split('/');
      return { key, proto, inside: Number(inside), ip: b.HostIp, port: Number(b.HostPort) };
    }),
  );
  return all.sort((x, y) => y.port - x.port);
}

function* forward(b: Binding, e: Endpoint, n: Network, type: 'nf.append' | 'nf.delete'): Call<void> {
  if (b.ip.includes(':')) return;
  const to = `${e.IPAddress}:${b.inside}`;
  yield* rules(type, 'nat', 'DOCKER', {
    ...(b.ip === '0.0.0.0' ? {} : { dst: is(`${b.ip}/32`) }),
    in: not(n.bridge),
    proto: is(b.proto),
    dport: is(String(b.port)),
    target: 'DNAT',
    to,
  });
  yield* rules(type, 'filter', 'DOCKER', {
    dst: is(`${e.IPAddress}/32`),
    in: not(n.bridge),
    out: is(n.bridge),
    proto: is(b.proto),
    dport: is(String(b.inside)),
    target: 'ACCEPT',
  });
  yield* rules(type, 'nat', 'POSTROUTING', {
    src: is(`${e.IPAddress}/32`),
    dst: is(`${e.IPAddress}/32`),
    proto: is(b.proto),
    dport: is(String(b.inside)),
    target: 'MASQUERADE',
  });
}

/** Starts the proxies and adds the rules. Throws Refused when a port is somebody else's. */
export function* publishPorts(c: Container, e: Endpoint, n: Network): Call<void> {
  for (const b of held(c)) {
    yield* startProxy(c, e, b);
    yield* forward(b, e, n, 'nf.append');
  }
}

function* startProxy(c: Container, e: Endpoint, b: Binding): Call<void> {
  const [read, write] = yield* sys('pipe2', 0);
  const argv = [
    '/usr/sbin/docker-proxy',
    '-proto',
    b.proto,
    '-host-ip',
    b.ip,
    '-host-port',
    String(b.port),
    '-container-ip',
    e.IPAddress,
    '-container-port',
    String(b.inside),
  ];
  const pid = yield* fork(function* () {
    if (write !== 3) yield* sys('dup3', write, 3, 0);
    for (let fd = 4; fd < 256; fd++) yield* attempt(sys('close', fd), 0);
    yield* sys('execve', argv[0]!, argv, { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' });
    return 1;
  });
  yield* sys('close', write);
  const answer = text(yield* sys('read', read, 4096));
  yield* sys('close', read);
  if (answer.startsWith('0')) {
    c.live.proxies.push(pid);
    return;
  }
  yield* reap(pid);
  throw programming(c, e, `Error starting userland proxy: ${answer.replace(/^1\n/, '').trim() || 'exit status 1'}`);
}

export function* releasePorts(c: Container, e: Endpoint | null, n: Network | null): Call<void> {
  for (const pid of c.live.proxies.splice(0)) {
    yield* attempt(sys('kill', pid, SIG.INT), 0);
    yield* attempt(reap(pid), 0);
  }
  if (e && n) for (const b of held(c)) yield* forward(b, e, n, 'nf.delete');
  c.network.ports = {};
}
