/** Network programs from the command line: what they print, when they end, with which status. */
import { expect, test } from 'vitest';
import { AF_INET, SOCK_DGRAM } from '../../../src/engine/kernel/abi.ts';
import { type Body, type Program, sys } from '../../../src/engine/kernel/sys.ts';
import { encodeAnswer, queryName } from '../../../src/engine/userland/net/dns.ts';
import { reply, serve } from '../../../src/engine/userland/lib/http.ts';
import { runCommands } from './commands.ts';

const HOSTS = { '/etc/hosts': { type: 'file', data: '127.0.0.1 localhost\n10.9.0.1 web.example web\n' } } as const;

/** Answers every request with its path. */
const httpd: Program = function* (argv): Body {
  yield* serve({ family: 'inet', address: '0.0.0.0', port: Number(argv[1]) }, function* (exchange) {
    if (exchange.path === '/missing') yield* reply(exchange, 404, 'no such thing\n');
    else yield* reply(exchange, 200, `you asked for ${exchange.path} of ${exchange.headers.host}, sent ${exchange.body || 'nothing'}\n`);
  });
};

const out = (lines: string[]) => runCommands(lines, { programs: { httpd }, tree: HOSTS, network: { address: '10.9.0.1/24' } }).map((o) => `${o.stdout}${o.stderr}[${o.exit}]`);

test('ss, curl, wget and nc on a server of this machine', () => {
  const all = out([
    'sh -c "httpd 8080 &; sleep 0.1"', 'ss -tln', 'curl -s http://127.0.0.1:8080/a', 'curl -s -d x=1 web:8080/b', 'curl -s -f http://web:8080/missing', 'curl http://web:81/',
    'curl https://web/', 'curl http://nosuch/', 'curl -m 2 http://10.9.0.77/', 'wget -qO- http://web:8080/c', 'wget -q http://web:81/', 'nc -zv 127.0.0.1 8080', 'nc -zv 127.0.0.1 81', 'nc -w 2 -z 10.77.0.1 80',
  ]);
  expect(all.slice(1)).toEqual([
    'State  Recv-Q Send-Q Local Address:Port Peer Address:Port\nLISTEN 0      128          0.0.0.0:8080      0.0.0.0:*          \n[0]'.replace('*          \n', '*   \n'),
    'you asked for /a of 127.0.0.1:8080, sent nothing\n[0]', 'you asked for /b of web:8080, sent x=1\n[0]', '[22]',
    'curl: (7) Failed to connect to web port 81 after 0 ms: Could not connect to server\n[7]', 'curl: (35) not modelled: TLS\n[35]', 'curl: (6) Could not resolve host: nosuch\n[6]', 'curl: (28) Connection timed out after 2000 milliseconds\n[28]',
    'you asked for /c of web:8080, sent nothing\n[0]', '[4]', 'Connection to 127.0.0.1 8080 port [tcp/http-alt] succeeded!\n[0]',
    'nc: connect to 127.0.0.1 port 81 (tcp) failed: Connection refused\n[1]', '[1]',
  ]);
});

test('names come from /etc/hosts; ping says what it cannot reach', () => {
  const all = out(['getent hosts web', 'getent hosts nosuch', 'ping -c 1 web', 'ping -c 1 nosuch', 'ping -c 1 -W 5 10.9.0.77', 'ping -c 1 10.77.0.1', 'ping']);
  expect(all.map((o) => o.replace(/time=[\d.]+ ms|rtt .*/g, 'T'))).toEqual([
    '10.9.0.1        web.example web\n[0]', '[2]',
    'PING web (10.9.0.1) 56(84) bytes of data.\n64 bytes from web (10.9.0.1): icmp_seq=1 ttl=64 T\n\n--- web ping statistics ---\n1 packets transmitted, 1 received, 0% packet loss, time 0ms\nT\n[0]',
    'ping: nosuch: Temporary failure in name resolution\n[2]',
    'PING 10.9.0.77 (10.9.0.77) 56(84) bytes of data.\nFrom 10.9.0.1 icmp_seq=1 Destination Host Unreachable\n\n--- 10.9.0.77 ping statistics ---\n1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 0ms\n\n[1]',
    'ping: connect: Network is unreachable\n[2]', 'ping: usage error: Destination address required\n[2]',
  ]);
});

