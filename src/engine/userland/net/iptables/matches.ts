/** The match extensions: their options, and how -S and -L show them. Source: iptables-extensions(8), extensions/libxt_*.c of 1.8.11. */
import type { Rule, Test } from '../../../kernel/net/netfilter.ts';
import { ipNumber } from '../addresses.ts';
import { serviceName, servicePort } from '../services.ts';
import { hex, number, saved, usage } from './words.ts';

export interface Match {
  /** Option to what sets it; those with two values say so. */
  options: Readonly<Record<string, { values: 0 | 1 | 2; set(rule: Rule, value: string, not: boolean, second: string): void }>>;
  /** After all options. */
  check?(rule: Rule): void;
  save(rule: Rule): string;
  list(rule: Rule, numeric: boolean): string;
}

const one = (set: (rule: Rule, value: string, not: boolean, second: string) => void): Match['options'][string] => ({ values: 1, set });
const not = (test: Test<unknown>): string => (test.not ? '! ' : '');
const option = (name: string, test: Test<string> | undefined): string => (test ? ` ${not(test)}${name} ${test.is}` : '');

// ---- ports

function port(word: string, proto: string): number {
  const n = number(word, 65535) ?? servicePort(word, proto);
  if (n === null) throw usage(`invalid port/service \`${word}' specified`);
  return n;
}

function portRange(word: string, proto: string): string {
  const [low, high] = word.split(':') as [string, string | undefined];
  if (high === undefined) return String(port(low, proto));
  const from = low === '' ? 0 : port(low, proto);
  const to = high === '' ? 65535 : port(high, proto);
  if (from > to) throw usage('invalid portrange (min > max)');
  return `${from}:${to}`;
}

function shown(value: string, proto: string, numeric: boolean): string {
  return value.split(':').map((part) => (numeric ? part : (serviceName(Number(part), proto) ?? part))).join(':');
}

function portList(key: string, test: Test<string> | undefined, proto: string, numeric: boolean): string {
  if (!test) return '';
  return ` ${key}${test.is.includes(':') ? 's' : ''}:${test.not ? '!' : ''}${shown(test.is, proto, numeric)}`;
}

const protoOf = (rule: Rule): string => rule.proto?.is ?? 'tcp';
const sport = one((rule, value, inverted) => {
  rule.sport = { is: portRange(value, protoOf(rule)), not: inverted };
});
const dport = one((rule, value, inverted) => {
  rule.dport = { is: portRange(value, protoOf(rule)), not: inverted };
});
const PORTS = { '--sport': sport, '--source-port': sport, '--dport': dport, '--destination-port': dport };

const FLAGS = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG'];

function flagWords(word: string): string {
  if (word === 'ALL') return FLAGS.join(',');
  if (word === 'NONE') return 'NONE';
  const named = word.split(',');
  for (const name of named) if (!FLAGS.includes(name.toUpperCase())) throw usage(`Unknown TCP flag \`${name}'`);
  return FLAGS.filter((name) => named.some((one) => one.toUpperCase() === name)).join(',');
}

const bits = (names: string): string => `0x${names.split(',').reduce((n, name) => (name === 'NONE' ? n : n + 2 ** FLAGS.indexOf(name)), 0).toString(16).toUpperCase().padStart(2, '0')}`;

const tcp: Match = {
  options: {
    ...PORTS,
    '--tcp-flags': { values: 2, set: (rule, mask, inverted, set) => void (rule.tcpflags = { is: `${flagWords(mask)} ${flagWords(set)}`, not: inverted }) },
    '--syn': { values: 0, set: (rule, _value, inverted) => void (rule.tcpflags = { is: 'FIN,SYN,RST,ACK SYN', not: inverted }) },
  },
  save: (rule) => `${option('--sport', rule.sport)}${option('--dport', rule.dport)}${option('--tcp-flags', rule.tcpflags)}`,
  list(rule, numeric) {
    const [mask, set] = (rule.tcpflags?.is ?? '').split(' ') as [string, string];
    const flags = rule.tcpflags ? ` flags:${rule.tcpflags.not ? '!' : ''}${numeric ? `${bits(mask)}/${bits(set)}` : `${mask}/${set}`}` : '';
    return ` tcp${portList('spt', rule.sport, 'tcp', numeric)}${portList('dpt', rule.dport, 'tcp', numeric)}${flags}`;
  },
};

