/** An ELF file as lines: sections with their bytes, relocations, segments, symbols; what of its layout is the tool's own taste is left out. */
import { contents, type Elf, readElf, relocationName, relocations, SHF, symbols } from '../../../src/engine/userland/binutils/elf.ts';

const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex').replace(/(00)+$/, '');

function tables(elf: Elf): string[] {
  const names = symbols(elf);
  return elf.sections.filter(({ type }) => type === 4 || type === 9).map((one) => `${one.name} ${relocations(elf, one).map((r) => `${r.offset}:${relocationName(elf.machine, r.type)}:${names[r.symbol]!.name}:${r.addend}`).sort().join(' ')}`);
}

export function shown(data: Uint8Array): string[] {
  const elf = readElf(data);
  if (!elf) return [`flat ${hex(data)}`];
  const object = elf.type === 1;
  const own = elf.sections.filter(({ name, flags, size }) => (object ? /^\.(text|data|rodata|bss|multiboot)/.test(name) : (flags & SHF.ALLOC) !== 0 && size > 0));
  const lines = own.map((one) => `${one.name} ${one.flags} ${object ? one.align : ''} ${one.address.toString(16)} ${one.size} ${hex(contents(elf, one))}`);
  const segments = elf.segments.filter(({ type, offset }) => type === 1 && offset > 0).map((one) => `LOAD ${one.flags} ${one.vaddr.toString(16)} ${one.paddr.toString(16)} ${one.fileSize} ${one.memorySize}`);
  const linkers = /^(_edata|__bss_start|_end)$/;
  const list = symbols(elf).slice(1).filter(({ name, type }) => type !== 3 && type !== 4 && !(linkers.test(name) && !object)).map((one) => `${one.name}=${one.value.toString(16)}/${one.size}/${one.bind}/${one.type}/${elf.sections[one.section]?.name ?? one.section.toString(16)}`).sort();
  return [`entry ${elf.entry.toString(16)}`, ...lines, ...tables(elf), ...segments, list.join(' ')];
}
