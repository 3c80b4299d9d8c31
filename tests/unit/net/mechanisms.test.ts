/** Links on links, tunnels, narrow ways, queues and policy: seen from the commands that use them. */
import { expect, it } from 'vitest';
import { runCommands } from './commands.ts';

const PAIR = [
  'ip link set lo up; ip netns add b; ip link add va type veth peer name vb; ip link set vb netns b; ip addr add 10.0.0.1/24 dev va; ip -n b addr add 10.0.0.2/24 dev vb; ip link set va up; ip -n b link set vb up',
];
const last = (lines: string[]): string => runCommands([...PAIR, ...lines]).at(-1)!.stdout;

it('VXLAN carries frames over UDP, and learns who is where', () => {
  const got = runCommands([
    ...PAIR, 'ip link add vx type vxlan id 42 remote 10.0.0.2 dev va dstport 4789; ip -n b link add vx type vxlan id 42 remote 10.0.0.1 dev vb dstport 4789',
    'ip addr add 10.9.0.1/24 dev vx; ip -n b addr add 10.9.0.2/24 dev vx; ip link set vx up; ip -n b link set vx up', 'tcpdump -i va -nn -c 4 udp port 4789 &; sleep 0.1; ping -c1 10.9.0.2; sleep 0.2', 'bridge fdb show dev vx', 'ip link show vx',
  ]);
  expect(got[3]!.stdout).toContain('1 packets transmitted, 1 received');
  expect(got[3]!.stdout).toMatch(/IP 10\.0\.0\.1\.\d+ > 10\.0\.0\.2\.4789: VXLAN, flags \[I\] \(0x08\), vni 42\nARP, Request who-has 10\.9\.0\.2 tell 10\.9\.0\.1/);
  expect(got[4]!.stdout).toMatch(/^[0-9a-f:]{17} dst 10\.0\.0\.2 self\n00:00:00:00:00:00 dst 10\.0\.0\.2 via va self permanent\n$/);
  expect(got[5]!.stdout).toContain('mtu 1450');
});

it('VLANs stay apart', () => {
  const tagged = ['ip link add link va name va.5 type vlan id 5; ip -n b link add link vb name vb.5 type vlan id 5; ip addr add 10.5.0.1/24 dev va.5; ip -n b addr add 10.5.0.2/24 dev vb.5; ip link set va.5 up; ip -n b link set vb.5 up'];
  expect(last([...tagged, 'ping -c1 10.5.0.2'])).toContain(' 1 received');
  expect(last([...tagged, 'ip -n b link del vb.5; ip -n b link add link vb name vb.6 type vlan id 6; ip -n b addr add 10.5.0.2/24 dev vb.6; ip -n b link set vb.6 up; ping -c1 -W1 10.5.0.2'])).toContain(' 0 received');
});

it('what is too long is cut, or not sent, or told of', () => {
  expect(last(['ping -c1 -s 4000 10.0.0.2'])).toContain('4008 bytes from 10.0.0.2');
  expect(runCommands([...PAIR, 'ping -c1 -M do -s 1473 10.0.0.2']).at(-1)!.stderr).toBe('ping: sendmsg: Message too long\n');
  const router = 'ip netns add c; ip -n b link add vc type veth peer name vd netns c; ip -n b addr add 10.1.0.1/24 dev vc; ip -n c addr add 10.1.0.2/24 dev vd; ip -n b link set vc mtu 1300 up; ip -n c link set vd up; ip -n c route add default via 10.1.0.1; ip netns exec b sysctl -w net.ipv4.ip_forward=1; ip route add 10.1.0.0/24 via 10.0.0.2';
  expect(last([router, 'ping -c1 -M do -s 1400 10.1.0.2'])).toContain('From 10.0.0.2 icmp_seq=1 Frag needed and DF set (mtu = 1300)');
  expect(last([router, 'ping -c1 -t 1 10.1.0.2'])).toContain('From 10.0.0.2 icmp_seq=1 Time to live exceeded');
});

it('netem delays and loses; tbf holds back', () => {
  expect(last(['tc qdisc add dev va root netem delay 100ms; ping -c1 10.0.0.2; ping -c1 10.0.0.2'])).toMatch(/time=100 ms/);
  expect(last(['tc qdisc add dev va root netem loss 100%; ping -c1 -W1 10.0.0.2'])).toContain('100% packet loss');
  expect(last(['tc qdisc add dev va root tbf rate 1mbit burst 2kb latency 50ms; tc qdisc show dev va'])).toBe('qdisc tbf 8001: root refcnt 3 rate 1Mbit burst 2Kb lat 50ms \n');
});

it('rules choose tables by source and mark', () => {
  const tables = 'ip route add 10.7.0.0/16 via 10.0.0.2 table 100; ip rule add from 10.0.0.1 lookup 100; ip rule add fwmark 7 prohibit';
  expect(runCommands([...PAIR, tables, 'ip route get 10.7.0.1', 'ip route get 10.7.0.1 from 10.0.0.1']).slice(-2).map((one) => one.stderr + one.stdout)).toEqual([
    'RTNETLINK answers: Network is unreachable\n', '10.7.0.1 from 10.0.0.1 via 10.0.0.2 dev va table 100 uid 0 \n    cache \n',
  ]);
  expect(runCommands([...PAIR, tables, 'iptables -t mangle -A OUTPUT -p icmp -j MARK --set-mark 7; ping -c1 -W1 10.0.0.2']).at(-1)!.stderr).toContain('ping: sendmsg: Permission denied');
});
