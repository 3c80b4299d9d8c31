/** ssh: a shell or a command on another machine. Source: ssh(1), its messages and statuses. Left out as in sshd.ts. */
import { AF_INET, SIG, SOCK_STREAM, SysError, TCGETS, TIOCGWINSZ, type Winsize } from '../../kernel/abi.ts';
import { type Body, sys } from '../../kernel/sys.ts';
import { bytes, text } from '../../sim/text.ts';
import { joinBytes } from '../../sim/wire.ts';
import { SECOND } from '../../sim/units.ts';
import { CHANNEL, frame, unframe } from '../containers/cri/frames.ts';
import { rawMode, restoreMode } from '../containers/runc/console.ts';
import { attempt } from '../lib/files.ts';
import { BadOption, lastValue, parseOptions } from '../lib/args.ts';
import { type Call, thread, writeAll } from '../lib/http.ts';
import { command, complain, Failed, strerror } from '../lib/io.ts';
import { GAI, getaddrinfo } from '../net/names.ts';
import { BANNER, OPEN, type Opening } from './sshd.ts';

const OPTIONS = 'l/login= p/port= o/option= i= F= E= t T n f N q v A a C X x Y 4 6 L= R= D= J=';
const USAGE = 'usage: ssh [-46AaCfGgKkMNnqsTtVvXxYy] [-B bind_interface] [-b bind_address]\n           [-c cipher_spec] [-D [bind_address:]port] [-E log_file]\n           [-e escape_char] [-F configfile] [-I pkcs11] [-i identity_file]\n           [-J destination] [-L address] [-l login_name] [-m mac_spec]\n           [-O ctl_cmd] [-o option] [-P tag] [-p port] [-R address]\n           [-S ctl_path] [-W host:port] [-w local_tun[:remote_tun]]\n           destination [command [argument ...]]\n       ssh [-Q query_option]\n';

export const ssh = command(function* (argv, env) {
  const o = parseOptions(OPTIONS, argv.slice(1), 'in-order');
  for (const name of ['L', 'R', 'D', 'J', 'N']) if (o.on.has(name)) throw new Failed('not modelled: forwarding', 255);
  const [target, ...words] = o.words;
  if (target === undefined) {
    yield* complain(USAGE);
    return 255;
  }
  const at = target.lastIndexOf('@');
  const host = target.slice(at + 1);
  const user = lastValue(o, 'login') ?? (at < 0 ? (env.USER ?? 'root') : target.slice(0, at));
  const timeout = Number(/^ConnectTimeout[= ](\d+)$/i.exec(lastValue(o, 'option') ?? '')?.[1] ?? 0);
  const fd = yield* connect(host, Number(lastValue(o, 'port') ?? 22), timeout);
  const line = words.length > 0 ? words.join(' ') : null;
  const here = (yield* attempt(sys('ioctl', 0, TCGETS), null)) !== null;
  const tty = o.on.has('t') || (line === null && here && !o.on.has('T'));
  const size = tty ? ((yield* attempt(sys('ioctl', 0, TIOCGWINSZ), null)) as Winsize | null) : null;
  const opening: Opening = { user, command: line, tty: tty ? { term: env.TERM ?? 'linux', rows: size?.rows ?? 24, cols: size?.cols ?? 80 } : null };
  yield* writeAll(fd, joinBytes([bytes(BANNER), frame(OPEN, bytes(JSON.stringify(opening)))]));
  const before = tty && here ? yield* rawMode(0) : null;
  if (tty) yield* followSize(fd);
  if (!o.on.has('n')) yield* feed(fd, here && !tty);
  const end = yield* show(fd);
  yield* restoreMode(0, before);
  yield* attempt(sys('close', fd), 0);
  if (end === null) yield* complain(`Connection to ${host} closed by remote host.\n${tty ? `Connection to ${host} closed.\n` : ''}`);
  else if ('error' in end) yield* complain(`${user}@${host}: ${end.error}\n`);
  else if (tty) yield* complain(`Connection to ${host} closed.\n`);
  return end && 'exitCode' in end ? end.exitCode : 255;
});

