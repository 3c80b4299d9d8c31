/**
 * Sockets of the internet family: streams over tcp.ts, datagrams, raw ICMP. What they send goes through forward.ts, and what
 * arrives comes back by events. Source: ip(7), tcp(7), udp(7). Left out: IPv6, multicast, out-of-band data, most options.
 */
import { POLLERR, POLLHUP, POLLIN, POLLOUT, SysError } from '../abi.ts';
import { nsCapable } from '../credentials.ts';
import type { Kernel, Task } from '../records.ts';
import type { SockAddr } from '../sys.ts';
import { BLOCK } from '../vfs/types.ts';
import { timeOf, waitOn, wake } from '../wait.ts';
import type { Family } from './family.ts';
import { output } from './forward.ts';
import { decode } from './icmp.ts';
import { parseIp } from './ip.ts';
import { isBroadcast, isLocal } from './local.ts';
import { routeFor } from './routes.ts';
import { linkByName, netOf, socketChannel, ttlOf } from './state.ts';
import { abort, createTcb, finish, flush, narrowed, sendRoom, synOf, type Tcb, windowUpdate } from './tcp.ts';
import type { Chunk, NetNamespace, Packet, Socket } from './types.ts';
import { later } from './walk.ts';

type Inet = Extract<SockAddr, { family: 'inet' }>;

const ANY = '0.0.0.0';
const NONE = new Uint8Array(0);
const DATAGRAM_MAX = 65507;
const BUFFER = 212_992;
const FIRST_PORT = 32768;
const PORTS = 28232;

function inetOf(address: SockAddr): Inet {
  if (address.family !== 'inet') throw new SysError('EAFNOSUPPORT');
  if (parseIp(address.address) === null || !(Number.isInteger(address.port) && address.port >= 0 && address.port <= 65535)) throw new SysError('EINVAL');
  return address;
}

const protocolOf = (socket: Socket): 'tcp' | 'udp' => (socket.type === 'stream' ? 'tcp' : 'udp');

export function flowKey(local: { address: string; port: number }, remote: { address: string; port: number }): string {
  return `${local.address}:${local.port}-${remote.address}:${remote.port}`;
}

// ---- ports

function taken(ns: NetNamespace, protocol: string, address: string, port: number): boolean {
  if (address !== ANY) return ns.ports.has(`${protocol}:${address}:${port}`) || ns.ports.has(`${protocol}:${ANY}:${port}`);
  const start = `${protocol}:`;
  const end = `:${port}`;
  for (const key of ns.ports.keys()) if (key.startsWith(start) && key.endsWith(end)) return true;
  return false;
}

/** net.ipv4.ip_local_port_range: the first, and how many. */
function portRange(ns: NetNamespace): [number, number] {
  const [low, high] = (ns.knobs?.get('ip_local_port_range') ?? `${FIRST_PORT}\t${FIRST_PORT + PORTS - 1}`).split('\t').map(Number) as [number, number];
  return [low, high - low + 1];
}

function freePort(ns: NetNamespace, protocol: string, address: string): number {
  const [low, count] = portRange(ns);
  for (let tries = 0; tries < PORTS; tries++) {
    ns.nextPort = (ns.nextPort + 2) % PORTS;
    const port = low + ((ns.nextPort * 7919 + 4242) % count);
    if (!taken(ns, protocol, address, port)) return port;
  }
  throw new SysError('EADDRINUSE');
}

function bindTo(socket: Socket, address: string, port: number): void {
  socket.local = { family: 'inet', address, port };
  socket.boundAs = `${protocolOf(socket)}:${address}:${port}`;
  socket.ns.ports.set(socket.boundAs, socket);
}

export function unbind(socket: Socket): void {
  if (socket.boundAs && socket.ns.ports.get(socket.boundAs) === socket) socket.ns.ports.delete(socket.boundAs);
  socket.boundAs = null;
}

