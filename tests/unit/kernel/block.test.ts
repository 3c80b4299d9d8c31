/** Disks that are attached to a machine: nodes in /dev, superblocks, mounting, sizes, data that moves with the disk, and what is left when it is pulled out. */
import { describe, expect, it } from 'vitest';
import { MNT_DETACH, SysError } from '../../../src/engine/kernel/abi.ts';
import { bytesOn, fileSystemOn, newDisk, plugDisk, pluggedDisks, unplugDisk } from '../../../src/engine/kernel/block.ts';
import type { Kernel, Task } from '../../../src/engine/kernel/records.ts';
import { fileHandlers } from '../../../src/engine/kernel/syscalls/files.ts';
import { FILESYSTEMS } from '../../../src/engine/kernel/vfs/filesystems.ts';
import { EXT4_IOC_RESIZE_FS } from '../../../src/engine/kernel/vfs/ext4.ts';
import { mount, umount } from '../../../src/engine/kernel/vfs/mount.ts';
import { inodesOf, overheadOf, superBytes, superOf } from '../../../src/engine/sim/ext4.ts';
import { bytes, text } from '../../../src/engine/sim/text.ts';
import { bare } from '../vfs/bare.ts';

const GIB = 2 ** 30;
const UUID = '12345678-9abc-4def-8123-456789abcdef';
// biome-ignore lint/suspicious/noExplicitAny: calls by name
const calls = fileHandlers as any;

function machine(): { kernel: Kernel; task: Task; write: (path: string, data: string) => void; read: (path: string) => string } {
  const { kernel, task } = bare();
  kernel.drivers.set('rootfs', task.fs.root.mount.sb);
  for (const dir of ['/dev', '/mnt', '/more']) calls.mkdirat(kernel, task, -100, dir, 0o755);
  mount(kernel, task, 'udev', '/dev', 'devtmpfs', 0, '');
  const open = (path: string, flags: number): number => calls.openat(kernel, task, -100, path, flags, 0o644) as number;
  return {
    kernel, task,
    write(path, data) {
      const fd = open(path, 0o1101);
      calls.write(kernel, task, fd, bytes(data));
      calls.close(kernel, task, fd);
    },
    read(path) {
      const fd = open(path, 0);
      const data = text(calls.read(kernel, task, fd, 65536) as Uint8Array);
      calls.close(kernel, task, fd);
      return data;
    },
  };
}

function format(m: ReturnType<typeof machine>, device: string, size: number): void {
  const blocks = size / 4096;
  const fd = calls.openat(m.kernel, m.task, -100, device, 2, 0) as number;
  calls.lseek(m.kernel, m.task, fd, 1024, 0);
  calls.write(m.kernel, m.task, fd, superBytes({ uuid: UUID, label: '', blocks, inodes: inodesOf(blocks) }, 0));
  calls.close(m.kernel, m.task, fd);
}
const failure = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (error instanceof SysError) return error.errno;
    throw error;
  }
  return '';
};

describe('the superblock', () => {
  it.each([[1, 65536, 249195], [2, 131072, null], [10, 655360, null]])('of %d GiB reads as it was written', (gib, inodes, usable) => {
    const blocks = (gib * GIB) / 4096;
    expect(inodesOf(blocks)).toBe(inodes);
    expect(superOf(superBytes({ uuid: UUID, label: 'data', blocks, inodes }, 1))).toEqual({ uuid: UUID, label: 'data', blocks, inodes });
    if (usable !== null) expect(Math.abs(blocks - overheadOf(blocks, inodes) - usable)).toBeLessThan(150);
    expect(superOf(new Uint8Array(1024))).toBeNull();
  });
});

