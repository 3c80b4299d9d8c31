/**
 * Disks that come and go: volumes of a block store that are attached to a machine appear as vdb, vdc, …, with a node in /dev, a
 * link by their serial, an entry in /sys/block and /proc/partitions. A disk keeps its blocks where they are read and written as such
 * (mkfs writes a superblock there, blkid reads it), and the tree of its file system, which goes where the disk goes.
 * Simplified: files are not laid out in blocks; requests share the timing and the counters of the modelled disk.
 */
import { superOf } from '../sim/ext4.ts';
import { record } from '../sim/trace.ts';
import { POLLIN, POLLOUT, SysError } from './abi.ts';
import { unchargeFile } from './cgroup/charge.ts';
import { undirty } from './disk.ts';
import type { Loop } from './drivers/loop.ts';
import { logLine } from './log.ts';
import type { Kernel } from './records.ts';
import { type Content, emptyContent, readContent, writeContent } from './vfs/content.ts';
import { populate, type Tree } from './vfs/build.ts';
import { mountsSeen } from './vfs/latecopy.ts';
import { childrenOf } from './vfs/tmpfs.ts';
import type { Dentry, FileOps, Mount, MountNamespace, SuperBlock } from './vfs/types.ts';

/** A volume: what the block store has, wherever it is attached. */
export interface BlockDisk {
  /** What the device tells as its serial number. */
  serial: string;
  /** Bytes. */
  size: number;
  blocks: Content;
  /** Where in the contents it begins, bytes; absent 0. */
  base?: number;
  /** The file system whose superblock is in the blocks; made at its first mount. */
  tree: { uuid: string; sb: SuperBlock } | null;
}

export interface Plugged {
  name: string;
  major: number;
  minor: number;
  disk: BlockDisk;
  /** Of a loop device: what ties it to its file (drivers/loop.ts). */
  loop?: Loop;
}

export const BLKGETSIZE64 = 0x80081272;
const MAJOR = 254;
/** Minor numbers a disk: itself and its partitions. */
const STEP = 16;
const DISK_GROUP = 6;

export const newDisk = (serial: string, size: number): BlockDisk => ({ serial, size, blocks: emptyContent(), tree: null });

/** Disks of a machine beside its first, in order of their names. */
export function pluggedDisks(kernel: Kernel): Plugged[] {
  return (kernel.drivers.get('block') as Plugged[] | undefined) ?? [];
}

/** Disks by their numbers, loop devices after the others. */
export const setPlugged = (kernel: Kernel, all: readonly Plugged[]): void => {
  kernel.drivers.set('block', [...all].sort((a, b) => b.major - a.major || a.minor - b.minor));
};

export const diskAt = (kernel: Kernel, rdev: readonly [number, number]): Plugged | undefined => pluggedDisks(kernel).find((p) => p.major === rdev[0] && p.minor === rdev[1]);

const link = (disk: BlockDisk): string => `/disk/by-id/virtio-${disk.serial.slice(0, 20)}`;
const always = (): number => POLLIN | POLLOUT;

export function diskOps(plugged: Plugged): FileOps {
  const { disk } = plugged;
  const base = disk.base ?? 0;
  const there = (kernel: Kernel): void => {
    if (!pluggedDisks(kernel).includes(plugged)) throw new SysError('EIO');
  };
  return {
    poll: always,
    read(kernel, _task, _file, count, offset) {
      there(kernel);
      return readContent(disk.blocks, base + disk.size, base + offset, count);
    },
    write(kernel, _task, _file, data, offset) {
      there(kernel);
      if (offset >= disk.size && data.length > 0) throw new SysError('ENOSPC');
      const part = data.subarray(0, Math.max(0, disk.size - offset));
      writeContent(disk.blocks, base + disk.size, base + offset, part);
      return part.length;
    },
    ioctl(kernel, _task, _file, request) {
      there(kernel);
      if (request !== BLKGETSIZE64) throw new SysError('ENOTTY');
      return disk.size;
    },
  };
}

const nodesOf = ({ name, major, minor, disk }: Plugged): Tree => ({ [`/${name}`]: { type: 'blk', major, minor, mode: 0o660, gid: DISK_GROUP }, [link(disk)]: { type: 'link', target: `../../${name}` } });

/** What /dev begins with on a machine that found disks when it started. */
export const diskNodes = (kernel: Kernel): Tree => Object.assign({}, ...pluggedDisks(kernel).filter((one) => !one.loop).map(nodesOf));

/** The device appears. Returns its name, e.g. "vdb". Throws when the machine has no name left. */
export function plugDisk(kernel: Kernel, disk: BlockDisk): string {
  const all = pluggedDisks(kernel);
  const known = all.find((p) => p.disk === disk);
  if (known) return known.name;
  const letter = [...'bcdefghijklmnopqrstuvwxyz'].find((l) => !all.some((p) => p.name === `vd${l}`));
  if (!letter) throw new Error(`${kernel.name} has no room for another disk`);
  const plugged: Plugged = { name: `vd${letter}`, major: MAJOR, minor: (letter.charCodeAt(0) - 97) * STEP, disk };
  setPlugged(kernel, [...all, plugged]);
  kernel.devices.set(`b${MAJOR}:${plugged.minor}`, () => ({ ops: diskOps(plugged), data: null }));
  const dev = kernel.drivers.get('sb:devtmpfs') as SuperBlock | undefined;
  if (dev) populate(kernel, dev, nodesOf(plugged));
  const sectors = disk.size / 512;
  logLine(kernel, 5, `virtio_blk virtio${plugged.minor / STEP}: [${plugged.name}] ${sectors} 512-byte logical blocks (${(disk.size / 1e9).toFixed(2)} GB/${(disk.size / 2 ** 30).toFixed(2)} GiB)`);
  record(kernel.trace, 'kernel', kernel.name, 'disk.plug', { disk: disk.serial, device: plugged.name });
  return plugged.name;
}

