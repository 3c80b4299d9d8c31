/** Packets as the bytes that they are on a wire: Ethernet, 802.1Q, ARP, IPv4, ICMP, UDP, TCP with its options, VXLAN. What packet sockets get. Source: RFC 791, 792, 768, 9293, 7348. */
import { encode as icmpBytes } from './icmp.ts';
import { parseIp } from './ip.ts';
import type { Packet } from './types.ts';

/** Window scale that both ends of every connection agree on. */
const WSCALE = 7;
const NUMBERS: Readonly<Record<Packet['proto'], number>> = { icmp: 1, tcp: 6, udp: 17, arp: 0 };
const FLAGS: readonly [string, number][] = [['F', 1], ['S', 2], ['R', 4], ['P', 8], ['.', 16]];

const put = (out: number[], value: number, size: number): void => {
  for (let i = size - 1; i >= 0; i--) out.push(Math.floor(value / 2 ** (8 * i)) % 256);
};
const macBytes = (mac: string): number[] => (mac === '' ? [0, 0, 0, 0, 0, 0] : mac.split(':').map((part) => Number.parseInt(part, 16)));

function sum(parts: readonly ArrayLike<number>[]): number {
  let total = 0;
  for (const part of parts) for (let i = 0; i < part.length; i += 2) total += part[i]! * 256 + (part[i + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 65536);
  return ~total & 0xffff;
}

function tcpHeader(packet: Packet): number[] {
  const { isn = 0, peerIsn = 0, flags, ts, mss } = packet;
  const syn = flags.includes('S');
  const options: number[] = [];
  if (syn) options.push(2, 4, ((mss ?? 536) >> 8) & 255, (mss ?? 536) & 255, 4, 2);
  else if (ts) options.push(1, 1);
  if (ts) {
    options.push(8, 10);
    put(options, ts[0] % 2 ** 32, 4);
    put(options, ts[1] % 2 ** 32, 4);
  }
  if (syn) options.push(1, 3, 3, WSCALE);
  const out: number[] = [];
  put(out, packet.sport, 2);
  put(out, packet.dport, 2);
  put(out, (packet.seq + isn) % 2 ** 32, 4);
  put(out, flags.includes('.') ? (packet.ack + peerIsn) % 2 ** 32 : 0, 4);
  out.push((5 + options.length / 4) * 16, FLAGS.reduce((bits, [letter, bit]) => bits + (flags.includes(letter) ? bit : 0), 0));
  put(out, syn ? packet.window : Math.min(65535, Math.floor(packet.window / 2 ** WSCALE)), 2);
  put(out, 0, 4);
  return [...out, ...options];
}

function withChecksum(header: number[], at: number, packet: Packet, body: Uint8Array): number[] {
  const pseudo: number[] = [];
  put(pseudo, parseIp(packet.src) ?? 0, 4);
  put(pseudo, parseIp(packet.dst) ?? 0, 4);
  put(pseudo, NUMBERS[packet.proto], 2);
  put(pseudo, header.length + body.length, 2);
  const check = sum([pseudo, header, body]);
  header[at] = check >> 8;
  header[at + 1] = check & 255;
  return header;
}

/** What follows the IP header; as much of the data as is kept. */
function payload(packet: Packet): Uint8Array {
  if (packet.proto === 'icmp') return icmpBytes(packet).subarray(20);
  const body = packet.inner ? vxlan(packet.inner) : packet.data;
  const header: number[] = [];
  if (packet.proto === 'udp') {
    put(header, packet.sport, 2);
    put(header, packet.dport, 2);
    put(header, 8 + (packet.inner ? body.length : packet.length - 28), 2);
    put(header, 0, 2);
  } else header.push(...tcpHeader(packet));
  const made = withChecksum(header, packet.proto === 'udp' ? 6 : 16, packet, body);
  const out = new Uint8Array(made.length + body.length);
  out.set(made);
  out.set(body, made.length);
  return out;
}

function vxlan({ vni, from, to, packet }: NonNullable<Packet['inner']>): Uint8Array {
  const frame = frameBytes(packet, from, to);
  const out = new Uint8Array(8 + frame.length);
  out.set([8, 0, 0, 0, (vni >> 16) & 255, (vni >> 8) & 255, vni & 255, 0]);
  out.set(frame, 8);
  return out;
}

function ipBytes(packet: Packet): Uint8Array {
  const { offset = 0, more, whole } = packet;
  const header = [0x45, packet.tos ?? 0];
  put(header, packet.length, 2);
  put(header, packet.ident ?? 0, 2);
  put(header, (packet.df ? 0x4000 : 0) + (more ? 0x2000 : 0) + Math.floor(offset / 8), 2);
  header.push(packet.ttl, NUMBERS[packet.proto], 0, 0);
  put(header, parseIp(packet.src) ?? 0, 4);
  put(header, parseIp(packet.dst) ?? 0, 4);
  const check = sum([header]);
  header[10] = check >> 8;
  header[11] = check & 255;
  const all = payload(whole ? { ...whole, src: packet.src, dst: packet.dst } : packet);
  const body = whole ? all.subarray(offset, offset + packet.length - 20) : all;
  const out = new Uint8Array(20 + body.length);
  out.set(header);
  out.set(body, 20);
  return out;
}

function arpBytes({ src, dst, arp }: Packet): Uint8Array {
  const out = [0, 1, 8, 0, 6, 4, 0, arp!.op, ...macBytes(arp!.sender)];
  put(out, parseIp(src) ?? 0, 4);
  out.push(...macBytes(arp!.target));
  put(out, parseIp(dst) ?? 0, 4);
  return Uint8Array.from(out);
}

/** The Ethernet frame of a packet between two MAC addresses. */
export function frameBytes(packet: Packet, from: string, to: string): Uint8Array {
  const body = packet.proto === 'arp' ? arpBytes(packet) : ipBytes(packet);
  const tag = packet.vlan === undefined ? [] : [0x81, 0, packet.vlan >> 8, packet.vlan & 255];
  const head = [...macBytes(to), ...macBytes(from), ...tag, 8, packet.proto === 'arp' ? 6 : 0];
  const out = new Uint8Array(head.length + body.length);
  out.set(head);
  out.set(body, head.length);
  return out;
}
