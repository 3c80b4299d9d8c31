/**
 * Neighbours: which MAC address has the next hop. A request is broadcast over the segment (ports of bridges, ends of veth pairs,
 * the wire), each link it crosses leaving a row, and the answer comes back to who asked. Source: arp(7), RFC 826.
 * An entry is used for 30 s after it was confirmed; then it is asked for again. Left out: gratuitous ARP, proxy ARP, gc_thresh.
 */
import { SECOND } from '../../sim/units.ts';
import type { Kernel } from '../records.ts';
import { timeOf } from '../wait.ts';
import { isLocal } from './local.ts';
import { hasCarrier, linkByIndex, netOf, peerOf, portsOf } from './state.ts';
import type { Link, NetNamespace, Packet } from './types.ts';
import { COST, count, noteHop, nextTrail, type Walk } from './walk.ts';

const NONE = new Uint8Array(0);
const EVERYBODY = 'ff:ff:ff:ff:ff:ff';
const ARP_LENGTH = 28;
/** base_reachable_time. */
const FRESH = 30 * SECOND;
/** Three requests, a second apart. */
export const ARP_PATIENCE = 3 * SECOND;

function arp(op: 1 | 2, src: string, dst: string, sender: string, target: string): Packet {
  return { proto: 'arp', src, dst, sport: 0, dport: 0, ttl: 0, length: ARP_LENGTH, flags: '', seq: 0, ack: 0, window: 0, icmp: null, data: NONE, arp: { op, sender, target } };
}

/** The MAC address of the next hop; null when nobody answers. */
export function neighbour(walk: Walk, ns: NetNamespace, link: Link, address: string): string | null {
  const { kernel } = walk;
  const at = timeOf(kernel) + walk.delay;
  let known = ns.neighbours.find((one) => one.address === address && one.dev === link.name);
  if (known?.state === 'PERMANENT') return known.mac;
  const quiet: Asking = { kernel, at, trail: '', question: null, seen: new Set() };
  const mac = hasCarrier(ns, link) ? macBehind(quiet, ns, link, address) : null;
  const fresh = known !== undefined && mac !== null && known.mac === mac && at - known.at < FRESH;
  if (!fresh) ask(walk, ns, link, address, mac);
  if (!known) {
    known = { address, dev: link.name, mac: '', state: 'FAILED', at };
    ns.neighbours.push(known);
  }
  known.mac = mac ?? '';
  known.state = mac ? 'REACHABLE' : 'FAILED';
  if (!fresh) known.at = at;
  return mac;
}

/** The request and its answer as rows; unanswered it is sent three times. */
function ask(walk: Walk, ns: NetNamespace, link: Link, address: string, answer: string | null): void {
  const { kernel } = walk;
  if (!hasCarrier(ns, link)) return;
  const own = link.addresses.find((a) => a.family === 'inet')?.address ?? '0.0.0.0';
  const question = arp(1, own, address, link.mac, '00:00:00:00:00:00');
  for (let i = 0; i < (answer ? 1 : 3); i++) {
    const asking: Asking = { kernel, at: timeOf(kernel) + walk.delay + i * SECOND, trail: nextTrail(kernel), question, seen: new Set() };
    count(link, 'tx', ARP_LENGTH);
    noteHop(kernel, asking.at, ns, link.name, asking.trail, question, { hook: 'egress', action: 'out', why: `who has ${address}?`, from: link.mac, to: EVERYBODY });
    macBehind(asking, ns, link, address);
  }
  if (!answer) return;
  walk.delay += 2 * COST.veth + (link.kind === 'bridge' ? 2 * COST.bridge : 0);
  const reply = arp(2, address, own, answer, link.mac);
  count(link, 'rx', ARP_LENGTH);
  noteHop(kernel, timeOf(kernel) + walk.delay, ns, link.name, nextTrail(kernel), reply, { hook: 'ingress', action: 'in', why: `${address} is at ${answer}`, from: answer, to: link.mac });
}

