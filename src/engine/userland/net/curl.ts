/** curl over plain HTTP/1.1. Source: curl(1) 8.14. Left out: TLS (refused), proxies, HTTP/2, cookies, uploads, rates in the progress meter, other schemes. */
import { SIG, SysError } from '../../kernel/abi.ts';
import type { LinkInfo } from '../../kernel/net/rtnetlink.ts';
import { type Program, type SockAddr, sys } from '../../kernel/sys.ts';
import { bytes, toBase64 } from '../../sim/text.ts';
import { joinBytes } from '../../sim/wire.ts';
import { BadOption, parseOptions, lastValue as optionValue, type Options } from '../lib/args.ts';
import { readBytes, writeFile } from '../lib/files.ts';
import { ask, type Call, dial, type RequestOptions, type Stream, writeAll } from '../lib/http.ts';
import { command, complain, print } from '../lib/io.ts';
import { ipNumber } from './addresses.ts';
import { allOf, hostHeader, parseUrl, type Url } from './fetch.ts';
import { resolve } from './names.ts';

/** A failure as curl numbers it. */
class CurlError extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** In curl's order: authorization before the agent, what -H and -e add last. */
function headersOf(options: Options, url: Url, body: Uint8Array | null): Record<string, string> {
  const given = (options.values.get('header') ?? []).map((line): [string, string] => [line.split(/[:;]/)[0]!.trim(), line.slice(line.search(/[:;]/) + 1).trim()]);
  const has = (name: string): string | undefined => given.find(([one]) => one.toLowerCase() === name.toLowerCase())?.[1];
  const user = optionValue(options, 'user');
  const json = options.values.has('json');
  const headers: Record<string, string> = { Host: has('Host') ?? hostHeader(url) };
  if (user !== undefined) headers.Authorization = `Basic ${toBase64(bytes(user))}`;
  if (optionValue(options, 'range') !== undefined) headers.Range = `bytes=${optionValue(options, 'range')}`;
  headers['User-Agent'] = has('User-Agent') ?? optionValue(options, 'user-agent') ?? 'curl/8.14.1';
  if (!json) headers.Accept = has('Accept') ?? '*/*';
  if (options.on.has('compressed')) headers['Accept-Encoding'] = 'deflate, gzip, br, zstd';
  const referer = optionValue(options, 'referer');
  if (referer !== undefined) headers.Referer = referer;
  if (json) Object.assign(headers, { 'Content-Type': has('Content-Type') ?? 'application/json', Accept: has('Accept') ?? 'application/json' });
  for (const [name, value] of given) if (!/^(host|user-agent|accept|content-type)$/i.test(name)) headers[name] = value;
  if (body) headers['Content-Length'] = String(body.length);
  const type = has('Content-Type') ?? (body && !json ? 'application/x-www-form-urlencoded' : undefined);
  if (type !== undefined) headers['Content-Type'] = type;
  for (const [name, value] of Object.entries(headers)) if (value === '') delete headers[name];
  return headers;
}

function* dataOf(options: Options): Call<Uint8Array | null> {
  const parts = ['data', 'data-ascii', 'data-binary', 'data-raw', 'data-urlencode', 'json'].flatMap((name) => (options.values.get(name) ?? []).map((value) => ({ name, value })));
  if (parts.length === 0) return null;
  const read: Uint8Array[] = [];
  for (const [i, { name, value }] of parts.entries()) {
    if (i > 0 && name !== 'json') read.push(bytes('&'));
    if (name === 'data-urlencode') read.push(bytes(value.includes('=') ? value.replace(/=(.*)$/s, (_m, text: string) => `=${encodeURIComponent(text)}`) : encodeURIComponent(value)));
    else if (!value.startsWith('@') || name === 'data-raw') read.push(bytes(value));
    else {
      const file = yield* readBytes(value === '@-' ? '/dev/stdin' : value.slice(1));
      read.push(name === 'data-binary' ? file : file.filter((byte) => byte !== 10 && byte !== 13));
    }
  }
  return joinBytes(read);
}

