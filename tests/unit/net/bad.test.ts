/** Whatever a program asks of sockets and rtnetlink, it gets an answer or an errno, and the machine goes on. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ERRNO } from '../../../src/engine/kernel/abi.ts';
import { type Body, type NetlinkRequest, type Request, sys } from '../../../src/engine/kernel/sys.ts';
import { outcome, put, run } from '../kernel/harness.ts';
import { NET_PROGRAMS, runCommands } from './commands.ts';

const TYPES = [
  'link.list', 'link.add', 'link.set', 'link.del', 'addr.list', 'addr.add', 'addr.del', 'route.list', 'route.add', 'route.replace', 'route.del', 'route.get', 'neigh.list', 'neigh.add',
  'neigh.del', 'fdb.list', 'nsid.get', 'nsid.set', 'socket.list', 'nf.list', 'nf.append', 'nf.insert', 'nf.delete', 'nf.newchain', 'nf.delchain', 'nf.flush', 'nf.zero', 'nf.policy',
  'ct.list', 'ct.flush', 'hops', 'extack', 'constructor', 'bogus',
];
const word = fc.constantFrom('lo', 'br0', 'v1', 'eth0', 'veth', 'bridge', 'dummy', '10.0.0.1', '10.0.0.0/8', '127.0.0.1', 'default', '300.1.1.1', '', 'filter', 'nat', 'INPUT', 'OUTPUT', 'DOCKER', 'ACCEPT', 'DROP', 'DNAT', '02:00:00:00:00:01', '__proto__');
const value: fc.Arbitrary<unknown> = fc.oneof(word, fc.integer({ min: -5, max: 70000 }), fc.boolean(), fc.constant(null), fc.constant({ pid: 1 }), fc.constant({ fd: 0 }), fc.constant({ path: '/proc/1/ns/net' }),
  fc.record({ name: word }), fc.record({ target: word, dst: fc.record({ is: word, not: fc.boolean() }) }), fc.anything({ maxDepth: 2 }));
const field = fc.constantFrom('name', 'newName', 'kind', 'address', 'prefix', 'dev', 'mtu', 'up', 'master', 'netns', 'ns', 'peer', 'to', 'via', 'src', 'metric', 'mac', 'table', 'chain', 'rule', 'at', 'policy', 'ipv6', 'id', 'since');
const netlink = fc.tuple(fc.constantFrom(...TYPES), fc.array(fc.tuple(field, value), { maxLength: 6 })).map(([type, fields]) => ({ type, ...Object.fromEntries(fields) }) as NetlinkRequest);
const address = fc.oneof(
  fc.record({ family: fc.constantFrom('inet', 'unix', 'x'), address: fc.constantFrom('127.0.0.1', '0.0.0.0', '10.9.9.9', 'x'), port: fc.integer({ min: -1, max: 70000 }), path: fc.constantFrom('', '/tmp/s', '\0a', '/nosuch/x') }), fc.anything({ maxDepth: 1 }),
);
const call = fc.oneof(
  fc.tuple(fc.constant('socket'), fc.integer({ min: 0, max: 17 }), fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 20 })),
  fc.tuple(fc.constantFrom('bind', 'connect'), fc.integer({ min: 0, max: 9 }), address),
  fc.tuple(fc.constant('fcntl'), fc.integer({ min: 3, max: 9 }), fc.constant('setfl'), fc.constant(0o4000)),
  fc.tuple(fc.constant('listen'), fc.integer({ min: 0, max: 9 }), fc.integer({ min: -1, max: 9 })),
  fc.tuple(fc.constant('sendto'), fc.integer({ min: 0, max: 9 }), fc.uint8Array({ maxLength: 60 }), address),
  fc.tuple(fc.constant('shutdown'), fc.integer({ min: 0, max: 9 }), fc.integer({ min: -1, max: 4 })),
  fc.tuple(fc.constantFrom('getsockname', 'getpeername', 'close'), fc.integer({ min: 3, max: 9 })),
  fc.tuple(fc.constant('netlink'), netlink),
);

test('random requests of rtnetlink and calls on sockets', () => {
  fc.assert(
    fc.property(fc.array(call, { minLength: 5, maxLength: 40 }), (calls) => {
      const ran = run(function* (): Body {
        yield* sys('mount', 'proc', '/proc', 'proc', 0, '');
        for (const [name, ...args] of calls) {
          const got = yield* outcome((function* (): Generator<Request, unknown, unknown> {
            return yield { op: 'sys', name, args } as Request;
          })());
          if (typeof got === 'string' && /^E[A-Z0-9]+$/.test(got) && !(got in ERRNO)) throw new Error(got);
        }
        yield* put(1, 'alive\n');
      }, { limit: 300e9 });
      expect(ran.stdout.endsWith('alive\n')).toBe(true);
    }),
    { numRuns: 60, seed: 7 },
  );
});

const WORDS = [
  'add', 'del', 'set', 'show', 'link', 'addr', 'route', 'neigh', 'netns', 'get', 'exec', 'dev', 'lo', 'v1', 'type', 'veth', 'peer', 'name', 'master', 'up', 'via', '10.0.0.1', '10.0.0.1/8', 'default', '-n', '-c', '1',
  '-A', '-D', '-I', '-L', '-S', '-t', 'nat', 'INPUT', '-p', 'tcp', '--dport', '80', '-j', 'DROP', 'DNAT', '!', '-i', '-o', '-m', 'conntrack', '-V', '-br', '""', 'http://127.0.0.1/', '-w', 'net.ipv4.ip_forward', '=', 'hosts', '--help', 'mtu', '99999', 'aa:bb',
];
/** Those that end by themselves whatever they are told. */
const NAMES = Object.keys(NET_PROGRAMS).filter((name) => !['tcpdump', 'nc', 'iptables-restore', 'ping'].includes(name));

test('random words for every program: it ends, with some status', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...NAMES), fc.array(fc.constantFrom(...WORDS), { maxLength: 7 })), { minLength: 10, maxLength: 25 }), (commands) => {
      const lines = commands.map(([name, words]) => [name, ...words].join(' '));
      expect(runCommands(lines, { limit: 3000e9 }).map((o) => o.cmd)).toEqual(lines);
    }),
    { numRuns: 15, seed: 11 },
  );
});
