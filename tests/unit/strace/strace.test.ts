/** strace over ptrace: what a learner types, line by line; attaching, filters, faults, containers, and who may not. */
import { beforeAll, describe, expect, it } from 'vitest';
import { type Lab, lab, sh } from '../containers/docker-lab.ts';

let m: Lab;
beforeAll(() => {
  m = lab();
  sh(m, 'ln -s /usr/bin/echo /e; echo hello > /f; docker run -d --name web --rm busybox sh -c "while :; do sleep 1; done"');
});

/** Addresses and pids are what they are. */
const plain = (text: string): string => text.replace(/0x[0-9a-f]{9,}/g, 'ADDR').replace(/(si_pid|Process|child|pid +)(=| )?\d+/g, '$1$2N');

describe('what it prints', () => {
  it.each<[string, string]>([
    ['strace echo hi', 'execve("/usr/bin/echo", ["echo", "hi"], ADDR /* 6 vars */) = 0\nwrite(1, "hi\\n", 3)                     = 3\nexit_group(0)                           = ?\n+++ exited with 0 +++\n'],
    ['strace -e trace=openat,read,close cat /f /nope 2>&1 >/dev/null', 'openat(AT_FDCWD, "/f", O_RDONLY)        = 3\nread(3, "hello\\n", 131072)              = 6\nread(3, "", 131072)                     = 0\nclose(3)                                = 0\nopenat(AT_FDCWD, "/nope", O_RDONLY)     = -1 ENOENT (No such file or directory)\ncat: /nope: No such file or directory\n+++ exited with 1 +++\n'],
    ['strace -qq -y -e openat,close cat /f', 'openat(AT_FDCWD</root>, "/f", O_RDONLY) = 3</f>\nclose(3</f>)                            = 0\n'],
    ['strace -qq -s 3 -e write printf "a\\tb\\001\\0012c"', 'write(1, "a\\tb"..., 7)                  = 7\n'],
    ['strace -qq -s 9 -a 20 -e write printf "a\\001\\0012c"', 'write(1, "a\\1\\0012c", 5) = 5\n'],
    ['strace -qq -xx -e write printf ab', 'write(1, "\\x61\\x62", 2)                 = 2\n'],
    ['strace -qq -e sleep true', 'strace: invalid system call \'sleep\'\n'],
    ['strace -qq -e trace=%net,%memory,%signal true', ''],
    ['strace -qq -e trace=!write,%process echo x', ''],
    ['strace -qq -e "trace=/^(mk|rm)" mkdir /dir1', 'mkdirat(AT_FDCWD, "/dir1", 0777)        = 0\n'],
    ['strace -qq -Z -e trace=%file ls /nope', 'newfstatat(AT_FDCWD, "/nope", ADDR, AT_SYMLINK_NOFOLLOW) = -1 ENOENT (No such file or directory)\nls: cannot access \'/nope\': No such file or directory\n'],
    ['strace -qq -z -e trace=unlinkat rm -f /nope /f2; touch /f2; strace -qq -z -e trace=unlinkat rm /f2', 'unlinkat(AT_FDCWD, "/f2", 0)            = 0\n'],
    ['strace -qq -P /f -e trace=all cat /f /etc/hostname', 'openat(AT_FDCWD, "/f", O_RDONLY)        = 3\n'],
    ['strace -qq -e trace=nanosleep sleep 0.5', 'clock_nanosleep(CLOCK_REALTIME, 0, {tv_sec=0, tv_nsec=500000000}, ADDR) = 0\n'],
    ['strace -e trace=kill sh -c "kill -9 \\$\\$"', 'kill(N, SIGKILL) = ?\n+++ killed by SIGKILL +++\n'],
    ['strace -e none sh -c "kill -SEGV \\$\\$"', '--- SIGSEGV {si_signo=SIGSEGV, si_code=SI_USER, si_pid=N, si_uid=0} ---\n+++ killed by SIGSEGV (core dumped) +++\n'],
    ['strace -e trace=execve -E A=b -E HOME sh -c "exit 7"', 'execve("/usr/bin/sh", ["sh", "-c", "exit 7"], ADDR /* 6 vars */) = 0\n+++ exited with 7 +++\n'],
    ['strace -qq -e trace=openat -e inject=openat:error=EACCES cat /f', 'openat(AT_FDCWD, "/f", O_RDONLY)        = -1 EACCES (Permission denied) (INJECTED)\n'],
    ['strace -qq -e trace=write -e inject=write:retval=3:when=2 sh -c "echo a; echo b; echo c"', 'write(1, "a\\n", 2)                      = 2\nwrite(1, "b\\n", 2)                      = 3 (INJECTED)\nwrite(1, "c\\n", 2)                      = 2\n'],
    ['strace -qq -e fault=mkdirat:when=1+2 -e trace=mkdirat mkdir /d1 /d2 /d3 2>&1 | grep -v cannot', 'mkdirat(AT_FDCWD, "/d1", 0777)          = -1 ENOSYS (Function not implemented) (INJECTED)\nmkdirat(AT_FDCWD, "/d2", 0777)          = 0\nmkdirat(AT_FDCWD, "/d3", 0777)          = -1 ENOSYS (Function not implemented) (INJECTED)\n'],
  ])('%s', (command, expected) => {
    const { stdout, stderr } = sh(m, command);
    const said = plain(command.includes('2>&1') ? stdout : stderr).split('\n').filter((line) => !/^(cat: .*Permission|\/root\/line.sh: line)/.test(line)).join('\n');
    expect(said.replace(/kill\(\d+, SIGKILL\) +/, 'kill(N, SIGKILL) ')).toBe(expected);
  });

  it('children with -f: who is who, what is unfinished, and their ends', () => {
    const { stderr, exit } = sh(m, 'strace -f -e trace=%process,read sh -c "sh -c \\"exit 3\\" | cat; exit 4"');
    expect(exit).toBe(4);
    const said = plain(stderr);
    expect(said).toContain('clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLDstrace: Process N attached\n, child_tidptr=ADDR) = ');
    expect(said.match(/strace: Process N attached/g)).toHaveLength(2);
    expect(said).toMatch(/^\[pid +N\] read\(0, +<unfinished \.\.\.>$/m);
    expect(said).toMatch(/^\[pid +N\] <\.\.\. read resumed>"", \d+\) += 0$/m);
    expect(said).toMatch(/\+\+\+ exited with 3 \+\+\+/);
    expect(said).toContain('--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=N, si_uid=0, si_status=3, si_utime=0, si_stime=0} ---');
    expect(said.trimEnd().endsWith('exit_group(4)                           = ?\n+++ exited with 4 +++')).toBe(true);
  });

  it('a file a process with -ff -o', () => {
    sh(m, 'strace -ff -o /tmp/t sh -c "/usr/bin/true; /usr/bin/echo x" > /dev/null');
    const { stdout } = sh(m, 'ls /tmp/t.* | wc -l; grep -h exec /tmp/t.* | cut -d, -f1');
    expect(stdout).toBe('3\nexecve("/usr/bin/sh"\nexecve("/usr/bin/true"\nexecve("/usr/bin/echo"\n');
  });

  it('-c: a table', () => {
    const lines = sh(m, 'strace -c cat /f /nope').stderr.split('\n').filter((line) => !line.startsWith('cat:'));
    expect(lines[0]).toBe('% time     seconds  usecs/call     calls    errors syscall');
    expect(lines[1]).toBe('------ ----------- ----------- --------- --------- ----------------');
    expect(lines.find((line) => line.endsWith(' openat'))).toMatch(/^ +[\d.]+ +0\.0000\d\d +\d+ +2 +1 openat$/);
    expect(lines.at(-2)).toMatch(/^100\.00 +0\.000\d+ +\d+ +\d+ +1 total$/);
  });

  it('times: -r, -T, -tt', () => {
    expect(sh(m, 'strace -r -T -e trace=nanosleep sleep 0.25').stderr).toMatch(/^ +0\.000000 clock_nanosleep.* = 0 <0\.25\d{4}>\n +0\.25\d{4} \+\+\+/);
    expect(sh(m, 'strace -tt -e trace=nanosleep sleep 0.25').stderr).toMatch(/^\d\d:\d\d:\d\d\.\d{6} clock_nanosleep/);
  });

  it('a handler and its return', () => {
    const { stderr } = sh(m, 'strace -e trace=rt_sigreturn,wait4 sh -c \'trap "echo got" USR1; (sleep 0.01; kill -USR1 $$; sleep 0.01) & wait; true\'');
    expect(plain(stderr)).toMatch(/^wait4\(-1, ADDR, 0, NULL\) +\s*= \? ERESTARTSYS \(To be restarted if SA_RESTART is set\)\n--- SIGUSR1 .*\n(--- SIGCHLD .*\n)?rt_sigreturn\(\{mask=\[\]\}\) +\s*= -1 EINTR \(Interrupted system call\)\n/);
  });
});