/** A name server that knows one name. */
const dnsd: Program = function* (): Body {
  const fd = yield* sys('socket', AF_INET, SOCK_DGRAM, 0);
  yield* sys('bind', fd, { family: 'inet', address: '0.0.0.0', port: 53 });
  for (;;) {
    const { data, from } = yield* sys('recvfrom', fd, 512);
    const known = queryName(data) === 'svc.lab.example';
    yield* sys('sendto', fd, encodeAnswer(data, known ? 0 : 3, known ? ['10.9.0.1', '10.9.0.7'] : []), from);
  }
};

test('names come from a name server over UDP, with search domains; an unknown one is told from no server at all', () => {
  const tree = { ...HOSTS, '/etc/resolv.conf': { type: 'file', data: 'nameserver 10.9.0.1\nsearch lab.example\noptions timeout:1 attempts:1\n' } } as const;
  const all = runCommands(['nslookup svc', 'getent hosts svc', 'sh -c "dnsd &; sleep 0.1"', 'getent hosts svc', 'nslookup svc', 'nslookup nosuch', 'ping -c 1 nosuch', 'ping -q -c 1 svc', 'curl http://nosuch/'], {
    programs: { dnsd }, tree, network: { address: '10.9.0.1/24' },
  }).map((o) => `${o.stdout}${o.stderr}[${o.exit}]`.replace(/rtt .*/, 'rtt'));
  expect(all).toEqual([
    `${';; communications error to 10.9.0.1#53: connection refused\n'.repeat(3)};; no servers could be reached\n\n[1]`, '[2]', '[0]', '10.9.0.1        svc\n[0]',
    'Server:\t\t10.9.0.1\nAddress:\t10.9.0.1#53\n\nNon-authoritative answer:\nName:\tsvc.lab.example\nAddress: 10.9.0.1\nName:\tsvc.lab.example\nAddress: 10.9.0.7\n\n[0]',
    "Server:\t\t10.9.0.1\nAddress:\t10.9.0.1#53\n\n** server can't find nosuch: NXDOMAIN\n\n[1]", 'ping: nosuch: Name or service not known\n[2]',
    'PING svc (10.9.0.1) 56(84) bytes of data.\n\n--- svc ping statistics ---\n1 packets transmitted, 1 received, 0% packet loss, time 0ms\nrtt\n[0]', 'curl: (6) Could not resolve host: nosuch\n[6]',
  ]);
});

test('tcpdump sees what passes a link; sysctl reads and writes parameters', () => {
  const all = out(['sh -c "tcpdump -n -i lo -c 2 icmp &; sleep 0.1; ping -c 1 127.0.0.1; sleep 0.1"', 'sysctl net.ipv4.ip_forward', 'sysctl -w net.ipv4.ip_forward=1', 'sysctl -n net.ipv4.ip_forward', 'sysctl no.such']);
  expect(all[0]).toMatch(/IP 127\.0\.0\.1 > 127\.0\.0\.1: ICMP echo request, id \d+, seq \d, length 64\n\S+ IP 127\.0\.0\.1 > 127\.0\.0\.1: ICMP echo reply/);
  expect(all.slice(1)).toEqual(['net.ipv4.ip_forward = 0\n[0]', 'net.ipv4.ip_forward = 1\n[0]', '1\n[0]', 'sysctl: cannot stat /proc/sys/no/such: No such file or directory\n[1]']);
});

