/**
 * Linking relocatable objects of x86-64 or i386: sections of one kind behind each other, symbols found, relocations applied.
 * Source: psABI x86-64 4.4.1, i386 psABI 4.4; the default script of GNU ld for the order and the pages (others: link-script.ts).
 * Left out: archives, shared objects, section groups, the program headers' own segment.
 */
import { contents, type Elf, type ElfSymbol, relocationName, relocations, type Section, SHF, SHT, symbols } from './elf.ts';

export interface Input {
  name: string;
  elf: Elf;
}

export interface Placed {
  name: string;
  flags: number;
  type: number;
  align: number;
  address: bigint;
  size: number;
  data: Uint8Array;
  parts: { input: Input; section: Section; at: number }[];
  /** Where it is loaded, when a script says so. */
  load?: bigint;
  /** Data that a script puts there. */
  constants?: { at: number; size: number; value: bigint }[];
}

export interface LinkedSymbol {
  name: string;
  section: string | 'abs' | null;
  value: bigint;
  size: number;
  bind: number;
  type: number;
  /** Null: the linker's own. */
  from: Input | null;
  /** Where it stands in its input, for messages. */
  origin: string;
}

export interface Linked {
  sections: Placed[];
  globals: Map<string, LinkedSymbol>;
  locals: LinkedSymbol[];
  errors: string[];
  /** Where symbols that only have room were put. */
  commons?: Map<string, { section: string; at: number; size: number }>;
}

const PAGE = 0x1000n;

/** The output section that an input section goes to, and the order of the groups. */
export function outputName(name: string): string {
  return /^\.(text|rodata|data|bss)(?=\.|$)/.exec(name)?.[0] ?? name;
}

export const group = ({ flags, type }: { flags: number; type: number }): number => (flags & SHF.EXEC ? 0 : !(flags & SHF.WRITE) ? 1 : type === SHT.NOBITS ? 3 : 2);
const up = (n: bigint, to: bigint): bigint => (to <= 1n ? n : ((n + to - 1n) / to) * to);

/** `text` is where code starts; `pages` puts each kind of section on pages of its own. */
export function link(inputs: readonly Input[], text: bigint, pages: boolean): Linked {
  const sections = gathered(inputs);
  let at = text;
  let last = -1;
  for (const one of sections) {
    const now = group(one);
    if (pages && now === 1 && last === 0) at = up(at, PAGE);
    if (pages && now >= 2 && last >= 0 && last < 2) at = up(at, PAGE) + (last === 1 ? at % PAGE : 0n);
    one.address = last < 0 ? at : up(at, BigInt(one.align));
    at = one.address + BigInt(one.size);
    last = now;
  }
  const linked: Linked = { sections, globals: new Map(), locals: [], errors: [] };
  at = roomForCommons(linked, inputs, at);
  const bss = linked.sections.find((one) => one.name === '.bss');
  if (bss && inputs[0]) bss.size = Number(up(bss.address + BigInt(bss.size), inputs[0].elf.wide ? 8n : 4n) - bss.address);
  for (const input of inputs) define(linked, input);
  edges(linked, at);
  applyRelocations(linked);
  return linked;
}

export function applyRelocations(linked: Linked): void {
  for (const one of linked.sections) for (const part of one.parts) relocate(linked, one, part);
}

/** The largest of those of one name that nothing defines. */
export function commons(inputs: readonly Input[]): Map<string, { size: number; align: number }> {
  const out = new Map<string, { size: number; align: number }>();
  const defined = new Set<string>();
  for (const { elf } of inputs) {
    for (const one of symbols(elf)) {
      if (one.section !== 0xfff2) {
        if (one.section !== 0 && one.bind !== 0) defined.add(one.name);
        continue;
      }
      const before = out.get(one.name);
      out.set(one.name, { size: Math.max(before?.size ?? 0, one.size), align: Math.max(before?.align ?? 1, Number(one.value)) });
    }
  }
  for (const name of defined) out.delete(name);
  return out;
}

/** Symbols that only have room lie at the end of .bss. */
function roomForCommons(linked: Linked, inputs: readonly Input[], end: bigint): bigint {
  const found = commons(inputs);
  if (found.size === 0) return end;
  let bss = linked.sections.find((one) => one.name === '.bss');
  if (!bss) linked.sections.push(bss = { name: '.bss', flags: 3, type: SHT.NOBITS, align: 1, address: up(end, 32n), size: 0, data: new Uint8Array(0), parts: [] });
  linked.commons = new Map();
  for (const [name, { size, align }] of found) {
    const at = Number(up(bss.address + BigInt(bss.size), BigInt(align)) - bss.address);
    linked.commons.set(name, { section: '.bss', at, size });
    bss.size = at + size;
  }
  return bss.address + BigInt(bss.size);
}

