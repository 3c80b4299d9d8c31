/**
 * Links: making, deleting, moving between namespaces, up and down, and what the kernel does with addresses and routes when
 * that happens. Source: net/core/dev.c's rules as ip-link(8) shows them; recorded on 6.12.
 *
 * A namespace is born with a loopback that is down. A veth's ends go together; a link moved to another namespace loses its
 * addresses, routes and bridge; when a namespace goes, what can be deleted goes with it. Left out: VLANs, bonds, tunnels, queues.
 */
import { record } from '../../sim/trace.ts';
import { below, createRandom, type Random, forkRandom } from '../../sim/random.ts';
import { MS } from '../../sim/units.ts';
import { SysError } from '../abi.ts';
import type { Kernel, UserNamespace } from '../records.ts';
import { free, heldByFile, inhabited } from '../vacancy.ts';
import { timeOf } from '../wait.ts';
import { formatIp, linkLocal, maskOf, networkOf, parseIp } from './ip.ts';
import { createRuleset } from './netfilter.ts';
import { hasCarrier, linkByName, netOf, peerOf, portsOf } from './state.ts';
import type { Address, Link, LinkKind, NetNamespace, Upper } from './types.ts';

/** Time that duplicate address detection takes. */
const DAD = 1500 * MS;

/** A new network namespace: a loopback, down, and nothing else. */
export function createNetNamespace(kernel: Kernel, owner: UserNamespace, ino: number): NetNamespace {
  // net.core.devconf_inherit_init_net is 0: IPv4 settings are taken from the first namespace
  const [first] = netOf(kernel).namespaces.values();
  const ns: NetNamespace = {
    ino, links: [], routes: [], nextIndex: 1, ports: new Map(), flows: new Map(), nextPort: 0, owner, neighbours: [], forwarding: first?.forwarding ?? false,
    bridgeNetfilter: true, unprivilegedFrom: 1024, pingGroups: [1, 0], ipv6Disabled: new Set(), netfilter: createRuleset(), nsids: new Map(), raw: new Set(), rules: [], tunnels: [],
    fragments: new Map(), pathMtu: new Map(), nextIdent: 1,
  };
  netOf(kernel).namespaces.set(ns.ino, ns);
  addLink(kernel, ns, 'loopback', 'lo');
  return ns;
}

/** The machine's own links at boot: lo is up, and eth0 with its address when the machine is on a network. `address` is "192.168.1.10/24". */
export function bootLinks(
  kernel: Kernel, ns: NetNamespace, network: { address: string; gateway?: string; routes?: readonly { to: string; via: string }[] } | null,
): void {
  setUp(kernel, ns, linkByName(ns, 'lo')!);
  if (!network) return;
  const eth0 = addLink(kernel, ns, 'ether', 'eth0');
  setUp(kernel, ns, eth0);
  const [address, prefix] = network.address.split('/') as [string, string];
  const n = parseIp(address)!;
  const broadcast = formatIp(networkOf(n, Number(prefix)) + 2 ** 32 - maskOf(Number(prefix)) - 1);
  addAddress(kernel, ns, eth0, { address, prefix: Number(prefix), scope: 'global', broadcast });
  const routes = [...(network.gateway ? [{ to: 'default', via: network.gateway }] : []), ...(network.routes ?? [])];
  for (const { to, via } of routes) ns.routes.push({ to, via, dev: 'eth0', src: null, proto: 'static', scope: 'global', metric: 0, type: 'unicast', onlink: false });
}

/** A locally administered address that no other link of this world has: drawn from the kernel's seed, its name and a counter. */
function newMac(kernel: Kernel): string {
  const net = netOf(kernel);
  const random: Random = kernel.random ? forkRandom(kernel.random.s[0] ^ net.nextMac, kernel.name) : createRandom(net.nextMac);
  net.nextMac++;
  const octets = Array.from({ length: 6 }, () => below(random, 256));
  octets[0] = (octets[0]! & 0xfc) | 2;
  return octets.map((o) => o.toString(16).padStart(2, '0')).join(':');
}

