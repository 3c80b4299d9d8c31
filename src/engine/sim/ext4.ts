/**
 * The superblock of ext4 as bytes, and how much of a disk its own tables take. Blocks of 4 KiB, of 1 KiB below 512 MiB.
 * Source: kernel doc filesystems/ext4/super.rst, mke2fs(8), mke2fs.conf of e2fsprogs 1.47.
 */
export interface Super {
  uuid: string;
  label: string;
  blocks: number;
  inodes: number;
  /** Bytes of a block; absent 4096. */
  blockSize?: number;
}

const MAGIC = 0xef53;
const SECTOR = 1024;

/** The bytes of a superblock, to lie at offset 1024. */
export function superBytes({ uuid, label, blocks, inodes, blockSize = 4096 }: Super, at: number): Uint8Array {
  const out = new Uint8Array(SECTOR);
  const view = new DataView(out.buffer);
  const u32 = (offset: number, value: number): void => view.setUint32(offset, value, true);
  const u16 = (offset: number, value: number): void => view.setUint16(offset, value, true);
  u32(0, inodes);
  u32(4, blocks % 2 ** 32);
  u32(0x0c, blocks - overheadOf(blocks, inodes, blockSize));
  u32(0x10, inodes - 11);
  u32(0x14, blockSize === 1024 ? 1 : 0);
  u32(0x18, Math.log2(blockSize / 1024));
  u32(0x1c, Math.log2(blockSize / 1024));
  u32(0x20, 8 * blockSize);
  u32(0x24, 8 * blockSize);
  u32(0x28, Math.ceil(inodes / groupsOf(blocks, blockSize)));
  u32(0x30, at);
  u16(0x36, 0xffff);
  u16(0x38, MAGIC);
  u16(0x3a, 1);
  u16(0x3c, 1);
  u32(0x40, at);
  u32(0x4c, 1);
  u32(0x54, 11);
  u16(0x58, 256);
  u32(0x5c, 0x3c);
  u32(0x60, 0x2c2);
  u32(0x64, 0x46b);
  const hex = uuid.replace(/-/g, '');
  for (let i = 0; i < 16; i++) out[0x68 + i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  for (let i = 0; i < Math.min(16, label.length); i++) out[0x78 + i] = label.charCodeAt(i);
  u32(0x150, Math.floor(blocks / 2 ** 32));
  return out;
}

export function superOf(bytes: Uint8Array): Super | null {
  if (bytes.length < 0x154) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint16(0x38, true) !== MAGIC) return null;
  const hex = [...bytes.subarray(0x68, 0x78)].map((b) => b.toString(16).padStart(2, '0')).join('');
  let label = '';
  for (let i = 0; i < 16 && bytes[0x78 + i] !== 0; i++) label += String.fromCharCode(bytes[0x78 + i]!);
  const blockSize = 1024 << view.getUint32(0x18, true);
  return {
    uuid: `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`, label,
    blocks: view.getUint32(4, true) + view.getUint32(0x150, true) * 2 ** 32, inodes: view.getUint32(0, true), ...(blockSize !== 4096 && { blockSize }),
  };
}

/** Of a file system of so many bytes, where none is asked for: mke2fs.conf's "small" and "floppy". */
export const blockSizeFor = (bytes: number): number => (bytes < 512 * 2 ** 20 ? 1024 : 4096);

/** A group is what one block of bits counts; with blocks of 1 KiB the first block is before them. */
export const groupsOf = (blocks: number, blockSize = 4096): number => Math.ceil((blocks - (blockSize === 1024 ? 1 : 0)) / (8 * blockSize));

/** Blocks of the journal, by the blocks of the file system. */
export function journalOf(blocks: number): number {
  const steps: readonly [number, number][] = [[32768, 1024], [256 * 1024, 4096], [512 * 1024, 8192], [4096 * 1024, 16384], [8192 * 1024, 32768]];
  return blocks < 2048 ? 0 : (steps.find(([below]) => blocks < below)?.[1] ?? 65536);
}

/** One for 16 KiB, for 4 KiB in a small file system and 8 KiB below 3 MiB: in whole blocks of a group, by eights. */
export function inodesOf(blocks: number, blockSize = 4096): number {
  const groups = groupsOf(blocks, blockSize);
  const bytes = blocks * blockSize;
  const ratio = blockSize === 4096 ? 16384 : bytes < 3 * 2 ** 20 ? 8192 : 4096;
  const inBlock = blockSize / 256;
  const each = Math.ceil(Math.ceil(Math.ceil(bytes / ratio) / groups) / inBlock) * inBlock;
  return Math.floor(each / 8) * 8 * groups;
}

/** Blocks that hold no files: journal, inode tables, bitmaps, descriptors and those kept for growth in the groups with copies. */
export function overheadOf(blocks: number, inodes: number, blockSize = 4096): number {
  const groups = groupsOf(blocks, blockSize);
  const copies = backupGroups(groups).length + 1;
  const descriptors = Math.ceil((groups * 64) / blockSize);
  const all = Math.ceil((Math.min(blocks * 1024, 2 ** 32) / (8 * blockSize)) * (64 / blockSize)) - descriptors;
  const kept = blockSize === 4096 ? Math.min(Math.max(0, all), 127) : Math.min(Math.max(0, all), blockSize / 4);
  return journalOf(blocks) + (inodes * 256) / blockSize + 2 * groups + copies * (1 + descriptors + kept) + (blockSize === 1024 ? 1 : 0);
}

/** Blocks that a new file system has in use: its root, lost+found, and what flexible groups and growth take. */
export const usedAtFirst = (blocks: number, blockSize = 4096): number => 1 + (blockSize === 1024 ? 12 : 4) + Math.max(32, Math.floor(blocks / 4096)) + 1;

/** Blocks that are kept from everybody but root, and from everybody. */
export const reservedOf = (blocks: number): number => Math.floor((blocks * 5) / 100) + Math.min(4096, Math.floor(blocks / 50));

/** Groups beside the first that hold a copy of the superblock: 1 and powers of 3, 5, 7. */
export function backupGroups(groups: number): number[] {
  const found = new Set<number>(groups > 1 ? [1] : []);
  for (const base of [3, 5, 7]) for (let n = base; n < groups; n *= base) found.add(n);
  return [...found].sort((a, b) => a - b);
}
