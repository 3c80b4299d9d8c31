/**
 * tcpdump: packets as they pass the links of this namespace, from the kernel's ring of hops. Source: tcpdump(8)'s output. Filters: icmp, tcp, udp, host,
 * src, dst, port, not, and, or. Left out: files, ARP, link-level headers but -e, IPv6.
 */
import type { Hop, Packet } from '../../kernel/net/types.ts';
import type { LinkInfo } from '../../kernel/net/rtnetlink.ts';
import { SIG, SysError } from '../../kernel/abi.ts';
import { type Program, sys } from '../../kernel/sys.ts';
import { parseOptions, lastValue as optionValue } from '../lib/args.ts';
import { attempt } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';

type Filter = (packet: Packet) => boolean;

/** A filter expression; `and` binds tighter than `or`. */
function parseFilter(words: readonly string[]): Filter {
  let at = 0;
  const any = (): Filter => {
    let left = all();
    while (words[at] === 'or' || words[at] === '||') {
      at++;
      const a = left;
      const b = all();
      left = (p) => a(p) || b(p);
    }
    return left;
  };
  const all = (): Filter => {
    let left = one();
    while (words[at] === 'and' || words[at] === '&&') {
      at++;
      const a = left;
      const b = one();
      left = (p) => a(p) && b(p);
    }
    return left;
  };
  const one = (): Filter => {
    const word = words[at++];
    if (word === 'not' || word === '!') {
      const inner = one();
      return (p) => !inner(p);
    }
    if (word === 'icmp' || word === 'tcp' || word === 'udp') {
      const rest: Filter | null = words[at] === 'port' || words[at] === 'src' || words[at] === 'dst' ? one() : null;
      return (p) => p.proto === word && (rest === null || rest(p));
    }
    if (word === 'ip') return () => true;
    if (word === 'host') {
      const host = words[at++];
      return (p) => p.src === host || p.dst === host;
    }
    if (word === 'port') {
      const port = Number(words[at++]);
      return (p) => p.proto !== 'icmp' && (p.sport === port || p.dport === port);
    }
    if (word === 'src' || word === 'dst') {
      const kind = words[at] === 'port' || words[at] === 'host' ? words[at++] : 'host';
      const value = words[at++];
      if (kind === 'port') return (p) => p.proto !== 'icmp' && (word === 'src' ? p.sport : p.dport) === Number(value);
      return (p) => (word === 'src' ? p.src : p.dst) === value;
    }
    throw new Failed(`can't parse filter expression: syntax error`);
  };
  const filter = words.length === 0 ? () => true : any();
  if (at < words.length) throw new Failed(`can't parse filter expression: syntax error`);
  return filter;
}

/** "09:00:01.123456", from ns since 1970. */
function clock(ns: number): string {
  const us = Math.floor(ns / 1000);
  const two = (n: number): string => String(n).padStart(2, '0');
  const s = Math.floor(us / 1e6);
  return `${two(Math.floor(s / 3600) % 24)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}.${String(us % 1e6).padStart(6, '0')}`;
}

const UNREACHABLE: Record<number, (p: Packet) => string> = {
  0: (p) => `net ${p.icmp?.inner?.dst} unreachable`, 1: (p) => `host ${p.icmp?.inner?.dst} unreachable`,
  3: (p) => `${p.icmp?.inner?.dst} ${p.icmp?.inner?.proto} port ${p.icmp?.inner?.dport} unreachable`, 13: (p) => `host ${p.icmp?.inner?.dst} unreachable - admin prohibited filter`,
};

function packetText(p: Packet): string {
  if (p.arp) return p.arp.op === 1 ? `ARP, Request who-has ${p.dst} tell ${p.src}, length 28` : `ARP, Reply ${p.src} is-at ${p.arp.sender}, length 28`;
  if (p.proto === 'icmp') {
    const { icmp } = p;
    const kind = icmp?.type === 8 ? 'echo request' : icmp?.type === 0 ? 'echo reply' : '';
    if (kind) return `IP ${p.src} > ${p.dst}: ICMP ${kind}, id ${p.sport}, seq ${icmp?.seq}, length ${p.length - 20}`;
    const what = icmp?.type === 11 ? 'time exceeded in-transit' : (UNREACHABLE[icmp?.code ?? 0]?.(p) ?? 'unreachable');
    return `IP ${p.src} > ${p.dst}: ICMP ${what}, length ${p.length - 20}`;
  }
  const ends = `IP ${p.src}.${p.sport} > ${p.dst}.${p.dport}`;
  if (p.proto === 'udp') return `${ends}: UDP, length ${p.length - 28}`;
  const length = p.length - 40 - (p.flags.includes('S') ? 20 : 12);
  const data = Math.max(0, length);
  const seq = data > 0 ? `seq ${p.seq}:${p.seq + data}, ` : /[SFR]/.test(p.flags) ? `seq ${p.seq}, ` : '';
  const ack = p.flags.includes('.') ? `ack ${p.ack}, ` : '';
  return `${ends}: Flags [${p.flags}], ${seq}${ack}win ${p.window}, length ${data}`;
}

