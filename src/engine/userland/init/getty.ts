/**
 * agetty with autologin: one terminal, its session, and root's login shell on it. Standard input and output are one read-write
 * description of the terminal; standard error is a second, write-only one, by which the two streams can be told apart.
 * Source: agetty(8), login(1).
 */
import { AT_FDCWD, O_RDWR, O_WRONLY, SIG, TIOCSCTTY } from '../../kernel/abi.ts';
import { type Program, sys } from '../../kernel/sys.ts';
import { attempt, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain } from '../lib/io.ts';

/** initgroups(3): the account's group and those that name it. */
function* groupsOf(user: string, gid: number): Call<number[]> {
  const rows = ((yield* tryRead('/etc/group')) ?? '').split('\n').map((line) => line.split(':'));
  return [...new Set([gid, ...rows.filter((row) => row[3]?.split(',').includes(user)).map((row) => Number(row[2]))])];
}

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** agetty [--autologin USER] TTY */
export const getty: Program = command(function* (argv) {
  const words = argv.slice(1);
  const at = words.indexOf('--autologin');
  const user = at >= 0 ? words.splice(at, 2)[1]! : 'root';
  const tty = words.find((w) => !w.startsWith('-')) ?? 'tty1';
  yield* attempt(sys('setsid'), 0);
  const fd = yield* sys('openat', AT_FDCWD, `/dev/${tty}`, O_RDWR);
  yield* attempt(sys('ioctl', fd, TIOCSCTTY, 1), 0);
  const errors = yield* sys('openat', AT_FDCWD, `/dev/${tty}`, O_WRONLY);
  for (const to of [0, 1]) if (fd !== to) yield* sys('dup3', fd, to, 0);
  if (errors !== 2) yield* sys('dup3', errors, 2, 0);
  for (const one of new Set([fd, errors])) if (one > 2) yield* sys('close', one);
  for (const signal of [SIG.INT, SIG.QUIT, SIG.TSTP, SIG.TERM, SIG.HUP, SIG.CHLD]) yield* sys('rt_sigaction', signal, { handler: 'default' });
  const account = ((yield* tryRead('/etc/passwd')) ?? '').split('\n').map((l) => l.split(':')).find((f) => f[0] === user);
  if (!account) {
    yield* complain(`agetty: ${user}: no such user${user === 'root' ? '; a shell to repair the system' : ''}\n`);
    if (user !== 'root') return 1;
  }
  const [, , uid, gid, , home, shell] = (account ?? ['root', '', '0', '0', '', '/', '/bin/sh']) as [string, string, string, string, string, string, string];
  yield* sys('setgroups', yield* groupsOf(user, Number(gid)));
  if (uid !== '0') {
    yield* sys('setresgid', Number(gid), Number(gid), Number(gid));
    yield* sys('setresuid', Number(uid), Number(uid), Number(uid));
  }
  yield* attempt(sys('chdir', home), 0);
  const path = shell || '/bin/sh';
  const env = { HOME: home, USER: user, LOGNAME: user, SHELL: path, PATH, TERM: 'xterm-256color', LANG: 'C.UTF-8', MAIL: `/var/mail/${user}` };
  yield* sys('execve', path, [`-${path.split('/').pop()}`], env);
  return 1;
});