/** Throws Failed in ssh's words. */
function* connect(host: string, port: number, timeout: number): Call<number> {
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw new BadOption(`Bad port '${port}'`);
  const found = yield* getaddrinfo(host);
  if ('failure' in found) throw new Failed(`Could not resolve hostname ${host}: ${GAI[found.failure]}`, 255);
  const fd = yield* sys('socket', AF_INET, SOCK_STREAM, 0);
  if (timeout > 0) {
    yield* thread(function* (): Body {
      yield* sys('nanosleep', timeout * SECOND);
      yield* attempt(sys('shutdown', fd, 2), 0);
      return 0;
    });
  }
  try {
    yield* sys('connect', fd, { family: 'inet', address: found.address, port });
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`connect to host ${host} port ${port}: ${strerror(error)}`, 255);
  }
  return fd;
}

function* followSize(fd: number): Call<void> {
  const tell = function* (): Call<void> {
    const size = (yield* attempt(sys('ioctl', 0, TIOCGWINSZ), null)) as Winsize | null;
    if (size) yield* attempt(writeAll(fd, frame(CHANNEL.size, bytes(JSON.stringify(size)))), undefined);
  };
  yield* sys('rt_sigaction', SIG.WINCH, { handler: tell, restart: true });
}

/** Standard input goes over as it comes. */
function* feed(fd: number, cooked: boolean): Call<void> {
  if (cooked) {
    // A command on a terminal without a pty of its own: input belongs to whoever reads next here; nothing is taken.
    yield* attempt(writeAll(fd, frame(CHANNEL.eof, new Uint8Array(0))), undefined);
    return;
  }
  yield* thread(function* (): Body {
    for (;;) {
      const data = yield* attempt(attempt(sys('read', 0, 4096), 'again' as const, 'EINTR'), new Uint8Array(0));
      if (data === 'again') continue;
      if (data.length === 0) break;
      yield* attempt(writeAll(fd, frame(CHANNEL.stdin, data)), undefined);
    }
    yield* attempt(writeAll(fd, frame(CHANNEL.eof, new Uint8Array(0))), undefined);
    return 0;
  });
}

type End = { exitCode: number } | { error: string };

/** Shows what the other side says until the command has ended; null when the connection ended first. */
function* show(fd: number): Call<End | null> {
  let held: Uint8Array = new Uint8Array(0);
  let greeted = false;
  for (;;) {
    const data = yield* attempt(attempt(sys('read', fd, 65536), 'again' as const, 'EINTR'), new Uint8Array(0));
    if (data === 'again') continue;
    if (data.length === 0) return null;
    held = joinBytes([held, data]);
    if (!greeted) {
      const at = held.indexOf(10);
      if (at < 0) continue;
      held = held.subarray(at + 1);
      greeted = true;
    }
    const { frames, rest } = unframe(held);
    held = rest;
    for (const f of frames) {
      if (f.channel === CHANNEL.stdout) yield* attempt(writeAll(1, f.data), undefined);
      if (f.channel === CHANNEL.stderr) yield* attempt(writeAll(2, f.data), undefined);
      if (f.channel === CHANNEL.end) return JSON.parse(text(f.data)) as End;
    }
  }
}

/** scp SRC… DST, one side HOST:PATH: bytes by `cat` over ssh's connection. */
export const scp = command(function* (argv, env) {
  const o = parseOptions('r p q v C P= i= o= 3 B', argv.slice(1), 'in-order');
  if (o.on.has('r')) throw new Failed('not modelled: whole directories; use tar through ssh');
  const [from, to] = o.words;
  if (o.words.length !== 2 || !from || !to) {
    yield* complain('usage: scp [-346ABCOpqRrsTv] [-c cipher] [-D sftp_server_path] [-F ssh_config]\n           [-i identity_file] [-J destination] [-l limit] [-o ssh_option]\n           [-P port] [-S program] [-X sftp_option] source ... target\n');
    return 1;
  }
  const split = (path: string): [string, string] | null => (/^[^/:]+:/.test(path) ? [path.slice(0, path.indexOf(':')), path.slice(path.indexOf(':') + 1)] : null);
  const quote = (s: string): string => `'${s.replace(/'/g, `'\\''`)}'`;
  const remote = split(from) ?? split(to);
  if (!remote || (split(from) && split(to))) throw new Failed('not modelled: copies that do not go between this machine and another');
  const line = split(from) ? `exec 0</dev/null; ssh ${remote[0]} ${quote(`cat ${quote(remote[1])}`)} > ${quote(to)}` : `base=${quote(from.split('/').pop()!)}; ssh ${remote[0]} ${quote(`d=${quote(remote[1] || '.')}; [ -d "$d" ] && d="$d/"${quote(from.split('/').pop()!)}; cat > "$d"`)} < ${quote(from)}`;
  return yield* sys('execve', '/bin/sh', ['sh', '-c', line], env);
});

