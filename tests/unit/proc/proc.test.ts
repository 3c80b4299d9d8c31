/** /proc as programs read it: every file readable, pids of the mount's namespace, magic links, the rules of writing. */
import { expect, test } from 'vitest';
import { AT_FDCWD, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER, O_DIRECTORY, O_RDONLY, O_WRONLY } from '../../../src/engine/kernel/abi.ts';
import { type Body, sys } from '../../../src/engine/kernel/sys.ts';
import { bytes, text } from '../../../src/engine/sim/text.ts';
import { outcome, put, run } from '../kernel/harness.ts';

function* read(path: string) {
  const fd = yield* outcome(sys('openat', AT_FDCWD, path, O_RDONLY));
  if (typeof fd === 'string') return fd;
  let all = '';
  for (;;) {
    const data = yield* outcome(sys('read', fd, 4096));
    if (typeof data === 'string') {
      all = data;
      break;
    }
    if (data.length === 0) break;
    all += text(data);
  }
  yield* sys('close', fd);
  return all;
}

function* write(path: string, value: string) {
  const fd = yield* outcome(sys('openat', AT_FDCWD, path, O_WRONLY));
  if (typeof fd === 'string') return fd;
  const result = yield* outcome(sys('write', fd, bytes(value)));
  yield* sys('close', fd);
  return result;
}

