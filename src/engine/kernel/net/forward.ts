/**
 * The way of a packet: one function, `hop`, moves it one step (the local output, a link, a bridge, a namespace's input, its
 * routing decision) until it is delivered, leaves the machine, or is dropped; where it is flooded or cut, its branches go on side by
 * side. Every step leaves a row (walk.ts) with the reason. The way is worked out when the packet is sent; it arrives after the sum of
 * what the steps take; queues that delay (qdisc.ts) and the wire break it into events. Hooks of netfilter (hooks.ts) are called where
 * Linux has them. Source: ip(7), kernel doc networking, bridge(8). Left out: spanning tree, multicast routing, reverse path filters.
 */
import type { Errno } from '../abi.ts';
import type { Kernel } from '../records.ts';
import { timeOf } from '../wait.ts';
import { bridged } from './bridging.ts';
import { icmpError } from './errors.ts';
import { fragmentsOf, isFragment, reassemble } from './fragments.ts';
import { filterOut, forwarding, localIn, localOut as outHooks, postrouting, prerouting } from './hooks.ts';
import { inPrefix } from './ip.ts';
import { isBroadcast, isLocal } from './local.ts';
import { arpInput, resolve } from './neighbour.ts';
import { enqueue } from './qdisc.ts';
import { keyOf, routeFor } from './routes.ts';
import { hasCarrier, linkByIndex, linkByName, netOf, peerOf } from './state.ts';
import type { Link, NetNamespace, Packet, Route } from './types.ts';
import { decapsulate, encapsulate, hasJoined, tunnelOf } from './vxlan.ts';
import { beginWalk, branch, changed, COST, count, drop, EVERYBODY, isForMany, later, note, type Place, type Walk, type Way } from './walk.ts';

/** Sends a packet from a namespace. The answer is what the sender hears at once: null, ENETUNREACH, EHOSTUNREACH, EPERM, EACCES, EINVAL, EMSGSIZE. `by` says who sends. */
export function output(kernel: Kernel, ns: NetNamespace, packet: Packet, by = ''): Errno | null {
  const walk = beginWalk(kernel, packet);
  note(walk, ns, '', { hook: 'socket', action: 'send', why: by });
  proceed([{ walk, place: { at: 'output', ns } }]);
  return walk.error;
}

/** A packet comes from the wire to the links with this MAC, or to all; false when there is none. */
export function fromWire(kernel: Kernel, mac: string, packet: Packet, from: string): boolean {
  if (kernel.power === 'off') return false;
  const ways: Way[] = [];
  for (const ns of netOf(kernel).namespaces.values()) {
    for (const link of ns.links) {
      const takes = link.kind === 'ether' && link.up && (link.mac === mac || isForMany(mac) || link.master !== null || link.uppers.length > 0 || link.promisc);
      if (takes) ways.push({ walk: beginWalk(kernel, packet, packet.trail), place: { at: 'frame', ns, link, from, to: mac } });
    }
  }
  proceed(ways);
  return ways.length > 0;
}

/** Moves packets on until nothing is under way at this moment. */
export function proceed(start: Way[]): void {
  const ways = start.slice().reverse();
  for (let steps = 0; steps < 20_000; steps++) {
    const way = ways.pop();
    if (!way) return;
    const { walk, place } = way;
    if (walk.track && walk.track.ns !== place.ns) walk.track = null;
    if (walk.steps++ > 200) continue;
    const next = hop(walk, place);
    for (let i = next.length - 1; i >= 0; i--) ways.push(next[i]!);
  }
}

const on = (walk: Walk, place: Place | null): Way[] => (place ? [{ walk, place }] : []);

function hop(walk: Walk, place: Place): Way[] {
  switch (place.at) {
    case 'output':
      return on(walk, localOutput(walk, place.ns));
    case 'send':
      return send(walk, place);
    case 'transmit':
      return place.queued ? depart(walk, place) : transmit(walk, place);
    case 'frame':
      return frame(walk, place.ns, place.link, place.from, place.to);
    case 'bridge':
      return bridged(walk, place);
    case 'input':
      return input(walk, place.ns, place.link);
  }
}

// ---- the steps

const ERRORS: Readonly<Record<string, Errno>> = { unreachable: 'EHOSTUNREACH', prohibit: 'EACCES', blackhole: 'EINVAL' };

