/** script and ionice: a pty round a command, and the disk's view of a process. */
import {
  AT_FDCWD, O_APPEND, O_CREAT, O_RDWR, O_TRUNC, O_WRONLY, POLLERR, POLLHUP, POLLIN, shellStatus, TCGETS, TCSETS, type Termios, TIOCGPTN, TIOCGWINSZ, TIOCSCTTY, TIOCSPTLCK, TIOCSWINSZ, type Winsize,
} from '../../kernel/abi.ts';
import { type Body, sys } from '../../kernel/sys.ts';
import { strftime } from '../coreutils/calendar.ts';
import { execOr } from '../coreutils/control.ts';
import { parseOptions, lastValue } from '../lib/args.ts';
import { attempt, fork, reap } from '../lib/files.ts';
import { type Call, writeAll } from '../lib/http.ts';
import { command, Failed, print } from '../lib/io.ts';
import { bytes } from '../../sim/text.ts';

export const script = command(function* (argv, env) {
  const o = parseOptions('a/append c/command= e/return E= f/flush I= O= B= o= q/quiet t? T= log-out= force', argv.slice(1).flatMap((a) => (/^-[aefq]*c.+$/.test(a) && a !== '-c' ? [a.slice(0, a.indexOf('c') + 1), a.slice(a.indexOf('c') + 1)] : [a])));
  const path = o.words[0] ?? 'typescript';
  const log = yield* sys('openat', AT_FDCWD, path, O_WRONLY | O_CREAT | (o.on.has('append') ? O_APPEND : O_TRUNC), 0o666);
  const shell = env.SHELL ?? '/bin/sh';
  const line = lastValue(o, 'command');
  const now = (yield* sys('clock_gettime', 'realtime')) / 1e9;
  const stamp = strftime('%Y-%m-%d %H:%M:%S+00:00', now);
  if (!o.on.has('quiet')) yield* print(`Script started, output log file is '${path}'.\n`);
  yield* writeAll(log, bytes(`Script started on ${stamp} [COMMAND="${line ?? shell}"]\n`));
  const master = yield* sys('openat', AT_FDCWD, '/dev/ptmx', O_RDWR);
  yield* attempt(sys('ioctl', master, TIOCSPTLCK, 0), 0);
  const slave = `/dev/pts/${yield* sys('ioctl', master, TIOCGPTN)}`;
  const size = (yield* attempt(sys('ioctl', 0, TIOCGWINSZ), null)) as Winsize | null;
  if (size) yield* attempt(sys('ioctl', master, TIOCSWINSZ, size), 0);
  const before = (yield* attempt(sys('ioctl', 0, TCGETS), null)) as Termios | null;
  if (before) yield* sys('ioctl', 0, TCSETS, { canonical: false, echo: false, signals: false, mapCrNl: false, postprocess: false });
  const child = yield* fork(function* (): Body {
    yield* sys('setsid');
    const fd = yield* sys('openat', AT_FDCWD, slave, O_RDWR);
    yield* attempt(sys('ioctl', fd, TIOCSCTTY, 0), 0);
    for (const to of [0, 1, 2]) yield* sys('dup3', fd, to, 0);
    for (const other of [fd, master, log]) if (other > 2) yield* sys('close', other);
    return yield* execOr('script', line === undefined ? [shell, '-i'] : [shell, '-c', line], env);
  });
  yield* relay(master, log);
  const status = shellStatus(yield* reap(child));
  if (before) yield* attempt(sys('ioctl', 0, TCSETS, before), 0);
  yield* writeAll(log, bytes(`\nScript done on ${strftime('%Y-%m-%d %H:%M:%S+00:00', (yield* sys('clock_gettime', 'realtime')) / 1e9)} [COMMAND_EXIT_CODE="${status}"]\n`));
  if (!o.on.has('quiet')) yield* print('Script done.\n');
  return o.on.has('return') ? status : 0;
});

/** Standard input to the pty, the pty to standard output and the log, until its other side is gone. */
function* relay(master: number, log: number): Call<void> {
  let input = true;
  for (;;) {
    const ready = yield* sys('poll', [{ fd: master, events: POLLIN }, ...(input ? [{ fd: 0, events: POLLIN }] : [])], -1);
    for (const { fd, revents } of ready) {
      if (fd === 0) {
        const data = yield* attempt(sys('read', 0, 4096), new Uint8Array(0));
        if (data.length > 0) yield* attempt(writeAll(master, data), undefined);
        else {
          // The end of the input is typed as one.
          input = false;
          yield* attempt(writeAll(master, new Uint8Array([4])), undefined);
        }
        continue;
      }
      if (!(revents & (POLLIN | POLLHUP | POLLERR))) continue;
      const data = yield* attempt(sys('read', master, 65536), new Uint8Array(0));
      if (data.length === 0) return;
      yield* writeAll(1, data);
      yield* writeAll(log, data);
    }
  }
}

export const ionice = command(function* (argv, env) {
  const o = parseOptions('c/class= n/classdata= p/pid= P= t/ignore u=', argv.slice(1), 'in-order');
  if (o.words.length > 0 && !o.on.has('pid')) return yield* execOr('ionice', o.words, env);
  if (o.on.has('class') || o.on.has('classdata')) throw new Failed('not modelled: I/O scheduling classes; limit a cgroup with io.max or io.weight');
  yield* print('none: prio 0\n');
  return 0;
});