function* list(path: string) {
  const fd = yield* sys('openat', AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  const names = (yield* sys('getdents64', fd)).filter((e) => e.name !== '.' && e.name !== '..');
  yield* sys('close', fd);
  return names;
}

const mountProc = () => sys('mount', 'proc', '/proc', 'proc', 0, '');

test('every file of /proc can be read', () => {
  const seen: string[] = [];
  const failed: string[] = [];
  run(function* (): Body {
    yield* mountProc();
    function* walk(path: string, depth: number): Body {
      for (const { name, type } of yield* list(path)) {
        const at = `${path}/${name}`;
        if (type === 'dir' && depth < 6) yield* walk(at, depth + 1);
        else if (type === 'link') yield* outcome(sys('readlinkat', AT_FDCWD, at));
        else if (type === 'file' && !at.endsWith('sysrq-trigger')) {
          const got = yield* read(at);
          seen.push(at);
          if (/^E[A-Z]+$/.test(got) && !/\/fdinfo\/3$/.test(at)) failed.push(`${at} ${got}`);
        }
      }
    }
    yield* walk('/proc', 0);
  });
  expect(failed).toEqual(['/proc/kcore EPERM']);
  expect(seen.length).toBeGreaterThan(100);
  expect(seen).toContain('/proc/2/status');
  expect(seen).toContain('/proc/sys/net/ipv4/ip_forward');
});

test('self, fd, exe, comm and the pids of the namespace that mounted it', () => {
  const ran = run(function* (): Body {
    yield* mountProc();
    yield* put(1, `${yield* sys('readlinkat', AT_FDCWD, '/proc/self')} ${yield* sys('readlinkat', AT_FDCWD, '/proc/self/exe')} ${yield* sys('readlinkat', AT_FDCWD, '/proc/self/fd/1')}\n`);
    const [r, w] = yield* sys('pipe2', 0);
    yield* put(1, `${(yield* sys('readlinkat', AT_FDCWD, `/proc/self/fd/${r}`)).replace(/\d+/, 'N')}\n`);
    const again = yield* sys('openat', AT_FDCWD, `/proc/self/fd/${w}`, O_WRONLY);
    yield* sys('write', again, bytes('through the link'));
    yield* put(1, `${text(yield* sys('read', r, 100))}\n`);
    yield* put(1, `${(yield* read('/proc/self/stat')).split(' ').slice(0, 4).join(' ')}\n`);
    yield* sys('unshare', CLONE_NEWNS | CLONE_NEWPID);
    const pid = yield* sys('clone', {
      flags: 0,
      *run(): Body {
        yield* put(1, `[${yield* outcome(sys('readlinkat', AT_FDCWD, '/proc/self'))}]\n`);
        yield* mountProc();
        yield* put(1, `${yield* sys('readlinkat', AT_FDCWD, '/proc/self')} ${(yield* list('/proc')).filter((e) => /^\d+$/.test(e.name)).map((e) => e.name).join(',')}\n`);
        yield* put(1, (yield* read('/proc/self/status')).split('\n').filter((l) => /^(Pid|PPid|NSpid)/.test(l)).join(' ') + '\n');
      },
    });
    yield* sys('wait4', pid, 0);
  });
  expect(ran.stdout.replaceAll('\t', ' ')).toBe('44 /bin/main /dev/tty1\npipe:[N]\nthrough the link\n44 (main) R 1\n[45]\n1 1\nPid: 1 PPid: 0 NSpid: 1\n');
});

test('namespaces: links name them, setns joins them, ptrace rules guard them', () => {
  const ran = run(function* (): Body {
    yield* mountProc();
    const net = yield* sys('readlinkat', AT_FDCWD, '/proc/1/ns/net');
    yield* put(1, `${/^net:\[\d+\]$/.test(net)} ${(yield* list('/proc/self/ns')).length} ${yield* read('/proc/self/ns/net')}\n`);
    const child = yield* sys('clone', {
      flags: 0x04000000,
      *run(): Body {
        yield* sys('sethostname', 'inner');
        yield* sys('pause');
      },
    });
    yield* sys('nanosleep', 1000);
    const fd = yield* sys('openat', AT_FDCWD, `/proc/${child}/ns/uts`, O_RDONLY);
    yield* sys('setns', fd, 0);
    yield* put(1, yield* read('/proc/sys/kernel/hostname'));
    yield* sys('setresuid', 1000, 1000, 1000);
    yield* put(1, `${yield* outcome(sys('readlinkat', AT_FDCWD, '/proc/1/ns/net'))} ${yield* read('/proc/1/environ')} ${yield* write('/proc/self/oom_score_adj', '-1')} ${yield* write('/proc/sys/kernel/hostname', 'x')}\n`);
  });
  expect(ran.stdout).toBe('true 10 EINVAL\ninner\nEACCES EACCES EACCES EACCES\n');
});

test('oom_score_adj and maps of users follow their rules', () => {
  const ran = run(function* (): Body {
    yield* mountProc();
    yield* put(1, `${yield* read('/proc/self/oom_score')}`);
    for (const value of ['1001', 'abc', '500']) yield* put(1, `${yield* write('/proc/self/oom_score_adj', value)} `);
    yield* put(1, `${yield* read('/proc/self/oom_score')}${yield* read('/proc/self/oom_score_adj')}`);
    const child = yield* sys('clone', {
      flags: 0,
      *run(): Body {
        yield* sys('setresgid', 1000, 1000, 1000);
        yield* sys('setresuid', 1000, 1000, 1000);
        yield* sys('unshare', CLONE_NEWUSER);
        yield* put(1, `${yield* sys('getuid')} ${yield* write('/proc/self/uid_map', '0 0 1')} ${yield* write('/proc/self/gid_map', '0 1000 1')} ${yield* write('/proc/self/uid_map', '0 1000 1')} ${yield* write('/proc/self/uid_map', '0 1000 1')}\n`);
        yield* put(1, `${yield* write('/proc/self/setgroups', 'deny')} ${yield* write('/proc/self/gid_map', '0 1000 1')} ${yield* sys('getuid')} ${yield* sys('getgid')}\n`);
        yield* put(1, yield* read('/proc/self/uid_map'));
      },
    });
    yield* sys('wait4', child, 0);
  });
  expect(ran.stdout).toBe('667\nEINVAL EINVAL 3 1000\n500\n65534 EPERM EPERM 8 EPERM\n4 8 0 0\n         0       1000          1\n');
});
