/** A frame in a bridge: its sender's port is learnt for five minutes, its receiver's looked up; what is not known, or for many, goes to every other port. Source: bridge(8), IEEE 802.1D. */
import { SECOND } from '../../sim/units.ts';
import { timeOf } from '../wait.ts';
import { forwarding, postrouting, prerouting } from './hooks.ts';
import { hasCarrier, linkByIndex, portsOf } from './state.ts';
import type { Link, NetNamespace } from './types.ts';
import { branch, COST, count, drop, isForMany, note, type Place, type Walk, type Way } from './walk.ts';

/** Of ageing_time. */
const HUNDREDTH = SECOND / 100;

export function bridged(walk: Walk, { ns, bridge, port, from, to }: Extract<Place, { at: 'bridge' }>): Way[] {
  if (!bridge.up) {
    drop(walk, ns, bridge.name, 'bridge', 'the bridge is down');
    return [];
  }
  walk.delay += COST.bridge;
  const now = timeOf(walk.kernel) + walk.delay;
  if (port) learn(walk, ns, bridge, port, from, to, now);
  const many = isForMany(to);
  const own = to === bridge.mac || (port !== null && portsOf(ns, bridge).some((one) => one.mac === to));
  const inside: Way[] = (own || many) && port ? local(walk, ns, bridge, port, from, to) : [];
  if (own && !many) return port ? inside : [{ walk, place: { at: 'input', ns, link: bridge } }];
  const known = many ? null : lookup(ns, bridge, to, now);
  if (known && known === port) {
    drop(walk, ns, bridge.name, 'bridge', `${to} is behind ${port.name}, where it came from`);
    return [];
  }
  const out = known ? [known] : portsOf(ns, bridge).filter((one) => one !== port && hasCarrier(ns, one));
  if (out.length === 0 && inside.length === 0) {
    drop(walk, ns, bridge.name, 'bridge', `no port leads to ${to}`);
    return [];
  }
  if (out.length > 0) {
    const why = known ? `${to} is behind ${known.name}` : `${many ? 'for everybody' : `${to} is not learnt yet`}: ${out.length === 1 ? out[0]!.name : `${out.length} ports`}`;
    note(walk, ns, bridge.name, { hook: 'bridge', action: known ? 'port' : 'flood', why, from, to });
  }
  if (port && ns.bridgeNetfilter && walk.packet.proto !== 'arp' && out.length > 0) {
    if (!prerouting(walk, ns, bridge.name) || !forwarding(walk, ns, bridge.name, bridge.name) || !postrouting(walk, ns, bridge.name)) return inside;
  }
  return [...inside, ...out.map((one, i): Way => ({ walk: i === out.length - 1 ? walk : branch(walk), place: { at: 'transmit', ns, link: one, from, to, queued: false } }))];
}

function learn(walk: Walk, ns: NetNamespace, bridge: Link, port: Link, from: string, to: string, now: number): void {
  const entry = bridge.fdb!.get(from);
  if (entry?.fixed) return;
  if (entry?.port !== port.index) note(walk, ns, bridge.name, { hook: 'bridge', action: 'learn', why: `${from} is behind ${port.name}`, from, to });
  bridge.fdb!.set(from, { port: port.index, at: now, fixed: false });
}

function lookup(ns: NetNamespace, bridge: Link, mac: string, now: number): Link | null {
  const entry = bridge.fdb!.get(mac);
  if (!entry) return null;
  if (!entry.fixed && now - entry.at > bridge.times!.ageing_time * HUNDREDTH) {
    bridge.fdb!.delete(mac);
    return null;
  }
  return linkByIndex(ns, entry.port);
}

/** Up to the bridge's own device. */
function local(walk: Walk, ns: NetNamespace, bridge: Link, port: Link, from: string, to: string): Way[] {
  const made = branch(walk);
  count(bridge, 'rx', walk.packet.length);
  note(made, ns, bridge.name, { hook: 'ingress', action: 'in', why: `from port ${port.name}`, from, to });
  return [{ walk: made, place: { at: 'input', ns, link: bridge } }];
}
