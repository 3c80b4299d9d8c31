/**
 * Multiboot 1 kernels as QEMU's -kernel boots them: the header found in the first 8 KiB, the kernel loaded by its ELF headers or
 * by the addresses in the header, modules and strings on the pages behind it, the information structure at 0x9500 and
 * the memory map at 0x9000. Source: Multiboot specification 0.6.96; QEMU hw/i386/multiboot.c and pc-bios/optionrom/multiboot.S of 7.2.
 */
import { bytes } from '../../../sim/text.ts';
import type { Call } from '../../lib/http.ts';
import { complain } from '../../lib/io.ts';
import { BadElf, overlap, readElf, withZeros, X86_64 } from './elf.ts';
import { BadImage, type Boot, type Image, ME, overlapText, readModule } from './boot.ts';
import { descriptorTable, e820, LOW_MEMORY, MIB, type Part, protectedEntry } from './pc.ts';

const MAGIC = 0x1badb002;
const BOOTED = 0x2badb002;
const SEARCHED = 8192 - 48;
const VIDEO = 4;
const HAS_ADDRESSES = 0x10000;
const MAP = 0x9000;
const INFO = 0x9500;
const GDT = 0xc02b8;
const STACK = 0x6f08;
/** Memory, boot device, command line, modules, map, boot loader's name. */
const PRESENT = 0x24f;
const FIRST_DISK = 0x8000ffff;
const LOADER = 'qemu';
const PAGE = 4096;

const pages = (n: number): number => Math.ceil(n / PAGE) * PAGE;
const bad = (text: string): BadImage => new BadImage(`${ME}: ${text}`);

/** Offset of the header in the file, or null: no multiboot kernel. */
export function multibootHeader(data: Uint8Array): number | null {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  for (let at = 0; at < SEARCHED && at + 12 <= data.length; at += 4) {
    if (view.getUint32(at, true) === MAGIC && ((MAGIC + view.getUint32(at + 4, true) + view.getUint32(at + 8, true)) >>> 0) === 0) return at;
  }
  return null;
}

/** What is loaded, from where to where. */
interface Kernel {
  parts: Part[];
  low: number;
  size: number;
  entry: number;
}

/** Throws BadImage with QEMU's words. */
export function* multibootImage(data: Uint8Array, header: number, boot: Boot): Call<Image> {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const flags = view.getUint32(header + 4, true);
  if ((flags & VIDEO) !== 0) yield* complain(`${ME}: multiboot knows VBE. we don't\n`);
  const kernel = (flags & HAS_ADDRESSES) !== 0 ? byAddresses(data, header) : byElf(data, boot);
  const space = yield* modulesAndStrings(kernel, boot);
  const parts = [...kernel.parts, ...space.parts, ...information(boot.memory, space), descriptorTable(GDT)];
  return {
    parts: parts.flatMap((part) => within(part, boot.memory)),
    ...protectedEntry(GDT, { rax: BigInt(BOOTED), rbx: BigInt(INFO), rcx: BigInt(kernel.entry), rdi: 0xf00f00n, rsp: BigInt(STACK), rip: BigInt(kernel.entry) }),
  };
}

/** What lies beyond the end of memory is lost, as a store there is. */
function within(part: Part, memory: number): Part[] {
  if (part.gpa >= memory) return [];
  return [{ gpa: part.gpa, data: part.data.subarray(0, memory - part.gpa) }];
}

function byElf(data: Uint8Array, boot: Boot): Kernel {
  if (data.length >= 20 && (data[18]! | (data[19]! << 8)) === X86_64) throw bad('Cannot load x86-64 image, give a 32bit one.');
  try {
    const elf = readElf(data);
    const two = overlap(elf);
    if (two) throw bad(overlapText(boot.path, two));
    if (elf.high > 2 ** 32) throw bad('Error while fetching elf kernel from rom');
    if (elf.parts.length === 0) throw bad('Error while loading elf kernel');
    return { parts: withZeros(elf, boot.memory), low: elf.low, size: elf.high - elf.low, entry: Number(BigInt.asUintN(32, elf.entry)) };
  } catch (error) {
    if (error instanceof BadElf) throw bad('Error while loading elf kernel');
    throw error;
  }
}

