/**
 * Filter expressions: primitives with qualifiers (proto, dir, type), arithmetic over bytes of headers, and, or, not, parentheses.
 * Source: pcap-filter(7). `and` and `or` are of one precedence, from the left, as there. Left out: IPv6, MPLS, PPP, 802.11, `gateway`, `inbound`.
 */
import { ipNumber } from '../addresses.ts';
import { PROTOCOLS, servicePort } from '../services.ts';
import { type Decoded, u16, u32 } from './decode.ts';

export type Filter = (frame: Decoded) => boolean;

export class FilterError extends Error {}

const syntax = (): FilterError => new FilterError("can't parse filter expression: syntax error");

function tokens(source: string): string[] {
  const found = [...source.matchAll(/\s*(&&|\|\||==|!=|>=|<=|<<|>>|[()[\]!&|+*/<>=:^%-]|[A-Za-z0-9_.][A-Za-z0-9_.:/-]*)/gy)];
  const read = found.reduce((n, m) => n + m[0].length, 0);
  if (source.slice(read).trim() !== '') throw syntax();
  return found.map((m) => m[1]!);
}

type Value = (frame: Decoded) => number | null;

const NAMED: Readonly<Record<string, number>> = {
  tcpflags: 13, icmptype: 0, icmpcode: 1, 'tcp-fin': 1, 'tcp-syn': 2, 'tcp-rst': 4, 'tcp-push': 8, 'tcp-ack': 16, 'tcp-urg': 32, 'tcp-ece': 64, 'tcp-cwr': 128,
  'icmp-echoreply': 0, 'icmp-unreach': 3, 'icmp-sourcequench': 4, 'icmp-redirect': 5, 'icmp-echo': 8, 'icmp-routeradvert': 9, 'icmp-routersolicit': 10, 'icmp-timxceed': 11, 'icmp-paramprob': 12,
  'icmp-tstamp': 13, 'icmp-tstampreply': 14, 'icmp-maskreq': 17, 'icmp-maskreply': 18,
};

interface Cursor {
  words: string[];
  at: number;
  /** Names to addresses, looked up before. */
  hosts: ReadonlyMap<string, string | null>;
  /** Qualifiers of the last primitive, for "port 80 or 443". */
  last: Qualified;
}

interface Qualified {
  proto: string;
  dir: string;
  type: string;
}

const PROTO: ReadonlySet<string> = new Set(['ether', 'ip', 'ip6', 'arp', 'rarp', 'tcp', 'udp', 'icmp', 'sctp', 'vlan', 'icmp6']);

/** Names that stand where a host may, to be looked up before `compile`. */
export function hostNames(source: string): string[] {
  const words = tokens(source);
  return words.filter((word, i) => /^[a-z][\w.-]*$/i.test(word) && /^(host|src|dst)$/.test(words[i - 1] ?? '') && !/^(host|net|port|portrange|and|or|not|src|dst)$/.test(word));
}

export function compile(source: string, hosts: ReadonlyMap<string, string | null>): Filter {
  const c: Cursor = { words: tokens(source), at: 0, hosts, last: { proto: '', dir: '', type: '' } };
  if (c.words.length === 0) return () => true;
  const filter = expression(c);
  if (c.at < c.words.length) throw syntax();
  return filter;
}

function expression(c: Cursor): Filter {
  let left = term(c);
  for (;;) {
    const word = c.words[c.at];
    if (word !== 'and' && word !== 'or' && word !== '&&' && word !== '||') return left;
    c.at++;
    const a = left;
    const b = term(c);
    left = word === 'and' || word === '&&' ? (f) => a(f) && b(f) : (f) => a(f) || b(f);
  }
}

function term(c: Cursor): Filter {
  const word = c.words[c.at];
  if (word === undefined) throw syntax();
  if (word === 'not' || word === '!') {
    c.at++;
    const inner = term(c);
    return (f) => !inner(f);
  }
  if (isArithmetic(c)) return relation(c);
  if (word === '(') {
    c.at++;
    const inner = expression(c);
    if (c.words[c.at++] !== ')') throw syntax();
    return inner;
  }
  return primitive(c);
}

/** A term that is compared: "tcp[13] & 2 != 0", "len > 100". */
function isArithmetic(c: Cursor): boolean {
  const word = c.words[c.at]!;
  if (word === 'len' || c.words[c.at + 1] === '[') return true;
  if (word !== '(') return false;
  let depth = 0;
  for (let i = c.at; i < c.words.length; i++) {
    if (c.words[i] === '(') depth++;
    else if (c.words[i] === ')' && --depth === 0) return /^(&|\||\+|-|\*|\/|=|==|!=|<|>|<=|>=|<<|>>|\^|%)$/.test(c.words[i + 1] ?? '');
  }
  return false;
}

