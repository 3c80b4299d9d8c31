/**
 * A run of code as objdump lists it: address, seven bytes a line, the instruction, names of the addresses it mentions.
 * Source: binutils 2.40 objdump.c (disassemble_bytes, objdump_print_addr).
 */
import type { Mode } from '../../machine/isa/decode.ts';
import { print, type Syntax } from '../../machine/isa/objdump.ts';

export interface Label {
  address: bigint;
  name: string;
  /** Index of its section. */
  section: number;
  /** Bytes; 0: not known. */
  size: number;
  /** Less is preferred where several stand at one address. */
  rank: number;
}

export interface Listing {
  mode: Mode;
  syntax: Syntax;
  /** Sorted by address; of all sections. */
  labels: readonly Label[];
  /** Hexadecimal digits of a whole address: 8 or 16. */
  digits: number;
  raw: boolean;
  wide: boolean;
  zeroes: boolean;
  /** Lines after an instruction that covers an address: its relocations. */
  notes: readonly { address: bigint; text: string }[];
  /** Sections by index, for addresses without a label. */
  sections: readonly { index: number; name: string; address: bigint; size: number }[];
}

export const hex = (value: bigint | number, digits = 0): string => value.toString(16).padStart(digits, '0');

/** The label at or before an address, in its own section first. */
export function labelAt(labels: readonly Label[], address: bigint, section: number): Label | null {
  let best: Label | null = null;
  for (const label of labels) {
    if (label.address > address) break;
    if (label.section !== section) continue;
    if (!best || label.address > best.address || label.rank < best.rank) best = label;
  }
  return best;
}

/** "1139 <main+0x10>", or "0x1139" in a file without labels. */
export function named(listing: Listing, address: bigint, here: number): string {
  if (listing.labels.length === 0) return `0x${hex(address)}`;
  const inside = listing.sections.find((one) => address >= one.address && address < one.address + BigInt(one.size) && (one.index === here || one.address > 0n)) ?? listing.sections.find((one) => one.index === here);
  const label = labelAt(listing.labels, address, inside?.index ?? here) ?? labelAt(listing.labels, address, here) ?? nearest(listing.labels, address);
  const from = label ?? (inside ? { name: inside.name, address: inside.address } : null);
  if (!from) return hex(address);
  const off = address - from.address;
  return `${hex(address)} <${from.name}${off > 0n ? `+0x${hex(off)}` : off < 0n ? `-0x${hex(-off)}` : ''}>`;
}

/** The last label at or before an address, wherever. */
const nearest = (labels: readonly Label[], address: bigint): Label | null => labels.filter((label) => label.address <= address).at(-1) ?? null;

/** Leading zeros that all addresses up to `end` share are not printed, four at a time. */
export function addressWidth(end: bigint, digits: number): number {
  let text = hex(end, digits);
  while (text.startsWith('00000')) text = text.slice(4);
  return text.length;
}

const SKIP = 8;
const SKIP_AT_END = 3;

/** Lines for `code`, which begins at `address` in the section `here`. */
export function list(listing: Listing, code: Uint8Array, address: bigint, width: number, here: number): string {
  const out: string[] = [];
  const labelled = listing.labels.length > 0;
  for (let at = 0; at < code.length; ) {
    const zeros = listing.zeroes ? 0 : zerosFrom(code, at);
    if (zeros >= SKIP || (zeros > 0 && at + zeros === code.length && zeros < SKIP_AT_END)) {
      out.push('\t...\n');
      at += at + zeros === code.length ? zeros : zeros & ~3;
      continue;
    }
    const start = address + BigInt(at);
    const one = print(code.subarray(at), start, listing.mode, listing.syntax);
    const length = Math.min(one.length, code.length - at);
    const bytes = code.subarray(at, at + length);
    let { text } = one;
    if (one.target?.kind === 'data') text += `        # ${named(listing, one.target.address, here)}`;
    else if (one.target && labelled) text = text.replace(/0x[0-9a-f]+$/, named(listing, one.target.address, here));
    out.push(...lines(listing, start, bytes, text, width));
    for (const note of listing.notes) if (note.address >= start && note.address < start + BigInt(length)) out.push(`\t\t\t${note.text}\n`);
    at += length;
  }
  return out.join('');
}

function zerosFrom(code: Uint8Array, at: number): number {
  let end = at;
  while (end < code.length && code[end] === 0) end++;
  return end - at;
}

const A_LINE = 7;

function lines(listing: Listing, start: bigint, bytes: Uint8Array, text: string, width: number): string[] {
  const place = (address: bigint): string => `${hex(address).padStart(width)}:`;
  if (!listing.raw) return [`${place(start)}\t${text}\n`];
  const spell = (part: Uint8Array): string => [...part].map((byte) => `${hex(byte, 2)} `).join('');
  if (listing.wide) return [`${place(start)}\t${spell(bytes).padEnd(3 * A_LINE)}\t${text}\n`];
  const out = [`${place(start)}\t${spell(bytes.subarray(0, A_LINE)).padEnd(3 * A_LINE)}\t${text}\n`];
  for (let at = A_LINE; at < bytes.length; at += A_LINE) out.push(`${place(start + BigInt(at))}\t${spell(bytes.subarray(at, at + A_LINE))}\n`);
  return out;
}
