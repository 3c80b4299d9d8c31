/** Do the fields of a netlink request have the types that they should (the kernel's nla_policy)? Unknown fields do not fit. */
import type { NetlinkRequest } from '../sys.ts';

type Fit = (value: unknown) => boolean;

const text: Fit = (value) => typeof value === 'string' && value.length <= 256;
const number: Fit = (value) => typeof value === 'number' && Number.isSafeInteger(value);
const flag: Fit = (value) => typeof value === 'boolean';
const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** A namespace by pid, descriptor or path. */
const ns: Fit = (value) => isRecord(value) && (number(value.pid) || number(value.fd) || text(value.path));

function record(fields: Record<string, Fit>): Fit {
  return (value) => isRecord(value) && Object.entries(value).every(([key, one]) => one === undefined || (Object.hasOwn(fields, key) && fields[key]!(one)));
}

const test = (is: Fit): Fit => (value) => isRecord(value) && is(value.is) && flag(value.not);
const words: Fit = (value) => Array.isArray(value) && value.length <= 64 && value.every(text);
const texts = Object.fromEntries(
  ['in', 'out', 'src', 'dst', 'proto', 'sport', 'dport', 'sports', 'dports', 'ports', 'tcpflags', 'icmptype', 'srctype', 'dsttype', 'mark', 'connmark', 'macsource', 'srcrange', 'dstrange', 'uid', 'gid',
    'ttl', 'length', 'pkttype', 'nth'].map((name) => [name, test(text)]),
);
const rule = record({
  ...texts, fragment: test(flag), ctstate: test(words), connlimit: test(number), limit: (value) => isRecord(value) && text(value.rate) && /^\d+\/[smhd]/.test(String(value.rate)) && number(value.burst),
  probability: (value) => typeof value === 'number' && value >= 0 && value <= 1, comment: text, modules: words, target: text, goto: flag, to: text, natflags: words, reject: text,
  recent: record({ op: text, name: text, seconds: number, hits: number, reap: flag, dest: flag, not: flag }),
  log: (value) => isRecord(value) && number(value.level) && text(value.prefix) && words(value.options), setmark: text, argument: text, packets: number, bytes: number,
});

const maybe = (fit: Fit): Fit => (value) => value === null || fit(value);
const policyRule = record({
  pref: number, not: flag, from: maybe(text), to: maybe(text), fwmark: maybe((value) => isRecord(value) && number(value.value) && number(value.mask)), iif: maybe(text), oif: maybe(text),
  ipproto: maybe(text), sport: maybe(text), dport: maybe(text), uids: maybe((value) => Array.isArray(value) && value.length === 2 && value.every(number)),
  action: (value) => typeof value === 'string' && ['table', 'unreachable', 'prohibit', 'blackhole', 'nop', 'goto'].includes(value), table: text, proto: text, tos: number, goto: number, suppress: number,
});
/** A rule of netfilter has a target; those of policy routing have none. */
const netfilterRule: Fit = (value) => rule(value) && text((value as { target?: unknown }).target);

const request = record({
  type: text, ns, name: text, newName: text, kind: text, address: text, mtu: number, txqlen: number, up: flag, ipv6: flag, netns: ns,
  master: (value) => value === null || text(value), peer: record({ name: text, netns: ns, address: text, mtu: number, txqlen: number, up: flag }), index: number,
  bridge: record({ forward_delay: number, hello_time: number, max_age: number, ageing_time: number, priority: number }), dev: text, prefix: number, broadcast: text, label: text, scope: text,
  to: text, from: text, via: text, src: text, proto: text, metric: number, onlink: flag, noPrefixRoute: flag, mac: text, id: number, table: text, chain: text,
  rule: (value) => netfilterRule(value) || policyRule(value), at: number, policy: text, since: number, t: number, link: text, port: number, remote: text, ttl: number, learning: flag, alias: text, group: number, promisc: flag, multicast: flag, arp: flag,
  dst: text, append: flag, state: (value) => ['PERMANENT', 'REACHABLE', 'NOARP', 'STALE', 'INCOMPLETE', 'DELAY', 'PROBE', 'FAILED'].includes(String(value)), pref: number, how: text, handle: text, spec: (value) => isRecord(value) && Object.values(value).every((one) => typeof one === 'number'), oif: text, iif: text, mark: number, uid: number, sport: number, dport: number,
  tuple: record({ proto: text, src: text, dst: text, sport: number, dport: number }),
});

/** What a request cannot do without. */
const NEEDS: Readonly<Record<string, readonly string[]>> = {
  'link.add': ['kind'], 'link.set': ['name'], 'link.del': ['name'], 'addr.add': ['dev', 'address', 'prefix'], 'addr.del': ['dev', 'address', 'prefix'], 'route.add': ['to'],
  'route.replace': ['to'], 'route.del': ['to'], 'route.get': ['to'], 'neigh.add': ['address', 'dev', 'mac'], 'neigh.del': ['address', 'dev'], 'nsid.get': ['netns'],
  'nsid.set': ['netns', 'id'], 'fdb.add': ['dev', 'mac'], 'fdb.del': ['dev', 'mac'], 'rule.add': ['rule'], 'rule.del': ['rule'], 'qdisc.set': ['dev', 'kind'], 'qdisc.del': ['dev'], 'nf.list': ['table'], 'nf.append': ['table', 'chain', 'rule'], 'nf.insert': ['table', 'chain', 'rule'], 'nf.replace': ['table', 'chain', 'rule', 'at'], 'nf.rename': ['table', 'chain', 'newName'], 'nf.delete': ['table', 'chain'],
  'nf.newchain': ['table', 'chain'], 'nf.delchain': ['table'], 'nf.flush': ['table'], 'nf.zero': ['table'], 'nf.policy': ['table', 'chain', 'policy'], 'ct.delete': ['proto', 'dst'],
};

export function fieldsFit(asked: NetlinkRequest): boolean {
  if (asked.rule !== undefined && asked.type.startsWith('nf.') && !netfilterRule(asked.rule)) return false;
  if (asked.type.startsWith('rule.') && asked.type !== 'rule.list' && !policyRule(asked.rule)) return false;
  return request(asked) && (NEEDS[asked.type] ?? []).every((key) => asked[key] !== undefined);
}
