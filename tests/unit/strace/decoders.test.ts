/** The kernel's calls have their rows in strace's table, a few new ones aside, and no argument of any kind makes it stumble. */
import { expect, it } from 'vitest';
import { SIGNATURES } from '../../../src/engine/kernel/syscalls/signatures.ts';
import { DECODERS, decoderOf, nameOf, orAddress, printed } from '../../../src/engine/userland/strace/calls.ts';
import { CLASSES } from '../../../src/engine/userland/strace/classes.ts';
import type { Cx } from '../../../src/engine/userland/strace/values.ts';

const cx = (args: readonly unknown[], result: unknown, failed = false): Cx => ({ pid: 12, args, result, failed, limit: 32, verbose: false, hex: 0, fdPath: () => null, cwd: null });

it('a row a call', () => {
  const without = Object.keys(SIGNATURES).filter((name) => !DECODERS[name]);
  expect(without.length, without.join(', ')).toBeLessThan(8);
  expect(printed(decoderOf('no_such_call').in, cx([1, 'x', { a: [2] }], 0))).toBe('1, "x", {a=[2]}');
});

it('classes name calls that there are', () => {
  const known = new Set(Object.keys(SIGNATURES));
  for (const [name, calls] of Object.entries(CLASSES)) expect([...calls].filter((call) => !known.has(call)), name).toEqual([]);
});

it('takes anything for an argument', () => {
  const junk: unknown[] = [undefined, null, 0, -1, 1.5, Number.NaN, 2 ** 60, '', 'x', [], ['a'], {}, { flags: 'x' }, new Uint8Array(3), () => 0, Symbol('s'), { family: 'inet' }, { pid: 1, status: 'x' }];
  let texts = 0;
  for (const name of Object.keys(DECODERS)) {
    for (const [i, one] of junk.entries()) {
      for (const failed of [true, false]) {
        const context = cx([one, junk[(i + 3) % junk.length], junk[(i + 5) % junk.length], one], failed ? 'EINVAL' : junk[(i + 7) % junk.length], failed);
        const decoder = decoderOf(name);
        const text = `${nameOf(name)}(${printed(decoder.in, context)}${printed(decoder.out ?? [], context)}) ${decoder.ret ? orAddress(decoder.ret, context) : ''}`;
        expect(typeof text).toBe('string');
        texts++;
      }
    }
  }
  expect(texts).toBeGreaterThan(3000);
});

it.each<[string, readonly unknown[], unknown, string, string]>([
  ['openat', [-100, '/a b\n', 0o2101, 0o644], 3, 'AT_FDCWD, "/a b\\n", O_WRONLY|O_CREAT|O_APPEND, 0644', ''],
  ['mount', ['none', '/', '', 0x44000, ''], 0, '"none", "/", NULL, MS_REC|MS_PRIVATE, NULL', ''],
  ['wait4', [-1, 1], { pid: 7, status: 9, rusage: null }, '-1', '[{WIFSIGNALED(s) && WTERMSIG(s) == SIGKILL}], WNOHANG, NULL'],
  ['wait4', [7, 2], { pid: 7, status: 0x147f, rusage: null }, '7', '[{WIFSTOPPED(s) && WSTOPSIG(s) == SIGTSTP}], WSTOPPED, NULL'],
  ['poll', [[{ fd: 3, events: 5 }], 2_000_000], [], '[{fd=3, events=POLLIN|POLLOUT}], 1, 2', ''],
  ['fchownat', [-100, 'x', 0, -1, 0x100], 0, 'AT_FDCWD, "x", 0, -1, AT_SYMLINK_NOFOLLOW', ''],
  ['utimensat', [-100, 'x', 1577836800.5, null, 0], 0, 'AT_FDCWD, "x", [{tv_sec=1577836800, tv_nsec=500000000} /* 2020-01-01T00:00:00.500000000+0000 */, UTIME_OMIT], 0', ''],
  ['connect', [3, { family: 'unix', path: '\0abs' }], 0, '3, {sa_family=AF_UNIX, sun_path=@"abs"}, 6', ''],
  ['connect', [3, { family: 'inet', address: '10.0.0.1', port: 80 }], 0, '3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("10.0.0.1")}, 16', ''],
  ['prlimit64', [0, 'RLIMIT_NOFILE', null], { cur: 1024, max: 1024 * 1024 }, '0, RLIMIT_NOFILE, NULL', '{rlim_cur=1024, rlim_max=1024*1024}'],
  ['mknodat', [-100, 'n', 0o20666, 1, 3], 0, 'AT_FDCWD, "n", S_IFCHR|0666, makedev(0x1, 0x3)', ''],
  ['setns', [3, 0x40000000], 0, '3, CLONE_NEWNET', ''],
  ['unshare', [0x20020000], 0, 'CLONE_NEWNS|CLONE_NEWPID', ''],
  ['prctl', ['PR_CAPBSET_DROP', 'sys_admin'], 0, 'PR_CAPBSET_DROP, CAP_SYS_ADMIN', ''],
])('%s %j', (name, args, result, before, after) => {
  const decoder = decoderOf(name);
  expect([printed(decoder.in, cx(args, result)), printed(decoder.out ?? [], cx(args, result))]).toEqual([before, after]);
});
