/**
 * What lies behind the lab's gateway: three routers and one machine that has the addresses of a few well-known names, so that a
 * default route, a name server, distance and NAT mean something. One kernel of its own, a namespace a router, links with netem's
 * delay: 10 ms to the far end and as much back. It is booted when somebody first looks for the gateway, and costs nothing before.
 * Left out: every other address (the last router says so), TLS, IPv6, name servers' recursion. Addresses of routers are those of
 * RFC 5737.
 */
import { boot, createKernel } from '../kernel/kernel.ts';
import { addAddress, addLink, createNetNamespace, setUp } from '../kernel/net/links.ts';
import { createDiscipline } from '../kernel/net/qdisc.ts';
import { linkByName } from '../kernel/net/state.ts';
import type { Link, NetNamespace } from '../kernel/net/types.ts';
import type { Kernel, Uplink } from '../kernel/records.ts';
import { enterNamespace, freshNumber } from '../kernel/vacancy.ts';
import type { Tree } from '../kernel/vfs/build.ts';
import type { Timeline } from '../sim/timeline.ts';
import type { Trace } from '../sim/trace.ts';
import { GiB, MS } from '../sim/units.ts';

/** Its machine's name. */
export const OUTSIDE = 'outside';
export const GATEWAY = '10.0.0.1';
const INSIDE = '10.0.0.0/24';
/** The name server that machines with a way out are given. */
export const NAME_SERVER = '1.1.1.1';

/** Addresses of the far machine and their names. */
const NAMES: readonly (readonly [address: string, ...names: string[]])[] = [
  ['1.1.1.1', 'one.one.one.one'], ['8.8.8.8', 'dns.google'], ['9.9.9.9', 'dns.quad9.net'],
  ['93.184.215.14', 'example.com', 'www.example.com', 'example.org', 'www.example.org', 'example.net', 'www.example.net'],
];

const PAGE = `<!doctype html>
<html>
<head><title>Example Domain</title></head>
<body>
<h1>Example Domain</h1>
<p>This domain is for use in examples.</p>
</body>
</html>
`;

const file = (data: string, mode = 0o644): Tree[string] => ({ type: 'file', data, mode });

/** A disk with two servers and what they serve. */
function disk(): Tree {
  const programs: Tree = Object.fromEntries(['sh', 'busybox', 'dnsmasq'].map((name) => [`/usr/bin/${name}`, { type: 'program' as const, name, mode: 0o755 }]));
  return {
    '/bin': { type: 'link', target: 'usr/bin' }, ...programs,
    ...Object.fromEntries(['/dev', '/proc', '/sys', '/run', '/tmp', '/srv', '/srv/www'].map((path) => [path, { type: 'dir' as const, mode: 0o755 }])),
    '/etc/hosts': file(NAMES.map((line) => `${line.join(' ')}\n`).join('')),
    '/srv/www/index.html': file(PAGE),
    '/sbin/init': file('#!/bin/sh\ndnsmasq -k &\nexec busybox httpd -f -p 80 -h /srv/www\n', 0o755),
  };
}

function route(ns: NetNamespace, to: string, via: string, dev: string): void {
  ns.routes.push({ to, via, dev, src: null, proto: 'static', scope: 'global', metric: 0, type: 'unicast', onlink: false });
}

/** A router: a namespace that forwards and lasts as long as its machine. */
function router(kernel: Kernel): NetNamespace {
  const ns = createNetNamespace(kernel, kernel.init.user, freshNumber(kernel));
  enterNamespace(kernel, 'net', ns);
  ns.forwarding = true;
  setUp(kernel, ns, linkByName(ns, 'lo')!);
  return ns;
}

/** A line between two namespaces, each end with the next address of a /30 and this delay, ns. */
function join(kernel: Kernel, near: NetNamespace, far: NetNamespace, prefix: string, delay: number): void {
  const ends = [near, far].map((ns, i): Link => addLink(kernel, ns, 'veth', i === 0 ? 'up0' : 'down0'));
  ends[0]!.peer = { ns: far, index: ends[1]!.index };
  ends[1]!.peer = { ns: near, index: ends[0]!.index };
  for (const [i, ns] of [near, far].entries()) {
    const link = ends[i]!;
    setUp(kernel, ns, link);
    addAddress(kernel, ns, link, { address: `${prefix}.${i + 1}`, prefix: 30 });
    link.discipline = { ...createDiscipline(kernel, link, 'netem', '1:'), delay };
    link.qdisc = 'netem';
  }
}

/** Boots it on the wire of the lab. */
export function bootOutside(timeline: Timeline, trace: Trace, seed: number, ghz: number, programs: Kernel['programs'], uplink: Uplink): Kernel {
  const kernel = createKernel({ name: OUTSIDE, cpus: 1, memory: GiB, ghz, timeline, trace, seed, programs, hostname: OUTSIDE, network: null });
  kernel.uplink = uplink;
  const [gateway, provider, backbone] = [router(kernel), router(kernel), router(kernel)];
  const far = kernel.init.net;
  const eth0 = addLink(kernel, gateway, 'ether', 'eth0');
  setUp(kernel, gateway, eth0);
  addAddress(kernel, gateway, eth0, { address: GATEWAY, prefix: 24 });
  join(kernel, gateway, provider, '203.0.113', 2 * MS);
  join(kernel, provider, backbone, '198.51.100', 5 * MS);
  join(kernel, backbone, far, '192.0.2', 3 * MS);
  route(gateway, 'default', '203.0.113.2', 'up0');
  route(provider, INSIDE, '203.0.113.1', 'down0');
  route(provider, 'default', '198.51.100.2', 'up0');
  route(backbone, INSIDE, '198.51.100.1', 'down0');
  route(backbone, '203.0.113.0/30', '198.51.100.1', 'down0');
  route(far, 'default', '192.0.2.1', 'down0');
  for (const [address] of NAMES) {
    addAddress(kernel, far, linkByName(far, 'lo')!, { address, prefix: 32, scope: 'global' });
    route(backbone, `${address}/32`, '192.0.2.2', 'up0');
  }
  boot(kernel, { tree: disk(), init: '/sbin/init', argv: ['/sbin/init'], env: { PATH: '/usr/bin' } });
  return kernel;
}
