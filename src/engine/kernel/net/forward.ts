/**
 * The way of a packet: one function, `hop`, moves it one step (the local output, a link, a bridge, a namespace's input, its
 * routing decision) until it is delivered, leaves the machine, or is dropped. Every step leaves a row (walk.ts) with the reason.
 * The way is worked out when the packet is sent; it arrives after the sum of what the steps take. Hooks of netfilter (hooks.ts)
 * are called where Linux has them. Source: ip(7), kernel doc networking, bridge(8).
 *
 * ARP (neighbour.ts) is asked of whoever shares the segment now; an answer that does not come in three seconds is EHOSTUNREACH.
 * Left out: fragmentation (a packet too long for a link passes), broadcast and multicast, spanning tree, reverse path filters.
 */
import type { Errno } from '../abi.ts';
import type { Kernel } from '../records.ts';
import { icmpError } from './errors.ts';
import { filterOut, forwarding, localIn, localOut as outHooks, postrouting, prerouting } from './hooks.ts';
import { ARP_PATIENCE, neighbour, portTo } from './neighbour.ts';
import { isLocal } from './local.ts';
import { routeFor } from './routes.ts';
import { hasCarrier, linkByIndex, linkByName, netOf, peerOf, portsOf } from './state.ts';
import type { Hop, Link, NetNamespace, Packet, Route } from './types.ts';
import { beginWalk, changed, COST, count, drop, later, note, type Place, type Walk } from './walk.ts';

/** Sends a packet from a namespace. The answer is what the sender hears at once: null, ENETUNREACH, EHOSTUNREACH, EPERM, EACCES, EINVAL. `by` says who sends. */
export function output(kernel: Kernel, ns: NetNamespace, packet: Packet, by = ''): Errno | null {
  const walk = beginWalk(kernel, packet);
  note(walk, ns, '', { hook: 'socket', action: 'send', why: by });
  go(walk, { at: 'output', ns });
  return walk.error;
}