/** The device is gone; what is still mounted of it is an orphan that cannot be written. */
export function unplugDisk(kernel: Kernel, disk: BlockDisk): void {
  const all = pluggedDisks(kernel);
  const plugged = all.find((p) => p.disk === disk);
  if (!plugged) return;
  setPlugged(kernel, all.filter((p) => p !== plugged));
  kernel.devices.delete(`b${MAJOR}:${plugged.minor}`);
  const dev = kernel.drivers.get('sb:devtmpfs') as SuperBlock | undefined;
  if (dev) for (const path of [`/${plugged.name}`, link(disk)]) erase(dev, path);
  record(kernel.trace, 'kernel', kernel.name, 'disk.unplug', { disk: disk.serial, device: plugged.name, mounted: disk.tree ? isMounted(kernel, disk.tree.sb) : false });
  if (!disk.tree) return;
  const { sb, uuid } = disk.tree;
  if (isMounted(kernel, sb)) {
    disk.tree = { uuid, sb: copied(sb) };
    sb.readonly = true;
    logLine(kernel, 3, `Buffer I/O error on dev ${plugged.name}, logical block 0, lost async page write`);
    logLine(kernel, 2, `EXT4-fs (${plugged.name}): shut down requested (2)`);
  } else forgetPages(kernel, sb);
}

/** A disk has become larger: its machine notices. */
export function noticeSize(kernel: Kernel, disk: BlockDisk): void {
  const plugged = pluggedDisks(kernel).find((p) => p.disk === disk);
  if (plugged) logLine(kernel, 6, `${plugged.name}: detected capacity change to ${disk.size / 512}`);
}

function erase(sb: SuperBlock, path: string): void {
  const parts = path.split('/').filter(Boolean);
  let at: Dentry | undefined = sb.root;
  for (const part of parts.slice(0, -1)) at = at && childrenOf(at.inode).get(part);
  const name = parts.at(-1)!;
  const gone = at && childrenOf(at.inode).get(name);
  if (!gone) return;
  gone.deleted = true;
  childrenOf(at!.inode).delete(name);
}

/** The mounts of every namespace of this machine that a process is in. */
export function everyMount(kernel: Kernel): Mount[] {
  const seen = new Set<MountNamespace>();
  for (const task of kernel.tasks.values()) if (task.state !== 'dead' && task.state !== 'zombie') seen.add(task.ns.mnt);
  return [...seen].flatMap(mountsSeen);
}

/** Those of one file system. */
export const mountsOf = (kernel: Kernel, sb: SuperBlock): Mount[] => everyMount(kernel).filter((m) => m.sb === sb);

export const isMounted = (kernel: Kernel, sb: SuperBlock): boolean => mountsOf(kernel, sb).length > 0;

/** The last mount is gone: nothing of it stays in this machine's page cache. */
export function forgetPages(kernel: Kernel, sb: SuperBlock): void {
  const walk = (dir: Dentry): void => {
    for (const entry of childrenOf(dir.inode).values()) {
      if (entry.inode.kind === 'dir') walk(entry);
      else if (entry.inode.kind === 'file') {
        unchargeFile(kernel, entry.inode);
        undirty(kernel, entry.inode);
      }
    }
  };
  walk(sb.root);
}

/** A file system as its blocks hold it, apart from the one in the memory of a machine that has lost it. */
function copied(from: SuperBlock): SuperBlock {
  const sb: SuperBlock = { ...from, space: from.space ? { ...from.space } : undefined } as SuperBlock;
  const seen = new Map<unknown, Dentry['inode']>();
  const copy = (old: Dentry, parent: Dentry | null): Dentry => {
    let inode = seen.get(old.inode);
    if (!inode) {
      const { data } = old.inode;
      inode = { ...old.inode, sb, charged: null, xattrs: old.inode.xattrs && new Map(old.inode.xattrs), data: data };
      if (old.inode.kind === 'file') inode.data = copiedContent(data as Content);
      seen.set(old.inode, inode);
    }
    const entry: Dentry = { name: old.name, parent: null as unknown as Dentry, inode, sb, deleted: false, hung: null };
    entry.parent = parent ?? entry;
    if (old.inode.kind === 'dir') inode.data = new Map([...childrenOf(old.inode)].map(([name, child]) => [name, copy(child, entry)]));
    return entry;
  };
  sb.root = copy(from.root, null);
  return sb;
}

const copiedContent = (c: Content): Content => ({ ...c, chunks: new Map([...c.chunks].map(([n, chunk]) => [n, chunk.slice()])), ...(c.gaps ? { gaps: c.gaps.slice() } : {}) });

/** Lines of /proc/partitions beyond the first disk's. */
export const partitionLines = (kernel: Kernel): string => pluggedDisks(kernel).map((p) => `${String(p.major).padStart(4)} ${String(p.minor).padStart(8)} ${String(p.disk.size / 1024).padStart(10)} ${p.name}\n`).join('');

/** Bytes of files on a disk, for pictures; 0 without a file system. */
export const bytesOn = (disk: BlockDisk): number => (disk.tree?.sb.space?.used ?? 0) * 4096;

/** What the superblock in a disk's blocks says, or null. */
export const fileSystemOn = (disk: BlockDisk): ReturnType<typeof superOf> => superOf(readContent(disk.blocks, (disk.base ?? 0) + disk.size, (disk.base ?? 0) + 1024, 1024));
