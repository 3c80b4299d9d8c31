/**
 * /dev/pts and /dev/ptmx: pairs of pseudo-terminals. Every mount of devpts is an instance of its own with numbers from 0;
 * opening its ptmx (or /dev/ptmx, which uses the instance at /dev/pts) gives a master, and a node for the slave appears.
 * Source: pts(4), kernel doc filesystems/devpts.
 */
import { O_NONBLOCK, POLLHUP, POLLIN, POLLOUT, SysError, TIOCGPTN, TIOCGPTPEER, TIOCSPTLCK } from '../abi.ts';
import { joinBytes } from '../../sim/wire.ts';
import type { Kernel, Task } from '../records.ts';
import { hangUp, openTty, ttyIoctl } from '../terminal.ts';
import { createTty, outputChannel, receive, type Tty } from '../tty.ts';
import { waitOn, wake } from '../wait.ts';
import { install, makeFile } from './descriptors.ts';
import { createSuperBlock, makeDentry, makeInode } from './inode.ts';
import { mountOptions } from './options.ts';
import { lookup } from './path.ts';
import { BLOCK, type Dentry, type File, type FileOps, type FsOps, type Inode, type Path, type SuperBlock } from './types.ts';

const SLAVE_MAJOR = 136;

interface Instance {
  /** By name: ptmx and the numbers in use. */
  nodes: Map<string, Dentry>;
  ptys: Map<number, Pty>;
  gid: number;
  mode: number;
}

interface Pty {
  tty: Tty;
  instance: Instance;
  sb: SuperBlock;
  /** A slave has been opened: only then does the last close mean that nobody is there. */
  opened: boolean;
}

const instanceOf = (sb: SuperBlock): Instance => sb.data as Instance;

const masterOps: FileOps = {
  read(kernel, task, file, count) {
    const { tty } = file.data as Pty;
    if (tty.output.length > 0) {
      const data = takeSome(tty, count);
      wake(kernel, outputChannel(tty));
      return data;
    }
    if (slaveGone(file)) throw new SysError('EIO');
    if (file.flags & O_NONBLOCK) throw new SysError('EAGAIN');
    waitOn(kernel, task, outputChannel(tty));
    return BLOCK;
  },
  write(kernel, task, file, data) {
    const { tty } = file.data as Pty;
    const room = tty.termios.canonical ? data.length : 8192 - tty.readyBytes;
    if (room <= 0) {
      if (file.flags & O_NONBLOCK) throw new SysError('EAGAIN');
      waitOn(kernel, task, outputChannel(tty));
      return BLOCK;
    }
    const part = data.subarray(0, room);
    receive(kernel, tty, part);
    return part.length;
  },
  ioctl(kernel, task, file, request, arg) {
    const pty = file.data as Pty;
    if (request === TIOCGPTN) return pty.tty.index;
    if (request === TIOCSPTLCK) return 0;
    if (request === TIOCGPTPEER) return openPeer(kernel, task, file, Number(arg ?? 2));
    return ttyIoctl(kernel, task, pty.tty, request, arg);
  },
  poll(_kernel, file) {
    const { tty } = file.data as Pty;
    return (tty.output.length > 0 ? POLLIN : 0) | (slaveGone(file) ? POLLHUP : 0) | (tty.termios.canonical || tty.readyBytes < 8192 ? POLLOUT : 0);
  },
  channels: (file) => [outputChannel((file.data as Pty).tty)],
  release(kernel, file) {
    const { tty, instance } = file.data as Pty;
    hangUp(kernel, tty);
    instance.ptys.delete(tty.index);
    const node = instance.nodes.get(String(tty.index));
    if (node) node.deleted = true;
    instance.nodes.delete(String(tty.index));
  },
};

function takeSome(tty: Tty, count: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let left = count;
  while (left > 0 && tty.output.length > 0) {
    const first = tty.output[0]!;
    const data = first.data.subarray(0, left);
    parts.push(data);
    left -= data.length;
    if (data.length === first.data.length) tty.output.shift();
    else first.data = first.data.subarray(data.length);
  }
  tty.outputBytes -= count - left;
  return parts.length === 1 ? parts[0]! : joinBytes(parts);
}

function slaveGone(file: File): boolean {
  const pty = file.data as Pty;
  return pty.opened && pty.tty.users === 0;
}