/** A packet comes from the wire to the link with this MAC; false when there is none. */
export function fromWire(kernel: Kernel, mac: string, packet: Packet, from: string): boolean {
  for (const ns of netOf(kernel).namespaces.values()) {
    const link = ns.links.find((one) => one.kind === 'ether' && one.mac === mac);
    if (!link) continue;
    const walk = beginWalk(kernel, packet, packet.trail);
    go(walk, { at: 'frame', ns, link, from, to: mac });
    return true;
  }
  return false;
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

// ---- the steps

function localOutput(walk: Walk, ns: NetNamespace): Place | null {
  const { packet } = walk;
  if (!outHooks(walk, ns, isLocal(ns, packet.dst) ? 'lo' : (routeFor(ns, packet.dst)?.route.dev ?? ''))) {
    walk.error = 'EPERM';
    return null;
  }
  const local = isLocal(ns, packet.dst);
  const found = local ? null : routeFor(ns, packet.dst);
  if (!local && !found) return refuse(walk, ns, 'ENETUNREACH', 'route', `no route to ${packet.dst}`);
  if (found && found.route.type !== 'unicast') {
    const errors: Record<string, Errno> = { unreachable: 'EHOSTUNREACH', prohibit: 'EACCES', blackhole: 'EINVAL' };
    return refuse(walk, ns, errors[found.route.type] ?? 'EINVAL', 'route', `${found.route.type} route ${found.route.to}`);
  }
  const dev = local ? 'lo' : found!.route.dev;
  note(walk, ns, dev, { hook: 'route', action: 'route', why: found ? routeText(found.route) : `${packet.dst} is an address of this namespace` });
  if (!filterOut(walk, ns, dev) || !postrouting(walk, ns, dev)) {
    walk.error = 'EPERM';
    return null;
  }
  const link = linkByName(ns, dev);
  if (!link) return drop(walk, ns, dev, 'route', 'no such link');
  return { at: 'send', ns, link, nexthop: found?.route.via ?? packet.dst };
}

const routeText = ({ to, via, dev }: Route): string => `${to}${via ? ` via ${via}` : ''} dev ${dev}`;

function refuse(walk: Walk, ns: NetNamespace, errno: Errno, hook: Hop['hook'], why: string): null {
  walk.error = errno;
  return drop(walk, ns, '', hook, why);
}

function send(walk: Walk, ns: NetNamespace, link: Link, nexthop: string): Place | null {
  const { packet } = walk;
  if (link.kind === 'loopback') {
    count(link, 'tx', packet.length);
    count(link, 'rx', packet.length);
    note(walk, ns, link.name, { hook: 'ingress', action: 'in', why: 'loopback', from: link.mac, to: link.mac });
    walk.delay += COST.loopback;
    return { at: 'input', ns, link };
  }
  if (link.kind === 'dummy') {
    count(link, 'tx', packet.length);
    return drop(walk, ns, link.name, 'egress', 'a dummy link discards');
  }
  const mac = neighbour(walk, ns, link, nexthop);
  if (mac === null) {
    icmpError(walk, ns, { type: 3, code: 1, delay: ARP_PATIENCE });
    return drop(walk, ns, link.name, 'arp', `no answer to ARP for ${nexthop}`);
  }
  note(walk, ns, link.name, { hook: 'arp', action: 'resolve', why: `${nexthop} is at ${mac}` });
  return transmit(walk, ns, link, link.mac, mac);
}

/** A frame leaves by a link. */
function transmit(walk: Walk, ns: NetNamespace, link: Link, from: string, to: string): Place | null {
  const { kernel, packet } = walk;
  if (!link.up) return drop(walk, ns, link.name, 'egress', 'the link is down');
  if (!hasCarrier(ns, link)) {
    link.stats.txDropped++;
    return drop(walk, ns, link.name, 'egress', 'no carrier');
  }
  count(link, 'tx', packet.length);
  note(walk, ns, link.name, { hook: 'egress', action: 'out', from, to });
  if (link.kind === 'bridge') return { at: 'bridge', ns, bridge: link, port: null, from, to };
  if (link.kind === 'veth') {
    walk.delay += COST.veth;
    const other = peerOf(link)!;
    return { at: 'frame', ns: other.ns, link: other.link, from, to };
  }
  walk.delay += COST.ether;
  if (!kernel.uplink) return drop(walk, ns, link.name, 'egress', 'the wire leads nowhere');
  kernel.uplink.transmit(kernel.name, from, to, { ...packet, trail: walk.trail }, walk.delay + kernel.ahead);
  return null;
}

/** What a packet carries only within one namespace. */
function scrub(packet: Packet, from: string): void {
  packet.mac = from;
  packet.mark = 0;
  packet.untracked = false;
  delete packet.uid;
  delete packet.gid;
}

/** A frame comes in by a link. */
function frame(walk: Walk, ns: NetNamespace, link: Link, from: string, to: string): Place | null {
  if (!link.up) return drop(walk, ns, link.name, 'ingress', 'the link is down');
  count(link, 'rx', walk.packet.length);
  scrub(walk.packet, from);
  note(walk, ns, link.name, { hook: 'ingress', action: 'in', from, to });
  const bridge = link.master === null ? null : linkByIndex(ns, link.master);
  if (bridge) return { at: 'bridge', ns, bridge, port: link, from, to };
  if (to !== link.mac) return drop(walk, ns, link.name, 'ingress', `for another MAC address, ${to}`);
  return { at: 'input', ns, link };
}

function bridged(walk: Walk, { ns, bridge, port, from, to }: Extract<Place, { at: 'bridge' }>): Place | null {
  if (!bridge.up) return drop(walk, ns, bridge.name, 'bridge', 'the bridge is down');
  walk.delay += COST.bridge;
  if (port && bridge.fdb!.get(from) !== port.index) {
    bridge.fdb!.set(from, port.index);
    note(walk, ns, bridge.name, { hook: 'bridge', action: 'learn', why: `${from} is behind ${port.name}`, from, to });
  }
  if (to === bridge.mac || (port && portsOf(ns, bridge).some((one) => one.mac === to))) {
    if (port) {
      count(bridge, 'rx', walk.packet.length);
      note(walk, ns, bridge.name, { hook: 'ingress', action: 'in', why: `from port ${port.name}`, from, to });
    }
    return { at: 'input', ns, link: bridge };
  }
  const known = bridge.fdb!.get(to);
  const learnt = known === undefined ? null : linkByIndex(ns, known);
  const out = learnt ?? portTo(walk.kernel, ns, bridge, to, port);
  if (!out || out === port) return drop(walk, ns, bridge.name, 'bridge', `no port leads to ${to}`);
  note(walk, ns, bridge.name, { hook: 'bridge', action: learnt ? 'port' : 'flood', why: learnt ? `${to} is behind ${out.name}` : `${to} is not learnt yet; ${out.name} takes it`, from, to });
  if (port && ns.bridgeNetfilter) {
    if (!prerouting(walk, ns, bridge.name) || !forwarding(walk, ns, bridge.name, bridge.name) || !postrouting(walk, ns, bridge.name)) return null;
  }
  return transmit(walk, ns, out, from, to);
}

/** IP: for this namespace, or to be forwarded. */
function input(walk: Walk, ns: NetNamespace, link: Link): Place | null {
  const { packet } = walk;
  if (packet.dst.startsWith('127.') && link.kind !== 'loopback') return drop(walk, ns, link.name, 'prerouting', 'a loopback address from outside');
  if (!prerouting(walk, ns, link.name)) return null;
  if (isLocal(ns, packet.dst)) {
    if (!localIn(walk, ns, link.name)) return null;
    walk.delay += COST.deliver;
    later(walk.kernel, walk.delay, { do: 'deliver', ns: ns.ino, packet: { ...packet }, trail: walk.trail, link: link.name });
    return null;
  }
  if (!ns.forwarding) return drop(walk, ns, link.name, 'route', `${packet.dst} is not of this namespace, and ip_forward is 0`);
  return forwarded(walk, ns, link);
}

function forwarded(walk: Walk, ns: NetNamespace, link: Link): Place | null {
  const { packet } = walk;
  walk.delay += COST.route;
  if (packet.ttl <= 1) {
    icmpError(walk, ns, { type: 11, code: 0 });
    return drop(walk, ns, link.name, 'route', 'time to live exceeded');
  }
  const found = routeFor(ns, packet.dst);
  if (found?.route.type !== 'unicast') {
    const code = found?.route.type === 'unreachable' ? 1 : found?.route.type === 'prohibit' ? 13 : 0;
    if (found?.route.type !== 'blackhole') icmpError(walk, ns, { type: 3, code });
    return drop(walk, ns, link.name, 'route', found ? `${found.route.type} route ${found.route.to}` : `no route to ${packet.dst}`);
  }
  packet.ttl--;
  changed(walk);
  const { dev, via } = found.route;
  note(walk, ns, dev, { hook: 'route', action: 'forward', why: routeText(found.route) });
  if (!forwarding(walk, ns, link.name, dev) || !postrouting(walk, ns, dev)) return null;
  return { at: 'send', ns, link: linkByName(ns, dev)!, nexthop: via ?? packet.dst };
}
