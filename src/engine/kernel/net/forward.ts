/**
 * The way of a packet: one function, `hop`, moves it one step (the local output, a link, a bridge, a namespace's input, its
 * routing decision) until it is delivered, leaves the machine, or is dropped. Every step leaves a row in `Net.hops` with the
 * reason, which pictures and tcpdump read. The way is worked out when the packet is sent; it arrives after the sum of what the
 * steps take. Hooks of netfilter are called where Linux has them. Source: ip(7), kernel doc networking, bridge(8).
 *
 * ARP is asked of whoever shares the segment now; an answer that does not come in three seconds is EHOSTUNREACH to the sender.
 * Left out: fragmentation (a packet too long for a link passes), broadcast and multicast, spanning tree, reverse path filters.
 */
import { schedule } from '../../sim/timeline.ts';
import { SECOND, US } from '../../sim/units.ts';
import type { Errno } from '../abi.ts';
import type { Kernel } from '../records.ts';
import { timeOf } from '../wait.ts';
import { confirm, disguise, redirect, stateOf, type Track, track, translateIn, translateOut, tupleOf } from './conntrack.ts';
import { isLocal, traverse, type Hook, type Verdict } from './netfilter.ts';
import { routeFor } from './routes.ts';
import { hasCarrier, linkByIndex, linkByName, netOf, peerOf, portsOf } from './state.ts';
import type { Hop, Link, NetNamespace, Packet } from './types.ts';

/** What each step takes, ns: magnitudes of a machine of today, not measured here. */
export const COST = { loopback: 6 * US, veth: 4 * US, bridge: 2 * US, route: 3 * US, ether: 10 * US, deliver: 5 * US } as const;
/** Three requests, a second apart. */
const ARP_PATIENCE = 3 * SECOND;
const KEPT = 4000;
const NONE = new Uint8Array(0);

type Place =
  | { at: 'output'; ns: NetNamespace }
  | { at: 'send'; ns: NetNamespace; link: Link; nexthop: string }
  | { at: 'frame'; ns: NetNamespace; link: Link; from: string; to: string }
  | { at: 'bridge'; ns: NetNamespace; bridge: Link; port: Link | null; from: string; to: string }
  | { at: 'input'; ns: NetNamespace; link: Link };

interface Walk {
  kernel: Kernel;
  packet: Packet;
  /** Which packet it is, in rows. */
  id: number;
  delay: number;
  track: Track | null;
  /** What the sender is told at once. */
  error: Errno | null;
}

/** Sends a packet from a namespace. The answer is what the sender hears at once: null, ENETUNREACH, EHOSTUNREACH, EPERM, EACCES, EINVAL. */
export function output(kernel: Kernel, ns: NetNamespace, packet: Packet): Errno | null {
  const walk: Walk = { kernel, packet: { ...packet }, id: netOf(kernel).nextPacket++, delay: 0, track: null, error: null };
  go(walk, { at: 'output', ns });
  return walk.error;
}

/** A packet comes from the wire to the link with this MAC; false when there is none. */
export function fromWire(kernel: Kernel, mac: string, packet: Packet, from: string): boolean {
  for (const ns of netOf(kernel).namespaces.values()) {
    const link = ns.links.find((one) => one.kind === 'ether' && one.mac === mac);
    if (!link) continue;
    const walk: Walk = { kernel, packet: { ...packet }, id: netOf(kernel).nextPacket++, delay: 0, track: null, error: null };
    go(walk, { at: 'frame', ns, link, from, to: mac });
    return true;
  }
  return false;
}

/** Does this machine answer an ARP request from the wire? The MAC of the link that does. */
export function answersOnWire(kernel: Kernel, address: string): string | null {
  for (const ns of netOf(kernel).namespaces.values()) {
    for (const link of ns.links) {
      if (link.kind !== 'ether' || !link.up) continue;
      const found = link.master === null ? (isLocal(ns, address) ? link.mac : null) : macBehind(kernel, ns, linkByIndex(ns, link.master)!, address, new Set([link]));
      if (found) return found;
    }
  }
  return null;
}

function go(walk: Walk, start: Place): void {
  let place: Place | null = start;
  for (let steps = 0; place && steps < 200; steps++) {
    if (walk.track && walk.track.ns !== place.ns) walk.track = null;
    place = hop(walk, place);
  }
}

