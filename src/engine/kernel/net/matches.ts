/** What a rule of netfilter tests, one function a field, in the order of the fields. Source: iptables-extensions(8), net/netfilter/xt_*.c. */
import { SECOND } from '../../sim/units.ts';
import { inPrefix, parseIp } from './ip.ts';
import type { Rule, Ruleset, Seen, Test } from './netfilter.ts';
import { typeOf } from './local.ts';
import type { Packet } from './types.ts';

export function nameIs(pattern: string, name: string): boolean {
  return pattern.endsWith('+') ? name.startsWith(pattern.slice(0, -1)) : pattern === name;
}

function portIs(pattern: string, port: number): boolean {
  return pattern.split(',').some((part) => {
    const [low, high] = part.split(':') as [string, string | undefined];
    return high === undefined ? Number(low) === port : port >= Number(low || 0) && port <= Number(high || 65535);
  });
}

const hasPorts = (packet: Packet): boolean => packet.proto === 'tcp' || packet.proto === 'udp';

function rangeIs(range: string, address: string): boolean {
  const [low, high] = range.split('-') as [string, string | undefined];
  const n = parseIp(address);
  return n !== null && n >= parseIp(low)! && n <= parseIp(high ?? low)!;
}

function markIs(pattern: string, mark: number): boolean {
  const [value, mask] = pattern.split('/') as [string, string | undefined];
  return ((mark & (mask === undefined ? 0xffffffff : Number(mask))) >>> 0) === Number(value) >>> 0;
}

const LETTERS: Record<string, string> = { FIN: 'F', SYN: 'S', RST: 'R', PSH: 'P', ACK: '.', URG: 'U' };
export const FLAGS = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG'] as const;

/** "SYN,ACK" as names; ALL and NONE. */
export function flagNames(text: string): string[] {
  return text === 'ALL' ? [...FLAGS] : text === 'NONE' ? [] : text.split(',');
}

function flagsAre(pattern: string, flags: string): boolean {
  const [mask, set] = pattern.split(' ').map(flagNames) as [string[], string[]];
  return mask.every((name) => flags.includes(LETTERS[name]!) === set.includes(name));
}

function icmpIs(pattern: string, { icmp }: Packet): boolean {
  if (pattern === '255' || pattern === 'any') return icmp !== null;
  const [type, code] = pattern.split('/') as [string, string | undefined];
  return icmp?.type === Number(type) && (code === undefined || icmp.code === Number(code));
}

function ttlIs(pattern: string, ttl: number): boolean {
  const [how, n] = pattern.split(' ') as [string, string];
  return how === 'eq' ? ttl === Number(n) : how === 'lt' ? ttl < Number(n) : ttl > Number(n);
}

function kindOf({ ns, packet }: Seen): string {
  const type = typeOf(ns, packet.dst);
  return type === 'BROADCAST' ? 'broadcast' : type === 'MULTICAST' ? 'multicast' : 'unicast';
}

function connectionsFrom({ ns, packet, now }: Seen): number {
  return ns.netfilter.connections.all.filter((one) => one.until > now && one.orig.src === packet.src && (one.orig.proto !== 'tcp' || !['TIME_WAIT', 'CLOSE'].includes(one.state))).length;
}

const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86400 };

/** A bucket of tokens that fills at the rate, up to the burst. */
function withinLimit(rule: Rule, { rate, burst }: NonNullable<Rule['limit']>, now: number): boolean {
  const [n, unit] = rate.split('/') as [string, string];
  const each = ((UNITS[unit[0]!] ?? 1) * SECOND) / Number(n);
  rule.memory ??= { at: now, tokens: burst };
  const { memory } = rule;
  memory.tokens = Math.min(burst, memory.tokens + (now - memory.at) / each);
  memory.at = now;
  if (memory.tokens < 1) return false;
  memory.tokens--;
  return true;
}

const REMEMBERED = 20;

