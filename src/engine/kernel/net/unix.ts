/**
 * Unix domain sockets: streams and datagrams between processes of one machine, named by a path of the file system (a node that
 * permissions guard), by an abstract name of the network namespace, or not at all. Descriptors travel with data (SCM_RIGHTS);
 * a peer's credentials are those at connect or listen. Source: unix(7). Left out: SO_PASSCRED messages, autobind.
 */
import { POLLHUP, POLLIN, POLLOUT, SysError } from '../abi.ts';
import type { Kernel, Task } from '../records.ts';
import type { SockAddr } from '../sys.ts';
import { vacate } from '../vacancy.ts';
import { dropFile } from '../vfs/descriptors.ts';
import { MAY_WRITE, requireAccess } from '../vfs/inode.ts';
import { make } from '../vfs/open.ts';
import { find, lookup } from '../vfs/path.ts';
import { BLOCK, type File, type Inode } from '../vfs/types.ts';
import { waitOn, wake } from '../wait.ts';
import type { Family } from './family.ts';
import { createSocket } from './sockfs.ts';
import { netOf, socketChannel } from './state.ts';
import type { Chunk, Socket } from './types.ts';

const BUFFER = 212_992;
/** net.unix.max_dgram_qlen. */
const DATAGRAMS = 10;
const UNNAMED: SockAddr = { family: 'unix', path: '' };

const keyOf = (inode: Inode): string => `fs:${inode.sb.dev}:${inode.ino}`;
const abstractKey = (socket: Socket, path: string): string => `abstract:${socket.ns.ino}:${path}`;
const isAbstract = (path: string): boolean => path.startsWith('\0');

function pathOf(address: SockAddr): string {
  if (address.family !== 'unix') throw new SysError('EINVAL');
  if (address.path.length > 107) throw new SysError('EINVAL');
  return address.path;
}

/** The socket bound to a name, which the caller must be allowed to write to. Throws ENOENT, EACCES, ECONNREFUSED. */
function target(kernel: Kernel, task: Task, socket: Socket, address: SockAddr): Socket {
  const path = pathOf(address);
  if (path === '') throw new SysError('ECONNREFUSED');
  let key: string;
  if (isAbstract(path)) key = abstractKey(socket, path);
  else {
    const { inode } = lookup(kernel, task, task.fs.cwd, path).dentry;
    requireAccess(task, inode, MAY_WRITE);
    if (inode.kind !== 'sock') throw new SysError('ECONNREFUSED');
    key = keyOf(inode);
  }
  const found = netOf(kernel).unix.get(key);
  if (!found) throw new SysError('ECONNREFUSED');
  return found;
}

function deliver(kernel: Kernel, to: Socket, chunk: Chunk): void {
  to.queue.push(chunk);
  to.queued += chunk.data.length;
  for (const file of chunk.files) file.refs++;
  wake(kernel, socketChannel(to));
}

/** Two ends that know each other. */
export function joinSockets(a: Socket, b: Socket): void {
  a.peer = b;
  b.peer = a;
  a.state = 'connected';
  b.state = 'connected';
  a.peerCred = b.cred;
  b.peerCred = a.cred;
}

function connectStream(kernel: Kernel, task: Task, socket: Socket, address: SockAddr, nonblocking: boolean): 0 | typeof BLOCK {
  if (socket.state === 'connected') throw new SysError('EISCONN');
  if (socket.state === 'listening') throw new SysError('EINVAL');
  const listener = target(kernel, task, socket, address);
  if (listener.type !== socket.type) throw new SysError('EPROTOTYPE');
  if (listener.state !== 'listening' || listener.receiveShut) throw new SysError('ECONNREFUSED');
  if (listener.accepting.length > listener.backlog) {
    if (nonblocking) throw new SysError('EAGAIN');
    waitOn(kernel, task, socketChannel(listener));
    return BLOCK;
  }
  const server = createSocket(kernel, listener.ns, 'unix', listener.type, null);
  Object.assign(server, { local: listener.local, remote: socket.local, cred: listener.cred, owner: listener.owner, listener, errand: task.errand });
  socket.remote = listener.local;
  joinSockets(socket, server);
  listener.accepting.push(server);
  wake(kernel, socketChannel(listener));
  return 0;
}