function hop(walk: Walk, place: Place): Place | null {
  switch (place.at) {
    case 'output':
      return localOutput(walk, place.ns);
    case 'send':
      return send(walk, place.ns, place.link, place.nexthop);
    case 'frame':
      return frame(walk, place.ns, place.link, place.from, place.to);
    case 'bridge':
      return bridged(walk, place);
    case 'input':
      return input(walk, place.ns, place.link);
  }
}

function note(walk: Walk, ns: NetNamespace, link: string, step: Hop['step'], why: string, from = '', to = ''): void {
  const net = netOf(walk.kernel);
  net.hops.push({
    n: net.nextHop++, t: timeOf(walk.kernel) + walk.delay, ns: ns.ino, link, step, why, packet: walk.id, from, to,
    what: { ...walk.packet, data: walk.packet.data.length > 256 ? walk.packet.data.subarray(0, 256) : walk.packet.data },
  });
  if (net.hops.length > KEPT * 1.25) net.hops.splice(0, net.hops.length - KEPT);
}

function drop(walk: Walk, ns: NetNamespace, link: string, why: string): null {
  note(walk, ns, link, 'drop', why);
  return null;
}

// ---- netfilter's hooks

function filter(walk: Walk, ns: NetNamespace, hook: Hook, input: string, out: string): Verdict {
  return traverse('filter', hook, { ns, packet: walk.packet, in: input, out, state: stateOf(walk.track) });
}

/** PREROUTING or OUTPUT: finds the connection; a new one may get another destination. */
function natIn(walk: Walk, ns: NetNamespace, hook: 'PREROUTING' | 'OUTPUT', link: string): void {
  walk.track ??= track(ns, walk.packet, timeOf(walk.kernel));
  const { track: found, packet } = walk;
  if (!found) return;
  const { conn } = found;
  if (!conn.natted.pre && !found.related && found.way === 'orig') {
    conn.natted.pre = true;
    const { verdict, to } = traverse('nat', hook, { ns, packet, in: hook === 'PREROUTING' ? link : '', out: hook === 'OUTPUT' ? link : '', state: stateOf(found) });
    const [address, port] = to.split(':') as [string, string | undefined];
    if (verdict === 'DNAT') redirect(conn, address || packet.dst, port ? Number(port.split('-')[0]) : null);
    if (verdict === 'REDIRECT') redirect(conn, hook === 'OUTPUT' ? '127.0.0.1' : firstAddress(ns, link, packet.dst), to ? Number(to) : null);
  }
  if (translateIn(found, packet)) note(walk, ns, link, 'nat', `destination becomes ${packet.dst}:${packet.dport}`);
}

/** POSTROUTING, or INPUT for what stays: a new connection may get another source; then it is kept. */
function natOut(walk: Walk, ns: NetNamespace, hook: 'POSTROUTING' | 'INPUT', link: string): void {
  const { track: found, packet } = walk;
  if (!found) return;
  const { conn } = found;
  if (!conn.natted.post && !found.related && found.way === 'orig') {
    conn.natted.post = true;
    const { verdict, to } = traverse('nat', hook, { ns, packet, in: hook === 'INPUT' ? link : '', out: hook === 'POSTROUTING' ? link : '', state: stateOf(found) });
    const [address, port] = to.split(':') as [string, string | undefined];
    if (verdict === 'MASQUERADE') disguise(ns, conn, firstAddress(ns, link, packet.src), null);
    if (verdict === 'SNAT') disguise(ns, conn, address, port ? Number(port.split('-')[0]) : null);
  }
  if (translateOut(found, packet)) note(walk, ns, link, 'nat', `source becomes ${packet.src}:${packet.sport}`);
  confirm(found, packet, timeOf(walk.kernel));
}

function firstAddress(ns: NetNamespace, link: string, otherwise: string): string {
  return linkByName(ns, link)?.addresses.find((a) => a.family === 'inet')?.address ?? otherwise;
}

// ---- the steps

