/**
 * VXLAN: a frame in a UDP packet between the machines that hold its ends. Whom to send to is a table by inner MAC address, learnt
 * from what comes in; what nobody knows goes to the remote or the group. Source: RFC 7348, ip-link(8), drivers/net/vxlan.
 */
import { SECOND } from '../../sim/units.ts';
import { timeOf } from '../wait.ts';
import { isLocal } from './local.ts';
import { routeFor } from './routes.ts';
import type { Link, NetNamespace, Packet } from './types.ts';
import { beginWalk, drop, isForMany, note, type Walk, type Way } from './walk.ts';

export const ZERO = '00:00:00:00:00:00';
/** Outer IP and UDP headers, VXLAN's, and the inner Ethernet header. */
export const OVERHEAD = 50;
const AGEING = 300 * SECOND;

/** A port from the flow inside, so that flows spread over paths. */
function sourcePort({ src, dst, sport, dport }: Packet, from: string): number {
  let h = 0x811c9dc5;
  for (const c of `${src}${dst}${sport}${dport}${from}`) h = Math.imul(h ^ c.charCodeAt(0), 0x01000193) >>> 0;
  return 32768 + (h % 28232);
}

function remotesOf(link: Link, mac: string, now: number): string[] {
  const { fdb, remote } = link.vxlan!;
  const known = isForMany(mac) ? undefined : fdb.get(mac)?.filter((one) => one.fixed || now - one.at < AGEING);
  if (known && known.length > 0) return known.map((one) => one.dst);
  return [...new Set([...(remote ? [remote] : []), ...(fdb.get(ZERO) ?? []).map((one) => one.dst)])];
}

/** The outer packets of a frame that leaves by a vxlan link. */
export function encapsulate(walk: Walk, ns: NetNamespace, link: Link, from: string, to: string): Way[] {
  const { kernel, packet } = walk;
  const { vni, port, local, under, ttl } = link.vxlan!;
  const remotes = remotesOf(link, to, timeOf(kernel) + walk.delay);
  if (remotes.length === 0) {
    drop(walk, ns, link.name, 'tunnel', `no remote is known for ${to}`);
    return [];
  }
  return remotes.map((dst): Way => {
    const src = local ?? (isLocal(under, dst) ? dst : (routeFor(under, dst)?.src ?? '0.0.0.0'));
    const outer: Packet = {
      proto: 'udp', src, dst, sport: sourcePort(packet, from), dport: port, ttl: ttl || 64, length: packet.length + OVERHEAD, flags: '', seq: 0, ack: 0, window: 0, icmp: null,
      data: new Uint8Array(0), df: false, inner: { vni, from, to, packet: { ...packet } },
    };
    const made = beginWalk(kernel, outer, walk.trail);
    made.delay = walk.delay;
    note(made, ns, link.name, { hook: 'tunnel', action: 'encapsulate', why: `VNI ${vni}, ${src} to ${dst} port ${port}`, from, to });
    return { walk: made, place: { at: 'output', ns: under } };
  });
}

/** The link that an outer packet is for. */
export function tunnelOf(ns: NetNamespace, packet: Packet): { ns: NetNamespace; link: Link } | null {
  if (packet.proto !== 'udp' || !packet.inner) return null;
  const { vni } = packet.inner;
  return ns.tunnels.find(({ link }) => link.up && link.vxlan!.vni === vni && link.vxlan!.port === packet.dport) ?? null;
}

/** Takes the frame out, and learns where its sender is. */
export function decapsulate(walk: Walk, at: { ns: NetNamespace; link: Link }): Way[] {
  const { kernel, packet } = walk;
  const { from, to, packet: inside, vni } = packet.inner!;
  const { learning, fdb } = at.link.vxlan!;
  note(walk, at.ns, at.link.name, { hook: 'tunnel', action: 'decapsulate', why: `VNI ${vni} from ${packet.src}`, from, to });
  if (learning && !fdb.get(from)?.some((one) => one.fixed)) fdb.set(from, [{ dst: packet.src, at: timeOf(kernel) + walk.delay, fixed: false }]);
  const made = beginWalk(kernel, inside, walk.trail);
  made.delay = walk.delay;
  return [{ walk: made, place: { at: 'frame', ns: at.ns, link: at.link, from, to } }];
}

/** Does a namespace listen for a group? */
export function hasJoined(ns: NetNamespace, group: string): boolean {
  return ns.tunnels.some(({ link }) => link.vxlan!.remote === group);
}