/** A request on its way over a segment. Without a `question` it leaves no rows. `seen` are links it came through. */
interface Asking {
  kernel: Kernel;
  at: number;
  trail: string;
  question: Packet | null;
  seen: Set<Link>;
}

function passed(asking: Asking, ns: NetNamespace, link: Link, way: 'in' | 'out'): void {
  if (!asking.question) return;
  count(link, way === 'in' ? 'rx' : 'tx', ARP_LENGTH);
  noteHop(asking.kernel, asking.at, ns, link.name, asking.trail, asking.question, {
    hook: way === 'in' ? 'ingress' : 'egress', action: way, from: asking.question.arp!.sender, to: EVERYBODY,
  });
}

/** The owner of the address answers by the link that the request came to. */
function answers(asking: Asking, ns: NetNamespace, link: Link, address: string): string | null {
  if (!isLocal(ns, address)) return null;
  const { question } = asking;
  if (question) {
    const reply = arp(2, address, question.src, link.mac, question.arp!.sender);
    count(link, 'tx', ARP_LENGTH);
    noteHop(asking.kernel, asking.at, ns, link.name, nextTrail(asking.kernel), reply, { hook: 'egress', action: 'out', why: `${address} is at ${link.mac}`, from: link.mac, to: question.arp!.sender });
    if (!ns.neighbours.some((one) => one.address === question.src && one.dev === link.name) && question.src !== '0.0.0.0') {
      ns.neighbours.push({ address: question.src, dev: link.name, mac: question.arp!.sender, state: 'REACHABLE', at: asking.at });
    }
  }
  return link.mac;
}

/** Who on the segment of a link has an address: what a broadcast request finds. */
function macBehind(asking: Asking, ns: NetNamespace, link: Link, address: string): string | null {
  const { kernel, seen } = asking;
  seen.add(link);
  if (link.kind === 'bridge') {
    if (seen.size > 1 && link.up && isLocal(ns, address)) {
      passed(asking, ns, link, 'in');
      return answers(asking, ns, link, address);
    }
    let found: string | null = null;
    for (const port of portsOf(ns, link)) {
      if (seen.has(port) || !hasCarrier(ns, port)) continue;
      passed(asking, ns, port, 'out');
      const one = macBehind(asking, ns, port, address);
      if (one) link.fdb!.set(one, port.index);
      found ??= one;
      if (found && !asking.question) break;
    }
    return found;
  }
  if (link.kind === 'ether') return kernel.uplink?.resolve(kernel.name, address) ?? null;
  const other = peerOf(link);
  if (!other?.link.up || seen.has(other.link)) return null;
  seen.add(other.link);
  const { at } = asking;
  asking.at += COST.veth;
  passed(asking, other.ns, other.link, 'in');
  const found = behindEnd(asking, other.ns, other.link, address);
  asking.at = at;
  return found;
}

/** From the end of a veth on: its bridge, or its namespace. */
function behindEnd(asking: Asking, ns: NetNamespace, end: Link, address: string): string | null {
  if (end.master === null) return answers(asking, ns, end, address);
  const bridge = linkByIndex(ns, end.master)!;
  if (asking.question) bridge.fdb!.set(asking.question.arp!.sender, end.index);
  return macBehind(asking, ns, bridge, address);
}

/** Does this machine answer a request from the wire? The MAC of the link that does. */
export function answersOnWire(kernel: Kernel, address: string): string | null {
  const asking = (seen: Link[]): Asking => ({ kernel, at: 0, trail: '', question: null, seen: new Set(seen) });
  for (const ns of netOf(kernel).namespaces.values()) {
    for (const link of ns.links) {
      if (link.kind !== 'ether' || !link.up) continue;
      const found = link.master === null ? (isLocal(ns, address) ? link.mac : null) : macBehind(asking([link]), ns, linkByIndex(ns, link.master)!, address);
      if (found) return found;
    }
  }
  return null;
}

/** The port behind which a MAC address is, when the bridge has not learnt it: a flood. */
export function portTo(kernel: Kernel, ns: NetNamespace, bridge: Link, mac: string, except: Link | null): Link | null {
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
