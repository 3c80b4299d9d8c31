/** /proc/PID/net: the network namespace of a process as tables. Source: proc_pid_net(5). Addresses are little-endian hexadecimal. */
import { parseIp, parsePrefix, maskOf } from '../../net/ip.ts';
import { sortedRoutes } from '../../net/rtroutes.ts';
import { netOf } from '../../net/state.ts';
import type { Link, NetNamespace, Socket, Tuple } from '../../net/types.ts';
import { timeOf } from '../../wait.ts';
import type { Kernel, Task } from '../../records.ts';
import type { SockAddr } from '../../sys.ts';
import { fixed, type Node } from '../pseudo.ts';

function little(n: number): string {
  return [n % 256, Math.floor(n / 256) % 256, Math.floor(n / 65536) % 256, Math.floor(n / 16777216)].map((b) => b.toString(16).toUpperCase().padStart(2, '0')).join('');
}

function devText(ns: NetNamespace): string {
  const head = 'Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n';
  const row = ({ name, stats }: Link): string => {
    const rx = `${String(stats.rxBytes).padStart(7)} ${String(stats.rxPackets).padStart(7)}    0 ${String(stats.rxDropped).padStart(4)}    0     0          0         0`;
    const tx = `${String(stats.txBytes).padStart(8)} ${String(stats.txPackets).padStart(7)}    0 ${String(stats.txDropped).padStart(4)}    0     0       0          0`;
    return `${name.padStart(6)}: ${rx} ${tx}\n`;
  };
  return head + ns.links.map(row).join('');
}

function routeText(ns: NetNamespace): string {
  const head = `${'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT'.padEnd(127)}\n`;
  const rows = sortedRoutes(ns).filter((route) => route.type === 'unicast').map((route) => {
    const { network, prefix } = parsePrefix(route.to)!;
    const flags = 1 | (route.via ? 2 : 0) | (prefix === 32 ? 4 : 0);
    const text = [route.dev, little(network), little(route.via ? parseIp(route.via)! : 0), flags.toString(16).toUpperCase().padStart(4, '0'), 0, 0, route.metric, little(maskOf(prefix)), 0, 0, 0];
    return `${text.join('\t').padEnd(127)}\n`;
  });
  return head + rows.join('');
}

const TCP_STATES: Record<string, string> = {
  ESTAB: '01', 'SYN-SENT': '02', 'SYN-RECV': '03', 'FIN-WAIT-1': '04', 'FIN-WAIT-2': '05', 'TIME-WAIT': '06', CLOSED: '07', 'CLOSE-WAIT': '08', 'LAST-ACK': '09', CLOSING: '0B',
};

function endText(address: SockAddr | null): string {
  if (address?.family !== 'inet') return '00000000:0000';
  return `${little(parseIp(address.address) ?? 0)}:${address.port.toString(16).toUpperCase().padStart(4, '0')}`;
}

function socketsOf(kernel: Kernel, ns: NetNamespace): Socket[] {
  return [...netOf(kernel).sockets.values()].filter((one) => one.ns === ns).sort((a, b) => a.id - b.id);
}

function inetText(kernel: Kernel, ns: NetNamespace, type: 'stream' | 'dgram'): string {
  const head = `${'  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode'.padEnd(149)}\n`;
  const shown = socketsOf(kernel, ns).filter((one) => one.family === 'inet' && one.type === type && (one.local !== null || one.tcb !== null));
  const rows = shown.map((one, i) => {
    const state = one.state === 'listening' ? '0A' : type === 'dgram' ? (one.remote ? '01' : '07') : (TCP_STATES[one.tcb?.state ?? 'CLOSED'] ?? '07');
    const sent = one.tcb ? one.tcb.waiting.length + one.tcb.next - one.tcb.una : 0;
    const queued = one.state === 'listening' ? one.accepting.length : one.tcb ? one.tcb.received.length : one.queued;
    const hex = (n: number): string => n.toString(16).toUpperCase().padStart(8, '0');
    const line = `${String(i).padStart(4)}: ${endText(one.local)} ${endText(one.remote)} ${state} ${hex(sent)}:${hex(queued)} 00:00000000 00000000 ${String(one.cred.uid).padStart(5)}        0 ${one.id} 1 0000000000000000 100 0 0 10 0`;
    return `${line.padEnd(149)}\n`;
  });
  return head + rows.join('');
}