function localOutput(walk: Walk, ns: NetNamespace): Place | null {
  const { packet } = walk;
  natIn(walk, ns, 'OUTPUT', isLocal(ns, packet.dst) ? 'lo' : (routeFor(ns, packet.dst)?.route.dev ?? ''));
  const local = isLocal(ns, packet.dst);
  const found = local ? null : routeFor(ns, packet.dst);
  if (!local && !found) return refuse(walk, ns, 'ENETUNREACH', 'no route');
  if (found && found.route.type !== 'unicast') {
    const errors: Record<string, Errno> = { unreachable: 'EHOSTUNREACH', prohibit: 'EACCES', blackhole: 'EINVAL' };
    return refuse(walk, ns, errors[found.route.type] ?? 'EINVAL', `${found.route.type} route ${found.route.to}`);
  }
  const dev = local ? 'lo' : found!.route.dev;
  const { verdict, by } = filter(walk, ns, 'OUTPUT', '', dev);
  if (verdict === 'REJECT') unreachable(walk, ns, 3, 3, 0);
  if (verdict === 'DROP' || verdict === 'REJECT') return refuse(walk, ns, 'EPERM', by);
  natOut(walk, ns, 'POSTROUTING', dev);
  const link = linkByName(ns, dev);
  if (!link) return drop(walk, ns, dev, 'no such link');
  note(walk, ns, dev, 'route', found ? `${found.route.to}${found.route.via ? ` via ${found.route.via}` : ''} dev ${dev}` : 'local');
  return { at: 'send', ns, link, nexthop: found?.route.via ?? packet.dst };
}

function refuse(walk: Walk, ns: NetNamespace, errno: Errno, why: string): null {
  walk.error = errno;
  return drop(walk, ns, '', why);
}

function send(walk: Walk, ns: NetNamespace, link: Link, nexthop: string): Place | null {
  const { kernel, packet } = walk;
  if (link.kind === 'loopback') {
    count(link, 'tx', packet);
    count(link, 'rx', packet);
    note(walk, ns, link.name, 'in', 'loopback', link.mac, link.mac);
    walk.delay += COST.loopback;
    return { at: 'input', ns, link };
  }
  if (link.kind === 'dummy') {
    count(link, 'tx', packet);
    return drop(walk, ns, link.name, 'a dummy link discards');
  }
  const mac = neighbour(kernel, ns, link, nexthop, walk.delay);
  if (mac === null) {
    note(walk, ns, link.name, 'arp', `nobody has ${nexthop}`);
    unreachable(walk, ns, 3, 1, ARP_PATIENCE);
    return drop(walk, ns, link.name, `no answer to ARP for ${nexthop}`);
  }
  return transmit(walk, ns, link, link.mac, mac);
}

function count(link: Link, way: 'rx' | 'tx', packet: Packet): void {
  const bytes = packet.length + (link.kind === 'loopback' ? 0 : 14);
  if (way === 'rx') {
    link.stats.rxBytes += bytes;
    link.stats.rxPackets++;
  } else {
    link.stats.txBytes += bytes;
    link.stats.txPackets++;
  }
}

/** A frame leaves by a link. */
function transmit(walk: Walk, ns: NetNamespace, link: Link, from: string, to: string): Place | null {
  const { kernel, packet } = walk;
  if (!link.up) return drop(walk, ns, link.name, 'the link is down');
  if (!hasCarrier(ns, link)) {
    link.stats.txDropped++;
    return drop(walk, ns, link.name, 'no carrier');
  }
  count(link, 'tx', packet);
  note(walk, ns, link.name, 'out', '', from, to);
  if (link.kind === 'bridge') return { at: 'bridge', ns, bridge: link, port: null, from, to };
  if (link.kind === 'veth') {
    walk.delay += COST.veth;
    const other = peerOf(link)!;
    return { at: 'frame', ns: other.ns, link: other.link, from, to };
  }
  walk.delay += COST.ether;
  if (!kernel.uplink) return drop(walk, ns, link.name, 'the wire leads nowhere');
  kernel.uplink.transmit(kernel.name, from, to, { ...packet }, walk.delay + kernel.ahead);
  return null;
}