const udp: Match = {
  options: PORTS,
  save: (rule) => `${option('--sport', rule.sport)}${option('--dport', rule.dport)}`,
  list: (rule, numeric) => ` udp${portList('spt', rule.sport, 'udp', numeric)}${portList('dpt', rule.dport, 'udp', numeric)}`,
};

// ---- icmp

const ICMP: readonly [string, string][] = [
  ['any', '255'], ['echo-reply', '0'], ['pong', '0'], ['destination-unreachable', '3'], ['network-unreachable', '3/0'], ['host-unreachable', '3/1'], ['protocol-unreachable', '3/2'],
  ['port-unreachable', '3/3'], ['fragmentation-needed', '3/4'], ['source-route-failed', '3/5'], ['network-unknown', '3/6'], ['host-unknown', '3/7'], ['network-prohibited', '3/9'],
  ['host-prohibited', '3/10'], ['TOS-network-unreachable', '3/11'], ['TOS-host-unreachable', '3/12'], ['communication-prohibited', '3/13'], ['host-precedence-violation', '3/14'],
  ['precedence-cutoff', '3/15'], ['source-quench', '4'], ['redirect', '5'], ['network-redirect', '5/0'], ['host-redirect', '5/1'], ['TOS-network-redirect', '5/2'], ['TOS-host-redirect', '5/3'],
  ['echo-request', '8'], ['ping', '8'], ['router-advertisement', '9'], ['router-solicitation', '10'], ['time-exceeded', '11'], ['ttl-exceeded', '11'], ['ttl-zero-during-transit', '11/0'],
  ['ttl-zero-during-reassembly', '11/1'], ['parameter-problem', '12'], ['ip-header-bad', '12/0'], ['required-option-missing', '12/1'], ['timestamp-request', '13'], ['timestamp-reply', '14'],
  ['address-mask-request', '17'], ['address-mask-reply', '18'],
];

function icmpType(word: string): string {
  if (/^\d{1,3}(\/\d{1,3})?$/.test(word) && word.split('/').every((n) => Number(n) <= 255)) return word;
  const found = ICMP.filter(([name]) => name.toLowerCase().startsWith(word.toLowerCase()));
  const exact = found.find(([name]) => name.toLowerCase() === word.toLowerCase()) ?? found[0];
  if (!exact) throw usage(/^\d/.test(word) ? `Invalid ICMP type \`${word}'` : `Unknown ICMP type \`${word}'`);
  if (found.length > 1 && exact[0].toLowerCase() !== word.toLowerCase()) throw usage(`Ambiguous ICMP type \`${word}': \`${found[0]![0]}' or \`${found[1]![0]}'?`);
  return exact[1];
}

const icmp: Match = {
  options: { '--icmp-type': one((rule, value, inverted) => void (rule.icmptype = { is: icmpType(value), not: inverted })) },
  save: ({ icmptype }) => (icmptype ? ` ${not(icmptype)}--icmp-type ${icmptype.is === '255' ? 'any' : icmptype.is}` : ''),
  list({ icmptype }, numeric) {
    if (!icmptype) return '';
    const [type, code] = icmptype.is.split('/');
    const name = numeric ? undefined : ICMP.find(([, is]) => is === icmptype.is)?.[0];
    return ` icmp${icmptype.not ? ' !' : ''}${name ? ` ${name}` : `type ${type}${code === undefined ? '' : ` code ${code}`}`}`;
  },
};

