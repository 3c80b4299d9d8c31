/**
 * Netfilter's hooks where forward.ts meets them, each with its tables in Linux's order: raw, connection tracking, mangle, nat (asked
 * once a connection), filter. A row says what decided; one that ends the packet is its last. Source: netfilter's packet flow.
 */
import { timeOf } from '../wait.ts';
import { confirm, disguise, drawPort, redirect, stateOf, track, translateIn, translateOut } from './conntrack.ts';
import { rejectWith } from './errors.ts';
import { type Hook, type Seen, type TableName, traverse, type Verdict } from './netfilter.ts';
import { logPacket } from './nflog.ts';
import { linkByName } from './state.ts';
import type { Hop, NetNamespace } from './types.ts';
import { changed, note, type Walk } from './walk.ts';

const HOOKS: Record<Hook, Hop['hook']> = { PREROUTING: 'prerouting', INPUT: 'input', FORWARD: 'forward', OUTPUT: 'output', POSTROUTING: 'postrouting' };

interface Ways {
  in: string;
  out: string;
}

function ask(walk: Walk, ns: NetNamespace, table: TableName, hook: Hook, ways: Ways): Verdict {
  const { kernel, packet, track: found } = walk;
  const seen: Seen = {
    ns, packet, ...ways, state: packet.untracked ? 'UNTRACKED' : stateOf(found), now: timeOf(kernel) + walk.delay, conn: found?.conn ?? null,
    log: (rule) => logPacket(kernel, ns, packet, rule, ways.in, ways.out),
  };
  return traverse(table, hook, seen);
}

/** A table that lets packets pass or not. */
function passes(walk: Walk, ns: NetNamespace, table: TableName, hook: Hook, ways: Ways): boolean {
  const { verdict, by: rule, reject } = ask(walk, ns, table, hook, ways);
  if (rule === '') return true;
  const why = verdict === 'ACCEPT' ? '' : verdict === 'REJECT' ? `rejected by a rule with ${reject}` : `dropped by ${rule.endsWith('policy') ? 'the policy' : 'a rule'}`;
  note(walk, ns, ways.out || ways.in, { hook: HOOKS[hook], action: verdict === 'ACCEPT' ? 'accept' : verdict === 'REJECT' ? 'reject' : 'drop', rule, why });
  if (verdict === 'REJECT') rejectWith(walk, ns, reject);
  return verdict === 'ACCEPT';
}

/** What comes in by a link; false when it ends here. */
export function prerouting(walk: Walk, ns: NetNamespace, link: string): boolean {
  const ways = { in: link, out: '' };
  if (!passes(walk, ns, 'raw', 'PREROUTING', ways)) return false;
  walk.track ??= track(ns, walk.packet, timeOf(walk.kernel));
  if (!passes(walk, ns, 'mangle', 'PREROUTING', ways)) return false;
  return destination(walk, ns, 'PREROUTING', ways);
}

/** What a socket of the namespace sends, before it is routed for good. */
export function localOut(walk: Walk, ns: NetNamespace, link: string): boolean {
  const ways = { in: '', out: link };
  if (!passes(walk, ns, 'raw', 'OUTPUT', ways)) return false;
  walk.track ??= track(ns, walk.packet, timeOf(walk.kernel));
  if (!passes(walk, ns, 'mangle', 'OUTPUT', ways)) return false;
  return destination(walk, ns, 'OUTPUT', ways);
}

export function filterOut(walk: Walk, ns: NetNamespace, link: string): boolean {
  return passes(walk, ns, 'filter', 'OUTPUT', { in: '', out: link }) && passes(walk, ns, 'security', 'OUTPUT', { in: '', out: link });
}

export function forwarding(walk: Walk, ns: NetNamespace, input: string, out: string): boolean {
  const ways = { in: input, out };
  return passes(walk, ns, 'mangle', 'FORWARD', ways) && passes(walk, ns, 'filter', 'FORWARD', ways) && passes(walk, ns, 'security', 'FORWARD', ways);
}

export function localIn(walk: Walk, ns: NetNamespace, link: string): boolean {
  const ways = { in: link, out: '' };
  if (!passes(walk, ns, 'mangle', 'INPUT', ways) || !passes(walk, ns, 'filter', 'INPUT', ways) || !passes(walk, ns, 'security', 'INPUT', ways)) return false;
  return source(walk, ns, 'INPUT', ways);
}

