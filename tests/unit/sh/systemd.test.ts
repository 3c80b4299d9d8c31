/** systemd-run, set-property, slices, systemd-cgtop and systemd-cgls: control groups made and limited by the manager. */
import { beforeAll, describe, expect, it } from 'vitest';
import { loadAssets } from '../../../src/cli/assets.ts';
import { createTypist, line, type Typist, waitForPrompt } from '../../../src/engine/world/typist.ts';
import { createWorld } from '../../../src/engine/world/world.ts';

let typist: Typist;
const run = (command: string): string => {
  const { stdout, stderr } = line(typist, command)!;
  return stdout + stderr;
};

beforeAll(() => {
  typist = createTypist(createWorld(loadAssets(), 'one-host', 1));
  waitForPrompt(typist);
});

describe('systemd-run', () => {
  it.each<[string, RegExp | string]>([
    ['systemd-run -q --scope -p MemoryMax=50M -p CPUQuota=20% sh -c "cd /sys/fs/cgroup/system.slice/run-*.scope; cat memory.max cpu.max"', '52428800\n20000 100000\n'],
    ['systemd-run --unit=job -p MemoryMax=32M -p TasksMax=10 sleep 100', /^Running as unit: job\.service; invocation ID: [0-9a-f]{32}\n$/],
    ['cat /sys/fs/cgroup/system.slice/job.service/{memory.max,pids.max}', '33554432\n10\n'],
    ['systemctl status job | sed -n "2,3p;7,8p"', /^ {5}Loaded: loaded \(\/run\/systemd\/transient\/job\.service; transient\)\n {2}Transient: yes\n {6}Tasks: 1 \(limit: 10\)\n {5}Memory: \d+K \(max: 32M, available: 31\.8M, peak: \d+K\)\n$/],
    ['systemctl set-property job MemoryMax=40M CPUWeight=50; systemctl show job -p MemoryMax,CPUWeight,Slice; cat /sys/fs/cgroup/system.slice/job.service/cpu.weight', 'Slice=system.slice\nCPUWeight=50\nMemoryMax=41943040\n50\n'],
    ['systemd-run --unit=job true', 'Failed to start transient service unit: Unit job.service was already loaded or has a fragment file.\n'],
    ['systemctl stop job; systemctl status job; test -d /sys/fs/cgroup/system.slice/job.service || echo gone', 'gone\nUnit job.service could not be found.\n'],
    ['systemd-run -q --slice=my-deep.slice --scope cat /proc/self/cgroup', /^0::\/my\.slice\/my-deep\.slice\/run-p\d+-i\d+\.scope\n$/],
    ['systemctl set-property my.slice MemoryHigh=10% CPUQuota=150%; cat /sys/fs/cgroup/my.slice/cpu.max; systemctl show my.slice -p CPUQuotaPerSecUSec', '150000 100000\nCPUQuotaPerSecUSec=1.500000s\n'],
    ['systemd-run -q --wait sh -c "exit 3"; echo $?', '3\n'],
    ['systemd-run --wait -p MemoryMax=20M tail /dev/zero 2>&1 | grep -E "result|terminated"', 'Finished with result: oom-kill\nMain processes terminated with: code=killed, status=9/KILL\n'],
    ['systemd-run -q --uid=student --scope id -un', 'student\n'],
    ['ls -d /sys/fs/cgroup/*/*.scope /sys/fs/cgroup/my.slice/*/*.scope 2>/dev/null', ''],
  ])('%s', (command, expected) => {
    if (typeof expected === 'string') expect(run(command)).toBe(expected);
    else expect(run(command)).toMatch(expected);
  });

  it.each<[string, string]>([
    ['systemd-run', 'Command line to execute required.\n'], ['systemd-run --scope --wait x', '--wait may not be combined with --scope.\n'],
    ['systemd-run -p MemoryMax=abc true', 'Failed to parse MemoryMax=abc: Invalid argument\n'], ['systemd-run -p CPUQuota=20 true', "CPU quota '20' invalid.\n"],
    ['systemd-run -p Foo=1 true', 'Unknown assignment: Foo=1\n'], ['systemd-run -p MemoryMax true', 'Not an assignment: MemoryMax\n'], ['systemd-run nope', 'Failed to find executable nope: No such file or directory\n'],
    ['systemd-run --nope x', "systemd-run: unrecognized option '--nope'\n"], ['systemd-run --pty sh', 'not modelled: --pty\n'],
    ['systemctl set-property docker', 'Too few arguments.\n'], ['systemctl set-property docker Foo=1', 'Unknown assignment: Foo=1\n'],
    ['systemctl set-property nope MemoryMax=1M', 'Failed to set unit properties on nope.service: Unit nope.service not found.\n'],
    ['systemd-cgtop --order=foo', 'Invalid argument to --order=: foo\n'], ['systemd-cgtop -n x', "Failed to parse iterations parameter 'x': Invalid argument\n"],
  ])('%s', (command, expected) => {
    expect(run(command)).toBe(expected);
  });
});

describe('systemd-cgtop and systemd-cgls', () => {
  it('what a group uses between two looks', () => {
    run('systemd-run -q --unit=spin -p CPUQuota=30% sh -c "while :; do :; done"; sleep 1');
    const [first, second] = run('systemd-cgtop -b -n 2 -d 1 --depth=2').split('\n\n').map((part) => part.trimEnd().split('\n'));
    expect(first![0]).toMatch(/^CGroup +Tasks {3}%CPU {3}Memory {2}Input\/s Output\/s$/);
    expect(first!.find((row) => row.startsWith('system.slice/spin.service'))).toMatch(/ 1 {6}- +\d+\.0K +- +-$/);
    const percent = Number(/ 1 +(\d+\.\d)/.exec(second!.find((row) => row.startsWith('system.slice/spin.service'))!)![1]);
    expect(percent).toBeGreaterThan(28);
    expect(percent).toBeLessThan(32);
    run('systemctl stop spin');
  });
  it('a unit\'s tree', () => {
    expect(run('systemd-cgls -u libvirtd')).toMatch(/^Unit libvirtd\.service \(\/system\.slice\/libvirtd\.service\):\n└─\d+ \/usr\/sbin\/libvirtd\n$/);
  });
});