// ---- connections and marks

const STATES = ['INVALID', 'NEW', 'RELATED', 'ESTABLISHED', 'UNTRACKED', 'SNAT', 'DNAT'];

function states(bad: string): (value: string) => string[] {
  return (value) => {
    const named = value.split(',').map((name) => name.toUpperCase());
    for (const [i, name] of named.entries()) if (!STATES.includes(name)) throw usage(`${bad} "${value.split(',')[i]}"`);
    return STATES.filter((name) => named.includes(name));
  };
}

function stateMatch(name: '--ctstate' | '--state', says: 'ctstate' | 'state', bad: string): Match {
  const parse = states(bad);
  return {
    options: { [name]: one((rule, value, inverted) => void (rule.ctstate = { is: parse(value), not: inverted })) },
    check(rule) {
      if (!rule.ctstate) throw usage(says === 'state' ? 'state: option "--state" must be specified\n' : 'conntrack: At least one option is required');
    },
    save: ({ ctstate }) => (ctstate ? ` ${not(ctstate)}${name} ${ctstate.is.join(',')}` : ''),
    list: ({ ctstate }) => (ctstate ? ` ${not(ctstate)}${says} ${ctstate.is.join(',')}` : ''),
  };
}

const MARKERS: Readonly<Record<string, string>> = { mark: 'mark', connmark: 'connmark' };

export function markAndMask(word: string, option: string): [number, number | null] {
  const [value, mask] = word.split('/') as [string, string | undefined];
  const v = number(value);
  const m = mask === undefined ? null : number(mask);
  if (v === null || (mask !== undefined && m === null)) throw usage(`${MARKERS[option] ?? option.toUpperCase()}: bad integer value for option "--${MARKERS[option] ? 'mark' : option}", or out of range.\n`);
  return [v, m];
}

function markText(word: string, which: string): string {
  const [value, mask] = markAndMask(word, which);
  return mask === null || mask === 0xffffffff ? hex(value) : `${hex(value)}/${hex(mask)}`;
}

function markMatch(key: 'mark' | 'connmark'): Match {
  return {
    options: { '--mark': one((rule, value, inverted) => void (rule[key] = { is: markText(value, key), not: inverted })) },
    check(rule) {
      if (!rule[key]) throw usage(`${key}: option "--mark" must be specified\n`);
    },
    save: (rule) => option('--mark', rule[key]),
    list: (rule) => ` ${key} match${rule[key]?.not ? ' !' : ''}${key === 'connmark' ? ' ' : ''} ${rule[key]?.is ?? ''}`,
  };
}

// ---- limits and chance

const SECONDS: Readonly<Record<string, number>> = { second: 1, minute: 60, hour: 3600, day: 86400 };
const RATES: readonly [string, number][] = [['day', 86400], ['hour', 3600], ['min', 60], ['sec', 1]];
const SCALE = 10000;

/** "300/minute" as the kernel keeps it and iptables prints it: "5/sec". */
function rateText(word: string): string {
  const [count, unit = 's'] = word.split('/') as [string, string | undefined];
  const seconds = Object.entries(SECONDS).find(([name]) => unit !== '' && name.startsWith(unit.toLowerCase()))?.[1] ?? (unit.toLowerCase() === 'sec' ? 1 : unit.toLowerCase() === 'min' ? 60 : undefined);
  if (!/^\d+$/.test(count) || Number(count) === 0 || seconds === undefined) throw usage(`bad rate "${word}"'`);
  const period = Math.floor((SCALE * seconds) / Number(count));
  if (period === 0) throw usage(`Rate too fast "${word}"`);
  let at = 1;
  while (at < RATES.length && period <= RATES[at]![1] * SCALE && Math.floor((RATES[at]![1] * SCALE) / period) >= (RATES[at]![1] * SCALE) % period) at++;
  const [name, mult] = RATES[at - 1]!;
  return `${Math.floor((mult * SCALE) / period)}/${name}`;
}

