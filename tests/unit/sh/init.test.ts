/** Process 1: what it mounts, the plain one, and the service manager with its tools, typed at the terminal. */
import { describe, expect, test } from 'vitest';
import type { Tree } from '../../../src/engine/kernel/vfs/build.ts';
import { shown, terminal, typed } from './lab.ts';

const unit = (exec: string, more = ''): Tree[string] => ({
  type: 'file', data: `[Unit]\nDescription=Unit of ${exec}\n${more}[Service]\nExecStart=${exec}\nRestart=always\n[Install]\nWantedBy=multi-user.target\n`,
});
const program = (body: string): Tree[string] => ({ type: 'file', mode: 0o755, data: `#!/bin/bash\n${body}\n` });

const TREE: Tree = {
  '/usr/local/bin/steady': program('PATH=/bin; echo up $$; trap "echo down; exit 0" TERM; while sleep 1000; do :; done & wait'),
  '/usr/local/bin/broken': program('echo oops >&2; exit 3'),
  '/etc/systemd/system/steady.service': unit('/usr/local/bin/steady', 'After=broken.service\n'),
  '/etc/systemd/system/broken.service': unit('/usr/local/bin/broken'),
};

const P = 'root@lab:~# ';

describe('plain init', () => {
  test('mounts, a name, everybody in the root cgroup, a new shell for one that ended', () => {
    const m = terminal();
    shown(m, 1);
    expect(typed(m, 'cat /proc/self/cgroup; hostname; cat /proc/1/comm\r')).toContain('0::/\nlab\ninit\n');
    const mounts = typed(m, 'cat /proc/mounts\r');
    for (const line of ['proc /proc proc rw,nosuid,nodev,noexec', 'cgroup2 /sys/fs/cgroup cgroup2', 'devpts /dev/pts devpts', 'tmpfs /run tmpfs', 'mqueue /dev/mqueue mqueue', 'tmpfs /dev/shm tmpfs']) expect(mounts).toContain(line);
    expect(typed(m, 'exit\r', 2)).toBe(`exit\nlogout\n${P}`);
    expect(typed(m, 'systemctl; echo $?\r')).toContain("System has not been booted with systemd as init system (PID 1). Can't operate.\nFailed to connect to bus: Host is down\n1\n");
  });
  test('the environment of a login', () => {
    const m = terminal();
    shown(m, 1);
    expect(typed(m, 'echo $HOME $USER $SHELL $TERM $SHLVL $0; pwd; tty 2>/dev/null; echo $PATH\r')).toContain(
      '/root root /bin/bash xterm-256color 1 -bash\n/root\n/dev/tty1\n/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n',
    );
  });
});

describe('the service manager', () => {
  test('slices with their controllers, scopes of logins, services in system.slice', () => {
    const m = terminal(TREE, false);
    shown(m, 12);
    expect(typed(m, 'cat /proc/self/cgroup /proc/1/cgroup\r')).toContain('0::/user.slice/user-0.slice/session-1.scope\n0::/init.scope\n');
    expect(typed(m, 'cat /sys/fs/cgroup/system.slice/cgroup.controllers /sys/fs/cgroup/user.slice/cgroup.subtree_control\r')).toContain('cpuset cpu io memory pids\ncpu memory pids\n');
    expect(typed(m, 'systemd-cgls\r')).toMatch(/CGroup \/:\n-\.slice\n├─user\.slice\n[\s\S]*├─init\.scope\n│ └─1 \/sbin\/init\n└─system\.slice\n {2}└─steady\.service\n {4}├─ *\d+ .*steady\n/);
    expect(typed(m, 'systemctl is-active steady broken nosuch\r')).toContain('active\nfailed\ninactive\n');
  });
  test('status, stop, start, restart, the journal', () => {
    const m = terminal(TREE, false);
    shown(m, 12);
    const status = typed(m, 'systemctl status steady\r');
    expect(status).toMatch(/● steady\.service - Unit of \/usr\/local\/bin\/steady\n {5}Loaded: loaded \(\/etc\/systemd\/system\/steady\.service; enabled; preset: enabled\)\n {5}Active: active \(running\) since Thu 2026-01-15 \d\d:\d\d:\d\d UTC; \d+s ago\n Invocation: [0-9a-f]{32}\n {3}Main PID: \d+ \(steady|bash\)/);
    expect(status).toMatch(/CGroup: \/system\.slice\/steady\.service\n/);
    expect(status).toMatch(/lab steady\[\d+\]: up \d+\n/);
    expect(typed(m, 'systemctl stop steady; systemctl is-active steady; echo $?\r', 2)).toContain('inactive\n3\n');
    expect(typed(m, 'systemctl status steady; echo $?\r', 2)).toMatch(/○ steady\.service[\s\S]*Active: inactive \(dead\)[\s\S]*steady\[\d+\]: down[\s\S]*Stopped steady\.service[\s\S]*\n3\n/);
    expect(typed(m, 'systemctl start steady; systemctl restart steady; systemctl is-active steady\r', 2)).toContain('active\n');
    expect(typed(m, 'journalctl -u steady -o cat\r')).toMatch(/up \d+\n[\s\S]*down\n[\s\S]*up \d+\n[\s\S]*down\n[\s\S]*up \d+\n/);
    expect(typed(m, 'systemctl start nosuch; echo $?; systemctl status nosuch; echo $?\r')).toContain('Failed to start nosuch.service: Unit nosuch.service not found.\n5\nUnit nosuch.service could not be found.\n4\n');
  });
  test('a service that fails is started again, ever later, and then no more', () => {
    const m = terminal(TREE, false);
    shown(m, 15);
    expect(typed(m, 'systemctl status broken\r')).toMatch(/× broken\.service[\s\S]*Active: failed \(Result: exit-code\)[\s\S]*Main PID: \d+ \(code=exited, status=3\/NOTIMPLEMENTED\)[\s\S]*Start request repeated too quickly/);
    expect(typed(m, 'journalctl -u broken | grep -c "Started broken"\r')).toContain('\n5\n');
    expect(typed(m, 'systemctl --failed --no-legend\r')).toContain('● broken.service loaded failed failed Unit of /usr/local/bin/broken\n');
  });
  test('a killed service comes back', () => {
    const m = terminal(TREE, false);
    shown(m, 5);
    const first = /MainPID=(\d+)/.exec(typed(m, 'systemctl show -p MainPID steady\r'))![1]!;
    typed(m, `kill -9 ${first}\r`, 2);
    const second = /MainPID=(\d+)/.exec(typed(m, 'systemctl show -p MainPID,NRestarts steady\r'))!;
    expect(Number(second[1])).toBeGreaterThan(Number(first));
    expect(typed(m, 'systemctl status steady\r')).toContain('Main process exited, code=killed, status=9/KILL');
  });
  test('enable and disable are links', () => {
    const m = terminal(TREE, false);
    shown(m, 2);
    expect(typed(m, 'systemctl disable steady; systemctl is-enabled steady; systemctl enable steady; systemctl is-enabled steady\r')).toContain(
      "Removed '/etc/systemd/system/multi-user.target.wants/steady.service'.\ndisabled\nCreated symlink '/etc/systemd/system/multi-user.target.wants/steady.service' → '/etc/systemd/system/steady.service'.\nenabled\n",
    );
  });
  test('an orphan is reaped by process 1', () => {
    const m = terminal(TREE, false);
    shown(m, 2);
    typed(m, '(sleep 1 & exec sleep 0.1)\r', 3);
    expect(typed(m, 'cat /proc/*/stat 2>/dev/null | grep -c " Z "\r')).toContain('\n0\n');
  });
});