/** The last hook of what leaves by a link. */
export function postrouting(walk: Walk, ns: NetNamespace, link: string): boolean {
  const ways = { in: '', out: link };
  return passes(walk, ns, 'mangle', 'POSTROUTING', ways) && source(walk, ns, 'POSTROUTING', ways);
}

/** "10.0.0.1-10.0.0.9:80-90" as the first address and port of each. */
function endOf(to: string): [string, number | null] {
  const [address, port] = to.split(':') as [string, string | undefined];
  return [address.split('-')[0]!, port ? Number(port.split(/[-/]/)[0]) : null];
}

/** Finds the connection; a new one may get another destination. */
function destination(walk: Walk, ns: NetNamespace, hook: 'PREROUTING' | 'OUTPUT', ways: Ways): boolean {
  const { track: found, packet } = walk;
  if (!found) return true;
  const { conn } = found;
  const link = ways.in || ways.out;
  let rule = '';
  if (!conn.natted.pre && !found.related && found.way === 'orig') {
    conn.natted.pre = true;
    const { verdict, to, by } = ask(walk, ns, 'nat', hook, ways);
    rule = by;
    const [address, port] = endOf(to);
    if (verdict === 'DNAT') redirect(conn, address || packet.dst, port);
    if (verdict === 'REDIRECT') redirect(conn, hook === 'OUTPUT' ? '127.0.0.1' : firstAddress(ns, link, packet.dst), to ? Number(to.split('-')[0]) : null);
    if (by !== '' && (verdict === 'ACCEPT' || verdict === 'DROP')) note(walk, ns, link, { hook: HOOKS[hook], action: verdict === 'ACCEPT' ? 'accept' : 'drop', rule: by });
    if (verdict === 'DROP') return false;
  }
  const was = `${packet.dst}:${packet.dport}`;
  if (translateIn(found, packet)) {
    changed(walk);
    note(walk, ns, link, { hook: HOOKS[hook], action: 'dnat', rule: rule || `connection ${known(found.way)}`, why: `destination ${was} becomes ${packet.dst}:${packet.dport}` });
  }
  return true;
}

const known = (way: 'orig' | 'reply'): string => (way === 'orig' ? 'already translated' : 'of which this is an answer');

/** A new connection may get another source; then it is kept. */
function source(walk: Walk, ns: NetNamespace, hook: 'POSTROUTING' | 'INPUT', ways: Ways): boolean {
  const { track: found, packet } = walk;
  if (!found) return true;
  const { conn } = found;
  const link = ways.in || ways.out;
  let rule = '';
  if (!conn.natted.post && !found.related && found.way === 'orig') {
    conn.natted.post = true;
    const { verdict, to, by, random } = ask(walk, ns, 'nat', hook, ways);
    rule = by;
    const [address, port] = endOf(to);
    const drawn = random && !to.includes(':') ? drawPort(ns) : null;
    if (verdict === 'MASQUERADE') disguise(ns, conn, firstAddress(ns, link, packet.src), drawn ?? (to ? Number(to.split('-')[0]) : null));
    if (verdict === 'SNAT') disguise(ns, conn, address || packet.src, drawn ?? port);
    if (by !== '' && (verdict === 'ACCEPT' || verdict === 'DROP')) note(walk, ns, link, { hook: HOOKS[hook], action: verdict === 'ACCEPT' ? 'accept' : 'drop', rule: by });
    if (verdict === 'DROP') return false;
  }
  const was = `${packet.src}:${packet.sport}`;
  if (translateOut(found, packet)) {
    changed(walk);
    note(walk, ns, link, { hook: HOOKS[hook], action: 'snat', rule: rule || `connection ${known(found.way)}`, why: `source ${was} becomes ${packet.src}:${packet.sport}` });
  }
  confirm(found, packet, timeOf(walk.kernel));
  return true;
}

function firstAddress(ns: NetNamespace, link: string, otherwise: string): string {
  return linkByName(ns, link)?.addresses.find((a) => a.family === 'inet')?.address ?? otherwise;
}