function localOutput(walk: Walk, ns: NetNamespace): Place | null {
  const { packet } = walk;
  const first = isLocal(ns, packet.dst) ? 'lo' : (routeFor(ns, packet.dst, keyOf(packet, 'lo'))?.route.dev ?? '');
  if (!outHooks(walk, ns, first)) return refused(walk);
  const local = isLocal(ns, packet.dst);
  const found = local ? null : routeFor(ns, packet.dst, keyOf(packet, 'lo'));
  if (!local && !found) return refuse(walk, ns, 'ENETUNREACH', `no route to ${packet.dst}`);
  if (found && found.route.type !== 'unicast') return refuse(walk, ns, ERRORS[found.route.type] ?? 'EINVAL', `${found.route.type} route ${found.route.to}`);
  const dev = local ? 'lo' : found!.route.dev;
  const link = linkByName(ns, dev);
  if (!link) return drop(walk, ns, dev, 'route', 'no such link');
  note(walk, ns, dev, { hook: 'route', action: 'route', why: found ? routeText(found.route) : `${packet.dst} is an address of this namespace` });
  if (!filterOut(walk, ns, dev) || !postrouting(walk, ns, dev)) return refused(walk);
  identify(walk, ns, Math.min(link.mtu, found?.route.mtu ?? link.mtu, ns.pathMtu.get(packet.dst) ?? link.mtu));
  return { at: 'send', ns, link, nexthop: found?.route.via ?? packet.dst, forwarded: false };
}

/** Its identification, and whether it may be cut: what fits the path may not, so that its length can be found out (path MTU discovery). */
function identify(walk: Walk, ns: NetNamespace, mtu: number): void {
  const { packet } = walk;
  changed(walk);
  packet.ident ??= ns.nextIdent = (ns.nextIdent * 25173 + 13849) % 65536;
  packet.df ??= packet.proto === 'tcp' || packet.length <= mtu;
}

const routeText = ({ to, via, dev, table }: Route): string => `${to}${via ? ` via ${via}` : ''} dev ${dev}${table && table !== 'main' ? ` table ${table}` : ''}`;

function refused(walk: Walk): null {
  walk.error = 'EPERM';
  return null;
}

function refuse(walk: Walk, ns: NetNamespace, errno: Errno, why: string): null {
  walk.error = errno;
  return drop(walk, ns, '', 'route', why);
}

type Sending = Extract<Place, { at: 'send' }>;
type Leaving = Extract<Place, { at: 'transmit' }>;

function send(walk: Walk, { ns, link, nexthop, forwarded: passing }: Sending): Way[] {
  const { packet } = walk;
  const mtu = passing ? link.mtu : Math.min(link.mtu, ns.pathMtu.get(packet.dst) ?? link.mtu);
  if ((packet.segment ?? packet.length) > mtu) return tooLong(walk, ns, link, nexthop, passing, mtu);
  const leave = (to: string): Way[] => on(walk, { at: 'transmit', ns, link, from: link.mac, to, queued: false });
  if (link.kind === 'loopback' || link.kind === 'dummy' || !link.arp) return leave(link.mac);
  if (isBroadcast(ns, nexthop)) return leave(EVERYBODY);
  if (inPrefix(nexthop, '224.0.0.0/4')) return leave(groupMac(nexthop));
  const found = resolve(walk, ns, link, nexthop);
  return typeof found === 'string' ? leave(found) : found;
}

const groupMac = (address: string): string => {
  const [, b, c, d] = address.split('.').map(Number) as [number, number, number, number];
  return ['01', '00', '5e', ...[b & 127, c, d].map((n) => n.toString(16).padStart(2, '0'))].join(':');
};

function tooLong(walk: Walk, ns: NetNamespace, link: Link, nexthop: string, passing: boolean, mtu: number): Way[] {
  const { packet } = walk;
  if (!packet.df) {
    const pieces = fragmentsOf(packet, mtu);
    note(walk, ns, link.name, { hook: 'route', action: 'fragment', why: `${packet.length} bytes in ${pieces.length} pieces for an MTU of ${mtu}` });
    return pieces.map((piece): Way => ({ walk: { ...branch(walk), packet: piece, shot: null }, place: { at: 'send', ns, link, nexthop, forwarded: passing } }));
  }
  if (passing) icmpError(walk, ns, { type: 3, code: 4, mtu });
  else walk.error = 'EMSGSIZE';
  drop(walk, ns, link.name, 'route', `${packet.segment ?? packet.length} bytes, more than the MTU of ${mtu}, and not to be fragmented`);
  return [];
}

