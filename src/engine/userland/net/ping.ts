/**
 * ping: echo requests by a raw ICMP socket, round-trip times of the modelled network. Source: iputils' ping(8) and its output.
 * Left out: record route, IP timestamps, user-to-user latency, IPv6 but ::1.
 */
import { AF_INET, POLLIN, SIG, SOCK_DGRAM, SOCK_RAW, SysError } from '../../kernel/abi.ts';
import { type Program, sys } from '../../kernel/sys.ts';
import { BadOption, type Options, parseOptions, lastValue as optionValue } from '../lib/args.ts';
import { attempt, readText } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';
import type { LinkInfo } from '../../kernel/net/rtnetlink.ts';
import { ipNumber, ipText } from './addresses.ts';
import { GAI, getaddrinfo } from './names.ts';
import { PING_USAGE as USAGE } from './ping-usage.ts';

const MS = 1e6;
const SECOND = 1e9;

/** Whose words, and from which number it counts. */
interface Style {
  first: number;
  head(host: string, address: string, size: number, via: string): string;
  answer(length: number, ping: Ping, from: string, seq: number, ttl: number, time: string): string;
  statistics(ping: Ping): string;
  unknown(host: string, why: string): string;
}

interface Ping {
  /** -D, -f, -A, -O, -n, -p's bytes: how it prints, how it sends, what it sends. */
  stamps: boolean;
  flood: boolean;
  adaptive: boolean;
  outstanding: boolean;
  numeric: boolean;
  pattern: readonly number[];
  /** What goes before the size in the heading: " from 10.0.0.1 eth0". */
  via: string;
  style: Style;
  fd: number;
  id: number;
  shown: string;
  address: string;
  size: number;
  quiet: boolean;
  /** ns at which each request left, by sequence number. */
  sent: Map<number, number>;
  answered: Set<number>;
  times: number[];
  errors: number;
  first: number;
  last: number;
  stopped: boolean;
}

function* now(): Call<number> {
  return yield* sys('clock_gettime', 'monotonic');
}

/** An echo request's bytes; the kernel does not look at the checksum of what a raw socket sends. */
function request(id: number, seq: number, size: number, pattern: readonly number[]): Uint8Array {
  const data = new Uint8Array(8 + size);
  data[0] = 8;
  data[4] = id >> 8;
  data[5] = id & 255;
  data[6] = (seq >> 8) & 255;
  data[7] = seq & 255;
  for (let i = 8; i < data.length; i++) data[i] = pattern.length > 0 ? pattern[(i - 8) % pattern.length]! : (i - 8) & 255;
  return data;
}

function timeText(ns: number): string {
  const ms = ns / MS;
  return ms >= 99.95 ? ms.toFixed(0) : ms >= 9.995 ? ms.toFixed(1) : ms >= 0.9995 ? ms.toFixed(2) : ms.toFixed(3);
}

function* send(ping: Ping, seq: number): Call<void> {
  const at = yield* now();
  if (ping.sent.size === 0) ping.first = at;
  ping.sent.set(seq, at);
  ping.last = at;
  if (ping.flood && !ping.quiet) yield* print('.');
  try {
    yield* sys('sendto', ping.fd, request(ping.id, seq, ping.size, ping.pattern), { family: 'inet', address: ping.address, port: 0 });
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    ping.errors += error.errno === 'EMSGSIZE' ? 1 : 0;
    yield* complain(error.errno === 'EMSGSIZE' && (yield* groupMayPing()) ? `ping: local error: message too long, mtu=${yield* mtuOf(ping.address)}\n` : `ping: sendmsg: ${strerror(error)}\n`);
  }
}

/** Where net.ipv4.ping_group_range has this group, ping's socket is one for echoes only, and is told of errors by the queue; a raw one is not. */
function* groupMayPing(): Call<boolean> {
  const [low = 1, high = 0] = (yield* readText('/proc/sys/net/ipv4/ping_group_range')).trim().split(/\s+/).map(Number);
  const gid = yield* sys('getgid');
  return gid >= low && gid <= high;
}

