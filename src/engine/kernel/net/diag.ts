/** What ss(8) and /proc/net ask about sockets (sock_diag(7)): those of one network namespace, in order of their inodes. */
import type { Kernel, Task } from '../records.ts';
import type { SockAddr } from '../sys.ts';
import { netOf } from './state.ts';
import { timeOf } from '../wait.ts';
import type { Tcb } from './tcp.ts';
import type { NetNamespace, Socket } from './types.ts';

export interface SocketInfo {
  ino: number;
  family: Socket['family'];
  type: Socket['type'];
  /** As ss prints it: LISTEN, ESTAB, SYN-SENT, TIME-WAIT, UNCONN, … */
  state: string;
  local: SockAddr | null;
  remote: SockAddr | null;
  /** Of a listening socket: connections that wait, and how many may. */
  recvq: number;
  sendq: number;
  /** Inode of a unix socket's other end. */
  peer: number;
  uid: number;
  /** Of a connection: what ss -i and -o tell. ns, bytes, segments. */
  tcp: TcpInfo | null;
  /** Who has it open, as the asker sees pids. */
  users: { comm: string; pid: number; fd: number }[];
}

export interface TcpInfo {
  rto: number;
  srtt: number;
  rttvar: number;
  minRtt: number;
  mss: number;
  pmtu: number;
  advertised: number;
  cwnd: number;
  /** 0 before the first loss. */
  ssthresh: number;
  totals: Tcb['totals'];
  /** ns ago. */
  since: { sent: number; received: number; acked: number };
  /** Segments on their way, repeated and not yet acknowledged, and all ever repeated. */
  unacked: number;
  retransmitted: number;
  lost: number;
  early: number;
  backoff: number;
  window: number;
  room: number;
  /** ns until the timer fires; 0 none. */
  timer: number;
  repeats: number;
}

function infoOf(tcb: Tcb, now: number): TcpInfo {
  const { congestion: c, mss, sent } = tcb;
  const segments = (list: readonly { data: Uint8Array }[]): number => list.reduce((n, one) => n + Math.max(1, Math.ceil(one.data.length / mss)), 0);
  const ago = (at: number): number => (at === 0 ? now : now - at);
  return {
    rto: tcb.rto, srtt: c.srtt, rttvar: c.rttvar, minRtt: c.minRtt, mss, pmtu: Math.min(65535, tcb.advertised + 40), advertised: tcb.advertised - 12, cwnd: Math.floor(c.cwnd),
    ssthresh: Number.isFinite(c.ssthresh) ? c.ssthresh : 0, totals: { ...tcb.totals }, since: { sent: ago(tcb.last.sent), received: ago(tcb.last.received), acked: ago(tcb.last.acked) },
    unacked: segments(sent), retransmitted: segments(sent.filter((one) => one.repeats > 0)), lost: segments(sent.filter((one) => one.lost)), early: tcb.early.length, backoff: tcb.repeats,
    window: tcb.window, room: tcb.room, timer: tcb.timer > now ? tcb.timer - now : 0, repeats: tcb.repeats,
  };
}

export function stateOf(socket: Socket): string {
  if (socket.state === 'listening') return 'LISTEN';
  if (socket.tcb) return socket.tcb.state === 'CLOSED' ? 'UNCONN' : socket.tcb.state;
  return socket.state === 'connected' ? 'ESTAB' : 'UNCONN';
}

export function socketList(kernel: Kernel, task: Task, ns: NetNamespace): SocketInfo[] {
  const users = new Map<number, SocketInfo['users']>();
  for (const [pid, other] of task.ns.pid.tasks) {
    if (other.leader !== other) continue;
    other.files.slots.forEach((slot, fd) => {
      if (slot?.file.inode.sb.type !== 'sockfs') return;
      const list = users.get(slot.file.inode.ino) ?? [];
      list.push({ comm: other.comm, pid, fd });
      users.set(slot.file.inode.ino, list);
    });
  }
  const rows: SocketInfo[] = [];
  for (const socket of [...netOf(kernel).sockets.values()].sort((a, b) => a.id - b.id)) {
    if (socket.ns !== ns) continue;
    const listening = socket.state === 'listening';
    rows.push({
      ino: socket.id, family: socket.family, type: socket.type, state: stateOf(socket), local: socket.local, remote: socket.remote,
      recvq: listening ? socket.accepting.length : socket.tcb ? socket.tcb.received.length : socket.queued,
      sendq: listening ? socket.backlog : socket.tcb ? socket.tcb.waiting.length + socket.tcb.next - socket.tcb.una : 0,
      peer: socket.peer?.id ?? 0, tcp: socket.tcb && !listening ? infoOf(socket.tcb, timeOf(kernel)) : null, uid: socket.cred.uid, users: users.get(socket.id) ?? [],
    });
  }
  return rows;
}
