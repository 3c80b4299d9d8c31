/**
 * From inside a container no path, pid, socket or packet reaches what its namespaces hide: random operations by a root with
 * docker's capabilities, in namespaces of its own, on a root file system of its own; outside a file, a process and two listeners
 * that must never be seen, signalled or connected to.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  AF_INET, AF_UNIX, AT_FDCWD, CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUTS, MNT_DETACH, MS_BIND, MS_PRIVATE, MS_REC, O_RDONLY, O_RDWR, SOCK_STREAM, SysError,
} from '../../src/engine/kernel/abi.ts';
import { type Body, sys } from '../../src/engine/kernel/sys.ts';
import { text } from '../../src/engine/sim/text.ts';
import { SECOND } from '../../src/engine/sim/units.ts';
import { machine, until } from '../unit/kernel/harness.ts';

const SECRET = 'the-secret-outside';
const CAPS = ['chown', 'dac_override', 'fsetid', 'fowner', 'mknod', 'net_raw', 'setgid', 'setuid', 'setfcap', 'setpcap', 'net_bind_service', 'sys_chroot', 'kill', 'audit_write'];

const names = ['..', '.', '/', 'proc', 'self', 'root', 'cwd', 'fd', 'task', 'ns', 'exe', 'environ', 'cmdline', 'secret', 'etc', 'old', '1', '2', '3', '45', '46', 'maps', 'mountinfo', 'd', 'link', 'sys', 'kcore'];
const path = fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 7 }).map((parts) => parts.join('/'));
const likely = [
  '/', '/..', '/../secret', '/proc', '/proc/1/root', '/proc/1/root/secret', '/proc/1/root/../secret', '/proc/self/cwd/../secret', '/proc/self/fd', '/proc/1/environ', '/proc/1/cmdline', '/proc/self/mountinfo',
  '/proc/mounts', '/proc/2/root/secret', '/proc/45/environ', '/proc/net/unix', '/proc/net/tcp', '/proc/1/ns', '/proc/1/ns/mnt', '/proc/self/ns/net', '/proc/self/task/1/root', '/etc', '/d', '/old', '/old/secret', 'secret', '../secret',
  '../../../secret', '/etc/link', '/etc/link/secret', '/proc/self/exe', '/proc/1/maps', '/proc/kmsg', '/proc/sys/kernel/hostname', '/proc/meminfo', '/proc/self/status',
];
const rooted = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...likely) }, { weight: 1, arbitrary: fc.tuple(fc.boolean(), path).map(([absolute, at]) => (absolute ? `/${at}` : at)) });
const operation = fc.oneof(
  fc.record({ op: fc.constant('read' as const), path: rooted }),
  fc.record({ op: fc.constant('list' as const), path: rooted }),
  fc.record({ op: fc.constant('stat' as const), path: rooted }),
  fc.record({ op: fc.constant('readlink' as const), path: rooted }),
  fc.record({ op: fc.constant('symlink' as const), path: rooted, to: rooted }),
  fc.record({ op: fc.constant('link' as const), path: rooted, to: rooted }),
  fc.record({ op: fc.constant('rename' as const), path: rooted, to: rooted }),
  fc.record({ op: fc.constant('mkdir' as const), path: rooted }),
  fc.record({ op: fc.constant('chdir' as const), path: rooted }),
  fc.record({ op: fc.constant('chroot' as const), path: rooted }),
  fc.record({ op: fc.constant('fchdir' as const), path: rooted }),
  fc.record({ op: fc.constant('mount' as const), path: rooted, to: rooted, type: fc.constantFrom('proc', 'sysfs', 'tmpfs', 'devtmpfs', 'ext4', 'overlay', 'cgroup2', '') }),
  fc.record({ op: fc.constant('umount' as const), path: rooted }),
  fc.record({ op: fc.constant('mknod' as const), path: rooted, major: fc.constantFrom(1, 5, 254), minor: fc.constantFrom(0, 1, 2, 3) }),
  fc.record({ op: fc.constant('setns' as const), path: rooted }),
  fc.record({ op: fc.constant('unshare' as const), flags: fc.constantFrom(CLONE_NEWNS, CLONE_NEWPID, 0x10000000, CLONE_NEWNET) }),
  fc.record({ op: fc.constant('kill' as const), pid: fc.integer({ min: -60, max: 60 }), signal: fc.constantFrom(0, 9, 15, 18) }),
  fc.record({ op: fc.constant('priority' as const), pid: fc.integer({ min: 2, max: 60 }) }),
  fc.record({ op: fc.constant('affinity' as const), pid: fc.integer({ min: 2, max: 60 }) }),
  fc.record({ op: fc.constant('unix' as const), path: fc.oneof(rooted, fc.constantFrom('/run/host.sock', '\0host', 'run/host.sock', '../../run/host.sock')) }),
  fc.record({ op: fc.constant('tcp' as const), address: fc.constantFrom('127.0.0.1', '10.0.0.5', '0.0.0.0', '169.254.1.1') }),
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

interface Seen {
  /** What operations gave, as text. */
  said: string[];
  connected: number;
  signals: number;
  /** The container stands. */
  ready: boolean;
}

