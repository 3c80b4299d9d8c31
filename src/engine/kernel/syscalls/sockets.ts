/**
 * System calls on sockets. The rules are net/sockets.ts and the families; here are descriptors, errors and SCM_RIGHTS.
 * Options of setsockopt and getsockopt are named as in C ("SO_REUSEADDR"); SO_PEERCRED gives the pid, "SO_PEERCRED.uid" and
 * "SO_PEERCRED.gid" the rest.
 */
import { AF_INET, AF_INET6, AF_UNIX, ERRNO, type Errno, SIG, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM, SysError } from '../abi.ts';
import { nsCapable } from '../credentials.ts';
import { request } from '../net/rtnetlink.ts';
import { block, familyOf, installSocket, nonblocking, socketOf } from '../net/sockets.ts';
import { createSocket } from '../net/sockfs.ts';
import { socketChannel } from '../net/state.ts';
import type { Socket } from '../net/types.ts';
import { joinSockets } from '../net/unix.ts';
import type { Kernel, Task } from '../records.ts';
import { sendSignal } from '../signals.ts';
import type { SockAddr } from '../sys.ts';
import { fileOf, install } from '../vfs/descriptors.ts';
import { BLOCK, type File } from '../vfs/types.ts';
import { wake } from '../wait.ts';
import type { Handlers } from './handlers.ts';

/** SOCK_NONBLOCK and SOCK_CLOEXEC are O_NONBLOCK and O_CLOEXEC. */
const TYPE_MASK = 0xf;
const TYPES: Readonly<Record<number, Socket['type']>> = { [SOCK_STREAM]: 'stream', [SOCK_DGRAM]: 'dgram', [SOCK_RAW]: 'raw', 5: 'seqpacket' };

function typeOf(family: number, type: number): Socket['type'] {
  const known = TYPES[type & TYPE_MASK];
  if (!known) throw new SysError('EINVAL');
  if ((family === AF_UNIX && known === 'raw') || (family === AF_INET && known === 'seqpacket')) throw new SysError('EPROTONOSUPPORT');
  return known;
}

const UNNAMED: SockAddr = { family: 'unix', path: '' };
const ANY: SockAddr = { family: 'inet', address: '0.0.0.0', port: 0 };
const nameOf = (socket: Socket, address: SockAddr | null): SockAddr => address ?? (socket.family === 'unix' ? UNNAMED : ANY);

/** A write on a socket whose other end is gone also raises SIGPIPE. */
function send(kernel: Kernel, task: Task, fd: number, data: Uint8Array, files: File[], to: SockAddr | null): number | typeof BLOCK {
  const { file, socket } = socketOf(task, fd);
  try {
    return familyOf(socket).send(kernel, task, socket, data, files, to, nonblocking(file));
  } catch (error) {
    if (error instanceof SysError && error.errno === 'EPIPE') sendSignal(kernel, task, SIG.PIPE, 'socket');
    throw error;
  }
}

function pidSeenBy(kernel: Kernel, task: Task, pid: number): number {
  const other = kernel.tasks.get(pid);
  return other ? (other.nspids[task.ns.pid.level] ?? 0) : pid;
}

