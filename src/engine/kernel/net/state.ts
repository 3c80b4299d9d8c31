/** The network's state of one kernel, and the wall that its parts share: channels to sleep on. */
import type { Kernel } from '../records.ts';
import type { Link, Net, NetNamespace, Socket } from './types.ts';

export function netOf(kernel: Kernel): Net {
  let net = kernel.drivers.get('net') as Net | undefined;
  if (!net) {
    net = { namespaces: new Map(), hops: [], nextHop: 1, nextPacket: 1, unix: new Map(), sockets: new Map(), extack: new Map(), nextMac: 1 };
    kernel.drivers.set('net', net);
  }
  return net;
}

export function socketChannel(socket: Socket): string {
  return `socket:${socket.id}`;
}

export function linkByIndex(ns: NetNamespace, index: number): Link | null {
  return ns.links.find((link) => link.index === index) ?? null;
}

export function linkByName(ns: NetNamespace, name: string): Link | null {
  return ns.links.find((link) => link.name === name) ?? null;
}

/** The link at the other end of a veth. */
export function peerOf(link: Link): { ns: NetNamespace; link: Link } | null {
  if (!link.peer) return null;
  const other = linkByIndex(link.peer.ns, link.peer.index);
  return other ? { ns: link.peer.ns, link: other } : null;
}

/** net.ipv4.ip_default_ttl: what packets of this namespace begin with. */
export function ttlOf(ns: NetNamespace): number {
  return Number(ns.knobs?.get('ip_default_ttl') ?? 64);
}

export function portsOf(ns: NetNamespace, bridge: Link): Link[] {
  return ns.links.filter((link) => link.master === bridge.index);
}

/** Can frames pass: IFF_LOWER_UP. */
export function hasCarrier(ns: NetNamespace, link: Link): boolean {
  if (!link.up) return false;
  if (link.kind === 'veth') return peerOf(link)?.link.up === true;
  if (link.lower) return hasCarrier(link.lower.ns, link.lower.link);
  if (link.kind !== 'bridge') return true;
  const ports = portsOf(ns, link);
  if (ports.length === 0) return !link.hadPort;
  return ports.some((port) => hasCarrier(ns, port));
}

/** RFC 2863 operational state, as the kernel sets it for each kind of link. */
export function operState(ns: NetNamespace, link: Link): string {
  if (!link.up) return 'DOWN';
  const carrier = hasCarrier(ns, link);
  if (link.kind === 'loopback' || link.kind === 'dummy' || link.kind === 'vxlan') return 'UNKNOWN';
  if (link.kind === 'bridge') return !carrier ? 'DOWN' : link.hadPort ? 'UP' : 'UNKNOWN';
  if (carrier) return 'UP';
  // The other end is looked for by its index in this namespace, wherever it is.
  const other = peerOf(link)?.link ?? link.lower?.link;
  if (!other || other.index === link.index) return 'DOWN';
  const below = ns.links.find(({ index }) => index === other.index);
  return below && hasCarrier(ns, below) ? 'DOWN' : 'LOWERLAYERDOWN';
}
