/**
 * Neighbours: which MAC address has the next hop, as the kernel's state machine has it. A request is a broadcast frame like any other and
 * crosses bridges, tunnels and the wire; what waits for the answer is queued. An entry is trusted 30 s; then its next use starts
 * a delay of 5 s, after which it is asked for alone. Source: arp(7), RFC 826, net/core/neighbour.c. Left out: proxy ARP, gc_thresh.
 */
import { SECOND } from '../../sim/units.ts';
import type { Kernel } from '../records.ts';
import { timeOf } from '../wait.ts';
import { icmpError } from './errors.ts';
import { isLocal } from './local.ts';
import { linkByIndex } from './state.ts';
import type { Link, Neighbour, NetNamespace, Packet } from './types.ts';
import { beginWalk, COST, drop, EVERYBODY, later, note, type Walk, type Way } from './walk.ts';

const NONE = new Uint8Array(0);
const NOBODY = '00:00:00:00:00:00';
const ARP_LENGTH = 28;
/** base_reachable_time, delay_first_probe_time, retrans_time. */
const FRESH = 30 * SECOND;
const DELAY = 5 * SECOND;
const RETRANS = SECOND;
const PROBES = 3;
const QUEUED = 100;

function arp(op: 1 | 2, src: string, dst: string, sender: string, target: string): Packet {
  return { proto: 'arp', src, dst, sport: 0, dport: 0, ttl: 0, length: ARP_LENGTH, flags: '', seq: 0, ack: 0, window: 0, icmp: null, data: NONE, arp: { op, sender, target } };
}

function entryOf(ns: NetNamespace, link: Link, address: string): Neighbour | undefined {
  return ns.neighbours.find((one) => one.address === address && one.dev === link.name);
}

/** As ip neigh shows it: what was confirmed long ago is stale. */
export function stateNow(one: Neighbour, now: number): Neighbour['state'] {
  return one.state === 'REACHABLE' && now - one.at > FRESH ? 'STALE' : one.state;
}

/** The MAC address of the next hop; or what goes out to ask for it, with the packet queued. */
export function resolve(walk: Walk, ns: NetNamespace, link: Link, address: string): string | Way[] {
  const { kernel, packet, trail } = walk;
  const now = timeOf(kernel) + walk.delay;
  let one = entryOf(ns, link, address);
  if (!one || one.state === 'FAILED') {
    if (!one) {
      one = { address, dev: link.name, mac: '', state: 'INCOMPLETE', at: now, probes: 0, pending: [] };
      ns.neighbours.push(one);
    }
    Object.assign(one, { state: 'INCOMPLETE', mac: '', probes: 0, at: now });
    one.pending = [{ packet: { ...packet }, trail }];
    note(walk, ns, link.name, { hook: 'arp', action: 'queue', why: `${address} is not known yet` });
    return probe(kernel, ns, link, one, walk.delay);
  }
  if (one.state === 'INCOMPLETE') {
    note(walk, ns, link.name, { hook: 'arp', action: 'queue', why: `${address} has been asked for` });
    if (one.pending.length < QUEUED) one.pending.push({ packet: { ...packet }, trail });
    return [];
  }
  if (stateNow(one, now) === 'STALE') {
    one.state = 'DELAY';
    one.probes = 0;
    later(kernel, walk.delay + DELAY, { do: 'neighbour', ns: ns.ino, link: link.index, address });
  }
  note(walk, ns, link.name, { hook: 'arp', action: 'resolve', why: `${address} is at ${one.mac}` });
  return one.mac;
}

/** One request: to everybody, or to whom had the address. Its timer runs. */
function probe(kernel: Kernel, ns: NetNamespace, link: Link, one: Neighbour, delay: number): Way[] {
  one.probes++;
  later(kernel, delay + RETRANS, { do: 'neighbour', ns: ns.ino, link: link.index, address: one.address });
  const own = link.addresses.filter((a) => a.family === 'inet');
  const walk = beginWalk(kernel, arp(1, own[0]?.address ?? '0.0.0.0', one.address, link.mac, NOBODY));
  walk.delay = delay;
  return [{ walk, place: { at: 'transmit', ns, link, from: link.mac, to: one.state === 'PROBE' ? one.mac : EVERYBODY, queued: false } }];
}