/** One transfer, for -v and -w. */
interface Transfer {
  url: Url;
  method: string;
  at: SockAddr;
  fd: number;
  began: number;
  connected: number;
  size: number;
}

/** Where the host is: as --resolve and --connect-to say, else as its name resolves. */
function* placeOf(options: Options, url: Url): Call<SockAddr> {
  const unix = optionValue(options, 'unix-socket');
  if (unix !== undefined) return { family: 'unix', path: unix };
  let { host, port } = url;
  for (const one of options.values.get('connect-to') ?? []) {
    const [from = '', fromPort = '', to = '', toPort = ''] = one.split(':');
    if ((from !== '' && from !== host) || (fromPort !== '' && Number(fromPort) !== port)) continue;
    host = to || host;
    port = Number(toPort || port);
    break;
  }
  for (const one of options.values.get('resolve') ?? []) {
    const [name, at, address] = one.split(':');
    if ((name === host || name === '*') && Number(at) === port && address !== undefined) return { family: 'inet', address: address.split(',')[0]!, port };
  }
  const address = yield* resolve(host);
  if (address === null) throw new CurlError(6, `Could not resolve host: ${host}`);
  return { family: 'inet', address, port };
}

const now = function* (): Call<number> {
  return yield* sys('clock_gettime', 'monotonic');
};

function* say(options: Options, text: string): Call<void> {
  if (options.on.has('verbose')) yield* complain(text);
}

function* connectTo(options: Options, { at, url, began }: Transfer): Call<number> {
  const from = optionValue(options, 'interface');
  if (from !== undefined && ipNumber(from) === null && !((yield* sys('netlink', { type: 'link.list' })) as LinkInfo[]).some((link) => link.name === from)) throw new CurlError(45, `Couldn't bind to '${from}' with errno 19: No such device`);
  yield* say(options, `*   Trying ${at.family === 'inet' ? `${at.address}:${at.port}` : (at as { path: string }).path}...\n`);
  try {
    const fd = yield* dial(at);
    yield* say(options, `* Connected to ${url.host} (${at.family === 'inet' ? at.address : (at as { path: string }).path}) port ${at.family === 'inet' ? at.port : 0}\n* using HTTP/1.x\n`);
    return fd;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const ns = (yield* now()) - began;
    const ms = Math.floor(ns / 1e6);
    if (error.errno === 'EINTR') throw new CurlError(28, `Connection timed out after ${Math.ceil(ns / 1e6)} milliseconds`);
    if (at.family === 'inet') yield* say(options, `* connect to ${at.address} port ${at.port} from ${(yield* localOf(at.address)) ?? '0.0.0.0'} port 0 failed: ${error.errno === 'ECONNREFUSED' ? 'Connection refused' : error.message}\n`);
    throw new CurlError(error.errno === 'ETIMEDOUT' ? 28 : 7, `Failed to connect to ${url.host} port ${url.port} after ${ms} ms: Could not connect to server`);
  }
}

function* localOf(to: string): Call<string | null> {
  try {
    return ((yield* sys('netlink', { type: 'route.get', to })) as { src: string }).src;
  } catch (error) {
    if (error instanceof SysError) return null;
    throw error;
  }
}

function* exchange(options: Options, url: Url, transfer: Transfer): Call<Stream> {
  const asGet = options.on.has('get');
  const data = yield* dataOf(options);
  const body = asGet ? null : data;
  const path = asGet && data ? `${url.path}${url.path.includes('?') ? '&' : '?'}${String.fromCharCode(...data)}` : url.path;
  transfer.method = optionValue(options, 'request') ?? (options.on.has('head') ? 'HEAD' : body ? 'POST' : 'GET');
  transfer.at = yield* placeOf(options, url);
  transfer.fd = yield* connectTo(options, transfer);
  transfer.connected = yield* now();
  const headers = headersOf(options, url, body);
  const request: RequestOptions = { method: transfer.method, path, headers, exactly: true, ...(body ? { body } : {}) };
  yield* say(options, `> ${transfer.method} ${path} HTTP/1.1\r\n${Object.entries(headers).map(([name, value]) => `> ${name}: ${value}\r\n`).join('')}> \r\n${body ? `} [${body.length} bytes data]\n* upload completely sent off: ${body.length} bytes\n` : '* Request completely sent off\n'}`);
  try {
    return yield* ask(transfer.fd, transfer.at, request);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    if (error.errno === 'EIO' || error.errno === 'ECONNRESET') throw new CurlError(52, 'Empty reply from server');
    throw error;
  }
}