/** A frame comes in by a link. */
function frame(walk: Walk, ns: NetNamespace, link: Link, from: string, to: string): Place | null {
  if (!link.up) return drop(walk, ns, link.name, 'the link is down');
  count(link, 'rx', walk.packet);
  note(walk, ns, link.name, 'in', '', from, to);
  const bridge = link.master === null ? null : linkByIndex(ns, link.master);
  if (bridge) return { at: 'bridge', ns, bridge, port: link, from, to };
  if (to !== link.mac) return drop(walk, ns, link.name, 'for another MAC address');
  return { at: 'input', ns, link };
}

function bridged(walk: Walk, { ns, bridge, port, from, to }: Extract<Place, { at: 'bridge' }>): Place | null {
  if (!bridge.up) return drop(walk, ns, bridge.name, 'the bridge is down');
  walk.delay += COST.bridge;
  if (port) bridge.fdb!.set(from, port.index);
  if (to === bridge.mac || (port && portsOf(ns, bridge).some((one) => one.mac === to))) {
    if (port) {
      count(bridge, 'rx', walk.packet);
      note(walk, ns, bridge.name, 'in', `from port ${port.name}`, from, to);
    }
    return { at: 'input', ns, link: bridge };
  }
  const known = bridge.fdb!.get(to);
  const out = (known === undefined ? null : linkByIndex(ns, known)) ?? portTo(walk.kernel, ns, bridge, to, port);
  if (!out || out === port) return drop(walk, ns, bridge.name, `no port leads to ${to}`);
  if (port && ns.bridgeNetfilter) {
    natIn(walk, ns, 'PREROUTING', bridge.name);
    const { verdict, by } = filter(walk, ns, 'FORWARD', bridge.name, bridge.name);
    if (verdict === 'DROP' || verdict === 'REJECT') return drop(walk, ns, bridge.name, by);
    natOut(walk, ns, 'POSTROUTING', bridge.name);
  }
  return transmit(walk, ns, out, from, to);
}

/** IP: for this namespace, or to be forwarded. */
function input(walk: Walk, ns: NetNamespace, link: Link): Place | null {
  const { packet } = walk;
  if (packet.dst.startsWith('127.') && link.kind !== 'loopback') return drop(walk, ns, link.name, 'a loopback address from outside');
  natIn(walk, ns, 'PREROUTING', link.name);
  if (isLocal(ns, packet.dst)) {
    const { verdict, by } = filter(walk, ns, 'INPUT', link.name, '');
    if (verdict !== 'ACCEPT') {
      if (verdict === 'REJECT') unreachable(walk, ns, 3, 3, 0);
      return drop(walk, ns, link.name, by);
    }
    natOut(walk, ns, 'INPUT', link.name);
    walk.delay += COST.deliver;
    note(walk, ns, link.name, 'local', `to ${packet.dst}`);
    later(walk.kernel, walk.delay, { do: 'deliver', ns: ns.ino, packet: { ...packet } });
    return null;
  }
  if (!ns.forwarding) return drop(walk, ns, link.name, `not for this namespace, and ip_forward is 0`);
  return forwarded(walk, ns, link);
}

function forwarded(walk: Walk, ns: NetNamespace, link: Link): Place | null {
  const { packet } = walk;
  walk.delay += COST.route;
  if (packet.ttl <= 1) {
    unreachable(walk, ns, 11, 0, 0);
    return drop(walk, ns, link.name, 'time to live exceeded');
  }
  const found = routeFor(ns, packet.dst);
  if (found?.route.type !== 'unicast') {
    const code = found?.route.type === 'unreachable' ? 1 : found?.route.type === 'prohibit' ? 13 : 0;
    if (found?.route.type !== 'blackhole') unreachable(walk, ns, 3, code, 0);
    return drop(walk, ns, link.name, found ? `${found.route.type} route ${found.route.to}` : 'no route');
  }
  packet.ttl--;
  const { dev, via, to } = found.route;
  const { verdict, by } = filter(walk, ns, 'FORWARD', link.name, dev);
  if (verdict !== 'ACCEPT') {
    if (verdict === 'REJECT') unreachable(walk, ns, 3, 3, 0);
    return drop(walk, ns, link.name, by);
  }
  note(walk, ns, dev, 'route', `forwarded: ${to}${via ? ` via ${via}` : ''} dev ${dev}`);
  natOut(walk, ns, 'POSTROUTING', dev);
  return { at: 'send', ns, link: linkByName(ns, dev)!, nexthop: via ?? packet.dst };
}

