/** The road of packets as rows, and the network as rows: a page on a container, the rules that it meets, and the end of what is dropped. */
import { beforeAll, expect, it } from 'vitest';
import type { NetworkRow, PacketRow } from '../../../src/bridge/rows.ts';
import { network } from '../../../src/engine/views/network.ts';
import { packets } from '../../../src/engine/views/packets.ts';
import type { World } from '../../../src/engine/world/world.ts';
import { type Lab, lab, sh } from '../containers/docker-lab.ts';

let m: Lab;
let world: World;

beforeAll(() => {
  m = lab();
  world = { kernels: new Map([['lab', m.kernel]]) } as World;
  sh(m, 'docker run -d --name web -p 8080:80 nginx; docker run -d --name cli busybox sleep 1000; ip netns add blue');
});

const road = (): PacketRow[] => packets.rows(world, {}) as PacketRow[];
const brief = ({ nsName, dev, hook, action }: PacketRow): string => `${nsName} ${dev} ${hook} ${action}`;

it('a packet from container to container: every step, once', () => {
  sh(m, 'docker exec cli ping -c1 172.17.0.2');
  const rows = road();
  const first = rows.filter((r) => r.text === 'echo request 0')[0]!;
  const way = rows.filter((r) => r.packet === first.packet).map(brief);
  expect(way.map((line) => line.replace(/veth\w+/, 'veth'))).toEqual([
    'cli  socket send', 'cli eth0 route route', 'cli eth0 arp queue', 'cli eth0 arp resolve', 'cli eth0 egress out', 'host veth ingress in', 'host docker0 bridge port', 'host docker0 prerouting accept',
    'host docker0 forward accept', 'host docker0 postrouting accept', 'host veth egress out', 'web eth0 ingress in', 'web eth0 socket deliver',
  ]);
  expect(rows.filter((r) => r.proto === 'arp').map((r) => r.text)).toContain('who has 172.17.0.2? tell 172.17.0.3');
  expect(rows.find((r) => r.packet === first.packet && r.hook === 'forward')!.rule).toMatch(/^filter FORWARD rule \d+$/);
});

it('a published port: the rule that matched and what it changed', () => {
  sh(m, 'docker exec cli wget -qO- http://10.0.0.5:8080/; ip addr add 10.9.9.9/32 dev lo; curl -s 10.9.9.9:8080');
  const nat = road().filter((r) => r.action === 'dnat');
  expect(nat[0]).toMatchObject({ hook: 'output', rule: expect.stringMatching(/^nat DOCKER rule \d$/), reason: 'destination 10.9.9.9:8080 becomes 172.17.0.2:80', dst: '172.17.0.2', dport: 80 });
});

it('a drop says why', () => {
  sh(m, 'iptables -A INPUT -p icmp -j DROP; ping -c1 -W1 172.17.0.2; ip link add d type dummy; ip link set d up; ip route add 10.77.0.0/16 dev d; ping -c1 -W1 10.77.0.1');
  const ends = road().filter((r) => r.action === 'drop').map((r) => [r.hook, r.rule, r.reason]);
  expect(ends).toEqual([['input', 'filter INPUT rule 1', 'dropped by a rule'], ['egress', '', 'a dummy link discards']]);
});

it('the network', () => {
  const rows = network.rows(world, {}) as NetworkRow[];
  const of = (kind: NetworkRow['kind'], ns = ''): NetworkRow[] => rows.filter((r) => r.kind === kind && (ns === '' || r.nsName === ns));
  expect(of('namespace').map((r) => r.name).sort()).toEqual(['blue', 'cli', 'host', 'web']);
  const eth0 = of('device', 'web').find((r) => r.name === 'eth0')!;
  const end = of('device', 'host').find((r) => r.name === eth0.peer)!;
  expect([eth0.address, eth0.dev, end.master, end.peer, end.peerNs]).toEqual(['172.17.0.2/16', 'veth', 'docker0', 'eth0', eth0.ns]);
  expect(of('route', 'web').map((r) => [r.name, r.address, r.dev])).toEqual([['default', '172.17.0.1', 'eth0'], ['172.17.0.0/16', '', 'eth0']]);
  expect(of('socket', 'web').map((r) => [r.name, r.state])).toEqual([['tcp 0.0.0.0:80', 'LISTEN']]);
  expect(of('published', 'host').map((r) => [r.name, r.address])).toEqual([['tcp 8080', '172.17.0.2:80']]);
  expect(new Set(rows.map((r) => r.key)).size).toBe(rows.length);
});