/** The socket that takes what comes to an address and port. */
export function boundTo(ns: NetNamespace, protocol: string, address: string, port: number): Socket | null {
  return ns.ports.get(`${protocol}:${address}:${port}`) ?? ns.ports.get(`${protocol}:${ANY}:${port}`) ?? null;
}

// ---- streams

/** Sends what a control block has to say, and sees that its timer runs. The first refusal of a handshake ends it. */
export function emit(kernel: Kernel, socket: Socket, packets: readonly Packet[]): void {
  const tcb = socket.tcb!;
  const queue = packets.slice();
  for (let packet = queue.shift(); packet; packet = queue.shift()) {
    const refused = output(kernel, socket.ns, owned(socket, packet), whose(socket));
    if (refused === 'EMSGSIZE') queue.push(...narrowed(tcb, mtuTo(socket.ns, tcb.remote.address), timeOf(kernel)));
    if (refused && refused !== 'EPERM' && tcb.state === 'SYN-SENT') {
      socket.error = refused;
      tcb.state = 'CLOSED';
      tcb.timer = 0;
    }
  }
  const now = timeOf(kernel);
  if (tcb.timer > 0 && (socket.timerAt === 0 || socket.timerAt > tcb.timer || socket.timerAt < now)) {
    socket.timerAt = tcb.timer;
    later(kernel, tcb.timer - now, { do: 'timer', socket: socket.id });
  }
}

const whose = (socket: Socket): string => `${socket.type === 'raw' ? 'raw' : protocolOf(socket)} socket ${socket.id} of ${socket.owner || 'nobody'}`;

/** The MTU of the way to an address, as far as it is known here. */
export function mtuTo(ns: NetNamespace, to: string): number {
  if (isLocal(ns, to)) return Math.min(65535, linkByName(ns, 'lo')?.mtu ?? 65535);
  const route = routeFor(ns, to)?.route;
  const mtu = route?.mtu ?? (route ? linkByName(ns, route.dev)?.mtu : undefined) ?? 1500;
  return Math.max(576, Math.min(65535, mtu, ns.pathMtu.get(to) ?? mtu));
}

/** A packet as a socket sends it: whose, and with its mark (SO_MARK). */
const owned = (socket: Socket, packet: Packet): Packet => ({ ...packet, uid: socket.cred.uid, gid: socket.cred.gid, ...markOf(socket) });
const markOf = ({ options }: Socket): { mark?: number } => (options.has('SO_MARK') ? { mark: options.get('SO_MARK')! } : {});

function sourceFor(ns: NetNamespace, to: string): string {
  if (isLocal(ns, to)) return to;
  const found = routeFor(ns, to);
  if (!found) throw new SysError('ENETUNREACH');
  if (found.route.type !== 'unicast') throw new SysError(found.route.type === 'prohibit' ? 'EACCES' : found.route.type === 'unreachable' ? 'EHOSTUNREACH' : 'EINVAL');
  return found.src;
}

function connectStream(kernel: Kernel, task: Task, socket: Socket, to: Inet, nonblocking: boolean): 0 | typeof BLOCK {
  const waiting = task.scratch === socket;
  if (socket.state === 'listening') throw new SysError('EISCONN');
  if (socket.state === 'connected' && !waiting) throw new SysError('EISCONN');
  if (socket.state === 'fresh') {
    const address = to.address === ANY ? '127.0.0.1' : to.address;
    const own = socket.local?.family === 'inet' ? socket.local : null;
    const src = own && own.address !== ANY ? own.address : sourceFor(socket.ns, address);
    const port = own && own.port !== 0 ? own.port : freePort(socket.ns, 'tcp', src);
    if (!socket.boundAs) bindTo(socket, src, port);
    socket.local = { family: 'inet', address: src, port };
    socket.remote = { family: 'inet', address, port: to.port };
    const tcb = createTcb({ address: src, port }, { address, port: to.port }, 'SYN-SENT', mtuTo(socket.ns, address) - 40, ttlOf(socket.ns));
    const key = flowKey(tcb.local, tcb.remote);
    if (socket.ns.flows.has(key)) throw new SysError('EADDRNOTAVAIL');
    socket.tcb = tcb;
    socket.state = 'connecting';
    socket.ns.flows.set(key, socket);
    emit(kernel, socket, synOf(tcb, timeOf(kernel)));
    if (nonblocking && !socket.error) throw new SysError('EINPROGRESS');
  }
  const tcb = socket.tcb!;
  if (socket.state === 'connecting' && nonblocking && tcb.state === 'SYN-SENT' && !waiting) throw new SysError('EALREADY');
  if (tcb.state === 'SYN-SENT') {
    task.scratch = socket;
    waitOn(kernel, task, socketChannel(socket));
    return BLOCK;
  }
  if (tcb.state === 'CLOSED' && socket.state !== 'connected') {
    const error = takeError(socket) ?? tcb.error ?? 'ECONNABORTED';
    forgetFlow(kernel, socket);
    Object.assign(socket, { state: 'fresh', tcb: null, remote: null });
    throw new SysError(error);
  }
  socket.state = 'connected';
  return 0;
}

