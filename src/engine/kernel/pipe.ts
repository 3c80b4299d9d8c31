/** Pipes and fifos: a bounded queue of bytes between writers and readers. Source: pipe(7). Capacity 64 KiB. */
import { O_ACCMODE, O_NONBLOCK, POLLERR, POLLHUP, POLLIN, POLLOUT, SIG, SysError } from './abi.ts';
import type { Kernel, Task } from './records.ts';
import { sendSignal } from './signals.ts';
import { BLOCK, type File, type FileOps, type Inode, type SuperBlock } from './vfs/types.ts';
import { createSuperBlock, makeInode } from './vfs/inode.ts';
import { waitOn, wake } from './wait.ts';
import { ByteQueue } from './queue.ts';

const CAPACITY = 65536;

interface Pipe {
  id: number;
  queue: ByteQueue;
  readers: number;
  writers: number;
  /** Ends ever opened: whoever waits for the other end must not miss one that has come and gone. */
  opened: { readers: number; writers: number };
}

function pipeOf(inode: Inode): Pipe {
  inode.data ??= { id: inode.ino, queue: new ByteQueue(), readers: 0, writers: 0, opened: { readers: 0, writers: 0 } } satisfies Pipe;
  return inode.data as Pipe;
}

const channel = (inode: Inode): string => `pipe:${inode.sb.dev}:${inode.ino}`;
const writes = (file: File): boolean => (file.flags & O_ACCMODE) !== 0;
const reads = (file: File): boolean => (file.flags & O_ACCMODE) !== 1;

export const pipeOps: FileOps = {
  read(kernel, task, file, count) {
    if (!reads(file)) throw new SysError('EBADF');
    const pipe = pipeOf(file.inode);
    if (pipe.queue.length > 0) {
      const data = pipe.queue.take(count);
      wake(kernel, channel(file.inode));
      return data;
    }
    if (pipe.writers === 0) return new Uint8Array(0);
    if (file.flags & O_NONBLOCK) throw new SysError('EAGAIN');
    waitOn(kernel, task, channel(file.inode));
    return BLOCK;
  },
  write(kernel, task, file, data) {
    if (!writes(file)) throw new SysError('EBADF');
    const pipe = pipeOf(file.inode);
    if (pipe.readers === 0) {
      sendSignal(kernel, task, SIG.PIPE, 'pipe');
      throw new SysError('EPIPE');
    }
    const room = CAPACITY - pipe.queue.length;
    if (room <= 0 || (data.length <= 4096 && room < data.length)) {
      if (file.flags & O_NONBLOCK) throw new SysError('EAGAIN');
      waitOn(kernel, task, channel(file.inode));
      return BLOCK;
    }
    const part = data.length > room ? data.subarray(0, room) : data;
    pipe.queue.put(part);
    wake(kernel, channel(file.inode));
    return part.length;
  },
  poll(_kernel, file) {
    const pipe = pipeOf(file.inode);
    let bits = 0;
    if (reads(file)) bits |= (pipe.queue.length > 0 ? POLLIN : 0) | (pipe.writers === 0 ? POLLHUP : 0);
    if (writes(file)) bits |= pipe.readers === 0 ? POLLERR | POLLOUT : pipe.queue.length < CAPACITY ? POLLOUT : 0;
    return bits;
  },
  channels: (file) => [channel(file.inode)],
  release(kernel, file) {
    const pipe = pipeOf(file.inode);
    if (reads(file)) pipe.readers--;
    if (writes(file)) pipe.writers--;
    wake(kernel, channel(file.inode));
  },
};

/** Counts a new end; called for every open description on a pipe. A fifo's open waits for the other end. */
export function joinPipe(kernel: Kernel, file: File): void {
  const pipe = pipeOf(file.inode);
  if (reads(file)) {
    pipe.readers++;
    pipe.opened.readers++;
  }
  if (writes(file)) {
    pipe.writers++;
    pipe.opened.writers++;
  }
  wake(kernel, channel(file.inode));
}

/** Does a fifo still lack the end that this open waits for? A nameless pipe opened by /proc/PID/fd waits for none. */
export function fifoLacksPeer(inode: Inode, flags: number): boolean {
  if (inode.sb.type === 'pipefs') return false;
  const pipe = pipeOf(inode);
  const mode = flags & O_ACCMODE;
  return mode === 0 ? pipe.writers === 0 : mode === 1 ? pipe.readers === 0 : false;
}

/** How many other ends have been opened so far. */
export function peersOpened(inode: Inode, flags: number): number {
  const { opened } = pipeOf(inode);
  return (flags & O_ACCMODE) === 0 ? opened.writers : opened.readers;
}

export function waitForPeer(kernel: Kernel, task: Task, inode: Inode): void {
  waitOn(kernel, task, channel(inode));
}

/** The pseudo file system of nameless pipes, one a kernel. */
export function makePipe(kernel: Kernel): Inode {
  let sb = kernel.drivers.get('pipefs') as SuperBlock | undefined;
  if (!sb) {
    sb = createSuperBlock(kernel, 'pipefs', 'pipefs', { lookup: () => null, readdir: () => [], open: () => ({ ops: pipeOps, data: null }) });
    sb.nextIno = 10000;
    kernel.drivers.set('pipefs', sb);
  }
  return makeInode(kernel, sb, 'fifo', 0o600, null);
}
