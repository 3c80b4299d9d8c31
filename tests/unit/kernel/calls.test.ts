/** System calls that wait, refuse or confine: pipes, fifos, poll, locks, seccomp, capabilities, cgroups, roots. */
import { expect, test } from 'vitest';
import {
  AT_FDCWD, CLONE_NEWCGROUP, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER, MNT_DETACH, MS_BIND, MS_PRIVATE, MS_REC, MS_SHARED, MS_SLAVE, O_CREAT, O_DIRECTORY, O_NONBLOCK, O_RDONLY,
  O_RDWR, O_WRONLY, POLLHUP, POLLIN, POLLOUT, S_IFIFO, SIG,
} from '../../../src/engine/kernel/abi.ts';
import { callsOf } from '../../../src/engine/kernel/dispatch.ts';
import { argsText, resultText } from '../../../src/engine/kernel/strace.ts';
import { type Body, type Request, sys } from '../../../src/engine/kernel/sys.ts';
import { bytes, text } from '../../../src/engine/sim/text.ts';
import { MS, SECOND } from '../../../src/engine/sim/units.ts';
import { outcome, put, run } from './harness.ts';

type Call<T> = Generator<Request, T, unknown>;
const say = (...parts: unknown[]): Call<void> => put(1, `${parts.join(' ')}\n`);

function* fork(body: () => Body, flags = 0, cgroup?: number): Call<number> {
  return yield* sys('clone', cgroup === undefined ? { flags, run: body } : { flags, run: body, cgroup });
}
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