/** A neighbour's timer ran out. */
export function neighbourTimer(kernel: Kernel, ns: NetNamespace, index: number, address: string): Way[] {
  const link = linkByIndex(ns, index);
  const one = link ? entryOf(ns, link, address) : undefined;
  if (!link || !one) return [];
  if (one.state === 'DELAY') one.state = 'PROBE';
  if (one.state !== 'INCOMPLETE' && one.state !== 'PROBE') return [];
  if (one.probes < PROBES) return probe(kernel, ns, link, one, 0);
  fail(kernel, ns, link, one);
  return [];
}

function fail(kernel: Kernel, ns: NetNamespace, link: Link, one: Neighbour): void {
  one.state = 'FAILED';
  one.mac = '';
  for (const { packet, trail } of one.pending.splice(0)) {
    const walk = beginWalk(kernel, packet, trail);
    icmpError(walk, ns, { type: 3, code: 1 });
    drop(walk, ns, link.name, 'arp', `no answer to ARP for ${one.address}`);
  }
}

/** Traffic says that a neighbour is there. */
export function confirmNeighbour(ns: NetNamespace, address: string, now: number): void {
  for (const one of ns.neighbours) {
    if (one.address !== address || (one.state !== 'DELAY' && one.state !== 'STALE' && one.state !== 'REACHABLE')) continue;
    one.state = 'REACHABLE';
    one.at = now;
  }
}

/** An ARP packet reaches a namespace: the owner of an address answers, who asked learns. */
export function arpInput(walk: Walk, ns: NetNamespace, link: Link): Way[] {
  const { kernel, packet } = walk;
  const { op, sender } = packet.arp!;
  const now = timeOf(kernel) + walk.delay;
  const known = entryOf(ns, link, packet.src);
  if (op === 2) return known ? learn(walk, ns, link, known, sender, now) : [];
  if (!isLocal(ns, packet.dst) || !link.arp) return [];
  if (!known && packet.src !== '0.0.0.0') ns.neighbours.push({ address: packet.src, dev: link.name, mac: sender, state: 'STALE', at: now, probes: 0, pending: [] });
  else if (known && known.state !== 'PERMANENT' && known.mac !== sender) Object.assign(known, { mac: sender, state: 'STALE', at: now });
  note(walk, ns, link.name, { hook: 'arp', action: 'answer', why: `${packet.dst} is at ${link.mac}` });
  const answer = beginWalk(kernel, arp(2, packet.dst, packet.src, link.mac, sender));
  answer.delay = walk.delay + COST.deliver;
  const waiting = known?.state === 'STALE' ? known.pending.splice(0) : [];
  return [
    { walk: answer, place: { at: 'transmit', ns, link, from: link.mac, to: sender, queued: false } },
    ...waiting.map((one): Way => released(walk, ns, link, one, sender)),
  ];
}

function released(walk: Walk, ns: NetNamespace, link: Link, { packet, trail }: Neighbour['pending'][number], mac: string): Way {
  const one = beginWalk(walk.kernel, packet, trail);
  one.delay = walk.delay;
  note(one, ns, link.name, { hook: 'arp', action: 'resolve', why: `${walk.packet.src} is at ${mac}` });
  return { walk: one, place: { at: 'transmit', ns, link, from: link.mac, to: mac, queued: false } };
}

function learn(walk: Walk, ns: NetNamespace, link: Link, known: Neighbour, mac: string, now: number): Way[] {
  if (known.state === 'PERMANENT') return [];
  Object.assign(known, { mac, state: 'REACHABLE', at: now, probes: 0 });
  note(walk, ns, link.name, { hook: 'arp', action: 'learn', why: `${known.address} is at ${mac}` });
  return known.pending.splice(0).map((one): Way => released(walk, ns, link, one, mac));
}
