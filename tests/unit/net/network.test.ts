/** Streams, datagrams and links of one machine: by system calls, through namespaces, bridges and rules. */
import { describe, expect, test } from 'vitest';
import { AF_INET, AF_UNIX, AT_FDCWD, CLONE_NEWNET, SOCK_DGRAM, SOCK_STREAM } from '../../../src/engine/kernel/abi.ts';
import { type Body, type NetlinkRequest, sys } from '../../../src/engine/kernel/sys.ts';
import { bytes, text } from '../../../src/engine/sim/text.ts';
import { SECOND } from '../../../src/engine/sim/units.ts';
import { outcome, put, run } from '../kernel/harness.ts';

const inet = (address: string, port: number) => ({ family: 'inet', address, port }) as const;

function* netlink(request: NetlinkRequest) {
  return yield* outcome(sys('netlink', request));
}

/** A server in a child: accepts `times` and answers "re: " + what it got. */
function* echoServer(address: string, port: number, times: number): Body {
  const fd = yield* sys('socket', AF_INET, SOCK_STREAM, 0);
  yield* sys('bind', fd, inet(address, port));
  yield* sys('listen', fd, 5);
  for (let i = 0; i < times; i++) {
    const { fd: conn } = yield* sys('accept4', fd, 0);
    const data = yield* sys('read', conn, 1000);
    yield* sys('write', conn, bytes(`re: ${text(data)}`));
    yield* sys('close', conn);
  }
}

function* askServer(address: string, port: number, what: string) {
  const fd = yield* sys('socket', AF_INET, SOCK_STREAM, 0);
  const connected = yield* outcome(sys('connect', fd, inet(address, port)));
  if (connected !== 0) return connected;
  yield* sys('write', fd, bytes(what));
  let all = '';
  for (;;) {
    const data = yield* sys('read', fd, 1000);
    if (data.length === 0) break;
    all += text(data);
  }
  yield* sys('close', fd);
  return all;
}

describe('unix sockets', () => {
  test('a stream by path: permissions, backlog, descriptors along, end of file, EPIPE', () => {
    const ran = run(function* (): Body {
      const server = yield* sys('socket', AF_UNIX, SOCK_STREAM, 0);
      const client = yield* sys('socket', AF_UNIX, SOCK_STREAM, 0);
      const at = { family: 'unix', path: '/tmp/s' } as const;
      yield* put(1, `${yield* outcome(sys('connect', client, at))} `);
      yield* sys('bind', server, at);
      yield* put(1, `${yield* outcome(sys('connect', client, at))} ${yield* outcome(sys('bind', client, at))}\n`);
      yield* sys('listen', server, 1);
      yield* sys('connect', client, at);
      const { fd: conn, peer } = yield* sys('accept4', server, 0);
      const file = yield* sys('openat', AT_FDCWD, '/tmp/f', 0o102, 0o644);
      yield* sys('write', file, bytes('inside'));
      yield* sys('sendmsg', client, bytes('take this'), [file]);
      const got = yield* sys('recvmsg', conn, 100);
      yield* put(1, `${JSON.stringify(peer)} ${text(got.data)} ${got.fds.length} ${text(yield* sys('pread64', got.fds[0]!, 10, 0))}\n`);
      yield* put(1, `${(yield* sys('getsockopt', conn, 'SO_PEERCRED')) === (yield* sys('getpid'))}\n`);
      yield* sys('close', client);
      yield* put(1, `${(yield* sys('read', conn, 10)).length}\n`);
      yield* sys('rt_sigaction', 13, { handler: 'ignore' });
      yield* put(1, `${yield* outcome(sys('write', conn, bytes('x')))}\n`);
    });
    expect(ran.stdout).toBe('ENOENT ECONNREFUSED EADDRINUSE\n{"family":"unix","path":""} take this 1 inside\ntrue\n0\nEPIPE\n');
  });

  test('datagrams keep their boundaries', () => {
    const ran = run(function* (): Body {
      const a = yield* sys('socket', AF_UNIX, SOCK_DGRAM, 0);
      const b = yield* sys('socket', AF_UNIX, SOCK_DGRAM, 0);
      yield* sys('bind', a, { family: 'unix', path: '/tmp/a' });
      yield* sys('sendto', b, bytes('one'), { family: 'unix', path: '/tmp/a' });
      yield* sys('sendto', b, bytes('two'), { family: 'unix', path: '/tmp/a' });
      yield* put(1, `${text((yield* sys('recvfrom', a, 100)).data)}|${text((yield* sys('recvfrom', a, 2)).data)}\n`);
    });
    expect(ran.stdout).toBe('one|tw\n');
  });
});

test('loopback: down in a new namespace; refused, answered, unreachable', () => {
  const ran = run(function* (): Body {
    yield* put(1, `${yield* askServer('127.0.0.1', 80, 'x')} ${yield* askServer('10.1.1.1', 80, 'x')}\n`);
    yield* sys('clone', { flags: 0, run: () => echoServer('0.0.0.0', 80, 2) });
    yield* sys('nanosleep', 1000);
    yield* put(1, `${yield* askServer('127.0.0.1', 80, 'hello')}\n`);
    yield* sys('unshare', CLONE_NEWNET);
    yield* put(1, `${yield* askServer('127.0.0.1', 80, 'x')}\n`);
    yield* netlink({ type: 'link.set', name: 'lo', up: true });
    yield* put(1, `${yield* askServer('127.0.0.1', 80, 'x')}\n`);
  });
  expect(ran.stdout).toBe('ECONNREFUSED ENETUNREACH\nre: hello\nENETUNREACH\nECONNREFUSED\n');
});