/** A frame leaves by a link: its queue first. */
function transmit(walk: Walk, place: Leaving): Way[] {
  const { kernel, packet } = walk;
  const { ns, link, from, to } = place;
  if (!link.up) return ended(drop(walk, ns, link.name, 'egress', 'the link is down'));
  if (!hasCarrier(ns, link)) {
    link.stats.txDropped++;
    return ended(drop(walk, ns, link.name, 'egress', 'no carrier'));
  }
  const { discipline } = link;
  if (!discipline) return depart(walk, place);
  const queued = enqueue(discipline, packet.length + 14, timeOf(kernel) + walk.delay);
  if ('lost' in queued) return ended(drop(walk, ns, link.name, 'qdisc', queued.lost));
  for (const delay of queued.delays) {
    note(walk, ns, link.name, { hook: 'qdisc', action: queued.corrupt ? 'corrupt' : 'delay', why: `${discipline.kind} ${Number((delay / 1e6).toFixed(3))} ms` });
    discipline.backlogPackets++;
    discipline.backlogBytes += packet.length + 14;
    const sent = queued.corrupt ? { ...packet, corrupt: true } : { ...packet };
    later(kernel, walk.delay + delay, { do: 'depart', ns: ns.ino, link: link.index, from, to, packet: sent, trail: walk.trail });
  }
  return [];
}

const ended = (_: null): Way[] => [];

function depart(walk: Walk, { ns, link, from, to }: Leaving): Way[] {
  const { kernel, packet } = walk;
  count(link, 'tx', packet.length);
  if (link.discipline) {
    link.discipline.sentBytes += packet.length + 14;
    link.discipline.sentPackets++;
  }
  if (link.kind === 'loopback') {
    count(link, 'rx', packet.length);
    note(walk, ns, link.name, { hook: 'ingress', action: 'in', why: 'loopback', from: link.mac, to: link.mac });
    walk.delay += COST.loopback;
    return on(walk, { at: 'input', ns, link });
  }
  note(walk, ns, link.name, { hook: 'egress', action: 'out', from, to });
  switch (link.kind) {
    case 'dummy':
      return ended(drop(walk, ns, link.name, 'egress', 'a dummy link discards'));
    case 'bridge':
      return on(walk, { at: 'bridge', ns, bridge: link, port: null, from, to });
    case 'veth': {
      walk.delay += COST.veth;
      const other = peerOf(link)!;
      return on(walk, { at: 'frame', ns: other.ns, link: other.link, from, to });
    }
    case 'vlan':
      packet.vlan = link.vlan!;
      changed(walk);
      return on(walk, { at: 'transmit', ns: link.lower!.ns, link: link.lower!.link, from, to, queued: false });
    case 'macvlan':
      return beside(walk, link, from, to);
    case 'vxlan':
      return encapsulate(walk, ns, link, from, to);
    default:
      return ontoWire(walk, kernel, ns, link, from, to);
  }
}

function ontoWire(walk: Walk, kernel: Kernel, ns: NetNamespace, link: Link, from: string, to: string): Way[] {
  walk.delay += COST.ether;
  if (!kernel.uplink) return ended(drop(walk, ns, link.name, 'egress', 'the wire leads nowhere'));
  kernel.uplink.transmit(kernel.name, from, to, { ...walk.packet, trail: walk.trail }, walk.delay + kernel.ahead);
  return [];
}

