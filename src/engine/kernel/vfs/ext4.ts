/**
 * ext4 on a disk that can be attached: mounting by the superblock that lies in its blocks, and growing it while mounted.
 * Source: kernel doc admin-guide/ext4. Left out: mount options' effects, errors of a damaged tree.
 */
import { SysError } from '../abi.ts';
import { type BlockDisk, diskAt, fileSystemOn, isMounted } from '../block.ts';
import { journalOf, overheadOf, reservedOf, type Super, superBytes, usedAtFirst } from '../../sim/ext4.ts';
import { logLine } from '../log.ts';
import type { Kernel, MakeFileSystem } from '../records.ts';
import { populate } from './build.ts';
import { writeContent } from './content.ts';
import { capableEverywhere } from './inode.ts';
import { lookup } from './path.ts';
import { childrenOf, createTmpfs, tmpfsOps } from './tmpfs.ts';
import type { FileOps, FsOps, SuperBlock } from './types.ts';

/** The next number of a file system that holds lost+found alone. */
const FIRST_INODE = 12;

export const EXT4_IOC_RESIZE_FS = 0x40086610;

/** Pages for files: what its tables, its first directories and the reserve leave; root may use what is kept for it. */
function usable({ blocks, inodes, blockSize = 4096 }: Super): number {
  const free = blocks - overheadOf(blocks, inodes, blockSize) - usedAtFirst(blocks, blockSize) - Math.min(4096, Math.floor(blocks / 50));
  return Math.floor((free * blockSize) / 4096);
}

/** mount -t ext4: the disk's superblock says whether there is one. The first disk's partition is the root file system. */
export const ext4: MakeFileSystem = (kernel, task, source, data) => {
  const { inode } = lookup(kernel, task, task.fs.cwd, source).dentry;
  if (inode.kind !== 'blk') throw new SysError('ENOTBLK');
  if (inode.rdev[0] === 254 && inode.rdev[1] === 1) return kernel.drivers.get('rootfs') as SuperBlock;
  if (inode.rdev[0] === 254 && inode.rdev[1] === 0) throw new SysError('EBUSY');
  const plugged = diskAt(kernel, inode.rdev);
  // a loop device without a file is there, but has no bytes
  if (!plugged) throw new SysError(inode.rdev[0] === 7 ? 'EIO' : 'ENXIO');
  const { disk, name } = plugged;
  if (disk.size < 4096) throw new SysError('EIO');
  const found = fileSystemOn(disk);
  if (!found || found.blocks * (found.blockSize ?? 4096) > disk.size) {
    logLine(kernel, 3, found ? `EXT4-fs (${name}): bad geometry: block count ${found.blocks} exceeds size of device (${Math.floor(disk.size / (found.blockSize ?? 4096))} blocks)` : `EXT4-fs (${name}): VFS: Can't find ext4 filesystem`);
    throw new SysError('EINVAL');
  }
  if (disk.tree?.uuid !== found.uuid) disk.tree = { uuid: found.uuid, sb: fresh(kernel, disk, found) };
  const { sb } = disk.tree;
  if (!isMounted(kernel, sb)) {
    sb.dev = kernel.mounts.nextDev++;
    sb.source = source;
    sb.readonly = plugged.loop?.readonly ?? false;
    logLine(kernel, 6, `EXT4-fs (${name}): mounted filesystem ${found.uuid} ${sb.readonly ? 'ro' : 'r/w'} with ordered data mode. Quota mode: none.`);
  }
  void data;
  return sb;
};

/** The tree in memory, and a directory that can be asked to grow its file system. */
const ext4Ops: FsOps = {
  ...tmpfsOps,
  open(kernel, task, entry, flags) {
    const opened = tmpfsOps.open(kernel, task, entry, flags);
    return entry.inode.kind === 'dir' ? { ...opened, ops: { ...opened.ops, ioctl: control } } : opened;
  },
  statfs: (_kernel, sb) => spaceOf(sb),
};

function spaceOf(sb: SuperBlock): { blocks: number; bfree: number; bavail: number; bsize: number; files: number; ffree: number } {
  const found = fileSystemOn(sb.data as BlockDisk);
  const { pages, used } = sb.space!;
  if (!found) return { blocks: pages, bfree: Math.max(0, pages - used), bavail: Math.max(0, pages - used), bsize: 4096, files: 0, ffree: 0 };
  const bsize = found.blockSize ?? 4096;
  const blocks = found.blocks - overheadOf(found.blocks, found.inodes, bsize);
  const bfree = Math.max(0, blocks - usedAtFirst(found.blocks, bsize) - (used * 4096) / bsize);
  // 10 inodes are the file system's own, lost+found and the list of orphans have one each
  return { blocks, bfree, bavail: Math.max(0, bfree - reservedOf(found.blocks)), bsize, files: found.inodes, ffree: found.inodes - 12 - (sb.nextIno - FIRST_INODE) };
}

const control: FileOps['ioctl'] = (kernel, task, file, request, arg) => {
  if (request !== EXT4_IOC_RESIZE_FS) throw new SysError('ENOTTY');
  if (!capableEverywhere(task, 'sys_resource')) throw new SysError('EPERM');
  return resize(kernel, file.inode.sb, Number(arg));
};

function fresh(kernel: Kernel, disk: BlockDisk, found: Super): SuperBlock {
  const sb = createTmpfs(kernel, 'ext4', '', '', 0o755);
  sb.ops = ext4Ops;
  sb.space = { pages: usable(found), used: 0, kept: 0 };
  sb.data = disk;
  populate(kernel, sb, { '/lost+found': { type: 'dir', mode: 0o700 } });
  childrenOf(sb.root.inode).get('lost+found')!.inode.size = found.blockSize ? 12288 : 16384;
  if (found.blockSize) sb.root.inode.size = found.blockSize;
  return sb;
}

/** EXT4_IOC_RESIZE_FS: a mounted file system takes what its disk has grown by. `blocks` of 4 KiB. */
export function resize(kernel: Kernel, sb: SuperBlock, blocks: number): 0 {
  const disk = sb.data as BlockDisk;
  const found = fileSystemOn(disk);
  if (!found) throw new SysError('EINVAL');
  if (blocks * 4096 > disk.size) throw new SysError('EINVAL');
  if (blocks < found.blocks) throw new SysError('EINVAL');
  if (found.blockSize) throw new SysError('EOPNOTSUPP');
  const grown: Super = { ...found, blocks, inodes: Math.floor(found.inodes / Math.ceil(found.blocks / 32768)) * Math.ceil(blocks / 32768) };
  writeContent(disk.blocks, disk.size, 1024, superBytes(grown, 0));
  // The journal stays as it was made.
  sb.space!.pages = usable(grown) + journalOf(blocks) - journalOf(found.blocks);
  logLine(kernel, 6, `EXT4-fs: resized filesystem to ${blocks}`);
  return 0;
}