/** A descriptor of the slave without going through a path. */
function openPeer(kernel: Kernel, task: Task, file: File, flags: number): number {
  const pty = file.data as Pty;
  const dentry = pty.instance.nodes.get(String(pty.tty.index))!;
  pty.opened = true;
  const { ops, data } = openTty(kernel, task, pty.tty, flags);
  const mount = file.path?.mount;
  const path: Path | null = mount && mount.sb === pty.sb ? { mount, dentry } : null;
  return install(task, makeFile(path, dentry.inode, ops, flags, data), false);
}

function openMaster(kernel: Kernel, task: Task, sb: SuperBlock): { ops: FileOps; data: Pty } {
  const instance = instanceOf(sb);
  let index = 0;
  while (instance.ptys.has(index)) index++;
  const tty = createTty(kernel, `pts/${index}`, index, true);
  const pty: Pty = { tty, instance, sb, opened: false };
  instance.ptys.set(index, pty);
  const inode = makeInode(kernel, sb, 'chr', instance.mode, pty);
  inode.ino = index + 3;
  inode.rdev = [SLAVE_MAJOR, index];
  inode.uid = task.cred.euid;
  inode.gid = instance.gid >= 0 ? instance.gid : task.cred.egid;
  instance.nodes.set(String(index), makeDentry(String(index), sb.root, inode));
  return { ops: masterOps, data: pty };
}

const dirOps: FileOps = { readdir: (kernel, _task, file) => file.inode.sb.ops.readdir(kernel, file.path!.dentry) };

const devptsOps: FsOps = {
  lookup: (_kernel, dir, name) => (dir === dir.sb.root ? (instanceOf(dir.sb).nodes.get(name) ?? null) : null),
  readdir: (_kernel, dir) =>
    [...instanceOf(dir.sb).nodes].map(([name, dentry]) => ({ name, ino: dentry.inode.ino, type: dentry.inode.kind })),
  setattr(_kernel, _task, entry, { size: _, ...change }) {
    Object.assign(entry.inode, change);
  },
  open(kernel, task, entry, flags) {
    if (entry === entry.sb.root) return { ops: dirOps, data: null };
    if (entry.name === 'ptmx') return openMaster(kernel, task, entry.sb);
    const pty = entry.inode.data as Pty;
    const opened = openTty(kernel, task, pty.tty, flags);
    pty.opened = true;
    return opened;
  },
};

/** mount -t devpts: options gid, mode, ptmxmode, newinstance. */
export function mountDevpts(kernel: Kernel, _task: Task, source: string, data: string): SuperBlock {
  const options = mountOptions(data);
  const octal = (name: string, otherwise: number): number => {
    const value = options.get(name);
    if (value === undefined) return otherwise;
    if (!/^[0-7]{1,4}$/.test(value)) throw new SysError('EINVAL');
    return Number.parseInt(value, 8);
  };
  const gid = options.get('gid');
  const mode = octal('mode', 0o600);
  const ptmxmode = octal('ptmxmode', 0);
  const shown = `${gid === undefined ? '' : `gid=${gid},`}mode=${mode.toString(8)},ptmxmode=${ptmxmode.toString(8).padStart(3, '0')}`;
  const instance: Instance = { nodes: new Map(), ptys: new Map(), gid: gid === undefined ? -1 : Number(gid), mode };
  const sb = createSuperBlock(kernel, 'devpts', source, devptsOps, shown, instance);
  const root = makeInode(kernel, sb, 'dir', 0o755, null);
  sb.root = makeDentry('', null, root);
  const ptmx: Inode = makeInode(kernel, sb, 'chr', ptmxmode, null);
  ptmx.rdev = [5, 2];
  instance.nodes.set('ptmx', makeDentry('ptmx', sb.root, ptmx));
  return sb;
}

/** /dev/ptmx outside a devpts: the instance mounted at /dev/pts as the caller sees it. */
export function registerPtmx(kernel: Kernel): void {
  kernel.devices.set('c5:2', (k, task, _inode, _flags) => {
    const { dentry } = lookup(k, task, task.fs.root, '/dev/pts');
    if (dentry.sb.type !== 'devpts') throw new SysError('ENODEV');
    return openMaster(k, task, dentry.sb);
  });
}

