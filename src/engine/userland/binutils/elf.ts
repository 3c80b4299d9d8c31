/**
 * ELF files of both classes as records: header, segments, sections, symbols, relocations. Little endian only. What lies outside
 * the file reads as nothing. Source: System V ABI, gABI chapters 4 and 5.
 */
import { text } from '../../sim/text.ts';

export interface Section {
  index: number;
  name: string;
  type: number;
  flags: number;
  address: bigint;
  offset: number;
  size: number;
  link: number;
  info: number;
  align: number;
  entrySize: number;
}

export interface Segment {
  type: number;
  flags: number;
  offset: number;
  vaddr: bigint;
  paddr: bigint;
  fileSize: number;
  memorySize: number;
  align: number;
}

export interface ElfSymbol {
  name: string;
  value: bigint;
  size: number;
  bind: number;
  type: number;
  visibility: number;
  /** 0 undefined, 0xfff1 absolute, 0xfff2 common. */
  section: number;
}

export interface Relocation {
  offset: bigint;
  type: number;
  symbol: number;
  addend: bigint | null;
}

export interface Elf {
  data: Uint8Array;
  wide: boolean;
  ident: Uint8Array;
  type: number;
  machine: number;
  version: number;
  entry: bigint;
  flags: number;
  segmentsAt: number;
  sectionsAt: number;
  headerSize: number;
  segmentSize: number;
  segmentCount: number;
  sectionSize: number;
  sectionCount: number;
  namesIndex: number;
  sections: Section[];
  segments: Segment[];
}

export const SHT = { NULL: 0, PROGBITS: 1, SYMTAB: 2, STRTAB: 3, RELA: 4, NOBITS: 8, REL: 9, DYNSYM: 11 } as const;
export const SHF = { WRITE: 1, ALLOC: 2, EXEC: 4 } as const;

interface Reader {
  view: DataView;
  wide: boolean;
}

const u16 = ({ view }: Reader, at: number): number => view.getUint16(at, true);
const u32 = ({ view }: Reader, at: number): number => view.getUint32(at, true);
/** A word of the class. */
const word = (reader: Reader, at: number): bigint => (reader.wide ? reader.view.getBigUint64(at, true) : BigInt(u32(reader, at)));
const size = (reader: Reader, at: number): number => Number(word(reader, at));

export const isElf = (data: Uint8Array): boolean => data.length >= 20 && data[0] === 0x7f && data[1] === 0x45 && data[2] === 0x4c && data[3] === 0x46;

