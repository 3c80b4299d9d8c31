/**
 * nc: a connection with its standard streams. Source: OpenBSD's nc(1), with -q of the Debian one. Left out: proxies, TLS, telnet, random ports (-r).
 */
import { AF_INET, AF_UNIX, O_NONBLOCK, POLLERR, POLLHUP, POLLIN, POLLOUT, SOCK_DGRAM, SOCK_STREAM, SysError } from '../../kernel/abi.ts';
import { type Program, type SockAddr, sys } from '../../kernel/sys.ts';
import { BadOption, lastValue as optionValue, type Options, parseOptions } from '../lib/args.ts';
import { attempt } from '../lib/files.ts';
import { type Call, writeAll } from '../lib/http.ts';
import { command, complain, Failed, strerror } from '../lib/io.ts';
import { bytes } from '../../sim/text.ts';
import { GAI, getaddrinfo } from './names.ts';
import { serviceName, servicePort } from './services.ts';

const SECOND = 1e9;

interface How {
  udp: boolean;
  unix: boolean;
  verbose: boolean;
  /** busybox says why it could not connect without being asked, in its own words. */
  busybox: boolean;
  scan: boolean;
  noStdin: boolean;
  /** The peer as it was named, and no names but that. */
  host: string;
  numeric: boolean;
  shutdown: boolean;
  /** ns of silence, or of waiting for a connection, after which to give up; -1 never. */
  timeout: number;
  /** ns to wait after the end of standard input; -1 until the other side closes. */
  quit: number;
}

function* socket(how: How): Call<number> {
  return yield* sys('socket', how.unix ? AF_UNIX : AF_INET, how.udp ? SOCK_DGRAM : SOCK_STREAM, 0);
}

const protocolOf = (how: How): 'tcp' | 'udp' => (how.udp ? 'udp' : 'tcp');

/** The host as it was named, with its address where that says more. */
const hostOf = (address: string, how: How): string => (how.numeric || how.host === address ? how.host : `${how.host} (${address})`);

function nameOf(address: SockAddr, how: How): string {
  if (address.family === 'unix') return address.path;
  const service = how.numeric ? null : serviceName(address.port, protocolOf(how));
  return `${hostOf(address.address, how)} ${address.port} port [${protocolOf(how)}/${service ?? '*'}]`;
}

/** Connects, giving up after the timeout. null when it failed; that has been said with -v. */
function* connect(address: SockAddr, how: How): Call<number | null> {
  const fd = yield* socket(how);
  const failed = function* (why: string, outcome: 'failed' | 'timed out' = 'failed'): Call<null> {
    const to = address.family === 'unix' ? address.path : `${hostOf(address.address, how)} port ${address.port} (${protocolOf(how)})`;
    if (how.busybox) yield* complain(`nc: can't connect to remote host (${address.family === 'unix' ? address.path : address.address}): ${why}\n`);
    else if (how.verbose) yield* complain(`nc: connect to ${to} ${outcome}: ${why}\n`);
    yield* sys('close', fd);
    return null;
  };
  try {
    if (how.timeout < 0 || how.unix || how.udp) {
      yield* sys('connect', fd, address);
      return fd;
    }
    yield* sys('fcntl', fd, 'setfl', O_NONBLOCK);
    yield* attempt(sys('connect', fd, address), 0, 'EINPROGRESS');
    const ready = yield* sys('poll', [{ fd, events: POLLOUT }], how.timeout);
    if (ready.length === 0) return yield* failed(how.busybox ? 'Connection timed out' : 'Operation now in progress', 'timed out');
    yield* sys('connect', fd, address);
    yield* sys('fcntl', fd, 'setfl', 0);
    return fd;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    if (error.errno === 'EISCONN') {
      yield* sys('fcntl', fd, 'setfl', 0);
      return fd;
    }
    return yield* failed(strerror(error));
  }
}

