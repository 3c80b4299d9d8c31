/**
 * Connection tracking and the translation of addresses. A connection is two tuples: what its first packet said, and what an
 * answer will say; where they differ, packets are rewritten on their way in (destination) and on their way out (source).
 * A connection is kept once its first packet has got through. Source: conntrack(8), nf_nat's rules. Left out: helpers, zones.
 */
import { SECOND } from '../../sim/units.ts';
import type { NetNamespace, Packet, Tuple } from './types.ts';

export interface Conn {
  orig: Tuple;
  reply: Tuple;
  /** An answer has been seen. */
  replied: boolean;
  /** Of tcp: SYN_SENT, SYN_RECV, ESTABLISHED, FIN_WAIT, LAST_ACK, TIME_WAIT, CLOSE; "" otherwise. */
  state: string;
  /** ns at which it is forgotten. */
  until: number;
  /** Its first packet has met the nat tables, on the way in and on the way out. */
  natted: { pre: boolean; post: boolean };
  /** In the table. */
  kept: boolean;
  mark: number;
}

/** A packet's connection in one namespace, and which way it goes in it. */
export interface Track {
  ns: NetNamespace;
  conn: Conn;
  way: 'orig' | 'reply';
  /** An ICMP error about the connection. */
  related: boolean;
}

/** Seconds. */
export const TIMEOUTS: Record<string, number> = {
  SYN_SENT: 120, SYN_RECV: 60, ESTABLISHED: 432_000, FIN_WAIT: 120, LAST_ACK: 30, TIME_WAIT: 120, CLOSE: 10, icmp: 30, udp: 30, 'udp answered': 120,
};

export function tupleOf(packet: Packet): Tuple {
  return { proto: packet.proto, src: packet.src, dst: packet.dst, sport: packet.sport, dport: packet.dport };
}

export function reversed(tuple: Tuple): Tuple {
  return { proto: tuple.proto, src: tuple.dst, dst: tuple.src, sport: tuple.dport, dport: tuple.sport };
}

const keyOf = ({ proto, src, dst, sport, dport }: Tuple): string => `${proto} ${src}:${sport} ${dst}:${dport}`;

/** The connections of a namespace: all, newest first; by each of their tuples; and the time (ns) before which none of them ends. */
export interface Connections {
  all: Conn[];
  byTuple: Map<string, Conn[]>;
  soonest: number;
}

export function createConnections(): Connections {
  return { all: [], byTuple: new Map(), soonest: Number.POSITIVE_INFINITY };
}

/** From its first packet that got through: its tuples do not change any more. */
function keep(table: Connections, conn: Conn): void {
  table.all.unshift(conn);
  for (const key of new Set([keyOf(conn.reply), keyOf(conn.orig)])) {
    const there = table.byTuple.get(key);
    if (there) there.unshift(conn);
    else table.byTuple.set(key, [conn]);
  }
}

/** Forgets those that `gone` names; how many. */
export function forgetConnections(table: Connections, gone: (conn: Conn) => boolean): number {
  const before = table.all.length;
  table.all = table.all.filter((conn) => {
    if (!gone(conn)) return true;
    for (const key of [keyOf(conn.reply), keyOf(conn.orig)]) {
      const left = table.byTuple.get(key)?.filter((one) => one !== conn) ?? [];
      if (left.length > 0) table.byTuple.set(key, left);
      else table.byTuple.delete(key);
    }
    return false;
  });
  return before - table.all.length;
}

function expire(table: Connections, now: number): void {
  if (now < table.soonest) return;
  forgetConnections(table, (one) => one.until <= now);
  table.soonest = table.all.reduce((least, { until }) => Math.min(least, until), Number.POSITIVE_INFINITY);
}

/** Finds or begins the connection of a packet; null where nothing is tracked. */
export function track(ns: NetNamespace, packet: Packet, now: number): Track | null {
  const { netfilter } = ns;
  if (!netfilter.tracking || packet.untracked) return null;
  expire(netfilter.connections, now);
  const inner = packet.icmp?.inner ?? null;
  const key = keyOf(inner ? reversed(inner) : tupleOf(packet));
  const conn = netfilter.connections.byTuple.get(key)?.[0];
  if (conn) return { ns, conn, way: keyOf(conn.reply) === key ? 'reply' : 'orig', related: inner !== null };
  if (inner) return null;
  const orig = tupleOf(packet);
  const state = packet.proto === 'tcp' ? 'SYN_SENT' : '';
  const begun: Conn = { orig, reply: reversed(orig), replied: false, state, until: 0, natted: { pre: false, post: false }, kept: false, mark: 0 };
  return { ns, conn: begun, way: 'orig', related: false };
}