/** The next free index of a namespace; `wanted` if nobody has it. */
function indexFor(ns: NetNamespace, wanted?: number): number {
  if (wanted !== undefined && !ns.links.some((l) => l.index === wanted)) return wanted;
  while (ns.links.some((l) => l.index === ns.nextIndex)) ns.nextIndex++;
  return ns.nextIndex++;
}

/** The first free name of a pattern such as "veth%d". */
export function freeName(ns: NetNamespace, pattern: string): string {
  for (let i = 0; ; i++) {
    const name = pattern.replace('%d', String(i));
    if (!linkByName(ns, name)) return name;
  }
}

/** Adds one link, down. Throws EEXIST. */
export function addLink(kernel: Kernel, ns: NetNamespace, kind: LinkKind, name: string, mac?: string, index?: number): Link {
  if (linkByName(ns, name)) throw new SysError('EEXIST');
  const loopback = kind === 'loopback';
  const link: Link = {
    index: indexFor(ns, index), name, kind, mac: loopback ? '00:00:00:00:00:00' : (mac ?? newMac(kernel)), mtu: loopback ? 65536 : 1500, up: false,
    master: null, peer: null, addresses: [], stats: { rxBytes: 0, rxPackets: 0, txBytes: 0, txPackets: 0, rxDropped: 0, txDropped: 0 },
    qdisc: 'noop', txqlen: 1000, fdb: kind === 'bridge' ? new Map() : null, times: kind === 'bridge' ? { forward_delay: 1500, hello_time: 200, max_age: 2000, ageing_time: 30000, priority: 32768 } : null, hadPort: false, macSet: mac !== undefined,
    lower: null, uppers: [], vlan: null, vxlan: null, discipline: null, alias: '', group: 0, promisc: false, multicast: true, arp: kind !== 'dummy',
  };
  if (ns.ipv6Disabled.has('default')) ns.ipv6Disabled.add(name);
  insert(ns, link);
  record(kernel.trace, 'kernel', kernel.name, 'link.add', { ns: ns.ino, name, kind });
  return link;
}

function insert(ns: NetNamespace, link: Link): void {
  ns.links.push(link);
  ns.links.sort((a, b) => a.index - b.index);
}

export function deleteLink(kernel: Kernel, ns: NetNamespace, link: Link): void {
  const other = peerOf(link);
  for (const upper of link.uppers.slice()) deleteLink(kernel, upper.ns, upper.link);
  for (const { ns: there, link: tunnel } of ns.tunnels.slice()) if (tunnel.vxlan?.dev === link.name) deleteLink(kernel, there, tunnel);
  leaveLower(link);
  for (const port of portsOf(ns, link)) port.master = null;
  unlink(kernel, ns, link);
  record(kernel.trace, 'kernel', kernel.name, 'link.del', { ns: ns.ino, name: link.name });
  if (!other) return;
  other.link.peer = null;
  unlink(kernel, other.ns, other.link);
  record(kernel.trace, 'kernel', kernel.name, 'link.del', { ns: other.ns.ino, name: other.link.name });
}

function unlink(kernel: Kernel, ns: NetNamespace, link: Link): void {
  setMaster(kernel, ns, link, null);
  dropRoutes(ns, link);
  ns.links.splice(ns.links.indexOf(link), 1);
}

/** What it stood on knows it no more. */
function leaveLower(link: Link): void {
  const without = (list: Upper[]): Upper[] => list.filter((one) => one.link !== link);
  if (link.lower) link.lower.link.uppers = without(link.lower.link.uppers);
  if (link.vxlan) link.vxlan.under.tunnels = without(link.vxlan.under.tunnels);
}

/** Who holds a link by the namespace that it is in learns where it has gone. */
function followed(link: Link, to: NetNamespace): void {
  for (const one of [...(link.lower?.link.uppers ?? []), ...(link.vxlan?.under.tunnels ?? [])]) if (one.link === link) one.ns = to;
  for (const one of link.uppers) one.link.lower!.ns = to;
}

