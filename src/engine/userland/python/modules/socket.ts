/** socket: TCP, UDP and Unix sockets as the kernel here has them. Source: Python 3.13 library reference, socket. Left out: IPv6, raw sockets, ancillary data. */
import { AF_INET, AF_UNIX, ERRNO, O_NONBLOCK, POLLIN, POLLOUT, type SockAddr, SOCK_DGRAM, SOCK_STREAM, SysError } from '../../../kernel/abi.ts';
import type { Call } from '../../lib/http.ts';
import { GAI, getaddrinfo } from '../../net/names.ts';
import { argument, bytesArg, calling, intArg, numberArg, textArg } from '../arguments.ts';
import { METHODS } from '../call.ts';
import { EXCEPTIONS, exceptionType, osError, PyError, makeException, raised, typeError } from '../errors.ts';
import { makeFile } from '../files.ts';
import { asInt } from '../ops.ts';
import { type Async, bytesOf, defineType, isObj, type Native, tuple, typeName, type Value } from '../values.ts';
import { sysc, type Vm } from '../vm.ts';
import { none } from './os.ts';

interface Socket {
  fd: number;
  family: number;
  type: number;
  /** Seconds; null waits for ever, 0 never. */
  timeout: number | null;
}

const SOCKET = defineType('socket', undefined, 'socket');
const GAIERROR = defineType('gaierror', exceptionType('OSError'), 'socket');
GAIERROR.make = function* (_vm, a) { return makeException(GAIERROR, a); };

const of = (v: Value): Socket => (v as Native).data as Socket;

function made(fd: number, family: number, type: number): Native {
  return { t: 'native', type: SOCKET, attrs: new Map<string, Value>([['family', BigInt(family)], ['type', BigInt(type)], ['proto', 0n]]), data: { fd, family, type, timeout: null } satisfies Socket };
}

function* addressOf(s: Socket, v: Value): Call<SockAddr> {
  if (s.family === AF_UNIX) return { family: 'unix', path: textArg(v) };
  if (!isObj(v, 'tuple')) throw typeError(`AF_INET address must be tuple, not ${typeName(v)}`);
  if (v.items.length !== 2) throw typeError('AF_INET address must be a pair (host, port)');
  const port = intArg(v.items[1]!);
  if (port < 0 || port > 65535) throw raised('OverflowError', 'port must be 0-65535.');
  return { family: 'inet', address: yield* resolve(textArg(v.items[0]!)), port };
}

function* resolve(host: string): Call<string> {
  if (host === '') return '0.0.0.0';
  const found = yield* getaddrinfo(host);
  if (!('failure' in found)) return found.address;
  const error = makeException(GAIERROR, [found.failure === 'unknown' ? -2n : -3n, GAI[found.failure]]);
  throw new PyError(error);
}

const shown = (a: SockAddr): Value => (a.family === 'unix' ? a.path : tuple([a.address, BigInt(a.port)]));

/** Waits for the socket within its timeout. */
function* ready(vm: Vm, s: Socket, events: number): Call<void> {
  if (s.timeout === null || s.timeout === 0) return;
  const found = yield* sysc(vm, 'poll', [{ fd: s.fd, events }], Math.round(s.timeout * 1e9));
  if (found.length === 0) throw raised('TimeoutError', 'timed out');
}

