/** size, nm and file: what is in a file, in a line or a few. Source: size(1), nm(1), file(1). Left out of file: most of its magic. */
import { S_IFMT, SysError } from '../../kernel/abi.ts';
import { text as textOf } from '../../sim/text.ts';
import { parseOptions } from '../lib/args.ts';
import { readBytes } from '../lib/files.ts';
import { sys } from '../../kernel/sys.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';
import { type Elf, isElf, readElf, type Section, SHF, SHT, type ElfSymbol, symbols } from './elf.ts';
import { hex } from './listing.ts';

/** The ELF file, or what is wrong with it. */
function* openElf(name: string): Call<Elf | string> {
  try {
    return readElf(yield* readBytes(name)) ?? `${name}: file format not recognized`;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return error.errno === 'ENOENT' ? `'${name}': No such file` : `${name}: ${strerror(error)}`;
  }
}

const allocated = (one: Section): boolean => (one.flags & SHF.ALLOC) !== 0;

export const size = command(function* (argv) {
  const o = parseOptions('A/format? B d o x t/totals', argv.slice(1));
  let status = 0;
  const system = o.on.has('format');
  if (!system) yield* print('   text\t   data\t    bss\t    dec\t    hex\tfilename\n');
  for (const name of o.words.length > 0 ? o.words : ['a.out']) {
    const elf = yield* openElf(name);
    if (typeof elf === 'string') {
      yield* complain(`size: ${elf}\n`);
      status = 1;
    } else yield* print(system ? bySection(name, elf) : berkeley(name, elf));
  }
  return status;
});

function berkeley(name: string, elf: Elf): string {
  const sum = (fits: (one: Section) => boolean): number => elf.sections.filter((one) => allocated(one) && fits(one)).reduce((total, one) => total + one.size, 0);
  const bss = sum((one) => one.type === SHT.NOBITS);
  const code = sum((one) => one.type !== SHT.NOBITS && ((one.flags & SHF.EXEC) !== 0 || (one.flags & SHF.WRITE) === 0));
  const data = sum((one) => one.type !== SHT.NOBITS && (one.flags & SHF.WRITE) !== 0 && (one.flags & SHF.EXEC) === 0);
  const all = code + data + bss;
  return `${[code, data, bss, all].map((n) => String(n).padStart(7)).join('\t')}\t${hex(all).padStart(7)}\t${name}\n`;
}

function bySection(name: string, elf: Elf): string {
  const rows = elf.sections.filter((one) => one.size > 0 && ![SHT.SYMTAB, SHT.STRTAB, SHT.RELA, SHT.REL, SHT.NULL].includes(one.type as 0));
  const total = rows.reduce((sum, one) => sum + one.size, 0);
  const wide = Math.max(7, ...rows.map((one) => one.name.length));
  const sizes = Math.max(4, String(total).length);
  const places = Math.max(4, ...rows.map((one) => String(one.address).length));
  return `${name}  :\n${'section'.padEnd(wide)}   ${'size'.padStart(sizes)}   ${'addr'.padStart(places)}\n${rows.map((one) => `${one.name.padEnd(wide)}   ${String(one.size).padStart(sizes)}   ${String(one.address).padStart(places)}\n`).join('')}${'Total'.padEnd(wide)}   ${String(total).padStart(sizes)}\n\n\n`;
}

