/** What the loaders of all kinds of kernel share: what they are asked, what they give, and what QEMU says when they cannot. */
import { SysError } from '../../../kernel/abi.ts';
import type { Regs, Sregs } from '../../../kernel/drivers/kvm/uapi.ts';
import { readBytes } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { strerror } from '../../lib/io.ts';
import type { Range } from './elf.ts';
import type { Part } from './pc.ts';

export const ME = 'qemu-system-x86_64';

/** What is stored where before the first instruction. */
export interface Image {
  parts: Part[];
  regs: Regs;
  sregs: Sregs;
}

/** What the command line says of the image. `initrd` is empty when there is none. */
export interface Boot {
  path: string;
  append: string;
  initrd: string;
  /** Bytes. */
  memory: number;
}

/** A complaint that QEMU prints as it is, without its own name before it. */
export class BadImage extends Error {}

/** The file of a multiboot module. Throws BadImage. */
export function* readModule(path: string): Call<Uint8Array> {
  try {
    return yield* readBytes(path);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new BadImage(`${ME}: Failed to open file '${path}'`);
  }
}

export const initrdError = (path: string, error: SysError): BadImage =>
  new BadImage(`qemu: error reading initrd ${path}: Failed to open file “${path}”: open() failed: ${strerror(error)}`);

/** What QEMU says of two segments over one another. */
export function overlapText(path: string, two: readonly [Range, Range]): string {
  const side = ({ index, start, end }: Range): string => `  ${path} ELF program header segment ${index} (addresses 0x${hex16(start)} - 0x${hex16(end)})`;
  return `Some ROM regions are overlapping
These ROM regions might have been loaded by direct user request or by default.
They could be BIOS/firmware images, a guest kernel, initrd or some other file loaded into guest memory.
Check whether you intended to load all this guest code, and whether it has been built to load to the correct addresses.

The following two regions overlap (in the memory address space):
${side(two[0])}
${side(two[1])}`;
}

const hex16 = (value: number): string => value.toString(16).padStart(16, '0');
