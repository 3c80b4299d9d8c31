/** What happens to the network later: packets that arrive, packets sent after a wait, timers of streams. Event kind "net". */
import { SECOND } from '../../sim/units.ts';
import type { Errno } from '../abi.ts';
import type { Kernel } from '../records.ts';
import { timeOf, wake } from '../wait.ts';
import { icmpError } from './errors.ts';
import { output, proceed } from './forward.ts';
import { icmpInput } from './icmp.ts';
import { boundTo, emit, flowKey, forgetFlow, mtuTo, queueDatagram } from './inet.ts';
import { createSocket } from './sockfs.ts';
import { confirmNeighbour, neighbourTimer } from './neighbour.ts';
import { linkByIndex, netOf, socketChannel, ttlOf } from './state.ts';
import { beginWalk, later, type NetEvent, noteHop, snapshot } from './walk.ts';
import { abort, createTcb, input, narrowed, resetFor, synAckOf, timeout } from './tcp.ts';
import type { NetNamespace, Packet, Socket, Tuple } from './types.ts';

/** 2 MSL, and as long for an end that only waits for the other's FIN. */
const LINGER = 60 * SECOND;

/** Names the handler of the network's events; once a kernel. */
export function registerNet(kernel: Kernel): void {
  kernel.events.set('net', (target, arg) => netEvent(target, arg as NetEvent));
}

function netEvent(kernel: Kernel, event: NetEvent): void {
  const net = netOf(kernel);
  if (event.do === 'timer') {
    const socket = net.sockets.get(event.socket);
    if (socket) onTimer(kernel, socket);
    return;
  }
  const ns = net.namespaces.get(event.ns);
  if (!ns) return;
  if (event.do === 'depart') {
    departs(kernel, ns, event);
    return;
  }
  if (event.do === 'neighbour') {
    proceed(neighbourTimer(kernel, ns, event.link, event.address));
    return;
  }
  if (event.do === 'output') {
    output(kernel, ns, event.packet, 'the kernel');
    return;
  }
  const taker = takerOf(ns, event.packet);
  noteHop(kernel, timeOf(kernel), ns, event.link, event.trail, snapshot(event.packet), { hook: 'socket', action: taker ? 'deliver' : 'none', why: taker || 'no socket takes it' });
  if (event.packet.proto === 'tcp') tcpInput(kernel, ns, event.packet);
  else if (event.packet.proto === 'udp') udpInput(kernel, ns, event.packet);
  else icmpInput(kernel, ns, event.packet, (about, errno, mtu) => onError(kernel, ns, about, errno, mtu));
}

/** A frame has been through the queue of its link. */
function departs(kernel: Kernel, ns: NetNamespace, { link: index, packet, trail, from, to }: Extract<NetEvent, { do: 'depart' }>): void {
  const link = linkByIndex(ns, index);
  if (!link) return;
  if (link.discipline) {
    link.discipline.backlogPackets = Math.max(0, link.discipline.backlogPackets - 1);
    link.discipline.backlogBytes = Math.max(0, link.discipline.backlogBytes - packet.length - 14);
  }
  proceed([{ walk: beginWalk(kernel, packet, trail), place: { at: 'transmit', ns, link, from, to, queued: true } }]);
}

/** Who takes a packet in this namespace: "tcp socket 20011 of nginx". */
function takerOf(ns: NetNamespace, { proto, src, dst, sport, dport }: Packet): string {
  if (proto === 'icmp') return 'the kernel';
  const flow = proto === 'tcp' ? ns.flows.get(flowKey({ address: dst, port: dport }, { address: src, port: sport })) : undefined;
  const socket = flow ?? boundTo(ns, proto, dst, dport);
  return socket ? `${proto} socket ${socket.id} of ${socket.owner || 'nobody yet'}` : '';
}

function tcpInput(kernel: Kernel, ns: NetNamespace, packet: Packet): void {
  if (packet.flags.includes('.') && packet.mac !== undefined) confirmNeighbour(ns, packet.src, timeOf(kernel));
  const socket = ns.flows.get(flowKey({ address: packet.dst, port: packet.dport }, { address: packet.src, port: packet.sport }));
  const listener = boundTo(ns, 'tcp', packet.dst, packet.dport);
  if (socket) segment(kernel, socket, packet);
  else if (packet.flags === 'S' && listener?.state === 'listening') open(kernel, ns, listener, packet);
  else if (!packet.flags.includes('R')) output(kernel, ns, resetFor(packet, ttlOf(ns)));
}