interface Capture {
  link: string;
  filter: Filter;
  left: number;
  seen: number;
  stopped: boolean;
  ethernet: boolean;
}

/** Prints what has passed since `since`; where to go on. */
function* show(capture: Capture, since: number, offset: number): Call<number> {
  const now = yield* sys('clock_gettime', 'monotonic');
  const rows = (yield* sys('netlink', { type: 'hops', since })) as Hop[];
  let next = since;
  for (const hop of rows) {
    if (hop.t > now) break;
    next = hop.n + 1;
    const any = capture.link === 'any';
    if ((hop.hook !== 'ingress' && hop.hook !== 'egress') || (!any && hop.link !== capture.link) || hop.action === 'drop' || !capture.filter(hop.what)) continue;
    if (capture.left <= 0) break;
    capture.left--;
    capture.seen++;
    const mac = capture.ethernet ? `${hop.from} > ${hop.to}, ethertype IPv4 (0x0800), length ${hop.what.length + 14}: ` : '';
    const text = packetText(hop.what);
    yield* print(`${clock(hop.t + offset)} ${any ? `${hop.link.padEnd(5)} ${hop.hook === 'ingress' ? 'In ' : 'Out'} ` : ''}${mac}${mac ? text.replace(/^IP /, '') : text}\n`);
  }
  return next;
}

export const tcpdump: Program = command(function* (argv) {
  const options = parseOptions('i/interface= c= n q v e l U A X t s= w= r= p D', argv.slice(1));
  for (const name of ['w', 'r', 'A', 'X']) if (options.on.has(name)) throw new Failed(`not modelled: -${name}`);
  const links = (yield* sys('netlink', { type: 'link.list' })) as LinkInfo[];
  const link = optionValue(options, 'interface') ?? links.find((one) => one.up && one.kind !== 'loopback')?.name ?? 'lo';
  if (link !== 'any' && !links.some((one) => one.name === link)) throw new Failed(`${link}: No such device exists\n(SIOCGIFHWADDR: No such device)`);
  const filter = parseFilter(options.words.flatMap((word) => word.split(/\s+/)).filter(Boolean));
  const capture: Capture = { link, filter, left: Number(optionValue(options, 'c') ?? Number.POSITIVE_INFINITY), seen: 0, stopped: false, ethernet: options.on.has('e') };
  yield* sys('rt_sigaction', SIG.INT, {
    *handler() {
      capture.stopped = true;
    },
  });
  let since: number;
  try {
    since = ((yield* sys('netlink', { type: 'hops' })) as Hop[]).reduce((n, hop) => Math.max(n, hop.n + 1), 0);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`${link}: You don't have permission to perform this capture on that device\n(socket: ${strerror(error)})`);
  }
  yield* complain(`tcpdump: verbose output suppressed, use -v[v]... for full protocol decode\nlistening on ${link}, link-type ${link === 'any' ? 'LINUX_SLL2 (Linux cooked v2)' : 'EN10MB (Ethernet)'}, snapshot length 262144 bytes\n`);
  const offset = (yield* sys('clock_gettime', 'realtime')) - (yield* sys('clock_gettime', 'monotonic'));
  while (!capture.stopped && capture.left > 0) {
    since = yield* show(capture, since, offset);
    if (capture.left > 0) yield* attempt(sys('nanosleep', 20e6), 0, 'EINTR');
  }
  yield* complain(`${capture.stopped ? '\n' : ''}${capture.seen} packets captured\n${capture.seen} packets received by filter\n0 packets dropped by kernel\n`);
  return 0;
});
