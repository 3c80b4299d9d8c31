/**
 * Quantities ("250m", "64Mi", "1e3"): parsed to exact integers in thousandths, printed in the canonical form of their
 * suffix family, as k8s.io/apimachinery's resource.Quantity does. Held as numbers: exact to 2^53 thousandths.
 */
const BINARY: Record<string, number> = { Ki: 1024, Mi: 1024 ** 2, Gi: 1024 ** 3, Ti: 1024 ** 4, Pi: 1024 ** 5, Ei: 1024 ** 6 };
const DECIMAL: Record<string, number> = { n: 1e-9, u: 1e-6, m: 1e-3, '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15, E: 1e18 };
const FORM = /^([+-]?(?:\d+\.?\d*|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d+)?$/;

export const QUANTITY_PATTERN = '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$';

interface Parsed {
  number: string;
  suffix: string;
}

function split(text: string | number): Parsed | null {
  const match = FORM.exec(String(text));
  return match ? { number: match[1]!, suffix: match[2] ?? '' } : null;
}

export function isQuantity(text: unknown): boolean {
  return (typeof text === 'string' || typeof text === 'number') && split(text) !== null;
}

/** What ParseQuantity says of a text that is none; null of one that is. */
export function quantityFault(value: unknown): string | null {
  if (isQuantity(value)) return null;
  const parts = /^[+-]?(\d*)(?:\.(\d*))?([eEinumkKMGTP]*)([-+]?\d*)$/.exec(String(value ?? ''));
  if (!parts || value === '') return `quantities must match the regular expression '${QUANTITY_PATTERN}'`;
  return parts[1] === '' && !parts[2] ? 'unable to parse numeric part of quantity' : "unable to parse quantity's suffix";
}

function factor(suffix: string): number {
  return BINARY[suffix] ?? DECIMAL[suffix] ?? 10 ** Number(suffix.slice(1));
}

/** In whole units, rounded up; 0 for what is no quantity. */
export function wholeOf(text: string | number | undefined): number {
  if (text === undefined) return 0;
  const parsed = split(text);
  if (!parsed) return 0;
  const f = factor(parsed.suffix);
  const n = Number(parsed.number);
  return f < 1 ? Math.ceil(Math.round(n * 1e6 * f * 1000) / 1e9) : Math.ceil(n * f);
}

/** In thousandths, rounded up: CPU. */
export function milliOf(text: string | number | undefined): number {
  if (text === undefined) return 0;
  const parsed = split(text);
  if (!parsed) return 0;
  const f = factor(parsed.suffix);
  return Math.ceil(Math.round(Number(parsed.number) * (f * 1000) * 1e6) / 1e6);
}

/** What a scheduler counts a resource in: CPU in thousandths, all else in units. */
export function amountOf(resource: string, text: string | number | undefined): number {
  return resource === 'cpu' ? milliOf(text) : wholeOf(text);
}

/** The shortest exact form, in the family its text was in. */
export function canonical(text: string | number): string {
  const parsed = split(text);
  if (!parsed) return String(text);
  const { suffix } = parsed;
  if (BINARY[suffix] !== undefined) {
    const value = Number(parsed.number) * BINARY[suffix];
    return Number.isInteger(value) ? binary(value) : `${Math.ceil(value * 1000)}m`;
  }
  const milli = Math.round(Number(parsed.number) * factor(suffix) * 1000);
  return decimal(milli);
}

/** Bytes as "64Mi" or, when no power of 1024 divides them, a plain number. */
export function binary(value: number): string {
  let n = value;
  let step = -1;
  const names = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
  while (n !== 0 && n % 1024 === 0 && step < names.length - 1) {
    n /= 1024;
    step++;
  }
  return `${n}${step < 0 ? '' : names[step]}`;
}

/** Thousandths as "250m", "2", "1k". */
export function decimal(milli: number): string {
  if (milli === 0) return '0';
  if (milli % 1000 !== 0) return `${milli}m`;
  let n = milli / 1000;
  let step = -1;
  const names = ['k', 'M', 'G', 'T', 'P', 'E'];
  while (n % 1000 === 0 && step < names.length - 1) {
    n /= 1000;
    step++;
  }
  return `${n}${step < 0 ? '' : names[step]}`;
}
