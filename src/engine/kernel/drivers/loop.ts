/**
 * Loop devices: a file as a block device. /dev/loop-control tells which is free, LOOP_CONFIGURE ties one to a file from an offset on,
 * LOOP_CLR_FD lets go, at once or, while it is mounted, when the last mount is gone. A bound one is a disk like those that are plugged
 * in, whose blocks are the file's bytes. Source: loop(4), drivers/block/loop.c, losetup(8).
 * Simplified: the tree of a file system goes with the file (its inode and the offset), not with a copy of its bytes; what is written
 * below the mount does not show in the file.
 */
import { LOOP_CLR_FD, LOOP_CONFIGURE, LOOP_CTL_GET_FREE, LOOP_GET_STATUS64, LOOP_SET_CAPACITY, type LoopConfig, type LoopStatus, SysError } from '../abi.ts';
import { diskAt, diskOps, isMounted, type BlockDisk, type Plugged, setPlugged, pluggedDisks } from '../block.ts';
import { capableEverywhere } from '../vfs/inode.ts';
import { logLine } from '../log.ts';
import type { Kernel, Task } from '../records.ts';
import { populate } from '../vfs/build.ts';
import { fileOf } from '../vfs/descriptors.ts';
import { pathText } from '../vfs/path.ts';
import type { Content } from '../vfs/content.ts';
import type { File, FileOps, Inode, SuperBlock } from '../vfs/types.ts';
import { readonlyAt } from '../vfs/open.ts';

const MAJOR = 7;
const COUNT = 8;
const SECTOR = 512;
const DISK_GROUP = 6;

/** A device that is tied to a file. */
export interface Loop extends Omit<LoopConfig, 'fd'> {
  inode: Inode;
  file: File;
  /** It was mounted since it was made to go by itself. */
  seen: boolean;
}

const disks = new WeakMap<Inode, Map<number, BlockDisk>>();

/** The disk that a file is from an offset on: the same each time, with the tree of its file system. */
function diskOf(inode: Inode, offset: number, sizeLimit: number): BlockDisk {
  let byOffset = disks.get(inode);
  if (!byOffset) disks.set(inode, (byOffset = new Map()));
  let disk = byOffset.get(offset);
  if (!disk) byOffset.set(offset, (disk = { serial: '', size: 0, blocks: inode.data as Content, base: offset, tree: null }));
  const rest = Math.max(0, inode.size - offset);
  disk.size = Math.floor((sizeLimit > 0 ? Math.min(sizeLimit, rest) : rest) / SECTOR) * SECTOR;
  return disk;
}

const bound = (kernel: Kernel, minor: number): Plugged | undefined => {
  settleLoops(kernel);
  return pluggedDisks(kernel).find((one) => one.major === MAJOR && one.minor === minor);
};

/** Those that go by themselves and whose last mount is gone let go of their file. */
export function settleLoops(kernel: Kernel): void {
  for (const one of pluggedDisks(kernel)) {
    const { loop } = one;
    if (!loop) continue;
    const mounted = one.disk.tree !== null && isMounted(kernel, one.disk.tree.sb);
    if (mounted) loop.seen = true;
    else if (loop.autoclear && loop.seen) release(kernel, one);
  }
}

function release(kernel: Kernel, one: Plugged): void {
  setPlugged(kernel, pluggedDisks(kernel).filter((other) => other !== one));
  one.loop!.file.refs--;
}

function configure(kernel: Kernel, task: Task, minor: number, config: LoopConfig): 0 {
  if (!capableEverywhere(task, 'sys_admin')) throw new SysError('EPERM');
  if (bound(kernel, minor)) throw new SysError('EBUSY');
  const file = fileOf(task, config.fd);
  if (file.inode.kind !== 'file') throw new SysError('EINVAL');
  const disk = diskOf(file.inode, config.offset, config.sizeLimit);
  const readonly = config.readonly || (file.flags & 3) === 0 || (file.path !== null && readonlyAt(file.path));
  const loop: Loop = { inode: file.inode, file, offset: config.offset, sizeLimit: config.sizeLimit, readonly, autoclear: config.autoclear, seen: false };
  file.refs++;
  setPlugged(kernel, [...pluggedDisks(kernel), { name: `loop${minor}`, major: MAJOR, minor, disk, loop }]);
  if (disk.size > 0) logLine(kernel, 6, `loop${minor}: detected capacity change from 0 to ${disk.size / SECTOR}`);
  return 0;
}

