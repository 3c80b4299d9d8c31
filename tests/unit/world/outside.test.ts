/** What lies behind the gateway: distance, names, pages, who gets there and who does not; and that it costs nothing unasked. */
import { beforeAll, expect, it, test } from 'vitest';
import { loadAssets } from '../../../src/cli/assets.ts';
import { createTypist, line, type Typist, waitForPrompt } from '../../../src/engine/world/typist.ts';
import { createWorld, worldHash } from '../../../src/engine/world/world.ts';

function sit(scenario: string): Typist {
  const typist = createTypist(createWorld(loadAssets(), scenario), { until: Number.MAX_SAFE_INTEGER, expired: () => false });
  waitForPrompt(typist);
  return typist;
}

let typist: Typist;
const say = (command: string): string => line(typist, command)!.stdout;

beforeAll(() => {
  typist = sit('one-host');
});

it('is not booted before somebody looks for the gateway', () => {
  expect(say('ip route')).toContain('default via 10.0.0.1 dev eth0 proto static \n');
  expect([...typist.world.lan.kernels.keys()]).toEqual(['lab']);
  expect(say('ping -c 1 10.0.0.1')).toContain('1 received');
  expect([...typist.world.lan.kernels.keys()]).toEqual(['lab', 'outside']);
  expect([...typist.world.kernels.keys()]).toEqual(['lab']);
});

it('is 20 ms away, behind three routers', () => {
  say('ping -c 1 1.1.1.1');
  expect(say('ping -c 1 1.1.1.1')).toMatch(/from 1\.1\.1\.1: icmp_seq=1 ttl=61 time=20\.\d ms/);
  expect(say('traceroute -n 8.8.8.8').split('\n').slice(1, 5).map((row) => row.trim().split(/\s+/)[1])).toEqual(['10.0.0.1', '203.0.113.2', '198.51.100.2', '8.8.8.8']);
  expect(say('ping -c 1 5.5.5.5')).toContain('From 198.51.100.2 icmp_seq=1 Destination Net Unreachable');
});

it('has names and pages', () => {
  expect(say('dig +short example.com; dig +short -x 1.1.1.1')).toBe('93.184.215.14\none.one.one.one.\n');
  expect(say('curl -s http://example.com/')).toContain('<h1>Example Domain</h1>');
  expect(line(typist, 'curl http://nosuch.example/')!.stderr).toContain('Could not resolve host: nosuch.example');
  expect(line(typist, 'curl https://example.com/')!.stderr).toContain('not modelled: TLS');
});

test.each([
  ['', 0], ['--network mid', 0], ['--network host', 0], ['--network none', 1], ['--network inner', 1],
] as const)('a container with %s', (network, exit) => {
  say('docker network create mid > /dev/null 2>&1; docker network create --internal inner > /dev/null 2>&1');
  expect(line(typist, `docker run --rm ${network} busybox wget -q -O /dev/null http://93.184.215.14/`)!.exit).toBe(exit);
});

it('hides a container behind its host', () => {
  say('docker run --rm busybox ping -c 1 9.9.9.9');
  expect(say('conntrack -L 2> /dev/null')).toMatch(/src=172\.17\.0\.2 dst=9\.9\.9\.9 .* src=9\.9\.9\.9 dst=10\.0\.0\.5 /);
});

it('is the same every time', () => {
  const hash = (): string => {
    const one = sit('empty-host');
    line(one, 'ping -c 2 example.com');
    return worldHash(one.world);
  };
  expect(hash()).toBe(hash());
});

it('is not there where a machine has no way out', () => {
  const one = sit('{outside: false, hosts: [{name: lonely}]}');
  expect(line(one, 'ip route; ping -c 1 1.1.1.1')).toMatchObject({ stdout: '10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.5 \n', stderr: 'ping: connect: Network is unreachable\n', exit: 2 });
});
