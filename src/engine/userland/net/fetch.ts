/**
 * curl and wget over plain HTTP/1.1. Source: curl(1) 8.14, wget(1) 1.25. Left out: TLS (refused), proxies, HTTP/2, cookies, retries, progress bars,
 * other schemes.
 */
import { SIG, SysError } from '../../kernel/abi.ts';
import { type Program, type SockAddr, sys } from '../../kernel/sys.ts';
import { bytes } from '../../sim/text.ts';
import { joinBytes } from '../../sim/wire.ts';
import { BadOption, parseOptions, lastValue as optionValue, type Options } from '../lib/args.ts';
import { readBytes, writeFile } from '../lib/files.ts';
import { type Call, open, type RequestOptions, type Stream, writeAll } from '../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';
import { GAI, getaddrinfo, resolve } from './names.ts';

interface Url {
  scheme: string;
  host: string;
  port: number;
  path: string;
}

function parseUrl(text: string): Url | null {
  const m = /^(?:([a-z][a-z0-9+.-]*):\/\/)?([^/:?#]+)(?::(\d+))?([/?][^#]*)?/i.exec(text);
  if (!m) return null;
  const scheme = (m[1] ?? 'http').toLowerCase();
  const path = m[4] ?? '/';
  return { scheme, host: m[2]!, port: Number(m[3] ?? (scheme === 'https' ? 443 : 80)), path: path.startsWith('?') ? `/${path}` : path };
}

function hostHeader({ host, port }: Url): string {
  return port === 80 ? host : `${host}:${port}`;
}

function* allOf(stream: Stream): Call<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (let chunk = yield* stream.readChunk(); chunk !== null; chunk = yield* stream.readChunk()) parts.push(chunk);
  return joinBytes(parts);
}

const REASONS: Record<number, string> = { 200: 'OK', 201: 'Created', 204: 'No Content', 301: 'Moved Permanently', 302: 'Found', 304: 'Not Modified', 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed', 409: 'Conflict', 500: 'Internal Server Error', 502: 'Bad Gateway', 503: 'Service Unavailable' };

function headText(stream: Stream): string {
  const title = (name: string): string => name.replace(/(^|-)[a-z]/g, (c) => c.toUpperCase());
  return `HTTP/1.1 ${stream.status} ${REASONS[stream.status] ?? ''}\r\n${Object.entries(stream.headers).map(([k, v]) => `${title(k)}: ${v}\r\n`).join('')}\r\n`;
}

/** A failure as curl numbers it. */
class CurlError extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

function* curlHeaders(options: Options, url: Url): Call<Record<string, string>> {
  const headers: Record<string, string> = { Host: hostHeader(url), 'User-Agent': optionValue(options, 'user-agent') ?? 'curl/8.14.1', Accept: '*/*' };
  for (const line of options.values.get('header') ?? []) {
    const cut = line.indexOf(':');
    if (cut > 0) headers[line.slice(0, cut).trim()] = line.slice(cut + 1).trim();
  }
  return headers;
}

function* curlBody(options: Options): Call<Uint8Array | null> {
  const parts = [...(options.values.get('data') ?? []), ...(options.values.get('data-binary') ?? []), ...(options.values.get('data-raw') ?? [])];
  if (parts.length === 0) return null;
  const read: Uint8Array[] = [];
  for (const [i, part] of parts.entries()) {
    if (i > 0) read.push(bytes('&'));
    read.push(part.startsWith('@') ? yield* readBytes(part === '@-' ? '/dev/stdin' : part.slice(1)) : bytes(part));
  }
  return joinBytes(read);
}

function* exchange(options: Options, url: Url): Call<Stream> {
  const unix = optionValue(options, 'unix-socket');
  const address = unix === undefined ? yield* resolve(url.host) : null;
  if (unix === undefined && address === null) throw new CurlError(6, `Could not resolve host: ${url.host}`);
  const at: SockAddr = unix === undefined ? { family: 'inet', address: address!, port: url.port } : { family: 'unix', path: unix };
  const body = yield* curlBody(options);
  const method = optionValue(options, 'request') ?? (options.on.has('head') ? 'HEAD' : body ? 'POST' : 'GET');
  const headers = yield* curlHeaders(options, url);
  if (body && !headers['Content-Type']) headers['Content-Type'] = 'application/x-www-form-urlencoded';
  const request: RequestOptions = { method, path: url.path, headers, ...(body ? { body } : {}) };
  const began = yield* sys('clock_gettime', 'monotonic');
  try {
    return yield* open(at, request);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    if (error.errno === 'EINTR') throw new CurlError(28, `Connection timed out after ${Math.ceil(((yield* sys('clock_gettime', 'monotonic')) - began) / 1e6)} milliseconds`);
    const ms = Math.floor(((yield* sys('clock_gettime', 'monotonic')) - began) / 1e6);
    if (error.errno === 'EIO' || error.errno === 'ECONNRESET') throw new CurlError(52, 'Empty reply from server');
    if (error.errno === 'ETIMEDOUT') throw new CurlError(28, `Failed to connect to ${url.host} port ${url.port} after ${ms} ms: Could not connect to server`);
    throw new CurlError(7, unix === undefined ? `Failed to connect to ${url.host} port ${url.port} after ${ms} ms: Could not connect to server` : `Failed to connect to ${url.host} port ${url.port} after ${ms} ms: Could not connect to server`);
  }
}

function expand(format: string, values: Record<string, string>): string {
  return format.replace(/%\{(\w+)\}/g, (_m, name: string) => values[name] ?? '').replaceAll('\\n', '\n').replaceAll('\\t', '\t');
}

function* fetchOne(options: Options, text: string): Call<void> {
  let url = parseUrl(text);
  if (!url) throw new CurlError(3, 'URL rejected: Malformed input to a URL function');
  for (let hops = 0; ; hops++) {
    if (url.scheme === 'https') throw new CurlError(35, 'not modelled: TLS');
    if (url.scheme !== 'http') throw new CurlError(1, `Protocol "${url.scheme}" not supported`);
    const stream: Stream = yield* exchange(options, url);
    const location = stream.headers.location;
    if (options.on.has('location') && location && stream.status >= 300 && stream.status < 400) {
      if (hops >= 50) throw new CurlError(47, 'Maximum (50) redirects followed');
      yield* stream.close();
      url = location.startsWith('/') ? { ...url, path: location } : (parseUrl(location) ?? url);
      continue;
    }
    if (options.on.has('verbose')) yield* complain(headText(stream).replace(/\r\n/g, '\n').replace(/^/gm, '< '));
    if (options.on.has('fail') && stream.status >= 400) {
      yield* stream.close();
      throw new CurlError(22, `The requested URL returned error: ${stream.status}`);
    }
    yield* deliver(options, url, stream);
    yield* stream.close();
    const write = optionValue(options, 'write-out');
    if (write) yield* print(expand(write, { http_code: String(stream.status), response_code: String(stream.status), url: text, content_type: stream.headers['content-type'] ?? '' }));
    return;
  }
}

/** A timer that ends whatever call is under way, for -m and --connect-timeout; whole seconds. */
function* limitTime(options: Options): Call<void> {
  const limit = optionValue(options, 'max-time') ?? optionValue(options, 'connect-timeout');
  if (limit === undefined) return;
  yield* sys('rt_sigaction', SIG.ALRM, {
    *handler() {
      // Its arrival is what counts: the call fails with EINTR.
    },
  });
  yield* sys('alarm', Math.max(1, Math.ceil(Number(limit))));
}

/** busybox' -T: an alarm; whether it rang. */
function* alarmAfter(seconds: string | undefined): Call<{ rang: boolean }> {
  const state = { rang: false };
  if (!Number(seconds)) return state;
  yield* sys('rt_sigaction', SIG.ALRM, {
    // biome-ignore lint/correctness/useYield: the type of a handler
    *handler() {
      state.rang = true;
    },
  });
  yield* sys('alarm', Math.max(1, Math.ceil(Number(seconds))));
  return state;
}

/** The body, and with -i or -I the head, to where it is wanted; piece by piece to the terminal. */
function* deliver(options: Options, url: Url, stream: Stream): Call<void> {
  const head = options.on.has('include') || options.on.has('head') ? headText(stream) : '';
  const output = optionValue(options, 'output') ?? (options.on.has('remote-name') ? url.path.split('?')[0]!.split('/').pop()! : undefined);
  if (output !== undefined && output !== '-') {
    yield* writeFile(output, joinBytes([bytes(head), yield* allOf(stream)]));
    return;
  }
  yield* print(head);
  for (let chunk = yield* stream.readChunk(); chunk !== null; chunk = yield* stream.readChunk()) yield* writeAll(1, chunk);
}

const CURL_OPTIONS =
  's/silent S/show-error i/include I/head L/location f/fail v/verbose k/insecure g/globoff N/no-buffer 4/ipv4 6/ipv6 O/remote-name o/output= X/request= H/header= d/data= data-binary= data-raw= A/user-agent= w/write-out= m/max-time= connect-timeout= unix-socket= u/user= retry= V/version';

export const curl: Program = command(function* (argv) {
  let options: Options;
  try {
    options = parseOptions(CURL_OPTIONS, argv.slice(1));
  } catch (error) {
    if (!(error instanceof BadOption)) throw error;
    yield* complain(`curl: option ${argv.slice(1).find((word) => word.startsWith('-')) ?? ''}: is unknown\ncurl: try 'curl --help' for more information\n`);
    return 2;
  }
  if (options.on.has('version')) {
    yield* print('curl 8.14.1 (x86_64-pc-linux-gnu)\nProtocols: http\n');
    return 0;
  }
  if (options.words.length === 0) {
    yield* complain("curl: (2) no URL specified\ncurl: try 'curl --help' or 'curl --manual' for more information\n");
    return 2;
  }
  let status = 0;
  for (const url of options.words) {
    yield* limitTime(options);
    try {
      yield* fetchOne(options, url);
    } catch (error) {
      if (error instanceof SysError && error.errno === 'ECONNRESET') status = 18;
      else if (error instanceof SysError && error.errno === 'EINTR') status = 28;
      else if (!(error instanceof CurlError)) throw error;
      else status = error.code;
      if (!options.on.has('silent') || options.on.has('show-error')) yield* complain(`curl: (${status}) ${status === 28 && error instanceof SysError ? 'Operation timed out' : error.message}\n`);
    }
  }
  return status;
});

export const wget: Program = command(function* (argv) {
  const options = parseOptions('q/quiet O/output-document= S/server-response T/timeout= t/tries= spider post-data= header= 4 nv/no-verbose c/continue', argv.slice(1));
  const quiet = options.on.has('quiet');
  let worst = 0;
  for (const text of options.words) worst = Math.max(worst, yield* wgetOne(options, text, quiet));
  if (options.words.length === 0) {
    yield* complain("wget: missing URL\nUsage: wget [OPTION]... [URL]...\n\nTry `wget --help' for more options.\n");
    return 1;
  }
  return worst;
});

function* wgetOne(options: Options, text: string, quiet: boolean): Call<number> {
  const url = parseUrl(text);
  const say = function* (line: string): Call<void> {
    if (!quiet) yield* complain(line);
  };
  if (url?.scheme !== 'http') {
    yield* say(`${text}: not modelled: ${url?.scheme === 'https' ? 'TLS' : 'this scheme'}.\n`);
    return 1;
  }
  const file = optionValue(options, 'output-document') ?? (url.path.split('?')[0]!.split('/').pop() || 'index.html');
  const found = yield* getaddrinfo(url.host);
  if ('failure' in found) {
    yield* say(`Resolving ${url.host} (${url.host})... failed: ${GAI[found.failure]}.\nwget: unable to resolve host address ‘${url.host}’\n`);
    return 4;
  }
  const { address } = found;
  yield* say(`Connecting to ${url.host === address ? address : `${url.host} (${url.host})|${address}|`}:${url.port}... `);
  let stream: Stream;
  const post = optionValue(options, 'post-data');
  try {
    stream = yield* open({ family: 'inet', address, port: url.port }, {
      method: post === undefined ? 'GET' : 'POST', path: url.path, headers: { Host: hostHeader(url), 'User-Agent': 'Wget/1.25.0', Accept: '*/*' }, ...(post === undefined ? {} : { body: post }),
    });
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* say(`failed: ${strerror(error)}.\n`);
    return 4;
  }
  yield* say(`connected.\nHTTP request sent, awaiting response... ${stream.status} ${REASONS[stream.status] ?? ''}\n`);
  const body = yield* allOf(stream);
  yield* stream.close();
  if (stream.status >= 400) {
    yield* say(`ERROR ${stream.status}: ${REASONS[stream.status] ?? ''}.\n`);
    return 8;
  }
  if (options.on.has('spider')) return 0;
  if (file === '-') yield* writeAll(1, body);
  else yield* writeFile(file, body);
  yield* say(`Length: ${body.length}${stream.headers['content-type'] ? ` [${stream.headers['content-type']}]` : ''}\nSaving to: ‘${file === '-' ? 'STDOUT' : file}’\n\n‘${file === '-' ? '-' : file}’ saved [${body.length}/${body.length}]\n\n`);
  return 0;
}

/** wget of busybox. Left out: the progress bar. */
export const busyboxWget: Program = command(function* (argv) {
  const options = parseOptions('q/quiet O/output-document= S/server-response T/timeout= t/tries= spider post-data= header= c/continue P= U= Y=', argv.slice(1));
  const quiet = options.on.has('quiet');
  const text = options.words[0];
  if (text === undefined) {
    yield* complain('BusyBox v1.37.0 (Debian 1:1.37.0-6) multi-call binary.\n\nUsage: wget [-cqS] [--spider] [-O FILE] URL...\n');
    return 1;
  }
  const url = parseUrl(text);
  if (url?.scheme !== 'http') throw new Failed(url?.scheme === 'https' ? 'not modelled: TLS' : `not an http or ftp url: ${text}`);
  const address = yield* resolve(url.host);
  if (address === null) throw new Failed(`bad address '${url.host}'`);
  if (!quiet) yield* complain(`Connecting to ${url.host} (${address}:${url.port})\n`);
  const post = optionValue(options, 'post-data');
  const late = yield* alarmAfter(optionValue(options, 'timeout'));
  let stream: Stream;
  try {
    stream = yield* open({ family: 'inet', address, port: url.port }, {
      method: post === undefined ? 'GET' : 'POST', path: url.path, headers: { Host: hostHeader(url), 'User-Agent': 'Wget' }, ...(post === undefined ? {} : { body: post }),
    });
  } catch (error) {
    if (late.rang) throw new Failed('download timed out');
    if (error instanceof SysError) throw new Failed(`can't connect to remote host (${address}): ${strerror(error)}`);
    throw error;
  }
  if (stream.status >= 400) {
    yield* stream.close();
    throw new Failed(`server returned error: HTTP/1.1 ${stream.status} ${REASONS[stream.status] ?? ''}`);
  }
  const body = yield* allOf(stream);
  yield* stream.close();
  if (options.on.has('spider')) return 0;
  const file = optionValue(options, 'output-document') ?? (url.path.split('?')[0]!.split('/').pop() || 'index.html');
  if (file === '-') yield* writeAll(1, body);
  else yield* writeFile(file, body);
  if (!quiet) yield* complain(file === '-' ? 'writing to stdout\nwritten to stdout\n' : `saving to '${file}'\n'${file}' saved\n`);
  return 0;
});
