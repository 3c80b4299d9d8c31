/** The line discipline, job control and pseudo-terminals. */
import { expect, test } from 'vitest';
import {
  AT_FDCWD, type Errno, O_NOCTTY, O_RDWR, POLLHUP, POLLIN, SIG, TCGETS, TCSETS, TIOCGPTN, TIOCGWINSZ, TIOCSCTTY, TIOCSPGRP, TIOCSWINSZ, WUNTRACED,
} from '../../../src/engine/kernel/abi.ts';
import { ttyInput, ttyResize } from '../../../src/engine/kernel/kernel.ts';
import { type Body, type Request, sys } from '../../../src/engine/kernel/sys.ts';
import { createRandom, uint32 } from '../../../src/engine/sim/random.ts';
import { bytes, text } from '../../../src/engine/sim/text.ts';
import { MS, SECOND } from '../../../src/engine/sim/units.ts';
import { outcome, put, run, screen, type, until } from './harness.ts';

type Call<T> = Generator<Request, T, unknown>;
const say = (...parts: unknown[]): Call<void> => put(1, `${parts.join(' ')}\n`);

/** What a canonical read gets, and what the screen shows, for keys typed. */
const EDITING: [keys: string, read: string, shown: string][] = [
  ['abc\r', 'abc\n', 'abc\n'],
  ['abc\x7f\x7fX\n', 'aX\n', 'abc\b \b\b \bX\n'],
  ['one two\x17three\n', 'one three\n', `one two${'\b \b'.repeat(3)}three\n`],
  ['junk\x15ok\n', 'ok\n', `junk${'\b \b'.repeat(4)}ok\n`],
  ['a\x01b\n', 'a\x01b\n', 'a^Ab\n'],
  ['a\x01\x7fb\n', 'ab\n', 'a^A\b \b\b \bb\n'],
  ['é\x7fe\n', 'e\n', 'é\b \be\n'],
  ['ab\x04', 'ab', 'ab'],
  ['\x04', '', ''],
  ['a\x16\x03b\n', 'a\x03b\n', 'a^\b^Cb\n'],
  ['x\ty\x7f\x7fz\n', 'xz\n', `x\ty\b \b${'\b'.repeat(7)}z\n`],
];

test.each(EDITING)('keys %j read as %j', (keys, read, shown) => {
  const ran = run(
    function* (): Body {
      const data = yield* sys('read', 0, 100);
      yield* put(1, `|${text(data)}|`);
      return 0;
    },
    { input: keys },
  );
  expect(ran.stdout).toBe(`${shown}|${read}|`);
});

test('a line longer than the buffer is cut, and still ends', () => {
  const ran = run(
    function* (): Body {
      let got = 0;
      for (;;) {
        const data = yield* sys('read', 0, 1000);
        got += data.length;
        if (data[data.length - 1] === 10) break;
      }
      yield* say('got', got);
      return 0;
    },
    { input: `${'x'.repeat(10_000)}\n` },
  );
  expect(ran.stdout.endsWith('got 4096\n')).toBe(true);
});

test('^C kills the foreground group only; ^Z stops; the window changes', () => {
  const ran = run(
    function* (): Body {
      yield* sys('rt_sigaction', SIG.TTOU, { handler: 'ignore' });
      yield* sys('rt_sigaction', SIG.WINCH, {
        *handler(): Body {
          yield* say('winch', Object.values((yield* sys('ioctl', 0, TIOCGWINSZ)) as object).join('x'));
        },
      });
      const job = function* (end: () => Body): Call<number> {
        const pid = yield* sys('clone', {
          flags: 0,
          *run(): Body {
            yield* sys('setpgid', 0, 0);
            yield* sys('ioctl', 0, TIOCSPGRP, yield* sys('getpid'));
            return yield* end();
          },
        });
        return (yield* sys('wait4', pid, WUNTRACED)).status;
      };
      const sleeper = function* (): Body {
        yield* sys('rt_sigaction', SIG.TTOU, { handler: 'default' });
        yield* sys('rt_sigaction', SIG.WINCH, { handler: 'default' });
        for (;;) yield* sys('nanosleep', SECOND);
      };
      yield* say((yield* job(sleeper)) === SIG.INT);
      const stopped = yield* job(sleeper);
      yield* say((stopped & 0xff) === 0x7f, stopped >> 8);
      yield* sys('ioctl', 0, TIOCSPGRP, yield* sys('getpgid', 0));
      const reader = yield* sys('clone', {
        flags: 0,
        *run(): Body {
          yield* sys('setpgid', 0, 0);
          yield* sys('read', 0, 10);
          return 0;
        },
      });
      yield* say((yield* sys('wait4', reader, WUNTRACED)).status >> 8 === SIG.TTIN);
      yield* outcome(sys('nanosleep', 10 * SECOND));
      return 0;
    },
    { limit: 1 },
  );
  until(ran.m, () => false, 20 * MS);
  type(ran.m, '\x03');
  until(ran.m, () => false, 20 * MS);
  type(ran.m, '\x1a');
  until(ran.m, () => false, 20 * MS);
  ttyResize(ran.m.kernel, 'tty1', 100, 40);
  until(ran.m, () => false, 20 * MS);
  expect(screen(ran.m)).toBe('^Ctrue\n^Ztrue 20\ntrue\nwinch 40x100\n');
});