const CASES: Record<string, [() => Body, string]> = {
  'a pipe fills, blocks, breaks': [
    function* (): Body {
      const [r, w] = yield* sys('pipe2', O_NONBLOCK);
      let total = 0;
      for (;;) {
        const n = yield* outcome(sys('write', w, new Uint8Array(4096)));
        if (typeof n === 'string') break;
        total += n;
      }
      yield* say(total, (yield* sys('poll', [{ fd: w, events: POLLOUT }, { fd: r, events: POLLIN }], 0)).map((p) => p.revents).join());
      yield* sys('close', r);
      yield* sys('rt_sigaction', SIG.PIPE, { handler: 'ignore' });
      yield* say(yield* outcome(sys('write', w, bytes('x'))));
      return 0;
    },
    '65536 1\nEPIPE\n',
  ],
  'poll: timeout, readiness, hang-up, a bad descriptor': [
    function* (): Body {
      const [r, w] = yield* sys('pipe2', 0);
      const t0 = yield* sys('clock_gettime', 'monotonic');
      yield* say((yield* sys('poll', [{ fd: r, events: POLLIN }], 100 * MS)).length, (yield* sys('clock_gettime', 'monotonic')) - t0 >= 100 * MS);
      const pid = yield* fork(function* (): Body {
        yield* sys('nanosleep', 10 * MS);
        yield* put(w, 'x');
        return 0;
      });
      yield* say((yield* sys('poll', [{ fd: r, events: POLLIN }, { fd: 77, events: 0 }], 0))[0]!.revents);
      yield* say((yield* sys('poll', [{ fd: r, events: POLLIN }], -1))[0]!.revents === POLLIN);
      yield* sys('wait4', pid, 0);
      yield* sys('close', w);
      yield* sys('read', r, 10);
      yield* say((yield* sys('poll', [{ fd: r, events: POLLIN }], -1))[0]!.revents === POLLHUP);
      return 0;
    },
    '0 true\n32\ntrue\ntrue\n',
  ],
  'a fifo waits for its other end': [
    function* (): Body {
      yield* sys('mknodat', AT_FDCWD, '/tmp/f', S_IFIFO | 0o600, 0, 0);
      yield* say(yield* outcome(sys('openat', AT_FDCWD, '/tmp/f', O_WRONLY | O_NONBLOCK)));
      yield* fork(function* (): Body {
        yield* sys('nanosleep', 5 * MS);
        yield* poke('/tmp/f', 'through');
        return 0;
      });
      yield* say(yield* slurp('/tmp/f'));
      return 0;
    },
    'ENXIO\nthrough\n',
  ],
  'flock excludes, shares, and ends with its description': [
    function* (): Body {
      const one = yield* sys('openat', AT_FDCWD, '/tmp/l', O_RDWR | O_CREAT, 0o600);
      const two = yield* sys('openat', AT_FDCWD, '/tmp/l', O_RDWR);
      yield* say(yield* sys('flock', one, 2), yield* outcome(sys('flock', two, 2 | 4)), yield* outcome(sys('flock', two, 1 | 4)));
      yield* sys('flock', one, 1);
      yield* say(yield* sys('flock', two, 1 | 4));
      const pid = yield* fork(function* (): Body {
        const three = yield* sys('openat', AT_FDCWD, '/tmp/l', O_RDWR);
        yield* sys('close', one);
        yield* sys('close', two);
        yield* sys('flock', three, 2);
        yield* say('child has it');
        return 0;
      });
      yield* sys('nanosleep', 5 * MS);
      yield* sys('close', one);
      yield* sys('nanosleep', 5 * MS);
      yield* say('released');
      yield* sys('close', two);
      yield* sys('wait4', pid, 0);
      return 0;
    },
    '0 EAGAIN EAGAIN\n0\nreleased\nchild has it\n',
  ],
  'seccomp refuses by name, and stays': [
    function* (): Body {
      yield* sys('seccomp', { defaultAction: 'allow', rules: [{ names: ['mount', 'unshare'], action: 'errno' }] });
      yield* say(yield* outcome(sys('mount', 'x', '/mnt', 'tmpfs', 0, '')), yield* outcome(sys('unshare', CLONE_NEWNS)));
      const pid = yield* fork(function* (): Body {
        yield* say(yield* outcome(sys('mount', 'x', '/mnt', 'tmpfs', 0, '')));
        return 0;
      });
      yield* sys('wait4', pid, 0);
      return 0;
    },
    'EPERM EPERM\nEPERM\n',
  ],
  'capabilities: dropped from the bounding set, not regained by execve': [
    function* (): Body {
      yield* sys('prctl', 'PR_CAPBSET_DROP', 'sys_admin');
      yield* say(yield* outcome(sys('mount', 'x', '/mnt', 'tmpfs', 0, '')));
      const { permitted } = yield* sys('capget', 0);
      yield* sys('capset', { effective: permitted.filter((one) => one !== 'kill'), permitted: permitted.filter((one) => one !== 'kill') });
      yield* say(yield* outcome(sys('capset', { permitted })));
      yield* sys('execve', '/bin/after', ['after'], {});
      return 1;
    },
    '0\nEPERM\nfalse true 40\n',
  ],
  'root of a user namespace is nobody to files it does not own': [
    function* (): Body {
      yield* sys('unshare', CLONE_NEWUSER);
      yield* say(yield* outcome(sys('openat', AT_FDCWD, '/secret', O_RDONLY)), yield* outcome(sys('fchownat', AT_FDCWD, '/tmp', 0, 0, 0)));
      yield* say((yield* sys('newfstatat', AT_FDCWD, '/secret', 0)).uid, yield* outcome(sys('mknodat', AT_FDCWD, '/tmp/n', 0o020600, 1, 3)));
      return 0;
    },
    'EACCES EINVAL\n65534 EPERM\n',
  ],
  'CLONE_INTO_CGROUP, cgroup.kill, the freezer, cgroup namespaces': [
    function* (): Body {
      yield* sys('mount', 'cgroup2', '/sys', 'cgroup2', 0, '');
      yield* sys('mount', 'proc', '/proc', 'proc', 0, '');
      yield* sys('mkdirat', AT_FDCWD, '/sys/g', 0o755);
      const dir = yield* sys('openat', AT_FDCWD, '/sys/g', O_RDONLY | O_DIRECTORY);
      const [r, w] = yield* sys('pipe2', O_NONBLOCK);
      const pid = yield* fork(function* (): Body {
        yield* sys('unshare', CLONE_NEWCGROUP);
        yield* put(w, yield* slurp('/proc/self/cgroup'));
        for (;;) {
          yield* sys('nanosleep', MS);
          yield* put(w, '.');
        }
      }, 0, dir);
      yield* sys('nanosleep', 10 * MS);
      yield* say((yield* slurp('/sys/g/cgroup.procs')).trim() === String(pid), text(yield* sys('read', r, 5)).trim());
      yield* poke('/sys/g/cgroup.freeze', '1');
      yield* sys('read', r, 9999);
      yield* sys('nanosleep', 50 * MS);
      yield* say(yield* outcome(sys('read', r, 9999)), (yield* slurp('/sys/g/cgroup.events')).replaceAll('\n', ' '));
      yield* poke('/sys/g/cgroup.kill', '1');
      yield* say((yield* sys('wait4', pid, 0)).status, yield* outcome(sys('unlinkat', AT_FDCWD, '/sys/g', 0x200)));
      return 0;
    },
    'true 0::/\nEAGAIN populated 1 frozen 1 \n9 0\n',
  ],
  'a root of its own, as a container gets it': [
    function* (): Body {
      const pid = yield* fork(function* (): Body {
        yield* sys('mount', 'none', '/', '', MS_REC | MS_PRIVATE, '');
        yield* sys('mount', 'tmpfs', '/mnt', 'tmpfs', 0, '');
        for (const dir of ['proc', 'old', 'bin']) yield* sys('mkdirat', AT_FDCWD, `/mnt/${dir}`, 0o755);
        yield* sys('mount', '/bin', '/mnt/bin', '', MS_BIND, '');
        yield* sys('chdir', '/mnt');
        yield* sys('pivot_root', '.', 'old');
        yield* sys('umount2', '/old', MNT_DETACH);
        yield* sys('mount', 'proc', '/proc', 'proc', 0, '');
        yield* say(yield* outcome(sys('newfstatat', AT_FDCWD, '/secret', 0)), yield* sys('getcwd'));
        yield* sys('execve', '/bin/list', ['list'], {});
        return 1;
      }, CLONE_NEWNS | CLONE_NEWPID);
      yield* say((yield* sys('wait4', pid, 0)).status, (yield* sys('newfstatat', AT_FDCWD, '/secret', 0)).size);
      return 0;
    },
    'ENOENT /\n1 list\n0 4\n',
  ],
};

