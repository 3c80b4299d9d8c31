/** The kernel from power-on to a program that forks, execs, waits, reads the keyboard and writes to the screen. */
import { expect, test } from 'vitest';
import { type Body, sys } from '../../../src/engine/kernel/sys.ts';
import { text } from '../../../src/engine/sim/text.ts';
import { outcome, put, run } from './harness.ts';

test('fork, exec, wait, keyboard, screen', () => {
  const ran = run(
    function* (): Body {
      const line = yield* sys('read', 0, 100);
      yield* put(1, `got ${text(line)}`);
      const pid = yield* sys('clone', {
        flags: 0,
        *run(): Body {
          yield* sys('execve', '/bin/child', ['child', 'a b'], {});
          return 1;
        },
      });
      const ended = yield* sys('wait4', pid, 0);
      yield* put(1, `child ${ended.pid === pid} ${ended.status >> 8}\n`);
      yield* put(2, 'to stderr\n');
      return 3;
    },
    {
      programs: {
        *child(argv): Body {
          yield* put(1, `I am ${argv.join(',')}\n`);
          return 7;
        },
      },
      input: 'helxx\x7f\x7flo\r',
    },
  );
  expect(ran.stdout).toBe('helxx\b \b\b \blo\ngot hello\nI am child,a b\nchild true 7\n');
  expect(ran.stderr).toBe('to stderr\n');
  expect(ran.status).toBe(3 << 8);
});

test('execve: scripts, and what cannot be run', () => {
  const ran = run(
    function* (): Body {
      for (const path of ['/none', '/etc', '/noexec', '/text', '/elf', '/bin/child/x', '/loop']) {
        yield* put(1, `${path} ${yield* outcome(sys('execve', path, ['x'], {}))}\n`);
      }
      yield* sys('execve', '/script', ['script', 'one'], {});
      return 1;
    },
    {
      programs: {
        *child(argv): Body {
          yield* put(1, `${argv.join(',')} comm ${(yield* outcome(sys('prctl', 'PR_GET_NO_NEW_PRIVS')))}\n`);
          return 7;
        },
      },
      tree: {
        '/noexec': { type: 'program', name: 'child', mode: 0o644 }, '/text': { type: 'file', data: 'echo hi\n', mode: 0o755 },
        '/elf': { type: 'file', data: '\x7fELF\x02\x01\x01', mode: 0o755 }, '/script': { type: 'file', data: '#! /bin/child -a  b \nrest\n', mode: 0o755 },
        '/loop': { type: 'file', data: '#!/loop\n', mode: 0o755 },
      },
    },
  );
  expect(ran.stdout).toBe(
    '/none ENOENT\n/etc EACCES\n/noexec EACCES\n/text ENOEXEC\n/elf ENOEXEC\n/bin/child/x ENOTDIR\n/loop ELOOP\n/bin/child,-a  b,/script,one comm 0\n',
  );
  expect(ran.m.kernel.log.some((line) => line.text.startsWith('not modelled: /elf'))).toBe(true);
});