/** Null when it is no ELF file of little-endian words, or its tables lie outside. */
export function readElf(data: Uint8Array): Elf | null {
  if (!isElf(data) || (data[4] !== 1 && data[4] !== 2) || data[5] !== 1) return null;
  const reader: Reader = { view: new DataView(data.buffer, data.byteOffset, data.byteLength), wide: data[4] === 2 };
  try {
    return read(data, reader);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

function read(data: Uint8Array, reader: Reader): Elf {
  const { wide } = reader;
  const rest = wide ? 0x30 : 0x24;
  const elf: Elf = {
    data, wide, ident: data.subarray(0, 16), type: u16(reader, 16), machine: u16(reader, 18), version: u32(reader, 20), entry: word(reader, 24), segmentsAt: size(reader, wide ? 0x20 : 0x1c), sectionsAt: size(reader, wide ? 0x28 : 0x20),
    flags: u32(reader, rest), headerSize: u16(reader, rest + 4), segmentSize: u16(reader, rest + 6), segmentCount: u16(reader, rest + 8), sectionSize: u16(reader, rest + 10), sectionCount: u16(reader, rest + 12), namesIndex: u16(reader, rest + 14),
    sections: [], segments: [],
  };
  for (let n = 0; n < elf.segmentCount; n++) elf.segments.push(segment(reader, elf.segmentsAt + n * elf.segmentSize));
  const raw = Array.from({ length: elf.sectionCount }, (_, n) => section(reader, elf.sectionsAt + n * elf.sectionSize, n));
  const names = raw[elf.namesIndex];
  elf.sections = raw.map(({ nameAt, ...one }) => ({ ...one, name: names ? stringAt(data, names, nameAt) : '' }));
  return elf;
}

function segment(reader: Reader, at: number): Segment {
  const { wide } = reader;
  return wide
    ? { type: u32(reader, at), flags: u32(reader, at + 4), offset: size(reader, at + 8), vaddr: word(reader, at + 16), paddr: word(reader, at + 24), fileSize: size(reader, at + 32), memorySize: size(reader, at + 40), align: size(reader, at + 48) }
    : { type: u32(reader, at), flags: u32(reader, at + 24), offset: size(reader, at + 4), vaddr: word(reader, at + 8), paddr: word(reader, at + 12), fileSize: size(reader, at + 16), memorySize: size(reader, at + 20), align: size(reader, at + 28) };
}

function section(reader: Reader, at: number, index: number): Omit<Section, 'name'> & { nameAt: number } {
  const w = reader.wide ? 8 : 4;
  return {
    index, nameAt: u32(reader, at), type: u32(reader, at + 4), flags: size(reader, at + 8), address: word(reader, at + 8 + w), offset: size(reader, at + 8 + 2 * w), size: size(reader, at + 8 + 3 * w),
    link: u32(reader, at + 8 + 4 * w), info: u32(reader, at + 12 + 4 * w), align: size(reader, at + 16 + 4 * w), entrySize: size(reader, at + 16 + 5 * w),
  };
}

function stringAt(data: Uint8Array, table: { offset: number; size: number }, at: number): string {
  const from = table.offset + at;
  const end = data.indexOf(0, from);
  return text(data.subarray(from, end < 0 ? Math.min(data.length, table.offset + table.size) : end));
}

export function contents(elf: Elf, one: Section): Uint8Array {
  return one.type === SHT.NOBITS ? new Uint8Array(0) : elf.data.subarray(one.offset, one.offset + one.size);
}

/** Symbols of the table of this type, the null one first. */
export function symbols(elf: Elf, type: number = SHT.SYMTAB): ElfSymbol[] {
  const table = elf.sections.find((one) => one.type === type);
  return table ? symbolsIn(elf, table) : [];
}

export function symbolsIn(elf: Elf, table: Section): ElfSymbol[] {
  const strings = elf.sections[table.link];
  const reader: Reader = { view: new DataView(elf.data.buffer, elf.data.byteOffset, elf.data.byteLength), wide: elf.wide };
  const step = elf.wide ? 24 : 16;
  const out: ElfSymbol[] = [];
  for (let at = table.offset; at + step <= Math.min(elf.data.length, table.offset + table.size); at += step) {
    const info = reader.view.getUint8(at + (elf.wide ? 4 : 12));
    const index = u16(reader, at + (elf.wide ? 6 : 14));
    const type = info & 15;
    const named = strings ? stringAt(elf.data, strings, u32(reader, at)) : '';
    out.push({
      name: named === '' && type === 3 ? (elf.sections[index]?.name ?? '') : named, value: word(reader, at + (elf.wide ? 8 : 4)), size: size(reader, at + (elf.wide ? 16 : 8)), bind: info >> 4, type,
      visibility: reader.view.getUint8(at + (elf.wide ? 5 : 13)) & 3, section: index,
    });
  }
  return out;
}

export function relocations(elf: Elf, one: Section): Relocation[] {
  const reader: Reader = { view: new DataView(elf.data.buffer, elf.data.byteOffset, elf.data.byteLength), wide: elf.wide };
  const w = elf.wide ? 8 : 4;
  const explicit = one.type === SHT.RELA;
  const out: Relocation[] = [];
  for (let at = one.offset; at < one.offset + one.size; at += (explicit ? 3 : 2) * w) {
    const info = word(reader, at + w);
    out.push({
      offset: word(reader, at), symbol: Number(elf.wide ? info >> 32n : info >> 8n), type: Number(info & (elf.wide ? 0xffff_ffffn : 0xffn)), addend: explicit ? BigInt.asIntN(8 * w, word(reader, at + 2 * w)) : null,
    });
  }
  return out;
}

export const formatName = (elf: Elf): string => (elf.machine === 62 ? (elf.wide ? 'elf64-x86-64' : 'elf32-x86-64') : elf.machine === 3 ? (elf.wide ? 'elf64-i386' : 'elf32-i386') : `elf${elf.wide ? 64 : 32}-little`);

const RELOCATION_NAMES: Readonly<Record<number, readonly string[]>> = {
  62: ['NONE', '64', 'PC32', 'GOT32', 'PLT32', 'COPY', 'GLOB_DAT', 'JUMP_SLOT', 'RELATIVE', 'GOTPCREL', '32', '32S', '16', 'PC16', '8', 'PC8'].map((name) => `R_X86_64_${name}`),
  3: ['NONE', '32', 'PC32', 'GOT32', 'PLT32', 'COPY', 'GLOB_DAT', 'JUMP_SLOT', 'RELATIVE', 'GOTOFF', 'GOTPC', ...Array.from({ length: 9 }, (_, n) => String(11 + n)), '16', 'PC16', '8', 'PC8'].map((name) => `R_386_${name}`),
};

export const relocationName = (machine: number, type: number): string => RELOCATION_NAMES[machine]?.[type] ?? (machine === 62 && type === 41 ? 'R_X86_64_GOTPCRELX' : machine === 62 && type === 42 ? 'R_X86_64_REX_GOTPCRELX' : machine === 3 && type === 43 ? 'R_386_GOT32X' : machine === 3 && type === 20 ? 'R_386_16' : machine === 3 && type === 21 ? 'R_386_PC16' : `unrecognized: ${type.toString(16)}`);
