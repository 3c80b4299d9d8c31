/**
 * ELF kernels with a PVH note (Xen's PHYS32_ENTRY) as QEMU's -kernel boots them: segments to their physical addresses, entry
 * in 32-bit protected mode, ebx points at hvm_start_info. The structures lie where QEMU 7.2's pvh.bin leaves them. Source: Xen
 * docs/misc/pvh.pandoc, include/public/arch-x86/hvm/start_info.h; QEMU hw/i386/x86.c. Left out: ACPI tables (rsdp is 0).
 */
import { bytes } from '../../../sim/text.ts';
import type { Call } from '../../lib/http.ts';
import { BadElf, type Elf, overlap, readElf, withZeros } from './elf.ts';
import { BadImage, type Boot, type Image, initrdError, ME, overlapText } from './boot.ts';
import { descriptorTable, e820, type Part, protectedEntry } from './pc.ts';
import { readBytes } from '../../lib/files.ts';
import { SysError } from '../../../kernel/abi.ts';

const PHYS32_ENTRY = 18;
const START_MAGIC = 0x336ec578;
const COMMAND_LINE = 0x11c0;
const MODULES = 0x21c0;
const START_INFO = 0x21e0;
const MAP = 0x5a8;
const GDT = 0xc0118;
const STACK = 0x6edc;
/** Room that QEMU keeps at the end of memory for ACPI, and the highest address of an initrd. */
const ACPI = 0x28000;
const INITRD_MAX = 0x37ffffff;
const REFUSED_FLAGS = 0x10004;

/** Throws BadImage with QEMU's words. */
export function* pvhImage(data: Uint8Array, boot: Boot): Call<Image> {
  const elf = parse(data);
  const entry = elf.notes.find((note) => note.name === 'Xen' && note.type === PHYS32_ENTRY)?.data;
  if (!entry || entry.length < 4) throw new BadImage(`${ME}: Error loading uncompressed kernel without PVH ELF Note`);
  const two = overlap(elf);
  if (two) throw new BadImage(`${ME}: ${overlapText(boot.path, two)}`);
  const start = new DataView(entry.buffer, entry.byteOffset, entry.length).getUint32(0, true);
  const module = boot.initrd === '' ? null : yield* readInitrd(boot);
  return {
    parts: [
      ...withZeros(elf, boot.memory), ...(module ? [module] : []), ...information(boot, module), { gpa: COMMAND_LINE, data: Uint8Array.from([...bytes(boot.append).subarray(0, 4095), 0]) }, descriptorTable(GDT),
    ],
    ...protectedEntry(GDT, { rbx: BigInt(START_INFO), rcx: BigInt(start), rsp: BigInt(STACK), rip: BigInt(start) }),
  };
}

function parse(data: Uint8Array): Elf {
  try {
    const elf = readElf(data);
    if ((elf.flags & REFUSED_FLAGS) !== 0) throw new BadImage(`${ME}: elfboot unsupported flags = ${elf.flags.toString(16)}`);
    if (elf.parts.length === 0) throw new BadElf('no segment');
    return elf;
  } catch (error) {
    if (error instanceof BadElf) throw new BadImage(`${ME}: Error while loading elf kernel`);
    throw error;
  }
}

/** One file at the end of memory; no list of modules, as with multiboot. */
function* readInitrd(boot: Boot): Call<Part> {
  let data: Uint8Array;
  try {
    data = yield* readBytes(boot.initrd);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw initrdError(boot.initrd, error);
  }
  const highest = Math.min(INITRD_MAX, boot.memory - ACPI - 1);
  if (data.length >= highest) throw new BadImage(`qemu: initrd is too large, cannot support.(max: ${highest}, need ${data.length})`);
  return { gpa: Math.floor((highest - data.length) / 4096) * 4096, data };
}

function information(boot: Boot, module: Part | null): Part[] {
  const map = e820(boot.memory);
  const entries = new DataView(new ArrayBuffer(24 * map.length));
  for (const [n, { base, length, type }] of map.entries()) {
    entries.setBigUint64(24 * n, base, true);
    entries.setBigUint64(24 * n + 8, length, true);
    entries.setUint32(24 * n + 16, type, true);
  }
  const info = new DataView(new ArrayBuffer(56));
  const fields: Record<number, number> = { 0: START_MAGIC, 4: 1, 12: module ? 1 : 0, 16: module ? MODULES : 0, 24: COMMAND_LINE, 40: MAP, 48: map.length };
  for (const [at, value] of Object.entries(fields)) info.setUint32(Number(at), value, true);
  const modules = new DataView(new ArrayBuffer(32));
  modules.setUint32(0, module?.gpa ?? 0, true);
  modules.setUint32(8, module?.data.length ?? 0, true);
  return [{ gpa: MAP, data: new Uint8Array(entries.buffer) }, { gpa: MODULES, data: new Uint8Array(modules.buffer) }, { gpa: START_INFO, data: new Uint8Array(info.buffer) }];
}