/** -w: %{name}, and the escapes. */
function written(format: string, values: Readonly<Record<string, string>>): string {
  return format.replace(/%\{(\w+)\}/g, (_m, name: string) => values[name] ?? '').replaceAll('%%', '%').replaceAll('\\n', '\n').replaceAll('\\t', '\t').replaceAll('\\r', '\r');
}

function* writeOut(options: Options, transfer: Transfer, stream: Stream | null, text: string, status: number, fault = ''): Call<void> {
  const format = optionValue(options, 'write-out');
  if (format === undefined) return;
  const end = yield* now();
  const seconds = (ns: number): string => (Math.max(0, ns) / 1e9).toFixed(6);
  const { at, url } = transfer;
  const local = stream ? yield* sys('getsockname', transfer.fd) : null;
  const code = String(stream?.status ?? 0).padStart(3, '0');
  yield* print(written(format, {
    http_code: code, response_code: code, http_connect: '000', url: text, url_effective: stream || !/^\w+:\/\//.test(text) ? `${url.scheme}://${hostHeader(url)}${url.path}` : text, content_type: stream?.headers['content-type'] ?? '', method: transfer.method,
    size_download: String(transfer.size), size_header: String(stream ? stream.raw.length + 4 : 0), size_upload: '0', num_connects: stream ? '1' : '0', num_redirects: '0', redirect_url: stream?.headers.location ?? '',
    remote_ip: stream && at.family === 'inet' ? at.address : '', remote_port: stream && at.family === 'inet' ? String(at.port) : stream ? '0' : '0', local_ip: local?.family === 'inet' ? local.address : '', local_port: local?.family === 'inet' ? String(local.port) : '0',
    http_version: stream ? (stream.raw.startsWith('HTTP/1.1') ? '1.1' : '1') : '0', scheme: url.scheme, exitcode: String(status), time_total: seconds(end - transfer.began), time_connect: seconds((transfer.connected || transfer.began) - transfer.began),
    time_starttransfer: seconds(stream ? end - transfer.began : 0), time_namelookup: seconds(0), time_pretransfer: seconds((transfer.connected || transfer.began) - transfer.began), time_appconnect: seconds(0), time_redirect: seconds(0),
    filename_effective: outputOf(options, url) ?? '', errormsg: fault, speed_download: String(Math.round(transfer.size / Math.max(1e-6, (end - transfer.began) / 1e9))), speed_upload: '0', num_headers: String(stream ? Object.keys(stream.headers).length : 0),
  }));
}

const outputOf = (options: Options, url: Url): string | undefined => optionValue(options, 'output') ?? (options.on.has('remote-name') ? url.path.split('?')[0]!.split('/').pop() || 'curl_response' : undefined);

