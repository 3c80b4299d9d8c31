/** readelf -h -l -S -s -r: an ELF file's tables as GNU readelf 2.40 prints them. Left out: dynamic sections, notes, versions, DWARF. */
import { SysError } from '../../kernel/abi.ts';
import { parseOptions } from '../lib/args.ts';
import { readBytes } from '../lib/files.ts';
import { command, complain, print, strerror } from '../lib/io.ts';
import { type Elf, readElf, relocationName, relocations, type Section, SHF, SHT, symbolsIn } from './elf.ts';
import { hex } from './listing.ts';

const USAGE = `Usage: readelf <option(s)> elf-file(s)
 Display information about the contents of ELF format files
 Options are:
  -a --all               Equivalent to: -h -l -S -s -r
  -h --file-header       Display the ELF file header
  -l --program-headers   Display the program headers
     --segments          An alias for --program-headers
  -S --section-headers   Display the sections' header
     --sections          An alias for --section-headers
  -e --headers           Equivalent to: -h -l -S
  -s --syms              Display the symbol table
     --symbols           An alias for --syms
  -r --relocs            Display the relocations (if present)
  -W --wide              Allow output width to exceed 80 characters
  -H --help              Display this information
  -v --version           Display the version number of readelf
`;

export const readelf = command(function* (argv) {
  const o = parseOptions('a/all h/file-header l/program-headers segments S/section-headers sections e/headers s/syms symbols r/relocs W/wide H/help v/version', argv.slice(1));
  const on = (...names: string[]): boolean => names.some((name) => o.on.has(name));
  if (on('help')) {
    yield* print(USAGE);
    return 0;
  }
  if (on('version')) {
    yield* print('GNU readelf (GNU Binutils for Debian) 2.40\n');
    return 0;
  }
  const all = on('all');
  const wants = { header: all || on('file-header', 'headers'), segments: all || on('program-headers', 'segments', 'headers'), sections: all || on('section-headers', 'sections', 'headers'), symbols: all || on('syms', 'symbols'), relocations: all || on('relocs') };
  if (o.words.length === 0 || !Object.values(wants).includes(true)) {
    if (o.words.length === 0) yield* complain('readelf: Warning: Nothing to do.\n');
    yield* complain(USAGE);
    return 1;
  }
  let status = 0;
  for (const name of o.words) {
    let data: Uint8Array;
    try {
      data = yield* readBytes(name);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      yield* complain(error.errno === 'ENOENT' ? `readelf: Error: '${name}': No such file\n` : `readelf: Error: Could not open '${name}': ${strerror(error)}\n`);
      status = 1;
      continue;
    }
    const elf = readElf(data);
    if (!elf) {
      yield* complain('readelf: Error: Not an ELF file - it has the wrong magic bytes at the start\n');
      status = 1;
      continue;
    }
    if (o.words.length > 1) yield* print(`\nFile: ${name}\n`);
    if (wants.header) yield* print(headerText(elf));
    if (wants.sections) yield* print(sectionsText(elf, wants.header, on('wide')));
    if (wants.segments) yield* print(segmentsText(elf, wants.header, on('wide')));
    if (wants.relocations) yield* print(relocationsText(elf));
    if (wants.symbols) yield* print(symbolsText(elf));
  }
  return status;
});

const TYPES: Readonly<Record<number, string>> = { 0: 'NONE (None)', 1: 'REL (Relocatable file)', 2: 'EXEC (Executable file)', 3: 'DYN (Shared object file)', 4: 'CORE (Core file)' };
const MACHINES: Readonly<Record<number, string>> = { 0: 'None', 3: 'Intel 80386', 8: 'MIPS R3000', 40: 'ARM', 62: 'Advanced Micro Devices X86-64', 183: 'AArch64', 243: 'RISC-V' };
const OS: Readonly<Record<number, string>> = { 0: 'UNIX - System V', 3: 'UNIX - GNU', 9: 'UNIX - FreeBSD' };

