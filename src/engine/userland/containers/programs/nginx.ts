/**
 * nginx as its image runs it: a master that reads nginx.conf and holds the sockets, workers that answer from the files of
 * each server's root, an access log, SIGQUIT and SIGTERM. Of the configuration it acts on worker_processes, listen, root,
 * index, location (prefix), return, access_log and error_log; other directives are read and left.
 */
import { AT_FDCWD, ERRNO, O_APPEND, O_CREAT, O_WRONLY, SIG, SysError } from '../../../kernel/abi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { bytes } from '../../../sim/text.ts';
import { attempt, exists, fork, isDir, readBytes, statOf, tryRead, writeFile } from '../../lib/files.ts';
import { type Call, type Exchange, listen, reply, serveOn, thread, writeAll } from '../../lib/http.ts';
import { complain, print } from '../../lib/io.ts';
import { isoSeconds, nowNs } from '../../lib/clock.ts';

const VERSION = 'nginx/1.29.3';

interface Location {
  prefix: string;
  root: string;
  index: string[];
  answer: { status: number; text: string } | null;
}
interface Server {
  port: number;
  locations: Location[];
}
interface Config {
  workers: number;
  accessLog: string;
  errorLog: string;
  pid: string;
  servers: Server[];
}
interface Block {
  words: string[];
  inner: Block[] | null;
}

class BadConfig extends Error {}