/** As ctstate has it. */
export function stateOf(track: Track | null): string {
  if (!track) return 'UNTRACKED';
  if (track.related) return 'RELATED';
  return track.way === 'reply' || track.conn.replied ? 'ESTABLISHED' : 'NEW';
}

/** Sends the connection to another destination. */
export function redirect(conn: Conn, address: string, port: number | null): void {
  conn.reply.src = address;
  if (port !== null && conn.reply.proto !== 'icmp') conn.reply.sport = port;
}

/** Gives the connection another source; the port changes only when another connection has it already. */
export function disguise(ns: NetNamespace, conn: Conn, address: string, port: number | null): void {
  conn.reply.dst = address;
  if (port !== null && conn.reply.proto !== 'icmp') conn.reply.dport = port;
  let tries = 0;
  const taken = (): boolean => ns.netfilter.connections.byTuple.get(keyOf(conn.reply))?.some((one) => one !== conn) ?? false;
  while (taken() && tries++ < 64512) {
    conn.reply.dport = 1024 + ((conn.reply.dport - 1024 + 1 + 64512) % 64512);
    if (conn.reply.proto === 'icmp') conn.reply.sport = conn.reply.dport;
  }
}

/** A port from 1024 on; the same sequence in every run. */
export function drawPort(ns: NetNamespace): number {
  ns.netfilter.draw = (Math.imul(ns.netfilter.draw, 1664525) + 1013904223) >>> 0;
  return 1024 + (ns.netfilter.draw % 64512);
}

/** Rewrites the destination; says whether it changed. */
export function translateIn({ conn, way, related }: Track, packet: Packet): boolean {
  const address = way === 'orig' ? conn.reply.src : conn.orig.src;
  const port = way === 'orig' ? conn.reply.sport : conn.orig.sport;
  const changed = packet.dst !== address || (!related && packet.dport !== port);
  packet.dst = address;
  if (related && packet.icmp) packet.icmp = { ...packet.icmp, inner: way === 'reply' ? { ...conn.orig } : { ...conn.reply } };
  else setPorts(packet, packet.sport, port);
  return changed;
}

/** Rewrites the source; says whether it changed. */
export function translateOut({ conn, way, related }: Track, packet: Packet): boolean {
  if (related) return false;
  const address = way === 'orig' ? conn.reply.dst : conn.orig.dst;
  const port = way === 'orig' ? conn.reply.dport : conn.orig.dport;
  const changed = packet.src !== address || packet.sport !== port;
  packet.src = address;
  setPorts(packet, port, packet.dport);
  return changed;
}

function setPorts(packet: Packet, sport: number, dport: number): void {
  if (packet.proto === 'icmp') {
    // One identifier, both ways.
    const id = sport !== packet.sport ? sport : dport;
    packet.sport = id;
    packet.dport = id;
    return;
  }
  packet.sport = sport;
  packet.dport = dport;
}

/** The packet has got through: the connection is kept, and its state moves on. */
export function confirm(track: Track, packet: Packet, now: number): void {
  const { ns, conn, way, related } = track;
  if (related) return;
  if (packet.flags.includes('R') && way === 'reply' && !conn.replied) {
    // Refused: there never was a connection.
    forgetConnections(ns.netfilter.connections, (one) => one === conn);
    return;
  }
  if (!conn.kept) keep(ns.netfilter.connections, conn);
  conn.kept = true;
  if (way === 'reply') conn.replied = true;
  if (packet.proto === 'tcp') conn.state = nextState(conn, packet, way);
  const key = packet.proto === 'tcp' ? conn.state : packet.proto === 'udp' && conn.replied ? 'udp answered' : packet.proto;
  conn.until = now + (TIMEOUTS[key] ?? 30) * SECOND;
  ns.netfilter.connections.soonest = Math.min(ns.netfilter.connections.soonest, conn.until);
}

function nextState(conn: Conn, { flags }: Packet, way: 'orig' | 'reply'): string {
  if (flags.includes('R')) return 'CLOSE';
  if (flags.includes('S')) return way === 'reply' ? 'SYN_RECV' : 'SYN_SENT';
  if (flags.includes('F')) return conn.state === 'FIN_WAIT' || conn.state === 'LAST_ACK' ? 'LAST_ACK' : 'FIN_WAIT';
  if (conn.state === 'LAST_ACK') return 'TIME_WAIT';
  return conn.state === 'SYN_RECV' || conn.state === 'SYN_SENT' ? 'ESTABLISHED' : conn.state;
}