const limit: Match = {
  options: {
    '--limit': one((rule, value) => void (rule.limit = { rate: rateText(value), burst: rule.limit?.burst ?? 5 })),
    '--limit-burst': one((rule, value) => {
      const burst = number(value, 10000);
      if (burst === null) throw usage(`limit: Bad value for "--limit-burst" option: "${value}"`);
      rule.limit = { rate: rule.limit?.rate ?? '3/hour', burst };
    }),
  },
  check: (rule) => void (rule.limit ??= { rate: '3/hour', burst: 5 }),
  save: ({ limit: l }) => (l ? ` --limit ${l.rate}${l.burst === 5 ? '' : ` --limit-burst ${l.burst}`}` : ''),
  list: ({ limit: l }) => (l ? ` limit: avg ${l.rate} burst ${l.burst}` : ''),
};

const connlimitSet = (inverted: boolean): Match['options'][string] =>
  one((rule, value, turned) => {
    const n = number(value);
    if (n === null) throw usage(`connlimit: bad value for option "--connlimit-${inverted ? 'upto' : 'above'}", or out of range (0-4294967295).`);
    rule.connlimit = { is: n, not: inverted !== turned };
  });

const connlimit: Match = {
  options: { '--connlimit-above': connlimitSet(false), '--connlimit-upto': connlimitSet(true), '--connlimit-saddr': { values: 0, set: () => undefined } },
  check(rule) {
    if (!rule.connlimit) throw usage('You must specify "--connlimit-above" or "--connlimit-upto".');
  },
  save: ({ connlimit: c }) => (c ? ` --connlimit-${c.not ? 'upto' : 'above'} ${c.is} --connlimit-mask 32 --connlimit-saddr` : ''),
  list: ({ connlimit: c }) => (c ? ` #conn src/32 ${c.not ? '<=' : '>'} ${c.is}` : ''),
};

function recentOf(rule: Rule): NonNullable<Rule['recent']> {
  rule.recent ??= { op: 'set', name: 'DEFAULT', seconds: 0, hits: 0, reap: false, dest: false, not: false };
  return rule.recent;
}

const recentOp = (op: NonNullable<Rule['recent']>['op']): Match['options'][string] => ({
  values: 0,
  set(rule, _value, inverted) {
    Object.assign(recentOf(rule), { op, not: inverted });
  },
});

const recentNumber = (field: 'seconds' | 'hits', name: string): Match['options'][string] =>
  one((rule, value) => {
    const n = number(value);
    if (!n) throw usage(`recent: bad value for option "${name}", or out of range (1-4294967295).`);
    recentOf(rule)[field] = n;
  });

const recent: Match = {
  options: {
    '--set': recentOp('set'), '--rcheck': recentOp('rcheck'), '--update': recentOp('update'), '--remove': recentOp('remove'), '--seconds': recentNumber('seconds', '--seconds'), '--hitcount': recentNumber('hits', '--hitcount'),
    '--name': one((rule, value) => void (recentOf(rule).name = value)), '--reap': { values: 0, set: (rule) => void (recentOf(rule).reap = true) }, '--mask': one((rule) => void recentOf(rule)),
    '--rsource': { values: 0, set: (rule) => void (recentOf(rule).dest = false) }, '--rdest': { values: 0, set: (rule) => void (recentOf(rule).dest = true) },
  },
  save: ({ recent: r }) =>
    r ? `${r.not ? ' !' : ''} --${r.op}${r.seconds ? ` --seconds ${r.seconds}` : ''}${r.reap ? ' --reap' : ''}${r.hits ? ` --hitcount ${r.hits}` : ''} --name ${r.name} --mask 255.255.255.255 --${r.dest ? 'rdest' : 'rsource'}` : '',
  list: ({ recent: r }) =>
    r
      ? `${r.not ? ' !' : ''} recent: ${{ set: 'SET', rcheck: 'CHECK', update: 'UPDATE', remove: 'REMOVE' }[r.op]}${r.seconds ? ` seconds: ${r.seconds}` : ''}${r.reap ? ' reap' : ''}${r.hits ? ` hit_count: ${r.hits}` : ''} name: ${r.name} side: ${r.dest ? 'dest' : 'source'} mask: 255.255.255.255`
      : '',
};