/** Copies both ways until it is over. */
function* converse(fd: number, how: How): Call<void> {
  let input = !how.noStdin;
  let until = -1;
  for (;;) {
    const now = yield* sys('clock_gettime', 'monotonic');
    const left = until >= 0 ? until - now : how.timeout;
    if (until >= 0 && left <= 0) return;
    const ready = yield* sys('poll', [{ fd, events: POLLIN }, ...(input ? [{ fd: 0, events: POLLIN }] : [])], left);
    if (ready.length === 0) return;
    for (const one of ready) {
      if (one.fd === fd && one.revents & (POLLIN | POLLHUP | POLLERR)) {
        const data = yield* sys('read', fd, 65536);
        if (data.length === 0 && !how.udp) return;
        yield* writeAll(1, data);
      } else if (one.fd === 0) {
        const data = yield* sys('read', 0, 65536);
        if (data.length > 0) {
          yield* writeAll(fd, data);
          continue;
        }
        input = false;
        if (how.shutdown) yield* attempt(sys('shutdown', fd, 1), 0);
        if (how.quit >= 0) until = (yield* sys('clock_gettime', 'monotonic')) + how.quit;
      }
    }
  }
}

function* serve(address: SockAddr, how: How, keep: boolean): Call<number> {
  const listening = yield* socket(how);
  if (how.unix && address.family === 'unix') yield* attempt(sys('unlinkat', -100, address.path, 0), 0);
  try {
    yield* sys('bind', listening, address);
    if (!how.udp) yield* sys('listen', listening, 1);
  } catch (error) {
    if (error instanceof SysError) throw new Failed(strerror(error));
    throw error;
  }
  if (how.verbose && address.family === 'inet') yield* complain(`Listening on ${address.address} ${address.port}\n`);
  if (how.udp) return yield* serveDatagrams(listening, how);
  do {
    const { fd, peer } = yield* sys('accept4', listening, 0);
    if (how.verbose && peer.family === 'inet') yield* complain(`Connection received on ${peer.address} ${peer.port}\n`);
    try {
      yield* converse(fd, how);
    } catch (error) {
      if (!(error instanceof SysError) || error.errno !== 'ECONNRESET') throw error;
    }
    yield* sys('close', fd);
  } while (keep);
  return 0;
}

/** The first sender is the one to talk with. */
function* serveDatagrams(fd: number, how: How): Call<number> {
  const { data, from } = yield* sys('recvfrom', fd, 65536);
  yield* writeAll(1, data);
  if (from) yield* sys('connect', fd, from);
  yield* converse(fd, how);
  return 0;
}

const USAGE = `usage: nc [-46CDdFhklNnrStUuvZz] [-I length] [-i interval] [-M ttl]
	  [-m minttl] [-O length] [-P proxy_username] [-p source_port]
	  [-q seconds] [-s sourceaddr] [-T keyword] [-V rtable] [-W recvlimit]
	  [-w timeout] [-X proxy_protocol] [-x proxy_address[:port]]
	  [destination] [port]
`;

