/** Memory: what is charged where, limits, the killer, and what a report says. */
import { expect, test } from 'vitest';
import { AT_FDCWD, MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED, O_RDONLY, O_WRONLY, PROT_READ, PROT_WRITE, SIG } from '../../../src/engine/kernel/abi.ts';
import { type Body, type Request, sys, touch } from '../../../src/engine/kernel/sys.ts';
import { bytes, text } from '../../../src/engine/sim/text.ts';
import { MiB, SECOND } from '../../../src/engine/sim/units.ts';
import { outcome, put, run } from './harness.ts';

type Call<T> = Generator<Request, T, unknown>;
const say = (...parts: unknown[]): Call<void> => put(1, `${parts.join(' ')}\n`);

function* poke(path: string, value: string): Call<void> {
  const fd = yield* sys('openat', AT_FDCWD, path, O_WRONLY);
  yield* sys('write', fd, bytes(value));
  yield* sys('close', fd);
}
function* slurp(path: string): Call<string> {
  const fd = yield* sys('openat', AT_FDCWD, path, O_RDONLY);
  const data = yield* sys('read', fd, 65536);
  yield* sys('close', fd);
  return text(data);
}
function* group(name: string): Call<string> {
  yield* sys('mount', 'cgroup2', '/sys', 'cgroup2', 0, '');
  yield* poke('/sys/cgroup.subtree_control', '+memory +pids +cpu');
  yield* sys('mkdirat', AT_FDCWD, `/sys/${name}`, 0o755);
  return `/sys/${name}`;
}
/** A child that joins a group and allocates so many bytes a MiB at a time. */
function* hog(dir: string, bytesWanted: number): Call<number> {
  return yield* sys('clone', {
    flags: 0,
    *run(): Body {
      yield* poke(`${dir}/cgroup.procs`, '0');
      for (let got = 0; got < bytesWanted; got += MiB) {
        const at = yield* sys('mmap', MiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
        yield* touch(at, MiB, 'w');
      }
      return 0;
    },
  });
}

test('a hog above memory.max is killed, below it is not, and everything is given back', () => {
  const ran = run(function* (): Body {
    const dir = yield* group('g');
    yield* poke(`${dir}/memory.max`, '64M');
    for (const size of [32, 128]) {
      const pid = yield* hog(dir, size * MiB);
      yield* say((yield* sys('wait4', pid, 0)).status, (yield* slurp(`${dir}/memory.current`)).trim());
    }
    const events = yield* slurp(`${dir}/memory.events`);
    yield* say(/oom 1\n/.test(events), /oom_kill 1\n/.test(events));
    return 0;
  });
  expect(ran.stdout).toBe('0 0\n9 0\ntrue true\n');
  const report = ran.m.kernel.log.map((line) => line.text);
  expect(report.some((line) => /^main invoked oom-killer/.test(line))).toBe(true);
  expect(report.some((line) => /^Memory cgroup out of memory: Killed process \d+ \(main\) total-vm:\d+kB, anon-rss:6[345]\d\d\dkB/.test(line))).toBe(true);
  expect(ran.m.kernel.frames.anon).toBeLessThan(200);
});

test('the machine itself runs out', () => {
  const ran = run(
    function* (): Body {
      const pid = yield* sys('clone', {
        flags: 0,
        *run(): Body {
          for (;;) {
            const at = yield* sys('mmap', 16 * MiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
            yield* touch(at, 16 * MiB, 'w');
          }
        },
      });
      yield* say((yield* sys('wait4', pid, 0)).status);
      return 0;
    },
    { memory: 256 * MiB },
  );
  expect(ran.stdout).toBe('9\n');
  expect(ran.m.kernel.log.some((line) => line.text.startsWith('Out of memory: Killed process'))).toBe(true);
});

test('bad addresses, brk, munmap, shared pages', () => {
  const ran = run(function* (): Body {
    const pid = yield* sys('clone', {
      flags: 0,
      *run(): Body {
        yield* touch(64, 1, 'r');
        return 0;
      },
    });
    yield* say((yield* sys('wait4', pid, 0)).status === (SIG.SEGV | 0x80));
    const start = yield* sys('brk', 0);
    yield* say((yield* sys('brk', start + 3 * MiB)) - start);
    yield* touch(start, 3 * MiB, 'w');
    const at = yield* sys('mmap', 4 * MiB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    yield* touch(at, 4 * MiB, 'w');
    yield* say((yield* sys('getrusage', 0)).maxrss > 7 * 1024);
    yield* sys('munmap', at + MiB, MiB);
    yield* touch(at, MiB, 'w');
    const gone = yield* sys('clone', {
      flags: 0,
      *run(): Body {
        yield* touch(at + MiB, 1, 'r');
        return 0;
      },
    });
    yield* say((yield* sys('wait4', gone, 0)).status === (SIG.SEGV | 0x80));
    yield* say(yield* outcome(sys('mmap', 0, 3, 0x22)), yield* outcome(sys('mmap', 8 * 1024 * MiB, 3, 0x22)));
    return 0;
  });
  expect(ran.stdout).toBe('true\n3145728\ntrue\ntrue\nEINVAL ENOMEM\n');
});

test('fork copies nothing until it writes', () => {
  const ran = run(function* (): Body {
    const dir = yield* group('g');
    const pid = yield* sys('clone', {
      flags: 0,
      *run(): Body {
        yield* poke(`${dir}/cgroup.procs`, '0');
        const at = yield* sys('mmap', 8 * MiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
        yield* touch(at, 8 * MiB, 'w');
        const current = function* (): Call<number> {
          return Math.round(Number(yield* slurp(`${dir}/memory.current`)) / MiB);
        };
        const child = yield* sys('clone', {
          flags: 0,
          *run(): Body {
            yield* say(yield* current());
            yield* touch(at, 8 * MiB, 'r');
            yield* say(yield* current());
            yield* touch(at, 4 * MiB, 'w');
            yield* say(yield* current());
            return 0;
          },
        });
        yield* sys('wait4', child, 0);
        yield* say(yield* current());
        return 0;
      },
    });
    yield* sys('wait4', pid, 0);
    yield* say((yield* slurp(`${dir}/memory.current`)).trim());
    return 0;
  });
  expect(ran.stdout).toBe('8\n8\n12\n8\n0\n');
});

test('memory.high stalls and does not kill', () => {
  const ran = run(
    function* (): Body {
      const dir = yield* group('g');
      yield* poke(`${dir}/memory.high`, '20M');
      const t0 = yield* sys('clock_gettime', 'monotonic');
      const pid = yield* hog(dir, 22 * MiB);
      yield* say((yield* sys('wait4', pid, 0)).status, ((yield* sys('clock_gettime', 'monotonic')) - t0) / SECOND > 0.5);
      return 0;
    },
  );
  expect(ran.stdout).toBe('0 true\n');
});
