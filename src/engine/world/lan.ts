/**
 * The wire between machines: one Ethernet on which each modelled kernel has its links, and where services that no kernel runs (the
 * Kubernetes API server) have an address and answer too, with the same TCP as the kernels'. A frame crosses it after a fixed
 * latency, in order. Left out: loss, bandwidth.
 */
import { fromWire } from '../kernel/net/forward.ts';
import { formatIp, parseIp } from '../kernel/net/ip.ts';
import { abort, createTcb, finish, flush, input, resetFor, synAckOf, type Tcb, timeout } from '../kernel/net/tcp.ts';
import type { Packet } from '../kernel/net/types.ts';
import { isForMany } from '../kernel/net/walk.ts';
import type { Kernel, Uplink } from '../kernel/records.ts';
import { after, handle, schedule, type Timeline } from '../sim/timeline.ts';
import { US } from '../sim/units.ts';

export const LAN_LATENCY = 100 * US;

/** Something at an address that is not a modelled kernel. Bytes in, bytes out. */
export interface RemoteService {
  open(conn: number): void;
  data(conn: number, bytes: Uint8Array): void;
  close(conn: number): void;
}

/** A connection to a service: the service's end of it. */
interface Connection {
  id: number;
  service: RemoteService;
  mac: string;
  key: string;
  tcb: Tcb;
  /** The service has been told that the other side is gone. */
  told: boolean;
  opened: boolean;
  timerAt: number;
}

export interface Lan {
  timeline: Timeline;
  /** IPv4 address to kernel name, as the scenario gives them. */
  hosts: Map<string, string>;
  kernels: Map<string, Kernel>;
  /** "address:port" to service. */
  services: Map<string, RemoteService>;
  /** By "service address:port-caller address:port". */
  flows: Map<string, Connection>;
  connections: Map<number, Connection>;
  nextId: number;
  nextPacket: number;
  /** Boots the machine behind an address that somebody looks for, once; null: there is none. */
  wake: ((address: string) => void) | null;
}

export function createLan(timeline: Timeline, kernels: Map<string, Kernel>): Lan {
  const lan: Lan = { timeline, hosts: new Map(), kernels, services: new Map(), flows: new Map(), connections: new Map(), nextId: 1, nextPacket: 1, wake: null };
  handle(timeline, 'lan.frame', (event) => {
    const { source, target, packet, from } = event.arg as { source: string; target: string; packet: Packet; from?: string };
    arrive(lan, source, target, packet, from ?? '');
  });
  handle(timeline, 'lan.timer', (event) => onTimer(lan, (event.arg as { conn: number }).conn));
  return lan;
}

/** The MAC address of a service's machine: made from its IPv4 address. */
function macOf(address: string): string {
  const n = parseIp(address)!;
  const octets = [0x02, 0x00, Math.floor(n / 16777216), Math.floor(n / 65536) % 256, Math.floor(n / 256) % 256, n % 256];
  return octets.map((o) => o.toString(16).padStart(2, '0')).join(':');
}

const addressOf = (mac: string): string => formatIp(mac.split(':').slice(2).reduce((n, part) => n * 256 + Number.parseInt(part, 16), 0));

function hasService(lan: Lan, address: string): boolean {
  for (const key of lan.services.keys()) if (key.startsWith(`${address}:`)) return true;
  return false;
}

/** How packets leave a kernel. */
export function uplinkOf(lan: Lan): Uplink {
  return {
    transmit(from, source, target, packet, delay) {
      schedule(lan.timeline, lan.timeline.now + delay + LAN_LATENCY, { kind: 'lan.frame', who: from, arg: { source, target, packet, from } });
    },
  };
}

/** A frame gets to whoever has its address; a broadcast to all but the machine that sent it, services answering ARP. */
function arrive(lan: Lan, source: string, target: string, packet: Packet, from: string): void {
  if (packet.arp?.op === 1 && hasService(lan, packet.dst)) {
    const own = macOf(packet.dst);
    send(lan, own, source, { ...packet, src: packet.dst, dst: packet.src, arp: { op: 2, sender: own, target: source } });
  }
  if (packet.arp?.op === 1) lan.wake?.(packet.dst);
  if (isForMany(target)) {
    for (const [name, kernel] of lan.kernels) if (name !== from) fromWire(kernel, target, packet, source);
    return;
  }
  const address = addressOf(target);
  if (target === macOf(address) && hasService(lan, address)) {
    serve(lan, source, target, packet);
    return;
  }
  for (const [name, kernel] of lan.kernels) if (name !== from) fromWire(kernel, target, packet, source);
}

function send(lan: Lan, from: string, to: string, packet: Packet): void {
  const named = { ...packet, trail: `wire#${lan.nextPacket++}` };
  after(lan.timeline, LAN_LATENCY, { kind: 'lan.frame', who: 'lan', arg: { source: from, target: to, packet: named } });
}

