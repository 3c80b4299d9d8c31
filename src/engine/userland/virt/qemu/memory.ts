/**
 * Guest memory as the monitor shows it: `x` and `xp` dumps, and what the guest's page tables map (`info tlb`, `info mem`).
 * The tables are read from guest memory, not from the processor's TLB, as QEMU does. Source: QEMU monitor/misc.c,
 * target/i386/monitor.c.
 */
import type { Sregs } from '../../../kernel/drivers/kvm/uapi.ts';
import { sys } from '../../../kernel/sys.ts';
import { entryIn, indexOf, isLeaf, type PagingFormat, pagingFormat, pointsAt, PRESENT } from '../../../machine/paging-formats.ts';
import type { Mode } from '../../../machine/isa/decode.ts';
import { print as printInstruction } from '../../../machine/isa/objdump.ts';
import { attempt } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import type { Emulator } from './emulator.ts';

const hex = (value: bigint | number, digits: number): string => value.toString(16).padStart(digits, '0');

export function* readPhysical(emu: Emulator, gpa: number, length: number): Call<Uint8Array | null> {
  if (gpa < 0 || gpa + length > emu.options.memory) return null;
  return yield* attempt(sys('pread64', emu.vm, length, gpa), null);
}

export interface Mapping {
  gva: bigint;
  gpa: bigint;
  size: bigint;
  entry: bigint;
  /** Writable and user on every level. */
  writable: boolean;
  user: boolean;
}

/** Every present mapping, in order; at most `most`. */
export function* mappings(emu: Emulator, sregs: Sregs, most: number): Call<Mapping[]> {
  const out: Mapping[] = [];
  const format = pagingFormat(sregs);
  if (format) yield* descend(emu, format, 0, sregs.cr3 & format.root, 0n, true, true, out, most);
  return out;
}

function* descend(emu: Emulator, format: PagingFormat, depth: number, table: bigint, base: bigint, writable: boolean, user: boolean, out: Mapping[], most: number): Call<void> {
  const level = format.levels[depth]!;
  const bytes = yield* readPhysical(emu, Number(table), format.entryBytes << level.bits);
  if (!bytes) return;
  for (let n = 0; n < 1 << level.bits && out.length < most; n++) {
    const entry = entryIn(bytes, format, n);
    if ((entry & PRESENT) === 0n) continue;
    let gva = base | (BigInt(n) << BigInt(level.shift));
    if (level.shift === 39 && n >= 256) gva |= 0xffff_0000_0000_0000n;
    const w = writable && (!level.rights || (entry & 2n) !== 0n);
    const u = user && (!level.rights || (entry & 4n) !== 0n);
    const next = pointsAt(format, level, entry);
    if (isLeaf(level, entry)) out.push({ gva, gpa: next, size: 1n << BigInt(level.shift), entry, writable: w, user: u });
    else yield* descend(emu, format, depth + 1, next, gva, w, u, out, most);
  }
}

/** "info tlb": one line a mapping. */
export function tlbText(all: readonly Mapping[]): string {
  const bits: [string, bigint][] = [['X', 1n << 63n], ['G', 1n << 8n], ['P', 1n << 7n], ['D', 1n << 6n], ['A', 1n << 5n], ['C', 1n << 4n], ['T', 1n << 3n], ['U', 1n << 2n], ['W', 1n << 1n]];
  return all.map((m) => `${hex(m.gva, 16)}: ${hex(m.gpa, 16)} ${bits.map(([letter, bit]) => (m.entry & bit ? letter : '-')).join('')}\n`).join('');
}

/** "info mem": runs of equal rights. */
export function memText(all: readonly Mapping[]): string {
  const out: string[] = [];
  let at: { start: bigint; end: bigint; rights: string } | null = null;
  const flush = (): void => {
    if (at) out.push(`${hex(at.start, 16)}-${hex(at.end, 16)} ${hex(at.end - at.start, 16)} ${at.rights}\n`);
  };
  for (const m of all) {
    const rights = `${m.user ? 'u' : '-'}r${m.writable ? 'w' : '-'}`;
    if (at && at.end === m.gva && at.rights === rights) at.end = m.gva + m.size;
    else {
      flush();
      at = { start: m.gva, end: m.gva + m.size, rights };
    }
  }
  flush();
  return out.join('');
}