/** The MTU of the link that leads to an address. */
function* mtuOf(to: string): Call<number> {
  const found = (yield* sys('netlink', { type: 'route.get', to })) as { dev: string; mtu: number | null };
  const links = (yield* sys('netlink', { type: 'link.list' })) as LinkInfo[];
  return found.mtu ?? links.find((one) => one.name === found.dev)?.mtu ?? 1500;
}

const UNREACHABLE: Record<number, string> = {
  0: 'Destination Net Unreachable', 1: 'Destination Host Unreachable', 2: 'Destination Protocol Unreachable', 3: 'Destination Port Unreachable', 9: 'Destination Net Prohibited', 10: 'Destination Host Prohibited', 13: 'Packet filtered',
};

/** Reads what has come: an answer of ours, or an error about one of our requests. */
function* receive(ping: Ping): Call<void> {
  const { data } = yield* sys('recvfrom', ping.fd, 65536);
  const at = yield* now();
  const icmp = data.subarray(20);
  const from = ipText(data[12]! * 16777216 + data[13]! * 65536 + data[14]! * 256 + data[15]!);
  const word = (bytes: Uint8Array, i: number): number => (bytes[i]! << 8) | bytes[i + 1]!;
  if (icmp[0] === 0 && word(icmp, 4) === ping.id) {
    const seq = word(icmp, 6);
    const left = ping.sent.get(seq);
    if (left === undefined) return;
    const again = ping.answered.has(seq);
    ping.answered.add(seq);
    if (!again) ping.times.push(at - left);
    if (ping.flood) {
      if (!ping.quiet) yield* print('\b \b');
      return;
    }
    if (!ping.quiet) yield* print(`${yield* stamp(ping)}${ping.style.answer(icmp.length, ping, from, seq, data[8]!, `${timeText(at - left)} ms${again ? ' (DUP!)' : ''}`)}`);
    return;
  }
  const quoted = icmp.subarray(28);
  if ((icmp[0] !== 3 && icmp[0] !== 11) || word(quoted, 4) !== ping.id) return;
  ping.errors++;
  const what = icmp[0] === 11 ? 'Time to live exceeded' : icmp[1] === 4 ? `Frag needed and DF set (mtu = ${word(icmp, 6)})` : (UNREACHABLE[icmp[1]!] ?? `Dest Unreachable, Bad Code: ${icmp[1]}`);
  if (ping.flood) yield* print('\bE');
  else if (!ping.quiet) yield* print(`${yield* stamp(ping)}From ${from} icmp_seq=${word(quoted, 6)} ${what}\n`);
}

/** -D: seconds since 1970 before the line. */
function* stamp(ping: Ping): Call<string> {
  if (!ping.stamps) return '';
  const t = Math.floor((yield* sys('clock_gettime', 'realtime')) / 1000);
  return `[${Math.floor(t / 1e6)}.${String(t % 1e6).padStart(6, '0')}] `;
}

/** Reads answers until `until`, or until `enough`. */
function* listen(ping: Ping, until: number, enough: () => boolean): Call<void> {
  while (!ping.stopped && !enough()) {
    const left = until - (yield* now());
    if (left <= 0) return;
    const ready = yield* attempt(sys('poll', [{ fd: ping.fd, events: POLLIN }], left), [], 'EINTR');
    if (ready.length > 0) yield* receive(ping);
  }
}

function lossText(ping: Ping): string {
  const sent = ping.sent.size;
  const loss = sent === 0 ? 0 : ((sent - ping.answered.size) * 100) / sent;
  return Number.isInteger(loss) ? String(loss) : Number(loss.toPrecision(6)).toString();
}

/** min, average, max, mean deviation of the times, in ms. */
function summary({ times }: Ping): string[] {
  const avg = times.reduce((a, b) => a + b, 0) / times.length;
  const mdev = Math.sqrt(Math.max(0, times.reduce((a, b) => a + b * b, 0) / times.length - avg * avg));
  return [Math.min(...times), avg, Math.max(...times), mdev].map((t) => (t / MS).toFixed(3));
}