/** Directives and blocks of nginx's configuration language. */
function parse(source: string): Block[] {
  const tokens = source.replace(/#.*$/gm, '').match(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[{};]|[^\s{};]+/g) ?? [];
  let at = 0;
  const block = (depth: number): Block[] => {
    const out: Block[] = [];
    let words: string[] = [];
    for (; at < tokens.length; at++) {
      const t = tokens[at]!;
      if (t === ';') {
        if (words.length === 0) throw new BadConfig('unexpected ";"');
        out.push({ words, inner: null });
        words = [];
      } else if (t === '{') {
        at++;
        out.push({ words, inner: block(depth + 1) });
        words = [];
      } else if (t === '}') {
        if (depth === 0 || words.length > 0) throw new BadConfig('unexpected "}"');
        return out;
      } else words.push(t.replace(/^(["'])(.*)\1$/s, '$2'));
    }
    if (depth > 0 || words.length > 0) throw new BadConfig(`unexpected end of file, expecting ${words.length > 0 ? '";" or "}"' : '"}"'}`);
    return out;
  };
  return block(0);
}

const named = (blocks: readonly Block[] | null, name: string): Block[] => (blocks ?? []).filter((b) => b.words[0] === name);
const value = (blocks: readonly Block[] | null, name: string): string | undefined => named(blocks, name)[0]?.words[1];

function configOf(blocks: readonly Block[]): Config {
  const http = named(blocks, 'http')[0]?.inner ?? [];
  const servers = named(http, 'server').map((s): Server => {
    const root = value(s.inner, 'root') ?? value(http, 'root') ?? '/etc/nginx/html';
    const index = named(s.inner, 'index')[0]?.words.slice(1) ?? ['index.html'];
    const answerOf = (b: Block[] | null): Location['answer'] => {
      const r = named(b, 'return')[0]?.words;
      return r ? { status: Number(r[1]), text: r[2] ?? '' } : null;
    };
    const locations = named(s.inner, 'location').map((l) => ({
      prefix: l.words.at(-1) ?? '/', root: value(l.inner, 'root') ?? root, index: named(l.inner, 'index')[0]?.words.slice(1) ?? index, answer: answerOf(l.inner),
    }));
    return { port: Number(/(\d+)$/.exec(value(s.inner, 'listen') ?? '80')?.[1] ?? 80), locations: [...locations, { prefix: '/', root, index, answer: answerOf(s.inner) }] };
  });
  const workers = value(blocks, 'worker_processes') ?? '1';
  return {
    workers: workers === 'auto' ? 2 : Number(workers), pid: value(blocks, 'pid') ?? '/run/nginx.pid', servers,
    accessLog: value(http, 'access_log') ?? '/var/log/nginx/access.log', errorLog: value(blocks, 'error_log') ?? '/var/log/nginx/error.log',
  };
}

export function* nginx(argv: readonly string[]): Body {
  if (argv.includes('-v')) {
    yield* complain(`nginx version: ${VERSION}\n`);
    return 0;
  }
  const wrong = badOption(argv);
  if (wrong !== null) {
    yield* complain(`nginx: ${wrong}\n`);
    return 1;
  }
  const path = argv.includes('-c') ? argv[argv.indexOf('-c') + 1]! : '/etc/nginx/nginx.conf';
  let config: Config;
  try {
    config = configOf(parse(yield* sources(path)));
  } catch (error) {
    if (!(error instanceof BadConfig)) throw error;
    yield* complain(`nginx: [emerg] ${error.message} in ${path}\n`);
    return 1;
  }
  if (argv.includes('-t') || argv.includes('-T')) {
    if (!argv.includes('-q')) yield* complain(`nginx: the configuration file ${path} syntax is ok\nnginx: configuration file ${path} test is successful\n`);
    if (argv.includes('-T')) yield* print(`# configuration file ${path}:\n${yield* sources(path)}\n`);
    return 0;
  }
  if (argv.includes('-s')) return yield* signalMaster(config, argv[argv.indexOf('-s') + 1]!);
  return yield* master(config, path);
}

const SIGNALS: Readonly<Record<string, number>> = { stop: SIG.TERM, quit: SIG.QUIT, reload: SIG.HUP, reopen: SIG.USR1 };
const TAKES: ReadonlySet<string> = new Set(['-c', '-s', '-g', '-p', '-e']);
const FLAGS: ReadonlySet<string> = new Set(['-t', '-T', '-q', '-v', '-V', '-h', '-?']);

/** What is wrong with the command line, or null. */
function badOption(argv: readonly string[]): string | null {
  for (let i = 1; i < argv.length; i++) {
    const word = argv[i]!;
    if (TAKES.has(word)) {
      const given = argv[++i];
      if (given === undefined) return `option "${word}" requires ${word === '-s' || word === '-g' ? 'parameter' : 'file name'}`;
      if (word === '-s' && SIGNALS[given] === undefined) return `invalid option: "-s ${given}"`;
    } else if (!FLAGS.has(word)) return word.startsWith('-') ? `invalid option: "${word.slice(1)}"` : `invalid option: "${word}"`;
  }
  return null;
}

/** -s: a signal to the master whose pid the file has. */
function* signalMaster(config: Config, name: string): Call<number> {
  const pid = (yield* tryRead(config.pid))?.trim();
  if (pid === undefined) yield* complain(`nginx: [error] open() "${config.pid}" failed (2: No such file or directory)\n`);
  else if (!/^\d+$/.test(pid)) yield* complain(`nginx: [error] invalid PID number "${pid}" in "${config.pid}"\n`);
  else if ((yield* attempt(sys('kill', Number(pid), SIGNALS[name]!), null)) === null) yield* complain(`nginx: [alert] kill(${pid}, ${SIGNALS[name]}) failed (3: No such process)\n`);
  else return 0;
  return 1;
}

/** The configuration with what it includes. */
function* sources(path: string): Call<string> {
  const source = yield* tryRead(path);
  if (source === null) throw new BadConfig(`open() "${path}" failed (2: No such file or directory)`);
  return source;
}

function* logTo(path: string): Call<number> {
  return yield* attempt(sys('openat', AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND, 0o644), 2);
}

function* notice(fd: number, text: string): Call<void> {
  const pid = yield* sys('getpid');
  yield* attempt(writeAll(fd, bytes(`${stamp(yield* nowNs()).error} [notice] ${pid}#${pid}: ${text}\n`)), undefined);
}

/** A socket a server, taken over from before where the port is the same. Null: told already. */
function* open(config: Config, before: ReadonlyMap<number, number>): Call<number[] | null> {
  const sockets: number[] = [];
  for (const server of config.servers) {
    const known = before.get(server.port);
    if (known !== undefined) {
      sockets.push(known);
      continue;
    }
    try {
      sockets.push(yield* listen({ family: 'inet', address: '0.0.0.0', port: server.port }, undefined, 511));
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      yield* complain(`nginx: [emerg] bind() to 0.0.0.0:${server.port} failed (${ERRNO[error.errno][0]}: ${error.message})\n`);
      return null;
    }
  }
  return sockets;
}

function* master(first: Config, path: string): Call<number> {
  let config = first;
  const errors = yield* logTo(config.errorLog);
  let sockets = yield* open(config, new Map());
  if (!sockets) return 1;
  yield* attempt(writeFile(config.pid, `${yield* sys('getpid')}\n`), undefined);
  for (const text of ['using the "epoll" event method', VERSION, 'start worker processes']) yield* notice(errors, text);
  const workers = new Set<number>();
  for (let i = 0; i < config.workers; i++) {
    const [now, held] = [config, sockets];
    const pid = yield* fork(() => worker(now, held, errors));
    workers.add(pid);
    yield* notice(errors, `start worker process ${pid}`);
  }
  const leaving = new Set<number>();
  let reloading = false;
  yield* sys('rt_sigaction', SIG.HUP, {
    // biome-ignore lint/correctness/useYield: a handler is a generator
    *handler(): Body {
      reloading = true;
    },
  });
  yield* sys('rt_sigaction', SIG.USR1, { handler: 'ignore' });
  let ending = 0;
  for (const signal of [SIG.QUIT, SIG.TERM, SIG.INT]) {
    yield* sys('rt_sigaction', signal, {
      *handler(): Body {
        ending = signal;
        for (const pid of workers) yield* attempt(sys('kill', pid, signal), 0);
      },
    });
  }
  while (workers.size > 0) {
    const ended = yield* attempt(sys('wait4', -1, 0), null, 'EINTR');
    if (reloading) {
      reloading = false;
      const next = yield* reconfigure(path, errors, new Map(config.servers.map((server, i) => [server.port, sockets![i]!])));
      if (next) {
        ({ config, sockets } = next);
        for (const pid of workers) leaving.add(pid);
        for (let i = 0; i < config.workers; i++) workers.add(yield* fork(() => worker(next.config, next.sockets, errors)));
        for (const pid of leaving) yield* attempt(sys('kill', pid, SIG.QUIT), 0);
      }
    }
    if (!ended) continue;
    workers.delete(ended.pid);
    if (ending || leaving.delete(ended.pid)) continue;
    yield* notice(errors, `worker process ${ended.pid} exited, start another`);
    const [now, held] = [config, sockets];
    workers.add(yield* fork(() => worker(now, held, errors)));
  }
  yield* notice(errors, 'exit');
  yield* attempt(sys('unlinkat', AT_FDCWD, config.pid, 0), 0);
  return 0;
}

/** SIGHUP: the file again; what is wrong with it is logged, and the old configuration stays. */
function* reconfigure(path: string, errors: number, before: ReadonlyMap<number, number>): Call<{ config: Config; sockets: number[] } | null> {
  yield* notice(errors, 'signal 1 (SIGHUP) received, reconfiguring');
  try {
    const config = configOf(parse(yield* sources(path)));
    const sockets = yield* open(config, before);
    return sockets ? { config, sockets } : null;
  } catch (error) {
    if (!(error instanceof BadConfig)) throw error;
    yield* complain(`nginx: [emerg] ${error.message} in ${path}\n`);
    return null;
  }
}

function* worker(config: Config, sockets: readonly number[], errors: number): Body {
  for (const signal of [SIG.QUIT, SIG.TERM, SIG.INT]) {
    yield* sys('rt_sigaction', signal, {
      *handler(): Body {
        yield* notice(errors, signal === SIG.QUIT ? 'gracefully shutting down' : 'exiting');
        yield* sys('exit_group', 0);
      },
    });
  }
  const access = yield* logTo(config.accessLog);
  for (const [i, socket] of sockets.entries()) {
    const server = config.servers[i]!;
    const run = (): Call<never> => serveOn(socket, (exchange) => answer(server, access, exchange));
    if (i < sockets.length - 1) yield* thread(run);
    else yield* run();
  }
  return 0;
}

const TYPES: Readonly<Record<string, string>> = { html: 'text/html', htm: 'text/html', css: 'text/css', js: 'application/javascript', json: 'application/json', txt: 'text/plain', xml: 'text/xml', png: 'image/png', svg: 'image/svg+xml' };
const REASONS: Readonly<Record<number, string>> = { 301: 'Moved Permanently', 302: 'Found', 403: 'Forbidden', 404: 'Not Found', 405: 'Not Allowed', 500: 'Internal Server Error' };

function* answer(server: Server, access: number, exchange: Exchange): Call<void> {
  const location = server.locations.filter((l) => exchange.path.startsWith(l.prefix)).sort((a, b) => b.prefix.length - a.prefix.length)[0]!;
  const headers = { Server: VERSION };
  let status: number;
  let body: Uint8Array;
  let type = 'text/html';
  if (location.answer) {
    status = location.answer.status;
    body = bytes(location.answer.text);
    type = 'application/octet-stream';
  } else if (exchange.method !== 'GET' && exchange.method !== 'HEAD') {
    status = 405;
    body = page(405);
  } else {
    const path = location.root.replace(/\/$/, '') + exchange.path.split('/').filter((p) => p !== '..').join('/');
    const found = yield* file(path, location);
    status = typeof found === 'number' ? found : 200;
    body = typeof found === 'number' ? page(found) : found.data;
    if (typeof found !== 'number') type = TYPES[found.name.split('.').pop() ?? ''] ?? 'application/octet-stream';
  }
  yield* reply(exchange, status, exchange.method === 'HEAD' ? new Uint8Array(0) : body, { ...headers, 'Content-Type': type });
  yield* logAccess(access, exchange, status, body.length);
}

function* file(path: string, location: Location): Call<{ name: string; data: Uint8Array } | number> {
  let at = path;
  const stat = yield* statOf(path);
  if (stat && isDir(stat)) {
    for (const name of location.index) if (yield* exists(`${path.replace(/\/$/, '')}/${name}`)) at = `${path.replace(/\/$/, '')}/${name}`;
    if (at === path) return 403;
  }
  try {
    return { name: at, data: yield* readBytes(at) };
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return error.errno === 'EACCES' ? 403 : 404;
  }
}

function page(status: number): Uint8Array {
  const title = `${status} ${REASONS[status] ?? ''}`;
  return bytes(`<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n<hr><center>${VERSION}</center>\r\n</body>\r\n</html>\r\n`);
}

function* logAccess(fd: number, exchange: Exchange, status: number, size: number): Call<void> {
  const peer = yield* attempt(sys('getpeername', exchange.fd), null);
  const from = peer?.family === 'inet' ? peer.address : 'unix:';
  const query = Object.entries(exchange.query).map(([k, v]) => `${k}=${v}`).join('&');
  const request = `${exchange.method} ${exchange.path}${query ? `?${query}` : ''} HTTP/1.1`;
  const line = `${from} - - [${stamp(yield* nowNs()).access}] "${request}" ${status} ${size} "${exchange.headers.referer ?? '-'}" "${exchange.headers['user-agent'] ?? '-'}" "${exchange.headers['x-forwarded-for'] ?? '-'}"\n`;
  yield* attempt(writeAll(fd, bytes(line)), undefined);
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

function stamp(ns: number): { access: string; error: string } {
  const [date, time] = isoSeconds(ns).replace('Z', '').split('T') as [string, string];
  const [y, m, d] = date.split('-') as [string, string, string];
  return { access: `${d}/${MONTHS[Number(m) - 1]}/${y}:${time} +0000`, error: `${y}/${m}/${d} ${time}` };
}
