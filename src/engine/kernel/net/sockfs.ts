/** The pseudo file system of sockets, and making one. Opening a socket by a path (/proc/PID/fd) is refused, as sockfs has no open. */
import { SysError } from '../abi.ts';
import type { Kernel, Task } from '../records.ts';
import { createSuperBlock } from '../vfs/inode.ts';
import type { SuperBlock } from '../vfs/types.ts';
import { netOf } from './state.ts';
import type { NetNamespace, Socket } from './types.ts';

export function sockfs(kernel: Kernel): SuperBlock {
  let sb = kernel.drivers.get('sockfs') as SuperBlock | undefined;
  if (!sb) {
    sb = createSuperBlock(kernel, 'sockfs', 'sockfs', {
      lookup: () => null, readdir: () => [],
      open() {
        throw new SysError('ENXIO');
      },
    });
    sb.nextIno = 20000;
    kernel.drivers.set('sockfs', sb);
  }
  return sb;
}

/** A socket without a descriptor; `ns` is where it belongs for good. */
export function createSocket(kernel: Kernel, ns: NetNamespace, family: Socket['family'], type: Socket['type'], task: Task | null): Socket {
  const cred = task ? { pid: task.tgid, uid: task.cred.euid, gid: task.cred.egid } : { pid: 0, uid: 0, gid: 0 };
  const socket: Socket = {
    id: sockfs(kernel).nextIno++, family, type, ns, kernel, state: 'fresh', local: null, remote: null, boundAs: null, backlog: 0, accepting: [], queue: [], queued: 0,
    receiveShut: false, sendShut: false, peer: null, tcb: null, listener: null, error: null, options: new Map(), cred,
    peerCred: { pid: 0, uid: 0, gid: 0 }, errand: null, orphaned: true, owner: task?.comm ?? '', timerAt: 0,
  };
  netOf(kernel).sockets.set(socket.id, socket);
  return socket;
}
