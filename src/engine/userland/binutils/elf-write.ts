/**
 * ELF64 files of x86-64 made from records: relocatable objects and executables with their tables.
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
  section: string | 'abs' | null;
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
export function writeElf(sections: readonly WrittenSection[], symbols: readonly WrittenSymbol[], executable: { entry: bigint; segments: readonly WrittenSegment[]; offsets: ReadonlyMap<string, number> } | null): Uint8Array {
  const rows: Row[] = [row('', 0, 0, 0, new Uint8Array(0))];
  const index = new Map<string, number>();
  for (const one of sections) {
    index.set(one.name, rows.length);
    rows.push({ ...row(one.name, one.type, one.flags, one.align, one.data), size: one.size, address: one.address ?? 0n });
    if (one.relocations?.length) rows.push({ ...row(`.rela${one.name}`, 4, 0x40, 8, new Uint8Array(0)), info: rows.length - 1, entry: 24 });
  }
  const table = symbolTable(sections, symbols, index);
  const symtab = rows.length;
  rows.push({ ...row('.symtab', 2, 0, 8, table.data), link: symtab + 1, info: table.locals, entry: 24 }, row('.strtab', 3, 0, 1, table.strings));
  for (const one of rows) {
    if (one.type !== 4) continue;
    const list = sections.find(({ name }) => `.rela${name}` === one.name)!.relocations!;
    one.data = relocationTable(list, table.numbers);
    one.size = one.data.length;
    one.link = symtab;
  }
  return assembled(rows, executable);
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

function symbolTable(sections: readonly WrittenSection[], symbols: readonly WrittenSymbol[], index: ReadonlyMap<string, number>): { data: Uint8Array; strings: Uint8Array; locals: number; numbers: Map<string, number> } {
  const referred = new Set(sections.flatMap((one) => (one.relocations ?? []).map(({ to }) => to)));
  const own = sections.filter(({ name }) => referred.has(name)).map(({ name }): WrittenSymbol => ({ name: '', section: name, value: 0n, size: 0, bind: 0, type: 3 }));
  const all = [...own, ...symbols.filter((one) => one.bind === 0), ...symbols.filter((one) => one.bind !== 0)];
  const names = strings(all.map(({ name }) => name));
  const view = new DataView(new ArrayBuffer(24 * (all.length + 1)));
  const numbers = new Map<string, number>();
  for (const [n, one] of all.entries()) {
    const at = 24 * (n + 1);
    numbers.set(one.type === 3 ? one.section! : one.name, n + 1);
    view.setUint32(at, names.at(one.name), true);
    view.setUint8(at + 4, (one.bind << 4) | one.type);
    view.setUint16(at + 6, one.section === null ? 0 : one.section === 'abs' ? 0xfff1 : (index.get(one.section) ?? 0), true);
    view.setBigUint64(at + 8, BigInt.asUintN(64, one.value), true);
    view.setBigUint64(at + 16, BigInt(one.size), true);
  }
  return { data: new Uint8Array(view.buffer), strings: names.data, locals: 1 + all.filter((one) => one.bind === 0).length, numbers };
}

function relocationTable(list: NonNullable<WrittenSection['relocations']>, numbers: ReadonlyMap<string, number>): Uint8Array {
  const view = new DataView(new ArrayBuffer(24 * list.length));
  for (const [n, one] of list.entries()) {
    view.setBigUint64(24 * n, BigInt(one.offset), true);
    view.setBigUint64(24 * n + 8, (BigInt(numbers.get(one.to) ?? 0) << 32n) | BigInt(one.type), true);
    view.setBigInt64(24 * n + 16, BigInt.asIntN(64, one.addend), true);
  }
  return new Uint8Array(view.buffer);
}

const aligned = (n: number, to: number): number => Math.ceil(n / Math.max(1, to)) * Math.max(1, to);

function assembled(rows: Row[], executable: Parameters<typeof writeElf>[2]): Uint8Array {
  const names = strings([...rows.map(({ name }) => name), '.shstrtab']);
  rows.push(row('.shstrtab', 3, 0, 1, names.data));
  let at = 64 + 56 * (executable?.segments.length ?? 0);
  const offsets = rows.map((one, n) => {
    if (n === 0) return 0;
    const from = executable?.offsets.get(one.name) ?? aligned(at, one.align);
    at = Math.max(at, from + one.data.length);
    return from;
  });
  const tableAt = aligned(at, 8);
  const out = new Uint8Array(tableAt + 64 * rows.length);
  const view = new DataView(out.buffer);
  out.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, executable ? 2 : 1, true);
  view.setUint16(18, 62, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, executable?.entry ?? 0n, true);
  view.setBigUint64(32, executable ? 64n : 0n, true);
  view.setBigUint64(40, BigInt(tableAt), true);
  [64, executable ? 56 : 0, executable?.segments.length ?? 0, 64, rows.length, rows.length - 1].forEach((n, k) => view.setUint16(52 + 2 * k, n, true));
  executable?.segments.forEach((one, n) => segment(view, 64 + 56 * n, one));
  for (const [n, one] of rows.entries()) {
    const to = tableAt + 64 * n;
    out.set(one.data, offsets[n]!);
    [names.at(one.name), one.type].forEach((word, k) => view.setUint32(to + 4 * k, word, true));
    [BigInt(one.flags), one.address, BigInt(offsets[n]!), BigInt(one.size)].forEach((word, k) => view.setBigUint64(to + 8 + 8 * k, word, true));
    [one.link, one.info].forEach((word, k) => view.setUint32(to + 40 + 4 * k, word, true));
    [one.align, one.entry].forEach((word, k) => view.setBigUint64(to + 48 + 8 * k, BigInt(word), true));
  }
  return out;
}

function segment(view: DataView, at: number, one: WrittenSegment): void {
  view.setUint32(at, 1, true);
  view.setUint32(at + 4, one.flags, true);
  [BigInt(one.offset), one.address, one.address, BigInt(one.fileSize), BigInt(one.memorySize), 0x1000n].forEach((word, k) => view.setBigUint64(at + 8 + 8 * k, word, true));
}