const IPUTILS: Style = {
  first: 1,
  head: (host, address, size, via) => `PING ${host} (${address}) ${via === '' ? '' : `${via}: `}${size}(${size + 28}) bytes of data.\n`,
  // A time needs room for where it began.
  answer: (length, ping, from, seq, ttl, time) =>
    `${length} bytes from ${ping.shown === ping.address || ping.numeric || ipNumber(ping.shown) !== null ? from : `${ping.shown} (${from})`}: icmp_seq=${seq} ttl=${ttl}${ping.size >= 16 ? ` time=${time}` : time.endsWith('(DUP!)') ? ' (DUP!)' : ''}\n`,
  statistics(ping) {
    const errors = ping.errors > 0 ? `, +${ping.errors} errors` : '';
    const head = `\n--- ${ping.shown} ping statistics ---\n${ping.sent.size} packets transmitted, ${ping.answered.size} received${errors}, ${lossText(ping)}% packet loss, time ${Math.floor((ping.last - ping.first) / MS)}ms\n`;
    return ping.times.length > 0 && ping.size >= 16 ? `${head}rtt min/avg/max/mdev = ${summary(ping).join('/')} ms\n` : `${head}\n`;
  },
  unknown: (host, why) => `${host}: ${why}`,
};

const SIX: Style = { ...IPUTILS, head: (_host, _address, size) => `PING ::1 (::1) ${size} data bytes\n`, answer: (length, _ping, _from, seq, ttl, time) => `${length} bytes from ::1: icmp_seq=${seq} ttl=${ttl} time=${time}\n` };

const BUSYBOX: Style = {
  first: 0,
  head: (host, address, size) => `PING ${host} (${address}): ${size} data bytes\n`,
  answer: (length, _ping, from, seq, ttl, time) => `${length} bytes from ${from}: seq=${seq} ttl=${ttl} time=${time}\n`,
  statistics(ping) {
    const loss = ping.sent.size === 0 ? 0 : Math.floor(((ping.sent.size - ping.answered.size) * 100) / ping.sent.size);
    const head = `\n--- ${ping.shown} ping statistics ---\n${ping.sent.size} packets transmitted, ${ping.answered.size} packets received, ${loss}% packet loss\n`;
    return ping.times.length > 0 ? `${head}round-trip min/avg/max = ${summary(ping).slice(0, 3).join('/')} ms\n` : head;
  },
  unknown: (host) => `bad address '${host}'`,
};

function* statistics(ping: Ping): Call<number> {
  yield* print(ping.style.statistics(ping));
  return ping.answered.size > 0 ? 0 : 1;
}

/** A number as iputils reads -i and -W: what is after it is told of and let be. */
function* seconds(text: string | undefined, otherwise: number, what: string): Call<number> {
  if (text === undefined) return otherwise;
  const number = /^\s*[-+]?(\d+\.?\d*|\.\d+)/.exec(text)?.[0] ?? '';
  if (number.length < text.length) yield* complain(`ping: option argument contains garbage: ${text.slice(number.length)}\nping: this will become fatal error in the future\n`);
  const n = Number(number || 0);
  if (!(n >= 0)) throw new Failed(`bad ${what}: ${text}`, 2);
  return n * SECOND;
}

/** An integer within bounds. */
function integer(text: string | undefined, low: number, high: number | string): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[-+]?\d+$/.test(text)) throw new Failed(`invalid argument: '${text}'`);
  if (Number(text) < low || Number(text) > Number(high)) throw new Failed(`invalid argument: '${text}': out of range: ${low} <= value <= ${high}`);
  return Number(text);
}

function patternOf(text: string | undefined): number[] {
  if (text === undefined) return [];
  if (!/^[0-9a-f]+$/i.test(text)) throw new Failed(`patterns must be specified as hex digits: ${text}`, 2);
  return (text.match(/..?/g) ?? []).slice(0, 16).map((two) => Number.parseInt(two, 16));
}

/** The kernel must know a way to there before the first packet is sent. */
function* probe(address: string, what: string, broadcast: boolean): Call<boolean> {
  const fd = yield* sys('socket', AF_INET, SOCK_DGRAM, 0);
  try {
    yield* sys('connect', fd, { family: 'inet', address, port: 1025 });
  } catch (error) {
    if (error instanceof SysError && error.errno === 'EACCES' && what === 'connect' && broadcast) return true;
    if (error instanceof SysError && error.errno === 'EACCES' && what === 'connect') throw new Failed('Do you want to ping broadcast? Then -b. If not, check your local firewall rules', 2);
    if (error instanceof SysError) throw new Failed(`${what}: ${strerror(error)}`, what === 'connect' ? 2 : 1);
    throw error;
  } finally {
    yield* sys('close', fd);
  }
  return false;
}

