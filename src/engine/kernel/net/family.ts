/** What an address family does for a socket: one record of functions a family, chosen by `socket.family`. */
import type { Kernel, Task } from '../records.ts';
import type { SockAddr } from '../sys.ts';
import type { File, MayBlock } from '../vfs/types.ts';
import type { Chunk, Socket } from './types.ts';

export interface Family {
  bind(kernel: Kernel, task: Task, socket: Socket, address: SockAddr): void;
  listen(kernel: Kernel, task: Task, socket: Socket, backlog: number): void;
  /** `nonblocking`: EINPROGRESS or EAGAIN instead of BLOCK. */
  connect(kernel: Kernel, task: Task, socket: Socket, address: SockAddr, nonblocking: boolean): MayBlock<0>;
  send(kernel: Kernel, task: Task, socket: Socket, data: Uint8Array, files: File[], to: SockAddr | null, nonblocking: boolean): MayBlock<number>;
  /** One piece, at most `count` bytes; empty at end of file. */
  receive(kernel: Kernel, task: Task, socket: Socket, count: number, nonblocking: boolean): MayBlock<Chunk>;
  shutdown(kernel: Kernel, socket: Socket, how: { receive: boolean; send: boolean }): void;
  /** The last descriptor is gone. */
  release(kernel: Kernel, socket: Socket): void;
  poll(socket: Socket): number;
}
