/** The disk under everybody: who waits for whom under io.max and io.weight, and what /proc/diskstats counts. */
import { beforeAll, expect, test } from 'vitest';
import { type Lab, lab, sh } from './docker-lab.ts';

let m: Lab;
beforeAll(() => {
  m = lab();
  sh(m, 'mkdir -p /sys/fs/cgroup/a /sys/fs/cgroup/b; echo +io > /sys/fs/cgroup/cgroup.subtree_control');
});
const inGroup = (name: string, file: string, mib: number): string =>
  `(echo $BASHPID > /sys/fs/cgroup/${name}/cgroup.procs; exec dd if=/dev/zero of=/root/${file} bs=1M count=${mib} oflag=direct 2>/root/${file}.log)`;
const rate = (file: string): number => {
  const [, amount, unit] = /, ([\d.]+) (MB|GB|kB)\/s/.exec(sh(m, `cat /root/${file}.log`).stdout)!;
  return Number(amount) * { kB: 1e-3, MB: 1, GB: 1e3 }[unit as 'kB']!;
};

test('a group held back by io.max leaves the disk to others', () => {
  sh(m, `echo "254:0 wbps=1048576" > /sys/fs/cgroup/a/io.max; ${inGroup('a', 'slow', 3)} & ${inGroup('b', 'fast', 60)}; wait`);
  expect(rate('slow')).toBeGreaterThan(0.95);
  expect(rate('slow')).toBeLessThan(1.1);
  expect(rate('fast')).toBeGreaterThan(500);
  sh(m, 'echo "254:0 wbps=max" > /sys/fs/cgroup/a/io.max');
});

/** MB/s of one writer of 1 MiB blocks who has the disk to itself: 60 us a request, 1 ns a byte. */
const FULL = (1_048_576 / (60_000 + 1_048_576)) * 1000;

test('io.weight shares nothing before io.cost.qos is enabled, and a quarter is a quarter afterwards', () => {
  sh(m, 'echo 300 > /sys/fs/cgroup/a/io.weight');
  const both = `${inGroup('a', 'heavy', 150)} & ${inGroup('b', 'light', 50)} & wait`;
  sh(m, both);
  expect(rate('heavy') / rate('light')).toBeLessThan(1.8);
  expect(sh(m, 'cat /sys/fs/cgroup/io.cost.qos').stdout).toBe('');
  sh(m, `echo "254:0 enable=1" > /sys/fs/cgroup/io.cost.qos; ${both}`);
  expect(rate('light') / FULL).toBeGreaterThan(0.23);
  expect(rate('light') / FULL).toBeLessThan(0.3);
  expect(rate('heavy') / FULL).toBeGreaterThan(0.5);
  expect(sh(m, 'cat /sys/fs/cgroup/io.cost.qos').stdout).toBe('254:0 enable=1 ctrl=auto rpct=0.00 rlat=250000 wpct=0.00 wlat=250000 min=1.00 max=10000.00\n');
});

test.each([
  ['a device that is none', '8:16 enable=1', 'No such device'], ['a partition', '254:1 enable=1', 'No such device'],
  ['no device', 'enable=1', 'Invalid argument'], ['a word', '254:0 fast', 'Invalid argument'], ['two', '254:0 enable=2', 'Invalid argument'],
])('io.cost.qos refuses %s', (_, line, message) => {
  const ran = sh(m, `echo "${line}" > /sys/fs/cgroup/io.cost.qos`);
  expect(ran.stderr + ran.stdout).toContain(message);
});

test('direct writes of a container reach the disk, and are counted by group and by disk', () => {
  const sectors = (): number => Number(sh(m, 'cat /proc/diskstats').stdout.split('\n')[0]!.trim().split(/\s+/)[9]);
  const before = sectors();
  expect(sh(m, 'docker run --name writer busybox dd if=/dev/zero of=/f bs=64k count=32 oflag=direct')).toMatchObject({ exit: 0 });
  expect((sectors() - before) * 512).toBeGreaterThanOrEqual(32 * 65536);
  expect((sectors() - before) * 512).toBeLessThan(33 * 65536 + 1e6);
});

test('iostat tells since boot and over an interval', () => {
  const told = sh(m, 'iostat -d 1 2').stdout;
  expect(told).toMatch(/^Linux \S+ \(lab\) \t\d\d\/\d\d\/\d\d \t_x86_64_\t\(2 CPU\)\n\nDevice {14}tps/);
  expect(told.match(/^vda .*$/gm)!.map((line) => Number(line.split(/\s+/)[1]))[1]).toBe(0);
  expect(sh(m, 'iostat 0').stderr).toBe('iostat: interval must be at least 1 second\n');
});
