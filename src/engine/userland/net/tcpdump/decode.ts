/** A frame taken apart: offsets of its headers, and the fields that filters and lines need. Source: pcap-filter(7), the protocols' RFCs. */
import { ipText } from '../addresses.ts';

export interface Decoded {
  /** From the Ethernet header on; without one (cooked) it is empty. */
  data: Uint8Array;
  /** Of the whole frame on the wire. */
  length: number;
  from: string;
  to: string;
  vlan: number | null;
  ethertype: number;
  /** Offset of the network header. */
  net: number;
  ip: null | { src: string; dst: string; proto: number; ttl: number; tos: number; ident: number; flags: number; offset: number; total: number; header: number };
  arp: null | { op: number; src: string; dst: string; sender: string; target: string };
  /** Offset of the transport header; of a later fragment none. */
  transport: number;
  sport: number | null;
  dport: number | null;
}

export const u16 = (data: Uint8Array, at: number): number => (data[at] ?? 0) * 256 + (data[at + 1] ?? 0);
export const u32 = (data: Uint8Array, at: number): number => u16(data, at) * 65536 + u16(data, at + 2);
export const macText = (data: Uint8Array, at: number): string => [...data.subarray(at, at + 6)].map((b) => b.toString(16).padStart(2, '0')).join(':');

export function decode(data: Uint8Array, length: number): Decoded {
  let net = 14;
  let ethertype = u16(data, 12);
  let vlan: number | null = null;
  if (ethertype === 0x8100) {
    vlan = u16(data, 14) & 4095;
    ethertype = u16(data, 16);
    net = 18;
  }
  const out: Decoded = { data, length, from: macText(data, 6), to: macText(data, 0), vlan, ethertype, net, ip: null, arp: null, transport: data.length, sport: null, dport: null };
  if (ethertype === 0x0806) {
    out.arp = { op: u16(data, net + 6), sender: macText(data, net + 8), src: ipText(u32(data, net + 14)), target: macText(data, net + 18), dst: ipText(u32(data, net + 24)) };
  }
  if (ethertype !== 0x0800) return out;
  const header = (data[net]! & 15) * 4;
  const word = u16(data, net + 6);
  out.ip = {
    src: ipText(u32(data, net + 12)), dst: ipText(u32(data, net + 16)), proto: data[net + 9]!, ttl: data[net + 8]!, tos: data[net + 1]!, ident: u16(data, net + 4),
    flags: word >> 13, offset: (word & 8191) * 8, total: u16(data, net + 2), header,
  };
  out.transport = net + header;
  if ((out.ip.proto === 6 || out.ip.proto === 17) && out.ip.offset === 0) {
    out.sport = u16(data, out.transport);
    out.dport = u16(data, out.transport + 2);
  }
  return out;
}