/** From a macvlan: to those on the same link, and out by it. They do not reach the link itself (mode bridge). */
function beside(walk: Walk, link: Link, from: string, to: string): Way[] {
  const { ns, link: lower } = link.lower!;
  const others = lower.uppers.filter((one) => one.link !== link && one.link.kind === 'macvlan' && one.link.up);
  const one = others.find((other) => other.link.mac === to);
  if (one) return on(walk, { at: 'frame', ns: one.ns, link: one.link, from, to });
  const out: Way[] = on(walk, { at: 'transmit', ns, link: lower, from, to, queued: false });
  return isForMany(to) ? [...others.map((other): Way => ({ walk: branch(walk), place: { at: 'frame', ns: other.ns, link: other.link, from, to } })), ...out] : out;
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
function frame(walk: Walk, ns: NetNamespace, link: Link, from: string, to: string): Way[] {
  const { packet } = walk;
  if (!link.up) return ended(drop(walk, ns, link.name, 'ingress', 'the link is down'));
  count(link, 'rx', packet.length);
  scrub(packet, from);
  note(walk, ns, link.name, { hook: 'ingress', action: 'in', from, to });
  if (packet.corrupt) return ended(drop(walk, ns, link.name, 'ingress', 'its checksum is wrong'));
  const above = link.uppers.length > 0 ? upwards(walk, link, from, to) : null;
  if (above && !isForMany(to)) return above;
  const bridge = link.master === null ? null : linkByIndex(ns, link.master);
  if (bridge) return on(walk, { at: 'bridge', ns, bridge, port: link, from, to });
  if (packet.vlan !== undefined) return above ?? ended(drop(walk, ns, link.name, 'ingress', `no link here is of VLAN ${packet.vlan}`));
  if (to !== link.mac && !isForMany(to)) return ended(drop(walk, ns, link.name, 'ingress', `for another MAC address, ${to}`));
  return [...(above ?? []), ...on(walk, { at: 'input', ns, link })];
}

/** To what stands on the link: the VLAN of its tag, or the macvlan of its address. null when it is for none of them. */
function upwards(walk: Walk, link: Link, from: string, to: string): Way[] | null {
  const { packet } = walk;
  const takes = link.uppers.filter(({ link: one }) => one.up && (one.kind === 'vlan' ? one.vlan === packet.vlan : packet.vlan === undefined && (one.mac === to || isForMany(to))));
  if (takes.length === 0) return null;
  return takes.map(({ ns, link: one }): Way => {
    const made = branch(walk);
    delete made.packet.vlan;
    changed(made);
    return { walk: made, place: { at: 'frame', ns, link: one, from, to } };
  });
}

/** For this namespace, or to be forwarded. */
function input(walk: Walk, ns: NetNamespace, link: Link): Way[] {
  const { kernel } = walk;
  if (walk.packet.proto === 'arp') return arpInput(walk, ns, link);
  if (walk.packet.dst.startsWith('127.') && link.kind !== 'loopback') return ended(drop(walk, ns, link.name, 'prerouting', 'a loopback address from outside'));
  if (isFragment(walk.packet) && (ns.netfilter.tracking || isLocal(ns, walk.packet.dst))) {
    const whole = reassemble(ns, walk.packet, timeOf(kernel) + walk.delay);
    note(walk, ns, link.name, { hook: 'prerouting', action: whole ? 'reassemble' : 'wait', why: whole ? `the last piece of ${whole.length} bytes` : 'for the other pieces' });
    if (!whole) return [];
    walk.packet = whole;
    changed(walk);
  }
  if (!prerouting(walk, ns, link.name)) return [];
  const { packet } = walk;
  const many = isBroadcast(ns, packet.dst) || (inPrefix(packet.dst, '224.0.0.0/4') && hasJoined(ns, packet.dst));
  if (!many && !isLocal(ns, packet.dst)) {
    if (!ns.forwarding) return ended(drop(walk, ns, link.name, 'route', `${packet.dst} is not of this namespace, and ip_forward is 0`));
    return on(walk, forwarded(walk, ns, link));
  }
  if (!localIn(walk, ns, link.name)) return [];
  const tunnel = tunnelOf(ns, packet);
  if (tunnel) return decapsulate(walk, tunnel);
  walk.delay += COST.deliver;
  later(kernel, walk.delay, { do: 'deliver', ns: ns.ino, packet: { ...packet }, trail: walk.trail, link: link.name });
  return [];
}

function forwarded(walk: Walk, ns: NetNamespace, link: Link): Place | null {
  const { packet } = walk;
  walk.delay += COST.route;
  if (packet.ttl <= 1) {
    icmpError(walk, ns, { type: 11, code: 0 });
    return drop(walk, ns, link.name, 'route', 'time to live exceeded');
  }
  const found = routeFor(ns, packet.dst, keyOf(packet, link.name));
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
  return { at: 'send', ns, link: linkByName(ns, dev)!, nexthop: via ?? packet.dst, forwarded: true };
}

