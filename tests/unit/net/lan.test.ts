/** Two machines and a service on one wire: streams, echo, absent hosts, a routed container network behind each machine. */
import { expect, test } from 'vitest';
import { AF_INET, CLONE_NEWNET, SOCK_STREAM } from '../../../src/engine/kernel/abi.ts';
import { boot, createKernel, registerKernels } from '../../../src/engine/kernel/kernel.ts';
import type { Kernel } from '../../../src/engine/kernel/records.ts';
import { type Body, type Program, sys } from '../../../src/engine/kernel/sys.ts';
import { bytes, text } from '../../../src/engine/sim/text.ts';
import { createTimeline, runTo } from '../../../src/engine/sim/timeline.ts';
import { createTrace } from '../../../src/engine/sim/trace.ts';
import { GiB, SECOND } from '../../../src/engine/sim/units.ts';
import { createLan, type Lan, serviceHangUp, serviceSend, uplinkOf } from '../../../src/engine/world/lan.ts';
import { outcome } from '../kernel/harness.ts';

/** Boots one machine a program, each at 10.0.0.(i+1), and runs for `seconds`. */
function machines(programs: Program[], seconds: number, service?: (lan: Lan) => void): void {
  const timeline = createTimeline();
  const trace = createTrace(timeline);
  const kernels = new Map<string, Kernel>();
  registerKernels(timeline, kernels);
  const lan = createLan(timeline, kernels);
  service?.(lan);
  for (const [i, init] of programs.entries()) {
    const kernel = createKernel({
      name: `m${i + 1}`, cpus: 1, memory: GiB, ghz: 2, timeline, trace, seed: 1, programs: new Map([['init', init]]), hostname: `m${i + 1}`, network: { address: `10.0.0.${i + 1}/24` },
    });
    kernels.set(kernel.name, kernel);
    kernel.uplink = uplinkOf(lan);
    boot(kernel, { tree: { '/sbin/init': { type: 'program', name: 'init' }, '/proc': { type: 'dir' } }, init: '/sbin/init', argv: ['init'], env: {} });
  }
  runTo(timeline, seconds * SECOND);
}

function* server(port: number): Body {
  const fd = yield* sys('socket', AF_INET, SOCK_STREAM, 0);
  yield* sys('bind', fd, { family: 'inet', address: '0.0.0.0', port });
  yield* sys('listen', fd, 5);
  for (;;) {
    const { fd: conn, peer } = yield* sys('accept4', fd, 0);
    let size = 0;
    for (;;) {
      const data = yield* sys('read', conn, 100_000);
      if (data.length === 0) break;
      size += data.length;
    }
    yield* sys('write', conn, bytes(`${size} from ${peer.family === 'inet' ? peer.address : '?'}`));
    yield* sys('close', conn);
  }
}

function* ask(address: string, port: number, size: number) {
  const fd = yield* sys('socket', AF_INET, SOCK_STREAM, 0);
  const connected = yield* outcome(sys('connect', fd, { family: 'inet', address, port }));
  if (connected !== 0) return String(connected);
  let left = bytes('x'.repeat(size));
  while (left.length > 0) left = left.subarray(yield* sys('write', fd, left));
  yield* sys('shutdown', fd, 1);
  let got = '';
  for (;;) {
    const data = yield* sys('read', fd, 1000);
    if (data.length === 0) break;
    got += text(data);
  }
  yield* sys('close', fd);
  return got;
}

function* forever(): Body {
  for (;;) yield* sys('pause');
}

test('a stream of a megabyte between machines; refused; nobody there', () => {
  const seen: string[] = [];
  machines([
    function* (): Body {
      yield* sys('nanosleep', 1e6);
      seen.push(yield* ask('10.0.0.2', 80, 1_000_000), yield* ask('10.0.0.2', 81, 1), yield* ask('10.0.0.9', 80, 1), yield* ask('10.0.0.50', 6443, 5), yield* ask('10.0.0.50', 1, 5));
      yield* forever();
    },
    function* (): Body {
      yield* server(80);
    },
  ], 30, (lan) => {
    lan.services.set('10.0.0.50:6443', {
      open: () => undefined,
      data: (conn, data) => serviceSend(lan, conn, bytes(`service got ${data.length}`)),
      close: (conn) => serviceHangUp(lan, conn),
    });
  });
  expect(seen).toEqual(['1000000 from 10.0.0.1', 'ECONNREFUSED', 'EHOSTUNREACH', 'service got 5', 'ECONNREFUSED']);
});

/** A container at 10.244.N.2 behind a bridge at 10.244.N.1, and the way to the other machine's. */
function* node(n: number, other: number, inside: () => Body): Body {
  const ask = (type: string, rest: object) => sys('netlink', { type, ...rest });
  yield* sys('mount', 'proc', '/proc', 'proc', 0, '');
  const ip_forward = yield* sys('openat', -100, '/proc/sys/net/ipv4/ip_forward', 1);
  yield* sys('write', ip_forward, bytes('1'));
  yield* ask('link.add', { name: 'cni0', kind: 'bridge' });
  yield* ask('addr.add', { dev: 'cni0', address: `10.244.${n}.1`, prefix: 24 });
  yield* ask('link.set', { name: 'cni0', up: true });
  yield* ask('route.add', { to: `10.244.${other}.0/24`, via: `10.0.0.${other}` });
  const pid = yield* sys('clone', { flags: CLONE_NEWNET, run: inside });
  const ns = { pid };
  yield* ask('link.add', { name: 'veth1', kind: 'veth', peer: { name: 'eth0', netns: ns } });
  yield* ask('link.set', { name: 'veth1', master: 'cni0', up: true });
  yield* ask('addr.add', { dev: 'eth0', address: `10.244.${n}.2`, prefix: 24, ns });
  yield* ask('link.set', { name: 'eth0', up: true, ns });
  yield* ask('route.add', { to: 'default', via: `10.244.${n}.1`, ns });
  yield* forever();
}

test('pods of two machines reach each other through host routes', () => {
  const seen: string[] = [];
  machines([
    () => node(1, 2, function* (): Body {
      yield* sys('nanosleep', 1e7);
      seen.push(yield* ask('10.244.2.2', 80, 10), yield* ask('10.0.0.2', 80, 10));
    }),
    () => node(2, 1, () => server(80)),
  ], 30);
  expect(seen).toEqual(['10 from 10.244.1.2', 'ECONNREFUSED']);
});
