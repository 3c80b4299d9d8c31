/** wget over plain HTTP/1.1, GNU's and busybox's. Source: wget(1) 1.25. Left out: TLS (refused), proxies, recursion, cookies, retries, progress bars, other schemes. */
import { SIG, SysError } from '../../kernel/abi.ts';
import { type Program, sys } from '../../kernel/sys.ts';
import { joinBytes } from '../../sim/wire.ts';
import { parseOptions, lastValue as optionValue, type Options } from '../lib/args.ts';
import { isoSeconds } from '../lib/clock.ts';
import { statOf, writeFile } from '../lib/files.ts';
import { type Call, open, type Stream, writeAll } from '../lib/http.ts';
import { command, complain, Failed, strerror } from '../lib/io.ts';
import { GAI, getaddrinfo, resolve } from './names.ts';

export interface Url {
  scheme: string;
  host: string;
  port: number;
  path: string;
}

export function parseUrl(text: string): Url | null {
  const m = /^(?:([a-z][a-z0-9+.-]*):\/\/)?([^/:?#]+)(?::(\d+))?([/?][^#]*)?/i.exec(text);
  if (!m) return null;
  const scheme = (m[1] ?? 'http').toLowerCase();
  const path = m[4] ?? '/';
  return { scheme, host: m[2]!, port: Number(m[3] ?? (scheme === 'https' ? 443 : 80)), path: path.startsWith('?') ? `/${path}` : path };
}

export function hostHeader({ host, port }: Url): string {
  return port === 80 ? host : `${host}:${port}`;
}

export function* allOf(stream: Stream): Call<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (let chunk = yield* stream.readChunk(); chunk !== null; chunk = yield* stream.readChunk()) parts.push(chunk);
  return joinBytes(parts);
}

const REASONS: Record<number, string> = { 200: 'OK', 201: 'Created', 204: 'No Content', 301: 'Moved Permanently', 302: 'Found', 304: 'Not Modified', 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed', 409: 'Conflict', 500: 'Internal Server Error', 502: 'Bad Gateway', 503: 'Service Unavailable' };

/** -T: an alarm; whether it rang. */
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

const WGET_OPTIONS = 'q/quiet O/output-document= S/server-response T/timeout= t/tries= spider post-data= header= 4 6 c/continue P/directory-prefix= U/user-agent= N/timestamping b/background v/verbose d/debug nc/no-clobber nv/no-verbose no-check-certificate no-proxy timeout= connect-timeout= read-timeout= method= body-data= user= password= content-on-error show-progress progress= V/version h/help';

export const wget: Program = command(function* (argv) {
  const options = parseOptions(WGET_OPTIONS, argv.slice(1).map((word) => (word === '-nv' ? '--no-verbose' : word === '-nc' ? '--no-clobber' : word)));
  if (options.words.length === 0) {
    yield* complain("wget: missing URL\nUsage: wget [OPTION]... [URL]...\n\nTry `wget --help' for more options.\n");
    return 1;
  }
  let worst = 0;
  for (const text of options.words) worst = Math.max(worst, yield* wgetOne(options, text));
  return worst;
}, 2);

/** Local time as wget's lines begin. */
function* clock(): Call<string> {
  return isoSeconds(yield* sys('clock_gettime', 'realtime')).replace('T', ' ').slice(0, 19);
}

/** A name that is not there yet: a.txt, a.txt.1, a.txt.2. */
function* freeName(name: string): Call<string> {
  for (let n = 0; ; n++) {
    const one = n === 0 ? name : `${name}.${n}`;
    if ((yield* statOf(one)) === null) return one;
  }
}

function* wgetOne(options: Options, text: string): Call<number> {
  if (/^\w+:\/\/(?:[/?#]|$)/.test(text)) {
    yield* complain(`${text}: Invalid host name.\n`);
    return 1;
  }
  const url = parseUrl(text);
  const terse = options.on.has('no-verbose');
  const quiet = options.on.has('quiet');
  const say = function* (line: string, also: 'with -nv' | 'verbose' = 'verbose'): Call<void> {
    if (!quiet && (!terse || also === 'with -nv')) yield* complain(line);
  };
  if (url?.scheme !== 'http') {
    yield* say(`${text}: not modelled: ${url?.scheme === 'https' ? 'TLS' : 'this scheme'}.\n`);
    return 1;
  }
  const spider = options.on.has('spider');
  const output = optionValue(options, 'output-document');
  const shown = `http://${hostHeader(url)}${url.path}`;
  if (spider) yield* say('Spider mode enabled. Check if remote file exists.\n');
  yield* say(`--${yield* clock()}--  ${shown}\n`);
  const found = yield* getaddrinfo(url.host);
  if ('failure' in found) {
    yield* say(`Resolving ${url.host} (${url.host})... failed: ${GAI[found.failure]}.\n`);
    yield* say(`wget: unable to resolve host address ‘${url.host}’\n`, 'with -nv');
    return 4;
  }
  const { address } = found;
  if (url.host !== address) yield* say(`Resolving ${url.host} (${url.host})... ${address}\n`);
  const stream = yield* wgetAsk(options, url, address, say, spider ? 'HEAD' : 'GET');
  if (stream === null) return 4;
  const status = stream.raw.split('\r\n')[0]!.replace(/^\S+ /, '');
  const server = options.on.has('server-response');
  yield* say(`HTTP request sent, awaiting response... ${server ? '' : `${status}\n`}`);
  if (server) yield* complain(`${quiet || terse ? '' : '\n'}${stream.raw.split('\r\n').map((line) => `  ${line}\n`).join('')}`);
  const body = yield* allOf(stream);
  yield* stream.close();
  if (stream.status >= 400) {
    if (spider && stream.status === 404) yield* say('Remote file does not exist -- broken link!!!\n\n', 'with -nv');
    else yield* say(`${yield* clock()} ERROR ${status.replace(/^(\d+) ?/, '$1: ')}.\n${terse ? '' : '\n'}`, 'with -nv');
    return 8;
  }
  const length = stream.headers['content-length'];
  yield* say(`Length: ${length === undefined ? 'unspecified' : `${length}${Number(length) >= 1024 ? ` (${sized(Number(length))})` : ''}`}${stream.headers['content-type'] ? ` [${stream.headers['content-type'].replace(/;.*/, '')}]` : ''}\n`);
  if (spider) {
    yield* say(/^text\/html|^application\/xhtml/.test(stream.headers['content-type'] ?? '') ? 'Remote file exists and could contain further links,\nbut recursion is disabled -- not retrieving.\n\n' : 'Remote file exists.\n\n');
    return 0;
  }
  const prefix = optionValue(options, 'directory-prefix');
  const file = output ?? (yield* freeName(`${prefix === undefined ? '' : `${prefix}/`}${url.path.split('?')[0]!.split('/').pop() || 'index.html'}`));
  const name = file === '-' ? 'STDOUT' : file;
  if (file === '-') yield* writeAll(1, body);
  else yield* writeFile(file, body);
  const at = yield* clock();
  yield* say(`Saving to: ‘${name}’\n\n${dots(body.length)}\n${at} (${rateOf(body.length)}) - ${file === '-' ? 'written to stdout' : `‘${file}’ saved`} [${body.length}${length === undefined ? '' : `/${length}`}]\n\n`);
  if (terse) yield* say(`${at} URL:${shown} [${body.length}${length === undefined ? '' : `/${length}`}] -> "${file}" [1]\n`, 'with -nv');
  return 0;
}

const sized = (n: number): string => (n >= 10240 ? `${Math.round(n / 1024)}K` : n >= 1024 ? `${(n / 1024).toFixed(1)}K` : String(n));
/** What came took a millisecond: the model's network has no rate of its own here. */
const rateOf = (n: number): string => (n * 1000 >= 1048576 ? `${((n * 1000) / 1048576).toFixed(1)} MB/s` : `${Math.round((n * 1000) / 1024)} KB/s`);

/** A dot a kilobyte, fifty a row, as wget draws where no terminal is. */
function dots(size: number): string {
  const rows = Math.max(1, Math.ceil(Math.floor(size / 1024) / 50));
  let out = '';
  for (let row = 0; row < rows; row++) {
    const here = Math.min(50, Math.floor(size / 1024) - row * 50);
    const cells = Array.from({ length: 5 }, (_, i) => ` ${'.'.repeat(Math.max(0, Math.min(10, here - i * 10))).padEnd(10)}`).join('');
    const percent = row === rows - 1 ? 100 : Math.floor(((row + 1) * 50 * 1024 * 100) / size);
    out += `${`${row * 50}K`.padStart(7)}${cells}${String(percent).padStart(3)}% ${sized(size * 1000).padStart(5)}=0s\n`;
  }
  return out;
}

type Say = (line: string) => Call<void>;

function* wgetAsk(options: Options, url: Url, address: string, say: Say, plain: string): Call<Stream | null> {
  const post = optionValue(options, 'post-data');
  yield* say(`Connecting to ${url.host === address ? address : `${url.host} (${url.host})|${address}|`}:${url.port}... `);
  const late = yield* alarmAfter(optionValue(options, 'timeout') ?? optionValue(options, 'connect-timeout'));
  try {
    const stream = yield* open({ family: 'inet', address, port: url.port }, {
      method: post === undefined ? (optionValue(options, 'method') ?? plain) : 'POST', path: url.path, headers: { Host: hostHeader(url), 'User-Agent': optionValue(options, 'user-agent') ?? 'Wget/1.25.0', Accept: '*/*' }, ...(post === undefined ? {} : { body: post }),
    });
    yield* say('connected.\n');
    return stream;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* say(`failed: ${late.rang ? 'Connection timed out' : strerror(error)}.\n`);
    if (late.rang || error.errno === 'ETIMEDOUT') yield* say('Giving up.\n\n');
    return null;
  }
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