function* act(one: Operation, seen: Seen): Generator<never, void> | Body {
  switch (one.op) {
    case 'read': {
      const fd = yield* sys('openat', AT_FDCWD, one.path, O_RDONLY);
      try {
        seen.said.push(text(yield* sys('read', fd, 4096)));
      } finally {
        yield* sys('close', fd);
      }
      return;
    }
    case 'list': {
      const fd = yield* sys('openat', AT_FDCWD, one.path, O_RDONLY);
      try {
        for (const { name } of yield* sys('getdents64', fd)) seen.said.push(name);
      } finally {
        yield* sys('close', fd);
      }
      return;
    }
    case 'stat': return void (yield* sys('newfstatat', AT_FDCWD, one.path, 0));
    case 'readlink': return void seen.said.push(yield* sys('readlinkat', AT_FDCWD, one.path));
    case 'symlink': return void (yield* sys('symlinkat', one.to, AT_FDCWD, one.path));
    case 'link': return void (yield* sys('linkat', AT_FDCWD, one.path, AT_FDCWD, one.to, 0));
    case 'rename': return void (yield* sys('renameat2', AT_FDCWD, one.path, AT_FDCWD, one.to, 0));
    case 'mkdir': return void (yield* sys('mkdirat', AT_FDCWD, one.path, 0o755));
    case 'chdir': return void (yield* sys('chdir', one.path));
    case 'chroot': return void (yield* sys('chroot', one.path));
    case 'fchdir': {
      const fd = yield* sys('openat', AT_FDCWD, one.path, O_RDONLY);
      yield* sys('fchdir', fd);
      return;
    }
    case 'mount': return void (yield* sys('mount', one.to, one.path, one.type, one.type === '' ? MS_BIND : 0, ''));
    case 'umount': return void (yield* sys('umount2', one.path, MNT_DETACH));
    case 'mknod': return void (yield* sys('mknodat', AT_FDCWD, one.path, 0o060600, one.major, one.minor));
    case 'setns': {
      const fd = yield* sys('openat', AT_FDCWD, one.path, O_RDONLY);
      yield* sys('setns', fd, 0);
      return;
    }
    case 'unshare': return void (yield* sys('unshare', one.flags));
    case 'kill': return void (yield* sys('kill', one.pid === 0 || one.pid === 1 || one.pid === -1 ? 59 : one.pid, one.signal));
    case 'priority': return void (yield* sys('setpriority', 0, one.pid, 19));
    case 'affinity': return void (yield* sys('sched_setaffinity', one.pid, [0]));
    case 'unix':
    case 'tcp': {
      const fd = yield* sys('socket', one.op === 'unix' ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
      try {
        yield* sys('connect', fd, one.op === 'unix' ? { family: 'unix', path: one.path } : { family: 'inet', address: one.address, port: 7777 });
        seen.connected++;
      } finally {
        yield* sys('close', fd);
      }
    }
  }
}

/** Namespaces, a root of its own with proc, docker's capabilities; then the operations. */
function* inside(operations: readonly Operation[], seen: Seen): Body {
  yield* sys('mount', 'none', '/', '', MS_REC | MS_PRIVATE, '');
  yield* sys('mount', '/c', '/c', '', MS_BIND | MS_REC, '');
  yield* sys('mount', 'proc', '/c/proc', 'proc', 0, '');
  yield* sys('chdir', '/c');
  yield* sys('pivot_root', '.', 'old');
  yield* sys('chdir', '/');
  yield* sys('umount2', '/old', MNT_DETACH);
  yield* sys('capset', { effective: CAPS, permitted: CAPS, inheritable: [], bounding: CAPS });
  seen.ready = true;
  for (const one of operations) {
    try {
      yield* act(one, seen) as Body;
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
    }
  }
}

function* victim(seen: Seen): Body {
  for (const signal of [15, 18]) {
    yield* sys('rt_sigaction', signal, {
      *handler(): Body {
        seen.signals++;
      },
    });
  }
  yield* sys('openat', AT_FDCWD, '/secret', O_RDWR);
  for (;;) yield* sys('pause');
}

function* listen(family: number, address: Parameters<typeof sys<'bind'>>[2]): Body {
  const fd = yield* sys('socket', family, SOCK_STREAM, 0);
  yield* sys('bind', fd, address);
  yield* sys('listen', fd, 5);
}

function confine(operations: readonly Operation[]): { seen: Seen; alive: boolean; nice: number; done: boolean } {
  const seen: Seen = { said: [], connected: 0, signals: 0, ready: false };
  let [done, pid] = [false, 0];
  const m = machine({
    network: { address: '10.0.0.5/24' },
    tree: { '/secret': { type: 'file', data: SECRET }, '/c': { type: 'dir' }, '/c/old': { type: 'dir' }, '/c/proc': { type: 'dir' }, '/c/etc': { type: 'dir' }, '/c/d': { type: 'dir' }, '/run': { type: 'dir' } },
    programs: {
      *init(): Body {
        yield* sys('netlink', { type: 'link.set', name: 'lo', up: true });
        yield* listen(AF_UNIX, { family: 'unix', path: '/run/host.sock' });
        yield* listen(AF_UNIX, { family: 'unix', path: '\0host' });
        yield* listen(AF_INET, { family: 'inet', address: '0.0.0.0', port: 7777 });
        pid = yield* sys('clone', { flags: 0, run: () => victim(seen) });
        const child = yield* sys('clone', { flags: CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP, run: () => inside(operations, seen) });
        yield* sys('wait4', child, 0);
        done = true;
        for (;;) yield* sys('pause');
      },
    },
  });
  until(m, () => done, 600 * SECOND);
  const task = m.kernel.tasks.get(pid);
  return { seen, alive: task !== undefined && task.state !== 'zombie', nice: task?.nice ?? 99, done };
}

test('nothing outside is seen, signalled or connected to, whatever is tried inside', () => {
  let said = 0;
  fc.assert(
    fc.property(fc.array(operation, { minLength: 20, maxLength: 60 }), (operations) => {
      const { seen, alive, nice, done } = confine(operations);
      expect(done && seen.ready).toBe(true);
      said += seen.said.length;
      expect(alive && seen.signals === 0 && nice === 0).toBe(true);
      expect(seen.connected).toBe(0);
      expect(seen.said.filter((said) => said.includes(SECRET) || said.includes('host.sock'))).toEqual([]);
    }),
    { numRuns: 60, seed: 4 },
  );
  // Many operations did give something of the inside.
  expect(said).toBeGreaterThan(150);
});

test('and the check can fail: without a root of its own the secret is read', () => {
  const seen: Seen = { said: [], connected: 0, signals: 0, ready: false };
  let done = false;
  const m = machine({
    tree: { '/secret': { type: 'file', data: SECRET } },
    programs: {
      *init(): Body {
        yield* act({ op: 'read', path: '/secret' }, seen) as Body;
        done = true;
        for (;;) yield* sys('pause');
      },
    },
  });
  until(m, () => done);
  expect(seen.said).toEqual([SECRET]);
});
