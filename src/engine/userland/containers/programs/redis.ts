/**
 * redis-server and redis-cli. The server keeps its keys in memory that it really takes: the arena grows as the data do.
 * Left out: persistence, replication, pub/sub, transactions, scripts, databases other than 0.
 */
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE, SIG, SysError, TCGETS } from '../../../kernel/abi.ts';
import { type Body, sys, touch } from '../../../kernel/sys.ts';
import { text } from '../../../sim/text.ts';
import { isoNano, nowNs } from '../../lib/clock.ts';
import { attempt } from '../../lib/files.ts';
import { type Call, dial, listen, thread, writeAll } from '../../lib/http.ts';
import { complain, print } from '../../lib/io.ts';
import { GAI, getaddrinfo } from '../../net/names.ts';
import { bytesOf, type Keyspace, perform } from './redis-commands.ts';
import { decode, encode, fromWire, ProtocolError, readCommand, readReply, type Reply, splitWords, toWire, writeCommand, writeReply } from './resp.ts';

const ARENA = 256 * 1024;

interface Server {
  k: Keyspace;
  /** Bytes taken from the kernel. */
  arena: number;
}

export function* redisServer(argv: readonly string[]): Body {
  const port = argv.includes('--port') ? Number(argv[argv.indexOf('--port') + 1]) : 6379;
  const pid = yield* sys('getpid');
  const startedAt = (yield* nowNs()) / 1e6;
  const server: Server = { k: { keys: new Map(), now: startedAt, commands: 0, connections: 0, clients: 0, startedAt, pid }, arena: 0 };
  yield* say(pid, 'C', 'oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo');
  yield* say(pid, 'C', `Redis version=8.2.3, bits=64, commit=00000000, modified=0, pid=${pid}, just started`);
  yield* grow(server);
  let socket: number;
  try {
    socket = yield* listen({ family: 'inet', address: '0.0.0.0', port }, undefined, 511);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* say(pid, 'M', `# Warning: Could not create server TCP listening socket *:${port}: bind: ${error.message}`);
    return 1;
  }
  for (const signal of [SIG.TERM, SIG.INT]) {
    yield* sys('rt_sigaction', signal, {
      *handler(): Body {
        yield* say(pid, 'M', `User requested shutdown...`);
        yield* say(pid, 'M', 'Redis is now ready to exit, bye bye...');
        yield* sys('exit_group', 0);
      },
    });
  }
  yield* sys('rt_sigaction', SIG.PIPE, { handler: 'ignore' });
  yield* say(pid, 'M', 'Server initialized');
  yield* say(pid, 'M', 'Ready to accept connections tcp');
  for (;;) {
    const accepted = yield* attempt(sys('accept4', socket, 0), null, 'EINTR', 'ECONNABORTED');
    if (accepted) yield* thread(() => client(server, accepted.fd));
  }
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

function* say(pid: number, role: 'C' | 'M', message: string): Call<void> {
  const iso = isoNano(Math.floor((yield* nowNs()) / 1e6) * 1e6);
  const m = /^(\d+)-(\d+)-(\d+)T(\d+:\d+:\d+)(?:\.(\d+))?/.exec(iso)!;
  yield* print(`${pid}:${role} ${m[3]} ${MONTHS[Number(m[2]) - 1]} ${m[1]} ${m[4]}.${(m[5] ?? '').padEnd(3, '0').slice(0, 3)} * ${message}\n`);
}

/** Takes memory for what is held, in steps. */
function* grow(server: Server): Call<void> {
  const wanted = Math.ceil((1_000_000 + bytesOf(server.k)) / ARENA) * ARENA;
  if (wanted <= server.arena) return;
  const more = wanted - server.arena;
  yield* touch(yield* sys('mmap', more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS), more, 'w');
  server.arena = wanted;
}

function* client(server: Server, fd: number): Body {
  const { k } = server;
  k.connections++;
  k.clients++;
  let held = '';
  let open = true;
  while (open) {
    const data = yield* attempt(sys('read', fd, 65536), new Uint8Array(0));
    if (data.length === 0) break;
    held += fromWire(data);
    k.now = (yield* nowNs()) / 1e6;
    let out = '';
    try {
      for (let one = readCommand(held); one; one = readCommand(held)) {
        held = held.slice(one.end);
        if (one.words.length === 0) continue;
        out += writeReply(perform(k, one.words));
        if (one.words[0]!.toUpperCase() === 'QUIT') open = false;
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      out += `-ERR Protocol error: ${error.message}\r\n`;
      open = false;
    }
    yield* grow(server);
    if (out !== '' && (yield* attempt(writeAll(fd, toWire(out)), null)) === null) break;
  }
  k.clients--;
  yield* attempt(sys('close', fd), 0);
  return 0;
}

// ---- redis-cli

export function* redisCli(argv: readonly string[]): Body {
  let host = '127.0.0.1';
  let port = 6379;
  let raw = (yield* attempt(sys('ioctl', 1, TCGETS), null)) === null;
  let i = 1;
  for (; i < argv.length && argv[i]!.startsWith('-'); i++) {
    const word = argv[i]!;
    if (word === '-h') host = argv[++i] ?? host;
    else if (word === '-p') port = Number(argv[++i]);
    else if (word === '--raw') raw = true;
    else if (word === '--no-raw') raw = false;
    else if (word === '--version' || word === '-v') {
      yield* print('redis-cli 8.2.3\n');
      return 0;
    } else {
      yield* complain(`Unrecognized option or bad number of args for: '${word}'\n`);
      return 1;
    }
  }
  const shown = `${host}:${port}`;
  const fd = yield* connect(host, port);
  if (typeof fd === 'string') {
    yield* complain(`Could not connect to Redis at ${shown}: ${fd}\n`);
    return 1;
  }
  if (i < argv.length) return yield* ask(fd, argv.slice(i), raw);
  return yield* converse(fd, shown, raw);
}

/** A connected socket, or why there is none. */
function* connect(host: string, port: number): Call<number | string> {
  const found = yield* getaddrinfo(host);
  if ('failure' in found) return GAI[found.failure];
  try {
    return yield* dial({ family: 'inet', address: found.address, port });
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return error.message;
  }
}

function* ask(fd: number, words: readonly string[], raw: boolean): Call<number> {
  yield* writeAll(fd, toWire(writeCommand(words.map(encode))));
  let held = '';
  for (;;) {
    const read = readReply(held);
    if (read) {
      yield* print(`${raw ? plain(read.reply) : pretty(read.reply)}\n`);
      return read.reply.kind === 'error' ? 1 : 0;
    }
    const data = yield* sys('read', fd, 65536);
    if (data.length === 0) {
      yield* complain('Error: Server closed the connection\n');
      return 1;
    }
    held += fromWire(data);
  }
}

/** Commands from standard input, a line each; a prompt when a person types them. */
function* converse(fd: number, shown: string, raw: boolean): Call<number> {
  const person = (yield* attempt(sys('ioctl', 0, TCGETS), null)) !== null;
  let held = '';
  for (;;) {
    if (person) yield* print(`${shown}> `);
    let eol = held.indexOf('\n');
    while (eol < 0) {
      const data = yield* sys('read', 0, 4096);
      if (data.length === 0) return 0;
      held += text(data);
      eol = held.indexOf('\n');
    }
    const words = splitWords(held.slice(0, eol));
    held = held.slice(eol + 1);
    if (words[0] === 'exit' || words[0] === 'quit') return 0;
    if (words.length > 0) yield* ask(fd, words, raw);
  }
}

function plain(r: Reply): string {
  if (r.kind === 'integer') return String(r.value);
  if (r.kind === 'array') return r.items.map(plain).join('\n');
  return decode(r.text ?? '');
}

function pretty(r: Reply, indent = ''): string {
  if (r.kind === 'simple') return r.text;
  if (r.kind === 'error') return `(error) ${r.text}`;
  if (r.kind === 'integer') return `(integer) ${r.value}`;
  if (r.kind === 'bulk') return r.text === null ? '(nil)' : JSON.stringify(decode(r.text));
  if (r.items.length === 0) return '(empty array)';
  const width = String(r.items.length).length;
  return r.items.map((item, n) => `${n === 0 ? '' : indent}${String(n + 1).padStart(width)}) ${pretty(item, `${indent}${' '.repeat(width + 2)}`)}`).join('\n');
}
