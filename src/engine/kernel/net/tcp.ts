/**
 * TCP without its sockets: one control block an end, a packet in, packets out. Sequence numbers count bytes, SYN and FIN, from 0 (the
 * initial ones, which tcpdump shows, stand beside them); every data segment is acknowledged at once. What is lost is sent again: after
 * three repeated acknowledgements the first hole, after a timeout (that doubles) all of it, as the congestion window (congestion.ts)
 * allows. A packet here may be as long as 64 KiB, as with segmentation offload; `segment` says what it becomes on a wire.
 * Source: RFC 9293, 5681, 6582, 6298, tcp(7), Linux's limits (6 repeats of a SYN, 15 of data). Left out: selective acknowledgement,
 * urgent data, delayed acknowledgement, ECN.
 */
import { MS, SECOND } from '../../sim/units.ts';
import { ByteQueue } from '../queue.ts';
import { ackedMore, createCongestion, type Congestion, lostByTimeout, lostOnce, sampleRtt } from './congestion.ts';
import type { Packet } from './types.ts';

export type TcpState =
  | 'SYN-SENT' | 'SYN-RECV' | 'ESTAB' | 'FIN-WAIT-1' | 'FIN-WAIT-2' | 'CLOSE-WAIT' | 'CLOSING' | 'LAST-ACK' | 'TIME-WAIT' | 'CLOSED';

interface Segment {
  seq: number;
  flags: string;
  data: Uint8Array;
  /** ns of the last sending, how often it was repeated, and whether it has to be. */
  sentAt: number;
  repeats: number;
  lost: boolean;
}

export interface Tcb {
  state: TcpState;
  local: { address: string; port: number };
  remote: { address: string; port: number };
  /** Oldest number not acknowledged, and the next to send. */
  una: number;
  next: number;
  /** The next number expected. */
  expected: number;
  /** Bytes that the other end takes. */
  window: number;
  /** Bytes that this end takes when nothing waits; it grows with what is read. */
  room: number;
  /** Written, not sent: a window is full. */
  waiting: ByteQueue;
  /** Sent, not acknowledged. */
  sent: Segment[];
  /** Arrived in order, not read; and arrived before what comes first. */
  received: ByteQueue;
  early: Packet[];
  /** FIN to be sent when all is written; the other end has sent its. */
  closing: boolean;
  finished: boolean;
  repeats: number;
  rto: number;
  /** ns at which to send again; 0 not running. */
  timer: number;
  /** How it ended, if badly. */
  error: 'ECONNREFUSED' | 'ECONNRESET' | 'ETIMEDOUT' | null;
  /** What this end says it takes (MSS), and bytes of data in each segment that it sends. */
  advertised: number;
  mss: number;
  congestion: Congestion;
  /** Repeated acknowledgements in a row; the end of what was lost, 0 when nothing is being mended. */
  repeated: number;
  recover: number;
  isn: number;
  peerIsn: number;
  /** Timestamps: the newest of the other end. */
  recent: number;
  /** ns of the last data sent, data received and acknowledgement; totals, as ss -i shows them. */
  last: { sent: number; received: number; acked: number };
  totals: { bytesSent: number; bytesAcked: number; bytesReceived: number; segsOut: number; segsIn: number; dataOut: number; dataIn: number; retrans: number; bytesRetrans: number };
  /** ns of the call that is under way. */
  now: number;
  /** Keep-alive of whoever asked for it: ns of idleness after which to ask. */
  keepalive: number;
  /** That its packets begin with. */
  ttl: number;
}

export const SEND_BUFFER = 212_992;
/** net.ipv4.tcp_rmem: to where the window grows. */
const ROOM_MAX = 6_291_456 / 2;
const SEGMENT = 65_160;
/** Bytes of options with timestamps. */
const TS_OPTION = 12;
const NONE = new Uint8Array(0);
const TRIES = { handshake: 6, data: 15 } as const;

