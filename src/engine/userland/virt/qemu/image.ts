/**
 * The image that -kernel names, and the state in which it is entered. Multiboot 1 kernels and ELF kernels with a PVH note boot
 * as with the real program (multiboot.ts, pvh.ts), with its messages. A flat image is the lab's own kind: it lies at 1 MiB
 * and is entered at its first byte in 64-bit mode, interrupts off, the first 4 GiB mapped to themselves by 2 MiB pages, the
 * stack below the boot data; rdi points at the command line (NUL at its end), rsi holds the size of memory in bytes.
 * Linux and PE images and boot sectors are recognized and refused.
 *
 *   0x70000 PML4   0x71000 PDPT   0x72000 four PDs   0x76000 GDT   0x77000 command line   rsp = 0x70000
 */
import { SysError } from '../../../kernel/abi.ts';
import { type Regs, REGISTERS, SEGMENTS, type Sregs } from '../../../kernel/drivers/kvm/uapi.ts';
import { bytes } from '../../../sim/text.ts';
import { readBytes } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { strerror } from '../../lib/io.ts';
import { BadImage, type Boot, type Image, ME } from './boot.ts';
import { isElf } from './elf.ts';
import { multibootHeader, multibootImage } from './multiboot.ts';
import { words } from './pc.ts';
import { pvhImage } from './pvh.ts';

export const LOAD_ADDRESS = 0x100000;
const TABLES = 0x70000;
const GDT = 0x76000;
const COMMAND_LINE = 0x77000;

/** Throws BadImage. */
export function* readImage(boot: Boot): Call<Image> {
  const { path, memory } = boot;
  let data: Uint8Array;
  try {
    data = yield* readBytes(path);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    if (error.errno === 'EISDIR') throw new BadImage(`qemu: could not load kernel '${path}': ${strerror(error)}`);
    throw new BadImage(`qemu: could not open kernel file '${path}': ${strerror(error)}`);
  }
  if (data.length === 0) throw new BadImage(`qemu: could not load kernel '${path}': the file is empty`);
  if (startsLinux(data)) throw new BadImage(`${ME}: not modelled: Linux kernel image '${path}': ${GIVE}`);
  const header = multibootHeader(data);
  if (header !== null) return yield* multibootImage(data, header, boot);
  if (isElf(data)) return yield* pvhImage(data, boot);
  const kind = foreign(data);
  if (kind) throw new BadImage(`${ME}: not modelled: ${kind} '${path}': ${GIVE}`);
  if (boot.initrd !== '') throw new BadImage(`${ME}: not modelled: an initrd for a flat image`);
  if (LOAD_ADDRESS + data.length > memory) throw new BadImage(`qemu: could not load kernel '${path}': ${data.length} bytes at 1 MiB do not fit into ${Math.floor(memory / 2 ** 20)} MiB of memory`);
  return imageOf(data, boot.append, memory);
}

const GIVE = 'give a multiboot or PVH kernel, or a flat 64-bit image (loaded at 1 MiB, entered there in long mode)';

const has = (data: Uint8Array, at: number, ...want: number[]): boolean => want.every((byte, n) => data[at + n] === byte);
const startsLinux = (data: Uint8Array): boolean => has(data, 0x202, 0x48, 0x64, 0x72, 0x53);

function foreign(data: Uint8Array): string | null {
  if (has(data, 0, 0x4d, 0x5a)) return 'PE image';
  if (has(data, 510, 0x55, 0xaa) && data.length <= 1474560 && data.length % 512 === 0) return 'boot sector (16-bit code)';
  return null;
}

export function imageOf(data: Uint8Array, commandLine: string, memory: number): Image {
  const line = bytes(commandLine).subarray(0, 4095);
  return {
    parts: [
      { gpa: TABLES, data: identityTables() },
      { gpa: GDT, data: words([0n, 0x00af9b000000ffffn, 0x00cf93000000ffffn]) },
      { gpa: COMMAND_LINE, data: Uint8Array.from([...line, 0]) },
      { gpa: LOAD_ADDRESS, data },
    ],
    ...entryState(memory),
  };
}

const PRESENT_WRITE = 3n;
const LARGE = 0x80n;

/** One PML4, one PDPT, four PDs of 2 MiB pages. */
function identityTables(): Uint8Array {
  const entries = new Array<bigint>(6 * 512).fill(0n);
  entries[0] = BigInt(TABLES + 0x1000) | PRESENT_WRITE;
  for (let n = 0; n < 4; n++) entries[512 + n] = BigInt(TABLES + 0x2000 + n * 0x1000) | PRESENT_WRITE;
  for (let n = 0; n < 2048; n++) entries[1024 + n] = (BigInt(n) << 21n) | LARGE | PRESENT_WRITE;
  return words(entries);
}

function entryState(memory: number): { regs: Regs; sregs: Sregs } {
  const regs = Object.fromEntries(REGISTERS.map((name) => [name, 0n])) as Regs;
  Object.assign(regs, { rip: BigInt(LOAD_ADDRESS), rsp: BigInt(TABLES), rflags: 2n, rdi: BigInt(COMMAND_LINE), rsi: BigInt(memory) });
  const flat = (selector: number, rights: number, limit = 0xffffffff): Sregs['segments']['cs'] => ({ selector, base: 0n, limit, rights });
  const segments = Object.fromEntries(SEGMENTS.map((name) => [name, flat(0x10, 0xc093)])) as Sregs['segments'];
  Object.assign(segments, { cs: flat(0x08, 0xa09b), ldt: flat(0, 0x10000, 0), tr: flat(0, 0x008b, 0x67) });
  return {
    regs,
    sregs: { segments, gdt: { base: BigInt(GDT), limit: 23 }, idt: { base: 0n, limit: 0 }, cr0: 0x80000033n, cr2: 0n, cr3: BigInt(TABLES), cr4: 0x20n, efer: 0xd00n, halted: false },
  };
}
