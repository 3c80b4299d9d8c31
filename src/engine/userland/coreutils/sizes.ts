/** Sizes as people write and read them: suffixes of dd, head and truncate; the -h of ls, df and du. */

const POWERS = 'KMGTPEZY';

/** "10K", "1M", "2kB", "3b", "1GiB": bytes, or null. K and KiB are 1024, kB and MB powers of 1000, b 512, w 2, c 1. `small`: letters that a tool takes small too. Source: xstrtoumax of gnulib. */
export function parseSize(source: string, small = 'k'): number | null {
  const m = /^(\d+|0x[0-9a-fA-F]+)([bcw]|([kmgtKMGTPEZY])(iB|B)?)?$/.exec(source);
  if (!m || (m[3] && /[a-z]/.test(m[3]) && !small.includes(m[3]))) return null;
  const n = Number(m[1]);
  if (!m[2]) return n;
  if (m[2] === 'b') return n * 512;
  if (m[2] === 'c') return n;
  if (m[2] === 'w') return n * 2;
  return n * (m[4] === 'B' ? 1000 : 1024) ** (POWERS.indexOf(m[3]!.toUpperCase()) + 1);
}

/** human_readable(3) of gnulib with ceiling: "4.0K", "12M", "0". `base` 1024 for -h, 1000 for --si. */
export function humanSize(n: number, base = 1024): string {
  if (n < base) return String(n);
  let value = n;
  let power = -1;
  while (value >= base && power < POWERS.length - 1) {
    value /= base;
    power++;
  }
  const suffix = base === 1000 && power === 0 ? 'k' : POWERS[power]!;
  const tenths = Math.ceil(value * 10 - 1e-9);
  if (tenths < 100) return `${(tenths / 10).toFixed(1)}${suffix}`;
  const whole = Math.ceil(value - 1e-9);
  if (whole >= base && power < POWERS.length - 1) return `1.0${POWERS[power + 1]!}`;
  return `${whole}${suffix}`;
}

/** Whole blocks of `unit` bytes, rounded up. */
export function blocksOf(n: number, unit: number): number {
  return Math.ceil(n / unit);
}