/** `advertised` is the MSS that the way there allows: the MTU less 40. */
export function createTcb(local: Tcb['local'], remote: Tcb['remote'], state: TcpState, advertised = 1460, ttl = 64): Tcb {
  return {
    state, local, remote, una: 0, next: 0, expected: 0, window: 65535, room: advertised > 32768 ? 65536 : state === 'SYN-RECV' ? 65280 : 64256, waiting: new ByteQueue(), sent: [], received: new ByteQueue(), early: [],
    closing: false, finished: false, repeats: 0, rto: SECOND, timer: 0, error: null, advertised, mss: advertised - TS_OPTION, congestion: createCongestion(), repeated: 0, recover: 0,
    isn: 0, peerIsn: 0, recent: 0, last: { sent: 0, received: 0, acked: 0 }, now: 0, keepalive: 0, ttl,
    totals: { bytesSent: 0, bytesAcked: 0, bytesReceived: 0, segsOut: 0, segsIn: 0, dataOut: 0, dataIn: 0, retrans: 0, bytesRetrans: 0 },
  };
}

/** A start of sequence numbers that looks like any (RFC 6528: from the addresses and the time). */
function initialSequence({ local, remote, now }: Tcb): number {
  let h = 0x811c9dc5;
  for (const c of `${local.address}:${local.port}>${remote.address}:${remote.port}`) h = Math.imul(h ^ c.charCodeAt(0), 0x01000193) >>> 0;
  return (h + Math.floor(now / 64)) % 2 ** 32;
}

/** The clock of timestamps: milliseconds from a start of each connection's own. */
const clock = (tcb: Tcb): number => ((tcb.isn ^ 0x5a5a5a5a) >>> 0) % 0x7fffffff + Math.floor(tcb.now / MS);

/** What a SYN and its answer offer: as many whole segments as the buffer holds, the answer's with timestamps. */
const firstWindow = ({ advertised }: Tcb, flags: string): number => (flags === 'S.' ? (advertised > 32768 ? 65483 : 65160) : advertised > 32768 ? 65495 : 64240);

const windowOf = (tcb: Tcb): number => Math.max(0, tcb.room - tcb.received.length);

/** A segment of this connection as an IP packet. */
function packetOf(tcb: Tcb, flags: string, seq: number, data: Uint8Array): Packet {
  const syn = flags.includes('S');
  tcb.totals.segsOut += Math.max(1, Math.ceil(data.length / tcb.mss));
  return {
    proto: 'tcp', src: tcb.local.address, dst: tcb.remote.address, sport: tcb.local.port, dport: tcb.remote.port, ttl: tcb.ttl,
    length: 40 + (syn ? 20 : TS_OPTION) + data.length, flags, seq, ack: flags.includes('.') ? tcb.expected : 0, window: syn ? Math.min(65535, windowOf(tcb), firstWindow(tcb, flags)) : windowOf(tcb),
    icmp: null, data, isn: tcb.isn, peerIsn: tcb.peerIsn, ts: [clock(tcb), tcb.recent], segment: 40 + (syn ? 20 : TS_OPTION) + Math.min(data.length, tcb.mss),
    ...(syn ? { mss: tcb.advertised } : {}), ...(flags === 'S.' ? { ident: 0 } : {}),
  };
}

const acknowledge = (tcb: Tcb): Packet => packetOf(tcb, '.', tcb.next, NONE);

/** What answers a segment that no connection knows. */
export function resetFor(packet: Packet, ttl = 64): Packet {
  const acked = packet.flags.includes('.');
  const { isn = 0, peerIsn = 0 } = packet;
  return {
    proto: 'tcp', src: packet.dst, dst: packet.src, sport: packet.dport, dport: packet.sport, ttl, length: 40, flags: acked ? 'R' : 'R.',
    seq: acked ? packet.ack : 0, ack: acked ? 0 : packet.seq + packet.data.length + 1, window: 0, icmp: null, data: NONE, isn: peerIsn, peerIsn: isn, ident: 0, df: true,
  };
}

function push(tcb: Tcb, flags: string, data: Uint8Array): Packet {
  const segment: Segment = { seq: tcb.next, flags, data, sentAt: tcb.now, repeats: 0, lost: false };
  tcb.sent.push(segment);
  tcb.next += data.length + (flags.includes('S') || flags.includes('F') ? 1 : 0);
  if (tcb.timer === 0) tcb.timer = tcb.now + tcb.rto;
  if (data.length > 0) {
    tcb.totals.bytesSent += data.length;
    tcb.totals.dataOut += Math.ceil(data.length / tcb.mss);
    tcb.last.sent = tcb.now;
  }
  return packetOf(tcb, flags, segment.seq, data);
}