const TABLE: Readonly<Record<string, Async>> = {
  bind: function* (vm, a) { return yield* none(sysc(vm, 'bind', of(a[0]!).fd, yield* addressOf(of(a[0]!), a[1]!))); },
  listen: function* (vm, a) { return yield* none(sysc(vm, 'listen', of(a[0]!).fd, a[1] === undefined ? 128 : intArg(a[1]))); },
  accept: function* (vm, a) {
    const s = of(a[0]!);
    yield* ready(vm, s, POLLIN);
    const { fd, peer } = yield* sysc(vm, 'accept4', s.fd, 0);
    return tuple([made(fd, s.family, s.type), shown(peer)]);
  },
  connect: function* (vm, a) {
    const s = of(a[0]!);
    const to = yield* addressOf(s, a[1]!);
    if (s.timeout === null || s.timeout === 0) return yield* none(sysc(vm, 'connect', s.fd, to));
    yield* sysc(vm, 'fcntl', s.fd, 'setfl', O_NONBLOCK);
    try {
      yield* sysc(vm, 'connect', s.fd, to);
    } catch (error) {
      if (!(error instanceof SysError) || error.errno !== 'EINPROGRESS') throw error;
      yield* ready(vm, s, POLLOUT);
      const failed = yield* sysc(vm, 'getsockopt', s.fd, 'SO_ERROR');
      if (failed !== 0) throw osError(errorNumbered(failed));
    }
    return yield* none(sysc(vm, 'fcntl', s.fd, 'setfl', 0));
  },
  connect_ex: function* (vm, a) {
    try {
      yield* TABLE.connect!(vm, a, new Map());
      return 0n;
    } catch (error) {
      const failed = error instanceof SysError ? osError(error) : error;
      if (failed instanceof PyError && failed.value.attrs.has('errno')) return failed.value.attrs.get('errno')!;
      throw error;
    }
  },
  send: function* (vm, a) { return BigInt(yield* sysc(vm, 'write', of(a[0]!).fd, bytesArg(a[1]!))); },
  sendall: function* (vm, a) {
    for (let data = bytesArg(a[1]!); data.length > 0; ) data = data.subarray(yield* sysc(vm, 'write', of(a[0]!).fd, data));
    return null;
  },
  recv: function* (vm, a) {
    const s = of(a[0]!);
    yield* ready(vm, s, POLLIN);
    return bytesOf(yield* sysc(vm, 'read', s.fd, intArg(a[1]!)));
  },
  sendto: function* (vm, a) { return BigInt(yield* sysc(vm, 'sendto', of(a[0]!).fd, bytesArg(a[1]!), yield* addressOf(of(a[0]!), a.at(-1)!))); },
  recvfrom: function* (vm, a) {
    const s = of(a[0]!);
    yield* ready(vm, s, POLLIN);
    const { data, from } = yield* sysc(vm, 'recvfrom', s.fd, intArg(a[1]!));
    return tuple([bytesOf(data), from ? shown(from) : null]);
  },
  close: function* (vm, a) {
    const s = of(a[0]!);
    if (s.fd >= 0) yield* sysc(vm, 'close', s.fd);
    s.fd = -1;
    return null;
  },
  shutdown: function* (vm, a) { return yield* none(sysc(vm, 'shutdown', of(a[0]!).fd, intArg(a[1]!))); },
  settimeout: function* (vm, a) {
    const s = of(a[0]!);
    s.timeout = a[1] === null ? null : numberArg(a[1]!);
    return yield* none(sysc(vm, 'fcntl', s.fd, 'setfl', s.timeout === 0 ? O_NONBLOCK : 0));
  },
  setblocking: function* (vm, a) { return yield* TABLE.settimeout!(vm, [a[0]!, a[1] === false || a[1] === 0n ? 0n : null], new Map()); },
  gettimeout: function* (_vm, a) { return of(a[0]!).timeout; },
  setsockopt: function* (vm, a) {
    const name = OPTIONS.get(`${intArg(a[1]!)}:${intArg(a[2]!)}`);
    if (!name) throw raised('NotImplementedError', 'not modelled: this socket option');
    return yield* none(sysc(vm, 'setsockopt', of(a[0]!).fd, name, asInt(a[3]!) === undefined ? 0 : intArg(a[3]!)));
  },
  fileno: function* (_vm, a) { return BigInt(of(a[0]!).fd); },
  getsockname: function* (vm, a) { return shown(yield* sysc(vm, 'getsockname', of(a[0]!).fd)); },
  getpeername: function* (vm, a) { return shown(yield* sysc(vm, 'getpeername', of(a[0]!).fd)); },
  makefile: function* (vm, a, kw) { return makeFile(vm, yield* sysc(vm, 'dup', of(a[0]!).fd), BigInt(of(a[0]!).fd), String(argument(a, kw, 1, 'mode', 'r'))); },
  __enter__: function* (_vm, a) { return a[0]!; },
  __exit__: function* (vm, a) { return yield* TABLE.close!(vm, [a[0]!], new Map()); },
};
METHODS.set('socket', calling(TABLE));