const typeText = (elf: Elf): string => (elf.type === 3 && elf.segments.some(({ type }) => type === 3) ? 'DYN (Position-Independent Executable file)' : (TYPES[elf.type] ?? `<unknown>: ${hex(elf.type)}`));

function headerText(elf: Elf): string {
  const rows: [string, string | number][] = [
    ['Class', elf.wide ? 'ELF64' : 'ELF32'], ['Data', "2's complement, little endian"], ['Version', `${elf.ident[6]}${elf.ident[6] === 1 ? ' (current)' : ''}`], ['OS/ABI', OS[elf.ident[7]!] ?? `<unknown: ${hex(elf.ident[7]!)}>`], ['ABI Version', elf.ident[8]!],
    ['Type', typeText(elf)], ['Machine', MACHINES[elf.machine] ?? `<unknown>: 0x${hex(elf.machine)}`], ['Version', `0x${hex(elf.version)}`], ['Entry point address', `0x${hex(elf.entry)}`],
    ['Start of program headers', `${elf.segmentsAt} (bytes into file)`], ['Start of section headers', `${elf.sectionsAt} (bytes into file)`], ['Flags', `0x${hex(elf.flags)}`], ['Size of this header', `${elf.headerSize} (bytes)`],
    ['Size of program headers', `${elf.segmentSize} (bytes)`], ['Number of program headers', elf.segmentCount], ['Size of section headers', `${elf.sectionSize} (bytes)`], ['Number of section headers', elf.sectionCount], ['Section header string table index', elf.namesIndex],
  ];
  return `ELF Header:\n  Magic:   ${[...elf.ident].map((byte) => `${hex(byte, 2)} `).join('')}\n${rows.map(([name, value]) => `  ${`${name}:`.padEnd(34)} ${value}\n`).join('')}`;
}

const SECTION_TYPES: Readonly<Record<number, string>> = {
  0: 'NULL', 1: 'PROGBITS', 2: 'SYMTAB', 3: 'STRTAB', 4: 'RELA', 5: 'HASH', 6: 'DYNAMIC', 7: 'NOTE', 8: 'NOBITS', 9: 'REL', 11: 'DYNSYM', 14: 'INIT_ARRAY', 15: 'FINI_ARRAY', 17: 'GROUP', 0x6ffffff6: 'GNU_HASH', 0x6fffffff: 'VERSYM', 0x6ffffffe: 'VERNEED', 0x70000001: 'X86_64_UNWIND',
};
const FLAG_LETTERS: readonly [number, string][] = [[1, 'W'], [2, 'A'], [4, 'X'], [0x10, 'M'], [0x20, 'S'], [0x40, 'I'], [0x80, 'L'], [0x100, 'O'], [0x200, 'G'], [0x400, 'T'], [0x800, 'C']];
const letters = (flags: number): string => FLAG_LETTERS.filter(([bit]) => flags & bit).map(([, letter]) => letter).join('');
const KEY = 'Key to Flags:\n  W (write), A (alloc), X (execute), M (merge), S (strings), I (info),\n  L (link order), O (extra OS processing required), G (group), T (TLS),\n  C (compressed), x (unknown), o (OS specific), E (exclude),\n';
const nameOf = (name: string, width: number): string => (name.length > width ? `${name.slice(0, width - 5)}[...]` : name.padEnd(width));

function sectionsText(elf: Elf, headed: boolean, wide: boolean): string {
  if (elf.sections.length === 0) return '\nThere are no sections in this file.\n';
  const count = elf.sections.length;
  const head = headed ? '' : `There ${count === 1 ? 'is 1 section header' : `are ${count} section headers`}, starting at offset 0x${hex(elf.sectionsAt)}:\n`;
  const titles = !elf.wide ? '  [Nr] Name              Type            Addr     Off    Size   ES Flg Lk Inf Al\n' : wide ? '  [Nr] Name              Type            Address          Off    Size   ES Flg Lk Inf Al\n' : '  [Nr] Name              Type             Address           Offset\n       Size              EntSize          Flags  Link  Info  Align\n';
  const rows = elf.sections.map((one) => (!elf.wide ? narrowRow(one, 8) : wide ? narrowRow(one, 16) : wideRow(one))).join('');
  const large = elf.machine === 62 ? '  D (mbind), l (large), p (processor specific)\n' : '  D (mbind), p (processor specific)\n';
  return `${head}\nSection Headers:\n${titles}${rows}${KEY}${large}`;
}