/** IP_PMTUDISC_DO, _WANT, _DONT. */
const DISCOVER: Readonly<Record<string, number>> = { do: 2, want: 1, dont: 0, probe: 3 };

/** -I: an address of this namespace, or a link whose address is taken. */
function* bindTo(fd: number, from: string): Call<string> {
  const links = (yield* sys('netlink', { type: 'link.list' })) as LinkInfo[];
  const address = ipNumber(from) !== null ? from : links.find((one) => one.name === from)?.addresses.find((a) => a.family === 'inet')?.address;
  if (!links.some((one) => one.name === from) && ipNumber(from) === null) throw new Failed(`SO_BINDTODEVICE ${from}: No such device`, 2);
  try {
    if (address) yield* sys('bind', fd, { family: 'inet', address, port: 0 });
  } catch (error) {
    if (error instanceof SysError) throw new Failed(`bind: ${strerror(error)}`, 2);
    throw error;
  }
  return address === from ? `from ${from} ` : address ? `from ${address} ${from}` : '';
}

/** Until the next request: the interval; a flood waits for the answer and 10 ms at the most, -A for the answer. */
function* pause(ping: Ping, deadline: number, interval: number): Call<void> {
  const sooner = ping.flood || ping.adaptive;
  const until = ping.flood && interval === 0 ? ping.last + 10 * MS : ping.last + interval;
  yield* listen(ping, Math.min(deadline, until), () => sooner && ping.answered.size + ping.errors >= ping.sent.size);
}

