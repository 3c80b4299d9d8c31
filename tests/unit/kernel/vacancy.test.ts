/** Namespaces live while somebody holds them, and their numbers are the lowest free ones; groups and threads are known as they change. */
import { expect, it } from 'vitest';
import { AT_FDCWD, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUTS, MS_BIND, MS_PRIVATE, MS_REC, O_RDONLY, O_CREAT } from '../../../src/engine/kernel/abi.ts';
import { groupOf, sessionOf, threadsOf } from '../../../src/engine/kernel/membership.ts';
import { netOf } from '../../../src/engine/kernel/net/state.ts';
import { type Body, type Request, sys } from '../../../src/engine/kernel/sys.ts';
import { machine, run, until } from './harness.ts';

type Call<T> = Generator<Request, T, unknown>;

function* number(type: string): Call<number> {
  return Number(/\d+/.exec(yield* sys('readlinkat', AT_FDCWD, `/proc/self/ns/${type}`))![0]);
}

/** A child in new namespaces, to its end. */
function* inNew(flags: number, work: () => Body): Call<void> {
  yield* sys('wait4', yield* sys('clone', { flags, run: work }), 0);
}

function* mounted(): Call<void> {
  yield* sys('mount', 'proc', '/proc', 'proc', 0, '');
}

it('numbers come back, the lowest first, when the last holder goes', () => {
  const seen: number[][] = [];
  const note = function* (): Body {
    seen.push([yield* number('net'), yield* number('mnt'), yield* number('uts')]);
  };
  const ran = run(function* () {
    yield* mounted();
    yield* inNew(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWUTS, note);
    yield* inNew(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWUTS, note);
    return 0;
  });
  expect(ran.status).toBe(0);
  expect(seen[1]).toEqual(seen[0]);
  expect(new Set(seen[0]).size).toBe(3);
});

it('a descriptor, then a bind mount, keep a network namespace; without them it ends', () => {
  const alive: number[] = [];
  const m = machine({
    programs: {
      *init() {
        const note = function* (): Call<void> {
          yield* sys('netlink', { type: 'link.list' });
          alive.push(netOf(m.kernel).namespaces.size);
        };
        yield* mounted();
        yield* sys('close', yield* sys('openat', AT_FDCWD, '/tmp/ns', O_RDONLY | O_CREAT, 0o644));
        const [r, w] = yield* sys('pipe2', 0);
        const pid = yield* sys('clone', { flags: CLONE_NEWNET, run: function* () { yield* sys('read', r, 1); } });
        const fd = yield* sys('openat', AT_FDCWD, `/proc/${pid}/ns/net`, O_RDONLY);
        yield* note();
        yield* sys('mount', `/proc/${pid}/ns/net`, '/tmp/ns', '', MS_BIND, '');
        yield* sys('write', w, new Uint8Array(1));
        yield* sys('wait4', pid, 0);
        yield* note();
        yield* sys('close', fd);
        yield* note();
        yield* sys('umount2', '/tmp/ns', 0);
        yield* note();
        yield* sys('pause');
      },
    },
  });
  until(m, () => alive.length === 4);
  expect(alive).toEqual([2, 2, 2, 1]);
});

it('mounts of a namespace that ended hang nowhere and are nobody’s peers', () => {
  const ran = run(function* () {
    yield* mounted();
    for (let n = 0; n < 3; n++) {
      yield* inNew(CLONE_NEWNS, function* () {
        yield* sys('mount', '', '/', '', MS_REC | MS_PRIVATE, '');
        yield* sys('mount', 'none', '/tmp', 'tmpfs', 0, '');
      });
    }
    return 0;
  });
  const { kernel } = ran.m;
  expect(ran.status).toBe(0);
  for (const mount of kernel.init.mnt.mounts) expect(mount.at.hung?.every((one) => one.ns === kernel.init.mnt)).toBe(true);
  for (const { members, slaves } of kernel.mounts.groups.values()) for (const one of [...members, ...slaves]) expect(one.ns).toBe(kernel.init.mnt);
});

it('an init that nobody has waited for keeps the number of its pid namespace', () => {
  const ran = run(function* () {
    yield* mounted();
    const first = yield* sys('clone', { flags: CLONE_NEWPID, run: function* () {} });
    yield* sys('nanosleep', 1e6);
    const second = yield* sys('clone', { flags: CLONE_NEWPID, run: function* () { yield* sys('nanosleep', 2e6); } });
    const other = yield* sys('readlinkat', AT_FDCWD, `/proc/${second}/ns/pid`);
    yield* sys('wait4', first, 0);
    yield* sys('wait4', second, 0);
    const third = yield* sys('clone', { flags: CLONE_NEWPID, run: function* () { yield* sys('nanosleep', 2e6); } });
    const again = yield* sys('readlinkat', AT_FDCWD, `/proc/${third}/ns/pid`);
    yield* sys('wait4', third, 0);
    return Number(/\d+/.exec(again)![0]) < Number(/\d+/.exec(other)![0]) ? 0 : 1;
  });
  expect(ran.status).toBe(0);
});

it('groups, sessions and threads are those of the tasks that there are', () => {
  const ran = run(function* () {
    const child = yield* sys('clone', { flags: 0, run: function* () {
      yield* sys('setsid');
      yield* sys('clone', { flags: 0x10f00, run: function* () { yield* sys('nanosleep', 5e6); } });
      yield* sys('nanosleep', 5e6);
    } });
    yield* sys('nanosleep', 1e6);
    yield* sys('kill', -child, 9);
    yield* sys('wait4', child, 0);
    return 0;
  });
  const { kernel } = ran.m;
  expect(ran.status).toBe(0);
  const all = [...kernel.tasks.values()];
  for (const task of all) {
    expect(threadsOf(kernel, task)).toEqual(all.filter((one) => one.leader === task.leader));
    expect([...groupOf(kernel, task.pgid)].sort((a, b) => a.pid - b.pid)).toEqual(all.filter((one) => one.leader === one && one.pgid === task.pgid));
    expect(sessionOf(kernel, task.sid).sort((a, b) => a.pid - b.pid)).toEqual(all.filter((one) => one.sid === task.sid));
  }
  expect(kernel.members.groups.size).toBe(new Set(all.map((one) => one.pgid)).size);
});