/** A SYN for a listening socket. With a full queue it is dropped, and the caller tries again. */
function open(kernel: Kernel, ns: NetNamespace, listener: Socket, packet: Packet): void {
  if (listener.accepting.length > listener.backlog) return;
  const local = { address: packet.dst, port: packet.dport };
  const remote = { address: packet.src, port: packet.sport };
  const child = createSocket(kernel, ns, 'inet', 'stream', null);
  const tcb = createTcb(local, remote, 'SYN-RECV', mtuTo(ns, remote.address) - 40, ttlOf(ns));
  Object.assign(child, {
    tcb, listener, state: 'connected', local: { family: 'inet', ...local }, remote: { family: 'inet', ...remote }, cred: listener.cred, owner: listener.owner,
  });
  ns.flows.set(flowKey(local, remote), child);
  emit(kernel, child, synAckOf(tcb, timeOf(kernel), packet));
}

function segment(kernel: Kernel, socket: Socket, packet: Packet): void {
  const tcb = socket.tcb!;
  if (tcb.state === 'TIME-WAIT' && packet.flags === 'S') {
    forgetFlow(kernel, socket);
    tcpInput(kernel, socket.ns, packet);
    return;
  }
  const before = tcb.state;
  const answers = input(tcb, packet, timeOf(kernel));
  const accepted = socket.listener !== null && socket.orphaned && !socket.listener.orphaned;
  if (before === 'SYN-RECV' && tcb.state !== 'SYN-RECV' && tcb.state !== 'CLOSED' && accepted) {
    socket.listener!.accepting.push(socket);
    wake(kernel, socketChannel(socket.listener!));
  }
  if (before === 'SYN-SENT' && tcb.state === 'ESTAB') socket.state = 'connected';
  emit(kernel, socket, answers);
  if (socket.orphaned && !waitsForAccept(socket) && tcb.received.length > 0) {
    emit(kernel, socket, abort(tcb));
    forgetFlow(kernel, socket);
  }
  settle(kernel, socket, before);
  wake(kernel, socketChannel(socket));
}

/** Nobody has a descriptor yet, but somebody will. */
function waitsForAccept(socket: Socket): boolean {
  const { listener } = socket;
  return listener !== null && !listener.orphaned && (listener.accepting.includes(socket) || socket.tcb?.state === 'SYN-RECV');
}

function settle(kernel: Kernel, socket: Socket, before: string): void {
  const { state, error } = socket.tcb!;
  if (state === before) return;
  if (state === 'CLOSED') {
    if (error) socket.error ??= error;
    forgetFlow(kernel, socket);
  } else if (state === 'TIME-WAIT' || (state === 'FIN-WAIT-2' && socket.orphaned)) {
    later(kernel, LINGER, { do: 'timer', socket: socket.id });
    socket.timerAt = timeOf(kernel) + LINGER;
  }
}

function onTimer(kernel: Kernel, socket: Socket): void {
  const { tcb } = socket;
  const now = timeOf(kernel);
  if (!tcb) return;
  if (socket.timerAt > now) return;
  socket.timerAt = 0;
  if (tcb.state === 'TIME-WAIT' || (tcb.state === 'FIN-WAIT-2' && socket.orphaned)) {
    tcb.state = 'CLOSED';
    forgetFlow(kernel, socket);
    return;
  }
  const before = tcb.state;
  emit(kernel, socket, timeout(tcb, now));
  settle(kernel, socket, before);
  if (tcb.state !== before) wake(kernel, socketChannel(socket));
}

function udpInput(kernel: Kernel, ns: NetNamespace, packet: Packet): void {
  const socket = boundTo(ns, 'udp', packet.dst, packet.dport);
  const { remote } = socket ?? {};
  const strange = remote?.family === 'inet' && (remote.address !== packet.src || remote.port !== packet.sport);
  if (socket && !strange) {
    queueDatagram(kernel, socket, packet);
    return;
  }
  icmpError(beginWalk(kernel, packet), ns, { type: 3, code: 3 });
}

/** An ICMP error about something that this namespace sent: fatal to a handshake, and told to a connected datagram socket. */
function onError(kernel: Kernel, ns: NetNamespace, about: Tuple, errno: Errno, mtu: number): void {
  const local = { address: about.src, port: about.sport };
  const remote = { address: about.dst, port: about.dport };
  if (mtu > 0) ns.pathMtu.set(about.dst, Math.max(552, mtu));
  if (about.proto === 'tcp') {
    const socket = ns.flows.get(flowKey(local, remote));
    if (mtu > 0 && socket?.tcb) emit(kernel, socket, narrowed(socket.tcb, mtu, timeOf(kernel)));
    if (socket?.tcb?.state !== 'SYN-SENT') return;
    socket.error = errno;
    socket.tcb.state = 'CLOSED';
    socket.tcb.timer = 0;
    wake(kernel, socketChannel(socket));
    return;
  }
  if (about.proto !== 'udp') return;
  const socket = boundTo(ns, 'udp', local.address, local.port);
  if (!socket?.remote || mtu > 0) return;
  socket.error = errno;
  wake(kernel, socketChannel(socket));
}