function* run(argv: readonly string[], style: Style): Call<number> {
  let options: Options;
  try {
    options = parseOptions('c= i= W= w= s= t= I= M= Q= p= l= m= e= S= T= F= N= q n 4 6 v O a b f d h r A B C D H L R U V 3', argv.slice(1));
  } catch (error) {
    if (!(error instanceof BadOption) || style === BUSYBOX) throw error;
    yield* complain(`ping: ${error.message}\n${USAGE}`);
    return 2;
  }
  if (options.on.has('V')) {
    yield* print('ping from iputils 20240905\nlibcap: yes, IDN: yes, NLS: no, error.h: yes, getrandom(): yes, __fpending(): yes\n');
    return 0;
  }
  if (options.on.has('h')) {
    yield* complain(USAGE);
    return 2;
  }
  for (const [letter, what] of [['R', 'record route'], ['U', 'user-to-user latency']] as const) if (options.on.has(letter)) throw new Failed(`not modelled: -${letter} (${what})`, 2);
  if (optionValue(options, 'T') !== undefined) throw new Failed(/^(tsonly|tsandaddr|tsprespec)$/.test(optionValue(options, 'T')!) ? 'not modelled: -T (IP timestamps)' : `invalid timestamp type: ${optionValue(options, 'T')}`, 2);
  const pattern = patternOf(optionValue(options, 'p'));
  const countNow = integer(optionValue(options, 'c'), 1, '9223372036854775807');
  integer(optionValue(options, 'm'), 0, 4294967295);
  const preload = integer(optionValue(options, 'l'), 1, 65536) ?? 1;
  const ttl = integer(optionValue(options, 't'), 0, 255);
  const deadlineSeconds = integer(optionValue(options, 'w'), 0, 2147483647);
  const size = integer(optionValue(options, 's'), 0, 2147483647) ?? 56;
  const tos = optionValue(options, 'Q');
  if (tos !== undefined && !(Number(tos) >= 0 && Number(tos) <= 255)) throw new Failed(`the decimal value of TOS bits must be in range 0-255: ${tos}`, 2);
  const flood = options.on.has('f');
  const adaptive = options.on.has('A');
  const interval = yield* seconds(optionValue(options, 'i'), flood ? 0 : SECOND, 'timing interval');
  const patience = yield* seconds(optionValue(options, 'W'), 10 * SECOND, 'linger time');
  const discover = optionValue(options, 'M');
  if (discover !== undefined && DISCOVER[discover] === undefined) throw new Failed(`invalid -M argument: ${discover}`, 2);
  const host = options.words.at(-1);
  if (host === undefined) throw new Failed('usage error: Destination address required', style === BUSYBOX ? 1 : 2);
  const six = options.on.has('6') || host.includes(':');
  if (six && host !== '::1' && host !== 'localhost' && host !== 'ip6-localhost') throw new Failed(`not modelled: IPv6 beyond ::1 (${host})`, 2);
  if (options.on.has('4') && host.includes(':')) throw new Failed(`${host}: Address family for hostname not supported`, 2);
  // The loopback answers for ::1 as it does for 127.0.0.1.
  const found = six ? { address: '127.0.0.1' } : yield* getaddrinfo(host);
  if ('failure' in found) throw new Failed(style.unknown(host, GAI[found.failure]), style === BUSYBOX ? 1 : 2);
  const address = found.address === '0.0.0.0' ? '127.0.0.1' : found.address;
  const count = countNow ?? Number.POSITIVE_INFINITY;
  if (size > 65507) throw new Failed(`invalid -s value: '${size}': out of range: 0 <= value <= 65507`, 1);
  if (pattern.length > 0) yield* print(`PATTERN: 0x${pattern.map((n) => n.toString(16).padStart(2, '0')).join('')}\n`);
  if (style === BUSYBOX) yield* print(style.head(host, address, size, ''));
  const broadcast = yield* probe(address, style === BUSYBOX ? 'sendto' : 'connect', options.on.has('b'));
  if (broadcast) yield* complain('WARNING: pinging broadcast address\n');
  let fd: number;
  try {
    fd = yield* sys('socket', AF_INET, SOCK_RAW, 1);
  } catch (error) {
    if (error instanceof SysError) throw new Failed(`socktype: SOCK_RAW\nping: socket: ${strerror(error)}\nping: => missing cap_net_raw+p capability or setuid?`, 2);
    throw error;
  }
  if (ttl === 0) throw new Failed('cannot set unicast time-to-live: Invalid argument', 2);
  if (ttl !== undefined) yield* sys('setsockopt', fd, 'IP_TTL', ttl);
  if (discover !== undefined) yield* sys('setsockopt', fd, 'IP_MTU_DISCOVER', DISCOVER[discover]!);
  const from = optionValue(options, 'I');
  const via = from !== undefined ? yield* bindTo(fd, from) : '';
  const state: Ping = {
    stamps: options.on.has('D'), flood, adaptive, outstanding: options.on.has('O'), numeric: options.on.has('n'), pattern, via, style: six ? SIX : style, fd, id: (yield* sys('getpid')) & 0xffff, shown: six ? '::1' : host, address, size, quiet: options.on.has('q'), sent: new Map(), answered: new Set(), times: [],
    errors: 0, first: 0, last: 0, stopped: false,
  };
  yield* sys('rt_sigaction', SIG.INT, {
    *handler() {
      state.stopped = true;
    },
  });
  if (style !== BUSYBOX) yield* print(state.style.head(host, address, size, via));
  const deadline = deadlineSeconds === undefined || deadlineSeconds === 0 ? Number.POSITIVE_INFINITY : (yield* now()) + deadlineSeconds * SECOND;
  for (let n = 1; n <= count && !state.stopped; n++) {
    yield* send(state, style.first + n - 1);
    if (n < count && n >= preload) yield* pause(state, deadline, interval);
    if ((yield* now()) >= deadline) break;
    if (n < count && state.outstanding && !state.answered.has(style.first + n - 1)) yield* print(`no answer yet for icmp_seq=${style.first + n - 1}\n`);
  }
  const rest = state.times.length > 0 ? Math.max(2 * Math.max(...state.times), SECOND) : patience;
  const until = Math.min(deadline, state.last + Math.min(rest, patience));
  yield* listen(state, until, () => state.answered.size + state.errors >= state.sent.size);
  return yield* statistics(state);
}

export const ping: Program = command((argv) => run(argv, IPUTILS));
/** As busybox prints it. */
export const busyboxPing: Program = command((argv) => run(argv, BUSYBOX));