function dropRoutes(ns: NetNamespace, link: Link): void {
  ns.routes = ns.routes.filter((route) => route.dev !== link.name);
  ns.neighbours = ns.neighbours.filter((one) => one.dev !== link.name);
}

export function setUp(kernel: Kernel, ns: NetNamespace, link: Link): void {
  if (link.up) return;
  link.up = true;
  if (link.qdisc === 'noop') link.qdisc = link.kind === 'ether' ? 'fq_codel' : 'noqueue';
  if (link.kind === 'loopback') {
    if (!link.addresses.some((a) => a.address === '127.0.0.1')) {
      addAddress(kernel, ns, link, { address: '127.0.0.1', prefix: 8, scope: 'host', broadcast: null });
    }
    if (!link.addresses.some((a) => a.address === '::1')) give6(ns, link, { address: '::1', prefix: 128, scope: 'host', proto: 'kernel_lo' }, 0);
  }
  for (const one of link.addresses) connect(ns, link, one);
  carrierChanged(kernel, ns, link);
  for (const upper of link.uppers) if (upper.link.kind === 'vlan') setUp(kernel, upper.ns, upper.link);
  record(kernel.trace, 'kernel', kernel.name, 'link.up', { ns: ns.ino, name: link.name });
}

export function setDown(kernel: Kernel, ns: NetNamespace, link: Link): void {
  if (!link.up) return;
  link.up = false;
  link.addresses = link.addresses.filter((a) => a.family === 'inet');
  dropRoutes(ns, link);
  // VLANs follow what they stand on, up and down
  for (const upper of link.uppers) if (upper.link.kind === 'vlan') setDown(kernel, upper.ns, upper.link);
  const other = peerOf(link);
  if (other) dropCarrier(other.link);
  record(kernel.trace, 'kernel', kernel.name, 'link.down', { ns: ns.ino, name: link.name });
}

/** Neighbours learnt through a link that has lost its carrier are forgotten when they do not answer; nothing to do at once. */
function dropCarrier(link: Link): void {
  link.fdb?.clear();
}

/** A link may have begun to carry: it, its peer and their bridges get link-local addresses then. */
function carrierChanged(kernel: Kernel, ns: NetNamespace, link: Link): void {
  const other = peerOf(link);
  const ends: [NetNamespace, Link][] = other ? [[ns, link], [other.ns, other.link]] : [[ns, link]];
  for (const [at, one] of ends) {
    if (one.kind !== 'loopback') autoconfigure(kernel, at, one);
    for (const upper of one.uppers) if (upper.link.up) autoconfigure(kernel, upper.ns, upper.link);
    const bridge = at.links.find((b) => b.index === one.master);
    if (bridge) autoconfigure(kernel, at, bridge);
  }
}

function autoconfigure(kernel: Kernel, ns: NetNamespace, link: Link): void {
  if (!hasCarrier(ns, link) || link.addresses.some((a) => a.family === 'inet6' && a.scope === 'link')) return;
  give6(ns, link, { address: linkLocal(link.mac), prefix: 64, scope: 'link', proto: 'kernel_ll' }, timeOf(kernel) + DAD);
}

function give6(ns: NetNamespace, link: Link, one: Pick<Address, 'address' | 'prefix' | 'scope' | 'proto'>, tentativeUntil: number): void {
  if (ns.ipv6Disabled.has('all') || ns.ipv6Disabled.has(link.name) || link.addresses.some((a) => a.address === one.address)) return;
  link.addresses.push({ family: 'inet6', ...one, broadcast: null, label: '', tentativeUntil, secondary: false });
}

/** ::1 by hand: the one IPv6 address that can be given. */
export function addLoopback6(ns: NetNamespace, link: Link, noPrefixRoute: boolean): void {
  link.addresses.push({ family: 'inet6', address: '::1', prefix: 128, scope: 'host', proto: '', broadcast: null, label: '', tentativeUntil: 0, secondary: false, ...(noPrefixRoute ? { noPrefixRoute } : {}) });
  ns.ipv6Disabled.delete(link.name);
}