/** A packet for the machine of a service. */
function serve(lan: Lan, mac: string, own: string, packet: Packet): void {
  if (packet.proto === 'icmp' && packet.icmp?.type === 8) {
    send(lan, own, mac, { ...packet, src: packet.dst, dst: packet.src, ttl: 64, icmp: { ...packet.icmp, type: 0 } });
  }
  if (packet.proto !== 'tcp') return;
  const key = `${packet.dst}:${packet.dport}-${packet.src}:${packet.sport}`;
  let connection = lan.flows.get(key);
  if (packet.flags === 'S' && (!connection || connection.tcb.state === 'CLOSED' || connection.tcb.state === 'TIME-WAIT')) {
    if (connection) forget(lan, connection);
    const service = lan.services.get(`${packet.dst}:${packet.dport}`);
    if (!service) {
      send(lan, own, mac, resetFor(packet));
      return;
    }
    connection = begin(lan, service, key, mac, packet);
    emit(lan, connection, synAckOf(connection.tcb, lan.timeline.now, packet));
    return;
  }
  if (!connection) {
    if (!packet.flags.includes('R')) send(lan, own, mac, resetFor(packet));
    return;
  }
  connection.mac = mac;
  emit(lan, connection, input(connection.tcb, packet, lan.timeline.now));
  deliver(lan, connection);
}

function begin(lan: Lan, service: RemoteService, key: string, mac: string, packet: Packet): Connection {
  const tcb = createTcb({ address: packet.dst, port: packet.dport }, { address: packet.src, port: packet.sport }, 'SYN-RECV');
  const connection: Connection = { id: lan.nextId++, service, mac, key, tcb, told: false, opened: false, timerAt: 0 };
  lan.flows.set(key, connection);
  lan.connections.set(connection.id, connection);
  return connection;
}

function emit(lan: Lan, connection: Connection, packets: readonly Packet[]): void {
  const { tcb, mac } = connection;
  for (const packet of packets) send(lan, macOf(tcb.local.address), mac, packet);
  if (tcb.timer > 0 && (connection.timerAt === 0 || connection.timerAt > tcb.timer)) {
    connection.timerAt = tcb.timer;
    schedule(lan.timeline, tcb.timer, { kind: 'lan.timer', who: 'lan', arg: { conn: connection.id } });
  }
}

/** Tells the service what has come. */
function deliver(lan: Lan, connection: Connection): void {
  const { tcb, service, id } = connection;
  if (!connection.opened && tcb.state !== 'SYN-RECV' && tcb.state !== 'CLOSED') {
    connection.opened = true;
    service.open(id);
  }
  while (tcb.received.length > 0) service.data(id, tcb.received.take(65536));
  if ((tcb.finished || tcb.state === 'CLOSED') && connection.opened && !connection.told) {
    connection.told = true;
    service.close(id);
    if (tcb.state !== 'CLOSED') emit(lan, connection, finish(tcb, lan.timeline.now));
  }
  if (tcb.state === 'CLOSED' || tcb.state === 'TIME-WAIT') forget(lan, connection);
}

function forget(lan: Lan, connection: Connection): void {
  lan.connections.delete(connection.id);
  if (lan.flows.get(connection.key) === connection) lan.flows.delete(connection.key);
}

/** A service is no longer there: its connections are forgotten, without a word on the wire. */
export function withdraw(lan: Lan, address: string, port: number): void {
  lan.services.delete(`${address}:${port}`);
  for (const one of [...lan.connections.values()]) {
    if (one.tcb.local.address !== address || one.tcb.local.port !== port) continue;
    if (one.opened && !one.told) one.service.close(one.id);
    one.told = true;
    forget(lan, one);
  }
}

function onTimer(lan: Lan, id: number): void {
  const connection = lan.connections.get(id);
  if (!connection) return;
  connection.timerAt = 0;
  emit(lan, connection, timeout(connection.tcb, lan.timeline.now));
  deliver(lan, connection);
}

/** A service writes to one of its connections. */
export function serviceSend(lan: Lan, conn: number, data: Uint8Array): void {
  const connection = lan.connections.get(conn);
  if (!connection || connection.tcb.closing) return;
  connection.tcb.waiting.put(data);
  emit(lan, connection, flush(connection.tcb, lan.timeline.now));
}

/** A service ends one of its connections. */
export function serviceHangUp(lan: Lan, conn: number): void {
  const connection = lan.connections.get(conn);
  if (!connection) return;
  connection.told = true;
  const { tcb } = connection;
  emit(lan, connection, tcb.state === 'SYN-RECV' ? abort(tcb) : finish(tcb, lan.timeline.now));
}
