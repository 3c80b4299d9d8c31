/** Every packet's road, one row a step, as walk.ts of the kernel records it; and those of one packet over all machines. */
import type { PacketRow } from '../../bridge/rows.ts';
import { netOf } from '../kernel/net/state.ts';
import type { Hop, Packet } from '../kernel/net/types.ts';
import type { Kernel } from '../kernel/records.ts';
import { namespaceNames } from './network.ts';
import { columns, kernelsOf, type View } from './view.ts';

/** Rows of a view, the newest of all machines. */
const SHOWN = 2000;

export const packets: View = {
  doc: "Every packet's road: one row a hook, link or socket that it met, the newest 2000 in order of time.",
  arg: 'host?, packet?, ns?, since?',
  columns: columns(`
    host: machine
    packet: name of the packet, equal along its way over namespaces and machines
    n [count]: ordinal of the step on this machine
    t [ns]: when
    ns [count]: inode of the network namespace
    nsName: the container, named namespace or process that it belongs to; "host" for the machine's own
    dev: link, or empty
    hook: socket, output, route, postrouting, arp, egress, ingress, bridge, prerouting, input, forward, qdisc, tunnel
    action: send, deliver, none, accept, reject, drop, dnat, snat, route, forward, resolve, out, in, learn, port, flood, delay, encapsulate, decapsulate
    reason: why: the route taken, what a translation changed, or why it was dropped
    rule: rule or policy that decided, as "nat DOCKER rule 2", or empty
    proto: tcp, udp, icmp or arp
    src: source address at this step
    dst: destination address at this step
    sport [count]: source port, or identifier of an echo
    dport [count]: destination port, or identifier of an echo
    flags: of tcp: S, F, R, P and . (ACK)
    length [bytes]: of the IP packet
    ttl [count]: time to live at this step
    text: the packet in words
    from: MAC address of the frame's sender, or empty
    to: MAC address of the frame's receiver, or empty
  `),
  rows(world, arg) {
    const found = kernelsOf(world, arg).flatMap((kernel) => rowsOf(kernel, arg));
    found.sort((a, b) => a.t - b.t || (a.host < b.host ? -1 : a.host > b.host ? 1 : a.n - b.n));
    return found.slice(-SHOWN);
  },
};

function rowsOf(kernel: Kernel, arg: Parameters<View['rows']>[1]): PacketRow[] {
  const names = namespaceNames(kernel);
  const { now } = kernel.timeline;
  const wanted = (hop: Hop): boolean =>
    hop.t <= now && (arg.packet === undefined || hop.packet === arg.packet) && (arg.ns === undefined || hop.ns === Number(arg.ns)) && (arg.since === undefined || hop.t >= Number(arg.since));
  return netOf(kernel).hops.filter(wanted).map((hop) => ({
    key: `${kernel.name}:${hop.n}`, host: kernel.name, packet: hop.packet, n: hop.n, t: hop.t, ns: hop.ns, nsName: names.get(hop.ns) ?? `net:[${hop.ns}]`, dev: hop.link,
    hook: hop.hook, action: hop.action, reason: hop.why, rule: hop.rule, proto: hop.what.proto, src: hop.what.src, dst: hop.what.dst, sport: hop.what.sport, dport: hop.what.dport,
    flags: hop.what.flags, length: hop.what.length, ttl: hop.what.ttl, text: textOf(hop.what), from: hop.from, to: hop.to,
  }));
}

const UNREACHABLE: Record<number, string> = { 0: 'network unreachable', 1: 'host unreachable', 3: 'port unreachable', 4: 'fragmentation needed', 13: 'administratively prohibited' };
const FLAGS: Record<string, string> = { S: 'SYN', F: 'FIN', R: 'RST', P: 'PSH', '.': 'ACK' };

/** A packet in a few words. */
function textOf({ proto, icmp, arp, flags, data, src, dst, sport, dport }: Packet): string {
  if (arp) return arp.op === 1 ? `who has ${dst}? tell ${src}` : `${src} is at ${arp.sender}`;
  if (icmp?.type === 8) return `echo request ${icmp.seq}`;
  if (icmp?.type === 0) return `echo reply ${icmp.seq}`;
  if (icmp) return `${icmp.type === 11 ? 'time exceeded' : (UNREACHABLE[icmp.code] ?? 'unreachable')}: ${icmp.inner?.dst ?? ''}`;
  const bytes = data.length > 0 ? ` ${data.length} bytes` : '';
  if (proto === 'udp') return `${sport} > ${dport}${bytes}`;
  return `${[...flags].map((f) => FLAGS[f] ?? f).join(' ')} ${sport} > ${dport}${bytes}`;
}

/** A packet's steps for a chain of causes: newest questions are asked of where it was dropped. */
export function roadOf(kernel: Kernel, packet: string): { n: number; t: number; ns: number; who: string; what: string; why: string; figure: string }[] {
  const names = namespaceNames(kernel);
  const { now } = kernel.timeline;
  return netOf(kernel).hops.filter((hop) => hop.packet === packet && hop.t <= now).map(({ n, t, ns, link, hook, action, why, rule, what }) => ({
    n, t, ns, who: names.get(ns) ?? `net:[${ns}]`, why, figure: rule, what: SENT[action]?.(link, why) ?? (hook === 'socket' ? `${action === 'send' ? 'sent by' : 'delivered to'} ${why}` : `${hook} ${action}${link ? ` at ${link}` : ''}: ${why || textOf(what)}`),
  }));
}

const SENT: Record<string, (link: string, why: string) => string> = {
  drop: (_link, why) => `the packet was dropped: ${why}`, reject: (_link, why) => `the packet was refused: ${why}`, out: (link) => `it left by ${link}`, in: (link, why) => `it came in at ${link}${why ? `, ${why}` : ''}`,
};