/** The symbols of the default script that mark where the data and all of it end. */
function edges(linked: Linked, end: bigint): void {
  const bss = linked.sections.find((one) => group(one) === 3);
  const data = linked.sections.filter((one) => group(one) === 2).at(-1);
  const at = bss?.address ?? end;
  for (const [name, value, section] of [['_edata', at, data], ['__bss_start', at, bss], ['_end', up(end, 8n), bss ?? data]] as const) {
    if (!linked.globals.has(name)) linked.globals.set(name, { name, section: section?.name ?? 'abs', value, size: 0, bind: 1, type: 0, from: null, origin: '' });
  }
}

function gathered(inputs: readonly Input[]): Placed[] {
  const found = new Map<string, Placed>();
  for (const input of inputs) {
    for (const section of input.elf.sections) {
      if (!(section.flags & SHF.ALLOC) || section.size === 0) continue;
      const name = outputName(section.name);
      const align = Math.max(1, section.align);
      const one = found.get(name) ?? { name, flags: 0, type: section.type, align: 1, address: 0n, size: 0, data: new Uint8Array(0), parts: [] };
      found.set(name, one);
      one.flags |= section.flags & 7;
      if (section.type !== SHT.NOBITS) one.type = section.type;
      one.align = Math.max(one.align, align);
      const at = Math.ceil(one.size / align) * align;
      one.parts.push({ input, section, at });
      one.size = at + section.size;
    }
  }
  for (const one of found.values()) {
    one.data = new Uint8Array(one.type === SHT.NOBITS ? 0 : one.size);
    if (one.type !== SHT.NOBITS) for (const { input, section, at } of one.parts) one.data.set(contents(input.elf, section), at);
  }
  const main = ['.text', '.rodata', '.data', '.bss'];
  return [...found.values()].sort((a, b) => group(a) - group(b) || Number(main.includes(b.name)) - Number(main.includes(a.name)));
}

function located(linked: Linked, input: Input, symbol: ElfSymbol): { section: string | 'abs' | null; value: bigint } {
  if (symbol.section === 0xfff1) return { section: 'abs', value: symbol.value };
  for (const one of linked.sections) {
    const part = one.parts.find((p) => p.input === input && p.section.index === symbol.section);
    if (part) return { section: one.name, value: one.address + BigInt(part.at) + symbol.value };
  }
  const empty = input.elf.sections[symbol.section];
  const home = empty && linked.sections.find((one) => one.name === outputName(empty.name));
  return { section: home ? home.name : symbol.section === 0 ? null : 'abs', value: home ? home.address + symbol.value : symbol.value };
}

export function define(linked: Linked, input: Input): void {
  for (const symbol of symbols(input.elf).slice(1)) {
    if (symbol.type === 3 || symbol.type === 4) continue;
    if (symbol.section === 0) continue;
    if (symbol.section === 0xfff2) {
      shared(linked, input, symbol);
      continue;
    }
    const where = `(${input.elf.sections[symbol.section]?.name ?? '*ABS*'}+0x${symbol.value.toString(16)})`;
    const one: LinkedSymbol = { name: symbol.name, ...located(linked, input, symbol), size: symbol.size, bind: symbol.bind, type: symbol.type, from: input, origin: where };
    if (symbol.bind === 0) {
      linked.locals.push(one);
      continue;
    }
    const before = linked.globals.get(symbol.name);
    if (before && before.bind === 1 && symbol.bind === 1) linked.errors.push(`${input.name}: in function \`${symbol.name}':\n${where}: multiple definition of \`${symbol.name}'; ${before.from?.name ?? '*ABS*'}:${before.origin}: first defined here`);
    else if (!before || (before.bind === 2 && symbol.bind === 1)) linked.globals.set(symbol.name, one);
  }
}

