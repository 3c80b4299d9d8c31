/** Cutting a packet that is too long for a link, and putting it together again. Source: RFC 791. Pieces carry 8-byte multiples. */
import { SECOND } from '../../sim/units.ts';
import type { NetNamespace, Packet } from './types.ts';

/** ipfrag_time. */
const PATIENCE = 30 * SECOND;

export function fragmentsOf(packet: Packet, mtu: number): Packet[] {
  const whole = packet.whole ?? packet;
  const start = packet.offset ?? 0;
  const payload = packet.length - 20;
  const step = Math.max(8, Math.floor((mtu - 20) / 8) * 8);
  const pieces: Packet[] = [];
  for (let at = 0; at < payload; at += step) {
    const size = Math.min(step, payload - at);
    pieces.push({ ...packet, length: 20 + size, offset: start + at, more: at + size < payload || packet.more === true, whole: { ...whole } });
  }
  return pieces;
}

export const isFragment = (packet: Packet): boolean => packet.whole !== undefined && ((packet.offset ?? 0) > 0 || packet.more === true);

/** The whole packet, when this was the piece that was missing; null while others are. */
export function reassemble(ns: NetNamespace, packet: Packet, now: number): Packet | null {
  const key = `${packet.src} ${packet.dst} ${packet.proto} ${packet.ident ?? 0}`;
  for (const [old, { until }] of ns.fragments) if (until <= now) ns.fragments.delete(old);
  const waiting = ns.fragments.get(key) ?? { until: now + PATIENCE, got: new Map<number, number>() };
  ns.fragments.set(key, waiting);
  waiting.got.set(packet.offset ?? 0, packet.length - 20);
  const { whole } = packet;
  let at = 0;
  for (let size = waiting.got.get(0); size !== undefined && at < whole!.length - 20; size = waiting.got.get(at)) at += size;
  if (at < whole!.length - 20) return null;
  ns.fragments.delete(key);
  const { whole: _, offset: __, more: ___, ...last } = packet;
  return { ...last, length: whole!.length, data: whole!.data, ...(whole!.inner ? { inner: whole!.inner } : {}) };
}