function* fetchOne(options: Options, text: string): Call<number> {
  let url = urlOf(text);
  const transfer: Transfer = { url, method: 'GET', at: { family: 'inet', address: '', port: 0 }, fd: -1, began: yield* now(), connected: 0, size: 0 };
  let stream: Stream | null = null;
  try {
    for (let hops = 0; ; hops++) {
      transfer.url = url;
      if (url.scheme === 'https') throw new CurlError(35, 'not modelled: TLS');
      if (url.scheme !== 'http') throw new CurlError(1, `Protocol "${url.scheme}" not supported`);
      stream = yield* exchange(options, url, transfer);
      if (stream.raw.startsWith('HTTP/1.0')) yield* say(options, '* HTTP 1.0, assume close after body\n');
      yield* say(options, `${stream.raw.split('\r\n').map((line) => `< ${line}\r\n`).join('')}< \r\n`);
      const { location } = stream.headers;
      if (options.on.has('location') && location && stream.status >= 300 && stream.status < 400) {
        if (hops >= Number(optionValue(options, 'max-redirs') ?? 50)) throw new CurlError(47, `Maximum (${hops}) redirects followed`);
        yield* stream.close();
        url = location.startsWith('/') ? { ...url, path: location } : (parseUrl(location) ?? url);
        continue;
      }
      if (options.on.has('fail') && stream.status >= 400) throw new CurlError(22, `The requested URL returned error: ${stream.status}`);
      yield* deliver(options, transfer, stream);
      yield* say(options, stream.raw.startsWith('HTTP/1.0') || /close/i.test(stream.headers.connection ?? '') ? '* shutting down connection #0\n' : `* Connection #0 to host ${url.host} left intact\n`);
      yield* writeOut(options, transfer, stream, text, 0);
      return 0;
    }
  } catch (error) {
    if (error instanceof CurlError) yield* writeOut(options, transfer, stream, text, error.code, error.message);
    throw error;
  } finally {
    if (stream) yield* stream.close();
  }
}

