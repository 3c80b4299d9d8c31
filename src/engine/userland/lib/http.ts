/**
 * HTTP over the door's stream sockets: what docker, the container runtime interface and kubectl talk through.
 *
 * Client: `request` for one answer, `open` for a body that keeps coming, `upgrade` for raw bytes after the head.
 * Server: `serve` accepts for ever; every connection gets a thread (clone with CLONE_VM|FILES|THREAD), so a handler may
 * block and the daemon's state is shared memory; between two yields nobody else runs.
 * Left out: TLS, keep-alive on the client side (one connection a request, as `Connection: close` says).
 */
import { AF_INET, AF_UNIX, AT_FDCWD, CLONE_FILES, CLONE_FS, CLONE_THREAD, CLONE_VM, SIG, SOCK_STREAM, SysError } from '../../kernel/abi.ts';
import { type Body, type Bytes, type Request, sys, type SockAddr } from '../../kernel/sys.ts';
import { text } from '../../sim/text.ts';
import {
  createParser, feed, finish, formatChunk, formatRequest, formatResponse, formatStreamHead, type Head, type Headers, joinBytes, LAST_CHUNK,
  splitTarget, type WireEvent, type WireParser,
} from '../../sim/wire.ts';

/** A call that yields system calls and returns T. */
// biome-ignore lint/suspicious/noExplicitAny: what is sent in depends on what was yielded
export type Call<T> = Generator<Request, T, any>;

export interface RequestOptions {
  method: string;
  /** Path with query. */
  path: string;
  headers?: Headers;
  body?: string | Uint8Array;
  /** The headers as they are given, and no other. */
  exactly?: boolean;
}

