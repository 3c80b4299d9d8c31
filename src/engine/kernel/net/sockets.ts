/**
 * Sockets as open files: making them, descriptors on them, waiting on them. What is particular to a family is in unix.ts and
 * inet.ts. Source: socket(2), unix(7), tcp(7), udp(7). A socket's inode is in sockfs; its wait channel is "socket:INODE".
 */
import { O_CLOEXEC, O_NONBLOCK, SIG, SysError } from '../abi.ts';
import type { Kernel, Task } from '../records.ts';
import { sendSignal } from '../signals.ts';
import { vacate } from '../vacancy.ts';
import { dropFile, fileOf, install, makeFile } from '../vfs/descriptors.ts';
import { makeInode } from '../vfs/inode.ts';
import { BLOCK, type File, type FileOps, type MayBlock } from '../vfs/types.ts';
import { waitOn, wake } from '../wait.ts';
import type { Family } from './family.ts';
import { inetFamily } from './inet.ts';
import { sockfs } from './sockfs.ts';
import { socketChannel } from './state.ts';
import type { Socket } from './types.ts';
import { unixFamily } from './unix.ts';

const FAMILIES: Record<Socket['family'], Family> = { unix: unixFamily, inet: inetFamily };

export function familyOf(socket: Socket): Family {
  return FAMILIES[socket.family];
}

/** A descriptor on a socket. `flags` are O_NONBLOCK and O_CLOEXEC (SOCK_NONBLOCK and SOCK_CLOEXEC have their values). */
export function installSocket(kernel: Kernel, task: Task, socket: Socket, flags: number): number {
  const sb = sockfs(kernel);
  const inode = makeInode(kernel, sb, 'sock', 0o777, socket);
  sb.nextIno--;
  inode.ino = socket.id;
  inode.uid = task.cred.euid;
  inode.gid = task.cred.egid;
  socket.orphaned = false;
  return install(task, makeFile(null, inode, socketOps, 2 | (flags & O_NONBLOCK), socket), (flags & O_CLOEXEC) !== 0);
}

/** The socket behind a descriptor. Throws EBADF, ENOTSOCK. */
export function socketOf(task: Task, fd: number): { file: File; socket: Socket } {
  const file = fileOf(task, fd);
  if (file.ops !== socketOps) throw new SysError('ENOTSOCK');
  return { file, socket: file.data as Socket };
}

export function nonblocking(file: File): boolean {
  return (file.flags & O_NONBLOCK) !== 0;
}

/** Sleeps until something happens to the socket. */
export function block(kernel: Kernel, task: Task, socket: Socket): typeof BLOCK {
  waitOn(kernel, task, socketChannel(socket));
  return BLOCK;
}

export function writeSocket(kernel: Kernel, task: Task, file: File, data: Uint8Array): MayBlock<number> {
  const socket = file.data as Socket;
  try {
    return familyOf(socket).send(kernel, task, socket, data, [], null, nonblocking(file));
  } catch (error) {
    if (error instanceof SysError && error.errno === 'EPIPE') sendSignal(kernel, task, SIG.PIPE, 'socket');
    throw error;
  }
}

export const socketOps: FileOps = {
  read(kernel, task, file, count) {
    const socket = file.data as Socket;
    const chunk = familyOf(socket).receive(kernel, task, socket, count, nonblocking(file));
    if (chunk === BLOCK) return BLOCK;
    for (const one of chunk.files) dropFile(kernel, one);
    return chunk.data;
  },
  write: writeSocket,
  ioctl(_kernel, _task, file, request) {
    const socket = file.data as Socket;
    if (request === 0x541b) return socket.tcb ? socket.tcb.received.length : socket.queued;
    throw new SysError('ENOTTY');
  },
  poll: (_kernel, file) => {
    const socket = file.data as Socket;
    return familyOf(socket).poll(socket);
  },
  channels: (file) => [socketChannel(file.data as Socket)],
  release(kernel, file) {
    const socket = file.data as Socket;
    socket.orphaned = true;
    vacate(kernel, socket.ns);
    familyOf(socket).release(kernel, socket);
    wake(kernel, socketChannel(socket));
  },
};