function takeError(socket: Socket): Socket['error'] {
  const { error } = socket;
  socket.error = null;
  return error;
}

/** A connection is over: out of the tables. */
export function forgetFlow(kernel: Kernel, socket: Socket): void {
  const { tcb, ns } = socket;
  if (tcb) {
    const key = flowKey(tcb.local, tcb.remote);
    if (ns.flows.get(key) === socket) ns.flows.delete(key);
  }
  unbind(socket);
  if (socket.orphaned) netOf(kernel).sockets.delete(socket.id);
}

function sendStream(kernel: Kernel, task: Task, socket: Socket, data: Uint8Array, nonblocking: boolean): number | typeof BLOCK {
  const { tcb } = socket;
  const error = takeError(socket);
  if (error) throw new SysError(error);
  if (!tcb || tcb.state === 'SYN-SENT' || tcb.state === 'SYN-RECV') throw new SysError(tcb ? 'EAGAIN' : socket.state === 'closed' ? 'EPIPE' : 'ENOTCONN');
  if (socket.sendShut || tcb.closing || tcb.state === 'CLOSED') throw new SysError('EPIPE');
  if (data.length === 0) return 0;
  const room = sendRoom(tcb);
  if (room <= 0) {
    if (nonblocking) throw new SysError('EAGAIN');
    waitOn(kernel, task, socketChannel(socket));
    return BLOCK;
  }
  const part = data.length > room ? data.subarray(0, room) : data;
  tcb.waiting.put(part.slice());
  emit(kernel, socket, flush(tcb, timeOf(kernel)));
  return part.length;
}

