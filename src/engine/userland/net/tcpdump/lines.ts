/** A frame as tcpdump prints it. Source: tcpdump 4.99's print-ip.c, print-tcp.c, print-udp.c, print-icmp.c, print-arp.c, print-domain.c. */
import { ipText } from '../addresses.ts';
import { nameAt } from '../dns.ts';
import { serviceName } from '../services.ts';
import { decode, type Decoded, u16, u32 } from './decode.ts';

export interface Style {
  /** -n: 0 names of hosts and ports, 1 numbers. */
  numeric: boolean;
  verbose: number;
  quiet: boolean;
  link: boolean;
  /** -S. */
  absolute: boolean;
  /** Where each direction of a connection began: "src.port>dst.port" to sequence number. */
  flows: Map<string, number>;
  hostname(address: string): string;
}

const PROTOCOLS: Readonly<Record<number, string>> = { 1: 'ICMP', 2: 'IGMP', 6: 'TCP', 17: 'UDP', 47: 'GRE' };

function port(style: Style, n: number, proto: 'tcp' | 'udp'): string {
  return (style.numeric ? null : serviceName(n, proto)) ?? String(n);
}

/** "IP 10.0.0.1.80 > …" with -v's parentheses. `ethertype` is said by -e instead of "IP". */
export function frameText(frame: Decoded, style: Style): string {
  const head = style.link ? linkText(frame) : '';
  if (frame.arp) return `${head}${head ? '' : 'ARP, '}${arpText(frame, style)}`;
  if (!frame.ip) return `${head}[|${frame.ethertype.toString(16)}]`;
  return `${head}${ipLine(frame, style, head !== '' ? '' : 'IP ')}`;
}

function linkText({ from, to, ethertype, vlan, length }: Decoded): string {
  const names: Record<number, string> = { 0x800: 'IPv4 (0x0800)', 0x806: 'ARP (0x0806)', 0x86dd: 'IPv6 (0x86dd)' };
  const name = names[ethertype] ?? `Unknown (0x${ethertype.toString(16).padStart(4, '0')})`;
  if (vlan !== null) return `${from} > ${to}, ethertype 802.1Q (0x8100), length ${length}: vlan ${vlan}, p 0, ethertype ${name}, `;
  return `${from} > ${to}, ethertype ${name}, length ${length}: `;
}

function arpText(frame: Decoded, style: Style): string {
  const { op, src, dst, sender, target } = frame.arp!;
  const name = (address: string): string => style.hostname(address);
  const known = target !== '00:00:00:00:00:00' ? ` (${target})` : '';
  const detail = style.verbose > 0 ? 'Ethernet (len 6), IPv4 (len 4), ' : '';
  const length = frame.length - frame.net;
  if (op === 1) return `${detail}Request who-has ${name(dst)}${known} tell ${name(src)}, length ${length}`;
  return `${detail}Reply ${name(src)} is-at ${sender}, length ${length}`;
}

function ipLine(frame: Decoded, style: Style, label: string): string {
  const { src, dst, proto, ttl, tos, ident, flags, offset, total } = frame.ip!;
  const marks = [flags & 2 ? 'DF' : '', flags & 1 ? '+' : ''].filter(Boolean).join(', ') || 'none';
  const about = style.verbose > 0 ? `(tos 0x${tos.toString(16)}, ttl ${ttl}, id ${ident}, offset ${offset}, flags [${marks}], proto ${PROTOCOLS[proto] ?? 'unknown'} (${proto}), length ${total})\n    ` : '';
  const name = (address: string): string => style.hostname(address);
  if (offset > 0) return `${label}${about}${name(src)} > ${name(dst)}: ${(PROTOCOLS[proto] ?? 'ip-proto').toLowerCase()}`;
  if (proto === 6 || proto === 17) {
    const kind = proto === 6 ? 'tcp' : 'udp';
    const ends = `${name(src)}.${port(style, frame.sport!, kind)} > ${name(dst)}.${port(style, frame.dport!, kind)}: `;
    return `${label}${about}${ends}${proto === 6 ? tcpText(frame, style) : udpText(frame, style)}`;
  }
  return `${label}${about}${name(src)} > ${name(dst)}: ${proto === 1 ? icmpText(frame, style) : ` ip-proto-${proto} ${total - 20}`}`;
}

const BITS: readonly [number, string][] = [[1, 'F'], [2, 'S'], [4, 'R'], [8, 'P'], [16, '.'], [32, 'U'], [64, 'E'], [128, 'W']];
const APPLICATIONS: Readonly<Record<number, string>> = { 80: 'HTTP', 8080: 'HTTP', 3128: 'HTTP', 6379: 'RESP', 25: 'SMTP', 21: 'FTP', 443: '' };