/** The kernel keeps 31 bits of a probability. */
const fixed31 = (p: number): string => (Math.round(p * 2 ** 31) / 2 ** 31).toFixed(11);

const statistic: Match = {
  options: {
    '--mode': one((rule, value) => {
      if (value === 'nth') rule.nth = { is: '0 -', not: false };
      else if (value !== 'random') throw usage(`Bad mode "${value}"`);
    }),
    '--probability': one((rule, value, inverted) => {
      if (inverted) throw usage('not modelled: ! --probability');
      if (!(Number(value) >= 0 && Number(value) <= 1)) throw usage('statistic: "--probability": must be between 0.000000 and 1.000000');
      rule.probability = Number(value);
    }),
    '--every': one((rule, value, inverted) => {
      const n = number(value);
      if (!n) throw usage('statistic: bad value for option "--every", or out of range (1-4294967295).');
      rule.nth = { is: `${n} ${rule.nth?.is.split(' ')[1] ?? '-'}`, not: inverted };
    }),
    '--packet': one((rule, value) => {
      rule.nth = { is: `${rule.nth?.is.split(' ')[0] ?? 0} ${value}`, not: rule.nth?.not ?? false };
    }),
  },
  check(rule) {
    if (rule.nth?.is.startsWith('0 ')) throw usage('--every must be specified when using nth mode');
    if (rule.nth?.is.endsWith(' -')) throw usage('statistic: option "--every" also requires "--packet".\n');
    if (rule.nth && Number(rule.nth.is.split(' ')[1]) >= Number(rule.nth.is.split(' ')[0])) throw usage('the --packet p must be 0 <= p <= n-1');
    if (!rule.nth && rule.probability === undefined) throw usage('--probability must be specified when using random mode');
  },
  save(rule) {
    if (!rule.nth) return ` --mode random --probability ${fixed31(rule.probability ?? 0)}`;
    const [every, packet] = rule.nth.is.split(' ');
    return ` --mode nth${rule.nth.not ? ' !' : ''} --every ${every} --packet ${packet}`;
  },
  list(rule) {
    if (!rule.nth) return ` statistic mode random probability ${fixed31(rule.probability ?? 0)}`;
    const [every, packet] = rule.nth.is.split(' ');
    return ` statistic mode nth${rule.nth.not ? ' !' : ''} every ${every}${packet === '0' ? '' : ` packet ${packet}`}`;
  },
};

// ---- the rest

const TYPES = ['UNSPEC', 'UNICAST', 'LOCAL', 'BROADCAST', 'ANYCAST', 'MULTICAST', 'BLACKHOLE', 'UNREACHABLE', 'PROHIBIT', 'THROW', 'NAT', 'XRESOLVE'];

function addressType(key: 'srctype' | 'dsttype'): Match['options'][string] {
  return one((rule, value, inverted) => {
    if (!TYPES.includes(value.toUpperCase())) throw usage(`addrtype: bad type "${value}"`);
    rule[key] = { is: value.toUpperCase(), not: inverted };
  });
}

const addrtype: Match = {
  options: { '--src-type': addressType('srctype'), '--dst-type': addressType('dsttype') },
  check(rule) {
    if (!rule.srctype && !rule.dsttype) throw usage('addrtype: you must specify --src-type or --dst-type');
  },
  save: (rule) => `${option('--src-type', rule.srctype)}${option('--dst-type', rule.dsttype)}`,
  list: ({ srctype, dsttype }) => ` ADDRTYPE match${srctype ? ` src-type ${srctype.not ? '!' : ''}${srctype.is}` : ''}${dsttype ? ` dst-type ${dsttype.not ? '!' : ''}${dsttype.is}` : ''}`,
};

