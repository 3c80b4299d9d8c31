/**
 * TCP without its sockets: one control block an end, a packet in, packets out. Sequence numbers count bytes, SYN and FIN;
 * every data segment is acknowledged; what is not acknowledged is sent again after a timeout that doubles.
 * Source: RFC 9293, tcp(7), Linux's limits (6 repeats of a SYN, 15 of data). Segments may be as long as 64 KiB (as with GSO).
 * Left out: congestion control, selective acknowledgement, urgent data, out-of-order queues, keep-alive.
 */
import { MS, SECOND } from '../../sim/units.ts';
import { ByteQueue } from '../queue.ts';
import type { Packet } from './types.ts';

export type TcpState =
  | 'SYN-SENT' | 'SYN-RECV' | 'ESTAB' | 'FIN-WAIT-1' | 'FIN-WAIT-2' | 'CLOSE-WAIT' | 'CLOSING' | 'LAST-ACK' | 'TIME-WAIT' | 'CLOSED';

interface Segment {
  seq: number;
  flags: string;
  data: Uint8Array;
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
  /** Written, not sent: the window is full. */
  waiting: ByteQueue;
  /** Sent, not acknowledged. */
  sent: Segment[];
  /** Arrived in order, not read. */
  received: ByteQueue;
  /** FIN to be sent when all is written; the other end has sent its. */
  closing: boolean;
  finished: boolean;
  repeats: number;
  rto: number;
  /** ns at which to send again; 0 not running. */
  timer: number;
  /** How it ended, if badly. */
  error: 'ECONNREFUSED' | 'ECONNRESET' | 'ETIMEDOUT' | null;
}

export const SEND_BUFFER = 212_992;
export const RECEIVE_BUFFER = 131_072;
const SEGMENT = 65_160;
const NONE = new Uint8Array(0);

export function createTcb(local: Tcb['local'], remote: Tcb['remote'], state: TcpState): Tcb {
  return {
    state, local, remote, una: 0, next: 0, expected: 0, window: RECEIVE_BUFFER, waiting: new ByteQueue(), sent: [], received: new ByteQueue(),
    closing: false, finished: false, repeats: 0, rto: state === 'SYN-SENT' || state === 'SYN-RECV' ? SECOND : 200 * MS, timer: 0, error: null,
  };
}

/** A segment of this connection as an IP packet. */
function packetOf(tcb: Tcb, flags: string, seq: number, data: Uint8Array): Packet {
  const options = flags.includes('S') ? 20 : 12;
  return {
    proto: 'tcp', src: tcb.local.address, dst: tcb.remote.address, sport: tcb.local.port, dport: tcb.remote.port, ttl: 64,
    length: 40 + options + data.length, flags, seq, ack: flags.includes('.') ? tcb.expected : 0,
    window: Math.max(0, RECEIVE_BUFFER - tcb.received.length), icmp: null, data,
  };
}

const acknowledge = (tcb: Tcb): Packet => packetOf(tcb, '.', tcb.next, NONE);

/** What answers a segment that no connection knows. */
export function resetFor(packet: Packet): Packet {
  const acked = packet.flags.includes('.');
  return {
    ...packet, src: packet.dst, dst: packet.src, sport: packet.dport, dport: packet.sport, ttl: 64, length: 40, flags: acked ? 'R' : 'R.',
    seq: acked ? packet.ack : 0, ack: acked ? 0 : packet.seq + packet.data.length + 1, window: 0, data: NONE,
  };
}

function push(tcb: Tcb, now: number, flags: string, data: Uint8Array): Packet {
  const segment: Segment = { seq: tcb.next, flags, data };
  tcb.sent.push(segment);
  tcb.next += data.length + (flags.includes('S') || flags.includes('F') ? 1 : 0);
  if (tcb.timer === 0) tcb.timer = now + tcb.rto;
  return packetOf(tcb, flags, segment.seq, data);
}

/** Opens actively. */
export function synOf(tcb: Tcb, now: number): Packet[] {
  return [push(tcb, now, 'S', NONE)];
}

/** Answers a SYN. */
export function synAckOf(tcb: Tcb, now: number, syn: Packet): Packet[] {
  tcb.expected = syn.seq + 1;
  tcb.window = syn.window;
  return [push(tcb, now, 'S.', NONE)];
}