/** Two namespaces on a bridge, as docker makes them; prints what the steps give. */
function* bridgeWith(script: (pids: number[]) => Generator<never, void, never> | Body): Body {
  const pids: number[] = [];
  yield* netlink({ type: 'link.add', name: 'br0', kind: 'bridge' });
  yield* netlink({ type: 'addr.add', dev: 'br0', address: '172.18.0.1', prefix: 16 });
  yield* netlink({ type: 'link.set', name: 'br0', up: true });
  for (const i of [2, 3]) {
    const pid = yield* sys('clone', {
      flags: CLONE_NEWNET,
      run: () => echoServer('0.0.0.0', 80, 10),
    });
    pids.push(pid);
    yield* netlink({ type: 'link.add', name: `v${i}`, kind: 'veth', peer: { name: 'eth0', netns: { pid } } });
    yield* netlink({ type: 'link.set', name: `v${i}`, master: 'br0', up: true });
    const ns = { pid };
    yield* netlink({ type: 'link.set', name: 'lo', up: true, ns });
    yield* netlink({ type: 'addr.add', dev: 'eth0', address: `172.18.0.${i}`, prefix: 16, ns });
    yield* netlink({ type: 'link.set', name: 'eth0', up: true, ns });
    yield* netlink({ type: 'route.add', to: 'default', via: '172.18.0.1', ns });
  }
  yield* sys('nanosleep', 1000);
  yield* script(pids) as Body;
}

test('containers on a bridge: reached, cut off by a downed link, by rules, by missing routes', () => {
  const ran = run(function* (): Body {
    yield* bridgeWith(function* (pids): Body {
      yield* put(1, `${yield* askServer('172.18.0.2', 80, 'a')} ${yield* askServer('172.18.0.3', 80, 'b')} ${yield* askServer('172.18.0.3', 81, 'c')}\n`);
      yield* netlink({ type: 'link.set', name: 'eth0', up: false, ns: { pid: pids[1]! } });
      const began = yield* sys('clock_gettime', 'monotonic');
      const got = yield* askServer('172.18.0.3', 80, 'd');
      yield* put(1, `${got} after ${Math.round(((yield* sys('clock_gettime', 'monotonic')) - began) / SECOND)} s\n`);
      yield* put(1, `${yield* askServer('172.18.0.9', 80, 'e')}\n`);
      yield* netlink({ type: 'nf.append', table: 'filter', chain: 'OUTPUT', rule: { dst: { is: '172.18.0.2', not: false }, target: 'DROP' } });
      const t = yield* sys('clock_gettime', 'monotonic');
      const dropped = yield* askServer('172.18.0.2', 80, 'f');
      yield* put(1, `${dropped} after ${Math.round(((yield* sys('clock_gettime', 'monotonic')) - t) / SECOND)} s\n`);
    });
  }, { limit: 300 * SECOND });
  expect(ran.stdout).toBe('re: a re: b ECONNREFUSED\nEHOSTUNREACH after 66 s\nEHOSTUNREACH\nETIMEDOUT after 127 s\n');
});

test('DNAT publishes a port to other namespaces; MASQUERADE lets containers out', () => {
  const ran = run(function* (): Body {
    yield* bridgeWith(function* (): Body {
      const outside = yield* sys('clone', { flags: CLONE_NEWNET, run: () => outsider() });
      yield* netlink({ type: 'link.add', name: 'up0', kind: 'veth', peer: { name: 'eth0', netns: { pid: outside } } });
      yield* netlink({ type: 'addr.add', dev: 'up0', address: '203.0.113.1', prefix: 24 });
      yield* netlink({ type: 'link.set', name: 'up0', up: true });
      const ns = { pid: outside };
      yield* netlink({ type: 'addr.add', dev: 'eth0', address: '203.0.113.2', prefix: 24, ns });
      yield* netlink({ type: 'link.set', name: 'eth0', up: true, ns });
      yield* netlink({ type: 'nf.append', table: 'nat', chain: 'PREROUTING', rule: { dsttype: { is: 'LOCAL', not: false }, proto: { is: 'tcp', not: false }, dport: { is: '8080', not: false }, target: 'DNAT', to: '172.18.0.2:80' } });
      yield* sys('nanosleep', 2 * SECOND);
      yield* sys('mount', 'proc', '/proc', 'proc', 0, '');
      const fd = yield* sys('openat', AT_FDCWD, '/proc/sys/net/ipv4/ip_forward', 1);
      yield* sys('write', fd, bytes('1\n'));
      yield* sys('wait4', outside, 0);
    });
  }, {
    limit: 60 * SECOND,
  });
  expect(ran.stdout).toBe('hop 1: re: from outside\n');
});

function* outsider(): Body {
  yield* sys('nanosleep', 3 * SECOND);
  const got = yield* askServer('203.0.113.1', 8080, 'from outside');
  yield* put(1, `hop 1: ${got}\n`);
  return 0;
}