test('a pseudo-terminal: both ends, window, hang-up', () => {
  const ran = run(function* (): Body {
    yield* sys('mount', 'devpts', '/dev/pts', 'devpts', 0, 'gid=5,mode=620,ptmxmode=666');
    const master = yield* sys('openat', AT_FDCWD, '/dev/ptmx', O_RDWR);
    const n = yield* sys('ioctl', master, TIOCGPTN);
    yield* sys('ioctl', master, TIOCSWINSZ, { rows: 5, cols: 9 });
    const pid = yield* sys('clone', {
      flags: 0,
      *run(): Body {
        yield* sys('setsid');
        yield* sys('close', master);
        const slave = yield* sys('openat', AT_FDCWD, `/dev/pts/${n}`, O_RDWR | O_NOCTTY);
        yield* sys('ioctl', slave, TIOCSCTTY, 0);
        yield* put(slave, `hi ${JSON.stringify(yield* sys('ioctl', slave, TIOCGWINSZ))}\n`);
        const line = text(yield* sys('read', slave, 100));
        yield* put(slave, `line ${line}`);
        for (;;) yield* sys('pause');
      },
    });
    const seen = function* (): Call<string> {
      yield* sys('poll', [{ fd: master, events: POLLIN }], SECOND);
      const data = yield* outcome(sys('read', master, 1000));
      return typeof data === 'string' ? (data as Errno) : text(data);
    };
    yield* say(JSON.stringify(yield* seen()));
    yield* put(master, 'keys\r');
    yield* sys('nanosleep', MS);
    yield* say(JSON.stringify(yield* seen()));
    const termios = (yield* sys('ioctl', master, TCGETS)) as Record<string, boolean>;
    yield* sys('ioctl', master, TCSETS, { ...termios, echo: false });
    yield* put(master, '\x03');
    yield* say((yield* sys('wait4', pid, 0)).status, yield* seen(), (yield* sys('poll', [{ fd: master, events: POLLIN }], 0))[0]?.revents === POLLHUP);
    yield* sys('close', master);
    yield* say(yield* outcome(sys('openat', AT_FDCWD, `/dev/pts/${n}`, O_RDWR)));
    return 0;
  });
  expect(ran.stdout).toBe('"hi {\\"rows\\":5,\\"cols\\":9}\\n"\n"keys\\nline keys\\n"\n2 EIO true\nENOENT\n'.replaceAll('\\n"', '\\r\\n"').replace('keys\\nline', 'keys\\r\\nline'));
});

test('the master\'s end hangs the session up', () => {
  const ran = run(function* (): Body {
    yield* sys('mount', 'devpts', '/dev/pts', 'devpts', 0, '');
    const master = yield* sys('openat', AT_FDCWD, '/dev/ptmx', O_RDWR);
    const pid = yield* sys('clone', {
      flags: 0,
      *run(): Body {
        yield* sys('setsid');
        yield* sys('openat', AT_FDCWD, '/dev/pts/0', O_RDWR);
        yield* sys('close', master);
        for (;;) yield* sys('pause');
      },
    });
    yield* sys('nanosleep', 5 * MS);
    yield* sys('close', master);
    yield* say((yield* sys('wait4', pid, 0)).status);
    return 0;
  });
  expect(ran.stdout).toBe('1\n');
});

test('100,000 random bytes typed at a reader leave it working', () => {
  for (const canonical of [true, false]) {
    const ran = run(
      function* (): Body {
        for (const signal of [SIG.INT, SIG.QUIT, SIG.TSTP]) yield* sys('rt_sigaction', signal, { handler: 'ignore' });
        if (!canonical) {
          const termios = (yield* sys('ioctl', 0, TCGETS)) as object;
          yield* sys('ioctl', 0, TCSETS, { ...termios, canonical: false, signals: false, echo: false });
        }
        let tail = '';
        for (;;) {
          tail = (tail + text(yield* sys('read', 0, 4096))).slice(-8);
          if (tail.includes('quit\n')) return 0;
        }
      },
      { limit: 10 * MS },
    );
    const random = createRandom(7);
    const data = Uint8Array.from({ length: 100_000 }, () => uint32(random) & 255);
    for (let at = 0; at < data.length; at += 1000) {
      ttyInput(ran.m.kernel, 'tty1', data.subarray(at, at + 1000));
      until(ran.m, () => false, MS);
    }
    type(ran.m, '\n\nquit\n');
    until(ran.m, () => false, 100 * MS);
    const ended = ran.m.kernel.ended.find((task) => task.comm === 'main');
    expect(ended?.status).toBe(0);
  }
});

test('a cooked tty is not confused by bytes beyond ASCII', () => {
  const ran = run(function* (): Body {
    yield* put(1, text(yield* sys('read', 0, 100)));
    return 0;
  }, { input: 'äöü€😀\x7f!\n' });
  expect(ran.stdout).toBe('äöü€😀\b \b!\näöü€!\n');
  expect(bytes(ran.stdout).length).toBeGreaterThan(0);
});
