/** No argument, however wrong, makes a call stumble: it gives a value or an errno, and the machine goes on. */
import { expect, test } from 'vitest';
import * as abi from '../../../src/engine/kernel/abi.ts';
import { type Body, type Request, sys } from '../../../src/engine/kernel/sys.ts';
import { SIGNATURES } from '../../../src/engine/kernel/syscalls/signatures.ts';
import { SYSCALLS } from '../../../src/engine/kernel/syscalls/table.ts';
import { below, createRandom, type Random } from '../../../src/engine/sim/random.ts';
import { bytes } from '../../../src/engine/sim/text.ts';
import { MS, SECOND } from '../../../src/engine/sim/units.ts';
import { put, run } from './harness.ts';

/** Calls that end, replace or put to sleep for good the one who makes them, or cannot be named from outside. */
const LEFT_OUT = new Set(['exit_group', 'execve', 'pause', 'clone', 'reboot', 'kill']);
const NAMES = (Object.keys(SYSCALLS) as (keyof typeof SYSCALLS)[]).filter((name) => !LEFT_OUT.has(name)).sort();

const CONSTANTS = Object.values(abi).filter((value) => typeof value === 'number');
const PATHS = ['/', '/tmp', '/tmp/a', '/tmp/a/b', 'x', '', '..', '/dev/null', '/dev/tty', '/dev/ptmx', '/dev/pts/0', '/proc/self/fd', '/proc/self/ns/net', '/proc/self/mem', '/sys', '/none', '/bin/main', 'a'.repeat(300)];
const WORDS = ['tmpfs', 'proc', 'overlay', 'cgroup2', 'getfd', 'setfl', 'dupfd', 'RLIMIT_NOFILE', 'block', 'setmask', 'realtime', 'user.x', 'trusted.y', 'link.add', 'read', 'lowerdir=/:/tmp', 'PR_SET_NAME', 'PR_CAPBSET_DROP', 'lo', 'inet'];

function pick<T>(random: Random, from: readonly T[]): T {
  return from[below(random, from.length)]!;
}

function value(random: Random, depth = 0): unknown {
  switch (below(random, depth > 2 ? 8 : 13)) {
    case 0: return below(random, 12);
    case 1: return pick(random, CONSTANTS);
    case 2: return -below(random, 200);
    case 3: return pick(random, [Number.NaN, Infinity, -Infinity, 1.5, 2 ** 31, 2 ** 53, 0x7ffff7000000]);
    case 4: return pick(random, PATHS);
    case 5: return pick(random, WORDS);
    case 6: return bytes(pick(random, ['', 'hello\n', '\x7fELF', 'x'.repeat(5000)]));
    case 7: return pick(random, [null, undefined, true]);
    case 8: return [value(random, depth + 1), value(random, depth + 1)];
    case 9: return { fd: below(random, 8), events: below(random, 64), cur: below(random, 100), max: below(random, 100), rows: 3, cols: 4 };
    case 10: return { family: pick(random, ['unix', 'inet', 'ipx']), path: pick(random, PATHS), address: pick(random, ['127.0.0.1', 'x', '10.0.0.5', '']), port: below(random, 70000) };
    case 11: return { type: pick(random, ['link.add', 'link.list', 'addr.add', 'route.list', 'route.add', 'nft', 'link.set', '']), name: pick(random, WORDS), dev: value(random, depth + 1), kind: 'veth', handler: 'ignore', flags: 1 };
    default: return { defaultAction: 'allow', names: ['reboot'], effective: ['sys_admin'], handler: pick(random, ['default', 'ignore', 'x']), [pick(random, WORDS)]: value(random, depth + 1) };
  }
}

/** A value of the shape that a letter of a signature asks for. */
function shaped(random: Random, letter: string): unknown {
  const number = (): number => pick(random, [below(random, 10), below(random, 10), pick(random, CONSTANTS), 4096 * below(random, 40), -1, Infinity, 1.5, 2 ** 40]);
  const word = (): string => pick(random, [pick(random, PATHS), pick(random, WORDS)]);
  switch (letter) {
    case 'n': return number();
    case 's': return word();
    case 'b': return bytes(pick(random, ['', 'hello\n', 'x'.repeat(9000), '1\n', '+memory']));
    case 'u': return pick(random, [null, { cur: number(), max: number() }]);
    case 'N': return Array.from({ length: below(random, 4) }, number);
    case 't': return pick(random, [null, 'now', number()]);
    case 'a': return pick(random, [{ family: 'unix', path: word() }, { family: pick(random, ['inet', 'inet6', 'netlink']), address: pick(random, ['127.0.0.1', '10.0.0.5', '10.0.0.9', '0.0.0.0', 'x', '::1']), port: number() }]);
    case 'p': return Array.from({ length: below(random, 4) }, () => ({ fd: below(random, 9) - 1, events: below(random, 64) }));
    case 'm': return { handler: pick(random, ['default', 'ignore']) };
    case 'c': return { [pick(random, ['effective', 'permitted', 'inheritable', 'bounding', 'ambient'])]: [word(), 'sys_admin', 'kill'] };
    case 'P': return { defaultAction: 'allow', names: ['reboot', word()] };
    case 'r': return { type: word(), ...(value(random, 1) as object | null) };
    default: return value(random);
  }
}

function argumentsFor(random: Random, name: keyof typeof SIGNATURES): unknown[] {
  if (below(random, 8) === 0) return Array.from({ length: below(random, 6) }, () => value(random));
  return [...SIGNATURES[name].replace('?', '')].map((letter) => (below(random, 12) === 0 ? value(random) : shaped(random, letter)));
}

test.each([1, 2, 3, 4, 5, 6, 7, 8])('calls of every kind with arguments of every kind, seed %i', (seed) => {
  const random = createRandom(seed);
  let made = 0;
  const outcomes = new Map<string, number>();
  const ran = run(
    function* (): Body {
      yield* sys('mount', 'proc', '/proc', 'proc', 0, '');
      yield* sys('mount', 'devpts', '/dev/pts', 'devpts', 0, 'ptmxmode=666');
      for (const signal of [abi.SIG.ALRM, abi.SIG.PIPE, abi.SIG.TTIN, abi.SIG.TTOU, abi.SIG.HUP]) yield* sys('rt_sigaction', signal, { handler: 'ignore' });
      for (let round = 0; round < 60; round++) {
        const pid = yield* sys('clone', {
          flags: 0,
          *run(): Body {
            for (let i = 0; i < 100; i++) {
              const name = pick(random, NAMES);
              const args = argumentsFor(random, name);
              made++;
              let said = 'ok';
              try {
                yield { op: 'sys', name, args } as unknown as Request;
              } catch (error) {
                if (!(error instanceof abi.SysError)) throw error;
                said = error.errno;
              }
              outcomes.set(said, (outcomes.get(said) ?? 0) + 1);
            }
            return 0;
          },
        });
        yield* sys('nanosleep', 100 * MS);
        yield* sys('kill', pid, abi.SIG.KILL);
        yield* sys('wait4', pid, 0);
      }
      yield* put(2, 'still here\n');
      return 0;
    },
    { limit: 300 * SECOND, network: { address: '10.0.0.5/24' } },
  );
  expect(made).toBeGreaterThan(1000);
  if (process.env.SAY) console.log(seed, made, [...outcomes].join(' '));
  expect(outcomes.size).toBeGreaterThan(10);
  expect(ran.status).toBe(0);
});