function unixText(kernel: Kernel, ns: NetNamespace): string {
  const types = { stream: 1, dgram: 2, raw: 3, seqpacket: 5 };
  const rows = socketsOf(kernel, ns).filter((one) => one.family === 'unix').map((one) => {
    const listening = one.state === 'listening';
    const path = one.local?.family === 'unix' && one.local.path !== '' ? ` ${one.local.path.replace(/^\0/, '@')}` : '';
    return `0000000000000000: 00000002 00000000 ${listening ? '00010000' : '00000000'} ${String(types[one.type]).padStart(4, '0')} ${one.state === 'connected' ? '03' : '01'} ${String(one.id).padStart(5)}${path}\n`;
  });
  return `Num       RefCount Protocol Flags    Type St Inode Path\n${rows.join('')}`;
}

function arpText(ns: NetNamespace): string {
  const rows = ns.neighbours.map(({ address, dev, mac, state }) => {
    const flags = state === 'PERMANENT' ? '0x6' : mac === '' ? '0x0' : '0x2';
    return `${address.padEnd(16)} 0x1         ${flags.padEnd(10)}  ${(mac || '00:00:00:00:00:00').padEnd(17)}     *        ${dev}\n`;
  });
  return `IP address       HW type     Flags       HW address            Mask     Device\n${rows.join('')}`;
}

function sockstatText(kernel: Kernel, ns: NetNamespace): string {
  const all = socketsOf(kernel, ns);
  const of = (type: Socket['type']): number => all.filter((one) => one.family === 'inet' && one.type === type).length;
  return `sockets: used ${all.length}\nTCP: inuse ${of('stream')} orphan 0 tw 0 alloc ${of('stream')} mem 0\nUDP: inuse ${of('dgram')} mem 0\nRAW: inuse ${of('raw')}\n`;
}

const NUMBERS: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17 };

/** nf_conntrack: one line a connection. */
function conntrackText(kernel: Kernel, ns: NetNamespace): string {
  const now = timeOf(kernel);
  const ends = (t: Tuple, type: number): string => `src=${t.src} dst=${t.dst} ${t.proto === 'icmp' ? `type=${type} code=0 id=${t.sport}` : `sport=${t.sport} dport=${t.dport}`} `;
  const rows = ns.netfilter.connections.all.filter((one) => one.until > now).map((one) => {
    const { orig, reply, replied, state } = one;
    const left = Math.floor((one.until - now) / 1e9);
    const marks = `${replied && orig.proto === 'tcp' ? '[ASSURED] ' : ''}mark=${one.mark} zone=0 use=2`;
    return `ipv4     2 ${orig.proto.padEnd(8)} ${NUMBERS[orig.proto]} ${left} ${state === '' ? '' : `${state} `}${ends(orig, 8)}${replied ? '' : '[UNREPLIED] '}${ends(reply, 0)}${marks}\n`;
  });
  return rows.join('');
}

/** if_inet6: the addresses that the kernel gives. Its scopes are in hexadecimal: 10 host, 20 link. */
function inet6Text(ns: NetNamespace): string {
  const full = (address: string): string => {
    const [head = '', tail = ''] = address.split('::') as [string, string | undefined];
    const words = (part: string): string[] => part.split(':').filter(Boolean).map((word) => word.padStart(4, '0'));
    const [a, b] = [words(head), words(tail)];
    return [...a, ...Array.from({ length: 8 - a.length - b.length }, () => '0000'), ...b].join('');
  };
  const hex = (n: number): string => n.toString(16).padStart(2, '0');
  return ns.links.flatMap((link) => link.addresses.filter((a) => a.family === 'inet6').map((a) =>
    `${full(a.address)} ${hex(link.index)} ${hex(a.prefix)} ${a.scope === 'host' ? '10' : a.scope === 'link' ? '20' : '00'} 80 ${link.name.padStart(8)}\n`)).join('');
}

export function netDir(task: Task): Extract<Node, { kind: 'dir' }> {
  const says = (read: (kernel: Kernel, ns: NetNamespace) => string): Node => ({ kind: 'file', read: (kernel) => read(kernel, task.ns.net) });
  return fixed({
    arp: says((_kernel, ns) => arpText(ns)), dev: says((_kernel, ns) => devText(ns)), route: says((_kernel, ns) => routeText(ns)), sockstat: says(sockstatText), nf_conntrack: says(conntrackText), if_inet6: says((_kernel, ns) => inet6Text(ns)),
    tcp: says((kernel, ns) => inetText(kernel, ns, 'stream')), udp: says((kernel, ns) => inetText(kernel, ns, 'dgram')), unix: says(unixText),
  });
}