const comment: Match = {
  options: {
    '--comment': one((rule, value) => {
      if (value.length > 255) throw usage('COMMENT must be shorter than 256 characters');
      rule.comment = value;
    }),
  },
  check(rule) {
    if (rule.comment === undefined) throw usage('comment: option "--comment" must be specified\n');
  },
  save: (rule) => ` --comment ${saved(rule.comment ?? '')}`,
  list: (rule) => ` /* ${rule.comment} */`,
};

function manyPorts(key: 'sports' | 'dports' | 'ports'): Match['options'][string] {
  return one((rule, value, inverted) => {
    const parts = value.split(',');
    if (parts.length > 15) throw usage('too many ports specified');
    if (!rule.proto || rule.proto.not || !['tcp', 'udp', 'udplite', 'sctp', 'dccp'].includes(rule.proto.is)) {
      throw usage("multiport needs `-p tcp', `-p udp', `-p udplite', `-p sctp' or `-p dccp'");
    }
    rule[key] = { is: parts.map((part) => portRange(part, protoOf(rule))).join(','), not: inverted };
  });
}

const multiport: Match = {
  options: {
    '--sports': manyPorts('sports'), '--source-ports': manyPorts('sports'), '--dports': manyPorts('dports'), '--destination-ports': manyPorts('dports'), '--ports': manyPorts('ports'),
  },
  check(rule) {
    if (!rule.sports && !rule.dports && !rule.ports) throw usage('multiport expection an option');
  },
  save: (rule) => `${option('--sports', rule.sports)}${option('--dports', rule.dports)}${option('--ports', rule.ports)}`,
  list(rule, numeric) {
    const [key, test] = rule.sports ? ['sports', rule.sports] : rule.dports ? ['dports', rule.dports] : ['ports', rule.ports!];
    return ` multiport ${key} ${test.not ? ' !' : ''}${test.is.split(',').map((part) => shown(part, protoOf(rule), numeric)).join(',')}`;
  },
};

const mac: Match = {
  options: {
    '--mac-source': one((rule, value, inverted) => {
      if (!/^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/i.test(value)) throw usage(`mac: Bad value for "--mac-source" option: "${value}"`);
      rule.macsource = { is: value.split(':').map((part) => part.padStart(2, '0')).join(':').toLowerCase(), not: inverted };
    }),
  },
  save: (rule) => option('--mac-source', rule.macsource),
  list: ({ macsource }) => (macsource ? ` MAC${macsource.not ? ' !' : ''} ${macsource.is}` : ''),
};

function range(key: 'srcrange' | 'dstrange', name: string): Match['options'][string] {
  return one((rule, value, inverted) => {
    const [low, high = low] = value.split('-') as [string, string | undefined];
    if (ipNumber(low) === null || ipNumber(high) === null) throw usage(`iprange: Bad value for "${name}" option: "${value}"`);
    rule[key] = { is: `${low}-${high}`, not: inverted };
  });
}

const iprange: Match = {
  options: { '--src-range': range('srcrange', '--src-range'), '--dst-range': range('dstrange', '--dst-range') },
  check(rule) {
    if (!rule.srcrange && !rule.dstrange) throw usage('iprange match: You must specify `--src-range\' or `--dst-range\'');
  },
  save: (rule) => `${option('--src-range', rule.srcrange)}${option('--dst-range', rule.dstrange)}`,
  list: ({ srcrange: s, dstrange: d }) => `${s ? ` source IP range ${not(s)}${s.is}` : ''}${d ? ` destination IP range ${not(d)}${d.is}` : ''}`,
};

const USERS: Readonly<Record<string, string>> = { root: '0', daemon: '1', nobody: '65534' };

