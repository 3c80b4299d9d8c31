/**
 * objdump: headers, symbols, contents and disassembly of ELF files and of plain bytes (-b binary -m ARCH). Source: objdump(1) of
 * binutils 2.40. Left out: archives, debugging information (-S shows no source), other architectures and object formats.
 */
import { SysError } from '../../kernel/abi.ts';
import type { Mode } from '../../machine/isa/decode.ts';
import type { Syntax } from '../../machine/isa/objdump.ts';
import { type Options, lastValue, parseOptions } from '../lib/args.ts';
import { readBytes } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';
import { contents, type Elf, formatName, readElf, relocationName, relocations, type Section, SHF, SHT, type ElfSymbol, symbols, symbolsIn } from './elf.ts';
import { addressWidth, hex, type Label, labelAt, list, type Listing } from './listing.ts';

const USAGE = 'Usage: objdump <option(s)> <file(s)>\n Display information from object <file(s)>.\n At least one of the following switches must be given:\n  -f, --file-headers       Display the contents of the overall file header\n  -h, --[section-]headers  Display the contents of the section headers\n  -x, --all-headers        Display the contents of all headers\n  -d, --disassemble        Display assembler contents of executable sections\n  -D, --disassemble-all    Display assembler contents of all sections\n      --disassemble=<sym>  Display assembler contents from <sym>\n  -s, --full-contents      Display the full contents of all sections requested\n  -t, --syms               Display the contents of the symbol table(s)\n  -r, --reloc              Display the relocation entries in the file\n  -v, --version            Display this program\'s version number\n  -H, --help               Display this information\n';
const SPEC =
  'f/file-headers h/headers section-headers x/all-headers d disassemble? D/disassemble-all S/source l/line-numbers s/full-contents t/syms r/reloc v/version H/help b/target= m/architecture= M/disassembler-options= j/section= w/wide z/disassemble-zeroes C/demangle start-address= stop-address= adjust-vma= no-show-raw-insn show-raw-insn no-addresses insn-width= disassembler-color= visualize-jumps?';

const MODES: Readonly<Record<string, Mode>> = { i8086: 16, i386: 32, 'i386:x86-64': 64, 'i386:intel': 32, 'i386:x86-64:intel': 64 };

/** A file to dump: its sections, symbols and how its code is read. */
interface Input {
  name: string;
  format: string;
  mode: Mode;
  digits: number;
  elf: Elf | null;
  sections: (Section & { data: Uint8Array })[];
  symbols: ElfSymbol[];
}

export const objdump = command(function* (argv) {
  const o = parseOptions(SPEC, argv.slice(1));
  if (o.on.has('version')) {
    yield* print('GNU objdump (GNU Binutils for Debian) 2.40\n');
    return 0;
  }
  if (o.on.has('help')) {
    yield* print(USAGE);
    return 0;
  }
  if (!['file-headers', 'headers', 'section-headers', 'all-headers', 'd', 'disassemble', 'disassemble-all', 'source', 'full-contents', 'syms', 'reloc'].some((name) => o.on.has(name))) {
    yield* complain(USAGE);
    return 2;
  }
  let status = 0;
  for (const file of o.words.length > 0 ? o.words : ['a.out']) {
    const input = yield* open(file, o);
    if (typeof input === 'string') {
      yield* complain(`objdump: ${input}\n`);
      status = 1;
    } else yield* show(input, o);
  }
  return status;
});

function* open(file: string, o: Options): Call<Input | string> {
  let data: Uint8Array;
  try {
    data = yield* readBytes(file);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return error.errno === 'ENOENT' ? `'${file}': No such file` : `${file}: ${strerror(error)}`;
  }
  const machine = lastValue(o, 'architecture');
  const mode = machine === undefined ? undefined : MODES[machine];
  if (machine !== undefined && mode === undefined) throw new Failed(`can't use supplied machine ${machine}`);
  const shift = numberOf(o, 'adjust-vma') ?? 0n;
  if (lastValue(o, 'target') === 'binary') return binary(file, data, mode, o.on.has('disassemble-all') || o.on.has('d') || o.on.has('disassemble'), shift);
  const elf = readElf(data);
  if (!elf) return `${file}: file format not recognized`;
  return {
    name: file, format: formatName(elf), mode: mode ?? (elf.machine === 62 ? 64 : 32), digits: elf.wide ? 16 : 8, elf,
    sections: elf.sections.map((one) => ({ ...one, address: one.address + shift, data: contents(elf, one) })), symbols: symbols(elf).slice(1).map((one) => (one.section > 0 && one.section < 0xff00 ? { ...one, value: one.value + shift } : one)),
  };
}

