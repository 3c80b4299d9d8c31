/** Well-known ports and protocols by name, as /etc/services and /etc/protocols have them. A row a service: name, port, protocols. */
const TABLE = `echo 7 tcp udp
discard 9 tcp udp
daytime 13 tcp udp
ftp-data 20 tcp
ftp 21 tcp
ssh 22 tcp
telnet 23 tcp
smtp 25 tcp
time 37 tcp udp
domain 53 tcp udp
bootps 67 udp
bootpc 68 udp
tftp 69 udp
gopher 70 tcp
finger 79 tcp
http 80 tcp
kerberos 88 tcp udp
pop3 110 tcp
sunrpc 111 tcp udp
ntp 123 udp
imap2 143 tcp
snmp 161 tcp udp
snmp-trap 162 tcp udp
bgp 179 tcp
ldap 389 tcp udp
https 443 tcp udp
microsoft-ds 445 tcp udp
syslog 514 udp
submission 587 tcp
ldaps 636 tcp udp
imaps 993 tcp
pop3s 995 tcp
socks 1080 tcp
openvpn 1194 tcp udp
ms-sql-s 1433 tcp
nfs 2049 tcp udp
mysql 3306 tcp
postgresql 5432 tcp
amqp 5672 tcp udp
x11 6000 tcp
redis 6379 tcp
http-alt 8080 tcp udp`;

const rows = TABLE.split('\n').map((line) => line.split(' '));
const NAMES = new Map(rows.flatMap(([name, port, ...protocols]) => protocols.map((proto) => [`${proto}/${port}`, name!] as const)));
const PORTS = new Map(rows.flatMap(([name, port, ...protocols]) => protocols.map((proto) => [`${proto}/${name}`, Number(port)] as const)));

export function serviceName(port: number, proto: string): string | null {
  return NAMES.get(`${proto}/${port}`) ?? null;
}

export function servicePort(name: string, proto: string): number | null {
  return PORTS.get(`${proto}/${name}`) ?? null;
}

export const PROTOCOLS: Readonly<Record<string, number>> = {
  icmp: 1, igmp: 2, ipencap: 4, tcp: 6, udp: 17, dccp: 33, ipv6: 41, gre: 47, esp: 50, ah: 51, 'ipv6-icmp': 58, ospf: 89, sctp: 132, udplite: 136,
};