function sendStream(kernel: Kernel, task: Task, socket: Socket, data: Uint8Array, files: File[], nonblocking: boolean): number | typeof BLOCK {
  const { peer } = socket;
  if (socket.state !== 'connected') throw new SysError(socket.state === 'closed' ? 'EPIPE' : 'ENOTCONN');
  if (socket.sendShut || !peer || peer.receiveShut) throw new SysError('EPIPE');
  const room = BUFFER - peer.queued;
  if (room <= 0) {
    if (nonblocking) throw new SysError('EAGAIN');
    waitOn(kernel, task, socketChannel(peer));
    return BLOCK;
  }
  const part = data.length > room ? data.subarray(0, room) : data;
  if (peer.errand !== null && task.errand !== 0) peer.errand = task.errand;
  if (part.length > 0 || files.length > 0) deliver(kernel, peer, { data: part, files, from: null });
  return part.length;
}

function sendDatagram(kernel: Kernel, task: Task, socket: Socket, data: Uint8Array, files: File[], to: SockAddr | null, nonblocking: boolean): number | typeof BLOCK {
  if (socket.sendShut) throw new SysError('EPIPE');
  if (!to && socket.state !== 'connected') throw new SysError(socket.state === 'closed' ? 'ECONNREFUSED' : 'ENOTCONN');
  const peer = to ? target(kernel, task, socket, to) : socket.peer;
  if (!peer || peer.state === 'closed') throw new SysError('ECONNREFUSED');
  if (peer.receiveShut) throw new SysError('EPIPE');
  if (data.length > BUFFER) throw new SysError('EMSGSIZE');
  if (peer.queue.length > DATAGRAMS || peer.queued + data.length > BUFFER) {
    if (nonblocking) throw new SysError('EAGAIN');
    waitOn(kernel, task, socketChannel(peer));
    return BLOCK;
  }
  deliver(kernel, peer, { data, files, from: socket.local ?? UNNAMED });
  return data.length;
}

function takeStream(socket: Socket, count: number): Chunk {
  const parts: Uint8Array[] = [];
  let length = 0;
  let files: File[] = [];
  while (length < count && socket.queue.length > 0) {
    const first = socket.queue[0]!;
    if (first.files.length > 0 && parts.length > 0) break;
    files = files.concat(first.files);
    const piece = first.data.subarray(0, count - length);
    parts.push(piece);
    length += piece.length;
    if (piece.length === first.data.length) socket.queue.shift();
    else socket.queue[0] = { data: first.data.subarray(piece.length), files: [], from: first.from };
    if (first.files.length > 0) break;
  }
  socket.queued -= length;
  if (parts.length === 1) return { data: parts[0]!, files, from: null };
  const data = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    data.set(part, at);
    at += part.length;
  }
  return { data, files, from: null };
}