function binary(name: string, data: Uint8Array, mode: Mode | undefined, code: boolean, address: bigint): Input | string {
  if (mode === undefined && code) return `can't disassemble for architecture UNKNOWN!\n`;
  const section = { index: 1, name: '.data', type: SHT.PROGBITS, flags: SHF.ALLOC | SHF.WRITE, address, offset: 0, size: data.length, link: 0, info: 0, align: 1, entrySize: 0, data };
  return { name, format: 'binary', mode: mode ?? 64, digits: mode === 64 || mode === undefined ? 16 : 8, elf: null, sections: [section], symbols: [] };
}

function numberOf(o: Options, name: string): bigint | null {
  const word = lastValue(o, name);
  if (word === undefined) return null;
  if (!/^(0x[0-9a-f]+|\d+)$/i.test(word)) throw new Failed(`--${name}: bad number: ${word}`);
  return BigInt(word);
}

function* show(input: Input, o: Options): Call<void> {
  const all = o.on.has('all-headers');
  yield* print(`\n${input.name}:     file format ${input.format}\n`);
  if (o.on.has('file-headers') || all) yield* print(fileHeader(input, all));
  if (all) yield* print('\n');
  if (o.on.has('headers') || o.on.has('section-headers') || all) yield* print(sectionHeaders(input, o));
  if (o.on.has('syms') || all) yield* print(symbolTable(input));
  const code = ['d', 'disassemble', 'disassemble-all', 'source'].some((name) => o.on.has(name));
  if (o.on.has('reloc') && !code) yield* print(relocationTables(input));
  if (o.on.has('full-contents')) yield* print(`\n${chosen(input, o).filter(({ data }) => data.length > 0).map((one) => contentText(one, o)).join('')}`);
  if (code) yield* print(disassembly(input, o));
  else yield* print(o.on.has('full-contents') || o.on.has('syms') || o.on.has('reloc') ? '' : '');
}

function chosen(input: Input, o: Options): Input['sections'] {
  const wanted = o.values.get('section');
  const listed = input.sections.filter(({ type }) => input.elf === null || ![SHT.NULL, SHT.SYMTAB, SHT.STRTAB].includes(type as 0) );
  const plain = listed.filter(({ type }) => type !== SHT.RELA && type !== SHT.REL);
  if (!wanted) return plain;
  const found = plain.filter(({ name }) => wanted.includes(name));
  for (const name of wanted) if (!found.some((one) => one.name === name)) throw new Failed(`section '${name}' mentioned in a -j option, but not found in any input file`);
  return found;
}

const isRelocatable = ({ elf }: Input): boolean => elf?.type === 1;

function fileHeader(input: Input, _all: boolean): string {
  const { elf } = input;
  const flags: [number, string][] = [];
  if (elf && input.sections.some(({ type }) => type === SHT.REL || type === SHT.RELA) && isRelocatable(input)) flags.push([1, 'HAS_RELOC']);
  if (elf?.type === 2) flags.push([2, 'EXEC_P']);
  if (input.symbols.length > 0) flags.push([0x10, 'HAS_SYMS']);
  if (elf?.type === 3) flags.push([0x40, 'DYNAMIC']);
  if (elf && elf.segments.length > 0) flags.push([0x100, 'D_PAGED']);
  const mask = flags.reduce((sum, [bit]) => sum | bit, 0) | (0);
  const architecture = input.elf ? (input.mode === 64 ? 'i386:x86-64' : 'i386') : 'UNKNOWN!';
  return `architecture: ${architecture}, flags 0x${hex(mask, 8)}:\n${flags.map(([, name]) => name).join(', ')}\nstart address 0x${hex(elf?.entry ?? 0n, input.digits)}\n\n`;
}

function sectionHeaders(input: Input, o: Options): string {
  const { digits } = input;
  const gap = digits === 16 ? '              ' : '      ';
  let text = `\nSections:\nIdx Name          Size      VMA${gap}${digits === 16 ? '' : ''} LMA${gap} File off  Algn\n`;
  const rows = chosen(input, o);
  for (const one of rows) {
    const at = loadAddress(input, one);
    text += `${String(rows.indexOf(one)).padStart(3)} ${one.name.padEnd(13)} ${hex(one.size, 8)}  ${hex(one.address, digits)}  ${hex(at, digits)}  ${hex(one.offset, 8)}  2**${Math.log2(Math.max(1, one.align))}\n                  ${sectionFlags(input, one).join(', ')}\n`;
  }
  return text;
}