/** Opens actively. */
export function synOf(tcb: Tcb, now: number): Packet[] {
  tcb.now = now;
  tcb.isn = initialSequence(tcb);
  return [push(tcb, 'S', NONE)];
}

function agree(tcb: Tcb, packet: Packet): void {
  tcb.expected = packet.seq + 1;
  tcb.window = packet.window;
  tcb.peerIsn = packet.isn ?? 0;
  tcb.recent = packet.ts?.[0] ?? 0;
  tcb.mss = Math.max(36, Math.min(tcb.advertised, packet.mss ?? 536) - TS_OPTION);
}

/** Answers a SYN. */
export function synAckOf(tcb: Tcb, now: number, syn: Packet): Packet[] {
  tcb.now = now;
  tcb.isn = initialSequence(tcb);
  agree(tcb, syn);
  return [push(tcb, 'S.', NONE)];
}

/** Bytes on the way: sent, not acknowledged, not taken for lost. */
const onTheWay = (tcb: Tcb): number => tcb.sent.reduce((n, one) => n + (one.lost ? 0 : one.data.length), 0);

/** Room that the congestion window leaves. */
const spare = (tcb: Tcb): number => Math.floor(tcb.congestion.cwnd) * tcb.mss - onTheWay(tcb);

/** What the windows let out now: what is lost, then what was written, and the FIN behind it. */
export function flush(tcb: Tcb, now: number): Packet[] {
  tcb.now = now;
  const out = mend(tcb);
  if (tcb.state !== 'ESTAB' && tcb.state !== 'CLOSE-WAIT') return out;
  for (let room = spare(tcb); tcb.waiting.length > 0; room = spare(tcb)) {
    const size = Math.min(tcb.una + tcb.window - tcb.next, room, SEGMENT, tcb.waiting.length);
    // A short piece in front of more waits for room, unless nothing is on its way.
    if (size <= 0 || (size < tcb.mss && size < tcb.waiting.length && tcb.sent.length > 0)) break;
    const whole = size >= tcb.mss && size < tcb.waiting.length ? size - (size % tcb.mss) : size;
    out.push(push(tcb, 'P.', tcb.waiting.take(whole)));
  }
  if (tcb.closing && tcb.waiting.length === 0) {
    out.push(push(tcb, 'F.', NONE));
    tcb.state = tcb.state === 'ESTAB' ? 'FIN-WAIT-1' : 'LAST-ACK';
  }
  if (tcb.waiting.length > 0 && tcb.timer === 0) tcb.timer = now + tcb.rto;
  return out;
}

/** Sends again what is lost, as far as the congestion window goes; one always. */
function mend(tcb: Tcb): Packet[] {
  const out: Packet[] = [];
  for (const one of tcb.sent) {
    if (!one.lost) continue;
    if (out.length > 0 && spare(tcb) < one.data.length) break;
    out.push(again(tcb, one));
  }
  return out;
}

function again(tcb: Tcb, one: Segment): Packet {
  one.lost = false;
  one.repeats++;
  one.sentAt = tcb.now;
  tcb.totals.retrans += Math.max(1, Math.ceil(one.data.length / tcb.mss));
  tcb.totals.bytesRetrans += one.data.length;
  return packetOf(tcb, one.flags, one.seq, one.data);
}

/** Room for more to write. */
export function sendRoom(tcb: Tcb): number {
  return SEND_BUFFER - tcb.waiting.length - (tcb.next - tcb.una);
}

/** Nothing more will be written. */
export function finish(tcb: Tcb, now: number): Packet[] {
  if (tcb.closing) return [];
  tcb.closing = true;
  return flush(tcb, now);
}

/** Gives up: a reset goes out. */
export function abort(tcb: Tcb): Packet[] {
  const open = tcb.state !== 'CLOSED' && tcb.state !== 'TIME-WAIT' && tcb.state !== 'SYN-SENT';
  tcb.state = 'CLOSED';
  tcb.timer = 0;
  return open ? [packetOf(tcb, 'R.', tcb.next, NONE)] : [];
}

/** After the application has read: the window grows with what is taken; tells the sender when a closed one opens. */
export function windowUpdate(tcb: Tcb, before: number): Packet[] {
  const was = tcb.room - before;
  if (tcb.totals.bytesReceived > tcb.room && tcb.room < ROOM_MAX) tcb.room = Math.min(ROOM_MAX, tcb.room * 2);
  const open = windowOf(tcb);
  const little = Math.min(2 * tcb.mss, tcb.room / 2);
  return was < little && open >= little && tcb.state !== 'CLOSED' ? [acknowledge(tcb)] : [];
}

