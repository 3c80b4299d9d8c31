/** DNS messages as a server writes them: a question's answer with its sections. Source: RFC 1035, 2782 (SRV), 2308 (negative answers). */
import { bytes } from '../../../sim/text.ts';
import { nameAt } from '../../net/dns.ts';

export const TYPE = { A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, TXT: 16, AAAA: 28, SRV: 33, ANY: 255 } as const;
export const CODE = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;

export interface Record {
  name: string;
  type: number;
  ttl: number;
  data: Uint8Array;
}

export interface Question {
  id: number;
  /** Lower case, with a dot at its end. */
  name: string;
  /** As it was asked. */
  asked: string;
  type: number;
  recursion: boolean;
  /** Bytes of the question section. */
  section: Uint8Array;
}

export interface Reply {
  code: number;
  authoritative: boolean;
  answers: Record[];
  authority: Record[];
  additional: Record[];
}

const word = (n: number): number[] => [(n >> 8) & 255, n & 255];
const long = (n: number): number[] => [(n >>> 24) & 255, (n >>> 16) & 255, (n >>> 8) & 255, n & 255];

/** A name as labels, without compression. */
export function labels(name: string): number[] {
  const out: number[] = [];
  for (const label of name.replace(/\.$/, '').split('.')) if (label !== '') out.push(Math.min(63, label.length), ...bytes(label.slice(0, 63)));
  return [...out, 0];
}

export const address = (name: string, ip: string, ttl: number): Record => ({ name, type: TYPE.A, ttl, data: Uint8Array.from(ip.split('.').map(Number)) });
export const pointer = (name: string, to: string, ttl: number, type: number = TYPE.PTR): Record => ({ name, type, ttl, data: Uint8Array.from(labels(to)) });
export const service = (name: string, weight: number, port: number, target: string, ttl: number): Record => ({ name, type: TYPE.SRV, ttl, data: Uint8Array.from([...word(0), ...word(weight), ...word(port), ...labels(target)]) });
export const text = (name: string, value: string, ttl: number): Record => ({ name, type: TYPE.TXT, ttl, data: Uint8Array.from([value.length, ...bytes(value)]) });
export const authority = (zone: string, serial: number, ttl: number): Record => ({
  name: zone, type: TYPE.SOA, ttl, data: Uint8Array.from([...labels(`ns.dns.${zone}`), ...labels(`hostmaster.${zone}`), ...long(serial), ...long(7200), ...long(1800), ...long(86400), ...long(ttl)]),
});

/** What is asked; null for what is no question. */
export function readQuestion(data: Uint8Array): Question | null {
  if (data.length < 17 || (data[2]! & 0x80) !== 0 || ((data[4]! << 8) | data[5]!) !== 1) return null;
  const [asked, end] = nameAt(data, 12);
  if (end + 4 > data.length) return null;
  return { id: (data[0]! << 8) | data[1]!, name: asked.toLowerCase(), asked, type: (data[end]! << 8) | data[end + 1]!, recursion: (data[2]! & 1) !== 0, section: data.slice(12, end + 4) };
}

const MOST = 512;

/** The message; over udp no longer than 512 bytes, cut at a record (TC). */
export function writeReply(q: Question, r: Reply, udp: boolean): Uint8Array {
  const name = (n: string): number[] => (n === q.name ? [0xc0, 12] : labels(n));
  const bytesOf = (x: Record): number[] => [...name(x.name), ...word(x.type), ...word(1), ...long(x.ttl), ...word(x.data.length), ...x.data];
  const sections = [r.answers, r.authority, r.additional].map((s) => s.map(bytesOf));
  let size = 12 + q.section.length;
  let cut = false;
  const kept = sections.map((s, i) => s.filter((one) => {
    if (cut || (udp && size + one.length > MOST)) {
      if (i < 2) cut = true;
      return false;
    }
    size += one.length;
    return true;
  }));
  const flags = 0x8000 | (r.authoritative ? 0x0400 : 0) | (cut ? 0x0200 : 0) | (q.recursion ? 0x0100 : 0) | (r.authoritative ? 0 : 0x0080) | r.code;
  return Uint8Array.from([...word(q.id), ...word(flags), ...word(1), ...kept.flatMap((s) => word(s.length)), ...q.section, ...kept.flat(2)]);
}
