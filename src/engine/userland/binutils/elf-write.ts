/**
 * ELF64 files of x86-64 and ELF32 files of i386 made from records: relocatable objects and executables with their tables.
 * Source: gABI chapters 4 and 5; the order of sections is that of GNU as and ld.
 */
import { bytes } from '../../sim/text.ts';

export interface WrittenSection {
  name: string;
  type: number;
  flags: number;
  align: number;
  size: number;
  data: Uint8Array;
  address?: bigint;
  relocations?: readonly { offset: number; type: number; to: string; addend: bigint }[];
}

export interface WrittenSymbol {
  name: string;
  section: string | 'abs' | 'common' | null;
  value: bigint;
  size: number;
  bind: number;
  type: number;
}

export interface WrittenSegment {
  flags: number;
  offset: number;
  address: bigint;
  fileSize: number;
  memorySize: number;
  /** Where it is loaded, when that is another address. */
  physical?: bigint;
}

interface Row {
  name: string;
  type: number;
  flags: number;
  align: number;
  size: number;
  data: Uint8Array;
  address: bigint;
  link: number;
  info: number;
  entry: number;
}

/** `segments` null: a relocatable object. Sections of an executable have their place in the file from `offsets`. */
export function writeElf(sections: readonly WrittenSection[], symbols: readonly WrittenSymbol[], executable: { entry: bigint; segments: readonly WrittenSegment[]; offsets: ReadonlyMap<string, number> } | null, wide = true): Uint8Array {
  const rows: Row[] = [row('', 0, 0, 0, new Uint8Array(0))];
  const index = new Map<string, number>();
  for (const one of sections) {
    index.set(one.name, rows.length);
    rows.push({ ...row(one.name, one.type, one.flags, one.align, one.data), size: one.size, address: one.address ?? 0n });
    if (one.relocations?.length) rows.push({ ...row(`${wide ? '.rela' : '.rel'}${one.name}`, wide ? 4 : 9, 0x40, wide ? 8 : 4, new Uint8Array(0)), info: rows.length - 1, entry: wide ? 24 : 8 });
  }
  const table = symbolTable(sections, symbols, index, wide);
  const symtab = rows.length;
  rows.push({ ...row('.symtab', 2, 0, wide ? 8 : 4, table.data), link: symtab + 1, info: table.locals, entry: wide ? 24 : 16 }, row('.strtab', 3, 0, 1, table.strings));
  for (const one of rows) {
    if (one.type !== 4 && one.type !== 9) continue;
    const list = sections.find(({ name }) => `${wide ? '.rela' : '.rel'}${name}` === one.name)!.relocations!;
    one.data = relocationTable(list, table.numbers, wide);
    one.size = one.data.length;
    one.link = symtab;
  }
  return assembled(rows, executable, wide);
}

const row = (name: string, type: number, flags: number, align: number, data: Uint8Array): Row => ({ name, type, flags, align, size: data.length, data, address: 0n, link: 0, info: 0, entry: 0 });

function strings(names: readonly string[]): { data: Uint8Array; at: (name: string) => number } {
  const offsets = new Map<string, number>([['', 0]]);
  const list = [0];
  for (const name of names) {
    if (offsets.has(name)) continue;
    offsets.set(name, list.length);
    for (const byte of bytes(name)) list.push(byte);
    list.push(0);
  }
  return { data: Uint8Array.from(list), at: (name) => offsets.get(name) ?? 0 };
}

function symbolTable(sections: readonly WrittenSection[], symbols: readonly WrittenSymbol[], index: ReadonlyMap<string, number>, wide: boolean): { data: Uint8Array; strings: Uint8Array; locals: number; numbers: Map<string, number> } {
  const referred = new Set(sections.flatMap((one) => (one.relocations ?? []).map(({ to }) => to)));
  const own = sections.filter(({ name }) => referred.has(name)).map(({ name }): WrittenSymbol => ({ name: '', section: name, value: 0n, size: 0, bind: 0, type: 3 }));
  const all = [...own, ...symbols.filter((one) => one.bind === 0), ...symbols.filter((one) => one.bind !== 0)];
  const names = strings(all.map(({ name }) => name));
  const step = wide ? 24 : 16;
  const view = new DataView(new ArrayBuffer(step * (all.length + 1)));
  const numbers = new Map<string, number>();
  for (const [n, one] of all.entries()) {
    const at = step * (n + 1);
    numbers.set(one.type === 3 ? one.section! : one.name, n + 1);
    view.setUint32(at, names.at(one.name), true);
    view.setUint8(at + (wide ? 4 : 12), (one.bind << 4) | one.type);
    view.setUint16(at + (wide ? 6 : 14), one.section === null ? 0 : one.section === 'abs' ? 0xfff1 : one.section === 'common' ? 0xfff2 : (index.get(one.section) ?? 0), true);
    if (wide) {
      view.setBigUint64(at + 8, BigInt.asUintN(64, one.value), true);
      view.setBigUint64(at + 16, BigInt(one.size), true);
    } else {
      view.setUint32(at + 4, Number(BigInt.asUintN(32, one.value)), true);
      view.setUint32(at + 8, one.size, true);
    }
  }
  return { data: new Uint8Array(view.buffer), strings: names.data, locals: 1 + all.filter((one) => one.bind === 0).length, numbers };
}