function shared(linked: Linked, input: Input, { name, type }: ElfSymbol): void {
  const room = linked.commons?.get(name);
  const home = room && linked.sections.find((one) => one.name === room.section);
  if (!room) {
    if (!linked.globals.has(name)) linked.errors.push(`${input.name}: not modelled: common symbol \`${name}' that no COMMON takes`);
  } else linked.globals.set(name, { name, section: room.section, value: (home?.address ?? 0n) + BigInt(room.at), size: room.size, bind: 1, type, from: input, origin: '(COMMON)' });
}

function relocate(linked: Linked, one: Placed, part: Placed['parts'][number]): void {
  const { input, section } = part;
  const table = symbols(input.elf);
  for (const rela of input.elf.sections) {
    if ((rela.type !== SHT.RELA && rela.type !== SHT.REL) || rela.info !== section.index) continue;
    for (const { offset, type, symbol, addend } of relocations(input.elf, rela)) {
      const target = table[symbol];
      if (!target) continue;
      const value = resolved(linked, input, target);
      if (value === null) {
        linked.errors.push(`${placeOf(input, section, offset, table)}: undefined reference to \`${target.name}'`);
        continue;
      }
      const error = apply(one.data, Number(offset) + part.at, input.elf.machine, type, value, addend, one.address + BigInt(part.at) + offset);
      if (error !== null) linked.errors.push(`${placeOf(input, section, offset, table)}: ${error.replace('SYMBOL', target.type === 3 ? `\`${target.name}'` : `symbol \`${target.name}'`)}`);
    }
  }
}

function resolved(linked: Linked, input: Input, symbol: ElfSymbol): bigint | null {
  if (symbol.bind !== 0 && symbol.name !== '') return (linked.globals.get(symbol.name)?.value ?? (symbol.bind === 2 ? 0n : null));
  return symbol.section === 0 ? 0n : located(linked, input, symbol).value;
}

/** "k.o: in function `main':\n(.text+0x3)". */
function placeOf(input: Input, section: Section, offset: bigint, table: readonly ElfSymbol[]): string {
  const inside = table.filter((one) => one.section === section.index && one.type !== 3 && one.value <= offset).sort((a, b) => Number(b.value - a.value))[0];
  return `${input.name}:${inside ? ` in function \`${inside.name}':\n` : ''}(${section.name}+0x${offset.toString(16)})`;
}

/** Size, whether it counts from its own place, and whether it must fit with or without sign; by type (psABI 4.10). */
const TYPES: Readonly<Record<number, [size: number, relative: boolean, range: 'none' | 'signed' | 'unsigned' | 'either']>> = {
  1: [8, false, 'none'], 2: [4, true, 'signed'], 4: [4, true, 'signed'], 10: [4, false, 'unsigned'], 11: [4, false, 'signed'], 12: [2, false, 'either'], 13: [2, true, 'signed'], 14: [1, false, 'either'], 15: [1, true, 'signed'], 24: [8, true, 'none'],
};

/** The same of i386, whose sums are of 32 bits. */
const NARROW: typeof TYPES = { 1: [4, false, 'none'], 2: [4, true, 'none'], 4: [4, true, 'none'], 20: [2, false, 'either'], 21: [2, true, 'either'], 22: [1, false, 'either'], 23: [1, true, 'signed'] };

function apply(data: Uint8Array, at: number, machine: number, type: number, value: bigint, addend: bigint | null, place: bigint): string | null {
  const rule = (machine === 3 ? NARROW : TYPES)[type];
  if (!rule) return type === 0 ? null : `not modelled: relocation ${relocationName(machine, type)} against SYMBOL`;
  const [size, relative, range] = rule;
  const target = value + (addend ?? kept(data, at, size));
  const n = BigInt.asIntN(machine === 3 ? 32 : 64, relative ? target - place : target);
  const bits = 8 * size;
  const signed = BigInt.asIntN(bits, n) === n;
  const unsigned = BigInt.asUintN(bits, n) === n;
  if ((range === 'signed' && !signed) || (range === 'unsigned' && !unsigned) || (range === 'either' && !signed && !unsigned)) return `relocation truncated to fit: ${relocationName(machine, type)} against SYMBOL`;
  for (let k = 0; k < size; k++) data[at + k] = Number((BigInt.asUintN(64, n) >> BigInt(8 * k)) & 255n);
  return null;
}

/** What i386 adds stands in the field. */
function kept(data: Uint8Array, at: number, size: number): bigint {
  let n = 0n;
  for (let k = size - 1; k >= 0; k--) n = (n << 8n) | BigInt(data[at + k] ?? 0);
  return BigInt.asIntN(8 * size, n);
}