/** net.ipv6.conf.NAME.disable_ipv6: addresses go at once, and come back when it is allowed again. */
export function disableIpv6(kernel: Kernel, ns: NetNamespace, name: string, disabled: 'yes' | 'no'): void {
  if (disabled === 'yes') ns.ipv6Disabled.add(name);
  else ns.ipv6Disabled.delete(name);
  for (const link of ns.links) {
    if (name !== 'all' && link.name !== name) continue;
    if (disabled === 'yes') link.addresses = link.addresses.filter((a) => a.family === 'inet');
    else if (link.up && link.kind !== 'loopback') autoconfigure(kernel, ns, link);
  }
}

const SCOPES: Readonly<Record<Address['scope'], number>> = { global: 0, link: 253, host: 254 };

/** Adds an IPv4 address, and the route to its prefix when the link is up. Throws EEXIST. */
export function addAddress(
  _kernel: Kernel, ns: NetNamespace, link: Link,
  one: { address: string; prefix: number; scope?: Address['scope']; broadcast?: string | null; label?: string; noPrefixRoute?: boolean },
): void {
  if (link.addresses.some((a) => a.address === one.address && a.prefix === one.prefix)) throw new SysError('EEXIST');
  const n = parseIp(one.address)!;
  const network = networkOf(n, one.prefix);
  const secondary = link.addresses.some((a) => a.family === 'inet' && a.prefix === one.prefix && networkOf(parseIp(a.address)!, a.prefix) === network);
  const made: Address = {
    family: 'inet', address: one.address, prefix: one.prefix, scope: one.scope ?? (Math.floor(n / 16777216) === 127 ? 'host' : 'global'),
    broadcast: one.broadcast ?? null, label: one.label ?? link.name, proto: '', tentativeUntil: 0, secondary, ...(one.noPrefixRoute ? { noPrefixRoute: true } : {}),
  };
  // What is seen from nearer comes first, before all that reach further.
  const wide = SCOPES[made.scope];
  const at = link.addresses.findIndex((a) => a.family === 'inet6' || (!secondary && (a.secondary || SCOPES[a.scope] < wide)));
  link.addresses.splice(at < 0 ? link.addresses.length : at, 0, made);
  if (link.up) connect(ns, link, made);
}

/** The connected route of an address. */
function connect(ns: NetNamespace, link: Link, one: Address): void {
  if (one.family !== 'inet' || one.noPrefixRoute || one.prefix === 32 || one.scope === 'host' || one.secondary) return;
  const to = `${formatIp(networkOf(parseIp(one.address)!, one.prefix))}/${one.prefix}`;
  if (ns.routes.some((r) => r.to === to && r.dev === link.name && r.proto === 'kernel')) return;
  ns.routes.push({ to, via: null, dev: link.name, src: one.address, proto: 'kernel', scope: 'link', metric: 0, type: 'unicast', onlink: false });
}

/** Throws EADDRNOTAVAIL. Secondaries of the same prefix go with their primary. */
export function deleteAddress(_kernel: Kernel, ns: NetNamespace, link: Link, address: string, prefix: number): void {
  const gone = link.addresses.find((a) => a.address === address && a.prefix === prefix);
  if (!gone) throw new SysError('EADDRNOTAVAIL');
  const network = gone.family === 'inet' ? networkOf(parseIp(address)!, prefix) : -1;
  const follows = (a: Address): boolean =>
    gone.family === 'inet' && !gone.secondary && a.secondary && a.prefix === prefix && networkOf(parseIp(a.address)!, prefix) === network;
  const dropped = new Set(link.addresses.filter((a) => a === gone || follows(a)).map((a) => a.address));
  link.addresses = link.addresses.filter((a) => a !== gone && !follows(a));
  ns.routes = ns.routes.filter((r) => !(r.dev === link.name && r.src !== null && dropped.has(r.src)));
}

