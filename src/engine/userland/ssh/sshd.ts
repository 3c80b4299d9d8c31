/**
 * sshd: takes connections on port 22 and gives each a process with a session: a login shell on a pty, or a command with pipes.
 * Everybody's key is known, so whoever names an account gets in. Frames as of containers' exec streams, in the clear.
 * Source: sshd(8). Left out: encryption, keys, passwords, forwarding, sftp, sessions of logind.
 */
import { AF_INET, AT_FDCWD, O_NOCTTY, O_RDWR, SIG, shellStatus, SOCK_STREAM, SysError, TIOCGPTN, TIOCSCTTY, TIOCSPTLCK, TIOCSWINSZ } from '../../kernel/abi.ts';
import { type Body, type Program, sys } from '../../kernel/sys.ts';
import { bytes, text } from '../../sim/text.ts';
import { joinBytes } from '../../sim/wire.ts';
import { CHANNEL, frame, unframe } from '../containers/cri/frames.ts';
import { closeOnExec } from '../containers/runc/identity.ts';
import { hear, makeBell, ring } from '../containers/shim/bell.ts';
import { findUser, readAccounts, type User } from '../coreutils/accounts.ts';
import { attempt, fork, reap } from '../lib/files.ts';
import { type Call, thread, writeAll } from '../lib/http.ts';

export const BANNER = 'SSH-2.0-OpenSSH_10.0p2 Debian-7\r\n';
/** The client's first frame. */
export const OPEN = 10;

/** What a client asks for when it has logged in. */
export interface Opening {
  user: string;
  /** null for a login shell. */
  command: string | null;
  /** Name of the terminal and its size, when there is to be one. */
  tty: null | { term: string; rows: number; cols: number };
}

export const sshd: Program = function* (): Body {
  const listening = yield* sys('socket', AF_INET, SOCK_STREAM, 0);
  yield* sys('bind', listening, { family: 'inet', address: '0.0.0.0', port: 22 });
  yield* sys('listen', listening, 128);
  yield* sys('rt_sigaction', SIG.CHLD, { handler: 'ignore' });
  for (;;) {
    const taken = yield* attempt(sys('accept4', listening, 0), null);
    if (!taken) continue;
    yield* fork(function* (): Body {
      yield* sys('close', listening);
      yield* sys('rt_sigaction', SIG.CHLD, { handler: 'default' });
      yield* sys('rt_sigaction', SIG.PIPE, { handler: 'ignore' });
      yield* attempt(session(taken.fd), undefined);
      return 0;
    });
    yield* sys('close', taken.fd);
  }
};

const say = (fd: number, channel: number, data: Uint8Array): Call<void> => attempt(writeAll(fd, frame(channel, data)), undefined);

function* session(fd: number): Call<void> {
  yield* writeAll(fd, bytes(BANNER));
  let held: Uint8Array = new Uint8Array(0);
  let skipped = false;
  for (;;) {
    const data = yield* sys('read', fd, 65536);
    if (data.length === 0) return;
    held = joinBytes([held, data]);
    if (!skipped) {
      const at = held.indexOf(10);
      if (at < 0) continue;
      if (!text(held.subarray(0, at)).startsWith('SSH-2.0-')) return yield* writeAll(fd, bytes('Invalid SSH identification string.\r\n'));
      held = held.subarray(at + 1);
      skipped = true;
    }
    const { frames, rest } = unframe(held);
    if (frames.length === 0) continue;
    if (frames[0]!.channel !== OPEN) return;
    const opening = JSON.parse(text(frames[0]!.data)) as Opening;
    const user = findUser(yield* readAccounts(), opening.user);
    if (!user) return yield* say(fd, CHANNEL.end, bytes(JSON.stringify({ error: 'Permission denied (publickey,password).' })));
    const tail = joinBytes([...frames.slice(1).map((f) => frame(f.channel, f.data)), rest]);
    return yield* opening.tty ? onTerminal(fd, user, opening, tail) : onPipes(fd, user, opening, tail);
  }
}

/** The child's side: becomes the user and runs the shell. */
function* become(user: User, o: Opening): Call<number> {
  const groups = (yield* readAccounts()).groups.filter((g) => g.members.includes(user.name)).map((g) => g.gid);
  yield* sys('rt_sigaction', SIG.PIPE, { handler: 'default' });
  yield* sys('setgroups', [...new Set([user.gid, ...groups])]);
  yield* sys('setresgid', user.gid, user.gid, user.gid);
  yield* sys('setresuid', user.uid, user.uid, user.uid);
  if ((yield* attempt(sys('chdir', user.home), null)) === null) yield* attempt(sys('chdir', '/'), 0);
  const shell = user.shell || '/bin/sh';
  const base = shell.split('/').pop()!;
  const path = user.uid === 0 ? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' : '/usr/local/bin:/usr/bin:/bin:/usr/games';
  const env = { HOME: user.home, USER: user.name, LOGNAME: user.name, SHELL: shell, PATH: path, LANG: 'C.UTF-8', MAIL: `/var/mail/${user.name}`, SSH_CONNECTION: '', ...(o.tty ? { TERM: o.tty.term } : {}) };
  yield* closeOnExec(3);
  yield* attempt(sys('execve', shell, o.command === null ? [`-${base}`] : [base, '-c', o.command], env), 0);
  return 127;
}

