/** The numbers that interface files take, parsed as the kernel parses them, with its errors. */
import { SysError } from '../abi.ts';

const SUFFIX: Record<string, number> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40, p: 2 ** 50, e: 2 ** 60 };

/** memparse(): a number, decimal, octal or hexadecimal, none being 0, and a unit; not wrapped yet. Null where more follows. */
export function memparse(text: string): bigint | null {
  const match = /^(0x[0-9a-f]+|\d*)([kmgtpe]?)$/i.exec(text);
  if (!match) return null;
  const digits = match[1]!;
  const base = digits === '' ? 0n : /^0[0-7]+$/.test(digits) ? BigInt(`0o${digits.slice(1)}`) : BigInt(digits);
  return base * BigInt(SUFFIX[match[2]!.toLowerCase()]!);
}

/**
 * A size in bytes as memparse reads it (decimal, 0x, leading-0 octal; one unit letter), rounded down to pages; "max" is
 * null; the empty text is 0. Throws EINVAL. 2^64 wraps as in the kernel.
 */
export function memorySize(text: string): number | null {
  const value = text.trim();
  if (value === 'max') return null;
  const bytes = memparse(value);
  if (bytes === null) throw new SysError('EINVAL');
  const pages = BigInt.asUintN(64, bytes) / 4096n;
  return pages >= 2n ** 51n - 1n ? null : Number(pages) * 4096;
}

/** kstrtoull and its kin: decimal, 0x or leading-0 octal after an optional sign. Null when it is no such number. */
function integer(value: string): bigint | null {
  const match = /^([+-]?)(0x[0-9a-f]+|0[0-7]*|[1-9]\d*)$/i.exec(value);
  if (!match) return null;
  const digits = match[2]!;
  const n = /^0[0-7]+$/.test(digits) ? BigInt(`0o${digits.slice(1)}`) : BigInt(digits);
  return match[1] === '-' ? -n : n;
}

/** A whole number within bounds: EINVAL for anything else, ERANGE outside. */
export function whole(text: string, min: number, max: number, outside: 'ERANGE' | 'EINVAL' = 'ERANGE'): number {
  const n = integer(text.trim());
  if (n === null) throw new SysError('EINVAL');
  if (n < BigInt(-(2 ** 63)) || n >= 2n ** 64n) throw new SysError('ERANGE');
  if (n < BigInt(min) || n > BigInt(max)) throw new SysError(outside);
  return Number(n);
}

/** The same for files whose number stands alone: no blank before or behind it, but for a line's end. */
export function bare(text: string, min: number, max: number, outside: 'ERANGE' | 'EINVAL' = 'ERANGE'): number {
  if (/^\s|\s\s|[^\S\n]$/.test(text)) throw new SysError('EINVAL');
  return whole(text, min, max, outside);
}

/** An unsigned number that stands alone (a sign is EINVAL), then bounds. */
export function unsigned(text: string, min: number, max: number, outside: 'ERANGE' | 'EINVAL' = 'ERANGE'): number {
  if (text.startsWith('-')) throw new SysError('EINVAL');
  return bare(text, min, max, outside);
}

/**
 * A list such as "0-2,4", "all", "0-N" or "0-7:2/4" (of every four the first two) within `limit` items, in order; commas and blanks
 * part it. Source: bitmap_parselist of 6.12. Throws EINVAL, ERANGE.
 */
export function listOf(text: string, limit: number): number[] {
  const found = new Set<number>();
  for (const region of text.split(/[\s,]+/)) {
    if (region === '') continue;
    const match = /^(?:all|(\d+|N)(?:-(\d+|N))?)(?::(\d+)\/(\d+))?$/.exec(region);
    if (!match) throw new SysError('EINVAL');
    const bit = (word: string): number => (word === 'N' ? limit - 1 : Number(word));
    const from = match[1] === undefined ? 0 : bit(match[1]);
    const to = match[1] === undefined ? limit - 1 : bit(match[2] ?? match[1]);
    const used = Number(match[3] ?? 1);
    const group = Number(match[4] ?? 1);
    if (to < from || group === 0 || used > group) throw new SysError('EINVAL');
    if (to >= limit) throw new SysError('ERANGE');
    for (let i = from; i <= to; i++) if ((i - from) % group < used) found.add(i);
  }
  return [...found].sort((a, b) => a - b);
}

/** "0-2,4" */
export function listText(items: readonly number[]): string {
  const parts: string[] = [];
  for (let i = 0; i < items.length; ) {
    let j = i;
    while (j + 1 < items.length && items[j + 1] === items[j]! + 1) j++;
    parts.push(i === j ? `${items[i]}` : `${items[i]}-${items[j]}`);
    i = j + 1;
  }
  return parts.join(',');
}