/** Throws what curl says of an address that it cannot take. */
function urlOf(text: string): Url {
  if (/^\w+:\/\/(?:[/?#]|$)/.test(text)) throw new CurlError(3, 'URL rejected: No host part in the URL');
  const url = parseUrl(text);
  if (!url) throw new CurlError(3, 'URL rejected: Malformed input to a URL function');
  if (!(url.port >= 0 && url.port <= 65535) || /^(?:\w+:\/\/)?[^/:?#]+:(?!\d+(?:[/?#]|$))(?!\/\/)[^/]/.test(text)) throw new CurlError(3, 'URL rejected: Port number was not a decimal number between 0 and 65535');
  return url;
}

/** A timer that ends whatever call is under way, for -m and --connect-timeout; whole seconds. */
function* limitTime(options: Options): Call<void> {
  const limit = optionValue(options, 'max-time') ?? optionValue(options, 'connect-timeout');
  if (limit === undefined) return;
  if (!/^\d+(\.\d*)?$/.test(limit)) {
    yield* complain(`curl: option ${optionValue(options, 'max-time') === undefined ? '--connect-timeout' : '--max-time'}: expected a proper numerical parameter\ncurl: try 'curl --help' or 'curl --manual' for more information\n`);
    yield* sys('exit_group', 2);
  }
  yield* sys('rt_sigaction', SIG.ALRM, {
    *handler() {
      // Its arrival is what counts: the call fails with EINTR.
    },
  });
  yield* sys('alarm', Math.max(1, Math.ceil(Number(limit))));
}

/** The body, and with -i or -I the head, to where it is wanted; piece by piece to the terminal. */
function* deliver(options: Options, transfer: Transfer, stream: Stream): Call<void> {
  const raw = `${stream.raw}\r\n\r\n`;
  const dump = optionValue(options, 'dump-header');
  if (dump !== undefined) yield* dump === '-' ? print(raw) : writeFile(dump, bytes(raw));
  const head = options.on.has('include') || options.on.has('head') ? raw : '';
  const output = outputOf(options, transfer.url);
  if (output === 'curl_response' && !options.values.has('output')) yield* complain('Warning: No remote file name, uses "curl_response"\n');
  if (output !== undefined && output !== '-') {
    const data = yield* allOf(stream);
    transfer.size = data.length;
    if (data.length > 0) yield* say(options, `{ [${data.length} bytes data]\n`);
    yield* writeFile(output, joinBytes([bytes(head), data]));
    return;
  }
  yield* print(head);
  for (let chunk = yield* stream.readChunk(); chunk !== null; chunk = yield* stream.readChunk()) {
    transfer.size += chunk.length;
    yield* say(options, `{ [${chunk.length} bytes data]\n`);
    yield* writeAll(1, chunk);
  }
}

const CURL_OPTIONS = `s/silent S/show-error i/include I/head i/show-headers L/location f/fail v/verbose k/insecure g/globoff N/no-buffer 4/ipv4 6/ipv6 O/remote-name G/get 0/http1.0 http1.1 http2 compressed no-progress-meter retry-connrefused retry-all-errors
  no-keepalive tcp-nodelay path-as-is fail-with-body o/output= X/request= H/header= d/data= data-ascii= data-binary= data-raw= data-urlencode= json= A/user-agent= e/referer= w/write-out= m/max-time= connect-timeout= unix-socket= u/user= r/range=
  retry= retry-delay= retry-max-time= max-redirs= D/dump-header= resolve= connect-to= interface= b/cookie= c/cookie-jar= noproxy= x/proxy= T/upload-file= F/form= #/progress-bar J/remote-header-name create-dirs V/version h/help`;

const TRY = "curl: try 'curl --help' or 'curl --manual' for more information\n";

/** One address, as often as --retry allows. */
function* transferOne(options: Options, text: string): Call<number> {
  const silent = options.on.has('silent') && !options.on.has('show-error');
  for (let left = Number(optionValue(options, 'retry') ?? 0); ; left--) {
    yield* limitTime(options);
    try {
      return yield* fetchOne(options, text);
    } catch (error) {
      let status: number;
      if (error instanceof SysError && error.errno === 'ECONNRESET') status = 18;
      else if (error instanceof SysError && error.errno === 'EINTR') status = 28;
      else if (error instanceof CurlError) status = error.code;
      else throw error;
      if (!silent) yield* complain(`curl: (${status}) ${status === 28 && error instanceof SysError ? 'Operation timed out' : (error as Error).message}\n`);
      const again = status === 28 || (status === 7 && options.on.has('retry-connrefused')) || options.on.has('retry-all-errors');
      if (left <= 0 || !again) return status;
      yield* sys('nanosleep', Math.max(0, Number(optionValue(options, 'retry-delay') ?? 1)) * 1e9);
    }
  }
}

export const curl: Program = command(function* (argv) {
  let options: Options;
  try {
    options = parseOptions(CURL_OPTIONS, argv.slice(1));
  } catch (error) {
    if (!(error instanceof BadOption)) throw error;
    const named = /'(.*)'$/.exec(error.message)?.[1] ?? '';
    const word = argv.slice(1).find((one) => one.startsWith('--') && one.slice(2).startsWith(named.replace(/^--/, '')) && named.startsWith('--')) ?? `-${named}`;
    yield* complain(`curl: option ${word}: ${error.message.includes('requires an argument') ? 'requires parameter' : 'is unknown'}\n${TRY}`);
    return 2;
  }
  if (options.on.has('version')) {
    yield* print('curl 8.14.1 (x86_64-pc-linux-gnu) libcurl/8.14.1 OpenSSL/3.5.9 zlib/1.3.1 brotli/1.1.0 zstd/1.5.7 libidn2/2.3.8 libpsl/0.21.2 libssh2/1.11.1 nghttp2/1.64.0 nghttp3/1.8.0 librtmp/2.3 OpenLDAP/2.6.10\nProtocols: http\n');
    return 0;
  }
  for (const name of ['upload-file', 'form', 'proxy', 'cookie-jar']) {
    if (!options.values.has(name)) continue;
    yield* complain(`curl: (2) not modelled: --${name}\n`);
    return 2;
  }
  if (options.words.includes('')) {
    yield* complain(`curl: option : blank argument where content is expected\n${TRY}`);
    return 2;
  }
  if (options.words.length === 0) {
    yield* complain(`curl: (2) no URL specified\n${TRY}`);
    return 2;
  }
  let status = 0;
  for (const url of options.words) status = yield* transferOne(options, url);
  return status;
});