function* onTerminal(fd: number, user: User, o: Opening, tail: Uint8Array): Call<void> {
  const master = yield* sys('openat', AT_FDCWD, '/dev/ptmx', O_RDWR | O_NOCTTY);
  yield* attempt(sys('ioctl', master, TIOCSPTLCK, 0), 0);
  const slave = `/dev/pts/${Number(yield* sys('ioctl', master, TIOCGPTN))}`;
  yield* attempt(sys('ioctl', master, TIOCSWINSZ, { rows: o.tty!.rows, cols: o.tty!.cols }), 0);
  const child = yield* fork(function* (): Body {
    yield* sys('setsid');
    const tty = yield* sys('openat', AT_FDCWD, slave, O_RDWR);
    yield* attempt(sys('ioctl', tty, TIOCSCTTY, 0), 0);
    for (const to of [0, 1, 2]) if (tty !== to) yield* sys('dup3', tty, to, 0);
    return yield* become(user, o);
  });
  yield* thread(() => listen(fd, tail, master, master, child));
  yield* copyOut(master, fd, CHANNEL.stdout);
  yield* finish(fd, child);
}

function* onPipes(fd: number, user: User, o: Opening, tail: Uint8Array): Call<void> {
  const [inRead, inWrite] = yield* sys('pipe2', 0);
  const [outRead, outWrite] = yield* sys('pipe2', 0);
  const [errRead, errWrite] = yield* sys('pipe2', 0);
  const child = yield* fork(function* (): Body {
    yield* sys('setsid');
    for (const [to, from] of [inRead, outWrite, errWrite].entries()) if (from !== to) yield* sys('dup3', from, to, 0);
    return yield* become(user, o);
  });
  for (const one of [inRead, outWrite, errWrite]) yield* sys('close', one);
  yield* thread(() => listen(fd, tail, inWrite, -1, child));
  const errors = { over: false, bell: yield* makeBell() };
  yield* thread(function* (): Body {
    yield* copyOut(errRead, fd, CHANNEL.stderr);
    errors.over = true;
    yield* ring(errors.bell);
    return 0;
  });
  yield* copyOut(outRead, fd, CHANNEL.stdout);
  while (!errors.over) yield* hear(errors.bell);
  yield* finish(fd, child);
}

function* copyOut(from: number, fd: number, channel: number): Call<void> {
  for (;;) {
    const data = yield* attempt(attempt(sys('read', from, 65536), 'again' as const, 'EINTR'), new Uint8Array(0));
    if (data === 'again') continue;
    if (data.length === 0) break;
    yield* say(fd, channel, data);
  }
  yield* attempt(sys('close', from), 0);
}

function* finish(fd: number, child: number): Call<void> {
  const status = yield* reap(child);
  yield* say(fd, CHANNEL.end, bytes(JSON.stringify({ exitCode: shellStatus(status) })));
  yield* attempt(sys('shutdown', fd, 2), 0);
}

/** What the client sends: input, sizes, the end of input. When the connection ends the session's processes are hung up on. */
function* listen(fd: number, tail: Uint8Array, input: number, master: number, child: number): Body {
  let held = tail;
  let open = true;
  for (;;) {
    const { frames, rest } = unframe(held);
    for (const f of frames) {
      if (f.channel === CHANNEL.stdin && open) yield* attempt(writeAll(input, f.data), undefined);
      if (f.channel === CHANNEL.eof && open && master < 0) {
        open = false;
        yield* attempt(sys('close', input), 0);
      }
      if (f.channel === CHANNEL.size && master >= 0) yield* attempt(sys('ioctl', master, TIOCSWINSZ, JSON.parse(text(f.data))), 0);
    }
    const data = yield* attempt(attempt(sys('read', fd, 65536), 'again' as const, 'EINTR'), new Uint8Array(0));
    if (data === 'again') {
      held = rest;
      continue;
    }
    if (data.length === 0) break;
    held = joinBytes([rest, data]);
  }
  if (open && master < 0) yield* attempt(sys('close', input), 0);
  try {
    if (master >= 0) yield* sys('kill', -child, SIG.HUP);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
  }
  return 0;
}