test('traceroute names every router on the way; ss and netstat name who listens', () => {
  const all = out([
    'ip netns add r; ip netns add far; ip link add a type veth peer name b netns r; ip addr add 10.1.0.1/24 dev a; ip link set a up',
    'ip -n r addr add 10.1.0.2/24 dev b; ip -n r link set b up; ip -n r link add c type veth peer name d netns far; ip -n r addr add 10.2.0.1/24 dev c; ip -n r link set c up',
    'ip -n far addr add 10.2.0.2/24 dev d; ip -n far link set d up; ip -n far route add default via 10.2.0.1; ip route add 10.2.0.0/24 via 10.1.0.2',
    'traceroute -n -q 1 10.2.0.2', 'ip netns exec r sysctl -w net.ipv4.ip_forward=1', 'traceroute -n -q 1 10.2.0.2', 'traceroute -n -q 1 10.2.0.9',
    'sh -c "httpd 8080 &; sleep 0.1"', 'ss -tlnp', 'netstat -tlnp',
  ]).map((o) => o.replace(/[\d.]+ ms/g, 'T').replace(/pid=\d+/, 'pid=N').replace(/ \d+\/httpd +/, ' N/httpd'));
  expect(all.slice(3)).toEqual([
    `traceroute to 10.2.0.2 (10.2.0.2), 30 hops max, 60 byte packets\n${Array.from({ length: 30 }, (_, i) => `${String(i + 1).padStart(2)}  *\n`).join('')}[0]`,
    'net.ipv4.ip_forward = 1\n[0]', 'traceroute to 10.2.0.2 (10.2.0.2), 30 hops max, 60 byte packets\n 1  10.1.0.2  T\n 2  10.2.0.2  T\n[0]',
    'traceroute to 10.2.0.9 (10.2.0.9), 30 hops max, 60 byte packets\n 1  10.1.0.2  T\n 2  10.1.0.2  T !H\n[0]', '[0]',
    'State  Recv-Q Send-Q Local Address:Port Peer Address:PortProcess                       \n'.concat('LISTEN 0      128          0.0.0.0:8080      0.0.0.0:*    users:(("httpd",pid=N,fd=3))\n[0]'),
    'Active Internet connections (only servers)\nProto Recv-Q Send-Q Local Address           Foreign Address         State       PID/Program name    \ntcp        0      0 0.0.0.0:8080            0.0.0.0:*               LISTEN      N/httpd\n[0]',
  ]);
});

test('iptables takes and gives back what it is told, quoted and in its order', () => {
  const rules = [
    '-A FORWARD -s 10.0.0.0/8 ! -d 10.1.0.0/16 -i eth+ ! -o br0 -p tcp -m tcp --sport 1024:65535 --dport 80 -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT',
    '-A FORWARD -p udp -m multiport --dports 53,67:68 -m comment --comment "names and leases" -j REJECT --reject-with icmp-port-unreachable',
    '-A FORWARD -m statistic --mode random --probability 0.50000000000 -j DROP',
  ];
  const all = out([...rules.map((rule) => `iptables ${rule}`), 'iptables -S FORWARD', 'iptables -C FORWARD -m statistic --mode random --probability 0.5 -j DROP', 'iptables -D FORWARD 2', 'iptables -L FORWARD -n --line-numbers', 'iptables -I FORWARD 9 -j DROP']);
  expect(all.slice(3)).toEqual([
    `-P FORWARD ACCEPT\n${rules.map((rule) => `${rule}\n`).join('')}[0]`, '[0]', '[0]',
    'Chain FORWARD (policy ACCEPT)\nnum  target     prot opt source               destination         \n1    ACCEPT     tcp  --  10.0.0.0/8          !10.1.0.0/16          tcp spts:1024:65535 dpt:80 ctstate NEW,ESTABLISHED\n2    DROP       all  --  0.0.0.0/0            0.0.0.0/0            statistic mode random probability 0.50000000000\n[0]',
    'iptables: Index of insertion too big.\n[1]',
  ]);
});