function loadAddress({ elf }: Input, one: Section): bigint {
  const inside = elf?.segments.find((s) => s.type === 1 && (one.flags & SHF.ALLOC) !== 0 && one.address >= s.vaddr && one.address < s.vaddr + BigInt(Math.max(1, s.memorySize)));
  return inside ? one.address - inside.vaddr + inside.paddr : one.address;
}

function sectionFlags(input: Input, one: Section): string[] {
  const out: string[] = [];
  const alloc = (one.flags & SHF.ALLOC) !== 0;
  if (one.type !== SHT.NOBITS) out.push('CONTENTS');
  if (alloc) out.push('ALLOC');
  if (alloc && one.type !== SHT.NOBITS) out.push('LOAD');
  if (isRelocatable(input) && input.sections.some((s) => (s.type === SHT.RELA || s.type === SHT.REL) && s.info === one.index)) out.push('RELOC');
  if ((one.flags & SHF.WRITE) === 0) out.push('READONLY');
  if (one.flags & SHF.EXEC) out.push('CODE');
  else if (alloc && one.type !== SHT.NOBITS) out.push('DATA');
  if (one.name.startsWith('.debug')) out.push('DEBUGGING', 'OCTETS');
  return out;
}

const ABSOLUTE = 0xfff1;
const COMMON = 0xfff2;

function symbolTable(input: Input): string {
  const rows = input.symbols.map((one) => {
    const scope = one.bind === 0 ? 'l' : one.bind === 1 && one.section !== 0 ? 'g' : one.bind === 10 ? 'u' : ' ';
    const weak = one.bind === 2 ? 'w' : ' ';
    const debug = one.type === 3 || one.type === 4 ? 'd' : ' ';
    const kind = one.type === 2 ? 'F' : one.type === 4 ? 'f' : one.type === 1 ? 'O' : ' ';
    const place = one.section === 0 ? '*UND*' : one.section === ABSOLUTE ? '*ABS*' : one.section === COMMON ? '*COM*' : (input.elf?.sections[one.section]?.name ?? '*ABS*');
    const hidden = one.visibility === 2 ? ' .hidden' : one.visibility === 1 ? ' .internal' : one.visibility === 3 ? ' .protected' : '';
    return `${hex(one.value, input.digits)} ${scope}${weak}   ${debug}${kind} ${place}\t${hex(one.size, input.digits)}${hidden} ${one.name}\n`;
  });
  return `\nSYMBOL TABLE:\n${rows.length > 0 ? rows.join('') : 'no symbols\n'}\n\n`;
}

function contentText(one: Section & { data: Uint8Array }, o: Options): string {
  const [from, to] = range(one, o);
  if (to <= from) return '';
  const width = Math.max(4, hex(one.address + BigInt(to)).length);
  let text = `Contents of section ${one.name}:\n`;
  for (let at = from; at < to; at += 16) {
    const bytes = one.data.subarray(at, Math.min(at + 16, to));
    const words = [0, 4, 8, 12].map((n) => [...bytes.subarray(n, n + 4)].map((byte) => hex(byte, 2)).join('').padEnd(8)).join(' ');
    const letters = [...bytes].map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '.')).join('');
    text += ` ${hex(one.address + BigInt(at), width)} ${words}  ${letters.padEnd(16)}\n`;
  }
  return text;
}

/** What of a section --start-address and --stop-address leave, as offsets. */
function range(one: Section & { data: Uint8Array }, o: Options): [number, number] {
  const start = numberOf(o, 'start-address');
  const stop = numberOf(o, 'stop-address');
  const clip = (address: bigint): number => Number(address < one.address ? 0n : address - one.address > BigInt(one.data.length) ? BigInt(one.data.length) : address - one.address);
  return [start === null ? 0 : clip(start), stop === null ? one.data.length : clip(stop)];
}

function relocationTables(input: Input): string {
  const { elf, digits } = input;
  let text = '';
  for (const table of elf?.sections ?? []) {
    if (table.type !== SHT.RELA && table.type !== SHT.REL) continue;
    const target = elf!.sections[table.info]?.name ?? '';
    text += `${text === '' ? '\n' : '\n'}RELOCATION RECORDS FOR [${target}]:\n${'OFFSET'.padEnd(digits)} TYPE${' '.repeat(14)}VALUE\n`;
    for (const one of relocations(elf!, table)) text += `${hex(one.offset, digits)} ${relocationName(elf!.machine, one.type).padEnd(16)}  ${valueText(elf!, table, one, digits)}\n`;
    text += '\n';
  }
  return `${text}\n`;
}

