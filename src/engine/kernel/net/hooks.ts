/** Netfilter's hooks where forward.ts meets them: the filter table's verdicts, and the nat tables, asked once a connection. Source: netfilter's packet flow. */
import { timeOf } from '../wait.ts';
import { confirm, disguise, redirect, stateOf, track, translateIn, translateOut } from './conntrack.ts';
import { type Hook, traverse, type Verdict } from './netfilter.ts';
import { linkByName } from './state.ts';
import type { Hop, NetNamespace } from './types.ts';
import { changed, note, type Walk } from './walk.ts';

const HOOKS: Record<Hook, Hop['hook']> = { PREROUTING: 'prerouting', INPUT: 'input', FORWARD: 'forward', OUTPUT: 'output', POSTROUTING: 'postrouting' };

/** The filter table at a hook. A row says what it decided, where anything is hooked in; one that ends the packet is its last. */
export function filter(walk: Walk, ns: NetNamespace, hook: Hook, input: string, out: string): Verdict {
  const found = traverse('filter', hook, { ns, packet: walk.packet, in: input, out, state: stateOf(walk.track) });
  if (found.by !== '') {
    const { verdict, by: rule } = found;
    const why = verdict === 'ACCEPT' ? '' : verdict === 'REJECT' ? 'rejected by a rule' : `dropped by ${rule.endsWith('policy') ? 'the policy' : 'a rule'}`;
    note(walk, ns, out || input, { hook: HOOKS[hook], action: verdict === 'ACCEPT' ? 'accept' : verdict === 'REJECT' ? 'reject' : 'drop', rule, why });
  }
  return found;
}

/** PREROUTING or OUTPUT: finds the connection; a new one may get another destination. */
export function natIn(walk: Walk, ns: NetNamespace, hook: 'PREROUTING' | 'OUTPUT', link: string): void {
  walk.track ??= track(ns, walk.packet, timeOf(walk.kernel));
  const { track: found, packet } = walk;
  if (!found) return;
  const { conn } = found;
  let rule = '';
  if (!conn.natted.pre && !found.related && found.way === 'orig') {
    conn.natted.pre = true;
    const { verdict, to, by } = traverse('nat', hook, { ns, packet, in: hook === 'PREROUTING' ? link : '', out: hook === 'OUTPUT' ? link : '', state: stateOf(found) });
    rule = by;
    const [address, port] = to.split(':') as [string, string | undefined];
    if (verdict === 'DNAT') redirect(conn, address || packet.dst, port ? Number(port.split('-')[0]) : null);
    if (verdict === 'REDIRECT') redirect(conn, hook === 'OUTPUT' ? '127.0.0.1' : firstAddress(ns, link, packet.dst), to ? Number(to) : null);
    if (verdict === 'ACCEPT' && by !== '') note(walk, ns, link, { hook: HOOKS[hook], action: 'accept', rule: by });
  }
  const was = `${packet.dst}:${packet.dport}`;
  if (!translateIn(found, packet)) return;
  changed(walk);
  note(walk, ns, link, { hook: HOOKS[hook], action: 'dnat', rule: rule || `connection ${way(found.way)}`, why: `destination ${was} becomes ${packet.dst}:${packet.dport}` });
}

const way = (direction: 'orig' | 'reply'): string => (direction === 'orig' ? 'already translated' : 'of which this is an answer');

/** POSTROUTING, or INPUT for what stays: a new connection may get another source; then it is kept. */
export function natOut(walk: Walk, ns: NetNamespace, hook: 'POSTROUTING' | 'INPUT', link: string): void {
  const { track: found, packet } = walk;
  if (!found) return;
  const { conn } = found;
  let rule = '';
  if (!conn.natted.post && !found.related && found.way === 'orig') {
    conn.natted.post = true;
    const { verdict, to, by } = traverse('nat', hook, { ns, packet, in: hook === 'INPUT' ? link : '', out: hook === 'POSTROUTING' ? link : '', state: stateOf(found) });
    rule = by;
    const [address, port] = to.split(':') as [string, string | undefined];
    if (verdict === 'MASQUERADE') disguise(ns, conn, firstAddress(ns, link, packet.src), null);
    if (verdict === 'SNAT') disguise(ns, conn, address, port ? Number(port.split('-')[0]) : null);
    if (verdict === 'ACCEPT' && by !== '') note(walk, ns, link, { hook: HOOKS[hook], action: 'accept', rule: by });
  }
  const was = `${packet.src}:${packet.sport}`;
  if (translateOut(found, packet)) {
    changed(walk);
    note(walk, ns, link, { hook: HOOKS[hook], action: 'snat', rule: rule || `connection ${way(found.way)}`, why: `source ${was} becomes ${packet.src}:${packet.sport}` });
  }
  confirm(found, packet, timeOf(walk.kernel));
}

export function firstAddress(ns: NetNamespace, link: string, otherwise: string): string {
  return linkByName(ns, link)?.addresses.find((a) => a.family === 'inet')?.address ?? otherwise;
}
