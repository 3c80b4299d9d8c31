/** System-call filters: docker's default profile, one's own, and what a container then may not do. */
import { beforeAll, expect, it } from 'vitest';
import { type Lab, lab, sh } from './docker-lab.ts';

let m: Lab;
beforeAll(() => {
  m = lab();
});

const IN = 'docker run --rm -v /usr/bin/sys:/bin/sys';

it.each<[string, string, string]>([
  ['without a capability', `${IN} busybox sh -c 'mount -t tmpfs a /tmp; grep Seccomp: /proc/self/status; sys keyctl 0; sys clone3; sys unshare CLONE_NEWUSER; sys ptrace PTRACE_SEIZE 99'`,
    'Seccomp:\t2\nEPERM\nENOSYS\nEPERM\nESRCH\n'],
  ['a capability opens its calls', `${IN} --cap-add SYS_ADMIN busybox sh -c 'mount -t tmpfs a /tmp && echo mounted; sys clone3; sys pivot_root / /; sys reboot x'`, 'mounted\nENOSYS\nEPERM\nEPERM\n'],
  ['unconfined, but without capabilities', `${IN} --security-opt seccomp=unconfined busybox sh -c 'grep Seccomp: /proc/self/status; sys unshare CLONE_NEWUSER; sys mount a /tmp tmpfs 0 ""'`, 'Seccomp:\t0\n0\nEPERM\n'],
  ['privileged', `${IN} --privileged busybox grep -E 'Seccomp|CapEff' /proc/self/status`, 'CapEff:\t000001ffffffffff\nSeccomp:\t0\nSeccomp_filters:\t0\n'],
  ['a profile of one\'s own names an older call', `echo '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["chmod"],"action":"SCMP_ACT_ERRNO","errnoRet":13},{"name":"mkdir","action":"SCMP_ACT_KILL_PROCESS"}]}' > /p.json;
    ${IN} --security-opt seccomp=/p.json busybox sh -c 'chmod 700 /etc/passwd; echo $?; mkdir /x; echo $?'`, '1\n159\n'],
  ['arguments are compared', `echo '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["kill"],"action":"SCMP_ACT_ERRNO","args":[{"index":1,"value":9,"op":"SCMP_CMP_EQ"}]}]}' > /q.json;
    ${IN} --security-opt seccomp=/q.json busybox sh -c 'sleep 100 & sys kill $! 9; sys kill $! 15'`, 'EPERM\n0\n'],
])('%s', (_, command, expected) => {
  expect(sh(m, command).stdout).toBe(expected);
});

it.each<[string, string]>([
  ['--security-opt seccomp=/nope.json', 'docker: opening seccomp profile (/nope.json) failed: open /nope.json: no such file or directory.\nSee \'docker run --help\'.\n'],
  ['--security-opt foo', 'docker: Invalid --security-opt: "foo".\nSee \'docker run --help\'.\n'],
  ['--security-opt foo=bar', 'docker: Error response from daemon: invalid --security-opt 2: "foo=bar".\nSee \'docker run --help\'.\n'],
])('%s', (flag, expected) => {
  const { stderr, exit } = sh(m, `${IN} ${flag} busybox true`);
  expect([stderr, exit]).toEqual([expected, 125]);
});