function owned(key: 'uid' | 'gid'): Match['options'][string] {
  return one((rule, value, inverted) => {
    const is = USERS[value] ?? value;
    if (!/^\d+(-\d+)?$/.test(is)) throw usage(`owner: Bad value for "--${key}-owner" option: "${value}"`);
    rule[key] = { is, not: inverted };
  });
}

const owner: Match = {
  options: { '--uid-owner': owned('uid'), '--gid-owner': owned('gid') },
  check(rule) {
    if (!rule.uid && !rule.gid) throw usage('owner: At least one of --uid-owner, --gid-owner or --socket-exists is required');
  },
  save: (rule) => `${option('--uid-owner', rule.uid)}${option('--gid-owner', rule.gid)}`,
  list({ uid, gid }, numeric) {
    const name = (is: string): string => (!numeric && is === '0' ? 'root' : is);
    return `${uid ? ` ${not(uid)}owner UID match ${name(uid.is)}` : ''}${gid ? ` ${not(gid)}owner GID match ${name(gid.is)}` : ''}`;
  },
};

function ttlOption(how: 'eq' | 'lt' | 'gt'): Match['options'][string] {
  return one((rule, value, inverted) => {
    if (number(value, 255) === null) throw usage(`ttl: bad value for option "--ttl-${how}", or out of range (0-255).`);
    rule.ttl = { is: `${how} ${value}`, not: inverted };
  });
}

const ttl: Match = {
  options: { '--ttl': ttlOption('eq'), '--ttl-eq': ttlOption('eq'), '--ttl-lt': ttlOption('lt'), '--ttl-gt': ttlOption('gt') },
  save: ({ ttl: t }) => (t ? ` ${not(t)}--ttl-${t.is}` : ''),
  list: ({ ttl: t }) => (t ? ` TTL match TTL ${t.not ? '!=' : { eq: '==', lt: '<', gt: '>' }[t.is.slice(0, 2)]} ${t.is.slice(3)}` : ''),
};

const length: Match = {
  options: {
    '--length': one((rule, value, inverted) => {
      if (!/^\d*(:\d*)?$/.test(value) || value === '') throw usage(`length: Bad value for "--length" option: "${value}"`);
      const [low, high] = value.split(':') as [string, string | undefined];
      rule.length = { is: high === undefined ? low : `${low || 0}:${high || 65535}`, not: inverted };
    }),
  },
  check(rule) {
    if (!rule.length) throw usage('length: option "--length" must be specified\n');
  },
  save: (rule) => option('--length', rule.length),
  list: ({ length: l }) => (l ? ` length ${l.not ? '!' : ''}${l.is}` : ''),
};

const pkttype: Match = {
  options: {
    '--pkt-type': one((rule, value, inverted) => {
      const is = { host: 'unicast', unicast: 'unicast', bcast: 'broadcast', broadcast: 'broadcast', mcast: 'multicast', multicast: 'multicast' }[value.toLowerCase()];
      if (!is) throw usage(`Bad packet type '${value}'`);
      rule.pkttype = { is, not: inverted };
    }),
  },
  check(rule) {
    if (!rule.pkttype) throw usage('pkttype: option "--pkt-type" must be specified\n');
  },
  save: (rule) => option('--pkt-type', rule.pkttype),
  list: ({ pkttype: p }) => (p ? ` PKTTYPE ${p.not ? '!=' : '='} ${p.is}` : ''),
};

export const MATCHES: Readonly<Record<string, Match>> = {
  tcp, udp, icmp, conntrack: stateMatch('--ctstate', 'ctstate', 'Bad ctstate'), state: stateMatch('--state', 'state', 'Bad state'), mark: markMatch('mark'), connmark: markMatch('connmark'),
  limit, connlimit, recent, statistic, addrtype, comment, multiport, mac, iprange, owner, ttl, length, pkttype,
};