function valueText(elf: Elf, table: Section, { symbol, addend }: { symbol: number; addend: bigint | null }, digits = 0): string {
  const to = symbolsIn(elf, elf.sections[table.link]!)[symbol];
  const name = to?.name || '*ABS*';
  return `${name}${addend ? (addend < 0n ? `-0x${hex(-addend, digits)}` : `+0x${hex(addend, digits)}`) : ''}`;
}

// ---- disassembly

function disassembly(input: Input, o: Options): string {
  const every = o.on.has('disassemble-all');
  const only = lastValue(o, 'disassemble');
  const said = (o.values.get('disassembler-options') ?? []).join(',').split(',');
  const syntax: Syntax = said.includes('intel') || said.includes('intel-mnemonic') || lastValue(o, 'architecture')?.endsWith(':intel') ? 'intel' : 'att';
  const mode: Mode = said.includes('i8086') ? 16 : said.includes('i386') ? 32 : said.includes('x86-64') ? 64 : input.mode;
  const labels = labelsOf(input);
  let text = '';
  for (const one of chosen(input, o)) {
    if ((!every && input.elf && (one.flags & SHF.EXEC) === 0) || one.data.length === 0 || (every && !input.elf === false && one.type === SHT.NOBITS)) continue;
    const listing: Listing = {
      mode, syntax, labels, digits: input.digits, raw: !o.on.has('no-show-raw-insn'), wide: o.on.has('wide'), zeroes: o.on.has('disassemble-zeroes'), notes: o.on.has('reloc') ? notesOf(input, one) : [],
      sections: input.sections.filter(({ flags }) => !input.elf || (flags & SHF.ALLOC) !== 0),
    };
    text += sectionText(listing, one, range(one, o), only);
  }
  return `\n${text}`;
}

function labelsOf(input: Input): Label[] {
  return input.symbols.filter((one) => one.name !== '' && one.type !== 3 && one.type !== 4 && one.section > 0 && one.section < 0xff00)
    .map((one) => ({ address: one.value, name: one.name, section: one.section, size: one.size, rank: (one.type === 2 ? 0 : one.type === 1 ? 2 : 4) + (one.bind === 0 ? 1 : 0) }))
    .sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : a.rank - b.rank || (a.name < b.name ? -1 : 1)));
}

function notesOf({ elf, digits }: Input, one: Section): Listing['notes'] {
  const table = elf?.sections.find((s) => (s.type === SHT.RELA || s.type === SHT.REL) && s.info === one.index);
  if (!elf || !table) return [];
  const places = relocations(elf, table);
  return places.map((r) => ({ address: one.address + r.offset, text: `${hex(r.offset, digits === 16 ? 0 : 0)}: ${relocationName(elf.machine, r.type)}\t${valueText(elf, table, r)}` }));
}

function sectionText(listing: Listing, one: Section & { data: Uint8Array }, [from, to]: [number, number], only: string | undefined): string {
  if (to <= from) return '';
  const begin = one.address + BigInt(from);
  const end = one.address + BigInt(to);
  const width = addressWidth(one.address + BigInt(one.size), listing.digits);
  const cuts = [begin, ...new Set(listing.labels.filter((l) => l.section === one.index && l.address > begin && l.address < end).map((l) => l.address)), end];
  let text = '';
  for (let n = 0; n + 1 < cuts.length; n++) {
    const at = cuts[n]!;
    const label = labelAt(listing.labels, at, one.index);
    if (only !== undefined && label?.name !== only) continue;
    const stop = only !== undefined && label && label.size > 0 ? label.address + BigInt(label.size) : cuts[n + 1]!;
    const last = stop < cuts[n + 1]! ? stop : cuts[n + 1]!;
    const off = label ? at - label.address : at - one.address;
    text += `\n${hex(at, listing.digits)} <${label?.name ?? one.name}${off > 0n ? `+0x${hex(off)}` : ''}>:\n${list(listing, one.data.subarray(Number(at - one.address), Number(last - one.address)), at, width, one.index)}`;
  }
  return text === '' ? '' : `\nDisassembly of section ${one.name}:\n${text}`;
}
