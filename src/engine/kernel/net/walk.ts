/**
 * A packet under way: where it is, and the trail that it leaves. Every step is a row in `Net.hops` (the newest few thousand of a
 * kernel): which hook it met, what was done and why. Pictures, tcpdump and the views `packets` and `network` read nothing else.
 * A row shares its picture of the packet with the rows before it until the packet changes, so that a step costs one small record.
 */
import { schedule } from '../../sim/timeline.ts';
import { US } from '../../sim/units.ts';
import type { Errno } from '../abi.ts';
import type { Kernel } from '../records.ts';
import { timeOf } from '../wait.ts';
import type { Track } from './conntrack.ts';
import { netOf } from './state.ts';
import type { Hop, Link, NetNamespace, Packet } from './types.ts';

/** What each step takes, ns: magnitudes of a machine of today, not measured here. */
export const COST = { loopback: 6 * US, veth: 4 * US, bridge: 2 * US, route: 3 * US, ether: 10 * US, deliver: 5 * US } as const;
const KEPT = 4000;
/** Bytes of data that a row keeps for tcpdump. */
const SNAPPED = 1500;

export type Place =
  | { at: 'output'; ns: NetNamespace }
  | { at: 'send'; ns: NetNamespace; link: Link; nexthop: string; forwarded: boolean }
  /** A frame leaves by a link; `queued` when it has been through its queue. */
  | { at: 'transmit'; ns: NetNamespace; link: Link; from: string; to: string; queued: boolean }
  | { at: 'frame'; ns: NetNamespace; link: Link; from: string; to: string }
  | { at: 'bridge'; ns: NetNamespace; bridge: Link; port: Link | null; from: string; to: string }
  | { at: 'input'; ns: NetNamespace; link: Link };

export interface Walk {
  kernel: Kernel;
  packet: Packet;
  /** Which packet it is, in rows: "lab#12". It keeps this name over the wire. */
  trail: string;
  /** ns since it was sent. */
  delay: number;
  track: Track | null;
  /** What the sender is told at once. */
  error: Errno | null;
  /** The packet as the newest rows show it; null after a change. */
  shot: Packet | null;
  /** A packet that goes round and round ends. */
  steps: number;
}

/** Walks go on side by side where a frame is flooded or a packet cut. */
export interface Way {
  walk: Walk;
  place: Place;
}

export function branch(walk: Walk): Walk {
  return { ...walk, packet: { ...walk.packet }, error: null };
}

export const EVERYBODY = 'ff:ff:ff:ff:ff:ff';

/** Broadcast or multicast. */
export function isForMany(mac: string): boolean {
  return (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1;
}

export type NetEvent =
  | { do: 'depart'; ns: number; link: number; from: string; to: string; packet: Packet; trail: string }
  | { do: 'neighbour'; ns: number; link: number; address: string }
  | { do: 'deliver'; ns: number; packet: Packet; trail: string; link: string }
  | { do: 'output'; ns: number; packet: Packet }
  | { do: 'timer'; socket: number };

/** Something of the network that happens `delay` ns from now. */
export function later(kernel: Kernel, delay: number, arg: NetEvent): void {
  schedule(kernel.timeline, timeOf(kernel) + delay, { kind: 'net', who: kernel.name, arg });
}

export function beginWalk(kernel: Kernel, packet: Packet, trail?: string): Walk {
  return { kernel, packet: { ...packet }, trail: trail ?? nextTrail(kernel), delay: 0, track: null, error: null, shot: null, steps: 0 };
}

export function nextTrail(kernel: Kernel): string {
  return `${kernel.name}#${netOf(kernel).nextPacket++}`;
}

export type Step = Pick<Hop, 'hook' | 'action'> & Partial<Pick<Hop, 'why' | 'rule' | 'from' | 'to'>>;

/** The packet has been rewritten: later rows show it anew. */
export function changed(walk: Walk): void {
  walk.shot = null;
}

export function snapshot(packet: Packet): Packet {
  return { ...packet, data: packet.data.length > SNAPPED ? packet.data.subarray(0, SNAPPED) : packet.data };
}

export function note(walk: Walk, ns: NetNamespace, link: string, step: Step): void {
  walk.shot ??= snapshot(walk.packet);
  noteHop(walk.kernel, timeOf(walk.kernel) + walk.delay, ns, link, walk.trail, walk.shot, step);
}

/** A row at a time. `what` is kept as it is. */
export function noteHop(kernel: Kernel, t: number, ns: NetNamespace, link: string, trail: string, what: Packet, step: Step): void {
  const net = netOf(kernel);
  const { hook, action, why = '', rule = '', from = '', to = '' } = step;
  net.hops.push({ n: net.nextHop++, t, ns: ns.ino, link, hook, action, why, rule, packet: trail, what, from, to });
  if (net.hops.length > KEPT * 1.25) net.hops.splice(0, net.hops.length - KEPT);
}

/** The end of a packet. `hook` is where it ended. */
export function drop(walk: Walk, ns: NetNamespace, link: string, hook: Hop['hook'], why: string, rule = ''): null {
  note(walk, ns, link, { hook, action: 'drop', why, rule });
  return null;
}

export function count(link: Link, way: 'rx' | 'tx', length: number): void {
  const bytes = length + (link.kind === 'loopback' ? 0 : 14);
  if (way === 'rx') {
    link.stats.rxBytes += bytes;
    link.stats.rxPackets++;
  } else {
    link.stats.txBytes += bytes;
    link.stats.txPackets++;
  }
}
