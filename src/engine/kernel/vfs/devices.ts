/**
 * Device nodes: what opening one gives, by number in `kernel.devices` ("c1:3"), and the names that devtmpfs shows.
 * Terminals and /dev/kvm register themselves the same way. Source: kernel doc admin-guide/devices.txt.
 */
import { uint32 } from '../../sim/random.ts';
import { bytes, text } from '../../sim/text.ts';
import { POLLIN, POLLOUT, SysError } from '../abi.ts';
import { logLine } from '../log.ts';
import type { DeviceOpen, Kernel, Task } from '../records.ts';
import type { FileOps, Inode } from './types.ts';

const always = (): number => POLLIN | POLLOUT;
const plain =
  (ops: FileOps): DeviceOpen =>
  () => ({ ops: { poll: always, ...ops }, data: null });
const swallow: FileOps['write'] = (_kernel, _task, _file, data) => data.length;
const zeros: FileOps['read'] = (_kernel, _task, _file, count) => new Uint8Array(count);

function chance(kernel: Kernel, count: number): Uint8Array {
  const out = new Uint8Array(count);
  for (let i = 0; i < count; i += 4) {
    const word = uint32(kernel.random);
    for (let b = 0; b < 4 && i + b < count; b++) out[i + b] = (word >>> (8 * b)) & 255;
  }
  return out;
}

/** Most bytes of one read; a physical machine has no such bound, the lab keeps what it hands out. */
const RANDOM_MAX = 1 << 25;
const random: FileOps = { read: (kernel, _task, _file, count) => chance(kernel, Math.min(count, RANDOM_MAX)), write: swallow };

const full: FileOps = {
  read: zeros,
  write: () => {
    throw new SysError('ENOSPC');
  },
};

const kmsg: FileOps = {
  read: (kernel, _task, _file, count, offset) =>
    bytes(kernel.log.map((line, n) => `${line.level},${n},${Math.floor(line.at / 1000)},-;${line.text}\n`).join('')).subarray(offset, offset + count),
  write(kernel, _task, _file, data) {
    logLine(kernel, 6, text(data).replace(/^<\d+>/, '').trimEnd());
    return data.length;
  },
};

/** Name in /dev, number, mode: the nodes of every devtmpfs. What nobody registered answers ENXIO when opened. */
export const NODES: readonly [name: string, major: number, minor: number, mode: number][] = [
  ['bench', 10, 61, 0o660], ['console', 5, 1, 0o600], ['full', 1, 7, 0o666], ['fuse', 10, 229, 0o666], ['kmsg', 1, 11, 0o644], ['kvm', 10, 232, 0o660], ['loop-control', 10, 237, 0o660],
  ['null', 1, 3, 0o666], ['ptmx', 5, 2, 0o666], ['random', 1, 8, 0o666], ['tty', 5, 0, 0o666],
  ['tty1', 4, 1, 0o620], ['tty2', 4, 2, 0o620], ['tty3', 4, 3, 0o620], ['tty4', 4, 4, 0o620],
  ['urandom', 1, 9, 0o666], ['vmmon', 10, 165, 0o660], ['xen/privcmd', 10, 60, 0o660], ['zero', 1, 5, 0o666],
];

/** Registers the memory devices; called once a kernel. */
export function registerMemoryDevices(kernel: Kernel): void {
  const table: [number, FileOps][] = [
    [3, { read: () => new Uint8Array(0), write: swallow }], [5, { read: zeros, write: swallow }], [7, full], [8, random], [9, random], [11, kmsg],
  ];
  for (const [minor, ops] of table) kernel.devices.set(`c1:${minor}`, plain(ops));
}

/** What opening this device node gives. */
export function deviceOps(kernel: Kernel, task: Task, inode: Inode, flags: number): { ops: FileOps; data: unknown } {
  const open = kernel.devices.get(`${inode.kind === 'chr' ? 'c' : 'b'}${inode.rdev.join(':')}`);
  if (!open) throw new SysError('ENXIO');
  return open(kernel, task, inode, flags);
}