export interface Response {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** A response whose body is read piece by piece with `readChunk`, or, after an upgrade, a raw connection. */
export interface Stream {
  fd: number;
  status: number;
  headers: Record<string, string>;
  /** The head as it came, without the empty line. */
  raw: string;
  parser: WireParser;
  events: WireEvent[];
  /** The next piece of the body; null at its end. Throws EPIPE-like SysError('ECONNRESET') when it is cut off. */
  readChunk(): Call<Uint8Array | null>;
  close(): Call<void>;
}

const READ = 65536;
const MAX_BODY = 256 * 1024 * 1024;

/** Connects a stream socket; the caller closes it. Throws ENOENT, ECONNREFUSED, EACCES, EHOSTUNREACH. */
export function* dial(address: SockAddr): Call<number> {
  const fd = yield* sys('socket', address.family === 'unix' ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
  try {
    yield* sys('connect', fd, address);
  } catch (error) {
    yield* sys('close', fd);
    throw error;
  }
  return fd;
}

/** Writes all of it, however many calls that takes. */
export function* writeAll(fd: number, data: Bytes): Call<void> {
  let at = 0;
  while (at < data.length) at += yield* sys('write', fd, at === 0 ? data : data.subarray(at));
}

/** One request, its whole answer. */
export function* request(address: SockAddr, options: RequestOptions): Call<Response> {
  const stream = yield* open(address, options);
  const parts: Uint8Array[] = [];
  try {
    for (;;) {
      const chunk = yield* stream.readChunk();
      if (chunk === null) break;
      parts.push(chunk);
    }
  } finally {
    yield* stream.close();
  }
  return { status: stream.status, headers: stream.headers, body: text(joinBytes(parts)) };
}

/** One request; its answer's head is read, its body comes by `readChunk`. */
export function* open(address: SockAddr, options: RequestOptions): Call<Stream> {
  return yield* ask(yield* dial(address), address, options);
}

/** As `open`, on a connection that is there; closed when it fails. */
export function* ask(fd: number, address: SockAddr, options: RequestOptions): Call<Stream> {
  const host = address.family === 'unix' ? 'localhost' : `${address.address}:${address.port}`;
  try {
    yield* writeAll(fd, formatRequest(options.method, options.path, options.exactly ? (options.headers ?? {}) : { Host: host, Connection: 'close', ...options.headers }, options.body));
    const parser = createParser('response');
    parser.bodiless = options.method === 'HEAD';
    const events: WireEvent[] = [];
    for (;;) {
      const first = events.shift();
      if (first?.type === 'head') return streamOf(fd, first.head, parser, events);
      if (first) throw new SysError('EIO');
      yield* pull(fd, parser, events);
    }
  } catch (error) {
    yield* sys('close', fd);
    throw error;
  }
}

/** As `open` with `Connection: Upgrade`: with status 101 the stream's fd is raw; bytes that came along are `rest`. */
export function* upgrade(address: SockAddr, options: RequestOptions): Call<{ stream: Stream; rest: Uint8Array }> {
  const stream = yield* open(address, { ...options, headers: { ...options.headers, Connection: 'Upgrade', Upgrade: 'tcp' } });
  const rest = joinBytes(stream.events.flatMap((event) => (event.type === 'raw' ? [event.data] : [])));
  if (stream.status === 101) stream.events.length = 0;
  return { stream, rest };
}

function streamOf(fd: number, head: Head, parser: WireParser, events: WireEvent[]): Stream {
  const stream: Stream = {
    fd, status: head.status, headers: head.headers, raw: head.raw, parser, events,
    readChunk: () => nextChunk(stream),
    close: function* () {
      yield* sys('close', fd);
    },
  };
  return stream;
}

function* nextChunk(stream: Stream): Call<Uint8Array | null> {
  for (;;) {
    const event = stream.events[0];
    if (event?.type === 'end') return null;
    if (event?.type === 'error') throw new SysError('ECONNRESET');
    stream.events.shift();
    if (event?.type === 'body' || event?.type === 'raw') return event.data;
    if (!event) yield* pull(stream.fd, stream.parser, stream.events);
  }
}

/** Reads once and parses; at end of file an 'end' or 'error' is always there. */
function* pull(fd: number, parser: WireParser, events: WireEvent[]): Call<void> {
  const data = yield* sys('read', fd, READ);
  if (data.length > 0) {
    events.push(...feed(parser, data));
    return;
  }
  events.push(...finish(parser));
  if (events.length === 0) events.push(parser.state === 'raw' ? { type: 'end' } : { type: 'error', reason: 'unexpected EOF' });
}

/** A request being answered. Use one of `reply`, `beginStream`…`endStream`, `hijack`. */
export interface Exchange {
  fd: number;
  method: string;
  path: string;
  query: Record<string, string>;
  headers: Record<string, string>;
  /** The body as it came, and as text. */
  data: Uint8Array;
  body: string;
  answered: 'no' | 'streaming' | 'done' | 'hijacked';
}

export type Handler = (exchange: Exchange) => Call<void>;

/** A whole answer; records become JSON. */
export function* reply(exchange: Exchange, status: number, body?: unknown, headers: Headers = {}): Call<void> {
  exchange.answered = 'done';
  const textual = body === undefined || typeof body === 'string' || body instanceof Uint8Array;
  const type: Headers = textual ? {} : { 'Content-Type': 'application/json' };
  yield* writeAll(exchange.fd, formatResponse(status, { ...type, ...headers }, textual ? body : `${JSON.stringify(body)}\n`));
}

export function* beginStream(exchange: Exchange, status: number, headers: Headers = {}): Call<void> {
  exchange.answered = 'streaming';
  yield* writeAll(exchange.fd, formatStreamHead(status, headers));
}

export function* writeChunk(exchange: Exchange, data: Uint8Array | string): Call<void> {
  const chunk = formatChunk(data);
  if (chunk.length > 0) yield* writeAll(exchange.fd, chunk);
}

export function* endStream(exchange: Exchange): Call<void> {
  exchange.answered = 'done';
  yield* writeAll(exchange.fd, LAST_CHUNK);
}

/** Answers 101 and hands the connection over: raw bytes from here on. The server closes it after the handler. */
export function* hijack(exchange: Exchange, headers: Headers = {}): Call<number> {
  exchange.answered = 'hijacked';
  yield* writeAll(exchange.fd, formatStreamHead(101, { ...headers, Connection: 'Upgrade', Upgrade: 'tcp' }));
  return exchange.fd;
}

/** Binds (replacing a stale unix socket) and listens. Go's programs ask for a backlog of net.core.somaxconn. */
export function* listen(address: SockAddr, mode = 0o660, backlog = 128): Call<number> {
  const fd = yield* sys('socket', address.family === 'unix' ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
  if (address.family === 'unix') {
    try {
      yield* sys('unlinkat', AT_FDCWD, address.path, 0);
    } catch (error) {
      if (!(error instanceof SysError) || error.errno !== 'ENOENT') throw error;
    }
  }
  yield* sys('bind', fd, address);
  yield* sys('listen', fd, backlog);
  if (address.family === 'unix') yield* sys('fchmodat', AT_FDCWD, address.path, mode);
  return fd;
}

/** Starts `run` as a thread of this process. Returns its tid. */
export function* thread(run: () => Body): Call<number> {
  return yield* sys('clone', { flags: CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_THREAD, run });
}

/** Listens and answers for ever, a thread a connection. */
export function* serve(address: SockAddr, handler: Handler): Call<never> {
  return yield* serveOn(yield* listen(address), handler);
}

/** As `serve`, on a socket that already listens. */
export function* serveOn(listening: number, handler: Handler): Call<never> {
  yield* sys('rt_sigaction', SIG.PIPE, { handler: 'ignore' });
  for (;;) {
    let fd: number;
    try {
      fd = (yield* sys('accept4', listening, 0)).fd;
    } catch (error) {
      if (error instanceof SysError && (error.errno === 'EINTR' || error.errno === 'ECONNABORTED')) continue;
      throw error;
    }
    yield* thread(() => connection(fd, handler));
  }
}

function* connection(fd: number, handler: Handler): Body {
  try {
    yield* converse(fd, handler);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
  }
  try {
    yield* sys('close', fd);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
  }
  return 0;
}

/** Requests of one connection, one after another. */
function* converse(fd: number, handler: Handler): Call<void> {
  const parser = createParser('request');
  const events: WireEvent[] = [];
  for (;;) {
    const exchange = yield* receive(fd, parser, events);
    if (!exchange) return;
    try {
      yield* handler(exchange);
    } catch (error) {
      if (!(error instanceof SysError) || exchange.answered !== 'no') throw error;
      yield* reply(exchange, 500, { message: error.message });
    }
    if (exchange.answered === 'no') yield* reply(exchange, 404, { message: 'page not found' });
    if (exchange.answered !== 'done' || /close/i.test(exchange.headers.connection ?? '')) return;
  }
}

function* receive(fd: number, parser: WireParser, events: WireEvent[]): Call<Exchange | null> {
  let head: Head | null = null;
  const parts: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const event = events.shift();
    if (!event) {
      const data = yield* sys('read', fd, READ);
      if (data.length === 0) return null;
      events.push(...feed(parser, data));
    } else if (event.type === 'head') {
      head = event.head;
      if (/100-continue/i.test(head.headers.expect ?? '')) yield* writeAll(fd, formatResponse(100, {}));
    } else if (event.type === 'body') {
      size += event.data.length;
      parts.push(event.data);
      if (size > MAX_BODY) {
        yield* writeAll(fd, formatResponse(413, { Connection: 'close' }, 'body too large'));
        return null;
      }
    } else if (event.type === 'error') {
      yield* writeAll(fd, formatResponse(400, { Connection: 'close' }, event.reason));
      return null;
    } else if (event.type === 'end' && head) {
      return exchangeOf(fd, head, joinBytes(parts));
    }
  }
}

function exchangeOf(fd: number, head: Head, data: Uint8Array): Exchange {
  const { path, query } = splitTarget(head.target);
  let body: string | null = null;
  return {
    fd, method: head.method, path, query, headers: head.headers, data, answered: 'no',
    get body() {
      body ??= text(data);
      return body;
    },
  };
}