export const nm = command(function* (argv) {
  const o = parseOptions('a g/extern-only n/numeric-sort u/undefined-only p r S/print-size', argv.slice(1));
  let status = 0;
  for (const name of o.words.length > 0 ? o.words : ['a.out']) {
    const elf = yield* openElf(name);
    if (typeof elf === 'string') {
      yield* complain(`nm: ${elf}\n`);
      status = 1;
      continue;
    }
    const all = symbols(elf).slice(1).filter((one) => one.type !== 3 && one.type !== 4 && (!o.on.has('extern-only') || one.bind !== 0) && (!o.on.has('undefined-only') || one.section === 0));
    if (all.length === 0) yield* complain(`nm: ${name}: no symbols\n`);
    const sorted = all.sort((a, b) => (o.on.has('numeric-sort') && a.value !== b.value ? (a.value < b.value ? -1 : 1) : a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
    const digits = elf.wide ? 16 : 8;
    yield* print(sorted.map((one) => `${one.section === 0 ? ' '.repeat(digits) : hex(one.value, digits)}${o.on.has('print-size') && one.size > 0 ? ` ${hex(one.size, digits)}` : ''} ${letter(elf, one)} ${one.name}\n`).join(''));
  }
  return status;
});

function letter(elf: Elf, one: ElfSymbol): string {
  if (one.section === 0) return one.bind === 2 ? 'w' : 'U';
  const place = elf.sections[one.section];
  const kind = one.section === 0xfff1 ? 'a' : one.section === 0xfff2 ? 'c' : one.bind === 2 ? 'w' : !place ? '?' : place.type === SHT.NOBITS ? 'b' : place.flags & SHF.EXEC ? 't' : place.flags & SHF.WRITE ? 'd' : place.flags & SHF.ALLOC ? 'r' : 'n';
  return one.bind === 0 ? kind : kind.toUpperCase();
}

// ---- file

const KINDS: Readonly<Record<number, string>> = { 1: 'relocatable', 2: 'executable', 3: 'shared object', 4: 'core file' };
const MACHINES: Readonly<Record<number, string>> = { 3: 'Intel 80386', 40: 'ARM', 62: 'x86-64', 183: 'ARM aarch64', 243: 'UCB RISC-V' };

function elfText(data: Uint8Array): string {
  const elf = readElf(data);
  const head = `ELF ${data[4] === 2 ? '64' : '32'}-bit ${data[5] === 2 ? 'MSB' : 'LSB'}`;
  if (!elf) return head;
  const linked = elf.type === 2 ? `, ${elf.segments.some(({ type }) => type === 3) ? 'dynamically linked' : 'statically linked'}` : '';
  return `${head} ${KINDS[elf.type] ?? 'unknown type'}, ${MACHINES[elf.machine] ?? `machine ${elf.machine}`}, version ${elf.version} (SYSV)${linked}, ${symbols(elf).length > 0 ? 'not stripped' : 'stripped'}`;
}

function contentText(data: Uint8Array): string {
  if (data.length === 0) return 'empty';
  if (isElf(data)) return elfText(data);
  if (data[0] === 0x1f && data[1] === 0x8b) return 'gzip compressed data';
  if (textOf(data.subarray(0, 4)) === 'QFI\xfb' || (data[0] === 0x51 && data[1] === 0x46 && data[2] === 0x49 && data[3] === 0xfb)) return `QEMU QCOW Image (v${data[7]})`;
  if (data.length >= 512 && data[510] === 0x55 && data[511] === 0xaa) return 'DOS/MBR boot sector';
  if (data.some((byte) => byte < 7 || (byte > 13 && byte < 32 && byte !== 27))) return 'data';
  const first = textOf(data.subarray(0, 64)).split('\n')[0]!;
  const script = /^#!\s*(\S+)/.exec(first)?.[1];
  const coding = data.some((byte) => byte > 127) ? 'Unicode text, UTF-8 text' : 'ASCII text';
  const endings = data.includes(10) ? '' : ', with no line terminators';
  if (script) return `${/\/(ba|da)?sh$/.test(script) ? `${script.endsWith('bash') ? 'Bourne-Again' : 'POSIX'} shell script` : `a ${script} script`}, ${coding} executable${endings}`;
  return `${coding}${endings}`;
}

const NODES: Readonly<Record<number, string>> = { 0o040000: 'directory', 0o020000: 'character special', 0o060000: 'block special', 0o010000: 'fifo (named pipe)', 0o140000: 'socket' };

export const file = command(function* (argv) {
  const o = parseOptions('b/brief L/dereference i/mime', argv.slice(1));
  if (o.words.length === 0) throw new Failed('missing file operand');
  const width = Math.max(...o.words.map((word) => word.length)) + 2;
  for (const word of o.words) yield* print(`${o.on.has('brief') ? '' : `${word}:`.padEnd(width)}${yield* whatIs(word)}\n`);
  return 0;
});

function* whatIs(word: string): Call<string> {
  try {
    const stat = yield* sys('newfstatat', -100, word, 0x100);
    const kind = stat.mode & S_IFMT;
    if (kind === 0o120000) return `symbolic link to ${yield* sys('readlinkat', -100, word)}`;
    if (kind === 0o020000 || kind === 0o060000) return `${NODES[kind]} (${stat.rdev.join('/')})`;
    return NODES[kind] ?? contentText(yield* readBytes(word));
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return `cannot open \`${word}' (${strerror(error)})`;
  }
}