function fail(tcb: Tcb, error: NonNullable<Tcb['error']>): Packet[] {
  tcb.state = 'CLOSED';
  tcb.error = error;
  tcb.timer = 0;
  return [];
}

/** One segment arrives. */
export function input(tcb: Tcb, packet: Packet, now: number): Packet[] {
  const { flags } = packet;
  tcb.now = now;
  tcb.totals.segsIn += Math.max(1, Math.ceil(packet.data.length / tcb.mss));
  if (tcb.state === 'CLOSED') return [];
  if (flags.includes('R')) return fail(tcb, tcb.state === 'SYN-SENT' ? 'ECONNREFUSED' : 'ECONNRESET');
  if (tcb.state === 'SYN-SENT') {
    // An answer to another connection of before: its other end is told that there is none (RFC 9293, 3.10.7.3).
    if (flags.includes('.') && packet.ack !== tcb.next) return [resetFor(packet, tcb.ttl)];
    if (flags !== 'S.') return [];
    acked(tcb, packet);
    agree(tcb, packet);
    tcb.state = 'ESTAB';
    return [acknowledge(tcb), ...flush(tcb, now)];
  }
  if (flags.includes('S')) return tcb.state === 'SYN-RECV' && tcb.sent[0] ? [again(tcb, tcb.sent[0])] : [acknowledge(tcb)];
  acked(tcb, packet);
  if (tcb.state === 'SYN-RECV' && tcb.sent.length === 0) tcb.state = 'ESTAB';
  const out: Packet[] = [];
  if (packet.data.length > 0 || flags.includes('F')) {
    arrive(tcb, packet);
    out.push(acknowledge(tcb));
  }
  out.push(...flush(tcb, now));
  return out;
}

/** In order it is taken, with all that now follows; before its turn it waits. */
function arrive(tcb: Tcb, packet: Packet): void {
  tcb.totals.dataIn += Math.max(1, Math.ceil(packet.data.length / tcb.mss));
  tcb.last.received = tcb.now;
  if (packet.seq > tcb.expected) {
    if (tcb.early.length < 1000 && !tcb.early.some((one) => one.seq === packet.seq)) tcb.early.push(packet);
    return;
  }
  tcb.recent = packet.ts?.[0] ?? tcb.recent;
  takeFrom(tcb, packet);
  for (;;) {
    const at = tcb.early.findIndex((one) => one.seq <= tcb.expected);
    if (at < 0) return;
    takeFrom(tcb, tcb.early.splice(at, 1)[0]!);
  }
}

/** The part of a segment that is new. */
function takeFrom(tcb: Tcb, packet: Packet): void {
  const skip = tcb.expected - packet.seq;
  const last = packet.data.length + (packet.flags.includes('F') ? 1 : 0);
  if (skip >= last) return;
  take(tcb, skip === 0 ? packet : { ...packet, data: packet.data.subarray(skip), seq: tcb.expected });
}

function take(tcb: Tcb, packet: Packet): void {
  tcb.received.put(packet.data);
  tcb.totals.bytesReceived += packet.data.length;
  tcb.expected += packet.data.length;
  if (!packet.flags.includes('F')) return;
  tcb.expected++;
  tcb.finished = true;
  if (tcb.state === 'ESTAB' || tcb.state === 'SYN-RECV') tcb.state = 'CLOSE-WAIT';
  else if (tcb.state === 'FIN-WAIT-2') tcb.state = 'TIME-WAIT';
  else if (tcb.state === 'FIN-WAIT-1') tcb.state = 'CLOSING';
}