const typeName = (type: number): string => SECTION_TYPES[type] ?? `${hex(type, 8)}: <unknown>`;

function narrowRow(one: Section, digits: number): string {
  return `  [${String(one.index).padStart(2)}] ${nameOf(one.name, 17)} ${typeName(one.type).padEnd(15)} ${hex(one.address, digits)} ${hex(one.offset, 6)} ${hex(one.size, 6)} ${hex(one.entrySize, 2)} ${letters(one.flags).padStart(3)} ${String(one.link).padStart(2)} ${String(one.info).padStart(3)} ${String(one.align).padStart(2)}\n`;
}

function wideRow(one: Section): string {
  return `  [${String(one.index).padStart(2)}] ${nameOf(one.name, 17)} ${typeName(one.type).padEnd(16)} ${hex(one.address, 16)}  ${hex(one.offset, 8)}\n       ${hex(one.size, 16)}  ${hex(one.entrySize, 16)} ${letters(one.flags).padStart(3)}    ${String(one.link).padStart(4)}  ${String(one.info).padStart(4)}     ${one.align}\n`;
}

const SEGMENT_TYPES: Readonly<Record<number, string>> = { 0: 'NULL', 1: 'LOAD', 2: 'DYNAMIC', 3: 'INTERP', 4: 'NOTE', 6: 'PHDR', 7: 'TLS', 0x6474e550: 'GNU_EH_FRAME', 0x6474e551: 'GNU_STACK', 0x6474e552: 'GNU_RELRO', 0x6474e553: 'GNU_PROPERTY' };

function segmentsText(elf: Elf, headed: boolean, wide: boolean): string {
  if (elf.segments.length === 0) return '\nThere are no program headers in this file.\n';
  const count = elf.segments.length;
  const head = headed ? '' : `\nElf file type is ${typeText(elf)}\nEntry point 0x${hex(elf.entry)}\nThere ${count === 1 ? 'is 1 program header' : `are ${count} program headers`}, starting at offset ${elf.segmentsAt}\n`;
  const rights = (flags: number): string => `${flags & 4 ? 'R' : ' '}${flags & 2 ? 'W' : ' '}${flags & 1 ? 'E' : ' '}`;
  const one = (value: number | bigint, digits: number): string => `0x${hex(value, digits)}`;
  const kind = (type: number): string => (SEGMENT_TYPES[type] ?? `<unknown>: ${hex(type)}`).padEnd(14);
  const rows = elf.segments.map((s) =>
    elf.wide && !wide
      ? `  ${kind(s.type)} ${one(s.offset, 16)} ${one(s.vaddr, 16)} ${one(s.paddr, 16)}\n                 ${one(s.fileSize, 16)} ${one(s.memorySize, 16)}  ${rights(s.flags)}    0x${hex(s.align)}\n`
      : `  ${kind(s.type)} ${one(s.offset, 6)} ${one(s.vaddr, elf.wide ? 16 : 8)} ${one(s.paddr, elf.wide ? 16 : 8)} ${one(s.fileSize, elf.wide ? 6 : 5)} ${one(s.memorySize, elf.wide ? 6 : 5)} ${rights(s.flags)} 0x${hex(s.align)}\n`).join('');
  const titles = !elf.wide
    ? '  Type           Offset   VirtAddr   PhysAddr   FileSiz MemSiz  Flg Align\n'
    : wide ? '  Type           Offset   VirtAddr           PhysAddr           FileSiz  MemSiz   Flg Align\n' : '  Type           Offset             VirtAddr           PhysAddr\n                 FileSiz            MemSiz              Flags  Align\n';
  return `${head}\nProgram Headers:\n${titles}${rows}${mapping(elf)}`;
}

