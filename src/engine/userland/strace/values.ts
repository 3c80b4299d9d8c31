/** How strace writes values: strings in quotes and cut, flags by name, pointers, lists. Source: strace 6.13, util.c, print_fields.h. */
import * as abi from '../../kernel/abi.ts';

export type Bits = readonly (readonly [name: string, bit: number])[];

/** What printing a call needs to know. */
export interface Cx {
  pid: number;
  args: readonly unknown[];
  result: unknown;
  failed: boolean;
  /** -s */
  limit: number;
  /** -v */
  verbose: boolean;
  /** -x once: text that is not printable in hexadecimal; twice: all. */
  hex: number;
  /** -y: what a descriptor is open on; null when nothing is to be said. */
  fdPath: (fd: number) => string | null;
  cwd: string | null;
}

export function namesOf(prefix: string, ...not: readonly string[]): Bits {
  return Object.entries(abi)
    .filter((entry): entry is [string, number] => entry[0].startsWith(prefix) && typeof entry[1] === 'number' && !not.includes(entry[0]))
    .sort((a, b) => a[1] - b[1]);
}

/** Flags joined by |, what has no name in hexadecimal with the table's name behind it. */
export function flags(table: Bits, value: number, none: string, whole: string): string {
  const names: string[] = [];
  let left = value >>> 0;
  for (const [name, bit] of table) {
    if (bit === 0 || (left & bit) >>> 0 !== bit >>> 0) continue;
    names.push(name);
    left = (left & ~bit) >>> 0;
  }
  if (left !== 0) names.push(names.length > 0 ? `0x${left.toString(16)}` : `0x${left.toString(16)} /* ${whole} */`);
  return names.length > 0 ? names.join('|') : none;
}

/** One of a list of values. */
export function oneOf(table: Bits, value: number, whole: string): string {
  return table.find(([, one]) => one === value)?.[0] ?? `${value < 0 ? value : `0x${value.toString(16)}`} /* ${whole} */`;
}

const ESCAPES: Readonly<Record<number, string>> = { 9: '\\t', 10: '\\n', 11: '\\v', 12: '\\f', 13: '\\r', 34: '\\"', 92: '\\\\' };

function escaped(data: Uint8Array, hex: number): string {
  const every = hex > 1 || (hex === 1 && data.some((b) => (b < 32 || b > 126) && !(b >= 9 && b <= 13)));
  let out = '';
  for (let i = 0; i < data.length; i++) {
    const b = data[i]!;
    const next = data[i + 1];
    if (every) out += `\\x${b.toString(16).padStart(2, '0')}`;
    else if (ESCAPES[b]) out += ESCAPES[b];
    else if (b >= 32 && b < 127) out += String.fromCharCode(b);
    else out += `\\${next !== undefined && next >= 48 && next <= 57 ? b.toString(8).padStart(3, '0') : b.toString(8)}`;
  }
  return out;
}

/** Bytes, cut at -s. */
export function quotedBytes(cx: Cx, data: Uint8Array): string {
  const cut = data.length > cx.limit;
  return `"${escaped(cut ? data.subarray(0, cx.limit) : data, cx.hex)}"${cut ? '...' : ''}`;
}

const encoder = (value: string): Uint8Array => {
  const out: number[] = [];
  for (const char of value) {
    const c = char.codePointAt(0)!;
    if (c < 0x80) out.push(c);
    else if (c < 0x800) out.push(0xc0 | (c >> 6), 0x80 | (c & 63));
    else if (c < 0x10000) out.push(0xe0 | (c >> 12), 0x80 | ((c >> 6) & 63), 0x80 | (c & 63));
    else out.push(0xf0 | (c >> 18), 0x80 | ((c >> 12) & 63), 0x80 | ((c >> 6) & 63), 0x80 | (c & 63));
  }
  return Uint8Array.from(out);
};

/** A string, cut at -s. */
export const quotedText = (cx: Cx, value: unknown): string => quotedBytes(cx, encoder(String(value)));

/** A path, whole. */
export const pathText = (cx: Cx, value: unknown): string => (typeof value === 'string' ? `"${escaped(encoder(value), cx.hex)}"` : pointer(cx, 1));

/** An address that stands for one in the caller's stack: the same for the same place of the same process. */
export function pointer(cx: Cx, place: number): string {
  return `0x${(0x7ffc00000000 + ((cx.pid * 2654435 + 777) % 0xfffff) * 0x1000 + 0x100 + place * 0x90).toString(16)}`;
}

/** One in its program's image: a handler, an environment. */
export const imagePointer = (cx: Cx, place: number): string => `0x${(0x55d500000000 + ((cx.pid * 1597334 + 41) % 0xfffff) * 0x1000 + place * 0x10).toString(16)}`;

/** Where glibc keeps a thread's number. */
export const threadPointer = (cx: Cx): string => `0x${(0x7f2000000a10 + ((cx.pid * 40503 + 5) % 0xfffff) * 0x1000).toString(16)}`;

export function fdText(cx: Cx, value: unknown): string {
  const fd = Number(value);
  const path = fd >= 0 ? cx.fdPath(fd) : null;
  return `${fd}${path === null ? '' : `<${path}>`}`;
}

export function dirfdText(cx: Cx, value: unknown): string {
  return value === abi.AT_FDCWD ? `AT_FDCWD${cx.cwd === null ? '' : `<${cx.cwd}>`}` : fdText(cx, value);
}

export const octal = (value: unknown): string => (Number(value) === 0 ? '000' : `0${Number(value).toString(8).padStart(3, '0')}`);
export const hexNumber = (value: unknown): string => (Number(value) === 0 ? '0' : `0x${Number(value).toString(16)}`);

const SIGNALS = new Map<number, string>(Object.entries(abi.SIG).map(([name, number]) => [number, `SIG${name}`]));

export const signalText = (value: unknown): string => SIGNALS.get(Number(value)) ?? (Number(value) >= 32 && Number(value) <= 64 ? (Number(value) === 32 ? 'SIGRTMIN' : `SIGRT_${Number(value) - 32}`) : String(value));

export function maskText(signals: readonly number[]): string {
  return `[${[...signals].sort((a, b) => a - b).map((one) => signalText(one).replace(/^SIG/, '')).join(' ')}]`;
}

/** What the table has no words for. */
export function plain(cx: Cx, value: unknown): string {
  if (typeof value === 'string') return quotedText(cx, value);
  if (value instanceof Uint8Array) return quotedBytes(cx, value);
  if (value === null || value === undefined) return 'NULL';
  if (typeof value === 'function') return imagePointer(cx, 3);
  if (Array.isArray(value)) return `[${value.slice(0, 32).map((one) => plain(cx, one)).join(', ')}${value.length > 32 ? ', ...' : ''}]`;
  if (typeof value === 'object') return `{${Object.entries(value).filter(([, one]) => typeof one !== 'function' && one !== undefined).map(([key, one]) => `${key}=${plain(cx, one)}`).join(', ')}}`;
  return String(value);
}
