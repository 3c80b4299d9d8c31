/**
 * Netfilter: the tables of one network namespace (raw, mangle, filter, nat, security), their chains and rules, and how a packet
 * meets them. Source: iptables(8), iptables-extensions(8), net/netfilter/xt_*.c. The hooks are called by forward.ts through
 * hooks.ts; what a rule tests is matches.ts; connection tracking is conntrack.ts. Left out: sets, matches that `Rule` does not name.
 */
import { type Conn, type Connections, createConnections } from './conntrack.ts';
import { matches } from './matches.ts';
import type { NetNamespace, Packet } from './types.ts';

export type TableName = 'mangle' | 'security' | 'raw' | 'filter' | 'nat';
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
  /** -f: not the first fragment. */
  fragment?: Test<boolean>;
  sport?: Test<string>;
  dport?: Test<string>;
  /** Of multiport: "22,80,8000:8010". */
  sports?: Test<string>;
  dports?: Test<string>;
  ports?: Test<string>;
  /** "FIN,SYN,RST,ACK SYN": of those, exactly these. */
  tcpflags?: Test<string>;
  /** "8", "3/1", "255" for any. */
  icmptype?: Test<string>;
  ctstate?: Test<string[]>;
  srctype?: Test<string>;
  dsttype?: Test<string>;
  /** "0x1/0xff". */
  mark?: Test<string>;
  connmark?: Test<string>;
  macsource?: Test<string>;
  /** "10.0.0.1-10.0.0.9". */
  srcrange?: Test<string>;
  dstrange?: Test<string>;
  uid?: Test<string>;
  gid?: Test<string>;
  /** "eq 5", "lt 5", "gt 5". */
  ttl?: Test<string>;
  /** Of the packet: "100:200". */
  length?: Test<string>;
  pkttype?: Test<string>;
  /** More connections than so many from one source; `not` is --connlimit-upto. */
  connlimit?: Test<number>;
  /** "5/min" and how many at once. */
  limit?: { rate: string; burst: number };
  /** Of the match statistic in mode random, and in mode nth "every packet". */
  probability?: number;
  nth?: Test<string>;
  /** Of the match recent: addresses that were seen, by list. `seconds` 0: whenever. */
  recent?: { op: 'set' | 'rcheck' | 'update' | 'remove'; name: string; seconds: number; hits: number; reap: boolean; dest: boolean; not: boolean };
  comment?: string;
  /** Matches in the order in which they were given, as lists show them. */
  modules?: string[];
  /** ACCEPT, DROP, REJECT, RETURN, MASQUERADE, DNAT, SNAT, REDIRECT, LOG, MARK, …, the name of a chain, or "" to count only. */
  target: string;
  /** -g: what a chain returns from does not come back here. */
  goto?: boolean;
  /** Of DNAT and SNAT "address[:port]", of REDIRECT and MASQUERADE ports. */
  to?: string;
  /** random, random-fully: the port is drawn; persistent: of no effect. */
  natflags?: string[];
  /** Of REJECT: "icmp-port-unreachable", "tcp-reset", … */
  reject?: string;
  /** Of LOG. */
  log?: { level: number; prefix: string; options: string[] };
  /** Of MARK "value/mask": the bits of mask are cleared, those of value turned. Of CONNMARK "save", "restore" or the same. */
  setmark?: string;
  /** Of TTL "set 64", "inc 1", "dec 1". Of TCPMSS "clamp" or a size. Of CT "--notrack". */
  argument?: string;
  packets: number;
  bytes: number;
  /** What limit and nth remember: ns and tokens, or a counter. */
  memory?: { at: number; tokens: number };
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
  connections: Connections;
  /** What the next random match draws from. */
  draw: number;
  /** Lists of the match recent: address to the times (ns) at which it was seen. */
  recent: Map<string, Map<string, number[]>>;
}