const PROGRAMS = {
  *after(): Body {
    const caps = yield* sys('capget', 0);
    yield* say(caps.effective.includes('sys_admin'), caps.effective.includes('kill'), caps.bounding.length);
    return 0;
  },
  *list(): Body {
    yield* say(yield* sys('getpid'), (yield* slurp('/proc/self/comm')).trim());
    return 0;
  },
};

test.each(Object.entries(CASES))('%s', (_name, [program, expected]) => {
  const ran = run(program, { programs: PROGRAMS, tree: { '/secret': { type: 'file', data: 'shh\n', mode: 0o600, uid: 500 } }, limit: 30 * SECOND });
  expect(ran.stdout).toBe(expected);
  expect(ran.status).toBe(0);
});

test('calls are kept as strace shows them', () => {
  const ran = run(function* (): Body {
    const fd = yield* sys('openat', AT_FDCWD, '/tmp/a', O_WRONLY | O_CREAT, 0o644);
    yield* sys('write', fd, bytes('hello\n'));
    yield* outcome(sys('openat', AT_FDCWD, '/none', O_RDONLY));
    yield* outcome(sys('kill', 4999, SIG.TERM));
    return 0;
  });
  const lines = callsOf(ran.m.kernel).filter((call) => call.comm === 'main').map((call) => `${call.name}(${argsText(call)}) = ${resultText(call)}`);
  expect(lines.slice(-4)).toEqual([
    'openat(AT_FDCWD, "/tmp/a", O_CREAT|O_WRONLY, 0644) = 3',
    'write(3, "hello\\n") = 6',
    'openat(AT_FDCWD, "/none", O_RDONLY) = -1 ENOENT (No such file or directory)',
    'kill(4999, SIGTERM) = -1 ESRCH (No such process)',
  ]);
});

test('shared mounts tell their peers, slaves hear and do not tell, private ones are alone', () => {
  const ran = run(function* (): Body {
    yield* sys('mount', 'proc', '/proc', 'proc', 0, '');
    yield* sys('mount', 'none', '/', '', MS_REC | MS_SHARED, '');
    yield* sys('mkdirat', AT_FDCWD, '/mnt/a', 0o755);
    yield* sys('mkdirat', AT_FDCWD, '/mnt/b', 0o755);
    const count = function* (at: string): Call<number> {
      return (yield* slurp('/proc/self/mounts')).split('\n').filter((row) => row.split(' ')[1] === at).length;
    };
    const [r, w] = yield* sys('pipe2', 0);
    const child = function* (how: number): Call<number> {
      return yield* fork(function* (): Body {
        if (how !== MS_SHARED) yield* sys('mount', 'none', '/', '', MS_REC | how, '');
        yield* sys('mount', 'mine', '/mnt/b', 'tmpfs', 0, '');
        yield* sys('read', r, 1);
        yield* say('child sees', yield* count('/mnt/a'));
        return 0;
      }, CLONE_NEWNS);
    };
    for (const how of [MS_SHARED, MS_SLAVE, MS_PRIVATE]) {
      const pid = yield* child(how);
      yield* sys('nanosleep', MS);
      yield* sys('mount', 'ours', '/mnt/a', 'tmpfs', 0, '');
      yield* say('parent sees', yield* count('/mnt/b'));
      yield* put(w, 'x');
      yield* sys('wait4', pid, 0);
      yield* sys('umount2', '/mnt/a', 0);
      yield* outcome(sys('umount2', '/mnt/b', 0));
    }
    return 0;
  });
  expect(ran.stdout).toBe('parent sees 1\nchild sees 1\nparent sees 0\nchild sees 1\nparent sees 0\nchild sees 0\n');
});
