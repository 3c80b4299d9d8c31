/** ICMP: the echo that every namespace answers, errors told to sockets, and raw sockets with real headers. Source: icmp(7), raw(7), RFC 792. */
import type { Errno } from '../abi.ts';
import type { Kernel } from '../records.ts';
import { wake } from '../wait.ts';
import { output } from './forward.ts';
import { parseIp } from './ip.ts';
import { socketChannel, ttlOf } from './state.ts';
import type { NetNamespace, Packet, Socket, Tuple } from './types.ts';

const PROTOCOLS: Record<Packet['proto'], number> = { icmp: 1, tcp: 6, udp: 17, arp: 0 };

function checksum(data: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < data.length; i += 2) sum += (data[i]! << 8) | (data[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 65536);
  return ~sum & 0xffff;
}

function put16(data: Uint8Array, at: number, value: number): void {
  data[at] = (value >> 8) & 255;
  data[at + 1] = value & 255;
}

function header(proto: Packet['proto'], src: string, dst: string, ttl: number, length: number): Uint8Array {
  const ip = new Uint8Array(20);
  ip[0] = 0x45;
  put16(ip, 2, length);
  ip[8] = ttl;
  ip[9] = PROTOCOLS[proto];
  for (const [at, address] of [[12, src], [16, dst]] as const) {
    const n = parseIp(address) ?? 0;
    put16(ip, at, Math.floor(n / 65536));
    put16(ip, at + 2, n % 65536);
  }
  put16(ip, 10, checksum(ip));
  return ip;
}

/** An ICMP packet as a raw socket gets it: IP header and all. */
export function encode(packet: Packet): Uint8Array {
  const { icmp } = packet;
  const inner = icmp?.inner ? quoted(icmp.inner, icmp.seq, icmp.about ?? 84) : packet.data;
  const body = new Uint8Array(8 + inner.length);
  body[0] = icmp?.type ?? 0;
  body[1] = icmp?.code ?? 0;
  if (icmp?.inner && icmp.mtu !== undefined) put16(body, 6, icmp.mtu);
  if (!icmp?.inner) {
    put16(body, 4, packet.sport);
    put16(body, 6, icmp?.seq ?? 0);
  }
  body.set(inner, 8);
  put16(body, 2, checksum(body));
  const out = new Uint8Array(20 + body.length);
  out.set(header('icmp', packet.src, packet.dst, packet.ttl, out.length), 0);
  out.set(body, 20);
  return out;
}

/** What an error quotes: the header of the packet that it is about and what followed, as far as its first ports. */
function quoted({ proto, src, dst, sport, dport }: Tuple, seq: number, about: number): Uint8Array {
  const out = new Uint8Array(Math.max(28, Math.min(about, 548)));
  out.set(header(proto, src, dst, 64, about), 0);
  if (proto === 'icmp') {
    out[20] = 8;
    put16(out, 24, sport);
    put16(out, 26, seq);
  } else {
    put16(out, 20, sport);
    put16(out, 22, dport);
    if (proto === 'udp') put16(out, 24, about - 20);
  }
  return out;
}

/** What a raw socket sends: an ICMP message without its IP header. null when it is too short. */
export function decode(data: Uint8Array, src: string, dst: string, ttl: number): Packet | null {
  if (data.length < 8) return null;
  const id = (data[4]! << 8) | data[5]!;
  return {
    proto: 'icmp', src, dst, sport: id, dport: id, ttl, length: 20 + data.length, flags: '', seq: 0, ack: 0, window: 0,
    icmp: { type: data[0]!, code: data[1]!, seq: (data[6]! << 8) | data[7]!, inner: null }, data: data.slice(8),
  };
}

/** An ICMP packet reaches a namespace. `told` hears of an error about one of its sockets. */
export function icmpInput(kernel: Kernel, ns: NetNamespace, packet: Packet, told: (about: Tuple, errno: Errno, mtu: number) => void): void {
  const { icmp } = packet;
  if (!icmp) return;
  for (const socket of ns.raw) giveRaw(kernel, socket, packet);
  if (icmp.type === 8) {
    if (ns.knobs?.get('icmp_echo_ignore_all') === '1') return;
    output(kernel, ns, { ...packet, src: packet.dst, dst: packet.src, ttl: ttlOf(ns), icmp: { ...icmp, type: 0 } }, 'the kernel answers echo');
    return;
  }
  if (!icmp.inner || icmp.type !== 3) return;
  const errno: Errno = icmp.code === 3 ? 'ECONNREFUSED' : icmp.code === 0 ? 'ENETUNREACH' : 'EHOSTUNREACH';
  told(icmp.inner, icmp.code === 4 ? 'EMSGSIZE' : errno, icmp.code === 4 ? (icmp.mtu ?? 0) : 0);
}

const RAW_BUFFER = 212_992;

function giveRaw(kernel: Kernel, socket: Socket, packet: Packet): void {
  const data = encode(packet);
  if (socket.queued + data.length > RAW_BUFFER) return;
  socket.queue.push({ data, files: [], from: { family: 'inet', address: packet.src, port: 0 } });
  socket.queued += data.length;
  wake(kernel, socketChannel(socket));
}