/** The header says itself what lies where (the specification's address fields). */
function byAddresses(data: Uint8Array, header: number): Kernel {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const field = (n: number): number => (header + 4 * n + 4 <= data.length ? view.getUint32(header + 4 * n, true) : 0);
  const [headerAt, low, loadEnd, bssEnd, entry] = [field(3), field(4), field(5), field(6), field(7)] as const;
  if (headerAt < low) throw bad('invalid load_addr address');
  if (headerAt - low > header) throw bad('invalid header_addr address');
  const start = header - (headerAt - low);
  if (loadEnd !== 0 && loadEnd < low) throw bad('invalid load_end_addr address');
  const loaded = loadEnd !== 0 ? loadEnd - low : data.length - start;
  if (loaded > 0xffffffff - low) throw bad('kernel does not fit in address space');
  if (bssEnd !== 0 && bssEnd < low + loaded) throw bad('invalid bss_end_addr address');
  if (start + loaded > data.length) throw bad('fread() failed');
  const size = bssEnd !== 0 ? bssEnd - low : loaded;
  const whole = new Uint8Array(Math.min(size, 2 ** 30));
  whole.set(data.subarray(start, start + loaded));
  return { parts: [{ gpa: low, data: whole }], low, size, entry };
}

// ---- behind the kernel

interface Space {
  parts: Part[];
  modules: number;
  moduleTable: number;
  commandLine: number;
  loader: number;
}

/** On the next page the table of modules and all strings, then each module on pages of its own. */
function* modulesAndStrings(kernel: Kernel, boot: Boot): Call<Space> {
  const modules = boot.initrd === '' ? [] : optionValues(boot.initrd);
  const table = kernel.low + pages(kernel.size);
  const strings = table + 16 * modules.length;
  const line = `${boot.path} ${boot.append}`;
  const stringsSize = bytes(line).length + 1 + (boot.initrd === '' ? 0 : bytes(boot.initrd).length + 1);
  const loader = strings + stringsSize;
  const space: Space = { parts: [], modules: modules.length, moduleTable: table, commandLine: 0, loader };
  const entries = new DataView(new ArrayBuffer(16 * modules.length));
  let text = strings;
  const say = (value: string, at: number): number => {
    space.parts.push({ gpa: at, data: Uint8Array.from([...bytes(value), 0]) });
    return bytes(value).length + 1;
  };
  let free = table + pages(loader + LOADER.length + 1 - table);
  for (const [n, module] of modules.entries()) {
    const data = yield* readModule(module.split(' ')[0]!);
    for (const [field, value] of [free, free + data.length, text].entries()) entries.setUint32(16 * n + 4 * field, value, true);
    space.parts.push({ gpa: free, data });
    text += say(module, text);
    free += pages(data.length);
  }
  space.commandLine = text;
  say(line, text);
  say(LOADER, loader);
  space.parts.push({ gpa: table, data: new Uint8Array(entries.buffer) });
  return space;
}

/** "a b,c,,d" as ["a b", "c,d"]. */
export function optionValues(value: string): string[] {
  const out = [''];
  for (let at = 0; at < value.length; at++) {
    const twice = value[at] === ',' && value[at + 1] === ',';
    if (twice) at++;
    if (twice || value[at] !== ',') out.push(`${out.pop()!}${value[at]!}`);
    else if (at + 1 < value.length) out.push('');
  }
  return out;
}

function information(memory: number, space: Space): Part[] {
  const map = e820(memory);
  const entries = new DataView(new ArrayBuffer(24 * map.length));
  for (const [n, { base, length, type }] of map.entries()) {
    entries.setUint32(24 * n, 20, true);
    entries.setBigUint64(24 * n + 4, base, true);
    entries.setBigUint64(24 * n + 12, length, true);
    entries.setUint32(24 * n + 20, type, true);
  }
  const high = map.find((one) => one.base === BigInt(MIB) && one.type === 1)?.length ?? 0n;
  const info = new DataView(new ArrayBuffer(116));
  const fields: Record<number, number> = {
    0: PRESENT, 4: Math.floor(LOW_MEMORY / 1024), 8: Number(high / 1024n), 12: FIRST_DISK, 16: space.commandLine, 20: space.modules, 24: space.moduleTable, 44: 24 * map.length, 48: MAP, 64: space.loader,
  };
  for (const [at, value] of Object.entries(fields)) info.setUint32(Number(at), value, true);
  return [{ gpa: MAP, data: new Uint8Array(entries.buffer) }, { gpa: INFO, data: new Uint8Array(info.buffer) }];
}