/** What the beginning of HTTP says after its length. */
function application(frame: Decoded, at: number, length: number): string {
  const known = APPLICATIONS[frame.sport!] ?? APPLICATIONS[frame.dport!] ?? '';
  if (known === '' || length === 0) return '';
  if (known !== 'HTTP') return `: ${known}`;
  const first = String.fromCharCode(...frame.data.subarray(at, at + 120)).split(/\r?\n/)[0]!;
  return /^(GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|CONNECT|TRACE|HTTP\/)/.test(first) ? `: HTTP: ${first}` : ': HTTP';
}

function tcpOptions(data: Uint8Array, from: number, to: number): string {
  const out: string[] = [];
  for (let at = from; at < to; ) {
    const kind = data[at]!;
    if (kind === 0) {
      out.push('eol');
      break;
    }
    if (kind === 1) {
      out.push('nop');
      at++;
      continue;
    }
    if (kind === 2) out.push(`mss ${u16(data, at + 2)}`);
    else if (kind === 3) out.push(`wscale ${data[at + 2]}`);
    else if (kind === 4) out.push('sackOK');
    else if (kind === 8) out.push(`TS val ${u32(data, at + 2)} ecr ${u32(data, at + 6)}`);
    else out.push(`unknown-${kind}`);
    at += Math.max(2, data[at + 1] ?? 2);
  }
  return out.length > 0 ? `, options [${out.join(',')}]` : '';
}

/** Numbers from the beginning of the connection, which is the first acknowledging segment that was seen: that one and what acknowledges nothing are shown as they are. */
function relative(frame: Decoded, { flows }: Style, seq: number, ack: number, bits: number): [number, number] {
  if (!(bits & 16)) return [seq, ack];
  const { src, dst } = frame.ip!;
  const here = `${src}.${frame.sport}>${dst}.${frame.dport}`;
  const back = `${dst}.${frame.dport}>${src}.${frame.sport}`;
  const less = (a: number, b: number): number => (a - b + 2 ** 32) % 2 ** 32;
  const from = flows.get(here);
  const to = flows.get(back);
  if (from === undefined || to === undefined || bits & 2) {
    flows.set(here, seq);
    flows.set(back, less(ack, 1));
    return [seq, ack];
  }
  return [less(seq, from), less(ack, to)];
}

function tcpText(frame: Decoded, style: Style): string {
  const { data, transport: at, ip } = frame;
  const header = (data[at + 12]! >> 4) * 4;
  const length = ip!.total - ip!.header - header;
  if (style.quiet) return `tcp ${length}`;
  const bits = data[at + 13]!;
  const flags = BITS.filter(([bit]) => bits & bit).map(([, letter]) => letter).join('') || 'none';
  const [seq, ack] = [u32(data, at + 4), u32(data, at + 8)];
  const [first, acknowledged] = style.absolute ? [seq, ack] : relative(frame, style, seq, ack, bits);
  const sequence = length > 0 ? `, seq ${first}:${(first + length) % 2 ** 32}` : bits & 7 || style.verbose > 1 ? `, seq ${first}` : '';
  const sum = style.verbose > 0 ? `, cksum 0x${u16(data, at + 16).toString(16).padStart(4, '0')} (correct)` : '';
  const acked = bits & 16 ? `, ack ${acknowledged}` : '';
  return `Flags [${flags}]${sum}${sequence}${acked}, win ${u16(data, at + 14)}${tcpOptions(data, at + 20, at + header)}, length ${length}${application(frame, at + header, length)}`;
}

function udpText(frame: Decoded, style: Style): string {
  const { data, transport: at } = frame;
  const length = u16(data, at + 4) - 8;
  const sum = style.verbose > 1 && u16(data, at + 6) !== 0 ? '[udp sum ok] ' : '';
  if (frame.sport === 53 || frame.dport === 53) return `${sum}${dnsText(data.subarray(at + 8, at + 8 + length), length)}`;
  if (frame.dport === 4789) return vxlanText(data.subarray(at + 8), style);
  return style.quiet ? `UDP, length ${length}` : `${sum}UDP, length ${length}`;
}

function vxlanText(data: Uint8Array, style: Style): string {
  const inside = data.subarray(8);
  const vni = data[4]! * 65536 + data[5]! * 256 + data[6]!;
  const frame = decode(inside, inside.length);
  return `VXLAN, flags [I] (0x08), vni ${vni}\n${frameText(frame, style)}`;
}