const OPTIONS = new Map([['1:2', 'SO_REUSEADDR'], ['1:6', 'SO_BROADCAST'], ['1:15', 'SO_REUSEPORT'], ['1:9', 'SO_KEEPALIVE'], ['6:1', 'TCP_NODELAY'], ['1:8', 'SO_RCVBUF'], ['1:7', 'SO_SNDBUF']]);

function errorNumbered(n: number): SysError {
  const name = Object.entries(ERRNO).find(([, [number]]) => number === n)?.[0] ?? 'EIO';
  return new SysError(name as SysError['errno']);
}

SOCKET.make = function* (vm, a, kw) {
  const family = intArg(argument(a, kw, 0, 'family', BigInt(AF_INET)));
  const type = intArg(argument(a, kw, 1, 'type', BigInt(SOCK_STREAM)));
  return made(yield* sysc(vm, 'socket', family, type, intArg(argument(a, kw, 2, 'proto', 0n))), family, type);
};

export function socketModule(): Map<string, Value> {
  const vars = new Map<string, Value>(Object.entries(calling({
    gethostname: function* (vm) { return (yield* sysc(vm, 'uname')).nodename; },
    sethostname: function* (vm, a) { return yield* none(sysc(vm, 'sethostname', textArg(a[0]!))); },
    getfqdn: function* (vm) { return (yield* sysc(vm, 'uname')).nodename; },
    gethostbyname: function* (_vm, a) { return yield* resolve(textArg(a[0]!)); },
    create_connection: function* (vm, a, kw) {
      const s = (yield* SOCKET.make!(vm, [], new Map())) as Native;
      const timeout = argument(a, kw, 1, 'timeout', null);
      if (timeout !== null) yield* TABLE.settimeout!(vm, [s, timeout], new Map());
      try {
        yield* TABLE.connect!(vm, [s, a[0]!], new Map());
      } catch (error) {
        yield* TABLE.close!(vm, [s], new Map());
        throw error;
      }
      return s;
    },
    create_server: function* (vm, a) {
      const s = (yield* SOCKET.make!(vm, [], new Map())) as Native;
      yield* sysc(vm, 'setsockopt', of(s).fd, 'SO_REUSEADDR', 1);
      yield* TABLE.bind!(vm, [s, a[0]!], new Map());
      yield* TABLE.listen!(vm, [s], new Map());
      return s;
    },
    socketpair: function* (vm) { return tuple((yield* sysc(vm, 'socketpair', AF_UNIX, SOCK_STREAM)).map((fd) => made(fd, AF_UNIX, SOCK_STREAM))); },
  })));
  for (const [name, n] of Object.entries({ AF_UNIX, AF_INET, SOCK_STREAM, SOCK_DGRAM, SOL_SOCKET: 1, SO_REUSEADDR: 2, SO_REUSEPORT: 15, SO_BROADCAST: 6, SO_KEEPALIVE: 9, SO_RCVBUF: 8, SO_SNDBUF: 7, IPPROTO_TCP: 6, TCP_NODELAY: 1, SHUT_RD: 0, SHUT_WR: 1, SHUT_RDWR: 2 })) vars.set(name, BigInt(n));
  return vars.set('socket', SOCKET).set('error', EXCEPTIONS.get('OSError')!).set('timeout', EXCEPTIONS.get('TimeoutError')!).set('gaierror', GAIERROR);
}