/** xt_recent: notes an address in a list, or asks whether it is there. */
function isRecent(r: NonNullable<Rule['recent']>, { ns, packet, now }: Seen): boolean {
  const { recent } = ns.netfilter;
  if (!recent.has(r.name)) recent.set(r.name, new Map());
  const list = recent.get(r.name)!;
  const address = r.dest ? packet.dst : packet.src;
  const times = list.get(address);
  if (r.op === 'set') {
    list.set(address, [...(times ?? []), now].slice(-REMEMBERED));
    return true;
  }
  if (r.op === 'remove') return list.delete(address);
  const after = r.seconds === 0 ? -1 : now - r.seconds * SECOND;
  if (r.reap && r.seconds > 0) for (const [who, when] of list) if (when.at(-1)! < after) list.delete(who);
  const hits = (list.get(address) ?? []).filter((t) => t >= after).length;
  const found = hits >= Math.max(1, r.hits);
  if (found && r.op === 'update') list.set(address, [...times!, now].slice(-REMEMBERED));
  return found;
}

function isNth(rule: Rule, pattern: string): boolean {
  const [every, packet] = pattern.split(' ').map(Number) as [number, number];
  rule.memory ??= { at: 0, tokens: 0 };
  const n = rule.memory.tokens;
  rule.memory.tokens = (n + 1) % every;
  return n === packet;
}

/** From 0 to 1; the same sequence in every run (a linear congruence after Numerical Recipes). */
function chance(rules: Ruleset): number {
  rules.draw = (Math.imul(rules.draw, 1664525) + 1013904223) >>> 0;
  return rules.draw / 2 ** 32;
}

function holds<T>(test: Test<T> | undefined, is: (value: T) => boolean): boolean {
  return test === undefined || is(test.is) !== test.not;
}

/** Those that remember come last: they count only what all others let through. */
export function matches(rule: Rule, seen: Seen): boolean {
  const { ns, packet } = seen;
  return (
    holds(rule.in, (is) => nameIs(is, seen.in)) && holds(rule.out, (is) => nameIs(is, seen.out)) &&
    holds(rule.src, (is) => inPrefix(packet.src, is)) && holds(rule.dst, (is) => inPrefix(packet.dst, is)) && holds(rule.proto, (is) => is === packet.proto) &&
    holds(rule.fragment, () => (packet.offset ?? 0) > 0) &&
    holds(rule.sport, (is) => hasPorts(packet) && portIs(is, packet.sport)) && holds(rule.dport, (is) => hasPorts(packet) && portIs(is, packet.dport)) &&
    holds(rule.sports, (is) => hasPorts(packet) && portIs(is, packet.sport)) && holds(rule.dports, (is) => hasPorts(packet) && portIs(is, packet.dport)) &&
    holds(rule.ports, (is) => hasPorts(packet) && (portIs(is, packet.sport) || portIs(is, packet.dport))) &&
    holds(rule.tcpflags, (is) => packet.proto === 'tcp' && flagsAre(is, packet.flags)) && holds(rule.icmptype, (is) => icmpIs(is, packet)) &&
    holds(rule.ctstate, (is) => is.includes(seen.state)) && further(rule, seen) &&
    holds(rule.srctype, (is) => typeOf(ns, packet.src) === is) && holds(rule.dsttype, (is) => typeOf(ns, packet.dst) === is) &&
    (rule.recent === undefined || isRecent(rule.recent, seen) !== rule.recent.not) && (rule.limit === undefined || withinLimit(rule, rule.limit, seen.now)) && holds(rule.nth, (is) => isNth(rule, is)) &&
    (rule.probability === undefined || chance(ns.netfilter) < rule.probability)
  );
}

/** The rarer tests. */
function further(rule: Rule, seen: Seen): boolean {
  const { packet } = seen;
  return (
    holds(rule.mark, (is) => markIs(is, packet.mark ?? 0)) && holds(rule.connmark, (is) => seen.conn !== null && markIs(is, seen.conn.mark)) &&
    holds(rule.macsource, (is) => packet.mac === is.toLowerCase()) && holds(rule.srcrange, (is) => rangeIs(is, packet.src)) && holds(rule.dstrange, (is) => rangeIs(is, packet.dst)) &&
    holds(rule.uid, (is) => packet.uid !== undefined && portIs(is.replace('-', ':'), packet.uid)) && holds(rule.gid, (is) => packet.gid !== undefined && portIs(is.replace('-', ':'), packet.gid)) &&
    holds(rule.ttl, (is) => ttlIs(is, packet.ttl)) && holds(rule.length, (is) => portIs(is, packet.length)) && holds(rule.pkttype, (is) => is === kindOf(seen)) &&
    holds(rule.connlimit, (is) => connectionsFrom(seen) > is)
  );
}