describe('attaching', () => {
  it('to a container\'s process, which goes on afterwards', () => {
    const { stdout } = sh(m, 'P=$(docker inspect -f "{{.State.Pid}}" web); strace -f -o /w.txt -p $P & sleep 3; grep TracerPid /proc/$P/status | tr -d "\\t0-9"; kill -INT $!; wait $!; cat /w.txt; grep TracerPid /proc/$P/status; docker exec web true; echo $?');
    expect(stdout).toContain('TracerPid:\n');
    expect(stdout).toMatch(/clone\(child_stack=NULL/);
    expect(stdout).toMatch(/execve\("\/bin\/sleep", \["sleep", "1"\]/);
    expect(stdout.endsWith('TracerPid:\t0\n0\n')).toBe(true);
  });

  it('to containerd: the shim, runc and the container follow', () => {
    const { stdout } = sh(m, 'strace -f -qq -e trace=unshare,pivot_root,execve,seccomp -o /c.txt -p $(pgrep -x containerd) & sleep 0.1; docker run --rm busybox echo from inside; kill -INT $!; wait $!; cat /c.txt; docker run --rm busybox echo again');
    expect(stdout).toContain('from inside\n');
    for (const part of ['unshare(CLONE_NEWNS|CLONE_NEWUTS|CLONE_NEWIPC|CLONE_NEWPID|CLONE_NEWNET) = 0', 'pivot_root(".", ".")', 'execve("/usr/sbin/runc"', 'execve("/bin/echo", ["echo", "from", "inside"]', 'seccomp(SECCOMP_SET_MODE_FILTER, 0, ']) expect(stdout).toContain(part);
    expect(stdout.endsWith('again\n')).toBe(true);
  });

  it.each<[string, string]>([
    ['strace -p 99999', 'strace: attach: ptrace(PTRACE_SEIZE, 99999): No such process\n'],
    ['strace -p x', 'strace: Invalid process id: \'x\'\n'],
    ['strace -p $$', 'strace: Process N attached\n+++'],
    ['su nobody -s /bin/sh -c "strace -p 1"', 'strace: attach: ptrace(PTRACE_SEIZE, 1): Operation not permitted\n'],
    ['docker run --rm -u 1000 -v /usr/bin/strace:/bin/strace busybox sh -c "strace -p 999"', 'strace: attach: ptrace(PTRACE_SEIZE, 999): No such process\n'],
    ['docker run --rm -v /usr/bin/strace:/bin/strace busybox strace -qq -e trace=mount mount -t tmpfs a /tmp', 'mount("a", "/tmp", "tmpfs", 0, NULL)    = -1 EPERM (Operation not permitted)\nmount: permission denied (are you root?)\n'],
    ['docker run --rm --cap-drop SYS_PTRACE --security-opt seccomp=/no.json -v /usr/bin/strace:/bin/strace busybox true; strace nope', 'docker: opening seccomp profile (/no.json) failed: open /no.json: no such file or directory.\nSee \'docker run --help\'.\nstrace: Can\'t stat \'nope\': No such file or directory\n'],
    ['strace', 'strace: must have PROG [ARGS] or -p PID\nTry \'strace -h\' for more information.\n'],
    ['strace --nope true', 'strace: unrecognized option \'--nope\'\nTry \'strace -h\' for more information.\n'],
    ['strace -k true', 'strace: not modelled: -k\n'],
    ['strace -e inject=openat:error=EFOO true', 'strace: invalid inject argument \'openat:error=EFOO\'\n'],
    ['strace -o /nope/x true', 'strace: Can\'t fopen \'/nope/x\': No such file or directory\n'],
  ])('%s', (command, expected) => {
    const said = plain(sh(m, command.includes('$$') ? `(sleep 0.1; pkill -INT strace) & ${command}` : command).stderr);
    if (expected.endsWith('+++')) expect(said).toContain(expected.slice(0, -3));
    else expect(said).toBe(expected);
  });

  it('Yama', () => {
    const { stderr, stdout } = sh(m, 'sleep 50 & P=$!; Y=/proc/sys/kernel/yama/ptrace_scope; su nobody -s /bin/sh -c "sleep 60" & sleep 0.1; echo 1 > $Y; su nobody -s /bin/sh -c "strace -p $(pgrep -u nobody sleep); strace -qq -e trace=none true && echo own"; echo 3 > $Y; strace -p $P; echo 0 > $Y; cat $Y');
    expect(plain(stderr)).toMatch(/PTRACE_SEIZE, \d+\): Operation not permitted\n.*PTRACE_SEIZE, \d+\): Operation not permitted\n.*write error: Invalid argument/s);
    expect(stdout).toBe('own\n3\n');
  });
});