const TYPES: Readonly<Record<number, string>> = { 1: 'A', 2: 'NS', 5: 'CNAME', 6: 'SOA', 12: 'PTR', 15: 'MX', 16: 'TXT', 28: 'AAAA', 33: 'SRV', 255: 'ANY', 65: 'HTTPS' };
const CODES: readonly string[] = ['', ' FormErr', ' ServFail', ' NXDomain', ' NotImp', ' Refused'];

function dnsText(data: Uint8Array, length: number): string {
  if (data.length < 12) return `domain [length ${length} < 12] (invalid)`;
  const flags = u16(data, 2);
  const id = u16(data, 0);
  const [name, after] = nameAt(data, 12);
  const type = TYPES[u16(data, after)] ?? `Type${u16(data, after)}`;
  if ((flags & 0x8000) === 0) {
    const more = u16(data, 10) > 0 ? ` [${u16(data, 10)}au]` : '';
    return `${id}${flags & 0x100 ? '+' : ''}${more} ${type}? ${name} (${length})`;
  }
  const answers: string[] = [];
  for (let i = 0, at = after + 4; i < u16(data, 6) && at < data.length; i++) {
    const [, end] = nameAt(data, at);
    const size = u16(data, end + 8);
    const kind = u16(data, end);
    const label = TYPES[kind] ?? `Type${kind}`;
    answers.push(kind === 1 ? `A ${ipText(u32(data, end + 10))}` : kind === 12 || kind === 5 || kind === 2 ? `${label} ${nameAt(data, end + 10)[0]}` : label);
    at = end + 10 + size;
  }
  const code = CODES[flags & 15] ?? '';
  const marks = `${flags & 0x400 ? '*' : ''}${flags & 0x80 ? '' : '-'}`;
  return `${id}${code}${marks} ${u16(data, 6)}/${u16(data, 8)}/${u16(data, 10)}${answers.length > 0 ? ` ${answers.join(', ')}` : ''} (${length})`;
}

function icmpText(frame: Decoded, style: Style): string {
  const { data, transport: at, ip } = frame;
  const length = ip!.total - ip!.header;
  const [type, code] = [data[at]!, data[at + 1]!];
  if (type === 8 || type === 0) return `ICMP echo ${type === 8 ? 'request' : 'reply'}, id ${u16(data, at + 4)}, seq ${u16(data, at + 6)}, length ${length}`;
  const inner = at + 8;
  const dst = style.hostname(ipText(u32(data, inner + 16)));
  const kind = data[inner + 9]!;
  const dport = u16(data, inner + 20 + 2);
  const texts: Record<string, string> = {
    '3/0': `net ${dst} unreachable`, '3/1': `host ${dst} unreachable`, '3/2': `${dst} protocol ${kind} unreachable`, '3/4': `${dst} unreachable - need to frag (mtu ${u16(data, at + 6)})`,
    '3/3': `${dst} ${kind === 17 ? 'udp' : 'tcp'} port ${port(style, dport, kind === 17 ? 'udp' : 'tcp')} unreachable`, '3/9': `net ${dst} unreachable - admin prohibited`,
    '3/10': `host ${dst} unreachable - admin prohibited`, '3/13': `host ${dst} unreachable - admin prohibited filter`, '11/0': 'time exceeded in-transit', '11/1': 'ip reassembly time exceeded',
  };
  const text = `ICMP ${texts[`${type}/${code}`] ?? `type-#${type}`}, length ${length}`;
  if (style.verbose === 0 || (type !== 3 && type !== 11)) return text;
  const quoted = decode(Uint8Array.from([...data.subarray(0, frame.net), ...data.subarray(inner)]), 0);
  return `${text}\n\t${ipLine({ ...quoted, length: 0 }, style, 'IP ').replace(/\n {4}/, '\n    ')}`;
}

/** -x and -X: sixteen bytes a line. */
export function hexText(data: Uint8Array, ascii: boolean): string {
  let out = '';
  for (let at = 0; at < data.length; at += 16) {
    const row = [...data.subarray(at, at + 16)];
    const words: string[] = [];
    for (let i = 0; i < row.length; i += 2) words.push(row.slice(i, i + 2).map((b) => b.toString(16).padStart(2, '0')).join(''));
    const left = `\n\t0x${at.toString(16).padStart(4, '0')}:  ${words.join(' ')}`;
    out += ascii ? `${left.padEnd(50)}  ${row.map((b) => (b > 32 && b < 127 ? String.fromCharCode(b) : '.')).join('')}` : left;
  }
  return out;
}

/** -A. */
export function asciiText(data: Uint8Array): string {
  return `\n${[...data].map((b) => (b === 10 || b === 9 || (b >= 32 && b < 127) ? String.fromCharCode(b) : b === 13 ? '' : '.')).join('')}`;
}