describe('an attached disk', () => {
  it('appears as vdb with its serial, and goes', () => {
    const m = machine();
    const disk = newDisk('vol-0123456789ab', GIB);
    expect(plugDisk(m.kernel, disk)).toBe('vdb');
    expect(plugDisk(m.kernel, newDisk('vol-b', GIB))).toBe('vdc');
    expect(calls.readlinkat(m.kernel, m.task, -100, '/dev/disk/by-id/virtio-vol-0123456789ab')).toBe('../../vdb');
    unplugDisk(m.kernel, disk);
    expect(failure(() => calls.newfstatat(m.kernel, m.task, -100, '/dev/vdb', 0))).toBe('ENOENT');
    expect(pluggedDisks(m.kernel).map((p) => p.name)).toEqual(['vdc']);
    expect(plugDisk(m.kernel, newDisk('vol-c', GIB))).toBe('vdb');
  });

  it('is mounted when its blocks hold a superblock', () => {
    const m = machine();
    const disk = newDisk('v', GIB);
    plugDisk(m.kernel, disk);
    expect(failure(() => mount(m.kernel, m.task, '/dev/vdb', '/mnt', 'ext4', 0, ''))).toBe('EINVAL');
    expect(failure(() => mount(m.kernel, m.task, '/more', '/mnt', 'ext4', 0, ''))).toBe('ENOTBLK');
    format(m, '/dev/vdb', GIB);
    expect(fileSystemOn(disk)?.uuid).toBe(UUID);
    mount(m.kernel, m.task, '/dev/vdb', '/mnt', 'ext4', 0, '');
    m.write('/mnt/a', 'x'.repeat(5000));
    expect(bytesOn(disk)).toBe(8192);
    mount(m.kernel, m.task, '/dev/vdb', '/more', 'ext4', 0, '');
    expect(m.read('/more/a')).toHaveLength(5000);
    umount(m.kernel, m.task, '/mnt', 0);
    umount(m.kernel, m.task, '/more', 0);
    mount(m.kernel, m.task, '/dev/vdb', '/mnt', 'ext4', 0, '');
    expect(m.read('/mnt/a')).toHaveLength(5000);
    umount(m.kernel, m.task, '/mnt', 0);
    const fd = calls.openat(m.kernel, m.task, -100, '/dev/vdb', 2, 0) as number;
    calls.write(m.kernel, m.task, fd, new Uint8Array(4096));
    expect(failure(() => mount(m.kernel, m.task, '/dev/vdb', '/mnt', 'ext4', 0, ''))).toBe('EINVAL');
  });

  it('is full when its blocks are, and takes more when it has grown', () => {
    const m = machine();
    const disk = newDisk('v', 64 * 2 ** 20);
    plugDisk(m.kernel, disk);
    format(m, '/dev/vdb', disk.size);
    mount(m.kernel, m.task, '/dev/vdb', '/mnt', 'ext4', 0, '');
    const before = calls.statfs(m.kernel, m.task, '/mnt');
    expect(before.blocks * 4096).toBeLessThan(disk.size);
    const fd = calls.openat(m.kernel, m.task, -100, '/mnt/big', 0o1101, 0o644) as number;
    const chunk = new Uint8Array(4 * 2 ** 20).fill(1);
    let wrote = 0;
    expect(failure(() => { for (;;) wrote += calls.write(m.kernel, m.task, fd, chunk) as number; })).toBe('ENOSPC');
    expect(wrote).toBeLessThan(before.blocks * 4096);
    expect(wrote).toBeGreaterThan(before.bavail * 4096);
    disk.size = GIB;
    const dir = calls.openat(m.kernel, m.task, -100, '/mnt', 0, 0) as number;
    expect(failure(() => calls.ioctl(m.kernel, m.task, dir, EXT4_IOC_RESIZE_FS, GIB / 4096))).toBe('EPERM');
    m.task.cred = { ...m.task.cred, caps: { ...m.task.cred.caps, effective: [...m.task.cred.caps.effective, 'sys_resource'] } };
    expect(failure(() => calls.ioctl(m.kernel, m.task, dir, EXT4_IOC_RESIZE_FS, GIB / 4096 + 1))).toBe('EINVAL');
    calls.ioctl(m.kernel, m.task, dir, EXT4_IOC_RESIZE_FS, GIB / 4096);
    expect(calls.write(m.kernel, m.task, fd, chunk)).toBe(chunk.length);
    expect(fileSystemOn(disk)?.blocks).toBe(GIB / 4096);
  });

  it('takes its data to another machine, and leaves no page behind', () => {
    const [a, b] = [machine(), machine()];
    const disk = newDisk('v', GIB);
    plugDisk(a.kernel, disk);
    format(a, '/dev/vdb', GIB);
    mount(a.kernel, a.task, '/dev/vdb', '/mnt', 'ext4', 0, '');
    calls.mkdirat(a.kernel, a.task, -100, '/mnt/deep', 0o700);
    a.write('/mnt/deep/file', 'kept');
    umount(a.kernel, a.task, '/mnt', 0);
    expect(a.kernel.frames.file).toBe(0);
    unplugDisk(a.kernel, disk);
    plugDisk(b.kernel, newDisk('other', GIB));
    expect(plugDisk(b.kernel, disk)).toBe('vdc');
    mount(b.kernel, b.task, '/dev/vdc', '/mnt', 'ext4', 0, '');
    expect(b.read('/mnt/deep/file')).toBe('kept');
    expect(calls.newfstatat(b.kernel, b.task, -100, '/mnt/deep', 0).mode & 0o777).toBe(0o700);
  });

  it('that is pulled out while it is mounted is an orphan there, and whole elsewhere', () => {
    const [a, b] = [machine(), machine()];
    const disk = newDisk('v', GIB);
    plugDisk(a.kernel, disk);
    format(a, '/dev/vdb', GIB);
    mount(a.kernel, a.task, '/dev/vdb', '/mnt', 'ext4', 0, '');
    a.write('/mnt/f', 'before');
    unplugDisk(a.kernel, disk);
    plugDisk(b.kernel, disk);
    mount(b.kernel, b.task, '/dev/vdb', '/mnt', 'ext4', 0, '');
    b.write('/mnt/f', 'after');
    expect(a.read('/mnt/f')).toBe('before');
    expect(failure(() => a.write('/mnt/g', 'x'))).toBe('EROFS');
    expect(b.read('/mnt/f')).toBe('after');
    umount(a.kernel, a.task, '/mnt', MNT_DETACH);
    expect(b.read('/mnt/f')).toBe('after');
  });

  it('knows ext4 among the file systems', () => {
    expect(Object.keys(FILESYSTEMS)).toContain('ext4');
  });
});
