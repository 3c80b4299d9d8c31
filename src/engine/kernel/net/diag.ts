/** What ss(8) and /proc/net ask about sockets (sock_diag(7)): those of one network namespace, in order of their inodes. */
import type { Kernel, Task } from '../records.ts';
import type { SockAddr } from '../sys.ts';
import { netOf } from './state.ts';
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
  /** Who has it open, as the asker sees pids. */
  users: { comm: string; pid: number; fd: number }[];
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
      peer: socket.peer?.id ?? 0, uid: socket.cred.uid, users: users.get(socket.id) ?? [],
    });
  }
  return rows;
}