/** Joins a bridge or leaves it. */
export function setMaster(kernel: Kernel, ns: NetNamespace, link: Link, bridge: Link | null): void {
  const old = ns.links.find((l) => l.index === link.master);
  if (old) {
    link.master = null;
    for (const [mac, { port }] of old.fdb ?? []) if (port === link.index) old.fdb!.delete(mac);
    chooseMac(ns, old);
  }
  if (!bridge) return;
  if (bridge.kind !== 'bridge') throw new SysError('EOPNOTSUPP');
  if (link.kind === 'loopback' || link === bridge) throw new SysError('EINVAL');
  if (link.kind === 'bridge') throw new SysError('ELOOP');
  link.master = bridge.index;
  bridge.hadPort = true;
  chooseMac(ns, bridge);
  carrierChanged(kernel, ns, link);
}

/** A bridge that was not given an address has the lowest of its ports'. */
function chooseMac(ns: NetNamespace, bridge: Link): void {
  if (bridge.macSet) return;
  const macs = portsOf(ns, bridge).map((port) => port.mac).sort();
  if (macs[0]) bridge.mac = macs[0];
}

export function renameLink(ns: NetNamespace, link: Link, name: string): void {
  if (name === link.name) return;
  if (linkByName(ns, name)) throw new SysError('EEXIST');
  for (const route of ns.routes) if (route.dev === link.name) route.dev = name;
  for (const one of ns.neighbours) if (one.dev === link.name) one.dev = name;
  for (const one of link.addresses) if (one.label === link.name) one.label = name;
  link.name = name;
}

/** Moves a link to another namespace. Throws EINVAL for what belongs to one for ever, EEXIST when the name is taken there. */
export function moveLink(kernel: Kernel, from: NetNamespace, link: Link, to: NetNamespace): void {
  if (link.kind === 'loopback' || (link.kind === 'bridge' && portsOf(from, link).length > 0)) throw new SysError('EINVAL');
  if (from === to) return;
  if (linkByName(to, link.name)) throw new SysError('EEXIST');
  const other = peerOf(link);
  setDown(kernel, from, link);
  link.addresses = [];
  link.qdisc = 'noop';
  unlink(kernel, from, link);
  link.index = indexFor(to, link.index);
  insert(to, link);
  followed(link, to);
  if (other) other.link.peer = { ns: to, index: link.index };
  record(kernel.trace, 'kernel', kernel.name, 'link.move', { name: link.name, from: from.ino, to: to.ino });
}

/** Ends namespaces that nobody is in and no file or socket holds: virtual links are deleted, physical ones go back to the first. */
export function reapNetNamespaces(kernel: Kernel): void {
  const { vacantNets } = kernel.spaces;
  for (const ns of vacantNets) {
    vacantNets.delete(ns);
    if (ns !== kernel.init.net && !inhabited(kernel, ns) && !heldByFile(kernel, ns) && !heldBySocket(kernel, ns)) endNamespace(kernel, ns);
  }
}

function heldBySocket(kernel: Kernel, ns: NetNamespace): boolean {
  for (const socket of netOf(kernel).sockets.values()) if (socket.ns === ns && !socket.orphaned) return true;
  return false;
}

function endNamespace(kernel: Kernel, ns: NetNamespace): void {
  for (const link of ns.links.slice()) {
    if (link.kind === 'ether') moveLink(kernel, ns, link, kernel.init.net);
    else if (link.kind !== 'loopback' && ns.links.includes(link)) deleteLink(kernel, ns, link);
  }
  netOf(kernel).namespaces.delete(ns.ino);
  free(kernel, ns.ino);
  for (const other of netOf(kernel).namespaces.values()) for (const [id, one] of other.nsids) if (one === ns) other.nsids.delete(id);
  record(kernel.trace, 'kernel', kernel.name, 'netns.end', { ns: ns.ino });
}