export function* linearToPhysical(emu: Emulator, sregs: Sregs, gva: bigint): Call<number | null> {
  const format = pagingFormat(sregs);
  if (!format) return Number(gva);
  let table = sregs.cr3 & format.root;
  for (const level of format.levels) {
    const bytes = yield* readPhysical(emu, Number(table) + format.entryBytes * indexOf(level, gva), format.entryBytes);
    if (!bytes) return null;
    const entry = entryIn(bytes, format);
    if ((entry & PRESENT) === 0n) return null;
    const next = pointsAt(format, level, entry);
    if (isLeaf(level, entry)) return Number(next | (gva & ((1n << BigInt(level.shift)) - 1n)));
    table = next;
  }
  return null;
}

const SIZES: Readonly<Record<string, number>> = { b: 1, h: 2, w: 4, g: 8 };

/** "x /FMT addr", "xp /FMT addr". */
export function* dump(emu: Emulator, format: string, sregs: Sregs, address: bigint, physical: boolean): Call<string> {
  const count = Number(/^\d+/.exec(format)?.[0] ?? 1);
  const size = SIZES[/[bhwg]/.exec(format.replace(/^\d+/, ''))?.[0] ?? 'w']!;
  const kind = /[xduoci]/.exec(format.replace(/^\d+/, ''))?.[0] ?? 'x';
  if (kind === 'i') return yield* disassembly(emu, sregs, address, count, physical);
  const aLine = { 1: 8, 2: 8, 4: 4, 8: 2 }[size]!;
  const digits = physical ? 16 : 16;
  let out = '';
  for (let n = 0; n < Math.min(count, 4096); n++) {
    const at = address + BigInt(n * size);
    const gpa = physical ? Number(at) : yield* linearToPhysical(emu, sregs, at);
    const bytes = gpa === null ? null : yield* readPhysical(emu, gpa, size);
    if (!bytes) return `${out}${out.endsWith('\n') || out === '' ? '' : '\n'}Cannot access memory\n`;
    if (n % aLine === 0) out += `${n === 0 ? '' : '\n'}${hex(at, digits)}:`;
    let value = 0n;
    for (let b = size - 1; b >= 0; b--) value = (value << 8n) | BigInt(bytes[b]!);
    out += kind === 'x' ? ` 0x${hex(value, 2 * size)}` : kind === 'c' ? ` '${String.fromCharCode(Number(value & 127n))}'` : kind === 'o' ? ` 0${value.toString(8)}` : ` ${value}`;
  }
  return `${out}\n`;
}

const LMA = 0x400n;
const CODE_64 = 0x2000;
const CODE_32 = 0x4000;

/** As the code segment says; real mode and 16-bit segments are 16. */
export const codeMode = ({ efer, segments: { cs } }: Sregs): Mode => ((efer & LMA) !== 0n && (cs.rights & CODE_64) !== 0 ? 64 : (cs.rights & CODE_32) !== 0 ? 32 : 16);

/** "0x00100000:  b8 01 00 00 00           movl     $1, %eax" in the monitor; the mnemonics here are objdump's. */
function* disassembly(emu: Emulator, sregs: Sregs, from: bigint, count: number, physical: boolean): Call<string> {
  let out = '';
  let at = from;
  for (let n = 0; n < Math.min(count, 1000); n++) {
    const code = yield* readCode(emu, sregs, at, physical);
    if (code.length === 0) return `${out}0x${hex(at, 8)}:  Address 0x${hex(at, 8)} is out of bounds\n`;
    const one = printInstruction(code, at, codeMode(sregs), 'att');
    const bytes = [...code.subarray(0, one.length)].map((byte) => hex(byte, 2)).join(' ');
    out += `0x${hex(at, 8)}:  ${bytes.padEnd(24)} ${one.text}\n`;
    at += BigInt(one.length);
  }
  return out;
}

/** Up to fifteen bytes at an address, as many as are mapped. */
export function* readCode(emu: Emulator, sregs: Sregs, address: bigint, physical: boolean): Call<Uint8Array> {
  const out: number[] = [];
  while (out.length < 15) {
    const here = address + BigInt(out.length);
    const gpa = physical ? Number(here) : yield* linearToPhysical(emu, sregs, here);
    const some = gpa === null ? null : yield* readPhysical(emu, gpa, Math.min(15 - out.length, 4096 - Number(here & 4095n)));
    if (!some) break;
    out.push(...some);
  }
  return Uint8Array.from(out);
}