export const BUILT_IN: Record<TableName, Hook[]> = {
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  security: ['INPUT', 'FORWARD', 'OUTPUT'],
  raw: ['PREROUTING', 'OUTPUT'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
};

export function createRuleset(): Ruleset {
  const chains = (table: TableName): Chain[] => BUILT_IN[table].map((name) => ({ name, policy: 'ACCEPT', packets: 0, bytes: 0, rules: [], hooked: false }));
  const tables = { mangle: chains('mangle'), security: chains('security'), raw: chains('raw'), filter: chains('filter'), nat: chains('nat') };
  return { tables, tracking: false, connections: createConnections(), draw: 1, recent: new Map() };
}

/** What a packet is, where it meets the rules. */
export interface Seen {
  ns: NetNamespace;
  packet: Packet;
  in: string;
  out: string;
  /** NEW, ESTABLISHED, RELATED, INVALID or UNTRACKED. */
  state: string;
  /** ns. */
  now: number;
  conn: Conn | null;
  /** A LOG rule writes. */
  log(rule: Rule): void;
}

export interface Verdict {
  verdict: 'ACCEPT' | 'DROP' | 'REJECT' | 'MASQUERADE' | 'DNAT' | 'SNAT' | 'REDIRECT';
  to: string;
  /** Of REJECT: with what. */
  reject: string;
  /** --random, --random-fully: the source's port is drawn. */
  random?: boolean;
  /** "filter FORWARD policy", "nat DOCKER rule 2". */
  by: string;
}

/** Is a chain of a table hooked in? */
export function isHooked(ns: NetNamespace, table: TableName, hook: Hook): boolean {
  return ns.netfilter.tables[table].some((one) => one.name === hook && one.hooked);
}

/** Walks a chain of a table; counts what it passes. */
export function traverse(table: TableName, hook: Hook, seen: Seen): Verdict {
  const chains = seen.ns.netfilter.tables[table];
  const chain = chains.find((one) => one.name === hook);
  if (!chain?.hooked) return { verdict: 'ACCEPT', to: '', reject: '', by: '' };
  const found = walk(table, chains, chain, seen, 0);
  if (found && found !== 'RETURN') return found;
  chain.packets++;
  chain.bytes += seen.packet.length;
  return { verdict: chain.policy === 'DROP' ? 'DROP' : 'ACCEPT', to: '', reject: '', by: `${table} ${hook} policy` };
}

/** null at the end of the chain; RETURN when a chain gone to (-g) has ended, so that its caller ends too. */
function walk(table: TableName, chains: Chain[], chain: Chain, seen: Seen, depth: number): Verdict | 'RETURN' | null {
  if (depth > 32) return null;
  for (const [i, rule] of chain.rules.entries()) {
    if (!matches(rule, seen)) continue;
    rule.packets++;
    rule.bytes += seen.packet.length;
    if (rule.target === '') continue;
    if (rule.target === 'RETURN') return null;
    const effect = EFFECTS[rule.target];
    if (effect) {
      effect(rule, seen);
      continue;
    }
    const inner = chains.find((one) => one.name === rule.target && one.policy === null);
    if (!inner) return { verdict: rule.target as Verdict['verdict'], to: rule.to ?? '', reject: rule.reject ?? 'icmp-port-unreachable', random: rule.natflags?.some((f) => f.startsWith('random')) ?? false, by: `${table} ${chain.name} rule ${i + 1}` };
    const found = walk(table, chains, inner, seen, depth + 1);
    if (found) return found;
    if (rule.goto) return 'RETURN';
  }
  return null;
}

/** Targets after which the next rule is asked. */
export const EFFECTS: Readonly<Record<string, (rule: Rule, seen: Seen) => void>> = {
  LOG: (rule, seen) => seen.log(rule),
  MARK: ({ setmark }, { packet }) => {
    packet.mark = turned(packet.mark ?? 0, setmark ?? '0/0');
  },
  CONNMARK: ({ setmark = '' }, { packet, conn }) => {
    if (!conn) return;
    if (setmark === 'save') conn.mark = packet.mark ?? 0;
    else if (setmark === 'restore') packet.mark = conn.mark;
    else conn.mark = turned(conn.mark, setmark);
  },
  NOTRACK: (_rule, { packet }) => {
    packet.untracked = true;
  },
  CT: ({ argument }, { packet }) => {
    if (argument === '--notrack') packet.untracked = true;
  },
  TTL: ({ argument = '' }, { packet }) => {
    const [how, n] = argument.split(' ') as [string, string];
    packet.ttl = Math.min(255, Math.max(0, how === 'set' ? Number(n) : packet.ttl + (how === 'inc' ? Number(n) : -Number(n))));
  },
  TCPMSS: ({ argument = '' }, { packet, ns, out }) => {
    if (packet.mss === undefined) return;
    const mtu = ns.links.find((one) => one.name === out)?.mtu ?? 1500;
    packet.mss = Math.min(packet.mss, argument === 'clamp' ? mtu - 40 : Number(argument));
  },
};

/** (mark & ~mask) ^ value. */
function turned(mark: number, setmark: string): number {
  const [value, mask] = setmark.split('/').map(Number) as [number, number];
  return ((mark & ~mask) ^ value) >>> 0;
}