export const unixFamily: Family = {
  bind(kernel, task, socket, address) {
    const path = pathOf(address);
    if (socket.boundAs) throw new SysError('EINVAL');
    if (path === '') throw new SysError('EINVAL');
    const net = netOf(kernel);
    if (isAbstract(path)) {
      const key = abstractKey(socket, path);
      if (net.unix.has(key)) throw new SysError('EADDRINUSE');
      socket.boundAs = key;
    } else {
      const found = find(kernel, task, task.fs.cwd, path, true);
      if (found.target) throw new SysError('EADDRINUSE');
      const dentry = make(kernel, task, found, 'sock', 0o777 & ~task.fs.umask);
      socket.boundAs = keyOf(dentry.inode);
    }
    net.unix.set(socket.boundAs, socket);
    socket.local = { family: 'unix', path };
  },
  listen(_kernel, _task, socket, backlog) {
    if (socket.type === 'dgram') throw new SysError('EOPNOTSUPP');
    if (!socket.boundAs || socket.state === 'connected') throw new SysError('EINVAL');
    socket.state = 'listening';
    socket.backlog = Math.max(0, Math.min(backlog, 4096));
  },
  connect(kernel, task, socket, address, nonblocking) {
    if (socket.type !== 'dgram') return connectStream(kernel, task, socket, address, nonblocking);
    socket.peer = target(kernel, task, socket, address);
    if (socket.peer.type !== 'dgram') throw new SysError('EPROTOTYPE');
    socket.state = 'connected';
    socket.remote = socket.peer.local;
    return 0;
  },
  send(kernel, task, socket, data, files, to, nonblocking) {
    if (socket.type === 'dgram') return sendDatagram(kernel, task, socket, data, files, to, nonblocking);
    if (to) throw new SysError(socket.state === 'connected' ? 'EISCONN' : 'EOPNOTSUPP');
    return sendStream(kernel, task, socket, data, files, nonblocking);
  },
  receive(kernel, task, socket, count, nonblocking) {
    if (socket.queue.length > 0) {
      const boundaries = socket.type !== 'stream';
      let chunk: Chunk;
      if (boundaries) {
        const first = socket.queue.shift()!;
        socket.queued -= first.data.length;
        chunk = { ...first, data: first.data.subarray(0, count) };
      } else chunk = takeStream(socket, count);
      if (socket.errand) task.errand = socket.errand;
      wake(kernel, socketChannel(socket));
      return chunk;
    }
    if (socket.type !== 'dgram' && socket.state !== 'connected' && socket.state !== 'closed') throw new SysError(socket.state === 'listening' ? 'EINVAL' : 'ENOTCONN');
    if (socket.receiveShut || (socket.type !== 'dgram' && (!socket.peer || socket.peer.sendShut))) return { data: new Uint8Array(0), files: [], from: null };
    if (nonblocking) throw new SysError('EAGAIN');
    waitOn(kernel, task, socketChannel(socket));
    return BLOCK;
  },
  shutdown(kernel, socket, how) {
    if (socket.state !== 'connected' && socket.state !== 'closed') throw new SysError('ENOTCONN');
    if (how.receive) socket.receiveShut = true;
    if (how.send) socket.sendShut = true;
    wake(kernel, socketChannel(socket));
    if (socket.peer) wake(kernel, socketChannel(socket.peer));
  },
  release(kernel, socket) {
    const net = netOf(kernel);
    if (socket.boundAs && net.unix.get(socket.boundAs) === socket) net.unix.delete(socket.boundAs);
    net.sockets.delete(socket.id);
    vacate(kernel, socket.ns);
    for (const chunk of socket.queue) for (const file of chunk.files) dropFile(kernel, file);
    socket.queue = [];
    for (const waiting of socket.accepting.splice(0)) unixFamily.release(kernel, waiting);
    const { peer } = socket;
    socket.state = 'closed';
    socket.peer = null;
    if (peer && peer.peer === socket) {
      peer.peer = null;
      if (peer.type !== 'dgram') peer.state = 'closed';
      wake(kernel, socketChannel(peer));
    }
  },
  poll(socket) {
    if (socket.state === 'listening') return socket.accepting.length > 0 ? POLLIN : 0;
    let bits = 0;
    const { peer } = socket;
    const ended = socket.type !== 'dgram' && (socket.state === 'closed' || (socket.state === 'connected' && (!peer || peer.sendShut)));
    if (socket.queue.length > 0 || socket.receiveShut || ended) bits |= POLLIN;
    if (socket.state === 'closed' || (socket.type !== 'dgram' && socket.state === 'fresh')) bits |= POLLHUP;
    if (socket.sendShut && ended) bits |= POLLHUP;
    if (socket.state === 'closed' || socket.sendShut || !peer || peer.queued < BUFFER) bits |= POLLOUT;
    return bits;
  },
};