export const socketHandlers = {
  socket(kernel, task, family, type) {
    if (family === AF_INET6) throw new SysError('EAFNOSUPPORT');
    if (family !== AF_UNIX && family !== AF_INET) throw new SysError('EAFNOSUPPORT');
    const known = typeOf(family, type);
    if (known === 'raw' && !nsCapable(task, task.ns.net.owner, 'net_raw')) throw new SysError('EPERM');
    const socket = createSocket(kernel, task.ns.net, family === AF_UNIX ? 'unix' : 'inet', known, task);
    if (known === 'raw') task.ns.net.raw.add(socket);
    return installSocket(kernel, task, socket, type);
  },
  socketpair(kernel, task, family, type) {
    if (family !== AF_UNIX) throw new SysError(family === AF_INET ? 'EOPNOTSUPP' : 'EAFNOSUPPORT');
    const known = typeOf(family, type);
    const a = createSocket(kernel, task.ns.net, 'unix', known, task);
    const b = createSocket(kernel, task.ns.net, 'unix', known, task);
    joinSockets(a, b);
    return [installSocket(kernel, task, a, type), installSocket(kernel, task, b, type)];
  },
  bind(kernel, task, fd, address) {
    const { socket } = socketOf(task, fd);
    if (address.family !== socket.family) throw new SysError('EAFNOSUPPORT');
    familyOf(socket).bind(kernel, task, socket, address);
    return 0;
  },
  listen(kernel, task, fd, backlog) {
    const { socket } = socketOf(task, fd);
    familyOf(socket).listen(kernel, task, socket, backlog);
    socket.cred = { pid: task.tgid, uid: task.cred.euid, gid: task.cred.egid };
    return 0;
  },
  accept4(kernel, task, fd, flags) {
    const { file, socket } = socketOf(task, fd);
    if (socket.type === 'dgram' || socket.type === 'raw') throw new SysError('EOPNOTSUPP');
    if (socket.state !== 'listening') throw new SysError('EINVAL');
    const taken = socket.accepting.shift();
    if (taken) {
      taken.listener = null;
      if (socket.family === 'unix') wake(kernel, socketChannel(socket));
      return { fd: installSocket(kernel, task, taken, flags), peer: nameOf(taken, taken.remote) };
    }
    if (nonblocking(file)) throw new SysError('EAGAIN');
    return block(kernel, task, socket);
  },
  connect(kernel, task, fd, address) {
    const { file, socket } = socketOf(task, fd);
    if (address.family !== socket.family) throw new SysError(socket.family === 'unix' ? 'EINVAL' : 'EAFNOSUPPORT');
    return familyOf(socket).connect(kernel, task, socket, address, nonblocking(file));
  },
  sendto(kernel, task, fd, data, to) {
    return send(kernel, task, fd, data, [], to ?? null);
  },
  recvfrom(kernel, task, fd, count) {
    const { file, socket } = socketOf(task, fd);
    const chunk = familyOf(socket).receive(kernel, task, socket, count, nonblocking(file));
    return chunk === BLOCK ? BLOCK : { data: chunk.data, ...(chunk.from ? { from: chunk.from } : {}) };
  },
  sendmsg(kernel, task, fd, data, fds) {
    const { socket } = socketOf(task, fd);
    if (fds.length > 0 && socket.family !== 'unix') throw new SysError('EINVAL');
    if (fds.length > 253) throw new SysError('EINVAL');
    return send(kernel, task, fd, data, fds.map((one) => fileOf(task, one)), null);
  },
  recvmsg(kernel, task, fd, count) {
    const { file, socket } = socketOf(task, fd);
    const chunk = familyOf(socket).receive(kernel, task, socket, count, nonblocking(file));
    if (chunk === BLOCK) return BLOCK;
    const fds = chunk.files.map((one) => {
      const installed = install(task, one, true);
      one.refs--;
      return installed;
    });
    return { data: chunk.data, fds, ...(chunk.from ? { from: chunk.from } : {}) };
  },
  shutdown(kernel, task, fd, how) {
    const { socket } = socketOf(task, fd);
    if (how < 0 || how > 2) throw new SysError('EINVAL');
    familyOf(socket).shutdown(kernel, socket, { receive: how !== 1, send: how !== 0 });
    return 0;
  },
  getsockname(_kernel, task, fd) {
    const { socket } = socketOf(task, fd);
    return nameOf(socket, socket.local);
  },
  getpeername(_kernel, task, fd) {
    const { socket } = socketOf(task, fd);
    if (socket.state !== 'connected') throw new SysError('ENOTCONN');
    return nameOf(socket, socket.remote);
  },
  setsockopt(_kernel, task, fd, option, value) {
    const { socket } = socketOf(task, fd);
    socket.options.set(option, value);
    return 0;
  },
  getsockopt(kernel, task, fd, option) {
    const { socket } = socketOf(task, fd);
    switch (option) {
      case 'SO_ERROR': {
        const { error } = socket;
        socket.error = null;
        return error ? ERRNO[error as Errno][0] : 0;
      }
      case 'SO_TYPE':
        return Number(Object.entries(TYPES).find(([, name]) => name === socket.type)![0]);
      case 'SO_ACCEPTCONN':
        return socket.state === 'listening' ? 1 : 0;
      case 'SO_PEERCRED':
        return pidSeenBy(kernel, task, socket.peerCred.pid);
      case 'SO_PEERCRED.uid':
        return socket.peerCred.uid;
      case 'SO_PEERCRED.gid':
        return socket.peerCred.gid;
      default:
        return socket.options.get(option) ?? 0;
    }
  },
  netlink: request,
} satisfies Partial<Handlers>;
