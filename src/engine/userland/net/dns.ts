/**
 * The resolver: names from /etc/hosts, then from the name servers of /etc/resolv.conf, asked over UDP port 53 with real DNS messages.
 * Source: RFC 1035, resolv.conf(5), getaddrinfo(3). A records only; no caching, no TCP, no /etc/nsswitch.conf (it is "files dns").
 */
import { AF_INET, POLLIN, SOCK_DGRAM, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { bytes } from '../../sim/text.ts';
import { tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { ipNumber, ipText } from './addresses.ts';

export interface ResolvConf {
  servers: string[];
  search: string[];
  ndots: number;
  attempts: number;
  /** ns. */
  timeout: number;
}

export interface DnsAnswer {
  /** 0 is no error, 3 NXDOMAIN, 2 SERVFAIL. */
  code: number;
  addresses: string[];
  /** Of PTR records. */
  names: string[];
  /** From whoever the names are given by. */
  authoritative: boolean;
}

/** Without a server that of this machine is asked, as glibc does. */
export function* resolvConf(): Call<ResolvConf> {
  const conf: ResolvConf = { servers: [], search: [], ndots: 1, attempts: 2, timeout: 5e9 };
  for (const line of ((yield* tryRead('/etc/resolv.conf')) ?? '').split('\n')) {
    const [key, ...rest] = line.replace(/[#;].*/, '').trim().split(/\s+/);
    if (key === 'nameserver' && rest[0] && ipNumber(rest[0]) !== null) conf.servers.push(rest[0]);
    if (key === 'search' || key === 'domain') conf.search = rest;
    if (key !== 'options') continue;
    for (const option of rest) {
      const [name, value] = option.split(':') as [string, string | undefined];
      if (name === 'ndots') conf.ndots = Number(value);
      if (name === 'attempts') conf.attempts = Number(value);
      if (name === 'timeout') conf.timeout = Number(value) * 1e9;
    }
  }
  if (conf.servers.length === 0) conf.servers.push('127.0.0.1');
  return conf;
}

/** A question for a record of a name: 1 A, 12 PTR. */
export function encodeQuery(id: number, name: string, type = 1): Uint8Array {
  const labels = name.replace(/\.$/, '').split('.').map((label) => bytes(label));
  const out = [id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
  for (const label of labels) out.push(label.length, ...label);
  out.push(0, type >> 8, type & 255, 0, 1);
  return Uint8Array.from(out);
}

/** A name in a message, with a dot at its end, and where what follows it begins; compressed names point back (RFC 1035, 4.1.4). */
export function nameAt(data: Uint8Array, from: number): [string, number] {
  const labels: string[] = [];
  let end = 0;
  for (let at = from, jumps = 0; at < data.length && jumps < 20; ) {
    const length = data[at]!;
    if (length >= 0xc0) {
      end ||= at + 2;
      at = ((length & 0x3f) << 8) | (data[at + 1] ?? 0);
      jumps++;
    } else if (length === 0) {
      end ||= at + 1;
      break;
    } else {
      labels.push(String.fromCharCode(...data.subarray(at + 1, at + 1 + length)));
      at += length + 1;
    }
  }
  return [`${labels.join('.')}.`, end || data.length];
}

/** null for what is no answer to this question. */
export function decodeAnswer(data: Uint8Array, id: number): DnsAnswer | null {
  if (data.length < 12 || ((data[0]! << 8) | data[1]!) !== id || (data[2]! & 0x80) === 0) return null;
  const word = (at: number): number => ((data[at] ?? 0) << 8) | (data[at + 1] ?? 0);
  let at = 12;
  for (let i = word(4); i > 0; i--) at = nameAt(data, at)[1] + 4;
  const addresses: string[] = [];
  const names: string[] = [];
  for (let i = word(6); i > 0 && at < data.length; i--) {
    at = nameAt(data, at)[1];
    const length = word(at + 8);
    if (word(at) === 1 && length === 4) addresses.push(ipText(data[at + 10]! * 16777216 + data[at + 11]! * 65536 + data[at + 12]! * 256 + data[at + 13]!));
    if (word(at) === 12) names.push(nameAt(data, at + 10)[0].slice(0, -1));
    at += 10 + length;
  }
  return { code: data[3]! & 15, addresses, names, authoritative: (data[2]! & 4) !== 0 };
}

/** What a server says to a query: its question again, and an A record an address. For programs that serve names. */
export function encodeAnswer(query: Uint8Array, code: number, addresses: readonly string[]): Uint8Array {
  const question = query.subarray(12, nameAt(query, 12)[1] + 4);
  const out = [query[0]!, query[1]!, 0x81, 0x80 | code, 0, 1, 0, addresses.length, 0, 0, 0, 0, ...question];
  for (const address of addresses) {
    const n = ipNumber(address) ?? 0;
    out.push(0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, Math.floor(n / 16777216), Math.floor(n / 65536) % 256, Math.floor(n / 256) % 256, n % 256);
  }
  return Uint8Array.from(out);
}

/** The same with one PTR record: a name. */
export function encodeName(query: Uint8Array, name: string): Uint8Array {
  const question = query.subarray(12, nameAt(query, 12)[1] + 4);
  const rdata = [...name.split('.').flatMap((label) => [label.length, ...bytes(label)]), 0];
  return Uint8Array.from([query[0]!, query[1]!, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, ...question, 0xc0, 12, 0, 12, 0, 1, 0, 0, 2, 88, rdata.length >> 8, rdata.length & 255, ...rdata]);
}

/** The name that a query asks for. */
export function queryName(query: Uint8Array): string {
  const labels: string[] = [];
  for (let at = 12; at < query.length && query[at]! > 0; at += query[at]! + 1) labels.push(String.fromCharCode(...query.subarray(at + 1, at + 1 + query[at]!)));
  return labels.join('.');
}

/** Asks one server once. Throws ECONNREFUSED, ENETUNREACH, EHOSTUNREACH; null when nothing came in time. */
export function* askServer(server: string, name: string, timeout: number, type = 1): Call<DnsAnswer | null> {
  const fd = yield* sys('socket', AF_INET, SOCK_DGRAM, 0);
  try {
    yield* sys('connect', fd, { family: 'inet', address: server, port: 53 });
    const local = yield* sys('getsockname', fd);
    const id = local.family === 'inet' ? local.port : 1;
    yield* sys('sendto', fd, encodeQuery(id, name, type));
    const until = (yield* sys('clock_gettime', 'monotonic')) + timeout;
    for (;;) {
      const left = until - (yield* sys('clock_gettime', 'monotonic'));
      if (left <= 0 || (yield* sys('poll', [{ fd, events: POLLIN }], left)).length === 0) return null;
      const answer = decodeAnswer((yield* sys('recvfrom', fd, 65536)).data, id);
      if (answer) return answer;
    }
  } finally {
    yield* sys('close', fd);
  }
}

/** The names that a short one may stand for, in the order in which they are tried. */
export function candidates(name: string, conf: ResolvConf): string[] {
  if (name.endsWith('.')) return [name];
  const searched = conf.search.map((domain) => `${name}.${domain}`);
  return name.split('.').length - 1 >= conf.ndots ? [name, ...searched] : [...searched, name];
}

export type Lookup = { addresses: string[] } | { failure: 'unknown' | 'try again' };

/** Asks the servers for a name that the files do not have. */
export function* lookup(name: string): Call<Lookup> {
  const conf = yield* resolvConf();
  let failure: 'unknown' | 'try again' = 'try again';
  for (const candidate of candidates(name, conf)) {
    const answer = yield* askAll(conf, candidate);
    if (answer && answer.addresses.length > 0) return { addresses: answer.addresses };
    if (answer && (answer.code === 3 || answer.code === 0)) failure = 'unknown';
  }
  return { failure };
}

function* askAll(conf: ResolvConf, name: string): Call<DnsAnswer | null> {
  for (let attempt = 0; attempt < conf.attempts; attempt++) {
    for (const server of conf.servers) {
      try {
        const answer = yield* askServer(server, name, conf.timeout);
        if (answer && answer.code !== 2) return answer;
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
      }
    }
  }
  return null;
}
