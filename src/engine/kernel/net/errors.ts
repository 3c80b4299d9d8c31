/** What a packet that goes no further brings its sender: ICMP errors (RFC 792, 1812), or a reset of its connection. Never about an ICMP error. */
import { tupleOf } from './conntrack.ts';
import { isBroadcast, isLocal } from './local.ts';
import { routeFor } from './routes.ts';
import { ttlOf } from './state.ts';
import { resetFor } from './tcp.ts';
import type { NetNamespace } from './types.ts';
import { later, type Walk } from './walk.ts';

const NONE = new Uint8Array(0);

/** Types and codes by the words of --reject-with; and those of the routing decision. */
export const REJECTIONS: Readonly<Record<string, number>> = {
  'icmp-net-unreachable': 0, 'icmp-host-unreachable': 1, 'icmp-proto-unreachable': 2, 'icmp-port-unreachable': 3, 'icmp-net-prohibited': 9, 'icmp-host-prohibited': 10, 'icmp-admin-prohibited': 13,
};

/** `more` is the next hop's MTU of "fragmentation needed". It goes out `delay` ns after the packet was here. */
export function icmpError(walk: Walk, ns: NetNamespace, error: { type: number; code: number; mtu?: number; delay?: number }): void {
  const { kernel, packet } = walk;
  if (packet.icmp && packet.icmp.type !== 8 && packet.icmp.type !== 0) return;
  if ((packet.offset ?? 0) > 0 || isBroadcast(ns, packet.dst) || packet.proto === 'arp') return;
  const { type, code, mtu, delay = 0 } = error;
  const src = isLocal(ns, packet.src) ? packet.src : (routeFor(ns, packet.src)?.src ?? '0.0.0.0');
  const length = 20 + 8 + Math.min(packet.length, 548);
  later(kernel, walk.delay + delay, {
    do: 'output', ns: ns.ino,
    packet: {
      proto: 'icmp', src, dst: packet.src, sport: 0, dport: 0, ttl: ttlOf(ns), length, flags: '', seq: 0, ack: 0, window: 0, data: NONE,
      icmp: { type, code, seq: packet.icmp?.seq ?? 0, inner: tupleOf(packet), about: packet.length, ...(mtu === undefined ? {} : { mtu }) },
    },
  });
}

/** A REJECT rule's answer. */
export function rejectWith(walk: Walk, ns: NetNamespace, how: string): void {
  const { kernel, packet } = walk;
  if (how !== 'tcp-reset') {
    icmpError(walk, ns, { type: 3, code: REJECTIONS[how] ?? 3 });
    return;
  }
  if (packet.proto !== 'tcp' || packet.flags.includes('R')) return;
  later(kernel, walk.delay, { do: 'output', ns: ns.ino, packet: resetFor(packet, ttlOf(ns)) });
}
