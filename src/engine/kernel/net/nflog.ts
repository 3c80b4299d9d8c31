/** What a LOG rule writes to the kernel's log: the packet as nf_log_syslog tells it. Only the machine's own namespace may, as with nf_log_all_netns=0. */
import { logLine } from '../log.ts';
import type { Kernel } from '../records.ts';
import type { Rule } from './netfilter.ts';
import { linkByName } from './state.ts';
import type { NetNamespace, Packet } from './types.ts';

const FLAGS: readonly [string, string][] = [['U', 'URG'], ['.', 'ACK'], ['P', 'PSH'], ['R', 'RST'], ['S', 'SYN'], ['F', 'FIN']];

export function logPacket(kernel: Kernel, ns: NetNamespace, packet: Packet, rule: Rule, input: string, out: string): void {
  if (ns !== kernel.init.net) return;
  const { level = 4, prefix = '', options = [] } = rule.log ?? {};
  const link = linkByName(ns, input);
  const mac = link && link.kind !== 'loopback' ? `MAC=${link.mac}:${packet.mac ?? '00:00:00:00:00:00'}:08:00 ` : link ? 'MAC=00:00:00:00:00:00:00:00:00:00:00:00:08:00 ' : '';
  const head = `${prefix}IN=${input} OUT=${out} ${mac}SRC=${packet.src} DST=${packet.dst} LEN=${packet.length} TOS=0x00 PREC=0x00 TTL=${packet.ttl} ID=${packet.ident ?? 0} ${packet.df ? 'DF ' : ''}`;
  const uid = options.includes('uid') && packet.uid !== undefined ? ` UID=${packet.uid} GID=${packet.gid ?? 0}` : '';
  const mark = packet.mark ? ` MARK=0x${packet.mark.toString(16)}` : '';
  logLine(kernel, level, `${head}${protocolText(packet, options)}${uid}${mark} `.replace(/ +$/, ' '));
}

function protocolText(packet: Packet, options: readonly string[]): string {
  const { sport, dport, icmp } = packet;
  if (packet.proto === 'tcp') {
    const sequence = options.includes('tcp-sequence') ? ` SEQ=${packet.seq} ACK=${packet.ack}` : '';
    const flags = FLAGS.filter(([letter]) => packet.flags.includes(letter)).map(([, name]) => `${name} `).join('');
    return `PROTO=TCP SPT=${sport} DPT=${dport}${sequence} WINDOW=${packet.window} RES=0x00 ${flags}URGP=0`;
  }
  if (packet.proto === 'udp') return `PROTO=UDP SPT=${sport} DPT=${dport} LEN=${packet.length - 20}`;
  const echo = icmp && (icmp.type === 8 || icmp.type === 0) ? ` ID=${sport} SEQ=${icmp.seq}` : '';
  return `PROTO=ICMP TYPE=${icmp?.type ?? 0} CODE=${icmp?.code ?? 0}${echo}`;
}