/** Takes an acknowledgement and a window. */
function acked(tcb: Tcb, packet: Packet): void {
  if (!packet.flags.includes('.')) return;
  const moved = packet.window !== tcb.window;
  tcb.window = packet.window;
  if (packet.ack > tcb.next) return;
  if (packet.ack <= tcb.una) {
    if (packet.ack === tcb.una && packet.data.length === 0 && tcb.sent.length > 0 && !moved && !packet.flags.includes('F')) repeatedAck(tcb);
    return;
  }
  const bytes = packet.ack - tcb.una;
  tcb.una = packet.ack;
  tcb.last.acked = tcb.now;
  tcb.totals.bytesAcked += bytes;
  let newest: Segment | null = null;
  while (tcb.sent.length > 0 && lengthOf(tcb.sent[0]!) + tcb.sent[0]!.seq <= tcb.una) newest = tcb.sent.shift()!;
  cutHead(tcb);
  if (newest && newest.repeats === 0) sampleRtt(tcb.congestion, tcb.now - newest.sentAt);
  mended(tcb, Math.ceil(bytes / tcb.mss));
  tcb.repeats = 0;
  tcb.rto = tcb.congestion.srtt === 0 ? SECOND : tcb.congestion.srtt + Math.max(200 * MS, 4 * tcb.congestion.rttvar);
  tcb.timer = tcb.sent.length > 0 ? tcb.now + tcb.rto : 0;
  if (tcb.sent.length > 0) return;
  if (tcb.state === 'FIN-WAIT-1') tcb.state = 'FIN-WAIT-2';
  else if (tcb.state === 'CLOSING') tcb.state = 'TIME-WAIT';
  else if (tcb.state === 'LAST-ACK') tcb.state = 'CLOSED';
}

/** A long packet of which the first segments are acknowledged. */
function cutHead(tcb: Tcb): void {
  const first = tcb.sent[0];
  if (!first || first.seq >= tcb.una || first.data.length === 0) return;
  first.data = first.data.subarray(tcb.una - first.seq);
  first.seq = tcb.una;
}

/** The third repeated acknowledgement: the first hole is sent again, and the window shrinks, once for all that was on the way. */
function repeatedAck(tcb: Tcb): void {
  tcb.repeated++;
  if (tcb.repeated !== 3 || tcb.recover > tcb.una) return;
  tcb.recover = tcb.next;
  lostOnce(tcb.congestion);
  tcb.sent[0]!.lost = true;
}

/** While holes are mended a new acknowledgement short of the end names the next one. */
function mended(tcb: Tcb, segments: number): void {
  tcb.repeated = 0;
  if (tcb.recover > tcb.una) {
    if (tcb.congestion.mode === 'recovery' && tcb.sent[0] && tcb.sent[0].repeats === 0) tcb.sent[0].lost = true;
    if (tcb.congestion.mode === 'loss') ackedMore(tcb.congestion, segments, tcb.now);
    return;
  }
  if (tcb.recover > 0) {
    tcb.recover = 0;
    tcb.congestion.mode = 'open';
  }
  ackedMore(tcb.congestion, segments, tcb.now);
}

const lengthOf = (segment: Segment): number => segment.data.length + (segment.flags.includes('S') || segment.flags.includes('F') ? 1 : 0);

/** The timer ran out: everything not acknowledged is lost, or the connection is. */
export function timeout(tcb: Tcb, now: number): Packet[] {
  if (tcb.timer === 0 || tcb.timer > now) return [];
  tcb.now = now;
  const handshake = tcb.state === 'SYN-SENT' || tcb.state === 'SYN-RECV';
  if (tcb.repeats >= (handshake ? TRIES.handshake : TRIES.data)) return fail(tcb, 'ETIMEDOUT');
  tcb.repeats++;
  tcb.rto = Math.min(tcb.rto * 2, 120 * SECOND);
  tcb.timer = now + tcb.rto;
  if (tcb.sent.length > 0) {
    for (const one of tcb.sent) one.lost = true;
    tcb.recover = tcb.next;
    tcb.repeated = 0;
    lostByTimeout(tcb.congestion);
    return mend(tcb);
  }
  // The window is closed: a probe asks for it.
  tcb.window = Math.max(tcb.window, 1);
  const out = flush(tcb, now);
  if (tcb.sent.length === 0) tcb.timer = 0;
  return out;
}

/** The way turned out to be narrower: shorter segments, and what was too long again. */
export function narrowed(tcb: Tcb, mtu: number, now: number): Packet[] {
  const mss = Math.max(36, mtu - 40 - TS_OPTION);
  if (mss >= tcb.mss) return [];
  tcb.now = now;
  tcb.mss = mss;
  for (const one of tcb.sent) if (one.data.length > 0) one.lost = true;
  return mend(tcb);
}