function relocationTable(list: NonNullable<WrittenSection['relocations']>, numbers: ReadonlyMap<string, number>, wide: boolean): Uint8Array {
  if (!wide) {
    const words = new DataView(new ArrayBuffer(8 * list.length));
    for (const [n, one] of list.entries()) {
      words.setUint32(8 * n, one.offset, true);
      words.setUint32(8 * n + 4, ((numbers.get(one.to) ?? 0) << 8) | one.type, true);
    }
    return new Uint8Array(words.buffer);
  }
  const view = new DataView(new ArrayBuffer(24 * list.length));
  for (const [n, one] of list.entries()) {
    view.setBigUint64(24 * n, BigInt(one.offset), true);
    view.setBigUint64(24 * n + 8, (BigInt(numbers.get(one.to) ?? 0) << 32n) | BigInt(one.type), true);
    view.setBigInt64(24 * n + 16, BigInt.asIntN(64, one.addend), true);
  }
  return new Uint8Array(view.buffer);
}

const aligned = (n: number, to: number): number => Math.ceil(n / Math.max(1, to)) * Math.max(1, to);

function assembled(rows: Row[], executable: Parameters<typeof writeElf>[2], wide: boolean): Uint8Array {
  const names = strings([...rows.map(({ name }) => name), '.shstrtab']);
  rows.push(row('.shstrtab', 3, 0, 1, names.data));
  const [header, step, entry] = wide ? [64, 56, 64] : [52, 32, 40];
  let at = header! + step! * (executable?.segments.length ?? 0);
  const offsets = rows.map((one, n) => {
    if (n === 0) return 0;
    const from = executable?.offsets.get(one.name) ?? aligned(at, one.align);
    at = Math.max(at, from + one.data.length);
    return from;
  });
  const tableAt = aligned(at, wide ? 8 : 4);
  const out = new Uint8Array(tableAt + entry! * rows.length);
  const view = new DataView(out.buffer);
  const words = writer(view, wide);
  out.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1, 1]);
  view.setUint16(16, executable ? 2 : 1, true);
  view.setUint16(18, wide ? 62 : 3, true);
  view.setUint32(20, 1, true);
  words(24, executable?.entry ?? 0n, executable ? BigInt(header!) : 0n, BigInt(tableAt));
  const { length } = executable?.segments ?? [];
  [header!, executable ? step! : 0, length, entry!, rows.length, rows.length - 1].forEach((n, k) => view.setUint16((wide ? 52 : 40) + 2 * k, n, true));
  executable?.segments.forEach((one, n) => segment(view, header! + step! * n, one, wide));
  for (const [n, one] of rows.entries()) {
    const to = tableAt + entry! * n;
    const w = wide ? 8 : 4;
    out.set(one.data, offsets[n]!);
    [names.at(one.name), one.type].forEach((word, k) => view.setUint32(to + 4 * k, word, true));
    words(to + 8, BigInt(one.flags), one.address, BigInt(offsets[n]!), BigInt(one.size));
    [one.link, one.info].forEach((word, k) => view.setUint32(to + 8 + 4 * w + 4 * k, word, true));
    words(to + 16 + 4 * w, BigInt(one.align), BigInt(one.entry));
  }
  return out;
}

/** Puts words of the class behind one another. */
const writer = (view: DataView, wide: boolean) => (at: number, ...values: bigint[]): void => values.forEach((value, k) => (wide ? view.setBigUint64(at + 8 * k, BigInt.asUintN(64, value), true) : view.setUint32(at + 4 * k, Number(BigInt.asUintN(32, value)), true)));

function segment(view: DataView, at: number, one: WrittenSegment, wide: boolean): void {
  const physical = one.physical ?? one.address;
  const words = writer(view, wide);
  view.setUint32(at, 1, true);
  view.setUint32(at + (wide ? 4 : 24), one.flags, true);
  words(at + (wide ? 8 : 4), BigInt(one.offset), one.address, physical, BigInt(one.fileSize), BigInt(one.memorySize));
  words(at + (wide ? 48 : 28), 0x1000n);
}