const COMPARE: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  '=': (a, b) => a === b, '==': (a, b) => a === b, '!=': (a, b) => a !== b, '>': (a, b) => a > b, '<': (a, b) => a < b, '>=': (a, b) => a >= b, '<=': (a, b) => a <= b,
};

function relation(c: Cursor): Filter {
  const left = arithmetic(c, 0);
  const compare = COMPARE[c.words[c.at++] ?? ''];
  if (!compare) throw syntax();
  const right = arithmetic(c, 0);
  return (f) => {
    const a = left(f);
    const b = right(f);
    return a !== null && b !== null && compare(a, b);
  };
}

const LEVELS: readonly Readonly<Record<string, (a: number, b: number) => number>>[] = [
  { '|': (a, b) => (a | b) >>> 0, '^': (a, b) => (a ^ b) >>> 0 }, { '&': (a, b) => (a & b) >>> 0 }, { '<<': (a, b) => (a << b) >>> 0, '>>': (a, b) => a >>> b },
  { '+': (a, b) => a + b, '-': (a, b) => a - b }, { '*': (a, b) => a * b, '/': (a, b) => (b === 0 ? 0 : Math.floor(a / b)), '%': (a, b) => (b === 0 ? 0 : a % b) },
];

function arithmetic(c: Cursor, level: number): Value {
  const operators = LEVELS[level];
  if (!operators) return operand(c);
  let left = arithmetic(c, level + 1);
  for (let apply = operators[c.words[c.at] ?? '']; apply; apply = operators[c.words[c.at] ?? '']) {
    c.at++;
    const a = left;
    const b = arithmetic(c, level + 1);
    const by = apply;
    left = (f) => {
      const x = a(f);
      const y = b(f);
      return x === null || y === null ? null : by(x, y);
    };
  }
  return left;
}

function operand(c: Cursor): Value {
  const word = c.words[c.at++];
  if (word === undefined) throw syntax();
  if (word === '(') {
    const inner = arithmetic(c, 0);
    if (c.words[c.at++] !== ')') throw syntax();
    return inner;
  }
  if (word === 'len') return (f) => f.length;
  if (NAMED[word] !== undefined) return () => NAMED[word]!;
  // A number may have run into ":2" of a size.
  if (/^(0x[0-9a-f]+|\d+)$/i.test(word)) return () => Number(word);
  if (c.words[c.at] === '[') return bytesOf(c, word);
  throw syntax();
}

/** "tcp[2:2]": where a header of a protocol begins, and how many bytes. */
function bytesOf(c: Cursor, proto: string): Value {
  c.at++;
  const run = /^(\w[\w-]*):(\d)$/.exec(c.words[c.at] ?? '');
  let at: Value;
  let size = 1;
  if (run) {
    const [, first, count] = run as unknown as [string, string, string];
    c.at++;
    at = () => NAMED[first] ?? Number(first);
    size = Number(count);
  } else {
    at = arithmetic(c, 0);
    if (c.words[c.at] === ':') {
      c.at++;
      size = Number(c.words[c.at++]);
    }
  }
  if (c.words[c.at++] !== ']' || ![1, 2, 4].includes(size)) throw syntax();
  const start = STARTS[proto];
  if (!start) throw syntax();
  return (f) => {
    const base = start(f);
    const offset = at(f);
    if (base === null || offset === null || base + offset + size > f.data.length) return null;
    return size === 1 ? f.data[base + offset]! : size === 2 ? u16(f.data, base + offset) : u32(f.data, base + offset);
  };
}

const above = (proto: number) => (f: Decoded): number | null => (f.ip?.proto === proto && f.ip.offset === 0 ? f.transport : null);
const STARTS: Readonly<Record<string, (f: Decoded) => number | null>> = {
  ether: () => 0, ip: (f) => (f.ip ? f.net : null), arp: (f) => (f.arp ? f.net : null), tcp: above(6), udp: above(17), icmp: above(1),
};

const IS: Readonly<Record<string, Filter>> = {
  ip: (f) => f.ethertype === 0x800, ip6: (f) => f.ethertype === 0x86dd, arp: (f) => f.ethertype === 0x806, rarp: (f) => f.ethertype === 0x8035, tcp: (f) => f.ip?.proto === 6, udp: (f) => f.ip?.proto === 17,
  icmp: (f) => f.ip?.proto === 1, sctp: (f) => f.ip?.proto === 132, icmp6: () => false, ether: () => true,
};