/** What the window lets out now of what was written, and the FIN behind it. */
export function flush(tcb: Tcb, now: number): Packet[] {
  const out: Packet[] = [];
  if (tcb.state !== 'ESTAB' && tcb.state !== 'CLOSE-WAIT') return out;
  while (tcb.waiting.length > 0) {
    const room = tcb.una + tcb.window - tcb.next;
    if (room <= 0) break;
    out.push(push(tcb, now, 'P.', tcb.waiting.take(Math.min(room, SEGMENT))));
  }
  if (tcb.closing && tcb.waiting.length === 0) {
    out.push(push(tcb, now, 'F.', NONE));
    tcb.state = tcb.state === 'ESTAB' ? 'FIN-WAIT-1' : 'LAST-ACK';
  }
  if (tcb.waiting.length > 0 && tcb.timer === 0) tcb.timer = now + tcb.rto;
  return out;
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

/** After the application has read: tells the sender when a closed window opens. */
export function windowUpdate(tcb: Tcb, before: number): Packet[] {
  const open = RECEIVE_BUFFER - tcb.received.length;
  const was = RECEIVE_BUFFER - before;
  return was < SEGMENT && open >= SEGMENT && tcb.state !== 'CLOSED' ? [acknowledge(tcb)] : [];
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
  if (tcb.state === 'CLOSED') return [];
  if (flags.includes('R')) return fail(tcb, tcb.state === 'SYN-SENT' ? 'ECONNREFUSED' : 'ECONNRESET');
  if (tcb.state === 'SYN-SENT') {
    if (flags !== 'S.' || packet.ack !== tcb.next) return [];
    acked(tcb, packet, now);
    tcb.expected = packet.seq + 1;
    tcb.state = 'ESTAB';
    return [acknowledge(tcb), ...flush(tcb, now)];
  }
  if (flags.includes('S')) return tcb.state === 'SYN-RECV' ? repeat(tcb) : [acknowledge(tcb)];
  acked(tcb, packet, now);
  if (tcb.state === 'SYN-RECV' && tcb.sent.length === 0) tcb.state = 'ESTAB';
  const out: Packet[] = [];
  if (packet.data.length > 0 || flags.includes('F')) {
    if (packet.seq === tcb.expected) take(tcb, packet);
    else if (packet.seq < tcb.expected && packet.seq + packet.data.length > tcb.expected) {
      take(tcb, { ...packet, data: packet.data.subarray(tcb.expected - packet.seq), seq: tcb.expected });
    }
    out.push(acknowledge(tcb));
  }
  out.push(...flush(tcb, now));
  return out;
}

function take(tcb: Tcb, packet: Packet): void {
  tcb.received.put(packet.data);
  tcb.expected += packet.data.length;
  if (!packet.flags.includes('F')) return;
  tcb.expected++;
  tcb.finished = true;
  if (tcb.state === 'ESTAB' || tcb.state === 'SYN-RECV') tcb.state = 'CLOSE-WAIT';
  else if (tcb.state === 'FIN-WAIT-2') tcb.state = 'TIME-WAIT';
  else if (tcb.state === 'FIN-WAIT-1') tcb.state = 'CLOSING';
}

/** Takes an acknowledgement and a window. */
function acked(tcb: Tcb, packet: Packet, now: number): void {
  if (!packet.flags.includes('.')) return;
  tcb.window = packet.window;
  if (packet.ack <= tcb.una || packet.ack > tcb.next) return;
  tcb.una = packet.ack;
  while (tcb.sent.length > 0 && lengthOf(tcb.sent[0]!) + tcb.sent[0]!.seq <= tcb.una) tcb.sent.shift();
  tcb.repeats = 0;
  tcb.rto = 200 * MS;
  tcb.timer = tcb.sent.length > 0 ? now + tcb.rto : 0;
  if (tcb.sent.length > 0) return;
  if (tcb.state === 'FIN-WAIT-1') tcb.state = 'FIN-WAIT-2';
  else if (tcb.state === 'CLOSING') tcb.state = 'TIME-WAIT';
  else if (tcb.state === 'LAST-ACK') tcb.state = 'CLOSED';
}

const lengthOf = (segment: Segment): number => segment.data.length + (segment.flags.includes('S') || segment.flags.includes('F') ? 1 : 0);

function repeat(tcb: Tcb): Packet[] {
  const first = tcb.sent[0];
  return first ? [packetOf(tcb, first.flags, first.seq, first.data)] : [];
}

/** The timer ran out: everything not acknowledged goes out again, or the connection fails. */
export function timeout(tcb: Tcb, now: number): Packet[] {
  if (tcb.timer === 0 || tcb.timer > now) return [];
  const handshake = tcb.state === 'SYN-SENT' || tcb.state === 'SYN-RECV';
  if (tcb.repeats >= (handshake ? 6 : 15)) return fail(tcb, 'ETIMEDOUT');
  tcb.repeats++;
  tcb.rto = Math.min(tcb.rto * 2, 120 * SECOND);
  tcb.timer = now + tcb.rto;
  if (tcb.sent.length > 0) return tcb.sent.map((one) => packetOf(tcb, one.flags, one.seq, one.data));
  // The window is closed: a probe asks for it.
  tcb.window = Math.max(tcb.window, 1);
  const out = flush(tcb, now);
  if (tcb.sent.length === 0) tcb.timer = 0;
  return out;
}