function mapping(elf: Elf): string {
  if (elf.sections.length === 0) return '';
  const rows = elf.segments.map((s, n) => {
    const inside = elf.sections.filter((one) => s.memorySize > 0 && (one.flags & SHF.ALLOC) !== 0 && one.size > 0 && one.address >= s.vaddr && one.address + BigInt(one.size) <= s.vaddr + BigInt(s.memorySize));
    return `   ${String(n).padStart(2, '0')}     ${inside.map(({ name }) => `${name} `).join('')}\n`;
  });
  return `\n Section to Segment mapping:\n  Segment Sections...\n${rows.join('')}`;
}

const SYMBOL_TYPES = ['NOTYPE', 'OBJECT', 'FUNC', 'SECTION', 'FILE', 'COMMON', 'TLS'];
const BINDS: Readonly<Record<number, string>> = { 0: 'LOCAL', 1: 'GLOBAL', 2: 'WEAK', 10: 'UNIQUE' };
const SEEN = ['DEFAULT', 'INTERNAL', 'HIDDEN', 'PROTECTED'];

function symbolsText(elf: Elf): string {
  let text = '';
  for (const table of elf.sections.filter(({ type }) => type === SHT.SYMTAB || type === SHT.DYNSYM)) {
    const all = symbolsIn(elf, table);
    text += `\nSymbol table '${table.name}' contains ${all.length} ${all.length === 1 ? 'entry' : 'entries'}:\n   Num:    Value${elf.wide ? '          Size' : '  Size'} Type    Bind   Vis      Ndx Name\n`;
    all.forEach((one, n) => {
      const place = one.section === 0 ? 'UND' : one.section === 0xfff1 ? 'ABS' : one.section === 0xfff2 ? 'COM' : String(one.section);
      text += `${String(n).padStart(6)}: ${hex(one.value, elf.wide ? 16 : 8)} ${String(one.size).padStart(5)} ${(SYMBOL_TYPES[one.type] ?? '<unknown>').padEnd(7)} ${(BINDS[one.bind] ?? '<unknown>').padEnd(6)} ${SEEN[one.visibility]!.padEnd(7)} ${place.padStart(4)} ${one.name}\n`;
    });
  }
  return text;
}

function relocationsText(elf: Elf): string {
  let text = '';
  for (const table of elf.sections.filter(({ type }) => type === SHT.REL || type === SHT.RELA)) {
    const all = relocations(elf, table);
    const names = symbolsIn(elf, elf.sections[table.link]!);
    text += `\nRelocation section '${table.name}' at offset 0x${hex(table.offset)} contains ${all.length} ${all.length === 1 ? 'entry' : 'entries'}:\n`;
    text += elf.wide ? '  Offset          Info           Type           Sym. Value    Sym. Name + Addend\n' : ' Offset     Info    Type            Sym.Value  Sym. Name\n';
    for (const one of all) {
      const to = names[one.symbol];
      const info = elf.wide ? (BigInt(one.symbol) << 32n) | BigInt(one.type) : BigInt((one.symbol << 8) | one.type);
      const kind = relocationName(elf.machine, one.type);
      text += elf.wide
        ? `${hex(one.offset, 12)}  ${hex(info, 12)} ${kind.slice(0, 17).padEnd(17)} ${hex(to?.value ?? 0n, 16)} ${to?.name ?? ''} ${(one.addend ?? 0n) < 0n ? '-' : '+'} ${hex((one.addend ?? 0n) < 0n ? -one.addend! : (one.addend ?? 0n))}\n`
        : `${hex(one.offset, 8)}  ${hex(info, 8)} ${kind.padEnd(17)} ${hex(to?.value ?? 0n, 8)}   ${to?.name ?? ''}\n`;
    }
  }
  return text === '' ? '\nThere are no relocations in this file.\n' : text;
}