/** Tells the sender by ICMP; never about an ICMP error. */
function unreachable(walk: Walk, ns: NetNamespace, type: number, code: number, delay: number): void {
  const { kernel, packet } = walk;
  if (packet.icmp && packet.icmp.type !== 8 && packet.icmp.type !== 0) return;
  const inner = tupleOf(packet);
  const seq = packet.icmp?.seq ?? 0;
  const src = isLocal(ns, packet.src) ? packet.src : (routeFor(ns, packet.src)?.src ?? '0.0.0.0');
  later(kernel, walk.delay + delay, {
    do: 'output', ns: ns.ino,
    packet: { ...packet, proto: 'icmp', src, dst: packet.src, sport: 0, dport: 0, ttl: 64, length: 56, flags: '', icmp: { type, code, seq, inner }, data: NONE },
  });
}

export type NetEvent =
  | { do: 'deliver'; ns: number; packet: Packet }
  | { do: 'output'; ns: number; packet: Packet }
  | { do: 'timer'; socket: number };

/** Something of the network that happens `delay` ns from now. */
export function later(kernel: Kernel, delay: number, arg: NetEvent): void {
  schedule(kernel.timeline, timeOf(kernel) + delay, { kind: 'net', who: kernel.name, arg });
}

// ---- neighbours

/** The MAC address of the next hop; null when nobody answers. */
function neighbour(kernel: Kernel, ns: NetNamespace, link: Link, address: string, delay: number): string | null {
  const at = timeOf(kernel) + delay;
  let known = ns.neighbours.find((one) => one.address === address && one.dev === link.name);
  if (known?.state === 'PERMANENT') return known.mac;
  const mac = hasCarrier(ns, link) ? macBehind(kernel, ns, link, address, new Set()) : null;
  if (!known) {
    known = { address, dev: link.name, mac: '', state: 'FAILED', at };
    ns.neighbours.push(known);
  }
  known.mac = mac ?? '';
  known.state = mac ? 'REACHABLE' : 'FAILED';
  known.at = at;
  return mac;
}

/** Who on the segment of a link has an address: what a broadcast ARP request finds. `seen` are links it came through. */
function macBehind(kernel: Kernel, ns: NetNamespace, link: Link, address: string, seen: Set<Link>): string | null {
  seen.add(link);
  if (link.kind === 'bridge') {
    if (seen.size > 1 && link.up && isLocal(ns, address)) return link.mac;
    for (const port of portsOf(ns, link)) {
      if (seen.has(port) || !hasCarrier(ns, port)) continue;
      const found = macBehind(kernel, ns, port, address, seen);
      if (found) {
        link.fdb!.set(found, port.index);
        return found;
      }
    }
    return null;
  }
  if (link.kind === 'ether') return kernel.uplink?.resolve(kernel.name, address) ?? null;
  const other = peerOf(link);
  if (!other?.link.up || seen.has(other.link)) return null;
  seen.add(other.link);
  if (other.link.master !== null) return macBehind(kernel, other.ns, linkByIndex(other.ns, other.link.master)!, address, seen);
  return isLocal(other.ns, address) ? other.link.mac : null;
}

/** The port behind which a MAC address is, when the bridge has not learnt it: a flood. */
function portTo(kernel: Kernel, ns: NetNamespace, bridge: Link, mac: string, except: Link | null): Link | null {
  for (const port of portsOf(ns, bridge)) {
    if (port !== except && hasCarrier(ns, port) && isBehind(kernel, port, mac, new Set([bridge]))) return port;
  }
  return null;
}

function isBehind(kernel: Kernel, link: Link, mac: string, seen: Set<Link>): boolean {
  if (link.kind === 'ether') return kernel.uplink !== null;
  const other = peerOf(link);
  if (!other || seen.has(other.link)) return false;
  seen.add(other.link);
  if (other.link.mac === mac) return true;
  const bridge = other.link.master === null ? null : linkByIndex(other.ns, other.link.master);
  if (!bridge || seen.has(bridge)) return false;
  seen.add(bridge);
  return bridge.mac === mac || portsOf(other.ns, bridge).some((port) => port !== other.link && isBehind(kernel, port, mac, seen));
}
