/**
 * Netfilter: the filter and nat tables of one network namespace, their chains and rules, and how a packet meets them.
 * Source: iptables(8), iptables-extensions(8). The hooks are called by forward.ts; connection tracking is conntrack.ts.
 * Left out: other tables, sets, the matches and targets that `Rule` does not name.
 */
import { inPrefix } from './ip.ts';
import type { Conn } from './conntrack.ts';
import type { NetNamespace, Packet } from './types.ts';

export type TableName = 'filter' | 'nat';
export type Hook = 'PREROUTING' | 'INPUT' | 'FORWARD' | 'OUTPUT' | 'POSTROUTING';

/** A condition and whether it is turned round by "!". */
export interface Test<T> {
  is: T;
  not: boolean;
}

export interface Rule {
  in?: Test<string>;
  out?: Test<string>;
  src?: Test<string>;
  dst?: Test<string>;
  proto?: Test<string>;
  sport?: Test<string>;
  dport?: Test<string>;
  ctstate?: Test<string[]>;
  srctype?: Test<string>;
  dsttype?: Test<string>;
  /** Of the match statistic in mode random. */
  probability?: number;
  comment?: string;
  /** Matches in the order in which they were given, as lists show them. */
  modules?: string[];
  /** ACCEPT, DROP, REJECT, RETURN, MASQUERADE, DNAT, SNAT, REDIRECT, the name of a chain, or "" to count only. */
  target: string;
  /** Of DNAT and SNAT "address[:port]", of REDIRECT the port. */
  to?: string;
  packets: number;
  bytes: number;
}

export interface Chain {
  name: string;
  /** null of a chain that somebody made. */
  policy: 'ACCEPT' | 'DROP' | null;
  packets: number;
  bytes: number;
  rules: Rule[];
  /** A built-in chain is hooked in once somebody has touched it; until then it counts nothing. */
  hooked: boolean;
}

export interface Ruleset {
  tables: Record<TableName, Chain[]>;
  /** Connections are tracked once a rule needs it. */
  tracking: boolean;
  connections: Conn[];
  /** What the next random match draws from. */
  draw: number;
}

const BUILT_IN: Record<TableName, Hook[]> = {
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
};

export function createRuleset(): Ruleset {
  const chains = (table: TableName): Chain[] => BUILT_IN[table].map((name) => ({ name, policy: 'ACCEPT', packets: 0, bytes: 0, rules: [], hooked: false }));
  return { tables: { filter: chains('filter'), nat: chains('nat') }, tracking: false, connections: [], draw: 1 };
}

/** What a packet is, where it meets the rules. */
export interface Seen {
  ns: NetNamespace;
  packet: Packet;
  in: string;
  out: string;
  /** NEW, ESTABLISHED, RELATED, or INVALID. */
  state: string;
}

export interface Verdict {
  verdict: 'ACCEPT' | 'DROP' | 'REJECT' | 'MASQUERADE' | 'DNAT' | 'SNAT' | 'REDIRECT';
  to: string;
  /** "filter FORWARD policy", "nat DOCKER rule 2". */
  by: string;
}

/** Walks a chain of a table; counts what it passes. */
export function traverse(table: TableName, hook: Hook, seen: Seen): Verdict {
  const chains = seen.ns.netfilter.tables[table];
  const chain = chains.find((one) => one.name === hook)!;
  if (!chain.hooked) return { verdict: 'ACCEPT', to: '', by: '' };
  const found = walk(table, chains, chain, seen, 0);
  if (found) return found;
  chain.packets++;
  chain.bytes += seen.packet.length;
  return { verdict: chain.policy === 'DROP' ? 'DROP' : 'ACCEPT', to: '', by: `${table} ${hook} policy` };
}

function walk(table: TableName, chains: Chain[], chain: Chain, seen: Seen, depth: number): Verdict | null {
  if (depth > 32) return null;
  for (const [i, rule] of chain.rules.entries()) {
    if (!matches(rule, seen)) continue;
    rule.packets++;
    rule.bytes += seen.packet.length;
    if (rule.target === '') continue;
    if (rule.target === 'RETURN') return null;
    const inner = chains.find((one) => one.name === rule.target);
    if (!inner) return { verdict: rule.target as Verdict['verdict'], to: rule.to ?? '', by: `${table} ${chain.name} rule ${i + 1}` };
    const found = walk(table, chains, inner, seen, depth + 1);
    if (found) return found;
  }
  return null;
}

function test<T>(one: Test<T> | undefined, holds: (is: T) => boolean): boolean {
  return one === undefined || holds(one.is) !== one.not;
}

function nameIs(pattern: string, name: string): boolean {
  return pattern.endsWith('+') ? name.startsWith(pattern.slice(0, -1)) : pattern === name;
}

function portIs(pattern: string, port: number): boolean {
  return pattern.split(',').some((part) => {
    const [low, high] = part.split(':') as [string, string | undefined];
    return high === undefined ? Number(low) === port : port >= Number(low || 0) && port <= Number(high || 65535);
  });
}

function matches(rule: Rule, { ns, packet, in: input, out, state }: Seen): boolean {
  return (
    test(rule.in, (is) => nameIs(is, input)) && test(rule.out, (is) => nameIs(is, out)) &&
    test(rule.src, (is) => inPrefix(packet.src, is)) && test(rule.dst, (is) => inPrefix(packet.dst, is)) &&
    test(rule.proto, (is) => is === packet.proto) &&
    test(rule.sport, (is) => packet.proto !== 'icmp' && portIs(is, packet.sport)) && test(rule.dport, (is) => packet.proto !== 'icmp' && portIs(is, packet.dport)) &&
    test(rule.ctstate, (is) => is.includes(state)) &&
    test(rule.srctype, (is) => typeOf(ns, packet.src) === is) && test(rule.dsttype, (is) => typeOf(ns, packet.dst) === is) &&
    (rule.probability === undefined || chance(ns.netfilter) < rule.probability)
  );
}

/** From 0 to 1; the same sequence in every run (a linear congruence after Numerical Recipes). */
function chance(rules: Ruleset): number {
  rules.draw = (Math.imul(rules.draw, 1664525) + 1013904223) >>> 0;
  return rules.draw / 2 ** 32;
}

/** LOCAL, BROADCAST or UNICAST: how this namespace's routes see an address. */
export function typeOf(ns: NetNamespace, address: string): string {
  if (isLocal(ns, address)) return 'LOCAL';
  if (address === '255.255.255.255' || ns.links.some((l) => l.addresses.some((a) => a.broadcast === address))) return 'BROADCAST';
  return 'UNICAST';
}

/** An address of this namespace: of any link that is up, or in 127/8 with a loopback that is up. */
export function isLocal(ns: NetNamespace, address: string): boolean {
  for (const link of ns.links) {
    if (!link.up) continue;
    for (const one of link.addresses) {
      if (one.address === address) return true;
      if (one.scope === 'host' && one.family === 'inet' && inPrefix(address, `${one.address}/${one.prefix}`)) return true;
    }
  }
  return false;
}