function* run(argv: readonly string[], words: 'openbsd' | 'busybox'): Call<number> {
  let options: Options;
  try {
    options = parseOptions('4 6 d h k l n N U u v z w= q= p= s= i= b C D t', argv.slice(1));
  } catch (error) {
    if (!(error instanceof BadOption) || words === 'busybox') throw error;
    yield* complain(`nc: ${error.message}\n${USAGE}`);
    return 1;
  }
  const { on } = options;
  const time = (name: string): number => {
    const text = optionValue(options, name);
    return text === undefined ? -1 : Math.max(0, Number(text)) * SECOND;
  };
  const how: How = {
    udp: on.has('u'), unix: on.has('U'), verbose: on.has('v'), busybox: words === 'busybox', scan: on.has('z'), noStdin: on.has('d'), host: '', numeric: on.has('n'), shutdown: on.has('N'), timeout: time('w'), quit: time('q'),
  };
  const portText = optionValue(options, 'p') ?? (on.has('l') ? options.words.at(-1) : options.words[1]);
  const host = on.has('l') ? (options.words.length > 1 || (optionValue(options, 'p') !== undefined && options.words[0] !== undefined) ? options.words[0]! : '0.0.0.0') : options.words[0];
  const ours = optionValue(options, 'p') !== undefined && options.words.length > 0;
  if (host === undefined || (on.has('l') && !how.busybox && (on.has('s') || ours)) || (how.busybox && portText === undefined)) {
    yield* complain(USAGE);
    return 1;
  }
  if (!how.unix && portText === undefined) throw new Failed('missing port number');
  if (how.unix) {
    const at: SockAddr = { family: 'unix', path: options.words[0] ?? '' };
    if (on.has('l')) return yield* serve(at, how, on.has('k'));
    return yield* talk(at, how);
  }
  how.host = host;
  const ports = portsOf(portText!, protocolOf(how), !on.has('l'));
  if (how.numeric && !/^[\d.]+$/.test(host)) throw new Failed(`getaddrinfo for host "${host}" port ${portText}: Name or service not known`);
  const found = yield* getaddrinfo(host);
  if ('failure' in found) throw new Failed(words === 'busybox' ? `bad address '${host}'` : `getaddrinfo for host "${host}" port ${portText}: ${GAI[found.failure]}`);
  const { address } = found;
  if (on.has('l')) return yield* serve({ family: 'inet', address, port: ports[0]! }, how, on.has('k'));
  let status = 1;
  for (const port of ports) if ((yield* talk({ family: 'inet', address, port }, how)) === 0) status = 0;
  return status;
}

/** A port by number or by the name of its service, or a range of them, the lowest first. */
function portsOf(source: string, protocol: 'tcp' | 'udp', many: boolean): number[] {
  const known = servicePort(source, protocol);
  if (known !== null) return [known];
  const range = many ? /^([^-]+)-(.+)$/.exec(source) : null;
  const [from, to] = range ? [portOf(range[1]!), portOf(range[2]!)] : [portOf(source), portOf(source)];
  const low = Math.min(from, to);
  return Array.from({ length: Math.abs(to - from) + 1 }, (_, i) => low + i);
}

/** strtonum(3) from 1 to 65535. */
function portOf(word: string): number {
  if (!/^[-+]?\d+$/.test(word)) throw new Failed(`port number invalid: ${word}`);
  const n = Number(word);
  if (n < 1 || n > 65535) throw new Failed(`port number too ${n < 1 ? 'small' : 'large'}: ${word}`);
  return n;
}

export const nc: Program = command((argv) => run(argv, 'openbsd'));
export const busyboxNc: Program = command((argv) => run(argv, 'busybox'));

/** Seconds that a scan over UDP waits for a refusal where no timeout is given. */
const SCAN_TIMEOUT = 3;

/** A datagram, and one more a second: where nobody listens it is refused by what came back for the one before. */
function* heard(fd: number, how: How): Call<boolean> {
  const send = (): Call<number> => attempt(sys('write', fd, bytes('X')), -1);
  if ((yield* send()) !== 1) return false;
  for (let left = how.timeout < 0 ? SCAN_TIMEOUT : Math.floor(how.timeout / SECOND); left > 0; left--) {
    yield* sys('nanosleep', SECOND);
    if ((yield* send()) !== 1) return false;
  }
  return true;
}

function* talk(address: SockAddr, how: How): Call<number> {
  const fd = yield* connect(address, how);
  if (fd === null) return 1;
  if (how.udp && how.scan && !(yield* heard(fd, how))) {
    yield* sys('close', fd);
    return 1;
  }
  if (how.verbose || (how.scan && !how.busybox)) yield* complain(`Connection to ${nameOf(address, how)} succeeded!\n`);
  if (!how.scan) {
    try {
      yield* converse(fd, how);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      if (how.verbose) yield* complain(`nc: ${strerror(error)}\n`);
      return 1;
    }
  }
  yield* sys('close', fd);
  return 0;
}