function receiveStream(kernel: Kernel, task: Task, socket: Socket, count: number, nonblocking: boolean): Chunk | typeof BLOCK {
  const { tcb } = socket;
  if (!tcb) throw new SysError('ENOTCONN');
  if (tcb.received.length > 0 && !socket.receiveShut) {
    const before = tcb.received.length;
    const parts: Uint8Array[] = [];
    let left = count;
    while (left > 0 && tcb.received.length > 0) {
      const part = tcb.received.take(left);
      parts.push(part);
      left -= part.length;
    }
    emit(kernel, socket, windowUpdate(tcb, before));
    return { data: parts.length === 1 ? parts[0]! : join(parts), files: [], from: null };
  }
  const error = takeError(socket);
  if (error) throw new SysError(error);
  if (socket.receiveShut || tcb.finished || tcb.state === 'CLOSED') return { data: NONE, files: [], from: null };
  if (nonblocking) throw new SysError('EAGAIN');
  waitOn(kernel, task, socketChannel(socket));
  return BLOCK;
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

// ---- datagrams and raw

function sendDatagram(kernel: Kernel, socket: Socket, data: Uint8Array, to: SockAddr | null): number {
  const error = takeError(socket);
  if (error) throw new SysError(error);
  const target = to ? inetOf(to) : socket.remote;
  if (target?.family !== 'inet') throw new SysError('EDESTADDRREQ');
  if (data.length > DATAGRAM_MAX) throw new SysError('EMSGSIZE');
  const address = target.address === ANY ? '127.0.0.1' : target.address;
  if (socket.type === 'raw') return sendRaw(kernel, socket, data, address);
  if (target.port === 0) throw new SysError('EINVAL');
  const own = socket.local?.family === 'inet' ? socket.local : null;
  const src = own && own.address !== ANY ? own.address : sourceFor(socket.ns, address);
  if (!socket.boundAs) bindTo(socket, ANY, freePort(socket.ns, 'udp', ANY));
  const { port } = socket.local as Inet;
  const refused = output(kernel, socket.ns, {
    proto: 'udp', src, dst: address, sport: port, dport: target.port, ttl: ttlOf(socket.ns), length: 28 + data.length, flags: '', seq: 0, ack: 0, window: 0, icmp: null, data: data.slice(),
    uid: socket.cred.uid, gid: socket.cred.gid, ...markOf(socket),
  }, whose(socket));
  if (refused) throw new SysError(refused);
  return data.length;
}

function sendRaw(kernel: Kernel, socket: Socket, data: Uint8Array, address: string): number {
  const own = socket.local?.family === 'inet' && socket.local.address !== ANY ? socket.local.address : null;
  const packet = decode(data, own ?? sourceFor(socket.ns, address), address, socket.options.get('IP_TTL') ?? ttlOf(socket.ns));
  if (!packet) throw new SysError('EINVAL');
  const discover = socket.options.get('IP_MTU_DISCOVER');
  if (discover === 2 || discover === 3) packet.df = true;
  if (discover === 0) packet.df = false;
  const refused = output(kernel, socket.ns, owned(socket, packet), whose(socket));
  if (refused) throw new SysError(refused);
  return data.length;
}

/** Puts a datagram into a socket's queue; dropped when that is full. */
export function queueDatagram(kernel: Kernel, socket: Socket, packet: Packet): void {
  if (socket.receiveShut || socket.queued + packet.data.length > BUFFER) return;
  socket.queue.push({ data: packet.data, files: [], from: { family: 'inet', address: packet.src, port: packet.sport } });
  socket.queued += packet.data.length;
  wake(kernel, socketChannel(socket));
}

function receiveDatagram(kernel: Kernel, task: Task, socket: Socket, count: number, nonblocking: boolean): Chunk | typeof BLOCK {
  const first = socket.queue.shift();
  if (first) {
    socket.queued -= first.data.length;
    return { ...first, data: first.data.subarray(0, count) };
  }
  const error = takeError(socket);
  if (error) throw new SysError(error);
  if (socket.receiveShut) return { data: NONE, files: [], from: null };
  if (nonblocking) throw new SysError('EAGAIN');
  waitOn(kernel, task, socketChannel(socket));
  return BLOCK;
}

function pollStream(socket: Socket, tcb: Tcb | null): number {
  if (!tcb) return POLLOUT | POLLHUP;
  let bits = 0;
  if (socket.error) bits |= POLLERR | POLLIN | POLLOUT;
  if (tcb.received.length > 0 || tcb.finished || socket.receiveShut || tcb.state === 'CLOSED') bits |= POLLIN;
  if (tcb.state === 'CLOSED' || (tcb.finished && tcb.closing)) bits |= POLLHUP;
  const open = tcb.state === 'ESTAB' || tcb.state === 'CLOSE-WAIT';
  if (tcb.state === 'CLOSED' || socket.sendShut || (open && sendRoom(tcb) > 0)) bits |= POLLOUT;
  return bits;
}

export const inetFamily: Family = {
  bind(_kernel, task, socket, address) {
    const { address: at, port } = inetOf(address);
    const { ns } = socket;
    if (at !== ANY && !isLocal(ns, at)) throw new SysError('EADDRNOTAVAIL');
    if (socket.type === 'raw') {
      socket.local = { family: 'inet', address: at, port: 0 };
      return;
    }
    if (socket.boundAs) throw new SysError('EINVAL');
    if (port > 0 && port < ns.unprivilegedFrom && !nsCapable(task, ns.owner, 'net_bind_service')) throw new SysError('EACCES', `ports below ${ns.unprivilegedFrom} need CAP_NET_BIND_SERVICE`);
    const protocol = protocolOf(socket);
    if (port > 0 && taken(ns, protocol, at, port)) throw new SysError('EADDRINUSE');
    bindTo(socket, at, port > 0 ? port : freePort(ns, protocol, at));
  },
  listen(_kernel, _task, socket, backlog) {
    if (socket.type !== 'stream') throw new SysError('EOPNOTSUPP');
    if (socket.state !== 'fresh' && socket.state !== 'listening') throw new SysError('EINVAL');
    if (!socket.boundAs) bindTo(socket, ANY, freePort(socket.ns, 'tcp', ANY));
    socket.state = 'listening';
    socket.backlog = Math.max(0, Math.min(backlog, 4096));
  },
  connect(kernel, task, socket, address, nonblocking) {
    const to = inetOf(address);
    if (socket.type === 'stream') return connectStream(kernel, task, socket, to, nonblocking);
    const src = sourceFor(socket.ns, to.address === ANY ? '127.0.0.1' : to.address);
    if (isBroadcast(socket.ns, to.address) && !socket.options.has('SO_BROADCAST')) throw new SysError('EACCES');
    if (socket.type === 'dgram' && !socket.boundAs) bindTo(socket, src, freePort(socket.ns, 'udp', src));
    socket.local ??= { family: 'inet', address: src, port: 0 };
    socket.remote = { ...to };
    socket.state = 'connected';
    return 0;
  },
  send(kernel, task, socket, data, _files, to, nonblocking) {
    if (socket.type === 'stream') return sendStream(kernel, task, socket, data, nonblocking);
    return sendDatagram(kernel, socket, data, to);
  },
  receive(kernel, task, socket, count, nonblocking) {
    if (socket.type === 'stream') return receiveStream(kernel, task, socket, count, nonblocking);
    return receiveDatagram(kernel, task, socket, count, nonblocking);
  },
  shutdown(kernel, socket, how) {
    const { tcb } = socket;
    if (socket.type === 'stream' && (!tcb || tcb.state === 'CLOSED' || tcb.state === 'SYN-SENT')) throw new SysError('ENOTCONN');
    if (socket.type !== 'stream' && !socket.remote) throw new SysError('ENOTCONN');
    if (how.receive) socket.receiveShut = true;
    if (how.send) {
      socket.sendShut = true;
      if (tcb) emit(kernel, socket, finish(tcb, timeOf(kernel)));
    }
    wake(kernel, socketChannel(socket));
  },
  release(kernel, socket) {
    const { tcb, ns } = socket;
    ns.raw.delete(socket);
    if (socket.state === 'listening') {
      unbind(socket);
      for (const child of [...ns.flows.values()].filter((one) => one.listener === socket && one.orphaned)) {
        emit(kernel, child, abort(child.tcb!));
        forgetFlow(kernel, child);
      }
    }
    if (!tcb || tcb.state === 'CLOSED' || tcb.state === 'SYN-SENT') {
      forgetFlow(kernel, socket);
      netOf(kernel).sockets.delete(socket.id);
      return;
    }
    if (tcb.received.length > 0) {
      emit(kernel, socket, abort(tcb));
      forgetFlow(kernel, socket);
      return;
    }
    emit(kernel, socket, finish(tcb, timeOf(kernel)));
  },
  poll(socket) {
    if (socket.state === 'listening') return socket.accepting.length > 0 ? POLLIN : 0;
    if (socket.type === 'stream') return pollStream(socket, socket.tcb);
    return (socket.queue.length > 0 || socket.receiveShut ? POLLIN : 0) | POLLOUT | (socket.error ? POLLERR : 0);
  },
};

