/** Everyday programs on the modelled kernel: command lines in order on one machine, each with what it prints. */
import { expect, test } from 'vitest';
import { type Case, runAll } from './machine.ts';

interface Expected extends Case {
  out?: string | RegExp;
  err?: string | RegExp;
  exit?: number;
}

const c = (line: string, out: string | RegExp = '', more: Partial<Expected> = {}): Expected => ({ argv: line.split(' '), out, ...more });

const CASES: Expected[] = [
  c('mkdir -p a/b/c'), c('touch a/x a/b/y'), c('ls a', 'b\nx\n'), c('ls -R a', 'a:\nb\nx\n\na/b:\nc\ny\n\na/b/c:\n'), c('cp a d', '', { err: "cp: -r not specified; omitting directory 'a'\n", exit: 1 }),
  c('cp -a a d'), c('find d -type f', 'd/b/y\nd/x\n'), c('mv d e'), c('ls', 'a\ne\n'), c('rm e', '', { err: "rm: cannot remove 'e': Is a directory\n", exit: 1 }), c('rm -rv e', "removed 'e/b/y'\nremoved directory 'e/b/c'\nremoved directory 'e/b'\nremoved 'e/x'\nremoved directory 'e'\n".replace("removed 'e/b/y'\nremoved directory 'e/b/c'\n", "removed directory 'e/b/c'\nremoved 'e/b/y'\n")),
  c('ln -s a/x l'), c('readlink -f l', '/tmp/area/a/x\n'), c('ln a/x h'), c('stat -c %h:%F h', '2:regular empty file\n'), c('chmod u=rwx,go= h'), c('stat -c %a a/x', '700\n'), c('chown daemon:daemon h'), c('stat -c %U:%G h', 'daemon:daemon\n'),
  c('mknod null c 1 3'), c('ls -l null', /^crw-r--r-- 1 root root 1, 3 /), c('mkfifo p'), c('test -p p'), c('truncate -s 1M t'), c('ls -s --block-size=1 t', /^\d+ t\n$/), c('du -b t', '1048576\tt\n'),
  c('dd if=/dev/zero of=z bs=1k count=3 status=none'), c('wc -c z', '3072 z\n'), c('tee w', 'hi\n', { stdin: 'hi\n' }), c('cat w', 'hi\n'), c('gzip -k w'), c('zcat w.gz', 'hi\n'), c('rm null p t z w w.gz h l'),
  c('mount -t tmpfs none /mnt'), c('mountpoint /mnt', '/mnt is a mountpoint\n'), c('findmnt -n -o FSTYPE /mnt', 'tmpfs\n'), c('mount -o remount,ro /mnt'), c('touch /mnt/x', '', { err: "touch: cannot touch '/mnt/x': Read-only file system\n", exit: 1 }), c('umount /mnt'),
  c('umount /mnt', '', { err: 'umount: /mnt: not mounted.\n', exit: 32 }), c('unshare -u hostname inner'), c('hostname', 'test\n'), c('unshare -p -f --mount-proc cat /proc/self/status', /^Pid:\t1$/m), c('unshare -r id -u', '0\n'), c('setpriv --reuid 1 --regid 1 --clear-groups id -un', 'daemon\n'),
  c('setpriv --reuid 1 --regid 1 --clear-groups unshare -u true', '', { err: 'unshare: unshare failed: Operation not permitted\n', exit: 1 }), c('setpriv --bounding-set -sys_admin mount -t tmpfs none /mnt', '', { err: /^mount: \/mnt: permission denied\.\n/, exit: 32 }),
  c('pgrep -c init', '1\n'), c('kill -9 999999', '', { err: 'kill: (999999): No such process\n', exit: 1 }), c('timeout 0.1 sleep 9', '', { exit: 124 }), c('timeout -s KILL 0.1 sleep 9', '', { exit: 137 }), c('nice -n 5 nice', '5\n'), c('env -i A=1 printenv A', '1\n'),
  c('xargs -P 2 -n 1 sleep', '', { stdin: '0.1 0.2' }), c('flock lock true'), c('setfattr -n user.k -v v lock'), c('getfattr -n user.k lock', '# file: lock\nuser.k="v"\n\n'), c('prlimit --nofile --noheadings -o x true'), c('capsh --print', /^Current: =ep\nBounding set =cap_chown,/),
  c('busybox ls nosuch', '', { err: 'ls: nosuch: No such file or directory\n', exit: 1 }), c('busybox nosuch', '', { err: 'nosuch: applet not found\n', exit: 127 }), c('busybox ps', /^PID {3}USER {5}COMMAND\n {4}1 root {5}/), c('sys mkdirat AT_FDCWD a 0755', 'EEXIST\n', { exit: 1 }), c('sys getpid', /^\d+\n$/),
  c('less a/x'), c('nano x', '', { err: /^nano: not modelled: /, exit: 1 }), c('lsns -t bogus', '', { err: 'lsns: unknown namespace type: bogus\n', exit: 1 }), c('ls --version', 'ls (GNU coreutils) 9.7\n'), c('free -m', /^ +total +used +free +shared +buff\/cache +available\nMem: +\d+/), c('df -h /tmp', /^Filesystem +Size +Used Avail Use% Mounted on\ntmpfs .* \/tmp\n$/),
];

test('everyday programs do what they say', () => {
  const { outcomes } = runAll(CASES);
  const wrong = CASES.flatMap((one, i) => {
    const mine = outcomes[i]!;
    const agrees = (text: string, wanted: string | RegExp): boolean => (typeof wanted === 'string' ? text === wanted : wanted.test(text));
    const well = agrees(mine.stdout, one.out ?? '') && agrees(mine.stderr, one.err ?? '') && mine.exit === (one.exit ?? 0);
    return well ? [] : [{ argv: one.argv.join(' '), ...mine }];
  });
  expect(wrong).toEqual([]);
});

test('an endless line in a limited cgroup ends the reader, and only the reader', () => {
  const { outcomes } = runAll([
    { argv: ['mkdir', '/sys/fs/cgroup/t'] }, { argv: ['tee', '/sys/fs/cgroup/cgroup.subtree_control'], stdin: '+memory' }, { argv: ['tee', '/sys/fs/cgroup/t/memory.max'], stdin: '8M' },
    { argv: ['sh', '-c', 'echo $$ > /sys/fs/cgroup/t/cgroup.procs; exec tail /dev/zero'] }, { argv: ['grep', 'oom_kill ', '/sys/fs/cgroup/t/memory.events'] },
  ]);
  expect(outcomes[3]!.exit).toBe(137);
  expect(outcomes[4]!.stdout).toBe('oom_kill 1\n');
});