function primitive(c: Cursor): Filter {
  const q: Qualified = { proto: '', dir: '', type: '' };
  let word = c.words[c.at]!;
  if (word === 'less' || word === 'greater') {
    const n = Number(c.words[c.at + 1]);
    c.at += 2;
    if (!Number.isInteger(n)) throw syntax();
    return word === 'less' ? (f) => f.length <= n : (f) => f.length >= n;
  }
  if (PROTO.has(word)) {
    q.proto = word;
    word = c.words[++c.at] ?? '';
  }
  if (q.proto === 'vlan') return vlan(c);
  if (word === 'broadcast' || word === 'multicast') {
    c.at++;
    return word === 'broadcast' ? (f) => f.to === 'ff:ff:ff:ff:ff:ff' : (f) => (Number.parseInt(f.to.slice(0, 2), 16) & 1) === 1;
  }
  if (word === 'src' || word === 'dst') {
    q.dir = word;
    word = c.words[++c.at] ?? '';
    if ((word === 'or' || word === 'and') && (c.words[c.at + 1] === 'dst' || c.words[c.at + 1] === 'src')) {
      q.dir = word === 'and' ? 'both' : '';
      c.at += 2;
      word = c.words[c.at] ?? '';
    }
  }
  if (['host', 'net', 'port', 'portrange', 'proto'].includes(word)) {
    q.type = word;
    word = c.words[++c.at] ?? '';
  }
  const bare = q.dir === '' && q.type === '';
  if (bare && q.proto !== '') return IS[q.proto]!;
  if (word === '' || /^(and|or|not|\)|&&|\|\|)$/.test(word)) throw syntax();
  const inherits = bare && q.proto === '';
  if (inherits && c.last.type === '') throw syntax();
  const used = inherits ? c.last : { ...q, type: q.type || 'host' };
  c.last = used;
  c.at++;
  return test(c, used, word);
}

function vlan(c: Cursor): Filter {
  const id = c.words[c.at];
  if (id === undefined || !/^\d+$/.test(id)) return (f) => f.vlan !== null;
  c.at++;
  return (f) => f.vlan === Number(id);
}

function test(c: Cursor, { proto, dir, type }: Qualified, id: string): Filter {
  const within = proto === '' || proto === 'ether' ? null : IS[proto]!;
  const both = <T>(a: T, b: T, is: (x: T) => boolean): boolean => (dir === 'src' ? is(a) : dir === 'dst' ? is(b) : dir === 'both' ? is(a) && is(b) : is(a) || is(b));
  if (type === 'proto') {
    const n = PROTOCOLS[id] ?? Number(id);
    if (!Number.isInteger(n)) throw new FilterError(`unknown ip proto '${id}'`);
    return (f) => f.ip?.proto === n;
  }
  if (type === 'port' || type === 'portrange') {
    const [low, high] = ports(id, type);
    return (f) => (within === null || within(f)) && f.sport !== null && f.dport !== null && both(f.sport, f.dport, (p) => p >= low && p <= high);
  }
  if (proto === 'ether' || /^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/i.test(id)) {
    const mac = id.toLowerCase().split(':').map((part) => part.padStart(2, '0')).join(':');
    return (f) => both(f.from, f.to, (one) => one === mac);
  }
  const [first, size] = type === 'net' ? network(c, id) : [hostOf(c, id), 1];
  return (f) => {
    const ends = f.ip ?? f.arp;
    return ends !== null && (within === null || within(f)) && both(ends.src, ends.dst, (one) => Math.floor(ipNumber(one)! / size) * size === first);
  };
}

function ports(id: string, type: string): [number, number] {
  const one = (word: string): number => {
    const n = /^\d+$/.test(word) ? Number(word) : (servicePort(word, 'tcp') ?? servicePort(word, 'udp'));
    if (n === null) throw new FilterError(`unknown port '${word}'`);
    if (n > 65535) throw new FilterError(`illegal port number ${n} > 65535`);
    return n;
  };
  if (type === 'port') return [one(id), one(id)];
  const [low, high] = id.split('-') as [string, string | undefined];
  return high === undefined ? [one(low), one(low)] : [one(low), one(high)];
}

function hostOf(c: Cursor, id: string): number {
  const n = ipNumber(id);
  if (n !== null) return n;
  const address = c.hosts.get(id);
  if (!address) throw new FilterError(`unknown host '${id}'`);
  return ipNumber(address)!;
}

function network(c: Cursor, id: string): [number, number] {
  const [address, length] = id.split('/') as [string, string | undefined];
  const parts = address.split('.');
  if (!parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256) || parts.length > 4) throw new FilterError(`unknown network '${id}'`);
  let prefix = length === undefined ? parts.length * 8 : Number(length);
  if (c.words[c.at] === 'mask') {
    prefix = 32 - Math.log2(2 ** 32 - ipNumber(c.words[c.at + 1] ?? '')!);
    c.at += 2;
  }
  if (!(prefix >= 0 && prefix <= 32)) throw new FilterError('mask length must be <= 32');
  const size = 2 ** (32 - prefix);
  const n = ipNumber([...parts, '0', '0', '0'].slice(0, 4).join('.'))!;
  if (n % size !== 0) throw new FilterError(`non-network bits set in "${id}"`);
  return [n, size];
}