function status(kernel: Kernel, task: Task, minor: number): LoopStatus {
  const loop = bound(kernel, minor)?.loop;
  if (!loop) throw new SysError('ENXIO');
  const { file, inode, offset, sizeLimit, readonly, autoclear } = loop;
  return { file: file.path ? pathText(task, file.path) : '', ino: inode.ino, dev: inode.sb.dev, offset, sizeLimit, readonly, autoclear };
}

function clear(kernel: Kernel, minor: number): 0 {
  const one = bound(kernel, minor);
  if (!one) throw new SysError('ENXIO');
  const loop = one.loop!;
  if (one.disk.tree && isMounted(kernel, one.disk.tree.sb)) loop.autoclear = true;
  else release(kernel, one);
  return 0;
}

function loopOps(minor: number): FileOps {
  const ops = (kernel: Kernel): FileOps => {
    const one = bound(kernel, minor);
    return one ? diskOps(one) : {};
  };
  return {
    poll: () => 5,
    read: (kernel, task, file, count, offset) => ops(kernel).read?.(kernel, task, file, count, offset) ?? new Uint8Array(0),
    write(kernel, task, file, data, offset) {
      const one = bound(kernel, minor);
      if (!one) throw new SysError('ENOSPC');
      if (one.loop!.readonly) throw new SysError('EPERM');
      return diskOps(one).write!(kernel, task, file, data, offset);
    },
    ioctl(kernel, task, file, request, arg) {
      if (request === LOOP_CONFIGURE) return configure(kernel, task, minor, arg as LoopConfig);
      if (request === LOOP_GET_STATUS64) return status(kernel, task, minor);
      if (request === LOOP_CLR_FD) return clear(kernel, minor);
      if (request === LOOP_SET_CAPACITY) {
        const loop = bound(kernel, minor)?.loop;
        if (!loop) throw new SysError('ENXIO');
        diskOf(loop.inode, loop.offset, loop.sizeLimit);
        return 0;
      }
      return ops(kernel).ioctl?.(kernel, task, file, request, arg) ?? 0;
    },
  };
}

/** /dev/loop0 to loop7 appear once somebody asks for one: the module is loaded then. */
function load(kernel: Kernel): void {
  if (kernel.drivers.has('loop')) return;
  kernel.drivers.set('loop', true);
  for (let minor = 0; minor < COUNT; minor++) kernel.devices.set(`b${MAJOR}:${minor}`, () => ({ ops: loopOps(minor), data: null }));
  const dev = kernel.drivers.get('sb:devtmpfs') as SuperBlock | undefined;
  if (dev) populate(kernel, dev, Object.fromEntries(Array.from({ length: COUNT }, (_, minor) => [`/loop${minor}`, { type: 'blk', major: MAJOR, minor, mode: 0o660, gid: DISK_GROUP } as const])));
}

const control: FileOps = {
  ioctl(kernel, _task, _file, request) {
    if (request !== LOOP_CTL_GET_FREE) throw new SysError('ENOTTY');
    settleLoops(kernel);
    for (let minor = 0; minor < COUNT; minor++) if (!diskAt(kernel, [MAJOR, minor])) return minor;
    throw new SysError('ENOSPC');
  },
};

/** Called once a kernel. */
export function registerLoop(kernel: Kernel): void {
  kernel.devices.set('c10:237', () => {
    load(kernel);
    return { ops: control, data: null };
  });
}
