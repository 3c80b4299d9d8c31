/** Copies of mount namespaces that are made as they are needed: whatever is done, nothing tells them from whole ones. A whole one is had by reading it. */
import { describe, expect, it } from 'vitest';
import { MNT_DETACH, MS_BIND, MS_MOVE, MS_PRIVATE, MS_REC, MS_SHARED, MS_SLAVE, SysError } from '../../../src/engine/kernel/abi.ts';
import { sys } from '../../../src/engine/kernel/sys.ts';
import { createRandom, below } from '../../../src/engine/sim/random.ts';
import type { Call } from '../../../src/engine/userland/lib/http.ts';
import { run } from './harness.ts';

const CLONE_NEWNS = 0x20000;
const PLACES = ['/', '/mnt', '/mnt/a', '/mnt/b', '/mnt/a/x', '/mnt/b/x', '/mnt/c'];

type Step = { who: number; what: string; from: string; to: string };

function stepsOf(seed: number): Step[] {
  const random = createRandom(seed);
  const place = (least = 0): string => PLACES[least + below(random, PLACES.length - least)]!;
  const kinds = ['tmpfs', 'tmpfs', 'bind', 'rbind', 'rbind', 'shared', 'slave', 'private', 'umount', 'detach', 'move', 'root'];
  const steps: Step[] = Array.from({ length: 24 }, () => ({ who: below(random, 3), what: kinds[below(random, kinds.length)]!, from: place(), to: place(1) }));
  if (below(random, 2)) steps.unshift({ who: 0, what: 'shared', from: '/', to: '' });
  for (const who of [1, 2]) steps.splice(below(random, 14), 0, { who, what: 'unshare', from: '', to: '' }, { who, what: ['private', 'slave', 'look'][below(random, 3)]!, from: '/', to: '' });
  return steps;
}

/** Of the asking process; read by a descriptor of /proc, which no change of roots takes away. */
function* mounts(proc: number): Call<string> {
  const fd = yield* sys('openat', proc, `${yield* sys('getpid')}/mountinfo`, 0);
  const text = new TextDecoder().decode(yield* sys('read', fd, 1 << 20));
  yield* sys('close', fd);
  return text;
}

function* act({ what, from, to }: Step, proc: number, whole: boolean): Call<void> {
  const flags = { bind: MS_BIND, rbind: MS_BIND | MS_REC, shared: MS_SHARED | MS_REC, slave: MS_SLAVE | MS_REC, private: MS_PRIVATE | MS_REC, move: MS_MOVE }[what];
  if (what === 'unshare') {
    yield* sys('unshare', CLONE_NEWNS);
    if (whole) yield* mounts(proc);
  } else if (what === 'tmpfs') {
    yield* sys('mount', 't', to, 'tmpfs', 0, '');
    yield* sys('mkdirat', -100, `${to}/x`, 0o755);
  } else if (what === 'umount' || what === 'detach') yield* sys('umount2', to, what === 'detach' ? MNT_DETACH : 0);
  else if (what === 'root') {
    // As runc does it.
    yield* sys('mount', to, to, '', MS_BIND | MS_REC, '');
    yield* sys('chdir', to);
    yield* sys('pivot_root', '.', '.');
    yield* sys('umount2', '.', MNT_DETACH);
    yield* sys('chdir', '/');
  } else if (flags !== undefined) yield* sys('mount', from, what === 'bind' || what === 'rbind' || what === 'move' ? to : from, '', flags, '');
}

/** What three processes see in the end, and each step's errno. */
function history(steps: readonly Step[], whole: boolean): string[] {
  const out: string[] = [];
  run(function* () {
    yield* sys('mount', 'top', '/mnt', 'tmpfs', 0, '');
    for (const dir of 'abc') yield* sys('mkdirat', -100, `/mnt/${dir}`, 0o755);
    yield* sys('mount', 'proc', '/proc', 'proc', 0, '');
    const proc = yield* sys('openat', -100, '/proc', 0);
    const most = yield* sys('openat', proc, 'sys/fs/mount-max', 1);
    yield* sys('write', most, new TextEncoder().encode('24'));
    const pipes: { ask: readonly number[]; told: readonly number[] }[] = [];
    const tried = function* (step: Step): Call<void> {
      try {
        yield* act(step, proc, whole);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        out.push(`${step.who} ${step.what} ${step.to}: ${error.errno}`);
      }
    };
    const listing = function* (who: number): Call<void> {
      out.push(`${who}: ${yield* mounts(proc)}`);
    };
    for (const who of [1, 2]) {
      const [ask, told] = [yield* sys('pipe2', 0), yield* sys('pipe2', 0)];
      pipes.push({ ask, told });
      yield* sys('clone', {
        flags: 0,
        *run() {
          for (;;) {
            const [n] = yield* sys('read', ask[0]!, 1);
            if (n === 255) yield* listing(who);
            else yield* tried(steps[n!]!);
            yield* sys('write', told[1]!, new Uint8Array(1));
          }
        },
      });
    }
    const bid = function* (who: number, n: number): Call<void> {
      yield* sys('write', pipes[who - 1]!.ask[1]!, new Uint8Array([n]));
      yield* sys('read', pipes[who - 1]!.told[0]!, 1);
    };
    for (const [n, step] of steps.entries()) {
      if (step.who === 0) yield* tried(step);
      else yield* bid(step.who, n);
    }
    yield* listing(0);
    for (const who of [1, 2]) yield* bid(who, 255);
    return 0;
  });
  return out;
}

describe('mount namespaces copied late', () => {
  it('are those copied at once, whatever happens', () => {
    let [told, full] = [0, 0];
    for (let seed = 1; seed <= 250; seed++) {
      const steps = stepsOf(seed);
      const whole = history(steps, true);
      expect(history(steps, false), `seed ${seed}`).toEqual(whole);
      told += whole.filter((one) => /^[012]: ./.test(one)).length;
      full += whole.filter((one) => one.endsWith('ENOSPC')).length;
    }
    expect(told).toBe(750);
    expect(full).toBeGreaterThan(5);
  });
});
